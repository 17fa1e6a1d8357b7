// SPDX-License-Identifier: Apache-2.0
#include "support/policy_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

extern const struct policy policy_packing;

#define TYPE  "node.kubernetes.io/instance-type=flat;topology.kubernetes.io/region=r"
#define ARENA "spawnpoint.dev/fleet=arena"

static struct price_row prices[] = {{STR("flat"), STR("r"), STR(""), STR("on-demand"), 600000000},
                                    {STR("flat"), STR("r"), STR(""), STR(""), 600000000}};
static struct pool_settings pool = {.name = {"all", 3}, .price_nano_hour = 600000000};
static const struct kv_desc in_region = {STR("topology.kubernetes.io/region"), STR("r")};
static const struct pod_spec arena = {.annotations = ARENA};

/* Nodes at 0.60 an hour; sessions of 30 minutes; "later" is pinned until minute 140, "soon" until 110, "empty" not at all. */
static void open_arena(struct world *w, bool with_time)
{
    world_open(w);
    w->s.prices.rows.p = prices;
    w->s.prices.rows.n = 2;
    pool.match = (struct selector_desc){.given = true, .match_labels = {&in_region, 1}};
    w->s.pools.p = &pool;
    w->s.pools.n = 1;
    struct fleet_settings *f = world_fleet(w, "arena");
    f->players = 10;
    f->session_p50_ms = f->session_p90_ms = 30 * MINUTE_MS;
    world_use(w, &policy_packing, NULL, NULL);
    world_start(w);
    world_node(w, (struct node_spec){.name = "empty", .labels = TYPE});
    world_node(w, (struct node_spec){.name = "later", .labels = TYPE});
    world_node(w, (struct node_spec){.name = "soon", .labels = TYPE});
    world_pod(w, (struct pod_spec){.name = "a",
                                   .node = "later",
                                   .annotations =
                                       ARENA ";spawnpoint.dev/session-ends=1970-01-01T02:20:00Z"});
    world_pod(w, (struct pod_spec){.name = "b",
                                   .node = "soon",
                                   .annotations =
                                       ARENA ";spawnpoint.dev/session-ends=1970-01-01T01:50:00Z"});
    w->has_time = with_time;
    w->now_ms = with_time ? 100 * MINUTE_MS : 0;
}

static void test_policy_packing_costs_added_hours(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w, true);
    assert_int_equal(world_cost(&w, arena, "later"), 0);         /* ends 130 < 140 */
    assert_int_equal(world_cost(&w, arena, "soon"), 200000000);  /* 20 minutes more */
    assert_int_equal(world_cost(&w, arena, "empty"), 300000000); /* 30 minutes */
    w.now_ms =
        115 *
        MINUTE_MS; /* the other is overdue: it stays until now at least, so all of ours is added */
    assert_int_equal(world_cost(&w, arena, "soon"), 300000000);
    world_explain(&w, arena, "empty");
    assert_true(w.term.value > 0.499 && w.term.value < 0.501);
    assert_non_null(strstr(w.term.note, "empty node"));
    world_close(&w);
}

static void test_policy_packing_known_end_of_this_session(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w, true);
    struct pod_spec p = {.annotations = ARENA ";spawnpoint.dev/session-ends=1970-01-01T02:30:00Z"};
    assert_int_equal(world_cost(&w, p, "later"), 100000000); /* 150 against 140 */
    assert_int_equal(world_cost(&w, p, "empty"), 500000000);
    world_close(&w);
}

static void test_policy_packing_without_time_only_opening_costs(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w, false);
    assert_int_equal(world_cost(&w, arena, "later"), 0);
    assert_int_equal(world_cost(&w, arena, "soon"), 0);
    assert_int_equal(world_cost(&w, arena, "empty"), 300000000);
    world_close(&w);
}

static void test_policy_packing_for_ever_is_thirty_days(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w, true);
    ((struct fleet_settings *)(uintptr_t)w.s.fleets.p)->session_p50_ms = INT64_MAX;
    ((struct fleet_settings *)(uintptr_t)w.s.fleets.p)->session_p90_ms = INT64_MAX;
    struct err err = ERR_NONE;
    assert_int_equal(cluster_set_settings(w.c, &w.s, &err), 0);
    assert_int_equal(world_cost(&w, arena, "empty"), INT64_C(720) * 600000000);
    world_pod(&w, (struct pod_spec){
                      .name = "world", .node = "soon", .annotations = ARENA, .start_ms = 1});
    assert_int_equal(world_cost(&w, arena, "soon"), 0); /* pinned for ever: kept anyway */
    world_close(&w);
}

static void test_policy_packing_plain_pods_pay_for_opening_only(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w, true);
    struct pod_spec web = {.name = "web", .owner = "ReplicaSet"};
    assert_int_equal(world_cost(&w, web, "soon"), 0);
    assert_true(world_cost(&w, web, "empty") > 0);
    struct pod_spec daemon = {.name = "agent", .owner = "DaemonSet"};
    assert_int_equal(world_cost(&w, daemon, "empty"), 0);
    world_close(&w);
}

/* All pinned alike: Agones' order decides, though the name says otherwise. */
static void test_policy_packing_ranks_as_agones_allocates(void **state)
{
    (void)state;
    struct world w;
    struct policy blunt = policy_with_constant_cost(&policy_packing);
    open_arena(&w, false);
    w.c->n_ready[cluster_find_node(w.c, STR("later")).v] = 7;
    w.c->n_allocated[cluster_find_node(w.c, STR("soon")).v] = 1;
    assert_string_equal(world_choose(&w, arena), "soon");
    w.c->n_allocated[cluster_find_node(w.c, STR("soon")).v] = 0;
    assert_string_equal(world_choose(&w, arena), "later");
    world_use(&w, &blunt, NULL, NULL);
    assert_string_equal(world_choose(&w, arena), "empty");
    w.c->n_ready[cluster_find_node(w.c, STR("later")).v] = 0;
    world_close(&w);
}

static void test_policy_packing_constant_score_is_caught(void **state)
{
    (void)state;
    struct world w;
    struct policy blunt = policy_with_constant_cost(&policy_packing);
    open_arena(&w, true);
    assert_string_equal(world_choose(&w, arena), "later");
    world_use(&w, &blunt, NULL, NULL);
    assert_string_equal(world_choose(&w, arena), "empty");
    world_close(&w);
}

/* A node pinned by pods of unknown end must not look as if it were free now. */
static void test_policy_packing_dropped_unknown_is_caught(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w, true);
    world_node(&w, (struct node_spec){.name = "blind", .labels = TYPE});
    world_pod(&w, (struct pod_spec){.name = "c", .node = "blind", .owner = "ReplicaSet"});
    assert_int_equal(world_cost(&w, arena, "blind"), 0);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_packing_costs_added_hours),
        cmocka_unit_test(test_policy_packing_known_end_of_this_session),
        cmocka_unit_test(test_policy_packing_without_time_only_opening_costs),
        cmocka_unit_test(test_policy_packing_for_ever_is_thirty_days),
        cmocka_unit_test(test_policy_packing_plain_pods_pay_for_opening_only),
        cmocka_unit_test(test_policy_packing_ranks_as_agones_allocates),
        cmocka_unit_test(test_policy_packing_constant_score_is_caught),
        cmocka_unit_test(test_policy_packing_dropped_unknown_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
