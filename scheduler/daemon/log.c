// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "daemon/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PLAIN_WAIT_MS \
    1000 /* nobody may read standard error: the daemon must not stand still for that */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t dropped;

struct line {
    char p[LOG_LINE_MAX];
    size_t n;
};

static void put(struct line *l, const char *p, size_t n)
{
    size_t room = sizeof l->p - 1 - l->n; /* one byte is kept for the line's end */
    n = n < room ? n : room;
    if (n > 0) {
        memcpy(l->p + l->n, p, n);
        l->n += n;
    }
}

static void put_quoted(struct line *l, struct str s)
{
    static const char hex[] = "0123456789abcdef";
    put(l, "\"", 1);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        if (ch == '"' || ch == '\\') {
            put(l, (char[]){'\\', (char)ch}, 2);
        } else if (ch == '\n') {
            put(l, "\\n", 2);
        } else if (ch < 0x20 || ch >= 0x7f) {
            put(l, (char[]){'\\', 'x', hex[ch >> 4], hex[ch & 15]}, 4);
        } else {
            put(l, (const char *)&ch, 1);
        }
    }
    put(l, "\"", 1);
}

static void put_head(struct line *l, char level, const char *file, int number)
{
    struct timespec now;
    struct tm tm;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    const char *base = strrchr(file, '/');
    char head[160];
    int n = snprintf(head, sizeof head, "%c%02d%02d %02d:%02d:%02d.%06ld %7ld %s:%d] ", level,
                     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                     now.tv_nsec / 1000, syscall(SYS_gettid), base ? base + 1 : file, number);
    if (n > 0) {
        put(l, head, (size_t)n < sizeof head ? (size_t)n : sizeof head - 1);
    }
}

/* Waits at most wait_ms for standard error to take it. */
static void send_line(const struct line *l, int wait_ms)
{
    (void)pthread_mutex_lock(&lock);
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    bool sent = poll(&p, 1, wait_ms) == 1 && (p.revents & POLLOUT) != 0 &&
                write(STDERR_FILENO, l->p, l->n) == (ssize_t)l->n;
    (void)pthread_mutex_unlock(&lock);
    if (!sent) {
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
    }
}

void log_write(char level, const char *file, int line, const char *message, const struct log_kv *kv,
               size_t n)
{
    struct line l;
    l.n = 0;
    put_head(&l, level, file, line);
    put_quoted(&l, str_c(message));
    for (size_t i = 0; i < n; i++) {
        put(&l, " ", 1);
        put(&l, kv[i].key, strlen(kv[i].key));
        put(&l, "=", 1);
        if (kv[i].is_text) {
            put_quoted(&l, kv[i].text);
        } else {
            char number[32];
            int len = snprintf(number, sizeof number, "%lld", (long long)kv[i].number);
            put(&l, number, len > 0 ? (size_t)len : 0);
        }
    }
    l.p[l.n++] = '\n';
    send_line(&l, 0);
}

void log_plain(const char *text)
{
    struct line l;
    l.n = 0;
    put(&l, text, strlen(text));
    l.p[l.n++] = '\n';
    send_line(&l, PLAIN_WAIT_MS);
}

uint64_t log_dropped(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}

bool log_allowed(struct log_limit *l, int64_t now_ms, int64_t every_ms, uint64_t *ret_skipped)
{
    int64_t next = atomic_load(&l->next_ms);
    if (now_ms < next || !atomic_compare_exchange_strong(&l->next_ms, &next, now_ms + every_ms)) {
        atomic_fetch_add(&l->skipped, 1);
        return false;
    }
    *ret_skipped = atomic_exchange(&l->skipped, 0);
    return true;
}
