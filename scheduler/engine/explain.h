/* Explanations: why here, why not there, the runner-up, the margin, what would have changed it.
 *
 * One record, shown alike by the CLI, the admin port and the web page. Decided plainly on all asked nodes. Every what-if is
 * made (on the model, then undone; or on a copy of the pod's class) and decided again before it is told.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"
#include "engine/engine.h"

struct explain_term {
    const char *policy;
    struct policy_term t;
};
struct explain_score {
    const char *plugin;
    int64_t raw, normalized, weight, total;
};
struct explain_node {
    node_ix node;
    struct str name;
    bool feasible;
    const char *rejected_by; /* plugin or policy; NULL when feasible */
    struct str reasons[16];
    uint32_t n_reasons;
    bool unresolvable;
    uint8_t stage;
    bool full;
    struct explain_term *terms;
    uint32_t n_terms;
    struct explain_score *scores;
    uint32_t n_scores;
    int64_t total; /* nano-currency (COST) or score */
};
struct explain_what_if {
    struct str
        change; /* "node a: uncordon", "pod: tolerate game.example/spot", "node a: remove", … grammar in docs/explain.md */
    struct str chosen; /* "" = none */
};
struct not_modelled_item {
    struct str what;
    uint64_t count;
};
struct explanation {
    struct arena arena;                        /* owns everything below */
    struct str pod, policy, dialect, currency; /* dialect "" = null */
    struct str per_session; /* "EUR per session": the unit of totals and of terms in money */
    struct str chosen;      /* "" = none */
    struct str *best;
    uint32_t n_best;
    struct str message;    /* "" = null */
    struct str decided_by; /* a policy's name, "latency", "name", "only" (one node fits), "none" */
    double margin;
    struct str unit;
    struct str runner_up; /* "" = none */
    int64_t runner_total;
    double behind_by;
    struct explain_what_if *what_ifs;
    uint32_t n_what_ifs;
    struct policy_input *inputs;
    uint32_t n_inputs;
    struct not_modelled_item *not_modelled;
    uint32_t n_not_modelled;
    struct explain_node *nodes; /* by name */
    uint32_t n_nodes;
    int64_t decided_ms; /* 0 = not live */
    enum rule rule;
};
struct explain_opts {
    bool what_ifs;
    uint32_t max_what_ifs; /* default 8 */
};
/* -ENOMEM or -E2BIG. The cluster is changed and restored while what-ifs are tried (hence not const); on return it hashes as
 * before. */
int explain_make(struct engine *e, struct cluster *c, const struct ask *ask, struct str pod_name,
                 const struct explain_opts *opts, struct explanation *ret,
                 struct err *err) SP_MUST_CHECK;
void explain_done(struct explanation *x);
/* The JSON object of interface section 2 (kind Explanation), compact. */
void explain_write_json(const struct explanation *x, struct buf *out);
/* The same for people: a paragraph and two short tables, at most `width` columns. */
void explain_write_text(const struct explanation *x, struct buf *out, uint32_t width, bool color);
