/* Pull scanner over JSON bytes. See scan.h.
 *
 * Strings and white space are passed over sixteen bytes at a time where SSE2 is there; the scalar path is the
 * reference and is chosen at compile time (define SP_SCAN_SCALAR to force it).
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/scan.h"

#include <string.h>

#include "base/limits.h"

#if defined(__SSE2__) && !defined(SP_SCAN_SCALAR)
#include <emmintrin.h>
#define SCAN_SSE2 1
#endif

#define END_OF_INPUT "the input ends in the middle of a value"

static bool fail_at(struct scan *s, const char *at, const char *text)
{
    if (s->error == NULL) {
        s->error = text;
        s->error_at = at < s->end ? at : s->end;
    }
    return false;
}

bool scan_fail(struct scan *s, const char *constant_text)
{
    return fail_at(s, s->p, constant_text);
}

void scan_init(struct scan *s, struct str bytes)
{
    const char *p = bytes.p != NULL ? bytes.p : "";
    *s = (struct scan){.begin = p, .p = p, .end = p + bytes.n};
}

uint32_t scan_count(const char *p, size_t n, char byte)
{
    uint32_t found = 0;
    size_t i = 0;
#ifdef SCAN_SSE2
    const __m128i wanted = _mm_set1_epi8(byte), zero = _mm_setzero_si128();
    while (n - i >= 16) { /* at most 255 blocks before a byte's count overflows */
        __m128i counts = zero;
        for (int block = 0; block < 255 && n - i >= 16; block++, i += 16) {
            __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
            counts = _mm_sub_epi8(counts, _mm_cmpeq_epi8(x, wanted));
        }
        __m128i sums = _mm_sad_epu8(counts, zero);
        found += (uint32_t)_mm_cvtsi128_si32(sums) +
                 (uint32_t)_mm_cvtsi128_si32(_mm_srli_si128(sums, 8));
    }
#endif
    for (; i < n; i++) {
        found += p[i] == byte;
    }
    return found;
}

/* ---- white space ---- */

static const char *skip_ws_slow(const char *p, const char *end)
{
#ifdef SCAN_SSE2
    const __m128i space = _mm_set1_epi8(' '), newline = _mm_set1_epi8('\n');
    while (end - p >= 32) { /* most indents end in here */
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i y = _mm_loadu_si128((const __m128i *)(const void *)(p + 16));
        x = _mm_or_si128(_mm_cmpeq_epi8(x, space), _mm_cmpeq_epi8(x, newline));
        y = _mm_or_si128(_mm_cmpeq_epi8(y, space), _mm_cmpeq_epi8(y, newline));
        unsigned other = ~((unsigned)_mm_movemask_epi8(x) | (unsigned)_mm_movemask_epi8(y) << 16);
        if (other != 0) {
            p += __builtin_ctz(other);
            if (*p != '\t' && *p != '\r') {
                return p;
            }
            p++;
        } else {
            p += 32;
        }
    }
#endif
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) {
        p++;
    }
    return p;
}

static inline const char *skip_ws(const char *p, const char *end)
{
    if (SP_LIKELY(p < end && (unsigned char)*p > ' ')) {
        return p;
    }
    if (end - p >= 2 && *p == ' ' && (unsigned char)p[1] > ' ') { /* behind a colon */
        return p + 1;
    }
    return skip_ws_slow(p, end);
}

/* ---- strings ---- */

/* Length of the well-formed UTF-8 sequence at p (first byte >= 0x80), or 0. */
static size_t utf8_len(const char *p, const char *end)
{
    const unsigned char *u = (const unsigned char *)p;
    size_t left = (size_t)(end - p);
    if (u[0] >= 0xc2 && u[0] <= 0xdf) {
        return left >= 2 && (u[1] & 0xc0) == 0x80 ? 2 : 0;
    }
    if (u[0] >= 0xe0 && u[0] <= 0xef) {
        if (left < 3 || (u[1] & 0xc0) != 0x80 || (u[2] & 0xc0) != 0x80 ||
            (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f)) {
            return 0;
        }
        return 3;
    }
    if (u[0] >= 0xf0 && u[0] <= 0xf4) {
        if (left < 4 || (u[1] & 0xc0) != 0x80 || (u[2] & 0xc0) != 0x80 || (u[3] & 0xc0) != 0x80 ||
            (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f)) {
            return 0;
        }
        return 4;
    }
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The four hex digits at p, or -1. */
static int32_t hex4(const char *p)
{
    int32_t v = 0;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(p[i]);
        if (d < 0) {
            return -1;
        }
        v = v * 16 + d;
    }
    return v;
}

/* p at a backslash: what stands behind the escape, or NULL with the error set. */
static const char *pass_escape(struct scan *s, const char *p)
{
    if (s->end - p < 2) {
        fail_at(s, s->end, END_OF_INPUT);
        return NULL;
    }
    switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return p + 2;
    case 'u':
        break;
    default:
        fail_at(s, p, "unknown escape in a string");
        return NULL;
    }
    if (s->end - p < 6) {
        fail_at(s, s->end, END_OF_INPUT);
        return NULL;
    }
    if (hex4(p + 2) < 0) {
        fail_at(s, p, "\\u in a string needs four hexadecimal digits");
        return NULL;
    }
    return p + 6;
}

/* From p to the next quote, backslash, control or non-ASCII byte, or the end. */
static inline const char *plain_run(const char *p, const char *end)
{
#ifdef SCAN_SSE2
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'),
                  low = _mm_set1_epi8(0x1f);
    while (end - p >= 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(x, quote), _mm_cmpeq_epi8(x, slash));
        hit = _mm_or_si128(hit, _mm_cmpeq_epi8(_mm_min_epu8(x, low), x));
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_or_si128(hit, x)); /* x: its high bits */
        if (mask != 0) {
            return p + __builtin_ctz(mask);
        }
        p += 16;
    }
#endif
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20 &&
           (unsigned char)*p < 0x80) {
        p++;
    }
    return p;
}

/* p behind the opening quote: the closing quote, or NULL with the error set. */
static const char *string_end_slow(struct scan *s, const char *p, bool *ret_escaped)
{
    for (;;) {
        p = plain_run(p, s->end);
        if (p >= s->end) {
            fail_at(s, s->end, END_OF_INPUT);
            return NULL;
        }
        if (*p == '"') {
            return p;
        }
        if (*p == '\\') {
            *ret_escaped = true;
            p = pass_escape(s, p);
            if (p == NULL) {
                return NULL;
            }
        } else if ((unsigned char)*p < 0x20) {
            fail_at(s, p, "a control character in a string must be escaped");
            return NULL;
        } else {
            size_t n = utf8_len(p, s->end);
            if (n == 0) {
                fail_at(s, p, "a string is not valid UTF-8");
                return NULL;
            }
            p += n;
        }
    }
}

static inline const char *string_end(struct scan *s, const char *p, bool *ret_escaped)
{
    p = plain_run(p, s->end);
    if (SP_LIKELY(p < s->end && *p == '"')) {
        return p;
    }
    return string_end_slow(s, p, ret_escaped);
}

/* ---- numbers and literals ---- */

static inline bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What stands behind the number at p, or NULL with the error set. */
static const char *pass_number(struct scan *s, const char *p)
{
    const char *end = s->end;
    if (p < end && *p == '-') {
        p++;
    }
    if (p >= end) {
        fail_at(s, end, END_OF_INPUT);
        return NULL;
    }
    if (*p == '0') {
        p++;
        if (p < end && digit(*p)) {
            fail_at(s, p, "a number may not begin with 0");
            return NULL;
        }
    } else {
        if (!digit(*p)) {
            fail_at(s, p,
                    "a value was expected (object, list, string, number, true, false or null)");
            return NULL;
        }
        while (p < end && digit(*p)) {
            p++;
        }
    }
    if (p < end && *p == '.') {
        p++;
        if (p >= end || !digit(*p)) {
            fail_at(s, p,
                    p >= end ? END_OF_INPUT : "a digit was expected after the point of a number");
            return NULL;
        }
        while (p < end && digit(*p)) {
            p++;
        }
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-')) {
            p++;
        }
        if (p >= end || !digit(*p)) {
            fail_at(s, p,
                    p >= end ? END_OF_INPUT : "a digit was expected in the exponent of a number");
            return NULL;
        }
        while (p < end && digit(*p)) {
            p++;
        }
    }
    return p;
}

static const char *pass_word(struct scan *s, const char *p, const char *word, size_t n)
{
    size_t left = (size_t)(s->end - p);
    if (left < n && memcmp(p, word, left) == 0) {
        fail_at(s, s->end, END_OF_INPUT);
        return NULL;
    }
    if (left < n || memcmp(p, word, n) != 0) {
        fail_at(s, p, "a value was expected (object, list, string, number, true, false or null)");
        return NULL;
    }
    return p + n;
}

/* A scalar at p (not white space): what stands behind it, or NULL with the error set. */
static inline const char *pass_scalar(struct scan *s, const char *p)
{
    bool escaped;
    switch (*p) {
    case '"':
        p = string_end(s, p + 1, &escaped);
        return p != NULL ? p + 1 : NULL;
    case 't':
        return pass_word(s, p, "true", 4);
    case 'f':
        return pass_word(s, p, "false", 5);
    case 'n':
        return pass_word(s, p, "null", 4);
    default:
        return pass_number(s, p);
    }
}

/* ---- skipping ---- */

/* p behind '{' or ',' of an object: passes `"key" :`. */
static inline const char *pass_key(struct scan *s, const char *p)
{
    bool escaped;
    p = skip_ws(p, s->end);
    if (p >= s->end || *p != '"') {
        fail_at(s, p, p >= s->end ? END_OF_INPUT : "a field name in quotes was expected");
        return NULL;
    }
    p = string_end(s, p + 1, &escaped);
    if (p == NULL) {
        return NULL;
    }
    p = skip_ws(p + 1, s->end);
    if (p >= s->end || *p != ':') {
        fail_at(s, p, p >= s->end ? END_OF_INPUT : "':' was expected after a field name");
        return NULL;
    }
    return p + 1;
}

/* The bits of `kinds` say which open brackets are objects. */
struct skip_stack {
    uint64_t kinds[LIMIT_DEPTH / 64 + 1];
    uint32_t n;
};

static inline bool top_is_object(const struct skip_stack *st)
{
    return (st->kinds[(st->n - 1) / 64] >> ((st->n - 1) % 64)) & 1u;
}

static inline bool push(struct scan *s, struct skip_stack *st, const char *p, bool object)
{
    if (s->depth + st->n >= LIMIT_DEPTH) {
        return fail_at(s, p, "nested too deeply");
    }
    uint64_t bit = 1ull << (st->n % 64);
    if (bit == 1) {
        st->kinds[st->n / 64] = 0;
    }
    if (object) {
        st->kinds[st->n / 64] |= bit;
    } else {
        st->kinds[st->n / 64] &= ~bit;
    }
    st->n++;
    return true;
}

/* Behind a value inside brackets: passes closing brackets and the comma. Sets *done when all is closed. */
static inline const char *pass_after_value(struct scan *s, const char *p, struct skip_stack *st,
                                           bool *done)
{
    while (st->n > 0) {
        bool object = top_is_object(st);
        p = skip_ws(p, s->end);
        if (p >= s->end) {
            fail_at(s, s->end, END_OF_INPUT);
            return NULL;
        }
        if (*p == ',') {
            return object ? pass_key(s, p + 1) : p + 1;
        }
        if (*p != (object ? '}' : ']')) {
            fail_at(s, p, object ? "',' or '}' was expected" : "',' or ']' was expected");
            return NULL;
        }
        p++;
        st->n--;
    }
    *done = true;
    return p;
}

static const char *skip_value(struct scan *s, const char *p)
{
    struct skip_stack st;
    bool done = false;
    st.n = 0;
    while (!done) {
        p = skip_ws(p, s->end);
        if (p >= s->end) {
            fail_at(s, s->end, END_OF_INPUT);
            return NULL;
        }
        if (*p == '{' || *p == '[') {
            bool object = *p == '{';
            if (!push(s, &st, p, object)) {
                return NULL;
            }
            p = skip_ws(p + 1, s->end);
            if (p < s->end && *p == (object ? '}' : ']')) {
                p++;
                st.n--;
            } else if (object) {
                p = pass_key(s, p);
                if (p == NULL) {
                    return NULL;
                }
                continue;
            } else {
                continue;
            }
        } else {
            p = pass_scalar(s, p);
            if (p == NULL) {
                return NULL;
            }
        }
        p = pass_after_value(s, p, &st, &done);
        if (p == NULL) {
            return NULL;
        }
    }
    return p;
}

bool scan_skip(struct scan *s, struct str *ret_raw)
{
    if (s->error != NULL) {
        return false;
    }
    const char *from = skip_ws(s->p, s->end);
    const char *p = skip_value(s, from);
    if (p == NULL) {
        return false;
    }
    if (ret_raw != NULL) {
        *ret_raw = (struct str){from, (size_t)(p - from)};
    }
    s->p = p;
    return true;
}

/* ---- walking ---- */

enum scan_type scan_peek(struct scan *s)
{
    if (s->error != NULL) {
        return SCAN_ERROR;
    }
    s->p = skip_ws(s->p, s->end);
    if (s->p >= s->end) {
        fail_at(s, s->end, END_OF_INPUT);
        return SCAN_ERROR;
    }
    switch (*s->p) {
    case '{':
        return SCAN_OBJECT;
    case '[':
        return SCAN_ARRAY;
    case '"':
        return SCAN_STRING;
    case 't':
        return SCAN_TRUE;
    case 'f':
        return SCAN_FALSE;
    case 'n':
        return SCAN_NULL;
    default:
        if (*s->p == '-' || digit(*s->p)) {
            return SCAN_NUMBER;
        }
        scan_fail(s, "a value was expected (object, list, string, number, true, false or null)");
        return SCAN_ERROR;
    }
}

static bool begin(struct scan *s, char bracket, const char *text)
{
    if (s->error != NULL) {
        return false;
    }
    s->p = skip_ws(s->p, s->end);
    if (s->p >= s->end) {
        return fail_at(s, s->end, END_OF_INPUT);
    }
    if (*s->p != bracket) {
        return scan_fail(s, text);
    }
    if (s->depth >= LIMIT_DEPTH) {
        return scan_fail(s, "nested too deeply");
    }
    s->depth++;
    s->p++;
    return true;
}

bool scan_object_begin(struct scan *s)
{
    return begin(s, '{', "an object was expected");
}

bool scan_array_begin(struct scan *s)
{
    return begin(s, '[', "a list was expected");
}

/* Passes the comma, or closes. True: another member or item follows. */
static bool another(struct scan *s, bool *first, char close, const char *text)
{
    if (s->error != NULL) {
        return false;
    }
    s->p = skip_ws(s->p, s->end);
    if (s->p >= s->end) {
        return fail_at(s, s->end, END_OF_INPUT);
    }
    if (*s->p == close) {
        s->p++;
        s->depth--;
        return false;
    }
    if (*first) {
        *first = false;
        return true;
    }
    if (*s->p != ',') {
        return scan_fail(s, text);
    }
    s->p++;
    return true;
}

bool scan_item(struct scan *s, bool *first)
{
    return another(s, first, ']', "',' or ']' was expected");
}

bool scan_member(struct scan *s, bool *first, struct str *ret_key, bool *ret_escaped)
{
    if (!another(s, first, '}', "',' or '}' was expected")) {
        return false;
    }
    const char *p = skip_ws(s->p, s->end);
    if (p >= s->end || *p != '"') {
        return fail_at(s, p, p >= s->end ? END_OF_INPUT : "a field name in quotes was expected");
    }
    bool escaped = false;
    const char *close = string_end(s, p + 1, &escaped);
    if (close == NULL) {
        return false;
    }
    const char *colon = skip_ws(close + 1, s->end);
    if (colon >= s->end || *colon != ':') {
        return fail_at(s, colon,
                       colon >= s->end ? END_OF_INPUT : "':' was expected after a field name");
    }
    *ret_key = (struct str){p + 1, (size_t)(close - p - 1)};
    *ret_escaped = escaped;
    s->p = colon + 1;
    return true;
}

bool scan_string(struct scan *s, struct arena *a, struct str *ret)
{
    if (s->error != NULL) {
        return false;
    }
    s->p = skip_ws(s->p, s->end);
    if (s->p >= s->end) {
        return fail_at(s, s->end, END_OF_INPUT);
    }
    if (*s->p != '"') {
        return scan_fail(s, "a string was expected");
    }
    bool escaped = false;
    const char *from = s->p + 1, *close = string_end(s, from, &escaped);
    if (close == NULL) {
        return false;
    }
    struct str raw = {from, (size_t)(close - from)};
    if (SP_UNLIKELY(escaped)) {
        if (!scan_unescape(s, raw, a, ret)) {
            return false;
        }
    } else {
        *ret = raw;
    }
    s->p = close + 1;
    return true;
}

uint32_t scan_plain_strings(struct scan *s, bool *first, struct str *ret, uint32_t max)
{
    const char *end = s->end;
    uint32_t n = 0;
    while (n < max && s->error == NULL) {
        const char *p = skip_ws(s->p, end);
        if (!*first) {
            if (p >= end || *p != ',') {
                break;
            }
            p = skip_ws(p + 1, end);
        }
        if (p >= end || *p != '"') {
            break;
        }
        const char *close = plain_run(p + 1, end);
        if (close >= end || *close != '"') {
            break;
        }
        ret[n++] = (struct str){p + 1, (size_t)(close - p - 1)};
        *first = false;
        s->p = close + 1;
    }
    return n;
}

bool scan_number_raw(struct scan *s, struct str *ret)
{
    enum scan_type t = scan_peek(s);
    if (t == SCAN_ERROR) {
        return false;
    }
    if (t != SCAN_NUMBER) {
        return scan_fail(s, "a number was expected");
    }
    const char *p = pass_number(s, s->p);
    if (p == NULL) {
        return false;
    }
    *ret = (struct str){s->p, (size_t)(p - s->p)};
    s->p = p;
    return true;
}

bool scan_i64(struct scan *s, int64_t *ret)
{
    struct str raw;
    const char *at = skip_ws(s->p, s->end);
    if (!scan_number_raw(s, &raw)) {
        return false;
    }
    if (!str_to_i64(raw, ret)) {
        return fail_at(s, at, "a whole number of at most 64 bits was expected");
    }
    return true;
}

bool scan_bool(struct scan *s, bool *ret)
{
    enum scan_type t = scan_peek(s);
    if (t == SCAN_ERROR) {
        return false;
    }
    if (t != SCAN_TRUE && t != SCAN_FALSE) {
        return scan_fail(s, "true or false was expected");
    }
    const char *p = pass_scalar(s, s->p);
    if (p == NULL) {
        return false;
    }
    *ret = t == SCAN_TRUE;
    s->p = p;
    return true;
}

bool scan_end(struct scan *s)
{
    if (s->error != NULL) {
        return false;
    }
    s->p = skip_ws(s->p, s->end);
    return s->p == s->end || scan_fail(s, "unexpected text after the end of the value");
}
