// SPDX-License-Identifier: Apache-2.0
#include "engine/policy.h"

/* matchFields know metadata.name only; any other key is compared with the empty text. */
static bool fields_match(const struct policy_ctx *ctx, const struct selector *fields, node_ix node)
{
    const struct symtab *t = ctx->c->syms;
    for (uint32_t i = 0; i < fields->n; i++) {
        const struct requirement *r = &fields->p[i];
        struct label self = {r->key, SYM_NONE};
        if (str_is(sym_str(t, r->key), "metadata.name")) {
            self.val = ctx->c->facts[node.v].name;
        }
        if (!requirement_matches(r, (struct labelset){&self, 1}, t)) {
            return false;
        }
    }
    return !fields->nothing || fields->n > 0;
}

bool match_node_term(const struct policy_ctx *ctx, const struct node_term *term, node_ix node)
{
    if (term->empty) {
        return false;
    }
    struct labelset labels = cluster_labels(ctx->c, ctx->c->facts[node.v].labels);
    if (term->labels.n > 0 && !selector_matches(&term->labels, labels, ctx->c->syms)) {
        return false;
    }
    return term->fields.n == 0 || fields_match(ctx, &term->fields, node);
}

bool match_node_selection(const struct policy_ctx *ctx, node_ix node)
{
    const struct pod_class *cls = ctx->cls;
    if (cls->node_selector.n > 0) {
        struct labelset labels = cluster_labels(ctx->c, ctx->c->facts[node.v].labels);
        if (!selector_matches(&cls->node_selector, labels, ctx->c->syms)) {
            return false;
        }
    }
    if (!cls->has_node_required) {
        return true;
    }
    for (uint32_t i = 0; i < cls->n_node_required; i++) {
        if (match_node_term(ctx, &cls->node_required[i], node)) {
            return true;
        }
    }
    return false;
}

static bool tolerates(const struct toleration *tol, const struct taint *taint)
{
    if (tol->effect != EFFECT_ANY && tol->effect != taint->effect) {
        return false;
    }
    if (tol->has_key && tol->key.v != taint->key.v) {
        return false;
    }
    switch (tol->op) {
    case TOLERATE_EQUAL:
        return tol->val.v == taint->val.v;
    case TOLERATE_EXISTS:
        return true;
    case TOLERATE_LT:
    case TOLERATE_GT: /* behind a feature gate that is off by default */
    case TOLERATE_OTHER:
    default:
        return false;
    }
}

bool match_tolerates(const struct policy_ctx *ctx, const struct taint *taint)
{
    for (uint32_t i = 0; i < ctx->cls->n_tolerations; i++) {
        if (tolerates(&ctx->cls->tolerations[i], taint)) {
            return true;
        }
    }
    return false;
}

const struct taint *match_untolerated(const struct policy_ctx *ctx, node_ix node)
{
    const struct node_facts *f = &ctx->c->facts[node.v];
    for (uint32_t i = 0; i < f->n_taints; i++) {
        const struct taint *t = &f->taints[i];
        bool hard = t->effect == EFFECT_NO_SCHEDULE || t->effect == EFFECT_NO_EXECUTE;
        if (hard && !match_tolerates(ctx, t)) {
            return t;
        }
    }
    return NULL;
}
