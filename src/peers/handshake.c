/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Handshake messages in and out (paper, sections 5.4 and 6). Our initiation awaits its answer in
 * the peer; one of the peer's is opened and answered in one go and leaves nothing but a session,
 * so that the two don't disturb each other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"
#include "peers/internal.h"
#include "util/log.h"

/*
 * The copies of an initiation go out so far apart: a stock peer that gets two at the same instant
 * may answer both, and then holds another session than we do
 * (docs/design/handshake-over-all-paths.md).
 */
#define COPY_INTERVAL (50 * NSEC_PER_MSEC)
/* How many more origins get the answer to an initiation that came from several. */
#define ANSWERS_TO_COPIES 8
/* To all sources together: less than a tenth of a core. */
#define COOKIES_PER_SECOND 10000
#define COOKIES_BURST 500

static void free_initiation(struct peer *p)
{
	if (p->initiation)
		keys_wipe(p->initiation, sizeof(*p->initiation));
	free(p->initiation);
	p->initiation = NULL;
	p->copy_at = NSEC_NEVER;
}

/* Its message stays, if there are paths that are still to have it. */
static void end_initiation(struct peer *p)
{
	if (p->has_handshake_index)
		index_release(&p->device->index, p->initiation->state.local_index);
	p->has_handshake_index = false;
	p->is_initiating = false;
	p->is_trial = false;
	if (p->copy_at == NSEC_NEVER)
		free_initiation(p);
	else
		noise_wipe(&p->initiation->state);
}

void handshake_forget(struct peer *p)
{
	end_initiation(p);
	free_initiation(p);
}

static void count(struct peer *p, bool is_answer, nsec_t now)
{
	struct tally before = atomic_load_explicit(&p->tally, memory_order_relaxed);

	atomic_store_explicit(&p->tally, tally_count(before, is_answer, now), memory_order_relaxed);
}

void handshake_complete(struct peer *p, nsec_t now)
{
	if (p->is_initiating && !p->is_trial)
		count(p, true, now);
	end_initiation(p);
	p->n_attempts = 0;
	p->n_unanswered = 0;
	p->retransmit_at = NSEC_NEVER;
	atomic_store_explicit(&p->last_handshake, now, memory_order_relaxed);
	atomic_store_explicit(&p->last_handshake_wall, clock_wall(), memory_order_relaxed);
	atomic_fetch_add_explicit(&p->n_handshakes, 1, memory_order_relaxed);
}

void handshake_confirm_next(struct peer *p, nsec_t now)
{
	if (!session_confirm_next(p))
		return;
	handshake_complete(p, now);
	p->device->calls.session_ready(p->device->ctx, p);
}

static nsec_t draw_jitter(void)
{
	uint32_t random;

	keys_random(&random, sizeof(random));
	return random % REKEY_TIMEOUT_JITTER_MAX;
}

/* Into p->initiation; the peer has none. */
static int create_initiation(struct peer *p, nsec_t now)
{
	struct initiation *i = malloc(sizeof(*i));
	struct device *d = p->device;
	uint8_t ephemeral[KEY_LEN], stamp[NOISE_TIMESTAMP_LEN];
	uint32_t index;
	int r = i ? index_take(&d->index, p, &index) : -ENOMEM;

	if (r) {
		free(i);
		return r;
	}
	keys_generate(ephemeral);
	d->calls.timestamp(d->ctx, stamp);
	r = noise_create_initiation(&i->state, &d->identity, &p->remote, ephemeral, index, stamp,
				    &i->msg);
	keys_wipe(ephemeral, sizeof(ephemeral));
	p->initiation = i;
	if (r) {
		index_release(&d->index, index);
		free_initiation(p);
		return r;
	}
	atomic_fetch_add_explicit(&p->n_initiations, 1, memory_order_relaxed);
	p->has_handshake_index = true;
	p->is_initiating = true;
	cookie_jar_seal(&p->cookies, &i->msg, sizeof(i->msg), now);
	p->n_copies = 0;
	return 0;
}

void handshake_send_copy(struct peer *p, nsec_t now)
{
	struct device *d = p->device;
	const struct wg_initiation *msg = &p->initiation->msg;
	bool has_more = d->calls.send(d->ctx, p, p->n_copies++, msg, sizeof(*msg));

	p->copy_at = has_more ? now + COPY_INTERVAL : NSEC_NEVER;
	if (!has_more && !p->is_initiating)
		free_initiation(p);
}

static void begin_attempt(struct peer *p, nsec_t now)
{
	p->jitter = draw_jitter();
	p->last_initiation_sent = now;
	p->retransmit_at = now + REKEY_TIMEOUT + p->jitter;
}

void handshake_retry(struct peer *p, nsec_t now)
{
	int r;

	p->n_unanswered += p->is_initiating;
	handshake_forget(p);
	p->n_attempts++;
	begin_attempt(p, now);
	r = create_initiation(p, now);
	if (r) {
		log_warn("no handshake with a peer (%s); trying again in 5 s", strerror(-r));
		return;
	}
	count(p, false, now);
	peer_mark_sent(p, now, false);
	handshake_send_copy(p, now);
}

/* A wish that is older than the session it asked for. */
static bool has_new_session(struct peer *p, nsec_t now)
{
	struct keypair *k = rcu_own(&p->current);

	return k && now - k->birth < REKEY_TIMEOUT && keypair_can_send(k, now);
}

/* Now it matters whether the trial is answered: it goes over all paths, and is repeated. */
static void promote_trial(struct peer *p, nsec_t now)
{
	p->is_trial = false;
	p->n_copies = 0;
	count(p, false, now);
	handshake_send_copy(p, now);
}

void handshake_want(struct peer *p, nsec_t now)
{
	p->n_attempts = 0;
	if (p->is_trial) {
		promote_trial(p, now);
		return;
	}
	if (!p->device->has_identity || now - p->last_initiation_sent < REKEY_TIMEOUT ||
	    has_new_session(p, now))
		return;
	handshake_retry(p, now);
}

void handshake_over_new_path(struct peer *p, nsec_t now)
{
	if (!p->is_initiating || p->is_trial) {
		handshake_want(p, now);
		return;
	}
	p->n_copies = 0;
	p->copy_at = nsec_max(now, p->last_initiation_sent + COPY_INTERVAL);
}

void handshake_try_path(struct peer *p, nsec_t now)
{
	struct device *d = p->device;

	if (!d->has_identity || p->retransmit_at != NSEC_NEVER || !session_can_send(p, now) ||
	    now - p->last_initiation_sent < REKEY_TIMEOUT || has_new_session(p, now))
		return;
	handshake_forget(p);
	begin_attempt(p, now);
	if (create_initiation(p, now)) {
		p->retransmit_at = NSEC_NEVER; /* the path is tried again anyway */
		return;
	}
	p->is_trial = true;
	d->calls.send_trial(d->ctx, p, &p->initiation->msg, sizeof(p->initiation->msg));
}

void handshake_end_trial(struct peer *p)
{
	handshake_forget(p);
	p->retransmit_at = NSEC_NEVER;
}

/* A session has been made: the keys are zeroed that long after the last one. */
static void set_zero_keys(struct peer *p, nsec_t now)
{
	p->zero_keys_at = now + 3 * REJECT_AFTER_TIME;
}

/* Who sent it; NULL if it isn't authentic. */
static struct peer *identify(struct device *d, struct noise_handshake *hs,
			     const struct wg_initiation *msg,
			     uint8_t ret_stamp[NOISE_TIMESTAMP_LEN])
{
	uint8_t public_key[NOISE_PUBLIC_KEY_LEN];
	struct peer *p;

	if (noise_open_initiation(hs, &d->identity, msg, public_key))
		return NULL;
	p = device_find_peer(d, public_key);
	if (!p || noise_verify_initiation(hs, &p->remote, msg, ret_stamp))
		return NULL;
	return p;
}

static bool came_from(const struct origin *a, const struct origin *b)
{
	return a->link == b->link && addr_equal(&a->remote, &b->remote);
}

/*
 * An initiation comes over all links until it is answered, and the way back to the link whose copy
 * came first may be dead: its other copies get the same answer. They prove nothing about where they
 * come from, so nothing is learnt from them.
 */
static bool answer_copy(struct peer *p, const struct wg_initiation *msg, const struct origin *from,
			nsec_t now)
{
	struct device *d = p->device;
	struct answer *a = p->answer;

	if (!a || !a->n_left || now - p->last_initiation_received >= REKEY_TIMEOUT ||
	    !keys_equal(msg->macs.mac1, a->mac1, COOKIE_LEN) || came_from(from, &a->origin))
		return false;
	a->n_left--;
	d->calls.reply(d->ctx, from, &a->msg, sizeof(a->msg));
	return true;
}

/* The response, and the session that it begins. */
static int create_response(struct peer *p, struct noise_handshake *hs, nsec_t now,
			   struct wg_response *ret_msg, struct keypair **ret_session)
{
	struct device *d = p->device;
	struct noise_session_keys keys;
	uint8_t ephemeral[KEY_LEN];
	uint32_t index;
	int r = index_take(&d->index, p, &index);

	if (r)
		return r;
	keys_generate(ephemeral);
	r = noise_create_response(hs, &p->remote, ephemeral, index, ret_msg, &keys);
	keys_wipe(ephemeral, sizeof(ephemeral));
	if (!r) {
		r = session_new(ret_session, p, &keys, index, hs->remote_index, now);
		keys_wipe(&keys, sizeof(keys));
	}
	if (r)
		index_release(&d->index, index);
	return r;
}

void handshake_forget_answer(struct peer *p)
{
	if (p->answer)
		keys_wipe(p->answer, sizeof(*p->answer));
	free(p->answer);
	p->answer = NULL;
}

/* Without memory for it, the copies of the initiation get no answer, which they can do without. */
static void keep_answer(struct peer *p, const struct wg_response *msg,
			const struct wg_initiation *initiation, const struct origin *from)
{
	struct answer *a = malloc(sizeof(*a));

	if (!a)
		return;
	*a = (struct answer){.msg = *msg, .origin = *from, .n_left = ANSWERS_TO_COPIES};
	memcpy(a->mac1, initiation->macs.mac1, COOKIE_LEN);
	p->answer = a;
}

static int respond(struct peer *p, struct noise_handshake *hs, const struct wg_initiation *msg,
		   const struct origin *from, nsec_t now)
{
	struct device *d = p->device;
	struct wg_response answer;
	struct keypair *k;
	int r = create_response(p, hs, now, &answer, &k);

	if (r)
		return r;
	/* A poke that says so may still wait: who is confirmed is not to be dropped. */
	handshake_confirm_next(p, now);
	session_add_responded(p, k);
	set_zero_keys(p, now);
	cookie_jar_seal(&p->cookies, &answer, sizeof(answer), now);
	keep_answer(p, &answer, msg, from);
	peer_mark_sent(p, now, false);
	d->calls.heard_from(d->ctx, p, from);
	d->calls.reply(d->ctx, from, &answer, sizeof(answer));
	return 0;
}

static bool receive_initiation(struct device *d, struct noise_handshake *hs,
			       const struct wg_initiation *msg, const struct origin *from,
			       nsec_t now)
{
	uint8_t stamp[NOISE_TIMESTAMP_LEN];
	struct peer *p = identify(d, hs, msg, stamp);

	if (!p)
		return false;
	if (memcmp(stamp, p->latest_timestamp, sizeof(stamp)) <= 0)
		return answer_copy(p, msg, from, now);
	if (now - p->last_initiation_received < NSEC_PER_SEC / INITIATIONS_PER_SECOND)
		return false;
	memcpy(p->latest_timestamp, stamp, sizeof(stamp));
	p->last_initiation_received = now;
	handshake_forget_answer(p);
	peer_mark_received(p, now, false);
	if (respond(p, hs, msg, from, now))
		return false;
	timers_arm(p, now);
	return true;
}

/* The session takes over the handshake's index. */
static bool begin_session(struct peer *p, const struct wg_response *msg, nsec_t now)
{
	struct noise_session_keys keys;
	struct keypair *k;
	int r;

	if (noise_consume_response(&p->initiation->state, &p->device->identity, &p->remote, msg,
				   &keys))
		return false;
	r = session_new(&k, p, &keys, p->initiation->state.local_index, le32_get(msg->sender_index),
			now);
	keys_wipe(&keys, sizeof(keys));
	if (r) {
		handshake_forget(p);
		return false;
	}
	p->has_handshake_index = false;
	session_add_initiated(p, k);
	set_zero_keys(p, now);
	handshake_complete(p, now);
	return true;
}

/* A response came over several links, and this is not the first of its copies. */
static bool is_copy_of_response(struct device *d, const struct wg_response *msg)
{
	const struct peer *p = index_peer(&d->index, le32_get(msg->receiver_index));
	const struct keypair *k = p ? rcu_own(&p->current) : NULL;

	return k && k->is_initiator && k->local_index == le32_get(msg->receiver_index) &&
	       k->remote_index == le32_get(msg->sender_index);
}

static bool receive_response(struct device *d, const struct wg_response *msg,
			     const struct origin *from, nsec_t now, struct drops *drops)
{
	struct peer *p = index_handshake(&d->index, le32_get(msg->receiver_index));

	if (!p && is_copy_of_response(d, msg)) {
		drops_add(drops, DROP_rx_duplicate, 1);
		return true;
	}
	if (!p || !begin_session(p, msg, now))
		return false;
	peer_mark_received(p, now, false);
	d->calls.heard_from(d->ctx, p, from);
	d->calls.session_ready(d->ctx, p);
	/* At once, because the responder may not send before it has heard that we are there. */
	timers_send_keepalive(p, now);
	timers_arm(p, now);
	return true;
}

/* The next initiation will carry the cookie. */
static bool receive_cookie_reply(struct device *d, const struct wg_cookie_reply *msg, nsec_t now)
{
	struct peer *p = index_peer(&d->index, le32_get(msg->receiver_index));

	return p && !cookie_jar_accept(&p->cookies, msg, now);
}

static void send_cookie(struct device *d, const void *msg, size_t len, uint32_t sender_index,
			const struct origin *from, nsec_t now)
{
	struct wg_cookie_reply reply;
	uint8_t nonce[COOKIE_NONCE_LEN];

	keys_random(nonce, sizeof(nonce));
	if (!cookie_create_reply(&rcu_own(&d->checker)->cookies, msg, len, sender_index,
				 &from->remote, nonce, now, &reply))
		d->calls.reply(d->ctx, from, &reply, sizeof(reply));
}

/*
 * To make and send a cookie takes longer than to refuse a message, and who floods us does not want
 * them: so they are few for each source, and bounded for all.
 */
static bool may_send_cookie(struct device *d, const struct origin *from, nsec_t now)
{
	nsec_t full_at = nsec_max(d->cookies_full_at, now) + NSEC_PER_SEC / COOKIES_PER_SECOND;

	if (full_at - now > COOKIES_BURST * NSEC_PER_SEC / COOKIES_PER_SECOND ||
	    !ratelimit_allows(d->cookie_limit, &from->remote, now))
		return false;
	d->cookies_full_at = full_at;
	return true;
}

/* Under load only those get further who are where they say, and not too often. */
static bool is_admitted(struct device *d, const void *msg, size_t len, const struct origin *from,
			nsec_t now)
{
	/* both messages have it at the same place */
	const struct wg_initiation *head = msg;

	if (!cookie_check_mac2(&rcu_own(&d->checker)->cookies, msg, len, &from->remote, now)) {
		if (may_send_cookie(d, from, now))
			send_cookie(d, msg, len, le32_get(head->sender_index), from, now);
		return false;
	}
	return ratelimit_allows(d->ratelimit, &from->remote, now);
}

void device_receive(struct device *d, const void *msg, size_t len, const struct origin *from,
		    bool is_under_load, nsec_t now, struct drops *drops)
{
	uint32_t type = wg_message_type(msg, len);
	struct noise_handshake hs;
	bool is_taken;

	if (!wg_is_handshake(type, len)) {
		drops_add(drops, DROP_rx_malformed, 1);
		return;
	}
	if (!d->has_identity) {
		is_taken = false;
	} else if (type == MESSAGE_HANDSHAKE_COOKIE) {
		is_taken = receive_cookie_reply(d, msg, now);
	} else if (is_under_load && !is_admitted(d, msg, len, from, now)) {
		is_taken = false;
	} else if (type == MESSAGE_HANDSHAKE_RESPONSE) {
		is_taken = receive_response(d, msg, from, now, drops);
	} else {
		is_taken = receive_initiation(d, &hs, msg, from, now);
		noise_wipe(&hs);
	}
	if (!is_taken)
		drops_add(drops, DROP_rx_handshake_rejected, 1);
}
