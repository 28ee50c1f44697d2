/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Reader: what a thread that reads a queue of the TUN interface does with packets. For tx.c, which
 * has the threads, and its parts: pack.c makes sealed bursts of what is read, outlet.c finds a path
 * for them, share.c lets several readers do so for one peer.
 * Owner: whoever has its turn. That is its thread while it is awake. While it sleeps, whoever
 * writes to the interface may read in its place: tx_expect_answer().
 */
#pragma once

#include <pthread.h>

#include "dataplane/filling.h"
#include "dataplane/outlet.h"
#include "util/bell.h"
#include "util/errand.h"
#include "util/log.h"
#include "util/thread.h"
#include "util/waker.h"

struct network;
struct tx;

struct reader {
	/* constant */
	struct network *network;
	struct tx *tx;
	unsigned number; /* its queue */
	int fd;		 /* of the queue */
	size_t read_bytes;
	struct thread thread;
	struct waker waker;
	struct bell bell; /* of the queue; whoever has the turn may mute it meanwhile */
	struct errands errands;
	pthread_mutex_t turn; /* guards what follows */
	nsec_t now;
	nsec_t small_at;     /* when it read a packet that is not to wait long */
	struct parcel *read; /* what the queue is read into */
	struct filling open; /* the burst that packets go into */
	struct outlet *busy; /* those with something waiting, through next_busy */
	struct outlet *last; /* the last one that something was queued for; NULL */
	struct log_limit no_path_limit;
	struct patience patience;
	/* atomic */
	_Alignas(64) _Atomic bool has_kick;
	_Atomic bool is_waiting; /* a report may be what it waits for */
	_Atomic bool is_held_up; /* it reads no more until flow queues have room */
	/* whoever has the turn; read for status */
	_Atomic uint64_t packets, bytes; /* read: of these a super-packet is one */
	_Atomic uint64_t waits;		 /* for another reader */
};

static inline void reader_count(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, now + n, memory_order_relaxed);
}

static inline void reader_make_busy(struct reader *r, struct outlet *o)
{
	struct outlet_place *p = &o->places[r->number];

	if (p->is_busy)
		return;
	p->is_busy = true;
	p->next_busy = r->busy;
	r->busy = o;
}

/* Reads once, and sends or queues it. 1; 0: nothing was there; -errno: the interface is gone. */
int reader_read(struct reader *r);
/* Would reading more only fill the queues of our one peer further? */
bool reader_is_held_up(const struct reader *r);
/* Sends what waits in the busy outlets, as far as there is room. */
void reader_progress(struct reader *r);
/* When the first of the busy outlets is to be looked at again. */
nsec_t reader_next_retry(const struct reader *r);
