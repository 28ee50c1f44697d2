/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "sandbox/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/filter.h"

/* Sanitizers read /proc, and make system calls of their own. */
#ifdef SANITIZED
static const bool needs_files = true;
#else
static const bool needs_files = false;
#endif

#define DEFAULT_USER "vtrunkd"
#define FALLBACK_USER "nobody"

/* Other values mean that there is no such user; each of the libraries has its own. */
static bool is_look_up_failure(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == EIO;
}

int sandbox_find_user(const char *name, struct sandbox_user *ret)
{
	const struct passwd *found;

	errno = 0;
	found = getpwnam(*name ? name : DEFAULT_USER);
	if (!found && !*name)
		found = getpwnam(FALLBACK_USER);
	if (!found)
		return is_look_up_failure(errno) ? -errno : -ENOENT;
	if (!found->pw_uid || !found->pw_gid)
		return -EPERM;
	*ret = (struct sandbox_user){.uid = found->pw_uid, .gid = found->pw_gid};
	snprintf(ret->name, sizeof(ret->name), "%s", found->pw_name);
	return 0;
}

/* Only what is touched is locked, and only where no limit could make an allocation fail later. */
static int lock_memory(void)
{
	static const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};

	if (setrlimit(RLIMIT_MEMLOCK, &unlimited) < 0)
		return -errno;
	return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0 ? -errno : 0;
}

void sandbox_hide_memory(bool allows_debugger, sandbox_warn_fn warn, void *ctx)
{
	static const struct rlimit none = {0, 0};
	int r = lock_memory();

	if (r < 0)
		warn(ctx, "memory is not locked: keys may get into swap", -r);
	if (allows_debugger)
		return;
	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		warn(ctx, "core dumps are not switched off", errno);
}

/* Where the instance has its empty directory for a moment: the first that can be written. */
static const char *const nowhere[] = {"/run/vtrunkd-%s-empty", "/tmp/vtrunkd-%s-empty"};

/*
 * A directory that is gone as soon as we are in it, in which nothing can be made. Returns a
 * descriptor of it, or -errno.
 */
static int open_nowhere(const char *instance)
{
	char path[64];
	int fd;

	for (size_t i = 0; i < sizeof(nowhere) / sizeof(*nowhere); i++) {
		snprintf(path, sizeof(path), nowhere[i], instance);
		rmdir(path); /* of an engine that was killed just there */
		if (mkdir(path, 0700) < 0)
			continue;
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		rmdir(path);
		if (fd >= 0)
			return fd;
	}
	return -errno;
}

void sandbox_reclaim(const char *instance)
{
	char path[64];

	for (size_t i = 0; i < sizeof(nowhere) / sizeof(*nowhere); i++) {
		snprintf(path, sizeof(path), nowhere[i], instance);
		rmdir(path);
	}
}

static int leave_files(const char *instance)
{
	int fd = open_nowhere(instance);
	int r = 0;

	if (fd < 0)
		return fd;
	if (fchdir(fd) < 0 || chroot(".") < 0)
		r = -errno;
	close(fd);
	return r;
}

/* `user` NULL: stay who we are, without capabilities. */
static int drop_privilege(const struct sandbox_user *user)
{
	capng_clear(CAPNG_SELECT_ALL);
	if (user)
		return capng_change_id((int)user->uid, (int)user->gid,
				       CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING) < 0
			       ? -EPERM
			       : 0;
	return capng_apply(CAPNG_SELECT_CAPS) < 0 ? -EPERM : 0;
}

int sandbox_become(const struct sandbox_user *user)
{
	int r = drop_privilege(user);

	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = -errno;
	return r;
}

int sandbox_die_with(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	return getppid() == parent ? 0 : -ESRCH;
}

int sandbox_enter(const struct sandbox_user *user, const char *instance, pid_t parent,
		  sandbox_warn_fn warn, void *ctx)
{
	int dumpable = prctl(PR_GET_DUMPABLE);
	int r;

	r = needs_files ? 0 : leave_files(instance);
	if (r < 0)
		warn(ctx, "files are not out of reach: no empty root directory", -r);
	r = drop_privilege(user);
	if (r < 0) {
		warn(ctx, "cannot become an unprivileged user", -r);
		r = drop_privilege(NULL);
	}
	if (r < 0)
		warn(ctx, "capabilities are not given up", -r);
	prctl(PR_SET_DUMPABLE, dumpable); /* another user is another value */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		warn(ctx, "new privileges are not ruled out", errno);
	r = sandbox_die_with(parent);
	if (r < 0)
		return r;
	r = needs_files ? 0 : filter_install();
	if (r < 0)
		warn(ctx, "system calls are not filtered", -r);
	return 0;
}
