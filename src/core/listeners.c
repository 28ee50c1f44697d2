/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/listeners.h"

#include <errno.h>
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
	*l = (struct listeners){
		.control.fd = -1, .metrics.fd = -1, .metrics_tcp = -1, .uapi_watch = -1};
}

static int open_control(struct listeners *l, const char *path)
{
	int r = control_socket_listen(&l->control, path);

	if (r == -EADDRINUSE)
		log_error("control socket %s: another daemon listens there", path);
	else if (r == -EEXIST)
		log_error("control socket %s: a file of another kind is in the way", path);
	else if (r < 0)
		log_error("control socket %s: %s", path, strerror(-r));
	return r;
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

static int open_metrics(struct listeners *l, const struct daemon_settings *s)
{
	char text[ADDR_TEXT_MAX];
	int r = 0;

	if (*s->metrics_socket)
		r = control_socket_listen(&l->metrics, s->metrics_socket);
	if (r < 0)
		log_error("metrics socket %s: %s", s->metrics_socket, strerror(-r));
	if (r < 0 || !addr_is_set(&s->metrics_listen))
		return r;
	l->metrics_tcp = listen_tcp(&s->metrics_listen);
	r = l->metrics_tcp < 0 ? l->metrics_tcp : 0;
	if (r < 0)
		log_error("metrics_listen = %s: %s", addr_format(&s->metrics_listen, text),
			  strerror(-r));
	return r;
}

/* Where wg(8) finds the interface. Of use, but needed only where nothing else sets it up. */
static int open_uapi_socket(struct listeners *l, const struct network_settings *n,
			    const char *directory, bool is_needed)
{
	struct uapi_listener *u = &l->uapi[l->n_uapi];
	char path[CONFIG_PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%s/%s.sock", directory, n->interface);
	r = control_socket_listen(&u->socket, path);
	if (r == 0) {
		strcpy(u->interface, n->interface);
		l->n_uapi++;
		return 0;
	}
	log_write(is_needed ? LOG_ERR : LOG_INFO, "network %s: wg(8) cannot reach it by %s: %s",
		  n->name, path,
		  r == -EADDRINUSE ? "another WireGuard listens there" : strerror(-r));
	return is_needed ? r : 0;
}

/* wg-quick(8) ends a daemon of the form `vtrunkd IFACE` by removing its socket. */
static void watch_uapi(struct listeners *l, const char *directory)
{
	l->uapi_watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (l->uapi_watch < 0 ||
	    inotify_add_watch(l->uapi_watch, directory, IN_DELETE | IN_MOVED_FROM) < 0)
		log_warn("%s: cannot be watched: %m", directory);
}

static int open_uapi(struct listeners *l, const struct config *config, bool is_needed)
{
	const char *directory = getenv("VTRUNKD_UAPI_DIR");
	int r = 0;

	directory = directory && *directory ? directory : UAPI_DIR;
	l->uapi = calloc(config->n_networks, sizeof(*l->uapi));
	if (!l->uapi)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < config->n_networks; i++) {
		const struct network_settings *n = &config->networks[i];

		if (n->has_uapi && n->is_enabled)
			r = open_uapi_socket(l, n, directory, is_needed);
	}
	if (r == 0 && is_needed)
		watch_uapi(l, directory);
	return r;
}

int listeners_open(struct listeners *l, const struct config *config, bool needs_uapi)
{
	int r = open_control(l, config->daemon.control_socket);

	if (r == 0)
		r = open_metrics(l, &config->daemon);
	if (r == 0)
		r = open_uapi(l, config, needs_uapi);
	return r;
}

void listeners_close(struct listeners *l)
{
	if (l->metrics_tcp >= 0)
		close(l->metrics_tcp);
	control_socket_close(&l->metrics);
	control_socket_close(&l->control);
	for (size_t i = 0; i < l->n_uapi; i++)
		control_socket_close(&l->uapi[i].socket);
	if (l->uapi_watch >= 0)
		close(l->uapi_watch);
	free(l->uapi);
}
