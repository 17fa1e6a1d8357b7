/* base: strings, numbers, times, output buffers.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"

static void str_compares_and_cuts(void **state)
{
    (void)state;
    assert_true(str_cmp(STR("a"), STR("b")) < 0);
    assert_true(str_cmp(STR("ab"), STR("a")) > 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0); /* bytes are unsigned */
    assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
    assert_true(str_eq_nocase(STR("PodName[]"), STR("podname[]")));
    assert_false(str_eq_nocase(STR("@"), STR("`")));
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_false(str_starts(STR("a"), STR("ab")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_false(str_ends(STR("c"), STR("bc")));
    assert_true(str_contains(STR("aaab"), STR("aab")));
    assert_true(str_contains(STR("x"), STR("")));
    assert_false(str_contains(STR("aaab"), STR("ba")));
    assert_false(str_contains(STR_NONE, STR("a")));
    assert_true(str_is(str_trim(STR(" \t a b\r\n")), "a b"));
    assert_int_equal(str_trim(STR("  ")).n, 0);
    struct str rest = STR("a,,b");
    assert_true(str_is(str_cut(&rest, ','), "a"));
    assert_true(str_is(str_cut(&rest, ','), ""));
    assert_true(str_is(str_cut(&rest, ','), "b"));
    assert_int_equal(rest.n, 0);
    assert_int_equal(str_cut(&rest, ',').n, 0);
}

static void str_knows_utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "abc",
                                       "\xc3\xa9",
                                       "\xe2\x82\xac",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x9f\x98\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xc2\x80"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "a\xc3",
                                      "\xe2\x82",
                                      "\xf0\x9f\x98",
                                      "\xe2\x28\xa1"};
    for (size_t i = 0; i < SP_COUNTOF(good); i++) {
        assert_true(str_utf8_ok(str_c(good[i])));
    }
    for (size_t i = 0; i < SP_COUNTOF(bad); i++) {
        assert_false(str_utf8_ok(str_c(bad[i])));
    }
}

static void str_knows_what_a_terminal_would_obey(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool fit;
        size_t n;
    } cases[] = {{"a", true, 1},
                 {"~", true, 1},
                 {"\x1b[31m", false, 1},
                 {"\n", false, 1},
                 {"\x7f", false, 1},
                 {"\xc2\x9b", false, 2},
                 {"\xc2\xa0", true, 2},
                 {"\xe2\x80\x8d", true, 3},
                 {"\xe2\x80\x8e", false, 3},
                 {"\xe2\x80\xa7", true, 3},
                 {"\xe2\x80\xa8", false, 3},
                 {"\xe2\x80\xae", false, 3},
                 {"\xe2\x80\xaf", true, 3},
                 {"\xe2\x81\xa6", false, 3},
                 {"\xe2\x94\x80", true, 3},
                 {"\xf0\x9f\x98\x80", true, 4},
                 {"\xff", false, 1},
                 {"\xe2\x82", false, 1}};
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        size_t n = 0;
        assert_int_equal(str_printable(str_c(cases[i].text), &n), cases[i].fit);
        assert_int_equal(n, cases[i].n);
    }
}

/* Reference values of SipHash-1-3 with the key 00 01 .. 0f over 00, 00 01, ... */
static void str_hash_is_siphash_1_3(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint64_t want;
    } rows[] = {
        {0, UINT64_C(0xabac0158050fc4dc)}, {1, UINT64_C(0xc9f49bf37d57ca93)},
        {2, UINT64_C(0x82cb9b024dc7d44d)}, {3, UINT64_C(0x8bf80ab8e7ddf7fb)},
        {7, UINT64_C(0xd3927d989bb11140)}, {8, UINT64_C(0x369095118d299a8e)},
    };
    char bytes[16];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)i;
    }
    for (size_t i = 0; i < SP_COUNTOF(rows); i++) {
        uint64_t got = str_hash((struct str){bytes, rows[i].n}, UINT64_C(0x0706050403020100),
                                UINT64_C(0x0f0e0d0c0b0a0908));
        assert_int_equal(got, rows[i].want);
    }
    assert_int_not_equal(str_hash(STR("a"), 1, 2), str_hash(STR("a"), 2, 1));
}

static void str_reads_integers(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "-",
                                      "+",
                                      "1x",
                                      " 1",
                                      "1 ",
                                      "0x1",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999",
                                      "1.0"};
    int64_t v = 77;
    for (size_t i = 0; i < SP_COUNTOF(bad); i++) {
        assert_false(str_to_i64(str_c(bad[i]), &v));
        assert_int_equal(v, 77);
    }
    assert_true(str_to_i64(STR("-9223372036854775808"), &v) && v == INT64_MIN);
    assert_true(str_to_i64(STR("9223372036854775807"), &v) && v == INT64_MAX);
    assert_true(str_to_i64(STR("+007"), &v) && v == 7);
}

static void str_reads_decimals(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     ".",     "-",   "1e", "1e+", "inf",  "nan",
                                      "0x10", "1e400", "1,5", " 1", "1 ",  "1..2", "--1"};
    double v = 77;
    for (size_t i = 0; i < SP_COUNTOF(bad); i++) {
        assert_false(str_to_f64(str_c(bad[i]), &v));
        assert_true(v == 77);
    }
    assert_true(str_to_f64(STR("1.5"), &v) && v == 1.5);
    assert_true(str_to_f64(STR("-.5e+2"), &v) && v == -50);
    assert_true(str_to_f64(STR("5."), &v) && v == 5);
    assert_true(str_to_f64(STR("4.9406564584124654e-324"), &v) && v > 0);
}

static void str_writes_shortest_decimals(void **state)
{
    (void)state;
    char out[32];
    static const struct {
        double v;
        const char *want;
    } rows[] = {{0, "0"},
                {-0.0, "0"},
                {1, "1"},
                {0.1, "0.1"},
                {0.1 + 0.2, "0.30000000000000004"},
                {-2.5, "-2.5"},
                {1e21, "1e+21"},
                {5e-324, "4.94065645841247e-324"},
                {123456789012345680, "1.2345678901234568e+17"}};
    for (size_t i = 0; i < SP_COUNTOF(rows); i++) {
        size_t n = str_from_f64(out, rows[i].v);
        assert_string_equal(out, rows[i].want);
        assert_int_equal(n, strlen(rows[i].want));
    }
    assert_int_equal(str_from_f64(out, INFINITY), 1); /* callers write null instead */
    struct rng rng;
    rng_seed(&rng, 7);
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = rng_next(&rng);
        double v, back;
        memcpy(&v, &bits, sizeof v);
        if (isfinite(v)) {
            size_t n = str_from_f64(out, v);
            assert_true(n < 32 && str_to_f64((struct str){out, n}, &back) && back == v);
        }
    }
}

static void str_reads_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0", 0},           {"250ms", 250},    {"45s", 45000},     {"20m", 1200000},
                {"1h30m", 5400000}, {"2d", 172800000}, {"1.5s", 1500},     {"0.25h", 900000},
                {"-5s", -5000},     {"1m1ms", 60001},  {"1.500000s", 1500}};
    static const char *const bad[] = {"",      "5",       "s", "1x",  "1h 5m",
                                      "1.5ms", "1.0001s", "-", "1h5", "9999999999999999d",
                                      "1.s",   "+5s",     "1H"};
    int64_t v = 77;
    for (size_t i = 0; i < SP_COUNTOF(bad); i++) {
        assert_false(str_to_duration_ms(str_c(bad[i]), &v));
        assert_int_equal(v, 77);
    }
    for (size_t i = 0; i < SP_COUNTOF(good); i++) {
        assert_true(str_to_duration_ms(str_c(good[i].text), &v));
        assert_int_equal(v, good[i].ms);
    }
}

static void str_reads_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"1970-01-01T00:00:00Z", 0},
                {"2026-11-21T07:47:22Z", 1795247242000},
                {"2026-11-21T08:47:22.125+01:00", 1795247242125},
                {"2024-02-29t23:59:60z", 1709251200000},
                {"1969-12-31T23:59:59.999Z", -1},
                {"2000-02-29T00:00:00.123456789Z", 951782400123}};
    static const char *const bad[] = {"",
                                      "2026-11-21",
                                      "2026-11-21 07:47:22Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-02-29T00:00:00Z",
                                      "2026-00-10T00:00:00Z",
                                      "2026-01-00T00:00:00Z",
                                      "2026-11-21T24:00:00Z",
                                      "2026-11-21T07:47:22",
                                      "2026-11-21T07:47:22.Z",
                                      "2026-11-21T07:47:22+0100",
                                      "2026-11-21T07:47:22Zx",
                                      "1900-02-29T00:00:00Z"};
    int64_t v = 77;
    for (size_t i = 0; i < SP_COUNTOF(bad); i++) {
        assert_false(str_to_time_ms(str_c(bad[i]), &v));
        assert_int_equal(v, 77);
    }
    for (size_t i = 0; i < SP_COUNTOF(good); i++) {
        assert_true(str_to_time_ms(str_c(good[i].text), &v));
        assert_int_equal(v, good[i].ms);
    }
}

static void str_writes_times(void **state)
{
    (void)state;
    char out[32];
    assert_int_equal(str_from_time_ms(out, 1795247242999), 20);
    assert_string_equal(out, "2026-11-21T07:47:22Z");
    (void)str_from_time_ms(out, -1);
    assert_string_equal(out, "1969-12-31T23:59:59Z");
    for (int64_t day = -700000; day < 2900000; day += 97) {
        int64_t back = 0, ms = day * 86400000 + 3723000;
        size_t n = str_from_time_ms(out, ms);
        assert_true(str_to_time_ms((struct str){out, n}, &back) && back == ms);
    }
    assert_int_equal(str_from_time_ms(out, INT64_MIN), 20);
    assert_int_equal(str_from_time_ms(out, INT64_MAX), 20);
}

static void str_suggests_the_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"serve", "simulate", "explain", "compare", "config", "ok"};
    size_t n = SP_COUNTOF(names);
    assert_string_equal(str_nearest(STR("simluate"), names, n), "simulate");
    assert_string_equal(str_nearest(STR("Serve"), names, n), "serve");
    assert_string_equal(str_nearest(STR("explian"), names, n), "explain");
    assert_string_equal(str_nearest(STR("conifg"), names, n), "config");
    assert_null(str_nearest(STR("zzzzzz"), names, n));
    assert_null(str_nearest(STR(""), names, n));
    assert_null(str_nearest(STR("x"), names, n));
}

static void buf_writes(void **state)
{
    (void)state;
    CLEANUP_BUF struct buf b;
    buf_init(&b, 1u << 16);
    buf_lit(&b, "a");
    buf_char(&b, 'b');
    buf_str(&b, STR("cd"));
    buf_str(&b, STR_NONE);
    buf_i64(&b, INT64_MIN);
    buf_i64(&b, 0);
    buf_f64(&b, 1.5);
    buf_f64(&b, NAN);
    buf_printf(&b, "%0300d", 1);
    assert_false(b.broken);
    struct str got = buf_view(&b);
    assert_int_equal(got.n, 4 + 20 + 1 + 3 + 4 + 300);
    assert_memory_equal(got.p, "abcd-922337203685477580801.5null000", 35);
    assert_int_equal(got.p[got.n - 1], '1');
}

static void expect_json(const char *in, size_t n, const char *want)
{
    CLEANUP_BUF struct buf b;
    buf_init(&b, 1024);
    buf_json_str(&b, (struct str){in, n});
    assert_false(b.broken);
    assert_int_equal(b.n, strlen(want));
    assert_memory_equal(b.p, want, b.n);
}

static void buf_escapes_json(void **state)
{
    (void)state;
    expect_json("", 0, "\"\"");
    expect_json("a\"\\\n\r\t", 6, "\"a\\\"\\\\\\n\\r\\t\"");
    expect_json("\0\x1f\x7f", 3, "\"\\u0000\\u001f\\u007f\"");
    expect_json("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9,
                "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    expect_json("a\xff\xc3z", 4, "\"a\xef\xbf\xbd\xef\xbf\xbdz\"");
    expect_json("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void buf_escapes_html(void **state)
{
    (void)state;
    CLEANUP_BUF struct buf b;
    buf_init(&b, 1024);
    buf_html(&b, STR("<a href='x' b=\"&\">\x01\xff\xc3\xa9"));
    buf_char(&b, '\0');
    assert_string_equal(
        b.p, "&lt;a href=&#39;x&#39; b=&quot;&amp;&quot;&gt;\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9");
}

static void buf_breaks_once_and_stays_broken(void **state)
{
    (void)state;
    CLEANUP_BUF struct buf b;
    buf_init(&b, 300);
    for (int i = 0; i < 300; i++) {
        buf_char(&b, 'x');
    }
    assert_false(b.broken);
    buf_char(&b, 'y');
    assert_true(b.broken);
    assert_int_equal(b.n, 300);
    buf_clear(&b);
    assert_false(b.broken);
    buf_printf(&b, "%0301d", 1);
    assert_true(b.broken);
    assert_int_equal(b.n, 0);
    buf_clear(&b);
    buf_put(&b, "abc", SIZE_MAX);
    assert_true(b.broken);
    buf_lit(&b, "more");
    assert_int_equal(b.n, 0);
    buf_done(&b);
    buf_init(&b, 1000);
    mem_fail_at(1, false);
    buf_lit(&b, "x");
    assert_true(b.broken);
    buf_clear(&b);
    assert_int_equal(buf_reserve(&b, 500), 0);
    uint64_t before = mem_count();
    for (int i = 0; i < 500; i++) {
        buf_char(&b, 'x');
    }
    assert_int_equal(mem_count(), before);
    mem_fail_at(1, false);
    assert_true(buf_reserve(&b, 900) < 0);
    mem_fail_at(0, false);
    assert_false(b.broken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(str_compares_and_cuts),
        cmocka_unit_test(str_knows_utf8),
        cmocka_unit_test(str_knows_what_a_terminal_would_obey),
        cmocka_unit_test(str_hash_is_siphash_1_3),
        cmocka_unit_test(str_reads_integers),
        cmocka_unit_test(str_reads_decimals),
        cmocka_unit_test(str_writes_shortest_decimals),
        cmocka_unit_test(str_reads_durations),
        cmocka_unit_test(str_reads_times),
        cmocka_unit_test(str_writes_times),
        cmocka_unit_test(str_suggests_the_nearest),
        cmocka_unit_test(buf_writes),
        cmocka_unit_test(buf_escapes_json),
        cmocka_unit_test(buf_escapes_html),
        cmocka_unit_test(buf_breaks_once_and_stays_broken),
    };
    return cmocka_run_group_tests_name("base text", tests, NULL, NULL);
}
