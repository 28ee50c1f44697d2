/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The process with privilege: it starts the engine as a child, does for it what that may not do
 * itself (broker/server.h), passes signals on, tells of its life, and starts it again when it
 * crashes. It has one thread, and reads no byte from a network. As process 1 of a container it
 * also reaps what others have left.
 */
#pragma once

#include <stdint.h>

#include "broker/request.h"
#include "sandbox/sandbox.h"
#include "supervisor/lifecycle.h"

/* The engine's exit status when what it is for has been taken away: it ends, and all is well. */
#define ENGINE_DONE 3

/* What the engine has of its parent. */
struct engine_channels {
	int broker; /* requests: broker_new_remote() */
	int log;    /* log lines, once the terminal is gone; -1: none */
	pid_t parent;
	struct lifecycle_exit before; /* the engine that had crashed */
};

struct supervisor_calls {
	/* In the child. Closes what it needs not; its result is the child's exit status. */
	int (*run_engine)(void *ctx, const struct engine_channels *channels);
	/* In a helper's process: wipes all secrets. */
	void (*forget_secrets)(void *ctx);
	/* As of struct broker_calls. */
	bool (*has_network)(void *ctx, const char *name);
	bool (*has_peer)(void *ctx, const char *network, const uint8_t public_key[32]);
	bool (*may_route)(void *ctx, const char *interface, uint32_t table);
	/* As those of struct broker_calls. */
	int (*read_config)(void *ctx, int *ret_fd);
	int (*keep_config)(void *ctx);
	int (*open_metrics)(void *ctx, enum broker_metrics_kind kind, int *ret_fd);
	int (*next_key)(void *ctx, const struct broker_key *q, uint8_t ret_key[32]);
	int (*run_hook)(void *ctx, const struct broker_hook *h);
	int (*open_uapi)(void *ctx, const char *interface, int *ret_fd);
	int (*close_uapi)(void *ctx, const char *interface);
	/* The first engine is up. 0, or -errno where nobody has waited for that: then it ends. */
	int (*ready)(void *ctx);
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

/* Blocks the signals that supervisor_run() takes. Before that, so that none is lost. 0 or -errno.
 */
int supervisor_block_signals(int *ret_signal_fd);

/* Until the daemon is told to stop, or the engine has ended for good. The exit status. */
int supervisor_run(const struct supervisor_settings *s, int signal_fd,
		   const struct supervisor_calls *calls, void *ctx);
