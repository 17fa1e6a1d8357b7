/* The runs of one command line: every policy with every seed, each in a world of its own, then the comparison.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/report.h"

/* Fills runs, policies' differences, verdict, inputs and notes of a report whose policies are set. Seeds and flags are the
 * source's args'. `warnings` may be NULL. */
int job_run(struct world_source *source, const struct policy_choice *policies, size_t n_policies,
            FILE *warnings, struct report *ret, struct err *err) SP_MUST_CHECK;
