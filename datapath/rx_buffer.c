/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/rx_buffer.h"

#include <string.h>

void rx_buffer_init(struct rx_buffer *buf, uint32_t owner)
{
	memset(buf, 0, sizeof(*buf));
	buf->owner = owner;
	buf->n_missing = RX_BUFFER_SLOTS;
	buf->iov[0] = (struct iovec){&buf->hdr, VNET_HDR_SIZE};
	for (unsigned int i = 0; i < RX_BUFFER_SLOTS; i++)
		buf->iov[1 + i].iov_len = FRAME_PAYLOAD;
}

bool rx_buffer_fill(struct rx_buffer *buf, struct frame_cache *cache)
{
	while (buf->n_missing) {
		struct packet *packet = packet_alloc(cache);
		unsigned int slot;

		if (unlikely(!packet))
			return false;
		slot = --buf->n_missing;
		packet_set_owner(packet, buf->owner);
		buf->slots[slot] = packet;
		buf->iov[1 + slot].iov_base = packet->data;
	}
	return true;
}

void rx_buffer_empty(struct rx_buffer *buf, struct frame_cache *cache)
{
	for (; buf->n_missing < RX_BUFFER_SLOTS; buf->n_missing++) {
		packet_set_owner(buf->slots[buf->n_missing], FRAME_HELD);
		packet_free(cache, buf->slots[buf->n_missing]);
	}
}

struct packet *rx_buffer_take(struct rx_buffer *buf, size_t size)
{
	struct packet *head = buf->slots[0], **link = &head;
	uint32_t left;
	unsigned int n = 0;

	if (size <= VNET_HDR_SIZE)
		return NULL;
	left = (uint32_t)MIN(size - VNET_HDR_SIZE, (size_t)PACKET_LEN_MAX);
	head->total_len = left;
	do {
		struct packet *seg = buf->slots[n++];

		packet_set_owner(seg, FRAME_HELD);
		seg->len = MIN(left, FRAME_PAYLOAD);
		left -= seg->len;
		*link = seg;
		link = &seg->next;
	} while (left);
	*link = NULL;
	head->n_segs = (uint8_t)n;
	buf->n_missing = n;
	return head;
}

void rx_buffer_count_drop(struct port_counters *counters, uint32_t len, enum drop_reason reason)
{
	counter_add(&counters->rx_packets, 1);
	counter_add(&counters->rx_bytes, len);
	port_count_drop(counters, reason, 1);
}
