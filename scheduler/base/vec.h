/* Growable typed arrays, bounded by a maximum in elements.
 *
 *     VEC(struct item) v = {0};
 *     if (VEC_PUSH(&v, item, LIMIT) != 0) return err_nomem(err);
 *     ... v.p[i], v.n ...
 *     VEC_DONE(&v);
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <errno.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/mem.h"

#define VEC(type)      \
    struct {           \
        type *p;       \
        size_t n, cap; \
    }

/* Makes room for at least `want` elements of `size` bytes. 0, -ENOMEM, or -E2BIG over max. */
int vec_grow(void **p, size_t *cap, size_t want, size_t size, size_t max) SP_MUST_CHECK;

#define VEC_RESERVE(v, want, max) \
    vec_grow((void **)&(v)->p, &(v)->cap, (want), sizeof *(v)->p, (max))
#define VEC_PUSH(v, item, max)                                     \
    ((v)->n < (v)->cap || VEC_RESERVE((v), (v)->n + 1, (max)) == 0 \
         ? ((v)->p[(v)->n++] = (item), 0)                          \
         : -ENOMEM)
#define VEC_DONE(v) (mem_free((v)->p), (v)->p = NULL, (v)->n = (v)->cap = 0)
