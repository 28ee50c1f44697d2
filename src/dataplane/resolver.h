/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Looks up endpoint names on a thread of its own, since the system's resolver may block for
 * many seconds. Answers come as EVENT_RESOLVED.
 */
#pragma once

#include "broker/lookup.h"

struct bond;
struct network;
struct resolver;

struct resolver_request {
	struct bond *bond;
	uint32_t path_id;
	struct lookup_request lookup;
};

/* Starts the thread. 0 or -errno. */
int resolver_new(struct resolver **ret, struct network *n);
/*
 * Gives up a look-up under way, or waits for it where this process does it itself. NULL is
 * fine.
 */
void resolver_free(struct resolver *r);
/* The monitor; false if too many requests wait. */
bool resolver_ask(struct resolver *r, const struct resolver_request *request);

/* An address literal needs no thread: 0, or -EINVAL if it is a name or of another family. */
int resolver_literal(struct addr *ret, const struct endpoint_name *name, int family);
