/* SPDX-License-Identifier: BSD-2-Clause */
/* Packed rings: virtio 1.2, section 2.8. */
#include "vhost/vring_priv.h"

#include <errno.h>

#include "vhost/inflight.h"

/* ---- taking ----------------------------------------------------------------------------- */

/* Takes one descriptor of a chain, or the indirect table it names. */
static ALWAYS_INLINE enum vring_walk take_descriptor(struct vring *ring, struct vring_batch *batch,
						     uint64_t addr, uint64_t rest, uint64_t *total)
{
	uint16_t flags = vring_packed_flags(rest);

	if (flags & VRING_DESC_F_INDIRECT) {
		if (flags & VRING_DESC_F_NEXT)
			return vring_walk_fail(ring, VHOST_FAULT_RING_INDIRECT);
		return vring_walk_indirect(ring, batch, addr, vring_packed_len(rest), total);
	}
	if (unlikely(!!(flags & VRING_DESC_F_WRITE) != ring->device_writes))
		return vring_walk_fail(ring, VHOST_FAULT_RING_DIRECTION);
	*total += vring_packed_len(rest);
	return vring_add_piece(ring, batch, addr, vring_packed_len(rest));
}

/*
 * Takes the rest of a chain whose first descriptor's word is *rest; leaves the last one's there and
 * counts the slots. All descriptors of a chain are available once its first one is.
 */
static NOINLINE enum vring_walk walk_chain(struct vring *ring, struct vring_batch *batch,
					   uint64_t *rest, uint64_t *total, uint32_t *slots)
{
	uint16_t slot = ring->next_avail;
	bool wrap = ring->avail_wrap;

	while (vring_packed_flags(*rest) & VRING_DESC_F_NEXT) {
		enum vring_walk walk;

		if (++*slots > ring->num)
			return vring_walk_fail(ring, VHOST_FAULT_RING_LOOP);
		vring_packed_advance(ring, &slot, &wrap, 1);
		*rest = LOAD(&ring->desc[slot].rest);
		walk = take_descriptor(ring, batch, LOAD(&ring->desc[slot].addr), *rest, total);
		if (walk != VRING_WALK_OK)
			return walk;
	}
	return VRING_WALK_OK;
}

/* Takes the chain at next_avail, whose first descriptor's word is given. */
static ALWAYS_INLINE enum vring_walk take_chain(struct vring *ring, struct vring_batch *batch,
						uint64_t rest)
{
	struct vring_chain *chain = vring_open_chain(batch);
	uint64_t addr = LOAD(&ring->desc[ring->next_avail].addr);
	uint64_t total = 0;
	uint32_t slots = 1;
	enum vring_walk walk;

	walk = take_descriptor(ring, batch, addr, rest, &total);
	if (unlikely(vring_packed_flags(rest) & VRING_DESC_F_NEXT) && walk == VRING_WALK_OK)
		walk = walk_chain(ring, batch, &rest, &total, &slots);
	if (unlikely(walk != VRING_WALK_OK)) {
		batch->n_iov = chain->first_iov;
		return walk;
	}
	if (unlikely(total > UINT32_MAX))
		return vring_walk_fail(ring, VHOST_FAULT_RING_CHAIN_SIZE);
	vring_close_chain(batch, chain, (uint32_t)total, vring_packed_id(rest), (uint16_t)slots);
	vring_packed_advance(ring, &ring->next_avail, &ring->avail_wrap, slots);
	return VRING_WALK_OK;
}

enum vring_walk vring_packed_take_words(struct vring *ring, struct vring_batch *batch,
					uint64_t addr, uint64_t rest, uint64_t *total)
{
	return take_descriptor(ring, batch, addr, rest, total);
}

/* All flags of a descriptor that have a meaning. */
#define FLAGS_MASK                                                                                 \
	(VRING_DESC_F_AVAIL | VRING_DESC_F_USED | VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT |      \
	 VRING_DESC_F_WRITE)

/* Those of a plain chain that the driver lends in the round of this wrap counter. */
static ALWAYS_INLINE uint16_t get_plain_flags(const struct vring *ring, bool wrap)
{
	return (uint16_t)((wrap ? VRING_DESC_F_AVAIL : VRING_DESC_F_USED) |
			  (ring->device_writes ? VRING_DESC_F_WRITE : 0));
}

/* Takes the plain chains that come first, up to `max`. Returns how many. */
static ALWAYS_INLINE unsigned int pop_plain(struct vring *ring, struct vring_batch *batch,
					    unsigned int max)
{
	const struct vring_window window = vring_window_get(ring);
	const struct vring_slot *desc = &ring->desc[ring->next_avail];
	const struct vring_slot *end = &ring->desc[ring->num];
	bool wrap = ring->avail_wrap;
	uint16_t plain = get_plain_flags(ring, wrap);
	struct vring_tail tail = vring_tail_get(batch);
	unsigned int popped;

	max = vring_limit_plain(batch, max);
	for (popped = 0; popped < max; popped++) {
		uint64_t rest = LOAD_ACQUIRE(&desc->rest);
		uint64_t addr = LOAD(&desc->addr);

		if ((vring_packed_flags(rest) & FLAGS_MASK) != plain ||
		    !vring_window_has(&window, addr, vring_packed_len(rest)))
			break;
		vring_put_plain(&tail, &window, addr, vring_packed_len(rest),
				vring_packed_id(rest));
		if (unlikely(++desc == end)) {
			desc = ring->desc;
			wrap = !wrap;
			plain = get_plain_flags(ring, wrap);
		}
	}
	vring_close_plain(batch, popped);
	ring->next_avail = (uint16_t)(desc - ring->desc);
	ring->avail_wrap = wrap;
	return popped;
}

int vring_packed_pop(struct vring *ring, struct vring_batch *batch, unsigned int max)
{
	unsigned int popped = pop_plain(ring, batch, max);

	while (unlikely(popped < max)) {
		uint64_t rest = LOAD_ACQUIRE(&ring->desc[ring->next_avail].rest);
		enum vring_walk walk;

		if (!vring_packed_is_available(rest, ring->avail_wrap))
			break;
		walk = take_chain(ring, batch, rest);
		if (unlikely(walk == VRING_WALK_BROKEN))
			return -EIO;
		if (unlikely(walk == VRING_WALK_FULL))
			break;
		popped++;
		popped += pop_plain(ring, batch, max - popped);
	}
	return (int)popped;
}

void vring_packed_rewind(struct vring *ring, unsigned int slots)
{
	if (slots > ring->next_avail) {
		ring->next_avail = (uint16_t)(ring->next_avail + ring->num);
		ring->avail_wrap = !ring->avail_wrap;
	}
	ring->next_avail = (uint16_t)(ring->next_avail - slots);
}

/* ---- giving back ------------------------------------------------------------------------ */

static NOINLINE void log_push(struct vring *ring, const struct vring_batch *batch,
			      unsigned int first, unsigned int n, uint16_t slot)
{
	bool wrap = false;

	for (unsigned int i = first; i < first + n; i++) {
		vring_log_chain(ring, batch, &batch->chains[i]);
		dirty_log_mark(ring->log, ring->desc_gpa + slot * sizeof(struct vring_slot),
			       sizeof(struct vring_slot));
		vring_packed_advance(ring, &slot, &wrap, batch->chains[i].n_slots);
	}
}

/* The flags of a descriptor that is used in the round of this wrap counter, in their place. */
static ALWAYS_INLINE uint64_t get_used_flags(const struct vring *ring, bool wrap)
{
	return (uint64_t)((wrap ? VRING_DESC_F_AVAIL | VRING_DESC_F_USED : 0) |
			  (ring->device_writes ? VRING_DESC_F_WRITE : 0))
	       << 48;
}

void vring_packed_push(struct vring *ring, const struct vring_batch *batch, unsigned int first,
		       unsigned int n)
{
	/* The driver looks at one slot at a time, so the first is written last: it then finds all
	 * of them, and does not pull at the cache lines before. */
	struct vring_slot *slots = (struct vring_slot *)(uintptr_t)ring->desc;
	uint16_t first_slot = ring->next_used;
	bool wrap = ring->used_wrap;
	uint64_t flags = get_used_flags(ring, wrap), first_word = 0;
	uint32_t slot = first_slot;

	for (unsigned int i = first; i < first + n; i++) {
		const struct vring_chain *chain = &batch->chains[i];
		uint64_t word = chain->written | (uint64_t)chain->id << 32 | flags;

		if (likely(i != first))
			STORE_RELEASE(&slots[slot].rest, word);
		else
			first_word = word;
		slot += chain->n_slots;
		if (unlikely(slot >= ring->num)) {
			slot -= ring->num;
			wrap = !wrap;
			flags = get_used_flags(ring, wrap);
		}
	}
	ring->next_used = (uint16_t)slot;
	ring->used_wrap = wrap;
	if (unlikely(ring->inflight))
		inflight_ring_prepare(ring->inflight, ring, batch, first, n);
	STORE_RELEASE(&slots[first_slot].rest, first_word);
	if (unlikely(ring->inflight))
		inflight_ring_commit(ring->inflight, ring, batch, first, n);
	if (unlikely(ring->log))
		log_push(ring, batch, first, n, first_slot);
}

/* ---- notifications ---------------------------------------------------------------------- */

bool vring_packed_wants_call(struct vring *ring)
{
	uint16_t old = ring->signalled;
	bool had_signalled = ring->has_signalled;
	uint16_t flags, event;

	ring->signalled = ring->next_used;
	/* The used descriptors are out before the driver's wish is read. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	flags = LOAD_ACQUIRE(&ring->driver_event->flags);
	if (flags != VRING_EVENT_DESC || !ring->event_idx)
		return flags != VRING_EVENT_DISABLE;
	event = LOAD(&ring->driver_event->off_wrap);
	if (!had_signalled)
		return true;
	/* `old` and `event` may be of the last round: count from the present one. */
	if (!!(event & VRING_EVENT_WRAP) != ring->used_wrap)
		event = (uint16_t)((event & ~VRING_EVENT_WRAP) - ring->num);
	else
		event &= (uint16_t)~VRING_EVENT_WRAP;
	if (ring->next_used <= old)
		old = (uint16_t)(old - ring->num);
	return vring_passed(event, ring->next_used, old);
}

static void log_event(struct vring *ring)
{
	if (ring->log && ring->log_used)
		dirty_log_mark(ring->log, ring->used_gpa, sizeof(*ring->device_event));
}

bool vring_packed_arm(struct vring *ring)
{
	uint16_t flags = VRING_EVENT_ENABLE;

	if (ring->event_idx) {
		STORE(&ring->device_event->off_wrap,
		      (uint16_t)(ring->next_avail | (ring->avail_wrap ? VRING_EVENT_WRAP : 0)));
		flags = VRING_EVENT_DESC;
	}
	STORE_RELEASE(&ring->device_event->flags, flags);
	log_event(ring);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return vring_packed_is_available(LOAD_ACQUIRE(&ring->desc[ring->next_avail].rest),
					 ring->avail_wrap);
}

void vring_packed_disarm(struct vring *ring)
{
	STORE(&ring->device_event->flags, VRING_EVENT_DISABLE);
	log_event(ring);
}
