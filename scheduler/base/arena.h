/* Bump arena: many small pieces, one owner, one reset.
 *
 * Grows by chunks up to a maximum given at the start; over it (or when memory is short) arena_alloc
 * returns NULL and the caller answers with an error. Not thread safe: an arena belongs to one request, one
 * loader or one model. Under AddressSanitizer every piece is a heap block of its own, so that an overrun is seen.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

struct arena_chunk;
struct arena {
    struct arena_chunk *head; /* newest first */
    size_t used_bytes;        /* handed out since the last reset */
    size_t held_bytes;        /* chunks held */
    size_t max_bytes;
    size_t peak_bytes;
};

void arena_init(struct arena *a, size_t max_bytes);         /* allocates nothing */
void *arena_alloc(struct arena *a, size_t n) SP_MUST_CHECK; /* 16-byte aligned, not zeroed */
void *arena_calloc(struct arena *a, size_t count, size_t size) SP_MUST_CHECK;
/* Copies; the result is also NUL-terminated. p == NULL in the result means that memory was short. */
struct str arena_str(struct arena *a, struct str s) SP_MUST_CHECK;
void arena_reset(struct arena *a); /* all pieces die; the largest chunk is kept for reuse */
void arena_done(struct arena *a);  /* all pieces and chunks die */
