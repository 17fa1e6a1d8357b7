// SPDX-License-Identifier: Apache-2.0
#include "daemon/lab.h"

#include <errno.h>
#include <stdio.h>

#include "base/limits.h"
#include "engine/explain.h"
#include "wire/k8s.h"
#include "wire/scan.h"

#define PLACE_PODS_MAX 10000

/* A request's lists, raw. */
struct place {
    struct lab *l;
    struct arena *arena;
    struct str *pods, *nodes;
    uint32_t n_pods, n_nodes;
    bool replace, explain;
    bool *is_new; /* nodes[i] was not known before */
    pod_ix *rows; /* assumed, n_rows */
    uint32_t n_rows;
    bool spoiled; /* known nodes were changed: the lab's model is made anew afterwards */
};

/* ---- reading ---- */

static bool read_list(struct scan *s, struct arena *a, struct str **ret, uint32_t *ret_n)
{
    *ret_n = 0;
    if (scan_peek(s) == SCAN_NULL) {
        return scan_skip(s, NULL);
    }
    if (!scan_array_begin(s)) {
        return false;
    }
    struct scan count = *s; /* once to count, once to take */
    bool first = true;
    uint32_t n = 0;
    while (scan_item(&count, &first)) {
        if (!scan_skip(&count, NULL)) {
            break;
        }
        n++;
    }
    *ret = arena_alloc(a, (n + 1) * sizeof **ret);
    if (!*ret) {
        return scan_fail(s, SCAN_NO_MEMORY);
    }
    first = true;
    while (scan_item(s, &first)) {
        if (!scan_skip(s, &(*ret)[*ret_n])) {
            return false;
        }
        (*ret_n)++;
    }
    return s->error == NULL;
}

static bool read_member(struct scan *s, struct place *p, struct str key)
{
    if (str_eq_nocase(key, STR("pods"))) {
        return read_list(s, p->arena, &p->pods, &p->n_pods);
    }
    if (str_eq_nocase(key, STR("nodes"))) {
        return read_list(s, p->arena, &p->nodes, &p->n_nodes);
    }
    if (str_eq_nocase(key, STR("replaceNodes"))) {
        return scan_bool(s, &p->replace);
    }
    return str_eq_nocase(key, STR("explain")) ? scan_bool(s, &p->explain) : scan_skip(s, NULL);
}

static int read_body(struct str body, struct place *p, struct err *err)
{
    struct scan s;
    struct str key;
    bool first = true, escaped = false, ok = true;
    scan_init(&s, body);
    if (!scan_object_begin(&s)) {
        return scan_error(&s, "body", err);
    }
    while (ok && scan_member(&s, &first, &key, &escaped)) {
        ok = read_member(&s, p, key);
        if (!ok && s.error && strcmp(s.error, SCAN_NO_MEMORY) == 0) {
            return err_nomem(err);
        }
        if (!ok) {
            int rc = scan_error(&s, "body", err);
            return rc == 0 ? err_set(err, -EINVAL, "bad value")
                           : err_context(err, STR_FMT, STR_ARG(key));
        }
    }
    if (s.error || !scan_end(&s)) {
        return scan_error(&s, "body", err);
    }
    if (p->n_pods > PLACE_PODS_MAX) {
        return err_set(err, -EINVAL, "pods: at most %d at once", PLACE_PODS_MAX);
    }
    return 0;
}

/* ---- nodes ---- */

static int remove_known(struct place *p, struct err *err)
{
    struct cluster *c = p->l->m.c;
    p->spoiled = true;
    for (uint32_t i = 0; i < c->n_rows; i++) {
        if ((c->flags[i] & NODE_LIVE) != 0) {
            struct str name = arena_str(p->arena, sym_str(c->syms, c->facts[i].name));
            if (!name.p) {
                return err_nomem(err);
            }
            cluster_remove_node(c, name);
        }
    }
    return 0;
}

static int add_nodes(struct place *p, struct err *err)
{
    struct cluster *c = p->l->m.c;
    p->is_new = arena_calloc(p->arena, p->n_nodes + 1, sizeof *p->is_new);
    int rc = p->is_new ? 0 : err_nomem(err);
    if (rc == 0 && p->replace) {
        rc = remove_known(p, err);
    }
    for (uint32_t i = 0; rc == 0 && i < p->n_nodes; i++) {
        struct node_desc d;
        rc = k8s_decode_node(p->nodes[i], p->arena, &d, err);
        if (rc == 0 && d.meta.name.n == 0) {
            rc = err_set(err, -EINVAL, "metadata.name is missing");
        }
        bool is_new = rc == 0 && cluster_find_node(c, d.meta.name).v == IX_NONE;
        node_ix node;
        if (rc == 0) {
            rc = cluster_upsert_node(c, &d, &node, err);
        }
        if (rc != 0) {
            return err_context(err, "nodes[%u]", i);
        }
        p->is_new[i] = is_new;
        p->spoiled = p->spoiled || !is_new;
    }
    return rc;
}

/* ---- pods ---- */

static struct str full_name(struct place *p, const struct pod_desc *d, uint32_t i)
{
    struct buf b;
    buf_init(&b, 4096);
    buf_str(&b, d->meta.ns.n > 0 ? d->meta.ns : STR("default"));
    buf_char(&b, '/');
    if (d->meta.name.n > 0) {
        buf_str(&b, d->meta.name);
    } else {
        buf_printf(&b, STR_FMT "%u", STR_ARG(d->meta.generate_name), i);
    }
    struct str ret = b.broken ? STR_NONE : arena_str(p->arena, buf_view(&b));
    buf_done(&b);
    return ret;
}

static int explain_pod(struct place *p, const struct ask *ask, struct str name, bool first,
                       struct buf *out, struct err *err)
{
    struct explanation x = {0};
    struct explain_opts opts = {.what_ifs = false};
    int rc = explain_make(p->l->m.e, p->l->m.c, ask, name, &opts, &x, err);
    if (rc == 0) {
        if (!first) {
            buf_char(out, ',');
        }
        explain_write_json(&x, out);
        explain_done(&x);
    }
    return rc;
}

/* Assuming would displace what stands there under this name or UID; the model is made anew after that. */
static bool displaces(const struct cluster *c, const struct pod_desc *d)
{
    pod_ix rows[] = {cluster_find_pod_uid(c, d->meta.uid),
                     cluster_find_pod(c, d->meta.ns, d->meta.name)};
    for (size_t i = 0; i < SP_COUNTOF(rows); i++) {
        if (rows[i].v == IX_NONE) {
            continue;
        }
        const struct pod_row *row = &c->pod[rows[i].v];
        if (row->assumed || !str_eq(sym_str(c->syms, row->req.uid), d->meta.uid)) {
            return true;
        }
    }
    return false;
}

/* The decoded pod with a name, a namespace and a UID of its own where the request left them out. */
static int read_pod(struct place *p, uint32_t i, struct pod_desc *d, struct str *ret_name,
                    struct err *err)
{
    int rc = k8s_decode_pod(p->pods[i], p->arena, d, err);
    if (rc == 0) {
        rc = k8s_validate_pod(d, err);
    }
    if (rc != 0) {
        return rc;
    }
    struct str name = full_name(p, d, i);
    if (d->meta.uid.n == 0) {
        char uid[48];
        int n = snprintf(uid, sizeof uid, "place-%u", i);
        d->meta.uid = arena_str(p->arena, (struct str){uid, (size_t)n});
    }
    if (!name.p || !d->meta.uid.p) {
        return err_nomem(err);
    }
    if (d->meta.ns.n == 0) {
        d->meta.ns = STR("default");
    }
    if (d->meta.name.n == 0) {
        d->meta.name = (struct str){name.p + d->meta.ns.n + 1, name.n - d->meta.ns.n - 1};
    }
    d->node_name = STR_NONE;
    *ret_name = name;
    return 0;
}

static void put_message(struct place *p, const struct decision *decision, const struct ask *ask,
                        struct buf *out)
{
    struct buf message;
    buf_init(&message, LIMIT_REPLY_BYTES);
    engine_message(p->l->m.e, decision, ask, &message);
    buf_lit(out, "null,\"message\":");
    buf_json_str(out, buf_view(&message));
    out->broken = out->broken || message.broken;
    buf_done(&message);
}

static int place_pod(struct place *p, uint32_t i, struct buf *out, struct buf *explanations,
                     struct err *err)
{
    struct model_set *m = &p->l->m;
    struct pod_desc d;
    struct pod_req req;
    struct decision decision;
    struct str name = STR_NONE;
    int rc = read_pod(p, i, &d, &name, err);
    rc = rc == 0 ? cluster_compile_pod(m->c, &d, p->arena, &req, err) : rc;
    if (rc != 0) {
        return err_context(err, "pods[%u]", i);
    }
    struct ask ask = {.pod = &req,
                      .judge = JUDGE_ALL,
                      .has_time = true,
                      .now_ms = model_set_now_ms(m),
                      .waited_ms = -1};
    rc = p->explain ? explain_pod(p, &ask, name, i == 0, explanations, err) : 0;
    rc = rc == 0 ? engine_decide(m->e, &ask, &decision, err) : rc;
    if (rc != 0) {
        return rc;
    }
    buf_lit(out, i > 0 ? ",{\"pod\":" : "{\"pod\":");
    buf_json_str(out, name);
    buf_lit(out, ",\"node\":");
    if (decision.chosen.v == IX_NONE) {
        put_message(p, &decision, &ask, out);
    } else {
        buf_json_str(out, sym_str(m->c->syms, m->c->facts[decision.chosen.v].name));
        buf_lit(out, ",\"message\":\"\"");
        pod_ix row;
        p->spoiled = p->spoiled || displaces(m->c, &d);
        rc = cluster_assume(m->c, &req, decision.chosen, &row, err);
        if (rc == -EEXIST) { /* it stands there already: counted once */
            rc = 0;
        } else if (rc == 0) {
            p->rows[p->n_rows++] = row;
        }
    }
    buf_char(out, '}');
    return rc;
}

static int place_all(struct place *p, struct buf *out, struct err *err)
{
    struct buf explanations;
    buf_init(&explanations, out->max);
    p->rows = arena_alloc(p->arena, (p->n_pods + 1) * sizeof *p->rows);
    int rc = p->rows ? add_nodes(p, err) : err_nomem(err);
    buf_lit(out, "{\"placements\":[");
    for (uint32_t i = 0; rc == 0 && i < p->n_pods; i++) {
        rc = place_pod(p, i, out, &explanations, err);
    }
    buf_lit(out, "],\"explanations\":[");
    buf_str(out, buf_view(&explanations));
    buf_lit(out, "]}");
    out->broken = out->broken || explanations.broken;
    buf_done(&explanations);
    return rc;
}

/* Nothing is kept. */
static void undo(struct place *p)
{
    if (p->spoiled) {
        lab_close(p->l);
        return;
    }
    struct cluster *c = p->l->m.c;
    while (p->n_rows > 0) {
        cluster_forget(c, p->rows[--p->n_rows]);
    }
    for (uint32_t i = p->n_nodes; p->is_new && i > 0; i--) {
        struct node_desc d;
        struct err ignored = ERR_NONE;
        if (!p->is_new[i - 1]) {
            continue;
        }
        if (k8s_decode_node(p->nodes[i - 1], p->arena, &d, &ignored) != 0) {
            lab_close(p->l);
            return;
        }
        cluster_remove_node(c, d.meta.name);
    }
}

static int place_live(struct lab *l, void *arg, struct arena *arena, struct buf *out,
                      struct err *err)
{
    struct str *body = arg;
    return lab_place(l, *body, arena, out, err);
}

int lab_place(struct lab *l, struct str body, struct arena *arena, struct buf *out, struct err *err)
{
    struct place p = {.l = l, .arena = arena};
    uint32_t missing = 0;
    int rc = read_body(body, &p, err);
    if (rc != 0) {
        return rc;
    }
    if (l->st->view && !l->live) {
        return lab_ask_child(l, place_live, &body, arena, out, err);
    }
    (void)pthread_mutex_lock(&l->lock);
    rc = lab_sync(l, UINT64_MAX, (struct pod_key){0, 0}, arena, &missing, err);
    if (rc == 0) {
        rc = place_all(&p, out, err);
        undo(&p);
    } else {
        lab_close(l);
    }
    (void)pthread_mutex_unlock(&l->lock);
    return rc;
}
