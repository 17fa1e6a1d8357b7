// SPDX-License-Identifier: Apache-2.0
#include "daemon/kube_list.h"

#include <errno.h>

#include "base/limits.h"
#include "wire/scan.h"

void kube_list_init(struct kube_list *l)
{
    *l = (struct kube_list){0};
    buf_init(&l->frame, KUBE_LIST_FRAME_BYTES);
    buf_init(&l->item, LIMIT_ITEM_BYTES);
}

void kube_list_reset(struct kube_list *l)
{
    struct buf frame = l->frame, item = l->item;
    *l = (struct kube_list){.frame = frame, .item = item};
    buf_clear(&l->frame);
    buf_clear(&l->item);
}

void kube_list_done(struct kube_list *l)
{
    buf_done(&l->frame);
    buf_done(&l->item);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Whether the frame ends with the key "items" and its colon. */
static bool after_items_key(const struct buf *frame)
{
    struct str s = str_trim(buf_view(frame));
    if (s.n == 0 || s.p[s.n - 1] != ':') {
        return false;
    }
    s.n--;
    s = str_trim(s);
    return str_ends(s, STR("\"items\""));
}

/* Takes bytes of the item from p on; returns how many. Sets in_item to false behind its last byte. */
static size_t take_item(struct kube_list *l, const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && l->in_item) {
        char c = p[i++];
        if (l->in_string) {
            l->in_string = l->escaped || c != '"';
            l->escaped = !l->escaped && c == '\\';
        } else if (c == '"') {
            l->in_string = true;
        } else if (c == '{' || c == '[') {
            l->item_depth++;
        } else if ((c == '}' || c == ']') && --l->item_depth == 0) {
            l->in_item = false;
        }
    }
    buf_put(&l->item, p, i);
    return i;
}

/* One byte outside of items. False when an item begins with it. */
static bool take_frame(struct kube_list *l, char c)
{
    if (l->in_string) {
        l->in_string = l->escaped || c != '"';
        l->escaped = !l->escaped && c == '\\';
    } else if (c == '"') {
        l->in_string = true;
    } else if (c == '{' && l->in_items && l->depth == 2) {
        return false;
    } else if (c == '{' || c == '[') {
        l->in_items = c == '[' && l->depth == 1 && after_items_key(&l->frame);
        l->depth++;
    } else if ((c == '}' || c == ']') && l->depth > 0) {
        l->depth--;
        l->in_items = l->in_items && l->depth == 2;
    }
    buf_char(&l->frame, c);
    return true;
}

static int give(struct kube_list *l, kube_item_fn item, void *ctx, struct err *err)
{
    if (l->item.broken) {
        return err_set(err, -E2BIG, "an item of the list is longer than %u bytes",
                       LIMIT_ITEM_BYTES);
    }
    struct scan s;
    scan_init(&s, buf_view(&l->item));
    s.allow_nul = true;
    if (!scan_skip(&s, NULL) || !scan_end(&s)) {
        (void)scan_error(&s, "", err);
        err->code = -EBADMSG;
        return err_context(err, "item %u of the list", l->n_items);
    }
    l->n_items++;
    buf_char(&l->frame, '0');
    int rc = item(ctx, buf_view(&l->item), err);
    buf_clear(&l->item);
    return rc;
}

int kube_list_feed(struct kube_list *l, const char *p, size_t n, kube_item_fn item, void *ctx,
                   struct err *err)
{
    size_t i = 0;
    while (i < n) {
        if (l->in_item) {
            i += take_item(l, p + i, n - i);
            int rc = l->in_item && !l->item.broken ? 0 : give(l, item, ctx, err);
            if (rc != 0) {
                return rc;
            }
            continue;
        }
        if (take_frame(l, p[i])) {
            if (l->depth == 0 && !l->in_string && !is_space(p[i]) && p[i] != '}') {
                return err_set(err, -EBADMSG, "the answer is not a JSON object");
            }
            i++;
        } else {
            l->in_item = true;
            l->item_depth = 0;
        }
        if (l->frame.broken) {
            return err_set(err, -E2BIG, "the list without its items is longer than %u bytes",
                           KUBE_LIST_FRAME_BYTES);
        }
    }
    return 0;
}

static bool read_meta(struct scan *s, struct kube_list_head *h)
{
    struct str key;
    bool first = true, escaped = false;
    if (!scan_object_begin(s)) {
        return false;
    }
    while (scan_member(s, &first, &key, &escaped)) {
        bool ok = str_is(key, "resourceVersion") ? scan_skip(s, &h->resource_version)
                  : str_is(key, "continue")      ? scan_skip(s, &h->next)
                                                 : scan_skip(s, NULL);
        if (!ok) {
            return false;
        }
    }
    return s->error == NULL;
}

/* The list's items must be exactly the objects that were taken out. */
static bool count_items(struct scan *s, uint32_t *ret_n)
{
    bool first = true;
    if (scan_peek(s) == SCAN_NULL) {
        return scan_skip(s, NULL);
    }
    if (!scan_array_begin(s)) {
        return false;
    }
    while (scan_item(s, &first)) {
        struct str raw;
        if (!scan_skip(s, &raw)) {
            return false;
        }
        if (!str_is(raw, "0")) {
            return scan_fail(s, "an item is not an object");
        }
        (*ret_n)++;
    }
    return s->error == NULL;
}

/* A raw string without its quotes; those that matter hold no escapes. */
static bool plain(struct str *s)
{
    if (s->n == 0 || str_is(*s, "null")) {
        *s = STR("");
        return true;
    }
    if (s->n < 2 || s->p[0] != '"' || memchr(s->p, '\\', s->n) != NULL || s->n > KUBE_TOKEN_BYTES) {
        return false;
    }
    *s = (struct str){s->p + 1, s->n - 2};
    return true;
}

int kube_list_end(const struct kube_list *l, struct kube_list_head *ret, struct err *err)
{
    struct scan s;
    struct str key;
    bool first = true, escaped = false, has_items = false, ok = true;
    uint32_t n = 0;
    *ret = (struct kube_list_head){0};
    if (l->in_item || l->in_string || l->depth != 0) {
        return err_set(err, -EBADMSG, "the list is cut short");
    }
    scan_init(&s, buf_view(&l->frame));
    ok = scan_object_begin(&s);
    while (ok && scan_member(&s, &first, &key, &escaped)) {
        if (str_is(key, "kind")) {
            ok = scan_skip(&s, &ret->kind);
        } else if (str_is(key, "metadata")) {
            ok = read_meta(&s, ret);
        } else if (str_is(key, "items")) {
            has_items = true;
            ok = count_items(&s, &n);
        } else {
            ok = scan_skip(&s, NULL);
        }
    }
    if (s.error != NULL || !ok || !scan_end(&s)) {
        (void)scan_error(&s, "", err);
        err->code = -EBADMSG;
        return err_context(err, "the list");
    }
    if (!has_items || n != l->n_items || !plain(&ret->kind) || !plain(&ret->resource_version) ||
        !plain(&ret->next) || ret->resource_version.n == 0) {
        return err_set(err, -EBADMSG, "the answer is no list: %s",
                       !has_items ? "items are missing"
                                  : "metadata.resourceVersion is missing or out of shape");
    }
    return 0;
}
