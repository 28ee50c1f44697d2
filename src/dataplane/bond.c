/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/bond.h"

#include <string.h>

#include "dataplane/network_state.h"

bool bond_seal(struct burst *b, struct keypair *k)
{
	struct aead_job jobs[BURST_DATAGRAMS];
	uint64_t counter;

	if (!keypair_take_counters(k, b->n, &counter))
		return false;
	for (uint32_t i = 0; i < b->n; i++) {
		uint8_t *datagram = burst_datagram(b, i);
		const struct wg_data header = {
			.type = le32_make(MESSAGE_DATA),
			.receiver_index = le32_make(k->remote_index),
			.counter = le64_make(counter + i),
		};

		memcpy(datagram, &header, sizeof(header));
		jobs[i] = (struct aead_job){
			.dst = datagram + sizeof(header),
			.src = datagram + sizeof(header),
			.len = burst_datagram_len(b, i) - MESSAGE_DATA_OVERHEAD,
			.counter = counter + i,
		};
	}
	return aead_seal(k->send, jobs, b->n) == b->n;
}

static bool push(const struct path_entry *e, struct burst *b)
{
	struct path *p = e->path;

	if (!link_push(p->link, b, &e->to, p->id))
		return false;
	path_count_add(&p->sent, b->n, b->len);
	return true;
}

/* Every active path gets a copy; one whose queue is full must not hold up the others. */
static enum bond_sent transmit_all(const struct path_set *set, struct burst *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < set->n_active; i++) {
		const struct path_entry *e = &set->entries[set->active[i]];

		if (link_has_room(e->path->link) && push(e, b))
			n++;
	}
	return n ? BOND_SENT : BOND_FULL;
}

/* By weight among those that have room, so that a slow path does not idle a fast one. */
static enum bond_sent transmit_by_weight(struct bond *bond, const struct path_set *set,
					 struct burst *b)
{
	struct sched_candidate candidates[PATHS_MAX];
	uint8_t entry_of[PATHS_MAX];
	unsigned n = 0;
	unsigned pick;

	for (unsigned i = 0; i < set->n_active; i++) {
		const struct path_entry *e = &set->entries[set->active[i]];

		if (!link_has_room(e->path->link))
			continue;
		candidates[n] = (struct sched_candidate){e->path->slot, e->weight};
		entry_of[n++] = set->active[i];
	}
	if (!n)
		return BOND_FULL;
	pick = sched_pick(&bond->sched, candidates, n);
	if (!push(&set->entries[entry_of[pick]], b))
		return BOND_FULL;
	sched_charge(&bond->sched, &candidates[pick], b->len);
	return BOND_SENT;
}

enum bond_sent bond_transmit_rcu(struct bond *bond, struct burst *b)
{
	const struct path_set *set = rcu_read(&bond->paths);

	if (!set || !set->n_active)
		return BOND_NO_PATH;
	if (set->mode == BOND_REDUNDANT)
		return transmit_all(set, b);
	return transmit_by_weight(bond, set, b);
}

bool bond_send_control_rcu(struct bond *bond, const struct path_entry *path, const void *payload,
			   size_t len, nsec_t now)
{
	const struct path_set *set = rcu_read(&bond->paths);
	struct keypair *k = peer_send_session_rcu(&bond->peer, now);
	size_t padded = wg_padded_len(len, bond->network->settings->mtu);
	struct burst *b;
	bool is_sent = false;

	if (!k || (!path && (!set || !set->n_active)))
		return false;
	b = burst_take(bond->network->bursts);
	if (!b) {
		drops_add(&bond->network->drops, DROP_tx_no_buffer, 1);
		return false;
	}
	memcpy(b->data + sizeof(struct wg_data), payload, len);
	memset(b->data + sizeof(struct wg_data) + len, 0, padded - len);
	b->len = b->stride = datagram_len(padded);
	b->n = 1;
	if (bond_seal(b, k)) {
		if (path)
			is_sent = push(path, b);
		for (unsigned i = 0; !path && i < set->n_active; i++)
			is_sent |= push(&set->entries[set->active[i]], b);
	}
	burst_put(b);
	if (is_sent) {
		peer_mark_sent(&bond->peer, now, false);
		peer_check_rekey_sent(&bond->peer, k, now);
	}
	return is_sent;
}

bool link_send_message(struct link *l, const struct endpoint *to, uint32_t path_id, const void *msg,
		       size_t len)
{
	struct burst *b = burst_take(l->bursts);
	bool is_sent;

	if (!b) {
		drops_add(&l->drops, DROP_tx_no_buffer, 1);
		return false;
	}
	memcpy(b->data, msg, len);
	b->len = b->stride = (uint32_t)len;
	b->n = 1;
	is_sent = link_push(l, b, to, path_id);
	if (!is_sent)
		drops_add(&l->drops, DROP_tx_ring_full, 1);
	burst_put(b);
	return is_sent;
}

void bond_send_message_rcu(struct bond *bond, const void *msg, size_t len)
{
	const struct path_set *set = rcu_read(&bond->paths);

	/* Over all of them, the dead ones too: one that works is enough (S1-34, D31). */
	for (unsigned i = 0; set && i < set->n; i++) {
		const struct path_entry *e = &set->entries[i];

		link_send_message(e->path->link, &e->to, e->path->id, msg, len);
	}
}
