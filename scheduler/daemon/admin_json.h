/* Parts of the admin port's replies.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/state.h"

/* GET /openapi.json. */
void openapi_write(struct buf *out);
/* GET /configz: what is in force. */
void admin_write_configz(struct state *st, struct buf *out);
/* GET /v1/decisions. */
void admin_write_decisions(struct state *st, struct buf *out, uint32_t limit);
/* GET /: the last decisions as a page. */
void page_write(struct state *st, struct buf *out);
const char *admin_verb_name(enum metric_verb verb);
const char *admin_result_name(enum metric_result result);
