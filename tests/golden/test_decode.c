/* Decoded objects against tests/golden/decode: the seeds of the fuzz targets as text. With SPAWNPOINT_BLESS=1 the files are
 * written anew.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "support/desc_dump.h"
#include "wire/k8s.h"

static size_t read_file(const char *path, char *to, size_t cap)
{
    FILE *f = fopen(path, "rb");
    size_t n = f != NULL ? fread(to, 1, cap, f) : 0;
    if (f != NULL) {
        fclose(f);
    }
    return n;
}

static void one(const char *kind, const char *name)
{
    static char json[1 << 20], want[1 << 20];
    char path[300];
    struct arena a;
    struct buf out;
    struct err err = ERR_NONE;
    struct pod_desc pod;
    struct node_desc node;
    snprintf(path, sizeof path, "tests/fuzz/corpus/k8s_%s/%s", kind, name);
    struct str in = {json, read_file(path, json, sizeof json)};
    arena_init(&a, LIMIT_ITEM_ARENA);
    buf_init(&out, 1 << 20);
    bool is_pod = strcmp(kind, "pod") == 0;
    int rc = is_pod ? k8s_decode_pod(in, &a, &pod, &err) : k8s_decode_node(in, &a, &node, &err);
    if (rc != 0) {
        fail_msg("%s: %s", path, err.text);
    }
    if (is_pod) {
        desc_dump_pod(&out, &pod);
    } else {
        desc_dump_node(&out, &node);
    }
    snprintf(path, sizeof path, "tests/golden/decode/%s-%s.txt", kind, name);
    if (getenv("SPAWNPOINT_BLESS") != NULL) {
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(out.p, 1, out.n, f), out.n);
        fclose(f);
    }
    struct str expected = {want, read_file(path, want, sizeof want)};
    if (!str_eq(expected, buf_view(&out))) {
        fail_msg("%s differs:\n%.*s", path, STR_ARG(buf_view(&out)));
    }
    buf_done(&out);
    arena_done(&a);
}

static void test_all(void **state)
{
    (void)state;
    one("pod", "filter-002");
    one("pod", "filter-004");
    one("pod", "filter-008");
    one("pod", "resized");
    one("node", "metal");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
