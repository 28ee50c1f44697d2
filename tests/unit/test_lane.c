/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "broker/server.h"
#include "check_main.h"

#include <fcntl.h>
#include <sched.h>

#include "handmade.h"

#define MANY 20000
#define AHEAD_MAX 200 /* packets that one worker may be ahead of the other: fewer than cells */

static struct bond *bond;
static struct keypair *session;
static struct delivery delivery;

static void setup_mtu(uint32_t mtu)
{
	handmade_settings(2, 2);
	settings.mtu = mtu;
	handmade_begin();
	bond = net.bonds[0];
	session = begin_session(bond, T0);
	delivery_init(&delivery, &net);
}

static void setup(void)
{
	setup_mtu(1420);
}

static void teardown(void)
{
	handmade_end();
}

/* An opened burst without datagrams. */
static struct burst *make_burst(uint8_t slot, nsec_t received)
{
	struct burst *b = burst_take(net.bursts);

	ck_assert_ptr_nonnull(b);
	b->session = keypair_get(session);
	b->link = net.links[0];
	b->from = endpoint_of("192.0.2.1");
	b->received = received;
	b->path_slot = slot;
	b->stride = 64 + MESSAGE_DATA_OVERHEAD;
	return b;
}

static uint8_t *add_datagram(struct burst *b, uint64_t counter, size_t len)
{
	uint8_t *datagram = b->data + b->n * b->stride;
	const struct wg_data header = {
		.type = le32_make(MESSAGE_DATA),
		.counter = le64_make(counter),
	};

	ck_assert_uint_eq(b->len, b->n * b->stride);
	memcpy(datagram, &header, sizeof(header));
	memset(datagram + sizeof(header), 0, len + NOISE_AUTHTAG_LEN);
	b->n++;
	b->len += (uint32_t)(len + MESSAGE_DATA_OVERHEAD);
	return datagram + sizeof(header);
}

/* The packet's number is its counter. */
static void add_number(struct burst *b, uint32_t counter)
{
	make_packet(add_datagram(b, counter, 64), 0, counter);
}

static void submit(struct burst *b)
{
	lane_submit(bond, &delivery, b, b, b->received);
}

static void submit_number(uint8_t slot, uint32_t counter, nsec_t received)
{
	struct burst *b = make_burst(slot, received);

	add_number(b, counter);
	submit(b);
}

static void submit_payload(uint8_t slot, uint64_t counter, const void *payload, size_t len)
{
	struct burst *b = make_burst(slot, T0);

	memcpy(add_datagram(b, counter, len), payload, len);
	submit(b);
}

/* The resequencer's; the lane may have other reasons to be looked at. */
static nsec_t deadline(void)
{
	struct reseq *q = atomic_load(&bond->lane.reseq);

	return q ? reseq_deadline(q) : NSEC_NEVER;
}

static struct path *path(unsigned i)
{
	return rcu_own(&bond->paths)->entries[i].path;
}

static void setup_paths(void)
{
	setup();
	make_two_paths(bond);
}

/* Without the head of a held packet, such a one would fill its cell to the last byte. */
static void setup_large(void)
{
	setup_mtu(24 * 64 - sizeof(size_t));
	make_two_paths(bond);
}

static void teardown_paths(void)
{
	free_two_paths(bond);
	teardown();
}

START_TEST(packets_of_a_burst_are_delivered_in_order)
{
	struct burst *b = make_burst(0, T0);

	for (uint32_t i = 0; i < 5; i++)
		add_number(b, i);
	submit(b);
	ck_assert_tunnel(0, 1, 2, 3, 4);
	ck_assert_uint_eq(atomic_load(&bond->inner_received.packets), 5);
	ck_assert_int_eq(deadline(), NSEC_NEVER);
}
END_TEST

START_TEST(chain_is_taken_oldest_first)
{
	struct burst *chain[3];

	for (uint32_t i = 0; i < 3; i++) {
		chain[i] = make_burst(0, T0);
		add_number(chain[i], i);
		if (i)
			chain[i - 1]->next = chain[i];
	}
	lane_submit(bond, &delivery, chain[0], chain[2], T0);
	ck_assert_tunnel(0, 1, 2);
	ck_assert_uint_eq(pool_available(net.bursts), HANDMADE_BURSTS);
}
END_TEST

START_TEST(datagram_that_is_not_authentic_is_skipped)
{
	struct burst *b = make_burst(0, T0);

	for (uint32_t i = 0; i < 3; i++)
		add_number(b, i);
	burst_datagram(b, 1)[0] = 0;
	submit(b);
	ck_assert_tunnel(0, 2);
	ck_assert_uint_eq(atomic_load(&path(0)->received.packets), 2);
}
END_TEST

START_TEST(packet_from_the_slower_path_is_waited_for)
{
	submit_number(0, 0, T0);
	submit_number(1, 1, T0);
	submit_number(0, 3, T0);
	ck_assert_tunnel(0, 1);
	ck_assert_int_gt(deadline(), T0);
	submit_number(1, 2, T0);
	ck_assert_tunnel(0, 1, 2, 3);
	ck_assert_int_eq(deadline(), NSEC_NEVER);
}
END_TEST

/* Both paths up, to another vtrunkd: what is missing may be asked for. */
static void allow_repair(void)
{
	struct path_set *set = (struct path_set *)rcu_own(&bond->paths);

	set->is_multilink = true;
	for (unsigned i = 0; i < set->n; i++)
		set->entries[i].state = HEALTH_UP;
}

START_TEST(sparse_flow_does_not_wait_for_others)
{
	uint32_t numbers[64];

	allow_repair();
	submit_number(0, 0, T0);
	submit_number(1, 1, T0);
	submit_number(0, 3, T0);
	ck_assert_tunnel(0, 1, 3);
	submit_number(1, 2, T0 + NSEC_PER_MSEC);
	ck_assert_tunnel(0, 1, 3, 2);
	/* Many packets in a short time are no sparse flow: their order is kept. */
	for (uint32_t i = 4; i < 50; i++)
		submit_number(0, i, T0 + 2 * NSEC_PER_MSEC);
	submit_number(1, 50, T0 + 2 * NSEC_PER_MSEC);
	submit_number(0, 52, T0 + 2 * NSEC_PER_MSEC);
	ck_assert_uint_eq(read_tunnel(numbers, 64), 51);
	submit_number(1, 51, T0 + 3 * NSEC_PER_MSEC);
	ck_assert_uint_eq(read_tunnel(numbers, 64), 53);
}
END_TEST

START_TEST(deadline_releases_what_is_held)
{
	submit_number(0, 0, T0);
	submit_number(1, 1, T0);
	submit_number(0, 3, T0);
	lane_expire(bond, &delivery, deadline() - 1);
	ck_assert_tunnel(0, 1);
	lane_expire(bond, &delivery, deadline());
	ck_assert_tunnel(0, 1, 3);
	ck_assert_int_eq(deadline(), NSEC_NEVER);
	submit_number(1, 2, T0 + NSEC_PER_SEC);
	ck_assert_tunnel(0, 1, 3, 2);
}
END_TEST

START_TEST(copy_is_not_delivered_but_counted_for_its_path)
{
	submit_number(0, 0, T0);
	submit_number(1, 0, T0);
	ck_assert_tunnel(0);
	ck_assert_uint_eq(drops_of(DROP_rx_duplicate), 1);
	ck_assert_uint_eq(atomic_load(&path(1)->duplicates), 1);
	ck_assert_uint_eq(atomic_load(&path(1)->received.packets), 1);
	ck_assert_uint_eq(atomic_load(&bond->inner_received.packets), 1);
}
END_TEST

/* 2 was lost on both paths: what both have passed need not be waited for. */
START_TEST(copy_proves_a_loss)
{
	submit_number(0, 0, T0);
	submit_number(1, 0, T0);
	submit_number(0, 1, T0);
	submit_number(0, 3, T0);
	ck_assert_tunnel(0, 1);
	submit_number(1, 3, T0);
	ck_assert_tunnel(0, 1, 3);
}
END_TEST

START_TEST(replay_from_elsewhere_is_dropped_without_a_trace)
{
	submit_number(0, 0, T0);
	atomic_store(&bond->peer.sent_since, T0);
	submit_number(PATH_SLOT_NONE, 0, T0 + 1);
	ck_assert_tunnel(0);
	ck_assert_uint_eq(drops_of(DROP_rx_replay), 1);
	/* ... nor may it pass for a sign of life. */
	ck_assert_int_eq(atomic_load(&bond->peer.last_received), T0);
	ck_assert_int_eq(atomic_load(&bond->peer.sent_since), T0);
}
END_TEST

START_TEST(counter_behind_the_window_is_dropped)
{
	submit_number(0, REPLAY_BITS + 1, T0);
	submit_number(0, 0, T0);
	ck_assert_tunnel(REPLAY_BITS + 1);
	ck_assert_uint_eq(drops_of(DROP_rx_replay), 1);
}
END_TEST

START_TEST(inner_source_of_another_peer_is_dropped_but_keeps_its_place)
{
	uint8_t packet[64];
	size_t len = make_packet(packet, 1, 1);

	submit_number(0, 0, T0);
	submit_payload(0, 1, packet, len);
	submit_number(0, 2, T0);
	ck_assert_tunnel(0, 2);
	ck_assert_uint_eq(drops_of(DROP_rx_source_not_allowed), 1);
}
END_TEST

START_TEST(payload_that_is_no_packet_is_dropped_but_keeps_its_place)
{
	uint8_t packet[64];
	size_t len = make_packet(packet, 0, 1);

	submit_number(0, 0, T0);
	submit_payload(0, 1, packet, len - 1);
	submit_payload(0, 2, "\x50", 1);
	submit_number(0, 3, T0);
	ck_assert_tunnel(0, 3);
	ck_assert_uint_eq(drops_of(DROP_rx_not_ip), 2);
}
END_TEST

START_TEST(padding_is_cut_off)
{
	uint8_t packet[64] = {0};
	size_t len = make_packet(packet, 0, 7);

	submit_payload(0, 0, packet, 48);
	ck_assert_tunnel(7); /* read_tunnel() would stumble over more bytes than the header says */
	ck_assert_uint_eq(atomic_load(&bond->inner_received.bytes), len);
}
END_TEST

START_TEST(keepalive_delivers_nothing_and_is_no_data)
{
	submit_payload(0, 0, "", 0);
	submit_number(0, 1, T0);
	ck_assert_tunnel(1);
	ck_assert_int_eq(atomic_load(&bond->peer.last_received), T0);
}
END_TEST

START_TEST(keepalive_alone_begins_no_wait_for_an_answer)
{
	submit_payload(0, 0, "", 0);
	ck_assert_int_eq(atomic_load(&bond->peer.received_since), 0);
	submit_number(0, 1, T0);
	ck_assert_int_eq(atomic_load(&bond->peer.received_since), T0);
}
END_TEST

START_TEST(held_keepalive_keeps_its_place)
{
	submit_number(0, 0, T0);
	submit_number(1, 1, T0);
	submit_payload(0, 3, "", 0);
	submit_number(0, 4, T0);
	ck_assert_tunnel(0, 1);
	submit_number(1, 2, T0);
	ck_assert_tunnel(0, 1, 2, 4);
	ck_assert_uint_eq(pool_available(net.cells), HANDMADE_CELLS);
}
END_TEST

static struct probe *make_probe(struct timerq *timers)
{
	static struct resolver *resolver;
	const struct probe_context context = {&net, timers, &resolver};
	struct probe *p;

	timerq_init(timers);
	ck_assert_int_eq(probe_new(&p, &context, bond, T0), 0);
	bond->probe = p;
	return p;
}

static void free_probe(struct timerq *timers)
{
	probe_free(bond->probe);
	bond->probe = NULL;
	timerq_deinit(timers);
}

START_TEST(control_frame_reaches_the_monitor)
{
	const struct frame ping = {.type = FRAME_PING, .ping = {.number = 1, .path_id = 9}};
	struct timerq timers;
	struct probe *p = make_probe(&timers);
	uint8_t payload[FRAME_PACKET_MAX];
	int len = frame_write(&ping, payload, sizeof(payload));

	submit_payload(PATH_SLOT_NONE, 0, payload, (size_t)len);
	ck_assert_uint_eq(read_tunnel(NULL, 0), 0);
	monitor_work(net.monitor, T0);
	ck_assert(p->is_multilink);
	ck_assert_uint_eq(p->paths[0]->remote_id, 9);
	free_probe(&timers);
}
END_TEST

START_TEST(packet_of_pings_is_answered_once)
{
	const struct frame hello = {.type = FRAME_HELLO, .hello = {.path_id = 9, .weight = 1}};
	const struct frame ping = {.type = FRAME_PING, .ping = {.number = 1, .path_id = 9}};
	uint8_t payload[FRAME_PACKET_MAX];
	size_t len = 0;

	for (int i = 0; i < 5; i++)
		len += (size_t)frame_write(i ? &ping : &hello, payload + len,
					   sizeof(payload) - len);
	submit_payload(0, 0, payload, len);
	ck_assert_uint_eq(atomic_load(&bond->events_queued), 2);
	ck_assert_uint_eq(drops_of(DROP_rx_bad_frame), 3);
	submit_payload(0, 1, payload, len);
	ck_assert_uint_eq(atomic_load(&bond->events_queued), 4);
}
END_TEST

START_TEST(malformed_control_frame_is_counted)
{
	submit_payload(0, 0, "\x01\x02\x00\x09", 4);
	ck_assert_uint_eq(drops_of(DROP_rx_bad_frame), 1);
}
END_TEST

START_TEST(control_packet_is_looked_at_as_far_as_its_limit)
{
	uint8_t payload[FRAME_PACKET_MAX + 20] = {0};
	const struct frame ping = {.type = FRAME_PING, .ping = {.number = 1, .path_id = 9}};
	struct timerq timers;
	struct probe *p = make_probe(&timers);

	/* A frame that reaches beyond it is malformed, one behind it is not seen. */
	payload[0] = FRAME_VERSION;
	payload[1] = 99;
	payload[2] = FRAME_PACKET_MAX >> 8;
	submit_payload(0, 0, payload, sizeof(payload));
	ck_assert_uint_eq(drops_of(DROP_rx_bad_frame), 1);
	memset(payload, 0, sizeof(payload));
	ck_assert_int_gt(frame_write(&ping, payload, sizeof(payload)), 0);
	submit_payload(0, 1, payload, sizeof(payload));
	monitor_work(net.monitor, T0);
	ck_assert(p->is_multilink);
	ck_assert_uint_eq(drops_of(DROP_rx_bad_frame), 1);
	free_probe(&timers);
}
END_TEST

START_TEST(new_source_is_told_to_the_monitor)
{
	struct timerq timers;
	struct probe *p = make_probe(&timers);

	submit_number(PATH_SLOT_NONE, 0, T0);
	monitor_work(net.monitor, T0);
	ck_assert_ptr_nonnull(p->paths[0]);
	ck_assert(leads_to(p->paths[0], "192.0.2.1"));
	free_probe(&timers);
}
END_TEST

/* Else whoever has recorded a datagram could lead the traffic to himself with it. */
START_TEST(source_of_a_replay_is_not_believed)
{
	struct timerq timers;
	struct probe *p = make_probe(&timers);
	struct burst *replay;

	submit_number(PATH_SLOT_NONE, 0, T0);
	monitor_work(net.monitor, T0);
	replay = make_burst(PATH_SLOT_NONE, T0);
	replay->from = endpoint_of("203.0.113.66");
	add_number(replay, 0);
	submit(replay);
	monitor_work(net.monitor, T0);
	ck_assert(leads_to(p->paths[0], "192.0.2.1"));
	free_probe(&timers);
}
END_TEST

/* A packet as large as the MTU, in a cell beside that of another one. */
START_TEST(large_packets_are_held_whole)
{
	struct virtio_net_hdr *written;
	uint8_t packet[1600], out[2 * sizeof(packet) + 2 * sizeof(*written)];
	size_t len = settings.mtu;
	size_t record = sizeof(*written) + len;

	memset(packet, 0xee, sizeof(packet));
	make_packet(packet, 0, 3);
	((struct ipv4_header *)packet)->total_length = be16_make((uint16_t)len);
	submit_number(0, 0, T0);
	submit_number(1, 1, T0);
	submit_payload(0, 3, packet, len);
	submit_payload(0, 4, packet, len);
	ck_assert_tunnel(0, 1);
	ck_assert_int_eq(ftruncate(net.tun.fd, 0), 0);
	lseek(net.tun.fd, 0, SEEK_SET);
	lane_expire(bond, &delivery, deadline());
	ck_assert_int_eq(pread(net.tun.fd, out, sizeof(out), 0), 2 * (ssize_t)record);
	ck_assert_mem_eq(out + sizeof(*written), packet, len);
	ck_assert_mem_eq(out + record + sizeof(*written), packet, len);
}
END_TEST

/* Without cells nothing can be held: then the order suffers, but nothing is lost. */
START_TEST(nothing_is_lost_when_there_are_no_cells)
{
	void *cells[HANDMADE_CELLS];

	submit_number(0, 0, T0);
	submit_number(1, 1, T0);
	submit_number(0, 5, T0);
	for (unsigned i = 0; i < HANDMADE_CELLS - 1; i++)
		cells[i] = pool_take(net.cells);
	submit_number(0, 4, T0);
	ck_assert_tunnel(0, 1, 4, 5);
	submit_number(1, 2, T0);
	submit_number(1, 3, T0);
	ck_assert_tunnel(0, 1, 4, 5, 2, 3);
	for (unsigned i = 0; i < HANDMADE_CELLS - 1; i++)
		pool_give(net.cells, cells[i]);
}
END_TEST

START_TEST(packets_of_the_next_session_follow)
{
	submit_number(0, 0, T0);
	session = begin_session(bond, T0);
	submit_number(0, 0, T0);
	submit_number(0, 1, T0);
	submit_number(0, 2, T0);
	ck_assert_tunnel(0, 0, 1, 2);
}
END_TEST

START_TEST(what_is_queued_and_held_is_given_back_in_the_end)
{
	struct burst *b;

	submit_number(0, 0, T0);
	submit_number(1, 1, T0);
	submit_number(0, 3, T0);
	atomic_store(&bond->lane.is_taken, true); /* by a worker that never came back */
	b = make_burst(1, T0);
	add_number(b, 2);
	submit(b);
	ck_assert_tunnel(0, 1);
	/* teardown() checks the pools */
}
END_TEST

START_TEST(refused_packet_is_counted)
{
	int fd = net.tun.fd;

	net.tun.fd = -1;
	submit_number(0, 0, T0);
	net.tun.fd = fd;
	ck_assert_uint_eq(drops_of(DROP_rx_tun_write), 1);
}
END_TEST

/* Two workers on two paths, each with every other few packets. */
struct submitter {
	struct thread thread;
	struct delivery delivery;
	uint8_t slot;
	_Atomic uint32_t at; /* all its packets before this one are submitted */
	struct submitter *other;
	unsigned seed;
};

/* Which of the two carries packet i: runs of up to 40 packets. */
static uint8_t carrier[MANY];

static void deal_packets(unsigned seed)
{
	uint8_t who = 0;

	for (uint32_t i = 2; i < MANY;) {
		uint32_t run = (uint32_t)rand_r(&seed) % 40 + 1;

		for (; run && i < MANY; run--)
			carrier[i++] = who;
		who = !who;
	}
}

static struct burst *next_burst(struct submitter *s, uint32_t *at, unsigned datagrams)
{
	struct burst *b = NULL;

	for (; *at < MANY && datagrams; (*at)++) {
		if (carrier[*at] != s->slot)
			continue;
		if (!b)
			b = make_burst(s->slot, T0);
		add_number(b, *at);
		datagrams--;
	}
	return b;
}

static void run_submitter(void *arg)
{
	struct submitter *s = arg;
	uint32_t at = 2;

	while (at < MANY) {
		struct burst *first = NULL;
		struct burst *last = NULL;

		for (int i = rand_r(&s->seed) % 3; i >= 0; i--) {
			struct burst *b = next_burst(s, &at, (unsigned)rand_r(&s->seed) % 8 + 1);

			if (!b)
				continue;
			if (first)
				last->next = b;
			else
				first = b;
			last = b;
		}
		if (first)
			lane_submit(bond, &s->delivery, first, last, T0);
		atomic_store(&s->at, at);
		while (at < MANY && at > atomic_load(&s->other->at) + AHEAD_MAX)
			sched_yield();
	}
}

static void run_two_submitters(unsigned seed)
{
	struct submitter s[2] = {{.slot = 0, .other = &s[1], .seed = seed},
				 {.slot = 1, .other = &s[0], .seed = seed + 1}};

	deal_packets(seed);
	/* Both paths are known to be active before it begins. */
	submit_number(0, 0, T0);
	submit_number(1, 1, T0);
	for (int i = 0; i < 2; i++) {
		atomic_init(&s[i].at, 2);
		delivery_init(&s[i].delivery, &net);
	}
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(thread_start(&s[i].thread, "submitter", run_submitter, &s[i]), 0);
	for (int i = 0; i < 2; i++)
		thread_join(&s[i].thread);
}

START_TEST(packets_of_two_workers_leave_once_and_in_order)
{
	static uint32_t out[MANY];

	run_two_submitters((unsigned)_i * 100 + 1);
	ck_assert_uint_eq(read_tunnel(out, MANY), MANY);
	for (uint32_t i = 0; i < MANY; i++)
		ck_assert_uint_eq(out[i], i);
	ck_assert_ptr_null(atomic_load(&bond->lane.queue));
	ck_assert(!atomic_load(&bond->lane.is_taken));
	ck_assert_int_eq(deadline(), NSEC_NEVER);
	ck_assert_uint_eq(pool_available(net.bursts), HANDMADE_BURSTS);
	ck_assert_uint_eq(pool_available(net.cells), HANDMADE_CELLS);
}
END_TEST

/* Every packet over both paths: whoever is first delivers it. */
static void run_redundant(void *arg)
{
	struct submitter *s = arg;

	for (uint32_t at = 1; at < MANY; at++) {
		struct burst *b = make_burst(s->slot, T0);

		add_number(b, at);
		lane_submit(bond, &s->delivery, b, b, T0);
		atomic_store(&s->at, at);
		while (at > atomic_load(&s->other->at) + AHEAD_MAX / 2)
			sched_yield();
	}
	atomic_store(&s->at, MANY);
}

START_TEST(copies_of_two_workers_leave_once)
{
	static uint32_t out[MANY];
	struct submitter s[2] = {{.slot = 0, .other = &s[1]}, {.slot = 1, .other = &s[0]}};

	submit_number(0, 0, T0);
	submit_number(1, 0, T0);
	for (int i = 0; i < 2; i++) {
		delivery_init(&s[i].delivery, &net);
		ck_assert_int_eq(thread_start(&s[i].thread, "submitter", run_redundant, &s[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		thread_join(&s[i].thread);
	ck_assert_uint_eq(read_tunnel(out, MANY), MANY);
	for (uint32_t i = 0; i < MANY; i++)
		ck_assert_uint_eq(out[i], i);
	ck_assert_uint_eq(drops_of(DROP_rx_duplicate), MANY);
}
END_TEST

static void submit_in_thread(void *arg)
{
	lane_submit(bond, &delivery, arg, arg, T0);
}

/* A worker is stopped while it writes; what others queue in the meantime is its work too. */
START_TEST(holder_does_the_work_of_who_came_later)
{
	static uint8_t filler[4096];
	struct delivery other;
	struct thread thread;
	struct burst *b = make_burst(0, T0);
	int tunnel = net.tun.fd;
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(fcntl(ends[1], F_SETPIPE_SZ, sizeof(filler)), sizeof(filler));
	ck_assert_int_eq(write(ends[1], filler, sizeof(filler)), sizeof(filler));
	net.tun.fd = ends[1];
	add_number(b, 0);
	ck_assert_int_eq(thread_start(&thread, "holder", submit_in_thread, b), 0);
	while (!atomic_load(&bond->lane.is_taken) || atomic_load(&bond->lane.queue))
		sched_yield();
	delivery_init(&other, &net);
	b = make_burst(0, T0);
	add_number(b, 1);
	lane_submit(bond, &other, b, b, T0); /* does not wait */
	ck_assert_ptr_eq(atomic_load(&bond->lane.queue), b);
	ck_assert_int_eq(read(ends[0], filler, sizeof(filler)), sizeof(filler));
	thread_join(&thread);
	net.tun.fd = tunnel;
	ck_assert_uint_eq(atomic_load(&bond->inner_received.packets), 2);
	ck_assert_ptr_null(atomic_load(&bond->lane.queue));
	ck_assert(!atomic_load(&bond->lane.is_taken));
	close(ends[0]);
	close(ends[1]);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("lane");
	TCase *plain = tcase_create("without paths");
	TCase *paths = tcase_create("with paths");
	TCase *large = tcase_create("large packets");
	TCase *threads = tcase_create("threads");

	tcase_add_checked_fixture(plain, setup, teardown);
	tcase_add_test(plain, control_frame_reaches_the_monitor);
	tcase_add_test(plain, control_packet_is_looked_at_as_far_as_its_limit);
	tcase_add_test(plain, new_source_is_told_to_the_monitor);
	tcase_add_test(plain, source_of_a_replay_is_not_believed);
	suite_add_tcase(s, plain);

	tcase_add_checked_fixture(paths, setup_paths, teardown_paths);
	tcase_add_test(paths, packets_of_a_burst_are_delivered_in_order);
	tcase_add_test(paths, chain_is_taken_oldest_first);
	tcase_add_test(paths, datagram_that_is_not_authentic_is_skipped);
	tcase_add_test(paths, packet_from_the_slower_path_is_waited_for);
	tcase_add_test(paths, deadline_releases_what_is_held);
	tcase_add_test(paths, copy_is_not_delivered_but_counted_for_its_path);
	tcase_add_test(paths, copy_proves_a_loss);
	tcase_add_test(paths, sparse_flow_does_not_wait_for_others);
	tcase_add_test(paths, replay_from_elsewhere_is_dropped_without_a_trace);
	tcase_add_test(paths, counter_behind_the_window_is_dropped);
	tcase_add_test(paths, inner_source_of_another_peer_is_dropped_but_keeps_its_place);
	tcase_add_test(paths, payload_that_is_no_packet_is_dropped_but_keeps_its_place);
	tcase_add_test(paths, padding_is_cut_off);
	tcase_add_test(paths, keepalive_delivers_nothing_and_is_no_data);
	tcase_add_test(paths, keepalive_alone_begins_no_wait_for_an_answer);
	tcase_add_test(paths, held_keepalive_keeps_its_place);
	tcase_add_test(paths, packet_of_pings_is_answered_once);
	tcase_add_test(paths, malformed_control_frame_is_counted);
	tcase_add_test(paths, nothing_is_lost_when_there_are_no_cells);
	tcase_add_test(paths, packets_of_the_next_session_follow);
	tcase_add_test(paths, what_is_queued_and_held_is_given_back_in_the_end);
	tcase_add_test(paths, refused_packet_is_counted);
	suite_add_tcase(s, paths);

	tcase_add_checked_fixture(large, setup_large, teardown_paths);
	tcase_add_test(large, large_packets_are_held_whole);
	suite_add_tcase(s, large);

	tcase_add_checked_fixture(threads, setup_paths, teardown_paths);
	tcase_set_timeout(threads, 100);
	tcase_add_loop_test(threads, packets_of_two_workers_leave_once_and_in_order, 0, 4);
	tcase_add_test(threads, copies_of_two_workers_leave_once);
	tcase_add_test(threads, holder_does_the_work_of_who_came_later);
	suite_add_tcase(s, threads);
	return s;
}
