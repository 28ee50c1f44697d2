/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "util/rcu.h"

#include <pthread.h>

#include "util/container.h"

#ifdef RCU_TSAN
char rcu_tsan_grace_period;

/* liburcu's own bookkeeping, which it orders by means that are not seen either. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "called_from_lib:liburcu-memb\n";
}
#endif

static void *nothing(void *arg)
{
	return arg;
}

int rcu_start(void)
{
	pthread_t another;
	int error = pthread_create(&another, NULL, nothing, NULL);

	if (error)
		return -error;
	pthread_join(another, NULL);
	urcu_memb_get_default_call_rcu_data();
	return 0;
}

static void after_grace_period(struct rcu_head *head)
{
	struct rcu_link *link = container_of(head, struct rcu_link, head);

	rcu_tsan_readers_gone();
	link->release(link);
}

void rcu_retire(struct rcu_link *link, void (*release)(struct rcu_link *link))
{
	link->release = release;
	rcu_tsan_reader_done(); /* the retiring thread's own writes */
	urcu_memb_call_rcu(&link->head, after_grace_period);
}

void rcu_drain(void)
{
	urcu_memb_barrier();
	rcu_tsan_readers_gone();
}
