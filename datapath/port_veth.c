/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/port_veth.h"

#include <errno.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet6.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if_link.h>
#include <linux/if_tun.h>

#include "bpf/tc_prog.h"
#include "datapath/datapath.h"
#include "datapath/netdev.h"
#include "datapath/netdev_xdp.h"
#include "datapath/tap_device.h"
#include "datapath/veth_peer.h"
#include "lib/log.h"
#include "lib/netlink.h"
#include "lib/suggest.h"

/* Bytes ahead of the MTU: Ethernet header and one tag. */
#define HEADERS_SIZE (14u + 4u)
/* The most that a TAP device takes: whatever the veth's MTU is, or becomes. */
#define TAP_MTU 65521
/* Packets that a queue of the TAP device holds. */
#define TAP_QUEUE_LEN 1000
/* The TAP device's name, by the veth's index. */
#define TAP_NAME "vswt%d"

static const struct port_option_def option_defs[] = {
	{"queues", "N", "1", "queue pairs of the TAP device; several workers share the traffic"},
	{"hook", "auto|tcx|clsact", "auto",
	 "where the tc programs are attached; auto takes the first that the kernel has"},
	{"kernel-tier", "on|off", "on",
	 "let the kernel carry hot flows out by itself, as far as it can"},
	{NULL, NULL, NULL, NULL},
};

struct veth_port {
	struct port port;
	int ifindex; /* of our end */
	struct tap_device tap;
	struct tc_prog *prog;
	struct veth_peer peer; /* when last asked */
	struct netdev_drops drops_at_open; /* of our end */
	const struct tier0_maps *tier0_maps; /* NULL: there is no tier 0 for this port */
};

static struct veth_port *veth_port_from(const struct port *port)
{
	return (struct veth_port *)container_of(port, struct veth_port, port);
}

/* ---- keeping up to date -----------------------------------------------------------------------
 */

/* Can packets take the short way to the other end? */
static bool has_short_way(const struct veth_port *vp)
{
	return vp->prog->has_redirect_peer && vp->peer.is_elsewhere && vp->peer.has_mac;
}

/* Looks for the other end, and tells the programs. */
static void refresh_peer(struct veth_port *vp, struct rtnl_link *link)
{
	if (veth_peer_get(vp->tap.sock, link, &vp->peer))
		vp->peer = (struct veth_peer){.ifindex = 0};
	tc_prog_set_peer(vp->prog, has_short_way(vp) ? vp->peer.mac : NULL);
}

/* Tells the programs of other ports what they may send here. */
static void refresh_target(struct veth_port *vp)
{
	struct tier0_target *target = &vp->port.tier0.target, now = {.flags = TIER0_TARGET_TC};
	uint64_t features = 0;

	if (!vp->tier0_maps)
		return;
	now.ifindex = (uint32_t)vp->ifindex;
	/* What is down takes nothing. */
	now.max_len = port_get_link(&vp->port) ? port_get_max_len(&vp->port) : 0;
	now.flags |= TIER0_TARGET_PEER;
	if (has_short_way(vp))
		memcpy(&now.peer_mac, vp->peer.mac, sizeof(vp->peer.mac));
	if (!netdev_xdp_get_features(vp->ifindex, &features) && (features & NETDEV_XDP_XMIT))
		now.flags |= TIER0_TARGET_XDP |
			     (features & NETDEV_XDP_XMIT_SG ? TIER0_TARGET_FRAGS : 0);
	if (!memcmp(&now, target, sizeof(now)))
		return;
	*target = now;
	if (vp->port.no)
		datapath_update_target(&vp->port);
}

static void refresh_drops(struct veth_port *vp)
{
	struct rtnl_link *link;

	if (tap_device_get_link(&vp->tap, &link))
		return;
	counter_set(&vp->port.kernel_drops[DROP_SOCKET_RX], tap_device_get_drops(&vp->tap, link));
	rtnl_link_put(link);
}

static void refresh_device_drops(struct veth_port *vp, struct rtnl_link *link)
{
	counter_set(&vp->port.kernel_drops[DROP_DEVICE_RX],
		    rtnl_link_get_stat(link, RTNL_LINK_RX_DROPPED) - vp->drops_at_open.rx);
	counter_set(&vp->port.kernel_drops[DROP_DEVICE_TX],
		    rtnl_link_get_stat(link, RTNL_LINK_TX_DROPPED) - vp->drops_at_open.tx);
}

static int veth_refresh(struct port *port)
{
	struct veth_port *vp = veth_port_from(port);
	struct rtnl_link *link;
	unsigned int flags;

	refresh_drops(vp);
	if (netlink_get_link(vp->tap.sock, vp->ifindex, NULL, &link)) {
		port_set_link(port, false);
		return -ENODEV;
	}
	refresh_device_drops(vp, link);
	flags = rtnl_link_get_flags(link);
	port_set_max_len(port, rtnl_link_get_mtu(link) + HEADERS_SIZE);
	port_set_link(port, (flags & IFF_UP) && (flags & IFF_RUNNING));
	refresh_peer(vp, link);
	refresh_target(vp);
	rtnl_link_put(link);
	return 0;
}

/* ---- open and close ---------------------------------------------------------------------------
 */

static int parse_hook(const struct port_config *config, enum tc_prog_hook *hook, struct error *err)
{
	const char *text = port_config_get(&port_veth_class, config, "hook");
	struct suggest suggest;
	char hint[64];

	suggest_init(&suggest, text);
	for (*hook = TC_PROG_TCX; *hook <= TC_PROG_AUTO; (*hook)++) {
		if (!strcmp(text, tc_prog_hook_format(*hook)))
			return 0;
		suggest_offer(&suggest, tc_prog_hook_format(*hook));
	}
	return error_set(err, EINVAL, "hook=%s: must be auto, tcx or clsact%s", text,
			 suggest_format(&suggest, hint, sizeof(hint)));
}

/* Finds the veth, and sets it up. */
static int open_veth(struct veth_port *vp, struct error *err)
{
	const char *name = vp->port.name;
	struct netdev_info info;
	int ret;

	ret = netdev_lookup(name, &vp->ifindex, err);
	if (ret)
		return ret;
	ret = netdev_get_info(vp->ifindex, &info);
	if (ret)
		return error_set(err, ret, "%s: %s", name, strerror(-ret));
	if (strcmp(info.driver, "veth"))
		return error_set(err, EINVAL, "%s is no veth: try type=afxdp", name);
	(void)!netdev_get_drops(vp->ifindex, &vp->drops_at_open);
	ret = netdev_set_up(vp->ifindex);
	if (ret == -EPERM)
		return error_set(err, ret,
				 "setting %s up is not permitted; a veth port takes CAP_NET_ADMIN "
				 "and CAP_BPF",
				 name);
	if (ret)
		return error_set(err, ret, "setting %s up: %s", name, strerror(-ret));
	return 0;
}

/* Whose the TAP device is, how long its queue; up. The host has nothing to say on it. */
static int configure_tap(struct veth_port *vp, struct error *err)
{
	struct tap_device *tap = &vp->tap;
	struct rtnl_link *change = rtnl_link_alloc();
	char alias[PORT_NAME_SIZE + 32];
	int ret;

	if (!change)
		return error_set(err, ENOMEM, "out of memory");
	snprintf(alias, sizeof(alias), "vswitch's way to port %s", vp->port.name);
	rtnl_link_set_ifalias(change, alias);
	rtnl_link_set_mtu(change, TAP_MTU);
	rtnl_link_set_txqlen(change, TAP_QUEUE_LEN);
	ret = netlink_change_link(tap->sock, tap->ifindex, change, tap->name, err);
	rtnl_link_put(change);
	if (ret)
		return ret;
	/* A kernel without IPv6 refuses, and needs none of it. */
	change = rtnl_link_alloc();
	if (change && !rtnl_link_inet6_set_addr_gen_mode(change, IN6_ADDR_GEN_MODE_NONE))
		(void)!netlink_change_link(tap->sock, tap->ifindex, change, tap->name, NULL);
	rtnl_link_put(change);
	return netlink_bring_up(tap->sock, tap->ifindex, tap->name, err);
}

static int open_tap(struct veth_port *vp, unsigned int n_queues, struct error *err)
{
	char name[IFNAMSIZ];
	int ret;

	snprintf(name, sizeof(name), TAP_NAME, vp->ifindex);
	/* It cannot be a leftover: such devices vanish with their process. */
	if (if_nametoindex(name))
		return error_set(err, EBUSY,
				 "%s is a port of a switch already: its TAP device %s exists",
				 vp->port.name, name);
	ret = tap_device_open(&vp->tap, &vp->port, name, n_queues, err);
	return ret ? ret : configure_tap(vp, err);
}

/* Asks for the maps of tier 0, ahead of the programs. */
static int prepare_tier0(struct veth_port *vp, const struct port_config *config, struct error *err)
{
	struct port_tier0 *tier0 = &vp->port.tier0;
	bool wanted;
	int ret;

	ret = port_config_get_bool(&port_veth_class, config, "kernel-tier", &wanted, err);
	if (ret)
		return ret;
	if (wanted)
		vp->tier0_maps = datapath_reserve_tier0(vp->port.dp, &tier0->why_no_program);
	else
		error_set(&tier0->why_no_program, EOPNOTSUPP, "kernel-tier=off");
	if (!vp->tier0_maps)
		tier0->why_no_target = tier0->why_no_program;
	return 0;
}

/* Once the programs are there. */
static void start_tier0(struct veth_port *vp)
{
	struct port_tier0 *tier0 = &vp->port.tier0;

	if (!vp->tier0_maps)
		return;
	tier0->program = vp->prog->tier0;
	tier0->several = true;
	tier0->sends_by = TIER0_TARGET_TC;
	if (!tier0->program)
		tier0->why_no_program = vp->prog->why_no_tier0;
}

static int start(struct veth_port *vp, const struct port_config *config, struct error *err)
{
	struct tc_prog_config prog = {.ifname = vp->port.name};
	unsigned int n_queues;
	int ret;

	ret = port_config_get_uint(&port_veth_class, config, "queues", 1, PORT_QUEUES_MAX,
				   &n_queues, err);
	if (!ret)
		ret = parse_hook(config, &prog.hook, err);
	if (!ret)
		ret = prepare_tier0(vp, config, err);
	if (!ret)
		ret = open_veth(vp, err);
	if (!ret)
		ret = open_tap(vp, n_queues, err);
	if (ret)
		return ret;
	prog.tier0 = vp->tier0_maps;
	prog.pins = datapath_get_pins(vp->port.dp);
	prog.ifindex = vp->ifindex;
	prog.tap_ifindex = vp->tap.ifindex;
	prog.tap_ifname = vp->tap.name;
	ret = tc_prog_open(&prog, &vp->prog, err);
	if (ret)
		return ret;
	tap_device_set_caps(&vp->tap);
	start_tier0(vp);
	ret = veth_refresh(&vp->port);
	return ret ? error_set(err, ret, "%s vanished", vp->port.name) : 0;
}

static void veth_close(struct port *port)
{
	struct veth_port *vp = veth_port_from(port);

	/* With the device goes its program's attachment, and one grace period serves both. */
	tap_device_close(&vp->tap);
	tc_prog_close(vp->prog);
	port_uninit(port);
	free(vp);
}

static int veth_open(struct datapath *dp, const struct port_config *config, struct port **portp,
		     struct error *err)
{
	struct veth_port *vp = calloc(1, sizeof(*vp));
	int ret;

	if (!vp)
		return error_set(err, ENOMEM, "no memory for a port");
	ret = port_init(&vp->port, &port_veth_class, dp, config);
	if (ret) {
		free(vp);
		return error_set(err, ret, "no memory for a port");
	}
	ret = start(vp, config, err);
	if (ret) {
		veth_close(&vp->port);
		return ret;
	}
	log_info("port %s: by %s and TAP device %s", config->name,
		 tc_prog_hook_format(vp->prog->hook), vp->tap.name);
	*portp = &vp->port;
	return 0;
}

/* Attaches the programs to a TAP device that lives as long as the question. */
static int veth_probe(struct error *err)
{
	/* The kernel does not forget how; TAP devices may be taken away from us. */
	static bool has_hook;
	struct tc_prog_config config = {.hook = TC_PROG_AUTO};
	struct tc_prog *prog;
	struct ifreq ifr;
	int ret, fd;

	/* A device that goes takes a grace period of the kernel's, for each container. */
	if (has_hook)
		return tap_device_probe(err);
	fd = tap_device_open_queue(TAP_NAME, false, err);
	if (fd < 0)
		return fd;
	ret = 0;
	if (ioctl(fd, TUNGETIFF, &ifr)) {
		ret = -errno;
		error_set(err, ret, "asking for the TAP device: %s", strerror(-ret));
		goto out;
	}
	config.ifname = ifr.ifr_name;
	config.tap_ifname = ifr.ifr_name;
	config.ifindex = (int)if_nametoindex(ifr.ifr_name);
	config.tap_ifindex = config.ifindex;
	ret = tc_prog_open(&config, &prog, err);
	if (!ret)
		tc_prog_close(prog);
	has_hook = !ret;
out:
	close(fd);
	return ret;
}

/* ---- the rest of the class --------------------------------------------------------------------
 */

PRINTF_FORMAT(4, 5)
static void tell(port_status_cb *cb, void *aux, const char *name, const char *format, ...)
{
	char value[ERROR_TEXT_SIZE + 64];
	va_list args;

	va_start(args, format);
	vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	cb(aux, name, value);
}

static void tell_peer(const struct veth_port *vp, port_status_cb *cb, void *aux)
{
	const struct veth_peer *peer = &vp->peer;
	const uint8_t *mac = peer->mac;

	if (!peer->ifindex)
		tell(cb, aux, "peer", "none");
	else if (!peer->has_mac)
		tell(cb, aux, "peer", "index %d in a namespace that cannot be asked",
		     peer->ifindex);
	else
		tell(cb, aux, "peer", "%s, %02x:%02x:%02x:%02x:%02x:%02x, in %s namespace",
		     peer->name, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
		     peer->is_elsewhere ? "another" : "this");
	if (!vp->prog->has_redirect_peer)
		tell(cb, aux, "to-peer", "through the veth: %s", vp->prog->why_plain.text);
	else if (!has_short_way(vp))
		tell(cb, aux, "to-peer", "through the veth: the peer is %s",
		     peer->has_mac ? "in this namespace" : "not known");
	else
		tell(cb, aux, "to-peer", "redirect_peer");
}

static void tell_tier0(const struct port_tier0 *tier0, port_status_cb *cb, void *aux)
{
	if (tier0->program)
		tell(cb, aux, "kernel tier in", "yes");
	else
		tell(cb, aux, "kernel tier in", "no: %s", tier0->why_no_program.text);
	if (tier0->target.flags)
		tell(cb, aux, "kernel tier out", "yes");
	else
		tell(cb, aux, "kernel tier out", "no: %s", tier0->why_no_target.text);
}

static void veth_get_status(const struct port *port, port_status_cb *cb, void *aux)
{
	const struct veth_port *vp = veth_port_from(port);

	if (vp->prog->hook == TC_PROG_CLSACT && vp->prog->why_clsact.text[0])
		tell(cb, aux, "hook", "clsact; tcx was refused: %s", vp->prog->why_clsact.text);
	else
		tell(cb, aux, "hook", "%s", tc_prog_hook_format(vp->prog->hook));
	tell(cb, aux, "tap", "%s", vp->tap.name);
	tell(cb, aux, "pinned", "%s", vp->prog->pins ? "yes" : "no");
	tell_tier0(&port->tier0, cb, aux);
	tell_peer(vp, cb, aux);
	tell(cb, aux, "queues", "%u", port->n_rxqs);
	tell(cb, aux, "offloads", "%s", tap_device_format_offloads(&vp->tap));
}

const struct port_class port_veth_class = {
	.type = "veth",
	.help = "a veth to a container, by tc programs: its packets keep their offloads",
	.options = option_defs,
	.probe = veth_probe,
	.open = veth_open,
	.close = veth_close,
	.rx = tap_device_rx,
	.tx = tap_device_tx,
	.refresh = veth_refresh,
	.get_status = veth_get_status,
};
