/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/field.h"

#include <arpa/inet.h>
#include <string.h>
#include "lib/util.h"

#define PLACE(member)                                                                              \
	.key_off = offsetof(struct flow_key, member),                                              \
	.key_size = sizeof(((struct flow_key *)0)->member)
#define BITS(m) .max = (m), .exact = (m)

static const struct field fields[] = {
	[FIELD_IN_PORT] = {.name = "in_port", PLACE(in_port), .n_bytes = 4,
		BITS(UINT32_MAX), .form = FIELD_FORM_PORT},
	[FIELD_ETH_DST] = {.name = "dl_dst", PLACE(dl_dst), .n_bytes = 6,
		.form = FIELD_FORM_MAC, .is_maskable = true, .is_writable = true},
	[FIELD_ETH_SRC] = {.name = "dl_src", PLACE(dl_src), .n_bytes = 6,
		.form = FIELD_FORM_MAC, .is_maskable = true, .is_writable = true},
	[FIELD_ETH_TYPE] = {.name = "dl_type", PLACE(dl_type), .n_bytes = 2, BITS(0xffff),
		.form = FIELD_FORM_HEX},
	[FIELD_VLAN_TCI] = {.name = "vlan_tci", PLACE(vlan_tci), .n_bytes = 2, BITS(0xffff),
		.form = FIELD_FORM_HEX, .is_maskable = true},
	[FIELD_VLAN_VID] = {.name = "dl_vlan", PLACE(vlan_tci), .n_bytes = 2, BITS(0xfff),
		.form = FIELD_FORM_DECIMAL, .is_writable = true},
	[FIELD_VLAN_PCP] = {.name = "dl_vlan_pcp", PLACE(vlan_tci), .n_bytes = 1,
		.shift = 13, BITS(7), .form = FIELD_FORM_DECIMAL, .is_writable = true},
	[FIELD_IP_PROTO] = {.name = "nw_proto", PLACE(nw_proto), .n_bytes = 1, BITS(0xff),
		.form = FIELD_FORM_DECIMAL, .needs = FIELD_NEEDS_IP},
	[FIELD_IP_TOS] = {.name = "nw_tos", PLACE(nw_tos), .n_bytes = 1, BITS(0xfc),
		.form = FIELD_FORM_DECIMAL, .needs = FIELD_NEEDS_IP, .is_writable = true},
	[FIELD_IP_DSCP] = {.name = "ip_dscp", PLACE(nw_tos), .n_bytes = 1, .shift = 2,
		BITS(0x3f), .form = FIELD_FORM_DECIMAL, .needs = FIELD_NEEDS_IP,
		.is_writable = true},
	[FIELD_IP_ECN] = {.name = "nw_ecn", PLACE(nw_tos), .n_bytes = 1, BITS(3),
		.form = FIELD_FORM_DECIMAL, .needs = FIELD_NEEDS_IP, .is_writable = true},
	[FIELD_IP_TTL] = {.name = "nw_ttl", PLACE(nw_ttl), .n_bytes = 1, BITS(0xff),
		.form = FIELD_FORM_DECIMAL, .needs = FIELD_NEEDS_IP, .is_writable = true},
	[FIELD_IP_FRAG] = {.name = "nw_frag", PLACE(nw_frag), .n_bytes = 1, BITS(3),
		.form = FIELD_FORM_FRAG, .needs = FIELD_NEEDS_IP, .is_maskable = true},
	[FIELD_IPV4_SRC] = {.name = "nw_src", PLACE(nw_src), .n_bytes = 4, BITS(UINT32_MAX),
		.form = FIELD_FORM_IPV4, .needs = FIELD_NEEDS_IPV4, .is_maskable = true,
		.is_writable = true},
	[FIELD_IPV4_DST] = {.name = "nw_dst", PLACE(nw_dst), .n_bytes = 4, BITS(UINT32_MAX),
		.form = FIELD_FORM_IPV4, .needs = FIELD_NEEDS_IPV4, .is_maskable = true,
		.is_writable = true},
	[FIELD_IPV6_SRC] = {.name = "ipv6_src", PLACE(ipv6_src), .n_bytes = 16,
		.form = FIELD_FORM_IPV6, .needs = FIELD_NEEDS_IPV6, .is_maskable = true,
		.is_writable = true},
	[FIELD_IPV6_DST] = {.name = "ipv6_dst", PLACE(ipv6_dst), .n_bytes = 16,
		.form = FIELD_FORM_IPV6, .needs = FIELD_NEEDS_IPV6, .is_maskable = true,
		.is_writable = true},
	[FIELD_IPV6_LABEL] = {.name = "ipv6_label", PLACE(ipv6_label), .n_bytes = 4,
		BITS(0xfffff), .form = FIELD_FORM_HEX, .needs = FIELD_NEEDS_IPV6,
		.is_maskable = true, .is_writable = true},
	[FIELD_TP_SRC] = {.name = "tp_src", PLACE(tp_src), .n_bytes = 2, BITS(0xffff),
		.form = FIELD_FORM_DECIMAL, .needs = FIELD_NEEDS_PORTS, .is_maskable = true,
		.is_writable = true},
	[FIELD_TP_DST] = {.name = "tp_dst", PLACE(tp_dst), .n_bytes = 2, BITS(0xffff),
		.form = FIELD_FORM_DECIMAL, .needs = FIELD_NEEDS_PORTS, .is_maskable = true,
		.is_writable = true},
	[FIELD_TCP_FLAGS] = {.name = "tcp_flags", PLACE(tcp_flags), .n_bytes = 2,
		BITS(0xfff), .form = FIELD_FORM_TCP_FLAGS, .needs = FIELD_NEEDS_TCP,
		.is_maskable = true},
	[FIELD_ICMP_TYPE] = {.name = "icmp_type", PLACE(tp_src), .n_bytes = 2, .max = 0xff,
		.exact = 0xffff, .form = FIELD_FORM_DECIMAL, .needs = FIELD_NEEDS_ICMP,
		.is_writable = true},
	[FIELD_ICMP_CODE] = {.name = "icmp_code", PLACE(tp_dst), .n_bytes = 2, .max = 0xff,
		.exact = 0xffff, .form = FIELD_FORM_DECIMAL, .needs = FIELD_NEEDS_ICMP,
		.is_writable = true},
	[FIELD_ICMPV6_TYPE] = {.name = "icmpv6_type", PLACE(tp_src), .n_bytes = 2,
		.max = 0xff, .exact = 0xffff, .form = FIELD_FORM_DECIMAL,
		.needs = FIELD_NEEDS_ICMPV6, .is_writable = true},
	[FIELD_ICMPV6_CODE] = {.name = "icmpv6_code", PLACE(tp_dst), .n_bytes = 2,
		.max = 0xff, .exact = 0xffff, .form = FIELD_FORM_DECIMAL,
		.needs = FIELD_NEEDS_ICMPV6, .is_writable = true},
	[FIELD_ARP_OP] = {.name = "arp_op", PLACE(nw_proto), .n_bytes = 1, BITS(0xff),
		.form = FIELD_FORM_DECIMAL, .needs = FIELD_NEEDS_ARP, .is_writable = true},
	[FIELD_ARP_SPA] = {.name = "arp_spa", PLACE(nw_src), .n_bytes = 4, BITS(UINT32_MAX),
		.form = FIELD_FORM_IPV4, .needs = FIELD_NEEDS_ARP, .is_maskable = true,
		.is_writable = true},
	[FIELD_ARP_TPA] = {.name = "arp_tpa", PLACE(nw_dst), .n_bytes = 4, BITS(UINT32_MAX),
		.form = FIELD_FORM_IPV4, .needs = FIELD_NEEDS_ARP, .is_maskable = true,
		.is_writable = true},
	[FIELD_ARP_SHA] = {.name = "arp_sha", PLACE(arp_sha), .n_bytes = 6,
		.form = FIELD_FORM_MAC, .needs = FIELD_NEEDS_ARP, .is_maskable = true,
		.is_writable = true},
	[FIELD_ARP_THA] = {.name = "arp_tha", PLACE(arp_tha), .n_bytes = 6,
		.form = FIELD_FORM_MAC, .needs = FIELD_NEEDS_ARP, .is_maskable = true,
		.is_writable = true},
	[FIELD_ND_TARGET] = {.name = "nd_target", PLACE(nd_target), .n_bytes = 16,
		.form = FIELD_FORM_IPV6, .needs = FIELD_NEEDS_ND, .is_maskable = true,
		.is_writable = true},
	[FIELD_ND_SLL] = {.name = "nd_sll", PLACE(arp_sha), .n_bytes = 6,
		.form = FIELD_FORM_MAC, .needs = FIELD_NEEDS_ND_SOLICIT, .is_maskable = true},
	[FIELD_ND_TLL] = {.name = "nd_tll", PLACE(arp_tha), .n_bytes = 6,
		.form = FIELD_FORM_MAC, .needs = FIELD_NEEDS_ND_ADVERT, .is_maskable = true},
};
ASSERT_ENTRIES(fields, FIELD_N_IDS);

/* In the order of strcmp(), for the binary search. */
static const struct field_name names[] = {
	/* as ovs-ofctl writes them in load: */
	{"NXM_NX_ARP_SHA", FIELD_ARP_SHA, FIELD_NEEDS_ARP},
	{"NXM_NX_ARP_THA", FIELD_ARP_THA, FIELD_NEEDS_ARP},
	{"NXM_NX_ICMPV6_CODE", FIELD_ICMPV6_CODE, FIELD_NEEDS_ICMPV6},
	{"NXM_NX_ICMPV6_TYPE", FIELD_ICMPV6_TYPE, FIELD_NEEDS_ICMPV6},
	{"NXM_NX_IPV6_DST", FIELD_IPV6_DST, FIELD_NEEDS_IPV6},
	{"NXM_NX_IPV6_LABEL", FIELD_IPV6_LABEL, FIELD_NEEDS_IPV6},
	{"NXM_NX_IPV6_SRC", FIELD_IPV6_SRC, FIELD_NEEDS_IPV6},
	{"NXM_NX_IP_ECN", FIELD_IP_ECN, FIELD_NEEDS_IP},
	{"NXM_NX_IP_FRAG", FIELD_IP_FRAG, FIELD_NEEDS_IP},
	{"NXM_NX_IP_TTL", FIELD_IP_TTL, FIELD_NEEDS_IP},
	{"NXM_NX_ND_SLL", FIELD_ND_SLL, FIELD_NEEDS_ND_SOLICIT},
	{"NXM_NX_ND_TARGET", FIELD_ND_TARGET, FIELD_NEEDS_ND},
	{"NXM_NX_ND_TLL", FIELD_ND_TLL, FIELD_NEEDS_ND_ADVERT},
	{"NXM_NX_TCP_FLAGS", FIELD_TCP_FLAGS, FIELD_NEEDS_TCP},
	{"NXM_OF_ARP_OP", FIELD_ARP_OP, FIELD_NEEDS_ARP},
	{"NXM_OF_ARP_SPA", FIELD_ARP_SPA, FIELD_NEEDS_ARP},
	{"NXM_OF_ARP_TPA", FIELD_ARP_TPA, FIELD_NEEDS_ARP},
	{"NXM_OF_ETH_DST", FIELD_ETH_DST, FIELD_NEEDS_NOTHING},
	{"NXM_OF_ETH_SRC", FIELD_ETH_SRC, FIELD_NEEDS_NOTHING},
	{"NXM_OF_ETH_TYPE", FIELD_ETH_TYPE, FIELD_NEEDS_NOTHING},
	{"NXM_OF_ICMP_CODE", FIELD_ICMP_CODE, FIELD_NEEDS_ICMP},
	{"NXM_OF_ICMP_TYPE", FIELD_ICMP_TYPE, FIELD_NEEDS_ICMP},
	{"NXM_OF_IN_PORT", FIELD_IN_PORT, FIELD_NEEDS_NOTHING},
	{"NXM_OF_IP_DST", FIELD_IPV4_DST, FIELD_NEEDS_IPV4},
	{"NXM_OF_IP_PROTO", FIELD_IP_PROTO, FIELD_NEEDS_IP},
	{"NXM_OF_IP_SRC", FIELD_IPV4_SRC, FIELD_NEEDS_IPV4},
	{"NXM_OF_IP_TOS", FIELD_IP_TOS, FIELD_NEEDS_IP},
	{"NXM_OF_TCP_DST", FIELD_TP_DST, FIELD_NEEDS_TCP},
	{"NXM_OF_TCP_SRC", FIELD_TP_SRC, FIELD_NEEDS_TCP},
	{"NXM_OF_UDP_DST", FIELD_TP_DST, FIELD_NEEDS_UDP},
	{"NXM_OF_UDP_SRC", FIELD_TP_SRC, FIELD_NEEDS_UDP},
	{"NXM_OF_VLAN_TCI", FIELD_VLAN_TCI, FIELD_NEEDS_NOTHING},
	{"OXM_OF_IP_DSCP", FIELD_IP_DSCP, FIELD_NEEDS_IP},
	{"OXM_OF_SCTP_DST", FIELD_TP_DST, FIELD_NEEDS_SCTP},
	{"OXM_OF_SCTP_SRC", FIELD_TP_SRC, FIELD_NEEDS_SCTP},
	{"OXM_OF_VLAN_PCP", FIELD_VLAN_PCP, FIELD_NEEDS_NOTHING},
	{"OXM_OF_VLAN_VID", FIELD_VLAN_VID, FIELD_NEEDS_NOTHING},
	/* as in matches and set_field: */
	{"arp_op", FIELD_ARP_OP, FIELD_NEEDS_ARP},
	{"arp_sha", FIELD_ARP_SHA, FIELD_NEEDS_ARP},
	{"arp_spa", FIELD_ARP_SPA, FIELD_NEEDS_ARP},
	{"arp_tha", FIELD_ARP_THA, FIELD_NEEDS_ARP},
	{"arp_tpa", FIELD_ARP_TPA, FIELD_NEEDS_ARP},
	{"dl_dst", FIELD_ETH_DST, FIELD_NEEDS_NOTHING},
	{"dl_src", FIELD_ETH_SRC, FIELD_NEEDS_NOTHING},
	{"dl_type", FIELD_ETH_TYPE, FIELD_NEEDS_NOTHING},
	{"dl_vlan", FIELD_VLAN_VID, FIELD_NEEDS_NOTHING},
	{"dl_vlan_pcp", FIELD_VLAN_PCP, FIELD_NEEDS_NOTHING},
	{"eth_dst", FIELD_ETH_DST, FIELD_NEEDS_NOTHING},
	{"eth_src", FIELD_ETH_SRC, FIELD_NEEDS_NOTHING},
	{"eth_type", FIELD_ETH_TYPE, FIELD_NEEDS_NOTHING},
	{"icmp_code", FIELD_ICMP_CODE, FIELD_NEEDS_ANY_ICMP},
	{"icmp_type", FIELD_ICMP_TYPE, FIELD_NEEDS_ANY_ICMP},
	{"icmpv6_code", FIELD_ICMPV6_CODE, FIELD_NEEDS_ICMPV6},
	{"icmpv6_type", FIELD_ICMPV6_TYPE, FIELD_NEEDS_ICMPV6},
	{"in_port", FIELD_IN_PORT, FIELD_NEEDS_NOTHING},
	{"ip_dscp", FIELD_IP_DSCP, FIELD_NEEDS_IP},
	{"ip_dst", FIELD_IPV4_DST, FIELD_NEEDS_IPV4},
	{"ip_ecn", FIELD_IP_ECN, FIELD_NEEDS_IP},
	{"ip_frag", FIELD_IP_FRAG, FIELD_NEEDS_IP},
	{"ip_proto", FIELD_IP_PROTO, FIELD_NEEDS_IP},
	{"ip_src", FIELD_IPV4_SRC, FIELD_NEEDS_IPV4},
	{"ipv6_dst", FIELD_IPV6_DST, FIELD_NEEDS_IPV6},
	{"ipv6_label", FIELD_IPV6_LABEL, FIELD_NEEDS_IPV6},
	{"ipv6_src", FIELD_IPV6_SRC, FIELD_NEEDS_IPV6},
	{"nd_sll", FIELD_ND_SLL, FIELD_NEEDS_ND_SOLICIT},
	{"nd_target", FIELD_ND_TARGET, FIELD_NEEDS_ND},
	{"nd_tll", FIELD_ND_TLL, FIELD_NEEDS_ND_ADVERT},
	{"nw_dst", FIELD_IPV4_DST, FIELD_NEEDS_IPV4_ARP},
	{"nw_ecn", FIELD_IP_ECN, FIELD_NEEDS_IP},
	{"nw_frag", FIELD_IP_FRAG, FIELD_NEEDS_IP},
	{"nw_proto", FIELD_IP_PROTO, FIELD_NEEDS_IP_ARP},
	{"nw_src", FIELD_IPV4_SRC, FIELD_NEEDS_IPV4_ARP},
	{"nw_tos", FIELD_IP_TOS, FIELD_NEEDS_IP},
	{"nw_ttl", FIELD_IP_TTL, FIELD_NEEDS_IP},
	{"sctp_dst", FIELD_TP_DST, FIELD_NEEDS_SCTP},
	{"sctp_src", FIELD_TP_SRC, FIELD_NEEDS_SCTP},
	{"tcp_dst", FIELD_TP_DST, FIELD_NEEDS_TCP},
	{"tcp_flags", FIELD_TCP_FLAGS, FIELD_NEEDS_TCP},
	{"tcp_src", FIELD_TP_SRC, FIELD_NEEDS_TCP},
	{"tp_dst", FIELD_TP_DST, FIELD_NEEDS_PORTS_ICMP},
	{"tp_src", FIELD_TP_SRC, FIELD_NEEDS_PORTS_ICMP},
	{"udp_dst", FIELD_TP_DST, FIELD_NEEDS_UDP},
	{"udp_src", FIELD_TP_SRC, FIELD_NEEDS_UDP},
	{"vlan_pcp", FIELD_VLAN_PCP, FIELD_NEEDS_NOTHING},
	{"vlan_tci", FIELD_VLAN_TCI, FIELD_NEEDS_NOTHING},
	{"vlan_vid", FIELD_VLAN_VID, FIELD_NEEDS_NOTHING},
};

#define OVER_IPV4 1
#define OVER_IPV6 2
#define OVER_ARP 4

/* Rows of enum field_needs. Empty lists (all zero) ask nothing. */
static const struct {
	const char *text;
	uint8_t over;        /* OVER_*: Ethernet types that will do */
	uint8_t ipv4[4];     /* nw_proto of IPv4, one of these */
	uint8_t ipv6[4];     /* nw_proto of IPv6, likewise */
	uint8_t nd_types[2]; /* ICMPv6 types, with code 0 */
} needs_rows[] = {
	[FIELD_NEEDS_NOTHING] = {"nothing", 0, {0}, {0}, {0}},
	[FIELD_NEEDS_ARP] = {"arp", OVER_ARP, {0}, {0}, {0}},
	[FIELD_NEEDS_IPV4] = {"ip", OVER_IPV4, {0}, {0}, {0}},
	[FIELD_NEEDS_IPV6] = {"ipv6", OVER_IPV6, {0}, {0}, {0}},
	[FIELD_NEEDS_IP] = {"ip or ipv6", OVER_IPV4 | OVER_IPV6, {0}, {0}, {0}},
	[FIELD_NEEDS_IPV4_ARP] = {"ip (or arp)", OVER_IPV4 | OVER_ARP, {0}, {0}, {0}},
	[FIELD_NEEDS_IP_ARP] = {"ip or ipv6 (or arp)", OVER_IPV4 | OVER_IPV6 | OVER_ARP, {0}, {0},
				{0}},
	[FIELD_NEEDS_TCP] = {"tcp or tcp6", OVER_IPV4 | OVER_IPV6, {6}, {6}, {0}},
	[FIELD_NEEDS_UDP] = {"udp or udp6", OVER_IPV4 | OVER_IPV6, {17}, {17}, {0}},
	[FIELD_NEEDS_SCTP] = {"sctp or sctp6", OVER_IPV4 | OVER_IPV6, {132}, {132}, {0}},
	[FIELD_NEEDS_PORTS] = {"tcp, udp or sctp (or tcp6, udp6, sctp6)", OVER_IPV4 | OVER_IPV6,
			       {6, 17, 132}, {6, 17, 132}, {0}},
	[FIELD_NEEDS_PORTS_ICMP] = {"tcp, udp or sctp (or tcp6, udp6, sctp6)",
				    OVER_IPV4 | OVER_IPV6, {6, 17, 132, 1}, {6, 17, 132, 58}, {0}},
	[FIELD_NEEDS_ICMP] = {"icmp", OVER_IPV4, {1}, {0}, {0}},
	[FIELD_NEEDS_ANY_ICMP] = {"icmp or icmp6", OVER_IPV4 | OVER_IPV6, {1}, {58}, {0}},
	[FIELD_NEEDS_ICMPV6] = {"icmp6", OVER_IPV6, {0}, {58}, {0}},
	[FIELD_NEEDS_ND] = {"icmp6,icmpv6_type=135 or 136", OVER_IPV6, {0}, {58}, {135, 136}},
	[FIELD_NEEDS_ND_SOLICIT] = {"icmp6,icmpv6_type=135", OVER_IPV6, {0}, {58}, {135, 135}},
	[FIELD_NEEDS_ND_ADVERT] = {"icmp6,icmpv6_type=136", OVER_IPV6, {0}, {58}, {136, 136}},
};
ASSERT_ENTRIES(needs_rows, FIELD_NEEDS_N);

const struct field *field_get(enum field_id id)
{
	return &fields[id];
}

/* strcmp() of `length` bytes at `text`, NULs among them, and a C string. */
static int name_compare(const char *text, size_t length, const char *name)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] != name[i])
			return (unsigned char)text[i] - (unsigned char)name[i];
		if (name[i] == '\0')
			return 1;
	}
	return -(name[length] != '\0');
}

const struct field_name *field_lookup(const char *name, size_t length)
{
	size_t low = 0, high = ARRAY_SIZE(names);

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = name_compare(name, length, names[middle].name);

		if (order == 0)
			return &names[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

void field_offer_names(struct suggest *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].name[0] >= 'a')
			suggest_offer(s, names[i].name);
	}
}

static uint32_t load_be(const uint8_t *bytes, size_t size)
{
	uint32_t number = 0;

	for (size_t i = 0; i < size; i++)
		number = number << 8 | bytes[i];
	return number;
}

static void store_be(uint8_t *bytes, size_t size, uint32_t number)
{
	for (size_t i = size; i > 0; i--, number >>= 8)
		bytes[i - 1] = (uint8_t)number;
}

void field_spread(const struct field *field, const uint8_t *value, struct flow_key *key)
{
	uint8_t *place = (uint8_t *)key + field->key_off;

	memset(key, 0, sizeof(*key));
	if (field->n_bytes > 4) {
		memcpy(place, value, field->n_bytes);
		return;
	}
	store_be(place, field->key_size, load_be(value, field->n_bytes) << field->shift);
	if (field->form == FIELD_FORM_PORT)
		key->in_port = ntohl(key->in_port);
}

void field_gather(const struct field *field, const struct flow_key *key, uint8_t *value)
{
	const uint8_t *place = (const uint8_t *)key + field->key_off;
	uint32_t number;

	if (field->n_bytes > 4) {
		memcpy(value, place, field->n_bytes);
		return;
	}
	number = load_be(place, field->key_size);
	if (field->form == FIELD_FORM_PORT)
		number = ntohl(number);
	store_be(value, field->n_bytes, number >> field->shift & field->exact);
}

void field_get_exact(const struct field *field, uint8_t *mask)
{
	if (field->n_bytes > 4)
		memset(mask, 0xff, field->n_bytes);
	else
		store_be(mask, field->n_bytes, field->exact);
}

void field_set(const struct field *field, const uint8_t *value, const uint8_t *mask,
	       struct flow_key *key)
{
	struct flow_key bits, care;

	field_spread(field, value, &bits);
	field_spread(field, mask, &care);
	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		key->w[i] = (key->w[i] & ~care.w[i]) | (bits.w[i] & care.w[i]);
}

static uint8_t over_get(const struct flow_key *key)
{
	switch (ntohs(key->dl_type)) {
	case 0x0800:
		return OVER_IPV4;
	case 0x86dd:
		return OVER_IPV6;
	case 0x0806:
		return OVER_ARP;
	default:
		return 0;
	}
}

bool field_needs_hold(enum field_needs needs, const struct flow_key *key,
		      struct flow_key *looked_at)
{
	struct flow_key ignored = {0};
	const uint8_t *types = needs_rows[needs].nd_types, *protos;
	uint8_t over = over_get(key);

	if (needs == FIELD_NEEDS_NOTHING)
		return true;
	if (!looked_at)
		looked_at = &ignored;
	looked_at->dl_type = UINT16_MAX;
	if (!(needs_rows[needs].over & over))
		return false;
	protos = over == OVER_IPV4 ? needs_rows[needs].ipv4 : needs_rows[needs].ipv6;
	if (protos[0] == 0)
		return true;
	looked_at->nw_proto = UINT8_MAX;
	looked_at->nw_frag |= FLOW_FRAG_LATER;
	if (!memchr(protos, key->nw_proto, sizeof(needs_rows[needs].ipv4)) || key->nw_proto == 0 ||
	    (key->nw_frag & FLOW_FRAG_LATER))
		return false;
	if (types[0] == 0)
		return true;
	looked_at->tp_src = looked_at->tp_dst = UINT16_MAX;
	return (key->tp_src == htons(types[0]) || key->tp_src == htons(types[1])) &&
	       key->tp_dst == 0;
}

const char *field_needs_text(enum field_needs needs)
{
	return needs_rows[needs].text;
}
