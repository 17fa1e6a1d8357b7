/* Questions on a model of their own: explanations of live decisions and hypothetical placements.
 *
 * The lab holds its own copy of the cluster, made when it is first needed, and puts into it the reservations that stood when
 * a decision was made. So an explanation is made on the state of its decision, nothing asked here is kept, and no
 * question holds up /filter. One question at a time.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/vec.h"
#include "daemon/state.h"

struct lab_pod {
    uint64_t seq; /* the decision that reserved it */
    struct pod_key key;
    pod_ix row;
    bool wanted;
};
struct lab {
    pthread_mutex_t lock;
    struct state *st;
    struct model_set m;
    bool open;
    bool live; /* in a child process: the model is the cluster's own, copied by the fork */
    VEC(struct lab_pod) pods;
};
void lab_init(struct lab *l, struct state *st);
void lab_done(struct lab *l);

/* GET /v1/explain: the newest decision about a pod. -ENOENT when it was never asked about. */
int lab_explain(struct lab *l, struct str ns, struct str name, struct arena *arena, struct buf *out,
                struct err *err) SP_MUST_CHECK;
/* POST /v1/place. -EINVAL names the field. */
int lab_place(struct lab *l, struct str body, struct arena *arena, struct buf *out,
              struct err *err) SP_MUST_CHECK;

/* ---- shared by lab.c, lab_explain.c and lab_place.c; with the lab's lock held ---- */
/* Opens the model if need be and makes its reservations those that decision `seq` counted (but for `except`'s own).
 * *ret_missing counts reservations whose record is gone. */
int lab_sync(struct lab *l, uint64_t seq, struct pod_key except, struct arena *arena,
             uint32_t *ret_missing, struct err *err) SP_MUST_CHECK;
typedef int (*lab_job)(struct lab *l, void *arg, struct arena *arena, struct buf *out,
                       struct err *err);
/* For a live cluster: runs the job in a child process with l->live set, and hands back what it wrote. -ENOMEM (503) when it
 * cannot be asked now, -ETIMEDOUT. */
int lab_ask_child(struct lab *l, lab_job job, void *arg, struct arena *arena, struct buf *out,
                  struct err *err) SP_MUST_CHECK;
void lab_rewind(struct lab *l, uint64_t seq, struct pod_key except);
void lab_close(struct lab *l); /* the next question makes the model anew */
