/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/bond.h"

#include <string.h>

#include "dataplane/network_state.h"
#include "wire/frame.h"

bool bond_seal_next(struct burst *b, const struct keypair *k, uint64_t counter, const uint8_t *src,
		    size_t len)
{
	uint8_t *datagram = b->data + b->len;
	const struct wg_data header = {
		.type = le32_make(MESSAGE_DATA),
		.receiver_index = le32_make(k->remote_index),
		.counter = le64_make(counter),
	};
	struct aead_job job = {
		.dst = datagram + sizeof(header),
		.src = src,
		.len = len,
		.counter = counter,
	};

	memcpy(datagram, &header, sizeof(header));
	if (aead_seal(k->send, &job, 1) != 1)
		return false;
	if (!b->n)
		b->stride = datagram_len(len);
	b->len += datagram_len(len);
	b->n++;
	return true;
}

/* Seals the one datagram of a burst, whose plaintext lies in it already. */
static bool seal_in_place(struct burst *b, const struct keypair *k, uint64_t counter)
{
	size_t len = b->len - MESSAGE_DATA_OVERHEAD;

	b->len = b->n = 0;
	return bond_seal_next(b, k, counter, b->data + sizeof(struct wg_data), len);
}

/* A control packet, not yet sealed, padded by zeroes; NULL without a buffer. */
static struct burst *make_control(struct bond *bond, const void *payload, size_t len, size_t padded)
{
	struct burst *b = burst_take(bond->network->bursts);

	if (!b) {
		drops_add(&bond->network->drops, DROP_tx_no_buffer, 1);
		return NULL;
	}
	memcpy(b->data + sizeof(struct wg_data), payload, len);
	memset(b->data + sizeof(struct wg_data) + len, 0, padded - len);
	b->len = b->stride = datagram_len(padded);
	b->n = 1;
	return b;
}

static bool push_control(const struct path_set *set, const struct path_entry *path, struct burst *b)
{
	bool is_sent = false;

	if (path)
		return path_push(path, b);
	for (unsigned i = 0; i < set->n_active; i++)
		is_sent |= path_push(&set->entries[set->active[i]], b);
	return is_sent;
}

/*
 * Tells the peer of a block of counters that it need not wait for: over all active paths, and those
 * that what is bound may take first, so that it comes before any of the block.
 */
static void tell_block(struct bond *bond, const struct path_set *set, struct keypair *k,
		       uint64_t first, uint32_t n, const struct path_binding *binding)
{
	const struct frame f = {.type = FRAME_APART, .apart = {first, n}};
	uint8_t payload[FRAME_PACKET_MAX];
	int len = frame_write(&f, payload, sizeof(payload));
	struct burst *b = len > 0 ? make_control(bond, payload, (size_t)len,
						 wg_padded_len((size_t)len, FRAME_PACKET_MAX))
				  : NULL;

	if (b && seal_in_place(b, k, first)) {
		push_control(set, NULL, b);
		for (unsigned i = 0; binding && i < binding->n; i++) {
			if (!path_set_is_active(set, binding->entries[i]))
				path_push(&set->entries[binding->entries[i]], b);
		}
	}
	if (b)
		burst_put(b);
}

bool bond_take_bound_rcu(struct bond *bond, struct keypair *k, uint8_t binding, uint32_t n,
			 uint64_t *ret_first)
{
	const struct path_set *set = rcu_read(&bond->paths);
	bool is_new;

	if (!set || !set->is_multilink)
		return keypair_take_counters(k, n, ret_first);
	if (!keypair_take_bound(k, n, ret_first, &is_new))
		return false;
	if (is_new)
		tell_block(bond, set, k, *ret_first - 1, KEYPAIR_BOUND_BLOCK,
			   &set->bindings[binding]);
	return true;
}

/*
 * Control packets to another vtrunkd stand apart from the order: nothing is to wait for one that a
 * slow path carries, or a lossy one loses.
 */
static bool seal_control(struct bond *bond, const struct path_set *set, struct burst *b,
			 struct keypair *k)
{
	uint64_t counter;
	bool is_new;

	if (!set || !set->is_multilink || !set->n_active)
		return keypair_take_counters(k, 1, &counter) && seal_in_place(b, k, counter);
	if (!keypair_take_apart(k, &counter, &is_new))
		return false;
	if (is_new)
		tell_block(bond, set, k, counter - 1, KEYPAIR_BLOCK, NULL);
	return seal_in_place(b, k, counter);
}

bool bond_send_control_rcu(struct bond *bond, const struct path_entry *path, const void *payload,
			   size_t len, nsec_t now)
{
	const struct path_set *set = rcu_read(&bond->paths);
	struct keypair *k = peer_send_session_rcu(&bond->peer, now);
	struct burst *b;
	bool is_sent;

	if (!k || (!path && (!set || !set->n_active)))
		return false;
	b = make_control(bond, payload, len, wg_padded_len(len, FRAME_PACKET_MAX));
	if (!b)
		return false;
	is_sent = seal_control(bond, set, b, k) && push_control(set, path, b);
	burst_put(b);
	if (is_sent) {
		peer_mark_sent(&bond->peer, now, false);
		peer_check_rekey_sent(&bond->peer, k, now);
	}
	return is_sent;
}

bool bond_send_mtu_probe_rcu(struct bond *bond, const struct path_entry *path, const void *payload,
			     size_t len, size_t datagram, nsec_t now)
{
	struct keypair *k = peer_send_session_rcu(&bond->peer, now);
	struct burst *b;
	bool is_sent;

	if (!k || datagram < datagram_len(len) || datagram > bond->network->burst_bytes)
		return false;
	b = make_control(bond, payload, len, datagram - MESSAGE_DATA_OVERHEAD);
	if (!b)
		return false;
	b->is_mtu_probe = true;
	/* Not counted for the path: that it is lost must not look like loss. */
	is_sent = seal_control(bond, rcu_read(&bond->paths), b, k) &&
		  link_push(path->path->link, b, &path->to, path->path->id);
	burst_put(b);
	return is_sent;
}

bool bond_send_message_rcu(struct bond *bond, unsigned nth, unsigned first, const void *msg,
			   size_t len)
{
	const struct path_set *set = rcu_read(&bond->paths);
	const struct path_entry *e;

	if (!set || nth >= set->n)
		return false;
	e = path_set_nth(set, (nth + first) % set->n);
	link_send_message(e->path->link, &e->to, e->path->id, msg, len);
	return nth + 1 < set->n;
}

void bond_send_trial_rcu(struct bond *bond, const void *msg, size_t len)
{
	/* relaxed: the poke orders it */
	uint8_t slot = atomic_load_explicit(&bond->trial_slot, memory_order_relaxed);
	const struct path_entry *e = path_set_by_slot(rcu_read(&bond->paths), slot);

	if (e)
		link_send_message(e->path->link, &e->to, e->path->id, msg, len);
}
