/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/vring.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vhost/inflight.h"
#include "vhost/vring_priv.h"

/* ---- faults ----------------------------------------------------------------------------- */

void vring_fail(struct vring *ring, enum vhost_fault fault)
{
	if (LOAD(&ring->fault) != VHOST_FAULT_NONE)
		return;
	/* What was found there are the zeros that replaced it. */
	if (guest_mem_is_lost(ring->mem))
		fault = VHOST_FAULT_MEMORY_LOST;
	STORE(&ring->fault, (uint8_t)fault);
	/* Our own eventfd: it does not block, and to be full is to be readable. */
	if (ring->alarm_fd >= 0)
		(void)!eventfd_write(ring->alarm_fd, 1);
}

enum vring_walk vring_walk_fail(struct vring *ring, enum vhost_fault fault)
{
	vring_fail(ring, fault);
	return VRING_WALK_BROKEN;
}

/* Whether the ring can be used still. */
static ALWAYS_INLINE bool check_alive(struct vring *ring)
{
	if (likely(LOAD(&ring->fault) == VHOST_FAULT_NONE && !guest_mem_is_lost(ring->mem)))
		return true;
	vring_fail(ring, VHOST_FAULT_MEMORY_LOST);
	return false;
}

/* ---- life cycle ------------------------------------------------------------------------- */

void vring_init(struct vring *ring, unsigned int index)
{
	memset(ring, 0, sizeof(*ring));
	ring->index = index;
	ring->device_writes = index % 2 == 0;
	ring->call_fd = -1;
	ring->kick_fd = -1;
	ring->alarm_fd = -1;
}

static bool is_aligned(const void *part, uint64_t alignment)
{
	return (uintptr_t)part % alignment == 0;
}

static enum vhost_fault map_split(struct vring *ring, const struct vring_config *config)
{
	uint64_t event_size = ring->event_idx ? sizeof(uint16_t) : 0;
	uint64_t avail_size =
		sizeof(struct vring_avail) + event_size + (uint64_t)ring->num * sizeof(uint16_t);
	uint64_t used_size = sizeof(struct vring_used) + event_size +
			     (uint64_t)ring->num * sizeof(struct vring_used_elem);
	uint64_t gpa;

	if (!IS_POW2(ring->num))
		return VHOST_FAULT_MSG_VALUE;
	ring->desc = guest_mem_lookup_user(config->mem, config->addr.desc,
					   ring->num * sizeof(struct vring_slot), &gpa);
	ring->avail = guest_mem_lookup_user(config->mem, config->addr.avail, avail_size, &gpa);
	ring->used = guest_mem_lookup_user(config->mem, config->addr.used, used_size, &gpa);
	if (!ring->desc || !ring->avail || !ring->used)
		return VHOST_FAULT_RING_UNMAPPED;
	if (!is_aligned(ring->desc, sizeof(struct vring_slot)) ||
	    !is_aligned(ring->avail, _Alignof(struct vring_avail)) ||
	    !is_aligned(ring->used, _Alignof(struct vring_used)))
		return VHOST_FAULT_MSG_VALUE;
	if (ring->log && ring->log_used && !dirty_log_covers(ring->log, ring->used_gpa, used_size))
		return VHOST_FAULT_RING_LOG;
	return VHOST_FAULT_NONE;
}

static enum vhost_fault map_packed(struct vring *ring, const struct vring_config *config)
{
	uint64_t size = sizeof(struct vring_event);
	uint64_t gpa;

	ring->desc = guest_mem_lookup_user(config->mem, config->addr.desc,
					   ring->num * sizeof(struct vring_slot), &ring->desc_gpa);
	ring->driver_event = guest_mem_lookup_user(config->mem, config->addr.avail, size, &gpa);
	ring->device_event = guest_mem_lookup_user(config->mem, config->addr.used, size, &gpa);
	if (!ring->desc || !ring->driver_event || !ring->device_event)
		return VHOST_FAULT_RING_UNMAPPED;
	if (!is_aligned(ring->desc, sizeof(struct vring_slot)) ||
	    !is_aligned(ring->driver_event, size) || !is_aligned(ring->device_event, size))
		return VHOST_FAULT_MSG_VALUE;
	if (ring->log && ring->log_used && !dirty_log_covers(ring->log, ring->used_gpa, size))
		return VHOST_FAULT_RING_LOG;
	return VHOST_FAULT_NONE;
}

/*
 * Where to go on. Nothing of ours is ever in flight, so of a split ring the used index in guest
 * memory is the truth, also after a back end died between two batches; the base that the front end
 * remembers may be older. A packed ring has no such index: there it is the base, or the record.
 */
static enum vhost_fault set_position(struct vring *ring, const struct vring_config *config)
{
	if (ring->is_packed) {
		ring->next_avail = config->base & (VHOST_BASE_WRAP - 1);
		ring->avail_wrap = config->base & VHOST_BASE_WRAP;
		if (ring->next_avail >= ring->num)
			return VHOST_FAULT_MSG_VALUE;
	} else {
		ring->next_avail = LOAD_ACQUIRE(&ring->used->idx);
	}
	ring->next_used = ring->next_avail;
	ring->used_wrap = ring->avail_wrap;
	if (ring->inflight && inflight_ring_resume(ring->inflight, ring))
		return VHOST_FAULT_RING_RESUME;
	ring->seen_avail = ring->next_avail;
	return VHOST_FAULT_NONE;
}

enum vhost_fault vring_start(struct vring *ring, const struct vring_config *config)
{
	enum vhost_fault fault;

	ring->is_packed = config->features & VHOST_BIT(VIRTIO_F_RING_PACKED);
	ring->event_idx = config->features & VHOST_BIT(VIRTIO_RING_F_EVENT_IDX);
	ring->indirect = config->features & VHOST_BIT(VIRTIO_RING_F_INDIRECT_DESC);
	ring->num = config->num;
	ring->mem = config->mem;
	ring->hint = config->mem->regions;
	ring->log = config->log;
	ring->log_used = config->addr.flags & VHOST_ADDR_LOG;
	ring->used_gpa = config->addr.log;
	ring->inflight = config->inflight;
	ring->is_enabled = config->is_enabled;
	ring->call_fd = config->call_fd;
	ring->kick_fd = config->kick_fd;
	ring->alarm_fd = config->alarm_fd;
	STORE(&ring->fault, VHOST_FAULT_NONE);
	if (!ring->num || ring->num > VRING_NUM_MAX)
		return VHOST_FAULT_MSG_VALUE;
	fault = ring->is_packed ? map_packed(ring, config) : map_split(ring, config);
	if (fault == VHOST_FAULT_NONE)
		fault = set_position(ring, config);
	if (fault != VHOST_FAULT_NONE)
		return fault;
	ring->has_signalled = false;
	ring->is_running = true;
	ring->kicks_on = false;
	(void)!vring_arm(ring);
	/* A back end before us may have died between using a chain and saying so. */
	ring->has_pushed = true;
	vring_notify(ring);
	return VHOST_FAULT_NONE;
}

void vring_stop(struct vring *ring)
{
	ring->is_running = false;
	ring->desc = NULL;
	ring->avail = NULL;
	ring->used = NULL;
	ring->mem = NULL;
	ring->hint = NULL;
	ring->log = NULL;
	ring->inflight = NULL;
	ring->call_fd = -1;
	ring->kick_fd = -1;
	ring->alarm_fd = -1;
}

uint32_t vring_get_base(const struct vring *ring)
{
	uint32_t avail = ring->next_avail, used = ring->next_used;

	if (!ring->is_packed)
		return avail;
	return avail | (ring->avail_wrap ? VHOST_BASE_WRAP : 0) |
	       (used | (ring->used_wrap ? VHOST_BASE_WRAP : 0)) << 16;
}

/* ---- chains ----------------------------------------------------------------------------- */

/* Appends a piece without asking how it came about. */
static enum vring_walk append_piece(struct vring *ring, struct vring_batch *batch, void *host,
				    uint64_t gpa, uint32_t size)
{
	if (batch->n_iov == VRING_BATCH_IOV) {
		if (batch->n)
			return VRING_WALK_FULL;
		return vring_walk_fail(ring, VHOST_FAULT_RING_CHAIN_SIZE);
	}
	batch->iov[batch->n_iov].iov_base = host;
	batch->iov[batch->n_iov].iov_len = size;
	if (ring->log)
		batch->gpa[batch->n_iov] = gpa;
	batch->n_iov++;
	return VRING_WALK_OK;
}

enum vring_walk vring_add_piece_slow(struct vring *ring, struct vring_batch *batch, uint64_t gpa,
				     uint32_t size)
{
	enum vring_walk walk = VRING_WALK_OK;

	/* Empty pieces count like others: chains of nothing but them would be work without end. */
	if (!size)
		return append_piece(ring, batch, batch, 0, 0);
	while (size && walk == VRING_WALK_OK) {
		const struct guest_region *region = guest_mem_lookup(ring->mem, gpa);
		uint32_t n;

		if (!region)
			return vring_walk_fail(ring, VHOST_FAULT_RING_ADDRESS);
		/* A buffer may cross from one region into the next. */
		n = (uint32_t)MIN((uint64_t)size, guest_region_room(region, gpa));
		walk = append_piece(ring, batch, region->host + (gpa - region->gpa), gpa, n);
		gpa += n;
		size -= n;
	}
	return walk;
}

/* Copies entry `index` of an indirect table; the copy is what counts from then on. */
static bool read_entry(struct vring *ring, uint64_t gpa, uint32_t index, struct vring_slot *entry)
{
	const void *from = guest_mem_translate(
		ring->mem, &ring->hint, gpa + (uint64_t)index * sizeof(*entry), sizeof(*entry));

	if (!from)
		return false;
	/* Not loads of words: the table may lie at any address. */
	memcpy(entry, from, sizeof(*entry));
	/* Keeps the compiler from reading a member a second time at its origin. */
	__asm__ volatile("" : "+m"(*entry));
	return true;
}

enum vring_walk vring_walk_indirect(struct vring *ring, struct vring_batch *batch, uint64_t gpa,
				    uint32_t size, uint64_t *total)
{
	uint32_t n = size / sizeof(struct vring_slot);
	uint32_t index = 0;

	if (!ring->indirect || !n || n > VRING_NUM_MAX || size % sizeof(struct vring_slot))
		return vring_walk_fail(ring, VHOST_FAULT_RING_INDIRECT);
	for (uint32_t left = n; left; left--) {
		struct vring_slot entry;
		enum vring_walk walk;
		uint16_t flags;

		if (!read_entry(ring, gpa, index, &entry))
			return vring_walk_fail(ring, VHOST_FAULT_RING_ADDRESS);
		flags = (uint16_t)(entry.rest >> (ring->is_packed ? 48 : 32));
		if (flags & VRING_DESC_F_INDIRECT)
			return vring_walk_fail(ring, VHOST_FAULT_RING_INDIRECT);
		if (!!(flags & VRING_DESC_F_WRITE) != ring->device_writes)
			return vring_walk_fail(ring, VHOST_FAULT_RING_DIRECTION);
		*total += (uint32_t)entry.rest;
		walk = vring_add_piece(ring, batch, entry.addr, (uint32_t)entry.rest);
		if (walk != VRING_WALK_OK)
			return walk;
		if (ring->is_packed) {
			index++;
			continue;
		}
		if (!(flags & VRING_DESC_F_NEXT))
			return VRING_WALK_OK;
		index = (uint32_t)(entry.rest >> 48);
		if (index >= n)
			return vring_walk_fail(ring, VHOST_FAULT_RING_INDEX);
	}
	return ring->is_packed ? VRING_WALK_OK : vring_walk_fail(ring, VHOST_FAULT_RING_LOOP);
}

void vring_log_chain(struct vring *ring, const struct vring_batch *batch,
		     const struct vring_chain *chain)
{
	uint32_t left = chain->written;

	for (unsigned int i = chain->first_iov; left; i++) {
		uint32_t n = (uint32_t)MIN((size_t)left, batch->iov[i].iov_len);

		dirty_log_mark(ring->log, batch->gpa[i], n);
		left -= n;
	}
	if (guest_fault_is_lost(&ring->log->lost))
		vring_fail(ring, VHOST_FAULT_MEMORY_LOST);
}

/* ---- the verbs -------------------------------------------------------------------------- */

int vring_pop(struct vring *ring, struct vring_batch *batch, unsigned int max)
{
	unsigned int n = batch->n, n_iov = batch->n_iov;
	int popped = 0;

	if (unlikely(!check_alive(ring)))
		return -EIO;
	max = MIN(max, VRING_BATCH_MAX - n);
	if (unlikely(ring->inflight)) {
		popped = inflight_ring_pop(ring->inflight, ring, batch, max);
		max -= popped > 0 ? (unsigned int)popped : 0;
	}
	if (likely(popped >= 0)) {
		int more = ring->is_packed ? vring_packed_pop(ring, batch, max)
					   : vring_split_pop(ring, batch, max);

		popped = likely(more >= 0) ? popped + more : more;
	}
	if (unlikely(popped < 0)) {
		batch->n = n;
		batch->n_iov = n_iov;
	}
	return popped;
}

void vring_rewind(struct vring *ring, struct vring_batch *batch, unsigned int n)
{
	while (n--) {
		const struct vring_chain *chain = &batch->chains[--batch->n];

		batch->n_iov = chain->first_iov;
		if (unlikely(chain->mark != VRING_NO_MARK))
			inflight_ring_rewind(ring->inflight);
		else if (ring->is_packed)
			vring_packed_rewind(ring, chain->n_slots);
		else
			ring->next_avail--;
	}
}

int vring_push(struct vring *ring, const struct vring_batch *batch, unsigned int first,
	       unsigned int n)
{
	if (unlikely(!check_alive(ring)))
		return -EIO;
	if (unlikely(!n))
		return 0;
	if (ring->is_packed)
		vring_packed_push(ring, batch, first, n);
	else
		vring_split_push(ring, batch, first, n);
	ring->has_pushed = true;
	return 0;
}

void vring_notify(struct vring *ring)
{
	bool wants;

	if (!ring->has_pushed)
		return;
	ring->has_pushed = false;
	wants = ring->is_packed ? vring_packed_wants_call(ring) : vring_split_wants_call(ring);
	ring->has_signalled = true;
	if (!wants || ring->call_fd < 0)
		return;
	STORE(&ring->n_calls, ring->n_calls + 1);
	/* EAGAIN: more calls are pending than 64 bits count, so the driver is being called. */
	(void)!eventfd_write(ring->call_fd, 1);
}

bool vring_arm(struct vring *ring)
{
	bool has_more;

	if (unlikely(!check_alive(ring)))
		return true;
	has_more = ring->is_packed ? vring_packed_arm(ring) : vring_split_arm(ring);
	ring->kicks_on = true;
	return has_more;
}

void vring_disarm(struct vring *ring)
{
	if (likely(!ring->kicks_on))
		return;
	ring->kicks_on = false;
	if (ring->is_packed)
		vring_packed_disarm(ring);
	else
		vring_split_disarm(ring);
}

void vring_clear_kick(struct vring *ring)
{
	uint64_t count;
	struct iovec iov = {.iov_base = &count, .iov_len = sizeof(count)};

	/* Not read(): whoever else holds the eventfd may have made it blocking, and empty. */
	if (ring->kick_fd >= 0)
		(void)!preadv2(ring->kick_fd, &iov, 1, -1, RWF_NOWAIT);
}
