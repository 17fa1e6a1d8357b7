/* Pointer-and-length strings: comparing, cutting, hashing. See str.h; numbers are in num.c, times in timefmt.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n == 0 ? 0 : memcmp(a.p, b.p, n);
    if (order != 0) {
        return order;
    }
    return a.n < b.n ? -1 : a.n > b.n;
}

static unsigned char lower(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 'A' && u <= 'Z' ? (unsigned char)(u | 0x20u) : u;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.n != b.n) {
        return false;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i])) {
            return false;
        }
    }
    return true;
}

bool str_starts(struct str s, struct str prefix)
{
    return prefix.n == 0 || (s.n >= prefix.n && memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool str_ends(struct str s, struct str suffix)
{
    return suffix.n == 0 ||
           (s.n >= suffix.n && memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

bool str_contains(struct str s, struct str part)
{
    if (part.n == 0) {
        return true;
    }
    while (s.n >= part.n) {
        const char *hit = memchr(s.p, part.p[0], s.n - part.n + 1);
        if (hit == NULL) {
            return false;
        }
        if (memcmp(hit, part.p, part.n) == 0) {
            return true;
        }
        s.n -= (size_t)(hit - s.p) + 1;
        s.p = hit + 1;
    }
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
    while (s.n > 0 && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_space(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

struct str str_cut(struct str *rest, char sep)
{
    struct str piece = *rest;
    const char *at = rest->n == 0 ? NULL : memchr(rest->p, sep, rest->n);
    if (at == NULL) {
        *rest = rest->n == 0 ? *rest : (struct str){rest->p + rest->n, 0};
        return piece;
    }
    piece.n = (size_t)(at - rest->p);
    rest->p = at + 1;
    rest->n -= piece.n + 1;
    return piece;
}

/* Well-formed sequences by table 3-7 of the Unicode standard: the second byte's range depends on the first. */
bool str_utf8_ok(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;
    while (i < s.n) {
        unsigned char c = p[i];
        if (c < 0x80u) {
            i++;
            continue;
        }
        size_t more = c >= 0xc2u && c <= 0xdfu   ? 1
                      : (c & 0xf0u) == 0xe0u     ? 2
                      : c >= 0xf0u && c <= 0xf4u ? 3
                                                 : 0;
        if (more == 0 || s.n - i <= more) {
            return false;
        }
        unsigned char low = c == 0xe0u ? 0xa0u : c == 0xf0u ? 0x90u : 0x80u;
        unsigned char high = c == 0xedu ? 0x9fu : c == 0xf4u ? 0x8fu : 0xbfu;
        if (p[i + 1] < low || p[i + 1] > high) {
            return false;
        }
        for (size_t k = 2; k <= more; k++) {
            if ((p[i + k] & 0xc0u) != 0x80u) {
                return false;
            }
        }
        i += more + 1;
    }
    return true;
}

bool str_printable(struct str s, size_t *ret_n)
{
    const unsigned char *p = (const unsigned char *)s.p;
    unsigned char c = p[0];
    *ret_n = 1;
    if (c < 0x80u) {
        return c >= 0x20u && c != 0x7fu;
    }
    size_t len = c >= 0xf0u ? 4 : c >= 0xe0u ? 3 : 2;
    if (s.n < len || !str_utf8_ok((struct str){s.p, len})) {
        return false;
    }
    *ret_n = len;
    if (len == 2) {
        return c != 0xc2u || p[1] >= 0xa0u; /* U+0080 to U+009F */
    }
    if (len == 3 && c == 0xe2u && p[1] == 0x80u) {
        return p[2] < 0x8eu || (p[2] > 0x8fu && p[2] < 0xa8u) ||
               p[2] > 0xaeu; /* U+200E, F, 2028 to 202E */
    }
    return !(len == 3 && c == 0xe2u && p[1] == 0x81u && p[2] >= 0xa6u &&
             p[2] <= 0xa9u); /* U+2066 to 2069 */
}

/* --- SipHash (Aumasson and Bernstein, 2012) with one compression and three finalisation rounds --- */

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotl(uint64_t x, unsigned by)
{
    return (x << by) | (x >> (64 - by));
}

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotl(s->v1, 13) ^ s->v0;
    s->v0 = rotl(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotl(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotl(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotl(s->v1, 17) ^ s->v2;
    s->v2 = rotl(s->v2, 32);
}

/* Little-endian whatever the machine is. */
static inline uint64_t load64(const unsigned char *p)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t x;
    memcpy(&x, p, sizeof x); /* the loop below costs fifty instructions at -O2 */
#else
    uint64_t x = 0;
    for (unsigned i = 0; i < 8; i++) {
        x |= (uint64_t)p[i] << (8 * i);
    }
#endif
    return x;
}

uint64_t str_hash(struct str s, uint64_t key0, uint64_t key1)
{
    struct sip h = {key0 ^ 0x736f6d6570736575u, key1 ^ 0x646f72616e646f6du,
                    key0 ^ 0x6c7967656e657261u, key1 ^ 0x7465646279746573u};
    const unsigned char *p = (const unsigned char *)s.p;
    size_t left = s.n;
    for (; left >= 8; left -= 8, p += 8) {
        uint64_t m = load64(p);
        h.v3 ^= m;
        sip_round(&h);
        h.v0 ^= m;
    }
    uint64_t last = (uint64_t)s.n << 56;
    if (s.n >= 8 && left > 0) {
        last |= load64(p + left - 8) >>
                (8 * (8 - left)); /* the last eight bytes, without those that were taken */
    } else {
        for (unsigned i = 0; i < left; i++) {
            last |= (uint64_t)p[i] << (8 * i);
        }
    }
    h.v3 ^= last;
    sip_round(&h);
    h.v0 ^= last;
    h.v2 ^= 0xffu;
    sip_round(&h);
    sip_round(&h);
    sip_round(&h);
    return h.v0 ^ h.v1 ^ h.v2 ^ h.v3;
}

/* --- nearest name --- */

#define NEAREST_BYTES 64

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Edit distance without regard to ASCII case where a swap of neighbours counts one (optimal string alignment). */
static size_t edit_distance(struct str a, struct str b)
{
    size_t rows[3][NEAREST_BYTES + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.n; j++) {
        above[j] = j;
        before[j] = 0;
    }
    for (size_t i = 1; i <= a.n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t cost = lower(a.p[i - 1]) == lower(b.p[j - 1]) ? 0 : 1;
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + cost);
            if (i > 1 && j > 1 && lower(a.p[i - 1]) == lower(b.p[j - 2]) &&
                lower(a.p[i - 2]) == lower(b.p[j - 1]) && before[j - 2] + 1 < row[j]) {
                row[j] = before[j - 2] + 1;
            }
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b.n];
}

const char *str_nearest(struct str word, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    if (word.n == 0 || word.n > NEAREST_BYTES) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        struct str name = str_c(names[i]);
        if (name.n == 0 || name.n > NEAREST_BYTES) {
            continue;
        }
        size_t longer = name.n > word.n ? name.n : word.n;
        size_t allowed = longer / 3 > 0 ? longer / 3 : 1;
        size_t d = edit_distance(word, name);
        if (d <= allowed && d < longer && d < best_distance) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}
