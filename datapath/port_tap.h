/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port_tap.h - TAP devices: interfaces of the host whose other end is the switch.
 *
 * Two classes over one driver:
 *   tap       any TAP device: made by opening the port, or one that exists (persistent) and is free
 *   internal  the bridge's own interface, so that the host has an address on the bridge: always
 * made anew, gone with the port Both bring the interface up, with MAC, MTU and IP addresses as
 * asked for.
 *
 * Packets come and go with a virtio-net header (vnet_hdr.h): GSO packets stay whole in both
 * directions and partial checksums are not finished, so that TCP of the host runs in 64 KiB
 * packets. One system call a packet, straight from and into chains of frames: nothing is copied
 * twice.
 *
 * A device may be moved into another network namespace; the port goes on to work, but what the
 * kernel dropped and the link's state cannot be seen from outside. A deleted device makes refresh
 * return -ENODEV.
 *
 * Thread-safety: as port.h says.
 */
#ifndef VSWITCH_DATAPATH_PORT_TAP_H
#define VSWITCH_DATAPATH_PORT_TAP_H

#include "datapath/port.h"

extern const struct port_class port_tap_class;
extern const struct port_class port_internal_class;

#endif /* VSWITCH_DATAPATH_PORT_TAP_H */
