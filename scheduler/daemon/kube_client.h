/* The live cluster: one thread that lists and watches every resource and hands what it hears to the models.
 *
 * Owns the connections and the credentials; the rest of the daemon sees its kube_view. Logs one line when something changes,
 * not one for each try.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/kube_apply.h"
#include "daemon/kubeconfig.h"

#define KUBE_PATIENCE_MS \
    15000 /* --api-timeout: connecting, silence in a list; a list may take 20 times as long in all */

struct kube_client;
/* `k` and `st` must outlive the client. st->view is where it publishes. */
int kube_client_start(struct kube_client **ret, const struct kubeconfig *k, struct state *st,
                      int64_t patience_ms, struct err *err) SP_MUST_CHECK;
void kube_client_stop(struct kube_client *c); /* NULL is fine */
