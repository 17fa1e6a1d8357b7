/* Classes, selectors, tolerations and game profiles: who is alike, and who says what.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "model/cluster.h"
#include "model/profile.h"

struct world {
    struct settings settings;
    struct cluster *c;
    struct arena arena;
    struct err err;
};

static int up(void **state)
{
    static struct world w;
    w = (struct world){0};
    assert_int_equal(settings_default(&w.settings, &w.err), 0);
    assert_int_equal(cluster_new(&w.c, &w.settings, &w.err), 0);
    arena_init(&w.arena, (size_t)1 << 26);
    *state = &w;
    return 0;
}

static int down(void **state)
{
    struct world *w = *state;
    cluster_free(w->c);
    settings_done(&w->settings);
    arena_done(&w->arena);
    return 0;
}

#define KV(...)                                                                    \
    (kv_list)                                                                      \
    {                                                                              \
        (const struct kv_desc[]){__VA_ARGS__},                                     \
            sizeof((const struct kv_desc[]){__VA_ARGS__}) / sizeof(struct kv_desc) \
    }
#define L(k, v)             \
    {                       \
        {k, sizeof k - 1},  \
        {                   \
            v, sizeof v - 1 \
        }                   \
    }

static struct pod_req compile(struct world *w, const struct pod_desc *d)
{
    struct pod_req p = {0};
    if (cluster_compile_pod(w->c, d, &w->arena, &p, &w->err) != 0) {
        fail_msg("%s", w->err.text);
    }
    return p;
}

static const struct pod_class *class_of(struct world *w, const struct pod_desc *d)
{
    return cluster_class(w->c, compile(w, d).cls);
}

static void test_stateful_siblings_share_a_class(void **state)
{
    struct world *w = *state;
    const struct owner_desc owner = {
        .kind = STR("StatefulSet"), .name = STR("world"), .controller = true};
    struct pod_desc a = {
        .meta = {
            .name = STR("world-0"), .ns = STR("prod"), .uid = STR("u0"), .owners = {&owner, 1}}};
    struct pod_desc b = a, other = a;
    a.meta.labels = KV(L("app", "world"), L("apps.kubernetes.io/pod-index", "0"),
                       L("statefulset.kubernetes.io/pod-name", "world-0"));
    b.meta.labels = KV(L("statefulset.kubernetes.io/pod-name", "world-1"),
                       L("apps.kubernetes.io/pod-index", "1"), L("app", "world"));
    b.meta.name = STR("world-1");
    other.meta.labels = KV(L("app", "lobby"));
    struct pod_req pa = compile(w, &a), pb = compile(w, &b);
    assert_int_equal(pa.cls.v, pb.cls.v); /* whatever the order of labels */
    assert_true(pa.labels.v != pb.labels.v);
    assert_true(compile(w, &other).cls.v != pa.cls.v);
    const struct pod_class *cls = cluster_class(w->c, pa.cls);
    assert_int_equal(cluster_labels(w->c, cls->labels).n, 1);
    assert_int_equal(cluster_labels(w->c, pa.labels).n, 3);
    assert_true((cls->flags & CLASS_STATEFUL) != 0);
}

static void test_a_pod_that_looks_at_a_sibling_label_is_alone(void **state)
{
    struct world *w = *state;
    const struct kv_desc self[] = {L("statefulset.kubernetes.io/pod-name", "world-0")};
    const struct spread_desc spread = {.topology_key = STR("kubernetes.io/hostname"),
                                       .max_skew = 1,
                                       .hard = true,
                                       .selector = {.given = true, .match_labels = {self, 1}}};
    struct pod_desc a = {.meta = {.name = STR("world-0"), .ns = STR("prod")}};
    a.spread.p = &spread;
    a.spread.n = 1;
    struct pod_desc b = a;
    a.meta.labels = KV(L("statefulset.kubernetes.io/pod-name", "world-0"));
    b.meta.labels = KV(L("statefulset.kubernetes.io/pod-name", "world-1"));
    assert_true(class_of(w, &a)->spread[0].matches_self);
    assert_false(class_of(w, &b)->spread[0].matches_self);
}

static void test_agones_siblings_share_class_and_fleet(void **state)
{
    struct world *w = *state;
    const struct owner_desc oa = {
        .kind = STR("GameServer"), .name = STR("arena-x7k2p-b4q9z"), .controller = true};
    const struct owner_desc ob = {
        .kind = STR("GameServer"), .name = STR("arena-x7k2p-f8d6c"), .controller = true};
    struct pod_desc a = {
        .meta = {.name = STR("arena-x7k2p-b4q9z"), .ns = STR("prod"), .owners = {&oa, 1}}};
    struct pod_desc b = {
        .meta = {.name = STR("arena-x7k2p-f8d6c"), .ns = STR("prod"), .owners = {&ob, 1}}};
    a.meta.labels =
        KV(L("agones.dev/gameserver", "arena-x7k2p-b4q9z"), L("agones.dev/role", "gameserver"));
    b.meta.labels =
        KV(L("agones.dev/gameserver", "arena-x7k2p-f8d6c"), L("agones.dev/role", "gameserver"));
    const struct port_desc pa = {.host_port = 7001, .protocol = STR("UDP")},
                           pb = {.host_port = 7002, .protocol = STR("UDP")};
    const struct container_desc ka = {.ports = {&pa, 1}}, kb = {.ports = {&pb, 1}};
    a.containers.p = &ka;
    b.containers.p = &kb;
    a.containers.n = b.containers.n = 1;
    struct pod_req ra = compile(w, &a), rb = compile(w, &b);
    assert_int_equal(ra.cls.v, rb.cls.v);
    assert_int_equal(ra.ports[0].port, 7001);
    const struct pod_class *cls = cluster_class(w->c, ra.cls);
    assert_true(str_is(sym_str(w->c->syms, w->c->fleets[cls->game.fleet.v].name), "prod/arena"));
    assert_true(cls->game.is_game && cls->game.pins_node && !cls->game.session_known);
    assert_int_equal(cls->game.players, 16);
    assert_int_equal(cls->game.session_p50_ms, 25 * 60000);
    assert_int_equal(cls->flags & (CLASS_UDP | CLASS_HOST_PORT), CLASS_UDP | CLASS_HOST_PORT);
    /* the object names its fleet: that wins over the name */
    struct game_server_desc gs = {.meta = {.name = STR("arena-x7k2p-b4q9z"), .ns = STR("prod")},
                                  .fleet = STR("duel"),
                                  .state = GAME_ALLOCATED,
                                  .players = 9};
    assert_int_equal(cluster_upsert_pod(w->c, &a, NULL, &w->err), 0);
    assert_int_equal(cluster_upsert_game_server(w->c, &gs, &w->err), 0);
    pod_ix pod = cluster_find_pod(w->c, STR("prod"), STR("arena-x7k2p-b4q9z"));
    cls = cluster_class(w->c, w->c->pod[pod.v].req.cls);
    assert_true(str_is(sym_str(w->c->syms, w->c->fleets[cls->game.fleet.v].name), "prod/duel"));
    assert_int_equal(w->c->pod[pod.v].req.players, 9); /* those who play now */
    gs.state = GAME_ENDED;
    assert_int_equal(cluster_upsert_game_server(w->c, &gs, &w->err), 0);
    assert_int_equal(w->c->pod[pod.v].req.players, 0);
}

static bool node_selects(struct world *w, const char *op, const char *const *vals, uint32_t n,
                         const char *label)
{
    struct str text[4];
    for (uint32_t i = 0; i < n; i++) {
        text[i] = str_c(vals[i]);
    }
    const struct expr_desc e = {.key = STR("k"), .op = str_c(op), .values = {text, n}};
    const struct node_term_desc t = {.match_expressions = {&e, 1}};
    struct pod_desc d = {.meta = {.name = STR("p"), .ns = STR("n")},
                         .has_node_required = true,
                         .node_required = {&t, 1}};
    const struct pod_class *cls = class_of(w, &d);
    struct label set = {{0}, {0}};
    assert_int_equal(sym_intern(w->c->syms, STR("k"), &set.key, &w->err), 0);
    assert_int_equal(sym_intern(w->c->syms, str_c(label), &set.val, &w->err), 0);
    return selector_matches(&cls->node_required[0].labels,
                            (struct labelset){&set, label == NULL ? 0 : 1}, w->c->syms);
}

static void test_every_operator(void **state)
{
    struct world *w = *state;
    const char *const ab[] = {"a", "b"}, *const five[] = {"5"}, *const bad[] = {"-x"},
                      *const word[] = {"five"};
    static const char *const none[] = {NULL};
    assert_true(node_selects(w, "In", ab, 2, "b"));
    assert_false(node_selects(w, "In", ab, 2, "c"));
    assert_false(node_selects(w, "In", ab, 2, NULL));
    assert_false(node_selects(w, "In", none, 0, "a"));
    assert_false(node_selects(w, "In", bad, 1, "-x")); /* no label value: Kubernetes refuses it */
    assert_false(node_selects(w, "NotIn", ab, 2, "a"));
    assert_true(node_selects(w, "NotIn", ab, 2, NULL));
    assert_true(node_selects(w, "Exists", none, 0, "x"));
    assert_false(node_selects(w, "Exists", none, 0, NULL));
    assert_false(node_selects(w, "Exists", ab, 1, "a"));
    assert_true(node_selects(w, "DoesNotExist", none, 0, NULL));
    assert_false(node_selects(w, "DoesNotExist", none, 0, "x"));
    assert_true(node_selects(w, "Gt", five, 1, "6"));
    assert_false(node_selects(w, "Gt", five, 1, "5"));
    assert_false(node_selects(w, "Gt", five, 1, "six"));
    assert_false(node_selects(w, "Gt", word, 1, "6"));
    assert_true(node_selects(w, "Lt", five, 1, "-4"));
    assert_false(node_selects(w, "Lt", five, 1, NULL));
    assert_false(node_selects(w, "in", ab, 2, "a"));
}

static struct pod_desc arena_pod(kv_list annotations)
{
    static const struct owner_desc owner = {
        .kind = {"GameServer", 10}, .name = {"arena-x7k2p-b4q9z", 17}, .controller = true};
    return (struct pod_desc){.meta = {.name = STR("arena-x7k2p-b4q9z"),
                                      .ns = STR("prod"),
                                      .annotations = annotations,
                                      .owners = {&owner, 1}}};
}

static void malformed_values_fall_through(struct world *w)
{
    struct pod_desc wrong = arena_pod(
        KV(L("spawnpoint.dev/players", "many"), L("spawnpoint.dev/latency-class", "fastest"),
           L("spawnpoint.dev/session-length", "p90=1m,p50=2m"), L("spawnpoint.dev/spot", "maybe"),
           L("spawnpoint.dev/demand", "{\"DE\":-1}"), L("spawnpoint.dev/regions", "a,,b")));
    const struct game_profile *g =
        &class_of(w, &wrong)->game; /* the next authority speaks: the object */
    assert_int_equal(g->players, 8);
    assert_true(str_is(g->latency->name, "action"));
    assert_int_equal(g->session_p50_ms, 600000);
    assert_int_equal(g->spot, SPOT_NEVER);
    assert_true(str_is(g->demand.p[0].location, "FR"));
    assert_int_equal(g->regions.n, 2);
    assert_int_equal(w->c->n_bad_annotations, 6);
}

/* Each annotation: on the pod, on the object, in the fleet, by default; and malformed on the pod. */
static void test_precedence(void **state)
{
    struct world *w = *state;
    const struct demand_share share[] = {{STR("PL"), 1.0}};
    struct fleet_settings fleet = w->settings.defaults;
    fleet.name = STR("arena");
    fleet.players = 64;
    fleet.latency_class = STR("strategy");
    fleet.session_p50_ms = 1000;
    fleet.session_p90_ms = 3000;
    fleet.spot.policy = SPOT_REQUIRED;
    fleet.demand = (demand_list){share, 1};
    w->settings.fleets.p = &fleet;
    w->settings.fleets.n = 1;
    assert_int_equal(cluster_set_settings(w->c, &w->settings, &w->err), 0);
    struct pod_desc plain = arena_pod((kv_list){0});
    const struct game_profile *g = &class_of(w, &plain)->game;
    assert_true(g->configured && g->settings == &fleet);
    assert_int_equal(g->players, 64);
    assert_true(str_is(g->latency->name, "strategy"));
    assert_int_equal(g->session_p90_ms, 3000);
    assert_int_equal(g->spot, SPOT_REQUIRED);
    assert_true(g->session_known && g->demand.n == 1 && str_is(g->demand.p[0].location, "PL"));

    struct game_server_desc gs = {.meta = plain.meta};
    gs.meta.annotations =
        KV(L("spawnpoint.dev/players", "8"), L("spawnpoint.dev/latency-class", "action"),
           L("spawnpoint.dev/session-length", "10m"), L("spawnpoint.dev/spot", "never"),
           L("spawnpoint.dev/demand", "{\"FR\": 2}"), L("spawnpoint.dev/regions", "eu-1, eu-2"));
    assert_int_equal(cluster_upsert_game_server(w->c, &gs, &w->err), 0);
    g = &class_of(w, &plain)->game;
    assert_int_equal(g->players, 8);
    assert_true(str_is(g->latency->name, "action"));
    assert_int_equal(g->session_p50_ms, 600000);
    assert_int_equal(g->session_p90_ms, 1080000); /* 1.8 x the median */
    assert_int_equal(g->spot, SPOT_NEVER);
    assert_true(str_is(g->demand.p[0].location, "FR"));
    assert_int_equal(g->regions.n, 2);
    assert_true(str_is(g->regions.p[1], "eu-2"));

    struct pod_desc said = arena_pod(KV(L("spawnpoint.dev/players", "5"),
                                        L("spawnpoint.dev/latency-class", "competitive"),
                                        L("spawnpoint.dev/session-length", "p50=20m,p90=40m"),
                                        L("spawnpoint.dev/spot", "preferred"),
                                        L("spawnpoint.dev/demand", "{\"DE\":0.6,\"US-CA\":0.2}"),
                                        L("spawnpoint.dev/regions", "us-1"),
                                        L("spawnpoint.dev/session-ends", "2026-11-21T10:00:00Z")));
    struct pod_req p = compile(w, &said);
    g = &cluster_class(w->c, p.cls)->game;
    assert_int_equal(g->players, 5);
    assert_true(str_is(g->latency->name, "competitive"));
    assert_int_equal(g->session_p50_ms, 1200000);
    assert_int_equal(g->session_p90_ms, 2400000);
    assert_int_equal(g->spot, SPOT_PREFERRED);
    assert_int_equal(g->demand.n, 2);
    assert_true(g->demand.p[0].share > 0.7499 && g->demand.p[0].share < 0.7501);
    assert_true(str_is(g->regions.p[0], "us-1"));
    assert_true(p.session_end_ms > INT64_C(1790000000000));
    assert_int_equal(w->c->n_bad_annotations, 0);
    malformed_values_fall_through(w);
}

static struct str fleet_name(struct world *w, const struct pod_desc *d)
{
    fleet_ix fleet = class_of(w, d)->game.fleet;
    return sym_str(w->c->syms, w->c->fleets[fleet.v].name);
}

static void test_fleet_names(void **state)
{
    struct world *w = *state;
    const struct kv_desc match[] = {L("game", "duel")};
    struct fleet_settings fleets[2] = {w->settings.defaults, w->settings.defaults};
    fleets[0].name = STR("duel");
    fleets[0].match = (struct selector_desc){.given = true, .match_labels = {match, 1}};
    fleets[1].name = STR("named");
    w->settings.fleets.p = fleets;
    w->settings.fleets.n = 2;
    assert_int_equal(cluster_set_settings(w->c, &w->settings, &w->err), 0);
    const struct owner_desc rs = {
        .kind = STR("ReplicaSet"), .name = STR("web-6b7f9c8d5"), .controller = true};
    struct pod_desc d = {
        .meta = {.name = STR("web-6b7f9c8d5-abcde"), .ns = STR("prod"), .owners = {&rs, 1}}};
    d.meta.labels = KV(L("app", "shop"), L("pod-template-hash", "6b7f9c8d5"));
    assert_true(
        str_is(fleet_name(w, &d), "prod/web")); /* the ReplicaSet stands for its Deployment */
    assert_false(class_of(w, &d)->game.is_game);
    const struct owner_desc dep = {
        .kind = STR("Deployment"), .name = STR("storefront"), .controller = true};
    struct workload_desc wl = {
        .kind = STR("ReplicaSet"),
        .meta = {.name = STR("web-6b7f9c8d5"), .ns = STR("prod"), .owners = {&dep, 1}}};
    assert_int_equal(cluster_upsert_workload(w->c, &wl, &w->err), 0);
    assert_true(str_is(fleet_name(w, &d),
                       "prod/storefront")); /* the loaded chain knows better than the name */
    struct pod_desc bare = {
        .meta = {.name = STR("x"), .ns = STR("prod"), .labels = KV(L("app", "shop"))}};
    assert_true(str_is(fleet_name(w, &bare), "prod/shop"));
    bare.meta.labels = KV(L("app", "shop"), L("app.kubernetes.io/name", "till"));
    assert_true(str_is(fleet_name(w, &bare), "prod/till"));
    d.meta.labels = KV(L("agones.dev/fleet", "named"), L("app", "shop"));
    assert_true(str_is(fleet_name(w, &d), "named"));
    d.meta.labels = KV(L("agones.dev/fleet", "named"), L("game", "duel"));
    assert_true(str_is(fleet_name(w, &d),
                       "duel")); /* a configured fleet that matches goes before the label */
    d.meta.annotations = KV(L("spawnpoint.dev/fleet", "mine"));
    assert_true(str_is(fleet_name(w, &d), "prod/mine"));
    d.meta.annotations = KV(L("spawnpoint.dev/fleet", "named"));
    assert_true(str_is(fleet_name(w, &d), "named"));
    assert_true(class_of(w, &d)->game.configured);
}

static void test_syntaxes(void **state)
{
    (void)state;
    static const char *const bad_sessions[] = {
        "",     "25",     "-5m",           "0",           "p50",
        "p50=", "p90=5m", "p50=5m,p50=6m", "p50=5m,x=1m", "p50=9m,p90=3m"};
    static const char *const bad_demands[] = {"",
                                              "[]",
                                              "{}",
                                              "{\"DE\"}",
                                              "{\"DE\":}",
                                              "{\"DE\":0}",
                                              "{\"DE\":1",
                                              "{\"DE\":1}x",
                                              "{\"DE\":1,}",
                                              "{\"DE\":1,\"DE\":2}",
                                              "{\"DE\":\"1\"}",
                                              "{\"DE\":NaN}",
                                              "{\"DE\":1e999}",
                                              "{\"\":1}",
                                              "{\"D\\u0045\":1}",
                                              "{DE:1}"};
    int64_t p50 = 0, p90 = 0;
    int32_t players;
    struct arena arena;
    demand_list list;
    arena_init(&arena, 1u << 20);
    for (size_t i = 0; i < SP_COUNTOF(bad_sessions); i++) {
        assert_false(profile_read_session(str_c(bad_sessions[i]), &p50, &p90));
    }
    assert_true(profile_read_session(STR(" p50=20m , p90=40m "), &p50, &p90));
    for (size_t i = 0; i < SP_COUNTOF(bad_demands); i++) {
        assert_int_equal(profile_read_demand(str_c(bad_demands[i]), &arena, &list), -EINVAL);
    }
    assert_int_equal(profile_read_demand(STR(" { \"a\" : 1 , \"b\" : 3e0 } "), &arena, &list), 0);
    assert_true(list.n == 2 && list.p[1].share > 0.7499 && list.p[1].share < 0.7501);
    assert_false(profile_read_players(STR("1000001"), &players));
    assert_false(profile_read_players(STR("-1"), &players));
    assert_false(profile_read_players(STR("1.5"), &players));
    assert_true(profile_read_players(STR("0"), &players));
    arena_done(&arena);
}

static void test_priority_arrives_later(void **state)
{
    struct world *w = *state;
    struct pod_desc d = {.meta = {.name = STR("p"), .ns = STR("n")}, .priority_class = STR("high")};
    pod_ix pod;
    assert_int_equal(cluster_upsert_pod(w->c, &d, &pod, &w->err), 0);
    assert_int_equal(cluster_class(w->c, w->c->pod[pod.v].req.cls)->priority, 0);
    struct priority_class_desc high = {.meta = {.name = STR("high")}, .value = 1000};
    assert_int_equal(cluster_upsert_priority_class(w->c, &high, &w->err), 0);
    assert_int_equal(cluster_class(w->c, w->c->pod[pod.v].req.cls)->priority, 1000);
    assert_int_equal(cluster_verify(w->c, &w->err), 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_stateful_siblings_share_a_class),
        T(test_a_pod_that_looks_at_a_sibling_label_is_alone),
        T(test_agones_siblings_share_class_and_fleet),
        T(test_every_operator),
        T(test_precedence),
        T(test_fleet_names),
        T(test_syntaxes),
        T(test_priority_arrives_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
