/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Going to the background. The process forks before it has any thread; the parent stays until
 * the child says that its work is up, and ends with what became of it, so that whoever starts
 * the daemon learns the truth from its exit status. Until then the child keeps the terminal
 * for its error messages.
 */
#pragma once

#include <sys/types.h>

struct daemonize {
	pid_t child;  /* 0: this is the child */
	int ready_fd; /* a pipe from child to parent */
};

/* Opens /dev/null for those of descriptors 0-2 that are closed: others would get their numbers. */
int daemonize_reserve_stdio(void);

/* Forks; returns in both. The child leads a session of its own and works in "/". */
int daemonize_fork(struct daemonize *ret);

/* The parent: waits for the child. The exit status: 0 only when the child was ready. */
int daemonize_wait(struct daemonize *d);

/* The child: puts /dev/null, opened for reading and writing, in the place of descriptors 0-2. */
int daemonize_leave_terminal(int null_fd);
/* The child: everything is up. -EPIPE if the parent is gone: its user has given up. */
int daemonize_tell_ready(struct daemonize *d);
