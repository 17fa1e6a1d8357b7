// SPDX-License-Identifier: Apache-2.0
#include "daemon/admin_json.h"

#include <stdio.h>

#include "conf/config.h"
#include "engine/policy.h"
#include "spawnpoint_version.h"

const char *admin_verb_name(enum metric_verb verb)
{
    return verb == VERB_PRIORITIZE ? "prioritize" : "filter";
}

const char *admin_result_name(enum metric_result result)
{
    static const char *const names[] = {"placed", "no_node", "unknown_node", "full_node",
                                        "fallback"};
    return names[result];
}

void admin_write_configz(struct state *st, struct buf *out)
{
    struct live *live = state_live(st);
    struct buf yaml;
    buf_init(&yaml, out->max);
    config_print(&yaml, &live->s);
    buf_lit(out,
            "{\"apiVersion\":\"" CONFIG_API_VERSION "\",\"kind\":\"" CONFIG_KIND "\",\"source\":");
    buf_json_str(out, live->s.source);
    buf_printf(out,
               ",\"generation\":%llu,\"decide\":\"%s\",\"reservationTTLMs\":%lld,\"loaded\":\"",
               (unsigned long long)live->generation, live_decide_name(live->decide),
               (long long)live->ttl_ms);
    char when[40];
    buf_put(out, when, str_from_time_ms(when, live->loaded_ms));
    (void)state_lock(st, 0);
    buf_printf(out, "\",\"lastReloadSuccess\":%s,\"lastReloadError\":",
               st->last_reload_ok ? "true" : "false");
    if (st->last_reload_ok) {
        buf_lit(out, "null");
    } else {
        buf_json_str(out, str_c(st->last_reload_error));
    }
    state_unlock(st);
    buf_lit(out, ",\"yaml\":");
    buf_json_str(out, buf_view(&yaml));
    buf_char(out, '}');
    out->broken = out->broken || yaml.broken;
    buf_done(&yaml);
    live_drop(live);
}

static void put_name(struct buf *out, const char *key, struct str s)
{
    buf_printf(out, ",\"%s\":", key);
    if (s.n > 0) {
        buf_json_str(out, s);
    } else {
        buf_lit(out, "null");
    }
}

static void put_record(const struct state *st, struct buf *out, const struct decision_record *r)
{
    char when[40];
    size_t n = str_from_time_ms(when, r->wall_ms);
    buf_printf(out, "{\"seq\":%llu,\"time\":\"", (unsigned long long)r->seq);
    buf_put(out, when, n);
    buf_printf(out, "\",\"verb\":\"%s\",\"way\":\"%s\",\"result\":\"%s\",\"pod\":",
               admin_verb_name(r->verb), live_decide_name(r->way), admin_result_name(r->result));
    struct buf pod;
    buf_init(&pod, 4096);
    buf_str(&pod, r->ns);
    buf_char(&pod, '/');
    buf_str(&pod, r->name);
    buf_json_str(out, buf_view(&pod));
    out->broken = out->broken || pod.broken;
    buf_done(&pod);
    put_name(out, "chosen", r->chosen);
    buf_lit(out, ",\"total\":");
    buf_f64(out, (double)r->total / 1e9);
    buf_printf(out, ",\"stage\":%u", r->stage);
    put_name(out, "runnerUp", r->runner_up);
    buf_lit(out, ",\"runnerUpTotal\":");
    buf_f64(out, (double)r->runner_total / 1e9);
    buf_printf(out,
               ",\"asked\":%u,\"unknown\":%u,\"feasible\":%u,\"reserved\":%s,\"reservationHeld\":%"
               "s,\"wholeNodes\":%s",
               r->n_asked, r->n_unknown, r->n_feasible, r->reserved ? "true" : "false",
               r->reserved && r->released_seq == 0 ? "true" : "false", r->whole ? "true" : "false");
    put_name(out, "mostRefusedFor",
             r->top_reason ? str_c(reason_text((enum reason)r->top_reason)) : STR_NONE);
    buf_printf(out, ",\"mostRefused\":%u,\"waitedSeconds\":", r->n_top_reason);
    buf_f64(out, (double)r->waited_ms / 1e3);
    buf_lit(out, ",\"tookSeconds\":");
    buf_f64(out, (double)r->took_ns / 1e9);
    buf_printf(out,
               ",\"configGeneration\":%llu,\"inputs\":[{\"name\":\"cluster\",\"source\":\"%s\","
               "\"ageSeconds\":0,"
               "\"fallback\":false}]}",
               (unsigned long long)r->generation, st->view ? "watch" : "snapshot");
}

void admin_write_decisions(struct state *st, struct buf *out, uint32_t limit)
{
    buf_lit(out, "{\"kind\":\"DecisionList\",\"items\":[");
    (void)state_lock(st, 0);
    const struct decisions *d = &st->decisions;
    for (uint64_t seq = d->next, n = 0; seq > d->first && n < limit; seq--, n++) {
        if (n > 0) {
            buf_char(out, ',');
        }
        put_record(st, out, &d->p[(seq - 1) % DECISIONS_MAX]);
    }
    state_unlock(st);
    buf_lit(out, "]}");
}
