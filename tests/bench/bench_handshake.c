/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What a responder does for an initiation: from an answer to refusals at each step. */
#include "bench.h"

#include "crypto/keys.h"
#include "peers/internal.h"
#include "util/thread.h"

/* Made before the time runs: each is good for once. */
#define INITIATIONS 4096

struct responder {
	struct device *device;
	struct peer peer;
	struct wg_initiation *good; /* one after the other */
	size_t next;
	struct wg_initiation refused;
	bool is_under_load;
	nsec_t now;
	struct drops drops;
	unsigned n_replies;
};

static const struct origin from = {.link = 1};

static void call_send_trial(void *ctx, struct peer *p, const void *msg, size_t len)
{
	(void)ctx, (void)p, (void)msg, (void)len;
}

static bool call_send(void *ctx, struct peer *p, unsigned nth, const void *msg, size_t len)
{
	(void)ctx, (void)p, (void)nth, (void)msg, (void)len;
	return false;
}

static void call_reply(void *ctx, const struct origin *to, const void *msg, size_t len)
{
	struct responder *r = ctx;

	(void)to, (void)msg, (void)len;
	r->n_replies++;
}

static void call_peer(void *ctx, struct peer *p)
{
	(void)ctx, (void)p;
}

static void call_heard_from(void *ctx, struct peer *p, const struct origin *o)
{
	(void)ctx, (void)p, (void)o;
}

static void call_timestamp(void *ctx, uint8_t ret[NOISE_TIMESTAMP_LEN])
{
	(void)ctx;
	memset(ret, 0, NOISE_TIMESTAMP_LEN);
}

static const struct device_calls calls = {
	.send = call_send,
	.send_trial = call_send_trial,
	.reply = call_reply,
	.send_keepalive = call_peer,
	.session_ready = call_peer,
	.heard_from = call_heard_from,
	.timestamp = call_timestamp,
	.poke = call_peer,
};

/* The peer's, with stamps that grow. */
static void make_initiations(struct responder *r, const struct noise_identity *initiator)
{
	struct noise_handshake hs;
	struct noise_remote remote;
	struct cookie_jar jar;
	uint8_t ephemeral[KEY_LEN], stamp[NOISE_TIMESTAMP_LEN];

	bench_need(!noise_remote_set(&remote, initiator, device_public_key(r->device), NULL),
		   "the responder's key");
	cookie_jar_init(&jar, device_public_key(r->device));
	r->good = bench_alloc(INITIATIONS * sizeof(*r->good), 0);
	for (uint32_t i = 0; i < INITIATIONS; i++) {
		keys_generate(ephemeral);
		noise_timestamp(stamp, (i + 1) * NSEC_PER_SEC);
		bench_need(!noise_create_initiation(&hs, initiator, &remote, ephemeral, i, stamp,
						    &r->good[i]),
			   "an initiation");
		cookie_jar_seal(&jar, &r->good[i], sizeof(r->good[i]), 0);
	}
	keys_random(&r->refused, sizeof(r->refused));
	r->refused.type = le32_make(MESSAGE_HANDSHAKE_INITIATION);
	cookie_jar_seal(&jar, &r->refused, sizeof(r->refused), 0);
}

static void set_up(struct responder *r)
{
	uint8_t key[KEY_LEN];
	struct noise_identity initiator;

	keys_generate(key);
	bench_need(!device_new(&r->device, key, &calls, r), "a device");
	keys_generate(key);
	noise_identity_set(&initiator, key);
	bench_need(!noise_remote_set(&r->peer.remote, &r->device->identity, initiator.public_key,
				     NULL),
		   "a peer's key");
	bench_need(!device_insert_peer(r->device, &r->peer, 0, false), "a peer");
	make_initiations(r, &initiator);
}

/* Each round begins with the first again: the peer forgets that it has had it. */
static void answer(void *ctx, size_t n)
{
	struct responder *r = ctx;

	for (size_t i = 0; i < n; i++) {
		if (r->next == INITIATIONS) {
			r->next = 0;
			memset(r->peer.latest_timestamp, 0, sizeof(r->peer.latest_timestamp));
		}
		r->now += NSEC_PER_SEC;
		device_receive(r->device, &r->good[r->next++], sizeof(*r->good), &from, false,
			       r->now, &r->drops);
	}
}

static void refuse(void *ctx, size_t n)
{
	struct responder *r = ctx;

	for (size_t i = 0; i < n; i++)
		device_receive(r->device, &r->refused, sizeof(r->refused), &from, r->is_under_load,
			       r->now, &r->drops);
}

static void check_mac1(void *ctx, size_t n)
{
	const struct responder *r = ctx;

	for (size_t i = 0; i < n; i++)
		bench_keep(device_check_mac1(r->device, &r->refused, sizeof(r->refused)));
}

int main(void)
{
	struct responder *r = bench_alloc(sizeof(*r), 0);

	bench_need(thread_adopt() == 0, "a thread number");
	set_up(r);
	bench_run("handshake/mac1", "message", 1, check_mac1, r);
	bench_run("handshake/answer", "handshake", 1, answer, r);
	bench_need(r->n_replies > 0, "an answer");
	bench_run("handshake/not authentic", "message", 1, refuse, r);
	r->is_under_load = true;
	bench_run("handshake/cookie reply", "message", 1, refuse, r);
	device_unlink_peer(r->device, &r->peer);
	rcu_drain();
	device_free(r->device);
	free(r->good);
	free(r);
	thread_disown();
	return EXIT_SUCCESS;
}
