// SPDX-License-Identifier: Apache-2.0
#include "daemon/kube_watch.h"

#include <errno.h>

#include "base/limits.h"
#include "wire/scan.h"

void kube_lines_init(struct kube_lines *l)
{
    buf_init(&l->line, KUBE_LINE_BYTES);
}

void kube_lines_reset(struct kube_lines *l)
{
    buf_clear(&l->line);
}

void kube_lines_done(struct kube_lines *l)
{
    buf_done(&l->line);
}

bool kube_lines_pending(const struct kube_lines *l)
{
    return l->line.n > 0;
}

int kube_lines_feed(struct kube_lines *l, const char *p, size_t n, kube_line_fn line, void *ctx,
                    struct err *err)
{
    while (n > 0) {
        const char *end = memchr(p, '\n', n);
        size_t take = end != NULL ? (size_t)(end - p) : n;
        struct str whole = {p, take};
        if (l->line.n > 0 || end == NULL) {
            buf_put(&l->line, p, take);
            whole = buf_view(&l->line);
        }
        if (l->line.broken || take > KUBE_LINE_BYTES) {
            return err_set(err, -E2BIG, "an event is longer than %u bytes",
                           (unsigned)KUBE_LINE_BYTES);
        }
        if (end == NULL) {
            return 0;
        }
        whole = str_trim(whole);
        int rc = whole.n > 0 ? line(ctx, whole, err) : 0;
        buf_clear(&l->line);
        if (rc != 0) {
            return rc;
        }
        p = end + 1;
        n -= take + 1;
    }
    return 0;
}

/* A string without escapes; anything else is not what an API server writes there. */
static bool take_plain(struct scan *s, struct str *ret)
{
    struct str raw;
    if (scan_peek(s) == SCAN_NULL) {
        return scan_skip(s, NULL);
    }
    if (scan_peek(s) != SCAN_STRING) {
        return scan_fail(s, "expected a string");
    }
    if (!scan_skip(s, &raw)) {
        return false;
    }
    *ret = (struct str){raw.p + 1, raw.n - 2};
    return true;
}

static bool read_annotations(struct scan *s, struct kube_object *o)
{
    struct str key, val = STR_NONE;
    bool first = true, escaped = false;
    if (scan_peek(s) == SCAN_NULL) {
        return scan_skip(s, NULL);
    }
    if (!scan_object_begin(s)) {
        return false;
    }
    while (scan_member(s, &first, &key, &escaped)) {
        bool is_end = str_is(key, "k8s.io/initial-events-end");
        if (is_end ? !take_plain(s, &val) : !scan_skip(s, NULL)) {
            return false;
        }
        o->initial_events_end = o->initial_events_end || (is_end && str_is(val, "true"));
    }
    return s->error == NULL;
}

static bool read_meta(struct scan *s, struct kube_object *o)
{
    struct str key;
    bool first = true, escaped = false, ok = true;
    if (!scan_object_begin(s)) {
        return false;
    }
    while (ok && scan_member(s, &first, &key, &escaped)) {
        if (str_is(key, "name")) {
            ok = take_plain(s, &o->name);
        } else if (str_is(key, "namespace")) {
            ok = take_plain(s, &o->ns);
        } else if (str_is(key, "uid")) {
            ok = take_plain(s, &o->uid);
        } else if (str_is(key, "resourceVersion")) {
            ok = take_plain(s, &o->resource_version);
        } else if (str_is(key, "annotations")) {
            ok = read_annotations(s, o);
        } else {
            ok = scan_skip(s, NULL);
        }
    }
    return ok && s->error == NULL;
}

static bool read_object(struct scan *s, struct kube_object *o)
{
    struct str key;
    bool first = true, escaped = false, ok = true;
    if (scan_peek(s) != SCAN_OBJECT) {
        return scan_fail(s, "expected an object");
    }
    const char *at = s->p;
    if (!scan_object_begin(s)) {
        return false;
    }
    while (ok && scan_member(s, &first, &key, &escaped)) {
        ok = str_is(key, "kind")       ? take_plain(s, &o->kind)
             : str_is(key, "metadata") ? read_meta(s, o)
                                       : scan_skip(s, NULL);
    }
    o->json = (struct str){at, (size_t)(s->p - at)};
    return ok && s->error == NULL;
}

static int bad(const struct scan *s, const char *what, struct err *err)
{
    (void)scan_error(s, "", err);
    err->code = -EBADMSG;
    return err_context(err, "%s", what);
}

int kube_object_read(struct str json, struct kube_object *ret, struct err *err)
{
    struct scan s;
    *ret = (struct kube_object){0};
    scan_init(&s, json);
    s.allow_nul = true;
    return read_object(&s, ret) && scan_end(&s) ? 0 : bad(&s, "object", err);
}

static enum kube_event_type type_of(struct str s)
{
    static const char *const names[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"};
    for (size_t i = 0; i < SP_COUNTOF(names); i++) {
        if (str_is(s, names[i])) {
            return (enum kube_event_type)i;
        }
    }
    return KUBE_OTHER;
}

int kube_event_read(struct str line, struct kube_event *ret, struct err *err)
{
    struct scan s;
    struct str key, type = STR_NONE;
    bool first = true, escaped = false, ok, has_object = false;
    *ret = (struct kube_event){.type = KUBE_OTHER};
    scan_init(&s, line);
    s.allow_nul = true;
    ok = scan_object_begin(&s);
    while (ok && scan_member(&s, &first, &key, &escaped)) {
        if (str_is(key, "type")) {
            ok = take_plain(&s, &type);
        } else if (str_is(key, "object")) {
            has_object = true;
            ret->object = (struct kube_object){0};
            ok = read_object(&s, &ret->object);
        } else {
            ok = scan_skip(&s, NULL);
        }
    }
    if (!ok || s.error != NULL || !scan_end(&s)) {
        return bad(&s, "event", err);
    }
    ret->type = type_of(type);
    if (type.n == 0 || !has_object) {
        return err_set(err, -EBADMSG, "event: %s is missing", type.n == 0 ? "type" : "object");
    }
    return 0;
}

static bool read_causes(struct scan *s, struct kube_status *r)
{
    struct str raw;
    if (!scan_skip(s, &raw)) {
        return false;
    }
    r->version_too_large = str_contains(raw, STR("\"ResourceVersionTooLarge\""));
    return true;
}

int kube_status_read(struct str json, struct kube_status *ret, struct err *err)
{
    struct scan s;
    struct str key, kind = STR_NONE;
    bool first = true, escaped = false, ok;
    int64_t code = 0;
    *ret = (struct kube_status){0};
    scan_init(&s, json);
    ok = scan_object_begin(&s);
    while (ok && scan_member(&s, &first, &key, &escaped)) {
        if (str_is(key, "kind")) {
            ok = take_plain(&s, &kind);
        } else if (str_is(key, "reason")) {
            ok = take_plain(&s, &ret->reason);
        } else if (str_is(key, "message")) {
            ok = take_plain(&s, &ret->message);
        } else if (str_is(key, "code")) {
            ok = scan_i64(&s, &code);
        } else if (str_is(key, "details")) {
            ok = read_causes(&s, ret);
        } else {
            ok = scan_skip(&s, NULL);
        }
    }
    if (!ok || s.error != NULL || !scan_end(&s)) {
        return bad(&s, "status", err);
    }
    if (!str_is(kind, "Status")) {
        return err_set(err, -EBADMSG, "status: kind is not Status");
    }
    ret->code = code > 0 && code < 1000 ? (int)code : 0;
    return 0;
}
