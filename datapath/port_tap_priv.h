/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port_tap_priv.h - what port_tap.c (control) and port_tap_io.c (workers) share.
 *
 * Each queue of the device is one file descriptor, for both directions, and reads into an
 * rx_buffer.
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

#include "datapath/port.h"
#include "datapath/port_tap.h"
#include "datapath/rx_buffer.h"

struct nl_sock;

/* Segments of a packet to be sent. */
#define TAP_SEGS_MAX 128

struct tap_queue {
	struct port_rxq rxq cacheline_aligned; /* rxq.fd is the queue's descriptor */
	bool is_gone; /* the device is deleted; relaxed atomic */
	struct rx_buffer buffer;
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
