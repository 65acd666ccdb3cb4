/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/vhost_guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING_SIZE 256u
#define PIECES_MAX 60u
#define TABLE_SIZE 1024u

#define MUST(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static bool is_merged(const struct vhost_guest *g)
{
	return g->driver.features & VHOST_BIT(VIRTIO_NET_F_MRG_RXBUF);
}

static void lend(struct vhost_guest *g, struct guest_pair *pair, uint64_t gpa)
{
	struct driver_piece piece = {gpa, g->buffer_size};
	int id = driver_ring_add(pair->rx, &piece, 1, DRIVER_DIRECT, 0);

	MUST(id >= 0);
	pair->buffers[id] = gpa;
}

static void start_pair(struct vhost_guest *g, unsigned int i)
{
	struct guest_pair *pair = &g->pairs[i];

	pair->rx = driver_ring_open(&g->driver, 2 * i, RING_SIZE);
	pair->tx = driver_ring_open(&g->driver, 2 * i + 1, RING_SIZE);
	for (uint32_t b = 0; b < g->n_buffers; b++)
		lend(g, pair, driver_alloc(&g->driver, g->buffer_size));
	pair->slots = driver_alloc(&g->driver, (uint64_t)g->n_slots * pair->slot_size);
	pair->tables = driver_alloc(&g->driver, (uint64_t)g->n_slots * TABLE_SIZE);
	pair->slot = pair->n_lent = 0;
}

static void start(struct vhost_guest *g, uint64_t features)
{
	g->driver.next_alloc = DRIVER_GPA_HIGH;
	driver_negotiate(&g->driver, features);
	for (unsigned int i = 0; i < g->n_pairs; i++)
		start_pair(g, i);
}

void guest_init(struct vhost_guest *g, const struct guest_config *config)
{
	bool has_long_header = config->features &
			       (VHOST_BIT(VIRTIO_F_VERSION_1) | VHOST_BIT(VIRTIO_NET_F_MRG_RXBUF));
	uint32_t usual =
		config->features & VHOST_BIT(VIRTIO_NET_F_MRG_RXBUF) ? 2048 : GUEST_PACKET_MAX;

	memset(g, 0, sizeof(*g));
	driver_init_at(&g->driver, config->path, config->run, config->run_aux);
	g->n_pairs = config->n_pairs;
	g->header_size = has_long_header ? sizeof(struct virtio_net_hdr_mrg_rxbuf)
					 : sizeof(struct virtio_net_hdr);
	g->buffer_size = config->buffer_size ? config->buffer_size : usual;
	g->n_buffers = config->n_buffers ? config->n_buffers : 64;
	g->n_slots = 32;
	g->layout = config->layout;
	g->piece_size = config->piece_size;
	for (unsigned int i = 0; i < g->n_pairs; i++)
		g->pairs[i].slot_size = config->slot_size ? config->slot_size : 2048;
	start(g, config->features);
}

void guest_uninit(struct vhost_guest *g)
{
	driver_uninit(&g->driver);
}

void guest_reconnect(struct vhost_guest *g)
{
	driver_hang_up(&g->driver);
	driver_connect(&g->driver);
	start(g, g->driver.features);
}

int guest_send(struct vhost_guest *g, unsigned int index, const struct virtio_net_hdr *hdr,
	       const void *frame, uint32_t len)
{
	struct guest_pair *pair = &g->pairs[index];
	struct driver_piece pieces[PIECES_MAX];
	uint64_t gpa = pair->slots + (uint64_t)pair->slot * pair->slot_size;
	uint64_t table = pair->tables + (uint64_t)pair->slot * TABLE_SIZE;
	uint32_t size = g->header_size + len, step = g->piece_size ? g->piece_size : size;
	uint8_t *to = driver_ptr(&g->driver, gpa);
	unsigned int n = 0;
	uint32_t used;

	while (driver_ring_get(pair->tx, &used) >= 0)
		pair->n_lent--;
	if (pair->n_lent == g->n_slots)
		return -ENOSPC;
	MUST(size <= pair->slot_size);
	memset(to, 0, g->header_size);
	if (hdr)
		memcpy(to, hdr, sizeof(*hdr));
	memcpy(to + g->header_size, frame, len);
	for (uint32_t at = 0; at < size; at += step, n++) {
		MUST(n < PIECES_MAX);
		pieces[n] = (struct driver_piece){gpa + at, MIN(step, size - at)};
	}
	if (driver_ring_add(pair->tx, pieces, n, n > 1 ? g->layout : DRIVER_DIRECT, table) < 0)
		return -ENOSPC;
	pair->n_lent++;
	pair->slot = (pair->slot + 1) % g->n_slots;
	driver_ring_kick(pair->tx);
	return 0;
}

/* Takes a used buffer: its first bytes, at most `size`, behind each other. */
static uint32_t take(struct vhost_guest *g, struct guest_pair *pair, int id, uint32_t len, void *to,
		     uint32_t size)
{
	uint64_t gpa = pair->buffers[id];

	MUST(len <= g->buffer_size && len <= size);
	memcpy(to, driver_ptr(&g->driver, gpa), len);
	lend(g, pair, gpa);
	return len;
}

int guest_receive(struct vhost_guest *g, unsigned int index, struct virtio_net_hdr *hdr,
		  void *frame, uint32_t size)
{
	static __thread uint8_t bytes[GUEST_PACKET_MAX];
	struct guest_pair *pair = &g->pairs[index];
	struct virtio_net_hdr_mrg_rxbuf head = {.num_buffers = 1};
	uint32_t have, len;
	int id = driver_ring_get(pair->rx, &len);

	if (id < 0)
		return -EAGAIN;
	have = take(g, pair, id, len, bytes, sizeof(bytes));
	MUST(have >= g->header_size);
	memcpy(&head, bytes, g->header_size);
	MUST(head.num_buffers == 1 || (is_merged(g) && head.num_buffers > 1));
	for (unsigned int i = 1; i < head.num_buffers; i++) {
		id = driver_ring_get(pair->rx, &len);
		MUST(id >= 0);
		have += take(g, pair, id, len, bytes + have, (uint32_t)sizeof(bytes) - have);
	}
	driver_ring_kick(pair->rx);
	if (hdr)
		*hdr = head.hdr;
	have -= g->header_size;
	memcpy(frame, bytes + g->header_size, MIN(have, size));
	return (int)have;
}
