/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VHOST_VRING_PRIV_H
#define VHOST_VRING_PRIV_H

/*
 * What split and packed rings share
 * =================================
 *
 * vring.c dispatches to vring_split.c and vring_packed.c; this is what goes between them. Access to
 * guest memory that the driver writes at the same time is by __atomic loads and stores, so that
 * each word is read once and the compiler does not go back for more. Virtio 1 rings are
 * little-endian.
 *
 * Thread-safety: as vring.h says.
 */

#include <stddef.h>

#include "vhost/vring.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "virtio rings are little-endian: conversions are missing for this machine"
#endif

/* Chains whose descriptors are fetched ahead together. */
#define VRING_STEP 32u

#define LOAD(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define LOAD_ACQUIRE(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define STORE(p, value) __atomic_store_n(p, value, __ATOMIC_RELAXED)
#define STORE_RELEASE(p, value) __atomic_store_n(p, value, __ATOMIC_RELEASE)

/* What came of taking a piece, a table or a chain. */
enum vring_walk {
	VRING_WALK_OK,
	VRING_WALK_FULL, /* no room in the batch: take it another time */
	VRING_WALK_BROKEN, /* the ring failed */
};

/* Takes the chain that begins at descriptor `head` < num, out of turn. */
enum vring_walk vring_split_take(struct vring *ring, struct vring_batch *batch, uint16_t head);
int vring_split_pop(struct vring *ring, struct vring_batch *batch, unsigned int max);
void vring_split_push(struct vring *ring, const struct vring_batch *batch, unsigned int first,
		      unsigned int n);
bool vring_split_wants_call(struct vring *ring);
bool vring_split_arm(struct vring *ring);
void vring_split_disarm(struct vring *ring);

/* Adds what the two words of one descriptor say to the open chain, its bytes to *total. */
enum vring_walk vring_packed_take_words(struct vring *ring, struct vring_batch *batch,
					uint64_t addr, uint64_t rest, uint64_t *total);
int vring_packed_pop(struct vring *ring, struct vring_batch *batch, unsigned int max);
void vring_packed_rewind(struct vring *ring, unsigned int slots);
void vring_packed_push(struct vring *ring, const struct vring_batch *batch, unsigned int first,
		       unsigned int n);
bool vring_packed_wants_call(struct vring *ring);
bool vring_packed_arm(struct vring *ring);
void vring_packed_disarm(struct vring *ring);

/* Fails the ring, for use in a return statement. */
enum vring_walk vring_walk_fail(struct vring *ring, enum vhost_fault fault);

/* vring_add_piece() for all that is not usual. */
enum vring_walk vring_add_piece_slow(struct vring *ring, struct vring_batch *batch, uint64_t gpa,
				     uint32_t size);

/* Takes all pieces of the indirect table of `size` bytes at `gpa` and adds their bytes to *total;
 * the entries are linked (split) or all in a row (packed). */
enum vring_walk vring_walk_indirect(struct vring *ring, struct vring_batch *batch, uint64_t gpa,
				    uint32_t size, uint64_t *total);

/* Opens a chain at the end of the batch; it counts when vring_close_chain() accepts it. */
static ALWAYS_INLINE struct vring_chain *vring_open_chain(struct vring_batch *batch)
{
	struct vring_chain *chain = &batch->chains[batch->n];

	chain->first_iov = (uint16_t)batch->n_iov;
	chain->mark = VRING_NO_MARK;
	return chain;
}

/* Finishes the chain that is open. */
static ALWAYS_INLINE void vring_close_chain(struct vring_batch *batch, struct vring_chain *chain,
					    uint32_t size, uint16_t id, uint16_t n_slots)
{
	chain->size = size;
	chain->written = 0;
	chain->n_iov = (uint16_t)(batch->n_iov - chain->first_iov);
	chain->id = id;
	chain->n_slots = n_slots;
	batch->n++;
}

/* Appends guest memory to the batch. */
static ALWAYS_INLINE enum vring_walk vring_add_piece(struct vring *ring, struct vring_batch *batch,
						     uint64_t gpa, uint32_t size)
{
	void *host = guest_mem_translate(ring->mem, &ring->hint, gpa, size);

	if (unlikely(!host || !size || ring->log || batch->n_iov == VRING_BATCH_IOV))
		return vring_add_piece_slow(ring, batch, gpa, size);
	batch->iov[batch->n_iov].iov_base = host;
	batch->iov[batch->n_iov].iov_len = size;
	batch->n_iov++;
	return VRING_WALK_OK;
}

/* What the loops over plain chains (one descriptor, no table, one region) keep in registers. */
struct vring_window {
	uint64_t gpa; /* of the region in which the last address was found */
	uint64_t size; /* its bytes; 0: no plain chains are taken */
	uint8_t *host;
};

static ALWAYS_INLINE struct vring_window vring_window_get(const struct vring *ring)
{
	const struct guest_region *region = ring->hint;

	return (struct vring_window){
		.gpa = region->gpa,
		.size = unlikely(ring->log) ? 0 : region->size,
		.host = region->host,
	};
}

/* Whether `size` bytes at `gpa` are a piece, and in the window. */
static ALWAYS_INLINE bool vring_window_has(const struct vring_window *window, uint64_t gpa,
					   uint32_t size)
{
	uint64_t offset = gpa - window->gpa;

	/* A size of 0 wraps around, and is larger than any room. */
	return offset < window->size && (uint64_t)size - 1 < window->size - offset;
}

/* Most plain chains that can be appended to the batch, of `max`. */
static ALWAYS_INLINE unsigned int vring_limit_plain(const struct vring_batch *batch,
						    unsigned int max)
{
	return MIN(max, MIN(VRING_BATCH_MAX - batch->n, VRING_BATCH_IOV - batch->n_iov));
}

/* Where plain chains are appended: all of it in registers. */
struct vring_tail {
	struct vring_chain *chain;
	struct iovec *iov;
	uint64_t place; /* the next chain's first_iov, n_iov, id (0 still) and n_slots */
};

static ALWAYS_INLINE struct vring_tail vring_tail_get(struct vring_batch *batch)
{
	_Static_assert(offsetof(struct vring_chain, mark) ==
			       offsetof(struct vring_chain, first_iov) + sizeof(uint64_t),
		       "they lie together");
	return (struct vring_tail){
		.chain = &batch->chains[batch->n],
		.iov = &batch->iov[batch->n_iov],
		.place = batch->n_iov | UINT64_C(1) << 16 | UINT64_C(1) << 48,
	};
}

/* Appends a chain of one piece that is in the window. */
static ALWAYS_INLINE void vring_put_plain(struct vring_tail *tail,
					  const struct vring_window *window, uint64_t gpa,
					  uint32_t size, uint16_t id)
{
	uint64_t place = tail->place | (uint64_t)id << 32, sizes = size;

	/* .written is 0 */
	memcpy(&tail->chain->size, &sizes, sizeof(sizes));
	memcpy(&tail->chain->first_iov, &place, sizeof(place));
	tail->chain->mark = VRING_NO_MARK;
	tail->iov->iov_base = window->host + (gpa - window->gpa);
	tail->iov->iov_len = size;
	tail->chain++;
	tail->iov++;
	tail->place++;
}

/* Says that so many plain chains were put. */
static ALWAYS_INLINE void vring_close_plain(struct vring_batch *batch, unsigned int n)
{
	batch->n += n;
	batch->n_iov += n;
}

/* Parts of the second word of a packed ring's descriptor. */
static ALWAYS_INLINE uint32_t vring_packed_len(uint64_t rest)
{
	return (uint32_t)rest;
}

static ALWAYS_INLINE uint16_t vring_packed_id(uint64_t rest)
{
	return (uint16_t)(rest >> 32);
}

static ALWAYS_INLINE uint16_t vring_packed_flags(uint64_t rest)
{
	return (uint16_t)(rest >> 48);
}

/* Whether the driver lends it in the round of this wrap counter. */
static ALWAYS_INLINE bool vring_packed_is_available(uint64_t rest, bool wrap)
{
	bool avail = vring_packed_flags(rest) & VRING_DESC_F_AVAIL;
	bool used = vring_packed_flags(rest) & VRING_DESC_F_USED;

	return avail == wrap && used != wrap;
}

/* Moves a slot number on by `n` <= num, around the end of the ring. */
static ALWAYS_INLINE void vring_packed_advance(const struct vring *ring, uint16_t *slot, bool *wrap,
					       uint32_t n)
{
	n += *slot;
	if (n >= ring->num) {
		n -= ring->num;
		*wrap = !*wrap;
	}
	*slot = (uint16_t)n;
}

/* Whether the index `event` lies in what was passed between `old` and `new` (virtio 2.7.7.1). */
static inline bool vring_passed(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

/* Marks bytes that a chain was given as written. */
void vring_log_chain(struct vring *ring, const struct vring_batch *batch,
		     const struct vring_chain *chain);

#endif
