/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The monitor's care for a link, over a simulated clock: interfaces and addresses come and go by
 * what the test tells. The loopback interface is the one that is really there.
 */
#include "broker/server.h"
#include "check_main.h"

#include <dirent.h>
#include <errno.h>

#include "dataplane/resolver.h"
#include "dataplane/uplink.h"
#include "probe_sim.h"

#define OTHER_INDEX 4711

static struct uplink uplink;

static void start(void)
{
	begin(1, "192.0.2.1", MULTILINK_AUTO);
	atomic_store(&net.links[0]->is_open, false);
	ck_assert_int_eq(uplink_start(&uplink, &net, &timers, net.links[0], now), 0);
}

/* A client's: bound to a device, an ephemeral port. */
static void start_on(const char *device)
{
	begin(1, "192.0.2.1", MULTILINK_AUTO);
	strcpy(net.links[0]->settings->device, device);
	must(addr_parse(&net.links[0]->settings->bind, "127.0.0.1", 0) == 0);
	atomic_store(&net.links[0]->is_open, false);
	ck_assert_int_eq(uplink_start(&uplink, &net, &timers, net.links[0], now), 0);
}

static void speak(void)
{
	answers[0] = true;
	probe_session(probe, now);
	give_hello(0, "192.0.2.1", FAR_ID(0), 1);
	run_for(SECONDS(2));
	ck_assert_int_eq(state_of(0, "192.0.2.1"), HEALTH_UP);
}

static bool is_open(void)
{
	return atomic_load(&net.links[0]->is_open);
}

static void tell_link(const char *name, unsigned ifindex, bool is_running)
{
	struct netif_change c = {.kind = NETIF_LINK, .ifindex = ifindex, .is_running = is_running};

	strcpy(c.name, name);
	uplink_netif(&uplink, &c, now);
}

static void tell_link_gone(unsigned ifindex)
{
	const struct netif_change c = {.kind = NETIF_LINK_GONE, .ifindex = ifindex};

	uplink_netif(&uplink, &c, now);
}

static void tell_address(enum netif_change_kind kind, const char *address, unsigned ifindex)
{
	struct netif_change c = {.kind = kind, .ifindex = ifindex};

	must(prefix_parse(&c.address, address) == 0);
	uplink_netif(&uplink, &c, now);
}

static unsigned count_descriptors(void)
{
	DIR *fds = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(fds))
		n++;
	closedir(fds);
	return n;
}

START_TEST(carrier_that_is_lost_takes_the_path_down_at_once_and_keeps_the_socket)
{
	start_on("lo");
	speak();
	tell_link("lo", uplink.ifindex, false);
	ck_assert_int_eq(state_of(0, "192.0.2.1"), HEALTH_DOWN);
	ck_assert(!published()->entries[0].is_usable);
	ck_assert(is_open());
}
END_TEST

START_TEST(carrier_that_is_back_brings_the_path_up_without_the_backoff)
{
	start_on("lo");
	speak();
	tell_link("lo", uplink.ifindex, false);
	run_for(SECONDS(1));
	tell_link("lo", uplink.ifindex, true);
	run_for(NSEC_PER_SEC / 2);
	ck_assert_int_eq(state_of(0, "192.0.2.1"), HEALTH_UP);
	ck_assert(published()->entries[0].is_usable);
}
END_TEST

START_TEST(other_interfaces_do_not_matter)
{
	start_on("lo");
	speak();
	tell_link("eth7", OTHER_INDEX, false);
	tell_link_gone(OTHER_INDEX);
	tell_address(NETIF_ADDRESS_GONE, "198.51.100.7", OTHER_INDEX);
	ck_assert_int_eq(state_of(0, "192.0.2.1"), HEALTH_UP);
	ck_assert(is_open());
}
END_TEST

START_TEST(device_that_is_another_one_now_gets_a_new_socket)
{
	nsec_t before;

	start_on("lo");
	speak();
	before = uplink.opened;
	tell_link("lo", OTHER_INDEX, true); /* it has come back under another index */
	ck_assert(is_open());
	ck_assert_int_ne(uplink.opened, before);
	ck_assert_uint_eq(uplink.ifindex, OTHER_INDEX);
	ck_assert_int_eq(state_of(0, "192.0.2.1"), HEALTH_DOWN);
	run_for(NSEC_PER_SEC / 2);
	ck_assert_int_eq(state_of(0, "192.0.2.1"), HEALTH_UP);
}
END_TEST

START_TEST(device_that_appears_is_opened_at_once)
{
	start_on("nosuchdev0");
	ck_assert(!is_open());
	strcpy(net.links[0]->settings->device, "lo");
	tell_link("lo", 1, true);
	ck_assert(is_open());
}
END_TEST

START_TEST(device_that_is_renamed_away_is_gone)
{
	start_on("lo");
	speak();
	strcpy(net.links[0]->settings->device,
	       "nosuchdev0"); /* for the kernel it has that name no more */
	tell_link("old0", uplink.ifindex, true);
	ck_assert(!is_open());
	ck_assert_int_eq(state_of(0, "192.0.2.1"), HEALTH_DOWN);
}
END_TEST

START_TEST(address_that_appears_is_bound_to_at_once)
{
	begin(1, "192.0.2.1", MULTILINK_AUTO);
	must(addr_parse(&net.links[0]->settings->bind, "192.0.2.77", 0) == 0);
	atomic_store(&net.links[0]->is_open, false);
	ck_assert_int_eq(uplink_start(&uplink, &net, &timers, net.links[0], now), 0);
	ck_assert(!is_open());
	must(addr_parse(&net.links[0]->settings->bind, "127.0.0.1", 0) == 0);
	tell_address(NETIF_ADDRESS, "192.0.2.1", 1);
	ck_assert(!is_open());
	tell_address(NETIF_ADDRESS, "127.0.0.1", 1);
	ck_assert(is_open());
}
END_TEST

START_TEST(source_that_has_gone_is_not_answered_from)
{
	start();
	speak();
	find(0, "192.0.2.1")->to.local = endpoint_of("203.0.113.5").remote;
	tell_address(NETIF_ADDRESS_GONE, "203.0.113.6", OTHER_INDEX);
	ck_assert(addr_is_set(&find(0, "192.0.2.1")->to.local));
	tell_address(NETIF_ADDRESS_GONE, "203.0.113.5", OTHER_INDEX);
	ck_assert(!addr_is_set(&find(0, "192.0.2.1")->to.local));
	ck_assert(!addr_is_set(&published()->entries[0].to.local));
	ck_assert_int_eq(state_of(0, "192.0.2.1"), HEALTH_UP);
}
END_TEST

START_TEST(new_address_ends_the_backoff_after_an_error)
{
	start();
	speak();
	probe_path_failed(probe, find(0, "192.0.2.1")->path->id, ENETUNREACH, now);
	ck_assert_int_eq(state_of(0, "192.0.2.1"), HEALTH_DOWN);
	tell_address(NETIF_ADDRESS, "203.0.113.5", OTHER_INDEX);
	run_for(NSEC_PER_SEC / 2);
	ck_assert_int_eq(state_of(0, "192.0.2.1"), HEALTH_UP);
}
END_TEST

START_TEST(silence_leads_to_another_port_and_then_to_patience)
{
	unsigned n_changes = 0;

	start();
	speak();
	answers[0] = false;
	for (unsigned i = 0; i < 120; i++) {
		nsec_t before = uplink.opened;

		run_for(SECONDS(1));
		n_changes += uplink.opened != before;
	}
	/* after 15, 30 and 60 seconds */
	ck_assert_uint_ge(n_changes, 2);
	ck_assert_uint_le(n_changes, 4);
	ck_assert(is_open());
}
END_TEST

START_TEST(port_is_kept_while_anything_is_answered)
{
	nsec_t before;

	start();
	speak();
	before = uplink.opened;
	run_for(SECONDS(120));
	ck_assert_int_eq(uplink.opened, before);
}
END_TEST

START_TEST(port_is_tried_again_without_any_session)
{
	nsec_t before;

	begin(1, "192.0.2.1", MULTILINK_AUTO);
	device_unlink_peer(net.device, &bond->peer);
	ck_assert_int_eq(device_insert_peer(net.device, &bond->peer, 0, true), 0);
	atomic_store(&net.links[0]->is_open, false);
	ck_assert_int_eq(uplink_start(&uplink, &net, &timers, net.links[0], now), 0);
	before = uplink.opened;
	run_for(SECONDS(10));
	ck_assert_int_eq(uplink.opened, before);
	run_for(SECONDS(11));
	ck_assert_int_ne(uplink.opened, before);
}
END_TEST

START_TEST(stock_peer_that_is_quiet_keeps_the_port)
{
	nsec_t before;

	start();
	probe_session(probe, now);
	before = uplink.opened;
	run_for(SECONDS(120));
	ck_assert_int_eq(uplink.opened, before);
}
END_TEST

START_TEST(port_that_is_configured_is_kept)
{
	struct udp_socket probe_socket;
	const struct link_settings any = {.name = "any"};
	struct addr free_port;
	nsec_t before;

	ck_assert_int_eq(udp_open(&probe_socket, &any, AF_INET, BURST_BYTES_MAX), 0);
	udp_local_addr(&probe_socket, &free_port);
	close(probe_socket.fd);
	begin(1, "192.0.2.1", MULTILINK_AUTO);
	must(addr_parse(&net.links[0]->settings->bind, "127.0.0.1", addr_port(&free_port)) == 0);
	ck_assert_int_eq(uplink_start(&uplink, &net, &timers, net.links[0], now), 0);
	speak();
	answers[0] = false;
	before = uplink.opened;
	run_for(SECONDS(120));
	ck_assert_int_eq(uplink.opened, before);
}
END_TEST

/* Who has given it up may want its port for another one. */
START_TEST(socket_that_is_given_up_is_not_opened_by_what_comes_meanwhile)
{
	start_on("lo");
	uplink_close(&uplink, now);
	tell_address(NETIF_ADDRESS, "127.0.0.1", 1);
	tell_link("lo", 1, true);
	uplink_look(&uplink, now);
	ck_assert(!is_open());
	ck_assert_int_eq(uplink_reopen(&uplink, false, now), 0);
	ck_assert(is_open());
}
END_TEST

/* First to leave its port to another link, then to have another one itself. */
START_TEST(socket_that_is_given_up_is_not_taken_away_again)
{
	struct udp_socket *none;

	start_on("lo");
	uplink_close(&uplink, now);
	none = atomic_load(&net.links[0]->replacement);
	ck_assert_int_eq(none->fd, -1);
	uplink_close(&uplink, now);
	ck_assert_ptr_eq(atomic_load(&net.links[0]->replacement), none);
}
END_TEST

START_TEST(thousand_flaps_leave_no_descriptor_behind)
{
	unsigned before;

	start_on("lo");
	speak();
	before = count_descriptors();
	for (unsigned i = 0; i < 1000; i++) {
		tell_link("lo", uplink.ifindex, false);
		tell_link("lo", OTHER_INDEX + i, true);
		run_for(NSEC_PER_MSEC);
	}
	ck_assert(is_open());
	ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("uplink");
	TCase *t = tcase_create("uplink");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, carrier_that_is_lost_takes_the_path_down_at_once_and_keeps_the_socket);
	tcase_add_test(t, carrier_that_is_back_brings_the_path_up_without_the_backoff);
	tcase_add_test(t, other_interfaces_do_not_matter);
	tcase_add_test(t, device_that_is_another_one_now_gets_a_new_socket);
	tcase_add_test(t, device_that_appears_is_opened_at_once);
	tcase_add_test(t, device_that_is_renamed_away_is_gone);
	tcase_add_test(t, address_that_appears_is_bound_to_at_once);
	tcase_add_test(t, source_that_has_gone_is_not_answered_from);
	tcase_add_test(t, new_address_ends_the_backoff_after_an_error);
	tcase_add_test(t, silence_leads_to_another_port_and_then_to_patience);
	tcase_add_test(t, port_is_kept_while_anything_is_answered);
	tcase_add_test(t, port_is_tried_again_without_any_session);
	tcase_add_test(t, stock_peer_that_is_quiet_keeps_the_port);
	tcase_add_test(t, port_that_is_configured_is_kept);
	tcase_add_test(t, socket_that_is_given_up_is_not_opened_by_what_comes_meanwhile);
	tcase_add_test(t, socket_that_is_given_up_is_not_taken_away_again);
	tcase_add_test(t, thousand_flaps_leave_no_descriptor_behind);
	suite_add_tcase(s, t);
	return s;
}
