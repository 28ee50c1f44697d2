/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The control socket in the file system: made for its owner alone, never taken from a daemon
 * that lives, removed only by the one that made it.
 */
#pragma once

#include <sys/stat.h>
#include <sys/un.h>

/* What a path may have, its terminating zero not counted. */
#define CONTROL_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

struct control_socket {
	int fd; /* listening, non-blocking */
	struct sockaddr_un address;
	dev_t device; /* with `inode`: the file that is ours */
	ino_t inode;
};

/* 0, -EINVAL for an empty path, -ENAMETOOLONG for one above CONTROL_PATH_MAX. */
int control_socket_address(struct sockaddr_un *ret, const char *path);

/*
 * Listens at `path`, mode 0600; makes its directory (0755) where that is missing. Call from the
 * main thread: the process's umask changes for a moment. 0; -EADDRINUSE when somebody listens
 * there; -EEXIST when a file of another kind is in the way; or -errno.
 */
int control_socket_listen(struct control_socket *ret, const char *path);
/*
 * One that somebody else has opened, and left to us; it becomes non-blocking, and is closed on
 * exec. Takes over `fd` with 0; else -EBADF, -ENOTSOCK; -EPROTOTYPE: no stream socket of Unix;
 * -EINVAL: it does not listen.
 */
int control_socket_adopt(struct control_socket *ret, int fd);
/* The group may use it as well: mode 0660. 0; -ENOENT where the file is not ours; or -errno. */
int control_socket_share(const struct control_socket *s, gid_t group);
/* Closes it and removes the file, if that is still ours. */
void control_socket_close(struct control_socket *s);
