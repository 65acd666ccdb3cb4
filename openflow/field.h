/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * field.h - the header fields that rules may match and set, one row each.
 *
 * The table drives the parser, the printer, set_field, the prerequisites, and the documentation: a
 * new field is a new row. Names and meanings are those of ovs-fields(7).
 *
 * A field has a value of n_bytes bytes in network byte order: what a person writes, and what
 * ofaction.set carries. It stands in a flow_key as `key_size` bytes at `key_off`, moved left by
 * `shift` bits: ip_dscp=10 is 40 in the byte nw_tos. field_spread() and field_gather() go from one
 * form to the other, so that nobody else needs to know where a field lies.
 *
 * Several names can mean one field (nw_src, ip_src) and differ in what they need of the packet
 * (tcp_src wants TCP, udp_src UDP, tp_src any of them): struct field_name. NXM_OF_TCP_SRC and the
 * like are names too.
 *
 * Prerequisites. A packet without an IPv4 header has no nw_src: the key's bits are zero or mean
 * something else. field_needs_hold() says whether a packet has the field; a match that names one
 * must make sure of it, and an action that sets one leaves other packets as they are.
 *
 * Thread-safety: constants only.
 */
#ifndef VSWITCH_OPENFLOW_FIELD_H
#define VSWITCH_OPENFLOW_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "bpf/flow_key.h"
#include "lib/suggest.h"
#include "openflow/match.h"

enum field_id {
	FIELD_IN_PORT,
	FIELD_ETH_DST,
	FIELD_ETH_SRC,
	FIELD_ETH_TYPE,
	FIELD_VLAN_TCI, /* the whole 16 bits with the present bit, "vlan_tci" */
	FIELD_VLAN_VID, /* "dl_vlan", "vlan_vid" */
	FIELD_VLAN_PCP, /* "dl_vlan_pcp", "vlan_pcp" */
	FIELD_IP_PROTO, /* "nw_proto", "ip_proto" */
	FIELD_IP_TOS,   /* "nw_tos": the byte with ECN bits 0 */
	FIELD_IP_DSCP,  /* "ip_dscp": 6 bits */
	FIELD_IP_ECN,   /* "nw_ecn", "ip_ecn": 2 bits */
	FIELD_IP_TTL,   /* "nw_ttl" */
	FIELD_IP_FRAG,  /* "nw_frag", "ip_frag": no, yes, first, later, not_later */
	FIELD_IPV4_SRC, /* "nw_src", "ip_src" */
	FIELD_IPV4_DST,
	FIELD_IPV6_SRC,
	FIELD_IPV6_DST,
	FIELD_IPV6_LABEL,
	FIELD_TP_SRC, /* "tp_src", "tcp_src", "udp_src", "sctp_src" */
	FIELD_TP_DST,
	FIELD_TCP_FLAGS,
	FIELD_ICMP_TYPE, /* "icmp_type"; the same bits as tp_src */
	FIELD_ICMP_CODE,
	FIELD_ICMPV6_TYPE,
	FIELD_ICMPV6_CODE,
	FIELD_ARP_OP,
	FIELD_ARP_SPA,
	FIELD_ARP_TPA,
	FIELD_ARP_SHA,
	FIELD_ARP_THA,
	FIELD_ND_TARGET,
	FIELD_ND_SLL,
	FIELD_ND_TLL,
	FIELD_N_IDS
};

/* The longest field, bytes. */
#define FIELD_BYTES_MAX 16

/* How a value is written. */
enum field_form {
	FIELD_FORM_DECIMAL, /* 80; in hexadecimal when masked: 0x50/0xfff0 */
	FIELD_FORM_HEX,     /* 0x0800, as many digits as the field holds */
	FIELD_FORM_MAC,
	FIELD_FORM_IPV4,
	FIELD_FORM_IPV6,
	FIELD_FORM_PORT,      /* an OpenFlow port: number, name, LOCAL */
	FIELD_FORM_FRAG,      /* no, yes, first, later, not_later */
	FIELD_FORM_TCP_FLAGS, /* +syn-ack, syn|ack */
};

/* What a packet must be to have the field. */
enum field_needs {
	FIELD_NEEDS_NOTHING,
	FIELD_NEEDS_ARP,
	FIELD_NEEDS_IPV4,
	FIELD_NEEDS_IPV6,
	FIELD_NEEDS_IP,         /* IPv4 or IPv6 */
	FIELD_NEEDS_IPV4_ARP,   /* nw_src and nw_dst stand for arp_spa and arp_tpa too */
	FIELD_NEEDS_IP_ARP,     /* nw_proto stands for arp_op too */
	FIELD_NEEDS_TCP,        /* over IPv4 or IPv6, as all below */
	FIELD_NEEDS_UDP,
	FIELD_NEEDS_SCTP,
	FIELD_NEEDS_PORTS,      /* TCP, UDP or SCTP */
	FIELD_NEEDS_PORTS_ICMP, /* tp_src and tp_dst stand for ICMP's type and code too */
	FIELD_NEEDS_ICMP,
	FIELD_NEEDS_ICMPV6,
	FIELD_NEEDS_ANY_ICMP,   /* ovs-ofctl prints icmp_type for ICMPv6 too */
	FIELD_NEEDS_ND,         /* ICMPv6 type 135 or 136, code 0 */
	FIELD_NEEDS_ND_SOLICIT, /* type 135 */
	FIELD_NEEDS_ND_ADVERT,  /* type 136 */
	FIELD_NEEDS_N
};

struct field {
	const char *name;  /* as printed; also a name to parse */
	uint32_t max;      /* largest value, for fields of up to 4 bytes; also the bits of a value
			    * that may be 1 */
	uint32_t exact;    /* mask of an exact match, likewise, before `shift`; differs from
			    * `max` where the place in the key is wider than the field (ICMP) */
	uint8_t form;      /* enum field_form */
	uint8_t needs;     /* enum field_needs: packets that have it, for set_field */
	uint8_t key_off;   /* place in struct flow_key, bytes; in_port is in host order there */
	uint8_t key_size;  /* bytes there */
	uint8_t shift;     /* bits that the value is moved left by in the key */
	uint8_t n_bytes;   /* of a value */
	bool is_maskable;  /* a match may name a part of its bits */
	bool is_writable;  /* set_field and load may set it */
};

struct field_name {
	const char *name;
	uint8_t id;    /* enum field_id */
	uint8_t needs; /* enum field_needs: what a match by this name needs */
};

const struct field *field_get(enum field_id id);

/* The field called `name`, `length` bytes, letter case as printed; NULL: there is none. */
const struct field_name *field_lookup(const char *name, size_t length);

/* Offers the names to `s`, but for those in capitals, which only programs write. */
void field_offer_names(struct suggest *s);

/* Clears `key` but for the field's bits, which become those of `value` (field->n_bytes). Serves for
 * masks just as well. */
void field_spread(const struct field *field, const uint8_t *value, struct flow_key *key);

/* The other way round: the field's bits of `key` into `value` (field->n_bytes). */
void field_gather(const struct field *field, const struct flow_key *key, uint8_t *value);

/* The mask of an exact match, field->n_bytes. */
void field_get_exact(const struct field *field, uint8_t *mask);

/* Replaces the bits `mask` of the field in `key` by those of `value` (as in ofaction.set). Leaves
 * the VLAN present bit alone: whoever sets vlan_vid or vlan_pcp of an untagged packet adds a tag
 * first. */
void field_set(const struct field *field, const uint8_t *value, const uint8_t *mask,
	       struct flow_key *key);

/* Is the packet with `key` of the kind that `needs` says? Adds the bits that decided to
 * `looked_at`, which may be NULL. */
bool field_needs_hold(enum field_needs needs, const struct flow_key *key,
		      struct flow_key *looked_at);

/* The same in words, for messages: "ip", "tcp, udp or sctp (or tcp6, udp6, sctp6)". */
const char *field_needs_text(enum field_needs needs);

#endif /* VSWITCH_OPENFLOW_FIELD_H */
