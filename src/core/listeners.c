/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/paths.h"
#include "util/log.h"

void listeners_init(struct listeners *l)
{
	*l = (struct listeners){.control.fd = -1, .uapi_watch = -1};
	for (int i = 0; i < BROKER_METRICS_KINDS; i++)
		l->metrics[i].fd = l->next_metrics[i].fd = -1;
}

/* Its members may do everything, as its owner may. */
static int share_control(struct listeners *l, const char *group)
{
	const struct group *found;
	int r;

	errno = 0;
	found = getgrnam(group);
	if (!found) {
		r = errno ? -errno : -ENOENT;
		log_error("control_group = %s: %s", group,
			  errno ? strerror(errno) : "there is no such group");
		return r;
	}
	r = control_socket_share(&l->control, found->gr_gid);
	if (r < 0)
		log_error("control_group = %s: %s", group, strerror(-r));
	return r;
}

static int open_control(struct listeners *l, const struct daemon_settings *s)
{
	const char *path = s->control_socket;
	int r = control_socket_listen(&l->control, path);

	if (r == -EADDRINUSE)
		log_error("control socket %s: another daemon listens there", path);
	else if (r == -EEXIST)
		log_error("control socket %s: a file of another kind is in the way", path);
	else if (r < 0)
		log_error("control socket %s: %s", path, strerror(-r));
	return r == 0 && *s->control_group ? share_control(l, s->control_group) : r;
}

static int listen_tcp(const struct addr *a)
{
	const int on = 1;
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &a->sa, addr_len(a)) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

/* -ENOENT where none is wanted. */
static int open_metrics(struct control_socket *ret, enum broker_metrics_kind kind,
			const struct daemon_settings *s)
{
	char text[ADDR_TEXT_MAX];
	int fd;
	int r;

	if (kind == BROKER_METRICS_SOCKET) {
		if (!*s->metrics_socket)
			return -ENOENT;
		r = control_socket_listen(ret, s->metrics_socket);
		if (r < 0)
			log_error("metrics socket %s: %s", s->metrics_socket, strerror(-r));
		return r;
	}
	if (!addr_is_set(&s->metrics_listen))
		return -ENOENT;
	fd = listen_tcp(&s->metrics_listen);
	if (fd < 0) {
		log_error("metrics_listen = %s: %s", addr_format(&s->metrics_listen, text),
			  strerror(-fd));
		return fd;
	}
	*ret = (struct control_socket){.fd = fd};
	return 0;
}

static int open_all_metrics(struct listeners *l, const struct daemon_settings *s)
{
	int r = 0;

	l->metrics_settings = *s;
	for (int i = 0; (r == 0 || r == -ENOENT) && i < BROKER_METRICS_KINDS; i++)
		r = open_metrics(&l->metrics[i], (enum broker_metrics_kind)i, s);
	return r == -ENOENT ? 0 : r;
}

int listeners_give_metrics(struct listeners *l, enum broker_metrics_kind kind,
			   const struct daemon_settings *s, int *ret_fd)
{
	struct control_socket *own = &l->next_metrics[kind];
	int r;

	/* Of a reload that was not kept. */
	control_socket_close(own);
	r = open_metrics(own, kind, s);
	if (r < 0)
		return r;
	*ret_fd = fcntl(own->fd, F_DUPFD_CLOEXEC, 0);
	if (*ret_fd >= 0)
		return 0;
	r = -errno;
	control_socket_close(own);
	return r;
}

bool metrics_are_same(enum broker_metrics_kind kind, const struct daemon_settings *a,
		      const struct daemon_settings *b)
{
	return kind == BROKER_METRICS_SOCKET ? !strcmp(a->metrics_socket, b->metrics_socket)
					     : addr_equal(&a->metrics_listen, &b->metrics_listen);
}

void listeners_keep_metrics(struct listeners *l, const struct daemon_settings *s)
{
	for (int i = 0; i < BROKER_METRICS_KINDS; i++) {
		if (metrics_are_same((enum broker_metrics_kind)i, &l->metrics_settings, s)) {
			control_socket_close(&l->next_metrics[i]);
			continue;
		}
		control_socket_close(&l->metrics[i]);
		l->metrics[i] = l->next_metrics[i];
		l->next_metrics[i].fd = -1;
	}
	l->metrics_settings = *s;
}

static struct uapi_listener *find_uapi(struct listeners *l, const char *interface)
{
	for (size_t i = 0; i < l->n_uapi; i++)
		if (!strcmp(l->uapi[i].interface, interface))
			return &l->uapi[i];
	return NULL;
}

/* Where wg(8) finds the interface. */
static int open_uapi(struct listeners *l, const char *interface, int level)
{
	struct uapi_listener *u = &l->uapi[l->n_uapi];
	const char *directory = getenv("VTRUNKD_UAPI_DIR");
	char path[CONFIG_PATH_MAX];
	int r;

	if (l->n_uapi == UAPI_LISTENERS_MAX)
		return -EMFILE;
	snprintf(path, sizeof(path), "%s/%s.sock", directory && *directory ? directory : UAPI_DIR,
		 interface);
	r = control_socket_listen(&u->socket, path);
	if (r < 0) {
		log_write(level, "interface %s: wg(8) cannot reach it by %s: %s", interface, path,
			  r == -EADDRINUSE ? "another WireGuard listens there" : strerror(-r));
		return r;
	}
	strcpy(u->interface, interface);
	l->n_uapi++;
	return 0;
}

/* wg-quick(8) ends a daemon of the form `vtrunkd IFACE` by removing its socket. */
static void watch_uapi(struct listeners *l)
{
	char directory[CONTROL_PATH_MAX + 1];
	char *slash;

	strcpy(directory, l->uapi->socket.address.sun_path);
	slash = strrchr(directory, '/');
	if (!slash)
		return; /* one that was given to us, without a name */
	*slash = '\0';
	l->uapi_watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (l->uapi_watch < 0 ||
	    inotify_add_watch(l->uapi_watch, directory, IN_DELETE | IN_MOVED_FROM) < 0)
		log_warn("%s: cannot be watched: %m", directory);
}

int listeners_open_watched_uapi(struct listeners *l, const char *interface,
				struct control_socket *given)
{
	int r = 0;

	if (given->fd >= 0) {
		strcpy(l->uapi->interface, interface);
		l->uapi->socket = *given;
		l->n_uapi = 1;
		given->fd = -1;
	} else {
		r = open_uapi(l, interface, LOG_ERR);
	}
	if (r == 0)
		watch_uapi(l);
	return r;
}

int listeners_give_uapi(struct listeners *l, const char *interface, int *ret_fd)
{
	int r = find_uapi(l, interface) ? 0 : open_uapi(l, interface, LOG_INFO);
	int fd;

	if (r < 0)
		return r;
	fd = fcntl(find_uapi(l, interface)->socket.fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int listeners_close_uapi(struct listeners *l, const char *interface)
{
	struct uapi_listener *u = find_uapi(l, interface);

	if (!u)
		return -ENOENT;
	control_socket_close(&u->socket);
	*u = l->uapi[--l->n_uapi];
	return 0;
}

void listeners_forget_uapi(struct listeners *l)
{
	for (size_t i = 0; i < l->n_uapi; i++)
		close(l->uapi[i].socket.fd);
}

int listeners_open(struct listeners *l, const struct config *config)
{
	int r = open_control(l, &config->daemon);

	return r < 0 ? r : open_all_metrics(l, &config->daemon);
}

void listeners_close(struct listeners *l)
{
	for (int i = 0; i < BROKER_METRICS_KINDS; i++) {
		control_socket_close(&l->metrics[i]);
		control_socket_close(&l->next_metrics[i]);
	}
	control_socket_close(&l->control);
	for (size_t i = 0; i < l->n_uapi; i++)
		control_socket_close(&l->uapi[i].socket);
	if (l->uapi_watch >= 0)
		close(l->uapi_watch);
}
