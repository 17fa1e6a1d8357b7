/* Prices by resources: the median over the 422 shipped types is met within 7 %, which is as near as three figures get to a
 * market where GPUs differ tenfold. The spot factor 0.35 is the median of spot over on-demand in 12,721 rows of Google Cloud's
 * price list (0.353; source in instance_types.def).
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/prices.h"

#include "model/conventions.h"

#define NANO_PER_CORE INT64_C(33000000)
#define NANO_PER_GIB  INT64_C(4500000)
#define NANO_PER_GPU  INT64_C(800000000)
#define PRICE_MAX_NANO \
    (INT64_C(1000000) * 1000000000) /* a node of a million an hour: sums stay far from overflow */

#define TYPE(name, cpu, mem, gpus, clock, nano) \
    {{name, sizeof(name) - 1}, cpu, mem, gpus, clock, nano},
static const struct instance_type types[] = {
#include "model/instance_types.def"
};

const struct instance_type *prices_find_type(struct str name)
{
    for (size_t i = 0; i < SP_COUNTOF(types); i++) {
        if (str_eq_nocase(types[i].name, name)) {
            return &types[i];
        }
    }
    return NULL;
}

static int64_t capped(i128 nano)
{
    return nano < 0 ? 0 : nano > PRICE_MAX_NANO ? PRICE_MAX_NANO : (int64_t)nano;
}

int64_t prices_by_resources(int64_t cpu_milli, int64_t mem_bytes, int64_t gpus)
{
    i128 cpu = (i128)NANO_PER_CORE * cpu_milli / 1000;
    i128 mem = (i128)NANO_PER_GIB * mem_bytes / (INT64_C(1) << 30);
    return capped(cpu + mem + (i128)NANO_PER_GPU * gpus);
}

int prices_row_cmp(const struct price_row *a, const struct price_row *b)
{
    int d = str_cmp(a->instance_type, b->instance_type);
    d = d != 0 ? d : str_cmp(a->region, b->region);
    d = d != 0 ? d : str_cmp(a->zone, b->zone);
    return d != 0 ? d : str_cmp(a->capacity_type, b->capacity_type);
}

static const struct price_row *find_row(const struct settings *s, const struct price_row *want)
{
    const struct price_row *rows = s->prices.rows.p;
    uint32_t n = s->prices.rows.n, lo = 0, hi = n;
    for (uint32_t i = 0; !s->prices.sorted && i < n; i++) {
        if (prices_row_cmp(&rows[i], want) == 0) {
            return &rows[i];
        }
    }
    while (s->prices.sorted && lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int d = prices_row_cmp(want, &rows[mid]);
        if (d == 0) {
            return &rows[mid];
        }
        if (d < 0) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return NULL;
}

/* The zone's row, then the region's. */
static const struct price_row *row_of(const struct settings *s, struct str type, struct str region,
                                      struct str zone, const char *capacity)
{
    struct price_row want = {
        .instance_type = type, .region = region, .zone = zone, .capacity_type = str_c(capacity)};
    const struct price_row *row = zone.n > 0 ? find_row(s, &want) : NULL;
    if (row == NULL && zone.n > 0) {
        want.region = STR_NONE; /* a row may name its zone alone */
        row = find_row(s, &want);
        want.region = region;
    }
    want.zone = STR_NONE;
    return row != NULL ? row : find_row(s, &want);
}

/* Whole GPUs; a MIG device counts as a seventh, rounded up over the node. */
static int64_t count_gpus(const struct cluster *c, node_ix node)
{
    int64_t whole = 0, parts = 0;
    for (uint32_t r = RES_FIXED; r < c->n_res; r++) {
        struct str name = sym_str(c->syms, c->res_name[r]);
        int64_t n = c->alloc[r] != NULL ? c->alloc[r][node.v] : 0;
        if (n <= 0 || !conventions_is_accelerator(name)) {
            continue;
        }
        if (str_starts(name, STR("nvidia.com/mig"))) {
            parts += n < 1000000 ? n : 1000000;
        } else if (!str_ends(name, STR(".shared")) && !str_contains(name, STR("mem")) &&
                   !str_contains(name, STR("milli"))) {
            whole += n < 1000000 ? n : 1000000;
        }
    }
    return whole + (parts + 6) / 7;
}

static void set_price(struct cluster *c, node_ix node, i128 nano, bool guessed)
{
    c->price_nano_hour[node.v] = capped(nano);
    c->flags[node.v] &= ~(uint32_t)NODE_PRICE_GUESSED;
    c->flags[node.v] |= guessed ? NODE_PRICE_GUESSED : 0u;
}

static bool from_table(struct cluster *c, node_ix node, bool spot, bool reserved)
{
    const struct settings *s = c->settings;
    const struct node_facts *f = &c->facts[node.v];
    struct str type = sym_str(c->syms, f->instance_type), region = sym_str(c->syms, f->region),
               zone = sym_str(c->syms, f->zone);
    if (type.n == 0 || s->prices.rows.n == 0) {
        return false;
    }
    const struct price_row *row = row_of(s, type, region, zone,
                                         spot       ? "spot"
                                         : reserved ? "reserved"
                                                    : "on-demand");
    if (row != NULL) {
        set_price(c, node, row->price_nano_hour, false);
        return true;
    }
    row = row_of(s, type, region, zone, "on-demand");
    if (row != NULL && (spot || reserved)) {
        set_price(c, node,
                  spot ? (i128)row->price_nano_hour * PRICES_SPOT_PERMILLE / 1000
                       : row->price_nano_hour,
                  true);
        return true;
    }
    return false;
}

void prices_set_node(struct cluster *c, node_ix node)
{
    const struct settings *s = c->settings;
    const struct node_facts *f = &c->facts[node.v];
    bool spot = c->capacity[node.v] == CAPACITY_SPOT,
         reserved = c->capacity[node.v] == CAPACITY_RESERVED;
    if (f->pool >= 0 && (uint32_t)f->pool < s->pools.n &&
        s->pools.p[f->pool].price_nano_hour >= 0) {
        set_price(c, node, s->pools.p[f->pool].price_nano_hour, false);
        return;
    }
    if (from_table(c, node, spot, reserved)) {
        return;
    }
    const struct instance_type *type =
        f->instance_type.v != 0 ? prices_find_type(sym_str(c->syms, f->instance_type)) : NULL;
    int64_t nano = 0;
    if (type != NULL) {
        nano = type->nano_usd_hour;
    } else {
        nano = prices_by_resources(c->alloc[RES_CPU] != NULL ? c->alloc[RES_CPU][node.v] : 0,
                                   c->alloc[RES_MEMORY] != NULL ? c->alloc[RES_MEMORY][node.v] : 0,
                                   count_gpus(c, node));
    }
    /* the shipped table is in dollars: in another currency its figures are a guess as well */
    bool guessed = type == NULL || spot || !str_is(s->currency, "USD");
    set_price(c, node, spot ? (i128)nano * PRICES_SPOT_PERMILLE / 1000 : nano, guessed);
}
