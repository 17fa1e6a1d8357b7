/* Bounded output buffer. See buf.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

static int grow_to(struct buf *b, size_t cap)
{
    char *p = mem_realloc(b->p, cap);
    if (p == NULL) {
        return -ENOMEM;
    }
    b->p = p;
    b->cap = cap;
    return 0;
}

int buf_reserve(struct buf *b, size_t cap)
{
    if (cap > b->max) {
        cap = b->max;
    }
    return cap <= b->cap ? 0 : grow_to(b, cap);
}

/* Room for n more bytes: where to write them, or NULL with the buffer broken. */
static char *room(struct buf *b, size_t n)
{
    if (b->broken) {
        return NULL;
    }
    if (n > b->max - b->n) {
        b->broken = true;
        return NULL;
    }
    size_t want = b->n + n;
    if (want > b->cap) {
        size_t cap = b->cap < 256 ? 256 : b->cap;
        while (cap < want) {
            cap = cap > b->max / 2 ? b->max : cap * 2;
        }
        if (grow_to(b, cap > b->max ? b->max : cap) != 0) {
            b->broken = b->starved = true;
            return NULL;
        }
    }
    return b->p + b->n;
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->broken = b->starved = false;
}

void buf_done(struct buf *b)
{
    mem_free(b->p);
    *b = (struct buf){.max = b->max};
}

void buf_put(struct buf *b, const void *p, size_t n)
{
    char *to = n == 0 ? NULL : room(b, n);
    if (to != NULL) {
        memcpy(to, p, n);
        b->n += n;
    }
}

void buf_str(struct buf *b, struct str s)
{
    buf_put(b, s.p, s.n);
}

void buf_lit(struct buf *b, const char *c_string)
{
    buf_put(b, c_string, strlen(c_string));
}

void buf_char(struct buf *b, char c)
{
    if (SP_LIKELY(b->n < b->cap && !b->broken)) {
        b->p[b->n++] = c;
        return;
    }
    buf_put(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    char small[256];
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    if (n < 0) {
        b->broken = true;
    } else if ((size_t)n < sizeof small) {
        buf_put(b, small, (size_t)n);
    } else if (b->broken || (size_t)n > b->max - b->n) {
        b->broken = true;
    } else {
        char *large = mem_alloc((size_t)n + 1); /* vsnprintf wants room for its NUL */
        if (large == NULL) {
            b->broken = true;
        } else {
            (void)vsnprintf(large, (size_t)n + 1, fmt, again);
            buf_put(b, large, (size_t)n);
        }
        mem_free(large);
    }
    va_end(again);
}

void buf_i64(struct buf *b, int64_t v)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (v < 0) {
        digits[--at] = '-';
    }
    buf_put(b, digits + at, sizeof digits - at);
}

void buf_f64(struct buf *b, double v)
{
    char digits[32];
    if (!isfinite(v)) {
        buf_lit(b, "null");
        return;
    }
    size_t n = str_from_f64(digits, v);
    buf_put(b, digits, n);
}

/* Length of the well-formed UTF-8 character at p (1..4), or 0. */
static size_t utf8_char(const unsigned char *p, size_t n)
{
    if (p[0] < 0x80u) {
        return 1;
    }
    size_t len = p[0] >= 0xf0u ? 4 : p[0] >= 0xe0u ? 3 : 2;
    return n >= len && str_utf8_ok((struct str){(const char *)p, len}) ? len : 0;
}

static void json_escape(struct buf *b, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    switch (c) {
    case '"':
        buf_put(b, "\\\"", 2);
        break;
    case '\\':
        buf_put(b, "\\\\", 2);
        break;
    case '\n':
        buf_put(b, "\\n", 2);
        break;
    case '\r':
        buf_put(b, "\\r", 2);
        break;
    case '\t':
        buf_put(b, "\\t", 2);
        break;
    default: {
        char esc[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15u]};
        buf_put(b, esc, sizeof esc);
    }
    }
}

/* A character of two or three bytes that a terminal would obey: \u0080 to \u009f, \u2028, marks of direction. */
static void json_escape_wide(struct buf *b, const unsigned char *p, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    unsigned c = len == 2 ? (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu)
                          : (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    char esc[6] = {'\\', 'u', hex[c >> 12], hex[c >> 8 & 15u], hex[c >> 4 & 15u], hex[c & 15u]};
    buf_put(b, esc, sizeof esc);
}

void buf_json_str(struct buf *b, struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t run = 0, i = 0; /* [run, i) goes out unchanged */
    buf_char(b, '"');
    while (i < s.n) {
        unsigned char c = p[i];
        if (c >= 0x20u && c != '"' && c != '\\' && c < 0x7fu) {
            i++;
            continue;
        }
        size_t len = c >= 0x80u ? utf8_char(p + i, s.n - i) : 0, shown;
        if (len > 0 && str_printable((struct str){s.p + i, s.n - i}, &shown)) {
            i += len;
            continue;
        }
        buf_put(b, p + run, i - run);
        if (len > 0) {
            json_escape_wide(b, p + i, len);
            i += len - 1;
        } else if (c >= 0x80u) {
            buf_put(b, "\xef\xbf\xbd", 3);
        } else {
            json_escape(b, c);
        }
        run = ++i;
    }
    buf_put(b, p + run, i - run);
    buf_char(b, '"');
}

void buf_html(struct buf *b, struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    for (size_t i = 0; i < s.n;) {
        unsigned char c = p[i];
        size_t len = utf8_char(p + i, s.n - i);
        if (c == '&') {
            buf_lit(b, "&amp;");
        } else if (c == '<') {
            buf_lit(b, "&lt;");
        } else if (c == '>') {
            buf_lit(b, "&gt;");
        } else if (c == '"') {
            buf_lit(b, "&quot;");
        } else if (c == '\'') {
            buf_lit(b, "&#39;");
        } else if (len == 0 || c == 0x7fu || (c < 0x20u && c != '\n' && c != '\t' && c != '\r')) {
            buf_put(b, "\xef\xbf\xbd", 3);
        } else {
            buf_put(b, p + i, len);
        }
        i += len == 0 ? 1 : len;
    }
}

struct str buf_view(const struct buf *b)
{
    return (struct str){b->p, b->n};
}
