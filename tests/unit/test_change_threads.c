/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Links and peers come and go while all threads of a network run, and packets are sent. */
#include "broker/server.h"
#include "check_main.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handmade.h"
#include "tun/vnet.h"

#define ROUNDS 60
#define PACKET_BYTES 600

static int far_end; /* of the tunnel interface */
static int sink;    /* where the peer is reached */
static pthread_t feeder;
static _Atomic bool is_over;
static _Atomic unsigned n_fed;

/* Blocks where the interface is not read. */
static void *feed(void *arg)
{
	struct {
		struct virtio_net_hdr hdr;
		uint8_t packet[PACKET_BYTES];
	} __attribute__((packed)) frame = {0};
	struct ipv4_header *ip = (struct ipv4_header *)frame.packet;

	(void)arg;
	make_packet(frame.packet, 0, 0);
	ip->total_length = be16_make(PACKET_BYTES);
	memcpy(ip->destination, "\x0a\x00\x00\x01", 4);
	while (!atomic_load(&is_over)) {
		struct pollfd fd = {.fd = far_end, .events = POLLOUT};

		if (poll(&fd, 1, 100) == 1 &&
		    send(far_end, &frame, sizeof(frame), MSG_DONTWAIT) > 0)
			atomic_fetch_add(&n_fed, 1);
	}
	return NULL;
}

static void open_sink(void)
{
	struct addr a;
	socklen_t len = sizeof(a);

	must(addr_parse(&a, "127.0.0.1", 0) == 0);
	sink = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(bind(sink, &a.sa, addr_len(&a)) == 0);
	must(getsockname(sink, &a.sa, &len) == 0);
	handmade_endpoint(0, "127.0.0.1", addr_port(&a));
}

static void open_tunnel(void)
{
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	close(net.tun.fd);
	net.tun.fd = ends[0];
	far_end = ends[1];
}

static void setup(void)
{
	handmade_settings(1, 2);
	for (size_t i = 0; i < 2; i++)
		must(addr_parse(&link_settings[i].bind, "127.0.0.1", 0) == 0);
	open_sink();
	handmade_begin();
	open_tunnel();
	must(monitor_prepare(net.monitor, clock_now()) == 0);
	begin_session(net.bonds[0], clock_now());
	must(monitor_start(net.monitor) == 0);
	for (size_t i = 0; i < net.n_links; i++)
		must(link_start(net.links[i]) == 0);
	must(tx_start(net.tx) == 0);
	must(handshaker_start(net.handshaker) == 0);
	net.started.monitor = net.started.tx = net.started.handshaker = true;
	atomic_store(&is_over, false);
	must(pthread_create(&feeder, NULL, feed, NULL) == 0);
}

static void teardown(void)
{
	atomic_store(&is_over, true);
	pthread_join(feeder, NULL);
	handshaker_stop(net.handshaker);
	tx_stop(net.tx);
	for (size_t i = net.n_links; i > 0; i--)
		if (net.links[i - 1])
			link_stop(net.links[i - 1]);
	monitor_stop(net.monitor);
	handmade_end();
	close(far_end);
	close(sink);
}

static void apply_link(const struct link_settings *s, bool is_removed)
{
	const struct link_change link = {.settings = *s, .is_removed = is_removed};
	const struct network_change change = {.links = &link, .n_links = 1};

	ck_assert_int_eq(network_change(&net, &change), 0);
}

static void apply_peer(struct peer_change *p, bool is_removed)
{
	const struct network_change change = {.peers = p, .n_peers = 1};

	p->is_removed = is_removed;
	ck_assert_int_eq(network_change(&net, &change), 0);
}

/* Every round waits for some packets, so that there is always something on its way. */
static void wait_for_packets(void)
{
	unsigned until = atomic_load(&n_fed) + 20;

	while ((int)(until - atomic_load(&n_fed)) > 0)
		poll(NULL, 0, 1);
}

START_TEST(links_come_and_go_under_load)
{
	struct link_settings extra = link_settings[1];

	strcpy(extra.name, "extra");
	for (unsigned i = 0; i < ROUNDS; i++) {
		wait_for_packets();
		apply_link(&extra, false);
		extra.weight = 1 + i % 7;
		apply_link(&extra, false);
		extra.fwmark = 0;
		link_settings[1].weight = 1 + i % 5;
		apply_link(&link_settings[1], i % 3 == 0);
		wait_for_packets();
		apply_link(&extra, true);
		apply_link(&link_settings[1], false);
	}
	ck_assert_uint_eq(net.n_bonds, 1);
}
END_TEST

START_TEST(peers_come_and_go_under_load)
{
	struct prefix_change allowed = {.prefix = {.family = AF_INET, .len = 24, .bytes = {10, 9}}};
	struct peer_change peer = {.has_endpoint = true,
				   .has_preshared_key = true,
				   .endpoint = *peer_settings[0].endpoint,
				   .allowed_ips = &allowed,
				   .n_allowed_ips = 1};
	uint8_t key[KEY_LEN];

	keys_generate(key);
	keys_public(peer.public_key, key);
	for (unsigned i = 0; i < ROUNDS; i++) {
		wait_for_packets();
		apply_peer(&peer, false);
		peer.preshared_key[0]++;
		apply_peer(&peer, false);
		wait_for_packets();
		apply_peer(&peer, true);
	}
	ck_assert_uint_eq(net.n_bonds, 1);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("change_threads");
	TCase *t = tcase_create("change_threads");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 100);
	tcase_add_test(t, links_come_and_go_under_load);
	tcase_add_test(t, peers_come_and_go_under_load);
	suite_add_tcase(s, t);
	return s;
}
