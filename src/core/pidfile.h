/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The PID file: it is locked for as long as the daemon lives, so that a second one does not
 * start and one that was killed leaves nothing that needs repair. Owner: the main thread.
 */
#pragma once

#include <sys/types.h>

struct pidfile {
	int fd; /* holds the lock; -1: not taken */
	char *path;
};

/*
 * Makes and locks the file at `path` (0644), and writes our number into it. 0, the number of one
 * that was killed before us (0: none was) in `ret_owner`; -EBUSY where another process has it,
 * that one's number (0: unknown) in `ret_owner`; -EEXIST where the file is no PID file; or -errno.
 */
int pidfile_take(struct pidfile *ret, const char *path, pid_t *ret_owner);
/* The same, but what is left of one that was killed, and still holds the file, is waited for. */
int pidfile_take_patiently(struct pidfile *ret, const char *path, pid_t *ret_owner);
/* Removes the file, if it is still ours, and gives up the lock. */
void pidfile_release(struct pidfile *p);
