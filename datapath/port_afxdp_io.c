/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "bpf/flow_parse.h"
#include "datapath/packet.h"
#include "datapath/port_afxdp_priv.h"

/* Where a record's first word lies in a frame that the kernel receives into: see xdp_meta. */
#define META_OFFSET (FRAME_HEADROOM - sizeof(struct xdp_meta))
/* Times that a full transmit ring is pushed before its packets are dropped. */
#define KICKS_MAX 4
/* Completions taken at once. */
#define REAP_BATCH 64

static struct packet *packet_from_addr(const struct frame_pool *pool, uint64_t addr)
{
	return &pool->packets[addr >> FRAME_SHIFT];
}

static uint64_t packet_to_addr(const struct frame_pool *pool, const struct packet *packet)
{
	return (uint64_t)(packet->data - pool->area);
}

/* ---- receiving --------------------------------------------------------------------------------
 */

/* Puts the tag that the NIC took off back between addresses and type. */
static void restore_vlan(struct packet *packet, const struct xdp_meta *meta)
{
	uint16_t tag[2] = {FLOW_BE16(meta->flags & XDP_META_VLAN_AD ? 0x88a8 : 0x8100),
			   meta->vlan_tci};

	if (packet->len < 14 || !packet_push(packet, FLOW_VLAN_SIZE))
		return;
	memmove(packet->data, packet->data + FLOW_VLAN_SIZE, 12);
	memcpy(packet->data + 12, tag, sizeof(tag));
}

/* Takes over what the XDP program wrote ahead of the frame. */
static inline void read_meta(struct packet *packet)
{
	/* A copy: restoring a tag moves the Ethernet header over the record's end. */
	struct xdp_meta meta;

	memcpy(&meta, packet->data - sizeof(meta), sizeof(meta));
	if (unlikely(meta.magic != XDP_META_MAGIC))
		return;
	packet->hash = meta.hash;
	packet->layout = meta.layout;
	packet->has_hash = meta.layout.n_words != 0;
	if (meta.flags & XDP_META_RX_HASH)
		packet->rx_hash = meta.rx_hash;
	if (meta.flags & XDP_META_TIMESTAMP)
		packet->timestamp = meta.timestamp;
	if (unlikely(meta.flags & XDP_META_VLAN))
		restore_vlan(packet, &meta);
}

static inline struct packet *receive_head(struct afxdp_rxq *q, const struct xdp_desc *desc)
{
	struct packet *packet = packet_from_addr(q->pool, desc->addr);

	packet_set_owner(packet, FRAME_HELD);
	packet_reset(packet, q->pool->area + desc->addr, desc->len);
	packet->csum = q->csum;
	read_meta(packet);
	return packet;
}

static void append_segment(struct afxdp_rxq *q, struct frame_cache *cache,
			   const struct xdp_desc *desc)
{
	struct packet *seg = packet_from_addr(q->pool, desc->addr);

	packet_set_owner(seg, FRAME_HELD);
	q->chain->total_len += desc->len;
	if (q->chain->n_segs >= AFXDP_RX_SEGS_MAX || desc->len == 0) {
		q->chain_long |= desc->len > 0;
		packet_free_segment(cache, seg);
		return;
	}
	seg->data = q->pool->area + desc->addr;
	seg->len = desc->len;
	seg->next = NULL;
	q->chain_tail->next = seg;
	q->chain_tail = seg;
	q->chain->n_segs++;
}

/* One frame of a packet of several. Returns the packet if this was the last frame of a good one. */
static struct packet *receive_segment(struct afxdp_rxq *q, struct frame_cache *cache,
				      struct port_counters *counters, const struct xdp_desc *desc)
{
	struct packet *packet;

	if (q->chain) {
		append_segment(q, cache, desc);
	} else {
		q->chain = receive_head(q, desc);
		q->chain_tail = q->chain;
		q->chain_long = false;
	}
	if (desc->options & XDP_PKT_CONTD)
		return NULL;
	packet = q->chain;
	q->chain = NULL;
	if (likely(!q->chain_long && packet->total_len <= PACKET_LEN_MAX))
		return packet;
	counter_add(&counters->rx_packets, 1);
	counter_add(&counters->rx_bytes, packet->total_len);
	port_count_drop(counters, DROP_RX_TOO_LONG, 1);
	packet_free(cache, packet);
	return NULL;
}

void port_afxdp_refill(struct afxdp_rxq *q, struct frame_cache *cache)
{
	while (q->n_missing) {
		uint32_t idx, n;

		if (unlikely(cache->n == 0) && !frame_cache_refill(cache))
			return;
		n = MIN(q->n_missing, cache->n);
		if (!xsk_ring_prod__reserve(&q->fill, n, &idx))
			return;
		for (uint32_t i = 0; i < n; i++) {
			uint32_t frame_no = cache->frames[--cache->n];
			struct packet *packet = packet_from_frame(q->pool, frame_no);

			packet_set_owner(packet, q->base.owner);
			memset(packet->frame + META_OFFSET, 0, sizeof(uint32_t));
			*xsk_ring_prod__fill_addr(&q->fill, idx + i) = (uint64_t)frame_no
								       << FRAME_SHIFT;
		}
		xsk_ring_prod__submit(&q->fill, n);
		q->n_missing -= n;
	}
}

/* Makes the kernel look at the fill ring, or poll the device. */
static void wake_rx(const struct afxdp_rxq *q)
{
	(void)recvfrom(q->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

unsigned int port_afxdp_rx(struct port_rxq *rxq, struct frame_cache *cache,
			   struct port_counters *counters, struct packet **packets,
			   unsigned int max)
{
	struct afxdp_rxq *q = container_of(rxq, struct afxdp_rxq, base);
	uint32_t idx = 0, n_descs = xsk_ring_cons__peek(&q->rx, max, &idx);
	unsigned int n = 0;

	if (!n_descs && q->busy_poll) {
		wake_rx(q);
		n_descs = xsk_ring_cons__peek(&q->rx, max, &idx);
	}
	for (uint32_t i = 0; i < n_descs; i++) {
		uint64_t addr = xsk_ring_cons__rx_desc(&q->rx, idx + i)->addr;

		__builtin_prefetch(packet_from_addr(q->pool, addr), 1);
		__builtin_prefetch(q->pool->area + addr - sizeof(struct xdp_meta));
		__builtin_prefetch(q->pool->area + addr);
	}
	for (uint32_t i = 0; i < n_descs; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&q->rx, idx + i);

		if (likely(!(desc->options & XDP_PKT_CONTD) && !q->chain)) {
			packets[n++] = receive_head(q, desc);
		} else {
			packets[n] = receive_segment(q, cache, counters, desc);
			n += packets[n] != NULL;
		}
	}
	if (n_descs) {
		xsk_ring_cons__release(&q->rx, n_descs);
		q->n_missing += n_descs;
	}
	if (q->n_missing)
		port_afxdp_refill(q, cache);
	if (unlikely(xsk_ring_prod__needs_wakeup(&q->fill)))
		wake_rx(q);
	return n;
}

bool port_afxdp_arm(struct port_rxq *rxq)
{
	struct afxdp_rxq *q = container_of(rxq, struct afxdp_rxq, base);

	/* With no frame at all in the kernel's hands nothing would wake us: ask for some again. */
	if (q->n_missing == q->n_lent_max)
		return true;
	return __atomic_load_n(q->rx.producer, __ATOMIC_ACQUIRE) != q->rx.cached_cons;
}

/* ---- transmitting -----------------------------------------------------------------------------
 */

/* Takes back the frames that the kernel is done with. */
static void reap(struct afxdp_txq *q, struct frame_cache *cache)
{
	uint32_t idx, n;

	while ((n = xsk_ring_cons__peek(&q->completion, REAP_BATCH, &idx))) {
		for (uint32_t i = 0; i < n; i++) {
			uint64_t addr = *xsk_ring_cons__comp_addr(&q->completion, idx + i);

			packet_free_segment(cache, packet_from_addr(q->pool, addr));
		}
		xsk_ring_cons__release(&q->completion, n);
		q->n_lent -= n;
	}
}

/* Is something in the transmit ring that the kernel has not taken? */
static bool has_unsent(const struct afxdp_txq *q)
{
	return __atomic_load_n(q->tx.consumer, __ATOMIC_ACQUIRE) != q->tx.cached_prod;
}

/*
 * Tells the kernel to send. In copy mode it sends here and now, up to a budget, and may stop early
 * for want of room in the completion ring: so it is told again a few times.
 */
static void kick(struct afxdp_txq *q, struct frame_cache *cache)
{
	for (int i = 0; i < KICKS_MAX && xsk_ring_prod__needs_wakeup(&q->tx); i++) {
		if (sendto(q->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
			break;
		if (errno == ENETDOWN || errno == ENXIO || errno == ENODEV) {
			__atomic_store_n(&q->down, true, __ATOMIC_RELAXED);
			break;
		}
		reap(q, cache);
		if (!has_unsent(q))
			break;
	}
	q->pending = false;
}

/* The request to the kernel that finishes the checksum. */
static void write_tx_meta(const struct packet *packet)
{
	struct afxdp_tx_meta meta = {
		.flags = XDP_TXMD_FLAGS_CHECKSUM,
		.csum_start = packet->csum_start,
		.csum_offset = packet->csum_offset,
	};

	memcpy(packet->data - sizeof(meta), &meta, sizeof(meta));
}

/* Moves a segment back in its frame, so that the kernel's reserve fits ahead of it. */
static bool make_headroom(const struct afxdp_txq *q, struct packet *seg)
{
	uint32_t missing = q->tx_meta_size - packet_headroom(seg);

	if (packet_tailroom(seg) < missing)
		return false;
	memmove(seg->data + missing, seg->data, seg->len);
	seg->data += missing;
	return true;
}

/* A descriptor that the kernel refuses is lost with its frame, or blocks the ring: send none. */
static bool check_packet(const struct afxdp_txq *q, struct packet *packet)
{
	if (packet->total_len < 14)
		return false;
	for (struct packet *seg = packet; seg; seg = seg->next)
		if (seg->len == 0 ||
		    (unlikely(packet_headroom(seg) < q->tx_meta_size) && !make_headroom(q, seg)))
			return false;
	return packet->csum != PACKET_CSUM_PARTIAL ||
	       (uint32_t)packet->csum_start + packet->csum_offset + 2 <= packet->len;
}

/* Writes the descriptors of one packet into the ring from `idx` on. */
static inline void write_descs(struct afxdp_txq *q, struct packet *packet, uint32_t idx)
{
	uint32_t options = 0;

	if (packet->csum == PACKET_CSUM_PARTIAL) {
		write_tx_meta(packet);
		options = XDP_TX_METADATA;
	}
	for (struct packet *seg = packet, *next; seg; seg = next) {
		struct xdp_desc *desc = xsk_ring_prod__tx_desc(&q->tx, idx++);

		next = seg->next;
		desc->addr = packet_to_addr(q->pool, seg);
		desc->len = seg->len;
		desc->options = options | (next ? XDP_PKT_CONTD : 0);
		options = 0;
		packet_set_owner(seg, q->base.owner);
	}
}

/* Room for `n` descriptors, made if need be. `submitted`: all before them are with the kernel. */
static bool reserve(struct afxdp_txq *q, struct frame_cache *cache, uint32_t n,
		    uint32_t *unsubmitted, uint32_t *idx)
{
	if (likely(xsk_ring_prod__reserve(&q->tx, n, idx)))
		return true;
	xsk_ring_prod__submit(&q->tx, *unsubmitted);
	*unsubmitted = 0;
	reap(q, cache);
	kick(q, cache);
	return xsk_ring_prod__reserve(&q->tx, n, idx);
}

static void drop(struct frame_cache *cache, struct port_counters *counters, struct packet *packet,
		 enum drop_reason reason)
{
	port_count_drop(counters, reason, 1);
	packet_free(cache, packet);
}

void port_afxdp_tx(struct port_txq *txq, struct frame_cache *cache, struct port_counters *counters,
		   struct packet **packets, unsigned int n)
{
	struct afxdp_txq *q = container_of(txq, struct afxdp_txq, base);
	bool down = __atomic_load_n(&q->down, __ATOMIC_RELAXED);
	uint32_t unsubmitted = 0, idx, n_sent = 0;
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct packet *packet = packets[i];
		uint32_t n_segs = packet->n_segs;

		if (unlikely(down)) {
			drop(cache, counters, packet, DROP_TX_DOWN);
			continue;
		}
		if (unlikely(!check_packet(q, packet))) {
			drop(cache, counters, packet, DROP_TX_ERROR);
			continue;
		}
		if (unlikely(!reserve(q, cache, n_segs, &unsubmitted, &idx))) {
			drop(cache, counters, packet, DROP_TX_RING_FULL);
			continue;
		}
		n_sent++;
		bytes += packet->total_len;
		write_descs(q, packet, idx);
		unsubmitted += n_segs;
		q->n_lent += n_segs;
	}
	if (unsubmitted)
		xsk_ring_prod__submit(&q->tx, unsubmitted);
	if (n_sent) {
		q->pending = true;
		counter_add(&counters->tx_packets, n_sent);
		counter_add(&counters->tx_bytes, bytes);
	}
}

bool port_afxdp_flush(struct port_txq *txq, struct frame_cache *cache,
		      struct port_counters *counters UNUSED)
{
	struct afxdp_txq *q = container_of(txq, struct afxdp_txq, base);

	if (__atomic_load_n(&q->down, __ATOMIC_RELAXED)) {
		reap(q, cache);
		return false;
	}
	if (q->pending || has_unsent(q))
		kick(q, cache);
	reap(q, cache);
	return q->n_lent > __atomic_load_n(&q->n_lost, __ATOMIC_RELAXED);
}
