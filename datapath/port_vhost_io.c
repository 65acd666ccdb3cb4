/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "datapath/offload.h"
#include "datapath/port_vhost_priv.h"
#include "datapath/rx_buffer.h"
#include "datapath/vnet_hdr.h"
#include "datapath/worker_priv.h"

/* Shortest packet that is taken: an Ethernet header. */
#define LEN_MIN 14u
/* Chains popped at once for packets that need more than one. */
#define POP_MORE 16u

/* Copies a packet of usual length: for those up to 128 bytes two overlapping copies of constant
 * size, which compile to a few moves, and never a byte beyond either end. */
static ALWAYS_INLINE void copy_bytes(uint8_t *to, const uint8_t *from, uint32_t n)
{
	if (likely(n >= 64 && n <= 128)) {
		memcpy(to, from, 64);
		if (n > 64)
			memcpy(to + n - 64, from + n - 64, 64);
	} else if (n >= 32 && n < 64) {
		memcpy(to, from, 32);
		memcpy(to + n - 32, from + n - 32, 32);
	} else {
		memcpy(to, from, n);
	}
}

/* ---- receiving: what the guest sends --------------------------------------------------- */

/* Copies `len` bytes at the cursor into a new chain of frames. NULL: there are not enough. */
static NOINLINE struct packet *copy_chain(struct frame_cache *cache, struct vring_cursor *cursor,
					  uint32_t len)
{
	struct packet *head = NULL, **link = &head;
	unsigned int n_segs = 0;

	for (uint32_t left = len; left;) {
		struct packet *seg = packet_alloc(cache);

		if (!seg) {
			packet_free(cache, head);
			return NULL;
		}
		seg->len = MIN(left, FRAME_PAYLOAD);
		vring_cursor_read(cursor, seg->data, seg->len);
		left -= seg->len;
		*link = seg;
		link = &seg->next;
		n_segs++;
	}
	head->total_len = len;
	head->n_segs = (uint8_t)n_segs;
	return head;
}

/* Copies a packet out of its chain, its header into *hdr. Returns NULL when it is counted as
 * dropped. */
static ALWAYS_INLINE struct packet *
copy_packet(const struct vhost_rxq *q, struct frame_cache *cache, struct port_counters *counters,
	    const struct vring_batch *batch, const struct vring_chain *chain,
	    struct virtio_net_hdr_mrg_rxbuf *hdr)
{
	uint32_t header = q->header_size, len = chain->size - header;
	struct vring_cursor cursor;
	struct packet *packet;

	if (unlikely(chain->size < header + LEN_MIN)) {
		rx_buffer_count_drop(counters, 0, DROP_RX_TOO_SHORT);
		return NULL;
	}
	if (likely(chain->n_iov == 1 && len <= FRAME_PAYLOAD)) {
		const uint8_t *from = batch->iov[chain->first_iov].iov_base;

		packet = packet_alloc(cache);
		if (likely(packet)) {
			/* One that means nothing is not looked at: often it has a cache line to
			 * itself. */
			if (q->has_offloads)
				memcpy(hdr, from, sizeof(hdr->hdr));
			copy_bytes(packet->data, from + header, len);
			packet->len = packet->total_len = len;
			return packet;
		}
	} else if (unlikely(len > PACKET_LEN_MAX)) {
		rx_buffer_count_drop(counters, len, DROP_RX_TOO_LONG);
		return NULL;
	} else {
		cursor = vring_cursor_get(batch, chain);
		vring_cursor_read(&cursor, hdr, header);
		packet = copy_chain(cache, &cursor, len);
		if (packet)
			return packet;
	}
	rx_buffer_count_drop(counters, len, DROP_RX_NO_FRAME);
	return NULL;
}

/* Takes over what the header says. False: it lies, and the packet is dropped. */
static NOINLINE bool take_offloads(struct frame_cache *cache, struct port_counters *counters,
				   struct virtio_net_hdr *hdr, struct packet *packet)
{
	/* A guest has nothing to say about checksums that are complete (virtio 1.2, 5.1.6.2). */
	hdr->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (likely(vnet_hdr_parse(hdr, packet) == 0))
		return true;
	rx_buffer_count_drop(counters, packet->total_len, DROP_RX_BAD_OFFLOAD);
	packet_free(cache, packet);
	return false;
}

/* Copies out the packets of a batch. Returns how many there are. */
static ALWAYS_INLINE unsigned int copy_packets(struct vhost_rxq *q, struct frame_cache *cache,
					       struct port_counters *counters,
					       const struct vring_batch *batch,
					       struct packet **packets)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < batch->n; i++) {
		struct virtio_net_hdr_mrg_rxbuf hdr;
		struct packet *packet =
			copy_packet(q, cache, counters, batch, &batch->chains[i], &hdr);

		if (unlikely(!packet))
			continue;
		/* The copy is what counts: nothing of it is read again at its origin. */
		__asm__ volatile("" : "+m"(hdr));
		if (q->has_offloads && (hdr.hdr.flags | hdr.hdr.gso_type) &&
		    !take_offloads(cache, counters, &hdr.hdr, packet))
			continue;
		packets[n++] = packet;
	}
	return n;
}

/* The guest has switched the queue off: what it sends is taken, and goes nowhere. */
static void count_disabled(struct port_counters *counters, const struct vring_batch *batch,
			   uint32_t header)
{
	for (unsigned int i = 0; i < batch->n; i++) {
		uint32_t size = batch->chains[i].size;

		rx_buffer_count_drop(counters, size > header ? size - header : 0, DROP_RX_DISABLED);
	}
}

/* Receives from a ring. */
static unsigned int take(struct vhost_rxq *q, struct vring *ring, struct frame_cache *cache,
			 struct port_counters *counters, struct packet **packets, unsigned int max)
{
	struct vring_batch batch;
	unsigned int n = 0;

	vring_batch_init(&batch);
	if (vring_pop(ring, &batch, max) <= 0)
		return 0;
	vring_disarm(ring);
	if (likely(vring_is_enabled(ring)))
		n = copy_packets(q, cache, counters, &batch, packets);
	else
		count_disabled(counters, &batch, q->header_size);
	if (unlikely(vring_push(ring, &batch, 0, batch.n))) {
		/* What was read is void. */
		packet_free_batch(cache, packets, n);
		return 0;
	}
	vring_notify(ring);
	return n;
}

unsigned int port_vhost_rx(struct port_rxq *rxq, struct frame_cache *cache,
			   struct port_counters *counters, struct packet **packets,
			   unsigned int max)
{
	struct vhost_rxq *q = container_of(rxq, struct vhost_rxq, rxq);
	struct vring *ring = rcu_get(&q->ring);
	unsigned int n = 0;

	if (unlikely(atomic_load_explicit(&q->injected, memory_order_relaxed))) {
		packets[n] = atomic_exchange_explicit(&q->injected, NULL, memory_order_acquire);
		n += packets[n] != NULL;
	}
	if (!ring || n == max)
		return n;
	return n + take(q, ring, cache, counters, packets + n, max - n);
}

/*
 * Whether a kick may be pending that would end the sleep at once. There is none at a ring that has
 * been armed all the time, unless the guest kicks without need: then the worker finds that it was
 * woken for nothing. So one busy guest does not cost a system call for each that is idle.
 */
static bool may_be_kicked(struct vhost_rxq *q, const struct vring *ring)
{
	uint64_t n_packets = counter_get(&q->rxq.worker->stats.rx_packets);
	bool is_for_nothing = n_packets == q->n_packets;

	q->n_packets = n_packets;
	return !ring->kicks_on || is_for_nothing;
}

bool port_vhost_arm(struct port_rxq *rxq)
{
	struct vhost_rxq *q = container_of(rxq, struct vhost_rxq, rxq);
	struct vring *ring;
	eventfd_t count;

	/* First, so that whatever was published before the call is seen below. */
	if (atomic_load_explicit(&q->is_woken, memory_order_relaxed) &&
	    atomic_exchange_explicit(&q->is_woken, false, memory_order_acquire))
		(void)!eventfd_read(q->wake_fd, &count);
	if (atomic_load_explicit(&q->injected, memory_order_relaxed))
		return true;
	ring = rcu_get(&q->ring);
	if (!ring)
		return false;
	if (may_be_kicked(q, ring))
		vring_clear_kick(ring);
	return vring_arm(ring);
}

/* ---- transmitting: what the guest receives --------------------------------------------- */

/* Packets on their way into a ring. */
struct burst {
	struct vhost_out *out;
	struct port_counters *counters;
	unsigned int first; /* chains of the batch that are filled: those ahead of it */
	bool is_dry; /* the ring has no more */
	uint32_t n; /* packets in the filled chains */
	uint64_t n_bytes; /* of these */
	struct vring_batch batch;
};

/* Writes the header of a packet that asks for nothing; *to has room for 12 bytes, or 10. */
static ALWAYS_INLINE void write_plain_header(const struct vhost_out *out,
					     const struct packet *packet, uint8_t *to)
{
	bool is_valid = packet->csum == PACKET_CSUM_COMPLETE && out->csum;
	const uint64_t head = is_valid ? VIRTIO_NET_HDR_F_DATA_VALID : 0;
	const uint16_t tail[2] = {0, 1}; /* num_buffers */

	memcpy(to, &head, sizeof(head));
	if (likely(out->header_size == sizeof(struct virtio_net_hdr_mrg_rxbuf)))
		memcpy(to + sizeof(head), tail, 4);
	else
		memcpy(to + sizeof(head), tail, 2);
}

/* Says in the header what the guest may know. */
static void format_header(const struct vhost_out *out, const struct packet *packet,
			  unsigned int n_buffers, struct virtio_net_hdr_mrg_rxbuf *hdr)
{
	vnet_hdr_format(packet, &hdr->hdr);
	if (!out->csum)
		hdr->hdr.flags = 0;
	if (!out->gso_ecn)
		hdr->hdr.gso_type &= (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	hdr->num_buffers = (uint16_t)n_buffers;
}

/*
 * Hands over the chains that are filled, and gives the others back. On failure what was written is
 * void.
 */
static void push(struct burst *b)
{
	struct vring *ring = b->out->ring;

	vring_rewind(ring, &b->batch, b->batch.n - b->first);
	if (likely(vring_push(ring, &b->batch, 0, b->first) == 0)) {
		counter_add(&b->counters->tx_packets, b->n);
		counter_add(&b->counters->tx_bytes, b->n_bytes);
	} else if (b->n) {
		port_count_drop(b->counters, DROP_TX_DOWN, b->n);
	}
	b->first = 0;
	b->n = 0;
	b->n_bytes = 0;
	vring_batch_init(&b->batch);
}

/* Pops some more chains. False: there is none, the batch is full, or the ring is broken. */
static bool pop_more(struct burst *b)
{
	return !b->is_dry && vring_pop(b->out->ring, &b->batch, POP_MORE) > 0;
}

/*
 * How many chains from b->first on take `size` bytes; 0 when there are not so many, with *reason
 * set.
 */
static unsigned int gather(struct burst *b, uint64_t size, enum drop_reason *reason)
{
	uint64_t room = 0;
	unsigned int n = 0;

	while (room < size) {
		if (b->first + n == b->batch.n && !pop_more(b)) {
			*reason = b->batch.n == VRING_BATCH_MAX ? DROP_TX_TOO_LONG
								: DROP_TX_RING_FULL;
			return 0;
		}
		room += b->batch.chains[b->first + n++].size;
		if (!b->out->is_merged && room < size) {
			*reason = DROP_TX_TOO_LONG;
			return 0;
		}
	}
	return n;
}

/* Does what the guest cannot: it could when the packet was made ready. False: not possible. */
static bool adapt(struct burst *b, struct packet *packet, enum drop_reason *reason)
{
	const struct vhost_out *out = b->out;
	bool is_taken = true;

	if (packet->gso_type == PACKET_GSO_TCP4)
		is_taken = out->gso_tcp4;
	else if (packet->gso_type == PACKET_GSO_TCP6)
		is_taken = out->gso_tcp6;
	else if (packet->gso_type == PACKET_GSO_UDP_L4)
		is_taken = out->gso_udp_l4;
	/* It was for the guest that was there before. */
	*reason = DROP_TX_DOWN;
	if (!is_taken)
		return false;
	*reason = DROP_BAD_HEADER;
	return packet->csum != PACKET_CSUM_PARTIAL || out->csum || packet_finish_csum(packet) == 0;
}

/* Writes a packet of any kind. False: it could not be, for this reason. */
static NOINLINE bool write_packet(struct burst *b, struct packet *packet, enum drop_reason *reason)
{
	uint64_t size = (uint64_t)b->out->header_size + packet->total_len;
	struct virtio_net_hdr_mrg_rxbuf hdr;
	struct vring_cursor cursor;
	unsigned int n;

	if (!adapt(b, packet, reason))
		return false;
	n = gather(b, size, reason);
	if (!n && b->first && !b->is_dry && (b->out->is_merged || *reason == DROP_TX_RING_FULL)) {
		/* It may be the batch that is full, not the ring that is empty. */
		push(b);
		n = gather(b, size, reason);
	}
	if (!n) {
		b->is_dry = b->is_dry || *reason == DROP_TX_RING_FULL;
		return false;
	}
	format_header(b->out, packet, n, &hdr);
	cursor = vring_cursor_get(&b->batch, &b->batch.chains[b->first]);
	vring_cursor_write(&cursor, &hdr, b->out->header_size);
	for (const struct packet *seg = packet; seg; seg = seg->next)
		vring_cursor_write(&cursor, seg->data, seg->len);
	b->first += vring_batch_fill(&b->batch, b->first, (uint32_t)size);
	return true;
}

/*
 * Writes packets as long as they need nothing, are in one piece and fit into one. Returns how many.
 */
static ALWAYS_INLINE unsigned int write_plain(struct burst *b, struct packet **packets,
					      unsigned int n)
{
	const struct vhost_out *out = b->out;
	const struct iovec *iov = b->batch.iov;
	struct vring_chain *chain = &b->batch.chains[b->first];
	uint32_t header = out->header_size;
	uint64_t n_bytes = 0;
	unsigned int i;

	n = MIN(n, b->batch.n - b->first);
	for (i = 0; i < n; i++, chain++) {
		const struct packet *packet = packets[i];
		uint32_t size = header + packet->total_len;
		uint8_t *to;

		if (unlikely(chain->n_iov != 1 || chain->size < size || !packet_is_plain(packet)))
			break;
		to = iov[chain->first_iov].iov_base;
		write_plain_header(out, packet, to);
		copy_bytes(to + header, packet->data, packet->len);
		chain->written = size;
		n_bytes += packet->total_len;
	}
	b->first += i;
	b->n += i;
	b->n_bytes += n_bytes;
	return i;
}

/* Sends what the ring takes, and counts the others. */
static void give(struct burst *b, struct packet **packets, unsigned int n)
{
	vring_batch_init(&b->batch);
	if (vring_pop(b->out->ring, &b->batch, n) < 0) {
		port_count_drop(b->counters, DROP_TX_DOWN, n);
		return;
	}
	for (unsigned int i = write_plain(b, packets, n); i < n;
	     i += write_plain(b, packets + i, n - i)) {
		struct packet *packet = packets[i++];
		enum drop_reason reason;

		if (write_packet(b, packet, &reason)) {
			b->n++;
			b->n_bytes += packet->total_len;
		} else {
			port_count_drop(b->counters, reason, 1);
		}
	}
	push(b);
	vring_notify(b->out->ring);
}

void port_vhost_tx(struct port_txq *txq, struct frame_cache *cache, struct port_counters *counters,
		   struct packet **packets, unsigned int n)
{
	struct vhost_txq *q = container_of(txq, struct vhost_txq, txq);
	struct vhost_out *out = rcu_get(&q->out);
	struct burst b;

	if (likely(out)) {
		b.out = out;
		b.counters = counters;
		b.first = 0;
		b.is_dry = false;
		b.n = 0;
		b.n_bytes = 0;
		spinlock_lock(&out->lock);
		give(&b, packets, n);
		spinlock_unlock(&out->lock);
	} else {
		port_count_drop(counters, DROP_TX_DOWN, n);
	}
	packet_free_batch(cache, packets, n);
}
