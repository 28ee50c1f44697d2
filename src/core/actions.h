/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What clients of the control socket can ask of the daemon (docs/control.md). Main thread. */
#pragma once

#include "control/action.h"
#include "core/networks.h"

struct exporters;

#define ACTIONS_MAX 32

/* Zero-initialised; the daemon's, who keeps alive what it points to. */
struct actions {
	struct networks *networks;
	struct exporters *exporters;
	struct config *config; /* in force */
	struct broker *broker; /* reads another */
	pid_t pid;	       /* of the daemon, to be signalled */
	const char *instance;  /* no two daemons have the same */
	struct control_action table[ACTIONS_MAX];
	size_t n;
};

typedef enum control_error (*action_handler)(void *ctx, const struct control_request *request,
					     struct control_reply *reply);

/* For actions_init() and those that it calls. */
void actions_add(struct actions *a, const char *name, action_handler handle, const char *keys);
/* The network that is named; where none is, "default", or the only one. NULL if there is none. */
struct network_slot *actions_find_network(const struct actions *a,
					  const struct control_request *request);
/* That there is none. */
enum control_error actions_fail_find(struct control_reply *reply,
				     const struct control_request *request);
/* Fills in the table, whose handlers get `a`. */
void actions_init(struct actions *a);
