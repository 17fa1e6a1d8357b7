/* What the clouds, autoscalers and game orchestrators call things: labels, taints, annotations, as tables.
 *
 * Rules: several keys per fact, the first present wins and is remembered (capacity_source); values of capacity types
 * compare without case; unknown is a third state; zone "0" or a bare number is no zone (AKS).
 * Tables: conventions.def, with the source of each key; docs/conventions.md is generated from it.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/cluster.h"

/* Fills flags, facts and capacity type of a node from its labels, taints, annotations, conditions and settings. */
int conventions_read_node(struct cluster *c, const struct node_desc *d, node_ix node,
                          struct err *err) SP_MUST_CHECK;
/* Whether a resource name is an accelerator (nvidia.com/gpu, nvidia.com/mig-…, amd.com/gpu, …). */
bool conventions_is_accelerator(struct str resource);
/* Whether a taint marks a node that is leaving, hard (2), soft (1), or not at all (0). */
int conventions_taint_doom(struct str key, struct str val, enum taint_effect effect);
/* Whether a label tells siblings of one template apart. */
bool conventions_is_sibling_label(struct str key);

/* The tables, for the docs and for tests. */
enum conv_fact {
    CONV_REGION = 0,
    CONV_ZONE,
    CONV_INSTANCE_TYPE,
    CONV_ARCH,
    CONV_OS,
    CONV_HOSTNAME,
    CONV_FAMILY,
    CONV_GENERATION,
    CONV_CLOCK,
    CONV_BURSTABLE,
    CONV_CAPACITY,
    CONV_CAPACITY_TAINT,
    CONV_FAULT_DOMAIN,
    CONV_LIFE_24H,
    CONV_END_OF_LIFE,
    CONV_POOL,
    CONV_POOL_TAINT,
    CONV_GPU_PRODUCT,
    CONV_GPU_PRESENT,
    CONV_GPU_TAINT,
    CONV_GPU_MEMORY,
    CONV_GPU_COMPUTE,
    CONV_GPU_MODE,
    CONV_MIG_STRATEGY,
    CONV_GPU_SHARED,
    CONV_ACCELERATOR,
    CONV_SYSTEM_LABEL,
    CONV_SYSTEM_TAINT,
    CONV_GAME_LABEL,
    CONV_GAME_TAINT,
    CONV_VIRTUAL_LABEL,
    CONV_VIRTUAL_TAINT,
    CONV_DOOM,
    CONV_NOT_READY_TAINT,
    CONV_SIBLING,
    CONV_FACTS
};
struct conv_row {
    enum conv_fact fact;
    const char *key, *value;
    int meaning;
    const char *prose, *source;
};
const struct conv_row *conventions_rows(size_t *ret_n);
/* A zone that is none: "", "0" or a bare number (AKS writes these for machines outside zones). */
bool conventions_zone_is_none(struct str zone);
