/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * ChaCha20-Poly1305 (RFC 8439) as transport data uses it: no additional data, the nonce being
 * four zero bytes and the message counter. Works on batches, so that a back-end may work on
 * several packets at once.
 * A key may be used by many threads at a time: each has a context of its own in it, made at
 * its first use (found by thread_slot()), so that a packet costs only the change of nonce.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AEAD_KEY_LEN 32
#define AEAD_TAG_LEN 16

struct aead_key;

struct aead_job {
	uint8_t *dst; /* may equal src; else they must not overlap */
	const uint8_t *src;
	size_t len; /* of the plaintext, in both directions */
	uint64_t counter;
	bool is_done; /* out: sealed, or opened and authentic */
};

/* 0, -ENOMEM, or -EIO if libcrypto refuses. The caller wipes its copy of `key`. */
int aead_key_new(struct aead_key **ret, const uint8_t key[AEAD_KEY_LEN]);
/* Wipes all contexts. No thread may be using it any more. */
void aead_key_free(struct aead_key *k);

/* Each dst gets len bytes of ciphertext and the tag. Returns how many jobs are done. */
size_t aead_seal(struct aead_key *k, struct aead_job *jobs, size_t n);
/* Each src holds len bytes of ciphertext and the tag. Returns how many jobs are done. */
size_t aead_open(struct aead_key *k, struct aead_job *jobs, size_t n);

/*
 * One message with a nonce and additional data, outside any session (handshakes, tests).
 * Seal: dst gets len + AEAD_TAG_LEN bytes. Open: src has len + AEAD_TAG_LEN bytes, dst gets len.
 * 0, -EBADMSG if it is not authentic, -EIO.
 */
int aead_seal_once(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *aad, size_t aad_len,
		   const uint8_t nonce[12], const uint8_t key[AEAD_KEY_LEN]);
int aead_open_once(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *aad, size_t aad_len,
		   const uint8_t nonce[12], const uint8_t key[AEAD_KEY_LEN]);
