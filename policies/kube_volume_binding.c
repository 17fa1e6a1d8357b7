/* VolumeBinding: bound volumes' node affinity; claims that wait for their first consumer.
 *
 * A claim that waits is taken as provisioned where its class has a real provisioner and the topology allows it.
 * Storage capacity objects are not modelled.
 * SPDX-License-Identifier: Apache-2.0 */
#include "policies/kube_volume.h"

static int binding_prepare(struct policy_ctx *ctx, struct err *err)
{
    if (ctx->pod->n_claims == 0) {
        return POLICY_SKIP;
    }
    struct volume_claims *s = arena_calloc(ctx->scratch, 1, sizeof *s);
    if (!s) {
        return err_nomem(err);
    }
    ctx->state = s;
    return volume_claims_read(ctx, s, err);
}

static bool waits(const struct volume_claim *v)
{
    return !v->bound && v->pvc->volume_name.v == 0 && v->cls && v->cls->wait_for_first_consumer;
}

static void binding_prefilter(const struct policy_ctx *ctx, struct verdict *ret)
{
    const struct volume_claims *s = ctx->state;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct volume_claim *v = &s->p[i];
        if (!v->pvc) {
            ret->reason = REASON_VOLUME_MISSING;
        } else if (v->pvc->lost) {
            ret->reason = REASON_VOLUME_LOST;
        } else if (v->pvc->deleting) {
            ret->reason = REASON_VOLUME_DELETING;
        } else {
            continue;
        }
        return;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        if (!s->p[i].bound && !waits(&s->p[i])) {
            ret->reason = REASON_VOLUME_UNBOUND;
            return;
        }
    }
}

static bool any_term(const struct policy_ctx *ctx, const struct node_term *terms, uint32_t n, node_ix node)
{
    for (uint32_t i = 0; i < n; i++) {
        if (match_node_term(ctx, &terms[i], node)) {
            return true;
        }
    }
    return false;
}

static enum reason judge_waiting(const struct policy_ctx *ctx, const struct volume_claim *v, node_ix node)
{
    const struct symtab *t = ctx->c->syms;
    if (v->pvc->selected_node.v != 0 && v->pvc->selected_node.v != ctx->c->facts[node.v].name.v) {
        return REASON_VOLUME_NO_PV;
    }
    struct str provisioner = sym_str(t, v->cls->provisioner);
    if (provisioner.n == 0 || str_is(provisioner, "kubernetes.io/no-provisioner")) {
        return REASON_VOLUME_NO_PV;
    }
    if (v->cls->n_topologies > 0 && !any_term(ctx, v->cls->topologies, v->cls->n_topologies, node)) {
        return REASON_VOLUME_NO_PV;
    }
    return REASON_NONE;
}

static enum reason judge_claim(const struct policy_ctx *ctx, const struct volume_claim *v, node_ix node)
{
    if (!v->bound) {
        return judge_waiting(ctx, v, node);
    }
    if (!v->pv) {
        return REASON_VOLUME_PV_MISSING;
    }
    if (v->pv->has_node_affinity && !any_term(ctx, v->pv->terms, v->pv->n_terms, node)) {
        return REASON_VOLUME_NODE_AFFINITY;
    }
    return REASON_NONE;
}

static void binding_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n, struct verdict *ret)
{
    const struct volume_claims *s = ctx->state;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < s->n && ret[i].reason == REASON_NONE; k++) {
            enum reason why = judge_claim(ctx, &s->p[k], nodes[i]);
            if (why != REASON_NONE) {
                ret[i].reason = (uint16_t)why;
                ret[i].unresolvable = true;
            }
        }
    }
}

const struct policy policy_kube_volume_binding = {
    .name = "VolumeBinding",
    .filter_dep = DEP_LIVE,
    .prepare = binding_prepare,
    .prefilter = binding_prefilter,
    .filter = binding_filter,
};
