/* The last decisions: a ring of records with what is needed to explain them again.
 *
 * Owned by the state and guarded by its lock. Text and nodes of a record stand in one byte ring made at the start, so
 * that recording allocates nothing; the oldest records go when either ring is full.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "daemon/metrics.h"
#include "daemon/reserve.h"
#include "model/settings.h"

#define DECISIONS_MAX    8192u /* records; /v1/decisions shows the last DECISIONS_SHOWN */
#define DECISIONS_SHOWN  1024u
#define DECISIONS_BYTES  (32u << 20)
#define DECISION_POD_MAX (1u << 20) /* a larger pod's text is not kept */

struct decision_record {
    uint64_t seq; /* 1, 2, … */
    struct pod_key key;
    enum metric_verb verb;
    enum metric_result result;
    enum decide_way way;
    bool whole, has_pod, reserved;
    uint64_t
        released_seq; /* the first decision that did not count the reservation; 0 = still counted */
    uint64_t generation; /* of the configuration */
    int64_t wall_ms, now_ms, waited_ms, took_ns;
    uint32_t n_asked, n_unknown, n_feasible;
    int64_t total, runner_total;
    uint8_t stage, runner_stage;
    uint16_t top_reason; /* the most frequent cause of refusal */
    uint32_t n_top_reason;
    size_t at, size; /* in the byte ring */
    /* views into the ring */
    const node_ix *nodes; /* asked and known, n_nodes */
    uint32_t n_nodes, n_last;
    const node_ix *last; /* sent to the back of the line */
    struct str ns, name, pod_json, chosen, runner_up;
    struct str unknown; /* names, each followed by a NUL */
};
struct decisions {
    struct decision_record *p; /* by seq % DECISIONS_MAX */
    char *bytes;
    size_t w;
    uint64_t first, next; /* records first .. next - 1 are there */
};
int decisions_init(struct decisions *d, struct err *err) SP_MUST_CHECK;
void decisions_done(struct decisions *d);
/* Copies what `r` points to. r->seq must be d->next. */
void decisions_add(struct decisions *d, const struct decision_record *r);
/* The node's row is given up: records name no node there. */
void decisions_forget_node(struct decisions *d, node_ix node, bool whole);
struct decision_record *decisions_get(struct decisions *d, uint64_t seq); /* NULL when it is gone */
/* The newest of a pod by namespace and name; NULL. */
const struct decision_record *decisions_find(const struct decisions *d, struct str ns,
                                             struct str name);
