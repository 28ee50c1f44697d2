/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/log.h"

/* What the child writes. */
#define READY 'r'

int daemonize_reserve_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int become_child(struct daemonize *ret, const int fds[2])
{
	*ret = (struct daemonize){.child = 0, .ready_fd = fds[1]};
	close(fds[0]);
	return setsid() < 0 || chdir("/") < 0 ? -errno : 0;
}

static int become_parent(struct daemonize *ret, const int fds[2], pid_t child)
{
	int r = child < 0 ? -errno : 0;

	close(fds[1]);
	if (r < 0) {
		close(fds[0]);
		return r;
	}
	*ret = (struct daemonize){.child = child, .ready_fd = fds[0]};
	return 0;
}

int daemonize_fork(struct daemonize *ret)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	return child == 0 ? become_child(ret, fds) : become_parent(ret, fds, child);
}

/* The child has ended without being ready, and has said why if it could. */
static int reap(pid_t child)
{
	int status;
	pid_t pid;

	do
		pid = waitpid(child, &status, 0);
	while (pid < 0 && errno == EINTR);
	if (pid < 0)
		return EXIT_FAILURE;
	if (WIFSIGNALED(status))
		log_error("the daemon was killed by signal %d before it was ready",
			  WTERMSIG(status));
	return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

int daemonize_wait(struct daemonize *d)
{
	char byte;
	ssize_t n;

	do
		n = read(d->ready_fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	close(d->ready_fd);
	return n == 1 && byte == READY ? EXIT_SUCCESS : reap(d->child);
}

int daemonize_leave_terminal(int null_fd)
{
	int r = 0;

	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		if (dup2(null_fd, i) < 0)
			r = -errno;
	return r;
}

int daemonize_tell_ready(struct daemonize *d)
{
	int r = write(d->ready_fd, &(const char){READY}, 1) == 1 ? 0 : -errno;

	close(d->ready_fd);
	d->ready_fd = -1;
	return r;
}
