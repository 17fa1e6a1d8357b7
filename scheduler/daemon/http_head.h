/* What a request's head must look like before it is believed: RFC 9112 where the HTTP library is more tolerant than two
 * programs in a row should be (CWE-444). Pure functions over the text that the library hands out; used by http_server.c.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define HTTP_HEADER_BYTES_MAX (16u << 10)
#define HTTP_HEADERS_MAX      100
#define HTTP_TARGET_BYTES_MAX (8u << 10)

struct http_head {
    unsigned n, lengths, encodings, hosts;
    size_t bytes;
    bool bad;
    /* Where the line before ended, in the buffer that was parsed in place: its CR and LF stand there as two zeros. NULL
     * when the library does not parse in place. */
    const char *line_end;
};
/* The next field, in the order of the request. */
void http_head_field(struct http_head *h, const char *key, const char *value);
/* 0, 400 or 431, once every field was seen. `version` is the text of the request line. */
int http_head_judge(const struct http_head *h, const char *version);

/* 0, 400 or 414 for a request target as it was sent, its query included. */
int http_target_judge(const char *target);
