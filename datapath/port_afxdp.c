/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf/pin_dir.h"
#include "bpf/pinned_xdp.h"
#include "datapath/datapath.h"
#include "datapath/netdev.h"
#include "datapath/packet.h"
#include "datapath/port_afxdp.h"
#include "datapath/port_afxdp_priv.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/suggest.h"

/* Bytes ahead of the MTU: Ethernet header and one tag. */
#define HEADERS_SIZE (14u + FLOW_VLAN_SIZE)
#define RING_SIZE_MIN 64
#define RING_SIZE_MAX 8192
/* Fewer frames than this in a fill ring are not worth opening a port. */
#define LENT_MIN 64u
/* Of the free frames, one in so many may go to a queue that opens; never less than LENT_MIN. So
 * many ports share a pool without the last one finding it empty. */
#define LENT_SHARE 16
/* How long close() waits for frames that the device is still sending. */
#define DRAIN_NS (100 * CLOCK_NS_PER_MS)
#define DRAIN_STEP_US 1000

static const struct port_option_def option_defs[] = {
	{"mode", "auto|zerocopy|native|generic|offload", "auto",
	 "how frames pass between device and switch; auto takes the first of zerocopy, native "
	 "(copy) "
	 "and generic that the device can do"},
	{"queues", "1-16|all", "all",
	 "receive queues of the device to use; the others pass to the host"},
	{"ring", "64-8192", "2048", "entries in each ring, a power of 2"},
	{"busy-poll", "USECS|off", "off",
	 "let the worker run the device's poll loop itself, for so many microseconds at a time"},
	{"kernel-tier", "on|off", "on",
	 "let the kernel carry hot flows out by itself, as far as it can"},
	{"keep-host", "on|off", NULL,
	 "let the host go on using the device: what is for its own addresses does not pass through "
	 "the switch"},
	{NULL, NULL, NULL, NULL},
};

/* What a mode is called: as option value and for people. */
static const struct {
	const char *option;
	const char *name;
	enum xdp_prog_mode prog_mode;
} modes[] = {
	[AFXDP_MODE_ZEROCOPY] = {"zerocopy", "zero-copy", XDP_PROG_NATIVE},
	[AFXDP_MODE_NATIVE] = {"native", "native copy", XDP_PROG_NATIVE},
	[AFXDP_MODE_GENERIC] = {"generic", "generic copy", XDP_PROG_GENERIC},
	[AFXDP_MODE_OFFLOAD] = {"offload", "offload", XDP_PROG_OFFLOAD},
	[AFXDP_MODE_AUTO] = {"auto", "auto", XDP_PROG_NATIVE},
};

static struct afxdp_port *afxdp_port_from(const struct port *port)
{
	return container_of((struct port *)(uintptr_t)port, struct afxdp_port, base);
}

/* ---- options ----------------------------------------------------------------------------------
 */

static int parse_mode(const struct port_config *config, enum afxdp_mode *mode, struct error *err)
{
	const char *text = port_config_get(&port_afxdp_class, config, "mode");
	struct suggest suggest;
	char hint[64];

	suggest_init(&suggest, text);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		if (!strcmp(text, modes[i].option)) {
			*mode = (enum afxdp_mode)i;
			return 0;
		}
		suggest_offer(&suggest, modes[i].option);
	}
	return error_set(err, EINVAL,
			 "mode=%s: must be auto, zerocopy, native, generic or offload%s", text,
			 suggest_format(&suggest, hint, sizeof(hint)));
}

static int parse_busy_poll(const struct port_config *config, uint32_t *us, struct error *err)
{
	*us = 0;
	if (!strcmp(port_config_get(&port_afxdp_class, config, "busy-poll"), "off"))
		return 0;
	return port_config_get_uint(&port_afxdp_class, config, "busy-poll", 0, 1000000, us, err);
}

/* `info`: of the device. Sets how many queues are used. */
static int parse_queues(const struct port_config *config, const struct netdev_info *info,
			unsigned int *n_queues, struct error *err)
{
	if (strcmp(port_config_get(&port_afxdp_class, config, "queues"), "all")) {
		int ret = port_config_get_uint(&port_afxdp_class, config, "queues", 1,
					       PORT_QUEUES_MAX, n_queues, err);

		if (!ret && *n_queues > info->n_rx)
			return error_set(err, EINVAL, "queues=%u: %s has %u receive queues",
					 *n_queues, info->name, info->n_rx);
		return ret;
	}
	*n_queues = info->n_rx;
	if (info->n_rx > PORT_QUEUES_MAX)
		return error_set(
			err, E2BIG,
			"%s has %u receive queues, a port at most %d: reduce them "
			"(ethtool -L %s combined %d), or say queues=%d and steer the traffic "
			"there",
			info->name, info->n_rx, PORT_QUEUES_MAX, info->name, PORT_QUEUES_MAX,
			PORT_QUEUES_MAX);
	return 0;
}

static int parse_options(struct afxdp_port *port, const struct port_config *config,
			 const struct netdev_info *info, struct error *err)
{
	int ret = parse_mode(config, &port->wanted, err);

	if (!ret && port_config_get(&port_afxdp_class, config, "keep-host"))
		ret = port_config_get_bool(&port_afxdp_class, config, "keep-host", &port->keep_host,
					   err);
	if (!ret)
		ret = parse_queues(config, info, &port->n_queues, err);
	if (!ret)
		ret = parse_busy_poll(config, &port->busy_poll_us, err);
	if (!ret)
		ret = port_config_get_bool(&port_afxdp_class, config, "kernel-tier",
					   &port->wants_tier0, err);
	if (!ret)
		ret = port_config_get_uint(&port_afxdp_class, config, "ring", RING_SIZE_MIN,
					   RING_SIZE_MAX, &port->ring_size, err);
	if (!ret && !IS_POW2(port->ring_size))
		ret = error_set(err, EINVAL, "ring=%u: must be a power of 2", port->ring_size);
	return ret;
}

/* Is it no use to try another way after this error? */
static bool is_final(int ret)
{
	return ret == -EPERM || ret == -EBUSY || ret == -ENODEV || ret == -ENOENT;
}

/* ---- sockets ----------------------------------------------------------------------------------
 */

static void close_sockets(struct afxdp_port *port)
{
	while (port->n_sockets)
		afxdp_socket_close(&port->queues[--port->n_sockets].socket);
}

/* Opens the sockets of all queues, of one flavour. Undoes all on failure. */
static int open_sockets(struct afxdp_port *port, enum afxdp_flavour flavour, struct error *err)
{
	struct afxdp_socket_config config = {
		.pool = port->pool,
		.ifname = port->base.name,
		.ifindex = port->ifindex,
		.flavour = flavour,
		.ring_size = port->ring_size,
		.fill_size = port->ring_size,
		.busy_poll_us = port->busy_poll_us,
	};

	for (unsigned int i = 0; i < port->n_queues; i++) {
		int ret;

		config.queue = i;
		config.rx = port->queues[i].rxq != NULL;
		config.tx = port->queues[i].txq != NULL;
		ret = afxdp_socket_open(&port->queues[i].socket, &config, err);
		if (ret) {
			close_sockets(port);
			return ret;
		}
		port->n_sockets++;
	}
	return 0;
}

/* The longest frame in the mode that the port is in; `sg`: with several buffers. */
static uint32_t longest_frame(bool sg)
{
	return sg ? AFXDP_TX_SEGS_MAX * FRAME_PAYLOAD : FRAME_PAYLOAD;
}

/* Opens the sockets with multi-buffer if they can have it. A device with a small MTU does without.
 */
static int open_sockets_sg(struct afxdp_port *port, bool zerocopy, uint32_t mtu, struct error *err)
{
	int ret;

	if (port->prog->frags) {
		port->sg = true;
		ret = open_sockets(port, zerocopy ? AFXDP_ZEROCOPY_SG : AFXDP_COPY_SG,
				   &port->no_sg);
		if (!ret)
			return 0;
		if (is_final(ret))
			return error_set(err, ret, "%s", port->no_sg.text);
	}
	port->sg = false;
	if (mtu + HEADERS_SIZE > longest_frame(false))
		return error_set(err, EMSGSIZE,
				 "MTU %u of %s needs frames of several buffers (one "
				 "takes an MTU of up to %u), but: %s",
				 mtu, port->base.name, longest_frame(false) - HEADERS_SIZE,
				 port->no_sg.text);
	return open_sockets(port, zerocopy ? AFXDP_ZEROCOPY : AFXDP_COPY, err);
}

/* ---- the ladder of modes ----------------------------------------------------------------------
 */

/* Attaches the XDP program, with multi-buffer if the device can have it. Keeps one that fits. */
static int open_prog(struct afxdp_port *port, enum xdp_prog_mode mode, struct error *err)
{
	struct xdp_prog_config config = {
		.ifindex = port->ifindex,
		.ifname = port->base.name,
		.mode = mode,
		.frags = true,
		.n_queues = port->n_queues,
		.tier0 = port->tier0_maps,
		.keep_host = port->keep_host,
		.pins = datapath_get_pins(port->base.dp),
	};
	int ret;

	if (port->prog && port->prog->mode == mode)
		return 0;
	xdp_prog_close(port->prog);
	port->prog = NULL;
	ret = xdp_prog_open(&config, &port->prog, &port->no_sg);
	if (!ret)
		return 0;
	if (is_final(ret) || ret == -EEXIST)
		return error_set(err, ret, "%s", port->no_sg.text);
	config.frags = false;
	return xdp_prog_open(&config, &port->prog, err);
}

static int try_mode(struct afxdp_port *port, enum afxdp_mode mode, uint32_t mtu, struct error *err)
{
	int ret = open_prog(port, modes[mode].prog_mode, err);

	if (!ret)
		ret = open_sockets_sg(port, mode == AFXDP_MODE_ZEROCOPY, mtu, err);
	return ret;
}

/* The sentence for a ladder of which no step holds. */
static int explain_ladder(const struct afxdp_port *port, int ret, struct error *err)
{
	const char *first = port->refused[AFXDP_MODE_ZEROCOPY].text;
	const char *native = port->refused[AFXDP_MODE_NATIVE].text;
	const char *generic = port->refused[AFXDP_MODE_GENERIC].text;

	if (!strcmp(first, native) && !strcmp(native, generic))
		return error_set(err, ret, "%s", first);
	return error_set(err, ret, "no AF_XDP mode works on %s: native: %s; generic: %s",
			 port->base.name, native, generic);
}

static int climb(struct afxdp_port *port, uint32_t mtu, struct error *err)
{
	struct error why = ERROR_INIT;
	int ret = -EINVAL;

	if (port->wanted != AFXDP_MODE_AUTO) {
		ret = try_mode(port, port->wanted, mtu, &why);
		port->mode = port->wanted;
		return ret ? error_set(err, ret, "mode=%s: %s", modes[port->wanted].option,
				       why.text)
			   : 0;
	}
	for (port->mode = AFXDP_MODE_ZEROCOPY; port->mode <= AFXDP_MODE_GENERIC; port->mode++) {
		ret = try_mode(port, port->mode, mtu, &port->refused[port->mode]);
		if (!ret)
			return 0;
		if (is_final(ret))
			return error_set(err, ret, "%s", port->refused[port->mode].text);
	}
	return explain_ladder(port, ret, err);
}

/* The kernel may have granted less than was asked for. */
static void read_mode_back(struct afxdp_port *port)
{
	if (port->mode != AFXDP_MODE_ZEROCOPY || afxdp_socket_get_zerocopy(&port->queues[0].socket))
		return;
	error_set(&port->refused[AFXDP_MODE_ZEROCOPY], EOPNOTSUPP,
		  "the kernel granted copy mode instead");
	port->mode = AFXDP_MODE_NATIVE;
}

/* ---- queues -----------------------------------------------------------------------------------
 */

static void *alloc_queue(size_t size)
{
	void *queue = aligned_alloc(CACHE_LINE, ROUND_UP(size, (size_t)CACHE_LINE));

	if (queue)
		memset(queue, 0, size);
	return queue;
}

static void free_queues(struct afxdp_port *port)
{
	for (unsigned int i = 0; i < PORT_QUEUES_MAX; i++) {
		free(port->queues[i].rxq);
		free(port->queues[i].txq);
	}
}

/* Makes the receive and transmit queues, still without sockets. */
static int alloc_queues(struct afxdp_port *port, const struct netdev_info *info)
{
	for (unsigned int i = 0; i < port->n_queues; i++) {
		struct afxdp_queue *queue = &port->queues[i];

		queue->rxq = alloc_queue(sizeof(*queue->rxq));
		if (!queue->rxq)
			return -ENOMEM;
		port_add_rxq(&port->base, &queue->rxq->base);
		if (i >= info->n_tx)
			continue;
		queue->txq = alloc_queue(sizeof(*queue->txq));
		if (!queue->txq)
			return -ENOMEM;
		port_add_txq(&port->base, &queue->txq->base);
	}
	return 0;
}

/* May frames come in with partial checksums? XDP has no way to tell. Whoever sends into a veth or a
 * TAP leaves them so, and in generic mode those of any device that the kernel passes on. */
static bool gets_partial_csums(const struct afxdp_port *port)
{
	return port->mode == AFXDP_MODE_GENERIC || !strcmp(port->driver, "veth") ||
	       !strcmp(port->driver, "tun");
}

/* Gives a queue's two sides what they need of the socket. */
static void connect_queue(const struct afxdp_port *port, struct afxdp_queue *queue)
{
	struct afxdp_socket *socket = &queue->socket;

	queue->rxq->rx = socket->rx;
	queue->rxq->fill = socket->fill;
	queue->rxq->fd = socket->fd;
	queue->rxq->base.fd = socket->fd;
	queue->rxq->pool = port->pool;
	queue->rxq->busy_poll = port->busy_poll_us != 0;
	queue->rxq->csum = gets_partial_csums(port) ? PACKET_CSUM_MAYBE : PACKET_CSUM_UNKNOWN;
	if (!queue->txq)
		return;
	queue->txq->tx = socket->tx;
	queue->txq->completion = socket->completion;
	queue->txq->fd = socket->fd;
	queue->txq->pool = port->pool;
	queue->txq->tx_meta_size = socket->tx_meta_size;
}

/* Lends the fill rings their frames. */
static int lend_frames(struct afxdp_port *port, struct error *err)
{
	struct frame_cache *cache = datapath_get_control_cache(port->base.dp);
	for (unsigned int i = 0; i < port->n_queues; i++) {
		struct afxdp_rxq *q = port->queues[i].rxq;
		uint32_t n_free = frame_pool_count(port->pool, FRAME_FREE);

		q->n_lent_max = MIN(port->ring_size, MAX(n_free / LENT_SHARE, LENT_MIN));
		q->n_missing = q->n_lent_max;
		port_afxdp_refill(q, cache);
		if (q->n_missing > q->n_lent_max - MIN(q->n_lent_max, LENT_MIN))
			return error_set(
				err, ENOBUFS,
				"queue %u of %s gets %u frames of the %u that it "
				"needs at least: %u of the pool's %u are free; use fewer ports, "
				"queues=N or ring=N, or a larger pool",
				i, port->base.name, q->n_lent_max - q->n_missing, LENT_MIN, n_free,
				port->pool->n_frames);
	}
	return 0;
}

static int start_queues(struct afxdp_port *port, struct error *err)
{
	int ret;

	for (unsigned int i = 0; i < port->n_queues; i++)
		connect_queue(port, &port->queues[i]);
	ret = lend_frames(port, err);
	for (unsigned int i = 0; !ret && i < port->n_queues; i++) {
		ret = xdp_prog_set_socket(port->prog, i, port->queues[i].socket.fd);
		if (ret)
			error_set(err, ret, "giving queue %u of %s to its socket: %s", i,
				  port->base.name, strerror(-ret));
	}
	return ret;
}

/* ---- closing ----------------------------------------------------------------------------------
 */

/* Waits, for a bounded time, for frames that are being sent. */
static void drain(struct afxdp_port *port)
{
	struct frame_cache *cache = datapath_get_control_cache(port->base.dp);
	uint64_t end_ns = clock_now() + DRAIN_NS;
	bool pending;

	do {
		pending = false;
		for (unsigned int i = 0; i < port->n_sockets; i++)
			if (port->queues[i].txq)
				pending |=
					port_afxdp_flush(&port->queues[i].txq->base, cache, NULL);
		if (pending)
			usleep(DRAIN_STEP_US);
	} while (pending && clock_now() < end_ns);
}

/* Takes every frame back that a queue of a closed socket still has. */
static void reclaim(struct afxdp_port *port)
{
	struct frame_cache *cache = datapath_get_control_cache(port->base.dp);

	for (unsigned int i = 0; i < port->n_queues; i++) {
		struct afxdp_queue *queue = &port->queues[i];

		if (queue->rxq) {
			packet_free(cache, queue->rxq->chain);
			frame_pool_reclaim(port->pool, queue->rxq->base.owner);
		}
		if (queue->txq)
			frame_pool_reclaim(port->pool, queue->txq->base.owner);
	}
}

/* What was changed at the device and is to be undone, PINNED_XDP_*. Nothing if its program stays.
 */
static uint32_t get_undo(const struct afxdp_port *port)
{
	uint32_t undo = port->prog && port->prog->state ? port->prog->state->undo : 0;

	if (port->prog && pin_dir_is_kept(port->prog->pins))
		return 0;
	return port->vlan_was_stripped ? undo | PINNED_XDP_VLAN : undo;
}

/* Frees a port, as far as it was opened. */
static void destroy(struct afxdp_port *port)
{
	uint32_t undo = get_undo(port);

	/* First the source, then what is on its way out, then the rest. */
	xdp_prog_close(port->prog);
	drain(port);
	close_sockets(port);
	reclaim(port);
	netdev_undo(port->ifindex, undo & PINNED_XDP_PROMISC, undo & PINNED_XDP_VLAN);
	if (port->promisc_fd >= 0)
		close(port->promisc_fd);
	free_queues(port);
	port_uninit(&port->base);
	free(port);
}

static void port_afxdp_close(struct port *port)
{
	destroy(afxdp_port_from(port));
}

/* ---- opening ----------------------------------------------------------------------------------
 */

/* Makes the device fit for being a switch port. */
static int prepare_device(struct afxdp_port *port, const struct netdev_info *info,
			  struct error *err)
{
	const char *name = port->base.name;
	int ret;

	if (info->mtu + HEADERS_SIZE > longest_frame(true))
		return error_set(err, EMSGSIZE,
				 "MTU %u of %s is too large: AF_XDP sends frames of up to "
				 "%d buffers, an MTU of at most %u",
				 info->mtu, name, AFXDP_TX_SEGS_MAX,
				 longest_frame(true) - HEADERS_SIZE);
	ret = netdev_set_up(port->ifindex);
	if (ret == -EPERM)
		return error_set(err, ret,
				 "setting %s up is not permitted; an afxdp port takes "
				 "CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF",
				 name);
	if (ret)
		return error_set(err, ret, "setting %s up: %s", name, strerror(-ret));
	port->promisc_fd = netdev_open_promisc(port->ifindex);
	if (port->promisc_fd == -EPERM)
		return error_set(err, EPERM,
				 "making %s promiscuous is not permitted; an afxdp port "
				 "takes CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF",
				 name);
	if (port->promisc_fd < 0)
		return error_set(err, port->promisc_fd, "making %s promiscuous: %s", name,
				 strerror(-port->promisc_fd));
	/* Where the device cannot leave tags in, the XDP program asks the driver for them. */
	port->vlan_was_stripped = netdev_set_vlan_stripping(port->ifindex, false) == 1;
	return 0;
}

/* What is to be undone at the device is noted beside a program that may outlive us, and so is it
 * promiscuous for as long as that runs. */
static void note_changes(struct afxdp_port *port)
{
	struct pinned_xdp *state = port->prog->state;

	if (!port->prog->pins)
		return;
	if (state->undo & PINNED_XDP_VLAN)
		port->vlan_was_stripped = true;
	else if (port->vlan_was_stripped)
		state->undo |= PINNED_XDP_VLAN;
	if (netdev_set_promisc(port->ifindex, true) == 0)
		state->undo |= PINNED_XDP_PROMISC;
}

static void set_caps(struct afxdp_port *port, uint32_t mtu)
{
	const struct afxdp_txq *txq = port->queues[0].txq;

	port->base.caps.max_len = mtu + HEADERS_SIZE;
	port->base.caps.max_segs = port->sg ? AFXDP_TX_SEGS_MAX : 1;
	/* In copy mode the kernel itself sees to the request; in zero-copy mode it is up to the
	 * driver. */
	port->base.caps.csum = txq->tx_meta_size != 0 && port->mode != AFXDP_MODE_ZEROCOPY;
}

/* ---- opening, all together --------------------------------------------------------------------
 */

static int open_port(struct afxdp_port *port, const struct port_config *config, struct error *err)
{
	struct netdev_info info;
	int ret;

	ret = netdev_lookup(config->name, &port->ifindex, err);
	if (ret)
		return ret;
	ret = netdev_get_info(port->ifindex, &info);
	if (ret)
		return error_set(err, ret, "%s: %s", config->name, strerror(-ret));
	memcpy(port->driver, info.driver, sizeof(port->driver));
	(void)!netdev_get_drops(port->ifindex, &port->drops_at_open);
	ret = parse_options(port, config, &info, err);
	if (!ret)
		ret = prepare_device(port, &info, err);
	if (ret)
		return ret;
	if (alloc_queues(port, &info))
		return error_set(err, ENOMEM, "no memory for %u queues", port->n_queues);
	port_afxdp_prepare_tier0(port);
	ret = climb(port, info.mtu, err);
	if (ret)
		return ret;
	ret = port_afxdp_refresh_host(port);
	if (ret)
		return error_set(err, ret, "telling the XDP program of %s the host's addresses: %s",
				 config->name, strerror(-ret));
	ret = start_queues(port, err);
	if (ret)
		return ret;
	note_changes(port);
	read_mode_back(port);
	set_caps(port, info.mtu);
	port_afxdp_start_tier0(port, gets_partial_csums(port));
	return 0;
}

static int port_afxdp_open(struct datapath *dp, const struct port_config *config,
			   struct port **portp, struct error *err)
{
	struct afxdp_port *port =
		aligned_alloc(CACHE_LINE, ROUND_UP(sizeof(struct afxdp_port), (size_t)CACHE_LINE));
	int ret;

	if (!port)
		return error_set(err, ENOMEM, "no memory for port %s", config->name);
	memset(port, 0, sizeof(*port));
	if (port_init(&port->base, &port_afxdp_class, dp, config)) {
		free(port);
		return error_set(err, ENOMEM, "no memory for port %s", config->name);
	}
	port->pool = datapath_get_pool(dp);
	port->promisc_fd = -1;
	ret = open_port(port, config, err);
	if (ret) {
		destroy(port);
		return ret;
	}
	log_info("port %s: %s mode, %u queues", config->name, modes[port->mode].name,
		 port->n_queues);
	*portp = &port->base;
	return 0;
}

/* ---- looking after it -------------------------------------------------------------------------
 */

static void set_kernel_drops(struct afxdp_port *port, enum drop_reason reason, uint64_t n)
{
	__atomic_store_n(&port->base.kernel_drops[reason], n, __ATOMIC_RELAXED);
}

/* `drops`: the device's, asked for ahead of the sockets'; some drivers count what no socket took as
 * well, which is `n_sockets` packets by now. */
static void set_device_drops(struct afxdp_port *port, const struct netdev_drops *drops,
			     uint64_t n_sockets)
{
	uint64_t rx = drops->rx - port->drops_at_open.rx;
	uint64_t before = port->base.kernel_drops[DROP_DEVICE_RX];

	set_kernel_drops(port, DROP_DEVICE_RX, MAX(before, rx - MIN(rx, n_sockets)));
	set_kernel_drops(port, DROP_DEVICE_TX, drops->tx - port->drops_at_open.tx);
}

static void refresh_stats(struct afxdp_port *port)
{
	struct xdp_statistics sum = {.rx_dropped = 0};
	struct netdev_drops drops;
	int ret = netdev_get_drops(port->ifindex, &drops);

	for (unsigned int i = 0; i < port->n_sockets; i++) {
		struct afxdp_txq *txq = port->queues[i].txq;
		struct xdp_statistics stats;

		if (afxdp_socket_get_stats(&port->queues[i].socket, &stats))
			continue;
		/* In copy mode a frame for which the fill ring had none is counted as dropped, too.
		 */
		sum.rx_dropped +=
			stats.rx_dropped - MIN(stats.rx_dropped, stats.rx_fill_ring_empty_descs);
		sum.rx_ring_full += stats.rx_ring_full;
		sum.rx_fill_ring_empty_descs += stats.rx_fill_ring_empty_descs;
		sum.rx_invalid_descs += stats.rx_invalid_descs + stats.tx_invalid_descs;
		if (txq)
			__atomic_store_n(&txq->n_lost, (uint32_t)stats.tx_invalid_descs,
					 __ATOMIC_RELAXED);
	}
	set_kernel_drops(port, DROP_XSK_RX_DROPPED, sum.rx_dropped);
	set_kernel_drops(port, DROP_XSK_RX_RING_FULL, sum.rx_ring_full);
	set_kernel_drops(port, DROP_XSK_FILL_RING_EMPTY, sum.rx_fill_ring_empty_descs);
	set_kernel_drops(port, DROP_XSK_INVALID_DESCS, sum.rx_invalid_descs);
	if (!ret)
		set_device_drops(port, &drops,
				 sum.rx_dropped + sum.rx_ring_full + sum.rx_fill_ring_empty_descs);
}

static void set_down(struct afxdp_port *port, bool down)
{
	for (unsigned int i = 0; i < port->n_queues; i++)
		if (port->queues[i].txq)
			__atomic_store_n(&port->queues[i].txq->down, down, __ATOMIC_RELAXED);
}

static int port_afxdp_refresh(struct port *port_)
{
	struct afxdp_port *port = afxdp_port_from(port_);
	struct netdev_info info;

	refresh_stats(port);
	if (netdev_get_link(port->ifindex, &info)) {
		port_set_link(port_, false);
		set_down(port, true);
		return -ENODEV;
	}
	port_set_link(port_, info.up && info.running);
	set_down(port, !info.up);
	if (port_afxdp_refresh_host(port))
		log_warn_limited("port %s: the host's addresses cannot be asked for", port_->name);
	if (info.mtu + HEADERS_SIZE <= longest_frame(port->sg))
		__atomic_store_n(&port_->caps.max_len, info.mtu + HEADERS_SIZE, __ATOMIC_RELAXED);
	else
		log_warn_limited(
			"port %s: MTU was raised to %u; frames longer than %u bytes are lost",
			port_->name, info.mtu, longest_frame(port->sg));
	port_afxdp_refresh_target(port);
	return 0;
}

PRINTF_FORMAT(4, 5)
static void tell(port_status_cb *cb, void *aux, const char *name, const char *format, ...)
{
	char value[ERROR_TEXT_SIZE + 32];
	va_list args;

	va_start(args, format);
	vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	cb(aux, name, value);
}

static void port_afxdp_get_status(const struct port *port_, port_status_cb *cb, void *aux)
{
	const struct afxdp_port *port = afxdp_port_from(port_);
	uint32_t n_lent = 0;

	tell(cb, aux, "mode", "%s", modes[port->mode].name);
	for (int i = 0; i < AFXDP_N_MODES; i++)
		if (port->refused[i].text[0])
			tell(cb, aux, modes[i].name, "refused: %s", port->refused[i].text);
	tell(cb, aux, "xdp", "%s",
	     port->prog->dispatched ? "shared through libxdp's dispatcher"
	     : port->prog->pins	    ? "attached directly, and pinned"
				    : "attached directly");
	if (port->prog->hints)
		tell(cb, aux, "hints", "hash, timestamp, vlan");
	else
		tell(cb, aux, "hints", "none: %s", port->prog->why_plain.text);
	tell(cb, aux, "parsed", "%s", port->prog->record ? "in XDP" : "by the switch");
	if (port->sg)
		tell(cb, aux, "multi-buffer", "yes");
	else
		tell(cb, aux, "multi-buffer", "no: %s", port->no_sg.text);
	if (!port->prog->hints && !strcmp(port->driver, "veth"))
		tell(cb, aux, "vlan",
		     "tags that the sender's kernel keeps beside the frame are lost");
	if (port_->tier0.program)
		tell(cb, aux, "kernel tier in", "yes");
	else
		tell(cb, aux, "kernel tier in", "no: %s", port_->tier0.why_no_program.text);
	if (port_->tier0.target.flags & TIER0_TARGET_XDP)
		tell(cb, aux, "kernel tier out", "yes");
	else if (port_->tier0.target.flags)
		tell(cb, aux, "kernel tier out", "from containers alone: %s",
		     port_->tier0.why_no_target.text);
	else
		tell(cb, aux, "kernel tier out", "no: %s", port_->tier0.why_no_target.text);
	if (port->keep_host)
		tell(cb, aux, "keep-host", "on, %u addresses", port->n_host_addrs);
	tell(cb, aux, "driver", "%s", port->driver[0] ? port->driver : "unknown");
	tell(cb, aux, "checksum", "%s", port_->caps.csum ? "left to the kernel" : "by the switch");
	tell(cb, aux, "queues", "%u", port->n_queues);
	for (unsigned int i = 0; i < port->n_queues; i++)
		n_lent += port->queues[i].rxq->n_lent_max;
	tell(cb, aux, "ring", "%u, %u frames lent", port->ring_size, n_lent);
	if (port->busy_poll_us && port->queues[0].socket.busy_poll_err)
		tell(cb, aux, "busy-poll", "no: the kernel does not prefer it (%s)",
		     strerror(port->queues[0].socket.busy_poll_err));
	else if (port->busy_poll_us)
		tell(cb, aux, "busy-poll", "%u us", port->busy_poll_us);
}

static int port_afxdp_probe(struct error *err)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return error_set(err, errno, "no AF_XDP socket can be had: %m");
	close(fd);
	return xdp_prog_probe(err);
}

const struct port_class port_afxdp_class = {
	.type = "afxdp",
	.help = "a network device by AF_XDP: frames pass the kernel's stack by",
	.options = option_defs,
	.probe = port_afxdp_probe,
	.check_new = port_afxdp_check_new,
	.open = port_afxdp_open,
	.close = port_afxdp_close,
	.rx = port_afxdp_rx,
	.tx = port_afxdp_tx,
	.flush = port_afxdp_flush,
	.arm = port_afxdp_arm,
	.refresh = port_afxdp_refresh,
	.get_status = port_afxdp_get_status,
};
