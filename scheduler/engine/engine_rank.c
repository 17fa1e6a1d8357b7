// SPDX-License-Identifier: Apache-2.0
//
// The total order of feasible nodes: back, full, stage, total, rank, name. It hangs neither on the order of the candidates
// nor on row numbers.
#include "engine/engine_impl.h"

static int64_t random_rank(const struct engine *e, uint64_t seed, node_ix node)
{
    const struct symtab *t = e->c->syms;
    uint64_t ns = str_hash(sym_str(t, e->ctx.pod->ns), seed, 0x6e73);
    uint64_t pod = str_hash(sym_str(t, e->ctx.pod->name), seed, ns);
    return (int64_t)(str_hash(sym_str(t, e->c->facts[node.v].name), seed, pod) >> 1);
}

static void add_normalized(struct engine *e, uint32_t n)
{
    for (uint32_t k = 0; k < e->norms.n; k++) {
        uint32_t at = e->norms.at[k];
        if (e->slots[at].skipped) {
            continue;
        }
        const struct policy *p = engine_policy(e, at);
        struct policy_ctx *ctx = engine_ctx(e, at);
        int64_t *normalized = e->cost; /* free by now */
        memset(e->b_raw, 0, n * sizeof *e->b_raw);
        p->score(ctx, e->b_nodes, n, e->b_raw);
        p->normalize(ctx, e->b_nodes, n, e->b_raw, normalized);
        for (uint32_t i = 0; i < n; i++) {
            e->b_cost[i] += normalized[i] * e->preset->items[at].weight;
        }
    }
}

static void read_stages(struct engine *e, uint32_t n)
{
    memset(e->b_stage, 0, n);
    for (uint32_t k = 0; k < e->stages.n; k++) {
        uint32_t at = e->stages.at[k];
        if (!e->slots[at].skipped) {
            engine_policy(e, at)->stage(engine_ctx(e, at), e->b_nodes, n, e->b_stage);
        }
    }
}

static void read_ranks(struct engine *e, const struct ask *ask, uint32_t n)
{
    memset(e->b_raw, 0, n * sizeof *e->b_raw);
    if (e->preset->rule == RULE_RANDOM) {
        for (uint32_t i = 0; i < n; i++) {
            e->b_raw[i] = random_rank(e, ask->seed, e->b_nodes[i]);
        }
        return;
    }
    for (uint32_t k = 0; k < e->ranks.n; k++) {
        uint32_t at = e->ranks.at[k];
        if (!e->slots[at].skipped) {
            engine_policy(e, at)->rank(engine_ctx(e, at), e->b_nodes, n, e->b_raw);
        }
    }
}

static bool is_back(const struct ask *ask, node_ix node)
{
    for (uint32_t i = 0; i < ask->n_last; i++) {
        if (ask->last[i].v == node.v) {
            return true;
        }
    }
    return false;
}

/* Survivors stand in b_nodes, b_at, b_cost; writes `feasible`. */
void engine_rank_feasible(struct engine *e, const struct ask *ask, const uint8_t *full, uint32_t n)
{
    if (n == 0) {
        return;
    }
    add_normalized(e, n);
    read_stages(e, n);
    read_ranks(e, ask, n);
    for (uint32_t i = 0; i < n; i++) {
        e->feasible[i] = (struct ranked){
            .node = e->b_nodes[i],
            .at = e->b_at[i],
            .back = ask->n_last > 0 && is_back(ask, e->b_nodes[i]),
            .full = full[e->b_at[i]] != 0,
            .stage = e->b_stage[i],
            .total = e->b_cost[i],
            .rank = e->b_raw[i],
        };
    }
}

static int less_first(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

int engine_compare_keys(const struct engine *e, const struct ranked *a, const struct ranked *b)
{
    if (a->back != b->back) {
        return a->back ? 1 : -1;
    }
    if (a->full != b->full) {
        return a->full ? 1 : -1;
    }
    if (a->stage != b->stage) {
        return a->stage < b->stage ? -1 : 1;
    }
    if (a->total != b->total) {
        return e->preset->rule == RULE_COST ? less_first(a->total, b->total)
                                            : less_first(b->total, a->total);
    }
    return less_first(b->rank, a->rank);
}

int engine_compare(const struct engine *e, const struct ranked *a, const struct ranked *b)
{
    int r = engine_compare_keys(e, a, b);
    if (r != 0) {
        return r;
    }
    return str_cmp(e->c->name_text[a->node.v], e->c->name_text[b->node.v]);
}

/* A heap of the k best with the worst on top. */
static void sift_down(const struct engine *e, struct ranked *heap, uint32_t n, uint32_t i)
{
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= n) {
            return;
        }
        if (child + 1 < n && engine_compare(e, &heap[child + 1], &heap[child]) > 0) {
            child++;
        }
        if (engine_compare(e, &heap[child], &heap[i]) <= 0) {
            return;
        }
        struct ranked t = heap[i];
        heap[i] = heap[child];
        heap[child] = t;
        i = child;
    }
}

uint32_t engine_top(const struct engine *e, const struct decision *d, struct ranked *out,
                    uint32_t k)
{
    uint32_t n = k < d->n_feasible ? k : d->n_feasible;
    if (n == 0) {
        return 0;
    }
    memcpy(out, d->feasible, n * sizeof *out);
    for (uint32_t i = n / 2; i-- > 0;) {
        sift_down(e, out, n, i);
    }
    for (uint32_t i = n; i < d->n_feasible; i++) {
        if (engine_compare(e, &d->feasible[i], &out[0]) < 0) {
            out[0] = d->feasible[i];
            sift_down(e, out, n, 0);
        }
    }
    for (uint32_t m = n; m-- > 1;) {
        struct ranked t = out[0];
        out[0] = out[m];
        out[m] = t;
        sift_down(e, out, m, 0);
    }
    return n;
}
