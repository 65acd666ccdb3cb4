/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes headers in place. Checksums follow the incremental way (RFC 1624), so that a checksum
 * that was wrong stays wrong and is found where it should be; a partial one (packet.h) holds a bare
 * pseudo-header sum, to which only address changes matter.
 */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "bpf/flow_parse.h"
#include "datapath/action.h"
#include "datapath/offload.h"

#define ETH_ADDRS_SIZE 12
#define VLAN_TAG_SIZE 4

static uint16_t load16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void store16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* The Ethernet type ahead of the L3 header, host order; 0: there is no L3 header. */
static uint16_t l3_type(const struct packet *packet)
{
	uint16_t l3_off = packet->layout.l3_off;

	return l3_off ? ntohs(load16(packet->data + l3_off - 2)) : 0;
}

static uint8_t *l3(const struct packet *packet)
{
	return packet->data + packet->layout.l3_off;
}

static uint8_t *l4(const struct packet *packet)
{
	return packet->data + packet->layout.l4_off;
}

/* Where the L4 checksum lies; NULL when there is none to keep right. */
static uint8_t *l4_csum(const struct packet *packet)
{
	if (!packet->layout.l4_off)
		return NULL;
	switch (packet->layout.nw_proto) {
	case IPPROTO_TCP:
		return l4(packet) + 16;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return l4(packet) + 6;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return l4(packet) + 2;
	default:
		return NULL;
	}
}

/* Adds the change of 16 bits to the L4 checksum. `pseudo`: the bits are in the pseudo-header. */
static void l4_csum_replace(struct packet *packet, uint16_t old, uint16_t new_value, bool pseudo)
{
	uint8_t *field = l4_csum(packet);
	bool is_udp = packet->layout.nw_proto == IPPROTO_UDP;
	uint16_t csum;

	if (!field || (pseudo && packet->layout.nw_proto == IPPROTO_ICMP))
		return;
	csum = load16(field);
	if (packet->csum == PACKET_CSUM_PARTIAL) {
		if (!pseudo)
			return;
		/* Not complemented yet: so are the operands. */
		csum = (uint16_t)~csum;
		csum_replace16(&csum, old, new_value);
		store16(field, (uint16_t)~csum);
		return;
	}
	if (is_udp && csum == 0)
		return; /* the sender made none, RFC 768 */
	csum_replace16(&csum, old, new_value);
	store16(field, is_udp && csum == 0 ? 0xffff : csum);
}

/* Replaces `size` bytes (even, at an even offset of their header) under the mask and keeps the L4
 * checksum. */
static void replace_l4_summed(struct packet *packet, uint8_t *at, const void *value,
			      const void *mask, size_t size, bool pseudo)
{
	for (size_t i = 0; i < size; i += 2) {
		uint16_t old = load16(at + i), m = load16((const uint8_t *)mask + i);
		uint16_t now = (uint16_t)((old & ~m) | (load16((const uint8_t *)value + i) & m));

		if (now == old)
			continue;
		l4_csum_replace(packet, old, now, pseudo);
		store16(at + i, now);
	}
}

/* Replaces 16 bits of the IPv4 header and keeps its checksum. */
static void ipv4_replace16(uint8_t *ip, size_t offset, uint16_t now)
{
	uint16_t csum = load16(ip + 10);

	csum_replace16(&csum, load16(ip + offset), now);
	store16(ip + 10, csum);
	store16(ip + offset, now);
}

static int set_ipv4(const struct action *action, struct packet *packet, size_t offset)
{
	uint8_t *ip = l3(packet), old[4];

	if (l3_type(packet) != 0x0800)
		return -DROP_BAD_HEADER;
	memcpy(old, ip + offset, 4);
	replace_l4_summed(packet, ip + offset, &action->value, &action->mask, 4, true);
	for (size_t i = 0; i < 4; i += 2) {
		uint16_t csum = load16(ip + 10);

		csum_replace16(&csum, load16(old + i), load16(ip + offset + i));
		store16(ip + 10, csum);
	}
	return 0;
}

static int set_ipv6(const struct action *action, struct packet *packet, size_t offset)
{
	if (l3_type(packet) != 0x86dd)
		return -DROP_BAD_HEADER;
	replace_l4_summed(packet, l3(packet) + offset, &action->value, &action->mask, 16, true);
	return 0;
}

static int set_ipv6_label(const struct action *action, struct packet *packet)
{
	uint32_t word, mask = action->mask.be32 & htonl(0x000fffff);

	if (l3_type(packet) != 0x86dd)
		return -DROP_BAD_HEADER;
	memcpy(&word, l3(packet), 4);
	word = (word & ~mask) | (action->value.be32 & mask);
	memcpy(l3(packet), &word, 4);
	return 0;
}

static int set_tos(const struct action *action, struct packet *packet)
{
	uint8_t *ip = l3(packet), m = action->mask.u8, tos;

	switch (l3_type(packet)) {
	case 0x0800:
		tos = (uint8_t)((ip[1] & ~m) | (action->value.u8 & m));
		ipv4_replace16(ip, 0, htons((uint16_t)(ip[0] << 8 | tos)));
		return 0;
	case 0x86dd:
		tos = (uint8_t)(ip[0] << 4 | ip[1] >> 4);
		tos = (uint8_t)((tos & ~m) | (action->value.u8 & m));
		ip[0] = (uint8_t)((ip[0] & 0xf0) | tos >> 4);
		ip[1] = (uint8_t)((ip[1] & 0x0f) | tos << 4);
		return 0;
	default:
		return -DROP_BAD_HEADER;
	}
}

static int set_ttl(struct packet *packet, bool decrement, uint8_t ttl)
{
	uint8_t *ip = l3(packet), *field;
	uint16_t type = l3_type(packet);

	if (type != 0x0800 && type != 0x86dd)
		return -DROP_BAD_HEADER;
	field = type == 0x0800 ? ip + 8 : ip + 7;
	if (decrement) {
		if (*field <= 1)
			return -DROP_TTL_EXPIRED;
		ttl = (uint8_t)(*field - 1);
	}
	if (type == 0x0800)
		ipv4_replace16(ip, 8, htons((uint16_t)(ttl << 8 | ip[9])));
	else
		*field = ttl;
	return 0;
}

/* `index`: 0 the source port or ICMP type, 1 the destination port or ICMP code. */
static int set_tp(const struct action *action, struct packet *packet, int index)
{
	uint16_t type = l3_type(packet), value, mask;

	if (type != 0x0800 && type != 0x86dd)
		return -DROP_BAD_HEADER;
	if (!packet->layout.l4_off)
		return 0; /* a later fragment has no ports to set */
	switch (packet->layout.nw_proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		replace_l4_summed(packet, l4(packet) + 2 * index, &action->value, &action->mask, 2,
				  false);
		return 0;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		/* Type and code share one 16-bit word; the action carries a number below 256. */
		value = ntohs(action->value.be16) & 0xff;
		mask = ntohs(action->mask.be16) & 0xff;
		value = htons((uint16_t)(index ? value : value << 8));
		mask = htons((uint16_t)(index ? mask : mask << 8));
		replace_l4_summed(packet, l4(packet), &value, &mask, 2, false);
		return 0;
	default:
		return -DROP_BAD_HEADER; /* SCTP's CRC is not incremental */
	}
}

static void replace_plain(uint8_t *at, const void *value, const void *mask, size_t size)
{
	const uint8_t *v = value, *m = mask;

	for (size_t i = 0; i < size; i++)
		at[i] = (uint8_t)((at[i] & ~m[i]) | (v[i] & m[i]));
}

static int set_arp(const struct action *action, struct packet *packet, size_t offset, size_t size)
{
	if (l3_type(packet) != 0x0806)
		return -DROP_BAD_HEADER;
	replace_plain(l3(packet) + offset, &action->value, &action->mask, size);
	return 0;
}

static int set_nd_target(const struct action *action, struct packet *packet)
{
	uint8_t type;

	if (l3_type(packet) != 0x86dd || packet->layout.nw_proto != IPPROTO_ICMPV6 ||
	    packet->layout.n_words != FLOW_KEY_WORDS)
		return -DROP_BAD_HEADER;
	type = l4(packet)[0];
	if (type != 135 && type != 136)
		return -DROP_BAD_HEADER;
	replace_l4_summed(packet, l4(packet) + 8, &action->value, &action->mask, 16, false);
	return 0;
}

/* Header offsets move by `n` bytes, for the Ethernet header has grown or shrunk. */
static void move_layout(struct packet *packet, int n)
{
	if (packet->layout.l3_off)
		packet->layout.l3_off = (uint16_t)(packet->layout.l3_off + n);
	if (packet->layout.l4_off)
		packet->layout.l4_off = (uint16_t)(packet->layout.l4_off + n);
	packet->csum_start = (uint16_t)(packet->csum_start + n);
}

static bool has_tag(const struct packet *packet)
{
	uint16_t type = ntohs(load16(packet->data + ETH_ADDRS_SIZE));

	return (type == 0x8100 || type == 0x88a8) && packet->len >= 14 + VLAN_TAG_SIZE;
}

static int push_vlan(struct packet *packet, uint16_t tpid)
{
	uint16_t tci = has_tag(packet) ? load16(packet->data + 14) : 0;

	if (!packet_push(packet, VLAN_TAG_SIZE))
		return -DROP_FLOW_LIMIT;
	memmove(packet->data, packet->data + VLAN_TAG_SIZE, ETH_ADDRS_SIZE);
	store16(packet->data + ETH_ADDRS_SIZE, tpid);
	store16(packet->data + ETH_ADDRS_SIZE + 2, tci);
	move_layout(packet, VLAN_TAG_SIZE);
	return 0;
}

static void pop_vlan(struct packet *packet)
{
	if (!has_tag(packet))
		return;
	memmove(packet->data + VLAN_TAG_SIZE, packet->data, ETH_ADDRS_SIZE);
	packet_pull(packet, VLAN_TAG_SIZE);
	move_layout(packet, -VLAN_TAG_SIZE);
}

static int set_vlan_tci(const struct action *action, struct packet *packet)
{
	uint16_t mask = action->mask.be16, tci;

	if (!has_tag(packet)) {
		int err = push_vlan(packet, htons(0x8100));

		if (err)
			return err;
	}
	tci = load16(packet->data + ETH_ADDRS_SIZE + 2);
	store16(packet->data + ETH_ADDRS_SIZE + 2,
		(uint16_t)((tci & ~mask) | (action->value.be16 & mask)));
	return 0;
}

int action_apply(const struct action *action, struct packet *packet)
{
	if (packet->csum == PACKET_CSUM_MAYBE)
		packet_resolve_csum(packet);
	switch ((enum action_type)action->type) {
	case ACTION_OUTPUT:
		return 0;
	case ACTION_SET_ETH_SRC:
		replace_plain(packet->data + 6, &action->value, &action->mask, 6);
		return 0;
	case ACTION_SET_ETH_DST:
		replace_plain(packet->data, &action->value, &action->mask, 6);
		return 0;
	case ACTION_SET_IPV4_SRC:
		return set_ipv4(action, packet, 12);
	case ACTION_SET_IPV4_DST:
		return set_ipv4(action, packet, 16);
	case ACTION_SET_IPV6_SRC:
		return set_ipv6(action, packet, 8);
	case ACTION_SET_IPV6_DST:
		return set_ipv6(action, packet, 24);
	case ACTION_SET_IPV6_LABEL:
		return set_ipv6_label(action, packet);
	case ACTION_SET_TOS:
		return set_tos(action, packet);
	case ACTION_SET_TTL:
		return set_ttl(packet, false, action->value.u8);
	case ACTION_DEC_TTL:
		return set_ttl(packet, true, 0);
	case ACTION_SET_TP_SRC:
		return set_tp(action, packet, 0);
	case ACTION_SET_TP_DST:
		return set_tp(action, packet, 1);
	case ACTION_SET_ARP_OP:
		return set_arp(action, packet, 6, 2);
	case ACTION_SET_ARP_SPA:
		return set_arp(action, packet, 14, 4);
	case ACTION_SET_ARP_TPA:
		return set_arp(action, packet, 24, 4);
	case ACTION_SET_ARP_SHA:
		return set_arp(action, packet, 8, 6);
	case ACTION_SET_ARP_THA:
		return set_arp(action, packet, 18, 6);
	case ACTION_SET_ND_TARGET:
		return set_nd_target(action, packet);
	case ACTION_PUSH_VLAN:
		return push_vlan(packet, action->value.be16);
	case ACTION_POP_VLAN:
		pop_vlan(packet);
		return 0;
	case ACTION_SET_VLAN_TCI:
		return set_vlan_tci(action, packet);
	}
	return -DROP_BAD_HEADER;
}
