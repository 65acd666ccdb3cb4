/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_VHOST_GUEST_H
#define TESTS_UNIT_VHOST_GUEST_H

/*
 * A guest with a network card: a vhost_driver that sends and receives packets, on as many queue
 * pairs as it likes. It keeps its receive rings full, kicks when it is asked to, and is honest; who
 * wants it otherwise uses its driver.
 *
 * Thread-safety: one thread; a queue pair's send and receive may run in another than the messages.
 */

#include "tests/unit/vhost_driver.h"

#define GUEST_PACKET_MAX 70000u /* bytes, header included */

struct vhost_guest {
	struct vhost_driver driver;
	unsigned int n_pairs;
	uint32_t header_size; /* of virtio-net */
	uint32_t buffer_size; /* of a receive buffer */
	uint32_t n_buffers; /* in each receive ring */
	uint32_t n_slots; /* packets that may be on their way out of a send ring */
	enum driver_layout layout; /* of packets that it sends */
	uint32_t piece_size; /* bytes; they are cut into pieces of it; 0: whole */
	struct guest_pair {
		struct driver_ring *rx, *tx;
		uint64_t buffers[DRIVER_RING_MAX]; /* by id: what is lent in rx */
		uint64_t slots; /* memory that packets are sent from */
		uint64_t tables; /* for indirect tables, one a slot */
		uint32_t slot_size, slot;
		uint32_t n_lent; /* in tx */
	} pairs[VHOST_QUEUE_PAIRS_MAX];
};

/* How it is to be. */
struct guest_config {
	const char *path;
	void (*run)(void *aux); /* see driver_init_at() */
	void *run_aux;
	uint64_t features;
	unsigned int n_pairs;
	uint32_t buffer_size; /* 0: 2048 if they are merged, else what a whole packet takes */
	uint32_t n_buffers; /* 0: 64 */
	uint32_t slot_size; /* most bytes it sends in a packet, 0: 2048 */
	enum driver_layout layout;
	uint32_t piece_size;
};

/* Connects and sets all rings up. */
void guest_init(struct vhost_guest *g, const struct guest_config *config);
void guest_uninit(struct vhost_guest *g);

/* Sets everything up again on a new connection: memory as at the beginning. */
void guest_reconnect(struct vhost_guest *g);

/* Sends a packet; `hdr` NULL: one that says nothing. Returns 0, or -ENOSPC when the device has not
 * used older ones yet. */
int guest_send(struct vhost_guest *g, unsigned int pair, const struct virtio_net_hdr *hdr,
	       const void *frame, uint32_t len);

/* Takes a packet. Returns its length, -EAGAIN when there is none; aborts if the device broke the
 * rules of merged buffers. */
int guest_receive(struct vhost_guest *g, unsigned int pair, struct virtio_net_hdr *hdr, void *frame,
		  uint32_t size);

#endif
