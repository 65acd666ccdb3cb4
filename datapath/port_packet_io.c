/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>

#include "datapath/port_packet_priv.h"

/* ---- receiving ----------------------------------------------------------------------- */

static struct tpacket2_hdr *ring_slot(const struct packet_rxq *q)
{
	return (struct tpacket2_hdr *)(void *)(q->ring + (size_t)q->next * PACKET_SLOT_SIZE);
}

/* The slot's status; what the kernel wrote before it is seen. */
static uint32_t slot_get_status(const struct tpacket2_hdr *slot)
{
	return __atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE);
}

/* Gives the slot back and steps to the next. */
static void slot_release(struct packet_rxq *q, struct tpacket2_hdr *slot)
{
	__atomic_store_n(&slot->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	q->next = (q->next + 1) % PACKET_RING_SLOTS;
}

/* Copies the frame in the slot. NULL when the pool is exhausted. */
static struct packet *copy_from_slot(struct frame_cache *cache, const struct tpacket2_hdr *slot,
				     struct virtio_net_hdr *hdr)
{
	const uint8_t *data = (const uint8_t *)slot + slot->tp_mac;
	struct packet *packet = packet_alloc(cache);

	if (unlikely(!packet))
		return NULL;
	memcpy(hdr, data - sizeof(*hdr), sizeof(*hdr));
	if (unlikely(packet_append(cache, packet, data, slot->tp_snaplen))) {
		packet_free(cache, packet);
		return NULL;
	}
	return packet;
}

/*
 * Reads the frame that the present slot stands for from the socket's queue. An error of the device,
 * such as its going down, is reported ahead of the frame: it does not mean that there is none.
 */
static struct packet *read_from_queue(struct packet_rxq *q, struct virtio_net_hdr *hdr)
{
	struct msghdr msg = {.msg_iov = q->buffer.iov, .msg_iovlen = RX_BUFFER_IOVS};
	ssize_t size = -1;

	for (int tries = 0; tries < 3 && size < 0; tries++)
		size = recvmsg(q->rxq.fd, &msg, MSG_DONTWAIT);
	if (size < 0)
		return NULL;
	*hdr = q->buffer.hdr;
	return rx_buffer_take(&q->buffer, (size_t)size);
}

/* Puts the tag that the kernel took off back behind the addresses. Returns 0 or -ENOBUFS. */
static int restore_tag(struct packet *packet, const struct tpacket2_hdr *slot, uint32_t status,
		       struct virtio_net_hdr *hdr)
{
	uint16_t tpid = status & TP_STATUS_VLAN_TPID_VALID ? slot->tp_vlan_tpid : ETH_P_8021Q;
	uint16_t tag[2] = {htons(tpid), htons(slot->tp_vlan_tci)};

	if (packet->len < ETH_HLEN)
		return 0; /* too short for a tag as well: counted later */
	if (!packet_push(packet, sizeof(tag)))
		return -ENOBUFS;
	memmove(packet->data, packet->data + sizeof(tag), 2 * ETH_ALEN);
	memcpy(packet->data + 2 * ETH_ALEN, tag, sizeof(tag));
	if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		hdr->csum_start = (uint16_t)(hdr->csum_start + sizeof(tag));
	return 0;
}

/* Receives what the slot holds. Returns 1 with it in *packetp, 0 when it was dropped, -1 when the
 * pool is exhausted and the slot must wait. */
static int receive(struct packet_rxq *q, struct tpacket2_hdr *slot, uint32_t status,
		   struct frame_cache *cache, struct port_counters *counters,
		   struct packet **packetp)
{
	struct virtio_net_hdr hdr;
	struct packet *packet;

	if (status & TP_STATUS_COPY) {
		if (!rx_buffer_fill(&q->buffer, cache))
			return -1;
		packet = read_from_queue(q, &hdr);
	} else if (slot->tp_snaplen < slot->tp_len) {
		packet = NULL; /* cut: the socket's queue was full */
	} else {
		packet = copy_from_slot(cache, slot, &hdr);
		if (!packet)
			return -1;
	}
	if (!packet) {
		rx_buffer_count_drop(counters, slot->tp_len, DROP_RX_TOO_LONG);
		return 0;
	}
	if (((status & TP_STATUS_VLAN_VALID) && restore_tag(packet, slot, status, &hdr)) ||
	    vnet_hdr_parse(&hdr, packet)) {
		rx_buffer_count_drop(counters, packet->total_len, DROP_RX_BAD_OFFLOAD);
		packet_free(cache, packet);
		return 0;
	}
	*packetp = packet;
	return 1;
}

unsigned int port_packet_rx(struct port_rxq *rxq, struct frame_cache *cache,
			    struct port_counters *counters, struct packet **packets,
			    unsigned int max)
{
	struct packet_rxq *q = container_of(rxq, struct packet_rxq, rxq);
	unsigned int n = 0;

	for (unsigned int i = 0; i < max; i++) {
		struct tpacket2_hdr *slot = ring_slot(q);
		uint32_t status = slot_get_status(slot);
		int got;

		if (!(status & TP_STATUS_USER))
			break;
		got = receive(q, slot, status, cache, counters, &packets[n]);
		if (unlikely(got < 0))
			break;
		slot_release(q, slot);
		n += (unsigned int)got;
	}
	return n;
}

bool port_packet_arm(struct port_rxq *rxq)
{
	struct packet_rxq *q = container_of(rxq, struct packet_rxq, rxq);
	socklen_t size = sizeof(int);
	int error;

	/* A device that went down leaves an error, which would keep us awake until it is taken. */
	(void)getsockopt(rxq->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	return slot_get_status(ring_slot(q)) & TP_STATUS_USER;
}

/* ---- transmitting -------------------------------------------------------------------- */

static enum drop_reason reason_of(int err)
{
	switch (err) {
	case ENETDOWN:
	case ENXIO:
	case ENODEV:
		return DROP_TX_DOWN;
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		return DROP_TX_RING_FULL;
	case EMSGSIZE:
		return DROP_TX_TOO_LONG;
	default:
		return DROP_TX_ERROR;
	}
}

/* Makes messages of the first packets, as many as there are pieces for. Returns how many. */
static unsigned int gather(struct packet_txq *q, struct packet *const *packets, unsigned int n)
{
	unsigned int n_iovs = 0, i;

	for (i = 0; i < MIN(n, (unsigned int)PACKET_BATCH_MAX); i++) {
		struct msghdr *msg = &q->messages[i].msg_hdr;

		if (n_iovs + 1 + packets[i]->n_segs > PACKET_IOVS_MAX)
			break;
		vnet_hdr_format(packets[i], &q->hdrs[i]);
		msg->msg_iov = &q->iovs[n_iovs];
		q->iovs[n_iovs++] = (struct iovec){&q->hdrs[i], sizeof(q->hdrs[i])};
		for (const struct packet *seg = packets[i]; seg; seg = seg->next)
			q->iovs[n_iovs++] = (struct iovec){seg->data, seg->len};
		msg->msg_iovlen = (size_t)(&q->iovs[n_iovs] - msg->msg_iov);
	}
	return i;
}

/* Sends up to `n` packets. Returns how many were taken off the caller, of which the last one, and
 * only that, may have been refused. */
static unsigned int send_some(struct packet_txq *q, struct port_counters *counters,
			      struct packet *const *packets, unsigned int n)
{
	unsigned int n_messages = gather(q, packets, n);
	uint64_t bytes = 0;
	int sent;

	sent = sendmmsg(q->fd, q->messages, n_messages, MSG_DONTWAIT);
	if (unlikely(sent <= 0)) {
		port_count_drop(counters, reason_of(sent ? errno : EAGAIN), 1);
		return 1;
	}
	for (int i = 0; i < sent; i++)
		bytes += packets[i]->total_len;
	counter_add(&counters->tx_packets, (unsigned int)sent);
	counter_add(&counters->tx_bytes, bytes);
	return (unsigned int)sent;
}

void port_packet_tx(struct port_txq *txq, struct frame_cache *cache, struct port_counters *counters,
		    struct packet **packets, unsigned int n)
{
	struct packet_txq *q = container_of(txq, struct packet_txq, txq);

	for (unsigned int done = 0; done < n;)
		done += send_some(q, counters, packets + done, n - done);
	packet_free_batch(cache, packets, n);
}
