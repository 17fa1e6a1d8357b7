// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "support/net_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#define READ_MS  10000
#define START_MS 30000

static _Noreturn void broken(const char *what)
{
    (void)fprintf(stderr, "test machine: %s: %s\n", what, strerror(errno));
    abort();
}

static void *must(void *p)
{
    if (!p) {
        broken("memory");
    }
    return p;
}

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void spawn(struct net_server *s, const char *const *argv)
{
    int pipe_fd[2];
    const char *program = getenv("SPAWNPOINT_PROGRAM");
    program = program ? program : "build/release/spawnpoint";
    if (pipe2(pipe_fd, O_CLOEXEC) != 0) {
        broken("pipe");
    }
    s->pid = fork();
    if (s->pid < 0) {
        broken("fork");
    }
    if (s->pid == 0) {
        (void)dup2(pipe_fd[1], STDERR_FILENO);
        int null = open("/dev/null", O_WRONLY);
        (void)dup2(null, STDOUT_FILENO);
        (void)execv(program, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    (void)close(pipe_fd[1]);
    s->err_fd = pipe_fd[0];
    (void)fcntl(s->err_fd, F_SETFL, O_NONBLOCK);
}

void net_read_log(struct net_server *s, int wait_ms)
{
    struct pollfd p = {.fd = s->err_fd, .events = POLLIN};
    while (poll(&p, 1, wait_ms) == 1) {
        char dropped[4096];
        size_t room = sizeof s->log - 1 - s->n_log;
        ssize_t n = read(s->err_fd, room > 0 ? s->log + s->n_log : dropped,
                         room > 0 ? room : sizeof dropped);
        if (n <= 0) {
            break;
        }
        s->n_log += room > 0 ? (size_t)n : 0;
        wait_ms = 0;
    }
    s->log[s->n_log] = '\0';
}

bool net_wait_log(struct net_server *s, const char *text, int wait_ms)
{
    int64_t until = now_ms() + wait_ms;
    for (;;) {
        net_read_log(s, 20);
        if (strstr(s->log, text)) {
            return true;
        }
        if (now_ms() > until) {
            return false;
        }
        struct timespec pause = {.tv_nsec = 5000000};
        (void)nanosleep(&pause, NULL);
    }
}

void net_start(struct net_server *s, const char *const *args)
{
    static const char *const first[] = {
        "spawnpoint",     "serve",       "--listen",         "127.0.0.1:0",
        "--admin-listen", "127.0.0.1:0", "--shutdown-delay", "0"};
    const char *argv[NET_ARGS_MAX];
    size_t n = sizeof first / sizeof *first;
    memcpy(argv, first, sizeof first);
    while (*args) {
        argv[n++] = *args++;
    }
    argv[n] = NULL;
    memset(s, 0, sizeof *s);
    spawn(s, argv);
    if (!net_wait_log(s, "ready extender=", START_MS) || !net_wait_log(s, "\n", START_MS)) {
        (void)fprintf(stderr, "the server did not become ready:\n%s\n", s->log);
        abort();
    }
    const char *ready = strstr(s->log, "ready extender=");
    if (sscanf(ready, "ready extender=%127s admin=%127s", s->extender, s->admin) != 2) {
        broken("ready line");
    }
}

int net_wait(struct net_server *s, int wait_ms)
{
    int64_t until = now_ms() + wait_ms;
    for (;;) {
        int status = 0;
        net_read_log(s, 0);
        if (waitpid(s->pid, &status, WNOHANG) == s->pid) {
            net_read_log(s, 100);
            (void)close(s->err_fd);
            s->pid = 0;
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        }
        if (now_ms() > until) {
            return -2;
        }
        struct timespec pause = {.tv_nsec = 5000000};
        (void)nanosleep(&pause, NULL);
    }
}

int net_run(struct net_server *s, const char *const *args)
{
    const char *argv[NET_ARGS_MAX] = {"spawnpoint", "serve"};
    size_t n = 2;
    while (*args) {
        argv[n++] = *args++;
    }
    argv[n] = NULL;
    memset(s, 0, sizeof *s);
    spawn(s, argv);
    int code = net_wait(s, START_MS);
    if (code == -2) {
        (void)kill(s->pid, SIGKILL);
        (void)net_wait(s, START_MS);
    }
    return code;
}

int net_stop(struct net_server *s)
{
    if (s->pid == 0) {
        return 0;
    }
    (void)kill(s->pid, SIGTERM);
    int code = net_wait(s, READ_MS * 2);
    if (code == -2) {
        (void)kill(s->pid, SIGKILL);
        (void)net_wait(s, READ_MS);
    }
    if (code != 0) {
        (void)fprintf(stderr, "the server ended with %d; it said:\n%s\n", code, s->log);
    }
    return code;
}

int net_connect(const char *address)
{
    char host[128];
    (void)snprintf(host, sizeof host, "%s", address);
    char *port = strrchr(host, ':');
    if (!port) {
        broken("address");
    }
    *port++ = '\0';
    char *name = host[0] == '[' ? host + 1 : host;
    name[strcspn(name, "]")] = '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *a = NULL;
    if (getaddrinfo(name, port, &hints, &a) != 0) {
        broken("getaddrinfo");
    }
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct timeval limit = {.tv_sec = READ_MS / 1000};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
        broken("connect");
    }
    freeaddrinfo(a);
    return fd;
}

void net_send(int fd, const void *p, size_t n)
{
    const char *at = p;
    while (n > 0) {
        ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the peer has closed: the reply tells */
        }
        at += sent;
        n -= (size_t)sent;
    }
}

static bool fill(int fd, char *p, size_t n)
{
    while (n > 0) {
        ssize_t got = recv(fd, p, n, 0);
        if (got <= 0) {
            return false;
        }
        p += got;
        n -= (size_t)got;
    }
    return true;
}

void net_read(int fd, struct net_reply *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->content_length = -1;
    size_t cap = 65536, n = 0;
    ret->head = must(calloc(1, cap));
    while (n + 1 < cap && (n < 4 || memcmp(ret->head + n - 4, "\r\n\r\n", 4) != 0)) {
        if (recv(fd, ret->head + n, 1, 0) != 1) {
            break;
        }
        n++;
    }
    if (n < 12 || sscanf(ret->head, "HTTP/1.%*d %d", &ret->status) != 1) {
        ret->status = 0;
        ret->body = must(calloc(1, 1));
        return;
    }
    const char *length = strcasestr(ret->head, "\r\nContent-Length: ");
    ret->content_length = length ? strtol(length + 18, NULL, 10) : -1;
    ret->says_close = strcasestr(ret->head, "\r\nConnection: close") != NULL;
    ret->n_body = ret->content_length > 0 ? (size_t)ret->content_length : 0;
    ret->body = must(calloc(1, ret->n_body + 1));
    if (ret->status == 100) {
        net_reply_done(ret);
        net_read(fd, ret);
        return;
    }
    if (!fill(fd, ret->body, ret->n_body)) {
        ret->status = 0;
    }
}

void net_reply_done(struct net_reply *r)
{
    free(r->head);
    free(r->body);
    r->head = r->body = NULL;
}

bool net_closed(int fd, int wait_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char c;
    return poll(&p, 1, wait_ms) == 1 && recv(fd, &c, 1, MSG_PEEK) <= 0;
}

void net_call(const char *address, const char *method, const char *path, const char *body,
              struct net_reply *ret)
{
    int fd = net_connect(address);
    char head[1024];
    int n = snprintf(head, sizeof head,
                     "%s %s HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n", method,
                     path);
    net_send(fd, head, (size_t)n);
    if (body) {
        n = snprintf(head, sizeof head, "Content-Length: %zu\r\n", strlen(body));
        net_send(fd, head, (size_t)n);
    }
    net_send(fd, "\r\n", 2);
    if (body) {
        net_send(fd, body, strlen(body));
    }
    net_read(fd, ret);
    (void)close(fd);
}

void net_post(int fd, const char *path, const char *body, size_t n, struct net_reply *ret)
{
    char *all = must(malloc(n + 512));
    int head = snprintf(all, 512,
                        "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: "
                        "Go-http-client/1.1\r\nContent-Length: %zu\r\n"
                        "Content-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n",
                        path, n);
    memcpy(all + head, body, n);
    net_send(fd, all, (size_t)head + n);
    free(all);
    net_read(fd, ret);
}

char *net_recorded(const char *path, size_t *ret_n, const char **ret_body, size_t *ret_n_body)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        return NULL;
    }
    (void)fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *in = must(malloc(n + 1)), *out = must(malloc(n + 1024));
    if (fread(in, 1, n, f) != n) {
        broken(path);
    }
    (void)fclose(f);
    in[n] = '\0';
    size_t at = 0, w = 0;
    while (at < n) { /* the head, line by line */
        size_t end = at;
        while (end < n && in[end] != '\n') {
            end++;
        }
        size_t len = end - at - (end > at && in[end - 1] == '\r');
        memcpy(out + w, in + at, len);
        w += len;
        memcpy(out + w, "\r\n", 2);
        w += 2;
        at = end + 1;
        if (len == 0) {
            break;
        }
    }
    memcpy(out + w, in + at, n - at);
    *ret_body = out + w;
    *ret_n_body = n - at;
    *ret_n = w + n - at;
    free(in);
    return out;
}

void net_args(char *out, size_t n, const char *pod_name, const char *app, const char *cpu,
              const char *const *names)
{
    int w = snprintf(out, n,
                     "{\"Pod\":{\"metadata\":{\"name\":\"%s\",\"namespace\":\"games\",\"uid\":"
                     "\"uid-%s\",\"labels\":{\"app\":\"%s\"}},"
                     "\"spec\":{\"containers\":[{\"name\":\"server\",\"image\":\"registry.example/"
                     "game/arena:v7\",\"resources\":"
                     "{\"requests\":{\"cpu\":\"%s\",\"memory\":\"64Mi\"}}}],\"schedulerName\":"
                     "\"spawnpoint\"},\"status\":{\"phase\":"
                     "\"Pending\"}},\"Nodes\":null,\"NodeNames\":[",
                     pod_name, pod_name, app, cpu);
    for (size_t i = 0; names[i]; i++) {
        w += snprintf(out + w, n - (size_t)w, "%s\"%s\"", i > 0 ? "," : "", names[i]);
    }
    (void)snprintf(out + w, n - (size_t)w, "]}");
}

static const json_t *walk(const json_t *root, const char *path)
{
    char copy[256];
    (void)snprintf(copy, sizeof copy, "%s", path);
    char *save = NULL;
    for (char *part = strtok_r(copy, ".", &save); part && root; part = strtok_r(NULL, ".", &save)) {
        root = json_is_array(root) ? json_array_get(root, (size_t)strtoul(part, NULL, 10))
                                   : json_object_get(root, part);
    }
    return root;
}

void net_json(const struct net_reply *r, const char *path, char *out, size_t n)
{
    json_error_t error;
    json_t *root = json_loads(r->body, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    const json_t *v = walk(root, path);
    out[0] = '\0';
    if (json_is_string(v)) {
        (void)snprintf(out, n, "%s", json_string_value(v));
    } else if (json_is_integer(v)) {
        (void)snprintf(out, n, "%lld", (long long)json_integer_value(v));
    } else if (json_is_null(v)) {
        (void)snprintf(out, n, "null");
    } else if (json_is_boolean(v)) {
        (void)snprintf(out, n, "%s", json_is_true(v) ? "true" : "false");
    } else if (json_is_real(v)) {
        (void)snprintf(out, n, "%.17g", json_real_value(v));
    }
    json_decref(root);
}

long net_json_size(const struct net_reply *r, const char *path)
{
    json_error_t error;
    json_t *root = json_loads(r->body, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    const json_t *v = path[0] ? walk(root, path) : root;
    long n = json_is_array(v)    ? (long)json_array_size(v)
             : json_is_object(v) ? (long)json_object_size(v)
                                 : -1;
    json_decref(root);
    return n;
}

double net_metric(const struct net_server *s, const char *series)
{
    struct net_reply r;
    net_call(s->admin, "GET", "/metrics", NULL, &r);
    double v = -1;
    size_t n = strlen(series);
    for (const char *line = r.body; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, series, n) == 0 && line[n] == ' ') {
            v = strtod(line + n, NULL);
            break;
        }
    }
    net_reply_done(&r);
    return v;
}
