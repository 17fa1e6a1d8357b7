/* Signals as events: blocked in every thread, read by the main one.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

enum signal_event { SIGNAL_NONE = 0, SIGNAL_STOP, SIGNAL_INTERRUPT, SIGNAL_RELOAD };

/* Before the first thread starts. *ret is a descriptor. SIGPIPE is ignored. */
int signals_open(int *ret, struct err *err) SP_MUST_CHECK;
/* Waits up to timeout_ms for one. */
enum signal_event signals_wait(int fd, int timeout_ms);
