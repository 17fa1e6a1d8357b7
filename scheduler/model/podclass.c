/* Templates and classes of pods. See podclass.h and cluster_store.h.
 *
 * A template is a specification, compiled once; a class is a template with what was looked up for it: priority, game server
 * wishes, top controller. A pod of a known class costs hashing, comparing and interned look-ups, no heap.
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/podclass.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "model/cluster_store.h"
#include "model/conventions.h"
#include "model/profile.h"
#include "model/requests.h"

/* ---- compiling a template ---- */

static int tolerations_from(struct cluster *c, const struct pod_desc *d, struct pod_class *cls,
                            struct err *err)
{
    struct toleration *p = KEEP(c, struct toleration, d->tolerations.n);
    if (p == NULL) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < d->tolerations.n; i++) {
        const struct toleration_desc *td = &d->tolerations.p[i];
        p[i].op = td->op;
        p[i].effect = td->effect;
        p[i].has_key = td->key.n > 0;
        int r = sym_intern(c->syms, td->key, &p[i].key, err);
        r = r != 0 ? r : sym_intern(c->syms, td->val, &p[i].val, err);
        if (r != 0) {
            return r;
        }
    }
    cls->tolerations = p;
    cls->n_tolerations = d->tolerations.n;
    return 0;
}

static int needs_from(struct cluster *c, const struct pod_requests *requests, struct pod_class *cls,
                      struct err *err)
{
    struct resource_need *p = KEEP(c, struct resource_need, requests->n);
    if (p == NULL) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < requests->n; i++) {
        struct resource_need need = {.amount = requests->items[i].amount};
        int r = resource_intern(c, requests->items[i].name, &need.res, err);
        if (r != 0) {
            return r;
        }
        uint32_t at = i;
        for (; at > 0 && p[at - 1].res.v > need.res.v; at--) {
            p[at] = p[at - 1];
        }
        p[at] = need;
        cls->flags |= conventions_is_accelerator(requests->items[i].name) ? CLASS_GPU : 0;
    }
    cls->needs = p;
    cls->n_needs = requests->n;
    cls->nonzero_cpu_milli = requests->nonzero_cpu_milli;
    cls->nonzero_mem_bytes = requests->nonzero_mem_bytes;
    return 0;
}

/* NAME, with :latest where its last ':' is not after its last '/'. */
static int image_intern(struct cluster *c, struct str image, sym *ret, struct err *err)
{
    size_t i = image.n;
    while (i > 0 && image.p[i - 1] != ':' && image.p[i - 1] != '/') {
        i--;
    }
    if (image.n == 0 || (i > 0 && image.p[i - 1] == ':')) {
        return sym_intern(c->syms, image, ret, err);
    }
    char *full = arena_alloc(&c->t->scratch, image.n + sizeof ":latest");
    if (full == NULL) {
        return err_nomem(err);
    }
    memcpy(full, image.p, image.n);
    memcpy(full + image.n, ":latest", sizeof ":latest");
    return sym_intern(c->syms, (struct str){full, image.n + sizeof ":latest" - 1}, ret, err);
}

static int images_from(struct cluster *c, const struct pod_desc *d, struct pod_class *cls,
                       struct err *err)
{
    sym *p = KEEP(c, sym, (size_t)d->containers.n + d->volumes.n);
    if (p == NULL) {
        return err_nomem(err);
    }
    uint32_t n = 0;
    int r = 0;
    for (uint32_t i = 0; i < d->containers.n && r == 0; i++) {
        r = image_intern(c, d->containers.p[i].image, &p[n++], err);
    }
    for (uint32_t i = 0; i < d->volumes.n && r == 0; i++) {
        if (d->volumes.p[i].image.n > 0) {
            r = image_intern(c, d->volumes.p[i].image, &p[n++], err);
        }
    }
    cls->images = p;
    cls->n_images = n;
    cls->n_containers = d->containers.n;
    return r;
}

static int pod_terms_all(struct cluster *c, const struct pod_desc *d, struct pod_class *cls,
                         struct err *err)
{
    sym ns = cls->ns;
    int r = pod_terms_from(c, d, d->affinity_required, ns, &cls->affinity_required,
                           &cls->n_affinity_required, err);
    r = r != 0 ? r
               : pod_terms_from(c, d, d->affinity_preferred, ns, &cls->affinity_preferred,
                                &cls->n_affinity_preferred, err);
    r = r != 0 ? r
               : pod_terms_from(c, d, d->anti_required, ns, &cls->anti_required,
                                &cls->n_anti_required, err);
    r = r != 0 ? r
               : pod_terms_from(c, d, d->anti_preferred, ns, &cls->anti_preferred,
                                &cls->n_anti_preferred, err);
    return r != 0 ? r : spread_from(c, d, ns, cls->labels, cls, err);
}

static int proto_from(struct cluster *c, const struct pod_desc *d, const struct pod_key *key,
                      struct pod_class *cls, struct err *err)
{
    struct kv_desc *labels = key->labels;
    int r = sym_intern(c->syms, d->meta.ns, &cls->ns, err);
    r = r != 0 ? r : sym_intern(c->syms, d->scheduler_name, &cls->scheduler_name, err);
    struct label *set = arena_alloc(&c->t->scratch, key->n_labels * sizeof *set);
    if (set == NULL) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < key->n_labels && r == 0; i++) {
        r = sym_intern(c->syms, labels[i].key, &set[i].key, err);
        r = r != 0 ? r : sym_intern(c->syms, labels[i].val, &set[i].val, err);
    }
    r = r != 0 ? r : labelset_intern(c, set, key->n_labels, &cls->labels, err);
    cls->flags = key->flags;
    cls->preemption = d->preemption;
    r = r != 0 ? r : needs_from(c, key->requests, cls, err);
    r = r != 0 ? r : tolerations_from(c, d, cls, err);
    r = r != 0 ? r : selector_from_kv(c, d->node_selector, &cls->node_selector, err);
    r = r != 0
            ? r
            : node_terms_from(c, d->node_required, &cls->node_required, &cls->n_node_required, err);
    r = r != 0 ? r
               : node_terms_from(c, d->node_preferred, &cls->node_preferred, &cls->n_node_preferred,
                                 err);
    cls->has_node_required = d->has_node_required;
    r = r != 0 ? r : images_from(c, d, cls, err);
    return r != 0 ? r : pod_terms_all(c, d, cls, err);
}

static int slots_grow(uint32_t **slots, uint32_t *n_slots, uint32_t want, struct err *err)
{
    uint32_t n = *n_slots == 0 ? 256 : *n_slots;
    while (n - n / 2 < want) {
        n *= 2;
    }
    if (n == *n_slots) {
        return 0;
    }
    uint32_t *p = mem_calloc(n, sizeof *p);
    if (p == NULL) {
        return err_nomem(err);
    }
    mem_free(*slots);
    *slots = p;
    *n_slots = n;
    return 1; /* to be filled again */
}

static void slot_put(uint32_t *slots, uint32_t n_slots, uint64_t hash, uint32_t v)
{
    uint32_t at = (uint32_t)hash & (n_slots - 1);
    while (slots[at] != 0) {
        at = (at + 1) & (n_slots - 1);
    }
    slots[at] = v + 1;
}

static int tmpl_reserve(struct cluster_tables *t, struct err *err)
{
    if (t->n_tmpl == t->cap_tmpl) {
        uint32_t cap = t->cap_tmpl == 0 ? 64 : t->cap_tmpl * 2;
        struct pod_template **p = mem_realloc(t->tmpl, cap * sizeof *p);
        if (p == NULL) {
            return err_nomem(err);
        }
        t->tmpl = p;
        t->cap_tmpl = cap;
    }
    int r = slots_grow(&t->tmpl_slots, &t->n_tmpl_slots, t->n_tmpl + 1, err);
    if (r < 0) {
        return r;
    }
    for (uint32_t i = 0; r == 1 && i < t->n_tmpl; i++) {
        slot_put(t->tmpl_slots, t->n_tmpl_slots, t->tmpl[i]->hash, i);
    }
    return 0;
}

static int tmpl_owner(struct cluster *c, const struct pod_desc *d, const struct pod_key *key,
                      struct pod_template *tm, struct err *err)
{
    int r = 0;
    tm->owner = key->owner;
    if (key->controller != NULL) {
        bool per_pod = str_is(key->controller->kind, "GameServer");
        r = sym_intern(c->syms, key->controller->kind, &tm->owner_kind, err);
        r = r != 0 || per_pod ? r
                              : sym_intern(c->syms, key->controller->name, &tm->owner_name, err);
    }
    for (int w = 0; w < WISH_N && r == 0; w++) {
        r = sym_intern(c->syms, key->wishes[w], &tm->wishes.v[w], err);
    }
    tm->safe_to_evict = key->safe_to_evict;
    tm->has_priority = d->has_priority;
    tm->priority = d->priority;
    return r != 0 ? r : sym_intern(c->syms, d->priority_class, &tm->priority_class, err);
}

static int tmpl_of(struct cluster *c, const struct pod_desc *d, const struct pod_key *key,
                   uint32_t *ret, struct err *err)
{
    struct cluster_tables *t = c->t;
    uint64_t hash = str_hash(key->bytes, c->syms->key0, c->syms->key1);
    if (t->n_tmpl > 0) {
        for (uint32_t at = (uint32_t)hash & (t->n_tmpl_slots - 1); t->tmpl_slots[at] != 0;
             at = (at + 1) & (t->n_tmpl_slots - 1)) {
            const struct pod_template *tm = t->tmpl[t->tmpl_slots[at] - 1];
            if (tm->hash == hash && tm->key_n == key->bytes.n &&
                memcmp(tm->key, key->bytes.p, tm->key_n) == 0) {
                *ret = t->tmpl_slots[at] - 1;
                return 0;
            }
        }
    }
    if (t->n_tmpl >= LIMIT_CLASSES) {
        return err_set(err, -E2BIG, "more than %u distinct pod templates", LIMIT_CLASSES);
    }
    struct pod_template *tm = KEEP(c, struct pod_template, 1);
    char *copy = tm == NULL ? NULL : KEEP(c, char, key->bytes.n);
    if (copy == NULL) {
        return err_nomem(err);
    }
    memcpy(copy, key->bytes.p, key->bytes.n);
    tm->hash = hash;
    tm->key = copy;
    tm->key_n = key->bytes.n;
    int r = tmpl_owner(c, d, key, tm, err);
    r = r != 0 ? r : proto_from(c, d, key, &tm->proto, err);
    r = r != 0 ? r : tmpl_reserve(t, err);
    if (r != 0) {
        return r;
    }
    *ret = t->n_tmpl;
    t->tmpl[t->n_tmpl] = tm;
    slot_put(t->tmpl_slots, t->n_tmpl_slots, hash, t->n_tmpl++);
    return 0;
}

/* ---- classes ---- */

static uint64_t class_key_hash(const struct class_key *key)
{
    uint32_t words[sizeof *key / sizeof(uint32_t)];
    uint64_t h = 0;
    memcpy(words, key, sizeof words);
    for (size_t i = 0; i < SP_COUNTOF(words); i++) {
        h = (h ^ words[i]) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return h;
}

static int classes_reserve(struct cluster *c, struct err *err)
{
    struct cluster_tables *t = c->t;
    if (c->n_classes == t->cap_classes) {
        uint32_t cap = t->cap_classes == 0 ? 64 : t->cap_classes * 2;
        struct pod_class **classes = mem_realloc(c->classes, cap * sizeof(struct pod_class *));
        c->classes = classes == NULL ? c->classes : classes;
        struct class_ext *ext = mem_realloc(t->ext, cap * sizeof *ext);
        t->ext = ext == NULL ? t->ext : ext;
        if (classes == NULL || ext == NULL) {
            return err_nomem(err);
        }
        t->cap_classes = cap;
    }
    int r = slots_grow(&t->class_slots, &t->n_class_slots, c->n_classes + 1, err);
    if (r < 0) {
        return r;
    }
    for (uint32_t i = 0; r == 1 && i < c->n_classes; i++) {
        slot_put(t->class_slots, t->n_class_slots, t->ext[i].hash, i);
    }
    return 0;
}

/* The class's own copy of a template's terms, with the class's carrier. */
static int own_terms(struct cluster *c, const struct pod_term **terms, uint32_t n,
                     uint32_t *carrier, class_ix owner, struct err *err)
{
    if (n == 0) {
        return 0;
    }
    struct pod_term *copy = KEEP(c, struct pod_term, n);
    if (copy == NULL) {
        return err_nomem(err);
    }
    memcpy(copy, *terms, n * sizeof *copy);
    int r = *carrier == IX_NONE ? counter_of_carrier(c, owner, copy, carrier, err) : 0;
    for (uint32_t i = 0; i < n && r == 0; i++) {
        copy[i].carrier = *carrier;
    }
    *terms = copy;
    return r;
}

static int class_make(struct cluster *c, const struct class_key *key, uint64_t hash, class_ix *ret,
                      struct err *err)
{
    if (c->n_classes >= LIMIT_CLASSES) {
        return err_set(err, -E2BIG, "more than %u pod classes", LIMIT_CLASSES);
    }
    int r = classes_reserve(c, err);
    struct pod_class *cls = r != 0 ? NULL : KEEP(c, struct pod_class, 1);
    if (r != 0 || cls == NULL) {
        return r != 0 ? r : err_nomem(err);
    }
    *cls = c->t->tmpl[key->tmpl]->proto;
    cls->ix = (class_ix){c->n_classes};
    cls->priority = key->priority;
    cls->preemption = (enum preemption_policy)key->preemption;
    struct class_ext ext = {.key = *key, .hash = hash, .carrier = IX_NONE};
    uint32_t n_bad = 0;
    r = profile_resolve(c, key, &cls->game, &n_bad, err);
    r = r != 0 ? r : class_match_counters(c, cls, &ext, err);
    /* The carrier comes last: made, it has to have its class. */
    r = r != 0 ? r
               : own_terms(c, &cls->affinity_required, cls->n_affinity_required, &ext.carrier,
                           cls->ix, err);
    r = r != 0 ? r
               : own_terms(c, &cls->affinity_preferred, cls->n_affinity_preferred, &ext.carrier,
                           cls->ix, err);
    r = r != 0
            ? r
            : own_terms(c, &cls->anti_required, cls->n_anti_required, &ext.carrier, cls->ix, err);
    r = r != 0
            ? r
            : own_terms(c, &cls->anti_preferred, cls->n_anti_preferred, &ext.carrier, cls->ix, err);
    if (r != 0) {
        if (ext.carrier != IX_NONE) {
            counter_drop_last(c, ext.carrier);
        }
        mem_free(ext.matched);
        return r;
    }
    c->n_bad_annotations += n_bad;
    c->t->ext[c->n_classes] = ext;
    c->classes[c->n_classes] = cls;
    slot_put(c->t->class_slots, c->t->n_class_slots, hash, c->n_classes++);
    *ret = cls->ix;
    return 0;
}

int class_of_key(struct cluster *c, const struct class_key *key, class_ix *ret, struct err *err)
{
    struct cluster_tables *t = c->t;
    uint64_t hash = class_key_hash(key);
    if (c->n_classes > 0) {
        for (uint32_t at = (uint32_t)hash & (t->n_class_slots - 1); t->class_slots[at] != 0;
             at = (at + 1) & (t->n_class_slots - 1)) {
            const struct class_ext *ext = &t->ext[t->class_slots[at] - 1];
            if (ext->hash == hash && memcmp(&ext->key, key, sizeof *key) == 0) {
                *ret = (class_ix){t->class_slots[at] - 1};
                return 0;
            }
        }
    }
    return class_make(c, key, hash, ret, err);
}

/* ---- what is looked up ---- */

/* What Kubernetes appends to generated names: letters without vowels and some digits. */
static bool generated(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (memchr("bcdfghjklmnpqrstvwxz0123456789", s.p[i], 30) == NULL) {
            return false;
        }
    }
    return s.n > 0;
}

/* The name without its last "-xxxxx"; the whole name when it has no such end. */
static struct str strip_generated(struct str name, size_t min, size_t max)
{
    for (size_t i = name.n; i > 1; i--) {
        if (name.p[i - 1] == '-') {
            struct str tail = {name.p + i, name.n - i};
            return tail.n >= min && tail.n <= max && generated(tail) ? (struct str){name.p, i - 1}
                                                                     : name;
        }
    }
    return name;
}

/* The name without a last "-N" of at least `min` digits. */
static struct str strip_digits(struct str name, size_t min)
{
    size_t i = name.n;
    while (i > 0 && name.p[i - 1] >= '0' && name.p[i - 1] <= '9') {
        i--;
    }
    return i > 1 && name.n - i >= min && name.p[i - 1] == '-' ? (struct str){name.p, i - 1} : name;
}

/* Who made an object, by its name alone. false: no one that we can tell. */
static int guess_owner(struct cluster *c, sym hash_label, sym *kind, sym *name, bool *ret_found,
                       struct err *err)
{
    const struct cluster_tables *t = c->t;
    struct str text = sym_str(c->syms, *name), cut = text, hash = sym_str(c->syms, hash_label);
    sym up = *kind;
    if (kind->v == t->kind_replica_set.v) {
        bool ends = hash.n > 0 && text.n > hash.n + 1 && str_ends(text, hash) &&
                    text.p[text.n - hash.n - 1] == '-';
        cut = ends ? (struct str){text.p, text.n - hash.n - 1} : strip_generated(text, 5, 10);
        up = t->kind_deployment;
    } else if (kind->v == t->kind_game_server_set.v) {
        cut = strip_generated(text, 5, 5);
        up = t->kind_fleet;
    } else if (kind->v == t->kind_game_server.v) {
        cut = strip_generated(strip_generated(text, 5, 5), 5, 5);
        cut = cut.n < text.n ? cut : strip_digits(text, 1);
        up = t->kind_fleet;
    } else if (kind->v == t->kind_job.v) {
        cut = strip_digits(text, 8);
        up = t->kind_cron_job;
    }
    *ret_found = cut.n < text.n;
    if (!*ret_found) {
        return 0;
    }
    *kind = up;
    return sym_intern(c->syms, cut, name, err);
}

/* Follows the chain of owners up to its top: by the loaded workloads, else by names. */
static int top_controller(struct cluster *c, sym ns, sym hash_label, sym *kind, sym *name,
                          struct err *err)
{
    for (int depth = 0; depth < 8; depth++) {
        const struct workload_row *w = cluster_find_workload(c, *kind, ns, *name);
        if (w != NULL) {
            if (w->owner_name.v == 0) {
                return 0;
            }
            *kind = w->owner_kind;
            *name = w->owner_name;
            continue;
        }
        bool found;
        int r = guess_owner(c, hash_label, kind, name, &found, err);
        if (r != 0 || !found) {
            return r;
        }
    }
    return 0;
}

static void resolve_priority(const struct cluster *c, const struct pod_template *tm,
                             struct class_key *key)
{
    key->preemption = (uint32_t)tm->proto.preemption;
    key->priority = tm->priority;
    if (tm->has_priority) {
        return;
    }
    key->priority = 0;
    const struct cluster_tables *t = c->t;
    for (uint32_t i = 0; i < t->n_prios; i++) {
        const struct priority_row *p = &t->prios[i];
        if (tm->priority_class.v != 0 ? p->name.v == tm->priority_class.v : p->global_default) {
            key->priority = p->value;
            key->preemption =
                p->preemption == PREEMPT_NEVER ? (uint32_t)PREEMPT_NEVER : key->preemption;
            return;
        }
    }
}

int class_key_now(struct cluster *c, uint32_t tmpl, const struct game_row *game, sym game_name,
                  struct class_key *ret, struct err *err)
{
    struct cluster_tables *t = c->t;
    struct pod_template *tm = t->tmpl[tmpl];
    struct class_key key = {.tmpl = tmpl};
    struct labelset labels = cluster_labels(c, tm->proto.labels);
    bool has;
    resolve_priority(c, tm, &key);
    sym hash_label = labels_get(labels, t->template_hash, &has);
    key.fleet_label = labels_get(labels, t->agones_fleet, &has);
    int r = 0;
    if (game != NULL) {
        key.game_known = 1;
        key.wishes = game->wishes;
        key.fleet_label = game->fleet.v != 0 ? game->fleet : key.fleet_label;
        key.top_kind = game->owner_kind;
        key.top_name = game->owner_name;
    }
    if (key.top_name.v == 0 && tm->owner_kind.v == t->kind_game_server.v) {
        key.top_kind = tm->owner_kind;
        key.top_name = game_name;
    }
    if (key.top_name.v != 0) {
        r = top_controller(c, tm->proto.ns, hash_label, &key.top_kind, &key.top_name, err);
        bool has_name, has_app;
        labels_get(labels, t->app_name, &has_name);
        labels_get(labels, t->app, &has_app);
        if (key.top_kind.v == t->kind_game_server.v && (has_name || has_app)) {
            key.top_kind = key.top_name =
                SYM_NONE; /* nobody above the single server: its application names the fleet */
        }
    } else if (tm->owner_name.v != 0) {
        if (tm->top_gen != t->workload_gen) {
            sym kind = tm->owner_kind, name = tm->owner_name;
            r = top_controller(c, tm->proto.ns, hash_label, &kind, &name, err);
            if (r != 0) {
                return r;
            }
            tm->top_kind = kind;
            tm->top_name = name;
            tm->top_gen = t->workload_gen;
        }
        key.top_kind = tm->top_kind;
        key.top_name = tm->top_name;
    }
    if (r == 0) {
        *ret = key;
    }
    return r;
}

/* ---- one pod ---- */

static int ports_and_claims(struct cluster *c, const struct pod_desc *d, struct arena *scratch,
                            struct pod_req *req, struct err *err)
{
    size_t n_ports = 0, n_claims = 0;
    for (uint32_t i = 0; i < d->containers.n; i++) {
        n_ports += d->containers.p[i].ports.n;
    }
    for (uint32_t i = 0; i < d->volumes.n; i++) {
        n_claims += d->volumes.p[i].claim.n > 0;
    }
    struct host_port *ports = arena_alloc(scratch, n_ports * sizeof *ports);
    sym *claims = arena_alloc(scratch, n_claims * sizeof *claims);
    if (ports == NULL || claims == NULL) {
        return err_nomem(err);
    }
    int r = 0;
    for (uint32_t i = 0; i < d->containers.n; i++) {
        const struct container_desc *k = &d->containers.p[i];
        for (uint32_t j = 0; j < k->ports.n && (!k->init || k->sidecar) && r == 0; j++) {
            const struct port_desc *p = &k->ports.p[j];
            if (p->host_port <= 0) {
                continue;
            }
            struct host_port *to = &ports[req->n_ports++];
            *to = (struct host_port){c->t->any_ip, c->t->tcp, p->host_port};
            r = p->host_ip.n == 0 ? 0 : sym_intern(c->syms, p->host_ip, &to->ip, err);
            r = r != 0 || p->protocol.n == 0 ? r
                                             : sym_intern(c->syms, p->protocol, &to->protocol, err);
        }
    }
    for (uint32_t i = 0; i < d->volumes.n && r == 0; i++) {
        if (d->volumes.p[i].claim.n > 0) {
            r = sym_intern(c->syms, d->volumes.p[i].claim, &claims[req->n_claims++], err);
        }
    }
    req->ports = ports;
    req->claims = claims;
    return r;
}

/* Expected players now (game-placement 4.5.1, without history: a ready server will be taken). */
int32_t pod_players(const struct pod_class *cls, const struct pod_req *p,
                    const struct game_row *game)
{
    if (p->deleting || p->game == GAME_ENDED || !cls->game.is_game) {
        return 0;
    }
    if (p->game == GAME_ALLOCATED && game != NULL && game->players >= 0) {
        return game->players;
    }
    return cls->game.players;
}

static int own_facts(struct cluster *c, const struct pod_desc *d, const struct pod_key *key,
                     const struct game_row *game, struct pod_req *req, struct err *err)
{
    int r = sym_intern(c->syms, d->meta.name, &req->name, err);
    r = r != 0 ? r : sym_intern(c->syms, d->meta.uid, &req->uid, err);
    r = r != 0 ? r : sym_intern(c->syms, d->node_name, &req->node_name, err);
    r = r != 0 ? r : sym_intern(c->syms, d->nominated_node, &req->nominated, err);
    req->phase = d->phase;
    req->deleting = d->meta.deleting;
    req->gated = d->gated;
    req->ready = d->ready;
    req->bound = d->node_name.n > 0;
    req->created_ms = d->meta.created_ms;
    req->start_ms = d->start_ms;
    req->game = game != NULL ? game->state : GAME_UNKNOWN;
    req->session_end_ms = game != NULL ? game->session_end_ms : 0;
    int64_t ends;
    if (key->session_ends.n > 0 && str_to_time_ms(key->session_ends, &ends) && ends > 0) {
        req->session_end_ms = ends;
    } else if (key->session_ends.n > 0) {
        c->n_bad_annotations++;
    }
    return r;
}

int cluster_compile_pod(struct cluster *c, const struct pod_desc *d, struct arena *scratch,
                        struct pod_req *ret, struct err *err)
{
    struct cluster_tables *t = c->t;
    if (scratch != &t->scratch) {
        arena_reset(&t->scratch);
    }
    struct pod_key key;
    struct class_key class_key;
    struct pod_req req = {0};
    uint32_t tmpl = 0;
    int r = pod_key_make(d, scratch, &key, err);
    r = r != 0 ? r : tmpl_of(c, d, &key, &tmpl, err);
    if (r != 0) {
        return r;
    }
    const struct pod_template *tm = t->tmpl[tmpl];
    sym game_name = SYM_NONE;
    req.ns = tm->proto.ns;
    if (tm->owner == OWNER_GAME) {
        bool named = tm->owner_kind.v == t->kind_game_server.v && key.controller != NULL;
        r = sym_intern(c->syms, named ? key.controller->name : d->meta.name, &game_name, err);
    }
    if (r != 0) {
        return r;
    }
    uint32_t row = game_name.v == 0 ? IX_NONE : map64_get(&t->game_of, key2(req.ns.v, game_name.v));
    const struct game_row *game = row == IX_NONE ? NULL : t->games[row];
    r = class_key_now(c, tmpl, game, game_name, &class_key, err);
    r = r != 0 ? r : class_of_key(c, &class_key, &req.cls, err);
    r = r != 0 ? r : own_facts(c, d, &key, game, &req, err);
    if (r != 0) {
        return r;
    }
    req.labels = tm->proto.labels;
    if (key.has_siblings) {
        r = labelset_from(c, d->meta.labels, scratch, &req.labels, err);
    }
    r = r != 0 ? r : ports_and_claims(c, d, scratch, &req, err);
    if (r != 0) {
        return r;
    }
    req.players = pod_players(c->classes[req.cls.v], &req, game);
    req.game_server = game_name;
    *ret = req;
    return 0;
}
