/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/lane.h"

#include <stdlib.h>

#include "dataplane/bond.h"
#include "dataplane/intake.h"
#include "dataplane/network_state.h"
#include "dataplane/report.h"
#include "dataplane/tx.h"
#include "wire/frame.h"
#include "wire/inner.h"

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
		intake_take_rcu(d, bond, b);
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
