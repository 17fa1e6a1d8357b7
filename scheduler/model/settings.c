/* Settings at their documented defaults. Figures and their reasons: docs/config.md and docs/policies/rates.md.
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/settings.h"

#define SETTINGS_ARENA_MAX ((size_t)2 << 30) /* LIMIT_CSV_ROWS rows of a table with their text */
#define NANO_CENT          INT64_C(10000000)

/* good / ok / max round trip in milliseconds per class of games: sources in docs/config.md. */
static const struct latency_class shipped_classes[] = {
    {STR("competitive"), 35, 60, 100, true},
    {STR("action"), 60, 100, 150, true},
    {STR("third-person"), 80, 150, 250, true},
    {STR("strategy"), 120, 300, 600, true},
    {STR("turn-based"), 250, 600, 1200, true},
    {STR("streaming"), 40, 60, 80, true},
    {STR("none"), 0, 0, 0, false},
};

static void default_fleet(struct fleet_settings *f)
{
    *f = (struct fleet_settings){0};
    f->players = 16;
    f->latency_class = STR("action");
    f->session_p50_ms = INT64_C(25) * 60 * 1000;
    f->session_p90_ms = INT64_C(45) * 60 * 1000;
    f->zone_spread.topology_key = STR("topology.kubernetes.io/zone");
    f->zone_spread.max_player_share = 1;
    f->spot.policy = SPOT_ALLOWED;
    f->spot.max_pool_share = 1;
    f->hardware.no_virtual = true;
}

int settings_default(struct settings *ret, struct err *err)
{
    (void)err; /* kept for callers: a default that must allocate would fail through it */
    *ret = (struct settings){0};
    arena_init(&ret->arena, SETTINGS_ARENA_MAX);
    ret->decide = DECIDE_DECISIVE;
    ret->shortlist_size = 8;
    ret->decision_budget_ms = 20;
    ret->max_staleness_ms = 60000;
    ret->on_stale = STALE_PASSTHROUGH;
    ret->reservation_ttl_ms = 60000;
    ret->currency = STR("USD");
    ret->latency.classes.p = shipped_classes;
    ret->latency.classes.n = SP_COUNTOF(shipped_classes);
    ret->latency.max_over_share = 0.05;
    ret->latency.relax_after_ms = 120000;
    ret->latency.jitter_factor = 1;
    ret->latency.dead_band_ms = 5;
    default_fleet(&ret->defaults);
    ret->session_shipped = true;
    ret->rates.player_kicked = 5 * NANO_CENT;
    ret->rates.player_ms_hour = 2 * NANO_CENT / 1000;
    ret->rates.zone_player = 3 * NANO_CENT;
    ret->rates.soft_wish = 25 * NANO_CENT;
    ret->rates.order_place = 500 * NANO_CENT;
    ret->rates.gpu_hour_stranded = 50 * NANO_CENT;
    ret->rates.node_hour_kept = 0;
    ret->rates.session_lost = 10 * NANO_CENT;
    return 0;
}

void settings_done(struct settings *s)
{
    if (s == NULL) {
        return;
    }
    arena_done(&s->arena);
    *s = (struct settings){0};
}

const struct latency_class *settings_latency_class(const struct settings *s, struct str name)
{
    for (uint32_t i = 0; i < s->latency.classes.n; i++) {
        if (str_eq(s->latency.classes.p[i].name, name)) {
            return &s->latency.classes.p[i];
        }
    }
    return NULL;
}
