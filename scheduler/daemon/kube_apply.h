/* Objects of the API into the daemon's models, one by one, under the state's lock; reservations are settled on the way.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/kube_resources.h"
#include "daemon/state.h"

struct kube_apply {
    struct state *st;
    struct arena arena; /* of one object */
    unsigned held;      /* the lock is held for a sweep */
};
void kube_apply_init(struct kube_apply *a, struct state *st);
void kube_apply_done(struct kube_apply *a);
/* -EINVAL: the object cannot be read; what was known of it stays. */
int kube_apply_upsert(struct kube_apply *a, enum kube_kind kind, const struct kube_object *o,
                      struct err *err) SP_MUST_CHECK;
/* uid and other: see kube_sync_sink.remove. */
void kube_apply_remove(struct kube_apply *a, enum kube_kind kind, struct str ns, struct str name,
                       struct str uid, bool other);
void kube_apply_sweep(struct kube_apply *a, bool begin);
