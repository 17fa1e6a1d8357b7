/* YAML, strict JSON, JSON trees, digests.
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
#include "wire/jdoc.h"
#include "wire/jsonc.h"
#include "wire/sha256.h"
#include "wire/yaml_doc.h"

static struct arena a;

static int parse(const char *text, struct yaml_docs *docs, struct err *err)
{
    arena_reset(&a);
    *err = ERR_NONE;
    return yaml_parse("f.yaml", str_c(text), &a, docs, err);
}

static void test_yaml_types(void **state)
{
    struct yaml_docs docs;
    struct err err;
    struct buf out;
    (void)state;
    assert_int_equal(
        parse("a: [1, 0x1f, 0o17, 1.5, ~, yes, 'no', \"\\u00e9\", 1e3, 12a]\nb: {c: true}\nd: &x "
              "[1]\ne: *x\n",
              &docs, &err),
        0);
    buf_init(&out, 1 << 20);
    assert_int_equal(yaml_to_json(docs.docs[0], &out, NULL, &err), 0);
    struct str got = buf_view(&out);
    if (!str_is(
            got,
            "{\"a\":[1,31,15,1.5,null,\"yes\",\"no\",\"\xc3\xa9\",1000,\"12a\"],\"b\":{\"c\":true},"
            "\"d\":[1],\"e\":[1]}")) {
        fail_msg("%.*s", STR_ARG(got));
    }
    buf_done(&out);
    const struct yaml_node *c = yaml_get(yaml_get(docs.docs[0], "b"), "c");
    assert_int_equal(c->line, 2);
    assert_int_equal(c->column, 8);
}

static void test_yaml_refused(void **state)
{
    static const struct {
        const char *text;
        uint32_t line;
        const char *part;
    } bad[] = {{"a: 1\na: 2\n", 2, "stands twice"},
               {"<<: {a: 1}\n", 1, "merge keys"},
               {"a: !x 1\n", 1, "tags"},
               {"a: *b\n", 1, "anchor"},
               {"a: !!int x\n", 1, "tag"},
               {"a: [1\n", 2, "flow sequence"},
               {"a: \xff\n", 1, "UTF-8"},
               {"? [a]\n: 1\n", 1, "key"}};
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(bad); i++) {
        struct yaml_docs docs;
        struct err err;
        if (parse(bad[i].text, &docs, &err) != -22 || err.line != bad[i].line ||
            !strstr(err.text, bad[i].part)) {
            fail_msg("%s: %u:%u %s", bad[i].text, err.line, err.column, err.text);
        }
    }
}

/* Nine levels of nine aliases each would be 400 million nodes. */
static void test_billion_laughs(void **state)
{
    char text[1000] = "a0: &a0 [x]\n";
    struct yaml_docs docs;
    struct err err;
    (void)state;
    for (int i = 1; i < 10; i++) {
        size_t n = strlen(text);
        n += (size_t)snprintf(text + n, sizeof text - n, "a%d: &a%d [", i, i);
        for (int k = 0; k < 9; k++) {
            n += (size_t)snprintf(text + n, sizeof text - n, "*a%d,", i - 1);
        }
        snprintf(text + n, sizeof text - n, "]\n");
    }
    assert_int_equal(parse(text, &docs, &err), -22);
    assert_non_null(strstr(err.text, "aliases"));
}

static void test_jdoc(void **state)
{
    struct yaml_node *n;
    struct err err = ERR_NONE;
    struct buf out;
    (void)state;
    arena_reset(&a);
    assert_int_equal(
        jdoc_parse("f", STR("{\n \"b\": [1, 2.5],\n \"a\": {\"\\u0063\": null}}"), &a, &n, &err),
        0);
    assert_int_equal(yaml_get(n, "a")->line, 3);
    assert_int_equal(yaml_get(n, "a")->column, 7);
    assert_non_null(yaml_get(yaml_get(n, "a"), "c"));
    assert_int_equal(jdoc_parse("f", STR("{\"a\":1,\n\"a\":2}"), &a, &n, &err), -22);
    assert_int_equal(err.line, 2);
    buf_init(&out, 1 << 20);
    assert_int_equal(jdoc_pretty(STR("{\"b\":[0.1,1e300,12],\"a\":{}}"), &out, &err), 0);
    assert_true(str_is(buf_view(&out),
                       "{\n  \"a\": {},\n  \"b\": [\n    0.1,\n    1e+300,\n    12\n  ]\n}\n") ||
                str_is(buf_view(&out),
                       "{\n  \"a\": {},\n  \"b\": [\n    0.1,\n    1e300,\n    12\n  ]\n}\n"));
    buf_done(&out);
}

static void test_jsonc(void **state)
{
    jsonc_node *n;
    struct err err = ERR_NONE;
    struct buf out;
    int64_t v;
    (void)state;
    jsonc_init();
    arena_reset(&a);
    assert_int_equal(
        jsonc_parse(STR("{\"a\":{\"b\":[1,\"x\",true,null,1.5]},\"K\":7}"), &a, &n, &err), 0);
    assert_true(jsonc_i64(jsonc_get_nocase(n, "k"), &v));
    assert_int_equal(v, 7);
    assert_null(jsonc_get(n, "k"));
    const jsonc_node *b = jsonc_path(n, "a.b");
    assert_true(jsonc_is_array(b));
    buf_init(&out, 1 << 20);
    assert_int_equal(jsonc_print(n, &out, &err), 0);
    assert_true(str_is(buf_view(&out), "{\"a\":{\"b\":[1,\"x\",true,null,1.5]},\"K\":7}"));
    buf_done(&out);
    assert_int_equal(jsonc_parse(STR("{\"a\":1} 2"), &a, &n, &err), -22);
    assert_int_equal(jsonc_parse(STR("\"\\u0000\""), &a, &n, &err), -22);
    assert_int_equal(jsonc_parse(STR("\"\\\\u0000\""), &a, &n, &err), 0); /* a backslash and text */
}

static void test_sha256(void **state)
{
    static char text[100003];
    struct sha256 s, p;
    uint8_t d[32], e[32];
    char hex[65];
    (void)state;
    sha256_init(&s);
    sha256_update(&s, "abc", 3);
    sha256_final(&s, d);
    sha256_hex(d, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    memset(text, 'q', sizeof text);
    sha256_init(&s);
    sha256_init_portable(&p);
    for (size_t i = 0, n = 1; i < sizeof text; i += n, n = (n * 7 + 1) % 300) {
        n = n > sizeof text - i ? sizeof text - i : n;
        sha256_update(&s, text + i, n);
    }
    sha256_update(&p, text, sizeof text);
    sha256_final(&s, d);
    sha256_final(&p, e);
    assert_memory_equal(d, e, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yaml_types),     cmocka_unit_test(test_yaml_refused),
        cmocka_unit_test(test_billion_laughs), cmocka_unit_test(test_jdoc),
        cmocka_unit_test(test_jsonc),          cmocka_unit_test(test_sha256),
    };
    arena_init(&a, LIMIT_ITEM_ARENA);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    arena_done(&a);
    return rc;
}
