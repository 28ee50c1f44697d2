/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 *            +-- path 0: rate, queue, delay, jitter, loss --+
 *   sched ---+-- path 1                                     +--- reseq
 *            +-- path n                                     +
 */
#include "bondsim.h"
#include "check_main.h"
#include "links/fifo.h"

#define MSEC NSEC_PER_MSEC
#define SEEDS 2500
#define PACKETS 400

static void draw_path(struct bond *b, unsigned i)
{
	struct simnet_path *p = simnet_path(b->net, i);

	b->candidates[i].weight = 1 + (uint32_t)simnet_below(b->net, 4);
	p->rate_bps = 1000000 << simnet_below(b->net, 8);
	p->queue = (nsec_t)simnet_below(b->net, 300) * MSEC;
	p->delay = (nsec_t)simnet_below(b->net, 150) * MSEC;
	p->jitter = (nsec_t)simnet_below(b->net, 20) * MSEC;
	p->wander = simnet_chance(b->net, 0.3) ? (nsec_t)simnet_below(b->net, 60) * MSEC : 0;
	p->may_reorder = simnet_chance(b->net, 0.3);
	p->loss = simnet_chance(b->net, 0.5) ? 0 : 0.1;
	if (simnet_chance(b->net, 0.3)) {
		p->dead_from = simnet_now(b->net) + (nsec_t)simnet_below(b->net, 500) * MSEC;
		p->dead_to = p->dead_from + (nsec_t)simnet_below(b->net, 1000) * MSEC;
	}
}

/* Anything that may happen to a peer: rekeys, jumps of the counter, pauses, bursts, other rates. */
static struct bond *run_anything(uint64_t seed, bool has_repair)
{
	struct bond *b = bond_new(seed, 1 + (unsigned)(seed % 4), PACKETS);
	uint64_t pause_us = 1ULL << simnet_below(b->net, 15);

	b->has_repair = has_repair;
	b->repair_delay = (nsec_t)simnet_below(b->net, 150) * MSEC;
	b->repair_loss = simnet_chance(b->net, 0.5) ? 0 : 0.3;

	b->counter = simnet_below(b->net, 100);
	for (unsigned i = 0; i < b->n_paths; i++)
		draw_path(b, i);
	for (unsigned i = 0; i < PACKETS; i++) {
		bond_send(b, 100 + simnet_below(b->net, 1300));
		if (simnet_chance(b->net, 0.01))
			bond_rekey(b);
		if (simnet_chance(b->net, 0.01))
			b->counter += simnet_below(b->net, 3 * RESEQ_WINDOW);
		if (simnet_chance(b->net, 0.01))
			simnet_path(b->net, (unsigned)simnet_below(b->net, b->n_paths))->rate_bps =
				1000000 << simnet_below(b->net, 8);
		if (simnet_chance(b->net, 0.005))
			b->counter += simnet_random(b->net) >> 6;
		if (simnet_chance(b->net, 0.8))
			bond_wait(b, (nsec_t)simnet_below(b->net, pause_us) * NSEC_PER_USEC);
	}
	bond_finish(b);
	return b;
}

static void check_invariants(const struct bond *b, uint64_t seed)
{
	for (size_t i = 0; i < b->n_packets; i++) {
		const struct bond_packet *p = &b->packets[i];

		ck_assert_msg(p->n_deliveries == (p->is_lost ? 0 : 1),
			      "seed %lu: packet %zu delivered %u times", (unsigned long)seed, i,
			      p->n_deliveries);
	}
	ck_assert_msg(!b->n_misordered, "seed %lu: %zu packets out of order, not called late",
		      (unsigned long)seed, b->n_misordered);
	ck_assert_msg(b->longest_hold <= RESEQ_HOLD_MAX, "seed %lu: held for %ld ms",
		      (unsigned long)seed, (long)(b->longest_hold / MSEC));
	ck_assert_msg(!reseq_held(b->reseq), "seed %lu: something is still held",
		      (unsigned long)seed);
}

START_TEST(every_packet_is_delivered_once_in_order_and_in_time)
{
	struct reseq_stats sum = {0};
	struct reseq_stats s;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct bond *b = run_anything(seed, _i);

		check_invariants(b, seed);
		reseq_stats(b->reseq, &s);
		sum.asked += s.asked;
		sum.repaired += s.repaired;
		sum.in_order += s.in_order;
		sum.held += s.held;
		sum.late += s.late;
		sum.proven_lost += s.proven_lost;
		sum.deadlines += s.deadlines;
		bond_free(b);
	}
	/* All of it has been exercised. */
	ck_assert(sum.in_order && sum.held && sum.late && sum.proven_lost && sum.deadlines);
	ck_assert(!_i == !sum.asked && !_i == !sum.repaired);
}
END_TEST

/* `pps` packets a second for `duration`, all of one size. */
static void send_steadily(struct bond *b, unsigned pps, nsec_t duration)
{
	unsigned n = (unsigned)(duration / (NSEC_PER_SEC / pps));

	for (unsigned i = 0; i < n; i++) {
		bond_send(b, 1400);
		bond_wait(b, NSEC_PER_SEC / pps);
	}
}

START_TEST(equal_paths_without_loss_give_no_late_packet_and_no_deadline)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct bond *b = bond_new(seed, 1 + (unsigned)(seed % 5), 2000);
		nsec_t delay = (nsec_t)simnet_below(b->net, 100) * MSEC;
		struct reseq_stats s;

		for (unsigned i = 0; i < b->n_paths; i++)
			*simnet_path(b->net, i) =
				(struct simnet_path){.rate_bps = 100000000, .delay = delay};
		send_steadily(b, 50 + (unsigned)simnet_below(b->net, 5000), 100 * MSEC);
		bond_finish(b);
		check_invariants(b, seed);
		reseq_stats(b->reseq, &s);
		ck_assert_uint_eq(s.in_order + s.held, b->n_packets);
		ck_assert_uint_eq(s.late, 0);
		ck_assert_uint_eq(s.deadlines, 0);
		ck_assert_uint_eq(s.proven_lost, 0);
		bond_free(b);
	}
}
END_TEST

START_TEST(any_spread_is_learnt_and_then_nothing_is_late)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct bond *b = bond_new(seed, 2, 10000);
		nsec_t spread = (nsec_t)simnet_below(b->net, 250) * MSEC;
		unsigned pps = 100 + (unsigned)simnet_below(b->net, 900);
		struct reseq_stats before;
		struct reseq_stats after;

		simnet_path(b->net, 0)->delay = 10 * MSEC;
		simnet_path(b->net, 1)->delay = 10 * MSEC + spread;
		send_steadily(b, pps, 3 * NSEC_PER_SEC);
		reseq_stats(b->reseq, &before);
		send_steadily(b, pps, 3 * NSEC_PER_SEC);
		reseq_stats(b->reseq, &after);
		ck_assert_msg(after.late == before.late, "spread %ld ms: %lu late packets",
			      (long)(spread / MSEC), (unsigned long)(after.late - before.late));
		ck_assert_int_le(reseq_hold_time(b->reseq), spread * 2 + 20 * MSEC);
		bond_finish(b);
		check_invariants(b, seed);
		bond_free(b);
	}
}
END_TEST

START_TEST(dead_path_delays_the_others_for_a_moment_only)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct bond *b = bond_new(seed, 3, 20000);
		struct reseq_stats before;
		struct reseq_stats after;

		for (unsigned i = 0; i < 3; i++)
			simnet_path(b->net, i)->delay = (nsec_t)simnet_below(b->net, 60) * MSEC;
		send_steadily(b, 1000, NSEC_PER_SEC);
		simnet_path(b->net, 1)->dead_from = simnet_now(b->net);
		simnet_path(b->net, 1)->dead_to = NSEC_NEVER;
		send_steadily(b, 1000, FIFO_ACTIVE_TIME + 100 * MSEC);
		reseq_stats(b->reseq, &before);
		send_steadily(b, 1000, NSEC_PER_SEC);
		reseq_stats(b->reseq, &after);
		/* A third of the packets is missing; a few may fall to the deadline first. */
		ck_assert_uint_ge(after.proven_lost, before.proven_lost + 320);
		ck_assert_uint_le(after.deadlines, before.deadlines + 10);
		ck_assert_uint_eq(after.late, before.late);
		bond_finish(b);
		check_invariants(b, seed);
		bond_free(b);
	}
}
END_TEST

/* Two paths of 10 and 20 ms, `loss` on each of them and on what goes back. */
static struct bond *lossy_bond(uint64_t seed, double loss, size_t packets)
{
	struct bond *b = bond_new(seed, 2, packets);

	for (unsigned i = 0; i < 2; i++) {
		simnet_path(b->net, i)->delay = (10 + 10 * (nsec_t)i) * MSEC;
		simnet_path(b->net, i)->jitter = MSEC;
		simnet_path(b->net, i)->loss = loss;
	}
	b->has_repair = true;
	b->repair_delay = 10 * MSEC;
	b->repair_loss = loss;
	return b;
}

START_TEST(what_is_lost_is_repaired_in_order)
{
	size_t n = 0;
	size_t lost = 0;
	size_t late = 0;
	size_t again = 0;

	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct bond *b = lossy_bond(seed, 0.03, 10000);

		send_steadily(b, 2000, 2 * NSEC_PER_SEC);
		b->longest_hold = 0;
		send_steadily(b, 2000, 3 * NSEC_PER_SEC);
		bond_finish(b);
		check_invariants(b, seed);
		for (size_t i = 0; i < b->n_packets; i++) {
			lost += b->packets[i].is_lost;
			late += b->packets[i].is_late;
		}
		n += b->n_packets;
		again += b->n_again;
		/* A request or its answer may be lost; three tries are bounded. */
		ck_assert_int_le(b->longest_hold, 250 * MSEC);
		bond_free(b);
	}
	ck_assert_uint_le(lost, n / 1000);
	ck_assert_uint_le(late, n / 1000);
	/* What is lost, and a little in vain. */
	ck_assert_uint_le(again, n * 4 / 100);
}
END_TEST

START_TEST(a_peer_that_brings_nothing_is_not_waited_for)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct bond *b = lossy_bond(seed, 0.01, 20000);
		nsec_t before;

		b->repair_loss = 1;
		send_steadily(b, 2000, 3 * NSEC_PER_SEC);
		before = b->total_hold;
		send_steadily(b, 2000, 3 * NSEC_PER_SEC);
		/* The spread is 10 ms, and half of the packets have to wait for it. */
		ck_assert_int_le((b->total_hold - before) / 6000, 10 * MSEC);
		bond_finish(b);
		check_invariants(b, seed);
		bond_free(b);
	}
}
END_TEST

START_TEST(a_spread_that_grows_is_not_taken_for_loss_for_long)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct bond *b = lossy_bond(seed, 0, 20000);
		struct reseq_stats before;
		struct reseq_stats after;

		send_steadily(b, 1000, 3 * NSEC_PER_SEC);
		simnet_path(b->net, 1)->delay = 100 * MSEC;
		send_steadily(b, 1000, 3 * NSEC_PER_SEC);
		reseq_stats(b->reseq, &before);
		send_steadily(b, 1000, 3 * NSEC_PER_SEC);
		reseq_stats(b->reseq, &after);
		ck_assert_uint_eq(after.late, before.late);
		ck_assert_msg(after.asked - before.asked <= 150, "seed %lu: asked for %lu",
			      (unsigned long)seed, (unsigned long)(after.asked - before.asked));
		bond_finish(b);
		check_invariants(b, seed);
		bond_free(b);
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("sim_reseq");
	TCase *t = tcase_create("sim_reseq");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, every_packet_is_delivered_once_in_order_and_in_time, 0, 2);
	tcase_add_test(t, equal_paths_without_loss_give_no_late_packet_and_no_deadline);
	tcase_add_test(t, any_spread_is_learnt_and_then_nothing_is_late);
	tcase_add_test(t, dead_path_delays_the_others_for_a_moment_only);
	tcase_add_test(t, what_is_lost_is_repaired_in_order);
	tcase_add_test(t, a_peer_that_brings_nothing_is_not_waited_for);
	tcase_add_test(t, a_spread_that_grows_is_not_taken_for_loss_for_long);
	suite_add_tcase(s, t);
	return s;
}
