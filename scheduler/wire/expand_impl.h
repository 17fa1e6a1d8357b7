/* Inside of expanding controllers into pods. Used by expand*.c only.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/load_impl.h"

struct expand {
    struct loaded *l;
    struct load_impl *im;
    const struct controller *c;
    struct str json; /* of the controller */
    struct load_ctx ctx;
    struct arena *a;     /* dies with the controller */
    struct arena *each;  /* dies with the pod that is being made */
    struct arena *to;    /* one of the two: where new text goes */
    struct pod_desc pod; /* the template; each made pod is a copy with its own metadata */
    char template_path[192];
    size_t template_at;
    uint32_t next;     /* number of the next name */
    bool short_memory; /* in a helper without a result for it; expand_make answers */
    struct err *err;
    /* how many pods (or game servers) a controller has through others: "kind\0ns\0name" */
    struct name_map *derived;
    VEC(uint32_t) derived_n;
};
bool expand_i64(const struct expand *x, const char *path,
                int64_t *ret); /* false when absent or no whole number */
bool expand_text(const struct expand *x, const char *path, struct str *ret);
/* A fault at a field of the controller ("" = the object): error or warning. */
int expand_fault(struct expand *x, const char *path, const char *text);
/* Begins another pod: the text of the one before may go. */
void expand_next_pod(struct expand *x);
/* The next free CONTROLLER-N. Empty when memory is short. */
struct str expand_name(struct expand *x);
bool expand_taken(const struct expand *x, struct str name);
/* Stores the pod under this name with this owner. Labels and annotations are added to the template's. */
int expand_make(struct expand *x, struct pod_desc *pod, struct str name,
                const struct owner_desc *owner, const struct kv_desc *labels, uint32_t n_labels);
struct str expand_format(struct expand *x, const char *fmt, ...) SP_PRINTF(2, 3);
kv_list expand_merge(struct expand *x, kv_list list, const struct kv_desc *more, uint32_t n);

int expand_stateful_set(struct expand *x, int64_t replicas);
int expand_daemon_set(struct expand *x);
int expand_game_servers(struct expand *x, int64_t count);
int expand_okg_set(struct expand *x, int64_t replicas);
