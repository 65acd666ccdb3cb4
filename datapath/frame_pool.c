/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "datapath/frame_pool.h"
#include "datapath/packet.h"

/* The area starts on a huge page, so that the kernel can back it with them. */
#define AREA_ALIGN (2u << 20)

static int area_map(struct frame_pool *pool, struct error *err)
{
	size_t size = (size_t)pool->n_frames << FRAME_SHIFT;
	uint8_t *raw, *area;

	raw = mmap(NULL, size + AREA_ALIGN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0);
	if (raw == MAP_FAILED)
		return error_set(err, errno, "cannot map %zu MiB for %u frames: %m", size >> 20,
				 pool->n_frames);
	area = (uint8_t *)ROUND_UP((uintptr_t)raw, (uintptr_t)AREA_ALIGN);
	if (area > raw)
		munmap(raw, (size_t)(area - raw));
	munmap(area + size, (size_t)(raw + AREA_ALIGN - area));
	/* Fewer TLB misses where the kernel has huge pages to give; no loss where it has none. */
	(void)madvise(area, size, MADV_HUGEPAGE);
	pool->area = area;
	return 0;
}

/* nobody else knows the pool yet */
int frame_pool_create(uint32_t n_frames, struct frame_pool **poolp, struct error *err)
	NO_THREAD_SAFETY_ANALYSIS
{
	struct frame_pool *pool;
	int ret;

	if (n_frames == 0 || n_frames > (1u << 22))
		return error_set(err, EINVAL, "%u frames: must be between 1 and %u", n_frames,
				 1u << 22);
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return error_set(err, ENOMEM, "no memory for the frame pool");
	pool->n_frames = ROUND_UP(n_frames, FRAME_SLAB);
	pool->next_owner = FRAME_OWNER_FIRST;
	mutex_init(&pool->lock);
	ret = area_map(pool, err);
	if (ret)
		goto err_pool;
	pool->packets = aligned_alloc(CACHE_LINE, pool->n_frames * sizeof(*pool->packets));
	if (!pool->packets) {
		ret = error_set(err, ENOMEM, "no memory for %u packets", pool->n_frames);
		goto err_area;
	}
	pool->free = malloc(pool->n_frames * sizeof(*pool->free));
	if (!pool->free) {
		ret = error_set(err, ENOMEM, "no memory for %u frame numbers", pool->n_frames);
		goto err_packets;
	}
	memset(pool->packets, 0, pool->n_frames * sizeof(*pool->packets));
	for (uint32_t i = 0; i < pool->n_frames; i++) {
		pool->packets[i].frame = pool->area + ((size_t)i << FRAME_SHIFT);
		/* A stack: the first frames are given out first, the rest stays untouched. */
		pool->free[i] = pool->n_frames - 1 - i;
	}
	pool->n_free = pool->n_frames;
	*poolp = pool;
	return 0;

err_packets:
	free(pool->packets);
err_area:
	munmap(pool->area, (size_t)pool->n_frames << FRAME_SHIFT);
err_pool:
	mutex_uninit(&pool->lock);
	free(pool);
	return ret;
}

/* nobody else knows the pool any more */
void frame_pool_destroy(struct frame_pool *pool) NO_THREAD_SAFETY_ANALYSIS
{
	if (!pool)
		return;
	free(pool->free);
	free(pool->packets);
	munmap(pool->area, (size_t)pool->n_frames << FRAME_SHIFT);
	mutex_uninit(&pool->lock);
	free(pool);
}

uint32_t frame_pool_new_owner(struct frame_pool *pool)
{
	return __atomic_fetch_add(&pool->next_owner, 1, __ATOMIC_RELAXED);
}

static uint32_t packet_get_owner(const struct packet *packet)
{
	return __atomic_load_n(&packet->owner, __ATOMIC_RELAXED);
}

uint32_t frame_pool_reclaim(struct frame_pool *pool, uint32_t owner)
{
	uint32_t n = 0;

	mutex_lock(&pool->lock);
	for (uint32_t i = 0; i < pool->n_frames; i++) {
		if (packet_get_owner(&pool->packets[i]) != owner)
			continue;
		packet_set_owner(&pool->packets[i], FRAME_FREE);
		pool->free[pool->n_free++] = i;
		n++;
	}
	mutex_unlock(&pool->lock);
	return n;
}

uint32_t frame_pool_count(const struct frame_pool *pool, uint32_t owner)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < pool->n_frames; i++)
		n += packet_get_owner(&pool->packets[i]) == owner;
	return n;
}

void frame_cache_init(struct frame_cache *cache, struct frame_pool *pool)
{
	cache->pool = pool;
	cache->n = 0;
}

static void frame_cache_give(struct frame_cache *cache, uint32_t n)
{
	struct frame_pool *pool = cache->pool;

	mutex_lock(&pool->lock);
	cache->n -= n;
	memcpy(&pool->free[pool->n_free], &cache->frames[cache->n], n * sizeof(cache->frames[0]));
	pool->n_free += n;
	mutex_unlock(&pool->lock);
}

void frame_cache_uninit(struct frame_cache *cache)
{
	frame_cache_give(cache, cache->n);
}

void frame_cache_spill(struct frame_cache *cache)
{
	frame_cache_give(cache, FRAME_SLAB);
}

bool frame_cache_refill(struct frame_cache *cache)
{
	struct frame_pool *pool = cache->pool;
	uint32_t n;

	mutex_lock(&pool->lock);
	n = MIN(pool->n_free, FRAME_SLAB);
	pool->n_free -= n;
	memcpy(&cache->frames[cache->n], &pool->free[pool->n_free], n * sizeof(cache->frames[0]));
	cache->n += n;
	mutex_unlock(&pool->lock);
	return n > 0;
}
