/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/config_file.h"
#include "core/config_secret.h"
#include "crypto/keys.h"
#include "util/log.h"

/* The file itself where the path is a link to it, so that the link stays. */
struct paths {
	char now[PATH_MAX];
	char next[PATH_MAX + 8], old[PATH_MAX + 8];
};

static int find_paths(struct paths *ret, const char *path)
{
	if (!realpath(path, ret->now))
		return -errno;
	snprintf(ret->next, sizeof(ret->next), "%s.next", ret->now);
	snprintf(ret->old, sizeof(ret->old), "%s.old", ret->now);
	return 0;
}

static void write_key(FILE *f, const void *key)
{
	char text[KEY_BASE64_LEN + 1];

	keys_to_base64(text, key);
	fprintf(f, "%s\n", text);
	keys_wipe(text, sizeof(text));
}

/* The entries of a file's directory are on the disk. */
static int sync_directory(const char *path)
{
	char copy[PATH_MAX];
	int fd;
	int r;

	strcpy(copy, path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static int make_next(const struct paths *p)
{
	uint8_t key[KEY_LEN];
	int r;

	keys_generate(key);
	r = config_file_write(p->next, write_key, key, false);
	keys_wipe(key, sizeof(key));
	return r < 0 ? r : sync_directory(p->now);
}

int key_file_next(const char *path, bool may_make, uint8_t ret_key[32])
{
	struct value v = {.key = "private_key_file"};
	struct paths p;
	int r = find_paths(&p, path);

	if (r < 0)
		return r;
	if (access(p.next, F_OK) < 0)
		r = errno != ENOENT ? -errno : may_make ? make_next(&p) : -ENOKEY;
	if (r < 0)
		return r;
	v.text = p.next;
	r = value_key_file(&v, ret_key);
	if (r == -EINVAL)
		log_error("private key: %s", v.why);
	return r;
}

int key_file_take_next(const char *path)
{
	struct paths p;
	int r = find_paths(&p, path);

	if (r < 0)
		return r;
	if (unlink(p.old) < 0 && errno != ENOENT)
		return -errno;
	/* Both names for a moment, so that there is never none. */
	if (link(p.now, p.old) < 0 || rename(p.next, p.now) < 0)
		return -errno;
	return sync_directory(p.now);
}
