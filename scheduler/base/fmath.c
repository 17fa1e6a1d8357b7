/* Mathematics with the same bits on every machine. See fmath.h.
 *
 * Algorithms and coefficients: the minimax approximations that Sun Microsystems published with fdlibm in 1993 and that
 * FreeBSD's libm and Go's math package use; written anew here. Named beside each function. Every operation is one
 * IEEE 754 double operation, in the order written.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/fmath.h"

#include <stdint.h>
#include <string.h>

#include "base/attr.h"

static const double ln2_hi = 0x1.62e42fee00000p-1; /* 32 bits: k * ln2_hi is exact */
static const double ln2_lo = 0x1.a39ef35793c76p-33;

static uint64_t bits_of(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static double from_bits(uint64_t u)
{
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static double not_a_number(void)
{
    return from_bits(UINT64_C(0x7ff8000000000000));
}

static double infinity(void)
{
    return from_bits(UINT64_C(0x7ff0000000000000));
}

static double absolute(double x)
{
    return from_bits(bits_of(x) & ~(UINT64_C(1) << 63));
}

/* 2^k for -1022 <= k <= 1023 */
static double power_of_two(int k)
{
    return from_bits((uint64_t)(k + 1023) << 52);
}

/* y * 2^k, rounded once; |k| <= 1100 */
static double scale(double y, int k)
{
    if (k > 1023) {
        return y * 0x1p1023 * power_of_two(k - 1023);
    }
    if (k < -1021) { /* y may become subnormal: one rounding, in the last product */
        return y * power_of_two(k + 200) * 0x1p-200;
    }
    return y * power_of_two(k);
}

/* x = f * 2^k with sqrt(1/2) <= f < sqrt(2); x finite and > 0 */
static double split_exponent(double x, int *k)
{
    int extra = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        extra = -54;
    }
    uint64_t u = bits_of(x);
    int e = (int)(u >> 52) - 1022; /* f in [1/2, 1) */
    double f = from_bits((u & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x3fe0000000000000));
    if (f < 0x1.6a09e667f3bcdp-1) {
        f *= 2;
        e--;
    }
    *k = e + extra;
    return f;
}

/* e_exp.c: x = k ln2 + r; e^r by the rational form 1 + r + r c / (2 - c). Below 1 ulp. */
double fm_exp(double x)
{
    if (x != x) {
        return x;
    }
    if (x > 0x1.62e42fefa39efp+9) {
        return infinity();
    }
    if (x < -0x1.74910d52d3051p+9) {
        return 0;
    }
    if (absolute(x) < 0x1p-28) {
        return 1 + x;
    }
    int k = (int)(0x1.71547652b82fep+0 * x + (x < 0 ? -0.5 : 0.5));
    double hi = x - k * ln2_hi;
    double lo = k * ln2_lo;
    double r = hi - lo;
    double t = r * r;
    double c =
        r - t * (1.66666666666666019037e-01 +
                 t * (-2.77777777770155933842e-03 +
                      t * (6.61375632143793436117e-05 +
                           t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08))));
    double y = 1 - ((lo - (r * c) / (2 - c)) - hi);
    return scale(y, k);
}

/* e_log.c: with f in [sqrt(1/2), sqrt(2)) and s = f / (2 + f), log(1 + f) = f - hfsq + s (hfsq + R). Below 1 ulp. */
double fm_log(double x)
{
    if (x != x || x < 0) {
        return not_a_number();
    }
    if (x == 0) {
        return -infinity();
    }
    if (x == infinity()) {
        return x;
    }
    int e;
    double f = split_exponent(x, &e) - 1;
    double k = (double)e;
    double s = f / (2 + f);
    double s2 = s * s;
    double s4 = s2 * s2;
    double odd = s2 * (6.666666666666735130e-01 +
                       s4 * (2.857142874366239149e-01 +
                             s4 * (1.818357216161805012e-01 + s4 * 1.479819860511658591e-01)));
    double even = s4 * (3.999999999940941908e-01 +
                        s4 * (2.222219843214978396e-01 + s4 * 1.531383769920937332e-01));
    double r = odd + even;
    double hfsq = 0.5 * f * f;
    return k * ln2_hi - ((hfsq - (s * (hfsq + r) + k * ln2_lo)) - f);
}

/* --- sums and products of two doubles without loss (Knuth; Dekker with Veltkamp's split) --- */

struct pair {
    double hi, lo;
};

static struct pair two_sum(double a, double b)
{
    double s = a + b;
    double t = s - a;
    return (struct pair){s, (a - (s - t)) + (b - t)};
}

static struct pair two_product(double a, double b)
{
    double p = a * b;
    double ca = 0x1.0000002p27 * a, cb = 0x1.0000002p27 * b;
    double ah = ca - (ca - a), bh = cb - (cb - b);
    double al = a - ah, bl = b - bh;
    return (struct pair){p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
}

static struct pair pair_add(struct pair a, struct pair b)
{
    struct pair s = two_sum(a.hi, b.hi);
    return two_sum(s.hi, s.lo + (a.lo + b.lo));
}

static struct pair pair_mul(struct pair a, struct pair b)
{
    struct pair p = two_product(a.hi, b.hi);
    return two_sum(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

/* log(x) to about 2^-66: 2 artanh(s), s = (f - 1) / (f + 1), the first terms in pairs, the tail in doubles. */
static struct pair log_pair(double x)
{
    int e;
    double f = split_exponent(x, &e);
    struct pair above = {f - 1, 0}; /* exact: f is within a factor 2 of 1 */
    struct pair below = two_sum(f, 1);
    double q = above.hi / below.hi;
    struct pair back = pair_mul((struct pair){q, 0}, below);
    struct pair s = two_sum(q, ((above.hi - back.hi) - back.lo) / below.hi);
    struct pair s2 = pair_mul(s, s);
    double z = s2.hi, tail = 0;
    for (int n = 29; n >= 7; n -= 2) {
        tail = tail * z + 1.0 / n;
    }
    struct pair fifth = {0.2, -0x1.999999999999ap-57};
    struct pair third = {0x1.5555555555555p-2, 0x1.5555555555555p-56};
    struct pair sum = pair_add(fifth, (struct pair){tail * z, 0});
    sum = pair_add(third, pair_mul(sum, s2));
    sum = pair_add((struct pair){1, 0}, pair_mul(sum, s2));
    sum = pair_mul(sum, (struct pair){2 * s.hi, 2 * s.lo});
    struct pair k = pair_add(two_product((double)e, 0x1.62e42fefa39efp-1),
                             (struct pair){(double)e * 0x1.abc9e3b39803fp-56, 0});
    return pair_add(k, sum);
}

/* e^(y log x) with the exponent held in a pair, so that large exponents cost no accuracy. Below 2 ulp. */
double fm_pow(double x, double y)
{
    if (y == 0 || x == 1) {
        return 1;
    }
    if (x != x || y != y || x < 0) {
        return not_a_number();
    }
    if (x == 0 || x == infinity()) {
        return (x == 0) == (y < 0) ? infinity() : 0;
    }
    double rough = y * fm_log(x);
    if (rough > 710) {
        return infinity();
    }
    if (rough < -746) {
        return 0;
    }
    if (absolute(rough) < 0x1p-60) {
        return 1;
    }
    struct pair l = log_pair(x);
    struct pair p = pair_mul((struct pair){y, 0}, l);
    double main_part = fm_exp(p.hi);
    return main_part == infinity() ? main_part : main_part + main_part * p.lo;
}

/* x - n pi/2 as a pair, |x| <= 1e5: pi/2 cut in pieces of 33 bits, so that n times a piece is exact. */
static struct pair reduce_quarter(double x, int *quarter)
{
    double n = fm_floor(x * 0x1.45f306dc9c883p-1 + 0.5);
    double t = x - n * 0x1.921fb544p+0;
    struct pair r = two_sum(t, -(n * 0x1.0b4611a6p-34));
    double lo = r.lo - n * 0x1.3198a2e037073p-69;
    *quarter = (int)((int64_t)n & 3);
    return two_sum(r.hi, lo);
}

/* k_sin.c and k_cos.c: |x| <= pi/4, x.lo is the rest of x */
static double sin_kernel(struct pair x)
{
    double z = x.hi * x.hi, w = z * z;
    double r = 8.33333333332248946124e-03 +
               z * (-1.98412698298579493134e-04 + z * 2.75573137070700676789e-06) +
               z * w * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10);
    double v = z * x.hi;
    return x.hi - ((z * (0.5 * x.lo - v * r) - x.lo) - v * -1.66666666666666324348e-01);
}

static double cos_kernel(struct pair x)
{
    double z = x.hi * x.hi, w = z * z;
    double r = z * (4.16666666666666019037e-02 +
                    z * (-1.38888888888741095749e-03 + z * 2.48015872894767294178e-05)) +
               w * w *
                   (-2.75573143513906633035e-07 +
                    z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11));
    double half = 0.5 * z, one = 1 - half;
    return one + (((1 - one) - half) + (z * r - x.hi * x.lo));
}

static double sin_quarters(double x, int ahead)
{
    int quarter;
    if (!(absolute(x) <= 1e5)) {
        return not_a_number();
    }
    if (absolute(x) < 0x1p-27) {
        return ahead == 0 ? x : 1;
    }
    struct pair r = reduce_quarter(x, &quarter);
    int turn = (quarter + ahead) & 3;
    double v = (turn & 1) != 0 ? cos_kernel(r) : sin_kernel(r);
    return (turn & 2) != 0 ? -v : v;
}

double fm_sin(double x)
{
    return sin_quarters(x, 0);
}

double fm_cos(double x)
{
    return sin_quarters(x, 1);
}

/* e_asin.c: (asin(x) - x) / x^3 as a rational function of t = x^2, |x| <= 1/2 */
static double asin_ratio(double t)
{
    double p =
        t * (1.66666666666666657415e-01 +
             t * (-3.25565818622400915405e-01 +
                  t * (2.01212532134862925881e-01 +
                       t * (-4.00555345006794114027e-02 +
                            t * (7.91534994289814532176e-04 + t * 3.47933107596021167570e-05)))));
    double q = 1 + t * (-2.40339491173441421878e+00 +
                        t * (2.02094576023350569471e+00 +
                             t * (-6.88283971605453293030e-01 + t * 7.70381505559019352791e-02)));
    return p / q;
}

double fm_asin(double x)
{
    static const double half_pi_hi = 0x1.921fb54442d18p+0, half_pi_lo = 0x1.1a62633145c07p-54;
    static const double quarter_pi = 0x1.921fb54442d18p-1;
    double a = absolute(x);
    if (!(a <= 1)) {
        return not_a_number();
    }
    if (a < 0.5) {
        return a < 0x1p-27 ? x : x + x * asin_ratio(x * x);
    }
    double t = (1 - a) * 0.5;
    double r = asin_ratio(t);
    double s = fm_sqrt(t);
    double v;
    if (a >= 0.975) {
        v = half_pi_hi - (2 * (s + s * r) - half_pi_lo);
    } else {
        double head = from_bits(bits_of(s) & UINT64_C(0xffffffff00000000));
        double c = (t - head * head) / (s + head);
        double p = 2 * s * r - (half_pi_lo - 2 * c);
        double q = quarter_pi - 2 * head;
        v = quarter_pi - (p - q);
    }
    return x < 0 ? -v : v;
}

/* One machine instruction wherever there is one; correctly rounded by IEEE 754 everywhere. */
double fm_sqrt(double x)
{
    return __builtin_sqrt(x);
}

double fm_floor(double x)
{
    if (!(absolute(x) < 0x1p52) || x == 0) {
        return x;
    }
    double whole = (double)(int64_t)x;
    return whole > x ? whole - 1 : whole;
}

double fm_round_half_away(double x)
{
    double a = absolute(x);
    if (!(a < 0x1p52)) {
        return x;
    }
    double whole = (double)(int64_t)a;
    double rounded = a - whole >= 0.5 ? whole + 1 : whole;
    return x < 0 ? -rounded : rounded;
}
