/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VHOST_VRING_H
#define VHOST_VRING_H

/*
 * Virtio rings, the device's side
 * ===============================
 *
 * A ring carries buffers that the driver (the guest) lends to the device (us) and takes back. A
 * buffer is a chain of pieces of guest memory. Rings are split or packed (virtio 1.2, sections 2.7
 * and 2.8); one set of verbs serves both, in batches:
 *
 *	vring_pop()	take further chains, translated into a scatter list
 *	vring_rewind()	give the last ones back as if they had not been taken
 *	vring_push()	hand chains back to the driver as used, with what was written
 *	vring_notify()	interrupt the driver if it asked for that
 *	vring_arm()	ask the driver to kick us, before we sleep; vring_disarm() to stop that
 *
 *	n = vring_pop(ring, batch, 32);			the guest sends
 *	for each chain: copy out header and frame
 *	vring_push(ring, batch, 0, n); vring_notify(ring);
 *
 * A ring goes one way: the device either reads all its chains (the guest sends) or writes them (the
 * guest receives). What the bytes mean, struct virtio_net_hdr first, is the caller's business; the
 * pieces of consecutive chains lie one behind the other in batch->iov, so a frame that is spread
 * over merged receive buffers is written in one go (struct vring_cursor).
 *
 * Security: all that lies in guest memory can be wrong, and change while it is read. Each
 * descriptor is read once, into registers, and then checked: its index against the ring, its whole
 * length against guest memory, its direction. Chains are bounded: as many descriptors as the ring
 * has, VRING_BATCH_IOV pieces, 4 GiB. Indirect tables do not nest. Contents have to be treated
 * likewise by the caller: copy first, check the copy.
 *
 * Whatever a driver does wrong breaks the ring: pop and push return -EIO from then on, the reason
 * stays in ring->fault, and the ring's alarm (an eventfd) wakes the control thread, which closes
 * the connection. Only that guest suffers.
 *
 * Order: chains are used in any order the caller likes, whole runs of the batch at a time; where
 * VIRTIO_F_IN_ORDER was negotiated, in the order of popping. All chains are pushed or rewound
 * before the worker lets go of the ring: nothing is in flight across a stop, so that position is
 * all there is to say about a ring (see vring_get_base(), inflight.h).
 *
 * Life cycle: vring_init(); vring_start() when the driver has set it up; pop and push; vring_stop()
 * when no worker uses it; and so on. A stopped ring holds no memory and no descriptors.
 *
 * Thread-safety: a running ring belongs to one thread at a time. start and stop are for the control
 * thread, while no other uses the ring: vhost_dev.h tells how it is taken away from the worker.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "lib/util.h"
#include "vhost/dirty_log.h"
#include "vhost/guest_mem.h"
#include "vhost/vhost_fault.h"
#include "vhost/vhost_proto.h"

/* Descriptors in a ring. */
#define VRING_NUM_MAX 32768u
/* Chains and pieces in a batch. */
#define VRING_BATCH_MAX 256u
#define VRING_BATCH_IOV 1024u
/* vring_chain.mark of a chain without one. */
#define VRING_NO_MARK 0xffffu

struct inflight_ring;

/* A buffer that the driver lent. */
struct vring_chain {
	uint32_t size; /* bytes in all its pieces */
	uint32_t written; /* bytes that we put into it, from the start; set by the caller */
	uint16_t first_iov; /* its pieces in batch->iov */
	uint16_t n_iov;
	uint16_t id; /* split: head descriptor; packed: buffer id */
	uint16_t n_slots; /* ring entries that it took */
	uint16_t mark; /* entry in the record of descriptors in flight, or VRING_NO_MARK */
};

/* Chains taken together, with their pieces. About 30 KiB, of which small frames touch little. */
struct vring_batch {
	unsigned int n; /* chains */
	unsigned int n_iov; /* pieces of all chains */
	struct vring_chain chains[VRING_BATCH_MAX];
	struct iovec iov[VRING_BATCH_IOV]; /* in our address space */
	uint64_t gpa[VRING_BATCH_IOV]; /* guest addresses; filled in only for a ring with a log */
};

struct vring {
	/* What each batch needs; the first members belong to the worker while the ring runs. */
	uint16_t next_avail cacheline_aligned; /* split: free-running index of the next chain to
						* pop; packed: its slot */
	uint16_t next_used; /* likewise, where the next used chain goes */
	uint16_t seen_avail; /* split: avail->idx as last read */
	uint16_t signalled; /* next_used when the driver was last asked whether it wants a call */
	bool avail_wrap; /* packed: wrap counter of next_avail */
	bool used_wrap; /* packed: wrap counter of next_used */
	bool has_signalled; /* `signalled` is valid */
	bool has_pushed; /* since the driver was last asked */
	bool kicks_on; /* the driver is asked to kick */
	bool is_packed;
	bool event_idx; /* VIRTIO_RING_F_EVENT_IDX */
	bool indirect; /* VIRTIO_RING_F_INDIRECT_DESC */
	bool device_writes; /* the guest receives */
	bool is_enabled; /* see vring_is_enabled() */
	uint8_t fault; /* enum vhost_fault, the first; atomic */
	uint32_t num; /* descriptors */
	const struct vring_slot *desc; /* split: descriptor table; packed: the ring */
	union {
		struct vring_avail *avail; /* split */
		struct vring_event *driver_event; /* packed, read only */
	};
	union {
		struct vring_used *used; /* split */
		struct vring_event *device_event; /* packed */
	};
	const struct guest_mem *mem;
	const struct guest_region *hint; /* where the last address was found */

	/* Rarely there. */
	struct dirty_log *log cacheline_aligned; /* NULL: no migration going on */
	uint64_t used_gpa; /* guest address by which writes to *used are logged */
	uint64_t desc_gpa; /* packed: guest address of the ring */
	bool log_used; /* writes to the used ring are logged too */
	struct inflight_ring *inflight; /* NULL: no record is kept */
	uint64_t n_calls; /* interrupts sent; read by anyone, relaxed */
	int call_fd; /* eventfd to interrupt the driver, -1: it polls */
	int kick_fd; /* eventfd by which it kicks us, -1: it does not */
	int alarm_fd; /* eventfd written on a fault, -1: none */
	unsigned int index; /* the ring's number */
	bool is_running;
};

/* What a driver set up; addresses are its own (user) ones. */
struct vring_config {
	const struct guest_mem *mem;
	uint64_t features; /* negotiated */
	uint32_t num;
	uint32_t base; /* as SET_VRING_BASE has it */
	struct vhost_addr addr;
	struct dirty_log *log; /* or NULL */
	struct inflight_ring *inflight; /* or NULL */
	bool is_enabled;
	int call_fd; /* the fds stay the caller's */
	int kick_fd;
	int alarm_fd;
};

/* Ring number `index`; it decides which way the ring goes. */
void vring_init(struct vring *ring, unsigned int index);

/* Translate and check what the driver set up, and be ready. Returns VHOST_FAULT_NONE or why not. */
enum vhost_fault vring_start(struct vring *ring, const struct vring_config *config) WARN_UNUSED;

/* Forget memory and descriptors; the base stays readable. */
void vring_stop(struct vring *ring);

/* The position for GET_VRING_BASE. */
uint32_t vring_get_base(const struct vring *ring);

/*
 * Append up to `max` chains to the batch. Returns how many, 0 when the ring is empty or the batch
 * full; -EIO when the ring is broken (nothing is appended then).
 */
int vring_pop(struct vring *ring, struct vring_batch *batch, unsigned int max) WARN_UNUSED;

/* Take the last `n` chains, popped from this ring and not pushed, out of the batch and back. */
void vring_rewind(struct vring *ring, struct vring_batch *batch, unsigned int n);

/*
 * Hand `n` chains of the batch, from `first` on, back to the driver; .written of each is set (0
 * where the device only read). Returns 0, or -EIO when the ring is broken or its memory was taken
 * away: what was read or written by this batch is void.
 */
int vring_push(struct vring *ring, const struct vring_batch *batch, unsigned int first,
	       unsigned int n) WARN_UNUSED;

/* Interrupt the driver if something was pushed since it was last asked, and it wants that. */
void vring_notify(struct vring *ring);

/* Ask for kicks. Returns true when there is a chain to pop after all (or the ring is broken). */
bool vring_arm(struct vring *ring) WARN_UNUSED;

/* Ask for no kicks: we look by ourselves. Costs nothing when that is so already. */
void vring_disarm(struct vring *ring);

/* Forget kicks that came: make kick_fd unreadable. Never blocks. */
void vring_clear_kick(struct vring *ring);

/* Break the ring, for a caller who finds contents that no driver may send. */
void vring_fail(struct vring *ring, enum vhost_fault fault);

/*
 * False: the front end started the ring, but switched it off. A ring that the guest sends by is
 * drained then and what comes is thrown away, to one that it receives by nothing is given.
 */
static inline bool vring_is_enabled(const struct vring *ring)
{
	return ring->is_enabled;
}

static inline void vring_batch_init(struct vring_batch *batch)
{
	batch->n = 0;
	batch->n_iov = 0;
}

/*
 * Say that `size` bytes were written to the chains from `first` on, each filled up before the next.
 * Returns how many chains that took; the caller knows that they have the room.
 */
static inline unsigned int vring_batch_fill(struct vring_batch *batch, unsigned int first,
					    uint32_t size)
{
	unsigned int i = first;

	do {
		batch->chains[i].written = MIN(size, batch->chains[i].size);
		size -= batch->chains[i++].written;
	} while (size && i < batch->n);
	return i - first;
}

/* A place in the pieces of one or more consecutive chains. */
struct vring_cursor {
	const struct iovec *iov; /* the current piece */
	size_t offset; /* in it */
};

static inline struct vring_cursor vring_cursor_get(const struct vring_batch *batch,
						   const struct vring_chain *chain)
{
	return (struct vring_cursor){.iov = &batch->iov[chain->first_iov]};
}

/* Copy `size` bytes at the cursor out of guest memory. The caller knows that they are there. */
static inline void vring_cursor_read(struct vring_cursor *cursor, void *to, size_t size)
{
	uint8_t *out = to;

	while (size) {
		size_t n = MIN(size, cursor->iov->iov_len - cursor->offset);

		memcpy(out, (const uint8_t *)cursor->iov->iov_base + cursor->offset, n);
		out += n;
		size -= n;
		cursor->offset += n;
		if (cursor->offset == cursor->iov->iov_len) {
			cursor->iov++;
			cursor->offset = 0;
		}
	}
}

/* Copy `size` bytes into guest memory at the cursor. The caller knows that there is room. */
static inline void vring_cursor_write(struct vring_cursor *cursor, const void *from, size_t size)
{
	const uint8_t *in = from;

	while (size) {
		size_t n = MIN(size, cursor->iov->iov_len - cursor->offset);

		memcpy((uint8_t *)cursor->iov->iov_base + cursor->offset, in, n);
		in += n;
		size -= n;
		cursor->offset += n;
		if (cursor->offset == cursor->iov->iov_len) {
			cursor->iov++;
			cursor->offset = 0;
		}
	}
}

#endif
