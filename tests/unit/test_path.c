/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <string.h>

#include "links/path.h"
#include "util/thread.h"

#define UP HEALTH_UP
#define PROBING HEALTH_PROBING
#define DOWN HEALTH_DOWN

static struct path_set set;
static struct path paths[PATHS_MAX];
static struct link links[2];

static void setup(void)
{
	memset(&set, 0, sizeof(set));
	memset(paths, 0, sizeof(paths));
}

static struct addr address(const char *text)
{
	struct addr a;

	ck_assert_int_eq(addr_parse(&a, text, 51820), 0);
	return a;
}

/* Slots count down, so that none is taken for the index. */
static struct path_entry *add(enum health_state state, uint32_t weight)
{
	struct path_entry *e = &set.entries[set.n];
	struct path *p = &paths[set.n];

	p->slot = (uint8_t)(PATHS_MAX - 1 - set.n);
	*e = (struct path_entry){.path = p, .weight = weight, .state = state, .is_usable = true};
	set.n++;
	return e;
}

static void add_unusable(enum health_state state)
{
	add(state, 1)->is_usable = false;
}

#define ck_assert_active(...)                                                                      \
	do {                                                                                       \
		const uint8_t expected_[] = {__VA_ARGS__};                                         \
                                                                                                   \
		ck_assert_uint_eq(set.n_active, sizeof(expected_));                                \
		ck_assert_mem_eq(set.active, expected_, sizeof(expected_));                        \
	} while (0)

START_TEST(no_path_gives_no_choice)
{
	for (int mode = BOND_AGGREGATE; mode <= BOND_FAILOVER; mode++) {
		set.mode = (enum bond_mode)mode;
		set.n_active = 3;
		path_set_choose(&set, true);
		ck_assert_uint_eq(set.n_active, 0);
	}
}
END_TEST

START_TEST(aggregate_takes_all_that_are_up)
{
	add(UP, 1);
	add(DOWN, 9);
	add(UP, 5);
	add(PROBING, 9);
	add_unusable(UP);
	path_set_choose(&set, true);
	ck_assert_active(0, 2);
}
END_TEST

/* A path that has not answered yet may be the only one that loses nothing. */
START_TEST(redundant_takes_all_that_are_not_down)
{
	set.mode = BOND_REDUNDANT;
	add(UP, 1);
	add(DOWN, 9);
	add(UP, 5);
	add(PROBING, 9);
	add_unusable(UP);
	path_set_choose(&set, true);
	ck_assert_active(0, 2, 3);
}
END_TEST

START_TEST(failover_takes_the_heaviest_that_is_up)
{
	set.mode = BOND_FAILOVER;
	add(UP, 1);
	add(UP, 3);
	add(DOWN, 9);
	add(UP, 2);
	path_set_choose(&set, true);
	ck_assert_active(1);
}
END_TEST

START_TEST(failover_takes_the_first_of_equals)
{
	set.mode = BOND_FAILOVER;
	add(DOWN, 7);
	add(UP, 2);
	add(UP, 2);
	path_set_choose(&set, true);
	ck_assert_active(1);
}
END_TEST

START_TEST(ranks_are_up_then_unanswered_then_down_then_unusable)
{
	add_unusable(UP);
	path_set_choose(&set, true);
	ck_assert_active(0);
	add(DOWN, 1);
	path_set_choose(&set, true);
	ck_assert_active(1);
	add(PROBING, 1);
	path_set_choose(&set, true);
	ck_assert_active(2);
	add(UP, 1);
	path_set_choose(&set, true);
	ck_assert_active(3);
}
END_TEST

START_TEST(backup_carries_data_only_while_no_primary_one_does)
{
	struct path_entry *primary = add(UP, 1);

	add(UP, 9)->is_backup = true;
	path_set_choose(&set, true);
	ck_assert_active(0);
	primary->state = DOWN;
	path_set_choose(&set, true);
	ck_assert_active(1);
	add(PROBING, 1);
	path_set_choose(&set, true);
	ck_assert_active(1);
}
END_TEST

START_TEST(poor_path_is_for_when_there_is_no_good_one)
{
	struct path_entry *good = add(UP, 1);

	add(UP, 1)->is_poor = true;
	path_set_choose(&set, true);
	ck_assert_active(0);
	good->is_backup = true;
	path_set_choose(&set, true);
	ck_assert_active(0);
	good->state = DOWN;
	path_set_choose(&set, true);
	ck_assert_active(1);
}
END_TEST

START_TEST(poor_path_takes_its_copies_in_redundant_mode)
{
	set.mode = BOND_REDUNDANT;
	add(UP, 1);
	add(UP, 1)->is_poor = true;
	path_set_choose(&set, true);
	ck_assert_active(0, 1);
}
END_TEST

START_TEST(path_held_down_is_better_than_one_that_does_not_answer)
{
	add(DOWN, 1);
	add(DOWN, 1)->is_held = true;
	add(PROBING, 1);
	path_set_choose(&set, true);
	ck_assert_active(1);
	add(UP, 1)->is_poor = true;
	path_set_choose(&set, true);
	ck_assert_active(3);
}
END_TEST

START_TEST(all_that_are_down_are_tried_in_the_end)
{
	add(DOWN, 1);
	add(DOWN, 1);
	path_set_choose(&set, true);
	ck_assert_active(0, 1);
}
END_TEST

START_TEST(path_of_a_stock_peer_need_not_have_answered)
{
	add(PROBING, 1);
	add(UP, 1);
	add(DOWN, 1);
	path_set_choose(&set, false);
	ck_assert_active(0, 1);
	path_set_choose(&set, true);
	ck_assert_active(1);
}
END_TEST

START_TEST(failover_among_the_unanswered_goes_by_weight)
{
	set.mode = BOND_FAILOVER;
	add(PROBING, 1);
	add(PROBING, 2);
	path_set_choose(&set, false);
	ck_assert_active(1);
}
END_TEST

START_TEST(full_set_is_chosen_from)
{
	for (unsigned i = 0; i < PATHS_MAX; i++)
		add(UP, 1);
	path_set_choose(&set, true);
	ck_assert_uint_eq(set.n_active, PATHS_MAX);
	ck_assert_uint_eq(set.active[PATHS_MAX - 1], PATHS_MAX - 1);
}
END_TEST

static void add_at(struct link *l, const char *remote)
{
	struct path_entry *e = add(UP, 1);

	e->path->link = l;
	e->to.remote = address(remote);
}

START_TEST(slot_is_found_by_link_and_address)
{
	struct addr first = address("192.0.2.1");
	struct addr port = address("192.0.2.1:1");
	struct addr v6 = address("[2001:db8::1]");

	add_at(&links[0], "192.0.2.1");
	add_at(&links[1], "192.0.2.1");
	add_at(&links[1], "[2001:db8::1]");
	ck_assert_uint_eq(path_set_slot(&set, &links[0], &first), 15);
	ck_assert_uint_eq(path_set_slot(&set, &links[1], &first), 14);
	ck_assert_uint_eq(path_set_slot(&set, &links[1], &v6), 13);
	ck_assert_uint_eq(path_set_slot(&set, &links[0], &v6), PATH_SLOT_NONE);
	ck_assert_uint_eq(path_set_slot(&set, &links[0], &port), PATH_SLOT_NONE);
	ck_assert_uint_eq(path_set_slot(NULL, &links[0], &first), PATH_SLOT_NONE);
}
END_TEST

START_TEST(entry_is_found_by_slot)
{
	add(UP, 1);
	add(UP, 1);
	ck_assert_ptr_eq(path_set_by_slot(&set, 14), &set.entries[1]);
	ck_assert_ptr_null(path_set_by_slot(&set, 0));
	ck_assert_ptr_null(path_set_by_slot(&set, PATH_SLOT_NONE));
	ck_assert_ptr_null(path_set_by_slot(NULL, 15));
}
END_TEST

/* The sanitizers see whether they are freed, and freed once. */
START_TEST(those_that_carry_data_come_first)
{
	add(DOWN, 1);
	add(UP, 1);
	add_unusable(UP);
	add(UP, 5);
	set.is_multilink = true;
	set.mode = BOND_FAILOVER;
	path_set_choose(&set, true);
	ck_assert_ptr_eq(path_set_nth(&set, 0), &set.entries[3]);
	ck_assert_ptr_eq(path_set_nth(&set, 1), &set.entries[0]);
	ck_assert_ptr_eq(path_set_nth(&set, 2), &set.entries[1]);
	ck_assert_ptr_eq(path_set_nth(&set, 3), &set.entries[2]);
	ck_assert_ptr_null(path_set_nth(&set, 4));
	set.mode = BOND_AGGREGATE;
	path_set_choose(&set, true);
	ck_assert_ptr_eq(path_set_nth(&set, 1), &set.entries[3]);
	ck_assert_ptr_eq(path_set_nth(&set, 2), &set.entries[0]);
}
END_TEST

/* Its answer there is all that can tell that the path is back. */
START_TEST(heaviest_path_of_a_stock_peer_comes_first_even_if_it_is_down)
{
	add(UP, 1);
	add_unusable(UP);
	add(DOWN, 5);
	add(UP, 5);
	path_set_choose(&set, false);
	ck_assert_ptr_eq(path_set_nth(&set, 0), &set.entries[2]);
	ck_assert_ptr_eq(path_set_nth(&set, 1), &set.entries[3]);
	ck_assert_ptr_eq(path_set_nth(&set, 2), &set.entries[0]);
	ck_assert_ptr_eq(path_set_nth(&set, 3), &set.entries[1]);
	ck_assert_ptr_null(path_set_nth(&set, 4));
}
END_TEST

START_TEST(retired_ones_are_freed)
{
	struct path *p = aligned_alloc(_Alignof(struct path), sizeof(*p));
	struct path_set *s = calloc(1, sizeof(*s));

	ck_assert_int_eq(thread_adopt(), 0);
	path_retire(p);
	path_set_retire(s);
	path_set_retire(NULL);
	rcu_drain();
	thread_disown();
}
END_TEST

START_TEST(weight_is_a_share_unless_it_is_a_rank)
{
	const struct path_entry *light = add(UP, 10);
	const struct path_entry *heavy = add(DOWN, 40);

	set.mode = BOND_AGGREGATE;
	path_set_choose(&set, true);
	ck_assert_double_eq(path_set_share(&set, light), 0.25);
	ck_assert_double_eq(path_set_share(&set, heavy), 1);
	set.mode = BOND_FAILOVER;
	path_set_choose(&set, true);
	ck_assert_double_eq(path_set_share(&set, light), 1);
}
END_TEST

START_TEST(queue_is_gone_when_nothing_was_reported_for_long_enough)
{
	nsec_t queue = 200 * NSEC_PER_MSEC;
	struct path *p = add(UP, 1)->path;

	ck_assert_int_eq(path_queue(p, NSEC_PER_SEC), 0);
	atomic_init(&p->queue, queue);
	atomic_init(&p->queue_at, NSEC_PER_SEC);
	ck_assert_int_eq(path_queue(p, NSEC_PER_SEC), queue);
	ck_assert_int_eq(path_queue(p, NSEC_PER_SEC + queue), queue);
	ck_assert_int_eq(path_queue(p, 2 * NSEC_PER_SEC), 0);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("path");
	TCase *t = tcase_create("path");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, no_path_gives_no_choice);
	tcase_add_test(t, aggregate_takes_all_that_are_up);
	tcase_add_test(t, redundant_takes_all_that_are_not_down);
	tcase_add_test(t, failover_takes_the_heaviest_that_is_up);
	tcase_add_test(t, failover_takes_the_first_of_equals);
	tcase_add_test(t, ranks_are_up_then_unanswered_then_down_then_unusable);
	tcase_add_test(t, backup_carries_data_only_while_no_primary_one_does);
	tcase_add_test(t, poor_path_is_for_when_there_is_no_good_one);
	tcase_add_test(t, poor_path_takes_its_copies_in_redundant_mode);
	tcase_add_test(t, path_held_down_is_better_than_one_that_does_not_answer);
	tcase_add_test(t, all_that_are_down_are_tried_in_the_end);
	tcase_add_test(t, path_of_a_stock_peer_need_not_have_answered);
	tcase_add_test(t, failover_among_the_unanswered_goes_by_weight);
	tcase_add_test(t, full_set_is_chosen_from);
	tcase_add_test(t, slot_is_found_by_link_and_address);
	tcase_add_test(t, entry_is_found_by_slot);
	tcase_add_test(t, those_that_carry_data_come_first);
	tcase_add_test(t, heaviest_path_of_a_stock_peer_comes_first_even_if_it_is_down);
	tcase_add_test(t, weight_is_a_share_unless_it_is_a_rank);
	tcase_add_test(t, queue_is_gone_when_nothing_was_reported_for_long_enough);
	tcase_add_test(t, retired_ones_are_freed);
	suite_add_tcase(s, t);
	return s;
}
