/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "supervisor/lifecycle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"

#define LINE_MAX_BYTES 512

/* NOTIFY_SOCKET: a path, or "@" and an abstract name. -1 where there is none that works. */
static int connect_manager(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = name ? strlen(name) : 0;
	int fd;

	if (len < 2 || len >= sizeof(address.sun_path) || (*name != '/' && *name != '@'))
		return -1;
	memcpy(address.sun_path, name, len);
	if (*name == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* WATCHDOG_USEC is meant for the process of WATCHDOG_PID, where that is given. */
static uint64_t read_watchdog(void)
{
	const char *usecs = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");

	if (!usecs || (pid && strtol(pid, NULL, 10) != getpid()))
		return 0;
	return strtoull(usecs, NULL, 10);
}

int lifecycle_init(struct lifecycle *ret, int status_fd, enum lifecycle_format format)
{
	struct lifecycle l = {.status_fd = status_fd, .format = format, .notify_fd = -1};
	uint64_t id;

	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return -errno;
	snprintf(l.instance, sizeof(l.instance), "%016llx", (unsigned long long)id);
	if (status_fd >= 0 && fcntl(status_fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	l.notify_fd = connect_manager(getenv("NOTIFY_SOCKET"));
	if (l.notify_fd >= 0)
		l.watchdog_usecs = read_watchdog();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	*ret = l;
	return 0;
}

void lifecycle_deinit(struct lifecycle *l)
{
	if (l->notify_fd >= 0)
		close(l->notify_fd);
	if (l->status_fd >= 0)
		close(l->status_fd);
	l->notify_fd = l->status_fd = -1;
}

/* Appends to the line; what does not fit is cut off. `text` has nothing that JSON would escape. */
__attribute__((format(printf, 3, 4))) static void add(char *line, size_t *len, const char *format,
						      ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line + *len, LINE_MAX_BYTES - *len, format, args);
	va_end(args);
	if (n > 0)
		*len += (size_t)n < LINE_MAX_BYTES - *len ? (size_t)n : LINE_MAX_BYTES - *len - 1;
}

static void add_head(const struct lifecycle *l, char *line, size_t *len, const char *event,
		     pid_t engine)
{
	double now = (double)clock_wall() / NSEC_PER_SEC;

	if (l->format == LIFECYCLE_JSON)
		add(line, len, "{\"event\":\"%s\",\"instance\":\"%s\",\"time\":%.3f,\"pid\":%d",
		    event, l->instance, now, engine);
	else
		add(line, len, "event=%s instance=%s time=%.3f pid=%d", event, l->instance, now,
		    engine);
}

static void write_line(const struct lifecycle *l, char *line, size_t len)
{
	if (l->format == LIFECYCLE_JSON)
		add(line, &len, "}");
	line[len++] = '\n';
	/* One write; whoever does not read, or is gone, has no claim to it. */
	if (write(l->status_fd, line, len) < 0)
		return;
}

static void tell(const struct lifecycle *l, const char *event, pid_t engine)
{
	char line[LINE_MAX_BYTES + 2];
	size_t len = 0;

	if (l->status_fd < 0)
		return;
	add_head(l, line, &len, event, engine);
	write_line(l, line, len);
}

void lifecycle_spawned(const struct lifecycle *l, pid_t engine)
{
	tell(l, "spawned", engine);
}

void lifecycle_setup_finished(const struct lifecycle *l, pid_t engine)
{
	tell(l, "setup_finished", engine);
	lifecycle_notify(l, "READY=1\nSTATUS=up");
}

void lifecycle_exited(const struct lifecycle *l, pid_t engine, int status, const char *cause)
{
	const char *key = WIFSIGNALED(status) ? "signal" : "code";
	int value = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
	char line[LINE_MAX_BYTES + 2];
	size_t len = 0;

	if (l->status_fd < 0)
		return;
	add_head(l, line, &len, "exited", engine);
	if (l->format == LIFECYCLE_JSON)
		add(line, &len, ",\"%s\":%d,\"cause\":\"%s\"", key, value, cause);
	else
		add(line, &len, " %s=%d cause=\"%s\"", key, value, cause);
	write_line(l, line, len);
}

void lifecycle_notify(const struct lifecycle *l, const char *lines)
{
	if (l->notify_fd >= 0 && send(l->notify_fd, lines, strlen(lines), MSG_NOSIGNAL) < 0)
		return; /* the manager will see for itself */
}
