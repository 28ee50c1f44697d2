/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Where the peers were last, as an engine tells it for the one that follows when it crashes. One
 * entry for each peer of a network; nothing in it is secret. Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/request.h"

struct endpoints {
	struct broker_endpoints *list; /* in no order */
	size_t n, room;
};

void endpoints_deinit(struct endpoints *all);

/* Whatever an attacker has put there: can it be used? Its network is for the caller to judge. */
bool endpoints_are_sound(const struct broker_endpoints *e);
/* In the place of what was known of that peer. 0 or -ENOMEM. */
int endpoints_keep(struct endpoints *all, const struct broker_endpoints *e);
/* A file in memory with the entries of a network, one behind the other. 0; -ENOENT; or -errno. */
int endpoints_open(const struct endpoints *all, const char *network, int *ret_fd);
/* Those of networks that there are no more are forgotten. */
void endpoints_prune(struct endpoints *all, bool (*has_network)(void *ctx, const char *name),
		     void *ctx);
