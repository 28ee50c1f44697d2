/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Read-copy-update, and the only includer of liburcu. One idiom: an immutable snapshot in
 * a slot; its one writer copies, changes, publishes the copy and retires the old one.
 * A function named ..._rcu is called between rcu_begin() and rcu_end(), and its result dies
 * with rcu_end(). Every thread that reads calls rcu_thread_enter() first.
 *
 * liburcu 0.13 is not instrumented for ThreadSanitizer: rcu_end() and the retirement
 * callback say the happens-before edge that the grace period makes.
 */
#pragma once

#include <urcu/urcu-memb.h>

#if defined(__SANITIZE_THREAD__)
#define RCU_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RCU_TSAN 1
#endif
#endif

#ifdef RCU_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
extern char rcu_tsan_grace_period;
#define rcu_tsan_reader_done() __tsan_release(&rcu_tsan_grace_period)
#define rcu_tsan_readers_gone() __tsan_acquire(&rcu_tsan_grace_period)
#else
#define rcu_tsan_reader_done() ((void)0)
#define rcu_tsan_readers_gone() ((void)0)
#endif

/* A pointer that readers follow inside a read section and one thread writes. */
#define RCU_SLOT(type)                                                                             \
	struct {                                                                                   \
		type *published;                                                                   \
	}

#define rcu_read(slot) __atomic_load_n(&(slot)->published, __ATOMIC_ACQUIRE)
#define rcu_publish(slot, value) __atomic_store_n(&(slot)->published, (value), __ATOMIC_RELEASE)
/* For the slot's one writer, which needs no read section. */
#define rcu_own(slot) ((slot)->published)

static inline void rcu_thread_enter(void)
{
	urcu_memb_register_thread();
}

static inline void rcu_thread_leave(void)
{
	urcu_memb_unregister_thread();
}

static inline void rcu_begin(void)
{
	urcu_memb_read_lock();
}

static inline void rcu_end(void)
{
	rcu_tsan_reader_done();
	urcu_memb_read_unlock();
}

/* Embedded in what is retired. */
struct rcu_link {
	struct rcu_head head;
	void (*release)(struct rcu_link *link);
};

/*
 * Starts the thread that releases what is retired: 0 or -errno. Where nobody has called it, liburcu
 * does so when something is retired for the first time, and aborts if it cannot.
 */
int rcu_start(void);

/* Calls `release` on another thread once no reader can hold the object any more. */
void rcu_retire(struct rcu_link *link, void (*release)(struct rcu_link *link));
/* Waits until everything retired so far has been released. Not inside a read section. */
void rcu_drain(void);
