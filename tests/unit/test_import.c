/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Files of wg-quick: what they become, and what is said of those that are wrong. */
#include <fcntl.h>

#include "config_text.h"
#include "core/commands.h"
#include "core/import.h"
#include "netlink/route.h"

#define INTERFACE "[Interface]\nPrivateKey = " ALICE "\n"
#define PEER "[Peer]\nPublicKey = " BOB_PUBLIC "\n"
#define BASIC INTERFACE PEER "AllowedIPs = 10.1.0.0/16\n"

static struct import import;
static char written[TEXT_MAX];

static void end(void)
{
	import_deinit(&import);
	memset(&import, 0, sizeof(import));
	tear_down();
}

static int import_text(const char *name, const char *text)
{
	size_t len = strlen(text);
	char *copy = malloc(len + 1);
	int r;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, len + 1);
	import_deinit(&import);
	memset(&import, 0, sizeof(import));
	config_errors_deinit(&errors);
	errors.file = name;
	r = import_parse(&import, copy, len, NULL, &errors);
	free(copy);
	assert_no_secret();
	return r;
}

static void write_out(void)
{
	FILE *f = fmemopen(written, sizeof(written), "w");

	ck_assert_ptr_nonnull(f);
	import_write(f, &import);
	fclose(f);
}

/* What is written must be read again, without an error, as what was imported. */
static void assert_imported(const char *text)
{
	int r = import_text("/etc/wireguard/wg0.conf", text);

	ck_assert_msg(r == 0, "refused: %s\n%s", errors.n_items ? errors.items[0].text : "", text);
	ck_assert(!config_errors_any(&errors));
	for (size_t i = 0; i < import.notes.n_items; i++) {
		ck_assert_ptr_null(strstr(import.notes.items[i].text, ALICE));
		ck_assert_ptr_null(strstr(import.notes.items[i].text, PRESHARED));
	}
	write_out();
	assert_good(written);
}

static void assert_written(const char *line)
{
	ck_assert_msg(strstr(written, line), "no '%s' in:\n%s", line, written);
}

/* One error, or note, at that line, holding all of `says` (parts separated by '|'). */
static void assert_says(const struct config_errors *e, int line, const char *says)
{
	char place[64];
	char parts[512];
	char *rest = parts;
	char *part;

	ck_assert_msg(e->n_items == 1, "%zu messages, %s\n%s", e->n_items,
		      e->n_items ? e->items[0].text : "", e->n_items > 1 ? e->items[1].text : "");
	snprintf(place, sizeof(place), line ? "wg0.conf:%d: " : "wg0.conf: ", line);
	ck_assert_msg(strstr(e->items[0].text, place), "not at line %d: %s", line,
		      e->items[0].text);
	strcpy(parts, says);
	while ((part = strsep(&rest, "|")))
		ck_assert_msg(strstr(e->items[0].text, part), "'%s' is not in: %s", part,
			      e->items[0].text);
}

START_TEST(whole_file_is_taken_over)
{
	const struct network_settings *n;
	const struct peer_settings *p;

	assert_imported("[Interface]\nAddress = 10.0.0.2/24, fd00::2/64\nAddress=10.9.0.2\n"
			"ListenPort = 51821\nPrivateKey = " ALICE "\nMTU = 1400\nTable = 123\n"
			"FwMark = 0xca6c\n"
			"[Peer]\nPublicKey = " BOB_PUBLIC "\nPresharedKey = " PRESHARED "\n"
			"AllowedIPs = 10.1.0.0/16, 10.2.0.0/16\nAllowedIPs = fd01::/64\n"
			"Endpoint = vpn.example.com:51820\nPersistentKeepalive = 25\n");
	ck_assert_uint_eq(import.notes.n_items, 0);
	n = &config.networks[0];
	ck_assert_str_eq(n->interface, "wg0");
	ck_assert_uint_eq(n->n_addresses, 3);
	ck_assert_uint_eq(n->addresses[0].prefix.len, 24);
	ck_assert_uint_eq(n->addresses[2].prefix.len, 32);
	ck_assert_uint_eq(n->mtu, 1400);
	ck_assert_uint_eq(n->route_table, 123);
	assert_key(n->private_key, ALICE);
	ck_assert_uint_eq(n->n_links, 1);
	ck_assert_uint_eq(n->links[0].port, 51821);
	ck_assert_uint_eq(n->links[0].fwmark, 0xca6c);
	ck_assert_uint_eq(n->n_peers, 1);
	p = &n->peers[0];
	assert_key(p->public_key, BOB_PUBLIC);
	assert_key(p->preshared_key, PRESHARED);
	ck_assert_uint_eq(p->n_allowed_ips, 3);
	ck_assert_str_eq(p->endpoint->host, "vpn.example.com");
	ck_assert_uint_eq(p->endpoint->port, 51820);
	ck_assert_uint_eq(p->persistent_keepalive, 25);
}
END_TEST

START_TEST(case_blanks_line_ends_and_order_do_not_matter)
{
	assert_imported("\t[PEER]\r\npublickey=" BOB_PUBLIC "\r\nALLOWEDIPS =10.1.0.0/16\r\n\r\n"
			"  [interface]  \r\n  privatekey   =   " ALICE "  \r\nLISTENPORT=1");
	ck_assert_uint_eq(config.networks[0].links[0].port, 1);
	ck_assert_uint_eq(config.networks[0].n_peers, 1);
}
END_TEST

START_TEST(peers_stay_apart)
{
	assert_imported(BASIC "[Peer]\nPublicKey = " PRESHARED "\nAllowedIPs = 10.2.0.0/16\n"
			      "PersistentKeepalive = off\nEndpoint = [2001:db8::1]:7\n");
	ck_assert_uint_eq(config.networks[0].n_peers, 2);
	ck_assert_str_eq(config.networks[0].peers[1].name, "peer-2");
	ck_assert_str_eq(config.networks[0].peers[1].endpoint->host, "2001:db8::1");
	ck_assert_uint_eq(config.networks[0].peers[1].n_allowed_ips, 1);
}
END_TEST

START_TEST(long_list_becomes_short_lines)
{
	char text[TEXT_MAX] = BASIC "AllowedIPs = 10.2.0.0/24";

	for (int i = 1; i < 200; i++)
		sprintf(text + strlen(text), ", 10.2.%d.0/24", i);
	assert_imported(text);
	ck_assert_uint_eq(config.networks[0].peers[0].n_allowed_ips, 201);
}
END_TEST

START_TEST(comments_stay_with_what_they_stand_at)
{
	assert_imported("# home router\n[Interface]\nPrivateKey = " ALICE " # mine\n"
			"\n# phone of Bob\n" PEER "AllowedIPs = 10.1.0.0/16 # LAN\n# end\n");
	assert_written("[network]\n# home router\n# mine\n");
	assert_written("[peer peer-1]\n# phone of Bob\n# LAN\n# end\n");
}
END_TEST

static const struct {
	const char *setting, *comment, *note;
} left[] = {
	{"PostUp = iptables -A FORWARD -i %i -j ACCEPT; echo x",
	 "# PostUp = iptables -A FORWARD -i %i -j ACCEPT; echo x\n", "PostUp: |script|on_up"},
	{"PostDown = a = b", "# PostDown = a = b\n", "PostDown: |script|on_down"},
	{"preup = x", "# PreUp = x\n", "PreUp: |before vtrunkd"},
	{"PreDown = wg set %i private-key " ALICE, "# PreDown = wg set %i private-key " ALICE "\n",
	 "PreDown: |on_down"},
	{"SaveConfig = true", "# SaveConfig = true\n", "SaveConfig: "},
	{"DNS = example.com", "# DNS = example.com\n", "DNS: |search domain"},
	{"DNS = 1.1.1.1", "dns = 1.1.1.1\n", "DNS: |VTRUNKD_DNS|on_up"},
};

START_TEST(what_has_no_counterpart_is_a_comment_and_a_note)
{
	char text[1024];

	snprintf(text, sizeof(text), "\n" INTERFACE "%s\n" PEER "AllowedIPs = 10.1.0.0/16\n",
		 left[_i].setting);
	assert_imported(text);
	assert_written(left[_i].comment);
	assert_says(&import.notes, 4, left[_i].note);
	assert_written(import.notes.items[0].text);
}
END_TEST

START_TEST(routes_are_made_as_by_wg_quick)
{
	assert_imported(BASIC);
	ck_assert_uint_eq(config.networks[0].route_table, ROUTE_TABLE_AUTO);
	assert_imported(INTERFACE "Table = auto\n" PEER "AllowedIPs = 10.1.0.0/16\n");
	ck_assert_uint_eq(config.networks[0].route_table, ROUTE_TABLE_AUTO);
	assert_imported(INTERFACE "Table = off\n" PEER "AllowedIPs = 0.0.0.0/0\n");
	ck_assert_uint_eq(config.networks[0].route_table, 0);
	ck_assert_uint_eq(config.networks[0].links[0].fwmark, 0);
	ck_assert_uint_eq(import.notes.n_items, 0);
}
END_TEST

static const struct {
	const char *setting;
	uint32_t mark;
} marks[] = {{"", 51820}, {"FwMark = off", 51820}, {"FwMark = 0", 51820}, {"FwMark = 77", 77}};

/* By it the tunnel's own packets are told from those that go into it. */
START_TEST(link_of_a_default_route_has_a_mark)
{
	static const char *const all[] = {"0.0.0.0/0", "10.0.0.0/8, ::/0"};
	char text[1024];

	for (size_t i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), INTERFACE "%s\n" PEER "AllowedIPs = %s\n",
			 marks[_i].setting, all[i]);
		assert_imported(text);
		ck_assert_uint_eq(config.networks[0].route_table, ROUTE_TABLE_AUTO);
		ck_assert_uint_eq(config.networks[0].links[0].fwmark, marks[_i].mark);
		ck_assert_uint_eq(import.notes.n_items, 0);
	}
}
END_TEST

START_TEST(name_that_no_interface_can_have_is_told)
{
	ck_assert_int_eq(import_text("a name too long wg0.conf", BASIC), 0);
	assert_says(&import.notes, 0, "tun0|interface");
	write_out();
	assert_good(written);
	ck_assert_str_eq(config.networks[0].interface, "tun0");
}
END_TEST

static const struct {
	const char *text;
	int line;
	const char *says;
} bad[] = {
	{"", 0, "[Interface] is missing"},
	{"PrivateKey = " ALICE "\n", 0, "[Interface] is missing"},
	{PEER "AllowedIPs = 10.0.0.0/8\n", 0, "[Interface] is missing"},
	{INTERFACE, 1, "missing, allowed|[peer NAME]"},
	{"[Interface]\n" PEER "AllowedIPs = 10.0.0.0/8\n", 1, "private_key: missing"},
	{INTERFACE "\n" PEER, 4, "allowed_ips: missing"},
	{INTERFACE "[Peer]\nAllowedIPs = 10.0.0.0/8\n", 3, "public_key: missing"},
	{BASIC "[Other]\nFoo = 1\n", 6, "unknown section|[Peer]"},
	{BASIC "[Peer\n", 6, "unknown section"},
	{BASIC "Foo = 1\n", 6, "[Peer] Foo: unknown key|AllowedIPs"},
	{BASIC "Address = 10.0.0.1/24\n", 6, "[Peer] Address: unknown key"},
	{INTERFACE "Endpoint = a:1\n" PEER "AllowedIPs = ::/1\n", 3, "[Interface] Endpoint|MTU"},
	{BASIC ALICE "\n", 6, "(not shown): unknown key"},
	{BASIC "nonsense\n", 6, "neither a comment"},
	{BASIC "; no comment of wg\n", 6, "neither a comment"},
	{BASIC "Endpoint = \x01:1\n", 6, "control character (0x01)"},
	{BASIC "Endpoint =\n", 6, "endpoint: empty"},
	{BASIC "Endpoint = [fe80::1%a ;b]:1\n", 6, "Endpoint: a ';'"},
	{BASIC "Endpoint = a\n", 6, "endpoint: found 'a'"},
	{BASIC "Endpoint = a:b\n", 6, "endpoint: found 'a:b'"},
	{BASIC "Endpoint = a:1\nEndpoint = b:1\n", 7, "given twice|line 6"},
	{BASIC "AllowedIPs = 10.3.0.0/33\n", 6, "allowed_ips: found '10.3.0.0/33'"},
	{BASIC "AllowedIPs = 10.3.0.0/16,,10.4.0.0/16\n", 6, "allowed_ips: empty"},
	{BASIC "AllowedIPs = 10.1.0.0/16\n", 5, "10.1.0.0/16|each prefix once"},
	{BASIC "PersistentKeepalive = 65536\n", 6, "persistent_keepalive: found '65536'"},
	{BASIC "PresharedKey = AQID\n", 6, "preshared_key|32 bytes"},
	{BASIC PEER "AllowedIPs = 10.9.0.0/16\n", 7, "one peer per key"},
	{INTERFACE "[Peer]\nPublicKey = " ALICE_PUBLIC "\nAllowedIPs = 10.0.0.0/8\n", 4,
	 "own public key"},
	{INTERFACE "ListenPort = 65536\n" PEER "AllowedIPs = ::/1\n", 3, "port: found '65536'"},
	{INTERFACE "ListenPort = -1\n" PEER "AllowedIPs = ::/1\n", 3, "port: found '-1'"},
	{INTERFACE "FwMark = red\n" PEER "AllowedIPs = ::/1\n", 3, "fwmark: found 'red'"},
	{INTERFACE "Table = blue\n" PEER "AllowedIPs = ::/1\n", 3, "table: found 'blue'"},
	{INTERFACE "MTU = 100\n" PEER "AllowedIPs = ::/1\n", 3, "mtu: found '100'"},
	{INTERFACE "Address = 10.0.0.256\n" PEER "AllowedIPs = ::/1\n", 3, "address: found"},
	{INTERFACE "PrivateKey = " ALICE "\n" PEER "AllowedIPs = ::/1\n", 3, "given twice"},
	{"[Interface]\nPrivateKey = " ZERO_KEY "\n" PEER "AllowedIPs = ::/1\n", 2, "all zero"},
};

START_TEST(wrong_file_is_refused_with_its_line)
{
	ck_assert_msg(import_text("wg0.conf", bad[_i].text) == -EINVAL, "accepted:\n%s",
		      bad[_i].text);
	assert_says(&errors, bad[_i].line, bad[_i].says);
}
END_TEST

START_TEST(all_that_is_wrong_is_told_at_once)
{
	ck_assert_int_eq(import_text("wg0.conf",
				     INTERFACE "MTU = x\nFoo = 1\n" PEER "AllowedIPs = y\nbar\n"),
			 -EINVAL);
	ck_assert_uint_eq(errors.n_items, 4);
	ck_assert_ptr_nonnull(strstr(errors.items[0].text, "wg0.conf:3: "));
	ck_assert_ptr_nonnull(strstr(errors.items[1].text, "wg0.conf:4: "));
	ck_assert_ptr_nonnull(strstr(errors.items[2].text, "wg0.conf:7: "));
	ck_assert_ptr_nonnull(strstr(errors.items[3].text, "wg0.conf:8: "));
}
END_TEST

START_TEST(value_too_long_for_a_line_is_refused)
{
	char text[1024] = BASIC "Endpoint = ";

	memset(text + strlen(text), 'a', 190);
	strcat(text, ":1\n");
	ck_assert_int_eq(import_text("wg0.conf", text), -EINVAL);
	assert_says(&errors, 6, "Endpoint: too long");
}
END_TEST

/* Standard error goes away meanwhile. */
static int run_import(const char *input, bool is_forced)
{
	struct cli cli = {.command = COMMAND_IMPORT,
			  .operand = input,
			  .output = path,
			  .is_forced = is_forced};
	int saved = dup(STDERR_FILENO);
	int null = open("/dev/null", O_WRONLY);
	int status;

	dup2(null, STDERR_FILENO);
	status = command_run(&cli);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
	return status;
}

START_TEST(command_writes_a_closed_file_once)
{
	char input[128];
	struct stat st;
	FILE *f;

	snprintf(input, sizeof(input), "%s/wg1.conf", directory);
	f = fopen(input, "w");
	fputs(BASIC, f);
	fclose(f);
	ck_assert_int_eq(run_import(input, false), EXIT_SUCCESS);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(config_read(&config, path, &errors), 0);
	ck_assert_str_eq(config.networks[0].interface, "wg1");
	ck_assert_int_eq(run_import(input, false), EXIT_FAILURE);
	ck_assert_int_eq(run_import(input, true), EXIT_SUCCESS);
	unlink(input);
	ck_assert_int_eq(run_import(input, true), EXIT_FAILURE);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

#define LEN(array) (int)(sizeof(array) / sizeof(*(array)))

static Suite *make_suite(void)
{
	Suite *s = suite_create("import");
	TCase *c = tcase_create("import");

	tcase_add_checked_fixture(c, set_up, end);
	tcase_add_test(c, whole_file_is_taken_over);
	tcase_add_test(c, case_blanks_line_ends_and_order_do_not_matter);
	tcase_add_test(c, peers_stay_apart);
	tcase_add_test(c, long_list_becomes_short_lines);
	tcase_add_test(c, comments_stay_with_what_they_stand_at);
	tcase_add_loop_test(c, what_has_no_counterpart_is_a_comment_and_a_note, 0, LEN(left));
	tcase_add_test(c, routes_are_made_as_by_wg_quick);
	tcase_add_loop_test(c, link_of_a_default_route_has_a_mark, 0, LEN(marks));
	tcase_add_test(c, name_that_no_interface_can_have_is_told);
	tcase_add_loop_test(c, wrong_file_is_refused_with_its_line, 0, LEN(bad));
	tcase_add_test(c, all_that_is_wrong_is_told_at_once);
	tcase_add_test(c, value_too_long_for_a_line_is_refused);
	tcase_add_test(c, command_writes_a_closed_file_once);
	suite_add_tcase(s, c);
	return s;
}
