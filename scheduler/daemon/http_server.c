// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "daemon/http_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "daemon/clock.h"
#include "daemon/http_address.h"
#include "daemon/http_head.h"

#define POOL_BYTES \
    (64u << 10) /* the library's memory of one connection: headers and pieces of a body */
#define BODY_FIRST_BYTES (1u << 20) /* trusted from a Content-Length before a byte has come */
#define KEEP_BYTES       (4u << 20) /* buffers larger than this are given back after a request */
#define DRAIN_BYTES \
    (16u << 20) /* read and thrown away behind the limit before the connection is cut */
#define STACK_BYTES             (4u << 20)
#define TCP_INFO_BYTES_RECEIVED 128 /* offset of tcpi_bytes_received in Linux' struct tcp_info */

enum phase { PHASE_IDLE = 0, PHASE_HEADER, PHASE_BODY, PHASE_HANDLE, PHASE_WRITE };

/* A connection, as the deadlines see it. */
struct slot {
    struct http_server *server;
    struct slot *next_free;
    int fd; /* -1: free; guarded by server->lock */
    bool cut;
    _Atomic bool served; /* it has had an answer */
    int target_status;   /* of the request line; the connection's own thread alone */
    size_t target_bytes;
    _Atomic int phase;
    _Atomic int64_t since_ms;
    _Atomic uint64_t base_bytes; /* received when the connection went idle */
};
/* A request in the making; kept and reused. */
struct request {
    struct request *next_free;
    struct http_exchange x;
    struct slot *slot;
    struct MHD_Connection *connection;
    struct arena arena;
    struct buf reply, body;
    size_t body_seen, reserved; /* reserved: counted in server->bodies */
    int refused;                /* status to be answered once the body has been read */
    bool answered;
};
struct http_server {
    struct http_opts o;
    struct MHD_Daemon *daemon;
    char address[HTTP_ADDRESS_MAX];
    pthread_mutex_t lock;
    struct slot *slots, *free_slots;
    struct request *free_requests;
    _Atomic unsigned in_flight, connections;
    _Atomic size_t bodies;
    _Atomic bool say_close;
};

void http_opts_default(struct http_opts *o)
{
    *o = (struct http_opts){.max_connections = 128,
                            .spare = 32,
                            .max_body_bytes = LIMIT_BODY_BYTES,
                            .max_bodies_bytes = 4 * (size_t)LIMIT_BODY_BYTES,
                            .header_ms = 5000,
                            .body_ms = 10000,
                            .write_ms = 10000,
                            .idle_ms = 150000};
}

static void failed(struct http_server *s, const char *cause)
{
    s->o.events.failed(s->o.events.ctx, cause);
}

static uint64_t bytes_received(int fd)
{
    unsigned char info[512];
    socklen_t n = sizeof info;
    uint64_t ret = 0;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &n) == 0 &&
        n >= TCP_INFO_BYTES_RECEIVED + sizeof ret) {
        memcpy(&ret, info + TCP_INFO_BYTES_RECEIVED, sizeof ret);
    }
    return ret;
}

static void enter(struct slot *slot, enum phase phase)
{
    if (!slot) {
        return;
    }
    if (phase == PHASE_IDLE) {
        atomic_store(&slot->base_bytes, bytes_received(slot->fd));
    }
    atomic_store(&slot->since_ms, clock_mono_ms());
    atomic_store(&slot->phase, phase);
}

static struct slot *slot_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* ---- requests: a pool ---- */

static struct request *request_take(struct http_server *s)
{
    (void)pthread_mutex_lock(&s->lock);
    struct request *r = s->free_requests;
    if (r) {
        s->free_requests = r->next_free;
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (!r) {
        r = mem_calloc(1, sizeof *r);
        if (!r) {
            return NULL;
        }
        arena_init(&r->arena, LIMIT_REQUEST_ARENA);
        buf_init(&r->reply, LIMIT_REPLY_BYTES);
        buf_init(&r->body, s->o.max_body_bytes);
    }
    atomic_fetch_add(&s->in_flight, 1);
    return r;
}

static void request_free(struct request *r)
{
    arena_done(&r->arena);
    buf_done(&r->reply);
    buf_done(&r->body);
    mem_free(r);
}

static void trim(struct buf *b)
{
    buf_clear(b);
    if (b->cap > KEEP_BYTES) {
        size_t max = b->max;
        buf_done(b);
        buf_init(b, max);
    }
}

static void request_give(struct http_server *s, struct request *r)
{
    trim(&r->reply);
    trim(&r->body);
    if (r->arena.held_bytes > KEEP_BYTES) {
        arena_done(&r->arena);
        arena_init(&r->arena, LIMIT_REQUEST_ARENA);
    } else {
        arena_reset(&r->arena);
    }
    atomic_fetch_sub(&s->bodies, r->reserved);
    r->body_seen = r->reserved = 0;
    r->refused = 0;
    r->answered = false;
    r->slot = NULL;
    r->connection = NULL;
    r->x = (struct http_exchange){0};
    (void)pthread_mutex_lock(&s->lock);
    r->next_free = s->free_requests;
    s->free_requests = r;
    (void)pthread_mutex_unlock(&s->lock);
    atomic_fetch_sub(&s->in_flight, 1);
}

/* ---- answers ---- */

struct str http_query(const struct http_exchange *x, const char *name)
{
    struct request *r = x->connection;
    size_t n = 0;
    const char *value = NULL;
    if (!r || !r->connection ||
        MHD_lookup_connection_value_n(r->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name),
                                      &value, &n) != MHD_YES) {
        return STR_NONE;
    }
    return value ? (struct str){value, n} : STR("");
}

void http_error(struct http_exchange *x, int status, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf_clear(x->reply);
    buf_lit(x->reply, "{\"error\":");
    buf_json_str(x->reply, str_c(text));
    buf_char(x->reply, '}');
    x->status = status;
    x->type = "application/json";
}

static const char *refusal_text(int status)
{
    switch (status) {
    case 400:
        return "malformed HTTP request";
    case 403:
        return "served on loopback only";
    case 404:
        return "no such path";
    case 405:
        return "method not allowed here";
    case 413:
        return "request body is larger than the limit";
    case 414:
        return "request target is longer than 8 KiB";
    case 415:
        return "content type must be application/json";
    case 431:
        return "too many or too large header fields";
    default:
        return "out of memory, try again";
    }
}

static enum MHD_Result answer(struct http_server *s, struct request *r, bool close_it)
{
    struct str body = buf_view(&r->reply);
    if (r->reply.broken) {
        r->x.status = 503;
        r->x.type = "application/json";
        body = STR("{\"error\":\"out of memory, try again\"}");
    }
    struct MHD_Response *m =
        MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p, MHD_RESPMEM_PERSISTENT);
    if (!m) {
        return MHD_NO;
    }
    bool ok = MHD_add_response_header(m, "Content-Type", r->x.type) == MHD_YES;
    if (r->x.status == 405 && r->x.allow) {
        ok = ok && MHD_add_response_header(m, "Allow", r->x.allow) == MHD_YES;
    }
    if (strncmp(r->x.type, "text/html", 9) == 0) {
        ok = ok &&
             MHD_add_response_header(m, "Content-Security-Policy",
                                     "default-src 'none'; style-src 'unsafe-inline'") &&
             MHD_add_response_header(m, "X-Content-Type-Options", "nosniff");
    }
    if (close_it || atomic_load(&s->say_close)) {
        ok = ok && MHD_add_response_header(m, "Connection", "close") == MHD_YES;
    }
    enter(r->slot, PHASE_WRITE);
    enum MHD_Result rc = ok ? MHD_queue_response(r->connection, (unsigned)r->x.status, m) : MHD_NO;
    MHD_destroy_response(m);
    r->answered = rc == MHD_YES;
    if (r->slot) {
        atomic_store(&r->slot->served, true);
    }
    s->o.events.done(s->o.events.ctx, &r->x, r->body_seen, body.n, clock_mono_ns() - r->x.start_ns);
    return rc;
}

static enum MHD_Result refuse(struct http_server *s, struct request *r, int status, bool close_it)
{
    http_error(&r->x, status, "%s", refusal_text(status));
    return answer(s, r, close_it);
}

/* There is no memory for a request of ours; the library's own pool may still do. */
static enum MHD_Result answer_without_request(struct MHD_Connection *c)
{
    static const char body[] = "{\"error\":\"out of memory, try again\"}";
    struct MHD_Response *m = MHD_create_response_from_buffer(
        sizeof body - 1, (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);
    if (!m) {
        return MHD_NO;
    }
    bool ok = MHD_add_response_header(m, "Content-Type", "application/json") == MHD_YES &&
              MHD_add_response_header(m, "Connection", "close") == MHD_YES;
    enum MHD_Result rc = ok ? MHD_queue_response(c, 503, m) : MHD_NO;
    MHD_destroy_response(m);
    return rc;
}

/* ---- the head ---- */

static enum MHD_Result count_header(void *cls, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    (void)kind;
    http_head_field(cls, key, value);
    return MHD_YES;
}

/* Versions before 0.9.76 take bare LF and folded lines for granted, but parse in place: see struct http_head. Later ones
 * refuse them themselves when they are told to be strict. */
static bool parses_in_place(void)
{
    const char *v = MHD_get_version();
    return strncmp(v, "0.9.", 4) == 0 && strcmp(v, "0.9.76") < 0;
}

static bool type_is_json(struct MHD_Connection *c)
{
    const char *type = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Type");
    if (!type) {
        return true;
    }
    struct str rest = str_c(type);
    struct str media = str_trim(str_cut(&rest, ';'));
    return str_eq_nocase(media, STR("application/json"));
}

static enum http_method method_of(const char *m)
{
    if (strcmp(m, "GET") == 0) {
        return HTTP_GET;
    }
    if (strcmp(m, "HEAD") == 0) {
        return HTTP_HEAD;
    }
    return strcmp(m, "POST") == 0 ? HTTP_POST : HTTP_OTHER;
}

static int judge_fields(struct request *r, const char *version)
{
    struct http_head h = {0};
    if (parses_in_place()) {
        h.line_end = version + strlen(version);
        /* The target ends at the blank before the version, unless a NUL stood in it. */
        h.bad = r->slot && version - 1 != r->x.path + r->slot->target_bytes;
    }
    (void)MHD_get_connection_values(r->connection, MHD_HEADER_KIND, count_header, &h);
    if (r->slot && r->slot->target_status != 0) {
        return r->slot->target_status;
    }
    return http_head_judge(&h, version);
}

/* 0, or the status that refuses what the header says. *ret_now: the connection is not to be trusted any more. */
static int judge_head(struct http_server *s, struct request *r, const char *version, bool *ret_now)
{
    *ret_now = true;
    int head = judge_fields(r, version);
    if (head != 0) {
        return head;
    }
    const char *length =
        MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Content-Length");
    int64_t n = 0;
    if (length && (!str_to_i64(str_c(length), &n) || n < 0 || length[0] < '0' || length[0] > '9')) {
        return 400;
    }
    if (n > (int64_t)s->o.max_body_bytes) {
        return 413;
    }
    *ret_now = n > BODY_FIRST_BYTES;
    int status = s->o.events.route(s->o.events.ctx, &r->x);
    if (status == 0 && r->x.method == HTTP_POST && !type_is_json(r->connection)) {
        status = 415;
    }
    if (status == 0 && n > 0) {
        size_t first = n < BODY_FIRST_BYTES ? (size_t)n : BODY_FIRST_BYTES;
        status = buf_reserve(&r->body, first) == 0 ? 0 : 503;
    }
    return status;
}

static enum MHD_Result begin(struct http_server *s, struct MHD_Connection *c, const char *url,
                             const char *method, const char *version, void **con_cls)
{
    struct request *r = request_take(s);
    if (!r) {
        failed(s, "no_memory");
        return answer_without_request(c);
    }
    *con_cls = r;
    r->connection = c;
    r->slot = slot_of(c);
    r->x = (struct http_exchange){.method = method_of(method),
                                  .path = url,
                                  .arena = &r->arena,
                                  .reply = &r->reply,
                                  .status = 200,
                                  .type = "application/json",
                                  .start_ns = clock_mono_ns(),
                                  .connection = r};
    enter(r->slot, PHASE_BODY);
    bool now = false;
    r->refused = judge_head(s, r, version, &now);
    if (r->refused != 0 && now) {
        return refuse(s, r, r->refused,
                      true); /* in the first call: the library closes the connection after it */
    }
    return MHD_YES;
}

/* ---- the body ---- */

static enum MHD_Result take_piece(struct http_server *s, struct request *r, const char *p, size_t n)
{
    r->body_seen += n;
    if (r->body_seen > s->o.max_body_bytes) {
        r->refused = 413;
        if (r->body_seen > s->o.max_body_bytes + DRAIN_BYTES) {
            failed(s, "body_too_large");
            return MHD_NO;
        }
        return MHD_YES;
    }
    if (r->refused != 0) {
        return MHD_YES;
    }
    r->reserved += n;
    if (atomic_fetch_add(&s->bodies, n) + n > s->o.max_bodies_bytes) {
        r->refused = 503;
        return MHD_YES;
    }
    buf_put(&r->body, p, n);
    if (r->body.broken) {
        r->refused = 503;
    }
    return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *n_data, void **con_cls)
{
    struct http_server *s = cls;
    struct request *r = *con_cls;
    if (!r) {
        return begin(s, c, url, method, version, con_cls);
    }
    if (*n_data > 0) {
        enum MHD_Result rc = take_piece(s, r, data, *n_data);
        *n_data = 0;
        return rc;
    }
    if (r->answered) {
        return MHD_YES;
    }
    r->x.path = url;
    r->x.start_ns = clock_mono_ns();
    if (r->refused != 0) {
        return refuse(s, r, r->refused, r->refused == 413 || r->refused == 503);
    }
    enter(r->slot, PHASE_HANDLE);
    r->x.body = buf_view(&r->body);
    s->o.events.handle(s->o.events.ctx, &r->x);
    return answer(s, r, false);
}

static void on_completed(void *cls, struct MHD_Connection *c, void **con_cls,
                         enum MHD_RequestTerminationCode toe)
{
    struct http_server *s = cls;
    struct request *r = *con_cls;
    if (toe != MHD_REQUEST_TERMINATED_COMPLETED_OK &&
        toe != MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN) {
        failed(s, toe == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED ? "timeout" : "broken_off");
    }
    enter(slot_of(c), PHASE_IDLE);
    if (r) {
        *con_cls = NULL;
        request_give(s, r);
    }
}

/* The request line is there. The result would become *con_cls. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *c)
{
    struct slot *slot = slot_of(c);
    (void)cls;
    enter(slot, PHASE_HEADER);
    if (slot) {
        slot->target_bytes = uri ? strlen(uri) : 0;
        slot->target_status = uri ? http_target_judge(uri) : 400;
    }
    return NULL;
}

/* ---- connections and deadlines ---- */

static void cut(struct http_server *s, struct slot *slot, const char *cause)
{
    slot->cut = true;
    (void)shutdown(slot->fd, SHUT_RDWR);
    failed(s, cause);
}

/* The connection that is missed least: first those that never asked anything, then those that are idle; the longest so. */
static bool missed_less(const struct slot *a, const struct slot *b)
{
    bool used_a = atomic_load(&a->served), used_b = atomic_load(&b->served);
    return used_a != used_b ? !used_a : atomic_load(&a->since_ms) < atomic_load(&b->since_ms);
}

/* Nearly full: somebody makes room for who comes next, so that idle connections never lock kube-scheduler out. */
static void make_room(struct http_server *s, const struct slot *newest)
{
    struct slot *out = NULL;
    for (unsigned i = 0; i < s->o.max_connections + 1; i++) {
        struct slot *slot = &s->slots[i];
        int phase = atomic_load(&slot->phase);
        bool waits = phase == PHASE_IDLE || (phase == PHASE_HEADER && !atomic_load(&slot->served));
        if (slot->fd >= 0 && !slot->cut && slot != newest && waits &&
            (!out || missed_less(slot, out))) {
            out = slot;
        }
    }
    if (out) {
        cut(s, out, "crowded_out");
    }
}

static void on_connection(void *cls, struct MHD_Connection *c, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
        (void)pthread_mutex_lock(&s->lock);
        struct slot *slot = s->free_slots;
        if (slot) {
            s->free_slots = slot->next_free;
            slot->cut = false;
            atomic_store(&slot->served, false);
            slot->fd = info ? info->connect_fd : -1;
            atomic_store(&slot->base_bytes, 0);
            atomic_store(&slot->since_ms, clock_mono_ms());
            atomic_store(&slot->phase, PHASE_IDLE);
        }
        if (atomic_fetch_add(&s->connections, 1) + 1 > s->o.max_connections - s->o.spare) {
            make_room(s, slot);
        }
        (void)pthread_mutex_unlock(&s->lock);
        *socket_context = slot;
        return;
    }
    struct slot *slot = *socket_context;
    (void)pthread_mutex_lock(&s->lock);
    if (slot) {
        slot->fd = -1;
        slot->next_free = s->free_slots;
        s->free_slots = slot;
    }
    (void)pthread_mutex_unlock(&s->lock);
    *socket_context = NULL;
    atomic_fetch_sub(&s->connections, 1);
}

/* Why the connection has to go, or NULL. */
static const char *overdue(const struct http_server *s, struct slot *slot, int64_t now_ms)
{
    int64_t age = now_ms - atomic_load(&slot->since_ms);
    switch ((enum phase)atomic_load(&slot->phase)) {
    case PHASE_IDLE:
        if (age <= s->o.header_ms) {
            return NULL;
        }
        return bytes_received(slot->fd) > atomic_load(&slot->base_bytes) ? "slow_header" : NULL;
    case PHASE_HEADER:
        return age > s->o.header_ms ? "slow_header" : NULL;
    case PHASE_BODY:
        return age > s->o.body_ms ? "slow_body" : NULL;
    case PHASE_WRITE:
        return age > s->o.write_ms ? "slow_reader" : NULL;
    case PHASE_HANDLE:
    default:
        return NULL;
    }
}

void http_server_tick(struct http_server *s)
{
    int64_t now_ms = clock_mono_ms();
    (void)pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < s->o.max_connections + 1; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->fd < 0 || slot->cut) {
            continue;
        }
        const char *cause = overdue(s, slot, now_ms);
        if (cause) {
            cut(s, slot, cause);
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
}

/* ---- life ---- */

static int make_slots(struct http_server *s)
{
    s->slots = mem_calloc(s->o.max_connections + 1, sizeof *s->slots);
    if (!s->slots) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < s->o.max_connections + 1; i++) {
        s->slots[i].server = s;
        s->slots[i].fd = -1;
        s->slots[i].next_free = s->free_slots;
        s->free_slots = &s->slots[i];
    }
    return 0;
}

static void quiet(void *cls, const char *fmt, va_list ap)
{
    (void)cls;
    (void)fmt;
    (void)ap; /* what the library would say about each broken request is counted, not told */
}

static int start_daemon(struct http_server *s, int fd, struct err *err)
{
    s->daemon = MHD_start_daemon(
        MHD_USE_POLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
            MHD_USE_ITC | MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, quiet, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, s->o.max_connections,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(s->o.idle_ms / 1000),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
        MHD_OPTION_URI_LOG_CALLBACK, on_uri, s, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_END);
    if (!s->daemon) {
        (void)close(fd);
        return err_set(err, -EIO, "cannot start the HTTP server on %s", s->address);
    }
    return 0;
}

int http_server_start(struct http_server **ret, const struct http_opts *o, struct err *err)
{
    struct http_server *s = mem_calloc(1, sizeof *s);
    if (!s) {
        return err_nomem(err);
    }
    s->o = *o;
    (void)pthread_mutex_init(&s->lock, NULL);
    int fd = -1;
    int rc = make_slots(s) == 0 ? http_listen(o->listen, &fd, s->address, err) : err_nomem(err);
    if (rc == 0) {
        rc = start_daemon(s, fd, err);
    }
    if (rc != 0) {
        http_server_stop(s);
        return rc;
    }
    *ret = s;
    return 0;
}

const char *http_server_address(const struct http_server *s)
{
    return s->address;
}

void http_server_say_close(struct http_server *s)
{
    atomic_store(&s->say_close, true);
}

void http_server_quiesce(struct http_server *s)
{
    int fd = MHD_quiesce_daemon(s->daemon);
    if (fd >= 0) {
        (void)close(fd);
    }
}

unsigned http_server_in_flight(const struct http_server *s)
{
    return atomic_load(&s->in_flight);
}

unsigned http_server_connections(const struct http_server *s)
{
    return atomic_load(&s->connections);
}

void http_server_stop(struct http_server *s)
{
    if (!s) {
        return;
    }
    if (s->daemon) {
        MHD_stop_daemon(s->daemon);
    }
    while (s->free_requests) {
        struct request *r = s->free_requests;
        s->free_requests = r->next_free;
        request_free(r);
    }
    mem_free(s->slots);
    (void)pthread_mutex_destroy(&s->lock);
    mem_free(s);
}
