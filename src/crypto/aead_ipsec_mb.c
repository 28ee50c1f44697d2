/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * libipsec-mb: packets are jobs that a manager takes one by one and returns in their order once
 * they are done, at the latest when it is flushed. A manager serves one thread; each makes its
 * own at its first batch and frees it when it ends. It keeps nothing of a key.
 *
 * Jobs are handed over without the library's check of their fields: but for addresses and
 * lengths these are constants, which aead_check() has tried.
 */
#include <errno.h>
#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>

#include "crypto/aead_backend.h"

#define BATCH_MAX 64

struct ipsec_mb_key {
	struct aead_key base;
	uint8_t key[AEAD_KEY_LEN];
};

/* Jobs point into it, so it lives until all are done. */
struct batch {
	const uint8_t *key;
	IMB_CIPHER_DIRECTION direction;
	IMB_CHAIN_ORDER order;
	uint8_t nonces[BATCH_MAX][AEAD_NONCE_LEN];
	uint8_t tags[BATCH_MAX][AEAD_TAG_LEN]; /* of what is opened: as they should be */
};

static pthread_key_t manager_key;
static bool has_manager_key;

static void free_manager(void *manager)
{
	free_mb_mgr(manager);
}

static void make_manager_key(void)
{
	has_manager_key = pthread_key_create(&manager_key, free_manager) == 0;
}

static IMB_MGR *manager_new(void)
{
	IMB_MGR *m = alloc_mb_mgr(0);

	if (!m)
		return NULL;
	init_mb_mgr_auto(m, NULL);
	if (imb_get_errno(m) == 0 && pthread_setspecific(manager_key, m) == 0)
		return m;
	free_mb_mgr(m);
	return NULL;
}

/* NULL without memory or on a CPU that is too old. */
static IMB_MGR *my_manager(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	IMB_MGR *m;

	pthread_once(&once, make_manager_key);
	if (!has_manager_key)
		return NULL;
	m = pthread_getspecific(manager_key);
	return m ? m : manager_new();
}

/* From AVX2 on it is faster than libcrypto, see docs/design/aead.md. */
static bool is_preferable(void)
{
	IMB_MGR *m = my_manager();

	return m && m->features & IMB_FEATURE_AVX2;
}

static int key_new(struct aead_key **ret, const uint8_t key[AEAD_KEY_LEN])
{
	struct ipsec_mb_key *k = malloc(sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->base.backend = &aead_ipsec_mb;
	memcpy(k->key, key, AEAD_KEY_LEN);
	*ret = &k->base;
	return 0;
}

static void key_free(struct aead_key *base)
{
	struct ipsec_mb_key *k = (struct ipsec_mb_key *)base;

	OPENSSL_cleanse(k->key, sizeof(k->key));
	free(k);
}

/* The manager's jobs are used again and again, and keep what is not set here. */
static void fill(IMB_JOB *to, struct aead_job *job, const struct batch *b, const uint8_t *nonce,
		 uint8_t *tag)
{
	to->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
	to->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
	to->cipher_direction = b->direction;
	to->chain_order = b->order;
	to->enc_keys = b->key;
	to->dec_keys = b->key;
	to->key_len_in_bytes = AEAD_KEY_LEN;
	to->src = job->src;
	to->dst = job->dst;
	to->cipher_start_src_offset_in_bytes = 0;
	to->msg_len_to_cipher_in_bytes = job->len;
	to->hash_start_src_offset_in_bytes = 0;
	to->msg_len_to_hash_in_bytes = job->len;
	to->iv = nonce;
	to->iv_len_in_bytes = AEAD_NONCE_LEN;
	to->auth_tag_output = tag;
	to->auth_tag_output_len_in_bytes = AEAD_TAG_LEN;
	to->u.CHACHA20_POLY1305.aad = NULL;
	to->u.CHACHA20_POLY1305.aad_len_in_bytes = 0;
	to->user_data = job;
}

/* Marks what the manager has done, from `done` on. */
static void take_done(IMB_MGR *m, IMB_JOB *done)
{
	for (; done; done = IMB_GET_COMPLETED_JOB(m)) {
		struct aead_job *job = done->user_data;

		job->is_done = done->status == IMB_STATUS_COMPLETED;
	}
}

static void run(IMB_MGR *m, struct batch *b, struct aead_job *jobs, size_t n)
{
	bool is_seal = b->direction == IMB_DIR_ENCRYPT;
	IMB_JOB *done;

	for (size_t i = 0; i < n; i++) {
		struct aead_job *job = &jobs[i];
		uint8_t *tag = is_seal ? job->dst + job->len : b->tags[i];

		aead_make_nonce(b->nonces[i], job->counter);
		fill(IMB_GET_NEXT_JOB(m), job, b, b->nonces[i], tag);
		take_done(m, IMB_SUBMIT_JOB_NOCHECK(m));
	}
	while ((done = IMB_FLUSH_JOB(m)))
		take_done(m, done);
}

/* The library only computes the tags of what it opens. In constant time. */
static void check_tags(const struct batch *b, struct aead_job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const uint8_t *found = jobs[i].src + jobs[i].len;

		jobs[i].is_done &= CRYPTO_memcmp(found, b->tags[i], AEAD_TAG_LEN) == 0;
	}
}

static size_t run_all(struct batch *b, struct aead_job *jobs, size_t n)
{
	IMB_MGR *m = my_manager();
	size_t n_done = 0;

	for (size_t i = 0; i < n; i++)
		jobs[i].is_done = false;
	for (size_t at = 0; m && at < n; at += BATCH_MAX) {
		size_t part = n - at < BATCH_MAX ? n - at : BATCH_MAX;

		run(m, b, jobs + at, part);
		if (b->direction == IMB_DIR_DECRYPT)
			check_tags(b, jobs + at, part);
	}
	for (size_t i = 0; i < n; i++)
		n_done += jobs[i].is_done;
	return n_done;
}

static size_t seal_jobs(struct aead_key *k, struct aead_job *jobs, size_t n)
{
	struct batch b; /* not cleared, for it is large */

	b.key = ((struct ipsec_mb_key *)k)->key;
	b.direction = IMB_DIR_ENCRYPT;
	b.order = IMB_ORDER_CIPHER_HASH;
	return run_all(&b, jobs, n);
}

static size_t open_jobs(struct aead_key *k, struct aead_job *jobs, size_t n)
{
	struct batch b;

	b.key = ((struct ipsec_mb_key *)k)->key;
	b.direction = IMB_DIR_DECRYPT;
	b.order = IMB_ORDER_HASH_CIPHER;
	return run_all(&b, jobs, n);
}

const struct aead_backend aead_ipsec_mb = {
	.name = "ipsec-mb",
	.is_preferable = is_preferable,
	.key_new = key_new,
	.key_free = key_free,
	.seal = seal_jobs,
	.open = open_jobs,
};
