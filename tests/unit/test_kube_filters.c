// SPDX-License-Identifier: Apache-2.0
//
// The in-tree filters against Kubernetes' own semantics: one case per rule, on three nodes built by hand.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine/explain.h"
#include "policies/presets.h"
#include "support/gen_model.h"

static struct gen_world w;
static struct gen_pod pod;
static struct explanation x;
static struct engine *engine;
static struct cluster *cluster;
static struct arena scratch;

static struct quantity amount(const char *s)
{
    struct quantity q;
    struct err err = ERR_NONE;
    assert_int_equal(quantity_parse(str_c(s), &q, &err), 0);
    return q;
}

/* Nodes n0 (zone a), n1 (zone b), n2 (no zone): 2 cpu, 4Gi, 10 pods. */
static void fresh(void)
{
    struct err err = ERR_NONE;
    static const char *const zones[] = {"a", "b"};
    w = (struct gen_world){.n_nodes = 3};
    assert_int_equal(settings_default(&w.settings, &err), 0);
    for (uint32_t i = 0; i < 3; i++) {
        struct gen_node *n = &w.nodes[i];
        (void)snprintf(n->name, sizeof n->name, "n%u", i);
        n->labels[n->n_labels++] = (struct kv_desc){STR("kubernetes.io/hostname"), STR("")};
        n->labels[n->n_labels++] = (struct kv_desc){STR("disk"), i == 0 ? STR("ssd") : STR("9")};
        if (i < 2) {
            n->labels[n->n_labels++] =
                (struct kv_desc){STR("topology.kubernetes.io/zone"), str_c(zones[i])};
        }
        n->alloc[n->n_alloc++] = (struct qty_desc){STR("cpu"), amount("2")};
        n->alloc[n->n_alloc++] = (struct qty_desc){STR("memory"), amount("4Gi")};
        n->alloc[n->n_alloc++] = (struct qty_desc){STR("pods"), amount("10")};
        gen_node_fix(n);
    }
    pod = (struct gen_pod){.name = "p", .uid = "u-p"};
    pod.d.meta.ns = STR("games");
    pod.labels[pod.n_labels++] = (struct kv_desc){STR("app"), STR("arena")};
    pod.requests[pod.n_requests++] = (struct qty_desc){STR("cpu"), amount("500m")};
}

static struct gen_pod *stand(const char *name, uint32_t node)
{
    struct gen_pod *p = &w.pods[w.n_pods++];
    *p = (struct gen_pod){0};
    (void)snprintf(p->name, sizeof p->name, "%s", name);
    (void)snprintf(p->uid, sizeof p->uid, "u-%s", name);
    p->d.meta.ns = STR("games");
    p->d.phase = PHASE_RUNNING;
    p->labels[p->n_labels++] = (struct kv_desc){STR("app"), STR("arena")};
    p->d.node_name = str_c(w.nodes[node].name);
    return p;
}

static void judge(void)
{
    struct err err = ERR_NONE;
    struct pod_req req;
    for (uint32_t i = 0; i < w.n_nodes; i++) {
        gen_node_fix(&w.nodes[i]);
    }
    for (uint32_t i = 0; i < w.n_pods; i++) {
        gen_pod_fix(&w.pods[i]);
    }
    gen_pod_fix(&pod);
    arena_init(&scratch, 1u << 24);
    cluster = gen_world_build(&w, NULL);
    assert_int_equal(cluster_compile_pod(cluster, &pod.d, &scratch, &req, &err), 0);
    assert_int_equal(engine_new(&engine, cluster, preset_find(STR("least-allocated")), &err), 0);
    struct ask ask = {.pod = &req, .waited_ms = -1};
    struct explain_opts opts = {0};
    assert_int_equal(explain_make(engine, cluster, &ask, STR("games/p"), &opts, &x, &err), 0);
}

static void drop(void)
{
    explain_done(&x);
    engine_free(engine);
    cluster_free(cluster);
    arena_done(&scratch);
}

/* Checks one node: "" = fits, else "Plugin: reason[; reason]" with "!" behind it where eviction cannot cure it. */
static void expect(uint32_t node, const char *want)
{
    char got[512] = "";
    const struct explain_node *n = &x.nodes[node];
    if (!n->feasible) {
        int at = snprintf(got, sizeof got, "%s: ", n->rejected_by);
        for (uint32_t i = 0; i < n->n_reasons; i++) {
            at += snprintf(got + at, sizeof got - (size_t)at, "%s" STR_FMT, i ? "; " : "",
                           STR_ARG(n->reasons[i]));
        }
        (void)snprintf(got + at, sizeof got - (size_t)at, "%s", n->unresolvable ? "!" : "");
    }
    assert_string_equal(got, want);
}

static void expect_all(const char *n0, const char *n1, const char *n2)
{
    judge();
    expect(0, n0);
    expect(1, n1);
    expect(2, n2);
    drop();
}

#define AFFINITY "NodeAffinity: node(s) didn't match Pod's node affinity/selector!"
#define TAINTED  "TaintToleration: node(s) had untolerated taint(s)!"
#define SPREAD   "PodTopologySpread: node(s) didn't match pod topology spread constraints"
#define SPREAD_KEY                                                                               \
    "PodTopologySpread: node(s) didn't match pod topology spread constraints (missing required " \
    "label)!"
#define PORTS "NodePorts: node(s) didn't have free ports for the requested pod ports"

static void test_name_and_cordon(void **state)
{
    (void)state;
    fresh();
    w.nodes[1].d.unschedulable = true;
    expect_all("", "NodeUnschedulable: node(s) were unschedulable!", "");
    pod.tolerations[pod.n_tolerations++] = (struct toleration_desc){
        STR("node.kubernetes.io/unschedulable"), STR(""), TOLERATE_EXISTS, EFFECT_NO_SCHEDULE};
    expect_all("", "", "");
}

static void test_taints(void **state)
{
    (void)state;
    static const struct {
        struct toleration_desc t;
        bool ok;
    } cases[] = {
        {{STR("k"), STR("v"), TOLERATE_EQUAL, EFFECT_NO_SCHEDULE}, true},
        {{STR("k"), STR("v"), TOLERATE_EQUAL, EFFECT_ANY}, true},
        {{STR("k"), STR("x"), TOLERATE_EQUAL, EFFECT_ANY}, false},
        {{STR("k"), STR(""), TOLERATE_EXISTS, EFFECT_ANY}, true},
        {{STR(""), STR(""), TOLERATE_EXISTS, EFFECT_ANY}, true},
        {{STR(""), STR("v"), TOLERATE_EQUAL, EFFECT_ANY},
         true}, /* an empty key compares the value only */
        {{STR("k"), STR("v"), TOLERATE_EQUAL, EFFECT_NO_EXECUTE}, false},
        {{STR("k"), STR("1"), TOLERATE_GT, EFFECT_ANY}, false}, /* behind a gate */
        {{STR("j"), STR("v"), TOLERATE_EQUAL, EFFECT_ANY}, false},
    };
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        fresh();
        w.nodes[0].taints[w.nodes[0].n_taints++] =
            (struct taint_desc){STR("k"), STR("v"), EFFECT_NO_SCHEDULE};
        w.nodes[1].taints[w.nodes[1].n_taints++] =
            (struct taint_desc){STR("k"), STR("v"), EFFECT_PREFER_NO_SCHEDULE};
        pod.tolerations[pod.n_tolerations++] = cases[i].t;
        expect_all(cases[i].ok ? "" : TAINTED, "", "");
    }
}

static void test_node_affinity(void **state)
{
    (void)state;
    static const struct {
        const char *op, *value;
        const char *want[3];
    } cases[] = {
        {"In", "ssd", {"", AFFINITY, AFFINITY}},
        {"NotIn", "ssd", {AFFINITY, "", ""}},
        {"Exists", NULL, {"", "", ""}},
        {"DoesNotExist", NULL, {AFFINITY, AFFINITY, AFFINITY}},
        {"Gt", "8", {AFFINITY, "", ""}},
        {"Lt", "9", {AFFINITY, AFFINITY, AFFINITY}},
        {"Gt", "x", {AFFINITY, AFFINITY, AFFINITY}},
        {"Exists", "ssd", {AFFINITY, AFFINITY, AFFINITY}},
        {"In", NULL, {AFFINITY, AFFINITY, AFFINITY}},
        {"Near", "ssd", {AFFINITY, AFFINITY, AFFINITY}},
    };
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        fresh();
        pod.n_terms = 1;
        pod.exprs[0] =
            (struct expr_desc){STR("disk"), str_c(cases[i].op), {NULL, cases[i].value != NULL}};
        pod.values[0][0] = str_c(cases[i].value);
        expect_all(cases[i].want[0], cases[i].want[1], cases[i].want[2]);
    }
    fresh(); /* nodeSelector and a zone that one node lacks */
    pod.node_selector[pod.n_node_selector++] =
        (struct kv_desc){STR("topology.kubernetes.io/zone"), STR("b")};
    expect_all(AFFINITY, "", AFFINITY);
}

static void test_ports(void **state)
{
    (void)state;
    static const struct {
        struct port_desc used, wanted;
        bool clash;
    } cases[] = {
        {{STR(""), STR("UDP"), 7777, 1}, {STR(""), STR("UDP"), 7777, 1}, true},
        {{STR(""), STR("UDP"), 7777, 1}, {STR(""), STR("TCP"), 7777, 1}, false},
        {{STR(""), STR(""), 7777, 1}, {STR(""), STR("TCP"), 7777, 1}, true},
        {{STR("10.0.0.1"), STR("TCP"), 7777, 1}, {STR("10.0.0.2"), STR("TCP"), 7777, 1}, false},
        {{STR("10.0.0.1"), STR("TCP"), 7777, 1}, {STR("0.0.0.0"), STR("TCP"), 7777, 1}, true},
        {{STR("::"), STR("TCP"), 7777, 1}, {STR("10.0.0.1"), STR("TCP"), 7777, 1}, false},
        {{STR(""), STR("TCP"), 7777, 1}, {STR(""), STR("TCP"), 7778, 1}, false},
        {{STR(""), STR("TCP"), 0, 7777}, {STR(""), STR("TCP"), 7777, 7777}, false},
    };
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        fresh();
        struct gen_pod *p = stand("other", 0);
        p->ports[p->n_ports++] = cases[i].used;
        pod.ports[pod.n_ports++] = cases[i].wanted;
        expect_all(cases[i].clash ? PORTS : "", "", "");
    }
}

static void test_fit(void **state)
{
    (void)state;
    fresh();
    struct gen_pod *p = stand("big", 0);
    p->requests[p->n_requests++] = (struct qty_desc){STR("cpu"), amount("1501m")};
    p->requests[p->n_requests++] = (struct qty_desc){STR("memory"), amount("4Gi")};
    pod.requests[pod.n_requests++] = (struct qty_desc){STR("memory"), amount("1")};
    expect_all("NodeResourcesFit: Insufficient cpu; Insufficient memory", "", "");
    fresh(); /* exactly what is left fits */
    p = stand("big", 0);
    p->requests[p->n_requests++] = (struct qty_desc){STR("cpu"), amount("1500m")};
    w.nodes[1].alloc[2].value = amount("0");
    expect_all("", "NodeResourcesFit: Too many pods", "");
    fresh(); /* larger than the whole node: no eviction helps */
    pod.requests[0].value = amount("3");
    expect_all("NodeResourcesFit: Insufficient cpu!", "NodeResourcesFit: Insufficient cpu!",
               "NodeResourcesFit: Insufficient cpu!");
    fresh();
    w.nodes[2].alloc[w.nodes[2].n_alloc++] = (struct qty_desc){STR("nvidia.com/gpu"), amount("2")};
    pod.requests[pod.n_requests++] = (struct qty_desc){STR("nvidia.com/gpu"), amount("1")};
    expect_all("NodeResourcesFit: Insufficient nvidia.com/gpu!",
               "NodeResourcesFit: Insufficient nvidia.com/gpu!", "");
    fresh(); /* asking for none of it is asking for nothing */
    pod.requests[pod.n_requests++] = (struct qty_desc){STR("nvidia.com/gpu"), amount("0")};
    expect_all("", "", "");
}

static struct spread_desc zone_spread(int32_t skew)
{
    struct spread_desc s = {
        .topology_key = STR("topology.kubernetes.io/zone"), .max_skew = skew, .hard = true};
    s.selector = (struct selector_desc){.given = true, .match_labels = {NULL, 1}};
    pod.match[3] = (struct kv_desc){STR("app"), STR("arena")};
    return s;
}

static void test_spread(void **state)
{
    (void)state;
    fresh();
    stand("one", 0);
    pod.spread[pod.n_spread++] = zone_spread(1);
    expect_all(SPREAD, "", SPREAD_KEY);
    fresh(); /* a pod that is being deleted does not count */
    stand("one", 0)->d.meta.deleting = true;
    pod.spread[pod.n_spread++] = zone_spread(1);
    expect_all("", "", SPREAD_KEY);
    fresh(); /* nor one of another namespace */
    stand("one", 0)->d.meta.ns = STR("other");
    pod.spread[pod.n_spread++] = zone_spread(1);
    expect_all("", "", SPREAD_KEY);
    fresh(); /* fewer domains than minDomains: the least is 0 */
    stand("one", 0);
    stand("two", 1);
    pod.spread[pod.n_spread] = zone_spread(1);
    pod.spread[pod.n_spread++].min_domains = 3;
    expect_all(SPREAD, SPREAD, SPREAD_KEY);
    fresh(); /* an empty selector counts nobody; the pod itself counts */
    stand("one", 0);
    pod.spread[pod.n_spread] = zone_spread(1);
    pod.spread[pod.n_spread++].selector.match_labels.n = 0;
    expect_all("", "", SPREAD_KEY);
    fresh(); /* the zone that the pod's own affinity shuts out is no domain (Honor) … */
    stand("one", 0);
    pod.spread[pod.n_spread++] = zone_spread(1);
    pod.node_selector[pod.n_node_selector++] = (struct kv_desc){STR("disk"), STR("ssd")};
    expect_all("", AFFINITY, AFFINITY);
    pod.spread[0].affinity_ignore = true; /* … unless that is ignored */
    expect_all(SPREAD, AFFINITY, AFFINITY);
    fresh(); /* a tainted zone counts as a domain unless taints are honoured */
    stand("one", 0);
    w.nodes[1].taints[w.nodes[1].n_taints++] =
        (struct taint_desc){STR("k"), STR(""), EFFECT_NO_SCHEDULE};
    pod.spread[pod.n_spread++] = zone_spread(1);
    expect_all(SPREAD, TAINTED, SPREAD_KEY);
    pod.spread[0].taints_honor = true;
    expect_all("", TAINTED, SPREAD_KEY);
}

#define ANTI     "InterPodAffinity: node(s) didn't match pod anti-affinity rules"
#define NEAR     "InterPodAffinity: node(s) didn't match pod affinity rules!"
#define EXISTING "InterPodAffinity: node(s) didn't satisfy existing pods anti-affinity rules"

static struct pod_term_desc term_on(struct gen_pod *p, uint32_t slot, const char *app,
                                    const char *key)
{
    p->match[slot] = (struct kv_desc){STR("app"), str_c(app)};
    return (struct pod_term_desc){.selector = {.given = true, .match_labels = {NULL, 1}},
                                  .topology_key = str_c(key)};
}

static void test_inter_pod(void **state)
{
    (void)state;
    const char *zone = "topology.kubernetes.io/zone", *host = "kubernetes.io/hostname";
    fresh();
    stand("one", 0);
    pod.anti[pod.n_anti++] = term_on(&pod, 1, "arena", zone);
    expect_all(ANTI, "", "");
    fresh(); /* terminating pods still count here */
    stand("one", 1)->d.meta.deleting = true;
    pod.anti[pod.n_anti++] = term_on(&pod, 1, "arena", host);
    expect_all("", ANTI, "");
    fresh();
    struct gen_pod *p = stand("one", 1);
    p->anti[p->n_anti++] = term_on(p, 1, "arena", zone);
    expect_all("", EXISTING, "");
    fresh(); /* of another namespace: its term means its own namespace */
    p = stand("one", 1);
    p->d.meta.ns = STR("other");
    p->anti[p->n_anti++] = term_on(p, 1, "arena", zone);
    expect_all("", "", "");
    p->anti[0].ns_selector.given = true; /* {}: every namespace */
    expect_all("", EXISTING, "");
    fresh();
    stand("one", 1);
    pod.affinity[pod.n_affinity++] = term_on(&pod, 0, "arena", zone);
    expect_all(NEAR, "", NEAR);
    fresh(); /* the first of a series may stand anywhere that has the key */
    pod.affinity[pod.n_affinity++] = term_on(&pod, 0, "arena", zone);
    expect_all("", "", NEAR);
    fresh(); /* but only if it matches its own term */
    pod.affinity[pod.n_affinity++] = term_on(&pod, 0, "lobby", zone);
    expect_all(NEAR, NEAR, NEAR);
    fresh(); /* two terms: one pod must match both */
    stand("one", 0);
    stand("two", 1)->labels[0].val = STR("lobby");
    pod.affinity[pod.n_affinity++] = term_on(&pod, 0, "arena", zone);
    pod.affinity[pod.n_affinity++] = term_on(&pod, 5, "lobby", zone);
    expect_all(NEAR, NEAR, NEAR);
}

static void claim(const char *name)
{
    pod.volumes[pod.n_volumes++] = (struct volume_desc){.name = STR("save"), .claim = str_c(name)};
}

static void test_volumes(void **state)
{
    (void)state;
    fresh(); /* save-0: node affinity to zone eu-central-1a */
    w.nodes[1].labels[2].val = STR("eu-central-1a");
    claim("save-0");
    expect_all("VolumeBinding: node(s) didn't match PersistentVolume's node affinity!", "",
               "VolumeBinding: node(s) didn't match PersistentVolume's node affinity!");
    fresh(); /* save-1: zone label eu-west-1a; a node without zone labels is not judged by it */
    w.nodes[1].labels[2].val = STR("eu-west-1a");
    claim("save-1");
    expect_all("VolumeZone: node(s) had no available volume zone!", "", "");
    fresh(); /* waits for its first consumer: provisioned wherever it goes */
    claim("save-2");
    expect_all("", "", "");
    fresh(); /* missing: stands on every node, before any filter */
    w.nodes[1].d.unschedulable = true;
    claim("lost");
    expect_all("VolumeRestrictions: persistentvolumeclaim not found!",
               "VolumeRestrictions: persistentvolumeclaim not found!",
               "VolumeRestrictions: persistentvolumeclaim not found!");
}

static void test_message(void **state)
{
    (void)state;
    fresh();
    w.nodes[0].d.unschedulable = true;
    pod.requests[0].value = amount("3");
    pod.requests[pod.n_requests++] = (struct qty_desc){STR("memory"), amount("5Gi")};
    judge();
    assert_int_equal(x.chosen.n, 0);
    assert_true(str_is(x.message,
                       "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu, "
                       "2 Insufficient memory."));
    assert_true(str_is(x.decided_by, "none"));
    drop();
    fresh();
    claim("lost");
    judge();
    assert_true(str_is(x.message, "0/3 nodes are available: persistentvolumeclaim not found."));
    drop();
    fresh();
    w.n_nodes = 0;
    judge();
    assert_true(str_is(x.message, "no nodes available to schedule pods"));
    drop();
}

static void test_scores(void **state)
{
    (void)state;
    fresh();
    struct gen_pod *p = stand("one", 0);
    p->requests[p->n_requests++] = (struct qty_desc){STR("cpu"), amount("1")};
    judge();
    /* n0: cpu (2000-1500)*100/2000 = 25; memory 4096-2*200 Mi: 90 -> 57. n1: cpu 75, memory 95 -> 85 */
    assert_int_equal(x.nodes[0].scores[0].raw, 57);
    assert_int_equal(x.nodes[1].scores[0].raw, 85);
    assert_string_equal(x.nodes[1].scores[0].plugin, "NodeResourcesFit");
    assert_true(str_is(x.chosen, "n1")); /* ties go to the smaller name */
    assert_int_equal(x.n_best, 2);
    assert_true(str_is(x.best[1], "n2"));
    assert_true(str_is(x.decided_by, "name"));
    assert_true(str_is(x.runner_up, "n2"));
    drop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_and_cordon),
        cmocka_unit_test(test_taints),
        cmocka_unit_test(test_node_affinity),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_inter_pod),
        cmocka_unit_test(test_volumes),
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_scores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
