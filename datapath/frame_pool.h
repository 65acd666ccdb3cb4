/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frame_pool.h - the memory that packets live in: fixed-size frames, and who holds each.
 *
 * One pool per datapath: an area of FRAME_SIZE-byte frames in one mapping, which is the UMEM of
 * every AF_XDP socket, so that a packet moves from port to port by its descriptor and never by
 * copying. Beside it an array of `struct packet`, one for each frame for good: frame i and packet
 * i are the same thing seen from two sides.
 *
 * Free frames lie in the pool in slabs of FRAME_SLAB; each thread has a `struct frame_cache` of up
 * to two slabs and takes or gives whole slabs, so that the pool's lock is touched once in 64
 * frames.
 *
 * Each frame is in exactly one place, told by packet.owner:
 *   FRAME_FREE           in the pool or in a thread's cache
 *   FRAME_HELD           in a thread's hands (received, being switched, staged for output)
 *   any other number     lent to the port queue of that id: fill ring, in the driver, transmit ring
 * A port that closes takes back what its queues still have with frame_pool_reclaim(), after the
 * kernel has let go. frame_pool_count() takes the census; tests hold it against n_frames.
 *
 * Life cycle: created with the datapath, destroyed after the last port and worker are gone.
 *
 * Thread-safety: frame_pool_* may be called by any thread; a frame_cache belongs to one thread.
 */
#ifndef VSWITCH_DATAPATH_FRAME_POOL_H
#define VSWITCH_DATAPATH_FRAME_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/error.h"
#include "lib/mutex.h"
#include "lib/util.h"

struct packet;

/* Bytes in a frame, and its exponent. Half a page: the smallest chunk that AF_XDP takes. */
#define FRAME_SHIFT 11
#define FRAME_SIZE (1u << FRAME_SHIFT)
/* Bytes kept free ahead of received data; the kernel's XDP headroom is the same. */
#define FRAME_HEADROOM 256u
/* Most payload bytes in one frame. */
#define FRAME_PAYLOAD (FRAME_SIZE - FRAME_HEADROOM)
/* Frames that move between pool and cache at once. */
#define FRAME_SLAB 64u

/* packet.owner; queue ids come from frame_pool_new_owner(). */
#define FRAME_FREE 0u
#define FRAME_HELD 1u
#define FRAME_OWNER_FIRST 2u

struct frame_pool {
	uint8_t *area;          /* n_frames * FRAME_SIZE bytes, huge-page aligned */
	struct packet *packets; /* n_frames of them */
	uint32_t n_frames;      /* a multiple of FRAME_SLAB */
	uint32_t next_owner;    /* next id that frame_pool_new_owner() gives, atomic */
	void *umem;             /* port_afxdp's registration of the area with the kernel; NULL
				 * before its first port. Control thread only */
	struct mutex lock;
	uint32_t *free GUARDED;  /* stack of free frame numbers, room for n_frames */
	uint32_t n_free GUARDED; /* a multiple of FRAME_SLAB but for the last slab */
};

/* A thread's own free frames. */
struct frame_cache {
	struct frame_pool *pool;
	uint32_t n;                      /* free frames in it */
	uint32_t frames[2 * FRAME_SLAB]; /* their numbers */
};

/* Makes a pool of `n_frames` (rounded up to whole slabs). Returns 0, or -ENOMEM, -EINVAL. */
int frame_pool_create(uint32_t n_frames, struct frame_pool **poolp, struct error *err) WARN_UNUSED;
/* Frees the pool. NULL is allowed. */
void frame_pool_destroy(struct frame_pool *pool);

/* Returns a new owner id for a port queue, never used before in this pool. */
uint32_t frame_pool_new_owner(struct frame_pool *pool);

/* Puts every frame lent to `owner` back into the pool. Only for a queue whose kernel side is
 * closed. Returns how many there were. */
uint32_t frame_pool_reclaim(struct frame_pool *pool, uint32_t owner);

/* Counts the frames that `owner` has now; exact when nothing moves. O(n_frames). */
uint32_t frame_pool_count(const struct frame_pool *pool, uint32_t owner);

void frame_cache_init(struct frame_cache *cache, struct frame_pool *pool);
/* Gives all frames back to the pool. */
void frame_cache_uninit(struct frame_cache *cache);

/* Moves a slab from the pool into an empty cache. Returns false when the pool is exhausted. */
bool frame_cache_refill(struct frame_cache *cache);
/* Moves a slab from a full cache into the pool. */
void frame_cache_spill(struct frame_cache *cache);

#endif /* VSWITCH_DATAPATH_FRAME_POOL_H */
