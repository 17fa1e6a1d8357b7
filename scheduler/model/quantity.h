/* Kubernetes quantities, exactly.
 *
 * Syntax: [+-] digits [. digits] then nothing, n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or e/E and a signed exponent.
 * Kept in nano-units as a 128-bit integer; what is finer than nano is rounded away from zero, as the API does.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct quantity {
    i128 nano;
};

#define QUANTITY_ZERO ((struct quantity){0})

/* -EINVAL with what was found and what is allowed; values beyond +-2^63 units are capped at that, as in Go. */
int quantity_parse(struct str s, struct quantity *ret, struct err *err) SP_MUST_CHECK;
struct quantity quantity_add(struct quantity a, struct quantity b); /* saturating */
int quantity_cmp(struct quantity a, struct quantity b);
int64_t quantity_units(struct quantity q); /* rounded up to whole units, saturating */
int64_t quantity_milli(struct quantity q); /* rounded up to thousandths, saturating */
