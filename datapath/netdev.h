/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netdev.h - what a port driver asks of the kernel about a network device, and tells it.
 *
 * Devices are looked up by name once, when a port opens, and known by their index from then on: a
 * device that vanishes and another one that takes its name are two devices. All in the network
 * namespace of the calling thread.
 *
 * No state is kept; each call asks the kernel anew. What a port changes for as long as it
 * is open (promiscuous mode) hangs on a file descriptor, so that it ends with the process, however
 * that ends.
 *
 * Thread-safety: any thread.
 */
#ifndef VSWITCH_DATAPATH_NETDEV_H
#define VSWITCH_DATAPATH_NETDEV_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib/error.h"

struct netdev_info {
	char name[IF_NAMESIZE];
	char driver[32]; /* "veth", "virtio_net"; empty: unknown */
	uint32_t mtu; /* bytes behind the Ethernet header */
	bool up; /* administratively */
	bool running; /* has carrier */
	uint32_t n_rx; /* receive queues in use, at least 1 */
	uint32_t n_tx; /* transmit queues in use, at least 1 */
};

/* Finds the index of device `name`. Returns 0, or -ENODEV with `err` set and a similar name
 * suggested. */
int netdev_lookup(const char *name, int *ifindexp, struct error *err) WARN_UNUSED;

/* Reads everything about a device. Returns 0, or -ENODEV when it is gone. */
int netdev_get_info(int ifindex, struct netdev_info *info) WARN_UNUSED;

/* Reads name, mtu, up and running alone, for those who ask often. Returns 0, or -ENODEV. */
int netdev_get_link(int ifindex, struct netdev_info *info) WARN_UNUSED;

/* Packets that the device has dropped since there is one. */
struct netdev_drops {
	uint64_t rx;
	uint64_t tx; /* also what no receiver's queue had room for, where the device knows */
};

/* Returns 0 or a negative errno. */
int netdev_get_drops(int ifindex, struct netdev_drops *drops) WARN_UNUSED;

/* Sets the device administratively up. Returns 0 or a negative errno. */
int netdev_set_up(int ifindex) WARN_UNUSED;

/* Makes the device take frames for any address. Returns a descriptor that keeps it so until it is
 * closed, or a negative errno. */
int netdev_open_promisc(int ifindex) WARN_UNUSED;

/* The same until it is said otherwise, whatever becomes of us. Returns whether it was so before, or
 * a negative errno. */
int netdev_set_promisc(int ifindex, bool on) WARN_UNUSED;

/* Lets the device take VLAN tags out of received frames, or leave them in. Returns whether it took
 * them out before, or a negative errno: -EOPNOTSUPP when it cannot do otherwise than it does. */
int netdev_set_vlan_stripping(int ifindex, bool on) WARN_UNUSED;

/* Undoes what a port has changed at the device for good: it is not promiscuous any more, or takes
 * VLAN tags out again. Fails silently when the device is gone. */
void netdev_undo(int ifindex, bool promisc, bool vlan_stripping);

#endif /* VSWITCH_DATAPATH_NETDEV_H */
