// SPDX-License-Identifier: Apache-2.0
//
// Sums per domain, kept by difference: each node's last contribution is remembered, so that a change of one node costs
// one subtraction and one addition.
#include "engine/policy.h"

struct member {
    uint64_t static_gen; /* of the row when `in` was found */
    uint32_t count;      /* what it adds to sums[dom] */
    uint32_t dom;
    bool in, known;
};
struct group {
    struct group_spec spec;
    uint32_t *more; /* counters beside spec.counter */
    uint32_t n_more, cap_more;
    struct arena *arena;
    uint64_t cursor, epoch;
    bool built;
    struct member *members; /* [cap_rows] */
    uint32_t cap_rows;
    int64_t *sums;
    uint32_t *admitted;
    uint32_t cap_domains;
    int64_t total;
};

int group_open(struct policy_ctx *ctx, struct arena *arena, const struct group_spec *spec,
               struct group **ret, struct err *err)
{
    check(spec->counter < ctx->c->n_counters && spec->topo.v < ctx->c->n_topo);
    struct group *g = arena_calloc(arena, 1, sizeof *g);
    if (!g) {
        return err_nomem(err);
    }
    g->spec = *spec;
    g->arena = arena;
    *ret = g;
    return 0;
}

static uint32_t roomier(uint32_t have, uint32_t want)
{
    uint32_t cap = have ? have : 16;
    while (cap < want) {
        cap *= 2;
    }
    return cap;
}

int group_add(struct policy_ctx *ctx, struct group *g, uint32_t counter, struct err *err)
{
    check(counter < ctx->c->n_counters);
    if (g->n_more == g->cap_more) {
        uint32_t cap = roomier(g->cap_more, g->n_more + 1);
        uint32_t *more = arena_alloc(g->arena, cap * sizeof *more);
        if (!more) {
            return err_nomem(err);
        }
        if (g->n_more) {
            memcpy(more, g->more, g->n_more * sizeof *more);
        }
        g->more = more;
        g->cap_more = cap;
    }
    g->more[g->n_more++] = counter;
    g->built = false;
    return 0;
}

/* Old arrays stay in the arena until the class is dropped; doubling bounds what is wasted. What is about to be built is not
 * cleared here. */
static int group_grow(struct group *g, uint32_t rows, uint32_t domains)
{
    if (rows > g->cap_rows) {
        uint32_t cap = roomier(g->cap_rows, rows);
        struct member *m = g->built ? arena_calloc(g->arena, cap, sizeof *m)
                                    : arena_alloc(g->arena, cap * sizeof *m);
        if (!m) {
            return -ENOMEM;
        }
        if (g->built) {
            memcpy(m, g->members, g->cap_rows * sizeof *m);
        }
        g->members = m;
        g->cap_rows = cap;
    }
    if (domains > g->cap_domains) {
        uint32_t cap = roomier(g->cap_domains, domains);
        int64_t *sums = arena_calloc(g->arena, cap, sizeof *sums);
        uint32_t *admitted = arena_calloc(g->arena, cap, sizeof *admitted);
        if (!sums || !admitted) {
            return -ENOMEM;
        }
        if (g->cap_domains) {
            memcpy(sums, g->sums, g->cap_domains * sizeof *sums);
            memcpy(admitted, g->admitted, g->cap_domains * sizeof *admitted);
        }
        g->sums = sums;
        g->admitted = admitted;
        g->cap_domains = cap;
    }
    return 0;
}

static inline uint32_t counted(const struct cluster *c, const struct group *g, uint32_t counter,
                               uint32_t row)
{
    const struct counter *n = &c->counters[counter];
    return g->spec.live_only ? n->live[row] : n->all[row];
}

static void group_touch(const struct policy_ctx *ctx, struct group *g, uint32_t row)
{
    const struct cluster *c = ctx->c;
    struct member *m = &g->members[row];
    bool live = (c->flags[row] & NODE_LIVE) != 0;
    bool fresh = m->known && live && m->static_gen == c->static_gen[row];
    if (m->in) {
        g->sums[m->dom] -= m->count;
        g->total -= m->dom ? m->count : 0;
        g->admitted[m->dom]--;
    }
    if (!live) {
        *m = (struct member){0};
        return;
    }
    if (!fresh) {
        bool in = !g->spec.admits || g->spec.admits(ctx, (node_ix){row}, g->spec.arg);
        *m = (struct member){.in = in, .known = true, .static_gen = c->static_gen[row]};
        m->dom = cluster_domain(c, g->spec.topo, (node_ix){row}).v;
        check(m->dom < g->cap_domains);
    }
    m->count = counted(c, g, g->spec.counter, row);
    for (uint32_t i = 0; i < g->n_more; i++) {
        m->count += counted(c, g, g->more[i], row);
    }
    if (m->in) {
        g->sums[m->dom] += m->count;
        g->total += m->dom ? m->count : 0;
        g->admitted[m->dom]++;
    }
}

static void group_build(const struct policy_ctx *ctx, struct group *g)
{
    memset(g->members, 0, g->cap_rows * sizeof *g->members);
    memset(g->sums, 0, g->cap_domains * sizeof *g->sums);
    memset(g->admitted, 0, g->cap_domains * sizeof *g->admitted);
    g->total = 0;
    for (uint32_t row = 0; row < ctx->c->n_rows; row++) {
        group_touch(ctx, g, row);
    }
}

int group_read(const struct policy_ctx *ctx, struct group *g, struct group_view *ret)
{
    const struct cluster *c = ctx->c;
    uint32_t n_domains = c->topo[g->spec.topo.v].n_domains;
    int r = group_grow(g, c->n_rows ? c->n_rows : 1, n_domains ? n_domains : 1);
    if (r < 0) {
        return r;
    }
    uint64_t behind = c->log_next - g->cursor;
    if (!g->built || g->epoch != c->epoch || behind > c->log_cap || behind > c->n_rows) {
        group_build(ctx, g);
    } else {
        for (uint64_t p = g->cursor; p < c->log_next; p++) {
            group_touch(ctx, g, c->log[p % c->log_cap].node.v);
        }
    }
    g->built = true;
    g->epoch = c->epoch;
    g->cursor = c->log_next;
    *ret = (struct group_view){
        .sums = g->sums, .admitted = g->admitted, .n_domains = n_domains, .total = g->total};
    return 0;
}
