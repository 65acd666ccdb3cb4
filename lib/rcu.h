/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LIB_RCU_H
#define LIB_RCU_H

/*
 * Read, copy, update
 * ==================
 *
 * Shared read-mostly state (rules, tables, port lists) is never changed in place: a writer makes a
 * new version, publishes it with rcu_set(), and frees the old one when no reader can still hold it.
 * Readers pay one load. The mechanism is liburcu's QSBR flavour: a reader says from time to time "I
 * hold nothing now" (a quiescent state), and everything it read since the last one stays valid
 * until then.
 *
 *	struct table {
 *		RCU_POINTER(struct index) index;	// published by the control thread
 *	};
 *
 *	reader, in its loop			writer
 *	  i = rcu_get(&t->index);		  old = rcu_swap(&t->index, fresh);
 *	  ... use i ...				  rcu_wait();
 *	  rcu_quiesce();			  index_destroy(old);
 *
 * Removal has two phases, always in this order: make it unreachable, then (after the grace period)
 * free it. rcu_wait() waits for the second phase; rcu_defer() has a helper thread do it later.
 *
 * Life cycle of a thread: rcu_join() when it starts, rcu_leave() before it ends; in between it is
 * online, and each grace period waits for its next rcu_quiesce(). A thread that is going to block
 * (epoll, a lock that may take long) calls rcu_offline() ahead and rcu_online() after; while
 * offline it must not touch what rcu_get() returned. A thread that neither joins nor reads may
 * still write.
 *
 * This header is all that the house uses of liburcu's readers and pointers. Under the thread
 * sanitizer it tells the sanitizer what the library (which is not built with it) guarantees: what
 * was written before rcu_set() is seen after rcu_get(), and all that readers did before a quiescent
 * state comes before the return of rcu_wait(). Data that a writer hands over through liburcu's own
 * containers (cds_lfht, wfcqueue) has no such help.
 *
 * Thread-safety: any thread; rcu_get() only in threads that joined and are online. Writers exclude
 * each other by themselves. rcu_wait() must not be called with a lock held for which a reader
 * waits, nor while this thread still holds what rcu_get() returned: it counts as a quiescent state.
 */

#define URCU_INLINE_SMALL_FUNCTIONS
#include <urcu-qsbr.h>

#include "lib/util.h"

#include <stdatomic.h>

#if defined(__SANITIZE_THREAD__)
#define RCU_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RCU_TSAN 1
#endif
#endif

#ifdef RCU_TSAN
#include <sanitizer/tsan_interface.h>
#define RCU_TSAN_RELEASE(p) __tsan_release(p)
#define RCU_TSAN_ACQUIRE(p) __tsan_acquire(p)
#else
#define RCU_TSAN_RELEASE(p) ((void)(p))
#define RCU_TSAN_ACQUIRE(p) ((void)(p))
#endif

/* What quiescent states release and grace periods acquire, for the sanitizer only. */
extern char rcu_grace_tag;

/* Declares a pointer that is read and written by the macros below. */
#define RCU_POINTER(type) _Atomic(type *)

/* The version published now, NULL if that was; valid until this thread's quiescent state. */
#define rcu_get(p) atomic_load_explicit(p, memory_order_acquire)

/* Publish: whoever gets `value` sees all that was written to it before. */
#define rcu_set(p, value) atomic_store_explicit(p, value, memory_order_release)

/* Publish, and return what was published before; the caller frees that after a grace period. */
#define rcu_swap(p, value) atomic_exchange_explicit(p, value, memory_order_acq_rel)

static inline void rcu_join(void)
{
	urcu_qsbr_register_thread();
}

static inline void rcu_leave(void)
{
	RCU_TSAN_RELEASE(&rcu_grace_tag);
	urcu_qsbr_unregister_thread();
}

/* This thread holds nothing that rcu_get() returned. */
static inline void rcu_quiesce(void)
{
	RCU_TSAN_RELEASE(&rcu_grace_tag);
	urcu_qsbr_quiescent_state();
}

static inline void rcu_offline(void)
{
	RCU_TSAN_RELEASE(&rcu_grace_tag);
	urcu_qsbr_thread_offline();
}

static inline void rcu_online(void)
{
	urcu_qsbr_thread_online();
}

/* Wait until each reader that was online has passed a quiescent state: microseconds to
 * milliseconds. */
static inline void rcu_wait(void)
{
	RCU_TSAN_RELEASE(&rcu_grace_tag);
	urcu_qsbr_synchronize_rcu();
	RCU_TSAN_ACQUIRE(&rcu_grace_tag);
}

/* Work to do after a grace period; a member of the struct that is to be freed. */
struct rcu_deferred {
	struct rcu_head head; /* liburcu's queue */
	void (*run)(struct rcu_deferred *d); /* called once, in the helper thread; may free d */
};

/*
 * Have `run` called after a grace period, in a helper thread that is made on the first use. Never
 * blocks, never fails. The helper thread has joined; `run` must not call rcu_wait().
 */
void rcu_defer(struct rcu_deferred *d, void (*run)(struct rcu_deferred *d));

/* Wait until all that was deferred before has run; at the end of a program, so that nothing is
 * left. */
void rcu_drain(void);

#endif
