/* The command line of simulate, compare, explain and demo: one table of flags, which also prints the help.
 *
 * Owns the arrays, never the texts (they are argv's). A flag that a verb does not have is an error with the nearest
 * name; nothing is accepted in a shortened form, so that a script means the same after a new flag is added.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/vec.h"

enum sim_exit { SIM_OK = 0, SIM_ERROR = 1, SIM_USAGE = 2, SIM_EXPECT = 3 };
enum sim_verb { VERB_SIMULATE = 1, VERB_COMPARE = 2, VERB_EXPLAIN = 4, VERB_DEMO = 8 };
enum sim_format { FORMAT_TABLE = 0, FORMAT_JSON, FORMAT_JSONL, FORMAT_CSV };
enum sim_color { COLOR_AUTO = 0, COLOR_ALWAYS, COLOR_NEVER };

typedef VEC(const char *) arg_list;
struct args {
    enum sim_verb verb;
    arg_list clusters, workloads, policies, expects, pods;
    VEC(uint64_t) seeds;
    const char *config, *latency, *prices, *server; /* NULL = not given */
    bool repack, placements, pending, help;
    enum sim_format format;
    enum sim_color color;
    int argc; /* as typed, for `reproduce` */
    char **argv;
};

/* SIM_OK, or SIM_USAGE after telling `errors` what is wrong. args_done is needed in both cases. */
int args_parse(enum sim_verb verb, int argc, char **argv, struct args *ret, FILE *errors);
void args_done(struct args *a);
void args_help(enum sim_verb verb, FILE *out);
const char *args_verb_name(enum sim_verb verb);
/* The command line again, quoted for a shell where needed. */
void args_reproduce(const struct args *a, struct buf *out);
/* Whether to colour what goes to `out`: --color, then NO_COLOR, TERM=dumb, and whether it is a terminal. */
bool args_want_color(const struct args *a, FILE *out);
