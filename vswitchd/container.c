/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/container.h"

#include "lib/netlink.h"
#include "lib/nlerr.h"
#include "vswitchd/netns.h"

#include <ctype.h>
#include <errno.h>
#include <linux/if_link.h>
#include <netlink/addr.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet6.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xxhash.h>

#define DEFAULT_IFNAME "eth0"
#define DEFAULT_MTU 1500
#define MTU_MIN 68 /* RFC 791 */
#define MTU_MAX 65535 /* veth's own limit */
#define ALIAS_SIZE 256 /* bytes, the kernel's IFALIASZ */

/* One container_attach() under way. */
struct attachment {
	const struct container_config *config;
	const char *ifname; /* inside */
	char host_name[IFNAMSIZ];
	char alias[ALIAS_SIZE];
	uint8_t mac[NETLINK_MAC_SIZE];
	int netns_fd;
	struct nl_sock *host; /* in the switch's namespace */
	struct nl_sock *inside; /* in the container's */
	int host_index; /* of the host's end */
	int inside_index; /* of the other end */
	bool created; /* the pair was made by this call: remove it if the rest fails */
};

/* ---- names ---------------------------------------------------------------------------------- */

static uint64_t hash_name(const char *bridge, const char *netns, uint64_t seed)
{
	return XXH64(netns, strlen(netns), XXH64(bridge, strlen(bridge) + 1, seed));
}

static bool is_plain(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.';
}

static bool is_plain_name(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++) {
		if (!is_plain(*text))
			return false;
	}
	return true;
}

void container_format_ifname(const char *bridge, const char *netns, char name[IFNAMSIZ])
{
	const char *last;
	char word[7];
	size_t used = 0;
	int length;

	netns = netns_format(netns);
	length = snprintf(name, IFNAMSIZ, "%s-%s", bridge, netns);
	if (length < IFNAMSIZ && is_plain_name(bridge) && is_plain_name(netns))
		return;
	last = strrchr(netns, '/');
	for (last = last ? last + 1 : netns; *last && used < sizeof(word) - 1; last++) {
		if (is_plain(*last))
			word[used++] = *last;
	}
	word[used] = '\0';
	snprintf(name, IFNAMSIZ, "v%s-%07x", word,
		 (unsigned int)(hash_name(bridge, netns, 0) & 0xfffffff));
}

static void format_alias(const char *bridge, const char *netns, char alias[ALIAS_SIZE])
{
	snprintf(alias, ALIAS_SIZE, "vswitch container %s on %s", netns_format(netns), bridge);
}

/*
 * A locally administered unicast address that is the same each time. It goes with the first IP
 * address, so that neighbours who remember it are right even when the container was made anew.
 */
static void make_mac(const struct container_config *config, uint8_t mac[NETLINK_MAC_SIZE])
{
	const char *of = config->n_addresses ? config->addresses[0] : netns_format(config->netns);
	uint64_t hash = hash_name(config->bridge, of, 1);

	for (int i = 0; i < NETLINK_MAC_SIZE; i++)
		mac[i] = (uint8_t)(hash >> (8 * i));
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
}

/* ---- checks --------------------------------------------------------------------------------- */

static int check_addresses(const struct container_config *config, struct error *e)
{
	struct nl_addr *addr;
	int seen = 0; /* family of the gateway before */
	int err;

	for (size_t i = 0; i < config->n_addresses; i++) {
		err = netlink_parse_address(config->addresses[i], true, &addr, e);
		if (err)
			return err;
		nl_addr_put(addr);
	}
	for (size_t i = 0; i < config->n_gateways; i++) {
		err = netlink_parse_address(config->gateways[i], false, &addr, e);
		if (err)
			return err;
		if (i >= 2 || nl_addr_get_family(addr) == seen)
			err = error_set(e, EINVAL, "gateway '%s': there is another one already",
					config->gateways[i]);
		seen = nl_addr_get_family(addr);
		nl_addr_put(addr);
		if (err)
			return err;
	}
	return 0;
}

int container_check(const struct container_config *config, struct error *e)
{
	uint8_t mac[NETLINK_MAC_SIZE];
	int err;

	if (!*config->bridge)
		return error_set(e, EINVAL, "the bridge has no name");
	err = netlink_check_ifname(config->ifname ? config->ifname : DEFAULT_IFNAME, e);
	if (!err && config->mac)
		err = netlink_parse_mac(config->mac, mac, e);
	if (!err && config->mtu && (config->mtu < MTU_MIN || config->mtu > MTU_MAX))
		err = error_set(e, EINVAL, "mtu %u: %d to %d bytes", config->mtu, MTU_MIN, MTU_MAX);
	if (!err)
		err = check_addresses(config, e);
	return err;
}

/* ---- links ---------------------------------------------------------------------------------- */

/* The kernel takes the alias only after the pair is made: were we killed in between, this is it. */
static bool is_half_made(struct rtnl_link *host, struct rtnl_link *peer, const char *ifname)
{
	return !rtnl_link_get_ifalias(host) && !(rtnl_link_get_flags(host) & IFF_UP) &&
	       strcmp(rtnl_link_get_name(peer), ifname) == 0;
}

static bool is_ours(struct rtnl_link *link, const char *alias)
{
	const char *theirs = rtnl_link_get_ifalias(link);

	return rtnl_link_is_veth(link) && theirs && strcmp(theirs, alias) == 0;
}

static int remove_link(struct nl_sock *sock, int index)
{
	struct rtnl_link *link = rtnl_link_alloc();
	int err;

	if (!link)
		return -ENOMEM;
	rtnl_link_set_ifindex(link, index);
	err = nlerr_errno(rtnl_link_delete(sock, link));
	rtnl_link_put(link);
	return err;
}

/* Make the pair, the peer inside the namespace from the start. */
static int create_pair(struct attachment *a, struct error *e)
{
	struct rtnl_link *link = rtnl_link_veth_alloc();
	struct rtnl_link *peer;
	unsigned int mtu = a->config->mtu ? a->config->mtu : DEFAULT_MTU;
	int err;

	if (!link)
		return error_set(e, ENOMEM, "out of memory");
	peer = rtnl_link_veth_get_peer(link);
	rtnl_link_set_name(link, a->host_name);
	rtnl_link_set_mtu(link, mtu);
	rtnl_link_set_name(peer, a->ifname);
	rtnl_link_set_mtu(peer, mtu);
	rtnl_link_set_ns_fd(peer, a->netns_fd);
	netlink_set_mac(peer, a->mac);
	err = nlerr_errno(rtnl_link_add(a->host, link, NLM_F_CREATE | NLM_F_EXCL));
	rtnl_link_put(peer);
	rtnl_link_put(link);
	if (err == -EEXIST)
		return error_set(e, err, "namespace %s has an interface %s already: choose another "
					 "with ifname=", a->config->netns, a->ifname);
	if (err)
		return error_set(e, err, "cannot make the pair %s and %s: %s", a->host_name,
				 a->ifname, strerror(-err));
	a->created = true;
	return 0;
}

/* Find the indexes of both ends. Returns -ENODEV if there is no pair, or its peer is not inside. */
static int find_pair(struct attachment *a, struct error *e)
{
	struct rtnl_link *host, *peer = NULL;
	bool ours;
	int err;

	err = netlink_get_link(a->host, 0, a->host_name, &host);
	if (err)
		return err;
	a->host_index = rtnl_link_get_ifindex(host);
	a->inside_index = rtnl_link_get_link(host);
	err = netlink_get_link(a->inside, a->inside_index, NULL, &peer);
	if (!err && (!rtnl_link_is_veth(peer) || rtnl_link_get_link(peer) != a->host_index))
		err = -ENODEV;
	ours = a->created || is_ours(host, a->alias) ||
	       (!err && is_half_made(host, peer, a->ifname));
	if (!ours)
		err = error_set(e, EEXIST,
				"interface %s exists and was not made by the switch for %s",
				a->host_name, a->config->netns);
	if (peer)
		rtnl_link_put(peer);
	rtnl_link_put(host);
	return err;
}

/*
 * Keep the host from speaking IPv6 (router and listener messages) into the switch from this end. A
 * kernel without IPv6 refuses, and needs none of it.
 */
static void silence_host_end(struct attachment *a)
{
	struct rtnl_link *change = rtnl_link_alloc();

	if (!change)
		return;
	if (rtnl_link_inet6_set_addr_gen_mode(change, IN6_ADDR_GEN_MODE_NONE) == 0)
		(void)!netlink_change_link(a->host, a->host_index, change, a->host_name, NULL);
	rtnl_link_put(change);
}

/* The host's end: ours by its alias, as large as asked for. */
static int configure_host_end(struct attachment *a, struct error *e)
{
	struct rtnl_link *change = rtnl_link_alloc();
	int err;

	if (!change)
		return error_set(e, ENOMEM, "out of memory");
	rtnl_link_set_ifalias(change, a->alias);
	if (a->config->mtu)
		rtnl_link_set_mtu(change, a->config->mtu);
	err = netlink_change_link(a->host, a->host_index, change, a->host_name, e);
	rtnl_link_put(change);
	if (!err)
		silence_host_end(a);
	return err;
}

/* Name, MAC and MTU of the other end where they differ; a name changes only while it is down. */
static int configure_inside_end(struct attachment *a, struct error *e)
{
	struct rtnl_link *now, *change;
	struct nl_addr *mac;
	int err;

	err = netlink_get_link(a->inside, a->inside_index, NULL, &now);
	if (err)
		return error_set(e, err, "interface %s vanished", a->ifname);
	change = rtnl_link_alloc();
	if (!change) {
		rtnl_link_put(now);
		return error_set(e, ENOMEM, "out of memory");
	}
	if (strcmp(rtnl_link_get_name(now), a->ifname) != 0) {
		rtnl_link_unset_flags(change, IFF_UP);
		err = netlink_change_link(a->inside, a->inside_index, change, a->ifname, e);
		rtnl_link_set_name(change, a->ifname);
	}
	mac = rtnl_link_get_addr(now);
	/* one of our own making stays what it was made */
	if (a->config->mac && (!mac || nl_addr_get_len(mac) != NETLINK_MAC_SIZE ||
	    memcmp(nl_addr_get_binary_addr(mac), a->mac, NETLINK_MAC_SIZE) != 0))
		netlink_set_mac(change, a->mac);
	if (a->config->mtu)
		rtnl_link_set_mtu(change, a->config->mtu);
	if (!err)
		err = netlink_change_link(a->inside, a->inside_index, change, a->ifname, e);
	rtnl_link_put(change);
	rtnl_link_put(now);
	return err;
}

/* ---- addresses and routes ------------------------------------------------------------------- */

static int add_default_route(struct attachment *a, const char *text, struct error *e)
{
	struct rtnl_route *route = rtnl_route_alloc();
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
	struct nl_addr *gateway = NULL, *any = NULL;
	int err;

	err = netlink_parse_address(text, false, &gateway, e);
	if (err)
		goto out;
	err = nlerr_errno(nl_addr_parse("default", nl_addr_get_family(gateway), &any));
	if (err || !route || !hop) {
		err = error_set(e, ENOMEM, "out of memory");
		goto out;
	}
	rtnl_route_set_family(route, (uint8_t)nl_addr_get_family(gateway));
	(void)rtnl_route_set_dst(route, any);
	rtnl_route_nh_set_ifindex(hop, a->inside_index);
	rtnl_route_nh_set_gateway(hop, gateway);
	rtnl_route_add_nexthop(route, hop);
	hop = NULL; /* the route's now */
	err = nlerr_errno(rtnl_route_add(a->inside, route, NLM_F_CREATE | NLM_F_REPLACE));
	if (err)
		err = error_set(e, err, "the kernel refuses gateway %s: is it in the network of "
					"one of the addresses?", text);
out:
	if (any)
		nl_addr_put(any);
	if (gateway)
		nl_addr_put(gateway);
	if (hop)
		rtnl_route_nh_free(hop);
	if (route)
		rtnl_route_put(route);
	return err;
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* Find the pair or make it; a pair that lost its way (its peer is elsewhere) is made anew. */
static int find_or_create_pair(struct attachment *a, struct error *e)
{
	struct error none = ERROR_INIT;
	int err;

	err = find_pair(a, &none);
	if (err == -ENODEV) {
		if (a->host_index) {
			err = remove_link(a->host, a->host_index);
			if (err && err != -ENODEV)
				return error_set(e, err, "cannot remove %s, whose other end is not "
							 "in %s: %s", a->host_name,
						 a->config->netns, strerror(-err));
		}
		err = create_pair(a, e);
		if (err)
			return err;
		err = find_pair(a, &none);
	}
	if (err)
		return error_set(e, err, "%s",
				 none.text[0] ? none.text : "the interface just made is not there");
	return 0;
}

static int configure(struct attachment *a, struct error *e)
{
	int err;

	err = find_or_create_pair(a, e);
	if (!err)
		err = configure_host_end(a, e);
	if (!err)
		err = configure_inside_end(a, e);
	if (!err)
		err = netlink_bring_up(a->host, a->host_index, a->host_name, e);
	if (!err)
		err = netlink_bring_up(a->inside, a->inside_index, a->ifname, e);
	for (size_t i = 0; !err && i < a->config->n_addresses; i++)
		err = netlink_add_address(a->inside, a->inside_index, a->ifname,
					  a->config->addresses[i], e);
	for (size_t i = 0; !err && i < a->config->n_gateways; i++)
		err = add_default_route(a, a->config->gateways[i], e);
	return err;
}

/* Nothing of a pair that this call made may stay. */
static void undo(struct attachment *a)
{
	struct rtnl_link *link;

	if (!a->created || netlink_get_link(a->host, 0, a->host_name, &link))
		return;
	(void)!remove_link(a->host, rtnl_link_get_ifindex(link));
	rtnl_link_put(link);
}

int container_attach(const struct container_config *config, char name[IFNAMSIZ], struct error *e)
{
	struct attachment a = {.config = config, .netns_fd = -1};
	int err;

	err = container_check(config, e);
	if (err)
		return err;
	a.ifname = config->ifname ? config->ifname : DEFAULT_IFNAME;
	container_format_ifname(config->bridge, config->netns, a.host_name);
	format_alias(config->bridge, config->netns, a.alias);
	if (config->mac)
		err = netlink_parse_mac(config->mac, a.mac, e);
	else
		make_mac(config, a.mac);
	if (err)
		return err;

	a.netns_fd = netns_open(config->netns, e);
	if (a.netns_fd < 0)
		return a.netns_fd;
	err = netns_connect(-1, &a.host, e);
	if (err)
		goto out_netns;
	err = netns_connect(a.netns_fd, &a.inside, e);
	if (err)
		goto out_host;
	err = configure(&a, e);
	if (err)
		undo(&a);
	else
		memcpy(name, a.host_name, IFNAMSIZ);
	nl_socket_free(a.inside);
out_host:
	nl_socket_free(a.host);
out_netns:
	close(a.netns_fd);
	return err;
}

int container_detach(const char *bridge, const char *netns, struct error *e)
{
	char name[IFNAMSIZ], alias[ALIAS_SIZE];
	struct rtnl_link *link;
	struct nl_sock *sock;
	int err;

	container_format_ifname(bridge, netns, name);
	format_alias(bridge, netns, alias);
	err = netns_connect(-1, &sock, e);
	if (err)
		return err;
	err = netlink_get_link(sock, 0, name, &link);
	if (err == -ENODEV) {
		err = error_set(e, ENOENT, "%s is not attached to %s", netns, bridge);
		goto out;
	}
	if (err) {
		err = error_set(e, err, "cannot look up %s: %s", name, strerror(-err));
		goto out;
	}
	if (!is_ours(link, alias))
		err = error_set(e, EEXIST, "interface %s was not made by the switch for %s", name,
				netns);
	else
		err = remove_link(sock, rtnl_link_get_ifindex(link));
	rtnl_link_put(link);
	if (err && err != -EEXIST)
		err = error_set(e, err, "cannot remove %s: %s", name, strerror(-err));
out:
	nl_socket_free(sock);
	return err;
}
