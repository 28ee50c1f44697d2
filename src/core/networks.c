/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/networks.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/log.h"

#define WHY_MAX 256

/* Where a network's threads leave their last words. */
struct failure {
	int event_fd;
	char why[WHY_MAX];	 /* the thread that fails, before it sets: */
	_Atomic bool has_failed; /* release; the main thread reads it with acquire */
};

struct networks {
	int event_fd;
	struct running_network *running; /* n_running of them */
	size_t n_running;
	struct failure *failures; /* that of running[i] is failures[i] */
};

/* Any thread, once for each network. */
static void network_failed(void *ctx, const char *why)
{
	struct failure *failure = ctx;

	snprintf(failure->why, sizeof(failure->why), "%s", why);
	atomic_store_explicit(&failure->has_failed, true, memory_order_release);
	eventfd_write(failure->event_fd, 1);
}

static int start_one(struct networks *n, const struct network_settings *settings,
		     const char *state_dir)
{
	struct running_network *running = &n->running[n->n_running];
	struct failure *failure = &n->failures[n->n_running];
	int r;

	*failure = (struct failure){.event_fd = n->event_fd};
	r = network_start(&running->network, settings, state_dir, network_failed, failure);
	if (r < 0)
		return r;
	running->settings = settings;
	n->n_running++;
	return 0;
}

static int start_all(struct networks *n, const struct config *config)
{
	size_t n_enabled = 0;
	int last_failure = 0;
	int r;

	for (size_t i = 0; i < config->n_networks; i++) {
		const struct network_settings *settings = &config->networks[i];

		if (!settings->is_enabled) {
			log_info("network %s: not enabled", settings->name);
			continue;
		}
		n_enabled++;
		r = start_one(n, settings, config->daemon.state_dir);
		if (r < 0)
			last_failure = r;
	}
	if (!n_enabled) {
		log_error("no network is enabled; nothing to do");
		return -ENOENT;
	}
	if (!n->n_running)
		return last_failure;
	if (last_failure)
		log_warn("only %zu of %zu networks are up", n->n_running, n_enabled);
	return 0;
}

int networks_start(struct networks **ret, const struct config *config)
{
	struct networks *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return -ENOMEM;
	n->running = calloc(config->n_networks, sizeof(*n->running));
	n->failures = calloc(config->n_networks, sizeof(*n->failures));
	n->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = n->event_fd < 0 ? -errno : 0;
	if (!n->running || !n->failures)
		r = -ENOMEM;
	if (!r)
		r = start_all(n, config);
	if (r < 0) {
		networks_stop(n);
		return r;
	}
	*ret = n;
	return 0;
}

void networks_stop(struct networks *n)
{
	if (!n)
		return;
	while (n->n_running > 0) {
		const struct running_network *running = &n->running[--n->n_running];

		network_stop(running->network);
		log_info("network %s: stopped", running->settings->name);
	}
	if (n->event_fd >= 0)
		close(n->event_fd);
	free(n->running);
	free(n->failures);
	free(n);
}

const struct running_network *networks_list(const struct networks *n, size_t *ret_count)
{
	*ret_count = n->n_running;
	return n->running;
}

int networks_failure_fd(const struct networks *n)
{
	return n->event_fd;
}

const char *networks_take_failure(struct networks *n, const char **ret_why)
{
	eventfd_t count;

	/* A network that failed while it was started may have written as well. */
	eventfd_read(n->event_fd, &count);
	for (size_t i = 0; i < n->n_running; i++) {
		const struct failure *failure = &n->failures[i];

		if (atomic_load_explicit(&failure->has_failed, memory_order_acquire)) {
			*ret_why = failure->why;
			return n->running[i].settings->name;
		}
	}
	return NULL;
}
