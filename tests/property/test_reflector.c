/* List, watch and re-list against a model of the truth, by seed.
 *
 * A made-up API server keeps objects, versions and a history; a world of faults stands between it and the sync: pages, cuts
 * between and within events, compactions, refusals, lies, short memory. Time is a number. After every step the cache may
 * hold nothing that never was; whenever the sync says that it is in step and the wire is empty, it must hold exactly what the
 * server holds. At the end the faults stop, and it must get there.
 * test_reflector [FIRST_SEED [COUNT]]: without arguments 100,000 seeds in an optimised build, fewer in a debug build. The
 * failing seed is printed; test_reflector SEED 1 plays it again, step by step.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "daemon/kube_sync.h"

#define NAMES   12
#define HISTORY 4096
#define STEPS   120
#ifdef SP_DEBUG
#define SEEDS 2000u
#else
#define SEEDS 100000u
#endif

struct object { /* by name; uid 0 = not there */
    unsigned uid, value;
};
struct change {
    int name;
    long version;
    char type; /* A, M, D */
    struct object o;
};
struct sim {
    uint64_t seed;
    struct rng rng;
    bool loud;
    int64_t now_ms;
    /* the truth */
    struct object truth[NAMES];
    long version, compacted;
    struct change history[HISTORY];
    size_t n_history;
    unsigned next_uid, next_value;
    /* the cache */
    struct object cache[NAMES];
    struct kube_sync sync;
    uint64_t n_relists;
    bool sweeping, calm, fail_memory;
    /* the request in flight */
    bool open, is_list, ended;
    long sent;       /* version up to which the watch was told */
    struct buf wire; /* bytes on their way */
    size_t wire_at;
    int end_code;              /* how it ends when the wire is empty; 1 = it stays open */
    struct object page[NAMES]; /* what a paged list began with */
    long page_version;
    bool no_streams;
};

static struct sim *current;

SP_PRINTF(1, 2)
static void stop(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fprintf(stderr, "FAILED with seed %llu at %lld ms: ", (unsigned long long)current->seed,
                  (long long)current->now_ms);
    (void)vfprintf(stderr, fmt, args);
    (void)fprintf(stderr, "\nreplay: test_reflector %llu 1\n", (unsigned long long)current->seed);
    va_end(args);
    exit(1);
}

SP_PRINTF(2, 3)
static void say(const struct sim *m, const char *fmt, ...)
{
    va_list args;
    if (!m->loud) {
        return;
    }
    va_start(args, fmt);
    (void)fprintf(stderr, "%8lld ", (long long)m->now_ms);
    (void)vfprintf(stderr, fmt, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

static bool chance(struct sim *m, unsigned percent)
{
    return rng_below(&m->rng, 100) < percent;
}

/* ---- the cache hears ---- */

static int name_of(struct str name)
{
    int64_t i = -1;
    if (name.n < 2 || !str_to_i64((struct str){name.p + 1, name.n - 1}, &i) || i < 0 ||
        i >= NAMES) {
        stop("a name that never was: " STR_FMT, STR_ARG(name));
    }
    return (int)i;
}

static unsigned field(struct str json, const char *key)
{
    struct str rest = json;
    size_t n = strlen(key);
    for (; rest.n > n; rest.p++, rest.n--) {
        if (memcmp(rest.p, key, n) == 0) {
            return (unsigned)strtoul(rest.p + n, NULL, 10);
        }
    }
    stop("an object in pieces: " STR_FMT, STR_ARG(json));
    return 0;
}

static bool ever_was(const struct sim *m, int name, struct object o)
{
    for (size_t i = 0; i < m->n_history; i++) {
        const struct change *c = &m->history[i];
        if (c->name == name && c->o.uid == o.uid && c->o.value == o.value) {
            return true;
        }
    }
    return false;
}

static int on_upsert(void *ctx, const struct kube_object *o, struct err *err)
{
    struct sim *m = ctx;
    int name = name_of(o->name);
    struct object now = {field(o->json, "\"uid\":\"u"), field(o->json, "\"value\":")};
    if (!m->calm && m->fail_memory && chance(m, 5)) {
        return err_nomem(err);
    }
    if (!ever_was(m, name, now)) {
        stop("n%d: uid %u value %u never was", name, now.uid, now.value);
    }
    if (m->cache[name].uid != 0 && m->cache[name].uid != now.uid) {
        stop("n%d: uid %u over uid %u without a removal between", name, now.uid,
             m->cache[name].uid);
    }
    m->cache[name] = now;
    return 0;
}

static void on_remove(void *ctx, struct str ns, struct str name, struct str uid, bool other)
{
    struct sim *m = ctx;
    (void)ns;
    int i = name_of(name);
    unsigned id = uid.n > 1 ? (unsigned)strtoul(uid.p + 1, NULL, 10) : 0;
    if (id == 0 || (m->cache[i].uid == id) != other) {
        m->cache[i] = (struct object){0};
    }
}

static void on_sweep(void *ctx, bool begin)
{
    struct sim *m = ctx;
    if (m->sweeping == begin) {
        stop("a sweep within a sweep");
    }
    m->sweeping = begin;
}

static void on_event(void *ctx, enum kube_event_type type)
{
    (void)ctx;
    (void)type;
}

static void on_fault(void *ctx, enum kube_fault fault, const char *text)
{
    say(ctx, "fault %s: %s", kube_fault_name(fault), text);
}

static void on_listed(void *ctx)
{
    struct sim *m = ctx;
    m->n_relists++;
    say(m, "listed");
}

/* ---- the server ---- */

static void record(struct sim *m, int name, char type)
{
    if (m->n_history < HISTORY) {
        m->history[m->n_history++] = (struct change){name, m->version, type, m->truth[name]};
    }
}

static void mutate(struct sim *m)
{
    int name = (int)rng_below(&m->rng, NAMES);
    struct object *o = &m->truth[name];
    if (m->n_history + 2 >= HISTORY) {
        return;
    }
    m->version += 1 + (long)rng_below(&m->rng, 3);
    if (o->uid == 0) {
        *o = (struct object){++m->next_uid, ++m->next_value};
        record(m, name, 'A');
    } else if (chance(m, 55)) {
        o->value = ++m->next_value;
        record(m, name, 'M');
    } else {
        record(m, name, 'D');
        *o = (struct object){0};
    }
    say(m, "truth n%d = uid %u value %u at %ld", name, o->uid, o->value, m->version);
}

static void put_object(struct buf *out, int name, struct object o, long version, bool kind)
{
    buf_printf(out,
               "{%s\"metadata\":{\"name\":\"n%d\",\"uid\":\"u%u\",\"resourceVersion\":\"%ld\"},"
               "\"value\":%u,\"noise\":\"}{][\\\"\"}",
               kind ? "\"kind\":\"Thing\"," : "", name, o.uid, version, o.value);
}

static void put_event(struct buf *out, char type, int name, struct object o, long version)
{
    buf_printf(out, "{\"type\":\"%s\",\"object\":",
               type == 'A'   ? "ADDED"
               : type == 'M' ? "MODIFIED"
                             : "DELETED");
    put_object(out, name, o, version, true);
    buf_lit(out, "}\n");
}

static void put_bookmark(struct buf *out, long version, bool end)
{
    buf_printf(out,
               "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Thing\",\"metadata\":{"
               "\"resourceVersion\":\"%ld\"%s}}}\n",
               version, end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
}

static void put_error(struct buf *out, int code)
{
    buf_printf(out,
               "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"message\":\"as "
               "told\",\"reason\":\"X\",\"code\":%d}}\n",
               code);
}

static void put_page(struct sim *m, long from, unsigned limit)
{
    if (from == 0) {
        memcpy(m->page, m->truth, sizeof m->page);
        m->page_version = m->version;
    }
    unsigned n = 0;
    int i = (int)from;
    struct buf items;
    buf_init(&items, 1u << 16);
    for (; i < NAMES && n < limit; i++) {
        if (m->page[i].uid != 0) {
            if (n++ > 0) {
                buf_char(&items, ',');
            }
            put_object(&items, i, m->page[i], m->page_version, false);
        }
    }
    bool more = i < NAMES;
    if (chance(m, 50)) { /* the order of members is no promise */
        buf_lit(&m->wire, "{\"items\":[");
        buf_str(&m->wire, buf_view(&items));
        buf_lit(&m->wire, "],\"kind\":\"ThingList\"");
    } else {
        buf_lit(&m->wire, "{\"kind\":\"ThingList\",\"items\":[");
        buf_str(&m->wire, buf_view(&items));
        buf_char(&m->wire, ']');
    }
    buf_printf(&m->wire, ",\"metadata\":{\"resourceVersion\":\"%ld\"", m->page_version);
    if (more) {
        buf_printf(&m->wire, ",\"continue\":\"%d\"", i);
    }
    buf_lit(&m->wire, "}}");
    buf_done(&items);
}

static void refuse(struct sim *m, int status)
{
    static const char *const causes =
        "\"details\":{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}]},";
    say(m, "answer %d", status);
    kube_sync_head(&m->sync, m->now_ms, status, "application/json", chance(m, 30) ? 1000 : -1);
    buf_printf(&m->wire, "{\"kind\":\"Status\",%s\"message\":\"no\",\"code\":%d}",
               status == 504 ? causes : "", status);
    m->end_code = 0;
    m->ended = true;
}

static long number_in(const char *url, const char *key)
{
    const char *p = strstr(url, key);
    return p == NULL ? -1 : strtol(p + strlen(key), NULL, 10);
}

/* Answers a request; with faults unless the world is calm. */
static void respond(struct sim *m, const char *url, unsigned limit)
{
    static const int statuses[] = {401, 403, 429, 500, 503, 504, 410, 302, 400};
    bool stream = strstr(url, "sendInitialEvents") != NULL, watch = strstr(url, "watch=1") != NULL;
    m->open = true;
    m->ended = false;
    m->is_list = !watch;
    m->end_code = watch ? 1 : 0;
    m->wire_at = 0;
    buf_clear(&m->wire);
    say(m, "GET %s", url);
    if (!m->calm && chance(m, 8)) { /* no connection */
        m->end_code = chance(m, 50) ? -ECONNREFUSED : -ETIMEDOUT;
        m->ended = true;
        return;
    }
    if (!m->calm && chance(m, 15)) {
        refuse(m, statuses[rng_below(&m->rng, SP_COUNTOF(statuses))]);
        return;
    }
    if (stream && m->no_streams) {
        refuse(m, 422);
        return;
    }
    kube_sync_head(&m->sync, m->now_ms, 200,
                   !m->calm && chance(m, 3) ? "text/html" : "application/json; charset=utf-8", -1);
    if (!m->calm && chance(m, 4)) {
        static const char *const lies[] = {
            "{}",
            "\x01garbage\n",
            "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Thing\",\"metadata\":{}}}\n",
            "{\"kind\":\"SecretList\",\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[]}",
            "{\"kind\":\"ThingList\",\"metadata\":{},\"items\":[]}\n",
            "{\"kind\":\"ThingList\",\"metadata\":{\"resourceVersion\":\"5\"}}\n"};
        buf_lit(&m->wire, lies[rng_below(&m->rng, SP_COUNTOF(lies))]);
        m->end_code = 0;
        m->ended = true;
        return;
    }
    if (!watch) {
        long from = number_in(url, "continue=");
        put_page(m, from < 0 ? 0 : from, limit);
        m->ended = true;
    } else if (stream) {
        for (int i = 0; i < NAMES; i++) {
            if (m->truth[i].uid != 0) {
                put_event(&m->wire, 'A', i, m->truth[i], m->version);
            }
        }
        put_bookmark(&m->wire, m->version, true);
        m->sent = m->version;
    } else {
        m->sent = number_in(url, "resourceVersion=");
        if (m->sent < m->compacted) {
            put_error(&m->wire, 410);
            m->end_code = 0;
            m->ended = true;
        }
    }
}

/* An open watch hears what is new. */
static void feed_watch(struct sim *m)
{
    if (!m->open || m->is_list || m->ended) {
        return;
    }
    for (size_t i = 0; i < m->n_history; i++) {
        const struct change *c = &m->history[i];
        if (c->version > m->sent) {
            put_event(&m->wire, c->type, c->name, c->o, c->version);
            m->sent = c->version;
        }
    }
    if (chance(m, 10)) {
        put_bookmark(&m->wire, m->version, false);
        m->sent = m->version;
    }
}

/* ---- the wire ---- */

static void close_request(struct sim *m, int code)
{
    struct err err = ERR_NONE;
    (void)err_set(&err, code, "as told");
    m->open = false;
    kube_sync_end(&m->sync, m->now_ms, code, &err);
}

static void move_bytes(struct sim *m, size_t most)
{
    size_t left = m->wire.n - m->wire_at, n = left < most ? left : most;
    if (n > 0) {
        int rc = kube_sync_data(&m->sync, m->now_ms, m->wire.p + m->wire_at, n);
        m->wire_at += n;
        if (rc != 0) {
            close_request(m, -ECANCELED);
            return;
        }
    }
    if (m->wire_at == m->wire.n) {
        buf_clear(&m->wire);
        m->wire_at = 0;
        if (m->ended) {
            close_request(m, m->end_code);
        }
    }
}

static void check_in_step(struct sim *m)
{
    bool quiet = m->open && m->sync.watching && m->wire.n == 0 && m->sent >= m->version;
    for (int i = 0; quiet && i < NAMES; i++) {
        if (m->cache[i].uid != m->truth[i].uid || m->cache[i].value != m->truth[i].value) {
            stop("in step, but n%d is uid %u value %u and should be uid %u value %u", i,
                 m->cache[i].uid, m->cache[i].value, m->truth[i].uid, m->truth[i].value);
        }
    }
}

static void step(struct sim *m)
{
    struct buf url CLEANUP_BUF;
    int64_t at_ms = 0;
    unsigned limit = 1 + (unsigned)rng_below(&m->rng, 5);
    buf_init(&url, 1u << 16);
    if (!m->open && kube_sync_next(&m->sync, m->now_ms, limit, &url, &at_ms)) {
        buf_char(&url, '\0');
        respond(m, url.p, limit);
    } else if (!m->open) {
        if (at_ms - m->now_ms > 130000 || at_ms <= m->now_ms) {
            stop("it waits from %lld until %lld", (long long)m->now_ms, (long long)at_ms);
        }
        m->now_ms = chance(m, 70) ? at_ms : m->now_ms + 100;
    }
    if (chance(m, 40)) {
        mutate(m);
    }
    if (!m->calm && chance(m, 3)) {
        m->compacted = m->version;
        say(m, "compacted at %ld", m->compacted);
    }
    feed_watch(m);
    if (m->open) {
        move_bytes(m, m->calm || chance(m, 40) ? SIZE_MAX : 1 + (size_t)rng_below(&m->rng, 90));
    }
    if (m->open && !m->calm && chance(m, 6)) { /* between or within events */
        static const int ends[] = {0, -ECONNRESET, -ETIMEDOUT};
        int code = m->is_list ? -ECONNRESET : ends[rng_below(&m->rng, 3)];
        say(m, "cut %d", code);
        close_request(m, code);
    } else if (m->open && !m->calm && !m->is_list && chance(m, 2)) {
        m->wire.n = m->wire_at; /* what was on its way is lost with the stream */
        put_error(&m->wire, chance(m, 60) ? 410 : 500);
        m->ended = true;
        m->end_code = 0;
    }
    m->now_ms += (int64_t)rng_below(&m->rng, 400);
    check_in_step(m);
}

static void run(struct sim *m, uint64_t seed, bool loud)
{
    static const struct kube_resource thing = {
        .name = "things", .group = "", .path = "/things", .kind = "Thing"};
    struct kube_sync_sink sink = {m, on_upsert, on_remove, on_sweep, on_event, on_fault, on_listed};
    struct buf wire = m->wire;
    memset(m, 0, sizeof *m);
    m->wire = wire;
    buf_clear(&m->wire);
    m->seed = seed;
    m->loud = loud;
    m->version = 10;
    m->now_ms = 1;
    rng_seed(&m->rng, seed);
    m->no_streams = chance(m, 40);
    m->fail_memory = chance(m, 20);
    current = m;
    kube_sync_init(&m->sync, &thing, &sink, seed ^ 0x5eed);
    for (uint64_t i = rng_below(&m->rng, 10); i > 0; i--) {
        mutate(m);
    }
    for (int i = 0; i < STEPS; i++) {
        step(m);
    }
    m->calm = true;
    bool there = false;
    for (int i = 0; i < 400 && !there; i++) {
        step(m);
        there = m->open && m->sync.watching && m->wire.n == 0 && m->sent >= m->version &&
                kube_sync_age_ms(&m->sync, m->now_ms) == 0;
    }
    if (!there || m->n_relists == 0) {
        stop("it does not get back into step once the faults have stopped");
    }
    kube_sync_done(&m->sync);
}

int main(int argc, char **argv)
{
    static struct sim m;
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1,
             count = argc > 2 ? strtoull(argv[2], NULL, 10) : SEEDS, relists = 0;
    struct timespec from, to;
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    buf_init(&m.wire, 1u << 20);
    for (uint64_t i = 0; i < count; i++) {
        run(&m, first + i, count == 1);
        relists += m.n_relists;
    }
    buf_done(&m.wire);
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    (void)printf("%llu seeds from %llu, %llu lists taken over, %.1f s\n", (unsigned long long)count,
                 (unsigned long long)first, (unsigned long long)relists,
                 (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
    return 0;
}
