/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/config_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/keys.h"

#define FILE_MODE_MOST 0600

/* Room for a key and much white space; more is not a key. */
#define FILE_LEN_MAX 256

/* The key called `name`, in `text`; `where` tells the user of a file, or is empty. */
static int parse_key(struct value *v, const char *name, int name_len, const char *text,
		     const char *where, uint8_t *field)
{
	uint8_t key[KEY_LEN] = {0};
	size_t len = 0;
	int r;

	if (!strcmp(text, KEY_PLACEHOLDER))
		return value_refuse(v,
				    "still the placeholder " KEY_PLACEHOLDER "%s; make keys by "
				    "`vtrunkd genkey`, `vtrunkd pubkey` and `vtrunkd genpsk`",
				    where);
	r = keys_from_base64(key, text, &len);
	if (r == -EMSGSIZE)
		return value_refuse(v, "Invalid %.*s length (expected 32 bytes, got %zu)%s",
				    name_len, name, len, where);
	if (r < 0)
		return value_refuse(v, "Invalid base64 for %.*s%s", name_len, name, where);
	if (keys_is_zero(key))
		return value_refuse(v, "Invalid %.*s (all zero)%s", name_len, name, where);
	memcpy(field, key, KEY_LEN);
	keys_wipe(key, sizeof(key));
	return 0;
}

int value_key(struct value *v, void *field)
{
	return parse_key(v, v->key, (int)strlen(v->key), v->text, "", field);
}

static int check_owner(struct value *v, const struct stat *st, const char *path)
{
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return value_refuse(v, "%s belongs to user %u, allowed: user %u or root", path,
				    st->st_uid, geteuid());
	return 0;
}

int secret_check_file(struct value *v, const struct stat *st, mode_t mode_most, const char *path)
{
	mode_t mode = st->st_mode & 07777;

	if (mode & ~mode_most & 0777)
		return value_refuse(v,
				    "%s holds a secret but has mode 0%03o, "
				    "allowed: at most 0%03o (chmod %o %s)",
				    path, mode, mode_most, mode_most, path);
	return check_owner(v, st, path);
}

int secret_check_writers(struct value *v, const struct stat *st, const char *path)
{
	/* As in /tmp: what is another's can neither be replaced nor removed. */
	bool is_sticky = S_ISDIR(st->st_mode) && st->st_mode & S_ISVTX;

	if (st->st_mode & (S_IWGRP | S_IWOTH) && !is_sticky)
		return value_refuse(v,
				    "%s can be changed by others, having mode 0%03o, "
				    "allowed: at most 0755 (chmod go-w %s)",
				    path, st->st_mode & 0777, path);
	return check_owner(v, st, path);
}

static int check_directory(struct value *v, const char *path)
{
	char copy[PATH_MAX];
	const char *directory;
	struct stat st;

	snprintf(copy, sizeof(copy), "%s", path);
	directory = dirname(copy);
	if (stat(directory, &st) < 0)
		return value_refuse(v, "%s cannot be looked at: %s", directory, strerror(errno));
	return secret_check_writers(v, &st, directory);
}

int secret_check_place(struct value *v, const char *path)
{
	char real[PATH_MAX];
	int r = check_directory(v, path);

	return r == 0 && realpath(path, real) ? check_directory(v, real) : r;
}

/* An opened regular file that nobody else can read; not blocking on a FIFO before that is known. */
static int open_secret(struct value *v, int *ret_fd)
{
	int fd = open(v->text, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	int r = 0;

	if (fd < 0)
		return value_refuse(v, "%s cannot be read: %s", v->text, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		r = value_refuse(v, "%s is not a regular file", v->text);
	else
		r = secret_check_file(v, &st, FILE_MODE_MOST, v->text);
	if (r == 0)
		r = secret_check_place(v, v->text);
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static int parse_file(struct value *v, char *text, ssize_t len, uint8_t *field)
{
	char where[CONFIG_PATH_MAX + 8];
	size_t name_len = strlen(v->key) - strlen("_file");

	if (len < 0)
		return value_refuse(v, "%s cannot be read: %s", v->text, strerror(errno));
	if (len > FILE_LEN_MAX || memchr(text, '\0', (size_t)len))
		return value_refuse(v, "%s holds something else than one key in base64", v->text);
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	text[len] = '\0';
	snprintf(where, sizeof(where), " in %s", v->text);
	return parse_key(v, v->key, (int)name_len, text, where, field);
}

/* Somebody took the file's key for the key itself: its text must not get into a message. */
static bool is_key(const char *text)
{
	uint8_t key[KEY_LEN];
	bool is = keys_from_base64(key, text, NULL) == 0;

	keys_wipe(key, sizeof(key));
	return is;
}

int value_key_file(struct value *v, void *field)
{
	char text[FILE_LEN_MAX + 1];
	char path[CONFIG_PATH_MAX];
	int fd = -1;
	int r;

	if (is_key(v->text))
		return value_refuse(v, "found a key (not shown), allowed: the path of a file");
	r = value_path(v, path);
	if (r < 0)
		return r;
	r = open_secret(v, &fd);
	if (r < 0)
		return r;
	r = parse_file(v, text, read(fd, text, sizeof(text)), field);
	keys_wipe(text, sizeof(text));
	close(fd);
	return r;
}
