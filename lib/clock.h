/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LIB_CLOCK_H
#define LIB_CLOCK_H

/*
 * Time
 * ====
 *
 * All times in the switch are uint64_t nanoseconds of CLOCK_MONOTONIC, which never goes back,
 * stands still while the machine sleeps and does not follow changes of the wall clock. It does not
 * overflow for 584 years. Suffix such variables _ns.
 *
 * clock_now() is a vDSO call of some 20 ns: once for a batch of packets, not once a packet.
 * clock_now_coarse() costs about 5 ns and is exact to a timer tick (1 to 10 ms): ageing, idle
 * timeouts.
 *
 * clock_cycles() is the processor's own counter (TSC on x86-64, the generic timer on arm64). It is
 * for measuring how long a stretch of code took, on one core, as a difference; its unit differs
 * from machine to machine and it must not be compared with nanoseconds. Elsewhere it falls back to
 * nanoseconds.
 *
 * Code that decides by time (ageing, token buckets, timeouts) takes `now` as an argument, so that
 * tests make time pass without waiting.
 *
 * Thread-safety: any thread, any time; also in signal handlers.
 */

#include <stdint.h>
#include <time.h>

#define CLOCK_NS_PER_US UINT64_C(1000)
#define CLOCK_NS_PER_MS UINT64_C(1000000)
#define CLOCK_NS_PER_S UINT64_C(1000000000)

static inline uint64_t clock_get(clockid_t id)
{
	struct timespec ts;

	/* cannot fail: the ids below exist in each kernel that the switch runs on */
	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Nanoseconds of the monotonic clock. */
static inline uint64_t clock_now(void)
{
	return clock_get(CLOCK_MONOTONIC);
}

/* The same clock as of the last timer tick: never ahead of clock_now(). */
static inline uint64_t clock_now_coarse(void)
{
	return clock_get(CLOCK_MONOTONIC_COARSE);
}

/* The processor's cycle counter, not serialised: good for stretches of 100 cycles and more. */
static inline uint64_t clock_cycles(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#else
	return clock_now();
#endif
}

#endif
