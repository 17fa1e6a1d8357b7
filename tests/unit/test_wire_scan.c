/* The scanner: what is refused, where; escapes; places. Compiled twice: with SSE2 and (test_wire_scan_scalar.c) without.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "wire/scan.h"

static bool valid(struct str bytes)
{
    struct scan s;
    scan_init(&s, bytes);
    return scan_skip(&s, NULL) && scan_end(&s);
}

static void test_valid_and_not(void **state)
{
    static const char *const good[] = {"0",
                                       "-0",
                                       "1.5e+3",
                                       "\"\"",
                                       "[]",
                                       "{}",
                                       " [ 1 , {\"a\" : [ ] } ] ",
                                       "true",
                                       "null",
                                       "\"\\u00e9\\ud83d\\ude00\\/\"",
                                       "{\"a\":1,\"a\":2}",
                                       "\"\\ud800\""};
    static const char *const bad[] = {"",
                                      " ",
                                      "01",
                                      "1.",
                                      "-",
                                      "+1",
                                      ".5",
                                      "1e",
                                      "nul",
                                      "nullx",
                                      "'a'",
                                      "\"a",
                                      "\"\t\"",
                                      "\"\\x\"",
                                      "\"\\u12g4\"",
                                      "[1,]",
                                      "[,1]",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "[1 2]",
                                      "]",
                                      "[}",
                                      "{]",
                                      "1 2",
                                      "\xef\xbb\xbf{}",
                                      "NaN",
                                      "\"\xc3\"",
                                      "\"\xed\xa0\x80\"",
                                      "\"\xc0\xaf\"",
                                      "\"\xf4\x90\x80\x80\""};
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(good); i++) {
        if (!valid(str_c(good[i]))) {
            fail_msg("refused: %s", good[i]);
        }
    }
    for (size_t i = 0; i < SP_COUNTOF(bad); i++) {
        if (valid(str_c(bad[i]))) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
}

/* Every special byte at every distance from the start, so that both the wide and the narrow path meet it. */
static void test_every_offset(void **state)
{
    static const char specials[] = {'"', '\\', '\n', 0x1f, (char)0x80, (char)0xff, 0x20, 0x7f};
    (void)state;
    for (size_t n = 0; n < 70; n++) {
        for (size_t i = 0; i < sizeof specials; i++) {
            char text[96];
            text[0] = '"';
            memset(text + 1, 'x', sizeof text - 1);
            text[1 + n] = specials[i];
            text[90] = '"';
            bool want = specials[i] == 0x20 || specials[i] == 0x7f;
            assert_int_equal(valid((struct str){text, 91}), want);
        }
        char spaces[96];
        memset(spaces, ' ', sizeof spaces);
        spaces[n] = '\t';
        spaces[n + 1] = '\r';
        spaces[n + 2] = '7';
        assert_true(valid((struct str){spaces, n + 3}));
    }
}

static void test_depth(void **state)
{
    char text[600];
    (void)state;
    memset(text, '[', 300);
    memset(text + 300, ']', 300);
    assert_true(valid((struct str){text + 300 - 128, 256}));
    assert_false(valid((struct str){text + 300 - 129, 258}));
}

static void test_strings(void **state)
{
    struct arena a;
    struct scan s;
    struct str v;
    (void)state;
    arena_init(&a, 1 << 20);
    scan_init(&s, STR("\"plain\" "));
    assert_true(scan_string(&s, &a, &v));
    assert_true(str_is(v, "plain"));
    assert_int_equal(a.used_bytes, 0); /* nothing is copied without escapes */
    scan_init(&s, STR("\"\\u0041\\n\\ud83d\\ude00\\ud800x\""));
    assert_true(scan_string(&s, &a, &v));
    assert_true(str_is(v, "A\n\xf0\x9f\x98\x80\xef\xbf\xbdx"));
    scan_init(&s, STR("\"a\\u0000b\""));
    assert_false(scan_string(&s, &a, &v));
    scan_init(&s, STR("\"a\\u0000b\""));
    s.allow_nul = true;
    assert_true(scan_string(&s, &a, &v));
    assert_int_equal(v.n, 3);
    arena_done(&a);
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t v;
    } cases[] = {{"12", true, 12},
                 {"-9223372036854775808", true, INT64_MIN},
                 {"9223372036854775808", false, 0},
                 {"5.0", false, 0},
                 {"1e1", false, 0},
                 {"\"5\"", false, 0}};
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        struct scan s;
        int64_t v = 0;
        scan_init(&s, str_c(cases[i].text));
        assert_int_equal(scan_i64(&s, &v), cases[i].ok);
        assert_int_equal(v, cases[i].v);
    }
}

static void test_place(void **state)
{
    struct scan s;
    struct err err = ERR_NONE;
    (void)state;
    scan_init(&s, STR("{\n  \"a\": 1,\n  \"b\": tru }\n"));
    assert_false(scan_skip(&s, NULL));
    assert_int_equal(scan_error(&s, "f.json", &err), -22);
    assert_int_equal(err.line, 3);
    assert_int_equal(err.column, 8);
    assert_string_equal(err.file, "f.json");
}

static void test_newlines(void **state)
{
    static char text[20000];
    struct rng r;
    uint32_t want = 0;
    (void)state;
    rng_seed(&r, 7);
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = rng_below(&r, 3) == 0 ? '\n' : 'x';
        want += text[i] == '\n';
    }
    assert_int_equal(scan_count(text, sizeof text, '\n'), want);
    memset(text, '\n', sizeof text);
    assert_int_equal(scan_count(text + 1, sizeof text - 1, '\n'), sizeof text - 1);
}

/* Plain strings in a row are taken at once; whatever is not plain is left where it stands. */
static void test_plain_strings(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        uint32_t n, left; /* taken; items behind them */
    } cases[] = {
        {"[]", 0, 0},
        {"[\"a\" , \"\",\"a name that is longer than sixteen bytes\"]", 3, 0},
        {"[\"a\",\"b\\n\",\"c\"]", 1, 2},
        {"[\"\\u0041\",\"b\"]", 0, 2},
        {"[\"a\",\"\xc3\xa9\"]", 1, 1},
        {"[1,\"b\"]", 0, 2},
        {"[\"a\",null]", 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scan s;
        struct str got[8];
        bool first = true;
        uint32_t left = 0;
        scan_init(&s, str_c(cases[i].list));
        assert_true(scan_array_begin(&s));
        assert_int_equal(scan_plain_strings(&s, &first, got, 8), cases[i].n);
        while (scan_item(&s, &first)) {
            assert_true(scan_skip(&s, NULL));
            left++;
        }
        assert_int_equal(left, cases[i].left);
        assert_true(scan_end(&s));
    }
    struct scan s;
    struct str got[2];
    bool first = true;
    scan_init(&s, STR("[\"a\",\"b\",\"c\"]"));
    assert_true(scan_array_begin(&s));
    assert_int_equal(scan_plain_strings(&s, &first, got, 2),
                     2); /* no more than there is room for */
    assert_true(str_is(got[0], "a") && str_is(got[1], "b"));
    scan_init(&s, STR("[\"a\" \"b\"]"));
    first = true;
    assert_true(scan_array_begin(&s));
    assert_int_equal(scan_plain_strings(&s, &first, got, 2), 1);
    assert_false(scan_item(&s, &first)); /* a comma is missing */
    assert_non_null(s.error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid_and_not), cmocka_unit_test(test_every_offset),
        cmocka_unit_test(test_depth),         cmocka_unit_test(test_strings),
        cmocka_unit_test(test_numbers),       cmocka_unit_test(test_place),
        cmocka_unit_test(test_newlines),      cmocka_unit_test(test_plain_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
