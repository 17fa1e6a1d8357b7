/* Inside of loading: sources, items, controllers. Used by load_*.c and expand*.c only. See load.h.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "wire/k8s.h"
#include "wire/k8s_dec.h"
#include "wire/load.h"
#include "wire/sha256.h"
#include "wire/yaml_doc.h"

#define NOTE_ABSENT_NODE "pod bound to a node that is not in the input"
#define NOTE_CRONJOB     "CronJob schedules are not replayed: one run is placed"
#define NOTE_SDK_SIDECAR "Agones SDK sidecar of a made game server: its requests are not added"
#define NOTE_UNREADABLE  "object that cannot be read (see warnings)"
#define NOTE_NO_CLASSES \
    "storage class that is not in the input: its volumes are taken as made where the pod goes"
#define NOTE_INLINE_DISK "in-line disk of a pod: sharing of one disk is not checked"
#define NOTE_DRA         "pod with resource claims (DRA)"
#define NOTE_NO_TEMPLATE "GameServer without a pod template: it makes no pod"

/* ---- text to number: names that are counted or looked up ---- */

struct name_map {
    struct arena *keys;
    struct str *names; /* by number */
    size_t n, cap;
    uint32_t *slots;
    uint32_t n_slots;
};
/* The number of the name, made when new (*ret_new). -ENOMEM. */
int name_map_add(struct name_map *m, struct str name, uint32_t *ret, bool *ret_new) SP_MUST_CHECK;
uint32_t name_map_find(const struct name_map *m, struct str name); /* UINT32_MAX when unknown */
void name_map_done(struct name_map *m);

/* ---- a source of bytes ---- */

struct source {
    int fd;            /* -1: memory */
    const char *file;  /* as messages name it */
    char *own;         /* the window, when it is ours */
    const char *p;     /* window */
    size_t at, n, cap; /* consumed, filled, room */
    bool eof, no_digest;
    uint32_t line, column; /* 1-based place of p[0] */
    uint64_t n_bytes;
    struct sha256 sha;
};
int source_open_file(struct source *s, const char *path,
                     struct err *err) SP_MUST_CHECK; /* "-": standard input */
void source_open_memory(struct source *s, const char *name, struct str bytes, bool no_digest);
void source_close(struct source *s);
/* Reads more behind what is there. 0; -E2BIG when one object is over the limit. Sets eof at the end. */
int source_fill(struct source *s, struct err *err) SP_MUST_CHECK;
/* All of it in one window, up to `max` bytes. */
int source_fill_all(struct source *s, size_t max, struct err *err) SP_MUST_CHECK;
/* To the end of the bytes, for the digest. */
int source_drain(struct source *s, struct err *err) SP_MUST_CHECK;
void source_place(const struct source *s, size_t at, uint32_t *ret_line, uint32_t *ret_column);

/* ---- controllers ---- */

enum controller_kind {
    CTL_NONE = 0,
    CTL_DEPLOYMENT,
    CTL_REPLICA_SET,
    CTL_REPLICATION_CONTROLLER,
    CTL_STATEFUL_SET,
    CTL_DAEMON_SET,
    CTL_JOB,
    CTL_CRON_JOB,
    CTL_FLEET,
    CTL_GAME_SERVER_SET,
    CTL_GAME_SERVER,
    CTL_OKG_SET,
    CTL_CUSTOM
};
struct controller {
    enum controller_kind kind;
    bool workload;                /* makes all of its pods */
    bool lenient;                 /* from a folder: faults are warnings */
    const struct kind_path *path; /* CTL_CUSTOM */
    char *json;                   /* owned */
    size_t n_json;
    const char *file;                                 /* in the keys arena */
    uint32_t line, column;                            /* of the object */
    struct str api_version, kind_name, ns, name, uid; /* in the keys arena */
    struct str owner_kind, owner_name, fleet_label;
    struct yaml_marks marks; /* of a YAML source */
    enum game_state state;
};

struct owner_entry {
    uint32_t all;     /* number of the entry with uid "*" */
    uint32_t n_pods;  /* live, not being deleted */
    struct str fleet; /* agones.dev/fleet label of such a pod */
};

struct load_impl {
    struct arena arena;   /* of the object being read */
    struct dec_keys seen; /* in the objects that are open */
    struct arena keys;    /* for as long as the load */
    VEC(struct controller) controllers;
    struct name_map by_key; /* "kind\0ns\0name" to controllers */
    struct name_map
        owners; /* "kind\0ns\0name\0uid", and for all uids together the same with uid "*" */
    VEC(struct owner_entry) owner; /* by number in `owners` */
    VEC(uint32_t) owner_of;        /* by pod row: number in `owners` of the one with the uid, + 1 */
    struct name_map notes, openb_names;
    uint64_t warnings_lost, notes_lost;
    bool class_made; /* the input has no storage classes: made for the claims of StatefulSets */
    uint32_t n_generated; /* names made from generateName */
    int32_t next_port;    /* Agones dynamic ports */
    struct buf json;      /* YAML as JSON */
    bool
        short_memory; /* a question could not be answered for want of memory: what was made of it is not to be used */
};

/* Where an object stands, and how faults in it count. */
struct load_ctx {
    struct loaded *l;
    struct load_impl *im;
    const char *file;
    bool workload, lenient;
    uint32_t line, column;       /* of the object's first byte */
    struct yaml_marks *marks;    /* offsets in the JSON made of YAML; NULL for JSON */
    const struct source *source; /* JSON: where line and column come from when they are wanted */
    size_t source_at;
};

void load_warn(struct loaded *l, const char *fmt, ...) SP_PRINTF(2, 3);
/* A fault in an object: the error as it is, or (lenient) a warning and 0. Short memory is always an error. */
int load_fault(const struct load_ctx *ctx, struct err *err);
/* Turns a place relative to the object into one in the file. */
void load_place(const struct load_ctx *ctx, struct err *err);
/* The message begins with a field's path: finds that field in the object. */
void load_place_path(const struct load_ctx *ctx, struct str json, struct err *err);

/* One object at the scanner's position. `kind` and `api_version`: of a typed list's items, or empty. -EAGAIN: the bytes end
 * too early and `more` may come. Leaves the scanner behind the object. */
int load_object(struct load_ctx *ctx, struct k8s_dec *d, struct str api_version, struct str kind,
                bool more, struct err *err) SP_MUST_CHECK;
int load_stream(struct load_ctx *ctx, struct source *s, struct err *err) SP_MUST_CHECK;
int load_openb(struct load_ctx *ctx, struct source *s, struct err *err) SP_MUST_CHECK;
/* A kind other than Node and Pod. */
int load_apply(struct load_ctx *ctx, const struct k8s_head *head, struct str json,
               struct err *err) SP_MUST_CHECK;
int load_apply_node(struct load_ctx *ctx, const struct node_desc *node,
                    struct err *err) SP_MUST_CHECK;
int load_apply_pod(struct load_ctx *ctx, struct pod_desc *pod, struct str json,
                   struct err *err) SP_MUST_CHECK;
/* Known mistakes in kinds that are not read: a warning each. */
void load_lint(const struct load_ctx *ctx, const struct k8s_head *head, struct str json);
int load_keep_controller(struct load_ctx *ctx, enum controller_kind kind,
                         const struct kind_path *path, const struct k8s_head *head, struct str json,
                         struct err *err) SP_MUST_CHECK;
void load_count_owners(struct load_impl *im, const struct cluster *c);
/* After it: live pods that name this controller (kind, namespace, name; uid when both have one). Sets im->short_memory. */
uint32_t load_owned(struct load_impl *im, struct str kind, struct str ns, struct str name,
                    struct str uid);
int load_expand(struct loaded *l, struct err *err) SP_MUST_CHECK;
