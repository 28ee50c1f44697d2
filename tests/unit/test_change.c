/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Changes of a network; without threads, so that each errand is a call. */
#include "broker/server.h"
#include "check_main.h"

#include <arpa/inet.h>
#include <errno.h>

#include "handmade.h"

static struct network_change change;
static struct peer_change peers[3];
static struct prefix_change prefixes[3];

static void setup(void)
{
	handmade_settings(2, 1);
	must(addr_parse(&link_settings[0].bind, "127.0.0.1", 0) == 0);
	settings.health.error_backoff = NSEC_PER_SEC;
	memset(&change, 0, sizeof(change));
	handmade_begin();
	ck_assert_int_eq(monitor_prepare(net.monitor, T0), 0);
	memset(peers, 0, sizeof(peers));
	memset(prefixes, 0, sizeof(prefixes));
	change = (struct network_change){.peers = peers, .n_peers = 1};
	memcpy(peers[0].public_key, peer_settings[0].public_key, KEY_LEN);
	peers[0].allowed_ips = prefixes;
}

static void teardown(void)
{
	handmade_end();
}

static struct prefix v4_prefix(const char *address, uint8_t len)
{
	struct prefix p = {.family = AF_INET, .len = len};

	ck_assert_int_eq(inet_pton(AF_INET, address, p.bytes), 1);
	return p;
}

static struct bond *owner_of(const char *address)
{
	struct prefix p = v4_prefix(address, 32);

	return allowedips_find(rcu_own(&net.allowed_ips), AF_INET, p.bytes);
}

static struct bond *bond_of_key(const uint8_t key[KEY_LEN])
{
	struct peer *p = device_find_peer(net.device, key);

	return p ? bond_of(p) : NULL;
}

static void new_key(uint8_t ret[KEY_LEN])
{
	uint8_t private_key[KEY_LEN];

	keys_generate(private_key);
	keys_public(ret, private_key);
}

static bool has_session(struct bond *bond)
{
	return rcu_own(&bond->peer.current) != NULL;
}

static void apply(void)
{
	ck_assert_int_eq(network_change(&net, &change), 0);
	rcu_drain();
}

START_TEST(new_peer_gets_what_it_is_given)
{
	struct bond *bond;

	new_key(peers[0].public_key);
	peers[0].has_preshared_key = peers[0].has_persistent_keepalive = true;
	peers[0].preshared_key[3] = 7;
	peers[0].persistent_keepalive = 25;
	peers[0].has_endpoint = true;
	strcpy(peers[0].endpoint.host, "192.0.2.9");
	peers[0].endpoint.port = 7;
	prefixes[0].prefix = v4_prefix("10.9.0.0", 16);
	peers[0].n_allowed_ips = 1;
	apply();
	bond = bond_of_key(peers[0].public_key);
	ck_assert_uint_eq(net.n_bonds, 3);
	ck_assert_ptr_nonnull(bond);
	ck_assert_ptr_eq(net.bonds[bond->number], bond);
	ck_assert_ptr_eq(owner_of("10.9.3.4"), bond);
	ck_assert_uint_eq(bond->peer.remote.preshared_key[3], 7);
	ck_assert_uint_eq(bond->peer.persistent_keepalive, 25);
	ck_assert(bond->peer.is_wanted_up && bond->peer.is_initiating);
	ck_assert_uint_eq(rcu_own(&bond->paths)->n, 1);
	ck_assert_uint_eq(addr_port(&rcu_own(&bond->paths)->entries[0].to.remote), 7);
	ck_assert_uint_eq(strlen(bond->settings->name), KEY_BASE64_LEN);
}
END_TEST

START_TEST(peer_on_demand_is_not_called_before_there_is_a_demand)
{
	new_key(peers[0].public_key);
	peers[0].is_on_demand = peers[0].has_endpoint = true;
	strcpy(peers[0].endpoint.host, "192.0.2.9");
	apply();
	ck_assert(!bond_of_key(peers[0].public_key)->peer.is_initiating);
	peers[0].has_persistent_keepalive = true;
	peers[0].persistent_keepalive = 1;
	apply();
	ck_assert(bond_of_key(peers[0].public_key)->peer.is_initiating);
}
END_TEST

/* wg(8) may have taken it away, or have put it there by its key alone. */
START_TEST(peer_of_a_name_is_whole_whatever_was_there)
{
	strcpy(peers[0].name, "by its name");
	strcpy(peers[0].endpoint.host, "192.0.2.9");
	peers[0].endpoint.port = 7;
	begin_session(net.bonds[0], T0);
	apply();
	ck_assert_str_eq(bond_of_key(peers[0].public_key)->settings->name, "by its name");
	ck_assert(!has_session(bond_of_key(peers[0].public_key)));
	peers[0].is_removed = true;
	apply();
	peers[0].is_removed = false;
	apply();
	ck_assert_uint_eq(bond_of_key(peers[0].public_key)->settings->endpoint->port, 7);
	begin_session(bond_of_key(peers[0].public_key), T0);
	apply();
	ck_assert(has_session(bond_of_key(peers[0].public_key)));
}
END_TEST

START_TEST(allowed_ip_moves_from_its_owner)
{
	prefixes[0].prefix = v4_prefix("10.0.1.0", 24); /* of peer 1 */
	peers[0].n_allowed_ips = 1;
	begin_session(net.bonds[1], T0);
	apply();
	ck_assert_ptr_eq(owner_of("10.0.1.1"), net.bonds[0]);
	ck_assert_uint_eq(net.bonds[0]->settings->n_allowed_ips, 2);
	ck_assert_uint_eq(net.bonds[1]->settings->n_allowed_ips, 0);
	ck_assert(has_session(net.bonds[1]));
}
END_TEST

START_TEST(of_two_that_are_given_the_same_the_later_has_it)
{
	prefixes[0].prefix = v4_prefix("10.9.0.0", 16);
	peers[0].n_allowed_ips = 1;
	peers[1] = peers[0];
	memcpy(peers[1].public_key, peer_settings[1].public_key, KEY_LEN);
	change.n_peers = 2;
	apply();
	ck_assert_ptr_eq(owner_of("10.9.0.1"), net.bonds[1]);
	ck_assert_uint_eq(net.bonds[0]->settings->n_allowed_ips, 1);
	ck_assert_uint_eq(net.bonds[1]->settings->n_allowed_ips, 2);
}
END_TEST

START_TEST(allowed_ips_are_taken_away_and_replaced)
{
	prefixes[0] = (struct prefix_change){v4_prefix("10.0.0.0", 24), true};
	prefixes[1] = (struct prefix_change){v4_prefix("10.8.0.0", 16), false};
	prefixes[2] = (struct prefix_change){v4_prefix("10.8.0.0", 16), true};
	peers[0].n_allowed_ips = 1;
	apply();
	ck_assert_ptr_null(owner_of("10.0.0.1"));
	peers[0].n_allowed_ips = 2;
	peers[0].replaces_allowed_ips = true;
	apply();
	ck_assert_ptr_eq(owner_of("10.8.0.1"), net.bonds[0]);
	peers[0].n_allowed_ips = 3;
	apply();
	ck_assert_ptr_null(owner_of("10.8.0.1"));
	ck_assert_uint_eq(net.bonds[0]->settings->n_allowed_ips, 0);
}
END_TEST

START_TEST(what_is_taken_away_again_stays_with_its_owner)
{
	prefixes[0] = (struct prefix_change){v4_prefix("10.0.1.0", 24), false};
	prefixes[1] = (struct prefix_change){v4_prefix("10.0.1.0", 24), true};
	peers[0].n_allowed_ips = 2;
	apply();
	ck_assert_ptr_eq(owner_of("10.0.1.1"), net.bonds[1]);
}
END_TEST

START_TEST(removed_peer_leaves_nothing_and_the_others_alone)
{
	struct bond *other = net.bonds[1];

	begin_session(net.bonds[0], T0);
	begin_session(other, T0);
	peers[0].is_removed = true;
	apply();
	ck_assert_uint_eq(net.n_bonds, 1);
	ck_assert_ptr_eq(net.bonds[0], other);
	ck_assert_uint_eq(other->number, 0);
	ck_assert_ptr_null(owner_of("10.0.0.1"));
	ck_assert_ptr_eq(owner_of("10.0.1.1"), other);
	ck_assert_ptr_null(bond_of_key(peer_settings[0].public_key));
	ck_assert(has_session(other));
	apply(); /* is fine */
}
END_TEST

/* What threads have in their hands of a peer that goes. */
START_TEST(removed_peer_is_taken_out_of_every_queue)
{
	struct bond *bond = net.bonds[0];
	const struct event e = {.kind = EVENT_SESSION, .bond = bond, .at = T0};
	const struct frame report = {.type = FRAME_REPORT, .report = {.path_id = 1}};

	bond->lane.deadline = T0;
	peer_poke(&bond->peer, POKE_WATCH);
	ck_assert(monitor_post(&net, &e));
	ck_assert(tx_post_frame(net.tx, bond, &report, T0));
	peers[0].is_removed = true;
	apply();
	handshaker_take_pokes(net.handshaker);
	monitor_work(net.monitor, T0);
	ck_assert_uint_eq(net.n_bonds, 1);
}
END_TEST

START_TEST(peer_that_is_removed_and_added_again_is_a_new_one)
{
	begin_session(net.bonds[0], T0);
	peers[0].is_removed = true;
	peers[1] = peers[0];
	peers[1].is_removed = false;
	prefixes[0].prefix = v4_prefix("10.7.0.0", 16);
	peers[1].n_allowed_ips = 1;
	change.n_peers = 2;
	apply();
	ck_assert_uint_eq(net.n_bonds, 2);
	ck_assert(!has_session(bond_of_key(peers[0].public_key)));
	ck_assert_ptr_eq(owner_of("10.7.0.1"), bond_of_key(peers[0].public_key));
	ck_assert_ptr_null(owner_of("10.0.0.1"));
}
END_TEST

START_TEST(replaced_peers_all_go)
{
	begin_session(net.bonds[0], T0);
	change.replaces_peers = true;
	apply();
	ck_assert_uint_eq(net.n_bonds, 1);
	ck_assert(!has_session(net.bonds[0]));
	ck_assert_ptr_eq(net.bonds[0], bond_of_key(peers[0].public_key));
	ck_assert_ptr_null(owner_of("10.0.0.1"));
	ck_assert_ptr_null(owner_of("10.0.1.1"));
}
END_TEST

START_TEST(update_of_a_peer_that_is_not_there_adds_none)
{
	new_key(peers[0].public_key);
	peers[0].is_update_only = true;
	apply();
	ck_assert_uint_eq(net.n_bonds, 2);
}
END_TEST

START_TEST(our_own_key_is_no_peer)
{
	memcpy(peers[0].public_key, device_public_key(net.device), KEY_LEN);
	apply();
	ck_assert_uint_eq(net.n_bonds, 2);
}
END_TEST

START_TEST(another_private_key_ends_all_sessions)
{
	uint8_t key[KEY_LEN];
	uint8_t public_key[KEY_LEN];
	struct bond *bond = net.bonds[0];
	struct noise_remote was = bond->peer.remote;

	begin_session(bond, T0);
	keys_generate(key);
	keys_public(public_key, key);
	change.private_key = key;
	change.n_peers = 0;
	apply();
	ck_assert(!has_session(bond));
	ck_assert_mem_eq(device_public_key(net.device), public_key, KEY_LEN);
	ck_assert_mem_eq(bond->peer.remote.public_key, was.public_key, KEY_LEN);
	ck_assert(memcmp(bond->peer.remote.static_static, was.static_static, KEY_LEN) != 0);
	ck_assert_mem_eq(net.settings->private_key, key, KEY_LEN);
}
END_TEST

/* As `wg syncconf` does. */
START_TEST(the_same_private_key_leaves_the_sessions_alone)
{
	uint8_t key[KEY_LEN];
	struct bond *bond = net.bonds[0];

	begin_session(bond, T0);
	memcpy(key, net.settings->private_key, KEY_LEN);
	change.private_key = key;
	change.n_peers = 0;
	apply();
	ck_assert(has_session(bond));
	ck_assert_uint_eq(bond->peer.n_initiations, 0);
}
END_TEST

START_TEST(private_key_of_a_peer_takes_that_peer_away)
{
	uint8_t key[KEY_LEN];

	keys_generate(key);
	keys_public(peers[0].public_key, key);
	apply();
	ck_assert_uint_eq(net.n_bonds, 3);
	change.private_key = key;
	change.n_peers = 0;
	apply();
	ck_assert_uint_eq(net.n_bonds, 2);
}
END_TEST

START_TEST(what_fails_changes_nothing)
{
	peers[0].is_removed = true;
	memset(peers[1].public_key, 0, KEY_LEN); /* of low order */
	change.n_peers = 2;
	ck_assert_int_eq(network_change(&net, &change), -EINVAL);
	ck_assert_uint_eq(net.n_bonds, 2);
	ck_assert_ptr_eq(owner_of("10.0.0.1"), net.bonds[0]);
	ck_assert_ptr_eq(bond_of_key(peer_settings[0].public_key), net.bonds[0]);
}
END_TEST

START_TEST(status_tells_of_peers_that_have_done_nothing_yet)
{
	struct network_status status;

	apply();
	ck_assert_ptr_null(net.bonds[0]->probe);
	ck_assert_int_eq(network_status(&net, &status), 0);
	ck_assert_uint_eq(status.n_peers, 2);
	ck_assert_uint_eq(status.peers[0].n_paths, 0);
	network_status_free(&status);
}
END_TEST

START_TEST(endpoint_moves_the_path)
{
	struct bond *bond = net.bonds[0];
	struct probe_path *pp;

	peers[0].has_endpoint = true;
	strcpy(peers[0].endpoint.host, "192.0.2.1");
	peers[0].endpoint.port = 51820;
	apply();
	pp = bond->probe->paths[0];
	ck_assert(leads_to(pp, "192.0.2.1"));
	apply(); /* the same: the path stays */
	ck_assert_ptr_eq(bond->probe->paths[0], pp);
	strcpy(peers[0].endpoint.host, "192.0.2.2");
	apply();
	ck_assert_uint_eq(rcu_own(&bond->paths)->n, 1);
	ck_assert(leads_to(bond->probe->paths[rcu_own(&bond->paths)->entries[0].path->slot],
			   "192.0.2.2"));
}
END_TEST

static struct link_change link_changes[2];

static void give_endpoint(const char *host)
{
	peers[0].has_endpoint = true;
	strcpy(peers[0].endpoint.host, host);
	peers[0].endpoint.port = 51820;
	apply();
	change.n_peers = 0;
	change.links = link_changes;
	change.n_links = 1;
	memset(link_changes, 0, sizeof(link_changes));
	strcpy(link_changes[0].settings.name, "another");
	link_changes[0].settings.weight = 3;
	ck_assert_int_eq(addr_parse(&link_changes[0].settings.bind, "127.0.0.1", 0), 0);
}

static const struct path_entry *path_over(const char *link)
{
	const struct path_set *set = rcu_own(&net.bonds[0]->paths);

	for (unsigned i = 0; i < set->n; i++) {
		if (!strcmp(set->entries[i].path->link->settings->name, link))
			return &set->entries[i];
	}
	return NULL;
}

START_TEST(new_link_makes_a_path_to_each_endpoint)
{
	give_endpoint("127.0.0.2");
	apply();
	ck_assert_uint_eq(net.n_links, 2);
	ck_assert(link_is_usable(net.links[1]));
	ck_assert_uint_eq(path_over("another")->weight, 3);
	ck_assert_ptr_nonnull(path_over("link 0"));
}
END_TEST

START_TEST(removed_link_takes_its_paths_along)
{
	const struct event e = {.kind = EVENT_HEARD, .bond = net.bonds[0], .at = T0};
	struct event late = e;

	give_endpoint("127.0.0.2");
	apply();
	late.link = net.links[1];
	late.from = endpoint_of("127.0.0.3");
	ck_assert(monitor_post(&net, &late)); /* nothing is learnt of a link that goes */
	link_changes[0].is_removed = true;
	apply();
	ck_assert_ptr_null(net.links[1]);
	ck_assert_ptr_null(path_over("another"));
	ck_assert_ptr_nonnull(path_over("link 0"));
	apply(); /* is fine */
	link_changes[0].is_removed = false;
	apply(); /* in the same place */
	ck_assert_ptr_nonnull(net.links[1]);
	ck_assert_ptr_nonnull(path_over("another"));
}
END_TEST

START_TEST(link_changes_its_weight_and_its_endpoint)
{
	give_endpoint("127.0.0.2");
	apply();
	link_changes[0].settings.weight = 7;
	strcpy(link_changes[0].settings.endpoint.host, "127.0.0.9");
	link_changes[0].settings.endpoint.port = 9;
	apply();
	ck_assert_uint_eq(path_over("another")->weight, 7);
	ck_assert_uint_eq(addr_port(&path_over("another")->to.remote), 9);
	ck_assert_uint_eq(addr_port(&path_over("link 0")->to.remote), 51820);
}
END_TEST

START_TEST(link_changes_its_role_and_its_rate)
{
	give_endpoint("127.0.0.2");
	apply();
	ck_assert(!path_over("another")->is_backup);
	ck_assert_uint_eq(path_over("another")->rate, 0);
	link_changes[0].settings.role = LINK_BACKUP;
	link_changes[0].settings.rate = 5000000;
	apply();
	ck_assert(path_over("another")->is_backup);
	ck_assert_uint_eq(path_over("another")->rate, 5000000);
	ck_assert(!path_over("link 0")->is_backup);
}
END_TEST

START_TEST(link_at_another_address_leads_another_way)
{
	uint32_t epoch, other;

	give_endpoint("127.0.0.2");
	apply();
	epoch = path_epoch(path_over("another")->path);
	other = path_epoch(path_over("link 0")->path);
	link_changes[0].settings.weight = 7;
	link_changes[0].settings.receive_buffer = 65536;
	apply();
	ck_assert_uint_eq(path_epoch(path_over("another")->path), epoch);
	ck_assert_int_eq(addr_parse(&link_changes[0].settings.bind, "127.0.0.5", 0), 0);
	apply();
	ck_assert_uint_ne(path_epoch(path_over("another")->path), epoch);
	ck_assert_uint_eq(path_epoch(path_over("link 0")->path), other);
	epoch = path_epoch(path_over("another")->path);
	apply(); /* the same again */
	ck_assert_uint_eq(path_epoch(path_over("another")->path), epoch);
}
END_TEST

START_TEST(tuning_is_in_force_at_once)
{
	struct network_settings wanted = *net.settings;

	give_endpoint("127.0.0.2");
	apply();
	wanted.mode = BOND_REDUNDANT;
	wanted.max_spread = 7 * NSEC_PER_MSEC;
	wanted.health.up = 9;
	wanted.health.failure_loss = 20;
	network_tune(&net, &wanted);
	ck_assert_int_eq(rcu_own(&net.bonds[0]->paths)->mode, BOND_REDUNDANT);
	ck_assert_int_eq(rcu_own(&net.bonds[0]->paths)->max_spread, 7 * NSEC_PER_MSEC);
	ck_assert_mem_eq(&net.settings->health, &wanted.health, sizeof(wanted.health));
}
END_TEST

START_TEST(disabled_link_has_no_socket_until_it_is_enabled)
{
	give_endpoint("127.0.0.2");
	apply();
	link_changes[0].settings.is_disabled = true;
	apply();
	ck_assert(!link_is_usable(net.links[1]));
	ck_assert_int_eq(path_over("another")->state, HEALTH_DOWN);
	ck_assert(link_is_usable(net.links[0]));
	link_changes[0].settings.is_disabled = false;
	apply();
	ck_assert(link_is_usable(net.links[1]));
}
END_TEST

START_TEST(link_whose_port_is_taken_stays_as_it_was)
{
	const struct link_settings any = {.name = "any"};
	struct udp_socket holder;
	struct addr taken;

	give_endpoint("127.0.0.2");
	apply();
	ck_assert_int_eq(udp_open(&holder, &any, AF_INET, BURST_BYTES_MAX), 0);
	udp_local_addr(&holder, &taken);
	addr_set_port(&link_changes[0].settings.bind, addr_port(&taken));
	ck_assert_int_eq(network_change(&net, &change), -EADDRINUSE);
	ck_assert(link_is_usable(net.links[1]));
	ck_assert_uint_eq(addr_port(&net.links[1]->settings->bind), 0);
	close(holder.fd);
	apply();
	ck_assert_uint_eq(addr_port(&net.links[1]->settings->bind), addr_port(&taken));
}
END_TEST

/* Link "another" that is there, and a second change that cannot be had as long as the holder is. */
static struct udp_socket begin_two_changes(void)
{
	const struct link_settings any = {.name = "any"};
	struct udp_socket holder;
	struct addr taken;

	give_endpoint("127.0.0.2");
	apply();
	must(udp_open(&holder, &any, AF_INET, BURST_BYTES_MAX) == 0);
	udp_local_addr(&holder, &taken);
	link_changes[1] = link_changes[0];
	strcpy(link_changes[1].settings.name, "third");
	addr_set_port(&link_changes[1].settings.bind, addr_port(&taken));
	change.n_links = 2;
	return holder;
}

START_TEST(links_go_back_when_a_later_one_fails)
{
	struct udp_socket holder = begin_two_changes();

	link_changes[0].settings.weight = 9;
	link_changes[0].settings.rate = 5000000;
	link_changes[0].settings.receive_buffer = 65536;
	ck_assert_int_eq(network_change(&net, &change), -EADDRINUSE);

	ck_assert_ptr_null(network_link_find(&net, "third"));
	ck_assert_ptr_null(path_over("third"));
	ck_assert(link_is_usable(net.links[1]));
	ck_assert_uint_eq(path_over("another")->weight, 3);
	ck_assert_uint_eq(path_over("another")->rate, 0);
	ck_assert_uint_eq(net.links[1]->settings->receive_buffer, 0);
	close(holder.fd);
	apply();
	ck_assert_uint_eq(path_over("another")->weight, 9);
	ck_assert_uint_eq(path_over("third")->weight, 3);
}
END_TEST

START_TEST(new_and_removed_links_go_back_when_a_later_one_fails)
{
	struct udp_socket holder = begin_two_changes();

	link_changes[0].is_removed = true;
	ck_assert_int_eq(network_change(&net, &change), -EADDRINUSE);
	ck_assert_uint_eq(path_over("another")->weight, 3);
	ck_assert(link_is_usable(network_link_find(&net, "another")));

	link_changes[0].is_removed = false;
	strcpy(link_changes[0].settings.name, "fourth");
	ck_assert_int_eq(network_change(&net, &change), -EADDRINUSE);
	ck_assert_ptr_null(network_link_find(&net, "fourth"));
	ck_assert_ptr_null(path_over("fourth"));
	close(holder.fd);
}
END_TEST

/* Links "another" and "third" with fixed ports of their own, which a change then exchanges. */
static void exchange_ports(void)
{
	struct udp_socket holders[2];
	struct addr free_ports[2];

	give_endpoint("127.0.0.2");
	link_changes[1] = link_changes[0];
	strcpy(link_changes[1].settings.name, "third");
	change.n_links = 2;
	for (size_t i = 0; i < 2; i++) {
		must(udp_open(&holders[i], &link_changes[i].settings, AF_INET, BURST_BYTES_MAX) ==
		     0);
		udp_local_addr(&holders[i], &free_ports[i]);
	}
	for (size_t i = 0; i < 2; i++) {
		close(holders[i].fd);
		link_changes[i].settings.bind = free_ports[i];
	}
	apply();
	link_changes[0].settings.bind = free_ports[1];
	link_changes[1].settings.bind = free_ports[0];
}

static bool has_port(const char *link, const struct addr *bind)
{
	const struct link *l = network_link_find(&net, link);

	return link_is_usable(l) && addr_equal(&l->settings->bind, bind);
}

START_TEST(links_exchange_their_ports)
{
	exchange_ports();
	apply();
	ck_assert(has_port("another", &link_changes[0].settings.bind));
	ck_assert(has_port("third", &link_changes[1].settings.bind));
}
END_TEST

START_TEST(links_that_have_exchanged_their_ports_go_back)
{
	exchange_ports();
	change.n_peers = 1;
	memset(peers[0].public_key, 0, KEY_LEN); /* of low order */
	ck_assert_int_eq(network_change(&net, &change), -EINVAL);
	ck_assert(has_port("another", &link_changes[1].settings.bind));
	ck_assert(has_port("third", &link_changes[0].settings.bind));
}
END_TEST

/* Whatever was found for the family of before. */
START_TEST(name_is_looked_up_anew_when_the_family_changes)
{
	uint32_t before;

	give_endpoint("127.0.0.2");
	strcpy(link_changes[0].settings.endpoint.host, "localhost");
	apply();
	before = net.bonds[0]->probe->paths[1]->path->id;
	memset(&link_changes[0].settings.bind, 0, sizeof(link_changes[0].settings.bind));
	apply();
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		const struct probe_path *pp = net.bonds[0]->probe->paths[i];

		ck_assert(!pp || pp->path->id != before);
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("change");
	TCase *t = tcase_create("change");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, new_peer_gets_what_it_is_given);
	tcase_add_test(t, peer_on_demand_is_not_called_before_there_is_a_demand);
	tcase_add_test(t, peer_of_a_name_is_whole_whatever_was_there);
	tcase_add_test(t, allowed_ip_moves_from_its_owner);
	tcase_add_test(t, of_two_that_are_given_the_same_the_later_has_it);
	tcase_add_test(t, allowed_ips_are_taken_away_and_replaced);
	tcase_add_test(t, what_is_taken_away_again_stays_with_its_owner);
	tcase_add_test(t, removed_peer_leaves_nothing_and_the_others_alone);
	tcase_add_test(t, removed_peer_is_taken_out_of_every_queue);
	tcase_add_test(t, peer_that_is_removed_and_added_again_is_a_new_one);
	tcase_add_test(t, replaced_peers_all_go);
	tcase_add_test(t, update_of_a_peer_that_is_not_there_adds_none);
	tcase_add_test(t, our_own_key_is_no_peer);
	tcase_add_test(t, another_private_key_ends_all_sessions);
	tcase_add_test(t, the_same_private_key_leaves_the_sessions_alone);
	tcase_add_test(t, private_key_of_a_peer_takes_that_peer_away);
	tcase_add_test(t, what_fails_changes_nothing);
	tcase_add_test(t, status_tells_of_peers_that_have_done_nothing_yet);
	tcase_add_test(t, endpoint_moves_the_path);
	tcase_add_test(t, new_link_makes_a_path_to_each_endpoint);
	tcase_add_test(t, removed_link_takes_its_paths_along);
	tcase_add_test(t, link_changes_its_weight_and_its_endpoint);
	tcase_add_test(t, link_changes_its_role_and_its_rate);
	tcase_add_test(t, link_at_another_address_leads_another_way);
	tcase_add_test(t, tuning_is_in_force_at_once);
	tcase_add_test(t, disabled_link_has_no_socket_until_it_is_enabled);
	tcase_add_test(t, link_whose_port_is_taken_stays_as_it_was);
	tcase_add_test(t, links_go_back_when_a_later_one_fails);
	tcase_add_test(t, new_and_removed_links_go_back_when_a_later_one_fails);
	tcase_add_test(t, links_exchange_their_ports);
	tcase_add_test(t, links_that_have_exchanged_their_ports_go_back);
	tcase_add_test(t, name_is_looked_up_anew_when_the_family_changes);
	suite_add_tcase(s, t);
	return s;
}
