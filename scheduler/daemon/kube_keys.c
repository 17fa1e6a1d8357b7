// SPDX-License-Identifier: Apache-2.0
#include "daemon/kube_keys.h"

#include "base/limits.h"
#include "base/mem.h"

#define KEY0 UINT64_C(0x6b756265736e6163)
#define KEY1 UINT64_C(0x68656b6579736574)

struct kube_key {
    uint64_t hash, uid; /* uid: hash of it; 0 = none */
    uint32_t gen, n_ns, n_name;
    char text[]; /* namespace, name */
};

static uint64_t hash_of(struct str ns, struct str name)
{
    return str_hash(ns, KEY0, KEY1) * 31 + str_hash(name, KEY1, KEY0);
}

static uint64_t uid_of(struct str uid)
{
    return uid.n > 0 ? str_hash(uid, KEY0, KEY0) | 1 : 0;
}

static bool is(const struct kube_key *e, uint64_t hash, struct str ns, struct str name)
{
    return e->hash == hash && str_eq((struct str){e->text, e->n_ns}, ns) &&
           str_eq((struct str){e->text + e->n_ns, e->n_name}, name);
}

static uint32_t slot_of(const struct kube_keys *k, uint64_t hash, struct str ns, struct str name)
{
    uint32_t at = (uint32_t)hash & (k->cap - 1);
    while (k->slots[at] != NULL && !is(k->slots[at], hash, ns, name)) {
        at = (at + 1) & (k->cap - 1);
    }
    return at;
}

void kube_keys_done(struct kube_keys *k)
{
    for (uint32_t i = 0; i < k->cap; i++) {
        mem_free(k->slots[i]);
    }
    mem_free(k->slots);
    *k = (struct kube_keys){0};
}

static int grow(struct kube_keys *k, struct err *err)
{
    uint32_t cap = k->cap > 0 ? k->cap * 2 : 16;
    struct kube_key **slots = cap <= LIMIT_PODS * 2 ? mem_calloc(cap, sizeof *slots) : NULL;
    if (slots == NULL) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < k->cap; i++) {
        struct kube_key *e = k->slots[i];
        if (e != NULL) {
            uint32_t at = (uint32_t)e->hash & (cap - 1);
            while (slots[at] != NULL) {
                at = (at + 1) & (cap - 1);
            }
            slots[at] = e;
        }
    }
    mem_free(k->slots);
    k->slots = slots;
    k->cap = cap;
    return 0;
}

int kube_keys_put(struct kube_keys *k, struct str ns, struct str name, struct str uid, uint32_t gen,
                  enum kube_key_was *ret, struct err *err)
{
    if (k->n + 1 > k->cap / 4 * 3 && grow(k, err) != 0) {
        return err->code;
    }
    uint64_t hash = hash_of(ns, name), id = uid_of(uid);
    uint32_t at = slot_of(k, hash, ns, name);
    struct kube_key *e = k->slots[at];
    *ret = KUBE_KEY_SAME;
    if (e != NULL) {
        if (e->uid != id && e->uid != 0 && id != 0) {
            *ret = KUBE_KEY_OTHER_UID;
        }
        e->uid = id != 0 ? id : e->uid;
        e->gen = gen;
        return 0;
    }
    e = mem_alloc(sizeof *e + ns.n + name.n);
    if (e == NULL) {
        return err_nomem(err);
    }
    *e = (struct kube_key){
        .hash = hash, .uid = id, .gen = gen, .n_ns = (uint32_t)ns.n, .n_name = (uint32_t)name.n};
    if (ns.n > 0) {
        memcpy(e->text, ns.p, ns.n);
    }
    if (name.n > 0) {
        memcpy(e->text + ns.n, name.p, name.n);
    }
    k->slots[at] = e;
    k->n++;
    *ret = KUBE_KEY_NEW;
    return 0;
}

/* Empties a slot and moves up what stood behind it, so that no chain is broken. */
static void drop(struct kube_keys *k, uint32_t i)
{
    uint32_t mask = k->cap - 1;
    mem_free(k->slots[i]);
    k->n--;
    for (uint32_t j = i;;) {
        uint32_t home;
        k->slots[i] = NULL;
        do {
            j = (j + 1) & mask;
            if (k->slots[j] == NULL) {
                return;
            }
            home = (uint32_t)k->slots[j]->hash & mask;
        } while (((j - home) & mask) < ((j - i) & mask));
        k->slots[i] = k->slots[j];
        i = j;
    }
}

bool kube_keys_take(struct kube_keys *k, struct str ns, struct str name, struct str uid)
{
    if (k->n == 0) {
        return false;
    }
    uint32_t at = slot_of(k, hash_of(ns, name), ns, name);
    uint64_t id = uid_of(uid);
    const struct kube_key *e = k->slots[at];
    if (e == NULL || (e->uid != 0 && id != 0 && e->uid != id)) {
        return false;
    }
    drop(k, at);
    return true;
}

void kube_keys_sweep(struct kube_keys *k, uint32_t gen,
                     void (*gone)(void *ctx, struct str ns, struct str name), void *ctx)
{
    for (uint32_t i = 0; i < k->cap; i++) {
        while (k->slots[i] != NULL && k->slots[i]->gen != gen) { /* another may have moved up */
            const struct kube_key *e = k->slots[i];
            gone(ctx, (struct str){e->text, e->n_ns}, (struct str){e->text + e->n_ns, e->n_name});
            drop(k, i);
        }
    }
}
