/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * MAC1, MAC2 and cookies (paper, sections 5.3, 5.4.4 and 5.4.7). Time comes in as an argument.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"
#include "wire/wg.h"

/* The side that is asked. mac1_key is constant after init; the rest has one owner. */
struct cookie_checker {
	uint8_t mac1_key[NOISE_HASH_LEN];
	uint8_t cookie_key[NOISE_HASH_LEN];
	uint8_t secret[NOISE_HASH_LEN];
	nsec_t secret_birth;
};

/* The side that asks: one peer's last cookie. */
struct cookie_jar {
	uint8_t mac1_key[NOISE_HASH_LEN];
	uint8_t cookie_key[NOISE_HASH_LEN];
	uint8_t cookie[COOKIE_LEN];
	nsec_t cookie_birth;
	uint8_t last_mac1[COOKIE_LEN];
	bool has_cookie;
	bool has_last_mac1;
};

void cookie_checker_init(struct cookie_checker *c, const uint8_t public_key[32]);
/* `msg` is a whole initiation or response (the MACs are its last 32 bytes). Any thread. */
bool cookie_check_mac1(const struct cookie_checker *c, const void *msg, size_t len);
/* Owner only: the secret changes every COOKIE_SECRET_MAX_AGE. */
bool cookie_check_mac2(struct cookie_checker *c, const void *msg, size_t len,
		       const struct addr *from, nsec_t now);
/* Answers `msg` with a cookie for its source. `nonce` is random. 0 or -EIO. */
int cookie_create_reply(struct cookie_checker *c, const void *msg, size_t len,
			uint32_t sender_index, const struct addr *from,
			const uint8_t nonce[COOKIE_NONCE_LEN], nsec_t now,
			struct wg_cookie_reply *ret);

void cookie_jar_init(struct cookie_jar *jar, const uint8_t remote_public[32]);
/* Fills the MACs of an outgoing initiation or response; remembers mac1. */
void cookie_jar_seal(struct cookie_jar *jar, void *msg, size_t len, nsec_t now);
/* Takes the cookie of a reply to our last message. 0, -ENOENT if none is awaited, -EBADMSG. */
int cookie_jar_accept(struct cookie_jar *jar, const struct wg_cookie_reply *reply, nsec_t now);
