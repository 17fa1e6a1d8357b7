/* uthash as this project uses it: our allocator, no exit on short memory.
 *
 * HASH_ADD* sets `map_oom` of the entry through HASH_NONFATAL_OOM: an entry must have the member `bool oom`,
 * which the caller checks after adding.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/mem.h"

#define HASH_NONFATAL_OOM 1
#define uthash_malloc(n) mem_alloc(n)
#define uthash_free(p, n) mem_free(p)
#define uthash_nonfatal_oom(entry) ((entry)->oom = true)

#include <uthash.h>
