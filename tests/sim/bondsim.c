/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "bondsim.h"

#include <assert.h>
#include <stdlib.h>

/* A slot no path has: "delivering" the oldest packet over and over, it defeats the proof. */
#define HINDRANCE (RESEQ_PATHS - 1)

struct bond *bond_new(uint64_t seed, unsigned n_paths, size_t packets)
{
	struct bond *b = calloc(1, sizeof(*b));

	assert(b);
	b->net = simnet_new(seed);
	b->packets = calloc(packets, sizeof(*b->packets));
	b->room = packets;
	b->n_paths = n_paths;
	b->session = 1;
	for (unsigned i = 0; i < n_paths; i++)
		b->candidates[i] = (struct sched_candidate){.slot = (uint8_t)i, .weight = 1};
	if (!b->packets || reseq_new(&b->reseq) < 0)
		abort();
	return b;
}

void bond_free(struct bond *b)
{
	reseq_free(b->reseq);
	simnet_free(b->net);
	free(b->packets);
	free(b);
}

static bool is_after(const struct bond_packet *a, const struct bond_packet *b)
{
	return a->session != b->session ? a->session > b->session : a->counter > b->counter;
}

static void deliver(struct bond *b, struct bond_packet *p)
{
	nsec_t hold;

	p->delivery = simnet_now(b->net);
	hold = p->delivery - p->arrival;
	b->longest_hold = nsec_max(b->longest_hold, hold);
	b->total_hold += hold;
	p->n_deliveries++;
	if (p->is_late)
		return;
	if (b->newest_in_order && !is_after(p, b->newest_in_order))
		b->n_misordered++;
	b->newest_in_order = p;
}

static void look(struct simnet *net, void *context, uint64_t wake);
static void arrive(struct simnet *net, void *context, uint64_t value);

/* Over the path of least delay. */
static void send_again(struct simnet *net, void *context, uint64_t index)
{
	struct bond *b = context;
	struct bond_packet *p = &b->packets[index];
	unsigned best = 0;

	for (unsigned i = 1; i < b->n_paths; i++) {
		if (simnet_path(net, i)->delay < simnet_path(net, best)->delay)
			best = i;
	}
	b->n_again++;
	if (simnet_send(net, best, 1400, arrive, b, index * SIMNET_PATHS + best))
		p->is_lost = false;
}

static void ask(struct bond *b)
{
	struct reseq_gap gaps[8];
	unsigned n = reseq_ask(b->reseq, simnet_now(b->net), gaps, 8);

	for (unsigned i = 0; i < n; i++) {
		bool is_asked = !simnet_chance(b->net, b->repair_loss);

		for (size_t j = b->n_packets; is_asked && j-- && b->n_packets - j < 4096;) {
			const struct bond_packet *p = &b->packets[j];

			if (p->session == gaps[i].session && p->counter >= gaps[i].counter &&
			    p->counter - gaps[i].counter < gaps[i].n)
				simnet_at(b->net, simnet_now(b->net) + b->repair_delay, send_again,
					  b, j);
		}
	}
}

static void pop_all(struct bond *b)
{
	struct bond_packet *p;
	nsec_t deadline;

	reseq_allow_repair(b->reseq, b->has_repair, 0);
	while ((p = reseq_pop(b->reseq, simnet_now(b->net))))
		deliver(b, p);
	ask(b);
	deadline = reseq_deadline(b->reseq);
	if (deadline == NSEC_NEVER || (b->wake && b->wake <= deadline))
		return;
	b->wake = deadline;
	simnet_at(b->net, deadline, look, b, (uint64_t)deadline);
}

static void look(struct simnet *net, void *context, uint64_t wake)
{
	struct bond *b = context;

	(void)net;
	if (b->wake != (nsec_t)wake)
		return; /* an earlier look has taken its place */
	b->wake = 0;
	pop_all(b);
}

static void arrive(struct simnet *net, void *context, uint64_t value)
{
	struct bond *b = context;
	struct bond_packet *p = &b->packets[value / SIMNET_PATHS];
	unsigned path = value % SIMNET_PATHS;
	enum reseq_verdict verdict;

	if (p->has_come) {
		reseq_copy(b->reseq, path, p->session, p->counter, simnet_now(net));
		pop_all(b);
		return;
	}
	p->has_come = true;
	p->arrival = simnet_now(net);
	if (b->has_no_proof)
		reseq_copy(b->reseq, HINDRANCE, p->session, 0, p->arrival);
	verdict = reseq_offer(b->reseq, path, p->session, p->counter, p->arrival);
	p->is_late = verdict == RESEQ_LATE;
	if (verdict != RESEQ_HOLD)
		deliver(b, p);
	else if (!reseq_hold(b->reseq, p->session, p->counter, p, p->arrival))
		abort();
	pop_all(b);
}

void bond_send(struct bond *b, size_t bytes)
{
	const struct sched_candidate *c =
		&b->candidates[sched_pick(&b->sched, b->candidates, b->n_paths)];
	uint64_t value = b->n_packets * SIMNET_PATHS + c->slot;
	struct bond_packet *p = &b->packets[b->n_packets++];

	assert(b->n_packets <= b->room);
	p->session = b->session;
	p->counter = b->counter++;
	sched_charge(&b->sched, c, bytes);
	p->is_lost = !simnet_send(b->net, c->slot, bytes, arrive, b, value);
}

void bond_rekey(struct bond *b)
{
	b->session++;
	b->counter = 0;
}

void bond_wait(struct bond *b, nsec_t time)
{
	simnet_run(b->net, simnet_now(b->net) + time);
}

void bond_finish(struct bond *b)
{
	while (simnet_run(b->net, simnet_now(b->net) + NSEC_PER_SEC))
		;
}
