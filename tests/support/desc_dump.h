/* Descriptions as text, one fact per line, for golden files of the decoders.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"
#include "model/desc.h"

void desc_dump_node(struct buf *out, const struct node_desc *n);
void desc_dump_pod(struct buf *out, const struct pod_desc *p);
