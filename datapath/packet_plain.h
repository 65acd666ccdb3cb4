/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * packet_plain.h - the short way from the commonest packet to its flow key.
 *
 * packet_extract() parses any packet. Most are untagged IPv4 without options and fragments, TCP or
 * UDP, and for these a dozen loads make the key and its hash; this is that dozen, to be inlined
 * where batches are worked through. What it finds is the same as the parser does: test_flow_parse
 * holds both against each other.
 *
 * Thread-safety: functions over packets that the caller holds.
 */
#ifndef VSWITCH_DATAPATH_PACKET_PLAIN_H
#define VSWITCH_DATAPATH_PACKET_PLAIN_H

#include <string.h>
#include "datapath/packet.h"

/* Bytes of the headers of an untagged IPv4 packet without options. */
#define PACKET_BE16(x) ((uint16_t)__builtin_bswap16(x))
#define PACKET_PLAIN_L3 14u
#define PACKET_PLAIN_L4 (PACKET_PLAIN_L3 + 20)
#define PACKET_PLAIN_TYPE ((uint16_t)PACKET_BE16(0x0800))
/* The Ethernet type and the first byte of IPv4, read as a little-endian word with the byte after.
 */
#define PACKET_PLAIN_START (PACKET_PLAIN_TYPE | 0x450000u)
/* Bits of the IPv4 word at offset 6 that only a fragment has. */
#define PACKET_PLAIN_FRAGMENT PACKET_BE16(0x3fff)

static inline uint16_t packet_load16(const uint8_t *p)
{
	uint16_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static inline uint32_t packet_load32(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static inline uint64_t packet_load64(const uint8_t *p)
{
	uint64_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

/*
 * What flow_key_parse() makes of the commonest packet: untagged IPv4, no options, no fragment, TCP
 * or UDP. The key is put together word by word: hashing words that were written in smaller pieces
 * waits for each of them to reach the cache. Returns false for anything else, with nothing changed
 * but the key.
 */
static ALWAYS_INLINE bool packet_extract_plain(struct packet *packet, struct flow_key *key)
{
	const uint8_t *data = packet->data, *l3 = data + PACKET_PLAIN_L3,
		      *l4 = data + PACKET_PLAIN_L4;
	uint32_t size, l4_size;
	uint64_t ports;
	uint8_t proto;

	if (packet->len < PACKET_PLAIN_L4 + 8 ||
	    (packet_load32(data + 12) & 0xffffff) != PACKET_PLAIN_START ||
	    packet_load16(l3 + 6) & PACKET_PLAIN_FRAGMENT)
		return false;
	size = PACKET_BE16(packet_load16(l3 + 2));
	proto = l3[9];
	l4_size = proto == 6 ? 20 : 8;
	if ((proto != 6 && proto != 17) || size < 20 + l4_size ||
	    packet->len < PACKET_PLAIN_L4 + l4_size || PACKET_PLAIN_L3 + size > packet->total_len)
		return false;
	ports = packet_load32(l4);
	if (proto == 6)
		ports |= (uint64_t)(packet_load16(l4 + 12) & PACKET_BE16(0x0fff)) << 32;
	key->w[0] = (uint64_t)PACKET_PLAIN_TYPE << 48;
	key->w[1] = packet_load64(data);
	key->w[2] = packet_load32(data + 8) |
		    (uint64_t)((uint32_t)proto << 8 | (uint32_t)l3[1] << 16 | (uint32_t)l3[8] << 24)
			    << 32;
	key->w[3] = ports;
	key->w[4] = packet_load64(l3 + 12);
	memset(&key->w[FLOW_KEY_WORDS_IPV4], 0, sizeof(*key) - 8 * FLOW_KEY_WORDS_IPV4);
	packet->layout = (struct flow_layout){.l3_off = PACKET_PLAIN_L3,
					      .l4_off = PACKET_PLAIN_L4,
					      .n_words = FLOW_KEY_WORDS_IPV4,
					      .nw_proto = proto};
	packet->hash = flow_key_hash(key, FLOW_KEY_WORDS_IPV4);
	packet->has_hash = true;
	return true;
}

#endif /* VSWITCH_DATAPATH_PACKET_PLAIN_H */
