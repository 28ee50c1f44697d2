/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "crypto/keys.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include "crypto/require.h"

void keys_random(void *ret, size_t len)
{
	require(RAND_bytes(ret, (int)len) == 1, "random bytes");
}

/* RFC 7748, section 5: X25519 ignores these bits, other tools show keys with them set. */
static void clamp(uint8_t key[KEY_LEN])
{
	key[0] &= 248;
	key[31] = (key[31] & 127) | 64;
}

void keys_generate(uint8_t ret_private[KEY_LEN])
{
	keys_random(ret_private, KEY_LEN);
	clamp(ret_private);
}

void keys_public(uint8_t ret_public[KEY_LEN], const uint8_t private_key[KEY_LEN])
{
	EVP_PKEY *own = EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, private_key, KEY_LEN);
	size_t len = KEY_LEN;

	require(own && EVP_PKEY_get_raw_public_key(own, ret_public, &len) == 1, "X25519");
	EVP_PKEY_free(own);
}

int keys_shared(uint8_t ret[KEY_LEN], const uint8_t private_key[KEY_LEN],
		const uint8_t public_key[KEY_LEN])
{
	EVP_PKEY *own = EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, private_key, KEY_LEN);
	EVP_PKEY *peer = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, public_key, KEY_LEN);
	EVP_PKEY_CTX *ctx = own ? EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL) : NULL;
	size_t len = KEY_LEN;
	int r = -EIO;

	/* Deriving is refused exactly where the result would be zero (RFC 7748, section 6.1). */
	if (ctx && peer && EVP_PKEY_derive_init(ctx) == 1 &&
	    EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) == 1)
		r = EVP_PKEY_derive(ctx, ret, &len) == 1 ? 0 : -EINVAL;
	if (r < 0)
		OPENSSL_cleanse(ret, KEY_LEN);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	EVP_PKEY_free(own);
	return r;
}

bool keys_is_zero(const uint8_t key[KEY_LEN])
{
	static const uint8_t zero[KEY_LEN];

	return keys_equal(key, zero, KEY_LEN);
}

bool keys_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

void keys_wipe(void *secret, size_t len)
{
	OPENSSL_cleanse(secret, len);
}

void keys_to_base64(char ret_text[KEY_BASE64_LEN + 1], const uint8_t key[KEY_LEN])
{
	EVP_EncodeBlock((unsigned char *)ret_text, key, KEY_LEN);
}

/* How many bytes the text stands for; -EINVAL if it is not base64 with its padding. */
static int base64_len(const char *text, size_t *ret)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789+/";
	size_t len = strlen(text);
	size_t padding = len - strspn(text, alphabet);

	if (len % 4 || padding > 2 || strspn(text + len - padding, "=") != padding)
		return -EINVAL;
	*ret = len / 4 * 3 - padding;
	return 0;
}

int keys_from_base64(uint8_t ret[KEY_LEN], const char *text, size_t *ret_len)
{
	uint8_t key[KEY_BASE64_LEN / 4 * 3];
	char again[KEY_BASE64_LEN + 1];
	size_t len;
	int r = base64_len(text, &len);

	if (r < 0)
		return r;
	if (len != KEY_LEN) {
		if (ret_len)
			*ret_len = len;
		return -EMSGSIZE;
	}
	/* The last digit has two spare bits: only the text that we would write is right. */
	EVP_DecodeBlock(key, (const unsigned char *)text, KEY_BASE64_LEN);
	keys_to_base64(again, key);
	if (CRYPTO_memcmp(again, text, KEY_BASE64_LEN) == 0)
		memcpy(ret, key, KEY_LEN);
	else
		r = -EINVAL;
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(again, sizeof(again));
	return r;
}

void keys_to_hex(char ret_text[KEY_HEX_LEN + 1], const uint8_t key[KEY_LEN])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < KEY_LEN; i++) {
		ret_text[2 * i] = digits[key[i] >> 4];
		ret_text[2 * i + 1] = digits[key[i] & 15];
	}
	ret_text[KEY_HEX_LEN] = '\0';
}

int keys_from_hex(uint8_t ret[KEY_LEN], const char *text)
{
	if (strlen(text) != KEY_HEX_LEN || strspn(text, "0123456789abcdefABCDEF") != KEY_HEX_LEN)
		return -EINVAL;
	return OPENSSL_hexstr2buf_ex(ret, KEY_LEN, NULL, text, '\0') == 1 ? 0 : -EINVAL;
}
