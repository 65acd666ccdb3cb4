/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LIB_NETLINK_H
#define LIB_NETLINK_H

/*
 * Setting up network interfaces by netlink
 * ========================================
 *
 * What containers, TAP ports and tests share of it: reading what a person wrote (interface names,
 * MAC and IP addresses), looking an interface up, changing it, giving it addresses. Everything is
 * done through a route netlink socket of the caller's: whose network namespace the socket was
 *opened in, that one is meant.
 *
 *	struct nl_sock *sock;
 *
 *	err = netlink_connect(&sock, e);
 *	...
 *	err = netlink_add_address(sock, index, "br0", "192.0.2.1/24", e);
 *	nl_socket_free(sock);
 *
 * Types are libnl's own; its error codes are turned into errno (lib/nlerr.h).
 *
 * Thread-safety: none but that different sockets are independent. Each call blocks until the kernel
 * has answered: microseconds, milliseconds where it takes its big lock.
 */

#include "lib/error.h"
#include "lib/util.h"

#include <stdbool.h>
#include <stdint.h>

struct nl_addr;
struct nl_sock;
struct rtnl_link;

#define NETLINK_MAC_SIZE 6 /* bytes of an Ethernet address */

/* Could that be an interface's name? Returns 0 or -EINVAL. */
int netlink_check_ifname(const char *name, struct error *e) WARN_UNUSED;

/* Read "02:00:5e:00:53:01": unicast, not all zero. Returns 0 or -EINVAL. */
int netlink_parse_mac(const char *text, uint8_t mac[NETLINK_MAC_SIZE], struct error *e) WARN_UNUSED;

/*
 * Read an IPv4 or IPv6 address; if `prefix`, with a prefix length behind it ("192.0.2.1/24", none:
 * all bits). Returns 0 with *addr to be put by the caller, -EINVAL or -ENOMEM.
 */
int netlink_parse_address(const char *text, bool prefix, struct nl_addr **addr,
			  struct error *e) WARN_UNUSED;

/* Open a socket in the caller's namespace; nl_socket_free() it. Returns 0 or a negative errno. */
int netlink_connect(struct nl_sock **sock, struct error *e) WARN_UNUSED;

/*
 * The link of that index or, with index 0, name. Returns 0 with *link to be put by the caller,
 * -ENODEV if there is none, or another negative errno.
 */
int netlink_get_link(struct nl_sock *sock, int index, const char *name,
		     struct rtnl_link **link) WARN_UNUSED;

/* Have `link` ask for this MAC address. */
void netlink_set_mac(struct rtnl_link *link, const uint8_t mac[NETLINK_MAC_SIZE]);

/* Change what `change` has set of the link `index`, which is called `name` in messages. */
int netlink_change_link(struct nl_sock *sock, int index, struct rtnl_link *change, const char *name,
			struct error *e) WARN_UNUSED;

int netlink_bring_up(struct nl_sock *sock, int index, const char *name,
		     struct error *e) WARN_UNUSED;

/*
 * Give the link the address `text`, see netlink_parse_address(), usable at once (no duplicate
 * address detection). That it has it already is no error.
 */
int netlink_add_address(struct nl_sock *sock, int index, const char *name, const char *text,
			struct error *e) WARN_UNUSED;

#endif
