// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "daemon/snapshot_main.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "daemon/clock.h"
#include "daemon/kube_resources.h"
#include "daemon/kubeconfig.h"
#include "daemon/signals.h"

#define EXIT_ERROR       1
#define EXIT_USAGE       2
#define EXIT_INTERRUPTED 130
#define PAGE_BYTES \
    (256u << 20) /* a page of 500 objects is written when it is whole; real ones have 1 to 5 MB */
#define TRIES      6
#define WAIT_MS    100
#define CONNECT_MS 15000
#define PAGE_MS    120000

struct dump {
    const char *kubeconfig, *output;
    bool help;
    struct kubeconfig k;
    struct http_pool *pool;
    int out, signals;
    bool interrupted, any; /* any: an item was written */
    uint64_t n_items;
    /* of the request */
    const struct kube_resource *resource;
    struct kube_list list;
    struct buf page, answer, url, next, token;
    int status, code;
    int64_t retry_after_ms;
    bool is_json, done;
    struct err why;
};

static const char *usage(void)
{
    return "usage: spawnpoint snapshot [--kubeconfig FILE] [-o FILE]\n\n"
           "Writes what serve would watch as one List in JSON: nodes, pods that have not ended, "
           "namespaces, volumes,\n"
           "disruption budgets, priority classes, services and game servers. Secrets are not asked "
           "for; what a pod's\n"
           "spec holds in clear text is in the dump. Memory does not grow with the cluster.\n\n"
           "  --kubeconfig FILE   the cluster by this file; else as kubectl finds it\n"
           "  -o, --output FILE   write there (through FILE.part, which is removed on failure); "
           "default standard output\n"
           "  --help              print this\n\n"
           "examples:\n"
           "  spawnpoint snapshot -o dump.json\n"
           "  spawnpoint snapshot | gzip > dump.json.gz\n"
           "  spawnpoint explain --cluster dump.json --pending\n";
}

/* ---- one page ---- */

static int on_head(void *ctx, const struct http_head *head)
{
    struct dump *d = ctx;
    struct str type = str_c(head->content_type);
    d->status = head->status;
    d->retry_after_ms = head->retry_after_ms;
    d->is_json = str_eq_nocase(str_trim(str_cut(&type, ';')), STR("application/json"));
    return 0;
}

/* Items of a built-in kind bear no kind of their own in a list. */
static int on_item(void *ctx, struct str json, struct err *err)
{
    struct dump *d = ctx;
    struct kube_object o;
    int rc = kube_object_read(json, &o, err);
    if (rc != 0) {
        return rc;
    }
    buf_lit(&d->page, d->any || d->page.n > 0 ? ",\n" : "\n");
    if (o.kind.n == 0 && o.name.n > 0) {
        const char *path = d->resource->path;
        const char *version = strncmp(path, "/apis/", 6) == 0 ? path + 6 : path + 5;
        buf_printf(&d->page, "{\"apiVersion\":\"%.*s\",\"kind\":\"%s\",",
                   (int)(strrchr(version, '/') - version), version, d->resource->kind);
        json.p++;
        json.n--;
    }
    buf_str(&d->page, json);
    d->n_items++;
    return d->page.broken ? err_set(err, -E2BIG, "a page of %s is longer than %u bytes",
                                    d->resource->name, PAGE_BYTES)
                          : 0;
}

static int on_data(void *ctx, const char *p, size_t n)
{
    struct dump *d = ctx;
    if (d->status != 200) {
        size_t room = d->answer.max - d->answer.n;
        buf_put(&d->answer, p, n < room ? n : room);
        return 0;
    }
    if (!d->is_json) {
        return err_set(&d->why, -EBADMSG, "the answer is no JSON");
    }
    return kube_list_feed(&d->list, p, n, on_item, d, &d->why);
}

static void on_end(void *ctx, int code, const struct err *err)
{
    struct dump *d = ctx;
    d->done = true;
    d->code = d->why.code != 0 ? d->why.code : code;
    if (d->why.code == 0) {
        d->why = *err;
    }
}

static bool interrupted(struct dump *d, int wait_ms)
{
    enum signal_event e = signals_wait(d->signals, wait_ms);
    d->interrupted = d->interrupted || e == SIGNAL_STOP || e == SIGNAL_INTERRUPT;
    return d->interrupted;
}

static void put_url(struct dump *d)
{
    buf_clear(&d->url);
    buf_printf(&d->url, "%s%s?limit=%u", d->k.server, d->resource->path, KUBE_PAGE);
    if (d->next.n > 0) {
        buf_lit(&d->url, "&continue=");
        kube_put_encoded(&d->url, buf_view(&d->next));
    }
    if (d->resource->selector != NULL) {
        buf_printf(&d->url, "&fieldSelector=%s", d->resource->selector);
    }
    buf_char(&d->url, '\0');
}

/* One try. Fills status, code and why. */
static int fetch(struct dump *d, struct err *err)
{
    struct http_stream *s = NULL;
    put_url(d);
    kube_list_reset(&d->list);
    buf_clear(&d->page);
    buf_clear(&d->answer);
    d->status = d->code = 0;
    d->done = false;
    d->why = ERR_NONE;
    int rc = d->url.broken ? err_nomem(err) : kubeconfig_token(&d->k, &d->token, err);
    if (rc != 0) {
        return rc;
    }
    struct http_stream_ask ask = {.url = d->url.p,
                                  .bearer = d->token.p[0] != '\0' ? d->token.p : NULL,
                                  .identity = &d->k.identity,
                                  .connect_ms = CONNECT_MS,
                                  .idle_ms = CONNECT_MS,
                                  .total_ms = PAGE_MS,
                                  .sink = {d, on_head, on_data, on_end}};
    rc = http_pool_start(d->pool, &ask, clock_mono_ms(), &s, err);
    while (rc == 0 && !d->done && !interrupted(d, 0)) {
        rc = http_pool_run(d->pool, clock_mono_ms(), WAIT_MS, err);
        http_pool_deadlines(d->pool, clock_mono_ms());
    }
    return rc;
}

/* ---- a resource ---- */

enum verdict { PAGE_GOOD, PAGE_SKIP, PAGE_AGAIN, PAGE_RESTART, PAGE_BAD };

static enum verdict judge(struct dump *d, struct kube_list_head *h, struct err *err)
{
    struct kube_status st;
    struct err ignored = ERR_NONE;
    if (d->code == 0 && d->status == 200) {
        struct str kind = str_c(d->resource->kind);
        if (kube_list_end(&d->list, h, &d->why) != 0) {
            return PAGE_AGAIN;
        }
        if (h->next.n > 0 && str_eq(h->next, buf_view(&d->next))) {
            (void)err_set(&d->why, -EBADMSG,
                          "the list goes on for ever with the same continue token");
            return PAGE_BAD;
        }
        if (!str_starts(h->kind, kind) || !str_ends(h->kind, STR("List"))) {
            (void)err_set(&d->why, -EBADMSG, "the answer is no %sList", d->resource->kind);
            return PAGE_AGAIN;
        }
        return PAGE_GOOD;
    }
    if (d->code != 0) {
        return d->code == -E2BIG ? PAGE_BAD : PAGE_AGAIN;
    }
    if (d->status == 404 && d->resource->optional) {
        return PAGE_SKIP;
    }
    bool said = kube_status_read(buf_view(&d->answer), &st, &ignored) == 0;
    (void)err_set(&d->why, -EIO, "status %d%s%.*s", d->status, said ? ": " : "",
                  said ? (int)(st.message.n < 240 ? st.message.n : 240) : 0,
                  said && st.message.n > 0 ? st.message.p : "");
    if (d->status == 403) {
        (void)err_set(
            err, -EACCES,
            "permission \"list\" on %s is missing; let a ClusterRole of this account list them",
            d->resource->name);
        return PAGE_BAD;
    }
    return d->status == 410                                               ? PAGE_RESTART
           : d->status == 429 || d->status == 401 || d->status / 100 == 5 ? PAGE_AGAIN
                                                                          : PAGE_BAD;
}

static int write_out(struct dump *d, struct str s, struct err *err)
{
    while (s.n > 0) {
        ssize_t n = write(d->out, s.p, s.n);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return err_set(err, -EIO, "cannot write: %s", strerrordesc_np(errno));
        }
        s.p += n;
        s.n -= (size_t)n;
    }
    return 0;
}

/* 0.8 s, doubling; as long as the server asks for. */
static void wait_again(struct dump *d, unsigned tries)
{
    int64_t delay_ms = (int64_t)800 << tries;
    delay_ms =
        d->retry_after_ms > delay_ms && d->retry_after_ms < 60000 ? d->retry_after_ms : delay_ms;
    for (int64_t until_ms = clock_mono_ms() + delay_ms;
         clock_mono_ms() < until_ms && !interrupted(d, WAIT_MS);) {
    }
}

static int give_up(const struct dump *d, struct err *err)
{
    if (err->code == 0) {
        (void)err_set(err, -EIO, "%s", d->why.text);
    }
    return err_context(err, "list of %s from %.200s", d->resource->name, d->k.server);
}

static int dump_resource(struct dump *d, struct err *err)
{
    unsigned tries = 0;
    uint64_t items_before = d->n_items;
    bool any_before = d->any;
    off_t start = lseek(d->out, 0, SEEK_CUR); /* -1: a pipe */
    buf_clear(&d->next);
    while (!d->interrupted) {
        struct kube_list_head h;
        uint64_t n = d->n_items;
        int rc = fetch(d, err);
        if (rc != 0 || d->interrupted) {
            return rc;
        }
        enum verdict v = judge(d, &h, err);
        if (v == PAGE_SKIP) {
            return 0;
        }
        if (v == PAGE_GOOD) {
            rc = write_out(d, buf_view(&d->page), err);
            d->any = d->any || d->page.n > 0;
            buf_clear(&d->next);
            buf_str(&d->next, h.next);
            tries = 0;
            if (rc != 0 || h.next.n == 0) {
                return rc;
            }
            continue;
        }
        d->n_items = n;
        if (v == PAGE_RESTART && d->next.n > 0 && start >= 0 && ftruncate(d->out, start) == 0 &&
            lseek(d->out, start, SEEK_SET) == start) {
            d->n_items =
                items_before; /* the pages of this resource are of a version that is gone */
            d->any = any_before;
            buf_clear(&d->next);
        } else if (v == PAGE_BAD || (v == PAGE_RESTART && d->next.n > 0)) {
            return give_up(d, err);
        }
        if (++tries == TRIES) {
            return give_up(d, err);
        }
        wait_again(d, tries - 1);
    }
    return 0;
}

static int dump_all(struct dump *d, struct err *err)
{
    int rc = write_out(
        d, STR("{\"apiVersion\":\"v1\",\"kind\":\"List\",\"metadata\":{},\"items\":["), err);
    for (int i = 0; i < KUBE_KINDS && rc == 0 && !d->interrupted; i++) {
        uint64_t before = d->n_items;
        d->resource = &kube_resources[i];
        rc = dump_resource(d, err);
        if (rc == 0 && !d->interrupted) {
            (void)fprintf(stderr, "%s: %llu\n", d->resource->name,
                          (unsigned long long)(d->n_items - before));
        }
    }
    return rc == 0 && !d->interrupted ? write_out(d, STR("\n]}\n"), err) : rc;
}

/* ---- the program ---- */

static int read_args(int argc, char **argv, struct dump *d)
{
    static const struct option options[] = {{"kubeconfig", required_argument, NULL, 'k'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    opterr = 0;
    optind = 0;
    for (int flag; (flag = getopt_long(argc, argv, ":o:h", options, NULL)) != -1;) {
        switch (flag) {
        case 'k':
            d->kubeconfig = optarg;
            break;
        case 'o':
            d->output = optarg;
            break;
        case 'h':
            d->help = true;
            break;
        default:
            (void)fprintf(
                stderr,
                "spawnpoint snapshot: %s \"%s\"; `spawnpoint snapshot --help` lists the options\n",
                flag == ':' ? "a value is missing after" : "unknown option", argv[optind - 1]);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr,
                      "spawnpoint snapshot: unexpected argument \"%s\"; a file is given with -o\n",
                      argv[optind]);
        return EXIT_USAGE;
    }
    return 0;
}

static void part_name(const struct dump *d, char *out, size_t n)
{
    (void)snprintf(out, n, "%s.part", d->output != NULL ? d->output : "");
}

static int open_all(struct dump *d, struct err *err)
{
    struct kubeconfig_env env;
    char part[4096];
    kubeconfig_env_read(&env, d->kubeconfig);
    part_name(d, part, sizeof part);
    int rc = kubeconfig_load(&env, &d->k, err);
    rc = rc == 0 ? http_pool_open(&d->pool, err) : rc;
    rc = rc == 0 ? signals_open(&d->signals, err) : rc;
    if (rc == 0 && d->output != NULL) {
        d->out = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        rc = d->out < 0 ? err_set(err, -errno, "cannot write %s: %s", part, strerrordesc_np(errno))
                        : 0;
    }
    return rc;
}

/* The file gets its name when it is whole. */
static int settle_file(struct dump *d, bool good, struct err *err)
{
    char part[4096];
    part_name(d, part, sizeof part);
    if (d->output == NULL || d->out < 0 || d->out == STDOUT_FILENO) {
        return 0;
    }
    bool closed = fsync(d->out) == 0;
    closed = close(d->out) == 0 && closed;
    if (good && closed && rename(part, d->output) == 0) {
        return 0;
    }
    int code = errno;
    (void)unlink(part);
    return good ? err_set(err, -EIO, "cannot write %s: %s", d->output, strerrordesc_np(code)) : 0;
}

static void done(struct dump *d)
{
    http_pool_close(d->pool);
    kube_list_done(&d->list);
    buf_done(&d->page);
    buf_done(&d->answer);
    buf_done(&d->url);
    buf_done(&d->next);
    buf_done(&d->token);
    kubeconfig_done(&d->k);
}

int snapshot_main(int argc, char **argv)
{
    struct dump d = {.out = STDOUT_FILENO, .signals = -1};
    struct err err = ERR_NONE;
    int code = read_args(argc, argv, &d);
    if (code != 0 || d.help) {
        (void)printf("%s", d.help && code == 0 ? usage() : "");
        return code;
    }
    kube_list_init(&d.list);
    buf_init(&d.page, PAGE_BYTES);
    buf_init(&d.answer, 4096);
    buf_init(&d.url, KUBE_TOKEN_BYTES * 3 + 4096);
    buf_init(&d.next, KUBE_TOKEN_BYTES);
    buf_init(&d.token, 1u << 16);
    int rc = open_all(&d, &err);
    rc = rc == 0 ? dump_all(&d, &err) : rc;
    int settled = settle_file(&d, rc == 0 && !d.interrupted, &err);
    rc = rc == 0 ? settled : rc;
    if (rc != 0) {
        char text[ERR_TEXT_MAX + 256];
        (void)fprintf(stderr, "spawnpoint snapshot: %s\n", err_format(&err, text, sizeof text));
    } else if (!d.interrupted) {
        (void)fprintf(stderr, "%llu objects from %s\n", (unsigned long long)d.n_items, d.k.server);
    }
    code = d.interrupted ? EXIT_INTERRUPTED : rc != 0 ? EXIT_ERROR : 0;
    if (d.signals >= 0) {
        (void)close(d.signals);
    }
    done(&d);
    return code;
}
