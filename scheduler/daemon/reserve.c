// SPDX-License-Identifier: Apache-2.0
#include "daemon/reserve.h"

#include "base/mem.h"

#define BUCKETS      65536u
#define TRACKS_FIRST 4096u
#define TRACKS_MAX   131072u

static void free_push(struct reserve *r, uint32_t at)
{
    r->p[at] = (struct track){.bucket_next = r->free_list, .row = POD_NONE, .row_whole = POD_NONE};
    r->free_list = at;
}

static int grow(struct reserve *r, uint32_t cap)
{
    struct track *p = mem_realloc(r->p, (size_t)cap * sizeof *p);
    if (!p) {
        return -1;
    }
    r->p = p;
    for (uint32_t i = cap; i > r->cap; i--) {
        free_push(r, i - 1);
    }
    r->cap = cap;
    return 0;
}

int reserve_init(struct reserve *r, uint64_t seed, struct err *err)
{
    *r = (struct reserve){.free_list = RESERVE_NONE,
                          .oldest = RESERVE_NONE,
                          .newest = RESERVE_NONE,
                          .first = RESERVE_NONE,
                          .last = RESERVE_NONE,
                          .key0 = seed ^ 0x9e3779b97f4a7c15u,
                          .key1 = seed * 0xbf58476d1ce4e5b9u + 1};
    r->buckets = mem_alloc(BUCKETS * sizeof *r->buckets);
    if (!r->buckets || grow(r, TRACKS_FIRST) != 0) {
        reserve_done(r);
        return err_nomem(err);
    }
    memset(r->buckets, 0xff, BUCKETS * sizeof *r->buckets);
    return 0;
}

void reserve_done(struct reserve *r)
{
    mem_free(r->p);
    mem_free(r->buckets);
    *r = (struct reserve){0};
}

struct pod_key reserve_key(const struct reserve *r, struct str uid, struct str ns, struct str name)
{
    if (uid.n > 0) {
        return (struct pod_key){str_hash(uid, r->key0, r->key1), str_hash(uid, r->key1, r->key0)};
    }
    return (struct pod_key){str_hash(ns, r->key0, r->key1) ^ 1, str_hash(name, r->key1, r->key0)};
}

uint32_t reserve_find(const struct reserve *r, struct pod_key key)
{
    uint32_t at = r->buckets[key.a % BUCKETS];
    while (at != RESERVE_NONE && (r->p[at].key.a != key.a || r->p[at].key.b != key.b)) {
        at = r->p[at].bucket_next;
    }
    return at;
}

static void age_unlink(struct reserve *r, uint32_t at)
{
    struct track *t = &r->p[at];
    if (t->older != RESERVE_NONE) {
        r->p[t->older].newer = t->newer;
    } else {
        r->oldest = t->newer;
    }
    if (t->newer != RESERVE_NONE) {
        r->p[t->newer].older = t->older;
    } else {
        r->newest = t->older;
    }
}

static void age_append(struct reserve *r, uint32_t at)
{
    struct track *t = &r->p[at];
    t->older = r->newest;
    t->newer = RESERVE_NONE;
    if (r->newest != RESERVE_NONE) {
        r->p[r->newest].newer = at;
    } else {
        r->oldest = at;
    }
    r->newest = at;
}

static void drop(struct reserve *r, uint32_t at)
{
    uint32_t *link = &r->buckets[r->p[at].key.a % BUCKETS];
    while (*link != at) {
        link = &r->p[*link].bucket_next;
    }
    *link = r->p[at].bucket_next;
    age_unlink(r, at);
    free_push(r, at);
    r->n--;
}

static uint32_t take_free(struct reserve *r)
{
    if (r->free_list == RESERVE_NONE && r->cap < TRACKS_MAX) {
        (void)grow(r, r->cap * 2);
    }
    if (r->free_list == RESERVE_NONE) {
        uint32_t at = r->oldest;
        while (at != RESERVE_NONE && r->p[at].reserved) {
            at = r->p[at].newer;
        }
        if (at == RESERVE_NONE) {
            return RESERVE_NONE;
        }
        drop(r, at);
    }
    uint32_t at = r->free_list;
    r->free_list = r->p[at].bucket_next;
    return at;
}

uint32_t reserve_touch(struct reserve *r, struct pod_key key, int64_t now_ms)
{
    uint32_t at = reserve_find(r, key);
    if (at != RESERVE_NONE) {
        r->p[at].last_ms = now_ms;
        age_unlink(r, at);
        age_append(r, at);
        return at;
    }
    at = take_free(r);
    if (at == RESERVE_NONE) {
        return at;
    }
    uint32_t *bucket = &r->buckets[key.a % BUCKETS];
    r->p[at] = (struct track){.key = key,
                              .first_ms = now_ms,
                              .last_ms = now_ms,
                              .used = true,
                              .node = NODE_NONE,
                              .row = POD_NONE,
                              .row_whole = POD_NONE,
                              .bucket_next = *bucket};
    *bucket = at;
    age_append(r, at);
    r->n++;
    return at;
}

void reserve_mark(struct reserve *r, uint32_t at, int64_t now_ms)
{
    struct track *t = &r->p[at];
    check(!t->reserved);
    t->reserved = true;
    t->made_ms = now_ms;
    t->before = r->last;
    t->after = RESERVE_NONE;
    if (r->last != RESERVE_NONE) {
        r->p[r->last].after = at;
    } else {
        r->first = at;
    }
    r->last = at;
    r->n_reserved++;
}

void reserve_unmark(struct reserve *r, uint32_t at)
{
    struct track *t = &r->p[at];
    check(t->reserved);
    t->reserved = false;
    t->row = t->row_whole = POD_NONE;
    if (t->before != RESERVE_NONE) {
        r->p[t->before].after = t->after;
    } else {
        r->first = t->after;
    }
    if (t->after != RESERVE_NONE) {
        r->p[t->after].before = t->before;
    } else {
        r->last = t->before;
    }
    r->n_reserved--;
}

uint32_t reserve_expired(const struct reserve *r, int64_t now_ms, int64_t ttl_ms)
{
    return r->first != RESERVE_NONE && now_ms - r->p[r->first].made_ms >= ttl_ms ? r->first
                                                                                 : RESERVE_NONE;
}

void reserve_sweep(struct reserve *r, int64_t now_ms, int64_t keep_ms)
{
    while (r->oldest != RESERVE_NONE && !r->p[r->oldest].reserved &&
           now_ms - r->p[r->oldest].last_ms >= keep_ms) {
        drop(r, r->oldest);
    }
}

unsigned reserve_fail(struct track *t, node_ix node, bool whole)
{
    struct track_fail *least = &t->fails[0];
    for (size_t i = 0; i < RESERVE_FAILS; i++) {
        struct track_fail *f = &t->fails[i];
        if (f->count > 0 && f->node.v == node.v && f->whole == whole) {
            f->count = f->count < UINT8_MAX ? (uint8_t)(f->count + 1) : f->count;
            return f->count;
        }
        least = f->count < least->count ? f : least;
    }
    *least = (struct track_fail){node, whole, 1};
    return 1;
}

void reserve_forget_node(struct reserve *r, node_ix node, bool whole)
{
    for (uint32_t at = r->oldest; at != RESERVE_NONE; at = r->p[at].newer) {
        struct track *t = &r->p[at];
        if (t->whole == whole && t->node.v == node.v) {
            t->node = NODE_NONE;
        }
        for (size_t i = 0; i < RESERVE_FAILS; i++) {
            if (t->fails[i].count > 0 && t->fails[i].whole == whole &&
                t->fails[i].node.v == node.v) {
                t->fails[i] = (struct track_fail){0};
            }
        }
    }
}
