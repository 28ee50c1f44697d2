/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Keys in the configuration, inline or in files of their own. No message shows one. */
#pragma once

#include <sys/stat.h>

#include "core/config_value.h"

/* What stands for a key in starter files and examples. */
#define KEY_PLACEHOLDER "REPLACE_ME"

value_parse value_key;	    /* uint8_t[32] from base64 */
value_parse value_key_file; /* uint8_t[32] from a file of one line of base64, closed to others */

/*
 * May a file of this owner and mode hold a secret, if `mode_most` is the widest allowed? Else
 * -EINVAL and the reason.
 */
int secret_check_file(struct value *v, const struct stat *st, mode_t mode_most, const char *path);
/* Can nobody but root and this user change a file, or a directory? The same errors. */
int secret_check_writers(struct value *v, const struct stat *st, const char *path);
/* Can nobody else put another file in the place of this one, or of what a link leads to? */
int secret_check_place(struct value *v, const char *path);
