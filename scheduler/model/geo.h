/* Places: cloud regions and countries with coordinates, to estimate a round trip where no table knows it.
 *
 * RTT = 2.07 ms per 100 km of great circle (median over 56,646 city pairs; p90 3.95): for scores the median, for cutoffs
 * the p90. Tables: geo_regions.def, geo_countries.def with their sources.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

struct geo_point {
    double lat, lon; /* degrees */
};
/* A cloud region ("eu-central-1", "europe-west3", "westeurope"), a zone of one ("us-west-2-lax-1a": the metro), a country
 * ("DE"), a country-subdivision ("US-CA"), or one of the shipped metro names. false = unknown. */
bool geo_find(struct str name, struct geo_point *ret);
double geo_distance_km(struct geo_point a, struct geo_point b); /* haversine, R = 6371 km */
#define GEO_MS_PER_100KM_P50 2.07
#define GEO_MS_PER_100KM_P90 3.95
