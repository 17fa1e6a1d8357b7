/* Replays and outcomes on small clusters whose numbers can be worked out by hand; the generated world.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/config.h"
#include "policies/presets.h"
#include "sim/explain_cli.h"
#include "sim/outcome.h"
#include "sim/snapshot_gen.h"
#include "wire/jsonc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define assert_double_near(a, b, eps) assert_true((a) - (b) <= (eps) && (b) - (a) <= (eps))

static void make_world(struct world *w, const char *config, const char *latency,
                       const char *cluster)
{
    struct err err = ERR_NONE;
    char text[1024];
    *w = (struct world){0};
    jsonc_init();
    int rc = config == NULL ? settings_default(&w->settings, &err)
                            : config_load_bytes("config", str_c(config), "", &w->settings, &err);
    w->has_settings = rc == 0;
    if (rc == 0 && latency != NULL) {
        rc = config_read_latency_bytes(&w->settings, "rtt", str_c(latency), &err);
    }
    if (rc == 0) {
        rc = cluster_new(&w->cluster, &w->settings, &err);
    }
    if (rc == 0) {
        rc = loaded_init(&w->loaded, w->cluster, &err);
        w->has_loaded = rc == 0;
    }
    if (rc == 0) {
        rc = load_bytes(&w->loaded, "cluster", str_c(cluster), false, &err);
    }
    if (rc == 0) {
        rc = load_finish(&w->loaded, &err);
    }
    if (rc != 0) {
        fail_msg("%s", err_format(&err, text, sizeof text));
    }
}

static void run(struct world *w, const char *preset, uint64_t seed, bool repack, struct replay *r,
                struct outcome *o)
{
    struct err err = ERR_NONE;
    char text[1024];
    struct replay_opts opts = {preset_find(str_c(preset)), seed, repack};
    int rc = replay_run(w, &opts, r, &err);
    if (rc == 0) {
        rc = outcome_make(w, r, o, &err);
    }
    if (rc != 0) {
        fail_msg("%s", err_format(&err, text, sizeof text));
    }
    assert_int_equal(cluster_verify(w->cluster, &err), 0);
}

static void close_all(struct world *w, struct replay *r, struct outcome *o)
{
    outcome_done(o);
    replay_done(r);
    sim_world_close(w);
}

static enum placed_state state_of(const struct replay *r, const char *pod)
{
    for (size_t i = 0; i < r->placements.n; i++) {
        if (str_is(r->placements.p[i].pod, pod)) {
            return r->placements.p[i].state;
        }
    }
    fail_msg("no pod %s", pod);
    return PLACED_FAILED;
}

#define NODE(name, extra_spec, cpu, labels)                                                    \
    "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"" name                  \
    "\",\"labels\":{\"kubernetes.io/hostname\":\"" name "\"" labels "}},\"spec\":{" extra_spec \
    "},\"status\":{\"allocatable\":{\"cpu\":\"" cpu                                            \
    "\",\"memory\":\"64Gi\",\"pods\":\"50\"},\"conditions\":[{\"type\":\"Ready\",\"status\":"  \
    "\"True\"}]}}\n"
#define POD(name, meta, spec, cpu)                                                               \
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"namespace\":\"g\",\"name\":\"" name \
    "\"" meta "},\"spec\":{" spec                                                                \
    "\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":\"" cpu "\"}}}]}}\n"

static void test_order_is_priority_age_input(void **state)
{
    static const char *const want[] = {"g/urgent", "g/old", "g/young", "g/first", "g/second"};
    struct world w;
    struct replay r;
    struct outcome o;
    (void)state;
    make_world(&w, NULL, NULL,
               NODE("n", "", "8", "") POD("first", "", "", "1") POD("second", "", "", "1")
                   POD("young", ",\"creationTimestamp\":\"2026-02-01T00:00:00Z\"", "", "1")
                       POD("old", ",\"creationTimestamp\":\"2026-01-01T00:00:00Z\"", "", "1")
                           POD("urgent", "", "\"priority\":9,", "1"));
    run(&w, "spawnpoint", 1, false, &r, &o);
    assert_int_equal(r.placements.n, SP_COUNTOF(want));
    for (size_t i = 0; i < r.placements.n; i++) {
        assert_true(str_is(r.placements.p[i].pod, want[i]));
    }
    close_all(&w, &r, &o);
}

static void test_failed_is_not_pending(void **state)
{
    struct world w;
    struct replay r;
    struct outcome o;
    (void)state;
    make_world(&w, NULL, NULL,
               NODE("full", "", "4", "") NODE("cordoned", "\"unschedulable\":true", "16", "")
                   NODE("tainted", "\"taints\":[{\"key\":\"mine\",\"effect\":\"NoSchedule\"}]",
                        "32", "") POD("bound", "", "\"nodeName\":\"full\",", "4")
                       POD("waits", "", "", "1") POD("uncordon", "", "", "15")
                           POD("tainted-out", "", "", "31") POD("giant", "", "", "64")
                               POD("elsewhere", "", "\"nodeSelector\":{\"zone\":\"mars\"},", "1"));
    run(&w, "spawnpoint", 1, false, &r, &o);
    assert_int_equal(state_of(&r, "g/waits"), PLACED_PENDING);
    assert_int_equal(state_of(&r, "g/uncordon"), PLACED_PENDING);
    assert_int_equal(state_of(&r, "g/tainted-out"), PLACED_FAILED);
    assert_int_equal(state_of(&r, "g/giant"), PLACED_FAILED);
    assert_int_equal(state_of(&r, "g/elsewhere"), PLACED_FAILED);
    assert_int_equal(o.pods.bound, 1);
    assert_int_equal(o.pods.placed + o.pods.pending + o.pods.failed, o.pods.arrived);
    assert_int_equal(o.nodes.used, 1);
    close_all(&w, &r, &o);
}

static void test_repack_lifts_what_may_move(void **state)
{
    struct world w;
    struct replay r;
    struct outcome o;
    (void)state;
    make_world(&w, NULL, NULL,
               NODE("a", "", "4", "") NODE("b", "", "4", "")
                   POD("x", "", "\"nodeName\":\"a\",", "1") POD("y", "", "\"nodeName\":\"b\",", "1")
                       POD("z", "", "", "1")
                           POD("mirror", ",\"annotations\":{\"kubernetes.io/config.mirror\":\"1\"}",
                               "\"nodeName\":\"b\",", "1"));
    run(&w, "most-allocated", 1, true, &r, &o);
    assert_int_equal(o.pods.bound, 1);
    assert_int_equal(o.pods.arrived, 3);
    assert_int_equal(o.pods.placed, 3);
    assert_int_equal(o.nodes.used, 1);
    assert_int_equal(o.cpu.allocated, 4000);
    assert_int_equal(o.cpu.capacity, 8000);
    close_all(&w, &r, &o);
}

#define ZONE(z) ",\"topology.kubernetes.io/zone\":\"" z "\""
static const char fleet_config[] =
    "apiVersion: spawnpoint.dev/v1alpha1\nkind: SpawnpointConfiguration\ncurrency: EUR\n"
    "latency: {classes: {fast: {goodMs: 20, okMs: 40, maxMs: 80}}}\n"
    "fleets:\n- {name: f, match: {matchLabels: {app: f}}, players: 10, demand: {DE: 0.6, PL: 0.4}, "
    "latencyClass: fast}\n";
static const char table[] = "from,to,rtt_ms\nDE,z1,10\nPL,z1,50\nDE,z2,30\nPL,z2,15\n";

/* Three servers in z1, one in z2: 18 players at 10, 4 at 15, 6 at 30, 12 at 50 (of 40). */
static void test_latency_by_hand(void **state)
{
    struct world w;
    struct replay r;
    struct outcome o;
    (void)state;
    make_world(&w, fleet_config, table,
               NODE("a", "", "8", ZONE("z1")) NODE("b", "", "8", ZONE("z2"))
                   POD("1", ",\"labels\":{\"app\":\"f\"}", "\"nodeName\":\"a\",", "1")
                       POD("2", ",\"labels\":{\"app\":\"f\"}", "\"nodeName\":\"a\",", "1")
                           POD("3", ",\"labels\":{\"app\":\"f\"}", "\"nodeName\":\"a\",", "1")
                               POD("4", ",\"labels\":{\"app\":\"f\"}", "\"nodeName\":\"b\",", "1"));
    run(&w, "spawnpoint", 1, false, &r, &o);
    assert_double_near(o.latency.p50_ms, 15, 1e-9);
    assert_double_near(o.latency.p90_ms, 50, 1e-9);
    assert_double_near(o.latency.good, 22.0 / 40, 1e-9);
    assert_double_near(o.latency.ok, 28.0 / 40, 1e-9);
    assert_double_near(o.latency.max, 1, 1e-9);
    assert_double_near(o.latency.unknown, 0, 1e-9);
    assert_double_near(o.latency.best_p95_ms, 30, 1e-9);
    assert_double_near(o.blast_radius, 0.75, 1e-9);
    assert_int_equal(o.zones.n, 2);
    assert_int_equal(o.zones.p[0].players, 30);
    assert_int_equal(o.fleets.n, 1);
    assert_true(str_is(o.fleets.p[0].name, "f"));
    assert_true(o.spot_share != o.spot_share);
    close_all(&w, &r, &o);
}

/* Without a table the players are estimated and told as unknown, never dropped. */
static void test_unknown_players_stay(void **state)
{
    struct world w;
    struct replay r;
    struct outcome o;
    (void)state;
    make_world(&w, fleet_config, "from,to,rtt_ms\nDE,z1,10\n",
               NODE("a", "", "8", ZONE("z1"))
                   POD("1", ",\"labels\":{\"app\":\"f\"}", "\"nodeName\":\"a\",", "1"));
    run(&w, "spawnpoint", 1, false, &r, &o);
    assert_double_near(o.latency.unknown, 0.4, 1e-9);
    assert_double_near(o.latency.p50_ms, 10, 1e-9);
    assert_true(o.latency.p90_ms >= 10);
    close_all(&w, &r, &o);
}

static void test_random_goes_by_seed(void **state)
{
    char first[65] = "";
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct world w;
        struct replay r;
        struct outcome o;
        make_world(&w, NULL, NULL,
                   NODE("a", "", "8", "") NODE("b", "", "8", "") NODE("c", "", "8", "")
                       NODE("d", "", "8", "") POD("1", "", "", "1") POD("2", "", "", "1")
                           POD("3", "", "", "1") POD("4", "", "", "1") POD("5", "", "", "1")
                               POD("6", "", "", "1") POD("7", "", "", "1"));
        run(&w, "random", seed < 3 ? 1 : 2, false, &r, &o);
        if (seed == 1) {
            memcpy(first, o.hash, sizeof first);
            assert_true(o.nodes.used > 1);
        }
        assert_int_equal(strcmp(first, o.hash) == 0, seed < 3);
        close_all(&w, &r, &o);
    }
}

/* A bound pod is lifted out to be judged, and put back: the model is as before, also for a gated and a waiting one. */
static void test_explaining_changes_nothing(void **state)
{
    static const char *const names[] = {"g/bound", "g/waits", "g/gated"};
    struct world w;
    struct engine *e = NULL;
    struct err err = ERR_NONE;
    (void)state;
    make_world(&w, NULL, NULL,
               NODE("a", "", "4", "") NODE("b", "", "4", "")
                   POD("bound", "", "\"nodeName\":\"b\",", "4") POD("waits", "", "", "1")
                       POD("gated", "", "\"schedulingGates\":[{\"name\":\"x\"}],", "1"));
    uint64_t before = cluster_hash(w.cluster);
    assert_int_equal(engine_new(&e, w.cluster, preset_find(STR("spawnpoint")), &err), 0);
    for (size_t i = 0; i < SP_COUNTOF(names); i++) {
        struct explanation x;
        pod_ix pod;
        assert_int_equal(explain_find_pod(&w, names[i], &pod, &err), 0);
        assert_int_equal(explain_pod(&w, e, pod, &x, &err), 0);
        assert_int_equal(x.n_nodes, 2);
        assert_int_equal(x.chosen.n > 0, i < 2);
        if (i == 0) {
            assert_true(x.nodes[1].feasible); /* its own node, without it */
        }
        if (i == 2) {
            assert_string_equal(x.nodes[0].rejected_by, "SchedulingGates");
        }
        explain_done(&x);
        assert_true(cluster_hash(w.cluster) == before);
    }
    engine_free(e);
    sim_world_close(&w);
}

/* ---- the generated world ---- */

static void read_golden(const char *name, struct buf *out)
{
    char path[400], piece[4096];
    size_t n;
    (void)snprintf(path, sizeof path, "%s/tests/golden/sim/world/%s", SP_TEST_SOURCE_DIR, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        fail_msg("%s is not there", path);
        return;
    }
    while ((n = fread(piece, 1, sizeof piece, f)) > 0) {
        buf_put(out, piece, n);
    }
    (void)fclose(f);
}

static void write_golden(const char *name, const struct buf *content)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/tests/golden/sim/world/%s", SP_TEST_SOURCE_DIR, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(content->p, 1, content->n, f), content->n);
    (void)fclose(f);
}

static void put_cluster(struct buf *out)
{
    snapshot_gen_cluster(&(struct snapshot_gen_opts){.scale = 1, .seed = 1}, out);
}

/* SPAWNPOINT_UPDATE_GOLDEN=1 writes the files anew. */
static void test_world_is_the_committed_one(void **state)
{
    static const struct {
        const char *name;
        void (*make)(struct buf *out);
    } files[] = {{"cluster.json", put_cluster},
                 {"spawnpoint.yaml", snapshot_gen_config},
                 {"rtt.csv", snapshot_gen_latency},
                 {"prices.csv", snapshot_gen_prices}};
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(files); i++) {
        struct buf made, kept;
        buf_init(&made, 1u << 24);
        buf_init(&kept, 1u << 24);
        files[i].make(&made);
        if (getenv("SPAWNPOINT_UPDATE_GOLDEN") != NULL) {
            write_golden(files[i].name, &made);
        }
        read_golden(files[i].name, &kept);
        if (!str_eq(buf_view(&made), buf_view(&kept))) {
            fail_msg("%s differs from the generator", files[i].name);
        }
        buf_done(&made);
        buf_done(&kept);
    }
}

static void test_world_scales(void **state)
{
    struct buf out;
    struct world w;
    struct replay r;
    struct outcome o;
    (void)state;
    buf_init(&out, 1u << 26);
    snapshot_gen_cluster(&(struct snapshot_gen_opts){.scale = 4, .seed = 7}, &out);
    buf_char(&out, '\0');
    assert_false(out.broken);
    make_world(&w, NULL, NULL, out.p);
    assert_int_equal(w.cluster->n_nodes, 4 * 35);
    assert_int_equal(w.loaded.waiting.n, 4 * 14);
    run(&w, "least-allocated", 1, true, &r, &o);
    assert_int_equal(o.pods.failed, 1);
    assert_int_equal(o.pods.pending, 0);
    close_all(&w, &r, &o);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_is_priority_age_input),
        cmocka_unit_test(test_failed_is_not_pending),
        cmocka_unit_test(test_repack_lifts_what_may_move),
        cmocka_unit_test(test_latency_by_hand),
        cmocka_unit_test(test_unknown_players_stay),
        cmocka_unit_test(test_random_goes_by_seed),
        cmocka_unit_test(test_explaining_changes_nothing),
        cmocka_unit_test(test_world_is_the_committed_one),
        cmocka_unit_test(test_world_scales),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
