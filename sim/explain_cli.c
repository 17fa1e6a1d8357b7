/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "sim/explain_cli.h"

#include "base/limits.h"
#include "sim/sim_main.h"
#include "sim/style.h"
#include "wire/http_client.h"

#include <errno.h>
#include <string.h>

#define NAMES_MAX         200000
#define TEXT_WIDTH        100
#define SERVER_TIMEOUT_MS 10000
#define DEFAULT_SEED      1

/* ---- which pod ---- */

static struct str full_name(const struct cluster *c, const struct pod_req *req, struct arena *a)
{
    struct str ns = sym_str(c->syms, req->ns), name = sym_str(c->syms, req->name);
    char *text = arena_alloc(a, ns.n + name.n + 2);
    if (text == NULL) {
        return STR_NONE;
    }
    memcpy(text, ns.p, ns.n);
    text[ns.n] = '/';
    memcpy(text + ns.n + 1, name.p, name.n);
    text[ns.n + 1 + name.n] = '\0';
    return (struct str){text, ns.n + 1 + name.n};
}

static int pod_not_found(const struct cluster *c, const char *asked, struct err *err)
{
    struct arena a;
    VEC(const char *) names = {0};
    arena_init(&a, (size_t)1 << 30);
    for (uint32_t i = 0; i < c->n_pod_rows; i++) {
        struct str name = c->pod[i].live ? full_name(c, &c->pod[i].req, &a) : STR_NONE;
        if (name.p != NULL && VEC_PUSH(&names, name.p, NAMES_MAX) != 0) {
            break;
        }
    }
    const char *near = str_nearest(str_c(asked), names.p, names.n);
    (void)err_set(err, -ENOENT, "there is no pod \"%.200s\" in the input%s%.200s%s", asked,
                  near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
                  near != NULL ? "\"?" : "");
    VEC_DONE(&names);
    arena_done(&a);
    return -ENOENT;
}

int explain_find_pod(const struct world *w, const char *name, pod_ix *ret, struct err *err)
{
    const char *slash = strchr(name, '/');
    struct str ns = slash != NULL ? (struct str){name, (size_t)(slash - name)} : STR("default");
    pod_ix found = cluster_find_pod(w->cluster, ns, str_c(slash != NULL ? slash + 1 : name));
    if (found.v == IX_NONE) {
        return pod_not_found(w->cluster, name, err);
    }
    *ret = found;
    return 0;
}

/* ---- one pod ---- */

/* A pod with scheduling gates is not looked at by the scheduler at all: its gate is the reason on every node. */
static void apply_gate(struct explanation *x)
{
    struct str text = str_c(reason_text(REASON_GATED));
    for (uint32_t i = 0; i < x->n_nodes; i++) {
        struct explain_node *n = &x->nodes[i];
        n->feasible = false;
        n->rejected_by = "SchedulingGates";
        n->reasons[0] = text;
        n->n_reasons = 1;
        n->unresolvable = true;
        n->n_terms = n->n_scores = 0;
        n->total = 0;
        n->stage = 0;
    }
    x->chosen = STR("");
    x->n_best = 0;
    x->message = text;
    x->decided_by = STR("none");
    x->margin = x->behind_by = 0;
    x->runner_up = STR("");
    x->n_what_ifs = 0;
}

/* What the engine left out for this pod, then what the load left out. */
static int keep_notes(const struct world *w, struct explanation *x, struct err *err)
{
    size_t n = w->loaded.not_modelled.n, own = x->n_not_modelled;
    struct not_modelled_item *items = arena_calloc(&x->arena, n + own + 1, sizeof *items);
    if (items == NULL) {
        return err_nomem(err);
    }
    for (size_t i = 0; i < own; i++) {
        items[i] = x->not_modelled[i];
    }
    for (size_t i = 0; i < n; i++) {
        struct not_modelled_item *one = &items[own + i];
        one->what = arena_str(&x->arena, str_c(w->loaded.not_modelled.p[i].what));
        one->count = w->loaded.not_modelled.p[i].count;
        if (one->what.p == NULL) {
            return err_nomem(err);
        }
    }
    x->not_modelled = items;
    x->n_not_modelled = (uint32_t)(own + n);
    return 0;
}

int explain_pod(struct world *w, struct engine *e, pod_ix pod, struct explanation *ret,
                struct err *err)
{
    struct cluster *c = w->cluster;
    struct arena a;
    bool stands = c->pod[pod.v].node.v != IX_NONE;
    arena_init(&a, 1u << 20);
    struct str name = full_name(c, &c->pod[pod.v].req, &a);
    if (name.p == NULL) {
        arena_done(&a);
        return err_nomem(err);
    }
    struct pod_req req = c->pod[pod.v].req;
    req.bound = false;
    req.node_name = SYM_NONE;
    if (stands) {
        cluster_lift(c, pod);
    }
    struct ask ask = {.pod = &req, .judge = JUDGE_ALL, .waited_ms = -1, .seed = DEFAULT_SEED};
    struct explain_opts opts = {.what_ifs = !req.gated, .max_what_ifs = 8};
    int rc = explain_make(e, c, &ask, name, &opts, ret, err);
    if (rc == 0) {
        rc = keep_notes(w, ret, err);
        if (rc != 0) {
            explain_done(ret);
        } else if (req.gated) {
            apply_gate(ret);
        }
    }
    if (stands) {
        struct err again = ERR_NONE;
        int back = cluster_unlift(c, pod, &again);
        if (rc == 0 && back != 0) {
            explain_done(ret);
            *err = again;
            rc = back;
        }
    }
    arena_done(&a);
    return rc;
}

/* ---- all asked pods ---- */

struct explain_job {
    struct args args;
    struct world_source source;
    struct world world;
    VEC(pod_ix) pods;
    struct buf out;
};

static int fail(const struct err *err, int code)
{
    char text[1024];
    (void)fprintf(stderr, "spawnpoint explain: %s\n", err_format(err, text, sizeof text));
    return code;
}

static int collect_pods(struct explain_job *job, struct err *err)
{
    const struct loaded *l = &job->world.loaded;
    for (size_t i = 0; i < job->args.pods.n; i++) {
        pod_ix pod;
        int rc = explain_find_pod(&job->world, job->args.pods.p[i], &pod, err);
        if (rc != 0) {
            return rc;
        }
        if (VEC_PUSH(&job->pods, pod, LIMIT_PODS) != 0) {
            return err_nomem(err);
        }
    }
    for (size_t i = 0; job->args.pending && i < l->waiting.n; i++) {
        if (VEC_PUSH(&job->pods, l->waiting.p[i], LIMIT_PODS) != 0) {
            return err_nomem(err);
        }
    }
    return 0;
}

static int flush(struct explain_job *job, struct err *err)
{
    if (job->out.starved) {
        return err_nomem(err);
    }
    if (job->out.broken) {
        return err_set(err, -E2BIG, "an explanation is larger than %u bytes, or memory is short",
                       LIMIT_REPORT_BYTES);
    }
    if (fwrite(job->out.p, 1, job->out.n, stdout) != job->out.n || fflush(stdout) != 0) {
        return err_set(err, -EIO, "standard output: %s", strerror(errno));
    }
    buf_clear(&job->out);
    return 0;
}

static void write_one(struct explain_job *job, const struct explanation *x, size_t i)
{
    bool color = args_want_color(&job->args, stdout), list = job->pods.n != 1;
    switch (job->args.format) {
    case FORMAT_TABLE:
        buf_lit(&job->out, i > 0 ? "\n" : "");
        explain_write_text(x, &job->out, TEXT_WIDTH, color);
        break;
    case FORMAT_JSON:
        buf_lit(&job->out, list ? (i > 0 ? ",\n" : "\n") : "");
        explain_write_json(x, &job->out);
        buf_lit(&job->out, list ? "" : "\n");
        break;
    default:
        explain_write_json(x, &job->out);
        buf_char(&job->out, '\n');
        break;
    }
}

static int explain_all(struct explain_job *job, const struct preset *preset, struct err *err)
{
    struct engine *e = NULL;
    bool list = job->args.format == FORMAT_JSON && job->pods.n != 1;
    int rc = engine_new(&e, job->world.cluster, preset, err);
    if (rc != 0) {
        return rc;
    }
    buf_lit(&job->out, list ? "{\"kind\":\"ExplanationList\",\"items\":[" : "");
    if (job->args.format == FORMAT_TABLE && job->pods.n == 0) {
        buf_lit(&job->out, "No pod waits.\n");
    }
    for (size_t i = 0; rc == 0 && i < job->pods.n; i++) {
        struct explanation x;
        rc = explain_pod(&job->world, e, job->pods.p[i], &x, err);
        if (rc == 0) {
            write_one(job, &x, i);
            explain_done(&x);
            rc = flush(job, err);
        }
    }
    buf_lit(&job->out, rc == 0 && list ? "]}\n" : "");
    engine_free(e);
    return rc == 0 ? flush(job, err) : rc;
}

static int run_offline(struct explain_job *job)
{
    struct err err = ERR_NONE;
    struct policy_choice choice;
    int rc = sim_world_choose(job->args.policies.n > 0 ? job->args.policies.p[0] : "spawnpoint",
                              &choice, &err);
    if (rc != 0) {
        return fail(&err, rc == -EINVAL ? SIM_USAGE : SIM_ERROR);
    }
    rc = sim_world_open(&job->source, &choice, &job->world, &err);
    if (rc == 0) {
        world_warn(&job->world, stderr);
        rc = collect_pods(job, &err);
    }
    if (rc == 0) {
        rc = explain_all(job, choice.preset, &err);
    }
    return rc == 0 ? SIM_OK : fail(&err, SIM_ERROR);
}

/* ---- a running server ---- */

static void put_query(struct buf *b, const char *text)
{
    static const char safe[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    for (const char *c = text; *c != '\0'; c++) {
        if (strchr(safe, *c) != NULL) {
            buf_char(b, *c);
        } else {
            buf_printf(b, "%%%02X", (unsigned)(unsigned char)*c);
        }
    }
}

static int ask_server(struct explain_job *job, const char *pod, struct buf *body, struct err *err)
{
    struct buf url CLEANUP_BUF;
    int status = 0;
    buf_init(&url, 8192);
    struct str base = str_c(job->args.server);
    while (base.n > 0 && base.p[base.n - 1] == '/') {
        base.n--;
    }
    buf_str(&url, base);
    buf_lit(&url, "/v1/explain?pod=");
    buf_lit(&url, strchr(pod, '/') == NULL ? "default/" : "");
    put_query(&url, pod);
    buf_char(&url, '\0');
    if (url.broken) {
        return url.starved ? err_nomem(err) : err_set(err, -EINVAL, "the URL is too long");
    }
    struct http_ask ask = {.method = "GET", .url = url.p, .timeout_ms = SERVER_TIMEOUT_MS};
    int rc = http_client_init() ? http_client_call(&ask, body, &status, err) : err_nomem(err);
    if (rc != 0) {
        return rc;
    }
    if (status == 404) {
        return err_set(err, -ENOENT, "%.200s has not decided about pod \"%.200s\"",
                       job->args.server, pod);
    }
    if (status != 200) {
        return err_set(err, -EPROTO, "%.200s answered %d", job->args.server, status);
    }
    while (body->n > 0 && (body->p[body->n - 1] == '\n' || body->p[body->n - 1] == '\r')) {
        body->n--;
    }
    return 0;
}

static int run_server(struct explain_job *job)
{
    struct err err = ERR_NONE;
    bool list = job->args.format != FORMAT_JSONL && job->args.pods.n > 1;
    int rc = 0;
    if (job->args.format == FORMAT_TABLE) {
        (void)fprintf(stderr, "spawnpoint explain: a server's answer is printed as JSON\n");
    }
    buf_lit(&job->out, list ? "{\"kind\":\"ExplanationList\",\"items\":[" : "");
    for (size_t i = 0; rc == 0 && i < job->args.pods.n; i++) {
        struct buf body CLEANUP_BUF;
        buf_init(&body, LIMIT_REPLY_BYTES);
        rc = ask_server(job, job->args.pods.p[i], &body, &err);
        if (rc == 0) {
            buf_lit(&job->out, list && i > 0 ? ",\n" : "");
            buf_str(&job->out, buf_view(&body));
            buf_lit(&job->out, list ? "" : "\n");
        }
    }
    buf_lit(&job->out, list ? "]}\n" : "");
    if (rc == 0) {
        rc = flush(job, &err);
    }
    return rc == 0 ? SIM_OK : fail(&err, SIM_ERROR);
}

int explain_main(int argc, char **argv)
{
    struct explain_job job = {0};
    job.source.args = &job.args;
    buf_init(&job.out, LIMIT_REPORT_BYTES);
    int code = args_parse(VERB_EXPLAIN, argc, argv, &job.args, stderr);
    if (code == SIM_OK && job.args.help) {
        args_help(VERB_EXPLAIN, stdout);
    } else if (code == SIM_OK) {
        code = job.args.server != NULL ? run_server(&job) : run_offline(&job);
    }
    sim_world_close(&job.world);
    world_source_done(&job.source);
    VEC_DONE(&job.pods);
    buf_done(&job.out);
    args_done(&job.args);
    return code;
}
