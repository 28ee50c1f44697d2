/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), for cookie replies. Any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define XAEAD_NONCE_LEN 24

/* Section 2.2 of the draft: a subkey from a key and the first 16 bytes of the nonce. */
void hchacha20(uint8_t out[32], const uint8_t nonce[16], const uint8_t key[32]);

/* As aead_seal_once() and aead_open_once(). */
int xaead_seal(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *aad, size_t aad_len,
	       const uint8_t nonce[XAEAD_NONCE_LEN], const uint8_t key[32]);
int xaead_open(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *aad, size_t aad_len,
	       const uint8_t nonce[XAEAD_NONCE_LEN], const uint8_t key[32]);
