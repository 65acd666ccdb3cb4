/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * field.h - the header fields that rules may match and set, one row each.
 *
 * The table drives the parser, the printer, set_field, the prerequisites, and the documentation: a
 * new field is a new row. Names and meanings are those of ovs-fields(7).
 *
 * Thread-safety: constants only.
 */
#ifndef VSWITCH_OPENFLOW_FIELD_H
#define VSWITCH_OPENFLOW_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "bpf/flow_key.h"
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

#endif /* VSWITCH_OPENFLOW_FIELD_H */
