/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port_packet.h - any network device through AF_PACKET, for those where XDP cannot go.
 *
 * Receives from a ring that the kernel shares with us (TPACKET_V2), whose slots hold frames of
 * usual size; a longer one (jumbo, GSO of up to 64 KiB) waits whole in the socket's queue and is
 * read from there straight into frames. V2 and not V3: the latter hands over whole blocks, a
 * millisecond late.
 *
 * Transmits by sendmmsg(), a batch a call, gathered straight from frames. A transmit ring was
 * measured beside it on veth and was no faster, with or without bypassing the qdisc (1.6 to 2.2 us
 * a frame for all four), and each of its slots would have to hold 64 KiB.
 *
 * Checksums and GSO pass as they are, by the virtio-net header (vnet_hdr.h). A VLAN tag, which
 * the kernel takes off on receipt, is put back.
 *
 * The device is switched to promiscuous mode and up while the port is open. The kernel's own stack
 * sees the frames as well: the device should have no addresses. A device that vanishes makes
 * refresh return -ENODEV.
 *
 * Thread-safety: as port.h says.
 */
#ifndef VSWITCH_DATAPATH_PORT_PACKET_H
#define VSWITCH_DATAPATH_PORT_PACKET_H

#include "datapath/port.h"

extern const struct port_class port_packet_class;

#endif /* VSWITCH_DATAPATH_PORT_PACKET_H */
