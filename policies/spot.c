// SPDX-License-Identifier: Apache-2.0
//
// Spot capacity: who may use it, how much of a fleet and of a pool, and what a session there really costs once the chance
// of losing it is priced. Also refuses nodes whose end of life comes before the session's. docs/policies/spot.md
#include "base/fmath.h"
#include "policies/fleet_rules.h"

/* Prior hazard per hour by advisor bucket: -ln(1 - b) / 720 h for the feed's upper bounds b = 5, 11, 16, 22 and, for the
 * open end, 30 %. */
static const double bucket_hazard[] = {0.0000712, 0.000162, 0.000242, 0.000345, 0.000495};
#define UNKNOWN_BUCKET   2
/* An unknown type gets the middle bucket times this: nobody vouches for it. */
#define UNKNOWN_STRESS   2.0
/* Weight of the prior in node-hours: two days of evidence from one node outweigh it. */
#define PRIOR_NODE_HOURS 48.0
/* AKS keeps a spot scale set in one fault domain: one event takes all of it, and there is no neighbour to go to. */
#define ONE_FAULT_DOMAIN 1.5

struct bucket {
    const char *family;
    int bucket;
};
static const struct bucket buckets[] = {
#define SPOT_BUCKET(family, bucket) {family, bucket},
#include "policies/spot_buckets.def"
#undef SPOT_BUCKET
};

struct spot_state {
    const struct fleet_row *fleet; /* NULL without a fleet */
    bool floor_reached;            /* no more spot for this pod now */
    bool capped;                   /* a pool cap is configured */
    double cap_players;            /* a spot pool's most players after this pod */
    int64_t end_ms;                /* of this pod's session; 0 = no time, or not a game */
};

static int spot_prepare(struct policy_ctx *ctx, struct err *err)
{
    const struct fleet_settings *s = ctx->game->settings;
    if (ctx->cls->flags & (CLASS_DAEMON | CLASS_MIRROR)) {
        return POLICY_SKIP;
    }
    struct spot_state *st = arena_calloc(ctx->scratch, 1, sizeof *st);
    if (!st) {
        return err_nomem(err);
    }
    ctx->state = st;
    if (ctx->game->is_game && ctx->now_ms > 0) {
        st->end_ms = ctx->now_ms + session_left_ms(ctx);
    }
    if (!ctx->game->is_game || ctx->game->fleet.v >= ctx->c->n_fleets) {
        return 0;
    }
    st->fleet = &ctx->c->fleets[ctx->game->fleet.v];
    int64_t own = ctx->pod->players, total = st->fleet->players + own;
    double slop = 1e-9 * (double)(total + 1);
    if (s->spot.min_on_demand_share > 0) {
        double most = (1 - s->spot.min_on_demand_share) * (double)total + slop;
        st->floor_reached = (double)(st->fleet->spot_players + own) > most;
    }
    st->capped = s->spot.max_pool_share < 1;
    st->cap_players = s->spot.max_pool_share * (double)total + slop;
    st->cap_players = st->cap_players < (double)own ? (double)own : st->cap_players;
    return 0;
}

static int prior_bucket(struct str instance_type)
{
    size_t n = 0;
    while (n < instance_type.n && instance_type.p[n] != '.') {
        n++;
    }
    struct str family = {instance_type.p, n};
    uint32_t lo = 0, hi = SP_COUNTOF(buckets);
    while (lo < hi && n < instance_type.n) {
        uint32_t mid = lo + (hi - lo) / 2;
        int order = str_cmp(family, str_c(buckets[mid].family));
        if (order == 0) {
            return buckets[mid].bucket;
        }
        if (order < 0) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return -1;
}

/* Gamma-Poisson: the prior's mean over PRIOR_NODE_HOURS, and the reclaims that the input tells of. */
static double hazard_per_hour(const struct policy_ctx *ctx, node_ix node)
{
    const struct node_facts *f = &ctx->c->facts[node.v];
    int bucket = prior_bucket(sym_str(ctx->c->syms, f->instance_type));
    double prior =
        bucket >= 0 ? bucket_hazard[bucket] : bucket_hazard[UNKNOWN_BUCKET] * UNKNOWN_STRESS;
    return (prior * PRIOR_NODE_HOURS + (double)f->spot_interruptions) / PRIOR_NODE_HOURS;
}

/* How long before the end the provider says so; 0 where the provider is unknown. */
static int64_t notice_ms(const struct policy_ctx *ctx, node_ix node)
{
    const struct node_facts *f = &ctx->c->facts[node.v];
    struct str label = str_c(f->capacity_source), type = sym_str(ctx->c->syms, f->instance_type);
    if (str_starts(label, STR("cloud.google.com/")) ||
        str_starts(label, STR("kubernetes.azure.com/")) || str_starts(type, STR("Standard_"))) {
        return 30000;
    }
    bool aws = str_starts(label, STR("eks.amazonaws.com/")) || prior_bucket(type) >= 0;
    return aws ? 120000 : 0;
}

static bool not_viable(const struct policy_ctx *ctx, node_ix node)
{
    double max = ctx->game->settings->spot.max_hazard_per_hour;
    return max > 0 && hazard_per_hour(ctx, node) > max;
}

/* Refusals of a spot node: what this pod would make of the fleet's floor and the pool's cap. */
static enum reason judge_spot(const struct policy_ctx *ctx, const struct spot_state *st,
                              node_ix node)
{
    if (!st->fleet) {
        return REASON_NONE;
    }
    if (not_viable(ctx, node)) {
        return REASON_SPOT_NOT_VIABLE;
    }
    if (st->floor_reached) {
        return REASON_SPOT_FLOOR;
    }
    if (st->capped) {
        uint32_t pool =
            ctx->c->facts[node.v].spot_pool; /* pools that nobody can tell apart count as one */
        int64_t there = pool < st->fleet->pool_cap ? st->fleet->pool_players[pool] : 0;
        if ((double)(there + ctx->pod->players) > st->cap_players) {
            return REASON_SPOT_POOL_CAP;
        }
    }
    return REASON_NONE;
}

static void spot_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                        struct verdict *ret)
{
    const struct spot_state *st = ctx->state;
    for (uint32_t i = 0; i < n; i++) {
        if (ret[i].reason != REASON_NONE) {
            continue;
        }
        enum reason r = rule_capacity(ctx, nodes[i]);
        if (r == REASON_NONE && ctx->c->capacity[nodes[i].v] == CAPACITY_SPOT) {
            r = judge_spot(ctx, st, nodes[i]);
        }
        if (r == REASON_NONE && st->end_ms > 0) {
            int64_t end = ctx->c->facts[nodes[i].v].end_ms;
            r = end > 0 && end < st->end_ms ? REASON_EXPIRES : REASON_NONE;
        }
        ret[i].reason = (uint16_t)r;
        ret[i].unresolvable = r != REASON_NONE && reason_unresolvable(r);
    }
}

struct spot_price {
    double hazard, loss; /* per hour; chance that the session is lost */
    int64_t capacity_nano, risk_nano, surcharge_nano;
};

static struct spot_price price_node(const struct policy_ctx *ctx, node_ix node)
{
    const struct cluster *c = ctx->c;
    const struct rates *r = &ctx->settings->rates;
    int64_t ms = session_ms(ctx);
    struct spot_price p = {0};
    double whole = (double)cost_of_time(c->price_nano_hour[node.v], ms);
    p.capacity_nano = cost_clamp(whole * node_share(ctx, node));
    if (c->capacity[node.v] != CAPACITY_SPOT) {
        p.surcharge_nano = ctx->game->spot == SPOT_PREFERRED ? OUT_OF_REACH_NANO / 2 : 0;
        return p;
    }
    int64_t exposed = ms - notice_ms(ctx, node);
    p.hazard = hazard_per_hour(ctx, node);
    p.loss = exposed > 0 ? 1 - fm_exp(-p.hazard * (double)exposed / (double)HOUR_MS) : 0;
    double stake = 0;
    if (ctx->game->is_game) {
        stake = (double)ctx->game->players * (double)r->player_kicked + (double)r->session_lost;
    }
    stake *= c->flags[node.v] & NODE_SINGLE_FAULT_DOMAIN ? ONE_FAULT_DOMAIN : 1;
    p.risk_nano = cost_clamp(p.loss * stake);
    p.capacity_nano =
        ctx->game->spot == SPOT_PREFERRED ? 0 : p.capacity_nano; /* preferred: by risk alone */
    return p;
}

static void spot_cost(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n, int64_t *cost)
{
    for (uint32_t i = 0; i < n; i++) {
        struct spot_price p = price_node(ctx, nodes[i]);
        cost_add(&cost[i], p.capacity_nano);
        cost_add(&cost[i], p.risk_nano);
        cost_add(&cost[i], p.surcharge_nano);
    }
}

static void spot_explain(const struct policy_ctx *ctx, node_ix node, struct policy_term *ret)
{
    static const char *const types[] = {"capacity type unknown", "on-demand", "spot", "reserved"};
    const struct cluster *c = ctx->c;
    struct spot_price p = price_node(ctx, node);
    ret->value = (double)p.capacity_nano / 1e9 + (double)p.risk_nano / 1e9;
    note_add(ret, "%s", types[c->capacity[node.v] & 3]);
    if (c->capacity[node.v] == CAPACITY_SPOT) {
        const char *basis =
            c->facts[node.v].spot_interruptions > 0 ? "seen reclaims" : "prior only";
        note_add(ret, "loss %.4f %% at %.6f/h (%s)", p.loss * 100, p.hazard, basis);
    } else if (p.surcharge_nano > 0) {
        note_add(ret, "fleet prefers spot");
    }
    note_add(ret, "%.1f %% of %.4f/h%s", node_share(ctx, node) * 100,
             (double)c->price_nano_hour[node.v] / 1e9,
             c->flags[node.v] & NODE_PRICE_GUESSED ? " (guessed)" : "");
}

static void spot_inputs(const struct policy_ctx *ctx, struct policy_input *ret, uint32_t max,
                        uint32_t *ret_n)
{
    static const char prior[] = "shipped table of instance families";
    bool table = ctx->settings->prices.rows.n > 0, spot = false, guessed = false;
    *ret_n = 0;
    for (uint32_t i = 0; i < ctx->n_nodes; i++) {
        spot |= ctx->c->capacity[ctx->nodes[i].v] == CAPACITY_SPOT;
        guessed |= (ctx->c->flags[ctx->nodes[i].v] & NODE_PRICE_GUESSED) != 0;
    }
    if (ctx->state && max > 0) {
        struct str from = table && ctx->settings->prices.file.n > 0 ? ctx->settings->prices.file
                          : table                                   ? STR("configuration")
                                  : STR("shipped table and resources");
        ret[0] = (struct policy_input){.name = "prices", .age_s = -1, .fallback = guessed};
        size_t n = from.n < sizeof ret[0].source - 1 ? from.n : sizeof ret[0].source - 1;
        memcpy(ret[0].source, from.p, n);
        *ret_n = 1;
    }
    if (ctx->state && spot && max > 1) {
        ret[1] = (struct policy_input){.name = "spot hazard", .age_s = -1, .fallback = true};
        memcpy(ret[1].source, prior, sizeof prior);
        *ret_n = 2;
    }
}

const struct policy policy_spot = {
    .name = "spot",
    .unit = POLICY_UNIT_MONEY,
    .filter_dep = DEP_LIVE, /* floor and caps count the whole fleet; end of life against time */
    .cost_dep = DEP_STATIC,
    .judged_live = true,
    .judged_snapshot = true,
    .prepare = spot_prepare,
    .filter = spot_filter,
    .cost = spot_cost,
    .explain = spot_explain,
    .inputs = spot_inputs,
};
