// SPDX-License-Identifier: Apache-2.0
#include "support/policy_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

extern const struct policy policy_node_pool;

#define ARENA "spawnpoint.dev/fleet=arena"
#define WISH  INT64_C(300000000)  /* one soft wish for half an hour: 0.25 x 30 / 25 */
#define PLACE INT64_C(6000000000) /* one place down an order: 5 x 30 / 25 */

static const struct pod_spec arena = {.annotations = ARENA},
                             web = {.name = "web", .owner = "ReplicaSet"},
                             agent = {.name = "agent", .owner = "DaemonSet"};
static const struct kv_desc is_metal = {STR("pool"), STR("metal")},
                            is_spot = {STR("pool"), STR("spot")};
static struct pool_settings pools[2];
static struct str order[] = {STR("metal"), STR("spot")}, arena_only[] = {STR("arena")};

static struct fleet_settings *open_arena(struct world *w)
{
    world_open(w);
    pools[0] = (struct pool_settings){.name = STR("metal"), .price_nano_hour = -1};
    pools[1] = (struct pool_settings){.name = STR("spot"), .price_nano_hour = -1};
    pools[0].match = (struct selector_desc){.given = true, .match_labels = {&is_metal, 1}};
    pools[1].match = (struct selector_desc){.given = true, .match_labels = {&is_spot, 1}};
    w->s.pools.p = pools;
    w->s.pools.n = 2;
    struct fleet_settings *f = world_fleet(w, "arena");
    f->session_p50_ms = f->session_p90_ms = 30 * MINUTE_MS;
    world_use(w, &policy_node_pool, NULL, NULL);
    return f;
}

static void node(struct world *w, const char *name, const char *labels, const char *taints)
{
    world_node(w, (struct node_spec){.name = name, .labels = labels, .taints = taints});
}

static void test_policy_node_pool_system_and_reserved(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    pools[0].fleets = (str_list){arena_only, 1};
    pools[1].system = true;
    world_start(&w);
    node(&w, "aks", "kubernetes.azure.com/mode=system", NULL);
    node(&w, "metal", "pool=metal", NULL);
    node(&w, "sys", "pool=spot", NULL);
    assert_int_equal(world_reason(&w, arena, "aks"), REASON_POOL_SYSTEM);
    assert_int_equal(world_reason(&w, arena, "sys"), REASON_POOL_SYSTEM);
    assert_int_equal(world_reason(&w, arena, "metal"), REASON_NONE);
    assert_int_equal(world_reason(&w, web, "aks"), REASON_NONE);
    assert_int_equal(world_reason(&w, web, "metal"), REASON_POOL_RESERVED);
    assert_int_equal(world_reason(&w, agent, "metal"), REASON_NONE);
    struct pod_spec other = {.name = "o", .annotations = "spawnpoint.dev/fleet=other"};
    assert_int_equal(world_reason(&w, other, "metal"), REASON_POOL_RESERVED);
    world_close(&w);
}

static void test_policy_node_pool_leaving_nodes(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    world_start(&w);
    node(&w, "doomed", NULL, "ToBeDeletedByClusterAutoscaler=1:NoSchedule");
    node(&w, "soon", NULL, "DeletionCandidateOfClusterAutoscaler=1:PreferNoSchedule");
    node(&w, "tainted", NULL, "x=y:PreferNoSchedule");
    assert_int_equal(world_reason(&w, arena, "doomed"), REASON_NODE_LEAVING);
    assert_int_equal(world_reason(&w, agent, "doomed"), REASON_NONE);
    /* four wishes and one, and the candidate's taint does not count twice */
    assert_int_equal(world_cost(&w, arena, "soon"), 4 * WISH);
    assert_int_equal(world_cost(&w, arena, "tainted"), WISH);
    struct pod_spec four_hours = {.name = "l",
                                  .annotations = ARENA ";spawnpoint.dev/session-length=4h"};
    assert_int_equal(world_cost(&w, four_hours, "soon"), 8 * 4 * WISH);
    struct pod_spec minute = {.name = "m",
                              .annotations = ARENA ";spawnpoint.dev/session-length=1m"};
    assert_int_equal(world_cost(&w, minute, "tainted"), 125000000);
    world_close(&w);
}

static void test_policy_node_pool_virtual_nodes(void **state)
{
    (void)state;
    struct world w;
    struct fleet_settings *f = open_arena(&w);
    world_start(&w);
    node(&w, "vk", "type=virtual-kubelet", NULL);
    node(&w, "fargate", "eks.amazonaws.com/compute-type=fargate", NULL);
    struct pod_spec port = arena, udp = arena;
    port.host_port = 7777;
    udp.udp = true;
    assert_int_equal(world_reason(&w, port, "vk"), REASON_NODE_VIRTUAL);
    assert_int_equal(world_reason(&w, udp, "fargate"), REASON_NODE_VIRTUAL);
    assert_int_equal(world_reason(&w, arena, "vk"), REASON_NONE);
    f->hardware.no_virtual_set = true;
    f->hardware.no_virtual = false;
    struct err err = ERR_NONE;
    assert_int_equal(cluster_set_settings(w.c, &w.s, &err), 0);
    assert_int_equal(world_reason(&w, port, "vk"), REASON_NONE);
    f->hardware.no_virtual = true;
    assert_int_equal(cluster_set_settings(w.c, &w.s, &err), 0);
    assert_int_equal(world_reason(&w, arena, "vk"), REASON_NODE_VIRTUAL);
    world_close(&w);
}

#define CLOCK "karpenter.k8s.aws/instance-cpu-sustained-clock-speed-mhz="

static void test_policy_node_pool_hardware(void **state)
{
    (void)state;
    struct world w;
    struct fleet_settings *f = open_arena(&w);
    f->hardware.min_clock_mhz = 3000;
    f->hardware.no_burstable = true;
    f->hardware.arch = STR("amd64");
    world_start(&w);
    node(&w, "fast", CLOCK "3500;kubernetes.io/arch=amd64", NULL);
    node(&w, "slow", CLOCK "2400;kubernetes.io/arch=amd64", NULL);
    node(&w, "burst",
         CLOCK "3500;kubernetes.io/arch=amd64;node.kubernetes.io/instance-type=t3.large", NULL);
    node(&w, "arm", CLOCK "3500;kubernetes.io/arch=arm64", NULL);
    node(&w, "blind", "kubernetes.io/arch=amd64", NULL);
    assert_int_equal(world_reason(&w, arena, "fast"), REASON_NONE);
    assert_int_equal(world_reason(&w, arena, "slow"), REASON_HARDWARE);
    assert_int_equal(world_reason(&w, arena, "burst"), REASON_HARDWARE);
    assert_int_equal(world_reason(&w, arena, "arm"), REASON_HARDWARE);
    assert_int_equal(world_cost(&w, arena, "fast"), 0);
    assert_int_equal(world_cost(&w, arena, "blind"), WISH);
    assert_int_equal(world_reason(&w, web, "slow"), REASON_NONE);
    world_close(&w);
}

static void test_policy_node_pool_density(void **state)
{
    (void)state;
    struct world w;
    struct fleet_settings *f = open_arena(&w);
    f->max_servers_per_core = 0.25;
    world_start(&w);
    node(&w, "n", NULL, NULL); /* 8 cores: two servers */
    world_pod(&w, (struct pod_spec){.name = "a", .node = "n", .annotations = ARENA});
    assert_int_equal(world_reason(&w, arena, "n"), REASON_NONE);
    world_pod(&w, (struct pod_spec){.name = "b", .node = "n", .annotations = ARENA});
    assert_int_equal(world_reason(&w, arena, "n"), REASON_DENSITY);
    assert_int_equal(world_reason(&w, web, "n"), REASON_NONE);
    f->max_servers_per_core = 0;
    f->max_servers_per_node = 3;
    struct err err = ERR_NONE;
    assert_int_equal(cluster_set_settings(w.c, &w.s, &err), 0);
    assert_int_equal(world_reason(&w, arena, "n"), REASON_NONE);
    world_pod(&w, (struct pod_spec){.name = "c", .node = "n", .annotations = ARENA});
    assert_int_equal(world_reason(&w, arena, "n"), REASON_DENSITY);
    world_close(&w);
}

#define REGION "topology.kubernetes.io/region="

static void test_policy_node_pool_regions(void **state)
{
    (void)state;
    static struct str allowed[] = {STR("r1"), STR("r2"), STR("r3")}, replicas[] = {STR("r2")},
                      disabled[] = {STR("r3")};
    struct world w;
    struct fleet_settings *f = open_arena(&w);
    f->regions.allowed = (str_list){allowed, 3};
    f->regions.disabled = (str_list){disabled, 1};
    f->regions.replicas = (str_list){replicas, 1};
    f->regions.primary = STR("r1");
    world_start(&w);
    node(&w, "n1", REGION "r1", NULL);
    node(&w, "n2", REGION "r2", NULL);
    node(&w, "n3", REGION "r3", NULL);
    node(&w, "n4", REGION "r4", NULL);
    node(&w, "n5", NULL, NULL);
    assert_int_equal(world_cost(&w, arena, "n1"), 0);
    assert_int_equal(world_cost(&w, arena, "n2"), PLACE);
    assert_int_equal(world_reason(&w, arena, "n3"), REASON_REGION_DISABLED);
    assert_int_equal(world_reason(&w, arena, "n4"), REASON_REGION_NOT_ALLOWED);
    assert_int_equal(world_reason(&w, arena, "n5"), REASON_REGION_NOT_ALLOWED);
    struct pod_spec annotated = {.annotations = ARENA ";spawnpoint.dev/regions=r4"};
    assert_int_equal(world_reason(&w, annotated, "n4"), REASON_NONE);
    assert_int_equal(world_reason(&w, annotated, "n1"), REASON_REGION_NOT_ALLOWED);
    world_close(&w);
}

/* The preferred pool has the larger name: only the score can find it. */
static void test_policy_node_pool_constant_score_is_caught(void **state)
{
    (void)state;
    struct world w;
    struct policy blunt = policy_with_constant_cost(&policy_node_pool);
    open_arena(&w)->pools = (str_list){order, 2};
    world_start(&w);
    node(&w, "a-other", NULL, NULL);
    node(&w, "b-spot", "pool=spot", NULL);
    node(&w, "c-metal", "pool=metal", NULL);
    assert_string_equal(world_choose(&w, arena), "c-metal");
    assert_int_equal(world_cost(&w, arena, "b-spot"), PLACE);
    assert_int_equal(world_cost(&w, arena, "a-other"), 2 * PLACE);
    world_explain(&w, arena, "b-spot");
    assert_true(w.term.value == 1);
    assert_string_equal(w.term.note, "pool spot is number 2 of 2");
    world_use(&w, &blunt, NULL, NULL);
    assert_string_equal(world_choose(&w, arena), "a-other");
    world_close(&w);
}

/* A node of unknown clock must neither be refused nor stand beside one that is known to be fast enough. */
static void test_policy_node_pool_dropped_unknown_is_caught(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w)->hardware.min_clock_mhz = 3000;
    world_start(&w);
    node(&w, "a-blind", NULL, NULL);
    assert_string_equal(world_choose(&w, arena), "a-blind");
    node(&w, "b-fast", CLOCK "3200", NULL);
    assert_string_equal(world_choose(&w, arena), "b-fast");
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_node_pool_system_and_reserved),
        cmocka_unit_test(test_policy_node_pool_leaving_nodes),
        cmocka_unit_test(test_policy_node_pool_virtual_nodes),
        cmocka_unit_test(test_policy_node_pool_hardware),
        cmocka_unit_test(test_policy_node_pool_density),
        cmocka_unit_test(test_policy_node_pool_regions),
        cmocka_unit_test(test_policy_node_pool_constant_score_is_caught),
        cmocka_unit_test(test_policy_node_pool_dropped_unknown_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
