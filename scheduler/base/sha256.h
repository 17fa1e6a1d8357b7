/* SHA-256 (FIPS 180-4), for naming inputs and results; not for secrets.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t h[8];
    uint64_t n_bytes;
    uint8_t block[64];
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *p, size_t n);
void sha256_end(struct sha256 *s, uint8_t ret[32]);
/* Lower-case hexadecimal, NUL-terminated. */
void sha256_hex(const uint8_t digest[32], char out[65]);
