/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Wakes one thread that sleeps in poll or epoll, and costs its callers nothing while that
 * thread is awake. The sleeper calls waker_sleep(), looks at its queues once more, sleeps
 * only if they are empty, then calls waker_awake().
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

struct waker {
	int fd; /* an eventfd, readable when the thread has been woken */
	_Atomic bool is_asleep;
};

/* 0 or -errno. */
int waker_init(struct waker *w);
void waker_deinit(struct waker *w);

/* The owner: from here on a wake-up writes to the descriptor. */
void waker_sleep(struct waker *w);
/* The owner: back at work; takes back what was written. */
void waker_awake(struct waker *w);

/* Any thread; it may have changed by the time that this returns. */
static inline bool waker_is_asleep(const struct waker *w)
{
	return atomic_load_explicit(&w->is_asleep, memory_order_relaxed);
}

/* Any thread, after it has queued something. */
void waker_wake(struct waker *w);
