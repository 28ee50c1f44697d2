/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The command line, and the files that commands write: whether the daemon would take them. */
#include <ctype.h>
#include <fcntl.h>

#include "config_shown.h"
#include "core/cli.h"
#include "core/commands.h"
#include "core/config_grammar.h"
#include "core/config_secret.h"
#include "core/config_starter.h"
#include "core/paths.h"

#define ARGS_MAX 16

static const struct pair_options pair_defaults = {
	.endpoint = "vpn.example.com", .port = 51820, .n_links = 2};

/* The path of a file in the test's directory. */
static const char *in_directory(const char *name)
{
	static char buf[128];

	snprintf(buf, sizeof(buf), "%s/%s", directory, name);
	return buf;
}

static void read_file(const char *name, char *ret)
{
	FILE *f = fopen(name, "r");

	ck_assert_ptr_nonnull(f);
	ret[fread(ret, 1, TEXT_MAX - 1, f)] = '\0';
	fclose(f);
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(stat(name, &st), 0);
	return st.st_mode & 07777;
}

static void touch(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT, 0644);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void clear_directory(void)
{
	unlink(in_directory("client.conf"));
	unlink(in_directory("server.conf"));
	unlink(in_directory("pair/client.conf"));
	unlink(in_directory("pair/server.conf"));
	rmdir(in_directory("pair"));
	unlink(in_directory("key"));
	tear_down();
}

/* Replaces each placeholder by a key of the line's kind; no two peers have the same. */
/* It is good then, and the same when it is shown. */
static void fill_in_keys(char *text)
{
	char filled[TEXT_MAX] = "";
	char public_key[] = BOB_PUBLIC;
	char *line;

	public_key[0] = 'A';
	while ((line = strsep(&text, "\n"))) {
		char *placeholder = strstr(line, KEY_PLACEHOLDER);
		bool is_public = strstr(line, "public_key") != NULL;
		bool is_shared = strstr(line, "preshared_key") != NULL;

		if (placeholder) {
			strncat(filled, line, (size_t)(placeholder - line));
			strcat(filled, is_public ? public_key : is_shared ? PRESHARED : ALICE);
			public_key[0] += is_public;
		} else {
			strcat(filled, line);
		}
		strcat(filled, "\n");
	}
	assert_good(filled);
	assert_same_when_shown(filled);
}

START_TEST(starter_is_good_once_keys_are_in)
{
	char text[TEXT_MAX];

	ck_assert_int_eq(starter_write(path, false), 0);
	ck_assert_int_eq(mode_of(path), 0600);
	read_file(path, text);
	fill_in_keys(text);
	ck_assert_str_eq(config.networks[0].links[0].name, "link-0");
	ck_assert_str_eq(config.networks[0].links[0].endpoint.host, "example.com");
	ck_assert_uint_eq(config.networks[0].links[0].endpoint.port, 51820);
	ck_assert(addr_is_set(&config.networks[0].links[0].bind));
}
END_TEST

START_TEST(starter_is_refused_for_nothing_but_its_keys)
{
	ck_assert_int_eq(starter_write(path, false), 0);
	ck_assert_int_eq(config_read(&config, path, &errors), -EINVAL);
	ck_assert_uint_eq(errors.n_items, 2);
	for (size_t i = 0; i < 2; i++)
		ck_assert_ptr_nonnull(strstr(errors.items[i].text, "placeholder REPLACE_ME"));
}
END_TEST

START_TEST(starter_does_not_overwrite_unless_forced)
{
	char text[TEXT_MAX];

	touch(path);
	ck_assert_int_eq(starter_write(path, false), -EEXIST);
	read_file(path, text);
	ck_assert_str_eq(text, "");
	ck_assert_int_eq(starter_write(path, true), 0);
	ck_assert_int_eq(mode_of(path), 0600);
	read_file(path, text);
	ck_assert_ptr_nonnull(strstr(text, "[network]"));
}
END_TEST

/* A link planted in a directory open to others must not redirect what is written. */
START_TEST(forced_starter_replaces_a_symbolic_link)
{
	char target[128];
	char text[TEXT_MAX];

	strcpy(target, in_directory("key"));
	touch(target);
	ck_assert_int_eq(symlink(target, path), 0);
	ck_assert_int_eq(starter_write(path, true), 0);
	read_file(target, text);
	ck_assert_str_eq(text, "");
}
END_TEST

static const char *const examples[] = {"concentrator", "failover-lte", "home-router",
				       "stock-peers"};
#define N_EXAMPLES ((int)(sizeof(examples) / sizeof(*examples)))

START_TEST(example_is_good_once_keys_are_in)
{
	char name[512];
	char text[TEXT_MAX];

	snprintf(name, sizeof(name), "%s/%s.conf", getenv("EXAMPLES"), examples[_i]);
	read_file(name, text);
	ck_assert_ptr_nonnull(strstr(text, KEY_PLACEHOLDER));
	fill_in_keys(text);
}
END_TEST

static void read_manual(const char *name, char *ret)
{
	char full_name[512];

	snprintf(full_name, sizeof(full_name), "%s/%s", getenv("MANUALS"), name);
	read_file(full_name, ret);
}

/* The text between two headings of the manual. */
static void read_manual_section(const char *kind, char *ret)
{
	static char manual[TEXT_MAX];
	char heading[64];
	char *start;
	char *end;

	read_manual("vtrunkd.conf.5", manual);
	snprintf(heading, sizeof(heading), ".Sh KEYS OF [%s", kind);
	start = strcasestr(manual, heading);
	ck_assert_msg(start, "the manual has no %s", heading);
	end = strstr(start + 1, ".Sh ");
	*end = '\0';
	strcpy(ret, start);
}

START_TEST(manual_has_every_key)
{
	char section[TEXT_MAX];
	char item[64];

	for (const struct section_kind *kind = section_kinds; kind->kind; kind++) {
		read_manual_section(kind->kind, section);
		for (const struct config_key *key = kind->keys; key->name; key++) {
			snprintf(item, sizeof(item), "Ic %s\n", key->name);
			ck_assert_msg(strstr(section, item), "[%s] %s", kind->kind, key->name);
			ck_assert_msg(!key->alias || strstr(section, key->alias) ||
					      !strcmp(kind->kind, "wireguard"),
				      "[%s] %s", kind->kind, key->alias);
		}
	}
}
END_TEST

static bool has_key(const struct section_kind *kind, const char *name)
{
	const struct config_key *key = kind->keys;

	while (key->name && strcmp(key->name, name) != 0)
		key++;
	return key->name;
}

/* The items of a list; what only mentions a key goes on in the same line. */
START_TEST(manual_has_no_key_that_there_is_not)
{
	char section[TEXT_MAX];
	char name[64];
	unsigned n = 0;

	for (const struct section_kind *kind = section_kinds; kind->kind; kind++) {
		read_manual_section(kind->kind, section);
		for (const char *at = section; (at = strstr(at, "\n.It Ic ")); n++) {
			at += strlen("\n.It Ic ");
			ck_assert_int_eq(sscanf(at, "%63s", name), 1);
			ck_assert_msg(has_key(kind, name), "[%s] %s", kind->kind, name);
		}
	}
	ck_assert_uint_gt(n, 80);
}
END_TEST

static struct config read_good(const char *name)
{
	struct config_errors none = {0};
	struct config c;

	ck_assert_int_eq(mode_of(name), 0600);
	ck_assert_int_eq(config_read(&c, name, &none), 0);
	ck_assert(!config_errors_any(&none));
	return c;
}

static void assert_keys_match(const struct network_settings *a, const struct network_settings *b)
{
	uint8_t public_key[KEY_LEN];

	keys_public(public_key, a->private_key);
	ck_assert_mem_eq(public_key, b->peers[0].public_key, KEY_LEN);
	ck_assert_mem_eq(a->peers[0].preshared_key, b->peers[0].preshared_key, KEY_LEN);
	ck_assert(!keys_is_zero(a->peers[0].preshared_key));
}

START_TEST(pair_matches)
{
	struct config client;
	struct config server;

	ck_assert_int_eq(pair_write(in_directory("pair"), &pair_defaults, false), 0);
	ck_assert_int_eq(mode_of(in_directory("pair")), 0700);
	client = read_good(in_directory("pair/client.conf"));
	server = read_good(in_directory("pair/server.conf"));
	assert_keys_match(client.networks, server.networks);
	assert_keys_match(server.networks, client.networks);
	ck_assert_uint_eq(client.networks->n_links, 2);
	ck_assert_str_eq(client.networks->links[1].endpoint.host, "vpn.example.com");
	ck_assert_uint_eq(server.networks->n_links, 1);
	for (size_t i = 0; i < 2; i++)
		ck_assert_uint_eq(client.networks->links[i].endpoint.port,
				  addr_port(&server.networks->links[0].bind));
	/* Each may send from the address that the other lets in. */
	ck_assert_mem_eq(server.networks->peers[0].allowed_ips[0].bytes,
			 client.networks->addresses[0].prefix.bytes, 4);
	config_deinit(&client);
	config_deinit(&server);
}
END_TEST

START_TEST(pair_does_not_overwrite_half_of_one)
{
	touch(in_directory("server.conf"));
	ck_assert_int_eq(pair_write(directory, &pair_defaults, false), -EEXIST);
	ck_assert_int_eq(access(in_directory("client.conf"), F_OK), -1);
	ck_assert_int_eq(pair_write(directory, &pair_defaults, true), 0);
	ck_assert_int_eq(mode_of(in_directory("server.conf")), 0600);
}
END_TEST

START_TEST(pair_takes_an_ipv6_endpoint)
{
	static const char *const hosts[] = {"2001:db8::1", "[2001:db8::1]"};
	struct pair_options options = {
		.endpoint = hosts[_i], .port = 65535, .n_links = PAIR_LINKS_MAX};
	struct config client;
	struct config server;

	ck_assert_int_eq(pair_write(directory, &options, false), 0);
	client = read_good(in_directory("client.conf"));
	server = read_good(in_directory("server.conf"));
	ck_assert_uint_eq(client.networks->n_links, PAIR_LINKS_MAX);
	ck_assert_str_eq(client.networks->links[PAIR_LINKS_MAX - 1].endpoint.host, "2001:db8::1");
	ck_assert_int_eq(server.networks->links[0].bind.sa.sa_family, AF_INET6);
	config_deinit(&client);
	config_deinit(&server);
}
END_TEST

START_TEST(pair_refuses_a_bad_endpoint)
{
	static const char *const hosts[] = {"",		 "a b",	      "a\n[x]", "example.com:51820",
					    "1.2.3.4:5", "300.1.1.1", "[::1",	"a;b"};
	struct pair_options options = {.endpoint = hosts[_i], .port = 1, .n_links = 1};

	ck_assert_int_eq(pair_write(directory, &options, false), -EINVAL);
	ck_assert_int_eq(access(in_directory("client.conf"), F_OK), -1);
}
END_TEST

/* Standard error goes to /dev/null meanwhile: its wording is for people. */
static int parse_line(const char *line, struct cli *ret)
{
	static char copy[512];
	char *argv[ARGS_MAX + 1] = {NULL};
	char *rest = copy;
	int argc = 0;
	int saved = dup(STDERR_FILENO);
	int null = open("/dev/null", O_WRONLY);
	int r;

	strcpy(copy, line);
	while (argc < ARGS_MAX && (argv[argc] = strsep(&rest, " ")))
		argc++;
	dup2(null, STDERR_FILENO);
	r = cli_parse(argc, argv, ret);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
	return r;
}

START_TEST(daemon_options_are_understood)
{
	struct cli cli;

	ck_assert_int_eq(parse_line("vtrunkd", &cli), 0);
	ck_assert_int_eq(cli.command, COMMAND_DAEMON);
	ck_assert_str_eq(cli.config, DEFAULT_CONFIG);
	ck_assert(!cli.is_foreground && !cli.is_debug);
	ck_assert_int_eq(parse_line("vtrunkd -c /x -f -d", &cli), 0);
	ck_assert_str_eq(cli.config, "/x");
	ck_assert(cli.is_foreground && cli.is_debug);
	ck_assert_int_eq(parse_line("vtrunkd --config=/y --foreground --debug", &cli), 0);
	ck_assert_str_eq(cli.config, "/y");
	ck_assert(cli.is_foreground && cli.is_debug);
	ck_assert_int_eq(parse_line("vtrunkd --version", &cli), 0);
	ck_assert_int_eq(cli.command, COMMAND_VERSION);
	ck_assert_int_eq(parse_line("vtrunkd -h", &cli), 0);
	ck_assert_int_eq(cli.command, COMMAND_HELP);
}
END_TEST

START_TEST(commands_are_understood)
{
	struct cli cli;

	ck_assert_int_eq(parse_line("vtrunkd config -o /x --force", &cli), 0);
	ck_assert_int_eq(cli.command, COMMAND_CONFIG);
	ck_assert_str_eq(cli.output, "/x");
	ck_assert(cli.is_forced);
	ck_assert_int_eq(parse_line("vtrunkd check -c /x", &cli), 0);
	ck_assert_int_eq(cli.command, COMMAND_CHECK);
	ck_assert_str_eq(cli.config, "/x");
	ck_assert(!cli.is_shown);
	ck_assert_int_eq(parse_line("vtrunkd check --show -c /x", &cli), 0);
	ck_assert(cli.is_shown);
	ck_assert_int_eq(parse_line("vtrunkd genkey", &cli), 0);
	ck_assert_int_eq(cli.command, COMMAND_GENKEY);
	ck_assert_int_eq(parse_line("vtrunkd genpair /d", &cli), 0);
	ck_assert_uint_eq(cli.pair.n_links, 2);
	ck_assert_uint_eq(cli.pair.port, 51820);
	ck_assert(!cli.is_forced);
	ck_assert_int_eq(parse_line("vtrunkd genpair --endpoint h --port 7 /d --links 3", &cli), 0);
	ck_assert_str_eq(cli.operand, "/d");
	ck_assert_str_eq(cli.pair.endpoint, "h");
	ck_assert_uint_eq(cli.pair.port, 7);
	ck_assert_uint_eq(cli.pair.n_links, 3);
	ck_assert_int_eq(parse_line("vtrunkd import /w.conf -o /x", &cli), 0);
	ck_assert_int_eq(cli.command, COMMAND_IMPORT);
	ck_assert_str_eq(cli.operand, "/w.conf");
	ck_assert_str_eq(cli.output, "/x");
	ck_assert_int_eq(parse_line("vtrunkd genpair --help", &cli), 0);
	ck_assert_int_eq(cli.command, COMMAND_HELP);
}
END_TEST

static const char *const bad_lines[] = {
	"vtrunkd --show",
	"vtrunkd wg0 wg1",
	"vtrunkd x -c /x",
	"vtrunkd -c",
	"vtrunkd -x",
	"vtrunkd --nonsense",
	"vtrunkd --force",
	"vtrunkd -o /x",
	"vtrunkd -c /x extra",
	"vtrunkd config",
	"vtrunkd config /x",
	"vtrunkd config -o /x -f",
	"vtrunkd config -o /x -c /x",
	"vtrunkd check /x",
	"vtrunkd check -d",
	"vtrunkd genkey extra",
	"vtrunkd genkey -c /x",
	"vtrunkd genpair",
	"vtrunkd genpair a b",
	"vtrunkd genpair a --port 0",
	"vtrunkd genpair a --port 65536",
	"vtrunkd genpair a --port -1",
	"vtrunkd genpair a --port 1x",
	"vtrunkd genpair a --port ",
	"vtrunkd genpair a --links 0",
	"vtrunkd genpair a --links 17",
	"vtrunkd genpair a --links 99999999999999999999",
	"vtrunkd import",
	"vtrunkd import a b",
	"vtrunkd import a -c b",
};

START_TEST(bad_command_line_is_refused)
{
	struct cli cli;

	ck_assert_msg(parse_line(bad_lines[_i], &cli) == -EINVAL, "accepted: %s", bad_lines[_i]);
}
END_TEST

/* The words that begin with a dash, each with a blank on both sides. */
static void find_options(const char *text, char *ret)
{
	size_t len;

	strcpy(ret, " ");
	for (; *text; text += len) {
		len = strspn(text, "-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
		if (*text == '-' && len > 1 && !isalnum(text[-1]))
			sprintf(ret + strlen(ret), "%.*s ", (int)len, text);
		len += !len;
	}
}

static void expect_all_in(const char *words, const char *others, const char *where)
{
	char word[64];

	for (int n; sscanf(words, " %60s%n", word + 1, &n) == 1; words += n) {
		word[0] = ' ';
		strcat(word, " ");
		ck_assert_msg(strstr(others, word), "%s has no%s", where, word);
	}
}

/* As a reader sees it: without what chooses fonts, and with dashes for what troff calls so. */
static void make_plain(char *text)
{
	char *to = text;

	for (; *text; text++)
		if (!strncmp(text, "\\f", 2))
			text += 2;
		else if (*text != '\\')
			*to++ = *text;
	*to = '\0';
}

START_TEST(manual_and_help_have_the_same_options)
{
	static char manual[TEXT_MAX], of_manual[TEXT_MAX], of_help[TEXT_MAX];

	read_manual("vtrunkd.8", manual);
	make_plain(manual);
	*strstr(manual, "\n.SH SIGNALS") = '\0';
	find_options(strstr(manual, "\n.SH OPTIONS"), of_manual);
	find_options(cli_help(), of_help);
	ck_assert_uint_gt(strlen(of_help), 100);
	expect_all_in(of_help, of_manual, "the manual");
	expect_all_in(of_manual, of_help, "the help");
}
END_TEST

/* Those of the help begin lines behind "Commands:"; those of the manual are items, ".B genkey". */
START_TEST(manual_and_help_have_the_same_commands)
{
	static char manual[TEXT_MAX];
	const char *line = strstr(cli_help(), "\nCommands:\n");
	char item[64];
	unsigned n = 0, n_items = 0;

	read_manual("vtrunkd.8", manual);
	*strstr(manual, "\n.SH SIGNALS") = '\0';
	memmove(manual, strstr(manual, "\n.SH COMMANDS"), TEXT_MAX / 2);
	for (; (line = strstr(line, "\n  ")); line += strlen("\n  ")) {
		if (sscanf(line + strlen("\n  "), "%40[a-z]", item) != 1)
			continue;
		n++;
		ck_assert_msg(strstr(manual, item), "the manual has no %s", item);
	}
	for (const char *at = manual; (at = strstr(at, "\n.TP\n.B")); at++)
		n_items += at[strcspn(at, " ")] && at[strcspn(at, " ") + 1] != '\\';
	ck_assert_uint_eq(n, n_items);
	ck_assert_uint_gt(n, 5);
}
END_TEST

START_TEST(help_fits_a_terminal)
{
	const char *line = cli_help();

	for (; *line; line += strcspn(line, "\n") + 1)
		ck_assert_uint_le(strcspn(line, "\n"), 80);
}
END_TEST

/* Runs a command with standard input from `in` and returns what it prints. */
static int run(const char *line, const char *in, char *ret_out)
{
	struct cli cli;
	FILE *input = tmpfile();
	FILE *output = tmpfile();
	int saved_in = dup(STDIN_FILENO);
	int saved_out = dup(STDOUT_FILENO);
	int status;

	ck_assert_int_eq(parse_line(line, &cli), 0);
	fputs(in, input);
	rewind(input);
	fflush(stdout);
	dup2(fileno(input), STDIN_FILENO);
	dup2(fileno(output), STDOUT_FILENO);
	status = command_run(&cli);
	dup2(saved_in, STDIN_FILENO);
	dup2(saved_out, STDOUT_FILENO);
	close(saved_in);
	close(saved_out);
	rewind(output);
	ret_out[fread(ret_out, 1, TEXT_MAX - 1, output)] = '\0';
	fclose(input);
	fclose(output);
	return status;
}

START_TEST(keys_are_made_and_derived)
{
	char first[TEXT_MAX];
	char second[TEXT_MAX];
	uint8_t key[KEY_LEN];

	ck_assert_int_eq(run("vtrunkd pubkey", ALICE "\n", first), 0);
	ck_assert_str_eq(first, ALICE_PUBLIC "\n");
	ck_assert_int_eq(run("vtrunkd genkey", "", first), 0);
	ck_assert_int_eq(run("vtrunkd genkey", "", second), 0);
	ck_assert_str_ne(first, second);
	first[strcspn(first, "\n")] = '\0';
	ck_assert_int_eq(keys_from_base64(key, first, NULL), 0);
	ck_assert_int_eq(run("vtrunkd genpsk", "", first), 0);
	first[strcspn(first, "\n")] = '\0';
	ck_assert_int_eq(keys_from_base64(key, first, NULL), 0);
}
END_TEST

START_TEST(version_tells_what_is_built_in)
{
	char out[TEXT_MAX];
	const char *end = "openssl\n";

	ck_assert_int_eq(run("vtrunkd --version", "", out), 0);
	ck_assert_ptr_eq(strstr(out, "vtrunkd " VERSION "\naead: "), out);
	ck_assert_str_eq(out + strlen(out) - strlen(end), end);
}
END_TEST

START_TEST(pubkey_refuses_what_is_no_key)
{
	static const char *const inputs[] = {"", "\n", "x\n", KEY_OF_31 "\n", ALICE ALICE "\n"};
	char out[TEXT_MAX];

	ck_assert_int_eq(run("vtrunkd pubkey", inputs[_i], out), 1);
	ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(check_tells_what_it_found)
{
	char line[256];
	char says[256];
	char out[TEXT_MAX];

	ck_assert_int_eq(pair_write(directory, &pair_defaults, false), 0);
	snprintf(line, sizeof(line), "vtrunkd check -c %s/client.conf", directory);
	snprintf(says, sizeof(says), "%s/client.conf: ok (1 network, 2 links, 1 peer)\n",
		 directory);
	ck_assert_int_eq(run(line, "", out), 0);
	ck_assert_str_eq(out, says);
	snprintf(line, sizeof(line), "vtrunkd check -c %s/nothing", directory);
	ck_assert_int_eq(run(line, "", out), 1);
	ck_assert_str_eq(out, "");
}
END_TEST

#define LEN(array) (int)(sizeof(array) / sizeof(*(array)))

static Suite *make_suite(void)
{
	Suite *s = suite_create("commands");
	TCase *c = tcase_create("commands");

	tcase_add_checked_fixture(c, set_up, clear_directory);
	tcase_add_test(c, starter_is_good_once_keys_are_in);
	tcase_add_test(c, starter_is_refused_for_nothing_but_its_keys);
	tcase_add_test(c, starter_does_not_overwrite_unless_forced);
	tcase_add_test(c, forced_starter_replaces_a_symbolic_link);
	tcase_add_loop_test(c, example_is_good_once_keys_are_in, 0, N_EXAMPLES);
	tcase_add_test(c, manual_has_every_key);
	tcase_add_test(c, manual_has_no_key_that_there_is_not);
	tcase_add_test(c, pair_matches);
	tcase_add_test(c, pair_does_not_overwrite_half_of_one);
	tcase_add_loop_test(c, pair_takes_an_ipv6_endpoint, 0, 2);
	tcase_add_loop_test(c, pair_refuses_a_bad_endpoint, 0, 8);
	tcase_add_test(c, daemon_options_are_understood);
	tcase_add_test(c, commands_are_understood);
	tcase_add_loop_test(c, bad_command_line_is_refused, 0, LEN(bad_lines));
	tcase_add_test(c, manual_and_help_have_the_same_options);
	tcase_add_test(c, manual_and_help_have_the_same_commands);
	tcase_add_test(c, help_fits_a_terminal);
	tcase_add_test(c, keys_are_made_and_derived);
	tcase_add_test(c, version_tells_what_is_built_in);
	tcase_add_loop_test(c, pubkey_refuses_what_is_no_key, 0, 5);
	tcase_add_test(c, check_tells_what_it_found);
	suite_add_tcase(s, c);
	return s;
}
