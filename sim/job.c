/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/job.h"

#include "sim/compare.h"

static int run_in(const struct args *a, struct world *w, const struct policy_choice *choice,
                  uint64_t seed, struct report *r, struct err *err)
{
    struct replay replay;
    struct replay_opts opts = {.preset = choice->preset, .seed = seed, .repack = a->repack};
    int rc = replay_run(w, &opts, &replay, err);
    if (rc == 0) {
        rc = report_add_run(r, w, &replay, str_c(choice->name), seed, err);
    }
    if (rc == 0 && replay.preempt_wanted > 0 && r->runs.n == 1) {
        rc = report_add_note(r, STR("preemption of lower-priority pods by pending ones"),
                             replay.preempt_wanted, err);
    }
    replay_done(&replay);
    return rc;
}

int job_run(struct world_source *source, const struct policy_choice *policies, size_t n_policies,
            FILE *warnings, struct report *ret, struct err *err)
{
    const struct args *a = source->args;
    int rc = 0;
    for (size_t p = 0; p < n_policies && rc == 0; p++) {
        for (size_t s = 0; s < a->seeds.n && rc == 0; s++) {
            struct world w;
            rc = sim_world_open(source, &policies[p], &w, err);
            if (rc == 0 && ret->runs.n == 0) {
                if (warnings != NULL) {
                    world_warn(&w, warnings);
                }
                rc = report_add_inputs(ret, &w, err);
            }
            if (rc == 0) {
                rc = run_in(a, &w, &policies[p], a->seeds.p[s], ret, err);
            }
            sim_world_close(&w);
        }
    }
    return rc == 0 ? compare_fill(ret, a->seeds.n, err) : rc;
}
