/* The policies' symbols, from policies.def.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policies/presets.h"

#define POLICY(symbol) extern const struct policy symbol;
#include "policies/policies.def"
#undef POLICY
/* NodeResourcesFit with a score, for the presets that have one. */
extern const struct policy policy_kube_fit_least, policy_kube_fit_most;
