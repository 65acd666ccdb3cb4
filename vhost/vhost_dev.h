/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VHOST_VHOST_DEV_H
#define VHOST_VHOST_DEV_H

/*
 * A vhost-user network device: the back end of one guest's card
 * =============================================================
 *
 * The guest's virtio driver and we share its memory; the front end (QEMU, or a program with a
 * virtio-user driver) tells us by messages where the memory and the rings are. A device holds what
 * was told: features, memory table, rings, dirty log, record of descriptors in flight. It runs no
 * loop and no thread: the caller watches two file descriptors and calls vhost_dev_run() and
 * vhost_dev_run_alarm(); vhost_socket.h does that, with listening and connecting.
 *
 * Security model
 * --------------
 * The front end is another process, perhaps one that a guest has broken into; the guest writes all
 * of its memory whenever it likes. Neither is trusted in anything, and neither may stop, crash,
 * corrupt or slow down the switch or a neighbour:
 *
 * - Every request is checked by its row in the table of handlers (vhost_request.c) before its
 *   handler runs: payload size, number of file descriptors, ring number, negotiated features, and
 *   whether this is the time for it. Handlers check values. Descriptors are of the kind asked for
 *   (memory files, eventfds, sockets) or are refused.
 * - Ring contents are read once and checked, see vring.h; memory that vanishes is survived, see
 *   guest_fault.h.
 * - Nothing here blocks: sockets and eventfds are non-blocking, a front end that does not read its
 *   answers is cut off, and descriptors of any other kind are closed without waiting
 *   (foreign_fd.h). Work done for one guest in one call is bounded.
 * - What a guest makes us hold is bounded: regions and their sizes, 3 descriptors a ring, no memory
 *   that grows with time.
 * - Who breaks a rule loses the connection and all that it set up; the first fault is counted under
 *   its name (vhost_fault.h) and logged in one line. A request that is understood but cannot be met
 *   (an MTU out of range) is answered with a failure, if the front end asked for answers, and the
 *   connection goes on.
 *
 * What is left: the front end could make an eventfd that it gave us blocking again, and fill it, to
 * hold up the thread that calls it. A guest cannot; only a front end that was taken over can.
 *
 * Rings and threads
 * -----------------
 * Messages are handled by one thread, the control thread. A ring is used by one worker at a time,
 * which got it from the caller, who got it by the operations `publish` and `withdraw`:
 *
 *	control thread				worker
 *	publish(rings):				ring = rcu_get(&queue->ring)
 *	  rcu_set(&queue->ring, ring)		if ring: pop, push, notify
 *	withdraw(rings):			...
 *	  rcu_set(&queue->ring, NULL)		rcu_quiesce()
 *	  rcu_wait()
 *
 * withdraw() returns when no worker uses those rings any more and each has pushed or rewound what
 * it popped. Whatever changes under a running ring (memory table, log, call descriptor, on and off)
 * is done between a withdraw and a publish, so workers need no lock and find a ring that does not
 * change. One withdraw covers all rings of a message: one grace period.
 *
 * Life cycle: vhost_dev_create(); vhost_dev_attach() a connected socket; run; the connection ends
 * by itself (run returns an error) or by vhost_dev_detach(); attach again; vhost_dev_destroy().
 *
 * Thread-safety: all functions for the control thread, but vhost_dev_get_ring(), which is constant.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vhost/vring.h"

struct vhost_dev;

/* Ring features, which this library keeps by itself. */
#define VHOST_DEV_RING_FEATURES                                                                    \
	(VHOST_BIT(VIRTIO_NET_F_MRG_RXBUF) | VHOST_BIT(VIRTIO_F_ANY_LAYOUT) |                      \
	 VHOST_BIT(VIRTIO_RING_F_INDIRECT_DESC) | VHOST_BIT(VIRTIO_RING_F_EVENT_IDX) |             \
	 VHOST_BIT(VIRTIO_F_VERSION_1) | VHOST_BIT(VIRTIO_F_RING_PACKED) |                         \
	 VHOST_BIT(VIRTIO_F_IN_ORDER) | VHOST_BIT(VHOST_F_LOG_ALL) |                               \
	 VHOST_BIT(VHOST_USER_F_PROTOCOL_FEATURES))
/* Network features that cost the device nothing: the front end serves them. */
#define VHOST_DEV_NET_FEATURES                                                                     \
	(VHOST_BIT(VIRTIO_NET_F_MQ) | VHOST_BIT(VIRTIO_NET_F_CTRL_VQ) |                            \
	 VHOST_BIT(VIRTIO_NET_F_CTRL_RX) | VHOST_BIT(VIRTIO_NET_F_CTRL_VLAN) |                     \
	 VHOST_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | VHOST_BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) |          \
	 VHOST_BIT(VIRTIO_NET_F_MTU))
/* Offload features: offered by a caller who carries them out. */
#define VHOST_DEV_OFFLOAD_FEATURES                                                                 \
	(VHOST_BIT(VIRTIO_NET_F_CSUM) | VHOST_BIT(VIRTIO_NET_F_GUEST_CSUM) |                       \
	 VHOST_BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) | VHOST_BIT(VIRTIO_NET_F_GSO) |               \
	 VHOST_BIT(VIRTIO_NET_F_GUEST_TSO4) | VHOST_BIT(VIRTIO_NET_F_GUEST_TSO6) |                 \
	 VHOST_BIT(VIRTIO_NET_F_GUEST_ECN) | VHOST_BIT(VIRTIO_NET_F_GUEST_UFO) |                   \
	 VHOST_BIT(VIRTIO_NET_F_HOST_TSO4) | VHOST_BIT(VIRTIO_NET_F_HOST_TSO6) |                   \
	 VHOST_BIT(VIRTIO_NET_F_HOST_ECN) | VHOST_BIT(VIRTIO_NET_F_HOST_UFO) |                     \
	 VHOST_BIT(VHOST_NET_F_GUEST_USO4) | VHOST_BIT(VHOST_NET_F_GUEST_USO6) |                   \
	 VHOST_BIT(VHOST_NET_F_HOST_USO))
/*
 * All that may be offered, and the protocol features. The channel for requests of the back end
 * (BACKEND_REQ) is not among them: a network device without a configuration space of its own has
 * nothing to ask, and a socket that we hold for its front end could keep that front end's own
 * connection open after its death.
 */
#define VHOST_DEV_FEATURES                                                                         \
	(VHOST_DEV_RING_FEATURES | VHOST_DEV_NET_FEATURES | VHOST_DEV_OFFLOAD_FEATURES)
#define VHOST_DEV_PROTOCOL_FEATURES                                                                \
	(VHOST_BIT(VHOST_PROTOCOL_MQ) | VHOST_BIT(VHOST_PROTOCOL_LOG_SHMFD) |                      \
	 VHOST_BIT(VHOST_PROTOCOL_RARP) | VHOST_BIT(VHOST_PROTOCOL_REPLY_ACK) |                    \
	 VHOST_BIT(VHOST_PROTOCOL_NET_MTU) | VHOST_BIT(VHOST_PROTOCOL_INFLIGHT_SHMFD) |            \
	 VHOST_BIT(VHOST_PROTOCOL_RESET_DEVICE) | VHOST_BIT(VHOST_PROTOCOL_CONFIGURE_MEM_SLOTS) |  \
	 VHOST_BIT(VHOST_PROTOCOL_STATUS))

/* MTU that NET_SET_MTU may ask for. */
#define VHOST_DEV_MTU_MIN 68u
#define VHOST_DEV_MTU_MAX 65535u

struct vhost_dev_config {
	const char *name; /* for the log; copied */
	uint64_t features; /* to offer, a subset of VHOST_DEV_FEATURES; pinned by the caller */
	uint64_t protocol_features; /* to offer, a subset of VHOST_DEV_PROTOCOL_FEATURES */
	unsigned int n_queue_pairs; /* 1 to VHOST_QUEUE_PAIRS_MAX */
};

/* What the device asks of its caller. All run in the control thread, inside of vhost_dev_*(). Bit n
 * of `rings` is ring n. */
struct vhost_dev_ops {
	/* These rings may be used from now on. */
	void (*publish)(void *aux, uint32_t rings);
	/* Take these rings from their workers, and return when none uses them; see above. */
	void (*withdraw)(void *aux, uint32_t rings);
	/* The guest is to see this MTU. Returns 0, or a negative errno to refuse. NULL: taken. */
	int (*set_mtu)(void *aux, unsigned int mtu);
	/* The guest came here by migration: tell the network, with a RARP of this address. NULL:
	 * nobody does. */
	void (*send_rarp)(void *aux, const uint8_t mac[6]);
};

/* What the front end did so far, for people. */
struct vhost_dev_status {
	bool is_attached;
	uint64_t features; /* negotiated; 0 before */
	uint64_t protocol_features;
	uint32_t running; /* rings that are published */
	uint32_t enabled; /* of these, those that are switched on */
	unsigned int n_regions; /* of memory */
	uint64_t mem_size; /* bytes of guest memory that are mapped */
	unsigned int mtu; /* as asked for by NET_SET_MTU, 0: not */
	uint8_t device_status; /* virtio device status by SET_STATUS */
	uint64_t n_messages; /* handled since it was created */
	bool is_mid_message; /* part of the next one is here */
	uint64_t n_refused; /* of these, answered with a failure */
	uint64_t faults[VHOST_N_FAULTS]; /* connections lost, by reason */
};

/* Make a device. Returns 0, -EINVAL or -ENOMEM, or what eventfd() said. */
int vhost_dev_create(const struct vhost_dev_config *config, const struct vhost_dev_ops *ops,
		     void *aux, struct vhost_dev **devp, struct error *e) WARN_UNUSED;
/* Detach and free. NULL is allowed. */
void vhost_dev_destroy(struct vhost_dev *dev);

/* Talk to the front end on this connected, non-blocking socket, which is the device's from then on.
 * The device is not attached. */
void vhost_dev_attach(struct vhost_dev *dev, int sock);

/* Hang up: withdraw all rings, unmap and close everything. Does nothing if not attached. */
void vhost_dev_detach(struct vhost_dev *dev);

/* The socket, to be watched for reading, or -1. */
int vhost_dev_get_fd(const struct vhost_dev *dev);

/* The alarm, an eventfd to be watched for reading; the same for the device's whole life. */
int vhost_dev_get_alarm_fd(const struct vhost_dev *dev);

/*
 * Handle what messages there are, but only so many at once. Returns 0, or a negative errno after
 * the connection ended and everything was detached: -EPIPE when the front end hung up, -EPROTO for
 * a fault, which is then counted and logged.
 */
int vhost_dev_run(struct vhost_dev *dev) WARN_UNUSED;

/* Give up a front end that does not send the rest of a message. Returns as vhost_dev_run(). */
int vhost_dev_run_timeout(struct vhost_dev *dev) WARN_UNUSED;

/* Look for broken rings, when the alarm is readable. Returns as vhost_dev_run(). */
int vhost_dev_run_alarm(struct vhost_dev *dev) WARN_UNUSED;

/* Ring `index` < 2 * n_queue_pairs; to be used only while published. */
struct vring *vhost_dev_get_ring(struct vhost_dev *dev, unsigned int index);

/* Bytes of the virtio_net_hdr ahead of each frame: 10 or 12. Constant while a ring is published. */
unsigned int vhost_dev_get_header_size(const struct vhost_dev *dev);

/* Features negotiated. Constant, but for VHOST_F_LOG_ALL, while a ring is published. */
uint64_t vhost_dev_get_features(const struct vhost_dev *dev);

void vhost_dev_get_status(const struct vhost_dev *dev, struct vhost_dev_status *status);

#endif
