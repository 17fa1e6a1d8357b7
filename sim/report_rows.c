/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/report_rows.h"

/* Quotes doubled; what may not reach a terminal becomes a question mark. */
static void put_clean(struct buf *b, struct str s)
{
    size_t len;
    for (size_t i = 0; i < s.n; i += len) {
        bool fit = str_printable((struct str){s.p + i, s.n - i}, &len);
        buf_lit(b, s.p[i] == '"' ? "\"" : "");
        buf_put(b, fit ? s.p + i : "?", fit ? len : 1);
    }
}

/* A leading =, +, - or @ would be run as a formula by a spreadsheet. */
static void put_cell(struct buf *b, struct str s)
{
    bool formula = s.n > 0 && memchr("=+-@", s.p[0], 4) != NULL, quote = formula;
    for (size_t i = 0; i < s.n; i++) {
        quote = quote || memchr(",\"\r\n", s.p[i], 4) != NULL;
    }
    if (!quote) {
        put_clean(b, s);
        return;
    }
    buf_lit(b, formula ? "\"'" : "\"");
    put_clean(b, s);
    buf_char(b, '"');
}

static void put_placements(const struct report *r, struct buf *out)
{
    buf_lit(out, "policy,seed,index,pod,node,reason\n");
    for (size_t i = 0; i < r->runs.n; i++) {
        const struct report_run *run = &r->runs.p[i];
        for (size_t k = 0; k < run->placements.n; k++) {
            put_cell(out, run->policy);
            buf_printf(out, ",%llu,%zu,", (unsigned long long)run->seed, k);
            put_cell(out, run->placements.p[k].pod);
            buf_char(out, ',');
            put_cell(out, run->placements.p[k].node);
            buf_char(out, ',');
            put_cell(out, run->placements.p[k].reason);
            buf_char(out, '\n');
        }
    }
}

void report_write_csv(const struct report *r, struct buf *out)
{
    if (r->with_placements) {
        put_placements(r, out);
        return;
    }
    buf_lit(out, "policy,seed,hash,currency");
    for (size_t m = 0; m < outcome_n_metrics; m++) {
        buf_printf(out, ",%s", outcome_metrics[m].path);
    }
    buf_char(out, '\n');
    for (size_t i = 0; i < r->runs.n; i++) {
        const struct report_run *run = &r->runs.p[i];
        put_cell(out, run->policy);
        buf_printf(out, ",%llu,%s,", (unsigned long long)run->seed, run->outcome.hash);
        put_cell(out, run->outcome.cost.currency);
        for (size_t m = 0; m < outcome_n_metrics; m++) {
            double v = outcome_metric(&run->outcome, m);
            buf_char(out, ',');
            if (v == v) {
                buf_f64(out, v);
            }
        }
        buf_char(out, '\n');
    }
}
