/* base: memory, arenas, growable arrays, errors.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"

static void mem_counts_and_frees(void **state)
{
    (void)state;
    uint64_t before = mem_count(), mine = mem_thread_count();
    void *a = mem_alloc(0), *b = mem_calloc(3, 5);
    char *c = mem_strdup("word");
    assert_non_null(a);
    assert_non_null(b);
    assert_string_equal(c, "word");
    assert_memory_equal(b, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15);
    a = mem_realloc(a, 100);
    assert_non_null(a);
    assert_int_equal(mem_count() - before, 4);
    assert_int_equal(mem_thread_count() - mine, 4);
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(NULL);
    assert_int_equal(mem_count() - before, 4);
}

static void mem_calloc_refuses_overflow(void **state)
{
    (void)state;
    volatile size_t huge = SIZE_MAX / 2;
    void *p = mem_calloc(huge, 3);
    assert_null(p);
}

static void mem_fails_the_nth(void **state)
{
    (void)state;
    mem_fail_at(3, false);
    void *a = mem_alloc(1), *b = mem_alloc(1), *c = mem_alloc(1), *d = mem_alloc(1);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(c);
    assert_non_null(d);
    assert_true(mem_failed());
    mem_free(a);
    mem_free(b);
    mem_free(d);
    mem_fail_at(2, true);
    assert_false(mem_failed());
    a = mem_alloc(1);
    assert_non_null(a);
    for (int i = 0; i < 5; i++) {
        assert_null(mem_alloc(1));
    }
    b = mem_realloc(a, 50); /* the old block stays valid */
    assert_null(b);
    mem_fail_at(0, false);
    assert_false(mem_failed());
    mem_free(a);
}

static void *allocate_some(void *unused)
{
    uint64_t before = mem_thread_count();
    for (int i = 0; i < 1000; i++) {
        mem_free(mem_alloc(8));
    }
    uint64_t *ret = unused;
    *ret = mem_thread_count() - before;
    return NULL;
}

static void mem_counts_per_thread(void **state)
{
    (void)state;
    pthread_t threads[4];
    uint64_t counts[4] = {0};
    uint64_t before = mem_count(), mine = mem_thread_count();
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_some, &counts[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(counts[i], 1000);
    }
    assert_int_equal(mem_count() - before, 4000);
    assert_int_equal(mem_thread_count() - mine, 0);
}

static void arena_gives_aligned_pieces(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1u << 20);
    for (size_t n = 0; n < 300; n++) {
        char *p = arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, 0xa5, n);
    }
    int *zeros = arena_calloc(&a, 100, sizeof *zeros);
    assert_non_null(zeros);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(zeros[i], 0);
    }
    struct str copy = arena_str(&a, STR("spawn"));
    assert_string_equal(copy.p, "spawn");
    assert_int_equal(copy.n, 5);
    struct str empty = arena_str(&a, STR_NONE);
    assert_non_null(empty.p);
    assert_int_equal(empty.n, 0);
    arena_done(&a);
    assert_int_equal(a.held_bytes, 0);
}

static void arena_respects_its_maximum(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 4096);
    assert_null(arena_alloc(&a, 4097));
    assert_null(arena_alloc(&a, SIZE_MAX));
    volatile size_t huge = SIZE_MAX / 4;
    assert_null(arena_calloc(&a, huge, 8));
    size_t pieces = 0;
    while (arena_alloc(&a, 64) != NULL) {
        pieces++;
    }
    assert_int_equal(pieces, 64);
    assert_null(arena_alloc(&a, 1));
    arena_reset(&a);
    assert_int_equal(a.used_bytes, 0);
    assert_int_equal(a.peak_bytes, 4096);
    assert_non_null(arena_alloc(&a, 4096));
    arena_done(&a);
}

static void arena_reset_keeps_the_largest_chunk(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    skip(); /* here every piece is a block of its own */
#endif
    struct arena a;
    arena_init(&a, 64u << 20);
    for (int i = 0; i < 1000; i++) {
        assert_non_null(arena_alloc(&a, 1000));
    }
    arena_reset(&a);
    uint64_t before = mem_count();
    for (int i = 0; i < 200; i++) {
        assert_non_null(arena_alloc(&a, 1000));
    }
    assert_int_equal(mem_count(), before);
    arena_done(&a);
}

static void arena_survives_short_memory(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1u << 20);
    mem_fail_at(1, false);
    assert_null(arena_alloc(&a, 10));
    mem_fail_at(1, false);
    assert_null(arena_str(&a, STR("x")).p);
    mem_fail_at(0, false);
    assert_int_equal(a.used_bytes, 0);
    assert_non_null(arena_alloc(&a, 10));
    arena_done(&a);
}

static void vec_grows_to_its_maximum(void **state)
{
    (void)state;
    VEC(int) v = {0};
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(VEC_PUSH(&v, i, 1000), 0);
    }
    assert_int_not_equal(VEC_PUSH(&v, 1000, 1000), 0);
    assert_int_equal(v.n, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(v.p[i], i);
    }
    assert_int_equal(VEC_RESERVE(&v, 1001, 1000), -E2BIG);
    VEC_DONE(&v);
    assert_null(v.p);
    mem_fail_at(1, false);
    assert_int_not_equal(VEC_PUSH(&v, 1, 1000), 0);
    mem_fail_at(0, false);
    assert_int_equal(v.n, 0);
    assert_int_equal(VEC_RESERVE(&v, SIZE_MAX / 4, SIZE_MAX), -ENOMEM);
    VEC_DONE(&v);
}

struct entry {
    int key;
    bool oom;
    UT_hash_handle hh;
};

static void map_survives_short_memory(void **state)
{
    (void)state;
    struct entry *map = NULL, one = {.key = 1}, two = {.key = 2};
    mem_fail_at(1, true);
    HASH_ADD_INT(map, key, &one);
    mem_fail_at(0, false);
    assert_true(one.oom);
    assert_null(map);
    HASH_ADD_INT(map, key, &two);
    assert_false(two.oom);
    struct entry *found = NULL;
    int key = 2;
    HASH_FIND_INT(map, &key, found);
    assert_ptr_equal(found, &two);
    HASH_CLEAR(hh, map);
}

static void err_carries_context(void **state)
{
    (void)state;
    struct err err = ERR_NONE;
    char out[ERR_TEXT_MAX + 300];
    assert_int_equal(err_set(&err, -EINVAL, "expected %s, found %d", "a name", 7), -EINVAL);
    assert_int_equal(err_context(&err, "spec.%s", "x"), -EINVAL);
    assert_string_equal(err.text, "spec.x: expected a name, found 7");
    assert_string_equal(err_format(&err, out, sizeof out), "spec.x: expected a name, found 7");
    assert_int_equal(err_at(&err, NULL, 3, 0), -EINVAL);
    assert_string_equal(err_format(&err, out, sizeof out),
                        "line 3: spec.x: expected a name, found 7");
    err.line = 0;
    assert_int_equal(err_at(&err, "a.yaml", 3, 9), -EINVAL);
    assert_int_equal(err_at(&err, "other.yaml", 4, 1), -EINVAL); /* the first place stays */
    assert_string_equal(err_format(&err, out, sizeof out),
                        "a.yaml:3:9: spec.x: expected a name, found 7");
    assert_string_equal(err_format(&err, out, 7), "a.yaml");
    assert_int_equal(err_nomem(&err), -ENOMEM);
    assert_string_equal(err.text, "out of memory");
    assert_int_equal(err.line, 0);
}

static void err_is_bounded_and_clean(void **state)
{
    (void)state;
    struct err err = ERR_NONE;
    char longer[2000];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(err_set(&err, -EINVAL, "a\nb\x1b[31m\x7f%s", longer), -EINVAL);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    assert_memory_equal(err.text, "a?b?[31m?xxx", 12);
    assert_int_equal(err_context(&err, "%s", "front"), -EINVAL);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    assert_memory_equal(err.text, "front: a?b", 10);
    assert_int_equal(err_context(&err, "%s", longer), -EINVAL);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    assert_int_equal(err_at(&err, longer, 1, 1), -EINVAL);
    assert_memory_equal(err.file, "...xxx", 6);
    assert_int_equal(strlen(err.file), sizeof err.file - 1);
    /* a character of three bytes is not cut in half */
    memset(longer, 'x', ERR_TEXT_MAX - 2);
    memcpy(longer + ERR_TEXT_MAX - 2, "\xe2\x82\xac", 4);
    assert_int_equal(err_set(&err, -EINVAL, "%s", longer), -EINVAL);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mem_counts_and_frees),
        cmocka_unit_test(mem_calloc_refuses_overflow),
        cmocka_unit_test(mem_fails_the_nth),
        cmocka_unit_test(mem_counts_per_thread),
        cmocka_unit_test(arena_gives_aligned_pieces),
        cmocka_unit_test(arena_respects_its_maximum),
        cmocka_unit_test(arena_reset_keeps_the_largest_chunk),
        cmocka_unit_test(arena_survives_short_memory),
        cmocka_unit_test(vec_grows_to_its_maximum),
        cmocka_unit_test(map_survives_short_memory),
        cmocka_unit_test(err_carries_context),
        cmocka_unit_test(err_is_bounded_and_clean),
    };
    return cmocka_run_group_tests_name("base memory", tests, NULL, NULL);
}
