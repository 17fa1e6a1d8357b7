/* Known mistakes in objects that are not read for placement: a warning with the place and the fix.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "wire/load_impl.h"

static void warn(const struct load_ctx *ctx, struct str json, const char *path, const char *fix)
{
    struct err err = ERR_NONE;
    char text[ERR_TEXT_MAX];
    err_set(&err, -1, "%s: %s", path, fix);
    load_place_path(ctx, json, &err);
    load_warn(ctx->l, "%s", err_format(&err, text, sizeof text));
}

static struct str text_at(struct str json, const char *path)
{
    size_t at = k8s_find_path(json, path), parent = 0;
    char up[128];
    const char *dot = strrchr(path, '.');
    if (dot != NULL && (size_t)(dot - path) < sizeof up) {
        memcpy(up, path, (size_t)(dot - path));
        up[dot - path] = '\0';
        parent = k8s_find_path(json, up);
    }
    if (at == parent || json.p[at] != '"') {
        return STR_NONE;
    }
    const char *from = json.p + at + 1, *end = memchr(from, '"', json.n - at - 1);
    return end != NULL ? (struct str){from, (size_t)(end - from)} : STR_NONE;
}

void load_lint(const struct load_ctx *ctx, const struct k8s_head *head, struct str json)
{
    if (str_is(head->kind, "KubeSchedulerConfiguration") &&
        str_starts(head->api_version, STR("kubescheduler.config.k8s.io/")) &&
        !str_is(head->api_version, "kubescheduler.config.k8s.io/v1")) {
        warn(ctx, json, "apiVersion",
             "this version of the configuration is gone from Kubernetes: use "
             "kubescheduler.config.k8s.io/v1");
    } else if (str_is(head->kind, "VerticalPodAutoscaler") &&
               !str_starts(head->api_version, STR("autoscaling.k8s.io/"))) {
        warn(ctx, json, "apiVersion",
             "a VerticalPodAutoscaler is autoscaling.k8s.io/v1 (autoscaling/v2 holds the "
             "HorizontalPodAutoscaler)");
    } else if (str_is(head->kind, "NodePool") &&
               str_starts(head->api_version, STR("karpenter.sh/"))) {
        struct str policy = text_at(json, "spec.disruption.consolidationPolicy");
        if (policy.n > 0 && !str_is(policy, "WhenEmpty") &&
            !str_is(policy, "WhenEmptyOrUnderutilized") && !str_is(policy, "WhenUnderutilized")) {
            warn(ctx, json, "spec.disruption.consolidationPolicy",
                 "unknown value: use WhenEmptyOrUnderutilized (v1), WhenUnderutilized (v1beta1) or "
                 "WhenEmpty");
        }
    }
}
