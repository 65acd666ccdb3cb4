/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tier0.h - the cache of hot verdicts that BPF programs read: one layout for kernel and user space.
 *
 * User space (datapath/tier0.h) puts megaflows in, the programs of the ports look packets up and
 * carry the answer out, and what is not found goes to user space. All of it lies in arrays that
 * user space has mapped, so that putting a flow in, taking it out, calling it valid again or
 * reading its counters is plain memory, no system call.
 *
 *   tier0_control   one entry: the datapath's generation, the masks and the order to try them in
 *   tier0_buckets   the hash table: a bucket of TIER0_WAYS places, each a signature and the number
 *                   of a slot, in one 64-bit word that is read and written whole; 0: free
 *   tier0_slots     flows: key under the mask, generation, counters, what to do
 *   tier0_targets   by datapath port number: what may be sent to it, and how
 *   tier0_devices   by datapath port number: the device, for XDP's redirect
 *   tier0_groups    by group number: a map of the devices that each get a copy, for the same
 *
 * A packet's way: for each mask in order, hash the masked key; a place of its bucket that has the
 * signature names a slot; the slot counts if its key is the masked key and its generation is the
 * control's. So one store of a new generation makes every flow stale at once, and a slot whose
 * generation is 0 is nobody's. Whoever empties a slot or a mask waits until no program can still be
 * reading it before he uses it for something else (a grace period of the kernel's RCU).
 *
 * What it promises: a packet that was sent after user space stored a new generation never follows
 * an answer of an older one. A packet that was inside a program at that moment may.
 *
 * While a new process takes the tables over (datapath/tier0_adopt.c) slots are held to the
 * generation that its predecessor left, and not to its own, until it has checked them all.
 *
 * The program's own port is `struct tier0_port`, a global of each program, mapped as well.
 *
 * In a program: define TIER0_MAPS before the include, in one file of the object; then
 * tier0_lookup() gives the slot's number. What is done with a packet depends on the hook: XDP's
 * half is tier0_xdp.h, tc's is tier0_tc.h.
 *
 * Thread-safety: see datapath/tier0.h for the writers. Programs run on all processors at once;
 * counters are added to atomically.
 */
#ifndef VSWITCH_BPF_TIER0_H
#define VSWITCH_BPF_TIER0_H

#include "bpf/flow_key.h"

/* Masks that are tried, at most. */
#define TIER0_MASKS_MAX 16
/* Places in a bucket. */
#define TIER0_WAYS 8
/* Steps that change a header, or send a further copy, at most. */
#define TIER0_OPS_MAX 8
/* Entries of targets and devices: datapath port numbers 0 to 4095. */
#define TIER0_PORTS 4096
/* Sets of output ports of XDP's flows with several, numbers 1 to 63. */
#define TIER0_GROUPS_MAX 64
/* Output ports of a flow, at most. */
#define TIER0_GROUP_PORTS (TIER0_OPS_MAX + 1)

struct tier0_mask {
	struct flow_key key;
	__u32 n_words; /* of the key that may be non-zero: 5 or 14 */
	__u32 pad;
};

struct tier0_control {
	__u64 generation; /* the datapath's; slots of another one are stale */
	__u64 held_generation; /* used instead of that one; 0: it is not */
	__u64 order; /* numbers of masks, 4 bits each, the first to be tried lowest */
	__u32 n_masks; /* of them */
	__u32 bucket_mask; /* buckets - 1, a power of two less one; 0: nothing to look up */
	__u64 secret[FLOW_KEY_WORDS]; /* random odd multipliers: nobody outside can aim */
	struct tier0_mask masks[TIER0_MASKS_MAX];
	/* User space's: which programs these tables are for, and the network namespace. */
	__u64 build;
	__u64 netns;
};

/* A place: signature in the upper half, slot number in the lower; 0: free. */
struct tier0_bucket {
	__u64 places[TIER0_WAYS];
};

/* tier0_op.type */
enum {
	TIER0_OP_PATCH, /* 32 bits at base + offset: value under mask */
	TIER0_OP_DEC_TTL, /* by one; `base` is 4 or 6, the IP version */
	TIER0_OP_OUTPUT, /* a copy, as the packet is in the end, to port `value` */
};

/* tier0_op.base of a patch */
enum { TIER0_BASE_L2, TIER0_BASE_L3, TIER0_BASE_L4 };

/* tier0_op.sums of a patch: checksums to keep right */
#define TIER0_SUM_IPV4_HIGH 1 /* the IPv4 header's, for the first 16 bits */
#define TIER0_SUM_IPV4_LOW 2 /* and for the others */
#define TIER0_SUM_L4 4 /* the L4 header's, for 16 bits that change */
#define TIER0_SUM_PSEUDO 8 /* these are in its pseudo-header, which ICMP has not */

struct tier0_op {
	__u8 type; /* TIER0_OP_* */
	__u8 base;
	__u8 offset; /* bytes */
	__u8 sums; /* TIER0_SUM_* */
	__be32 value; /* within the mask; OUTPUT: port number, host order */
	__be32 mask; /* of bits to set */
};

/* tier0_slot.needs: what a packet must have, else user space says what becomes of it */
#define TIER0_NEEDS_L3 1
#define TIER0_NEEDS_L4 2

/* tier0_slot.vlan: after the steps, before the output */
enum {
	TIER0_VLAN_KEEP,
	TIER0_VLAN_PUSH, /* vlan_tag */
	TIER0_VLAN_POP,
};

struct tier0_slot {
	__u64 generation; /* that the answer is good for; 0: the slot is out of use */
	__u64 n_packets; /* added to by programs, never set back while in use */
	__u64 n_bytes; /* of frames as they came in */
	__u64 used_ns; /* CLOCK_MONOTONIC_COARSE of the last packet */
	__u16 output; /* datapath port number; 0: drop */
	__u16 tick; /* of the kernel's clock, when used_ns was written */
	__u8 n_ops;
	__u8 needs; /* TIER0_NEEDS_* */
	__u8 min_ttl; /* least TTL or hop limit for which the steps hold; 0: any */
	__u8 vlan; /* TIER0_VLAN_* */
	__be32 vlan_tag; /* TPID and TCI as in the frame */
	__u8 mask_no;
	__u8 group; /* XDP: of all ports that get the packet; 0: there is but `output` */
	__u8 pad[2];
	struct flow_key key; /* under the mask */
	struct tier0_op ops[TIER0_OPS_MAX];
};

/* tier0_target.flags */
#define TIER0_TARGET_FRAGS 1 /* takes frames of several buffers */
#define TIER0_TARGET_XDP 2 /* XDP programs may redirect to it */
#define TIER0_TARGET_TC 4 /* tc programs may redirect to it */
#define TIER0_TARGET_PEER 8 /* they do by bpf_redirect_peer */

struct tier0_target {
	__u32 max_len; /* longest frame, bytes; 0: send nothing there */
	__u32 ifindex;
	__u32 flags; /* TIER0_TARGET_* */
	__u32 pad;
	/* With TIER0_TARGET_PEER: Ethernet address of the other end, the first six bytes; 0: not
	 * known. Packets for any other address are transmitted in the ordinary way, for
	 * bpf_redirect_peer() makes the other end take them for its own. */
	__u64 peer_mac;
};

/* tier0_port.flags */
#define TIER0_PORT_PARTIAL 1 /* frames may have a partial checksum without telling */
#define TIER0_PORT_FINISH 2 /* and nothing else goes along that tells: it can be finished here */

/* The port whose program it is. */
struct tier0_port {
	__u32 in_port; /* datapath port number; 0: look nothing up */
	__u32 flags; /* TIER0_PORT_* */
};

_Static_assert(sizeof(struct tier0_bucket) == 64, "a bucket is a cache line");
_Static_assert(sizeof(struct tier0_op) == 12, "tier0_op has no hidden padding");
_Static_assert(sizeof(struct tier0_slot) == 256, "a slot is four cache lines");
_Static_assert(TIER0_MASKS_MAX * 4 <= 64, "the order of masks fits a word");

/* Hash of a key under mask `no`: the bucket is its lowest bits, the signature its upper half. */
FLOW_INLINE __u64 tier0_hash(const struct tier0_control *control, __u32 no,
			     const struct flow_key *key, const struct tier0_mask *mask)
{
	__u64 h = no * FLOW_HASH_K2, x;

	for (int i = 0; i < FLOW_KEY_WORDS_IPV4; i++) {
		x = key->w[i] & mask->key.w[i];
		h += (x ^ x >> 32) * control->secret[i];
	}
	if (mask->n_words > FLOW_KEY_WORDS_IPV4) {
		for (int i = FLOW_KEY_WORDS_IPV4; i < FLOW_KEY_WORDS; i++) {
			x = key->w[i] & mask->key.w[i];
			h += (x ^ x >> 32) * control->secret[i];
		}
	}
	h ^= h >> 32;
	h *= FLOW_HASH_K0;
	return h ^ h >> 29;
}

/* Does the slot hold this key under this mask? */
FLOW_INLINE int tier0_matches(const struct tier0_slot *slot, const struct flow_key *key,
			      const struct tier0_mask *mask)
{
	__u64 diff = 0;

	for (int i = 0; i < FLOW_KEY_WORDS_IPV4; i++)
		diff |= (key->w[i] & mask->key.w[i]) ^ slot->key.w[i];
	if (mask->n_words > FLOW_KEY_WORDS_IPV4)
		for (int i = FLOW_KEY_WORDS_IPV4; i < FLOW_KEY_WORDS; i++)
			diff |= (key->w[i] & mask->key.w[i]) ^ slot->key.w[i];
	return diff == 0;
}

#ifdef TIER0_MAPS

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* The loader puts the real maps, which all programs share, in their place. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tier0_control);
} tier0_control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tier0_bucket);
} tier0_buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tier0_slot);
} tier0_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tier0_target);
} tier0_targets SEC(".maps");

/* The program's own port. */
struct tier0_port tier0_port;

/* Not an action of XDP or tc: tier 0 has no answer. */
#define TIER0_MISS (-1)

/* tier0_find_csum(): where the L4 checksum lies, and whose it is. */
#define TIER0_CSUM_OFFSET 0xffff /* from the frame's start; 0: there is none */
#define TIER0_CSUM_UDP 0x10000 /* 0 means none */
#define TIER0_CSUM_ICMP 0x20000 /* without a pseudo-header */

/* Where the L4 checksum lies: TIER0_CSUM_*. */
FLOW_INLINE __u32 tier0_find_csum(const struct flow_key *key, __u32 l4_off)
{
	if (!l4_off)
		return 0;
	switch (key->nw_proto) {
	case 6:
		return l4_off + 16;
	case 17:
		return (l4_off + 6) | TIER0_CSUM_UDP;
	case 136:
		return l4_off + 6;
	case 1:
		return (l4_off + 2) | TIER0_CSUM_ICMP;
	case 58:
		return l4_off + 2;
	default:
		return 0;
	}
}

/* The slot that the bucket has for the signature; 0: none. */
FLOW_INLINE __u32 tier0_find_place(const struct tier0_bucket *bucket, __u32 signature)
{
	__u64 place;

#pragma clang loop unroll(full)
	for (int i = 0; i < TIER0_WAYS; i++) {
		place = *(const volatile __u64 *)&bucket->places[i];
		if (place >> 32 == signature)
			return (__u32)place;
	}
	return 0;
}

/*
 * Returns the number of the slot that answers for a packet with `key` (in_port filled in), or 0.
 * A function of its own, so that the verifier walks through it once and not for each way through
 * the parser.
 */
__attribute__((noinline)) int tier0_lookup(const struct flow_key *key)
{
	const struct tier0_control *control;
	__u64 order, held;
	__u32 zero = 0;

	control = bpf_map_lookup_elem(&tier0_control, &zero);
	if (!control || !key)
		return 0;
	order = control->order;
	held = *(const volatile __u64 *)&control->held_generation;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < TIER0_MASKS_MAX && i < control->n_masks; i++) {
		__u32 no = order & (TIER0_MASKS_MAX - 1), slot_no, bucket_no;
		const struct tier0_mask *mask = &control->masks[no];
		const struct tier0_bucket *bucket;
		const struct tier0_slot *slot;
		__u64 hash;

		order >>= 4;
		hash = tier0_hash(control, no, key, mask);
		bucket_no = (__u32)hash & control->bucket_mask;
		bucket = bpf_map_lookup_elem(&tier0_buckets, &bucket_no);
		if (!bucket)
			return 0;
		slot_no = tier0_find_place(bucket, (__u32)(hash >> 32));
		if (!slot_no)
			continue;
		slot = bpf_map_lookup_elem(&tier0_slots, &slot_no);
		if (slot && tier0_matches(slot, key, mask) &&
		    *(const volatile __u64 *)&slot->generation ==
			    (held ? held : *(const volatile __u64 *)&control->generation))
			return (int)slot_no;
	}
	return 0;
}

/* Counts a frame of `len` bytes. */
FLOW_INLINE void tier0_count(struct tier0_slot *slot, __u32 len)
{
	__u16 tick = (__u16)bpf_jiffies64();

	__sync_fetch_and_add(&slot->n_packets, 1);
	__sync_fetch_and_add(&slot->n_bytes, len);
	/* The coarse clock goes with the tick, and takes a call to read. */
	if (tick == slot->tick && slot->used_ns)
		return;
	slot->tick = tick;
	slot->used_ns = bpf_ktime_get_coarse_ns();
}

#endif /* TIER0_MAPS */

#endif /* VSWITCH_BPF_TIER0_H */
