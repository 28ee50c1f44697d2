/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Errand: a function that the main thread has another thread run, between two rounds of that
 * thread's loop, while it waits. So the owner of some state changes it itself, without a lock; each
 * of the two threads sees what the other wrote before.
 *
 * Since only the main thread sends errands, whatever is written only in errands may be read by the
 * thread and by the main thread at any time.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/waker.h"

struct errand;
typedef void (*errand_fn)(void *arg);

/* Where a thread finds them. Zeroed: the thread does not run yet. */
struct errands {
	_Atomic(struct errand *) next;
	/* main thread */
	bool is_served;
};

/* Main thread: the thread runs, or has ended. */
void errands_open(struct errands *e);
void errands_close(struct errands *e);

/*
 * Main thread: has the thread that sleeps by `w` call run(arg), and returns when it has. If the
 * thread does not run, calls it here.
 */
void errands_send(struct errands *e, struct waker *w, errand_fn run, void *arg);

/* The thread, once in each round of its loop. */
void errands_do(struct errands *e);
/* The thread, in its last look before it sleeps. */
static inline bool errands_wait(const struct errands *e)
{
	return atomic_load(&e->next) != NULL;
}
