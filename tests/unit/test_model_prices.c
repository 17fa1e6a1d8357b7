/* What a node costs, and whether that is known or guessed.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "model/prices.h"

#define NANO INT64_C(1000000000)

struct fixture {
    struct settings settings;
    struct cluster *c;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct err err = ERR_NONE;
    f = (struct fixture){0};
    assert_int_equal(settings_default(&f.settings, &err), 0);
    assert_int_equal(cluster_new(&f.c, &f.settings, &err), 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    cluster_free(f->c);
    settings_done(&f->settings);
    return 0;
}

static node_ix put(struct fixture *f, const char *type, const char *capacity, const char *zone,
                   int64_t cores, int64_t gib, int64_t gpus)
{
    struct kv_desc kv[] = {{STR("topology.kubernetes.io/region"), STR("r1")},
                           {STR("topology.kubernetes.io/zone"), str_c(zone)},
                           {STR("node.kubernetes.io/instance-type"), str_c(type)},
                           {STR("karpenter.sh/capacity-type"), str_c(capacity)}};
    struct qty_desc q[] = {{STR("cpu"), {(i128)cores * NANO}},
                           {STR("memory"), {(i128)gib * (INT64_C(1) << 30) * NANO}},
                           {STR("nvidia.com/gpu"), {(i128)gpus * NANO}}};
    struct node_desc d = {.meta.name = STR("n"), .meta.labels = {kv, 4}, .allocatable = {q, 3}};
    struct err err = ERR_NONE;
    node_ix node = NODE_NONE;
    assert_int_equal(cluster_upsert_node(f->c, &d, &node, &err), 0);
    return node;
}

static void is(struct fixture *f, node_ix n, int64_t nano, bool guessed, const char *what)
{
    bool flag = (f->c->flags[n.v] & NODE_PRICE_GUESSED) != 0;
    if (f->c->price_nano_hour[n.v] != nano || flag != guessed) {
        fail_msg("%s: %lld guessed=%d instead of %lld guessed=%d", what,
                 (long long)f->c->price_nano_hour[n.v], flag, (long long)nano, guessed);
    }
}

static void test_by_resources(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(prices_by_resources(8000, INT64_C(16) << 30, 0), 8 * 33000000 + 16 * 4500000);
    assert_int_equal(prices_by_resources(0, 0, 2), 1600000000);
    assert_int_equal(prices_by_resources(500, 0, 0), 16500000);
    assert_true(prices_by_resources(INT64_MAX, INT64_MAX, INT64_MAX) > 0);
    is(f, put(f, "house-made", "on-demand", "z", 8, 16, 0), 336000000, true, "own machine");
    is(f, put(f, "house-made", "on-demand", "z", 8, 16, 1), 1136000000, true,
       "own machine with a GPU");
    is(f, put(f, "house-made", "spot", "z", 8, 16, 0), 117600000, true, "own machine on spot");
}

static void test_shipped_types(void **state)
{
    struct fixture *f = *state;
    is(f, put(f, "c6i.2xlarge", "on-demand", "z", 7, 14, 0), 340000000, false, "shipped");
    is(f, put(f, "c6i.2xlarge", "", "z", 7, 14, 0), 340000000, false, "capacity type unknown");
    is(f, put(f, "c6i.2xlarge", "spot", "z", 7, 14, 0), 119000000, true,
       "shipped less the usual discount");
    assert_non_null(prices_find_type(STR("n2-standard-8")));
    assert_non_null(prices_find_type(STR("Standard_D8s_v5")));
    assert_non_null(prices_find_type(STR("standard_d8s_v5")));
    assert_null(prices_find_type(STR("c6i")));
    f->settings.currency = STR("EUR");
    is(f, put(f, "c6i.2xlarge", "on-demand", "z", 7, 14, 0), 340000000, true,
       "dollars shown as euros");
}

static void test_table_rows(void **state)
{
    static const struct price_row rows[] = {
        {STR("c6i.2xlarge"), STR("r1"), STR(""), STR("on-demand"), 400000000},
        {STR("c6i.2xlarge"), STR("r1"), STR("z1"), STR("spot"), 90000000},
        {STR("c6i.2xlarge"), STR("r1"), STR(""), STR("spot"), 110000000},
        {STR("metal"), STR("r1"), STR(""), STR("on-demand"), 1000000000},
        {STR("metal"), STR(""), STR("z9"), STR("on-demand"), 2000000000},
    };
    struct fixture *f = *state;
    f->settings.prices.rows.p = rows;
    f->settings.prices.rows.n = SP_COUNTOF(rows);
    is(f, put(f, "c6i.2xlarge", "on-demand", "z1", 7, 14, 0), 400000000, false, "region's row");
    is(f, put(f, "c6i.2xlarge", "spot", "z1", 7, 14, 0), 90000000, false,
       "zone's row before the region's");
    is(f, put(f, "c6i.2xlarge", "spot", "z2", 7, 14, 0), 110000000, false,
       "region's row for another zone");
    is(f, put(f, "metal", "on-demand", "z9", 7, 14, 0), 2000000000, false, "row of a zone alone");
    is(f, put(f, "metal", "spot", "z1", 7, 14, 0), 350000000, true, "spot from the on-demand row");
    is(f, put(f, "metal", "reserved", "z1", 7, 14, 0), 1000000000, true,
       "reserved from the on-demand row");
    is(f, put(f, "c5.large", "on-demand", "z1", 2, 4, 0), 85000000, false,
       "not in the table: shipped");
    /* the same rows, sorted, as the reader leaves them */
    static const struct price_row sorted[] = {
        {STR("c6i.2xlarge"), STR("r1"), STR(""), STR("on-demand"), 400000000},
        {STR("c6i.2xlarge"), STR("r1"), STR(""), STR("spot"), 110000000},
        {STR("c6i.2xlarge"), STR("r1"), STR("z1"), STR("spot"), 90000000},
        {STR("metal"), STR("r1"), STR(""), STR("on-demand"), 1000000000},
    };
    for (size_t i = 1; i < SP_COUNTOF(sorted); i++) {
        assert_true(prices_row_cmp(&sorted[i - 1], &sorted[i]) < 0);
    }
    f->settings.prices.rows.p = sorted;
    f->settings.prices.rows.n = SP_COUNTOF(sorted);
    f->settings.prices.sorted = true;
    is(f, put(f, "c6i.2xlarge", "spot", "z1", 7, 14, 0), 90000000, false, "sorted: zone");
    is(f, put(f, "c6i.2xlarge", "spot", "z2", 7, 14, 0), 110000000, false, "sorted: region");
    is(f, put(f, "metal", "on-demand", "z1", 7, 14, 0), 1000000000, false, "sorted: last");
}

static void test_pool_price_wins(void **state)
{
    struct fixture *f = *state;
    static const struct kv_desc zone = {STR("topology.kubernetes.io/zone"), STR("z1")};
    struct pool_settings pool = {.name = STR("p"),
                                 .match = {.given = true, .match_labels = {&zone, 1}},
                                 .price_nano_hour = 0};
    f->settings.pools.p = &pool;
    f->settings.pools.n = 1;
    is(f, put(f, "c6i.2xlarge", "on-demand", "z1", 7, 14, 0), 0, false, "a free pool");
    pool.price_nano_hour = 123;
    is(f, put(f, "c6i.2xlarge", "spot", "z1", 7, 14, 0), 123, false, "the pool's own price");
    is(f, put(f, "c6i.2xlarge", "on-demand", "z2", 7, 14, 0), 340000000, false,
       "outside of the pool");
    pool.price_nano_hour = -1;
    is(f, put(f, "c6i.2xlarge", "on-demand", "z1", 7, 14, 0), 340000000, false,
       "a pool without a price");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_by_resources, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shipped_types, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_table_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pool_price_wins, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
