/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What a bond promises, over paths that chance makes: a failing seed is told and repeats.
 * SIM_SEED is the first one (1), SIM_SEEDS how many there are for each test: few by default, for a
 * run of seconds; one where SIM_SEED is given.
 */
#include "broker/server.h"
#include "check_main.h"

#include "ends.h"

#define MSEC NSEC_PER_MSEC
#define SECONDS(n) ((n)*NSEC_PER_SEC)
#define MANY 100000

static uint64_t from_environment(const char *name, uint64_t by_default)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : by_default;
}

#define FOR_SEEDS                                                                                  \
	for (uint64_t seed = from_environment("SIM_SEED", 1),                                      \
		      last = seed + from_environment("SIM_SEEDS", getenv("SIM_SEED") ? 1 : 25);    \
	     seed < last; seed++)

/* A third of them, for what takes long. */
#define FOR_SOME_SEEDS                                                                             \
	FOR_SEEDS                                                                                  \
	if (getenv("SIM_SEED") || seed % 3 == 1)

#define ck_assert_seed(condition, ...)                                                             \
	ck_assert_msg(condition, "seed %lu: " #condition, (unsigned long)seed)

/* Lines whose delays differ by no more than max_spread_ms. */
static void make_lines(nsec_t queue)
{
	for (unsigned i = 0; i < sim.n_paths; i++) {
		struct simnet_path *p = ends_path(NEAR, i);

		p->rate_bps = 2000000 + simnet_below(sim.net, 10000000);
		p->delay = 2 * MSEC + (nsec_t)simnet_below(sim.net, 45 * MSEC);
		p->jitter = (nsec_t)simnet_below(sim.net, 3 * MSEC);
		p->queue = queue;
		*ends_path(FAR, i) = *p;
	}
}

static void begin_lines(uint64_t seed, nsec_t queue)
{
	ends_begin(seed, 2 + (unsigned)(seed % 2));
	make_lines(queue);
}

#define N_GREEDY 2
#define N_FLOWS 4

/* Two that take what they get, a call, and one with packets now and then. */
static void add_flows(void)
{
	for (unsigned i = 0; i < N_GREEDY; i++)
		ends_add_flow(1300, 0, MANY);
	ends_add_flow(200, 20 * MSEC, MANY);
	ends_add_flow(100, 50 * MSEC + (nsec_t)simnet_below(sim.net, 300 * MSEC), MANY);
}

static uint32_t sum_of(size_t counter)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < ENDS_FLOWS; i++)
		n += *(const uint32_t *)((const char *)&sim.flows[i] + counter);
	return n;
}

#define SUM(counter) sum_of(offsetof(struct flow, counter))

static enum bond_mode mode_of_seed(uint64_t seed)
{
	return seed % 4 < 2 ? BOND_AGGREGATE : BOND_AUTO;
}

/* Until the paths are known: what is learnt before is learnt by mistakes. */
static void warm_up(uint64_t seed)
{
	ends_start(mode_of_seed(seed));
	ends_run(SECONDS(2));
	for (unsigned i = 0; i < ENDS_FLOWS; i++) {
		sim.flows[i].n_disordered = 0;
		sim.flows[i].longest = 0;
	}
}

/* As long as a packet may be on its way: the longest path, its queue, and held. */
#define LONGEST (50 * MSEC + RESEQ_HOLD_MAX)

START_TEST(without_loss_all_comes_once_in_order_and_in_time)
{
	FOR_SEEDS
	{
		begin_lines(seed, 0);
		add_flows();
		warm_up(seed);
		ends_run(SECONDS(1));
		ends_stop(SECONDS(3));
		ck_assert_seed(sim.n_lost == 0);
		ck_assert_seed(SUM(n_delivered) == SUM(n_sent));
		ck_assert_seed(SUM(n_twice) == 0);
		for (unsigned i = 0; i < N_FLOWS; i++)
			ck_assert_seed(sim.flows[i].longest <= LONGEST);
		for (unsigned i = 0; i < N_GREEDY; i++)
			ck_assert_seed(sim.flows[i].n_disordered == 0);
		/* They wait for nothing, but all take the quickest path. */
		for (unsigned i = N_GREEDY; i < N_FLOWS; i++)
			ck_assert_seed(sim.flows[i].n_disordered <= sim.flows[i].n_sent / 20);
		ends_end();
	}
}
END_TEST

/* Copies go over two paths: the one that comes first is always the quickest. */
START_TEST(mode_auto_keeps_sparse_flows_in_order_too)
{
	FOR_SEEDS
	{
		ends_begin(seed, 2);
		make_lines(0);
		add_flows();
		ends_start(BOND_AUTO);
		ends_run(SECONDS(2));
		ends_stop(SECONDS(3));
		for (unsigned i = N_GREEDY; i < N_FLOWS; i++)
			ck_assert_seed(sim.flows[i].n_disordered == 0);
		ends_end();
	}
}
END_TEST

START_TEST(path_that_dies_takes_nothing_along)
{
	FOR_SEEDS
	{
		unsigned victim;
		nsec_t death;

		begin_lines(seed, 0);
		add_flows();
		warm_up(seed);
		death = simnet_now(sim.net) + (nsec_t)simnet_below(sim.net, SECONDS(1));
		victim = (unsigned)simnet_below(sim.net, sim.n_paths);
		for (int end = NEAR; end <= FAR; end++) {
			ends_path(end, victim)->dead_from = death;
			ends_path(end, victim)->dead_to = NSEC_NEVER;
		}
		ends_run(SECONDS(2));
		ends_stop(SECONDS(3));
		ck_assert_seed(sim.n_lost > 0);
		ck_assert_seed(SUM(n_delivered) == SUM(n_sent));
		ck_assert_seed(SUM(n_twice) == 0);
		ends_end();
	}
}
END_TEST

/* What it took along keeps the other one busy for so long that all of it is asked for again. */
START_TEST(better_path_that_is_dead_for_a_moment_costs_no_order)
{
	FOR_SEEDS
	{
		ends_begin(seed, 2);
		for (unsigned i = 0; i < 2 * ENDS_PATHS; i++)
			*simnet_path(sim.net, i) = (struct simnet_path){
				.rate_bps = i % ENDS_PATHS ? 12000000 : 5000000,
				.delay = i % ENDS_PATHS ? 15 * MSEC : 25 * MSEC,
				.jitter = 3 * MSEC,
				.queue = 200 * MSEC};
		ends_add_flow(1400, 0, MANY);
		ends_add_flow(150, 20 * MSEC, MANY);
		warm_up(seed);
		for (int end = NEAR; end <= FAR; end++) {
			ends_path(end, 1)->dead_from = simnet_now(sim.net);
			ends_path(end, 1)->dead_to = simnet_now(sim.net) + 200 * MSEC;
		}
		ends_run(SECONDS(1));
		ends_stop(SECONDS(3));
		ck_assert_seed(sim.n_lost > 0);
		ck_assert_seed(SUM(n_delivered) == SUM(n_sent));
		ck_assert_seed(sim.flows[0].n_disordered == 0);
		ends_end();
	}
}
END_TEST

START_TEST(new_session_loses_nothing_and_keeps_the_order)
{
	FOR_SEEDS
	{
		begin_lines(seed, 0);
		add_flows();
		warm_up(seed);
		ends_run((nsec_t)simnet_below(sim.net, SECONDS(1)));
		ends_begin_session(simnet_now(sim.net));
		ends_run(SECONDS(1));
		ends_stop(SECONDS(3));
		ck_assert_seed(SUM(n_delivered) == SUM(n_sent));
		ck_assert_seed(SUM(n_twice) == 0);
		for (unsigned i = 0; i < N_GREEDY; i++)
			ck_assert_seed(sim.flows[i].n_disordered == 0);
		ends_end();
	}
}
END_TEST

/* Requests get lost too, and in the first second the paths are not known. */
START_TEST(most_of_what_paths_lose_is_repaired)
{
	uint64_t n_lost = 0;
	uint64_t n_missing = 0;

	FOR_SEEDS
	{
		begin_lines(seed, 0);
		for (unsigned i = 0; i < 2 * ENDS_PATHS; i++)
			simnet_path(sim.net, i)->loss = (double)simnet_below(sim.net, 200) / 10000;
		add_flows();
		ends_start(mode_of_seed(seed));
		ends_run(SECONDS(3));
		ends_stop(SECONDS(3));
		ck_assert_seed(SUM(n_twice) == 0);
		n_lost += sim.n_lost;
		n_missing += SUM(n_sent) - SUM(n_delivered);
		ends_end();
	}
	ck_assert_uint_gt(n_lost, 0);
	/* Of few, chance has more to say. */
	ck_assert_uint_le(n_missing, n_lost / 20 + 20);
}
END_TEST

static uint64_t far_bytes(unsigned path)
{
	const struct path_set *set = rcu_own(&net.bonds[FAR]->paths);

	return atomic_load(&set->entries[path].path->received.bytes);
}

START_TEST(paths_are_filled_and_no_flow_starves)
{
	FOR_SEEDS
	{
		uint64_t before[ENDS_PATHS] = {0};
		uint32_t delivered[ENDS_FLOWS];

		begin_lines(seed, 100 * MSEC);
		add_flows();
		warm_up(seed);
		for (unsigned i = 0; i < sim.n_paths; i++)
			before[i] = far_bytes(i);
		for (unsigned i = 0; i < N_FLOWS; i++)
			delivered[i] = sim.flows[i].n_delivered;
		ends_run(SECONDS(2));
		for (unsigned i = 0; i < sim.n_paths; i++)
			ck_assert_seed((far_bytes(i) - before[i]) * 8 / 2 >=
				       ends_path(NEAR, i)->rate_bps * 7 / 10);
		for (unsigned i = 0; i < N_FLOWS; i++)
			ck_assert_seed(sim.flows[i].n_delivered > delivered[i]);
		ends_stop(SECONDS(3));
		ends_end();
	}
}
END_TEST

/* Until it is known what they carry. */
START_TEST(weights_say_where_to_begin)
{
	FOR_SEEDS
	{
		ends_begin(seed, 2);
		for (unsigned i = 0; i < 2 * ENDS_PATHS; i++)
			*simnet_path(sim.net, i) = (struct simnet_path){
				.rate_bps = 20000000, .delay = 10 * MSEC, .queue = 100 * MSEC};
		sim.weights[0] = 8;
		add_flows();
		ends_start(BOND_AGGREGATE);
		ends_run(30 * MSEC);
		ck_assert_seed(far_bytes(0) > 4 * far_bytes(1));
		ends_run(SECONDS(2));
		ck_assert_seed(far_bytes(1) > far_bytes(0) / 2);
		ends_stop(SECONDS(3));
		ends_end();
	}
}
END_TEST

/*
 * A flow with a window, as TCP's, sends on as soon as what fills the queue has come: then nobody
 * wants more than the pace allows while the queue is long.
 */
START_TEST(window_does_not_stay_in_the_queue_of_a_path_that_becomes_slow)
{
	FOR_SEEDS
	{
		uint32_t delivered;

		ends_begin(seed, 2);
		for (unsigned i = 0; i < 2 * ENDS_PATHS; i++)
			*simnet_path(sim.net, i) = (struct simnet_path){
				.rate_bps = 25000000, .delay = 10 * MSEC, .queue = 100 * MSEC};
		ends_add_flow(1400, 0, MANY)->window = 70 + (uint32_t)simnet_below(sim.net, 60);
		ends_add_flow(150, 20 * MSEC, MANY);
		ends_start(BOND_AGGREGATE);
		ends_run(SECONDS(1) + (nsec_t)simnet_below(sim.net, SECONDS(1)));
		ends_path(NEAR, 1)->rate_bps /= 5;
		ends_run(500 * MSEC);
		delivered = sim.flows[0].n_delivered;
		for (unsigned i = 0; i < 50; i++) {
			ends_run(10 * MSEC);
			ck_assert_seed(simnet_backlog(sim.net, 1) < 50 * MSEC);
		}
		/* In half a second, of what both paths can carry. */
		ck_assert_seed((sim.flows[0].n_delivered - delivered) * 1400 * 8 * 2 >=
			       30000000 * 8 / 10);
		ends_stop(SECONDS(3));
		ends_end();
	}
}
END_TEST

/* All paths may end in one socket of the peer. */
START_TEST(peer_that_stands_still_gets_no_more_than_a_socket_holds)
{
	uint64_t standing = 0;

	ends_begin(1, 3);
	ends_add_flow(1400, 0, MANY);
	ends_add_flow(150, MSEC, MANY);
	ends_start(BOND_AGGREGATE);
	ends_run(20 * MSEC);
	for (unsigned i = 0; i < 3; i++) {
		struct pathctl *c = sim.spread->controls[i];

		c->capacity = c->capacity_now = c->rate = 2 * PATHCTL_RATE_FAST;
		c->state = PATHCTL_CYCLE;
		ends_path(NEAR, i)->dead_from = simnet_now(sim.net);
		ends_path(NEAR, i)->dead_to = simnet_now(sim.net) + 30 * MSEC;
	}
	ends_run(30 * MSEC);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t own = pathctl_inflight(sim.spread->controls[i]);

		ck_assert_uint_ge(own, PATHCTL_FAST_BYTES_SHARED / 2);
		standing += own;
	}
	ck_assert_uint_gt(standing, PATHCTL_FAST_BYTES);
	ck_assert_uint_le(standing, PATHCTL_STANDING_BYTES + 3 * PATHCTL_FAST_BYTES_SHARED);
	ends_stop(SECONDS(1));
	ends_end();
}
END_TEST

/* Beyond max_spread: what is in order would wait for it. */
START_TEST(much_longer_path_stands_by)
{
	FOR_SEEDS
	{
		nsec_t delay = 150 * MSEC + (nsec_t)(seed % 300) * MSEC;

		ends_begin(seed, 2);
		make_lines(0);
		for (int end = NEAR; end <= FAR; end++)
			ends_path(end, 1)->delay += delay;
		add_flows();
		warm_up(seed);
		ends_run(SECONDS(2));
		ck_assert_seed(far_bytes(1) < far_bytes(0) / 10);
		for (unsigned i = 0; i < N_FLOWS; i++)
			ck_assert_seed(sim.flows[i].longest <= LONGEST);
		ends_stop(SECONDS(3));
		ends_end();
	}
}
END_TEST

/* Of a path that is longer, one way, by so much: does it carry data? */
static bool carries_data_at(nsec_t spread)
{
	const struct path_set *set = rcu_own(&net.bonds[NEAR]->paths);
	uint64_t before;

	atomic_store(&set->entries[1].path->rtt,
		     atomic_load(&set->entries[0].path->rtt) + 2 * spread);
	ends_run(300 * MSEC);
	before = far_bytes(1);
	ends_run(500 * MSEC);
	return far_bytes(1) > before;
}

/* From limit to limit, it goes on as it was: coming and going costs a flow more than either. */
START_TEST(path_at_the_limit_of_spread_does_not_come_and_go)
{
	ends_begin(1, 2);
	make_lines(0);
	ends_path(NEAR, 1)->delay = ends_path(FAR, 1)->delay = 90 * MSEC;
	add_flows();
	warm_up(1);
	ck_assert(carries_data_at(99 * MSEC));
	ck_assert(!carries_data_at(101 * MSEC));
	ck_assert(!carries_data_at(99 * MSEC));
	ck_assert(!carries_data_at(81 * MSEC));
	ck_assert(carries_data_at(79 * MSEC));
	ck_assert(carries_data_at(99 * MSEC));
	ends_stop(SECONDS(3));
	ends_end();
}
END_TEST

/* Its delay is longer by more than a queue may be, and its rate another one. */
START_TEST(path_that_leads_elsewhere_is_learnt_anew)
{
	FOR_SEEDS
	{
		struct simnet_path *line;
		struct path *path;
		uint64_t before;

		ends_begin(seed, 1);
		make_lines(200 * MSEC);
		add_flows();
		warm_up(seed);
		line = ends_path(NEAR, 0);
		line->delay += 50 * MSEC;
		line->rate_bps = 2000000 + simnet_below(sim.net, 10000000);
		path = rcu_own(&net.bonds[NEAR]->paths)->entries[0].path;
		path_leads_elsewhere(path, 1000);
		ends_run(SECONDS(2));
		before = far_bytes(0);
		ends_run(SECONDS(2));
		ck_assert_seed((far_bytes(0) - before) * 8 / 2 >= line->rate_bps * 7 / 10);
		ck_assert_seed(atomic_load(&path->queue) < 50 * MSEC);
		ends_stop(SECONDS(3));
		ends_end();
	}
}
END_TEST

/* Two lines as others, and one that stands by, since it is longer by more than max_spread_ms. */
static struct simnet_path *begin_with_long_line(uint64_t seed)
{
	struct simnet_path *line;

	ends_begin(seed, 3);
	make_lines(0);
	line = ends_path(NEAR, 2);
	line->delay = 150 * MSEC + (nsec_t)simnet_below(sim.net, 200 * MSEC);
	ends_path(FAR, 2)->delay = line->delay;
	return line;
}

static struct flow *add_bound_flow(uint8_t binding)
{
	struct flow *f = ends_add_flow(1300, 0, MANY);

	f->binding = binding;
	return f;
}

START_TEST(lower_effort_takes_the_long_line_in_order_and_delays_nobody)
{
	FOR_SOME_SEEDS
	{
		struct simnet_path *line = begin_with_long_line(seed);
		struct flow *bound;
		uint64_t before;

		add_flows();
		bound = add_bound_flow(BINDING_LOWER_EFFORT);
		warm_up(seed);
		ends_run(SECONDS(4));
		before = far_bytes(2);
		ends_run(SECONDS(2));
		ck_assert_seed((far_bytes(2) - before) * 8 / 2 >= line->rate_bps * 7 / 10);
		ends_stop(SECONDS(3));
		ck_assert_seed(bound->n_disordered == 0);
		ck_assert_seed(SUM(n_twice) == 0);
		for (unsigned i = 0; i < N_FLOWS; i++)
			ck_assert_seed(sim.flows[i].longest <= LONGEST);
		for (unsigned i = 0; i < N_GREEDY; i++)
			ck_assert_seed(sim.flows[i].n_disordered == 0);
		ends_end();
	}
}
END_TEST

/* From the long line to a short one, where others are, and back, while both work. */
START_TEST(bound_flow_stays_in_order_when_it_changes_lines)
{
	FOR_SOME_SEEDS
	{
		struct path_binding *b;
		struct flow *bound;

		begin_with_long_line(seed);
		add_flows();
		bound = add_bound_flow(0);
		ends_start(mode_of_seed(seed));
		b = &rcu_own(&net.bonds[NEAR]->paths)->bindings[0];
		b->n = 1;
		for (unsigned i = 0; i < 4; i++) {
			b->entries[0] = i % 2 ? 0 : 2;
			ends_run(SECONDS(3));
			ck_assert_seed(bound->n_disordered == 0);
		}
		ends_stop(SECONDS(3));
		ck_assert_seed(bound->n_twice == 0);
		ends_end();
	}
}
END_TEST

/* The first is silently dead for a while: the next carries the flow, and copies find it again. */
START_TEST(bound_flow_leaves_a_line_that_dies_and_is_back)
{
	FOR_SOME_SEEDS
	{
		struct path_binding *b;
		struct flow *bound;
		uint32_t delivered;
		uint64_t before;

		ends_begin(seed, 3);
		make_lines(0);
		bound = add_bound_flow(0);
		ends_start(BOND_AGGREGATE);
		b = &rcu_own(&net.bonds[NEAR]->paths)->bindings[0];
		*b = (struct path_binding){.entries = {1, 2}, .n = 2};
		ends_run(SECONDS(2));
		before = far_bytes(1);
		ends_run(SECONDS(1));
		ck_assert_seed(far_bytes(1) > before + 50000);
		ends_path(NEAR, 1)->dead_from = simnet_now(sim.net);
		ends_path(NEAR, 1)->dead_to = simnet_now(sim.net) + SECONDS(2);
		ends_run(SECONDS(1));
		delivered = bound->n_delivered;
		ends_run(SECONDS(1));
		ck_assert_seed(bound->n_delivered > delivered);
		ends_run(SECONDS(1));
		before = far_bytes(1);
		ends_run(SECONDS(1));
		ck_assert_seed(far_bytes(1) > before + 50000);
		ends_stop(SECONDS(3));
		ck_assert_seed(bound->n_twice == 0);
		ends_end();
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("sim_ends");
	TCase *t = tcase_create("sim_ends");

	tcase_set_timeout(t, 300);
	tcase_add_test(t, without_loss_all_comes_once_in_order_and_in_time);
	tcase_add_test(t, mode_auto_keeps_sparse_flows_in_order_too);
	tcase_add_test(t, path_that_dies_takes_nothing_along);
	tcase_add_test(t, better_path_that_is_dead_for_a_moment_costs_no_order);
	tcase_add_test(t, new_session_loses_nothing_and_keeps_the_order);
	tcase_add_test(t, most_of_what_paths_lose_is_repaired);
	tcase_add_test(t, weights_say_where_to_begin);
	tcase_add_test(t, paths_are_filled_and_no_flow_starves);
	tcase_add_test(t, window_does_not_stay_in_the_queue_of_a_path_that_becomes_slow);
	tcase_add_test(t, peer_that_stands_still_gets_no_more_than_a_socket_holds);
	tcase_add_test(t, much_longer_path_stands_by);
	tcase_add_test(t, path_at_the_limit_of_spread_does_not_come_and_go);
	tcase_add_test(t, path_that_leads_elsewhere_is_learnt_anew);
	tcase_add_test(t, lower_effort_takes_the_long_line_in_order_and_delays_nobody);
	tcase_add_test(t, bound_flow_stays_in_order_when_it_changes_lines);
	tcase_add_test(t, bound_flow_leaves_a_line_that_dies_and_is_back);
	suite_add_tcase(s, t);
	return s;
}
