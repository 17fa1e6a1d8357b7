/* What is kept of a cluster: one row for each resource that is listed and watched.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/kube_sync.h"

enum kube_kind {
    KUBE_NODES = 0,
    KUBE_PODS,
    KUBE_NAMESPACES,
    KUBE_PVS,
    KUBE_PVCS,
    KUBE_STORAGE_CLASSES,
    KUBE_PDBS,
    KUBE_PRIORITY_CLASSES,
    KUBE_SERVICES,
    KUBE_AGONES,
    KUBE_KRUISE,
    KUBE_KINDS
};
extern const struct kube_resource kube_resources[KUBE_KINDS];
#define KUBE_PAGE 500u /* items to a page: about 4.5 MB of nodes */
