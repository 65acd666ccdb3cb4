/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdatomic.h>
#include <sys/timerfd.h>

#include "datapath/port_mem_priv.h"
#include "lib/clock.h"

/* ---- rings --------------------------------------------------------------------------- */

static bool ring_is_empty(const struct mem_ring *ring)
{
	return __atomic_load_n(&ring->head, __ATOMIC_RELAXED) ==
	       __atomic_load_n(&ring->tail, __ATOMIC_RELAXED);
}

static void chain_set_owner(struct packet *packet, uint32_t owner)
{
	for (; packet; packet = packet->next)
		packet_set_owner(packet, owner);
}

static void wake_locked(struct mem_ring *ring) REQUIRES(ring->lock)
{
	const struct itimerspec now = {.it_value.tv_nsec = 1};

	/* Pairs with the fence in port_mem_arm(): either we see it armed, or it sees what we did.
	 */
	atomic_thread_fence(memory_order_seq_cst);
	if (ring->fd >= 0 && __atomic_exchange_n(&ring->is_armed, false, __ATOMIC_RELAXED))
		(void)timerfd_settime(ring->fd, 0, &now, NULL);
}

void mem_ring_wake(struct mem_ring *ring)
{
	spinlock_lock(&ring->lock);
	wake_locked(ring);
	spinlock_unlock(&ring->lock);
}

int mem_ring_put(struct mem_ring *ring, struct packet **packets, unsigned int n)
{
	uint32_t tail;

	spinlock_lock(&ring->lock);
	if (!ring->is_open) {
		spinlock_unlock(&ring->lock);
		return -EPIPE;
	}
	tail = ring->tail;
	n = MIN(n, MEM_RING_SIZE - (tail - ring->head));
	for (unsigned int i = 0; i < n; i++) {
		chain_set_owner(packets[i], ring->owner);
		ring->slots[tail++ % MEM_RING_SIZE] = packets[i];
	}
	__atomic_store_n(&ring->tail, tail, __ATOMIC_RELAXED);
	if (n)
		wake_locked(ring);
	spinlock_unlock(&ring->lock);
	return (int)n;
}

unsigned int mem_ring_take(struct mem_ring *ring, struct packet **packets, unsigned int max)
{
	uint32_t head;
	unsigned int n;

	spinlock_lock(&ring->lock);
	head = ring->head;
	n = MIN(max, ring->tail - head);
	for (unsigned int i = 0; i < n; i++) {
		packets[i] = ring->slots[head++ % MEM_RING_SIZE];
		chain_set_owner(packets[i], FRAME_HELD);
	}
	__atomic_store_n(&ring->head, head, __ATOMIC_RELAXED);
	spinlock_unlock(&ring->lock);
	return n;
}

/* ---- receiving ----------------------------------------------------------------------- */

/* How many of at most `max` packets are due by the rate asked for. */
static unsigned int replay_get_due(struct mem_replay *replay, unsigned int max)
{
	uint64_t now, due;

	if (replay->interval_ps == 0)
		return max;
	now = clock_now();
	if (replay->start_ns == 0)
		replay->start_ns = now;
	due = (now - replay->start_ns) * 1000 / replay->interval_ps + 1;
	return due > replay->sent ? (unsigned int)MIN(due - replay->sent, (uint64_t)max) : 0;
}

/* Makes a packet of the record. NULL when the pool is exhausted. */
static inline struct packet *replay_copy(const struct mem_replay *replay,
					 const struct mem_record *record, struct frame_cache *cache)
{
	struct packet *packet = packet_alloc(cache);

	if (unlikely(!packet))
		return NULL;
	if (unlikely(record->len > ROUND_DOWN(FRAME_PAYLOAD, CAPTURE_ALIGN))) {
		if (packet_append(cache, packet, record->data, record->len)) {
			packet_free(cache, packet);
			return NULL;
		}
	} else {
		/* Whole cache lines of a constant size: no call, a few wide moves. */
		uint32_t off = 0;

		do
			memcpy(packet->data + off, record->data + off, CAPTURE_ALIGN);
		while ((off += CAPTURE_ALIGN) < record->len);
		packet->len = record->len;
		packet->total_len = record->len;
	}
	if (replay->has_metadata) {
		packet->hash = record->hash;
		packet->layout = record->layout;
		packet->has_hash = true;
	}
	return packet;
}

/* Steps to the next record, or the next round. */
static inline void replay_advance(struct mem_replay *replay)
{
	uint32_t next = replay->next + 1;

	replay->sent++;
	/* the control thread looks at it for the port's status */
	__atomic_store_n(&replay->next, next < replay->n ? next : 0, __ATOMIC_RELAXED);
	if (likely(next < replay->n))
		return;
	if (++replay->loop >= replay->n_loops)
		__atomic_store_n(&replay->is_done, true, __ATOMIC_RELAXED);
}

static void count_long(struct port_counters *counters, uint32_t len)
{
	counter_add(&counters->rx_packets, 1);
	counter_add(&counters->rx_bytes, len);
	port_count_drop(counters, DROP_RX_TOO_LONG, 1);
}

/* Replays up to `max` packets; of those too long for the port none but the count arrives. */
static unsigned int replay_run(struct mem_replay *replay, uint32_t max_len,
			       struct frame_cache *cache, struct port_counters *counters,
			       struct packet **packets, unsigned int max)
{
	unsigned int n = 0;

	for (max = replay_get_due(replay, max); max && !replay->is_done; max--) {
		const struct mem_record *record = &replay->records[replay->next];

		if (unlikely(record->len > max_len)) {
			count_long(counters, record->len);
		} else {
			packets[n] = replay_copy(replay, record, cache);
			if (unlikely(!packets[n]))
				break; /* nothing is lost: it is still due */
			n++;
		}
		replay_advance(replay);
	}
	return n;
}

/* Drops packets without GSO that are longer than the port's MTU allows. Returns how many are left.
 */
static unsigned int drop_long(struct packet **packets, unsigned int n, uint32_t max_len,
			      struct frame_cache *cache, struct port_counters *counters)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct packet *packet = packets[i];

		if (packet->total_len > max_len && packet->gso_type == PACKET_GSO_NONE) {
			count_long(counters, packet->total_len);
			packet_free(cache, packet);
		} else {
			packet->has_hash = false;
			packets[kept++] = packet;
		}
	}
	return kept;
}

unsigned int port_mem_rx(struct port_rxq *rxq, struct frame_cache *cache,
			 struct port_counters *counters, struct packet **packets, unsigned int max)
{
	struct mem_rxq *q = container_of(rxq, struct mem_rxq, rxq);
	uint32_t max_len = port_get_max_len(rxq->port);
	struct mem_replay *replay = rcu_get(&q->replay);
	unsigned int n = 0;

	if (unlikely(!ring_is_empty(q->ring))) {
		n = mem_ring_take(q->ring, packets, max);
		n = drop_long(packets, n, max_len, cache, counters);
	}
	if (replay && n < max)
		n += replay_run(replay, max_len, cache, counters, packets + n, max - n);
	return n;
}

bool port_mem_arm(struct port_rxq *rxq)
{
	struct mem_rxq *q = container_of(rxq, struct mem_rxq, rxq);
	struct mem_replay *replay = rcu_get(&q->replay);
	struct itimerspec at = {0};

	if (replay && !replay->is_done) {
		uint64_t due = replay->start_ns + replay->sent * replay->interval_ps / 1000;

		if (clock_now() >= due)
			return true;
		at.it_value.tv_sec = (time_t)(due / CLOCK_NS_PER_S);
		at.it_value.tv_nsec = (long)(due % CLOCK_NS_PER_S);
	}
	/* Setting the timer also forgets that it went off before. */
	(void)timerfd_settime(rxq->fd, TFD_TIMER_ABSTIME, &at, NULL);
	__atomic_store_n(&q->ring->is_armed, true, __ATOMIC_RELAXED);
	atomic_thread_fence(memory_order_seq_cst);
	if (ring_is_empty(q->ring) && rcu_get(&q->replay) == replay)
		return false;
	__atomic_store_n(&q->ring->is_armed, false, __ATOMIC_RELAXED);
	return true;
}

/* ---- transmitting -------------------------------------------------------------------- */

/* Counts `n` packets as sent. */
static inline void count_sent(struct port_counters *counters, struct packet **packets,
			      unsigned int n)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < n; i++)
		bytes += packets[i]->total_len;
	counter_add(&counters->tx_packets, n);
	counter_add(&counters->tx_bytes, bytes);
}

static void wire_tx(struct mem_txq *q, struct frame_cache *cache, struct port_counters *counters,
		    struct packet **packets, unsigned int n)
{
	unsigned int n_rings = __atomic_load_n(&q->far->n_rings, __ATOMIC_ACQUIRE);
	uint64_t bytes = 0;
	uint32_t lens[PACKET_BATCH_MAX];
	int sent = -EPIPE;

	/* Lengths first: once in the ring, a packet is somebody else's. */
	for (unsigned int i = 0; i < n; i++)
		lens[i] = packets[i]->total_len;
	if (n_rings)
		sent = mem_ring_put(q->far->rings[q->txq.index % n_rings], packets, n);
	if (sent < 0) {
		port_count_drop(counters, DROP_TX_DOWN, n);
		packet_free_batch(cache, packets, n);
		return;
	}
	for (int i = 0; i < sent; i++)
		bytes += lens[i];
	counter_add(&counters->tx_packets, (unsigned int)sent);
	counter_add(&counters->tx_bytes, bytes);
	if ((unsigned int)sent < n) {
		port_count_drop(counters, DROP_TX_RING_FULL, n - (unsigned int)sent);
		packet_free_batch(cache, packets + sent, n - (unsigned int)sent);
	}
}

void port_mem_tx(struct port_txq *txq, struct frame_cache *cache, struct port_counters *counters,
		 struct packet **packets, unsigned int n)
{
	struct mem_txq *q = container_of(txq, struct mem_txq, txq);

	if (unlikely(q->recorder))
		capture_writer_write(q->recorder, packets, n);
	if (q->far) {
		for (; n > PACKET_BATCH_MAX; n -= PACKET_BATCH_MAX, packets += PACKET_BATCH_MAX)
			wire_tx(q, cache, counters, packets, PACKET_BATCH_MAX);
		wire_tx(q, cache, counters, packets, n);
		return;
	}
	count_sent(counters, packets, n);
	for (unsigned int i = 0; i < n; i++) {
		if (likely(!packets[i]->next))
			packet_free_segment(cache, packets[i]);
		else
			packet_free(cache, packets[i]);
	}
}
