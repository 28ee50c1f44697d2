/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include <syslog.h>

#include "config_text.h"
#include "core/config_store.h"
#include "core/paths.h"

struct bad_file {
	const char *text;
	int line;
	const char *says;
};

static const struct bad_file bad_files[] = {
	{"", 0, "the section [wireguard] is missing"},
	{"; nothing but a comment", 0, "the section [wireguard] is missing"},
	{"mtu = 5\n" SINGLE LINK, 1, "a key must follow a [section]"},
	{NETWORK, 1, "[network]: the section [wireguard] of the same name is missing"},
	{NETWORK SINGLE, 3, "[wireguard]: links cannot be empty"},
	{NETWORK WIREGUARD LINK, 3, "[wireguard] peer_public_key: missing|[peer NAME]"},
	{NETWORK "[wireguard]\npeer_public_key = " BOB_PUBLIC "\n" LINK, 3,
	 "[wireguard] private_key: missing|private_key or private_key_file"},
	{NETWORK SINGLE LINK "[links b]\n", 7, "[links b]: unknown section|[daemon]|[link NAME]"},
	{NETWORK SINGLE LINK "[Link b]\n", 7, "[Link b]: unknown section"},
	{NETWORK SINGLE LINK "[]\n", 7, "[]: unknown section"},
	{NETWORK SINGLE LINK "[link]\n", 7, "[link] needs a name|[link NAME]"},
	{NETWORK SINGLE LINK "[daemon x]\n", 7, "[daemon x] takes no name|[daemon]"},
	{NETWORK SINGLE LINK "[link b\n", 7, "a section must end with ']'"},
	{NETWORK SINGLE LINK "[link b] x\n", 7, "only a comment may follow"},
	{NETWORK SINGLE LINK LINK, 7, "[link a]: given twice, first in line 6"},
	{NETWORK SINGLE LINK "[link  a ]\n", 7, "[link a]: given twice, first in line 6"},
	{NETWORK SINGLE LINK "[network default]\n", 7, "[network default]: given twice|line 1"},
	{NETWORK SINGLE LINK "[daemon]\n[daemon]\n", 8, "[daemon]: given twice, first in line 7"},
	{NETWORK SINGLE LINK "[network a/b]\n", 7, "[network a/b] has a bad name|1..31 characters"},
	{NETWORK SINGLE LINK
	 "[link x234567890123456789012345678901234567890123456789012345678901234]\n",
	 7, "too long a name, allowed: 1..63"},
	{"[network]\nmtu=1420\nmtu=1420\n" SINGLE LINK, 3, "[network] mtu: given twice|line 2"},
	{"[network]\nenabled=1\nenable_wireguard=1\n" SINGLE LINK, 3,
	 "[network] enable_wireguard: given twice, first in line 2"},
	{"[network]\naddress = fd00::1/64\nmtu = 1279\n" SINGLE LINK, 3,
	 "[network] mtu: found 1279, allowed: at least 1280 with an IPv6 address"},
	{"[network]\naddress=10.0.0.1,10.0.0.2\nnetmask=255.255.255.0\n" SINGLE LINK, 3,
	 "[network] netmask: found 2 |exactly one"},
	{"[network]\naddress=10.0.0.1,10.0.0.2\ndestination=10.0.0.9\n" SINGLE LINK, 3,
	 "[network] destination: found 2 IPv4|exactly one"},
	{NETWORK SINGLE "preshared_key_file = /nonexistent/key\n" LINK, 6,
	 "preshared_key_file: /nonexistent/key cannot be read: No such file"},
	{NETWORK SINGLE "preshared_key_file = /\n" LINK, 6, "/ is not a regular file"},
	{NETWORK SINGLE "preshared_key_file = /dev/null\n" LINK, 6, "not a regular file"},
	{NETWORK WIREGUARD LINK "[peer x]\nallowed_ips=::/0\n", 6, "[peer x] public_key: missing"},
	{NETWORK WIREGUARD LINK "[peer x]\npublic_key=" BOB_PUBLIC "\n", 6,
	 "[peer x] allowed_ips: missing"},
	{NETWORK WIREGUARD LINK "[peer x]\n" PEER_BOB "[peer y]\npublic_key=" BOB_PUBLIC
				"\nallowed_ips=::/0\n",
	 10, "[peer y] public_key: found the key of [peer x] (line 6)"},
	{NETWORK WIREGUARD LINK "[peer x]\n" PEER_BOB "[peer y]\npublic_key=" PRESHARED
				"\nallowed_ips=::/0, 10.1.2.3/16\n",
	 11, "[peer y] allowed_ips: found 10.1.0.0/16, which [peer x] (line 6) has"},
	{NETWORK SINGLE "[link a]\nbind=1.2.3.4:5\n[link b]\nbind=1.2.3.4:5\n", 9,
	 "[link b] bind: found 1.2.3.4:5, which [link a] (line 6) takes"},
	{NETWORK SINGLE "[link a]\nbind=0.0.0.0:5\ndevice=x\n[link b]\nbind=1.2.3.4:5\n", 10,
	 "[link b] bind: found 1.2.3.4:5, which [link a]"},
	{NETWORK SINGLE "[link a]\nbind=1.2.3.4\nport=5\n", 8, "[link a] port: found beside bind"},
	{NETWORK SINGLE "[link a]\nport=5\n[link b]\nport=5\n", 9,
	 "[link b] port: found 5, which [link a] (line 6) takes"},
	{NETWORK SINGLE "[link a]\nport=5\n[link b]\nbind=1.2.3.4:5\n", 9,
	 "[link b] bind: found 1.2.3.4:5, which [link a]"},
	{NETWORK SINGLE "[link a]\nbind=[::]:5\n[link b]\nbind=[::]:5\n", 9,
	 "[link b] bind: |[link a]"},
	{NETWORK SINGLE "[link a]\nworkers=16\n[link b]\nworkers=16\n[link c]\nworkers=16\n"
			"[link d]\nworkers=13\n",
	 13, "[link d] workers: found 13|65 threads|at most 64"},
	{"[network a]\n[wireguard b]\nprivate_key = " ALICE "\npeer_public_key = " BOB_PUBLIC
	 "\n[network b]\ninterface = b0\n[link l]\nnetwork = b\n",
	 1, "[network a]: the section [wireguard] of the same name is missing"},
	{"[wireguard b]\nprivate_key = " ALICE "\npeer_public_key = " BOB_PUBLIC "\n" LINK, 1,
	 "[wireguard b]: the section [network] of the same name ('b') is missing"},
};

START_TEST(bad_file_is_refused)
{
	assert_one_error(bad_files[_i].text, bad_files[_i].line, bad_files[_i].says);
}
END_TEST

START_TEST(defaults_are_filled_in)
{
	const struct network_settings *n;

	assert_good(SINGLE LINK);
	ck_assert_uint_eq(config.n_networks, 1);
	n = &config.networks[0];
	ck_assert_str_eq(n->name, "default");
	ck_assert(n->is_enabled);
	ck_assert_str_eq(n->interface, "tun0");
	ck_assert_uint_eq(n->n_addresses, 0);
	ck_assert_uint_eq(n->mtu, 1420);
	ck_assert_uint_eq(n->buffer_size, 65536);
	ck_assert_int_eq(n->mode, BOND_AGGREGATE);
	ck_assert_int_eq(n->health.interval, 1000 * NSEC_PER_MSEC);
	ck_assert_int_eq(n->health.timeout, 5000 * NSEC_PER_MSEC);
	ck_assert_int_eq(n->health.error_backoff, 5 * NSEC_PER_SEC);
	ck_assert_uint_eq(n->n_links, 1);
	ck_assert_str_eq(n->links[0].name, "a");
	ck_assert(!addr_is_set(&n->links[0].bind));
	ck_assert_str_eq(n->links[0].device, "");
	ck_assert_str_eq(n->links[0].endpoint.host, "");
	ck_assert_uint_eq(n->links[0].weight, 1);
	ck_assert_uint_eq(n->links[0].fwmark, 0);
	ck_assert_str_eq(config.daemon.control_socket, RUN_DIR "/vtrunkd.sock");
	ck_assert_str_eq(config.daemon.state_dir, STATE_DIR);
	ck_assert_str_eq(config.daemon.pid_file, "");
	ck_assert_int_eq(config.daemon.log_level, LOG_INFO);
	ck_assert_str_eq(config.daemon.aead, "auto");
}
END_TEST

static void assert_sizes(const struct network_sizes *profile)
{
	const struct network_sizes *s = &config.networks[0].sizes;

	ck_assert_uint_eq(s->buffers, profile->buffers);
	ck_assert_uint_eq(s->queue_buffers, profile->buffers * 3 / 5);
	ck_assert_uint_eq(s->reorder_packets, profile->reorder_packets);
	ck_assert_uint_eq(s->repair_buffer, profile->repair_buffer);
	ck_assert_uint_eq(s->event_queue, profile->event_queue);
	ck_assert_uint_eq(s->link.receive_batch, profile->link.receive_batch);
	ck_assert_uint_eq(s->link.queue, profile->link.queue);
}

/* The profile's section is the last: what it means for the others is found out when all are read.
 */
START_TEST(profile_gives_the_sizes_that_are_not_given)
{
	assert_good(SINGLE LINK);
	assert_sizes(&network_sizes_normal);
	ck_assert_uint_eq(config.networks[0].links[0].receive_buffer, LINK_RECEIVE_BUFFER);
	config_deinit(&config);
	assert_good("[network]\nhandshake_queue = 32\n" SINGLE LINK
		    "send_buffer = 200000\n[daemon]\nprofile = small\n");
	assert_sizes(&network_sizes_small);
	ck_assert_uint_eq(config.networks[0].sizes.handshake_queue, 32);
	ck_assert_uint_eq(config.networks[0].links[0].send_buffer, 200000);
	ck_assert_uint_eq(config.networks[0].links[0].receive_buffer, LINK_RECEIVE_BUFFER);
	ck_assert_str_eq(config.daemon.aead, "openssl");
}
END_TEST

START_TEST(single_peer_has_every_prefix)
{
	const struct peer_settings *p;
	char text[PREFIX_TEXT_MAX];

	assert_good(SINGLE LINK);
	ck_assert_uint_eq(config.networks[0].n_peers, 1);
	p = &config.networks[0].peers[0];
	ck_assert_str_eq(p->name, "peer");
	ck_assert_uint_eq(p->n_allowed_ips, 2);
	ck_assert_str_eq(prefix_format(&p->allowed_ips[0], text), "0.0.0.0/0");
	ck_assert_str_eq(prefix_format(&p->allowed_ips[1], text), "::/0");
	ck_assert_uint_eq(p->persistent_keepalive, 0);
	ck_assert_int_eq(p->multilink, MULTILINK_AUTO);
	ck_assert(keys_is_zero(p->preshared_key));
	ck_assert_ptr_null(p->endpoint);
}
END_TEST

/* Every key of the form, each with another value than its default. */
START_TEST(single_peer_form_is_understood)
{
	const struct network_settings *n;
	char text[ADDR_TEXT_MAX];

	assert_good("[network]\ninterface = tun3\naddress = 10.10.0.2, fd00::2/64\n"
		    "netmask = 255.255.255.0\nmtu = 1400\nbuffer_size = 60000\n"
		    "[wireguard]\nprivate_key = " ALICE "\npeer_public_key = " BOB_PUBLIC
		    "\npreshared_key = " PRESHARED "\npersistent_keepalive = 25\n"
		    "bonding_mode = redundant\nerror_backoff_secs = 7\n"
		    "health_check_interval_ms = 200\nhealth_check_timeout_ms = 900\n"
		    "health_check_down = 2\nhealth_check_up = 5\nflap_hold_max_secs = 30\n"
		    "health_check_backup_interval_ms = 30000\n"
		    "failure_loss = 40\nrecovery_loss = 10\n"
		    "failure_latency_ms = 1000\nrecovery_latency_ms = 500\n"
		    "allowed_ips = 10.10.0.0/24\nmultilink = no\n"
		    "[link wifi]\nbind = 192.168.1.20:0\nendpoint = vps.example.com:51820\n"
		    "weight = 3\n[link lte/5g]\ndevice = wwan0\n"
		    "endpoint = [2001:db8::1]:51821\nfwmark = 0xca6c\n"
		    "role = backup\nrate = 50mbit\n");
	n = &config.networks[0];
	ck_assert_str_eq(n->interface, "tun3");
	ck_assert_uint_eq(n->n_addresses, 2);
	ck_assert_uint_eq(n->addresses[0].prefix.len, 24);
	ck_assert_uint_eq(n->addresses[0].prefix.bytes[3], 2);
	ck_assert_uint_eq(n->addresses[1].prefix.len, 64);
	ck_assert_uint_eq(n->addresses[1].prefix.bytes[15], 2);
	ck_assert_uint_eq(n->mtu, 1400);
	ck_assert_uint_eq(n->buffer_size, 60000);
	ck_assert_int_eq(n->mode, BOND_REDUNDANT);
	ck_assert_int_eq(n->health.error_backoff, 7 * NSEC_PER_SEC);
	ck_assert_int_eq(n->health.interval, 200 * NSEC_PER_MSEC);
	ck_assert_int_eq(n->health.timeout, 900 * NSEC_PER_MSEC);
	ck_assert_int_eq(n->health.backup_interval, 30 * NSEC_PER_SEC);
	ck_assert_uint_eq(n->health.down, 2);
	ck_assert_uint_eq(n->health.up, 5);
	ck_assert_int_eq(n->health.flap_hold_max, 30 * NSEC_PER_SEC);
	ck_assert_uint_eq(n->health.failure_loss, 40);
	ck_assert_uint_eq(n->health.recovery_loss, 10);
	ck_assert_int_eq(n->health.failure_latency, 1000 * NSEC_PER_MSEC);
	ck_assert_int_eq(n->health.recovery_latency, 500 * NSEC_PER_MSEC);
	assert_key(n->private_key, ALICE);
	assert_key(n->peers[0].public_key, BOB_PUBLIC);
	assert_key(n->peers[0].preshared_key, PRESHARED);
	ck_assert_uint_eq(n->peers[0].persistent_keepalive, 25);
	ck_assert_uint_eq(n->peers[0].n_allowed_ips, 1);
	ck_assert_int_eq(n->peers[0].multilink, MULTILINK_NO);
	ck_assert_uint_eq(n->n_links, 2);
	ck_assert_str_eq(addr_format(&n->links[0].bind, text), "192.168.1.20:0");
	ck_assert_str_eq(n->links[0].endpoint.host, "vps.example.com");
	ck_assert_uint_eq(n->links[0].endpoint.port, 51820);
	ck_assert_uint_eq(n->links[0].weight, 3);
	ck_assert_str_eq(n->links[1].name, "lte/5g");
	ck_assert_str_eq(n->links[1].device, "wwan0");
	ck_assert_str_eq(n->links[1].endpoint.host, "2001:db8::1");
	ck_assert_uint_eq(n->links[1].fwmark, 0xca6c);
	ck_assert_int_eq(n->links[0].role, LINK_PRIMARY);
	ck_assert_int_eq(n->links[1].role, LINK_BACKUP);
	ck_assert_uint_eq(n->links[0].rate, 0);
	ck_assert_uint_eq(n->links[1].rate, 50000000);
}
END_TEST

static bool may_have(const struct config_store *store, const char *address, const char *destination)
{
	struct prefix p, d = {0};

	ck_assert_int_eq(prefix_parse(&p, address), 0);
	if (destination)
		ck_assert_int_eq(prefix_parse(&d, destination), 0);
	return config_store_may_have_address(store, "vt0", &p, &d);
}

/* With an address comes a route to its subnet: an engine has no other than those it was given. */
START_TEST(interface_may_have_its_configured_addresses_only)
{
	struct config_store store = {0};

	assert_good("[network]\ninterface = vt0\naddress = 10.1.0.2, fd00::2/64\n"
		    "netmask = 255.255.255.0\n" SINGLE LINK);
	store.next = config;
	ck_assert(may_have(&store, "10.1.0.2/24", NULL));
	ck_assert(may_have(&store, "10.1.0.77/24", NULL)); /* address_collision */
	ck_assert(may_have(&store, "fd00::2/64", NULL));
	ck_assert(!may_have(&store, "10.1.1.2/24", NULL));
	ck_assert(!may_have(&store, "10.1.0.2/1", NULL));
	ck_assert(!may_have(&store, "10.1.0.2/32", NULL));
	ck_assert(!may_have(&store, "fd00::2/48", NULL));
	ck_assert(!may_have(&store, "10.1.0.2/24", "0.0.0.0/1"));
	store.config = store.next;
	store.next = (struct config){0};
	ck_assert(may_have(&store, "10.1.0.2/24", NULL));
	strcpy(config.networks[0].interface, "other");
	ck_assert(!may_have(&store, "10.1.0.2/24", NULL));
}
END_TEST

START_TEST(multi_peer_form_is_understood)
{
	const struct peer_settings *p;
	char text[PREFIX_TEXT_MAX];

	assert_good(NETWORK WIREGUARD
		    "[link wan]\nbind = 0.0.0.0:51820\n"
		    "[peer home]\npublic_key = " BOB_PUBLIC "\nallowed_ips = 10.0.0.2, fd00::/64\n"
		    "allowed_ips = 192.168.7.9/24\n"
		    "endpoint = home.example.com:7\nmultilink = yes\n"
		    "persistent_keepalive = 11\npreshared_key = " PRESHARED
		    "\n[peer office]\npublic_key = " PRESHARED "\nallowed_ips = 10.0.0.3/32\n");
	ck_assert_uint_eq(config.networks[0].n_peers, 2);
	p = &config.networks[0].peers[0];
	ck_assert_str_eq(p->name, "home");
	assert_key(p->public_key, BOB_PUBLIC);
	assert_key(p->preshared_key, PRESHARED);
	ck_assert_uint_eq(p->n_allowed_ips, 3);
	ck_assert_str_eq(prefix_format(&p->allowed_ips[0], text), "10.0.0.2/32");
	ck_assert_str_eq(prefix_format(&p->allowed_ips[1], text), "fd00::/64");
	ck_assert_str_eq(prefix_format(&p->allowed_ips[2], text), "192.168.7.0/24");
	ck_assert_str_eq(p->endpoint->host, "home.example.com");
	ck_assert_int_eq(p->multilink, MULTILINK_YES);
	ck_assert_uint_eq(p->persistent_keepalive, 11);
	ck_assert_str_eq(config.networks[0].peers[1].name, "office");
}
END_TEST

#define TWO_NETWORKS                                                                               \
	"[network home]\ninterface = home0\n[network office]\ninterface = office0\n"               \
	"[wireguard office]\nprivate_key = " ALICE "\n"                                            \
	"[wireguard home]\nprivate_key = " ALICE "\npeer_public_key = " BOB_PUBLIC "\n"

START_TEST(links_and_peers_go_to_their_networks)
{
	assert_good(TWO_NETWORKS "[link a]\nnetwork = home\n[link b]\nnetwork = office\n"
				 "[peer p]\nnetwork = office\n" PEER_BOB
				 "[link c]\nnetwork = home\n");
	ck_assert_uint_eq(config.n_networks, 2);
	ck_assert_str_eq(config.networks[0].name, "home");
	ck_assert_uint_eq(config.networks[0].n_links, 2);
	ck_assert_str_eq(config.networks[0].links[1].name, "c");
	ck_assert_str_eq(config.networks[0].peers[0].name, "peer");
	ck_assert_str_eq(config.networks[1].interface, "office0");
	ck_assert_str_eq(config.networks[1].links[0].name, "b");
	ck_assert_str_eq(config.networks[1].peers[0].name, "p");
}
END_TEST

START_TEST(network_must_be_named_where_there_are_several)
{
	assert_one_error(TWO_NETWORKS "[link a]\nnetwork=home\n[link b]\nnetwork=office\n"
				      "[link c]\n[peer p]\nnetwork = office\n" PEER_BOB,
			 14, "[link c] network: missing|allowed: home, office");
	assert_one_error(TWO_NETWORKS "[link a]\nnetwork=home\n[link b]\nnetwork=office\n"
				      "[peer p]\nnetwork=office\n" PEER_BOB
				      "[peer q]\nnetwork = hom\npublic_key = " PRESHARED
				      "\nallowed_ips = ::/0\n",
			 19, "[peer q] network: found 'hom', allowed: home, office");
}
END_TEST

START_TEST(enabled_networks_need_interfaces_of_their_own)
{
#define SAME_INTERFACE(enabled)                                                                    \
	"[network a]\n[network b]\n" enabled "[wireguard a]\nprivate_key=" ALICE                   \
	"\npeer_public_key=" BOB_PUBLIC "\n[wireguard b]\nprivate_key=" ALICE                      \
	"\npeer_public_key=" BOB_PUBLIC "\n[link a]\nnetwork=a\n[link b]\nnetwork=b\n"

	assert_one_error(SAME_INTERFACE(""), 2,
			 "[network b] interface: found tun0, which network 'a' has");
	assert_good(SAME_INTERFACE("enabled = no\n"));
	ck_assert(!config.networks[1].is_enabled);
}
END_TEST

START_TEST(disabled_network_needs_no_links)
{
	assert_good("[network]\nenabled = false\n" SINGLE);
}
END_TEST

START_TEST(all_errors_are_told_at_once_in_order)
{
	static const int lines[] = {2, 3, 5, 6, 8, 9, 10};

	ck_assert_int_eq(parse("[network]\n"
			       "mtu = 70000\n"
			       "mtuu = 5\n"
			       "[wireguard]\n"
			       "private_key = " KEY_OF_31 "\n"
			       "bonding_mode = best\n"
			       "[link a]\n"
			       "weight = 0\n"
			       "bind = 1.2.3.4.5\n"
			       "nonsense\n"
			       "[peer p]\n" PEER_BOB),
			 -EINVAL);
	ck_assert_uint_eq(errors.n_items, sizeof(lines) / sizeof(*lines));
	for (size_t i = 0; i < errors.n_items; i++)
		ck_assert_int_eq(errors.items[i].line, lines[i]);
}
END_TEST

START_TEST(recovery_is_not_above_failure)
{
	assert_one_error(NETWORK SINGLE "failure_loss=10\nrecovery_loss=20\n" LINK, 7,
			 "recovery_loss: found 20, allowed: at most failure_loss (10)");
	assert_one_error(NETWORK SINGLE "recovery_latency_ms=20\n" LINK, 6,
			 "recovery_latency_ms: found 20");
}
END_TEST

START_TEST(rates_have_units)
{
	static const char *const bad[] = {"5",	     "1mb",    "mbit",
					  "-1mbit",  "1kbit",  "101gbit",
					  "1.5mbit", "99kbit", "18446744073709551616gbit"};

	assert_good(NETWORK SINGLE LINK "rate = 100kbit\n");
	ck_assert_uint_eq(config.networks[0].links[0].rate, 100000);
	assert_good(NETWORK SINGLE LINK "rate = 2gbit\n");
	ck_assert_uint_eq(config.networks[0].links[0].rate, 2000000000);
	assert_good(NETWORK SINGLE LINK "rate = 0\n");
	ck_assert_uint_eq(config.networks[0].links[0].rate, 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char text[TEXT_MAX];

		snprintf(text, sizeof(text), NETWORK SINGLE LINK "rate = %s\n", bad[i]);
		ck_assert_int_eq(parse(text), -EINVAL);
	}
}
END_TEST

START_TEST(bad_value_draws_no_second_error)
{
	assert_one_error("[network]\nmtu = x\nbuffer_size = 600\n" SINGLE LINK, 2, "mtu: ");
	assert_one_error(NETWORK SINGLE "health_check_interval_ms=x\n"
					"health_check_timeout_ms=500\n" LINK,
			 6, "health_check_interval_ms: ");
	assert_one_error("[network]\naddress = x\nnetmask = 255.0.0.0\n" SINGLE LINK, 2, "address");
}
END_TEST

START_TEST(endless_errors_are_counted)
{
	char text[TEXT_MAX] = SINGLE LINK;

	for (int i = 0; i < CONFIG_ERRORS_MAX + 10; i++)
		strcat(text, "nonsense\n");
	ck_assert_int_eq(parse(text), -EINVAL);
	ck_assert_uint_eq(errors.n_items, CONFIG_ERRORS_MAX);
	ck_assert_uint_eq(errors.n_left_out, 10);
}
END_TEST

START_TEST(long_line_is_refused_and_not_cut)
{
	char text[TEXT_MAX] = SINGLE "allowed_ips = 10.0.0.0/8";

	while (strlen(text) < 400)
		strcat(text, ", 10.0.0.0/8");
	strcat(text, "\n" LINK);
	assert_one_error(text, 4, "the line is too long, allowed: 197 characters");
}
END_TEST

/* The longest line that inih takes must arrive whole. */
START_TEST(line_of_the_greatest_length_is_taken_whole)
{
	char text[TEXT_MAX] = SINGLE LINK "[daemon]\nstate_dir = /";
	size_t start = strlen(SINGLE LINK "[daemon]\n");

	memset(text + strlen(text), 'x', 197 - (strlen(text) - start));
	ck_assert_uint_eq(strlen(text), start + 197);
	assert_good(text);
	ck_assert_uint_eq(strlen(config.daemon.state_dir), 197 - strlen("state_dir = "));
}
END_TEST

START_TEST(long_comment_is_no_error)
{
	char text[TEXT_MAX] = SINGLE LINK "# ";

	memset(text + strlen(text), 'x', 1000);
	assert_good(text);
}
END_TEST

START_TEST(control_characters_are_refused)
{
	static const char with_zero[] = SINGLE LINK "weight = 1\0garbage\n";

	assert_one_error(SINGLE "[link a\x1b[31m]\n[link a]\n", 4, "a control character (0x1b)");
	ck_assert_int_eq(parse_bytes(with_zero, sizeof(with_zero) - 1), -EINVAL);
	ck_assert_str_eq(errors.items[0].text, "t.conf:5: a control character (0x00)");
}
END_TEST

START_TEST(indented_keys_are_keys)
{
	assert_good("  [network]\n\tinterface = tun5\n\tmtu = 1300\n  " SINGLE LINK);
	ck_assert_str_eq(config.networks[0].interface, "tun5");
	ck_assert_uint_eq(config.networks[0].mtu, 1300);
}
END_TEST

START_TEST(byte_order_mark_and_dos_lines_are_accepted)
{
	assert_good("\xef\xbb\xbf[network]\r\nmtu = 1300\r\n" SINGLE LINK);
	ck_assert_uint_eq(config.networks[0].mtu, 1300);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("config");
	TCase *c = tcase_create("config");

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_loop_test(c, bad_file_is_refused, 0, sizeof(bad_files) / sizeof(*bad_files));
	tcase_add_test(c, defaults_are_filled_in);
	tcase_add_test(c, profile_gives_the_sizes_that_are_not_given);
	tcase_add_test(c, single_peer_has_every_prefix);
	tcase_add_test(c, single_peer_form_is_understood);
	tcase_add_test(c, interface_may_have_its_configured_addresses_only);
	tcase_add_test(c, multi_peer_form_is_understood);
	tcase_add_test(c, links_and_peers_go_to_their_networks);
	tcase_add_test(c, network_must_be_named_where_there_are_several);
	tcase_add_test(c, enabled_networks_need_interfaces_of_their_own);
	tcase_add_test(c, disabled_network_needs_no_links);
	tcase_add_test(c, all_errors_are_told_at_once_in_order);
	tcase_add_test(c, recovery_is_not_above_failure);
	tcase_add_test(c, rates_have_units);
	tcase_add_test(c, bad_value_draws_no_second_error);
	tcase_add_test(c, endless_errors_are_counted);
	tcase_add_test(c, long_line_is_refused_and_not_cut);
	tcase_add_test(c, line_of_the_greatest_length_is_taken_whole);
	tcase_add_test(c, long_comment_is_no_error);
	tcase_add_test(c, control_characters_are_refused);
	tcase_add_test(c, indented_keys_are_keys);
	tcase_add_test(c, byte_order_mark_and_dos_lines_are_accepted);
	suite_add_tcase(s, c);
	return s;
}
