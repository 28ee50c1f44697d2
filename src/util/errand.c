/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "util/errand.h"

#include <assert.h>
#include <semaphore.h>
#include <stddef.h>

struct errand {
	errand_fn run;
	void *arg;
	sem_t done;
};

void errands_open(struct errands *e)
{
	e->is_served = true;
}

void errands_close(struct errands *e)
{
	e->is_served = false;
}

void errands_send(struct errands *e, struct waker *w, errand_fn run, void *arg)
{
	struct errand errand = {.run = run, .arg = arg};

	if (!e->is_served) {
		run(arg);
		return;
	}
	assert(!atomic_load(&e->next));
	sem_init(&errand.done, 0, 0);
	/* release: the errand, and all that was written before it */
	atomic_store(&e->next, &errand);
	waker_wake(w);
	while (sem_wait(&errand.done) < 0)
		continue;
	sem_destroy(&errand.done);
}

void errands_do(struct errands *e)
{
	struct errand *errand;

	if (!atomic_load_explicit(&e->next, memory_order_relaxed))
		return;
	errand = atomic_exchange_explicit(&e->next, NULL, memory_order_acquire);
	errand->run(errand->arg);
	sem_post(&errand->done);
}
