/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tier0_csum.h - L4 checksums in an XDP program of tier 0 (see tier0_xdp.h): kept right when
 * headers change, and finished where the sender has left that to a device.
 *
 * Changes follow datapath/action_apply.c bit by bit: RFC 1624, 16 bits at a time. A checksum that
 * is only the pseudo-header's sum, which is what veths and TAPs let through, is finished ahead of
 * the changes, as packet_finish_csum() in datapath/offload.c does behind them: over all there is
 * from the L4 header on. Both come to the same, for from there on it is never 0: of two values that
 * mean the same, 0xffff is taken, by changes as well.
 *
 * Not where the program runs on an skb in which the packet goes on (generic mode, some of a TAP's):
 * the skb tells in a place of its own that the checksum is partial, so the kernel would finish it
 * once more.
 *
 * Thread-safety: each packet is on one processor.
 */
#ifndef VSWITCH_BPF_TIER0_CSUM_H
#define VSWITCH_BPF_TIER0_CSUM_H

#include "bpf/flow_parse.h"
#include "bpf/tier0.h"

/* Headers lie in the first FLOW_HEADERS_SIZE_MAX bytes; the verifier wants to see it. */
#define TIER0_BOUND(offset) ((offset) & (FLOW_HEADERS_SIZE_MAX - 1))

/* Frames whose checksum is finished are shorter than this; a power of two. */
#define TIER0_CSUM_FRAME_MAX 16384
/* Bytes that are summed at a time: 512 is the most of bpf_csum_diff() before Linux 6.13. */
#define TIER0_CSUM_LONG 512
#define TIER0_CSUM_SHORT 128

/* RFC 1624, equation 3. */
FLOW_INLINE __u16 tier0_csum_replace(__u16 csum, __u16 old, __u16 now)
{
	__u32 sum = (__u16)~csum + (__u32)(__u16)~old + now;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

FLOW_INLINE __u16 tier0_csum_replace_l4(__u16 csum, __u16 old, __u16 now, __u32 kind)
{
	if (old == now || ((kind & TIER0_CSUM_UDP) && csum == 0))
		return csum;
	csum = tier0_csum_replace(csum, old, now);
	return (kind & TIER0_CSUM_UDP) && csum == 0 ? 0xffff : csum;
}

FLOW_INLINE flow_u16 *tier0_at16(struct xdp_md *ctx, __u32 offset)
{
	__u8 *p = (__u8 *)(long)ctx->data + TIER0_BOUND(offset);

	return p + 2 <= (__u8 *)(long)ctx->data_end ? (flow_u16 *)p : NULL;
}

/* Sum of 16-bit words, folded; not complemented. */
FLOW_INLINE __u16 tier0_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

/*
 * Is the L4 checksum nothing but the pseudo-header's sum, to be finished by the device? As
 * packet_resolve_csum() in datapath/offload.c. `shift`: bytes of a tag that the offsets count and
 * the frame lacks.
 */
FLOW_INLINE bool tier0_is_partial(struct xdp_md *ctx, const struct flow_key *key, __u32 l3_off,
				  __u32 l4_off, __u32 shift)
{
	__u64 sum;
	flow_u16 *len, *csum;

	if (!l4_off || (key->nw_proto != 6 && key->nw_proto != 17))
		return false;
	if (key->dl_type == FLOW_BE16(0x0800)) {
		if (key->nw_frag)
			return false;
		len = tier0_at16(ctx, l3_off - shift + 2);
		if (!len)
			return true;
		sum = __builtin_bswap16(*len) - (l4_off - l3_off);
		sum = (__u64)__builtin_bswap32((__u32)sum) + key->nw_src + key->nw_dst;
	} else {
		len = tier0_at16(ctx, l3_off - shift + 4);
		if (!len)
			return true;
		sum = __builtin_bswap16(*len) + 40u - (l4_off - l3_off);
		sum = __builtin_bswap32((__u32)sum);
		for (int i = 5; i < 9; i++)
			sum += (key->w[i] & 0xffffffff) + (key->w[i] >> 32);
	}
	sum += __builtin_bswap32(key->nw_proto);
	csum = tier0_at16(ctx, l4_off - shift + (key->nw_proto == 6 ? 16 : 6));
	return !csum || *csum == tier0_fold(sum);
}

/* A walk over a frame's bytes. */
struct tier0_summer {
	const __u8 *data; /* the frame's first byte */
	const __u8 *end; /* one past its last */
	__u32 offset; /* of the next byte to be summed */
	__u64 sum; /* of the ones before, in words of 16 bits or longer ones, not folded */
};

/* Where the next byte lies. The verifier is to see nothing but a bound, so that it takes all ways
 * to this place for one. */
FLOW_INLINE const __u8 *tier0_sum_at(const struct tier0_summer *s)
{
	return s->data + (s->offset & (TIER0_CSUM_FRAME_MAX - 1));
}

/* Sums as many blocks of `size` bytes, a constant, as there are, but `n` at most. */
FLOW_INLINE void tier0_sum_blocks(struct tier0_summer *s, const __u32 size, const __u32 n)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < n; i++) {
		const __u8 *p = tier0_sum_at(s);

		if (p + size > s->end)
			return;
		if (size == 8) {
			s->sum += *(const flow_u32 *)p;
			s->sum += *(const flow_u32 *)(p + 4);
		} else {
			s->sum = (__u32)bpf_csum_diff(NULL, 0, (void *)p, size, (__u32)s->sum);
		}
		s->offset += size;
	}
}

/* The last bytes, seven at most; an odd one is the first of a word padded with zero. */
FLOW_INLINE void tier0_sum_rest(struct tier0_summer *s)
{
	const __u8 *p = tier0_sum_at(s);

	if (p + 4 <= s->end) {
		s->sum += *(const flow_u32 *)p;
		p += 4;
	}
	if (p + 2 <= s->end) {
		s->sum += *(const flow_u16 *)p;
		p += 2;
	}
	if (p + 1 <= s->end)
		s->sum += *p;
}

/*
 * Finishes a partial checksum, which lies at `field`: the sum from `start` to the frame's end, in
 * one buffer and shorter than TIER0_CSUM_FRAME_MAX. Verified by itself. Returns 0.
 */
__attribute__((noinline)) int tier0_finish_csum(struct xdp_md *ctx, __u32 start, __u32 field)
{
	struct tier0_summer s = {
		.data = (const __u8 *)(long)ctx->data,
		.end = (const __u8 *)(long)ctx->data_end,
		.offset = start,
	};
	flow_u16 *csum = tier0_at16(ctx, field);
	__u16 value;

	if (!csum)
		return 0;
	/* Else the compiler reads them anew in a loop, as 32 bits, which are no pointers then. */
	__asm__ volatile("" : "+r"(s.data), "+r"(s.end));
	tier0_sum_blocks(&s, TIER0_CSUM_LONG, TIER0_CSUM_FRAME_MAX / TIER0_CSUM_LONG);
	tier0_sum_blocks(&s, TIER0_CSUM_SHORT, TIER0_CSUM_LONG / TIER0_CSUM_SHORT);
	tier0_sum_blocks(&s, 8, TIER0_CSUM_SHORT / 8);
	tier0_sum_rest(&s);
	value = (__u16)~tier0_fold(s.sum);
	*csum = value ? value : 0xffff;
	return 0;
}

#endif /* VSWITCH_BPF_TIER0_CSUM_H */
