/* A simulation report: what went in, what every run gave, how policies compare, what was expected.
 *
 * The writers (report_json, report_table, report_rows) print this and nothing else, so every form tells the same.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/outcome.h"

struct report_placement {
    struct str pod, node, reason; /* node "" = none; in the run's arena */
};
struct report_run {
    struct str policy;
    uint64_t seed;
    struct outcome outcome;
    VEC(struct report_placement) placements; /* with --placements, and for the table */
    struct arena arena;
    double wall_s, placements_per_s;
};
struct report_difference {
    size_t metric; /* of outcome_metrics */
    size_t a, b;   /* policies, by position in report.policies */
    double mean_a, mean_b;
    double difference, low, high; /* b - a, paired by seed; 95 % interval */
    char better;                  /* 'a', 'b' or 'n' (none) */
};
struct report_expectation {
    struct str expr;
    size_t run;
    double value; /* NaN = null */
    bool ok;
};
struct report_note {
    struct str what;
    uint64_t count;
};
struct report_input {
    struct str path;
    uint8_t sha256[32];
};
struct report {
    struct arena arena;
    struct str reproduce, verdict; /* verdict "" = null */
    VEC(struct report_input) inputs;
    VEC(struct report_note) notes; /* what is not modelled, by text */
    VEC(struct str) policies;      /* in order of the command line */
    VEC(struct report_run) runs;   /* by policy, then seed */
    VEC(struct report_difference) differences;
    VEC(struct report_expectation) expectations;
    bool with_placements; /* asked for: --placements */
    bool keep_placements; /* the table tells what could not be placed */
};

void report_done(struct report *r);
/* Adds to a note of the same text, keeping the order by text. */
int report_add_note(struct report *r, struct str what, uint64_t count,
                    struct err *err) SP_MUST_CHECK;
/* Takes what a report needs of a world and a replay; the world may be closed afterwards. */
int report_add_run(struct report *r, const struct world *w, const struct replay *replay,
                   struct str policy, uint64_t seed, struct err *err) SP_MUST_CHECK;
/* What the inputs were and what of them is not modelled; once, from the first world. */
int report_add_inputs(struct report *r, const struct world *w, struct err *err) SP_MUST_CHECK;
