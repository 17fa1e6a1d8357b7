/* docs/metrics.md is what metrics.def says; the OpenAPI document is JSON and names every path.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/limits.h"
#include "daemon/admin_json.h"
#include "daemon/metrics.h"

static void docs_are_in_step(void **state)
{
    (void)state;
    struct buf want;
    buf_init(&want, LIMIT_REPLY_BYTES);
    metrics_write_docs(&want);
    assert_false(want.broken);
    const char *update = getenv("SPAWNPOINT_UPDATE_DOCS");
    FILE *f = fopen(SP_TEST_SOURCE_DIR "/docs/metrics.md", update ? "w" : "r");
    assert_non_null(f);
    if (update) {
        assert_int_equal(fwrite(want.p, 1, want.n, f), want.n);
    } else {
        char *have = calloc(1, want.n + 4096);
        assert_non_null(have);
        size_t n = fread(have, 1, want.n + 4095, f);
        if (n != want.n || memcmp(have, want.p, n) != 0) {
            fail_msg("docs/metrics.md is not what metrics.def says; run this test with "
                     "SPAWNPOINT_UPDATE_DOCS=1");
        }
        free(have);
    }
    assert_int_equal(fclose(f), 0);
    buf_done(&want);
}

static void counters_and_histograms(void **state)
{
    (void)state;
    uint64_t before = metric_value(METRIC_UNKNOWN_NODES, 0);
    metric_add(METRIC_UNKNOWN_NODES, 0, 3);
    assert_int_equal(metric_value(METRIC_UNKNOWN_NODES, 0), before + 3);
    metric_observe(METRIC_REQUEST_SECONDS, metric_verb_code(VERB_FILTER, 200), 0.00015);
    metric_observe(METRIC_REQUEST_SECONDS, metric_verb_code(VERB_FILTER, 299), 5);
    metric_add(METRIC_HTTP_FAILURES, metric_cause("no such cause"), 1);
    struct buf b;
    buf_init(&b, LIMIT_REPLY_BYTES);
    metrics_write(&b);
    buf_char(&b, '\0');
    assert_false(b.broken);
    assert_non_null(strstr(
        b.p, "request_duration_seconds_bucket{verb=\"filter\",code=\"200\",le=\"0.0001\"} 0\n"));
    assert_non_null(strstr(
        b.p, "request_duration_seconds_bucket{verb=\"filter\",code=\"200\",le=\"0.0002\"} 1\n"));
    assert_non_null(strstr(
        b.p, "request_duration_seconds_bucket{verb=\"filter\",code=\"other\",le=\"0.2048\"} 0\n"));
    assert_non_null(strstr(
        b.p, "request_duration_seconds_bucket{verb=\"filter\",code=\"other\",le=\"+Inf\"} 1\n"));
    assert_non_null(strstr(b.p, "spawnpoint_http_failures_total{cause=\"other\"} 1\n"));
    buf_done(&b);
}

static void openapi_is_json(void **state)
{
    static const char *const paths[] = {
        "/filter",       "/prioritize", "/livez",   "/readyz",       "/healthz",
        "/metrics",      "/version",    "/configz", "/openapi.json", "/",
        "/v1/decisions", "/v1/explain", "/v1/place"};
    (void)state;
    struct buf b;
    json_error_t error;
    buf_init(&b, LIMIT_REPLY_BYTES);
    openapi_write(&b);
    json_t *root = json_loadb(b.p, b.n, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        fail_msg("%s at %d", error.text, error.position);
    }
    assert_int_equal(json_object_size(json_object_get(root, "paths")),
                     sizeof paths / sizeof *paths);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_non_null(json_object_get(json_object_get(root, "paths"), paths[i]));
    }
    json_decref(root);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(docs_are_in_step),
        cmocka_unit_test(counters_and_histograms),
        cmocka_unit_test(openapi_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
