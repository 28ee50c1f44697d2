/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "broker/stamp_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"

/* The greatest time that leaves room for reservations (the year 2116). */
#define WALL_MAX (INT64_MAX / 2)

/* One decimal number, a newline, nothing else. */
static bool parse(const char *text, nsec_t *ret)
{
	char *end;
	long long value;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || strcmp(end, "\n") || value > WALL_MAX)
		return false;
	*ret = value;
	return true;
}

int stamp_file_load(const char *path, nsec_t *ret)
{
	char text[32];
	ssize_t len;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	len = read(fd, text, sizeof(text) - 1);
	if (len < 0)
		len = 0;
	close(fd);
	text[len] = '\0';
	if (!parse(text, ret))
		log_warn("%s: not a time stamp; starting from the clock", path);
	return 0;
}

static int write_file(const char *path, nsec_t value)
{
	char text[32];
	int r = 0, len = snprintf(text, sizeof(text), "%" PRId64 "\n", value);
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	ssize_t written;

	if (fd < 0)
		return -errno;
	written = write(fd, text, (size_t)len);
	if (written < 0)
		r = -errno;
	else if (written != len)
		r = -ENOSPC;
	else if (fsync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

int stamp_file_store(const char *path, nsec_t value)
{
	char temporary[PATH_MAX];
	int r;

	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= sizeof(temporary))
		return -ENAMETOOLONG;
	r = write_file(temporary, value);
	if (!r && rename(temporary, path) < 0)
		r = -errno;
	if (r)
		unlink(temporary);
	return r;
}
