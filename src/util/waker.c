/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "util/waker.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int waker_init(struct waker *w)
{
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	atomic_init(&w->is_asleep, false);
	return w->fd < 0 ? -errno : 0;
}

void waker_deinit(struct waker *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

void waker_sleep(struct waker *w)
{
	/*
	 * Sequentially consistent, as is the fence in waker_wake(): either the sleeper's second
	 * look at its queues sees the new entry, or the waker sees that it is asleep.
	 */
	atomic_store_explicit(&w->is_asleep, true, memory_order_seq_cst);
	atomic_thread_fence(memory_order_seq_cst);
}

void waker_awake(struct waker *w)
{
	uint64_t count;

	/* If it is false already, somebody has written: take that back. */
	if (!atomic_exchange_explicit(&w->is_asleep, false, memory_order_seq_cst) &&
	    read(w->fd, &count, sizeof(count)) < 0)
		return; /* the writer is between its exchange and its write: one empty wake-up */
}

void waker_wake(struct waker *w)
{
	const uint64_t one = 1;

	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&w->is_asleep, memory_order_relaxed) &&
	    atomic_exchange_explicit(&w->is_asleep, false, memory_order_seq_cst) &&
	    write(w->fd, &one, sizeof(one)) < 0)
		return; /* a full counter wakes as well */
}
