/* What operators configure, resolved to plain values: fleets, pools, latency, prices, rates.
 *
 * Made by conf/ from the configuration file (or settings_default), then read-only. It owns its arena; policies
 * and the model read it and never change it. Text is not interned here: one settings object may serve several clusters.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "model/desc.h"

enum decide_way { DECIDE_DECISIVE = 0, DECIDE_SHORTLIST, DECIDE_COOPERATIVE };
enum stale_answer { STALE_PASSTHROUGH = 0, STALE_REJECT };
enum spot_wish { SPOT_UNSET = 0, SPOT_NEVER, SPOT_ALLOWED, SPOT_PREFERRED, SPOT_REQUIRED };

/* Round-trip limits of a class of games, milliseconds; `none` has judged == false. */
struct latency_class {
    struct str name;
    double good_ms, ok_ms, max_ms;
    bool judged;
};
struct demand_share { /* shares of one demand sum to 1 */
    struct str
        location; /* ISO country, country-subdivision, or a `from` name of the latency table */
    double share;
};
typedef DESC_LIST(struct demand_share) demand_list;

struct region_limit {
    struct str region;
    int64_t value;
};
struct region_pair {
    struct str from, to;
};
struct fleet_settings {
    struct str name;
    struct selector_desc match; /* over the pod's labels; not given: matches by name only */
    struct str match_namespace; /* "" = any */
    int32_t players;            /* per server; -1 = not set */
    demand_list demand;
    struct str latency_class;               /* "" = not set */
    int64_t session_p50_ms, session_p90_ms; /* 0 = not set; INT64_MAX = for ever */
    struct {
        bool set;
        struct str topology_key;
        int32_t max_skew;        /* in servers; 0 = no hard skew */
        double max_player_share; /* 1 = no cap */
        int32_t min_domains;
    } zone_spread;
    str_list pools; /* names of `pools`, best first */
    struct {
        enum spot_wish policy;
        double min_on_demand_share; /* 0 = no floor */
        double max_pool_share;      /* 1 = no cap */
        double
            max_hazard_per_hour; /* 0 = not set: above it a pool is only watched, no new sessions */
    } spot;
    struct {
        str_list allowed, replicas, disabled;
        struct str primary;
        DESC_LIST(struct region_limit) max_players, max_ms;
        DESC_LIST(struct region_pair) failover;
    } regions;
    struct { /* hardware wishes */
        int32_t min_clock_mhz, min_generation;
        bool no_burstable, no_virtual; /* no_virtual: default true for hostPort or UDP servers */
        bool no_virtual_set;
        struct str arch;
    } hardware;
    struct {
        str_list products;
        int64_t min_memory_mib;
        bool display, allow_shared;
        int32_t min_compute_major;
    } gpu;
    double max_servers_per_core;  /* density cap; 0 = none */
    int32_t max_servers_per_node; /* 0 = none */
};
struct pool_settings {
    struct str name;
    struct selector_desc match; /* over the node's labels */
    str_list fleets;            /* reserved for these; empty = open to all */
    bool system;                /* no game servers here */
    int64_t price_nano_hour;    /* -1 = from the price table */
};
/* Currency units per unit named; int64 nano-currency. Defaults with their reasons: docs/policies/rates.md. */
struct rates {
    int64_t player_kicked; /* one player thrown out of a running session */
    int64_t
        player_ms_hour; /* one player suffering one millisecond above the class target for an hour */
    int64_t
        zone_player; /* one player more in a zone than its target share, per 25 minutes, at least once */
    int64_t
        soft_wish; /* a soft wish of weight 100 that is not granted, per 25 minutes, at least once */
    int64_t order_place;       /* one place down the fleet's order of pools or regions, likewise */
    int64_t gpu_hour_stranded; /* one GPU that no typical request can use, for an hour */
    int64_t
        node_hour_kept; /* added to the node's price for an hour that a node must stay because of this pod */
    int64_t session_lost; /* one session ended by a reclaim, besides its players */
};
/* One row of a latency table. */
struct latency_row {
    struct str from, to;
    double rtt_ms, jitter_ms; /* jitter 0 where the table has none */
};
struct price_row {
    struct str instance_type, region, zone,
        capacity_type; /* zone "" = whole region; capacity_type "spot", "on-demand", "reserved" */
    int64_t price_nano_hour;
};
/* Kinds that the decoders do not know, and where their pod template is ("spec.template"). */
struct kind_path {
    struct str api_group, kind, template_path, replicas_path;
};
struct settings {
    struct arena arena;
    struct str source; /* path of the file, "" = defaults */
    enum decide_way decide;
    int32_t shortlist_size;
    int64_t decision_budget_ms, max_staleness_ms, reservation_ttl_ms;
    enum stale_answer on_stale;
    bool look_ahead;
    struct str currency;
    struct {
        struct str file; /* resolved against the configuration's folder */
        DESC_LIST(struct latency_class)
        classes; /* the shipped ones first, then the configuration's (same name: replaced) */
        DESC_LIST(struct latency_row) rows;
        double max_over_share;
        int64_t relax_after_ms;
        double jitter_factor; /* kappa */
        double dead_band_ms;
        int64_t table_age_ms; /* age of the table when it was read; 0 = fresh or unknown */
    } latency;
    struct {
        struct str file;
        DESC_LIST(struct price_row) rows;
        bool
            sorted; /* rows stand in order of type, region, zone, capacity type: conf/ makes them so */
    } prices;
    DESC_LIST(struct fleet_settings) fleets;
    DESC_LIST(struct pool_settings) pools;
    DESC_LIST(struct kind_path) kinds;
    struct fleet_settings
        defaults; /* cluster-wide values of everything a fleet may set; players, session … */
    bool session_shipped; /* defaults.session_* are the shipped guess, not the operator's word */
    struct rates rates;
};

/* Everything at its documented default: no fleets, no pools, the shipped latency classes. */
int settings_default(struct settings *ret, struct err *err) SP_MUST_CHECK;
void settings_done(struct settings *s);
const struct latency_class *settings_latency_class(const struct settings *s,
                                                   struct str name); /* NULL = unknown */
