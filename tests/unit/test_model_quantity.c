/* Quantities: every suffix, exponents, rounding, limits.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/quantity.h"

static const struct {
    const char *text;
    int64_t units, milli;
} good[] = {
    {"0", 0, 0},
    {"1", 1, 1000},
    {"+1", 1, 1000},
    {"-1", -1, -1000},
    {"250m", 1, 250},
    {"1.5", 2, 1500},
    {".5", 1, 500},
    {"5.", 5, 5000},
    {"1n", 1, 1},
    {"999999n", 1, 1},
    {"1000001n", 1, 2},
    {"1u", 1, 1},
    {"1500u", 1, 2},
    {"0.1m", 1, 1},
    {"0.0000000001", 1, 1},
    {"1k", 1000, 1000000},
    {"2M", 2000000, 2000000000},
    {"3G", 3000000000, 3000000000000},
    {"4T", 4000000000000, 4000000000000000},
    {"5P", 5000000000000000, 5000000000000000000},
    {"6E", 6000000000000000000, INT64_MAX},
    {"1Ki", 1024, 1024000},
    {"0.1Ki", 103, 102400},
    {"1.5Ki", 1536, 1536000},
    {"1Mi", 1048576, 1048576000},
    {"2Gi", INT64_C(2) << 30, INT64_C(2000) << 30},
    {"3Ti", INT64_C(3) << 40, INT64_C(3000) << 40},
    {"1Pi", INT64_C(1) << 50, INT64_C(1000) << 50},
    {"1Ei", INT64_C(1) << 60, INT64_MAX},
    {"8Ei", INT64_MAX, INT64_MAX},
    {"100E", INT64_MAX, INT64_MAX},
    {"-100E", -INT64_MAX, INT64_MIN},
    {"1e3", 1000, 1000000},
    {"1E3", 1000, 1000000},
    {"12e-1", 2, 1200},
    {"1e+2", 100, 100000},
    {"5e-10", 1, 1},
    {"1e-400", 1, 1},
    {"1e400", INT64_MAX, INT64_MAX},
    {"0e400", 0, 0},
    {"9223372036854775807", INT64_MAX, INT64_MAX},
    {"9223372036854775808", INT64_MAX, INT64_MAX},
    {"123456789012345678901234567890123456789012", INT64_MAX, INT64_MAX},
    {"0.123456789012345678901234567890123456789012", 1, 124},
    {"000000000000000000000000000000000000000001", 1, 1000},
    {"1.000000000000000000000000000000000000000001", 2, 1001},
    {"64Gi", INT64_C(64) << 30, INT64_C(64000) << 30},
    {"-1500m", -2, -1500},
};

static const char *const bad[] = {"",    "m",    "1mm",   "1 ", " 1", "1K",  "1ki", "1KI",   "abc",
                                  "--1", "1..2", "1.2.3", "e3", "1e", "1e+", "1ee", "1e1.5", "0x10",
                                  "Inf", "NaN",  "1i",    "+",  ".",  "-.",  "1g",  "1Eii"};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(good); i++) {
        struct quantity q;
        struct err err;
        if (quantity_parse(str_c(good[i].text), &q, &err) != 0) {
            fail_msg("%s: %s", good[i].text, err.text);
        }
        if (quantity_units(q) != good[i].units || quantity_milli(q) != good[i].milli) {
            fail_msg("%s: %lld units, %lld milli", good[i].text, (long long)quantity_units(q),
                     (long long)quantity_milli(q));
        }
    }
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(bad); i++) {
        struct quantity q = {42};
        struct err err = ERR_NONE;
        if (quantity_parse(str_c(bad[i]), &q, &err) == 0) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
        assert_true(q.nano == 42);
        assert_true(str_contains(str_c(err.text), STR("allowed")));
    }
}

static void test_sums_are_exact_and_saturate(void **state)
{
    (void)state;
    struct err err;
    struct quantity tenth, sum = QUANTITY_ZERO, big;
    assert_int_equal(quantity_parse(STR("0.1"), &tenth, &err), 0);
    for (int i = 0; i < 10; i++) {
        sum = quantity_add(sum, tenth);
    }
    assert_int_equal(quantity_milli(sum), 1000);
    assert_int_equal(quantity_cmp(sum, tenth), 1);
    assert_int_equal(quantity_parse(STR("8E"), &big, &err), 0);
    assert_true(quantity_units(quantity_add(big, big)) == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
                                       cmocka_unit_test(test_sums_are_exact_and_saturate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
