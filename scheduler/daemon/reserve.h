/* What is remembered of pods that were asked about, by UID: reservations with a time limit, and nodes that failed them.
 *
 * Plain bookkeeping: the owner (state.c) assumes and forgets in the models. Bounded, on the monotonic clock, and free of heap
 * calls once it has grown. A pod without a UID is known by namespace and name.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "model/ids.h"

#define RESERVE_FAILS 4
#define RESERVE_NONE  UINT32_MAX

struct pod_key {
    uint64_t a, b;
};
struct track_fail {
    node_ix node;
    bool whole; /* a row of the whole-node model */
    uint8_t count;
};
struct track {
    struct pod_key key;
    int64_t first_ms, last_ms, made_ms; /* asked first, asked last, reserved */
    uint64_t seq;                       /* of the decision that reserved */
    bool used, reserved, whole;
    node_ix node;          /* reserved there, in the model that decided */
    pod_ix row, row_whole; /* the assumed pod in the models; POD_NONE */
    struct track_fail fails[RESERVE_FAILS];
    uint32_t bucket_next, older, newer, before, after; /* lists */
};
struct reserve {
    struct track *p;
    uint32_t n, cap, free_list;
    uint32_t *buckets;
    uint32_t oldest, newest; /* by last_ms */
    uint32_t first, last;    /* reservations by made_ms */
    uint32_t n_reserved;
    uint64_t key0, key1;
};

int reserve_init(struct reserve *r, uint64_t seed, struct err *err) SP_MUST_CHECK;
void reserve_done(struct reserve *r);
struct pod_key reserve_key(const struct reserve *r, struct str uid, struct str ns, struct str name);
uint32_t reserve_find(const struct reserve *r, struct pod_key key);
/* Finds or makes; refreshes last_ms. RESERVE_NONE when there is no room for one more. */
uint32_t reserve_touch(struct reserve *r, struct pod_key key, int64_t now_ms);
void reserve_mark(struct reserve *r, uint32_t at, int64_t now_ms); /* is reserved from now on */
void reserve_unmark(struct reserve *r, uint32_t at);
/* The oldest reservation that is at least ttl old; RESERVE_NONE. */
uint32_t reserve_expired(const struct reserve *r, int64_t now_ms, int64_t ttl_ms);
/* Forgets pods that were not asked about for keep_ms and hold nothing. */
void reserve_sweep(struct reserve *r, int64_t now_ms, int64_t keep_ms);
/* The node's row is given up: nothing is remembered of it. */
void reserve_forget_node(struct reserve *r, node_ix node, bool whole);
/* The pod came back although it had this node. Returns the new count. */
unsigned reserve_fail(struct track *t, node_ix node, bool whole);
