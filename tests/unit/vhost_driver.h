/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_VHOST_DRIVER_H
#define TESTS_UNIT_VHOST_DRIVER_H

/*
 * The other side of vhost/: a front end and a virtio driver in the test's own process.
 *
 * struct vhost_driver plays the front end: it makes a device with a socket pair, shares a memory
 * file with it and sends messages; after each one it lets the device run, in the same thread. The
 * guest's memory has three regions; the first two touch each other in guest addresses, but not in
 * the file:
 *
 *	gpa		size	in the file at
 *	0x100000	1 MiB	0
 *	0x200000	1 MiB	2 MiB
 *	0x40000000	12 MiB	4 MiB	rings, and what driver_alloc() gives
 *
 * struct driver_ring plays the driver of one ring, split or packed, honest by default; tests that
 * want to be hostile write into the ring's memory themselves.
 *
 * The device may also be somebody else's, behind a socket in the file system: driver_init_at().
 *
 * Nothing here asserts by cmocka, so that fuzzers and benchmarks can use it too: what must not fail
 * aborts.
 *
 * Thread-safety: a driver_ring belongs to one thread, everything else to the test's own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vhost/vhost_dev.h"

#define DRIVER_GPA_LOW UINT64_C(0x100000)
#define DRIVER_GPA_NEXT UINT64_C(0x200000)
#define DRIVER_GPA_HIGH UINT64_C(0x40000000)
#define DRIVER_MIB UINT64_C(0x100000)
#define DRIVER_FILE_SIZE (16 * DRIVER_MIB)
#define DRIVER_UVA_OFFSET UINT64_C(0x7f0000000000)
#define DRIVER_RING_MAX 1024 /* descriptors in a driver_ring */

/* A piece of a buffer. */
struct driver_piece {
	uint64_t gpa;
	uint32_t size;
};

struct driver_ring {
	struct vhost_driver *driver;
	unsigned int index;
	uint32_t num;
	bool is_packed;
	bool event_idx;
	bool device_writes;
	struct vring_slot *desc;
	uint64_t desc_gpa, avail_gpa, used_gpa;
	struct vring_avail *avail; /* split */
	struct vring_used *used;
	struct vring_event *driver_event; /* packed */
	struct vring_event *device_event;
	int kick_fd, call_fd, err_fd;
	uint16_t next_avail; /* split: free-running; packed: slot */
	uint16_t next_used;
	bool avail_wrap, used_wrap; /* packed */
	uint16_t kicked; /* next_avail at the last kick */
	uint32_t n_free; /* descriptors, or slots */
	uint16_t free_ids[DRIVER_RING_MAX]; /* stack of free descriptors or buffer ids */
	uint32_t n_free_ids;
	struct {
		uint16_t n; /* descriptors or slots that it takes; 0: not in use */
		uint16_t descs[64]; /* split: which */
	} buffers[DRIVER_RING_MAX]; /* by head or buffer id */
};

struct vhost_driver {
	struct vhost_dev *dev; /* NULL: it is behind `path` */
	const char *path; /* socket of a device that is not ours */
	void (*run)(void *aux); /* lets that device handle what came */
	void *run_aux;
	int sock; /* the front end's end; -1: hung up */
	int mem_fd;
	uint8_t *mem; /* the whole file */
	uint64_t next_alloc; /* gpa */
	uint64_t features; /* that it negotiates */
	uint64_t protocol_features;
	uint32_t published; /* by the device, kept by the operations */
	unsigned int n_withdraws; /* calls */
	unsigned int n_publishes;
	unsigned int mtu; /* as the device asked */
	int mtu_error; /* what to answer to that */
	uint8_t mac[6]; /* of the last RARP */
	struct driver_ring rings[VHOST_RINGS_MAX];
};

/* Features that tests negotiate, unless they say otherwise. */
#define DRIVER_FEATURES                                                                            \
	(VHOST_BIT(VIRTIO_F_VERSION_1) | VHOST_BIT(VIRTIO_NET_F_MRG_RXBUF) |                       \
	 VHOST_BIT(VIRTIO_RING_F_INDIRECT_DESC) | VHOST_BIT(VHOST_USER_F_PROTOCOL_FEATURES))

/* Make a device of `n_queue_pairs` that offers everything, connected. */
void driver_init(struct vhost_driver *d, unsigned int n_queue_pairs);
/* The same for a device that is behind the socket `path`: `run` is called after each message, and
 * has to handle it. `published` and what the device asks for are not known then. */
void driver_init_at(struct vhost_driver *d, const char *path, void (*run)(void *aux), void *aux);
/* The same for a device in another process, which connects to us: waits for it at a socket that
 * driver_listen() made. */
void driver_init_accept(struct vhost_driver *d, int listener);
int driver_listen(const char *path);
void driver_uninit(struct vhost_driver *d);

/* Hang up, and let the device notice. */
void driver_hang_up(struct vhost_driver *d);
/* Connect again. */
void driver_connect(struct vhost_driver *d);

/* Where a guest address is here, NULL outside of the regions. */
void *driver_ptr(struct vhost_driver *d, uint64_t gpa);
/* Room in the high region, aligned to 4096 bytes if that large, else to 64. */
uint64_t driver_alloc(struct vhost_driver *d, uint64_t size);

/* Send bytes and descriptors as they are. Returns 0 or a negative errno. */
int driver_send_raw(struct vhost_driver *d, const void *data, size_t size, const int *fds,
		    unsigned int n_fds);
/* Send a request and let the device run. Returns what vhost_dev_run() said. */
int driver_request(struct vhost_driver *d, uint32_t request, uint32_t flags, const void *payload,
		   uint32_t size, const int *fds, unsigned int n_fds);
/* The same with need_reply: returns the answer (0: done), or a negative errno when none came. */
int driver_request_ack(struct vhost_driver *d, uint32_t request, const void *payload, uint32_t size,
		       const int *fds, unsigned int n_fds);
/* Read one reply: its payload into `payload`. Returns its size, or a negative errno; a descriptor
 * that comes with it goes to *fd (-1: none), or is closed if `fd` is NULL. */
int driver_read_reply(struct vhost_driver *d, uint32_t request, void *payload, uint32_t size,
		      int *fd);
/* A request with a u64 in the reply; aborts if there is none. */
uint64_t driver_get_u64(struct vhost_driver *d, uint32_t request);
int driver_set_u64(struct vhost_driver *d, uint32_t request, uint64_t value);
int driver_set_state(struct vhost_driver *d, uint32_t request, uint32_t index, uint32_t num);
/* GET_VRING_BASE, which stops the ring. */
uint32_t driver_get_base(struct vhost_driver *d, unsigned int index);

/* The usual beginning: features, protocol features, memory table. */
void driver_negotiate(struct vhost_driver *d, uint64_t features);
/* Says that the driver is ready, where the device keeps a status; after all rings are set up. */
void driver_ready(struct vhost_driver *d);
/* SET_MEM_TABLE with the first `n` regions. Returns as driver_request(). */
int driver_set_memory(struct vhost_driver *d, unsigned int n);
void driver_get_region(unsigned int i, struct vhost_region *region);

/* Lay out ring `index` with `num` descriptors in memory; tell the device nothing. */
struct driver_ring *driver_ring_make(struct vhost_driver *d, unsigned int index, uint32_t num);
/* Tell all about it, kick and call descriptors included, and switch it on. */
void driver_ring_start(struct driver_ring *r, uint32_t base);
/* Both. */
struct driver_ring *driver_ring_open(struct vhost_driver *d, unsigned int index, uint32_t num);
int driver_ring_send_addr(struct driver_ring *r, uint32_t flags, uint64_t log);
/* SET_VRING_KICK, _CALL or _ERR with a new eventfd, kept in the ring. */
int driver_ring_send_fd(struct driver_ring *r, uint32_t request, int *keep);

enum driver_layout {
	DRIVER_DIRECT,
	DRIVER_INDIRECT, /* all pieces in an indirect table */
	DRIVER_MIXED, /* split: the first direct, the others in a table */
};

/*
 * Lend a buffer. `table` is guest memory for an indirect table of n_pieces entries (unused when
 * direct). Returns its id, or -ENOSPC when the ring is full. The device sees it at once.
 */
int driver_ring_add(struct driver_ring *r, const struct driver_piece *pieces, unsigned int n_pieces,
		    enum driver_layout layout, uint64_t table);
/* Take back a used buffer. Returns its id and bytes written in *len, or -EAGAIN when there is none;
 * aborts if the device used what it was not lent. */
int driver_ring_get(struct driver_ring *r, uint32_t *len);
/* Whether the device wants to be kicked for what was added since the last time. */
bool driver_ring_wants_kick(struct driver_ring *r);
/* Kicks it if so. */
void driver_ring_kick(struct driver_ring *r);
/* Ask to be called: for the next used buffer, or never. */
void driver_ring_arm(struct driver_ring *r);
void driver_ring_disarm(struct driver_ring *r);
/* Calls that came since the last time. */
uint64_t driver_ring_take_calls(struct driver_ring *r);

/* Descriptors that this process has open. */
unsigned int driver_count_fds(void);
/* Mappings of memory files that it has. */
unsigned int driver_count_maps(void);

/* A small generator of random numbers. */
static inline uint32_t driver_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

#endif
