/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port_mem.h - ports in memory, for tests and benchmarks: no privilege, no device.
 *
 * What such a port receives:
 *   - a replayed capture file (rx=FILE, loop=N|forever, rate=PPS), spread over the queues by flow
 *     hash, so that a flow's packets stay in order;
 *   - what the port at the other end of its wire transmits (peer=NAME, on both ports);
 *   - what a test injects, see port_mem_inject().
 * Where goes what is transmitted to it: along the wire; to the test (collect=on), see
 * port_mem_collect(); without either it is counted and freed: a null port. A copy goes to a capture
 * file if asked for (tx=FILE).
 *
 * metadata=on hands hash and layout over with each replayed packet, as the XDP program of an AF_XDP
 * port does; otherwise the worker parses. csum=on and gso=on let partial checksums and GSO packets
 * out as they are.
 *
 * Wires and collected packets are bounded queues (MEM_RING_SIZE packets) of the frames themselves:
 * nothing is copied, and what does not fit is dropped as tx_ring_full. A sleeping worker is woken.
 * Replay copies from the loaded file into fresh frames, which the cache keeps warm.
 *
 * Thread-safety: the functions below may be called by any thread while the port is open, also
 * several at once. The operations of the class are as port.h says.
 */
#ifndef VSWITCH_DATAPATH_PORT_MEM_H
#define VSWITCH_DATAPATH_PORT_MEM_H

#include <stdint.h>
#include "datapath/port.h"

extern const struct port_class port_mem_class;

/* Packets that a receive queue, or a queue to be collected from, can hold. */
#define MEM_RING_SIZE 1024u

/* The offloads of a packet that goes in or comes out; the members of struct packet. */
struct port_mem_offload {
	uint8_t csum; /* enum packet_csum */
	uint8_t gso_type; /* enum packet_gso */
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
};

/*
 * Has the port receive a packet of `len` bytes at `data` by its queue `queue`. `offload` is taken
 * as it is; NULL: none. Returns 0; -EINVAL: no such queue; -EMSGSIZE: longer than PACKET_LEN_MAX;
 * -ENOBUFS: the queue is full or the pool has no frame.
 */
int port_mem_inject(struct port *port, unsigned int queue, const void *data, uint32_t len,
		    const struct port_mem_offload *offload) WARN_UNUSED;

/*
 * Takes the next packet that was transmitted to a port with collect=on: up to `size` bytes of it to
 * `buf`, and its offloads to `offload` (unless NULL). Waits for up to `timeout_ms` milliseconds.
 * Queues are looked at in order; within one, packets come in the order they were sent. Returns the
 * packet's whole length; -EAGAIN: none came; -EINVAL: the port does not collect.
 */
int port_mem_collect(struct port *port, void *buf, uint32_t size, struct port_mem_offload *offload,
		     unsigned int timeout_ms) WARN_UNUSED;

/* Pushes what was recorded (tx=FILE) to the file. Also done by close and refresh. Returns 0 or
 * -EIO. */
int port_mem_flush(struct port *port) WARN_UNUSED;

#endif /* VSWITCH_DATAPATH_PORT_MEM_H */
