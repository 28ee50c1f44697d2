/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/keys.h"

#define FILE_LEN_MAX (1024 * 1024)
/* One byte more shows that the file is too long, and is the zero behind it otherwise. */
#define TEXT_SIZE (FILE_LEN_MAX + 1)

/* Reads to the end, or until `size` bytes are full. */
static int read_all(int fd, char *buf, size_t size, size_t *ret_len)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return 0;
}

static int parse_text(int fd, char *text, config_file_parse *parse, void *ret,
		      struct config_errors *errors)
{
	struct stat st;
	size_t len = 0;
	int r = fstat(fd, &st) < 0 ? -errno : read_all(fd, text, TEXT_SIZE, &len);

	if (r < 0) {
		config_errors_add(errors, 0, "cannot be read: %s", strerror(-r));
		return r;
	}
	if (len > FILE_LEN_MAX) {
		config_errors_add(errors, 0, "too long, allowed: %d bytes", FILE_LEN_MAX);
		return -EINVAL;
	}
	return parse(ret, text, len, &st, errors);
}

static int open_text(const char *path, struct config_errors *errors)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r = fd < 0 ? -errno : fd;

	errors->file = NULL;
	if (r == -ENOENT)
		config_errors_add(errors, 0, "Configuration file not found: %s", path);
	errors->file = path;
	if (r < 0 && r != -ENOENT)
		config_errors_add(errors, 0, "cannot be opened: %s", strerror(-r));
	return r;
}

int config_file_read(const char *path, config_file_parse *parse, void *ret,
		     struct config_errors *errors)
{
	int fd = open_text(path, errors);
	char *text;
	int r = -ENOMEM;

	if (fd < 0)
		return fd;
	text = calloc(1, TEXT_SIZE);
	if (text) {
		r = parse_text(fd, text, parse, ret, errors);
		keys_wipe(text, TEXT_SIZE);
	}
	if (r == -ENOMEM)
		config_errors_add(errors, 0, "%s", strerror(ENOMEM));
	free(text);
	close(fd);
	return r;
}

/* Writes through a buffer of our own, so that no secret stays behind in one of stdio's. */
static int write_to(int fd, config_file_text *write_text, const void *arg)
{
	char buffer[BUFSIZ];
	FILE *f = fdopen(fd, "w");
	bool has_failed;
	int r;

	if (!f) {
		r = -errno;
		close(fd);
		return r;
	}
	setvbuf(f, buffer, _IOFBF, sizeof(buffer));
	write_text(f, arg);
	has_failed = fflush(f) != 0 || ferror(f) || fsync(fd) < 0;
	r = has_failed ? -(errno ? errno : EIO) : 0;
	fclose(f);
	keys_wipe(buffer, sizeof(buffer));
	return r;
}

/* O_EXCL makes a new file, so that its mode is ours and a symbolic link is not followed. */
int config_file_write(const char *path, config_file_text *write_text, const void *arg,
		      bool is_forced)
{
	int fd;
	int r;

	if (is_forced && unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_to(fd, write_text, arg);
	if (r < 0)
		unlink(path);
	return r;
}
