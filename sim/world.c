/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "sim/world.h"

#include "conf/config.h"
#include "policies/presets.h"
#include "wire/jsonc.h"
#include "wire/yaml_doc.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define STDIN_MAX  ((size_t)4 << 30)
#define CONFIG_MAX ((size_t)16 << 20)

/* ---- --policy ---- */

static int list_presets(const char *word, struct err *err)
{
    struct buf names CLEANUP_BUF;
    buf_init(&names, 4096);
    for (const char *const *name = preset_names(); *name != NULL; name++) {
        buf_printf(&names, "%s%s", names.n > 0 ? ", " : "", *name);
    }
    return err_set(
        err, -EINVAL,
        "there is no policy \"%.80s\"; there is %.*s, or the path of a SpawnpointConfiguration",
        word, STR_ARG(buf_view(&names)));
}

static bool looks_like_file(const char *word)
{
    struct str s = str_c(word);
    return strchr(word, '/') != NULL || str_ends(s, STR(".yaml")) || str_ends(s, STR(".yml")) ||
           str_ends(s, STR(".json")) || access(word, F_OK) == 0;
}

static int read_file(const char *path, struct buf *out, struct err *err)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return err_set(err, -errno, "%.200s: %s", path, strerror(errno));
    }
    char piece[16384];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0) {
        buf_put(out, piece, n);
    }
    int failed = ferror(f) != 0 ? errno : 0;
    (void)fclose(f);
    if (failed != 0) {
        return err_set(err, -failed, "%.200s: %s", path, strerror(failed));
    }
    if (out->starved) {
        return err_nomem(err);
    }
    return out->broken ? err_set(err, -E2BIG, "%.200s: larger than %zu bytes", path, out->max) : 0;
}

/* A KubeSchedulerConfiguration is refused by name; every other mistake is told by the configuration's own reader. */
static int check_kind(const char *path, struct err *err)
{
    struct buf text CLEANUP_BUF;
    struct arena arena;
    struct yaml_docs docs = {0};
    struct err unread = ERR_NONE;
    buf_init(&text, CONFIG_MAX);
    int rc = read_file(path, &text, err);
    if (rc != 0) {
        return rc;
    }
    arena_init(&arena, (size_t)256 << 20);
    if (yaml_parse(path, buf_view(&text), &arena, &docs, &unread) == 0) {
        for (uint32_t i = 0; i < docs.n && rc == 0; i++) {
            const struct yaml_node *kind = yaml_get(docs.docs[i], "kind");
            if (kind != NULL && kind->type == YAML_STRING &&
                str_is(kind->text, "KubeSchedulerConfiguration")) {
                rc = err_set(err, -EINVAL,
                             "a KubeSchedulerConfiguration cannot be a policy here; give a "
                             "preset's name or a "
                             "SpawnpointConfiguration");
                (void)err_at(err, path, kind->line, kind->column);
            }
        }
    }
    arena_done(&arena);
    return rc == 0 && unread.code == -ENOMEM ? err_nomem(err) : rc;
}

int sim_world_choose(const char *word, struct policy_choice *ret, struct err *err)
{
    const struct preset *preset = preset_find(str_c(word));
    if (preset != NULL) {
        *ret = (struct policy_choice){.name = word, .preset = preset};
        return 0;
    }
    if (!looks_like_file(word)) {
        return list_presets(word, err);
    }
    int rc = check_kind(word, err);
    if (rc != 0) {
        return rc;
    }
    *ret = (struct policy_choice){
        .name = word, .preset = preset_find(STR("spawnpoint")), .config = word};
    return ret->preset == NULL ? err_set(err, -EINVAL, "the preset spawnpoint is missing") : 0;
}

/* ---- the world ---- */

static int open_settings(const struct args *a, const char *config, struct world *w, struct err *err)
{
    int rc = config != NULL ? config_load(config, &w->settings, err)
                            : settings_default(&w->settings, err);
    if (rc != 0) {
        return rc;
    }
    w->has_settings = true;
    if (a->latency != NULL) {
        rc = config_read_latency(&w->settings, a->latency, err);
    }
    if (rc == 0 && a->prices != NULL) {
        rc = config_read_prices(&w->settings, a->prices, err);
    }
    return rc;
}

static int read_standard_input(struct world_source *src, struct err *err)
{
    if (src->read_input) {
        return 0;
    }
    buf_init(&src->standard_input, STDIN_MAX);
    src->read_input = true;
    char piece[65536];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, stdin)) > 0) {
        buf_put(&src->standard_input, piece, n);
    }
    if (ferror(stdin) != 0) {
        return err_set(err, -EIO, "standard input cannot be read");
    }
    if (src->standard_input.starved) {
        return err_nomem(err);
    }
    return src->standard_input.broken ? err_set(err, -E2BIG, "standard input is too large") : 0;
}

static int load_one(struct world_source *src, struct world *w, const char *path, bool workload,
                    struct err *err)
{
    if (strcmp(path, "-") != 0) {
        return load_path(&w->loaded, path, workload, err);
    }
    int rc = read_standard_input(src, err);
    return rc != 0 ? rc
                   : load_bytes(&w->loaded, "-", buf_view(&src->standard_input), workload, err);
}

int sim_world_open(struct world_source *src, const struct policy_choice *choice, struct world *ret,
                   struct err *err)
{
    const struct args *a = src->args;
    *ret = (struct world){0};
    jsonc_init();
    int rc = open_settings(a, choice->config != NULL ? choice->config : a->config, ret, err);
    if (rc == 0) {
        rc = cluster_new(&ret->cluster, &ret->settings, err);
    }
    if (rc == 0) {
        rc = loaded_init(&ret->loaded, ret->cluster, err);
        ret->has_loaded = rc == 0;
    }
    for (size_t i = 0; rc == 0 && i < a->clusters.n; i++) {
        rc = load_one(src, ret, a->clusters.p[i], false, err);
    }
    for (size_t i = 0; rc == 0 && i < a->workloads.n; i++) {
        rc = load_one(src, ret, a->workloads.p[i], true, err);
    }
    return rc != 0 ? rc : load_finish(&ret->loaded, err);
}

void sim_world_close(struct world *w)
{
    if (w->has_loaded) {
        loaded_done(&w->loaded);
    }
    cluster_free(w->cluster);
    if (w->has_settings) {
        settings_done(&w->settings);
    }
    *w = (struct world){0};
}

void world_source_done(struct world_source *src)
{
    if (src->read_input) {
        buf_done(&src->standard_input);
    }
}

void world_warn(const struct world *w, FILE *errors)
{
    for (size_t i = 0; i < w->loaded.warnings.n; i++) {
        (void)fprintf(errors, "warning: %s\n", w->loaded.warnings.p[i].text);
    }
}
