/* The only door to the heap: counted, and able to fail on purpose.
 *
 * Thread safe. With mem_fail_at(n) the n-th allocation after the call returns NULL (and with `forever`
 * every one after it), so that tests can walk each path that a short memory opens.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

void *mem_alloc(size_t n) SP_MUST_CHECK; /* NULL when short; n == 0 gives a unique pointer */
void *mem_calloc(size_t count, size_t size) SP_MUST_CHECK; /* zeroed; NULL on overflow too */
void *mem_realloc(void *p, size_t n) SP_MUST_CHECK;        /* on NULL the old block stays valid */
void mem_free(void *p);                                    /* NULL is fine */
char *mem_strdup(const char *s) SP_MUST_CHECK;

uint64_t mem_count(void);        /* allocations so far (alloc, calloc, realloc) in all threads */
uint64_t mem_thread_count(void); /* the same for the calling thread */
void mem_fail_at(uint64_t nth, bool forever); /* 0 switches off */
bool mem_failed(void);                        /* whether the armed failure has happened */

static inline void mem_cleanup(void *pp)
{
    mem_free(*(void **)pp);
}
#define CLEANUP_FREE SP_CLEANUP(mem_cleanup)
