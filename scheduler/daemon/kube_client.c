// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "daemon/kube_client.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/mem.h"
#include "daemon/clock.h"
#include "daemon/log.h"

#define WAIT_MS             200 /* the longest sleep: deadlines are looked at that often */
#define TOKEN_EVERY_MS      60000
#define URL_BYTES           (KUBE_TOKEN_BYTES * 3 + 4096)
#define LIST_TOTAL          20 /* in patiences */
#define WATCH_SILENCE       7  /* bookmarks come about once a minute */
#define UNREADABLE_EVERY_MS 10000

struct kube_client;
struct part { /* one resource */
    struct kube_client *c;
    enum kube_kind kind;
    struct kube_sync sync;
    struct http_stream *stream;
    bool was_listing;       /* what the stream's patience is set for */
    enum kube_fault logged; /* what the last line said; KUBE_FINE = in step */
    bool said_listed;
    struct log_limit unreadable;
};
struct kube_client {
    const struct kubeconfig *k;
    struct state *st;
    struct kube_apply apply;
    struct http_pool *pool;
    struct part parts[KUBE_KINDS];
    struct buf token, url;
    int64_t token_ms; /* when it was read; 0 = read it again */
    int64_t patience_ms;
    bool token_bad, fresh; /* fresh: the next requests go over new connections */
    pthread_t thread;
    _Atomic bool stopping;
};

/* ---- what a part hears ---- */

static int on_upsert(void *ctx, const struct kube_object *o, struct err *err)
{
    struct part *p = ctx;
    int rc = kube_apply_upsert(&p->c->apply, p->kind, o, err);
    uint64_t skipped = 0;
    if (rc != 0 && rc != -ENOMEM) {
        metric_add(METRIC_UNREADABLE, p->kind, 1);
        if (log_allowed(&p->unreadable, clock_mono_ms(), UNREADABLE_EVERY_MS, &skipped)) {
            LOG_WARN("Left out an object that cannot be read",
                     KV_C("resource", kube_resources[p->kind].name), KV_S("namespace", o->ns),
                     KV_S("name", o->name), KV_C("err", err->text), KV_I("skipped", skipped));
        }
    }
    return rc;
}

static void on_remove(void *ctx, struct str ns, struct str name, struct str uid, bool other)
{
    struct part *p = ctx;
    kube_apply_remove(&p->c->apply, p->kind, ns, name, uid, other);
}

static void on_sweep(void *ctx, bool begin)
{
    struct part *p = ctx;
    kube_apply_sweep(&p->c->apply, begin);
}

static void on_event(void *ctx, enum kube_event_type type)
{
    (void)ctx;
    metric_add(METRIC_WATCH_EVENTS, type, 1);
}

static void log_fault(const struct part *p, enum kube_fault f, const char *text)
{
    const struct kube_resource *r = &kube_resources[p->kind];
    if (f == KUBE_FORBIDDEN) {
        char fix[200];
        (void)snprintf(
            fix, sizeof fix,
            "let a ClusterRole of this account get, list and watch %.*s in API group \"%s\"",
            (int)strcspn(r->name, "."), r->name, r->group);
        LOG_ERROR("A permission is missing",
                  KV_C("verb", p->sync.phase == KUBE_LIST_PAGE ? "list" : "watch"),
                  KV_C("resource", r->name), KV_C("fix", fix), KV_C("err", text));
    } else if (f == KUBE_UNAUTHORIZED) {
        LOG_ERROR("The API server does not know us", KV_C("resource", r->name),
                  KV_C("server", p->c->k->server), KV_C("credentials", p->c->k->origin),
                  KV_C("err", text));
    } else {
        LOG_WARN(p->sync.synced ? "Lost the watch; serving from the cache"
                                : "Cannot list yet; trying on",
                 KV_C("resource", r->name), KV_C("cause", kube_fault_name(f)),
                 KV_C("server", p->c->k->server), KV_C("err", text));
    }
}

static void on_fault(void *ctx, enum kube_fault f, const char *text)
{
    struct part *p = ctx;
    metric_add(METRIC_WATCH_RESTARTS, (unsigned)p->kind * KUBE_FAULT_COUNT + f, 1);
    if (f == KUBE_UNAUTHORIZED) {
        p->c->token_ms = 0;
        p->c->fresh = true;
        if (p->sync.n_unauthorized == 1) {
            return; /* the token may just have been rotated */
        }
    }
    if (f != KUBE_ENDED && f != p->logged && !p->sync.absent) {
        log_fault(p, f, text);
        p->logged = f;
    }
}

static void on_listed(void *ctx)
{
    struct part *p = ctx;
    struct state *st = p->c->st;
    metric_add(METRIC_RELISTS, p->kind, 1);
    LOG_INFO(p->said_listed ? "Took over a new list" : "Took over the first list",
             KV_C("resource", kube_resources[p->kind].name), KV_I("objects", p->sync.keys.n),
             KV_C("way", p->sync.no_stream ? "pages" : "stream"));
    p->said_listed = true;
    p->logged = KUBE_FINE;
    (void)state_lock(st, 0);
    st->whole_waits &= ~(1u << p->kind);
    state_unlock(st);
}

/* ---- what a stream brings ---- */

static int on_head(void *ctx, const struct http_head *head)
{
    struct part *p = ctx;
    kube_sync_head(&p->sync, clock_mono_ms(), head->status, head->content_type,
                   head->retry_after_ms);
    return 0;
}

static int on_data(void *ctx, const char *bytes, size_t n)
{
    struct part *p = ctx;
    return kube_sync_data(&p->sync, clock_mono_ms(), bytes, n);
}

static void on_end(void *ctx, int code, const struct err *err)
{
    struct part *p = ctx;
    p->stream = NULL;
    kube_sync_end(&p->sync, clock_mono_ms(), code, err);
}

/* ---- requests ---- */

/* The token as it is now, at most a minute old. */
static int refresh_token(struct kube_client *c, int64_t now_ms, struct err *err)
{
    if (c->token_ms != 0 && now_ms - c->token_ms < TOKEN_EVERY_MS) {
        return 0;
    }
    int rc = kubeconfig_token(c->k, &c->token, err);
    if (rc != 0 && !c->token_bad) {
        LOG_ERROR("Cannot read the token", KV_C("err", err->text));
    }
    c->token_bad = rc != 0;
    c->token_ms = rc == 0 ? now_ms : 0;
    return rc;
}

static int request(struct part *p, int64_t now_ms, struct err *err)
{
    struct kube_client *c = p->c;
    int rc = refresh_token(c, now_ms, err);
    if (rc != 0) {
        return rc;
    }
    bool listing = p->sync.phase != KUBE_WATCH;
    struct http_stream_ask ask = {.url = c->url.p,
                                  .bearer = c->token.p[0] != '\0' ? c->token.p : NULL,
                                  .identity = &c->k->identity,
                                  .connect_ms = c->patience_ms,
                                  .idle_ms = c->patience_ms * (listing ? 1 : WATCH_SILENCE),
                                  .total_ms = listing ? c->patience_ms * LIST_TOTAL : 0,
                                  .fresh = c->fresh,
                                  .sink = {p, on_head, on_data, on_end}};
    p->was_listing = listing;
    return http_pool_start(c->pool, &ask, now_ms, &p->stream, err);
}

/* Starts what is due; returns when to look again. */
static int64_t start_due(struct kube_client *c, int64_t now_ms)
{
    int64_t next_ms = now_ms + WAIT_MS;
    for (int i = 0; i < KUBE_KINDS; i++) {
        struct part *p = &c->parts[i];
        struct err err = ERR_NONE;
        int64_t at_ms = 0;
        buf_clear(&c->url);
        buf_lit(&c->url, c->k->server);
        if (!kube_sync_next(&p->sync, now_ms, KUBE_PAGE, &c->url, &at_ms)) {
            next_ms = at_ms < next_ms ? at_ms : next_ms;
            continue;
        }
        buf_char(&c->url, '\0');
        int rc = c->url.broken ? err_nomem(&err) : request(p, now_ms, &err);
        if (rc != 0) {
            p->stream = NULL;
            kube_sync_end(&p->sync, now_ms, rc, &err);
        }
    }
    c->fresh = false;
    return next_ms;
}

/* A streaming list goes on as a watch: then silence is no fault for longer. */
static void set_patience(struct kube_client *c)
{
    for (int i = 0; i < KUBE_KINDS; i++) {
        struct part *p = &c->parts[i];
        if (p->stream != NULL && p->was_listing && p->sync.watching) {
            p->was_listing = false;
            http_stream_patience(p->stream, c->patience_ms * WATCH_SILENCE, 0);
        }
    }
}

static void relist_all(struct kube_client *c)
{
    uint32_t waits = 0;
    for (int i = 0; i < KUBE_KINDS; i++) {
        struct part *p = &c->parts[i];
        if (p->stream != NULL) {
            http_pool_cancel(c->pool, p->stream);
            p->stream = NULL;
        }
        kube_sync_relist(&p->sync);
        waits |= p->sync.absent ? 0 : 1u << i;
    }
    (void)state_lock(c->st, 0);
    c->st->whole_waits = waits;
    state_unlock(c->st);
}

static void publish(struct kube_client *c)
{
    for (int i = 0; i < KUBE_KINDS; i++) {
        struct part *p = &c->parts[i];
        const struct kube_sync *s = &p->sync;
        struct kube_view_row row = {.fresh_ms = !s->synced    ? -1
                                                : s->watching ? KUBE_WATCHING
                                                              : s->fresh_ms,
                                    .last = s->last,
                                    .absent = s->absent};
        (void)snprintf(row.text, sizeof row.text, "%s", s->why.text);
        kube_view_set(c->st->view, (enum kube_kind)i, &row);
        if (p->logged != KUBE_FINE && s->watching) {
            p->logged = KUBE_FINE;
            LOG_INFO("In step again", KV_C("resource", kube_resources[i].name));
        }
    }
}

static void *run(void *arg)
{
    struct kube_client *c = arg;
    while (!atomic_load(&c->stopping)) {
        struct err err = ERR_NONE;
        int64_t now_ms = clock_mono_ms();
        if (atomic_exchange(&c->st->view->relist_wanted, false)) {
            relist_all(c);
        }
        int64_t next_ms = start_due(c, now_ms);
        publish(c);
        int64_t wait_ms = next_ms > now_ms ? next_ms - now_ms : 0;
        if (http_pool_run(c->pool, clock_mono_ms(), (int)(wait_ms < WAIT_MS ? wait_ms : WAIT_MS),
                          &err) != 0) {
            LOG_ERROR("Cannot wait for the API server", KV_C("err", err.text));
            (void)usleep(WAIT_MS * 1000);
        }
        set_patience(c);
        http_pool_deadlines(c->pool, clock_mono_ms());
    }
    return NULL;
}

/* ---- life ---- */

static void done(struct kube_client *c)
{
    http_pool_close(c->pool);
    for (int i = 0; i < KUBE_KINDS; i++) {
        kube_sync_done(&c->parts[i].sync);
    }
    kube_apply_done(&c->apply);
    buf_done(&c->token);
    buf_done(&c->url);
    mem_free(c);
}

int kube_client_start(struct kube_client **ret, const struct kubeconfig *k, struct state *st,
                      int64_t patience_ms, struct err *err)
{
    struct kube_client *c = mem_calloc(1, sizeof *c);
    uint64_t seed = 0;
    if (c == NULL) {
        return err_nomem(err);
    }
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        seed = (uint64_t)clock_mono_ns();
    }
    c->k = k;
    c->st = st;
    c->patience_ms = patience_ms;
    buf_init(&c->token, 1u << 16);
    buf_init(&c->url, URL_BYTES);
    kube_apply_init(&c->apply, st);
    for (int i = 0; i < KUBE_KINDS; i++) {
        struct part *p = &c->parts[i];
        struct kube_sync_sink sink = {p,        on_upsert, on_remove, on_sweep,
                                      on_event, on_fault,  on_listed};
        p->c = c;
        p->kind = (enum kube_kind)i;
        kube_sync_init(&p->sync, &kube_resources[i], &sink, seed + (uint64_t)i);
    }
    int rc = http_pool_open(&c->pool, err);
    if (rc == 0 && pthread_create(&c->thread, NULL, run, c) != 0) {
        rc = err_set(err, -EAGAIN, "cannot start the thread that watches the cluster");
    }
    if (rc != 0) {
        done(c);
        return rc;
    }
    *ret = c;
    return 0;
}

void kube_client_stop(struct kube_client *c)
{
    if (c == NULL) {
        return;
    }
    atomic_store(&c->stopping, true);
    http_pool_wake(c->pool);
    (void)pthread_join(c->thread, NULL);
    done(c);
}
