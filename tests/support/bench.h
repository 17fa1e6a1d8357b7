/* What the benchmarks share: clocks, medians, the region that instruction counts are taken of.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

#define BENCH_SAMPLES 20000
struct bench_series {
    double v[BENCH_SAMPLES]; /* microseconds */
    size_t n;
};
int64_t bench_wall_ns(void);
int64_t bench_thread_ns(void);                                 /* of the calling thread */
void bench_add(struct bench_series *s, int64_t ns);            /* past the room: dropped */
double bench_percentile(struct bench_series *s, double share); /* sorts; 0 without values */
void bench_die(const char *what, const char *why) __attribute__((noreturn));
long bench_env(const char *name, long otherwise);

/* callgrind is started with --toggle-collect=bench_measured: only what happens in here is counted. */
void bench_measured(void (*fn)(void *arg), void *arg) __attribute__((noinline));
