/* Places of nodes and the latency table's index: what belongs to a cluster beside its rows.
 *
 * A place is the ordered list of names under which a node may be found in a latency table: zone, region, and label
 * values that the table's `to` column names. Equal lists are one place. Owned by the cluster, written by
 * conventions_read_node(), read by latency.c. Model only.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/cluster.h"
#include "model/geo.h"

#define PLACE_NAMES_MAX 8

struct place {
    sym names[PLACE_NAMES_MAX];
    uint32_t n;
    struct geo_point at;
    bool has_at;
};
struct named_point {
    struct str name;
    struct geo_point at;
    bool has_at;
    uint32_t first, n; /* rows of a `from`, in order */
};

/* Sets the node's place, from facts that are set already. A new latency table is indexed on the way. */
int places_set_node(struct cluster *c, node_ix node, struct err *err) SP_MUST_CHECK;
/* Indexes the latency table of the settings in force again. */
int places_reset(struct cluster *c, struct err *err) SP_MUST_CHECK;
void places_free(struct cluster *c); /* NULL places are fine */

uint32_t places_count(const struct cluster *c);
const struct place *places_get(const struct cluster *c, place_ix place); /* NULL when unknown */
/* A row of the latency table, or NULL. */
const struct latency_row *places_row(const struct cluster *c, struct str from, struct str to);
/* Distinct `from` and `to` names of the latency table, sorted by bytes. */
const struct named_point *places_froms(const struct cluster *c, uint32_t *ret_n);
const struct named_point *places_tos(const struct cluster *c, uint32_t *ret_n);
/* Row i in (from, to) order: of a named_point's range. */
const struct latency_row *places_row_at(const struct cluster *c, uint32_t i);
