/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What clients of the control socket can ask of the daemon (docs/control.md). Main thread. */
#pragma once

#include "control/action.h"
#include "core/networks.h"

#define ACTIONS_MAX 32

/* Zero-initialised; the daemon's, who keeps alive what it points to. */
struct actions {
	struct networks *networks;
	pid_t pid;	      /* of the daemon, to be signalled */
	const char *instance; /* no two daemons have the same */
	struct control_action table[ACTIONS_MAX];
	size_t n;
};

/* Fills in the table, whose handlers get `a`. */
void actions_init(struct actions *a);
