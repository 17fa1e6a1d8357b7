/* Durations and points in time as text. See str.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/str.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

struct unit {
    const char *name;
    int64_t ms;
};

static const struct unit units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000},
};

/* Takes "12.5h" off the front of *s. Fractions keep three digits; finer ones are refused when not zero. */
static bool take_part(struct str *s, int64_t *ret)
{
    int64_t whole = 0, milli = 0, scale = 100;
    size_t i = 0, k = 0;
    for (; i < s->n && is_digit(s->p[i]); i++) {
        if (__builtin_mul_overflow(whole, (int64_t)10, &whole) ||
            __builtin_add_overflow(whole, (int64_t)(s->p[i] - '0'), &whole)) {
            return false;
        }
    }
    if (i == 0) {
        return false;
    }
    if (i + 1 < s->n && s->p[i] == '.' && is_digit(s->p[i + 1])) {
        for (i++; i < s->n && is_digit(s->p[i]); i++, scale /= 10) {
            if (scale == 0 && s->p[i] != '0') {
                return false;
            }
            milli += scale * (s->p[i] - '0');
        }
    }
    struct str tail = {s->p + i, s->n - i};
    for (k = 0; k < SP_COUNTOF(units); k++) {
        struct str name = str_c(units[k].name);
        if (str_starts(tail, name) && (tail.n == name.n || is_digit(tail.p[name.n]))) {
            break;
        }
    }
    if (k == SP_COUNTOF(units) || (milli * units[k].ms) % 1000 != 0) {
        return false;
    }
    if (__builtin_mul_overflow(whole, units[k].ms, ret) ||
        __builtin_add_overflow(*ret, milli * units[k].ms / 1000, ret)) {
        return false;
    }
    size_t used = i + strlen(units[k].name);
    *s = (struct str){s->p + used, s->n - used};
    return true;
}

bool str_to_duration_ms(struct str s, int64_t *ret)
{
    int64_t total = 0;
    bool negative = s.n > 0 && s.p[0] == '-';
    if (negative) {
        s = (struct str){s.p + 1, s.n - 1};
    }
    if (str_is(s, "0")) {
        *ret = 0;
        return true;
    }
    if (s.n == 0) {
        return false;
    }
    while (s.n > 0) {
        int64_t part = 0;
        if (!take_part(&s, &part) || __builtin_add_overflow(total, part, &total)) {
            return false;
        }
    }
    *ret = negative ? -total : total;
    return true;
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar: a year is counted from March, so that the leap
 * day is its last, and 400 years are 146097 days. */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = year_of_era + era * 400 + (*month <= 2 ? 1 : 0);
}

static bool take_digits(struct str *s, size_t n, int64_t max, int64_t *ret)
{
    int64_t v = 0;
    if (s->n < n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(s->p[i])) {
            return false;
        }
        v = v * 10 + (s->p[i] - '0');
    }
    *s = (struct str){s->p + n, s->n - n};
    *ret = v;
    return v <= max;
}

static bool take_char(struct str *s, char a, char b)
{
    if (s->n == 0 || (s->p[0] != a && s->p[0] != b)) {
        return false;
    }
    *s = (struct str){s->p + 1, s->n - 1};
    return true;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    static const int64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* ".123456" to whole milliseconds, cut. */
static bool take_fraction(struct str *s, int64_t *ret)
{
    int64_t ms = 0, scale = 100;
    size_t i = 1;
    *ret = 0;
    if (s->n == 0 || s->p[0] != '.') {
        return true;
    }
    for (; i < s->n && is_digit(s->p[i]); i++, scale /= 10) {
        ms += scale * (s->p[i] - '0');
    }
    *s = (struct str){s->p + i, s->n - i};
    *ret = ms;
    return i > 1;
}

static bool take_offset(struct str *s, int64_t *ret_minutes)
{
    int64_t hours = 0, minutes = 0;
    if (take_char(s, 'Z', 'z')) {
        *ret_minutes = 0;
        return true;
    }
    bool negative = s->n > 0 && s->p[0] == '-';
    if (!take_char(s, '+', '-') || !take_digits(s, 2, 23, &hours) || !take_char(s, ':', ':') ||
        !take_digits(s, 2, 59, &minutes)) {
        return false;
    }
    *ret_minutes = (negative ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

bool str_to_time_ms(struct str s, int64_t *ret)
{
    int64_t year, month, day, hour, minute, second, ms, offset;
    if (!take_digits(&s, 4, 9999, &year) || !take_char(&s, '-', '-') ||
        !take_digits(&s, 2, 12, &month) || !take_char(&s, '-', '-') ||
        !take_digits(&s, 2, 31, &day) || !take_char(&s, 'T', 't') ||
        !take_digits(&s, 2, 23, &hour) || !take_char(&s, ':', ':') ||
        !take_digits(&s, 2, 59, &minute) || !take_char(&s, ':', ':') ||
        !take_digits(&s, 2, 60, &second) || !take_fraction(&s, &ms) || !take_offset(&s, &offset) ||
        s.n != 0 || month < 1 || day < 1 || day > days_in_month(year, month)) {
        return false;
    }
    int64_t seconds = days_from_date(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    *ret = (seconds - offset * 60) * 1000 + ms;
    return true;
}

size_t str_from_time_ms(char *out, int64_t ms)
{
    int64_t seconds = ms / 1000 - (ms % 1000 < 0 ? 1 : 0);
    int64_t days = seconds / 86400 - (seconds % 86400 < 0 ? 1 : 0);
    int64_t rest = seconds - days * 86400;
    int64_t year, month, day;
    date_from_days(days, &year, &month, &day);
    if (year < 0 || year > 9999) { /* RFC 3339 has four digits */
        bool before = year < 0;
        memcpy(out, before ? "0000-01-01T00:00:00Z" : "9999-12-31T23:59:59Z", 21);
        return 20;
    }
    int n = snprintf(out, 32, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)year, (int)month, (int)day,
                     (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60));
    return (size_t)n;
}
