/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/intake.h"

#include <stdlib.h>

#include "dataplane/bond.h"
#include "dataplane/monitor.h"
#include "dataplane/network_state.h"
#include "dataplane/report.h"
#include "dataplane/sparse.h"
#include "dataplane/tx.h"
#include "peers/allowedips.h"
#include "wire/ecn.h"
#include "wire/frame.h"
#include "wire/inner.h"
#include "wire/mss.h"

/* A burst that is being taken, and what it has brought so far. */
struct intake {
	struct delivery *delivery;
	struct bond *bond;
	struct reseq *reseq; /* of the bond's lane */
	const struct burst *burst;
	const struct path_entry *path; /* NULL: of none that leads to the peer */
	uint64_t n, bytes;	       /* authentic datagrams */
	uint64_t data_bytes, newest;   /* of those but for control packets: the last counter */
	uint64_t n_inner, inner_bytes; /* IP packets to be delivered */
	bool has_fresh;		       /* something that is no replay */
	bool has_data;		       /* something that the timers of the paper count as data */
};

/* To whom it concerns: the TUN reader, us, or the monitor. False: there is no room for it. */
static bool take_frame(const struct intake *in, const struct event *e)
{
	const struct frame_apart *apart = &e->frame.apart;
	const struct burst *b = in->burst;
	struct network *n = in->bond->network;

	switch (e->frame.type) {
	case FRAME_REPORT:
	case FRAME_REPAIR:
		return tx_post_frame(n->tx, e->bond, &e->frame, e->at);
	case FRAME_APART:
		reseq_apart(in->reseq, b->session->rx_session, apart->counter, apart->n,
			    b->received);
		return true;
	default:
		return monitor_post(n, e);
	}
}

/*
 * A second frame, in one packet, of a type that is answered? A peer would have us send many packets
 * for each of its own. `types`: those that the packet has had, by bit.
 */
static bool is_asked_twice(const struct frame *f, uint32_t *types)
{
	const uint32_t answered = 1U << FRAME_HELLO | 1U << FRAME_PING | 1U << FRAME_MTU_PROBE;
	const uint32_t type = 1U << f->type;
	const bool is_second = *types & type & answered;

	*types |= type;
	return is_second;
}

static void take_frames(const struct intake *in, const uint8_t *payload, size_t len)
{
	const struct burst *b = in->burst;
	struct drops *drops = &in->bond->network->drops;
	struct event e = {
		.kind = EVENT_FRAME,
		.bond = in->bond,
		.link = b->link,
		.from = b->from,
		.at = b->received,
	};
	size_t offset = 0;
	uint32_t types = 0;
	int r;

	if (len > FRAME_PACKET_MAX)
		len = FRAME_PACKET_MAX;
	if (in->path) {
		const struct path_count *received = &in->path->path->received;

		e.rx_packets = atomic_load_explicit(&received->packets, memory_order_relaxed);
		e.rx_bytes = atomic_load_explicit(&received->bytes, memory_order_relaxed);
	}
	while ((r = frame_read(payload, len, &offset, &e.frame)) > 0) {
		if (is_asked_twice(&e.frame, &types))
			drops_add(drops, DROP_rx_bad_frame, 1);
		else if (!take_frame(in, &e))
			drops_add(drops, DROP_rx_control_queue, 1);
	}
	if (r < 0)
		drops_add(drops, DROP_rx_bad_frame, 1);
}

/* The inner packet's length if it may be delivered; 0 if it must not be. */
static size_t check_inner(const struct intake *in, uint8_t *payload, size_t len)
{
	struct network *n = in->bond->network;
	uint8_t ecn = in->burst->ecn;
	struct inner inner;

	if (inner_parse(&inner, payload, len) < 0) {
		drops_add(&n->drops, DROP_rx_not_ip, 1);
		return 0;
	}
	if (allowedips_find(rcu_read(&n->allowed_ips), inner.family, inner.source) != in->bond) {
		drops_add(&n->drops, DROP_rx_source_not_allowed, 1);
		return 0;
	}
	if (ecn && !ecn_arrive(payload, ecn)) {
		drops_add(&n->drops, DROP_rx_ecn, 1);
		return 0;
	}
	return inner.len;
}

/* An IP packet, if that is what it is. */
static void take_inner(struct intake *in, struct arrival *a, uint8_t *payload, size_t len)
{
	struct network *n = in->bond->network;

	a->len = check_inner(in, payload, len);
	if (!a->len)
		return;
	a->packet = payload;
	if (network_clamps_mss(n))
		mss_clamp(a->packet, a->len, network_mtu(n));
	in->n_inner++;
	in->inner_bytes += a->len;
}

static void take_payload(struct intake *in, uint8_t *payload, size_t len, uint64_t counter)
{
	struct arrival a = {
		.bond = in->bond,
		.reseq = in->reseq,
		.burst = in->burst,
		.counter = counter,
	};

	in->has_fresh = true;
	if (frame_is_control(payload, len)) {
		take_frames(in, payload, len);
	} else if (len) {
		in->has_data = true;
		take_inner(in, &a, payload, len);
	}
	delivery_add(in->delivery, &a);
}

/*
 * A copy of what has come already. From a path of the peer: another one was faster. It still tells
 * how far this one is, but for control packets, which stand apart from the order.
 */
static void take_copy(struct intake *in, bool has_content, uint64_t counter)
{
	const struct burst *b = in->burst;

	if (has_content)
		reseq_copy(in->reseq, b->path_slot, b->session->rx_session, counter, b->received);
	delivery_release(in->delivery, in->reseq, b->received);
	atomic_fetch_add_explicit(&in->path->path->duplicates, 1, memory_order_relaxed);
	drops_add(&in->bond->network->drops, DROP_rx_duplicate, 1);
}

static void take_datagram(struct intake *in, uint8_t *datagram, size_t len)
{
	const struct wg_data *header = (const void *)datagram;
	uint8_t *payload = datagram + sizeof(*header);
	uint64_t counter = le64_get(header->counter);
	bool has_content = len > MESSAGE_DATA_OVERHEAD && !frame_is_control(payload, 1);
	enum replay_verdict verdict;

	in->n++;
	in->bytes += len;
	if (has_content) {
		in->data_bytes += len;
		in->newest = counter;
	}
	verdict = replay_check(in->burst->session->replay, counter);
	if (verdict == REPLAY_FRESH)
		take_payload(in, payload, len - MESSAGE_DATA_OVERHEAD, counter);
	else if (verdict == REPLAY_OLD || !in->path)
		drops_add(&in->bond->network->drops, DROP_rx_replay, 1);
	else
		take_copy(in, has_content, counter);
}

/* Replay window and resequencer come with the first packet, so that idle peers stay small. */
static struct reseq *prepare(struct bond *bond, struct keypair *k)
{
	struct reseq *q = atomic_load_explicit(&bond->lane.reseq, memory_order_relaxed);

	if (!q && reseq_new(&q) < 0)
		return NULL;
	if (!bond->lane.reporter)
		bond->lane.reporter = calloc(1, sizeof(*bond->lane.reporter));
	if (!bond->lane.flows)
		bond->lane.flows = calloc(SPARSE_FLOWS, sizeof(*bond->lane.flows));
	/* release: status reads through it */
	atomic_store_explicit(&bond->lane.reseq, q, memory_order_release);
	if (!k->replay && replay_new(&k->replay) < 0)
		return NULL;
	if (!k->rx_session) {
		k->rx_session = ++bond->lane.n_sessions;
		bond->lane.newest_session = k->local_index;
	}
	return q;
}

/*
 * Does it come from where no path of the peer leads, or to another address of ours than its path
 * leaves from? Of the latter a vtrunkd tells itself, by its frames.
 */
static bool is_from_elsewhere(const struct path_set *set, const struct path_entry *path,
			      const struct burst *b)
{
	if (!path)
		return true;
	return !set->is_multilink && addr_is_set(&path->to.local) &&
	       !addr_equal(&path->to.local, &b->from.local);
}

/* Tells the monitor of it. */
static void report_source(struct network *n, struct bond *bond, const struct burst *b)
{
	const struct event e = {
		.kind = EVENT_HEARD,
		.bond = bond,
		.link = b->link,
		.from = b->from,
		.at = b->received,
	};

	monitor_post(n, &e); /* if it is lost: the next packet tells it again */
}

/* What has come over a path of the peer: copies tell of it as well as what came first. */
static void note_path(const struct intake *in, bool is_multilink)
{
	const struct burst *b = in->burst;
	struct reporter *reporter = in->bond->lane.reporter;

	path_count_add(&in->path->path->received, in->n, in->bytes);
	if (in->data_bytes && reporter && is_multilink)
		reporter_note(reporter, b->path_slot, b->session->local_index, in->newest,
			      in->data_bytes, b->received);
}

/* Something authentic has come that is no replay: only that says where and that the peer is. */
static void note_fresh(const struct intake *in)
{
	struct bond *bond = in->bond;
	const struct burst *b = in->burst;

	path_count_add(&bond->inner_received, in->n_inner, in->inner_bytes);
	peer_mark_received(&bond->peer, b->received, in->has_data);
	peer_check_rekey_received(&bond->peer, b->session, b->received);
}

void intake_take_rcu(struct delivery *d, struct bond *bond, struct burst *b)
{
	const struct path_set *set = rcu_read(&bond->paths);
	struct intake in = {
		.delivery = d,
		.bond = bond,
		.reseq = prepare(bond, b->session),
		.burst = b,
		.path = path_set_by_slot(set, b->path_slot),
	};

	if (!in.reseq) {
		drops_add(&d->network->drops, DROP_rx_no_buffer, b->n);
		return;
	}
	for (uint32_t i = 0; i < b->n; i++) {
		uint8_t *datagram = burst_datagram(b, i);

		if (datagram[0]) /* else it is not authentic */
			take_datagram(&in, datagram, burst_datagram_len(b, i));
	}
	if (in.path)
		note_path(&in, set->is_multilink);
	if (!in.has_fresh)
		return;
	if (is_from_elsewhere(set, in.path, b))
		report_source(d->network, bond, b);
	note_fresh(&in);
}
