/* Maps, label sets, resource names, small blocks. See cluster_store.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "model/cluster_store.h"

/* ---- maps ---- */

uint64_t mix64(uint64_t h, uint64_t v)
{
    h ^= v + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

static uint32_t map_home(const struct map64 *m, uint64_t key)
{
    return (uint32_t)mix64(0, key) & (m->cap - 1);
}

static uint32_t map_slot(const struct map64 *m, uint64_t key)
{
    uint32_t i = map_home(m, key);
    while (m->vals[i] != IX_NONE && m->keys[i] != key) {
        i = (i + 1) & (m->cap - 1);
    }
    return i;
}

uint32_t map64_get(const struct map64 *m, uint64_t key)
{
    return m->n == 0 ? IX_NONE : m->vals[map_slot(m, key)];
}

int map64_reserve(struct map64 *m, uint32_t want, struct err *err)
{
    uint32_t cap = m->cap == 0 ? 16 : m->cap;
    while (cap - cap / 4 < want) {
        cap *= 2;
    }
    if (cap == m->cap) {
        return 0;
    }
    struct map64 bigger = {mem_alloc(cap * sizeof(uint64_t)), mem_alloc(cap * sizeof(uint32_t)), 0,
                           cap};
    if (bigger.keys == NULL || bigger.vals == NULL) {
        map64_done(&bigger);
        return err_nomem(err);
    }
    memset(bigger.vals, 0xff, cap * sizeof(uint32_t));
    for (uint32_t i = 0; i < m->cap; i++) {
        if (m->vals[i] != IX_NONE) {
            map64_put(&bigger, m->keys[i], m->vals[i]);
        }
    }
    map64_done(m);
    *m = bigger;
    return 0;
}

void map64_put(struct map64 *m, uint64_t key, uint32_t val)
{
    check(m->cap > 0 && val != IX_NONE);
    uint32_t i = map_slot(m, key);
    m->n += m->vals[i] == IX_NONE;
    check(m->n < m->cap);
    m->keys[i] = key;
    m->vals[i] = val;
}

void map64_del(struct map64 *m, uint64_t key)
{
    if (m->n == 0) {
        return;
    }
    uint32_t i = map_slot(m, key), mask = m->cap - 1;
    if (m->vals[i] == IX_NONE) {
        return;
    }
    m->n--;
    for (uint32_t j = i;;) { /* shift back what stands behind, so that no hole breaks a chain */
        m->vals[i] = IX_NONE;
        uint32_t home;
        do {
            j = (j + 1) & mask;
            if (m->vals[j] == IX_NONE) {
                return;
            }
            home = map_home(m, m->keys[j]);
        } while (((j - home) & mask) < ((j - i) & mask));
        m->keys[i] = m->keys[j];
        m->vals[i] = m->vals[j];
        i = j;
    }
}

void map64_done(struct map64 *m)
{
    mem_free(m->keys);
    mem_free(m->vals);
    *m = (struct map64){0};
}

/* ---- label sets ---- */

#define SET_PAGE_BYTES ((size_t)64 << 10)

static struct label *set_room(struct cluster_tables *t, uint32_t n)
{
    size_t bytes = n * sizeof(struct label);
    if (bytes > SET_PAGE_BYTES / 8) {
        return arena_alloc(&t->arena, bytes);
    }
    if (t->page_left < bytes) {
        t->page = t->spare != NULL ? t->spare : arena_alloc(&t->arena, SET_PAGE_BYTES);
        t->spare = NULL;
        t->page_left = t->page == NULL ? 0 : SET_PAGE_BYTES;
    }
    if (t->page_left < bytes) {
        return NULL;
    }
    struct label *p = (struct label *)(void *)t->page;
    t->page += bytes;
    t->page_left -= bytes;
    return p;
}

static int sets_grow(struct cluster_tables *t, uint32_t want, struct err *err)
{
    if (want > t->cap_sets) {
        uint32_t cap = t->cap_sets == 0 ? 1024 : t->cap_sets;
        while (cap < want) {
            cap *= 2;
        }
        struct labelset *sets = mem_realloc(t->sets, cap * sizeof *sets);
        t->sets = sets == NULL ? t->sets : sets;
        uint64_t *hashes = mem_realloc(t->set_hash, cap * sizeof *hashes);
        t->set_hash = hashes == NULL ? t->set_hash : hashes;
        if (sets == NULL || hashes == NULL) {
            return err_nomem(err);
        }
        t->cap_sets = cap;
    }
    uint32_t n_slots = t->n_set_slots == 0 ? 2048 : t->n_set_slots;
    while (n_slots - n_slots / 4 < want + 1) {
        n_slots *= 2;
    }
    if (n_slots == t->n_set_slots) {
        return 0;
    }
    uint32_t *slots = mem_calloc(n_slots, sizeof *slots);
    if (slots == NULL) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < t->n_sets; i++) {
        uint32_t at = (uint32_t)t->set_hash[i] & (n_slots - 1);
        while (slots[at] != 0) {
            at = (at + 1) & (n_slots - 1);
        }
        slots[at] = i + 1;
    }
    mem_free(t->set_slots);
    t->set_slots = slots;
    t->n_set_slots = n_slots;
    return 0;
}

static void sort_labels(struct label *p, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        struct label x = p[i];
        uint32_t j = i;
        for (; j > 0 && p[j - 1].key.v > x.key.v; j--) {
            p[j] = p[j - 1];
        }
        p[j] = x;
    }
}

int labelset_intern(struct cluster *c, struct label *labels, uint32_t n, labelset_ix *ret,
                    struct err *err)
{
    struct cluster_tables *t = c->t;
    sort_labels(labels, n);
    uint32_t kept = 0;
    uint64_t hash = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i + 1 < n && labels[i + 1].key.v == labels[i].key.v) {
            continue; /* the sort is stable: the last value of a key stays */
        }
        labels[kept++] = labels[i];
        hash = mix64(hash, key2(labels[i].key.v, labels[i].val.v));
    }
    int r = t->n_sets + 1 > t->cap_sets || t->n_sets + 2 > t->n_set_slots - t->n_set_slots / 4
                ? sets_grow(t, t->n_sets + 1, err)
                : 0;
    if (r != 0) {
        return r;
    }
    uint32_t at = (uint32_t)hash & (t->n_set_slots - 1);
    for (; t->set_slots[at] != 0; at = (at + 1) & (t->n_set_slots - 1)) {
        uint32_t i = t->set_slots[at] - 1;
        if (t->set_hash[i] == hash && t->sets[i].n == kept &&
            (kept == 0 || memcmp(t->sets[i].p, labels, kept * sizeof *labels) == 0)) {
            *ret = (labelset_ix){i};
            return 0;
        }
    }
    struct label *copy = kept == 0 ? NULL : set_room(t, kept);
    if (kept > 0 && copy == NULL) {
        return err_nomem(err);
    }
    if (kept > 0) {
        memcpy(copy, labels, kept * sizeof *labels);
    }
    t->sets[t->n_sets] = (struct labelset){copy, kept};
    t->set_hash[t->n_sets] = hash;
    t->set_slots[at] = t->n_sets + 1;
    *ret = (labelset_ix){t->n_sets++};
    return 0;
}

int labelsets_reserve(struct cluster *c, uint32_t n, struct err *err)
{
    struct cluster_tables *t = c->t;
    bool tight = t->cap_sets - t->n_sets < n / 2 || t->n_set_slots / 4 * 3 < t->n_sets + n / 2;
    int r = tight ? sets_grow(t, t->n_sets + n, err) : 0;
    if (r == 0 && t->spare == NULL) {
        t->spare = arena_alloc(&t->arena, SET_PAGE_BYTES);
        r = t->spare == NULL ? err_nomem(err) : 0;
    }
    return r;
}

int labelset_from(struct cluster *c, kv_list kv, struct arena *scratch, labelset_ix *ret,
                  struct err *err)
{
    if (kv.n > LIMIT_LABELS) {
        return err_set(err, -E2BIG, "labels: %u of them; at most %d are taken", kv.n, LIMIT_LABELS);
    }
    struct label *labels = arena_alloc(scratch, kv.n * sizeof *labels);
    if (labels == NULL) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < kv.n; i++) {
        int r = sym_intern(c->syms, kv.p[i].key, &labels[i].key, err);
        r = r != 0 ? r : sym_intern(c->syms, kv.p[i].val, &labels[i].val, err);
        if (r != 0) {
            return r;
        }
    }
    return labelset_intern(c, labels, kv.n, ret, err);
}

struct labelset cluster_labels(const struct cluster *c, labelset_ix ix)
{
    check(ix.v < c->t->n_sets);
    return c->t->sets[ix.v];
}

/* ---- resources ---- */

int resource_intern(struct cluster *c, struct str name, res_ix *ret, struct err *err)
{
    sym s;
    int r = sym_intern(c->syms, name, &s, err);
    if (r != 0) {
        return r;
    }
    uint32_t known = map64_get(&c->t->res_of, s.v);
    if (known != IX_NONE) {
        *ret = (res_ix){known};
        return 0;
    }
    if (c->n_res >= LIMIT_RESOURCES) {
        return err_set(err, -E2BIG, "resource \"%.64s\": more than %d names in one cluster",
                       sym_str(c->syms, s).p, LIMIT_RESOURCES);
    }
    r = map64_reserve(&c->t->res_of, c->n_res + 1, err);
    if (r != 0) {
        return r;
    }
    uint32_t rows = c->cap_rows == 0 ? 1 : c->cap_rows;
    int64_t *alloc = mem_calloc(rows, sizeof *alloc), *used = mem_calloc(rows, sizeof *used);
    if (alloc == NULL || used == NULL) {
        mem_free(alloc);
        mem_free(used);
        return err_nomem(err);
    }
    uint32_t i = c->n_res++;
    c->res_name[i] = s;
    c->alloc[i] = alloc;
    c->used[i] = used;
    map64_put(&c->t->res_of, s.v, i);
    *ret = (res_ix){i};
    return 0;
}

res_ix cluster_find_resource(const struct cluster *c, struct str name)
{
    sym s = sym_find(c->syms, name);
    return (res_ix){s.v == 0 ? IX_NONE : map64_get(&c->t->res_of, s.v)};
}

/* ---- small blocks ---- */

#define POOL_CHUNK_BYTES ((size_t)64 << 10)

static unsigned pool_class(size_t n)
{
    unsigned k = 0;
    for (size_t size = 16; size < n; size *= 2) {
        k++;
    }
    return k;
}

void *pool_alloc(struct cluster *c, size_t n)
{
    struct cluster_tables *t = c->t;
    unsigned k = pool_class(n);
    if (k >= POOL_SIZES) {
        return mem_alloc(n);
    }
    if (t->pool_free[k] != NULL) {
        void *p = t->pool_free[k];
        memcpy(&t->pool_free[k], p, sizeof(void *));
        return p;
    }
    size_t size = (size_t)16 << k;
    if (t->pool_left < size) {
        char *chunk = arena_alloc(&t->pool, POOL_CHUNK_BYTES);
        if (chunk == NULL) {
            return NULL;
        }
        t->pool_chunk = chunk;
        t->pool_left = POOL_CHUNK_BYTES;
    }
    void *p = t->pool_chunk;
    t->pool_chunk += size;
    t->pool_left -= size;
    return p;
}

void pool_free(struct cluster *c, void *p, size_t n)
{
    if (p == NULL) {
        return;
    }
    unsigned k = pool_class(n);
    if (k >= POOL_SIZES) {
        mem_free(p);
        return;
    }
    memcpy(p, &c->t->pool_free[k], sizeof(void *));
    c->t->pool_free[k] = p;
}
