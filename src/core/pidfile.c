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
#include <unistd.h>

/* How long a daemon that has the file is waited for. */
#define ENDING_MS 2000
#define ENDING_STEP_MS 20
/* A number, an instance, newlines, and a zero behind them. */
#define CONTENT_MAX (16 + INSTANCE_ID_LEN + 1)

/* Is what the descriptor holds still what others find at the path? */
static bool is_in_place(int fd, const char *path)
{
	struct stat ours, found;

	return fstat(fd, &ours) == 0 && lstat(path, &found) == 0 && ours.st_dev == found.st_dev &&
	       ours.st_ino == found.st_ino;
}

/* A line with an instance, or nothing. */
static bool parse_instance(const char *text, char ret[INSTANCE_ID_LEN + 1])
{
	size_t len = strspn(text, "0123456789abcdef");

	if (!*text)
		return true;
	if (len != INSTANCE_ID_LEN || strcmp(text + len, "\n") != 0)
		return false;
	memcpy(ret, text, len);
	ret[len] = '\0';
	return true;
}

/* "12", "12\n", or that and an instance. */
static int parse_owner(const char *text, struct pidfile_owner *ret)
{
	struct pidfile_owner owner = {0};
	char *end;
	long pid;

	pid = strtol(text, &end, 10);
	if (pid < 0 || pid > INT_MAX || (*end && *end != '\n'))
		return -EEXIST;
	end += *end == '\n';
	if (!parse_instance(end, owner.instance))
		return -EEXIST;
	owner.pid = (pid_t)pid;
	*ret = owner;
	return 0;
}

/* Who is named in the file; nobody where it is empty. -EEXIST for anything else. */
static int read_owner(int fd, struct pidfile_owner *ret)
{
	char text[CONTENT_MAX] = "";
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size >= CONTENT_MAX)
		return -EEXIST;
	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		return -errno;
	return strlen(text) == (size_t)st.st_size ? parse_owner(text, ret) : -EEXIST;
}

static int write_owner(int fd, const char *instance)
{
	char text[CONTENT_MAX];
	int len = snprintf(text, sizeof(text), instance ? "%d\n%s\n" : "%d\n", getpid(), instance);

	if (ftruncate(fd, 0) < 0)
		return -errno;
	if (pwrite(fd, text, (size_t)len, 0) != len)
		return -EIO;
	return 0;
}

/* -EBUSY: locked by another; -ESTALE: removed or replaced before we had the lock. */
static int claim(int fd, const char *path, const char *instance, struct pidfile_owner *owner)
{
	bool is_locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
	int r = is_locked || errno == EWOULDBLOCK ? 0 : -errno;

	if (!r)
		r = read_owner(fd, owner);
	if (r < 0)
		return r;
	if (!is_locked)
		return -EBUSY;
	if (!is_in_place(fd, path))
		return -ESTALE;
	r = write_owner(fd, instance);
	if (r < 0)
		unlink(path);
	return r;
}

static int open_and_claim(const char *path, const char *instance, int *ret_fd,
			  struct pidfile_owner *owner)
{
	int fd =
		open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
	int r;

	if (fd < 0)
		return -errno;
	r = claim(fd, path, instance, owner);
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int pidfile_take(struct pidfile *ret, const char *path, const char *instance,
		 struct pidfile_owner *ret_owner)
{
	struct pidfile p = {.fd = -1, .path = strdup(path)};
	struct pidfile_owner owner = {0};
	int r;

	if (!p.path)
		return -ENOMEM;
	do
		r = open_and_claim(path, instance, &p.fd, &owner);
	while (r == -ESTALE);
	*ret_owner = owner;
	if (r < 0) {
		free(p.path);
		return r;
	}
	*ret = p;
	return 0;
}

int pidfile_take_patiently(struct pidfile *ret, const char *path, const char *instance,
			   struct pidfile_owner *ret_owner)
{
	int r = pidfile_take(ret, path, instance, ret_owner);

	for (int i = 0; r == -EBUSY && i < ENDING_MS / ENDING_STEP_MS; i++) {
		poll(NULL, 0, ENDING_STEP_MS);
		r = pidfile_take(ret, path, instance, ret_owner);
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
