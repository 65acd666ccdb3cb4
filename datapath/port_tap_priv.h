/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port_tap_priv.h - what port_tap.c (control) and port_tap_io.c (workers) share.
 *
 * Each queue of the device is one file descriptor, for both directions. A read needs room for the
 * largest packet beforehand: the queue keeps TAP_SLOTS frames ready, a read fills the first few of
 * them, and those are replaced before the next read.
 *
 * When the device is deleted its descriptors report an error for ever, which would keep a worker
 * that sleeps on them awake. The first to notice marks the queue as gone and puts /dev/null in the
 * descriptor's place.
 *
 * Thread-safety: a queue's receive half belongs to the worker that polls it, the transmit half to
 * whoever holds the transmit queue (port.h); `is_gone` is atomic.
 */
#ifndef VSWITCH_DATAPATH_PORT_TAP_PRIV_H
#define VSWITCH_DATAPATH_PORT_TAP_PRIV_H

#include <sys/uio.h>
#include "datapath/port.h"
#include "datapath/port_tap.h"
#include "datapath/vnet_hdr.h"

struct nl_sock;

/* Frames that hold the largest packet. */
#define TAP_SLOTS ((PACKET_LEN_MAX + FRAME_PAYLOAD - 1) / FRAME_PAYLOAD)
/* Segments of a packet to be sent. */
#define TAP_SEGS_MAX 128

struct tap_queue {
	struct port_rxq rxq cacheline_aligned; /* rxq.fd is the queue's descriptor */
	unsigned int n_missing; /* slots 0 to n_missing - 1 are empty */
	bool is_gone; /* the device is deleted; relaxed atomic */
	struct virtio_net_hdr hdr; /* of the packet being read */
	struct packet *slots[TAP_SLOTS]; /* frames to be read into; owner rxq.owner */
	struct iovec iov[1 + TAP_SLOTS]; /* hdr, then the slots' payload */
	struct port_txq txq cacheline_aligned;
};

struct tap_port {
	struct port port;
	int ifindex;
	int null_fd; /* /dev/null, see above */
	bool has_uso; /* the kernel takes UDP segmentation */
	bool is_elsewhere; /* the device was moved to another network namespace */
	uint64_t drops_at_open; /* the device's count when the port was opened */
	struct nl_sock *sock; /* route netlink */
	struct tap_queue *queues; /* n_rxqs of them */
};

unsigned int port_tap_rx(struct port_rxq *rxq, struct frame_cache *cache,
			 struct port_counters *counters, struct packet **packets, unsigned int max);
void port_tap_tx(struct port_txq *txq, struct frame_cache *cache, struct port_counters *counters,
		 struct packet **packets, unsigned int n);

#endif /* VSWITCH_DATAPATH_PORT_TAP_PRIV_H */
