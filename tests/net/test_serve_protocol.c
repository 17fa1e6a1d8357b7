/* The extender protocol over a real socket: recorded requests of a real kube-scheduler, and every trap that is known of it.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/net_client.h"

#define SNAPSHOT "tests/data/snapshots/arena.json"
#define CAPTURES "tests/data/captures/extender/"

static struct net_server server;

static int start(void **state)
{
    (void)state;
    net_start(&server, (const char *const[]){"--snapshot", SNAPSHOT, NULL});
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return net_stop(&server);
}

static void post(const char *path, const char *body, struct net_reply *r)
{
    int fd = net_connect(server.extender);
    net_post(fd, path, body, strlen(body), r);
    (void)close(fd);
}

static void filter(const char *body, struct net_reply *r)
{
    post("/filter", body, r);
}

static void raw(const char *bytes, struct net_reply *r)
{
    int fd = net_connect(server.extender);
    net_send(fd, bytes, strlen(bytes));
    net_read(fd, r);
    (void)close(fd);
}

static void expect_refusal(struct net_reply *r, int status)
{
    char text[600];
    if (r->status != status) {
        print_error("expected %d, got %d: %s\n", status, r->status, r->body);
    }
    assert_int_equal(r->status, status);
    assert_true(r->content_length >= 0);
    net_json(r, "error", text, sizeof text);
    assert_true(text[0] != '\0');
    net_reply_done(r);
}

/* ---- recorded requests ---- */

static void replay(const char *pattern,
                   void (*judge)(const char *body, size_t n, const struct net_reply *r))
{
    glob_t g;
    if (glob(pattern, 0, NULL, &g) != 0) {
        fail_msg("no recorded requests at %s", pattern);
    }
    int fd = net_connect(server.extender);
    for (size_t i = 0; i < g.gl_pathc; i++) {
        size_t n = 0, n_body = 0;
        const char *body = NULL;
        struct net_reply r;
        char *all = net_recorded(g.gl_pathv[i], &n, &body, &n_body);
        assert_non_null(all);
        net_send(fd, all, n);
        net_read(fd, &r);
        if (r.status != 200 || r.says_close) {
            fail_msg("%s: %d %s", g.gl_pathv[i], r.status, r.body);
        }
        judge(body, n_body, &r);
        net_reply_done(&r);
        free(all);
    }
    (void)close(fd);
    globfree(&g);
}

static void judge_names(const char *body, size_t n, const struct net_reply *r)
{
    char name[300], quoted[310];
    assert_int_equal(net_json_size(r, "NodeNames"), 1);
    net_json(r, "NodeNames.0", name, sizeof name);
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", name);
    assert_non_null(memmem(body, n, quoted, strlen(quoted)));
    net_json(r, "Nodes", name, sizeof name);
    assert_string_equal(name, "null");
}

static void judge_nodes(const char *body, size_t n, const struct net_reply *r)
{
    long items = net_json_size(r, "Nodes.items");
    assert_in_range(items, 0, 1);
    if (items == 1) { /* byte for byte */
        static const char before[] = "{\"Nodes\":{\"metadata\":{},\"items\":[",
                          after[] = "]},\"NodeNames\":null";
        assert_memory_equal(r->body, before, sizeof before - 1);
        const char *end = memmem(r->body, r->n_body, after, sizeof after - 1);
        assert_non_null(end);
        const char *item = r->body + sizeof before - 1;
        assert_non_null(memmem(body, n, item, (size_t)(end - item)));
    } else {
        assert_true(net_json_size(r, "FailedNodes") > 0 ||
                    net_json_size(r, "FailedAndUnresolvableNodes") > 0);
    }
}

static void judge_priorities(const char *body, size_t n, const struct net_reply *r)
{
    (void)body;
    (void)n;
    int tens = 0;
    for (long i = 0; i < net_json_size(r, ""); i++) {
        char path[32], score[32];
        (void)snprintf(path, sizeof path, "%ld.Score", i);
        net_json(r, path, score, sizeof score);
        long v = strtol(score, NULL, 10);
        assert_in_range(v, 1, 10);
        assert_null(strpbrk(score, ".eE"));
        tens += v == 10;
    }
    assert_int_equal(tens, 1);
}

static void recorded_names(void **state)
{
    (void)state;
    replay(CAPTURES "cached/filter-*.request", judge_names);
    replay(CAPTURES "bind/filter-*.request", judge_names);
}

static void recorded_whole_nodes(void **state)
{
    (void)state;
    replay(CAPTURES "full/filter-*.request", judge_nodes);
}

static void recorded_priorities(void **state)
{
    (void)state;
    replay(CAPTURES "*/prioritize-*.request", judge_priorities);
}

static void verbs_that_do_not_exist_yet(void **state)
{
    (void)state;
    glob_t g;
    assert_int_equal(glob(CAPTURES "*/[pb][ri][en][ed]*-*.request", 0, NULL, &g), 0);
    int seen = 0;
    for (size_t i = 0; i < g.gl_pathc; i++) {
        size_t n = 0, n_body = 0;
        const char *body = NULL;
        struct net_reply r;
        if (!strstr(g.gl_pathv[i], "preempt-") && !strstr(g.gl_pathv[i], "bind-")) {
            continue;
        }
        char *all = net_recorded(g.gl_pathv[i], &n, &body, &n_body);
        int fd = net_connect(server.extender);
        net_send(fd, all, n);
        net_read(fd, &r);
        expect_refusal(&r, 404);
        (void)close(fd);
        free(all);
        seen++;
    }
    assert_in_range(seen, 2, 100);
    globfree(&g);
}

/* ---- connections ---- */

static const char *const three[] = {"metal-a-0", "metal-b-0", "metal-c-0", NULL};

static void fifty_calls_on_one_connection(void **state)
{
    (void)state;
    char body[2048], name[64];
    int fd = net_connect(server.extender);
    for (int i = 0; i < 50; i++) {
        struct net_reply r;
        (void)snprintf(name, sizeof name, "keep-%d", i);
        net_args(body, sizeof body, name, "other", "10m", three);
        net_post(fd, i % 2 ? "/prioritize" : "/filter", body, strlen(body), &r);
        assert_int_equal(r.status, 200);
        assert_int_equal((long)strlen(r.body), r.content_length);
        assert_false(r.says_close);
        assert_null(strcasestr(r.head, "Transfer-Encoding"));
        assert_null(strcasestr(r.head, "Content-Encoding"));
        assert_non_null(strcasestr(r.head, "Content-Type: application/json\r\n"));
        assert_true(r.body[r.n_body - 1] == '}' || r.body[r.n_body - 1] == ']');
        net_reply_done(&r);
    }
    assert_false(net_closed(fd, 50));
    (void)close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    char one[2048], two[2048], all[8192];
    net_args(one, sizeof one, "pipe-1", "other", "10m", (const char *const[]){"metal-a-0", NULL});
    net_args(two, sizeof two, "pipe-2", "other", "10m", (const char *const[]){"metal-b-0", NULL});
    int n = snprintf(all, sizeof all,
                     "POST /filter HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s"
                     "POST /filter HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(one), one, strlen(two), two);
    int fd = net_connect(server.extender);
    net_send(fd, all, (size_t)n);
    const char *const expected[] = {"metal-a-0", "metal-b-0"};
    for (int i = 0; i < 2; i++) {
        struct net_reply r;
        char name[64];
        net_read(fd, &r);
        assert_int_equal(r.status, 200);
        net_json(&r, "NodeNames.0", name, sizeof name);
        assert_string_equal(name, expected[i]);
        net_reply_done(&r);
    }
    (void)close(fd);
}

static void chunked_and_expect_and_old_http(void **state)
{
    (void)state;
    char body[2048], all[8192], name[64];
    struct net_reply r;
    net_args(body, sizeof body, "chunked", "other", "10m",
             (const char *const[]){"metal-a-0", NULL});
    (void)snprintf(all, sizeof all,
                   "POST /filter HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                   "chunked\r\n\r\n%x\r\n%.10s\r\n%zx\r\n%s\r\n0\r\n\r\n",
                   10, body, strlen(body) - 10, body + 10);
    raw(all, &r);
    assert_int_equal(r.status, 200);
    net_json(&r, "NodeNames.0", name, sizeof name);
    assert_string_equal(name, "metal-a-0");
    net_reply_done(&r);
    (void)snprintf(
        all, sizeof all,
        "POST /filter HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(body), body);
    raw(all, &r);
    assert_int_equal(r.status, 200);
    net_reply_done(&r);
    (void)snprintf(all, sizeof all, "POST /filter HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s",
                   strlen(body), body);
    raw(all, &r);
    assert_int_equal(r.status, 200);
    assert_true(r.content_length > 0);
    net_reply_done(&r);
}

/* ---- names ---- */

static void names_once_unknown_last_empty_empty(void **state)
{
    (void)state;
    char body[4096], name[64];
    struct net_reply r;
    net_args(body, sizeof body, "dup", "other", "10m",
             (const char *const[]){"metal-a-0", "metal-a-0", "metal-a-0", NULL});
    filter(body, &r);
    assert_string_equal(r.body, "{\"Nodes\":null,\"NodeNames\":[\"metal-a-0\"],\"Error\":\"\"}");
    net_reply_done(&r);
    net_args(body, sizeof body, "ghost", "other", "10m",
             (const char *const[]){"nobody", "nobody", "anybody", NULL});
    filter(body, &r);
    assert_string_equal(r.body, "{\"Nodes\":null,\"NodeNames\":[\"anybody\"],\"Error\":\"\"}");
    net_reply_done(&r);
    net_args(body, sizeof body, "ghost", "other", "10m",
             (const char *const[]){"nobody", "metal-b-1", NULL});
    filter(body, &r);
    net_json(&r, "NodeNames.0", name, sizeof name);
    assert_string_equal(name, "metal-b-1");
    net_reply_done(&r);
    net_args(body, sizeof body, "none", "other", "10m", (const char *const[]){NULL});
    filter(body, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(net_json_size(&r, "NodeNames"), 0);
    net_reply_done(&r);
    post("/prioritize", body, &r);
    assert_string_equal(r.body, "[]");
    net_reply_done(&r);
}

static void refused_nodes_stand_with_constant_reasons(void **state)
{
    (void)state;
    char body[4096], text[200];
    struct net_reply r;
    net_args(body, sizeof body, "huge", "other", "900",
             (const char *const[]){"metal-a-0", "cordoned-a-0", NULL});
    filter(body, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(net_json_size(&r, "NodeNames"), 0);
    net_json(&r, "FailedAndUnresolvableNodes.cordoned-a-0", text, sizeof text);
    assert_string_equal(text, "node(s) were unschedulable");
    net_json(&r, "FailedAndUnresolvableNodes.metal-a-0", text, sizeof text);
    assert_string_equal(text, "Insufficient cpu");
    net_reply_done(&r);
}

/* ---- bodies ---- */

static void lower_case_keys_count(void **state)
{
    (void)state;
    struct net_reply r;
    filter("{\"pod\":{\"metadata\":{\"name\":\"low\",\"namespace\":\"games\",\"uid\":\"u-low\"},"
           "\"spec\":{\"containers\":null}},"
           "\"nodes\":null,\"nodenames\":[\"metal-a-1\"],\"unknown\":{\"a\":[1,2]}}",
           &r);
    assert_string_equal(r.body, "{\"Nodes\":null,\"NodeNames\":[\"metal-a-1\"],\"Error\":\"\"}");
    net_reply_done(&r);
}

static void broken_bodies_are_400(void **state)
{
    static const char *const bodies[] = {
        "",
        "{",
        "{}",
        "null",
        "[]",
        "\xef\xbb\xbf{}",
        "{\"Pod\":null,\"NodeNames\":[\"a\"]}",
        "{\"Pod\":{\"metadata\":{\"name\":\"p\"}},\"Nodes\":null,\"NodeNames\":null}",
        "{\"Pod\":{\"metadata\":{\"name\":\"p\"}},\"NodeNames\":[\"a\"",
        "{\"Pod\":{\"metadata\":{\"name\":\"p\"}},\"NodeNames\":[\"a\"]} x",
        "{\"Pod\":{\"metadata\":{\"name\":\"p\xff\"}},\"NodeNames\":[\"a\"]}",
        "{\"Pod\":{\"metadata\":{\"name\":7}},\"NodeNames\":[\"a\"]}",
        "{\"Pod\":{\"metadata\":{\"name\":\"p\"}},\"NodeNames\":[5]}",
        "{\"Pod\":{\"metadata\":{\"name\":\"p\"}},\"NodeNames\":\"a\"}",
        ("{\"Pod\":{\"spec\":{\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"many\"}}}]}},"
         "\"NodeNames\":[\"a\"]}"),
        "{\"Pod\":{\"metadata\":{\"name\":\"p\"}},\"NodeNames\":[NaN]}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct net_reply r;
        filter(bodies[i], &r);
        if (r.status != 400) {
            fail_msg("body %zu: %s gave %d %s", i, bodies[i], r.status, r.body);
        }
        expect_refusal(&r, 400);
    }
}

static void deep_nesting_is_400(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *body = malloc(DEPTH + 64);
    assert_non_null(body);
    int n = snprintf(body, 64, "{\"Pod\":{\"spec\":");
    memset(body + n, '[', DEPTH);
    body[n + DEPTH] = '\0';
    struct net_reply r;
    filter(body, &r);
    expect_refusal(&r, 400);
    free(body);
}

static void duplicate_keys_last_wins_and_is_counted(void **state)
{
    (void)state;
    struct net_reply r;
    double before = net_metric(&server, "spawnpoint_duplicate_keys_total");
    filter("{\"Pod\":{\"metadata\":{\"name\":\"d\",\"namespace\":\"games\",\"uid\":\"u-d\"}},"
           "\"NodeNames\":[\"metal-a-0\"],"
           "\"NodeNames\":[\"metal-b-0\"]}",
           &r);
    assert_string_equal(r.body, "{\"Nodes\":null,\"NodeNames\":[\"metal-b-0\"],\"Error\":\"\"}");
    net_reply_done(&r);
    assert_true(net_metric(&server, "spawnpoint_duplicate_keys_total") == before + 1);
}

/* ---- heads ---- */

static void wrong_path_method_type(void **state)
{
    (void)state;
    struct net_reply r;
    post("/", "{}", &r);
    expect_refusal(&r, 404);
    post("/filter/", "{}", &r);
    expect_refusal(&r, 404);
    post("/metrics", "{}", &r);
    expect_refusal(&r, 404);
    net_call(server.extender, "GET", "/filter", NULL, &r);
    assert_non_null(strcasestr(r.head, "\r\nAllow: POST\r\n"));
    expect_refusal(&r, 405);
    net_call(server.extender, "DELETE", "/prioritize", NULL, &r);
    expect_refusal(&r, 405);
    raw("POST /filter HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: "
        "2\r\n\r\n{}",
        &r);
    expect_refusal(&r, 415);
    net_call(server.admin, "GET", "/filter", NULL, &r);
    expect_refusal(&r, 404);
    net_call(server.admin, "GET", "/v1/place", NULL, &r);
    expect_refusal(&r, 405);
}

static void oversized_is_413_at_once(void **state)
{
    (void)state;
    struct net_reply r;
    raw("POST /filter HTTP/1.1\r\nHost: x\r\nContent-Length: 67108865\r\n\r\n", &r);
    expect_refusal(&r, 413);
    raw("POST /filter HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
        "99999999999\r\n\r\n",
        &r);
    assert_null(strstr(r.head, "100 Continue"));
    expect_refusal(&r, 413);
}

/* Either a clean refusal or a closed connection, and the server lives. */
static void hostile_heads(void **state)
{
    static const char *const heads[] = {
        "POST /filter HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: "
        "chunked\r\n\r\n0\r\n\r\n",
        "POST /filter HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "POST /filter HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /filter HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}",
        "POST /filter HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551617\r\n\r\n{}",
        "POST /filter HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        "POST /filter HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 2\r\n\r\n{}",
        "POST /filter HTTP/1.1\r\nHost : a\r\nContent-Length: 2\r\n\r\n{}",
        "POST /filter HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
        "chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "POST /filter HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
        "chunked\r\n\r\nffffffffffffffffff\r\n{}",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a client hello of TLS\r\n\r\n",
        "complete garbage\r\n\r\n",
        "\r\n\r\n\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct net_reply r;
        int fd = net_connect(server.extender);
        net_send(fd, heads[i], strlen(heads[i]));
        (void)shutdown(fd, SHUT_WR);
        net_read(fd, &r);
        if (r.status != 0 && (r.status < 400 || r.status > 505)) {
            fail_msg("head %zu gave %d %s", i, r.status, r.body);
        }
        net_reply_done(&r);
        (void)close(fd);
    }
    struct net_reply r;
    net_call(server.admin, "GET", "/livez", NULL, &r);
    assert_int_equal(r.status, 200);
    net_reply_done(&r);
}

/* What two programs in a row might read in two ways is refused, and nothing that follows it is read as a request. */
static void ambiguous_heads_are_400_and_close(void **state)
{
#define REQUEST(line, fields) line "\r\nHost: x\r\n" fields "\r\n\r\n{}"
#define POST_LINE             "POST /filter HTTP/1.1"
#define LENGTH                "\r\nContent-Length: 2"
    static const struct {
        const char *p;
        size_t n;
    } heads[] = {
#define HEAD(text) {text, sizeof text - 1}
        HEAD("POST /filter HTTP/1.1\nHost: x\nContent-Length: 2\n\n{}"),
        HEAD("POST /filter HTTP/1.1\r\nHost: x\nContent-Length: 2\r\n\r\n{}"),
        HEAD("POST /filter HTTP/1.1\nHost: x\r\nContent-Length: 2\r\n\r\n{}"),
        HEAD("POST /filter HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\n{}"),
        HEAD(REQUEST(POST_LINE, "X: a\r\n b" LENGTH)),
        HEAD(REQUEST(POST_LINE, "Content-Length:\r\n 2")),
        HEAD(REQUEST(POST_LINE, "X: a\rTransfer-Encoding: chunked" LENGTH)),
        HEAD(REQUEST(POST_LINE, "X: a\0b" LENGTH)),
        HEAD(REQUEST(POST_LINE, "Content-Length: 2\r\nX: a\0b")),
        HEAD(REQUEST(POST_LINE, "X Y: a" LENGTH)),
        HEAD(REQUEST(POST_LINE, ": a" LENGTH)),
        HEAD(REQUEST(POST_LINE, "Content-Length : 2")),
        HEAD(REQUEST(POST_LINE, "Content-Length: 2\r\nContent-Length: 2")),
        HEAD(REQUEST(POST_LINE, "Transfer-Encoding: xchunked")),
        HEAD(REQUEST(POST_LINE, "Transfer-Encoding: gzip, chunked")),
        HEAD(REQUEST("POST /filter HTTP/1.0", "Transfer-Encoding: chunked")),
        HEAD(REQUEST("POST /filter%00x HTTP/1.1", "Content-Length: 2")),
        HEAD(REQUEST("POST /filter\0x HTTP/1.1", "Content-Length: 2")),
#undef HEAD
    };
#undef REQUEST
#undef POST_LINE
#undef LENGTH
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct net_reply r;
        int fd = net_connect(server.extender);
        net_send(fd, heads[i].p, heads[i].n);
        net_read(fd, &r);
        if (r.status != 400 || !net_closed(fd, 1000)) {
            fail_msg("head %zu gave %d %s", i, r.status, r.body);
        }
        net_reply_done(&r);
        (void)close(fd);
    }
}

static void idle_connections_never_lock_out(void **state)
{
    enum { IDLE = 150 };
    (void)state;
    static int idle[IDLE];
    char body[2048];
    struct net_reply r;
    net_args(body, sizeof body, "crowd", "other", "10m", (const char *const[]){"metal-a-0", NULL});
    int scheduler = net_connect(server.extender);
    net_post(scheduler, "/filter", body, strlen(body), &r);
    assert_int_equal(r.status, 200);
    net_reply_done(&r);
    for (int i = 0; i < IDLE; i++) {
        idle[i] = net_connect(server.extender);
    }
    for (int i = 0; i < 2; i++) { /* the one that was there, and a new one */
        net_post(scheduler, "/filter", body, strlen(body), &r);
        assert_int_equal(r.status, 200);
        net_reply_done(&r);
        (void)close(scheduler);
        (void)usleep(200000);
        scheduler = net_connect(server.extender);
    }
    assert_true(net_metric(&server, "spawnpoint_http_failures_total{cause=\"crowded_out\"}") > 0);
    for (int i = 0; i < IDLE; i++) {
        (void)close(idle[i]);
    }
    (void)close(scheduler);
}

static void too_many_headers_and_long_targets(void **state)
{
    (void)state;
    char *all = malloc(65536);
    assert_non_null(all);
    struct net_reply r;
    int n = snprintf(all, 65536, "POST /filter HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n");
    for (int i = 0; i < 120; i++) {
        n += snprintf(all + n, 65536 - (size_t)n, "X-%d: y\r\n", i);
    }
    (void)snprintf(all + n, 65536 - (size_t)n, "\r\n{}");
    raw(all, &r);
    expect_refusal(&r, 431);
    n = snprintf(all, 65536, "POST /filter");
    memset(all + n, 'a', 9000);
    (void)snprintf(all + n + 9000, 200, " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
    raw(all, &r);
    expect_refusal(&r, 414);
    all[n] = '?'; /* a query counts */
    raw(all, &r);
    expect_refusal(&r, 414);
    free(all);
}

static void slow_loris_is_cut_off(void **state)
{
    (void)state;
    double before = net_metric(&server, "spawnpoint_http_failures_total{cause=\"slow_header\"}");
    int line = net_connect(server.extender), head = net_connect(server.extender),
        quiet = net_connect(server.extender);
    static const char start_line[] = "POST /filter HTTP/1.1\r\nHost: x\r\nX-Slow: ";
    net_send(head, start_line, sizeof start_line - 1);
    bool cut_line = false, cut_head = false;
    for (int i = 0; i < 40 && !(cut_line && cut_head); i++) {
        net_send(line, i == 0 ? "P" : "O", 1);
        net_send(head, "a", 1);
        cut_line = cut_line || net_closed(line, 100);
        cut_head = cut_head || net_closed(head, 100);
    }
    assert_true(cut_line);
    assert_true(cut_head);
    assert_false(net_closed(quiet, 10)); /* idle without a byte is no attack */
    assert_true(net_metric(&server, "spawnpoint_http_failures_total{cause=\"slow_header\"}") >=
                before + 2);
    (void)close(line);
    (void)close(head);
    (void)close(quiet);
}

static void broken_off_bodies_leave_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        int fd = net_connect(server.extender);
        static const char part[] =
            "POST /filter HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{\"Pod\":";
        net_send(fd, part, sizeof part - 1);
        (void)close(fd);
    }
    double left = 1;
    for (int i = 0; i < 100 && left > 0; i++) {
        (void)usleep(50000);
        left = net_metric(&server, "spawnpoint_requests_in_flight") - 1; /* the question itself */
    }
    assert_true(left == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_names),
        cmocka_unit_test(recorded_whole_nodes),
        cmocka_unit_test(recorded_priorities),
        cmocka_unit_test(verbs_that_do_not_exist_yet),
        cmocka_unit_test(fifty_calls_on_one_connection),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(chunked_and_expect_and_old_http),
        cmocka_unit_test(names_once_unknown_last_empty_empty),
        cmocka_unit_test(refused_nodes_stand_with_constant_reasons),
        cmocka_unit_test(lower_case_keys_count),
        cmocka_unit_test(broken_bodies_are_400),
        cmocka_unit_test(deep_nesting_is_400),
        cmocka_unit_test(duplicate_keys_last_wins_and_is_counted),
        cmocka_unit_test(wrong_path_method_type),
        cmocka_unit_test(oversized_is_413_at_once),
        cmocka_unit_test(hostile_heads),
        cmocka_unit_test(ambiguous_heads_are_400_and_close),
        cmocka_unit_test(idle_connections_never_lock_out),
        cmocka_unit_test(too_many_headers_and_long_targets),
        cmocka_unit_test(slow_loris_is_cut_off),
        cmocka_unit_test(broken_off_bodies_leave_nothing),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
