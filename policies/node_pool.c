// SPDX-License-Identifier: Apache-2.0
//
// Which pools a fleet uses: system and reserved pools, leaving and virtual nodes, hardware, density, regions; and in which
// order of preference. docs/policies/node-pool.md
#include "model/conventions.h"
#include "policies/fleet_rules.h"

/* A node that the autoscaler has its eye on, or that got a rebalance hint, weighs as four tainted ones: there the session
 * is likely to be moved, not just unwelcome. */
#define LEAVING_WISHES   4
/* A taint that a short session hardly minds: half a wish at least. */
#define TAINT_FACTOR_MIN 0.5

struct pool_state {
    int32_t *
        position; /* by pool of settings.pools: place in the fleet's order; n_order where not named */
    int32_t n_order;
    double taint_factor, factor; /* session length in yardsticks */
};

static int32_t order_of(const struct fleet_settings *f, struct str pool)
{
    for (uint32_t i = 0; i < f->pools.n; i++) {
        if (str_eq(f->pools.p[i], pool)) {
            return (int32_t)i;
        }
    }
    return (int32_t)f->pools.n;
}

static int node_pool_class_begin(struct policy_ctx *ctx, struct arena *arena, void **ret,
                                 struct err *err)
{
    uint32_t n = ctx->settings->pools.n;
    struct pool_state *st = arena_calloc(arena, 1, sizeof *st);
    int32_t *position = arena_calloc(arena, n + 1, sizeof *position);
    if (!st || !position) {
        return err_nomem(err);
    }
    st->position = position;
    st->n_order = (int32_t)ctx->game->settings->pools.n;
    for (uint32_t i = 0; i < n; i++) {
        position[i] = order_of(ctx->game->settings, ctx->settings->pools.p[i].name);
    }
    st->taint_factor = session_factor(ctx, TAINT_FACTOR_MIN);
    st->factor = session_factor(ctx, 1);
    *ret = st;
    return 0;
}

static int node_pool_prepare(struct policy_ctx *ctx, struct err *err)
{
    (void)err;
    return ctx->cls->flags & (CLASS_DAEMON | CLASS_MIRROR) ? POLICY_SKIP : 0;
}

static bool arch_differs(const struct policy_ctx *ctx, node_ix node)
{
    struct str want = ctx->game->settings->hardware.arch;
    struct str is = sym_str(ctx->c->syms, ctx->c->facts[node.v].arch);
    return want.n > 0 && is.n > 0 && !str_eq(want, is);
}

/* What is known and wrong refuses; what is unknown costs a wish (unknown_hardware). */
static enum reason hardware_refusal(const struct policy_ctx *ctx, node_ix node)
{
    const struct fleet_settings *s = ctx->game->settings;
    const struct node_facts *f = &ctx->c->facts[node.v];
    bool slow = s->hardware.min_clock_mhz > 0 && f->clock_mhz > 0 &&
                f->clock_mhz < s->hardware.min_clock_mhz;
    bool old = s->hardware.min_generation > 0 && f->generation > 0 &&
               f->generation < s->hardware.min_generation;
    bool burst = s->hardware.no_burstable && (ctx->c->flags[node.v] & NODE_BURSTABLE);
    return slow || old || burst || arch_differs(ctx, node) ? REASON_HARDWARE : REASON_NONE;
}

static uint32_t unknown_hardware(const struct policy_ctx *ctx, node_ix node)
{
    const struct fleet_settings *s = ctx->game->settings;
    const struct node_facts *f = &ctx->c->facts[node.v];
    uint32_t n = s->hardware.min_clock_mhz > 0 && f->clock_mhz <= 0;
    n += s->hardware.min_generation > 0 && f->generation <= 0;
    n += s->hardware.arch.n > 0 && f->arch.v == 0;
    return n;
}

static bool at_density_cap(const struct policy_ctx *ctx, node_ix node)
{
    const struct fleet_settings *s = ctx->game->settings;
    int64_t after = (int64_t)ctx->c->n_game[node.v] + 1;
    if (s->max_servers_per_node > 0 && after > s->max_servers_per_node) {
        return true;
    }
    if (s->max_servers_per_core > 0) {
        double cores = (double)node_has(ctx->c, (res_ix){RES_CPU}, node) / 1000.0;
        double cap = cores * s->max_servers_per_core + 1e-9;
        return (double)after > (cap < 1 ? 1 : cap); /* the first server always fits */
    }
    return false;
}

static enum reason judge_node(const struct policy_ctx *ctx, node_ix node)
{
    enum reason r = rule_pool(ctx, node);
    if (r == REASON_NONE) {
        r = rule_region(ctx, node);
    }
    if (r != REASON_NONE || !ctx->game->is_game) {
        return r;
    }
    r = hardware_refusal(ctx, node);
    return r != REASON_NONE ? r : at_density_cap(ctx, node) ? REASON_DENSITY : REASON_NONE;
}

static void node_pool_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                             struct verdict *ret)
{
    for (uint32_t i = 0; i < n; i++) {
        if (ret[i].reason == REASON_NONE) {
            enum reason r = judge_node(ctx, nodes[i]);
            ret[i].reason = (uint16_t)r;
            ret[i].unresolvable = r != REASON_NONE && reason_unresolvable(r);
        }
    }
}

/* Primary region 0, replicas by their place, anything else behind them. */
static int32_t region_position(const struct policy_ctx *ctx, node_ix node)
{
    const struct fleet_settings *s = ctx->game->settings;
    struct str region = sym_str(ctx->c->syms, ctx->c->facts[node.v].region);
    if (s->regions.primary.n == 0 || str_eq(region, s->regions.primary)) {
        return 0;
    }
    for (uint32_t i = 0; i < s->regions.replicas.n; i++) {
        if (str_eq(region, s->regions.replicas.p[i])) {
            return (int32_t)i + 1;
        }
    }
    return (int32_t)s->regions.replicas.n + 1;
}

static int32_t pool_position(const struct policy_ctx *ctx, node_ix node)
{
    const struct pool_state *st = ctx->class_state;
    int32_t pool = ctx->c->facts[node.v].pool;
    if (st->n_order == 0) {
        return 0;
    }
    return pool >= 0 && (uint32_t)pool < ctx->settings->pools.n ? st->position[pool] : st->n_order;
}

/* Untolerated PreferNoSchedule taints that do not already stand for a leaving node. */
static uint32_t soft_taints(const struct policy_ctx *ctx, node_ix node)
{
    const struct node_facts *f = &ctx->c->facts[node.v];
    const struct symtab *t = ctx->c->syms;
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n_taints; i++) {
        const struct taint *taint = &f->taints[i];
        if (taint->effect == EFFECT_PREFER_NO_SCHEDULE && !match_tolerates(ctx, taint)) {
            n += conventions_taint_doom(sym_str(t, taint->key), sym_str(t, taint->val),
                                        taint->effect) == 0;
        }
    }
    return n;
}

struct pool_wishes {
    int32_t pool, region;
    uint32_t taints, unknown;
    bool leaving, burstable, game_pool;
    double wishes, places; /* soft wishes not granted; places down the orders; both in yardsticks */
    double value;          /* both together, whatever the session */
};

static struct pool_wishes count_wishes(const struct policy_ctx *ctx, node_ix node)
{
    const struct pool_state *st = ctx->class_state;
    uint32_t flags = ctx->c->flags[node.v];
    bool game = ctx->game->is_game, stays = game || ctx->game->pins_node;
    struct pool_wishes w = {
        .pool = pool_position(ctx, node),
        .region = region_position(ctx, node),
        .taints = soft_taints(ctx, node),
        .unknown = game ? unknown_hardware(ctx, node) : 0,
        .leaving = stays && (flags & NODE_LEAVING_SOON),
        .burstable = game && (flags & NODE_BURSTABLE),
        .game_pool = !game && (flags & NODE_GAME_POOL),
    };
    double soft = (double)w.unknown + (w.burstable ? 1 : 0) + (w.game_pool ? 1 : 0);
    double taints = (double)w.taints + (w.leaving ? LEAVING_WISHES : 0);
    w.places = st->factor * (w.pool + w.region);
    w.wishes = st->factor * soft + st->taint_factor * taints;
    w.value = w.pool + w.region + soft + taints;
    return w;
}

static void node_pool_cost(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                           int64_t *cost)
{
    double wish = (double)ctx->settings->rates.soft_wish,
           place = (double)ctx->settings->rates.order_place;
    for (uint32_t i = 0; i < n; i++) {
        struct pool_wishes w = count_wishes(ctx, nodes[i]);
        cost_add(&cost[i], cost_clamp(w.wishes * wish + w.places * place));
    }
}

static void node_pool_explain(const struct policy_ctx *ctx, node_ix node, struct policy_term *ret)
{
    const struct pool_state *st = ctx->class_state;
    struct pool_wishes w = count_wishes(ctx, node);
    int32_t pool = ctx->c->facts[node.v].pool;
    ret->value = w.value;
    if (st->n_order > 0 && w.pool < st->n_order) {
        struct str name = ctx->settings->pools.p[pool].name;
        note_add(ret, "pool " STR_FMT " is number %d of %d", STR_ARG(name), (int)w.pool + 1,
                 (int)st->n_order);
    } else if (st->n_order > 0) {
        note_add(ret, "pool is not in the fleet's order");
    }
    if (w.region > 0) {
        note_add(ret, "region is number %d of the fleet's order", (int)w.region + 1);
    }
    if (w.taints > 0) {
        note_add(ret, "%u PreferNoSchedule taint(s)", (unsigned)w.taints);
    }
    if (w.leaving) {
        note_add(ret, "node may leave soon");
    }
    if (w.burstable) {
        note_add(ret, "burstable CPU");
    }
    if (w.unknown > 0) {
        note_add(ret, "hardware unknown");
    }
    if (w.game_pool) {
        note_add(ret, "pool is kept for game servers");
    }
}

const struct policy policy_node_pool = {
    .name = "node-pool",
    .unit = "wishes and places",
    .filter_dep = DEP_NODE, /* density counts the servers on the node */
    .cost_dep = DEP_STATIC,
    .judged_live = true,
    .judged_snapshot = true,
    .class_begin = node_pool_class_begin,
    .prepare = node_pool_prepare,
    .filter = node_pool_filter,
    .cost = node_pool_cost,
    .explain = node_pool_explain,
};
