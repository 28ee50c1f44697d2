/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "broker/server.h"
#include "check_main.h"

#include "handmade.h"

#define STRIDE sizeof(struct wg_initiation) /* so that a handshake message fits in between */

static struct link *l;
static struct bond *bond;

static void setup(void)
{
	handmade_settings(2, 2);
	handmade_begin();
	l = net.links[0];
	bond = net.bonds[0];
	begin_session(bond, T0);
}

static void teardown(void)
{
	handmade_end();
}

static struct burst *make_burst(void)
{
	struct burst *b = burst_take(net.bursts);

	ck_assert_ptr_nonnull(b);
	b->stride = STRIDE;
	b->link = l;
	b->from = endpoint_of("192.0.2.1");
	b->received = T0;
	return b;
}

static void add_bytes(struct burst *b, const void *bytes, size_t len)
{
	memcpy(b->data + b->len, bytes, len);
	b->len += (uint32_t)len;
	b->n++;
}

/* What the far end of peer `i` seals, by `k`; the packet's number is `number`. */
static void add_sealed(struct burst *b, size_t i, struct keypair *k, uint32_t number)
{
	uint8_t plain[STRIDE] = {0};
	uint64_t counter;

	make_packet(plain, i, number);
	ck_assert(keypair_take_counters(k, 1, &counter));
	ck_assert(bond_seal_next(b, k, counter, plain, b->stride - MESSAGE_DATA_OVERHEAD));
}

static void add_number(struct burst *b, uint32_t number)
{
	add_sealed(b, 0, far[0], number);
}

static void receive_on(struct link *link, struct burst *b)
{
	struct link_worker *w = &link->workers[0];
	nsec_t now = b->received;
	struct burst *opened;

	b->link = link;
	opened = rx_link_calls.received(&net, w, b);
	if (opened)
		rx_link_calls.deliver(&net, w, opened, now);
	rx_link_calls.batch_done(&net, w, now);
}

static void receive(struct burst *b)
{
	receive_on(l, b);
}

static uint64_t link_drops(enum drop_reason reason)
{
	return drops_get(&l->drops, reason);
}

START_TEST(burst_of_one_session_is_opened)
{
	struct burst *b = make_burst();

	for (uint32_t i = 0; i < BURST_DATAGRAMS && b->len + STRIDE < HANDMADE_BURST_BYTES; i++)
		add_number(b, i);
	receive(b);
	ck_assert_uint_gt(read_tunnel(NULL, 0), 50);
	ck_assert_uint_eq(pool_available(net.bursts), HANDMADE_BURSTS);
}
END_TEST

START_TEST(handshake_message_in_the_middle_does_not_disturb)
{
	struct wg_initiation initiation = {.type = le32_make(MESSAGE_HANDSHAKE_INITIATION)};
	struct burst *b = make_burst();

	add_number(b, 0);
	add_number(b, 1);
	add_bytes(b, &initiation, sizeof(initiation));
	add_number(b, 2);
	receive(b);
	ck_assert_tunnel(0, 1, 2);
	ck_assert_uint_eq(link_drops(DROP_rx_bad_mac1), 1);
}
END_TEST

START_TEST(session_may_change_in_the_middle)
{
	struct keypair *old = keypair_get(far[0]);
	struct burst *b = make_burst();

	begin_session(bond, T0);
	add_sealed(b, 0, old, 0);
	add_sealed(b, 0, old, 1);
	add_sealed(b, 0, far[0], 2);
	add_sealed(b, 0, old, 3);
	receive(b);
	/* What the old session sends after the new one began has its place before that. */
	ck_assert_uint_eq(read_tunnel(NULL, 0), 4);
	keypair_put(old);
}
END_TEST

START_TEST(several_peers_may_share_a_source)
{
	struct burst *b = make_burst();

	begin_session(net.bonds[1], T0);
	add_sealed(b, 0, far[0], 0);
	add_sealed(b, 1, far[1], 1);
	add_sealed(b, 0, far[0], 2);
	receive(b);
	ck_assert_uint_eq(read_tunnel(NULL, 0), 3);
	ck_assert_uint_eq(atomic_load(&net.bonds[0]->inner_received.packets), 2);
	ck_assert_uint_eq(atomic_load(&net.bonds[1]->inner_received.packets), 1);
}
END_TEST

START_TEST(shorter_last_datagram_is_opened)
{
	uint8_t plain[16] = {0}; /* an empty first nibble, then padding: no frame */
	struct burst *b = make_burst();
	uint64_t counter;

	add_number(b, 0);
	ck_assert(keypair_take_counters(far[0], 1, &counter));
	ck_assert(bond_seal_next(b, far[0], counter, plain, sizeof(plain)));
	receive(b);
	ck_assert_tunnel(0);
	ck_assert_uint_eq(link_drops(DROP_rx_bad_tag), 0);
	ck_assert_uint_eq(drops_of(DROP_rx_bad_frame), 0);
}
END_TEST

START_TEST(forged_datagram_is_counted_and_the_rest_delivered)
{
	struct burst *b = make_burst();

	for (uint32_t i = 0; i < 3; i++)
		add_number(b, i);
	burst_datagram(b, 1)[40] ^= 1;
	receive(b);
	ck_assert_tunnel(0, 2);
	ck_assert_uint_eq(link_drops(DROP_rx_bad_tag), 1);
}
END_TEST

START_TEST(forged_burst_says_nothing_of_the_peer)
{
	struct burst *b = make_burst();

	add_number(b, 0);
	burst_datagram(b, 0)[STRIDE - 1] ^= 1;
	receive(b);
	ck_assert_uint_eq(read_tunnel(NULL, 0), 0);
	ck_assert_int_eq(atomic_load(&bond->peer.last_received), 0);
	ck_assert_ptr_null(atomic_load(&bond->lane.reseq));
}
END_TEST

START_TEST(unknown_index_is_dropped)
{
	struct burst *b = make_burst();

	add_number(b, 0);
	add_number(b, 1);
	for (uint32_t i = 0; i < 2; i++)
		burst_datagram(b, i)[4] ^= 1;
	receive(b);
	ck_assert_uint_eq(link_drops(DROP_rx_unknown_index), 2);
}
END_TEST

START_TEST(session_past_its_time_is_dropped)
{
	struct burst *b = make_burst();

	add_number(b, 0);
	b->received = T0 + REJECT_AFTER_TIME;
	receive(b);
	ck_assert_uint_eq(read_tunnel(NULL, 0), 0);
	ck_assert_uint_eq(link_drops(DROP_rx_expired_session), 1);
}
END_TEST

START_TEST(counter_beyond_its_limit_is_dropped)
{
	const struct wg_data header = {
		.type = le32_make(MESSAGE_DATA),
		.receiver_index = le32_make(far[0]->remote_index),
		.counter = le64_make(REJECT_AFTER_MESSAGES),
	};
	uint8_t datagram[MESSAGE_DATA_OVERHEAD];
	struct aead_job job = {.dst = datagram + sizeof(header),
			       .src = datagram + sizeof(header),
			       .counter = REJECT_AFTER_MESSAGES};
	struct burst *b = make_burst();

	memcpy(datagram, &header, sizeof(header));
	ck_assert_uint_eq(aead_seal(far[0]->send, &job, 1), 1);
	b->stride = sizeof(datagram);
	add_bytes(b, datagram, sizeof(datagram));
	receive(b);
	ck_assert_uint_eq(link_drops(DROP_rx_bad_tag), 1);
	ck_assert_int_eq(atomic_load(&bond->peer.last_received), 0);
}
END_TEST

START_TEST(burst_without_datagrams_is_dropped)
{
	struct burst *empty = make_burst();

	empty->stride = 0;
	receive(empty);
	ck_assert_uint_eq(link_drops(DROP_rx_malformed), 1);
}
END_TEST

/* By UDP_SEGMENT a local sender may have up to 128 arrive as one, since Linux 6.9. */
START_TEST(message_of_more_datagrams_than_a_burst_has_is_cut)
{
	struct burst *many = make_burst();

	many->stride = 64;
	for (uint32_t i = 0; i < BURST_DATAGRAMS + 36; i++)
		add_number(many, i);
	receive(many);
	ck_assert_uint_eq(read_tunnel(NULL, 0), BURST_DATAGRAMS + 36);
	ck_assert_uint_eq(pool_available(net.bursts), HANDMADE_BURSTS);
}
END_TEST

START_TEST(cut_without_a_buffer_is_counted)
{
	struct burst *taken[HANDMADE_BURSTS];
	struct burst *b = make_burst();
	unsigned n = 0;

	begin_session(net.bonds[1], T0);
	add_sealed(b, 0, far[0], 0);
	add_sealed(b, 1, far[1], 1);
	while ((taken[n] = burst_take(net.bursts)))
		n++;
	receive(b);
	ck_assert_uint_eq(link_drops(DROP_rx_no_buffer), 2);
	while (n)
		burst_put(taken[--n]);
}
END_TEST

/* Any length and type: dropped and counted, or handed to the handshake thread; never kept. */
START_TEST(hostile_datagrams_are_all_accounted_for)
{
	uint64_t total = 0;
	uint64_t expected = 0;

	for (uint32_t len = 0; len <= 200; len++) {
		for (uint32_t type = 0; type < 256; type++) {
			struct burst *b = make_burst();

			b->stride = b->len = len;
			memset(b->data, (int)type, len);
			if (len > 4)
				memset(b->data + 1, 0, 3);
			else
				b->data[0] = (uint8_t)type;
			burst_count(b);
			receive(b);
			expected++;
		}
	}
	for (int reason = 0; reason < DROP_REASON_COUNT; reason++)
		total += link_drops((enum drop_reason)reason);
	/* A cookie reply, which has no mac1, waits for the handshake thread. */
	ck_assert_uint_eq(total, expected - 1);
	ck_assert_uint_eq(link_drops(DROP_rx_bad_mac1), 2);
	ck_assert_uint_eq(link_drops(DROP_rx_unknown_index), 200 - MESSAGE_DATA_OVERHEAD + 1);
	ck_assert_uint_eq(pool_available(net.bursts), HANDMADE_BURSTS);
}
END_TEST

START_TEST(reserved_bytes_must_be_zero)
{
	struct burst *b = make_burst();

	add_number(b, 0);
	b->data[2] = 1;
	receive(b);
	ck_assert_uint_eq(link_drops(DROP_rx_malformed), 1);
}
END_TEST

/* Takes the far end's next counter without sending anything. */
static void skip_one(void)
{
	uint64_t counter;

	ck_assert(keypair_take_counters(far[0], 1, &counter));
}

static void receive_number(uint8_t path, uint32_t number, nsec_t at)
{
	struct burst *b = make_burst();

	add_number(b, number);
	b->from = endpoint_of(path ? "192.0.2.2" : "192.0.2.1");
	b->received = at;
	receive_on(net.links[path], b);
}

/* The link's worker does what it has promised, from `at` on; returns when it has no more to do. */
static nsec_t watch(unsigned link, nsec_t at)
{
	nsec_t until;

	while ((until = rx_link_calls.batch_done(&net, &net.links[link]->workers[0], at)) !=
	       NSEC_NEVER) {
		ck_assert_int_gt(until, at);
		at = until;
	}
	return at;
}

static bool is_watching(unsigned link, nsec_t at)
{
	return rx_link_calls.batch_done(&net, &net.links[link]->workers[0], at) != NSEC_NEVER;
}

START_TEST(one_worker_watches_the_deadline)
{
	nsec_t end;

	make_two_paths(bond);
	receive_number(0, 0, T0);
	receive_number(1, 1, T0);
	skip_one();
	receive_number(0, 3, T0);
	ck_assert_tunnel(0, 1);
	ck_assert(is_watching(0, T0) != is_watching(1, T0));
	end = nsec_max(watch(0, T0), watch(1, T0));
	ck_assert_int_gt(end, T0);
	ck_assert_int_lt(end, T0 + NSEC_PER_SEC);
	ck_assert_tunnel(0, 1, 3);
	free_two_paths(bond);
}
END_TEST

START_TEST(watch_goes_to_another_worker_when_it_was_given_up)
{
	nsec_t end;

	make_two_paths(bond);
	receive_number(0, 0, T0);
	receive_number(1, 1, T0);
	skip_one();
	receive_number(0, 3, T0);
	end = nsec_max(watch(0, T0), watch(1, T0));
	skip_one();
	receive_number(1, 5, end);
	ck_assert_tunnel(0, 1, 3);
	ck_assert(!is_watching(0, end));
	ck_assert_int_gt(watch(1, end), end);
	ck_assert_tunnel(0, 1, 3, 5);
	free_two_paths(bond);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("rx");
	TCase *t = tcase_create("rx");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, burst_of_one_session_is_opened);
	tcase_add_test(t, handshake_message_in_the_middle_does_not_disturb);
	tcase_add_test(t, session_may_change_in_the_middle);
	tcase_add_test(t, several_peers_may_share_a_source);
	tcase_add_test(t, shorter_last_datagram_is_opened);
	tcase_add_test(t, forged_datagram_is_counted_and_the_rest_delivered);
	tcase_add_test(t, forged_burst_says_nothing_of_the_peer);
	tcase_add_test(t, unknown_index_is_dropped);
	tcase_add_test(t, session_past_its_time_is_dropped);
	tcase_add_test(t, counter_beyond_its_limit_is_dropped);
	tcase_add_test(t, burst_without_datagrams_is_dropped);
	tcase_add_test(t, message_of_more_datagrams_than_a_burst_has_is_cut);
	tcase_add_test(t, cut_without_a_buffer_is_counted);
	tcase_add_test(t, hostile_datagrams_are_all_accounted_for);
	tcase_add_test(t, reserved_bytes_must_be_zero);
	tcase_add_test(t, one_worker_watches_the_deadline);
	tcase_add_test(t, watch_goes_to_another_worker_when_it_was_given_up);
	suite_add_tcase(s, t);
	return s;
}
