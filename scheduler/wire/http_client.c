/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/http_client.h"

#include <curl/curl.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/mem.h"

bool http_client_init(void)
{
    return curl_global_init_mem(CURL_GLOBAL_DEFAULT, mem_alloc, mem_free, mem_realloc, mem_strdup,
                                mem_calloc) == CURLE_OK;
}

static size_t take(char *p, size_t size, size_t n, void *arg)
{
    struct buf *body = arg;
    buf_put(body, p, size * n);
    return body->broken ? 0 : size * n;
}

static int curl_failure(CURLcode code, const struct http_ask *ask, const struct buf *body,
                        const char *detail, struct err *err)
{
    int number = -EPROTO;
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        number = -EINVAL;
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
        number = -EHOSTUNREACH;
        break;
    case CURLE_COULDNT_CONNECT:
        number = -ECONNREFUSED;
        break;
    case CURLE_OPERATION_TIMEDOUT:
        number = -ETIMEDOUT;
        break;
    case CURLE_OUT_OF_MEMORY:
        return err_nomem(err);
    case CURLE_WRITE_ERROR:
        number = body->broken ? -E2BIG : -EIO;
        break;
    default:
        break;
    }
    if (number == -E2BIG && body->starved) {
        return err_nomem(err);
    }
    if (number == -E2BIG) {
        return err_set(err, number, "%.200s: the answer is longer than %zu bytes", ask->url,
                       body->max);
    }
    return err_set(err, number, "%.200s: %s", ask->url,
                   detail[0] != '\0' ? detail : curl_easy_strerror(code));
}

static CURLcode set_options(CURL *curl, const struct http_ask *ask, struct curl_slist *headers,
                            struct buf *body, char *detail)
{
    CURLcode rc = curl_easy_setopt(curl, CURLOPT_URL, ask->url);
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    }
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, ask->method);
    }
    if (rc == CURLE_OK && ask->body.p != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->body.n);
        rc = curl_easy_setopt(curl, CURLOPT_POSTFIELDS, ask->body.p);
    }
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ask->timeout_ms);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    return rc == CURLE_OK ? curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) : rc;
}

int http_client_call(const struct http_ask *ask, struct buf *body, int *ret_status, struct err *err)
{
    char detail[CURL_ERROR_SIZE] = "", type[200];
    long status = 0;
    CURL *curl = curl_easy_init();
    (void)snprintf(type, sizeof type, "Content-Type: %s",
                   ask->content_type != NULL ? ask->content_type : "application/json");
    /* "Expect:" alone takes the header out: no waiting for a 100 before a body. */
    struct curl_slist *headers = curl_slist_append(NULL, type);
    struct curl_slist *more = headers != NULL ? curl_slist_append(headers, "Expect:") : NULL;
    if (curl == NULL || more == NULL) {
        curl_slist_free_all(headers);
        curl_easy_cleanup(curl);
        return err_nomem(err);
    }
    CURLcode code = set_options(curl, ask, more, body, detail);
    if (code == CURLE_OK) {
        code = curl_easy_perform(curl);
    }
    if (code == CURLE_OK) {
        code = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    }
    int rc = code == CURLE_OK ? 0 : curl_failure(code, ask, body, detail, err);
    if (rc == 0) {
        *ret_status = (int)status;
    }
    curl_slist_free_all(more);
    curl_easy_cleanup(curl);
    return rc;
}

/* ---- many at once ---- */

#define CONNECTIONS_MAX 32L
#define KEEP_IDLE_S     20 /* a peer that is gone is found after 20 + 3 * 10 seconds */
#define KEEP_EVERY_S    10
#define KEEP_TRIES      3
#define PIECE_BYTES     65536L

struct http_stream {
    struct http_stream *next, *prev;
    const struct http_pool *pool;
    CURL *curl;
    struct curl_slist *headers, *connect_to;
    struct http_sink sink;
    int64_t start_ms, last_ms, connect_ms, idle_ms, total_ms;
    bool has_head, stopped;
    char detail[CURL_ERROR_SIZE];
};
struct http_pool {
    CURLM *multi;
    struct http_stream *first;
    int64_t now_ms;
};

/* A dead peer behind a silent connection is found by the kernel. */
static int on_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    const int on = 1, idle = KEEP_IDLE_S, every = KEEP_EVERY_S, tries = KEEP_TRIES;
    const unsigned unacked_ms = (KEEP_IDLE_S + KEEP_EVERY_S * KEEP_TRIES) * 1000;
    (void)arg;
    (void)purpose;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof unacked_ms);
    return CURL_SOCKOPT_OK;
}

/* Before the first byte of the body, or at the end when there is none. */
static int give_head(struct http_stream *s)
{
    long status = 0;
    curl_off_t retry_s = 0;
    char *type = NULL;
    s->has_head = true;
    (void)curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(s->curl, CURLINFO_RETRY_AFTER, &retry_s);
    (void)curl_easy_getinfo(s->curl, CURLINFO_CONTENT_TYPE, &type);
    struct http_head head = {.status = (int)status,
                             .content_type = type != NULL ? type : "",
                             .retry_after_ms =
                                 retry_s > 0 && retry_s < 1000000 ? (int64_t)retry_s * 1000 : -1};
    return s->sink.head(s->sink.ctx, &head);
}

static size_t on_head_line(char *p, size_t size, size_t n, void *arg)
{
    struct http_stream *s = arg;
    size_t bytes = size * n;
    long status = 0;
    s->last_ms = s->pool->now_ms;
    bool end = bytes == 2 && p[0] == '\r';
    (void)curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
    if (end && status >= 200 && !s->has_head && give_head(s) != 0) {
        s->stopped = true;
        return 0;
    }
    return bytes;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct http_stream *s = arg;
    s->last_ms = s->pool->now_ms;
    if (s->stopped || s->sink.data(s->sink.ctx, p, size * n) != 0) {
        s->stopped = true;
        return 0;
    }
    return size * n;
}

static int on_progress(void *arg, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up_now)
{
    (void)total;
    (void)now;
    (void)up_total;
    (void)up_now;
    return ((struct http_stream *)arg)->stopped ? 1 : 0;
}

static CURLcode set_blob(CURL *curl, CURLoption option, struct str pem)
{
    struct curl_blob blob = {
        .data = (void *)(uintptr_t)pem.p, .len = pem.n, .flags = CURL_BLOB_NOCOPY};
    return curl_easy_setopt(curl, option, &blob);
}

static CURLcode set_identity(CURL *curl, const struct http_identity *id)
{
    CURLcode rc = CURLE_OK;
    if (id->ca_pem.n > 0) {
        rc = set_blob(curl, CURLOPT_CAINFO_BLOB, id->ca_pem);
    } else if (id->ca_file != NULL) {
        rc = curl_easy_setopt(curl, CURLOPT_CAINFO, id->ca_file);
    }
    if (rc == CURLE_OK && id->cert_pem.n > 0) {
        rc = set_blob(curl, CURLOPT_SSLCERT_BLOB, id->cert_pem);
    } else if (rc == CURLE_OK && id->cert_file != NULL) {
        rc = curl_easy_setopt(curl, CURLOPT_SSLCERT, id->cert_file);
    }
    if (rc == CURLE_OK && id->key_pem.n > 0) {
        rc = set_blob(curl, CURLOPT_SSLKEY_BLOB, id->key_pem);
    } else if (rc == CURLE_OK && id->key_file != NULL) {
        rc = curl_easy_setopt(curl, CURLOPT_SSLKEY, id->key_file);
    }
    (void)curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, id->insecure ? 0L : 1L);
    (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, id->insecure ? 0L : 2L);
    (void)curl_easy_setopt(curl, CURLOPT_CA_CACHE_TIMEOUT, 0L); /* a CA file may be replaced */
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, id->proxy != NULL ? id->proxy : "");
    return rc;
}

/* Where the certificate bears another name, that name is asked for at the URL's own address. */
static CURLcode set_url(struct http_stream *s, const struct http_stream_ask *ask)
{
    const char *name = ask->identity->server_name;
    CURLU *u = name != NULL ? curl_url() : NULL;
    char *host = NULL, *port = NULL, *url = NULL, line[600];
    CURLcode rc = CURLE_URL_MALFORMAT;
    if (name == NULL) {
        return curl_easy_setopt(s->curl, CURLOPT_URL, ask->url);
    }
    if (u != NULL && curl_url_set(u, CURLUPART_URL, ask->url, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
        curl_url_set(u, CURLUPART_HOST, name, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_URL, &url, 0) == CURLUE_OK) {
        (void)snprintf(line, sizeof line, "%s:%s:%s:%s", name, port, host, port);
        s->connect_to = curl_slist_append(NULL, line);
        rc = s->connect_to != NULL ? curl_easy_setopt(s->curl, CURLOPT_CONNECT_TO, s->connect_to)
                                   : CURLE_OUT_OF_MEMORY;
        rc = rc == CURLE_OK ? curl_easy_setopt(s->curl, CURLOPT_URL, url) : rc;
    }
    curl_free(host);
    curl_free(port);
    curl_free(url);
    curl_url_cleanup(u);
    return rc;
}

static CURLcode set_stream(struct http_stream *s, const struct http_stream_ask *ask)
{
    CURL *c = s->curl;
    CURLcode rc = set_url(s, ask);
    rc = rc == CURLE_OK ? set_identity(c, ask->identity) : rc;
    rc = rc == CURLE_OK ? curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") : rc;
    (void)curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, s->headers);
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(c, CURLOPT_BUFFERSIZE, PIECE_BYTES);
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)ask->connect_ms);
    (void)curl_easy_setopt(c, CURLOPT_TCP_NODELAY, 1L);
    (void)curl_easy_setopt(c, CURLOPT_SOCKOPTFUNCTION, on_socket);
    (void)curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, ask->fresh ? 1L : 0L);
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "spawnpoint");
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, s->detail);
    (void)curl_easy_setopt(c, CURLOPT_HEADERDATA, s);
    (void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_head_line);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, s);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFODATA, s);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(c, CURLOPT_PRIVATE, s);
    return rc;
}

int http_pool_open(struct http_pool **ret, struct err *err)
{
    struct http_pool *p = mem_calloc(1, sizeof *p);
    CURLM *multi = p != NULL ? curl_multi_init() : NULL;
    if (multi == NULL) {
        mem_free(p);
        return err_nomem(err);
    }
    p->multi = multi;
    (void)curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, CONNECTIONS_MAX);
    (void)curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    *ret = p;
    return 0;
}

static void stream_free(struct http_stream *s)
{
    curl_slist_free_all(s->headers);
    curl_slist_free_all(s->connect_to);
    curl_easy_cleanup(s->curl);
    mem_free(s);
}

void http_pool_cancel(struct http_pool *p, struct http_stream *s)
{
    if (s->prev != NULL) {
        s->prev->next = s->next;
    } else {
        p->first = s->next;
    }
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
    (void)curl_multi_remove_handle(p->multi, s->curl);
    stream_free(s);
}

void http_stream_patience(struct http_stream *s, int64_t idle_ms, int64_t total_ms)
{
    s->idle_ms = idle_ms;
    s->total_ms = total_ms;
}

void http_pool_close(struct http_pool *p)
{
    if (p == NULL) {
        return;
    }
    while (p->first != NULL) {
        http_pool_cancel(p, p->first);
    }
    (void)curl_multi_cleanup(p->multi);
    mem_free(p);
}

static int make_headers(struct http_stream *s, const char *bearer, struct err *err)
{
    s->headers = curl_slist_append(NULL, "Accept: application/json");
    if (s->headers == NULL || bearer == NULL) {
        return s->headers != NULL ? 0 : err_nomem(err);
    }
    struct buf line CLEANUP_BUF;
    buf_init(&line, 1u << 17);
    buf_printf(&line, "Authorization: Bearer %s", bearer);
    buf_char(&line, '\0');
    struct curl_slist *more = line.broken ? NULL : curl_slist_append(s->headers, line.p);
    if (more == NULL) {
        return err_nomem(err);
    }
    s->headers = more;
    return 0;
}

int http_pool_start(struct http_pool *p, const struct http_stream_ask *ask, int64_t now_ms,
                    struct http_stream **ret, struct err *err)
{
    struct http_stream *s = mem_calloc(1, sizeof *s);
    if (s == NULL) {
        return err_nomem(err);
    }
    s->curl = curl_easy_init();
    s->sink = ask->sink;
    s->pool = p;
    p->now_ms = now_ms;
    s->start_ms = s->last_ms = now_ms;
    s->connect_ms = ask->connect_ms;
    s->idle_ms = ask->idle_ms;
    s->total_ms = ask->total_ms;
    int rc = s->curl != NULL ? make_headers(s, ask->bearer, err) : err_nomem(err);
    CURLcode code = rc == 0 ? set_stream(s, ask) : CURLE_OK;
    if (code != CURLE_OK) {
        rc = err_set(err, -EINVAL, "%.200s: %s", ask->url, curl_easy_strerror(code));
    }
    if (rc == 0 && curl_multi_add_handle(p->multi, s->curl) != CURLM_OK) {
        rc = err_nomem(err);
    }
    if (rc != 0) {
        stream_free(s);
        return rc;
    }
    s->next = p->first;
    if (s->next != NULL) {
        s->next->prev = s;
    }
    p->first = s;
    *ret = s;
    return 0;
}

/* Calls the end and forgets the stream. */
static void finish(struct http_pool *p, struct http_stream *s, int code, const struct err *err)
{
    struct http_sink sink = s->sink;
    struct err copy = *err;
    http_pool_cancel(p, s);
    sink.end(sink.ctx, code, &copy);
}

static int stream_code(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_COULDNT_RESOLVE_HOST:
        return -EHOSTUNREACH;
    case CURLE_COULDNT_CONNECT:
        return -ECONNREFUSED;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
        return -ECONNRESET;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CONNECT_ERROR:
        return -EKEYREJECTED;
    default:
        return -EPROTO;
    }
}

static void reap(struct http_pool *p)
{
    int left = 0;
    for (CURLMsg *m; (m = curl_multi_info_read(p->multi, &left)) != NULL;) {
        struct http_stream *s = NULL;
        struct err err = ERR_NONE;
        if (m->msg != CURLMSG_DONE ||
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&s) != CURLE_OK) {
            continue;
        }
        CURLcode result = m->data.result;
        int code = s->stopped ? -ECANCELED : stream_code(result);
        if (code == 0 && !s->has_head && give_head(s) != 0) {
            code = -ECANCELED;
        }
        if (code != 0) {
            (void)err_set(&err, code, "%s",
                          s->detail[0] != '\0' ? s->detail : curl_easy_strerror(result));
        }
        finish(p, s, code, &err);
    }
}

void http_pool_deadlines(struct http_pool *p, int64_t now_ms)
{
    for (struct http_stream *s = p->first, *next; s != NULL; s = next) {
        int64_t bound = s->has_head ? s->idle_ms : s->connect_ms;
        bool silent = now_ms - s->last_ms > bound,
             late = s->total_ms > 0 && now_ms - s->start_ms > s->total_ms;
        next = s->next;
        if (silent || late) {
            struct err err = ERR_NONE;
            (void)err_set(&err, -ETIMEDOUT,
                          silent ? "nothing came for %lld ms" : "not finished after %lld ms",
                          (long long)(silent ? bound : s->total_ms));
            finish(p, s, -ETIMEDOUT, &err);
            next = p->first; /* the call may have changed the list */
        }
    }
}

int http_pool_run(struct http_pool *p, int64_t now_ms, int wait_ms, struct err *err)
{
    int running = 0;
    p->now_ms = now_ms;
    CURLMcode code = curl_multi_perform(p->multi, &running);
    reap(p);
    if (code == CURLM_OK) {
        code = curl_multi_poll(p->multi, NULL, 0, wait_ms, NULL);
    }
    return code == CURLM_OK ? 0
                            : err_set(err, code == CURLM_OUT_OF_MEMORY ? -ENOMEM : -EIO, "%s",
                                      curl_multi_strerror(code));
}

void http_pool_wake(struct http_pool *p)
{
    (void)curl_multi_wakeup(p->multi);
}
