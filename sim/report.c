/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/report.h"

#include "base/limits.h"

#include <stdlib.h>

#define RUN_ARENA_MAX ((size_t)16 << 30)
#define NOTES_MAX     100000

int report_add_note(struct report *r, struct str what, uint64_t count, struct err *err)
{
    size_t at = 0;
    while (at < r->notes.n && str_cmp(r->notes.p[at].what, what) < 0) {
        at++;
    }
    if (at < r->notes.n && str_eq(r->notes.p[at].what, what)) {
        r->notes.p[at].count += count;
        return 0;
    }
    struct report_note one = {arena_str(&r->arena, what), count};
    if (one.what.p == NULL || VEC_PUSH(&r->notes, one, NOTES_MAX) != 0) {
        return err_nomem(err);
    }
    memmove(r->notes.p + at + 1, r->notes.p + at, (r->notes.n - 1 - at) * sizeof one);
    r->notes.p[at] = one;
    return 0;
}

int report_add_inputs(struct report *r, const struct world *w, struct err *err)
{
    for (size_t i = 0; i < w->loaded.inputs.n; i++) {
        const struct load_input *in = &w->loaded.inputs.p[i];
        struct report_input one = {.path = arena_str(&r->arena, str_c(in->path))};
        memcpy(one.sha256, in->sha256, sizeof one.sha256);
        if (one.path.p == NULL || VEC_PUSH(&r->inputs, one, LIMIT_FOLDER_FILES) != 0) {
            return err_nomem(err);
        }
    }
    for (size_t i = 0; i < w->loaded.not_modelled.n; i++) {
        int rc = report_add_note(r, str_c(w->loaded.not_modelled.p[i].what),
                                 w->loaded.not_modelled.p[i].count, err);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int keep_placements(struct report_run *run, const struct world *w,
                           const struct replay *replay, struct err *err)
{
    const struct cluster *c = w->cluster;
    if (VEC_RESERVE(&run->placements, replay->placements.n + 1, LIMIT_PODS + 1) != 0) {
        return err_nomem(err);
    }
    for (size_t i = 0; i < replay->placements.n; i++) {
        const struct placement *p = &replay->placements.p[i];
        struct report_placement one = {.pod = arena_str(&run->arena, p->pod),
                                       .reason = arena_str(&run->arena, p->reason)};
        if (p->node.v != IX_NONE) {
            one.node = arena_str(&run->arena, sym_str(c->syms, c->facts[p->node.v].name));
        }
        if (one.pod.p == NULL || one.reason.p == NULL ||
            (p->node.v != IX_NONE && one.node.p == NULL)) {
            return err_nomem(err);
        }
        run->placements.p[run->placements.n++] = one;
    }
    return 0;
}

int report_add_run(struct report *r, const struct world *w, const struct replay *replay,
                   struct str policy, uint64_t seed, struct err *err)
{
    if (VEC_PUSH(&r->runs, ((struct report_run){.policy = policy, .seed = seed}), 1000000) != 0) {
        return err_nomem(err);
    }
    struct report_run *run = &r->runs.p[r->runs.n - 1];
    arena_init(&run->arena, RUN_ARENA_MAX);
    run->wall_s = replay->wall_s;
    run->placements_per_s =
        replay->wall_s > 0 ? (double)replay->placements.n / replay->wall_s : SIM_NULL;
    int rc = outcome_make(w, replay, &run->outcome, err);
    return rc == 0 && (r->with_placements || r->keep_placements)
               ? keep_placements(run, w, replay, err)
               : rc;
}

void report_done(struct report *r)
{
    for (size_t i = 0; i < r->runs.n; i++) {
        outcome_done(&r->runs.p[i].outcome);
        VEC_DONE(&r->runs.p[i].placements);
        arena_done(&r->runs.p[i].arena);
    }
    VEC_DONE(&r->inputs);
    VEC_DONE(&r->notes);
    VEC_DONE(&r->policies);
    VEC_DONE(&r->runs);
    VEC_DONE(&r->differences);
    VEC_DONE(&r->expectations);
    arena_done(&r->arena);
}
