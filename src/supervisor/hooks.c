/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "supervisor/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/channel.h"
#include "util/log.h"

#define DESCRIPTORS_FROM 3
#define VARIABLES_MAX 32

bool hook_set(struct hook *h, const char *key, const char *value)
{
	size_t room = sizeof(h->environment) - h->len;
	int n = snprintf(h->environment + h->len, room, "%s=%s", key, value);

	if (n < 0 || (size_t)n >= room)
		return false;
	h->len = (uint16_t)(h->len + n + 1);
	return true;
}

/* In the child: becomes the program. Its group is its own, to be killed as a whole. */
static void become_program(struct hook *h)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *arguments[] = {h->path, h->event, NULL};
	char *variables[VARIABLES_MAX + 1] = {path};
	size_t n = 1;

	for (char *at = h->environment; at < h->environment + h->len && n < VARIABLES_MAX;
	     at += strlen(at) + 1)
		variables[n++] = at;
	setpgid(0, 0);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	execve(h->path, arguments, variables);
	log_error("hook %s: %s", h->path, strerror(errno));
	_exit(127);
}

/* Has it ended in time? */
static bool await(pid_t child)
{
	int fd = (int)syscall(SYS_pidfd_open, child, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	bool has_ended = poll(&p, 1, (int)(HOOK_TIMEOUT / NSEC_PER_MSEC)) > 0;

	if (fd >= 0)
		close(fd);
	return has_ended;
}

static void report(const struct hook *h, int status)
{
	if (WIFSIGNALED(status))
		log_warn("hook %s (%s): killed by SIG%s", h->path, h->event,
			 sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		log_warn("hook %s (%s): ended with status %d", h->path, h->event,
			 WEXITSTATUS(status));
	else
		log_debug("hook %s (%s): done", h->path, h->event);
}

static void run(struct hook *h)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		become_program(h);
	if (child < 0) {
		log_error("hook %s (%s): %s", h->path, h->event, strerror(errno));
		return;
	}
	setpgid(child, child);
	if (!await(child)) {
		log_warn("hook %s (%s): killed after %d s", h->path, h->event,
			 (int)(HOOK_TIMEOUT / NSEC_PER_SEC));
		kill(-child, SIGKILL);
	}
	if (waitpid(child, &status, 0) == child)
		report(h, status);
	/* What it has left behind is adopted by us, and gone with its group. */
	kill(-child, SIGKILL);
	while (waitpid(-1, &status, WNOHANG) > 0)
		continue;
}

static void serve(int channel)
{
	struct hook h;
	size_t len;
	int fd;

	while (channel_receive(channel, &h, sizeof(h), &len, &fd) == 0) {
		if (fd >= 0)
			close(fd);
		if (len == sizeof(h))
			run(&h);
	}
}

/* All that was inherited, but the channel and the standard streams. */
static void close_others(int channel)
{
	if (channel > DESCRIPTORS_FROM)
		close_range(DESCRIPTORS_FROM, (unsigned)channel - 1, 0);
	close_range((unsigned)channel + 1, ~0U, 0);
}

static void become_runner(int channel)
{
	sigset_t none;

	prctl(PR_SET_NAME, "vt-hooks");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (chdir("/") < 0)
		log_debug("/: %m");
	/* A terminal's Ctrl-C is for the supervisor to judge. */
	signal(SIGINT, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	serve(channel);
}

int hooks_start(void (*forget_secrets)(void *ctx), void *ctx, struct hooks *ret)
{
	int fds[2];
	int r = channel_pair(fds);
	pid_t child;

	if (r < 0)
		return r;
	child = fork();
	if (child == 0) {
		forget_secrets(ctx);
		close_others(fds[1]);
		become_runner(fds[1]);
		_exit(EXIT_SUCCESS);
	}
	r = child < 0 ? -errno : 0;
	close(fds[1]);
	if (r < 0) {
		close(fds[0]);
		return r;
	}
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	*ret = (struct hooks){.fd = fds[0], .runner = child};
	return 0;
}

int hooks_run(const struct hooks *hooks, const struct hook *h)
{
	return channel_send(hooks->fd, h, sizeof(*h), -1);
}

void hooks_end(struct hooks *hooks)
{
	int fd;
	struct pollfd p;

	if (hooks->fd < 0)
		return;
	fd = (int)syscall(SYS_pidfd_open, hooks->runner, 0);
	close(hooks->fd);
	hooks->fd = -1;
	p = (struct pollfd){.fd = fd, .events = POLLIN};
	if (fd >= 0 && poll(&p, 1, (int)(HOOKS_LAST_WORDS / NSEC_PER_MSEC)) == 0)
		log_warn("hooks still run; they are left alone");
	if (fd >= 0)
		close(fd);
}
