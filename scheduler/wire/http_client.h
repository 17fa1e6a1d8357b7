/* HTTP requests over libcurl: the only user of libcurl.
 *
 * Two ways: one blocking call, and many requests at once on one thread (a pool), whose answers are handed on as they come.
 * http and https by URL, HTTP/1.1 only; no redirects, no proxy from the environment, no other scheme. May do I/O; has no
 * clock of its own in the pool, and never logs.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Sends libcurl's allocations through base/mem.h. Once, before threads; harmless when repeated. false: libcurl cannot start. */
bool http_client_init(void);

/* ---- one call ---- */

struct http_ask {
    const char *method; /* "GET", "POST" */
    const char *url;
    struct str body;          /* STR_NONE for none */
    const char *content_type; /* of the body; NULL = application/json */
    long timeout_ms;          /* for everything; > 0 */
};
/* Fills `body` (made by the caller with buf_init) and the status. -EINVAL: no such URL; -ECONNREFUSED, -ETIMEDOUT,
 * -EHOSTUNREACH, -E2BIG (longer than the buffer may be), -EPROTO. A status of 404 is an answer, not an error. */
int http_client_call(const struct http_ask *ask, struct buf *body, int *ret_status,
                     struct err *err) SP_MUST_CHECK;

/* ---- many at once ---- */

/* Who the server must be, and who we are. Text is NUL-terminated; NULL or STR_NONE where not given; bytes win over files.
 * Must outlive the streams that were started with it. */
struct http_identity {
    const char *ca_file, *cert_file, *key_file;
    struct str ca_pem, cert_pem, key_pem;
    const char *server_name; /* the name in the server's certificate, when it is not the URL's */
    const char *proxy;       /* URL of a proxy */
    bool insecure;           /* the server's certificate is not checked */
};
struct http_head {
    int status;
    const char *content_type; /* "" when not given; valid during the call */
    int64_t retry_after_ms;   /* -1 when not given */
};
/* Callbacks of one stream, on the thread of http_pool_run. They may start and cancel streams. */
struct http_sink {
    void *ctx;
    /* The answer's head; nonzero ends the stream with -ECANCELED. */
    int (*head)(void *ctx, const struct http_head *head);
    /* The next bytes of the body; nonzero ends the stream with -ECANCELED. */
    int (*data)(void *ctx, const char *p, size_t n);
    /* Once, at the end: code 0 when the answer is whole. The stream is gone. */
    void (*end)(void *ctx, int code, const struct err *err);
};
struct http_stream_ask {
    const char *url;
    const char *bearer; /* NULL = none; copied */
    const struct http_identity *identity;
    int64_t connect_ms; /* for connecting, TLS included, and for the first byte of the head */
    int64_t idle_ms;    /* the longest silence after it */
    int64_t total_ms;   /* for everything; 0 = no bound */
    bool fresh;         /* on a new connection */
    struct http_sink sink;
};
struct http_pool;
struct http_stream;

int http_pool_open(struct http_pool **ret, struct err *err) SP_MUST_CHECK;
void http_pool_close(struct http_pool *p); /* ends every stream without a call; NULL is fine */
/* A GET. -EINVAL for what libcurl refuses at once, -ENOMEM. `now_ms`: any steady clock, the same for all calls. */
int http_pool_start(struct http_pool *p, const struct http_stream_ask *ask, int64_t now_ms,
                    struct http_stream **ret, struct err *err) SP_MUST_CHECK;
void http_pool_cancel(struct http_pool *p, struct http_stream *s); /* without a call */
/* Other bounds from now on. */
void http_stream_patience(struct http_stream *s, int64_t idle_ms, int64_t total_ms);
/* Moves bytes and calls back; waits up to `wait_ms` when there is nothing to move. */
int http_pool_run(struct http_pool *p, int64_t now_ms, int wait_ms, struct err *err) SP_MUST_CHECK;
/* The deadlines: streams that are silent for too long end with -ETIMEDOUT. */
void http_pool_deadlines(struct http_pool *p, int64_t now_ms);
void http_pool_wake(struct http_pool *p); /* from any thread: ends a waiting http_pool_run */
