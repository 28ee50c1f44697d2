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
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/channel.h"
#include "supervisor/child.h"
#include "util/log.h"

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
	sigset_t none;
	size_t n = 1;

	for (char *at = h->environment; at < h->environment + h->len && n < VARIABLES_MAX;
	     at += strlen(at) + 1)
		variables[n++] = at;
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	execve(h->path, arguments, variables);
	log_error("hook %s: %s", h->path, strerror(errno));
	_exit(127);
}

/* Has it ended in time? What we are told meanwhile it is told, with all that it has started. */
static bool await(pid_t child, int signal_fd)
{
	int fd = (int)syscall(SYS_pidfd_open, child, 0);
	struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
	nsec_t until = clock_now() + HOOK_TIMEOUT;
	struct signalfd_siginfo info;

	while (!p[0].revents && clock_now() < until) {
		int ms = (int)((until - clock_now()) / NSEC_PER_MSEC) + 1;

		if (poll(p, 2, ms) > 0 && p[1].revents &&
		    read(signal_fd, &info, sizeof(info)) == sizeof(info))
			kill(-child, (int)info.ssi_signo);
	}
	if (fd >= 0)
		close(fd);
	return p[0].revents;
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

static void run(struct hook *h, int signal_fd)
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
	if (!await(child, signal_fd)) {
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

/* What is passed on to a hook. */
static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void serve(void *arg, int channel)
{
	int signal_fd = block_signals();
	struct hook h;
	size_t len;
	int fd;

	(void)arg;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	while (channel_receive(channel, &h, sizeof(h), &len, &fd) == 0) {
		if (fd >= 0)
			close(fd);
		if (len == sizeof(h))
			run(&h, signal_fd);
	}
}

int hooks_start(void (*forget_secrets)(void *ctx), void *ctx, struct hooks *ret)
{
	const struct child_settings s = {
		.name = "vt-hooks", .forget_secrets = forget_secrets, .ctx = ctx, .serve = serve};
	int r = child_start(&s, &ret->fd, &ret->runner);

	if (r == 0)
		fcntl(ret->fd, F_SETFL, O_NONBLOCK);
	return r;
}

int hooks_run(const struct hooks *hooks, const struct hook *h)
{
	return channel_send(hooks->fd, h, sizeof(*h), -1);
}

static bool ends_within(int pidfd, nsec_t time)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, (int)(time / NSEC_PER_MSEC)) != 0;
}

void hooks_end(struct hooks *hooks)
{
	int fd;

	if (hooks->fd < 0)
		return;
	fd = (int)syscall(SYS_pidfd_open, hooks->runner, 0);
	close(hooks->fd);
	hooks->fd = -1;
	if (fd < 0)
		return;
	if (!ends_within(fd, HOOKS_LAST_WORDS)) {
		log_warn("a hook still runs; it is told to end");
		kill(hooks->runner, SIGTERM);
		if (!ends_within(fd, HOOKS_MERCY))
			log_warn("hooks still run; they are left alone");
	}
	close(fd);
}
