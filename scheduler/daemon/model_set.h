/* One cluster model with its engine, as the daemon keeps several: the one that answers, one for whole-node requests, one for
 * questions. All are loaded from the same source.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/live.h"
#include "engine/engine.h"

/* Where the cluster comes from. Standard input is read once and kept. */
struct source {
    const char *const *paths;
    unsigned n_paths;
    char *stdin_bytes;
    size_t n_stdin;
};
int source_open(struct source *s, const char *const *paths, unsigned n,
                struct err *err) SP_MUST_CHECK;
void source_done(struct source *s);

struct whole_hash {
    uint64_t a, b;
};
struct model_set {
    struct cluster *c;
    struct engine *e;
    struct live *live;
    int64_t newest_ms; /* latest time that the source names; 0 = none */
    int64_t loaded_mono_ms;
    node_ix *ring;             /* cluster_find_node_hint's; n_ring entries */
    uint32_t *seen;            /* by node row: the request that named it last */
    struct whole_hash *hashes; /* by node row: the object's bytes that were taken over last */
    uint32_t n_rows, tick;
};
/* `warn` is called for each thing that the source holds and the model does not (NULL: silent). */
int model_set_open(struct model_set *m, const struct source *src, struct live *live,
                   void (*warn)(const char *text, uint64_t count), struct err *err) SP_MUST_CHECK;
void model_set_close(struct model_set *m);
int model_set_apply(struct model_set *m, struct live *live,
                    struct err *err) SP_MUST_CHECK; /* new settings */
/* What policies call now: a snapshot's newest time and what has passed since it was read; else the wall clock. */
int64_t model_set_now_ms(const struct model_set *m);
/* Grows the arrays by node row. */
int model_set_rows(struct model_set *m, struct err *err) SP_MUST_CHECK;
