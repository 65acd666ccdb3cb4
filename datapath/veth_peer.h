/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * veth_peer.h - what can be known of a veth's other end, in whichever network namespace it is.
 *
 * The end on our side names the other's index and, if that is in another namespace, the id that our
 * namespace has for it; with that id the kernel answers for links over there. Where it does not
 * (before Linux 5.0, or a user namespace that is not ours) the address stays unknown.
 *
 * No state is kept: other ends are moved, renamed and given other addresses without a word to
 * us, so ask again.
 *
 * Thread-safety: as the socket's: the caller's.
 */
#ifndef VSWITCH_DATAPATH_VETH_PEER_H
#define VSWITCH_DATAPATH_VETH_PEER_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib/util.h"

struct nl_sock;
struct rtnl_link;

struct veth_peer {
	int ifindex; /* where it is */
	bool is_elsewhere; /* in another network namespace than our end */
	bool has_mac; /* and so name and mac are known */
	char name[IFNAMSIZ];
	uint8_t mac[6];
};

/* Asks for the other end of veth `link` through `sock`, a route netlink socket of its namespace.
 * Returns 0, -ENODEV when there is none, or another negative errno. */
int veth_peer_get(struct nl_sock *sock, struct rtnl_link *link, struct veth_peer *peer) WARN_UNUSED;

#endif /* VSWITCH_DATAPATH_VETH_PEER_H */
