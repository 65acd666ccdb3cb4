/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netdev_xdp.h - what the kernel says a network device can do with XDP (generic netlink family
 * "netdev", since Linux 6.3).
 *
 * Among it, whether the device sends frames that another device's program redirects to it. A veth
 * does so only while its peer polls, that is, has GRO on or an XDP program; so the answer changes
 * over time.
 *
 * Thread-safety: any thread; each call opens and closes a socket.
 */
#ifndef VSWITCH_DATAPATH_NETDEV_XDP_H
#define VSWITCH_DATAPATH_NETDEV_XDP_H

#include <stdint.h>
#include "lib/util.h"

/* Bits of the features: NETDEV_XDP_ACT_* in linux/netdev.h, which Debian 12 has not. */
#define NETDEV_XDP_XMIT 0x04 /* sends redirected frames */
#define NETDEV_XDP_XMIT_SG 0x40 /* of several buffers, too */

/* Sets `features`. Returns 0, -ENODEV, -EOPNOTSUPP (the kernel is too old to say), or another
 * negative errno. */
int netdev_xdp_get_features(int ifindex, uint64_t *features) WARN_UNUSED;

#endif /* VSWITCH_DATAPATH_NETDEV_XDP_H */
