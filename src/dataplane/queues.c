/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/queues.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/network_state.h"
#include "util/log.h"
#include "util/thread.h"

/*
 * Of the machine's cores, for each queue: the links' workers, the kernel and others want some too.
 */
#define CORES_PER_QUEUE 4
/* Where nobody has asked for several, there is one if fewer threads are left for other networks. */
#define THREADS_LEFT (THREAD_SLOTS / 2)

static unsigned count_cores(void)
{
	cpu_set_t cores;

	/* Of a machine with more than the set has room for there are enough in any case. */
	return sched_getaffinity(0, sizeof(cores), &cores) < 0 ? CPU_SETSIZE
							       : (unsigned)CPU_COUNT(&cores);
}

unsigned queues_wanted(uint32_t queues)
{
	unsigned n = count_cores() / CORES_PER_QUEUE;

	if (queues)
		return queues;
	if (n < 1 || thread_slots_free() < THREADS_LEFT)
		return 1;
	return n < QUEUES_MAX ? n : QUEUES_MAX;
}

static int open_some(struct network *n)
{
	const char *name = n->tun.name;
	int r = broker_open_queue(n->broker, &n->tun_writer, name, true);

	while (r == 0 && n->n_more_queues + 1 < n->n_queues_wanted) {
		r = broker_open_queue(n->broker, &n->more_queues[n->n_more_queues], name, false);
		if (r == 0)
			n->n_more_queues++;
	}
	if (r < 0 && !n->n_more_queues && n->tun_writer >= 0)
		close(n->tun_writer);
	return r;
}

void queues_open(struct network *n)
{
	int r;

	if (n->n_queues_wanted == 1)
		return;
	n->tun_writer = -1;
	r = open_some(n);
	if (r < 0)
		log_warn("network %s: interface %s has %u of %u queues: %s", n->settings->name,
			 n->tun.name, 1 + n->n_more_queues, n->n_queues_wanted, strerror(-r));
}

void queues_close(struct network *n)
{
	if (!n->n_more_queues)
		return;
	close(n->tun_writer);
	while (n->n_more_queues)
		close(n->more_queues[--n->n_more_queues]);
}
