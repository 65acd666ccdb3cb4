/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port_afxdp.h - a network device by AF_XDP, port type "afxdp".
 *
 * For physical NICs and any other device with XDP. An XDP program (bpf/xdp_prog.h) hands each frame
 * with a record of its headers to a socket of its receive queue; the memory of all those sockets is
 * the datapath's frame pool, so that a packet from one such port to another is never copied by us.
 *
 * How frames pass between device and switch depends on the driver. mode=auto takes the first that
 * works: zero-copy     the NIC reads and writes the pool itself native copy   the driver runs the
 * program, the kernel copies generic copy  the kernel runs the program on skbs and copies: any
 * device, slowest Why a better one was refused is kept, and told by get_status() beside the mode in
 * use, which is read back from the kernel.
 *
 * The device is set up and kept promiscuous while the port is open; both programs and promiscuity
 * end with the process, however that ends, unless the program is pinned (bpf/xdp_prog.h): then they
 * go on, and the next process takes them over.
 *
 * Life cycle and thread-safety: struct port_class.
 */
#ifndef VSWITCH_DATAPATH_PORT_AFXDP_H
#define VSWITCH_DATAPATH_PORT_AFXDP_H

#include "datapath/port.h"

extern const struct port_class port_afxdp_class;

#endif /* VSWITCH_DATAPATH_PORT_AFXDP_H */
