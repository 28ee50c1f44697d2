/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "supervisor/lifecycle.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
#include "util/log.h"
#include "util/utf8.h"

/* A pipe takes so much at once, or nothing (pipe(7)). */
#define LINE_MAX_BYTES 2048

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

/* A line; what does not fit is cut off. */
struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *l, const char *format, ...)
{
	size_t room = sizeof(l->text) - l->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(l->text + l->len, room, format, args);
	va_end(args);
	if (n > 0)
		l->len += (size_t)n < room ? (size_t)n : room - 1;
}

/* In quotes. There are no control characters in a record. */
static void add_string(struct line *l, const char *value)
{
	char valid[RECORD_VALUE_MAX + 1];

	utf8_make_valid(valid, sizeof(valid), value);
	add(l, "\"");
	for (const char *c = valid; *c; c++)
		add(l, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	add(l, "\"");
}

/* The engine says that it is one, which is looked at. */
static bool is_number(const struct record_field *f)
{
	return f->is_number && *f->value && !f->value[strspn(f->value, "0123456789.-")];
}

static void add_json(struct line *l, const struct record *r)
{
	struct record_field f;

	for (size_t pos = 0; record_next(r, &pos, &f);) {
		add(l, ",\"%s\":", f.key);
		if (is_number(&f))
			add(l, "%s", f.value);
		else
			add_string(l, f.value);
	}
	add(l, "}");
}

static void add_text(struct line *l, const struct record *r)
{
	char fields[LINE_MAX_BYTES];

	if (record_write(r, fields, sizeof(fields)))
		add(l, " %s", fields);
}

/* One write, which does not wait; whoever does not read, or is gone, has no claim to it. */
static void write_line(const struct lifecycle *l, struct line *line)
{
	struct pollfd p = {.fd = l->status_fd, .events = POLLOUT};

	line->len -= line->len == sizeof(line->text) - 1;
	line->text[line->len++] = '\n';
	if (poll(&p, 1, 0) == 1 && write(l->status_fd, line->text, line->len) < 0)
		return;
}

void lifecycle_tell(const struct lifecycle *l, const struct record *r)
{
	double at = (double)r->at / NSEC_PER_SEC;
	struct line line = {.len = 0};

	if (l->status_fd < 0)
		return;
	if (l->format == LIFECYCLE_JSON) {
		add(&line, "{\"event\":\"%s\",\"instance\":\"%s\",\"time\":%.3f", r->name,
		    l->instance, at);
		add_json(&line, r);
	} else {
		add(&line, "event=%s instance=%s time=%.3f", r->name, l->instance, at);
		add_text(&line, r);
	}
	write_line(l, &line);
}

static void init_event(struct record *r, const char *name, pid_t engine)
{
	record_init(r, name);
	record_number(r, "pid", "%d", engine);
}

void lifecycle_spawned(const struct lifecycle *l, pid_t engine)
{
	struct record r;

	init_event(&r, "spawned", engine);
	lifecycle_tell(l, &r);
}

void lifecycle_setup_finished(const struct lifecycle *l, pid_t engine)
{
	struct record r;

	init_event(&r, "setup_finished", engine);
	lifecycle_tell(l, &r);
	lifecycle_notify(l, "READY=1\nSTATUS=up");
}

void lifecycle_reloading(const struct lifecycle *l)
{
	char lines[64];

	/* When it began is in the same message, or systemd does not take it (sd_notify(3)). */
	snprintf(lines, sizeof(lines), "RELOADING=1\nMONOTONIC_USEC=%lld",
		 (long long)(clock_read(CLOCK_MONOTONIC) / NSEC_PER_USEC));
	lifecycle_notify(l, lines);
}

void lifecycle_reloaded(const struct lifecycle *l)
{
	lifecycle_notify(l, "READY=1");
}

void lifecycle_exit_record(const struct lifecycle_exit *e, struct record *ret)
{
	init_event(ret, "exited", e->engine);
	if (WIFSIGNALED(e->status))
		record_number(ret, "signal", "%d", WTERMSIG(e->status));
	else
		record_number(ret, "code", "%d", WEXITSTATUS(e->status));
	record_add(ret, "cause", e->cause);
	if (!e->crashes)
		return;
	record_number(ret, "crashes", "%u", e->crashes);
	record_number(ret, "restart_limit", "%u", e->limit);
	if (e->restart_in != NSEC_NEVER)
		record_number(ret, "restart_ms", "%lld",
			      (long long)(e->restart_in / NSEC_PER_MSEC));
}

void lifecycle_exited(const struct lifecycle *l, const struct lifecycle_exit *e)
{
	struct record r;

	lifecycle_exit_record(e, &r);
	log_record(LOG_INFO, "engine has ended", &r);
	lifecycle_tell(l, &r);
}

bool lifecycle_is_own(const char *event)
{
	static const char *const own[] = {"spawned", "setup_finished", "exited"};

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (!strcmp(own[i], event))
			return true;
	return false;
}

void lifecycle_notify(const struct lifecycle *l, const char *lines)
{
	if (l->notify_fd >= 0 && send(l->notify_fd, lines, strlen(lines), MSG_NOSIGNAL) < 0)
		return; /* the manager will see for itself */
}
