/* --expect EXPR: "latency.p90Ms < 60", a dotted path of a run, an operator (< <= > >= == !=) and a number.
 *
 * Checked for every run. null makes it false. byFleet and byCapacityType take the rest of the path as a name:
 * "latency.byFleet.arena.p90Ms <= 60", "cost.byCapacityType.spot < 4".
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/report.h"

enum expect_op { EXPECT_LT, EXPECT_LE, EXPECT_GT, EXPECT_GE, EXPECT_EQ, EXPECT_NE };
struct expect {
    struct str text, path; /* views into the text that was given */
    enum expect_op op;
    double number;
};

/* -EINVAL: it does not parse, or no report has such a field. */
int expectation_parse(struct str text, struct expect *ret, struct err *err) SP_MUST_CHECK;
/* The value in a run; NaN = null. -ENOENT: a name (of a fleet, a capacity type) that this run does not have. */
int expectation_value(const struct expect *e, const struct report_run *run,
                      double *ret) SP_MUST_CHECK;
bool expectation_holds(const struct expect *e, double value);
/* Checks all expressions against all runs and fills report.expectations. -EINVAL when no run has the named fleet. */
int expectation_check(struct report *r, const struct expect *list, size_t n, bool *ret_all_ok,
                      struct err *err) SP_MUST_CHECK;
