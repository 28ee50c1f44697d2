/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Handshake messages, as they come and as they should not: a genuine initiation, response or
 * cookie reply with bytes changed by the input (input: what, how, then what is XORed into it; or
 * what 0, then the message itself). The two devices live on from input to input.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"
#include "peers/internal.h"
#include "util/thread.h"

#define STEP (10 * NSEC_PER_SEC) /* between inputs: a handshake may follow */
#define RESEALED 1		 /* how: with a valid mac1 after the change */
#define UNDER_LOAD 2

/* A device, and what it last sent. */
struct node {
	struct device *device;
	struct peer *other;
	struct cookie_jar to; /* to make a mac1 for it */
	uint8_t sent[sizeof(struct wg_initiation)];
	size_t sent_len;
	unsigned n_heard;
};

static struct node target, helper;
static nsec_t now = 1000 * NSEC_PER_SEC;
static struct drops drops;

static void keep(struct node *n, const void *msg, size_t len)
{
	if (len > sizeof(n->sent))
		abort();
	memcpy(n->sent, msg, len);
	n->sent_len = len;
}

static bool call_send(void *ctx, struct peer *p, unsigned nth, const void *msg, size_t len)
{
	(void)p, (void)nth;
	keep(ctx, msg, len);
	return false;
}

static void call_send_trial(void *ctx, struct peer *p, const void *msg, size_t len)
{
	call_send(ctx, p, 0, msg, len);
}

static void call_reply(void *ctx, const struct origin *to, const void *msg, size_t len)
{
	(void)to;
	keep(ctx, msg, len);
}

static void call_nothing(void *ctx, struct peer *p)
{
	(void)ctx, (void)p;
}

static void call_heard(void *ctx, struct peer *p, const struct origin *from)
{
	struct node *n = ctx;

	(void)p, (void)from;
	n->n_heard++;
}

static void call_timestamp(void *ctx, uint8_t ret[NOISE_TIMESTAMP_LEN])
{
	(void)ctx;
	noise_timestamp(ret, now);
}

static const struct device_calls calls = {
	.send = call_send,
	.send_trial = call_send_trial,
	.reply = call_reply,
	.send_keepalive = call_nothing,
	.session_ready = call_nothing,
	.heard_from = call_heard,
	.timestamp = call_timestamp,
	.poke = call_nothing,
};

static void make_node(struct node *n)
{
	uint8_t key[KEY_LEN];

	keys_generate(key);
	n->other = aligned_alloc(_Alignof(struct peer), sizeof(*n->other));
	if (!n->other || device_new(&n->device, key, &calls, n) < 0)
		abort();
	memset(n->other, 0, sizeof(*n->other));
	cookie_jar_init(&n->to, device_public_key(n->device));
}

static void introduce(struct node *n, struct node *other)
{
	if (noise_remote_set(&n->other->remote, &n->device->identity,
			     device_public_key(other->device), NULL) ||
	    device_insert_peer(n->device, n->other, 0, false))
		abort();
}

static void begin(void)
{
	if (thread_adopt() < 0)
		abort();
	make_node(&target);
	make_node(&helper);
	introduce(&target, &helper);
	introduce(&helper, &target);
}

static void initiate(struct node *n)
{
	peer_poke(n->other, POKE_HANDSHAKE);
	device_handle_pokes(n->other, now);
}

static void give(struct node *n, const void *msg, size_t len, bool is_under_load)
{
	const struct origin from = {.remote.v4 = {.sin_family = AF_INET}};

	device_receive(n->device, msg, len, &from, is_under_load, now, &drops);
}

/* A genuine message for the target. Returns its length. */
static size_t make_message(uint8_t what, uint8_t ret[sizeof(helper.sent)])
{
	helper.sent_len = target.sent_len = 0;
	if (what == MESSAGE_HANDSHAKE_INITIATION) {
		initiate(&helper);
	} else {
		initiate(&target);
		give(&helper, target.sent, target.sent_len, what == MESSAGE_HANDSHAKE_COOKIE);
	}
	memcpy(ret, helper.sent, helper.sent_len);
	return helper.sent_len;
}

/* Bytes that the handshake's keys authenticate: begin and end. */
static void authentic_part(uint8_t what, size_t *ret_begin, size_t *ret_end)
{
	bool is_initiation = what == MESSAGE_HANDSHAKE_INITIATION;

	*ret_begin = is_initiation ? offsetof(struct wg_initiation, unencrypted_ephemeral)
				   : offsetof(struct wg_response, unencrypted_ephemeral);
	*ret_end = is_initiation ? offsetof(struct wg_initiation, macs)
				 : offsetof(struct wg_response, macs);
}

static void try_changed(uint8_t what, uint8_t how, const uint8_t *data, size_t size)
{
	uint8_t msg[sizeof(helper.sent)];
	size_t len = make_message(what, msg);
	unsigned n_heard = target.n_heard;
	bool is_forged = false;
	size_t begin, end;

	if (!len)
		abort(); /* there is always time for another handshake */
	authentic_part(what, &begin, &end);
	for (size_t i = 0; i < size && i < len; i++) {
		msg[i] ^= data[i];
		is_forged |= data[i] && i >= begin && i < end;
	}
	if ((how & RESEALED) && what != MESSAGE_HANDSHAKE_COOKIE)
		cookie_jar_seal(&target.to, msg, len, now);
	if (what == MESSAGE_HANDSHAKE_COOKIE || device_check_mac1(target.device, msg, len))
		give(&target, msg, len, how & UNDER_LOAD);
	if (is_forged && target.n_heard != n_heard)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!target.device)
		begin();
	now += STEP;
	if (size < 2)
		return 0;
	if (data[0] % 4 == 0)
		give(&target, data + 1, size - 1, false);
	else
		try_changed(data[0] % 4, data[1], data + 2, size - 2);
	device_run_timers(target.device, now);
	device_run_timers(helper.device, now);
	return 0;
}
