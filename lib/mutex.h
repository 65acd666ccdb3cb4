/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LIB_MUTEX_H
#define LIB_MUTEX_H

/*
 * Locks that the compiler checks
 * ==============================
 *
 * Two locks: `struct mutex` sleeps (control thread, anything that may block under it), `struct
 * spinlock` spins (a handful of instructions, no system call, never held across a call into another
 * module). Both carry clang's thread-safety attributes, so a build with CC=clang (-Wthread-safety)
 * refuses code that touches guarded data without its lock, or forgets to release it:
 *
 *	struct table {
 *		struct mutex lock;
 *		unsigned int n_rules GUARDED;	// rules in the table; lock
 *	};
 *
 *	static void table_grow(struct table *t) REQUIRES(t->lock);
 *
 * A member takes GUARDED (some lock must be held; the comment says which), for in C clang cannot
 * look up a sibling member; a global takes GUARDED_BY(lock).
 *
 * With gcc the attributes are empty. A function that locks in a way that clang cannot follow is
 * marked NO_THREAD_SAFETY_ANALYSIS, with a comment that says why it is right.
 *
 * The packet path takes no lock: workers own their caches and read shared state through RCU. A lock
 * in a function that a worker calls for each packet is a mistake.
 *
 * Life cycle: mutex_init()/mutex_uninit(), or MUTEX_INIT and SPINLOCK_INIT for static ones (which
 * need no uninit). A lock is destroyed by whoever owns the struct around it, when no thread can
 * reach it any more.
 *
 * The mutex is of the error-checking kind: to lock it twice from one thread, or to release what is
 * not held, is a bug of ours that aborts with its place, instead of a hang.
 *
 * Thread-safety: that is what this is for. Lock order is documented where a second lock is taken.
 */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __clang__
#define THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define THREAD_ATTRIBUTE(x)
#endif

#define CAPABILITY(name) THREAD_ATTRIBUTE(capability(name))
#define GUARDED_BY(lock) THREAD_ATTRIBUTE(guarded_by(lock))
#define GUARDED THREAD_ATTRIBUTE(guarded_var)
#define PT_GUARDED_BY(lock) THREAD_ATTRIBUTE(pt_guarded_by(lock))
#define REQUIRES(...) THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define ACQUIRES(...) THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define RELEASES(...) THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define TRY_ACQUIRES(result, ...) THREAD_ATTRIBUTE(try_acquire_capability(result, __VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS THREAD_ATTRIBUTE(no_thread_safety_analysis)

struct CAPABILITY("mutex") mutex {
	pthread_mutex_t lock; /* of type PTHREAD_MUTEX_ERRORCHECK */
};

#define MUTEX_INIT {.lock = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP}

struct CAPABILITY("spinlock") spinlock {
	atomic_bool held; /* true: some thread is inside */
};

#define SPINLOCK_INIT {.held = false}

/* A lock call fails only by misuse: say where, and stop. */
#define MUTEX_CHECK(call)                                                                          \
	do {                                                                                       \
		int check_err_ = (call);                                                           \
		if (__builtin_expect(check_err_ != 0, 0))                                          \
			mutex_abort(#call, check_err_, __FILE__, __LINE__);                        \
	} while (0)

static inline void mutex_abort(const char *call, int err, const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s: error %d: a lock is used wrongly, this is a bug\n", file, line,
		call, err);
	abort();
}

static inline void mutex_init(struct mutex *m)
{
	pthread_mutexattr_t attr;

	MUTEX_CHECK(pthread_mutexattr_init(&attr));
	MUTEX_CHECK(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK));
	MUTEX_CHECK(pthread_mutex_init(&m->lock, &attr));
	MUTEX_CHECK(pthread_mutexattr_destroy(&attr));
}

/* Nobody holds `m`, nobody will ask for it again. */
static inline void mutex_uninit(struct mutex *m)
{
	MUTEX_CHECK(pthread_mutex_destroy(&m->lock));
}

static inline void mutex_lock(struct mutex *m) ACQUIRES(*m) NO_THREAD_SAFETY_ANALYSIS
{
	MUTEX_CHECK(pthread_mutex_lock(&m->lock));
}

/* Returns true if the lock is now held, false if another thread (or this one) has it. */
static inline bool mutex_trylock(struct mutex *m) TRY_ACQUIRES(true, *m) NO_THREAD_SAFETY_ANALYSIS
{
	return pthread_mutex_trylock(&m->lock) == 0;
}

static inline void mutex_unlock(struct mutex *m) RELEASES(*m) NO_THREAD_SAFETY_ANALYSIS
{
	MUTEX_CHECK(pthread_mutex_unlock(&m->lock));
}

static inline void spinlock_init(struct spinlock *s)
{
	atomic_init(&s->held, false);
}

static inline bool spinlock_trylock(struct spinlock *s)
	TRY_ACQUIRES(true, *s) NO_THREAD_SAFETY_ANALYSIS
{
	return !atomic_exchange_explicit(&s->held, true, memory_order_acquire);
}

/*
 * Spin until the lock is ours. After SPINLOCK_SPINS rounds the holder has probably lost its
 * processor: give ours away.
 */
#define SPINLOCK_SPINS 128

static inline void spinlock_lock(struct spinlock *s) ACQUIRES(*s) NO_THREAD_SAFETY_ANALYSIS
{
	unsigned int spins = 0;

	while (!spinlock_trylock(s)) {
		while (atomic_load_explicit(&s->held, memory_order_relaxed)) {
			if (++spins % SPINLOCK_SPINS == 0)
				sched_yield();
#if defined(__x86_64__) || defined(__i386__)
			else
				__builtin_ia32_pause();
#endif
		}
	}
}

static inline void spinlock_unlock(struct spinlock *s) RELEASES(*s) NO_THREAD_SAFETY_ANALYSIS
{
	atomic_store_explicit(&s->held, false, memory_order_release);
}

#endif
