/* The configuration file: what it takes, what it refuses and with which words, and that it can be written back.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/config.h"

#define HEAD "apiVersion: spawnpoint.dev/v1alpha1\nkind: SpawnpointConfiguration\n"

static int load(const char *text, struct settings *s, struct err *err)
{
    *err = ERR_NONE;
    return config_load_bytes("f.yaml", str_c(text), "", s, err);
}

static void load_ok(const char *text, struct settings *s)
{
    struct err err;
    char line[1024];
    if (load(text, s, &err) != 0) {
        fail_msg("%s", err_format(&err, line, sizeof line));
    }
}

/* The public page's example, key by key as it stands there, without its files. */
static const char example[] = HEAD
    "decide: decisive                 # decisive | shortlist | cooperative\n"
    "shortlistSize: 8\n"
    "decisionBudget: 20ms             # past it the fallback answers, counted and logged\n"
    "maxStaleness: 60s\n"
    "onStale: passthrough             # passthrough | reject\n"
    "reservationTTL: 60s\n"
    "lookAhead: off                   # off | on\n"
    "currency: EUR\n"
    "latency: {classes: {fast: {goodMs: 40, okMs: 60, maxMs: 80}}, maxOverShare: 0.05, relaxAfter: "
    "120s}\n"
    "prices: {}\n"
    "fleets:\n"
    "- name: arena\n"
    "  match: {matchLabels: {app: arena}}\n"
    "  players: 64\n"
    "  demand: {DE: 0.6, FR: 0.3, PL: 0.1}\n"
    "  latencyClass: action\n"
    "  session: {p50: 20m, p90: 40m}\n"
    "  zoneSpread: {topologyKey: topology.kubernetes.io/zone, maxSkew: 1, maxPlayerShare: 0.5, "
    "minDomains: 3}\n"
    "  pools: [metal, ondemand, spot] # order of preference, names of `pools`\n"
    "  spot: {policy: allowed, minOnDemandShare: 0.3, maxPoolShare: 0.25}\n"
    "  regions: {allowed: [eu-central-1, eu-west-1], primary: eu-central-1, replicas: [eu-west-1], "
    "disabled: [eu-north-1], "
    "maxPlayers: {eu-west-1: 8000}, maxMs: {eu-west-1: 60}, failover: {eu-central-1: eu-west-1}}\n"
    "pools:\n"
    "- {name: metal, match: {matchLabels: {game.example/pool: metal}}}\n"
    "- {name: ondemand, match: {matchLabels: {game.example/pool: ondemand}}}\n"
    "- {name: spot, match: {matchLabels: {game.example/pool: spot}}}\n"
    "rates: {playerKicked: 0.05}\n";

static void check_example_fleet(const struct settings *s)
{
    const struct fleet_settings *f = &s->fleets.p[0];
    assert_true(str_is(f->name, "arena"));
    assert_true(f->match.given && f->match.match_labels.n == 1);
    assert_true(str_is(f->match.match_labels.p[0].key, "app") &&
                str_is(f->match.match_labels.p[0].val, "arena"));
    assert_int_equal(f->players, 64);
    assert_int_equal(f->demand.n, 3);
    assert_true(str_is(f->demand.p[2].location, "PL") && f->demand.p[2].share > 0.0999 &&
                f->demand.p[2].share < 0.1001);
    assert_true(str_is(f->latency_class, "action"));
    assert_int_equal(f->session_p50_ms, 1200000);
    assert_int_equal(f->session_p90_ms, 2400000);
    assert_true(f->zone_spread.set && f->zone_spread.max_skew == 1 &&
                f->zone_spread.min_domains == 3);
    assert_true(f->zone_spread.max_player_share == 0.5);
    assert_int_equal(f->pools.n, 3);
    assert_true(str_is(f->pools.p[1], "ondemand"));
    assert_int_equal(f->spot.policy, SPOT_ALLOWED);
    assert_true(f->spot.min_on_demand_share == 0.3 && f->spot.max_pool_share == 0.25);
    assert_true(f->regions.allowed.n == 2 && str_is(f->regions.primary, "eu-central-1") &&
                f->regions.disabled.n == 1);
    assert_true(f->regions.max_players.n == 1 && f->regions.max_players.p[0].value == 8000);
    assert_true(f->regions.max_ms.n == 1 && f->regions.max_ms.p[0].value == 60);
    assert_true(f->regions.failover.n == 1 && str_is(f->regions.failover.p[0].to, "eu-west-1"));
}

static void test_the_documented_example(void **state)
{
    struct settings s;
    (void)state;
    load_ok(example, &s);
    assert_int_equal(s.decide, DECIDE_DECISIVE);
    assert_int_equal(s.decision_budget_ms, 20);
    assert_int_equal(s.max_staleness_ms, 60000);
    assert_false(s.look_ahead);
    assert_true(str_is(s.currency, "EUR"));
    assert_true(s.latency.max_over_share == 0.05);
    assert_int_equal(s.latency.relax_after_ms, 120000);
    const struct latency_class *fast = settings_latency_class(&s, STR("fast"));
    assert_true(fast != NULL && fast->judged && fast->good_ms == 40 && fast->ok_ms == 60 &&
                fast->max_ms == 80);
    assert_non_null(settings_latency_class(&s, STR("competitive")));
    assert_int_equal(s.fleets.n, 1);
    assert_int_equal(s.pools.n, 3);
    assert_int_equal(s.pools.p[0].price_nano_hour, -1);
    assert_int_equal(s.rates.player_kicked, 50000000);
    assert_true(s.session_shipped);
    check_example_fleet(&s);
    settings_done(&s);
}

static void test_values_and_defaults(void **state)
{
    struct settings s;
    (void)state;
    load_ok(
        HEAD
        "decide: cooperative\nonStale: reject\nlookAhead: on\ndecisionBudget: 1s\n"
        "latency: {classes: {fast: {goodMs: 40, maxMs: 80}, action: {goodMs: 1, okMs: 2, maxMs: "
        "3}, off: {goodMs: 0, maxMs: 0}}}\n"
        "defaults: {players: 32, session: {p50: 10m}, spot: {policy: never}, zoneSpread: {maxSkew: "
        "2}, maxServersPerNode: 5}\n"
        "fleets:\n"
        "- {name: a}\n"
        "- {name: b, namespace: games, players: 8, session: {p50: forever}, demand: {X: 2, Y: 6}, "
        "zoneSpread: {minDomains: 2},\n"
        "   hardware: {noVirtual: false, minClockMHz: 3000, arch: arm64}, gpu: {products: "
        "[nvidia-l4], display: true},\n"
        "   match: {matchExpressions: [{key: app, operator: In, values: [b, c]}, {key: old, "
        "operator: DoesNotExist}]}}\n"
        "pools: [{name: p, match: {matchLabels: {a: b}}, system: true, pricePerHour: 1.5}]\n"
        "kinds: [{apiGroup: mysql.oracle.com, kind: InnoDBCluster, templatePath: spec.podSpec}]\n",
        &s);
    assert_int_equal(s.decide, DECIDE_COOPERATIVE);
    assert_int_equal(s.on_stale, STALE_REJECT);
    assert_true(s.look_ahead && s.decision_budget_ms == 1000 && !s.session_shipped);
    assert_true(settings_latency_class(&s, STR("fast"))->ok_ms == 80); /* okMs defaults to maxMs */
    assert_true(settings_latency_class(&s, STR("action"))->max_ms == 3);
    assert_false(settings_latency_class(&s, STR("off"))->judged);
    assert_int_equal(s.latency.classes.n, 7 + 2);
    assert_int_equal(s.defaults.session_p50_ms, 600000);
    const struct fleet_settings *a = &s.fleets.p[0], *b = &s.fleets.p[1];
    /* what has a "not set" value stays unset; the rest is the defaults' */
    assert_true(a->players == -1 && a->session_p50_ms == 0 && a->spot.policy == SPOT_UNSET &&
                a->demand.n == 0);
    assert_true(a->zone_spread.set && a->zone_spread.max_skew == 2 &&
                a->max_servers_per_node == 5 && !a->match.given);
    assert_true(b->zone_spread.max_skew == 2 && b->zone_spread.min_domains == 2);
    assert_true(b->session_p50_ms == INT64_MAX && b->session_p90_ms == INT64_MAX);
    assert_true(b->demand.p[0].share == 0.25 && b->demand.p[1].share == 0.75);
    assert_true(b->hardware.no_virtual_set && !b->hardware.no_virtual &&
                !a->hardware.no_virtual_set);
    assert_true(b->hardware.min_clock_mhz == 3000 && str_is(b->hardware.arch, "arm64"));
    assert_true(b->gpu.display && str_is(b->gpu.products.p[0], "nvidia-l4"));
    assert_true(b->match.match_expressions.n == 2 &&
                str_is(b->match.match_expressions.p[1].op, "DoesNotExist"));
    assert_true(s.pools.p[0].system && s.pools.p[0].price_nano_hour == INT64_C(1500000000));
    assert_true(str_is(s.kinds.p[0].kind, "InnoDBCluster"));
    settings_done(&s);
}

static void test_json(void **state)
{
    struct settings s;
    struct err err;
    (void)state;
    load_ok("{\"apiVersion\":\"spawnpoint.dev/"
            "v1alpha1\",\"kind\":\"SpawnpointConfiguration\",\"lookAhead\":\"on\","
            "\"rates\":{\"playerKicked\":0.25},\"fleets\":[{\"name\":\"a\",\"players\":3}]}",
            &s);
    assert_true(s.look_ahead && s.rates.player_kicked == 250000000 && s.fleets.p[0].players == 3);
    settings_done(&s);
    const char *typo = "{\"apiVersion\":\"spawnpoint.dev/"
                       "v1alpha1\",\"kind\":\"SpawnpointConfiguration\",\n\"decid\":\"x\"}";
    assert_int_not_equal(load(typo, &s, &err), 0);
    assert_non_null(strstr(err.text, "did you mean \"decide\""));
    assert_int_equal(err.line, 2);
}

struct refusal {
    const char *text;
    uint32_t line, column;
    const char *words; /* that the message must hold */
};

static void refused(const struct refusal *r)
{
    struct settings s;
    struct err err;
    if (load(r->text, &s, &err) == 0) {
        settings_done(&s);
        fail_msg("accepted: %s", r->text);
    }
    if (strstr(err.text, r->words) == NULL || err.line != r->line ||
        (r->column != 0 && err.column != r->column) || strcmp(err.file, "f.yaml") != 0) {
        fail_msg("%s\n  %s:%u:%u: %s", r->text, err.file, err.line, err.column, err.text);
    }
}

static void test_shape_is_strict(void **state)
{
    static const struct refusal cases[] = {
        {"", 1, 1, "empty"},
        {"[]", 1, 1, "not a map"},
        {"kind: SpawnpointConfiguration\n", 1, 1, "apiVersion is missing"},
        {"apiVersion: spawnpoint.dev/v1alpha1\n", 1, 1, "kind is missing"},
        {"apiVersion: spawnpoint.dev/v1\nkind: SpawnpointConfiguration\n", 1, 13,
         "expected spawnpoint.dev/v1alpha1"},
        {"apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n", 2, 7,
         "accepted kinds: SpawnpointConfiguration"},
        {"apiVersion: v1\nkind: ConfigMap\n", 2, 7, "expected SpawnpointConfiguration"},
        {HEAD "---\n" HEAD, 4, 0, "several documents"},
        {HEAD "decied: decisive\n", 3, 1, "did you mean \"decide\"?"},
        {HEAD "zzzzzzzz: 1\n", 3, 1, "config explain"},
        {HEAD "decide: a\ndecide: b\n", 4, 1, "twice"},
        {HEAD "decide: quick\n", 3, 9, "decisive|shortlist|cooperative"},
        {HEAD "decide: [decisive]\n", 3, 9, "found a list"},
        {HEAD "shortlistSize: 0\n", 3, 16, "1 to 1000"},
        {HEAD "shortlistSize: 8.5\n", 3, 16, "whole number"},
        {HEAD "shortlistSize: \"8\"\n", 3, 16, "whole number"},
        {HEAD "shortlistSize: 99999999999999999999\n", 3, 16, ""},
        {HEAD "decisionBudget: 20\n", 3, 17, "20ms"},
        {HEAD "decisionBudget: soon\n", 3, 17, "duration"},
        {HEAD "decisionBudget: 2h\n", 3, 17, "out of range"},
        {HEAD "maxStaleness: -5s\n", 3, 15, ""},
        {HEAD "latency: 5\n", 3, 10, "expected a map"},
        {HEAD "latency: {maxOverShare: 1.5}\n", 3, 25, "0 to 1"},
        {HEAD "latency: {maxOverShare: .nan}\n", 3, 25, "number"},
        {HEAD "latency: {maxOverShare: many}\n", 3, 25, "number"},
        {HEAD "latency: {class: {}}\n", 3, 11, "did you mean \"classes\""},
        {HEAD "latency: {classes: {fast: {goodMs: 1}}}\n", 3, 27, "\"maxMs\" is missing"},
        {HEAD "latency: {classes: {fast: 5}}\n", 3, 27, "expected a map"},
        {HEAD "currency: 12\n", 3, 11, "in quotes"},
        {HEAD "currency: \"\"\n", 3, 11, "empty"},
        {HEAD "fleets: {}\n", 3, 9, "a list"},
        {HEAD "fleets: [{}]\n", 3, 10, "\"name\" is missing"},
        {HEAD "fleets: [arena]\n", 3, 10, "expected a map"},
        {HEAD "fleets:\n- name: a\n  playrs: 3\n", 5, 3,
         "fleets[0]: unknown key \"playrs\"; did you mean \"players\"?"},
        {HEAD "fleets: [{name: a, session: {p5: 1m}}]\n", 3, 30, "did you mean \"p50\""},
        {HEAD "fleets: [{name: a, match: {app: x}}]\n", 3, 28, "matchLabels: {app"},
        {HEAD "fleets: [{name: a, match: {matchLabels: {app: true}}}]\n", 3, 47,
         "write \"true\" in quotes"},
        {HEAD
         "fleets: [{name: a, match: {matchExpressions: [{key: a, operator: in, values: [b]}]}}]\n",
         3, 47, "NotIn"},
        {HEAD "fleets: [{name: a, match: {matchExpressions: [{key: a, operator: Exists, values: "
              "[b]}]}}]\n",
         3, 47, "have none"},
        {HEAD "fleets: [{name: a, demand: {DE: -1}}]\n", 3, 33, "0 or more"},
        {HEAD "fleets: [{name: a, demand: {DE: 0}}]\n", 3, 28, "above 0"},
        {HEAD "fleets: [{name: a, demand: {DE: most}}]\n", 3, 33, "a share"},
        {HEAD "fleets: [{name: a, regions: {maxPlayers: {x: lots}}}]\n", 3, 46, "whole number"},
        {HEAD "fleets: [{name: a, pools: [x, x]}]\n", 3, 31, "twice"},
        {HEAD "defaults: {name: a}\n", 3, 12, "unknown key \"name\""},
        {HEAD "rates: {playerKicked: -0.05}\n", 3, 23, "0 or more"},
        {HEAD "rates: {playerKicked: five}\n", 3, 23, "money"},
        {HEAD "pools: [{name: x}]\n", 3, 9, "\"match\" is missing"},
        {HEAD "latency: {file: /nowhere/rtt.csv}\n", 3, 17, "/nowhere/rtt.csv"},
    };
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        refused(&cases[i]);
    }
}

#define POOLS                                                                                    \
    "pools: [{name: metal, match: {matchLabels: {p: metal}}}, {name: sys, match: {matchLabels: " \
    "{p: s}}, system: true}, "                                                                   \
    "{name: own, match: {matchLabels: {p: o}}, fleets: [other]}]\n"

static void test_contradictions(void **state)
{
    static const struct refusal cases[] = {
        {HEAD "fleets: [{name: a}, {name: b}, {name: a}]\n", 3, 32, "taken by the one in line 3"},
        {HEAD "pools:\n- {name: a, match: {matchLabels: {x: y}}}\n- {name: a, match: {matchLabels: "
              "{x: z}}}\n",
         5, 3, "names are unique"},
        {HEAD "fleets: [{name: a, session: {p50: 20m, p90: 10m}}]\n", 3, 29, "p90 is below p50"},
        {HEAD "latency: {classes: {fast: {goodMs: 90, okMs: 60, maxMs: 80}}}\n", 3, 27,
         "must grow"},
        {HEAD "fleets: [{name: a, latencyClass: actoin}]\n", 3, 34, "did you mean \"action\"?"},
        {HEAD "fleets: [{name: a, pools: [mettal]}, {name: other}]\n" POOLS, 3, 27,
         "did you mean \"metal\"?"},
        {HEAD "fleets: [{name: a, pools: [sys]}, {name: other}]\n" POOLS, 3, 27, "system pool"},
        {HEAD "fleets: [{name: a, pools: [own]}, {name: other}]\n" POOLS, 3, 27,
         "reserved for other fleets"},
        {HEAD "fleets: [{name: a}]\n" POOLS, 4, 0, "unknown fleet \"other\""},
        {HEAD "fleets: [{name: a, spot: {policy: required, minOnDemandShare: 0.3}}]\n", 3, 63,
         "policy: preferred"},
        {HEAD "fleets: [{name: a, spot: {maxPoolShare: 0}}]\n", 3, 41, "policy: never"},
        {HEAD "fleets: [{name: a, spot: {maxPoolShare: 1.1}}]\n", 3, 41, "0 to 1"},
        {HEAD "fleets: [{name: a, zoneSpread: {maxPlayerShare: 0}}]\n", 3, 49, "above 0"},
        {HEAD "fleets: [{name: a, regions: {allowed: [x], disabled: [x]}}]\n", 3, 54,
         "allowed and disabled"},
        {HEAD "fleets: [{name: a, regions: {allowed: [x], primary: y}}]\n", 3, 53,
         "not in regions.allowed"},
        {HEAD "fleets: [{name: a, regions: {primary: y, disabled: [y]}}]\n", 3, 39,
         "is disabled as well"},
        {HEAD "fleets: [{name: a, regions: {primary: y, replicas: [y]}}]\n", 3, 52,
         "is the primary"},
        {HEAD "fleets: [{name: a, regions: {failover: {x: x}}}]\n", 3, 40, "to itself"},
        {HEAD "fleets: [{name: a, regions: {failover: {x: y}, disabled: [y]}}]\n", 3, 40,
         "is disabled"},
        {HEAD "decisionBudget: 10s\nmaxStaleness: 5s\n", 4, 15, "stale before"},
    };
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        refused(&cases[i]);
    }
}

static void assert_same_print(const struct settings *a, const struct settings *b)
{
    struct buf x CLEANUP_BUF, y CLEANUP_BUF;
    buf_init(&x, 1u << 20);
    buf_init(&y, 1u << 20);
    config_print(&x, a);
    config_print(&y, b);
    assert_false(x.broken || y.broken);
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.p, y.p, x.n);
}

static void test_print_is_read_back(void **state)
{
    struct settings s, again;
    struct err err = ERR_NONE;
    struct buf out CLEANUP_BUF;
    (void)state;
    load_ok(example, &s);
    buf_init(&out, 1u << 20);
    config_print(&out, &s);
    assert_int_equal(config_load_bytes("printed", buf_view(&out), "", &again, &err), 0);
    check_example_fleet(&again);
    assert_same_print(&s, &again);
    settings_done(&s);
    settings_done(&again);
}

static void test_default_file_is_the_defaults(void **state)
{
    struct settings plain, read;
    struct err err = ERR_NONE;
    struct buf out CLEANUP_BUF;
    (void)state;
    buf_init(&out, 1u << 20);
    config_print_default(&out);
    assert_int_equal(config_load_bytes("default", buf_view(&out), "", &read, &err), 0);
    assert_int_equal(settings_default(&plain, &err), 0);
    assert_same_print(&plain, &read);
    assert_true(read.session_shipped && !read.defaults.hardware.no_virtual_set &&
                !read.defaults.zone_spread.set);
    assert_false(settings_latency_class(&read, STR("none"))->judged);
    assert_int_equal(read.rates.player_ms_hour, 20000);
    assert_true(read.latency.dead_band_ms == 5 && read.latency.jitter_factor == 1 &&
                read.latency.max_over_share == 0.05);
    settings_done(&plain);
    settings_done(&read);
}

struct def_check {
    struct buf *out;
    struct settings *s;
    int checked;
};

/* Every default that the table tells is the one that the settings have: written into a file it changes nothing. */
static void check_default(void *ctx, const struct key_row *row, const char *path)
{
    struct def_check *d = ctx;
    char text[512];
    struct settings one;
    struct err err = ERR_NONE;
    const char *dot = strchr(row->path, '.');
    if (row->def[0] == '\0' || strchr(path, '[') != NULL) {
        return;
    }
    if (dot == NULL) {
        snprintf(text, sizeof text, HEAD "%s: %s\n", row->path, row->def);
    } else {
        snprintf(text, sizeof text, HEAD "%.*s: {%s: %s}\n", (int)(dot - row->path), row->path,
                 dot + 1, row->def);
    }
    if (config_load_bytes("default", str_c(text), "", &one, &err) != 0) {
        fail_msg("%s: %s", path, err.text);
    }
    assert_same_print(d->s, &one);
    settings_done(&one);
    d->checked++;
}

static void test_told_defaults_are_true(void **state)
{
    struct settings plain;
    struct err err = ERR_NONE;
    struct def_check d = {.s = &plain};
    (void)state;
    assert_int_equal(settings_default(&plain, &err), 0);
    keytab_walk(config_keys(), "", "", check_default, &d);
    assert_true(d.checked >= 18);
    settings_done(&plain);
}

static void test_explain(void **state)
{
    struct err err = ERR_NONE;
    struct buf out CLEANUP_BUF;
    (void)state;
    buf_init(&out, 1u << 20);
    assert_int_equal(config_explain(&out, NULL, &err), 0);
    static const char *const keys[] = {"decide: ",
                                       "latency.maxOverShare: ",
                                       "fleets[].zoneSpread.maxSkew: ",
                                       "pools[].pricePerHour: ",
                                       "latency.classes.NAME.okMs: ",
                                       "rates.gpuHourStranded: ",
                                       "kinds[].templatePath: "};
    buf_char(&out, '\0');
    for (size_t i = 0; i < SP_COUNTOF(keys); i++) {
        assert_non_null(strstr(out.p, keys[i]));
    }
    buf_clear(&out);
    assert_int_equal(config_explain(&out, "fleets[].spot", &err), 0);
    buf_char(&out, '\0');
    assert_non_null(strstr(out.p, "fleets[].spot.minOnDemandShare"));
    assert_null(strstr(out.p, "zoneSpread"));
    assert_int_equal(config_explain(&out, "defaults.spot.policy", &err), 0);
    assert_int_equal(config_explain(&out, "fleets[].spott", &err), -ENOENT);
    assert_non_null(strstr(err.text, "fleets[].spot"));
    assert_int_equal(config_explain(&out, "defaults.name", &err), -ENOENT);
}

static void test_files_start_from_the_folder(void **state)
{
    char folder[] = "/tmp/spawnpoint-conf-XXXXXX", path[128], csv[128], line[1024];
    struct settings s;
    struct err err = ERR_NONE;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/c.yaml", folder);
    snprintf(csv, sizeof csv, "%s/rtt.csv", folder);
    FILE *f = fopen(path, "w");
    fputs(HEAD "latency: {file: rtt.csv}\n", f);
    fclose(f);
    assert_int_equal(config_load(path, &s, &err), -ENOENT);
    assert_int_equal(err.line, 3);
    f = fopen(csv, "w");
    fputs("from,to,rtt_ms\nDE,eu-central-1,12.5\n", f);
    fclose(f);
    err = ERR_NONE;
    if (config_load(path, &s, &err) != 0) {
        fail_msg("%s", err_format(&err, line, sizeof line));
    }
    assert_int_equal(s.latency.rows.n, 1);
    assert_true(str_is(s.latency.file, csv) && str_is(s.source, path));
    settings_done(&s);
    f = fopen(csv, "w");
    fputs("from,to,rtt_ms\nDE,eu-central-1,fast\n", f);
    fclose(f);
    assert_int_not_equal(config_load(path, &s, &err), 0);
    assert_int_equal(err.line, 2);
    assert_int_equal(err.column, 17);
    assert_string_equal(err.file, csv);
    unlink(path);
    unlink(csv);
    rmdir(folder);
    assert_int_equal(config_load(path, &s, &err), -ENOENT);
}

static void test_short_memory_is_an_error(void **state)
{
    struct settings s;
    struct err err;
    bool done = false;
    (void)state;
    for (uint64_t nth = 1; !done && nth < 5000; nth++) {
        mem_fail_at(nth, false);
        int rc = load(example, &s, &err);
        done = !mem_failed();
        mem_fail_at(0, false);
        assert_true(rc == 0 || rc == -ENOMEM);
        assert_true(rc != 0 || done || s.fleets.n == 1);
        if (rc == 0) {
            settings_done(&s);
        }
    }
    assert_true(done);
}

static void test_money(void **state)
{
    int64_t v = -1;
    (void)state;
    assert_true(conf_money(STR("0.00002"), &v) && v == 20000);
    assert_true(conf_money(STR("12"), &v) && v == INT64_C(12000000000));
    assert_true(conf_money(STR("1.0000000005"), &v) && v == INT64_C(1000000001));
    assert_true(conf_money(STR("0.9999999999"), &v) && v == INT64_C(1000000000));
    assert_true(conf_money(STR("1e-3"), &v) && v == 1000000);
    assert_true(conf_money(STR(".5"), &v) && v == 500000000);
    static const char *const bad[] = {"",    ".",   "-1",  "+1",          "1,5",  "1e",
                                      "nan", "inf", "0x1", "99999999999", "1e30", "1 "};
    for (size_t i = 0; i < SP_COUNTOF(bad); i++) {
        assert_false(conf_money(str_c(bad[i]), &v));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_documented_example),
        cmocka_unit_test(test_values_and_defaults),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_shape_is_strict),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_print_is_read_back),
        cmocka_unit_test(test_default_file_is_the_defaults),
        cmocka_unit_test(test_told_defaults_are_true),
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_files_start_from_the_folder),
        cmocka_unit_test(test_short_memory_is_an_error),
        cmocka_unit_test(test_money),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
