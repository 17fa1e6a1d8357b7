/* HTTP/1.1 over libmicrohttpd: two of these serve the daemon's two ports. The only user of the library.
 *
 * One thread per connection. A request is handed to the handler when its whole body is there; the reply always has a
 * Content-Length and nothing behind it. Deadlines per phase (header, body, reply) are enforced by http_server_tick, which the
 * owner calls a few times a second; idle connections live at least 120 s, longer than Go's client keeps them.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum http_method { HTTP_GET = 0, HTTP_HEAD, HTTP_POST, HTTP_OTHER };

/* One request and its reply; valid during the handler. */
struct http_exchange {
    enum http_method method;
    const char *path;
    struct str body;
    struct arena *arena; /* reset after the reply */
    struct buf *reply;   /* the handler writes the body here */
    int status;          /* starts as 200 */
    const char *type;    /* starts as application/json */
    const char *allow;   /* for 405 */
    int verb;            /* what the route check put there: a metrics label */
    int64_t start_ns;    /* monotonic: the whole request was here */
    void *connection;    /* the server's own */
};
/* A query argument's value, decoded; STR_NONE when it is not there. */
struct str http_query(const struct http_exchange *x, const char *name);
/* {"error":"…"}. */
void http_error(struct http_exchange *x, int status, const char *fmt, ...) SP_PRINTF(3, 4);

struct http_events {
    void *ctx;
    /* Before the body is read: 0, or the status of a refusal (404, 405). Sets x->verb and x->allow. */
    int (*route)(void *ctx, struct http_exchange *x);
    void (*handle)(void *ctx, struct http_exchange *x);
    /* After every answered request. */
    void (*done)(void *ctx, const struct http_exchange *x, size_t request_bytes, size_t reply_bytes,
                 int64_t took_ns);
    /* A connection or request that ended without an answer: constant text. */
    void (*failed)(void *ctx, const char *cause);
};
struct http_opts {
    const char *listen; /* HOST:PORT, [v6]:PORT */
    unsigned max_connections;
    unsigned
        spare; /* with fewer places left, each newcomer ends the connection that has idled longest */
    size_t max_body_bytes;   /* of one request */
    size_t max_bodies_bytes; /* of all requests together; over it 503 */
    int64_t header_ms, body_ms, write_ms, idle_ms;
    struct http_events events;
};
void http_opts_default(struct http_opts *o);

struct http_server;
int http_server_start(struct http_server **ret, const struct http_opts *o,
                      struct err *err) SP_MUST_CHECK;
/* HOST:PORT as bound, with the port that was picked. */
const char *http_server_address(const struct http_server *s);
void http_server_tick(struct http_server *s); /* deadlines */
void http_server_say_close(
    struct http_server *s); /* from now on every reply says Connection: close */
void http_server_quiesce(struct http_server *s); /* no new connections */
unsigned http_server_in_flight(const struct http_server *s);
unsigned http_server_connections(const struct http_server *s);
void http_server_stop(struct http_server *s); /* frees it; NULL is fine */

/* Whether HOST of HOST:PORT is a loopback address; -EINVAL when it does not parse. */
int http_address_loopback(const char *listen, bool *ret, struct err *err) SP_MUST_CHECK;
