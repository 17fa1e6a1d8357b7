/* What the decoders of Kubernetes objects share: the scanner, the arena, and the path of a field that is wrong.
 *
 * A reading function takes one value off the scanner and returns false after the first fault. JSON null stands for a
 * field that is not given, as in Go. The path is built only while a fault travels up, so that the good case costs nothing.
 * Used inside wire/ only.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "model/desc.h"
#include "wire/scan.h"

/* Keys of the objects that are open, outermost first: how a reader that wants each key once finds a second one. Objects
 * nested deeper than there is room for are not watched. */
struct dec_keys {
    struct str p[256];
    uint32_t n;
};
struct k8s_dec {
    struct scan s;
    struct arena *a;
    struct dec_keys *keys; /* NULL: of equal keys the last one stays, as in Go */
    char text[240];        /* of a fault in a value; "" when the scanner's own text stands */
    char path[240];        /* right-aligned */
    uint32_t path_at;
};

void dec_init(struct k8s_dec *d, struct str json, struct arena *a);
/* Turns the fault into err, with line and column relative to the start of the bytes; returns a negative errno. */
int dec_error(const struct k8s_dec *d, struct err *err);
/* Whether the fault may be only that the bytes ended too early. */
bool dec_truncated(const struct k8s_dec *d);

bool dec_fail(struct k8s_dec *d, const char *at, const char *fmt, ...) SP_PRINTF(3, 4);
bool dec_nomem(struct k8s_dec *d);
bool dec_in(struct k8s_dec *d, struct str name); /* puts a name before the path; returns false */
bool dec_in_index(struct k8s_dec *d, uint32_t i);
static inline bool dec_ok(const struct k8s_dec *d)
{
    return d->s.error == NULL;
}

/* Walks an object or a list: dec_object (or dec_list), then while (dec_member (or dec_item)), then dec_ok. */
struct dec_iter {
    bool open, first;
    uint32_t i; /* of the item */
    uint32_t keys_at, n_keys;
    struct str key;
};
bool dec_object(struct k8s_dec *d, struct dec_iter *it);
bool dec_list(struct k8s_dec *d, struct dec_iter *it);
bool dec_member(struct k8s_dec *d, struct dec_iter *it);
bool dec_item(struct k8s_dec *d, struct dec_iter *it);
#define DEC_KEY(it, lit) \
    ((it).key.n == sizeof(lit) - 1 && memcmp((it).key.p, lit, sizeof(lit) - 1) == 0)

static inline bool dec_skip(struct k8s_dec *d)
{
    return scan_skip(&d->s, NULL);
}
bool dec_null(struct k8s_dec *d); /* takes a null, if one is there */
bool dec_str(struct k8s_dec *d, struct str *ret);
bool dec_bool(struct k8s_dec *d, bool *ret);
bool dec_i64(struct k8s_dec *d, int64_t *ret);
bool dec_i32(struct k8s_dec *d, int32_t *ret);
bool dec_time(struct k8s_dec *d, int64_t *ret_ms);
bool dec_quantity(struct k8s_dec *d, struct quantity *ret); /* text or number */
bool dec_str_list(struct k8s_dec *d, str_list *ret);
bool dec_kv_map(struct k8s_dec *d, kv_list *ret);
bool dec_qty_map(struct k8s_dec *d, qty_list *ret);
/* The last of equal keys stays, so that duplicate keys in an object cost nothing to the readers. */
bool dec_selector(struct k8s_dec *d, struct selector_desc *ret);
bool dec_exprs(struct k8s_dec *d, expr_list *ret);
bool dec_node_term(struct k8s_dec *d, struct node_term_desc *ret);
bool dec_node_terms(struct k8s_dec *d, node_term_list *ret);
bool dec_meta(struct k8s_dec *d, struct meta_desc *ret);
enum taint_effect dec_effect(struct str s);

/* Makes room for one more element at the end of an arena array. NULL (with the fault set) when short or over `max`. */
void *dec_grow(struct k8s_dec *d, void *p, uint32_t n, uint32_t *cap, size_t size, uint32_t max);

bool dec_node(struct k8s_dec *d, struct node_desc *ret);
bool dec_pod(struct k8s_dec *d, struct pod_desc *ret);
/* spec.affinity of a pod. */
bool dec_affinity(struct k8s_dec *d, struct pod_desc *ret);
bool dec_volumes(struct k8s_dec *d, struct pod_desc *pod);
/* Claims of ephemeral volumes are named POD-VOLUME; to be called again when the pod gets another name. */
bool dec_name_ephemeral(struct k8s_dec *d, struct pod_desc *pod);

/* Where the field with this path ("spec.a[2].b") stands in the object. False when it is not there; the offset is then that
 * of the deepest part that is. */
bool k8s_find_field(struct str json, const char *path, size_t *ret_offset);
size_t k8s_find_path(struct str json, const char *path);
