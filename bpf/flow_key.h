/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * flow_key.h - what the switch knows of a packet's headers, in one layout for kernel and user
 * space.
 *
 * A `struct flow_key` holds every header field that a rule may match, in network byte order as on
 * the wire (in_port, in host order, is the exception). It is an array of 64-bit words, so that a
 * mask is a second flow_key, and "does this packet match" is (key ^ value) & mask == 0 word by
 * word.
 *
 * Words are ordered by how often they are needed: an Ethernet or IPv4 packet fills the first five,
 * an IPv6 packet the first ten, ARP and neighbour discovery all of them. Words past
 * flow_layout.n_words are zero.
 *
 * flow_key_parse() and flow_key_hash() are compiled twice from this one text: by clang for the XDP
 * program and by the C compiler for user space. The XDP program hands its results over in a
 * `struct xdp_meta` ahead of the frame, so that the worker need not do the work again.
 *
 * A header that is cut short or contradicts itself is treated like Open vSwitch does: the fields of
 * the layers before it are valid, its own and all later ones are zero.
 *
 * Thread-safety: pure functions over the caller's memory.
 */
#ifndef VSWITCH_BPF_FLOW_KEY_H
#define VSWITCH_BPF_FLOW_KEY_H

#include <linux/types.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the flow hash picks bytes out of words for little-endian machines"
#endif

#define FLOW_INLINE static inline __attribute__((always_inline))

/* Number of 64-bit words in a flow key. */
#define FLOW_KEY_WORDS 14
/* Words that Ethernet, IPv4 and non-IP packets use, and IPv6 packets without ND fields. */
#define FLOW_KEY_WORDS_IPV4 5
#define FLOW_KEY_WORDS_IPV6 10

/* flow_key.vlan_tci: set when the packet has a tag (the CFI/DEI bit's place, as in Open vSwitch);
 * host-order value, to be converted with htons. */
#define FLOW_VLAN_PRESENT 0x1000

/* Bytes of an 802.1Q or 802.1ad tag. */
#define FLOW_VLAN_SIZE 4

/* flow_key.dl_type of frames with an 802.3 length instead of an Ethernet type (host order). */
#define FLOW_DL_TYPE_NONE 0x05ff

/* flow_key.nw_frag bits. */
#define FLOW_FRAG_ANY 1 /* the packet is a fragment */
#define FLOW_FRAG_LATER 2 /* and not the first: it has no L4 header */

/* Extension headers that are walked in an IPv6 packet; with more, nw_proto is the next one's number
 * and the L4 fields are zero. */
#define FLOW_IPV6_EXT_MAX 8

struct flow_key {
	union {
		struct {
			/* word 0 */
			__u32 in_port; /* datapath port number, host order */
			__be16 vlan_tci; /* outermost 802.1Q/802.1ad tag | FLOW_VLAN_PRESENT, or
					  * 0 */
			__be16 dl_type; /* Ethernet type behind that tag */
			/* words 1, 2 */
			__u8 dl_dst[6];
			__u8 dl_src[6];
			__u8 nw_frag; /* FLOW_FRAG_* */
			__u8 nw_proto; /* IP protocol behind extension headers; low byte of the ARP
					* opcode */
			__u8 nw_tos; /* DSCP and ECN */
			__u8 nw_ttl; /* TTL or hop limit */
			/* word 3 */
			__be16 tp_src; /* TCP/UDP/SCTP port; ICMP and ICMPv6 type (as a 16-bit
					* number) */
			__be16 tp_dst; /* TCP/UDP/SCTP port; ICMP and ICMPv6 code */
			__be16 tcp_flags; /* low 12 bits */
			__be16 pad1; /* zero */
			/* word 4 */
			__be32 nw_src; /* IPv4; ARP sender protocol address */
			__be32 nw_dst; /* IPv4; ARP target protocol address */
			/* words 5 to 8 */
			__u8 ipv6_src[16];
			__u8 ipv6_dst[16];
			/* word 9 */
			__be32 ipv6_label; /* low 20 bits */
			__u32 pad2; /* zero */
			/* words 10, 11 */
			__u8 nd_target[16]; /* neighbour solicitation and advertisement, RFC 4861 */
			/* words 12, 13 */
			__u8 arp_sha[6]; /* ARP sender hardware address; ND source link-layer
					  * option */
			__u8 arp_tha[6]; /* ARP target hardware address; ND target link-layer
					  * option */
			__u32 pad3; /* zero */
		};
		__u64 w[FLOW_KEY_WORDS];
	};
};

_Static_assert(sizeof(struct flow_key) == 8 * FLOW_KEY_WORDS, "flow_key has no hidden padding");

/* Where the headers are. */
struct flow_layout {
	__u16 l3_off; /* of the IP or ARP header from the start of the frame, bytes; 0: none */
	__u16 l4_off; /* of the TCP, UDP, ICMP.. header, bytes; 0: none (later fragment, cut short)
		       */
	__u8 n_words; /* words of the key that may be non-zero: 5, 10 or 14 */
	__u8 nw_proto; /* as in the key */
	__u8 pad[2]; /* zero */
};

/* xdp_meta.flags */
#define XDP_META_RX_HASH 0x01 /* rx_hash is valid */
#define XDP_META_TIMESTAMP 0x02 /* timestamp is valid */
#define XDP_META_VLAN 0x04 /* the NIC took a tag off: vlan_tci holds it */
#define XDP_META_VLAN_AD 0x08 /* and its type was 802.1ad (0x88a8), not 802.1Q (0x8100) */

/* The first word of a metadata record. Cleared in each frame that is lent to the kernel for
 * receiving, so that a frame which comes without a record cannot be taken for one with an old or a
 * forged record. */
#define XDP_META_MAGIC 0x76735844u

/*
 * The metadata record that the XDP program writes directly ahead of the frame: its last byte is
 * followed by the first byte of the Ethernet header. 32 bytes: the most that every kernel allows.
 */
struct xdp_meta {
	__u32 magic; /* XDP_META_MAGIC */
	__u32 hash; /* flow_key_hash() of the frame, with a tag that the NIC took off back in its
		       place */
	struct flow_layout
		layout; /* of the same; n_words 0: to be parsed anew, hash means nothing */
	__u8 flags; /* XDP_META_* */
	__u8 pad; /* zero */
	__be16 vlan_tci; /* the tag that the NIC took off */
	__u32 rx_hash; /* the NIC's RSS hash */
	__u64 timestamp; /* RX time, ns of the NIC's clock */
};

_Static_assert(sizeof(struct xdp_meta) == 32, "xdp_meta is what every kernel takes");

/* Multiplies and mixes; multilinear hashing, so that the words' products run in parallel. */
#define FLOW_HASH_K0 0x9e3779b97f4a7c15ull
#define FLOW_HASH_K1 0xc2b2ae3d27d4eb4full
#define FLOW_HASH_K2 0x165667b19e3779f9ull
#define FLOW_HASH_K3 0xd6e8feb86659fd93ull
#define FLOW_HASH_K4 0xa0761d6478bd642full
#define FLOW_HASH_K5 0xe7037ed1a0b428dbull

/* Folds a 64-bit state into 32 well-mixed bits. */
FLOW_INLINE __u32 flow_hash_finish(__u64 h)
{
	h ^= h >> 32;
	h *= FLOW_HASH_K0;
	h ^= h >> 29;
	return (__u32)(h >> 16);
}

/*
 * The flow hash: over addresses, ports, protocol, VLAN, and Ethernet type, not over in_port (which
 * the XDP program does not know), TOS, TTL, TCP flags or ND and ARP hardware addresses, so that it
 * stays the same over a connection's life.
 */
FLOW_INLINE __u32 flow_key_hash(const struct flow_key *key, __u8 n_words)
{
	__u64 h = (key->w[0] >> 32) * FLOW_HASH_K1;

	h += (key->w[1] + FLOW_HASH_K5) * FLOW_HASH_K2;
	h += ((key->w[2] & 0x0000ffffffffffffull) + FLOW_HASH_K4) * FLOW_HASH_K3;
	h += (key->w[3] & 0x00000000ffffffffull) * FLOW_HASH_K4;
	h ^= h >> 31;
	h += (key->w[4] + FLOW_HASH_K3) * FLOW_HASH_K5;
	if (n_words > FLOW_KEY_WORDS_IPV4) {
		h ^= h >> 29;
		h += key->w[5] * FLOW_HASH_K1 + key->w[6] * FLOW_HASH_K2;
		h += key->w[7] * FLOW_HASH_K3 + key->w[8] * FLOW_HASH_K4;
	}
	return flow_hash_finish(h);
}

#endif /* VSWITCH_BPF_FLOW_KEY_H */
