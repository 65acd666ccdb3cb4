/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VHOST_INFLIGHT_H
#define VHOST_INFLIGHT_H

/*
 * The record of descriptors in flight
 * ===================================
 *
 * A file in memory that the front end keeps for us, so that the next back end knows where the last
 * one stood when it died ("Inflight I/O tracking" in vhost-user.rst). It has an area for each ring,
 * in the layout of that text, for split or packed rings.
 *
 * Our rings are worked off in order and hold nothing between batches, so we record positions and
 * never mark a descriptor as in flight: chains that were popped but not pushed when the process
 * died are simply popped again. Of a packed ring the position is not in guest memory, so there the
 * record is what makes resuming possible; it changes around the one store that hands a batch over
 * (vring_packed_push()), so that it is right whichever instruction was the last.
 *
 * A record left by another back end may have marks, of chains used out of order. They are popped
 * first, in the order in which that back end took them, and the mark goes when they are pushed.
 *
 * The memory is shared with the front end: each value is read once and checked against the ring.
 *
 * Life cycle: inflight_area_create() (GET_INFLIGHT_FD) or inflight_area_open() (SET_INFLIGHT_FD),
 * inflight_area_close(). An inflight_ring is set up by inflight_ring_init() when its ring starts,
 * and holds a list that inflight_ring_uninit() frees.
 *
 * Thread-safety: areas and init, uninit, resume: the control thread, while no worker uses the ring;
 * the rest belongs to the ring's thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vhost/vring.h"

struct inflight_area {
	void *map; /* NULL: there is none */
	uint64_t map_size; /* bytes */
	uint8_t *start; /* of the first ring's area, in the map */
	uint64_t size; /* bytes from there */
	uint16_t n_rings;
	uint16_t ring_size; /* descriptors that each ring's area has room for */
	int fault_slot; /* of guest_fault_watch() */
	bool lost; /* the file was cut short; set by a signal handler */
};

/* A descriptor or entry marked as in flight. */
struct inflight_mark {
	uint64_t counter; /* their order */
	uint16_t index; /* split: head descriptor; packed: entry of the record */
};

struct inflight_ring {
	union {
		struct inflight_split *split; /* this ring's part of the area */
		struct inflight_packed *packed;
	};
	struct inflight_mark *marks; /* n_marks of them, in order, or NULL */
	uint32_t n_marks;
	uint32_t next_mark; /* to pop */
	const bool *lost; /* the area's */
};

/*
 * Make a file for `n_rings` rings of `ring_size` descriptors and map it. Stores its descriptor,
 * which is the caller's to close, in *fd. Returns 0 or a negative errno.
 */
int inflight_area_create(struct inflight_area *area, uint16_t n_rings, uint16_t ring_size,
			 bool is_packed, int *fd, struct error *e) WARN_UNUSED;

/* Map what the front end kept; `fd` stays the caller's. Returns 0 or a negative errno. */
int inflight_area_open(struct inflight_area *area, const struct vhost_inflight_area *config, int fd,
		       struct error *e) WARN_UNUSED;

/* Unmap; does nothing if there is none. */
void inflight_area_close(struct inflight_area *area);

/* Find the part of ring `index` with `num` descriptors. Returns 0, or -EINVAL if it has none. */
int inflight_ring_init(struct inflight_ring *record, const struct inflight_area *area,
		       unsigned int index, uint32_t num, bool is_packed) WARN_UNUSED;
void inflight_ring_uninit(struct inflight_ring *record);

/*
 * Set the ring's positions, which are as without a record, right by the record, or begin a new
 * record there. Returns 0, -EINVAL if it contradicts itself, or -ENOMEM.
 */
int inflight_ring_resume(struct inflight_ring *record, struct vring *ring) WARN_UNUSED;

/* As vring_pop(), of marked chains only. */
int inflight_ring_pop(struct inflight_ring *record, struct vring *ring, struct vring_batch *batch,
		      unsigned int max);

/* Gives back the last chain that was popped from the marks. */
void inflight_ring_rewind(struct inflight_ring *record);

/* Ahead of the store that hands these chains to the driver; ring->next_used has moved on. */
void inflight_ring_prepare(struct inflight_ring *record, const struct vring *ring,
			   const struct vring_batch *batch, unsigned int first, unsigned int n);

/* After that store. */
void inflight_ring_commit(struct inflight_ring *record, struct vring *ring,
			  const struct vring_batch *batch, unsigned int first, unsigned int n);

#endif
