// SPDX-License-Identifier: Apache-2.0
//
// What a class of pods knows about each node, between decisions. A row is EMPTY, STATIC (only what hangs on the node
// object is kept) or VALID. The cluster's change log says which rows to look at again.
#include "engine/engine_impl.h"

#include "base/mem.h"

int engine_class_begin(struct engine *e, struct arena *arena, void **states, struct err *err)
{
    const struct index_list *used = &e->plan[e->ctx.judge].used;
    for (uint32_t k = 0; k < used->n; k++) {
        uint32_t at = used->at[k];
        const struct policy *p = engine_policy(e, at);
        states[at] = NULL;
        if (p->class_begin) {
            e->ctx.class_state = NULL;
            e->ctx.state = NULL;
            int r = p->class_begin(&e->ctx, arena, &states[at], err);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

static size_t rows_bytes(uint32_t rows)
{
    return (size_t)rows * (sizeof(struct class_row) + sizeof(struct class_cold));
}

static void cache_free(struct engine *e, struct class_cache *cc)
{
    e->caches[cc->at] = NULL;
    e->cache_bytes -= rows_bytes(cc->cap_rows);
    e->stats.classes--;
    arena_done(&cc->arena);
    mem_free(cc->rows);
    mem_free(cc->cold);
    mem_free(cc);
}

void engine_cache_free_all(struct engine *e)
{
    for (uint32_t i = 0; i < e->n_caches; i++) {
        if (e->caches[i]) {
            cache_free(e, e->caches[i]);
        }
    }
    mem_free(e->caches);
    e->caches = NULL;
    e->n_caches = 0;
}

/* Drops least recently used classes until `bytes` more fit; never `keep`. */
static void cache_make_room(struct engine *e, size_t bytes, const struct class_cache *keep)
{
    while (e->cache_bytes + bytes > ENGINE_CACHE_BYTES) {
        struct class_cache *oldest = NULL;
        for (uint32_t i = 0; i < e->n_caches; i++) {
            struct class_cache *cc = e->caches[i];
            if (cc && cc != keep && (!oldest || cc->tick < oldest->tick)) {
                oldest = cc;
            }
        }
        if (!oldest) {
            return;
        }
        cache_free(e, oldest);
    }
}

static int cache_grow(struct engine *e, struct class_cache *cc, uint32_t rows, struct err *err)
{
    uint32_t cap = cc->cap_rows ? cc->cap_rows : 64;
    while (cap < rows) {
        cap *= 2;
    }
    if (cap == cc->cap_rows) {
        return 0;
    }
    size_t more = rows_bytes(cap) - rows_bytes(cc->cap_rows);
    cache_make_room(e, more, cc);
    struct class_row *hot = mem_realloc(cc->rows, cap * sizeof *hot);
    if (!hot) {
        return err_nomem(err);
    }
    cc->rows = hot;
    struct class_cold *cold = mem_realloc(cc->cold, cap * sizeof *cold);
    if (!cold) {
        return err_nomem(err);
    }
    cc->cold = cold;
    memset(&hot[cc->cap_rows], 0, (cap - cc->cap_rows) * sizeof *hot);
    memset(&cold[cc->cap_rows], 0, (cap - cc->cap_rows) * sizeof *cold);
    e->cache_bytes += more;
    cc->cap_rows = cap;
    return 0;
}

static int cache_slot(struct engine *e, uint32_t at, struct class_cache **ret, struct err *err)
{
    if (at >= e->n_caches) {
        uint32_t n = e->n_caches ? e->n_caches : 48;
        while (n <= at) {
            n *= 2;
        }
        struct class_cache **p = mem_realloc(e->caches, n * sizeof *p);
        if (!p) {
            return err_nomem(err);
        }
        memset(&p[e->n_caches], 0, (n - e->n_caches) * sizeof *p);
        e->caches = p;
        e->n_caches = n;
    }
    if (!e->caches[at]) {
        struct class_cache *cc = mem_calloc(1, sizeof *cc);
        if (!cc) {
            return err_nomem(err);
        }
        arena_init(&cc->arena, ENGINE_CLASS_ARENA_BYTES);
        cc->at = at;
        e->caches[at] = cc;
        e->stats.classes++;
    }
    *ret = e->caches[at];
    return 0;
}

static void cache_forget_rows(struct class_cache *cc)
{
    for (uint32_t i = 0; i < cc->cap_rows; i++) {
        cc->rows[i].state = ROW_EMPTY;
    }
}

int engine_cache_open(struct engine *e, struct class_cache **ret, struct err *err)
{
    const struct cluster *c = e->c;
    struct class_cache *cc;
    uint32_t at = e->ctx.cls->ix.v * ENGINE_JUDGES + (uint32_t)e->ctx.judge;
    int r = cache_slot(e, at, &cc, err);
    if (r < 0) {
        return r;
    }
    cc->tick = ++e->tick;
    if (cc->begun && cc->epoch != c->epoch) {
        cc->begun = false;
    }
    if (!cc->begun) {
        arena_reset(&cc->arena);
        cache_forget_rows(cc);
        r = engine_class_begin(e, &cc->arena, cc->states, err);
        if (r < 0) {
            return r;
        }
        cc->begun = true;
        cc->epoch = c->epoch;
        cc->cursor = c->log_next;
    }
    r = cache_grow(e, cc, c->n_rows, err);
    if (r < 0) {
        return r;
    }
    *ret = cc;
    return 0;
}

void engine_cache_sync(struct engine *e, struct class_cache *cc)
{
    const struct cluster *c = e->c;
    if (c->log_next - cc->cursor > c->log_cap) {
        cache_forget_rows(cc);
    } else {
        for (uint64_t p = cc->cursor; p < c->log_next; p++) {
            struct class_row *row = &cc->rows[c->log[p % c->log_cap].node.v];
            row->state = row->state == ROW_EMPTY ? ROW_EMPTY : ROW_STATIC;
        }
    }
    cc->cursor = c->log_next;
}

/* Filters of one kind over the batch b_nodes[0..n): writes the first refusal into b_verdicts, keeps earlier ones of a
 * smaller position. b_stage holds the batch's full flags. */
static void run_kind(struct engine *e, const struct index_list *l, uint32_t n)
{
    for (uint32_t k = 0; k < l->n; k++) {
        uint32_t policy = l->at[k], m = 0;
        if (e->slots[policy].skipped) {
            continue;
        }
        for (uint32_t i = 0; i < n; i++) {
            if (e->b_verdicts[i].reason == REASON_NONE || e->b_verdicts[i].policy > policy) {
                e->s_nodes[m] = e->b_nodes[i];
                e->s_at[m] = i;
                e->s_verdicts[m++] = VERDICT_OPEN;
            }
        }
        const struct policy *p = engine_policy(e, policy);
        p->filter(engine_ctx(e, policy), e->s_nodes, m, e->s_verdicts);
        bool full_last = engine_full_last(p, e->ctx.judge);
        for (uint32_t i = 0; i < m; i++) {
            if (e->s_verdicts[i].reason == REASON_NONE) {
                continue;
            }
            if (full_last) {
                e->b_stage[e->s_at[i]] = 1;
            } else {
                engine_verdict_close(&e->s_verdicts[i], policy);
                e->b_verdicts[e->s_at[i]] = e->s_verdicts[i];
            }
        }
    }
}

static void run_costs(struct engine *e, const struct index_list *l, uint32_t n)
{
    for (uint32_t k = 0; k < l->n; k++) {
        engine_add_cost(e, l->at[k], e->s_nodes, n, e->b_cost);
    }
}

/* The part that hangs on the node object, for rows where it is not known. */
static void fill_static(struct engine *e, struct class_cache *cc)
{
    const struct index_list *filters = &e->plan[e->ctx.judge].static_filters;
    uint32_t n = 0;
    for (uint32_t i = 0; i < e->n; i++) {
        uint32_t row = e->nodes[i].v;
        uint8_t state = cc->rows[row].state;
        if (state == ROW_EMPTY ||
            (state == ROW_STATIC && cc->cold[row].static_gen != e->c->static_gen[row])) {
            e->b_nodes[n] = e->nodes[i];
            e->b_stage[n] = 0;
            e->b_verdicts[n++] = (struct verdict){0};
        }
    }
    run_kind(e, filters, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = e->b_nodes[i].v;
        cc->cold[row] = (struct class_cold){
            .static_gen = e->c->static_gen[row], .v = e->b_verdicts[i], .full = e->b_stage[i]};
        cc->rows[row].state = ROW_STATIC;
    }
}

/* Costs of batch nodes that passed: the static sum once, then the node's on top of it. */
static void fill_costs(struct engine *e, struct class_cache *cc, uint32_t n)
{
    uint32_t m = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = e->b_nodes[i].v;
        if (e->b_verdicts[i].reason == REASON_NONE && !cc->cold[row].costed) {
            e->s_nodes[m] = e->b_nodes[i];
            e->b_cost[m++] = 0;
        }
    }
    run_costs(e, &e->static_costs, m);
    for (uint32_t i = 0; i < m; i++) {
        cc->cold[e->s_nodes[i].v].cost = e->b_cost[i];
        cc->cold[e->s_nodes[i].v].costed = true;
    }
    m = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (e->b_verdicts[i].reason == REASON_NONE) {
            e->s_nodes[m] = e->b_nodes[i];
            e->b_cost[m++] = cc->cold[e->b_nodes[i].v].cost;
        }
    }
    run_costs(e, &e->node_costs, m);
    for (uint32_t i = 0; i < m; i++) {
        cc->rows[e->s_nodes[i].v].cost = e->b_cost[i];
    }
}

void engine_cache_fill(struct engine *e, struct class_cache *cc)
{
    uint32_t n = 0;
    fill_static(e, cc);
    for (uint32_t i = 0; i < e->n; i++) {
        uint32_t row = e->nodes[i].v;
        if (cc->rows[row].state != ROW_VALID) {
            e->b_nodes[n] = e->nodes[i];
            e->b_stage[n] = cc->cold[row].full;
            e->b_verdicts[n++] = cc->cold[row].v;
        }
    }
    if (n > 0) {
        run_kind(e, &e->plan[e->ctx.judge].node_filters, n);
        for (uint32_t i = 0; i < n; i++) {
            struct class_row *row = &cc->rows[e->b_nodes[i].v];
            *row = (struct class_row){
                .v = e->b_verdicts[i], .state = ROW_VALID, .full = e->b_stage[i]};
        }
        fill_costs(e, cc, n);
    }
    e->stats.nodes_evaluated += n;
    e->stats.nodes_reused += e->n - n;
    for (uint32_t i = 0; i < e->n; i++) {
        const struct class_row *row = &cc->rows[e->nodes[i].v];
        e->verdicts[i] = row->v;
        e->full[i] = row->full;
        e->cost[i] = row->cost;
    }
}
