/* Questions about a live cluster: asked in a child process, which has the model as it is at this moment and may do with it what
 * it likes. No second model is kept, nothing asked here is kept, and /filter waits only for the fork.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "daemon/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "daemon/clock.h"

#define ANSWER_MS 30000 /* a question that takes longer is given up */

/* What the child writes first; the answer's bytes follow. */
struct answer {
    int rc;
    struct err err;
    size_t n;
};

static bool write_all(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n > 0) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno != EINTR) {
            return false;
        }
        p += k > 0 ? k : 0;
        n -= k > 0 ? (size_t)k : 0;
    }
    return true;
}

static bool read_all(int fd, void *bytes, size_t n, int64_t until_ms)
{
    char *p = bytes;
    while (n > 0) {
        struct pollfd fds = {.fd = fd, .events = POLLIN};
        int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms <= 0 || poll(&fds, 1, (int)left_ms) < 0) {
            return false;
        }
        ssize_t k = fds.revents != 0 ? read(fd, p, n) : -1;
        if (k <= 0) {
            return false;
        }
        p += k;
        n -= (size_t)k;
    }
    return true;
}

/* In the child: other threads are gone, and what they had locked is free. */
static void answer(struct lab *l, lab_job job, void *arg, struct arena *arena, struct buf *out,
                   int fd)
{
    struct answer a = {.err = ERR_NONE};
    (void)pthread_mutex_init(&l->st->lock, NULL);
    (void)pthread_mutex_init(&l->lock, NULL);
    l->m = l->st->main;
    l->open = l->live = true;
    a.rc = job(l, arg, arena, out, &a.err);
    if (a.rc == 0 && out->broken) {
        a.rc = err_nomem(&a.err);
    }
    a.n = a.rc == 0 ? out->n : 0;
    bool ok = write_all(fd, &a, sizeof a) && write_all(fd, out->p, a.n);
    _exit(ok ? 0 : 1);
}

static int take(int fd, struct buf *out, struct err *err)
{
    struct answer a;
    int64_t until_ms = clock_mono_ms() + ANSWER_MS;
    if (!read_all(fd, &a, sizeof a, until_ms)) {
        return err_set(err, -ETIMEDOUT, "the question could not be answered within %d s",
                       ANSWER_MS / 1000);
    }
    if (a.rc != 0) {
        *err = a.err;
        return a.rc;
    }
    char *bytes = mem_alloc(a.n);
    int rc = bytes == NULL ? err_nomem(err) : 0;
    if (rc == 0 && !read_all(fd, bytes, a.n, until_ms)) {
        rc = err_set(err, -EIO, "the answer was cut short");
    }
    if (rc == 0) {
        buf_put(out, bytes, a.n);
    }
    mem_free(bytes);
    return rc;
}

int lab_ask_child(struct lab *l, lab_job job, void *arg, struct arena *arena, struct buf *out,
                  struct err *err)
{
    int fds[2];
    if (state_is_stale(l->st)) {
        return err_set(
            err, -ENOMEM,
            "the view of the cluster is stale or not there yet; /readyz says what it waits for");
    }
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return err_set(err, -ENOMEM, "no file descriptor is left");
    }
    (void)pthread_mutex_lock(&l->lock); /* one question at a time */
    (void)state_lock(l->st, 0);
    pid_t child = fork();
    if (child == 0) {
        answer(l, job, arg, arena, out, fds[1]);
    }
    state_unlock(l->st);
    (void)close(fds[1]);
    int rc = child < 0 ? err_set(err, -ENOMEM, "no process can be started for the question")
                       : take(fds[0], out, err);
    (void)close(fds[0]);
    if (child > 0) {
        (void)kill(child, SIGKILL);
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    (void)pthread_mutex_unlock(&l->lock);
    return rc;
}

/* The model as it was for decision `seq`, as far as reservations go: later ones, and the pod's own, are taken off. */
void lab_rewind(struct lab *l, uint64_t seq, struct pod_key except)
{
    struct reserve *r = &l->st->reserve;
    for (uint32_t at = r->first; at != RESERVE_NONE; at = r->p[at].after) {
        const struct track *t = &r->p[at];
        if (t->seq >= seq || (t->key.a == except.a && t->key.b == except.b)) {
            state_forget(r, &l->m, t->key, t->row);
        }
    }
}
