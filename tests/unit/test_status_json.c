/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The status as JSON: every key of docs/control.md, from a network that is made up. */
#include "check_main.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "control/status_json.h"
#include "util/utf8.h"

static struct path_status paths[2];
static struct prefix allowed[2];
static struct peer_status peers[2];
static struct link_status links[2];
static struct rule_status rules[2] = {
	{.name = "calls", .packets = 5, .bytes = 600, .elsewhere_bytes = 70}};
static struct network_status network;
static struct prefix addresses[] = {{AF_INET, 24, {10, 10, 0, 2}},
				    {AF_INET6, 64, {0xfd, 0x10, [15] = 2}}};

static struct addr address(const char *text)
{
	struct addr a;

	ck_assert_int_eq(addr_parse(&a, text, 0), 0);
	return a;
}

static void make_paths(void)
{
	paths[0] = (struct path_status){
		.id = 3,
		.link = "fibre",
		.remote_link = "uplink",
		.remote = address("203.0.113.1:51820"),
		.state = HEALTH_UP,
		.is_active = true,
		.weight = 4,
		.rtt = 12345678,
		.rtt_min = 12000000,
		.tx_loss = 0.1,
		.rx_loss = 0,
		.tx_packets = 1,
		.tx_bytes = 18446744073709551615u,
		.rx_packets = 3,
		.rx_bytes = 4,
		.tx_bps = 5,
		.learnt_bps = 7000,
		.queue = 8500,
		.rx_bps = 6,
		.duplicates = 7,
		.n_downs = 8,
		.n_flaps = 2,
		.hold = 1500 * NSEC_PER_MSEC,
		.is_poor = true,
		.is_backup = true,
		.mtu = 1492,
		.state_age = 61500 * NSEC_PER_MSEC,
	};
	paths[1] = (struct path_status){
		.link = "lte/5g", .state = HEALTH_DOWN, .tx_loss = -1, .rx_loss = NAN};
}

static void make_network(void)
{
	make_paths();
	memset(peers, 0, sizeof(peers));
	memset(links, 0, sizeof(links));
	ck_assert_int_eq(prefix_parse(&allowed[0], "10.10.0.0/24"), 0);
	ck_assert_int_eq(prefix_parse(&allowed[1], "fd00::/64"), 0);
	strcpy(peers[0].name, "vps");
	memset(peers[0].public_key, 0xff, sizeof(peers[0].public_key));
	peers[0].has_session = true;
	peers[0].is_multilink = true;
	peers[0].is_multilink_known = true;
	peers[0].handshake_age = 42125 * NSEC_PER_MSEC;
	peers[0].tx_bytes = 100;
	peers[0].rx_bytes = 200;
	peers[0].tx_packets = 10;
	peers[0].rx_packets = 20;
	peers[0].persistent_keepalive = 25;
	peers[0].allowed_ips = allowed;
	peers[0].n_allowed_ips = 2;
	peers[0].reseq.in_order = 11;
	peers[0].reseq.held = 12;
	peers[0].reseq.released_late = 13;
	peers[0].reseq.proven_lost = 14;
	peers[0].reseq.deadlines = 15;
	peers[0].reseq.asked = 19;
	peers[0].reseq.repaired = 20;
	peers[0].reseq.hold = 45 * NSEC_PER_MSEC;
	peers[0].resend.packets = 16;
	peers[0].resend.bytes = 17;
	peers[0].resend.refused = 18;
	peers[0].copied.packets = 21;
	peers[0].copied.bytes = 22;
	peers[0].copied.refused = 23;
	peers[0].paths = paths;
	peers[0].n_paths = 2;
	strcpy(peers[1].name, "phone");
	peers[1].handshake_age = -1;
	peers[1].tx_bytes = 1;
	links[0] = (struct link_status){
		.name = "fibre",
		.device = "eth0",
		.fwmark = 77,
		.local = address("[2001:db8::2]:4000"),
		.is_open = true,
		.has_carrier = true,
		.has_gso = true,
		.gro = OFFLOAD_OFF,
		.gso_refused = 3,
		.rate = 50000000,
		.receive_buffer = 4194304,
		.send_buffer = 524288,
		.weight = 4,
		.tx_datagrams = 1,
		.tx_bytes = 2,
		.rx_datagrams = 3,
		.rx_bytes = 4,
	};
	strcpy(links[1].name, "lte/5g");
	links[1].last_error = ENODEV;
	drops_add(&links[1].drops, DROP_tx_link_down, 9);
	network = (struct network_status){
		.name = "default",
		.state = "active",
		.interface = "tun0",
		.mtu = 1420,
		.addresses = addresses,
		.n_addresses = 2,
		.mode = BOND_FAILOVER,
		.aead = "openssl",
		.can_tso = true,
		.uso = OFFLOAD_OFF,
		.buffers = 256,
		.buffers_free = 200,
		.repair_buffer = 65536,
		.repair_buffer_used = 32768,
		.sizes = {.buffers = 24,
			  .queue_buffers = 14,
			  .reorder_packets = 512,
			  .handshake_queue = 128,
			  .event_queue = 64,
			  .link = {.receive_batch = 4, .queue = 16}},
		.queues = {{.packets = 7, .bytes = 9000, .waits = 1}, {.packets = 3}},
		.n_queues = 2,
		.rules = rules,
		.n_rules = 2,
		.links = links,
		.n_links = 2,
		.peers = peers,
		.n_peers = 2,
	};
	drops_add(&network.drops, DROP_rx_bad_mac1, 3);
}

/* Compares with JSON text, the order of keys included. */
static void expect(struct json_object *o, const char *text)
{
	ck_assert_str_eq(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
								   JSON_C_TO_STRING_NOSLASHESCAPE),
			 text);
}

/* Takes a key's value out, so that the rest can be compared without it. The caller puts it. */
static struct json_object *take(struct json_object *o, const char *key)
{
	struct json_object *value;

	ck_assert_msg(json_object_object_get_ex(o, key, &value), "no key %s", key);
	json_object_get(value);
	json_object_object_del(o, key);
	return value;
}

START_TEST(network_tells_its_settings_and_totals)
{
	struct json_object *o = status_json(&network);
	struct json_object *sizes;

	json_object_put(take(o, "links"));
	json_object_put(take(o, "peers"));
	json_object_put(take(o, "drops"));
	sizes = take(o, "sizes");
	expect(sizes, "{\"buffers\":24,\"queue_buffers\":14,\"receive_batch\":4,\"link_queue\":16,"
		      "\"reorder_packets\":512,\"handshake_queue\":128,\"event_queue\":64}");
	json_object_put(sizes);
	expect(o, "{\"name\":\"default\",\"state\":\"active\",\"reason\":null,\"interface\":"
		  "\"tun0\",\"addresses\":[\"10.10.0.2/24\",\"fd10::2/"
		  "64\"],\"mode\":\"failover\",\"mtu\":1420,"
		  "\"public_key\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\","
		  "\"totals\":{\"peers\":2,\"peers_active\":1,\"peers_healthy\":1,"
		  "\"tx_packets\":10,\"tx_bytes\":101,\"rx_packets\":20,\"rx_bytes\":200},"
		  "\"aead\":\"openssl\","
		  "\"offloads\":{\"tso\":true,\"uso\":false,\"tso_setting\":\"auto\","
		  "\"uso_setting\":\"off\"},"
		  "\"buffers\":{\"total\":256,\"free\":200,\"repair_bytes\":65536,"
		  "\"repair_used_bytes\":32768},"
		  "\"queues\":[{\"packets\":7,\"bytes\":9000,\"waits\":1},"
		  "{\"packets\":3,\"bytes\":0,\"waits\":0}],"
		  "\"rules\":[{\"name\":\"calls\",\"packets\":5,\"bytes\":600,"
		  "\"elsewhere_bytes\":70},"
		  "{\"name\":null,\"packets\":0,\"bytes\":0,\"elsewhere_bytes\":0}]}");
	json_object_put(o);
}
END_TEST

START_TEST(peer_with_an_old_handshake_is_active_but_not_healthy)
{
	struct json_object *totals;
	struct json_object *o;

	peers[0].handshake_age = STATUS_HEALTHY_AGE;
	o = status_json(&network);
	totals = json_object_object_get(o, "totals");
	ck_assert_int_eq(json_object_get_int(json_object_object_get(totals, "peers_active")), 1);
	ck_assert_int_eq(json_object_get_int(json_object_object_get(totals, "peers_healthy")), 0);
	json_object_put(o);
}
END_TEST

START_TEST(links_are_listed)
{
	struct json_object *o = status_json(&network);
	struct json_object *array = json_object_object_get(o, "links");
	struct json_object *link;

	ck_assert_uint_eq(json_object_array_length(array), 2);
	link = json_object_array_get_idx(array, 0);
	json_object_put(take(link, "drops"));
	expect(link, "{\"name\":\"fibre\",\"device\":\"eth0\",\"fwmark\":77,\"local\":\"[2001:db8::"
		     "2]:4000\","
		     "\"open\":true,\"carrier\":true,\"gso\":true,\"gro\":false,"
		     "\"gso_setting\":\"auto\",\"gro_setting\":\"off\",\"gso_refused\":3,"
		     "\"last_error\":"
		     "null,\"weight\":4,"
		     "\"role\":\"primary\",\"rate_bps\":50000000,"
		     "\"receive_buffer\":4194304,\"send_buffer\":524288,"
		     "\"tx_datagrams\":1,\"tx_bytes\":2,\"rx_datagrams\":3,\"rx_bytes\":4}");
	link = json_object_array_get_idx(array, 1);
	json_object_put(take(link, "drops"));
	expect(link, "{\"name\":\"lte/5g\",\"device\":null,\"fwmark\":0,\"local\":null,"
		     "\"open\":false,\"carrier\":false,\"gso\":false,\"gro\":false,"
		     "\"gso_setting\":\"auto\",\"gro_setting\":\"auto\",\"gso_refused\":0,"
		     "\"last_error\":{\"errno\":19,\"text\":\"No such device\"},\"weight\":0,"
		     "\"role\":\"primary\",\"rate_bps\":null,"
		     "\"receive_buffer\":0,\"send_buffer\":0,"
		     "\"tx_datagrams\":0,\"tx_bytes\":0,\"rx_datagrams\":0,\"rx_bytes\":0}");
	json_object_put(o);
}
END_TEST

START_TEST(drops_have_all_reasons)
{
	struct json_object *o = status_json(&network);
	struct json_object *drops = json_object_object_get(o, "drops");

	ck_assert_int_eq(json_object_object_length(drops), DROP_REASON_COUNT);
	ck_assert_int_eq(json_object_get_int(json_object_object_get(drops, "rx_bad_mac1")), 3);
	ck_assert_int_eq(json_object_get_int(json_object_object_get(drops, "rx_replay")), 0);
	drops = json_object_object_get(
		json_object_array_get_idx(json_object_object_get(o, "links"), 1), "drops");
	ck_assert_int_eq(json_object_get_int(json_object_object_get(drops, "tx_link_down")), 9);
	json_object_put(o);
}
END_TEST

START_TEST(peers_are_listed)
{
	struct json_object *o = status_json(&network);
	struct json_object *array = json_object_object_get(o, "peers");
	struct json_object *peer;

	ck_assert_uint_eq(json_object_array_length(array), 2);
	peer = json_object_array_get_idx(array, 0);
	json_object_put(take(peer, "paths"));
	expect(peer,
	       "{\"name\":\"vps\",\"public_key\":\"//////////////////////////////////////////8=\","
	       "\"session\":true,\"multilink\":true,\"handshakes\":0,\"handshakes_begun\":0,"
	       "\"handshake_age_s\":42.125,"
	       "\"persistent_keepalive_s\":25,\"allowed_ips\":[\"10.10.0.0/24\",\"fd00::/64\"],"
	       "\"tx_packets\":10,\"tx_bytes\":100,\"rx_packets\":20,\"rx_bytes\":200,"
	       "\"reseq\":{\"in_order\":11,\"held\":12,\"released_late\":13,\"proven_lost\":14,"
	       "\"deadlines\":15,\"asked\":19,\"repaired\":20,\"hold_us\":45000},"
	       "\"resend\":{\"packets\":16,\"bytes\":17,\"refused\":18},"
	       "\"copied\":{\"packets\":21,\"bytes\":22,\"refused\":23}}");
	peer = json_object_array_get_idx(array, 1);
	json_object_put(take(peer, "reseq"));
	json_object_put(take(peer, "resend"));
	json_object_put(take(peer, "copied"));
	expect(peer,
	       "{\"name\":\"phone\",\"public_key\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	       "\","
	       "\"session\":false,\"multilink\":null,\"handshakes\":0,\"handshakes_begun\":0,"
	       "\"handshake_age_s\":null,"
	       "\"persistent_keepalive_s\":0,\"allowed_ips\":[],"
	       "\"tx_packets\":0,\"tx_bytes\":1,\"rx_packets\":0,\"rx_bytes\":0,\"paths\":[]}");
	json_object_put(o);
}
END_TEST

START_TEST(paths_are_listed_with_null_for_the_unknown)
{
	struct json_object *o = status_json(&network);
	struct json_object *array = json_object_object_get(
		json_object_array_get_idx(json_object_object_get(o, "peers"), 0), "paths");

	ck_assert_uint_eq(json_object_array_length(array), 2);
	expect(json_object_array_get_idx(array, 0),
	       "{\"id\":3,\"link\":\"fibre\",\"remote_link\":\"uplink\","
	       "\"remote\":\"203.0.113.1:51820\",\"state\":\"up\",\"state_age_s\":61.500,"
	       "\"active\":true,\"weight\":4,\"rtt_us\":12345,\"rtt_min_us\":12000,"
	       "\"tx_loss\":0.100000,\"rx_loss\":0.000000,"
	       "\"tx_packets\":1,\"tx_bytes\":18446744073709551615,\"rx_packets\":3,\"rx_bytes\":4,"
	       "\"tx_bps\":5,\"rx_bps\":6,\"learnt_bps\":7000,\"queue_us\":8,\"duplicates\":7,"
	       "\"downs\":8,\"flaps\":2,"
	       "\"held_s\":1.500,\"role\":\"backup\",\"poor\":true,\"mtu\":1492}");
	expect(json_object_array_get_idx(array, 1),
	       "{\"id\":0,\"link\":\"lte/5g\",\"remote_link\":null,"
	       "\"remote\":null,\"state\":\"down\",\"state_age_s\":0.000,"
	       "\"active\":false,\"weight\":0,\"rtt_us\":null,\"rtt_min_us\":null,"
	       "\"tx_loss\":null,\"rx_loss\":null,"
	       "\"tx_packets\":0,\"tx_bytes\":0,\"rx_packets\":0,\"rx_bytes\":0,"
	       "\"tx_bps\":0,\"rx_bps\":0,\"learnt_bps\":null,\"queue_us\":0,\"duplicates\":0,"
	       "\"downs\":0,\"flaps\":0,"
	       "\"held_s\":null,\"role\":\"primary\",\"poor\":false,\"mtu\":null}");
	json_object_put(o);
}
END_TEST

START_TEST(modes_have_their_configuration_names)
{
	static const char *const names[] = {"aggregate", "redundant", "failover"};

	for (int i = 0; i < 3; i++) {
		struct json_object *o;

		network.mode = (enum bond_mode)i;
		o = status_json(&network);
		ck_assert_str_eq(json_object_get_string(json_object_object_get(o, "mode")),
				 names[i]);
		json_object_put(o);
	}
}
END_TEST

START_TEST(name_from_a_peer_becomes_valid_utf8)
{
	struct json_object *o;
	const char *text;

	strcpy(paths[0].remote_link, "caf\xc3\xa9 \xff\xc3");
	o = status_json(&network);
	text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
	ck_assert_ptr_nonnull(strstr(text, "\"remote_link\":\"caf\xc3\xa9 ?\?\""));
	json_object_put(o);
}
END_TEST

START_TEST(answer_holds_schema_version_and_networks)
{
	struct json_object *answer = status_json_new_answer(4711);
	struct json_object *o;

	ck_assert_int_eq(status_json_add_network(answer, &network), 0);
	ck_assert_int_eq(status_json_add_network(answer, &network), 0);
	ck_assert_int_eq(json_object_get_int(json_object_object_get(answer, "schema")),
			 STATUS_SCHEMA);
	ck_assert_int_eq(json_object_get_int(json_object_object_get(answer, "pid")), 4711);
	ck_assert(json_object_is_type(json_object_object_get(answer, "version"), json_type_string));
	o = json_object_object_get(answer, "networks");
	ck_assert_uint_eq(json_object_array_length(o), 2);
	json_object_put(answer);
}
END_TEST

START_TEST(utf8_is_told_from_what_only_looks_like_it)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
		{"", 1},
		{"a", 1},
		{"\xc3\xa9", 2},
		{"\xe2\x82\xac", 3},
		{"\xf0\x9f\x98\x80", 4},
		{"\xf4\x8f\xbf\xbf", 4},
		{"\x80", 0},
		{"\xc3", 0},
		{"\xe2\x82", 0},
		{"\xc0\xaf", 0},
		{"\xe0\x80\xaf", 0},
		{"\xf0\x80\x80\xaf", 0},
		{"\xed\xa0\x80", 0},
		{"\xf4\x90\x80\x80", 0},
		{"\xf8\x88\x80\x80\x80", 0},
		{"\xff", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_uint_eq(utf8_char_len(cases[i].text), cases[i].len);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("status_json");
	TCase *tc = tcase_create("status");

	tcase_add_checked_fixture(tc, make_network, NULL);
	tcase_add_test(tc, network_tells_its_settings_and_totals);
	tcase_add_test(tc, peer_with_an_old_handshake_is_active_but_not_healthy);
	tcase_add_test(tc, links_are_listed);
	tcase_add_test(tc, drops_have_all_reasons);
	tcase_add_test(tc, peers_are_listed);
	tcase_add_test(tc, paths_are_listed_with_null_for_the_unknown);
	tcase_add_test(tc, modes_have_their_configuration_names);
	tcase_add_test(tc, name_from_a_peer_becomes_valid_utf8);
	tcase_add_test(tc, answer_holds_schema_version_and_networks);
	tcase_add_test(tc, utf8_is_told_from_what_only_looks_like_it);
	suite_add_tcase(suite, tc);
	return suite;
}
