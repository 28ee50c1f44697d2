/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_DEFAULT_MB 64

static const char usage[] =
	"usage: wan [OPTION]... FIRST SECOND [SETTING]...\n"
	"Joins two interfaces like a link of the given properties, until SIGTERM or until one of\n"
	"them vanishes; then prints counters as JSON.\n"
	"  -a, --at 'TIME SETTING...'  changes settings at that time; again for more\n"
	"  -s, --schedule FILE         such lines from a file; 'repeat TIME' begins again\n"
	"  -c, --control PATH          Unix datagram socket that takes SETTING..., 'stats', "
	"'restart'\n"
	"  -m, --memory MB             for packets, each way (64)\n"
	"      --seed NUMBER           of all chance (1)\n"
	"  -h, --help\n"
	"SETTING, for both ways, or after 'up.' (FIRST to SECOND) or 'down.' for one:\n"
	"  rate=100mbit queue=100ms delay=10ms jitter=5ms jitter_reorders=no reorder=1%\n"
	"  reorder_by=5ms loss=1% burst_enter=0.1% burst_leave=25% burst_loss=100% duplicate=1%\n"
	"  corrupt=1% mtu=1400 mtu_icmp=yes blackout=no\n";

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("wan: ", stderr);
	vfprintf(stderr, format, arguments);
	fputs("; see --help\n", stderr);
	va_end(arguments);
	exit(2);
}

static void add_file(struct schedule *s, const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned line;
	int r;

	if (!file)
		die("%s: %s", path, strerror(errno));
	r = schedule_read(s, file, &line);
	fclose(file);
	if (r < 0)
		die("%s:%u: no line of a schedule", path, line);
}

static uint64_t parse_number(const char *text, const char *what, uint64_t least, uint64_t most)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || number < least || number > most)
		die("%s '%s' is out of range", what, text);
	return number;
}

static void parse_option(struct options *o, int option)
{
	switch (option) {
	case 'a':
		if (schedule_add(&o->schedule, optarg) < 0)
			die("no line of a schedule: '%s'", optarg);
		break;
	case 's':
		add_file(&o->schedule, optarg);
		break;
	case 'c':
		o->control = optarg;
		break;
	case 'm':
		o->memory_bytes = parse_number(optarg, "memory", 1, 4096) << 20;
		break;
	case 'r':
		o->seed = parse_number(optarg, "seed", 0, UINT64_MAX);
		break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		die("wrong option");
	}
}

void options_parse(struct options *ret, int argc, char **argv)
{
	static const struct option names[] = {
		{"at", required_argument, NULL, 'a'},
		{"schedule", required_argument, NULL, 's'},
		{"control", required_argument, NULL, 'c'},
		{"memory", required_argument, NULL, 'm'},
		{"seed", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{},
	};
	char wrong[SETTINGS_WORD_MAX];
	int option;

	*ret = (struct options){
		.settings = {SETTINGS_DEFAULT, SETTINGS_DEFAULT},
		.seed = 1,
		.memory_bytes = (size_t)MEMORY_DEFAULT_MB << 20,
	};
	while ((option = getopt_long(argc, argv, "a:s:c:m:h", names, NULL)) != -1)
		parse_option(ret, option);
	if (argc - optind < 2)
		die("two interfaces are needed");
	ret->interfaces[0] = argv[optind++];
	ret->interfaces[1] = argv[optind++];
	for (; optind < argc; optind++)
		if (settings_assign(ret->settings, argv[optind], wrong) < 0)
			die("no such setting: '%s'", wrong);
}

void options_deinit(struct options *o)
{
	schedule_deinit(&o->schedule);
}
