/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The command line of the wire emulator. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "schedule.h"
#include "settings.h"

struct options {
	const char *interfaces[2];
	struct settings settings[WAYS];
	struct schedule schedule;
	const char *control; /* path, or NULL */
	uint64_t seed;
	size_t memory_bytes; /* for packets, each way */
};

/* Tells what is wrong, or helps, and exits. */
void options_parse(struct options *ret, int argc, char **argv);
void options_deinit(struct options *o);
