/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/netlink.h"

#include "lib/nlerr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int netlink_check_ifname(const char *name, struct error *e)
{
	size_t length = strlen(name);

	if (length == 0 || length >= IFNAMSIZ)
		return error_set(e, EINVAL, "interface name '%s': 1 to %d characters", name,
				 IFNAMSIZ - 1);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(e, EINVAL, "interface name '%s' is reserved", name);
	for (; *name; name++) {
		if (*name == '/' || *name == ':' || *name <= ' ' || *name == 0x7f)
			return error_set(e, EINVAL,
					 "interface name: blanks, '/' and ':' are not allowed");
	}
	return 0;
}

int netlink_parse_mac(const char *text, uint8_t mac[NETLINK_MAC_SIZE], struct error *e)
{
	unsigned int b[NETLINK_MAC_SIZE];
	int used = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &used) != NETLINK_MAC_SIZE ||
	    text[used] || used != 17)
		return error_set(e, EINVAL, "mac '%s': write it as 02:00:5e:00:53:01", text);
	for (int i = 0; i < NETLINK_MAC_SIZE; i++)
		mac[i] = (uint8_t)b[i];
	if (mac[0] & 1)
		return error_set(e, EINVAL, "mac '%s' is a multicast address", text);
	if (!(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]))
		return error_set(e, EINVAL, "mac '%s' is no address", text);
	return 0;
}

int netlink_parse_address(const char *text, bool prefix, struct nl_addr **addr, struct error *e)
{
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	char host[INET6_ADDRSTRLEN] = "";
	unsigned char binary[sizeof(struct in6_addr)];
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	int bits = family == AF_INET ? 32 : 128;
	int used = 0, n = bits;

	if (length < sizeof(host))
		memcpy(host, text, length);
	if (slash && (!prefix || !isdigit((unsigned char)slash[1]) ||
		      sscanf(slash, "/%3d%n", &n, &used) != 1 || slash[used] || n > bits))
		host[0] = '\0';
	if (inet_pton(family, host, binary) != 1)
		return error_set(e, EINVAL, "%s '%s': write it as %s",
				 prefix ? "address" : "gateway", text,
				 prefix ? "192.0.2.1/24 or 2001:db8::1/64"
					: "192.0.2.254 or 2001:db8::ff");
	*addr = nl_addr_build(family, binary, (size_t)bits / 8);
	if (!*addr)
		return error_set(e, ENOMEM, "out of memory");
	nl_addr_set_prefixlen(*addr, n);
	return 0;
}

int netlink_connect(struct nl_sock **sock, struct error *e)
{
	int err;

	*sock = nl_socket_alloc();
	if (!*sock)
		return error_set(e, ENOMEM, "out of memory");
	err = nlerr_errno(nl_connect(*sock, NETLINK_ROUTE));
	if (err) {
		nl_socket_free(*sock);
		*sock = NULL;
		return error_set(e, err, "cannot open a netlink socket: %s", strerror(-err));
	}
	return 0;
}

int netlink_get_link(struct nl_sock *sock, int index, const char *name, struct rtnl_link **link)
{
	int err = nlerr_errno(rtnl_link_get_kernel(sock, index, name, link));

	return err == -ENOENT ? -ENODEV : err;
}

void netlink_set_mac(struct rtnl_link *link, const uint8_t mac[NETLINK_MAC_SIZE])
{
	struct nl_addr *addr = nl_addr_build(AF_LLC, mac, NETLINK_MAC_SIZE);

	if (addr) {
		rtnl_link_set_addr(link, addr);
		nl_addr_put(addr);
	}
}

int netlink_change_link(struct nl_sock *sock, int index, struct rtnl_link *change, const char *name,
		       struct error *e)
{
	struct rtnl_link *now;
	int err;

	err = netlink_get_link(sock, index, NULL, &now);
	if (!err) {
		err = nlerr_errno(rtnl_link_change(sock, now, change, 0));
		rtnl_link_put(now);
	}
	if (err)
		return error_set(e, err, "cannot set up interface %s: %s", name, strerror(-err));
	return 0;
}

int netlink_bring_up(struct nl_sock *sock, int index, const char *name, struct error *e)
{
	struct rtnl_link *change = rtnl_link_alloc();
	int err;

	if (!change)
		return error_set(e, ENOMEM, "out of memory");
	rtnl_link_set_flags(change, IFF_UP);
	err = netlink_change_link(sock, index, change, name, e);
	rtnl_link_put(change);
	return err;
}

int netlink_add_address(struct nl_sock *sock, int index, const char *name, const char *text,
			struct error *e)
{
	struct rtnl_addr *address = NULL;
	struct nl_addr *local;
	int err;

	err = netlink_parse_address(text, true, &local, e);
	if (err)
		return err;
	address = rtnl_addr_alloc();
	if (!address) {
		err = -ENOMEM;
		goto out;
	}
	rtnl_addr_set_ifindex(address, index);
	err = nlerr_errno(rtnl_addr_set_local(address, local));
	if (err)
		goto out;
	/* usable at once: nobody else can have it on a link that was just made */
	if (nl_addr_get_family(local) == AF_INET6)
		rtnl_addr_set_flags(address, IFA_F_NODAD);
	err = nlerr_errno(rtnl_addr_add(sock, address, NLM_F_CREATE | NLM_F_REPLACE));
	if (err == -EEXIST)
		err = 0;
out:
	if (address)
		rtnl_addr_put(address);
	nl_addr_put(local);
	if (err)
		return error_set(e, err, "cannot add address %s to %s: %s", text, name,
				 strerror(-err));
	return 0;
}
