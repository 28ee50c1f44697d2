/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Read beside the paper's section 5.4: the comments of one token (e, es, ss, ...) are those of
 * the Noise pattern, and "mix" is what the Noise specification calls MixHash and MixKey.
 */
#include "crypto/noise.h"

#include <string.h>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/keys.h"

static const char CONSTRUCTION[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static const char IDENTIFIER[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

/* The label of 1970-01-01 00:00:00 UTC; later leap seconds are left out, as all WireGuards do. */
#define TAI64_UNIX_EPOCH ((1ULL << 62) + 10)

/* Every handshake key seals one message. */
static const uint8_t nonce_zero[12];

void noise_identity_set(struct noise_identity *self, const uint8_t private_key[32])
{
	memcpy(self->private_key, private_key, sizeof(self->private_key));
	keys_public(self->public_key, private_key);
}

int noise_remote_set(struct noise_remote *r, const struct noise_identity *self,
		     const uint8_t public_key[32], const uint8_t preshared_key[32])
{
	struct noise_remote new = {0};
	int err = keys_shared(new.static_static, self->private_key, public_key);

	if (err < 0)
		return err;
	memcpy(new.public_key, public_key, sizeof(new.public_key));
	if (preshared_key)
		memcpy(new.preshared_key, preshared_key, sizeof(new.preshared_key));
	*r = new;
	keys_wipe(&new, sizeof(new));
	return 0;
}

static void mix_hash(struct noise_handshake *hs, const void *data, size_t len)
{
	hash_blake2s(hs->hash, (struct hash_input[]){{hs->hash, NOISE_HASH_LEN}, {data, len}}, 2);
}

/* A new chaining key, and a key for one message where `ret_key` is not NULL. */
static void mix_key(struct noise_handshake *hs, uint8_t *ret_key, const uint8_t input[32])
{
	hash_kdf(hs->chaining_key, ret_key, NULL, hs->chaining_key, input, 32);
}

static int mix_dh(struct noise_handshake *hs, uint8_t *ret_key, const uint8_t private_key[32],
		  const uint8_t public_key[32])
{
	uint8_t shared[NOISE_PUBLIC_KEY_LEN];
	int r = keys_shared(shared, private_key, public_key);

	if (r < 0)
		return r;
	mix_key(hs, ret_key, shared);
	keys_wipe(shared, sizeof(shared));
	return 0;
}

static void mix_ephemeral(struct noise_handshake *hs, const uint8_t public_key[32])
{
	mix_hash(hs, public_key, NOISE_PUBLIC_KEY_LEN);
	mix_key(hs, NULL, public_key);
}

static void mix_psk(struct noise_handshake *hs, uint8_t ret_key[32], const uint8_t psk[32])
{
	uint8_t tau[NOISE_HASH_LEN];

	hash_kdf(hs->chaining_key, tau, ret_key, hs->chaining_key, psk, NOISE_SYMMETRIC_KEY_LEN);
	mix_hash(hs, tau, sizeof(tau));
	keys_wipe(tau, sizeof(tau));
}

static int seal_and_mix(struct noise_handshake *hs, uint8_t *dst, const uint8_t *src, size_t len,
			const uint8_t key[32])
{
	int r = aead_seal_once(dst, src, len, hs->hash, NOISE_HASH_LEN, nonce_zero, key);

	if (r == 0)
		mix_hash(hs, dst, len + NOISE_AUTHTAG_LEN);
	return r;
}

static int open_and_mix(struct noise_handshake *hs, uint8_t *dst, const uint8_t *src, size_t len,
			const uint8_t key[32])
{
	int r = aead_open_once(dst, src, len, hs->hash, NOISE_HASH_LEN, nonce_zero, key);

	if (r == 0)
		mix_hash(hs, src, len + NOISE_AUTHTAG_LEN);
	return r;
}

/* Where both sides begin; the responder's key is known to the initiator beforehand. */
static void begin(struct noise_handshake *hs, const uint8_t responder_public[32])
{
	memset(hs, 0, sizeof(*hs));
	hash_blake2s(hs->chaining_key, &(struct hash_input){CONSTRUCTION, sizeof(CONSTRUCTION) - 1},
		     1);
	memcpy(hs->hash, hs->chaining_key, NOISE_HASH_LEN);
	mix_hash(hs, IDENTIFIER, sizeof(IDENTIFIER) - 1);
	mix_hash(hs, responder_public, NOISE_PUBLIC_KEY_LEN);
}

int noise_create_initiation(struct noise_handshake *hs, const struct noise_identity *self,
			    const struct noise_remote *remote, const uint8_t ephemeral[32],
			    uint32_t local_index, const uint8_t timestamp[NOISE_TIMESTAMP_LEN],
			    struct wg_initiation *ret_msg)
{
	struct wg_initiation msg = {
		.type = le32_make(MESSAGE_HANDSHAKE_INITIATION),
		.sender_index = le32_make(local_index),
	};
	uint8_t key[NOISE_SYMMETRIC_KEY_LEN];
	int r;

	begin(hs, remote->public_key);
	hs->local_index = local_index;
	memcpy(hs->ephemeral_private, ephemeral, sizeof(hs->ephemeral_private));

	/* e */
	keys_public(msg.unencrypted_ephemeral, ephemeral);
	mix_ephemeral(hs, msg.unencrypted_ephemeral);
	/* es */
	r = mix_dh(hs, key, ephemeral, remote->public_key);
	if (r < 0)
		return r;
	/* s */
	r = seal_and_mix(hs, msg.encrypted_static, self->public_key, NOISE_PUBLIC_KEY_LEN, key);
	if (r < 0)
		goto out;
	/* ss */
	mix_key(hs, key, remote->static_static);
	/* {t} */
	r = seal_and_mix(hs, msg.encrypted_timestamp, timestamp, NOISE_TIMESTAMP_LEN, key);
	if (r == 0)
		*ret_msg = msg;
out:
	keys_wipe(key, sizeof(key));
	return r;
}

int noise_open_initiation(struct noise_handshake *hs, const struct noise_identity *self,
			  const struct wg_initiation *msg, uint8_t ret_remote_public[32])
{
	uint8_t key[NOISE_SYMMETRIC_KEY_LEN];
	uint8_t remote_public[NOISE_PUBLIC_KEY_LEN];
	int r;

	begin(hs, self->public_key);
	hs->remote_index = le32_get(msg->sender_index);
	memcpy(hs->remote_ephemeral, msg->unencrypted_ephemeral, sizeof(hs->remote_ephemeral));

	/* e */
	mix_ephemeral(hs, msg->unencrypted_ephemeral);
	/* es */
	r = mix_dh(hs, key, self->private_key, msg->unencrypted_ephemeral);
	if (r < 0)
		return r;
	/* s */
	r = open_and_mix(hs, remote_public, msg->encrypted_static, sizeof(remote_public), key);
	if (r == 0)
		memcpy(ret_remote_public, remote_public, sizeof(remote_public));
	keys_wipe(key, sizeof(key));
	return r;
}

int noise_verify_initiation(struct noise_handshake *hs, const struct noise_remote *remote,
			    const struct wg_initiation *msg,
			    uint8_t ret_timestamp[NOISE_TIMESTAMP_LEN])
{
	uint8_t key[NOISE_SYMMETRIC_KEY_LEN];
	uint8_t timestamp[NOISE_TIMESTAMP_LEN];
	int r;

	/* ss */
	mix_key(hs, key, remote->static_static);
	/* {t} */
	r = open_and_mix(hs, timestamp, msg->encrypted_timestamp, sizeof(timestamp), key);
	if (r == 0)
		memcpy(ret_timestamp, timestamp, sizeof(timestamp));
	keys_wipe(key, sizeof(key));
	return r;
}

/* Section 5.4.5: the first key is the initiator's to send with. */
static void derive_session(const struct noise_handshake *hs, uint8_t ret_initiator[32],
			   uint8_t ret_responder[32])
{
	hash_kdf(ret_initiator, ret_responder, NULL, hs->chaining_key, NULL, 0);
}

/* The handshake is over: what is left is only where its messages go. */
static void wipe_but_indices(struct noise_handshake *hs)
{
	uint32_t local_index = hs->local_index;
	uint32_t remote_index = hs->remote_index;

	noise_wipe(hs);
	hs->local_index = local_index;
	hs->remote_index = remote_index;
}

int noise_create_response(struct noise_handshake *hs, const struct noise_remote *remote,
			  const uint8_t ephemeral[32], uint32_t local_index,
			  struct wg_response *ret_msg, struct noise_session_keys *ret_keys)
{
	struct wg_response msg = {
		.type = le32_make(MESSAGE_HANDSHAKE_RESPONSE),
		.sender_index = le32_make(local_index),
		.receiver_index = le32_make(hs->remote_index),
	};
	uint8_t key[NOISE_SYMMETRIC_KEY_LEN];
	int r;

	hs->local_index = local_index;

	/* e */
	keys_public(msg.unencrypted_ephemeral, ephemeral);
	mix_ephemeral(hs, msg.unencrypted_ephemeral);
	/* ee */
	r = mix_dh(hs, NULL, ephemeral, hs->remote_ephemeral);
	if (r < 0)
		return r;
	/* se */
	r = mix_dh(hs, NULL, ephemeral, remote->public_key);
	if (r < 0)
		return r;
	/* psk */
	mix_psk(hs, key, remote->preshared_key);
	/* {} */
	r = seal_and_mix(hs, msg.encrypted_nothing, NULL, 0, key);
	keys_wipe(key, sizeof(key));
	if (r < 0)
		return r;

	derive_session(hs, ret_keys->recv, ret_keys->send);
	wipe_but_indices(hs);
	*ret_msg = msg;
	return 0;
}

/* The initiator's half of the second message, on a copy that the caller wipes. */
static int read_response(struct noise_handshake *hs, const struct noise_identity *self,
			 const struct noise_remote *remote, const struct wg_response *msg)
{
	uint8_t key[NOISE_SYMMETRIC_KEY_LEN];
	uint8_t nothing[1];
	int r;

	/* e */
	mix_ephemeral(hs, msg->unencrypted_ephemeral);
	/* ee */
	r = mix_dh(hs, NULL, hs->ephemeral_private, msg->unencrypted_ephemeral);
	if (r < 0)
		return r;
	/* se */
	r = mix_dh(hs, NULL, self->private_key, msg->unencrypted_ephemeral);
	if (r < 0)
		return r;
	/* psk */
	mix_psk(hs, key, remote->preshared_key);
	/* {} */
	r = open_and_mix(hs, nothing, msg->encrypted_nothing, 0, key);
	keys_wipe(key, sizeof(key));
	return r;
}

int noise_consume_response(struct noise_handshake *hs, const struct noise_identity *self,
			   const struct noise_remote *remote, const struct wg_response *msg,
			   struct noise_session_keys *ret_keys)
{
	struct noise_handshake copy = *hs;
	int r = read_response(&copy, self, remote, msg);

	if (r == 0) {
		derive_session(&copy, ret_keys->send, ret_keys->recv);
		hs->remote_index = le32_get(msg->sender_index);
		wipe_but_indices(hs);
	}
	noise_wipe(&copy);
	return r;
}

void noise_wipe(struct noise_handshake *hs)
{
	keys_wipe(hs, sizeof(*hs));
}

void noise_timestamp(uint8_t ret[NOISE_TIMESTAMP_LEN], nsec_t wall)
{
	struct be64 seconds = be64_make(TAI64_UNIX_EPOCH + (uint64_t)(wall / NSEC_PER_SEC));
	struct be32 nanoseconds = be32_make((uint32_t)(wall % NSEC_PER_SEC) & 0xff000000);

	memcpy(ret, &seconds, sizeof(seconds));
	memcpy(ret + sizeof(seconds), &nanoseconds, sizeof(nanoseconds));
}
