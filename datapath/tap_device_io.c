/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "datapath/tap_device.h"

/* The device is deleted: see tap_device.h. */
static void queue_set_gone(struct tap_queue *q)
{
	if (__atomic_exchange_n(&q->is_gone, true, __ATOMIC_RELAXED))
		return;
	(void)dup2(q->null_fd, q->rxq.fd);
}

static bool queue_is_gone(const struct tap_queue *q)
{
	return __atomic_load_n(&q->is_gone, __ATOMIC_RELAXED);
}

/* ---- receiving ----------------------------------------------------------------------- */

/* Reads a packet. Returns 1 with it in *packetp, 0 when one was dropped, -1 when there is none. */
static int read_packet(struct tap_queue *q, struct frame_cache *cache,
		       struct port_counters *counters, struct packet **packetp)
{
	ssize_t size;

	/* Without frames the packet stays in the device's queue. */
	if (!rx_buffer_fill(&q->buffer, cache))
		return -1;
	size = readv(q->rxq.fd, q->buffer.iov, RX_BUFFER_IOVS);
	if (size <= 0) { /* 0 is /dev/null's */
		if (size < 0 && errno == EBADFD)
			queue_set_gone(q);
		return -1;
	}
	*packetp = rx_buffer_take(&q->buffer, (size_t)size);
	if (!*packetp) {
		rx_buffer_count_drop(counters, 0, DROP_RX_TOO_SHORT);
		return 0;
	}
	if (vnet_hdr_parse(&q->buffer.hdr, *packetp)) {
		rx_buffer_count_drop(counters, (*packetp)->total_len, DROP_RX_BAD_OFFLOAD);
		packet_free(cache, *packetp);
		return 0;
	}
	return 1;
}

/* Is there nothing to read? Asked where a read would need frames first. */
static bool is_idle(struct tap_queue *q)
{
	struct pollfd fd = {.fd = q->rxq.fd, .events = POLLIN};

	return q->n_idle == TAP_IDLE_POLLS && poll(&fd, 1, 0) == 0;
}

/* Takes notice of a poll that found nothing. */
static void note_idle(struct tap_queue *q, struct frame_cache *cache)
{
	if (q->n_idle == TAP_IDLE_POLLS)
		return;
	if (++q->n_idle == TAP_IDLE_POLLS)
		rx_buffer_empty(&q->buffer, cache);
}

unsigned int tap_device_rx(struct port_rxq *rxq, struct frame_cache *cache,
			   struct port_counters *counters, struct packet **packets,
			   unsigned int max)
{
	struct tap_queue *q = container_of(rxq, struct tap_queue, rxq);
	unsigned int n = 0;

	if (unlikely(queue_is_gone(q)) || is_idle(q))
		return 0;
	for (unsigned int i = 0; i < max; i++) {
		int got = read_packet(q, cache, counters, &packets[n]);

		if (got < 0)
			break;
		n += (unsigned int)got;
	}
	if (n)
		q->n_idle = 0;
	else
		note_idle(q, cache);
	return n;
}

/* ---- transmitting -------------------------------------------------------------------- */

static enum drop_reason reason_of(int err)
{
	switch (err) {
	case EIO: /* the interface is down */
	case EBADFD:
	case ENODEV:
		return DROP_TX_DOWN;
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		return DROP_TX_RING_FULL;
	default:
		return DROP_TX_ERROR;
	}
}

/* Writes the packet. Returns 0 or an errno. */
static int write_packet(struct tap_queue *q, const struct packet *packet)
{
	struct iovec iov[1 + TAP_SEGS_MAX];
	struct virtio_net_hdr hdr;
	int n = 0;

	if (queue_is_gone(q))
		return ENODEV;
	vnet_hdr_format(packet, &hdr);
	iov[n++] = (struct iovec){&hdr, sizeof(hdr)};
	for (const struct packet *seg = packet; seg; seg = seg->next)
		iov[n++] = (struct iovec){seg->data, seg->len};
	if (writev(q->rxq.fd, iov, n) >= 0)
		return 0;
	if (errno == EBADFD)
		queue_set_gone(q);
	return errno;
}

void tap_device_tx(struct port_txq *txq, struct frame_cache *cache, struct port_counters *counters,
		   struct packet **packets, unsigned int n)
{
	struct tap_queue *q = container_of(txq, struct tap_queue, txq);
	uint64_t n_sent = 0, bytes = 0;

	for (unsigned int i = 0; i < n; i++) {
		int err = write_packet(q, packets[i]);

		if (likely(!err)) {
			n_sent++;
			bytes += packets[i]->total_len;
		} else {
			port_count_drop(counters, reason_of(err), 1);
		}
		packet_free(cache, packets[i]);
	}
	counter_add(&counters->tx_packets, n_sent);
	counter_add(&counters->tx_bytes, bytes);
}
