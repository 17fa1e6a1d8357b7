/* Short memory while a cluster is loaded: files, a folder, text from memory, controllers, the CSV of a trace. What is loaded
 * although an allocation failed is the same as without; what is refused leaves nothing behind.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/torture.h"
#include "support/torture_world.h"
#include "wire/jsonc.h"

struct source_case {
    const char *name, *path;
    const char *text; /* NULL: the path is read by the loader itself */
    bool workload;
    struct settings settings;
    uint64_t hash, n_waiting, n_notes;
    bool known;
};

static int load(struct loaded *l, const struct source_case *k, const struct buf *text,
                struct err *err)
{
    int rc = text->n > 0 ? load_bytes(l, k->path, buf_view(text), k->workload, err)
                         : load_path(l, k->path, k->workload, err);
    return rc == 0 ? load_finish(l, err) : rc;
}

/* A load that says it succeeded has lost nothing. */
static void same_as_ever(struct source_case *k, const struct cluster *c, const struct loaded *l)
{
    if (!k->known) {
        k->known = true;
        k->hash = cluster_hash(c);
        k->n_waiting = l->waiting.n;
        k->n_notes = l->not_modelled.n;
    }
    if (torture_hit() && (cluster_hash(c) != k->hash || l->waiting.n != k->n_waiting)) {
        for (size_t i = 0; i < l->warnings.n; i++) {
            print_error("warning: %s\n", l->warnings.p[i].text);
        }
        for (size_t i = 0; i < l->not_modelled.n; i++) {
            print_error("not modelled: %s\n", l->not_modelled.p[i].what);
        }
    }
    check(cluster_hash(c) == k->hash && l->waiting.n == k->n_waiting);
    check(torture_hit() || l->not_modelled.n == k->n_notes);
}

static bool load_scenario(void *ctx)
{
    struct source_case *k = ctx;
    struct cluster *c = NULL;
    struct loaded l;
    struct err err = ERR_NONE;
    struct buf text CLEANUP_BUF;
    buf_init(&text, 1u << 20);
    if (k->text != NULL) {
        torture_read(k->path, &text);
    }
    torture_begin();
    int rc = cluster_new(&c, &k->settings, &err);
    if (rc != 0) {
        torture_end();
        return torture_ok(rc, &err);
    }
    rc = loaded_init(&l, c, &err);
    bool open = rc == 0;
    rc = open ? load(&l, k, &text, &err) : rc;
    torture_end();
    torture_verify(c);
    if (rc == 0) {
        same_as_ever(k, c, &l);
    }
    bool ok = torture_ok(rc, &err);
    if (open) {
        loaded_done(&l);
    }
    cluster_free(c);
    return ok;
}

static void run_case(struct source_case k)
{
    struct err err = ERR_NONE;
    jsonc_init();
    assert_int_equal(config_load(TORTURE_CONFIG, &k.settings, &err), 0);
    struct torture_result r = torture(k.name, load_scenario, &k, 7);
    assert_true(r.allocations > 50);
    assert_true(r.refused > r.runs / 2);
    assert_int_equal(r.odd, 0);
    settings_done(&k.settings);
}

static void a_folder_of_both_formats(void **state)
{
    (void)state;
    run_case((struct source_case){.name = "load folder", .path = TORTURE_CLUSTER});
}

static void a_folder_as_workload(void **state)
{
    (void)state;
    run_case((struct source_case){
        .name = "load workload folder", .path = TORTURE_CLUSTER "/sub", .workload = true});
}

static void json_from_memory(void **state)
{
    (void)state;
    run_case((struct source_case){
        .name = "load json bytes", .path = TORTURE_CLUSTER "/objects.json", .text = ""});
}

static void yaml_from_memory(void **state)
{
    (void)state;
    run_case((struct source_case){
        .name = "load yaml bytes", .path = TORTURE_CLUSTER "/sub/workloads.yaml", .text = ""});
}

static void typed_lists_and_streams(void **state)
{
    (void)state;
    run_case((struct source_case){.name = "load typed list",
                                  .path = "tests/fuzz/corpus/list/typed.json"});
    run_case(
        (struct source_case){.name = "load stream", .path = "tests/fuzz/corpus/list/stream.json"});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_of_both_formats), cmocka_unit_test(a_folder_as_workload),
        cmocka_unit_test(json_from_memory),         cmocka_unit_test(yaml_from_memory),
        cmocka_unit_test(typed_lists_and_streams),
    };
    return cmocka_run_group_tests_name("torture load", tests, NULL, NULL);
}
