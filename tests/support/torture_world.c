/* The small cluster of tests/torture/. See torture_world.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support/torture_world.h"

#include <stdio.h>

#include "wire/jsonc.h"

static void must(int rc, const struct err *err)
{
    if (rc != 0) {
        (void)fprintf(stderr, "%s:%u: %s\n", err->file, (unsigned)err->line, err->text);
    }
    check(rc == 0);
}

void torture_world_open(struct torture_world *w)
{
    struct err err = ERR_NONE;
    *w = (struct torture_world){0};
    jsonc_init();
    must(config_load(TORTURE_CONFIG, &w->settings, &err), &err);
    must(cluster_new(&w->c, &w->settings, &err), &err);
    must(loaded_init(&w->loaded, w->c, &err), &err);
    must(load_path(&w->loaded, TORTURE_CLUSTER, false, &err), &err);
    must(load_finish(&w->loaded, &err), &err);
}

void torture_world_close(struct torture_world *w)
{
    loaded_done(&w->loaded);
    cluster_free(w->c);
    settings_done(&w->settings);
    *w = (struct torture_world){0};
}

const struct pod_req *torture_world_pod(const struct torture_world *w, const char *name)
{
    pod_ix pod = cluster_find_pod(w->c, STR("games"), str_c(name));
    check(pod.v != IX_NONE);
    return &w->c->pod[pod.v].req;
}

void torture_read(const char *path, struct buf *out)
{
    char piece[4096];
    size_t n;
    FILE *f = fopen(path, "rb");
    check(f != NULL);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0) {
        buf_put(out, piece, n);
    }
    check(ferror(f) == 0 && !out->broken);
    (void)fclose(f);
}

void torture_verify(const struct cluster *c)
{
    struct err err = ERR_NONE;
    must(cluster_verify(c, &err), &err);
}
