/* Loading: paths, folders, what is counted, warnings. See load.h.
 * SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L

#include "wire/load.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "wire/load_impl.h"

#define WARNINGS_MAX     1000u
#define NOTES_MAX        10000u
#define FOLDER_DEPTH_MAX 32

/* ---- names to numbers ---- */

#define MAP_KEY0 0x6c6f616465642e68u
#define MAP_KEY1 0x6e616d655f6d6170u

static int map_rehash(struct name_map *m)
{
    uint32_t n = m->n_slots == 0 ? 64 : m->n_slots * 2;
    uint32_t *slots = mem_calloc(n, sizeof *slots);
    if (slots == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < m->n; i++) {
        uint32_t at = (uint32_t)str_hash(m->names[i], MAP_KEY0, MAP_KEY1) & (n - 1);
        while (slots[at] != 0) {
            at = (at + 1) & (n - 1);
        }
        slots[at] = (uint32_t)i + 1;
    }
    mem_free(m->slots);
    m->slots = slots;
    m->n_slots = n;
    return 0;
}

uint32_t name_map_find(const struct name_map *m, struct str name)
{
    if (m->n_slots == 0) {
        return UINT32_MAX;
    }
    uint32_t at = (uint32_t)str_hash(name, MAP_KEY0, MAP_KEY1) & (m->n_slots - 1);
    while (m->slots[at] != 0) {
        if (str_eq(m->names[m->slots[at] - 1], name)) {
            return m->slots[at] - 1;
        }
        at = (at + 1) & (m->n_slots - 1);
    }
    return UINT32_MAX;
}

int name_map_add(struct name_map *m, struct str name, uint32_t *ret, bool *ret_new)
{
    uint32_t found = name_map_find(m, name);
    *ret_new = found == UINT32_MAX;
    if (!*ret_new) {
        *ret = found;
        return 0;
    }
    if (m->n + 1 > m->n_slots / 2 && map_rehash(m) != 0) {
        return -ENOMEM;
    }
    if (m->n == m->cap &&
        vec_grow((void **)&m->names, &m->cap, m->n + 1, sizeof *m->names, LIMIT_SYMBOLS) != 0) {
        return -ENOMEM;
    }
    struct str copy = arena_str(m->keys, name);
    if (copy.p == NULL) {
        return -ENOMEM;
    }
    uint32_t at = (uint32_t)str_hash(name, MAP_KEY0, MAP_KEY1) & (m->n_slots - 1);
    while (m->slots[at] != 0) {
        at = (at + 1) & (m->n_slots - 1);
    }
    m->names[m->n] = copy;
    m->slots[at] = (uint32_t)++m->n;
    *ret = (uint32_t)m->n - 1;
    return 0;
}

void name_map_done(struct name_map *m)
{
    mem_free(m->names);
    mem_free(m->slots);
    *m = (struct name_map){0};
}

/* ---- notes and warnings ---- */

void loaded_note(struct loaded *l, const char *what, uint64_t count)
{
    struct load_impl *im = l->impl;
    struct not_modelled item = {.count = count};
    uint32_t i;
    bool fresh;
    if (count == 0) {
        return;
    }
    snprintf(item.what, sizeof item.what, "%s", what);
    if (l->not_modelled.n >= NOTES_MAX &&
        name_map_find(&im->notes, str_c(item.what)) == UINT32_MAX) {
        snprintf(item.what, sizeof item.what, "further kinds");
    }
    if (name_map_add(&im->notes, str_c(item.what), &i, &fresh) != 0 ||
        (fresh && VEC_PUSH(&l->not_modelled, item, NOTES_MAX + 1) != 0)) {
        im->notes_lost += count;
    } else if (!fresh && i < l->not_modelled.n) {
        l->not_modelled.p[i].count += count;
    }
}

void load_warn(struct loaded *l, const char *fmt, ...)
{
    struct load_impl *im = l->impl;
    struct load_warning w;
    va_list args;
    va_start(args, fmt);
    vsnprintf(w.text, sizeof w.text, fmt, args);
    va_end(args);
    if (l->warnings.n >= WARNINGS_MAX || VEC_PUSH(&l->warnings, w, WARNINGS_MAX + 2) != 0) {
        im->warnings_lost++;
    }
}

void load_place(const struct load_ctx *ctx, struct err *err)
{
    uint32_t line = ctx->line, column = ctx->column;
    if (err->line == 0) {
        err->line = err->column = 1;
    }
    if (ctx->marks != NULL) {
        size_t offset = err->column - 1, lo = 0, hi = ctx->marks->n;
        while (lo < hi) { /* the last mark at or before the offset */
            size_t mid = (lo + hi) / 2;
            if (ctx->marks->p[mid].offset <= offset) {
                lo = mid + 1;
            } else {
                hi = mid;
            }
        }
        if (lo > 0) {
            line = ctx->marks->p[lo - 1].line;
            column = ctx->marks->p[lo - 1].column;
        }
        err->line = line;
        err->column = column;
    } else {
        if (ctx->source != NULL) {
            source_place(ctx->source, ctx->source_at, &line, &column);
        }
        err->column = err->line == 1 ? column + err->column - 1 : err->column;
        err->line = line + err->line - 1;
    }
    uint32_t at_line = err->line, at_column = err->column;
    err->line = 0;
    err_at(err, ctx->file, at_line, at_column);
}

void load_place_path(const struct load_ctx *ctx, struct str json, struct err *err)
{
    char path[ERR_TEXT_MAX];
    snprintf(path, sizeof path, "%s", err->text);
    char *colon = strstr(path, ": ");
    size_t offset = 0;
    if (colon != NULL) {
        *colon = '\0';
        offset = k8s_find_path(json, path);
    }
    scan_place(json.p, json.p + offset, &err->line, &err->column);
    load_place(ctx, err);
}

int load_fault(const struct load_ctx *ctx, struct err *err)
{
    char text[ERR_TEXT_MAX];
    if (!ctx->lenient || err->code == -ENOMEM) {
        return err->code;
    }
    load_warn(ctx->l, "%s", err_format(err, text, sizeof text));
    loaded_note(ctx->l, NOTE_UNREADABLE, 1);
    return 0;
}

/* ---- life ---- */

int loaded_init(struct loaded *l, struct cluster *c, struct err *err)
{
    struct load_impl *im = mem_calloc(1, sizeof *im);
    if (im == NULL) {
        return err_nomem(err);
    }
    *l = (struct loaded){.cluster = c, .impl = im};
    arena_init(&im->arena, LIMIT_ITEM_ARENA);
    arena_init(&im->keys, (size_t)4 << 30);
    buf_init(&im->json, LIMIT_YAML_BYTES);
    im->by_key.keys = im->owners.keys = im->notes.keys = im->openb_names.keys = &im->keys;
    im->next_port = 7000;
    return 0;
}

static void impl_free(struct load_impl *im)
{
    if (im == NULL) {
        return;
    }
    for (size_t i = 0; i < im->controllers.n; i++) {
        mem_free(im->controllers.p[i].json);
        yaml_marks_done(&im->controllers.p[i].marks);
    }
    VEC_DONE(&im->controllers);
    VEC_DONE(&im->owner);
    VEC_DONE(&im->owner_of);
    name_map_done(&im->by_key);
    name_map_done(&im->owners);
    name_map_done(&im->notes);
    name_map_done(&im->openb_names);
    buf_done(&im->json);
    arena_done(&im->arena);
    arena_done(&im->keys);
    mem_free(im);
}

void loaded_done(struct loaded *l)
{
    if (l == NULL) {
        return;
    }
    impl_free(l->impl);
    for (size_t i = 0; i < l->inputs.n; i++) {
        mem_free(l->inputs.p[i].path);
    }
    VEC_DONE(&l->inputs);
    VEC_DONE(&l->not_modelled);
    VEC_DONE(&l->warnings);
    VEC_DONE(&l->waiting);
    *l = (struct loaded){0};
}

static int add_input(struct loaded *l, const char *path, struct sha256 *sha, struct err *err)
{
    struct load_input in = {.path = mem_strdup(path)};
    if (in.path == NULL) {
        return err_nomem(err);
    }
    if (!l->no_digest) {
        sha256_final(sha, in.sha256);
    }
    if (VEC_PUSH(&l->inputs, in, LIMIT_FOLDER_FILES) != 0) {
        mem_free(in.path);
        return err_nomem(err);
    }
    return 0;
}

/* ---- one file ---- */

static int load_source(struct loaded *l, struct source *s, bool openb, bool workload, bool lenient,
                       struct err *err)
{
    struct load_impl *im = l->impl;
    struct str file = arena_str(&im->keys, str_c(s->file));
    if (file.p == NULL) {
        return err_nomem(err);
    }
    struct load_ctx ctx = {
        .l = l, .im = im, .file = file.p, .workload = workload, .lenient = lenient};
    int rc = openb ? load_openb(&ctx, s, err) : load_stream(&ctx, s, err);
    if (rc == 0) {
        rc = source_drain(s, err);
    }
    l->n_files++;
    l->n_bytes += s->n_bytes;
    return rc;
}

static int load_file(struct loaded *l, const char *path, bool openb, bool workload, bool lenient,
                     struct sha256 *ret_sha, struct err *err)
{
    struct source s;
    int rc = source_open_file(&s, path, err);
    if (rc == 0) {
        s.no_digest = l->no_digest;
        rc = load_source(l, &s, openb, workload, lenient, err);
        *ret_sha = s.sha;
        source_close(&s);
    }
    return rc;
}

/* ---- folders ---- */

struct folder {
    VEC(char *) files; /* relative paths */
};

static bool wanted(const char *name)
{
    struct str s = str_c(name);
    return str_ends(s, STR(".json")) || str_ends(s, STR(".yaml")) || str_ends(s, STR(".yml"));
}

static char *join_path(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    bool slash = n > 0 && a[n - 1] != '/';
    char *p = mem_alloc(n + m + 2);
    if (p != NULL) {
        memcpy(p, a, n);
        p[n] = '/';
        memcpy(p + n + slash, b, m + 1);
    }
    return p;
}

static int list_folder(struct folder *f, const char *root, const char *relative, int depth,
                       struct err *err);

/* Hidden entries are left out: version control, and the ..data links of mounted ConfigMaps (each file stands beside them). */
static int list_entry(struct folder *f, const char *root, const char *relative, const char *name,
                      int depth, struct err *err)
{
    struct stat st, target;
    char *path = join_path(relative, name), *full = path != NULL ? join_path(root, path) : NULL;
    int rc = full != NULL ? 0 : err_nomem(err);
    if (rc == 0 && lstat(full, &st) == 0) {
        bool link = S_ISLNK(st.st_mode) && stat(full, &target) == 0;
        if (S_ISDIR(st.st_mode)) {
            rc = list_folder(f, root, path, depth + 1, err);
        } else if (wanted(name) && (S_ISREG(st.st_mode) || (link && S_ISREG(target.st_mode)))) {
            rc = VEC_PUSH(&f->files, path, LIMIT_FOLDER_FILES) == 0 ? 0 : err_nomem(err);
            path = rc == 0 ? NULL : path;
        }
    }
    mem_free(full);
    mem_free(path);
    return rc;
}

static int list_folder(struct folder *f, const char *root, const char *relative, int depth,
                       struct err *err)
{
    char *full = relative[0] != '\0' ? join_path(root, relative) : mem_strdup(root);
    int rc = 0;
    if (full == NULL) {
        return err_nomem(err);
    }
    if (depth > FOLDER_DEPTH_MAX) {
        err_set(err, -ELOOP, "folders nested more than %d deep", FOLDER_DEPTH_MAX);
        rc = err_at(err, full, 0, 0);
        mem_free(full);
        return rc;
    }
    DIR *dir = opendir(full);
    if (dir == NULL) {
        int code = -errno;
        err_set(err, code, "cannot be read: %s", strerror(-code));
        rc = err_at(err, full, 0, 0);
    }
    const struct dirent *e;
    while (rc == 0 && (e = readdir(dir)) != NULL) {
        if (e->d_name[0] != '.') {
            rc = list_entry(f, root, relative, e->d_name, depth, err);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    mem_free(full);
    return rc;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int load_listed(struct loaded *l, const char *root, const char *relative, bool workload,
                       struct sha256 *sum, struct err *err)
{
    struct sha256 sha;
    uint8_t digest[32];
    char hex[65];
    char *full = join_path(root, relative);
    if (full == NULL) {
        return err_nomem(err);
    }
    int rc = load_file(l, full, false, workload, true, &sha, err);
    mem_free(full);
    if (rc != 0) {
        return rc;
    }
    sha256_final(&sha, digest);
    sha256_hex(digest, hex);
    sha256_update(sum, relative, strlen(relative) + 1);
    sha256_update(sum, hex, 64);
    sha256_update(sum, "\n", 1);
    return 0;
}

static int load_folder(struct loaded *l, const char *path, bool workload, struct err *err)
{
    struct folder f = {0};
    struct sha256 sum;
    sha256_init(&sum);
    int rc = list_folder(&f, path, "", 0, err);
    if (rc == 0 && f.files.n > 1) {
        qsort(f.files.p, f.files.n, sizeof *f.files.p, by_bytes);
    }
    for (size_t i = 0; i < f.files.n && rc == 0; i++) {
        rc = load_listed(l, path, f.files.p[i], workload, &sum, err);
    }
    if (rc == 0 && f.files.n == 0) {
        load_warn(l, "%s: the folder holds no .json, .yaml or .yml file", path);
    }
    for (size_t i = 0; i < f.files.n; i++) {
        mem_free(f.files.p[i]);
    }
    VEC_DONE(&f.files);
    return rc == 0 ? add_input(l, path, &sum, err) : rc;
}

int load_path(struct loaded *l, const char *path, bool workload, struct err *err)
{
    static const char openb_prefix[] = "openb:";
    struct stat st;
    struct sha256 sha;
    bool openb = strncmp(path, openb_prefix, sizeof openb_prefix - 1) == 0;
    const char *file = openb ? path + sizeof openb_prefix - 1 : path;
    if (strcmp(file, "-") != 0 && stat(file, &st) == 0 && S_ISDIR(st.st_mode)) {
        if (openb) {
            err_set(err, -EISDIR, "openb: takes a CSV file, not a folder");
            return err_at(err, file, 0, 0);
        }
        return load_folder(l, file, workload, err);
    }
    int rc = load_file(l, file, openb, workload, false, &sha, err);
    return rc == 0 ? add_input(l, path, &sha, err) : rc;
}

int load_bytes(struct loaded *l, const char *name, struct str bytes, bool workload, struct err *err)
{
    struct source s;
    source_open_memory(&s, strcmp(name, "-") == 0 ? "standard input" : name, bytes, l->no_digest);
    int rc = load_source(l, &s, false, workload, false, err);
    if (rc == 0) {
        rc = add_input(l, name, &s.sha, err);
    }
    source_close(&s);
    return rc;
}

/* ---- the end ---- */

static int note_order(const void *a, const void *b)
{
    const struct not_modelled *x = a, *y = b;
    return strcmp(x->what, y->what);
}

struct order {
    uint32_t order, pod;
};

static int by_order(const void *a, const void *b)
{
    const struct order *x = a, *y = b;
    return x->order < y->order ? -1 : x->order > y->order;
}

static int fill_waiting(struct loaded *l, struct err *err)
{
    const struct cluster *c = l->cluster;
    VEC(struct order) list = {0};
    uint64_t absent = 0;
    int rc = 0;
    for (uint32_t i = 0; i < c->n_pod_rows && rc == 0; i++) {
        const struct pod_row *p = &c->pod[i];
        if (!p->live) {
            continue;
        }
        if (p->req.bound) {
            absent += p->node.v == IX_NONE;
        } else if (!p->req.gated && !p->req.deleting && p->node.v == IX_NONE) {
            struct order o = {p->order, i};
            rc = VEC_PUSH(&list, o, LIMIT_PODS);
        }
    }
    if (list.n > 1) {
        qsort(list.p, list.n, sizeof *list.p, by_order);
    }
    l->waiting.n = 0;
    if (rc == 0 && list.n > 0) {
        rc = VEC_RESERVE(&l->waiting, list.n, LIMIT_PODS);
    }
    for (size_t i = 0; i < list.n && rc == 0; i++) {
        l->waiting.p[l->waiting.n++] = (pod_ix){list.p[i].pod};
    }
    VEC_DONE(&list);
    loaded_note(l, NOTE_ABSENT_NODE, absent);
    return rc == 0 ? 0 : err_nomem(err);
}

/* Values of ours that cannot be read count as not said: told here, because nothing else would show it. */
static void warn_annotations(struct loaded *l)
{
    const struct cluster *c = l->cluster;
    struct str value = sym_str(c->syms, c->bad_annotation_value);
    if (c->n_bad_annotations == 0) {
        return;
    }
    loaded_note(l, "annotation value that cannot be read (see warnings)", c->n_bad_annotations);
    if (c->bad_annotation == NULL) {
        load_warn(l, "spawnpoint.dev/session-ends: a value counts as not given: it must be an RFC "
                     "3339 time");
    } else {
        load_warn(l, "spawnpoint.dev/%s: \"%.*s\" counts as not given: it must be %s",
                  c->bad_annotation, (int)(value.n < 100 ? value.n : 100), value.p ? value.p : "",
                  c->bad_annotation_form);
    }
}

int load_finish(struct loaded *l, struct err *err)
{
    struct load_impl *im = l->impl;
    int rc = load_expand(l, err);
    if (rc == 0) {
        rc = fill_waiting(l, err);
    }
    if (rc == 0) {
        warn_annotations(l);
    }
    if (rc != 0) {
        return rc;
    }
    if (im->notes_lost > 0) { /* what is left out must be told */
        return err_nomem(err);
    }
    if (im->warnings_lost > 0) {
        struct load_warning w;
        snprintf(w.text, sizeof w.text, "%llu more warnings",
                 (unsigned long long)im->warnings_lost);
        if (VEC_PUSH(&l->warnings, w, WARNINGS_MAX + 2) != 0) {
            return err_nomem(err);
        }
        im->warnings_lost = 0;
    }
    if (l->not_modelled.n > 1) {
        qsort(l->not_modelled.p, l->not_modelled.n, sizeof *l->not_modelled.p, note_order);
        name_map_done(&im->notes); /* numbers no longer agree */
        im->notes.keys = &im->keys;
        for (size_t i = 0; i < l->not_modelled.n && rc == 0; i++) {
            uint32_t n;
            bool fresh;
            rc = name_map_add(&im->notes, str_c(l->not_modelled.p[i].what), &n, &fresh);
        }
    }
    return rc == 0 ? 0 : err_nomem(err);
}
