/* explain: every asked pod judged alone against the snapshot, on all nodes; or the last live decision of a running server.
 *
 * A pod that stands on a node is lifted out first and put back. Output as in the interface: one object, a list, or a line each.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/explain.h"
#include "sim/world.h"

/* Judges one pod of the world; the world is afterwards as before. explain_done is the caller's on success. */
int explain_pod(struct world *w, struct engine *e, pod_ix pod, struct explanation *ret,
                struct err *err) SP_MUST_CHECK;
/* "NS/NAME", or NAME for the namespace default. -ENOENT with the nearest name. */
int explain_find_pod(const struct world *w, const char *name, pod_ix *ret,
                     struct err *err) SP_MUST_CHECK;
