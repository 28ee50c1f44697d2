/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/delivery.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "dataplane/bond.h"
#include "dataplane/network_state.h"
#include "dataplane/sparse.h"
#include "wire/inner.h"

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

void delivery_flush(struct delivery *d)
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

void delivery_release(struct delivery *d, struct reseq *q, nsec_t now)
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

void delivery_add(struct delivery *d, const struct arrival *a)
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

void delivery_add_burst(struct delivery *d, struct burst *b)
{
	b->next = d->bursts;
	d->bursts = b;
}

void delivery_drop_held(struct network *n, struct reseq *q)
{
	void *item;

	while ((item = reseq_flush(q))) {
		if (item != reseq_nothing)
			pool_give(n->cells, item);
	}
}
