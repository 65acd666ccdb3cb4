/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two vhost-user ports and a wire between them: the rings, the messages and the copies without a
 * switch. What a switch on top of vhost/ reaches is less than this; and any virtio driver (QEMU,
 * dpdk-testpmd with virtio-user) can be tried against the library alone.
 *
 * usage: vhost_forward PATH PATH [server|client]
 *
 * One worker thread polls all rings; it never sleeps. The control thread runs the sockets, and once
 * a second prints what was carried. SIGINT and SIGTERM end it.
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "vhost/vhost_dev.h"
#include "vhost/vhost_socket.h"

#define BATCH 32
#define FRAME_SIZE 2048
#define HEADER_SIZE sizeof(struct virtio_net_hdr_mrg_rxbuf)

struct port {
	struct vhost_dev *dev;
	struct vhost_socket *socket;
	_Atomic(struct vring *) rings[VHOST_RINGS_MAX]; /* published */
	uint64_t taken, given, dropped; /* packets; worker, relaxed */
};

static struct port ports[2];
static atomic_bool stop;
static atomic_uint round_no; /* the worker's rounds: it holds no ring across one */

/* ---- the worker ------------------------------------------------------------------------- */

static struct vring_batch in, out;
static uint8_t frames[BATCH][FRAME_SIZE];
static uint32_t sizes[BATCH];

static void add(uint64_t *counter, unsigned int n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* Takes frames that fit, headers apart; others are lost. */
static unsigned int take(struct port *port, struct vring *ring, unsigned int header)
{
	unsigned int kept = 0;
	int n;

	vring_batch_init(&in);
	n = vring_pop(ring, &in, BATCH);
	for (int i = 0; i < n; i++) {
		struct vring_cursor cursor = vring_cursor_get(&in, &in.chains[i]);
		uint32_t size = in.chains[i].size;

		if (size < header || size > header + FRAME_SIZE - HEADER_SIZE)
			continue;
		memset(frames[kept], 0, HEADER_SIZE);
		vring_cursor_read(&cursor, frames[kept], header);
		vring_cursor_read(&cursor, frames[kept] + HEADER_SIZE, size - header);
		sizes[kept++] = size - header;
	}
	if (n <= 0 || vring_push(ring, &in, 0, (unsigned int)n))
		return 0;
	vring_notify(ring);
	add(&port->taken, (unsigned int)n);
	add(&port->dropped, (unsigned int)n - kept);
	return vring_is_enabled(ring) ? kept : 0;
}

/* Writes one frame to the chains from `first` on; returns how many, 0 when there is no room. */
static unsigned int write_frame(struct vring *ring, unsigned int first, unsigned int frame,
				unsigned int header, bool is_merged)
{
	uint32_t size = header + sizes[frame], room = 0;
	struct virtio_net_hdr_mrg_rxbuf head = {0};
	struct vring_cursor cursor;
	unsigned int n = 0;

	for (; room < size; n++) {
		if (first + n == out.n && (!is_merged || vring_pop(ring, &out, 1) != 1))
			return 0;
		room += out.chains[first + n].size;
		if (!is_merged && room < size)
			return 0;
	}
	head.num_buffers = (uint16_t)n;
	cursor = vring_cursor_get(&out, &out.chains[first]);
	vring_cursor_write(&cursor, &head, header);
	vring_cursor_write(&cursor, frames[frame] + HEADER_SIZE, sizes[frame]);
	return vring_batch_fill(&out, first, size);
}

static void give(struct port *port, struct vring *ring, unsigned int header, unsigned int n)
{
	bool is_merged = vhost_dev_get_features(port->dev) & VHOST_BIT(VIRTIO_NET_F_MRG_RXBUF);
	unsigned int first = 0, sent = 0;

	vring_batch_init(&out);
	if (vring_pop(ring, &out, n) < 0)
		return;
	while (sent < n && first < out.n) {
		unsigned int used = write_frame(ring, first, sent, header, is_merged);

		if (!used)
			break;
		first += used;
		sent++;
	}
	vring_rewind(ring, &out, out.n - first);
	if (vring_push(ring, &out, 0, first))
		return;
	vring_notify(ring);
	add(&port->given, sent);
	add(&port->dropped, n - sent);
}

/* Carries what came in by `from`. Ring 2i + 1 goes to ring 2i. */
static void forward(struct port *from, struct port *to)
{
	for (unsigned int i = 1; i < VHOST_RINGS_MAX; i += 2) {
		struct vring *ring = atomic_load_explicit(&from->rings[i], memory_order_acquire);
		struct vring *other = atomic_load_explicit(&to->rings[i - 1], memory_order_acquire);
		unsigned int n;

		if (!ring)
			continue;
		vring_disarm(ring);
		n = take(from, ring, vhost_dev_get_header_size(from->dev));
		if (!n)
			continue;
		if (other && vring_is_enabled(other))
			give(to, other, vhost_dev_get_header_size(to->dev), n);
		else
			add(&to->dropped, n);
	}
}

static void *run_worker(void *arg UNUSED)
{
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		forward(&ports[0], &ports[1]);
		forward(&ports[1], &ports[0]);
		atomic_fetch_add_explicit(&round_no, 1, memory_order_release);
	}
	return NULL;
}

/* ---- the control thread ----------------------------------------------------------------- */

static void publish(void *port_, uint32_t rings)
{
	struct port *port = port_;

	for (unsigned int i = 0; i < VHOST_RINGS_MAX; i++)
		if (rings & VHOST_BIT(i))
			atomic_store(&port->rings[i], vhost_dev_get_ring(port->dev, i));
}

static void withdraw(void *port_, uint32_t rings)
{
	struct port *port = port_;
	unsigned int seen;

	for (unsigned int i = 0; i < VHOST_RINGS_MAX; i++)
		if (rings & VHOST_BIT(i))
			atomic_store(&port->rings[i], NULL);
	/* two rounds: the one that was under way may have read before the store */
	seen = atomic_load(&round_no);
	while (!atomic_load(&stop) && atomic_load(&round_no) - seen < 2)
		sched_yield();
}

static const struct vhost_dev_ops ops = {.publish = publish, .withdraw = withdraw};

static void open_port(struct port *port, const char *path, bool is_client)
{
	const struct vhost_dev_config config = {
		.name = path,
		.features = VHOST_DEV_RING_FEATURES | VHOST_DEV_NET_FEATURES,
		.protocol_features = VHOST_DEV_PROTOCOL_FEATURES,
		.n_queue_pairs = VHOST_QUEUE_PAIRS_MAX,
	};
	const struct vhost_socket_config socket = {
		.path = path,
		.is_client = is_client,
		.access = 0666,
		.group = (gid_t)-1,
	};
	struct error e = ERROR_INIT;

	if (vhost_dev_create(&config, &ops, port, &port->dev, &e) ||
	    vhost_socket_open(&socket, port->dev, clock_now(), &port->socket, &e)) {
		fprintf(stderr, "%s\n", e.text);
		exit(EXIT_FAILURE);
	}
}

static void print_rates(uint64_t ns)
{
	static uint64_t before[2];

	for (int i = 0; i < 2; i++) {
		uint64_t given = __atomic_load_n(&ports[i].given, __ATOMIC_RELAXED);

		printf("%d: %s, given %.3f Mpps, %" PRIu64 " taken, %" PRIu64 " dropped   ", i,
		       vhost_socket_get_text(ports[i].socket),
		       (double)(given - before[i]) * 1000 / (double)ns, ports[i].taken,
		       ports[i].dropped);
		before[i] = given;
	}
	printf("\n");
	fflush(stdout);
}

static void run_sockets(void)
{
	uint64_t printed_ns = clock_now();

	while (!atomic_load(&stop)) {
		struct pollfd fds[2];
		uint64_t now;

		for (int i = 0; i < 2; i++) {
			fds[i].fd = vhost_socket_get_fd(ports[i].socket);
			fds[i].events = POLLIN;
		}
		(void)poll(fds, 2, 100);
		now = clock_now();
		for (int i = 0; i < 2; i++)
			vhost_socket_run(ports[i].socket, now);
		if (now - printed_ns >= CLOCK_NS_PER_S) {
			print_rates(now - printed_ns);
			printed_ns = now;
		}
	}
}

static void end(int signal UNUSED)
{
	atomic_store(&stop, true);
}

int main(int argc, char **argv)
{
	bool is_client = argc > 3 && strcmp(argv[3], "client") == 0;
	pthread_t worker;

	if (argc < 3) {
		fprintf(stderr, "usage: vhost_forward PATH PATH [server|client]\n");
		return 2;
	}
	signal(SIGINT, end);
	signal(SIGTERM, end);
	for (int i = 0; i < 2; i++)
		open_port(&ports[i], argv[1 + i], is_client);
	if (pthread_create(&worker, NULL, run_worker, NULL))
		return EXIT_FAILURE;
	run_sockets();
	pthread_join(worker, NULL);
	for (int i = 0; i < 2; i++) {
		vhost_socket_close(ports[i].socket);
		vhost_dev_destroy(ports[i].dev);
	}
	return EXIT_SUCCESS;
}
