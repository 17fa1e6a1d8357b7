// SPDX-License-Identifier: Apache-2.0
#include "support/policy_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

extern const struct policy policy_soft_wishes;

/* One soft wish of pods that stay for ever: 0.25 for each 25 minutes of 30 days. */
#define WISH (INT64_C(250000000) * 1728)
#define ZONE "topology.kubernetes.io/zone="
#define HOST "kubernetes.io/hostname="

static void open_world(struct world *w)
{
    world_open(w);
    world_use(w, &policy_soft_wishes, NULL, NULL);
    world_start(w);
    world_node(w, (struct node_spec){.name = "a", .labels = HOST "a;" ZONE "x"});
    world_node(w, (struct node_spec){.name = "b", .labels = HOST "b;" ZONE "y;disk=ssd"});
    world_node(w, (struct node_spec){.name = "c", .labels = HOST "c;" ZONE "z"});
}

static void test_policy_soft_wishes_preferred_node_affinity(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    struct pod_spec p = {.prefer_node = "disk=ssd", .prefer_weight = 80};
    assert_int_equal(world_cost(&w, p, "a"), WISH * 8 / 10);
    assert_int_equal(world_cost(&w, p, "b"), 0);
    world_explain(&w, p, "a");
    assert_true(w.term.value > 0.799 && w.term.value < 0.801);
    assert_string_equal(w.term.unit, "wishes");
    assert_non_null(strstr(w.term.note, "lacks 80 of 100"));
    world_close(&w);
}

static void test_policy_soft_wishes_pods_near_and_apart(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    world_pod(&w, (struct pod_spec){.name = "c1", .node = "c", .labels = "app=cache"});
    world_pod(&w, (struct pod_spec){.name = "c2", .node = "c", .labels = "app=cache"});
    world_pod(&w, (struct pod_spec){.name = "b1", .node = "b", .labels = "app=cache"});
    struct pod_spec near = {.near = "app=cache"};
    assert_int_equal(world_cost(&w, near, "c"),
                     0); /* the best grants the wish, the worst nothing, between in proportion */
    assert_int_equal(world_cost(&w, near, "b"), WISH / 2);
    assert_int_equal(world_cost(&w, near, "a"), WISH);
    struct pod_spec apart = {.apart = "app=cache", .prefer_weight = 50};
    assert_int_equal(world_cost(&w, apart, "a"), 0);
    assert_int_equal(world_cost(&w, apart, "b"), WISH / 4);
    assert_int_equal(world_cost(&w, apart, "c"), WISH / 2);
    struct pod_spec nobody = {.near = "app=none"};
    assert_int_equal(world_cost(&w, nobody, "a"), 0); /* all alike: nothing is invented */
    world_close(&w);
}

/* What stands already wishes too: a pod of a class that came after this one was first seen is noticed. */
static void test_policy_soft_wishes_of_pods_that_stand(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    struct pod_spec noisy = {.name = "noisy", .labels = "app=noisy"};
    world_explain(&w, noisy, "a");
    assert_string_equal(w.term.note, "");
    world_pod(&w, (struct pod_spec){
                      .name = "quiet", .node = "a", .apart = "app=noisy", .prefer_weight = 60});
    assert_int_equal(world_cost(&w, noisy, "a"), WISH * 6 / 10);
    assert_int_equal(world_cost(&w, noisy, "b"), 0);
    struct pod_spec other = {.name = "other", .labels = "app=other"};
    assert_int_equal(world_cost(&w, other, "a"), 0);
    world_close(&w);
}

static void test_policy_soft_wishes_schedule_anyway(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    world_node(&w, (struct node_spec){.name = "d", .labels = HOST "d"});
    world_pod(&w, (struct pod_spec){.name = "s1", .node = "a", .labels = "app=web"});
    world_pod(&w, (struct pod_spec){.name = "s2", .node = "a", .labels = "app=web"});
    world_pod(&w, (struct pod_spec){.name = "s3", .node = "b", .labels = "app=web"});
    struct pod_spec p = {.labels = "app=web", .spread = "app=web"};
    assert_int_equal(world_cost(&w, p, "a"), WISH); /* 2 of at most 2 */
    assert_int_equal(world_cost(&w, p, "b"), WISH / 2);
    assert_int_equal(world_cost(&w, p, "c"), 0);
    assert_int_equal(world_cost(&w, p, "d"), WISH); /* lacks the key */
    world_close(&w);
}

static void test_policy_soft_wishes_images(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    struct pod_spec p = {.image = "game:1"};
    assert_int_equal(world_cost(&w, p, "a"), 0); /* no node has it: says nothing */
    world_node(&w, (struct node_spec){
                       .name = "e", .labels = HOST "e", .image = "game:1", .image_mib = 1200});
    assert_int_equal(world_cost(&w, p, "a"), WISH / 10);
    assert_int_equal(world_cost(&w, p, "e"), 0);
    assert_string_equal(world_choose(&w, p), "e");
    cluster_remove_node(w.c, STR("e"));
    assert_int_equal(world_cost(&w, p, "a"), 0);
    world_close(&w);
}

static void test_policy_soft_wishes_constant_score_is_caught(void **state)
{
    (void)state;
    struct world w;
    struct policy blunt = policy_with_constant_cost(&policy_soft_wishes);
    open_world(&w);
    struct pod_spec p = {.prefer_node = "disk=ssd"};
    assert_string_equal(world_choose(&w, p), "b");
    world_use(&w, &blunt, NULL, NULL);
    assert_string_equal(world_choose(&w, p), "a");
    world_close(&w);
}

/* A node without the topology key grants no spreading; taken as empty it would win by its name. */
static void test_policy_soft_wishes_dropped_unknown_is_caught(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    world_node(&w, (struct node_spec){.name = "0", .labels = HOST "0"});
    world_pod(&w, (struct pod_spec){.name = "s1", .node = "a", .labels = "app=web"});
    struct pod_spec p = {.labels = "app=web", .spread = "app=web"};
    assert_string_equal(world_choose(&w, p), "b");
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_soft_wishes_preferred_node_affinity),
        cmocka_unit_test(test_policy_soft_wishes_pods_near_and_apart),
        cmocka_unit_test(test_policy_soft_wishes_of_pods_that_stand),
        cmocka_unit_test(test_policy_soft_wishes_schedule_anyway),
        cmocka_unit_test(test_policy_soft_wishes_images),
        cmocka_unit_test(test_policy_soft_wishes_constant_score_is_caught),
        cmocka_unit_test(test_policy_soft_wishes_dropped_unknown_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
