/* The daemon's metrics: counters, gauges and histograms with a closed set of labels, written as Prometheus text 0.0.4.
 *
 * One process-wide registry of atomics; adding never blocks and never allocates. metrics.def is the list.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"

enum metric {
#define METRIC(id, type, name, labels, buckets, help) METRIC_##id,
#include "daemon/metrics.def"
#undef METRIC
    METRIC_COUNT
};
enum metric_verb {
    VERB_FILTER = 0,
    VERB_PRIORITIZE,
    VERB_PREEMPT,
    VERB_BIND,
    VERB_ADMIN,
    VERB_OTHER,
    VERB_COUNT
};
enum metric_result {
    RESULT_PLACED = 0,
    RESULT_NO_NODE,
    RESULT_UNKNOWN_NODE,
    RESULT_FULL_NODE,
    RESULT_FALLBACK
};
enum metric_policy { POLICY_PASSTHROUGH = 0, POLICY_REJECT };
enum metric_reservation {
    RESERVATION_MADE = 0,
    RESERVATION_REPLACED,
    RESERVATION_EXPIRED,
    RESERVATION_FAILED,
    RESERVATION_BOUND,
    RESERVATION_ELSEWHERE,
    RESERVATION_DELETED
};
enum metric_kind { KIND_NODES = 0, KIND_PODS, KIND_RESERVATIONS, KIND_CLASSES, KIND_FLEETS };

/* `label`: position among the label's values; 0 without labels. Out of range counts as the last. */
void metric_add(enum metric m, unsigned label, uint64_t n); /* counters */
void metric_set(enum metric m, unsigned label,
                double v); /* gauges, and counters that are kept elsewhere */
void metric_observe(enum metric m, unsigned label, double v); /* histograms */
uint64_t metric_value(enum metric m,
                      unsigned label); /* of a counter; of a histogram: observations */
/* Label positions. */
unsigned metric_verb_code(enum metric_verb verb, int status);
unsigned metric_cause(const char *cause);

void metrics_write(struct buf *out);
/* docs/metrics.md. */
void metrics_write_docs(struct buf *out);
