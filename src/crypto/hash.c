/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Every thread keeps a context for BLAKE2s and one for its keyed form, because making one
 * costs more than a MAC. HMAC is built here from the former: it forgets its state when it
 * yields the digest, where libcrypto's HMAC would keep the last chaining key. The MAC context
 * does keep its last key, which is never more than a cookie's.
 */
#include "crypto/hash.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <string.h>

#include "crypto/require.h"

#define BLOCK_LEN 64

struct contexts {
	EVP_MD_CTX *hash;
	EVP_MAC_CTX *mac;
};

static EVP_MD *fetched_hash;
static EVP_MAC *fetched_mac;
static pthread_key_t at_thread_exit;
static _Thread_local struct contexts *mine;

static void contexts_free(void *arg)
{
	struct contexts *c = arg;

	EVP_MD_CTX_free(c->hash);
	EVP_MAC_CTX_free(c->mac);
	free(c);
	mine = NULL;
}

static void fetch_algorithms(void)
{
	fetched_hash = EVP_MD_fetch(NULL, "BLAKE2S-256", NULL);
	require(fetched_hash, "BLAKE2s");
	fetched_mac = EVP_MAC_fetch(NULL, "BLAKE2SMAC", NULL);
	require(fetched_mac, "the BLAKE2s MAC");
	require(pthread_key_create(&at_thread_exit, contexts_free) == 0, "a key of thread data");
}

static struct contexts *contexts_new(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct contexts *c = calloc(1, sizeof(*c));
	size_t size = MAC_LEN;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
		OSSL_PARAM_construct_end(),
	};

	require(c, "memory");
	pthread_once(&once, fetch_algorithms);
	c->hash = EVP_MD_CTX_new();
	require(c->hash && EVP_DigestInit_ex2(c->hash, fetched_hash, NULL) == 1, "BLAKE2s");
	c->mac = EVP_MAC_CTX_new(fetched_mac);
	require(c->mac && EVP_MAC_CTX_set_params(c->mac, params) == 1, "the BLAKE2s MAC");
	require(pthread_setspecific(at_thread_exit, c) == 0, "thread data");
	return c;
}

static struct contexts *my_contexts(void)
{
	if (!mine)
		mine = contexts_new();
	return mine;
}

void hash_blake2s(uint8_t out[HASH_LEN], const struct hash_input *inputs, size_t n)
{
	EVP_MD_CTX *ctx = my_contexts()->hash;

	require(EVP_DigestInit_ex2(ctx, NULL, NULL) == 1, "BLAKE2s");
	for (size_t i = 0; i < n; i++)
		require(EVP_DigestUpdate(ctx, inputs[i].data, inputs[i].len) == 1, "BLAKE2s");
	require(EVP_DigestFinal_ex(ctx, out, NULL) == 1, "BLAKE2s");
}

void hash_mac(uint8_t out[MAC_LEN], const uint8_t *key, size_t key_len, const void *in, size_t len)
{
	EVP_MAC_CTX *ctx = my_contexts()->mac;

	require(EVP_MAC_init(ctx, key, key_len, NULL) == 1 && EVP_MAC_update(ctx, in, len) == 1 &&
			EVP_MAC_final(ctx, out, NULL, MAC_LEN) == 1,
		"the BLAKE2s MAC");
}

static void xor_block(uint8_t block[BLOCK_LEN], uint8_t value)
{
	for (size_t i = 0; i < BLOCK_LEN; i++)
		block[i] ^= value;
}

/* RFC 2104, section 2. */
void hash_hmac(uint8_t out[HASH_LEN], const uint8_t *key, size_t key_len, const void *in,
	       size_t len)
{
	uint8_t block[BLOCK_LEN] = {0};
	uint8_t inner[HASH_LEN];

	if (key_len > BLOCK_LEN)
		hash_blake2s(block, &(struct hash_input){key, key_len}, 1);
	else if (key_len)
		memcpy(block, key, key_len);
	xor_block(block, 0x36);
	hash_blake2s(inner, (struct hash_input[]){{block, BLOCK_LEN}, {in, len}}, 2);
	xor_block(block, 0x36 ^ 0x5c);
	hash_blake2s(out, (struct hash_input[]){{block, BLOCK_LEN}, {inner, HASH_LEN}}, 2);
	OPENSSL_cleanse(block, sizeof(block));
	OPENSSL_cleanse(inner, sizeof(inner));
}

/* HKDF (RFC 5869, sections 2.2 and 2.3) with the key as salt and no info. */
void hash_kdf(uint8_t *t0, uint8_t *t1, uint8_t *t2, const uint8_t key[HASH_LEN], const void *in,
	      size_t len)
{
	uint8_t *outputs[] = {t0, t1, t2};
	uint8_t extracted[HASH_LEN];
	uint8_t block[HASH_LEN + 1]; /* the output before, and the number of this one */
	size_t carried = 0;

	hash_hmac(extracted, key, HASH_LEN, in, len);
	for (uint8_t i = 0; i < 3 && outputs[i]; i++) {
		block[carried] = i + 1;
		hash_hmac(block, extracted, HASH_LEN, block, carried + 1);
		memcpy(outputs[i], block, HASH_LEN);
		carried = HASH_LEN;
	}
	OPENSSL_cleanse(extracted, sizeof(extracted));
	OPENSSL_cleanse(block, sizeof(block));
}
