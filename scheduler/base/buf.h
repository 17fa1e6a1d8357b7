/* Bounded output buffer. A buffer is made with its maximum; on overflow or short memory it turns "broken",
 * further writes do nothing, and the owner checks once at the end.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct buf {
    char *p;
    size_t n, cap, max;
    bool broken;  /* overflow or short memory: the content is not to be used */
    bool starved; /* broken by short memory, not by the maximum */
};

void buf_init(struct buf *b, size_t max);
int buf_reserve(struct buf *b,
                size_t cap);   /* 0 or -ENOMEM; later writes up to cap allocate nothing */
void buf_clear(struct buf *b); /* empties, keeps the memory, mends broken */
void buf_done(struct buf *b);
void buf_put(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, struct str s);
void buf_lit(struct buf *b, const char *c_string);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) SP_PRINTF(2, 3);
void buf_i64(struct buf *b, int64_t v);
void buf_f64(struct buf *b, double v);          /* shortest form; NaN and infinities as null */
void buf_json_str(struct buf *b, struct str s); /* quoted and escaped; bad UTF-8 becomes U+FFFD */
void buf_html(struct buf *b, struct str s);     /* text or attribute value, escaped */
struct str buf_view(const struct buf *b);       /* valid until the next write */
static inline void buf_cleanup(struct buf *b)
{
    buf_done(b);
}
#define CLEANUP_BUF SP_CLEANUP(buf_cleanup)
