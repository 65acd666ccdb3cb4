/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's share of an AF_XDP port's device: keep-host=on. */
#include "config.h"

#include <errno.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/host_addrs.h"
#include "datapath/netdev.h"
#include "datapath/port_afxdp.h"
#include "datapath/port_afxdp_priv.h"
#include "lib/log.h"
#include "lib/netlink.h"

int port_afxdp_refresh_host(struct afxdp_port *port)
{
	struct host_addrs *addrs;
	struct nl_sock *sock;
	int ret;

	if (!port->keep_host)
		return 0;
	addrs = malloc(sizeof(*addrs));
	if (!addrs)
		return -ENOMEM;
	ret = netlink_connect(&sock, NULL);
	if (!ret) {
		ret = host_addrs_get(sock, port->ifindex, addrs);
		nl_socket_free(sock);
	}
	if (!ret)
		ret = xdp_prog_set_host(port->prog, addrs->mac, addrs->addrs, addrs->n);
	if (!ret)
		port->n_host_addrs = addrs->n;
	free(addrs);
	return ret;
}

int port_afxdp_check_new(const struct port_config *config, struct error *err)
{
	struct host_addrs *addrs;
	struct nl_sock *sock;
	int ifindex, ret = 0;

	if (port_config_get(&port_afxdp_class, config, "keep-host") ||
	    netdev_lookup(config->name, &ifindex, NULL) || netlink_connect(&sock, NULL))
		return 0;
	addrs = malloc(sizeof(*addrs));
	if (addrs && !host_addrs_get(sock, ifindex, addrs) && addrs->global[0])
		ret = error_set(err, EBUSY,
				"%s has the host's address %s, and with it as a port the host is "
				"cut off there: say keep-host=on to let the host go on using the "
				"device, or --force",
				config->name, addrs->global);
	free(addrs);
	nl_socket_free(sock);
	return ret;
}
