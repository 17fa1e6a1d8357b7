// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "daemon/model_set.h"

#include <errno.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "daemon/clock.h"
#include "wire/load.h"

/* The policies' layer stands above this one; the program that links both hands its presets down by this name. */
const struct preset *preset_find(struct str name);

#define STDIN_FIRST_BYTES (1u << 20)
#define STDIN_MAX_BYTES   (1u << 30)

static int read_stdin(struct source *s, struct err *err)
{
    size_t cap = 0;
    for (;;) {
        if (s->n_stdin == cap) {
            cap = cap ? cap * 2 : STDIN_FIRST_BYTES;
            char *p = cap <= STDIN_MAX_BYTES ? mem_realloc(s->stdin_bytes, cap) : NULL;
            if (!p) {
                return err_set(err, -ENOMEM,
                               "standard input does not fit into memory; write it to a file");
            }
            s->stdin_bytes = p;
        }
        size_t n = fread(s->stdin_bytes + s->n_stdin, 1, cap - s->n_stdin, stdin);
        s->n_stdin += n;
        if (n == 0) {
            return ferror(stdin) ? err_set(err, -EIO, "cannot read standard input") : 0;
        }
    }
}

int source_open(struct source *s, const char *const *paths, unsigned n, struct err *err)
{
    *s = (struct source){.paths = paths, .n_paths = n};
    for (unsigned i = 0; i < n; i++) {
        if (strcmp(paths[i], "-") == 0) {
            int rc = read_stdin(s, err);
            if (rc != 0) {
                source_done(s);
            }
            return rc;
        }
    }
    return 0;
}

void source_done(struct source *s)
{
    mem_free(s->stdin_bytes);
    *s = (struct source){0};
}

static int64_t newest(const struct cluster *c)
{
    int64_t ms = 0;
    for (uint32_t i = 0; i < c->n_rows; i++) {
        if ((c->flags[i] & NODE_LIVE) != 0 && c->facts[i].created_ms > ms) {
            ms = c->facts[i].created_ms;
        }
    }
    for (uint32_t i = 0; i < c->n_pod_rows; i++) {
        const struct pod_req *r = &c->pod[i].req;
        if (c->pod[i].live) {
            ms = r->created_ms > ms ? r->created_ms : ms;
            ms = r->start_ms > ms ? r->start_ms : ms;
        }
    }
    return ms;
}

static int load(struct model_set *m, const struct source *src, void (*warn)(const char *, uint64_t),
                struct err *err)
{
    struct loaded l;
    int rc = loaded_init(&l, m->c, err);
    if (rc != 0) {
        return rc;
    }
    l.no_digest = true;
    for (unsigned i = 0; rc == 0 && i < src->n_paths; i++) {
        if (strcmp(src->paths[i], "-") == 0) {
            rc = load_bytes(&l, "standard input", (struct str){src->stdin_bytes, src->n_stdin},
                            false, err);
        } else {
            rc = load_path(&l, src->paths[i], false, err);
        }
    }
    if (rc == 0) {
        rc = load_finish(&l, err);
    }
    for (size_t i = 0; rc == 0 && warn && i < l.not_modelled.n; i++) {
        warn(l.not_modelled.p[i].what, l.not_modelled.p[i].count);
    }
    for (size_t i = 0; rc == 0 && warn && i < l.warnings.n; i++) {
        warn(l.warnings.p[i].text, 1);
    }
    loaded_done(&l);
    return rc;
}

int model_set_rows(struct model_set *m, struct err *err)
{
    uint32_t n = m->c->n_rows;
    if (n <= m->n_rows && m->ring) {
        return 0;
    }
    uint32_t cap = n + n / 4 + 16;
    node_ix *ring = mem_alloc(cap * sizeof *ring);
    uint32_t *seen = mem_calloc(cap, sizeof *seen);
    struct whole_hash *hashes = mem_calloc(cap, sizeof *hashes);
    if (!ring || !seen || !hashes) {
        mem_free(ring);
        mem_free(seen);
        mem_free(hashes);
        return err_nomem(err);
    }
    memset(ring, 0xff, cap * sizeof *ring);
    if (m->hashes) {
        memcpy(hashes, m->hashes, m->n_rows * sizeof *hashes);
    }
    mem_free(m->ring);
    mem_free(m->seen);
    mem_free(m->hashes);
    m->ring = ring;
    m->seen = seen;
    m->hashes = hashes;
    m->n_rows = cap;
    m->tick = 0;
    return 0;
}

int model_set_open(struct model_set *m, const struct source *src, struct live *live,
                   void (*warn)(const char *text, uint64_t count), struct err *err)
{
    *m = (struct model_set){0};
    const struct preset *preset = preset_find(STR("spawnpoint"));
    if (!preset) {
        return err_set(err, -ENOENT, "the preset \"spawnpoint\" is not part of this program");
    }
    m->live = live_hold(live);
    int rc = cluster_new(&m->c, &live->s, err);
    if (rc == 0) {
        rc = load(m, src, warn, err);
    }
    if (rc == 0) {
        rc = engine_new(&m->e, m->c, preset, err);
    }
    if (rc == 0) {
        rc = model_set_rows(m, err);
    }
    if (rc != 0) {
        model_set_close(m);
        return rc;
    }
    m->newest_ms = newest(m->c);
    m->loaded_mono_ms = clock_mono_ms();
    return 0;
}

void model_set_close(struct model_set *m)
{
    if (m->e) {
        engine_free(m->e);
    }
    if (m->c) {
        cluster_free(m->c);
    }
    live_drop(m->live);
    mem_free(m->ring);
    mem_free(m->seen);
    mem_free(m->hashes);
    *m = (struct model_set){0};
}

int model_set_apply(struct model_set *m, struct live *live, struct err *err)
{
    int rc = cluster_set_settings(m->c, &live->s, err);
    if (rc == 0) {
        live_drop(m->live);
        m->live = live_hold(live);
    }
    return rc;
}

int64_t model_set_now_ms(const struct model_set *m)
{
    return m->newest_ms > 0 ? m->newest_ms + clock_mono_ms() - m->loaded_mono_ms : clock_wall_ms();
}
