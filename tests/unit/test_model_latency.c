/* Player-weighted latency against values worked out by hand.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/geo.h"
#include "model/latency.h"

#define HOUR_MS INT64_C(3600000)

static const struct latency_class fast = {{"fast", 4}, 40, 60, 80, true};

static const struct latency_row table[] = {
    /* unsorted on purpose */
    {STR("PL"), STR("eu-central-1"), 30, 0}, {STR("DE"), STR("eu-central-1"), 10, 2},
    {STR("FR"), STR("eu-central-1"), 20, 4}, {STR("DE"), STR("eu-central-1b"), 14, 0},
    {STR("DE"), STR("edge-7"), 3, 0},        {STR("far-out"), STR("elsewhere"), 400, 0},
    {STR("DE"), STR("us-east-1"), 95, 5},    {STR("FR"), STR("us-east-1"), 85, 0},
};

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
    f.settings.latency.rows.p = table;
    f.settings.latency.rows.n = SP_COUNTOF(table);
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

static node_ix put(struct fixture *f, const char *name, const char *region, const char *zone,
                   const char *edge)
{
    struct kv_desc kv[3];
    uint32_t n = 0;
    struct err err = ERR_NONE;
    node_ix node = NODE_NONE;
    if (region != NULL) {
        kv[n++] = (struct kv_desc){STR("topology.kubernetes.io/region"), str_c(region)};
    }
    if (zone != NULL) {
        kv[n++] = (struct kv_desc){STR("topology.kubernetes.io/zone"), str_c(zone)};
    }
    if (edge != NULL) {
        kv[n++] = (struct kv_desc){STR("game.example/site"), str_c(edge)};
    }
    struct node_desc d = {.meta.name = str_c(name), .meta.labels = {kv, n}};
    assert_int_equal(cluster_upsert_node(f->c, &d, &node, &err), 0);
    return node;
}

static void near(double have, double want, const char *what)
{
    double off = have - want;
    if (off > 1e-6 || off < -1e-6) {
        fail_msg("%s: %.9g instead of %.9g", what, have, want);
    }
}

static struct latency_value judge(struct fixture *f, node_ix node, const struct demand_share *d,
                                  uint32_t n)
{
    struct latency_value v;
    latency_judge(f->c, (demand_list){d, n}, latency_place(f->c, node), &fast, &v);
    return v;
}

static void test_weighted_percentiles(void **state)
{
    static const struct demand_share d[] = {{STR("DE"), 0.6}, {STR("FR"), 0.3}, {STR("PL"), 0.1}};
    struct fixture *f = *state;
    node_ix n = put(f, "n", "eu-central-1", NULL, NULL);
    struct latency_value v = judge(f, n, d, 3);
    /* e: DE 12, FR 24, PL 30; cumulative 0.6, 0.9, 1.0 */
    assert_true(v.known);
    near(v.p50_ms, 12, "p50");
    near(v.p90_ms, 24, "p90");
    near(v.p10_ms, 12, "p10");
    near(v.mean_ms, 0.6 * 12 + 0.3 * 24 + 0.1 * 30, "mean");
    near(v.over_share, 0, "over");
    near(v.unknown_share, 0, "unknown");
    near(v.jitter_ms * v.jitter_ms, 0.6 * 4 + 0.3 * 16, "jitter squared");
    assert_int_equal(v.worst_source, LATENCY_TABLE);
    /* a percentile is not a mean: 15 % far away moves p90 to them at once */
    static const struct demand_share far[] = {{STR("DE"), 0.85}, {STR("PL"), 0.15}};
    v = judge(f, n, far, 2);
    near(v.p90_ms, 30, "p90 with 15 % in PL");
    near(v.mean_ms, 0.85 * 12 + 0.15 * 30, "mean with 15 % in PL");
}

static void test_cutoff_counts_players(void **state)
{
    static const struct demand_share d[] = {{STR("DE"), 0.6}, {STR("FR"), 0.4}};
    struct fixture *f = *state;
    node_ix n = put(f, "n", "us-east-1", NULL, NULL);
    struct latency_value v = judge(f, n, d, 2);
    near(v.over_share, 1.0, "everyone is over 80 ms");
    struct latency_class slow = {{"slow", 4}, 60, 90, 90, true};
    latency_judge(f->c, (demand_list){d, 2}, latency_place(f->c, n), &slow, &v);
    near(v.over_share, 0.6, "DE is at 95 + 5");
    slow.max_ms = 100;
    latency_judge(f->c, (demand_list){d, 2}, latency_place(f->c, n), &slow, &v);
    near(v.over_share, 0, "at the limit is not over it");
}

static void test_zone_before_region_before_label(void **state)
{
    struct fixture *f = *state;
    static const struct demand_share de[] = {{STR("DE"), 1}};
    near(judge(f, put(f, "a", "eu-central-1", "eu-central-1b", "edge-7"), de, 1).p90_ms, 14,
         "zone row");
    near(judge(f, put(f, "b", "eu-central-1", "eu-central-1c", "edge-7"), de, 1).p90_ms, 12,
         "region row");
    near(judge(f, put(f, "c", NULL, NULL, "edge-7"), de, 1).p90_ms, 3, "label row");
    /* FR has no row for the zone: its region's counts */
    static const struct demand_share fr[] = {{STR("FR"), 1}};
    near(judge(f, put(f, "d", "eu-central-1", "eu-central-1b", NULL), fr, 1).p90_ms, 24,
         "region row for a zone");
    assert_int_equal(latency_place(f->c, put(f, "e", "eu-central-1", "eu-central-1b", NULL)).v,
                     latency_place(f->c, put(f, "d", "eu-central-1", "eu-central-1b", NULL)).v);
    assert_int_equal(latency_place(f->c, put(f, "x", NULL, NULL, "not-in-the-table")).v, 0);
    assert_true(latency_n_places(f->c) >= 4);
}

static void test_neighbour_doubles_jitter(void **state)
{
    /* Czechia has no row; Poland's and Germany's points are within 500 km, Poland's is the nearer one */
    static const struct demand_share cz[] = {{STR("CZ"), 1}};
    struct fixture *f = *state;
    struct latency_value v = judge(f, put(f, "n", "eu-central-1", NULL, NULL), cz, 1);
    assert_int_equal(v.worst_source, LATENCY_NEIGHBOUR);
    near(v.p90_ms, 30, "neighbour");
    near(v.unknown_share, 1, "a neighbour is not a row");
    /* and a place near one that the table knows: Frankfurt under its other name */
    static const struct demand_share de[] = {{STR("DE"), 1}};
    v = judge(f, put(f, "m", "europe-west3", NULL, NULL), de, 1);
    assert_int_equal(v.worst_source, LATENCY_NEIGHBOUR);
    near(v.p90_ms, 10 + 4, "place's neighbour, jitter doubled");
}

static void test_distance_when_no_table_helps(void **state)
{
    static const struct demand_share br[] = {{STR("BR-SP"), 1}};
    struct fixture *f = *state;
    struct geo_point a = {0}, b = {0};
    node_ix n = put(f, "n", "eu-central-1", NULL, NULL);
    struct latency_value v = judge(f, n, br, 1);
    assert_true(geo_find(STR("BR-SP"), &a) && geo_find(STR("eu-central-1"), &b));
    assert_int_equal(v.worst_source, LATENCY_DISTANCE);
    near(v.p90_ms, geo_distance_km(a, b) / 100 * 2.07, "median factor for scores");
    near(v.over_share, 1, "p90 factor for cutoffs");
    double score = 0, cutoff = 0, jitter = 1;
    assert_int_equal(
        latency_pair(f->c, STR("BR-SP"), latency_place(f->c, n), &score, &cutoff, &jitter),
        LATENCY_DISTANCE);
    near(cutoff / score, 3.95 / 2.07, "factors");
    near(jitter, 0, "no jitter is known");
    /* the floor: nobody is at 0 ms */
    assert_int_equal(latency_pair(f->c, STR("seoul"),
                                  latency_place(f->c, put(f, "k", "ap-northeast-2", NULL, NULL)),
                                  &score, &cutoff, &jitter),
                     LATENCY_DISTANCE);
    near(score, 5, "floor");
}

static void test_unknown_is_never_dropped(void **state)
{
    /* Half of the players come from a place that nobody knows: they count at the worst that the table knows for the
     * fleet, 95 + 5 to us-east-1, and never as 0 or as nothing. */
    static const struct demand_share half[] = {{STR("DE"), 0.5}, {STR("atlantis"), 0.5}};
    static const struct demand_share all[] = {{STR("atlantis"), 1}};
    struct fixture *f = *state;
    node_ix n = put(f, "n", "eu-central-1", NULL, NULL);
    struct latency_value v = judge(f, n, half, 2);
    assert_true(v.known);
    near(v.p90_ms, 100, "unknown players at the worst known");
    near(v.p50_ms, 12, "known players");
    near(v.mean_ms, 56, "mean");
    near(v.unknown_share, 0.5, "unknown share");
    near(v.over_share, 0.5, "over");
    assert_int_equal(v.worst_source, LATENCY_WORST);
    v = judge(f, n, all, 1);
    assert_false(v.known);
    near(v.unknown_share, 1, "all unknown");
    v = judge(f, put(f, "x", NULL, NULL, NULL), half, 2);
    assert_false(v.known);
    v = judge(f, n, NULL, 0);
    assert_false(v.known);
}

static void test_age_widens_jitter(void **state)
{
    static const struct demand_share fr[] = {{STR("FR"), 1}};
    struct fixture *f = *state;
    node_ix n = put(f, "n", "eu-central-1", NULL, NULL);
    f->settings.latency.table_age_ms = 6 * HOUR_MS;
    near(judge(f, n, fr, 1).p90_ms, 24, "fresh for six hours");
    f->settings.latency.table_age_ms = 16 * HOUR_MS;
    near(judge(f, n, fr, 1).p90_ms, 20 + 4 * 2, "10 % an hour");
    f->settings.latency.jitter_factor = 0.5;
    near(judge(f, n, fr, 1).p90_ms, 20 + 2 * 2, "half of the jitter counts");
    f->settings.latency.table_age_ms = 8 * 24 * HOUR_MS;
    assert_int_equal(judge(f, n, fr, 1).worst_source, LATENCY_DISTANCE);
}

static void test_without_any_table(void **state)
{
    static const struct demand_share d[] = {{STR("DE"), 0.6}, {STR("FR"), 0.4}};
    struct fixture *f = *state;
    struct settings plain;
    struct err err = ERR_NONE;
    node_ix near_node = put(f, "a", "eu-central-1", "eu-central-1a", NULL),
            far_node = put(f, "b", "us-west-2", NULL, NULL);
    assert_int_equal(settings_default(&plain, &err), 0);
    assert_int_equal(cluster_set_settings(f->c, &plain, &err), 0);
    struct latency_value a = judge(f, near_node, d, 2), b = judge(f, far_node, d, 2);
    assert_true(a.known && b.known && a.p90_ms < b.p90_ms && b.p90_ms > 120);
    near(a.unknown_share, 1, "no row at all");
    assert_int_equal(cluster_set_settings(f->c, &f->settings, &err), 0);
    assert_int_equal(judge(f, near_node, d, 2).worst_source, LATENCY_TABLE);
    settings_done(&plain);
}

static void test_many_locations_and_no_memory(void **state)
{
    enum { N = 3000 };
    struct fixture *f = *state;
    struct demand_share *d = mem_calloc(N, sizeof *d);
    assert_non_null(d);
    for (uint32_t i = 0; i < N; i++) {
        d[i] = (struct demand_share){i % 10 == 0 ? STR("PL") : STR("DE"), 1.0 / N};
    }
    node_ix n = put(f, "n", "eu-central-1", NULL, NULL);
    struct latency_value v = judge(f, n, d, N);
    near(v.p50_ms, 12, "p50");
    near(v.mean_ms, 0.9 * 12 + 0.1 * 30, "mean");
    near(judge(f, n, d, N).p90_ms, 12, "nine of ten are in DE");
    mem_fail_at(1, false);
    v = judge(f, n, d, N);
    mem_fail_at(0, false);
    assert_false(v.known);
    mem_free(d);
}

/* The dead band's inputs: inside a region the difference is smaller than max(5 ms, jitter). */
static void test_zones_of_a_region_are_alike(void **state)
{
    static const struct demand_share de[] = {{STR("DE"), 1}};
    struct fixture *f = *state;
    struct latency_value a = judge(f, put(f, "a", "eu-central-1", "eu-central-1a", NULL), de, 1);
    struct latency_value b = judge(f, put(f, "b", "eu-central-1", "eu-central-1b", NULL), de, 1);
    double band = f->settings.latency.dead_band_ms > a.jitter_ms ? f->settings.latency.dead_band_ms
                                                                 : a.jitter_ms;
    near(f->settings.latency.dead_band_ms, 5, "dead band");
    assert_true(b.p90_ms - a.p90_ms < band && a.p90_ms - b.p90_ms < band);
    near(a.jitter_ms, 2, "jitter of the row");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_weighted_percentiles, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cutoff_counts_players, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_zone_before_region_before_label, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_neighbour_doubles_jitter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_distance_when_no_table_helps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown_is_never_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_age_widens_jitter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_any_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_locations_and_no_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_zones_of_a_region_are_alike, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
