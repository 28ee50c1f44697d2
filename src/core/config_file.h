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
 * Makes `ret` of a text, which is cut up, with room for a zero behind it; `st` is what stat() says
 * of its file. 0, or -errno with the reason in `errors`.
 */
typedef int config_file_parse(void *ret, char *text, size_t len, const struct stat *st,
			      struct config_errors *errors);
/* Of the whole of a file. The same errors; messages name `path` from now on. */
int config_file_read(const char *path, config_file_parse *parse, void *ret,
		     struct config_errors *errors);

/* Writes the text of a file; errors are left to ferror(). */
typedef void config_file_text(FILE *f, const void *arg);

/*
 * A new file of mode 0600, never written over an existing one unless `is_forced`. 0, -EEXIST, or
 * another -errno.
 */
int config_file_write(const char *path, config_file_text *write_text, const void *arg,
		      bool is_forced);
