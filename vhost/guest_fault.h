/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VHOST_GUEST_FAULT_H
#define VHOST_GUEST_FAULT_H

/*
 * Memory that can vanish under us
 * ===============================
 *
 * What a guest shares is a file that its owner may truncate at any time; the next access beyond the
 * new end raises SIGBUS, which kills a process that does not expect it. (A hugetlbfs file whose
 * pages run out, and a page of broken RAM, do the same.) To ask before each access would cost more
 * than the access, and prove nothing.
 *
 * So each mapping of foreign memory is watched. On SIGBUS the handler looks the address up; if it
 * lies in a watched mapping, the whole mapping is replaced in place by private zero pages, its
 * `lost` flag is set and the faulting instruction runs again: it now reads zeros, or writes where
 * nobody looks. Nothing is unwound, so no lock, frame or counter is left half way. Whoever works
 * with the mapping looks at the flag once a batch and gives the guest up; the cost of the guard is
 * that one load. A fault outside of all watched mappings goes to the handler that was there before.
 *
 * (The other way, sigsetjmp() around each batch, costs 20 ns a batch and leaves whatever the
 * interrupted code held in its registers; every caller would have to be written for that.)
 *
 * Only files that live in memory (memfd, tmpfs, hugetlbfs) are taken, see guest_fault_check_file():
 * a page fault in a file of another kind runs code of whoever serves that file (FUSE, NFS), and
 * could put a worker to sleep for good. No signal helps against that.
 *
 * The table of mappings is read from inside the handler: slots are never freed and change under a
 * sequence number, so a handler that meets a slot in change skips it. It cannot be the faulting
 * thread's own, which does not change while that thread uses it.
 *
 * SIGBUS must not be blocked in any thread that touches guest memory: a blocked synchronous signal
 * kills the process.
 *
 * Thread-safety: watch and unwatch are for one thread at a time, the control thread, while nobody
 * uses the mapping; faults may happen in any thread at the same time.
 */

#include <stdbool.h>
#include <stddef.h>

#include "lib/util.h"

/* Mappings watched at once, all guests together. */
#define GUEST_FAULT_SLOTS_MAX 65536

/* Install the handler, unless it is there. Whoever replaces it later has to call it for faults that
 * are not his, or call this again. Returns 0 or a negative errno. */
int guest_fault_init(void) WARN_UNUSED;

/*
 * Watch [start, start + size), which is page aligned. *lost is set to true (relaxed) from a signal
 * handler, and must live until the unwatch. Returns a slot for guest_fault_unwatch(), -ENOMEM or
 * -ENOSPC.
 */
int guest_fault_watch(void *start, size_t size, bool *lost) WARN_UNUSED;

/* Forget the mapping; before it is unmapped. A negative slot is ignored. */
void guest_fault_unwatch(int slot);

/* Mappings watched now; for tests. */
unsigned int guest_fault_count(void);

/* 0 if the file behind `fd` lives in memory, else -EINVAL. Never blocks. */
int guest_fault_check_file(int fd) WARN_UNUSED;

static inline bool guest_fault_is_lost(const bool *lost)
{
	return __atomic_load_n(lost, __ATOMIC_RELAXED);
}

#endif
