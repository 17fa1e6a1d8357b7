/* The stream of a watch: lines out of pieces of bytes, and an event out of a line.
 *
 * Bytes are looked at once; memory is that of one line. No sockets, no clock.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#define KUBE_LINE_BYTES (LIMIT_ITEM_BYTES + 4096)

enum kube_event_type {
    KUBE_ADDED = 0,
    KUBE_MODIFIED,
    KUBE_DELETED,
    KUBE_BOOKMARK,
    KUBE_ERROR,
    KUBE_OTHER
};

/* What the sync looks at in an object; views into the bytes. */
struct kube_object {
    struct str json, kind, ns, name, uid, resource_version;
    bool initial_events_end; /* annotation of a bookmark */
};
struct kube_event {
    enum kube_event_type type;
    struct kube_object object;
};
/* Of an ERROR event or of a failed request: a Status. */
struct kube_status {
    int code; /* 0 when not given */
    struct str reason, message;
    bool version_too_large; /* details.causes names ResourceVersionTooLarge */
};

struct kube_lines {
    struct buf line;
};
void kube_lines_init(struct kube_lines *l);
void kube_lines_reset(struct kube_lines *l);
void kube_lines_done(struct kube_lines *l);
bool kube_lines_pending(const struct kube_lines *l); /* bytes of an unfinished line are there */
typedef int (*kube_line_fn)(void *ctx, struct str line, struct err *err);
/* -E2BIG: a line is too long; -ENOMEM; or what `line` returned. */
int kube_lines_feed(struct kube_lines *l, const char *p, size_t n, kube_line_fn line, void *ctx,
                    struct err *err) SP_MUST_CHECK;

/* The whole line must be JSON. -EBADMSG names what is wrong. */
int kube_event_read(struct str line, struct kube_event *ret, struct err *err) SP_MUST_CHECK;
int kube_object_read(struct str json, struct kube_object *ret, struct err *err) SP_MUST_CHECK;
int kube_status_read(struct str json, struct kube_status *ret, struct err *err) SP_MUST_CHECK;
