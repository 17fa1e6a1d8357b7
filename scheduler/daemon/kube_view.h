/* What the rest of the daemon sees of the sync: how old the cache is and what readiness waits for.
 *
 * Written by the sync's thread, read by all; a lock of its own, held for a copy only.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>

#include "daemon/kube_resources.h"

#define KUBE_WATCHING INT64_MAX /* fresh_ms while the watch is open */

struct kube_view_row {
    int64_t fresh_ms;     /* monotonic; -1 before the first list */
    enum kube_fault last; /* KUBE_FINE when all is well */
    bool absent;          /* an optional API that does not exist */
    char text[200];       /* of the fault */
};
struct kube_view {
    pthread_mutex_t lock;
    struct kube_view_row rows[KUBE_KINDS];
    _Atomic bool relist_wanted; /* a model was opened that knows nothing yet */
};
void kube_view_init(struct kube_view *v);
void kube_view_done(struct kube_view *v);
void kube_view_set(struct kube_view *v, enum kube_kind kind, const struct kube_view_row *row);
/* The oldest part of the cache; -1 while a first list is missing. */
int64_t kube_view_age_ms(struct kube_view *v, int64_t now_ms);
/* One line for each resource, as /readyz shows them; returns whether all are well. */
bool kube_view_write(struct kube_view *v, int64_t now_ms, int64_t max_age_ms, struct buf *out);
