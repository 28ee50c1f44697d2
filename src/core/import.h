/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A file of wg-quick(8) as a configuration. Each of its settings is taken over, or left as a
 * comment with a note that says what to do about it; nothing goes without a word.
 */
#pragma once

#include "core/config.h"
#include "core/config_file.h"

struct import {
	struct config config;	    /* as it would be read from what import_write() writes */
	struct config_ini left;	    /* comments for each section of config.ini */
	struct config_errors notes; /* what needs the user's hand; without any value */
};

/* 0; or -EINVAL or another -errno, with everything that is wrong in `errors`, by path and line. */
int import_read(struct import *ret, const char *path, struct config_errors *errors);
/* What it makes of the text, a struct import; the interface is named after errors->file. */
config_file_parse import_parse;
void import_deinit(struct import *m);

/* A config_file_text of a struct import. */
void import_write(FILE *f, const void *import);
