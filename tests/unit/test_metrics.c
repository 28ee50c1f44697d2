/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The metrics' text, which Prometheus' own promtool judges too; and what counts as healthy. */
#include "check_main.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/metrics.h"

static struct path_status paths[2];
static struct peer_status peers[2];
static struct link_status links[2];
static struct network_status networks[2];
static struct buffer text;
static char reasons[2048];

static void make_networks(void)
{
	memset(paths, 0, sizeof(paths));
	memset(peers, 0, sizeof(peers));
	memset(links, 0, sizeof(links));
	paths[0] = (struct path_status){
		.id = 1,
		.link = "fibre",
		.state = HEALTH_UP,
		.is_active = true,
		.rtt = 12500000,
		.tx_loss = 0.25,
		.rx_loss = -1,
		.tx_bytes = UINT64_MAX,
		.tx_bps = 8000,
		.learnt_bps = 16000,
		.queue = 250 * NSEC_PER_MSEC,
		.n_flaps = 3,
		.hold = 1500 * NSEC_PER_MSEC,
		.mtu = 1452,
	};
	paths[1] = (struct path_status){.id = 2, .link = "lte\"\\\n", .tx_loss = -1, .rx_loss = -1};
	strcpy(peers[0].name, "vps");
	peers[0].has_session = true;
	peers[0].handshake_age = 42 * NSEC_PER_SEC;
	peers[0].paths = paths;
	peers[0].n_paths = 2;
	peers[0].reseq.repaired = 17;
	peers[0].resend.packets = 18;
	strcpy(peers[1].name, "phone \xff");
	peers[1].handshake_age = -1;
	strcpy(links[0].name, "fibre");
	links[0].is_open = true;
	links[0].rate = 40000000;
	links[0].is_backup = true;
	strcpy(links[1].name, "lte");
	links[1].is_open = true;
	networks[0] = (struct network_status){.name = "home",
					      .state = "active",
					      .interface = "tun0",
					      .links = links,
					      .n_links = 2,
					      .peers = peers,
					      .n_peers = 2};
	networks[1] = (struct network_status){.name = "office", .state = "stopped"};
	drops_add(&networks[0].drops, DROP_rx_bad_mac1, 3);
}

static void write_all(void)
{
	ck_assert_int_eq(metrics_write(&text, networks, 2, VERDICT_DEGRADED), 0);
}

static void end(void)
{
	buffer_deinit(&text);
}

static unsigned count(const char *needle)
{
	unsigned n = 0;

	for (const char *at = text.data; (at = strstr(at, needle)); at += strlen(needle))
		n++;
	return n;
}

#define expect(line) ck_assert_msg(count(line "\n") == 1, "%s in:\n%s", line, text.data)

START_TEST(numbers_are_in_base_units_under_names_of_things)
{
	write_all();
	expect("vtrunkd_health 1");
	expect("vtrunkd_network_up{network=\"home\"} 1");
	expect("vtrunkd_network_up{network=\"office\"} 0");
	expect("vtrunkd_path_rtt_seconds{network=\"home\",peer=\"vps\",link=\"fibre\",path=\"1\"} "
	       "0.0125");
	expect("vtrunkd_path_transmit_bytes_total{network=\"home\",peer=\"vps\",link=\"fibre\","
	       "path=\"1\"} 18446744073709551615");
	expect("vtrunkd_path_transmit_bytes_per_second{network=\"home\",peer=\"vps\","
	       "link=\"fibre\",path=\"1\"} 1000");
	expect("vtrunkd_path_learnt_bytes_per_second{network=\"home\",peer=\"vps\","
	       "link=\"fibre\",path=\"1\"} 2000");
	expect("vtrunkd_path_queue_seconds{network=\"home\",peer=\"vps\",link=\"fibre\","
	       "path=\"1\"} 0.25");
	expect("vtrunkd_path_state{network=\"home\",peer=\"vps\",link=\"fibre\",path=\"1\","
	       "state=\"up\"} 1");
	expect("vtrunkd_peer_handshake_age_seconds{network=\"home\",peer=\"vps\"} 42");
	expect("vtrunkd_network_dropped_packets_total{network=\"home\",reason=\"rx_bad_mac1\"} 3");
}
END_TEST

START_TEST(what_keeps_a_path_from_being_used_is_there)
{
	write_all();
	expect("vtrunkd_path_flaps_total{network=\"home\",peer=\"vps\",link=\"fibre\",path=\"1\"} "
	       "3");
	expect("vtrunkd_path_held_seconds{network=\"home\",peer=\"vps\",link=\"fibre\",path=\"1\"} "
	       "1.5");
	expect("vtrunkd_path_mtu_bytes{network=\"home\",peer=\"vps\",link=\"fibre\",path=\"1\"} "
	       "1452");
	expect("vtrunkd_link_backup{network=\"home\",link=\"fibre\"} 1");
	expect("vtrunkd_link_backup{network=\"home\",link=\"lte\"} 0");
	expect("vtrunkd_link_rate_cap_bytes_per_second{network=\"home\",link=\"fibre\"} 5000000");
	expect("vtrunkd_peer_resequencer_repaired_packets_total{network=\"home\",peer=\"vps\"} 17");
	expect("vtrunkd_peer_resent_packets_total{network=\"home\",peer=\"vps\"} 18");
}
END_TEST

START_TEST(unknown_is_left_out)
{
	write_all();
	ck_assert_uint_eq(count("vtrunkd_path_mtu_bytes{"), 1);
	ck_assert_uint_eq(count("vtrunkd_link_rate_cap_bytes_per_second{"), 1);
	ck_assert_uint_eq(count("vtrunkd_path_rtt_seconds{"), 1);
	ck_assert_uint_eq(count("vtrunkd_path_learnt_bytes_per_second{"), 1);
	ck_assert_uint_eq(count("vtrunkd_path_transmit_loss_ratio{"), 1);
	ck_assert_uint_eq(count("vtrunkd_path_receive_loss_ratio{"), 0);
	ck_assert_uint_eq(count("vtrunkd_peer_handshake_age_seconds{"), 1);
}
END_TEST

START_TEST(labels_are_escaped)
{
	write_all();
	ck_assert_uint_ge(count("link=\"lte\\\"\\\\\\n\",path=\"2\"}"), 1);
	ck_assert_uint_ge(count("peer=\"phone ?\"}"), 1);
}
END_TEST

START_TEST(each_family_is_explained_once)
{
	char *line, *rest;

	write_all();
	rest = strdup(text.data);
	for (char *cut = rest; (line = strsep(&cut, "\n"));)
		if (!strncmp(line, "# ", 2))
			ck_assert_msg(count(line) == 1, "%s", line);
	free(rest);
}
END_TEST

START_TEST(no_key_is_in_it)
{
	memset(peers[0].public_key, 'A', sizeof(peers[0].public_key));
	write_all();
	ck_assert_uint_eq(count("key"), 0);
	ck_assert_uint_eq(count("QUFB"), 0);
	ck_assert_uint_eq(count("AAAA"), 0);
}
END_TEST

START_TEST(promtool_finds_nothing_to_blame)
{
	char command[256];
	FILE *pipe;
	int status;

	write_all();
	snprintf(command, sizeof(command), "%s check metrics", getenv("PROMTOOL"));
	pipe = popen(command, "w");
	fputs(text.data, pipe);
	status = pclose(pipe);
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

static void note(void *ctx, enum verdict verdict, const char *reason)
{
	(void)ctx;
	(void)verdict;
	strcat(reasons, reason);
	strcat(reasons, "\n");
}

static enum verdict judge(const struct network_status *s)
{
	*reasons = '\0';
	return verdict_network(s, true, note, NULL);
}

START_TEST(peers_paths_and_links_decide_on_health)
{
	paths[1].state = HEALTH_UP;
	ck_assert_int_eq(judge(&networks[0]), VERDICT_HEALTHY); /* one of two peers */
	ck_assert_str_eq(reasons, "");
	paths[1].state = HEALTH_DOWN;
	strcpy(paths[1].link, "lte");
	ck_assert_int_eq(judge(&networks[0]), VERDICT_DEGRADED);
	ck_assert_str_eq(reasons, "network home: peer vps: path over link lte is down\n");
	paths[1].state = HEALTH_UP;
	links[1].is_open = false;
	ck_assert_int_eq(judge(&networks[0]), VERDICT_DEGRADED);
	links[1].is_open = true;
	peers[0].handshake_age = 200 * NSEC_PER_SEC;
	ck_assert_int_eq(judge(&networks[0]), VERDICT_UNHEALTHY);
	ck_assert_str_eq(reasons, "network home: no peer has a session\n");
}
END_TEST

/* Of all peers, so many were begun and so many answered. */
static enum verdict judge_tally(uint16_t begun, uint16_t answered)
{
	peers[0].lately = (struct tally){(uint16_t)(begun - 1), (uint16_t)(answered / 2), 0};
	peers[1].lately = (struct tally){1, (uint16_t)(answered - answered / 2), 0};
	return judge(&networks[0]);
}

START_TEST(handshakes_that_fail_decide_on_health_when_there_are_some)
{
	paths[1].state = HEALTH_UP;
	ck_assert_int_eq(judge_tally(10, 0), VERDICT_HEALTHY);
	ck_assert_int_eq(judge_tally(20, 16), VERDICT_HEALTHY);
	ck_assert_int_eq(judge_tally(20, 15), VERDICT_DEGRADED);
	ck_assert_str_eq(reasons, "network home: only 15 of 20 handshakes of late were answered\n");
	ck_assert_int_eq(judge_tally(20, 10), VERDICT_DEGRADED);
	ck_assert_int_eq(judge_tally(20, 9), VERDICT_UNHEALTHY);
	ck_assert_int_eq(judge_tally(11, 0), VERDICT_UNHEALTHY);
}
END_TEST

START_TEST(tally_forgets_by_half_each_minute)
{
	const nsec_t minute = 60 * NSEC_PER_SEC;
	struct tally t = {0};

	for (int i = 0; i < 12; i++)
		t = tally_count(t, false, 7 * minute);
	t = tally_count(t, true, 7 * minute + 1);
	ck_assert_uint_eq(t.begun, 12);
	ck_assert_uint_eq(t.answered, 1);
	t = tally_at(t, 8 * minute);
	ck_assert_uint_eq(t.begun, 6);
	ck_assert_uint_eq(t.answered, 0);
	ck_assert_uint_eq(tally_count(t, true, 8 * minute).answered, 1);
	t = tally_at(t, 1000000 * minute);
	ck_assert_uint_eq(t.begun, 0);
	/* An answer to what is forgotten is no more than what was begun. */
	ck_assert_uint_eq(tally_count(t, true, 1000000 * minute).answered, 0);
}
END_TEST

START_TEST(network_that_should_run_and_does_not_is_unhealthy)
{
	ck_assert_int_eq(judge(&networks[1]), VERDICT_UNHEALTHY);
	ck_assert_int_eq(verdict_network(&networks[1], false, NULL, NULL), VERDICT_HEALTHY);
	networks[1].state = "starting";
	ck_assert_int_eq(judge(&networks[1]), VERDICT_DEGRADED);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("metrics");
	TCase *c = tcase_create("metrics");

	tcase_add_checked_fixture(c, make_networks, end);
	tcase_add_test(c, numbers_are_in_base_units_under_names_of_things);
	tcase_add_test(c, what_keeps_a_path_from_being_used_is_there);
	tcase_add_test(c, unknown_is_left_out);
	tcase_add_test(c, labels_are_escaped);
	tcase_add_test(c, each_family_is_explained_once);
	tcase_add_test(c, no_key_is_in_it);
	if (getenv("PROMTOOL") && *getenv("PROMTOOL"))
		tcase_add_test(c, promtool_finds_nothing_to_blame);
	tcase_add_test(c, peers_paths_and_links_decide_on_health);
	tcase_add_test(c, handshakes_that_fail_decide_on_health_when_there_are_some);
	tcase_add_test(c, tally_forgets_by_half_each_minute);
	tcase_add_test(c, network_that_should_run_and_does_not_is_unhealthy);
	suite_add_tcase(suite, c);
	return suite;
}
