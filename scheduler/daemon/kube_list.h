/* A List of the Kubernetes API in pieces: items come out one by one as the bytes come in.
 *
 * Memory is that of one item and of what stands around the items. Nothing of an item is handed out before its last byte is
 * there; whether the whole answer was a list is known only at the end (kube_list_end). No sockets, no clock.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#define KUBE_LIST_FRAME_BYTES \
    (4u << 20) /* everything but the items; two bytes stand for each item */
#define KUBE_TOKEN_BYTES \
    8192u /* a resourceVersion or a continue token; real ones have 10 and 200 */

struct kube_list {
    struct buf frame, item; /* the answer with each item replaced by 0; the item being read */
    uint32_t depth, n_items;
    bool in_item, in_string, escaped, in_items;
    uint32_t item_depth;
};
void kube_list_init(struct kube_list *l);
void kube_list_reset(struct kube_list *l);
void kube_list_done(struct kube_list *l);

typedef int (*kube_item_fn)(void *ctx, struct str json, struct err *err);
/* Calls `item` for each object that these bytes complete. -EBADMSG: this is no list; -E2BIG: an item or the frame is too
 * long; -ENOMEM; or what `item` returned. */
int kube_list_feed(struct kube_list *l, const char *p, size_t n, kube_item_fn item, void *ctx,
                   struct err *err) SP_MUST_CHECK;

struct kube_list_head {
    struct str kind, resource_version,
        next; /* next: metadata.continue, "" on the last page; views into l */
};
/* After the last byte. -EBADMSG: cut short, not JSON, or a list without resourceVersion or items. */
int kube_list_end(const struct kube_list *l, struct kube_list_head *ret,
                  struct err *err) SP_MUST_CHECK;
