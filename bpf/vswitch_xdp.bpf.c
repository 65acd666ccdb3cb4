// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * vswitch_xdp.bpf.c - the XDP program of an AF_XDP port.
 *
 * Parses the headers once. What tier 0 (tier0.h) has an answer for is sent on or dropped here. For
 * the rest it writes what it found into a struct xdp_meta directly ahead of the frame and hands the
 * frame to the AF_XDP socket of its receive queue. The worker takes hash and header offsets from
 * the record. Where there is no room for a record the frame goes without one, and where no socket
 * is (queue not taken, or the switch is starting or stopping) it goes to the host.
 *
 * Programs of one text, of which the loader (xdp_prog.h) loads one:
 *   vswitch_xdp_hints  asks the driver for RX hash, timestamp and VLAN tag through the metadata
 *                      kfuncs; must be bound to the device when loaded (BPF_F_XDP_DEV_BOUND_ONLY)
 *   vswitch_xdp        asks for nothing; for generic mode and older kernels
 *   .._t0              each of these two, with tier 0
 *   vswitch_xdp_bare   writes no record and looks nothing up, it only redirects; for a dispatcher
 *                      whose places are for programs that do not change the packet, which room
 *                      for a record does
 *
 * They are loaded with BPF_F_XDP_HAS_FRAGS where the kernel has multi-buffer: `data` to `data_end`
 * is then the first buffer, which holds all headers that flow_parse.h looks at.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#define TIER0_MAPS
#include "bpf/flow_parse.h"
#include "bpf/pinned_xdp.h"
#include "bpf/tier0_xdp.h"
#include "bpf/xdp_host.h"

struct pinned_xdp pinned_xdp;

/* What the kernel calls the kinds of RX hash; only its name matters here. */
enum xdp_rss_hash_type {
	XDP_RSS_TYPE_NONE = 0,
};

/* Kernel 6.3 and 6.8; where one is missing its address is NULL. */
extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *timestamp) __ksym __weak;
extern int bpf_xdp_metadata_rx_hash(const struct xdp_md *ctx, __u32 *hash,
				    enum xdp_rss_hash_type *rss_type) __ksym __weak;
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *vlan_proto,
					__u16 *vlan_tci) __ksym __weak;

/* Kernel 6.2: no call at all, the verifier replaces it. */
extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;

/* What of the kernel's struct is needed here; where it lies is found out when the program is
 * loaded. */
struct xdp_buff {
	__u32 flags;
} __attribute__((preserve_access_index));

/* xdp_buff.flags: there are further buffers. */
#define XDP_BUFF_HAS_FRAGS 1

/* Receive queue -> AF_XDP socket. The loader sets max_entries to the number of queues. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

/* Length of the whole frame, bytes. A call is a tenth of what a hit in tier 0 costs, so the helper
 * is asked only about frames of several buffers. Not for a dispatcher's programs. */
static __always_inline __u32 get_len(struct xdp_md *ctx)
{
	const struct xdp_buff *buff;

	if (bpf_cast_to_kern_ctx) {
		buff = bpf_cast_to_kern_ctx(ctx);
		if (!(buff->flags & XDP_BUFF_HAS_FRAGS))
			return ctx->data_end - ctx->data;
	}
	return (__u32)bpf_xdp_get_buff_len(ctx);
}

/* Asks the driver for the tag that it took off, which is a part of the key. Returns it as it would
 * stand in the frame; 0: there is none. */
static __always_inline __be32 read_vlan(const struct xdp_md *ctx)
{
	__be16 proto = 0;
	__u16 tci = 0;

	if (!bpf_xdp_metadata_rx_vlan_tag || bpf_xdp_metadata_rx_vlan_tag(ctx, &proto, &tci))
		return 0;
	return FLOW_BE16(proto == FLOW_BE16(0x88a8) ? 0x88a8 : 0x8100) | (__be32)FLOW_BE16(tci)
										 << 16;
}

/*
 * Layout of the frame and key as they will be once the worker has put the tag back. With a second
 * tag in the frame nothing behind the first is parsed, so that key is left to the worker: n_words
 * 0.
 */
static __always_inline void restore_vlan(struct flow_key *key, struct flow_layout *layout,
					 __be32 tag)
{
	if (key->vlan_tci) {
		layout->n_words = 0;
		return;
	}
	key->vlan_tci = (__be16)(tag >> 16) | FLOW_BE16(FLOW_VLAN_PRESENT);
	if (layout->l3_off)
		layout->l3_off += FLOW_VLAN_SIZE;
	if (layout->l4_off)
		layout->l4_off += FLOW_VLAN_SIZE;
}

/* What only the worker wants to know. Before adjust_meta: the answers are read in place. */
struct hints {
	__u32 rx_hash;
	__u8 flags; /* XDP_META_* */
	__u64 timestamp;
};

static __always_inline void read_hints(const struct xdp_md *ctx, struct hints *hints)
{
	enum xdp_rss_hash_type rss_type = XDP_RSS_TYPE_NONE;

	if (bpf_xdp_metadata_rx_hash && !bpf_xdp_metadata_rx_hash(ctx, &hints->rx_hash, &rss_type))
		hints->flags |= XDP_META_RX_HASH;
	if (bpf_xdp_metadata_rx_timestamp && !bpf_xdp_metadata_rx_timestamp(ctx, &hints->timestamp))
		hints->flags |= XDP_META_TIMESTAMP;
}

/* Member by member: clang 14 turns the copy of a struct that is partly constant into one that lacks
 * the rest. */
static __always_inline void write_meta(struct xdp_meta *to, const struct flow_key *key,
				       const struct flow_layout *layout, __be32 tag,
				       const struct hints *hints)
{
	__u8 flags = hints->flags;

	if (tag)
		flags |= (__be16)tag == FLOW_BE16(0x88a8) ? XDP_META_VLAN | XDP_META_VLAN_AD
							  : XDP_META_VLAN;
	to->magic = XDP_META_MAGIC;
	to->hash = flow_key_hash(key, layout->n_words);
	to->layout.l3_off = layout->l3_off;
	to->layout.l4_off = layout->l4_off;
	to->layout.n_words = layout->n_words;
	to->layout.nw_proto = layout->nw_proto;
	to->layout.pad[0] = 0;
	to->layout.pad[1] = 0;
	to->flags = flags;
	to->pad = 0;
	to->vlan_tci = (__be16)(tag >> 16);
	to->rx_hash = hints->rx_hash;
	to->timestamp = hints->timestamp;
}

static __always_inline int redirect(struct xdp_md *ctx)
{
	return (int)bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS);
}

static __always_inline int run(struct xdp_md *ctx, bool hints, bool tier0)
{
	__u32 len = tier0 ? get_len(ctx) : (__u32)bpf_xdp_get_buff_len(ctx);
	__be32 tag = hints ? read_vlan(ctx) : 0;
	struct hints more = {.rx_hash = 0};
	struct flow_layout layout;
	struct xdp_meta *to;
	struct flow_key key;
	int action;

	if (flow_key_parse((const __u8 *)(long)ctx->data, (const __u8 *)(long)ctx->data_end, len,
			   &key, &layout))
		goto redirect;
	if (xdp_host_wants(ctx, &key, &layout))
		return XDP_PASS;
	if (tag)
		restore_vlan(&key, &layout, tag);
	if (tier0 && layout.n_words) {
		action = tier0_run_xdp(ctx, &key, &layout, len, tag);
		if (action != TIER0_MISS)
			return action;
	}
	if (hints)
		read_hints(ctx, &more);
	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*to)))
		goto redirect;
	to = (void *)(long)ctx->data_meta;
	if ((void *)(to + 1) > (void *)(long)ctx->data) {
		/* Cannot be, but the verifier has to be shown. */
		bpf_xdp_adjust_meta(ctx, sizeof(*to));
		goto redirect;
	}
	write_meta(to, &key, &layout, tag, &more);
redirect:
	return redirect(ctx);
}

SEC("xdp")
int vswitch_xdp(struct xdp_md *ctx)
{
	return run(ctx, false, false);
}

SEC("xdp")
int vswitch_xdp_hints(struct xdp_md *ctx)
{
	return run(ctx, true, false);
}

SEC("xdp")
int vswitch_xdp_t0(struct xdp_md *ctx)
{
	return run(ctx, false, true);
}

SEC("xdp")
int vswitch_xdp_hints_t0(struct xdp_md *ctx)
{
	return run(ctx, true, true);
}

SEC("xdp")
int vswitch_xdp_bare(struct xdp_md *ctx)
{
	struct flow_layout layout;
	struct flow_key key;

	if (xdp_host_on &&
	    !flow_key_parse((const __u8 *)(long)ctx->data, (const __u8 *)(long)ctx->data_end,
			    (__u32)bpf_xdp_get_buff_len(ctx), &key, &layout) &&
	    xdp_host_wants(ctx, &key, &layout))
		return XDP_PASS;
	return redirect(ctx);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
