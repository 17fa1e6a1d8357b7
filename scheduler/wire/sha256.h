/* SHA-256 (FIPS 180-4) of input files, so that a report says what it was made from.
 *
 * Uses the processor's SHA instructions where it has them, because a dump is hashed while it is read.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t h[8];
    uint64_t n_bytes;
    uint8_t block[64];
    void (*blocks)(uint32_t h[8], const uint8_t *p, size_t n_blocks);
};

void sha256_init(struct sha256 *s);
void sha256_init_portable(struct sha256 *s); /* never the processor's instructions: for tests */
void sha256_update(struct sha256 *s, const void *data, size_t n);
void sha256_final(struct sha256 *s, uint8_t ret[32]);
void sha256_hex(const uint8_t digest[32], char ret[65]);
