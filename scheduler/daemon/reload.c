// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "daemon/reload.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/log.h"

static void look(struct reload_file *f)
{
    struct stat s;
    f->there = f->path[0] != '\0' && stat(f->path, &s) == 0;
    if (f->there) {
        f->device = s.st_dev;
        f->inode = s.st_ino;
        f->size = s.st_size;
        f->changed = s.st_mtim;
    }
}

static bool differs(const struct reload_file *a, const struct reload_file *b)
{
    if (!a->there || !b->there) {
        return a->there != b->there;
    }
    return a->device != b->device || a->inode != b->inode || a->size != b->size ||
           a->changed.tv_sec != b->changed.tv_sec || a->changed.tv_nsec != b->changed.tv_nsec;
}

static void name_files(struct reload *r)
{
    struct live *live = state_live(r->st);
    const struct serve_args *a = &r->st->args;
    struct str paths[RELOAD_FILES_MAX] = {str_c(a->config), str_c(a->latency), str_c(a->prices),
                                          live->s.latency.file, live->s.prices.file};
    for (size_t i = 0; i < RELOAD_FILES_MAX; i++) {
        struct reload_file f = {0};
        (void)snprintf(f.path, sizeof f.path, STR_FMT, STR_ARG(paths[i]));
        if (strcmp(f.path, r->files[i].path) != 0) { /* else it was looked at before it was read */
            look(&f);
            r->files[i] = f;
        }
    }
    live_drop(live);
}

void reload_init(struct reload *r, struct state *st)
{
    *r = (struct reload){.st = st};
    name_files(r);
}

static void note(struct state *st, const char *error)
{
    (void)state_lock(st, 0);
    st->last_reload_ok = error == NULL;
    (void)snprintf(st->last_reload_error, sizeof st->last_reload_error, "%s", error ? error : "");
    state_unlock(st);
    metric_set(METRIC_CONFIG_SUCCESS, 0, error ? 0 : 1);
}

static void reload_now(struct reload *r)
{
    struct err err = ERR_NONE;
    struct live *old = state_live(r->st), *fresh = NULL;
    uint64_t generation = old->generation + 1;
    live_drop(old);
    int rc = live_read(&r->st->args, generation, &fresh, &err);
    if (rc == 0) {
        rc = state_reload(r->st, fresh, &err);
        live_drop(fresh);
    }
    if (rc != 0) {
        char text[ERR_TEXT_MAX + 256];
        (void)err_format(&err, text, sizeof text);
        note(r->st, text);
        LOG_ERROR("Kept the old configuration", KV_C("err", text));
        return;
    }
    note(r->st, NULL);
    metric_set(METRIC_CONFIG_GENERATION, 0, (double)generation);
    LOG_INFO("Took over the configuration", KV_I("generation", generation),
             KV_C("file", r->st->args.config ? r->st->args.config : ""));
}

void reload_poll(struct reload *r, bool force)
{
    bool changed = force;
    for (size_t i = 0; i < RELOAD_FILES_MAX; i++) {
        struct reload_file now = r->files[i];
        look(&now);
        if (differs(&now, &r->files[i]) && now.there) {
            changed = true; /* a file that is gone for a moment is waited for */
        }
        r->files[i] = now.there ? now : r->files[i];
    }
    if (changed) {
        reload_now(r);
        name_files(r);
    }
}
