// SPDX-License-Identifier: Apache-2.0
//
// Nodes that empty together: a pod costs the hours by which it keeps its node longer than the pods that stand there, at
// the node's price; an empty node costs the whole session. docs/policies/packing.md
#include "policies/fleet_rules.h"

struct packing_state {
    int64_t left_ms; /* of this pod's session */
    int64_t now_ms;
    bool has_time;
};

static int packing_prepare(struct policy_ctx *ctx, struct err *err)
{
    if (!ctx->game->pins_node && !ctx->game->is_game) {
        return POLICY_SKIP;
    }
    struct packing_state *st = arena_calloc(ctx->scratch, 1, sizeof *st);
    if (!st) {
        return err_nomem(err);
    }
    st->has_time = ctx->has_time;
    st->now_ms = ctx->now_ms;
    st->left_ms = ctx->has_time ? session_left_ms(ctx) : session_ms(ctx);
    if ((ctx->cls->flags & CLASS_CLAIMS) && (ctx->cls->flags & CLASS_STATEFUL)) {
        st->left_ms = SESSION_FOR_EVER_MS; /* a world stays where its volume is made */
    }
    ctx->state = st;
    return 0;
}

/* How much longer the node must stay because of this pod. */
static int64_t added_ms(const struct policy_ctx *ctx, const struct packing_state *st, node_ix node)
{
    const struct cluster *c = ctx->c;
    if (!ctx->game->pins_node) {
        return 0;
    }
    if (c->n_pinning[node.v] == 0) {
        return st->left_ms; /* opens an empty node */
    }
    int64_t drain = c->drain_end_ms[node.v];
    if (!ctx->game->is_game || !st->has_time || drain == INT64_MAX || drain == 0) {
        return 0; /* kept anyway, or unknown: adds nothing */
    }
    int64_t stays = drain > st->now_ms ? drain - st->now_ms : 0;
    return st->left_ms > stays ? st->left_ms - stays : 0;
}

static int64_t hour_price(const struct policy_ctx *ctx, node_ix node)
{
    int64_t kept = ctx->settings->rates.node_hour_kept, price = ctx->c->price_nano_hour[node.v];
    return price > INT64_MAX - kept ? INT64_MAX : price + kept;
}

static void packing_cost(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                         int64_t *cost)
{
    const struct packing_state *st = ctx->state;
    for (uint32_t i = 0; i < n; i++) {
        int64_t ms = added_ms(ctx, st, nodes[i]);
        if (ms > 0) {
            cost_add(&cost[i], cost_of_time(hour_price(ctx, nodes[i]), ms));
        }
    }
}

/* Agones' order of allocation: most allocated game servers on the node, then most ready. */
static void packing_rank(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                         int64_t *rank)
{
    if (!ctx->game->is_game) {
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        int64_t allocated = ctx->c->n_allocated[nodes[i].v] & INT32_MAX,
                ready = ctx->c->n_ready[nodes[i].v];
        rank[i] += allocated << 32 | ready;
    }
}

static void packing_explain(const struct policy_ctx *ctx, node_ix node, struct policy_term *ret)
{
    const struct packing_state *st = ctx->state;
    ret->value = (double)added_ms(ctx, st, node) / (double)HOUR_MS;
    if (!ctx->game->pins_node) {
        note_add(ret, "pod may be moved at any time: it keeps no node");
    } else if (ctx->c->n_pinning[node.v] == 0) {
        note_add(ret, "opens an empty node for the whole session");
    } else if (ctx->game->is_game && !st->has_time) {
        note_add(ret, "no time in this input: shared node adds nothing");
    } else if (ret->value > 0) {
        note_add(ret, "outlives the other %u by %.2f h", (unsigned)ctx->c->n_pinning[node.v],
                 ret->value);
    } else {
        note_add(ret, "ends before the other %u", (unsigned)ctx->c->n_pinning[node.v]);
    }
    if (ctx->c->flags[node.v] & NODE_PRICE_GUESSED) {
        note_add(ret, "price guessed by resources");
    }
}

const struct policy policy_packing = {
    .name = "packing",
    .unit = "node-hours",
    .filter_dep = DEP_STATIC,
    .cost_dep = DEP_LIVE, /* time, and the end of this very pod's session */
    .prepare = packing_prepare,
    .cost = packing_cost,
    .rank = packing_rank,
    .explain = packing_explain,
};
