/* Interned text: equal strings have one number, so that policies compare integers and never text.
 *
 * Entries live as long as the table. Not thread safe; the owner of the cluster serialises. Names are opaque
 * bytes. The hash is keyed, so hostile names cannot flood one bucket.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "model/ids.h"

struct symtab {
    struct arena text;
    struct str *strs; /* by sym; strs[0] is "" ; each also NUL-terminated */
    uint32_t n, cap;
    uint32_t *slots; /* open addressing, power of two; 0 = free, else sym + 1 */
    uint32_t n_slots;
    uint64_t key0, key1;
    char *page, *spare; /* text is cut from pages, so that room can be reserved ahead */
    size_t page_left;
};

int symtab_init(struct symtab *t, uint64_t hash_seed, struct err *err) SP_MUST_CHECK;
void symtab_done(struct symtab *t);
int sym_intern(struct symtab *t, struct str s, sym *ret, struct err *err) SP_MUST_CHECK;
/* SYM_NONE when the text was never interned (or is empty). Allocates nothing. */
sym sym_find(const struct symtab *t, struct str s);
static inline struct str sym_str(const struct symtab *t, sym s)
{
    return t->strs[s.v];
}
/* Makes room ahead: the next `n` new texts of up to 64 bytes each on average allocate nothing. */
int symtab_reserve(struct symtab *t, uint32_t n, struct err *err) SP_MUST_CHECK;
