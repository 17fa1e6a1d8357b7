/* Compiler attributes and tiny helpers that every file may use.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SP_PRINTF(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))
#define SP_MUST_CHECK              __attribute__((warn_unused_result))
#define SP_NONNULL                 __attribute__((nonnull))
#define SP_UNUSED                  __attribute__((unused))
#define SP_COLD                    __attribute__((cold, noinline))
#define SP_CLEANUP(fn)             __attribute__((cleanup(fn)))
#define SP_LIKELY(x)               __builtin_expect(!!(x), 1)
#define SP_UNLIKELY(x)             __builtin_expect(!!(x), 0)
#define SP_COUNTOF(a)              (sizeof(a) / sizeof((a)[0]))

__extension__ typedef __int128 i128;
__extension__ typedef unsigned __int128 u128;
