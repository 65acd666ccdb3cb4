/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port_vhost.h - vhost-user ports: network cards of virtual machines.
 *
 * The port is the back end of one guest's virtio-net card. It meets the guest's process (QEMU, or a
 * program with a virtio-user driver) at a UNIX socket, on which it listens (mode=server) or to
 * which it connects (mode=client); from there on packets are copied between frames and guest
 * memory, once each way, by rings in that memory. All of protocol, rings and the security model are
 * vhost/'s, see vhost/vhost_dev.h.
 *
 * The guest's send queue i (ring 2i + 1) is receive queue i of the port, its receive queue i (ring
 * 2i) is transmit queue i. Guests switch queues on and off as they like: what a worker sends goes
 * to its own queue if that is on, else to another one that is. Without a guest, or without a queue
 * of its that is on, the port's link is down.
 *
 * Offloads are what the guest negotiated: a partial checksum or a GSO packet crosses from guest to
 * guest as it is, and is finished or cut in software for one that cannot take it. What a guest
 * claims of its packets is checked against them; what does not hold is dropped and counted, and the
 * guest goes on.
 *
 * A guest that comes by migration asks for a RARP in its name: it goes through the switch as if the
 * guest had sent it.
 *
 * Thread-safety: as port.h says.
 */
#ifndef VSWITCH_DATAPATH_PORT_VHOST_H
#define VSWITCH_DATAPATH_PORT_VHOST_H

#include "datapath/port.h"

extern const struct port_class port_vhost_class;

#endif /* VSWITCH_DATAPATH_PORT_VHOST_H */
