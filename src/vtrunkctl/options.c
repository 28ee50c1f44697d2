/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOCKET_DEFAULT RUN_DIR "/vtrunkd.sock"
#define INTERVAL_MIN_S 0.1
#define INTERVAL_MAX_S 86400.0
/* Where the help's explanations begin. */
#define HELP_COLUMN 32

static const char usage[] = "usage: vtrunkctl [OPTION]... COMMAND\n"
			    "\n"
			    "Shows the state of a running vtrunkd, and controls it.\n"
			    "\n";

static const char options_help[] =
	"\n"
	"  -s, --socket PATH       the daemon's control socket\n"
	"                          (" SOCKET_DEFAULT ")\n"
	"  -n, --network NAME      only this network\n"
	"  -j, --json              print the answer as one line of JSON\n"
	"  -w, --watch             repeat the status until interrupted\n"
	"  -i, --interval SECONDS  how often (1)\n"
	"  -V, --version           print the version\n"
	"  -h, --help              print this\n"
	"\n"
	"Exit status: 0, 1 if the daemon does not answer or refuses, 2 for wrong usage;\n"
	"see vtrunkctl(8) for that of health. docs/control.md describes the socket.\n";

static const struct option long_options[] = {
	{"socket", required_argument, NULL, 's'},   {"network", required_argument, NULL, 'n'},
	{"json", no_argument, NULL, 'j'},	    {"watch", no_argument, NULL, 'w'},
	{"interval", required_argument, NULL, 'i'}, {"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},	    {NULL, 0, NULL, 0},
};

static bool parse_interval(nsec_t *ret, const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	/* Written so that "nan" is refused too. */
	if (end == text || *end || !(seconds >= INTERVAL_MIN_S && seconds <= INTERVAL_MAX_S)) {
		fprintf(stderr, "vtrunkctl: interval \"%s\": seconds from 0.1 to 86400\n", text);
		return false;
	}
	*ret = (nsec_t)(seconds * (double)NSEC_PER_SEC);
	return true;
}

static enum options_outcome wrong(void)
{
	fputs("Try vtrunkctl --help.\n", stderr);
	return OPTIONS_WRONG;
}

/* "link add NAME [KEY=VALUE]...", and what it does on a line of its own where that is long. */
static void print_help(void)
{
	fputs(usage, stdout);
	for (const struct command *c = commands; c->words; c++) {
		int width;

		if (c->is_hidden)
			continue;
		width = printf("  %s%s%s", c->words, *c->operands ? " " : "", c->operands);

		if (width > HELP_COLUMN - 2)
			width = printf("\n") - 1;
		printf("%*s%s\n", HELP_COLUMN - width, "", c->help);
	}
	fputs(options_help, stdout);
}

static enum options_outcome take_option(struct options *o, int option)
{
	switch (option) {
	case 's':
		o->socket_path = optarg;
		return OPTIONS_RUN;
	case 'n':
		o->network = optarg;
		return OPTIONS_RUN;
	case 'j':
		o->is_json = true;
		return OPTIONS_RUN;
	case 'w':
		o->is_watch = true;
		return OPTIONS_RUN;
	case 'i':
		return parse_interval(&o->interval, optarg) ? OPTIONS_RUN : wrong();
	case 'V':
		puts("vtrunkctl " VERSION);
		return OPTIONS_DONE;
	case 'h':
		print_help();
		return OPTIONS_DONE;
	default:
		return wrong();
	}
}

static enum options_outcome take_command(struct options *o, char **words, unsigned n)
{
	unsigned taken;

	if (!n) {
		fputs("vtrunkctl: no command given\n", stderr);
		return wrong();
	}
	o->command = command_find(words, n, &taken);
	if (!o->command) {
		fprintf(stderr, "vtrunkctl: unknown command \"%s%s%s\"\n", words[0],
			n > 1 ? " " : "", n > 1 ? words[1] : "");
		return wrong();
	}
	o->operands = words + taken;
	o->n_operands = n - taken;
	if (o->n_operands >= o->command->min && o->n_operands <= o->command->max)
		return OPTIONS_RUN;
	if (o->n_operands > o->command->max)
		fprintf(stderr, "vtrunkctl: \"%s\" is too much\n", o->operands[o->command->max]);
	else
		fprintf(stderr, "vtrunkctl: %s needs %s\n", o->command->words,
			o->command->operands);
	return wrong();
}

enum options_outcome options_parse(struct options *ret, int argc, char **argv)
{
	struct options o = {.socket_path = SOCKET_DEFAULT, .interval = NSEC_PER_SEC};
	enum options_outcome outcome;
	int option;

	while ((option = getopt_long(argc, argv, "s:n:jwi:Vh", long_options, NULL)) != -1) {
		outcome = take_option(&o, option);
		if (outcome != OPTIONS_RUN)
			return outcome;
	}
	outcome = take_command(&o, argv + optind, (unsigned)(argc - optind));
	if (outcome == OPTIONS_RUN)
		*ret = o;
	return outcome;
}
