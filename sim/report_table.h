/* The report for people: at most 100 columns, one table of policies, then zones, fleets and what could not be placed.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim/report.h"
#include "sim/style.h"

struct table_opts {
    struct style style;
    bool compare; /* the differences are the main thing */
    bool brief;   /* the table and the verdict only */
};
void report_write_table(const struct report *r, const struct table_opts *opts, struct buf *out);
