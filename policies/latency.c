// SPDX-License-Identifier: Apache-2.0
//
// How far a node is from a fleet's players: the weighted p90 of effective latency, hard limits relaxed in a named stage,
// and a dead band inside which places count as equal. docs/policies/latency.md
#include "policies/fleet_rules.h"
#include "policies/row_watch.h"

/* Weight of the spread between a server's best and worst served players (p90 - p10), in milliseconds per millisecond. */
#define FAIRNESS            0.1
/* Above this share of demand without data the term is scaled down by what is known. */
#define UNKNOWN_SHARE_MAX   0.2
/* ... but never below this: an estimate by distance (a factor of 0.7 to 1.9 off, p10 to p90) is not nothing. */
#define KNOWN_SHARE_MIN     0.5
/* In stage 3 the best available place is taken, whatever it costs otherwise: each millisecond beyond it. */
#define RELAXED_NANO_PER_MS (OUT_OF_REACH_NANO / 1000)

struct place_entry {
    struct latency_value v;
    bool judged;
    bool over; /* more of the demand beyond the class's maximum than the configuration allows */
};
struct latency_class_state {
    struct arena *arena;
    struct place_entry *places;
    uint32_t cap;
    bool has_demand;
};
struct place_answer { /* of a place in this decision */
    int64_t cost;
    uint8_t stage;
    bool known;
};
struct latency_state {
    const struct place_entry *places;
    struct place_answer *answers; /* by place */
    bool relaxed;
    double *region_max; /* by region, ms; NULL without limits */
    uint32_t n_regions;
    /* of the nodes that passed every filter; made by the first of cost and stage */
    bool based, flat, all_over, any_known;
    struct latency_value best;
    double band_ms, worst_ms, known_share;
};

static int latency_class_begin(struct policy_ctx *ctx, struct arena *arena, void **ret,
                               struct err *err)
{
    struct latency_class_state *k = arena_calloc(arena, 1, sizeof *k);
    if (!k) {
        return err_nomem(err);
    }
    k->arena = arena;
    k->has_demand = ctx->game->demand.n > 0;
    *ret = k;
    return 0;
}

/* Judges each place once per class: demand, limits and table are the class's and the settings'. */
static int judge_places(struct policy_ctx *ctx, struct latency_class_state *k)
{
    const struct cluster *c = ctx->c;
    for (uint32_t i = 0; i < ctx->n_nodes; i++) {
        place_ix place = latency_place(c, ctx->nodes[i]);
        if (place.v >= k->cap &&
            row_array_grow(k->arena, &k->places, &k->cap, place.v + 1, sizeof *k->places) != 0) {
            return -1;
        }
        struct place_entry *e = &k->places[place.v];
        if (!e->judged) {
            e->judged = true;
            if (place.v != 0) {
                latency_judge(c, ctx->game->demand, place, ctx->game->latency, &e->v);
            }
            e->over = rule_latency_over(ctx, &e->v);
        }
    }
    return 0;
}

static int region_limits(struct policy_ctx *ctx, struct latency_state *st)
{
    const struct fleet_settings *s = ctx->game->settings;
    const struct topology *t = &ctx->c->topo[ctx->c->topo_region.v];
    if (s->regions.max_ms.n == 0) {
        return 0;
    }
    st->n_regions = t->n_domains;
    st->region_max = arena_alloc(ctx->scratch, (t->n_domains + 1) * sizeof *st->region_max);
    if (!st->region_max) {
        return -1;
    }
    st->region_max[0] = 1e300;
    for (uint32_t d = 1; d < t->n_domains; d++) {
        st->region_max[d] = 1e300;
        for (uint32_t i = 0; i < s->regions.max_ms.n; i++) {
            if (str_eq(s->regions.max_ms.p[i].region, sym_str(ctx->c->syms, t->names[d]))) {
                st->region_max[d] = (double)s->regions.max_ms.p[i].value;
            }
        }
    }
    return 0;
}

static int latency_prepare(struct policy_ctx *ctx, struct err *err)
{
    struct latency_class_state *k = ctx->class_state;
    if (!ctx->game->latency->judged || (!k->has_demand && !ctx->game->configured)) {
        return POLICY_SKIP;
    }
    struct latency_state *st = arena_calloc(ctx->scratch, 1, sizeof *st);
    if (!st) {
        return err_nomem(err);
    }
    ctx->state = st;
    if (!k->has_demand) {
        return 0;
    }
    if (judge_places(ctx, k) != 0 || region_limits(ctx, st) != 0) {
        return err_nomem(err);
    }
    st->places = k->places;
    st->answers = arena_calloc(ctx->scratch, k->cap + 1, sizeof *st->answers);
    if (!st->answers) {
        return err_nomem(err);
    }
    st->relaxed = ctx->has_time && ctx->waited_ms >= ctx->settings->latency.relax_after_ms;
    return 0;
}

static const struct place_entry *entry_of(const struct policy_ctx *ctx,
                                          const struct latency_state *st, node_ix node)
{
    return &st->places[latency_place(ctx->c, node).v];
}

static void latency_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                           struct verdict *ret)
{
    const struct latency_state *st = ctx->state;
    if (!st->places) {
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (ret[i].reason != REASON_NONE) {
            continue;
        }
        const struct place_entry *e = entry_of(ctx, st, nodes[i]);
        enum reason r = REASON_NONE;
        if (e->over && !st->relaxed) {
            r = REASON_LATENCY_OVER;
        } else if (st->region_max && e->v.known) {
            uint32_t region = cluster_domain(ctx->c, ctx->c->topo_region, nodes[i]).v;
            r = e->v.p90_ms > st->region_max[region] ? REASON_REGION_LATENCY : REASON_NONE;
        }
        ret[i].reason = (uint16_t)r;
        ret[i].unresolvable = r != REASON_NONE && reason_unresolvable(r);
    }
}

/* What the nodes that passed are measured against: the best place, the band around it, the worst for the unknown. */
static void make_base(const struct policy_ctx *ctx, struct latency_state *st, const node_ix *nodes,
                      uint32_t n)
{
    double best = 1e300, best_over = 1e300, most_unknown = 0;
    const struct place_entry *at = NULL, *at_over = NULL;
    bool blind = false;
    st->based = true;
    for (uint32_t i = 0; i < n; i++) {
        const struct place_entry *e = entry_of(ctx, st, nodes[i]);
        if (!e->v.known) {
            blind = true;
            continue;
        }
        if (!e->over && e->v.p90_ms < best) {
            best = e->v.p90_ms;
            at = e;
        } else if (e->over && e->v.p90_ms < best_over) {
            best_over = e->v.p90_ms;
            at_over = e;
        }
        st->worst_ms = e->v.p90_ms > st->worst_ms ? e->v.p90_ms : st->worst_ms;
        most_unknown = e->v.unknown_share > most_unknown ? e->v.unknown_share : most_unknown;
    }
    st->all_over = !at;
    at = at ? at : at_over;
    if (!at) {
        return;
    }
    st->any_known = true;
    st->best = at->v;
    double band = ctx->settings->latency.dead_band_ms;
    st->band_ms = band > at->v.jitter_ms ? band : at->v.jitter_ms;
    /* one scale for all nodes: a place that knows less must not look cheaper for it */
    st->known_share = most_unknown > UNKNOWN_SHARE_MAX ? 1 - most_unknown : 1;
    st->known_share = st->known_share < KNOWN_SHARE_MIN ? KNOWN_SHARE_MIN : st->known_share;
    st->flat =
        st->worst_ms <= st->best.p90_ms + st->band_ms && !blind && (st->all_over || !at_over);
}

static double p90_of(const struct latency_state *st, const struct place_entry *e)
{
    return e->v.known ? e->v.p90_ms : st->worst_ms;
}

/* Whether the dead band makes a place as good as the best; relaxed places do not reach those that need no relaxing. */
static bool in_band(const struct latency_state *st, const struct place_entry *e)
{
    return (!e->over || st->all_over) && p90_of(st, e) <= st->best.p90_ms + st->band_ms;
}

static uint8_t stage_of(const struct policy_ctx *ctx, const struct latency_state *st,
                        const struct place_entry *e)
{
    const struct latency_class *c = ctx->game->latency;
    if (!st->any_known) {
        return 0;
    }
    if (e->over) {
        return 3;
    }
    double ms = in_band(st, e) ? st->best.p90_ms : p90_of(st, e);
    return ms <= c->good_ms ? 0 : ms <= c->ok_ms ? 1 : 2;
}

static int64_t cost_at(const struct policy_ctx *ctx, const struct latency_state *st,
                       const struct place_entry *e)
{
    const struct latency_class *c = ctx->game->latency;
    bool band = in_band(st, e);
    double p90 = band ? st->best.p90_ms : p90_of(st, e);
    double p10 = band || !e->v.known ? st->best.p10_ms : e->v.p10_ms;
    double ms = (p90 > c->good_ms ? p90 - c->good_ms : 0) + FAIRNESS * (p90 > p10 ? p90 - p10 : 0);
    double hours = (double)session_ms(ctx) / (double)HOUR_MS;
    double nano = (double)ctx->settings->rates.player_ms_hour * ctx->game->players * hours * ms *
                  st->known_share;
    if (e->over && !band) {
        nano += (double)RELAXED_NANO_PER_MS * (p90 > st->best.p90_ms ? p90 - st->best.p90_ms : 0);
    }
    return cost_clamp(nano);
}

static const struct place_answer *answer_of(const struct policy_ctx *ctx, struct latency_state *st,
                                            node_ix node)
{
    place_ix place = latency_place(ctx->c, node);
    struct place_answer *a = &st->answers[place.v];
    if (!a->known) {
        const struct place_entry *e = &st->places[place.v];
        *a = (struct place_answer){st->any_known ? cost_at(ctx, st, e) : 0, stage_of(ctx, st, e),
                                   true};
    }
    return a;
}

static void latency_stage(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                          uint8_t *ret)
{
    struct latency_state *st = ctx->state;
    if (!st->places) {
        return;
    }
    if (!st->based) {
        make_base(ctx, st, nodes, n);
    }
    for (uint32_t i = 0; i < n; i++) {
        ret[i] = answer_of(ctx, st, nodes[i])->stage;
    }
}

static void latency_cost(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                         int64_t *cost)
{
    struct latency_state *st = ctx->state;
    if (!st->places) {
        return;
    }
    if (!st->based) {
        make_base(ctx, st, nodes, n);
    }
    for (uint32_t i = 0; i < n; i++) {
        cost_add(&cost[i], answer_of(ctx, st, nodes[i])->cost);
    }
}

static void latency_explain(const struct policy_ctx *ctx, node_ix node, struct policy_term *ret)
{
    static const char *const sources[] = {"", "neighbour's data", "estimated by distance",
                                          "worst known stands in", "no data"};
    const struct latency_state *st = ctx->state;
    if (!st->places) {
        note_add(ret, "no demand known: nothing to judge");
        return;
    }
    const struct place_entry *e = entry_of(ctx, st, node);
    if (!st->any_known && !e->v.known) {
        note_add(ret, "no place known: nothing to judge");
        return;
    }
    ret->value = p90_of(st, e);
    if (!e->v.known) {
        note_add(ret, "place unknown: counts as the worst known");
        return;
    }
    if (st->flat) {
        note_add(ret, "latency not discriminating here: all within %.1f ms", st->band_ms);
    }
    if (e->over) {
        note_add(ret, "limit relaxed: %.0f %% of players above %.0f ms", e->v.over_share * 100,
                 ctx->game->latency->max_ms);
    }
    if (e->v.worst_source != LATENCY_TABLE && (unsigned)e->v.worst_source < SP_COUNTOF(sources)) {
        note_add(ret, "%s", sources[e->v.worst_source]);
    }
    if (st->based && st->known_share < 1) {
        note_add(ret, "%.0f %% of demand without data, term scaled", e->v.unknown_share * 100);
    }
}

static void latency_inputs(const struct policy_ctx *ctx, struct policy_input *ret, uint32_t max,
                           uint32_t *ret_n)
{
    const struct latency_state *st = ctx->state;
    bool table = ctx->settings->latency.rows.n > 0;
    struct str file = table && ctx->settings->latency.file.n > 0 ? ctx->settings->latency.file
                      : table                                    ? STR("configuration")
                                                                 : STR("distance estimate");
    *ret_n = 0;
    if (!st || !st->places || max == 0) {
        return;
    }
    ret[0] = (struct policy_input){.name = "latency table", .age_s = -1, .fallback = !table};
    if (table && ctx->settings->latency.table_age_ms > 0) {
        ret[0].age_s = (double)ctx->settings->latency.table_age_ms / 1000;
    }
    size_t n = file.n < sizeof ret[0].source - 1 ? file.n : sizeof ret[0].source - 1;
    memcpy(ret[0].source, file.p, n);
    for (uint32_t i = 0; i < ctx->n_nodes && !ret[0].fallback; i++) {
        const struct place_entry *e = entry_of(ctx, st, ctx->nodes[i]);
        ret[0].fallback = !e->v.known || e->v.worst_source != LATENCY_TABLE;
    }
    *ret_n = 1;
}

const struct policy policy_latency = {
    .name = "latency",
    .unit = "ms",
    .filter_dep = DEP_LIVE, /* time that this pod has waited */
    .cost_dep = DEP_LIVE,   /* the best of the nodes asked */
    .judged_live = true,
    .judged_snapshot = true,
    .class_begin = latency_class_begin,
    .prepare = latency_prepare,
    .filter = latency_filter,
    .stage = latency_stage,
    .cost = latency_cost,
    .explain = latency_explain,
    .inputs = latency_inputs,
};
