/* The difference between every two policies of a report, and one sentence about it.
 *
 * Per metric and pair: the mean over seeds of b - a, paired by seed, with Student's 95 % interval of that mean; one seed, or
 * policies that draw no lots, give the interval [d, d]. A policy is better when the interval leaves out zero.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/report.h"

/* Fills differences and verdict; needs the same seeds for every policy. Metrics that are null on either side have none. */
int compare_fill(struct report *r, size_t n_seeds, struct err *err) SP_MUST_CHECK;
/* Student's t for a two-sided 95 % interval with n - 1 degrees of freedom; n >= 2. */
double compare_t95(size_t n);
/* A value of a metric as people read it ("31.5 ms", "62 %", "0.0041 EUR"). */
void compare_print_value(const struct report *r, size_t metric, double value, struct buf *out);
