/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Named threads, each with a small number of its own by which per-thread things are found
 * (an AEAD context per key and thread). All signals stay with the main thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

/* How many threads may run at once; what is kept per thread is an array of this length. */
#define THREAD_SLOTS 64

struct thread {
	pthread_t id;
	void (*run)(void *arg);
	void *arg;
	char name[16];
	unsigned slot;
};

/*
 * Starts run(arg). `name` (at most 15 characters are used) shows in ps and top. The thread
 * may read RCU slots. 0, -EAGAIN when all numbers are taken, or -errno.
 */
int thread_start(struct thread *t, const char *name, void (*run)(void *arg), void *arg);
void thread_join(struct thread *t);

/* How many more threads may run now. */
unsigned thread_slots_free(void);

/* The calling thread's number, 0..THREAD_SLOTS-1. */
unsigned thread_slot(void);

/* What a thread notes of its patience; all false at first. */
struct patience {
	bool is_wanted;
	bool is_taken; /* the policy is by us */
};

/*
 * A patient thread that wakes up lets whoever runs finish its turn, instead of interrupting it
 * (SCHED_BATCH). Makes the calling thread so, or as it was. A policy that somebody else has chosen
 * for it stays; it is asked for when what is wanted changes.
 */
void thread_set_patient(struct patience *p, bool wanted);

/* The main thread, or a test, makes itself such a thread; 0 or -EAGAIN. */
int thread_adopt(void);
void thread_disown(void);
