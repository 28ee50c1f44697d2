/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What is different between two configurations, key by key, and which of that can be changed while
 * a network runs. Pure. A key that is not known here as one that can needs a restart.
 */
#pragma once

#include <stdbool.h>

#include "core/config.h"

enum difference_kind {
	DIFFERENCE_ADDED,
	DIFFERENCE_REMOVED,
	DIFFERENCE_CHANGED,
};

struct config_difference {
	enum difference_kind kind;
	const struct config_section
		*section; /* of the newer configuration, but where it is removed */
	const char *key;  /* NULL: the section as a whole */
	char network[NETWORK_NAME_MAX + 1]; /* whose it is; "": the daemon's */
};

struct config_diff {
	struct config_difference *items;
	size_t n;
};

/* 0 or -ENOMEM. Both must live as long as it. */
int config_diff(const struct config *before, const struct config *after, struct config_diff *ret);
void config_diff_deinit(struct config_diff *d);

/* Can it be applied to a network that runs? */
bool difference_is_hot(const struct config_difference *d);
/* "[link wifi] weight changed". */
void difference_describe(const struct config_difference *d, char *buf, size_t size);
