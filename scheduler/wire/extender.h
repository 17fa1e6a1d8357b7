/* The extender protocol: requests in, replies out. kube-scheduler's ExtenderArgs and ExtenderFilterResult.
 *
 * In: the outer object and the names by the pull scanner (keys without regard to case, unknown fields ignored, the last of
 * duplicate keys wins), the Pod by k8s_decode_pod. Out: a direct writer; only names that were asked, once, and never `{}`.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/desc.h"

struct extender_args {
    struct pod_desc pod;
    struct str pod_json; /* raw */
    bool has_names;      /* NodeNames was a list (maybe empty) */
    struct str *names;   /* in order; duplicates kept; escapes resolved */
    uint32_t n_names;
    bool has_nodes;          /* Nodes was an object with items */
    struct node_desc *nodes; /* decoded */
    struct str *nodes_json;  /* each node's bytes, to be returned unchanged */
    uint32_t n_nodes;
    uint32_t n_duplicate_keys; /* counted for a metric */
    uint32_t *
        slots; /* scratch of the writer (duplicate names), in the arena; a power of two, not initialised */
    uint32_t n_slots;
};
/* -EINVAL: not JSON or a wrong type (answer 400). Null Pod is -EINVAL; null or absent names and nodes count as not given.
 * `decode_nodes` false leaves nodes empty. Names may be taken out without any allocation when they have no escapes. */
int extender_decode_args_opt(struct str body, bool decode_nodes, struct arena *a,
                             struct extender_args *ret, struct err *err) SP_MUST_CHECK;
int extender_decode_args(struct str body, struct arena *a, struct extender_args *ret,
                         struct err *err) SP_MUST_CHECK;

struct extender_reject {
    struct str name;
    const char *reason; /* constant text from the closed list */
    bool unresolvable;  /* FailedAndUnresolvableNodes */
};
/* Which of the asked stand in the answer, by position in names (or nodes). The form follows the request: names, or whole
 * nodes byte for byte. Rejects may be NULL. A duplicate name is answered once. */
void extender_write_filter(struct buf *out, const struct extender_args *args, const uint32_t *keep,
                           uint32_t n_keep, const struct extender_reject *rejects,
                           uint32_t n_rejects);
void extender_write_filter_error(struct buf *out, struct str message);
struct extender_score {
    struct str host;
    int32_t score; /* 0..10; zero-score hosts are left out by the caller */
};
void extender_write_priorities(struct buf *out, const struct extender_score *scores, uint32_t n);
