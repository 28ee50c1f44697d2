/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 *   end 0 --- path 0: pings of 0, answers to 1 ---> end 1
 *   end 0 <-- path 1: pings of 1, answers to 0 ---- end 1
 */
#include "check_main.h"

#include "links/health.h"
#include "simnet.h"

#define MSEC NSEC_PER_MSEC
#define PING_BYTES 100
#define ROW 3

struct end {
	struct end *peer;
	unsigned path; /* outwards */
	struct health health;
	const struct health_settings *settings;
	nsec_t tick;	       /* the earliest that is due */
	uint32_t answers[ROW]; /* the newest ones, in the order of their coming */
	uint64_t n_answers;
	nsec_t went_down;
	unsigned n_recoveries;
	unsigned n_hasty; /* recoveries without enough answers in a row */
};

static struct health_settings settings;
static struct simnet *net;
static struct end ends[2];

static void tick(struct simnet *n, void *context, uint64_t value);

static void arm(struct end *e)
{
	nsec_t deadline = nsec_max(health_deadline(&e->health, e->settings), simnet_now(net));

	if (e->tick && e->tick <= deadline)
		return;
	e->tick = deadline;
	simnet_at(net, deadline, tick, e, (uint64_t)deadline);
}

static void note_recovery(struct end *e)
{
	bool is_row = e->n_answers >= ROW;

	for (unsigned i = 1; i < ROW && is_row; i++)
		is_row = e->answers[i] == e->answers[i - 1] + 1;
	e->n_recoveries++;
	e->n_hasty += !is_row;
}

static void hear_pong(struct simnet *n, void *context, uint64_t number)
{
	struct end *e = context;
	bool was_down = e->health.state == HEALTH_DOWN;
	bool is_valid;
	bool has_changed = health_pong(&e->health, e->settings, (uint32_t)number, simnet_now(n),
				       &is_valid, NULL);

	if (is_valid) {
		for (unsigned i = 1; i < ROW; i++)
			e->answers[i - 1] = e->answers[i];
		e->answers[ROW - 1] = (uint32_t)number;
		e->n_answers++;
	}
	if (has_changed && was_down)
		note_recovery(e);
	arm(e);
}

static void hear_ping(struct simnet *n, void *context, uint64_t number)
{
	struct end *e = context;

	simnet_send(n, e->path, PING_BYTES, hear_pong, e->peer, number);
}

static void tick(struct simnet *n, void *context, uint64_t value)
{
	struct end *e = context;
	nsec_t now = simnet_now(n);

	if (e->tick != (nsec_t)value)
		return; /* an earlier one has taken its place */
	e->tick = 0;
	if (health_expire(&e->health, e->settings, now))
		e->went_down = now;
	if (health_wants_ping(&e->health, now))
		simnet_send(n, e->path, PING_BYTES, hear_ping, e->peer,
			    health_ping_sent(&e->health, e->settings, 0, now));
	arm(e);
}

static void begin(uint64_t seed, nsec_t delay, double loss)
{
	settings = (struct health_settings){.interval = NSEC_PER_SEC,
					    .timeout = 5 * NSEC_PER_SEC,
					    .error_backoff = 5 * NSEC_PER_SEC,
					    .up = ROW};
	net = simnet_new(seed);
	for (unsigned i = 0; i < 2; i++) {
		ends[i] = (struct end){.peer = &ends[!i], .path = i, .settings = &settings};
		*simnet_path(net, i) =
			(struct simnet_path){.delay = delay, .jitter = delay / 4 + 1, .loss = loss};
		health_init(&ends[i].health, simnet_now(net));
		arm(&ends[i]);
	}
}

static void wait(nsec_t time)
{
	simnet_run(net, simnet_now(net) + time);
}

static void cut(nsec_t from, nsec_t to)
{
	for (unsigned i = 0; i < 2; i++) {
		simnet_path(net, i)->dead_from = from;
		simnet_path(net, i)->dead_to = to;
	}
}

START_TEST(dead_path_is_down_within_timeout_and_interval)
{
	for (uint64_t seed = 1; seed <= 1000; seed++) {
		nsec_t death;

		begin(seed, (nsec_t)(seed % 200 + 1) * MSEC, (double)(seed % 4) * 0.1);
		settings.interval = (nsec_t)(100 + simnet_below(net, 2000)) * MSEC;
		settings.timeout = settings.interval * 2 + (nsec_t)simnet_below(net, 5000) * MSEC;
		wait(5 * NSEC_PER_SEC + (nsec_t)simnet_below(net, 2000) * MSEC);
		death = simnet_now(net);
		cut(death, NSEC_NEVER);
		wait(settings.timeout + settings.interval);
		for (unsigned i = 0; i < 2; i++)
			ck_assert_msg(ends[i].health.state == HEALTH_DOWN, "seed %lu, end %u",
				      (unsigned long)seed, i);
		simnet_free(net);
	}
}
END_TEST

START_TEST(path_dead_from_the_start_goes_down_too)
{
	begin(1, 20 * MSEC, 0);
	cut(0, NSEC_NEVER);
	wait(settings.timeout);
	ck_assert_int_eq(ends[0].health.state, HEALTH_DOWN);
	wait(60 * NSEC_PER_SEC);
	ck_assert_int_eq(ends[0].health.state, HEALTH_DOWN);
	ck_assert_uint_eq(ends[0].health.n_downs, 1);
	simnet_free(net);
}
END_TEST

/* Each direction loses a fifth, so that 36 % of the pings go unanswered. */
START_TEST(random_loss_of_a_fifth_takes_no_path_down)
{
	for (uint64_t seed = 1; seed <= 200; seed++) {
		begin(seed, (nsec_t)(seed % 150 + 1) * MSEC, 0.2);
		wait(1000 * NSEC_PER_SEC);
		for (unsigned i = 0; i < 2; i++) {
			ck_assert_int_eq(ends[i].health.state, HEALTH_UP);
			ck_assert_uint_eq(ends[i].health.n_downs, 0);
		}
		simnet_free(net);
	}
}
END_TEST

START_TEST(flapping_path_comes_up_only_after_answers_in_a_row)
{
	unsigned recoveries = 0;

	for (uint64_t seed = 1; seed <= 300; seed++) {
		begin(seed, (nsec_t)(seed % 100 + 1) * MSEC, 0.3);
		for (unsigned i = 0; i < 30; i++) {
			cut(simnet_now(net),
			    simnet_now(net) + (nsec_t)simnet_below(net, 9000) * MSEC);
			wait((nsec_t)simnet_below(net, 12000) * MSEC);
		}
		for (unsigned i = 0; i < 2; i++) {
			ck_assert_msg(!ends[i].n_hasty, "seed %lu", (unsigned long)seed);
			recoveries += ends[i].n_recoveries;
		}
		simnet_free(net);
	}
	ck_assert_uint_gt(recoveries, 100);
}
END_TEST

START_TEST(path_that_answers_too_seldom_stays_down)
{
	begin(1, 20 * MSEC, 0);
	cut(0, NSEC_NEVER);
	wait(10 * NSEC_PER_SEC);
	/* 150 ms of life now and then: an answer or two, never a row of them. */
	for (unsigned i = 0; i < 200; i++) {
		cut(0, 0);
		wait(150 * MSEC);
		cut(0, NSEC_NEVER);
		wait(1300 * MSEC);
	}
	ck_assert_uint_gt(ends[0].n_answers, 0);
	ck_assert_uint_eq(ends[0].n_recoveries, 0);
	ck_assert_int_eq(ends[0].health.state, HEALTH_DOWN);
	simnet_free(net);
}
END_TEST

START_TEST(path_that_heals_is_up_within_an_interval_and_a_row)
{
	for (uint64_t seed = 1; seed <= 200; seed++) {
		nsec_t rtt;

		begin(seed, (nsec_t)(seed % 100 + 1) * MSEC, 0);
		wait(10 * NSEC_PER_SEC);
		cut(simnet_now(net), NSEC_NEVER);
		wait(20 * NSEC_PER_SEC);
		cut(0, 0);
		rtt = 3 * (nsec_t)(seed % 100 + 1) * MSEC; /* with its jitter, at most */
		wait(settings.interval + rtt + (ROW - 1) * nsec_max(HEALTH_RECOVERY_INTERVAL, rtt));
		ck_assert_int_eq(ends[0].health.state, HEALTH_UP);
		ck_assert_int_eq(ends[1].health.state, HEALTH_UP);
		simnet_free(net);
	}
}
END_TEST

START_TEST(answers_to_no_ping_never_bring_a_path_up)
{
	for (uint64_t seed = 1; seed <= 100; seed++) {
		begin(seed, 20 * MSEC, 0);
		cut(0, NSEC_NEVER);
		for (unsigned i = 0; i < 2000; i++) {
			hear_pong(net, &ends[0], (uint32_t)simnet_random(net));
			wait(10 * MSEC);
			ck_assert_int_ne(ends[0].health.state, HEALTH_UP);
		}
		ck_assert_uint_eq(ends[0].n_answers, 0);
		simnet_free(net);
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("sim_health");
	TCase *t = tcase_create("sim_health");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, dead_path_is_down_within_timeout_and_interval);
	tcase_add_test(t, path_dead_from_the_start_goes_down_too);
	tcase_add_test(t, random_loss_of_a_fifth_takes_no_path_down);
	tcase_add_test(t, flapping_path_comes_up_only_after_answers_in_a_row);
	tcase_add_test(t, path_that_answers_too_seldom_stays_down);
	tcase_add_test(t, path_that_heals_is_up_within_an_interval_and_a_row);
	tcase_add_test(t, answers_to_no_ping_never_bring_a_path_up);
	suite_add_tcase(s, t);
	return s;
}
