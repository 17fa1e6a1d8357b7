/* The latency block of an outcome: weighted percentiles and shares over the players whose demand is known.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/outcome.h"

/* Fills o->latency and the fleets' own; o->fleets stand by name already. */
int outcome_latency_fill(const struct cluster *c, struct outcome *o, struct err *err) SP_MUST_CHECK;
