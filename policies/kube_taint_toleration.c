/* TaintToleration: the first NoSchedule or NoExecute taint that the pod does not tolerate refuses.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/policy.h"

static void taint_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                         struct verdict *ret)
{
    for (uint32_t i = 0; i < n; i++) {
        if (match_untolerated(ctx, nodes[i])) {
            ret[i].reason = REASON_TAINT;
            ret[i].unresolvable = true;
        }
    }
}

const struct policy policy_kube_taint_toleration = {
    .name = "TaintToleration",
    .filter_dep = DEP_STATIC,
    .judged_live = true,
    .judged_snapshot = true,
    .filter = taint_filter,
};
