/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_BENCH_THREAD_TIME_H
#define TESTS_BENCH_THREAD_TIME_H

/*
 * thread_time.h - how much processor time the busiest thread of a process took.
 *
 * A switch that polls keeps one thread busy all the time; what a packet costs is that thread's
 * processor time over the packets, however often other work on the machine interrupted it. Time
 * that the kernel spends in interrupts on the thread's back counts as the thread's, unless the
 * kernel accounts for it apart (CONFIG_IRQ_TIME_ACCOUNTING).
 *
 * Take a sample before and after, and ask for the difference.
 *
 * Thread-safety: functions over the caller's memory; any thread.
 */

#include <stdint.h>
#include <sys/types.h>

/* Threads of a process that are looked at. */
#define THREAD_TIME_MAX 64

struct thread_time {
	unsigned int n;
	pid_t tids[THREAD_TIME_MAX];
	uint64_t ns[THREAD_TIME_MAX]; /* processor time since the thread began */
};

/* Reads /proc/PID/task. A process that is gone has no threads. */
void thread_time_sample(pid_t pid, struct thread_time *sample);

/* The most that one thread ran between two samples, ns. */
uint64_t thread_time_busiest(const struct thread_time *before, const struct thread_time *after);

#endif
