/* The engine's inside: shared by engine.c, engine_cache.c, engine_rank.c and the explanations; nobody else.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/engine.h"

#define ENGINE_MAGIC             0x656e6731u
#define ENGINE_POLICIES_MAX      64
#define ENGINE_JUDGES            3
#define ENGINE_SCRATCH_BYTES     (512u << 20) /* tables of one decision; 100,000 nodes need a few MB */
#define ENGINE_CLASS_ARENA_BYTES (256u << 20) /* what policies keep for one class */
#define ENGINE_CACHE_BYTES \
    (512u << 20) /* rows of all classes together; the least recently used go first */

enum row_state { ROW_EMPTY = 0, ROW_STATIC, ROW_VALID };

/* What is known of one node for one class: 16 bytes that every decision reads … */
struct class_row {
    int64_t
        cost; /* of policies with DEP_STATIC and DEP_NODE; meaningful where the verdict is NONE */
    struct verdict v; /* the first of DEP_STATIC and DEP_NODE filters that refuses */
    uint8_t state, full;
};
/* … and what survives a change of the node's pods. */
struct class_cold {
    int64_t cost;
    uint64_t static_gen;
    struct verdict v;
    bool full, costed;
};
struct class_cache {
    struct arena arena; /* the policies' class states */
    void *states[ENGINE_POLICIES_MAX];
    bool begun;
    uint64_t epoch, cursor, tick;
    uint32_t cap_rows, at; /* at: place in engine.caches */
    struct class_row *rows;
    struct class_cold *cold;
};
struct policy_slot {
    void *class_state, *state;
    bool skipped;
};
/* Positions in the preset's list, by what is called. */
struct index_list {
    uint8_t at[ENGINE_POLICIES_MAX];
    uint32_t n;
};
struct judge_plan {
    struct index_list used;    /* prepared at all */
    struct index_list filters; /* every filter that counts, in order */
    struct index_list static_filters, node_filters, live_filters;
};
struct engine {
    uint32_t magic;
    struct cluster *c;
    const struct preset *preset;
    struct judge_plan plan[ENGINE_JUDGES];
    struct index_list static_costs, node_costs,
        live_costs;                         /* of the rule: cost, or score without normalize */
    struct index_list stages, ranks, norms; /* norms: scores that see all survivors */
    struct arena scratch, plain_arena;
    size_t scratch_primed;       /* bytes that one chunk of scratch is known to hold */
    struct class_cache **caches; /* by class * ENGINE_JUDGES + judge */
    uint32_t n_caches;
    uint64_t cache_bytes, tick;
    struct engine_stats stats;

    /* one decision's arrays, grown to the largest ask */
    uint32_t cap;
    node_ix *nodes, *b_nodes, *s_nodes; /* asked; a batch; a part of a batch */
    uint32_t *b_at, *s_at;
    struct verdict *verdicts, *b_verdicts, *s_verdicts;
    struct ranked *feasible;
    int64_t *cost, *b_cost, *b_raw;
    uint8_t *full, *b_stage;
    uint32_t n;

    /* the last decision's context, for messages and explanations */
    struct policy_ctx ctx;
    struct policy_slot slots[ENGINE_POLICIES_MAX];
    const struct verdict *prefilter; /* a refusal that stands on every node, or NULL */
    struct verdict prefilter_verdict;
};

static inline const struct policy *engine_policy(const struct engine *e, uint32_t at)
{
    return e->preset->items[at].policy;
}
/* The context as policy `at` sees it. */
static inline struct policy_ctx *engine_ctx(struct engine *e, uint32_t at)
{
    e->ctx.class_state = e->slots[at].class_state;
    e->ctx.state = e->slots[at].state;
    return &e->ctx;
}
#define VERDICT_OPEN \
    ((struct verdict){.unresolvable = 2}) /* before a filter: 2 = as the table says */
static inline void engine_verdict_close(struct verdict *v, uint32_t at)
{
    v->policy = (uint8_t)at;
    if (v->unresolvable > 1) {
        v->unresolvable = reason_unresolvable((enum reason)v->reason);
    }
}
/* engine.c */
bool engine_filter_counts(const struct policy *p, enum judge judge);
bool engine_full_last(const struct policy *p, enum judge judge);
/* Adds policy `at`'s part of the total (nano-currency, or weighted score) for each of n nodes. */
void engine_add_cost(struct engine *e, uint32_t at, const node_ix *nodes, uint32_t n,
                     int64_t *cost);
/* engine_cache.c */
int engine_cache_open(struct engine *e, struct class_cache **ret, struct err *err) SP_MUST_CHECK;
void engine_cache_sync(struct engine *e, struct class_cache *cc);
void engine_cache_fill(struct engine *e, struct class_cache *cc);
void engine_cache_free_all(struct engine *e);
int engine_class_begin(struct engine *e, struct arena *arena, void **states,
                       struct err *err) SP_MUST_CHECK;
/* engine_rank.c */
void engine_rank_feasible(struct engine *e, const struct ask *ask, const uint8_t *full,
                          uint32_t n_feasible);
/* message.c */
/* The reason's text; `out` holds it where it is made (a resource's name), at least 64 bytes. */
struct str engine_reason_text(const struct engine *e, const struct verdict *v, char *out, size_t n);
/* Every reason of a refused node of the last decision, at least one; returns how many. */
uint32_t engine_reasons(struct engine *e, node_ix node, const struct verdict *v,
                        struct verdict *out, uint32_t max);
