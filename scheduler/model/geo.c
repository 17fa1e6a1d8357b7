/* SPDX-License-Identifier: Apache-2.0 */
#include "model/geo.h"

#include "base/fmath.h"

#define EARTH_KM 6371.0
#define RADIANS  (3.14159265358979323846 / 180.0)

struct known_place {
    struct str name;
    struct geo_point at;
};
#define PLACE(name, lat, lon) {{name, sizeof(name) - 1}, {lat, lon}},
static const struct known_place regions[] = {
#include "model/geo_regions.def"
};
static const struct known_place countries[] = {
#include "model/geo_countries.def"
};
#undef PLACE

static bool find(const struct known_place *list, size_t n, struct str name, struct geo_point *ret)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq_nocase(list[i].name, name)) {
            *ret = list[i].at;
            return true;
        }
    }
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The name without its zone part: eu-central-1a, europe-west3-b, eastus-1, us-west-2-lax-1a, us-west-2-lax-1. false: no zone. */
static bool cut_zone(struct str name, struct str *ret)
{
    size_t n = name.n;
    if (n < 4) {
        return false;
    }
    if (is_letter(name.p[n - 1]) && is_digit(name.p[n - 2])) {
        n -= 1; /* eu-central-1a */
    } else if (is_letter(name.p[n - 1]) && name.p[n - 2] == '-') {
        n -= 2; /* europe-west3-b */
    } else if (is_digit(name.p[n - 1]) && name.p[n - 2] == '-') {
        n -= 2; /* eastus-1, us-west-2-lax-1 */
    } else {
        return false;
    }
    *ret = (struct str){name.p, n};
    return true;
}

bool geo_find(struct str name, struct geo_point *ret)
{
    struct str rest = name;
    if (name.n == 2 || (name.n >= 4 && name.n <= 6 && name.p[2] == '-')) {
        if (find(countries, sizeof countries / sizeof countries[0], name, ret)) {
            return true;
        }
    }
    /* the whole name first: "us-west-2-lax-1a" is its metro and not the parent region */
    for (int i = 0; i < 3; i++) {
        if (find(regions, sizeof regions / sizeof regions[0], rest, ret)) {
            return true;
        }
        if (!cut_zone(rest, &rest)) {
            return false;
        }
    }
    return false;
}

double geo_distance_km(struct geo_point a, struct geo_point b)
{
    double dlat = (b.lat - a.lat) * RADIANS / 2, dlon = (b.lon - a.lon) * RADIANS / 2;
    double s = fm_sin(dlat), t = fm_sin(dlon);
    double h = s * s + fm_cos(a.lat * RADIANS) * fm_cos(b.lat * RADIANS) * t * t;
    return 2 * EARTH_KM * fm_asin(fm_sqrt(h > 1 ? 1 : h < 0 ? 0 : h));
}
