/* PodTopologySpread: hard constraints (whenUnsatisfiable: DoNotSchedule). Soft ones are priced by soft-wishes.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/policy.h"

struct constraint {
    const struct spread_term *term;
    struct group *group;
    uint32_t n_hard; /* of the class: for group admission */
    const struct spread_term *const *hard;
};
struct spread_class {
    struct constraint *p;
    uint32_t n;
};
struct spread_limit { /* per decision */
    const struct spread_term *term;
    struct group_view view;
    int64_t least;
    int32_t self;
};

/* Counts only on nodes that have every hard constraint's key and that this constraint's policies let in. */
static bool spread_admits(const struct policy_ctx *ctx, node_ix node, const void *arg)
{
    const struct constraint *k = arg;
    for (uint32_t i = 0; i < k->n_hard; i++) {
        if (cluster_domain(ctx->c, k->hard[i]->topo, node).v == 0) {
            return false;
        }
    }
    if (k->term->honor_affinity && !match_node_selection(ctx, node)) {
        return false;
    }
    return !k->term->honor_taints || !match_untolerated(ctx, node);
}

static int spread_class_begin(struct policy_ctx *ctx, struct arena *arena, void **ret_state,
                              struct err *err)
{
    const struct pod_class *cls = ctx->cls;
    struct spread_class *s = arena_calloc(arena, 1, sizeof *s);
    const struct spread_term **hard =
        arena_calloc(arena, cls->n_spread + 1u, sizeof(struct spread_term *));
    if (!s || !hard) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < cls->n_spread; i++) {
        if (cls->spread[i].hard) {
            hard[s->n++] = &cls->spread[i];
        }
    }
    *ret_state = s;
    s->p = arena_calloc(arena, s->n + 1u, sizeof *s->p);
    if (!s->p) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < s->n; i++) {
        s->p[i] = (struct constraint){.term = hard[i], .n_hard = s->n, .hard = hard};
        struct group_spec spec = {.counter = hard[i]->counter,
                                  .topo = hard[i]->topo,
                                  .live_only = true,
                                  .admits = spread_admits,
                                  .arg = &s->p[i]};
        int r = group_open(ctx, arena, &spec, &s->p[i].group, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int64_t least_of(const struct group_view *v, const struct spread_term *term)
{
    int64_t least = 0;
    int64_t domains = 0;
    for (uint32_t d = 1; d < v->n_domains; d++) {
        if (v->admitted[d] > 0) {
            int64_t sum = term->empty_selector ? 0 : v->sums[d];
            least = domains == 0 || sum < least ? sum : least;
            domains++;
        }
    }
    int64_t want = term->min_domains > 0 ? term->min_domains : 1;
    return domains < want ? 0 : least;
}

static int32_t counts_itself(const struct policy_ctx *ctx, const struct spread_term *term)
{
    if (!ctx->c->counters[term->counter].sibling_keys) {
        return term->matches_self;
    }
    return selector_matches(&term->selector, cluster_labels(ctx->c, ctx->pod->labels),
                            ctx->c->syms);
}

static int spread_prepare(struct policy_ctx *ctx, struct err *err)
{
    const struct spread_class *s = ctx->class_state;
    if (s->n == 0) {
        return POLICY_SKIP;
    }
    struct spread_limit *limits = arena_calloc(ctx->scratch, s->n, sizeof *limits);
    if (!limits) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < s->n; i++) {
        struct spread_limit *l = &limits[i];
        l->term = s->p[i].term;
        if (group_read(ctx, s->p[i].group, &l->view) < 0) {
            return err_nomem(err);
        }
        l->least = least_of(&l->view, l->term);
        l->self = counts_itself(ctx, l->term);
    }
    ctx->state = limits;
    return 0;
}

static enum reason judge_limit(const struct policy_ctx *ctx, const struct spread_limit *l,
                               node_ix node)
{
    dom_ix d = cluster_domain(ctx->c, l->term->topo, node);
    if (d.v == 0) {
        return REASON_SPREAD_LABEL;
    }
    int64_t count = l->view.admitted[d.v] > 0 && !l->term->empty_selector ? l->view.sums[d.v] : 0;
    return count + l->self - l->least > l->term->max_skew ? REASON_SPREAD : REASON_NONE;
}

static void spread_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                          struct verdict *ret)
{
    const struct spread_class *s = ctx->class_state;
    const struct spread_limit *limits = ctx->state;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < s->n && ret[i].reason == REASON_NONE; k++) {
            enum reason why = judge_limit(ctx, &limits[k], nodes[i]);
            ret[i].reason = (uint16_t)why;
            ret[i].unresolvable = reason_unresolvable(why);
        }
    }
}

const struct policy policy_kube_pod_topology_spread = {
    .name = "PodTopologySpread",
    .filter_dep = DEP_LIVE,
    .class_begin = spread_class_begin,
    .prepare = spread_prepare,
    .filter = spread_filter,
};
