/* The pages that are written from tables are in step with them. With SPAWNPOINT_WRITE_DOCS=1 it writes them.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/file.h"
#include "support/gen_docs.h"

static void check_page(const char *path, void (*gen)(struct buf *out))
{
    struct buf out CLEANUP_BUF;
    struct err err = ERR_NONE;
    char *have = NULL;
    size_t n = 0;
    buf_init(&out, 1u << 20);
    gen(&out);
    assert_false(out.broken);
    if (getenv("SPAWNPOINT_WRITE_DOCS") != NULL) {
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(out.p, 1, out.n, f), out.n);
        assert_int_equal(fclose(f), 0);
    }
    if (conf_read_file(path, 1u << 20, &have, &n, &err) != 0) {
        fail_msg("%s", err.text);
    }
    bool same = n == out.n && memcmp(have, out.p, n) == 0;
    mem_free(have);
    if (!same) {
        fail_msg("%s is out of step with its table: run this test with SPAWNPOINT_WRITE_DOCS=1",
                 path);
    }
}

static void test_config_page(void **state)
{
    (void)state;
    check_page(SP_TEST_SOURCE_DIR "/docs/config.md", gen_config_page);
}

static void test_conventions_page(void **state)
{
    (void)state;
    check_page(SP_TEST_SOURCE_DIR "/docs/conventions.md", gen_conventions_page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_config_page),
                                       cmocka_unit_test(test_conventions_page)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
