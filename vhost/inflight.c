/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/inflight.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhost/vring_priv.h"

/* Each ring's part begins on such a boundary, bytes. */
#define PART_ALIGN 64u
#define RECORD_VERSION 1u

/* The layouts of vhost-user.rst, "Inflight I/O tracking". */
struct split_entry {
	uint8_t inflight; /* 1: taken, not used yet; of heads only */
	uint8_t pad[5];
	uint16_t next; /* in the list of the last batch */
	uint64_t counter; /* order of taking */
};

struct inflight_split {
	uint64_t features; /* 0 */
	uint16_t version; /* 0: not begun */
	uint16_t num; /* entries */
	uint16_t last_batch; /* head of the list of the last batch */
	uint16_t used_idx; /* the used ring's idx after the last whole batch */
	struct split_entry entries[];
};
ASSERT_SIZE(struct split_entry, 16);
ASSERT_SIZE(struct inflight_split, 16);

struct packed_entry {
	uint8_t inflight; /* 1: taken, not used yet; of heads only */
	uint8_t pad;
	uint16_t next; /* further descriptor of this chain, or free entry */
	uint16_t last; /* head: the chain's last entry */
	uint16_t num; /* head: entries in the chain */
	uint64_t counter; /* head: order of taking */
	uint16_t id; /* the descriptor itself */
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};

struct inflight_packed {
	uint64_t features; /* 0 */
	uint16_t version; /* 0: not begun */
	uint16_t num; /* entries */
	uint16_t free_head; /* list of free entries */
	uint16_t old_free_head; /* the same, after the last whole batch */
	uint16_t used_idx; /* slot of the next used descriptor */
	uint16_t old_used_idx; /* the same, after the last whole batch */
	uint8_t used_wrap;
	uint8_t old_used_wrap;
	uint8_t pad[7];
	struct packed_entry entries[];
};
ASSERT_SIZE(struct packed_entry, 32);
ASSERT_OFFSET(struct inflight_packed, entries, 32);

/* ---- the area --------------------------------------------------------------------------- */

/* Bytes of one ring's part. */
static uint64_t get_part_size(uint16_t ring_size, bool is_packed)
{
	uint64_t size =
		is_packed ? sizeof(struct inflight_packed) + ring_size * sizeof(struct packed_entry)
			  : sizeof(struct inflight_split) + ring_size * sizeof(struct split_entry);

	return ROUND_UP(size, PART_ALIGN);
}

static int map_area(struct inflight_area *area, const struct vhost_inflight_area *config, int fd,
		    struct error *e)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t start = ROUND_DOWN(config->offset, page);
	uint64_t size = ROUND_UP(config->offset + config->size - start, page);
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)start);
	int ret;

	if (map == MAP_FAILED)
		return error_set(e, errno, "cannot map the record of descriptors in flight: %m");
	area->lost = false;
	ret = guest_fault_watch(map, size, &area->lost);
	if (ret < 0) {
		(void)munmap(map, size);
		return error_set(e, ret, "too many mappings of guest memory");
	}
	area->fault_slot = ret;
	area->map = map;
	area->map_size = size;
	area->start = (uint8_t *)map + (config->offset - start);
	area->size = config->size;
	area->n_rings = config->n_rings;
	area->ring_size = config->ring_size;
	return 0;
}

int inflight_area_open(struct inflight_area *area, const struct vhost_inflight_area *config, int fd,
		       struct error *e)
{
	struct stat st;

	if (!config->n_rings || config->n_rings > VHOST_RINGS_MAX || !config->ring_size ||
	    config->ring_size > VRING_NUM_MAX || config->offset % sizeof(uint64_t) ||
	    config->offset + config->size < config->offset)
		return error_set(e, EINVAL, "a record for %u rings of %u descriptors",
				 config->n_rings, config->ring_size);
	if (guest_fault_check_file(fd))
		return error_set(e, EINVAL, "the record must be a file in memory");
	if (fstat(fd, &st))
		return error_set(e, errno, "fstat of the record: %m");
	if (config->offset + config->size > (uint64_t)st.st_size ||
	    config->size < config->n_rings * get_part_size(config->ring_size, false))
		return error_set(e, EINVAL, "the record's file is too short");
	return map_area(area, config, fd, e);
}

int inflight_area_create(struct inflight_area *area, uint16_t n_rings, uint16_t ring_size,
			 bool is_packed, int *fdp, struct error *e)
{
	struct vhost_inflight_area config = {
		.size = n_rings * get_part_size(ring_size, is_packed),
		.n_rings = n_rings,
		.ring_size = ring_size,
	};
	int fd, ret;

	fd = memfd_create("vhost-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return error_set(e, errno, "cannot make a memory file: %m");
	if (ftruncate(fd, (off_t)config.size) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		ret = error_set(e, errno, "cannot size a memory file: %m");
	else
		ret = inflight_area_open(area, &config, fd, e);
	if (ret)
		close(fd);
	else
		*fdp = fd;
	return ret;
}

void inflight_area_close(struct inflight_area *area)
{
	if (!area->map)
		return;
	guest_fault_unwatch(area->fault_slot);
	(void)munmap(area->map, area->map_size);
	area->map = NULL;
}

/* ---- a ring's part ---------------------------------------------------------------------- */

int inflight_ring_init(struct inflight_ring *record, const struct inflight_area *area,
		       unsigned int index, uint32_t num, bool is_packed)
{
	uint64_t part = get_part_size(area->ring_size, is_packed);

	memset(record, 0, sizeof(*record));
	if (index >= area->n_rings || num > area->ring_size || (index + 1) * part > area->size)
		return -EINVAL;
	record->lost = &area->lost;
	record->split = (void *)(area->start + index * part);
	return 0;
}

void inflight_ring_uninit(struct inflight_ring *record)
{
	free(record->marks);
	record->marks = NULL;
	record->n_marks = 0;
}

static int compare_marks(const void *a_, const void *b_)
{
	const struct inflight_mark *a = a_, *b = b_;

	return (a->counter > b->counter) - (a->counter < b->counter);
}

/* Collects what is marked, in order. */
static int collect_marks(struct inflight_ring *record, const struct vring *ring)
{
	free(record->marks);
	record->n_marks = 0;
	record->next_mark = 0;
	record->marks = malloc(ring->num * sizeof(record->marks[0]));
	if (!record->marks)
		return -ENOMEM;
	for (uint32_t i = 0; i < ring->num; i++) {
		const struct split_entry *s = &record->split->entries[i];
		const struct packed_entry *p = &record->packed->entries[i];

		if (LOAD(ring->is_packed ? &p->inflight : &s->inflight) != 1)
			continue;
		record->marks[record->n_marks++] = (struct inflight_mark){
			.counter = LOAD(ring->is_packed ? &p->counter : &s->counter),
			.index = (uint16_t)i,
		};
	}
	qsort(record->marks, record->n_marks, sizeof(record->marks[0]), compare_marks);
	return 0;
}

static int resume_split(struct inflight_ring *record, struct vring *ring)
{
	struct inflight_split *split = record->split;
	uint16_t missing = (uint16_t)(ring->next_used - LOAD(&split->used_idx));
	uint16_t index = LOAD(&split->last_batch);
	int ret;

	if (LOAD(&split->version) != RECORD_VERSION) {
		memset(split->entries, 0, ring->num * sizeof(split->entries[0]));
		STORE(&split->num, (uint16_t)ring->num);
		STORE(&split->last_batch, 0);
		STORE(&split->used_idx, ring->next_used);
		STORE_RELEASE(&split->version, RECORD_VERSION);
		return 0;
	}
	/* The last batch was handed over, but its marks were not taken away any more. */
	for (; missing; missing--) {
		if (index >= ring->num || missing > ring->num)
			return -EINVAL;
		STORE(&split->entries[index].inflight, 0);
		index = LOAD(&split->entries[index].next);
	}
	STORE(&split->used_idx, ring->next_used);
	ret = collect_marks(record, ring);
	ring->next_avail = (uint16_t)(ring->next_used + record->n_marks);
	return ret;
}

static void begin_packed(struct inflight_packed *packed, const struct vring *ring)
{
	memset(packed->entries, 0, ring->num * sizeof(packed->entries[0]));
	for (uint32_t i = 0; i < ring->num; i++)
		packed->entries[i].next = (uint16_t)(i + 1);
	STORE(&packed->num, (uint16_t)ring->num);
	STORE(&packed->free_head, 0);
	STORE(&packed->old_free_head, 0);
	STORE(&packed->used_idx, ring->next_used);
	STORE(&packed->old_used_idx, ring->next_used);
	STORE(&packed->used_wrap, ring->used_wrap);
	STORE(&packed->old_used_wrap, ring->used_wrap);
	STORE_RELEASE(&packed->version, RECORD_VERSION);
}

/* Finishes or rolls back the batch that was under way. */
static int settle_packed(struct inflight_packed *packed, struct vring *ring)
{
	uint16_t slot = LOAD(&packed->old_used_idx), free_head = LOAD(&packed->old_free_head);
	bool wrap = LOAD(&packed->old_used_wrap);

	if (slot >= ring->num || LOAD(&packed->used_idx) >= ring->num)
		return -EINVAL;
	if (!vring_packed_is_available(LOAD_ACQUIRE(&ring->desc[slot].rest), wrap) &&
	    (LOAD(&packed->used_idx) != slot || !!LOAD(&packed->used_wrap) != wrap)) {
		/* The driver has it. */
		uint16_t index = LOAD(&packed->free_head);

		for (uint32_t i = 0; index != free_head && i < ring->num; i++) {
			if (index >= ring->num)
				return -EINVAL;
			STORE(&packed->entries[index].inflight, 0);
			index = LOAD(&packed->entries[index].next);
		}
		slot = LOAD(&packed->used_idx);
		wrap = LOAD(&packed->used_wrap);
		free_head = LOAD(&packed->free_head);
		if (slot >= ring->num)
			return -EINVAL;
	}
	ring->next_used = slot;
	ring->used_wrap = wrap;
	STORE(&packed->used_idx, slot);
	STORE(&packed->used_wrap, wrap);
	STORE(&packed->free_head, free_head);
	STORE(&packed->old_used_idx, slot);
	STORE(&packed->old_used_wrap, wrap);
	STORE(&packed->old_free_head, free_head);
	return 0;
}

static int resume_packed(struct inflight_ring *record, struct vring *ring)
{
	uint32_t slots = 0;
	int ret;

	if (LOAD(&record->packed->version) != RECORD_VERSION) {
		begin_packed(record->packed, ring);
		return 0;
	}
	ret = settle_packed(record->packed, ring);
	if (!ret)
		ret = collect_marks(record, ring);
	if (ret)
		return ret;
	for (uint32_t i = 0; i < record->n_marks; i++) {
		slots += LOAD(&record->packed->entries[record->marks[i].index].num);
		if (slots > ring->num)
			return -EINVAL;
	}
	ring->next_avail = ring->next_used;
	ring->avail_wrap = ring->used_wrap;
	vring_packed_advance(ring, &ring->next_avail, &ring->avail_wrap, slots);
	return 0;
}

int inflight_ring_resume(struct inflight_ring *record, struct vring *ring)
{
	return ring->is_packed ? resume_packed(record, ring) : resume_split(record, ring);
}

/* ---- chains ----------------------------------------------------------------------------- */

/* Takes a chain whose descriptors the record holds: their slots may have been used again. */
static enum vring_walk take_packed(struct inflight_ring *record, struct vring *ring,
				   struct vring_batch *batch, uint16_t index)
{
	uint16_t num = LOAD(&record->packed->entries[index].num), id = 0;
	struct vring_chain *chain = vring_open_chain(batch);
	uint64_t total = 0;

	if (!num || num > ring->num)
		return vring_walk_fail(ring, VHOST_FAULT_RING_RESUME);
	for (uint16_t i = 0; i < num; i++) {
		const struct packed_entry *entry = &record->packed->entries[index];
		uint64_t rest = LOAD(&entry->len) | (uint64_t)LOAD(&entry->flags) << 48;
		enum vring_walk walk;

		id = LOAD(&entry->id);
		walk = vring_packed_take_words(ring, batch, LOAD(&entry->addr), rest, &total);
		if (walk != VRING_WALK_OK) {
			batch->n_iov = chain->first_iov;
			return walk;
		}
		index = LOAD(&entry->next);
		if (index >= ring->num && i + 1 < num)
			return vring_walk_fail(ring, VHOST_FAULT_RING_RESUME);
	}
	if (total > UINT32_MAX)
		return vring_walk_fail(ring, VHOST_FAULT_RING_CHAIN_SIZE);
	vring_close_chain(batch, chain, (uint32_t)total, id, num);
	return VRING_WALK_OK;
}

int inflight_ring_pop(struct inflight_ring *record, struct vring *ring, struct vring_batch *batch,
		      unsigned int max)
{
	int popped = 0;

	if (guest_fault_is_lost(record->lost)) {
		vring_fail(ring, VHOST_FAULT_MEMORY_LOST);
		return -EIO;
	}
	while (record->next_mark < record->n_marks && (unsigned int)popped < max) {
		uint16_t index = record->marks[record->next_mark].index;
		enum vring_walk walk = ring->is_packed ? take_packed(record, ring, batch, index)
						       : vring_split_take(ring, batch, index);

		if (walk == VRING_WALK_BROKEN)
			return -EIO;
		if (walk == VRING_WALK_FULL)
			break;
		batch->chains[batch->n - 1].mark = index;
		record->next_mark++;
		popped++;
	}
	return popped;
}

void inflight_ring_rewind(struct inflight_ring *record)
{
	record->next_mark--;
}

void inflight_ring_prepare(struct inflight_ring *record, const struct vring *ring,
			   const struct vring_batch *batch, unsigned int first, unsigned int n)
{
	for (unsigned int i = first; i < first + n; i++) {
		const struct vring_chain *chain = &batch->chains[i];

		if (!ring->is_packed) {
			STORE(&record->split->entries[chain->id].next,
			      LOAD(&record->split->last_batch));
			STORE_RELEASE(&record->split->last_batch, chain->id);
		} else if (chain->mark != VRING_NO_MARK) {
			struct packed_entry *entry = &record->packed->entries[chain->mark];
			uint16_t last = LOAD(&entry->last);

			if (last < ring->num)
				STORE(&record->packed->entries[last].next,
				      LOAD(&record->packed->free_head));
			STORE_RELEASE(&record->packed->free_head, chain->mark);
		}
	}
	if (!ring->is_packed)
		return;
	STORE(&record->packed->used_wrap, ring->used_wrap);
	STORE_RELEASE(&record->packed->used_idx, ring->next_used);
}

void inflight_ring_commit(struct inflight_ring *record, struct vring *ring,
			  const struct vring_batch *batch, unsigned int first, unsigned int n)
{
	for (unsigned int i = first; i < first + n; i++) {
		uint16_t mark = batch->chains[i].mark;

		if (mark == VRING_NO_MARK)
			continue;
		STORE(ring->is_packed ? &record->packed->entries[mark].inflight
				      : &record->split->entries[mark].inflight,
		      0);
	}
	if (!ring->is_packed) {
		STORE_RELEASE(&record->split->used_idx, ring->next_used);
		return;
	}
	STORE(&record->packed->old_free_head, LOAD(&record->packed->free_head));
	STORE(&record->packed->old_used_wrap, ring->used_wrap);
	STORE_RELEASE(&record->packed->old_used_idx, ring->next_used);
}
