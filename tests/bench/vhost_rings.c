/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the rings alone cost: a driver in the same thread lends buffers, the device takes frames
 * from one ring, copies them into frames of its own and from there into another ring. Only the
 * device's part is measured, by the cycle counter, in batches of 32. Everything is in the cache of
 * one core, so this is a lower bound: with a real guest the lines come from another core. Printed
 * are medians over the batches: a machine that does other things besides does not show.
 *
 * usage: vhost_rings [PACKETS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "tests/unit/vhost_driver.h"

#define BATCH 32
#define HEADER 12
#define FRAME_SIZE 2048

static struct vhost_driver driver;
static struct vring_batch in, out;
static uint8_t frames[BATCH][FRAME_SIZE] cacheline_aligned;

#define BUCKETS 262144 /* cycles of a batch, one bucket each */

struct timing {
	uint32_t take[BUCKETS]; /* batches, by cycles: guest to us */
	uint32_t give[BUCKETS]; /* us to guest */
	uint64_t n; /* batches */
};

static struct timing timing;

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(EXIT_FAILURE);
}

/* Takes a batch from the guest; returns how many. */
static unsigned int receive(struct vring *ring, uint32_t *sizes)
{
	int n;

	vring_batch_init(&in);
	n = vring_pop(ring, &in, BATCH);
	if (n < 0)
		fail("the ring is broken");
	for (int i = 0; i < n; i++) {
		struct vring_cursor cursor = vring_cursor_get(&in, &in.chains[i]);

		sizes[i] = in.chains[i].size;
		vring_cursor_read(&cursor, frames[i], sizes[i]);
	}
	if (vring_push(ring, &in, 0, (unsigned int)n))
		fail("the ring is broken");
	vring_notify(ring);
	return (unsigned int)n;
}

static void send(struct vring *ring, const uint32_t *sizes, unsigned int n)
{
	vring_batch_init(&out);
	if (vring_pop(ring, &out, n) != (int)n)
		fail("the guest has no room");
	for (unsigned int i = 0; i < n; i++) {
		struct vring_cursor cursor = vring_cursor_get(&out, &out.chains[i]);

		vring_cursor_write(&cursor, frames[i], sizes[i]);
		out.chains[i].written = sizes[i];
	}
	if (vring_push(ring, &out, 0, n))
		fail("the ring is broken");
	vring_notify(ring);
}

static void lend(struct driver_ring *r, const uint64_t *buffers, unsigned int *next, uint32_t size)
{
	for (int i = 0; i < BATCH; i++) {
		struct driver_piece piece = {buffers[*next], size};

		*next = (*next + 1) % r->num;
		if (driver_ring_add(r, &piece, 1, DRIVER_DIRECT, 0) < 0)
			fail("the ring is full");
	}
}

static void take_back(struct driver_ring *r)
{
	uint32_t len;

	while (driver_ring_get(r, &len) >= 0)
		;
}

static void alloc_buffers(uint64_t *buffers, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		buffers[i] = driver_alloc(&driver, FRAME_SIZE);
}

static void count(uint32_t *buckets, uint64_t cycles)
{
	buckets[MIN(cycles, (uint64_t)BUCKETS - 1)]++;
}

/* Cycles of a packet in the median batch. */
static double get_median(const uint32_t *buckets)
{
	uint64_t seen = 0;
	unsigned int i = 0;

	while (i < BUCKETS && (seen += buckets[i]) * 2 < timing.n)
		i++;
	return (double)i / BATCH;
}

static void measure(uint64_t features, uint32_t frame_size, uint64_t packets)
{
	struct driver_ring *tx, *rx;
	uint64_t tx_buffers[256], rx_buffers[256];
	unsigned int tx_next = 0, rx_next = 0;
	uint32_t sizes[BATCH];

	memset(&timing, 0, sizeof(timing));
	driver_init(&driver, 1);
	driver_negotiate(&driver, DRIVER_FEATURES | features);
	rx = driver_ring_open(&driver, 0, 256);
	tx = driver_ring_open(&driver, 1, 256);
	driver_ring_disarm(rx);
	driver_ring_disarm(tx);
	alloc_buffers(tx_buffers, 256);
	alloc_buffers(rx_buffers, 256);
	while (timing.n * BATCH < packets) {
		uint64_t start, middle, end;
		unsigned int n;

		lend(tx, tx_buffers, &tx_next, HEADER + frame_size);
		lend(rx, rx_buffers, &rx_next, FRAME_SIZE);
		start = clock_cycles();
		n = receive(vhost_dev_get_ring(driver.dev, 1), sizes);
		middle = clock_cycles();
		send(vhost_dev_get_ring(driver.dev, 0), sizes, n);
		end = clock_cycles();
		count(timing.take, middle - start);
		count(timing.give, end - middle);
		timing.n++;
		take_back(tx);
		take_back(rx);
	}
	driver_uninit(&driver);
}

/* Cycles of the counter in a microsecond. */
static double get_rate(void)
{
	uint64_t ns = clock_now(), cycles = clock_cycles();

	while (clock_now() - ns < 20 * CLOCK_NS_PER_MS)
		;
	return (double)(clock_cycles() - cycles) * 1000 / (double)(clock_now() - ns);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		uint64_t features;
	} kinds[] = {
		{"split", 0},
		{"split, event index", VHOST_BIT(VIRTIO_RING_F_EVENT_IDX)},
		{"packed", VHOST_BIT(VIRTIO_F_RING_PACKED)},
	};
	uint64_t packets = argc > 1 ? strtoull(argv[1], NULL, 0) : 5000000;
	double rate = get_rate();

	printf("%-20s %6s %10s %10s %10s\n", "ring", "bytes", "take, cyc", "give, cyc", "Mpps");
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (uint32_t size = 64; size <= 1514; size += 1450) {
			double take, give;

			measure(kinds[k].features, size, packets);
			take = get_median(timing.take);
			give = get_median(timing.give);
			printf("%-20s %6" PRIu32 " %10.1f %10.1f %10.1f\n", kinds[k].name, size,
			       take, give, rate / (take + give));
		}
	}
	return EXIT_SUCCESS;
}
