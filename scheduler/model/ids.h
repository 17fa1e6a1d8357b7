/* Index types of the model. Distinct types, so that a node's index cannot be used where a pod's is meant.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define IX_NONE UINT32_MAX

typedef struct {
    uint32_t v;
} sym; /* interned text; 0 = the empty string, also "not set" */
typedef struct {
    uint32_t v;
} node_ix; /* row of a node; stable until the node is removed */
typedef struct {
    uint32_t v;
} pod_ix; /* row of a pod that stands on a node (bound, assumed) or waits */
typedef struct {
    uint32_t v;
} class_ix; /* pods that every policy must treat alike */
typedef struct {
    uint32_t v;
} fleet_ix; /* players that are counted together */
typedef struct {
    uint32_t v;
} labelset_ix; /* a set of labels; 0 = the empty set */
typedef struct {
    uint32_t v;
} res_ix; /* a resource name; RES_CPU .. first */
typedef struct {
    uint32_t v;
} topo_ix; /* a topology key, e.g. topology.kubernetes.io/zone */
typedef struct {
    uint32_t v;
} dom_ix; /* a value of a topology key within that key; 0 = node lacks the key */
typedef struct {
    uint32_t v;
} place_ix; /* a location that latency is known for: zone, region or label value */

#define NODE_NONE  ((node_ix){IX_NONE})
#define POD_NONE   ((pod_ix){IX_NONE})
#define CLASS_NONE ((class_ix){IX_NONE})
#define FLEET_NONE ((fleet_ix){IX_NONE})
#define SYM_NONE   ((sym){0})

enum {
    RES_CPU = 0,       /* millicores */
    RES_MEMORY = 1,    /* bytes */
    RES_EPHEMERAL = 2, /* bytes */
    RES_PODS = 3,      /* count */
    RES_FIXED = 4      /* extended resources, hugepages and attachable volumes follow, in units */
};
