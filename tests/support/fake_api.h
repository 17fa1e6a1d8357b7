/* For tests: an API server that does as it is told, over plain HTTP on loopback.
 *
 * It keeps objects, versions and a history, lists (whole, in pages, as a stream), watches with bookmarks, and can be made to
 * fail in every way that a real one cannot be made to. Text is the object's JSON with "resourceVersion":"@", which is filled in.
 * Every function ends the test (abort) when the machine does not do its part. Thread safe.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define FAKE_NODES  "/api/v1/nodes"
#define FAKE_PODS   "/api/v1/pods"
#define FAKE_AGONES "/apis/agones.dev/v1/gameservers"

enum fake_request {
    FAKE_ANY = 0,
    FAKE_LIST,
    FAKE_STREAM,
    FAKE_WATCH
}; /* STREAM: a list by sendInitialEvents */
enum fake_fault {
    FAKE_STATUS = 1, /* arg: the status; 410, 429, 504 … with their reasons, 3xx with a Location */
    FAKE_HTML,       /* 200 and a proxy's page */
    FAKE_GARBAGE,    /* 200, application/json, no JSON */
    FAKE_TRUNCATED,  /* half of the first chunk, then the end of the connection */
    FAKE_DRIP,       /* one byte every 50 ms */
    FAKE_SILENT,     /* takes the request and says nothing */
    FAKE_RESET,      /* RST */
    FAKE_LIE,        /* 200 and {} */
    FAKE_OTHER_KIND,   /* 200 and a list of Secrets */
    FAKE_ERROR_EVENT,  /* arg: the code of an ERROR event in the stream */
    FAKE_LONG_EVENT,   /* an event of 17 MiB */
    FAKE_UNKNOWN_TYPE, /* an event of a type that nobody knows; then as usual */
    FAKE_NAMELESS,     /* an ADDED event without a name */
    FAKE_SHORT         /* the stream ends before the initial events do */
};
enum fake_cut { FAKE_CLEAN = 1, FAKE_FIN, FAKE_RST, FAKE_HALF_EVENT, FAKE_FREEZE };

struct fake_api;
struct fake_api *fake_api_start(void); /* with the resources that every cluster has, all empty */
void fake_api_stop(struct fake_api *f);
const char *fake_api_url(const struct fake_api *f);
/* Writes a kubeconfig for it; `token` NULL: none is needed. */
void fake_api_kubeconfig(const struct fake_api *f, const char *path, const char *token);
void fake_api_token(struct fake_api *f, const char *token); /* from now on only this one is taken */
void fake_api_down(struct fake_api *f, bool down);          /* the port is closed, or open again */

void fake_api_resource(struct fake_api *f, const char *path, const char *kind, bool exists);
void fake_api_put(struct fake_api *f, const char *path, const char *ns, const char *name,
                  const char *json);
void fake_api_delete(struct fake_api *f, const char *path, const char *ns, const char *name);
/* Gone without an event: only a list shows it. */
void fake_api_vanish(struct fake_api *f, const char *path, const char *ns, const char *name);
void fake_api_compact(struct fake_api *f); /* every older version is gone */
void fake_api_bookmark(struct fake_api *f);
void fake_api_no_streams(struct fake_api *f,
                         bool refuse); /* sendInitialEvents is answered by 422 */

/* The next `times` requests (-1: all) of this sort for the path (NULL: any) fail so. */
void fake_api_fault(struct fake_api *f, const char *path, enum fake_request when,
                    enum fake_fault fault, int arg, int times);
void fake_api_clear(struct fake_api *f); /* no more faults */
void fake_api_cut(struct fake_api *f, const char *path,
                  enum fake_cut how); /* the watches that are open now */
/* How many requests of this sort have come. */
int fake_api_count(struct fake_api *f, const char *path, enum fake_request when);
bool fake_api_wait(struct fake_api *f, const char *path, enum fake_request when, int count,
                   int wait_ms);

/* Objects for it. `out` holds n bytes. */
void fake_node(char *out, size_t n, const char *name, const char *zone, const char *cpu);
void fake_pod(char *out, size_t n, const char *ns, const char *name, const char *uid,
              const char *node, const char *cpu);
