/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tc_port.h - what the tc programs of a veth port are told by user space.
 *
 * Each port has its own instance of the programs (vswitch_tc.bpf.c) with one struct tc_port, which
 * user space has mapped: it is changed by plain stores, without a system call, while packets go by.
 *
 * Life cycle: written before the programs are attached; `peer_mac` at any time after that.
 *
 * Thread-safety: one writer, which is the control thread; `peer_mac` is one aligned word, so that
 * programs see the old or the new one.
 */
#ifndef VSWITCH_BPF_TC_PORT_H
#define VSWITCH_BPF_TC_PORT_H

#include <linux/types.h>

struct tc_port {
	__u32 ifindex; /* of the veth's end on our side */
	__u32 tap_ifindex; /* of the TAP device that leads to user space */
	/* Ethernet address of the other end, as six bytes in the order of the wire and two of zero.
	 * 0: not known, or not to be relied upon. */
	__u64 peer_mac;
};

_Static_assert(sizeof(struct tc_port) == 16, "tc_port has no hidden padding");

#endif /* VSWITCH_BPF_TC_PORT_H */
