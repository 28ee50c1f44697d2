/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The privileged process: it starts the engine as a child, does what the engine may not do itself
 * (broker/server.h), passes signals on, reports its life cycle, and starts it again when it
 * crashes. It has one thread, and reads no byte from a network. As process 1 of a container it also
 * reaps orphans.
 */
#pragma once

#include <stdint.h>

#include "broker/server.h"
#include "sandbox/sandbox.h"
#include "supervisor/lifecycle.h"

/* The engine's exit status when what it is for has been taken away: it ends, and all is well. */
#define ENGINE_DONE 3

/* What the engine gets from its parent. */
struct engine_channels {
	int broker; /* requests: broker_new_remote() */
	int log;    /* log lines, once the terminal is gone; -1: none */
	pid_t parent;
	struct lifecycle_exit before; /* the engine that had crashed */
};

struct supervisor_calls {
	/* In the child. Closes what it does not need; its result is the child's exit status. */
	int (*run_engine)(void *ctx, const struct engine_channels *channels);
	/* In a helper's process: wipes all secrets. */
	void (*forget_secrets)(void *ctx);
	/* The first engine is up. 0, or -errno where nobody has waited for that: then it ends. */
	int (*ready)(void *ctx);
	/* What the engine may have of the configuration. */
	struct broker_calls broker;
};

struct supervisor_settings {
	const char *state_dir;
	struct tun tun; /* that we were given open; fd -1: none. Taken over */
	struct sandbox_user user;
	bool is_sandboxed;
	bool follows_crash; /* another one was killed here just now */
	bool needs_log;	    /* the terminal will be left */
	bool restarts;
	unsigned restart_limit;
	struct lifecycle *lifecycle;
};

/*
 * Blocks the signals that supervisor_run() takes. Before that, so that none is lost. 0 or -errno.
 */
int supervisor_block_signals(int *ret_signal_fd);

/* Until the daemon is told to stop, or the engine has ended for good. The exit status. */
int supervisor_run(const struct supervisor_settings *s, int signal_fd,
		   const struct supervisor_calls *calls, void *ctx);
