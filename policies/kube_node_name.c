/* NodeName: a pod that names its node goes there or nowhere.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/policy.h"

static int node_name_prepare(struct policy_ctx *ctx, struct err *err)
{
    (void)err;
    return ctx->pod->node_name.v == 0 ? POLICY_SKIP : 0;
}

static void node_name_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                             struct verdict *ret)
{
    for (uint32_t i = 0; i < n; i++) {
        if (ctx->c->facts[nodes[i].v].name.v != ctx->pod->node_name.v) {
            ret[i].reason = REASON_NODE_NAME;
            ret[i].unresolvable = true;
        }
    }
}

const struct policy policy_kube_node_name = {
    .name = "NodeName",
    .filter_dep = DEP_LIVE, /* the name belongs to the pod, not to its class */
    .prepare = node_name_prepare,
    .filter = node_name_filter,
};
