/* Node objects.
 *
 * TopoLVM and others put much into annotations and images; of images one entry per name is kept, as kube-scheduler does.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/limits.h"
#include "wire/k8s.h"
#include "wire/k8s_dec.h"

#define MAX_IMAGES 65536u

static bool taint(struct k8s_dec *d, struct taint_desc *t)
{
    struct dec_iter it;
    struct str effect = STR_NONE;
    *t = (struct taint_desc){0};
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "key")) {
            ok = dec_str(d, &t->key);
        } else if (DEC_KEY(it, "value")) {
            ok = dec_str(d, &t->val);
        } else if (DEC_KEY(it, "effect")) {
            ok = dec_str(d, &effect);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    t->effect = dec_effect(effect);
    return dec_ok(d);
}

static bool taints(struct k8s_dec *d, struct node_desc *node)
{
    struct dec_iter it;
    struct taint_desc *p = NULL;
    uint32_t n = 0, cap = 0;
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        p = dec_grow(d, p, n, &cap, sizeof *p, LIMIT_LABELS);
        if (p == NULL || !taint(d, &p[n])) {
            return dec_in_index(d, it.i);
        }
        n++;
    }
    node->taints.p = p;
    node->taints.n = n;
    return dec_ok(d);
}

struct image_out {
    struct image_desc *p;
    uint32_t n, cap;
};

/* One image: its names share the size; the size may stand before or behind the names. */
static bool image(struct k8s_dec *d, struct image_out *out)
{
    struct dec_iter it, names;
    int64_t size = 0;
    uint32_t from = out->n;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        if (DEC_KEY(it, "names")) {
            out->n = from;
            if (!dec_list(d, &names)) {
                return dec_in(d, it.key);
            }
            while (dec_item(d, &names)) {
                out->p = dec_grow(d, out->p, out->n, &out->cap, sizeof *out->p, MAX_IMAGES);
                if (out->p == NULL || !dec_str(d, &out->p[out->n].name)) {
                    dec_in_index(d, names.i);
                    return dec_in(d, it.key);
                }
                out->n++;
            }
        } else if (!(DEC_KEY(it, "sizeBytes") ? dec_i64(d, &size) : dec_skip(d))) {
            return dec_in(d, it.key);
        }
    }
    for (uint32_t i = from; i < out->n; i++) {
        out->p[i].size_bytes = size;
    }
    return dec_ok(d);
}

static bool images(struct k8s_dec *d, struct node_desc *node)
{
    struct dec_iter it;
    struct image_out out = {0};
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        if (!image(d, &out)) {
            return dec_in_index(d, it.i);
        }
    }
    node->images.p = out.p;
    node->images.n = out.n;
    return dec_ok(d);
}

static bool condition(struct k8s_dec *d, struct condition_desc *c)
{
    struct dec_iter it;
    *c = (struct condition_desc){0};
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "type")) {
            ok = dec_str(d, &c->type);
        } else if (DEC_KEY(it, "status")) {
            ok = dec_str(d, &c->status);
        } else if (DEC_KEY(it, "reason")) {
            ok = dec_str(d, &c->reason);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

static bool conditions(struct k8s_dec *d, struct node_desc *node)
{
    struct dec_iter it;
    struct condition_desc *p = NULL;
    uint32_t n = 0, cap = 0;
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        p = dec_grow(d, p, n, &cap, sizeof *p, LIMIT_LABELS);
        if (p == NULL || !condition(d, &p[n])) {
            return dec_in_index(d, it.i);
        }
        n++;
    }
    node->conditions.p = p;
    node->conditions.n = n;
    return dec_ok(d);
}

static bool spec(struct k8s_dec *d, struct node_desc *node)
{
    struct dec_iter it;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "taints")) {
            ok = taints(d, node);
        } else if (DEC_KEY(it, "unschedulable")) {
            ok = dec_bool(d, &node->unschedulable);
        } else if (DEC_KEY(it, "providerID")) {
            ok = dec_str(d, &node->provider_id);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

static bool status(struct k8s_dec *d, struct node_desc *node)
{
    struct dec_iter it;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "allocatable")) {
            ok = dec_qty_map(d, &node->allocatable);
        } else if (DEC_KEY(it, "capacity")) {
            ok = dec_qty_map(d, &node->capacity);
        } else if (DEC_KEY(it, "images")) {
            ok = images(d, node);
        } else if (DEC_KEY(it, "conditions")) {
            ok = conditions(d, node);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

bool dec_node(struct k8s_dec *d, struct node_desc *ret)
{
    struct dec_iter it;
    *ret = (struct node_desc){0};
    if (scan_peek(&d->s) != SCAN_OBJECT) {
        return dec_fail(d, NULL, "a Node object was expected");
    }
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "metadata")) {
            ok = dec_meta(d, &ret->meta);
        } else if (DEC_KEY(it, "spec")) {
            ok = spec(d, ret);
        } else if (DEC_KEY(it, "status")) {
            ok = status(d, ret);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

int k8s_decode_node(struct str json, struct arena *arena, struct node_desc *ret, struct err *err)
{
    struct k8s_dec d;
    struct node_desc node;
    dec_init(&d, json, arena);
    if (!dec_node(&d, &node) || !scan_end(&d.s)) {
        return dec_error(&d, err);
    }
    *ret = node;
    return 0;
}
