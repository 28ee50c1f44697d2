/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "supervisor/helper.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "broker/channel.h"
#include "broker/lookup.h"
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

static void run(const struct supervisor_settings *s, int channel, pid_t parent)
{
	sigset_t none;
	int r = 0;

	prctl(PR_SET_NAME, "vt-names");
	if (chdir("/") < 0)
		log_debug("/: %m");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* A terminal's Ctrl-C is for the supervisor to judge. */
	signal(SIGINT, SIG_IGN);
	if (s->is_sandboxed)
		r = sandbox_become(&s->user);
	if (r < 0)
		log_warn("names are looked up with privilege: %s", strerror(-r));
	if (sandbox_die_with(parent) == 0)
		lookup_serve(channel);
}

int helper_start(const struct supervisor_settings *s, const struct supervisor_calls *calls,
		 void *ctx, int *ret_fd, pid_t *ret_pid)
{
	pid_t parent = getpid();
	int fds[2];
	int r = channel_pair(fds);
	pid_t child;

	if (r < 0)
		return r;
	child = fork();
	if (child == 0) {
		calls->forget_secrets(ctx);
		close_others(fds[1]);
		run(s, fds[1], parent);
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
