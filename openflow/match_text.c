/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/match_text.h"

#include <arpa/inet.h>
#include <errno.h>
#include "openflow/field_text.h"

#define VLAN_VID_BITS 0x0fff

/* Words for Ethernet types and protocols; in matches a word is short for the fields that it sets.
 * Of two that fit, the printer takes the first. */
static const struct {
	const char *word;
	uint16_t dl_type;
	uint8_t nw_proto; /* 0: any */
} protocol_words[] = {
	{"tcp", 0x0800, 6},    {"udp", 0x0800, 17},    {"icmp", 0x0800, 1},
	{"sctp", 0x0800, 132}, {"ip", 0x0800, 0},      {"arp", 0x0806, 0},
	{"tcp6", 0x86dd, 6},   {"udp6", 0x86dd, 17},   {"icmp6", 0x86dd, 58},
	{"sctp6", 0x86dd, 132}, {"ipv6", 0x86dd, 0},   {"rarp", 0x8035, 0},
};

void match_parser_init(struct match_parser *parser, const struct ofport_names *names,
		       bool is_exact)
{
	memset(parser, 0, sizeof(*parser));
	parser->names = names;
	parser->is_exact = is_exact;
}

/* Adds the bits of `part`; refuses what contradicts those that are there. */
static int merge(struct match_parser *parser, const struct match *part, struct span word,
		 struct error *err)
{
	struct match *match = &parser->match;
	uint64_t conflict = 0;

	for (int i = 0; i < FLOW_KEY_WORDS; i++) {
		conflict |= (match->value.w[i] ^ part->value.w[i]) & match->mask.w[i] &
			    part->mask.w[i];
		match->value.w[i] |= part->value.w[i];
		match->mask.w[i] |= part->mask.w[i];
	}
	if (conflict)
		return error_set(err, EINVAL, "%s contradicts what the rule said before it",
				 SPAN_TEXT(word));
	return 0;
}

static void set_vlan(struct match *part, uint16_t value, uint16_t mask)
{
	part->value.vlan_tci = htons(value & mask);
	part->mask.vlan_tci = htons(mask);
}

/* dl_vlan=5, and dl_vlan=0xffff for packets without a tag. */
static int parse_dl_vlan(struct span value, struct match *part, struct error *err)
{
	uint64_t vid;

	if (!scan_number(value, 0xffff, &vid) || (vid > VLAN_VID_BITS && vid != 0xffff))
		return error_set(err, EINVAL,
				 "dl_vlan=%s is neither a VLAN of at most 4095 nor 0xffff (no tag)",
				 SPAN_TEXT(value));
	set_vlan(part, vid == 0xffff ? 0 : FLOW_VLAN_PRESENT | (uint16_t)vid,
		 FLOW_VLAN_PRESENT | VLAN_VID_BITS);
	return 0;
}

/* OpenFlow 1.2's vlan_vid: 13 bits, of which 0x1000 says that there is a tag. An exact value
 * without that bit, which no packet could have, is taken for the VLAN's number. */
static int parse_vlan_vid(struct span text, struct match *part, struct error *err)
{
	const uint16_t all = FLOW_VLAN_PRESENT | VLAN_VID_BITS;
	struct span value, mask;
	uint64_t bits, care = all;
	bool is_masked = span_split(text, '/', &value, &mask);

	if (!scan_number(value, all, &bits) || (is_masked && !scan_number(mask, all, &care)))
		return error_set(err, EINVAL,
				 "vlan_vid=%s is not a number of at most 0x1fff, or VALUE/MASK",
				 SPAN_TEXT(text));
	if (!is_masked && bits)
		bits |= FLOW_VLAN_PRESENT;
	set_vlan(part, (uint16_t)bits, (uint16_t)care);
	return 0;
}

static int parse_vlan_pcp(struct span value, struct match *part, struct error *err)
{
	uint64_t pcp;

	if (!scan_number(value, 7, &pcp))
		return error_set(err, EINVAL, "dl_vlan_pcp=%s is not a number of at most 7",
				 SPAN_TEXT(value));
	set_vlan(part, (uint16_t)(pcp << 13 | FLOW_VLAN_PRESENT), 0xe000 | FLOW_VLAN_PRESENT);
	return 0;
}

static int parse_value(struct match_parser *parser, const struct field_name *name,
		       struct span value, struct match *part, struct error *err)
{
	const struct field *field = field_get(name->id);
	struct field_value bits;
	int ret;

	if (span_equals(value, "*"))
		return 0;
	if (name->id == FIELD_VLAN_PCP)
		return parse_vlan_pcp(value, part, err);
	if (name->id == FIELD_VLAN_VID)
		return strcmp(name->name, field->name) == 0 ? parse_dl_vlan(value, part, err)
							    : parse_vlan_vid(value, part, err);
	ret = field_text_parse(field, value, field->is_maskable, parser->names, &bits, err);
	if (ret)
		return ret;
	field_spread(field, bits.value, &part->value);
	field_spread(field, bits.mask, &part->mask);
	if (name->id == FIELD_IN_PORT && part->value.in_port > OFPORT_MAX &&
	    part->value.in_port != OFPORT_LOCAL)
		return error_set(err, EINVAL, "in_port=%s: no packet comes from there",
				 SPAN_TEXT(value));
	return 0;
}

static int put_field(struct match_parser *parser, const struct field_name *name, struct span value,
		     struct error *err)
{
	struct match part = {0};
	int ret;

	if (value.length == 0)
		return error_set(err, EINVAL, "%s needs a value: %s=VALUE", name->name, name->name);
	if (parser->seen >> name->id & 1)
		return error_set(err, EINVAL, "%s is given twice", name->name);
	if (parser->is_exact && (memchr(value.p, '/', value.length) || span_equals(value, "*")))
		return error_set(err, EINVAL, "%s=%s: a packet has one value, without a mask",
				 name->name, SPAN_TEXT(value));
	ret = parse_value(parser, name, value, &part, err);
	if (ret)
		return ret;
	parser->seen |= UINT64_C(1) << name->id;
	parser->named[parser->n_named++] = name;
	return merge(parser, &part, (struct span){name->name, strlen(name->name)}, err);
}

static int put_protocol(struct match_parser *parser, struct span word, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(protocol_words); i++) {
		struct match part = {0};

		if (!span_equals(word, protocol_words[i].word))
			continue;
		part.value.dl_type = htons(protocol_words[i].dl_type);
		part.mask.dl_type = UINT16_MAX;
		part.value.nw_proto = protocol_words[i].nw_proto;
		part.mask.nw_proto = protocol_words[i].nw_proto ? UINT8_MAX : 0;
		return merge(parser, &part, word, err);
	}
	return -ENOENT;
}

int match_parser_put(struct match_parser *parser, struct span key, struct span value,
		     struct error *err)
{
	const struct field_name *name = field_lookup(key.p, key.length);
	int ret;

	if (name)
		return put_field(parser, name, value, err);
	ret = put_protocol(parser, key, err);
	if (ret == 0 && value.p)
		return error_set(err, EINVAL, "%s takes no value", SPAN_TEXT(key));
	return ret;
}

bool match_needs_hold(const struct match *match, enum field_needs needs)
{
	struct flow_key looked_at = {0};

	return field_needs_hold(needs, &match->value, &looked_at) &&
	       (looked_at.dl_type & ~match->mask.dl_type) == 0 &&
	       (looked_at.nw_proto & ~match->mask.nw_proto) == 0 &&
	       (looked_at.tp_src & ~match->mask.tp_src) == 0;
}

int match_refuse_needs(const struct match *match, const char *what, enum field_needs needs,
		       struct error *err)
{
	struct match first = *match;

	first.value.nw_frag &= (uint8_t)~FLOW_FRAG_LATER;
	if (match_needs_hold(&first, needs))
		return error_set(err, EINVAL, "%s: later fragments do not have it", what);
	return error_set(err, EINVAL, "%s needs %s in the same rule", what,
			 field_needs_text(needs));
}

int match_parser_finish(const struct match_parser *parser, struct error *err)
{
	for (uint32_t i = 0; i < parser->n_named; i++) {
		const struct field_name *name = parser->named[i];

		if (!match_needs_hold(&parser->match, name->needs))
			return match_refuse_needs(&parser->match, name->name, name->needs, err);
	}
	return 0;
}

void match_offer_words(struct suggest *s)
{
	field_offer_names(s);
	for (size_t i = 0; i < ARRAY_SIZE(protocol_words); i++)
		suggest_offer(s, protocol_words[i].word);
}

static int parse(struct match_parser *parser, const char *text, size_t length, struct error *err)
{
	char word[SPAN_TEXT_SIZE], hint[SPAN_TEXT_SIZE + 32];
	struct span rest = {text, length}, key, value;
	struct suggest s;
	int ret;

	while (scan_pair(&rest, &key, &value)) {
		ret = match_parser_put(parser, key, value, err);
		if (ret == -ENOENT) {
			suggest_init(&s, span_text(key, word));
			match_offer_words(&s);
			return error_set(err, EINVAL, "unknown field '%s'%s", word,
					 suggest_format(&s, hint, sizeof(hint)));
		}
		if (ret)
			return ret;
	}
	return match_parser_finish(parser, err);
}

int match_parse(const char *text, size_t length, const struct ofport_names *names,
		struct match *match, struct error *err)
{
	struct match_parser parser;
	int ret;

	match_parser_init(&parser, names, false);
	ret = parse(&parser, text, length, err);
	*match = parser.match;
	return ret;
}

int match_parse_key(const char *text, size_t length, const struct ofport_names *names,
		    struct flow_key *key, struct error *err)
{
	struct match_parser parser;
	int ret;

	match_parser_init(&parser, names, true);
	ret = parse(&parser, text, length, err);
	*key = parser.match.value;
	return ret;
}

/* ---- printing ------------------------------------------------------------------------------ */

static void put_comma(struct strbuf *out, size_t start)
{
	if (out->length > start)
		strbuf_putc(out, ',');
}

/* A match being printed. */
struct match_printer {
	const struct match *match;
	const struct ofport_names *names;
	struct strbuf *out;
	size_t start; /* where in `out` the match starts */
};

/* NAME=VALUE[/MASK], if the match has any of the field's bits. */
static void put_bits(const struct match_printer *p, enum field_id id)
{
	const struct field *field = field_get(id);
	struct field_value bits = {0};

	field_gather(field, &p->match->mask, bits.mask);
	for (size_t i = 0; i < field->n_bytes; i++) {
		if (!bits.mask[i])
			continue;
		field_gather(field, &p->match->value, bits.value);
		put_comma(p->out, p->start);
		strbuf_puts(p->out, field->name);
		strbuf_putc(p->out, '=');
		field_text_format(field, &bits, p->names, p->out);
		return;
	}
}

/* The word for Ethernet type and protocol, as much of them as there is one for. Returns whether the
 * protocol is in it. */
static bool put_protocol_word(const struct match_printer *p)
{
	const struct match *match = p->match;
	uint8_t proto = match->mask.nw_proto == UINT8_MAX ? match->value.nw_proto : 0;

	for (size_t i = 0; i < ARRAY_SIZE(protocol_words); i++) {
		if (match->mask.dl_type != UINT16_MAX ||
		    match->value.dl_type != htons(protocol_words[i].dl_type) ||
		    (protocol_words[i].nw_proto && protocol_words[i].nw_proto != proto))
			continue;
		put_comma(p->out, p->start);
		strbuf_puts(p->out, protocol_words[i].word);
		return protocol_words[i].nw_proto != 0;
	}
	put_bits(p, FIELD_ETH_TYPE);
	return false;
}

static bool is_all_or_none(uint16_t mask, uint16_t bits)
{
	return (mask & bits) == 0 || (mask & bits) == bits;
}

static void put_vlan(const struct match_printer *p)
{
	uint16_t value = ntohs(p->match->value.vlan_tci), mask = ntohs(p->match->mask.vlan_tci);

	if (!(value & mask & FLOW_VLAN_PRESENT) || mask == FLOW_VLAN_PRESENT ||
	    !is_all_or_none(mask, VLAN_VID_BITS) || !is_all_or_none(mask, 0xe000)) {
		put_bits(p, FIELD_VLAN_TCI);
		return;
	}
	put_bits(p, FIELD_VLAN_VID);
	put_bits(p, FIELD_VLAN_PCP);
}

/* Under the name that it has in this protocol, `id`, if that can say it; else as tp_src or
 * tp_dst. */
static void put_tp(const struct match_printer *p, enum field_id id, enum field_id generic,
		   uint16_t value, uint16_t mask)
{
	put_bits(p, mask == UINT16_MAX && ntohs(value) <= field_get(id)->max ? id : generic);
}

static void put_l4(const struct match_printer *p)
{
	const struct flow_key *value = &p->match->value, *mask = &p->match->mask;
	enum field_id type = FIELD_TP_SRC, code = FIELD_TP_DST;

	if (match_needs_hold(p->match, FIELD_NEEDS_ICMP)) {
		type = FIELD_ICMP_TYPE;
		code = FIELD_ICMP_CODE;
	} else if (match_needs_hold(p->match, FIELD_NEEDS_ICMPV6)) {
		type = FIELD_ICMPV6_TYPE;
		code = FIELD_ICMPV6_CODE;
	}
	put_tp(p, type, FIELD_TP_SRC, value->tp_src, mask->tp_src);
	put_tp(p, code, FIELD_TP_DST, value->tp_dst, mask->tp_dst);
	put_bits(p, FIELD_TCP_FLAGS);
	put_bits(p, FIELD_ND_TARGET);
	if (type == FIELD_ICMPV6_TYPE) {
		put_bits(p, FIELD_ND_SLL);
		put_bits(p, FIELD_ND_TLL);
	}
}

void match_format(const struct match *match, const struct ofport_names *names, struct strbuf *out)
{
	static const enum field_id ipv6[] = {FIELD_IPV6_SRC, FIELD_IPV6_DST, FIELD_IPV6_LABEL};
	static const enum field_id ip[] = {FIELD_IP_TOS, FIELD_IP_ECN, FIELD_IP_TTL, FIELD_IP_FRAG};
	const struct match_printer p = {match, names, out, out->length};
	bool is_arp = match_needs_hold(match, FIELD_NEEDS_ARP);
	bool is_icmpv6 = match_needs_hold(match, FIELD_NEEDS_ICMPV6);
	bool has_proto = put_protocol_word(&p);

	put_bits(&p, FIELD_IN_PORT);
	put_vlan(&p);
	put_bits(&p, FIELD_ETH_SRC);
	put_bits(&p, FIELD_ETH_DST);
	put_bits(&p, is_arp ? FIELD_ARP_SPA : FIELD_IPV4_SRC);
	put_bits(&p, is_arp ? FIELD_ARP_TPA : FIELD_IPV4_DST);
	for (size_t i = 0; i < ARRAY_SIZE(ipv6); i++)
		put_bits(&p, ipv6[i]);
	if (!has_proto)
		put_bits(&p, is_arp ? FIELD_ARP_OP : FIELD_IP_PROTO);
	if (!is_icmpv6) {
		put_bits(&p, FIELD_ARP_SHA);
		put_bits(&p, FIELD_ARP_THA);
	}
	for (size_t i = 0; i < ARRAY_SIZE(ip); i++)
		put_bits(&p, ip[i]);
	put_l4(&p);
}
