/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pinned_xdp.h - what the loader of an XDP program notes beside it, for whoever takes it over.
 *
 * It lies in the program's own memory, which is pinned with it (xdp_prog.h); the program does not
 * look at it.
 *
 * Thread-safety: the control thread's.
 */
#ifndef VSWITCH_BPF_PINNED_XDP_H
#define VSWITCH_BPF_PINNED_XDP_H

#include <linux/types.h>

/* pinned_xdp.undo: what was changed at the device, to be undone in the end */
#define PINNED_XDP_PROMISC 1 /* it was made promiscuous */
#define PINNED_XDP_VLAN 2 /* it was told to leave VLAN tags in received frames */

struct pinned_xdp {
	__u32 mode; /* enum xdp_prog_mode */
	__u32 frags; /* it takes frames of several buffers */
	__u32 hints; /* it asks the driver for metadata */
	__u32 keep_host;
	__u32 n_queues;
	__u32 undo; /* PINNED_XDP_* */
};

#endif /* VSWITCH_BPF_PINNED_XDP_H */
