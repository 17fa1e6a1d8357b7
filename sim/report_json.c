/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/report_json.h"

#include "wire/sha256.h"

static void key(struct buf *b, const char *name)
{
    buf_json_str(b, str_c(name));
    buf_char(b, ':');
}

static void put_int(struct buf *b, const char *name, int64_t v, bool more)
{
    key(b, name);
    buf_i64(b, v);
    buf_lit(b, more ? "," : "");
}

static void put_num(struct buf *b, const char *name, double v, bool more)
{
    key(b, name);
    buf_f64(b, v);
    buf_lit(b, more ? "," : "");
}

static void put_pods(struct buf *b, const struct outcome *o)
{
    buf_lit(b, "\"pods\":{");
    put_int(b, "bound", o->pods.bound, true);
    put_int(b, "arrived", o->pods.arrived, true);
    put_int(b, "placed", o->pods.placed, true);
    put_int(b, "pending", o->pods.pending, true);
    put_int(b, "failed", o->pods.failed, true);
    put_int(b, "preempted", o->pods.preempted, false);
    buf_lit(b, "},\"gpu\":{");
    put_int(b, "capacityMilli", o->gpu.capacity_milli, true);
    put_int(b, "allocatedMilli", o->gpu.allocated_milli, true);
    put_int(b, "arrivedMilli", o->gpu.arrived_milli, true);
    put_num(b, "fragmentedMilli", o->gpu.fragmented_milli, true);
    put_int(b, "touched", o->gpu.touched, true);
    buf_lit(b, "\"curve\":null},\"cpu\":{");
    put_int(b, "capacityMilli", o->cpu.capacity, true);
    put_int(b, "allocatedMilli", o->cpu.allocated, false);
    buf_lit(b, "},\"memory\":{");
    put_int(b, "capacityBytes", o->memory.capacity, true);
    put_int(b, "allocatedBytes", o->memory.allocated, false);
    buf_lit(b, "},\"nodes\":{");
    put_int(b, "total", o->nodes.total, true);
    put_int(b, "used", o->nodes.used, true);
    put_int(b, "empty", o->nodes.empty, true);
    buf_lit(b, "\"hours\":null,");
    put_int(b, "pinned", o->nodes.pinned, false);
    buf_lit(b, "}");
}

static void put_cost(struct buf *b, const struct outcome *o)
{
    bool first = true;
    buf_lit(b, ",\"cost\":{\"currency\":");
    buf_json_str(b, o->cost.currency);
    buf_char(b, ',');
    put_num(b, "total", o->cost.total, true);
    put_num(b, "perPlayerHour", o->cost.per_player_hour, true);
    buf_lit(b, "\"byCapacityType\":{");
    static const unsigned by_name[] = {CAPACITY_ON_DEMAND, CAPACITY_RESERVED, CAPACITY_SPOT,
                                       CAPACITY_UNKNOWN};
    for (size_t i = 0; i < SP_COUNTOF(by_name); i++) {
        unsigned t = by_name[i];
        if (o->cost.has_capacity[t]) {
            buf_lit(b, first ? "" : ",");
            put_num(b, outcome_capacity_name(t), (double)o->cost.by_capacity[t] / 1e9, false);
            first = false;
        }
    }
    buf_lit(b, "},\"byFleet\":{");
    for (size_t i = 0; i < o->fleets.n; i++) {
        buf_lit(b, i > 0 ? "," : "");
        buf_json_str(b, o->fleets.p[i].name);
        buf_char(b, ':');
        buf_f64(b, (double)o->fleets.p[i].cost_nano / 1e9);
    }
    buf_lit(b, "}}");
}

static void put_latency_fields(struct buf *b, const struct outcome_latency *l)
{
    put_num(b, "p50Ms", l->p50_ms, true);
    put_num(b, "p90Ms", l->p90_ms, true);
    put_num(b, "p95Ms", l->p95_ms, true);
    put_num(b, "goodShare", l->good, true);
    put_num(b, "okShare", l->ok, true);
    put_num(b, "maxShare", l->max, true);
    put_num(b, "unknownShare", l->unknown, true);
    put_num(b, "bestPossibleP95Ms", l->best_p95_ms, false);
}

static void put_latency(struct buf *b, const struct outcome *o)
{
    if (o->latency.p50_ms != o->latency.p50_ms && o->latency.unknown != o->latency.unknown) {
        buf_lit(b, ",\"latency\":null");
        return;
    }
    bool first = true;
    buf_lit(b, ",\"latency\":{");
    put_latency_fields(b, &o->latency);
    buf_lit(b, ",\"byFleet\":{");
    for (size_t i = 0; i < o->fleets.n; i++) {
        if (o->fleets.p[i].has_latency) {
            buf_lit(b, first ? "" : ",");
            buf_json_str(b, o->fleets.p[i].name);
            buf_lit(b, ":{");
            put_latency_fields(b, &o->fleets.p[i].latency);
            buf_char(b, '}');
            first = false;
        }
    }
    buf_lit(b, "}}");
}

static void put_zones(struct buf *b, const struct outcome *o)
{
    buf_lit(b, ",\"zones\":{");
    put_num(b, "blastRadius", o->blast_radius, true);
    buf_lit(b, "\"items\":[");
    for (size_t i = 0; i < o->zones.n; i++) {
        buf_lit(b, i > 0 ? ",{\"zone\":" : "{\"zone\":");
        buf_json_str(b, o->zones.p[i].name);
        buf_char(b, ',');
        put_int(b, "pods", o->zones.p[i].pods, true);
        put_int(b, "players", o->zones.p[i].players, false);
        buf_char(b, '}');
    }
    buf_lit(b, "]},\"spot\":");
    if (o->spot_share != o->spot_share) {
        buf_lit(b, "null");
    } else {
        buf_char(b, '{');
        put_num(b, "share", o->spot_share, true);
        buf_lit(b, "\"interruptions\":null,\"playersLost\":null}");
    }
    buf_lit(b, ",\"sessions\":null,\"pendingSeconds\":null");
}

static void put_placements(struct buf *b, const struct report_run *run)
{
    buf_lit(b, ",\"placements\":[");
    for (size_t i = 0; i < run->placements.n; i++) {
        const struct report_placement *p = &run->placements.p[i];
        buf_lit(b, i > 0 ? "," : "");
        buf_lit(b, "\n   {");
        put_int(b, "index", (int64_t)i, true);
        buf_lit(b, "\"pod\":");
        buf_json_str(b, p->pod);
        buf_lit(b, ",\"node\":");
        if (p->node.n == 0) {
            buf_lit(b, "null");
        } else {
            buf_json_str(b, p->node);
        }
        buf_lit(b, ",\"time\":null,\"reason\":");
        buf_json_str(b, p->reason);
        buf_char(b, '}');
    }
    buf_char(b, ']');
}

static void put_run(struct buf *b, const struct report_run *run, bool with_placements)
{
    buf_lit(b, "{\"policy\":");
    buf_json_str(b, run->policy);
    buf_printf(b, ",\"seed\":%llu,\"hash\":\"%s\",", (unsigned long long)run->seed,
               run->outcome.hash);
    put_pods(b, &run->outcome);
    put_cost(b, &run->outcome);
    put_latency(b, &run->outcome);
    put_zones(b, &run->outcome);
    if (with_placements) {
        put_placements(b, run);
    }
    buf_lit(b, ",\"timing\":{");
    put_num(b, "wallSeconds", run->wall_s, true);
    put_num(b, "placementsPerSecond", run->placements_per_s, true);
    buf_lit(b, "\"eventsPerSecond\":null}}");
}

static void put_inputs(struct buf *b, const struct report *r)
{
    buf_lit(b, "\n \"inputs\":[");
    for (size_t i = 0; i < r->inputs.n; i++) {
        char hex[65];
        sha256_hex(r->inputs.p[i].sha256, hex);
        buf_lit(b, i > 0 ? ",{\"path\":" : "{\"path\":");
        buf_json_str(b, r->inputs.p[i].path);
        buf_printf(b, ",\"sha256\":\"%s\"}", hex);
    }
    buf_lit(b, "],\n \"reproduce\":");
    buf_json_str(b, r->reproduce);
    buf_lit(b, ",\n \"notModelled\":[");
    for (size_t i = 0; i < r->notes.n; i++) {
        buf_lit(b, i > 0 ? ",{\"what\":" : "{\"what\":");
        buf_json_str(b, r->notes.p[i].what);
        buf_char(b, ',');
        put_int(b, "count", (int64_t)r->notes.p[i].count, false);
        buf_char(b, '}');
    }
    buf_lit(b, "],");
}

static void put_differences(struct buf *b, const struct report *r)
{
    buf_lit(b, "\n \"comparison\":[");
    for (size_t i = 0; i < r->differences.n; i++) {
        const struct report_difference *d = &r->differences.p[i];
        buf_lit(b, i > 0 ? ",\n  {\"metric\":" : "\n  {\"metric\":");
        buf_json_str(b, str_c(outcome_metrics[d->metric].path));
        buf_lit(b, ",\"policies\":[");
        buf_json_str(b, r->policies.p[d->a]);
        buf_char(b, ',');
        buf_json_str(b, r->policies.p[d->b]);
        buf_lit(b, "],");
        put_num(b, "difference", d->difference, true);
        buf_lit(b, "\"interval\":[");
        buf_f64(b, d->low);
        buf_char(b, ',');
        buf_f64(b, d->high);
        buf_printf(b, "],\"better\":\"%s\"}",
                   d->better == 'a'   ? "a"
                   : d->better == 'b' ? "b"
                                      : "none");
    }
    buf_lit(b, "],\n \"verdict\":");
    if (r->verdict.n == 0) {
        buf_lit(b, "null");
    } else {
        buf_json_str(b, r->verdict);
    }
}

static void put_expectations(struct buf *b, const struct report *r)
{
    buf_lit(b, ",\n \"expectations\":[");
    for (size_t i = 0; i < r->expectations.n; i++) {
        const struct report_expectation *e = &r->expectations.p[i];
        buf_lit(b, i > 0 ? ",\n  {\"expr\":" : "\n  {\"expr\":");
        buf_json_str(b, e->expr);
        buf_lit(b, ",\"policy\":");
        buf_json_str(b, r->runs.p[e->run].policy);
        buf_printf(b, ",\"seed\":%llu,", (unsigned long long)r->runs.p[e->run].seed);
        put_num(b, "value", e->value, true);
        buf_printf(b, "\"ok\":%s}", e->ok ? "true" : "false");
    }
    buf_lit(b, "]}\n");
}

void report_write_json(const struct report *r, struct buf *out)
{
    buf_lit(out, "{\"apiVersion\":\"spawnpoint.dev/v1alpha1\",\"kind\":\"SimulationReport\",");
    put_inputs(out, r);
    buf_lit(out, "\n \"runs\":[");
    for (size_t i = 0; i < r->runs.n; i++) {
        buf_lit(out, i > 0 ? ",\n  " : "\n  ");
        put_run(out, &r->runs.p[i], r->with_placements);
    }
    buf_lit(out, "],");
    put_differences(out, r);
    put_expectations(out, r);
}

/* Placements break the line in the report for readers; a line of JSON lines must be one. */
void report_write_jsonl(const struct report *r, struct buf *out)
{
    for (size_t i = 0; i < r->runs.n && !out->broken; i++) {
        size_t from = out->n, to;
        put_run(out, &r->runs.p[i], r->with_placements);
        to = from;
        for (size_t k = from; k < out->n; k++) {
            bool layout = out->p[k] == '\n';
            if (layout) {
                k += 3;
                continue;
            }
            out->p[to++] = out->p[k];
        }
        out->n = to;
        buf_char(out, '\n');
    }
}
