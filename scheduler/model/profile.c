/* Game profiles. See profile.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/profile.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "model/cluster_store.h"

#define PLAYERS_MAX 1000000
#define P90_OF_P50 \
    1.8 /* where only the median is told: session lengths are skewed, about log-normal with sigma 0.46 */

/* What stands where nobody says anything; p50, p90, players of one server that is a game. */
const struct profile_default profile_defaults[PROFILE_DEFAULTS] = {
    {"GameServer", INT64_C(25) * 60000, INT64_C(45) * 60000, 16,
     "a match of a shooter or battle royale; 16 is between a 5v5 and a large arena"},
    {"StatefulSet", INT64_MAX, INT64_MAX, 32, "a world that stays: it ends when its owner ends it"},
    {"Job", INT64_C(3600000), INT64_C(3600000), 16,
     "a run that ends by itself; an hour until better is known"},
    {"other", INT64_MAX, INT64_MAX, 16,
     "a service that stays; where it is said to be a game (a fleet, an annotation), the first row "
     "holds"},
};

static const struct latency_class class_none = {.name = {"none", 4}, .judged = false};

static const struct profile_default *default_of(enum owner_type owner)
{
    switch (owner) {
    case OWNER_GAME:
        return &profile_defaults[0];
    case OWNER_STATEFUL:
        return &profile_defaults[1];
    case OWNER_JOB:
        return &profile_defaults[2];
    case OWNER_NONE:
    case OWNER_DAEMON:
    case OWNER_NODE:
    case OWNER_OTHER:
        break;
    }
    return &profile_defaults[3];
}

/* ---- syntaxes ---- */

bool profile_read_players(struct str s, int32_t *ret)
{
    int64_t v;
    if (!str_to_i64(str_trim(s), &v) || v < 0 || v > PLAYERS_MAX) {
        return false;
    }
    *ret = (int32_t)v;
    return true;
}

bool profile_read_spot(struct str s, enum spot_wish *ret)
{
    static const struct {
        const char *text;
        enum spot_wish wish;
    } wishes[] = {{"never", SPOT_NEVER},
                  {"allowed", SPOT_ALLOWED},
                  {"preferred", SPOT_PREFERRED},
                  {"required", SPOT_REQUIRED}};
    for (size_t i = 0; i < SP_COUNTOF(wishes); i++) {
        if (str_is(str_trim(s), wishes[i].text)) {
            *ret = wishes[i].wish;
            return true;
        }
    }
    return false;
}

bool profile_read_session(struct str s, int64_t *ret_p50_ms, int64_t *ret_p90_ms)
{
    int64_t p50 = 0, p90 = 0;
    if (!str_starts(str_trim(s), STR("p"))) {
        if (!str_to_duration_ms(str_trim(s), &p50) || p50 <= 0) {
            return false;
        }
    } else {
        for (struct str rest = s; rest.n > 0;) {
            struct str part = str_trim(str_cut(&rest, ',')), name = str_trim(str_cut(&part, '='));
            int64_t *to = str_is(name, "p50") ? &p50 : str_is(name, "p90") ? &p90 : NULL;
            if (to == NULL || *to != 0 || !str_to_duration_ms(str_trim(part), to) || *to <= 0) {
                return false;
            }
        }
    }
    if (p90 == 0 && p50 > 0) {
        p90 = p50 > INT64_MAX / 2 ? INT64_MAX : (int64_t)((double)p50 * P90_OF_P50);
    }
    if (p50 <= 0 || p90 < p50) {
        return false;
    }
    *ret_p50_ms = p50;
    *ret_p90_ms = p90;
    return true;
}

static void skip_space(struct str *s)
{
    while (s->n > 0 && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')) {
        s->p++;
        s->n--;
    }
}

static bool take(struct str *s, char ch)
{
    skip_space(s);
    if (s->n == 0 || *s->p != ch) {
        return false;
    }
    s->p++;
    s->n--;
    return true;
}

/* A JSON text without escapes: locations need none. */
static bool take_name(struct str *s, struct str *ret)
{
    if (!take(s, '"')) {
        return false;
    }
    const char *end = s->n == 0 ? NULL : memchr(s->p, '"', s->n);
    if (end == NULL || end == s->p) {
        return false;
    }
    *ret = (struct str){s->p, (size_t)(end - s->p)};
    for (size_t i = 0; i < ret->n; i++) {
        if (ret->p[i] == '\\' || (unsigned char)ret->p[i] < 0x20) {
            return false;
        }
    }
    s->n -= ret->n + 1;
    s->p = end + 1;
    return str_utf8_ok(*ret);
}

static bool take_share(struct str *s, double *ret)
{
    skip_space(s);
    size_t n = 0;
    while (n < s->n && memchr("0123456789+-.eE", s->p[n], 15) != NULL) {
        n++;
    }
    struct str number = {s->p, n};
    s->p += n;
    s->n -= n;
    return n > 0 && number.p[0] >= '0' && number.p[0] <= '9' && str_to_f64(number, ret) && *ret > 0;
}

int profile_read_demand(struct str s, struct arena *arena, demand_list *ret)
{
    uint32_t cap = 1;
    for (size_t i = 0; i < s.n; i++) {
        cap += s.p[i] == ',';
    }
    struct demand_share *p = arena_alloc(arena, cap * sizeof *p);
    if (p == NULL) {
        return -ENOMEM;
    }
    uint32_t n = 0;
    double sum = 0;
    if (!take(&s, '{')) {
        return -EINVAL;
    }
    do {
        struct demand_share *d = &p[n];
        if (n >= cap || !take_name(&s, &d->location) || !take(&s, ':') ||
            !take_share(&s, &d->share)) {
            return -EINVAL;
        }
        for (uint32_t i = 0; i < n; i++) {
            if (str_eq(p[i].location, d->location)) {
                return -EINVAL;
            }
        }
        sum += d->share;
        n++;
    } while (take(&s, ','));
    bool closed = take(&s, '}');
    skip_space(&s);
    if (!closed || s.n > 0 || !(sum > 0) || sum > 1e300) {
        return -EINVAL;
    }
    for (uint32_t i = 0; i < n; i++) {
        p[i].share /= sum;
    }
    *ret = (demand_list){p, n};
    return 0;
}

/* ---- kept lists: equal ones are one ---- */

static int demand_keep(struct cluster *c, demand_list list, struct game_profile *ret,
                       struct err *err)
{
    struct cluster_tables *t = c->t;
    uint64_t hash = list.n;
    double sum = 0;
    for (uint32_t i = 0; i < list.n; i++) {
        sum += list.p[i].share;
        hash = mix64(hash, str_hash(list.p[i].location, 1, 2));
    }
    if (list.n == 0 || !(sum > 0)) {
        return 0;
    }
    for (size_t i = 0; i < t->n_demands; i++) {
        const struct demand_row *row = &t->demands[i];
        bool same = row->hash == hash && row->n == list.n;
        for (uint32_t j = 0; j < list.n && same; j++) {
            same = str_eq(row->p[j].location, list.p[j].location) &&
                   !(row->p[j].share < list.p[j].share / sum ||
                     row->p[j].share > list.p[j].share / sum);
        }
        if (same) {
            ret->demand = (demand_list){row->p, row->n};
            ret->demand_id = (uint32_t)i + 1;
            return 0;
        }
    }
    struct demand_row row = {KEEP(c, struct demand_share, list.n), list.n, hash};
    if (row.p == NULL || vec_grow((void **)&t->demands, &t->cap_demands, t->n_demands + 1,
                                  sizeof row, LIMIT_CLASSES) != 0) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < list.n; i++) {
        sym s;
        int r = sym_intern(c->syms, list.p[i].location, &s, err);
        if (r != 0) {
            return r;
        }
        row.p[i] = (struct demand_share){sym_str(c->syms, s), list.p[i].share / sum};
    }
    t->demands[t->n_demands++] = row;
    ret->demand = (demand_list){row.p, row.n};
    ret->demand_id = (uint32_t)t->n_demands;
    return 0;
}

static int regions_keep(struct cluster *c, str_list list, str_list *ret, struct err *err)
{
    struct cluster_tables *t = c->t;
    for (size_t i = 0; i < t->n_region_lists; i++) {
        const struct region_list *known = &t->region_lists[i];
        bool same = known->n == list.n;
        for (uint32_t j = 0; j < list.n && same; j++) {
            same = str_eq(known->p[j], list.p[j]);
        }
        if (same) {
            *ret = (str_list){known->p, known->n};
            return 0;
        }
    }
    struct region_list made = {KEEP(c, struct str, list.n), list.n};
    if (made.p == NULL || vec_grow((void **)&t->region_lists, &t->cap_region_lists,
                                   t->n_region_lists + 1, sizeof made, LIMIT_CLASSES) != 0) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < list.n; i++) {
        sym s;
        int r = sym_intern(c->syms, list.p[i], &s, err);
        if (r != 0) {
            return r;
        }
        made.p[i] = sym_str(c->syms, s);
    }
    t->region_lists[t->n_region_lists++] = made;
    *ret = (str_list){made.p, made.n};
    return 0;
}

/* "a, b": -EINVAL when nothing or an empty name stands in it. */
static int regions_read(struct cluster *c, struct str s, str_list *ret, struct err *err)
{
    uint32_t cap = 1, n = 0;
    for (size_t i = 0; i < s.n; i++) {
        cap += s.p[i] == ',';
    }
    struct str *p = arena_alloc(&c->t->scratch, cap * sizeof *p);
    if (p == NULL) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < cap; i++) {
        p[n] = str_trim(str_cut(&s, ','));
        if (p[n++].n == 0) {
            return -EINVAL;
        }
    }
    return regions_keep(c, (str_list){p, n}, ret, err);
}

/* ---- whose fleet ---- */

static bool kv_matches(const struct cluster *c, struct labelset labels, struct str key,
                       struct str val)
{
    bool has;
    sym found = labels_get(labels, sym_find(c->syms, key), &has);
    return has && str_eq(sym_str(c->syms, found), val);
}

static bool expr_matches(const struct cluster *c, struct labelset labels, const struct expr_desc *e)
{
    bool has, in = false;
    struct str val = sym_str(c->syms, labels_get(labels, sym_find(c->syms, e->key), &has));
    for (uint32_t i = 0; i < e->values.n; i++) {
        in = in || (has && str_eq(val, e->values.p[i]));
    }
    if (str_is(e->op, "In")) {
        return in;
    }
    if (str_is(e->op, "NotIn")) {
        return !in;
    }
    return str_is(e->op, "Exists") ? has : str_is(e->op, "DoesNotExist") && !has;
}

static bool fleet_matches(const struct cluster *c, const struct fleet_settings *fs, struct str ns,
                          struct labelset labels)
{
    if (fs->match_namespace.n > 0 && !str_eq(fs->match_namespace, ns)) {
        return false;
    }
    for (uint32_t i = 0; i < fs->match.match_labels.n; i++) {
        if (!kv_matches(c, labels, fs->match.match_labels.p[i].key,
                        fs->match.match_labels.p[i].val)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < fs->match.match_expressions.n; i++) {
        if (!expr_matches(c, labels, &fs->match.match_expressions.p[i])) {
            return false;
        }
    }
    return true;
}

static const struct fleet_settings *fleet_named(const struct settings *s, struct str name,
                                                struct str ns, bool by_wish)
{
    for (uint32_t i = 0; i < s->fleets.n; i++) {
        const struct fleet_settings *fs = &s->fleets.p[i];
        if (!str_eq(fs->name, name)) {
            continue;
        }
        if (by_wish ||
            (!fs->match.given && (fs->match_namespace.n == 0 || str_eq(fs->match_namespace, ns)))) {
            return fs;
        }
    }
    return NULL;
}

static int fleet_of_name(struct cluster *c, struct str ns, struct str name,
                         struct game_profile *ret, struct err *err)
{
    char *full = arena_alloc(&c->t->scratch, ns.n + name.n + 1);
    sym s;
    if (full == NULL) {
        return err_nomem(err);
    }
    if (ns.n > 0) {
        memcpy(full, ns.p, ns.n);
    }
    full[ns.n] = '/';
    memcpy(full + ns.n + 1, name.p, name.n);
    int r = sym_intern(c->syms, (struct str){full, ns.n + name.n + 1}, &s, err);
    ret->settings = &c->settings->defaults;
    ret->configured = false;
    return r != 0 ? r : fleet_intern(c, s, ret->settings, false, &ret->fleet, err);
}

static int fleet_configured(struct cluster *c, const struct fleet_settings *fs,
                            struct game_profile *ret, struct err *err)
{
    sym s;
    ret->settings = fs;
    ret->configured = true;
    int r = sym_intern(c->syms, fs->name, &s, err);
    return r != 0 ? r : fleet_intern(c, s, fs, true, &ret->fleet, err);
}

static int resolve_fleet(struct cluster *c, const struct class_key *key,
                         const struct pod_template *tm, struct game_profile *ret, struct err *err)
{
    const struct cluster_tables *t = c->t;
    struct str ns = sym_str(c->syms, tm->proto.ns);
    struct labelset labels = cluster_labels(c, tm->proto.labels);
    bool has;
    sym wish =
        tm->wishes.v[WISH_FLEET].v != 0 ? tm->wishes.v[WISH_FLEET] : key->wishes.v[WISH_FLEET];
    const struct fleet_settings *fs = NULL;
    for (uint32_t i = 0; wish.v == 0 && fs == NULL && i < c->settings->fleets.n; i++) {
        const struct fleet_settings *f = &c->settings->fleets.p[i];
        fs = f->match.given && fleet_matches(c, f, ns, labels) ? f : NULL;
    }
    if (fs != NULL) {
        return fleet_configured(c, fs, ret, err);
    }
    sym name = wish;
    name = name.v != 0 ? name : key->fleet_label;
    name = name.v != 0 ? name : key->top_name;
    name = name.v != 0 ? name : labels_get(labels, t->app_name, &has);
    name = name.v != 0 ? name : labels_get(labels, t->app, &has);
    name = name.v != 0 ? name : t->no_fleet;
    fs = fleet_named(c->settings, sym_str(c->syms, name), ns, wish.v != 0);
    return fs != NULL ? fleet_configured(c, fs, ret, err)
                      : fleet_of_name(c, ns, sym_str(c->syms, name), ret, err);
}

/* ---- the rest ---- */

struct sources { /* of one annotation, in order of authority */
    struct str v[2];
};

static struct sources said(const struct cluster *c, const struct class_key *key,
                           const struct pod_template *tm, enum wish w)
{
    return (struct sources){
        {sym_str(c->syms, tm->wishes.v[w]), sym_str(c->syms, key->wishes.v[w])}};
}

/* What each may hold; docs/annotations.md. */
static const char *const wish_forms[WISH_N] = {
    [WISH_FLEET] = "a name",
    [WISH_PLAYERS] = "a whole number up to 1000000",
    [WISH_DEMAND] =
        "a JSON object of locations and shares above 0, such as {\"DE\":0.6,\"FR\":0.4}",
    [WISH_LATENCY] = "the name of a latency class",
    [WISH_SESSION] = "a duration such as 25m, or p50=20m,p90=40m",
    [WISH_SPOT] = "never, allowed, preferred or required",
    [WISH_REGIONS] = "a comma list of regions",
};

static void note_bad(struct cluster *c, enum wish w, struct str value, uint32_t *bad)
{
    if (c->bad_annotation == NULL) {
        c->bad_annotation = wish_names[w];
        c->bad_annotation_form = wish_forms[w];
        c->bad_annotation_value = sym_find(c->syms, value);
    }
    (*bad)++;
}

static void resolve_numbers(struct cluster *c, const struct class_key *key,
                            const struct pod_template *tm, struct game_profile *g, uint32_t *bad)
{
    /* A game that no StatefulSet or Job owns is a match, whatever made its pod. */
    bool match = g->is_game && (tm->owner == OWNER_NONE || tm->owner == OWNER_OTHER);
    const struct profile_default *def = default_of(match ? OWNER_GAME : tm->owner);
    const struct fleet_settings *levels[2] = {g->settings, &c->settings->defaults};
    g->players = g->is_game ? def->players : 0;
    g->session_p50_ms = def->p50_ms;
    g->session_p90_ms = def->p90_ms;
    for (int i = 1; i >= 0; i--) {
        const struct fleet_settings *fs = levels[i];
        /* A shipped guess in the settings is for game servers; the table above knows the other owners better. */
        bool guess = fs == &c->settings->defaults;
        bool guess_players = guess && fs->players == profile_defaults[0].players;
        g->players = g->is_game && fs->players >= 0 && !guess_players ? fs->players : g->players;
        if (fs->session_p50_ms > 0 && !(guess && c->settings->session_shipped)) {
            g->session_known = true;
            g->session_p50_ms = fs->session_p50_ms;
            g->session_p90_ms = fs->session_p90_ms;
            if (fs->session_p90_ms <= 0) {
                g->session_p90_ms = fs->session_p50_ms > INT64_MAX / 2
                                        ? INT64_MAX
                                        : (int64_t)((double)fs->session_p50_ms * P90_OF_P50);
            }
        }
        g->spot = fs->spot.policy != SPOT_UNSET ? fs->spot.policy : g->spot;
    }
    struct sources players = said(c, key, tm, WISH_PLAYERS),
                   session = said(c, key, tm, WISH_SESSION), spot = said(c, key, tm, WISH_SPOT);
    for (int i = 1; i >= 0; i--) {
        if (players.v[i].n > 0 && !profile_read_players(players.v[i], &g->players)) {
            note_bad(c, WISH_PLAYERS, players.v[i], bad);
        }
        if (session.v[i].n > 0) {
            bool ok = profile_read_session(session.v[i], &g->session_p50_ms, &g->session_p90_ms);
            g->session_known = g->session_known || ok;
            if (!ok) {
                note_bad(c, WISH_SESSION, session.v[i], bad);
            }
        }
        if (spot.v[i].n > 0 && !profile_read_spot(spot.v[i], &g->spot)) {
            note_bad(c, WISH_SPOT, spot.v[i], bad);
        }
    }
}

static void resolve_latency(struct cluster *c, const struct class_key *key,
                            const struct pod_template *tm, struct game_profile *g, uint32_t *bad)
{
    struct sources wish = said(c, key, tm, WISH_LATENCY);
    const struct str names[] = {wish.v[0], wish.v[1], g->settings->latency_class,
                                c->settings->defaults.latency_class, STR("none")};
    g->latency = NULL;
    for (size_t i = 0; i < SP_COUNTOF(names) && g->latency == NULL; i++) {
        g->latency =
            names[i].n == 0 ? NULL : settings_latency_class(c->settings, str_trim(names[i]));
        if (names[i].n > 0 && g->latency == NULL && i < 2) {
            note_bad(c, WISH_LATENCY, names[i], bad);
        }
    }
    g->latency = g->latency == NULL ? &class_none : g->latency;
}

static int resolve_lists(struct cluster *c, const struct class_key *key,
                         const struct pod_template *tm, struct game_profile *g, uint32_t *bad,
                         struct err *err)
{
    struct sources demand = said(c, key, tm, WISH_DEMAND), regions = said(c, key, tm, WISH_REGIONS);
    for (int i = 0; i < 2 && g->demand_id == 0; i++) {
        demand_list list;
        int r =
            demand.v[i].n == 0 ? -EINVAL : profile_read_demand(demand.v[i], &c->t->scratch, &list);
        if (demand.v[i].n > 0 && r == -EINVAL) {
            note_bad(c, WISH_DEMAND, demand.v[i], bad);
        }
        r = r == -EINVAL ? 0 : r == -ENOMEM ? err_nomem(err) : demand_keep(c, list, g, err);
        if (r != 0) {
            return r;
        }
    }
    const struct fleet_settings *levels[2] = {g->settings, &c->settings->defaults};
    for (int i = 0; i < 2 && g->demand_id == 0; i++) {
        int r = demand_keep(c, levels[i]->demand, g, err);
        if (r != 0) {
            return r;
        }
    }
    for (int i = 0; i < 2 && g->regions.n == 0; i++) {
        int r = regions.v[i].n == 0 ? 0 : regions_read(c, regions.v[i], &g->regions, err);
        if (r == -EINVAL) {
            note_bad(c, WISH_REGIONS, regions.v[i], bad);
        }
        if (r != 0 && r != -EINVAL) {
            return r;
        }
    }
    for (int i = 0; i < 2 && g->regions.n == 0; i++) {
        g->regions = levels[i]->regions.allowed;
    }
    return 0;
}

int profile_resolve(struct cluster *c, const struct class_key *key, struct game_profile *ret,
                    uint32_t *ret_bad, struct err *err)
{
    const struct pod_template *tm = c->t->tmpl[key->tmpl];
    struct game_profile g = {.spot = SPOT_ALLOWED};
    uint32_t bad = 0;
    int r = resolve_fleet(c, key, tm, &g, err);
    if (r != 0) {
        return r;
    }
    bool annotated = false;
    for (int w = 0; w < WISH_N; w++) {
        annotated = annotated || tm->wishes.v[w].v != 0 || key->wishes.v[w].v != 0;
    }
    bool apart = tm->owner == OWNER_DAEMON || (tm->proto.flags & CLASS_MIRROR) != 0;
    bool world = tm->owner == OWNER_STATEFUL &&
                 str_is(sym_str(c->syms, tm->proto.scheduler_name), "spawnpoint");
    g.is_game = !apart && (tm->owner == OWNER_GAME || key->game_known != 0 || g.configured ||
                           annotated || world);
    g.pins_node = !apart && !tm->safe_to_evict;
    resolve_numbers(c, key, tm, &g, &bad);
    resolve_latency(c, key, tm, &g, &bad);
    r = resolve_lists(c, key, tm, &g, &bad, err);
    if (r == 0) {
        *ret = g;
        *ret_bad = bad;
    }
    return r;
}
