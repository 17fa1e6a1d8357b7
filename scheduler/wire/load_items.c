/* From bytes to single objects: concatenated JSON, lists item by item, YAML documents.
 *
 * JSON is walked in a window over the source; an object that does not end inside the window is tried again when more
 * bytes are there, so that the memory held is one object and the window.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "wire/load_impl.h"

static const char not_an_object[] = "not a Kubernetes object (Node, Pod, List, Deployment, Fleet … "
                                    "in JSON or YAML, with apiVersion and kind): found %s";

/* ---- one object ---- */

/* apiVersion and kind, reading no further than needed. */
static bool read_type(struct k8s_dec d, struct str *api_version, struct str *kind,
                      struct k8s_dec *ret_after)
{
    struct dec_iter it;
    bool ok = scan_peek(&d.s) == SCAN_OBJECT && dec_object(&d, &it);
    while (ok && (api_version->n == 0 || kind->n == 0) && dec_member(&d, &it)) {
        bool text = scan_peek(&d.s) == SCAN_STRING;
        if (text && DEC_KEY(it, "apiVersion")) {
            ok = dec_str(&d, api_version);
        } else if (text && DEC_KEY(it, "kind")) {
            ok = dec_str(&d, kind);
        } else {
            ok = dec_skip(&d);
        }
    }
    *ret_after = d;
    return ok && dec_ok(&d);
}

/* An object without a kind (some archives leave it out, and a list may name its kind behind its items): judged by
 * fields that only one kind has. */
static struct str guess_kind(struct str json)
{
    static const struct {
        const char *field, *kind;
    } signs[] = {
        {"spec.containers", "Pod"},
        {"status.allocatable", "Node"},
        {"status.nodeInfo", "Node"},
        {"spec.persistentVolumeReclaimPolicy", "PersistentVolume"},
    };
    size_t at;
    for (size_t i = 0; i < SP_COUNTOF(signs) && k8s_find_field(json, "metadata.name", &at); i++) {
        if (k8s_find_field(json, signs[i].field, &at)) {
            return str_c(signs[i].kind);
        }
    }
    return STR_NONE;
}

static const char *what_is_it(struct str json)
{
    struct scan s;
    scan_init(&s, json);
    switch (scan_peek(&s)) {
    case SCAN_OBJECT:
        return "an object without apiVersion and kind";
    case SCAN_ARRAY:
        return "a list";
    case SCAN_STRING:
        return "text";
    case SCAN_NUMBER:
        return "a number";
    default:
        return "something else";
    }
}

static int not_kubernetes(const struct load_ctx *ctx, const char *found, struct err *err)
{
    char text[ERR_TEXT_MAX];
    err_set(err, -EINVAL, not_an_object, found);
    load_place(ctx, err);
    if (!ctx->lenient) {
        return err->code;
    }
    load_warn(ctx->l, "%s", err_format(err, text, sizeof text));
    return 0;
}

static int finish_fault(struct load_ctx *ctx, struct k8s_dec *d, const char *from, bool more,
                        struct err *err)
{
    if (more && dec_truncated(d)) {
        return -EAGAIN;
    }
    struct k8s_dec rest;
    dec_error(d, err);
    /* the place counts from the window's start, not the object's */
    uint32_t line, column;
    scan_place(from, d->s.error_at != NULL && d->s.error_at >= from ? d->s.error_at : from, &line,
               &column);
    err->line = line;
    err->column = column;
    load_place(ctx, err);
    /* broken JSON ends the file; a wrong field only costs the object */
    dec_init(&rest, (struct str){from, (size_t)(d->s.end - from)}, d->a);
    if (!scan_skip(&rest.s, NULL)) {
        return more && dec_truncated(&rest) ? -EAGAIN : -EBADMSG;
    }
    dec_init(d, (struct str){rest.s.p, (size_t)(rest.s.end - rest.s.p)}, d->a);
    return load_fault(ctx, err);
}

static int node_object(struct load_ctx *ctx, struct k8s_dec *d, const char *from, bool more,
                       struct err *err)
{
    struct node_desc node;
    if (!dec_node(d, &node)) {
        return finish_fault(ctx, d, from, more, err);
    }
    return load_apply_node(ctx, &node, err);
}

static int pod_object(struct load_ctx *ctx, struct k8s_dec *d, const char *from, bool more,
                      struct err *err)
{
    struct pod_desc pod;
    if (!dec_pod(d, &pod)) {
        return finish_fault(ctx, d, from, more, err);
    }
    return load_apply_pod(ctx, &pod, (struct str){from, (size_t)(d->s.p - from)}, err);
}

int load_object(struct load_ctx *ctx, struct k8s_dec *d, struct str api_version, struct str kind,
                bool more, struct err *err)
{
    struct k8s_dec head = *d;
    arena_reset(&ctx->im->arena);
    struct str own_version = STR_NONE, own_kind = STR_NONE;
    enum scan_type type = scan_peek(&d->s);
    const char *from = d->s.p;
    if (type == SCAN_OBJECT && kind.n == 0 && !read_type(*d, &own_version, &own_kind, &head)) {
        return finish_fault(ctx, &head, from, more, err);
    }
    if (kind.n == 0) {
        kind = own_kind;
        api_version = own_version;
    }
    if (str_is(kind, "Node") && str_is(api_version, "v1")) {
        ctx->l->n_objects++;
        return node_object(ctx, d, from, more, err);
    }
    if (str_is(kind, "Pod") && str_is(api_version, "v1")) {
        ctx->l->n_objects++;
        return pod_object(ctx, d, from, more, err);
    }
    struct str raw;
    if (!scan_skip(&d->s, &raw)) {
        return finish_fault(ctx, d, from, more, err);
    }
    if (kind.n == 0 && type == SCAN_OBJECT && (kind = guess_kind(raw)).n > 0) {
        d->s.p = from;
        return load_object(ctx, d, STR("v1"), kind, more, err);
    }
    if (kind.n == 0 || api_version.n == 0) {
        return not_kubernetes(ctx, what_is_it(raw), err);
    }
    ctx->l->n_objects++;
    struct k8s_head h = {.api_version = api_version, .kind = kind};
    return load_apply(ctx, &h, raw, err);
}

/* ---- JSON ---- */

enum stream_state { AT_TOP, IN_ITEMS, IN_BARE_ITEMS, AFTER_ITEMS };

struct stream {
    struct load_ctx *ctx;
    struct source *src;
    enum stream_state state;
    bool first;
    char kind[128], api_version[128]; /* of the items of a typed list */
};

static void keep(char *to, size_t cap, struct str s)
{
    size_t n = s.n < cap - 1 ? s.n : 0;
    if (n > 0) {
        memcpy(to, s.p, n);
    }
    to[n] = '\0';
}

static int broken(struct stream *st, const struct scan *s, bool more, struct err *err)
{
    if (more && s->end - s->error_at < 64) {
        return -EAGAIN;
    }
    uint32_t line, column;
    source_place(st->src, (size_t)(s->error_at - st->src->p), &line, &column);
    err_set(err, -EINVAL, "%s", s->error);
    err_at(err, st->ctx->file, line, column);
    return -EBADMSG;
}

/* NodeList: Node. "List" and others: nothing. */
static void list_kind(struct stream *st, struct str kind, struct str api_version)
{
    st->kind[0] = st->api_version[0] = '\0';
    if (kind.n > 4 && str_ends(kind, STR("List"))) {
        keep(st->kind, sizeof st->kind, (struct str){kind.p, kind.n - 4});
        keep(st->api_version, sizeof st->api_version, api_version);
    }
}

/* The start of a top-level object: is it a list of items? 1 yes, and the scanner stands behind '['; 0 no. */
static int open_list(struct stream *st, struct k8s_dec *d, bool more, struct err *err)
{
    struct dec_iter it;
    struct str kind = STR_NONE, api_version = STR_NONE;
    if (!dec_object(d, &it)) {
        return broken(st, &d->s, more, err);
    }
    while (dec_member(d, &it)) {
        enum scan_type t = scan_peek(&d->s);
        bool list = kind.n == 0 || str_ends(kind, STR("List"));
        if (t == SCAN_ARRAY && DEC_KEY(it, "items") && list && scan_array_begin(&d->s)) {
            list_kind(st, kind, api_version);
            return 1;
        }
        if (kind.n > 0 && !list && api_version.n > 0) {
            return 0;
        }
        bool ok;
        if (t == SCAN_STRING && DEC_KEY(it, "kind")) {
            ok = dec_str(d, &kind);
        } else if (t == SCAN_STRING && DEC_KEY(it, "apiVersion")) {
            ok = dec_str(d, &api_version);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            break;
        }
    }
    return d->s.error != NULL ? broken(st, &d->s, more, err) : 0;
}

static void consume(struct stream *st, const struct scan *s)
{
    st->src->at = (size_t)(s->p - st->src->p);
}

static int object_here(struct stream *st, struct k8s_dec *d, struct str api_version,
                       struct str kind, bool more, struct err *err)
{
    struct load_ctx *ctx = st->ctx;
    scan_peek(&d->s);
    size_t at = (size_t)(d->s.p - st->src->p);
    /* places are only worked out when something is wrong, or an object must remember its own */
    ctx->line = ctx->column = 0;
    ctx->source = st->src;
    ctx->source_at = at;
    int rc = load_object(ctx, d, api_version, kind, more, err);
    if (rc == 0) {
        consume(st, &d->s);
    }
    ctx->source = NULL;
    return rc;
}

static int top_step(struct stream *st, struct k8s_dec *d, bool more, struct err *err)
{
    struct k8s_dec look = *d;
    enum scan_type t = scan_peek(&look.s);
    if (t == SCAN_ERROR && look.s.error_at < look.s.end) {
        return broken(st, &look.s, more, err);
    }
    if (t == SCAN_ERROR) {
        st->src->at = (size_t)(look.s.end - st->src->p);
        return more ? -EAGAIN : 1;
    }
    if (t == SCAN_ARRAY && scan_array_begin(&look.s)) {
        list_kind(st, STR_NONE, STR_NONE);
        st->state = IN_BARE_ITEMS;
        st->first = true;
        consume(st, &look.s);
        return 0;
    }
    int list = t == SCAN_OBJECT ? open_list(st, &look, more, err) : 0;
    if (list == 1) {
        st->state = IN_ITEMS;
        st->first = true;
        consume(st, &look.s);
        return 0;
    }
    return list < 0 ? list : object_here(st, d, STR_NONE, STR_NONE, more, err);
}

static int item_step(struct stream *st, struct k8s_dec *d, bool more, struct err *err)
{
    bool first = st->first;
    d->s.depth = 2;
    if (!scan_item(&d->s, &first)) {
        if (d->s.error != NULL) {
            return broken(st, &d->s, more, err);
        }
        st->state = st->state == IN_BARE_ITEMS ? AT_TOP : AFTER_ITEMS;
        consume(st, &d->s);
        return 0;
    }
    int rc = object_here(st, d, str_c(st->api_version), str_c(st->kind), more, err);
    if (rc == 0) {
        st->first = first;
    }
    return rc;
}

static int after_step(struct stream *st, struct k8s_dec *d, bool more, struct err *err)
{
    bool first = false, escaped;
    struct str key;
    d->s.depth = 1;
    if (scan_member(&d->s, &first, &key, &escaped)) {
        if (!scan_skip(&d->s, NULL)) {
            return broken(st, &d->s, more, err);
        }
        consume(st, &d->s);
        return 0;
    }
    if (d->s.error != NULL) {
        return broken(st, &d->s, more, err);
    }
    st->state = AT_TOP;
    consume(st, &d->s);
    return 0;
}

static int load_json(struct load_ctx *ctx, struct source *src, struct err *err)
{
    struct stream st = {.ctx = ctx, .src = src};
    for (;;) {
        struct k8s_dec d;
        bool more = !src->eof;
        dec_init(&d, (struct str){src->p + src->at, src->n - src->at}, &ctx->im->arena);
        ctx->im->seen.n = 0;
        d.keys = &ctx->im->seen;
        int rc = st.state == AT_TOP        ? top_step(&st, &d, more, err)
                 : st.state == AFTER_ITEMS ? after_step(&st, &d, more, err)
                                           : item_step(&st, &d, more, err);
        if (rc == -EAGAIN) {
            rc = source_fill(src, err);
            if (rc == -E2BIG) {
                return load_fault(ctx, err);
            }
        }
        if (rc == -EBADMSG) {
            err->code = -EINVAL;
            return load_fault(ctx, err);
        }
        if (rc < 0) {
            return rc;
        }
        if (rc == 1) {
            return 0;
        }
    }
}

/* ---- YAML ---- */

static int yaml_object(struct load_ctx *ctx, const struct yaml_node *node, struct str api_version,
                       struct str kind, struct err *err)
{
    struct yaml_marks marks = {0};
    struct buf *out = &ctx->im->json;
    struct k8s_dec d;
    buf_clear(out);
    int rc = yaml_to_json(node, out, &marks, err);
    if (rc == 0) {
        ctx->line = node->line;
        ctx->column = node->column;
        ctx->marks = &marks;
        dec_init(&d, buf_view(out), &ctx->im->arena);
        rc = load_object(ctx, &d, api_version, kind, false, err);
        ctx->marks = NULL;
    }
    yaml_marks_done(&marks);
    if (rc == -EBADMSG) {
        err->code = -EINVAL;
        rc = load_fault(ctx, err);
    }
    return rc;
}

static int yaml_document(struct load_ctx *ctx, const struct yaml_node *doc, struct err *err)
{
    const struct yaml_node *items = yaml_get(doc, "items"), *kind = yaml_get(doc, "kind");
    const struct yaml_node *version = yaml_get(doc, "apiVersion");
    struct str k = kind != NULL ? kind->text : STR_NONE, item_kind = STR_NONE;
    if (items == NULL || !str_ends(k, STR("List")) ||
        (items->type != YAML_LIST && items->type != YAML_NULL)) {
        return yaml_object(ctx, doc, STR_NONE, STR_NONE, err);
    }
    if (k.n > 4) {
        item_kind = (struct str){k.p, k.n - 4};
    }
    int rc = 0;
    for (uint32_t i = 0; i < items->n && rc == 0; i++) {
        bool typed =
            yaml_get(items->items[i], "kind") == NULL && item_kind.n > 0 && version != NULL;
        rc = yaml_object(ctx, items->items[i], typed ? version->text : STR_NONE,
                         typed ? item_kind : STR_NONE, err);
    }
    return rc;
}

static int load_yaml(struct load_ctx *ctx, struct source *src, struct err *err)
{
    struct arena tree;
    struct yaml_docs docs;
    int rc = source_fill_all(src, LIMIT_YAML_BYTES, err);
    if (rc != 0) {
        return rc;
    }
    arena_init(&tree, (size_t)LIMIT_YAML_BYTES * 8);
    rc = yaml_parse(ctx->file, (struct str){src->p + src->at, src->n - src->at}, &tree, &docs, err);
    if (rc != 0) {
        arena_done(&tree);
        return load_fault(ctx, err);
    }
    for (uint32_t i = 0; i < docs.n && rc == 0; i++) {
        rc = yaml_document(ctx, docs.docs[i], err);
    }
    if (rc == 0 && docs.n == 0) {
        ctx->line = ctx->column = 1;
        rc = not_kubernetes(ctx, "an empty file", err);
    }
    arena_done(&tree);
    return rc;
}

int load_stream(struct load_ctx *ctx, struct source *src, struct err *err)
{
    int rc = source_fill(src, err);
    if (rc != 0) {
        return rc;
    }
    if (src->n >= 3 && memcmp(src->p, "\xef\xbb\xbf", 3) == 0) {
        src->at = 3;
    }
    if (src->n >= 2 && (memcmp(src->p, "\xff\xfe", 2) == 0 || memcmp(src->p, "\xfe\xff", 2) == 0)) {
        err_set(err, -EINVAL,
                "UTF-16 text: save it as UTF-8 (in PowerShell: | Out-File -Encoding utf8)");
        err_at(err, ctx->file, 1, 1);
        return load_fault(ctx, err);
    }
    size_t i = src->at;
    while (i < src->n &&
           (src->p[i] == ' ' || src->p[i] == '\n' || src->p[i] == '\t' || src->p[i] == '\r')) {
        i++;
    }
    if (i == src->n && src->eof) {
        ctx->line = ctx->column = 1;
        return not_kubernetes(ctx, "an empty file", err);
    }
    if (i < src->n && (src->p[i] == '{' || src->p[i] == '[')) {
        return load_json(ctx, src, err);
    }
    return load_yaml(ctx, src, err);
}
