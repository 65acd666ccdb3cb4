/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VHOST_GUEST_MEM_H
#define VHOST_GUEST_MEM_H

/*
 * A guest's memory as we see it
 * =============================
 *
 * The front end shares the guest's memory as regions: a file, an offset in it, a size, and two
 * addresses at which that piece appears: guest physical (in descriptors) and the front end's own
 * (for the rings). Regions overlap in neither. They are kept sorted by guest address, so that
 * translation is a binary search, or one comparison when the region is the same as last time.
 *
 * Nothing that a guest says is trusted: a translation states its whole length and succeeds only if
 * every byte of it lies in one region. A region is taken only if its file lives in memory, holds
 * all the bytes it claims, and the sums of its addresses do not wrap; the sizes of all together are
 * bounded, for address space is shared with other guests. What happens when the file shrinks later
 * is told in guest_fault.h; guest_mem_is_lost() then says that the guest has to go.
 *
 * Life cycle: guest_mem_init(); insert, remove, clear as the front end asks; guest_mem_uninit()
 * unmaps. File descriptors stay the caller's, a mapping does not need them.
 *
 * Thread-safety: changes are for the control thread while no worker uses any ring of this guest
 * (vhost_dev.h tells how that is arranged); lookups by any number of threads between changes.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"
#include "vhost/guest_fault.h"
#include "vhost/vhost_proto.h"

/* Most bytes that one guest may share; address space of 47 bits has room for 64 such guests. */
#define GUEST_MEM_SIZE_MAX (UINT64_C(1) << 41)

struct guest_region {
	uint64_t gpa; /* guest physical address of the first byte */
	uint64_t size; /* bytes, > 0 */
	uint8_t *host; /* where it is mapped here */
	uint64_t uva; /* address of the first byte in the front end */
	void *map; /* the mapping, which may begin ahead of `host` */
	uint64_t map_size; /* bytes */
	int fault_slot; /* of guest_fault_watch() */
	uint64_t offset; /* bytes, in the file */
	dev_t dev; /* the file, as fstat() tells it */
	ino_t ino;
	unsigned int times; /* it was inserted; as often it is removed; >= 1 */
};

struct guest_mem {
	unsigned int n; /* regions */
	bool lost; /* a mapping had to be replaced; set by a signal handler */
	uint64_t size; /* bytes in all mappings */
	struct guest_region regions[VHOST_REGIONS_MAX]; /* sorted by gpa */
};

void guest_mem_init(struct guest_mem *mem);
void guest_mem_uninit(struct guest_mem *mem);

/*
 * Map one more region from `fd`. Returns 0; -EINVAL when its numbers or its file are wrong, -EEXIST
 * when it overlaps another, -ENOSPC past VHOST_REGIONS_MAX or GUEST_MEM_SIZE_MAX, or what mmap()
 * said.
 */
int guest_mem_insert(struct guest_mem *mem, const struct vhost_region *region, int fd,
		     struct error *e) WARN_UNUSED;

/*
 * Count the region once more if just this piece of this file is there already. QEMU up to 7.2 adds
 * and removes each region once for each queue pair. Returns 0; -ENOENT if it is not there, -ENOSPC
 * after VHOST_QUEUE_PAIRS_MAX times.
 */
int guest_mem_ref(struct guest_mem *mem, const struct vhost_region *region, int fd) WARN_UNUSED;

/* Unmap the region of that gpa, uva and size, the last time. Returns 0 or -ENOENT. */
int guest_mem_remove(struct guest_mem *mem, const struct vhost_region *region) WARN_UNUSED;

/* Unmap all, and be as after guest_mem_init(). */
void guest_mem_clear(struct guest_mem *mem);

/* The region that holds `gpa`, or NULL. */
const struct guest_region *guest_mem_lookup(const struct guest_mem *mem, uint64_t gpa) WARN_UNUSED;

/*
 * Where `size` bytes at the front end's address `uva` are here, and in *gpa their guest address;
 * NULL unless all lie in one region.
 */
void *guest_mem_lookup_user(const struct guest_mem *mem, uint64_t uva, uint64_t size,
			    uint64_t *gpa) WARN_UNUSED;

/* True once part of the memory was taken away while in use. */
static inline bool guest_mem_is_lost(const struct guest_mem *mem)
{
	return guest_fault_is_lost(&mem->lost);
}

/* Bytes from `gpa` to the end of the region; 0 if it is not in it. */
static inline uint64_t guest_region_room(const struct guest_region *region, uint64_t gpa)
{
	uint64_t offset = gpa - region->gpa;

	return offset < region->size ? region->size - offset : 0;
}

/*
 * Where `size` bytes at `gpa` are here, NULL unless all lie in one region. *hint is where the last
 * one was found (never NULL; any region of the table will do) and is brought up to date.
 */
static ALWAYS_INLINE void *guest_mem_translate(const struct guest_mem *mem,
					       const struct guest_region **hint, uint64_t gpa,
					       uint64_t size)
{
	const struct guest_region *region = *hint;
	uint64_t room = guest_region_room(region, gpa);

	if (unlikely(!room)) {
		region = guest_mem_lookup(mem, gpa);
		if (!region)
			return NULL;
		*hint = region;
		room = guest_region_room(region, gpa);
	}
	if (unlikely(size > room))
		return NULL;
	return region->host + (gpa - region->gpa);
}

#endif
