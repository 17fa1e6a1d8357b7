/* Interned text. See symtab.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/symtab.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/rng.h"

#define PAGE_BYTES     ((size_t)64 << 10)
#define FIRST_SLOTS    4096u
#define TEXT_BYTES_MAX ((size_t)4 << 30)

int symtab_init(struct symtab *t, uint64_t hash_seed, struct err *err)
{
    *t = (struct symtab){0};
    arena_init(&t->text, TEXT_BYTES_MAX);
    uint64_t state = hash_seed;
    t->key0 = rng_mix(&state);
    t->key1 = rng_mix(&state);
    t->slots = mem_calloc(FIRST_SLOTS, sizeof *t->slots);
    t->strs = mem_alloc(FIRST_SLOTS * sizeof *t->strs);
    if (t->slots == NULL || t->strs == NULL) {
        symtab_done(t);
        return err_nomem(err);
    }
    t->n_slots = FIRST_SLOTS;
    t->cap = FIRST_SLOTS;
    t->strs[0] = STR("");
    t->n = 1;
    return 0;
}

void symtab_done(struct symtab *t)
{
    if (t == NULL) {
        return;
    }
    arena_done(&t->text);
    mem_free(t->strs);
    mem_free(t->slots);
    *t = (struct symtab){0};
}

/* The slot that holds s, or the free one where it belongs. */
static uint32_t slot_of(const struct symtab *t, struct str s, uint64_t hash)
{
    uint32_t mask = t->n_slots - 1, i = (uint32_t)hash & mask;
    while (t->slots[i] != 0 && !str_eq(t->strs[t->slots[i] - 1], s)) {
        i = (i + 1) & mask;
    }
    return i;
}

sym sym_find(const struct symtab *t, struct str s)
{
    if (s.n == 0) {
        return SYM_NONE;
    }
    uint32_t slot = t->slots[slot_of(t, s, str_hash(s, t->key0, t->key1))];
    return slot == 0 ? SYM_NONE : (sym){slot - 1};
}

static int grow_slots(struct symtab *t, uint32_t want, struct err *err)
{
    uint32_t n = t->n_slots;
    while (n - n / 4 < want) {
        n *= 2;
    }
    if (n == t->n_slots) {
        return 0;
    }
    uint32_t *slots = mem_calloc(n, sizeof *slots);
    if (slots == NULL) {
        return err_nomem(err);
    }
    uint32_t *old = t->slots;
    t->slots = slots;
    t->n_slots = n;
    for (uint32_t i = 1; i < t->n; i++) {
        slots[slot_of(t, t->strs[i], str_hash(t->strs[i], t->key0, t->key1))] = i + 1;
    }
    mem_free(old);
    return 0;
}

static int grow_strs(struct symtab *t, uint32_t want, struct err *err)
{
    if (want <= t->cap) {
        return 0;
    }
    uint32_t cap = t->cap;
    while (cap < want) {
        cap *= 2;
    }
    struct str *strs = mem_realloc(t->strs, cap * sizeof *strs);
    if (strs == NULL) {
        return err_nomem(err);
    }
    t->strs = strs;
    t->cap = cap;
    return 0;
}

static char *text_room(struct symtab *t, size_t n)
{
    if (n > PAGE_BYTES / 8) {
        return arena_alloc(&t->text, n);
    }
    if (t->page_left < n) {
        t->page = t->spare != NULL ? t->spare : arena_alloc(&t->text, PAGE_BYTES);
        t->spare = NULL;
        t->page_left = t->page == NULL ? 0 : PAGE_BYTES;
    }
    if (t->page_left < n) {
        return NULL;
    }
    char *p = t->page;
    t->page += n;
    t->page_left -= n;
    return p;
}

int sym_intern(struct symtab *t, struct str s, sym *ret, struct err *err)
{
    if (s.n == 0) {
        *ret = SYM_NONE;
        return 0;
    }
    uint64_t hash = str_hash(s, t->key0, t->key1);
    uint32_t i = slot_of(t, s, hash);
    if (SP_LIKELY(t->slots[i] != 0)) {
        *ret = (sym){t->slots[i] - 1};
        return 0;
    }
    if (t->n >= LIMIT_SYMBOLS) {
        return err_set(err, -E2BIG, "more than %u distinct texts", LIMIT_SYMBOLS);
    }
    int r = grow_strs(t, t->n + 1, err);
    if (r == 0 && t->n + 1 > t->n_slots - t->n_slots / 4) {
        r = grow_slots(t, t->n + 1, err);
        i = slot_of(t, s, hash);
    }
    if (r != 0) {
        return r;
    }
    char *text = text_room(t, s.n + 1);
    if (text == NULL) {
        return err_nomem(err);
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    t->strs[t->n] = (struct str){text, s.n};
    t->slots[i] = t->n + 1;
    *ret = (sym){t->n++};
    return 0;
}

int symtab_reserve(struct symtab *t, uint32_t n, struct err *err)
{
    if (n > LIMIT_SYMBOLS - t->n) {
        n = LIMIT_SYMBOLS - t->n;
    }
    int r = grow_strs(t, t->n + n, err);
    if (r == 0) {
        r = grow_slots(t, t->n + n, err);
    }
    if (r == 0 && t->spare == NULL) {
        t->spare = arena_alloc(&t->text, PAGE_BYTES);
        r = t->spare == NULL ? err_nomem(err) : 0;
    }
    return r;
}
