/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/paths.h"

#define ENDPOINT_DEFAULT "vpn.example.com"
#define LINKS_DEFAULT 2

/* Options without a short form; above every character. */
enum {
	OPTION_ENDPOINT = 256,
	OPTION_PORT,
	OPTION_LINKS,
	OPTION_LOCK_FILE,
	OPTION_SHOW,
	OPTION_STATUS_FD,
	OPTION_STATUS_FORMAT,
};

struct command_line {
	const char *name; /* NULL: the daemon, which has none */
	enum command command;
	const int *options;  /* those it takes; ends with 0 */
	const char *operand; /* the one argument it needs; NULL: none */
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"debug", no_argument, NULL, 'd'},
	{"endpoint", required_argument, NULL, OPTION_ENDPOINT},
	{"force", no_argument, NULL, 'F'},
	{"foreground", no_argument, NULL, 'f'},
	{"help", no_argument, NULL, 'h'},
	{"links", required_argument, NULL, OPTION_LINKS},
	{"lock-file", required_argument, NULL, OPTION_LOCK_FILE},
	{"output", required_argument, NULL, 'o'},
	{"port", required_argument, NULL, OPTION_PORT},
	{"show", no_argument, NULL, OPTION_SHOW},
	{"status-fd", required_argument, NULL, OPTION_STATUS_FD},
	{"status-format", required_argument, NULL, OPTION_STATUS_FORMAT},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static const struct command_line command_lines[] = {
	{"config", COMMAND_CONFIG, (const int[]){'o', 'F', 'h', 0}, NULL},
	{"check", COMMAND_CHECK, (const int[]){'c', 'h', OPTION_SHOW, 0}, NULL},
	{"genkey", COMMAND_GENKEY, (const int[]){'h', 0}, NULL},
	{"pubkey", COMMAND_PUBKEY, (const int[]){'h', 0}, NULL},
	{"genpsk", COMMAND_GENPSK, (const int[]){'h', 0}, NULL},
	{"genpair", COMMAND_GENPAIR,
	 (const int[]){OPTION_ENDPOINT, OPTION_PORT, OPTION_LINKS, 'F', 'h', 0}, "DIR"},
	{"import", COMMAND_IMPORT, (const int[]){'o', 'F', 'h', 0}, "FILE"},
	/* The last: whatever names no command. */
	{NULL, COMMAND_DAEMON,
	 (const int[]){'c', 'd', 'f', 'h', 'V', OPTION_LOCK_FILE, OPTION_STATUS_FD,
		       OPTION_STATUS_FORMAT, 0},
	 NULL},
};

static const char help[] =
	"Usage: vtrunkd [-c FILE] [-f] [-d]\n"
	"       vtrunkd [-f] [-d] INTERFACE      for wg-quick(8); set up by wg(8)\n"
	"       vtrunkd COMMAND [OPTION...]\n"
	"One WireGuard tunnel over several links.\n"
	"\n"
	"  -c, --config FILE    configuration (" DEFAULT_CONFIG ")\n"
	"  -f, --foreground     stay in the foreground\n"
	"  -d, --debug          log at level debug\n"
	"      --lock-file FILE keep FILE locked, so that there is one daemon\n"
	"      --status-fd N    write life cycle events to descriptor N\n"
	"      --status-format json|text\n"
	"                       format of these events (json)\n"
	"      --version        print the version\n"
	"  -h, --help           print this\n"
	"\n"
	"Commands:\n"
	"  config -o FILE [--force]   write a commented configuration to start from\n"
	"  check [-c FILE] [--show]   check a configuration without starting; show it\n"
	"                             with all defaults, and without its keys\n"
	"  genkey                     print a new private key\n"
	"  pubkey                     print the public key of the private key on stdin\n"
	"  genpsk                     print a new preshared key\n"
	"  genpair DIR [--endpoint HOST] [--port N] [--links N] [--force]\n"
	"                             write client.conf and server.conf with new keys\n"
	"  import WG-QUICK-FILE [-o FILE] [--force]\n"
	"                             convert a file of wg-quick(8)\n"
	"\n"
	"See vtrunkd(8), vtrunkd.conf(5).\n";

const char *cli_help(void)
{
	return help;
}

__attribute__((format(printf, 1, 2))) static int refuse(const char *format, ...)
{
	va_list args;

	fputs("vtrunkd: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs(" (see vtrunkd --help)\n", stderr);
	return -EINVAL;
}

static const struct command_line *find_command(const char *name)
{
	const struct command_line *l = command_lines;

	while (l->name && (!name || strcmp(l->name, name) != 0))
		l++;
	return l;
}

static bool takes_option(const struct command_line *line, int option)
{
	for (const int *o = line->options; *o; o++)
		if (*o == option)
			return true;
	return false;
}

static int refuse_option(const struct command_line *line, int option)
{
	for (const struct option *o = long_options; o->name; o++)
		if (o->val == option)
			return refuse("--%s is not an option of %s", o->name,
				      line->name ? line->name : "the daemon");
	return -EINVAL;
}

/* False after saying why. */
static bool parse_number(const char *name, const char *text, long max, long *ret)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n < 1 || n > max) {
		refuse("--%s: found '%s', allowed: 1..%ld", name, text, max);
		return false;
	}
	*ret = n;
	return true;
}

static int parse_port(struct cli *cli, const char *text)
{
	long n;

	if (!parse_number("port", text, UINT16_MAX, &n))
		return -EINVAL;
	cli->pair.port = (uint16_t)n;
	return 0;
}

static int parse_links(struct cli *cli, const char *text)
{
	long n;

	if (!parse_number("links", text, PAIR_LINKS_MAX, &n))
		return -EINVAL;
	cli->pair.n_links = (unsigned)n;
	return 0;
}

static int parse_status_fd(struct cli *cli, const char *text)
{
	long n;

	if (!parse_number("status-fd", text, INT_MAX, &n))
		return -EINVAL;
	if (fcntl((int)n, F_GETFD) < 0)
		return refuse("--status-fd: descriptor %ld is not open", n);
	cli->status_fd = (int)n;
	return 0;
}

static int parse_status_format(struct cli *cli, const char *text)
{
	if (strcmp(text, "json") != 0 && strcmp(text, "text") != 0)
		return refuse("--status-format: found '%s', allowed: json or text", text);
	cli->status_format = *text == 'j' ? LIFECYCLE_JSON : LIFECYCLE_TEXT;
	return 0;
}

static int take_option(struct cli *cli, int option, const char *value)
{
	switch (option) {
	case 'c':
		cli->config = value;
		return 0;
	case 'd':
		cli->is_debug = true;
		return 0;
	case 'f':
		cli->is_foreground = true;
		return 0;
	case 'F':
		cli->is_forced = true;
		return 0;
	case 'h':
		cli->command = COMMAND_HELP;
		return 0;
	case 'V':
		cli->command = COMMAND_VERSION;
		return 0;
	case 'o':
		cli->output = value;
		return 0;
	case OPTION_ENDPOINT:
		cli->pair.endpoint = value;
		return 0;
	case OPTION_PORT:
		return parse_port(cli, value);
	case OPTION_LINKS:
		return parse_links(cli, value);
	case OPTION_LOCK_FILE:
		cli->lock_file = value;
		return 0;
	case OPTION_SHOW:
		cli->is_shown = true;
		return 0;
	case OPTION_STATUS_FD:
		return parse_status_fd(cli, value);
	case OPTION_STATUS_FORMAT:
		return parse_status_format(cli, value);
	default:
		return -EINVAL;
	}
}

static int take_options(struct cli *cli, const struct command_line *line, int argc, char **argv)
{
	int option;

	optind = 0; /* glibc: begin anew */
	while ((option = getopt_long(argc, argv, "c:dfho:", long_options, NULL)) != -1) {
		if (option == '?')
			return -EINVAL; /* getopt has said why */
		if (!takes_option(line, option))
			return refuse_option(line, option);
		if (take_option(cli, option, optarg) < 0)
			return -EINVAL;
	}
	return 0;
}

/* What is left behind the options, and what must not be missing. */
static int take_operands(struct cli *cli, const struct command_line *line, int argc, char **argv)
{
	int n_wanted = line->operand ? 1 : 0;

	if (cli->command == COMMAND_HELP || cli->command == COMMAND_VERSION)
		return 0;
	if (cli->command == COMMAND_DAEMON && argc - optind == 1) {
		if (strcmp(cli->config, DEFAULT_CONFIG) != 0)
			return refuse("'%s' is an interface without a file: no --config",
				      argv[optind]);
		cli->interface = argv[optind];
		return 0;
	}
	if (argc - optind > n_wanted)
		return refuse("unexpected argument '%s'", argv[optind + n_wanted]);
	if (argc - optind < n_wanted)
		return refuse("%s needs %s", line->name, line->operand);
	if (cli->command == COMMAND_CONFIG && !cli->output)
		return refuse("config needs --output FILE");
	if (line->operand)
		cli->operand = argv[optind];
	return 0;
}

int cli_parse(int argc, char **argv, struct cli *ret)
{
	const struct command_line *line = find_command(argc > 1 ? argv[1] : NULL);
	struct cli cli = {
		.command = line->command,
		.config = DEFAULT_CONFIG,
		.status_fd = -1,
		.pair = {.endpoint = ENDPOINT_DEFAULT,
			 .port = PORT_DEFAULT,
			 .n_links = LINKS_DEFAULT},
	};

	/* The command takes the place of the program's name. */
	if (line->name) {
		argc--;
		argv++;
	}
	if (take_options(&cli, line, argc, argv) < 0 || take_operands(&cli, line, argc, argv) < 0)
		return -EINVAL;
	*ret = cli;
	return 0;
}
