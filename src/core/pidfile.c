/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How long the remains of a daemon that was killed are waited for. */
#define DYING_MS 2000
#define DYING_STEP_MS 20
/* A number, a newline, and a zero behind them. */
#define CONTENT_MAX 16

/* Is what the descriptor holds still what others find at the path? */
static bool is_in_place(int fd, const char *path)
{
	struct stat ours, found;

	return fstat(fd, &ours) == 0 && lstat(path, &found) == 0 && ours.st_dev == found.st_dev &&
	       ours.st_ino == found.st_ino;
}

/* The process that the file names, 0 where it is empty. -EEXIST for anything else. */
static int read_owner(int fd, pid_t *ret)
{
	char text[CONTENT_MAX] = "";
	struct stat st;
	char *end;
	long owner;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size >= CONTENT_MAX)
		return -EEXIST;
	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		return -errno;
	owner = strtol(text, &end, 10);
	if (owner < 0 || owner > INT_MAX || strspn(end, "\n") != (size_t)st.st_size - (end - text))
		return -EEXIST;
	*ret = (pid_t)owner;
	return 0;
}

static int write_owner(int fd)
{
	char text[CONTENT_MAX];
	int len = snprintf(text, sizeof(text), "%d\n", getpid());

	if (ftruncate(fd, 0) < 0)
		return -errno;
	if (pwrite(fd, text, (size_t)len, 0) != len)
		return -EIO;
	return 0;
}

/* -EBUSY: locked by another; -ESTALE: removed or replaced before we had the lock. */
static int claim(int fd, const char *path, pid_t *owner)
{
	bool is_locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
	int r = is_locked || errno == EWOULDBLOCK ? 0 : -errno;

	if (!r)
		r = read_owner(fd, owner);
	if (r < 0)
		return r;
	if (!is_locked)
		return -EBUSY;
	return is_in_place(fd, path) ? write_owner(fd) : -ESTALE;
}

static int open_and_claim(const char *path, int *ret_fd, pid_t *owner)
{
	int fd =
		open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
	int r;

	if (fd < 0)
		return -errno;
	r = claim(fd, path, owner);
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int pidfile_take(struct pidfile *ret, const char *path, pid_t *ret_owner)
{
	struct pidfile p = {.fd = -1, .path = strdup(path)};
	pid_t owner = 0;
	int r;

	if (!p.path)
		return -ENOMEM;
	do
		r = open_and_claim(path, &p.fd, &owner);
	while (r == -ESTALE);
	*ret_owner = owner;
	if (r < 0) {
		free(p.path);
		return r;
	}
	*ret = p;
	return 0;
}

/* Also where nobody has taken note of its end yet. */
static bool has_ended(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	bool is_over;

	if (fd < 0)
		return errno == ESRCH;
	is_over = poll(&p, 1, 0) > 0;
	close(fd);
	return is_over;
}

/* The engine of one that was killed holds its files a moment longer. */
int pidfile_take_patiently(struct pidfile *ret, const char *path, pid_t *ret_owner)
{
	int r = pidfile_take(ret, path, ret_owner);

	for (int i = 0; r == -EBUSY && i < DYING_MS / DYING_STEP_MS; i++) {
		if (!*ret_owner || !has_ended(*ret_owner))
			break;
		poll(NULL, 0, DYING_STEP_MS);
		r = pidfile_take(ret, path, ret_owner);
	}
	return r;
}

void pidfile_release(struct pidfile *p)
{
	if (p->fd < 0)
		return;
	/* Before the lock goes, so that nobody can have taken it meanwhile. */
	if (is_in_place(p->fd, p->path))
		unlink(p->path);
	close(p->fd);
	free(p->path);
	*p = (struct pidfile){.fd = -1};
}
