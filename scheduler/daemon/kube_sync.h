/* Keeps one resource of the Kubernetes API in step with a cache: list, watch, and what to do when either fails.
 *
 * A state machine without sockets and without a clock: the owner asks what to request (kube_sync_next), hands in what came
 * (head, data, end), and the cache hears of objects through the sink. A list is taken over item by item; when its last
 * page is there, what it did not name is removed, so that no moment has an emptied cache. Back-off as client-go's reflector:
 * 0.8 s doubling to 30 s with jitter, from the start again after two healthy minutes. resourceVersion is opaque.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/rng.h"
#include "daemon/kube_keys.h"
#include "daemon/kube_list.h"
#include "daemon/kube_watch.h"

struct kube_resource {
    const char *name;     /* "nodes": of metrics and messages */
    const char *group;    /* "" or "agones.dev" */
    const char *path;     /* "/api/v1/nodes" */
    const char *kind;     /* "Node" */
    const char *selector; /* fieldSelector, percent-encoded; NULL = none */
    bool optional;        /* fine when the API does not exist */
};

/* How a request ended when it did not end well. */
enum kube_fault {
    KUBE_FINE = 0,
    KUBE_ENDED,        /* the server ended the watch, as it does every few minutes */
    KUBE_CUT,          /* the connection broke */
    KUBE_SILENT,       /* nothing came for too long, or the list took too long */
    KUBE_CONNECT,      /* no connection */
    KUBE_TLS,          /* the certificate of either side is not accepted */
    KUBE_GONE,         /* 410: the version is too old */
    KUBE_TOO_NEW,      /* 504: the version is newer than what the server has */
    KUBE_THROTTLED,    /* 429 */
    KUBE_SERVER_ERROR, /* 5xx */
    KUBE_UNAUTHORIZED, /* 401 */
    KUBE_FORBIDDEN,    /* 403 */
    KUBE_NOT_FOUND,    /* 404 */
    KUBE_REFUSED,      /* another 4xx */
    KUBE_REDIRECT,     /* 3xx: never followed */
    KUBE_NOT_JSON,     /* another content type: a proxy's page */
    KUBE_BAD_DATA,     /* not what it should be: invalid JSON, another kind, no version */
    KUBE_TOO_LONG,     /* an object over the limit */
    KUBE_NO_MEMORY,
    KUBE_FAULT_COUNT
};
const char *kube_fault_name(enum kube_fault f);

struct kube_sync_sink {
    void *ctx;
    /* The object as it is now. -ENOMEM lists again; any other failure is the sink's to count: the object stays as it was. */
    int (*upsert)(void *ctx, const struct kube_object *o, struct err *err);
    /* The object of this name is gone. `uid`: only when it has this UID (where both have one); with `other`: only when it
     * has another one than this. */
    void (*remove)(void *ctx, struct str ns, struct str name, struct str uid, bool other);
    /* Around the removals at the end of a list. */
    void (*sweep)(void *ctx, bool begin);
    void (*event)(void *ctx, enum kube_event_type type);
    /* A request ended so; `text` says more. */
    void (*fault)(void *ctx, enum kube_fault fault, const char *text);
    void (*listed)(void *ctx); /* a list was taken over in full */
};

enum kube_phase { KUBE_LIST_STREAM = 0, KUBE_LIST_PAGE, KUBE_WATCH };
enum kube_body { KUBE_BODY_STATUS = 0, KUBE_BODY_LIST, KUBE_BODY_EVENTS };

struct kube_sync {
    const struct kube_resource *resource;
    struct kube_sync_sink sink;
    struct rng rng;
    struct kube_keys keys;
    uint32_t gen; /* of the list */
    enum kube_phase phase;
    bool in_flight, has_head, watching; /* watching: in flight, and the initial state is there */
    bool synced;                        /* a list was taken over in full since the start */
    bool absent;                        /* optional, and the API does not exist */
    bool no_stream;                     /* the server does not do streaming lists */
    enum kube_fault fault;              /* of the request in flight; found while reading */
    enum kube_fault last; /* how the last request ended; KUBE_FINE once one goes well */
    struct err why;
    enum kube_body body;
    int status;
    int64_t retry_after_ms, not_before_ms, started_ms, byte_ms, failed_ms, gone_ms, fresh_ms,
        backoff_ms;
    bool has_failed, has_gone;
    int64_t
        silent_ms; /* last byte of a watch that fell silent; 0 = none: told as age only if the next try fails too */
    uint32_t n_events, n_refused, n_too_new, n_unauthorized, n_short_lists;
    struct buf version, next; /* resourceVersion; the continue token of the next page */
    struct kube_list list;
    struct kube_lines lines;
    struct buf answer; /* of a failed request, its first bytes */
};

void kube_sync_init(struct kube_sync *s, const struct kube_resource *r,
                    const struct kube_sync_sink *sink, uint64_t seed);
void kube_sync_done(struct kube_sync *s);

/* True: request this path and query (written to `out`) now; the request counts as in flight. False: ask again at *ret_at
 * (INT64_MAX: only after the request in flight has ended). `page`: items to a page. */
bool kube_sync_next(struct kube_sync *s, int64_t now_ms, unsigned page, struct buf *out,
                    int64_t *ret_at);
void kube_sync_head(struct kube_sync *s, int64_t now_ms, int status, const char *content_type,
                    int64_t retry_after_ms);
int kube_sync_data(struct kube_sync *s, int64_t now_ms, const char *p,
                   size_t n); /* nonzero: drop the connection */
/* code: 0 when the answer was whole, else how the transport failed; -ECANCELED after kube_sync_data said so. */
void kube_sync_end(struct kube_sync *s, int64_t now_ms, int code, const struct err *err);
/* Makes it list again. The owner has dropped the request in flight, and does not call kube_sync_end for it. */
void kube_sync_relist(struct kube_sync *s);

/* How old the view is: 0 while a watch is open; -1 before the first list. */
int64_t kube_sync_age_ms(const struct kube_sync *s, int64_t now_ms);
void kube_put_encoded(struct buf *out, struct str s); /* as a value in a query */
bool kube_sync_listing(
    const struct kube_sync *s); /* a list is in flight: shorter patience than for a watch */
