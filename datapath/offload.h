/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * offload.h - does in software what a packet still owes and its way out cannot take.
 *
 * A packet carries partial checksums and GSO as state (packet.h). Right before a port's tx, and
 * only where port_caps says that the port cannot take them, the worker calls offload_prepare(),
 * which finishes the checksum or cuts the packet into segments. So the work is done once, last, or
 * never.
 *
 * Checksums: RFC 1071, RFC 1624 (incremental). Segments: as the kernel's tcp_gso_segment and
 * __udp_gso_segment do them: IP ids count up, TCP FIN and PSH on the last only, CWR on the first
 * only.
 *
 * Thread-safety: functions over packets that the caller holds.
 */
#ifndef VSWITCH_DATAPATH_OFFLOAD_H
#define VSWITCH_DATAPATH_OFFLOAD_H

#include "datapath/packet.h"
#include "datapath/port.h"

/* Ones' complement sum of `len` bytes, unfolded, added to `sum`. Big-endian words as they lie. */
uint64_t csum_partial(const void *data, uint32_t len, uint64_t sum);

/* Folds a sum to 16 bits, not complemented. */
uint16_t csum_fold(uint64_t sum);

/* Updates checksum field `*csum` for a 16-bit or 32-bit field that changed (RFC 1624, eqn. 3). */
void csum_replace16(uint16_t *csum, uint16_t old, uint16_t new_value);
void csum_replace32(uint16_t *csum, uint32_t old, uint32_t new_value);

/* Turns PACKET_CSUM_MAYBE into PARTIAL (with csum_start and csum_offset set) or UNKNOWN by
 * comparing the L4 checksum field with the pseudo-header's sum. Needs hash and layout
 * (packet_extract). */
void packet_resolve_csum(struct packet *packet);

/* Finishes a partial checksum. Returns 0, or -EINVAL when it lies outside of the packet. */
int packet_finish_csum(struct packet *packet) WARN_UNUSED;

/* Most segments that one GSO packet may be cut into. */
#define OFFLOAD_SEGMENTS_MAX 2048

/* Checks offload members that came from outside (a guest's or the kernel's virtio_net_hdr) against
 * the packet: offsets within it, GSO type agreeing with the headers, sane sizes. A partial checksum
 * that is not the packet's own TCP or UDP checksum is finished at once. Returns 0 or -EINVAL. */
int packet_check_offload(struct packet *packet) WARN_UNUSED;

/*
 * Cuts a GSO packet into segments with finished or, if `csum_ok`, partial checksums; at most `max`
 * of them. Frees `packet` in any case. Returns the number of segments, -ENOBUFS or -EINVAL.
 */
int packet_segment(struct frame_cache *cache, struct packet *packet, bool csum_ok,
		   struct packet **segments, unsigned int max) WARN_UNUSED;

#endif /* VSWITCH_DATAPATH_OFFLOAD_H */
