// SPDX-License-Identifier: Apache-2.0
#include "support/policy_world.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

extern const struct policy policy_spot;

#define ON_DEMAND \
    "node.kubernetes.io/instance-type=c5.xlarge;eks.amazonaws.com/capacityType=ON_DEMAND;"
#define SPOT   "node.kubernetes.io/instance-type=c5.xlarge;eks.amazonaws.com/capacityType=SPOT;"
#define REGION "topology.kubernetes.io/region=eu-central-1;topology.kubernetes.io/zone=eu-central-1"
#define ARENA  "spawnpoint.dev/fleet=arena"

static struct price_row prices[] = {
    {STR("c5.xlarge"), STR("eu-central-1"), STR(""), STR("on-demand"), 1000000000},
    {STR("c5.xlarge"), STR("eu-central-1"), STR(""), STR("spot"), 400000000},
    {STR("odd.large"), STR("eu-central-1"), STR(""), STR("spot"), 400000000},
};
static const struct pod_spec arena = {.annotations = ARENA, .cpu_milli = 2000};

static struct fleet_settings *open_arena(struct world *w)
{
    world_open(w);
    w->s.prices.rows.p = prices;
    w->s.prices.rows.n = 3;
    struct fleet_settings *f = world_fleet(w, "arena");
    f->players = 10;
    f->session_p50_ms = f->session_p90_ms = 60 * MINUTE_MS;
    world_use(w, &policy_spot, NULL, NULL);
    return f;
}

static void three_kinds(struct world *w)
{
    world_start(w);
    world_node(w, (struct node_spec){.name = "od", .labels = ON_DEMAND REGION "a"});
    world_node(w, (struct node_spec){.name = "sp", .labels = SPOT REGION "a"});
    world_node(w, (struct node_spec){.name = "un", .labels = REGION "a"});
}

static int64_t risk(double hazard, double exposed_ms, double stake)
{
    return (int64_t)(-expm1(-hazard * exposed_ms / 3.6e6) * stake);
}

static void test_policy_spot_never_and_required_treat_unknown_apart(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w)->spot.policy = SPOT_NEVER;
    three_kinds(&w);
    assert_int_equal(world_reason(&w, arena, "sp"), REASON_SPOT_NEVER);
    assert_int_equal(world_reason(&w, arena, "od"), REASON_NONE);
    assert_int_equal(world_reason(&w, arena, "un"), REASON_NONE);
    world_close(&w);
    open_arena(&w)->spot.policy = SPOT_REQUIRED;
    three_kinds(&w);
    assert_int_equal(world_reason(&w, arena, "sp"), REASON_NONE);
    assert_int_equal(world_reason(&w, arena, "od"), REASON_SPOT_REQUIRED);
    assert_int_equal(world_reason(&w, arena, "un"), REASON_SPOT_REQUIRED);
    world_close(&w);
}

static void test_policy_spot_cost_is_price_and_risk(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    three_kinds(&w);
    /* a quarter of the node for an hour at 1.0; stake 10 x 0.05 + 0.10; c5 stands in bucket 4; 120 s of notice */
    assert_int_equal(world_cost(&w, arena, "od"), 250000000);
    int64_t want = 100000000 + risk(0.000495, 3.48e6, 6e8);
    int64_t got = world_cost(&w, arena, "sp");
    assert_in_range(got, want - 1, want + 1);
    world_explain(&w, arena, "sp");
    assert_non_null(strstr(w.term.note, "prior only"));
    assert_string_equal(w.term.unit, "currency per session");
    world_close(&w);
}

static void test_policy_spot_unknown_type_is_riskier_and_has_no_notice(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    world_start(&w);
    world_node(
        &w,
        (struct node_spec){
            .name = "odd",
            .labels =
                "node.kubernetes.io/instance-type=odd.large;karpenter.sh/capacity-type=spot;" REGION
                "a"});
    int64_t want = 100000000 + risk(0.000242 * 2, 3.6e6, 6e8), got = world_cost(&w, arena, "odd");
    assert_in_range(got, want - 1, want + 1);
    world_close(&w);
}

static void test_policy_spot_reclaims_seen_beat_the_prior(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w)->spot.max_hazard_per_hour = 0.01;
    three_kinds(&w);
    node_ix sp = cluster_find_node(w.c, STR("sp"));
    assert_int_equal(world_reason(&w, arena, "sp"), REASON_NONE);
    w.c->facts[sp.v].spot_interruptions = 1; /* (0.000495 x 48 + 1) / 48 = 0.0213 */
    assert_int_equal(world_reason(&w, arena, "sp"), REASON_SPOT_NOT_VIABLE);
    assert_int_equal(world_reason(&w, arena, "od"), REASON_NONE);
    w.c->facts[sp.v].spot_interruptions = 0;
    world_close(&w);
}

static void test_policy_spot_floor_is_exact(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w)->spot.min_on_demand_share = 0.3;
    three_kinds(&w);
    struct pod_spec p = arena;
    static const char *const names[] = {"p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"};
    /* 0 of 10 may be spot, then 7 of 10: the first and every third or fourth go on demand */
    int spot = 0;
    for (int i = 0; i < 10; i++) {
        p.name = names[i];
        p.cpu_milli = 100;
        bool may = (spot + 1) * 10 <= 0.7 * (i + 1) * 10 + 1e-9;
        enum reason r = world_reason(&w, p, "sp");
        assert_int_equal(r, may ? REASON_NONE : REASON_SPOT_FLOOR);
        p.node = may ? "sp" : "od";
        world_pod(&w, p);
        p.node = NULL;
        spot += may;
    }
    assert_int_equal(spot, 7);
    world_close(&w);
}

static void test_policy_spot_pool_cap_leaves_one_server(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w)->spot.max_pool_share = 0.5;
    three_kinds(&w);
    world_node(&w, (struct node_spec){.name = "sq", .labels = SPOT REGION "b"});
    struct pod_spec p = arena;
    p.name = "p0";
    assert_int_equal(world_reason(&w, p, "sp"), REASON_NONE); /* 10 > 0.5 x 10, but one server */
    p.node = "sp";
    world_pod(&w, p);
    p = arena;
    p.name = "p1";
    assert_int_equal(world_reason(&w, p, "sp"), REASON_SPOT_POOL_CAP); /* 20 > 0.5 x 20 */
    assert_int_equal(world_reason(&w, p, "sq"), REASON_NONE);
    p.node = "sq";
    world_pod(&w, p);
    p = arena;
    p.name = "p2";
    assert_int_equal(world_reason(&w, p, "sp"), REASON_SPOT_POOL_CAP); /* 20 > 15 */
    p.node = "od";
    world_pod(&w, p);
    p = arena;
    p.name = "p3";
    assert_int_equal(world_reason(&w, p, "sp"), REASON_NONE); /* 20 <= 0.5 x 40 */
    world_close(&w);
}

static void test_policy_spot_preferred_goes_by_risk_not_by_price(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w)->spot.policy = SPOT_PREFERRED;
    three_kinds(&w);
    assert_string_equal(world_choose(&w, arena), "sp");
    int64_t got = world_cost(&w, arena, "sp"), want = risk(0.000495, 3.48e6, 6e8);
    assert_in_range(got, want - 1, want + 1);
    assert_true(world_cost(&w, arena, "un") > INT64_C(500000000000000));
    world_close(&w);
}

static void test_policy_spot_end_of_life(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    three_kinds(&w);
    node_ix od = cluster_find_node(w.c, STR("od"));
    w.c->facts[od.v].end_ms = 1000 * MINUTE_MS;
    w.has_time = true;
    w.now_ms = 940 * MINUTE_MS; /* ends exactly with the session */
    assert_int_equal(world_reason(&w, arena, "od"), REASON_NONE);
    w.now_ms++;
    assert_int_equal(world_reason(&w, arena, "od"), REASON_EXPIRES);
    assert_int_equal(world_reason(&w, (struct pod_spec){.name = "web"}, "od"), REASON_NONE);
    w.has_time = false;
    w.now_ms = 0;
    assert_int_equal(world_reason(&w, arena, "od"), REASON_NONE);
    w.c->facts[od.v].end_ms = 0;
    world_close(&w);
}

/* The dear node has the smaller name: only the score can find the other. */
static void test_policy_spot_constant_score_is_caught(void **state)
{
    (void)state;
    struct world w;
    struct policy blunt = policy_with_constant_cost(&policy_spot);
    open_arena(&w);
    three_kinds(&w);
    assert_string_equal(world_choose(&w, arena), "sp");
    world_use(&w, &blunt, NULL, NULL);
    assert_string_equal(world_choose(&w, arena), "od");
    world_close(&w);
}

static void test_policy_spot_dropped_unknown_is_caught(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w)->spot.min_on_demand_share = 0.5;
    three_kinds(&w);
    struct pod_spec p = arena;
    p.name = "p0";
    p.node = "un"; /* counts in the total, neither as spot nor as on-demand */
    world_pod(&w, p);
    assert_int_equal(world_reason(&w, arena, "sp"), REASON_NONE); /* 10 <= 0.5 x 20 */
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_spot_never_and_required_treat_unknown_apart),
        cmocka_unit_test(test_policy_spot_cost_is_price_and_risk),
        cmocka_unit_test(test_policy_spot_unknown_type_is_riskier_and_has_no_notice),
        cmocka_unit_test(test_policy_spot_reclaims_seen_beat_the_prior),
        cmocka_unit_test(test_policy_spot_floor_is_exact),
        cmocka_unit_test(test_policy_spot_pool_cap_leaves_one_server),
        cmocka_unit_test(test_policy_spot_preferred_goes_by_risk_not_by_price),
        cmocka_unit_test(test_policy_spot_end_of_life),
        cmocka_unit_test(test_policy_spot_constant_score_is_caught),
        cmocka_unit_test(test_policy_spot_dropped_unknown_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
