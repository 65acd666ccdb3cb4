/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port_veth.h - one end of a veth whose other end is in a container, port type "veth".
 *
 * What the container sends is caught by a tc program on our end and goes to a TAP device of the
 * port's own, whose queues the switch reads; what the switch writes there goes by another program
 * to the container (bpf/tc_prog.h). All the way a packet is as its sender made it: up to 64 KiB
 * long, its checksum still to be finished, a VLAN tag beside it or in it. So the container's TCP
 * works with every offload as the kernel sets it, and at the speed that this gives.
 *
 *	container           host
 *	eth0 ====== veth -> tc: redirect -> TAP -> queue of the switch
 *	     <--- redirect_peer (or veth) <- tc <- TAP <-
 *
 * Hot flows do not come that far: the first program looks packets up in tier 0 (tier0.h) and sends
 * what it knows to the egress port's device itself, from container to container by redirect_peer.
 *
 * The TAP device is named after the veth's index, vswt<INDEX>, and its alias says whose it is. It
 * vanishes with the process, as the programs do that are not pinned (tc_prog.h); the veth itself is
 *never changed, but for being set up. To the host, packets of the container are not visible but by
 * capturing on the veth.
 *
 * The other end may be renamed, moved to another namespace, given another MTU or address while the
 * port is open: refresh sees to it. When the namespace ends, so does the veth, and refresh returns
 * -ENODEV.
 *
 * Thread-safety: as port.h says.
 */
#ifndef VSWITCH_DATAPATH_PORT_VETH_H
#define VSWITCH_DATAPATH_PORT_VETH_H

#include "datapath/port.h"

extern const struct port_class port_veth_class;

#endif /* VSWITCH_DATAPATH_PORT_VETH_H */
