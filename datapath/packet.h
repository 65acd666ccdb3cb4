/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * packet.h - one packet on its way through the switch, with the offloads it carries.
 *
 * A packet is a chain of one or more segments, each a `struct packet` with a frame of its own
 * (frame_pool.h). The first segment, the head, holds all headers and the facts about the whole;
 * jumbo frames and GSO packets of up to 64 KiB are long chains. Only head members are valid for
 * the whole; in later segments data, len and next alone have meaning.
 *
 * Offloads in the model of struct virtio_net_hdr (virtio 1.2, section 5.1.6):
 *   csum == PACKET_CSUM_PARTIAL: the L4 checksum field holds the uncomplemented pseudo-header sum;
 *     who finishes it sums from csum_start to the end and stores the complement at
 *     csum_start + csum_offset.
 *   gso_type != PACKET_GSO_NONE: to be cut into segments of gso_size payload bytes.
 * What the way out cannot take is done in software, once, last: see offload.h.
 *
 * Life cycle: packet_alloc -> filled by a port's rx -> switched -> a port's tx, which owns it from
 * then on -> packet_free.
 *
 * Thread-safety: a packet belongs to one thread at a time, the one that holds it.
 */
#ifndef VSWITCH_DATAPATH_PACKET_H
#define VSWITCH_DATAPATH_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "bpf/flow_key.h"
#include "datapath/frame_pool.h"

/* Most packets handled at once. */
#define PACKET_BATCH_MAX 32
/* Most bytes in a packet: a 64 KiB IP packet behind Ethernet and VLAN headers. */
#define PACKET_LEN_MAX (65535u + 14 + 8)

enum packet_csum {
	PACKET_CSUM_UNKNOWN, /* as on the wire: may be right or wrong, not our business */
	PACKET_CSUM_COMPLETE, /* verified by who handed it to us */
	PACKET_CSUM_PARTIAL, /* to be finished, see above */
	PACKET_CSUM_MAYBE, /* from a device whose sender may leave it partial without telling
			    * (veth by AF_XDP): packet_resolve_csum() in offload.h finds out */
};

enum packet_gso { /* values of virtio_net_hdr.gso_type */
		  PACKET_GSO_NONE = 0,
		  PACKET_GSO_TCP4 = 1,
		  PACKET_GSO_TCP6 = 4,
		  PACKET_GSO_UDP_L4 =
			  5, /* USO: datagrams. UFO (3) is not taken: its segments are fragments */
};

struct packet {
	/* First cache line: what each packet needs. */
	uint8_t *data; /* first byte of this segment */
	uint32_t len; /* bytes in this segment */
	uint32_t total_len; /* head: bytes in the whole chain */
	struct packet *next; /* next segment, or NULL */
	uint32_t hash; /* head: flow_key_hash(), valid if has_hash */
	uint32_t in_port; /* head: datapath port number it came in by */
	struct flow_layout layout; /* head: where the headers are, valid if has_hash */
	bool has_hash; /* head: hash is that of the packet as it came in, layout is that of its
			* bytes as they are now */
	uint8_t csum; /* head: enum packet_csum */
	uint8_t gso_type; /* head: enum packet_gso */
	uint8_t n_segs; /* head: segments in the chain, this one included */
	uint16_t gso_size; /* head: payload bytes per segment */
	uint16_t csum_start; /* head: offset from the first byte */
	uint16_t csum_offset; /* head: of the checksum field from csum_start */
	uint16_t pad;
	uint32_t owner; /* FRAME_FREE, FRAME_HELD or a queue's id; see frame_pool.h */

	/* Second cache line. */
	uint8_t *frame cacheline_aligned; /* the frame's first byte, for good */
	uint64_t timestamp; /* head: RX time by the NIC's clock, ns; 0: none */
	uint32_t rx_hash; /* head: the NIC's RSS hash; 0: none */
};

_Static_assert(offsetof(struct packet, frame) == 64, "the hot half is one cache line");

/* Packets that go the same way together. */
struct packet_batch {
	uint32_t n;
	struct packet *packets[PACKET_BATCH_MAX];
};

/* The packet that lives in frame `frame_no`. */
static inline struct packet *packet_from_frame(const struct frame_pool *pool, uint32_t frame_no)
{
	return &pool->packets[frame_no];
}

static inline uint32_t packet_frame_no(const struct frame_pool *pool, const struct packet *packet)
{
	return (uint32_t)(packet - pool->packets);
}

/* Bytes that can still be put ahead of the data. */
static inline uint32_t packet_headroom(const struct packet *packet)
{
	return (uint32_t)(packet->data - packet->frame);
}

/* Bytes that can still be put behind this segment's data. */
static inline uint32_t packet_tailroom(const struct packet *packet)
{
	return FRAME_SIZE - packet_headroom(packet) - packet->len;
}

/*
 * In one segment, with nothing left to be done to it by offloads: most packets are so, and one load
 * and comparison tells.
 */
static inline bool packet_is_plain(const struct packet *packet)
{
	const uint32_t mask = 0xfffffe00u, plain = 1u << 24;
	uint32_t facts;

	_Static_assert(offsetof(struct packet, csum) == offsetof(struct packet, has_hash) + 1 &&
			       offsetof(struct packet, gso_type) ==
				       offsetof(struct packet, has_hash) + 2 &&
			       offsetof(struct packet, n_segs) ==
				       offsetof(struct packet, has_hash) + 3,
		       "they lie together");
	_Static_assert(PACKET_CSUM_COMPLETE == 1 && PACKET_CSUM_PARTIAL == 2 &&
			       __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
		       "the mask lets 0 and 1 pass");
	memcpy(&facts, &packet->has_hash, sizeof(facts));
	return (facts & mask) == plain;
}

/* The owner is read by censuses from other threads, hence atomically. */
static inline void packet_set_owner(struct packet *packet, uint32_t owner)
{
	__atomic_store_n(&packet->owner, owner, __ATOMIC_RELAXED);
}

/* Makes a one-segment head without offloads out of the frame's `len` bytes at `data`. */
static inline void packet_reset(struct packet *packet, uint8_t *data, uint32_t len)
{
	packet->data = data;
	packet->len = len;
	packet->total_len = len;
	packet->next = NULL;
	packet->has_hash = false;
	packet->csum = PACKET_CSUM_UNKNOWN;
	packet->gso_type = PACKET_GSO_NONE;
	packet->n_segs = 1;
	packet->timestamp = 0;
	packet->rx_hash = 0;
}

/* Takes a frame, owner FRAME_HELD: empty, with FRAME_HEADROOM. NULL when the pool is exhausted. */
static inline struct packet *packet_alloc(struct frame_cache *cache)
{
	struct packet *packet;

	if (unlikely(cache->n == 0) && !frame_cache_refill(cache))
		return NULL;
	packet = packet_from_frame(cache->pool, cache->frames[--cache->n]);
	packet_reset(packet, packet->frame + FRAME_HEADROOM, 0);
	packet_set_owner(packet, FRAME_HELD);
	return packet;
}

/* Gives back one segment's frame (not the chain). */
static inline void packet_free_segment(struct frame_cache *cache, struct packet *packet)
{
	packet_set_owner(packet, FRAME_FREE);
	if (unlikely(cache->n == ARRAY_SIZE(cache->frames)))
		frame_cache_spill(cache);
	cache->frames[cache->n++] = packet_frame_no(cache->pool, packet);
}

/* Gives back the whole chain. */
void packet_free(struct frame_cache *cache, struct packet *packet);
void packet_free_batch(struct frame_cache *cache, struct packet **packets, uint32_t n);

/* Returns a copy, offloads and metadata included; NULL when the pool is exhausted. */
struct packet *packet_clone(struct frame_cache *cache, const struct packet *packet);

/* Puts `len` bytes behind the packet's, adding segments as needed. Returns 0, or -ENOBUFS (nothing
 * was added) or -EMSGSIZE (past PACKET_LEN_MAX). */
int packet_append(struct frame_cache *cache, struct packet *packet, const void *data,
		  uint32_t len) WARN_UNUSED;

/* Copies `len` bytes from offset `offset` of the chain into `buf`. Returns how many there were. */
uint32_t packet_read(const struct packet *packet, uint32_t offset, void *buf, uint32_t len);

/* Makes room for `n` bytes ahead of the data; false when the headroom is used up. */
bool packet_push(struct packet *packet, uint32_t n) WARN_UNUSED;
/* Takes `n` bytes (no more than the head has) off the front. */
void packet_pull(struct packet *packet, uint32_t n);

/* Sets hash and layout by parsing, if the port that received it did not; fills `key` in any case.
 * Returns 0, or -EINVAL for a packet shorter than an Ethernet header. */
int packet_extract(struct packet *packet, struct flow_key *key) WARN_UNUSED;

#endif /* VSWITCH_DATAPATH_PACKET_H */
