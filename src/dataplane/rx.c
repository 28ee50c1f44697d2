/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A received burst holds datagrams of one source, nearly always of one session: these are its
 * run. It is cut where the session changes (a rekey, several peers behind one address) or
 * a handshake message lies in between; what follows the first run is copied into a burst of its
 * own, which happens every other minute.
 */
#include "dataplane/rx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/delivery.h"
#include "dataplane/handshaker.h"
#include "dataplane/monitor.h"
#include "dataplane/network_state.h"
#include "dataplane/tx.h"

struct rx {
	struct network *network;
	struct delivery delivery;
	/* bonds whose resequencer's deadline this worker watches */
	struct bond *armed;
};

int rx_new(struct rx **ret, struct network *n)
{
	struct rx *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->network = n;
	delivery_init(&r->delivery, n);
	*ret = r;
	return 0;
}

void rx_free(struct rx *r)
{
	free(r);
}

static nsec_t deadline_of(const struct bond *bond)
{
	return atomic_load_explicit(&bond->lane.deadline, memory_order_relaxed);
}

/* Promises to watch the deadline, if there is one and nobody else does. */
static void arm(struct rx *r, struct bond *bond)
{
	/*
	 * Orders "set the deadline, then look at is_armed" against "give up is_armed, then look
	 * at the deadline": either we promise, or who just gave up does so again.
	 */
	atomic_thread_fence(memory_order_seq_cst);
	/* acquire: the one before us has finished with next_armed */
	if (deadline_of(bond) == NSEC_NEVER ||
	    atomic_exchange_explicit(&bond->lane.is_armed, true, memory_order_acquire))
		return;
	bond->lane.next_armed = r->armed;
	r->armed = bond;
}

/* Gives the bursts of each peer to its lane, as long a chain at once as there is of one. */
static void deliver(void *ctx, struct link_worker *w, struct burst *first, nsec_t now)
{
	struct rx *r = w->user;
	struct burst *last, *next;

	(void)ctx;
	for (; first; first = next) {
		struct bond *bond = first->bond;

		for (last = first; last->next && last->next->bond == bond;)
			last = last->next;
		next = last->next;
		lane_submit(bond, &r->delivery, first, last, now);
		arm(r, bond);
	}
}

static uint32_t receiver_index(const uint8_t *datagram)
{
	const struct wg_data *d = (const void *)datagram;

	return le32_get(d->receiver_index);
}

static bool is_data(const uint8_t *datagram, uint32_t len)
{
	return len >= MESSAGE_DATA_OVERHEAD && wg_message_type(datagram, len) == MESSAGE_DATA;
}

/* How many datagrams from `begin` on, of those for one burst, are data of the same session. */
static uint32_t run_length(struct burst *b, uint32_t begin)
{
	uint32_t index = receiver_index(burst_datagram(b, begin));
	uint32_t end = b->n - begin > BURST_DATAGRAMS ? begin + BURST_DATAGRAMS : b->n;
	uint32_t i = begin + 1;

	while (i < end && is_data(burst_datagram(b, i), burst_datagram_len(b, i)) &&
	       receiver_index(burst_datagram(b, i)) == index)
		i++;
	return i - begin;
}

/* A burst of its own with `n` datagrams from `begin` on; NULL when the pool is empty. */
static struct burst *cut(struct burst *b, uint32_t begin, uint32_t n)
{
	struct burst *part = burst_take(b->pool);
	uint32_t last = begin + n - 1;

	if (!part)
		return NULL;
	part->stride = b->stride;
	part->n = n;
	part->len = (n - 1) * b->stride + burst_datagram_len(b, last);
	part->link = b->link;
	part->from = b->from;
	part->ecn = b->ecn;
	part->received = b->received;
	memcpy(part->data, burst_datagram(b, begin), part->len);
	return part;
}

/* Opens all datagrams in place; marks those that are not authentic. Returns how many are. */
static uint32_t open_burst(struct burst *b, struct keypair *k)
{
	struct aead_job jobs[BURST_DATAGRAMS];
	uint32_t opened;

	for (uint32_t i = 0; i < b->n; i++) {
		uint8_t *datagram = burst_datagram(b, i);
		const struct wg_data *header = (const void *)datagram;

		jobs[i] = (struct aead_job){
			.dst = datagram + sizeof(*header),
			.src = datagram + sizeof(*header),
			.len = burst_datagram_len(b, i) - MESSAGE_DATA_OVERHEAD,
			.counter = le64_get(header->counter),
		};
	}
	opened = (uint32_t)aead_open(k->recv, jobs, b->n);
	for (uint32_t i = 0; i < b->n; i++) {
		if (jobs[i].is_done && jobs[i].counter < REJECT_AFTER_MESSAGES)
			continue;
		opened -= jobs[i].is_done;
		burst_datagram(b, i)[0] = 0;
	}
	return opened;
}

/* A burst that is one run, which it takes over. Returns it opened, or NULL. */
static struct burst *take_run(struct network *n, struct link *l, struct burst *b)
{
	enum drop_reason reason = DROP_rx_unknown_index;
	struct keypair *k;
	struct bond *bond;
	uint32_t opened;

	rcu_begin();
	k = device_session_rcu(n->device, receiver_index(b->data));
	if (k && !keypair_can_receive(k, b->received)) {
		reason = DROP_rx_expired_session;
		k = NULL;
	}
	if (!k) {
		rcu_end();
		drops_add(&l->drops, reason, b->n);
		burst_put(b);
		return NULL;
	}
	opened = open_burst(b, k);
	if (opened < b->n)
		drops_add(&l->drops, DROP_rx_bad_tag, b->n - opened);
	if (!opened) {
		rcu_end();
		burst_put(b);
		return NULL;
	}
	bond = bond_of(k->peer);
	b->path_slot = path_set_slot(rcu_read(&bond->paths), l, &b->from.remote);
	b->session = keypair_get(k);
	rcu_end();
	b->bond = bond;
	b->next = NULL;
	return b;
}

/* A datagram that is no data: handshake messages go to their thread, all else is dropped. */
static void take_message(struct network *n, struct link *l, const struct burst *b,
			 const uint8_t *msg, uint32_t len)
{
	uint32_t type = wg_message_type(msg, len);

	if (!wg_is_handshake(type, len))
		drops_add(&l->drops, DROP_rx_malformed, 1);
	else if (type != MESSAGE_HANDSHAKE_COOKIE && !device_check_mac1(n->device, msg, len))
		drops_add(&l->drops, DROP_rx_bad_mac1, 1);
	else if (!handshaker_post(n->handshaker, l, &b->from, msg, len))
		drops_add(&l->drops, DROP_rx_handshake_queue, 1);
}

static struct burst *received(void *ctx, struct link_worker *w, struct burst *b)
{
	struct network *n = ctx;
	struct link *l = w->link;
	struct burst *first = NULL;
	struct burst **end = &first;
	struct burst *part;
	uint32_t run;

	if (b->n == 0)
		drops_add(&l->drops, DROP_rx_malformed, 1);
	for (uint32_t i = 0; i < b->n; i += run) {
		uint8_t *datagram = burst_datagram(b, i);
		uint32_t len = burst_datagram_len(b, i);

		run = 1;
		if (!is_data(datagram, len)) {
			take_message(n, l, b, datagram, len);
			continue;
		}
		run = run_length(b, i);
		if (run == b->n)
			return take_run(n, l, b);
		part = cut(b, i, run);
		if (!part) {
			drops_add(&l->drops, DROP_rx_no_buffer, run);
			continue;
		}
		*end = take_run(n, l, part);
		if (*end)
			end = &part->next;
	}
	burst_put(b);
	return first;
}

void rx_remove_bonds(struct rx *r)
{
	struct bond **at = &r->armed;
	struct bond *bond;

	while ((bond = *at)) {
		if (bond->is_removed)
			*at = bond->lane.next_armed;
		else
			at = &bond->lane.next_armed;
	}
}

void rx_take_over(struct rx *r, struct rx *ended)
{
	struct bond *bond;

	while ((bond = ended->armed)) {
		ended->armed = bond->lane.next_armed;
		atomic_store_explicit(&bond->lane.is_armed, false, memory_order_release);
		if (r)
			arm(r, bond);
	}
}

/* For a bond just taken out of the list; returns the deadline if there is a new one by now. */
static nsec_t disarm(struct rx *r, struct bond *bond)
{
	atomic_store_explicit(&bond->lane.is_armed, false, memory_order_release);
	arm(r, bond);
	return deadline_of(bond);
}

/* Watches the deadlines that it has promised to; returns the earliest that is left. */
static nsec_t watch_deadlines(struct rx *r, nsec_t now)
{
	struct bond **at = &r->armed;
	nsec_t earliest = NSEC_NEVER;
	struct bond *bond;
	nsec_t deadline;

	while ((bond = *at)) {
		deadline = deadline_of(bond);
		if (deadline <= now) {
			lane_expire(bond, &r->delivery, now);
			deadline = deadline_of(bond);
		}
		if (deadline == NSEC_NEVER) {
			*at = bond->lane.next_armed;
			earliest = nsec_min(earliest, disarm(r, bond));
			continue;
		}
		/* Another holder may be about to move it: look again soon, not at once. */
		earliest = nsec_min(earliest, nsec_max(deadline, now + NSEC_PER_MSEC / 4));
		at = &bond->lane.next_armed;
	}
	return earliest;
}

static nsec_t batch_done(void *ctx, struct link_worker *w, nsec_t now)
{
	const struct network *n = ctx;

	tx_note_bulk(n->tx, w->patience.is_wanted);
	return watch_deadlines(w->user, now);
}

static void failed(void *ctx, struct link *l, uint32_t path_id, int error)
{
	const struct event e = {
		.kind = EVENT_FAILED,
		.link = l,
		.path_id = path_id,
		.error = error,
		.at = clock_now(),
	};

	monitor_post(ctx, &e); /* if it is lost: pings will miss their answers */
}

static void has_room(void *ctx, struct link *l)
{
	struct network *n = ctx;

	(void)l;
	tx_kick(n->tx);
}

const struct link_calls rx_link_calls = {
	.received = received,
	.deliver = deliver,
	.batch_done = batch_done,
	.failed = failed,
	.has_room = has_room,
};
