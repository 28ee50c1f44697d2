/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "util/kernel_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* After an interruption, a part, or a "not now". */
#define TRIES 5
#define PAUSE_MS 10
#define VALUE_MAX 256

static int write_once(int fd, const char *text, size_t len)
{
	ssize_t n = pwrite(fd, text, len, 0);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

static bool is_worth_another_try(int r)
{
	return r == -EINTR || r == -EAGAIN || r == -EIO;
}

int kernel_file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	int r;

	if (fd < 0)
		return -errno;
	r = write_once(fd, text, strlen(text));
	for (int i = 1; is_worth_another_try(r) && i < TRIES; i++) {
		if (r == -EAGAIN)
			poll(NULL, 0, PAUSE_MS);
		r = write_once(fd, text, strlen(text));
	}
	close(fd);
	return r;
}

int kernel_file_read(const char *path, char *ret, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;
	do
		n = pread(fd, ret, size - 1, 0);
	while (n < 0 && errno == EINTR);
	r = n < 0 ? -errno : 0;
	close(fd);
	if (r < 0)
		return r;
	ret[n] = '\0';
	if ((size_t)n == size - 1 && !strchr(ret, '\n'))
		return -EMSGSIZE;
	ret[strcspn(ret, "\n")] = '\0';
	return 0;
}

int kernel_file_set(const char *path, const char *text)
{
	char found[VALUE_MAX];
	int r = kernel_file_write(path, text);

	if (r == 0)
		r = kernel_file_read(path, found, sizeof(found));
	if (r < 0)
		return r;
	return strcmp(found, text) ? -EBADMSG : 0;
}
