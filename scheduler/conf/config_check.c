/* Contradictions: what each key allows alone but not together. Each error names the place and the fix.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/vec.h"
#include "conf/config.h"

#define NAMES_MAX 1024
#define CLIP(s)   (int)((s).n > 60 ? 60 : (s).n), ((s).p != NULL ? (s).p : "")

struct checker {
    const struct settings *s;
    const char *file;
    const struct yaml_node *root;
    struct err *err;
};

/* The node at "a.b" below `from`; the deepest one that is there. */
static const struct yaml_node *place(const struct yaml_node *from, const char *path)
{
    struct str rest = str_c(path);
    while (rest.n > 0) {
        struct str part = str_cut(&rest, '.');
        const struct yaml_node *next = NULL;
        for (uint32_t i = 0; from->type == YAML_MAP && i < from->n; i++) {
            if (str_eq(from->pairs[i].key->text, part)) {
                next = from->pairs[i].val;
            }
        }
        if (next == NULL) {
            return from;
        }
        from = next;
    }
    return from;
}

static int fail(const struct checker *k, const struct yaml_node *from, const char *owner,
                const char *path)
{
    const struct yaml_node *at = place(from, path);
    err_context(k->err, "%s%s%s", owner, owner[0] != '\0' && path[0] != '\0' ? "." : "", path);
    return err_at(k->err, k->file, at->line, at->column);
}

static bool has(const str_list *list, struct str s)
{
    for (uint32_t i = 0; i < list->n; i++) {
        if (str_eq(list->p[i], s)) {
            return true;
        }
    }
    return false;
}

static int check_classes(const struct checker *k)
{
    char path[160];
    for (uint32_t i = 0; i < k->s->latency.classes.n; i++) {
        const struct latency_class *c = &k->s->latency.classes.p[i];
        if (c->judged && !(c->good_ms <= c->ok_ms && c->ok_ms <= c->max_ms)) {
            err_set(k->err, -EINVAL, "the limits must grow: goodMs %g, okMs %g, maxMs %g",
                    c->good_ms, c->ok_ms, c->max_ms);
            snprintf(path, sizeof path, "latency.classes.%.*s", CLIP(c->name));
            return fail(k, k->root, "", path);
        }
    }
    return 0;
}

static int check_class_name(const struct checker *k, const struct fleet_settings *f,
                            const struct yaml_node *node, const char *owner)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    if (f->latency_class.n == 0 || settings_latency_class(k->s, f->latency_class) != NULL) {
        return 0;
    }
    for (uint32_t i = 0; i < k->s->latency.classes.n && n < NAMES_MAX; i++) {
        names[n++] =
            k->s->latency.classes.p[i].name.p; /* shipped: literals; configured: kept with a NUL */
    }
    const char *near = str_nearest(f->latency_class, names, n);
    err_set(k->err, -EINVAL, "unknown latency class \"%.*s\"; %s%s%s", CLIP(f->latency_class),
            near != NULL ? "did you mean \"" : "",
            near != NULL ? near : "define it in latency.classes", near != NULL ? "\"?" : "");
    return fail(k, node, owner, "latencyClass");
}

static int check_session(const struct checker *k, const struct fleet_settings *f,
                         const struct yaml_node *node, const char *owner)
{
    if (f->session_p90_ms < f->session_p50_ms) {
        err_set(
            k->err, -EINVAL,
            "p90 is below p50 (%lld ms and %lld ms): nine of ten sessions end by p90, half by p50",
            (long long)f->session_p90_ms, (long long)f->session_p50_ms);
        return fail(k, node, owner, "session");
    }
    return 0;
}

static int check_spot(const struct checker *k, const struct fleet_settings *f,
                      const struct yaml_node *node, const char *owner)
{
    if (f->spot.policy == SPOT_REQUIRED && f->spot.min_on_demand_share > 0) {
        err_set(k->err, -EINVAL,
                "policy required leaves no on-demand share; take minOnDemandShare away or write "
                "policy: preferred");
        return fail(k, node, owner, "spot.minOnDemandShare");
    }
    if (f->spot.max_pool_share <= 0) {
        err_set(k->err, -EINVAL,
                "a share of 0 forbids every spot pool; write policy: never instead");
        return fail(k, node, owner, "spot.maxPoolShare");
    }
    if (f->zone_spread.max_player_share <= 0) {
        err_set(k->err, -EINVAL, "a share of 0 forbids every zone; it is above 0, and 1 is no cap");
        return fail(k, node, owner, "zoneSpread.maxPlayerShare");
    }
    return 0;
}

static int region_clash(const struct checker *k, const struct yaml_node *node, const char *owner,
                        const char *path, struct str region, const char *what)
{
    err_set(k->err, -EINVAL, "region %.*s %s", CLIP(region), what);
    return fail(k, node, owner, path);
}

static int check_region_use(const struct checker *k, const struct fleet_settings *f,
                            const struct yaml_node *node, const char *owner, struct str region,
                            const char *path)
{
    if (region.n > 0 && has(&f->regions.disabled, region)) {
        return region_clash(k, node, owner, path, region,
                            "is disabled as well; take it away from one of the two");
    }
    if (region.n > 0 && f->regions.allowed.n > 0 && !has(&f->regions.allowed, region)) {
        return region_clash(k, node, owner, path, region,
                            "is not in regions.allowed; add it there or take it away here");
    }
    return 0;
}

static int check_regions(const struct checker *k, const struct fleet_settings *f,
                         const struct yaml_node *node, const char *owner)
{
    int rc = check_region_use(k, f, node, owner, f->regions.primary, "regions.primary");
    for (uint32_t i = 0; rc == 0 && i < f->regions.allowed.n; i++) {
        if (has(&f->regions.disabled, f->regions.allowed.p[i])) {
            rc = region_clash(k, node, owner, "regions.disabled", f->regions.allowed.p[i],
                              "is allowed and disabled; take it away from one of the two");
        }
    }
    for (uint32_t i = 0; rc == 0 && i < f->regions.replicas.n; i++) {
        rc = check_region_use(k, f, node, owner, f->regions.replicas.p[i], "regions.replicas");
        if (rc == 0 && str_eq(f->regions.replicas.p[i], f->regions.primary)) {
            rc = region_clash(k, node, owner, "regions.replicas", f->regions.primary,
                              "is the primary; a replica is another region");
        }
    }
    for (uint32_t i = 0; rc == 0 && i < f->regions.failover.n; i++) {
        const struct region_pair *pair = &f->regions.failover.p[i];
        rc = check_region_use(k, f, node, owner, pair->to, "regions.failover");
        if (rc == 0 && str_eq(pair->from, pair->to)) {
            rc = region_clash(k, node, owner, "regions.failover", pair->to,
                              "fails over to itself; name another region");
        }
    }
    return rc;
}

static const struct pool_settings *find_pool(const struct settings *s, struct str name)
{
    for (uint32_t i = 0; i < s->pools.n; i++) {
        if (str_eq(s->pools.p[i].name, name)) {
            return &s->pools.p[i];
        }
    }
    return NULL;
}

static int check_pools(const struct checker *k, const struct fleet_settings *f,
                       const struct yaml_node *node, const char *owner)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (uint32_t i = 0; i < f->pools.n; i++) {
        const struct pool_settings *pool = find_pool(k->s, f->pools.p[i]);
        if (pool == NULL) {
            for (uint32_t j = 0; j < k->s->pools.n && n < NAMES_MAX; j++) {
                names[n++] = k->s->pools.p[j].name.p;
            }
            const char *near = n > 0 ? str_nearest(f->pools.p[i], names, n) : NULL;
            err_set(k->err, -EINVAL, "unknown pool \"%.*s\"; %s%s%s", CLIP(f->pools.p[i]),
                    near != NULL ? "did you mean \"" : "",
                    near != NULL ? near : "define it in pools", near != NULL ? "\"?" : "");
            return fail(k, node, owner, "pools");
        }
        if (pool->system) {
            err_set(k->err, -EINVAL, "pool \"%.*s\" is a system pool and takes no game servers",
                    CLIP(pool->name));
            return fail(k, node, owner, "pools");
        }
        if (pool->fleets.n > 0 && f->name.n > 0 && !has(&pool->fleets, f->name)) {
            err_set(k->err, -EINVAL,
                    "pool \"%.*s\" is reserved for other fleets; add \"%.*s\" to its fleets or "
                    "take it away here",
                    CLIP(pool->name), CLIP(f->name));
            return fail(k, node, owner, "pools");
        }
    }
    return 0;
}

static int check_pool_fleets(const struct checker *k)
{
    char owner[64];
    const struct yaml_node *list = yaml_get(k->root, "pools");
    for (uint32_t i = 0; i < k->s->pools.n && list != NULL && i < list->n; i++) {
        const struct pool_settings *pool = &k->s->pools.p[i];
        for (uint32_t j = 0; j < pool->fleets.n; j++) {
            bool known = memchr(pool->fleets.p[j].p, '/', pool->fleets.p[j].n) != NULL;
            for (uint32_t f = 0; !known && f < k->s->fleets.n; f++) {
                known = str_eq(k->s->fleets.p[f].name, pool->fleets.p[j]);
            }
            if (!known) {
                err_set(k->err, -EINVAL,
                        "unknown fleet \"%.*s\"; define it in fleets, or write NAMESPACE/name for "
                        "one that is not configured",
                        CLIP(pool->fleets.p[j]));
                snprintf(owner, sizeof owner, "pools[%u]", (unsigned)i);
                return fail(k, list->items[i], owner, "fleets");
            }
        }
        if (pool->system && pool->fleets.n > 0) {
            err_set(k->err, -EINVAL, "a system pool takes no fleets; take system or fleets away");
            snprintf(owner, sizeof owner, "pools[%u]", (unsigned)i);
            return fail(k, list->items[i], owner, "fleets");
        }
    }
    return 0;
}

static int check_fleet(const struct checker *k, const struct fleet_settings *f,
                       const struct yaml_node *node, const char *owner)
{
    int rc = check_class_name(k, f, node, owner);
    rc = rc != 0 ? rc : check_session(k, f, node, owner);
    rc = rc != 0 ? rc : check_spot(k, f, node, owner);
    rc = rc != 0 ? rc : check_regions(k, f, node, owner);
    return rc != 0 ? rc : check_pools(k, f, node, owner);
}

int config_check(const struct settings *s, const char *file, const struct yaml_node *root,
                 struct err *err)
{
    struct checker k = {.s = s, .file = file, .root = root, .err = err};
    const struct yaml_node *defaults = yaml_get(root, "defaults"),
                           *fleets = yaml_get(root, "fleets");
    char owner[64];
    int rc = check_classes(&k);
    if (rc == 0 && s->max_staleness_ms < s->decision_budget_ms) {
        err_set(err, -EINVAL,
                "a view is stale before one decision may end; write a longer maxStaleness");
        rc = fail(&k, root, "", "maxStaleness");
    }
    rc = rc != 0 ? rc
                 : check_fleet(&k, &s->defaults, defaults != NULL ? defaults : root, "defaults");
    for (uint32_t i = 0; rc == 0 && i < s->fleets.n && fleets != NULL && i < fleets->n; i++) {
        snprintf(owner, sizeof owner, "fleets[%u]", (unsigned)i);
        rc = check_fleet(&k, &s->fleets.p[i], fleets->items[i], owner);
    }
    return rc != 0 ? rc : check_pool_fleets(&k);
}
