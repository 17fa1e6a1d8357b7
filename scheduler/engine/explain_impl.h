/* The explanations' inside: explain.c, what_if.c; nobody else.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/engine_impl.h"
#include "engine/explain.h"

#define EXPLAIN_ARENA_BYTES (1u << 30)

/* A decision's views, copied into the explanation's arena: what-ifs decide again and overwrite the engine's. */
struct explain_base {
    node_ix chosen;
    const node_ix *nodes;
    const struct verdict *verdicts;
    uint32_t n_nodes;
};
/* Appends the checked what-ifs. The cluster is as before on return, also after an error. */
int what_if_make(struct engine *e, struct cluster *c, const struct ask *ask,
                 const struct explain_base *base, const struct explain_opts *opts,
                 struct explanation *x, struct err *err) SP_MUST_CHECK;
