/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The command line of vtrunkd. */
#pragma once

#include <stdbool.h>

#include "core/config_starter.h"
#include "supervisor/lifecycle.h"

/* A command line that makes no sense (LSB: invalid or excess arguments). */
#define EXIT_USAGE 2

enum command {
	COMMAND_DAEMON, /* none is named: be the daemon */
	COMMAND_CONFIG,
	COMMAND_CHECK,
	COMMAND_GENKEY,
	COMMAND_PUBKEY,
	COMMAND_GENPSK,
	COMMAND_GENPAIR,
	COMMAND_IMPORT,
	COMMAND_HELP,
	COMMAND_VERSION,
};

/* Texts are borrowed from argv, or constants. */
struct cli {
	enum command command;
	const char *config;    /* of the daemon and of check */
	const char *interface; /* of the daemon: set up by wg(8), not by a file; NULL */
	bool is_shown;	       /* by check: the file with its defaults */
	bool is_foreground;
	bool is_debug;
	const char *lock_file;		     /* NULL: as configured */
	int status_fd;			     /* -1: none */
	enum lifecycle_format status_format; /* of the lines on it */
	const char *output;		     /* of config and import; NULL: standard output */
	bool is_forced;			     /* of config, genpair and import */
	const char *operand;		     /* genpair's directory, import's file */
	struct pair_options pair;	     /* of genpair */
};

/* 0, or -EINVAL after saying on standard error what is wrong. */
int cli_parse(int argc, char **argv, struct cli *ret);

/* What --help shows. */
const char *cli_help(void);
