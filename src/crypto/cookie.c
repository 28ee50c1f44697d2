/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A cookie is a MAC over the address that a message came from, under a secret that nobody
 * else knows and that changes often: who returns it has shown that he receives what is sent
 * to that address, and nothing had to be remembered about him.
 */
#include "crypto/cookie.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "crypto/hash.h"
#include "crypto/keys.h"
#include "crypto/xaead.h"

#define LABEL_MAC1 "mac1----"
#define LABEL_COOKIE "cookie--"

static void derive_key(uint8_t ret[NOISE_HASH_LEN], const char *label, const uint8_t public_key[32])
{
	hash_blake2s(ret,
		     (struct hash_input[]){
			     {label, strlen(label)},
			     {public_key, NOISE_PUBLIC_KEY_LEN},
		     },
		     2);
}

static const struct wg_macs *macs_of(const void *msg, size_t len)
{
	assert(len >= sizeof(struct wg_macs));
	return (const struct wg_macs *)((const uint8_t *)msg + len - sizeof(struct wg_macs));
}

/* All before mac1. */
static void make_mac1(uint8_t ret[COOKIE_LEN], const uint8_t mac1_key[NOISE_HASH_LEN],
		      const void *msg, size_t len)
{
	size_t covered = (size_t)(macs_of(msg, len)->mac1 - (const uint8_t *)msg);

	hash_mac(ret, mac1_key, NOISE_HASH_LEN, msg, covered);
}

/* All before mac2, so mac1 too. */
static void make_mac2(uint8_t ret[COOKIE_LEN], const uint8_t cookie[COOKIE_LEN], const void *msg,
		      size_t len)
{
	size_t covered = (size_t)(macs_of(msg, len)->mac2 - (const uint8_t *)msg);

	hash_mac(ret, cookie, COOKIE_LEN, msg, covered);
}

void cookie_checker_init(struct cookie_checker *c, const uint8_t public_key[32])
{
	memset(c, 0, sizeof(*c));
	derive_key(c->mac1_key, LABEL_MAC1, public_key);
	derive_key(c->cookie_key, LABEL_COOKIE, public_key);
	c->secret_birth = NSEC_NEVER;
}

bool cookie_check_mac1(const struct cookie_checker *c, const void *msg, size_t len)
{
	uint8_t mac1[COOKIE_LEN];

	make_mac1(mac1, c->mac1_key, msg, len);
	return keys_equal(mac1, macs_of(msg, len)->mac1, COOKIE_LEN);
}

static void refresh_secret(struct cookie_checker *c, nsec_t now)
{
	if (c->secret_birth != NSEC_NEVER && now - c->secret_birth < COOKIE_SECRET_MAX_AGE)
		return;
	keys_random(c->secret, sizeof(c->secret));
	c->secret_birth = now;
}

/* As Linux does it: the 4 or 16 bytes of the address, then the port in network order. */
static void make_cookie(uint8_t ret[COOKIE_LEN], struct cookie_checker *c, const struct addr *from,
			nsec_t now)
{
	uint8_t source[sizeof(struct in6_addr) + sizeof(in_port_t)];
	size_t len;

	if (from->sa.sa_family == AF_INET) {
		len = sizeof(from->v4.sin_addr);
		memcpy(source, &from->v4.sin_addr, len);
	} else {
		len = sizeof(from->v6.sin6_addr);
		memcpy(source, &from->v6.sin6_addr, len);
	}
	/* The port lies at the same place in both families. */
	memcpy(source + len, &from->v4.sin_port, sizeof(in_port_t));
	refresh_secret(c, now);
	hash_mac(ret, c->secret, sizeof(c->secret), source, len + sizeof(in_port_t));
}

bool cookie_check_mac2(struct cookie_checker *c, const void *msg, size_t len,
		       const struct addr *from, nsec_t now)
{
	static const uint8_t none[COOKIE_LEN];
	uint8_t cookie[COOKIE_LEN];
	uint8_t mac2[COOKIE_LEN];

	if (!memcmp(macs_of(msg, len)->mac2, none, sizeof(none)))
		return false;
	make_cookie(cookie, c, from, now);
	make_mac2(mac2, cookie, msg, len);
	keys_wipe(cookie, sizeof(cookie));
	return keys_equal(mac2, macs_of(msg, len)->mac2, COOKIE_LEN);
}

int cookie_create_reply(struct cookie_checker *c, const void *msg, size_t len,
			uint32_t sender_index, const struct addr *from,
			const uint8_t nonce[COOKIE_NONCE_LEN], nsec_t now,
			struct wg_cookie_reply *ret)
{
	struct wg_cookie_reply reply = {
		.type = le32_make(MESSAGE_HANDSHAKE_COOKIE),
		.receiver_index = le32_make(sender_index),
	};
	uint8_t cookie[COOKIE_LEN];
	int r;

	memcpy(reply.nonce, nonce, COOKIE_NONCE_LEN);
	make_cookie(cookie, c, from, now);
	r = xaead_seal(reply.encrypted_cookie, cookie, COOKIE_LEN, macs_of(msg, len)->mac1,
		       COOKIE_LEN, nonce, c->cookie_key);
	keys_wipe(cookie, sizeof(cookie));
	if (r < 0)
		return r;
	*ret = reply;
	return 0;
}

void cookie_jar_init(struct cookie_jar *jar, const uint8_t remote_public[32])
{
	memset(jar, 0, sizeof(*jar));
	derive_key(jar->mac1_key, LABEL_MAC1, remote_public);
	derive_key(jar->cookie_key, LABEL_COOKIE, remote_public);
}

/* The other side forgets its secret too: stop a little before, for messages on their way. */
static bool cookie_is_young(const struct cookie_jar *jar, nsec_t now)
{
	return jar->has_cookie &&
	       now - jar->cookie_birth < COOKIE_SECRET_MAX_AGE - COOKIE_SECRET_LATENCY;
}

void cookie_jar_seal(struct cookie_jar *jar, void *msg, size_t len, nsec_t now)
{
	struct wg_macs *macs = (struct wg_macs *)macs_of(msg, len);

	make_mac1(macs->mac1, jar->mac1_key, msg, len);
	memcpy(jar->last_mac1, macs->mac1, COOKIE_LEN);
	jar->has_last_mac1 = true;
	if (cookie_is_young(jar, now))
		make_mac2(macs->mac2, jar->cookie, msg, len);
	else
		memset(macs->mac2, 0, COOKIE_LEN);
}

int cookie_jar_accept(struct cookie_jar *jar, const struct wg_cookie_reply *reply, nsec_t now)
{
	uint8_t cookie[COOKIE_LEN];
	int r;

	if (!jar->has_last_mac1)
		return -ENOENT;
	r = xaead_open(cookie, reply->encrypted_cookie, COOKIE_LEN, jar->last_mac1, COOKIE_LEN,
		       reply->nonce, jar->cookie_key);
	if (r < 0)
		return r;
	memcpy(jar->cookie, cookie, COOKIE_LEN);
	keys_wipe(cookie, sizeof(cookie));
	jar->cookie_birth = now;
	jar->has_cookie = true;
	jar->has_last_mac1 = false; /* one reply a message: a copy of it must not renew the age */
	return 0;
}
