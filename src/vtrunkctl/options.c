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

static const char help[] =
	"usage: vtrunkctl [OPTION]... status\n"
	"\n"
	"Shows what a running vtrunkd does: its networks, links, peers and paths.\n"
	"\n"
	"  -s, --socket PATH       the daemon's control socket\n"
	"                          (" SOCKET_DEFAULT ")\n"
	"  -n, --network NAME      only this network\n"
	"  -j, --json              print the answer as one line of JSON\n"
	"  -w, --watch             show it again and again, until interrupted\n"
	"  -i, --interval SECONDS  how often, 1 unless given\n"
	"  -V, --version           print the version\n"
	"  -h, --help              print this\n"
	"\n"
	"Exit status: 0, 1 if the daemon does not answer or refuses, 2 for wrong usage.\n"
	"The protocol of the socket is described in docs/control.md.\n";

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
		fputs(help, stdout);
		return OPTIONS_DONE;
	default:
		return wrong();
	}
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
	if (optind == argc) {
		fputs("vtrunkctl: no command given\n", stderr);
		return wrong();
	}
	if (strcmp(argv[optind], "status")) {
		fprintf(stderr, "vtrunkctl: unknown command \"%s\"\n", argv[optind]);
		return wrong();
	}
	if (optind + 1 < argc) {
		fprintf(stderr, "vtrunkctl: \"%s\" is too much\n", argv[optind + 1]);
		return wrong();
	}
	*ret = o;
	return OPTIONS_RUN;
}
