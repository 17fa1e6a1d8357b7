/* What a pod asks of a node: kube-scheduler's request arithmetic.
 *
 * Sums are exact quantities per pod and are rounded up once. Covered: regular, init and sidecar containers, pod-level
 * requests, overhead, and for pods on nodes in-place resize in the dialect of 1.37. Pure; memory from the caller's arena.
 * Source: reference in docs/model.md; k8s.io/component-helpers resource/helpers.go.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "model/desc.h"

struct request_item {
    struct str name;
    int64_t amount; /* > 0; cpu in thousandths, the rest in units */
};
struct pod_requests {
    struct request_item *items; /* ascending by name; untracked names and zero amounts left out */
    uint32_t n;
    int64_t nonzero_cpu_milli,
        nonzero_mem_bytes; /* containers that name none count 100m and 200Mi */
};

/* `on_node`: the pod has a node, so what its node has really given counts as well. -E2BIG on more names than a cluster may
 * have. */
int requests_compute(const struct pod_desc *d, bool on_node, struct arena *scratch,
                     struct pod_requests *ret, struct err *err) SP_MUST_CHECK;
/* cpu, memory, ephemeral-storage, pods, extended, hugepages and attachable volumes; other names are ignored. */
bool requests_tracked(struct str name);
int64_t requests_amount(struct str name, struct quantity q);
