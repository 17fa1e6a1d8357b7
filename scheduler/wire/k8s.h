/* Kubernetes objects from JSON bytes to descriptions (model/desc.h).
 *
 * Node and Pod go through the pull scanner straight into the description; rare and irregular kinds through jsonc
 * (cJSON on an arena). Text of the description lies in `json` or in `arena`. Unknown fields are ignored; a wrong type
 * or an impossible value of a field that is read is an error that names the field ("spec.containers[0].resources.requests.cpu").
 * Field names count exactly in objects, without case in extender arguments.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "model/desc.h"

int k8s_decode_node(struct str json, struct arena *arena, struct node_desc *ret,
                    struct err *err) SP_MUST_CHECK;
int k8s_decode_pod(struct str json, struct arena *arena, struct pod_desc *ret,
                   struct err *err) SP_MUST_CHECK;
/* What the API server would refuse in a pod (negative requests, maxSkew 0 …): -EINVAL with its reason. Files are
 * checked with it; live pods were checked by the API server. */
int k8s_validate_pod(const struct pod_desc *pod, struct err *err) SP_MUST_CHECK;
/* The same for a user's PriorityClass: at most 1e9, no name that begins with system-. */
int k8s_validate_priority_class(const struct priority_class_desc *pc,
                                struct err *err) SP_MUST_CHECK;

struct k8s_head { /* what kind of object this is */
    struct str api_version, kind, name, ns;
};
int k8s_decode_head(struct str json, struct arena *arena, struct k8s_head *ret,
                    struct err *err) SP_MUST_CHECK;

int k8s_decode_namespace(struct str json, struct arena *a, struct namespace_desc *ret,
                         struct err *err) SP_MUST_CHECK;
int k8s_decode_priority_class(struct str json, struct arena *a, struct priority_class_desc *ret,
                              struct err *err) SP_MUST_CHECK;
int k8s_decode_service(struct str json, struct arena *a, struct service_desc *ret,
                       struct err *err) SP_MUST_CHECK;
int k8s_decode_workload(struct str json, struct arena *a, struct workload_desc *ret,
                        struct err *err) SP_MUST_CHECK;
/* The same with the kind given from outside: items of a typed list carry none. */
int k8s_decode_workload_as(const struct k8s_head *head, struct str json, struct arena *a,
                           struct workload_desc *ret, struct err *err) SP_MUST_CHECK;
int k8s_decode_pdb(struct str json, struct arena *a, struct pdb_desc *ret,
                   struct err *err) SP_MUST_CHECK;
int k8s_decode_pv(struct str json, struct arena *a, struct pv_desc *ret,
                  struct err *err) SP_MUST_CHECK;
int k8s_decode_pvc(struct str json, struct arena *a, struct pvc_desc *ret,
                   struct err *err) SP_MUST_CHECK;
int k8s_decode_storage_class(struct str json, struct arena *a, struct storage_class_desc *ret,
                             struct err *err) SP_MUST_CHECK;
/* Agones GameServer; OpenKruiseGame GameServer by its group. */
int k8s_decode_game_server(struct str json, struct arena *a, struct game_server_desc *ret,
                           struct err *err) SP_MUST_CHECK;
