/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>

#include <netlink/netlink.h>
#include <netlink/route/link.h>

#include "datapath/netdev.h"
#include "lib/netlink.h"
#include "lib/suggest.h"

static void suggest_device(const char *name, char *text, size_t size)
{
	struct if_nameindex *devices = if_nameindex();
	struct suggest s;

	text[0] = '\0';
	if (!devices)
		return;
	suggest_init(&s, name);
	for (const struct if_nameindex *d = devices; d->if_index; d++)
		suggest_offer(&s, d->if_name);
	suggest_format(&s, text, size);
	if_freenameindex(devices);
}

int netdev_lookup(const char *name, int *ifindexp, struct error *err)
{
	char hint[IF_NAMESIZE + 32];
	unsigned int ifindex = if_nametoindex(name);

	if (!ifindex) {
		suggest_device(name, hint, sizeof(hint));
		return error_set(err, ENODEV, "there is no network device '%s'%s", name, hint);
	}
	*ifindexp = (int)ifindex;
	return 0;
}

/* A socket for ioctls; what kind does not matter to the kernel. */
static int open_ioctl(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 && errno == EAFNOSUPPORT)
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static int get_link(int fd, int ifindex, struct netdev_info *info)
{
	struct ifreq ifr = {.ifr_flags = 0};

	if (!if_indextoname((unsigned int)ifindex, info->name))
		return -ENODEV;
	memcpy(ifr.ifr_name, info->name, sizeof(ifr.ifr_name));
	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		return -ENODEV;
	info->up = ifr.ifr_flags & IFF_UP;
	info->running = ifr.ifr_flags & IFF_RUNNING;
	if (ioctl(fd, SIOCGIFMTU, &ifr))
		return -ENODEV;
	info->mtu = (uint32_t)ifr.ifr_mtu;
	return 0;
}

static int ethtool(int fd, const struct netdev_info *info, void *request)
{
	struct ifreq ifr = {.ifr_data = request};

	memcpy(ifr.ifr_name, info->name, sizeof(ifr.ifr_name));
	return ioctl(fd, SIOCETHTOOL, &ifr);
}

static void get_queues(int fd, struct netdev_info *info)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};

	info->n_rx = 1;
	info->n_tx = 1;
	if (ethtool(fd, info, &channels))
		return;
	if (channels.rx_count + channels.combined_count)
		info->n_rx = channels.rx_count + channels.combined_count;
	if (channels.tx_count + channels.combined_count)
		info->n_tx = channels.tx_count + channels.combined_count;
}

static void get_driver(int fd, struct netdev_info *info)
{
	struct ethtool_drvinfo drvinfo = {.cmd = ETHTOOL_GDRVINFO};

	info->driver[0] = '\0';
	if (ethtool(fd, info, &drvinfo))
		return;
	memcpy(info->driver, drvinfo.driver, MIN(sizeof(info->driver), sizeof(drvinfo.driver)));
	info->driver[sizeof(info->driver) - 1] = '\0';
}

int netdev_get_info(int ifindex, struct netdev_info *info)
{
	int ret, fd = open_ioctl();

	if (fd < 0)
		return fd;
	ret = get_link(fd, ifindex, info);
	if (!ret) {
		get_queues(fd, info);
		get_driver(fd, info);
	}
	close(fd);
	return ret;
}

int netdev_get_link(int ifindex, struct netdev_info *info)
{
	int ret, fd = open_ioctl();

	if (fd < 0)
		return fd;
	ret = get_link(fd, ifindex, info);
	close(fd);
	return ret;
}

int netdev_get_drops(int ifindex, struct netdev_drops *drops)
{
	struct rtnl_link *link;
	struct nl_sock *sock;
	int ret;

	ret = netlink_connect(&sock, NULL);
	if (ret)
		return ret;
	ret = netlink_get_link(sock, ifindex, NULL, &link);
	nl_socket_free(sock);
	if (ret)
		return ret;
	drops->rx = rtnl_link_get_stat(link, RTNL_LINK_RX_DROPPED);
	drops->tx = rtnl_link_get_stat(link, RTNL_LINK_TX_DROPPED);
	rtnl_link_put(link);
	return 0;
}

/* Sets one of the device's IFF_ flags. Returns whether it was set before, or a negative errno. */
static int set_flag(int ifindex, int flag, bool on)
{
	struct ifreq ifr = {.ifr_flags = 0};
	int ret = 0, fd = open_ioctl();

	if (fd < 0)
		return fd;
	if (!if_indextoname((unsigned int)ifindex, ifr.ifr_name))
		ret = -ENODEV;
	else if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		ret = -errno;
	else
		ret = (ifr.ifr_flags & flag) != 0;
	if (ret >= 0 && ret != on) {
		ifr.ifr_flags = (short)(on ? ifr.ifr_flags | flag : ifr.ifr_flags & ~flag);
		if (ioctl(fd, SIOCSIFFLAGS, &ifr))
			ret = -errno;
	}
	close(fd);
	return ret;
}

int netdev_set_up(int ifindex)
{
	int ret = set_flag(ifindex, IFF_UP, true);

	return ret < 0 ? ret : 0;
}

int netdev_set_promisc(int ifindex, bool on)
{
	return set_flag(ifindex, IFF_PROMISC, on);
}

int netdev_open_promisc(int ifindex)
{
	struct packet_mreq mreq = {.mr_ifindex = ifindex, .mr_type = PACKET_MR_PROMISC};
	int ret, fd;

	/* Protocol 0: no packet ever arrives here. */
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq, sizeof(mreq))) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

int netdev_set_vlan_stripping(int ifindex, bool on)
{
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};
	struct netdev_info info;
	int ret, fd = open_ioctl();
	bool was;

	if (fd < 0)
		return fd;
	ret = get_link(fd, ifindex, &info);
	if (!ret && ethtool(fd, &info, &flags))
		ret = -errno;
	if (ret)
		goto out;
	was = flags.data & ETH_FLAG_RXVLAN;
	ret = was;
	if (was == on)
		goto out;
	flags.cmd = ETHTOOL_SFLAGS;
	flags.data = (flags.data & ~(uint32_t)ETH_FLAG_RXVLAN) | (on ? ETH_FLAG_RXVLAN : 0);
	if (ethtool(fd, &info, &flags))
		ret = -errno;
out:
	close(fd);
	return ret;
}

void netdev_undo(int ifindex, bool promisc, bool vlan_stripping)
{
	if (promisc)
		(void)!netdev_set_promisc(ifindex, false);
	if (vlan_stripping)
		(void)!netdev_set_vlan_stripping(ifindex, true);
}
