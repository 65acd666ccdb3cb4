/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tier0_tc.h - what a tc program does with a packet that tier 0 knows (see tier0.h).
 *
 * A packet is an skb here: up to 64 KiB still to be cut into segments, a checksum still to be
 * finished, its VLAN tag beside the frame. All of that stays as it is; what the program needs of
 * the packet, the kernel's helpers change with regard to it.
 *
 * Everything that could make the answer fail is asked before the first byte is changed: headers
 * that the steps need, TTL, the egress ports' MTU, a tag that cannot be set. What does not pass
 * goes to user space unchanged, which does the same or counts the drop.
 *
 * Headers are read where they lie linear; packets are punted whose headers do not. Nothing is
 * written directly, so that the packets of a container's TCP, which keeps clones of them, are not
 * copied unless a header changes.
 *
 * Thread-safety: each packet is on one processor.
 */
#ifndef VSWITCH_BPF_TIER0_TC_H
#define VSWITCH_BPF_TIER0_TC_H

#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>

#include "bpf/flow_parse.h"
#include "bpf/tier0.h"

/* Bytes behind the start of an L4 header that steps write to or need. */
#define TIER0_L4_SIZE 20

/* A packet as the steps see it. Offsets are those in the skb, without a tag beside it. */
struct tier0_skb {
	__u32 l3_off; /* 0: none */
	__u32 l4_off;
	__u32 csum; /* TIER0_CSUM_* */
	__u32 len; /* of the frame with its tag, bytes */
	__u32 has_tag; /* beside the frame */
};

/* Is all in the key that there is, although the linear part may have ended before the headers? */
FLOW_INLINE bool tier0_is_whole(const struct flow_key *key, const struct flow_layout *layout)
{
	if (key->nw_frag & FLOW_FRAG_LATER)
		return true;
	return layout->l4_off && key->nw_proto != 58;
}

/* Fills key (but in_port) and `at`. Returns 0 or -1: the packet is for user space. */
FLOW_INLINE int tier0_parse_tc(struct __sk_buff *skb, struct flow_key *key,
			       struct flow_layout *layout, struct tier0_skb *at)
{
	const __u8 *data = (const __u8 *)(long)skb->data;
	const __u8 *end = (const __u8 *)(long)skb->data_end;
	__u32 linear = (__u32)(end - data);

	if (flow_key_parse(data, end, skb->len, key, layout))
		return -1;
	if (linear < skb->len && linear < FLOW_HEADERS_SIZE_MAX && !tier0_is_whole(key, layout))
		return -1;
	at->len = skb->len;
	at->l3_off = layout->l3_off;
	at->l4_off = layout->l4_off;
	at->csum = tier0_find_csum(key, layout->l4_off);
	at->has_tag = skb->vlan_present;
	if (!at->has_tag)
		return 0;
	/* Behind a second tag nothing would have been parsed, and the kernel takes it out when the
	 * first one goes. */
	if (key->vlan_tci || key->dl_type == FLOW_BE16(0x8100) ||
	    key->dl_type == FLOW_BE16(0x88a8))
		return -1;
	key->vlan_tci = FLOW_BE16(skb->vlan_tci) | FLOW_BE16(FLOW_VLAN_PRESENT);
	at->len += FLOW_VLAN_SIZE;
	return 0;
}

/* Length of the longest frame that the packet becomes on a wire. */
FLOW_INLINE __u32 tier0_wire_len(struct __sk_buff *skb, const struct tier0_skb *at, __u32 nw_proto)
{
	__u8 offset = 0x20;

	if (!skb->gso_size)
		return at->len;
	if (nw_proto == 6)
		bpf_skb_load_bytes(skb, at->l4_off + 12, &offset, 1);
	return at->l4_off + (offset >> 4) * 4 + skb->gso_size + at->len - skb->len;
}

/* May the packet go to this port? `grows`: bytes that a step adds. */
FLOW_INLINE bool tier0_may_send(struct __sk_buff *skb, const struct tier0_skb *at, __u32 port_no,
				__u32 nw_proto, int grows)
{
	const struct tier0_target *target = bpf_map_lookup_elem(&tier0_targets, &port_no);

	if (!target || !(target->flags & TIER0_TARGET_TC) || !target->max_len)
		return false;
	/* A veth takes them as they are. */
	if (skb->gso_size && (target->flags & TIER0_TARGET_PEER))
		return true;
	return (int)tier0_wire_len(skb, at, nw_proto) + grows <= (int)target->max_len;
}

/* Is all there that the steps need? */
FLOW_INLINE bool tier0_may_apply_tc(struct __sk_buff *skb, const struct tier0_slot *slot,
				    const struct flow_key *key, const struct tier0_skb *at)
{
	int grows = slot->vlan == TIER0_VLAN_PUSH  ? FLOW_VLAN_SIZE
		    : slot->vlan == TIER0_VLAN_POP ? -FLOW_VLAN_SIZE
						   : 0;

	if (((slot->needs & TIER0_NEEDS_L3) && !at->l3_off) ||
	    ((slot->needs & TIER0_NEEDS_L4) && !at->l4_off) || key->nw_ttl < slot->min_ttl)
		return false;
	/* A tag in the frame, although the kernel takes the first one out: there were two. */
	if (slot->vlan == TIER0_VLAN_POP && !at->has_tag)
		return false;
	if (!tier0_may_send(skb, at, slot->output, key->nw_proto, grows))
		return false;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < TIER0_OPS_MAX && i < slot->n_ops; i++) {
		const struct tier0_op *op = &slot->ops[i];

		if (op->type == TIER0_OP_OUTPUT &&
		    !tier0_may_send(skb, at, op->value, key->nw_proto, grows))
			return false;
		if (op->type == TIER0_OP_PATCH && op->base == TIER0_BASE_L2 && op->offset == 12 &&
		    !at->has_tag)
			return false;
	}
	return true;
}

/* Makes what the steps change the packet's own, and linear. Returns 0, or -1: nothing changed. */
FLOW_INLINE int tier0_make_writable(struct __sk_buff *skb, const struct tier0_skb *at)
{
	__u32 need = at->l4_off ? at->l4_off + TIER0_L4_SIZE : at->l3_off ? at->l3_off + 40 : 14;

	/* A sum over the whole packet is not followed through all changes. */
	if ((__s64)bpf_csum_update(skb, 0) >= 0)
		return -1;
	return bpf_skb_pull_data(skb, need < skb->len ? need : skb->len) ? -1 : 0;
}

/* Sets bits of the tag that lies beside the frame. */
FLOW_INLINE int tier0_patch_tag(struct __sk_buff *skb, const struct tier0_op *op)
{
	__u32 old = (__u32)(__u16)skb->vlan_proto | (__u32)FLOW_BE16(skb->vlan_tci) << 16;
	__u32 now = (old & ~op->mask) | op->value;

	if (bpf_skb_vlan_pop(skb))
		return -1;
	return bpf_skb_vlan_push(skb, (__be16)now, FLOW_BE16(now >> 16)) ? -1 : 0;
}

FLOW_INLINE void tier0_patch_sums_tc(struct __sk_buff *skb, const struct tier0_skb *at, __u8 sums,
				     __u32 old, __u32 now)
{
	__u32 csum = at->csum & TIER0_CSUM_OFFSET, flags = 0;

	if (sums & TIER0_SUM_IPV4_HIGH)
		bpf_l3_csum_replace(skb, at->l3_off + 10, (__u16)old, (__u16)now, 2);
	if (sums & TIER0_SUM_IPV4_LOW)
		bpf_l3_csum_replace(skb, at->l3_off + 10, old >> 16, now >> 16, 2);
	if (!(sums & TIER0_SUM_L4) || !csum ||
	    ((sums & TIER0_SUM_PSEUDO) && (at->csum & TIER0_CSUM_ICMP)))
		return;
	if (sums & TIER0_SUM_PSEUDO)
		flags |= BPF_F_PSEUDO_HDR;
	if (at->csum & TIER0_CSUM_UDP)
		flags |= BPF_F_MARK_MANGLED_0;
	if ((__u16)old != (__u16)now)
		bpf_l4_csum_replace(skb, csum, (__u16)old, (__u16)now, flags | 2);
	if (old >> 16 != now >> 16)
		bpf_l4_csum_replace(skb, csum, old >> 16, now >> 16, flags | 2);
}

FLOW_INLINE int tier0_patch_tc(struct __sk_buff *skb, const struct tier0_op *op,
			       const struct tier0_skb *at)
{
	__u32 offset = op->offset, old, now;

	if (op->base == TIER0_BASE_L2 && offset == 12)
		return tier0_patch_tag(skb, op);
	if (op->base == TIER0_BASE_L3)
		offset += at->l3_off;
	else if (op->base == TIER0_BASE_L4)
		offset += at->l4_off;
	if (bpf_skb_load_bytes(skb, offset, &old, 4))
		return -1;
	now = (old & ~op->mask) | op->value;
	if (bpf_skb_store_bytes(skb, offset, &now, 4, BPF_F_INVALIDATE_HASH))
		return -1;
	if (op->sums)
		tier0_patch_sums_tc(skb, at, op->sums, old, now);
	return 0;
}

FLOW_INLINE int tier0_dec_ttl_tc(struct __sk_buff *skb, const struct tier0_op *op,
				 const struct tier0_skb *at)
{
	__u16 old, now;
	__u8 hops;

	if (op->base == 6) {
		if (bpf_skb_load_bytes(skb, at->l3_off + 7, &hops, 1))
			return -1;
		hops--;
		return (int)bpf_skb_store_bytes(skb, at->l3_off + 7, &hops, 1, 0);
	}
	if (bpf_skb_load_bytes(skb, at->l3_off + 8, &old, 2))
		return -1;
	now = (__u16)((old & 0xff00) | (__u8)((__u8)old - 1));
	bpf_l3_csum_replace(skb, at->l3_off + 10, old, now, 2);
	return (int)bpf_skb_store_bytes(skb, at->l3_off + 8, &now, 2, 0);
}

/* One step that changes a header. Verified by itself: the program calls it in a loop. Returns 0 or
 * -1. */
__attribute__((noinline)) int tier0_apply_tc(struct __sk_buff *skb, const struct tier0_op *op,
					     const struct tier0_skb *at)
{
	if (!op || !at)
		return -1;
	if (op->type == TIER0_OP_PATCH)
		return tier0_patch_tc(skb, op, at);
	if (op->type == TIER0_OP_DEC_TTL)
		return tier0_dec_ttl_tc(skb, op, at);
	return 0;
}

/* Changes the headers, then the tag. Returns 0, or -1: the packet is spoiled. */
FLOW_INLINE int tier0_change_tc(struct __sk_buff *skb, const struct tier0_slot *slot,
				const struct tier0_skb *at)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < TIER0_OPS_MAX && i < slot->n_ops; i++)
		if (tier0_apply_tc(skb, &slot->ops[i], at))
			return -1;
	if (slot->vlan == TIER0_VLAN_POP)
		return (int)bpf_skb_vlan_pop(skb);
	if (slot->vlan == TIER0_VLAN_PUSH)
		return (int)bpf_skb_vlan_push(skb, (__be16)slot->vlan_tag,
					      FLOW_BE16(slot->vlan_tag >> 16));
	return 0;
}

/* Sends copies to all ports but the last. One that cannot be made is lost. */
FLOW_INLINE void tier0_send_copies(struct __sk_buff *skb, const struct tier0_slot *slot)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < TIER0_OPS_MAX && i < slot->n_ops; i++) {
		const struct tier0_target *target;
		__u32 port_no = slot->ops[i].value;

		if (slot->ops[i].type != TIER0_OP_OUTPUT)
			continue;
		target = bpf_map_lookup_elem(&tier0_targets, &port_no);
		if (target)
			bpf_clone_redirect(skb, target->ifindex, 0);
	}
}

/* Is the frame for that address, as in tier0_target.peer_mac? */
FLOW_INLINE bool tier0_is_for(struct __sk_buff *skb, __u64 address)
{
	__u64 dst = 0;

	return address && !bpf_skb_load_bytes(skb, 0, &dst, 6) && dst == address;
}

/* Sends the packet itself. */
FLOW_INLINE int tier0_send(struct __sk_buff *skb, const struct tier0_target *target)
{
	if ((target->flags & TIER0_TARGET_PEER) && tier0_is_for(skb, target->peer_mac) &&
	    !bpf_skb_change_type(skb, PACKET_HOST))
		return (int)bpf_redirect_peer(target->ifindex, 0);
	return (int)bpf_redirect(target->ifindex, 0);
}

/*
 * Looks the packet that came in by `in_port` up and carries the answer out. Returns a tc action, or
 * TIER0_MISS: the packet is as it was.
 */
FLOW_INLINE int tier0_run_tc(struct __sk_buff *skb, __u32 in_port)
{
	const struct tier0_target *target;
	struct flow_layout layout;
	struct tier0_slot *slot;
	struct tier0_skb at;
	struct flow_key key;
	__u32 slot_no, out;

	if (tier0_parse_tc(skb, &key, &layout, &at))
		return TIER0_MISS;
	key.in_port = in_port;
	slot_no = (__u32)tier0_lookup(&key);
	if (!slot_no)
		return TIER0_MISS;
	slot = bpf_map_lookup_elem(&tier0_slots, &slot_no);
	if (!slot)
		return TIER0_MISS;
	if (!slot->output) {
		tier0_count(slot, at.len);
		return TC_ACT_SHOT;
	}
	if (!tier0_may_apply_tc(skb, slot, &key, &at))
		return TIER0_MISS;
	if (slot->n_ops || slot->vlan) {
		if (tier0_make_writable(skb, &at))
			return TIER0_MISS;
		if (tier0_change_tc(skb, slot, &at))
			return TC_ACT_SHOT;
		tier0_send_copies(skb, slot);
	}
	tier0_count(slot, at.len);
	out = slot->output;
	target = bpf_map_lookup_elem(&tier0_targets, &out);
	return target ? tier0_send(skb, target) : TC_ACT_SHOT;
}

#endif /* VSWITCH_BPF_TIER0_TC_H */
