/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio-net header, one byte that says how the packet lies in frames, and the packet: what a
 * guest or a program on a TAP device may hand over. Whatever vnet_hdr_parse() believes must survive
 * being said again, being cut into segments and having its checksum finished, and no frame may be
 * lost on the way.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "datapath/offload.h"
#include "datapath/vnet_hdr.h"

#define N_FRAMES 8192u

static struct frame_pool *pool;
static struct frame_cache cache;

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED)
{
	struct error err = ERROR_INIT;

	if (frame_pool_create(N_FRAMES, &pool, &err))
		abort();
	frame_cache_init(&cache, pool);
	return 0;
}

/* A packet whose head holds `first` bytes or, if that is 0, as many as fit. */
static struct packet *make(const uint8_t *data, uint32_t size, uint32_t first)
{
	struct packet *packet = packet_alloc(&cache), *rest;

	if (!packet)
		abort();
	if (first == 0 || first >= size) {
		if (packet_append(&cache, packet, data, size))
			abort();
		return packet;
	}
	rest = packet_alloc(&cache);
	if (!rest || packet_append(&cache, packet, data, first) ||
	    packet_append(&cache, rest, data + first, size - first))
		abort();
	packet->next = rest;
	packet->n_segs = (uint8_t)(packet->n_segs + rest->n_segs);
	packet->total_len += rest->total_len;
	return packet;
}

/* The members that format() says come out the same when they are parsed again. */
static void check_format(struct packet *packet)
{
	struct packet before = *packet;
	struct virtio_net_hdr hdr;

	vnet_hdr_format(packet, &hdr);
	if (vnet_hdr_parse(&hdr, packet))
		abort();
	if (packet->csum != before.csum || packet->gso_type != before.gso_type)
		abort();
	if (before.gso_type && (packet->gso_size != before.gso_size || hdr.hdr_len > packet->len))
		abort();
}

/* Cuts the packet; all payload is there, no segment is larger than it should be. */
static void check_segments(struct packet *packet)
{
	static struct packet *segments[OFFLOAD_SEGMENTS_MAX];
	uint32_t size = packet->gso_size, total = packet->total_len, sum = 0, header;
	struct virtio_net_hdr hdr;
	int n;

	vnet_hdr_format(packet, &hdr);
	header = hdr.hdr_len;
	n = packet_segment(&cache, packet, false, segments, OFFLOAD_SEGMENTS_MAX);
	if (n < 1)
		abort(); /* it was checked, and there are frames enough */
	for (int i = 0; i < n; i++) {
		if (segments[i]->total_len > header + size || segments[i]->total_len < header)
			abort();
		if (segments[i]->csum == PACKET_CSUM_PARTIAL || segments[i]->gso_type)
			abort();
		sum += segments[i]->total_len - header;
		packet_free(&cache, segments[i]);
	}
	if (sum != total - header)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_net_hdr hdr;
	struct packet *packet;

	if (size < sizeof(hdr) + 1 || size - sizeof(hdr) - 1 > PACKET_LEN_MAX)
		return 0;
	memcpy(&hdr, data, sizeof(hdr));
	packet =
		make(data + sizeof(hdr) + 1, (uint32_t)(size - sizeof(hdr) - 1), data[sizeof(hdr)]);
	if (vnet_hdr_parse(&hdr, packet) == 0) {
		check_format(packet);
		if (packet->gso_type) {
			check_segments(packet);
			packet = NULL;
		} else if (packet->csum == PACKET_CSUM_PARTIAL && packet_finish_csum(packet)) {
			abort();
		}
	}
	packet_free(&cache, packet);
	if (frame_pool_count(pool, FRAME_FREE) != N_FRAMES)
		abort();
	return 0;
}
