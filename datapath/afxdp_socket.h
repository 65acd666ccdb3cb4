/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * afxdp_socket.h - one AF_XDP socket: its four rings, its binding to a queue, and the pool's memory
 * behind it.
 *
 * A socket is bound to one queue of one device and has four rings that it shares with the kernel:
 *
 *     fill        we lend free frames    -> kernel receives into them
 *     rx          kernel hands received frames (and ownership) -> us
 *     tx          we hand frames to send -> kernel
 *     completion  kernel returns them    -> us
 *
 * The memory is the whole frame pool, so that a frame received by one socket is sent by any other
 * by its descriptor. The kernel calls registered memory a UMEM. The first socket registers it;
 * further ones share it through any socket that is bound (XDP_SHARED_UMEM), and it lives as long as
 * one of them. There is no socket that must outlive the others: a device that vanishes takes away
 * its own sockets and nothing else. (libxdp's xsk_umem ties the memory to the first socket and its
 * queue, and cannot ask for room for transmit metadata, so the sockets are ours; access to the
 * rings is by libxdp's inline functions.)
 *
 * Sharing inherits zero-copy and multi-buffer from whoever registered, so the pool is registered
 * anew for each combination (enum afxdp_flavour). All registrations cover the same memory: passing
 * frames between sockets of different flavours needs no copy either.
 *
 * Transmit metadata: where the kernel has it (6.8), AFXDP_TX_META_SIZE bytes ahead of each sent
 * frame are reserved for a request to the kernel, of which we use the checksum's.
 *
 * Life cycle: afxdp_socket_open() does all up to bind; afxdp_socket_close() gives the rings back.
 * Frames in the rings are the caller's business.
 *
 * Thread-safety: open, close and statistics: the control thread. Each ring has one user at a time.
 */
#ifndef VSWITCH_DATAPATH_AFXDP_SOCKET_H
#define VSWITCH_DATAPATH_AFXDP_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/if_xdp.h>
#include <xdp/xsk.h>

#include "datapath/frame_pool.h"
#include "lib/error.h"

/* Kernels 6.6, 6.8 and 6.17; not in Debian 12's headers. */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif
#ifndef XDP_TX_METADATA
#define XDP_TX_METADATA (1 << 1)
#endif
#ifndef XDP_TXMD_FLAGS_CHECKSUM
#define XDP_TXMD_FLAGS_CHECKSUM (1 << 1)
#endif
#ifndef XDP_UMEM_TX_METADATA_LEN
#define XDP_UMEM_TX_METADATA_LEN (1 << 2)
#endif
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

/* Bytes reserved for a transmit request; the kernel wants a multiple of 8. */
#define AFXDP_TX_META_SIZE 16u

/* The beginning of the kernel's struct xsk_tx_metadata. */
struct afxdp_tx_meta {
	uint64_t flags; /* XDP_TXMD_FLAGS_CHECKSUM */
	uint16_t csum_start; /* from the first byte of the frame */
	uint16_t csum_offset; /* from csum_start */
	uint32_t pad;
};
ASSERT_SIZE(struct afxdp_tx_meta, AFXDP_TX_META_SIZE);

/* How a registration of the pool was bound first; all that share it are bound so. */
enum afxdp_flavour {
	AFXDP_ZEROCOPY_SG,
	AFXDP_ZEROCOPY,
	AFXDP_COPY_SG,
	AFXDP_COPY,
	AFXDP_N_FLAVOURS,
};

struct afxdp_socket_config {
	struct frame_pool *pool;
	const char *ifname; /* for texts */
	int ifindex;
	uint32_t queue;
	enum afxdp_flavour flavour;
	uint32_t ring_size; /* entries in rx, tx and completion ring; a power of 2 */
	uint32_t fill_size; /* entries in the fill ring; a power of 2 */
	bool rx; /* the device has this receive queue */
	bool tx; /* and this transmit queue; at least one of both */
	uint32_t busy_poll_us; /* 0: no busy polling */
};

struct afxdp_socket {
	int fd;
	struct xsk_ring_cons rx;
	struct xsk_ring_prod tx;
	struct xsk_ring_prod fill;
	struct xsk_ring_cons completion;
	struct {
		void *base; /* NULL: not mapped */
		size_t size;
	} maps[4]; /* of the rings, for unmapping */
	enum afxdp_flavour flavour;
	uint32_t tx_meta_size; /* AFXDP_TX_META_SIZE, or 0: the kernel takes no requests */
	int busy_poll_err; /* errno with which the kernel has refused to prefer busy polling; 0 */
	struct frame_pool *pool;
	struct afxdp_socket *next; /* another one of the same registration */
};

/* Opens and binds. Returns 0, or a negative errno with `err` set; the errno is bind's or
 * setsockopt's. */
int afxdp_socket_open(struct afxdp_socket *socket, const struct afxdp_socket_config *config,
		      struct error *err) WARN_UNUSED;

/* Closes. On return the kernel neither writes to frames nor, in copy mode, reads them. */
void afxdp_socket_close(struct afxdp_socket *socket);

/* Was zero-copy granted? Read back from the kernel. */
bool afxdp_socket_get_zerocopy(const struct afxdp_socket *socket);

/* Reads the kernel's counters of the socket. Returns 0 or a negative errno. */
int afxdp_socket_get_stats(const struct afxdp_socket *socket,
			   struct xdp_statistics *stats) WARN_UNUSED;

static inline bool afxdp_flavour_is_sg(enum afxdp_flavour flavour)
{
	return flavour == AFXDP_ZEROCOPY_SG || flavour == AFXDP_COPY_SG;
}

static inline bool afxdp_flavour_is_zerocopy(enum afxdp_flavour flavour)
{
	return flavour == AFXDP_ZEROCOPY_SG || flavour == AFXDP_ZEROCOPY;
}

#endif /* VSWITCH_DATAPATH_AFXDP_SOCKET_H */
