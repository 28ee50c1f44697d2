/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* vtrunkctl's command line. */
#pragma once

#include <stdbool.h>

#include "util/clock.h"

struct options {
	const char *socket_path;
	const char *network; /* NULL: all */
	bool is_json;
	bool is_watch;
	nsec_t interval;
};

enum options_outcome {
	OPTIONS_RUN,
	OPTIONS_DONE,  /* --help or --version has been printed */
	OPTIONS_WRONG, /* and standard error says what */
};

enum options_outcome options_parse(struct options *ret, int argc, char **argv);
