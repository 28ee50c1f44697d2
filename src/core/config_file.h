/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Whole files that may hold keys: what was read of them, or buffered, is wiped. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include "core/config_errors.h"

/*
 * A text with room for a zero behind it, and what stat() says of the file. 0, or -errno with
 * the reason in `errors`, the messages of which name `path` from now on.
 */
int config_file_read(const char *path, char **ret_text, size_t *ret_len, struct stat *ret_st,
		     struct config_errors *errors);
void config_file_free(char *text);

/* Writes the text of a file; errors are left to ferror(). */
typedef void config_file_text(FILE *f, const void *arg);

/*
 * A new file of mode 0600, never written over an existing one unless `is_forced`. 0, -EEXIST, or
 * another -errno.
 */
int config_file_write(const char *path, config_file_text *write_text, const void *arg,
		      bool is_forced);
