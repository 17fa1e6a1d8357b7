/* Files and standard input in windows, digested while they are read.
 * SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "wire/load_impl.h"

#define WINDOW_BYTES ((size_t)256 << 10)

static void reset(struct source *s, const char *name)
{
    *s = (struct source){.fd = -1, .file = name, .line = 1, .column = 1};
    sha256_init(&s->sha);
}

int source_open_file(struct source *s, const char *path, struct err *err)
{
    reset(s, strcmp(path, "-") == 0 ? "standard input" : path);
    s->fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) {
        int code = -errno;
        err_set(err, code, "cannot be opened: %s", strerror(-code));
        return err_at(err, s->file, 0, 0);
    }
    struct stat st;
    if (fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size > LIMIT_FILE_BYTES) {
        source_close(s);
        err_set(err, -E2BIG, "larger than 64 GiB");
        return err_at(err, path, 0, 0);
    }
    return 0;
}

void source_open_memory(struct source *s, const char *name, struct str bytes, bool no_digest)
{
    reset(s, name);
    s->p = bytes.p != NULL ? bytes.p : "";
    s->n = s->n_bytes = bytes.n;
    s->eof = true;
    s->no_digest = no_digest;
    if (!no_digest) {
        sha256_update(&s->sha, s->p, bytes.n);
    }
}

void source_close(struct source *s)
{
    if (s->fd >= 0) {
        close(s->fd);
        s->fd = -1;
    }
    mem_free(s->own);
    s->own = NULL;
}

void source_place(const struct source *s, size_t at, uint32_t *ret_line, uint32_t *ret_column)
{
    uint32_t line, column;
    scan_place(s->p, s->p + at, &line, &column);
    *ret_line = s->line + line - 1;
    *ret_column = line == 1 ? s->column + column - 1 : column;
}

/* Drops what is consumed. */
static void discard(struct source *s)
{
    if (s->at == 0) {
        return;
    }
    uint32_t lines = scan_count(s->p, s->at, '\n');
    if (lines == 0) {
        s->column += (uint32_t)s->at;
    } else {
        size_t start = s->at;
        while (s->p[start - 1] != '\n') {
            start--;
        }
        s->line += lines;
        s->column = (uint32_t)(s->at - start) + 1;
    }
    memmove(s->own, s->own + s->at, s->n - s->at);
    s->n -= s->at;
    s->at = 0;
}

static int more_room(struct source *s, size_t max, struct err *err)
{
    size_t cap = s->cap == 0 ? WINDOW_BYTES : s->cap * 2;
    if (s->n >= max) {
        err_set(err, -E2BIG, "one object or document of more than %zu bytes", max);
        return err_at(err, s->file, s->line, s->column);
    }
    char *p = mem_realloc(s->own, cap);
    if (p == NULL) {
        return err_nomem(err);
    }
    s->own = p;
    s->p = p;
    s->cap = cap;
    return 0;
}

static int fill(struct source *s, size_t max, struct err *err)
{
    if (s->eof) {
        return 0;
    }
    if (s->own != NULL) {
        discard(s);
    }
    if (s->cap - s->n < WINDOW_BYTES / 4) {
        int rc = more_room(s, max, err);
        if (rc != 0) {
            return rc;
        }
    }
    size_t from = s->n;
    while (s->n < s->cap && !s->eof) {
        ssize_t got = read(s->fd, s->own + s->n, s->cap - s->n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            int code = -errno;
            err_set(err, code, "cannot be read: %s", strerror(-code));
            return err_at(err, s->file, 0, 0);
        }
        s->eof = got == 0;
        s->n += (size_t)got;
    }
    if (!s->no_digest) {
        sha256_update(&s->sha, s->own + from, s->n - from);
    }
    s->n_bytes += s->n - from;
    return 0;
}

int source_fill(struct source *s, struct err *err)
{
    return fill(s, LIMIT_ITEM_BYTES, err);
}

int source_fill_all(struct source *s, size_t max, struct err *err)
{
    int rc = 0;
    while (!s->eof && rc == 0) {
        rc = fill(s, max, err);
    }
    return rc;
}

int source_drain(struct source *s, struct err *err)
{
    int rc = 0;
    while (!s->eof && rc == 0) {
        s->at = s->n;
        rc = fill(s, LIMIT_ITEM_BYTES, err);
    }
    return rc;
}
