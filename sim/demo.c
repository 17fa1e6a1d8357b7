/* demo: what a newcomer sees first. A generated world, a real server on loopback, real requests, one decision explained, two
 * policies compared. Everything lies in a temporary folder and is gone afterwards.
 * SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "sim/sim_main.h"

#include "policies/presets.h"
#include "sim/demo_server.h"
#include "sim/explain_cli.h"
#include "sim/job.h"
#include "sim/report_table.h"
#include "sim/snapshot_gen.h"
#include "wire/http_client.h"
#include "wire/jsonc.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FILE_MAX       ((size_t)16 << 20)
#define ASK_TIMEOUT_MS 5000
#define EXPLAIN_LINES  22
#define EXPLAIN_PARTS  3

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

struct demo {
    struct args args;
    struct style style;
    char folder[128], path[3][160];
    struct demo_server server;
    struct buf out;
    char chosen[256]; /* where the first asked pod went */
};

static const char *const files[] = {"cluster.json", "spawnpoint.yaml", "rtt.csv", "prices.csv",
                                    "serve.log"};

/* ---- the folder ---- */

static int write_file(const struct demo *d, const char *name, struct buf *content, struct err *err)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", d->folder, name);
    FILE *f = content->broken ? NULL : fopen(path, "wb");
    if (f == NULL) {
        return err_set(err, -EIO, "%s: %s", path,
                       content->broken ? "out of memory" : strerror(errno));
    }
    size_t n = fwrite(content->p, 1, content->n, f);
    int rc =
        fclose(f) != 0 || n != content->n ? err_set(err, -EIO, "%s: cannot be written", path) : 0;
    buf_clear(content);
    return rc;
}

static int make_folder(struct demo *d, struct err *err)
{
    const char *base = getenv("TMPDIR");
    struct buf content CLEANUP_BUF;
    buf_init(&content, FILE_MAX);
    (void)snprintf(d->folder, sizeof d->folder, "%.90s/spawnpoint-demo-XXXXXX",
                   base != NULL && base[0] == '/' ? base : "/tmp");
    if (mkdtemp(d->folder) == NULL) {
        int number = errno;
        (void)err_set(err, -number, "%s: %s", d->folder, strerror(number));
        d->folder[0] = '\0';
        return -number;
    }
    (void)snprintf(d->path[0], sizeof d->path[0], "%s/cluster.json", d->folder);
    (void)snprintf(d->path[1], sizeof d->path[1], "%s/spawnpoint.yaml", d->folder);
    snapshot_gen_cluster(&(struct snapshot_gen_opts){.scale = 1, .seed = 1}, &content);
    int rc = write_file(d, files[0], &content, err);
    if (rc == 0) {
        snapshot_gen_config(&content);
        rc = write_file(d, files[1], &content, err);
    }
    if (rc == 0) {
        snapshot_gen_latency(&content);
        rc = write_file(d, files[2], &content, err);
    }
    if (rc == 0) {
        snapshot_gen_prices(&content);
        rc = write_file(d, files[3], &content, err);
    }
    return rc;
}

static void remove_folder(const struct demo *d)
{
    char path[200];
    for (size_t i = 0; d->folder[0] != '\0' && i < SP_COUNTOF(files); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", d->folder, files[i]);
        (void)unlink(path);
    }
    if (d->folder[0] != '\0') {
        (void)rmdir(d->folder);
    }
}

/* ---- what is printed ---- */

static void flush(struct demo *d)
{
    (void)fwrite(d->out.p, 1, d->out.n, stdout);
    (void)fflush(stdout);
    buf_clear(&d->out);
}

static void heading(struct demo *d, const char *number, const char *text)
{
    buf_lit(&d->out, "\n ");
    style_lit(&d->out, &d->style, INK_CYAN, number);
    buf_char(&d->out, ' ');
    style_lit(&d->out, &d->style, INK_BOLD, text);
    buf_char(&d->out, '\n');
}

/* ---- real requests ---- */

static void put_request(const struct world *w, const char *fleet, uint32_t number, struct buf *out)
{
    buf_lit(out, "{\"Pod\":");
    snapshot_gen_pod(fleet, number, out);
    buf_lit(out, ",\"NodeNames\":[");
    bool first = true;
    for (uint32_t n = 0; n < w->cluster->n_rows; n++) {
        if ((w->cluster->flags[n] & NODE_LIVE) != 0) {
            buf_lit(out, first ? "" : ",");
            buf_json_str(out, sym_str(w->cluster->syms, w->cluster->facts[n].name));
            first = false;
        }
    }
    buf_lit(out, "]}");
}

static int read_answer(struct str bytes, char *ret_node, size_t n, struct err *err)
{
    struct arena a;
    jsonc_node *root;
    struct str name = STR_NONE;
    arena_init(&a, (size_t)64 << 20);
    int rc = jsonc_parse(bytes, &a, &root, err);
    if (rc == 0) {
        const jsonc_node *names = jsonc_get_nocase(root, "NodeNames");
        if (names == NULL || jsonc_first(names) == NULL || !jsonc_str(jsonc_first(names), &name)) {
            name = STR("no node");
        }
        (void)snprintf(ret_node, n, "%.*s", (int)(name.n < n - 1 ? name.n : n - 1), name.p);
    }
    arena_done(&a);
    return rc;
}

static double now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int ask_one(struct demo *d, const struct world *w, const char *fleet, uint32_t number,
                   const char *about, struct err *err)
{
    struct buf request CLEANUP_BUF, reply CLEANUP_BUF;
    char url[160], node[256], name[64];
    int status = 0;
    buf_init(&request, FILE_MAX);
    buf_init(&reply, FILE_MAX);
    put_request(w, fleet, number, &request);
    (void)snprintf(url, sizeof url, "http://%s/filter", d->server.extender);
    double start = now_ms();
    struct http_ask ask = {
        .method = "POST", .url = url, .body = buf_view(&request), .timeout_ms = ASK_TIMEOUT_MS};
    int rc = http_client_init() ? http_client_call(&ask, &reply, &status, err) : err_nomem(err);
    double took = now_ms() - start;
    if (rc == 0 && status != 200) {
        rc = err_set(err, -EPROTO, "/filter answered %d", status);
    }
    if (rc == 0) {
        rc = read_answer(buf_view(&reply), node, sizeof node, err);
    }
    if (rc != 0) {
        return rc;
    }
    (void)snprintf(name, sizeof name, "games/%s-%u", fleet, number);
    buf_lit(&d->out, "   ");
    style_left(&d->out, &d->style, INK_PLAIN, str_c(name), 19);
    buf_printf(&d->out, "%u names in, one out ", w->cluster->n_nodes);
    style_lit(&d->out, &d->style, INK_PLAIN, d->style.utf8 ? "\xe2\x86\x92 " : "-> ");
    style_left(&d->out, &d->style, INK_GREEN, str_c(node), 12);
    buf_printf(&d->out, "%5.1f ms  ", took);
    style_lit(&d->out, &d->style, INK_DIM, about);
    buf_char(&d->out, '\n');
    return 0;
}

static int ask_server(struct demo *d, const struct world *w, struct err *err)
{
    heading(d, "2", "kube-scheduler asks, spawnpoint answers (POST /filter on loopback)");
    int rc = ask_one(d, w, "arena", 900, "duels, Poland and neighbours", err);
    if (rc == 0) {
        rc = ask_one(d, w, "realm", 901, "worlds of 180, western Europe", err);
    }
    return rc == 0 ? ask_one(d, w, "skyline", 902, "streamed from GPUs, the south", err) : rc;
}

/* ---- one decision in plain words ---- */

static int explain_one(struct demo *d, struct world *w, struct err *err)
{
    struct engine *e = NULL;
    struct explanation x;
    struct buf text CLEANUP_BUF;
    pod_ix pod;
    buf_init(&text, FILE_MAX);
    int rc = explain_find_pod(w, "games/arena-27", &pod, err);
    if (rc == 0) {
        rc = engine_new(&e, w->cluster, preset_find(STR("spawnpoint")), err);
    }
    if (rc == 0) {
        rc = explain_pod(w, e, pod, &x, err);
    }
    engine_free(e);
    if (rc != 0) {
        return rc;
    }
    explain_write_text(&x, &text, 96, d->style.color);
    explain_done(&x);
    heading(d, "3", "spawnpoint explain --pod games/arena-27");
    struct str rest = buf_view(&text);
    for (int i = 0, parts = 0; i < EXPLAIN_LINES && rest.n > 0; i++) {
        struct str line = str_cut(&rest, '\n');
        parts += line.n == 0;
        if (parts == EXPLAIN_PARTS) {
            break;
        }
        buf_lit(&d->out, line.n > 0 ? "   " : "");
        buf_str(&d->out, line);
        buf_char(&d->out, '\n');
    }
    return 0;
}

/* ---- two policies ---- */

static int compare_two(struct demo *d, struct world_source *source, struct err *err)
{
    struct report r = {0};
    struct policy_choice choices[] = {
        {"spawnpoint", preset_find(STR("spawnpoint")), d->path[1]},
        {"least-allocated", preset_find(STR("least-allocated")), d->path[1]}};
    arena_init(&r.arena, FILE_MAX);
    int rc = 0;
    for (size_t i = 0; i < SP_COUNTOF(choices); i++) {
        rc = rc == 0 && VEC_PUSH(&r.policies, str_c(choices[i].name), 8) != 0 ? err_nomem(err) : rc;
    }
    if (rc == 0) {
        rc = job_run(source, choices, SP_COUNTOF(choices), NULL, &r, err);
    }
    if (rc == 0) {
        heading(d, "4", "spawnpoint compare --repack: the same servers, placed by two policies");
        report_write_table(
            &r, &(struct table_opts){.style = d->style, .compare = true, .brief = true}, &d->out);
    }
    report_done(&r);
    return rc;
}

static void next_commands(struct demo *d)
{
    heading(d, "5", "next, on a cluster of your own");
    buf_lit(&d->out, "   kubectl get nodes,pods -A -o json > dump.json\n"
                     "   spawnpoint simulate --cluster dump.json --repack\n"
                     "   spawnpoint explain --cluster dump.json --pending\n");
}

/* ---- all ---- */

static void introduce(struct demo *d, const struct world *w)
{
    uint64_t waiting = w->loaded.waiting.n;
    char text[200];
    buf_lit(&d->out, "\n ");
    style_lit(&d->out, &d->style, INK_BOLD,
              "Spawnpoint places game servers where their players are.");
    buf_char(&d->out, '\n');
    heading(d, "1", "a cluster, generated for this tour");
    (void)snprintf(text, sizeof text,
                   "%u nodes in three zones and an edge location: bare metal, on-demand, spot, "
                   "GPU; three games with "
                   "different audiences; %llu servers wait.",
                   w->cluster->n_nodes, (unsigned long long)waiting);
    style_wrap(&d->out, &d->style, INK_PLAIN, str_c(text), 3, 96);
}

static int run(struct demo *d, struct err *err)
{
    struct world_source source = {.args = &d->args};
    struct policy_choice choice = {"spawnpoint", preset_find(STR("spawnpoint")), d->path[1]};
    struct world w = {0};
    int rc = make_folder(d, err);
    if (rc == 0 &&
        (VEC_PUSH(&d->args.clusters, d->path[0], 1) != 0 || VEC_PUSH(&d->args.seeds, 1, 1) != 0)) {
        rc = err_nomem(err);
    }
    d->args.repack = true;
    if (rc == 0) {
        rc = sim_world_open(&source, &choice, &w, err);
    }
    if (rc == 0) {
        introduce(d, &w);
        flush(d);
        rc = demo_server_start(d->folder, &d->server, err);
    }
    if (rc == 0 && interrupted == 0) {
        rc = ask_server(d, &w, err);
        flush(d);
    }
    demo_server_stop(&d->server);
    if (rc == 0 && interrupted == 0) {
        rc = explain_one(d, &w, err);
        flush(d);
    }
    sim_world_close(&w);
    if (rc == 0 && interrupted == 0) {
        rc = compare_two(d, &source, err);
    }
    if (rc == 0 && interrupted == 0) {
        next_commands(d);
        flush(d);
    }
    world_source_done(&source);
    return rc;
}

int demo_main(int argc, char **argv)
{
    struct demo d = {0};
    struct err err = ERR_NONE;
    char text[1024];
    int code = args_parse(VERB_DEMO, argc, argv, &d.args, stderr);
    if (code != SIM_OK || d.args.help) {
        if (code == SIM_OK) {
            args_help(VERB_DEMO, stdout);
        }
        args_done(&d.args);
        return code;
    }
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    d.style = (struct style){args_want_color(&d.args, stdout), style_utf8_locale()};
    buf_init(&d.out, FILE_MAX);
    int rc = run(&d, &err);
    if (rc != 0 && interrupted == 0) {
        flush(&d);
        (void)fprintf(stderr, "spawnpoint demo: %s\n", err_format(&err, text, sizeof text));
    }
    demo_server_stop(&d.server);
    remove_folder(&d);
    buf_done(&d.out);
    args_done(&d.args);
    return interrupted != 0 ? 130 : rc == 0 ? SIM_OK : SIM_ERROR;
}
