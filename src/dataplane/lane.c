/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What becomes of a packet here: counted for its path; checked against the replay window; a
 * control frame goes to the monitor; an IP packet has its source checked and is delivered, or
 * held by the resequencer. Whatever is authentic and new has a place in the order, even if
 * nothing of it is delivered: else its counter would be a gap to wait for.
 *
 * A packet delivered from a burst leaves by writev from there, so bursts and cells are given
 * back only after merge_flush().
 */
#include "dataplane/lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* A packet of the peer that is authentic and no replay. */
struct arrival {
	struct bond *bond;
	struct reseq *reseq; /* of the bond's lane */
	const struct burst *burst;
	uint64_t counter;
	uint8_t *packet; /* an IP packet that may be delivered; NULL: it only has its place */
	size_t len;
};

/* A packet that waits in the resequencer: a cell of the network's pool. */
struct held {
	uint32_t len;
	struct sparse *flow; /* in whose n_held it is counted; NULL: nowhere */
	uint8_t data[];
};

size_t delivery_cell_bytes(size_t packet)
{
	return sizeof(struct held) + packet;
}

static int write_tun(void *ctx, const struct iovec *iov, int n)
{
	struct network *net = ctx;
	int skipped = !net->tun.has_header;

	return writev(network_writer(net), iov + skipped, n - skipped) < 0 ? -errno : 0;
}

void delivery_init(struct delivery *d, struct network *n)
{
	memset(d, 0, sizeof(*d));
	d->network = n;
	merge_init(&d->merge, write_tun, n, n->tun.can_tso, n->tun.can_uso);
}

/* The interface has refused super-packets: are there to be any more of that kind? */
static void note_refused_runs(struct delivery *d)
{
	struct network *n = d->network;

	d->merge.n_runs_refused = 0;
	if (n->tun.can_tso && !d->merge.can_tcp)
		atomic_store_explicit(&n->is_tso_refused, true, memory_order_relaxed);
	if (n->tun.can_uso && !d->merge.can_udp)
		atomic_store_explicit(&n->is_uso_refused, true, memory_order_relaxed);
}

/* Writes what is open, then gives back what it lay in. */
static void delivery_flush(struct delivery *d)
{
	struct burst *b;

	merge_flush(&d->merge);
	if (d->merge.n_refused)
		drops_add(&d->network->drops, DROP_rx_tun_write, d->merge.n_refused);
	if (d->merge.n_runs_refused)
		note_refused_runs(d);
	d->merge.n_refused = 0;
	d->merge.n_written = 0;
	while ((b = d->bursts)) {
		d->bursts = b->next;
		burst_put(b);
	}
	while (d->n_cells)
		pool_give(d->network->cells, d->cells[--d->n_cells]);
}

static void deliver_held(struct delivery *d, void *item)
{
	struct held *h = item;

	if (item == reseq_nothing)
		return;
	if (h->flow)
		h->flow->n_held--;
	merge_add(&d->merge, h->data, h->len);
	d->cells[d->n_cells++] = h;
	if (d->n_cells == sizeof(d->cells) / sizeof(d->cells[0]))
		delivery_flush(d);
}

static void delivery_release(struct delivery *d, struct reseq *q, nsec_t now)
{
	void *item;

	while ((item = reseq_pop(q, now)))
		deliver_held(d, item);
}

static unsigned reseq_path(const struct burst *b)
{
	return b->path_slot == PATH_SLOT_NONE ? RESEQ_PATH_UNKNOWN : b->path_slot;
}

/* A copy of the packet in a cell, to be held; NULL if it does not fit or there is none left. */
static struct held *copy_packet(struct network *n, const struct arrival *a)
{
	struct held *h = a->len <= n->cell_bytes ? pool_take(n->cells) : NULL;

	if (!h)
		return NULL;
	h->len = (uint32_t)a->len;
	h->flow = NULL;
	memcpy(h->data, a->packet, a->len);
	return h;
}

/* Its place in the order is that of `item`. False: it has none any more. */
static bool take_place(const struct arrival *a, void *item)
{
	const struct burst *b = a->burst;

	return reseq_hold(a->reseq, b->session->rx_session, a->counter, item, b->received);
}

/* There is no cell for a packet: all that is held goes out now, and it goes in its place. */
static void release_all(struct delivery *d, const struct arrival *a)
{
	bool is_held = take_place(a, a->packet);
	void *item;

	while ((item = reseq_flush(a->reseq))) {
		if (item == a->packet)
			merge_add(&d->merge, a->packet, a->len);
		else
			deliver_held(d, item);
	}
	if (!is_held)
		merge_add(&d->merge, a->packet, a->len);
}

/* The flow of a packet, with the packet noted; NULL where all is to be in order. */
static struct sparse *note_flow(const struct arrival *a)
{
	struct sparse *flows = a->bond->lane.flows;
	struct sparse *f;

	if (!a->packet || !flows || !reseq_may_repair(a->reseq))
		return NULL;
	f = sparse_find(flows, inner_flow(a->packet, a->len, 0));
	sparse_note(f, a->len, a->burst->received);
	return f;
}

/*
 * Not all wait for what others have lost, or have on slow paths. A packet of a sparse flow, all of
 * which takes the quickest path, leaves as it comes. A small packet of another leaves, if nothing
 * of its flow waits, when what is missing before it is known to be lost.
 */
static bool may_pass(const struct arrival *a, const struct sparse *f)
{
	return f && !f->n_held && sparse_is(f, a->burst->received) &&
	       reseq_pass(a->reseq, a->burst->session->rx_session, a->counter);
}

static void count_held(const struct arrival *a, struct held *h, struct sparse *f)
{
	if (h->len <= SPARSE_BYTES && !f->n_held) {
		reseq_hurry(a->reseq, a->burst->session->rx_session, a->counter);
		return;
	}
	h->flow = f;
	f->n_held++;
}

/* Keeps a packet, or only its place, until its turn. */
static void hold(struct delivery *d, const struct arrival *a, struct sparse *f)
{
	void *item = a->packet ? copy_packet(d->network, a) : (void *)reseq_nothing;

	if (!item)
		release_all(d, a);
	else if (!take_place(a, item))
		deliver_held(d, item);
	else if (f)
		count_held(a, item, f);
}

/* Delivers it, and what it sets free, or keeps it until its turn. */
static void delivery_add(struct delivery *d, const struct arrival *a)
{
	const struct burst *b = a->burst;
	struct sparse *flow = note_flow(a);

	if (reseq_offer(a->reseq, reseq_path(b), b->session->rx_session, a->counter, b->received) ==
		    RESEQ_HOLD &&
	    !may_pass(a, flow))
		hold(d, a, flow);
	else if (a->packet)
		merge_add(&d->merge, a->packet, a->len);
	delivery_release(d, a->reseq, b->received);
}

static void delivery_add_burst(struct delivery *d, struct burst *b)
{
	b->next = d->bursts;
	d->bursts = b;
}

static void delivery_drop_held(struct network *n, struct reseq *q)
{
	void *item;

	while ((item = reseq_flush(q))) {
		if (item != reseq_nothing)
			pool_give(n->cells, item);
	}
}

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
	struct arrival a = {in->bond, in->reseq, in->burst, .counter = counter};

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

static void take_burst(struct delivery *d, struct bond *bond, struct burst *b)
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

/* Asks the peer for what is missing. */
static void ask_for_repair_rcu(struct bond *bond, struct reseq *q, nsec_t now)
{
	struct frame f = {.type = FRAME_REPAIR};
	struct reseq_gap gaps[FRAME_REPAIR_MAX];
	uint8_t payload[FRAME_PACKET_MAX];
	unsigned n = reseq_ask(q, now, gaps, FRAME_REPAIR_MAX);
	int len;

	f.repair.session = bond->lane.newest_session;
	for (unsigned i = 0; i < n; i++) {
		if (gaps[i].session != bond->lane.n_sessions)
			continue;
		f.repair.gaps[f.repair.n_gaps].counter = gaps[i].counter;
		f.repair.gaps[f.repair.n_gaps++].n = gaps[i].n;
	}
	len = f.repair.n_gaps ? frame_write(&f, payload, sizeof(payload)) : 0;
	if (len > 0)
		bond_send_control_rcu(bond, NULL, payload, (size_t)len, now);
}

/*
 * Asking is of use while there is another path over which the answer may come, and it comes no
 * sooner than the shortest of them lets it.
 */
static void allow_repair(struct reseq *q, const struct path_set *set)
{
	nsec_t least = NSEC_NEVER;
	unsigned n_up = 0;

	for (unsigned i = 0; set && i < set->n; i++) {
		nsec_t rtt = atomic_load_explicit(&set->entries[i].path->rtt, memory_order_relaxed);

		if (set->entries[i].state != HEALTH_UP)
			continue;
		n_up++;
		least = rtt ? nsec_min(least, rtt) : least;
	}
	reseq_allow_repair(q, n_up > 1 && set->is_multilink && set->mode != BOND_REDUNDANT,
			   least == NSEC_NEVER ? 0 : least);
}

/* The queue holds the newest first. */
static struct burst *take_queue(struct lane *lane)
{
	struct burst *b = atomic_exchange_explicit(&lane->queue, NULL, memory_order_acquire);
	struct burst *reversed = NULL;

	while (b) {
		struct burst *next = b->next;

		b->next = reversed;
		reversed = b;
		b = next;
	}
	return reversed;
}

static void set_deadline(struct bond *bond, const struct reseq *q)
{
	nsec_t deadline = q ? reseq_deadline(q) : NSEC_NEVER;

	if (bond->lane.reporter)
		deadline = nsec_min(deadline, reporter_deadline(bond->lane.reporter));
	atomic_store_explicit(&bond->lane.deadline, deadline, memory_order_relaxed);
}

static bool is_bare_ack(const struct burst *b)
{
	return b->len > MESSAGE_DATA_OVERHEAD &&
	       inner_is_bare_ack(b->data + sizeof(struct wg_data), b->len - MESSAGE_DATA_OVERHEAD);
}

/*
 * The kernel answers a ping within the write. What TCP sends upon an acknowledgement is more than
 * an answer, and the reader had better wake up for it at once.
 */
static bool expect_answer(struct network *n, const struct burst *b)
{
	return b && !b->next && b->n == 1 && !is_bare_ack(b) && tx_expect_answer(n->tx);
}

static void work_inside(struct bond *bond, struct delivery *d, nsec_t now)
{
	struct burst *b = take_queue(&bond->lane);
	bool expects_answer = expect_answer(d->network, b);
	struct burst *next;
	struct reseq *q;

	rcu_begin();
	for (; b; b = next) {
		next = b->next;
		take_burst(d, bond, b);
		keypair_put(b->session);
		b->session = NULL;
		delivery_add_burst(d, b);
	}
	q = atomic_load_explicit(&bond->lane.reseq, memory_order_relaxed);
	if (atomic_exchange_explicit(&bond->lane.is_due, false, memory_order_relaxed) && q)
		delivery_release(d, q, now);
	delivery_flush(d);
	if (expects_answer)
		tx_read_answer(d->network->tx);
	if (q) {
		allow_repair(q, rcu_read(&bond->paths));
		ask_for_repair_rcu(bond, q, now);
	}
	if (bond->lane.reporter)
		reporter_send_rcu(bond->lane.reporter, bond, now);
	rcu_end();
	set_deadline(bond, q);
}

static bool has_work(struct lane *lane)
{
	return atomic_load_explicit(&lane->queue, memory_order_relaxed) ||
	       atomic_load_explicit(&lane->is_due, memory_order_relaxed);
}

/*
 * Whoever queues, then finds the lane taken, may leave: the holder looks again after it has let
 * go. The fences order "queue, then look at is_taken" against "let go, then look at the queue".
 */
static void work(struct bond *bond, struct delivery *d, nsec_t now)
{
	struct lane *lane = &bond->lane;

	atomic_thread_fence(memory_order_seq_cst);
	while (has_work(lane)) {
		if (atomic_exchange_explicit(&lane->is_taken, true, memory_order_acquire))
			return;
		work_inside(bond, d, now);
		atomic_store_explicit(&lane->is_taken, false, memory_order_release);
		atomic_thread_fence(memory_order_seq_cst);
	}
}

void lane_submit(struct bond *bond, struct delivery *d, struct burst *first, struct burst *last,
		 nsec_t now)
{
	struct lane *lane = &bond->lane;
	struct burst *head = atomic_load_explicit(&lane->queue, memory_order_relaxed);
	struct burst *reversed = NULL;

	/* The queue is a stack: the chain goes on it with its newest on top. */
	for (struct burst *b = first, *next; b; b = next) {
		next = b == last ? NULL : b->next;
		b->next = reversed;
		reversed = b;
	}
	do {
		first->next = head;
		/* release: the bursts' contents */
	} while (!atomic_compare_exchange_weak_explicit(
		&lane->queue, &head, reversed, memory_order_release, memory_order_relaxed));
	work(bond, d, now);
}

void lane_expire(struct bond *bond, struct delivery *d, nsec_t now)
{
	atomic_store_explicit(&bond->lane.is_due, true, memory_order_relaxed);
	work(bond, d, now);
}

void lane_deinit(struct bond *bond)
{
	struct lane *lane = &bond->lane;
	struct reseq *q = atomic_load(&lane->reseq);

	for (struct burst *b = take_queue(lane), *next; b; b = next) {
		next = b->next;
		keypair_put(b->session);
		burst_put(b);
	}
	if (q)
		delivery_drop_held(bond->network, q);
	reseq_free(q);
	atomic_store(&lane->reseq, NULL);
	free(lane->flows);
	lane->flows = NULL;
	free(lane->reporter);
	lane->reporter = NULL;
}
