/* SPDX-License-Identifier: Apache-2.0 */
#include "model/conventions.h"

#include "base/limits.h"
#include "model/places.h"
#include "model/prices.h"

#define HOURS_24_MS (INT64_C(24) * 3600 * 1000)

#define ROW(fact, key, value, meaning, prose, source) \
    {CONV_##fact, key, value, meaning, prose, source},
static const struct conv_row rows[] = {
#include "model/conventions.def"
};

const struct conv_row *conventions_rows(size_t *ret_n)
{
    *ret_n = SP_COUNTOF(rows);
    return rows;
}

/* ---- matching ---- */

/* `pattern` may end in a star. */
static bool text_matches(const char *pattern, struct str s, bool nocase)
{
    size_t n = strlen(pattern);
    if (n > 0 && pattern[n - 1] == '*') {
        if (s.n < n - 1) {
            return false;
        }
        s.n = n - 1;
        return nocase ? str_eq_nocase(s, (struct str){pattern, n - 1})
                      : str_starts(s, (struct str){pattern, n - 1});
    }
    return nocase ? str_eq_nocase(s, str_c(pattern)) : str_is(s, pattern);
}

static bool value_matches(const struct conv_row *row, struct str val)
{
    int64_t number = 0;
    if (row->value[0] == '\0') {
        return true;
    }
    if (row->value[0] == '>') {
        return str_to_i64(val, &number) && number > 1;
    }
    return text_matches(row->value, val, true);
}

static const struct str *find_label(const kv_list *labels, const char *key)
{
    for (uint32_t i = 0; i < labels->n; i++) {
        if (str_is(labels->p[i].key, key)) {
            return &labels->p[i].val;
        }
    }
    return NULL;
}

/* Where a fact's rows begin: the rows stand in the facts' order. */
static size_t first_row(enum conv_fact fact)
{
    size_t from = 0, to = SP_COUNTOF(rows);
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (rows[middle].fact < fact) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

/* The first row of a fact that the labels satisfy; *ret_val is the label's value. */
static const struct conv_row *match_labels(enum conv_fact fact, const kv_list *labels,
                                           struct str *ret_val)
{
    for (size_t i = first_row(fact); i < SP_COUNTOF(rows) && rows[i].fact == fact; i++) {
        const struct str *val = find_label(labels, rows[i].key);
        if (val != NULL && value_matches(&rows[i], *val)) {
            *ret_val = *val;
            return &rows[i];
        }
    }
    return NULL;
}

static const struct conv_row *match_taint(enum conv_fact fact, struct str key, struct str val)
{
    for (size_t i = first_row(fact); i < SP_COUNTOF(rows) && rows[i].fact == fact; i++) {
        if (text_matches(rows[i].key, key, false) && value_matches(&rows[i], val)) {
            return &rows[i];
        }
    }
    return NULL;
}

static const struct conv_row *match_taints(enum conv_fact fact, const struct taint_desc *taints,
                                           uint32_t n, struct str *ret_val)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct conv_row *row = match_taint(fact, taints[i].key, taints[i].val);
        if (row != NULL) {
            *ret_val = taints[i].val;
            return row;
        }
    }
    return NULL;
}

bool conventions_is_accelerator(struct str resource)
{
    return match_taint(CONV_ACCELERATOR, resource, STR_NONE) != NULL;
}

int conventions_taint_doom(struct str key, struct str val, enum taint_effect effect)
{
    const struct conv_row *row = match_taint(CONV_DOOM, key, val);
    (void)effect; /* operators choose the effect; the key alone says what is coming */
    return row != NULL ? row->meaning : 0;
}

bool conventions_is_sibling_label(struct str key)
{
    return match_taint(CONV_SIBLING, key, STR_NONE) != NULL;
}

bool conventions_zone_is_none(struct str zone)
{
    for (size_t i = 0; i < zone.n; i++) {
        if (zone.p[i] < '0' || zone.p[i] > '9') {
            return false;
        }
    }
    return true;
}

/* ---- selectors over plain text ---- */

static bool number_matches(const struct expr_desc *e, const struct str *val)
{
    int64_t have = 0, want = 0;
    if (val == NULL || e->values.n != 1 || !str_to_i64(*val, &have) ||
        !str_to_i64(e->values.p[0], &want)) {
        return false;
    }
    return str_is(e->op, "Gt") ? have > want : have < want;
}

static bool expr_matches(const struct expr_desc *e, const kv_list *labels)
{
    char key[LIMIT_NAME_BYTES + 1];
    bool in = false;
    if (e->key.n > LIMIT_NAME_BYTES) {
        return false;
    }
    memcpy(key, e->key.p, e->key.n);
    key[e->key.n] = '\0';
    const struct str *val = find_label(labels, key);
    for (uint32_t i = 0; val != NULL && i < e->values.n; i++) {
        in = in || str_eq(*val, e->values.p[i]);
    }
    if (str_is(e->op, "In")) {
        return in;
    }
    if (str_is(e->op, "NotIn")) {
        return !in;
    }
    if (str_is(e->op, "Exists")) {
        return val != NULL;
    }
    return str_is(e->op, "DoesNotExist") ? val == NULL : number_matches(e, val);
}

static bool selects(const struct selector_desc *s, const kv_list *labels)
{
    if (!s->given) {
        return false;
    }
    for (uint32_t i = 0; i < s->match_labels.n; i++) {
        bool hit = false;
        for (uint32_t j = 0; !hit && j < labels->n; j++) {
            hit = str_eq(labels->p[j].key, s->match_labels.p[i].key) &&
                  str_eq(labels->p[j].val, s->match_labels.p[i].val);
        }
        if (!hit) {
            return false;
        }
    }
    for (uint32_t i = 0; i < s->match_expressions.n; i++) {
        if (!expr_matches(&s->match_expressions.p[i], labels)) {
            return false;
        }
    }
    return true;
}

/* ---- facts as text ---- */

struct reading {
    struct cluster *c;
    struct node_facts *f;
    const kv_list *labels;
    const struct taint_desc *taints;
    uint32_t n_taints;
};

static int keep(const struct reading *r, struct str s, sym *ret, struct err *err)
{
    *ret = SYM_NONE;
    return s.n == 0 ? 0 : sym_intern(r->c->syms, s, ret, err);
}

static int read_sym(const struct reading *r, enum conv_fact fact, sym *ret, struct err *err)
{
    struct str val = STR_NONE;
    *ret = SYM_NONE;
    return match_labels(fact, r->labels, &val) == NULL ? 0 : keep(r, val, ret, err);
}

static int read_zone(const struct reading *r, struct err *err)
{
    struct str raw = STR_NONE;
    r->f->zone = r->f->zone_raw = SYM_NONE;
    r->f->zone_source = NULL;
    for (size_t i = first_row(CONV_ZONE); i < SP_COUNTOF(rows) && rows[i].fact == CONV_ZONE; i++) {
        const struct str *val = find_label(r->labels, rows[i].key);
        if (val == NULL) {
            continue;
        }
        if (raw.n == 0) {
            raw = *val;
        }
        if (!conventions_zone_is_none(*val)) {
            int rc = keep(r, *val, &r->f->zone, err);
            r->f->zone_source = rows[i].key;
            return rc != 0 ? rc : keep(r, raw, &r->f->zone_raw, err);
        }
    }
    return keep(r, raw, &r->f->zone_raw, err);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The family that an instance type's name tells: "c7g.large" c7g, "n2-standard-4" n2, "Standard_D4s_v5" Dsv5. */
static struct str family_of(struct str type, char *out, size_t out_n)
{
    size_t n = 0;
    if (!str_starts(type, STR("Standard_"))) {
        struct str rest = type, head = str_cut(&rest, '.');
        return head.n < type.n ? head : str_cut(&head, '-');
    }
    for (size_t i = sizeof "Standard_" - 1; i < type.n && n < out_n; i++) {
        bool version = i > 0 && type.p[i] == 'v' && type.p[i - 1] == '_';
        if (version) {
            for (; i < type.n && n < out_n; i++) {
                out[n++] = type.p[i];
            }
        } else if (is_letter(type.p[i])) {
            out[n++] = type.p[i];
        }
    }
    return (struct str){out, n};
}

/* The number behind the family's letters (c7g: 7), or behind the v of Azure's. 0 = not told. */
static int32_t generation_of(struct str family, bool azure)
{
    int32_t g = 0;
    size_t i = 0;
    if (azure) {
        for (i = family.n; i > 0 && family.p[i - 1] >= '0' && family.p[i - 1] <= '9'; i--) {
        }
        if (i == 0 || i == family.n || family.p[i - 1] != 'v') {
            return family.n > 0 ? 1 : 0;
        }
    } else {
        while (i < family.n && is_letter(family.p[i])) {
            i++;
        }
    }
    for (; i < family.n && family.p[i] >= '0' && family.p[i] <= '9' && g < 1000; i++) {
        g = g * 10 + (family.p[i] - '0');
    }
    return g;
}

static int32_t read_small(const struct reading *r, enum conv_fact fact)
{
    struct str val = STR_NONE;
    int64_t number = 0;
    bool ok = match_labels(fact, r->labels, &val) != NULL;
    if (ok && val.n > 1 && (val.p[0] == 'v' || val.p[0] == 'V')) { /* Azure writes v5 */
        val.p++;
        val.n--;
    }
    return ok && str_to_i64(val, &number) && number >= 0 && number <= INT32_MAX ? (int32_t)number
                                                                                : 0;
}

static int read_hardware(const struct reading *r, struct err *err)
{
    char text[32];
    struct str type = STR_NONE, family = STR_NONE;
    bool known = match_labels(CONV_INSTANCE_TYPE, r->labels, &type) != NULL;
    int rc = keep(r, type, &r->f->instance_type, err);
    bool azure = known && str_starts(type, STR("Standard_"));
    struct str guessed = known ? family_of(type, text, sizeof text) : STR_NONE;
    if (match_labels(CONV_FAMILY, r->labels, &family) == NULL) {
        family = guessed;
    }
    rc = rc != 0 ? rc : keep(r, family, &r->f->family, err);
    const struct instance_type *shipped = known ? prices_find_type(type) : NULL;
    r->f->clock_mhz = read_small(r, CONV_CLOCK);
    if (r->f->clock_mhz == 0 && shipped != NULL) {
        r->f->clock_mhz = shipped->clock_mhz;
    }
    r->f->generation = read_small(r, CONV_GENERATION);
    if (r->f->generation == 0 && known && (azure || guessed.n < type.n)) {
        r->f->generation = generation_of(guessed, azure);
    }
    return rc;
}

static struct str cut_suffix(struct str product)
{
    for (size_t i = 1; i < product.n; i++) {
        struct str rest = {product.p + i, product.n - i};
        if (str_starts(rest, STR("-MIG-")) || str_eq(rest, STR("-SHARED"))) {
            return (struct str){product.p, i};
        }
    }
    return product;
}

static int read_gpu(const struct reading *r, uint32_t *flags, struct err *err)
{
    struct str product = STR_NONE, val = STR_NONE;
    int64_t mib = 0;
    if (match_labels(CONV_GPU_PRODUCT, r->labels, &product) != NULL && product.n > 0) {
        *flags |= NODE_GPU;
    }
    if (str_ends(product, STR("-SHARED")) ||
        match_labels(CONV_GPU_SHARED, r->labels, &val) != NULL) {
        *flags |= NODE_GPU_SHARED;
    }
    if (match_labels(CONV_GPU_PRESENT, r->labels, &val) != NULL &&
        !str_eq_nocase(val, STR("false"))) {
        *flags |= NODE_GPU;
    }
    if (match_taints(CONV_GPU_TAINT, r->taints, r->n_taints, &val) != NULL) {
        *flags |= NODE_GPU;
    }
    int rc = keep(r, cut_suffix(product), &r->f->gpu_product, err);
    rc = rc != 0 ? rc : read_sym(r, CONV_MIG_STRATEGY, &r->f->mig_strategy, err);
    rc = rc != 0 ? rc : read_sym(r, CONV_GPU_MODE, &r->f->gpu_mode, err);
    r->f->gpu_memory_mib =
        match_labels(CONV_GPU_MEMORY, r->labels, &val) != NULL && str_to_i64(val, &mib) && mib > 0
            ? mib
            : 0;
    r->f->gpu_compute_major = read_small(r, CONV_GPU_COMPUTE);
    if (match_labels(CONV_GPU_MODE, r->labels, &val) != NULL &&
        str_eq_nocase(val, STR("display"))) {
        *flags |= NODE_GPU_DISPLAY;
    }
    return rc;
}

static void read_capacity(const struct reading *r, node_ix node)
{
    struct str val = STR_NONE;
    const struct conv_row *row = match_labels(CONV_CAPACITY, r->labels, &val);
    if (row == NULL) {
        row = match_taints(CONV_CAPACITY_TAINT, r->taints, r->n_taints, &val);
    }
    r->c->capacity[node.v] = (uint8_t)(row != NULL ? row->meaning : CAPACITY_UNKNOWN);
    r->f->capacity_source = row != NULL ? row->key : NULL;
}

static void read_end(const struct reading *r, const struct node_desc *d)
{
    struct str val = STR_NONE;
    int64_t end = 0;
    r->f->created_ms = d->meta.created_ms;
    r->f->end_ms = 0;
    if (match_labels(CONV_END_OF_LIFE, &d->meta.annotations, &val) != NULL &&
        str_to_time_ms(val, &end) && end > 0) {
        r->f->end_ms = end;
    }
    if (d->meta.created_ms > 0 && match_labels(CONV_LIFE_24H, r->labels, &val) != NULL) {
        end = d->meta.created_ms + HOURS_24_MS;
        r->f->end_ms = r->f->end_ms == 0 || end < r->f->end_ms ? end : r->f->end_ms;
    }
}

static int read_pool_name(const struct reading *r, struct err *err)
{
    struct str val = STR_NONE;
    if (match_labels(CONV_POOL, r->labels, &val) == NULL || val.n == 0) {
        match_taints(CONV_POOL_TAINT, r->taints, r->n_taints, &val);
    }
    return keep(r, val, &r->f->provider_pool, err);
}

static int32_t pool_of(const struct settings *s, const kv_list *labels)
{
    for (uint32_t i = 0; i < s->pools.n; i++) {
        if (selects(&s->pools.p[i].match, labels)) {
            return (int32_t)i;
        }
    }
    return -1;
}

/* What follows from labels, taints and the settings' pools: a node that the settings put into a pool of game servers
 * is no system node, whatever a convention says. */
static void read_purpose(const struct reading *r, uint32_t *flags)
{
    struct str val = STR_NONE;
    const struct settings *s = r->c->settings;
    bool game = match_labels(CONV_GAME_LABEL, r->labels, &val) != NULL ||
                match_taints(CONV_GAME_TAINT, r->taints, r->n_taints, &val) != NULL;
    bool reserved = match_labels(CONV_SYSTEM_LABEL, r->labels, &val) != NULL ||
                    match_taints(CONV_SYSTEM_TAINT, r->taints, r->n_taints, &val) != NULL;
    *flags &= ~(uint32_t)(NODE_SYSTEM | NODE_GAME_POOL);
    r->f->pool = pool_of(s, r->labels);
    if (r->f->pool >= 0) {
        reserved = s->pools.p[r->f->pool].system;
    }
    *flags |= (game ? NODE_GAME_POOL : 0u) | (reserved ? NODE_SYSTEM : 0u);
}

static uint32_t read_taints(const struct reading *r)
{
    uint32_t flags = 0;
    for (uint32_t i = 0; i < r->n_taints; i++) {
        const struct taint_desc *t = &r->taints[i];
        int doom = conventions_taint_doom(t->key, t->val, t->effect);
        flags |= doom == 2 ? NODE_DOOMED : doom == 1 ? NODE_LEAVING_SOON : 0u;
        if (match_taint(CONV_NOT_READY_TAINT, t->key, t->val) != NULL) {
            flags |= NODE_NOT_READY;
        }
    }
    return flags;
}

static uint32_t read_state(const struct node_desc *d)
{
    uint32_t flags = d->unschedulable ? NODE_CORDONED : 0u;
    for (uint32_t i = 0; i < d->conditions.n; i++) {
        if (str_is(d->conditions.p[i].type, "Ready") &&
            !str_is(d->conditions.p[i].status, "True")) {
            flags |= NODE_NOT_READY;
        }
    }
    for (uint32_t i = 0; i < d->allocatable.n; i++) {
        const struct qty_desc *q = &d->allocatable.p[i];
        if (q->value.nano > 0 && conventions_is_accelerator(q->name)) {
            flags |= NODE_GPU | (str_ends(q->name, STR(".shared")) ? NODE_GPU_SHARED : 0u);
        }
    }
    return flags;
}

static uint32_t read_kind(const struct reading *r)
{
    struct str val = STR_NONE, type = STR_NONE;
    uint32_t flags = 0;
    if (match_labels(CONV_VIRTUAL_LABEL, r->labels, &val) != NULL ||
        match_taints(CONV_VIRTUAL_TAINT, r->taints, r->n_taints, &val) != NULL) {
        flags |= NODE_VIRTUAL;
    }
    if (match_labels(CONV_FAULT_DOMAIN, r->labels, &val) != NULL) {
        flags |= NODE_SINGLE_FAULT_DOMAIN;
    }
    if (match_labels(CONV_INSTANCE_TYPE, r->labels, &type) != NULL &&
        match_taint(CONV_BURSTABLE, type, STR_NONE) != NULL) {
        flags |= NODE_BURSTABLE;
    }
    return flags;
}

int conventions_read_node(struct cluster *c, const struct node_desc *d, node_ix node,
                          struct err *err)
{
    struct reading r = {.c = c,
                        .f = &c->facts[node.v],
                        .labels = &d->meta.labels,
                        .taints = d->taints.p,
                        .n_taints = d->taints.n};
    uint32_t flags = c->flags[node.v] & NODE_LIVE;
    int rc = read_sym(&r, CONV_REGION, &r.f->region, err);
    rc = rc != 0 ? rc : read_zone(&r, err);
    rc = rc != 0 ? rc : read_sym(&r, CONV_ARCH, &r.f->arch, err);
    rc = rc != 0 ? rc : read_sym(&r, CONV_OS, &r.f->os, err);
    rc = rc != 0 ? rc : read_sym(&r, CONV_HOSTNAME, &r.f->hostname, err);
    rc = rc != 0 ? rc : read_hardware(&r, err);
    rc = rc != 0 ? rc : read_pool_name(&r, err);
    rc = rc != 0 ? rc : read_gpu(&r, &flags, err);
    if (rc != 0) {
        return rc;
    }
    read_capacity(&r, node);
    read_end(&r, d);
    flags |= read_state(d) | read_taints(&r) | read_kind(&r);
    read_purpose(&r, &flags);
    c->flags[node.v] = flags;
    return places_set_node(c, node, err);
}
