/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * How a process gives up what it does not need. In a build with sanitizers, which read /proc and
 * make system calls of their own, there is no chroot and no filter. See docs/security.md.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#define SANDBOX_USER_MAX 32

struct sandbox_user {
	char name[SANDBOX_USER_MAX];
	uid_t uid;
	gid_t gid;
};

/* Told of each thing that could not be had; the rest is in force all the same. */
typedef void (*sandbox_warn_fn)(void *ctx, const char *what, int error);

/*
 * The user that is named; with "" the system user "vtrunkd", or, where there is none, "nobody".
 * 0; -ENOENT where there is no such user; -EPERM for root; or another -errno.
 */
int sandbox_find_user(const char *name, struct sandbox_user *ret);

/* No core dumps, and no memory in swap. Of this process; its children ask again. */
void sandbox_hide_memory(bool allows_debugger, sandbox_warn_fn warn, void *ctx);

/*
 * For the engine, before it has threads: an empty root directory, the user, no capabilities and no
 * way to any, an end with its parent (sandbox_die_with()), and a filter that knows the system calls
 * of the data path (filter.h). `instance` is in the name of what it makes for a moment. 0, or
 * -errno of sandbox_die_with(); all else is a warning.
 */
int sandbox_enter(const struct sandbox_user *user, const char *instance, pid_t parent,
		  sandbox_warn_fn warn, void *ctx);

/* Removes what that instance may have left, when it was killed. */
void sandbox_reclaim(const char *instance);

/* For a helper that needs the file system: the user alone, and no capabilities. 0 or -errno. */
int sandbox_become(const struct sandbox_user *user);

/*
 * This process is killed when its parent, `parent`, ends. After the user is changed. 0, -ESRCH
 * where that has ended already, or another -errno.
 */
int sandbox_die_with(pid_t parent);
