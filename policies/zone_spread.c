// SPDX-License-Identifier: Apache-2.0
//
// Players per zone: hard caps and skew that the fleet configures, and the cost of a zone above its target share. Counts
// expected players, not pods; only a service that is no game, which has none, is counted by its pods.
// docs/policies/zone-spread.md
#include "policies/fleet_rules.h"
#include "policies/row_watch.h"

/* A zone may stand above its target by one server or by this part of the target at no cost, so that packing inside a zone
 * decides between zones that are nearly level. */
#define SLACK_SHARE       0.05
/* The goal for the largest zone's share is an even split plus this much; the explanation says when it is missed. */
#define BLAST_GOAL_MARGIN 0.1

struct zone_row { /* what one node adds to its zone */
    uint32_t dom; /* 0: does not count */
    bool far;     /* too many players are beyond the latency limit here */
    int64_t slots;
};
struct zone_sums {   /* by zone */
    uint32_t *nodes; /* usable nodes */
    int64_t *slots;  /* servers of this class that they would take when empty */
    uint32_t cap_nodes, cap_slots;
    uint64_t total; /* nodes */
};
enum reach { REACH_ANY = 0, REACH_NEAR, REACH_N };
struct zone_class {
    struct arena *arena;
    struct row_watch watch;
    struct zone_row *rows;
    struct zone_sums sums[REACH_N]; /* all usable nodes; those within the latency limit */
    uint8_t *place_far;             /* by place: 0 not judged, 1 near, 2 far */
    uint32_t cap_rows, cap_places;
};
struct zone_state {
    const struct fleet_row *fleet;
    const int64_t *there;           /* by zone, dom_cap: the fleet's players, or a service's pods */
    int64_t own;                    /* what this pod adds to it */
    const struct zone_sums *usable; /* within the limit, unless no zone is */
    topo_ix topo;
    uint32_t n_domains, n_zones; /* n_zones: zones with usable nodes */
    bool hard;
    uint16_t *refusal; /* by zone; enum reason */
    int64_t *cost;     /* by zone */
    double *target;    /* players, by zone; after this pod */
    uint32_t n_regions;
    bool *region_full; /* by region, NULL without limits */
    int64_t total;     /* of `there` in usable zones, with this pod */
};

static int64_t at_i64(const int64_t *array, uint32_t cap, uint32_t i)
{
    return array && i < cap ? array[i] : 0;
}

/* A node that this class could ever stand on while it is healthy. Static facts only. */
static bool zone_admits(const struct policy_ctx *ctx, node_ix node)
{
    uint32_t flags = ctx->c->flags[node.v];
    if (!(flags & NODE_LIVE) || (flags & (NODE_CORDONED | NODE_DOOMED | NODE_NOT_READY))) {
        return false;
    }
    return match_node_selection(ctx, node) && match_untolerated(ctx, node) == NULL &&
           rule_pool(ctx, node) == REASON_NONE && rule_region(ctx, node) == REASON_NONE &&
           rule_capacity(ctx, node) == REASON_NONE;
}

/* Zones where the latency policy refuses the fleet must not hold the others back. */
static bool place_far(const struct policy_ctx *ctx, struct zone_class *k, node_ix node)
{
    place_ix place = latency_place(ctx->c, node);
    if (place.v >= k->cap_places || place.v == 0 || ctx->game->demand.n == 0 ||
        !ctx->game->latency->judged) {
        return false;
    }
    if (k->place_far[place.v] == 0) {
        struct latency_value v;
        latency_judge(ctx->c, ctx->game->demand, place, ctx->game->latency, &v);
        k->place_far[place.v] = rule_latency_over(ctx, &v) ? 2 : 1;
    }
    return k->place_far[place.v] == 2;
}

static void zone_add(struct zone_class *k, const struct zone_row *r, int sign)
{
    for (int i = 0; r->dom && i < (r->far ? REACH_NEAR : REACH_N); i++) {
        k->sums[i].nodes[r->dom] += (uint32_t)sign; /* wraps for -1, as it should */
        k->sums[i].slots[r->dom] += r->slots * sign;
        k->sums[i].total += (uint64_t)(int64_t)sign;
    }
}

static void zone_touch(const struct policy_ctx *ctx, struct zone_class *k, topo_ix topo,
                       uint32_t row)
{
    struct zone_row *r = &k->rows[row];
    node_ix node = {row};
    zone_add(k, r, -1);
    *r = (struct zone_row){0};
    if (zone_admits(ctx, node)) {
        int64_t slots = node_slots(ctx, node, true);
        if (slots > 0) {
            *r = (struct zone_row){cluster_domain(ctx->c, topo, node).v, place_far(ctx, k, node),
                                   slots};
            zone_add(k, r, 1);
        }
    }
}

static int zone_sync(const struct policy_ctx *ctx, struct zone_class *k, topo_ix topo,
                     uint32_t n_domains)
{
    const struct cluster *c = ctx->c;
    uint32_t row, places = latency_n_places(c) + 1;
    int r = row_array_grow(k->arena, &k->rows, &k->cap_rows, c->n_rows, sizeof *k->rows);
    r |= row_array_grow(k->arena, &k->place_far, &k->cap_places, places, sizeof *k->place_far);
    for (int i = 0; i < REACH_N; i++) {
        struct zone_sums *s = &k->sums[i];
        r |= row_array_grow(k->arena, &s->nodes, &s->cap_nodes, n_domains, sizeof *s->nodes);
        r |= row_array_grow(k->arena, &s->slots, &s->cap_slots, n_domains, sizeof *s->slots);
    }
    if (r != 0) {
        return r;
    }
    if (row_watch_open(c, &k->watch)) {
        for (row = 0; row < c->n_rows; row++) {
            zone_touch(ctx, k, topo, row);
        }
    } else {
        while (row_watch_next(c, &k->watch, &row)) {
            zone_touch(ctx, k, topo, row);
        }
    }
    row_watch_close(c, &k->watch);
    return 0;
}

static int zone_class_begin(struct policy_ctx *ctx, struct arena *arena, void **ret,
                            struct err *err)
{
    (void)ctx;
    struct zone_class *k = arena_calloc(arena, 1, sizeof *k);
    if (!k) {
        return err_nomem(err);
    }
    k->arena = arena;
    *ret = k;
    return 0;
}

/* players_after <= share x total_after, forgiving what a decimal share lacks in binary. */
static bool within_share(int64_t after, double share, int64_t total_after)
{
    return (double)after <= share * (double)total_after + 1e-9 * (double)(total_after + 1);
}

static bool over_cap(const struct policy_ctx *ctx, const struct zone_state *st, int64_t after)
{
    double share = ctx->game->settings->zone_spread.max_player_share;
    int64_t own = ctx->pod->players, total = st->fleet->players + own;
    return share < 1 && after > own && !within_share(after, share, total);
}

static int64_t least_servers(const struct policy_ctx *ctx, const struct zone_state *st)
{
    const struct fleet_row *f = st->fleet;
    int64_t least = INT64_MAX;
    for (uint32_t d = 1; d < st->n_domains; d++) {
        if (st->usable->nodes[d] > 0) {
            int64_t servers = at_i64(f->dom_servers, f->dom_cap, d);
            least = servers < least ? servers : least;
        }
    }
    int32_t min_domains = ctx->game->settings->zone_spread.min_domains;
    bool few = min_domains > 0 && st->n_zones < (uint32_t)min_domains;
    return few || least == INT64_MAX ? 0 : least;
}

static void judge_zones(const struct policy_ctx *ctx, struct zone_state *st)
{
    const struct fleet_row *f = st->fleet;
    int32_t skew = ctx->game->settings->zone_spread.max_skew;
    int64_t least = least_servers(ctx, st);
    st->hard = skew > 0 || ctx->game->settings->zone_spread.max_player_share < 1;
    st->refusal[0] = st->hard ? REASON_ZONE_UNKNOWN : REASON_NONE;
    for (uint32_t d = 1; d < st->n_domains; d++) {
        int64_t servers = at_i64(f->dom_servers, f->dom_cap, d) + 1;
        int64_t players = at_i64(f->dom_players, f->dom_cap, d) + ctx->pod->players;
        st->refusal[d] = over_cap(ctx, st, players)           ? REASON_ZONE_PLAYER_CAP
                         : skew > 0 && servers - least > skew ? REASON_ZONE_SKEW
                                                              : REASON_NONE;
    }
}

/* Target share in proportion to the servers that the zone's healthy nodes would take. */
static void price_zones(const struct policy_ctx *ctx, struct zone_state *st)
{
    const struct fleet_row *f = st->fleet;
    const struct rates *rates = &ctx->settings->rates;
    double slots = 0, rate = (double)(ctx->game->is_game ? rates->zone_player : rates->soft_wish);
    int64_t own = st->own, worst = 0;
    rate *= session_factor(ctx, 1);
    st->total = own;
    for (uint32_t d = 1; d < st->n_domains; d++) {
        if (st->usable->nodes[d] > 0) {
            slots += (double)st->usable->slots[d];
            st->total += at_i64(st->there, f->dom_cap, d);
        }
    }
    if (st->n_zones < 2) {
        return; /* one zone or none: nothing to spread over */
    }
    for (uint32_t d = 1; d < st->n_domains; d++) {
        int64_t after = at_i64(st->there, f->dom_cap, d) + own;
        st->target[d] = slots > 0 ? (double)st->total * (double)st->usable->slots[d] / slots : 0;
        double excess = (double)after - st->target[d], slack = SLACK_SHARE * st->target[d];
        slack = slack > (double)own ? slack : (double)own;
        st->cost[d] = excess > slack ? cost_clamp(excess * rate) : 0;
        worst = st->usable->nodes[d] > 0 && st->cost[d] > worst ? st->cost[d] : worst;
    }
    st->cost[0] = worst; /* a node without a zone is never better than a node with one */
}

static int judge_regions(struct policy_ctx *ctx, struct zone_state *st, struct err *err)
{
    const struct fleet_settings *s = ctx->game->settings;
    const struct cluster *c = ctx->c;
    if (s->regions.max_players.n == 0) {
        return 0;
    }
    const struct topology *t = &c->topo[c->topo_region.v];
    st->n_regions = t->n_domains;
    st->region_full = arena_calloc(ctx->scratch, t->n_domains + 1, sizeof *st->region_full);
    if (!st->region_full) {
        return err_nomem(err);
    }
    for (uint32_t d = 1; d < t->n_domains; d++) {
        int64_t after =
            at_i64(st->fleet->region_players, st->fleet->region_cap, d) + ctx->pod->players;
        for (uint32_t i = 0; i < s->regions.max_players.n; i++) {
            const struct region_limit *l = &s->regions.max_players.p[i];
            st->region_full[d] |=
                str_eq(l->region, sym_str(c->syms, t->names[d])) && after > l->value;
        }
    }
    return 0;
}

/* Game servers; and the pods of a named service, softly, as kube-scheduler spreads them where nobody says otherwise. */
static bool is_spread(const struct policy_ctx *ctx)
{
    const struct cluster *c = ctx->c;
    if (ctx->game->fleet.v >= c->n_fleets) {
        return false;
    }
    bool apart = (ctx->cls->flags & (CLASS_DAEMON | CLASS_MIRROR | CLASS_JOB)) != 0;
    return ctx->game->is_game ||
           (!apart && !str_ends(sym_str(c->syms, c->fleets[ctx->game->fleet.v].name), STR("/*")));
}

static int zone_prepare(struct policy_ctx *ctx, struct err *err)
{
    const struct cluster *c = ctx->c;
    struct zone_class *k = ctx->class_state;
    if (!is_spread(ctx)) {
        return POLICY_SKIP;
    }
    const struct fleet_row *fleet = &c->fleets[ctx->game->fleet.v];
    if (fleet->spread_topo.v >= c->n_topo) {
        return POLICY_SKIP;
    }
    uint32_t n = c->topo[fleet->spread_topo.v].n_domains;
    n = n ? n : 1;
    struct zone_state *st = arena_calloc(ctx->scratch, 1, sizeof *st);
    if (!st || zone_sync(ctx, k, fleet->spread_topo, n) != 0) {
        return err_nomem(err);
    }
    st->fleet = fleet;
    st->topo = fleet->spread_topo;
    st->n_domains = n;
    st->usable = &k->sums[k->sums[REACH_NEAR].total > 0 ? REACH_NEAR : REACH_ANY];
    st->refusal = arena_calloc(ctx->scratch, n, sizeof *st->refusal);
    st->cost = arena_calloc(ctx->scratch, n, sizeof *st->cost);
    st->target = arena_calloc(ctx->scratch, n, sizeof *st->target);
    if (!st->refusal || !st->cost || !st->target) {
        return err_nomem(err);
    }
    for (uint32_t d = 1; d < n; d++) {
        st->n_zones += st->usable->nodes[d] > 0;
    }
    bool game = ctx->game->is_game;
    st->there = game ? fleet->dom_players : fleet->dom_servers;
    st->own = game ? ctx->pod->players : 1;
    if (game) {
        judge_zones(ctx, st);
    }
    price_zones(ctx, st);
    ctx->state = st;
    return game ? judge_regions(ctx, st, err) : 0;
}

static void zone_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                        struct verdict *ret)
{
    const struct zone_state *st = ctx->state;
    if (!st->hard && !st->region_full) {
        return;
    }
    const dom_ix *zone = ctx->c->topo[st->topo.v].of,
                 *region = ctx->c->topo[ctx->c->topo_region.v].of;
    for (uint32_t i = 0; i < n; i++) {
        if (ret[i].reason == REASON_NONE) {
            uint16_t r = st->refusal[zone[nodes[i].v].v];
            if (r == REASON_NONE && st->region_full && st->region_full[region[nodes[i].v].v]) {
                r = REASON_REGION_FULL;
            }
            ret[i].reason = r;
            ret[i].unresolvable = r != REASON_NONE && reason_unresolvable((enum reason)r);
        }
    }
}

static void zone_cost(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n, int64_t *cost)
{
    const struct zone_state *st = ctx->state;
    if (st->n_zones < 2) {
        return;
    }
    const dom_ix *zone = ctx->c->topo[st->topo.v].of;
    for (uint32_t i = 0; i < n; i++) {
        cost_add(&cost[i], st->cost[zone[nodes[i].v].v]);
    }
}

/* Servers of this class that the other zones could still take. */
static int64_t room_elsewhere(const struct policy_ctx *ctx, const struct zone_class *k,
                              uint32_t zone)
{
    int64_t room = 0;
    for (uint32_t row = 0; row < ctx->c->n_rows && row < k->cap_rows; row++) {
        if (k->rows[row].dom && k->rows[row].dom != zone) {
            room += node_slots(ctx, (node_ix){row}, false);
        }
    }
    return room;
}

static void zone_explain(const struct policy_ctx *ctx, node_ix node, struct policy_term *ret)
{
    const struct zone_state *st = ctx->state;
    const struct zone_class *k = ctx->class_state;
    uint32_t zone = cluster_domain(ctx->c, st->topo, node).v;
    if (zone == 0) {
        note_add(ret, "node has no zone: counted apart, costs as the fullest zone");
        return;
    }
    if (st->n_zones < 2) {
        note_add(ret, "one zone only: nothing to spread over");
        return;
    }
    const struct fleet_row *f = st->fleet;
    int64_t after = at_i64(st->there, f->dom_cap, zone) + st->own;
    const char *what = ctx->game->is_game ? "players" : "pods";
    ret->unit = what;
    ret->value = (double)after - st->target[zone];
    double share = st->total > 0 ? (double)after / (double)st->total : 0;
    note_add(ret, "%lld %s here after it, target %.0f", (long long)after, what, st->target[zone]);
    if (f->servers >= (int64_t)st->n_zones && share > 1.0 / st->n_zones + BLAST_GOAL_MARGIN) {
        note_add(ret, "this zone's loss hits %.0f %% of its %s", share * 100, what);
    }
    int64_t lost = at_i64(f->dom_servers, f->dom_cap, zone) + 1,
            room = room_elsewhere(ctx, k, zone);
    note_add(ret, "if it fails %lld servers need room, %lld fit elsewhere", (long long)lost,
             (long long)room);
}

static void zone_inputs(const struct policy_ctx *ctx, struct policy_input *ret, uint32_t max,
                        uint32_t *ret_n)
{
    static const char source[] = "pods that stand or are reserved now";
    *ret_n = 0;
    if (ctx->state && max > 0) {
        ret[0] = (struct policy_input){.name = "players per zone", .age_s = -1};
        memcpy(ret[0].source, source, sizeof source);
        *ret_n = 1;
    }
}

const struct policy policy_zone_spread = {
    .name = "zone-spread",
    .unit = "players",
    .filter_dep = DEP_LIVE, /* counts of the whole fleet */
    .cost_dep = DEP_LIVE,
    .judged_live = true,
    .judged_snapshot = true,
    .class_begin = zone_class_begin,
    .prepare = zone_prepare,
    .filter = zone_filter,
    .cost = zone_cost,
    .explain = zone_explain,
    .inputs = zone_inputs,
};
