// SPDX-License-Identifier: Apache-2.0
//
// The sentence that kube-scheduler writes about a pod that fits nowhere.
#include "engine/engine_impl.h"

#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_REASONS_MAX 640 /* every reason and every resource once */
#define MESSAGE_LINE_MAX    220

struct tally {
    uint16_t reason, arg;
    uint32_t count;
    char line[MESSAGE_LINE_MAX];
};
struct histogram {
    struct tally *p;
    uint32_t n;
};

static void count_verdict(struct histogram *h, const struct verdict *v)
{
    uint16_t arg = v->reason == REASON_INSUFFICIENT ? v->arg : 0;
    for (uint32_t i = 0; i < h->n; i++) {
        if (h->p[i].reason == v->reason && h->p[i].arg == arg) {
            h->p[i].count++;
            return;
        }
    }
    if (h->n < MESSAGE_REASONS_MAX) {
        h->p[h->n++] = (struct tally){.reason = v->reason, .arg = arg, .count = 1};
    }
}

struct str engine_reason_text(const struct engine *e, const struct verdict *v, char *out, size_t n)
{
    if (v->reason == REASON_INSUFFICIENT && v->arg < e->c->n_res) {
        struct str name = sym_str(e->c->syms, e->c->res_name[v->arg]);
        int len = snprintf(out, n, "Insufficient " STR_FMT, STR_ARG(name));
        return (struct str){out, len < 0 ? 0 : (size_t)len < n ? (size_t)len : n - 1};
    }
    return str_c(reason_text((enum reason)v->reason));
}

uint32_t engine_reasons(struct engine *e, node_ix node, const struct verdict *v,
                        struct verdict *out, uint32_t max)
{
    const struct policy *p = engine_policy(e, v->policy);
    uint32_t n = 0;
    if (p->reasons && !e->slots[v->policy].skipped && !e->prefilter) {
        p->reasons(engine_ctx(e, v->policy), node, out, max, &n);
    }
    if (n == 0) {
        out[0] = *v;
        n = 1;
    }
    return n;
}

static int line_order(const void *a, const void *b)
{
    return strcmp(((const struct tally *)a)->line, ((const struct tally *)b)->line);
}

static void tally_all(struct engine *e, const struct decision *d, struct histogram *h)
{
    for (uint32_t i = 0; i < d->n_asked; i++) {
        struct verdict all[16];
        if (d->verdicts[i].reason == REASON_NONE) {
            continue;
        }
        uint32_t n = engine_reasons(e, d->nodes[i], &d->verdicts[i], all, SP_COUNTOF(all));
        for (uint32_t k = 0; k < n; k++) {
            count_verdict(h, &all[k]);
        }
    }
}

void engine_message(struct engine *e, const struct decision *d, const struct ask *ask,
                    struct buf *out)
{
    (void)ask;
    if (d->n_asked == 0) {
        buf_lit(out, "no nodes available to schedule pods");
        return;
    }
    buf_printf(out, "0/%u nodes are available:", d->n_asked);
    if (e->prefilter) { /* stands on every node: told once, without a count */
        buf_printf(out, " %s.", reason_text((enum reason)e->prefilter->reason));
        return;
    }
    struct histogram h = {arena_alloc(&e->scratch, MESSAGE_REASONS_MAX * sizeof *h.p), 0};
    if (!h.p) {
        out->broken = true;
        return;
    }
    tally_all(e, d, &h);
    for (uint32_t i = 0; i < h.n; i++) {
        char text[MESSAGE_LINE_MAX];
        struct verdict v = {.reason = h.p[i].reason, .arg = h.p[i].arg};
        struct str s = engine_reason_text(e, &v, text, sizeof text);
        (void)snprintf(h.p[i].line, sizeof h.p[i].line, "%u " STR_FMT, h.p[i].count, STR_ARG(s));
    }
    qsort(h.p, h.n, sizeof *h.p, line_order);
    for (uint32_t i = 0; i < h.n; i++) {
        buf_lit(out, i ? ", " : " ");
        buf_lit(out, h.p[i].line);
    }
    buf_char(out, '.');
}
