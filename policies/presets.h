/* The named sets of policies: spawnpoint, least-allocated, most-allocated, random.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/engine.h"

/* NULL when no preset has this name. */
const struct preset *preset_find(struct str name);
/* Names in order; ends with NULL. */
const char *const *preset_names(void);
/* A policy of policies.def by name, NULL when there is none. */
const struct policy *policy_find(struct str name);
