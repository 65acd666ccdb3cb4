/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/guest_fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/mutex.h"

/* Slots come in chunks that are never freed. */
#define CHUNK_SLOTS 64
#define CHUNKS_MAX (GUEST_FAULT_SLOTS_MAX / CHUNK_SLOTS)

struct slot {
	atomic_uint sequence; /* odd: being changed */
	_Atomic uintptr_t start;
	_Atomic size_t size; /* 0: free */
	_Atomic(bool *) lost;
};

static _Atomic(struct slot *) chunks[CHUNKS_MAX];
static atomic_uint n_chunks;
static struct mutex lock = MUTEX_INIT; /* for changes; the handler takes none */
static unsigned int n_watched GUARDED_BY(lock);
static struct sigaction previous; /* the handler that ours replaced */

/* ---- the handler ------------------------------------------------------------------------ */

/* Copies a slot that stands still; false when it is free or being changed. */
static bool slot_read(struct slot *slot, uintptr_t *start, size_t *size, bool **lost)
{
	unsigned int before = atomic_load_explicit(&slot->sequence, memory_order_acquire);

	*start = atomic_load_explicit(&slot->start, memory_order_relaxed);
	*size = atomic_load_explicit(&slot->size, memory_order_relaxed);
	*lost = atomic_load_explicit(&slot->lost, memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	return *size && before % 2 == 0 &&
	       before == atomic_load_explicit(&slot->sequence, memory_order_relaxed);
}

/* Replaces the mapping around `address` if it is a watched one. */
static bool replace_mapping(uintptr_t address)
{
	unsigned int n = atomic_load_explicit(&n_chunks, memory_order_acquire);

	for (unsigned int i = 0; i < n * CHUNK_SLOTS; i++) {
		struct slot *chunk =
			atomic_load_explicit(&chunks[i / CHUNK_SLOTS], memory_order_acquire);
		uintptr_t start;
		size_t size;
		bool *lost;

		if (!slot_read(&chunk[i % CHUNK_SLOTS], &start, &size, &lost) ||
		    address - start >= size)
			continue;
		/* The bare system call: a sanitizer's mmap() is not for signal handlers. */
		if (syscall(SYS_mmap, start, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) < 0)
			return false;
		__atomic_store_n(lost, true, __ATOMIC_RELAXED);
		return true;
	}
	return false;
}

/* Whoever was there before decides about a fault that is not ours. */
static void call_previous(int signal, siginfo_t *info, void *context)
{
	static __thread bool is_inside;

	if (is_inside || previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
		/* Back to the instruction, which now ends the process as it should. */
		const struct sigaction fatal = {.sa_handler = SIG_DFL};

		(void)sigaction(SIGBUS, &fatal, NULL);
		return;
	}
	is_inside = true;
	if (previous.sa_flags & SA_SIGINFO)
		previous.sa_sigaction(signal, info, context);
	else
		previous.sa_handler(signal);
	is_inside = false;
}

static void handle_bus_error(int signal, siginfo_t *info, void *context)
{
	int saved = errno;

	if (!replace_mapping((uintptr_t)info->si_addr))
		call_previous(signal, info, context);
	errno = saved;
}

int guest_fault_init(void)
{
	struct sigaction action = {
		.sa_sigaction = handle_bus_error,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};
	struct sigaction now;
	int ret = 0;

	sigemptyset(&action.sa_mask);
	mutex_lock(&lock);
	if (sigaction(SIGBUS, NULL, &now)) {
		ret = -errno;
	} else if (now.sa_sigaction != handle_bus_error) {
		previous = now;
		if (sigaction(SIGBUS, &action, NULL))
			ret = -errno;
	}
	mutex_unlock(&lock);
	return ret;
}

/* ---- the table -------------------------------------------------------------------------- */

static struct slot *slot_get(unsigned int index)
{
	return &atomic_load_explicit(&chunks[index / CHUNK_SLOTS],
				     memory_order_relaxed)[index % CHUNK_SLOTS];
}

static void slot_write(struct slot *slot, uintptr_t start, size_t size, bool *lost)
{
	atomic_fetch_add_explicit(&slot->sequence, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&slot->start, start, memory_order_relaxed);
	atomic_store_explicit(&slot->size, size, memory_order_relaxed);
	atomic_store_explicit(&slot->lost, lost, memory_order_relaxed);
	atomic_fetch_add_explicit(&slot->sequence, 1, memory_order_release);
}

static int find_free(void) REQUIRES(lock)
{
	unsigned int n = atomic_load_explicit(&n_chunks, memory_order_relaxed);
	struct slot *chunk;

	if (n_watched < n * CHUNK_SLOTS) {
		for (unsigned int i = 0; i < n * CHUNK_SLOTS; i++)
			if (!atomic_load_explicit(&slot_get(i)->size, memory_order_relaxed))
				return (int)i;
	}
	if (n == CHUNKS_MAX)
		return -ENOSPC;
	chunk = calloc(CHUNK_SLOTS, sizeof(*chunk));
	if (!chunk)
		return -ENOMEM;
	atomic_store_explicit(&chunks[n], chunk, memory_order_release);
	atomic_store_explicit(&n_chunks, n + 1, memory_order_release);
	return (int)(n * CHUNK_SLOTS);
}

int guest_fault_watch(void *start, size_t size, bool *lost)
{
	int index;

	mutex_lock(&lock);
	index = find_free();
	if (index >= 0) {
		slot_write(slot_get((unsigned int)index), (uintptr_t)start, size, lost);
		n_watched++;
	}
	mutex_unlock(&lock);
	return index;
}

void guest_fault_unwatch(int index)
{
	if (index < 0)
		return;
	mutex_lock(&lock);
	slot_write(slot_get((unsigned int)index), 0, 0, NULL);
	n_watched--;
	mutex_unlock(&lock);
}

unsigned int guest_fault_count(void)
{
	unsigned int n;

	mutex_lock(&lock);
	n = n_watched;
	mutex_unlock(&lock);
	return n;
}

int guest_fault_check_file(int fd)
{
	/* Seals exist for files in memory only, and asking runs no file system's code. */
	return fcntl(fd, F_GET_SEALS) < 0 ? -EINVAL : 0;
}
