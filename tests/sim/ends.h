/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Two ends of a bond over a simulated network, with all that stands between two tunnel interfaces
 * but threads, sockets and pings: at the near end the choice of paths, path control, resend and
 * copies (dataplane/spread.h), sealing; at the far end opening, the receive lane with replay
 * window, resequencer, repair requests and reports. Data goes one way, from near to far.
 *
 * Both are bonds of one network made by hand. Path i of the near end is link i, of the far end link
 * ENDS_PATHS + i; so are the one-way paths of the simulated network numbered. What is given to a
 * link is on its way at once.
 */
#pragma once

#include <check.h>

#define ENDS_PATHS 3
#define HANDMADE_LINKS (2 * ENDS_PATHS)

/* Check's own writes a line for each claim that holds, of which there are many for each packet. */
#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg("%s", #condition);                                            \
	} while (0)

#include "../unit/handmade.h"
#include "dataplane/spread.h"
#include "simnet.h"

#define ENDS_FLOWS 8
#define ENDS_SENT_CELLS 64
#define ENDS_WAITING_MAX 64

enum { NEAR, FAR };

struct flow {
	size_t bytes;	 /* of its packets; 0: there is no such flow */
	nsec_t interval; /* from packet to packet; 0: as fast as they are taken */
	nsec_t next_send;
	uint32_t window; /* so many packets of a greedy one may be unacknowledged; 0: any */
	uint32_t n_acked;
	uint8_t binding;       /* BINDING_NONE; else it is greedy, ... */
	struct burst *waiting; /* ... and has a line of its own; NULL */
	/* counts */
	uint32_t n_sent, n_delivered, n_twice, n_disordered;
	uint32_t next_number;
	nsec_t longest, total; /* time on the way */
	uint8_t *has_come;     /* by number */
	size_t room;
};

/* A datagram on its way. */
struct flying {
	unsigned path;
	uint32_t len;
	uint8_t data[];
};

static struct {
	struct simnet *net;
	struct spread *spread;
	struct sparse *urgent_flows;
	struct pool *sent;
	struct delivery delivery;
	struct flow flows[ENDS_FLOWS];
	struct burst *waiting[ENDS_WAITING_MAX];
	uint32_t weights[ENDS_PATHS]; /* 0: 1 */
	unsigned n_waiting, n_paths;
	unsigned turn; /* among the greedy flows */
	nsec_t wake;   /* of the near end; earlier looks that are still to come are void */
	nsec_t far_wake;
	uint32_t n_lost; /* data and control packets, by the network */
} sim;

static void near_turn(void);
static void watch_far(void);

static inline struct link *ends_link(int end, unsigned path)
{
	return net.links[end * ENDS_PATHS + path];
}

static inline struct simnet_path *ends_path(int end, unsigned path)
{
	return simnet_path(sim.net, (unsigned)end * ENDS_PATHS + path);
}

static void take_ack(struct simnet *s, void *ctx, uint64_t value)
{
	(void)s;
	(void)value;
	((struct flow *)ctx)->n_acked++;
	rcu_begin();
	near_turn();
	rcu_end();
}

static bool is_window_full(const struct flow *f)
{
	return f->window && f->n_sent - f->n_acked >= f->window;
}

/* The far end's tunnel interface. */
static int take_delivered(void *ctx, const struct iovec *iov, int n)
{
	const uint8_t *packet = iov[1].iov_base;
	struct flow *f = &sim.flows[packet[15] - 1];
	nsec_t sent, age;
	uint32_t number;

	(void)ctx;
	must(n == 2);
	memcpy(&number, packet + sizeof(struct ipv4_header), sizeof(number));
	memcpy(&sent, packet + sizeof(struct ipv4_header) + sizeof(number), sizeof(sent));
	must(number < f->room);
	f->n_twice += f->has_come[number];
	f->has_come[number] = 1;
	f->n_delivered++;
	f->n_disordered += number < f->next_number;
	f->next_number = number >= f->next_number ? number + 1 : f->next_number;
	age = simnet_now(sim.net) - sent;
	f->longest = nsec_max(f->longest, age);
	f->total += age;
	if (f->window)
		simnet_at(sim.net, simnet_now(sim.net) + ends_path(FAR, 0)->delay, take_ack, f, 0);
	return 0;
}

static void expire_far(struct simnet *s, void *ctx, uint64_t value)
{
	(void)s;
	(void)ctx;
	if (sim.far_wake != (nsec_t)value)
		return;
	sim.far_wake = NSEC_NEVER;
	lane_expire(net.bonds[FAR], &sim.delivery, simnet_now(sim.net));
	watch_far();
}

static void take_frame_near(const struct frame *f)
{
	const struct path_set *set = rcu_own(&net.bonds[NEAR]->paths);

	if (f->type == FRAME_REPORT)
		spread_report_rcu(sim.spread, set, &f->report, simnet_now(sim.net));
	else if (f->type == FRAME_REPAIR)
		spread_want(sim.spread, &f->repair);
}

/* The near end's share of what a lane does, which gets no data here. */
static void arrive_near(struct burst *b, struct keypair *session, uint64_t counter)
{
	struct frame f;
	size_t offset = 0;

	must(session->replay || replay_new(&session->replay) == 0);
	if (replay_check(session->replay, counter) != REPLAY_FRESH) {
		burst_put(b);
		return;
	}
	while (frame_read(b->data + sizeof(struct wg_data), b->len - MESSAGE_DATA_OVERHEAD, &offset,
			  &f) > 0)
		take_frame_near(&f);
	burst_put(b);
	near_turn();
}

static void arrive_far(struct burst *b, struct keypair *session, unsigned path)
{
	struct bond *bond = net.bonds[FAR];

	b->session = keypair_get(session);
	b->link = ends_link(FAR, path);
	b->from = rcu_own(&bond->paths)->entries[path].to;
	b->received = simnet_now(sim.net);
	b->path_slot = (uint8_t)path;
	lane_submit(bond, &sim.delivery, b, b, b->received);
	watch_far();
}

static void arrive(struct simnet *s, void *ctx, uint64_t value)
{
	struct flying *flying = ctx;
	int end = flying->path >= ENDS_PATHS ? NEAR : FAR;
	struct burst *b = burst_take(net.bursts);
	struct wg_data header;
	struct keypair *session;
	struct aead_job job;

	(void)s;
	(void)value;
	must(b != NULL);
	memcpy(b->data, flying->data, flying->len);
	b->len = b->stride = flying->len;
	b->n = 1;
	memcpy(&header, b->data, sizeof(header));
	job = (struct aead_job){
		.dst = b->data + sizeof(header),
		.src = b->data + sizeof(header),
		.len = b->len - MESSAGE_DATA_OVERHEAD,
		.counter = le64_get(header.counter),
	};
	rcu_begin();
	session = device_session_rcu(net.device, le32_get(header.receiver_index));
	must(session && bond_of(session->peer) == net.bonds[end]);
	must(aead_open(session->recv, &job, 1) == 1);
	if (end == NEAR)
		arrive_near(b, session, job.counter);
	else
		arrive_far(b, session, flying->path);
	rcu_end();
	free(flying);
}

static void put_on_wire(unsigned path, struct burst *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		uint32_t len = burst_datagram_len(b, i);
		struct flying *flying = malloc(sizeof(*flying) + len);

		must(flying != NULL);
		flying->path = path;
		flying->len = len;
		memcpy(flying->data, burst_datagram(b, i), len);
		if (simnet_send(sim.net, path, len + 28, arrive, flying, 0))
			continue;
		sim.n_lost++;
		free(flying);
	}
}

/* What has been given to the links. */
static void empty_links(void)
{
	struct link_tx tx;

	for (unsigned i = 0; i < net.n_links; i++) {
		while (ring_pop(net.links[i]->tx, &tx)) {
			atomic_fetch_sub(&net.links[i]->queued_bytes, tx.burst->len);
			put_on_wire(i, tx.burst);
			burst_put(tx.burst);
		}
	}
}

static void watch_far(void)
{
	nsec_t deadline = atomic_load(&net.bonds[FAR]->lane.deadline);

	empty_links();
	if (deadline == NSEC_NEVER || (sim.far_wake <= deadline && sim.far_wake != NSEC_NEVER))
		return;
	sim.far_wake = nsec_max(deadline, simnet_now(sim.net));
	simnet_at(sim.net, sim.far_wake, expire_far, NULL, (uint64_t)sim.far_wake);
}

/* The flow's next packet, sealed into the burst. */
static void add_packet(struct burst *b, struct flow *f, nsec_t now)
{
	struct keypair *k = rcu_read(&net.bonds[NEAR]->peer.current);
	uint8_t packet[1500] = {0};
	struct ipv4_header *ip = (struct ipv4_header *)packet;
	const struct path_set *set = rcu_read(&net.bonds[NEAR]->paths);
	uint32_t number = f->n_sent++;
	uint64_t counter;

	ip->version_ihl = 0x45;
	ip->total_length = be16_make((uint16_t)f->bytes);
	ip->protocol = 253;
	memcpy(ip->source, (uint8_t[]){10, 0, FAR, (uint8_t)(f - sim.flows + 1)}, 4);
	memcpy(packet + sizeof(*ip), &number, sizeof(number));
	memcpy(packet + sizeof(*ip) + sizeof(number), &now, sizeof(now));
	must(number < f->room);
	b->is_urgent = spread_is_urgent_rcu(set, &sim.urgent_flows, packet, f->bytes, now);
	b->binding = f->binding;
	if (f->binding == BINDING_NONE)
		must(keypair_take_counters(k, 1, &counter));
	else
		must(bond_take_bound_rcu(net.bonds[NEAR], k, f->binding, 1, &counter));
	must(bond_seal_next(b, k, counter, packet, wg_padded_len(f->bytes, 1420)));
}

static struct burst *make_burst_of(struct flow *f, nsec_t now)
{
	const struct path_set *set = rcu_read(&net.bonds[NEAR]->paths);
	uint64_t limit = spread_burst_bytes_rcu(sim.spread, set, f->binding, now);
	size_t len = datagram_len(wg_padded_len(f->bytes, 1420));
	struct burst *b = burst_take(net.bursts);

	must(b != NULL);
	do
		add_packet(b, f, now);
	while (!f->interval && b->len + len <= limit && b->len + len <= HANDMADE_BURST_BYTES &&
	       b->n < BURST_DATAGRAMS);
	return b;
}

/* False: it is not sent, and waits. */
static bool try_send(struct burst *b, nsec_t *retry)
{
	const struct path_set *set = rcu_read(&net.bonds[NEAR]->paths);

	if (spread_send_rcu(sim.spread, set, b, simnet_now(sim.net), retry) != SPREAD_SENT)
		return false;
	burst_put(b);
	return true;
}

static bool send_waiting(nsec_t *retry)
{
	while (sim.n_waiting && try_send(sim.waiting[0], retry)) {
		sim.n_waiting--;
		memmove(sim.waiting, sim.waiting + 1, sim.n_waiting * sizeof(sim.waiting[0]));
	}
	return !sim.n_waiting;
}

static void send_or_wait(struct flow *f, nsec_t now, nsec_t *retry)
{
	struct burst *b = make_burst_of(f, now);

	if (sim.n_waiting || !try_send(b, retry)) {
		must(sim.n_waiting < ENDS_WAITING_MAX);
		sim.waiting[sim.n_waiting++] = b;
	}
}

/* Flows with a clock of their own come first, as the flow queues would have it. */
static void send_clocked(nsec_t now, nsec_t *retry)
{
	for (struct flow *f = sim.flows; f < sim.flows + ENDS_FLOWS; f++) {
		if (!f->bytes || !f->interval || f->next_send > now)
			continue;
		f->next_send += f->interval;
		send_or_wait(f, now, retry);
	}
}

static void send_greedy(nsec_t now, nsec_t *retry)
{
	unsigned n_idle = 0;

	while (n_idle < ENDS_FLOWS && send_waiting(retry)) {
		struct flow *f = &sim.flows[sim.turn++ % ENDS_FLOWS];

		if (!f->bytes || f->interval || f->next_send > now || is_window_full(f) ||
		    f->binding != BINDING_NONE) {
			n_idle++;
			continue;
		}
		send_or_wait(f, now, retry);
		n_idle = 0;
	}
}

/* Those that are bound wait for their own paths alone. */
static void send_bound(nsec_t now, nsec_t *retry)
{
	for (struct flow *f = sim.flows; f < sim.flows + ENDS_FLOWS; f++) {
		nsec_t at = NSEC_NEVER;

		if (!f->bytes || f->binding == BINDING_NONE)
			continue;
		while (f->waiting || f->next_send <= now) {
			if (!f->waiting)
				f->waiting = make_burst_of(f, now);
			if (!try_send(f->waiting, &at))
				break;
			f->waiting = NULL;
		}
		*retry = nsec_min(*retry, f->waiting ? at : f->next_send);
	}
}

/* As tell_gone_rcu() of dataplane/outlet.c does. */
static void tell_gone(nsec_t now)
{
	const struct keypair *k = peer_send_session_rcu(&net.bonds[NEAR]->peer, now);
	struct resend *again = &sim.spread->resend;
	uint8_t payload[FRAME_PACKET_MAX];
	size_t len;

	while (k && (len = resend_write_gone(again, k->remote_index, payload, sizeof(payload))))
		bond_send_control_rcu(net.bonds[NEAR], NULL, payload, len, now);
}

static void wake_near(struct simnet *s, void *ctx, uint64_t value)
{
	(void)s;
	(void)ctx;
	if (sim.wake != (nsec_t)value)
		return;
	sim.wake = NSEC_NEVER;
	rcu_begin();
	near_turn();
	rcu_end();
}

static void arm_near(nsec_t at)
{
	if (at >= sim.wake || at == NSEC_NEVER)
		return;
	sim.wake = nsec_max(at, simnet_now(sim.net) + 1);
	simnet_at(sim.net, sim.wake, wake_near, NULL, (uint64_t)sim.wake);
}

/* One round of the TUN reader, as progress() of dataplane/reader.c. */
static void near_turn(void)
{
	const struct path_set *set = rcu_read(&net.bonds[NEAR]->paths);
	nsec_t now = simnet_now(sim.net);
	nsec_t retry = NSEC_NEVER;

	send_clocked(now, &retry);
	if (spread_resend_rcu(sim.spread, set, net.bursts, now, &retry)) {
		tell_gone(now);
		send_greedy(now, &retry);
	}
	send_bound(now, &retry);
	empty_links();
	for (const struct flow *f = sim.flows; f < sim.flows + ENDS_FLOWS; f++)
		if (f->bytes && f->interval)
			arm_near(f->next_send);
	arm_near(retry);
	arm_near(spread_deadline(sim.spread, now));
}

static void make_ends_paths(int end, enum bond_mode mode)
{
	struct path_set *set = calloc(1, sizeof(*set));
	char host[32];

	must(set != NULL);
	for (uint8_t i = 0; i < sim.n_paths; i++) {
		struct path_entry *e = &set->entries[set->n++];

		e->path = aligned_alloc(_Alignof(struct path), sizeof(*e->path));
		must(e->path != NULL);
		memset(e->path, 0, sizeof(*e->path));
		e->path->id = 1U + i + (end == FAR ? 100 : 0);
		atomic_init(&e->path->epoch, e->path->id);
		e->path->slot = i;
		e->path->link = ends_link(end, i);
		atomic_store(&e->path->rtt, ends_path(NEAR, i)->delay + ends_path(FAR, i)->delay);
		snprintf(host, sizeof(host), "192.0.2.%d", i + 1);
		e->to = endpoint_of(host);
		e->remote_id = 1U + i + (end == FAR ? 0 : 100);
		e->weight = sim.weights[i] ? sim.weights[i] : 1;
		e->state = HEALTH_UP;
		e->is_usable = true;
	}
	set->mode = mode;
	set->is_multilink = true;
	set->max_spread = 100 * NSEC_PER_MSEC;
	path_set_choose(set, true);
	rcu_publish(&net.bonds[end]->paths, set);
}

/* A session that both have, and take from now on; the one before it ends when it has been heard. */
static inline void ends_begin_session(nsec_t now)
{
	struct noise_session_keys keys;
	uint32_t index[2];

	keys_random(&keys, sizeof(keys));
	for (int i = 0; i < 2; i++)
		must(index_take(&net.device->index, &net.bonds[i]->peer, &index[i]) == 0);
	for (int i = 0; i < 2; i++) {
		struct noise_session_keys own = keys;
		struct keypair *k;

		if (i == FAR) {
			memcpy(own.send, keys.recv, sizeof(own.send));
			memcpy(own.recv, keys.send, sizeof(own.recv));
		}
		must(session_new(&k, &net.bonds[i]->peer, &own, index[i], index[!i], now) == 0);
		session_add_initiated(&net.bonds[i]->peer, k);
	}
}

/* Paths without limits and flows without packets, for the test to fill in before ends_start(). */
static inline void ends_begin(uint64_t seed, unsigned n_paths)
{
	handmade_settings(2, HANDMADE_LINKS);
	handmade_begin();
	memset(&sim, 0, sizeof(sim));
	sim.net = simnet_new(seed);
	sim.n_paths = n_paths;
	sim.wake = sim.far_wake = NSEC_NEVER;
	must(pool_new(&sim.sent, ENDS_SENT_CELLS, STORE_CELL_BYTES) == 0);
	must(spread_new(&sim.spread, sim.sent) == 0);
	delivery_init(&sim.delivery, &net);
	merge_init(&sim.delivery.merge, take_delivered, NULL, false, false);
}

static inline struct flow *ends_add_flow(size_t bytes, nsec_t interval, size_t most)
{
	struct flow *f = sim.flows;

	while (f->bytes)
		f++;
	must(f < sim.flows + ENDS_FLOWS);
	*f = (struct flow){
		.bytes = bytes, .interval = interval, .room = most, .binding = BINDING_NONE};
	f->next_send = simnet_now(sim.net) + simnet_below(sim.net, NSEC_PER_MSEC);
	f->has_come = calloc(most, 1);
	must(f->has_come != NULL);
	return f;
}

static inline void ends_start(enum bond_mode mode)
{
	ends_begin_session(simnet_now(sim.net));
	make_ends_paths(NEAR, mode);
	make_ends_paths(FAR, mode);
	arm_near(simnet_now(sim.net) + 1);
}

static inline void ends_run(nsec_t time)
{
	simnet_run(sim.net, simnet_now(sim.net) + time);
}

/* No more packets, and so long until all have come. */
static inline void ends_stop(nsec_t time)
{
	for (unsigned i = 0; i < ENDS_FLOWS; i++)
		sim.flows[i].next_send = NSEC_NEVER;
	ends_run(time);
}

static void drop_ends_paths(struct bond *bond)
{
	struct path_set *set = rcu_own(&bond->paths);

	rcu_publish(&bond->paths, NULL);
	for (unsigned i = 0; i < set->n; i++)
		path_retire(set->entries[i].path);
	path_set_retire(set);
}

/* Takes it apart; all buffers must be back. */
static inline void ends_end(void)
{
	while (simnet_run(sim.net, simnet_now(sim.net) + NSEC_PER_SEC))
		;
	for (unsigned i = 0; i < sim.n_waiting; i++)
		burst_put(sim.waiting[i]);
	for (unsigned i = 0; i < ENDS_FLOWS; i++) {
		if (sim.flows[i].waiting)
			burst_put(sim.flows[i].waiting);
		free(sim.flows[i].has_come);
	}
	spread_free(sim.spread);
	free(sim.urgent_flows);
	drop_ends_paths(net.bonds[NEAR]);
	drop_ends_paths(net.bonds[FAR]);
	must(pool_available(sim.sent) == ENDS_SENT_CELLS);
	pool_free(sim.sent);
	simnet_free(sim.net);
	handmade_end();
}
