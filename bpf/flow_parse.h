/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * flow_parse.h - takes a frame's headers apart into a flow key; one text for kernel and user space.
 *
 * Written so that the kernel's verifier can follow it: every access is preceded by a comparison
 * with `end`, loops have constant bounds. See flow_key.h for what comes out.
 *
 * Sources: IEEE 802.1Q (tags), RFC 826 (ARP), RFC 791 (IPv4), RFC 8200 (IPv6 and its extension
 * headers), RFC 4302 (AH), RFC 4861 (ND), RFC 9293 (TCP).
 *
 * Thread-safety: pure functions over the caller's memory.
 */
#ifndef VSWITCH_BPF_FLOW_PARSE_H
#define VSWITCH_BPF_FLOW_PARSE_H

#include "bpf/flow_key.h"

#define FLOW_BE16(x) ((__be16)__builtin_bswap16((__u16)(x)))

/* An IPv6 packet's extension headers, and one ND option, are skipped up to so many bytes; what lies
 * behind a longer one is not looked at. So everything that is read lies in the first bytes of a
 * frame: in the first buffer of whoever received it, and both compilations see the same. */
#define FLOW_IPV6_EXT_SIZE_MAX 256
#define FLOW_ND_OPTION_SIZE_MAX 64
/* A power of two. Tag and IPv6 header, extension headers, ND message and two options are less. */
#define FLOW_HEADERS_SIZE_MAX 512

#ifdef __bpf__
/* The compiler takes packets for unaligned and reads them by bytes, unless told otherwise. */
#define FLOW_COPY_BY(type)                                                                         \
	do {                                                                                       \
		for (; size - i >= sizeof(type); i += (__u32)sizeof(type))                         \
			*(type *)((__u8 *)to + i) = *(const type *)((const __u8 *)from + i);       \
	} while (0)

typedef __u64 __attribute__((may_alias)) flow_u64;
typedef __u32 __attribute__((may_alias)) flow_u32;
typedef __u16 __attribute__((may_alias)) flow_u16;

/* Copies `size` bytes, a constant and even; `to` is as aligned as the key's member of that size. */
FLOW_INLINE void flow_copy(void *to, const void *from, const __u32 size)
{
	__u32 i = 0;

	if (size != 6) {
		FLOW_COPY_BY(flow_u64);
		FLOW_COPY_BY(flow_u32);
	}
	FLOW_COPY_BY(flow_u16);
}

/* Where the parser stands, as a plain offset: the verifier forgets by which way it came, and takes
 * all ways from here on for one. Without this it walks each of them: ten times the work. */
FLOW_INLINE const __u8 *flow_rebase(const __u8 *data, const __u8 *p)
{
	__u64 offset = (__u64)(p - data);

	__asm__ volatile("" : "+r"(offset));
	offset &= FLOW_HEADERS_SIZE_MAX - 1;
	return data + offset;
}
#else
#define flow_copy(to, from, size) __builtin_memcpy(to, from, size)
#define flow_rebase(data, p) (p)
#endif

FLOW_INLINE __u32 flow_load32(const __u8 *p)
{
	__u32 value;

	flow_copy(&value, p, 4);
	return value;
}

FLOW_INLINE __u16 flow_load16(const __u8 *p)
{
	__u16 value;

	flow_copy(&value, p, 2);
	return value;
}

/* One frame on its way through the parser. */
struct flow_parser {
	const __u8 *data; /* first byte of the Ethernet header */
	const __u8 *end; /* one past the last byte that may be read (the first buffer's end) */
	const __u8 *p; /* the next header */
	__u32 frame_len; /* of the whole frame, bytes; may be more than end - data */
};

/* The L4 header at `ps->p`, of protocol key->nw_proto; `l4_len`: as the IP header has it. */
FLOW_INLINE void flow_parse_l4(struct flow_parser *ps, __u32 l4_len, struct flow_key *key,
			       struct flow_layout *lay)
{
	const __u8 *p = ps->p;

	switch (key->nw_proto) {
	case 6: /* TCP */
		if (l4_len < 20 || p + 20 > ps->end)
			return;
		key->w[3] = flow_load32(p) | (__u64)(flow_load16(p + 12) & FLOW_BE16(0x0fff)) << 32;
		break;
	case 17: /* UDP */
	case 136: /* UDP-Lite */
		if (l4_len < 8 || p + 8 > ps->end)
			return;
		key->w[3] = flow_load32(p);
		break;
	case 132: /* SCTP */
		if (l4_len < 12 || p + 12 > ps->end)
			return;
		key->w[3] = flow_load32(p);
		break;
	case 1: /* ICMP */
		if (key->dl_type != FLOW_BE16(0x0800) || l4_len < 4 || p + 4 > ps->end)
			return;
		key->tp_src = FLOW_BE16(p[0]);
		key->tp_dst = FLOW_BE16(p[1]);
		break;
	default:
		return;
	}
	lay->l4_off = (__u16)(p - ps->data);
}

/* Options of a neighbour solicitation or advertisement, `left` bytes: the link-layer addresses. */
FLOW_INLINE void flow_parse_nd_options(const __u8 *p, const __u8 *end, __u32 left,
				       struct flow_key *key)
{
	/* Two options are all that solicitations and advertisements define addresses for. */
	for (int i = 0; i < 2; i++) {
		__u32 size;

		if (left < 8 || p + 8 > end)
			return;
		size = p[1] * 8u;
		if (size == 0 || size > left || size > FLOW_ND_OPTION_SIZE_MAX)
			return;
		if (p[0] == 1 && size == 8)
			flow_copy(key->arp_sha, p + 2, 6);
		else if (p[0] == 2 && size == 8)
			flow_copy(key->arp_tha, p + 2, 6);
		p += size;
		left -= size;
	}
}

FLOW_INLINE void flow_parse_icmpv6(struct flow_parser *ps, __u32 l4_len, struct flow_key *key,
				   struct flow_layout *lay)
{
	const __u8 *p = ps->p;

	if (l4_len < 4 || p + 4 > ps->end)
		return;
	key->tp_src = FLOW_BE16(p[0]);
	key->tp_dst = FLOW_BE16(p[1]);
	lay->l4_off = (__u16)(p - ps->data);
	if ((p[0] != 135 && p[0] != 136) || p[1] != 0 || l4_len < 24 || p + 24 > ps->end)
		return;
	flow_copy(key->nd_target, p + 8, 16);
	lay->n_words = FLOW_KEY_WORDS;
	flow_parse_nd_options(p + 24, ps->end, l4_len - 24, key);
}

FLOW_INLINE void flow_parse_ipv4(struct flow_parser *ps, struct flow_key *key,
				 struct flow_layout *lay)
{
	const __u8 *p = ps->p;
	__u32 ihl, total_len, l3_off = (__u32)(p - ps->data);
	__be16 frag;

	if (p + 20 > ps->end)
		return;
	ihl = (p[0] & 0x0fu) * 4;
	total_len = (__u32)p[2] << 8 | p[3];
	if (p[0] >> 4 != 4 || ihl < 20 || total_len < ihl || l3_off + total_len > ps->frame_len)
		return;
	lay->l3_off = (__u16)l3_off;
	key->w[2] |= (__u64)p[9] << 40 | (__u64)p[1] << 48 | (__u64)p[8] << 56;
	flow_copy(&key->nw_src, p + 12, 8);
	frag = flow_load16(p + 6);
	if (frag & FLOW_BE16(0x3fff)) {
		key->nw_frag = FLOW_FRAG_ANY;
		if (frag & FLOW_BE16(0x1fff)) {
			key->nw_frag |= FLOW_FRAG_LATER;
			return;
		}
	}
	ps->p = flow_rebase(ps->data, p + ihl);
	if (ps->p > ps->end)
		return;
	flow_parse_l4(ps, total_len - ihl, key, lay);
}

/*
 * Walks the extension headers from ps->p on. Returns the payload's length behind them, or 0 when
 * there is no L4 header to be read.
 */
FLOW_INLINE __u32 flow_parse_ipv6_ext(struct flow_parser *ps, __u32 left, __u8 next,
				      struct flow_key *key)
{
	__u32 skipped = 0;

	for (int i = 0; i < FLOW_IPV6_EXT_MAX; i++) {
		const __u8 *p = ps->p;
		__u32 size;

		key->nw_proto = next;
		switch (next) {
		case 0: /* hop-by-hop options */
		case 43: /* routing */
		case 60: /* destination options */
			if (left < 8 || p + 8 > ps->end)
				return 0;
			size = (p[1] + 1u) * 8;
			break;
		case 51: /* authentication */
			if (left < 8 || p + 8 > ps->end)
				return 0;
			size = (p[1] + 2u) * 4;
			break;
		case 44: /* fragment */
			if (left < 8 || p + 8 > ps->end)
				return 0;
			size = 8;
			key->nw_frag = FLOW_FRAG_ANY;
			if (p[2] || (p[3] & 0xf8)) {
				key->nw_frag |= FLOW_FRAG_LATER;
				key->nw_proto = p[0];
				return 0;
			}
			break;
		default:
			return left;
		}
		skipped += size;
		if (size > left || skipped > FLOW_IPV6_EXT_SIZE_MAX || p + size > ps->end)
			return 0;
		left -= size;
		next = p[0];
		ps->p = flow_rebase(ps->data, p + size);
	}
	key->nw_proto = next;
	return 0;
}

FLOW_INLINE void flow_parse_ipv6(struct flow_parser *ps, struct flow_key *key,
				 struct flow_layout *lay)
{
	const __u8 *p = ps->p;
	__u32 left, l3_off = (__u32)(p - ps->data);

	if (p + 40 > ps->end)
		return;
	left = (__u32)p[4] << 8 | p[5];
	if (p[0] >> 4 != 6 || l3_off + 40 + left > ps->frame_len)
		return;
	lay->l3_off = (__u16)l3_off;
	lay->n_words = FLOW_KEY_WORDS_IPV6;
	key->w[2] |= (__u64)(__u8)(p[0] << 4 | p[1] >> 4) << 48 | (__u64)p[7] << 56;
	key->w[9] = flow_load32(p) & __builtin_bswap32(0x000fffff);
	flow_copy(key->ipv6_src, p + 8, 32);
	ps->p = p + 40;
	left = flow_parse_ipv6_ext(ps, left, p[6], key);
	if (left == 0)
		return;
	if (key->nw_proto == 58)
		flow_parse_icmpv6(ps, left, key, lay);
	else
		flow_parse_l4(ps, left, key, lay);
}

FLOW_INLINE void flow_parse_arp(struct flow_parser *ps, struct flow_key *key,
				struct flow_layout *lay)
{
	const __u8 *p = ps->p;

	if (p + 28 > ps->end)
		return;
	/* Ethernet hardware, IPv4 protocol, 6 and 4 byte addresses. */
	if (p[0] != 0 || p[1] != 1 || p[2] != 8 || p[3] != 0 || p[4] != 6 || p[5] != 4)
		return;
	lay->l3_off = (__u16)(p - ps->data);
	lay->n_words = FLOW_KEY_WORDS;
	key->nw_proto = p[6] ? 0 : p[7];
	flow_copy(key->arp_sha, p + 8, 6);
	flow_copy(&key->nw_src, p + 14, 4);
	flow_copy(key->arp_tha, p + 18, 6);
	flow_copy(&key->nw_dst, p + 24, 4);
}

/*
 * Fills `key` (all but in_port, which the caller sets afterwards) and `lay` from the frame at
 * `data`. `end` bounds what may be read; `frame_len` is the whole frame's length in bytes.
 *
 * Returns 0, or -1 for a frame shorter than an Ethernet header: it has no key.
 *
 * Words of the key are written whole where that is little trouble, for they are read so, at once: a
 * processor hands a store on to a load that it covers, and has to wait for others.
 */
FLOW_INLINE int flow_key_parse(const __u8 *data, const __u8 *end, __u32 frame_len,
			       struct flow_key *key, struct flow_layout *lay)
{
	struct flow_parser ps = {.data = data, .end = end, .frame_len = frame_len};
	const __u8 *p = data + 14;
	__be16 dl_type;

	__builtin_memset(key, 0, sizeof(*key));
	__builtin_memset(lay, 0, sizeof(*lay));
	lay->n_words = FLOW_KEY_WORDS_IPV4;
	if (p > end)
		return -1;
	flow_copy(&key->w[1], data, 8);
	key->w[2] = flow_load32(data + 8);
	dl_type = flow_load16(data + 12);
	key->w[0] = (__u64)dl_type << 48;
	if (dl_type == FLOW_BE16(0x8100) || dl_type == FLOW_BE16(0x88a8)) {
		if (p + 4 > end)
			return 0;
		dl_type = flow_load16(p + 2);
		key->w[0] = (__u64)dl_type << 48 |
			    (__u64)(flow_load16(p) | FLOW_BE16(FLOW_VLAN_PRESENT)) << 32;
		p += 4;
	}
	ps.p = p;
	if (dl_type == FLOW_BE16(0x0800)) {
		flow_parse_ipv4(&ps, key, lay);
	} else if (dl_type == FLOW_BE16(0x86dd)) {
		flow_parse_ipv6(&ps, key, lay);
	} else if (dl_type == FLOW_BE16(0x0806)) {
		flow_parse_arp(&ps, key, lay);
	} else if (__builtin_bswap16(dl_type) < 0x0600) {
		key->dl_type = FLOW_BE16(FLOW_DL_TYPE_NONE);
	}
	lay->nw_proto = key->nw_proto;
	return 0;
}

#endif /* VSWITCH_BPF_FLOW_PARSE_H */
