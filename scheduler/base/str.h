/* Pointer-and-length strings. Bytes, not characters; not NUL-terminated unless a comment says so.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"

struct str {
    const char *p;
    size_t n;
};

#define STR(lit)   ((struct str){"" lit, sizeof(lit) - 1})
#define STR_NONE   ((struct str){NULL, 0})
#define STR_FMT    "%.*s"
#define STR_ARG(s) (int)(s).n, ((s).p ? (s).p : "")

static inline struct str str_c(const char *c)
{
    return (struct str){c, c ? strlen(c) : 0};
}
static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool str_is(struct str a, const char *lit)
{
    return str_eq(a, str_c(lit));
}
int str_cmp(struct str a, struct str b);        /* by bytes, shorter first: <0, 0, >0 */
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_contains(struct str s, struct str part);
struct str str_trim(struct str s); /* ASCII white space off both ends */
/* Takes what stands before the first `sep` off the front of *rest and returns it; the rest is empty after
 * the last piece. */
struct str str_cut(struct str *rest, char sep);
bool str_utf8_ok(struct str s); /* well-formed, no surrogates, no over-long forms */
/* May the first character of s (not empty) stand in a terminal, a log line or a message? No: control characters (C0,
 * DEL, C1), line separators, marks that turn the direction of text, and bytes that are no UTF-8. *ret_n: its bytes. */
bool str_printable(struct str s, size_t *ret_n);
uint64_t str_hash(struct str s, uint64_t key0,
                  uint64_t key1); /* SipHash-1-3: safe against flooding */

/* Whole string to number; false when anything is left over or out of range (result untouched). */
bool str_to_i64(struct str s, int64_t *ret);
bool str_to_f64(struct str s, double *ret); /* finite only; no hex, no "inf", no locale */
/* Shortest decimal that reads back as the same double; "0" for -0. Returns its length; out holds >= 32 bytes. */
size_t str_from_f64(char *out, double v);

/* "1h30m", "250ms", "45s", "2d", "20m": to milliseconds. A unit is demanded, except for 0. */
bool str_to_duration_ms(struct str s, int64_t *ret);
/* RFC 3339 ("2026-11-21T07:47:22Z", fractions and offsets allowed) to milliseconds since 1970. */
bool str_to_time_ms(struct str s, int64_t *ret);
/* The other way, UTC, seconds. out holds >= 32 bytes. Returns its length. */
size_t str_from_time_ms(char *out, int64_t ms);

/* The nearest of `names` to `word` by edit distance (transpositions count one), or NULL when none is near
 * enough to suggest (more than a third of the letters differ). */
const char *str_nearest(struct str word, const char *const *names, size_t n);
