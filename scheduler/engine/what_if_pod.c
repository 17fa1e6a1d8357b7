// SPDX-License-Identifier: Apache-2.0
//
// Changes of the pod's specification and of its fleet's configuration: on copies.
#include "engine/what_if_impl.h"

static const char *effect_name(enum taint_effect effect)
{
    switch (effect) {
    case EFFECT_NO_SCHEDULE:
        return "NoSchedule";
    case EFFECT_NO_EXECUTE:
        return "NoExecute";
    case EFFECT_PREFER_NO_SCHEDULE:
        return "PreferNoSchedule";
    case EFFECT_ANY:
    case EFFECT_OTHER:
    default:
        return "";
    }
}

void what_if_taint_text(const struct what_if *w, const struct taint *t, char *out, size_t n)
{
    struct str key = sym_str(w->c->syms, t->key), val = sym_str(w->c->syms, t->val);
    (void)snprintf(out, n, STR_FMT "%s" STR_FMT ":%s", STR_ARG(key), val.n ? "=" : "", STR_ARG(val),
                   effect_name(t->effect));
}

void what_if_amount_text(res_ix res, int64_t amount, char *out, size_t n)
{
    (void)snprintf(out, n, "%lld%s", (long long)amount, res.v == RES_CPU ? "m" : "");
}

static struct pod_class *class_copy(struct what_if *w, struct err *err)
{
    struct pod_class *copy = arena_alloc(&w->x->arena, sizeof *copy);
    if (!copy) {
        (void)err_nomem(err);
        return NULL;
    }
    *copy = *w->cls;
    return copy;
}

int what_if_tolerate(struct what_if *w, const struct taint *t, struct err *err)
{
    char change[WHAT_IF_TEXT], text[WHAT_IF_TEXT - 300];
    struct pod_class *cls = class_copy(w, err);
    struct toleration *all = arena_calloc(&w->x->arena, w->cls->n_tolerations + 1u, sizeof *all);
    if (!cls || !all) {
        return err_nomem(err);
    }
    if (cls->n_tolerations > 0) {
        memcpy(all, cls->tolerations, cls->n_tolerations * sizeof *all);
    }
    all[cls->n_tolerations] = (struct toleration){
        .key = t->key, .val = t->val, .op = TOLERATE_EQUAL, .effect = t->effect, .has_key = true};
    cls->tolerations = all;
    cls->n_tolerations++;
    what_if_taint_text(w, t, text, sizeof text);
    (void)snprintf(change, sizeof change, "pod: tolerate %s", text);
    return what_if_try(w, cls, change, err);
}

int what_if_request(struct what_if *w, res_ix res, int64_t amount, struct err *err)
{
    char change[WHAT_IF_TEXT], text[32];
    if (w->cls->flags & CLASS_GPU) {
        return 0; /* its shape is a part of what the GPU policy takes as typical */
    }
    struct pod_class *cls = class_copy(w, err);
    struct resource_need *needs = arena_calloc(&w->x->arena, w->cls->n_needs + 1u, sizeof *needs);
    if (!cls || !needs) {
        return err_nomem(err);
    }
    memcpy(needs, cls->needs, cls->n_needs * sizeof *needs);
    cls->needs = needs;
    for (uint32_t i = 0; i < cls->n_needs; i++) {
        if (needs[i].res.v == res.v) {
            int64_t less = needs[i].amount - amount;
            needs[i].amount = amount;
            cls->nonzero_cpu_milli -= res.v == RES_CPU ? less : 0;
            cls->nonzero_mem_bytes -= res.v == RES_MEMORY ? less : 0;
        }
    }
    what_if_amount_text(res, amount, text, sizeof text);
    struct str name = sym_str(w->c->syms, w->c->res_name[res.v]);
    (void)snprintf(change, sizeof change, "pod: request " STR_FMT " %s", STR_ARG(name), text);
    return what_if_try(w, cls, change, err);
}

static int drop_selection(struct what_if *w, struct err *err)
{
    struct pod_class *cls = class_copy(w, err);
    if (!cls) {
        return err_nomem(err);
    }
    cls->node_selector = (struct selector){0};
    cls->has_node_required = false;
    cls->n_node_required = 0;
    cls->flags &= ~(uint32_t)CLASS_NODE_SELECTION;
    return what_if_try(w, cls, "pod: drop node affinity", err);
}

static int drop_spread(struct what_if *w, struct err *err)
{
    struct pod_class *cls = class_copy(w, err);
    struct spread_term *soft = arena_calloc(&w->x->arena, w->cls->n_spread + 1u, sizeof *soft);
    if (!cls || !soft) {
        return err_nomem(err);
    }
    cls->n_spread = 0;
    for (uint32_t i = 0; i < w->cls->n_spread; i++) {
        if (!w->cls->spread[i].hard) {
            soft[cls->n_spread++] = w->cls->spread[i];
        }
    }
    cls->spread = soft;
    return what_if_try(w, cls, "pod: drop topology spread", err);
}

static int drop_pod_affinity(struct what_if *w, bool anti, struct err *err)
{
    struct pod_class *cls = class_copy(w, err);
    if (!cls) {
        return err_nomem(err);
    }
    if (anti) {
        cls->n_anti_required = 0;
    } else {
        cls->n_affinity_required = 0;
    }
    return what_if_try(w, cls, anti ? "pod: drop pod anti-affinity" : "pod: drop pod affinity",
                       err);
}

static int drop_port(struct what_if *w, uint32_t at, struct err *err)
{
    const struct pod_req *pod = w->ask->pod;
    struct pod_req copy = *pod;
    struct ask ask = *w->ask;
    char change[WHAT_IF_TEXT];
    struct pod_class *cls = class_copy(w, err);
    struct host_port *ports = arena_calloc(&w->x->arena, pod->n_ports + 1u, sizeof *ports);
    if (!cls || !ports) {
        return err_nomem(err);
    }
    copy.n_ports = 0;
    for (uint32_t i = 0; i < pod->n_ports; i++) {
        if (pod->ports[i].port != pod->ports[at].port ||
            pod->ports[i].protocol.v != pod->ports[at].protocol.v) {
            ports[copy.n_ports++] = pod->ports[i];
        }
    }
    if (copy.n_ports == 0) {
        cls->flags &= ~(uint32_t)CLASS_HOST_PORT;
    }
    copy.ports = ports;
    ask.pod = &copy;
    (void)snprintf(change, sizeof change, "pod: drop host port %d/" STR_FMT,
                   (int)pod->ports[at].port, STR_ARG(sym_str(w->c->syms, pod->ports[at].protocol)));
    const struct ask *own = w->ask;
    w->ask = &ask;
    int r = what_if_try(w, cls, change, err);
    w->ask = own;
    return r;
}

int what_if_pod(struct what_if *w, struct err *err)
{
    int r = 0;
    if (w->seen[REASON_NODE_AFFINITY]) {
        r = drop_selection(w, err);
    }
    for (uint32_t i = 0; r == 0 && w->seen[REASON_PORTS] && i < w->ask->pod->n_ports && i < 2;
         i++) {
        r = drop_port(w, i, err);
    }
    if (r == 0 && (w->seen[REASON_SPREAD] || w->seen[REASON_SPREAD_LABEL])) {
        r = drop_spread(w, err);
    }
    if (r == 0 && w->seen[REASON_POD_ANTI_AFFINITY]) {
        r = drop_pod_affinity(w, true, err);
    }
    if (r == 0 && w->seen[REASON_POD_AFFINITY]) {
        r = drop_pod_affinity(w, false, err);
    }
    return r;
}

/* Decides with the fleet's entry replaced, wherever a policy may find it; puts the pointer back. */
static int try_fleet(struct what_if *w, const struct fleet_settings *changed, const char *change,
                     struct err *err)
{
    struct pod_class *cls = class_copy(w, err);
    if (!cls) {
        return err_nomem(err);
    }
    uint32_t fleet = w->cls->game.fleet.v;
    cls->game.settings = changed;
    const struct fleet_settings *own = NULL;
    if (fleet < w->c->n_fleets) {
        own = w->c->fleets[fleet].settings;
        w->c->fleets[fleet].settings = changed;
    }
    int r = what_if_try(w, cls, change, err);
    if (fleet < w->c->n_fleets) {
        w->c->fleets[fleet].settings = own;
    }
    return r;
}

/* The latency cutoff is a setting of the whole configuration. */
static int try_no_cutoff(struct what_if *w, struct err *err)
{
    struct settings changed = *w->c->settings;
    struct ask ask = *w->ask;
    changed.latency.max_over_share = 1;
    ask.settings = &changed;
    const struct ask *own = w->ask;
    w->ask = &ask;
    int r = what_if_try(w, ask.cls, "fleet: latency cutoff off", err);
    w->ask = own;
    return r;
}

enum fleet_change { FLEET_SHARE, FLEET_SKEW, FLEET_FLOOR, FLEET_POOL_SHARE, FLEET_DENSITY };

static int try_fleet_change(struct what_if *w, enum fleet_change what, struct err *err)
{
    struct fleet_settings f = *w->cls->game.settings;
    switch (what) {
    case FLEET_SHARE:
        f.zone_spread.max_player_share = 1;
        return try_fleet(w, &f, "fleet: zone share 1", err);
    case FLEET_SKEW:
        f.zone_spread.max_skew = 0;
        return try_fleet(w, &f, "fleet: zone skew off", err);
    case FLEET_FLOOR:
        f.spot.min_on_demand_share = 0;
        return try_fleet(w, &f, "fleet: on-demand floor 0", err);
    case FLEET_POOL_SHARE:
        f.spot.max_pool_share = 1;
        return try_fleet(w, &f, "fleet: spot pool share 1", err);
    case FLEET_DENSITY:
    default:
        f.max_servers_per_core = 0;
        f.max_servers_per_node = 0;
        return try_fleet(w, &f, "fleet: density cap off", err);
    }
}

int what_if_fleet(struct what_if *w, struct err *err)
{
    static const struct {
        enum reason reason;
        enum fleet_change what;
    } cures[] = {
        {REASON_ZONE_PLAYER_CAP, FLEET_SHARE}, {REASON_ZONE_SKEW, FLEET_SKEW},
        {REASON_SPOT_FLOOR, FLEET_FLOOR},      {REASON_SPOT_POOL_CAP, FLEET_POOL_SHARE},
        {REASON_DENSITY, FLEET_DENSITY},
    };
    int r = w->seen[REASON_LATENCY_OVER] ? try_no_cutoff(w, err) : 0;
    for (size_t i = 0; r == 0 && i < SP_COUNTOF(cures); i++) {
        if (w->seen[cures[i].reason]) {
            r = try_fleet_change(w, cures[i].what, err);
        }
    }
    return r;
}
