/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/tap_device.h"

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
#include "lib/netlink.h"

/* Not in Debian's headers: UDP segmentation, Linux 6.2. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define TUN_F_BASE (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

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
		if (!if_nametoindex(name))
			return error_set(e, err, "cannot make TAP device %s of several queues: %s",
					 name, strerror(err));
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

int tap_device_open_queue(const char *name, bool is_multi_queue, struct error *err)
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

int tap_device_probe(struct error *err)
{
	unsigned int features;
	int ret = 0, fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return explain_tun("", errno, err);
	if (ioctl(fd, TUNGETFEATURES, &features))
		ret = explain_tun("", ENODEV, err);
	close(fd);
	return ret;
}

static int open_queues(struct tap_device *dev, unsigned int n, struct error *err)
{
	dev->queues = aligned_alloc(CACHE_LINE, n * sizeof(*dev->queues));
	if (!dev->queues)
		return error_set(err, ENOMEM, "no memory for %u queues", n);
	memset(dev->queues, 0, n * sizeof(*dev->queues));
	for (unsigned int i = 0; i < n; i++) {
		struct tap_queue *q = &dev->queues[i];
		int fd = tap_device_open_queue(dev->name, n > 1, err);

		if (fd < 0)
			return fd;
		q->rxq.fd = fd;
		q->null_fd = dev->null_fd;
		port_add_rxq(dev->port, &q->rxq);
		rx_buffer_init(&q->buffer, q->rxq.owner);
		port_add_txq(dev->port, &q->txq);
		dev->n_queues++;
	}
	return 0;
}

/* Finds the device just opened, and what its counters stand at. */
static int find_device(struct tap_device *dev, struct error *err)
{
	struct rtnl_link *link;
	int ret;

	ret = netlink_get_link(dev->sock, 0, dev->name, &link);
	if (ret)
		return error_set(err, ret, "TAP device %s vanished", dev->name);
	dev->ifindex = rtnl_link_get_ifindex(link);
	dev->drops_at_open = rtnl_link_get_stat(link, RTNL_LINK_TX_DROPPED);
	rtnl_link_put(link);
	return 0;
}

/* Asks the kernel to hand GSO packets and partial checksums over as they are. */
static int set_offloads(struct tap_device *dev, struct error *err)
{
	int fd = dev->queues[0].rxq.fd;

	dev->has_uso = ioctl(fd, TUNSETOFFLOAD, TUN_F_BASE | TUN_F_USO4 | TUN_F_USO6) == 0;
	if (!dev->has_uso && ioctl(fd, TUNSETOFFLOAD, TUN_F_BASE))
		return error_set(err, errno, "TAP device %s: cannot set offloads: %m", dev->name);
	return 0;
}

int tap_device_open(struct tap_device *dev, struct port *port, const char *name,
		    unsigned int n_queues, struct error *err)
{
	int ret;

	*dev = (struct tap_device){.port = port};
	snprintf(dev->name, sizeof(dev->name), "%.*s", IFNAMSIZ - 1, name);
	dev->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (dev->null_fd < 0)
		return error_set(err, errno, "cannot open /dev/null: %m");
	ret = netlink_connect(&dev->sock, err);
	if (!ret)
		ret = open_queues(dev, n_queues, err);
	if (!ret)
		ret = find_device(dev, err);
	if (!ret)
		ret = set_offloads(dev, err);
	return ret;
}

void tap_device_close(struct tap_device *dev)
{
	if (!dev->port)
		return;
	for (unsigned int i = 0; i < dev->n_queues; i++) {
		close(dev->queues[i].rxq.fd);
		frame_pool_reclaim(datapath_get_pool(dev->port->dp), dev->queues[i].rxq.owner);
	}
	if (dev->null_fd >= 0)
		close(dev->null_fd);
	nl_socket_free(dev->sock);
	free(dev->queues);
	*dev = (struct tap_device){.port = NULL};
}

int tap_device_get_link(const struct tap_device *dev, struct rtnl_link **link)
{
	struct ifreq ifr;

	/* The descriptor knows the device wherever it is and whatever it is called now. */
	if (__atomic_load_n(&dev->queues[0].is_gone, __ATOMIC_RELAXED) ||
	    ioctl(dev->queues[0].rxq.fd, TUNGETIFF, &ifr))
		return -ENODEV;
	if (netlink_get_link(dev->sock, dev->ifindex, NULL, link))
		return -EXDEV;
	if (!strncmp(rtnl_link_get_name(*link), ifr.ifr_name, sizeof(ifr.ifr_name)))
		return 0;
	/* Another device that has its number here. */
	rtnl_link_put(*link);
	return -EXDEV;
}

uint64_t tap_device_get_drops(const struct tap_device *dev, struct rtnl_link *link)
{
	return rtnl_link_get_stat(link, RTNL_LINK_TX_DROPPED) - dev->drops_at_open;
}

void tap_device_set_caps(const struct tap_device *dev)
{
	dev->port->caps = (struct port_caps){
		.csum = true,
		.gso_tcp4 = true,
		.gso_tcp6 = true,
		.gso_udp_l4 = dev->has_uso,
		.max_segs = TAP_SEGS_MAX,
	};
}

const char *tap_device_format_offloads(const struct tap_device *dev)
{
	return dev->has_uso ? "csum,tso4,tso6,uso" : "csum,tso4,tso6";
}
