/* Numbers to text and back, the same in every locale and on every machine. See str.h.
 *
 * The shell never calls setlocale, so snprintf and strtod speak the C locale, where they are exact.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool str_to_i64(struct str s, int64_t *ret)
{
    size_t i = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0;
    bool negative = i == 1 && s.p[0] == '-';
    int64_t v = 0;
    if (i == s.n) {
        return false;
    }
    for (; i < s.n; i++) {
        if (!is_digit(s.p[i])) {
            return false;
        }
        int64_t digit = s.p[i] - '0';
        if (__builtin_mul_overflow(v, (int64_t)10, &v) ||
            __builtin_add_overflow(v, negative ? -digit : digit, &v)) {
            return false;
        }
    }
    *ret = v;
    return true;
}

/* [+-] digits [. digits] [e[+-]digits] with a digit on at least one side of the point. */
static bool looks_decimal(struct str s)
{
    size_t i = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0;
    size_t digits = 0;
    for (; i < s.n && is_digit(s.p[i]); i++) {
        digits++;
    }
    if (i < s.n && s.p[i] == '.') {
        for (i++; i < s.n && is_digit(s.p[i]); i++) {
            digits++;
        }
    }
    if (digits == 0) {
        return false;
    }
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        if (i < s.n && (s.p[i] == '-' || s.p[i] == '+')) {
            i++;
        }
        size_t from = i;
        while (i < s.n && is_digit(s.p[i])) {
            i++;
        }
        if (i == from) {
            return false;
        }
    }
    return i == s.n;
}

bool str_to_f64(struct str s, double *ret)
{
    char text[512]; /* longer numbers are nonsense, not precision */
    if (s.n >= sizeof text || !looks_decimal(s)) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    char *end = NULL;
    double v = strtod(text, &end);
    if (end != text + s.n || !isfinite(v)) {
        return false;
    }
    *ret = v;
    return true;
}

size_t str_from_f64(char *out, double v)
{
    if (!isfinite(v) || v == 0) {
        memcpy(out, "0", 2);
        return 1;
    }
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(out, 32, "%.*g", digits, v);
        if (strtod(out, NULL) == v) {
            break;
        }
    }
    return (size_t)n;
}
