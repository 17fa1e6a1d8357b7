// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "daemon/kubeconfig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "wire/yaml_doc.h"

#define FILE_BYTES  (4u << 20) /* a kubeconfig, a certificate; real ones have a few kB */
#define TOKEN_BYTES (64u << 10)
#define FILES_MAX   32
#define ARENA_BYTES (64u << 20)
#define ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

struct file {
    const char *path, *dir;
    const struct yaml_node *root;
};
struct merge {
    struct arena *a;
    struct file files[FILES_MAX];
    size_t n;
};

/* ---- files ---- */

static int read_fd(int fd, const char *path, size_t max, struct buf *out, struct err *err)
{
    char piece[8192];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_set(err, -errno, "cannot read %s: %s", path, strerrordesc_np(errno));
        }
        if (n == 0) {
            return 0;
        }
        buf_put(out, piece, (size_t)n);
        if (out->broken) {
            return err_set(err, -E2BIG, "%s is longer than %zu bytes", path, max);
        }
    }
}

static int read_file(const char *path, struct buf *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_set(err, -errno, "cannot read %s: %s", path, strerrordesc_np(errno));
    }
    int rc = read_fd(fd, path, out->max, out, err);
    (void)close(fd);
    return rc;
}

static const char *text(struct arena *a, struct str s)
{
    return arena_str(a, s).p;
}

static const char *join(struct arena *a, const char *dir, struct str name)
{
    struct buf b CLEANUP_BUF;
    buf_init(&b, 8192);
    if (name.n == 0 || name.p[0] != '/') {
        buf_printf(&b, "%s/", dir);
    }
    buf_str(&b, name);
    return b.broken ? NULL : text(a, buf_view(&b));
}

/* ---- reading and merging ---- */

static int add_file(struct merge *m, const char *path, struct err *err)
{
    struct buf bytes CLEANUP_BUF;
    struct yaml_docs docs;
    buf_init(&bytes, FILE_BYTES);
    if (m->n == FILES_MAX) {
        return err_set(err, -E2BIG, "KUBECONFIG names more than %d files", FILES_MAX);
    }
    int rc = read_file(path, &bytes, err);
    if (rc != 0) {
        return rc;
    }
    struct str kept = arena_str(m->a, buf_view(&bytes));
    struct str name = arena_str(m->a, str_c(path));
    const char *slash = strrchr(path, '/');
    const char *dir =
        slash == NULL ? "."
                      : text(m->a, (struct str){path, slash == path ? 1 : (size_t)(slash - path)});
    if (kept.p == NULL || name.p == NULL || dir == NULL) {
        return err_nomem(err);
    }
    rc = yaml_parse(name.p, kept, m->a, &docs, err);
    if (rc != 0) {
        return rc;
    }
    const struct yaml_node *root = docs.n > 0 ? docs.docs[0] : NULL;
    if (root == NULL) {
        return 0; /* an empty file sets nothing */
    }
    const struct yaml_node *kind = yaml_get(root, "kind");
    if (root->type != YAML_MAP || (kind != NULL && !str_is(kind->text, "Config"))) {
        return err_set(err, -EINVAL, "%s: this is no kubeconfig (kind: Config)", path);
    }
    m->files[m->n++] = (struct file){name.p, dir, root};
    return 0;
}

static int add_list(struct merge *m, const char *list, struct err *err)
{
    struct str rest = str_c(list);
    while (rest.n > 0) {
        struct str one = str_cut(&rest, ':');
        const char *path = text(m->a, one);
        if (path == NULL) {
            return err_nomem(err);
        }
        if (one.n == 0 || access(path, F_OK) != 0) {
            continue;
        }
        int rc = add_file(m, path, err);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* The member `inner` of the first entry of this name in the list `key`; what file it stands in. */
static const struct yaml_node *find(const struct merge *m, const char *key, const char *inner,
                                    struct str name, const struct file **ret_file)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct yaml_node *list = yaml_get(m->files[i].root, key);
        for (uint32_t j = 0; list != NULL && list->type == YAML_LIST && j < list->n; j++) {
            const struct yaml_node *n = yaml_get(list->items[j], "name");
            if (n != NULL && str_eq(n->text, name)) {
                *ret_file = &m->files[i];
                return yaml_get(list->items[j], inner);
            }
        }
    }
    return NULL;
}

static struct str get(const struct yaml_node *map, const char *key)
{
    const struct yaml_node *n = yaml_get(map, key);
    return n != NULL && n->type != YAML_NULL && n->type != YAML_LIST && n->type != YAML_MAP
               ? n->text
               : STR_NONE;
}

static bool is_set(const struct yaml_node *map, const char *key)
{
    const struct yaml_node *n = yaml_get(map, key);
    return n != NULL && n->type != YAML_NULL &&
           (n->type == YAML_LIST || n->type == YAML_MAP ? n->n > 0 : n->text.n > 0);
}

static int place(const struct file *f, const struct yaml_node *map, const char *key,
                 struct err *err)
{
    const struct yaml_node *n = yaml_get(map, key);
    return err_at(err, f->path, n != NULL ? n->line : map->line,
                  n != NULL ? n->column : map->column);
}

/* ---- bytes in the file ---- */

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool decode_base64(struct str in, struct arena *a, struct str *ret)
{
    char *out = arena_alloc(a, in.n / 4 * 3 + 4);
    size_t n = 0, n_chars = 0, n_pad = 0;
    uint32_t bits = 0;
    for (size_t i = 0; out != NULL && i < in.n; i++) {
        char c = in.p[i];
        if (c == '\n' || c == '\r' || c == ' ') {
            continue;
        }
        int v = base64_value(c);
        if (c == '=') {
            n_pad++;
            continue;
        }
        if (v < 0 || n_pad > 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)v;
        n_chars++;
        if (n_chars % 4 == 0) {
            out[n++] = (char)(bits >> 16);
            out[n++] = (char)(bits >> 8);
            out[n++] = (char)bits;
        }
    }
    if (out == NULL || n_chars % 4 == 1 || (n_chars + n_pad) % 4 != 0 || n_pad > 2) {
        return false;
    }
    if (n_chars % 4 >= 2) {
        bits <<= n_chars % 4 == 2 ? 12 : 6;
        out[n++] = (char)(bits >> 16);
        if (n_chars % 4 == 3) {
            out[n++] = (char)(bits >> 8);
        }
    }
    *ret = (struct str){out, n};
    return n > 0;
}

/* KEY-data (base64 of PEM) or KEY (a file of PEM): into bytes or a path that can be read. */
static int read_pem(struct arena *a, const struct file *f, const struct yaml_node *map,
                    const char *key, struct str *ret_pem, const char **ret_path, struct err *err)
{
    char data_key[80];
    (void)snprintf(data_key, sizeof data_key, "%s-data", key);
    struct str data = get(map, data_key), path = get(map, key);
    if (data.n > 0) {
        if (!decode_base64(data, a, ret_pem) || !str_contains(*ret_pem, STR("-----BEGIN "))) {
            (void)err_set(err, -EINVAL, "%s: expected base64 of a PEM file", data_key);
            return place(f, map, data_key, err);
        }
        return 0;
    }
    if (path.n == 0) {
        return 0;
    }
    struct buf bytes CLEANUP_BUF;
    buf_init(&bytes, FILE_BYTES);
    *ret_path = join(a, f->dir, path);
    int rc = *ret_path != NULL ? read_file(*ret_path, &bytes, err) : err_nomem(err);
    if (rc == 0 && !str_contains(buf_view(&bytes), STR("-----BEGIN "))) {
        rc = err_set(err, -EINVAL, "%s holds no PEM block", *ret_path);
    }
    if (rc != 0) {
        (void)err_context(err, "%s", key);
        return place(f, map, key, err);
    }
    return 0;
}

/* ---- cluster and user ---- */

static int read_server(struct kubeconfig *k, const struct file *f, const struct yaml_node *map,
                       struct err *err)
{
    struct str server = get(map, "server");
    bool ok = str_starts(server, STR("https://")) || str_starts(server, STR("http://"));
    while (server.n > 0 && server.p[server.n - 1] == '/') {
        server.n--;
    }
    if (!ok || str_contains(server, STR("?")) || str_contains(server, STR("@"))) {
        (void)err_set(err, -EINVAL, "server: expected https://HOST[:PORT][/PATH]");
        return place(f, map, "server", err);
    }
    k->server = text(&k->arena, server);
    return k->server != NULL ? 0 : err_nomem(err);
}

static int read_cluster(struct kubeconfig *k, const struct file *f, const struct yaml_node *map,
                        struct err *err)
{
    int rc = read_server(k, f, map, err);
    rc = rc == 0 ? read_pem(&k->arena, f, map, "certificate-authority", &k->identity.ca_pem,
                            &k->identity.ca_file, err)
                 : rc;
    if (rc != 0) {
        return rc;
    }
    const struct yaml_node *insecure = yaml_get(map, "insecure-skip-tls-verify");
    k->identity.insecure = insecure != NULL && insecure->type == YAML_BOOL && insecure->i64 != 0;
    if (k->identity.insecure && (k->identity.ca_pem.n > 0 || k->identity.ca_file != NULL)) {
        (void)err_set(err, -EINVAL,
                      "insecure-skip-tls-verify: a certificate-authority is given too; keep one");
        return place(f, map, "insecure-skip-tls-verify", err);
    }
    struct str name = get(map, "tls-server-name"), proxy = get(map, "proxy-url");
    if (name.n > 0) {
        k->identity.server_name = text(&k->arena, name);
    }
    if (proxy.n > 0) {
        k->identity.proxy = text(&k->arena, proxy);
    }
    return 0;
}

/* What would need a program of others, or what no API server takes any more. */
static int refuse_plugins(const struct file *f, const struct yaml_node *map, struct err *err)
{
    static const char *const refused[] = {"exec", "auth-provider", "username",  "password",
                                          "as",   "as-uid",        "as-groups", "as-user-extra"};
    for (size_t i = 0; i < SP_COUNTOF(refused); i++) {
        if (!is_set(map, refused[i])) {
            continue;
        }
        const struct yaml_node *n = yaml_get(map, refused[i]);
        struct str name = i == 0 ? get(n, "command") : i == 1 ? get(n, "name") : STR_NONE;
        if (i < 2) {
            (void)err_set(err, -EINVAL,
                          "%s \"%.*s\": credential plug-ins are not run; use a service account "
                          "token (kubectl create token) or a "
                          "client certificate",
                          refused[i], (int)(name.n < 100 ? name.n : 100), name.n > 0 ? name.p : "");
        } else {
            (void)err_set(
                err, -EINVAL, "%s: %s", refused[i],
                i < 4 ? "API servers take no passwords since 1.19; use a token or a client "
                        "certificate"
                      : "acting as another user is not supported; use that user's own credentials");
        }
        return place(f, map, refused[i], err);
    }
    return 0;
}

static int read_user(struct kubeconfig *k, const struct file *f, const struct yaml_node *map,
                     struct err *err)
{
    int rc = refuse_plugins(f, map, err);
    struct http_identity *id = &k->identity;
    rc = rc == 0
             ? read_pem(&k->arena, f, map, "client-certificate", &id->cert_pem, &id->cert_file, err)
             : rc;
    rc = rc == 0 ? read_pem(&k->arena, f, map, "client-key", &id->key_pem, &id->key_file, err) : rc;
    if (rc != 0) {
        return rc;
    }
    bool has_cert = id->cert_pem.n > 0 || id->cert_file != NULL,
         has_key = id->key_pem.n > 0 || id->key_file != NULL;
    if (has_cert != has_key) {
        (void)err_set(err, -EINVAL, "%s is given without %s",
                      has_cert ? "client-certificate" : "client-key",
                      has_cert ? "client-key" : "client-certificate");
        return place(f, map, has_cert ? "client-certificate" : "client-key", err);
    }
    struct str token = get(map, "token"), file = get(map, "tokenFile");
    if (token.n > 0) {
        k->token = text(&k->arena, token);
    }
    if (file.n > 0) {
        struct buf ignored CLEANUP_BUF;
        buf_init(&ignored, TOKEN_BYTES);
        k->token_file = join(&k->arena, f->dir, file);
        rc = k->token_file != NULL ? kubeconfig_token(k, &ignored, err) : err_nomem(err);
        if (rc != 0) {
            (void)err_context(err, "tokenFile");
            return place(f, map, "tokenFile", err);
        }
    }
    return 0;
}

static int missing(const struct file *f, const char *what, struct str name, struct err *err)
{
    (void)err_set(err, -EINVAL, "%s \"%.*s\" is named but not there", what,
                  (int)(name.n < 120 ? name.n : 120), name.p);
    return err_at(err, f->path, 0, 0);
}

static int read_context(struct kubeconfig *k, const struct merge *m, struct str name,
                        struct err *err)
{
    const struct file *f = &m->files[0], *cf = f, *uf = f;
    const struct yaml_node *context = find(m, "contexts", "context", name, &f);
    if (context == NULL) {
        return missing(&m->files[0], "context", name, err);
    }
    struct str cluster_name = get(context, "cluster"), user_name = get(context, "user");
    const struct yaml_node *cluster = find(m, "clusters", "cluster", cluster_name, &cf);
    const struct yaml_node *user =
        user_name.n > 0 ? find(m, "users", "user", user_name, &uf) : NULL;
    if (cluster == NULL || cluster->type != YAML_MAP) {
        return missing(f, "cluster", cluster_name, err);
    }
    if (user_name.n > 0 && user == NULL) {
        return missing(f, "user", user_name, err);
    }
    int rc = read_cluster(k, cf, cluster, err);
    if (rc != 0) {
        return err_context(err, "cluster \"%.*s\"",
                           (int)(cluster_name.n < 80 ? cluster_name.n : 80), cluster_name.p);
    }
    rc = user != NULL && user->type == YAML_MAP ? read_user(k, uf, user, err) : 0;
    if (rc != 0) {
        return err_context(err, "user \"%.*s\"", (int)(user_name.n < 80 ? user_name.n : 80),
                           user_name.p);
    }
    struct buf origin CLEANUP_BUF;
    buf_init(&origin, 8192);
    buf_printf(&origin, "%s (context \"" STR_FMT "\")", f->path, STR_ARG(name));
    k->origin = text(&k->arena, buf_view(&origin));
    return k->origin != NULL ? 0 : err_nomem(err);
}

static int read_merged(struct kubeconfig *k, const struct merge *m, struct err *err)
{
    for (size_t i = 0; i < m->n; i++) {
        struct str name = get(m->files[i].root, "current-context");
        if (name.n > 0) {
            return read_context(k, m, name, err);
        }
    }
    (void)err_set(err, -EINVAL, "current-context is not set");
    return err_at(err, m->files[0].path, 0, 0);
}

/* ---- in a pod ---- */

static int read_account(struct kubeconfig *k, const struct kubeconfig_env *env, struct err *err)
{
    struct buf bytes CLEANUP_BUF;
    buf_init(&bytes, FILE_BYTES);
    const char *port = env->service_port != NULL ? env->service_port : "443";
    bool v6 = strchr(env->service_host, ':') != NULL;
    buf_printf(&bytes, v6 ? "https://[%s]:%s" : "https://%s:%s", env->service_host, port);
    k->server = text(&k->arena, buf_view(&bytes));
    k->token_file = join(&k->arena, env->account_dir, STR("token"));
    k->identity.ca_file = join(&k->arena, env->account_dir, STR("ca.crt"));
    k->origin = "in-cluster";
    if (k->server == NULL || k->token_file == NULL || k->identity.ca_file == NULL) {
        return err_nomem(err);
    }
    buf_clear(&bytes);
    int rc = read_file(k->identity.ca_file, &bytes, err);
    if (rc == 0 && !str_contains(buf_view(&bytes), STR("-----BEGIN "))) {
        rc = err_set(err, -EINVAL, "%s holds no PEM block", k->identity.ca_file);
    }
    buf_clear(&bytes);
    rc = rc == 0 ? kubeconfig_token(k, &bytes, err) : rc;
    return rc == 0 ? 0 : err_context(err, "service account of the pod");
}

/* ---- the door ---- */

void kubeconfig_env_read(struct kubeconfig_env *ret, const char *flag)
{
    *ret = (struct kubeconfig_env){.flag = flag,
                                   .kubeconfig = getenv("KUBECONFIG"),
                                   .home = getenv("HOME"),
                                   .service_host = getenv("KUBERNETES_SERVICE_HOST"),
                                   .service_port = getenv("KUBERNETES_SERVICE_PORT"),
                                   .account_dir = ACCOUNT_DIR};
}

static bool home_config(const struct kubeconfig_env *env, char *out, size_t n)
{
    int len = env->home != NULL && env->home[0] != '\0'
                  ? snprintf(out, n, "%s/.kube/config", env->home)
                  : 0;
    return len > 0 && (size_t)len < n && access(out, F_OK) == 0;
}

bool kubeconfig_present(const struct kubeconfig_env *env)
{
    char path[4096];
    return env->flag != NULL || (env->kubeconfig != NULL && env->kubeconfig[0] != '\0') ||
           home_config(env, path, sizeof path) ||
           (env->service_host != NULL && env->service_host[0] != '\0');
}

static int load(const struct kubeconfig_env *env, struct kubeconfig *k, struct err *err)
{
    struct merge m = {.a = &k->arena};
    char path[4096];
    int rc = 0;
    if (env->flag != NULL) {
        rc = add_file(&m, env->flag, err);
    } else if (env->kubeconfig != NULL && env->kubeconfig[0] != '\0') {
        rc = add_list(&m, env->kubeconfig, err);
        if (rc == 0 && m.n == 0) {
            rc = err_set(err, -ENOENT, "KUBECONFIG: no file of \"%.300s\" is there",
                         env->kubeconfig);
        }
    } else if (home_config(env, path, sizeof path)) {
        rc = add_file(&m, path, err);
    } else if (env->service_host != NULL && env->service_host[0] != '\0') {
        return read_account(k, env, err);
    } else {
        return err_set(
            err, -ENOENT,
            "no cluster: no --kubeconfig, no KUBECONFIG, no ~/.kube/config, and not in a pod");
    }
    if (rc == 0 && m.n == 0) {
        rc = err_set(err, -EINVAL, "%s: the file is empty", env->flag != NULL ? env->flag : path);
    }
    return rc == 0 ? read_merged(k, &m, err) : rc;
}

int kubeconfig_load(const struct kubeconfig_env *env, struct kubeconfig *ret, struct err *err)
{
    *ret = (struct kubeconfig){0};
    arena_init(&ret->arena, ARENA_BYTES);
    int rc = load(env, ret, err);
    if (rc != 0) {
        kubeconfig_done(ret);
    }
    return rc;
}

void kubeconfig_done(struct kubeconfig *k)
{
    arena_done(&k->arena);
    *k = (struct kubeconfig){0};
}

int kubeconfig_token(const struct kubeconfig *k, struct buf *out, struct err *err)
{
    buf_clear(out);
    if (k->token_file == NULL) {
        buf_str(out, str_c(k->token));
    } else {
        int rc = read_file(k->token_file, out, err);
        if (rc != 0) {
            return rc;
        }
        struct str token = str_trim(buf_view(out));
        if (token.n == 0) {
            return err_set(err, -EINVAL, "%s is empty", k->token_file);
        }
        memmove(out->p, token.p, token.n);
        out->n = token.n;
    }
    for (size_t i = 0; i < out->n; i++) {
        if ((unsigned char)out->p[i] <= ' ' || (unsigned char)out->p[i] >= 0x7f) {
            return err_set(err, -EINVAL, "%s: a token has no blanks and no control bytes",
                           k->token_file != NULL ? k->token_file : "token");
        }
    }
    buf_char(out, '\0');
    return out->broken ? err_nomem(err) : 0;
}
