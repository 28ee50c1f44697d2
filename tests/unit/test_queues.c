/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Several queues of the interface, each with its reader, and one peer behind them all; or one
 * queue, which others read in the reader's place while it sleeps.
 */
#include "broker/server.h"
#include "check_main.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/aead.h"
#include "dataplane/outlet.h"
#include "handmade.h"
#include "tun/vnet.h"
#include "util/thread.h"

#define QUEUES 3
#define HELPERS 2
#define PACKETS 3000 /* of each queue */
#define EARLY 40     /* of each queue, before there is a session */
/* On their way at once: what the socket at the far end surely holds. */
#define WINDOW 90
#define ANSWERS 100
#define PATIENCE (10 * NSEC_PER_SEC)

static unsigned n_queues, n_links;
static int far_ends[QUEUES]; /* of the queues */
static int sink;	     /* where the peer is reached */
static _Atomic unsigned n_fed, n_received;
static _Atomic bool has_session;

static bool may_feed(unsigned number)
{
	if (!atomic_load(&has_session))
		return number < EARLY;
	return atomic_load(&n_fed) - atomic_load(&n_received) < WINDOW || number < EARLY;
}

/* As it is read from an interface. */
struct read_frame {
	struct virtio_net_hdr hdr;
	uint8_t packet[600];
};

/* Its length and destination are put in. */
static void feed_frame(unsigned queue, struct read_frame *frame, size_t len)
{
	struct ipv4_header *ip = (struct ipv4_header *)frame->packet;
	struct pollfd fd = {.fd = far_ends[queue], .events = POLLOUT};

	ip->total_length = be16_make((uint16_t)len);
	memcpy(ip->destination, "\x0a\x00\x00\x01", 4);
	while (poll(&fd, 1, -1) == 1 &&
	       send(fd.fd, frame, sizeof(frame->hdr) + len, MSG_DONTWAIT) < 0)
		continue;
	atomic_fetch_add(&n_fed, 1);
}

/* The next packet of a queue, of one flow, numbered; of sizes that end bursts now and then. */
static void feed_packet(unsigned queue, uint32_t number)
{
	struct read_frame frame = {0};

	make_packet(frame.packet, queue, number);
	feed_frame(queue, &frame, number % 7 ? sizeof(frame.packet) : 100 + number % 400);
}

static void *feed(void *arg)
{
	const int *end = arg;

	for (unsigned i = 0; i < PACKETS; i++) {
		while (!may_feed(i))
			poll(NULL, 0, 1);
		feed_packet((unsigned)(end - far_ends), i);
	}
	return NULL;
}

static void open_sink(void)
{
	struct addr a;
	socklen_t len = sizeof(a);
	const struct timeval patience = {.tv_sec = 10};

	must(addr_parse(&a, "127.0.0.1", 0) == 0);
	sink = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(bind(sink, &a.sa, addr_len(&a)) == 0);
	must(getsockname(sink, &a.sa, &len) == 0);
	must(setsockopt(sink, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
	handmade_endpoint(0, "127.0.0.1", addr_port(&a));
}

static void open_queues(void)
{
	int ends[2];

	close(net.tun.fd);
	for (unsigned i = 0; i < n_queues; i++) {
		must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
		*(i ? &net.more_queues[i - 1] : &net.tun.fd) = ends[0];
		far_ends[i] = ends[1];
	}
	net.n_more_queues = n_queues - 1;
	tx_free(net.tx);
	must(tx_new(&net.tx, &net) == 0);
}

static void setup(void)
{
	handmade_settings(1, n_links);
	for (unsigned i = 0; i < n_links; i++)
		must(addr_parse(&link_settings[i].bind, "127.0.0.1", 0) == 0);
	open_sink();
	handmade_begin();
	open_queues();
	must(monitor_prepare(net.monitor, clock_now()) == 0);
	must(monitor_start(net.monitor) == 0);
	for (unsigned i = 0; i < n_links; i++)
		must(link_start(net.links[i]) == 0);
	must(tx_start(net.tx) == 0);
	must(handshaker_start(net.handshaker) == 0);
	net.started.monitor = net.started.tx = net.started.handshaker = true;
	atomic_store(&n_fed, 0);
	atomic_store(&n_received, 0);
	atomic_store(&has_session, false);
}

static void setup_several(void)
{
	n_queues = QUEUES;
	n_links = 1;
	setup();
}

static void setup_one(void)
{
	n_queues = n_links = 1;
	setup();
}

static void setup_links(void)
{
	n_queues = 1;
	n_links = HANDMADE_LINKS;
	setup();
}

static void teardown(void)
{
	handshaker_stop(net.handshaker);
	tx_stop(net.tx);
	for (unsigned i = 0; i < n_links; i++)
		link_stop(net.links[i]);
	monitor_stop(net.monitor);
	for (unsigned i = 0; i < n_queues; i++)
		close(far_ends[i]);
	for (unsigned i = 0; i < net.n_more_queues; i++)
		close(net.more_queues[i]);
	handmade_end();
	close(sink);
}

static void begin(void *arg)
{
	(void)arg;
	begin_session(net.bonds[0], clock_now());
}

/* The next inner packet that the peer receives, of those that were fed. */
static const struct ipv4_header *receive(uint64_t *ret_counter)
{
	static uint8_t datagram[1500];

	for (;;) {
		struct wg_data *header = (struct wg_data *)datagram;
		struct aead_job job = {.dst = datagram + sizeof(*header),
				       .src = datagram + sizeof(*header)};
		ssize_t len = recv(sink, datagram, sizeof(datagram), 0);

		ck_assert_msg(len > 0, "%u of %u came", atomic_load(&n_received),
			      atomic_load(&n_fed));
		if (le32_get(header->type) != MESSAGE_DATA || (size_t)len <= MESSAGE_DATA_OVERHEAD)
			continue;
		*ret_counter = job.counter = le64_get(header->counter);
		job.len = (size_t)len - MESSAGE_DATA_OVERHEAD;
		ck_assert_uint_eq(aead_open(far[0]->recv, &job, 1), 1);
		if (job.dst[0] == 0x45)
			return (const struct ipv4_header *)job.dst;
	}
}

/* What waited for the session too: whoever takes it from the flow queues. */
static void carry_all(void)
{
	pthread_t feeders[QUEUES];
	uint32_t next[QUEUES] = {0};
	uint64_t last = 0;

	for (unsigned i = 0; i < n_queues; i++)
		must(pthread_create(&feeders[i], NULL, feed, &far_ends[i]) == 0);
	while (atomic_load(&n_fed) < n_queues * EARLY)
		poll(NULL, 0, 1);
	handshaker_send_errand(net.handshaker, begin, NULL);
	atomic_store(&has_session, true);
	tx_kick(net.tx);
	for (unsigned i = 0; i < n_queues * PACKETS; i++) {
		uint64_t counter;
		const struct ipv4_header *ip = receive(&counter);
		uint32_t number;

		memcpy(&number, ip + 1, sizeof(number));
		ck_assert_uint_lt(ip->source[2], n_queues);
		ck_assert_uint_eq(number, next[ip->source[2]]++);
		ck_assert(i == 0 || counter > last);
		last = counter;
		atomic_fetch_add(&n_received, 1);
	}
	for (unsigned i = 0; i < n_queues; i++) {
		struct queue_status status;

		pthread_join(feeders[i], NULL);
		tx_queue_status(net.tx, i, &status);
		ck_assert_uint_eq(status.packets, PACKETS);
	}
}

START_TEST(packets_of_all_queues_leave_once_and_in_order)
{
	carry_all();
}
END_TEST

static _Atomic bool is_over;

static void help(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !atomic_load(&is_over); i++) {
		if (tx_expect_answer(net.tx))
			tx_read_answer(net.tx);
		if (i % 8 == 0)
			poll(NULL, 0, 1);
	}
}

START_TEST(packets_that_others_read_leave_once_and_in_order)
{
	struct thread helpers[HELPERS];

	atomic_store(&is_over, false);
	for (unsigned i = 0; i < HELPERS; i++)
		must(thread_start(&helpers[i], "helper", help, NULL) == 0);
	carry_all();
	atomic_store(&is_over, true);
	for (unsigned i = 0; i < HELPERS; i++)
		thread_join(&helpers[i]);
}
END_TEST

static void read_answers(void *arg)
{
	struct pollfd fd = {.fd = sink, .events = POLLIN};

	(void)arg;
	for (unsigned i = 0; i < ANSWERS; i++) {
		nsec_t end = clock_now() + PATIENCE;
		const struct ipv4_header *ip;
		uint64_t counter;

		feed_packet(0, i);
		do
			if (tx_expect_answer(net.tx))
				tx_read_answer(net.tx);
		while (poll(&fd, 1, 1) == 0 && clock_now() < end);
		ip = receive(&counter);
		ck_assert_mem_eq(ip + 1, &i, sizeof(i));
		atomic_fetch_add(&n_received, 1);
	}
}

START_TEST(an_answer_is_read_while_the_reader_sleeps)
{
	struct thread worker;

	handshaker_send_errand(net.handshaker, begin, NULL);
	/* Then the reader does not watch the interface: it wakes up for nothing that comes. */
	atomic_store(&net.has_failed, true);
	tx_kick(net.tx);
	must(thread_start(&worker, "worker", read_answers, NULL) == 0);
	thread_join(&worker);
	ck_assert_uint_eq(atomic_load(&n_received), ANSWERS);
}
END_TEST

/* How often the reader's thread has gone to sleep so far. */
static unsigned count_sleeps(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;
	bool is_reader = false;
	unsigned n = 0;

	must(tasks != NULL);
	while (!is_reader && (task = readdir(tasks))) {
		char path[300];
		char line[128];
		FILE *status;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", task->d_name);
		status = fopen(path, "r");
		while (status && fgets(line, sizeof(line), status)) {
			is_reader |= strcmp(line, "Name:\tvt-tun\n") == 0;
			sscanf(line, "voluntary_ctxt_switches: %u", &n);
		}
		if (status)
			fclose(status);
	}
	closedir(tasks);
	must(is_reader);
	return n;
}

/* A worker writes something to which so many packets are the answer. */
static void answer(unsigned n_packets)
{
	uint64_t counter;

	while (!tx_expect_answer(net.tx))
		sched_yield();
	for (unsigned i = 0; i < n_packets; i++)
		feed_packet(0, i);
	/* Time enough for the reader, if it is woken. */
	poll(NULL, 0, 1);
	tx_read_answer(net.tx);
	for (unsigned i = 0; i < n_packets; i++)
		ck_assert_mem_eq(receive(&counter) + 1, &i, sizeof(i));
	atomic_fetch_add(&n_received, n_packets);
}

static void answer_singly(void *arg)
{
	unsigned before;

	(void)arg;
	answer(1);
	before = count_sleeps();
	for (unsigned i = 0; i < ANSWERS; i++)
		answer(1);
	/* The monitor may have something for it. */
	ck_assert_uint_lt(count_sleeps() - before, ANSWERS / 2);
}

static void answer_doubly(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ANSWERS; i++)
		answer(2);
}

static void run_worker(void (*run)(void *arg))
{
	struct thread worker;

	handshaker_send_errand(net.handshaker, begin, NULL);
	must(thread_start(&worker, "worker", run, NULL) == 0);
	thread_join(&worker);
}

START_TEST(an_answer_that_is_read_for_the_reader_does_not_wake_it)
{
	run_worker(answer_singly);
}
END_TEST

START_TEST(more_than_one_answer_wakes_the_reader)
{
	run_worker(answer_doubly);
}
END_TEST

/* Acknowledgements of a flow the other way are small, and no reason to hold back our own. */
START_TEST(bare_acknowledgement_is_no_small_packet)
{
	struct read_frame frame = {0};
	struct tcp_header *tcp = (struct tcp_header *)(frame.packet + sizeof(struct ipv4_header));
	const struct outlet *o;
	uint64_t counter;

	handshaker_send_errand(net.handshaker, begin, NULL);
	make_packet(frame.packet, 0, 0);
	frame.packet[9] = IPPROTO_TCP;
	tcp->data_offset = 5 << 4;
	tcp->flags = TCP_FLAG_ACK;
	feed_frame(0, &frame, sizeof(struct ipv4_header) + sizeof(*tcp));
	receive(&counter);
	o = atomic_load(&net.bonds[0]->outlet);
	ck_assert_int_eq(atomic_load(&o->spread->small_at), 0);
	tcp->flags |= TCP_FLAG_PSH;
	feed_frame(0, &frame, sizeof(struct ipv4_header) + sizeof(*tcp) + 1);
	receive(&counter);
	ck_assert_int_gt(atomic_load(&o->spread->small_at), 0);
}
END_TEST

/* What the links hold to receive into is not kept back from the flow queues once more. */
START_TEST(flow_queues_have_room_beside_links_that_receive)
{
	const size_t held = HANDMADE_LINKS * settings.sizes.link.receive_batch;
	nsec_t end = clock_now() + PATIENCE;
	struct queue_status status = {0};

	while (pool_available(net.bursts) > HANDMADE_BURSTS - held && clock_now() < end)
		poll(NULL, 0, 1);
	for (unsigned i = 0; i < EARLY; i++)
		feed_packet(0, i);
	while (status.packets < EARLY && clock_now() < end) {
		poll(NULL, 0, 1);
		tx_queue_status(net.tx, 0, &status);
	}
	handshaker_send_errand(net.handshaker, begin, NULL);
	tx_kick(net.tx);
	for (unsigned i = 0; i < EARLY; i++) {
		uint64_t counter;

		receive(&counter);
		atomic_fetch_add(&n_received, 1);
	}
	ck_assert_uint_eq(drops_get(&net.drops, DROP_tx_queue_full), 0);
}
END_TEST

static TCase *make_case(const char *name, void (*set_up)(void))
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, set_up, teardown);
	tcase_set_timeout(tc, 60);
	return tc;
}

static Suite *make_suite(void)
{
	Suite *s = suite_create("queues");
	TCase *several = make_case("several", setup_several);
	TCase *one = make_case("one", setup_one);
	TCase *links = make_case("several links", setup_links);

	tcase_add_test(several, packets_of_all_queues_leave_once_and_in_order);
	suite_add_tcase(s, several);
	tcase_add_test(one, packets_that_others_read_leave_once_and_in_order);
	tcase_add_test(one, bare_acknowledgement_is_no_small_packet);
	tcase_add_test(one, an_answer_is_read_while_the_reader_sleeps);
	tcase_add_test(one, an_answer_that_is_read_for_the_reader_does_not_wake_it);
	tcase_add_test(one, more_than_one_answer_wakes_the_reader);
	suite_add_tcase(s, one);
	tcase_add_test(links, flow_queues_have_room_beside_links_that_receive);
	suite_add_tcase(s, links);
	return s;
}
