/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What is wrong with a configuration file, collected so that its user is told everything at
 * once, in the order of the lines. Messages never hold key material.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A file can be wrong in every line; what comes beyond this many messages is only counted. */
#define CONFIG_ERRORS_MAX 256

struct config_error {
	int line;   /* 0: the file as a whole */
	char *text; /* "FILE:LINE: [section] key: ..." */
};

/* Zero-initialised; deinit frees what was collected. */
struct config_errors {
	const char *file; /* borrowed; NULL: messages name no file */
	struct config_error *items;
	size_t n_items;
	size_t n_left_out;
};

void config_errors_deinit(struct config_errors *e);
__attribute__((format(printf, 3, 4))) void config_errors_add(struct config_errors *e, int line,
							     const char *format, ...);
bool config_errors_any(const struct config_errors *e);
void config_errors_print(const struct config_errors *e, FILE *out);
