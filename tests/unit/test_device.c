/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Handshakes, what is refused of them, and the table of peers. test_timers.c has the rest. */
#include "check_main.h"

#include <errno.h>

#include "device_sim.h"
#include "peers/internal.h"

static uint64_t rejected(const struct node *n)
{
	return drops_get(&n->drops, DROP_rx_handshake_rejected);
}

static bool loses_data(const struct node *from, const struct node *to, unsigned type)
{
	(void)from, (void)to;
	return type == MESSAGE_DATA;
}

/* Handshakes */

START_TEST(handshake_makes_a_session_on_both_sides)
{
	uint8_t psk[32] = {1, 2, 3};

	ab = add_neighbour(a, b, _i ? psk : NULL, 0, true);
	ba = add_neighbour(b, a, _i ? psk : NULL, 0, false);
	device_start(a->device, sim.now);
	run_for(SECONDS(1));
	ck_assert_same_session(ab, ba);
	ck_assert(session_of(ab)->is_initiator && !session_of(ba)->is_initiator);
	ck_assert_uint_eq(a->n_sent[MESSAGE_HANDSHAKE_INITIATION], 1);
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_RESPONSE], 1);
	ck_assert_uint_eq(ab->n_keepalives, 1); /* confirms */
	ck_assert_uint_eq(ab->n_ready, 1);
	ck_assert_uint_eq(ba->n_ready, 1);
	ck_assert_uint_eq(ab->peer.n_handshakes, 1);
	ck_assert_uint_eq(ba->peer.n_handshakes, 1);
	ck_assert(addr_equal(&ab->heard.remote, &b->address));
	ck_assert(addr_equal(&ba->heard.remote, &a->address));
	ck_assert(send_data(a, ab, "there") && send_data(b, ba, "back"));
	run_for(SECONDS(1));
	ck_assert_uint_eq(a->n_data_received, 1);
	ck_assert_uint_eq(b->n_data_received, 1);
	ck_assert_uint_eq(rejected(a) + rejected(b), 0);
}
END_TEST

START_TEST(different_preshared_keys_give_no_session)
{
	uint8_t psk[32] = {1}, other[32] = {2};

	ab = add_neighbour(a, b, psk, 0, true);
	ba = add_neighbour(b, a, _i ? other : NULL, 0, false);
	device_start(a->device, sim.now);
	run_for(SECONDS(30));
	ck_assert_ptr_null(session_of(ab));
	ck_assert_ptr_null(session_of(ba));
	ck_assert_uint_ge(rejected(a), 5);
}
END_TEST

/* The passive side's: the other one cannot know when to try. */
START_TEST(new_private_key_of_who_had_a_session_asks_for_another_at_once)
{
	uint8_t key[KEY_LEN];

	ab = add_neighbour(a, b, NULL, 0, true);
	ba = add_neighbour(b, a, NULL, 0, false);
	device_start(a->device, sim.now);
	run_for(SECONDS(1));
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_INITIATION], 0);
	keys_generate(key);
	ck_assert_int_eq(device_set_private_key(b->device, key, sim.now), 0);
	run_for(SECONDS(1));
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_INITIATION], 1);
}
END_TEST

/* Without a key there is nothing to say, to whomever; with one again it goes on. */
START_TEST(who_has_no_private_key_begins_no_handshakes)
{
	static const uint8_t none[KEY_LEN];
	uint16_t keepalive = _i & 1 ? 25 : 0;
	bool has_session = _i & 2;

	ab = add_neighbour(a, b, NULL, keepalive, true);
	ba = add_neighbour(b, a, NULL, 0, false);
	device_start(a->device, sim.now);
	run_for(SECONDS(1));
	sim.loses = loses_all;
	run_for(has_session ? SECONDS(1) : 4 * REJECT_AFTER_TIME);
	sim.loses = NULL;
	ck_assert_int_eq(session_of(ab) != NULL, has_session);
	ck_assert_int_eq(device_set_private_key(a->device, none, sim.now), 0);
	memset(a->n_sent, 0, sizeof(a->n_sent));
	run_for(4 * REJECT_AFTER_TIME);
	ck_assert_uint_eq(a->n_sent[MESSAGE_HANDSHAKE_INITIATION], 0);

	ck_assert_int_eq(device_set_private_key(a->device, a->private_key, sim.now), 0);
	device_start(a->device, sim.now);
	run_for(SECONDS(1));
	ck_assert_same_session(ab, ba);
}
END_TEST

START_TEST(unknown_peer_is_refused)
{
	ab = add_neighbour(a, b, NULL, 0, true);
	device_start(a->device, sim.now);
	run_for(SECONDS(1));
	ck_assert_uint_eq(rejected(b), 1);
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_RESPONSE], 0);
}
END_TEST

START_TEST(session_of_the_responder_waits_for_its_confirmation)
{
	introduce(0, true);
	sim.loses = loses_data;
	device_start(a->device, sim.now);
	run_for(SECONDS(1));
	ck_assert_ptr_nonnull(session_of(ab));
	ck_assert_ptr_null(session_of(ba));
	ck_assert_uint_eq(ba->n_ready, 0);
	sim.loses = NULL;
	send_data(a, ab, "data");
	run_for(SECONDS(1));
	ck_assert_same_session(ab, ba);
	ck_assert_uint_eq(ba->n_ready, 1);
	ck_assert_uint_eq(b->n_data_received, 1);
}
END_TEST

/* Its confirmation is told by a poke, which a message may overtake. */
START_TEST(confirmed_session_is_not_dropped_for_the_next_one)
{
	struct keypair *confirmed;

	introduce(0, true);
	sim.loses = loses_data;
	device_start(a->device, sim.now);
	run_for(REKEY_TIMEOUT + SECONDS(1));
	confirmed = rcu_own(&ba->peer.next);
	ck_assert_ptr_nonnull(confirmed);
	atomic_store(&confirmed->is_confirmed, true);
	handshake_want(&ab->peer, sim.now);
	run_for(SECONDS(1));
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_RESPONSE], 2);
	ck_assert_ptr_eq(session_of(ba), confirmed);
	ck_assert_uint_eq(ba->n_ready, 1);
}
END_TEST

/* Sends both ways every 5 ms and says whether all of it arrived. */
static bool streams_without_loss(nsec_t time)
{
	nsec_t end = sim.now + time;
	unsigned to_b = b->n_data_received, to_a = a->n_data_received;

	while (sim.now < end) {
		to_b += send_data(a, ab, "a to b");
		to_a += send_data(b, ba, "b to a");
		run_for(5 * NSEC_PER_MSEC);
	}
	run_for(SECONDS(1));
	return to_b == b->n_data_received && to_a == a->n_data_received;
}

START_TEST(crossing_initiations_end_in_one_session_and_lose_nothing)
{
	ab = add_neighbour(a, b, NULL, 0, true);
	ba = add_neighbour(b, a, NULL, 0, true);
	device_start(a->device, sim.now);
	device_start(b->device, sim.now);
	ck_assert(streams_without_loss(SECONDS(1)));
	ck_assert_uint_eq(ab->n_initiations, 1);
	ck_assert_uint_eq(ba->n_initiations, 1);
	ck_assert_same_session(ab, ba);
	/* and only one side renews it */
	ck_assert(streams_without_loss(SECONDS(125)));
	ck_assert_same_session(ab, ba);
	ck_assert_uint_eq(ab->n_initiations + ba->n_initiations, 3);
}
END_TEST

START_TEST(crossing_renewals_end_in_one_session)
{
	join();
	run_for(SECONDS(30));
	peer_poke(&ab->peer, POKE_HANDSHAKE);
	peer_poke(&ba->peer, POKE_HANDSHAKE);
	run_for(SECONDS(1));
	ck_assert_uint_eq(ab->n_initiations, 2);
	ck_assert_uint_eq(ba->n_initiations, 1);
	ck_assert_same_session(ab, ba);
	/* nothing is left over but the current session and the one before */
	ck_assert_ptr_null(rcu_own(&ab->peer.next));
	ck_assert_ptr_null(rcu_own(&ba->peer.next));
	ck_assert_uint_eq(a->device->index.n_taken, 2);
	ck_assert_uint_eq(b->device->index.n_taken, 2);
}
END_TEST

START_TEST(initiation_under_way_goes_to_an_address_that_comes_later)
{
	introduce(0, true);
	sim.loses = loses_all;
	device_start(a->device, sim.now);
	run_for(NSEC_PER_SEC / 10);
	sim.loses = NULL;
	peer_poke(&ab->peer, POKE_PATH);
	run_for(NSEC_PER_SEC / 10);
	ck_assert_same_session(ab, ba);
	ck_assert_uint_eq(ab->peer.n_initiations, 1);
	/* with a session it is a wish like any other */
	run_for(SECONDS(30));
	peer_poke(&ab->peer, POKE_PATH);
	run_for(NSEC_PER_SEC / 10);
	ck_assert_uint_eq(ab->peer.n_initiations, 2);
}
END_TEST

static bool loses_responses_of_b(const struct node *from, const struct node *to, unsigned type)
{
	(void)to;
	return from == b && type == MESSAGE_HANDSHAKE_RESPONSE;
}

/* As a stock peer does it: whoever gets an initiation gives up its own, and refuses the answer. */
START_TEST(crossing_with_a_peer_that_gives_up_its_own_works_at_once)
{
	ab = add_neighbour(a, b, NULL, 0, true);
	ba = add_neighbour(b, a, NULL, 0, true);
	sim.loses = loses_responses_of_b;
	device_start(a->device, sim.now);
	device_start(b->device, sim.now);
	run_for(NSEC_PER_SEC / 10);
	ck_assert_same_session(ab, ba);
	ck_assert(session_of(ba)->is_initiator);
}
END_TEST

START_TEST(three_devices_have_sessions_apart)
{
	struct node *c = &sim.nodes[2];
	struct neighbour *ac, *ca;

	introduce(0, true);
	ac = add_neighbour(a, c, NULL, 0, true);
	ca = add_neighbour(c, a, NULL, 0, false);
	device_start(a->device, sim.now);
	run_for(SECONDS(1));
	ck_assert_same_session(ab, ba);
	ck_assert_same_session(ac, ca);
	send_data(b, ba, "data");
	send_data(c, ca, "data");
	run_for(SECONDS(1));
	ck_assert_uint_eq(a->n_data_received, 2);
	ck_assert_ptr_eq(device_find_peer(a->device, c->public_key), &ac->peer);
}
END_TEST

/* Replays and floods */

START_TEST(replay_is_refused_but_a_copy_over_another_link_is_answered)
{
	const void *initiation = a->last_sent[MESSAGE_HANDSHAKE_INITIATION];
	struct origin first = origin_of(a, 1), other = origin_of(a, 2);
	uint8_t answer[sizeof(struct wg_response)];
	struct keypair *next;
	unsigned n_heard;

	introduce(0, true);
	sim.loses = loses_responses;
	device_start(a->device, sim.now);
	run_for(SECONDS(1));
	memcpy(answer, b->last_sent[MESSAGE_HANDSHAKE_RESPONSE], sizeof(answer));
	next = rcu_own(&ba->peer.next);
	n_heard = ba->n_heard;

	deliver(b, initiation, sizeof(struct wg_initiation), &first);
	ck_assert_uint_eq(rejected(b), 1);
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_RESPONSE], 1);
	for (unsigned i = 0; i < 10; i++)
		deliver(b, initiation, sizeof(struct wg_initiation), &other);
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_RESPONSE], 1 + 8);
	ck_assert_uint_eq(rejected(b), 1 + 2);
	ck_assert_uint_eq(b->last_reply_to.link, 2);
	ck_assert_mem_eq(b->last_sent[MESSAGE_HANDSHAKE_RESPONSE], answer, sizeof(answer));
	ck_assert_ptr_eq(rcu_own(&ba->peer.next), next);
	ck_assert_uint_eq(ba->n_heard, n_heard);

	other = origin_of(b, 2);
	deliver(a, answer, sizeof(answer), &other);
	run_for(NSEC_PER_SEC);
	ck_assert_same_session(ab, ba);
	ck_assert_uint_eq(ab->heard.link, 2);
	deliver(a, answer, sizeof(answer), &other);
	ck_assert_uint_eq(rejected(a), 0);
	ck_assert_uint_eq(drops_get(&a->drops, DROP_rx_duplicate), 1);
	ck_assert_uint_eq(ab->peer.n_handshakes, 1);
}
END_TEST

START_TEST(unanswered_initiation_goes_over_one_path_after_the_other)
{
	uint8_t first[sizeof(struct wg_initiation)];

	sim.n_paths = 3;
	sim.loses = loses_all;
	introduce(0, true);
	device_start(a->device, sim.now);
	memcpy(first, a->last_sent[MESSAGE_HANDSHAKE_INITIATION], sizeof(first));
	run_for(49 * NSEC_PER_MSEC);
	ck_assert_uint_eq(ab->n_initiations, 1);
	run_for(2 * NSEC_PER_MSEC);
	ck_assert_uint_eq(ab->n_initiations, 2);
	run_for(REKEY_TIMEOUT - SECONDS(1));
	ck_assert_uint_eq(ab->n_initiations, 3);
	ck_assert_mem_eq(a->last_sent[MESSAGE_HANDSHAKE_INITIATION], first, sizeof(first));
	run_for(SECONDS(1) + REKEY_TIMEOUT_JITTER_MAX + NSEC_PER_MSEC);
	ck_assert_uint_ge(ab->n_initiations, 4); /* a new one, over the first path again */
	ck_assert_mem_ne(a->last_sent[MESSAGE_HANDSHAKE_INITIATION], first, sizeof(first));
}
END_TEST

START_TEST(answered_initiation_goes_over_the_other_paths_too)
{
	sim.n_paths = 3;
	introduce(0, true);
	device_start(a->device, sim.now);
	run_for(49 * NSEC_PER_MSEC);
	ck_assert_same_session(ab, ba);
	ck_assert_uint_eq(ab->n_initiations, 1);
	run_for(SECONDS(10));
	ck_assert_uint_eq(ab->n_initiations, 3);
	ck_assert_uint_eq(ab->peer.n_handshakes, 1);
}
END_TEST

START_TEST(late_copy_is_refused)
{
	struct origin other = origin_of(a, 2);

	join();
	run_for(REKEY_TIMEOUT);
	deliver(b, a->last_sent[MESSAGE_HANDSHAKE_INITIATION], sizeof(struct wg_initiation),
		&other);
	ck_assert_uint_eq(rejected(b), 1);
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_RESPONSE], 1);
}
END_TEST

START_TEST(older_timestamp_is_refused)
{
	join();
	stop_node(a);
	start_node(a);
	a->wall_error = -SECONDS(3600);
	ab = add_neighbour(a, b, NULL, 0, true);
	device_start(a->device, sim.now);
	run_for(SECONDS(20));
	ck_assert_ptr_null(session_of(ab));
	ck_assert_uint_ge(rejected(b), 3);
	a->wall_error = SECONDS(1);
	run_for(SECONDS(6));
	ck_assert_same_session(ab, ba);
}
END_TEST

/* An initiation of `a` to `b` such as `a` itself would not yet send. */
static struct wg_initiation forge(nsec_t wall)
{
	uint8_t ephemeral[KEY_LEN], stamp[NOISE_TIMESTAMP_LEN];
	struct noise_identity self;
	struct noise_handshake hs;
	struct wg_initiation msg;
	struct cookie_jar jar;

	noise_identity_set(&self, a->private_key);
	keys_generate(ephemeral);
	noise_timestamp(stamp, wall);
	ck_assert_int_eq(
		noise_create_initiation(&hs, &self, &ab->peer.remote, ephemeral, 7, stamp, &msg),
		0);
	cookie_jar_init(&jar, b->public_key);
	cookie_jar_seal(&jar, &msg, sizeof(msg), sim.now);
	return msg;
}

START_TEST(initiations_of_one_peer_are_paced)
{
	struct origin from = origin_of(a, 1);
	struct wg_initiation msg;

	introduce(0, false);
	for (unsigned i = 0; i < 100; i++) {
		msg = forge(WALL + i * SECONDS(1));
		deliver(b, &msg, sizeof(msg), &from);
		run_for(10 * NSEC_PER_MSEC);
	}
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_RESPONSE], INITIATIONS_PER_SECOND);
	ck_assert_uint_eq(rejected(b), 50);
}
END_TEST

START_TEST(load_asks_for_a_cookie_and_accepts_it)
{
	struct origin elsewhere = origin_of(&sim.nodes[2], 1);
	const uint8_t no_mac2[COOKIE_LEN] = {0};
	struct wg_initiation copy;

	introduce(0, true);
	b->is_under_load = true;
	device_start(a->device, sim.now);
	run_for(SECONDS(1));
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_COOKIE], 1);
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_RESPONSE], 0);
	ck_assert_uint_eq(rejected(b), 1);
	ck_assert_uint_eq(rejected(a), 0);
	ck_assert_uint_eq(ab->n_initiations, 1); /* not before the timeout */
	run_for(REKEY_TIMEOUT);
	ck_assert_uint_eq(ab->n_initiations, 2);
	ck_assert_same_session(ab, ba);
	memcpy(&copy, a->last_sent[MESSAGE_HANDSHAKE_INITIATION], sizeof(copy));
	ck_assert_mem_ne(copy.macs.mac2, no_mac2, COOKIE_LEN);
	/* the cookie is good for one address only */
	deliver(b, &copy, sizeof(copy), &elsewhere);
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_COOKIE], 2);
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_RESPONSE], 1);
}
END_TEST

START_TEST(initiator_under_load_asks_for_a_cookie_too)
{
	introduce(0, true);
	a->is_under_load = true;
	device_start(a->device, sim.now);
	run_for(SECONDS(1));
	ck_assert_uint_eq(a->n_sent[MESSAGE_HANDSHAKE_COOKIE], 1);
	ck_assert_ptr_null(session_of(ab));
	run_for(REKEY_TIMEOUT);
	ck_assert_same_session(ab, ba);
}
END_TEST

START_TEST(load_limits_the_rate_of_a_source)
{
	struct origin other = origin_of(a, 2);

	introduce(0, true);
	b->is_under_load = true;
	sim.loses = NULL;
	device_start(a->device, sim.now);
	run_for(REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER_MAX);
	run_until(ab->last_initiation + 2 * sim.latency);
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_RESPONSE], 1);
	for (unsigned i = 0; i < 8; i++)
		deliver(b, a->last_sent[MESSAGE_HANDSHAKE_INITIATION], sizeof(struct wg_initiation),
			&other);
	/* a burst is five; without the limit all eight copies would be answered */
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_COOKIE], 1);
	ck_assert_uint_le(b->n_sent[MESSAGE_HANDSHAKE_RESPONSE], 1 + 5);
	ck_assert_uint_ge(b->n_sent[MESSAGE_HANDSHAKE_RESPONSE], 1 + 4);
}
END_TEST

/* The next one to ask from another port is not the poorer for it. */
START_TEST(load_gives_few_cookies_to_who_only_asks)
{
	struct origin flooder = origin_of(a, 1), neighbour = origin_of(a, 1);
	struct wg_initiation msg;

	introduce(0, true);
	b->is_under_load = true;
	addr_set_port(&neighbour.remote, 7);
	msg = forge(WALL);
	for (unsigned i = 0; i < 1000; i++)
		deliver(b, &msg, sizeof(msg), &flooder);
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_COOKIE], 5);
	ck_assert_uint_eq(rejected(b), 1000);
	deliver(b, &msg, sizeof(msg), &neighbour);
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_COOKIE], 6);
	run_for(SECONDS(1));
	for (unsigned i = 0; i < 1000; i++)
		deliver(b, &msg, sizeof(msg), &flooder);
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_COOKIE], 11);
}
END_TEST

/* Whoever writes other people's addresses on his messages. */
START_TEST(load_gives_no_more_cookies_than_it_can)
{
	struct origin from = origin_of(a, 1);
	struct wg_initiation msg;

	introduce(0, true);
	b->is_under_load = true;
	msg = forge(WALL);
	for (uint32_t i = 0; i < 2000; i++) {
		from.remote.v4.sin_family = AF_INET;
		from.remote.v4.sin_addr.s_addr = htonl(0x0a000000 + i);
		deliver(b, &msg, sizeof(msg), &from);
	}
	ck_assert_uint_eq(b->n_sent[MESSAGE_HANDSHAKE_COOKIE], 500);
}
END_TEST

START_TEST(mac1_of_another_key_is_seen)
{
	struct wg_initiation msg;

	introduce(0, true);
	device_start(a->device, sim.now);
	memcpy(&msg, a->last_sent[MESSAGE_HANDSHAKE_INITIATION], sizeof(msg));
	ck_assert(device_check_mac1(b->device, &msg, sizeof(msg)));
	ck_assert(!device_check_mac1(a->device, &msg, sizeof(msg)));
	msg.encrypted_timestamp[0] ^= 1;
	ck_assert(!device_check_mac1(b->device, &msg, sizeof(msg)));
}
END_TEST

START_TEST(malformed_messages_are_counted)
{
	struct origin from = origin_of(a, 1);
	uint8_t msg[200] = {0};

	for (unsigned type = 0; type < 6; type++) {
		msg[0] = (uint8_t)type;
		for (size_t len = 0; len < sizeof(msg); len++) {
			if ((type == 1 && len == 148) || (type == 2 && len == 92) ||
			    (type == 3 && len == 64))
				continue;
			device_receive(b->device, msg, len, &from, _i, sim.now, &b->drops);
		}
	}
	ck_assert_uint_eq(drops_get(&b->drops, DROP_rx_malformed), 6 * sizeof(msg) - 3);
	ck_assert_uint_eq(rejected(b), 0);
	msg[0] = 1;
	msg[2] = 1; /* a reserved byte */
	device_receive(b->device, msg, 148, &from, _i, sim.now, &b->drops);
	ck_assert_uint_eq(drops_get(&b->drops, DROP_rx_malformed), 6 * sizeof(msg) - 2);
}
END_TEST

/* Every bit of a handshake matters. */
START_TEST(changed_messages_are_refused)
{
	struct wg_initiation initiation;
	struct wg_response response;
	struct origin from = origin_of(a, 1), back = origin_of(b, 1);

	introduce(0, true);
	sim.loses = loses_all;
	device_start(a->device, sim.now);
	memcpy(&initiation, a->last_sent[MESSAGE_HANDSHAKE_INITIATION], sizeof(initiation));
	for (size_t i = 8; i < offsetof(struct wg_initiation, macs); i++) {
		struct wg_initiation changed = initiation;

		((uint8_t *)&changed)[i] ^= 0x40;
		device_receive(b->device, &changed, sizeof(changed), &from, false, sim.now,
			       &b->drops);
	}
	ck_assert_uint_eq(rejected(b), offsetof(struct wg_initiation, macs) - 8);
	deliver(b, &initiation, sizeof(initiation), &from);
	memcpy(&response, b->last_sent[MESSAGE_HANDSHAKE_RESPONSE], sizeof(response));
	for (size_t i = 8; i < offsetof(struct wg_response, macs); i++) {
		struct wg_response changed = response;

		((uint8_t *)&changed)[i] ^= 0x40;
		device_receive(a->device, &changed, sizeof(changed), &back, false, sim.now,
			       &a->drops);
	}
	ck_assert_uint_eq(rejected(a), offsetof(struct wg_response, macs) - 8);
	sim.loses = NULL;
	deliver(a, &response, sizeof(response), &back);
	run_for(SECONDS(1));
	ck_assert_same_session(ab, ba);
}
END_TEST

/* The table of peers */

START_TEST(keys_that_cannot_be_peers_are_refused)
{
	static struct peer p;

	introduce(0, false);
	p.remote = ab->peer.remote;
	ck_assert_int_eq(device_insert_peer(a->device, &p, 0, false), -EEXIST);
	memcpy(p.remote.public_key, a->public_key, KEY_LEN);
	ck_assert_int_eq(device_insert_peer(a->device, &p, 0, false), -EEXIST);
	ck_assert_ptr_eq(device_find_peer(a->device, b->public_key), &ab->peer);
	ck_assert_mem_eq(device_public_key(a->device), a->public_key, 32);
}
END_TEST

START_TEST(peer_can_be_removed_during_its_handshake)
{
	const uint8_t zero[32] = {0};
	uint32_t index;

	introduce(0, true);
	device_start(a->device, sim.now);
	run_for(sim.latency + 1); /* the response is on its way */
	remove_peer(a, &ab->peer);
	ck_assert_mem_eq(ab->peer.remote.static_static, zero, 32);
	ck_assert_ptr_null(device_find_peer(a->device, b->public_key));
	a->n_neighbours = 0;
	run_for(SECONDS(10));
	ck_assert_uint_eq(rejected(a), 1);
	ck_assert_uint_eq(a->n_sent[MESSAGE_HANDSHAKE_INITIATION], 1);

	/* the responder, whose session is not confirmed */
	index = rcu_own(&ba->peer.next)->local_index;
	ck_assert_ptr_nonnull(device_session_rcu(b->device, index));
	remove_peer(b, &ba->peer);
	b->n_neighbours = 0;
	ck_assert_ptr_null(device_session_rcu(b->device, index));

	memset(ab, 0, sizeof(*ab));
	memset(ba, 0, sizeof(*ba));
	join();
}
END_TEST

START_TEST(reference_outlives_the_session)
{
	uint8_t bytes[MESSAGE_MAX];
	struct origin from = origin_of(a, 1);
	struct keypair *k;
	size_t len;

	join();
	k = keypair_get(session_of(ab));
	remove_peer(a, &ab->peer);
	a->n_neighbours = 0;
	len = seal_on(k, "still on its way", bytes);
	deliver(b, bytes, len, &from);
	ck_assert_uint_eq(b->n_data_received, 1);
	keypair_put(k);
}
END_TEST

/* A hub with a thousand peers, a quarter of which exist. */
START_TEST(a_thousand_peers_are_kept_apart)
{
	struct node *hub, nobody = {0};
	struct neighbour *n;

	sim_end();
	sim_begin(1001);
	hub = &sim.nodes[0];
	for (size_t i = 1; i < sim.n_nodes; i++) {
		add_neighbour(hub, &sim.nodes[i], NULL, 0, true);
		if (i % 4 == 0)
			add_neighbour(&sim.nodes[i], hub, NULL, 0, false);
	}
	device_start(hub->device, sim.now);
	run_for(SECONDS(1));
	ck_assert_uint_eq(hub->n_sent[MESSAGE_HANDSHAKE_INITIATION], 1000);
	for (size_t i = 1; i < sim.n_nodes; i++) {
		n = &hub->neighbours[i - 1];
		ck_assert_ptr_eq(device_find_peer(hub->device, sim.nodes[i].public_key), &n->peer);
		if (i % 4) {
			ck_assert_ptr_null(session_of(n));
			continue;
		}
		ck_assert_same_session(n, &sim.nodes[i].neighbours[0]);
		ck_assert_ptr_eq(device_session_rcu(hub->device, session_of(n)->local_index),
				 session_of(n));
	}
	ck_assert_ptr_null(device_find_peer(hub->device, nobody.public_key));
}
END_TEST

static _Atomic bool is_stopping;

/* What a link's thread does, at a time of its own. */
static void use_sessions(void *arg)
{
	nsec_t now = T0 + SECONDS(3600);
	unsigned *n_found = arg;
	uint8_t bytes[MESSAGE_MAX];

	while (!is_stopping) {
		struct keypair *k;

		rcu_begin();
		k = peer_send_session_rcu(&ab->peer, T0);
		if (k && device_session_rcu(a->device, k->local_index))
			(*n_found)++;
		if (k)
			keypair_get(k);
		rcu_end();
		peer_mark_received(&ab->peer, now, true);
		peer_mark_sent(&ab->peer, now, true);
		if (k)
			seal_on(k, "data", bytes);
		keypair_put(k);
	}
}

START_TEST(sessions_change_while_others_use_them)
{
	struct thread other;
	unsigned n_found = 0;

	join();
	is_stopping = false;
	ck_assert_int_eq(thread_start(&other, "user", use_sessions, &n_found), 0);
	/* The other thread's marks cost a round now and then, and more on a busy machine. */
	for (unsigned i = 0; i < 2000 && ab->n_initiations < 100; i++) {
		run_for(REKEY_TIMEOUT);
		peer_poke(&ab->peer, POKE_HANDSHAKE);
		run_for(SECONDS(1));
	}
	is_stopping = true;
	thread_join(&other);
	ck_assert_uint_ge(ab->n_initiations, 100);
	ck_assert_uint_gt(n_found, 0);
	ck_assert_same_session(ab, ba);
}
END_TEST

static void add_handshakes(Suite *s)
{
	TCase *t = tcase_create("handshakes");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, handshake_makes_a_session_on_both_sides, 0, 2);
	tcase_add_loop_test(t, different_preshared_keys_give_no_session, 0, 2);
	tcase_add_test(t, new_private_key_of_who_had_a_session_asks_for_another_at_once);
	tcase_add_loop_test(t, who_has_no_private_key_begins_no_handshakes, 0, 4);
	tcase_add_test(t, unknown_peer_is_refused);
	tcase_add_test(t, session_of_the_responder_waits_for_its_confirmation);
	tcase_add_test(t, confirmed_session_is_not_dropped_for_the_next_one);
	/* often enough for the greater key to be on either side */
	tcase_add_loop_test(t, crossing_initiations_end_in_one_session_and_lose_nothing, 0, 6);
	tcase_add_loop_test(t, crossing_renewals_end_in_one_session, 0, 6);
	tcase_add_test(t, initiation_under_way_goes_to_an_address_that_comes_later);
	tcase_add_loop_test(t, crossing_with_a_peer_that_gives_up_its_own_works_at_once, 0, 6);
	tcase_add_test(t, three_devices_have_sessions_apart);
	suite_add_tcase(s, t);
}

static void add_defence(Suite *s)
{
	TCase *t = tcase_create("defence");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, replay_is_refused_but_a_copy_over_another_link_is_answered);
	tcase_add_test(t, unanswered_initiation_goes_over_one_path_after_the_other);
	tcase_add_test(t, answered_initiation_goes_over_the_other_paths_too);
	tcase_add_test(t, late_copy_is_refused);
	tcase_add_test(t, older_timestamp_is_refused);
	tcase_add_test(t, initiations_of_one_peer_are_paced);
	tcase_add_test(t, load_asks_for_a_cookie_and_accepts_it);
	tcase_add_test(t, initiator_under_load_asks_for_a_cookie_too);
	tcase_add_test(t, load_limits_the_rate_of_a_source);
	tcase_add_test(t, load_gives_few_cookies_to_who_only_asks);
	tcase_add_test(t, load_gives_no_more_cookies_than_it_can);
	tcase_add_test(t, mac1_of_another_key_is_seen);
	tcase_add_loop_test(t, malformed_messages_are_counted, 0, 2);
	tcase_add_test(t, changed_messages_are_refused);
	suite_add_tcase(s, t);
}

static void add_table(Suite *s)
{
	TCase *t = tcase_create("table");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, keys_that_cannot_be_peers_are_refused);
	tcase_add_test(t, peer_can_be_removed_during_its_handshake);
	tcase_add_test(t, reference_outlives_the_session);
	tcase_add_test(t, a_thousand_peers_are_kept_apart);
	tcase_add_test(t, sessions_change_while_others_use_them);
	suite_add_tcase(s, t);
}

static Suite *make_suite(void)
{
	Suite *s = suite_create("device");

	add_handshakes(s);
	add_defence(s);
	add_table(s);
	return s;
}
