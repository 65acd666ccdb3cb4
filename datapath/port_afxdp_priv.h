/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port_afxdp_priv.h - what the two halves of the AF_XDP driver share.
 *
 * port_afxdp.c, the control half, opens and closes; port_afxdp_io.c, the worker half, moves
 * packets. For each queue of the device there is one socket (afxdp_socket.h), a receive queue that
 * uses its rx and fill ring, and a transmit queue that uses its tx and completion ring: two sides
 * that may belong to two workers, and share nothing but the descriptor.
 *
 * Where a frame is: lent by rxq.owner from the fill ring until it comes out of the rx ring; lent by
 * txq.owner from tx() until it comes out of the completion ring. What the kernel dropped without
 * giving it back (an invalid descriptor) stays with txq.owner until the port closes.
 *
 * Records: the XDP program writes a struct xdp_meta directly ahead of the frame, at
 * frame + 256 - 32. refill() clears its first word in each frame that it lends.
 */
#ifndef VSWITCH_DATAPATH_PORT_AFXDP_PRIV_H
#define VSWITCH_DATAPATH_PORT_AFXDP_PRIV_H

#include "bpf/xdp_prog.h"
#include "datapath/afxdp_socket.h"
#include "datapath/netdev.h"
#include "datapath/port.h"

/* Most frames that a sent packet may have: the fragments an skb can hold (MAX_SKB_FRAGS), of which
 * the first is its linear part. */
#define AFXDP_TX_SEGS_MAX 17
/* Most frames of a received packet: 64 KiB in frames of FRAME_PAYLOAD, and some. */
#define AFXDP_RX_SEGS_MAX 48

struct afxdp_rxq {
	struct port_rxq base;
	/* The worker's. */
	struct xsk_ring_cons rx cacheline_aligned;
	struct xsk_ring_prod fill;
	struct frame_pool *pool;
	int fd;
	uint32_t n_missing; /* frames that the fill ring should get more */
	uint32_t n_lent_max; /* frames that the kernel should have, in fill and rx ring together */
	uint8_t csum; /* enum packet_csum of what arrives: UNKNOWN or MAYBE */
	bool busy_poll; /* run the device's poll loop when nothing is there */
	bool chain_long; /* of the packet in `chain`, frames were thrown away */
	struct packet
		*chain; /* a packet of which more frames are to come; NULL: none. FRAME_HELD */
	struct packet *chain_tail; /* its last segment */
};

struct afxdp_txq {
	struct port_txq base;
	/* The worker's, or whose holds base.lock. */
	struct xsk_ring_prod tx cacheline_aligned;
	struct xsk_ring_cons completion;
	struct frame_pool *pool;
	int fd;
	uint32_t tx_meta_size; /* bytes ahead of each frame that the kernel reserves for requests,
				  or 0 */
	uint32_t n_lent; /* frames given to the kernel and not yet back */
	bool pending; /* the kernel was not yet told of descriptors */
	/* Written by the control thread as well; relaxed atomics. */
	uint32_t n_lost; /* frames of n_lent that will not come back before the socket closes */
	bool down; /* the device is down or gone: send nothing */
};

/* The steps of the ladder, best first, and what stands beside it. */
enum afxdp_mode {
	AFXDP_MODE_ZEROCOPY,
	AFXDP_MODE_NATIVE,
	AFXDP_MODE_GENERIC,
	AFXDP_MODE_OFFLOAD,
	AFXDP_N_MODES,
	AFXDP_MODE_AUTO = AFXDP_N_MODES, /* as wanted: the first that works of the first three */
};

/* One queue of the device. */
struct afxdp_queue {
	struct afxdp_socket socket;
	struct afxdp_rxq *rxq; /* NULL: the device has no such receive queue */
	struct afxdp_txq *txq; /* NULL: no such transmit queue */
};

struct afxdp_port {
	struct port base;
	int ifindex;
	int promisc_fd; /* keeps the device promiscuous; -1: it is not */
	struct frame_pool *pool;
	struct xdp_prog *prog;
	bool vlan_was_stripped; /* we have made the device leave tags in; to be undone on closing */
	enum afxdp_mode mode; /* in use, as read back from the kernel */
	const struct tier0_maps *tier0_maps; /* NULL: the port does without tier 0 */
	bool wants_tier0; /* as configured */
	bool sg; /* sockets take packets of several frames */
	unsigned int n_queues; /* of `queues` */
	unsigned int n_sockets; /* of them open */
	struct afxdp_queue queues[PORT_QUEUES_MAX];
	/* As configured. */
	enum afxdp_mode wanted;
	uint32_t ring_size;
	uint32_t busy_poll_us; /* 0: off */
	bool keep_host; /* the host goes on using the device */
	uint32_t n_host_addrs; /* IP addresses that are the host's, when last asked */
	char driver[32];
	struct netdev_drops drops_at_open; /* the device's counts, not ours */
	struct error
		refused[AFXDP_N_MODES]; /* why a mode is not in use; empty: not tried, or in use */
	struct error no_sg; /* why there is no multi-buffer; means nothing if sg */
};

/* The worker half's operations, see struct port_class. */
unsigned int port_afxdp_rx(struct port_rxq *rxq, struct frame_cache *cache,
			   struct port_counters *counters, struct packet **packets,
			   unsigned int max);
void port_afxdp_tx(struct port_txq *txq, struct frame_cache *cache, struct port_counters *counters,
		   struct packet **packets, unsigned int n);
bool port_afxdp_flush(struct port_txq *txq, struct frame_cache *cache,
		      struct port_counters *counters);
bool port_afxdp_arm(struct port_rxq *rxq);

/* Tells the XDP program which addresses are the host's. Control thread. Returns 0 or a negative
 * errno. */
int port_afxdp_refresh_host(struct afxdp_port *port) WARN_UNUSED;
/* check_new of struct port_class: the host must not be cut off unasked. */
int port_afxdp_check_new(const struct port_config *config, struct error *err);

/* Tier 0, control thread: asks for the maps, ahead of the program. */
void port_afxdp_prepare_tier0(struct afxdp_port *port);
/* Once the program is there; `gets_partial_csums`: frames may have a partial checksum untold. */
void port_afxdp_start_tier0(struct afxdp_port *port, bool gets_partial_csums);
/* Brings up to date what may be sent to the device. */
void port_afxdp_refresh_target(struct afxdp_port *port);

/* Lends the frames that the fill ring misses, as far as there are any. Whoever owns the rxq. */
void port_afxdp_refill(struct afxdp_rxq *q, struct frame_cache *cache);

#endif /* VSWITCH_DATAPATH_PORT_AFXDP_PRIV_H */
