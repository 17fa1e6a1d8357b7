/* Fails each allocation of a scenario once: every path that a short memory opens is walked.
 *
 * A scenario is run once to count its allocations (through base/mem.h; libraries count where mem.h is their hook), then
 * again for each n with the n-th failing, and for some n with everything from the n-th on failing. Above
 * TORTURE_ALL_MAX allocations a seeded sample is taken, unless the environment says SPAWNPOINT_TORTURE=full.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TORTURE_ALL_MAX 2000

/* One run; must free what it takes whatever happens. Returns whether it succeeded. Without a failing allocation it must
 * succeed, with one it may do either, but must not crash, leak or hang. */
typedef bool (*torture_scenario)(void *ctx);

struct torture_result {
    uint64_t allocations; /* of one undisturbed run */
    uint64_t runs;        /* disturbed runs */
    uint64_t refused;     /* of these, how many answered with an error */
    uint64_t unharmed;    /* of these, how many succeeded although an allocation failed */
};

/* Aborts (check) when an undisturbed run fails, before or after. */
struct torture_result torture(torture_scenario scenario, void *ctx, uint64_t seed);
