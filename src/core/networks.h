/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The networks of this daemon and the state of each. They share nothing: one that fails leaves
 * the others alone. Owner: the main thread; the networks' own threads only report here that one
 * of them cannot go on.
 */
#pragma once

#include "core/config.h"
#include "core/events.h"
#include "dataplane/network.h"

struct networks;

#define NETWORK_STATES(X)                                                                          \
	X(UNINITIALIZED, "uninitialized") /* never started */                                      \
	X(STARTING, "starting")                                                                    \
	X(ACTIVE, "active")                                                                        \
	X(STOPPING, "stopping")                                                                    \
	X(STOPPED, "stopped")                                                                      \
	X(ERROR, "error") /* could not start, or could not go on */

enum network_state {
#define X(name, text) NETWORK_##name,
	NETWORK_STATES(X)
#undef X
};

#define NETWORK_WHY_MAX 256

struct network_slot {
	const struct network_settings *settings;
	enum network_state state;
	struct network *network;   /* NULL unless it is active */
	char why[NETWORK_WHY_MAX]; /* of the state `error`; else "" */
};

/* None is started yet. 0 or -errno. What it is given must live as long as they do. */
int networks_new(struct networks **ret, const struct config *config, struct broker *broker,
		 struct events *events);
/*
 * Takes over another configuration: those that it does not have are stopped, new ones wait to be
 * started, the others go on. 0; or -ENOMEM, and nothing has changed.
 */
int networks_adopt(struct networks *n, const struct config *config);
/* Stops those that run, in reverse order. NULL is fine. */
void networks_free(struct networks *n);

/*
 * Starts one enabled network after the other, each telling the log how that went. 0 if at least
 * one is up, -ENOENT if none is enabled and it may not be idle, or the last failure's -errno.
 */
int networks_start(struct networks *n, bool may_be_idle);

size_t networks_count(const struct networks *n);
size_t networks_active(const struct networks *n);
/* In the order of the configuration; `i` is below the count. */
const struct network_slot *networks_at(const struct networks *n, size_t i);
/* NULL if there is none of that name. */
struct network_slot *networks_find(const struct networks *n, const char *name);

/* Starts one, enabled or not. 0; -EALREADY where it runs; or -errno, the cause being logged. */
int networks_connect(struct networks *n, struct network_slot *slot);
/* Stops one. 0, or -EALREADY where it does not run. */
int networks_disconnect(struct network_slot *slot);

/* Readable when a network may have failed. */
int networks_failure_fd(const struct networks *n);
/* Stops those that have failed, telling the log why. */
void networks_handle_failures(struct networks *n);

const char *network_state_name(enum network_state state);
