/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "bpf/flow_parse.h"
#include "datapath/packet.h"
#include "datapath/packet_plain.h"

void packet_free(struct frame_cache *cache, struct packet *packet)
{
	while (packet) {
		struct packet *next = packet->next;

		packet_free_segment(cache, packet);
		packet = next;
	}
}

void packet_free_batch(struct frame_cache *cache, struct packet **packets, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		packet_free(cache, packets[i]);
}

/* Gives `to` the head's facts, all but the chain. */
static void copy_metadata(struct packet *to, const struct packet *from)
{
	to->hash = from->hash;
	to->in_port = from->in_port;
	to->layout = from->layout;
	to->has_hash = from->has_hash;
	to->csum = from->csum;
	to->gso_type = from->gso_type;
	to->gso_size = from->gso_size;
	to->csum_start = from->csum_start;
	to->csum_offset = from->csum_offset;
	to->timestamp = from->timestamp;
	to->rx_hash = from->rx_hash;
}

struct packet *packet_clone(struct frame_cache *cache, const struct packet *packet)
{
	struct packet *head = NULL, **link = &head;

	for (const struct packet *seg = packet; seg; seg = seg->next) {
		struct packet *copy = packet_alloc(cache);

		if (!copy) {
			packet_free(cache, head);
			return NULL;
		}
		copy->data = copy->frame + packet_headroom(seg);
		copy->len = seg->len;
		memcpy(copy->data, seg->data, seg->len);
		*link = copy;
		link = &copy->next;
	}
	copy_metadata(head, packet);
	head->total_len = packet->total_len;
	head->n_segs = packet->n_segs;
	return head;
}

int packet_append(struct frame_cache *cache, struct packet *packet, const void *data, uint32_t len)
{
	struct packet *tail = packet, *first = NULL, **link = &first;
	const uint8_t *from = data;
	uint32_t here, left = len, n_segs = 0;

	if (len > PACKET_LEN_MAX || packet->total_len + len > PACKET_LEN_MAX)
		return -EMSGSIZE;
	while (tail->next)
		tail = tail->next;
	/* New segments first, so that a failure leaves the packet as it was. */
	here = MIN(left, packet_tailroom(tail));
	for (left -= here; left; left -= (*link)->len, link = &(*link)->next) {
		struct packet *seg = packet_alloc(cache);

		if (!seg) {
			packet_free(cache, first);
			return -ENOBUFS;
		}
		seg->len = MIN(left, FRAME_PAYLOAD);
		memcpy(seg->data, from + (len - left), seg->len);
		*link = seg;
		n_segs++;
	}
	if (here)
		memcpy(tail->data + tail->len, from, here);
	tail->len += here;
	tail->next = first;
	packet->total_len += len;
	packet->n_segs = (uint8_t)(packet->n_segs + n_segs);
	return 0;
}

uint32_t packet_read(const struct packet *packet, uint32_t offset, void *buf, uint32_t len)
{
	uint32_t done = 0;

	for (; packet && done < len; packet = packet->next) {
		uint32_t n;

		if (offset >= packet->len) {
			offset -= packet->len;
			continue;
		}
		n = MIN(packet->len - offset, len - done);
		memcpy((uint8_t *)buf + done, packet->data + offset, n);
		done += n;
		offset = 0;
	}
	return done;
}

bool packet_push(struct packet *packet, uint32_t n)
{
	if (packet_headroom(packet) < n)
		return false;
	packet->data -= n;
	packet->len += n;
	packet->total_len += n;
	return true;
}

void packet_pull(struct packet *packet, uint32_t n)
{
	packet->data += n;
	packet->len -= n;
	packet->total_len -= n;
}

/*
 * Fills a key by a layout that is known already: an untagged IPv4 TCP or UDP packet, no fragment,
 * takes a handful of loads. Returns false for anything else, which is parsed.
 */
static bool extract_by_layout(const struct packet *packet, struct flow_key *key)
{
	const uint8_t *l3 = packet->data + 14, *l4 = packet->data + packet->layout.l4_off;

	if (packet->layout.l3_off != 14 || packet->layout.n_words != FLOW_KEY_WORDS_IPV4 ||
	    packet->layout.l4_off == 0)
		return false;
	memset(key, 0, sizeof(*key));
	memcpy(key->dl_dst, packet->data, 12);
	memcpy(&key->dl_type, packet->data + 12, 2);
	memcpy(&key->nw_src, l3 + 12, 8);
	key->nw_tos = l3[1];
	key->nw_ttl = l3[8];
	key->nw_proto = l3[9];
	if (l3[6] & 0x20)
		key->nw_frag = FLOW_FRAG_ANY;
	if (key->nw_proto == 1) {
		key->tp_src = FLOW_BE16(l4[0]);
		key->tp_dst = FLOW_BE16(l4[1]);
		return true;
	}
	memcpy(&key->tp_src, l4, 4);
	if (key->nw_proto == 6) {
		memcpy(&key->tcp_flags, l4 + 12, 2);
		key->tcp_flags &= FLOW_BE16(0x0fff);
	}
	return true;
}

int packet_extract(struct packet *packet, struct flow_key *key)
{
	if (packet->has_hash && extract_by_layout(packet, key))
		return 0;
	if (likely(!packet->has_hash && packet_extract_plain(packet, key)))
		return 0;
	if (flow_key_parse(packet->data, packet->data + packet->len, packet->total_len, key,
			   &packet->layout))
		return -EINVAL;
	packet->hash = flow_key_hash(key, packet->layout.n_words);
	packet->has_hash = true;
	return 0;
}
