/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "bondsim.h"
#include "check_main.h"

#define SEEDS 1000
#define PACKETS 4000

/* Sends `n` packets over paths without loss; `ret_taken` gets how many each took. */
static void send_packets(struct bond *b, unsigned n, unsigned ret_taken[SIMNET_PATHS])
{
	for (unsigned i = 0; i < SIMNET_PATHS; i++)
		ret_taken[i] = 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned pick = sched_pick(&b->sched, b->candidates, b->n_paths);

		ret_taken[b->candidates[pick].slot]++;
		bond_send(b, 1400);
	}
}

START_TEST(three_to_one_is_kept)
{
	struct bond *b = bond_new(1, 2, PACKETS);
	unsigned taken[SIMNET_PATHS];

	b->candidates[0].weight = 3;
	send_packets(b, PACKETS, taken);
	ck_assert_int_le(abs((int)taken[0] - 3000), 30);
	ck_assert_int_le(abs((int)taken[1] - 1000), 10);
	bond_finish(b);
	bond_free(b);
}
END_TEST

START_TEST(random_weights_are_kept)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct bond *b = bond_new(seed, 1 + (unsigned)(seed % 8), PACKETS);
		unsigned taken[SIMNET_PATHS];
		uint32_t sum = 0;

		for (unsigned i = 0; i < b->n_paths; i++)
			sum += b->candidates[i].weight = 1 + (uint32_t)simnet_below(b->net, 20);
		send_packets(b, PACKETS / 4, taken);
		for (unsigned i = 0; i < b->n_paths; i++) {
			int share = (int)(PACKETS / 4 * b->candidates[i].weight / sum);

			ck_assert_msg(abs((int)taken[i] - share) <= 3, "seed %lu: %u, due %d",
				      (unsigned long)seed, taken[i], share);
		}
		bond_finish(b);
		bond_free(b);
	}
}
END_TEST

/* The last path leaves and returns at random times; it never gets more than its share. */
START_TEST(path_that_was_away_does_not_burst)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct bond *b = bond_new(seed, 3, PACKETS);
		unsigned taken[SIMNET_PATHS];

		for (unsigned round = 0; round < 5; round++) {
			b->n_paths = 2;
			send_packets(b, (unsigned)simnet_below(b->net, 300), taken);
			ck_assert_uint_eq(taken[2], 0);
			b->n_paths = 3;
			send_packets(b, 30, taken);
			ck_assert_msg(taken[2] >= 9 && taken[2] <= 11, "seed %lu: %u of 30",
				      (unsigned long)seed, taken[2]);
		}
		bond_finish(b);
		bond_free(b);
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("sim_sched");
	TCase *t = tcase_create("sim_sched");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, three_to_one_is_kept);
	tcase_add_test(t, random_weights_are_kept);
	tcase_add_test(t, path_that_was_away_does_not_burst);
	suite_add_tcase(s, t);
	return s;
}
