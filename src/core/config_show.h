/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A configuration written out with all its defaults, as a file that is read the same. Keys that
 * stand in the file itself are not shown: KEY_PLACEHOLDER is in their place.
 */
#pragma once

#include <stdio.h>

#include "core/config_draft.h"
#include "core/config_grammar.h"

/* Of a draft that has been checked and completed. Errors are left to ferror(). */
void config_show(FILE *out, const struct config_draft *d);

/* For tests: can the values of such a key be written? */
bool config_show_knows(const struct config_key *key);
