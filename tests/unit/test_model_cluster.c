/* The cluster under a long random life: every count equals a recount, assume and forget leave no trace.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/cluster.h"

#define N_NODES 24
#define N_PODS  160
#define OPS     10000

static const struct kv_desc *one_kv(struct kv_desc *kv, const char *key, const char *val)
{
    *kv = (struct kv_desc){str_c(key), str_c(val)};
    return kv;
}

struct world {
    struct settings settings;
    struct cluster *c;
    struct arena arena;
    struct rng rng;
};

static void ok(int r, const struct err *err)
{
    if (r != 0) {
        fail_msg("%d: %s", r, err->text);
    }
}

static int world_up(void **state)
{
    static struct world w;
    struct err err;
    w = (struct world){0};
    ok(settings_default(&w.settings, &err), &err);
    ok(cluster_new(&w.c, &w.settings, &err), &err);
    arena_init(&w.arena, (size_t)1 << 28);
    rng_seed(&w.rng, 7);
    *state = &w;
    return 0;
}

static int world_down(void **state)
{
    struct world *w = *state;
    cluster_free(w->c);
    settings_done(&w->settings);
    arena_done(&w->arena);
    return 0;
}

static uint32_t below(struct world *w, uint32_t n)
{
    return (uint32_t)rng_below(&w->rng, n);
}

SP_PRINTF(2, 3) static struct str text(struct world *w, const char *fmt, ...)
{
    char out[64];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(out, sizeof out, fmt, ap);
    va_end(ap);
    assert_in_range(n, 0, sizeof out - 1);
    return arena_str(&w->arena, (struct str){out, (size_t)n});
}

static struct quantity units(int64_t n)
{
    return (struct quantity){(i128)n * 1000000000};
}

/* Node i, in one of several guises. */
static struct node_desc node_of(struct world *w, unsigned i, unsigned guise)
{
    struct node_desc d = {0};
    struct kv_desc *labels = arena_calloc(&w->arena, 6, sizeof *labels);
    struct qty_desc *alloc = arena_calloc(&w->arena, 4, sizeof *alloc);
    uint32_t n = 0;
    d.meta.name = text(w, "node-%u", i);
    one_kv(&labels[n++], "kubernetes.io/hostname", d.meta.name.p);
    if (guise != 0) {
        labels[n++] =
            (struct kv_desc){STR("topology.kubernetes.io/zone"), text(w, "eu-%u", guise % 4)};
    }
    labels[n++] =
        (struct kv_desc){STR("topology.kubernetes.io/region"), text(w, "region-%u", guise % 2)};
    labels[n++] =
        (struct kv_desc){STR("karpenter.sh/capacity-type"), guise % 3 == 0   ? STR("spot")
                                                            : guise % 3 == 1 ? STR("on-demand")
                                                                             : STR("?")};
    labels[n++] = (struct kv_desc){STR("rack"), text(w, "r%u", (i + guise) % 5)};
    d.meta.labels = (kv_list){labels, n};
    alloc[0] = (struct qty_desc){STR("cpu"), units(16)};
    alloc[1] = (struct qty_desc){STR("memory"), units((int64_t)64 << 30)};
    alloc[2] = (struct qty_desc){STR("pods"), units(110)};
    alloc[3] = (struct qty_desc){STR("example.com/thing"), units(guise)};
    d.allocatable = (qty_list){alloc, 4};
    return d;
}

static struct selector_desc selects(struct world *w, const char *key, struct str val)
{
    struct kv_desc *kv = arena_calloc(&w->arena, 1, sizeof *kv);
    *kv = (struct kv_desc){str_c(key), val};
    return (struct selector_desc){.given = true, .match_labels = {kv, 1}};
}

/* Pod i: its template, its node, its state. node < 0: not bound. */
static struct pod_desc pod_of(struct world *w, unsigned i, unsigned tmpl, int node, unsigned state)
{
    struct pod_desc d = {0};
    struct kv_desc *labels = arena_calloc(&w->arena, 3, sizeof *labels);
    struct container_desc *k = arena_calloc(&w->arena, 1, sizeof *k);
    struct qty_desc *req = arena_calloc(&w->arena, 2, sizeof *req);
    struct port_desc *port = arena_calloc(&w->arena, 1, sizeof *port);
    d.meta.ns = text(w, "ns-%u", i % 3);
    d.meta.name = text(w, "pod-%u", i);
    d.meta.uid = i % 7 == 0 ? STR_NONE : text(w, "uid-%u", i);
    labels[0] = (struct kv_desc){STR("app"), text(w, "app-%u", tmpl % 5)};
    labels[1] = (struct kv_desc){STR("statefulset.kubernetes.io/pod-name"), d.meta.name};
    labels[2] = (struct kv_desc){STR("tier"), text(w, "t%u", tmpl % 2)};
    d.meta.labels = (kv_list){labels, 3};
    d.meta.created_ms = 1000 + i;
    d.meta.deleting = state % 5 == 4;
    d.phase = state % 11 == 10 ? PHASE_SUCCEEDED : PHASE_RUNNING;
    d.start_ms = state % 3 == 0 ? 0 : 1000000 + (int64_t)state;
    req[0] = (struct qty_desc){STR("cpu"), {(i128)1000000 * (100 + tmpl)}};
    req[1] = (struct qty_desc){STR("example.com/thing"), units(tmpl % 2)};
    k->requests = (qty_list){req, 2};
    k->image = STR("game");
    if (i % 4 == 0) {
        *port = (struct port_desc){.host_port = (int32_t)(7000 + i), .protocol = STR("UDP")};
        k->ports.p = port;
        k->ports.n = 1;
    }
    d.containers.p = k;
    d.containers.n = 1;
    d.has_priority = true;
    if (node >= 0) {
        d.node_name = text(w, "node-%u", (unsigned)node);
    }
    struct owner_desc *owner = arena_calloc(&w->arena, 1, sizeof *owner);
    *owner = (struct owner_desc){.kind = tmpl % 3 == 0 ? STR("GameServer") : STR("ReplicaSet"),
                                 .name = tmpl % 3 == 0 ? d.meta.name : STR("web-5d4f8c7b9"),
                                 .controller = true};
    d.meta.owners = (owner_list){owner, 1};
    return d;
}

static void add_terms(struct world *w, struct pod_desc *d, unsigned tmpl)
{
    struct pod_term_desc *t = arena_calloc(&w->arena, 2, sizeof *t);
    t[0].selector = selects(w, "app", text(w, "app-%u", (tmpl + 1) % 5));
    t[0].topology_key = STR("rack");
    t[0].weight = 10;
    if (tmpl % 4 == 1) {
        t[0].ns_selector = selects(w, "team", STR("red"));
    }
    t[1].selector = selects(w, "statefulset.kubernetes.io/pod-name", text(w, "pod-%u", tmpl));
    t[1].topology_key = STR("kubernetes.io/hostname");
    if (tmpl % 4 == 1) {
        d->anti_required.p = t;
        d->anti_required.n = 1;
    } else if (tmpl % 4 == 2) {
        d->affinity_preferred.p = t;
        d->affinity_preferred.n = 2;
    } else if (tmpl % 4 == 3) {
        struct spread_desc *s = arena_calloc(&w->arena, 1, sizeof *s);
        *s = (struct spread_desc){
            .topology_key = STR("topology.kubernetes.io/zone"), .max_skew = 1, .hard = true};
        s->selector = selects(w, "tier", STR("t1"));
        d->spread.p = s;
        d->spread.n = 1;
    }
}

static void op_assume(struct world *w)
{
    struct err err;
    struct pod_desc d = pod_of(w, below(w, N_PODS), below(w, 12), -1, 0);
    add_terms(w, &d, below(w, 12));
    struct pod_req p;
    ok(cluster_compile_pod(w->c, &d, &w->arena, &p, &err), &err);
    node_ix node = cluster_find_node(w->c, text(w, "node-%u", below(w, N_NODES)));
    if (node.v != IX_NONE) {
        int r = cluster_assume(w->c, &p, node, NULL, &err);
        assert_true(r == 0 || r == -EEXIST);
    }
}

static void op_game_server(struct world *w)
{
    struct err err;
    unsigned i = below(w, N_PODS);
    struct kv_desc kv = {STR("spawnpoint.dev/players"), text(w, "%u", below(w, 3) * 20)};
    struct game_server_desc d = {.meta.name = text(w, "pod-%u", i),
                                 .meta.ns = text(w, "ns-%u", i % 3),
                                 .state = (enum game_state)below(w, 6),
                                 .players = (int32_t)below(w, 30) - 1};
    if (below(w, 2) == 0) {
        d.meta.annotations = (kv_list){&kv, 1};
    }
    if (below(w, 8) == 0) {
        cluster_remove_game_server(w->c, d.meta.ns, d.meta.name);
    } else {
        ok(cluster_upsert_game_server(w->c, &d, &err), &err);
    }
}

static void op_namespace(struct world *w)
{
    struct err err;
    struct kv_desc kv = {STR("team"), below(w, 2) == 0 ? STR("red") : STR("blue")};
    struct namespace_desc d = {.meta.name = text(w, "ns-%u", below(w, 3)), .meta.labels = {&kv, 1}};
    ok(cluster_upsert_namespace(w->c, &d, &err), &err);
}

static void op_pod(struct world *w)
{
    struct err err;
    struct pod_desc d =
        pod_of(w, below(w, N_PODS), below(w, 12), (int)below(w, N_NODES + 6) - 6, below(w, 60));
    add_terms(w, &d, below(w, 12));
    ok(cluster_upsert_pod(w->c, &d, NULL, &err), &err);
}

static void op_row(struct world *w)
{
    struct err err;
    if (w->c->n_pod_rows == 0) {
        return;
    }
    pod_ix pod = {below(w, w->c->n_pod_rows)};
    if (!w->c->pod[pod.v].live) {
        return;
    }
    switch (below(w, 3)) {
    case 0:
        cluster_forget(w->c, pod);
        break;
    case 1:
        cluster_lift(w->c, pod);
        break;
    default:
        ok(cluster_unlift(w->c, pod, &err), &err);
    }
}

static void one_op(struct world *w)
{
    struct err err;
    node_ix node;
    uint32_t kind = below(w, 100);
    unsigned i = below(w, N_NODES);
    if (kind < 12) {
        struct node_desc d = node_of(w, i, below(w, 9));
        ok(cluster_upsert_node(w->c, &d, &node, &err), &err);
    } else if (kind < 16) {
        cluster_remove_node(w->c, text(w, "node-%u", i));
    } else if (kind < 46) {
        op_pod(w);
    } else if (kind < 54) {
        i = below(w, N_PODS);
        cluster_remove_pod(w->c, text(w, "ns-%u", i % 3), text(w, "pod-%u", i));
    } else if (kind < 70) {
        op_assume(w);
    } else if (kind < 84) {
        op_row(w);
    } else if (kind < 88) {
        op_namespace(w);
    } else {
        op_game_server(w);
    }
}

static void test_random_life_equals_recount(void **state)
{
    struct world *w = *state;
    struct err err;
    for (int i = 0; i < OPS; i++) {
        arena_reset(&w->arena);
        one_op(w);
        if (i % 50 == 49) {
            int r = cluster_verify(w->c, &err);
            if (r != 0) {
                fail_msg("after %d operations: %s", i + 1, err.text);
            }
        }
    }
    assert_true(w->c->n_counters > 10);
    assert_true(w->c->n_pods_live > 20);
}

static void test_verify_sees_a_wrong_count(void **state)
{
    struct world *w = *state;
    struct err err;
    for (int i = 0; i < 400; i++) {
        one_op(w);
    }
    ok(cluster_verify(w->c, &err), &err);
    uint64_t hash = cluster_hash(w->c);
    w->c->used[RES_CPU][0]++;
    assert_int_equal(cluster_verify(w->c, &err), -EINVAL);
    assert_true((w->c->flags[0] & NODE_LIVE) == 0 || cluster_hash(w->c) != hash);
    w->c->used[RES_CPU][0]--;
    w->c->counters[0].all[1]++;
    assert_int_equal(cluster_verify(w->c, &err), -EINVAL);
    w->c->counters[0].all[1]--;
    assert_int_equal(cluster_hash(w->c), hash);
}

static void test_assume_then_forget_leaves_no_trace(void **state)
{
    struct world *w = *state;
    struct err err;
    for (int i = 0; i < 2000; i++) {
        arena_reset(&w->arena);
        one_op(w);
        unsigned id = 1000 + below(w, 50);
        struct pod_desc d = pod_of(w, id, below(w, 12), -1, 0);
        add_terms(w, &d, below(w, 12));
        struct pod_req p;
        ok(cluster_compile_pod(w->c, &d, &w->arena, &p, &err), &err);
        node_ix node = cluster_find_node(w->c, text(w, "node-%u", below(w, N_NODES)));
        if (node.v == IX_NONE) {
            continue;
        }
        uint64_t before = cluster_hash(w->c);
        pod_ix pod, again;
        ok(cluster_assume(w->c, &p, node, &pod, &err), &err);
        assert_true(cluster_hash(w->c) != before);
        cluster_forget(w->c, pod);
        assert_true(cluster_hash(w->c) == before);
        ok(cluster_assume(w->c, &p, node, &again, &err), &err);
        assert_int_equal(again.v, pod.v);
        cluster_forget(w->c, again);
        assert_true(cluster_hash(w->c) == before);
    }
}

static void test_lift_then_unlift_leaves_no_trace(void **state)
{
    struct world *w = *state;
    struct err err;
    for (int i = 0; i < 600; i++) {
        arena_reset(&w->arena);
        one_op(w);
    }
    uint64_t before = cluster_hash(w->c);
    for (uint32_t i = 0; i < w->c->n_pod_rows; i++) {
        if (w->c->pod[i].live && !w->c->pod[i].lifted) {
            cluster_lift(w->c, (pod_ix){i});
            assert_true(cluster_hash(w->c) != before);
            ok(cluster_unlift(w->c, (pod_ix){i}, &err), &err);
            assert_true(cluster_hash(w->c) == before);
        }
    }
}

static void test_new_settings_count_again(void **state)
{
    struct world *w = *state;
    struct err err;
    for (int i = 0; i < 800; i++) {
        arena_reset(&w->arena);
        one_op(w);
    }
    struct settings other;
    ok(settings_default(&other, &err), &err);
    struct kv_desc kv = {STR("app"), STR("app-1")};
    struct fleet_settings fleet = other.defaults;
    fleet.name = STR("arena");
    fleet.match = (struct selector_desc){.given = true, .match_labels = {&kv, 1}};
    fleet.players = 77;
    other.fleets.p = &fleet;
    other.fleets.n = 1;
    uint64_t before = cluster_hash(w->c);
    ok(cluster_set_settings(w->c, &other, &err), &err);
    ok(cluster_verify(w->c, &err), &err);
    assert_true(cluster_hash(w->c) != before);
    bool found = false;
    for (uint32_t i = 0; i < w->c->n_fleets; i++) {
        found = found || (str_is(sym_str(w->c->syms, w->c->fleets[i].name), "arena") &&
                          w->c->fleets[i].players >= 77);
    }
    assert_true(found);
    ok(cluster_set_settings(w->c, &w->settings, &err), &err);
    ok(cluster_verify(w->c, &err), &err);
    assert_true(cluster_hash(w->c) == before);
    settings_done(&other);
}

static void test_short_memory_leaves_it_whole(void **state)
{
    struct world *w = *state;
    struct err err;
    for (int i = 0; i < 300; i++) {
        arena_reset(&w->arena);
        one_op(w);
    }
    for (uint64_t nth = 1; nth < 60; nth++) {
        arena_reset(&w->arena);
        struct node_desc n = node_of(w, 100 + (unsigned)nth, 3);
        struct pod_desc d =
            pod_of(w, 3000 + (unsigned)nth, 100 + (unsigned)nth, (int)below(w, N_NODES), 1);
        add_terms(w, &d, (unsigned)nth);
        node_ix node;
        mem_fail_at(nth, false);
        int r = cluster_upsert_node(w->c, &n, &node, &err);
        r = r != 0 ? r : cluster_upsert_pod(w->c, &d, NULL, &err);
        r = r != 0 ? r : cluster_set_settings(w->c, &w->settings, &err);
        mem_fail_at(0, false);
        assert_true(r == 0 || r == -ENOMEM);
        ok(cluster_verify(w->c, &err), &err);
    }
}

/* The daemon's path: a known class costs nothing from the heap. */
static void test_known_class_allocates_nothing(void **state)
{
    struct world *w = *state;
    struct err err;
    struct node_desc n = node_of(w, 1, 1);
    node_ix node;
    ok(cluster_upsert_node(w->c, &n, &node, &err), &err);
    struct arena scratch;
    arena_init(&scratch, 1u << 22);
    struct pod_desc d[100];
    for (unsigned i = 0; i < 100; i++) {
        d[i] = pod_of(w, 4 + i * 12, 3, -1, 0); /* one namespace, with ports */
    }
    struct pod_req p;
    ok(cluster_compile_pod(w->c, &d[0], &scratch, &p, &err), &err);
    ok(cluster_assume(w->c, &p, node, NULL, &err), &err);
    ok(cluster_reserve(w->c, 256, &err), &err);
    class_ix cls = p.cls;
    uint64_t heap = 0;
    for (unsigned i = 1; i < 100; i++) {
        pod_ix pod;
        uint64_t before = mem_thread_count();
        struct arena *used = &scratch;
        ok(cluster_compile_pod(w->c, &d[i], used, &p, &err), &err);
#if defined(__SANITIZE_ADDRESS__)
        before =
            mem_thread_count(); /* under this sanitizer every piece of an arena is a block of the heap */
#endif
        assert_int_equal(p.cls.v, cls.v);
        ok(cluster_assume(w->c, &p, node, &pod, &err), &err);
        if (i % 2 == 0) {
            cluster_forget(w->c, pod);
        }
        heap += mem_thread_count() - before;
#if !defined(__SANITIZE_ADDRESS__)
        arena_reset(&scratch);
#endif
    }
    assert_int_equal(heap, 0);
    arena_done(&scratch);
}

static void test_assumed_pod_is_settled_by_the_watch(void **state)
{
    struct world *w = *state;
    struct err err;
    struct node_desc a = node_of(w, 1, 1), b = node_of(w, 2, 2);
    node_ix na, nb;
    ok(cluster_upsert_node(w->c, &a, &na, &err), &err);
    ok(cluster_upsert_node(w->c, &b, &nb, &err), &err);
    struct pod_desc waits = pod_of(w, 1, 0, -1, 1), bound = pod_of(w, 1, 0, 2, 1);
    struct pod_req p;
    pod_ix pod, settled;
    ok(cluster_compile_pod(w->c, &waits, &w->arena, &p, &err), &err);
    ok(cluster_assume(w->c, &p, na, &pod, &err), &err);
    ok(cluster_upsert_pod(w->c, &waits, &settled, &err),
       &err); /* not bound yet: the assumption goes on */
    assert_int_equal(settled.v, pod.v);
    assert_int_equal(w->c->n_pods[na.v], 1);
    assert_true(w->c->pod[pod.v].assumed);
    ok(cluster_assume(w->c, &p, nb, &settled, &err), &err); /* asked again: it moves */
    assert_int_equal(w->c->n_pods[na.v], 0);
    assert_int_equal(w->c->n_pods[nb.v], 1);
    ok(cluster_upsert_pod(w->c, &bound, &settled, &err), &err);
    assert_int_equal(settled.v, pod.v);
    assert_false(w->c->pod[pod.v].assumed);
    assert_int_equal(cluster_assume(w->c, &p, na, &settled, &err), -EEXIST);
    cluster_forget(w->c, pod); /* too late: it is real */
    assert_int_equal(w->c->n_pods[nb.v], 1);
    cluster_remove_node(w->c, STR("node-2"));
    assert_int_equal(w->c->pod[pod.v].node.v, IX_NONE);
    assert_int_equal(w->c->n_pods_live, 1);
    ok(cluster_upsert_node(w->c, &b, &nb, &err), &err);
    assert_int_equal(w->c->pod[pod.v].node.v, nb.v);
    ok(cluster_verify(w->c, &err), &err);
}

#define LIFE(test) cmocka_unit_test_setup_teardown(test, world_up, world_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIFE(test_random_life_equals_recount),
        LIFE(test_verify_sees_a_wrong_count),
        LIFE(test_assume_then_forget_leaves_no_trace),
        LIFE(test_lift_then_unlift_leaves_no_trace),
        LIFE(test_new_settings_count_again),
        LIFE(test_short_memory_leaves_it_whole),
        LIFE(test_known_class_allocates_nothing),
        LIFE(test_assumed_pod_is_settled_by_the_watch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
