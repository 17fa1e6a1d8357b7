// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "support/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t bench_wall_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t bench_thread_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void bench_add(struct bench_series *s, int64_t ns)
{
    if (s->n < BENCH_SAMPLES) {
        s->v[s->n++] = (double)ns / 1e3;
    }
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

double bench_percentile(struct bench_series *s, double share)
{
    if (s->n == 0) {
        return 0;
    }
    qsort(s->v, s->n, sizeof s->v[0], by_value);
    size_t at = (size_t)((double)s->n * share);
    return s->v[at < s->n ? at : s->n - 1];
}

void bench_die(const char *what, const char *why)
{
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

long bench_env(const char *name, long otherwise)
{
    const char *v = getenv(name);
    return v && *v ? strtol(v, NULL, 10) : otherwise;
}

void bench_measured(void (*fn)(void *arg), void *arg)
{
    fn(arg);
}
