/* Which objects of one resource are known, and when a list named them last: what a re-list must remove is what it did not name.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/str.h"

struct kube_key;
struct kube_keys {
    struct kube_key **slots;
    uint32_t n, cap; /* cap is a power of two, or 0 */
};
void kube_keys_done(struct kube_keys *k);
enum kube_key_was { KUBE_KEY_NEW = 0, KUBE_KEY_SAME, KUBE_KEY_OTHER_UID };
/* Adds or finds the name, gives it this UID and marks it as named in list `gen`. */
int kube_keys_put(struct kube_keys *k, struct str ns, struct str name, struct str uid, uint32_t gen,
                  enum kube_key_was *ret, struct err *err) SP_MUST_CHECK;
/* Takes the name out. False when it is not there, or stands for another UID (where both have one). */
bool kube_keys_take(struct kube_keys *k, struct str ns, struct str name, struct str uid);
/* Takes out every name that list `gen` did not name; `gone` is called before each goes. */
void kube_keys_sweep(struct kube_keys *k, uint32_t gen,
                     void (*gone)(void *ctx, struct str ns, struct str name), void *ctx);
