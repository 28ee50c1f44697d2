/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "supervisor/helper.h"

#include <string.h>
#include <unistd.h>

#include "broker/lookup.h"
#include "supervisor/child.h"
#include "util/log.h"

struct helper {
	const struct supervisor_settings *settings;
	pid_t parent;
};

static void serve(void *arg, int channel)
{
	const struct helper *h = arg;
	int r = h->settings->is_sandboxed ? sandbox_become(&h->settings->user) : 0;

	if (r < 0)
		log_warn("names are looked up with privilege: %s", strerror(-r));
	if (sandbox_die_with(h->parent) == 0)
		lookup_serve(channel);
}

int helper_start(const struct supervisor_settings *s, const struct supervisor_calls *calls,
		 void *ctx, int *ret_fd, pid_t *ret_pid)
{
	struct helper h = {.settings = s, .parent = getpid()};

	return child_start(&(struct child_settings){.name = "vt-names",
						    .forget_secrets = calls->forget_secrets,
						    .ctx = ctx,
						    .serve = serve,
						    .arg = &h},
			   ret_fd, ret_pid);
}
