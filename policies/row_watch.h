/* Which node rows a policy must look at again: replays the model's change log from where it stood.
 *
 *     struct row_watch w = {0};                          in class_begin: nothing seen yet
 *     bool all = row_watch_open(c, &w);                  in prepare: true = look at every row 0 .. n_rows-1
 *     while (!all && row_watch_next(c, &w, &row)) ...    else at these (a row may come twice)
 *     row_watch_close(c, &w);
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/cluster.h"

struct row_watch {
    uint64_t at;
    bool begun;
};

static inline bool row_watch_open(const struct cluster *c, const struct row_watch *w)
{
    uint64_t behind = c->log_next - w->at;
    return !w->begun || behind > c->log_cap || behind > c->n_rows;
}
static inline bool row_watch_next(const struct cluster *c, struct row_watch *w, uint32_t *ret_row)
{
    if (w->at == c->log_next) {
        return false;
    }
    *ret_row = c->log[w->at++ % c->log_cap].node.v;
    return true;
}
static inline void row_watch_close(const struct cluster *c, struct row_watch *w)
{
    w->at = c->log_next;
    w->begun = true;
}
/* Makes room for `want` elements in an array that lives in an arena: the old piece stays behind in the arena, doubling
 * keeps that below the array's own size. New elements are zero. 0 or -ENOMEM. */
int row_array_grow(struct arena *a, void *array, uint32_t *cap, uint32_t want,
                   size_t size) SP_MUST_CHECK;
