/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/port_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "datapath/datapath.h"
#include "datapath/port_tap_priv.h"
#include "lib/netlink.h"

/* Not in Debian's headers: UDP segmentation, Linux 6.2. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define TUN_F_BASE (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

/* Bytes ahead of the MTU: Ethernet header and one tag. */
#define HEADERS_SIZE (14u + 4u)
/* Bytes of text that an ip= option may have. */
#define ADDRESSES_SIZE 1024

#define COMMON_OPTIONS                                                                             \
	{"queues", "N", "1", "queue pairs; several workers share the traffic then"},               \
		{"mtu", "BYTES", NULL, "of the interface; 1500 for a new one"},                    \
		{"mac", "MAC", NULL, "of the interface; random for a new one"},                    \
	{                                                                                          \
		"ip", "CIDR[,CIDR...]", NULL, "addresses that the host gets on the interface"      \
	}

static const struct port_option_def internal_options[] = {
	COMMON_OPTIONS,
	{NULL, NULL, NULL, NULL},
};

static const struct port_option_def tap_options[] = {
	COMMON_OPTIONS,
	{"persist", "on|off", "off", "the device outlives the port"},
	{NULL, NULL, NULL, NULL},
};

static struct tap_port *tap_port_from(const struct port *port)
{
	return (struct tap_port *)container_of(port, struct tap_port, port);
}

/* ---- the device ---------------------------------------------------------------------- */

/* Explains why a queue could not be had. */
static int explain_tun(const char *name, int err, struct error *e)
{
	switch (err) {
	case EPERM:
	case EACCES:
		return error_set(e, err, "cannot make TAP device %s: CAP_NET_ADMIN is needed",
				 name);
	case EBUSY:
		return error_set(e, err, "TAP device %s is in use by another program", name);
	case EINVAL:
		return error_set(e, EEXIST,
				 "interface %s exists and is no TAP device with as many "
				 "queues: remove it or choose another name",
				 name);
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return error_set(e, err,
				 "the kernel has no TAP devices (/dev/net/tun): modprobe tun");
	default:
		return error_set(e, err, "cannot make TAP device %s: %s", name, strerror(err));
	}
}

/* Opens one queue of the device. Returns its descriptor or a negative errno. */
static int open_queue(const char *name, bool is_multi_queue, struct error *err)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int size = VNET_HDR_SIZE, ret, fd;

	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return explain_tun(name, errno, err);
	if (is_multi_queue)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.*s", IFNAMSIZ - 1, name);
	if (ioctl(fd, TUNSETIFF, &ifr)) {
		ret = explain_tun(name, errno, err);
		goto err_fd;
	}
	if (ioctl(fd, TUNSETVNETHDRSZ, &size)) {
		ret = error_set(err, errno, "TAP device %s: cannot set the header's size: %m",
				name);
		goto err_fd;
	}
	return fd;

err_fd:
	close(fd);
	return ret;
}

/* Asks the kernel to hand GSO packets and partial checksums over as they are. */
static int set_offloads(struct tap_port *tp, struct error *err)
{
	int fd = tp->queues[0].rxq.fd;

	tp->has_uso = ioctl(fd, TUNSETOFFLOAD, TUN_F_BASE | TUN_F_USO4 | TUN_F_USO6) == 0;
	if (!tp->has_uso && ioctl(fd, TUNSETOFFLOAD, TUN_F_BASE))
		return error_set(err, errno, "TAP device %s: cannot set offloads: %m",
				 tp->port.name);
	return 0;
}

/* Gives the interface the MTU and MAC address of the options. */
static int set_link(struct tap_port *tp, const struct port_config *config, struct error *err)
{
	const char *mac_text = port_config_get(tp->port.class, config, "mac");
	struct rtnl_link *change;
	uint8_t mac[NETLINK_MAC_SIZE];
	unsigned int mtu;
	int ret = 0;

	change = rtnl_link_alloc();
	if (!change)
		return error_set(err, ENOMEM, "out of memory");
	if (port_config_get(tp->port.class, config, "mtu")) {
		ret = port_config_get_uint(tp->port.class, config, "mtu", 68, 65521, &mtu, err);
		if (!ret)
			rtnl_link_set_mtu(change, mtu);
	}
	if (!ret && mac_text) {
		ret = netlink_parse_mac(mac_text, mac, err);
		if (!ret)
			netlink_set_mac(change, mac);
	}
	if (!ret)
		ret = netlink_change_link(tp->sock, tp->ifindex, change, tp->port.name, err);
	rtnl_link_put(change);
	return ret;
}

/* Adds the addresses of the option. */
static int add_addresses(struct tap_port *tp, const struct port_config *config, struct error *err)
{
	const char *text = port_config_get(tp->port.class, config, "ip");
	char list[ADDRESSES_SIZE], *save = NULL;
	int ret = 0;

	if (!text)
		return 0;
	if (strlen(text) >= sizeof(list))
		return error_set(err, EINVAL, "ip=: more than %zu characters", sizeof(list) - 1);
	strcpy(list, text);
	for (char *one = strtok_r(list, ",", &save); one && !ret; one = strtok_r(NULL, ",", &save))
		ret = netlink_add_address(tp->sock, tp->ifindex, tp->port.name, one, err);
	return ret;
}

/* ---- keeping up to date -------------------------------------------------------------- */

/* Takes over what the link says. */
static void read_link(struct tap_port *tp, struct rtnl_link *link)
{
	port_set_max_len(&tp->port, rtnl_link_get_mtu(link) + HEADERS_SIZE);
	port_set_link(&tp->port, rtnl_link_get_flags(link) & IFF_UP);
	/* What the host sent and nobody had read yet when the queue was full. */
	counter_set(&tp->port.kernel_drops[DROP_SOCKET_RX],
		    rtnl_link_get_stat(link, RTNL_LINK_TX_DROPPED) - tp->drops_at_open);
}

static int tap_refresh(struct port *port)
{
	struct tap_port *tp = tap_port_from(port);
	struct rtnl_link *link;
	struct ifreq ifr;

	/* The descriptor knows the device wherever it is and whatever it is called now. */
	if (__atomic_load_n(&tp->queues[0].is_gone, __ATOMIC_RELAXED) ||
	    ioctl(port->rxqs[0]->fd, TUNGETIFF, &ifr))
		return -ENODEV;
	tp->is_elsewhere = true;
	if (netlink_get_link(tp->sock, tp->ifindex, NULL, &link)) {
		port_set_link(port, true);
		return 0;
	}
	if (!strncmp(rtnl_link_get_name(link), ifr.ifr_name, sizeof(ifr.ifr_name))) {
		tp->is_elsewhere = false;
		read_link(tp, link);
	}
	rtnl_link_put(link);
	return 0;
}

/* ---- open and close ------------------------------------------------------------------ */

static int open_queues(struct tap_port *tp, unsigned int n, struct error *err)
{
	for (unsigned int i = 0; i < n; i++) {
		struct tap_queue *q = &tp->queues[i];
		int fd = open_queue(tp->port.name, n > 1, err);

		if (fd < 0)
			return fd;
		q->rxq.fd = fd;
		port_add_rxq(&tp->port, &q->rxq);
		rx_buffer_init(&q->buffer, q->rxq.owner);
		port_add_txq(&tp->port, &q->txq);
	}
	return 0;
}

/* Finds the device just opened, and what its counters stand at. */
static int find_device(struct tap_port *tp, struct error *err)
{
	struct rtnl_link *link;
	int ret;

	ret = netlink_get_link(tp->sock, 0, tp->port.name, &link);
	if (ret)
		return error_set(err, ret, "TAP device %s vanished", tp->port.name);
	tp->ifindex = rtnl_link_get_ifindex(link);
	tp->drops_at_open = rtnl_link_get_stat(link, RTNL_LINK_TX_DROPPED);
	rtnl_link_put(link);
	return 0;
}

static void set_caps(struct tap_port *tp)
{
	tp->port.caps = (struct port_caps){
		.csum = true,
		.gso_tcp4 = true,
		.gso_tcp6 = true,
		.gso_udp_l4 = tp->has_uso,
		.max_segs = TAP_SEGS_MAX,
	};
}

static void tap_close(struct port *port)
{
	struct tap_port *tp = tap_port_from(port);
	struct frame_pool *pool = datapath_get_pool(port->dp);

	for (unsigned int i = 0; i < port->n_rxqs; i++) {
		close(port->rxqs[i]->fd);
		frame_pool_reclaim(pool, port->rxqs[i]->owner);
	}
	if (tp->null_fd >= 0)
		close(tp->null_fd);
	nl_socket_free(tp->sock);
	free(tp->queues);
	port_uninit(port);
	free(tp);
}

/* Makes the device what the options say, and up. */
static int configure(struct tap_port *tp, const struct port_config *config, struct error *err)
{
	int ret;

	ret = find_device(tp, err);
	if (!ret)
		ret = set_offloads(tp, err);
	if (!ret)
		ret = set_link(tp, config, err);
	if (!ret)
		ret = netlink_bring_up(tp->sock, tp->ifindex, tp->port.name, err);
	if (!ret)
		ret = add_addresses(tp, config, err);
	if (ret)
		return ret;
	set_caps(tp);
	ret = tap_refresh(&tp->port);
	return ret ? error_set(err, ret, "TAP device %s vanished", tp->port.name) : 0;
}

/* The part of opening that tap_close() can undo. */
static int tap_start(struct tap_port *tp, const struct port_config *config, struct error *err)
{
	unsigned int n;
	int ret;

	ret = port_config_get_uint(tp->port.class, config, "queues", 1, PORT_QUEUES_MAX, &n, err);
	if (ret)
		return ret;
	tp->queues = aligned_alloc(CACHE_LINE, n * sizeof(*tp->queues));
	if (!tp->queues)
		return error_set(err, ENOMEM, "no memory for %u queues", n);
	memset(tp->queues, 0, n * sizeof(*tp->queues));
	tp->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (tp->null_fd < 0)
		return error_set(err, errno, "cannot open /dev/null: %m");
	ret = netlink_connect(&tp->sock, err);
	if (!ret)
		ret = open_queues(tp, n, err);
	if (!ret)
		ret = configure(tp, config, err);
	return ret;
}

static int open_class(const struct port_class *class, struct datapath *dp,
		      const struct port_config *config, struct port **portp, struct error *err)
{
	struct tap_port *tp;
	int ret;

	ret = netlink_check_ifname(config->name, err);
	if (ret)
		return ret;
	tp = calloc(1, sizeof(*tp));
	if (!tp)
		return error_set(err, ENOMEM, "no memory for a port");
	ret = port_init(&tp->port, class, dp, config);
	if (ret) {
		free(tp);
		return error_set(err, ret, "no memory for a port");
	}
	tp->null_fd = -1;
	ret = tap_start(tp, config, err);
	if (ret) {
		tap_close(&tp->port);
		return ret;
	}
	*portp = &tp->port;
	return 0;
}

static int tap_open(struct datapath *dp, const struct port_config *config, struct port **portp,
		    struct error *err)
{
	bool persist;
	int ret;

	ret = port_config_get_bool(&port_tap_class, config, "persist", &persist, err);
	if (!ret)
		ret = open_class(&port_tap_class, dp, config, portp, err);
	if (ret || !persist)
		return ret;
	if (ioctl((*portp)->rxqs[0]->fd, TUNSETPERSIST, 1)) {
		ret = error_set(err, errno, "TAP device %s: cannot make it persistent: %m",
				config->name);
		tap_close(*portp);
	}
	return ret;
}

static int internal_open(struct datapath *dp, const struct port_config *config, struct port **portp,
			 struct error *err)
{
	if (if_nametoindex(config->name))
		return error_set(err, EEXIST,
				 "interface %s exists already: choose another name or "
				 "remove it",
				 config->name);
	return open_class(&port_internal_class, dp, config, portp, err);
}

/* ---- the rest of the classes --------------------------------------------------------- */

static int tap_set(struct port *port, const struct port_config *config, struct error *err)
{
	static const char *const keys[] = {"mtu", "mac", NULL};
	struct tap_port *tp = tap_port_from(port);
	int ret;

	/* A new device would not be where its user has moved this one. */
	if (tp->is_elsewhere)
		return error_set(err, EBUSY, "TAP device %s is in another network namespace",
				 port->name);
	ret = port_check_changes(port, config, keys, err);
	if (!ret)
		ret = set_link(tp, config, err);
	if (!ret && port_set_options(port, config))
		ret = error_set(err, ENOMEM, "no memory for the options");
	if (!ret && tap_refresh(port))
		ret = error_set(err, ENODEV, "TAP device %s vanished", port->name);
	return ret;
}

static void tap_get_status(const struct port *port, port_status_cb *cb, void *aux)
{
	const struct tap_port *tp = tap_port_from(port);
	char text[16];

	snprintf(text, sizeof(text), "%u", port->n_rxqs);
	cb(aux, "queues", text);
	cb(aux, "offloads", tp->has_uso ? "csum,tso4,tso6,uso" : "csum,tso4,tso6");
	snprintf(text, sizeof(text), "%d", tp->ifindex);
	cb(aux, "ifindex", text);
	if (tp->is_elsewhere)
		cb(aux, "namespace", "moved to another one");
}

const struct port_class port_tap_class = {
	.type = "tap",
	.help = "a TAP device: an interface of the host whose other end is the switch",
	.options = tap_options,
	.open = tap_open,
	.close = tap_close,
	.rx = port_tap_rx,
	.tx = port_tap_tx,
	.refresh = tap_refresh,
	.get_status = tap_get_status,
	.set = tap_set,
};

const struct port_class port_internal_class = {
	.type = "internal",
	.help = "the bridge's own interface, so that the host has an address on the bridge",
	.options = internal_options,
	.open = internal_open,
	.close = tap_close,
	.rx = port_tap_rx,
	.tx = port_tap_tx,
	.refresh = tap_refresh,
	.get_status = tap_get_status,
	.set = tap_set,
};
