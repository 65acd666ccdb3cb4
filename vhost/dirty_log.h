/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VHOST_DIRTY_LOG_H
#define VHOST_DIRTY_LOG_H

/*
 * The dirty log of a live migration
 * =================================
 *
 * While a guest is moved, the front end has to know which of its pages the device wrote: a bitmap
 * in shared memory, one bit for each page of VHOST_LOG_PAGE bytes of guest physical address, bit
 * (page % 8) of byte (page / 8). We set bits by atomic OR after the write, the front end takes and
 * clears them at the same time. A page beyond the end of the bitmap cannot be marked and is left
 * out: the front end made the log, and it is its guest that is moved.
 *
 * Life cycle: dirty_log_open() maps what SET_LOG_BASE brought; dirty_log_close() unmaps. A log that
 * is cut short in use is survived as all guest memory is (guest_fault.h).
 *
 * Thread-safety: open and close: the control thread, while no ring uses the log; mark: any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vhost/vhost_proto.h"

struct dirty_log {
	uint8_t *bits; /* NULL: not open */
	uint64_t size; /* bytes of `bits` */
	void *map; /* the mapping around it */
	uint64_t map_size; /* bytes */
	int fault_slot; /* of guest_fault_watch() */
	bool lost; /* the file was cut short; set by a signal handler */
};

/* Map the log; `fd` stays the caller's. Returns 0 or a negative errno. */
int dirty_log_open(struct dirty_log *log, const struct vhost_log_area *area, int fd,
		   struct error *e) WARN_UNUSED;

/* Unmap; does nothing if it is not open. */
void dirty_log_close(struct dirty_log *log);

/* True if all of [gpa, gpa + size) has bits in the log. */
bool dirty_log_covers(const struct dirty_log *log, uint64_t gpa, uint64_t size);

/* Mark the pages of [gpa, gpa + size), which does not wrap; after the bytes were written. */
void dirty_log_mark(struct dirty_log *log, uint64_t gpa, uint64_t size);

#endif
