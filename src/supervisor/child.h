/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A child of the supervisor's that does one thing, over a channel, and has nothing else: no keys,
 * no descriptors of others.
 */
#pragma once

#include <sys/types.h>

struct child_settings {
	const char *name; /* as in ps(1) */
	void (*forget_secrets)(void *ctx);
	void *ctx;
	/* In the child; it ends when that returns. */
	void (*serve)(void *arg, int channel);
	void *arg;
};

/* The caller's end of the channel in *ret_fd. 0 or -errno. */
int child_start(const struct child_settings *s, int *ret_fd, pid_t *ret_pid);
