/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The handshake Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s as WireGuard speaks it (paper, section
 * 5.4). Pure: keys, indices and time stamps come in as arguments. Owner: the caller.
 */
#pragma once

#include <stdint.h>

#include "wire/wg.h"

/* We ourselves. */
struct noise_identity {
	uint8_t private_key[NOISE_PUBLIC_KEY_LEN];
	uint8_t public_key[NOISE_PUBLIC_KEY_LEN];
};

/* A peer: its key, the key shared with it beforehand (zero: none), DH(our static, its static). */
struct noise_remote {
	uint8_t public_key[NOISE_PUBLIC_KEY_LEN];
	uint8_t preshared_key[NOISE_SYMMETRIC_KEY_LEN];
	uint8_t static_static[NOISE_PUBLIC_KEY_LEN];
};

struct noise_handshake {
	uint8_t hash[NOISE_HASH_LEN];
	uint8_t chaining_key[NOISE_HASH_LEN];
	uint8_t ephemeral_private[NOISE_PUBLIC_KEY_LEN];
	uint8_t remote_ephemeral[NOISE_PUBLIC_KEY_LEN];
	uint32_t local_index;
	uint32_t remote_index;
};

struct noise_session_keys {
	uint8_t send[NOISE_SYMMETRIC_KEY_LEN];
	uint8_t recv[NOISE_SYMMETRIC_KEY_LEN];
};

void noise_identity_set(struct noise_identity *self, const uint8_t private_key[32]);
/*
 * -EINVAL if the public key is a point of low order; 0. `preshared_key` may be NULL.
 */
int noise_remote_set(struct noise_remote *r, const struct noise_identity *self,
		     const uint8_t public_key[32], const uint8_t preshared_key[32]);

/*
 * Initiator, first message. `ephemeral` is a fresh private key. Fills all but the MACs. Those
 * that return int: 0, -EINVAL (bad point), -EBADMSG (not authentic), -EIO; on failure nothing
 * of `hs` may be used.
 */
int noise_create_initiation(struct noise_handshake *hs, const struct noise_identity *self,
			    const struct noise_remote *remote, const uint8_t ephemeral[32],
			    uint32_t local_index, const uint8_t timestamp[NOISE_TIMESTAMP_LEN],
			    struct wg_initiation *ret_msg);
/* Responder, first message, up to the point where the initiator is known. */
int noise_open_initiation(struct noise_handshake *hs, const struct noise_identity *self,
			  const struct wg_initiation *msg, uint8_t ret_remote_public[32]);
/* ... and the rest of it, with what we know of that peer. */
int noise_verify_initiation(struct noise_handshake *hs, const struct noise_remote *remote,
			    const struct wg_initiation *msg,
			    uint8_t ret_timestamp[NOISE_TIMESTAMP_LEN]);
/* Responder, second message; `hs` is wiped but for the indices. */
int noise_create_response(struct noise_handshake *hs, const struct noise_remote *remote,
			  const uint8_t ephemeral[32], uint32_t local_index,
			  struct wg_response *ret_msg, struct noise_session_keys *ret_keys);
/* Initiator, second message; `hs` is left untouched on failure, wiped but for the indices else. */
int noise_consume_response(struct noise_handshake *hs, const struct noise_identity *self,
			   const struct noise_remote *remote, const struct wg_response *msg,
			   struct noise_session_keys *ret_keys);
void noise_wipe(struct noise_handshake *hs);

/*
 * TAI64N label of a Unix time (cr.yp.to/libtai/tai64.html), the low 24 bits of the nanoseconds
 * cleared so that it does not tell the exact clock. Later labels compare greater by memcmp().
 */
void noise_timestamp(uint8_t ret[NOISE_TIMESTAMP_LEN], nsec_t wall);
