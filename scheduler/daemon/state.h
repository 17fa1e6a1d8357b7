/* The daemon's state: models, reservations, records, settings in force. One lock, taken with a deadline.
 *
 * Whoever reads or changes a model, a reservation or a record holds the lock. The admin port's long questions work on a
 * model of their own (lab.h) and take it only to copy.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>

#include "daemon/decisions.h"
#include "daemon/kube_view.h"
#include "daemon/model_set.h"
#include "daemon/reserve.h"

struct state {
    pthread_mutex_t lock;
    const struct source *source;
    struct serve_args args;
    struct live *live; /* in force; read it with state_live */
    struct model_set main;
    struct model_set whole; /* whole-node requests; open when has_whole */
    bool has_whole;
    struct reserve reserve;
    struct decisions decisions;
    _Atomic int64_t budget_ms; /* decisionBudget and onStale, readable without the lock */
    _Atomic int on_stale;
    _Atomic int64_t max_staleness_ms;
    struct kube_view *view; /* of a live cluster; NULL with a snapshot */
    uint32_t
        whole_waits; /* lists that the whole-node model still waits for: bits by enum kube_kind */
    _Atomic bool stopping; /* /readyz answers 503 */
    _Atomic bool ready;
    bool last_reload_ok;
    char last_reload_error[ERR_TEXT_MAX + 256];
};

/* `view`: of a live cluster, whose objects come later; NULL: all is in `src`. */
int state_open(struct state *st, const struct serve_args *args, const struct source *src,
               struct kube_view *view, struct err *err) SP_MUST_CHECK;
void state_close(struct state *st);
/* false when the lock could not be had by then (monotonic nanoseconds; 0 = wait). */
bool state_lock(struct state *st, int64_t deadline_ns);
void state_unlock(struct state *st);
/* The cache is too old to decide on, or not there yet. Never with a snapshot. No lock. */
bool state_is_stale(struct state *st);
struct live *state_live(struct state *st); /* held for the caller: live_drop */

/* Takes over new settings; on failure the old ones stay. Takes the lock. */
int state_reload(struct state *st, struct live *live, struct err *err) SP_MUST_CHECK;
/* Opens the whole-node model if it is not there; reservations stand in it as well. With the lock held. */
int state_need_whole(struct state *st, struct err *err) SP_MUST_CHECK;

/* ---- with the lock held ---- */
/* Takes a reservation's pod off the models; the track stays. `event` is counted. */
void state_release(struct state *st, uint32_t track, enum metric_reservation event, uint64_t seq);
/* Puts a pod on a node in every model that knows it and marks the track. */
void state_assume(struct state *st, uint32_t track, const struct pod_desc *pod,
                  const struct pod_req *req, bool whole, node_ix node, uint64_t seq,
                  struct arena *scratch);
/* Forgets the assumed pod of a row if it is still the one of this key. */
void state_forget(const struct reserve *r, struct model_set *m, struct pod_key want, pod_ix row);
/* A bound pod was seen: its reservation, if any, is over. */
void state_settle(struct state *st, const struct meta_desc *pod, struct str node_name);
/* A pod goes: its reservation goes before. */
void state_drop_pod(struct state *st, struct str ns, struct str name);
/* A node goes: its row is remembered nowhere. */
void state_forget_node(struct state *st, struct str name);
void state_expire(struct state *st, uint64_t seq);
void state_update_gauges(struct state *st);
