/* Any bytes as a latency table and as a price table: refused with words and a place, or read in order and in range.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf/tables_read.h"
#include "model/prices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
    }
}

static void check_latency(const struct settings *s)
{
    for (uint32_t i = 0; i < s->latency.rows.n; i++) {
        const struct latency_row *r = &s->latency.rows.p[i];
        require(r->rtt_ms >= 0 && r->rtt_ms <= 60000 && r->jitter_ms >= 0 && r->jitter_ms <= 60000,
                "milliseconds in range");
        require(r->from.n > 0 && r->to.n > 0, "both ends are named");
        if (i > 0) {
            int d = str_cmp(r[-1].from, r->from);
            require(d < 0 || (d == 0 && str_cmp(r[-1].to, r->to) < 0), "sorted, each pair once");
        }
    }
}

static void check_prices(const struct settings *s)
{
    for (uint32_t i = 0; i < s->prices.rows.n; i++) {
        require(s->prices.rows.p[i].price_nano_hour >= 0, "no negative price");
        require(i == 0 || prices_row_cmp(&s->prices.rows.p[i - 1], &s->prices.rows.p[i]) < 0,
                "sorted, each key once");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    struct settings s;
    struct err err = ERR_NONE;
    require(settings_default(&s, &err) == 0, "defaults");
    if (config_read_latency_bytes(&s, "fuzz", bytes, &err) != 0) {
        require(err.line > 0 && err.text[0] != '\0', "an error has a place and words");
    }
    check_latency(&s);
    err = ERR_NONE;
    if (config_read_prices_bytes(&s, "fuzz", bytes, &err) != 0) {
        require(err.line > 0 && err.text[0] != '\0', "an error has a place and words");
    }
    check_prices(&s);
    settings_done(&s);
    return 0;
}
