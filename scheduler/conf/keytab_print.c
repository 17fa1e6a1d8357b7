/* Writing values, explanations and tables of keys; money and durations as text.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "conf/keytab.h"
#include "model/settings.h"

#define NANO        INT64_C(1000000000)
#define WRAP_COLUMN 100

/* ---- money, durations ---- */

bool conf_money(struct str s, int64_t *ret)
{
    int64_t whole = 0, frac = 0, scale = NANO;
    size_t i = 0, digits = 0;
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++, digits++) {
        if (whole > INT64_C(900000000)) {
            return false;
        }
        whole = whole * 10 + (s.p[i] - '0');
    }
    if (i < s.n && s.p[i] == '.') {
        bool round_up = false, beyond = false;
        for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++, digits++) {
            if (scale > 1) {
                scale /= 10;
                frac += (s.p[i] - '0') * scale;
            } else if (!beyond) {
                beyond = true;
                round_up = s.p[i] >= '5';
            }
        }
        frac += round_up ? 1 : 0;
    }
    if (digits > 0 && i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        double v = 0;
        if (!str_to_f64(s, &v) || !(v >= 0 && v <= 9e9)) {
            return false;
        }
        *ret = (int64_t)(v * 1e9 + 0.5);
        return true;
    }
    if (digits == 0 || i != s.n || whole > INT64_C(9000000000)) {
        return false;
    }
    *ret = whole * NANO + frac;
    return true;
}

void conf_money_print(struct buf *out, int64_t nano)
{
    char frac[16];
    int n = 9;
    buf_printf(out, "%s%lld", nano < 0 ? "-" : "",
               (long long)(nano < 0 ? -(nano / NANO) : nano / NANO));
    snprintf(frac, sizeof frac, "%09lld",
             (long long)(nano % NANO < 0 ? -(nano % NANO) : nano % NANO));
    while (n > 0 && frac[n - 1] == '0') {
        n--;
    }
    if (n > 0) {
        buf_printf(out, ".%.*s", n, frac);
    }
}

void conf_duration_print(struct buf *out, int64_t ms)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    if (ms == INT64_MAX) {
        buf_lit(out, "forever");
        return;
    }
    for (size_t i = 0; i < SP_COUNTOF(units); i++) {
        /* 120s and 60s stay seconds: minutes only where they are many or a unit is left */
        if (ms % units[i].ms == 0 &&
            (ms / units[i].ms >= (units[i].ms == 60000 ? 5 : 1) || units[i].ms == 1)) {
            buf_printf(out, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
            return;
        }
    }
}

/* ---- printing values ---- */

static bool plain_text(struct str s)
{
    static const char *const words[] = {"null", "true", "false", "on", "off",
                                        "yes",  "no",   "y",     "n"};
    if (s.n == 0 ||
        !((s.p[0] >= 'a' && s.p[0] <= 'z') || (s.p[0] >= 'A' && s.p[0] <= 'Z') || s.p[0] == '/')) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '/' || c == '_' || c == '-';
        if (!ok) {
            return false;
        }
    }
    for (size_t i = 0; i < SP_COUNTOF(words); i++) {
        if (str_eq_nocase(s, str_c(words[i]))) {
            return false;
        }
    }
    return true;
}

static void put_text(struct buf *out, struct str s)
{
    if (plain_text(s)) {
        buf_str(out, s);
    } else {
        buf_json_str(out, s);
    }
}

static void put_text_list(struct buf *out, const struct str *p, uint32_t n)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < n; i++) {
        buf_lit(out, i > 0 ? ", " : "");
        put_text(out, p[i]);
    }
    buf_char(out, ']');
}

static void put_selector(struct buf *out, const struct selector_desc *s)
{
    buf_char(out, '{');
    if (s->match_labels.n > 0 || s->match_expressions.n == 0) {
        buf_lit(out, "matchLabels: {");
        for (uint32_t i = 0; i < s->match_labels.n; i++) {
            buf_lit(out, i > 0 ? ", " : "");
            put_text(out, s->match_labels.p[i].key);
            buf_lit(out, ": ");
            put_text(out, s->match_labels.p[i].val);
        }
        buf_char(out, '}');
    }
    if (s->match_expressions.n > 0) {
        buf_lit(out, s->match_labels.n > 0 ? ", matchExpressions: [" : "matchExpressions: [");
        for (uint32_t i = 0; i < s->match_expressions.n; i++) {
            const struct expr_desc *e = &s->match_expressions.p[i];
            buf_lit(out, i > 0 ? ", {key: " : "{key: ");
            put_text(out, e->key);
            buf_lit(out, ", operator: ");
            put_text(out, e->op);
            if (e->values.n > 0) {
                buf_lit(out, ", values: ");
                put_text_list(out, e->values.p, e->values.n);
            }
            buf_char(out, '}');
        }
        buf_char(out, ']');
    }
    buf_char(out, '}');
}

static void put_shares(struct buf *out, const demand_list *d)
{
    buf_char(out, '{');
    for (uint32_t i = 0; i < d->n; i++) {
        buf_lit(out, i > 0 ? ", " : "");
        put_text(out, d->p[i].location);
        buf_lit(out, ": ");
        buf_f64(out, d->p[i].share);
    }
    buf_char(out, '}');
}

static void load_list(const char *at, const void **ret_p, uint32_t *ret_n)
{
    memcpy(ret_p, at, sizeof *ret_p);
    memcpy(ret_n, at + sizeof *ret_p, sizeof *ret_n);
}

static void put_named(struct buf *out, const struct key_row *row, const char *at)
{
    const void *p = NULL;
    uint32_t n = 0;
    load_list(at, &p, &n);
    buf_char(out, '{');
    for (uint32_t i = 0; i < n; i++) {
        buf_lit(out, i > 0 ? ", " : "");
        if (row->type == KEY_TEXT_LONG) {
            const struct region_limit *limit = (const struct region_limit *)p + i;
            put_text(out, limit->region);
            buf_lit(out, ": ");
            buf_i64(out, limit->value);
        } else {
            const struct region_pair *pair = (const struct region_pair *)p + i;
            put_text(out, pair->from);
            buf_lit(out, ": ");
            put_text(out, pair->to);
        }
    }
    buf_char(out, '}');
}

static int64_t load_long(const struct key_row *row, const char *at)
{
    int32_t small = 0;
    int64_t big = 0;
    if (row->type == KEY_INT || row->type == KEY_ENUM) {
        memcpy(&small, at, sizeof small);
        return small;
    }
    memcpy(&big, at, sizeof big);
    return big;
}

static bool is_set(const struct keytab *tab, const struct key_row *row, const char *base,
                   bool once);

static bool section_is_set(const struct keytab *tab, const struct key_row *row, const char *base,
                           bool once)
{
    const char *name = NULL;
    for (size_t i = 0; i < tab->n_rows; i++) {
        if (keytab_is_child(&tab->rows[i], row->scope, row->path, &name) &&
            is_set(tab, &tab->rows[i], base, once)) {
            return true;
        }
    }
    return false;
}

static bool is_set(const struct keytab *tab, const struct key_row *row, const char *base, bool once)
{
    const char *at = base + row->offset;
    const void *p = NULL;
    uint32_t n = 0;
    if (once && (row->flags & KEY_OWN_ONLY)) {
        return false;
    }
    if (row->set_offset != KEY_NO_SET && !*(const bool *)(const void *)(base + row->set_offset)) {
        return false;
    }
    switch (row->type) {
    case KEY_SECTION:
        return section_is_set(tab, row, base, once);
    case KEY_TEXT:
    case KEY_FILE: {
        struct str s;
        memcpy(&s, at, sizeof s);
        return s.n > 0;
    }
    case KEY_ENUM:
    case KEY_INT:
        return load_long(row, at) >= (int64_t)row->min;
    case KEY_SESSION:
        return load_long(row, at) > 0;
    case KEY_MONEY:
        return load_long(row, at) >= 0;
    case KEY_SELECTOR: {
        struct selector_desc s;
        memcpy(&s, at, sizeof s);
        return s.given;
    }
    case KEY_TEXT_LIST:
    case KEY_SHARES:
    case KEY_TEXT_LONG:
    case KEY_TEXT_TEXT:
    case KEY_SCOPE_LIST:
    case KEY_SCOPE_MAP:
        load_list(at, &p, &n);
        return n > 0;
    default:
        return true;
    }
}

static void put_enum(struct buf *out, const struct key_row *row, int64_t value)
{
    struct str rest = str_c(row->arg);
    for (int64_t i = (int64_t)row->min; rest.n > 0; i++) {
        struct str name = str_cut(&rest, '|');
        if (i == value) {
            buf_str(out, name);
            return;
        }
    }
}

static void put_scalar(struct buf *out, const struct key_row *row, const char *at)
{
    bool on = false;
    double number = 0;
    const void *p = NULL;
    uint32_t n = 0;
    switch (row->type) {
    case KEY_BOOL:
    case KEY_ON_OFF:
        memcpy(&on, at, sizeof on);
        buf_lit(out, row->type == KEY_BOOL ? (on ? "true" : "false") : (on ? "on" : "off"));
        break;
    case KEY_INT:
    case KEY_LONG:
        buf_i64(out, load_long(row, at));
        break;
    case KEY_NUMBER:
        memcpy(&number, at, sizeof number);
        buf_f64(out, number);
        break;
    case KEY_DURATION:
    case KEY_SESSION:
        conf_duration_print(out, load_long(row, at));
        break;
    case KEY_MONEY:
        conf_money_print(out, load_long(row, at));
        break;
    case KEY_TEXT:
    case KEY_FILE:
        put_text(out, *(const struct str *)(const void *)at);
        break;
    case KEY_ENUM:
        put_enum(out, row, load_long(row, at));
        break;
    case KEY_TEXT_LIST:
        load_list(at, &p, &n);
        put_text_list(out, p, n);
        break;
    case KEY_SELECTOR:
        put_selector(out, (const struct selector_desc *)(const void *)at);
        break;
    case KEY_SHARES:
        put_shares(out, (const demand_list *)(const void *)at);
        break;
    default:
        put_named(out, row, at);
        break;
    }
}

static void put_spaces(struct buf *out, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        buf_char(out, ' ');
    }
}

/* Words of `text`, each line started by `lead` and broken before WRAP_COLUMN. */
static void put_wrapped(struct buf *out, unsigned indent, const char *lead, const char *text)
{
    size_t column = 0;
    struct str rest = str_c(text);
    while (rest.n > 0) {
        struct str word = str_cut(&rest, ' ');
        if (column == 0 || column + 1 + word.n > WRAP_COLUMN) {
            buf_lit(out, column > 0 ? "\n" : "");
            put_spaces(out, indent);
            buf_lit(out, lead);
            column = indent + strlen(lead);
        } else {
            buf_char(out, ' ');
            column++;
        }
        buf_str(out, word);
        column += word.n;
    }
    buf_char(out, '\n');
}

struct printer {
    const struct keytab *tab;
    struct buf *out;
    bool prose, once;
};

static void print_level(const struct printer *pr, const char *scope, const char *prefix,
                        const char *base, unsigned indent, bool dash);

static const struct key_scope *scope_of(const struct keytab *tab, const char *name)
{
    for (size_t i = 0; i < tab->n_scopes; i++) {
        if (strcmp(tab->scopes[i].name, name) == 0) {
            return &tab->scopes[i];
        }
    }
    check_unreachable("scope of the key table");
}

static void print_elements(const struct printer *pr, const struct key_row *row, const char *at,
                           unsigned indent)
{
    const struct key_scope *scope = scope_of(pr->tab, row->arg);
    struct printer inner = *pr;
    const void *p = NULL;
    uint32_t n = 0;
    inner.prose = false;
    inner.once = false;
    load_list(at, &p, &n);
    buf_char(pr->out, '\n');
    for (uint32_t i = 0; i < n; i++) {
        const char *element = (const char *)p + i * scope->size;
        if (row->type == KEY_SCOPE_LIST) {
            print_level(&inner, scope->name, "", element, indent + 2, true);
            continue;
        }
        struct str name;
        memcpy(&name, element + scope->name_offset, sizeof name);
        put_spaces(pr->out, indent + 2);
        put_text(pr->out, name);
        buf_lit(pr->out, ":\n");
        print_level(&inner, scope->name, "", element, indent + 4, false);
    }
}

/* What could stand in a section that is not given. */
static void print_commented(const struct printer *pr, const struct key_row *section,
                            unsigned indent)
{
    const char *name = NULL;
    for (size_t i = 0; i < pr->tab->n_rows; i++) {
        const struct key_row *row = &pr->tab->rows[i];
        if (keytab_is_child(row, section->scope, section->path, &name)) {
            put_wrapped(pr->out, indent, "# ", row->prose);
            put_spaces(pr->out, indent - 2);
            buf_printf(pr->out, "#   %s:%s%s\n", name, row->def[0] != '\0' ? " " : "", row->def);
        }
    }
}

static void print_level(const struct printer *pr, const char *scope, const char *prefix,
                        const char *base, unsigned indent, bool dash)
{
    const char *name = NULL;
    for (size_t i = 0; i < pr->tab->n_rows; i++) {
        const struct key_row *row = &pr->tab->rows[i];
        if (!keytab_is_child(row, scope, prefix, &name)) {
            continue;
        }
        bool set = is_set(pr->tab, row, base, pr->once);
        if (pr->once && (row->flags & KEY_OWN_ONLY)) {
            continue;
        }
        if (pr->prose && !dash) {
            put_wrapped(pr->out, indent, "# ", row->prose);
        }
        if (!set) {
            if (pr->prose) {
                put_spaces(pr->out, indent);
                buf_printf(pr->out, "# %s:%s%s\n", name, row->def[0] != '\0' ? " " : "", row->def);
            }
            if (pr->prose && row->type == KEY_SECTION) {
                print_commented(pr, row, indent + 2);
            }
            continue;
        }
        put_spaces(pr->out, dash ? indent - 2 : indent);
        buf_lit(pr->out, dash ? "- " : "");
        dash = false;
        buf_printf(pr->out, "%s:", name);
        struct printer inner = *pr;
        if (row->type == KEY_SECTION || row->type == KEY_SCOPE) {
            bool own = row->type == KEY_SECTION;
            inner.once = pr->once || !own;
            buf_char(pr->out, '\n');
            print_level(&inner, own ? scope : row->arg, own ? row->path : "",
                        own ? base : base + row->offset, indent + 2, false);
        } else if (row->type == KEY_SCOPE_LIST || row->type == KEY_SCOPE_MAP) {
            print_elements(pr, row, base + row->offset, indent);
        } else {
            buf_char(pr->out, ' ');
            put_scalar(pr->out, row, base + row->offset);
            buf_char(pr->out, '\n');
        }
    }
}

void keytab_print(const struct keytab *tab, const char *scope, const void *base, bool prose,
                  unsigned indent, struct buf *out)
{
    struct printer pr = {.tab = tab, .out = out, .prose = prose};
    print_level(&pr, scope, "", base, indent, false);
}

/* ---- explaining ---- */

const char *key_type_name(const struct key_row *row)
{
    switch (row->type) {
    case KEY_SECTION:
    case KEY_SCOPE:
        return "map";
    case KEY_BOOL:
        return "true | false";
    case KEY_ON_OFF:
        return "on | off";
    case KEY_INT:
    case KEY_LONG:
        return "whole number";
    case KEY_NUMBER:
        return "number";
    case KEY_DURATION:
        return "duration";
    case KEY_SESSION:
        return "duration or forever";
    case KEY_MONEY:
        return "money";
    case KEY_TEXT:
        return "text";
    case KEY_FILE:
        return "path";
    case KEY_ENUM:
        return row->arg;
    case KEY_TEXT_LIST:
        return "list of names";
    case KEY_SELECTOR:
        return "label selector";
    case KEY_SHARES:
        return "map of location to share";
    case KEY_TEXT_LONG:
        return "map of region to number";
    case KEY_TEXT_TEXT:
        return "map of region to region";
    case KEY_SCOPE_LIST:
        return "list of maps";
    case KEY_SCOPE_MAP:
        return "map of name to map";
    }
    return "?";
}

static bool has_range(const struct key_row *row)
{
    bool number = row->type == KEY_INT || row->type == KEY_LONG || row->type == KEY_NUMBER ||
                  row->type == KEY_TEXT_LONG || row->type == KEY_DURATION ||
                  row->type == KEY_SESSION;
    return number && (row->min != 0 || row->max != 0);
}

static void put_limit(struct buf *out, const struct key_row *row, double v)
{
    if (row->type == KEY_DURATION || row->type == KEY_SESSION) {
        conf_duration_print(out, (int64_t)v);
    } else {
        buf_f64(out, v);
    }
}

void keytab_explain(const struct key_row *row, const char *path, struct buf *out)
{
    buf_printf(out, "%s: %s", path, key_type_name(row));
    if (row->def[0] != '\0') {
        buf_printf(out, ", default %s", row->def);
    }
    if (has_range(row)) {
        buf_lit(out, row->max > row->min ? ", " : ", at least ");
        put_limit(out, row, row->min);
        if (row->max > row->min) {
            buf_lit(out, " to ");
            put_limit(out, row, row->max);
        }
    }
    if (row->unit[0] != '\0') {
        buf_printf(out, " (%s)", row->unit);
    }
    if (row->flags & KEY_REQUIRED) {
        buf_lit(out, ", required");
    }
    if (row->flags & KEY_RESTART) {
        buf_lit(out, ", takes effect at the next start");
    }
    buf_char(out, '\n');
    put_wrapped(out, 4, "", row->prose);
}

static const struct key_row *find_in(const struct keytab *tab, const char *scope, struct str path,
                                     unsigned depth)
{
    for (size_t i = 0; i < tab->n_rows && depth < 4; i++) {
        const struct key_row *row = &tab->rows[i];
        size_t n = strlen(row->path);
        if (strcmp(row->scope, scope) != 0 || !str_starts(path, str_c(row->path))) {
            continue;
        }
        struct str rest = {path.p + n, path.n - n};
        if (rest.n == 0) {
            return row;
        }
        if (row->type == KEY_SCOPE_LIST && str_starts(rest, STR("[]"))) {
            rest.p += 2;
            rest.n -= 2;
        }
        if (rest.n == 0) {
            return row;
        }
        if ((row->type == KEY_SCOPE_LIST || row->type == KEY_SCOPE || row->type == KEY_SCOPE_MAP) &&
            rest.p[0] == '.') {
            rest.p++;
            rest.n--;
            if (row->type == KEY_SCOPE_MAP) {
                str_cut(&rest, '.');
                if (rest.n == 0) {
                    return row;
                }
            }
            const struct key_row *found = find_in(tab, row->arg, rest, depth + 1);
            if (found != NULL && !(row->type == KEY_SCOPE && (found->flags & KEY_OWN_ONLY))) {
                return found;
            }
        }
    }
    return NULL;
}

const struct key_row *keytab_find(const struct keytab *tab, const char *scope, struct str path)
{
    return find_in(tab, scope, path, 0);
}

void keytab_walk(const struct keytab *tab, const char *scope, const char *prefix,
                 void (*each)(void *ctx, const struct key_row *row, const char *path), void *ctx)
{
    char path[256];
    for (size_t i = 0; i < tab->n_rows; i++) {
        const struct key_row *row = &tab->rows[i];
        if (strcmp(row->scope, scope) != 0) {
            continue;
        }
        snprintf(path, sizeof path, "%s%s", prefix, row->path);
        each(ctx, row, path);
        if (row->type == KEY_SCOPE_LIST || row->type == KEY_SCOPE_MAP) {
            snprintf(path, sizeof path, "%s%s%s", prefix, row->path,
                     row->type == KEY_SCOPE_LIST ? "[]." : ".NAME.");
            keytab_walk(tab, row->arg, path, each, ctx);
        }
    }
}
