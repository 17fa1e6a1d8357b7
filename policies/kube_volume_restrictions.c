/* VolumeRestrictions: a ReadWriteOncePod claim that a pod uses already is refused on every node.
 * SPDX-License-Identifier: Apache-2.0 */
#include "policies/kube_volume.h"

struct restrictions_state {
    struct volume_claims claims;
    bool in_use;
};

static bool claim_in_use(const struct cluster *c, const struct pod_req *pod, sym claim)
{
    for (uint32_t i = 0; i < c->n_pod_rows; i++) {
        const struct pod_row *row = &c->pod[i];
        if (!row->live || row->node.v == IX_NONE || row->req.ns.v != pod->ns.v) {
            continue;
        }
        if (pod->uid.v != 0 && row->req.uid.v == pod->uid.v) {
            continue;
        }
        for (uint32_t k = 0; k < row->req.n_claims; k++) {
            if (row->req.claims[k].v == claim.v) {
                return true;
            }
        }
    }
    return false;
}

static int restrictions_prepare(struct policy_ctx *ctx, struct err *err)
{
    if (ctx->pod->n_claims == 0) {
        return POLICY_SKIP;
    }
    struct restrictions_state *s = arena_calloc(ctx->scratch, 1, sizeof *s);
    if (!s) {
        return err_nomem(err);
    }
    int r = volume_claims_read(ctx, &s->claims, err);
    if (r < 0) {
        return r;
    }
    for (uint32_t i = 0; i < s->claims.n; i++) {
        const struct pvc_row *pvc = s->claims.p[i].pvc;
        if (pvc && pvc->read_write_once_pod && claim_in_use(ctx->c, ctx->pod, pvc->name)) {
            s->in_use = true;
        }
    }
    ctx->state = s;
    return 0;
}

static void restrictions_prefilter(const struct policy_ctx *ctx, struct verdict *ret)
{
    const struct restrictions_state *s = ctx->state;
    for (uint32_t i = 0; i < s->claims.n; i++) {
        if (!s->claims.p[i].pvc) {
            ret->reason = REASON_VOLUME_MISSING;
            return;
        }
    }
}

static void restrictions_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                                struct verdict *ret)
{
    const struct restrictions_state *s = ctx->state;
    (void)nodes;
    for (uint32_t i = 0; i < n && s->in_use; i++) {
        ret[i].reason = REASON_VOLUME_IN_USE;
    }
}

const struct policy policy_kube_volume_restrictions = {
    .name = "VolumeRestrictions",
    .filter_dep = DEP_LIVE,
    .prepare = restrictions_prepare,
    .prefilter = restrictions_prefilter,
    .filter = restrictions_filter,
};
