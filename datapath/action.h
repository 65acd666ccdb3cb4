/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * action.h - what the datapath does with a packet: the compiled form of a rule's actions.
 *
 * Translation (openflow/xlate.h) turns rules into a flat list of these; workers run the list over
 * batches. A list is applied in order; output in the middle sends the packet as it is at that
 * point. An empty list drops, under flow.drop_reason.
 *
 * Thread-safety: a list is immutable once it belongs to a flow. action_run() is for the worker that
 * holds the packet.
 */
#ifndef VSWITCH_DATAPATH_ACTION_H
#define VSWITCH_DATAPATH_ACTION_H

#include <stddef.h>
#include <stdint.h>
#include "datapath/packet.h"

/* Most actions in a list; a flood to every port of a large bridge fits. */
#define ACTION_LIST_MAX 4096

enum action_type {
	ACTION_OUTPUT, /* to datapath port `port` */
	ACTION_SET_ETH_SRC, /* value.mac */
	ACTION_SET_ETH_DST, /* value.mac */
	ACTION_SET_IPV4_SRC, /* value.ipv4 */
	ACTION_SET_IPV4_DST, /* value.ipv4 */
	ACTION_SET_IPV6_SRC, /* value.ipv6 */
	ACTION_SET_IPV6_DST, /* value.ipv6 */
	ACTION_SET_IPV6_LABEL, /* value.be32, low 20 bits */
	ACTION_SET_TOS, /* value.u8: the whole byte, under mask (DSCP 0xfc, ECN 0x03); IPv4 and
			 * IPv6 */
	ACTION_SET_TTL, /* value.u8; IPv4 and IPv6 */
	ACTION_DEC_TTL, /* drops as ttl_expired when it is 0 or 1 */
	ACTION_SET_TP_SRC, /* value.be16: TCP, UDP, SCTP source port; ICMP type */
	ACTION_SET_TP_DST, /* value.be16: destination port; ICMP code */
	ACTION_SET_ARP_OP, /* value.be16 */
	ACTION_SET_ARP_SPA, /* value.ipv4 */
	ACTION_SET_ARP_TPA, /* value.ipv4 */
	ACTION_SET_ARP_SHA, /* value.mac */
	ACTION_SET_ARP_THA, /* value.mac */
	ACTION_SET_ND_TARGET, /* value.ipv6 */
	ACTION_PUSH_VLAN, /* value.be16: TPID; the new tag's TCI is 0, or the former tag's */
	ACTION_POP_VLAN, /* nothing to do on an untagged packet */
	ACTION_SET_VLAN_TCI, /* value.be16 under mask.be16 (VID 0x0fff, PCP 0xe000), without the CFI
			      * bit; adds an 802.1Q tag when there is none */
};

union action_value {
	uint8_t mac[6];
	uint8_t ipv6[16];
	uint32_t be32;
	uint32_t ipv4;
	uint16_t be16;
	uint8_t u8;
};

struct action {
	uint16_t type; /* enum action_type */
	uint16_t pad;
	uint32_t port; /* ACTION_OUTPUT: datapath port number */
	union action_value value; /* network byte order */
	union action_value mask; /* bits of the field to set; all ones for the whole field */
};

/* A growing list of actions. */
struct action_list {
	struct action *actions; /* owned, malloc */
	uint32_t n;
	uint32_t capacity;
};

void action_list_init(struct action_list *list);
void action_list_uninit(struct action_list *list);
/* Appends; returns 0, -ENOMEM, or -E2BIG past ACTION_LIST_MAX. */
int action_list_append(struct action_list *list, const struct action *action) WARN_UNUSED;
int action_list_append_output(struct action_list *list, uint32_t port) WARN_UNUSED;

/* Applies one header-changing action (not OUTPUT) to the packet: checksums are kept right the
 * incremental way and hash and layout are dropped or moved along. Returns 0, or a DROP_* reason as
 * a negative number when the packet must be dropped. */
int action_apply(const struct action *action, struct packet *packet) WARN_UNUSED;

/* Writes the list as text ("set_eth_src(02:..),output(3)", "drop") into `buf`; returns the length
 * it has or would have. */
size_t action_list_format(const struct action *actions, uint32_t n, char *buf, size_t size);

#endif /* VSWITCH_DATAPATH_ACTION_H */
