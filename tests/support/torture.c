/* Fails each allocation of a scenario once. See torture.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support/torture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

#define ODD_SHOWN 3

/* Of the run that is on its way; scenarios have no other way to reach it. */
static struct {
    uint64_t nth, counted, odd;
    bool forever, on, hit;
} run;

void torture_begin(void)
{
    run.on = true;
    run.hit = false;
    run.counted = mem_count();
    mem_fail_at(run.nth, run.forever);
}

void torture_end(void)
{
    if (!run.on) {
        return;
    }
    run.on = false;
    run.hit = mem_failed();
    run.counted = mem_count() - run.counted;
    mem_fail_at(0, false);
}

bool torture_hit(void)
{
    return run.on ? mem_failed() : run.hit;
}

bool torture_ok(int rc, const struct err *err)
{
    if (rc == 0) {
        return true;
    }
    if (!torture_hit()) {
        (void)fprintf(stderr, "an error although no allocation failed: %d %s:%u: %s\n", rc,
                      err->file, err->line, err->text);
    }
    check(torture_hit());
    check(rc < 0 && err->code == rc);
    check(err->text[0] != '\0');
    if (rc != -ENOMEM) {
        if (run.odd++ < ODD_SHOWN) {
            (void)printf("# told as something else than short memory: %d %s:%u: %s\n", rc,
                         err->file, err->line, err->text);
        }
    }
    return false;
}

static uint64_t undisturbed(torture_scenario scenario, void *ctx)
{
    run.nth = 0;
    run.forever = false;
    check(scenario(ctx));
    check(!run.on);
    return run.counted;
}

static void disturb(torture_scenario scenario, void *ctx, uint64_t nth, bool forever,
                    struct torture_result *result)
{
    run.nth = nth;
    run.forever = forever;
    if (getenv("SPAWNPOINT_TORTURE_TRACE") != NULL) {
        (void)fprintf(stderr, "torture: %s %llu\n", forever ? "from" : "at",
                      (unsigned long long)nth);
    }
    bool ok = scenario(ctx);
    check(!run.on);
    check(ok || run.hit);
    result->runs++;
    result->refused += ok ? 0 : 1;
    result->unharmed += ok && run.hit ? 1 : 0;
}

/* Each of 1 .. n, or `max` of them, one of each stretch. */
static void sweep(torture_scenario scenario, void *ctx, bool forever, uint64_t max, struct rng *rng,
                  struct torture_result *result)
{
    uint64_t n = result->allocations;
    for (uint64_t i = 0; i < (n < max ? n : max); i++) {
        uint64_t nth = n <= max ? i + 1 : (i * n + rng_below(rng, n)) / max + 1;
        disturb(scenario, ctx, nth, forever, result);
    }
}

struct torture_result torture(const char *name, torture_scenario scenario, void *ctx, uint64_t seed)
{
    struct torture_result result = {0};
    struct rng rng;
    const char *mode = getenv("SPAWNPOINT_TORTURE");
    uint64_t max = TORTURE_SAMPLE_MAX;
    if (mode != NULL && strcmp(mode, "full") == 0) {
        max = TORTURE_ALL_MAX;
    } else if (mode != NULL && strcmp(mode, "all") == 0) {
        max = UINT64_MAX;
    }
    uint64_t only = mode != NULL ? strtoull(mode, NULL, 10) : 0;
    run.odd = 0;
    (void)undisturbed(scenario, ctx); /* warm: one-time work is not counted */
    result.allocations = undisturbed(scenario, ctx);
    rng_seed(&rng, seed);
    if (only > 0) {
        disturb(scenario, ctx, only, false, &result);
        disturb(scenario, ctx, only, true, &result);
    } else {
        sweep(scenario, ctx, false, max, &rng, &result);
        sweep(scenario, ctx, true, max / 4, &rng, &result);
    }
    (void)undisturbed(scenario, ctx); /* and it recovers */
    result.odd = run.odd;
    (void)printf("# %s: %llu allocations, %llu disturbed runs, %llu refused (%llu not as short "
                 "memory), %llu unharmed\n",
                 name, (unsigned long long)result.allocations, (unsigned long long)result.runs,
                 (unsigned long long)result.refused, (unsigned long long)result.odd,
                 (unsigned long long)result.unharmed);
    (void)fflush(stdout);
    return result;
}
