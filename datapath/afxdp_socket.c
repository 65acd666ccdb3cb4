/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datapath/afxdp_socket.h"

#ifndef AF_XDP
#define AF_XDP 44
#endif
#ifndef SOL_XDP
#define SOL_XDP 283
#endif
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif
#ifndef SO_BUSY_POLL_BUDGET
#define SO_BUSY_POLL_BUDGET 70
#endif

/* A queue that was closed a moment ago is let go of by a kernel thread: wait for it so long. */
#define BUSY_WAIT_US 10000
#define BUSY_WAIT_ROUNDS 50
/* Frames for one round of busy polling: a batch. */
#define BUSY_POLL_BUDGET 64
/* In copy mode a frame counts against the socket's send buffer until the device is done with it. */
#define SEND_BUFFER_SIZE (16 << 20)

/* The kernel's struct xdp_umem_reg with the member that Debian 12's headers lack. */
struct umem_reg {
	uint64_t addr;
	uint64_t len;
	uint32_t chunk_size;
	uint32_t headroom;
	uint32_t flags;
	uint32_t tx_metadata_len;
};

/* pool->umem: the sockets of each registration. */
struct afxdp_umem {
	struct {
		struct afxdp_socket *sockets; /* bound sockets; NULL: not registered */
		uint32_t tx_meta_size; /* as registered */
	} flavours[AFXDP_N_FLAVOURS];
};

static struct afxdp_umem *get_umem(struct frame_pool *pool)
{
	if (!pool->umem)
		pool->umem = calloc(1, sizeof(struct afxdp_umem));
	return pool->umem;
}

/* Frees the list of registrations after the last socket. */
static void put_umem(struct frame_pool *pool)
{
	struct afxdp_umem *umem = pool->umem;

	if (!umem)
		return;
	for (int i = 0; i < AFXDP_N_FLAVOURS; i++)
		if (umem->flavours[i].sockets)
			return;
	free(umem);
	pool->umem = NULL;
}

static void umem_insert(struct afxdp_umem *umem, struct afxdp_socket *socket)
{
	socket->next = umem->flavours[socket->flavour].sockets;
	umem->flavours[socket->flavour].sockets = socket;
	umem->flavours[socket->flavour].tx_meta_size = socket->tx_meta_size;
}

static void umem_remove(struct afxdp_umem *umem, struct afxdp_socket *socket)
{
	struct afxdp_socket **link = &umem->flavours[socket->flavour].sockets;

	while (*link && *link != socket)
		link = &(*link)->next;
	if (*link)
		*link = socket->next;
}

/* Registers the pool's memory on the socket. */
static int register_umem(struct afxdp_socket *socket, struct error *err)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	struct umem_reg reg = {
		.addr = (uintptr_t)socket->pool->area,
		.len = (uint64_t)socket->pool->n_frames << FRAME_SHIFT,
		.chunk_size = FRAME_SIZE,
		.flags = XDP_UMEM_TX_METADATA_LEN,
		.tx_metadata_len = AFXDP_TX_META_SIZE,
	};

	/* Where this is refused, CAP_IPC_LOCK or the limit as it is may still do. */
	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
	socket->tx_meta_size = AFXDP_TX_META_SIZE;
	if (!setsockopt(socket->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)))
		return 0;
	reg.flags = 0;
	reg.tx_metadata_len = 0;
	socket->tx_meta_size = 0;
	if (!setsockopt(socket->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)))
		return 0;
	if (errno == ENOBUFS)
		return error_set(
			err, ENOBUFS,
			"registering %llu MiB of frames with the kernel: over the "
			"limit for locked memory; raise it (ulimit -l) or grant CAP_IPC_LOCK",
			(unsigned long long)reg.len >> 20);
	return error_set(err, errno, "registering %llu MiB of frames with the kernel: %m",
			 (unsigned long long)reg.len >> 20);
}

static int set_ring(struct afxdp_socket *socket, int option, uint32_t size, struct error *err)
{
	if (setsockopt(socket->fd, SOL_XDP, option, &size, sizeof(size)))
		return error_set(err, errno, "making an AF_XDP ring of %u entries: %m", size);
	return 0;
}

static int set_rings(struct afxdp_socket *socket, const struct afxdp_socket_config *config,
		     struct error *err)
{
	int ret = set_ring(socket, XDP_UMEM_FILL_RING, config->fill_size, err);

	if (!ret)
		ret = set_ring(socket, XDP_UMEM_COMPLETION_RING, config->ring_size, err);
	if (!ret && config->rx)
		ret = set_ring(socket, XDP_RX_RING, config->ring_size, err);
	if (!ret && config->tx)
		ret = set_ring(socket, XDP_TX_RING, config->ring_size, err);
	return ret;
}

/* Maps one ring. The kinds of ring have one layout in libxdp, so that one function does for all. */
static int map_ring(struct afxdp_socket *socket, unsigned int slot,
		    const struct xdp_ring_offset *offset, uint64_t page_offset, uint32_t n_entries,
		    size_t entry_size, struct xsk_ring_prod *ring)
{
	size_t size = offset->desc + n_entries * entry_size;
	uint8_t *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			     socket->fd, (off_t)page_offset);

	if (base == MAP_FAILED)
		return -errno;
	socket->maps[slot].base = base;
	socket->maps[slot].size = size;
	ring->mask = n_entries - 1;
	ring->size = n_entries;
	ring->producer = (void *)(base + offset->producer);
	ring->consumer = (void *)(base + offset->consumer);
	ring->flags = (void *)(base + offset->flags);
	ring->ring = base + offset->desc;
	ring->cached_prod = *ring->producer;
	/* libxdp's way: of a ring that we produce into, the consumer is kept ahead by the size. */
	ring->cached_cons = *ring->consumer + n_entries;
	return 0;
}

static int map_cons_ring(struct afxdp_socket *socket, unsigned int slot,
			 const struct xdp_ring_offset *offset, uint64_t page_offset,
			 uint32_t n_entries, size_t entry_size, struct xsk_ring_cons *ring)
{
	struct xsk_ring_prod prod;
	int ret = map_ring(socket, slot, offset, page_offset, n_entries, entry_size, &prod);

	if (ret)
		return ret;
	ring->mask = prod.mask;
	ring->size = prod.size;
	ring->producer = prod.producer;
	ring->consumer = prod.consumer;
	ring->flags = prod.flags;
	ring->ring = prod.ring;
	ring->cached_prod = *prod.producer;
	ring->cached_cons = *prod.consumer;
	return 0;
}

static int map_rings(struct afxdp_socket *socket, const struct afxdp_socket_config *config,
		     struct error *err)
{
	struct xdp_mmap_offsets off;
	socklen_t len = sizeof(off);
	int ret;

	if (getsockopt(socket->fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &len))
		return error_set(err, errno, "asking for the layout of AF_XDP rings: %m");
	ret = map_ring(socket, 0, &off.fr, XDP_UMEM_PGOFF_FILL_RING, config->fill_size,
		       sizeof(uint64_t), &socket->fill);
	if (!ret)
		ret = map_cons_ring(socket, 1, &off.cr, XDP_UMEM_PGOFF_COMPLETION_RING,
				    config->ring_size, sizeof(uint64_t), &socket->completion);
	if (!ret && config->rx)
		ret = map_cons_ring(socket, 2, &off.rx, XDP_PGOFF_RX_RING, config->ring_size,
				    sizeof(struct xdp_desc), &socket->rx);
	if (!ret && config->tx)
		ret = map_ring(socket, 3, &off.tx, XDP_PGOFF_TX_RING, config->ring_size,
			       sizeof(struct xdp_desc), &socket->tx);
	if (ret) {
		errno = -ret;
		return error_set(err, ret, "mapping AF_XDP rings: %m");
	}
	return 0;
}

/* bind(), with patience for a queue whose last user is on his way out. Returns 0 or -errno. */
static int bind_patiently(int fd, const struct sockaddr_xdp *addr)
{
	for (int i = 0; i < BUSY_WAIT_ROUNDS; i++) {
		if (!bind(fd, (const struct sockaddr *)addr, sizeof(*addr)))
			return 0;
		if (errno != EBUSY)
			return -errno;
		usleep(BUSY_WAIT_US);
	}
	return -EBUSY;
}

/* Binds to the registration that other sockets have. Returns -EBADF when none of them can lend it.
 */
static int bind_shared(struct afxdp_socket *socket, const struct afxdp_socket_config *config,
		       const struct afxdp_umem *umem)
{
	struct sockaddr_xdp addr = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = XDP_SHARED_UMEM,
		.sxdp_ifindex = (uint32_t)config->ifindex,
		.sxdp_queue_id = config->queue,
	};
	int ret = -EBADF;

	socket->tx_meta_size = umem->flavours[config->flavour].tx_meta_size;
	/* -EBADF: that one's device has vanished. */
	for (struct afxdp_socket *s = umem->flavours[config->flavour].sockets; s && ret == -EBADF;
	     s = s->next) {
		addr.sxdp_shared_umem_fd = (uint32_t)s->fd;
		ret = bind_patiently(socket->fd, &addr);
	}
	return ret;
}

static int bind_own(struct afxdp_socket *socket, const struct afxdp_socket_config *config,
		    struct error *err)
{
	struct sockaddr_xdp addr = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = XDP_USE_NEED_WAKEUP,
		.sxdp_ifindex = (uint32_t)config->ifindex,
		.sxdp_queue_id = config->queue,
	};
	int ret = register_umem(socket, err);

	if (ret)
		return ret;
	addr.sxdp_flags |= afxdp_flavour_is_zerocopy(config->flavour) ? XDP_ZEROCOPY : XDP_COPY;
	if (afxdp_flavour_is_sg(config->flavour))
		addr.sxdp_flags |= XDP_USE_SG;
	return bind_patiently(socket->fd, &addr);
}

static int explain_bind(struct error *err, int ret, const struct afxdp_socket_config *config)
{
	const char *mode = afxdp_flavour_is_zerocopy(config->flavour) ? "zero-copy" : "copy";

	errno = -ret;
	switch (ret) {
	case -EBUSY:
		return error_set(err, ret,
				 "queue %u of %s already has an AF_XDP socket of another "
				 "program",
				 config->queue, config->ifname);
	case -EOPNOTSUPP:
		return error_set(err, ret, "the driver of %s has no AF_XDP in %s mode%s (%m)",
				 config->ifname, mode,
				 afxdp_flavour_is_sg(config->flavour) ? " with multi-buffer" : "");
	case -EINVAL:
		return error_set(err, ret,
				 "queue %u of %s: the kernel refuses an AF_XDP socket in %s "
				 "mode%s (%m)",
				 config->queue, config->ifname, mode,
				 afxdp_flavour_is_sg(config->flavour) ? " with multi-buffer" : "");
	default:
		return error_set(err, ret,
				 "binding an AF_XDP socket to queue %u of %s in %s mode: %m",
				 config->queue, config->ifname, mode);
	}
}

static int bind_socket(struct afxdp_socket *socket, const struct afxdp_socket_config *config,
		       struct afxdp_umem *umem, struct error *err)
{
	struct error why = ERROR_INIT;
	int ret = bind_shared(socket, config, umem);

	if (ret == -EBADF)
		ret = bind_own(socket, config, &why);
	if (!ret)
		return 0;
	if (why.text[0])
		return error_set(err, ret, "%s", why.text);
	return explain_bind(err, ret, config);
}

/* Options that make things faster where the kernel has them; it works without. */
static void tune(struct afxdp_socket *socket, const struct afxdp_socket_config *config)
{
	int size = SEND_BUFFER_SIZE, on = 1, budget = BUSY_POLL_BUDGET;
	int us = (int)config->busy_poll_us;
	uint32_t max_tx = config->ring_size;

	(void)setsockopt(socket->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (config->tx)
		(void)setsockopt(socket->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &max_tx,
				 sizeof(max_tx));
	if (us) {
		if (setsockopt(socket->fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, sizeof(on)))
			socket->busy_poll_err = errno;
		(void)setsockopt(socket->fd, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof(us));
		(void)setsockopt(socket->fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget,
				 sizeof(budget));
	}
}

static void unmap_rings(struct afxdp_socket *socket)
{
	for (size_t i = 0; i < ARRAY_SIZE(socket->maps); i++)
		if (socket->maps[i].base)
			munmap(socket->maps[i].base, socket->maps[i].size);
}

int afxdp_socket_open(struct afxdp_socket *sock, const struct afxdp_socket_config *config,
		      struct error *err)
{
	struct afxdp_umem *umem = get_umem(config->pool);
	int ret;

	if (!umem)
		return error_set(err, ENOMEM, "no memory for an AF_XDP socket");
	memset(sock, 0, sizeof(*sock));
	sock->pool = config->pool;
	sock->flavour = config->flavour;
	sock->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (sock->fd < 0) {
		ret = errno == EAFNOSUPPORT
			      ? error_set(err, errno,
					  "this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)")
		      : errno == EPERM ? error_set(err, errno,
						   "opening an AF_XDP socket is not permitted; it "
						   "takes CAP_NET_RAW")
				       : error_set(err, errno, "opening an AF_XDP socket: %m");
		goto err_umem;
	}
	ret = set_rings(sock, config, err);
	if (!ret)
		ret = map_rings(sock, config, err);
	if (!ret)
		ret = bind_socket(sock, config, umem, err);
	if (ret)
		goto err_socket;
	tune(sock, config);
	umem_insert(umem, sock);
	return 0;

err_socket:
	unmap_rings(sock);
	close(sock->fd);
err_umem:
	put_umem(config->pool);
	return ret;
}

void afxdp_socket_close(struct afxdp_socket *socket)
{
	umem_remove(socket->pool->umem, socket);
	unmap_rings(socket);
	close(socket->fd);
	/* A driver in zero-copy mode is told to stop by a kernel thread, a moment later. */
	if (afxdp_flavour_is_zerocopy(socket->flavour))
		usleep(BUSY_WAIT_US);
	put_umem(socket->pool);
}

bool afxdp_socket_get_zerocopy(const struct afxdp_socket *socket)
{
	struct xdp_options options = {.flags = 0};
	socklen_t len = sizeof(options);

	return !getsockopt(socket->fd, SOL_XDP, XDP_OPTIONS, &options, &len) &&
	       (options.flags & XDP_OPTIONS_ZEROCOPY);
}

int afxdp_socket_get_stats(const struct afxdp_socket *socket, struct xdp_statistics *stats)
{
	socklen_t len = sizeof(*stats);

	return getsockopt(socket->fd, SOL_XDP, XDP_STATISTICS, stats, &len) ? -errno : 0;
}
