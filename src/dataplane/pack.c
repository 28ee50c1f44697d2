/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Packets are sealed from where they were read into the open burst, which is the only time that
 * they are copied: cut, sealed, and the headers of the next are written over the tail of what has
 * been sealed (tun/split.h). The burst is closed when the next packet does not fit it (another
 * peer, session, kind or size, full), when somebody else has taken a counter in between, after a
 * shorter packet, and when the interface has nothing more.
 */
#include "dataplane/pack.h"

#include "dataplane/network_state.h"
#include "dataplane/reader.h"
#include "wire/ecn.h"
#include "wire/mss.h"

/* A packet as it is to be sealed. */
struct item {
	uint8_t *packet;
	size_t len;
	size_t padded;
	uint32_t datagram;
	struct filling_kind kind;
};

/*
 * RFC 6040, section 4.1: as the inner one, where the other end is known to hand on what becomes of
 * it. Most stock peers don't.
 */
static uint8_t outer_ecn(const struct path_set *paths, const uint8_t *packet)
{
	return paths && paths->is_multilink ? ecn_of(packet) : ECN_NOT_ECT;
}

/* Where what is bound may go now. False: nowhere. */
static bool bind_rcu(const struct path_set *paths, struct item *i)
{
	const struct path_binding *b;

	i->kind.binding = spread_binding_rcu(paths, i->kind.binding);
	if (i->kind.binding == BINDING_NONE)
		return true;
	b = &paths->bindings[i->kind.binding];
	return b->n || !b->is_strict;
}

/* False: it has been dropped. */
static bool prepare_rcu(struct reader *r, struct outlet *o, struct item *i)
{
	struct network *n = r->network;
	const struct path_set *paths = rcu_read(&o->bond->paths);
	uint32_t mtu = network_mtu(n);

	i->padded = wg_padded_len(i->len, mtu);
	i->datagram = datagram_len(i->padded);
	i->kind.is_urgent =
		spread_is_urgent_rcu(paths, &o->places[r->number].flows, i->packet, i->len, r->now);
	i->kind.ecn = outer_ecn(paths, i->packet);
	if (!bind_rcu(paths, i)) {
		drops_add(&n->drops, DROP_tx_rule, 1);
		return false;
	}
	if (network_clamps_mss(n))
		mss_clamp(i->packet, i->len, mtu);
	if (i->datagram <= n->burst_bytes)
		return true;
	drops_add(&n->drops, DROP_tx_too_big, 1);
	return false;
}

static bool open_burst(struct reader *r, struct outlet *o, struct keypair *k,
		       struct filling_kind kind)
{
	if (filling_open(&r->open, o->bond, k, outlet_burst_bytes(o, r, kind.binding), kind))
		return true;
	drops_add(&r->network->drops, DROP_tx_no_buffer, 1);
	return false;
}

/* The burst is sealed: what else is to be noted of it, but that it has not been sent yet. */
static void note_sealed(struct reader *r, struct burst *b)
{
	struct keypair *k = b->session;

	b->session = NULL;
	path_count_add(&b->bond->inner_sent, b->n, b->len - (uint64_t)b->n * MESSAGE_DATA_OVERHEAD);
	peer_mark_sent(&b->bond->peer, r->now, true);
	peer_check_rekey_sent(&b->bond->peer, k, r->now);
	keypair_put(k);
}

void pack_close(struct reader *r)
{
	struct burst *b = pack_take(r);
	struct outlet *o;

	if (!b)
		return;
	o = b->bond->outlet;
	rcu_begin();
	if (o->share) {
		share_send_rcu(o, r, b);
	} else {
		note_sealed(r, b);
		outlet_send_rcu(o, r, b);
	}
	rcu_end();
}

static void seal_into_open_rcu(struct reader *r, struct outlet *o, struct keypair *k,
			       const struct item *i)
{
	struct network *n = r->network;
	uint64_t counter;

	if (!outlet_take_counters_rcu(o, k, i->kind.binding, 1, &counter)) {
		drops_add(&n->drops, DROP_tx_no_session, 1);
		return;
	}
	if (!filling_is_next(&r->open, o->bond, k, counter, i->datagram, i->kind)) {
		pack_close(r);
		if (!open_burst(r, o, k, i->kind))
			return;
	}
	if (!filling_seal(&r->open, counter, i->packet, i->len, i->padded)) {
		drops_add(&n->drops, DROP_tx_no_session, 1);
		return;
	}
	if (i->datagram < r->open.burst->stride)
		pack_close(r); /* only the last may be shorter */
}

void pack_add_rcu(struct reader *r, struct outlet *o, struct keypair *k, uint8_t binding,
		  uint8_t *packet, size_t len)
{
	struct item i = {.packet = packet, .len = len, .kind = {.binding = binding}};
	struct burst *full;

	if (!o->share) {
		if (prepare_rcu(r, o, &i))
			seal_into_open_rcu(r, o, k, &i);
		return;
	}
	full = pack_gather_rcu(r, o, k, binding, packet, len);
	if (full)
		share_send_rcu(full->bond->outlet, r, full);
}

struct burst *pack_gather_rcu(struct reader *r, struct outlet *o, struct keypair *k,
			      uint8_t binding, uint8_t *packet, size_t len)
{
	struct item i = {.packet = packet, .len = len, .kind = {.binding = binding}};
	struct burst *full = NULL;

	if (!prepare_rcu(r, o, &i))
		return NULL;
	if (!filling_has_room(&r->open, o->bond, k, i.datagram, i.kind)) {
		full = pack_take(r);
		if (!open_burst(r, o, k, i.kind))
			return full;
	}
	filling_put(&r->open, packet, len, i.padded);
	return full;
}

struct burst *pack_take(struct reader *r)
{
	if (r->open.burst && !r->open.burst->n)
		filling_drop(&r->open); /* libcrypto has refused what it was opened for */
	return filling_take(&r->open);
}

struct burst *pack_seal(struct reader *r, struct burst *chain)
{
	struct burst *first = NULL;
	struct burst **end = &first;
	struct burst *next;

	for (; chain; chain = next) {
		uint32_t n = chain->n;

		next = chain->next;
		if (!filling_seal_all(chain)) {
			chain->n = n;
			pack_drop(r, chain, DROP_tx_no_session);
			continue;
		}
		note_sealed(r, chain);
		*end = chain;
		end = &chain->next;
	}
	*end = NULL;
	return first;
}

void pack_drop(struct reader *r, struct burst *b, enum drop_reason reason)
{
	drops_add(&r->network->drops, reason, b->n);
	keypair_put(b->session);
	burst_put(b);
}
