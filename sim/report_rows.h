/* The report as comma-separated values: a row per run, or per placement with --placements. RFC 4180.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/report.h"

void report_write_csv(const struct report *r, struct buf *out);
