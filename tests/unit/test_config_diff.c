/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Differences of configurations, and what they make of a network that runs. */
#include "check_main.h"

#include <errno.h>
#include <string.h>

#include "core/config_diff.h"
#include "core/config_edit.h"
#include "core/network_diff.h"

#define KEY_A "YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
#define KEY_B "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
#define KEY_C "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="

#define NETWORK "[wireguard]\nprivate_key = " KEY_A "\n"
#define LINK "[link wifi]\nweight = 1\n"
#define PEER                                                                                       \
	"[peer b]\npublic_key = " KEY_B "\nallowed_ips = 10.0.0.1/32\nallowed_ips = 10.0.0.2/32\n"

static struct config before, after;
static struct config_diff diff;

static void read_text(struct config *ret, const char *text)
{
	struct config_errors errors = {0};
	char buf[2048];

	strcpy(buf, text);
	if (config_parse(ret, buf, strlen(buf), &errors) < 0)
		ck_abort_msg("%s", errors.items[0].text);
	config_errors_deinit(&errors);
}

static void compare(const char *older, const char *newer)
{
	read_text(&before, older);
	read_text(&after, newer);
	ck_assert_int_eq(config_diff(&before, &after, &diff), 0);
}

static void end(void)
{
	config_diff_deinit(&diff);
	config_deinit(&before);
	config_deinit(&after);
}

static void expect(size_t i, const char *text, bool is_hot)
{
	char buf[256];

	ck_assert_uint_lt(i, diff.n);
	difference_describe(&diff.items[i], buf, sizeof(buf));
	ck_assert_str_eq(buf, text);
	ck_assert_int_eq(difference_is_hot(&diff.items[i]), is_hot);
}

START_TEST(equal_ones_have_no_difference_whatever_their_looks)
{
	compare(NETWORK LINK PEER, "# a comment\n" PEER "\n" LINK NETWORK);
	ck_assert_uint_eq(diff.n, 0);
}
END_TEST

START_TEST(each_key_is_named)
{
	compare(NETWORK LINK PEER,
		NETWORK "health_check_interval_ms = 500\n[network]\nmtu = 1400\n"
			"[link wifi]\nbind = 10.0.0.1:0\n" PEER "[daemon]\nlog_level = debug\n");
	ck_assert_uint_eq(diff.n, 5);
	expect(0, "[wireguard] health_check_interval_ms changed", true);
	expect(1, "[network] mtu changed", true);
	expect(2, "[link wifi] bind changed", true);
	expect(3, "[link wifi] weight changed", true);
	ck_assert_str_eq(diff.items[2].network, "default");
	ck_assert_str_eq(diff.items[4].network, "");
}
END_TEST

START_TEST(list_is_compared_as_a_whole)
{
	compare(NETWORK LINK PEER,
		NETWORK LINK "[peer b]\npublic_key = " KEY_B "\nallowed_ips = 10.0.0.1/32\n");
	ck_assert_uint_eq(diff.n, 1);
	expect(0, "[peer b] allowed_ips changed", true);
}
END_TEST

START_TEST(unknown_keys_need_a_restart)
{
	compare(NETWORK LINK PEER "[network]\nbuffer_size = 32768\n",
		NETWORK LINK PEER "[daemon]\nuser = nobody\n");
	ck_assert_uint_eq(diff.n, 2);
	expect(0, "[daemon] user changed", false);
	expect(1, "[network] buffer_size changed", false);
}
END_TEST

/* Those keys are added to the section: all of them are hot, or none is. */
static void expect_all(const char *section, const char *keys, size_t n, bool are_hot)
{
	char older[1024], newer[2048];

	snprintf(older, sizeof(older), "[link lte]\n%s%s%s\n", PEER, NETWORK, section);
	strcat(strcpy(newer, older), keys);
	compare(older, newer);
	ck_assert_uint_eq(diff.n, n);
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(difference_is_hot(&diff.items[i]) == are_hot, "%s",
			      diff.items[i].key);
}

START_TEST(running_network_takes_tuning)
{
	struct network_diff d;

	expect_all("",
		   "bonding_mode = failover\nscheduler = weight\nmax_spread_ms = 50\n"
		   "error_backoff_secs = 9\nhealth_check_interval_ms = 500\n"
		   "health_check_timeout_ms = 2500\nhealth_check_backup_interval_ms = 9000\n"
		   "health_check_down = 2\nhealth_check_up = 2\n"
		   "failure_loss = 20\nrecovery_loss = 10\nfailure_latency_ms = 500\n"
		   "recovery_latency_ms = 300\nflap_hold_max_secs = 9\n",
		   14, true);
	ck_assert_int_eq(network_diff(&before.networks[0], &after.networks[0], &d), 0);
	ck_assert(d.has_tuning);
	network_diff_deinit(&d);
}
END_TEST

START_TEST(spread_alone_is_tuning)
{
	struct network_diff d;

	expect_all("", "max_spread_ms = 50\n", 1, true);
	ck_assert_int_eq(network_diff(&before.networks[0], &after.networks[0], &d), 0);
	ck_assert(d.has_tuning);
	network_diff_deinit(&d);
}
END_TEST

START_TEST(running_network_takes_what_a_link_is_used_for)
{
	struct network_diff d;

	expect_all(LINK, "role = backup\nrate = 5mbit\n", 2, true);
	ck_assert_int_eq(network_diff(&before.networks[0], &after.networks[0], &d), 0);
	ck_assert(!d.has_tuning);
	ck_assert_uint_eq(d.change.n_links, 2); /* the other as well: wg(8) may have changed it */
	ck_assert_str_eq(d.change.links[0].settings.name, "lte");
	ck_assert_int_eq(d.change.links[1].settings.role, LINK_BACKUP);
	ck_assert_uint_eq(d.change.links[1].settings.rate, 5000000);
	network_diff_deinit(&d);
}
END_TEST

/* Buffers have their sizes, and threads read them at any time. */
START_TEST(what_a_network_is_made_with_needs_a_restart)
{
	expect_all("[network]\n",
		   "interface = tun9\nbuffer_size = 4096\nbuffers = 20\nlink_queue = 16\n", 4,
		   false);
}
END_TEST

START_TEST(running_network_takes_another_shape)
{
	expect_all("[network]\n",
		   "address = 10.9.0.1\nnetmask = 255.255.0.0\ndestination = 10.9.0.2\nmtu = 1300\n"
		   "mss_clamp = false\ncarrier = follow\ntable = 100\nmetric = 5\nuapi = off\n",
		   9, true);
}
END_TEST

START_TEST(network_change_has_who_differs_as_a_whole_and_no_more)
{
	struct network_diff d;

	compare(NETWORK LINK PEER,
		NETWORK "[link lte]\nweight = 2\n"
			"[peer b]\npublic_key = " KEY_B
			"\nallowed_ips = 10.0.0.1/32\nallowed_ips = 10.0.0.2/32\n"
			"persistent_keepalive = 9\n"
			"[peer c]\npublic_key = " KEY_C "\nallowed_ips = 10.0.0.3/32\n");
	after.networks[0].peers[1].is_on_demand = true; /* as wg(8) has added it */
	ck_assert_int_eq(network_diff(&before.networks[0], &after.networks[0], &d), 0);
	ck_assert(!d.has_tuning);
	ck_assert_ptr_null(d.change.private_key);
	ck_assert_uint_eq(d.change.n_links, 2);
	ck_assert(d.change.links[0].is_removed);
	ck_assert_str_eq(d.change.links[0].settings.name, "wifi");
	ck_assert_str_eq(d.change.links[1].settings.name, "lte");
	ck_assert_uint_eq(d.change.n_peers, 2);
	ck_assert(d.change.peers[0].has_persistent_keepalive);
	ck_assert(d.change.peers[0].has_preshared_key);
	ck_assert(d.change.peers[0].replaces_allowed_ips);
	ck_assert_uint_eq(d.change.peers[0].n_allowed_ips, 2);
	ck_assert(!d.change.peers[0].has_endpoint);
	ck_assert_str_eq(d.change.peers[1].name, "c");
	ck_assert_uint_eq(d.change.peers[1].n_allowed_ips, 1);
	ck_assert(d.change.peers[1].is_on_demand);
	network_diff_deinit(&d);
}
END_TEST

START_TEST(peer_of_another_name_is_another_peer)
{
	struct network_diff d;

	compare(NETWORK LINK PEER,
		NETWORK LINK "[peer x]\npublic_key = " KEY_B "\nallowed_ips = 10.0.0.1/32\n");
	ck_assert_int_eq(network_diff(&before.networks[0], &after.networks[0], &d), 0);
	ck_assert_uint_eq(d.change.n_peers, 2);
	ck_assert(d.change.peers[0].is_removed);
	ck_assert(!d.change.peers[1].is_removed);
	network_diff_deinit(&d);
}
END_TEST

START_TEST(edited_text_is_read_back)
{
	struct config_section *s;
	struct buffer text = {0};

	read_text(&before, NETWORK LINK PEER);
	s = config_edit_find(&before.ini, "link", "wifi");
	ck_assert_int_eq(config_edit_set(s, "weight", "7"), 0);
	ck_assert_int_eq(config_edit_set(s, "weight", "7 ; a comment"), -EINVAL);
	ck_assert_int_eq(config_edit_set(s, "bind", "1\n[daemon]"), -EINVAL);
	ck_assert_int_eq(config_edit_add(&before.ini, "link", "wifi", &s), -EEXIST);
	ck_assert_int_eq(config_edit_add(&before.ini, "link", "x]\n[y", &s), -EINVAL);
	ck_assert_int_eq(config_edit_add(&before.ini, "link", "lte/5g", &s), 0);
	config_edit_remove(&before.ini, config_edit_find(&before.ini, "peer", "b"));
	ck_assert_int_eq(config_edit_write(&before.ini, &text), 0);
	ck_assert_int_eq(buffer_append(&text, "", 1), 0);
	ck_assert_str_eq(text.data, NETWORK "[link wifi]\nweight = 7\n[link lte/5g]\n");
	buffer_deinit(&text);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("config_diff");
	TCase *c = tcase_create("config_diff");

	tcase_add_checked_fixture(c, NULL, end);
	tcase_add_test(c, equal_ones_have_no_difference_whatever_their_looks);
	tcase_add_test(c, each_key_is_named);
	tcase_add_test(c, list_is_compared_as_a_whole);
	tcase_add_test(c, unknown_keys_need_a_restart);
	tcase_add_test(c, running_network_takes_tuning);
	tcase_add_test(c, spread_alone_is_tuning);
	tcase_add_test(c, running_network_takes_what_a_link_is_used_for);
	tcase_add_test(c, what_a_network_is_made_with_needs_a_restart);
	tcase_add_test(c, running_network_takes_another_shape);
	tcase_add_test(c, network_change_has_who_differs_as_a_whole_and_no_more);
	tcase_add_test(c, peer_of_another_name_is_another_peer);
	tcase_add_test(c, edited_text_is_read_back);
	suite_add_tcase(suite, c);
	return suite;
}
