/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "control/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 16

int control_socket_address(struct sockaddr_un *ret, const char *path)
{
	size_t len = strlen(path);

	if (!len)
		return -EINVAL;
	if (len > CONTROL_PATH_MAX)
		return -ENAMETOOLONG;
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(ret->sun_path, path, len + 1);
	return 0;
}

/* Only the last directory: a missing parent is more likely a mistake in the path. */
static int make_directory(const char *path)
{
	char directory[CONTROL_PATH_MAX + 1];
	char *slash;

	strcpy(directory, path);
	slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return 0;
	*slash = '\0';
	if (mkdir(directory, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	/*
	 * vtrunkctl of other users must at least be told "permission denied", whatever the umask.
	 */
	return chmod(directory, 0755) < 0 ? -errno : 0;
}

/* 0 if nobody listens any more. */
static int probe(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	close(fd);
	if (r == -ECONNREFUSED || r == -ENOENT)
		return 0;
	/* A full backlog, or a socket of another type, has an owner as well. */
	return !r || r == -EAGAIN || r == -EPROTOTYPE ? -EADDRINUSE : r;
}

static bool is_file(const char *path, dev_t device, ino_t inode)
{
	struct stat st;

	return lstat(path, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

/* Removes what a daemon that was killed has left. */
static int remove_stale(const struct sockaddr_un *address)
{
	struct stat st;
	int r;

	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	r = probe(address);
	if (r < 0)
		return r;
	/* Another daemon may have replaced it since. */
	if (!is_file(address->sun_path, st.st_dev, st.st_ino))
		return -EADDRINUSE;
	return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int bind_private(int fd, const struct sockaddr_un *address)
{
	mode_t before = umask(0177);
	int r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;

	umask(before);
	return r;
}

/* Binds `s->fd` and remembers which file that made. */
static int claim(struct control_socket *s)
{
	struct stat st;
	int r = bind_private(s->fd, &s->address);

	if (r < 0)
		return r;
	if (lstat(s->address.sun_path, &st) < 0)
		return -errno;
	s->device = st.st_dev;
	s->inode = st.st_ino;
	return listen(s->fd, BACKLOG) < 0 ? -errno : 0;
}

int control_socket_listen(struct control_socket *ret, const char *path)
{
	struct control_socket s = {.fd = -1};
	int r = control_socket_address(&s.address, path);

	if (r < 0)
		return r;
	r = make_directory(path);
	if (r < 0)
		return r;
	r = remove_stale(&s.address);
	if (r < 0)
		return r;
	s.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s.fd < 0)
		return -errno;
	r = claim(&s);
	if (r < 0) {
		control_socket_close(&s);
		return r;
	}
	*ret = s;
	return 0;
}

static int get_option(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -errno : value;
}

int control_socket_adopt(struct control_socket *ret, int fd)
{
	struct control_socket s = {.fd = fd};
	socklen_t len = sizeof(s.address) - 1; /* the path ends with a zero in any case */
	int domain = get_option(fd, SO_DOMAIN);
	struct stat st;

	if (domain < 0)
		return domain;
	if (domain != AF_UNIX || get_option(fd, SO_TYPE) != SOCK_STREAM)
		return -EPROTOTYPE;
	if (get_option(fd, SO_ACCEPTCONN) != 1)
		return -EINVAL;
	if (getsockname(fd, (struct sockaddr *)&s.address, &len) < 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	if (lstat(s.address.sun_path, &st) == 0 && S_ISSOCK(st.st_mode)) {
		s.device = st.st_dev;
		s.inode = st.st_ino;
	}
	*ret = s;
	return 0;
}

int control_socket_share(const struct control_socket *s, gid_t group)
{
	const char *path = s->address.sun_path;

	if (!is_file(path, s->device, s->inode))
		return -ENOENT;
	/* The mode last: before it, the group can do nothing. */
	if (lchown(path, (uid_t)-1, group) < 0 || chmod(path, 0660) < 0)
		return -errno;
	return 0;
}

void control_socket_close(struct control_socket *s)
{
	if (s->fd < 0)
		return;
	if (s->inode && is_file(s->address.sun_path, s->device, s->inode))
		unlink(s->address.sun_path);
	close(s->fd);
	s->fd = -1;
}
