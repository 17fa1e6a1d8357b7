// SPDX-License-Identifier: Apache-2.0
#include "daemon/kube_sync.h"

#include <errno.h>

#define BACKOFF_FIRST_MS   800
#define BACKOFF_MAX_MS     30000
#define BACKOFF_RESET_MS   120000
#define RETRY_AFTER_MAX_MS 120000 /* a server that asks for more is not taken at its word */
#define FORBIDDEN_MS       30000
#define ABSENT_MS          30000
#define SHORT_WATCH_MS     1000
#define GONE_AGAIN_MS      5000
#define TOO_NEW_MAX        3 /* then the list says what the server has */
#define REFUSED_MAX        5 /* answers to a watch that say no; then it lists again */
#define SHORT_LISTS_MAX    2
#define WATCH_LEAST_S      300
#define WATCH_SPAN_S       300
#define ANSWER_BYTES       4096u

const char *kube_fault_name(enum kube_fault f)
{
    static const char *const names[KUBE_FAULT_COUNT] = {
        "fine",      "ended",           "cut",       "silent",       "connect",      "tls",
        "gone",      "version_too_new", "throttled", "server_error", "unauthorized", "forbidden",
        "not_found", "refused",         "redirect",  "not_json",     "bad_data",     "too_long",
        "no_memory"};
    return names[f < KUBE_FAULT_COUNT ? f : 0];
}

void kube_sync_init(struct kube_sync *s, const struct kube_resource *r,
                    const struct kube_sync_sink *sink, uint64_t seed)
{
    *s = (struct kube_sync){.resource = r, .sink = *sink};
    rng_seed(&s->rng, seed);
    buf_init(&s->version, KUBE_TOKEN_BYTES);
    buf_init(&s->next, KUBE_TOKEN_BYTES);
    buf_init(&s->answer, ANSWER_BYTES);
    kube_list_init(&s->list);
    kube_lines_init(&s->lines);
}

void kube_sync_done(struct kube_sync *s)
{
    kube_keys_done(&s->keys);
    buf_done(&s->version);
    buf_done(&s->next);
    buf_done(&s->answer);
    kube_list_done(&s->list);
    kube_lines_done(&s->lines);
}

static void list_from_scratch(struct kube_sync *s)
{
    buf_clear(&s->version);
    buf_clear(&s->next);
    s->phase = s->no_stream ? KUBE_LIST_PAGE : KUBE_LIST_STREAM;
    s->watching = false;
    s->gen++;
}

void kube_sync_relist(struct kube_sync *s)
{
    s->in_flight = s->watching = false;
    if (s->gen > 0) {
        list_from_scratch(s);
        s->not_before_ms = 0;
    }
}

/* ---- requests ---- */

void kube_put_encoded(struct buf *out, struct str s)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~';
        if (plain) {
            buf_char(out, (char)c);
        } else {
            buf_char(out, '%');
            buf_char(out, hex[c >> 4]);
            buf_char(out, hex[c & 15]);
        }
    }
}

static void put_request(struct kube_sync *s, unsigned page, struct buf *out)
{
    const struct kube_resource *r = s->resource;
    unsigned long long timeout_s = WATCH_LEAST_S + rng_below(&s->rng, WATCH_SPAN_S + 1);
    buf_lit(out, r->path);
    switch (s->phase) {
    case KUBE_LIST_STREAM:
        buf_printf(out,
                   "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&"
                   "allowWatchBookmarks=true&timeoutSeconds=%llu",
                   timeout_s);
        break;
    case KUBE_LIST_PAGE:
        buf_printf(out, "?limit=%u", page);
        if (s->next.n > 0) {
            buf_lit(out, "&continue=");
            kube_put_encoded(out, buf_view(&s->next));
        }
        break;
    case KUBE_WATCH:
    default:
        buf_lit(out, "?watch=1&resourceVersion=");
        kube_put_encoded(out, buf_view(&s->version));
        buf_printf(out, "&allowWatchBookmarks=true&timeoutSeconds=%llu", timeout_s);
        break;
    }
    if (r->selector != NULL) {
        buf_lit(out, "&fieldSelector=");
        buf_lit(out, r->selector);
    }
}

bool kube_sync_next(struct kube_sync *s, int64_t now_ms, unsigned page, struct buf *out,
                    int64_t *ret_at)
{
    *ret_at = s->in_flight ? INT64_MAX : s->not_before_ms;
    if (s->in_flight || now_ms < s->not_before_ms) {
        return false;
    }
    if (s->gen == 0) {
        list_from_scratch(s);
    } else if (s->phase == KUBE_LIST_STREAM || (s->phase == KUBE_LIST_PAGE && s->next.n == 0)) {
        s->gen++; /* from the beginning: what an earlier try has seen counts no more */
    }
    put_request(s, page, out);
    kube_list_reset(&s->list);
    kube_lines_reset(&s->lines);
    buf_clear(&s->answer);
    s->in_flight = true;
    s->has_head = s->watching = false;
    s->fault = KUBE_FINE;
    s->why = ERR_NONE;
    s->status = 0;
    s->retry_after_ms = -1;
    s->n_events = 0;
    s->started_ms = s->byte_ms = now_ms;
    return true;
}

/* ---- what comes ---- */

static void set_fault(struct kube_sync *s, enum kube_fault f, const struct err *err)
{
    if (s->fault == KUBE_FINE) {
        s->fault = f;
        s->why = *err;
    }
}

static bool is_json(const char *type)
{
    struct str t = str_c(type);
    t = str_trim(str_cut(&t, ';'));
    return str_eq_nocase(t, STR("application/json"));
}

void kube_sync_head(struct kube_sync *s, int64_t now_ms, int status, const char *content_type,
                    int64_t retry_after_ms)
{
    struct err err = ERR_NONE;
    s->has_head = true;
    s->byte_ms = now_ms;
    s->status = status;
    s->retry_after_ms = retry_after_ms;
    s->body = KUBE_BODY_STATUS;
    if (status != 200) {
        return;
    }
    if (!is_json(content_type)) {
        (void)err_set(&err, -EBADMSG, "the content type is \"%.80s\"", content_type);
        set_fault(s, KUBE_NOT_JSON, &err);
        return;
    }
    s->body = s->phase == KUBE_LIST_PAGE ? KUBE_BODY_LIST : KUBE_BODY_EVENTS;
    if (s->phase == KUBE_WATCH) {
        s->watching = true;
        s->last = KUBE_FINE;
        s->n_refused = s->n_too_new = s->n_unauthorized = 0;
    }
}

static void forget(void *ctx, struct str ns, struct str name)
{
    struct kube_sync *s = ctx;
    s->sink.remove(s->sink.ctx, ns, name, STR_NONE, false);
}

static void take_over(struct kube_sync *s, int64_t now_ms)
{
    s->sink.sweep(s->sink.ctx, true);
    kube_keys_sweep(&s->keys, s->gen, forget, s);
    s->sink.sweep(s->sink.ctx, false);
    s->phase = KUBE_WATCH;
    s->synced = true;
    s->absent = false;
    s->last = KUBE_FINE;
    s->fresh_ms = now_ms;
    s->n_refused = s->n_too_new = s->n_unauthorized = s->n_short_lists = 0;
    s->sink.listed(s->sink.ctx);
}

static int set_version(struct kube_sync *s, struct str version, struct err *err)
{
    if (version.n == 0 || version.n > KUBE_TOKEN_BYTES) {
        return err_set(err, -EBADMSG, "metadata.resourceVersion is missing or too long");
    }
    buf_clear(&s->version);
    buf_str(&s->version, version);
    return s->version.broken ? err_nomem(err) : 0;
}

static int upsert(struct kube_sync *s, const struct kube_object *o, struct err *err)
{
    enum kube_key_was was;
    struct err inner = ERR_NONE;
    if (o->name.n == 0) {
        return err_set(err, -EBADMSG, "metadata.name is missing");
    }
    int rc = kube_keys_put(&s->keys, o->ns, o->name, o->uid, s->gen, &was, err);
    if (rc != 0) {
        return rc;
    }
    if (was == KUBE_KEY_OTHER_UID) { /* the one before is gone: its deletion was not seen */
        s->sink.remove(s->sink.ctx, o->ns, o->name, o->uid, true);
    }
    rc = s->sink.upsert(s->sink.ctx, o, &inner);
    return rc == -ENOMEM ? err_nomem(err) : 0;
}

static int on_item(void *ctx, struct str json, struct err *err)
{
    struct kube_sync *s = ctx;
    struct kube_object o;
    int rc = kube_object_read(json, &o, err);
    s->n_events++;
    return rc != 0 ? rc : upsert(s, &o, err);
}

static enum kube_fault fault_of_status(int code, const struct kube_status *st)
{
    if (code == 504 && st->version_too_large) {
        return KUBE_TOO_NEW;
    }
    switch (code) {
    case 401:
        return KUBE_UNAUTHORIZED;
    case 403:
        return KUBE_FORBIDDEN;
    case 404:
        return KUBE_NOT_FOUND;
    case 410:
        return KUBE_GONE;
    case 429:
        return KUBE_THROTTLED;
    default:
        return code >= 500   ? KUBE_SERVER_ERROR
               : code >= 400 ? KUBE_REFUSED
               : code >= 300 ? KUBE_REDIRECT
                             : KUBE_SERVER_ERROR;
    }
}

/* ERROR ends the stream with what the Status says. */
static int on_error_event(struct kube_sync *s, const struct kube_object *o, struct err *err)
{
    struct kube_status st;
    int rc = kube_status_read(o->json, &st, err);
    if (rc != 0) {
        return rc;
    }
    struct err why = ERR_NONE;
    (void)err_set(&why, -EIO, "in the stream: %d %.*s: %.*s", st.code,
                  (int)(st.reason.n < 60 ? st.reason.n : 60), st.reason.n > 0 ? st.reason.p : "",
                  (int)(st.message.n < 200 ? st.message.n : 200),
                  st.message.n > 0 ? st.message.p : "");
    set_fault(s, st.code == 0 ? KUBE_SERVER_ERROR : fault_of_status(st.code, &st), &why);
    return -ECANCELED;
}

static int on_bookmark(struct kube_sync *s, const struct kube_object *o, struct err *err)
{
    int rc = set_version(s, o->resource_version, err);
    if (rc == 0 && s->phase == KUBE_LIST_STREAM && o->initial_events_end) {
        take_over(s, s->byte_ms);
        s->watching = true;
    }
    return rc;
}

static int on_line(void *ctx, struct str line, struct err *err)
{
    struct kube_sync *s = ctx;
    struct kube_event e;
    int rc = kube_event_read(line, &e, err);
    if (rc != 0) {
        return rc;
    }
    s->n_events++;
    s->sink.event(s->sink.ctx, e.type);
    if (e.type == KUBE_ERROR) {
        return on_error_event(s, &e.object, err);
    }
    if (e.type == KUBE_OTHER) {
        return 0;
    }
    if (!str_is(e.object.kind, s->resource->kind)) {
        return err_set(err, -EBADMSG, "an object of kind \"%.*s\" among %s",
                       (int)(e.object.kind.n < 60 ? e.object.kind.n : 60),
                       e.object.kind.n > 0 ? e.object.kind.p : "", s->resource->name);
    }
    if (e.type == KUBE_BOOKMARK) {
        return on_bookmark(s, &e.object, err);
    }
    if (e.object.name.n == 0 || e.object.resource_version.n == 0) {
        return err_set(err, -EBADMSG, "metadata.name or metadata.resourceVersion is missing");
    }
    if (e.type == KUBE_DELETED) {
        if (kube_keys_take(&s->keys, e.object.ns, e.object.name, e.object.uid)) {
            s->sink.remove(s->sink.ctx, e.object.ns, e.object.name, e.object.uid, false);
        }
    } else {
        rc = upsert(s, &e.object, err);
    }
    /* The version moves on only behind a change that was taken over. */
    return rc == 0 && s->phase == KUBE_WATCH ? set_version(s, e.object.resource_version, err) : rc;
}

int kube_sync_data(struct kube_sync *s, int64_t now_ms, const char *p, size_t n)
{
    struct err err = ERR_NONE;
    int rc = 0;
    s->byte_ms = now_ms;
    if (s->fault != KUBE_FINE) {
        return -ECANCELED;
    }
    if (s->body == KUBE_BODY_STATUS) {
        size_t room = s->answer.max - s->answer.n;
        buf_put(&s->answer, p, n < room ? n : room);
        return n < room ? 0 : -ECANCELED;
    }
    if (s->body == KUBE_BODY_LIST) {
        rc = kube_list_feed(&s->list, p, n, on_item, s, &err);
    } else {
        rc = kube_lines_feed(&s->lines, p, n, on_line, s, &err);
    }
    if (rc != 0 && rc != -ECANCELED) {
        set_fault(s,
                  rc == -ENOMEM  ? KUBE_NO_MEMORY
                  : rc == -E2BIG ? KUBE_TOO_LONG
                                 : KUBE_BAD_DATA,
                  &err);
    }
    return rc;
}

/* ---- the end of a request ---- */

static enum kube_fault fault_of_transport(int code)
{
    switch (code) {
    case -ETIMEDOUT:
        return KUBE_SILENT;
    case -EKEYREJECTED:
        return KUBE_TLS;
    case -ECONNRESET:
    case -ECANCELED:
        return KUBE_CUT;
    case -ENOMEM:
        return KUBE_NO_MEMORY;
    default:
        return KUBE_CONNECT;
    }
}

static void judge_status(struct kube_sync *s)
{
    struct kube_status st = {0};
    struct err ignored = ERR_NONE, why = ERR_NONE;
    if (kube_status_read(buf_view(&s->answer), &st, &ignored) != 0) {
        st = (struct kube_status){0};
    }
    (void)err_set(&why, -EIO, "status %d%s%.*s", s->status, st.message.n > 0 ? ": " : "",
                  (int)(st.message.n < 240 ? st.message.n : 240),
                  st.message.n > 0 ? st.message.p : "");
    set_fault(s, fault_of_status(s->status, &st), &why);
}

/* A page that is there in full. */
static void end_page(struct kube_sync *s, int64_t now_ms)
{
    struct kube_list_head h;
    struct err err = ERR_NONE;
    int rc = kube_list_end(&s->list, &h, &err);
    struct str kind = str_c(s->resource->kind);
    bool is_list = rc == 0 && str_starts(h.kind, kind) && h.kind.n == kind.n + 4 &&
                   str_ends(h.kind, STR("List"));
    if (rc == 0 && !is_list) {
        rc = err_set(&err, -EBADMSG, "a list of kind \"%.*s\", not %sList",
                     (int)(h.kind.n < 60 ? h.kind.n : 60), h.kind.n > 0 ? h.kind.p : "",
                     s->resource->kind);
    }
    rc = rc == 0 ? set_version(s, h.resource_version, &err) : rc;
    if (rc != 0) {
        set_fault(s, rc == -ENOMEM ? KUBE_NO_MEMORY : KUBE_BAD_DATA, &err);
        return;
    }
    bool same = h.next.n > 0 && str_eq(h.next, buf_view(&s->next));
    if (same) {
        (void)err_set(&err, -EBADMSG, "the list goes on for ever with the same continue token");
        set_fault(s, KUBE_BAD_DATA, &err);
        return;
    }
    buf_clear(&s->next);
    buf_str(&s->next, h.next);
    if (h.next.n == 0) {
        take_over(s, now_ms);
    }
    s->not_before_ms = now_ms;
}

/* 0.8 s, doubling, with jitter. */
static int64_t backoff(struct kube_sync *s, int64_t now_ms)
{
    if (!s->has_failed || now_ms - s->failed_ms > BACKOFF_RESET_MS) {
        s->backoff_ms = BACKOFF_FIRST_MS;
    }
    int64_t base = s->backoff_ms, delay = base + (int64_t)rng_below(&s->rng, (uint64_t)base + 1);
    s->has_failed = true;
    s->failed_ms = now_ms;
    s->backoff_ms = base * 2 < BACKOFF_MAX_MS ? base * 2 : BACKOFF_MAX_MS;
    return delay < BACKOFF_MAX_MS ? delay : BACKOFF_MAX_MS;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* How long to wait, by what went wrong. */
static int64_t delay_of(struct kube_sync *s, enum kube_fault f, int64_t now_ms)
{
    bool lived = s->status == 200 && (s->n_events > 0 || now_ms - s->started_ms >= SHORT_WATCH_MS);
    if ((f == KUBE_ENDED || f == KUBE_CUT || f == KUBE_SILENT) && lived && s->phase == KUBE_WATCH) {
        return 0;
    }
    if (f == KUBE_GONE && (!s->has_gone || now_ms - s->gone_ms > GONE_AGAIN_MS)) {
        return 0;
    }
    if (f == KUBE_UNAUTHORIZED && s->n_unauthorized == 1) {
        return 0; /* with the token as it is now */
    }
    int64_t delay = backoff(s, now_ms);
    if (s->retry_after_ms >= 0) {
        int64_t asked =
            s->retry_after_ms < RETRY_AFTER_MAX_MS ? s->retry_after_ms : RETRY_AFTER_MAX_MS;
        delay = later(delay, asked + (int64_t)rng_below(&s->rng, (uint64_t)asked / 5 + 1));
    }
    if (f == KUBE_FORBIDDEN || s->absent) {
        delay = later(delay, (f == KUBE_FORBIDDEN ? FORBIDDEN_MS : ABSENT_MS) +
                                 (int64_t)rng_below(&s->rng, 5000));
    }
    return delay;
}

/* What the next request is, by what went wrong. Returns true when it may be made at once. */
static bool redirect_course(struct kube_sync *s, enum kube_fault f)
{
    bool says_no =
        s->status >= 400 && f != KUBE_THROTTLED && f != KUBE_UNAUTHORIZED && f != KUBE_FORBIDDEN;
    switch (s->phase) {
    case KUBE_LIST_STREAM:
        s->n_short_lists += f == KUBE_ENDED || f == KUBE_SILENT;
        if ((f == KUBE_REFUSED && s->status >= 400) || s->n_short_lists >= SHORT_LISTS_MAX) {
            s->no_stream = true;
            list_from_scratch(s);
            return f == KUBE_REFUSED;
        }
        return false;
    case KUBE_LIST_PAGE:
        if (f == KUBE_GONE || f == KUBE_BAD_DATA || f == KUBE_REFUSED) {
            list_from_scratch(s);
        }
        return false;
    case KUBE_WATCH:
    default:
        s->n_too_new += f == KUBE_TOO_NEW;
        s->n_refused += says_no;
        if (f == KUBE_GONE || f == KUBE_BAD_DATA || f == KUBE_TOO_LONG || f == KUBE_NO_MEMORY ||
            s->n_too_new >= TOO_NEW_MAX || s->n_refused >= REFUSED_MAX) {
            s->n_too_new = s->n_refused = 0;
            list_from_scratch(s);
        }
        return false;
    }
}

static void fail(struct kube_sync *s, int64_t now_ms)
{
    enum kube_fault f = s->fault;
    s->n_unauthorized += f == KUBE_UNAUTHORIZED;
    s->absent = f == KUBE_NOT_FOUND && s->resource->optional && !s->synced;
    s->last = s->absent || (f == KUBE_ENDED && s->phase == KUBE_WATCH) ? KUBE_FINE : f;
    int64_t delay = delay_of(s, f, now_ms);
    bool at_once = redirect_course(s, f);
    if (f == KUBE_GONE) {
        s->has_gone = true;
        s->gone_ms = now_ms;
    }
    s->not_before_ms = now_ms + (at_once ? 0 : delay);
    s->sink.fault(s->sink.ctx, f, s->why.text);
}

void kube_sync_end(struct kube_sync *s, int64_t now_ms, int code, const struct err *err)
{
    struct err why = ERR_NONE;
    if (s->watching) { /* it was up to date until now; a silent one until its last byte */
        s->fresh_ms = now_ms;
        s->silent_ms = code == -ETIMEDOUT ? s->byte_ms : 0;
    } else if (s->silent_ms > 0) {
        s->fresh_ms = s->silent_ms;
        s->silent_ms = 0;
    }
    s->in_flight = s->watching = false;
    if (s->fault == KUBE_FINE && s->has_head && s->status != 200) {
        judge_status(s);
    } else if (s->fault == KUBE_FINE && code != 0) {
        set_fault(s, fault_of_transport(code), err);
    } else if (s->fault == KUBE_FINE && s->body == KUBE_BODY_LIST) {
        end_page(s, now_ms);
    } else if (s->fault == KUBE_FINE && kube_lines_pending(&s->lines)) {
        (void)err_set(&why, -EBADMSG, "the stream ended within an event");
        set_fault(s, KUBE_CUT, &why);
    } else if (s->fault == KUBE_FINE) {
        (void)err_set(&why, 0,
                      s->phase == KUBE_LIST_STREAM
                          ? "the stream ended before the end of the initial events"
                          : "the server ended the watch");
        set_fault(s, KUBE_ENDED, &why);
    }
    if (s->fault != KUBE_FINE) {
        fail(s, now_ms);
    }
}

int64_t kube_sync_age_ms(const struct kube_sync *s, int64_t now_ms)
{
    if (s->absent) {
        return 0;
    }
    return !s->synced ? -1 : s->watching ? 0 : now_ms - s->fresh_ms;
}

bool kube_sync_listing(const struct kube_sync *s)
{
    return s->in_flight && !s->watching;
}
