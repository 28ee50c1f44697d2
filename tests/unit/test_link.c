/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Links with their worker threads, sending to each other over the loopback device. */
#include "check_main.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

#include "links/link.h"
#include "wire/wg.h"

#define CELLS 512 /* all workers may hold a whole batch */
#define QUEUE 32
#define BURST_BYTES 4096
#define MANY 20000
/* Datagrams on their way at a time: no more than the smallest receive buffer holds. */
#define IN_FLIGHT_MAX 100
/* In a datagram, behind the type: what is no data may be taken for a flood. */
#define NUMBER_AT sizeof(struct le32)

/* A link, and what its worker told. */
struct end {
	struct link link;
	struct link_settings settings;
	bool is_running;
	/* whoever delivers */
	uint32_t last; /* number received */
	/* atomic */
	_Atomic uint32_t n_received; /* datagrams */
	_Atomic uint32_t n_disorder;
	_Atomic uint32_t last_seen;
	_Atomic bool is_delivering;
	_Atomic uint32_t n_batches;
	_Atomic uint32_t n_failed;
	_Atomic uint32_t failed_path;
	_Atomic int failed_error;
	_Atomic nsec_t wake_after; /* 0: never */
	sem_t room;
};

static struct pool *pool;
static struct end near, remote;
static uint32_t n_workers;

static struct burst *received(void *ctx, struct link_worker *w, struct burst *b)
{
	struct end *e = ctx;

	ck_assert_ptr_eq(w->link, &e->link);
	ck_assert_ptr_eq(b->link, w->link);
	/* so that one that came later is often ready first */
	if (n_workers > 1 && burst_datagram(b, 0)[NUMBER_AT] % 3 == 0)
		sched_yield();
	b->next = NULL;
	return b;
}

/* In order and by one at a time, whatever the number of workers. */
static void deliver(void *ctx, struct link_worker *w, struct burst *b, nsec_t now)
{
	struct end *e = ctx;
	struct burst *next;
	uint32_t number;

	(void)w;
	(void)now;
	ck_assert(!atomic_exchange(&e->is_delivering, true));
	for (; b; b = next) {
		next = b->next;
		for (uint32_t i = 0; i < b->n; i++) {
			memcpy(&number, burst_datagram(b, i) + NUMBER_AT, sizeof(number));
			if (number <= e->last)
				atomic_fetch_add(&e->n_disorder, 1);
			e->last = number;
		}
		atomic_store(&e->last_seen, e->last);
		atomic_fetch_add(&e->n_received, b->n);
		burst_put(b);
	}
	atomic_store(&e->is_delivering, false);
}

static nsec_t batch_done(void *ctx, struct link_worker *w, nsec_t now)
{
	struct end *e = ctx;
	nsec_t after = atomic_load(&e->wake_after);

	(void)w;
	atomic_fetch_add(&e->n_batches, 1);
	return after ? now + after : NSEC_NEVER;
}

static void failed(void *ctx, struct link *l, uint32_t path_id, int error)
{
	struct end *e = ctx;

	(void)l;
	atomic_store(&e->failed_path, path_id);
	atomic_store(&e->failed_error, error);
	atomic_fetch_add(&e->n_failed, 1);
}

static void has_room(void *ctx, struct link *l)
{
	struct end *e = ctx;

	(void)l;
	sem_post(&e->room);
}

static const struct link_sizes sizes = {.receive_batch = UDP_BATCH, .queue = QUEUE};

static const struct link_calls calls = {
	.received = received,
	.deliver = deliver,
	.batch_done = batch_done,
	.failed = failed,
	.has_room = has_room,
};

static void init_end(struct end *e, uint32_t number)
{
	memset(e, 0, sizeof(*e));
	strcpy(e->settings.name, "test");
	e->settings.workers = n_workers;
	ck_assert_int_eq(addr_parse(&e->settings.bind, "127.0.0.1", 0), 0);
	sem_init(&e->room, 0, 0);
	ck_assert_int_eq(
		link_init(&e->link, number, &e->settings, pool, BURST_BYTES, &sizes, &calls, e), 0);
}

static void setup_with(uint32_t workers)
{
	n_workers = workers;
	ck_assert_int_eq(pool_new(&pool, CELLS, sizeof(struct burst) + BURST_BYTES_MAX + 64), 0);
	init_end(&near, 0);
	init_end(&remote, 1);
}

static void setup(void)
{
	setup_with(1);
}

static void setup_several(void)
{
	setup_with(3);
}

static void stop(struct end *e)
{
	if (e->is_running)
		link_stop(&e->link);
	e->is_running = false;
}

static void teardown(void)
{
	stop(&near);
	stop(&remote);
	link_deinit(&near.link);
	link_deinit(&remote.link);
	sem_destroy(&near.room);
	sem_destroy(&remote.room);
	ck_assert_uint_eq(pool_available(pool), CELLS);
	pool_free(pool);
}

static void start(struct end *e)
{
	ck_assert_int_eq(link_start(&e->link), 0);
	e->is_running = true;
}

/* Gives the link a socket of its own; returns where it is. */
static struct endpoint open_end(struct end *e)
{
	struct endpoint at = {0};
	struct udp_socket u;

	ck_assert_int_eq(udp_open(&u, &e->settings, AF_UNSPEC, BURST_BYTES), 0);
	udp_local_addr(&u, &at.remote);
	ck_assert_int_eq(link_set_socket(&e->link, &u), 0);
	return at;
}

/* A burst of numbered datagrams of data, the first number being `first`. */
static struct burst *make_burst(uint32_t first, uint32_t n, uint32_t stride)
{
	const struct le32 type = le32_make(MESSAGE_DATA);
	struct burst *b = burst_take(pool);

	ck_assert_ptr_nonnull(b);
	b->stride = stride;
	b->n = n;
	b->len = n * stride;
	for (uint32_t i = 0; i < n; i++, first++) {
		memcpy(burst_datagram(b, i), &type, sizeof(type));
		memcpy(burst_datagram(b, i) + NUMBER_AT, &first, sizeof(first));
	}
	return b;
}

static bool push(struct end *e, struct burst *b, const struct endpoint *to)
{
	bool is_pushed = link_push(&e->link, b, to, 5);

	burst_put(b);
	return is_pushed;
}

static uint64_t dropped(struct end *e, enum drop_reason reason)
{
	return drops_get(&e->link.drops, reason);
}

/* Waits for what the workers do; the test's own timeout ends it if they don't. */
#define wait_until(condition)                                                                      \
	do {                                                                                       \
		while (!(condition))                                                               \
			sched_yield();                                                             \
	} while (0)

START_TEST(full_ring_refuses)
{
	const struct endpoint to = {0};
	struct burst *b = make_burst(1, 1, 10);

	for (int i = 0; i < QUEUE; i++)
		ck_assert(link_push(&near.link, b, &to, 0));
	ck_assert(!link_push(&near.link, b, &to, 0));
	ck_assert_uint_eq(atomic_load(&b->refs), QUEUE + 1);
	ck_assert(!link_has_room(&near.link));
	burst_put(b);
	link_deinit(&near.link);
	ck_assert_uint_eq(dropped(&near, DROP_tx_link_down), QUEUE);
	init_end(&near, 0);
}
END_TEST

START_TEST(queue_is_short_in_bytes_too)
{
	const struct endpoint to = {0};
	unsigned n = 0;

	while (link_has_room(&near.link)) {
		ck_assert(push(&near, make_burst(1, 1, BURST_BYTES_MAX), &to));
		n++;
	}
	ck_assert_uint_eq(n, (LINK_QUEUE_BYTES + BURST_BYTES_MAX - 1) / BURST_BYTES_MAX);
}
END_TEST

/* Whatever data queues up, a ping, an answer or a handshake message still gets in. */
START_TEST(full_of_data_still_takes_control_messages)
{
	const struct endpoint to = {0};

	while (link_has_room(&near.link))
		ck_assert(push(&near, make_burst(1, 1, 10), &to));
	ck_assert(push(&near, make_burst(1, 1, 10), &to));
}
END_TEST

START_TEST(without_a_socket_it_drops_and_counts)
{
	const struct endpoint to = {0};

	start(&near);
	for (int i = 0; i < 10; i++)
		ck_assert(push(&near, make_burst(1, 3, 10), &to));
	wait_until(dropped(&near, DROP_tx_link_down) == 30);
	ck_assert_uint_eq(atomic_load(&near.n_failed), 0);
}
END_TEST

static void send_numbers(uint32_t n_datagrams, uint32_t per_burst)
{
	struct endpoint to = open_end(&remote);
	uint32_t next = 1;

	open_end(&near);
	start(&remote);
	start(&near);
	while (next <= n_datagrams) {
		wait_until(next + per_burst <= atomic_load(&remote.n_received) + IN_FLIGHT_MAX);
		wait_until(link_has_room(&near.link));
		ck_assert(push(&near, make_burst(next, per_burst, 40), &to));
		next += per_burst;
	}
	wait_until(atomic_load(&remote.n_received) == next - 1);
	/* A worker counts a batch after it has dealt with it. */
	wait_until(atomic_load(&near.link.tx_datagrams) == next - 1);
	wait_until(atomic_load(&near.link.tx_bytes) == (next - 1) * 40);
	wait_until(atomic_load(&remote.link.rx_datagrams) == next - 1);
	wait_until(atomic_load(&remote.link.rx_bytes) == (next - 1) * 40);
}

START_TEST(order_is_kept)
{
	send_numbers(MANY, 1);
	ck_assert_uint_eq(atomic_load(&remote.n_disorder), 0);
}
END_TEST

START_TEST(order_is_kept_within_and_between_bursts)
{
	send_numbers(MANY, 30);
	ck_assert_uint_eq(atomic_load(&remote.n_disorder), 0);
}
END_TEST

START_TEST(what_gathers_in_the_socket_is_all_taken_in_order)
{
	link_set_round_trip(&remote.link, NSEC_PER_SEC);
	send_numbers(MANY / 4, 1);
	ck_assert_uint_eq(atomic_load(&remote.n_disorder), 0);
}
END_TEST

/* The worker is asleep: nobody but the pusher can have sent it. */
START_TEST(whoever_queues_sends_at_once)
{
	struct endpoint to = open_end(&remote);

	open_end(&near);
	start(&near);
	for (uint32_t i = 1; i <= 100; i++) {
		wait_until(atomic_load(&near.link.workers[0].waker.is_asleep));
		ck_assert(push(&near, make_burst(i, 1, 40), &to));
		ck_assert_uint_eq(atomic_load(&near.link.tx_datagrams), i);
	}
}
END_TEST

static void push_many(void *arg)
{
	const struct endpoint *to = arg;

	for (uint32_t i = 0; i < MANY; i++) {
		while (!push(&near, make_burst(i, 1, 10), to))
			sched_yield();
	}
}

START_TEST(nothing_is_left_behind_when_several_queue)
{
	struct endpoint to = open_end(&remote);
	struct thread threads[3];

	open_end(&near);
	start(&near);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(thread_start(&threads[i], "pusher", push_many, &to), 0);
	for (int i = 0; i < 3; i++)
		thread_join(&threads[i]);
	wait_until(atomic_load(&near.link.tx_datagrams) == 3 * MANY);
	ck_assert_uint_eq(atomic_load(&near.link.queued_bytes), 0);
}
END_TEST

static void wait_for_room(struct end *e)
{
	struct timespec limit;

	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 20;
	while (!link_has_room(&e->link)) {
		link_want_room(&e->link);
		if (link_has_room(&e->link))
			return;
		ck_assert_msg(sem_timedwait(&e->room, &limit) == 0, "nobody told of the room");
	}
}

/* As the TUN reader does it: full, ask, look again, sleep. */
START_TEST(whoever_waits_for_room_is_told)
{
	const struct endpoint to = {0};

	start(&near);
	for (uint32_t i = 0; i < MANY; i++) {
		wait_for_room(&near);
		ck_assert(push(&near, make_burst(i, 1, 10), &to));
	}
	wait_until(dropped(&near, DROP_tx_link_down) == MANY);
}
END_TEST

START_TEST(whoever_waits_for_room_is_told_while_it_sends)
{
	struct endpoint to = open_end(&remote);

	open_end(&near);
	start(&near); /* nobody receives, which hinders nobody */
	for (uint32_t i = 0; i < MANY; i++) {
		wait_for_room(&near);
		ck_assert(push(&near, make_burst(i, 1, 10), &to));
	}
	wait_until(atomic_load(&near.link.tx_datagrams) == MANY);
}
END_TEST

START_TEST(socket_is_replaced_under_traffic)
{
	struct endpoint to = open_end(&remote);
	uint32_t next = 1;

	open_end(&near);
	start(&remote);
	start(&near);
	for (int round = 0; round < 300; round++) {
		if (round % 3 == 2)
			ck_assert_int_eq(link_set_socket(&near.link, NULL), 0);
		else
			open_end(&near);
		for (int i = 0; i < 20; i++) {
			wait_until(link_has_room(&near.link));
			ck_assert(push(&near, make_burst(next++, 1, 40), &to));
		}
	}
	wait_until(atomic_load(&near.link.tx_datagrams) + dropped(&near, DROP_tx_link_down) ==
		   next - 1);
	ck_assert_uint_eq(atomic_load(&near.n_failed), 0);
	ck_assert_uint_eq(atomic_load(&remote.n_disorder), 0);
}
END_TEST

/* The ping that shows the peer the new port is sent before the worker knows of it. */
START_TEST(nothing_is_dropped_that_follows_a_new_socket)
{
	struct endpoint to = open_end(&remote);
	uint32_t next = 1;

	start(&remote);
	start(&near);
	while (next <= 300) {
		ck_assert_int_eq(link_set_socket(&near.link, NULL), 0);
		link_settle(&near.link);
		open_end(&near);
		ck_assert(push(&near, make_burst(next, 1, 40), &to));
		wait_until(atomic_load(&near.link.tx_datagrams) +
				   dropped(&near, DROP_tx_link_down) ==
			   next);
		next++;
	}
	ck_assert_uint_eq(dropped(&near, DROP_tx_link_down), 0);
}
END_TEST

/* Whichever worker waits at it just now. */
START_TEST(socket_is_replaced_while_it_receives)
{
	struct endpoint to;
	uint32_t next = 1;

	open_end(&near);
	start(&remote);
	start(&near);
	for (int round = 0; round < 200; round++) {
		to = open_end(&remote);
		link_settle(&remote.link);
		for (int i = 0; i < 20; i++) {
			wait_until(link_has_room(&near.link));
			ck_assert(push(&near, make_burst(next++, 1, 40), &to));
		}
		if (round % 2) /* else some are lost with the socket */
			wait_until(atomic_load(&remote.last_seen) == next - 1);
	}
	ck_assert_uint_eq(atomic_load(&remote.n_disorder), 0);
}
END_TEST

/* Whoever ends first may have been the one at the socket. */
START_TEST(link_stops_while_its_socket_is_replaced)
{
	for (int round = 0; round < 300; round++) {
		open_end(&near);
		start(&near);
		for (int i = round % 20; i > 0; i--)
			sched_yield();
		open_end(&near);
		stop(&near);
		link_deinit(&near.link);
		init_end(&near, 0);
	}
}
END_TEST

START_TEST(socket_that_was_never_taken_is_closed)
{
	open_end(&near);
	open_end(&near);
	ck_assert(atomic_load(&near.link.is_open));
	ck_assert_int_eq(link_set_socket(&near.link, NULL), 0);
	ck_assert(!atomic_load(&near.link.is_open));
	open_end(&near);
}
END_TEST

START_TEST(send_error_is_told_with_its_path)
{
	struct endpoint to = {0};

	/* not to be had from a loopback address */
	ck_assert_int_eq(addr_parse(&to.remote, "192.0.2.1:9", 0), 0);
	open_end(&near);
	start(&near);
	ck_assert(push(&near, make_burst(1, 3, 40), &to));
	wait_until(atomic_load(&near.n_failed) == 1);
	ck_assert_uint_eq(atomic_load(&near.failed_path), 5);
	ck_assert_int_ne(atomic_load(&near.failed_error), 0);
	ck_assert_int_eq(atomic_load(&near.link.last_error), atomic_load(&near.failed_error));
	ck_assert_uint_eq(dropped(&near, DROP_tx_send_error), 3);
}
END_TEST

/* All news of a network go through one queue. */
START_TEST(what_fails_on_and_on_is_told_now_and_then)
{
	struct endpoint to = {0};
	nsec_t begun = clock_now();
	uint32_t n = 0;

	ck_assert_int_eq(addr_parse(&to.remote, "192.0.2.1:9", 0), 0);
	open_end(&near);
	start(&near);
	do {
		wait_until(link_has_room(&near.link));
		ck_assert(push(&near, make_burst(1, 1, 40), &to));
		n++;
	} while (atomic_load(&near.n_failed) < 3);
	wait_until(dropped(&near, DROP_tx_send_error) == n);
	/* Not asked how fast: two of the three had to wait. */
	ck_assert_int_ge(clock_now() - begun, 2 * 50 * NSEC_PER_MSEC);
	ck_assert_uint_gt(n, 3);
}
END_TEST

START_TEST(datagram_too_long_is_no_fault_of_the_link)
{
	struct endpoint to = open_end(&remote);

	open_end(&near);
	start(&remote);
	start(&near);
	ck_assert(push(&near, make_burst(1, 1, BURST_BYTES_MAX + 1), &to));
	ck_assert(push(&near, make_burst(2, 1, 40), &to));
	wait_until(atomic_load(&remote.n_received) == 1);
	ck_assert_uint_eq(dropped(&near, DROP_tx_send_error), 1);
	ck_assert_uint_eq(atomic_load(&near.n_failed), 0);
}
END_TEST

START_TEST(receiving_goes_on_after_the_pool_was_empty)
{
	struct endpoint to = open_end(&remote);
	struct burst *taken[CELLS];
	unsigned n = 0;
	uint64_t n_tries;
	nsec_t began;

	open_end(&near);
	start(&near);
	ck_assert(push(&near, make_burst(1, 1, 40), &to));
	wait_until(atomic_load(&near.link.tx_datagrams) == 1);
	while ((taken[n] = burst_take(pool)))
		n++;
	start(&remote);
	/* While the first worker gets at the socket, the others are woken over and over. */
	link_settle(&remote.link);
	/* It tries again, at a moderate pace. */
	began = clock_now();
	n_tries = atomic_load(&remote.n_batches) + n_workers;
	wait_until(atomic_load(&remote.n_batches) >= n_tries + 10);
	ck_assert_int_ge(clock_now() - began, 8 * NSEC_PER_MSEC);
	ck_assert_uint_eq(atomic_load(&remote.n_received), 0);
	while (n)
		burst_put(taken[--n]);
	wait_until(atomic_load(&remote.n_received) == 1);
}
END_TEST

START_TEST(worker_wakes_up_when_it_was_told_to)
{
	atomic_store(&near.wake_after, NSEC_PER_MSEC);
	start(&near);
	wait_until(atomic_load(&near.n_batches) > 5);
}
END_TEST

static bool is_asleep(const struct link *l)
{
	for (uint32_t i = 0; i < l->n_workers; i++)
		if (!atomic_load(&l->workers[i].waker.is_asleep))
			return false;
	return true;
}

START_TEST(idle_worker_sleeps)
{
	uint32_t batches;

	open_end(&near);
	open_end(&remote);
	start(&near);
	wait_until(is_asleep(&near.link));
	batches = atomic_load(&near.n_batches);
	for (int i = 0; i < 1000; i++)
		sched_yield();
	ck_assert_uint_eq(atomic_load(&near.n_batches), batches);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_test(t, full_ring_refuses);
	tcase_add_test(t, queue_is_short_in_bytes_too);
	tcase_add_test(t, full_of_data_still_takes_control_messages);
	tcase_add_test(t, without_a_socket_it_drops_and_counts);
	tcase_add_test(t, order_is_kept);
	tcase_add_test(t, order_is_kept_within_and_between_bursts);
	tcase_add_test(t, what_gathers_in_the_socket_is_all_taken_in_order);
	tcase_add_test(t, whoever_queues_sends_at_once);
	tcase_add_test(t, nothing_is_left_behind_when_several_queue);
	tcase_add_test(t, whoever_waits_for_room_is_told);
	tcase_add_test(t, whoever_waits_for_room_is_told_while_it_sends);
	tcase_add_test(t, socket_is_replaced_under_traffic);
	tcase_add_test(t, nothing_is_dropped_that_follows_a_new_socket);
	tcase_add_test(t, socket_is_replaced_while_it_receives);
	tcase_add_test(t, link_stops_while_its_socket_is_replaced);
	tcase_add_test(t, socket_that_was_never_taken_is_closed);
	tcase_add_test(t, send_error_is_told_with_its_path);
	tcase_add_test(t, what_fails_on_and_on_is_told_now_and_then);
	tcase_add_test(t, datagram_too_long_is_no_fault_of_the_link);
	tcase_add_test(t, receiving_goes_on_after_the_pool_was_empty);
	tcase_add_test(t, worker_wakes_up_when_it_was_told_to);
	tcase_add_test(t, idle_worker_sleeps);
}

static Suite *make_suite(void)
{
	Suite *s = suite_create("link");
	TCase *one = tcase_create("link");
	TCase *several = tcase_create("link with several workers");

	tcase_add_checked_fixture(one, setup, teardown);
	add_tests(one);
	suite_add_tcase(s, one);
	tcase_add_checked_fixture(several, setup_several, teardown);
	add_tests(several);
	suite_add_tcase(s, several);
	return s;
}
