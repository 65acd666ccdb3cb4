/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port_packet_priv.h - what port_packet.c (control) and port_packet_io.c (workers) share.
 *
 * A slot of the ring is the kernel's or ours, by its status word: the kernel fills it and sets
 * TP_STATUS_USER, we copy it out and set TP_STATUS_KERNEL. For each slot with TP_STATUS_COPY
 * exactly one frame lies in the socket's queue, in the same order.
 *
 * Receive queues each have a socket and, when there are several, share the device's traffic by
 * flow hash (fanout). Transmit queues have sockets of their own, which receive nothing.
 *
 * Thread-safety: a receive queue belongs to the worker that polls it, a transmit queue to who holds
 * it (port.h).
 */
#ifndef VSWITCH_DATAPATH_PORT_PACKET_PRIV_H
#define VSWITCH_DATAPATH_PORT_PACKET_PRIV_H

#include <linux/if_packet.h>
#include <sys/socket.h>
#include "datapath/port.h"
#include "datapath/port_packet.h"
#include "datapath/rx_buffer.h"

/* Bytes in a slot of the ring: a frame of 1518 bytes with all that lies ahead of it fits. */
#define PACKET_SLOT_SIZE 2048u
/* Slots in a ring. */
#define PACKET_RING_SLOTS 2048u
/* Bytes that the kernel allocates at once for it. */
#define PACKET_BLOCK_SIZE (64u << 10)
/* Segments of a packet to be sent. */
#define PACKET_SEGS_MAX 128u
/* Pieces that one sendmmsg() gathers. */
#define PACKET_IOVS_MAX 256u

struct packet_rxq {
	struct port_rxq rxq cacheline_aligned; /* rxq.fd is the socket */
	uint8_t *ring; /* shared with the kernel, PACKET_RING_SLOTS slots */
	uint32_t next; /* slot to look at, below PACKET_RING_SLOTS */
	struct rx_buffer buffer; /* for frames that do not fit into a slot */
};

struct packet_txq {
	struct port_txq txq cacheline_aligned;
	int fd;
	struct virtio_net_hdr hdrs[PACKET_BATCH_MAX];
	struct mmsghdr messages[PACKET_BATCH_MAX];
	struct iovec iovs[PACKET_IOVS_MAX];
};

struct packet_port {
	struct port port;
	int ifindex;
	int promisc_fd; /* keeps the device promiscuous */
	struct packet_rxq *queues; /* port.n_rxqs of them */
	struct packet_txq *tqueues; /* port.n_txqs of them */
};

unsigned int port_packet_rx(struct port_rxq *rxq, struct frame_cache *cache,
			    struct port_counters *counters, struct packet **packets,
			    unsigned int max);
void port_packet_tx(struct port_txq *txq, struct frame_cache *cache, struct port_counters *counters,
		    struct packet **packets, unsigned int n);
bool port_packet_arm(struct port_rxq *rxq);

#endif /* VSWITCH_DATAPATH_PORT_PACKET_PRIV_H */
