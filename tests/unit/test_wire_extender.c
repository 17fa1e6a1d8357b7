/* The extender protocol: requests as recorded and as they may be; replies byte for byte.
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
#include "wire/extender.h"

static struct arena a;
static struct extender_args args;

static int decode(const char *text, struct err *err)
{
    arena_reset(&a);
    return extender_decode_args(str_c(text), &a, &args, err);
}

static void test_names(void **state)
{
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(
        decode("{\"Pod\":{\"metadata\":{\"name\":\"p\"}},\"Nodes\":null,\"NodeNames\":[\"a\","
               "\"b\\u0021\",\"a\"]}",
               &err),
        0);
    assert_true(args.has_names);
    assert_false(args.has_nodes);
    assert_int_equal(args.n_names, 3);
    assert_true(str_is(args.names[1], "b!"));
    assert_true(str_is(args.pod.meta.ns, "default"));
    assert_int_equal(
        decode("{\"pod\":{},\"nodenames\":[\"x\"],\"NODENAMES\":[],\"more\":[1]}", &err), 0);
    assert_int_equal(args.n_names, 0); /* the last of two wins */
    assert_true(args.has_names);
    assert_int_equal(args.n_duplicate_keys, 1);
    assert_int_equal(decode("{\"Pod\":{},\"NodeNames\":null}", &err), 0);
    assert_false(args.has_names || args.has_nodes);
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "{}",
                                      "null",
                                      "[]",
                                      "{\"Pod\":null}",
                                      "{\"Pod\":{},\"NodeNames\":[1]}",
                                      "{\"Pod\":{},\"NodeNames\":[null]}",
                                      "{\"Pod\":{},\"NodeNames\":{}}",
                                      "{\"Pod\":{}} x",
                                      "{\"Pod\":{\"metadata\":{\"name\":5}}}",
                                      "{\"Pod\":{},\"Nodes\":{\"items\":[{}]}}",
                                      "{\"Pod\":{},\"NodeNames\":[\"a\\u0000\"]}"};
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(bad); i++) {
        struct err err = ERR_NONE;
        if (decode(bad[i], &err) != -22 || err.text[0] == '\0') {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    struct err err = ERR_NONE;
    static char longer[LIMIT_NAME_BYTES + 64];
    snprintf(longer, sizeof longer, "{\"Pod\":{},\"NodeNames\":[\"%0*d\"]}", LIMIT_NAME_BYTES, 1);
    assert_int_equal(decode(longer, &err), 0);
    snprintf(longer, sizeof longer, "{\"Pod\":{},\"NodeNames\":[\"%0*d\"]}", LIMIT_NAME_BYTES + 1,
             1);
    assert_int_equal(decode(longer, &err), -22);
}

static void expect(const struct buf *out, const char *want)
{
    struct str got = buf_view(out);
    if (!str_is(got, want)) {
        fail_msg("\n got %.*s\nwant %s", STR_ARG(got), want);
    }
}

static void test_replies(void **state)
{
    struct err err = ERR_NONE;
    struct buf out;
    const uint32_t keep[] = {2, 1, 0};
    const struct extender_reject rejects[] = {{STR("b"), "why", false},
                                              {STR("c\""), "never", true}};
    const struct extender_score scores[] = {{STR("a"), 10}, {STR("b"), 3}};
    (void)state;
    buf_init(&out, 1 << 20);
    assert_int_equal(decode("{\"Pod\":{},\"NodeNames\":[\"a\",\"b\",\"a\"]}", &err), 0);
    extender_write_filter(&out, &args, keep, 3, NULL, 0);
    expect(&out, "{\"Nodes\":null,\"NodeNames\":[\"a\",\"b\"],\"Error\":\"\"}");
    buf_clear(&out);
    extender_write_filter(&out, &args, NULL, 0, rejects, 2);
    expect(&out, "{\"Nodes\":null,\"NodeNames\":[],\"FailedNodes\":{\"b\":\"why\"},"
                 "\"FailedAndUnresolvableNodes\":{\"c\\\"\":\"never\"},\"Error\":\"\"}");
    buf_clear(&out);
    assert_int_equal(
        decode("{\"Pod\":{},\"Nodes\":{\"metadata\":{},\"items\":[{\"metadata\":{ \"name\":\"x\"}},"
               "{\"metadata\":{\"name\":\"y\"},\"odd\":1.50}]}}",
               &err),
        0);
    extender_write_filter(&out, &args, keep + 1, 1, NULL, 0);
    expect(&out,
           "{\"Nodes\":{\"metadata\":{},\"items\":[{\"metadata\":{\"name\":\"y\"},\"odd\":1.50}]},"
           "\"NodeNames\":null,\"Error\":\"\"}");
    buf_clear(&out);
    extender_write_priorities(&out, scores, 2);
    expect(&out, "[{\"Host\":\"a\",\"Score\":10},{\"Host\":\"b\",\"Score\":3}]");
    buf_clear(&out);
    extender_write_filter_error(&out, STR("no \"way\""));
    expect(&out, "{\"Nodes\":null,\"NodeNames\":null,\"Error\":\"no \\\"way\\\"\"}");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_replies)};
    arena_init(&a, LIMIT_REQUEST_ARENA);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    arena_done(&a);
    return rc;
}
