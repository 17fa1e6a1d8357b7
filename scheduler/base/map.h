/* uthash as this project uses it: our allocator, no exit on short memory.
 *
 * HASH_ADD* sets `map_oom` of the entry through HASH_NONFATAL_OOM: an entry must have the member `bool oom`,
 * which the caller checks after adding.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/mem.h"
#include "base/str.h"

#define HASH_NONFATAL_OOM          1
#define uthash_malloc(n)           mem_alloc(n)
#define uthash_free(p, n)          mem_free(p)
#define uthash_nonfatal_oom(entry) ((entry)->oom = true)
/* SipHash instead of uthash's own: names in a request are chosen by whoever writes them. The key is constant, so
 * that a run repeats; no result depends on the order of a map. */
#define HASH_FUNCTION(key, n, ret_hash) \
    ((ret_hash) = (unsigned)str_hash((struct str){(const char *)(key), (n)}, MAP_KEY0, MAP_KEY1))
#define MAP_KEY0 UINT64_C(0x5bd1e9955bd1e995)
#define MAP_KEY1 UINT64_C(0x27d4eb2f165667c5)

#include <uthash.h>
