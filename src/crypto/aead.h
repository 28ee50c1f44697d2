/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * ChaCha20-Poly1305 (RFC 8439) as transport data uses it: no additional data, the nonce being
 * four zero bytes and the message counter. Works on batches, so that a back-end may work on
 * several packets at once.
 * A key may be used by many threads at a time: what a back-end needs per thread it makes at the
 * thread's first batch. Nothing else here allocates in the data path.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AEAD_KEY_LEN 32
#define AEAD_TAG_LEN 16

/* The choice that is left to aead_init(). */
#define AEAD_AUTO "auto"
/* The one that takes the least memory. */
#define AEAD_SMALL "openssl"
#define AEAD_BACKENDS_MAX 4

/*
 * Which back-end makes the keys from now on. NULL or AEAD_AUTO: the fastest for this CPU that
 * passes a check against libcrypto; a name: that one or none. Without a call it is libcrypto.
 * Called before other threads start, by a thread with a number. 0; -ENOENT if none of that
 * name is built in; -EIO if it fails the check; -ENOMEM. Nothing changes then.
 */
int aead_init(const char *wanted);
/* The name of the one in use. */
const char *aead_backend(void);
/* The names of those built in; NULL behind the last. */
const char *const *aead_backends(void);

struct aead_key;

struct aead_job {
	uint8_t *dst; /* may equal src; else they must not overlap */
	const uint8_t *src;
	size_t len; /* of the plaintext, in both directions */
	uint64_t counter;
	bool is_done; /* out: sealed, or opened and authentic */
};

/* 0, -ENOMEM, or -EIO if the back-end refuses. The caller wipes its copy of `key`. */
int aead_key_new(struct aead_key **ret, const uint8_t key[AEAD_KEY_LEN]);
/* Wipes it. No thread may be using it any more. */
void aead_key_free(struct aead_key *k);

/* Each dst gets len bytes of ciphertext and the tag. Returns how many jobs are done. */
size_t aead_seal(struct aead_key *k, struct aead_job *jobs, size_t n);
/* Each src holds len bytes of ciphertext and the tag. Returns how many jobs are done. */
size_t aead_open(struct aead_key *k, struct aead_job *jobs, size_t n);

/*
 * One message with a nonce and additional data, outside any session (handshakes, tests). Always
 * by libcrypto.
 * Seal: dst gets len + AEAD_TAG_LEN bytes. Open: src has len + AEAD_TAG_LEN bytes, dst gets len.
 * 0, -EBADMSG if it is not authentic, -EIO.
 */
int aead_seal_once(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *aad, size_t aad_len,
		   const uint8_t nonce[12], const uint8_t key[AEAD_KEY_LEN]);
int aead_open_once(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *aad, size_t aad_len,
		   const uint8_t nonce[12], const uint8_t key[AEAD_KEY_LEN]);
