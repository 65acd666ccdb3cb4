/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/port_packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "datapath/datapath.h"
#include "datapath/netdev.h"
#include "datapath/port_packet_priv.h"

/* Not in all headers: a group in which outgoing frames are ignored, Linux 5.16. */
#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000
#endif

#define RING_SIZE ((size_t)PACKET_RING_SLOTS * PACKET_SLOT_SIZE)
/* Bytes of frames that may wait in a socket: those too long for the ring, and those to be sent. */
#define SOCKET_BUFFER_SIZE (8 << 20)
/* Bytes ahead of the MTU: Ethernet header and one tag. */
#define HEADERS_SIZE (ETH_HLEN + 4u)

static const struct port_option_def options[] = {
	{"queues", "N", "1", "receive queues; flows are spread over them by hash"},
	{NULL, NULL, NULL, NULL},
};

static struct packet_port *packet_port_from(const struct port *port)
{
	return (struct packet_port *)container_of(port, struct packet_port, port);
}

/* ---- sockets ------------------------------------------------------------------------- */

/* A socket on the device that receives nothing yet, with virtio-net headers. Returns its descriptor
 * or a negative errno. */
static int open_socket(struct error *err)
{
	int on = 1, size = SOCKET_BUFFER_SIZE, fd, ret;

	fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 && errno == EPERM)
		return error_set(err, EPERM, "cannot open a packet socket: CAP_NET_RAW is needed");
	if (fd < 0)
		return error_set(err, errno, "cannot open a packet socket: %m");
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on))) {
		ret = error_set(err, errno, "the kernel refuses virtio-net headers: %m");
		close(fd);
		return ret;
	}
	/* Without CAP_NET_ADMIN the administrator's limit is what there is. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return fd;
}

/* Has the socket send to, and with a `protocol` receive from, the device. */
static int bind_socket(int fd, int ifindex, uint16_t protocol, struct error *err)
{
	const struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(protocol),
		.sll_ifindex = ifindex,
	};

	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)))
		return error_set(err, errno, "cannot bind a packet socket: %m");
	return 0;
}

/* Makes the socket's ring. */
static int open_ring(struct packet_rxq *q, struct error *err)
{
	struct tpacket_req req = {
		.tp_block_size = PACKET_BLOCK_SIZE,
		.tp_block_nr = RING_SIZE / PACKET_BLOCK_SIZE,
		.tp_frame_size = PACKET_SLOT_SIZE,
		.tp_frame_nr = PACKET_RING_SLOTS,
	};
	int version = TPACKET_V2, on = 1, fd = q->rxq.fd;
	void *ring;

	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_COPY_THRESH, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)))
		return error_set(err, errno, "cannot make a receive ring of %zu KiB: %m",
				 RING_SIZE >> 10);
	ring = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		return error_set(err, errno, "cannot map a receive ring: %m");
	q->ring = ring;
	return 0;
}

/* Joins (or, `group` 0, founds) the group of queues that share the device's frames by flow hash. */
static int join_group(int fd, uint16_t *group, struct error *err)
{
	uint32_t type = PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_IGNORE_OUTGOING;
	uint32_t arg = *group | type << 16;
	socklen_t size = sizeof(arg);

	if (*group == 0)
		arg |= (uint32_t)PACKET_FANOUT_FLAG_UNIQUEID << 16;
	if (setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &arg, sizeof(arg)) ||
	    getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &arg, &size))
		return error_set(err, errno, "cannot share the device by several queues: %m");
	*group = (uint16_t)arg;
	return 0;
}

/* ---- open and close ------------------------------------------------------------------ */

/* Does the kernel's virtio-net header know UDP segmentation? Linux 6.2 and later. */
static bool kernel_has_uso(void)
{
	unsigned int major, minor;
	struct utsname name;

	return uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 2));
}

static int open_rxqs(struct packet_port *pp, unsigned int n, struct error *err)
{
	uint16_t group = 0;
	int ret;

	pp->queues = aligned_alloc(CACHE_LINE, n * sizeof(*pp->queues));
	if (!pp->queues)
		return error_set(err, ENOMEM, "no memory for %u queues", n);
	memset(pp->queues, 0, n * sizeof(*pp->queues));
	for (unsigned int i = 0; i < n; i++) {
		struct packet_rxq *q = &pp->queues[i];

		q->rxq.fd = open_socket(err);
		if (q->rxq.fd < 0)
			return q->rxq.fd;
		port_add_rxq(&pp->port, &q->rxq);
		rx_buffer_init(&q->buffer, q->rxq.owner);
		ret = open_ring(q, err);
		if (!ret)
			ret = bind_socket(q->rxq.fd, pp->ifindex, ETH_P_ALL, err);
		if (!ret && n > 1)
			ret = join_group(q->rxq.fd, &group, err);
		if (ret)
			return ret;
	}
	return 0;
}

static int open_txqs(struct packet_port *pp, unsigned int n, struct error *err)
{
	int ret;

	pp->tqueues = aligned_alloc(CACHE_LINE, n * sizeof(*pp->tqueues));
	if (!pp->tqueues)
		return error_set(err, ENOMEM, "no memory for %u queues", n);
	memset(pp->tqueues, 0, n * sizeof(*pp->tqueues));
	for (unsigned int i = 0; i < n; i++) {
		struct packet_txq *q = &pp->tqueues[i];

		q->fd = open_socket(err);
		if (q->fd < 0)
			return q->fd;
		port_add_txq(&pp->port, &q->txq);
		ret = bind_socket(q->fd, pp->ifindex, 0, err);
		if (ret)
			return ret;
	}
	return 0;
}

static void packet_close(struct port *port)
{
	struct packet_port *pp = packet_port_from(port);
	struct frame_pool *pool = datapath_get_pool(port->dp);

	for (unsigned int i = 0; i < port->n_rxqs; i++) {
		if (pp->queues[i].ring)
			munmap(pp->queues[i].ring, RING_SIZE);
		close(pp->queues[i].rxq.fd);
		frame_pool_reclaim(pool, pp->queues[i].rxq.owner);
	}
	for (unsigned int i = 0; i < port->n_txqs; i++)
		close(pp->tqueues[i].fd);
	if (pp->promisc_fd >= 0)
		close(pp->promisc_fd);
	free(pp->queues);
	free(pp->tqueues);
	port_uninit(port);
	free(pp);
}

/* Brings all but the counters up to date. Returns 0 or -ENODEV. */
static int read_link(struct packet_port *pp)
{
	struct netdev_info info;
	int ret = netdev_get_link(pp->ifindex, &info);

	port_set_link(&pp->port, !ret && info.up && info.running);
	if (!ret)
		port_set_max_len(&pp->port, info.mtu + HEADERS_SIZE);
	return ret;
}

/* The part of opening that packet_close() can undo. */
static int packet_start(struct packet_port *pp, const struct port_config *config, struct error *err)
{
	unsigned int n_rxqs, n_txqs = CLAMP(config->n_workers, 1u, (unsigned int)PORT_QUEUES_MAX);
	int ret;

	ret = port_config_get_uint(&port_packet_class, config, "queues", 1, PORT_QUEUES_MAX,
				   &n_rxqs, err);
	if (!ret)
		ret = netdev_lookup(config->name, &pp->ifindex, err);
	if (!ret)
		ret = open_txqs(pp, n_txqs, err);
	if (!ret)
		ret = open_rxqs(pp, n_rxqs, err);
	if (ret)
		return ret;
	pp->promisc_fd = netdev_open_promisc(pp->ifindex);
	if (pp->promisc_fd < 0)
		return error_set(err, pp->promisc_fd, "cannot make %s promiscuous: %s",
				 config->name, strerror(-pp->promisc_fd));
	ret = netdev_set_up(pp->ifindex);
	if (ret)
		return error_set(err, ret, "cannot bring %s up: %s", config->name, strerror(-ret));
	pp->port.caps = (struct port_caps){
		.csum = true,
		.gso_tcp4 = true,
		.gso_tcp6 = true,
		.gso_udp_l4 = kernel_has_uso(),
		.max_segs = PACKET_SEGS_MAX,
	};
	ret = read_link(pp);
	return ret ? error_set(err, ret, "device %s vanished", config->name) : 0;
}

static int packet_open(struct datapath *dp, const struct port_config *config, struct port **portp,
		       struct error *err)
{
	struct packet_port *pp;
	int ret;

	pp = calloc(1, sizeof(*pp));
	if (!pp)
		return error_set(err, ENOMEM, "no memory for a port");
	ret = port_init(&pp->port, &port_packet_class, dp, config);
	if (ret) {
		free(pp);
		return error_set(err, ret, "no memory for a port");
	}
	pp->promisc_fd = -1;
	ret = packet_start(pp, config, err);
	if (ret) {
		packet_close(&pp->port);
		return ret;
	}
	*portp = &pp->port;
	return 0;
}

/* ---- the rest of the class ----------------------------------------------------------- */

static int packet_refresh(struct port *port)
{
	struct packet_port *pp = packet_port_from(port);
	uint64_t *drops = &port->kernel_drops[DROP_SOCKET_RX];

	for (unsigned int i = 0; i < port->n_rxqs; i++) {
		struct tpacket_stats stats;
		socklen_t size = sizeof(stats);

		/* Asking sets the kernel's count back to 0. */
		if (getsockopt(port->rxqs[i]->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) ==
		    0)
			counter_add(drops, stats.tp_drops);
	}
	return read_link(pp);
}

static void packet_get_status(const struct port *port, port_status_cb *cb, void *aux)
{
	const struct packet_port *pp = packet_port_from(port);
	char text[16];

	snprintf(text, sizeof(text), "%u", port->n_rxqs);
	cb(aux, "queues", text);
	cb(aux, "offloads", port->caps.gso_udp_l4 ? "csum,tso4,tso6,uso" : "csum,tso4,tso6");
	snprintf(text, sizeof(text), "%d", pp->ifindex);
	cb(aux, "ifindex", text);
}

const struct port_class port_packet_class = {
	.type = "packet",
	.help = "any network device through AF_PACKET, for those where XDP cannot go",
	.options = options,
	.open = packet_open,
	.close = packet_close,
	.rx = port_packet_rx,
	.tx = port_packet_tx,
	.arm = port_packet_arm,
	.refresh = packet_refresh,
	.get_status = packet_get_status,
};
