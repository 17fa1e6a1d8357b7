/* Short memory in each decoder: objects of every kind, YAML, both JSON libraries, the extender's arguments and answers.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "support/torture.h"
#include "support/torture_world.h"
#include "wire/extender.h"
#include "wire/jdoc.h"
#include "wire/jsonc.h"
#include "wire/k8s.h"

typedef int (*decoder)(struct str json, struct arena *a, struct err *err);

/* With escapes, which need room. */
static int head(struct str json, struct arena *a, struct err *err)
{
    struct k8s_head d;
    return k8s_decode_head(json, a, &d, err);
}

#define DECODER(NAME, TYPE)                                            \
    static int NAME(struct str json, struct arena *a, struct err *err) \
    {                                                                  \
        struct TYPE##_desc d;                                          \
        return k8s_decode_##NAME(json, a, &d, err);                    \
    }
DECODER(node, node)
DECODER(pod, pod)
DECODER(namespace, namespace)
DECODER(priority_class, priority_class)
DECODER(service, service)
DECODER(workload, workload)
DECODER(pdb, pdb)
DECODER(pv, pv)
DECODER(pvc, pvc)
DECODER(storage_class, storage_class)
DECODER(game_server, game_server)

struct decode_case {
    decoder decode;
    struct str json;
};

static bool decode_scenario(void *ctx)
{
    const struct decode_case *k = ctx;
    struct arena a;
    struct err err = ERR_NONE;
    torture_begin();
    arena_init(&a, LIMIT_ITEM_ARENA);
    int rc = k->decode(k->json, &a, &err);
    torture_end();
    arena_done(&a);
    return torture_ok(rc, &err);
}

static decoder decoder_of(struct str kind)
{
    static const struct {
        const char *kind;
        decoder decode;
    } table[] = {
        {"Node", node},
        {"Pod", pod},
        {"Namespace", namespace},
        {"PriorityClass", priority_class},
        {"Service", service},
        {"PodDisruptionBudget", pdb},
        {"PersistentVolume", pv},
        {"PersistentVolumeClaim", pvc},
        {"Fleet", workload},
        {"StorageClass", storage_class},
        {"GameServer", game_server},
        {"Deployment", workload},
        {"ReplicaSet", workload},
        {"StatefulSet", workload},
        {"DaemonSet", workload},
        {"Job", workload},
        {"CronJob", workload},
    };
    for (size_t i = 0; i < SP_COUNTOF(table); i++) {
        if (str_is(kind, table[i].kind)) {
            return table[i].decode;
        }
    }
    return NULL;
}

/* Tries the object with the decoder of its kind; returns how many allocations were seen. */
static uint64_t try_object(const struct yaml_node *doc)
{
    struct buf json CLEANUP_BUF;
    struct err err = ERR_NONE;
    const struct yaml_node *kind = yaml_get(doc, "kind");
    decoder decode = decoder_of(kind->text);
    if (decode == NULL) {
        return 0;
    }
    buf_init(&json, 1u << 20);
    assert_int_equal(yaml_to_json(doc, &json, NULL, &err), 0);
    char name[80];
    (void)snprintf(name, sizeof name, "decode %.*s", (int)kind->text.n, kind->text.p);
    struct decode_case k = {decode, buf_view(&json)};
    struct torture_result r = torture(name, decode_scenario, &k, 3);
    assert_int_equal(r.odd, 0);
    assert_int_equal(r.unharmed, 0); /* a decoder has nothing to spare */
    return r.allocations;
}

static void every_kind(void **state)
{
    struct arena a;
    struct yaml_docs docs;
    struct err err = ERR_NONE;
    struct buf text CLEANUP_BUF;
    uint64_t allocations = 0;
    (void)state;
    arena_init(&a, LIMIT_ITEM_ARENA);
    buf_init(&text, 1u << 20);
    torture_read(TORTURE_CLUSTER "/objects.json", &text);
    assert_int_equal(yaml_parse("objects.json", buf_view(&text), &a, &docs, &err), 0);
    const struct yaml_node *items = yaml_get(docs.docs[0], "items");
    for (uint32_t i = 0; i < items->n; i++) {
        allocations += try_object(items->items[i]);
    }
    buf_clear(&text);
    torture_read(TORTURE_CLUSTER "/sub/workloads.yaml", &text);
    assert_int_equal(yaml_parse("workloads.yaml", buf_view(&text), &a, &docs, &err), 0);
    assert_int_equal(docs.n, 7);
    for (uint32_t i = 0; i < docs.n; i++) {
        allocations += try_object(docs.docs[i]);
    }
    arena_done(&a);
    struct decode_case k = {head, STR("{\"kind\":\"N\\u006fde\",\"metadata\":{\"name\":\"\\u0061\","
                                      "\"namespace\":\"\\u0062\"}}")};
    assert_int_equal(torture("decode head", decode_scenario, &k, 3).unharmed, 0);
    assert_true(allocations > 80);
}

/* ---- documents ---- */

static bool yaml_scenario(void *ctx)
{
    const struct buf *text = ctx;
    struct arena a;
    struct buf json CLEANUP_BUF;
    struct yaml_docs docs;
    struct yaml_marks marks = {0};
    struct err err = ERR_NONE;
    arena_init(&a, LIMIT_ITEM_ARENA);
    buf_init(&json, 1u << 20);
    torture_begin();
    int rc = yaml_parse("workloads.yaml", buf_view(text), &a, &docs, &err);
    for (uint32_t i = 0; rc == 0 && i < docs.n; i++) {
        rc = yaml_to_json(docs.docs[i], &json, &marks, &err);
    }
    torture_end();
    yaml_marks_done(&marks);
    arena_done(&a);
    return torture_ok(rc, &err);
}

static bool jansson_scenario(void *ctx)
{
    const struct buf *text = ctx;
    struct arena a;
    struct buf out CLEANUP_BUF;
    struct yaml_node *root;
    struct err err = ERR_NONE;
    arena_init(&a, LIMIT_ITEM_ARENA);
    buf_init(&out, 1u << 20);
    torture_begin();
    int rc = jdoc_parse("objects.json", buf_view(text), &a, &root, &err);
    if (rc == 0) {
        rc = jdoc_pretty(buf_view(text), &out, &err);
    }
    torture_end();
    arena_done(&a);
    return torture_ok(rc, &err);
}

static bool cjson_scenario(void *ctx)
{
    const struct buf *text = ctx;
    struct arena a;
    struct buf out CLEANUP_BUF;
    jsonc_node *root;
    struct err err = ERR_NONE;
    arena_init(&a, LIMIT_ITEM_ARENA);
    buf_init(&out, 1u << 20);
    torture_begin();
    int rc = jsonc_parse(buf_view(text), &a, &root, &err);
    if (rc == 0) {
        rc = jsonc_print(root, &out, &err);
    }
    torture_end();
    arena_done(&a);
    return torture_ok(rc, &err);
}

static void documents(void **state)
{
    struct buf text CLEANUP_BUF;
    (void)state;
    jsonc_init();
    jdoc_init();
    buf_init(&text, 1u << 20);
    torture_read(TORTURE_CLUSTER "/sub/workloads.yaml", &text);
    assert_int_equal(torture("yaml", yaml_scenario, &text, 4).odd, 0);
    buf_clear(&text);
    torture_read(TORTURE_CLUSTER "/objects.json", &text);
    struct torture_result r = torture("jansson", jansson_scenario, &text, 5);
    assert_int_equal(r.odd, 0);
    assert_true(r.allocations > 1500); /* the library's own are among them */
    r = torture("cJSON", cjson_scenario, &text, 6);
    assert_int_equal(r.odd, 0);
    assert_true(r.allocations > 800);
}

/* ---- the extender's protocol ---- */

static int answer(const struct extender_args *args, struct buf *out, struct err *err)
{
    struct extender_reject no = {
        .name = args->has_names ? args->names[0] : args->nodes[0].meta.name, .reason = "no"};
    uint32_t keep = 1;
    extender_write_filter(out, args, &keep, 1, &no, 1);
    return out->broken ? err_nomem(err) : 0;
}

static bool extender_scenario(void *ctx)
{
    const struct buf *body = ctx;
    struct arena a;
    struct extender_args args;
    struct buf out CLEANUP_BUF;
    struct err err = ERR_NONE;
    arena_init(&a, LIMIT_REQUEST_ARENA);
    buf_init(&out, 1u << 20);
    torture_begin();
    int rc = extender_decode_args(buf_view(body), &a, &args, &err);
    if (rc == 0) {
        rc = answer(&args, &out, &err);
    }
    torture_end();
    arena_done(&a);
    return torture_ok(rc, &err);
}

static void extender(void **state)
{
    struct buf text CLEANUP_BUF;
    (void)state;
    buf_init(&text, 1u << 20);
    torture_read("tests/fuzz/corpus/extender/filter-002", &text);
    assert_int_equal(torture("extender names", extender_scenario, &text, 8).odd, 0);
    buf_clear(&text);
    torture_read("tests/fuzz/corpus/extender/full", &text);
    assert_int_equal(torture("extender nodes", extender_scenario, &text, 9).odd, 0);
    buf_clear(&text);
    buf_lit(&text, "{\"pod\":{\"metadata\":{\"name\":\"a\\u00e9\",\"labels\":{\"\\u0061\":\"b\"}},"
                   "\"spec\":{\"containers\":[]}},"
                   "\"nodenames\":[\"n\\u006f\",\"n1\",\"n\\u006f\"]}");
    assert_int_equal(torture("extender escapes", extender_scenario, &text, 10).odd, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind),
        cmocka_unit_test(documents),
        cmocka_unit_test(extender),
    };
    return cmocka_run_group_tests_name("torture decode", tests, NULL, NULL);
}
