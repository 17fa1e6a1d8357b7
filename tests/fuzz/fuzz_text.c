/* Numbers, durations and times of the base layer: what is accepted reads back from what is written.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = {(const char *)data, size};
    char text[40];
    double d = 0, again = 0;
    int64_t i = 0, ms = 0, back = 0;
    if (str_to_f64(s, &d)) {
        size_t n = str_from_f64(text, d);
        if (!str_to_f64((struct str){text, n}, &again) || !(again == d)) {
            abort();
        }
    }
    (void)str_to_i64(s, &i);
    (void)str_to_duration_ms(s, &i);
    if (str_to_time_ms(s, &ms)) {
        size_t n = str_from_time_ms(text, ms);
        if (!str_to_time_ms((struct str){text, n}, &back) || back > ms || ms - back >= 1000) {
            abort(); /* written to the second, rounded down */
        }
    }
    const char *const names[] = {"decide", "decisionBudget", "fleets"};
    (void)str_nearest(s, names, SP_COUNTOF(names));
    (void)str_utf8_ok(s);
    return 0;
}
