/* What the three volume filters share: a pod's claims, looked up once per decision.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/policy.h"

struct volume_claim {
    const struct pvc_row *pvc;           /* NULL: not known */
    const struct pv_row *pv;             /* the bound one; NULL: unbound, or not known */
    const struct storage_class_row *cls; /* of an unbound claim; NULL: none or not known */
    bool bound;
};
struct volume_claims {
    struct volume_claim *p;
    uint32_t n;
};
static inline int volume_claims_read(struct policy_ctx *ctx, struct volume_claims *ret,
                                     struct err *err)
{
    const struct cluster *c = ctx->c;
    struct volume_claim *p = arena_calloc(ctx->scratch, ctx->pod->n_claims, sizeof *p);
    if (!p) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < ctx->pod->n_claims; i++) {
        const struct pvc_row *pvc = cluster_find_pvc(c, ctx->pod->ns, ctx->pod->claims[i]);
        p[i].pvc = pvc;
        if (!pvc) {
            continue;
        }
        p[i].bound = pvc->volume_name.v != 0 && pvc->bind_completed;
        if (pvc->volume_name.v != 0) {
            p[i].pv = cluster_find_pv(c, pvc->volume_name);
        }
        if (!p[i].bound && pvc->storage_class.v != 0) {
            p[i].cls = cluster_find_storage_class(c, pvc->storage_class);
        }
    }
    ret->p = p;
    ret->n = ctx->pod->n_claims;
    return 0;
}
