/* The game behind a pod: who says how many players, how long, where from.
 *
 * Order of authority: the pod's annotations, the GameServer object's, the fleet's entry in the configuration, the
 * configuration's defaults, then the shipped table profile_defaults. A malformed value counts as not said.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/cluster.h"

struct class_key;

struct profile_default {
    const char *owner;
    int64_t p50_ms, p90_ms; /* INT64_MAX: for ever */
    int32_t players;        /* where the pod is a game */
    const char *reason;
};
#define PROFILE_DEFAULTS 4
extern const struct profile_default profile_defaults[PROFILE_DEFAULTS];

/* Resolves for a template of the cluster and what was looked up for it. Makes the fleet when it is new. `ret_bad` counts
 * malformed values. */
int profile_resolve(struct cluster *c, const struct class_key *key, struct game_profile *ret,
                    uint32_t *ret_bad, struct err *err) SP_MUST_CHECK;

/* The syntaxes of the annotations; false when malformed, then nothing is written. */
bool profile_read_session(struct str s, int64_t *ret_p50_ms, int64_t *ret_p90_ms);
bool profile_read_players(struct str s, int32_t *ret);
bool profile_read_spot(struct str s, enum spot_wish *ret);
/* {"DE":0.6,"FR":0.3}: normalised to a sum of 1. Memory from `arena`; -EINVAL malformed, -ENOMEM. */
int profile_read_demand(struct str s, struct arena *arena, demand_list *ret) SP_MUST_CHECK;
