/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port_vhost_priv.h - what port_vhost.c (control) and port_vhost_io.c (workers) share.
 *
 * Rings come and go while workers run. The control thread publishes them by RCU pointers, of which
 * each queue has one, and takes them back by clearing the pointer and waiting for a grace period
 * (vhost/vhost_dev.h, "Rings and threads"). Workers never keep a ring over a quiescent state: what
 * they pop in a call of rx or tx they push or rewind in the same call.
 *
 *	rxq i	ring	the guest's ring 2i + 1, while it is published, switched on or not
 *	txq i	out	where packets go: struct vhost_out i, or that of another ring which is
 *			switched on, or NULL
 *
 * Several transmit queues may lead to one ring, so each has a lock; it is taken once a call.
 *
 * A worker sleeps on rxq.fd, an epoll instance of its own for each receive queue, because the
 * guest's kick descriptor changes with each connection. In it are the kick descriptor of the ring
 * that is published, and wake_fd, by which the control thread says that there is something new.
 *
 * Thread-safety: members of a published queue do not change; each says who writes it.
 */
#ifndef VSWITCH_DATAPATH_PORT_VHOST_PRIV_H
#define VSWITCH_DATAPATH_PORT_VHOST_PRIV_H

#include <sys/un.h>

#include "datapath/port.h"
#include "lib/rcu.h"
#include "vhost/vhost_dev.h"
#include "vhost/vhost_socket.h"

/* A queue that the guest sends by. */
struct vhost_rxq {
	struct port_rxq rxq cacheline_aligned;
	RCU_POINTER(struct vring) ring; /* NULL: none is published */
	_Atomic(struct packet *) injected; /* a packet in the guest's name, or NULL; whoever takes
					    * it out owns it */
	uint8_t header_size; /* bytes of virtio-net header; set before the ring is published */
	bool has_offloads; /* the header means something; likewise */
	atomic_bool is_woken; /* wake_fd was written; set after that */
	uint64_t n_packets; /* of the worker, when it armed the queue last; its own */
	int wake_fd; /* eventfd */
	int kick_fd; /* in the epoll set, the ring's; -1: none. Control thread */
};

/* A ring that the guest receives by; set before it is published, but for the lock. */
struct vhost_out {
	struct spinlock lock cacheline_aligned; /* of the ring */
	struct vring *ring;
	uint8_t header_size; /* bytes of virtio-net header */
	bool is_merged; /* a packet may be spread over several buffers */
	bool csum; /* what the guest takes of offloads */
	bool gso_tcp4;
	bool gso_tcp6;
	bool gso_udp_l4;
	bool gso_ecn;
};

/* A transmit queue. */
struct vhost_txq {
	struct port_txq txq cacheline_aligned;
	RCU_POINTER(struct vhost_out) out; /* NULL: there is no ring to send by */
};

struct vhost_port {
	struct port port;
	struct vhost_dev *dev;
	struct vhost_socket *socket;
	uint64_t features; /* offered */
	unsigned int n_pairs; /* of queues */
	unsigned int mtu; /* of the option; 0: not given */
	uint32_t published; /* rings that workers may use */
	bool is_client;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* of the socket */
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* made for the socket; "": none
								   */
	struct vhost_rxq *rxqs; /* n_pairs of them */
	struct vhost_txq *txqs;
	struct vhost_out *outs;
};

unsigned int port_vhost_rx(struct port_rxq *rxq, struct frame_cache *cache,
			   struct port_counters *counters, struct packet **packets,
			   unsigned int max);
void port_vhost_tx(struct port_txq *txq, struct frame_cache *cache, struct port_counters *counters,
		   struct packet **packets, unsigned int n);
bool port_vhost_arm(struct port_rxq *rxq);

#endif /* VSWITCH_DATAPATH_PORT_VHOST_PRIV_H */
