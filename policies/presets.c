// SPDX-License-Identifier: Apache-2.0
#include "policies/presets.h"

#include "policies/policy_table.h"

#define POLICY(symbol) {&(symbol), 0},
static const struct preset_item spawnpoint_items[] = {
#include "policies/policies.def"
};
#undef POLICY

/* Kubernetes' filters in their order, with one form of NodeResourcesFit. */
#define IN_TREE(fit, weight)                                                         \
    {                                                                                \
        {&policy_kube_node_name, 0}, {&policy_kube_node_unschedulable, 0},           \
            {&policy_kube_taint_toleration, 0}, {&policy_kube_node_affinity, 0},     \
            {&policy_kube_node_ports, 0}, {&(fit), (weight)},                        \
            {&policy_kube_volume_restrictions, 0}, {&policy_kube_volume_binding, 0}, \
            {&policy_kube_volume_zone, 0}, {&policy_kube_pod_topology_spread, 0},    \
            {&policy_kube_inter_pod_affinity, 0},                                    \
    }
static const struct preset_item least_items[] = IN_TREE(policy_kube_fit_least, 1);
static const struct preset_item most_items[] = IN_TREE(policy_kube_fit_most, 1);
static const struct preset_item random_items[] = IN_TREE(policy_kube_node_resources_fit, 0);

static const struct preset presets[] = {
    {"spawnpoint", NULL, RULE_COST, spawnpoint_items, SP_COUNTOF(spawnpoint_items)},
    {"least-allocated", NULL, RULE_SCORE, least_items, SP_COUNTOF(least_items)},
    {"most-allocated", NULL, RULE_SCORE, most_items, SP_COUNTOF(most_items)},
    {"random", NULL, RULE_RANDOM, random_items, SP_COUNTOF(random_items)},
};
static const char *const names[] = {"spawnpoint", "least-allocated", "most-allocated", "random",
                                    NULL};

const struct preset *preset_find(struct str name)
{
    for (size_t i = 0; i < SP_COUNTOF(presets); i++) {
        if (str_is(name, presets[i].name)) {
            return &presets[i];
        }
    }
    return NULL;
}

const char *const *preset_names(void)
{
    return names;
}
