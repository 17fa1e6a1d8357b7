/* Mathematics with the same bits on every machine: nothing here calls the C library's libm.
 *
 * Only + - * / and sqrt (exact by IEEE 754) are used; the project is compiled without contraction.
 * Accuracy: better than 4 ulp in the stated ranges. Sources beside each function in fmath.c.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

double fm_exp(double x);
double fm_log(double x); /* natural; the classic FreeBSD algorithm, equal to Go's on amd64 */
double fm_pow(double x, double y); /* x > 0 */
double fm_sin(double x);           /* |x| <= 1e5 */
double fm_cos(double x);
double fm_asin(double x); /* |x| <= 1 */
double fm_sqrt(double x);
double fm_floor(double x);
double fm_round_half_away(double x);
