/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Two whole exchanges with fixed keys, byte for byte, as two sides that know only what they
 * are sent; then all that must be refused.
 */
#include "crypto/noise.h"

#include <errno.h>
#include <string.h>

#include "check_main.h"
#include "crypto/aead.h"
#include "crypto/cookie.h"
#include "crypto/keys.h"
#include "crypto/xaead.h"
#include "util/thread.h"
#include "vectors.h"

static const char *const exchanges[] = {"without_psk", "with_psk"};
#define EXCHANGES 2

struct side {
	struct noise_identity self;
	struct noise_remote remote;
	struct noise_handshake hs;
	struct noise_session_keys keys;
	struct cookie_jar jar;
	struct cookie_checker checker;
	uint8_t ephemeral[32];
	uint32_t index;
};

static struct json_object *root;
static struct json_object *vector;
static struct side alice; /* initiator */
static struct side bob;
static uint8_t timestamp[NOISE_TIMESTAMP_LEN];
static struct wg_initiation initiation;
static struct wg_response response;

static void setup(void)
{
	root = vectors_open("noise.json");
	ck_assert_int_eq(thread_adopt(), 0);
}

static void teardown(void)
{
	thread_disown();
	json_object_put(root);
}

static void load_side(struct side *s, const char *who, const char *other)
{
	struct bytes psk = vectors_bytes(vector, "psk");
	struct bytes remote_public;
	char name[64];

	memset(s, 0, sizeof(*s));
	snprintf(name, sizeof(name), "%s_private", who);
	noise_identity_set(&s->self, vectors_bytes(vector, name).data);
	snprintf(name, sizeof(name), "%s_public", who);
	ck_assert_mem_eq(s->self.public_key, vectors_bytes(vector, name).data, 32);
	snprintf(name, sizeof(name), "%s_public", other);
	remote_public = vectors_bytes(vector, name);
	ck_assert_int_eq(noise_remote_set(&s->remote, &s->self, remote_public.data,
					  keys_is_zero(psk.data) ? NULL : psk.data),
			 0);
	cookie_jar_init(&s->jar, s->remote.public_key);
	cookie_checker_init(&s->checker, s->self.public_key);
	snprintf(name, sizeof(name), "%s_ephemeral_private", who);
	memcpy(s->ephemeral, vectors_bytes(vector, name).data, 32);
	snprintf(name, sizeof(name), "%s_index", who);
	s->index = (uint32_t)vectors_number(vector, name);
}

static void load(int exchange)
{
	vector = vectors_get(vectors_get(root, "exchange"), exchanges[exchange]);
	load_side(&alice, "initiator", "responder");
	load_side(&bob, "responder", "initiator");
	memcpy(timestamp, vectors_bytes(vector, "timestamp").data, sizeof(timestamp));
}

static void send_initiation(void)
{
	ck_assert_int_eq(noise_create_initiation(&alice.hs, &alice.self, &alice.remote,
						 alice.ephemeral, alice.index, timestamp,
						 &initiation),
			 0);
	cookie_jar_seal(&alice.jar, &initiation, sizeof(initiation), 0);
}

/* All that a responder does before it answers. */
static int receive_initiation(void)
{
	uint8_t who[32];
	uint8_t when[NOISE_TIMESTAMP_LEN];
	int r = noise_open_initiation(&bob.hs, &bob.self, &initiation, who);

	if (r < 0)
		return r;
	ck_assert_mem_eq(who, alice.self.public_key, sizeof(who));
	r = noise_verify_initiation(&bob.hs, &bob.remote, &initiation, when);
	if (r == 0)
		ck_assert_mem_eq(when, timestamp, sizeof(when));
	return r;
}

static int send_response(void)
{
	int r = noise_create_response(&bob.hs, &bob.remote, bob.ephemeral, bob.index, &response,
				      &bob.keys);

	if (r == 0)
		cookie_jar_seal(&bob.jar, &response, sizeof(response), 0);
	return r;
}

static int receive_response(void)
{
	return noise_consume_response(&alice.hs, &alice.self, &alice.remote, &response,
				      &alice.keys);
}

static void run_handshake(int exchange)
{
	load(exchange);
	send_initiation();
	ck_assert_int_eq(receive_initiation(), 0);
	ck_assert_int_eq(send_response(), 0);
	ck_assert_int_eq(receive_response(), 0);
}

START_TEST(handshake_is_byte_for_byte_that_of_wireguard)
{
	run_handshake(_i);
	ck_assert_mem_eq(&initiation, vectors_bytes(vector, "initiation").data, sizeof(initiation));
	ck_assert_mem_eq(&response, vectors_bytes(vector, "response").data, sizeof(response));
	ck_assert(cookie_check_mac1(&bob.checker, &initiation, sizeof(initiation)));
	ck_assert(cookie_check_mac1(&alice.checker, &response, sizeof(response)));
}
END_TEST

START_TEST(both_sides_hold_the_same_session_keys)
{
	struct bytes send;
	struct bytes recv;

	run_handshake(_i);
	send = vectors_bytes(vector, "initiator_send_key");
	recv = vectors_bytes(vector, "initiator_recv_key");
	ck_assert_mem_eq(alice.keys.send, send.data, 32);
	ck_assert_mem_eq(alice.keys.recv, recv.data, 32);
	ck_assert_mem_eq(bob.keys.send, recv.data, 32);
	ck_assert_mem_eq(bob.keys.recv, send.data, 32);
}
END_TEST

static void is_wiped_but_for_indices(const struct noise_handshake *hs, uint32_t local_index,
				     uint32_t remote_index)
{
	struct noise_handshake want;

	memset(&want, 0, sizeof(want));
	want.local_index = local_index;
	want.remote_index = remote_index;
	ck_assert_mem_eq(hs, &want, sizeof(want));
}

START_TEST(finished_handshake_keeps_only_its_indices)
{
	run_handshake(_i);
	is_wiped_but_for_indices(&alice.hs, alice.index, bob.index);
	is_wiped_but_for_indices(&bob.hs, bob.index, alice.index);
}
END_TEST

/* Seals `plain` as `key` says and compares the message, then opens it with `other`. */
static void check_transport(const uint8_t key[32], const uint8_t other[32], uint32_t receiver,
			    uint64_t counter, struct bytes plain, const char *name)
{
	struct bytes want = vectors_bytes(vector, name);
	size_t len = wg_padded_len(plain.len, 1420);
	struct wg_data head = {
		.type = le32_make(MESSAGE_DATA),
		.receiver_index = le32_make(receiver),
		.counter = le64_make(counter),
	};
	struct aead_job job = {
		.dst = plain.data, .src = plain.data, .len = len, .counter = counter};
	struct aead_key *k;

	ck_assert_uint_eq(want.len, len + MESSAGE_DATA_OVERHEAD);
	ck_assert_int_eq(aead_key_new(&k, key), 0);
	ck_assert_uint_eq(aead_seal(k, &job, 1), 1);
	aead_key_free(k);
	ck_assert_mem_eq(&head, want.data, sizeof(head));
	ck_assert_mem_eq(plain.data, want.data + sizeof(head), len + NOISE_AUTHTAG_LEN);

	ck_assert_int_eq(aead_key_new(&k, other), 0);
	ck_assert_uint_eq(aead_open(k, &job, 1), 1);
	aead_key_free(k);
}

START_TEST(transport_messages_are_byte_for_byte_those_of_wireguard)
{
	struct bytes nothing = {0};
	struct bytes inner;

	run_handshake(_i);
	inner = vectors_bytes(vector, "inner_packet");
	check_transport(alice.keys.send, bob.keys.recv, bob.index, 0, nothing,
			"keepalive_counter_0");
	check_transport(alice.keys.send, bob.keys.recv, bob.index, 1, inner, "data_counter_1");
	check_transport(bob.keys.send, alice.keys.recv, alice.index, 0, inner, "reply_counter_0");
}
END_TEST

START_TEST(cookie_reply_and_mac2_are_byte_for_byte_those_of_wireguard)
{
	struct wg_cookie_reply reply = {.type = le32_make(MESSAGE_HANDSHAKE_COOKIE)};

	load(_i);
	send_initiation();
	reply.receiver_index = initiation.sender_index;
	memcpy(reply.nonce, vectors_bytes(vector, "cookie_nonce").data, sizeof(reply.nonce));
	ck_assert_int_eq(xaead_seal(reply.encrypted_cookie, vectors_bytes(vector, "cookie").data,
				    COOKIE_LEN, initiation.macs.mac1, COOKIE_LEN, reply.nonce,
				    bob.checker.cookie_key),
			 0);
	ck_assert_mem_eq(&reply, vectors_bytes(vector, "cookie_reply_to_initiation").data,
			 sizeof(reply));
	ck_assert_int_eq(cookie_jar_accept(&alice.jar, &reply, 0), 0);
	cookie_jar_seal(&alice.jar, &initiation, sizeof(initiation), 0);
	ck_assert_mem_eq(&initiation, vectors_bytes(vector, "initiation_with_mac2").data,
			 sizeof(initiation));
}
END_TEST

/* Type and indices are mac1's to protect; the handshake itself notices all the rest. */
START_TEST(corrupted_byte_of_an_initiation_is_refused)
{
	uint8_t *bytes = (uint8_t *)&initiation;

	load(_i);
	send_initiation();
	for (size_t i = 0; i < offsetof(struct wg_initiation, macs.mac2); i++) {
		bytes[i] ^= 0x80;
		ck_assert(!cookie_check_mac1(&bob.checker, &initiation, sizeof(initiation)));
		if (i >= offsetof(struct wg_initiation, unencrypted_ephemeral) &&
		    i < offsetof(struct wg_initiation, macs))
			ck_assert_int_eq(receive_initiation(), -EBADMSG);
		bytes[i] ^= 0x80;
	}
	ck_assert_int_eq(receive_initiation(), 0);
}
END_TEST

START_TEST(corrupted_byte_of_a_response_is_refused_without_a_trace)
{
	uint8_t *bytes = (uint8_t *)&response;
	struct noise_handshake before;

	load(_i);
	send_initiation();
	ck_assert_int_eq(receive_initiation(), 0);
	ck_assert_int_eq(send_response(), 0);
	before = alice.hs;
	for (size_t i = 0; i < offsetof(struct wg_response, macs.mac2); i++) {
		bytes[i] ^= 0x80;
		ck_assert(!cookie_check_mac1(&alice.checker, &response, sizeof(response)));
		if (i >= offsetof(struct wg_response, unencrypted_ephemeral) &&
		    i < offsetof(struct wg_response, macs))
			ck_assert_int_eq(receive_response(), -EBADMSG);
		bytes[i] ^= 0x80;
	}
	ck_assert_mem_eq(&alice.hs, &before, sizeof(before));
	ck_assert_int_eq(receive_response(), 0);
}
END_TEST

START_TEST(another_preshared_key_fails_at_the_response)
{
	load(_i);
	bob.remote.preshared_key[31] ^= 1;
	send_initiation();
	ck_assert_int_eq(receive_initiation(), 0);
	ck_assert_int_eq(send_response(), 0);
	ck_assert_int_eq(receive_response(), -EBADMSG);
}
END_TEST

/* Eve may claim to be Alice, but does not share a key with Bob. */
START_TEST(claimed_identity_is_not_enough)
{
	struct noise_identity eve;
	uint8_t private_key[32];

	load(_i);
	keys_generate(private_key);
	noise_identity_set(&eve, private_key);
	ck_assert_int_eq(noise_remote_set(&alice.remote, &eve, bob.self.public_key, NULL), 0);
	send_initiation();
	ck_assert_int_eq(receive_initiation(), -EBADMSG);
}
END_TEST

START_TEST(initiation_to_another_responder_is_refused)
{
	uint8_t private_key[32];

	load(_i);
	send_initiation();
	keys_generate(private_key);
	noise_identity_set(&bob.self, private_key);
	ck_assert_int_eq(receive_initiation(), -EBADMSG);
}
END_TEST

/* Of order 1, 2, 4 and 8; test_keys has them all. */
static const uint8_t low_order_points[][32] = {
	{0},
	{1},
	{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
	 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
	 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
};
#define LOW_ORDER_POINTS 3

START_TEST(ephemeral_of_low_order_is_refused)
{
	const uint8_t *point = low_order_points[_i];
	struct noise_handshake before;

	load(0);
	send_initiation();
	ck_assert_int_eq(receive_initiation(), 0);
	ck_assert_int_eq(send_response(), 0);
	before = alice.hs;
	memcpy(response.unencrypted_ephemeral, point, 32);
	ck_assert_int_eq(receive_response(), -EINVAL);
	ck_assert_mem_eq(&alice.hs, &before, sizeof(before));
	memcpy(initiation.unencrypted_ephemeral, point, 32);
	ck_assert_int_eq(receive_initiation(), -EINVAL);
}
END_TEST

START_TEST(peer_with_a_key_of_low_order_is_refused)
{
	struct noise_remote remote;

	load(0);
	memset(&remote, 0x5a, sizeof(remote));
	ck_assert_int_eq(noise_remote_set(&remote, &alice.self, low_order_points[_i], NULL),
			 -EINVAL);
	ck_assert_uint_eq(remote.public_key[0], 0x5a);
}
END_TEST

START_TEST(wiped_handshake_is_zero)
{
	load(0);
	send_initiation();
	noise_wipe(&alice.hs);
	is_wiped_but_for_indices(&alice.hs, 0, 0);
}
END_TEST

START_TEST(timestamps_are_tai64n_without_the_exact_clock)
{
	struct json_object *cases = vectors_cases(root, "timestamp");

	for (size_t i = 0; i < json_object_array_length(cases); i++) {
		struct json_object *c = json_object_array_get_idx(cases, i);
		nsec_t wall = vectors_number(c, "unix_seconds") * NSEC_PER_SEC +
			      vectors_number(c, "nanoseconds");
		uint8_t out[NOISE_TIMESTAMP_LEN];

		noise_timestamp(out, wall);
		ck_assert_mem_eq(out, vectors_bytes(c, "out").data, sizeof(out));
	}
}
END_TEST

START_TEST(later_timestamps_compare_greater)
{
	nsec_t wall = 1700000000 * NSEC_PER_SEC;
	uint8_t before[NOISE_TIMESTAMP_LEN];
	uint8_t after[NOISE_TIMESTAMP_LEN];

	noise_timestamp(before, wall);
	for (unsigned i = 0; i < 200; i++) {
		wall += 17 * NSEC_PER_MSEC; /* a step of the label is 16.8 ms */
		noise_timestamp(after, wall);
		ck_assert_int_gt(memcmp(after, before, sizeof(after)), 0);
		memcpy(before, after, sizeof(before));
	}
}
END_TEST

static void add_refusals(TCase *c)
{
	tcase_add_loop_test(c, corrupted_byte_of_an_initiation_is_refused, 0, EXCHANGES);
	tcase_add_loop_test(c, corrupted_byte_of_a_response_is_refused_without_a_trace, 0,
			    EXCHANGES);
	tcase_add_loop_test(c, another_preshared_key_fails_at_the_response, 0, EXCHANGES);
	tcase_add_loop_test(c, claimed_identity_is_not_enough, 0, EXCHANGES);
	tcase_add_loop_test(c, initiation_to_another_responder_is_refused, 0, EXCHANGES);
	tcase_add_loop_test(c, ephemeral_of_low_order_is_refused, 0, LOW_ORDER_POINTS);
	tcase_add_loop_test(c, peer_with_a_key_of_low_order_is_refused, 0, LOW_ORDER_POINTS);
}

static Suite *make_suite(void)
{
	Suite *s = suite_create("noise");
	TCase *c = tcase_create("noise");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, handshake_is_byte_for_byte_that_of_wireguard, 0, EXCHANGES);
	tcase_add_loop_test(c, both_sides_hold_the_same_session_keys, 0, EXCHANGES);
	tcase_add_loop_test(c, finished_handshake_keeps_only_its_indices, 0, EXCHANGES);
	tcase_add_loop_test(c, transport_messages_are_byte_for_byte_those_of_wireguard, 0,
			    EXCHANGES);
	tcase_add_loop_test(c, cookie_reply_and_mac2_are_byte_for_byte_those_of_wireguard, 0,
			    EXCHANGES);
	add_refusals(c);
	tcase_add_test(c, wiped_handshake_is_zero);
	tcase_add_test(c, timestamps_are_tai64n_without_the_exact_clock);
	tcase_add_test(c, later_timestamps_compare_greater);
	suite_add_tcase(s, c);
	return s;
}
