/* Short memory around the configuration: reading YAML and JSON with their tables, printing, explaining.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/torture.h"
#include "support/torture_world.h"
#include "wire/jdoc.h"

struct load_case {
    const char *path;
    struct buf printed; /* of the undisturbed run */
};

/* What is read although an allocation failed prints the same. */
static void same_as_ever(struct load_case *k, const struct settings *s)
{
    struct buf out CLEANUP_BUF;
    buf_init(&out, 1u << 20);
    config_print(&out, s);
    check(!out.broken);
    if (k->printed.n == 0) {
        buf_str(&k->printed, buf_view(&out));
    }
    check(out.n == k->printed.n && memcmp(out.p, k->printed.p, out.n) == 0);
}

static bool load_scenario(void *ctx)
{
    struct load_case *k = ctx;
    struct settings s;
    struct err err = ERR_NONE;
    torture_begin();
    int rc = config_load(k->path, &s, &err);
    torture_end();
    if (rc == 0) {
        same_as_ever(k, &s);
        settings_done(&s);
    }
    return torture_ok(rc, &err);
}

static void read_file(const char *name, const char *path)
{
    struct load_case k = {.path = path};
    buf_init(&k.printed, 1u << 20);
    struct torture_result r = torture(name, load_scenario, &k, 21);
    assert_true(r.allocations > 50);
    assert_int_equal(r.odd, 0);
    buf_done(&k.printed);
}

static void yaml_and_json(void **state)
{
    (void)state;
    jdoc_init();
    read_file("config yaml", TORTURE_CONFIG);
    read_file("config json", "tests/torture/config/config.json");
}

/* ---- tables over settings that are in force ---- */

typedef int (*table_reader)(struct settings *s, const char *path, struct err *err);
struct table_case {
    table_reader read;
    const char *path;
};

static bool table_scenario(void *ctx)
{
    const struct table_case *k = ctx;
    struct load_case whole = {0};
    struct settings s;
    struct err err = ERR_NONE, unread = ERR_NONE;
    buf_init(&whole.printed, 1u << 20);
    check(config_load(TORTURE_CONFIG, &s, &unread) == 0);
    same_as_ever(&whole, &s);
    uint32_t latency = s.latency.rows.n, prices = s.prices.rows.n;
    torture_begin();
    int rc = k->read(&s, k->path, &err);
    torture_end();
    check(s.latency.rows.n == latency && s.prices.rows.n == prices);
    if (rc != 0) {
        same_as_ever(&whole, &s);
    }
    settings_done(&s);
    buf_done(&whole.printed);
    return torture_ok(rc, &err);
}

static void tables(void **state)
{
    struct table_case latency = {config_read_latency, "tests/torture/config/rtt.csv"};
    struct table_case prices = {config_read_prices, "tests/torture/config/prices.csv"};
    (void)state;
    assert_int_equal(torture("latency table", table_scenario, &latency, 22).odd, 0);
    assert_int_equal(torture("price table", table_scenario, &prices, 23).odd, 0);
}

/* ---- writing ---- */

static bool print_scenario(void *ctx)
{
    struct buf out CLEANUP_BUF;
    struct err err = ERR_NONE;
    buf_init(&out, 1u << 20);
    torture_begin();
    config_print(&out, ctx);
    config_print_default(&out);
    config_print_docs(&out);
    int rc = config_explain(&out, NULL, &err);
    rc = rc == 0 ? config_explain(&out, "latency.maxOverShare", &err) : rc;
    if (rc == 0 && out.broken) {
        rc = err_nomem(&err);
    }
    torture_end();
    check(out.broken == torture_hit());
    return torture_ok(rc, &err);
}

static void printing(void **state)
{
    struct settings s;
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(config_load(TORTURE_CONFIG, &s, &err), 0);
    struct torture_result r = torture("config print", print_scenario, &s, 24);
    assert_int_equal(r.odd, 0);
    assert_int_equal(r.unharmed, 0);
    settings_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_and_json),
        cmocka_unit_test(tables),
        cmocka_unit_test(printing),
    };
    return cmocka_run_group_tests_name("torture config", tests, NULL, NULL);
}
