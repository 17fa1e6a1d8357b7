// SPDX-License-Identifier: Apache-2.0
#include "engine/engine_impl.h"

#include "base/mem.h"

bool engine_filter_counts(const struct policy *p, enum judge judge)
{
    if (!p->filter) {
        return false;
    }
    switch (judge) {
    case JUDGE_LIVE:
        return p->judged_live || p->full_last;
    case JUDGE_SNAPSHOT:
        return p->judged_snapshot;
    case JUDGE_ALL:
    default:
        return true;
    }
}

bool engine_full_last(const struct policy *p, enum judge judge)
{
    return judge == JUDGE_LIVE && p->full_last;
}

static void list_add(struct index_list *l, uint32_t at)
{
    l->at[l->n++] = (uint8_t)at;
}

/* Whether the preset's rule asks this policy for anything beside its filter. */
static bool rule_uses(const struct preset *preset, const struct preset_item *item)
{
    const struct policy *p = item->policy;
    switch (preset->rule) {
    case RULE_COST:
        return p->cost || p->stage || p->rank;
    case RULE_SCORE:
        return p->score && item->weight != 0;
    case RULE_RANDOM:
    default:
        return false;
    }
}

static void plan_rule(struct engine *e, uint32_t at)
{
    const struct preset_item *item = &e->preset->items[at];
    const struct policy *p = item->policy;
    struct index_list *by_dep[] = {&e->static_costs, &e->node_costs, &e->live_costs};
    if (e->preset->rule == RULE_COST) {
        if (p->cost) {
            list_add(by_dep[p->cost_dep], at);
        }
        if (p->stage) {
            list_add(&e->stages, at);
        }
        if (p->rank) {
            list_add(&e->ranks, at);
        }
    } else if (e->preset->rule == RULE_SCORE && p->score && item->weight != 0) {
        list_add(p->normalize ? &e->norms : by_dep[p->cost_dep], at);
    }
}

static void plan_judge(struct engine *e, enum judge judge, uint32_t at)
{
    const struct policy *p = engine_policy(e, at);
    struct judge_plan *plan = &e->plan[judge];
    struct index_list *by_dep[] = {&plan->static_filters, &plan->node_filters, &plan->live_filters};
    bool counts = engine_filter_counts(p, judge);
    if (counts) {
        list_add(&plan->filters, at);
        list_add(by_dep[p->filter_dep], at);
    }
    if (counts || rule_uses(e->preset, &e->preset->items[at])) {
        list_add(&plan->used, at);
    }
}

int engine_new(struct engine **ret, struct cluster *c, const struct preset *preset, struct err *err)
{
    check(preset->n_items <= ENGINE_POLICIES_MAX);
    struct engine *e = mem_calloc(1, sizeof *e);
    if (!e) {
        return err_nomem(err);
    }
    e->magic = ENGINE_MAGIC;
    e->c = c;
    e->preset = preset;
    arena_init(&e->scratch, ENGINE_SCRATCH_BYTES);
    arena_init(&e->plain_arena, ENGINE_SCRATCH_BYTES);
    for (uint32_t i = 0; i < preset->n_items; i++) {
        plan_rule(e, i);
        for (int j = 0; j < ENGINE_JUDGES; j++) {
            plan_judge(e, (enum judge)j, i);
        }
    }
    *ret = e;
    return 0;
}

void engine_free(struct engine *e)
{
    if (!e) {
        return;
    }
    check(e->magic == ENGINE_MAGIC);
    engine_cache_free_all(e);
    arena_done(&e->scratch);
    arena_done(&e->plain_arena);
    void *arrays[] = {e->nodes,    e->b_nodes,    e->s_nodes,    e->b_at,     e->s_at,
                      e->verdicts, e->b_verdicts, e->s_verdicts, e->feasible, e->cost,
                      e->b_cost,   e->b_raw,      e->full,       e->b_stage};
    for (size_t i = 0; i < SP_COUNTOF(arrays); i++) {
        mem_free(arrays[i]);
    }
    e->magic = 0;
    mem_free(e);
}

static int grow(void *array, uint32_t cap, size_t size)
{
    void **p = array;
    void *bigger = mem_realloc(*p, (size_t)cap * size);
    if (!bigger) {
        return -ENOMEM;
    }
    *p = bigger;
    return 0;
}

static int engine_reserve(struct engine *e, uint32_t n, struct err *err)
{
    if (n <= e->cap && e->cap > 0) {
        return 0;
    }
    uint32_t cap = e->cap ? e->cap : 64;
    while (cap < n) {
        cap *= 2;
    }
    if (grow(&e->nodes, cap, sizeof *e->nodes) || grow(&e->b_nodes, cap, sizeof *e->b_nodes) ||
        grow(&e->b_at, cap, sizeof *e->b_at) || grow(&e->verdicts, cap, sizeof *e->verdicts) ||
        grow(&e->b_verdicts, cap, sizeof *e->b_verdicts) ||
        grow(&e->feasible, cap, sizeof *e->feasible) || grow(&e->cost, cap, sizeof *e->cost) ||
        grow(&e->b_cost, cap, sizeof *e->b_cost) || grow(&e->b_raw, cap, sizeof *e->b_raw) ||
        grow(&e->full, cap, sizeof *e->full) || grow(&e->b_stage, cap, sizeof *e->b_stage) ||
        grow(&e->s_nodes, cap, sizeof *e->s_nodes) || grow(&e->s_at, cap, sizeof *e->s_at) ||
        grow(&e->s_verdicts, cap, sizeof *e->s_verdicts)) {
        return err_nomem(err);
    }
    e->cap = cap;
    return 0;
}

/* The asked nodes into the engine's own array; all live ones without a list. */
static int take_nodes(struct engine *e, const struct ask *ask, struct err *err)
{
    const struct cluster *c = e->c;
    uint32_t n = ask->nodes ? ask->n_nodes : c->n_rows;
    int r = engine_reserve(e, n, err);
    if (r < 0) {
        return r;
    }
    if (ask->nodes) {
        for (uint32_t i = 0; i < n; i++) {
            check(ask->nodes[i].v < c->n_rows);
            e->nodes[i] = ask->nodes[i];
        }
        e->n = n;
        return 0;
    }
    e->n = 0;
    for (uint32_t row = 0; row < c->n_rows; row++) {
        if (c->flags[row] & NODE_LIVE) {
            e->nodes[e->n++] = (node_ix){row};
        }
    }
    return 0;
}

/* One chunk as large as any decision needed so far, so that the next allocates nothing from the heap. */
static void scratch_reset(struct engine *e)
{
    arena_reset(&e->scratch);
    size_t want = e->scratch.peak_bytes * 2;
    if (want > e->scratch_primed && want < e->scratch.max_bytes) {
        void *whole = arena_alloc(&e->scratch, want);
        e->scratch_primed = whole ? want : e->scratch_primed;
        arena_reset(&e->scratch);
        e->scratch.peak_bytes = 0;
    }
}

static void make_ctx(struct engine *e, const struct ask *ask)
{
    const struct pod_class *cls = ask->cls ? ask->cls : cluster_class(e->c, ask->pod->cls);
    scratch_reset(e);
    e->ctx = (struct policy_ctx){
        .c = e->c,
        .settings = ask->settings ? ask->settings : e->c->settings,
        .cls = cls,
        .pod = ask->pod,
        .game = &cls->game,
        .judge = ask->judge,
        .has_time = ask->has_time,
        .now_ms = ask->now_ms,
        .waited_ms = ask->has_time ? ask->waited_ms : -1,
        .scratch = &e->scratch,
        .nodes = e->nodes,
        .n_nodes = e->n,
    };
    memset(e->slots, 0, sizeof e->slots);
    e->prefilter = NULL;
}

static int prepare_all(struct engine *e, void *const *states, struct err *err)
{
    const struct index_list *used = &e->plan[e->ctx.judge].used;
    for (uint32_t i = 0; i < e->preset->n_items; i++) {
        e->slots[i].skipped = true;
    }
    for (uint32_t k = 0; k < used->n; k++) {
        uint32_t at = used->at[k];
        const struct policy *p = engine_policy(e, at);
        struct policy_slot *slot = &e->slots[at];
        slot->class_state = states[at];
        struct policy_ctx *ctx = engine_ctx(e, at);
        int r = p->prepare ? p->prepare(ctx, err) : 0;
        if (r < 0) {
            return r;
        }
        slot->skipped = r == POLICY_SKIP;
        slot->state = ctx->state;
        if (!slot->skipped && p->prefilter && !e->prefilter &&
            engine_filter_counts(p, ctx->judge)) {
            struct verdict v = VERDICT_OPEN;
            p->prefilter(ctx, &v);
            if (v.reason != REASON_NONE) {
                engine_verdict_close(&v, at);
                e->prefilter_verdict = v;
                e->prefilter = &e->prefilter_verdict;
            }
        }
    }
    return 0;
}

/* Runs one filter over the asked nodes that no earlier policy has refused. */
static void run_filter(struct engine *e, uint32_t at)
{
    const struct policy *p = engine_policy(e, at);
    bool full_last = engine_full_last(p, e->ctx.judge);
    uint32_t n = 0;
    for (uint32_t i = 0; i < e->n; i++) {
        if (e->verdicts[i].reason == REASON_NONE || e->verdicts[i].policy > at) {
            e->b_nodes[n] = e->nodes[i];
            e->b_at[n] = i;
            e->b_verdicts[n++] = VERDICT_OPEN;
        }
    }
    p->filter(engine_ctx(e, at), e->b_nodes, n, e->b_verdicts);
    for (uint32_t k = 0; k < n; k++) {
        struct verdict *v = &e->b_verdicts[k];
        if (v->reason == REASON_NONE) {
            continue;
        }
        if (full_last) {
            e->full[e->b_at[k]] = 1;
            continue;
        }
        engine_verdict_close(v, at);
        e->verdicts[e->b_at[k]] = *v;
    }
}

static void refuse_all(struct engine *e)
{
    for (uint32_t i = 0; i < e->n; i++) {
        e->verdicts[i] = *e->prefilter;
        e->full[i] = 0;
        e->cost[i] = 0;
    }
}

void engine_add_cost(struct engine *e, uint32_t at, const node_ix *nodes, uint32_t n, int64_t *cost)
{
    const struct policy *p = engine_policy(e, at);
    struct policy_ctx *ctx = engine_ctx(e, at);
    if (e->slots[at].skipped || n == 0) {
        return;
    }
    if (e->preset->rule == RULE_COST) {
        p->cost(ctx, nodes, n, cost);
        return;
    }
    int64_t weight = e->preset->items[at].weight;
    for (uint32_t i = 0; i < n; i++) { /* one by one: the batch array is the caller's */
        int64_t raw = 0;
        p->score(ctx, &nodes[i], 1, &raw);
        cost[i] += raw * weight;
    }
}

static void evaluate_plain(struct engine *e)
{
    const struct index_list *filters = &e->plan[e->ctx.judge].filters;
    memset(e->verdicts, 0, e->n * sizeof *e->verdicts);
    memset(e->full, 0, e->n);
    memset(e->cost, 0, e->n * sizeof *e->cost);
    for (uint32_t k = 0; k < filters->n; k++) {
        if (!e->slots[filters->at[k]].skipped) {
            run_filter(e, filters->at[k]);
        }
    }
    e->stats.nodes_evaluated += e->n;
}

static void evaluate_cached(struct engine *e, struct class_cache *cc)
{
    const struct index_list *live = &e->plan[e->ctx.judge].live_filters;
    engine_cache_sync(e, cc);
    engine_cache_fill(e, cc);
    for (uint32_t k = 0; k < live->n; k++) {
        if (!e->slots[live->at[k]].skipped) {
            run_filter(e, live->at[k]);
        }
    }
}

/* Compacts the nodes that passed into b_nodes, b_at, b_cost. */
static uint32_t gather_survivors(struct engine *e)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < e->n; i++) {
        if (e->verdicts[i].reason == REASON_NONE) {
            e->b_nodes[n] = e->nodes[i];
            e->b_at[n] = i;
            e->b_cost[n++] = e->cost[i];
        }
    }
    return n;
}

static void add_costs(struct engine *e, const struct index_list *l, uint32_t n)
{
    for (uint32_t k = 0; k < l->n; k++) {
        engine_add_cost(e, l->at[k], e->b_nodes, n, e->b_cost);
    }
}

static bool out_of_budget(const struct ask *ask)
{
    return ask->over_budget && ask->over_budget(ask->over_arg);
}

static void choose(struct engine *e, const struct ask *ask, bool plain, struct decision *ret)
{
    uint32_t n = gather_survivors(e);
    if (plain) {
        add_costs(e, &e->static_costs, n);
        add_costs(e, &e->node_costs, n);
    }
    add_costs(e, &e->live_costs, n);
    engine_rank_feasible(e, ask, e->full, n);
    ret->n_feasible = n;
    ret->feasible = e->feasible;
    for (uint32_t i = 0; i < n; i++) {
        ret->n_full += e->feasible[i].full;
        if (i == 0 || engine_compare(e, &e->feasible[i], &ret->best) < 0) {
            ret->best = e->feasible[i];
        }
    }
    if (n > 0) {
        ret->chosen = ret->best.node;
        ret->all_full = ret->best.full;
    }
}

static int decide(struct engine *e, const struct ask *ask, bool plain, struct decision *ret,
                  struct err *err)
{
    check(e->magic == ENGINE_MAGIC);
    check((unsigned)ask->judge < ENGINE_JUDGES);
    int r = take_nodes(e, ask, err);
    if (r < 0) {
        return r;
    }
    make_ctx(e, ask);
    struct class_cache *cc = NULL;
    void *states[ENGINE_POLICIES_MAX] = {0};
    if (plain) {
        arena_reset(&e->plain_arena);
        r = engine_class_begin(e, &e->plain_arena, states, err);
    } else {
        r = engine_cache_open(e, &cc, err);
    }
    if (r == 0) {
        r = prepare_all(e, plain ? states : cc->states, err);
    }
    if (r < 0) {
        return r;
    }
    e->stats.decisions++;
    struct decision d = {
        .chosen = NODE_NONE, .n_asked = e->n, .nodes = e->nodes, .verdicts = e->verdicts};
    d.over_budget = out_of_budget(ask);
    if (!d.over_budget) {
        if (e->prefilter) {
            refuse_all(e);
        } else if (plain) {
            evaluate_plain(e);
        } else {
            evaluate_cached(e, cc);
        }
        d.over_budget = out_of_budget(ask);
    }
    if (!d.over_budget) {
        choose(e, ask, plain, &d);
    }
    *ret = d;
    return 0;
}

int engine_decide(struct engine *e, const struct ask *ask, struct decision *ret, struct err *err)
{
    return decide(e, ask, ask->cls != NULL || ask->settings != NULL, ret, err);
}

int engine_decide_plain(struct engine *e, const struct ask *ask, struct decision *ret,
                        struct err *err)
{
    return decide(e, ask, true, ret, err);
}

const struct preset *engine_preset(const struct engine *e)
{
    return e->preset;
}

void engine_stats(const struct engine *e, struct engine_stats *ret)
{
    *ret = e->stats;
}
