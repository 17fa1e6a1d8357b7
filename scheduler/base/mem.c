/* The only door to the heap. See mem.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Process-wide on purpose: they count and fail what the whole process does; nothing is decided by them. */
static _Atomic uint64_t total_count;
static _Atomic uint64_t fail_countdown; /* 0 = off; 1 = the next one fails */
static _Atomic bool fail_forever;
static _Atomic bool fail_happened;
static _Thread_local uint64_t thread_count;

/* No honest block is larger, and no allocator is asked for it. */
#define BLOCK_BYTES_MAX ((size_t)1 << 39)

/* Counts one allocation; true when it has to fail. */
static bool count_and_ask(void)
{
    thread_count++;
    atomic_fetch_add_explicit(&total_count, 1, memory_order_relaxed);
    uint64_t left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    if (SP_LIKELY(left == 0)) {
        return false;
    }
    while (left > 1) {
        if (atomic_compare_exchange_weak(&fail_countdown, &left, left - 1)) {
            return false;
        }
        if (left == 0) {
            return false;
        }
    }
    if (!atomic_load(&fail_forever)) {
        uint64_t one = 1;
        if (!atomic_compare_exchange_strong(&fail_countdown, &one, 0)) {
            return false; /* another thread took the failure */
        }
    }
    atomic_store(&fail_happened, true);
    return true;
}

void *mem_alloc(size_t n)
{
    if (count_and_ask() || n > BLOCK_BYTES_MAX) {
        return NULL;
    }
    return malloc(n == 0 ? 1 : n);
}

void *mem_calloc(size_t count, size_t size)
{
    size_t n;
    if (count_and_ask() || __builtin_mul_overflow(count, size, &n) || n > BLOCK_BYTES_MAX) {
        return NULL;
    }
    return calloc(1, n == 0 ? 1 : n);
}

void *mem_realloc(void *p, size_t n)
{
    if (count_and_ask() || n > BLOCK_BYTES_MAX) {
        return NULL;
    }
    return realloc(p, n == 0 ? 1 : n);
}

void mem_free(void *p)
{
    free(p);
}

char *mem_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = mem_alloc(n);
    if (copy != NULL) {
        memcpy(copy, s, n);
    }
    return copy;
}

uint64_t mem_count(void)
{
    return atomic_load_explicit(&total_count, memory_order_relaxed);
}

uint64_t mem_thread_count(void)
{
    return thread_count;
}

void mem_fail_at(uint64_t nth, bool forever)
{
    atomic_store(&fail_countdown, 0);
    atomic_store(&fail_happened, false);
    atomic_store(&fail_forever, forever);
    atomic_store(&fail_countdown, nth);
}

bool mem_failed(void)
{
    return atomic_load(&fail_happened);
}
