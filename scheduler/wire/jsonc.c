/* JSON trees on cJSON. See jsonc.h.
 *
 * Our scanner judges the bytes first, so that cJSON sees only valid JSON within our limits.
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/jsonc.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <float.h>
#include <string.h>

#include "base/limits.h"
#include "wire/scan.h"

/* cJSON's hooks have no context argument; this is the arena of the parse that runs on this thread. */
static _Thread_local struct arena *open_arena;
static _Thread_local bool
    short_memory; /* the arena has refused; cJSON answers this and bad text alike */

static void *hook_alloc(size_t n)
{
    void *p = open_arena != NULL ? arena_alloc(open_arena, n) : NULL;
    short_memory = short_memory || p == NULL;
    return p;
}

static void hook_free(void *p)
{
    (void)p; /* goes with the arena */
}

void jsonc_init(void)
{
    cJSON_Hooks hooks = {.malloc_fn = hook_alloc, .free_fn = hook_free};
    cJSON_InitHooks(&hooks);
}

/* The first \u0000 (not an escaped backslash before u0000), or NULL: cJSON would cut the text there. */
static const char *find_nul_escape(struct str s)
{
    const char *p = s.p, *end = s.p + s.n;
    while (p < end) {
        p = memchr(p, '\\', (size_t)(end - p));
        if (p == NULL || end - p < 6) {
            return NULL;
        }
        if (memcmp(p, "\\u0000", 6) == 0) {
            return p;
        }
        p += 2;
    }
    return NULL;
}

int jsonc_parse(struct str bytes, struct arena *a, jsonc_node **ret, struct err *err)
{
    struct scan s;
    scan_init(&s, bytes);
    if (!scan_skip(&s, NULL) || !scan_end(&s)) {
        return scan_error(&s, "", err);
    }
    const char *nul = find_nul_escape(bytes);
    if (nul != NULL) {
        s.error = "\\u0000 is not allowed in this text";
        s.error_at = nul;
        return scan_error(&s, "", err);
    }
    struct arena *before = open_arena;
    open_arena = a;
    short_memory = false;
    cJSON *tree = cJSON_ParseWithLengthOpts(bytes.p, bytes.n, NULL, 0);
    open_arena = before;
    if (tree == NULL) {
        /* valid JSON that cJSON does not take: a lone surrogate; or no memory */
        return short_memory ? err_nomem(err)
                            : err_set(err, -EINVAL, "a string holds half of a surrogate pair");
    }
    *ret = tree;
    return 0;
}

const jsonc_node *jsonc_get(const jsonc_node *object, const char *key)
{
    const jsonc_node *found = NULL;
    if (!jsonc_is_object(object)) {
        return NULL;
    }
    for (const cJSON *c = object->child; c != NULL; c = c->next) {
        if (c->string != NULL && strcmp(c->string, key) == 0) {
            found = c;
        }
    }
    return found;
}

const jsonc_node *jsonc_get_nocase(const jsonc_node *object, const char *key)
{
    const jsonc_node *found = NULL;
    if (!jsonc_is_object(object)) {
        return NULL;
    }
    for (const cJSON *c = object->child; c != NULL; c = c->next) {
        if (c->string != NULL && str_eq_nocase(str_c(c->string), str_c(key))) {
            found = c;
        }
    }
    return found;
}

const jsonc_node *jsonc_path(const jsonc_node *object, const char *dotted)
{
    char key[128];
    while (object != NULL && *dotted != '\0') {
        size_t n = strcspn(dotted, ".");
        if (n >= sizeof key) {
            return NULL;
        }
        memcpy(key, dotted, n);
        key[n] = '\0';
        object = jsonc_get(object, key);
        dotted += n + (dotted[n] == '.');
    }
    return object;
}

bool jsonc_is_object(const jsonc_node *n)
{
    return n != NULL && cJSON_IsObject(n);
}

bool jsonc_is_array(const jsonc_node *n)
{
    return n != NULL && cJSON_IsArray(n);
}

bool jsonc_is_null(const jsonc_node *n)
{
    return n == NULL || cJSON_IsNull(n);
}

bool jsonc_str(const jsonc_node *n, struct str *ret)
{
    if (n == NULL || !cJSON_IsString(n)) {
        return false;
    }
    *ret = str_c(n->valuestring);
    return true;
}

bool jsonc_f64(const jsonc_node *n, double *ret)
{
    if (n == NULL || !cJSON_IsNumber(n) ||
        !(n->valuedouble >= -DBL_MAX && n->valuedouble <= DBL_MAX)) {
        return false;
    }
    *ret = n->valuedouble;
    return true;
}

bool jsonc_i64(const jsonc_node *n, int64_t *ret)
{
    double v;
    if (!jsonc_f64(n, &v) || v < -0x1p53 || v > 0x1p53 || v != (double)(int64_t)v) {
        return false;
    }
    *ret = (int64_t)v;
    return true;
}

bool jsonc_bool(const jsonc_node *n, bool *ret)
{
    if (n == NULL || !cJSON_IsBool(n)) {
        return false;
    }
    *ret = cJSON_IsTrue(n);
    return true;
}

const jsonc_node *jsonc_first(const jsonc_node *parent)
{
    return parent != NULL ? parent->child : NULL;
}

const jsonc_node *jsonc_next(const jsonc_node *child)
{
    return child != NULL ? child->next : NULL;
}

struct str jsonc_key(const jsonc_node *child)
{
    return child != NULL ? str_c(child->string) : STR_NONE;
}

/* Depth is bounded by the scanner's check at parsing. */
static void print(const cJSON *n, struct buf *out)
{
    if (cJSON_IsObject(n) || cJSON_IsArray(n)) {
        bool object = cJSON_IsObject(n);
        buf_char(out, object ? '{' : '[');
        for (const cJSON *c = n->child; c != NULL; c = c->next) {
            if (c != n->child) {
                buf_char(out, ',');
            }
            if (object) {
                buf_json_str(out, str_c(c->string));
                buf_char(out, ':');
            }
            print(c, out);
        }
        buf_char(out, object ? '}' : ']');
    } else if (cJSON_IsString(n)) {
        buf_json_str(out, str_c(n->valuestring));
    } else if (cJSON_IsNumber(n)) {
        buf_f64(out, n->valuedouble);
    } else {
        buf_lit(out, cJSON_IsTrue(n) ? "true" : cJSON_IsFalse(n) ? "false" : "null");
    }
}

int jsonc_print(const jsonc_node *n, struct buf *out, struct err *err)
{
    print(n, out);
    return out->broken ? err_nomem(err) : 0;
}
