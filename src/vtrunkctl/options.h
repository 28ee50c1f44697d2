/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* vtrunkctl's command line. */
#pragma once

#include <stdbool.h>

#include "util/clock.h"
#include "vtrunkctl/commands.h"

struct options {
	const char *socket_path;
	const char *network; /* NULL: all, or the default one */
	bool is_json;
	bool is_watch;
	nsec_t interval;
	const struct command *command;
	char **operands; /* what is left behind the command's words */
	unsigned n_operands;
};

enum options_outcome {
	OPTIONS_RUN,
	OPTIONS_DONE,  /* --help or --version has been printed */
	OPTIONS_WRONG, /* and standard error says what */
};

enum options_outcome options_parse(struct options *ret, int argc, char **argv);
