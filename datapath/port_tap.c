/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/port_tap.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "datapath/tap_device.h"
#include "lib/netlink.h"

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

struct tap_port {
	struct port port;
	struct tap_device tap;
	bool is_elsewhere; /* the device was moved to another network namespace */
};

static struct tap_port *tap_port_from(const struct port *port)
{
	return (struct tap_port *)container_of(port, struct tap_port, port);
}

/* ---- the device ---------------------------------------------------------------------- */

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
		ret = netlink_change_link(tp->tap.sock, tp->tap.ifindex, change, tp->port.name,
					  err);
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
		ret = netlink_add_address(tp->tap.sock, tp->tap.ifindex, tp->port.name, one, err);
	return ret;
}

/* ---- keeping up to date -------------------------------------------------------------- */

/* Takes over what the link says. */
static void read_link(struct tap_port *tp, struct rtnl_link *link)
{
	port_set_max_len(&tp->port, rtnl_link_get_mtu(link) + HEADERS_SIZE);
	port_set_link(&tp->port, rtnl_link_get_flags(link) & IFF_UP);
	counter_set(&tp->port.kernel_drops[DROP_SOCKET_RX], tap_device_get_drops(&tp->tap, link));
}

static int tap_refresh(struct port *port)
{
	struct tap_port *tp = tap_port_from(port);
	struct rtnl_link *link;
	int ret = tap_device_get_link(&tp->tap, &link);

	if (ret == -ENODEV)
		return ret;
	tp->is_elsewhere = ret != 0;
	if (ret) {
		port_set_link(port, true);
		return 0;
	}
	read_link(tp, link);
	rtnl_link_put(link);
	return 0;
}

/* ---- open and close ------------------------------------------------------------------ */

static void tap_close(struct port *port)
{
	struct tap_port *tp = tap_port_from(port);

	tap_device_close(&tp->tap);
	port_uninit(port);
	free(tp);
}

/* Makes the device what the options say, and up. */
static int configure(struct tap_port *tp, const struct port_config *config, struct error *err)
{
	int ret;

	ret = set_link(tp, config, err);
	if (!ret)
		ret = netlink_bring_up(tp->tap.sock, tp->tap.ifindex, tp->port.name, err);
	if (!ret)
		ret = add_addresses(tp, config, err);
	if (ret)
		return ret;
	tap_device_set_caps(&tp->tap);
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
	ret = tap_device_open(&tp->tap, &tp->port, tp->port.name, n, err);
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
	cb(aux, "offloads", tap_device_format_offloads(&tp->tap));
	snprintf(text, sizeof(text), "%d", tp->tap.ifindex);
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
	.rx = tap_device_rx,
	.tx = tap_device_tx,
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
	.rx = tap_device_rx,
	.tx = tap_device_tx,
	.refresh = tap_refresh,
	.get_status = tap_get_status,
	.set = tap_set,
};
