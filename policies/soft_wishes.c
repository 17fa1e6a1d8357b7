// SPDX-License-Identifier: Apache-2.0
//
// Every soft wish of a pod, at one documented rate per wish of weight 100: preferred node and pod (anti-)affinity, what
// pods that stand already wish of this one, ScheduleAnyway spreading, images that are there. (PreferNoSchedule taints
// are the node-pool policy's.) docs/policies/soft-wishes.md
#include "policies/fleet_rules.h"
#include "policies/row_watch.h"

/* An image that must be pulled first delays the start, once per node: a tenth of a wish when none of it is there. */
#define IMAGE_WEIGHT         10
/* Image sizes between which kube-scheduler's ImageLocality grows from nothing to all. */
#define IMAGE_MIN_BYTES      (INT64_C(23) << 20)
#define IMAGE_MAX_BYTES      (INT64_C(1000) << 20)
/* Weight of a required affinity of a pod that stands already, towards the one that comes (kube-scheduler's default). */
#define HARD_AFFINITY_WEIGHT 1
#define WEIGHT_FULL          100
/* What Agones asks by itself for every packed server, "near other game servers, by host name", is packing's task. */
#define AGONES_PACKED_WEIGHT 4

struct wish_term { /* adds weight x (pods in the node's domain) */
    struct group *group;
    const struct pod_term *match; /* to be matched with the pod's own labels; NULL: always counts */
    topo_ix topo;
    int32_t weight;
    bool other; /* of a pod that stands already, not of this one */
};
struct fixed_wishes { /* of a row */
    int32_t missing;  /* weight of preferred node affinity that is not granted */
    int32_t image;    /* granted, of IMAGE_WEIGHT */
};
struct wish_class {
    struct arena *arena;
    struct row_watch watch;
    struct fixed_wishes *fixed; /* by row */
    uint32_t cap_rows, n_with_image;
    bool has_fixed;
    uint32_t seen_classes; /* whose terms were looked at */
    struct wish_term *terms;
    uint32_t n_terms, cap_terms, n_own_terms;
    int64_t own_weight;       /* sum of the pod's own */
    struct wish_term *spread; /* weight: maxSkew - 1 */
    uint32_t n_spread;
};
struct live_term {
    const dom_ix *of;
    const int64_t *sums;
    int64_t weight;
};
struct wish_state {
    const struct wish_class *k;
    struct live_term *terms, *spread;
    uint32_t n_terms;
    int64_t weight; /* of all pod terms together */
    int64_t *raw;   /* by position in the batch that the base was made over */
    const node_ix *raw_of;
    /* over the nodes that passed every filter */
    bool based;
    int64_t least, most;                 /* of the pod terms' sum */
    int64_t *spread_least, *spread_most; /* by spread constraint */
};

/* ---- what hangs on the node object: kept per row ---- */

static int32_t image_weight(const struct policy_ctx *ctx, node_ix node)
{
    const struct node_facts *f = &ctx->c->facts[node.v];
    int64_t there = 0,
            max = IMAGE_MAX_BYTES * (ctx->cls->n_containers ? ctx->cls->n_containers : 1);
    for (uint32_t i = 0; i < ctx->cls->n_images; i++) {
        uint32_t lo = 0, hi = f->n_images;
        while (lo < hi) {
            uint32_t mid = lo + (hi - lo) / 2;
            if (f->images[mid].v < ctx->cls->images[i].v) {
                lo = mid + 1;
            } else {
                hi = mid;
            }
        }
        if (lo < f->n_images && f->images[lo].v == ctx->cls->images[i].v &&
            f->image_bytes[lo] > 0) {
            int64_t room = max - there;
            there += f->image_bytes[lo] < room ? f->image_bytes[lo] : room;
        }
    }
    int64_t above = there > IMAGE_MIN_BYTES ? there - IMAGE_MIN_BYTES : 0;
    return (int32_t)(IMAGE_WEIGHT * above / (max - IMAGE_MIN_BYTES));
}

static int32_t node_weight_missing(const struct policy_ctx *ctx, node_ix node)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < ctx->cls->n_node_preferred; i++) {
        const struct node_term *t = &ctx->cls->node_preferred[i];
        if (!t->empty && !match_node_term(ctx, t, node)) {
            sum += t->weight;
        }
    }
    return sum;
}

static void fixed_touch(const struct policy_ctx *ctx, struct wish_class *k, uint32_t row)
{
    struct fixed_wishes *f = &k->fixed[row];
    node_ix node = {row};
    k->n_with_image -= f->image > 0;
    *f = (struct fixed_wishes){0};
    if (ctx->c->flags[row] & NODE_LIVE) {
        *f = (struct fixed_wishes){node_weight_missing(ctx, node), image_weight(ctx, node)};
    }
    k->n_with_image += f->image > 0;
}

static int fixed_sync(const struct policy_ctx *ctx, struct wish_class *k)
{
    const struct cluster *c = ctx->c;
    uint32_t row;
    if (!k->has_fixed) {
        return 0;
    }
    if (row_array_grow(k->arena, &k->fixed, &k->cap_rows, c->n_rows, sizeof *k->fixed) != 0) {
        return -1;
    }
    if (row_watch_open(c, &k->watch)) {
        for (row = 0; row < c->n_rows; row++) {
            fixed_touch(ctx, k, row);
        }
    } else {
        while (row_watch_next(c, &k->watch, &row)) {
            fixed_touch(ctx, k, row);
        }
    }
    row_watch_close(c, &k->watch);
    return 0;
}

/* An image that no node has says nothing about any. */
static int32_t fixed_missing(const struct wish_class *k, node_ix node)
{
    if (!k->has_fixed) {
        return 0;
    }
    return k->fixed[node.v].missing +
           (k->n_with_image > 0 ? IMAGE_WEIGHT - k->fixed[node.v].image : 0);
}

/* ---- terms between pods ---- */

static int add_term(struct policy_ctx *ctx, struct wish_class *k, uint32_t counter, topo_ix topo,
                    int32_t weight, const struct pod_term *match, struct err *err)
{
    if (counter >= ctx->c->n_counters || topo.v >= ctx->c->n_topo || weight == 0) {
        return 0;
    }
    if (row_array_grow(k->arena, &k->terms, &k->cap_terms, k->n_terms + 1, sizeof *k->terms) != 0) {
        return err_nomem(err);
    }
    struct group_spec spec = {.counter = counter, .topo = topo};
    struct wish_term t = {.match = match, .topo = topo, .weight = weight};
    int r = group_open(ctx, k->arena, &spec, &t.group, err);
    if (r < 0) {
        return r;
    }
    k->terms[k->n_terms++] = t;
    return 0;
}

static bool term_has_namespace(const struct policy_ctx *ctx, const struct pod_term *t, sym ns)
{
    for (uint32_t i = 0; i < t->n_namespaces; i++) {
        if (t->namespaces[i].v == ns.v) {
            return true;
        }
    }
    return !t->ns_selector.nothing &&
           selector_matches(&t->ns_selector, cluster_namespace_labels(ctx->c, ns), ctx->c->syms);
}

/* A term of pods that stand already. Those of equal weight and topology that always count are one. */
static int add_other(struct policy_ctx *ctx, struct wish_class *k, const struct pod_term *t,
                     int32_t weight, const struct pod_term *match, struct err *err)
{
    for (uint32_t i = k->n_own_terms; i < k->n_terms && !match; i++) {
        struct wish_term *have = &k->terms[i];
        if (!have->match && have->topo.v == t->topo.v && have->weight == weight) {
            return t->carrier < ctx->c->n_counters ? group_add(ctx, have->group, t->carrier, err)
                                                   : 0;
        }
    }
    uint32_t before = k->n_terms;
    int r = add_term(ctx, k, t->carrier, t->topo, weight, match, err);
    if (r == 0 && k->n_terms > before) {
        k->terms[before].other = true;
    }
    return r;
}

/* Agones gives every server of a packed fleet the same preferred affinity; it is no wish of the operator's. */
static bool is_agones_packed(const struct policy_ctx *ctx, const struct pod_term *t)
{
    const struct symtab *syms = ctx->c->syms;
    const struct selector *s = &t->selector;
    return t->weight == WEIGHT_FULL && s->n == 1 && s->p[0].n_vals == 1 &&
           str_is(sym_str(syms, s->p[0].key), "agones.dev/role") &&
           str_is(sym_str(syms, s->p[0].vals[0]), "gameserver") &&
           str_is(sym_str(syms, ctx->c->topo[t->topo.v].key), "kubernetes.io/hostname");
}

static int32_t affinity_weight(const struct policy_ctx *ctx, const struct pod_term *t)
{
    return is_agones_packed(ctx, t) ? AGONES_PACKED_WEIGHT : t->weight;
}

/* Terms of pods that stand already and mean this pod; sign: -1 for anti-affinity. */
static int add_others(struct policy_ctx *ctx, struct wish_class *k, const struct pod_term *terms,
                      uint32_t n, int32_t sign, int32_t fixed_weight, struct err *err)
{
    const struct cluster *c = ctx->c;
    for (uint32_t i = 0; i < n; i++) {
        const struct pod_term *t = &terms[i];
        bool own_labels = t->counter < c->n_counters && c->counters[t->counter].sibling_keys;
        if (!term_has_namespace(ctx, t, ctx->cls->ns)) {
            continue;
        }
        if (!own_labels &&
            !selector_matches(&t->selector, cluster_labels(c, ctx->cls->labels), c->syms)) {
            continue;
        }
        int32_t weight = fixed_weight ? fixed_weight
                         : sign > 0   ? affinity_weight(ctx, t)
                                      : t->weight;
        int r = add_other(ctx, k, t, sign * weight, own_labels ? t : NULL, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int add_class(struct policy_ctx *ctx, struct wish_class *k, const struct pod_class *o,
                     struct err *err)
{
    int r = add_others(ctx, k, o->affinity_preferred, o->n_affinity_preferred, 1, 0, err);
    r = r == 0 ? add_others(ctx, k, o->anti_preferred, o->n_anti_preferred, -1, 0, err) : r;
    return r == 0 ? add_others(ctx, k, o->affinity_required, o->n_affinity_required, 1,
                               HARD_AFFINITY_WEIGHT, err)
                  : r;
}

/* A class once made stays, so each is looked at once; classes that come later are found at the next decision. When
 * memory is short all are left for the next time. */
static int scan_classes(struct policy_ctx *ctx, struct wish_class *k, struct err *err)
{
    for (; k->seen_classes < ctx->c->n_classes; k->seen_classes++) {
        int r = add_class(ctx, k, ctx->c->classes[k->seen_classes], err);
        if (r < 0) {
            k->n_terms = k->n_own_terms;
            k->seen_classes = 0;
            return r;
        }
    }
    return 0;
}

static bool admits_affinity(const struct policy_ctx *ctx, node_ix node, const void *arg)
{
    const struct spread_term *t = arg;
    return (!t->honor_affinity || match_node_selection(ctx, node)) &&
           (!t->honor_taints || match_untolerated(ctx, node) == NULL);
}

static int add_spreads(struct policy_ctx *ctx, struct wish_class *k, struct err *err)
{
    k->spread = arena_calloc(k->arena, ctx->cls->n_spread + 1, sizeof *k->spread);
    if (!k->spread) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < ctx->cls->n_spread; i++) {
        const struct spread_term *s = &ctx->cls->spread[i];
        if (s->hard || s->empty_selector || s->counter >= ctx->c->n_counters ||
            s->topo.v >= ctx->c->n_topo) {
            continue;
        }
        struct group_spec spec = {.counter = s->counter,
                                  .topo = s->topo,
                                  .live_only = true,
                                  .admits = admits_affinity,
                                  .arg = s};
        struct wish_term *t = &k->spread[k->n_spread];
        *t = (struct wish_term){.topo = s->topo, .weight = s->max_skew > 0 ? s->max_skew - 1 : 0};
        int r = group_open(ctx, k->arena, &spec, &t->group, err);
        if (r < 0) {
            return r;
        }
        k->n_spread++;
    }
    return 0;
}

static int wishes_class_begin(struct policy_ctx *ctx, struct arena *arena, void **ret,
                              struct err *err)
{
    const struct pod_class *cls = ctx->cls;
    struct wish_class *k = arena_calloc(arena, 1, sizeof *k);
    if (!k) {
        return err_nomem(err);
    }
    k->arena = arena;
    k->has_fixed = cls->n_node_preferred > 0 || cls->n_images > 0;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < cls->n_affinity_preferred; i++) {
        const struct pod_term *t = &cls->affinity_preferred[i];
        int32_t weight = affinity_weight(ctx, t);
        k->own_weight += weight;
        r = add_term(ctx, k, t->counter, t->topo, weight, NULL, err);
    }
    for (uint32_t i = 0; r == 0 && i < cls->n_anti_preferred; i++) {
        const struct pod_term *t = &cls->anti_preferred[i];
        k->own_weight += t->weight;
        r = add_term(ctx, k, t->counter, t->topo, -t->weight, NULL, err);
    }
    k->n_own_terms = k->n_terms;
    r = r == 0 ? add_spreads(ctx, k, err) : r;
    r = r == 0 ? scan_classes(ctx, k, err) : r;
    *ret = k;
    return r;
}

/* ---- one decision ---- */

static int read_terms(struct policy_ctx *ctx, const struct wish_term *from, uint32_t n,
                      struct live_term *to, uint32_t *ret_n, int64_t *ret_other)
{
    const struct cluster *c = ctx->c;
    *ret_n = 0;
    *ret_other =
        0; /* the largest of those whose pods really stand: a class without pods wishes nothing */
    for (uint32_t i = 0; i < n; i++) {
        struct group_view v;
        if (from[i].match && !selector_matches(&from[i].match->selector,
                                               cluster_labels(c, ctx->pod->labels), c->syms)) {
            continue;
        }
        if (group_read(ctx, from[i].group, &v) != 0) {
            return -1;
        }
        int64_t weight = from[i].weight < 0 ? -(int64_t)from[i].weight : from[i].weight;
        if (from[i].other && v.total > 0 && weight > *ret_other) {
            *ret_other = weight;
        }
        to[(*ret_n)++] = (struct live_term){c->topo[from[i].topo.v].of, v.sums, from[i].weight};
    }
    return 0;
}

static int wishes_prepare(struct policy_ctx *ctx, struct err *err)
{
    struct wish_class *k = ctx->class_state;
    int r = scan_classes(ctx, k, err);
    if (r < 0) {
        return r;
    }
    if (!k->has_fixed && k->n_terms == 0 && k->n_spread == 0) {
        return POLICY_SKIP;
    }
    struct wish_state *st = arena_calloc(ctx->scratch, 1, sizeof *st);
    int64_t *raw = arena_alloc(ctx->scratch, (ctx->n_nodes + 1) * sizeof *raw);
    if (!st || !raw) {
        return err_nomem(err);
    }
    st->k = k;
    st->raw = raw;
    st->terms = arena_alloc(ctx->scratch, (k->n_terms + 1) * sizeof *st->terms);
    st->spread = arena_alloc(ctx->scratch, (k->n_spread + 1) * sizeof *st->spread);
    st->spread_least = arena_calloc(ctx->scratch, k->n_spread + 1, sizeof *st->spread_least);
    st->spread_most = arena_calloc(ctx->scratch, k->n_spread + 1, sizeof *st->spread_most);
    uint32_t n_spread;
    int64_t other = 0, ignored;
    if (!st->terms || !st->spread || !st->spread_least || !st->spread_most ||
        fixed_sync(ctx, k) != 0 ||
        read_terms(ctx, k->terms, k->n_terms, st->terms, &st->n_terms, &other) != 0 ||
        read_terms(ctx, k->spread, k->n_spread, st->spread, &n_spread, &ignored) != 0) {
        return err_nomem(err);
    }
    st->weight = k->own_weight + other;
    ctx->state = st;
    return 0;
}

static int64_t pod_sum(const struct wish_state *st, node_ix node)
{
    int64_t sum = 0;
    for (uint32_t t = 0; t < st->n_terms; t++) {
        uint32_t dom = st->terms[t].of[node.v].v;
        sum += dom ? st->terms[t].weight * st->terms[t].sums[dom]
                   : 0; /* a node without the key counts nothing */
    }
    return sum;
}

/* Pods in the node's domain and maxSkew - 1, as kube-scheduler; -1 where the node lacks the key. */
static int64_t spread_sum(const struct live_term *t, node_ix node)
{
    uint32_t dom = t->of[node.v].v;
    return dom ? t->sums[dom] + t->weight : -1;
}

static void make_base(struct wish_state *st, const node_ix *nodes, uint32_t n)
{
    st->based = true;
    st->raw_of = nodes;
    st->least = INT64_MAX;
    st->most = INT64_MIN;
    for (uint32_t i = 0; st->n_terms > 0 && i < n; i++) {
        int64_t s = pod_sum(st, nodes[i]);
        st->raw[i] = s;
        st->least = s < st->least ? s : st->least;
        st->most = s > st->most ? s : st->most;
    }
    for (uint32_t t = 0; t < st->k->n_spread; t++) {
        int64_t least = INT64_MAX, most = 0;
        for (uint32_t i = 0; i < n; i++) {
            int64_t s = spread_sum(&st->spread[t], nodes[i]);
            least = s >= 0 && s < least ? s : least;
            most = s > most ? s : most;
        }
        st->spread_least[t] = least;
        st->spread_most[t] = most;
    }
}

/* Weight of the pod terms that this sum leaves ungranted: none at the best of the candidates, all at the worst. */
static double pod_missing(const struct wish_state *st, int64_t sum)
{
    if (st->n_terms == 0 || st->most <= st->least) {
        return 0;
    }
    return (double)st->weight * ((double)(st->most - sum) / (double)(st->most - st->least));
}

static double spread_missing(const struct wish_state *st, node_ix node)
{
    double sum = 0;
    for (uint32_t t = 0; t < st->k->n_spread; t++) {
        int64_t s = spread_sum(&st->spread[t], node), least = st->spread_least[t],
                most = st->spread_most[t];
        if (least == INT64_MAX) {
            continue; /* no candidate has the key */
        }
        if (s < 0) {
            sum += WEIGHT_FULL;
        } else if (most > least && most > 0) {
            sum += WEIGHT_FULL * ((double)(s - least) / (double)most);
        }
    }
    return sum;
}

static void wishes_cost(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                        int64_t *cost)
{
    struct wish_state *st = ctx->state;
    double per_weight =
        session_factor(ctx, 1) * (double)ctx->settings->rates.soft_wish / WEIGHT_FULL;
    if (!st->based && n <= ctx->n_nodes) {
        make_base(st, nodes, n);
    }
    for (uint32_t i = 0; i < n; i++) {
        double missing = fixed_missing(st->k, nodes[i]);
        if (st->n_terms > 0) {
            missing += pod_missing(st, nodes == st->raw_of ? st->raw[i] : pod_sum(st, nodes[i]));
        }
        if (st->k->n_spread > 0) {
            missing += spread_missing(st, nodes[i]);
        }
        cost_add(&cost[i], cost_clamp(missing * per_weight));
    }
}

static void wishes_explain(const struct policy_ctx *ctx, node_ix node, struct policy_term *ret)
{
    struct wish_state *st = ctx->state;
    const struct wish_class *k = st->k;
    if (!st->based) {
        make_base(st, ctx->nodes, ctx->n_nodes);
    }
    double affinity = node_weight_missing(ctx, node), pods = pod_missing(st, pod_sum(st, node));
    double spread = spread_missing(st, node), fixed = fixed_missing(k, node);
    ret->value = (fixed + pods + spread) / WEIGHT_FULL;
    if (affinity > 0) {
        note_add(ret, "preferred node affinity lacks %.0f of 100", affinity);
    }
    if (pods > 0) {
        note_add(ret, "preferred pod (anti-)affinity lacks %.0f of %lld", pods,
                 (long long)st->weight);
    }
    if (spread > 0) {
        note_add(ret, "ScheduleAnyway spreading lacks %.0f of %u", spread,
                 (unsigned)k->n_spread * WEIGHT_FULL);
    }
    if (fixed > affinity) {
        note_add(ret, "image not all there");
    }
}

const struct policy policy_soft_wishes = {
    .name = "soft-wishes",
    .unit = "wishes",
    .filter_dep = DEP_STATIC,
    .cost_dep = DEP_LIVE, /* pods on other nodes; measured over the candidates */
    .class_begin = wishes_class_begin,
    .prepare = wishes_prepare,
    .cost = wishes_cost,
    .explain = wishes_explain,
};
