/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "crypto/xaead.h"

#include <openssl/crypto.h>
#include <string.h>

#include "crypto/aead.h"
#include "util/endian.h"

static uint32_t rotate(uint32_t v, unsigned bits)
{
	return v << bits | v >> (32 - bits);
}

static void quarter_round(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
	*a += *b;
	*d = rotate(*d ^ *a, 16);
	*c += *d;
	*b = rotate(*b ^ *c, 12);
	*a += *b;
	*d = rotate(*d ^ *a, 8);
	*c += *d;
	*b = rotate(*b ^ *c, 7);
}

static void double_round(uint32_t x[16])
{
	for (unsigned i = 0; i < 4; i++)
		quarter_round(&x[i], &x[4 + i], &x[8 + i], &x[12 + i]);
	for (unsigned i = 0; i < 4; i++)
		quarter_round(&x[i], &x[4 + (i + 1) % 4], &x[8 + (i + 2) % 4],
			      &x[12 + (i + 3) % 4]);
}

static void load_words(uint32_t *ret, const void *bytes, size_t n)
{
	const struct le32 *words = bytes;

	for (size_t i = 0; i < n; i++)
		ret[i] = le32_get(words[i]);
}

static void store_words(void *ret_bytes, const uint32_t *words, size_t n)
{
	struct le32 *bytes = ret_bytes;

	for (size_t i = 0; i < n; i++)
		bytes[i] = le32_make(words[i]);
}

/* ChaCha20's rounds without the final addition; libcrypto has no call for them. */
void hchacha20(uint8_t out[32], const uint8_t nonce[16], const uint8_t key[32])
{
	uint32_t x[16];

	load_words(x, "expand 32-byte k", 4);
	load_words(x + 4, key, 8);
	load_words(x + 12, nonce, 4);
	for (unsigned i = 0; i < 10; i++)
		double_round(x);
	store_words(out, x, 4);
	store_words(out + 16, x + 12, 4);
	OPENSSL_cleanse(x, sizeof(x));
}

/* Section 2.3 of the draft: the inner nonce is four zero bytes and the rest of the outer one. */
static void derive(uint8_t ret_subkey[32], uint8_t ret_nonce[12],
		   const uint8_t nonce[XAEAD_NONCE_LEN], const uint8_t key[32])
{
	hchacha20(ret_subkey, nonce, key);
	memset(ret_nonce, 0, 4);
	memcpy(ret_nonce + 4, nonce + 16, 8);
}

int xaead_seal(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *aad, size_t aad_len,
	       const uint8_t nonce[XAEAD_NONCE_LEN], const uint8_t key[32])
{
	uint8_t subkey[32];
	uint8_t inner_nonce[12];
	int r;

	derive(subkey, inner_nonce, nonce, key);
	r = aead_seal_once(dst, src, len, aad, aad_len, inner_nonce, subkey);
	OPENSSL_cleanse(subkey, sizeof(subkey));
	return r;
}

int xaead_open(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *aad, size_t aad_len,
	       const uint8_t nonce[XAEAD_NONCE_LEN], const uint8_t key[32])
{
	uint8_t subkey[32];
	uint8_t inner_nonce[12];
	int r;

	derive(subkey, inner_nonce, nonce, key);
	r = aead_open_once(dst, src, len, aad, aad_len, inner_nonce, subkey);
	OPENSSL_cleanse(subkey, sizeof(subkey));
	return r;
}
