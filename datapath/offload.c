/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "bpf/flow_parse.h"
#include "datapath/offload.h"

/* TCP flags in the 14th byte of its header. */
#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_CWR 0x80

/* Smallest TCP segments that Linux makes (TCP_MIN_SND_MSS), and most datagrams that it makes of one
 * packet (UDP_MAX_SEGMENTS). */
#define GSO_TCP_SIZE_MIN 48u
#define GSO_UDP_SEGMENTS_MAX 128u

/* ---- sums ----------------------------------------------------------------------------------- */

uint64_t csum_partial(const void *data, uint32_t len, uint64_t sum)
{
	const uint8_t *p = data;
	uint64_t a = 0, b = 0;

	/* 32-bit words in 64-bit sums: no carry is lost below 2^32 of them. */
	for (; len >= 16; len -= 16, p += 16) {
		uint32_t w[4];

		memcpy(w, p, sizeof(w));
		a += (uint64_t)w[0] + w[1];
		b += (uint64_t)w[2] + w[3];
	}
	for (; len >= 2; len -= 2, p += 2) {
		uint16_t w;

		memcpy(&w, p, sizeof(w));
		a += w;
	}
	if (len)
		a += *p; /* the odd last byte is the first of a word padded with zero */
	a += b;
	/* Leave room for the caller's further sums. */
	return sum + (a & 0xffffffff) + (a >> 32);
}

uint16_t csum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

void csum_replace16(uint16_t *csum, uint16_t old, uint16_t new_value)
{
	uint32_t sum = (uint16_t) ~*csum + (uint32_t)(uint16_t)~old + new_value;

	*csum = (uint16_t)~csum_fold(sum);
}

void csum_replace32(uint16_t *csum, uint32_t old, uint32_t new_value)
{
	csum_replace16(csum, (uint16_t)old, (uint16_t)new_value);
	csum_replace16(csum, (uint16_t)(old >> 16), (uint16_t)(new_value >> 16));
}

/* ---- a packet's L4 checksum -------------------------------------------------------------------
 */

static bool is_ipv6(const struct packet *packet)
{
	return packet->data[packet->layout.l3_off] >> 4 == 6;
}

/* Sum of the pseudo-header (RFC 9293 3.1, RFC 8200 8.1) for `l4_len` bytes of L4. */
static uint64_t pseudo_sum(const struct packet *packet, uint32_t l4_len)
{
	const uint8_t *ip = packet->data + packet->layout.l3_off;
	uint64_t sum = htonl(l4_len) + (uint64_t)htonl(packet->layout.nw_proto);

	if (is_ipv6(packet))
		return csum_partial(ip + 8, 32, sum);
	return csum_partial(ip + 12, 8, sum);
}

/* Bytes of L4 as the IP header has it. */
static uint32_t l4_len(const struct packet *packet)
{
	const uint8_t *ip = packet->data + packet->layout.l3_off;
	uint32_t l3_len = (uint32_t)(packet->layout.l4_off - packet->layout.l3_off);

	if (is_ipv6(packet))
		return ((uint32_t)ip[4] << 8 | ip[5]) + 40 - l3_len;
	return ((uint32_t)ip[2] << 8 | ip[3]) - l3_len;
}

/* Offset of the checksum within a TCP or UDP header; 0: another protocol. */
static uint16_t l4_csum_offset(uint8_t nw_proto)
{
	return nw_proto == IPPROTO_TCP ? 16 : nw_proto == IPPROTO_UDP ? 6 : 0;
}

void packet_resolve_csum(struct packet *packet)
{
	const struct flow_layout *layout = &packet->layout;
	uint16_t offset = l4_csum_offset(layout->nw_proto), csum;
	const uint8_t *ip = packet->data + layout->l3_off;

	packet->csum = PACKET_CSUM_UNKNOWN;
	if (!layout->l4_off || !offset)
		return;
	if (!is_ipv6(packet) && ((ip[6] & 0x3f) || ip[7]))
		return; /* fragments are summed before they are cut */
	memcpy(&csum, packet->data + layout->l4_off + offset, sizeof(csum));
	if (csum != csum_fold(pseudo_sum(packet, l4_len(packet))))
		return;
	packet->csum = PACKET_CSUM_PARTIAL;
	packet->csum_start = layout->l4_off;
	packet->csum_offset = offset;
}

/* Sum over the chain from offset `start` on. */
static uint64_t chain_sum(const struct packet *packet, uint32_t start)
{
	uint64_t sum = 0;
	bool odd = false;

	for (; packet; packet = packet->next) {
		uint16_t part;

		if (start >= packet->len) {
			start -= packet->len;
			continue;
		}
		part = csum_fold(csum_partial(packet->data + start, packet->len - start, 0));
		/* A segment that starts at an odd place has its bytes in the other halves of words.
		 */
		sum += odd ? (uint16_t)(part << 8 | part >> 8) : part;
		odd ^= (packet->len - start) & 1;
		start = 0;
	}
	return sum;
}

int packet_finish_csum(struct packet *packet)
{
	uint32_t at = (uint32_t)packet->csum_start + packet->csum_offset;
	uint16_t csum;

	if (at + 2 > packet->len)
		return -EINVAL;
	csum = (uint16_t)~csum_fold(chain_sum(packet, packet->csum_start));
	if (csum == 0)
		csum = 0xffff; /* the same in ones' complement, and UDP's 0 means "none" */
	memcpy(packet->data + at, &csum, sizeof(csum));
	packet->csum = PACKET_CSUM_COMPLETE;
	return 0;
}

/* ---- what came from outside ---------------------------------------------------------------------
 */

/* Bytes of headers that each segment repeats; 0: cut short or contradictory. */
static uint32_t gso_header_size(const struct packet *packet)
{
	uint32_t l4_off = packet->layout.l4_off, size;

	if (packet->gso_type == PACKET_GSO_UDP_L4)
		return l4_off + 8;
	size = (packet->data[l4_off + 12] >> 4) * 4u;
	if (size < 20 || l4_off + size > packet->len)
		return 0;
	return l4_off + size;
}

static bool gso_type_agrees(const struct packet *packet)
{
	uint8_t proto = packet->layout.nw_proto;

	switch (packet->gso_type) {
	case PACKET_GSO_TCP4:
		return proto == IPPROTO_TCP && !is_ipv6(packet);
	case PACKET_GSO_TCP6:
		return proto == IPPROTO_TCP && is_ipv6(packet);
	case PACKET_GSO_UDP_L4:
		return proto == IPPROTO_UDP;
	default:
		return false;
	}
}

/* Is the partial checksum that of the packet's own TCP or UDP header? Needs layout. */
static bool csum_is_own(const struct packet *packet)
{
	uint16_t offset = l4_csum_offset(packet->layout.nw_proto);

	return packet->layout.l4_off && offset && packet->csum_start == packet->layout.l4_off &&
	       packet->csum_offset == offset;
}

/*
 * A checksum in any other place (that of a packet in a tunnel) is finished before rules look at the
 * packet: who may choose the place and the bytes that are summed could have us write, behind the
 * rules' back, what they decide by.
 */
static int settle_csum(struct packet *packet)
{
	struct flow_key key;

	if (packet_extract(packet, &key) == 0 && csum_is_own(packet) && !key.nw_frag)
		return 0;
	if (packet_finish_csum(packet))
		return -EINVAL;
	packet->csum = PACKET_CSUM_UNKNOWN;
	packet->has_hash = false;
	return 0;
}

/* Nobody has more segments made of a packet than this; who asks for it wants to keep us busy. */
static bool gso_size_is_sane(const struct packet *packet, uint32_t payload)
{
	if (packet->gso_type == PACKET_GSO_UDP_L4)
		return packet->gso_size && payload <= packet->gso_size * GSO_UDP_SEGMENTS_MAX;
	return packet->gso_size >= GSO_TCP_SIZE_MIN &&
	       payload / packet->gso_size < OFFLOAD_SEGMENTS_MAX;
}

int packet_check_offload(struct packet *packet)
{
	struct flow_key key;
	uint32_t header;

	if (packet->csum == PACKET_CSUM_PARTIAL &&
	    (packet->csum_start < 14 || packet->csum_start >= packet->total_len ||
	     (uint32_t)packet->csum_start + packet->csum_offset + 2 > packet->len))
		return -EINVAL;
	if (packet->gso_type == PACKET_GSO_NONE)
		return packet->csum == PACKET_CSUM_PARTIAL ? settle_csum(packet) : 0;
	/* virtio 1.2, 5.1.6.2: segmentation comes with a partial checksum. */
	if (packet->csum != PACKET_CSUM_PARTIAL || packet_extract(packet, &key))
		return -EINVAL;
	if (key.nw_frag || !gso_type_agrees(packet) || !csum_is_own(packet))
		return -EINVAL;
	header = gso_header_size(packet);
	if (header == 0 || header > packet->len || header > packet->total_len ||
	    !gso_size_is_sane(packet, packet->total_len - header))
		return -EINVAL;
	return 0;
}

/* ---- segmentation -----------------------------------------------------------------------------
 */

/* A place in a chain. */
struct cursor {
	const struct packet *seg;
	uint32_t offset; /* within seg */
};

/* Moves `len` bytes from the cursor behind `to`. Returns 0, -ENOBUFS or -EMSGSIZE. */
static int cursor_move(struct cursor *from, struct frame_cache *cache, struct packet *to,
		       uint32_t len)
{
	while (len && from->seg) {
		uint32_t n = MIN(len, from->seg->len - from->offset);
		int err = packet_append(cache, to, from->seg->data + from->offset, n);

		if (err)
			return err;
		len -= n;
		from->offset += n;
		if (from->offset == from->seg->len) {
			from->seg = from->seg->next;
			from->offset = 0;
		}
	}
	return 0;
}

static void store_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Makes the headers of segment `index` say what it is: lengths, id, sequence number, flags, sums.
 */
static void fix_headers(struct packet *seg, const struct packet *whole, unsigned int index,
			bool last)
{
	uint8_t *ip = seg->data + seg->layout.l3_off, *l4 = seg->data + seg->layout.l4_off;
	uint32_t len = seg->total_len - seg->layout.l4_off;
	uint16_t csum;

	if (is_ipv6(seg)) {
		store_be16(ip + 4, seg->total_len - seg->layout.l3_off - 40);
	} else {
		store_be16(ip + 2, seg->total_len - seg->layout.l3_off);
		store_be16(ip + 4, ((uint32_t)ip[4] << 8 | ip[5]) + index);
		memset(ip + 10, 0, 2);
		csum = (uint16_t)~csum_fold(csum_partial(ip, (ip[0] & 0x0fu) * 4, 0));
		memcpy(ip + 10, &csum, sizeof(csum));
	}
	if (seg->layout.nw_proto == IPPROTO_TCP) {
		uint32_t seq;

		memcpy(&seq, l4 + 4, sizeof(seq));
		seq = htonl(ntohl(seq) + index * whole->gso_size);
		memcpy(l4 + 4, &seq, sizeof(seq));
		if (!last)
			l4[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
		if (index)
			l4[13] &= (uint8_t)~TCP_CWR;
	} else {
		store_be16(l4 + 4, len);
	}
	csum = csum_fold(pseudo_sum(seg, len));
	memcpy(l4 + whole->csum_offset, &csum, sizeof(csum));
}

/* One segment: `header` bytes of headers and `len` of payload from the cursor. */
static struct packet *make_segment(struct frame_cache *cache, const struct packet *whole,
				   struct cursor *cursor, uint32_t header, uint32_t len)
{
	struct packet *seg = packet_alloc(cache);

	if (!seg)
		return NULL;
	if (packet_append(cache, seg, whole->data, header) ||
	    cursor_move(cursor, cache, seg, len)) {
		packet_free(cache, seg);
		return NULL;
	}
	seg->hash = whole->hash;
	seg->in_port = whole->in_port;
	seg->layout = whole->layout;
	seg->has_hash = true;
	seg->csum = PACKET_CSUM_PARTIAL;
	seg->csum_start = whole->csum_start;
	seg->csum_offset = whole->csum_offset;
	return seg;
}

int packet_segment(struct frame_cache *cache, struct packet *packet, bool csum_ok,
		   struct packet **segments, unsigned int max)
{
	uint32_t header = gso_header_size(packet), left;
	struct cursor cursor = {.seg = packet, .offset = header};
	unsigned int n = 0;
	int err = -EINVAL;

	if (header == 0 || header > packet->len)
		goto out;
	if (cursor.offset == packet->len)
		cursor = (struct cursor){.seg = packet->next};
	left = packet->total_len - header;
	do {
		uint32_t len = MIN(left, (uint32_t)packet->gso_size);

		err = -ENOBUFS;
		if (n == max)
			goto out;
		segments[n] = make_segment(cache, packet, &cursor, header, len);
		if (!segments[n])
			goto out;
		left -= len;
		fix_headers(segments[n], packet, n, left == 0);
		n++;
		err = csum_ok ? 0 : packet_finish_csum(segments[n - 1]);
		if (err)
			goto out;
	} while (left);
out:
	packet_free(cache, packet);
	if (!err)
		return (int)n;
	packet_free_batch(cache, segments, n);
	return err;
}
