/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * One sender that always has data, path control, one path, and reports that come back: is the
 * path filled, is the queue short, are changes of rate followed?
 */
#include "links/pathctl.h"

#include <stdio.h>
#include <string.h>

#include "check_main.h"
#include "sim/simnet.h"

#define PACKET_BYTES 1452
/* As dataplane/report.h has them. */
#define REPORT_INTERVAL (5 * NSEC_PER_MSEC)
#define REPORT_BYTES (64 << 10)
#define LATE_INTERVAL (20 * NSEC_PER_MSEC)
#define CLOCK_OFFSET (-77777 * NSEC_PER_SEC) /* the peer's clock is another one */
#define FORWARD 0
#define BACKWARD 1
#define MBIT(x) ((uint64_t)(x)*1000 * 1000)
#define MSEC(x) ((x)*NSEC_PER_MSEC)

struct run {
	struct simnet *net;
	struct pathctl ctl;
	uint64_t counter;
	/* receiver */
	struct pathctl_report last;
	uint64_t reported_bytes;
	bool has_news, is_report_armed;
	nsec_t late; /* now and then it looks up to so much later */
	nsec_t late_until, next_late;
	struct pathctl_report reports[4096];
	unsigned n_reports;
	/* the sender's timer */
	nsec_t timer_at;
	nsec_t demand_until; /* after it nothing is sent */
	uint64_t demand_bps; /* 0: all that is allowed */
	nsec_t next_demand;
	/* measured since reset() */
	uint64_t delivered;
	nsec_t queue_max, queue_sum;
	uint64_t queue_samples;
	unsigned n_held; /* what was wanted to leave and might not at once */
};

static void try_send(struct run *r);

static void on_report(struct simnet *net, void *context, uint64_t value)
{
	struct run *r = context;

	pathctl_report(&r->ctl, &r->reports[value % 4096], simnet_now(net));
	try_send(r);
}

static void send_report(struct simnet *net, void *context, uint64_t value)
{
	struct run *r = context;

	if (value)
		r->is_report_armed = false;
	if (!r->has_news)
		return;
	r->has_news = false;
	r->reported_bytes = r->last.rx_bytes;
	r->reports[r->n_reports % 4096] = r->last;
	simnet_send(net, BACKWARD, 100, on_report, r, r->n_reports++);
}

/* Does the receiver have other things to do now? */
static bool is_late(struct run *r, nsec_t now)
{
	if (r->late && now >= r->next_late) {
		r->late_until = now + (nsec_t)simnet_below(r->net, (uint64_t)r->late);
		r->next_late = now + (nsec_t)simnet_below(r->net, 2 * LATE_INTERVAL);
	}
	return now < r->late_until;
}

static void on_packet(struct simnet *net, void *context, uint64_t counter)
{
	struct run *r = context;

	if (is_late(r, simnet_now(net))) {
		simnet_at(net, r->late_until, on_packet, r, counter);
		return;
	}
	r->last.counter = counter;
	r->last.session = 1;
	r->last.rx_bytes += PACKET_BYTES;
	r->last.arrival = simnet_now(net) + CLOCK_OFFSET;
	r->has_news = true;
	r->delivered += PACKET_BYTES;
	if (r->last.rx_bytes - r->reported_bytes >= REPORT_BYTES)
		send_report(net, r, 0);
	if (!r->is_report_armed)
		simnet_at(net, simnet_now(net) + REPORT_INTERVAL, send_report, r, 1);
	r->is_report_armed = true;
}

static void on_timer(struct simnet *net, void *context, uint64_t value)
{
	struct run *r = context;

	(void)net;
	(void)value;
	r->timer_at = NSEC_NEVER;
	try_send(r);
}

static void set_timer(struct run *r, nsec_t at)
{
	if (at >= r->timer_at)
		return;
	r->timer_at = at;
	simnet_at(r->net, at, on_timer, r, 0);
}

static uint64_t burst_packets(const struct run *r)
{
	uint64_t n = pathctl_burst_bytes(&r->ctl) / PACKET_BYTES;

	if (n < 1 || r->demand_bps)
		return 1;
	return n > 45 ? 45 : n;
}

static void send_burst(struct run *r, uint64_t n)
{
	nsec_t now = simnet_now(r->net);
	nsec_t queue = simnet_backlog(r->net, FORWARD);

	r->queue_max = nsec_max(r->queue_max, queue);
	r->queue_sum += queue;
	r->queue_samples++;
	pathctl_sent(&r->ctl, SENT_NEW, 1, r->counter, (uint32_t)n, n * PACKET_BYTES, now);
	for (uint64_t i = 0; i < n; i++)
		simnet_send(r->net, FORWARD, PACKET_BYTES, on_packet, r, r->counter++);
}

static void try_send(struct run *r)
{
	nsec_t now = simnet_now(r->net);

	for (int budget = 1000; budget && now < r->demand_until; budget--) {
		uint64_t n = burst_packets(r);
		nsec_t at;

		if (r->demand_bps && now < r->next_demand) {
			set_timer(r, r->next_demand);
			return;
		}
		at = pathctl_ready_at(&r->ctl, n * PACKET_BYTES, pathctl_standing(&r->ctl), now);
		if (at == NSEC_NEVER)
			at = now + 20 * NSEC_PER_MSEC;
		if (at > now) {
			r->n_held++;
			set_timer(r, nsec_max(at, now + 250 * NSEC_PER_USEC));
			return;
		}
		send_burst(r, n);
		if (r->demand_bps)
			r->next_demand = nsec_max(r->next_demand, now - NSEC_PER_MSEC) +
					 (nsec_t)(PACKET_BYTES * 8 * 1e9 / (double)r->demand_bps);
	}
}

static void run_begin(struct run *r, uint64_t seed, uint64_t rate_bps, nsec_t delay)
{
	memset(r, 0, sizeof(*r));
	r->net = simnet_new(seed);
	*simnet_path(r->net, FORWARD) = (struct simnet_path){
		.rate_bps = rate_bps, .queue = 100 * NSEC_PER_MSEC, .delay = delay};
	*simnet_path(r->net, BACKWARD) = (struct simnet_path){.delay = delay};
	pathctl_init(&r->ctl, 1, 1, simnet_now(r->net));
	r->timer_at = NSEC_NEVER;
	r->demand_until = NSEC_NEVER;
}

/* Runs on for `elapsed`. */
static void measure(struct run *r, nsec_t elapsed)
{
	nsec_t until = simnet_now(r->net) + elapsed;

	r->delivered = 0;
	r->queue_max = r->queue_sum = 0;
	r->queue_samples = r->n_held = 0;
	try_send(r);
	simnet_run(r->net, until);
}

static double goodput(const struct run *r, nsec_t elapsed)
{
	return (double)r->delivered * 8 * 1e9 / (double)elapsed;
}

static double queue_mean_ms(const struct run *r)
{
	return r->queue_samples ? (double)r->queue_sum / (double)r->queue_samples / 1e6 : 0;
}

static void report(const char *what, const struct run *r, nsec_t elapsed)
{
	printf("%-44s %7.1f Mbit/s, queue mean %5.1f max %5.1f ms, rate %7.1f\n", what,
	       goodput(r, elapsed) / 1e6, queue_mean_ms(r), (double)r->queue_max / 1e6,
	       r->ctl.rate * 8 / 1e6);
}

static void fill(const char *what, uint64_t seed, struct simnet_path path, double share,
		 double queue_ms)
{
	struct run r;
	nsec_t s = NSEC_PER_SEC;

	run_begin(&r, seed, path.rate_bps, path.delay);
	*simnet_path(r.net, FORWARD) = path;
	measure(&r, 1 * s);
	report(what, &r, 1 * s);
	measure(&r, 30 * s);
	report("    ... then for 30 s", &r, 30 * s);
	ck_assert_double_ge(goodput(&r, 30 * s), (double)path.rate_bps * share);
	ck_assert_double_le(queue_mean_ms(&r), queue_ms);
	simnet_free(r.net);
}

START_TEST(a_path_is_filled_and_its_queue_stays_short)
{
	static const struct {
		const char *what;
		struct simnet_path path;
		double share, queue_ms;
	} cases[] = {
		{"100 Mbit/s, 10 ms", {.rate_bps = MBIT(100), .delay = MSEC(10)}, 0.95, 8},
		{"10 Mbit/s, 30 ms", {.rate_bps = MBIT(10), .delay = MSEC(30)}, 0.95, 10},
		{"1 Mbit/s, 30 ms",
		 {.rate_bps = MBIT(1), .delay = MSEC(30), .queue = MSEC(300)},
		 0.9,
		 40},
		{"1 Gbit/s, 1 ms",
		 {.rate_bps = MBIT(1000), .delay = MSEC(1), .queue = MSEC(50)},
		 0.95,
		 8},
		{"100 Mbit/s, 300 ms", {.rate_bps = MBIT(100), .delay = MSEC(300)}, 0.85, 12},
		{"100 Mbit/s, 10 ms, 1 % loss",
		 {.rate_bps = MBIT(100), .delay = MSEC(10), .loss = 0.01},
		 0.93,
		 8},
		{"50 Mbit/s, 30 ms, jitter 5 ms",
		 {.rate_bps = MBIT(50), .delay = MSEC(30), .jitter = MSEC(5)},
		 0.9,
		 12},
		{"50 Mbit/s, 10 ms, wander 20 ms",
		 {.rate_bps = MBIT(50), .delay = MSEC(10), .wander = MSEC(20)},
		 0.9,
		 25},
		{"30 Mbit/s, 25 ms, wander 10 ms, 0.3 % loss",
		 {.rate_bps = MBIT(30), .delay = MSEC(25), .wander = MSEC(10), .loss = 0.003},
		 0.9,
		 15},
	};

	struct simnet_path path = cases[_i].path;

	if (!path.queue)
		path.queue = MSEC(100);
	fill(cases[_i].what, 1 + (uint64_t)_i, path, cases[_i].share, cases[_i].queue_ms);
}
END_TEST

START_TEST(changes_of_rate_are_followed_within_a_second)
{
	struct run r;
	nsec_t s = NSEC_PER_SEC;

	run_begin(&r, 5, MBIT(100), 10 * NSEC_PER_MSEC);
	measure(&r, 4 * s);
	for (int round = 0; round < 5; round++) {
		simnet_path(r.net, FORWARD)->rate_bps = MBIT(20);
		measure(&r, s);
		report("down to 20 Mbit/s, the first second", &r, s);
		measure(&r, 3 * s);
		report("    ... and then", &r, 3 * s);
		ck_assert_double_ge(goodput(&r, 3 * s), 0.93 * MBIT(20));
		ck_assert_double_le(queue_mean_ms(&r), 10);
		simnet_path(r.net, FORWARD)->rate_bps = MBIT(100);
		measure(&r, s);
		report("up to 100 Mbit/s, the first second", &r, s);
		ck_assert_double_ge(goodput(&r, s), 0.6 * MBIT(100));
		measure(&r, 3 * s);
		report("    ... and then", &r, 3 * s);
		ck_assert_double_ge(goodput(&r, 3 * s), 0.93 * MBIT(100));
	}
	simnet_free(r.net);
}
END_TEST

START_TEST(a_slow_sender_is_not_taken_for_a_slow_path)
{
	struct run r;
	nsec_t s = NSEC_PER_SEC;

	run_begin(&r, 6, MBIT(100), 10 * NSEC_PER_MSEC);
	measure(&r, 3 * s);
	r.demand_bps = MBIT(5);
	measure(&r, 17 * s);
	report("5 of 100 Mbit/s wanted", &r, 17 * s);
	ck_assert_double_ge(goodput(&r, 17 * s), 0.97 * MBIT(5));
	r.demand_bps = 0;
	measure(&r, s);
	report("    ... then all", &r, s);
	ck_assert_double_ge(goodput(&r, s), 0.85 * MBIT(100));
	simnet_free(r.net);
}
END_TEST

/*
 * A radio link whose delay wanders, and a sender that wants all of it now and then only: what it
 * is given then must not shrink, whatever the delay looked like in between.
 */
START_TEST(jitter_does_not_make_a_path_slow)
{
	struct run r;
	nsec_t s = NSEC_PER_SEC;

	run_begin(&r, 100 + (uint64_t)_i, MBIT(30), 35 * NSEC_PER_MSEC);
	simnet_path(r.net, FORWARD)->wander = 15 * NSEC_PER_MSEC;
	measure(&r, 2 * s);
	for (int round = 0; round < 40; round++) {
		r.demand_bps = 0;
		measure(&r, 150 * NSEC_PER_MSEC);
		r.demand_bps = MBIT(1) / 4 << simnet_below(r.net, 5);
		measure(&r, 300 * NSEC_PER_MSEC);
	}
	report("now and then all of 30 Mbit/s", &r, 300 * NSEC_PER_MSEC);
	ck_assert_double_ge(r.ctl.capacity * 8, 0.6 * MBIT(30));
	r.demand_bps = 0;
	measure(&r, s);
	report("    ... then all the time", &r, s);
	ck_assert_double_ge(goodput(&r, s), 0.8 * MBIT(30));
	simnet_free(r.net);
}
END_TEST

START_TEST(a_path_that_jitters_becomes_faster)
{
	struct run r;
	nsec_t s = NSEC_PER_SEC;

	run_begin(&r, 200 + (uint64_t)_i, MBIT(10), 10 * NSEC_PER_MSEC);
	simnet_path(r.net, FORWARD)->wander = (10 + 10 * (_i % 2)) * NSEC_PER_MSEC;
	measure(&r, 3 * s);
	simnet_path(r.net, FORWARD)->rate_bps = MBIT(50);
	measure(&r, 2 * s);
	report("from 10 to 50 Mbit/s with jitter", &r, 2 * s);
	measure(&r, s);
	report("    ... two seconds later", &r, s);
	ck_assert_double_ge(goodput(&r, s), 0.75 * MBIT(50));
	simnet_free(r.net);
}
END_TEST

/* A peer that has other things to do now and then makes no queue of ours. */
START_TEST(sparse_packets_are_never_held_up)
{
	static const uint64_t rates[] = {MBIT(20000), MBIT(4000), MBIT(100)};
	struct run r;
	nsec_t s = NSEC_PER_SEC;

	run_begin(&r, 8, rates[_i], NSEC_PER_MSEC / 10);
	measure(&r, s);
	r.demand_bps = 200ULL * PACKET_BYTES * 8;
	measure(&r, s); /* what was queued has left */
	for (int round = 0; round < 5; round++) {
		simnet_path(r.net, FORWARD)->delay = 30 * NSEC_PER_MSEC;
		measure(&r, s / 10);
		ck_assert_uint_eq(r.n_held, 0);
		simnet_path(r.net, FORWARD)->delay = NSEC_PER_MSEC / 10;
		measure(&r, s);
		ck_assert_uint_eq(r.n_held, 0);
	}
	simnet_free(r.net);
}
END_TEST

/* What came in the meantime arrives at once then: the path has not become faster. */
START_TEST(a_receiver_that_is_late_now_and_then_seldom_makes_a_queue)
{
	const nsec_t s = NSEC_PER_SEC;
	unsigned n_queues = 0;
	struct run r;

	run_begin(&r, 600 + (uint64_t)_i, MBIT(200), MSEC(10));
	r.late = MSEC(2);
	measure(&r, 2 * s);
	for (int i = 0; i < 60; i++) {
		measure(&r, s);
		n_queues += r.queue_max > MSEC(12);
	}
	report("200 Mbit/s to a receiver that is late", &r, s);
	printf("... in a minute %u seconds with more than 12 ms of queue\n", n_queues);
	ck_assert_uint_le(n_queues, 5);
	simnet_free(r.net);
}
END_TEST

/* What such a path does not take at once waits here, where small packets can pass it. */
START_TEST(a_fast_path_is_not_filled_up)
{
	static const nsec_t delays[] = {NSEC_PER_MSEC / 20, 10 * NSEC_PER_MSEC};
	nsec_t spare = delays[_i] / 2;
	nsec_t s = NSEC_PER_SEC;
	struct run r;

	run_begin(&r, 10, MBIT(4000), delays[_i]);
	measure(&r, s);
	measure(&r, s);
	report("4 Gbit/s", &r, s);
	ck_assert_double_ge(goodput(&r, s), 0.98 * MBIT(4000));
	ck_assert_int_le(r.queue_max, nsec_max(PATHCTL_FAST_QUEUE, spare) + NSEC_PER_MSEC);
	r.ctl.is_shared = true;
	measure(&r, s / 10);
	measure(&r, s);
	report("    ... with small packets about", &r, s);
	ck_assert_double_ge(goodput(&r, s), 0.98 * MBIT(4000));
	ck_assert_int_le(r.queue_max, nsec_max(NSEC_PER_MSEC, spare + NSEC_PER_MSEC));
	simnet_free(r.net);
}
END_TEST

START_TEST(a_fast_path_that_becomes_slow_is_paced)
{
	struct run r;
	nsec_t s = NSEC_PER_SEC;

	run_begin(&r, 9, MBIT(4000), NSEC_PER_MSEC);
	r.demand_bps = MBIT(3500);
	measure(&r, s);
	simnet_path(r.net, FORWARD)->rate_bps = MBIT(500);
	measure(&r, s);
	measure(&r, 3 * s);
	report("from 4 Gbit/s to 500 Mbit/s", &r, 3 * s);
	ck_assert_double_ge(goodput(&r, 3 * s), 0.9 * MBIT(500));
	ck_assert_double_le(queue_mean_ms(&r), 10);
	simnet_free(r.net);
}
END_TEST

/* If it were kept for ever, the path would be too late for whatever the others can carry. */
START_TEST(a_queue_is_gone_when_it_had_the_time_to_empty)
{
	nsec_t delay = 10 * NSEC_PER_MSEC, now;
	struct run r;

	run_begin(&r, 1, MBIT(50), delay);
	while (r.ctl.delays.queue < 8 * NSEC_PER_MSEC)
		measure(&r, NSEC_PER_MSEC);
	r.demand_until = 0;
	simnet_run(r.net, simnet_now(r.net) + NSEC_PER_SEC);
	now = simnet_now(r.net);
	ck_assert_int_ge(r.ctl.delays.queue, 8 * NSEC_PER_MSEC); /* as it was seen last */
	ck_assert_int_le(pathctl_arrival(&r.ctl, 0, now) - now,
			 CLOCK_OFFSET + delay + PATHCTL_BURST);
	simnet_free(r.net);
}
END_TEST

/*
 * When a path has died, what it took along goes over another one, for which these are copies; until
 * it has gone, nothing new does.
 */
START_TEST(copies_show_that_the_queue_has_gone)
{
	uint64_t lost = 0; /* counters of another path, before all of ours */
	struct run r;

	run_begin(&r, 1, MBIT(10), 10 * NSEC_PER_MSEC);
	r.counter = 1000;
	measure(&r, NSEC_PER_SEC);
	simnet_path(r.net, FORWARD)->rate_bps = MBIT(3);
	while (r.ctl.state != PATHCTL_DRAIN)
		measure(&r, NSEC_PER_MSEC);
	r.demand_until = 0;
	for (nsec_t end = simnet_now(r.net) + NSEC_PER_SEC; simnet_now(r.net) < end;) {
		nsec_t at = pathctl_ready_at(&r.ctl, PACKET_BYTES, pathctl_standing(&r.ctl),
					     simnet_now(r.net));

		if (at <= simnet_now(r.net)) {
			pathctl_sent(&r.ctl, SENT_AGAIN, 1, lost, 1, PACKET_BYTES,
				     simnet_now(r.net));
			simnet_send(r.net, FORWARD, PACKET_BYTES, on_packet, &r, lost++);
		}
		simnet_run(r.net, simnet_now(r.net) + NSEC_PER_MSEC);
	}
	printf("copies over 3 Mbit/s in a second: %.1f Mbit\n",
	       (double)lost * PACKET_BYTES * 8 / 1e6);
	ck_assert_double_ge((double)lost * PACKET_BYTES * 8, 0.6 * MBIT(3));
	simnet_free(r.net);
}
END_TEST

/* As repairs of what a dead path took along, and copies of a call. */
START_TEST(what_waits_for_no_pace_owes_what_it_takes_on_the_path)
{
	const double bytes = 40.0 * PACKET_BYTES;
	struct run r;
	nsec_t before;

	run_begin(&r, 1, MBIT(10), 30 * NSEC_PER_MSEC);
	measure(&r, NSEC_PER_SEC);
	*simnet_path(r.net, FORWARD) =
		(struct simnet_path){.rate_bps = MBIT(2), .delay = MSEC(30), .queue = MSEC(500)};
	while (r.ctl.rate > r.ctl.capacity / 2)
		measure(&r, NSEC_PER_MSEC);
	send_burst(&r, 1);
	before = r.ctl.next_send;
	ck_assert_int_gt(before, simnet_now(r.net));
	send_burst(&r, 40);
	ck_assert_double_le((double)(r.ctl.next_send - before) / NSEC_PER_SEC,
			    1.01 * bytes / r.ctl.capacity);
	simnet_free(r.net);
}
END_TEST

/* As a TCP flow that has ended its slow start early, and grows slowly from there on. */
START_TEST(who_wants_little_more_than_the_path_gives_fills_no_queue)
{
	struct run r;
	nsec_t s = NSEC_PER_SEC;

	run_begin(&r, 1, MBIT(50), MSEC(10));
	r.demand_bps = MBIT(40);
	measure(&r, s);
	r.demand_bps = MBIT(52);
	measure(&r, s);
	report("demand of 40, then 52 of 50 Mbit/s", &r, s);
	ck_assert_int_le(r.queue_max, MSEC(20));
	measure(&r, s);
	report("... the next second", &r, s);
	ck_assert_int_le(r.queue_max, MSEC(12));
	ck_assert_double_ge(goodput(&r, s), 0.95 * MBIT(50));
	simnet_free(r.net);
}
END_TEST

/* A radio has handed over, a route has changed: nobody tells. */
START_TEST(a_path_that_becomes_longer_is_filled_again)
{
	const nsec_t longer[] = {MSEC(15), MSEC(30), MSEC(50), MSEC(150)};
	struct run r;
	nsec_t s = NSEC_PER_SEC;

	run_begin(&r, 1 + (uint64_t)_i, MBIT(50), MSEC(10));
	measure(&r, 3 * s);
	simnet_path(r.net, FORWARD)->delay += longer[_i];
	measure(&r, s);
	report("a longer path, first second", &r, s);
	measure(&r, 2 * s);
	report("... the next two", &r, 2 * s);
	ck_assert_double_ge(goodput(&r, 2 * s), 0.8 * MBIT(50));
	simnet_free(r.net);
}
END_TEST

START_TEST(a_dead_path_is_silent_soon_and_costs_no_more_than_its_window)
{
	struct run r;
	nsec_t s = NSEC_PER_SEC;
	nsec_t began;

	run_begin(&r, 7, MBIT(100), 10 * NSEC_PER_MSEC);
	measure(&r, 3 * s);
	began = simnet_now(r.net);
	ck_assert(!pathctl_is_silent(&r.ctl, began));
	simnet_path(r.net, FORWARD)->dead_from = began;
	simnet_path(r.net, FORWARD)->dead_to = began + 100 * s;
	/* Stop at the first sign, as the dataplane does. */
	for (nsec_t t = began; t < began + s; t += NSEC_PER_MSEC) {
		simnet_run(r.net, t);
		if (!pathctl_is_silent(&r.ctl, t))
			continue;
		printf("silent after %.0f ms, %.0f kB outstanding\n", (double)(t - began) / 1e6,
		       (double)pathctl_inflight(&r.ctl) / 1e3);
		ck_assert_int_le(t - began, 200 * NSEC_PER_MSEC);
		simnet_free(r.net);
		return;
	}
	ck_abort_msg("never silent");
}
END_TEST

/* A report of it is not taken for one of the data that left before it with counters around it. */
START_TEST(data_apart_is_known_by_its_own_counters)
{
	struct pathctl *c = malloc(sizeof(*c));
	nsec_t at = NSEC_PER_SEC;

	ck_assert_ptr_nonnull(c);
	pathctl_init(c, 1, 1, at);
	pathctl_sent(c, SENT_NEW, 1, 90, 10, 10000, at);
	pathctl_sent(c, SENT_NEW, 1, 612, 10, 10000,
		     at + 1000); /* both in a record, 100 to 611 between */
	pathctl_sent(c, SENT_APART, 1, 100, 10, 10000, at + 2000);
	pathctl_sent(c, SENT_NEW, 1, 630, 10, 10000, at + NSEC_PER_MSEC);
	ck_assert(pathctl_report(c, &(struct pathctl_report){1, 104, 25000, at + 5000}, at + 9000));
	ck_assert_uint_eq(pathctl_inflight(c), 15000);
	ck_assert(
		!pathctl_report(c, &(struct pathctl_report){1, 300, 25000, at + 5000}, at + 9000));
	ck_assert(pathctl_report(c, &(struct pathctl_report){1, 639, 40000, at + 6000}, at + 9500));
	ck_assert_uint_eq(pathctl_inflight(c), 0);
	free(c);
}
END_TEST

/*
 * A packet or two long ago, as the first pings of a tunnel, tell nothing of what a path carries:
 * with them, jitter looked like the end of its start.
 */
START_TEST(the_start_is_not_over_before_it_has_begun)
{
	struct run r;
	nsec_t s = NSEC_PER_SEC;

	run_begin(&r, 200 + (uint64_t)_i, MBIT(20), 35 * NSEC_PER_MSEC);
	simnet_path(r.net, FORWARD)->wander = 15 * NSEC_PER_MSEC;
	r.demand_bps = MBIT(1) / 4;
	measure(&r, 100 * NSEC_PER_MSEC);
	r.demand_until = 0;
	measure(&r, 2 * s);
	r.demand_until = NSEC_NEVER;
	r.demand_bps = 0;
	measure(&r, s);
	report("20 Mbit/s, the first second after a pause", &r, s);
	ck_assert_double_ge(goodput(&r, s), 0.4 * MBIT(20));
	simnet_free(r.net);
}
END_TEST

/* And the first flow after them does not wait for a step that is as long as theirs. */
START_TEST(pings_make_no_slow_start)
{
	static const struct {
		uint64_t rate;
		nsec_t delay;
	} paths[] = {
		{MBIT(4000), NSEC_PER_MSEC / 10},
		{MBIT(1000), NSEC_PER_MSEC},
		{MBIT(100), 4 * NSEC_PER_MSEC},
	};
	struct run r;
	nsec_t time = 100 * NSEC_PER_MSEC;

	run_begin(&r, 600, paths[_i].rate, paths[_i].delay);
	r.demand_bps = 10ULL * PACKET_BYTES * 8;
	measure(&r, NSEC_PER_SEC);
	r.demand_bps = 0;
	measure(&r, time);
	report("the first 100 ms after pings", &r, time);
	ck_assert_double_ge(goodput(&r, time), 0.3 * (double)paths[_i].rate);
	simnet_free(r.net);
}
END_TEST

/* Nor does jitter alone end it for a flow that wants little. */
START_TEST(the_start_goes_on_while_little_is_wanted)
{
	struct run r;
	nsec_t s = NSEC_PER_SEC;

	run_begin(&r, 300 + (uint64_t)_i, MBIT(30), 25 * NSEC_PER_MSEC);
	simnet_path(r.net, FORWARD)->wander = 15 * NSEC_PER_MSEC;
	r.demand_bps = MBIT(3);
	measure(&r, 3 * s);
	r.demand_bps = 0;
	measure(&r, s);
	report("all of 30 Mbit/s after 3, the first second", &r, s);
	ck_assert_double_ge(goodput(&r, s), 0.5 * MBIT(30));
	simnet_free(r.net);
}
END_TEST

/* Nor does a call, while a busy receiver looks only now and then. */
START_TEST(the_start_goes_on_under_sparse_packets)
{
	struct run r;
	nsec_t s = NSEC_PER_SEC;

	run_begin(&r, 400 + (uint64_t)_i, MBIT(30), 10 * NSEC_PER_MSEC);
	simnet_path(r.net, FORWARD)->wander = 15 * NSEC_PER_MSEC;
	r.demand_bps = MBIT(1) / 9;
	measure(&r, 10 * s);
	ck_assert(pathctl_is_new(&r.ctl));
	simnet_free(r.net);
}
END_TEST

/* But it does under a stream that is more than a slow path carries. */
START_TEST(the_start_of_a_slow_path_ends)
{
	struct run r;
	nsec_t s = NSEC_PER_SEC;

	run_begin(&r, 500, MBIT(1), 30 * NSEC_PER_MSEC);
	simnet_path(r.net, FORWARD)->wander = 5 * NSEC_PER_MSEC;
	r.demand_bps = MBIT(3) / 2;
	measure(&r, 4 * s);
	report("1.5 Mbit/s of UDP over 1 Mbit/s, four seconds", &r, 4 * s);
	measure(&r, 4 * s);
	report("... the next four", &r, 4 * s);
	ck_assert_double_le(queue_mean_ms(&r), 30);
	simnet_free(r.net);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("pathctl");
	TCase *t = tcase_create("one path");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_path_is_filled_and_its_queue_stays_short, 0, 9);
	tcase_add_loop_test(t, a_path_that_jitters_becomes_faster, 0, 10);
	tcase_add_loop_test(t, jitter_does_not_make_a_path_slow, 0, 20);
	tcase_add_test(t, changes_of_rate_are_followed_within_a_second);
	tcase_add_loop_test(t, the_start_is_not_over_before_it_has_begun, 0, 20);
	tcase_add_loop_test(t, pings_make_no_slow_start, 0, 3);
	tcase_add_loop_test(t, the_start_goes_on_while_little_is_wanted, 0, 10);
	tcase_add_loop_test(t, the_start_goes_on_under_sparse_packets, 0, 20);
	tcase_add_test(t, the_start_of_a_slow_path_ends);
	tcase_add_test(t, a_slow_sender_is_not_taken_for_a_slow_path);
	tcase_add_loop_test(t, sparse_packets_are_never_held_up, 0, 3);
	tcase_add_loop_test(t, a_receiver_that_is_late_now_and_then_seldom_makes_a_queue, 0, 4);
	tcase_add_loop_test(t, a_fast_path_is_not_filled_up, 0, 2);
	tcase_add_test(t, a_fast_path_that_becomes_slow_is_paced);
	tcase_add_test(t, a_queue_is_gone_when_it_had_the_time_to_empty);
	tcase_add_test(t, copies_show_that_the_queue_has_gone);
	tcase_add_test(t, what_waits_for_no_pace_owes_what_it_takes_on_the_path);
	tcase_add_test(t, who_wants_little_more_than_the_path_gives_fills_no_queue);
	tcase_add_loop_test(t, a_path_that_becomes_longer_is_filled_again, 0, 4);
	tcase_add_test(t, a_dead_path_is_silent_soon_and_costs_no_more_than_its_window);
	tcase_add_test(t, data_apart_is_known_by_its_own_counters);
	suite_add_tcase(s, t);
	return s;
}
