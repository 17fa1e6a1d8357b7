/* Bump arena. See arena.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ONE_BLOCK_PER_PIECE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ONE_BLOCK_PER_PIECE 1
#endif
#endif

#define ARENA_ALIGN     16u
#define CHUNK_BYTES_MIN (16u << 10)
#define CHUNK_BYTES_MAX (4u << 20)

struct arena_chunk {
    struct arena_chunk *next; /* older */
    size_t size, used;        /* of data */
    alignas(ARENA_ALIGN) char data[];
};

void arena_init(struct arena *a, size_t max_bytes)
{
    *a = (struct arena){.max_bytes = max_bytes};
}

static size_t round_up(size_t n)
{
    return (n + (ARENA_ALIGN - 1)) & ~(size_t)(ARENA_ALIGN - 1);
}

static void note_used(struct arena *a, size_t n)
{
    a->used_bytes += n;
    if (a->used_bytes > a->peak_bytes) {
        a->peak_bytes = a->used_bytes;
    }
}

static struct arena_chunk *add_chunk(struct arena *a, size_t size)
{
    struct arena_chunk *chunk = mem_alloc(sizeof *chunk + size);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->next = a->head;
    chunk->size = size;
    chunk->used = 0;
    a->head = chunk;
    a->held_bytes += size;
    return chunk;
}

#ifndef ARENA_ONE_BLOCK_PER_PIECE
/* Chunks double with what is already held, so that n pieces cost log n chunks. What was needed before the last reset is
 * taken as one chunk, so that equal work finds it there the next time and takes nothing from the heap. */
static size_t chunk_size_for(const struct arena *a, size_t n)
{
    size_t size = a->held_bytes < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : a->held_bytes;
    if (size > CHUNK_BYTES_MAX) {
        size = CHUNK_BYTES_MAX;
    }
    if (a->head != NULL && a->head->next == NULL && a->peak_bytes > size &&
        a->peak_bytes <= CHUNK_BYTES_MAX) {
        size = a->peak_bytes;
    }
    return size < n ? n : size;
}
#endif

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > a->max_bytes || a->used_bytes > a->max_bytes) {
        return NULL;
    }
    size_t piece = round_up(n == 0 ? 1 : n);
    if (piece > a->max_bytes - a->used_bytes) {
        return NULL;
    }
#ifdef ARENA_ONE_BLOCK_PER_PIECE
    struct arena_chunk *chunk = add_chunk(a, n);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->used = n;
    note_used(a, piece);
    return chunk->data;
#else
    struct arena_chunk *chunk = a->head;
    if (chunk == NULL || chunk->size - chunk->used < piece) {
        chunk = add_chunk(a, chunk_size_for(a, piece));
        if (chunk == NULL) {
            return NULL;
        }
    }
    void *p = chunk->data + chunk->used;
    chunk->used += piece;
    note_used(a, piece);
    return p;
#endif
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n)) {
        return NULL;
    }
    void *p = arena_alloc(a, n);
    if (p != NULL) {
        memset(p, 0, n);
    }
    return p;
}

struct str arena_str(struct arena *a, struct str s)
{
    if (s.n == SIZE_MAX) {
        return STR_NONE;
    }
    char *p = arena_alloc(a, s.n + 1);
    if (p == NULL) {
        return STR_NONE;
    }
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = '\0';
    return (struct str){p, s.n};
}

void arena_reset(struct arena *a)
{
#ifdef ARENA_ONE_BLOCK_PER_PIECE
    size_t peak = a->peak_bytes, max = a->max_bytes;
    arena_done(a);
    a->peak_bytes = peak;
    a->max_bytes = max;
#else
    struct arena_chunk *largest = a->head;
    for (struct arena_chunk *c = a->head; c != NULL; c = c->next) {
        if (c->size > largest->size) {
            largest = c;
        }
    }
    for (struct arena_chunk *c = a->head; c != NULL;) {
        struct arena_chunk *next = c->next;
        if (c != largest) {
            mem_free(c);
        }
        c = next;
    }
    a->head = largest;
    a->used_bytes = 0;
    a->held_bytes = 0;
    if (largest != NULL) {
        largest->next = NULL;
        largest->used = 0;
        a->held_bytes = largest->size;
    }
#endif
}

void arena_done(struct arena *a)
{
    for (struct arena_chunk *c = a->head; c != NULL;) {
        struct arena_chunk *next = c->next;
        mem_free(c);
        c = next;
    }
    *a = (struct arena){.max_bytes = a->max_bytes, .peak_bytes = a->peak_bytes};
}
