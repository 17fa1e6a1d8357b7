/* Pull scanner over JSON bytes: walks values in order, keeps nothing, allocates nothing.
 *
 * Validates all that it passes over: structure, literals, numbers, escapes, UTF-8 and control characters
 * in strings, depth (LIMIT_DEPTH), the end of input. Refuses what RFC 8259 refuses. Duplicate keys: the
 * last one wins by the order of visiting. Errors carry the byte offset; scan_place turns it into line and column.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum scan_type {
    SCAN_ERROR = -1,
    SCAN_NULL = 0,
    SCAN_FALSE,
    SCAN_TRUE,
    SCAN_NUMBER,
    SCAN_STRING,
    SCAN_ARRAY,
    SCAN_OBJECT
};

struct scan {
    const char *begin, *p, *end;
    uint32_t depth;
    const char *error; /* constant text of the first error; NULL = none */
    const char *error_at;
    bool allow_nul; /* scan_string keeps \u0000 instead of refusing it */
};
#define SCAN_NO_MEMORY \
    "out of memory or over the size limit of one object" /* the text of s.error when the arena is short */

void scan_init(struct scan *s, struct str bytes);
/* Resolves the escapes of a raw string that the scanner has passed (validated) already. */
bool scan_unescape(struct scan *s, struct str raw, struct arena *a, struct str *ret);
/* 1-based line and column (in bytes) of `at` in the text that starts at `begin`. */
void scan_place(const char *begin, const char *at, uint32_t *ret_line, uint32_t *ret_column);
uint32_t scan_count(const char *p, size_t n, char byte); /* how often the byte stands there */
enum scan_type
scan_peek(struct scan *s); /* type of the next value; SCAN_ERROR at end or on garbage */
/* Objects: scan_object_begin, then while (scan_member(s, &key)) { take or skip the value }. Arrays alike with scan_item.
 * `key` is raw (escapes not resolved) unless *ret_escaped. Both return false at the end or on error. */
bool scan_object_begin(struct scan *s);
bool scan_member(struct scan *s, bool *first, struct str *ret_key, bool *ret_escaped);
bool scan_array_begin(struct scan *s);
bool scan_item(struct scan *s, bool *first);
/* The next string without quotes; unescaped into the arena only where it has escapes. \u0000 is an error unless allow_nul.
 * Lone surrogates become U+FFFD, as in Go. */
bool scan_string(struct scan *s, struct arena *a, struct str *ret);
/* Takes plain strings (ASCII without escapes) off the list that scan_item walks, while they stand in a row and up to `max`;
 * returns how many. What follows is left to scan_item. */
uint32_t scan_plain_strings(struct scan *s, bool *first, struct str *ret, uint32_t max);
bool scan_number_raw(struct scan *s, struct str *ret);
bool scan_i64(struct scan *s,
              int64_t *ret); /* an integer literal in range; 5.0 and 1e1 are errors, as in Go */
bool scan_bool(struct scan *s, bool *ret);
bool scan_skip(struct scan *s, struct str *ret_raw); /* any value, validated; ret_raw may be NULL */
bool scan_end(struct scan *s);                       /* only white space is left */
bool scan_fail(struct scan *s,
               const char *constant_text); /* sets the error if none; returns false */
/* Puts the error with line and column (1-based, columns in bytes) into err; returns -EINVAL. */
int scan_error(const struct scan *s, const char *file, struct err *err);
