/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What vtrunkctl can do: one table, from which come the parser, the help and the completion. */
#pragma once

#include <stdbool.h>

struct options;

#define COMMAND_WORDS_MAX 2
/* As many KEY=VALUE as the request's line has room for. */
#define OPERANDS_MANY 1000

struct command {
	const char *words;    /* "link add" */
	const char *operands; /* "NAME [KEY=VALUE]..."; "" for none */
	const char *help;
	unsigned min, max; /* operands */
	/* The exit status. */
	int (*run)(const struct options *o);
	/* Those that run by command_ask(): */
	const char *action;  /* of the control socket */
	const char *operand; /* the key that the first operand goes to; NULL: none */
	bool has_settings;   /* those after it are KEY=VALUE */
	const char *stage;   /* of the action; NULL: all of it */
	bool is_hidden;	     /* from people */
};

/* Ends with NULL words. */
extern const struct command commands[];

/* The command that the words begin with, and how many of them are its own; NULL: none. */
const struct command *command_find(char **words, unsigned n, unsigned *ret_taken);
