/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The monitor's care for the links' sockets, over a simulated clock. */
#include "broker/server.h"
#include "check_main.h"

#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dataplane/probe_internal.h"
#include "handmade.h"

static bool has_no_offloads; /* the system is too old to know them */

/* In place of libc's. */
int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	if (level == IPPROTO_UDP && has_no_offloads) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return (int)syscall(SYS_setsockopt, fd, level, option, value, len);
}

static void setup(void)
{
	has_no_offloads = false;
	handmade_settings(1, 2);
	for (unsigned i = 0; i < 2; i++)
		must(addr_parse(&link_settings[i].bind, "127.0.0.1", 0) == 0);
}

static void teardown(void)
{
	handmade_end();
}

static bool is_open(unsigned link)
{
	return atomic_load(&net.links[link]->is_open);
}

static void fail_link(unsigned link, int error, nsec_t now)
{
	const struct event e = {
		.kind = EVENT_FAILED,
		.link = net.links[link],
		.error = error,
		.at = now,
	};

	ck_assert(monitor_post(&net, &e));
	monitor_work(net.monitor, now);
}

static bool has_name(const char *task, const char *name)
{
	char path[64];
	char comm[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", task);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (fgets(comm, sizeof(comm), f))
		comm[strcspn(comm, "\n")] = 0;
	fclose(f);
	return !strcmp(comm, name);
}

static unsigned count_threads(const char *name)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;
	unsigned n = 0;

	while ((task = readdir(tasks)))
		n += has_name(task->d_name, name);
	closedir(tasks);
	return n;
}

START_TEST(sockets_are_opened_before_the_threads_run)
{
	handmade_begin();
	ck_assert_int_eq(monitor_prepare(net.monitor, T0), 0);
	ck_assert(is_open(0) && is_open(1));
}
END_TEST

/* gso and gro in turn. */
START_TEST(offload_that_must_be_there_is_an_error_where_it_is_not)
{
	has_no_offloads = true;
	*(_i ? &link_settings[1].gro : &link_settings[1].gso) = OFFLOAD_ON;
	handmade_begin();
	ck_assert_int_eq(monitor_prepare(net.monitor, T0), -EOPNOTSUPP);
	ck_assert(is_open(0) && !is_open(1));
}
END_TEST

START_TEST(links_do_without_what_an_old_system_does_not_know)
{
	has_no_offloads = true;
	link_settings[1].gso = link_settings[1].gro = OFFLOAD_OFF;
	handmade_begin();
	ck_assert_int_eq(monitor_prepare(net.monitor, T0), 0);
	ck_assert(is_open(0) && is_open(1));
}
END_TEST

START_TEST(device_that_is_missing_is_waited_for)
{
	strcpy(link_settings[0].device, "nosuchdev0");
	handmade_begin();
	ck_assert_int_eq(monitor_prepare(net.monitor, T0), 0);
	ck_assert(!is_open(0) && is_open(1));
	ck_assert_int_eq(atomic_load(&net.links[0]->last_error), ENODEV);
	strcpy(net.links[0]->settings->device, "lo"); /* it has come */
	monitor_work(net.monitor, T0 + settings.health.error_backoff - 1);
	ck_assert(!is_open(0));
	monitor_work(net.monitor, T0 + settings.health.error_backoff);
	ck_assert(is_open(0));
	ck_assert_int_eq(atomic_load(&net.links[0]->last_error), 0);
}
END_TEST

START_TEST(address_that_is_missing_is_waited_for)
{
	must(addr_parse(&link_settings[0].bind, "192.0.2.77", 0) == 0);
	handmade_begin();
	ck_assert_int_eq(monitor_prepare(net.monitor, T0), 0);
	ck_assert(!is_open(0));
	must(addr_parse(&net.links[0]->settings->bind, "127.0.0.1", 0) == 0);
	monitor_work(net.monitor, T0 + settings.health.error_backoff);
	ck_assert(is_open(0));
}
END_TEST

START_TEST(socket_of_a_vanished_device_is_closed_and_opened_anew)
{
	handmade_begin();
	ck_assert_int_eq(monitor_prepare(net.monitor, T0), 0);
	fail_link(0, ENODEV, T0 + 1);
	ck_assert(!is_open(0) && is_open(1));
	monitor_work(net.monitor, T0 + settings.health.error_backoff);
	ck_assert(is_open(0));
}
END_TEST

START_TEST(socket_outlives_errors_of_single_destinations)
{
	handmade_begin();
	ck_assert_int_eq(monitor_prepare(net.monitor, T0), 0);
	fail_link(0, ENETUNREACH, T0 + 1);
	fail_link(0, EPERM, T0 + 1);
	ck_assert(is_open(0));
}
END_TEST

/* A look-up may have begun by then; its thread must not outlive the network. */
START_TEST(port_that_is_taken_ends_it_without_a_thread_left)
{
	const struct link_settings other = {.name = "other", .bind = link_settings[1].bind};
	struct udp_socket taken;

	ck_assert_int_eq(udp_open(&taken, &other, AF_INET, BURST_BYTES_MAX), 0);
	udp_local_addr(&taken, &link_settings[1].bind);
	handmade_endpoint(0, "localhost", 51820);
	handmade_begin();
	ck_assert_int_eq(monitor_prepare(net.monitor, T0), -EADDRINUSE);
	while (!count_threads("vt-resolver"))
		sched_yield(); /* it names itself */
	monitor_free(net.monitor);
	net.monitor = NULL;
	ck_assert_uint_eq(count_threads("vt-resolver"), 0);
	close(taken.fd);
}
END_TEST

/* How long datagrams may gather on a link, a good second after its path was measured. */
static nsec_t gathering_time(unsigned link, nsec_t round_trip)
{
	static nsec_t now = T0;

	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = net.bonds[0]->probe->paths[i];

		if (!pp || pp->path->link != net.links[link])
			continue;
		pp->health.state = HEALTH_UP;
		pp->health.rtt_min = round_trip;
	}
	now += 2 * NSEC_PER_SEC;
	monitor_work(net.monitor, now);
	return atomic_load(&net.links[link]->coalesce_longest);
}

START_TEST(links_learn_how_far_away_their_peers_are)
{
	handmade_endpoint(0, "192.0.2.1", 51820);
	handmade_begin();
	ck_assert_int_eq(monitor_prepare(net.monitor, T0), 0);
	ck_assert_int_eq(gathering_time(1, 10 * NSEC_PER_MSEC), 500 * NSEC_PER_USEC);
	ck_assert_int_eq(atomic_load(&net.links[0]->coalesce_longest), 0); /* no path is up */
	ck_assert_int_eq(gathering_time(1, NSEC_PER_MSEC), 0);
}
END_TEST

START_TEST(full_queue_of_events_refuses)
{
	const struct event e = {.kind = EVENT_FAILED, .link = NULL, .path_id = 0};
	unsigned n = 0;

	handmade_begin();
	while (monitor_post(&net, &e)) {
		n++;
		ck_assert_uint_lt(n, 100000);
	}
	ck_assert_uint_ge(n, 100);
	/* Nobody handles them: the monitor is freed with what is queued. */
}
END_TEST

static unsigned post_frames(unsigned peer)
{
	const struct event e = {.kind = EVENT_FRAME,
				.bond = net.bonds[peer],
				.frame = {.type = FRAME_DOWN, .down = {.path_id = 1}},
				.at = T0};
	unsigned n = 0;

	while (monitor_post(&net, &e))
		n++;
	return n;
}

/* Nor does it fill that of the TUN reader: else others look dead. */
START_TEST(peer_that_sends_nothing_but_frames_leaves_room_for_others)
{
	const struct frame report = {.type = FRAME_REPORT};
	struct event session = {.kind = EVENT_SESSION, .at = T0};
	unsigned most;

	handmade_settings(2, 0);
	handmade_begin();
	session.bond = net.bonds[0];
	most = settings.sizes.event_queue / 4;
	for (int round = 0; round < 2; round++) {
		ck_assert_uint_eq(post_frames(0), most);
		ck_assert_uint_eq(post_frames(1), most);
		ck_assert(monitor_post(&net, &session));
		monitor_work(net.monitor, T0);
	}
	for (unsigned i = 0; i < most; i++)
		ck_assert(tx_post_frame(net.tx, net.bonds[0], &report, T0));
	ck_assert(!tx_post_frame(net.tx, net.bonds[0], &report, T0));
	ck_assert(tx_post_frame(net.tx, net.bonds[1], &report, T0));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("monitor");
	TCase *t = tcase_create("monitor");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, sockets_are_opened_before_the_threads_run);
	tcase_add_loop_test(t, offload_that_must_be_there_is_an_error_where_it_is_not, 0, 2);
	tcase_add_test(t, links_do_without_what_an_old_system_does_not_know);
	tcase_add_test(t, device_that_is_missing_is_waited_for);
	tcase_add_test(t, address_that_is_missing_is_waited_for);
	tcase_add_test(t, socket_of_a_vanished_device_is_closed_and_opened_anew);
	tcase_add_test(t, socket_outlives_errors_of_single_destinations);
	tcase_add_test(t, port_that_is_taken_ends_it_without_a_thread_left);
	tcase_add_test(t, links_learn_how_far_away_their_peers_are);
	tcase_add_test(t, full_queue_of_events_refuses);
	tcase_add_test(t, peer_that_sends_nothing_but_frames_leaves_room_for_others);
	suite_add_tcase(s, t);
	return s;
}
