/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* BLAKE2s (RFC 7693), HMAC and HKDF over it, under the names of the WireGuard paper. Any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HASH_LEN 32
#define MAC_LEN 16

struct hash_input {
	const void *data;
	size_t len;
};

/* HASH(a || b || ...): the inputs one after the other. */
void hash_blake2s(uint8_t out[HASH_LEN], const struct hash_input *inputs, size_t n);
/* MAC(key, input): keyed BLAKE2s with 16 bytes of output; key_len 1..32. */
void hash_mac(uint8_t out[MAC_LEN], const uint8_t *key, size_t key_len, const void *in, size_t len);
/* HMAC-BLAKE2s (block size 64). */
void hash_hmac(uint8_t out[HASH_LEN], const uint8_t *key, size_t key_len, const void *in,
	       size_t len);
/* KDFn(key, input) for n = 1..3: as many outputs as are not NULL, from the first. */
void hash_kdf(uint8_t *t0, uint8_t *t1, uint8_t *t2, const uint8_t key[HASH_LEN], const void *in,
	      size_t len);
