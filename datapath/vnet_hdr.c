/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/vnet_hdr.h"

#include <errno.h>
#include <string.h>

#include "datapath/offload.h"

/* Flags in the 14th byte of a TCP header. */
#define TCP_CWR 0x80

_Static_assert(PACKET_GSO_TCP4 == VIRTIO_NET_HDR_GSO_TCPV4, "as in virtio");
_Static_assert(PACKET_GSO_TCP6 == VIRTIO_NET_HDR_GSO_TCPV6, "as in virtio");
_Static_assert(PACKET_GSO_UDP_L4 == VIRTIO_NET_HDR_GSO_UDP_L4, "as in virtio");

int vnet_hdr_parse(const struct virtio_net_hdr *hdr, struct packet *packet)
{
	packet->csum = PACKET_CSUM_UNKNOWN;
	packet->gso_type = hdr->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	packet->gso_size = hdr->gso_size;
	if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		packet->csum = PACKET_CSUM_PARTIAL;
		packet->csum_start = hdr->csum_start;
		packet->csum_offset = hdr->csum_offset;
	} else if (hdr->flags & VIRTIO_NET_HDR_F_DATA_VALID) {
		packet->csum = PACKET_CSUM_COMPLETE;
	}
	return packet_check_offload(packet);
}

/* Length of the headers that each segment repeats, and whether a TCP header has CWR set. */
static uint32_t header_len(const struct packet *packet, bool *cwr)
{
	const uint8_t *l4 = packet->data + packet->csum_start;

	*cwr = false;
	if (packet->gso_type == PACKET_GSO_UDP_L4)
		return packet->csum_start + 8u;
	if (packet->csum_start + 20u > packet->len)
		return packet->len;
	*cwr = l4[13] & TCP_CWR;
	return packet->csum_start + (l4[12] >> 4) * 4u;
}

void vnet_hdr_format(const struct packet *packet, struct virtio_net_hdr *hdr)
{
	uint32_t len;
	bool cwr;

	memset(hdr, 0, sizeof(*hdr));
	if (packet->csum == PACKET_CSUM_PARTIAL) {
		hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		hdr->csum_start = packet->csum_start;
		hdr->csum_offset = packet->csum_offset;
	} else if (packet->csum == PACKET_CSUM_COMPLETE) {
		hdr->flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
	if (packet->gso_type == PACKET_GSO_NONE)
		return;
	len = header_len(packet, &cwr);
	hdr->gso_type = packet->gso_type | (cwr ? VIRTIO_NET_HDR_GSO_ECN : 0);
	hdr->gso_size = packet->gso_size;
	hdr->hdr_len = (uint16_t)MIN(len, packet->len);
}
