/* Names of places and the distance between them.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/attr.h"
#include "model/geo.h"

static double km_between(const char *a, const char *b)
{
    struct geo_point p = {0, 0}, q = {0, 0};
    if (!geo_find(str_c(a), &p) || !geo_find(str_c(b), &q)) {
        fail_msg("unknown place: %s or %s", a, b);
    }
    return geo_distance_km(p, q);
}

/* clang-format off */
/* Every AWS, Google Cloud and Azure region that published tables of round trips name. */
static const char *const region_names[] = {"us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "sa-east-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-north-1",
    "eu-south-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-east-1",
    "ap-south-1",
    "ap-south-2",
    "me-central-1",
    "il-central-1",
    "af-south-1",
    "us-central1",
    "us-east1",
    "us-east4",
    "us-west1",
    "us-west2",
    "us-west4",
    "us-south1",
    "northamerica-northeast1",
    "southamerica-east1",
    "southamerica-west1",
    "europe-west1",
    "europe-west2",
    "europe-west3",
    "europe-west4",
    "europe-central2",
    "europe-north1",
    "asia-northeast1",
    "asia-northeast3",
    "asia-east1",
    "asia-east2",
    "asia-southeast1",
    "asia-southeast2",
    "australia-southeast1",
    "me-west1",
    "africa-south1",
    "eastus",
    "eastus2",
    "centralus",
    "northcentralus",
    "westus",
    "westus2",
    "westus3",
    "canadacentral",
    "brazilsouth",
    "northeurope",
    "westeurope",
    "uksouth",
    "francecentral",
    "germanywestcentral",
    "swedencentral",
    "polandcentral",
    "italynorth",
    "norwayeast",
    "japaneast",
    "japanwest",
    "koreacentral",
    "southeastasia",
    "eastasia",
    "australiaeast",
    "southindia",
    "uaenorth",
    "southafricanorth"};
/* clang-format on */

static void test_regions_are_known(void **state)
{
    struct geo_point p;
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(region_names); i++) {
        if (!geo_find(str_c(region_names[i]), &p) || p.lat < -90 || p.lat > 90 || p.lon < -180 ||
            p.lon > 180) {
            fail_msg("%s", region_names[i]);
        }
    }
}

static void test_zones_stand_in_their_region_or_metro(void **state)
{
    static const struct {
        const char *zone, *place;
        double km;
    } cases[] = {
        {"eu-central-1a", "eu-central-1", 0},
        {"europe-west3-b", "europe-west3", 0},
        {"eastus-1", "eastus", 0},
        {"eastus2-3", "eastus2", 0},
        {"us-east1-b", "us-east1", 0},
        {"us-west-2-lax-1a", "los-angeles", 30},
        {"us-west-2-lax-1b", "us-west2", 30},
        {"us-east-1-bos-1a", "US-MA", 60},
        {"ap-southeast-2-per-1a", "perth", 30},
    };
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        double km = km_between(cases[i].zone, cases[i].place);
        if (km > cases[i].km) {
            fail_msg("%s is %.0f km from %s", cases[i].zone, km, cases[i].place);
        }
    }
    /* a local zone is not its parent region, 1,300 km away */
    assert_true(km_between("us-west-2-lax-1a", "us-west-2") > 1000);
}

static void test_distances(void **state)
{
    static const struct {
        const char *a, *b;
        double km, slack;
    } cases[] = {/* great circles between the cities, from an atlas */
                 {"frankfurt", "london", 640, 40},       {"new-york", "los-angeles", 3940, 60},
                 {"sydney", "tokyo", 7820, 80},          {"sao-paulo", "london", 9480, 120},
                 {"singapore", "frankfurt", 10270, 100}, {"auckland", "santiago", 9670, 150},
                 {"frankfurt", "frankfurt", 0, 0.001}};
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        double km = km_between(cases[i].a, cases[i].b), off = km - cases[i].km;
        if (off > cases[i].slack || off < -cases[i].slack) {
            fail_msg("%s to %s: %.1f km", cases[i].a, cases[i].b, km);
        }
        assert_true(km == km_between(cases[i].b, cases[i].a));
    }
    /* a degree of latitude, and a quarter of the way round */
    struct geo_point pole = {90, 0}, equator = {0, 77}, one = {1, 77};
    double quarter = geo_distance_km(pole, equator);
    assert_true(quarter > 10007.5 && quarter < 10007.6);
    assert_true(geo_distance_km(one, equator) > 111.19 && geo_distance_km(one, equator) < 111.20);
    struct geo_point west = {0, -179}, east = {0, 179};
    assert_true(geo_distance_km(west, east) < 223);
}

static void test_countries(void **state)
{
    static const char *const names[] = {
        "DE",    "FR",    "PL",    "GB",    "US",    "CA",     "BR",    "AU",
        "CN",    "IN",    "RU",    "JP",    "KR",    "ZA",     "NG",    "TR",
        "US-CA", "US-NY", "US-TX", "CA-ON", "CA-BC", "BR-SP",  "BR-AM", "AU-NSW",
        "AU-WA", "CN-GD", "CN-BJ", "IN-MH", "IN-DL", "RU-MOW", "RU-PRI"};
    static const char *const unknown[] = {"",  "Q", "QQ",  "ZZ-99", "nowhere", "zone-a",
                                          "0", "1", "US-", "-",     "a-1",     "rack-12b"};
    struct geo_point p;
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(names); i++) {
        assert_true(geo_find(str_c(names[i]), &p));
    }
    for (size_t i = 0; i < SP_COUNTOF(unknown); i++) {
        if (geo_find(str_c(unknown[i]), &p)) {
            fail_msg("%s is no place", unknown[i]);
        }
    }
    assert_true(km_between("DE", "eu-central-1") < 200);
    assert_true(km_between("US-CA", "us-west-1") < 350);
    assert_true(km_between("AU-WA", "AU-NSW") > 3000);
    assert_true(km_between("de", "DE") == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regions_are_known),
        cmocka_unit_test(test_zones_stand_in_their_region_or_metro),
        cmocka_unit_test(test_distances),
        cmocka_unit_test(test_countries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
