/* InterPodAffinity: required affinity and anti-affinity of the pod, and required anti-affinity of the pods that stand.
 * Preferred terms are priced by soft-wishes.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/policy.h"
#include "model/conventions.h"

struct term_group {
    const struct pod_term *term;
    struct group *group;
    bool per_pod; /* the selector names a label that differs between pods of one class */
};
/* Anti-affinity terms of all classes that may match this pod; grows with the cluster's classes. */
struct affinity_class {
    struct arena *arena;
    struct term_group *affinity, *anti;
    uint32_t n_affinity, n_anti;
    struct term_group *existing;
    uint32_t n_existing, cap_existing;
    uint32_t classes_seen;
};
struct term_view {
    const struct pod_term *term;
    struct group_view view;
};
struct affinity_state {
    struct term_view *affinity, *anti, *existing;
    uint32_t n_affinity, n_anti, n_existing;
    const int64_t *
        *both; /* several affinity terms: pods that match all of them, by term and domain */
    bool first_of_series;
};

static bool names_sibling_key(const struct cluster *c, const struct selector *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (conventions_is_sibling_label(sym_str(c->syms, s->p[i].key))) {
            return true;
        }
    }
    return false;
}

/* Whether a term's namespaces hold this one. */
static bool term_reaches(const struct cluster *c, const struct pod_term *t, sym ns)
{
    for (uint32_t i = 0; i < t->n_namespaces; i++) {
        if (t->namespaces[i].v == ns.v) {
            return true;
        }
    }
    return !t->ns_selector.nothing &&
           selector_matches(&t->ns_selector, cluster_namespace_labels(c, ns), c->syms);
}

static bool term_matches(const struct cluster *c, const struct pod_term *t, sym ns,
                         labelset_ix labels)
{
    return term_reaches(c, t, ns) &&
           selector_matches(&t->selector, cluster_labels(c, labels), c->syms);
}

static int open_terms(struct policy_ctx *ctx, struct arena *arena, const struct pod_term *terms,
                      uint32_t n, struct term_group **ret, struct err *err)
{
    struct term_group *g = arena_calloc(arena, n + 1u, sizeof *g);
    if (!g) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < n; i++) {
        struct group_spec spec = {.counter = terms[i].counter, .topo = terms[i].topo};
        g[i].term = &terms[i];
        int r = group_open(ctx, arena, &spec, &g[i].group, err);
        if (r < 0) {
            return r;
        }
    }
    *ret = g;
    return 0;
}

static int affinity_class_begin(struct policy_ctx *ctx, struct arena *arena, void **ret_state,
                                struct err *err)
{
    const struct pod_class *cls = ctx->cls;
    struct affinity_class *s = arena_calloc(arena, 1, sizeof *s);
    if (!s) {
        return err_nomem(err);
    }
    *ret_state = s;
    s->arena = arena;
    s->n_affinity = cls->n_affinity_required;
    s->n_anti = cls->n_anti_required;
    int r = open_terms(ctx, arena, cls->affinity_required, s->n_affinity, &s->affinity, err);
    return r < 0 ? r : open_terms(ctx, arena, cls->anti_required, s->n_anti, &s->anti, err);
}

static int existing_add(struct policy_ctx *ctx, struct affinity_class *s, const struct pod_term *t,
                        bool per_pod, struct err *err)
{
    if (s->n_existing == s->cap_existing) {
        uint32_t cap = s->cap_existing ? 2 * s->cap_existing : 8;
        struct term_group *p = arena_calloc(s->arena, cap, sizeof *p);
        if (!p) {
            return err_nomem(err);
        }
        if (s->n_existing) {
            memcpy(p, s->existing, s->n_existing * sizeof *p);
        }
        s->existing = p;
        s->cap_existing = cap;
    }
    struct group_spec spec = {.counter = t->carrier, .topo = t->topo};
    struct term_group *g = &s->existing[s->n_existing];
    *g = (struct term_group){.term = t, .per_pod = per_pod};
    int r = group_open(ctx, s->arena, &spec, &g->group, err);
    s->n_existing += r == 0;
    return r;
}

/* Terms of one class share its carrier: one group per topology is enough for those that surely match. */
static bool existing_known(const struct affinity_class *s, const struct pod_term *t, bool per_pod)
{
    for (uint32_t i = 0; i < s->n_existing && !per_pod; i++) {
        if (!s->existing[i].per_pod && s->existing[i].term->carrier == t->carrier &&
            s->existing[i].term->topo.v == t->topo.v) {
            return true;
        }
    }
    return false;
}

/* Classes that came since the last look. */
static int existing_learn(struct policy_ctx *ctx, struct affinity_class *s, struct err *err)
{
    const struct cluster *c = ctx->c;
    for (; s->classes_seen < c->n_classes; s->classes_seen++) {
        const struct pod_class *other = c->classes[s->classes_seen];
        for (uint32_t i = 0; i < other->n_anti_required; i++) {
            const struct pod_term *t = &other->anti_required[i];
            bool per_pod = names_sibling_key(c, &t->selector);
            bool may = term_reaches(c, t, ctx->cls->ns) &&
                       (per_pod || selector_matches(&t->selector,
                                                    cluster_labels(c, ctx->cls->labels), c->syms));
            int r =
                may && !existing_known(s, t, per_pod) ? existing_add(ctx, s, t, per_pod, err) : 0;
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

static int read_views(struct policy_ctx *ctx, struct term_group *g, uint32_t n,
                      struct term_view **ret, uint32_t *ret_n, struct err *err)
{
    struct term_view *v = arena_calloc(ctx->scratch, n + 1u, sizeof *v);
    uint32_t kept = 0;
    if (!v) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (g[i].per_pod &&
            !selector_matches(&g[i].term->selector, cluster_labels(ctx->c, ctx->pod->labels),
                              ctx->c->syms)) {
            continue;
        }
        v[kept].term = g[i].term;
        if (group_read(ctx, g[i].group, &v[kept].view) < 0) {
            return err_nomem(err);
        }
        kept++;
    }
    *ret = v;
    *ret_n = kept;
    return 0;
}

static bool matches_all(const struct policy_ctx *ctx, const struct pod_req *pod)
{
    for (uint32_t i = 0; i < ctx->cls->n_affinity_required; i++) {
        if (!term_matches(ctx->c, &ctx->cls->affinity_required[i], pod->ns, pod->labels)) {
            return false;
        }
    }
    return true;
}

/* Pods of a node that match every affinity term. */
static int64_t count_matching_all(const struct policy_ctx *ctx, uint32_t row)
{
    const struct cluster *c = ctx->c;
    int64_t n = 0;
    for (uint32_t i = 0; i < ctx->cls->n_affinity_required; i++) {
        if (c->counters[ctx->cls->affinity_required[i].counter].all[row] == 0) {
            return 0;
        }
    }
    for (uint32_t i = 0; i < c->n_pods[row]; i++) {
        n += matches_all(ctx, &c->pod[c->pods[row][i].v].req);
    }
    return n;
}

/* With several terms a pod counts only if it matches all of them, which no single counter tells. */
static int count_both(struct policy_ctx *ctx, struct affinity_state *s, int64_t *ret_total,
                      struct err *err)
{
    const struct cluster *c = ctx->c;
    int64_t **sums = arena_calloc(ctx->scratch, s->n_affinity, sizeof *sums);
    if (!sums) {
        return err_nomem(err);
    }
    for (uint32_t k = 0; k < s->n_affinity; k++) {
        sums[k] = arena_calloc(ctx->scratch, s->affinity[k].view.n_domains + 1u, sizeof **sums);
        if (!sums[k]) {
            return err_nomem(err);
        }
    }
    *ret_total = 0;
    for (uint32_t row = 0; row < c->n_rows; row++) {
        int64_t n = c->flags[row] & NODE_LIVE ? count_matching_all(ctx, row) : 0;
        for (uint32_t k = 0; k < s->n_affinity && n > 0; k++) {
            uint32_t d = cluster_domain(c, s->affinity[k].term->topo, (node_ix){row}).v;
            sums[k][d] += n;
            *ret_total += d ? n : 0;
        }
    }
    const int64_t **both = arena_calloc(ctx->scratch, s->n_affinity, sizeof(int64_t *));
    if (!both) {
        return err_nomem(err);
    }
    for (uint32_t k = 0; k < s->n_affinity; k++) {
        both[k] = sums[k];
    }
    s->both = both;
    return 0;
}

static int affinity_prepare(struct policy_ctx *ctx, struct err *err)
{
    struct affinity_class *cs = ctx->class_state;
    int r = existing_learn(ctx, cs, err);
    if (r < 0) {
        return r;
    }
    if (cs->n_affinity + cs->n_anti + cs->n_existing == 0) {
        return POLICY_SKIP;
    }
    struct affinity_state *s = arena_calloc(ctx->scratch, 1, sizeof *s);
    if (!s) {
        return err_nomem(err);
    }
    ctx->state = s;
    if ((r = read_views(ctx, cs->affinity, cs->n_affinity, &s->affinity, &s->n_affinity, err)) <
            0 ||
        (r = read_views(ctx, cs->anti, cs->n_anti, &s->anti, &s->n_anti, err)) < 0 ||
        (r = read_views(ctx, cs->existing, cs->n_existing, &s->existing, &s->n_existing, err)) <
            0) {
        return r;
    }
    if (s->n_affinity > 0) {
        int64_t total = s->affinity[0].view.total;
        if (s->n_affinity > 1) {
            r = count_both(ctx, s, &total, err);
        }
        s->first_of_series = total == 0 && matches_all(ctx, ctx->pod);
    }
    return r;
}

static bool affinity_holds(const struct policy_ctx *ctx, const struct affinity_state *s,
                           node_ix node)
{
    bool all = true;
    for (uint32_t k = 0; k < s->n_affinity; k++) {
        uint32_t d = cluster_domain(ctx->c, s->affinity[k].term->topo, node).v;
        if (d == 0) {
            return false; /* lacks the key: not even the first of a series may stand here */
        }
        const int64_t *sums = s->both ? s->both[k] : s->affinity[k].view.sums;
        all = all && sums[d] > 0;
    }
    return all || s->first_of_series;
}

static bool any_there(const struct policy_ctx *ctx, const struct term_view *v, uint32_t n,
                      node_ix node)
{
    for (uint32_t k = 0; k < n; k++) {
        uint32_t d = cluster_domain(ctx->c, v[k].term->topo, node).v;
        if (d != 0 && v[k].view.sums[d] > 0) {
            return true;
        }
    }
    return false;
}

static void affinity_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                            struct verdict *ret)
{
    const struct affinity_state *s = ctx->state;
    for (uint32_t i = 0; i < n; i++) {
        if (!affinity_holds(ctx, s, nodes[i])) {
            ret[i].reason = REASON_POD_AFFINITY;
        } else if (any_there(ctx, s->anti, s->n_anti, nodes[i])) {
            ret[i].reason = REASON_POD_ANTI_AFFINITY;
        } else if (any_there(ctx, s->existing, s->n_existing, nodes[i])) {
            ret[i].reason = REASON_EXISTING_ANTI_AFFINITY;
        }
    }
}

const struct policy policy_kube_inter_pod_affinity = {
    .name = "InterPodAffinity",
    .filter_dep = DEP_LIVE,
    .class_begin = affinity_class_begin,
    .prepare = affinity_prepare,
    .filter = affinity_filter,
};
