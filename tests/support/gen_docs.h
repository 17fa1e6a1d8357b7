/* The pages that are written from tables: docs/config.md and docs/conventions.md.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"

void gen_config_page(struct buf *out);
void gen_conventions_page(struct buf *out);
