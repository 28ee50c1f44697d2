/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * libcrypto works on one packet at a time, so a batch is a loop here. Each thread has a context
 * of its own in every key, found by thread_slot(), so that a packet costs only the change of
 * nonce. There are two ways to hand that over, each a back-end: as a parameter, and by the
 * documented call, which takes a tenth longer (docs/design/aead.md) and serves where the first
 * fails aead_check().
 */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdlib.h>

#include "crypto/aead_backend.h"
#include "util/thread.h"

/* Hands over what stands ahead of the text: the nonce, and of what is opened the tag. */
typedef bool start_fn(EVP_CIPHER_CTX *ctx, const uint8_t nonce[AEAD_NONCE_LEN], const uint8_t *tag);

struct openssl_key {
	struct aead_key base;
	start_fn *start;
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

static EVP_CIPHER_CTX *context_new(const uint8_t key[AEAD_KEY_LEN], bool is_seal)
{
	EVP_CIPHER_CTX *ctx = cipher() ? EVP_CIPHER_CTX_new() : NULL;

	if (!ctx)
		return NULL;
	if (EVP_CipherInit_ex2(ctx, cipher(), key, NULL, is_seal, NULL) == 1)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

/*
 * libcrypto's Poly1305 for AVX-512 returns with the upper halves of vector registers in use. The
 * next SSE instruction, wherever it stands, then takes some 100 ns.
 */
#ifdef __x86_64__
__attribute__((target("avx"))) static void vzeroupper(void)
{
	__builtin_ia32_vzeroupper();
}

static void clear_upper_halves(void)
{
	if (__builtin_cpu_supports("avx"))
		vzeroupper();
}
#else
static void clear_upper_halves(void)
{
}
#endif

/* libcrypto writes to a parameter's place only when it is asked for it. */
static OSSL_PARAM param(const char *name, const uint8_t *data, size_t len)
{
	return (OSSL_PARAM)OSSL_PARAM_octet_string(name, (void *)data, len);
}

static OSSL_PARAM tag_param(const uint8_t *tag)
{
	return param(OSSL_CIPHER_PARAM_AEAD_TAG, tag, AEAD_TAG_LEN);
}

/* The fixed part of the nonce in TLS is all 96 bits of it for this cipher (RFC 7905, 2). */
static bool start_by_parameter(EVP_CIPHER_CTX *ctx, const uint8_t nonce[AEAD_NONCE_LEN],
			       const uint8_t *tag)
{
	OSSL_PARAM params[] = {
		param(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, nonce, AEAD_NONCE_LEN),
		tag ? tag_param(tag) : (OSSL_PARAM)OSSL_PARAM_END,
		OSSL_PARAM_END,
	};

	return EVP_CIPHER_CTX_set_params(ctx, params) == 1;
}

static bool start_by_init(EVP_CIPHER_CTX *ctx, const uint8_t nonce[AEAD_NONCE_LEN],
			  const uint8_t *tag)
{
	OSSL_PARAM params[] = {
		tag ? tag_param(tag) : (OSSL_PARAM)OSSL_PARAM_END,
		OSSL_PARAM_END,
	};

	return EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, -1, params) == 1;
}

/* Asks for the tag by a parameter: EVP_CIPHER_CTX_ctrl() does the same with more steps. */
static bool seal_text(EVP_CIPHER_CTX *ctx, uint8_t *dst, const uint8_t *src, size_t len)
{
	OSSL_PARAM params[] = {tag_param(dst + len), OSSL_PARAM_END};
	bool is_sealed;
	int n;

	if (len && EVP_EncryptUpdate(ctx, dst, &n, src, (int)len) != 1)
		return false;
	is_sealed = EVP_EncryptFinal_ex(ctx, dst + len, &n) == 1;
	clear_upper_halves();
	return is_sealed && EVP_CIPHER_CTX_get_params(ctx, params) == 1;
}

static bool open_text(EVP_CIPHER_CTX *ctx, uint8_t *dst, const uint8_t *src, size_t len)
{
	uint8_t nothing[1];
	bool is_authentic;
	int n;

	if (len && EVP_DecryptUpdate(ctx, dst, &n, src, (int)len) != 1)
		return false;
	is_authentic = EVP_DecryptFinal_ex(ctx, nothing, &n) == 1;
	clear_upper_halves();
	return is_authentic;
}

static bool is_preferable(void)
{
	return true;
}

static int make_key(struct aead_key **ret, const struct aead_backend *backend, start_fn *start,
		    const uint8_t key[AEAD_KEY_LEN])
{
	struct openssl_key *k;

	if (!cipher())
		return -EIO;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->base.backend = backend;
	k->start = start;
	memcpy(k->key, key, AEAD_KEY_LEN);
	*ret = &k->base;
	return 0;
}

static int key_new(struct aead_key **ret, const uint8_t key[AEAD_KEY_LEN])
{
	return make_key(ret, &aead_openssl, start_by_parameter, key);
}

static int key_new_by_init(struct aead_key **ret, const uint8_t key[AEAD_KEY_LEN])
{
	return make_key(ret, &aead_openssl_by_init, start_by_init, key);
}

static void key_free(struct aead_key *base)
{
	struct openssl_key *k = (struct openssl_key *)base;

	for (unsigned i = 0; i < THREAD_SLOTS; i++)
		EVP_CIPHER_CTX_free(k->contexts[i]);
	OPENSSL_cleanse(k->key, sizeof(k->key));
	free(k);
}

/*
 * NULL without memory; the batch is then not done, and the next one tries again. Only the check
 * of back-ends changes a context's direction.
 */
static EVP_CIPHER_CTX *my_context(struct openssl_key *k, bool is_seal)
{
	EVP_CIPHER_CTX **ctx = &k->contexts[thread_slot()];

	if (!*ctx)
		*ctx = context_new(k->key, is_seal);
	else if (EVP_CIPHER_CTX_is_encrypting(*ctx) != is_seal &&
		 EVP_CipherInit_ex2(*ctx, NULL, NULL, NULL, is_seal, NULL) != 1)
		return NULL;
	return *ctx;
}

static size_t seal_jobs(struct aead_key *base, struct aead_job *jobs, size_t n)
{
	struct openssl_key *k = (struct openssl_key *)base;
	EVP_CIPHER_CTX *ctx = my_context(k, true);
	uint8_t nonce[AEAD_NONCE_LEN];
	size_t done = 0;

	for (struct aead_job *job = jobs; job < jobs + n; job++) {
		aead_make_nonce(nonce, job->counter);
		job->is_done = ctx && k->start(ctx, nonce, NULL) &&
			       seal_text(ctx, job->dst, job->src, job->len);
		done += job->is_done;
	}
	return done;
}

static size_t open_jobs(struct aead_key *base, struct aead_job *jobs, size_t n)
{
	struct openssl_key *k = (struct openssl_key *)base;
	EVP_CIPHER_CTX *ctx = my_context(k, false);
	uint8_t nonce[AEAD_NONCE_LEN];
	size_t done = 0;

	for (struct aead_job *job = jobs; job < jobs + n; job++) {
		aead_make_nonce(nonce, job->counter);
		job->is_done = ctx && k->start(ctx, nonce, job->src + job->len) &&
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

const struct aead_backend aead_openssl_by_init = {
	.name = "openssl",
	.is_preferable = is_preferable,
	.key_new = key_new_by_init,
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
	EVP_CIPHER_CTX *ctx = context_new(key, true);
	bool is_sealed = ctx && start_by_init(ctx, nonce, NULL) && add_aad(ctx, aad, aad_len) &&
			 seal_text(ctx, dst, src, len);

	EVP_CIPHER_CTX_free(ctx);
	return is_sealed ? 0 : -EIO;
}

int aead_open_once(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *aad, size_t aad_len,
		   const uint8_t nonce[12], const uint8_t key[AEAD_KEY_LEN])
{
	EVP_CIPHER_CTX *ctx = context_new(key, false);
	int r = -EIO;

	if (ctx && start_by_init(ctx, nonce, src + len) && add_aad(ctx, aad, aad_len))
		r = open_text(ctx, dst, src, len) ? 0 : -EBADMSG;
	EVP_CIPHER_CTX_free(ctx);
	return r;
}
