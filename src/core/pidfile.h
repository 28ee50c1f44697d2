/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The PID file: it is locked for as long as the daemon lives, so that a second one does not
 * start and one that was killed leaves nothing that needs repair. Owner: the main thread.
 */
#pragma once

#include <sys/types.h>

#include "supervisor/lifecycle.h"

struct pidfile {
	int fd; /* holds the lock; -1: not taken */
	char *path;
};

struct pidfile_owner {
	pid_t pid;			    /* 0: none, or unknown */
	char instance[INSTANCE_ID_LEN + 1]; /* "": not told */
};

/*
 * Makes and locks the file at `path` (0644), and writes our number into it, and, unless it is
 * NULL, our instance as a second line. 0, who was killed before us (if so) in `ret_owner`; -EBUSY
 * where another process has it, that one in `ret_owner`; -EEXIST where the file is no PID file; or
 * -errno.
 */
int pidfile_take(struct pidfile *ret, const char *path, const char *instance,
		 struct pidfile_owner *ret_owner);
/*
 * The same, but whoever has the file is given two seconds to end: wg-quick starts the next as soon
 * as the interface of the first is gone, and the engine of one that was killed takes a moment.
 */
int pidfile_take_patiently(struct pidfile *ret, const char *path, const char *instance,
			   struct pidfile_owner *ret_owner);
/* Removes the file, if it is still ours, and gives up the lock. */
void pidfile_release(struct pidfile *p);
