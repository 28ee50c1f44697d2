/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The serial part of receiving: the replay window and the resequencer, per packet. */
#include "bench.h"

#include "crypto/replay.h"
#include "links/reseq.h"

#define LEAD 64			  /* by how many packets the faster of two paths is ahead */
#define PACKET_TIME ((nsec_t)100) /* ten million packets a second */

struct order {
	struct replay *replay;
	struct reseq *reseq;
	uint64_t counter;
	nsec_t now;
	char item;
};

static void replay_in_order(void *ctx, size_t n)
{
	struct order *o = ctx;

	while (n-- > 0)
		bench_need(replay_check(o->replay, o->counter++) == REPLAY_FRESH, "in order");
}

/* As from two paths: the even counters, and the odd ones which are ahead. */
static void replay_two_paths(void *ctx, size_t n)
{
	struct order *o = ctx;

	while (n-- > 0) {
		bench_need(replay_check(o->replay, o->counter) == REPLAY_FRESH, "even");
		bench_need(replay_check(o->replay, o->counter + LEAD + 1) == REPLAY_FRESH, "odd");
		o->counter += 2;
	}
}

static void reseq_in_order(void *ctx, size_t n)
{
	struct order *o = ctx;

	while (n-- > 0) {
		o->now += PACKET_TIME;
		bench_need(reseq_offer(o->reseq, 0, 1, o->counter++, o->now) == RESEQ_DELIVER,
			   "in order");
		bench_need(!reseq_pop(o->reseq, o->now), "nothing held");
	}
}

static void offer_ahead(struct order *o, uint64_t counter)
{
	bench_need(reseq_offer(o->reseq, 1, 1, counter, o->now) == RESEQ_HOLD, "being ahead");
	bench_need(reseq_hold(o->reseq, 1, counter, &o->item, o->now), "holding");
}

/* The odd counters come ahead of time and are held; each even one sets the next odd one free. */
static void reseq_half_held(void *ctx, size_t n)
{
	struct order *o = ctx;

	while (n-- > 0) {
		o->now += 2 * PACKET_TIME;
		offer_ahead(o, o->counter + LEAD + 1);
		bench_need(reseq_offer(o->reseq, 0, 1, o->counter, o->now) == RESEQ_DELIVER,
			   "the awaited one");
		bench_need(reseq_pop(o->reseq, o->now) == &o->item, "one set free");
		bench_need(!reseq_pop(o->reseq, o->now), "but one");
		o->counter += 2;
	}
}

static void begin(struct order *o)
{
	*o = (struct order){.now = NSEC_PER_SEC};
	bench_need(replay_new(&o->replay) == 0, "making a window");
	bench_need(reseq_new(&o->reseq) == 0, "making a resequencer");
}

static void end(struct order *o)
{
	while (reseq_flush(o->reseq))
		;
	reseq_free(o->reseq);
	replay_free(o->replay);
}

/* Packet 0 on the slower path, and LEAD packets' worth of odd ones on the faster. */
static void let_one_path_lead(struct order *o)
{
	bench_need(reseq_offer(o->reseq, 0, 1, 0, o->now) == RESEQ_DELIVER, "the first");
	bench_need(reseq_offer(o->reseq, 1, 1, 1, o->now) == RESEQ_DELIVER, "the second");
	for (o->counter = 2; o->counter < LEAD + 2; o->counter += 2)
		offer_ahead(o, o->counter + 1);
	o->counter = 2;
}

int main(void)
{
	struct order o;

	begin(&o);
	bench_run("replay/in-order", "packet", 1, replay_in_order, &o);
	end(&o);
	begin(&o);
	bench_run("replay/two-paths", "packet", 2, replay_two_paths, &o);
	end(&o);
	begin(&o);
	bench_run("reseq/in-order", "packet", 1, reseq_in_order, &o);
	end(&o);
	begin(&o);
	let_one_path_lead(&o);
	bench_run("reseq/half-held", "packet", 2, reseq_half_held, &o);
	end(&o);
	return EXIT_SUCCESS;
}
