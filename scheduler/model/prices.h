/* What a node costs an hour: the pool's price, the price table, the shipped table of instance types, or in proportion to its
 * resources (and then NODE_PRICE_GUESSED says so).
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/cluster.h"

/* Sets price_nano_hour and the NODE_PRICE_GUESSED flag of a node from its facts, resources and settings. */
void prices_set_node(struct cluster *c, node_ix node);
/* Nano-currency for an hour of this much: 0.033 per core, 0.0045 per GiB, 0.80 per GPU; the sources stand in prices.c. */
int64_t prices_by_resources(int64_t cpu_milli, int64_t mem_bytes, int64_t gpus);

/* A shipped instance type. */
struct instance_type {
    struct str name;
    int32_t cpu_milli, mem_mib, gpus, clock_mhz; /* clock 0 = not told */
    int64_t nano_usd_hour;                       /* on demand, in the provider's reference region */
};
const struct instance_type *prices_find_type(struct str name); /* NULL = not shipped */
/* Spot as a part of on-demand where no spot price is known: thousandths. */
#define PRICES_SPOT_PERMILLE 350
/* Order of price rows: type, region, zone, capacity type. */
int prices_row_cmp(const struct price_row *a, const struct price_row *b);
