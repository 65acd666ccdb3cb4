/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_CONTAINER_H
#define VSWITCHD_CONTAINER_H

/*
 * A network namespace and its veth
 * ================================
 *
 * Gives a container (anything that is a network namespace) an interface whose other end lies with
 * the switch: makes a veth pair with one end born inside the namespace, names it, sets MAC and MTU,
 * adds addresses and default routes and brings both ends up. Adding the host's end to a bridge as a
 * port is the caller's work. No privilege and no program is needed inside; nothing is run, all is
 * netlink.
 *
 * A namespace is given as
 *
 *	NAME		/run/netns/NAME, as `ip netns` makes them
 *	/PATH		a file that is a namespace, such as /run/docker/netns/...
 *	PID		the namespace of that process (decimal digits only)
 *
 * The host's end has a predictable name, see container_format_ifname(), and carries an alias (`ip
 * link` shows it) that says whose it is: "vswitch container NETNS on BRIDGE". An interface of that
 * name without that alias is somebody else's and is never touched.
 *
 * Life cycle: container_attach() may be called again with the same or other settings and puts right
 * what differs; addresses and routes that the container has beyond those asked for stay. On failure
 * what this call made is gone again. container_detach() removes the pair. When the namespace goes
 * away the kernel removes the pair with it: vswitchd/link_watch.h tells.
 *
 * The kernel is asked through sockets that were opened inside the namespace by a short-lived helper
 * thread (vswitchd/netns.h); the calling thread never leaves its own.
 *
 * Thread-safety: control thread; each call blocks for a few milliseconds. No state is kept.
 */

#include "lib/error.h"
#include "lib/util.h"

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a container's interface is to be. Strings belong to the caller. */
struct container_config {
	const char *bridge; /* name of the bridge, goes into the host's interface name */
	const char *netns; /* NAME, /PATH or PID, see above */
	const char *ifname; /* its name inside; NULL: "eth0" */
	const char *mac; /* inside, "02:00:5e:00:53:01"; NULL: made from bridge and the first
			  * address (or netns), once */
	const char *const *addresses; /* "192.0.2.1/24", "2001:db8::1/64"; no length: /32, /128 */
	size_t n_addresses; /* of either family, any number */
	const char *const *gateways; /* next hop of the default route, at most one a family */
	size_t n_gateways;
	uint32_t mtu; /* bytes, 68 to 65535, for both ends; 0: the kernel's 1500 */
};

/*
 * Write the name of the host's end, NUL-terminated, into `name`:
 *
 *	br0-c1		BRIDGE-NETNS, if it fits (15 bytes), both consist of letters, digits,
 *			'_' and '.', and netns is a NAME or a PID
 *	vc_1-0c3f92a	otherwise: 'v', up to six such characters of the last part of netns,
 *			'-', and seven digits of a hash over bridge and netns
 *
 * /run/netns/NAME and /var/run/netns/NAME count as NAME. The namespace need not exist.
 */
void container_format_ifname(const char *bridge, const char *netns, char name[IFNAMSIZ]);

/*
 * Check all that can be checked without the kernel: names, MAC, addresses, gateways, MTU. Returns 0
 * or
 * -EINVAL. container_attach() does it itself; this is for a dry run.
 */
int container_check(const struct container_config *config, struct error *e) WARN_UNUSED;

/*
 * Make the container's interface what `config` says, and return the name of the host's end in
 * `name`. Returns 0, -EINVAL (see container_check()), -ENOENT (no such namespace), -EEXIST (the
 * namespace has another interface of that name, or the host's name is taken by somebody else),
 * -EPERM or another negative errno of the kernel.
 */
int container_attach(const struct container_config *config, char name[IFNAMSIZ],
		     struct error *e) WARN_UNUSED;

/*
 * Remove the pair. Returns 0, -ENOENT if there is none (the namespace may be gone, then so is it),
 * -EEXIST if the interface of that name is not ours.
 */
int container_detach(const char *bridge, const char *netns, struct error *e) WARN_UNUSED;

#endif
