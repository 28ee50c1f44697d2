/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A network put together by hand: links without sockets, a memory file for the tunnel
 * interface, no threads, and sessions whose far end the test holds. Peer i owns 10.0.i.0/24.
 * Time is what the test says.
 */
#pragma once

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crypto/keys.h"
#include "dataplane/bonds.h"
#include "dataplane/delivery.h"
#include "dataplane/handshaker.h"
#include "dataplane/links.h"
#include "dataplane/network_state.h"
#include "dataplane/probe.h"
#include "dataplane/rx.h"
#include "dataplane/tx.h"
#include "peers/internal.h"
#include "util/thread.h"
#include "wire/ip.h"

/* A fuzzer, where Check does not run, has its own. */
#ifndef must
#define must(condition) ck_assert(condition)
#endif

#define T0 (1000 * NSEC_PER_SEC)
#define HANDMADE_PEERS 3
#ifndef HANDMADE_LINKS
#define HANDMADE_LINKS 3
#endif
#define HANDMADE_BURSTS 256
#define HANDMADE_BURST_BYTES 8192
#define HANDMADE_CELLS 256

static struct network net;
static struct broker_server *broker_server;
static struct network_settings settings;
static struct peer_settings peer_settings[HANDMADE_PEERS];
static struct link_settings link_settings[HANDMADE_LINKS];
/* The far ends of the sessions begun last: what they seal, our peer opens, and the reverse. */
static struct keypair *far[HANDMADE_PEERS];

static void fail_unexpectedly(void *ctx, const char *why)
{
	(void)ctx;
	(void)why;
	must(!"the network failed");
}

static inline void handmade_settings(size_t n_peers, size_t n_links)
{
	static struct prefix prefixes[HANDMADE_PEERS];

	memset(&settings, 0, sizeof(settings));
	memset(peer_settings, 0, sizeof(peer_settings));
	memset(link_settings, 0, sizeof(link_settings));
	strcpy(settings.name, "handmade");
	settings.mtu = 1420;
	settings.sizes = network_sizes_normal;
	settings.sizes.queue_buffers = settings.sizes.buffers / 2;
	settings.health = (struct health_settings){.interval = NSEC_PER_SEC,
						   .timeout = 5 * NSEC_PER_SEC,
						   .error_backoff = 5 * NSEC_PER_SEC,
						   .up = 3};
	settings.peers = peer_settings;
	settings.n_peers = n_peers;
	settings.links = link_settings;
	settings.n_links = n_links;
	for (size_t i = 0; i < n_links; i++) {
		snprintf(link_settings[i].name, sizeof(link_settings[i].name), "link %zu", i);
		link_settings[i].weight = 1;
	}
	for (size_t i = 0; i < n_peers; i++) {
		snprintf(peer_settings[i].name, sizeof(peer_settings[i].name), "peer %zu", i);
		prefixes[i] = (struct prefix){.family = AF_INET, .len = 24};
		prefixes[i].bytes[0] = 10;
		prefixes[i].bytes[2] = (uint8_t)i;
		peer_settings[i].allowed_ips = &prefixes[i];
		peer_settings[i].n_allowed_ips = 1;
	}
}

/* Between handmade_settings() and handmade_begin(). */
static inline void handmade_endpoint(size_t peer, const char *host, uint16_t port)
{
	static struct endpoint_name endpoints[HANDMADE_PEERS];
	struct endpoint_name *e = &endpoints[peer];

	snprintf(e->host, sizeof(e->host), "%s", host);
	e->port = port;
	peer_settings[peer].endpoint = e;
}

static void handmade_peers(void)
{
	struct noise_identity self;
	struct allowedip owners[HANDMADE_PEERS];
	struct allowedips *allowed_ips;
	uint8_t key[KEY_LEN];

	keys_generate(settings.private_key);
	noise_identity_set(&self, settings.private_key);
	must(device_new(&net.device, settings.private_key, &handshaker_device_calls, &net) == 0);
	must(network_reserve_bonds(&net, settings.n_peers) == 0);
	for (size_t i = 0; i < settings.n_peers; i++) {
		struct bond *bond;

		keys_generate(key);
		keys_public(peer_settings[i].public_key, key);
		must(bond_new(&bond, &net, &peer_settings[i], &self) == 0);
		must(device_insert_peer(net.device, &bond->peer, 0, false) == 0);
		network_add_bond(&net, bond);
		owners[i] = (struct allowedip){peer_settings[i].allowed_ips[0], bond};
	}
	must(allowedips_new(&allowed_ips, owners, settings.n_peers) == 0);
	rcu_publish(&net.allowed_ips, allowed_ips);
}

static void handmade_links(void)
{
	for (size_t i = 0; i < settings.n_links; i++) {
		struct link *l;

		must(network_link_new(&l, &net, (uint32_t)i, &link_settings[i]) == 0);
		net.links[i] = l;
	}
	net.n_links = settings.n_links;
}

/* After handmade_settings(), of which the test may change what it likes before. */
static inline void handmade_begin(void)
{
	must(thread_adopt() == 0);
	memset(&net, 0, sizeof(net));
	memset(far, 0, sizeof(far));
	net.settings = &settings;
	atomic_init(&net.mtu, settings.mtu);
	net.failed = fail_unexpectedly;
	must(broker_server_new(&broker_server, "/nonexistent", NULL, NULL) == 0);
	must(broker_new_direct(&net.broker, broker_server) == 0);
	net.burst_bytes = HANDMADE_BURST_BYTES;
	net.cell_room = sizeof(struct burst) + HANDMADE_BURST_BYTES + 64;
	net.cell_bytes = settings.mtu > 1500 ? settings.mtu : 1500;
	net.tun.fd = memfd_create("tunnel", MFD_CLOEXEC);
	net.tun.has_header = true;
	must(net.tun.fd >= 0);
	must(pool_new(&net.bursts, HANDMADE_BURSTS, net.cell_room) == 0);
	must(pool_new(&net.cells, HANDMADE_CELLS, delivery_cell_bytes(net.cell_bytes)) == 0);
	handmade_peers();
	handmade_links();
	must(tx_new(&net.tx, &net) == 0);
	must(handshaker_new(&net.handshaker, &net) == 0);
	must(monitor_new(&net.monitor, &net) == 0);
}

/* Takes it apart; every burst and cell must be back. */
static inline void handmade_end(void)
{
	monitor_free(net.monitor);
	tx_free(net.tx);
	broker_free(net.broker);
	broker_server_free(broker_server);
	for (size_t i = 0; i < net.n_links; i++)
		network_link_free(net.links[i]);
	for (size_t i = 0; i < net.n_bonds; i++) {
		device_unlink_peer(net.device, &net.bonds[i]->peer);
		rcu_drain();
		bond_free(net.bonds[i]);
	}
	for (size_t i = 0; i < HANDMADE_PEERS; i++)
		keypair_put(far[i]);
	handshaker_free(net.handshaker);
	allowedips_retire(rcu_own(&net.allowed_ips));
	rules_retire(rcu_own(&net.rules));
	rcu_drain();
	device_free(net.device);
	close(net.tun.fd);
	network_give_back_bursts(&net);
	must(pool_available(net.bursts) == pool_cells(net.bursts));
	must(pool_available(net.cells) == pool_cells(net.cells));
	pool_free(net.cells);
	pool_free(net.bursts);
	free(net.bonds);
	thread_disown();
}

/* A new session with the peer, to send and receive on; its far end is far[]. */
static inline struct keypair *begin_session(struct bond *bond, nsec_t now)
{
	struct noise_session_keys keys;
	struct keypair *k;
	uint32_t index;

	keys_random(&keys, sizeof(keys));
	must(index_take(&net.device->index, &bond->peer, &index) == 0);
	must(session_new(&k, &bond->peer, &keys, index, 7, now) == 0);
	session_add_initiated(&bond->peer, k);
	keypair_put(far[bond->number]);
	must(keypair_new(&far[bond->number], keys.recv, keys.send) == 0);
	far[bond->number]->remote_index = index;
	return k;
}

static inline struct endpoint endpoint_of(const char *remote)
{
	struct endpoint e = {0};

	must(addr_parse(&e.remote, remote, 51820) == 0);
	return e;
}

static inline bool leads_to(const struct probe_path *pp, const char *remote)
{
	struct endpoint e = endpoint_of(remote);

	return pp && addr_equal(&pp->to.remote, &e.remote);
}

/* Two paths over the first two links, to 192.0.2.1 and 192.0.2.2. */
static inline void make_two_paths(struct bond *bond)
{
	struct path_set *set = calloc(1, sizeof(*set));

	for (uint8_t i = 0; i < 2; i++) {
		struct path *p = aligned_alloc(_Alignof(struct path), sizeof(*p));

		memset(p, 0, sizeof(*p));
		p->id = i + 1U;
		p->slot = i;
		p->link = net.links[i];
		set->entries[i].path = p;
		set->entries[i].to = endpoint_of(i ? "192.0.2.2" : "192.0.2.1");
	}
	set->n = 2;
	rcu_publish(&bond->paths, set);
}

static inline void free_two_paths(struct bond *bond)
{
	struct path_set *set = rcu_own(&bond->paths);

	rcu_publish(&bond->paths, NULL);
	path_retire(set->entries[0].path);
	path_retire(set->entries[1].path);
	path_set_retire(set);
}

/* An inner packet of peer `i` with a number in it. Returns its length. */
static inline size_t make_packet(uint8_t *ret, size_t peer, uint32_t number)
{
	struct ipv4_header *ip = (struct ipv4_header *)ret;
	size_t len = sizeof(*ip) + sizeof(number);

	memset(ret, 0, len);
	ip->version_ihl = 0x45;
	ip->total_length = be16_make((uint16_t)len);
	ip->ttl = 64;
	ip->protocol = 253; /* RFC 3692: for experiments */
	ip->source[0] = 10;
	ip->source[2] = (uint8_t)peer;
	ip->source[3] = 1;
	memcpy(ip->destination, "\x0a\x63\x00\x01", 4);
	memcpy(ret + sizeof(*ip), &number, sizeof(number));
	return len;
}

/*
 * The numbers of the packets that came out of the tunnel interface, in their order; at most
 * `max`. Returns how many there were.
 */
static inline size_t read_tunnel(uint32_t *ret, size_t max)
{
	struct {
		struct virtio_net_hdr hdr;
		struct ipv4_header ip;
		uint32_t number;
	} __attribute__((packed)) packet;
	off_t at = 0;
	size_t n = 0;

	while (pread(net.tun.fd, &packet, sizeof(packet), at) == sizeof(packet)) {
		size_t len = be16_get(packet.ip.total_length);

		must(packet.hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE);
		must(packet.ip.version_ihl == 0x45);
		if (n < max)
			ret[n] = packet.number;
		n++;
		at += (off_t)(sizeof(packet.hdr) + len);
	}
	must(at == lseek(net.tun.fd, 0, SEEK_END));
	return n;
}

/* Out came just the packets of these numbers, in this order. */
#define ck_assert_tunnel(...)                                                                      \
	do {                                                                                       \
		const uint32_t expected_[] = {__VA_ARGS__};                                        \
		uint32_t out_[64] = {0};                                                           \
		size_t n_ = read_tunnel(out_, 64);                                                 \
                                                                                                   \
		ck_assert_uint_eq(n_, sizeof(expected_) / sizeof(expected_[0]));                   \
		ck_assert_mem_eq(out_, expected_, sizeof(expected_));                              \
	} while (0)

static inline uint64_t drops_of(enum drop_reason reason)
{
	return drops_get(&net.drops, reason);
}
