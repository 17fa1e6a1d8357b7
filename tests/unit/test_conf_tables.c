/* CSV, latency tables, price tables: what they take and where they point when they refuse.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/csv.h"
#include "conf/tables_read.h"
#include "model/prices.h"

struct refusal {
    const char *text;
    uint32_t line, column;
    const char *words;
};

static void test_csv_fields(void **state)
{
    struct csv c;
    struct err err = ERR_NONE;
    (void)state;
    csv_init(&c, "f",
             STR("\xef\xbb\xbf"
                 "a, b ,\"c,d\"\r\n\n# note\n\"say \"\"hi\"\"\",,\n x"));
    assert_int_equal(csv_next(&c, &err), 1);
    assert_int_equal(c.n, 3);
    assert_true(str_is(c.f[0].text, "a") && str_is(c.f[1].text, "b") && str_is(c.f[2].text, "c,d"));
    assert_int_equal(c.f[2].column, 7);
    assert_int_equal(csv_next(&c, &err), 1);
    assert_int_equal(c.line, 4);
    assert_int_equal(c.n, 3);
    assert_true(str_is(c.f[0].text, "say \"hi\"") && c.f[1].text.n == 0 && c.f[2].text.n == 0);
    assert_int_equal(csv_next(&c, &err), 1);
    assert_true(c.n == 1 && str_is(c.f[0].text, "x"));
    assert_int_equal(csv_next(&c, &err), 0);
    assert_int_equal(csv_next(&c, &err), 0);
}

static void test_csv_refusals(void **state)
{
    static const struct refusal cases[] = {
        {"a,\"b\n", 1, 3, "never closed"},
        {"a,\"b\"c\n", 1, 6, "comma after"},
        {"ok\n\xff\n", 2, 1, "UTF-8"},
        {",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\n", 1, 65,
         "more than 64"},
    };
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        struct csv c;
        struct err err = ERR_NONE;
        int rc = 1;
        csv_init(&c, "f.csv", str_c(cases[i].text));
        while (rc == 1) {
            rc = csv_next(&c, &err);
        }
        assert_true(rc < 0 && err.line == cases[i].line && err.column == cases[i].column);
        assert_non_null(strstr(err.text, cases[i].words));
        assert_string_equal(err.file, "f.csv");
    }
}

static void refuse(int (*read)(struct settings *, const char *, struct str, struct err *),
                   const struct refusal *r)
{
    struct settings s;
    struct err err = ERR_NONE;
    assert_int_equal(settings_default(&s, &err), 0);
    if (read(&s, "t.csv", str_c(r->text), &err) == 0) {
        fail_msg("accepted: %s", r->text);
    }
    if (err.line != r->line || err.column != r->column || strstr(err.text, r->words) == NULL ||
        strcmp(err.file, "t.csv") != 0) {
        fail_msg("%s%s:%u:%u: %s", r->text, err.file, err.line, err.column, err.text);
    }
    assert_true(s.latency.rows.n == 0 && s.prices.rows.n == 0);
    settings_done(&s);
}

static void test_latency_table(void **state)
{
    static const struct refusal cases[] = {
        {"", 1, 1, "from,to,rtt_ms[,jitter_ms]"},
        {"from,to\n", 1, 1, "rtt_ms is missing"},
        {"from,to,rtt\n", 1, 9, "expected the column rtt_ms"},
        {"from,to,rtt_ms,jitter_ms,loss\n", 1, 26, "unknown column"},
        {"to,from,rtt_ms\n", 1, 1, "expected the column from"},
        {"from,to,rtt_ms\nDE,x\n", 2, 1, "2 fields, the header has 3"},
        {"from,to,rtt_ms\n,x,1\n", 2, 1, "from is empty"},
        {"from,to,rtt_ms\nDE,,1\n", 2, 4, "to is empty"},
        {"from,to,rtt_ms\nDE,x,fast\n", 2, 6, "\"fast\""},
        {"from,to,rtt_ms\nDE,x,-1\n", 2, 6, "0 to 60000"},
        {"from,to,rtt_ms\nDE,x,nan\n", 2, 6, "milliseconds"},
        {"from,to,rtt_ms,jitter_ms\nDE,x,1,lots\n", 2, 8, "jitter_ms"},
        {"from,to,rtt_ms\nDE,x,1\nFR,x,1\n\nDE,x,2\n", 5, 1, "line 2"},
    };
    struct settings s;
    struct err err = ERR_NONE;
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        refuse(config_read_latency_bytes, &cases[i]);
    }
    assert_int_equal(settings_default(&s, &err), 0);
    assert_int_equal(
        config_read_latency_bytes(
            &s, "t", STR("from,to,rtt_ms,jitter_ms\nFR,b,20,1.5\nDE,b,10,\nDE,a,9.25,0\n"), &err),
        0);
    assert_int_equal(s.latency.rows.n, 3);
    const struct latency_row *r = s.latency.rows.p;
    assert_true(str_is(r[0].from, "DE") && str_is(r[0].to, "a") && r[0].rtt_ms == 9.25 &&
                r[0].jitter_ms == 0);
    assert_true(str_is(r[1].to, "b") && r[1].jitter_ms == 0);
    assert_true(str_is(r[2].from, "FR") && r[2].rtt_ms == 20 && r[2].jitter_ms == 1.5);
    /* a table that fails leaves the one that was there */
    assert_int_not_equal(config_read_latency_bytes(&s, "t", STR("from,to,rtt_ms\nDE,a,x\n"), &err),
                         0);
    assert_int_equal(s.latency.rows.n, 3);
    assert_int_equal(config_read_latency_bytes(&s, "t", STR("from,to,rtt_ms\n"), &err), 0);
    assert_int_equal(s.latency.rows.n, 0);
    settings_done(&s);
}

static void test_price_table(void **state)
{
    static const struct refusal cases[] = {
        {"", 1, 1, "instance_type,region[,zone],capacity_type,price_per_hour"},
        {"instance_type,region,price_per_hour\n", 1, 22, "capacity_type"},
        {"instance_type,region,capacity_type,price_per_hour\nc5,r,sport,1\n", 2, 6,
         "on-demand, spot or reserved"},
        {"instance_type,region,capacity_type,price_per_hour\nc5,r,spot,free\n", 2, 11, "\"free\""},
        {"instance_type,region,capacity_type,price_per_hour\nc5,r,spot,-1\n", 2, 11, "money"},
        {"instance_type,region,capacity_type,price_per_hour\n,r,spot,1\n", 2, 1,
         "instance_type is empty"},
        {"instance_type,region,capacity_type,price_per_hour\nc5,,spot,1\n", 2, 4,
         "region is empty"},
        {"instance_type,region,capacity_type,price_per_hour\nc5,r,spot,1\nc5,r,SPOT,2\n", 3, 1,
         "line 2"},
    };
    struct settings s;
    struct err err = ERR_NONE;
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        refuse(config_read_prices_bytes, &cases[i]);
    }
    assert_int_equal(settings_default(&s, &err), 0);
    assert_int_equal(config_read_prices_bytes(
                         &s, "t",
                         STR("instance_type,region,zone,capacity_type,price_per_hour\n"
                             "m5,r,z,Spot,0.01\nc5,r,,on_demand,0.085\nc5,r,,spot,0.0333333333\n"),
                         &err),
                     0);
    assert_int_equal(s.prices.rows.n, 3);
    assert_true(s.prices.sorted);
    const struct price_row *r = s.prices.rows.p;
    assert_true(prices_row_cmp(&r[0], &r[1]) < 0 && prices_row_cmp(&r[1], &r[2]) < 0);
    assert_true(str_is(r[0].capacity_type, "on-demand") && r[0].price_nano_hour == 85000000 &&
                r[0].zone.n == 0);
    assert_true(r[1].price_nano_hour == 33333333 && str_is(r[2].zone, "z") &&
                str_is(r[2].capacity_type, "spot"));
    settings_done(&s);
}

static void test_files(void **state)
{
    struct settings s;
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(settings_default(&s, &err), 0);
    assert_int_equal(config_read_latency(&s, "/nowhere/at/all.csv", &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/at/all.csv"));
    assert_int_not_equal(config_read_prices(&s, "/", &err), 0);
    settings_done(&s);
}

static void test_short_memory(void **state)
{
    struct str text =
        STR("instance_type,region,capacity_type,price_per_hour\nc5,r,spot,1\nm5,r,spot,1\n");
    bool done = false;
    (void)state;
    for (uint64_t nth = 1; !done && nth < 500; nth++) {
        struct settings s;
        struct err err = ERR_NONE;
        assert_int_equal(settings_default(&s, &err), 0);
        mem_fail_at(nth, false);
        int rc = config_read_prices_bytes(&s, "t", text, &err);
        done = !mem_failed();
        mem_fail_at(0, false);
        assert_true(rc == 0 ? s.prices.rows.n == 2 : rc == -ENOMEM && s.prices.rows.n == 0);
        settings_done(&s);
    }
    assert_true(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv_fields),    cmocka_unit_test(test_csv_refusals),
        cmocka_unit_test(test_latency_table), cmocka_unit_test(test_price_table),
        cmocka_unit_test(test_files),         cmocka_unit_test(test_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
