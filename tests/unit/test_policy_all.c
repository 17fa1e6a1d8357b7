// SPDX-License-Identifier: Apache-2.0
//
// All policies of the preset "spawnpoint" on clusters that change at random: what the engine keeps between decisions
// must never differ from a plain evaluation.
#include "policies/presets.h"
#include "support/policy_world.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define STEPS 1500
#define NODES 24

static const char *const zones[] = {
    "", ";topology.kubernetes.io/zone=eu-central-1a", ";topology.kubernetes.io/zone=eu-central-1b",
    ";topology.kubernetes.io/zone=us-east-1a", ";topology.kubernetes.io/zone=0"};
static const char *const kinds[] = {
    "", ";karpenter.sh/capacity-type=spot;node.kubernetes.io/instance-type=c5.large",
    ";eks.amazonaws.com/capacityType=ON_DEMAND", ";pool=metal",
    ";node.kubernetes.io/instance-type=t3.large"};
static const char *const taints[] = {"",
                                     "",
                                     "",
                                     "x=y:PreferNoSchedule",
                                     "x=y:NoSchedule",
                                     "DeletionCandidateOfClusterAutoscaler=1:PreferNoSchedule"};
static const char *const games[] = {"spawnpoint.dev/fleet=arena",
                                    "spawnpoint.dev/fleet=duel;spawnpoint.dev/players=2", "",
                                    "spawnpoint.dev/fleet=arena;spawnpoint.dev/spot=preferred",
                                    "spawnpoint.dev/fleet=world;spawnpoint.dev/session-length=5h"};

static struct demand_share demand[] = {{STR("DE"), 0.6}, {STR("US"), 0.4}};
static struct str order[] = {STR("metal")};
static const struct kv_desc is_metal = {STR("pool"), STR("metal")};
static struct pool_settings pool = {.name = {"metal", 5}, .price_nano_hour = 100000000};

static uint32_t pick(struct rng *r, uint32_t n)
{
    return (uint32_t)(rng_next(r) % n);
}

SP_PRINTF(2, 3) static char *text(struct world *w, const char *fmt, ...)
{
    char *p = arena_alloc(&w->arena, 256);
    va_list ap;
    assert_non_null(p);
    va_start(ap, fmt);
    vsnprintf(p, 256, fmt, ap);
    va_end(ap);
    return p;
}

static void change_node(struct world *w, struct rng *r)
{
    char *name = text(w, "n%u", pick(r, NODES));
    if (pick(r, 6) == 0) {
        cluster_remove_node(w->c, str_c(name));
        return;
    }
    bool gpu = pick(r, 4) == 0;
    world_node(w, (struct node_spec){.name = name,
                                     .labels = text(w, "kubernetes.io/hostname=%s%s%s", name,
                                                    zones[pick(r, 5)], kinds[pick(r, 5)]),
                                     .taints = taints[pick(r, 6)],
                                     .gpus = gpu ? 1 + pick(r, 4) : 0,
                                     .cpu_milli = 4000 + 4000 * pick(r, 3),
                                     .image = pick(r, 3) ? NULL : "game:1",
                                     .image_mib = 700,
                                     .cordoned = pick(r, 10) == 0});
}

static struct pod_spec random_pod(struct world *w, struct rng *r, uint32_t n)
{
    struct pod_spec p = {.name = text(w, "p%u", n),
                         .annotations = games[pick(r, 5)],
                         .cpu_milli = 250 + 250 * pick(r, 4)};
    p.gpus = pick(r, 5) == 0 ? 1 + pick(r, 2) : 0;
    p.labels = pick(r, 2) ? "app=web" : "app=cache";
    switch (pick(r, 6)) {
    case 0:
        p.prefer_node = "pool=metal";
        break;
    case 1:
        p.near = "app=cache";
        break;
    case 2:
        p.apart = "app=web";
        p.topo = "topology.kubernetes.io/zone";
        break;
    case 3:
        p.spread = "app=web";
        break;
    default:
        break;
    }
    return p;
}

static void open_random(struct world *w)
{
    world_open(w);
    struct fleet_settings *f = world_fleet(w, "arena");
    f->players = 64;
    f->demand.p = demand;
    f->demand.n = 2;
    f->zone_spread.max_player_share = 0.6;
    f->spot.min_on_demand_share = 0.2;
    f->pools = (str_list){order, 1};
    f = world_fleet(w, "duel");
    f->zone_spread.max_skew = 4;
    pool.match = (struct selector_desc){.given = true, .match_labels = {&is_metal, 1}};
    w->s.pools.p = &pool;
    w->s.pools.n = 1;
    w->named = preset_find(STR("spawnpoint"));
    assert_non_null(w->named);
    world_start(w);
}

static void test_policy_all_kept_equals_plain(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct world w;
        struct rng r;
        uint32_t placed = 0;
        rng_seed(&r, seed);
        open_random(&w);
        for (uint32_t i = 0; i < NODES * 2; i++) {
            change_node(&w, &r);
        }
        w.has_time = true;
        for (uint32_t step = 0; step < STEPS; step++) {
            w.now_ms = (int64_t)step * 20000 + 1;
            w.waited_ms = pick(&r, 10) ? 0 : 200000;
            w.judge = (enum judge)pick(&r, 3);
            uint32_t what = pick(&r, 10);
            if (what < 2) {
                change_node(&w, &r);
            } else if (what < 4 && step > 0) {
                cluster_remove_pod(w.c, STR("default"), str_c(text(&w, "p%u", pick(&r, step))));
            } else {
                placed += world_place(&w, random_pod(&w, &r, step))[0] != '\0';
            }
        }
        assert_true(placed > STEPS / 10);
        world_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_all_kept_equals_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
