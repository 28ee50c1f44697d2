/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * With a single peer whose queues are full, nothing is read, so that the sender is held up;
 * with several, that one's packets are dropped, so that the others are not.
 */
#include "dataplane/reader.h"

#include <errno.h>
#include <sys/uio.h>

#include "dataplane/network_state.h"
#include "dataplane/pack.h"
#include "dataplane/tx.h"
#include "wire/inner.h"

static struct bond *route(struct reader *r, const uint8_t *packet, size_t len)
{
	struct inner inner;
	struct bond *bond;

	if (inner_parse(&inner, packet, len) < 0) {
		drops_add(&r->network->drops, DROP_tx_malformed, 1);
		return NULL;
	}
	rcu_begin();
	bond = allowedips_find(rcu_read(&r->network->allowed_ips), inner.family, inner.destination);
	rcu_end();
	if (!bond)
		drops_add(&r->network->drops, DROP_tx_no_peer, 1);
	return bond;
}

/* Queues what is left of the read, behind what is still open. */
static void enqueue(struct reader *r, struct outlet *o, uint8_t binding)
{
	if (o->share)
		pack_close(r);
	rcu_begin();
	share_lock_rcu(o, r);
	outlet_enqueue(o, r, binding);
	share_unlock_rcu(o, r);
	rcu_end();
	r->last = o;
}

/*
 * What the packets just read are bound to now. Without a path for it they are like all others,
 * but behind what waits of the same since before.
 */
static uint8_t find_binding_rcu(struct reader *r, const struct outlet *o)
{
	const struct split *s = &r->read->split;
	uint8_t binding = rules_find(rcu_read(&r->network->rules), s->packet, s->len);
	uint8_t now;

	if (binding == BINDING_NONE)
		return binding;
	now = spread_binding_rcu(rcu_read(&o->bond->paths), binding);
	rule_count_add(&r->network->rule_counts[binding], s->n_segments, split_bytes_left(s),
		       now == BINDING_NONE);
	return outlet_is_clear(o, binding) ? now : binding;
}

/* Sends what was read, as far as nothing waits before it. */
static void send_read(struct reader *r, struct outlet *o)
{
	struct peer *peer = &o->bond->peer;
	struct split *s = &r->read->split;
	struct keypair *k;
	uint8_t binding;
	uint8_t *packet;
	size_t len;

	rcu_begin();
	binding = find_binding_rcu(r, o);
	k = peer_send_session_rcu(peer, r->now);
	while (k && outlet_is_clear(o, binding) && (packet = split_next(s, &len)))
		pack_add_rcu(r, o, k, binding, packet, len);
	rcu_end();
	if (!k)
		peer_poke(peer, POKE_HANDSHAKE);
	if (split_bytes_left(s))
		enqueue(r, o, binding);
}

/* It comes with the first packet to the peer; NULL without memory. */
static struct outlet *outlet_of(struct tx *t, struct bond *bond)
{
	struct outlet *o = atomic_load_explicit(&bond->outlet, memory_order_acquire);
	struct outlet *other = NULL;

	if (o || outlet_new(&o, bond, tx_n_queues(t)) < 0)
		return o;
	/* release: status and other readers read through it */
	if (atomic_compare_exchange_strong_explicit(&bond->outlet, &other, o, memory_order_release,
						    memory_order_acquire))
		return o;
	outlet_free(o);
	return other;
}

static void take_read(struct reader *r, const struct virtio_net_hdr *header, size_t len)
{
	struct bond *bond = route(r, r->read->data, len);
	struct outlet *o;

	reader_count(&r->packets, 1);
	reader_count(&r->bytes, len);
	if (!bond)
		return;
	o = outlet_of(r->tx, bond);
	if (!o) {
		drops_add(&r->network->drops, DROP_tx_no_buffer, 1);
		return;
	}
	if (len <= SPARSE_BYTES && !inner_is_bare_ack(r->read->data, len)) {
		r->small_at = r->now;
		atomic_store_explicit(&o->spread->small_at, r->now, memory_order_relaxed);
	}
	if (split_begin(&r->read->split, header, r->read->data, len) < 0)
		drops_add(&r->network->drops, DROP_tx_malformed, 1);
	else
		send_read(r, o);
}

static void drain_line_rcu(struct reader *r, struct outlet *o, struct line *l, struct keypair *k)
{
	uint8_t *packet;
	size_t len;

	if (!outlet_may_send_rcu(o, r, l))
		return;
	outlet_tune_queue(o, r, l);
	while (k && outlet_may_send_rcu(o, r, l) && (packet = flowq_pop(l->queue, r->now, &len))) {
		pack_add_rcu(r, o, k, l->binding, packet, len);
		/* The receiver joins best what comes in one burst. */
		if (flowq_is_turn_over(l->queue))
			pack_close(r);
	}
}

static void drain_bound_rcu(struct reader *r, struct outlet *o, struct keypair *k)
{
	uint64_t bits = o->waiting_bound;
	struct line *l;

	while ((l = outlet_next_line(o, &bits)))
		drain_line_rcu(r, o, l, k);
}

/* Sends what waits, as far as there is room; returns when to look again. */
static nsec_t progress(struct reader *r, struct outlet *o)
{
	struct keypair *k;
	bool may_send = outlet_send_again(o, r);

	rcu_begin();
	k = peer_send_session_rcu(&o->bond->peer, r->now);
	if (!o->is_main_first)
		drain_bound_rcu(r, o, k);
	if (may_send)
		drain_line_rcu(r, o, &o->main, k);
	if (o->is_main_first)
		drain_bound_rcu(r, o, k);
	rcu_end();
	o->is_main_first = !o->is_main_first;
	if (!k)
		outlet_expire(o, r);
	outlet_count_queue(o, r);
	return outlet_retry_at(o, r);
}

void reader_progress(struct reader *r)
{
	struct outlet *o = r->busy;
	struct outlet *next;

	r->busy = NULL;
	for (; o; o = next) {
		struct outlet_place *p = &o->places[r->number];

		next = p->next_busy;
		p->is_busy = false;
		p->retry_at = o->share ? share_progress(o, r) : progress(r, o);
		if (p->retry_at != NSEC_NEVER)
			reader_make_busy(r, o);
	}
}

bool reader_is_held_up(const struct reader *r)
{
	const struct outlet *o = r->last;

	if (!o || r->network->n_bonds != 1)
		return false;
	if (o->share)
		return atomic_load_explicit(&o->share->is_full, memory_order_relaxed);
	return outlet_is_waiting(o) && outlet_is_full(o, r);
}

int reader_read(struct reader *r)
{
	struct virtio_net_hdr header = {0};
	size_t header_len = r->network->tun.has_header ? sizeof(header) : 0;
	struct iovec iov[2] = {{&header, header_len}, {r->read->data, r->read_bytes}};
	ssize_t n = readv(r->fd, iov, 2);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if ((size_t)n <= header_len) {
		drops_add(&r->network->drops, DROP_tx_malformed, 1);
		return 1;
	}
	take_read(r, &header, (size_t)n - header_len);
	return 1;
}

nsec_t reader_next_retry(const struct reader *r)
{
	nsec_t at = NSEC_NEVER;

	for (const struct outlet *o = r->busy; o; o = o->places[r->number].next_busy)
		at = nsec_min(at, o->places[r->number].retry_at);
	return at;
}
