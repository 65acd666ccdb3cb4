/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/dirty_log.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhost/guest_fault.h"

/* A log for all of the largest guest, wherever in its first 64 TiB it lies. */
#define LOG_SIZE_MAX ((UINT64_C(64) << 40) / VHOST_LOG_PAGE / 8)

int dirty_log_open(struct dirty_log *log, const struct vhost_log_area *area, int fd,
		   struct error *e)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t start, size;
	struct stat st;
	void *map;
	int ret;

	if (!area->size || area->size > LOG_SIZE_MAX || area->offset + area->size < area->offset)
		return error_set(e, EINVAL, "a dirty log of 0x%" PRIx64 " bytes", area->size);
	if (guest_fault_check_file(fd))
		return error_set(e, EINVAL, "the dirty log must be a file in memory");
	if (fstat(fd, &st))
		return error_set(e, errno, "fstat of the dirty log: %m");
	if (area->offset + area->size > (uint64_t)st.st_size)
		return error_set(e, EINVAL, "the dirty log's file is shorter than the log");
	start = ROUND_DOWN(area->offset, page);
	size = ROUND_UP(area->offset + area->size - start, page);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		   (off_t)start);
	if (map == MAP_FAILED)
		return error_set(e, errno, "cannot map the dirty log: %m");
	log->lost = false;
	ret = guest_fault_watch(map, size, &log->lost);
	if (ret < 0) {
		(void)munmap(map, size);
		return error_set(e, ret, "too many mappings of guest memory");
	}
	log->fault_slot = ret;
	log->map = map;
	log->map_size = size;
	log->bits = (uint8_t *)map + (area->offset - start);
	log->size = area->size;
	return 0;
}

void dirty_log_close(struct dirty_log *log)
{
	if (!log->bits)
		return;
	guest_fault_unwatch(log->fault_slot);
	(void)munmap(log->map, log->map_size);
	log->bits = NULL;
}

bool dirty_log_covers(const struct dirty_log *log, uint64_t gpa, uint64_t size)
{
	return gpa + size >= gpa && (gpa + size - 1) / VHOST_LOG_PAGE / 8 < log->size;
}

void dirty_log_mark(struct dirty_log *log, uint64_t gpa, uint64_t size)
{
	uint64_t last;

	if (!size)
		return;
	last = (gpa + size - 1) / VHOST_LOG_PAGE;
	for (uint64_t page = gpa / VHOST_LOG_PAGE; page <= last && page / 8 < log->size; page++)
		__atomic_fetch_or(&log->bits[page / 8], (uint8_t)(1u << page % 8),
				  __ATOMIC_RELEASE);
}
