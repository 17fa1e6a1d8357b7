// SPDX-License-Identifier: Apache-2.0
#include "support/policy_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

extern const struct policy policy_zone_spread;

#define ZONE   "topology.kubernetes.io/zone="
#define REGION "topology.kubernetes.io/region="
#define ARENA  "spawnpoint.dev/fleet=arena"

static const struct pod_spec arena = {.annotations = ARENA, .cpu_milli = 100};

static struct fleet_settings *open_arena(struct world *w)
{
    world_open(w);
    struct fleet_settings *f = world_fleet(w, "arena");
    f->players = 64;
    world_use(w, &policy_zone_spread, NULL, NULL);
    return f;
}

static void three_zones(struct world *w)
{
    world_start(w);
    world_node(w, (struct node_spec){.name = "a1", .labels = ZONE "a;" REGION "r"});
    world_node(w, (struct node_spec){.name = "b1", .labels = ZONE "b;" REGION "r"});
    world_node(w, (struct node_spec){.name = "c1", .labels = ZONE "c;" REGION "s"});
}

static void stand(struct world *w, const char *node, int n, const char *prefix)
{
    for (int i = 0; i < n; i++) {
        char *name = arena_alloc(&w->arena, 64);
        snprintf(name, 64, "%s-%s-%d", prefix, node, i);
        struct pod_spec p = arena;
        p.name = name;
        p.node = node;
        world_pod(w, p);
    }
}

static void test_policy_zone_spread_cost_is_excess_over_target(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    three_zones(&w);
    stand(&w, "a1", 2, "s");
    stand(&w, "b1", 1, "s");
    stand(&w, "c1", 1, "s");
    /* 320 players with this one, target 320/3: a 192 - 106.67 = 85.33 > 64; 0.03 each */
    assert_int_equal(world_cost(&w, arena, "a1"), 2560000000);
    assert_int_equal(world_cost(&w, arena, "b1"), 0); /* 128 - 106.67 within one server */
    world_explain(&w, arena, "a1");
    assert_true(w.term.value > 85.3 && w.term.value < 85.4);
    assert_non_null(strstr(w.term.note, "192 players"));
    assert_non_null(strstr(w.term.note, "loss hits 60 %"));
    assert_non_null(strstr(w.term.note, "3 servers need room"));
    world_close(&w);
}

static void test_policy_zone_spread_target_follows_capacity(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    three_zones(&w);
    world_node(&w, (struct node_spec){.name = "a2", .labels = ZONE "a", .cordoned = true});
    world_node(&w, (struct node_spec){.name = "c2", .labels = ZONE "c"});
    world_node(&w, (struct node_spec){.name = "c3", .labels = ZONE "c"});
    stand(&w, "a1", 1, "s");
    stand(&w, "c1", 1, "s");
    stand(&w, "c2", 1, "s");
    /* 256 players with this one; a 1/5, b 1/5, c 3/5: a 128 - 51.2 = 76.8 > 64; c 192 - 153.6 within one server */
    assert_int_equal(world_cost(&w, arena, "a1"), 2304000000);
    assert_int_equal(world_cost(&w, arena, "c1"), 0);
    world_close(&w);
}

static void test_policy_zone_spread_cap_is_exact(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w)->zone_spread.max_player_share = 0.5;
    three_zones(&w);
    assert_int_equal(world_reason(&w, arena, "a1"), REASON_NONE); /* one server always may */
    stand(&w, "a1", 1, "s");
    assert_int_equal(world_reason(&w, arena, "a1"), REASON_ZONE_PLAYER_CAP); /* 128 > 64 */
    stand(&w, "b1", 1, "s");
    assert_int_equal(world_reason(&w, arena, "a1"), REASON_ZONE_PLAYER_CAP); /* 128 > 96 */
    stand(&w, "c1", 1, "s");
    assert_int_equal(world_reason(&w, arena, "a1"), REASON_NONE); /* 128 = 0.5 x 256 */
    world_close(&w);
}

/* 0.29 x 6400 is 1855.9999… in binary; 29 % of 100 servers are 29 servers. */
static void test_policy_zone_spread_cap_survives_binary_fractions(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w)->zone_spread.max_player_share = 0.29;
    world_start(&w);
    world_node(&w, (struct node_spec){.name = "a1", .labels = ZONE "a"});
    world_node(&w, (struct node_spec){.name = "b1", .labels = ZONE "b"});
    stand(&w, "a1", 28, "s");
    stand(&w, "b1", 71, "s");
    assert_int_equal(world_reason(&w, arena, "a1"), REASON_NONE);
    world_close(&w);
}

static void test_policy_zone_spread_skew_and_min_domains(void **state)
{
    (void)state;
    struct world w;
    struct fleet_settings *f = open_arena(&w);
    f->zone_spread.max_skew = 1;
    three_zones(&w);
    stand(&w, "a1", 1, "s");
    assert_int_equal(world_reason(&w, arena, "a1"), REASON_ZONE_SKEW);
    stand(&w, "b1", 1, "s");
    stand(&w, "c1", 1, "s");
    assert_int_equal(world_reason(&w, arena, "a1"), REASON_NONE);
    f->zone_spread.min_domains = 4; /* three zones: the fewest counts as 0 */
    struct err err = ERR_NONE;
    assert_int_equal(cluster_set_settings(w.c, &w.s, &err), 0);
    assert_int_equal(world_reason(&w, arena, "a1"), REASON_ZONE_SKEW);
    world_close(&w);
}

/* A zone that cannot take the pod does not hold the others back. */
static void test_policy_zone_spread_skew_ignores_unusable_zones(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w)->zone_spread.max_skew = 1;
    world_start(&w);
    world_node(&w, (struct node_spec){.name = "a1", .labels = ZONE "a"});
    world_node(&w,
               (struct node_spec){.name = "b1", .labels = ZONE "b", .taints = "x=y:NoSchedule"});
    world_node(&w, (struct node_spec){.name = "c1", .labels = ZONE "c", .cordoned = true});
    world_node(&w, (struct node_spec){.name = "d1", .labels = ZONE "d", .cpu_milli = 50});
    stand(&w, "a1", 3, "s");
    assert_int_equal(world_reason(&w, arena, "a1"), REASON_NONE);
    world_node(&w, (struct node_spec){.name = "c1", .labels = ZONE "c"}); /* uncordoned */
    assert_int_equal(world_reason(&w, arena, "a1"), REASON_ZONE_SKEW);
    world_close(&w);
}

/* Nor does a zone that the latency limit rules out. */
static void test_policy_zone_spread_skew_ignores_zones_out_of_reach(void **state)
{
    (void)state;
    static struct latency_row rows[] = {{STR("X"), STR("a"), 20, 0}, {STR("X"), STR("b"), 900, 0}};
    static struct demand_share demand[] = {{STR("X"), 1}};
    struct world w;
    struct fleet_settings *f = open_arena(&w);
    w.s.latency.rows.p = rows;
    w.s.latency.rows.n = 2;
    f->demand.p = demand;
    f->demand.n = 1;
    f->zone_spread.max_skew = 1;
    world_start(&w);
    world_node(&w, (struct node_spec){.name = "a1", .labels = ZONE "a"});
    world_node(&w, (struct node_spec){.name = "b1", .labels = ZONE "b"});
    stand(&w, "a1", 2, "s");
    assert_int_equal(world_reason(&w, arena, "a1"), REASON_NONE);
    cluster_remove_node(w.c, STR("a1"));
    assert_int_equal(world_reason(&w, arena, "b1"), REASON_NONE);
    stand(&w, "b1", 1, "t");
    assert_int_equal(world_reason(&w, arena, "b1"), REASON_NONE); /* the only zone, near or not */
    world_close(&w);
}

static void test_policy_zone_spread_unknown_zone(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    three_zones(&w);
    world_node(&w, (struct node_spec){.name = "0none", .labels = ZONE "0"}); /* AKS: not zonal */
    stand(&w, "a1", 3, "s");
    /* soft: as dear as the dearest zone, though its name is the smallest: a 256 - 85.33 */
    assert_int_equal(world_cost(&w, arena, "0none"), world_cost(&w, arena, "a1"));
    assert_true(world_cost(&w, arena, "0none") > 0);
    assert_string_equal(world_choose(&w, arena), "b1");
    world_close(&w);
    open_arena(&w)->zone_spread.max_skew = 5;
    three_zones(&w);
    world_node(&w, (struct node_spec){.name = "0none"});
    assert_int_equal(world_reason(&w, arena, "0none"), REASON_ZONE_UNKNOWN);
    world_close(&w);
}

static void test_policy_zone_spread_region_maximum(void **state)
{
    (void)state;
    static struct region_limit limit = {{"r", 1}, 128};
    struct world w;
    struct fleet_settings *f = open_arena(&w);
    f->regions.max_players.p = &limit;
    f->regions.max_players.n = 1;
    three_zones(&w);
    stand(&w, "a1", 1, "s");
    assert_int_equal(world_reason(&w, arena, "b1"), REASON_NONE); /* 128 */
    stand(&w, "b1", 1, "s");
    assert_int_equal(world_reason(&w, arena, "b1"), REASON_REGION_FULL);
    assert_int_equal(world_reason(&w, arena, "a1"), REASON_REGION_FULL);
    assert_int_equal(world_reason(&w, arena, "c1"), REASON_NONE);
    world_close(&w);
}

/* Reservations count at once: without any cost the smallest name takes all that the cap lets it. */
static void test_policy_zone_spread_burst_counts_itself(void **state)
{
    (void)state;
    struct world w;
    struct policy caps_only = policy_with_constant_cost(&policy_zone_spread);
    open_arena(&w)->zone_spread.max_player_share = 0.5;
    three_zones(&w);
    world_use(&w, &caps_only, NULL, NULL);
    int in[3] = {0};
    for (int i = 0; i < 30; i++) {
        char *name = arena_alloc(&w.arena, 16);
        snprintf(name, 16, "p%d", i);
        struct pod_spec p = arena;
        p.name = name;
        const char *node = world_place(&w, p);
        assert_true(node[0] >= 'a' && node[0] <= 'c');
        in[node[0] - 'a']++;
        for (int z = 0; z < 3; z++) {
            assert_true(in[z] <= 1 || in[z] * 2 <= i + 1);
        }
    }
    assert_int_equal(in[0], 15);
    world_close(&w);
}

static void test_policy_zone_spread_says_when_it_has_nothing_to_say(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    world_start(&w);
    world_node(&w, (struct node_spec){.name = "a1", .labels = ZONE "a"});
    world_node(&w, (struct node_spec){.name = "a2", .labels = ZONE "a"});
    stand(&w, "a1", 5, "s");
    assert_int_equal(world_cost(&w, arena, "a1"), 0);
    world_explain(&w, arena, "a1");
    assert_non_null(strstr(w.term.note, "one zone only"));
    world_explain(&w, (struct pod_spec){.name = "web"}, "a1");
    assert_string_equal(w.term.note, "skipped");
    world_close(&w);
}

static void test_policy_zone_spread_constant_score_is_caught(void **state)
{
    (void)state;
    struct world w;
    struct policy blunt = policy_with_constant_cost(&policy_zone_spread);
    open_arena(&w);
    three_zones(&w);
    stand(&w, "a1", 3, "s");
    stand(&w, "b1", 3, "s");
    assert_string_equal(world_choose(&w, arena), "c1");
    world_use(&w, &blunt, NULL, NULL);
    assert_string_equal(world_choose(&w, arena), "a1");
    world_close(&w);
}

/* Pods are not players: one arena of 64 against three duels of 2. */
static void test_policy_zone_spread_counting_pods_is_caught(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    world_start(&w);
    world_node(&w, (struct node_spec){.name = "a1", .labels = ZONE "a"});
    world_node(&w, (struct node_spec){.name = "b1", .labels = ZONE "b"});
    struct pod_spec p = {
        .name = "big", .node = "a1", .annotations = ARENA ";spawnpoint.dev/players=64"};
    world_pod(&w, p);
    p.annotations = ARENA ";spawnpoint.dev/players=2";
    p.node = "b1";
    p.name = "d1";
    world_pod(&w, p);
    p.name = "d2";
    world_pod(&w, p);
    p.name = "d3";
    world_pod(&w, p);
    struct pod_spec asked = {.annotations = ARENA ";spawnpoint.dev/players=4"};
    assert_string_equal(world_choose(&w, asked), "b1");
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_zone_spread_cost_is_excess_over_target),
        cmocka_unit_test(test_policy_zone_spread_target_follows_capacity),
        cmocka_unit_test(test_policy_zone_spread_cap_is_exact),
        cmocka_unit_test(test_policy_zone_spread_cap_survives_binary_fractions),
        cmocka_unit_test(test_policy_zone_spread_skew_and_min_domains),
        cmocka_unit_test(test_policy_zone_spread_skew_ignores_unusable_zones),
        cmocka_unit_test(test_policy_zone_spread_skew_ignores_zones_out_of_reach),
        cmocka_unit_test(test_policy_zone_spread_unknown_zone),
        cmocka_unit_test(test_policy_zone_spread_region_maximum),
        cmocka_unit_test(test_policy_zone_spread_burst_counts_itself),
        cmocka_unit_test(test_policy_zone_spread_says_when_it_has_nothing_to_say),
        cmocka_unit_test(test_policy_zone_spread_constant_score_is_caught),
        cmocka_unit_test(test_policy_zone_spread_counting_pods_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
