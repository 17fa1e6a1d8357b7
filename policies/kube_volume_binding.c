/* VolumeBinding: bound volumes' node affinity; claims that wait for their first consumer.
 *
 * A claim that waits gets the smallest available volume that fits and that the node reaches, else it is taken as
 * provisioned where its class has a real provisioner and the topology allows it. What the pods that stand already wait
 * for is given away first, in the order of their rows. Storage capacity objects are not modelled.
 * SPDX-License-Identifier: Apache-2.0 */
#include "policies/kube_volume.h"

struct binding_state {
    struct volume_claims claims; /* smaller requests first */
    bool *taken;                 /* by volume; NULL: no claim waits, or no volume is there */
    uint32_t n_pvs;
    uint32_t *mine; /* chosen for this pod's claims on the node that is judged */
};

static bool waits(const struct volume_claim *v)
{
    return !v->bound && v->pvc->volume_name.v == 0 && v->cls && v->cls->wait_for_first_consumer;
}

static bool any_term(const struct policy_ctx *ctx, const struct node_term *terms, uint32_t n,
                     node_ix node)
{
    for (uint32_t i = 0; i < n; i++) {
        if (match_node_term(ctx, &terms[i], node)) {
            return true;
        }
    }
    return false;
}

static bool fits(const struct policy_ctx *ctx, const struct pvc_row *pvc, const struct pv_row *pv,
                 node_ix node)
{
    const struct cluster *c = ctx->c;
    return pv->available && pv->storage_class.v == pvc->storage_class.v &&
           pv->block == pvc->block && (pv->access_modes & pvc->access_modes) == pvc->access_modes &&
           quantity_cmp(pv->capacity, pvc->request) >= 0 &&
           (pvc->selector.nothing ||
            selector_matches(&pvc->selector, cluster_labels(c, pv->labels), c->syms)) &&
           (!pv->has_node_affinity || any_term(ctx, pv->terms, pv->n_terms, node));
}

/* The volume for a claim on a node: the one made for it (or none, when that one does not fit), else the smallest. */
static uint32_t find_volume(const struct policy_ctx *ctx, const struct binding_state *s,
                            const struct pvc_row *pvc, uint32_t n_mine, node_ix node)
{
    uint32_t best = IX_NONE;
    for (uint32_t i = 0; i < s->n_pvs; i++) {
        const struct pv_row *pv = cluster_pv(ctx->c, i);
        bool own =
            pv->claim_name.v != 0 && pv->claim_name.v == pvc->name.v && pv->claim_ns.v == pvc->ns.v;
        bool free = !s->taken[i];
        for (uint32_t k = 0; k < n_mine && free; k++) {
            free = s->mine[k] != i;
        }
        if (own) {
            return free && fits(ctx, pvc, pv, node) ? i : IX_NONE;
        }
        if (free && pv->claim_name.v == 0 && fits(ctx, pvc, pv, node) &&
            (best == IX_NONE ||
             quantity_cmp(pv->capacity, cluster_pv(ctx->c, best)->capacity) < 0)) {
            best = i;
        }
    }
    return best;
}

static void give_to_standing(const struct policy_ctx *ctx, struct binding_state *s)
{
    const struct cluster *c = ctx->c;
    for (uint32_t i = 0; i < c->n_pod_rows; i++) {
        const struct pod_row *row = &c->pod[i];
        bool other = row->live && row->node.v != IX_NONE &&
                     (ctx->pod->uid.v == 0 || row->req.uid.v != ctx->pod->uid.v);
        for (uint32_t k = 0; other && k < row->req.n_claims; k++) {
            const struct pvc_row *pvc = cluster_find_pvc(c, row->req.ns, row->req.claims[k]);
            uint32_t at = pvc != NULL && pvc->volume_name.v == 0
                              ? find_volume(ctx, s, pvc, 0, row->node)
                              : IX_NONE;
            if (at != IX_NONE) {
                s->taken[at] = true;
            }
        }
    }
}

static void smaller_first(struct volume_claims *claims)
{
    for (uint32_t i = 1; i < claims->n; i++) {
        for (uint32_t k = i;
             k > 0 && claims->p[k].pvc && claims->p[k - 1].pvc &&
             quantity_cmp(claims->p[k].pvc->request, claims->p[k - 1].pvc->request) < 0;
             k--) {
            struct volume_claim swap = claims->p[k];
            claims->p[k] = claims->p[k - 1];
            claims->p[k - 1] = swap;
        }
    }
}

static int binding_prepare(struct policy_ctx *ctx, struct err *err)
{
    if (ctx->pod->n_claims == 0) {
        return POLICY_SKIP;
    }
    struct binding_state *s = arena_calloc(ctx->scratch, 1, sizeof *s);
    if (!s) {
        return err_nomem(err);
    }
    ctx->state = s;
    int r = volume_claims_read(ctx, &s->claims, err);
    bool waiting = false;
    for (uint32_t i = 0; r == 0 && i < s->claims.n; i++) {
        waiting = waiting || (s->claims.p[i].pvc && waits(&s->claims.p[i]));
    }
    s->n_pvs = cluster_n_pvs(ctx->c);
    if (r != 0 || !waiting || s->n_pvs == 0) {
        return r;
    }
    s->taken = arena_calloc(ctx->scratch, s->n_pvs, sizeof *s->taken);
    s->mine = arena_calloc(ctx->scratch, s->claims.n, sizeof *s->mine);
    if (!s->taken || !s->mine) {
        return err_nomem(err);
    }
    smaller_first(&s->claims);
    give_to_standing(ctx, s);
    return 0;
}

static void binding_prefilter(const struct policy_ctx *ctx, struct verdict *ret)
{
    const struct volume_claims *s = &((const struct binding_state *)ctx->state)->claims;
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

static enum reason judge_waiting(const struct policy_ctx *ctx, const struct volume_claim *v,
                                 node_ix node)
{
    const struct symtab *t = ctx->c->syms;
    if (v->pvc->selected_node.v != 0 && v->pvc->selected_node.v != ctx->c->facts[node.v].name.v) {
        return REASON_VOLUME_NO_PV;
    }
    struct str provisioner = sym_str(t, v->cls->provisioner);
    if (provisioner.n == 0 || str_is(provisioner, "kubernetes.io/no-provisioner")) {
        return REASON_VOLUME_NO_PV;
    }
    if (v->cls->n_topologies > 0 &&
        !any_term(ctx, v->cls->topologies, v->cls->n_topologies, node)) {
        return REASON_VOLUME_NO_PV;
    }
    return REASON_NONE;
}

static enum reason judge_claim(const struct policy_ctx *ctx, struct binding_state *s, uint32_t at,
                               node_ix node)
{
    const struct volume_claim *v = &s->claims.p[at];
    if (s->mine) {
        s->mine[at] = IX_NONE;
    }
    if (!v->bound) {
        bool elsewhere =
            v->pvc->selected_node.v != 0 && v->pvc->selected_node.v != ctx->c->facts[node.v].name.v;
        if (s->taken && s->mine && !elsewhere) {
            s->mine[at] = find_volume(ctx, s, v->pvc, at, node);
        }
        return s->mine && s->mine[at] != IX_NONE ? REASON_NONE : judge_waiting(ctx, v, node);
    }
    if (!v->pv) {
        return REASON_VOLUME_PV_MISSING;
    }
    if (v->pv->has_node_affinity && !any_term(ctx, v->pv->terms, v->pv->n_terms, node)) {
        return REASON_VOLUME_NODE_AFFINITY;
    }
    return REASON_NONE;
}

static void binding_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                           struct verdict *ret)
{
    struct binding_state *s = ctx->state;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < s->claims.n && ret[i].reason == REASON_NONE; k++) {
            enum reason why = judge_claim(ctx, s, k, nodes[i]);
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
