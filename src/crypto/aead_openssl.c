/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * libcrypto works on one packet at a time, so a batch is a loop here. Each thread has a context
 * of its own in every key, found by thread_slot(), so that a packet costs only the change of
 * nonce.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

#include "crypto/aead_backend.h"
#include "util/thread.h"

struct openssl_key {
	struct aead_key base;
	uint8_t key[AEAD_KEY_LEN];
	EVP_CIPHER_CTX *contexts[THREAD_SLOTS]; /* each: the thread with that number */
};

static EVP_CIPHER *fetched_cipher;

static void fetch_cipher(void)
{
	fetched_cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
}

/* Fetching costs more than sealing a packet, so it happens once. NULL if there is none. */
static const EVP_CIPHER *cipher(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fetch_cipher);
	return fetched_cipher;
}

static EVP_CIPHER_CTX *context_new(const uint8_t key[AEAD_KEY_LEN])
{
	EVP_CIPHER_CTX *ctx = cipher() ? EVP_CIPHER_CTX_new() : NULL;

	if (!ctx)
		return NULL;
	if (EVP_EncryptInit_ex2(ctx, cipher(), key, NULL, NULL) == 1)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

static bool seal_start(EVP_CIPHER_CTX *ctx, const uint8_t nonce[AEAD_NONCE_LEN])
{
	return EVP_EncryptInit_ex2(ctx, NULL, NULL, nonce, NULL) == 1;
}

static bool open_start(EVP_CIPHER_CTX *ctx, const uint8_t nonce[AEAD_NONCE_LEN])
{
	return EVP_DecryptInit_ex2(ctx, NULL, NULL, nonce, NULL) == 1;
}

static bool seal_text(EVP_CIPHER_CTX *ctx, uint8_t *dst, const uint8_t *src, size_t len)
{
	uint8_t *tag = dst + len;
	int n;

	if (len && EVP_EncryptUpdate(ctx, dst, &n, src, (int)len) != 1)
		return false;
	return EVP_EncryptFinal_ex(ctx, tag, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_LEN, tag) == 1;
}

static bool open_text(EVP_CIPHER_CTX *ctx, uint8_t *dst, const uint8_t *src, size_t len)
{
	void *tag = (void *)(src + len);
	uint8_t nothing[1];
	int n;

	if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_LEN, tag) != 1)
		return false;
	if (len && EVP_DecryptUpdate(ctx, dst, &n, src, (int)len) != 1)
		return false;
	return EVP_DecryptFinal_ex(ctx, nothing, &n) == 1;
}

static bool is_preferable(void)
{
	return true;
}

static int key_new(struct aead_key **ret, const uint8_t key[AEAD_KEY_LEN])
{
	struct openssl_key *k;

	if (!cipher())
		return -EIO;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->base.backend = &aead_openssl;
	memcpy(k->key, key, AEAD_KEY_LEN);
	*ret = &k->base;
	return 0;
}

static void key_free(struct aead_key *base)
{
	struct openssl_key *k = (struct openssl_key *)base;

	for (unsigned i = 0; i < THREAD_SLOTS; i++)
		EVP_CIPHER_CTX_free(k->contexts[i]);
	OPENSSL_cleanse(k->key, sizeof(k->key));
	free(k);
}

/* NULL without memory; the batch is then not done, and the next one tries again. */
static EVP_CIPHER_CTX *my_context(struct aead_key *base)
{
	struct openssl_key *k = (struct openssl_key *)base;
	EVP_CIPHER_CTX **ctx = &k->contexts[thread_slot()];

	if (!*ctx)
		*ctx = context_new(k->key);
	return *ctx;
}

static size_t seal_jobs(struct aead_key *k, struct aead_job *jobs, size_t n)
{
	EVP_CIPHER_CTX *ctx = my_context(k);
	uint8_t nonce[AEAD_NONCE_LEN];
	size_t done = 0;

	for (struct aead_job *job = jobs; job < jobs + n; job++) {
		aead_make_nonce(nonce, job->counter);
		job->is_done = ctx && seal_start(ctx, nonce) &&
			       seal_text(ctx, job->dst, job->src, job->len);
		done += job->is_done;
	}
	return done;
}

static size_t open_jobs(struct aead_key *k, struct aead_job *jobs, size_t n)
{
	EVP_CIPHER_CTX *ctx = my_context(k);
	uint8_t nonce[AEAD_NONCE_LEN];
	size_t done = 0;

	for (struct aead_job *job = jobs; job < jobs + n; job++) {
		aead_make_nonce(nonce, job->counter);
		job->is_done = ctx && open_start(ctx, nonce) &&
			       open_text(ctx, job->dst, job->src, job->len);
		done += job->is_done;
	}
	return done;
}

const struct aead_backend aead_openssl = {
	.name = "openssl",
	.is_preferable = is_preferable,
	.key_new = key_new,
	.key_free = key_free,
	.seal = seal_jobs,
	.open = open_jobs,
};

/* Both directions take it by the same call: output goes nowhere. */
static bool add_aad(EVP_CIPHER_CTX *ctx, const uint8_t *aad, size_t len)
{
	int n;

	return !len || EVP_CipherUpdate(ctx, NULL, &n, aad, (int)len) == 1;
}

int aead_seal_once(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *aad, size_t aad_len,
		   const uint8_t nonce[12], const uint8_t key[AEAD_KEY_LEN])
{
	EVP_CIPHER_CTX *ctx = context_new(key);
	bool is_sealed = ctx && seal_start(ctx, nonce) && add_aad(ctx, aad, aad_len) &&
			 seal_text(ctx, dst, src, len);

	EVP_CIPHER_CTX_free(ctx);
	return is_sealed ? 0 : -EIO;
}

int aead_open_once(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *aad, size_t aad_len,
		   const uint8_t nonce[12], const uint8_t key[AEAD_KEY_LEN])
{
	EVP_CIPHER_CTX *ctx = context_new(key);
	int r = -EIO;

	if (ctx && open_start(ctx, nonce) && add_aad(ctx, aad, aad_len))
		r = open_text(ctx, dst, src, len) ? 0 : -EBADMSG;
	EVP_CIPHER_CTX_free(ctx);
	return r;
}
