/* base: mathematics with the same bits everywhere. The C library's long double functions are the judge here.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/attr.h"
#include "base/fmath.h"
#include "base/rng.h"

static uint64_t bits_of(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static double ulps(double got, long double want)
{
    double near = (double)want;
    double ulp = nextafter(fabs(near), INFINITY) - fabs(near);
    return (double)(fabsl((long double)got - want) / (long double)ulp);
}

static double between(struct rng *rng, double low, double high)
{
    return low + (high - low) * rng_unit(rng);
}

static void accuracy_is_better_than_2_ulp(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 42);
    double worst[6] = {0};
    for (int i = 0; i < 300000; i++) {
        double x = between(&rng, -740, 709), y = between(&rng, -30, 30),
               z = between(&rng, 1e-4, 3e4);
        double angle = between(&rng, -1e5, 1e5), small = between(&rng, -4, 4),
               part = between(&rng, -1, 1);
        if (x > -708) {
            worst[0] = fmax(worst[0], ulps(fm_exp(x), expl((long double)x)));
        }
        worst[1] = fmax(worst[1], ulps(fm_log(z), logl((long double)z)));
        worst[1] =
            fmax(worst[1], ulps(fm_log(1 + part * 0.4), logl((long double)(1 + part * 0.4))));
        worst[2] = fmax(worst[2], ulps(fm_pow(z, y), powl((long double)z, (long double)y)));
        worst[3] = fmax(worst[3], ulps(fm_sin(angle), sinl((long double)angle)));
        worst[3] = fmax(worst[3], ulps(fm_sin(small), sinl((long double)small)));
        worst[4] = fmax(worst[4], ulps(fm_cos(angle), cosl((long double)angle)));
        worst[4] = fmax(worst[4], ulps(fm_cos(small), cosl((long double)small)));
        worst[5] = fmax(worst[5], ulps(fm_asin(part), asinl((long double)part)));
    }
    for (size_t i = 0; i < SP_COUNTOF(worst); i++) {
        if (!(worst[i] > 0 && worst[i] < 2)) {
            fail_msg("function %d: %g ulp", (int)i, worst[i]);
        }
    }
}

#define MIX(sum, x) ((sum) = ((sum) ^ bits_of(x)) * UINT64_C(0x100000001b3))

/* 20,000 results of each function in one number. A change here changes every golden file that follows. */
static void golden_bits(void **state)
{
    (void)state;
    uint64_t sums[6] = {1, 1, 1, 1, 1, 1};
    struct rng rng;
    rng_seed(&rng, 1);
    for (int i = 0; i < 20000; i++) {
        double a = between(&rng, -740, 709), b = between(&rng, -20, 20), c = between(&rng, -1, 1);
        MIX(sums[0], fm_exp(a));
        MIX(sums[1], fm_log(fabs(a) + 0x1p-40));
        MIX(sums[2], fm_pow(fabs(a) + 0x1p-10, b));
        MIX(sums[3], fm_sin(a));
        MIX(sums[4], fm_cos(b));
        MIX(sums[5], fm_asin(c));
    }
    static const uint64_t golden[6] = {
        UINT64_C(0xeab69441d37b3fb8), UINT64_C(0x851f2df98e5500c2), UINT64_C(0x02c737a48489c18b),
        UINT64_C(0x285ff8b7afd73f63), UINT64_C(0x89ae970a2f2654c9), UINT64_C(0x5da86684d1f5e19e),
    };
    for (size_t i = 0; i < SP_COUNTOF(sums); i++) {
        if (sums[i] != golden[i]) {
            print_message("function %d: 0x%016llx\n", (int)i, (unsigned long long)sums[i]);
        }
    }
    assert_memory_equal(sums, golden, sizeof sums);
    assert_int_equal(bits_of(fm_log(10)), UINT64_C(0x40026bb1bbb55516));
    assert_int_equal(bits_of(fm_exp(1)), UINT64_C(0x4005bf0a8b14576a));
    assert_int_equal(bits_of(fm_sin(1)), UINT64_C(0x3feaed548f090cee));
    assert_int_equal(bits_of(fm_asin(1)), UINT64_C(0x3ff921fb54442d18));
}

static void special_values(void **state)
{
    (void)state;
    assert_true(fm_exp(0) == 1 && fm_exp(-INFINITY) == 0 && fm_exp(INFINITY) == INFINITY);
    assert_true(fm_exp(710) == INFINITY && fm_exp(-746) == 0 && fm_exp(-745) > 0);
    assert_true(isnan(fm_exp(NAN)) && isnan(fm_log(NAN)) && isnan(fm_log(-1)) &&
                isnan(fm_pow(-1, 0.5)));
    assert_true(fm_log(1) == 0 && fm_log(0) == -INFINITY && fm_log(INFINITY) == INFINITY);
    assert_true(fabs(fm_log(5e-324) - -744.4400719213812) < 1e-12);
    assert_true(fm_pow(2, 10) == 1024 && fm_pow(2, -1074) == 5e-324 && fm_pow(2, 1024) == INFINITY);
    assert_true(fm_pow(7, 0) == 1 && fm_pow(1, 1e300) == 1 && fm_pow(0, 2) == 0 &&
                fm_pow(0, -2) == INFINITY);
    assert_true(fm_pow(INFINITY, -1) == 0 && fm_pow(INFINITY, 2) == INFINITY &&
                fm_pow(0.5, 2000) == 0);
    assert_true(fm_sin(0) == 0 && fm_cos(0) == 1 && isnan(fm_sin(1e6)) && isnan(fm_cos(INFINITY)));
    assert_true(isnan(fm_asin(1.01)) && fm_asin(-1) == -fm_asin(1) && fm_asin(1e-30) == 1e-30);
}

static void rounding(void **state)
{
    (void)state;
    static const struct {
        double x, floor, round;
    } rows[] = {{0, 0, 0},
                {1.5, 1, 2},
                {-1.5, -2, -2},
                {0.49999999999999994, 0, 0},
                {2.5, 2, 3},
                {-0.4, -1, 0},
                {4503599627370497.0, 4503599627370497.0, 4503599627370497.0},
                {4503599627370495.5, 4503599627370495.0, 4503599627370496.0},
                {1e300, 1e300, 1e300},
                {-7, -7, -7}};
    for (size_t i = 0; i < SP_COUNTOF(rows); i++) {
        assert_true(fm_floor(rows[i].x) == rows[i].floor);
        assert_true(fm_round_half_away(rows[i].x) == rows[i].round);
    }
    assert_true(fm_sqrt(2) == 1.4142135623730951 && isnan(fm_sqrt(-1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accuracy_is_better_than_2_ulp),
        cmocka_unit_test(golden_bits),
        cmocka_unit_test(special_values),
        cmocka_unit_test(rounding),
    };
    return cmocka_run_group_tests_name("base mathematics", tests, NULL, NULL);
}
