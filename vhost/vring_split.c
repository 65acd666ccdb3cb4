/* SPDX-License-Identifier: BSD-2-Clause */
/* Split rings: virtio 1.2, section 2.7. */
#include "vhost/vring_priv.h"

#include <errno.h>

#include "vhost/inflight.h"

/* The second word of a descriptor. */
static ALWAYS_INLINE uint32_t rest_len(uint64_t rest)
{
	return (uint32_t)rest;
}

static ALWAYS_INLINE uint16_t rest_flags(uint64_t rest)
{
	return (uint16_t)(rest >> 32);
}

static ALWAYS_INLINE uint16_t rest_next(uint64_t rest)
{
	return (uint16_t)(rest >> 48);
}

/* ---- taking ----------------------------------------------------------------------------- */

/* Takes one descriptor of a chain, whose direction is checked. */
static ALWAYS_INLINE enum vring_walk take_descriptor(struct vring *ring, struct vring_batch *batch,
						     uint64_t addr, uint64_t rest, uint64_t *total)
{
	if (unlikely(!!(rest_flags(rest) & VRING_DESC_F_WRITE) != ring->device_writes))
		return vring_walk_fail(ring, VHOST_FAULT_RING_DIRECTION);
	*total += rest_len(rest);
	return vring_add_piece(ring, batch, addr, rest_len(rest));
}

/* Takes the chain from `index` on, whose first descriptor's words are given. */
static NOINLINE enum vring_walk walk_chain(struct vring *ring, struct vring_batch *batch,
					   uint64_t addr, uint64_t rest, uint64_t *total)
{
	for (uint32_t left = ring->num; left; left--) {
		const struct vring_slot *desc;
		enum vring_walk walk;

		if (rest_flags(rest) & VRING_DESC_F_INDIRECT) {
			if (rest_flags(rest) & VRING_DESC_F_NEXT)
				return vring_walk_fail(ring, VHOST_FAULT_RING_INDIRECT);
			return vring_walk_indirect(ring, batch, addr, rest_len(rest), total);
		}
		walk = take_descriptor(ring, batch, addr, rest, total);
		if (walk != VRING_WALK_OK || !(rest_flags(rest) & VRING_DESC_F_NEXT))
			return walk;
		if (rest_next(rest) >= ring->num)
			return vring_walk_fail(ring, VHOST_FAULT_RING_INDEX);
		desc = &ring->desc[rest_next(rest)];
		addr = LOAD(&desc->addr);
		rest = LOAD(&desc->rest);
	}
	return vring_walk_fail(ring, VHOST_FAULT_RING_LOOP);
}

/* Takes the chain that begins at descriptor `head`. */
static ALWAYS_INLINE enum vring_walk take_chain(struct vring *ring, struct vring_batch *batch,
						uint16_t head)
{
	struct vring_chain *chain = vring_open_chain(batch);
	uint64_t addr = LOAD(&ring->desc[head].addr);
	uint64_t rest = LOAD(&ring->desc[head].rest);
	uint64_t total = 0;
	enum vring_walk walk;

	if (likely(!(rest_flags(rest) & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT))))
		walk = take_descriptor(ring, batch, addr, rest, &total);
	else
		walk = walk_chain(ring, batch, addr, rest, &total);
	if (unlikely(walk != VRING_WALK_OK)) {
		batch->n_iov = chain->first_iov;
		return walk;
	}
	if (unlikely(total > UINT32_MAX))
		return vring_walk_fail(ring, VHOST_FAULT_RING_CHAIN_SIZE);
	vring_close_chain(batch, chain, (uint32_t)total, head, 1);
	return VRING_WALK_OK;
}

enum vring_walk vring_split_take(struct vring *ring, struct vring_batch *batch, uint16_t head)
{
	return take_chain(ring, batch, head);
}

/* How many chains can be taken, at most `max`; -EIO when the index is nonsense. */
static ALWAYS_INLINE int get_available(struct vring *ring, unsigned int max)
{
	uint16_t n = (uint16_t)(ring->seen_avail - ring->next_avail);

	if (n < max) {
		ring->seen_avail = LOAD_ACQUIRE(&ring->avail->idx);
		n = (uint16_t)(ring->seen_avail - ring->next_avail);
		if (unlikely(n > ring->num)) {
			vring_fail(ring, VHOST_FAULT_RING_AVAILABLE);
			return -EIO;
		}
	}
	return (int)MIN((unsigned int)n, max);
}

/* Reads the heads of the next `n` chains and fetches their descriptors ahead. */
static ALWAYS_INLINE bool read_heads(struct vring *ring, uint16_t *heads, unsigned int n)
{
	uint16_t worst = 0;

	for (unsigned int i = 0; i < n; i++) {
		uint16_t slot = (uint16_t)(ring->next_avail + i) & (uint16_t)(ring->num - 1);

		heads[i] = LOAD(&ring->avail->ring[slot]);
		worst = MAX(worst, heads[i]);
		__builtin_prefetch(&ring->desc[heads[i] & (ring->num - 1)]);
	}
	if (likely(worst < ring->num))
		return true;
	vring_fail(ring, VHOST_FAULT_RING_INDEX);
	return false;
}

/* Takes the plain chains that come first among those of `heads`, n of them. Returns how many. */
static ALWAYS_INLINE unsigned int take_plain(struct vring *ring, struct vring_batch *batch,
					     const uint16_t *heads, unsigned int n)
{
	const uint16_t mask = VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE;
	const uint16_t plain = ring->device_writes ? VRING_DESC_F_WRITE : 0;
	const struct vring_window window = vring_window_get(ring);
	struct vring_tail tail = vring_tail_get(batch);
	unsigned int i;

	n = vring_limit_plain(batch, n);
	for (i = 0; i < n; i++) {
		const struct vring_slot *desc = &ring->desc[heads[i]];
		uint64_t rest = LOAD(&desc->rest), addr = LOAD(&desc->addr);

		if (unlikely((rest_flags(rest) & mask) != plain ||
			     !vring_window_has(&window, addr, rest_len(rest))))
			break;
		vring_put_plain(&tail, &window, addr, rest_len(rest), heads[i]);
	}
	vring_close_plain(batch, i);
	return i;
}

int vring_split_pop(struct vring *ring, struct vring_batch *batch, unsigned int max)
{
	int available = get_available(ring, max);
	unsigned int popped = 0;

	while (available > 0 && popped < (unsigned int)available) {
		unsigned int n = MIN((unsigned int)available - popped, VRING_STEP);
		uint16_t heads[VRING_STEP];
		enum vring_walk walk = VRING_WALK_OK;
		unsigned int i;

		if (!read_heads(ring, heads, n))
			return -EIO;
		i = take_plain(ring, batch, heads, n);
		while (i < n && walk == VRING_WALK_OK) {
			walk = take_chain(ring, batch, heads[i]);
			if (likely(walk == VRING_WALK_OK))
				i++;
		}
		ring->next_avail = (uint16_t)(ring->next_avail + i);
		popped += i;
		if (unlikely(walk == VRING_WALK_BROKEN))
			return -EIO;
		if (unlikely(walk == VRING_WALK_FULL))
			break;
	}
	return available < 0 ? available : (int)popped;
}

/* ---- giving back ------------------------------------------------------------------------ */

/* Logs that `size` bytes at `offset` in the used ring were written. */
static void log_used(struct vring *ring, uint64_t offset, uint64_t size)
{
	if (ring->log && ring->log_used)
		dirty_log_mark(ring->log, ring->used_gpa + offset, size);
}

static NOINLINE void log_push(struct vring *ring, const struct vring_batch *batch,
			      unsigned int first, unsigned int n)
{
	uint16_t start = (uint16_t)(ring->next_used - n);

	for (unsigned int i = 0; i < n; i++) {
		uint16_t slot = (uint16_t)(start + i) & (uint16_t)(ring->num - 1);

		vring_log_chain(ring, batch, &batch->chains[first + i]);
		log_used(ring, offsetof(struct vring_used, ring[slot]),
			 sizeof(ring->used->ring[0]));
	}
	log_used(ring, offsetof(struct vring_used, idx), sizeof(ring->used->idx));
}

void vring_split_push(struct vring *ring, const struct vring_batch *batch, unsigned int first,
		      unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		const struct vring_chain *chain = &batch->chains[first + i];
		uint16_t slot = (uint16_t)(ring->next_used + i) & (uint16_t)(ring->num - 1);

		STORE(&ring->used->ring[slot].id, (uint32_t)chain->id);
		STORE(&ring->used->ring[slot].len, chain->written);
	}
	ring->next_used = (uint16_t)(ring->next_used + n);
	if (unlikely(ring->inflight))
		inflight_ring_prepare(ring->inflight, ring, batch, first, n);
	STORE_RELEASE(&ring->used->idx, ring->next_used);
	if (unlikely(ring->inflight))
		inflight_ring_commit(ring->inflight, ring, batch, first, n);
	if (unlikely(ring->log))
		log_push(ring, batch, first, n);
}

/* ---- notifications ---------------------------------------------------------------------- */

bool vring_split_wants_call(struct vring *ring)
{
	uint16_t old = ring->signalled;
	uint16_t event;

	ring->signalled = ring->next_used;
	/* The used index is out before the driver's wish is read; it does the same crosswise. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!ring->event_idx)
		return !(LOAD(&ring->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	event = LOAD(&ring->avail->ring[ring->num]);
	return !ring->has_signalled || vring_passed(event, ring->next_used, old);
}

/* The field behind the used ring: kick when the available index passes it. */
static uint16_t *get_avail_event(struct vring *ring)
{
	return (uint16_t *)(void *)&ring->used->ring[ring->num];
}

bool vring_split_arm(struct vring *ring)
{
	if (ring->event_idx) {
		STORE(get_avail_event(ring), ring->next_avail);
		log_used(ring, offsetof(struct vring_used, ring[ring->num]), sizeof(uint16_t));
	} else if (!ring->kicks_on) {
		STORE(&ring->used->flags, 0);
		log_used(ring, 0, sizeof(ring->used->flags));
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return LOAD_ACQUIRE(&ring->avail->idx) != ring->next_avail;
}

void vring_split_disarm(struct vring *ring)
{
	/* With event indexes the old one is passed only when the index has come round. */
	if (ring->event_idx)
		return;
	STORE(&ring->used->flags, VRING_USED_F_NO_NOTIFY);
	log_used(ring, 0, sizeof(ring->used->flags));
}
