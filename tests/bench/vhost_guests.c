// SPDX-License-Identifier: BSD-2-Clause
/*
 * One or two guests in a process, each with a virtio network card: what they send and receive they
 * copy from and to memory of their own, as an operating system does.
 *
 * usage: vhost_guests [--tso] SIZE PATH [PATH]
 *
 * Makes a listening socket at each path, waits for a switch to connect to all of them as vhost-user
 * back end, and prints "ready". Frames have SIZE bytes and are UDP over IPv4 from 198.18.0.1; with
 * --tso they are TCP with a partial checksum, to be cut into segments of 1448 bytes by whoever has
 * to. Then it obeys lines of its input, and answers each with one line of JSON:
 *
 *	send SECONDS		the first guest sends as fast as it can; the last one receives
 *	receive SECONDS		the first guest receives
 *	ping COUNT GAP		the first guest sends a frame each GAP microseconds; how long each
 *takes from just before the kick until it lies in the last guest's ring
 *
 * Guests poll, and ask for no interrupts.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/ip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "tests/unit/vhost_driver.h"

#define HEADER sizeof(struct virtio_net_hdr_mrg_rxbuf)
#define SIZE_MAX_ 65549u /* an IPv4 packet of 65535 bytes behind its Ethernet header */
#define RING_SIZE 256u
#define BUFFER_SIZE 4096u /* of a receive buffer */
#define N_SLOTS_MAX 64u /* frames lent for sending */
#define SLOTS_SIZE (1u << 20) /* bytes for all of them */
#define NAP_US 50 /* of a guest that only receives, when there is nothing */
#define BURST 32u
#define PAYLOAD_OFFSET 54u
#define GSO_SIZE 1448
#define PING_TIMEOUT_NS (200 * CLOCK_NS_PER_MS)
#define PINGS_MAX 10000u

struct guest {
	struct vhost_driver driver;
	struct driver_ring *rx, *tx;
	uint64_t buffers[RING_SIZE]; /* by id: what is lent in rx */
	uint64_t slots; /* memory that frames are sent from */
	uint32_t slot_size, n_slots;
	uint32_t slot; /* the next one */
	uint32_t n_lent; /* in tx */
	uint64_t n_frames, n_bytes; /* received */
};

static struct guest guests[2];
static unsigned int n_guests;
static struct virtio_net_hdr_mrg_rxbuf header; /* of each frame that is sent */
static uint8_t frame[SIZE_MAX_], received[SIZE_MAX_ + BUFFER_SIZE];
static uint32_t frame_size;
static uint64_t pings[PINGS_MAX];

static void fail(const char *what)
{
	fprintf(stderr, "vhost_guests: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* ---- life cycle ------------------------------------------------------------------------- */

static void lend(struct guest *g, uint64_t gpa)
{
	struct driver_piece piece = {gpa, BUFFER_SIZE};
	int id = driver_ring_add(g->rx, &piece, 1, DRIVER_DIRECT, 0);

	if (id < 0)
		fail("the receive ring is full");
	g->buffers[id] = gpa;
}

static void open_guest(struct guest *g, int listener, uint64_t features)
{
	driver_init_accept(&g->driver, listener);
	driver_negotiate(&g->driver, features);
	g->rx = driver_ring_open(&g->driver, 0, RING_SIZE);
	g->tx = driver_ring_open(&g->driver, 1, RING_SIZE);
	driver_ring_disarm(g->rx);
	driver_ring_disarm(g->tx);
	driver_ready(&g->driver);
	for (unsigned int i = 0; i < RING_SIZE; i++)
		lend(g, driver_alloc(&g->driver, BUFFER_SIZE));
	g->slot_size = ROUND_UP(frame_size + (uint32_t)HEADER, 64u);
	g->n_slots = MIN(N_SLOTS_MAX, SLOTS_SIZE / g->slot_size);
	g->slots = driver_alloc(&g->driver, (uint64_t)g->n_slots * g->slot_size);
}

/* ---- frames ----------------------------------------------------------------------------- */

static uint32_t sum16(const void *data, size_t size)
{
	const uint8_t *p = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void make_frame(bool is_tso)
{
	static const uint8_t addresses[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0};
	static const uint8_t ports[] = {0x13, 0x88, 0x13, 0x89}; /* 5000, 5001 */
	uint32_t size = frame_size - 14;
	uint8_t *l4 = frame + 34;
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = htons((uint16_t)size),
		.ttl = 64,
		.protocol = is_tso ? 6 : 17,
		.saddr = htonl(0xc6120001),
		.daddr = htonl(0xc6130001),
	};

	ip.check = htons((uint16_t)~fold(sum16(&ip, sizeof(ip))));
	memcpy(frame, addresses, sizeof(addresses));
	memcpy(frame + 14, &ip, sizeof(ip));
	memcpy(l4, ports, sizeof(ports));
	if (is_tso) {
		uint16_t partial = fold(sum16(&ip.saddr, 8) + 6 + (size - 20));

		l4[12] = 5 << 4;
		l4[13] = 0x10; /* ACK */
		l4[16] = (uint8_t)(partial >> 8);
		l4[17] = (uint8_t)partial;
		header.hdr = (struct virtio_net_hdr){
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
			.hdr_len = PAYLOAD_OFFSET,
			.gso_size = GSO_SIZE,
			.csum_start = 34,
			.csum_offset = 16,
		};
	} else {
		l4[4] = (uint8_t)((size - 20) >> 8);
		l4[5] = (uint8_t)(size - 20);
	}
}

/* ---- a guest at work -------------------------------------------------------------------- */

/* Puts a frame into the ring, without a kick. */
static void send_frame(struct guest *g)
{
	uint64_t gpa = g->slots + (uint64_t)g->slot * g->slot_size;
	struct driver_piece piece = {gpa, frame_size + (uint32_t)HEADER};
	uint8_t *to = driver_ptr(&g->driver, gpa);

	memcpy(to, &header, HEADER);
	memcpy(to + HEADER, frame, frame_size);
	if (driver_ring_add(g->tx, &piece, 1, DRIVER_DIRECT, 0) < 0)
		fail("the send ring is full");
	g->slot = (g->slot + 1) % g->n_slots;
	g->n_lent++;
}

/* Sends what there is room for, at most a burst. Returns how many. */
static unsigned int send_burst(struct guest *g)
{
	unsigned int n;
	uint32_t len;

	while (driver_ring_get(g->tx, &len) >= 0)
		g->n_lent--;
	for (n = 0; n < BURST && g->n_lent < g->n_slots; n++)
		send_frame(g);
	if (n)
		driver_ring_kick(g->tx);
	return n;
}

/* Copies a used buffer to `to` and lends it again. */
static void take_buffer(struct guest *g, int id, uint32_t len, uint8_t *to)
{
	uint64_t gpa = g->buffers[id];

	memcpy(to, driver_ptr(&g->driver, gpa), len);
	lend(g, gpa);
}

/* Receives a frame. Returns false when there is none. */
static bool receive_frame(struct guest *g)
{
	struct virtio_net_hdr_mrg_rxbuf head;
	uint32_t len, size;
	int id = driver_ring_get(g->rx, &len);

	if (id < 0)
		return false;
	take_buffer(g, id, len, received);
	memcpy(&head, received, HEADER);
	size = len;
	for (unsigned int i = 1; i < head.num_buffers; i++) {
		do {
			id = driver_ring_get(g->rx, &len);
		} while (id < 0);
		if (size + len > sizeof(received))
			fail("a frame is too long");
		take_buffer(g, id, len, received + size);
		size += len;
	}
	g->n_frames++;
	g->n_bytes += size - HEADER;
	return true;
}

static unsigned int receive_burst(struct guest *g)
{
	unsigned int n = 0;

	while (n < BURST && receive_frame(g))
		n++;
	if (n)
		driver_ring_kick(g->rx);
	return n;
}

/* ---- commands --------------------------------------------------------------------------- */

static void run_traffic(double seconds, bool sends)
{
	struct guest *last = sends ? &guests[n_guests - 1] : &guests[0];
	uint64_t start = clock_now(), end = start + (uint64_t)(seconds * CLOCK_NS_PER_S);
	uint64_t n_sent = 0, now;

	last->n_frames = last->n_bytes = 0;
	do {
		for (int i = 0; i < 16; i++) {
			if (sends)
				n_sent += send_burst(&guests[0]);
			/* Who makes the frames then is another process on this core. */
			if (!receive_burst(last) && !sends)
				usleep(NAP_US);
		}
		now = clock_now();
	} while (now < end);
	printf("{\"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"bytes\": %" PRIu64
	       ", \"seconds\": %.6f}\n",
	       n_sent, last->n_frames, last->n_bytes, (double)(now - start) / CLOCK_NS_PER_S);
}

static int compare(const void *a_, const void *b_)
{
	const uint64_t *a = a_, *b = b_;

	return (*a > *b) - (*a < *b);
}

/* Sends a frame and waits for it. Returns the time, ns, or 0 when it did not come. */
static uint64_t ping(void)
{
	struct guest *last = &guests[n_guests - 1];
	uint64_t start, now;
	uint32_t len;

	while (driver_ring_get(guests[0].tx, &len) >= 0)
		guests[0].n_lent--;
	if (guests[0].n_lent == guests[0].n_slots)
		return 0;
	send_frame(&guests[0]);
	start = clock_now();
	driver_ring_kick(guests[0].tx);
	do {
		bool has_come = receive_frame(last);

		now = clock_now();
		if (has_come) {
			driver_ring_kick(last->rx);
			return now - start;
		}
	} while (now - start < PING_TIMEOUT_NS);
	return 0;
}

static void run_pings(unsigned int count, unsigned int gap_us)
{
	static const double quantiles[] = {0, 0.5, 0.9, 0.99, 1};
	unsigned int n = 0;

	count = MIN(count, PINGS_MAX);
	for (unsigned int i = 0; i < count; i++) {
		uint64_t ns;

		usleep(gap_us);
		while (receive_frame(&guests[n_guests - 1]))
			;
		ns = ping();
		if (ns)
			pings[n++] = ns;
	}
	qsort(pings, n, sizeof(pings[0]), compare);
	printf("{\"received\": %u, \"lost\": %u", n, count - n);
	for (size_t i = 0; n && i < ARRAY_SIZE(quantiles); i++)
		printf(", \"p%g\": %.3f", quantiles[i] * 100,
		       (double)pings[(size_t)(quantiles[i] * (n - 1))] / 1000);
	printf("}\n");
}

static void obey(const char *line)
{
	unsigned int count, gap_us;
	double seconds;

	if (sscanf(line, "send %lf", &seconds) == 1)
		run_traffic(seconds, true);
	else if (sscanf(line, "receive %lf", &seconds) == 1)
		run_traffic(seconds, false);
	else if (sscanf(line, "ping %u %u", &count, &gap_us) == 2)
		run_pings(count, gap_us);
	else
		printf("{\"error\": \"what?\"}\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	uint64_t features = VHOST_BIT(VIRTIO_F_VERSION_1) | VHOST_BIT(VIRTIO_NET_F_MRG_RXBUF) |
			    VHOST_BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	bool is_tso = argc > 1 && strcmp(argv[1], "--tso") == 0;
	int first = is_tso ? 2 : 1, listeners[2];
	char line[128];

	if (argc < first + 2 || argc > first + 3) {
		fprintf(stderr, "usage: vhost_guests [--tso] SIZE PATH [PATH]\n");
		return 2;
	}
	frame_size = (uint32_t)strtoul(argv[first], NULL, 0);
	if (frame_size < 60 || frame_size > SIZE_MAX_) {
		fprintf(stderr, "vhost_guests: SIZE is between 60 and %u\n", SIZE_MAX_);
		return 2;
	}
	if (is_tso)
		features |= VHOST_BIT(VIRTIO_NET_F_CSUM) | VHOST_BIT(VIRTIO_NET_F_HOST_TSO4) |
			    VHOST_BIT(VIRTIO_NET_F_GUEST_CSUM) | VHOST_BIT(VIRTIO_NET_F_GUEST_TSO4);
	make_frame(is_tso);
	n_guests = (unsigned int)(argc - first - 1);
	for (unsigned int i = 0; i < n_guests; i++)
		listeners[i] = driver_listen(argv[first + 1 + (int)i]);
	for (unsigned int i = 0; i < n_guests; i++)
		open_guest(&guests[i], listeners[i], features);
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		obey(line);
	return EXIT_SUCCESS;
}
