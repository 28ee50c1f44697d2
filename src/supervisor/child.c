/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "supervisor/child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "broker/channel.h"
#include "util/log.h"

/* Beyond it there is nothing of ours. */
#define DESCRIPTORS_FROM 3

/* All that was inherited, but the channel and the standard streams. */
static void close_others(int channel)
{
	if (channel > DESCRIPTORS_FROM)
		close_range(DESCRIPTORS_FROM, (unsigned)channel - 1, 0);
	close_range((unsigned)channel + 1, ~0U, 0);
}

static void run(const struct child_settings *s, int channel)
{
	sigset_t none;

	s->forget_secrets(s->ctx);
	close_others(channel);
	prctl(PR_SET_NAME, s->name);
	if (chdir("/") < 0)
		log_debug("/: %m");
	/* A terminal's Ctrl-C is for the supervisor to judge. */
	signal(SIGINT, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	s->serve(s->arg, channel);
}

int child_start(const struct child_settings *s, int *ret_fd, pid_t *ret_pid)
{
	int fds[2];
	int r = channel_pair(fds);
	pid_t child;

	if (r < 0)
		return r;
	child = fork();
	if (child == 0) {
		run(s, fds[1]);
		_exit(EXIT_SUCCESS);
	}
	r = child < 0 ? -errno : 0;
	close(fds[1]);
	if (r < 0) {
		close(fds[0]);
		return r;
	}
	*ret_fd = fds[0];
	*ret_pid = child;
	return 0;
}
