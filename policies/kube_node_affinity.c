/* NodeAffinity: nodeSelector and required node affinity.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/policy.h"

static int affinity_prepare(struct policy_ctx *ctx, struct err *err)
{
    (void)err;
    return ctx->cls->node_selector.n == 0 && !ctx->cls->has_node_required ? POLICY_SKIP : 0;
}

static void affinity_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                            struct verdict *ret)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!match_node_selection(ctx, nodes[i])) {
            ret[i].reason = REASON_NODE_AFFINITY;
            ret[i].unresolvable = true;
        }
    }
}

const struct policy policy_kube_node_affinity = {
    .name = "NodeAffinity",
    .filter_dep = DEP_STATIC,
    .prepare = affinity_prepare,
    .filter = affinity_filter,
};
