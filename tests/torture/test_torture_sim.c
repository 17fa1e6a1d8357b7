/* Short memory in simulate and compare: from the choice of policies to each form of the report. A report that is made
 * although an allocation failed has the same bytes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim/compare.h"
#include "sim/expect.h"
#include "sim/job.h"
#include "sim/report_json.h"
#include "sim/report_rows.h"
#include "sim/report_table.h"
#include "support/torture.h"
#include "wire/jsonc.h"

#define CONFIG   "tests/torture/config/config.yaml"
#define RUNS_MAX 4

struct sim_case {
    const char *policies[RUNS_MAX], *cluster, *workload;
    uint64_t seeds[2];
    size_t n_policies, n_seeds;
    bool repack, compare;
    struct buf kept; /* all forms of the report of the undisturbed run */
};

static int choose(const struct sim_case *k, struct policy_choice *choices, struct report *r,
                  struct err *err)
{
    for (size_t i = 0; i < k->n_policies; i++) {
        int rc = sim_world_choose(k->policies[i], &choices[i], err);
        if (rc != 0) {
            return rc;
        }
        if (VEC_PUSH(&r->policies, str_c(choices[i].name), 100) != 0) {
            return err_nomem(err);
        }
    }
    return 0;
}

static int check_expectations(struct report *r, struct err *err)
{
    struct expect list[2];
    bool all_ok;
    int rc = expectation_parse(STR("latency.p90Ms < 60"), &list[0], err);
    rc =
        rc == 0 ? expectation_parse(STR("latency.byFleet.arena.p90Ms <= 1000"), &list[1], err) : rc;
    return rc == 0 ? expectation_check(r, list, 2, &all_ok, err) : rc;
}

static int write_all(const struct sim_case *k, struct report *r, struct buf *out, struct err *err)
{
    struct table_opts table = {.compare = k->compare, .style = {true, true}};
    report_write_table(r, &table, out);
    report_write_json(r, out);
    report_write_jsonl(r, out);
    report_write_csv(r, out);
    return out->broken ? err_nomem(err) : 0;
}

/* Times of the clock differ from run to run. */
static void take_times_off(struct report *r)
{
    for (size_t i = 0; i < r->runs.n; i++) {
        r->runs.p[i].wall_s = r->runs.p[i].placements_per_s = 0;
    }
}

static bool sim_scenario(void *ctx)
{
    struct sim_case *k = ctx;
    struct args args = {
        .verb = k->compare ? VERB_COMPARE : VERB_SIMULATE,
        .config = CONFIG,
        .repack = k->repack,
        .placements = true,
        .clusters = {.p = &k->cluster, .n = 1, .cap = 1},
        .workloads = {.p = &k->workload, .n = k->workload != NULL ? 1 : 0, .cap = 1},
        .seeds = {.p = k->seeds, .n = k->n_seeds, .cap = 2}};
    struct world_source source = {.args = &args};
    struct policy_choice choices[RUNS_MAX];
    struct report r = {.with_placements = true, .keep_placements = true, .reproduce = STR("x")};
    struct err err = ERR_NONE;
    struct buf out CLEANUP_BUF;
    buf_init(&out, 4u << 20);
    torture_begin();
    arena_init(&r.arena, (size_t)1 << 28);
    int rc = choose(k, choices, &r, &err);
    rc = rc == 0 ? job_run(&source, choices, k->n_policies, NULL, &r, &err) : rc;
    rc = rc == 0 ? check_expectations(&r, &err) : rc;
    take_times_off(&r);
    rc = rc == 0 ? write_all(k, &r, &out, &err) : rc;
    torture_end();
    if (rc == 0) {
        if (k->kept.n == 0) {
            buf_str(&k->kept, buf_view(&out));
        }
        check(out.n == k->kept.n && memcmp(out.p, k->kept.p, out.n) == 0);
    }
    report_done(&r);
    world_source_done(&source);
    return torture_ok(rc, &err);
}

static void run_case(const char *name, struct sim_case k)
{
    jsonc_init();
    buf_init(&k.kept, 4u << 20);
    struct torture_result r = torture(name, sim_scenario, &k, 51);
    assert_true(r.allocations > 1000);
    assert_int_equal(r.odd, 0);
    buf_done(&k.kept);
}

static void simulate_pending(void **state)
{
    (void)state;
    run_case("simulate", (struct sim_case){.policies = {"spawnpoint"},
                                           .n_policies = 1,
                                           .seeds = {1},
                                           .n_seeds = 1,
                                           .cluster = "tests/torture/cluster"});
}

static void simulate_repack(void **state)
{
    (void)state;
    run_case("repack", (struct sim_case){.policies = {"spawnpoint"},
                                         .n_policies = 1,
                                         .seeds = {1},
                                         .n_seeds = 1,
                                         .repack = true,
                                         .cluster = "tests/torture/cluster/objects.json",
                                         .workload = "tests/torture/cluster/sub/workloads.yaml"});
}

static void compare_policies(void **state)
{
    (void)state;
    run_case("compare", (struct sim_case){.policies = {CONFIG, "least-allocated", "random"},
                                          .n_policies = 3,
                                          .seeds = {1, 2},
                                          .n_seeds = 2,
                                          .compare = true,
                                          .cluster = "tests/torture/cluster/objects.json"});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simulate_pending),
        cmocka_unit_test(simulate_repack),
        cmocka_unit_test(compare_policies),
    };
    return cmocka_run_group_tests_name("torture sim", tests, NULL, NULL);
}
