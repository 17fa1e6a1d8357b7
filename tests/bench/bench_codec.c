/* The two replies of the protocol, ours against plain cJSON, both with one trivial policy and without HTTP.
 *
 *     bench_codec                      times, and the ratio
 *     bench_codec MODE N               N calls of one mode, for instruction counts: prioritize-ours,
 *                                      prioritize-cjson, filter-ours, filter-cjson
 *
 * A call decodes a request (a real Agones pod and 500 names), judges each name and writes the reply. The policy scores a
 * name by three of its bytes; the decisive filter keeps the best.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "wire/extender.h"
#include "wire/jsonc.h"

enum { NAMES = 500 };

static struct buf body;

static void fail(const char *what)
{
    fprintf(stderr, "bench_codec: %s\n", what);
    exit(1);
}

/* The Pod of a recorded request and NAMES names as a cloud gives them. */
static void make_body(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/data/captures/extender/cached/filter-002.request",
             SP_TEST_SOURCE_DIR);
    FILE *f = fopen(path, "rb");
    if (!f) {
        fail("no recorded request in tests/data/captures/extender/cached");
    }
    static char raw[1 << 16];
    size_t n = fread(raw, 1, sizeof raw - 1, f);
    fclose(f);
    raw[n] = 0;
    char *json = strstr(raw, "{\"Pod\":");
    char *end = json ? strstr(json, ",\"Nodes\":null") : NULL;
    if (!end) {
        fail("the recorded request has another form");
    }
    buf_init(&body, LIMIT_BODY_BYTES);
    buf_put(&body, json, (size_t)(end - json));
    buf_lit(&body, ",\"Nodes\":null,\"NodeNames\":[");
    for (int i = 0; i < NAMES; i++) {
        buf_printf(&body, "%s\"gke-games-eu-central1-pool-%c-%08x-%04d\"", i ? "," : "",
                   'a' + i % 3, (unsigned)i * 2654435761u, i);
    }
    buf_lit(&body, "]}");
    if (body.broken) {
        fail("out of memory");
    }
}

static int32_t trivial_score(const char *p, size_t n)
{
    return n == 0 ? 0
                  : ((unsigned char)p[0] + (unsigned char)p[n - 1] + (unsigned char)p[n / 2]) % 11;
}

static size_t call_ours(struct arena *arena, struct buf *out, bool filter)
{
    struct extender_args args;
    struct err err;
    arena_reset(arena);
    buf_clear(out);
    if (extender_decode_args(buf_view(&body), arena, &args, &err) != 0) {
        fail(err.text);
    }
    struct extender_score *scores = arena_alloc(arena, args.n_names * sizeof *scores);
    if (!scores) {
        fail("out of memory");
    }
    uint32_t n = 0, best = 0;
    int32_t best_score = -1;
    for (uint32_t i = 0; i < args.n_names; i++) {
        int32_t s = trivial_score(args.names[i].p, args.names[i].n);
        if (s > best_score) {
            best_score = s;
            best = i;
        }
        if (s > 0) {
            scores[n++] = (struct extender_score){args.names[i], s};
        }
    }
    if (filter) {
        extender_write_filter(out, &args, &best, 1, NULL, 0);
    } else {
        extender_write_priorities(out, scores, n);
    }
    return out->n;
}

static size_t call_cjson(bool filter)
{
    cJSON *args = cJSON_ParseWithLength(body.p, body.n);
    const cJSON *names = cJSON_GetObjectItem(args, "NodeNames"), *name = NULL, *best = NULL;
    if (!cJSON_IsArray(names) || !cJSON_GetObjectItem(args, "Pod")) {
        fail("cJSON does not read the request");
    }
    cJSON *reply = filter ? cJSON_CreateObject() : cJSON_CreateArray();
    int32_t best_score = -1;
    cJSON_ArrayForEach(name, names)
    {
        int32_t s = trivial_score(name->valuestring, strlen(name->valuestring));
        if (s > best_score) {
            best_score = s;
            best = name;
        }
        if (!filter && s > 0) {
            cJSON *entry = cJSON_CreateObject();
            cJSON_AddStringToObject(entry, "Host", name->valuestring);
            cJSON_AddNumberToObject(entry, "Score", s);
            cJSON_AddItemToArray(reply, entry);
        }
    }
    if (filter && best) {
        cJSON *kept = cJSON_AddArrayToObject(reply, "NodeNames");
        cJSON_AddItemToArray(kept, cJSON_CreateString(best->valuestring));
    }
    char *text = cJSON_PrintUnformatted(reply);
    size_t n = text ? strlen(text) : 0;
    cJSON_free(text);
    cJSON_Delete(reply);
    cJSON_Delete(args);
    return n;
}

static size_t run(const char *mode, long n)
{
    struct arena arena;
    struct buf out;
    arena_init(&arena, LIMIT_REQUEST_ARENA);
    buf_init(&out, LIMIT_REPLY_BYTES);
    size_t bytes = 0;
    bool filter = strncmp(mode, "filter", 6) == 0, ours = strstr(mode, "ours") != NULL;
    for (long i = 0; i < n; i++) {
        bytes += ours ? call_ours(&arena, &out, filter) : call_cjson(filter);
    }
    buf_done(&out);
    arena_done(&arena);
    return bytes;
}

static double median_us(const char *mode)
{
    enum { ROUNDS = 41, CALLS = 50 };
    double t[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        struct timespec a, b;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
        run(mode, CALLS);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
        t[r] =
            ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / 1e3 / CALLS;
        for (int i = r; i > 0 && t[i] < t[i - 1]; i--) {
            double x = t[i];
            t[i] = t[i - 1];
            t[i - 1] = x;
        }
    }
    return t[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    make_body();
    if (argc == 3) {
        printf("%zu\n", run(argv[1], strtol(argv[2], NULL, 10)));
    } else {
        double po = median_us("prioritize-ours"), pc = median_us("prioritize-cjson");
        double fo = median_us("filter-ours"), fc = median_us("filter-cjson");
        printf("| call, 500 names | ours us | cJSON us | ratio |\n|---|--:|--:|--:|\n");
        printf("| prioritize | %.1f | %.1f | %.1f |\n| decisive filter | %.1f | %.1f | %.1f |\n",
               po, pc, pc / po, fo, fc, fc / fo);
    }
    buf_done(&body);
    return 0;
}
