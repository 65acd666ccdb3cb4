/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/guest_mem.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Largest block of a file that a mapping is aligned to: the largest huge page. */
#define BLOCK_SIZE_MAX (UINT64_C(1) << 30)

void guest_mem_init(struct guest_mem *mem)
{
	mem->n = 0;
	mem->lost = false;
	mem->size = 0;
}

void guest_mem_uninit(struct guest_mem *mem)
{
	guest_mem_clear(mem);
}

/* Number of regions that begin at or below `gpa`. */
static unsigned int count_below(const struct guest_mem *mem, uint64_t gpa)
{
	unsigned int low = 0, high = mem->n;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (mem->regions[middle].gpa <= gpa)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct guest_region *guest_mem_lookup(const struct guest_mem *mem, uint64_t gpa)
{
	unsigned int n = count_below(mem, gpa);

	if (!n || !guest_region_room(&mem->regions[n - 1], gpa))
		return NULL;
	return &mem->regions[n - 1];
}

void *guest_mem_lookup_user(const struct guest_mem *mem, uint64_t uva, uint64_t size, uint64_t *gpa)
{
	for (unsigned int i = 0; i < mem->n; i++) {
		const struct guest_region *region = &mem->regions[i];
		uint64_t offset = uva - region->uva;

		if (offset < region->size && size <= region->size - offset) {
			*gpa = region->gpa + offset;
			return region->host + offset;
		}
	}
	return NULL;
}

/* ---- changes ---------------------------------------------------------------------------- */

static bool ranges_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a - b < b_size || b - a < a_size;
}

/* The numbers of a region alone, and against the others. */
static int check_region(const struct guest_mem *mem, const struct vhost_region *region,
			struct error *e)
{
	if (!region->size || region->gpa + region->size < region->gpa ||
	    region->uva + region->size < region->uva ||
	    region->offset + region->size < region->offset)
		return error_set(e, EINVAL,
				 "memory region at 0x%" PRIx64 " of 0x%" PRIx64
				 " bytes is empty or wraps around",
				 region->gpa, region->size);
	if (mem->n == VHOST_REGIONS_MAX)
		return error_set(e, ENOSPC, "more than %d memory regions", VHOST_REGIONS_MAX);
	for (unsigned int i = 0; i < mem->n; i++) {
		const struct guest_region *other = &mem->regions[i];

		if (ranges_overlap(region->gpa, region->size, other->gpa, other->size) ||
		    ranges_overlap(region->uva, region->size, other->uva, other->size))
			return error_set(e, EEXIST,
					 "memory region at 0x%" PRIx64
					 " overlaps the one at 0x%" PRIx64,
					 region->gpa, other->gpa);
	}
	return 0;
}

/* The file behind a region: in memory, long enough. It is noted in `out`, its block size in
 * *block. */
static int check_file(const struct vhost_region *region, int fd, struct guest_region *out,
		      uint64_t *block, struct error *e)
{
	struct stat st;

	if (guest_fault_check_file(fd))
		return error_set(e, EINVAL,
				 "guest memory must be a memfd or a file in tmpfs or hugetlbfs");
	if (fstat(fd, &st))
		return error_set(e, errno, "fstat of guest memory: %m");
	if (region->offset + region->size > (uint64_t)st.st_size)
		return error_set(e, EINVAL,
				 "the memory file has 0x%" PRIx64
				 " bytes, its region needs 0x%" PRIx64,
				 (uint64_t)st.st_size, region->offset + region->size);
	*block = (uint64_t)st.st_blksize;
	if (!IS_POW2(*block) || *block > BLOCK_SIZE_MAX)
		return error_set(e, EINVAL, "the memory file has blocks of 0x%" PRIx64 " bytes",
				 *block);
	*block = MAX(*block, (uint64_t)sysconf(_SC_PAGESIZE));
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	return 0;
}

/* Map the file's blocks that hold the region. */
static int map_region(struct guest_mem *mem, const struct vhost_region *region, int fd,
		      uint64_t block, struct guest_region *out, struct error *e)
{
	uint64_t start = ROUND_DOWN(region->offset, block);
	uint64_t size = ROUND_UP(region->offset + region->size - start, block);
	void *map;
	int ret;

	if (size > GUEST_MEM_SIZE_MAX || mem->size + size > GUEST_MEM_SIZE_MAX)
		return error_set(e, ENOSPC, "guest memory above 0x%" PRIx64 " bytes",
				 GUEST_MEM_SIZE_MAX);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		   (off_t)start);
	if (map == MAP_FAILED)
		return error_set(e, errno, "cannot map 0x%" PRIx64 " bytes of guest memory: %m",
				 size);
	/* Not in our core files: it is the guest's. Advice only. */
	(void)madvise(map, size, MADV_DONTDUMP);
	ret = guest_fault_watch(map, size, &mem->lost);
	if (ret < 0) {
		(void)munmap(map, size);
		return error_set(e, ret, "too many mappings of guest memory");
	}
	out->gpa = region->gpa;
	out->size = region->size;
	out->host = (uint8_t *)map + (region->offset - start);
	out->uva = region->uva;
	out->map = map;
	out->map_size = size;
	out->fault_slot = ret;
	out->offset = region->offset;
	out->times = 1;
	return 0;
}

static void unmap_region(struct guest_mem *mem, struct guest_region *region)
{
	guest_fault_unwatch(region->fault_slot);
	(void)munmap(region->map, region->map_size);
	mem->size -= region->map_size;
}

int guest_mem_insert(struct guest_mem *mem, const struct vhost_region *region, int fd,
		     struct error *e)
{
	struct guest_region mapped;
	uint64_t block = 0;
	unsigned int at;
	int ret;

	ret = check_region(mem, region, e);
	if (ret)
		return ret;
	ret = check_file(region, fd, &mapped, &block, e);
	if (ret)
		return ret;
	ret = map_region(mem, region, fd, block, &mapped, e);
	if (ret)
		return ret;
	at = count_below(mem, region->gpa);
	memmove(&mem->regions[at + 1], &mem->regions[at], (mem->n - at) * sizeof(mem->regions[0]));
	mem->regions[at] = mapped;
	mem->size += mapped.map_size;
	mem->n++;
	return 0;
}

/* The region of just these numbers, NULL if there is none. */
static struct guest_region *lookup_same(struct guest_mem *mem, const struct vhost_region *region)
{
	for (unsigned int i = 0; i < mem->n; i++) {
		struct guest_region *found = &mem->regions[i];

		if (found->gpa == region->gpa && found->uva == region->uva &&
		    found->size == region->size)
			return found;
	}
	return NULL;
}

int guest_mem_ref(struct guest_mem *mem, const struct vhost_region *region, int fd)
{
	struct guest_region *found = lookup_same(mem, region);
	struct stat st;

	if (!found || found->offset != region->offset || fstat(fd, &st) ||
	    found->dev != st.st_dev || found->ino != st.st_ino)
		return -ENOENT;
	if (found->times == VHOST_QUEUE_PAIRS_MAX)
		return -ENOSPC;
	found->times++;
	return 0;
}

int guest_mem_remove(struct guest_mem *mem, const struct vhost_region *region)
{
	struct guest_region *found = lookup_same(mem, region);

	if (!found)
		return -ENOENT;
	if (--found->times)
		return 0;
	unmap_region(mem, found);
	mem->n--;
	memmove(found, found + 1, (size_t)(&mem->regions[mem->n] - found) * sizeof(*found));
	return 0;
}

void guest_mem_clear(struct guest_mem *mem)
{
	for (unsigned int i = 0; i < mem->n; i++)
		unmap_region(mem, &mem->regions[i]);
	guest_mem_init(mem);
}
