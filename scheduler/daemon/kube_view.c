// SPDX-License-Identifier: Apache-2.0
#include "daemon/kube_view.h"

#include <stdatomic.h>

void kube_view_init(struct kube_view *v)
{
    *v = (struct kube_view){0};
    (void)pthread_mutex_init(&v->lock, NULL);
    for (int i = 0; i < KUBE_KINDS; i++) {
        v->rows[i].fresh_ms = -1;
    }
}

void kube_view_done(struct kube_view *v)
{
    (void)pthread_mutex_destroy(&v->lock);
}

void kube_view_set(struct kube_view *v, enum kube_kind kind, const struct kube_view_row *row)
{
    (void)pthread_mutex_lock(&v->lock);
    v->rows[kind] = *row;
    (void)pthread_mutex_unlock(&v->lock);
}

static int64_t age_of(const struct kube_view_row *r, int64_t now_ms)
{
    if (r->absent || r->fresh_ms == KUBE_WATCHING) {
        return 0;
    }
    if (r->fresh_ms < 0) {
        return -1;
    }
    return now_ms > r->fresh_ms ? now_ms - r->fresh_ms : 0;
}

int64_t kube_view_age_ms(struct kube_view *v, int64_t now_ms)
{
    int64_t worst = 0;
    (void)pthread_mutex_lock(&v->lock);
    for (int i = 0; i < KUBE_KINDS && worst >= 0; i++) {
        int64_t age = age_of(&v->rows[i], now_ms);
        worst = age < 0 || age > worst ? age : worst;
    }
    (void)pthread_mutex_unlock(&v->lock);
    return worst;
}

static bool write_row(const struct kube_view_row *r, const char *name, int64_t now_ms,
                      int64_t max_age_ms, struct buf *out)
{
    int64_t age = age_of(r, now_ms);
    bool barred = r->last == KUBE_UNAUTHORIZED || r->last == KUBE_FORBIDDEN;
    if (age >= 0 && age <= max_age_ms && !barred) {
        buf_printf(out, "[+]informer-sync/%s ok%s\n", name,
                   r->absent ? " (the API does not exist here)" : "");
        return true;
    }
    buf_printf(out, "[-]informer-sync/%s failed: %s", name,
               age < 0  ? "waiting for the first list"
               : barred ? ""
                        : "stale");
    if (age >= 0 && !barred) {
        buf_printf(out, " for %lld s", (long long)(age / 1000));
    }
    if (r->last != KUBE_FINE) {
        buf_printf(out, "%s%s: %s", age < 0 || !barred ? "; " : "", kube_fault_name(r->last),
                   r->text);
    }
    buf_char(out, '\n');
    return false;
}

bool kube_view_write(struct kube_view *v, int64_t now_ms, int64_t max_age_ms, struct buf *out)
{
    bool ok = true;
    (void)pthread_mutex_lock(&v->lock);
    for (int i = 0; i < KUBE_KINDS; i++) {
        bool row_ok = write_row(&v->rows[i], kube_resources[i].name, now_ms, max_age_ms, out);
        ok = ok && row_ok;
    }
    (void)pthread_mutex_unlock(&v->lock);
    return ok;
}
