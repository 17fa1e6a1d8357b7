/* ExtenderArgs. See extender.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "wire/extender.h"
#include "wire/k8s_dec.h"

struct args_in {
    struct k8s_dec d;
    struct extender_args *args;
    bool decode_nodes;
    bool pod_seen, names_seen, nodes_seen;
};

static bool names(struct args_in *in)
{
    struct dec_iter it;
    struct k8s_dec *d = &in->d;
    struct extender_args *args = in->args;
    args->has_names = false;
    args->n_names = 0;
    if (!dec_list(d, &it)) {
        return false;
    }
    if (!it.open) {
        return true;
    }
    args->has_names = true;
    /* The list ends at the first ']' outside a string; names hold none, so the nearest one bounds it well. */
    const char *close = memchr(d->s.p, ']', (size_t)(d->s.end - d->s.p));
    uint32_t cap =
        1 + scan_count(d->s.p, (size_t)((close != NULL ? close : d->s.end) - d->s.p), ',');
    struct str *p = arena_alloc(d->a, cap * sizeof *p);
    if (p == NULL) {
        return dec_nomem(d);
    }
    uint32_t n = scan_plain_strings(&d->s, &it.first, p, cap < LIMIT_NODES ? cap : LIMIT_NODES);
    it.i += n;
    for (uint32_t i = 0; i < n; i++) {
        if (p[i].n > LIMIT_NAME_BYTES) {
            dec_fail(d, p[i].p, "a name of %zu bytes (at most %d)", p[i].n, LIMIT_NAME_BYTES);
            return dec_in_index(d, i);
        }
    }
    while (dec_item(d, &it)) {
        p = dec_grow(d, p, n, &cap, sizeof *p, LIMIT_NODES);
        if (p == NULL) {
            return dec_in_index(d, it.i);
        }
        if (scan_peek(&d->s) != SCAN_STRING || !scan_string(&d->s, d->a, &p[n])) {
            dec_fail(d, NULL, "a node name was expected");
            return dec_in_index(d, it.i);
        }
        if (p[n].n > LIMIT_NAME_BYTES) {
            dec_fail(d, NULL, "a name of %zu bytes (at most %d)", p[n].n, LIMIT_NAME_BYTES);
            return dec_in_index(d, it.i);
        }
        n++;
    }
    args->names = p;
    args->n_names = n;
    return dec_ok(d);
}

static bool node_items(struct args_in *in)
{
    struct dec_iter it;
    struct k8s_dec *d = &in->d;
    struct extender_args *args = in->args;
    struct node_desc *nodes = NULL;
    struct str *raw = NULL;
    uint32_t n = 0, cap_nodes = 0, cap_raw = 0;
    if (!dec_list(d, &it)) {
        return false;
    }
    args->has_nodes = true; /* "items": null is an empty list, as Go decodes it */
    while (dec_item(d, &it)) {
        nodes = dec_grow(d, nodes, n, &cap_nodes, sizeof *nodes, LIMIT_NODES);
        raw = nodes != NULL ? dec_grow(d, raw, n, &cap_raw, sizeof *raw, LIMIT_NODES) : NULL;
        if (raw == NULL) {
            return dec_in_index(d, it.i);
        }
        enum scan_type t = scan_peek(&d->s);
        const char *from = d->s.p;
        if (t != SCAN_OBJECT || !dec_node(d, &nodes[n])) {
            dec_fail(d, NULL, "a Node object was expected");
            return dec_in_index(d, it.i);
        }
        raw[n] = (struct str){from, (size_t)(d->s.p - from)};
        if (nodes[n].meta.name.n == 0) {
            dec_fail(d, from, "metadata.name is missing");
            return dec_in_index(d, it.i);
        }
        n++;
    }
    args->nodes = nodes;
    args->nodes_json = raw;
    args->n_nodes = n;
    return dec_ok(d);
}

static bool nodes(struct args_in *in)
{
    struct dec_iter it;
    struct k8s_dec *d = &in->d;
    in->args->has_nodes = false;
    in->args->n_nodes = 0;
    if (!in->decode_nodes) {
        return dec_skip(d);
    }
    if (!dec_object(d, &it)) {
        return false;
    }
    in->args->has_nodes = it.open;
    while (dec_member(d, &it)) {
        if (!(str_eq_nocase(it.key, STR("items")) ? node_items(in) : dec_skip(d))) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

static bool pod(struct args_in *in)
{
    struct k8s_dec *d = &in->d;
    enum scan_type t = scan_peek(&d->s);
    const char *from = d->s.p;
    in->args->pod_json = STR_NONE;
    if (t == SCAN_NULL) {
        return dec_skip(d);
    }
    if (!dec_pod(d, &in->args->pod)) {
        return false;
    }
    in->args->pod_json = (struct str){from, (size_t)(d->s.p - from)};
    return true;
}

static bool member(struct args_in *in, struct str key)
{
    bool *seen = NULL;
    bool ok;
    if (str_eq_nocase(key, STR("Pod"))) {
        seen = &in->pod_seen;
        ok = pod(in);
    } else if (str_eq_nocase(key, STR("NodeNames"))) {
        seen = &in->names_seen;
        ok = names(in);
    } else if (str_eq_nocase(key, STR("Nodes"))) {
        seen = &in->nodes_seen;
        ok = nodes(in);
    } else {
        return dec_skip(&in->d);
    }
    in->args->n_duplicate_keys += *seen;
    *seen = true;
    return ok;
}

/* Room for the writer's search for duplicates: at most half full. */
static int make_slots(struct extender_args *args, struct arena *a, struct err *err)
{
    uint32_t n = args->has_names ? args->n_names : args->n_nodes, size = 16;
    while (size < 2 * n) {
        size *= 2;
    }
    args->slots = arena_alloc(a, size * sizeof *args->slots);
    args->n_slots = size;
    return args->slots != NULL ? 0 : err_nomem(err);
}

int extender_decode_args_opt(struct str body, bool decode_nodes, struct arena *a,
                             struct extender_args *ret, struct err *err)
{
    struct args_in in;
    struct dec_iter it;
    *ret = (struct extender_args){0};
    in.args = ret;
    in.decode_nodes = decode_nodes;
    in.pod_seen = in.names_seen = in.nodes_seen = false;
    dec_init(&in.d, body, a);
    if (scan_peek(&in.d.s) != SCAN_OBJECT) {
        dec_fail(&in.d, NULL, "an ExtenderArgs object was expected");
        return dec_error(&in.d, err);
    }
    if (!dec_object(&in.d, &it)) {
        return dec_error(&in.d, err);
    }
    while (dec_member(&in.d, &it)) {
        if (!member(&in, it.key)) {
            dec_in(&in.d, it.key);
            return dec_error(&in.d, err);
        }
    }
    if (!dec_ok(&in.d) || !scan_end(&in.d.s)) {
        return dec_error(&in.d, err);
    }
    if (ret->pod_json.p == NULL) {
        return err_set(err, -EINVAL, "Pod: an object was expected, found %s",
                       in.pod_seen ? "null" : "nothing");
    }
    return make_slots(ret, a, err);
}

int extender_decode_args(struct str body, struct arena *a, struct extender_args *ret,
                         struct err *err)
{
    return extender_decode_args_opt(body, true, a, ret, err);
}
