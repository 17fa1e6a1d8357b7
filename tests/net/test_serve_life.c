/* Start, reload, stop, and what the admin port says.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <ctype.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/net_client.h"

#define SNAPSHOT "tests/data/snapshots/arena.json"
#define HEAD     "apiVersion: spawnpoint.dev/v1alpha1\nkind: SpawnpointConfiguration\n"

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void get(const struct net_server *s, const char *path, int status, struct net_reply *r)
{
    net_call(s->admin, "GET", path, NULL, r);
    if (r->status != status) {
        fail_msg("%s: expected %d, got %d %s", path, status, r->status, r->body);
    }
}

static bool wait_metric(const struct net_server *s, const char *series, double v)
{
    for (int i = 0; i < 100; i++) {
        if (net_metric(s, series) == v) {
            return true;
        }
        (void)usleep(50000);
    }
    return false;
}

static void expect_decide(const struct net_server *s, const char *way)
{
    struct net_reply r;
    char text[64];
    get(s, "/configz", 200, &r);
    net_json(&r, "decide", text, sizeof text);
    assert_string_equal(text, way);
    net_reply_done(&r);
}

static void reload_on_change_by_symlink_and_signal(void **state)
{
    (void)state;
    char dir[] = "/tmp/spawnpoint-life-XXXXXX", a[64], b[64], bad[64], link_path[64], other[64];
    struct net_server s;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(a, sizeof a, "%s/a.yaml", dir);
    (void)snprintf(b, sizeof b, "%s/b.yaml", dir);
    (void)snprintf(bad, sizeof bad, "%s/bad.yaml", dir);
    (void)snprintf(link_path, sizeof link_path, "%s/config.yaml", dir);
    (void)snprintf(other, sizeof other, "%s/next", dir);
    write_file(a, HEAD "decide: cooperative\n");
    write_file(b, HEAD "decide: shortlist\n");
    write_file(bad, HEAD "decide: shortlist\ndecisionBudgit: 5ms\n");
    assert_int_equal(symlink(a, link_path), 0);
    net_start(&s, (const char *const[]){"--snapshot", SNAPSHOT, "--config", link_path, NULL});
    expect_decide(&s, "cooperative");
    int fd = net_connect(s.extender); /* a reload never closes a connection */

    assert_int_equal(symlink(b, other), 0); /* as a mounted ConfigMap changes */
    assert_int_equal(rename(other, link_path), 0);
    assert_true(wait_metric(&s, "spawnpoint_config_generation", 2));
    expect_decide(&s, "shortlist");

    assert_int_equal(symlink(bad, other), 0);
    assert_int_equal(rename(other, link_path), 0);
    assert_true(wait_metric(&s, "spawnpoint_config_last_reload_success", 0));
    expect_decide(&s, "shortlist");
    assert_true(net_wait_log(&s, "config.yaml:4:1", 2000));
    assert_true(net_wait_log(&s, "decisionBudget", 2000)); /* the nearest known name */
    assert_true(net_metric(&s, "spawnpoint_config_generation") == 2);

    write_file(other, HEAD "decide: decisive\n"); /* a new file under the old name */
    assert_int_equal(rename(other, link_path), 0);
    assert_true(wait_metric(&s, "spawnpoint_config_generation", 3));
    assert_true(net_metric(&s, "spawnpoint_config_last_reload_success") == 1);
    expect_decide(&s, "decisive");

    assert_int_equal(kill(s.pid, SIGHUP), 0);
    assert_true(wait_metric(&s, "spawnpoint_config_generation", 4));
    char body[2048];
    struct net_reply r;
    net_args(body, sizeof body, "after", "other", "10m", (const char *const[]){"metal-a-0", NULL});
    net_post(fd, "/filter", body, strlen(body), &r);
    assert_int_equal(r.status, 200);
    net_reply_done(&r);
    (void)close(fd);
    assert_int_equal(net_stop(&s), 0);
    const char *const files[] = {a, b, bad, link_path};
    for (size_t i = 0; i < 4; i++) {
        (void)unlink(files[i]);
    }
    (void)rmdir(dir);
}

static void stop_serves_on_and_says_close(void **state)
{
    (void)state;
    struct net_server s;
    struct net_reply r;
    char body[2048];
    net_start(&s, (const char *const[]){"--snapshot", SNAPSHOT, "--shutdown-delay", "1s", NULL});
    get(&s, "/readyz", 200, &r);
    net_reply_done(&r);
    net_args(body, sizeof body, "late", "other", "10m", (const char *const[]){"metal-a-0", NULL});
    int fd = net_connect(s.extender);
    net_post(fd, "/filter", body, strlen(body), &r);
    assert_false(r.says_close);
    net_reply_done(&r);
    assert_int_equal(kill(s.pid, SIGTERM), 0);
    assert_true(net_wait_log(&s, "Stopping", 2000));
    get(&s, "/readyz", 503, &r);
    net_reply_done(&r);
    get(&s, "/livez", 200, &r);
    net_reply_done(&r);
    net_post(fd, "/filter", body, strlen(body), &r);
    assert_int_equal(r.status, 200);
    assert_true(r.says_close);
    net_reply_done(&r);
    (void)close(fd);
    net_call(s.extender, "POST", "/filter", body, &r); /* still accepts */
    assert_int_equal(r.status, 200);
    net_reply_done(&r);
    assert_int_equal(net_wait(&s, 10000), 0);
}

static void a_second_signal_ends_at_once(void **state)
{
    (void)state;
    struct net_server s;
    net_start(&s, (const char *const[]){"--snapshot", SNAPSHOT, "--shutdown-delay", "60s", NULL});
    assert_int_equal(kill(s.pid, SIGTERM), 0);
    assert_true(net_wait_log(&s, "Stopping", 2000));
    assert_int_equal(kill(s.pid, SIGTERM), 0);
    assert_int_equal(net_wait(&s, 5000), 1);
}

static void an_interrupt_is_130(void **state)
{
    (void)state;
    struct net_server s;
    net_start(&s, (const char *const[]){"--snapshot", SNAPSHOT, NULL});
    assert_int_equal(kill(s.pid, SIGINT), 0);
    assert_int_equal(net_wait(&s, 10000), 130);
}

static void refused_starts(void **state)
{
    static const struct {
        const char *args[8];
        int code;
        const char *says;
    } runs[] = {
        {{NULL}, 2, "no cluster: give --kubeconfig FILE or --snapshot PATH"},
        {{"--kubeconfig", "/does/not/exist", NULL}, 1, "cannot read /does/not/exist"},
        {{"--kubeconfig", "x", "--snapshot", SNAPSHOT, NULL}, 2, "give one of them"},
        {{"--snapshot", SNAPSHOT, "--api-timeout", "0", NULL},
         2,
         "--api-timeout: expected more than 0"},
        {{"--snapshto", SNAPSHOT, NULL}, 2, "did you mean --snapshot?"},
        {{"--snapshot", NULL}, 2, "needs a value"},
        {{"--snapshot", SNAPSHOT, "--decide", "decisiv", NULL}, 2, "did you mean decisive?"},
        {{"--snapshot", SNAPSHOT, "--shutdown-delay", "soon", NULL}, 2, "expected a duration"},
        {{"--snapshot", SNAPSHOT, "extra", NULL}, 2, "unexpected argument"},
        {{"--snapshot", SNAPSHOT, "--listen", "0.0.0.0:0", NULL}, 2, "mutual TLS"},
        {{"--snapshot", SNAPSHOT, "--listen", "nowhere", NULL}, 2, "HOST:PORT"},
        {{"--snapshot", "/does/not/exist.json", NULL}, 1, "/does/not/exist.json"},
        {{"--snapshot", SNAPSHOT, "--config", "/does/not/exist.yaml", NULL},
         1,
         "/does/not/exist.yaml"},
    };
    (void)state;
    assert_int_equal(setenv("HOME", "/does/not/exist", 1),
                     0); /* whoever runs this may have a cluster */
    assert_int_equal(unsetenv("KUBECONFIG"), 0);
    assert_int_equal(unsetenv("KUBERNETES_SERVICE_HOST"), 0);
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        struct net_server s;
        int code = net_run(&s, runs[i].args);
        if (code != runs[i].code || !strstr(s.log, runs[i].says)) {
            fail_msg("run %zu: exit %d, said: %s", i, code, s.log);
        }
    }
}

static void a_port_in_use_is_one_line_and_1(void **state)
{
    (void)state;
    struct net_server s, t;
    net_start(&s, (const char *const[]){"--snapshot", SNAPSHOT, NULL});
    int code =
        net_run(&t, (const char *const[]){"--snapshot", SNAPSHOT, "--listen", s.extender, NULL});
    assert_int_equal(code, 1);
    assert_non_null(strstr(t.log, "the port is in use"));
    assert_ptr_equal(strchr(t.log, '\n'), t.log + strlen(t.log) - 1); /* one line, nothing before */
    assert_int_equal(net_stop(&s), 0);
}

static void ipv6_and_an_open_admin_port(void **state)
{
    (void)state;
    struct net_server s;
    struct net_reply r;
    net_start(&s, (const char *const[]){"--snapshot", SNAPSHOT, "--listen", "[::1]:0",
                                        "--admin-listen", "0.0.0.0:0", NULL});
    assert_memory_equal(s.extender, "[::1]:", 6);
    char body[2048], admin[128];
    net_args(body, sizeof body, "six", "other", "10m", (const char *const[]){"metal-a-0", NULL});
    net_call(s.extender, "POST", "/filter", body, &r);
    assert_int_equal(r.status, 200);
    net_reply_done(&r);
    (void)snprintf(admin, sizeof admin, "127.0.0.1%s", strrchr(s.admin, ':'));
    (void)snprintf(s.admin, sizeof s.admin, "%s", admin);
    static const char *const open_to_all[] = {"/livez", "/readyz", "/healthz", "/metrics"};
    for (size_t i = 0; i < 4; i++) {
        get(&s, open_to_all[i], 200, &r);
        net_reply_done(&r);
    }
    static const char *const closed[] = {
        "/", "/configz", "/version", "/openapi.json", "/v1/decisions", "/v1/explain?pod=games/six"};
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
        get(&s, closed[i], 403, &r);
        net_reply_done(&r);
    }
    net_call(s.admin, "POST", "/v1/place", "{}", &r);
    assert_int_equal(r.status, 403);
    net_reply_done(&r);
    assert_int_equal(net_stop(&s), 0);
}

/* ---- /metrics ---- */

static bool name_ok(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!(isalnum((unsigned char)p[i]) || p[i] == '_')) {
            return false;
        }
    }
    return n > 0 && !isdigit((unsigned char)p[0]);
}

static bool ends(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}

static void check_sample(const char *line, const char *family, const char *type)
{
    size_t n = strcspn(line, "{ ");
    char name[200], *end = NULL;
    assert_true(name_ok(line, n) && n < sizeof name);
    (void)snprintf(name, sizeof name, "%.*s", (int)n, line);
    if (strcmp(type, "histogram") == 0) {
        assert_true(strncmp(name, family, strlen(family)) == 0 &&
                    (ends(name, "_bucket") || ends(name, "_sum") || ends(name, "_count")));
    } else {
        assert_string_equal(name, family);
    }
    const char *value = strrchr(line, ' ');
    assert_non_null(value);
    (void)strtod(value + 1, &end);
    assert_true(end != value + 1 && *end == '\0');
}

static void metrics_are_prometheus_text(void **state)
{
    (void)state;
    struct net_server s;
    struct net_reply r;
    char body[2048], family[200] = "", type[32] = "";
    net_start(&s, (const char *const[]){"--snapshot", SNAPSHOT, NULL});
    net_args(body, sizeof body, "m", "other", "10m",
             (const char *const[]){"metal-a-0", "cordoned-a-0", NULL});
    net_call(s.extender, "POST", "/filter", body, &r);
    net_reply_done(&r);
    get(&s, "/metrics", 200, &r);
    assert_non_null(strcasestr(r.head, "Content-Type: text/plain; version=0.0.4"));
    assert_int_equal(r.body[r.n_body - 1], '\n');
    char *save = NULL;
    int families = 0;
    for (char *line = strtok_r(r.body, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            (void)snprintf(family, sizeof family, "%.*s", (int)strcspn(line + 7, " "), line + 7);
            assert_true(strncmp(family, "spawnpoint_", 11) == 0 ||
                        strncmp(family, "process_", 8) == 0);
            families++;
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            assert_true(strncmp(line + 7, family, strlen(family)) == 0);
            (void)snprintf(type, sizeof type, "%s", strrchr(line, ' ') + 1);
            assert_true((strcmp(type, "counter") == 0) == ends(family, "_total"));
            if (strcmp(type, "histogram") == 0 && strcmp(family, "spawnpoint_score") != 0 &&
                strcmp(family, "spawnpoint_candidates") != 0) {
                assert_true(ends(family, "_seconds") || ends(family, "_bytes"));
            }
        } else {
            check_sample(line, family, type);
        }
    }
    assert_in_range(families, 20, 100);
    net_reply_done(&r);
    assert_true(net_metric(&s, "spawnpoint_decisions_total{result=\"placed\"}") == 1);
    assert_true(net_metric(&s, "spawnpoint_nodes_rejected_total{reason=\"unschedulable\"}") == 1);
    assert_int_equal(net_stop(&s), 0);
}

/* With few descriptors fewer connections are taken, and still nobody is locked out. */
static void few_descriptors_still_answer(void **state)
{
    enum { FEW = 32, CROWD = 60 };
    (void)state;
    static int crowd[CROWD];
    struct net_server s;
    struct net_reply r;
    struct rlimit was, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    few = (struct rlimit){FEW, was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    net_start(&s, (const char *const[]){"--snapshot", SNAPSHOT, NULL});
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    char body[2048];
    net_args(body, sizeof body, "few", "other", "10m", (const char *const[]){"metal-a-0", NULL});
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = net_connect(s.extender);
    }
    (void)usleep(300000);
    net_call(s.extender, "POST", "/filter", body, &r);
    assert_int_equal(r.status, 200);
    net_reply_done(&r);
    get(&s, "/livez", 200, &r);
    net_reply_done(&r);
    for (int i = 0; i < CROWD; i++) {
        (void)close(crowd[i]);
    }
    assert_int_equal(net_stop(&s), 0);
}

/* Whether the process waits for SIGTERM itself by now. */
static bool holds_sigterm(pid_t pid)
{
    char path[64], line[256];
    unsigned long long blocked = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "SigBlk:", 7) == 0) {
            blocked = strtoull(line + 7, NULL, 16);
        }
    }
    if (f) {
        (void)fclose(f);
    }
    return (blocked >> (SIGTERM - 1)) & 1;
}

/* A pipe that was full before the first word: nothing may wait for its reader. */
static void a_full_pipe_stops_nothing(void **state)
{
    (void)state;
    int p[2], status = 0;
    assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
    char fill[4096] = {0};
    while (write(p[1], fill, sizeof fill) > 0) {
    }
    assert_int_equal(fcntl(p[1], F_SETFL, 0), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const char *program = getenv("SPAWNPOINT_PROGRAM");
        (void)dup2(p[1], STDERR_FILENO);
        (void)execl(program, program, "serve", "--snapshot", SNAPSHOT, "--listen", "127.0.0.1:0",
                    "--admin-listen", "127.0.0.1:0", "--shutdown-delay", "0s", (char *)NULL);
        _exit(99);
    }
    for (int i = 0; i < 200 && !holds_sigterm(pid); i++) {
        (void)usleep(50000);
    }
    assert_int_equal(kill(pid, SIGTERM), 0);
    pid_t ended = 0;
    for (int i = 0; i < 200 && ended == 0; i++) {
        (void)usleep(50000);
        ended = waitpid(pid, &status, WNOHANG);
    }
    if (ended == 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
        fail_msg("it waits for its standard error");
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void)close(p[0]);
    (void)close(p[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reload_on_change_by_symlink_and_signal),
        cmocka_unit_test(stop_serves_on_and_says_close),
        cmocka_unit_test(a_second_signal_ends_at_once),
        cmocka_unit_test(an_interrupt_is_130),
        cmocka_unit_test(refused_starts),
        cmocka_unit_test(a_port_in_use_is_one_line_and_1),
        cmocka_unit_test(ipv6_and_an_open_admin_port),
        cmocka_unit_test(metrics_are_prometheus_text),
        cmocka_unit_test(few_descriptors_still_answer),
        cmocka_unit_test(a_full_pipe_stops_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
