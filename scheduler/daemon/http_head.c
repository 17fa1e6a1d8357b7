// SPDX-License-Identifier: Apache-2.0
#include "daemon/http_head.h"

#include <string.h>
#include <strings.h>

/* RFC 9110 5.6.2. */
static bool is_token(const char *s)
{
    for (const char *p = s; *p; p++) {
        bool alnum =
            (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z');
        if (!alnum && !strchr("!#$%&'*+-.^_`|~", *p)) {
            return false;
        }
    }
    return *s != '\0';
}

static bool is_field_value(const char *s)
{
    for (; *s; s++) {
        unsigned char ch = (unsigned char)*s;
        if ((ch < 0x20 && ch != '\t') || ch == 0x7f) {
            return false;
        }
    }
    return true;
}

/* A line that ended without CR, was folded or holds a NUL stands elsewhere than two bytes behind the one before. */
static void check_place(struct http_head *h, const char *key, const char *value)
{
    if (h->line_end) {
        h->bad = h->bad || key != h->line_end + 2;
        h->line_end = value + strlen(value);
    }
}

void http_head_field(struct http_head *h, const char *key, const char *value)
{
    value = value ? value : "";
    h->n++;
    h->bytes += strlen(key) + strlen(value);
    if (strcasecmp(key, "Content-Length") == 0) {
        h->lengths++;
    } else if (strcasecmp(key, "Transfer-Encoding") == 0) {
        h->encodings++;
        h->bad = h->bad || strcasecmp(value, "chunked") != 0; /* the only coding that is read */
    } else if (strcasecmp(key, "Host") == 0) {
        h->hosts++;
    }
    h->bad = h->bad || !is_token(key) || !is_field_value(value);
    check_place(h, key, value);
}

int http_head_judge(const struct http_head *h, const char *version)
{
    if (h->n > HTTP_HEADERS_MAX || h->bytes > HTTP_HEADER_BYTES_MAX) {
        return 431;
    }
    bool old = strcmp(version, "HTTP/1.0") == 0;
    if (h->bad || h->lengths > 1 || h->encodings > 1 || (h->lengths > 0 && h->encodings > 0) ||
        (h->encodings > 0 && old) || h->hosts > 1 || (h->hosts == 0 && !old)) {
        return 400;
    }
    /* The empty line: behind a field there is room for it in the buffer, whatever came after. */
    const char *end = h->n > 0 ? h->line_end : NULL;
    return end && (end[1] != '\0' || end[2] != '\0' || end[3] != '\0') ? 400 : 0;
}

int http_target_judge(const char *target)
{
    if (strlen(target) > HTTP_TARGET_BYTES_MAX) {
        return 414;
    }
    return strstr(target, "%00") || !is_field_value(target) ? 400 : 0;
}
