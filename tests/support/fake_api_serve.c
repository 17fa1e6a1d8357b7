// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "support/fake_api_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LONG_EVENT (17u << 20)

/* ---- writing ---- */

static bool put(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n > 0) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k <= 0) {
            return false;
        }
        p += k;
        n -= (size_t)k;
    }
    return true;
}

static bool put_text(int fd, const char *text)
{
    return put(fd, text, strlen(text));
}

static bool put_chunk(int fd, const char *p, size_t n)
{
    char size[32];
    (void)snprintf(size, sizeof size, "%zx\r\n", n);
    return put_text(fd, size) && put(fd, p, n) && put_text(fd, "\r\n");
}

static bool put_head(int fd, const char *type)
{
    char head[256];
    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n",
                   type);
    return put_text(fd, head);
}

static bool put_body(int fd, int status, const char *more, const char *type, const char *body)
{
    char head[512];
    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 %d X\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n\r\n", status,
                   type, more, strlen(body));
    return put_text(fd, head) && put_text(fd, body);
}

static bool put_status(int fd, int status)
{
    char body[512], more[128] = "";
    const char *reason = status == 401   ? "Unauthorized"
                         : status == 403 ? "Forbidden"
                         : status == 404 ? "NotFound"
                         : status == 410 ? "Expired"
                         : status == 422 ? "Invalid"
                         : status == 429 ? "TooManyRequests"
                         : status == 504 ? "Timeout"
                                         : "InternalError";
    const char *details = status == 504 ? "\"details\":{\"causes\":[{\"reason\":"
                                          "\"ResourceVersionTooLarge\",\"message\":\"Too large "
                                          "resource version\"}],\"retryAfterSeconds\":1},"
                                        : "";
    if (status == 429 || status == 503 || status == 504) {
        (void)snprintf(more, sizeof more, "Retry-After: 1\r\n");
    } else if (status >= 300 && status < 400) {
        (void)snprintf(more, sizeof more, "Location: http://127.0.0.1:1/elsewhere\r\n");
    }
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
                   "\"Failure\",\"message\":\"told to answer "
                   "%d\",\"reason\":\"%s\",%s\"code\":%d}\n",
                   status, reason, details, status);
    return put_body(fd, status, more, "application/json", body);
}

static bool put_event(int fd, const char *type, const char *json)
{
    char *line = NULL;
    int n = asprintf(&line, "{\"type\":\"%s\",\"object\":%s}\n", type, json);
    fake_must(n > 0, "memory");
    bool ok = put_chunk(fd, line, (size_t)n);
    free(line);
    return ok;
}

static bool put_bookmark(int fd, const char *kind, long version, bool end)
{
    char json[512];
    (void)snprintf(
        json, sizeof json,
        "{\"kind\":\"%s\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"%ld\"%s}}",
        kind, version, end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
    return put_event(fd, "BOOKMARK", json);
}

static void reset(int fd)
{
    struct linger l = {.l_onoff = 1};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
}

static bool stopping(struct fake_api *f)
{
    fake_lock(f);
    bool yes = f->stopping || f->down;
    fake_unlock(f);
    return yes;
}

/* Until the peer gives up. */
static void wait_closed(struct fake_api *f, int fd)
{
    char c;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (!stopping(f)) {
        if (poll(&p, 1, 50) > 0 && recv(fd, &c, 1, 0) <= 0) {
            return;
        }
    }
}

static void drip(struct fake_api *f, int fd)
{
    static const char text[] = "{\"kind\":\"NodeList\",\"apiVersion\":\"v1\",\"metadata\":{"
                               "\"resourceVersion\":\"1\"},\"items\":[";
    (void)put_head(fd, "application/json");
    for (size_t i = 0; !stopping(f); i++) {
        if (!put_chunk(fd, i < sizeof text - 1 ? &text[i] : " ", 1)) {
            return;
        }
        (void)usleep(50000);
    }
}

/* ---- requests ---- */

static const char *query_value(const char *query, const char *key, char *out, size_t n)
{
    size_t len = strlen(key);
    out[0] = '\0';
    for (const char *p = query; p != NULL && *p != '\0';
         p = strchr(p, '&') != NULL ? strchr(p, '&') + 1 : NULL) {
        if (strncmp(p, key, len) == 0 && p[len] == '=') {
            size_t size = strcspn(p + len + 1, "&");
            (void)snprintf(out, n, "%.*s", (int)size, p + len + 1);
            return out;
        }
    }
    return NULL;
}

static bool send_list(struct fake_api *f, struct connection *c, size_t at, const char *query)
{
    char text[64], *body = NULL;
    size_t n_body = 0;
    FILE *out = open_memstream(&body, &n_body);
    fake_must(out != NULL, "memory");
    size_t limit =
        query_value(query, "limit", text, sizeof text) != NULL ? strtoul(text, NULL, 10) : SIZE_MAX;
    size_t from =
        query_value(query, "continue", text, sizeof text) != NULL ? strtoul(text, NULL, 10) : 0;
    fake_lock(f);
    const struct resource *r = &f->resources[at];
    size_t to = r->n - (from < r->n ? from : r->n) > limit ? from + limit : r->n;
    (void)fprintf(
        out, "{\"kind\":\"%sList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"%ld\"",
        r->kind, f->version);
    if (to < r->n) {
        (void)fprintf(out, ",\"continue\":\"%zu\",\"remainingItemCount\":%zu", to, r->n - to);
    }
    (void)fprintf(out, "},\"items\":[");
    for (size_t i = from; i < to; i++) {
        (void)fprintf(out, "%s%s", i > from ? "," : "", r->p[i].json);
    }
    fake_unlock(f);
    (void)fprintf(out, "]}\n");
    (void)fclose(out);
    bool ok = put_head(c->fd, "application/json") && put_chunk(c->fd, body, n_body) &&
              put_text(c->fd, "0\r\n\r\n");
    free(body);
    return ok;
}

/* Ends an open watch as told; whether the connection goes on. */
static bool end_watch(struct connection *c, enum fake_cut how)
{
    switch (how) {
    case FAKE_CLEAN:
        return put_text(c->fd, "0\r\n\r\n");
    case FAKE_HALF_EVENT:
        (void)put_chunk(c->fd, "{\"type\":\"ADDED\",\"obj", 20);
        return false;
    case FAKE_RST:
        reset(c->fd);
        return false;
    case FAKE_FREEZE:
        wait_closed(c->f, c->fd);
        return false;
    case FAKE_FIN:
    default:
        return false;
    }
}

static bool send_events(struct fake_api *f, struct connection *c, size_t at, long *version)
{
    for (;;) {
        char *json = NULL;
        const char *type = NULL;
        fake_lock(f);
        for (size_t i = 0; i < f->n_events && json == NULL; i++) {
            if (f->events[i].resource == at && f->events[i].version > *version) {
                json = strdup(f->events[i].json);
                type = f->events[i].type;
                *version = f->events[i].version;
            }
        }
        fake_unlock(f);
        if (json == NULL) {
            return true;
        }
        bool ok = put_event(c->fd, type, json);
        free(json);
        if (!ok) {
            return false;
        }
    }
}

static bool watch_on(struct fake_api *f, struct connection *c, size_t at, long version)
{
    fake_lock(f);
    int cut_gen = f->resources[at].cut_gen, bookmark_gen = f->bookmark_gen;
    fake_unlock(f);
    while (!stopping(f)) {
        if (!send_events(f, c, at, &version)) {
            return false;
        }
        fake_lock(f);
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 20000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&f->changed, &f->lock, &until);
        enum fake_cut cut = f->resources[at].cut_gen != cut_gen ? f->resources[at].cut : 0;
        bool bookmark = f->bookmark_gen != bookmark_gen;
        long now = f->version;
        bookmark_gen = f->bookmark_gen;
        (void)pthread_mutex_unlock(&f->lock);
        if (cut != 0) {
            return end_watch(c, cut);
        }
        if (bookmark && (!send_events(f, c, at, &version) ||
                         !put_bookmark(c->fd, f->resources[at].kind, now, false))) {
            return false;
        }
        char b;
        if (recv(c->fd, &b, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
            return false;
        }
    }
    return false;
}

static bool send_stream(struct fake_api *f, struct connection *c, size_t at, bool stop_short)
{
    bool ok = put_head(c->fd, "application/json");
    fake_lock(f);
    long version = f->version;
    size_t n = f->resources[at].n;
    char **copies = calloc(n + 1, sizeof *copies);
    fake_must(copies != NULL, "memory");
    for (size_t i = 0; i < n; i++) {
        copies[i] = strdup(f->resources[at].p[i].json);
    }
    fake_unlock(f);
    for (size_t i = 0; i < n; i++) {
        ok = ok && put_event(c->fd, "ADDED", copies[i]);
        free(copies[i]);
    }
    free(copies);
    if (stop_short) {
        return ok && put_text(c->fd, "0\r\n\r\n");
    }
    return ok && put_bookmark(c->fd, f->resources[at].kind, version, true) &&
           watch_on(f, c, at, version);
}

static bool send_watch(struct fake_api *f, struct connection *c, size_t at, const char *query)
{
    char text[64];
    long version = query_value(query, "resourceVersion", text, sizeof text) != NULL
                       ? strtol(text, NULL, 10)
                       : 0;
    fake_lock(f);
    bool gone = version<f->compacted, too_new = version> f->version;
    fake_unlock(f);
    if (too_new) {
        return put_status(c->fd, 504);
    }
    if (!put_head(c->fd, "application/json")) {
        return false;
    }
    if (gone) { /* as a real one: in the stream */
        return put_event(c->fd, "ERROR",
                         "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
                         "\"Failure\","
                         "\"message\":\"too old resource "
                         "version\",\"reason\":\"Expired\",\"code\":410}") &&
               put_text(c->fd, "0\r\n\r\n");
    }
    return watch_on(f, c, at, version);
}

static bool send_long_event(int fd)
{
    static const char head[] =
        "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Node\",\"metadata\":{\"name\":\"";
    char *p = malloc(LONG_EVENT);
    fake_must(p != NULL, "memory");
    memset(p, 'a', LONG_EVENT);
    memcpy(p, head, sizeof head - 1);
    bool ok = put_head(fd, "application/json") && put_chunk(fd, p, LONG_EVENT);
    free(p);
    return ok;
}

/* Whether the connection goes on; *ret_go_on: the request is answered as usual behind it. */
static bool misbehave(struct fake_api *f, struct connection *c, enum fake_fault fault, int arg)
{
    char text[256];
    int fd = c->fd;
    switch (fault) {
    case FAKE_STATUS:
        return put_status(fd, arg);
    case FAKE_HTML:
        return put_body(fd, 200, "", "text/html; charset=utf-8",
                        "<html><body>{\"kind\":\"NodeList\"}</body></html>");
    case FAKE_GARBAGE:
        return put_body(fd, 200, "", "application/json", "\x01\x02 this is no JSON }{\n");
    case FAKE_TRUNCATED:
        (void)put_head(fd, "application/json");
        (void)put_text(fd, "ffff\r\n{\"kind\":\"NodeList\",\"apiVersion\":\"v1\",\"metadata\":{"
                           "\"resourceVersion\":\"1\"},\"it");
        return false;
    case FAKE_DRIP:
        drip(f, fd);
        return false;
    case FAKE_SILENT:
        wait_closed(f, fd);
        return false;
    case FAKE_RESET:
        reset(fd);
        return false;
    case FAKE_LIE:
        return put_body(fd, 200, "", "application/json", "{}\n");
    case FAKE_OTHER_KIND:
        return put_body(fd, 200, "", "application/json",
                        "{\"kind\":\"SecretList\",\"apiVersion\":\"v1\",\"metadata\":{"
                        "\"resourceVersion\":\"7\"},\"items\":[]}\n");
    case FAKE_ERROR_EVENT:
        (void)snprintf(text, sizeof text,
                       "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
                       "\"Failure\",\"message\":\"told to\","
                       "\"reason\":\"X\",\"code\":%d}",
                       arg);
        return put_head(fd, "application/json") && put_event(fd, "ERROR", text) &&
               put_text(fd, "0\r\n\r\n");
    case FAKE_LONG_EVENT:
        (void)send_long_event(fd);
        return false;
    case FAKE_NAMELESS:
        return put_head(fd, "application/json") &&
               put_event(fd, "ADDED",
                         "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{"
                         "\"resourceVersion\":\"9\"}}") &&
               put_text(fd, "0\r\n\r\n");
    case FAKE_UNKNOWN_TYPE:
        return put_head(fd, "application/json") &&
               put_event(fd, "REVERSED", "{\"kind\":\"Node\",\"metadata\":{\"name\":\"x\"}}") &&
               put_text(fd, "0\r\n\r\n");
    case FAKE_SHORT:
    default:
        return false;
    }
}

static struct fault take_fault(struct fake_api *f, const char *path, enum fake_request sort)
{
    for (size_t i = 0; i < f->n_faults; i++) {
        struct fault *t = &f->faults[i];
        if ((t->path[0] == '\0' || strcmp(t->path, path) == 0) &&
            (t->when == FAKE_ANY || t->when == sort) && t->times != 0) {
            t->times -= t->times > 0;
            return *t;
        }
    }
    return (struct fault){0};
}

static bool allowed(struct fake_api *f, const char *head)
{
    char want[300];
    (void)snprintf(want, sizeof want, "\r\nAuthorization: Bearer %s\r\n", f->token);
    return f->token[0] == '\0' || strstr(head, want) != NULL;
}

/* One request; whether the connection goes on. */
static bool answer(struct connection *c)
{
    struct fake_api *f = c->f;
    char path[1024] = "";
    if (sscanf(c->head, "GET %1023s HTTP/1.1", path) != 1) {
        return false;
    }
    char *query = strchr(path, '?');
    if (query != NULL) {
        *query++ = '\0';
    } else {
        query = path + strlen(path);
    }
    enum fake_request sort = strstr(query, "sendInitialEvents=true") != NULL ? FAKE_STREAM
                             : strstr(query, "watch=1") != NULL              ? FAKE_WATCH
                                                                             : FAKE_LIST;
    fake_lock(f);
    size_t at = fake_find(f, path);
    bool exists = at != SIZE_MAX && f->resources[at].exists, ok = allowed(f, c->head),
         refuse = f->no_streams;
    struct fault t = take_fault(f, path, sort);
    if (at != SIZE_MAX) {
        f->resources[at].counts[sort]++;
        f->resources[at].counts[FAKE_ANY]++;
    }
    fake_unlock(f);
    if (!ok) {
        return put_status(c->fd, 401);
    }
    if (t.fault != 0 && t.fault != FAKE_SHORT) {
        return misbehave(f, c, t.fault, t.arg);
    }
    if (!exists) {
        return put_body(c->fd, 404, "", "text/plain; charset=utf-8", "404 page not found\n");
    }
    if (sort == FAKE_STREAM && refuse) {
        return put_status(c->fd, 422);
    }
    return sort == FAKE_LIST     ? send_list(f, c, at, query)
           : sort == FAKE_STREAM ? send_stream(f, c, at, t.fault == FAKE_SHORT)
                                 : send_watch(f, c, at, query);
}

static bool read_head(struct connection *c)
{
    size_t n = 0;
    while (n + 1 < sizeof c->head) {
        ssize_t k = recv(c->fd, c->head + n, 1, 0);
        if (k <= 0) {
            return false;
        }
        n++;
        c->head[n] = '\0';
        if (n >= 4 && memcmp(c->head + n - 4, "\r\n\r\n", 4) == 0) {
            return true;
        }
    }
    return false;
}

void *fake_serve(void *arg)
{
    struct connection *c = arg;
    struct fake_api *f = c->f;
    struct timeval t = {.tv_usec = 100000};
    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = 5}, sizeof t);
    for (;;) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        int ready = poll(&p, 1, 50);
        if (stopping(f) || (ready > 0 && (!read_head(c) || !answer(c)))) {
            break;
        }
    }
    (void)close(c->fd);
    free(c);
    fake_lock(f);
    f->n_connections--;
    fake_unlock(f);
    return NULL;
}
