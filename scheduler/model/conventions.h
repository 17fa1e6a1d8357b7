/* What the clouds, autoscalers and game orchestrators call things: labels, taints, annotations, as tables.
 *
 * Rules: several keys per fact, the first present wins and is remembered (capacity_source); values of capacity types
 * compare without case; unknown is a third state; zone "0" or a bare number is no zone (AKS).
 * Tables: conventions.def, with the source of each key; docs/conventions.md is generated from it.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/cluster.h"

/* Fills flags, facts and capacity type of a node from its labels, taints, annotations, conditions and settings. */
int conventions_read_node(struct cluster *c, const struct node_desc *d, node_ix node, struct err *err) SP_MUST_CHECK;
/* Whether a resource name is an accelerator (nvidia.com/gpu, nvidia.com/mig-…, amd.com/gpu, …). */
bool conventions_is_accelerator(struct str resource);
/* Whether a taint marks a node that is leaving, hard (2), soft (1), or not at all (0). */
int conventions_taint_doom(struct str key, struct str val, enum taint_effect effect);
/* Whether a label tells siblings of one template apart. */
bool conventions_is_sibling_label(struct str key);
