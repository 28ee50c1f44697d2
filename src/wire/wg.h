/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * WireGuard on the wire: messages, sizes, constants and limits under the names of the paper
 * (J. Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", sections 5.4 and 6.1).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/clock.h"
#include "util/endian.h"

#define NOISE_PUBLIC_KEY_LEN 32
#define NOISE_SYMMETRIC_KEY_LEN 32
#define NOISE_TIMESTAMP_LEN 12
#define NOISE_AUTHTAG_LEN 16
#define NOISE_HASH_LEN 32
#define COOKIE_LEN 16
#define COOKIE_NONCE_LEN 24

#define REKEY_AFTER_MESSAGES (1ULL << 60)
#define REJECT_AFTER_MESSAGES (UINT64_MAX - (1ULL << 13))
#define REKEY_TIMEOUT (5 * NSEC_PER_SEC)
#define REKEY_TIMEOUT_JITTER_MAX (334 * NSEC_PER_MSEC)
#define REKEY_AFTER_TIME (120 * NSEC_PER_SEC)
#define REJECT_AFTER_TIME (180 * NSEC_PER_SEC)
#define REKEY_ATTEMPT_TIME (90 * NSEC_PER_SEC)
#define KEEPALIVE_TIMEOUT (10 * NSEC_PER_SEC)
#define COOKIE_SECRET_MAX_AGE (120 * NSEC_PER_SEC)
#define COOKIE_SECRET_LATENCY (5 * NSEC_PER_SEC)
#define INITIATIONS_PER_SECOND 50
#define MESSAGE_PADDING_MULTIPLE 16

enum wg_message_type {
	MESSAGE_HANDSHAKE_INITIATION = 1,
	MESSAGE_HANDSHAKE_RESPONSE = 2,
	MESSAGE_HANDSHAKE_COOKIE = 3,
	MESSAGE_DATA = 4,
};

struct wg_macs {
	uint8_t mac1[COOKIE_LEN];
	uint8_t mac2[COOKIE_LEN];
};

/* The type is one byte and three reserved zero bytes; read together as one le32. */
struct wg_initiation {
	struct le32 type;
	struct le32 sender_index;
	uint8_t unencrypted_ephemeral[NOISE_PUBLIC_KEY_LEN];
	uint8_t encrypted_static[NOISE_PUBLIC_KEY_LEN + NOISE_AUTHTAG_LEN];
	uint8_t encrypted_timestamp[NOISE_TIMESTAMP_LEN + NOISE_AUTHTAG_LEN];
	struct wg_macs macs;
};
_Static_assert(sizeof(struct wg_initiation) == 148, "paper, section 5.4.2");

struct wg_response {
	struct le32 type;
	struct le32 sender_index;
	struct le32 receiver_index;
	uint8_t unencrypted_ephemeral[NOISE_PUBLIC_KEY_LEN];
	uint8_t encrypted_nothing[NOISE_AUTHTAG_LEN];
	struct wg_macs macs;
};
_Static_assert(sizeof(struct wg_response) == 92, "paper, section 5.4.3");

struct wg_cookie_reply {
	struct le32 type;
	struct le32 receiver_index;
	uint8_t nonce[COOKIE_NONCE_LEN];
	uint8_t encrypted_cookie[COOKIE_LEN + NOISE_AUTHTAG_LEN];
};
_Static_assert(sizeof(struct wg_cookie_reply) == 64, "paper, section 5.4.7");

struct wg_data {
	struct le32 type;
	struct le32 receiver_index;
	struct le64 counter;
	/* the encrypted packet and its tag follow */
};
_Static_assert(sizeof(struct wg_data) == 16, "paper, section 5.4.6");

/* What a transport message adds to its (padded) inner packet. */
#define MESSAGE_DATA_OVERHEAD (sizeof(struct wg_data) + NOISE_AUTHTAG_LEN)

/* The type of a message; 0, which is none, if it is too short to have one. */
static inline uint32_t wg_message_type(const void *msg, size_t len)
{
	const struct le32 *type = msg;

	return len < sizeof(*type) ? 0 : le32_get(*type);
}

/* Is a message of that type and length one of a handshake? */
static inline bool wg_is_handshake(uint32_t type, size_t len)
{
	switch (type) {
	case MESSAGE_HANDSHAKE_INITIATION:
		return len == sizeof(struct wg_initiation);
	case MESSAGE_HANDSHAKE_RESPONSE:
		return len == sizeof(struct wg_response);
	case MESSAGE_HANDSHAKE_COOKIE:
		return len == sizeof(struct wg_cookie_reply);
	default:
		return false;
	}
}

/* Plaintext length of an inner packet of `len` bytes: padded, but never beyond the MTU. */
static inline size_t wg_padded_len(size_t len, size_t mtu)
{
	size_t padded =
		(len + MESSAGE_PADDING_MULTIPLE - 1) & ~(size_t)(MESSAGE_PADDING_MULTIPLE - 1);

	if (len > mtu)
		return padded;
	return padded < mtu ? padded : mtu;
}
