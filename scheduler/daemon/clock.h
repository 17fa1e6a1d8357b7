/* The daemon's clocks. Timers run on the monotonic one; the wall clock is for display and for what policies call now.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

int64_t clock_mono_ns(void);
int64_t clock_mono_ms(void);
int64_t clock_wall_ms(void);
