/* Decoding of lists, streams and Status objects: recorded answers of a real API server in pieces of every size, and lies.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/file.h"
#include "daemon/kube_keys.h"
#include "daemon/kube_list.h"
#include "daemon/kube_sync.h"

#define RECORDED SP_TEST_SOURCE_DIR "/tests/data/captures/apiserver/"

/* The body of a recorded answer; *ret_all is the caller's to free. */
static struct str recorded(const char *name, char **ret_all)
{
    char path[512];
    size_t n = 0;
    struct err err = ERR_NONE;
    (void)snprintf(path, sizeof path, RECORDED "%s.response", name);
    if (conf_read_file(path, 1u << 20, ret_all, &n, &err) != 0) {
        fail_msg("%s", err.text);
    }
    const char *body = strstr(*ret_all, "\n\n");
    const char *crlf = strstr(*ret_all, "\r\n\r\n");
    body = crlf != NULL ? crlf + 4 : body + 2;
    return (struct str){body, n - (size_t)(body - *ret_all)};
}

struct seen {
    unsigned n, types[6];
    bool end;
    char last[KUBE_TOKEN_BYTES], first[128];
};

static int count_item(void *ctx, struct str json, struct err *err)
{
    struct seen *s = ctx;
    struct kube_object o;
    int rc = kube_object_read(json, &o, err);
    if (rc == 0 && s->n++ == 0) {
        (void)snprintf(s->first, sizeof s->first, STR_FMT, STR_ARG(o.name));
    }
    return rc;
}

static void pages_in_pieces(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 3, 7, 64, 1000, 100000};
    char *all;
    struct str body = str_trim(recorded("nodes.page-1", &all));
    for (size_t i = 0; i < SP_COUNTOF(sizes); i++) {
        struct kube_list l;
        struct kube_list_head h;
        struct seen s = {0};
        struct err err = ERR_NONE;
        kube_list_init(&l);
        for (size_t at = 0; at < body.n; at += sizes[i]) {
            size_t n = body.n - at < sizes[i] ? body.n - at : sizes[i];
            assert_true(at == 0 || kube_list_end(&l, &h, &err) < 0); /* not before its last byte */
            assert_int_equal(kube_list_feed(&l, body.p + at, n, count_item, &s, &err), 0);
        }
        assert_int_equal(kube_list_end(&l, &h, &err), 0);
        assert_int_equal(s.n, 20);
        assert_string_equal(s.first, "cordoned-a-0");
        assert_true(str_is(h.kind, "NodeList"));
        assert_true(str_is(h.resource_version, "433"));
        assert_true(str_starts(h.next, STR("eyJ2Ijoi")));
        kube_list_done(&l);
    }
    mem_free(all);
}

static int take_list(const char *text, struct seen *s)
{
    struct kube_list l;
    struct kube_list_head h;
    struct err err = ERR_NONE;
    kube_list_init(&l);
    int rc = kube_list_feed(&l, text, strlen(text), count_item, s, &err);
    rc = rc == 0 ? kube_list_end(&l, &h, &err) : rc;
    kube_list_done(&l);
    return rc;
}

static void lists_that_lie(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "{}",
        "[]",
        "null",
        "7",
        "{\"items\":[]}",
        "{\"metadata\":{\"resourceVersion\":\"\"},\"items\":[]}",
        "{\"metadata\":{\"resourceVersion\":\"1\"}}",
        "{\"metadata\":{\"resourceVersion\":1},\"items\":[]}",
        "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[0]}",
        "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[[{}]]}",
        "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[{},]}",
        "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[{}{}]}",
        "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[{\"metadata\":{\"name\":\"\x01\"}}]}",
        "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[]}}",
        "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[]} x",
        "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":{}}",
        "<html></html>"};
    static const char good[] = "{\"kind\":\"XList\",\"metadata\":{\"resourceVersion\":\"1\"},"
                               "\"items\" : [ {\"metadata\":{\"name\":"
                               "\"a]}\\\"{\"}} , {\"metadata\":{\"name\":\"b\"}} ] }\n";
    for (size_t i = 0; i < SP_COUNTOF(bad); i++) {
        struct seen s = {0};
        if (take_list(bad[i], &s) >= 0) {
            fail_msg("taken: %s", bad[i]);
        }
    }
    struct seen s = {0};
    assert_int_equal(take_list(good, &s), 0);
    assert_int_equal(s.n, 2);
    assert_int_equal(take_list("{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":null}", &s), 0);
    for (size_t n = 0; n + 2 < sizeof good; n++) { /* cut anywhere: never a list */
        char cut[sizeof good];
        struct seen t = {0};
        memcpy(cut, good, n);
        cut[n] = '\0';
        assert_true(take_list(cut, &t) < 0);
    }
}

static int count_line(void *ctx, struct str line, struct err *err)
{
    struct seen *s = ctx;
    struct kube_event e;
    int rc = kube_event_read(line, &e, err);
    if (rc == 0) {
        s->n++;
        s->types[e.type]++;
        s->end = s->end || e.object.initial_events_end;
        (void)snprintf(s->last, sizeof s->last, STR_FMT, STR_ARG(e.object.resource_version));
        assert_true(str_is(e.object.kind, "Pod"));
    }
    return rc;
}

static void streams_in_pieces(void **state)
{
    (void)state;
    static const char *const names[] = {"pods.watch-changes", "pods.watch-initial-events"};
    static const size_t sizes[] = {1, 5, 1000, 100000};
    for (size_t f = 0; f < 2; f++) {
        char *all;
        struct str body = recorded(names[f], &all);
        for (size_t i = 0; i < SP_COUNTOF(sizes); i++) {
            struct kube_lines l;
            struct seen s = {0};
            struct err err = ERR_NONE;
            kube_lines_init(&l);
            for (size_t at = 0; at < body.n; at += sizes[i]) {
                size_t n = body.n - at < sizes[i] ? body.n - at : sizes[i];
                assert_int_equal(kube_lines_feed(&l, body.p + at, n, count_line, &s, &err), 0);
            }
            assert_false(kube_lines_pending(&l));
            assert_true(f == 0 ? s.types[KUBE_ADDED] == 1 && s.types[KUBE_DELETED] == 1 &&
                                     s.types[KUBE_MODIFIED] > 1
                               : s.types[KUBE_ADDED] > 1 && s.types[KUBE_BOOKMARK] >= 1);
            assert_true(s.end == (f == 1));
            assert_true(s.last[0] != '\0');
            kube_lines_done(&l);
        }
        mem_free(all);
    }
}

static void statuses(void **state)
{
    (void)state;
    char *all;
    struct kube_status st;
    struct err err = ERR_NONE;
    struct str body = recorded("pods.list-future-rv", &all);
    assert_int_equal(kube_status_read(body, &st, &err), 0);
    assert_int_equal(st.code, 504);
    assert_true(st.version_too_large);
    mem_free(all);
    body = recorded("pods.watch-bad-rv", &all);
    assert_int_equal(kube_status_read(body, &st, &err), 0);
    assert_int_equal(st.code, 500);
    assert_false(st.version_too_large);
    mem_free(all);
    assert_true(kube_status_read(STR("{\"kind\":\"Pod\",\"code\":410}"), &st, &err) < 0);
    assert_true(kube_status_read(STR("{\"kind\":\"Status\",\"code\":4.5}"), &st, &err) < 0);
}

static void note_gone(void *ctx, struct str ns, struct str name)
{
    (void)ns;
    (void)name;
    (*(unsigned *)ctx)++;
}

static void keys(void **state)
{
    (void)state;
    struct kube_keys k = {0};
    struct err err = ERR_NONE;
    enum kube_key_was was;
    char name[32];
    for (unsigned i = 0; i < 5000; i++) {
        int n = snprintf(name, sizeof name, "n%u", i);
        assert_int_equal(
            kube_keys_put(&k, STR("ns"), (struct str){name, (size_t)n}, STR("u1"), 1, &was, &err),
            0);
        assert_int_equal(was, KUBE_KEY_NEW);
    }
    assert_int_equal(kube_keys_put(&k, STR("ns"), STR("n7"), STR("u1"), 2, &was, &err), 0);
    assert_int_equal(was, KUBE_KEY_SAME);
    assert_int_equal(kube_keys_put(&k, STR("ns"), STR("n8"), STR("u2"), 2, &was, &err), 0);
    assert_int_equal(was, KUBE_KEY_OTHER_UID);
    assert_false(
        kube_keys_take(&k, STR("ns"), STR("n8"), STR("u1"))); /* the old one's end comes late */
    assert_true(kube_keys_take(&k, STR("ns"), STR("n9"), STR("u1")));
    assert_false(kube_keys_take(&k, STR("ns"), STR("n9"), STR_NONE));
    unsigned gone = 0;
    kube_keys_sweep(&k, 2, note_gone, &gone);
    assert_int_equal(gone, 4997);
    assert_int_equal(k.n, 2);
    assert_true(kube_keys_take(&k, STR("ns"), STR("n7"), STR_NONE));
    assert_true(kube_keys_take(&k, STR("ns"), STR("n8"), STR("u2")));
    kube_keys_done(&k);
}

/* ---- waiting ---- */

static int up(void *ctx, const struct kube_object *o, struct err *err)
{
    (void)ctx;
    (void)o;
    (void)err;
    return 0;
}
static void down(void *ctx, struct str ns, struct str name, struct str uid, bool other)
{
    (void)ctx;
    (void)ns;
    (void)name;
    (void)uid;
    (void)other;
}
static void swept(void *ctx, bool begin)
{
    (void)ctx;
    (void)begin;
}
static void heard(void *ctx, enum kube_event_type type)
{
    (void)ctx;
    (void)type;
}
static void faulted(void *ctx, enum kube_fault fault, const char *text)
{
    (void)text;
    *(enum kube_fault *)ctx = fault;
}
static void listed(void *ctx)
{
    (void)ctx;
}

static int64_t wait_after(struct kube_sync *s, int64_t *now_ms, int status, int64_t retry_after_ms)
{
    struct buf url CLEANUP_BUF;
    struct err err = ERR_NONE;
    int64_t at_ms = 0;
    buf_init(&url, 1u << 16);
    (void)err_set(&err, -ECONNREFUSED, "refused");
    assert_true(kube_sync_next(s, *now_ms, 500, &url, &at_ms));
    if (status > 0) {
        kube_sync_head(s, *now_ms, status, "application/json", retry_after_ms);
    }
    kube_sync_end(s, *now_ms, status > 0 ? 0 : -ECONNREFUSED, &err);
    assert_false(kube_sync_next(s, *now_ms, 500, &url, &at_ms) && status != 401);
    return at_ms - *now_ms;
}

static void back_off(void **state)
{
    (void)state;
    static const struct kube_resource r = {
        .name = "things", .group = "", .path = "/things", .kind = "Thing"};
    enum kube_fault last = KUBE_FINE;
    struct kube_sync_sink sink = {&last, up, down, swept, heard, faulted, listed};
    struct kube_sync s;
    int64_t now_ms = 1000, base = 800;
    kube_sync_init(&s, &r, &sink, 7);
    for (int i = 0; i < 10; i++) { /* 0.8 s doubling, up to twice that by jitter, 30 s at most */
        int64_t wait = wait_after(&s, &now_ms, 0, -1), most = base * 2 < 30000 ? base * 2 : 30000;
        assert_int_equal(last, KUBE_CONNECT);
        assert_in_range(wait, base, most);
        base = base * 2 < 30000 ? base * 2 : 30000;
        now_ms += wait;
    }
    now_ms += 120001; /* healthy for long enough: from the start again */
    assert_in_range(wait_after(&s, &now_ms, 0, -1), 800, 1600);
    now_ms += 120001;
    assert_in_range(wait_after(&s, &now_ms, 429, 7000), 7000, 8400); /* as asked for, with jitter */
    now_ms += 200000;
    assert_in_range(wait_after(&s, &now_ms, 503, 100000000), 120000, 144000); /* within reason */
    now_ms += 200000;
    assert_in_range(wait_after(&s, &now_ms, 403, -1), 30000, 35000);
    kube_sync_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_in_pieces),
        cmocka_unit_test(lists_that_lie),
        cmocka_unit_test(streams_in_pieces),
        cmocka_unit_test(statuses),
        cmocka_unit_test(keys),
        cmocka_unit_test(back_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
