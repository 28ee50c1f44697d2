/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A file of wg-quick(8) as a configuration. Each of its settings is taken over, or left as a
 * comment with a note that says what to do about it; nothing goes without a word.
 */
#pragma once

#include "core/config.h"

struct import {
	const char *path;	    /* borrowed */
	struct config config;	    /* as it would be read from what import_write() writes */
	struct config_ini left;	    /* comments for each section of config.ini */
	struct config_errors notes; /* what needs the user's hand; without any value */
};

/* 0; or -EINVAL or another -errno, with everything that is wrong in `errors`, by path and line. */
int import_read(struct import *ret, const char *path, struct config_errors *errors);
/* The same for text as config_parse() takes it; the interface is named after `path`. */
int import_parse(struct import *ret, const char *path, char *text, size_t len,
		 struct config_errors *errors);
void import_deinit(struct import *m);

/* A config_file_text of a struct import. */
void import_write(FILE *f, const void *import);
