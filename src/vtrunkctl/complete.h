/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The command `complete`, for shells: what the last word of a command line may become. */
#pragma once

struct options;

/* "weight=" and so on; end with NULL. */
extern const char *const complete_link_keys[];
extern const char *const complete_peer_keys[];

/* The operands are the words so far, the last of them unfinished. */
int complete_print(const struct options *o);
