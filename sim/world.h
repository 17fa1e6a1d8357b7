/* What a run stands on: settings, tables and a cluster, read from the files that the command line names.
 *
 * Every run opens its own world, so that no run can see what another one did; standard input is read once and kept.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"
#include "engine/engine.h"
#include "sim/args.h"
#include "wire/load.h"

/* One --policy: a preset, or a SpawnpointConfiguration (preset spawnpoint with these settings). */
struct policy_choice {
    const char *name; /* as typed; the report's name */
    const struct preset *preset;
    const char *config; /* path; NULL = --config or the defaults */
};
struct world_source {
    const struct args *args;
    struct buf standard_input; /* what `--cluster -` gave, once read */
    bool read_input;
};
struct world {
    struct settings settings;
    bool has_settings;
    struct cluster *cluster;
    struct loaded loaded;
    bool has_loaded;
};

/* -EINVAL: no such preset (the text lists those that exist), or a file of another kind. -ENOENT: no such file. */
int sim_world_choose(const char *word, struct policy_choice *ret, struct err *err) SP_MUST_CHECK;
/* sim_world_close is needed in any case. */
int sim_world_open(struct world_source *src, const struct policy_choice *choice, struct world *ret,
                   struct err *err) SP_MUST_CHECK;
void sim_world_close(struct world *w);
void world_source_done(struct world_source *src);
/* Tells the warnings of the load, one per line. */
void world_warn(const struct world *w, FILE *errors);
