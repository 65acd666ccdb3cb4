/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/host_addrs.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/addr.h>
#include <netlink/cache.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/netlink.h"
#include "lib/nlerr.h"

/* Takes an address over, if it is one of ours. */
static void take(struct host_addrs *addrs, struct rtnl_addr *addr)
{
	struct nl_addr *local = rtnl_addr_get_local(addr);
	unsigned int size = local ? nl_addr_get_len(local) : 0;
	struct xdp_host_addr *to = &addrs->addrs[addrs->n];

	if ((size != 4 && size != 16) || addrs->n == XDP_HOST_ADDRS_MAX)
		return;
	*to = (struct xdp_host_addr){.bytes = {0}};
	if (size == 4)
		memset(to->bytes + 10, 0xff, 2);
	memcpy(to->bytes + 16 - size, nl_addr_get_binary_addr(local), size);
	addrs->n++;
	if (!addrs->global[0] && rtnl_addr_get_scope(addr) < RT_SCOPE_LINK)
		nl_addr2str(local, addrs->global, sizeof(addrs->global));
}

static int get_mac(struct nl_sock *sock, int ifindex, uint8_t mac[6])
{
	struct rtnl_link *link;
	struct nl_addr *addr;
	int ret = netlink_get_link(sock, ifindex, NULL, &link);

	if (ret)
		return ret;
	addr = rtnl_link_get_addr(link);
	if (addr && nl_addr_get_len(addr) == 6)
		memcpy(mac, nl_addr_get_binary_addr(addr), 6);
	rtnl_link_put(link);
	return 0;
}

int host_addrs_get(struct nl_sock *sock, int ifindex, struct host_addrs *addrs)
{
	struct nl_cache *cache;
	int ret;

	memset(addrs, 0, sizeof(*addrs));
	ret = get_mac(sock, ifindex, addrs->mac);
	if (!ret)
		ret = nlerr_errno(rtnl_addr_alloc_cache(sock, &cache));
	if (ret)
		return ret;
	for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
		struct rtnl_addr *addr = (struct rtnl_addr *)o;

		if (rtnl_addr_get_ifindex(addr) == ifindex)
			take(addrs, addr);
	}
	nl_cache_free(cache);
	return 0;
}
