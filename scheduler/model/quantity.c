/* Kubernetes quantities, exactly. See quantity.h.
 * Source of the grammar and of the rounding: apimachinery pkg/api/resource.
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/quantity.h"

#include <errno.h>
#include <stdbool.h>

#define NANO     ((i128)1000000000)
/* 2^63 - 1 units: what Go caps a quantity at. */
#define NANO_MAX ((i128)INT64_MAX * NANO)

struct suffix {
    const char *text;
    int exp10; /* of the unit, decimal suffixes */
    int exp2;  /* binary suffixes */
};

static const struct suffix suffixes[] = {
    {"n", -9, 0},  {"u", -6, 0},  {"m", -3, 0},  {"", 0, 0},    {"k", 3, 0},   {"M", 6, 0},
    {"G", 9, 0},   {"T", 12, 0},  {"P", 15, 0},  {"E", 18, 0},  {"Ki", 0, 10}, {"Mi", 0, 20},
    {"Gi", 0, 30}, {"Ti", 0, 40}, {"Pi", 0, 50}, {"Ei", 0, 60},
};

static int bad(struct str s, struct err *err, const char *why)
{
    int n = s.n > 64 ? 64 : (int)s.n;
    return err_set(err, -EINVAL,
                   "quantity \"%.*s\": %s; allowed is a number with n, u, m, k, M, G, T, P, E, Ki, "
                   "Mi, Gi, Ti, Pi, Ei or "
                   "an exponent, such as 250m, 1.5 or 2Gi",
                   n, s.p == NULL ? "" : s.p, why);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The digits of a number, without the point: value = mant x 10^exp10, plus something below it when `rest`. */
struct digits {
    u128 mant;
    int exp10;
    bool rest, any, huge;
};

static void take_digit(struct digits *d, char c, bool fraction)
{
    unsigned v = (unsigned)(c - '0');
    d->any = true;
    if (d->mant >
        ((u128)1
         << 96)) { /* 28 digits: what follows cannot change the result beyond "there is more" */
        d->rest = d->rest || v != 0;
        d->exp10 += fraction ? 0 : 1;
        if (d->exp10 > 1000000) {
            d->huge = true;
            d->exp10 = 1000000;
        }
        return;
    }
    d->mant = d->mant * 10 + v;
    d->exp10 -= fraction ? 1 : 0;
}

/* The exponent after e or E; false when it is not one. */
static bool read_exponent(struct str s, int *ret)
{
    bool negative = false;
    size_t i = 0;
    if (s.n > 0 && (s.p[0] == '+' || s.p[0] == '-')) {
        negative = s.p[0] == '-';
        i = 1;
    }
    if (i == s.n) {
        return false;
    }
    int v = 0;
    for (; i < s.n; i++) {
        if (!is_digit(s.p[i])) {
            return false;
        }
        v = v > 100000 ? v : v * 10 + (s.p[i] - '0');
    }
    *ret = negative ? -v : v;
    return true;
}

static bool read_suffix(struct str s, int *ret_exp10, int *ret_exp2)
{
    *ret_exp2 = 0;
    if (s.n > 1 && (s.p[0] == 'e' || s.p[0] == 'E') && s.p[1] != 'i') {
        return read_exponent((struct str){s.p + 1, s.n - 1}, ret_exp10);
    }
    for (size_t i = 0; i < SP_COUNTOF(suffixes); i++) {
        if (str_is(s, suffixes[i].text)) {
            *ret_exp10 = suffixes[i].exp10;
            *ret_exp2 = suffixes[i].exp2;
            return true;
        }
    }
    return false;
}

/* mant x 10^exp10 x 2^exp2 in nano, rounded away from zero, capped. */
static i128 scale(struct digits d, int exp2)
{
    int e = d.exp10 + 9;
    u128 v = d.mant;
    bool rest = d.rest;
    if (v == 0) {
        return rest ? 1 : 0;
    }
    if (d.huge) {
        return NANO_MAX;
    }
    const u128 cap = (u128)NANO_MAX;
    /* Multiply first while there is room, so that no digit is lost before the binary factor. */
    while (exp2 > 0 && v < ((u128)1 << 118)) {
        u128 room = (u128)1 << 118;
        int step = exp2 > 8 ? 8 : exp2;
        if (v > room >> step) {
            step = 1;
        }
        v <<= step;
        exp2 -= step;
    }
    while (e < 0) {
        rest = rest || v % 10 != 0;
        v /= 10;
        e++;
        while (exp2 > 0 && v < ((u128)1 << 118)) {
            v <<= 1;
            exp2--;
        }
        if (v == 0 && e < -200) {
            break;
        }
    }
    for (; e > 0 && v <= cap; e--) {
        v *= 10;
    }
    for (; exp2 > 0 && v <= cap; exp2--) {
        v <<= 1;
    }
    if (v >= cap) {
        return NANO_MAX;
    }
    return (i128)v + (rest ? 1 : 0);
}

int quantity_parse(struct str s, struct quantity *ret, struct err *err)
{
    if (s.n == 0) {
        return bad(s, err, "is empty");
    }
    size_t i = 0;
    bool negative = false;
    if (s.p[0] == '+' || s.p[0] == '-') {
        negative = s.p[0] == '-';
        i = 1;
    }
    struct digits d = {0};
    for (; i < s.n && is_digit(s.p[i]); i++) {
        take_digit(&d, s.p[i], false);
    }
    if (i < s.n && s.p[i] == '.') {
        for (i++; i < s.n && is_digit(s.p[i]); i++) {
            take_digit(&d, s.p[i], true);
        }
    }
    if (!d.any) {
        return bad(s, err, "has no digits");
    }
    int exp10 = 0, exp2 = 0;
    if (!read_suffix((struct str){s.p + i, s.n - i}, &exp10, &exp2)) {
        return bad(s, err, "has an unknown suffix");
    }
    d.exp10 += exp10;
    i128 nano = scale(d, exp2);
    *ret = (struct quantity){negative ? -nano : nano};
    return 0;
}

struct quantity quantity_add(struct quantity a, struct quantity b)
{
    i128 sum;
    if (__builtin_add_overflow(a.nano, b.nano, &sum)) {
        return a.nano > 0 ? (struct quantity){NANO_MAX} : (struct quantity){-NANO_MAX};
    }
    if (sum > NANO_MAX) {
        sum = NANO_MAX;
    } else if (sum < -NANO_MAX) {
        sum = -NANO_MAX;
    }
    return (struct quantity){sum};
}

int quantity_cmp(struct quantity a, struct quantity b)
{
    return (a.nano > b.nano) - (a.nano < b.nano);
}

/* Divides, rounding up (toward plus infinity, as Go's ScaledValue does with positive amounts). */
static int64_t divide_up(i128 v, i128 by)
{
    if (v >= 0 && v <= INT64_MAX) { /* the common case without a 128-bit division */
        int64_t n = (int64_t)v, d = (int64_t)by;
        return n / d + (n % d != 0);
    }
    i128 q = v / by, r = v % by;
    q += r > 0;
    q -= r < 0; /* away from zero below zero */
    if (q > INT64_MAX) {
        return INT64_MAX;
    }
    return q < INT64_MIN ? INT64_MIN : (int64_t)q;
}

int64_t quantity_units(struct quantity q)
{
    return divide_up(q.nano, NANO);
}

int64_t quantity_milli(struct quantity q)
{
    return divide_up(q.nano, NANO / 1000);
}
