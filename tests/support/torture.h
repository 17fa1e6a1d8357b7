/* Fails each allocation of a scenario once: every path that a short memory opens is walked.
 *
 * A scenario prepares, calls torture_begin, does what is to be tried, calls torture_end, judges what is left and cleans up.
 * It is run once to count the allocations between the two (through base/mem.h; libraries count where mem.h is their hook),
 * then again for each n with the n-th failing, and for some n with everything from the n-th on failing.
 * SPAWNPOINT_TORTURE: "sample" (the default) a few numbers of each scenario, evenly spread and seeded; "full" each number,
 * above TORTURE_ALL_MAX that many evenly spread and seeded ones; "all" each number whatever it costs; a number: that one
 * alone. SPAWNPOINT_TORTURE_TRACE names each run.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define TORTURE_ALL_MAX    2000
#define TORTURE_SAMPLE_MAX 60

/* One run; must free what it takes whatever happens. Returns whether it succeeded. Without a failing allocation it must
 * succeed, with one it may do either, but must not crash, leak or hang. */
typedef bool (*torture_scenario)(void *ctx);

void torture_begin(void); /* from here on the allocation fails */
void torture_end(void);   /* from here on none does; harmless when repeated */
bool torture_hit(void);   /* whether an allocation of this run has failed */
/* Whether rc is 0. Aborts when an error has no words, another code than `err`, or came although nothing failed; counts those
 * that are not -ENOMEM. */
bool torture_ok(int rc, const struct err *err);

struct torture_result {
    uint64_t allocations; /* of one undisturbed run */
    uint64_t runs;        /* disturbed runs */
    uint64_t refused;     /* of these, how many answered with an error */
    uint64_t unharmed;    /* of these, how many succeeded although an allocation failed */
    uint64_t odd;         /* errors that are not -ENOMEM */
};

/* Aborts (check) when an undisturbed run fails, before or after. */
struct torture_result torture(const char *name, torture_scenario scenario, void *ctx,
                              uint64_t seed);
