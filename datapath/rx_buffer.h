/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rx_buffer.h - room for one packet of any length, for drivers that receive by readv() or
 *recvmsg().
 *
 * Who does not know how long the next packet is must have room for the longest beforehand: a
 * virtio-net header and RX_BUFFER_SLOTS frames. A read fills the first few of them; these go out as
 *a packet, and others are put in their place before the next read.
 *
 *	if (rx_buffer_fill(buf, cache)) {
 *		size = readv(fd, buf->iov, RX_BUFFER_IOVS);
 *		...
 *		packet = rx_buffer_take(buf, size);
 *	}
 *
 * Life cycle: rx_buffer_init() when the queue is made. The frames in it belong to the queue's owner
 *id and go back by frame_pool_reclaim() when the port closes.
 *
 * Thread-safety: belongs to the worker that polls the queue.
 */
#ifndef VSWITCH_DATAPATH_RX_BUFFER_H
#define VSWITCH_DATAPATH_RX_BUFFER_H

#include <sys/uio.h>
#include "datapath/packet.h"
#include "datapath/port.h"
#include "datapath/vnet_hdr.h"

/* Frames that hold the longest packet. */
#define RX_BUFFER_SLOTS ((PACKET_LEN_MAX + FRAME_PAYLOAD - 1) / FRAME_PAYLOAD)
#define RX_BUFFER_IOVS (1 + RX_BUFFER_SLOTS)

struct rx_buffer {
	uint32_t owner; /* of the frames in the slots */
	unsigned int n_missing; /* slots 0 to n_missing - 1 are empty */
	struct virtio_net_hdr hdr; /* of the packet being read */
	struct packet *slots[RX_BUFFER_SLOTS]; /* frames to be read into */
	struct iovec iov[RX_BUFFER_IOVS]; /* hdr, then the slots' payload */
};

void rx_buffer_init(struct rx_buffer *buf, uint32_t owner);

/* Puts frames into the empty slots. Returns false when the pool has not enough. */
bool rx_buffer_fill(struct rx_buffer *buf, struct frame_cache *cache) WARN_UNUSED;

/* Gives the frames in the slots back, for a queue that has been idle. */
void rx_buffer_empty(struct rx_buffer *buf, struct frame_cache *cache);

/*
 * Takes out as a packet, without offloads, what a read of `size` bytes, header included, has
 * filled. Returns the packet, which the caller holds, or NULL when there was nothing behind the
 * header.
 */
struct packet *rx_buffer_take(struct rx_buffer *buf, size_t size);

/* Counts a packet of `len` bytes that was received and has to be dropped before the worker sees it.
 */
void rx_buffer_count_drop(struct port_counters *counters, uint32_t len, enum drop_reason reason);

#endif /* VSWITCH_DATAPATH_RX_BUFFER_H */
