/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Changes of a configuration at run time, as an editor would make them in the file: afterwards it
 * is read anew, by config_parse(), with all its checks.
 */
#pragma once

#include "control/buffer.h"
#include "core/config_ini.h"

/* The text that `ini` is the reading of, without comments. 0 or -ENOMEM. */
int config_edit_write(const struct config_ini *ini, struct buffer *out);

/* [kind name]; NULL if there is none. */
struct config_section *config_edit_find(struct config_ini *ini, const char *kind, const char *name);
/* At the end. 0; -EEXIST; -EINVAL for a name that cannot be written; or -ENOMEM. */
int config_edit_add(struct config_ini *ini, const char *kind, const char *name,
		    struct config_section **ret);
void config_edit_remove(struct config_ini *ini, struct config_section *s);
/*
 * The only value of that key from now on; "": it goes. 0; -EINVAL for what cannot be written in a
 * line; or -ENOMEM.
 */
int config_edit_set(struct config_section *s, const char *key, const char *value);
