/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "conf/file.h"
#include "wire/jdoc.h"

#define TREE_BYTES_MAX   ((size_t)512 << 20)
#define CONFIG_BYTES_MAX ((size_t)16 << 20)

#define MEMBER(type, member) offsetof(struct type, member)
#define ROW(scope, path, kind, type, member, def, min, max, arg, unit, flags, prose) \
    {scope, path,  KEY_##kind, MEMBER(type, member), KEY_NO_SET, def, min, max, arg, \
     unit,  flags, prose},
#define SET(scope, path, kind, type, member, set, def, min, max, arg, unit, flags, prose)   \
    {scope, path,  KEY_##kind, MEMBER(type, member), MEMBER(type, set), def, min, max, arg, \
     unit,  flags, prose},

static const struct key_row rows[] = {
#include "conf/config_keys.def"
};

/* A fleet starts from the defaults; what has a "not set" value stays unset, so that a pod's own word counts first. */
static void fleet_init(void *element, const void *root)
{
    struct fleet_settings *f = element;
    *f = ((const struct settings *)root)->defaults;
    f->players = -1;
    f->demand = (demand_list){0};
    f->latency_class = STR_NONE;
    f->session_p50_ms = f->session_p90_ms = 0;
    f->spot.policy = SPOT_UNSET;
}

static void fleet_finish(void *element)
{
    struct fleet_settings *f = element;
    if (f->session_p50_ms > 0 && f->session_p90_ms == 0) {
        f->session_p90_ms =
            f->session_p50_ms > INT64_MAX / 18 ? INT64_MAX : f->session_p50_ms * 18 / 10;
    } else if (f->session_p90_ms > 0 && f->session_p50_ms == 0) {
        f->session_p50_ms =
            f->session_p90_ms > INT64_MAX / 18 ? INT64_MAX : f->session_p90_ms * 10 / 18;
    }
}

static void pool_init(void *element, const void *root)
{
    struct pool_settings *p = element;
    (void)root;
    *p = (struct pool_settings){.price_nano_hour = -1};
}

static void class_init(void *element, const void *root)
{
    struct latency_class *c = element;
    (void)root;
    *c = (struct latency_class){.judged = true, .ok_ms = -1};
}

static void class_finish(void *element)
{
    struct latency_class *c = element;
    if (c->ok_ms < 0) {
        c->ok_ms = c->max_ms;
    }
    c->judged = c->max_ms > 0;
}

static const struct key_scope scopes[] = {
    {"", sizeof(struct settings), KEY_NO_SET, NULL, NULL},
    {"fleet", sizeof(struct fleet_settings), offsetof(struct fleet_settings, name), fleet_init,
     fleet_finish},
    {"pool", sizeof(struct pool_settings), offsetof(struct pool_settings, name), pool_init, NULL},
    {"class", sizeof(struct latency_class), offsetof(struct latency_class, name), class_init,
     class_finish},
    {"kind", sizeof(struct kind_path), KEY_NO_SET, NULL, NULL},
};
static const struct keytab tab = {rows, SP_COUNTOF(rows), scopes, SP_COUNTOF(scopes)};

const struct keytab *config_keys(void)
{
    return &tab;
}

/* ---- reading ---- */

static int check_head(const char *name, const struct yaml_node *root, const char *key,
                      const char *want, struct err *err)
{
    const struct yaml_node *v = yaml_get(root, key);
    if (v != NULL && v->type == YAML_STRING && str_is(v->text, want)) {
        return 0;
    }
    const struct yaml_node *at = v != NULL ? v : root;
    if (v == NULL) {
        err_set(err, -EINVAL, "%s is missing; the file begins with apiVersion: %s and kind: %s",
                key, CONFIG_API_VERSION, CONFIG_KIND);
    } else if (str_is(v->text, "KubeSchedulerConfiguration")) {
        err_set(err, -EINVAL,
                "kind KubeSchedulerConfiguration is kube-scheduler's own file and not read here; "
                "accepted kinds: %s (%s)",
                CONFIG_KIND, CONFIG_API_VERSION);
    } else {
        err_set(err, -EINVAL, "%s \"%.*s\" is not known here; expected %s", key,
                (int)(v->text.n > 60 ? 60 : v->text.n), v->text.p != NULL ? v->text.p : "", want);
    }
    return err_at(err, name, at->line, at->column);
}

/* The tree without apiVersion and kind, which stand outside the key table. */
static int strip_head(const struct yaml_node *root, struct arena *a, struct yaml_node *ret,
                      struct err *err)
{
    struct yaml_pair *pairs = arena_calloc(a, root->n > 0 ? root->n : 1, sizeof *pairs);
    if (pairs == NULL) {
        return err_nomem(err);
    }
    *ret = *root;
    ret->pairs = pairs;
    ret->n = 0;
    for (uint32_t i = 0; i < root->n; i++) {
        if (!str_is(root->pairs[i].key->text, "apiVersion") &&
            !str_is(root->pairs[i].key->text, "kind")) {
            pairs[ret->n++] = root->pairs[i];
        }
    }
    return 0;
}

static int parse_tree(const char *name, struct str bytes, struct arena *a, struct yaml_node **ret,
                      struct err *err)
{
    struct yaml_docs docs = {0};
    struct str body = str_trim(bytes);
    if (body.n > 0 && body.p[0] == '{') {
        /* JSON by its first byte; YAML's flow maps look alike, so YAML has the word when JSON says no and it agrees */
        struct err json = ERR_NONE, yaml = ERR_NONE;
        if (jdoc_parse(name, bytes, a, ret, &json) == 0) {
            return 0;
        }
        if (json.code == -ENOMEM || yaml_parse(name, bytes, a, &docs, &yaml) != 0 || docs.n != 1) {
            *err = json;
            return err->code;
        }
    } else {
        int rc = yaml_parse(name, bytes, a, &docs, err);
        if (rc != 0) {
            return rc;
        }
    }
    if (docs.n != 1) {
        err_set(err, -EINVAL,
                docs.n == 0
                    ? "the file is empty; spawnpoint config default prints one to begin with"
                    : "the file holds several documents; a configuration is one");
        return err_at(err, name, docs.n == 0 ? 1 : docs.docs[1]->line, 1);
    }
    *ret = docs.docs[0];
    return 0;
}

static int read_tables(struct settings *s, struct err *err)
{
    char path[8192];
    int rc = 0;
    if (s->latency.file.n > 0) {
        snprintf(path, sizeof path, STR_FMT, STR_ARG(s->latency.file));
        rc = config_read_latency(s, path, err);
    }
    if (rc == 0 && s->prices.file.n > 0) {
        snprintf(path, sizeof path, STR_FMT, STR_ARG(s->prices.file));
        rc = config_read_prices(s, path, err);
    }
    return rc;
}

/* A table that cannot be opened is told with the place of the key; an error inside it keeps its own place. */
static int place_tables(int rc, const char *name, const struct yaml_node *root,
                        const struct settings *s, struct err *err)
{
    static const char *const sections[] = {"latency", "prices"};
    if (rc == 0 || err->line > 0) {
        return rc;
    }
    size_t first = s->latency.file.n > 0 && s->latency.rows.p == NULL ? 0 : 1;
    const struct yaml_node *section = yaml_get(root, sections[first]);
    const struct yaml_node *file = section != NULL ? yaml_get(section, "file") : NULL;
    if (file != NULL) {
        err_context(err, "%s.file", sections[first]);
        err_at(err, name, file->line, file->column);
    }
    return rc;
}

static int apply_root(const char *name, const struct yaml_node *root, const char *folder,
                      struct arena *tree, struct settings *s, struct err *err)
{
    struct yaml_node body;
    struct keytab_read r = {
        .tab = &tab, .arena = &s->arena, .file = name, .folder = folder, .root = s};
    int64_t p50 = s->defaults.session_p50_ms, p90 = s->defaults.session_p90_ms;
    if (root->type != YAML_MAP) {
        err_set(err, -EINVAL, "the file is not a map; it begins with apiVersion: %s and kind: %s",
                CONFIG_API_VERSION, CONFIG_KIND);
        return err_at(err, name, root->line, root->column);
    }
    int rc = check_head(name, root, "kind", CONFIG_KIND, err);
    rc = rc != 0 ? rc : check_head(name, root, "apiVersion", CONFIG_API_VERSION, err);
    rc = rc != 0 ? rc : strip_head(root, tree, &body, err);
    rc = rc != 0 ? rc : keytab_apply(&r, "", &body, s, err);
    if (rc == 0) {
        s->session_shipped = s->defaults.session_p50_ms == p50 && s->defaults.session_p90_ms == p90;
        s->source = arena_str(&s->arena, str_c(name));
        rc = s->source.p != NULL ? 0 : err_nomem(err);
    }
    rc = rc != 0 ? rc : config_check(s, name, root, err);
    return rc != 0 ? rc : place_tables(read_tables(s, err), name, root, s, err);
}

int config_load_bytes(const char *name, struct str bytes, const char *folder, struct settings *ret,
                      struct err *err)
{
    struct settings s;
    struct arena tree;
    struct yaml_node *root = NULL;
    int rc = settings_default(&s, err);
    if (rc != 0) {
        return rc;
    }
    arena_init(&tree, TREE_BYTES_MAX);
    rc = parse_tree(name, bytes, &tree, &root, err);
    if (rc == 0) {
        rc = apply_root(name, root, folder, &tree, &s, err);
    }
    arena_done(&tree);
    if (rc != 0) {
        settings_done(&s);
        return rc;
    }
    *ret = s;
    return 0;
}

int config_load(const char *path, struct settings *ret, struct err *err)
{
    char folder[4096];
    char *bytes = NULL;
    size_t n = 0;
    int rc = conf_read_file(path, CONFIG_BYTES_MAX, &bytes, &n, err);
    if (rc != 0) {
        return rc;
    }
    rc = config_load_bytes(path, (struct str){bytes, n}, conf_folder(path, folder, sizeof folder),
                           ret, err);
    mem_free(bytes);
    return rc;
}

/* ---- writing ---- */

static void print_head(struct buf *out)
{
    buf_printf(out, "apiVersion: %s\nkind: %s\n", CONFIG_API_VERSION, CONFIG_KIND);
}

void config_print(struct buf *out, const struct settings *s)
{
    print_head(out);
    keytab_print(&tab, "", s, false, 0, out);
}

static const char example[] =
    "\n# An example of a game:\n"
    "# fleets:\n"
    "# - name: arena\n"
    "#   match: {matchLabels: {app: arena}}\n"
    "#   players: 64\n"
    "#   demand: {DE: 0.6, FR: 0.3, PL: 0.1}\n"
    "#   session: {p50: 20m, p90: 40m}\n"
    "#   zoneSpread: {maxSkew: 1, maxPlayerShare: 0.5, minDomains: 3}\n"
    "#   pools: [metal, spot]\n"
    "#   spot: {policy: allowed, minOnDemandShare: 0.3, maxPoolShare: 0.25}\n"
    "# pools:\n"
    "# - {name: metal, match: {matchLabels: {game.example/pool: metal}}}\n"
    "# - {name: spot, match: {matchLabels: {game.example/pool: spot}}}\n";

void config_print_default(struct buf *out)
{
    struct settings s;
    struct err err = ERR_NONE;
    if (settings_default(&s, &err) != 0) {
        return;
    }
    print_head(out);
    keytab_print(&tab, "", &s, true, 0, out);
    buf_lit(out, example);
    settings_done(&s);
}

static void explain_row(void *ctx, const struct key_row *row, const char *path)
{
    keytab_explain(row, path, ctx);
}

struct below {
    struct buf *out;
    const char *prefix;
};

static void explain_below(void *ctx, const struct key_row *row, const char *path)
{
    struct below *b = ctx;
    size_t n = strlen(b->prefix);
    if (strncmp(path, b->prefix, n) == 0 && (path[n] == '.' || path[n] == '[')) {
        keytab_explain(row, path, b->out);
    }
}

struct nearest {
    struct str word;
    const char *names[256];
    char text[256][96];
    size_t n;
};

static void collect_name(void *ctx, const struct key_row *row, const char *path)
{
    struct nearest *near = ctx;
    (void)row;
    if (near->n < SP_COUNTOF(near->names)) {
        snprintf(near->text[near->n], sizeof near->text[0], "%s", path);
        near->names[near->n] = near->text[near->n];
        near->n++;
    }
}

int config_explain(struct buf *out, const char *key, struct err *err)
{
    if (key == NULL) {
        buf_printf(out, "apiVersion: %s, required\nkind: %s, required\n", CONFIG_API_VERSION,
                   CONFIG_KIND);
        keytab_walk(&tab, "", "", explain_row, out);
        return 0;
    }
    const struct key_row *row = keytab_find(&tab, "", str_c(key));
    if (row != NULL) {
        struct below b = {.out = out, .prefix = key};
        keytab_explain(row, key, out);
        keytab_walk(&tab, "", "", explain_below, &b);
        return 0;
    }
    struct nearest *near = mem_calloc(1, sizeof *near);
    if (near == NULL) {
        return err_nomem(err);
    }
    near->word = str_c(key);
    keytab_walk(&tab, "", "", collect_name, near);
    const char *hit = str_nearest(near->word, near->names, near->n);
    int rc = hit != NULL
                 ? err_set(err, -ENOENT, "unknown key \"%s\"; did you mean \"%s\"?", key, hit)
                 : err_set(err, -ENOENT,
                           "unknown key \"%s\"; spawnpoint config explain lists all keys", key);
    mem_free(near);
    return rc;
}

static void docs_cell(struct buf *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        buf_lit(out, *p == '|' ? "\\" : "");
        buf_char(out, *p);
    }
}

static void docs_row(void *ctx, const struct key_row *row, const char *path)
{
    struct buf *out = ctx;
    buf_printf(out, "| `%s` | ", path);
    docs_cell(out, key_type_name(row));
    buf_lit(out, " | ");
    buf_lit(out, row->flags & KEY_REQUIRED ? "required" : row->def[0] != '\0' ? row->def : "–");
    buf_printf(out, " | %s | ", row->unit[0] != '\0' ? row->unit : "–");
    docs_cell(out, row->prose);
    buf_lit(out, " |\n");
}

void config_print_docs(struct buf *out)
{
    buf_lit(
        out,
        "# Configuration\n\n"
        "This page is written from `scheduler/conf/config_keys.def`; a test keeps it in step.\n\n"
        "A configuration is one YAML or JSON file that begins with `apiVersion: " CONFIG_API_VERSION
        "` and `kind: " CONFIG_KIND "`. Every key is optional. It is read strictly: an unknown "
        "key, a wrong type, a value out of its range and values that "
        "contradict each other are errors with file:line:column and the fix. `spawnpoint config "
        "default` prints a complete file, "
        "`spawnpoint config validate FILE` checks one, `spawnpoint config explain [KEY]` tells "
        "what follows here.\n\n"
        "Durations have a unit (`20ms`, `60s`, `25m`, `2h`, `1d`). Relative paths start from the "
        "configuration's folder. "
        "Text that YAML would read as a number or as true and false needs quotes. `defaults` takes "
        "the keys of `fleets[]` except "
        "name, match and namespace; a fleet's own key wins over it.\n\n"
        "| key | type | default | unit | meaning |\n| --- | --- | --- | --- | --- |\n");
    keytab_walk(&tab, "", "", docs_row, out);
}
