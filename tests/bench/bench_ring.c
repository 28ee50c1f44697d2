/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What the hand-over of a burst costs the ring. Two threads never sleep here, so this is the
 * cost of the cache lines that go back and forth, not that of a wake-up.
 */
#include "bench.h"

#include <pthread.h>
#include <sched.h>

#include "util/ring.h"

#define SLOTS 256
#define RUN 64 /* pushed before they are popped, where one thread does both */

static void one_thread(void *ctx, size_t n)
{
	struct ring *ring = ctx;
	void *value = ring;

	while (n-- > 0) {
		for (size_t i = 0; i < RUN; i++)
			bench_need(ring_push(ring, &value), "pushing");
		for (size_t i = 0; i < RUN; i++)
			bench_need(ring_pop(ring, &value), "popping");
	}
}

struct producer {
	struct ring *ring;
	size_t n;
};

static void *produce(void *ctx)
{
	struct producer *p = ctx;
	void *value = p;

	for (size_t i = 0; i < p->n; i++)
		while (!ring_push(p->ring, &value))
			sched_yield();
	return NULL;
}

static void two_threads(void *ctx, size_t n)
{
	struct producer p = {.ring = ctx, .n = n * RUN};
	pthread_t thread;
	void *value;

	bench_need(pthread_create(&thread, NULL, produce, &p) == 0, "starting a thread");
	for (size_t i = 0; i < p.n; i++)
		while (!ring_pop(p.ring, &value))
			sched_yield();
	pthread_join(thread, NULL);
}

int main(void)
{
	struct ring *ring;

	bench_need(ring_new(&ring, SLOTS, sizeof(void *)) == 0, "making a ring");
	bench_run("ring/one-thread", "value", RUN, one_thread, ring);
	bench_run("ring/two-threads", "value", RUN, two_threads, ring);
	ring_free(ring);
	return EXIT_SUCCESS;
}
