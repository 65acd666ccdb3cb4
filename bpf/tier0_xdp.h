/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tier0_xdp.h - what an XDP program does with a packet that tier 0 knows (see tier0.h).
 *
 * Everything that could make the answer fail is asked before the first byte is changed: headers
 * that the steps need, TTL, the egress port's MTU. What does not pass goes to user space unchanged,
 * which does the same or counts the drop. For checksums see tier0_csum.h.
 *
 * Thread-safety: each packet is on one processor.
 */
#ifndef VSWITCH_BPF_TIER0_XDP_H
#define VSWITCH_BPF_TIER0_XDP_H

#include "bpf/flow_parse.h"
#include "bpf/tier0.h"
#include "bpf/tier0_csum.h"

/* Datapath port number -> device. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} tier0_devices SEC(".maps");

/* Group number -> devices. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, TIER0_GROUPS_MAX);
	__type(key, __u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_DEVMAP);
			__uint(max_entries, TIER0_GROUP_PORTS);
			__type(key, __u32);
			__type(value, __u32);
		});
} tier0_groups SEC(".maps");

/* Set before loading: without, the verifier leaves out what needs that map. */
const volatile __u32 tier0_groups_on;

FLOW_INLINE void tier0_patch_sums(struct xdp_md *ctx, __u8 sums, __u32 old, __u32 now, __u32 l3_off,
				  __u32 csum)
{
	flow_u16 *field;

	if (sums & (TIER0_SUM_IPV4_HIGH | TIER0_SUM_IPV4_LOW)) {
		field = tier0_at16(ctx, l3_off + 10);
		if (field && (sums & TIER0_SUM_IPV4_HIGH))
			*field = tier0_csum_replace(*field, (__u16)old, (__u16)now);
		if (field && (sums & TIER0_SUM_IPV4_LOW))
			*field = tier0_csum_replace(*field, old >> 16, now >> 16);
	}
	if (!(sums & TIER0_SUM_L4) || !(csum & TIER0_CSUM_OFFSET) ||
	    ((sums & TIER0_SUM_PSEUDO) && (csum & TIER0_CSUM_ICMP)))
		return;
	field = tier0_at16(ctx, csum & TIER0_CSUM_OFFSET);
	if (field) {
		__u16 value = tier0_csum_replace_l4(*field, (__u16)old, (__u16)now, csum);

		*field = tier0_csum_replace_l4(value, old >> 16, now >> 16, csum);
	}
}

FLOW_INLINE void tier0_patch(struct xdp_md *ctx, const struct tier0_op *op, __u32 l3_off,
			     __u32 l4_off, __u32 csum)
{
	__u32 base = op->base == TIER0_BASE_L2 ? 0 : op->base == TIER0_BASE_L3 ? l3_off : l4_off;
	__u8 *p = (__u8 *)(long)ctx->data + TIER0_BOUND(base + op->offset);
	__u32 old, now;

	if (p + 4 > (__u8 *)(long)ctx->data_end)
		return;
	old = *(flow_u32 *)p;
	now = (old & ~op->mask) | op->value;
	*(flow_u32 *)p = now;
	if (op->sums)
		tier0_patch_sums(ctx, op->sums, old, now, l3_off, csum);
}

FLOW_INLINE void tier0_dec_ttl(struct xdp_md *ctx, const struct tier0_op *op, __u32 l3_off)
{
	__u8 *ip = (__u8 *)(long)ctx->data + TIER0_BOUND(l3_off);
	__u16 old, now;

	if (ip + 20 > (__u8 *)(long)ctx->data_end)
		return;
	if (op->base == 6) {
		ip[7]--;
		return;
	}
	old = *(flow_u16 *)(ip + 8);
	ip[8]--;
	now = *(flow_u16 *)(ip + 8);
	*(flow_u16 *)(ip + 10) = tier0_csum_replace(*(flow_u16 *)(ip + 10), old, now);
}

/* One step. Verified by itself: the program calls it in a loop. Returns 0. */
__attribute__((noinline)) int tier0_apply(struct xdp_md *ctx, const struct tier0_op *op,
					  __u32 l3_off, __u32 l4_off, __u32 csum)
{
	if (!op)
		return 0;
	if (op->type == TIER0_OP_PATCH)
		tier0_patch(ctx, op, l3_off, l4_off, csum);
	else if (op->type == TIER0_OP_DEC_TTL)
		tier0_dec_ttl(ctx, op, l3_off);
	return 0;
}

/* Puts a tag between addresses and type. Returns 0 or a negative errno, the frame is as it was. */
FLOW_INLINE int tier0_push_vlan(struct xdp_md *ctx, __be32 tag)
{
	__u8 *p;

	if (bpf_xdp_adjust_head(ctx, -FLOW_VLAN_SIZE))
		return -1;
	p = (__u8 *)(long)ctx->data;
	if (p + 14 + FLOW_VLAN_SIZE > (__u8 *)(long)ctx->data_end)
		return -1;
	*(flow_u32 *)p = *(flow_u32 *)(p + 4);
	*(flow_u32 *)(p + 4) = *(flow_u32 *)(p + 8);
	*(flow_u32 *)(p + 8) = *(flow_u32 *)(p + 12);
	*(flow_u32 *)(p + 12) = tag;
	return 0;
}

FLOW_INLINE int tier0_pop_vlan(struct xdp_md *ctx)
{
	__u8 *p = (__u8 *)(long)ctx->data;

	if (p + 14 + FLOW_VLAN_SIZE > (__u8 *)(long)ctx->data_end)
		return -1;
	*(flow_u32 *)(p + 12) = *(flow_u32 *)(p + 8);
	*(flow_u32 *)(p + 8) = *(flow_u32 *)(p + 4);
	*(flow_u32 *)(p + 4) = *(flow_u32 *)p;
	return bpf_xdp_adjust_head(ctx, FLOW_VLAN_SIZE);
}

/* Do all ports that get a copy take a frame of `len` bytes? Verified by itself, as tier0_apply().
 */
__attribute__((noinline)) int tier0_may_copy(const struct tier0_slot *slot, __u32 len)
{
	if (!slot)
		return 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < TIER0_OPS_MAX && i < slot->n_ops; i++) {
		const struct tier0_target *target;
		__u32 port_no = slot->ops[i].value;

		if (slot->ops[i].type != TIER0_OP_OUTPUT)
			continue;
		target = bpf_map_lookup_elem(&tier0_targets, &port_no);
		if (!target || !(target->flags & TIER0_TARGET_XDP) || len > target->max_len)
			return 0;
	}
	return 1;
}

/* Is all there that the steps need? Says in `partial` whether the checksum is to be finished. */
FLOW_INLINE bool tier0_may_apply(struct xdp_md *ctx, const struct tier0_slot *slot,
				 const struct flow_key *key, const struct flow_layout *layout,
				 __u32 len, __u32 shift, bool *partial)
{
	bool is_split = len > (__u64)((__u8 *)(long)ctx->data_end - (__u8 *)(long)ctx->data);
	const struct tier0_target *target;
	__u32 out = slot->output;

	if (((slot->needs & TIER0_NEEDS_L3) && !layout->l3_off) ||
	    ((slot->needs & TIER0_NEEDS_L4) && !layout->l4_off) || key->nw_ttl < slot->min_ttl)
		return false;
	target = bpf_map_lookup_elem(&tier0_targets, &out);
	if (!target || !(target->flags & TIER0_TARGET_XDP))
		return false;
	len += shift;
	if (slot->vlan == TIER0_VLAN_PUSH)
		len += FLOW_VLAN_SIZE;
	else if (slot->vlan == TIER0_VLAN_POP)
		len -= FLOW_VLAN_SIZE;
	if (len > target->max_len || (is_split && !(target->flags & TIER0_TARGET_FRAGS)))
		return false;
	/* Of a frame of several buffers the kernel would copy the first one alone. */
	if (slot->group && (is_split || !tier0_may_copy(slot, len)))
		return false;
	*partial = (tier0_port.flags & TIER0_PORT_PARTIAL) &&
		   tier0_is_partial(ctx, key, layout->l3_off, layout->l4_off, shift);
	return !*partial || ((tier0_port.flags & TIER0_PORT_FINISH) && !is_split &&
			     len + FLOW_VLAN_SIZE < TIER0_CSUM_FRAME_MAX);
}

/* Changes the headers. Returns 0, or -1 when there is no room for a tag: nothing was changed. */
FLOW_INLINE int tier0_change(struct xdp_md *ctx, const struct tier0_slot *slot,
			     const struct flow_key *key, const struct flow_layout *layout,
			     __be32 off_tag, bool partial)
{
	__u32 l3_off = layout->l3_off, l4_off = layout->l4_off, csum;
	__u32 vlan = slot->vlan, n_ops = slot->n_ops;

	if (off_tag && vlan == TIER0_VLAN_POP) {
		/* The NIC has done it. */
		vlan = TIER0_VLAN_KEEP;
		l3_off -= l3_off ? FLOW_VLAN_SIZE : 0;
		l4_off -= l4_off ? FLOW_VLAN_SIZE : 0;
	} else if (off_tag) {
		/* Room for both, or none. */
		if (vlan == TIER0_VLAN_PUSH)
			return -1;
		if (tier0_push_vlan(ctx, off_tag))
			return -1;
	} else if (vlan == TIER0_VLAN_PUSH) {
		if (tier0_push_vlan(ctx, slot->vlan_tag))
			return -1;
		l3_off += l3_off ? FLOW_VLAN_SIZE : 0;
		l4_off += l4_off ? FLOW_VLAN_SIZE : 0;
	}
	csum = tier0_find_csum(key, l4_off);
	if (partial) {
		tier0_finish_csum(ctx, l4_off, csum & TIER0_CSUM_OFFSET);
		/* It is never 0 from here on, as a UDP one. */
		csum |= TIER0_CSUM_UDP;
	}
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < TIER0_OPS_MAX && i < n_ops; i++)
		tier0_apply(ctx, &slot->ops[i], l3_off, l4_off, csum);
	if (vlan == TIER0_VLAN_POP)
		tier0_pop_vlan(ctx);
	return 0;
}

/* Aims the packet at each device of a group. Returns an XDP action. Verified by itself. */
__attribute__((noinline)) int tier0_redirect_copies(__u32 group)
{
	void *devices;

	if (!tier0_groups_on)
		return XDP_ABORTED;
	devices = bpf_map_lookup_elem(&tier0_groups, &group);
	return devices ? (int)bpf_redirect_map(devices, 0, BPF_F_BROADCAST) : XDP_ABORTED;
}

/* Aims the packet, which may still change, at the ports that get it. Returns an XDP action. */
FLOW_INLINE int tier0_redirect(const struct tier0_slot *slot)
{
	if (slot->group)
		return tier0_redirect_copies(slot->group);
	return (int)bpf_redirect_map(&tier0_devices, slot->output, 0);
}

/*
 * Looks the packet up and carries the answer out. `key` is complete but for in_port; `off_tag`: the
 * tag that the NIC took off, as it would stand in the frame, and that `key` and `layout` count; 0:
 * none. Returns an XDP action, or TIER0_MISS: the packet is as it was.
 */
FLOW_INLINE int tier0_run_xdp(struct xdp_md *ctx, struct flow_key *key,
			      const struct flow_layout *layout, __u32 len, __be32 off_tag)
{
	__u32 shift = off_tag ? FLOW_VLAN_SIZE : 0, slot_no;
	struct tier0_slot *slot;
	bool partial = false;

	key->w[0] |= *(volatile __u32 *)&tier0_port.in_port;
	if (!key->in_port)
		return TIER0_MISS;
	slot_no = (__u32)tier0_lookup(key);
	if (!slot_no)
		return TIER0_MISS;
	slot = bpf_map_lookup_elem(&tier0_slots, &slot_no);
	if (!slot)
		return TIER0_MISS;
	if (!slot->output) {
		tier0_count(slot, len + shift);
		return XDP_DROP;
	}
	/* Without a redirect the device has vanished this very moment. */
	if (!tier0_may_apply(ctx, slot, key, layout, len, shift, &partial) ||
	    tier0_redirect(slot) != XDP_REDIRECT)
		return TIER0_MISS;
	if ((slot->n_ops || slot->vlan || off_tag || partial) &&
	    tier0_change(ctx, slot, key, layout, off_tag, partial))
		return TIER0_MISS;
	tier0_count(slot, len + shift);
	return XDP_REDIRECT;
}

#endif /* VSWITCH_BPF_TIER0_XDP_H */
