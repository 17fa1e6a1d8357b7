/* Short memory in single changes of the model: each leaves it as it was or as it would be, and never between.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "support/torture.h"
#include "support/torture_world.h"
#include "wire/k8s.h"

typedef int (*change)(struct torture_world *w, struct arena *a, struct err *err);

struct change_case {
    change apply;
    struct arena *scratch;
    uint64_t before, after;
    bool known;
};

/* A change on a fresh world. What it is after success is the same every time. */
static bool change_scenario(void *ctx)
{
    struct change_case *k = ctx;
    struct torture_world w;
    struct arena a;
    struct err err = ERR_NONE;
    torture_world_open(&w);
    arena_init(&a, LIMIT_ITEM_ARENA);
    uint64_t before = cluster_hash(w.c);
    torture_begin();
    int rc = k->apply(&w, &a, &err);
    torture_end();
    torture_verify(w.c);
    uint64_t now = cluster_hash(w.c);
    if (!k->known) {
        k->known = true;
        k->before = before;
        k->after = now;
    }
    check(before == k->before);
    check(now == (rc == 0 ? k->after : k->before));
    if (rc != 0) { /* and the same again succeeds */
        struct err again = ERR_NONE;
        check(k->apply(&w, &a, &again) == 0);
        check(cluster_hash(w.c) == k->after);
        torture_verify(w.c);
    }
    bool ok = torture_ok(rc, &err);
    arena_done(&a);
    torture_world_close(&w);
    return ok;
}

static void run_case(const char *name, change apply)
{
    struct change_case k = {.apply = apply};
    struct torture_result r = torture(name, change_scenario, &k, 11);
    assert_true(r.allocations > 0);
    assert_int_equal(r.odd, 0);
}

/* ---- changes ---- */

static struct str node_json(void)
{
    return STR("{\"metadata\":{\"name\":\"new-c\",\"labels\":{\"topology.kubernetes.io/"
               "zone\":\"eu-1c\",\"topology.kubernetes.io/region\":"
               "\"eu-1\",\"pool\":\"metal\",\"fresh\":\"label\",\"kubernetes.io/"
               "hostname\":\"new-c\"}},\"spec\":{\"taints\":[{\"key\":\"t\","
               "\"effect\":\"NoSchedule\"}]},\"status\":{\"allocatable\":{\"cpu\":\"3\",\"memory\":"
               "\"8Gi\",\"example.com/new\":\"4\","
               "\"pods\":\"10\"},\"images\":[{\"names\":[\"example/other:2\"],\"sizeBytes\":5}]}}");
}

static int add_node(struct torture_world *w, struct arena *a, struct err *err)
{
    struct node_desc d;
    node_ix ix;
    int rc = k8s_decode_node(node_json(), a, &d, err);
    return rc == 0 ? cluster_upsert_node(w->c, &d, &ix, err) : rc;
}

/* Another zone, other labels, other resources for a node that has pods. */
static int change_node(struct torture_world *w, struct arena *a, struct err *err)
{
    struct node_desc d;
    node_ix ix;
    int rc = k8s_decode_node(node_json(), a, &d, err);
    d.meta.name = STR("metal-a");
    return rc == 0 ? cluster_upsert_node(w->c, &d, &ix, err) : rc;
}

/* The node that a pod waits for. */
static int node_comes_back(struct torture_world *w, struct arena *a, struct err *err)
{
    struct node_desc d;
    node_ix ix;
    int rc = k8s_decode_node(node_json(), a, &d, err);
    d.meta.name = STR("not-there");
    return rc == 0 ? cluster_upsert_node(w->c, &d, &ix, err) : rc;
}

static int pod_of(struct torture_world *w, struct arena *a, const char *name, const char *node,
                  struct pod_desc *ret, struct err *err)
{
    int rc = k8s_decode_pod(
        STR("{\"metadata\":{\"namespace\":\"other\",\"name\":\"x\",\"uid\":\"u-x\",\"labels\":{"
            "\"app\":\"arena\",\"k\":\"v\"},"
            "\"annotations\":{\"spawnpoint.dev/"
            "players\":\"5\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\","
            "\"ports\":[{\"containerPort\":1,\"hostPort\":9000}],\"resources\":{\"requests\":{"
            "\"cpu\":\"100m\","
            "\"example.com/"
            "other\":\"1\"}}}],\"topologySpreadConstraints\":[{\"maxSkew\":1,\"topologyKey\":"
            "\"rack\","
            "\"whenUnsatisfiable\":\"DoNotSchedule\",\"labelSelector\":{\"matchLabels\":{\"k\":"
            "\"v\"}}}],"
            "\"affinity\":{\"podAntiAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":"
            "[{\"topologyKey\":"
            "\"row\",\"labelSelector\":{\"matchLabels\":{\"k\":\"v\"}}}]}}}}"),
        a, ret, err);
    (void)w;
    ret->meta.name = str_c(name);
    ret->node_name = node != NULL ? str_c(node) : STR_NONE;
    return rc;
}

static int add_waiting_pod(struct torture_world *w, struct arena *a, struct err *err)
{
    struct pod_desc d;
    int rc = pod_of(w, a, "x", NULL, &d, err);
    return rc == 0 ? cluster_upsert_pod(w->c, &d, NULL, err) : rc;
}

static int add_bound_pod(struct torture_world *w, struct arena *a, struct err *err)
{
    struct pod_desc d;
    int rc = pod_of(w, a, "x", "metal-a", &d, err);
    return rc == 0 ? cluster_upsert_pod(w->c, &d, NULL, err) : rc;
}

static int add_pod_of_unknown_node(struct torture_world *w, struct arena *a, struct err *err)
{
    struct pod_desc d;
    int rc = pod_of(w, a, "x", "nowhere", &d, err);
    return rc == 0 ? cluster_upsert_pod(w->c, &d, NULL, err) : rc;
}

/* A pod that stands becomes another one on another node. */
static int replace_pod(struct torture_world *w, struct arena *a, struct err *err)
{
    struct pod_desc d;
    int rc = pod_of(w, a, "arena-1", "gpu-a", &d, err);
    d.meta.ns = STR("games");
    d.meta.uid = STR("p-1");
    return rc == 0 ? cluster_upsert_pod(w->c, &d, NULL, err) : rc;
}

static int compile_and_assume(struct torture_world *w, struct arena *a, struct err *err)
{
    struct pod_desc d;
    struct pod_req req;
    pod_ix row;
    int rc = pod_of(w, a, "y", NULL, &d, err);
    rc = rc == 0 ? cluster_compile_pod(w->c, &d, a, &req, err) : rc;
    return rc == 0 ? cluster_assume(w->c, &req, cluster_find_node(w->c, STR("spot-b")), &row, err)
                   : rc;
}

static int assume_a_waiting_pod(struct torture_world *w, struct arena *a, struct err *err)
{
    struct pod_req req = *torture_world_pod(w, "arena-2");
    pod_ix row;
    (void)a;
    return cluster_assume(w->c, &req, cluster_find_node(w->c, STR("spot-b")), &row, err);
}

static int lift_and_back(struct torture_world *w, struct arena *a, struct err *err)
{
    pod_ix pod = cluster_find_pod(w->c, STR("games"), STR("arena-1"));
    (void)a;
    cluster_lift(w->c, pod);
    int rc = cluster_unlift(w->c, pod, err);
    check(rc == 0); /* nothing stands in the way of going back */
    return cluster_reserve(w->c, 1000, err);
}

static int namespaces_and_claims(struct torture_world *w, struct arena *a, struct err *err)
{
    struct namespace_desc ns;
    int rc = k8s_decode_namespace(
        STR("{\"metadata\":{\"name\":\"other\",\"labels\":{\"team\":\"live\",\"n\":\"1\"}}}"), a,
        &ns, err);
    return rc == 0 ? cluster_upsert_namespace(w->c, &ns, err) : rc;
}

static int add_claim(struct torture_world *w, struct arena *a, struct err *err)
{
    struct pvc_desc d;
    int rc = k8s_decode_pvc(STR("{\"metadata\":{\"name\":\"more\",\"namespace\":\"games\"},"
                                "\"spec\":{\"storageClassName\":\"slow\","
                                "\"accessModes\":[\"ReadWriteOncePod\"],\"resources\":{"
                                "\"requests\":{\"storage\":\"1Gi\"}}}}"),
                            a, &d, err);
    return rc == 0 ? cluster_upsert_pvc(w->c, &d, err) : rc;
}

static int add_volume(struct torture_world *w, struct arena *a, struct err *err)
{
    struct pv_desc d;
    int rc =
        k8s_decode_pv(STR("{\"metadata\":{\"name\":\"pv-2\",\"labels\":{\"a\":\"b\"}},\"spec\":{"
                          "\"capacity\":{\"storage\":\"1Gi\"},"
                          "\"storageClassName\":\"fast\",\"nodeAffinity\":{\"required\":{"
                          "\"nodeSelectorTerms\":[{\"matchExpressions\":"
                          "[{\"key\":\"a\",\"operator\":\"In\",\"values\":[\"b\",\"c\"]}]}]}}}}"),
                      a, &d, err);
    return rc == 0 ? cluster_upsert_pv(w->c, &d, err) : rc;
}

static int add_game_server(struct torture_world *w, struct arena *a, struct err *err)
{
    struct game_server_desc d;
    int rc = k8s_decode_game_server(
        STR("{\"apiVersion\":\"agones.dev/"
            "v1\",\"kind\":\"GameServer\",\"metadata\":{\"name\":\"arena-77\","
            "\"namespace\":\"games\"},\"status\":{\"state\":\"Ready\",\"players\":{\"count\":3,"
            "\"capacity\":9}}}"),
        a, &d, err);
    return rc == 0 ? cluster_upsert_game_server(w->c, &d, err) : rc;
}

static struct settings plain; /* the defaults: no fleets, no pools */

static int other_settings(struct torture_world *w, struct arena *a, struct err *err)
{
    (void)a;
    return cluster_set_settings(w->c, &plain, err);
}

/* ---- tests ---- */

static void nodes(void **state)
{
    (void)state;
    run_case("add node", add_node);
    run_case("change node", change_node);
    run_case("node comes back", node_comes_back);
}

static void pods(void **state)
{
    (void)state;
    run_case("add waiting pod", add_waiting_pod);
    run_case("add bound pod", add_bound_pod);
    run_case("add pod of unknown node", add_pod_of_unknown_node);
    run_case("replace pod", replace_pod);
    run_case("compile and assume", compile_and_assume);
    run_case("lift, unlift, reserve", lift_and_back);
}

/* Deltas keep room ahead, so that a known pod is assumed without the heap. */
static void a_known_pod_needs_no_memory(void **state)
{
    struct change_case k = {.apply = assume_a_waiting_pod};
    (void)state;
    assert_int_equal(torture("assume a waiting pod", change_scenario, &k, 12).allocations, 0);
}

static void other_objects(void **state)
{
    (void)state;
    run_case("namespace", namespaces_and_claims);
    run_case("claim", add_claim);
    run_case("volume", add_volume);
    run_case("game server", add_game_server);
}

static void settings_again(void **state)
{
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(settings_default(&plain, &err), 0);
    run_case("settings", other_settings);
    settings_done(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes),
        cmocka_unit_test(pods),
        cmocka_unit_test(a_known_pod_needs_no_memory),
        cmocka_unit_test(other_objects),
        cmocka_unit_test(settings_again),
    };
    return cmocka_run_group_tests_name("torture model", tests, NULL, NULL);
}
