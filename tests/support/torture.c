/* Fails each allocation of a scenario once. See torture.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support/torture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"

static void disturb(torture_scenario scenario, void *ctx, uint64_t nth, bool forever,
                    struct torture_result *result)
{
    mem_fail_at(nth, forever);
    bool ok = scenario(ctx);
    bool failed = mem_failed();
    mem_fail_at(0, false);
    result->runs++;
    result->refused += ok ? 0 : 1;
    result->unharmed += ok && failed ? 1 : 0;
}

struct torture_result torture(torture_scenario scenario, void *ctx, uint64_t seed)
{
    struct torture_result result = {0};
    struct rng rng;
    const char *mode = getenv("SPAWNPOINT_TORTURE");
    bool full = mode != NULL && strcmp(mode, "full") == 0;
    mem_fail_at(0, false);
    check(scenario(ctx)); /* warm: one-time work is not counted */
    uint64_t before = mem_count();
    check(scenario(ctx));
    result.allocations = mem_count() - before;
    rng_seed(&rng, seed);
    if (full || result.allocations <= TORTURE_ALL_MAX) {
        for (uint64_t n = 1; n <= result.allocations; n++) {
            disturb(scenario, ctx, n, false, &result);
        }
    } else {
        for (int i = 0; i < TORTURE_ALL_MAX; i++) {
            disturb(scenario, ctx, 1 + rng_below(&rng, result.allocations), false, &result);
        }
    }
    for (int i = 0; i < 50 && result.allocations > 0; i++) {
        disturb(scenario, ctx, 1 + rng_below(&rng, result.allocations), true, &result);
    }
    check(scenario(ctx)); /* and it recovers */
    (void)printf("# %llu allocations, %llu disturbed runs, %llu refused, %llu unharmed\n",
                 (unsigned long long)result.allocations, (unsigned long long)result.runs,
                 (unsigned long long)result.refused, (unsigned long long)result.unharmed);
    return result;
}
