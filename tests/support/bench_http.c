// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "support/bench_http.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/bench.h"

/* The port of "ready extender=127.0.0.1:PORT". */
static uint16_t wait_ready(int log)
{
    static const char key[] = "ready extender=127.0.0.1:";
    char text[1 << 16];
    size_t n = 0;
    for (;;) {
        ssize_t got = n < sizeof text - 1 ? read(log, text + n, sizeof text - 1 - n) : 0;
        if (got <= 0) {
            text[n] = '\0';
            bench_die("the program did not start", text);
        }
        n += (size_t)got;
        text[n] = '\0';
        char *at = strstr(text, key);
        if (at && strchr(at, '\n')) {
            return (uint16_t)strtoul(at + sizeof key - 1, NULL, 10);
        }
    }
}

void bench_http_start(struct bench_http *h, const char *program, char *const argv[])
{
    int ends[2];
    if (pipe(ends) != 0) {
        bench_die("pipe", "failed");
    }
    fflush(stdout);
    h->pid = fork();
    if (h->pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execv(program, argv);
        _exit(127);
    }
    close(ends[1]);
    h->log = ends[0];
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr = {htonl(INADDR_LOOPBACK)},
                             .sin_port = htons(wait_ready(h->log))};
    int on = 1;
    h->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (h->fd < 0 || connect(h->fd, (struct sockaddr *)&to, sizeof to) != 0 ||
        setsockopt(h->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        bench_die("extender port", "cannot connect");
    }
}

void bench_http_stop(struct bench_http *h)
{
    int status;
    close(h->fd);
    kill(h->pid, SIGTERM);
    close(h->log);
    waitpid(h->pid, &status, 0);
}

static void send_all(int fd, struct str head, struct str body)
{
    while (head.n + body.n > 0) {
        struct iovec v[2] = {{(void *)(uintptr_t)head.p, head.n},
                             {(void *)(uintptr_t)body.p, body.n}};
        ssize_t n = writev(fd, v, 2);
        if (n <= 0) {
            bench_die("extender port", "cannot write");
        }
        size_t of_head = (size_t)n < head.n ? (size_t)n : head.n;
        head.p += of_head;
        head.n -= of_head;
        body.p += (size_t)n - of_head;
        body.n -= (size_t)n - of_head;
    }
}

int bench_http_post(struct bench_http *h, const char *path, struct str body, struct buf *reply)
{
    char head[512], block[1 << 16];
    int n = snprintf(head, sizeof head,
                     "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: "
                     "Go-http-client/1.1\r\nContent-Length: %zu\r\n"
                     "Content-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n",
                     path, body.n);
    send_all(h->fd, (struct str){head, (size_t)n}, body);
    buf_clear(reply);
    for (size_t want = SIZE_MAX, start = 0; reply->n < want;) {
        ssize_t got = read(h->fd, block, sizeof block);
        if (got <= 0) {
            bench_die("extender port", "closed the connection");
        }
        buf_put(reply, block, (size_t)got);
        char *end = start == 0 ? memmem(reply->p, reply->n, "\r\n\r\n", 4) : NULL;
        if (end) {
            start = (size_t)(end - reply->p) + 4;
            *end = '\0';
            const char *length = strcasestr(reply->p, "content-length:");
            want = length ? start + strtoul(length + 15, NULL, 10) : start;
        }
    }
    return reply->n > 12 ? (int)strtol(reply->p + 9, NULL, 10) : 0;
}

int64_t bench_http_cpu_ns(const struct bench_http *h)
{
    char path[512], text[128];
    int64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%ld/task", (long)h->pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "/proc/%ld/task/%s/schedstat", (long)h->pid, e->d_name);
        FILE *f = fopen(path, "r");
        if (f && fgets(text, sizeof text, f)) {
            sum += strtoll(text, NULL, 10);
        }
        if (f) {
            fclose(f);
        }
    }
    if (d) {
        closedir(d);
    }
    return sum;
}
