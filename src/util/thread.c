/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "util/thread.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "util/rcu.h"

static _Atomic uint64_t slots_taken;
static _Thread_local unsigned my_slot = THREAD_SLOTS;

_Static_assert(THREAD_SLOTS == 64, "one bit per slot");

static int slot_take(unsigned *ret)
{
	uint64_t taken = atomic_load(&slots_taken);
	unsigned slot;

	do {
		if (taken == UINT64_MAX)
			return -EAGAIN;
		slot = (unsigned)__builtin_ctzll(~taken);
	} while (!atomic_compare_exchange_weak(&slots_taken, &taken, taken | 1ULL << slot));
	*ret = slot;
	return 0;
}

static void slot_give(unsigned slot)
{
	atomic_fetch_and(&slots_taken, ~(1ULL << slot));
}

unsigned thread_slots_free(void)
{
	return (unsigned)__builtin_popcountll(~atomic_load(&slots_taken));
}

int thread_adopt(void)
{
	int r = slot_take(&my_slot);

	if (r == 0)
		rcu_thread_enter();
	return r;
}

void thread_disown(void)
{
	rcu_thread_leave();
	slot_give(my_slot);
	my_slot = THREAD_SLOTS;
}

unsigned thread_slot(void)
{
	assert(my_slot < THREAD_SLOTS);
	return my_slot;
}

void thread_set_patient(struct patience *p, bool wanted)
{
	bool was_taken = p->is_taken;
	struct sched_param param;
	int policy;

	if (p->is_wanted == wanted)
		return;
	p->is_wanted = wanted;
	p->is_taken = false;
	if (was_taken == wanted || pthread_getschedparam(pthread_self(), &policy, &param) ||
	    policy != (wanted ? SCHED_OTHER : SCHED_BATCH))
		return;
	policy = wanted ? SCHED_BATCH : SCHED_OTHER;
	p->is_taken = pthread_setschedparam(pthread_self(), policy, &param) == 0 && wanted;
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	my_slot = t->slot;
	/* By itself: the name of another thread is set through a file, which may not be there. */
	pthread_setname_np(pthread_self(), t->name);
	rcu_thread_enter();
	t->run(t->arg);
	thread_disown();
	return NULL;
}

int thread_start(struct thread *t, const char *name, void (*run)(void *arg), void *arg)
{
	sigset_t all;
	sigset_t before;
	int r = slot_take(&t->slot);

	if (r < 0)
		return r;
	t->run = run;
	t->arg = arg;
	snprintf(t->name, sizeof(t->name), "%s", name);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&t->id, NULL, thread_main, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0) {
		slot_give(t->slot);
		return r;
	}
	return 0;
}

void thread_join(struct thread *t)
{
	pthread_join(t->id, NULL);
}
