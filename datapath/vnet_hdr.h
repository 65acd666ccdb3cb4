/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vnet_hdr.h - struct virtio_net_hdr, the words in which kernel and guests speak of offloads.
 *
 * TAP devices, packet sockets and virtio rings put one ahead of each packet. It says what is still
 * to be done to the packet (finish a checksum, cut it into segments) or what need not be done any
 * more (verify). Here it becomes members of struct packet and back: virtio 1.2, section 5.1.6.
 *
 * What comes in is hostile: it is checked against the packet's own headers before anything believes
 * it. Little-endian, as in virtio 1.0 and later; the native order of the machines we run on.
 *
 *   packet                        virtio_net_hdr
 *   csum PARTIAL                  NEEDS_CSUM, csum_start, csum_offset
 *   csum COMPLETE                 DATA_VALID
 *   gso_type, gso_size            the same; hdr_len is a hint that only goes out
 *   (the TCP header's CWR bit)    GSO_ECN: how segments treat it follows from the header
 *
 * Thread-safety: functions over packets that the caller holds.
 */
#ifndef VSWITCH_DATAPATH_VNET_HDR_H
#define VSWITCH_DATAPATH_VNET_HDR_H

#include <linux/virtio_net.h>
#include "datapath/packet.h"

/* Not in Debian's headers: UDP segmentation (virtio 1.3, Linux 6.2). */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* Bytes of the header as TAP devices and packet sockets use it: without the virtio 1.0 count of
 * merged buffers. */
#define VNET_HDR_SIZE 10u

ASSERT_SIZE(struct virtio_net_hdr, VNET_HDR_SIZE);

/* Sets the packet's offload members by `hdr`, whose offsets count from the packet's first byte. The
 * packet's head must be filled in. Returns 0, or -EINVAL when they contradict the packet, which
 * is then only to be freed. */
int vnet_hdr_parse(const struct virtio_net_hdr *hdr, struct packet *packet) WARN_UNUSED;

/* Says in `hdr` what the packet's offload members say. */
void vnet_hdr_format(const struct packet *packet, struct virtio_net_hdr *hdr);

#endif /* VSWITCH_DATAPATH_VNET_HDR_H */
