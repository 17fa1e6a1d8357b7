// SPDX-License-Identifier: Apache-2.0
#include "support/policy_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

extern const struct policy policy_latency;

#define ZONE  "topology.kubernetes.io/zone="
#define ARENA "spawnpoint.dev/fleet=arena"

static const struct pod_spec arena = {.annotations = ARENA};

/* even: everyone at 50. lame: 85 % at 20, 15 % at 140 (mean 38, p90 140). best: p90 30. near: 34. far: p90 130. */
static struct latency_row rows[] = {
    {STR("X1"), STR("even"), 50, 0},   {STR("X2"), STR("even"), 50, 0},
    {STR("X1"), STR("lame"), 20, 0},   {STR("X2"), STR("lame"), 140, 0},
    {STR("X1"), STR("best"), 20, 0},   {STR("X2"), STR("best"), 30, 0},
    {STR("X1"), STR("near"), 20, 0},   {STR("X2"), STR("near"), 34, 0},
    {STR("X1"), STR("far"), 70, 0},    {STR("X2"), STR("far"), 130, 0},
    {STR("X1"), STR("over"), 160, 0},  {STR("X2"), STR("over"), 165, 0},
    {STR("X1"), STR("worse"), 300, 0}, {STR("X2"), STR("worse"), 300, 0},
};
static struct demand_share demand[] = {{STR("X1"), 0.85}, {STR("X2"), 0.15}};
static struct demand_share blind[] = {{STR("X1"), 0.6}, {STR("nowhere"), 0.4}};

static struct fleet_settings *open_arena(struct world *w)
{
    world_open(w);
    w->s.latency.rows.p = rows;
    w->s.latency.rows.n = SP_COUNTOF(rows);
    struct fleet_settings *f = world_fleet(w, "arena");
    f->players = 10;
    f->session_p50_ms = f->session_p90_ms = 60 * MINUTE_MS;
    f->demand.p = demand;
    f->demand.n = 2;
    f->latency_class = STR("action"); /* 60 / 100 / 150 */
    world_use(w, &policy_latency, NULL, NULL);
    return f;
}

static void node_in(struct world *w, const char *name, const char *labels)
{
    world_node(w, (struct node_spec){.name = name, .labels = labels});
}

static void test_policy_latency_stages_and_cost(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    world_start(&w);
    node_in(&w, "b", ZONE "best");
    node_in(&w, "e", ZONE "even");
    node_in(&w, "f", ZONE "far");
    assert_int_equal(world_stage(&w, arena, "b"), 0);
    assert_int_equal(world_stage(&w, arena, "e"), 0);
    assert_int_equal(world_stage(&w, arena, "f"), 2);
    /* 10 players, one hour, 20000 nano per player and ms; fairness a tenth of p90 - p10 */
    assert_int_equal(world_cost(&w, arena, "b"), 200000); /* 0 + 0.1 x (30 - 20) */
    assert_int_equal(world_cost(&w, arena, "e"), 0);      /* within good, all alike */
    assert_int_equal(world_cost(&w, arena, "f"),
                     (70 + 6) * 200000); /* 130 - 60, 0.1 x (130 - 70) */
    world_explain(&w, arena, "f");
    assert_true(w.term.value == 130);
    assert_string_equal(w.term.unit, "ms");
    world_close(&w);
}

static void test_policy_latency_dead_band_makes_equal(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    world_start(&w);
    node_in(&w, "a-near", ZONE "near");
    node_in(&w, "b-best", ZONE "best");
    assert_int_equal(world_cost(&w, arena, "a-near"), world_cost(&w, arena, "b-best"));
    assert_string_equal(world_choose(&w, arena), "a-near"); /* only the name is left */
    world_explain(&w, arena, "a-near");
    assert_non_null(strstr(w.term.note, "not discriminating"));
    w.s.latency.dead_band_ms = 3;
    struct err err = ERR_NONE;
    assert_int_equal(cluster_set_settings(w.c, &w.s, &err), 0);
    assert_string_equal(world_choose(&w, arena), "b-best");
    world_close(&w);
}

static void test_policy_latency_cutoff_and_relaxing(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    world_start(&w);
    node_in(&w, "a-worse", ZONE "worse");
    node_in(&w, "b-over", ZONE "over");
    assert_int_equal(world_reason(&w, arena, "b-over"), REASON_LATENCY_OVER);
    assert_string_equal(world_choose(&w, arena), "");
    w.waited_ms = 120000; /* without time nothing is relaxed */
    assert_string_equal(world_choose(&w, arena), "");
    w.has_time = true;
    w.now_ms = 1;
    w.waited_ms = 119999;
    assert_string_equal(world_choose(&w, arena), "");
    w.waited_ms = 120000;
    assert_string_equal(world_choose(&w, arena),
                        "b-over"); /* the best available, not the smaller name */
    assert_int_equal(world_stage(&w, arena, "b-over"), 3);
    world_explain(&w, arena, "b-over");
    assert_non_null(strstr(w.term.note, "relaxed"));
    node_in(&w, "c-far", ZONE "far");
    assert_string_equal(world_choose(&w, arena), "c-far");
    assert_int_equal(world_stage(&w, arena, "c-far"), 2);
    world_close(&w);
}

static void test_policy_latency_over_share_is_a_share_of_players(void **state)
{
    (void)state;
    struct world w;
    static struct latency_row tail[] = {{STR("X1"), STR("z"), 20, 0},
                                        {STR("X2"), STR("z"), 400, 0}};
    static struct demand_share few[] = {{STR("X1"), 0.95}, {STR("X2"), 0.05}};
    struct fleet_settings *f = open_arena(&w);
    w.s.latency.rows.p = tail;
    w.s.latency.rows.n = 2;
    f->demand.p = few;
    world_start(&w);
    node_in(&w, "z1", ZONE "z");
    assert_int_equal(world_reason(&w, arena, "z1"), REASON_NONE); /* 5 % are not more than 5 % */
    struct pod_spec p = {.annotations = ARENA ";spawnpoint.dev/demand={\"X1\":0.94,\"X2\":0.06}"};
    assert_int_equal(world_reason(&w, p, "z1"), REASON_LATENCY_OVER);
    world_close(&w);
}

static void test_policy_latency_region_limit(void **state)
{
    (void)state;
    static struct region_limit limit = {{"r", 1}, 45};
    struct world w;
    struct fleet_settings *f = open_arena(&w);
    f->regions.max_ms.p = &limit;
    f->regions.max_ms.n = 1;
    world_start(&w);
    node_in(&w, "b", ZONE "best;topology.kubernetes.io/region=r");
    node_in(&w, "e", ZONE "even;topology.kubernetes.io/region=r");
    node_in(&w, "s", ZONE "even;topology.kubernetes.io/region=s");
    assert_int_equal(world_reason(&w, arena, "b"), REASON_NONE);
    assert_int_equal(world_reason(&w, arena, "e"), REASON_REGION_LATENCY);
    assert_int_equal(world_reason(&w, arena, "s"), REASON_NONE);
    world_close(&w);
}

static void test_policy_latency_says_when_it_has_nothing_to_say(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w)->demand.n = 0;
    world_start(&w);
    node_in(&w, "b", ZONE "best");
    assert_int_equal(world_cost(&w, arena, "b"), 0);
    world_explain(&w, arena, "b");
    assert_non_null(strstr(w.term.note, "no demand known"));
    world_explain(&w, (struct pod_spec){.name = "web"}, "b");
    assert_string_equal(w.term.note, "skipped");
    world_explain(&w, (struct pod_spec){.annotations = ARENA ";spawnpoint.dev/latency-class=none"},
                  "b");
    assert_string_equal(w.term.note, "skipped");
    world_close(&w);
}

static void test_policy_latency_unknown_place_counts_as_the_worst(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    world_start(&w);
    node_in(&w, "0unknown", "");
    node_in(&w, "b", ZONE "best");
    node_in(&w, "f", ZONE "far");
    assert_int_equal(world_reason(&w, arena, "0unknown"), REASON_NONE);
    assert_int_equal(world_stage(&w, arena, "0unknown"), 2);
    assert_true(world_cost(&w, arena, "0unknown") >= world_cost(&w, arena, "f"));
    world_close(&w);
}

static void test_policy_latency_constant_score_is_caught(void **state)
{
    (void)state;
    struct world w;
    struct policy blunt = policy_with_constant_cost(&policy_latency);
    open_arena(&w);
    world_start(&w);
    node_in(&w, "a-far", ZONE "far");
    node_in(&w, "b-best", ZONE "best");
    assert_string_equal(world_choose(&w, arena), "b-best");
    world_use(&w, &blunt, NULL, NULL);
    assert_string_equal(world_choose(&w, arena), "a-far");
    world_close(&w);
}

/* By the mean, lame (38 ms) would beat even (50 ms); its unlucky 15 % see 140. */
static void test_policy_latency_mean_instead_of_percentile_is_caught(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    world_start(&w);
    node_in(&w, "a-lame", ZONE "lame");
    node_in(&w, "b-even", ZONE "even");
    assert_string_equal(world_choose(&w, arena), "b-even");
    world_explain(&w, arena, "a-lame");
    assert_true(w.term.value == 140);
    world_close(&w);
}

/* A third zone knows only 60 % of the demand, at 20 ms. Without the unknown 40 % it would look like the best. */
static void test_policy_latency_dropped_unknown_is_caught(void **state)
{
    (void)state;
    struct world w;
    static struct latency_row half[] = {{STR("X1"), STR("half"), 20, 0},
                                        {STR("X1"), STR("full"), 30, 0},
                                        {STR("nowhere"), STR("full"), 140, 0},
                                        {STR("nowhere"), STR("good"), 90, 0},
                                        {STR("X1"), STR("good"), 90, 0}};
    struct fleet_settings *f = open_arena(&w);
    w.s.latency.rows.p = half;
    w.s.latency.rows.n = SP_COUNTOF(half);
    f->demand.p = blind;
    world_start(&w);
    node_in(&w, "a-half", ZONE "half");
    node_in(&w, "b-good", ZONE "good");
    assert_string_equal(world_choose(&w, arena), "b-good");
    world_explain(&w, arena, "a-half");
    assert_true(w.term.value >= 140); /* the worst known stands in */
    assert_non_null(strstr(w.term.note, "40 % of demand without data"));
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_latency_stages_and_cost),
        cmocka_unit_test(test_policy_latency_dead_band_makes_equal),
        cmocka_unit_test(test_policy_latency_cutoff_and_relaxing),
        cmocka_unit_test(test_policy_latency_over_share_is_a_share_of_players),
        cmocka_unit_test(test_policy_latency_region_limit),
        cmocka_unit_test(test_policy_latency_says_when_it_has_nothing_to_say),
        cmocka_unit_test(test_policy_latency_unknown_place_counts_as_the_worst),
        cmocka_unit_test(test_policy_latency_constant_score_is_caught),
        cmocka_unit_test(test_policy_latency_mean_instead_of_percentile_is_caught),
        cmocka_unit_test(test_policy_latency_dropped_unknown_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
