/* Escapes of strings that the scanner has passed: they are well formed. See scan.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "wire/scan.h"

static bool fail(struct scan *s, const char *at, const char *text)
{
    if (s->error == NULL) {
        s->error = text;
        s->error_at = at < s->end ? at : s->end;
    }
    return false;
}

static uint32_t four_digits(const char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t c = (unsigned char)p[i];
        v = v * 16 + (c <= '9' ? c - '0' : (c | 0x20u) - 'a' + 10);
    }
    return v;
}

static char *put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xc0 | (c >> 6));
        *out++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *out++ = (char)(0xe0 | (c >> 12));
        *out++ = (char)(0x80 | ((c >> 6) & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    } else {
        *out++ = (char)(0xf0 | (c >> 18));
        *out++ = (char)(0x80 | ((c >> 12) & 0x3f));
        *out++ = (char)(0x80 | ((c >> 6) & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    }
    return out;
}

static char simple_escape(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c; /* quote, backslash, slash */
    }
}

/* The code point of a validated \u escape at *p (and of its second half), U+FFFD for a lone surrogate. */
static uint32_t take_u_escape(const char **p, const char *end)
{
    uint32_t c = four_digits(*p + 2);
    *p += 6;
    if (c < 0xd800 || c > 0xdfff) {
        return c;
    }
    if (c <= 0xdbff && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u') {
        uint32_t low = four_digits(*p + 2);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *p += 6;
            return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return 0xfffd;
}

bool scan_unescape(struct scan *s, struct str raw, struct arena *a, struct str *ret)
{
    /* An escape never gets longer: \uXXXX is six bytes and at most three, a pair twelve and four. */
    char *out = arena_alloc(a, raw.n + 1);
    if (out == NULL) {
        return fail(s, raw.p, SCAN_NO_MEMORY);
    }
    char *o = out;
    const char *p = raw.p, *end = raw.p + raw.n;
    while (p < end) {
        if (*p != '\\') {
            const char *esc = memchr(p, '\\', (size_t)(end - p));
            size_t n = (size_t)((esc != NULL ? esc : end) - p);
            memcpy(o, p, n);
            o += n;
            p += n;
        } else if (p[1] == 'u') {
            const char *at = p;
            uint32_t c = take_u_escape(&p, end);
            if (c == 0 && !s->allow_nul) {
                return fail(s, at, "\\u0000 is not allowed in this text");
            }
            o = put_utf8(o, c);
        } else {
            *o++ = simple_escape(p[1]);
            p += 2;
        }
    }
    *o = '\0';
    *ret = (struct str){out, (size_t)(o - out)};
    return true;
}
