/* Latency and price tables from CSV into settings.
 *
 * A table replaces the one that was there. On failure the settings keep what they had. Errors carry file:line:column.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/settings.h"

/* from,to,rtt_ms[,jitter_ms]. A pair stands once. */
int config_read_latency(struct settings *s, const char *path, struct err *err) SP_MUST_CHECK;
int config_read_latency_bytes(struct settings *s, const char *name, struct str bytes,
                              struct err *err) SP_MUST_CHECK;
/* instance_type,region[,zone],capacity_type,price_per_hour. capacity_type is on-demand, spot or reserved. */
int config_read_prices(struct settings *s, const char *path, struct err *err) SP_MUST_CHECK;
int config_read_prices_bytes(struct settings *s, const char *name, struct str bytes,
                             struct err *err) SP_MUST_CHECK;
