/* The report as JSON (kind SimulationReport) and as one line per run. Bytes depend on the report alone.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/report.h"

/* One object; compact but for a line per run, difference and expectation. */
void report_write_json(const struct report *r, struct buf *out);
/* The runs, one per line. */
void report_write_jsonl(const struct report *r, struct buf *out);
