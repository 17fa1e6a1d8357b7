// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "daemon/metrics.h"

#include <ctype.h>
#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "engine/policy.h"
#include "spawnpoint_version.h"

enum metric_type { COUNTER = 0, GAUGE, HISTOGRAM };
enum label_space {
    NONE = 0,
    VERB,
    VERB_CODE,
    REASON,
    RESULT,
    POLICY,
    RESERVATION,
    CAUSE,
    KIND,
    VERSION
};
enum bucket_set { NO = 0, SECONDS, BYTES, NODES, SCORES };

struct metric_row {
    enum metric_type type;
    const char *name;
    enum label_space labels;
    enum bucket_set buckets;
    const char *help;
};
static const struct metric_row rows[METRIC_COUNT] = {
#define METRIC(id, type, name, labels, buckets, help) {type, name, labels, buckets, help},
#include "daemon/metrics.def"
#undef METRIC
};

static const double bounds_seconds[] = {0.000025, 0.00005, 0.0001, 0.0002, 0.0004, 0.0008, 0.0016,
                                        0.0032,   0.0064,  0.0128, 0.0256, 0.0512, 0.1024, 0.2048};
static const double bounds_bytes[] = {256,    1024,    4096,    16384,    65536,
                                      262144, 1048576, 4194304, 16777216, 67108864};
static const double bounds_nodes[] = {1, 5, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10000};
static const double bounds_scores[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
#define BUCKETS_MAX 14

static const char *const verbs[] = {"filter", "prioritize", "preempt", "bind", "admin", "other"};
static const int codes[] = {200, 400, 403, 404, 405, 413, 414, 415, 431, 500, 503, 0};
static const char *const results[] = {"placed", "no_node", "unknown_node", "full_node", "fallback"};
static const char *const policies[] = {"passthrough", "reject"};
static const char *const reservations[] = {"made", "replaced", "expired", "failed"};
static const char *const kinds[] = {"nodes", "pods", "reservations", "classes", "fleets"};
static const char *const causes[] = {"slow_header", "slow_body",   "slow_reader",
                                     "timeout",     "broken_off",  "body_too_large",
                                     "no_memory",   "crowded_out", "other"};
static const char *const reasons[] = {
    "none",
#define REASON(id, unresolvable, text) #id,
#include "engine/reasons.def"
#undef REASON
};

#define LABELS_MAX (SP_COUNTOF(verbs) * SP_COUNTOF(codes))
_Static_assert(SP_COUNTOF(reasons) <= LABELS_MAX, "room for every reason");

struct series {
    _Atomic uint64_t count;
    _Atomic double value; /* gauge, or a histogram's sum */
    _Atomic uint64_t buckets[BUCKETS_MAX];
};
static struct series all[METRIC_COUNT][LABELS_MAX];

static unsigned n_labels(enum label_space l)
{
    static const unsigned n[] = {
        [NONE] = 1,
        [VERB] = SP_COUNTOF(verbs),
        [VERB_CODE] = LABELS_MAX,
        [REASON] = SP_COUNTOF(reasons),
        [RESULT] = SP_COUNTOF(results),
        [POLICY] = SP_COUNTOF(policies),
        [RESERVATION] = SP_COUNTOF(reservations),
        [CAUSE] = SP_COUNTOF(causes),
        [KIND] = SP_COUNTOF(kinds),
        [VERSION] = 1,
    };
    return n[l];
}

static const double *bounds(enum bucket_set b, unsigned *ret_n)
{
    switch (b) {
    case SECONDS:
        *ret_n = SP_COUNTOF(bounds_seconds);
        return bounds_seconds;
    case BYTES:
        *ret_n = SP_COUNTOF(bounds_bytes);
        return bounds_bytes;
    case NODES:
        *ret_n = SP_COUNTOF(bounds_nodes);
        return bounds_nodes;
    case SCORES:
        *ret_n = SP_COUNTOF(bounds_scores);
        return bounds_scores;
    case NO:
    default:
        *ret_n = 0;
        return NULL;
    }
}

static struct series *series_of(enum metric m, unsigned label)
{
    unsigned n = n_labels(rows[m].labels);
    return &all[m][label < n ? label : n - 1];
}

void metric_add(enum metric m, unsigned label, uint64_t n)
{
    atomic_fetch_add_explicit(&series_of(m, label)->count, n, memory_order_relaxed);
}

void metric_set(enum metric m, unsigned label, double v)
{
    struct series *s = series_of(m, label);
    if (rows[m].type == COUNTER) {
        atomic_store_explicit(&s->count, (uint64_t)v, memory_order_relaxed);
    } else {
        atomic_store_explicit(&s->value, v, memory_order_relaxed);
    }
}

void metric_observe(enum metric m, unsigned label, double v)
{
    struct series *s = series_of(m, label);
    unsigned n = 0;
    const double *b = bounds(rows[m].buckets, &n);
    for (unsigned i = 0; i < n; i++) {
        if (v <= b[i]) {
            atomic_fetch_add_explicit(&s->buckets[i], 1, memory_order_relaxed);
            break;
        }
    }
    double sum = atomic_load_explicit(&s->value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&s->value, &sum, sum + v, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
    atomic_fetch_add_explicit(&s->count, 1, memory_order_relaxed);
}

uint64_t metric_value(enum metric m, unsigned label)
{
    return atomic_load_explicit(&series_of(m, label)->count, memory_order_relaxed);
}

unsigned metric_verb_code(enum metric_verb verb, int status)
{
    unsigned code = 0;
    while (codes[code] != 0 && codes[code] != status) {
        code++;
    }
    return (unsigned)verb * (unsigned)SP_COUNTOF(codes) + code;
}

unsigned metric_cause(const char *cause)
{
    unsigned i = 0;
    while (i + 1 < SP_COUNTOF(causes) && strcmp(causes[i], cause) != 0) {
        i++;
    }
    return i;
}

static void put_lower(struct buf *out, const char *s)
{
    for (; *s; s++) {
        buf_char(out, (char)tolower((unsigned char)*s));
    }
}

/* `verb="filter",code="200"` without braces; nothing for a metric without labels. */
static void put_labels(struct buf *out, enum label_space space, unsigned label)
{
    unsigned code = label % (unsigned)SP_COUNTOF(codes);
    switch (space) {
    case VERB:
        buf_printf(out, "verb=\"%s\"", verbs[label]);
        break;
    case VERB_CODE:
        buf_printf(out, "verb=\"%s\",", verbs[label / SP_COUNTOF(codes)]);
        if (codes[code] == 0) {
            buf_lit(out, "code=\"other\"");
        } else {
            buf_printf(out, "code=\"%d\"", codes[code]);
        }
        break;
    case REASON:
        buf_lit(out, "reason=\"");
        put_lower(out, reasons[label]);
        buf_char(out, '"');
        break;
    case RESULT:
        buf_printf(out, "result=\"%s\"", results[label]);
        break;
    case POLICY:
        buf_printf(out, "policy=\"%s\"", policies[label]);
        break;
    case RESERVATION:
        buf_printf(out, "event=\"%s\"", reservations[label]);
        break;
    case CAUSE:
        buf_printf(out, "cause=\"%s\"", causes[label]);
        break;
    case KIND:
        buf_printf(out, "kind=\"%s\"", kinds[label]);
        break;
    case VERSION:
        buf_lit(out, "version=\"" SPAWNPOINT_VERSION "\"");
        break;
    case NONE:
    default:
        break;
    }
}

static void put_name(struct buf *out, const struct metric_row *r, unsigned label,
                     const char *suffix)
{
    buf_printf(out, "spawnpoint_%s%s", r->name, suffix);
    if (r->labels != NONE) {
        buf_char(out, '{');
        put_labels(out, r->labels, label);
        buf_char(out, '}');
    }
    buf_char(out, ' ');
}

static void put_histogram(struct buf *out, const struct metric_row *r, unsigned label,
                          struct series *s)
{
    unsigned n = 0;
    const double *b = bounds(r->buckets, &n);
    uint64_t count = atomic_load_explicit(&s->count, memory_order_relaxed), sum = 0;
    for (unsigned i = 0; i <= n; i++) {
        buf_printf(out, "spawnpoint_%s_bucket{", r->name);
        put_labels(out, r->labels, label);
        buf_lit(out, r->labels != NONE ? ",le=\"" : "le=\"");
        if (i < n) {
            buf_f64(out, b[i]);
            sum += atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
        } else {
            buf_lit(out, "+Inf");
            sum =
                count > sum ? count : sum; /* written while others add: never less than a bucket */
        }
        buf_printf(out, "\"} %llu\n", (unsigned long long)sum);
    }
    put_name(out, r, label, "_sum");
    buf_f64(out, atomic_load_explicit(&s->value, memory_order_relaxed));
    buf_char(out, '\n');
    put_name(out, r, label, "_count");
    buf_printf(out, "%llu\n", (unsigned long long)sum);
}

static const char *type_name(enum metric_type t)
{
    static const char *const names[] = {"counter", "gauge", "histogram"};
    return names[t];
}

static void put_metric(struct buf *out, enum metric m)
{
    const struct metric_row *r = &rows[m];
    buf_printf(out, "# HELP spawnpoint_%s %s\n# TYPE spawnpoint_%s %s\n", r->name, r->help, r->name,
               type_name(r->type));
    for (unsigned i = 0; i < n_labels(r->labels); i++) {
        struct series *s = &all[m][i];
        uint64_t count = atomic_load_explicit(&s->count, memory_order_relaxed);
        bool many = r->labels == VERB || r->labels == VERB_CODE || r->labels == REASON;
        if ((r->type != GAUGE && count == 0 && many && i > 0) || (r->labels == REASON && i == 0)) {
            continue; /* a label value that never happened is left out where there are many */
        }
        if (r->type == HISTOGRAM) {
            put_histogram(out, r, i, s);
            continue;
        }
        put_name(out, r, i, "");
        if (r->type == COUNTER) {
            buf_printf(out, "%llu\n", (unsigned long long)count);
        } else {
            buf_f64(out, atomic_load_explicit(&s->value, memory_order_relaxed));
            buf_char(out, '\n');
        }
    }
}

static void put_process(struct buf *out, const char *name, const char *type, const char *help,
                        double v)
{
    buf_printf(out, "# HELP process_%s %s\n# TYPE process_%s %s\nprocess_%s ", name, help, name,
               type, name);
    buf_f64(out, v);
    buf_char(out, '\n');
}

struct process_stat {
    double virtual_bytes, resident_bytes, start_s;
};

static struct process_stat read_stat(void)
{
    struct process_stat ret = {0};
    char text[2048];
    FILE *f = fopen("/proc/self/stat", "re");
    if (!f) {
        return ret;
    }
    size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    const char *p = strrchr(text, ')');
    struct str rest = p ? str_trim(str_c(p + 1)) : STR_NONE;
    int64_t v[22] = {0};
    (void)str_cut(&rest, ' '); /* the state, a letter */
    for (int i = 0; i < 21; i++) {
        (void)str_to_i64(str_cut(&rest, ' '), &v[i]);
    }
    struct timespec wall, boot;
    (void)clock_gettime(CLOCK_REALTIME, &wall);
    (void)clock_gettime(CLOCK_BOOTTIME, &boot);
    double up = (double)boot.tv_sec - (double)v[18] / (double)sysconf(_SC_CLK_TCK);
    ret.start_s = (double)wall.tv_sec - up;
    ret.virtual_bytes = (double)v[19];
    ret.resident_bytes = (double)v[20] * (double)sysconf(_SC_PAGESIZE);
    return ret;
}

static unsigned open_files(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d) {
        return 0;
    }
    while (readdir(d)) {
        n++;
    }
    (void)closedir(d);
    return n > 3 ? n - 3 : 0; /* without ".", ".." and the folder itself */
}

static void metrics_process(struct buf *out)
{
    struct rusage u;
    struct rlimit files;
    (void)getrusage(RUSAGE_SELF, &u);
    (void)getrlimit(RLIMIT_NOFILE, &files);
    struct process_stat st = read_stat();
    put_process(out, "cpu_seconds_total", "counter", "User and system time spent.",
                (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    put_process(out, "resident_memory_bytes", "gauge", "Resident memory.", st.resident_bytes);
    put_process(out, "virtual_memory_bytes", "gauge", "Virtual memory.", st.virtual_bytes);
    put_process(out, "start_time_seconds", "gauge", "Start of the process, seconds since 1970.",
                st.start_s);
    put_process(out, "open_fds", "gauge", "Open file descriptors.", open_files());
    put_process(out, "max_fds", "gauge", "Most file descriptors that may be open.",
                (double)files.rlim_cur);
}

void metrics_write(struct buf *out)
{
    metric_set(METRIC_BUILD_INFO, 0, 1);
    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        put_metric(out, (enum metric)m);
    }
    metrics_process(out);
}

static const char *label_names(enum label_space l)
{
    static const char *const names[] = {
        [NONE] = "",         [VERB] = "verb",       [VERB_CODE] = "verb, code", [REASON] = "reason",
        [RESULT] = "result", [POLICY] = "policy",   [RESERVATION] = "event",    [CAUSE] = "cause",
        [KIND] = "kind",     [VERSION] = "version",
    };
    return names[l];
}

void metrics_write_docs(struct buf *out)
{
    buf_lit(out,
            "# Metrics\n\nGenerated from `scheduler/daemon/metrics.def`; a test compares. `GET "
            "/metrics` on the admin port "
            "answers\nin Prometheus' text format 0.0.4. Every label has a closed set of values.\n\n"
            "| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n");
    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        buf_printf(out, "| `spawnpoint_%s` | %s | %s | %s |\n", rows[m].name,
                   type_name(rows[m].type), label_names(rows[m].labels), rows[m].help);
    }
    buf_lit(out,
            "\nThe standard `process_cpu_seconds_total`, `process_resident_memory_bytes`, "
            "`process_virtual_memory_bytes`,\n"
            "`process_start_time_seconds`, `process_open_fds` and `process_max_fds` follow.\n\n"
            "Histograms of seconds have bounds at 25 and 50 microseconds and then 0.1 ms doubling "
            "up to 0.2048 s, so\n"
            "that they overlay kube-scheduler's own.\n");
}
