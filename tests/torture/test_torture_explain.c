/* Short memory in explanations with their what-ifs, as JSON and as text. The cluster is changed for each what-if: whatever
 * fails, it is put back.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policies/presets.h"
#include "sim/explain_cli.h"
#include "support/torture.h"
#include "wire/jsonc.h"

#define CLUSTER "tests/torture/cluster"
#define CONFIG  "tests/torture/config/config.yaml"

struct explain_case {
    const char *pod;
    struct world w;
    const struct preset *preset;
    struct buf json, text; /* of the undisturbed run */
};

static void keep_or_compare(struct buf *kept, const struct buf *now)
{
    if (kept->n == 0) {
        buf_str(kept, buf_view(now));
    }
    check(kept->n == now->n && memcmp(kept->p, now->p, now->n) == 0);
}

static bool explain_scenario(void *ctx)
{
    struct explain_case *k = ctx;
    struct engine *e = NULL;
    struct explanation x;
    struct err err = ERR_NONE;
    pod_ix pod;
    struct buf json CLEANUP_BUF;
    struct buf text CLEANUP_BUF;
    buf_init(&json, 1u << 20);
    buf_init(&text, 1u << 20);
    uint64_t before = cluster_hash(k->w.cluster);
    check(explain_find_pod(&k->w, k->pod, &pod, &err) == 0);
    torture_begin();
    int rc = engine_new(&e, k->w.cluster, k->preset, &err);
    bool open = rc == 0, explained = false;
    if (open) {
        rc = explain_pod(&k->w, e, pod, &x, &err);
        explained = rc == 0;
    }
    if (explained) {
        explain_write_json(&x, &json);
        explain_write_text(&x, &text, 100, true);
        rc = json.broken || text.broken ? err_nomem(&err) : 0;
    }
    torture_end();
    check(cluster_hash(k->w.cluster) == before);
    if (rc == 0) {
        keep_or_compare(&k->json, &json);
        keep_or_compare(&k->text, &text);
    }
    if (explained) {
        explain_done(&x);
    }
    if (open) {
        engine_free(e);
    }
    return torture_ok(rc, &err);
}

static void explain_one(const char *pod, const char *preset, struct torture_result *ret)
{
    struct err err = ERR_NONE;
    struct explain_case k = {.pod = pod, .preset = preset_find(str_c(preset))};
    const char *cluster = CLUSTER;
    struct args args = {.config = CONFIG, .clusters = {.p = &cluster, .n = 1, .cap = 1}};
    struct world_source source = {.args = &args};
    struct policy_choice choice;
    buf_init(&k.json, 1u << 20);
    buf_init(&k.text, 1u << 20);
    assert_int_equal(sim_world_choose(preset, &choice, &err), 0);
    assert_int_equal(sim_world_open(&source, &choice, &k.w, &err), 0);
    *ret = torture(pod, explain_scenario, &k, 41);
    assert_int_equal(ret->odd, 0);
    assert_int_equal(cluster_verify(k.w.cluster, &err), 0);
    sim_world_close(&k.w);
    world_source_done(&source);
    buf_done(&k.json);
    buf_done(&k.text);
}

static void waiting_pods(void **state)
{
    struct torture_result r;
    (void)state;
    explain_one("games/stream-1", "spawnpoint", &r);
    explain_one("games/arena-2", "spawnpoint", &r);
    assert_true(r.allocations > 200); /* what-ifs are among them */
    explain_one("games/never", "spawnpoint", &r);
}

static void a_pod_that_stands(void **state)
{
    struct torture_result r;
    (void)state;
    explain_one("games/arena-1", "spawnpoint", &r);
}

static void by_scores(void **state)
{
    struct torture_result r;
    (void)state;
    explain_one("games/stream-1", "least-allocated", &r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_pods),
        cmocka_unit_test(a_pod_that_stands),
        cmocka_unit_test(by_scores),
    };
    return cmocka_run_group_tests_name("torture explain", tests, NULL, NULL);
}
