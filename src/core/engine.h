/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The engine: all that runs without privilege, that is, the networks and what steers them. A
 * process of its own, the child of the one that core/daemon.c makes.
 */
#pragma once

#include "core/config.h"
#include "core/listeners.h"
#include "supervisor/supervisor.h"

/* What the engine has from its parent, besides the channels. Lives as long as it. */
struct engine_settings {
	struct config *config; /* the engine replaces it when it is told to reload */
	const struct listeners *listeners;
	bool ends_with_interface; /* it is `vtrunkd INTERFACE`: without that it has nothing to do */
	const char *instance;
	bool tells_events; /* to the supervisor, who passes them on */
	struct sandbox_user user;
	bool is_debug;
	bool leaves_terminal; /* when it is ready */
	uint64_t watchdog_usecs;
};

/* Runs until SIGTERM comes or the last network has failed. The exit status of the process. */
int engine_run(const struct engine_settings *s, const struct engine_channels *channels);
