/* NodeUnschedulable: cordoned nodes, unless the pod tolerates node.kubernetes.io/unschedulable:NoSchedule.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/policy.h"

static int unschedulable_prepare(struct policy_ctx *ctx, struct err *err)
{
    (void)err;
    struct taint cordon = {.effect = EFFECT_NO_SCHEDULE};
    cordon.key = sym_find(ctx->c->syms, STR("node.kubernetes.io/unschedulable"));
    return match_tolerates(ctx, &cordon) ? POLICY_SKIP : 0;
}

static void unschedulable_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                                 struct verdict *ret)
{
    for (uint32_t i = 0; i < n; i++) {
        if (ctx->c->flags[nodes[i].v] & NODE_CORDONED) {
            ret[i].reason = REASON_UNSCHEDULABLE;
            ret[i].unresolvable = true;
        }
    }
}

const struct policy policy_kube_node_unschedulable = {
    .name = "NodeUnschedulable",
    .filter_dep = DEP_STATIC,
    .judged_live = true,
    .judged_snapshot = true,
    .prepare = unschedulable_prepare,
    .filter = unschedulable_filter,
};
