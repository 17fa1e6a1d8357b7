// SPDX-License-Identifier: Apache-2.0
//
// What would have changed the decision. Each candidate is made: on the pod's class (a copy), on the fleet's settings (a
// copy), or on a node's row (edited in place and put back, which cannot fail); then the pod is decided again, plainly. Only
// changes that lead to another answer are told. The wording is a grammar: docs/explain.md.
#include "engine/explain_impl.h"
#include "engine/what_if_impl.h"
#include "model/conventions.h"
#include "model/prices.h"

#include <stdlib.h>

#define TRIES_PER_ANSWER 4
#define NODES_PER_REASON 2
#define TAINTS_MAX       3

/* Decides with the given ask; tells the change when the answer is another one. */
static int try_ask(struct what_if *w, const struct ask *ask, const char *change, struct err *err)
{
    struct explanation *x = w->x;
    struct decision d;
    if (x->n_what_ifs >= w->max || w->tries >= w->max * TRIES_PER_ANSWER) {
        return 0;
    }
    w->tries++;
    int r = engine_decide_plain(w->e, ask, &d, err);
    if (r < 0 || d.chosen.v == w->base->chosen.v) {
        return r;
    }
    struct explain_what_if *out = &x->what_ifs[x->n_what_ifs];
    out->change = arena_str(&x->arena, str_c(change));
    out->chosen = STR("");
    if (d.chosen.v != IX_NONE) {
        out->chosen = arena_str(&x->arena, sym_str(w->c->syms, w->c->facts[d.chosen.v].name));
    }
    if (!out->change.p || !out->chosen.p) {
        return err_nomem(err);
    }
    x->n_what_ifs++;
    return 0;
}

int what_if_try(struct what_if *w, const struct pod_class *cls, const char *change, struct err *err)
{
    struct ask ask = *w->ask;
    ask.cls = cls;
    return try_ask(w, &ask, change, err);
}

static struct str name_of(const struct what_if *w, node_ix node)
{
    return sym_str(w->c->syms, w->c->facts[node.v].name);
}

/* ---- the node's row ---- */

static bool is_cordon_taint(const struct what_if *w, const struct taint *t)
{
    return str_is(sym_str(w->c->syms, t->key), "node.kubernetes.io/unschedulable");
}

/* A node without the taints that `drop` names; in place, put back afterwards. */
static int try_without_taints(struct what_if *w, node_ix node,
                              bool (*drop)(const struct what_if *, const struct taint *),
                              uint32_t clear_flags, const char *change, struct err *err)
{
    struct node_facts *f = &w->c->facts[node.v];
    const struct taint *old = f->taints;
    uint32_t n_old = f->n_taints, flags = w->c->flags[node.v], n = 0;
    struct taint *kept = arena_calloc(&w->x->arena, n_old + 1u, sizeof *kept);
    if (!kept) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < n_old; i++) {
        if (!drop(w, &old[i])) {
            kept[n++] = old[i];
        }
    }
    f->taints = kept;
    f->n_taints = n;
    w->c->flags[node.v] = flags & ~clear_flags;
    int r = try_ask(w, w->ask, change, err);
    f->taints = old;
    f->n_taints = n_old;
    w->c->flags[node.v] = flags;
    return r;
}

static int try_cordon(struct what_if *w, node_ix node, struct err *err)
{
    char change[WHAT_IF_TEXT];
    (void)snprintf(change, sizeof change, "node " STR_FMT ": cordon", STR_ARG(name_of(w, node)));
    uint32_t flags = w->c->flags[node.v];
    w->c->flags[node.v] = flags | NODE_CORDONED;
    int r = try_ask(w, w->ask, change, err);
    w->c->flags[node.v] = flags;
    return r;
}

static int try_uncordon(struct what_if *w, node_ix node, struct err *err)
{
    char change[WHAT_IF_TEXT];
    (void)snprintf(change, sizeof change, "node " STR_FMT ": uncordon", STR_ARG(name_of(w, node)));
    return try_without_taints(w, node, is_cordon_taint, NODE_CORDONED, change, err);
}

static bool is_the_taint(const struct what_if *w, const struct taint *t)
{
    return t->key.v == w->taint.key.v && t->val.v == w->taint.val.v && t->effect == w->taint.effect;
}

/* What such a node is besides tainted hangs on the taint too, so that it cannot be judged without it. */
static bool taint_tells_more(const struct what_if *w, node_ix node, const struct taint *t)
{
    const struct symtab *s = w->c->syms;
    uint32_t kinds =
        NODE_SYSTEM | NODE_VIRTUAL | NODE_DOOMED | NODE_LEAVING_SOON | NODE_GAME_POOL | NODE_GPU;
    return (w->c->flags[node.v] & kinds) || w->c->capacity[node.v] == CAPACITY_SPOT ||
           conventions_taint_doom(sym_str(s, t->key), sym_str(s, t->val), t->effect) != 0;
}

static int try_remove_taint(struct what_if *w, node_ix node, const struct taint *t, struct err *err)
{
    char change[WHAT_IF_TEXT], text[WHAT_IF_TEXT - 300];
    if (taint_tells_more(w, node, t) || is_cordon_taint(w, t)) {
        return 0;
    }
    what_if_taint_text(w, t, text, sizeof text);
    (void)snprintf(change, sizeof change, "node " STR_FMT ": remove taint %s",
                   STR_ARG(name_of(w, node)), text);
    w->taint = *t;
    return try_without_taints(w, node, is_the_taint, 0, change, err);
}

static int try_add_resource(struct what_if *w, node_ix node, res_ix res, int64_t more,
                            struct err *err)
{
    struct cluster *c = w->c;
    char change[WHAT_IF_TEXT], amount[32];
    struct str name = sym_str(c->syms, c->res_name[res.v]);
    int64_t *alloc = c->alloc[res.v];
    int64_t before = alloc ? alloc[node.v] : 0, price = c->price_nano_hour[node.v];
    uint32_t flags = c->flags[node.v];
    if (!alloc || before == 0 || more > INT64_MAX - before) {
        return 0; /* a resource that the node does not have at all is another machine */
    }
    what_if_amount_text(res, more, amount, sizeof amount);
    (void)snprintf(change, sizeof change, "node " STR_FMT ": add " STR_FMT " %s",
                   STR_ARG(name_of(w, node)), STR_ARG(name), amount);
    alloc[node.v] = before + more;
    prices_set_node(c, node); /* a guessed price follows the size */
    int r = try_ask(w, w->ask, change, err);
    alloc[node.v] = before;
    c->price_nano_hour[node.v] = price;
    c->flags[node.v] = flags;
    return r;
}

/* ---- which are worth trying ---- */

static int by_name(const void *a, const void *b)
{
    const struct refused *x = a, *y = b;
    return str_cmp(x->name, y->name);
}

/* The refused nodes, by name, so that the answer does not hang on row numbers. */
static int list_refused(struct what_if *w, struct err *err)
{
    w->refused = arena_calloc(&w->x->arena, w->base->n_nodes + 1u, sizeof *w->refused);
    if (!w->refused) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < w->base->n_nodes; i++) {
        if (w->base->verdicts[i].reason != REASON_NONE) {
            node_ix node = w->base->nodes[i];
            w->refused[w->n_refused++] =
                (struct refused){node, name_of(w, node), w->base->verdicts[i]};
            w->seen[w->base->verdicts[i].reason]++;
        }
    }
    qsort(w->refused, w->n_refused, sizeof *w->refused, by_name);
    return 0;
}

static int try_uncordons(struct what_if *w, struct err *err)
{
    uint32_t tried = 0;
    for (uint32_t i = 0; i < w->n_refused && tried < NODES_PER_REASON; i++) {
        const struct refused *f = &w->refused[i];
        if (w->c->flags[f->node.v] & NODE_CORDONED) {
            tried++;
            int r = try_uncordon(w, f->node, err);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

static const struct taint *blocking_taint(const struct what_if *w, node_ix node, uint32_t *ret_n)
{
    struct policy_ctx ctx = {.c = w->c, .cls = w->cls};
    const struct taint *first = match_untolerated(&ctx, node);
    const struct node_facts *f = &w->c->facts[node.v];
    *ret_n = 0;
    for (uint32_t i = 0; i < f->n_taints; i++) {
        bool hard =
            f->taints[i].effect == EFFECT_NO_SCHEDULE || f->taints[i].effect == EFFECT_NO_EXECUTE;
        *ret_n += hard && !match_tolerates(&ctx, &f->taints[i]);
    }
    return first;
}

static int try_taints(struct what_if *w, struct err *err)
{
    struct taint tried[TAINTS_MAX];
    uint32_t n_tried = 0, n_nodes = 0;
    for (uint32_t i = 0; i < w->n_refused && n_tried < TAINTS_MAX; i++) {
        uint32_t n = 0;
        const struct refused *f = &w->refused[i];
        const struct taint *t = f->v.reason == REASON_TAINT ? blocking_taint(w, f->node, &n) : NULL;
        if (!t || n != 1) {
            continue;
        }
        bool known = false;
        for (uint32_t k = 0; k < n_tried; k++) {
            known = known || (tried[k].key.v == t->key.v && tried[k].val.v == t->val.v &&
                              tried[k].effect == t->effect);
        }
        int r = known ? 0 : what_if_tolerate(w, t, err);
        if (r == 0 && n_nodes < NODES_PER_REASON) {
            n_nodes++;
            r = try_remove_taint(w, f->node, t, err);
        }
        if (r < 0) {
            return r;
        }
        if (!known) {
            tried[n_tried++] = *t;
        }
    }
    return 0;
}

/* The node where the least is missing, in parts of what the pod wants. */
struct miss {
    node_ix node;
    res_ix res;
    int64_t missing, fits;
    double share;
    bool found;
};

static void weigh_miss(const struct what_if *w, const struct refused *f, struct miss *best)
{
    const struct cluster *c = w->c;
    struct miss m = {.node = f->node, .found = true};
    uint32_t lacking = 0;
    for (uint32_t i = 0; i < w->cls->n_needs; i++) {
        const struct resource_need *need = &w->cls->needs[i];
        int64_t *alloc = c->alloc[need->res.v], *used = c->used[need->res.v];
        int64_t left = (alloc ? alloc[f->node.v] : 0) - (used ? used[f->node.v] : 0);
        if (need->res.v != RES_PODS && need->amount > left) {
            lacking++;
            m.res = need->res;
            m.missing = need->amount - left;
            m.fits = left;
            m.share = (double)m.missing / (double)need->amount;
        }
    }
    if (lacking == 1 && (!best->found || m.share < best->share)) {
        *best = m;
    }
}

static int try_fit(struct what_if *w, struct err *err)
{
    struct miss best = {0};
    for (uint32_t i = 0; i < w->n_refused; i++) {
        const struct refused *f = &w->refused[i];
        if (f->v.reason == REASON_INSUFFICIENT) {
            weigh_miss(w, f, &best);
        }
    }
    int r = best.found ? try_add_resource(w, best.node, best.res, best.missing, err) : 0;
    if (r == 0 && best.found && best.fits > 0) {
        r = what_if_request(w, best.res, best.fits, err);
    }
    for (uint32_t i = 0; r == 0 && i < w->n_refused && w->seen[REASON_TOO_MANY_PODS]; i++) {
        if (w->refused[i].v.reason == REASON_TOO_MANY_PODS) {
            return try_add_resource(w, w->refused[i].node, (res_ix){RES_PODS}, 1, err);
        }
    }
    return r;
}

static int try_all(struct what_if *w, struct err *err)
{
    int r = list_refused(w, err);
    if (r == 0 && w->base->chosen.v != IX_NONE) {
        r = try_cordon(w, w->base->chosen, err);
    }
    if (r < 0 || (r = try_fit(w, err)) < 0 || (r = try_uncordons(w, err)) < 0 ||
        (r = try_taints(w, err)) < 0 || (r = what_if_pod(w, err)) < 0) {
        return r;
    }
    return what_if_fleet(w, err);
}

int what_if_make(struct engine *e, struct cluster *c, const struct ask *ask,
                 const struct explain_base *base, const struct explain_opts *opts,
                 struct explanation *x, struct err *err)
{
    struct what_if w = {
        .e = e, .c = c, .ask = ask, .base = base, .x = x, .max = opts->max_what_ifs};
    w.cls = ask->cls ? ask->cls : cluster_class(c, ask->pod->cls);
    x->what_ifs = arena_calloc(&x->arena, w.max + 1u, sizeof *x->what_ifs);
    w.seen = arena_calloc(&x->arena, REASON_COUNT, sizeof *w.seen);
    if (!x->what_ifs || !w.seen) {
        return err_nomem(err);
    }
#ifdef SP_DEBUG
    uint64_t before = cluster_hash(c);
#endif
    int r = try_all(&w, err);
#ifdef SP_DEBUG
    check(cluster_hash(c) == before);
#endif
    return r;
}
