/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mem port through its class, as a worker would drive it, on a datapath whose own worker has no
 * port to poll. Each test ends with a census: every frame is back.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "datapath/capture.h"
#include "datapath/datapath.h"
#include "datapath/port_mem.h"
#include "lib/clock.h"

#define N_FRAMES 4096u

/* A datapath, and what the test holds as if it were a worker. */
struct lab {
	struct datapath *dp;
	struct frame_pool *pool;
	struct frame_cache cache;
	struct port_counters counters;
	char path[64]; /* of a scratch capture file */
};

static void translate(void *aux UNUSED, const struct flow_key *key UNUSED,
		      struct pipeline_verdict *verdict UNUSED)
{
}

static const struct pipeline pipeline = {.translate = translate};

static int set_up(void **state)
{
	static struct lab lab;
	const struct datapath_config config = {
		.n_workers = 1,
		.n_frames = N_FRAMES,
		.pipeline = &pipeline,
	};
	struct error err = ERROR_INIT;
	int fd;

	memset(&lab, 0, sizeof(lab));
	if (datapath_create(&config, &lab.dp, &err)) {
		print_error("%s\n", err.text);
		return -1;
	}
	lab.pool = datapath_get_pool(lab.dp);
	frame_cache_init(&lab.cache, lab.pool);
	strcpy(lab.path, "/tmp/test_port_mem.XXXXXX");
	fd = mkstemp(lab.path);
	if (fd < 0)
		return -1;
	close(fd);
	*state = &lab;
	return 0;
}

static int tear_down(void **state)
{
	struct lab *lab = *state;
	uint32_t n_free;

	frame_cache_uninit(&lab->cache);
	n_free = frame_pool_count(lab->pool, FRAME_FREE);
	if (n_free != N_FRAMES)
		print_error("%u of %u frames are free\n", n_free, N_FRAMES);
	datapath_destroy(lab->dp);
	unlink(lab->path);
	return n_free == N_FRAMES ? 0 : -1;
}

/* Opens a port; `options` is "KEY=VALUE KEY=VALUE", at most 8 of them. */
static int try_open(struct lab *lab, const char *name, const char *options, struct port **portp,
		    struct error *err)
{
	static char text[512];
	struct port_option list[8];
	struct port_config config = {.name = name, .options = list, .n_workers = 2};
	char *save = NULL;
	int ret;

	snprintf(text, sizeof(text), "%s", options);
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');

		*value++ = '\0';
		list[config.n_options++] = (struct port_option){word, value};
	}
	ret = port_class_check_options(&port_mem_class, &config, err);
	return ret ? ret : port_mem_class.open(lab->dp, &config, portp, err);
}

static struct port *open_port(struct lab *lab, const char *name, const char *options)
{
	struct error err = ERROR_INIT;
	struct port *port = NULL;

	if (try_open(lab, name, options, &port, &err))
		fail_msg("%s", err.text);
	return port;
}

static void close_port(struct port *port)
{
	port->class->close(port);
}

static unsigned int rx(struct lab *lab, struct port *port, unsigned int queue,
		       struct packet **packets, unsigned int max)
{
	return port->class->rx(port->rxqs[queue], &lab->cache, &lab->counters, packets, max);
}

static void tx(struct lab *lab, struct port *port, struct packet **packets, unsigned int n)
{
	port->class->tx(port->txqs[0], &lab->cache, &lab->counters, packets, n);
}

/* A packet of `len` bytes, each of them `fill`. */
static struct packet *make(struct lab *lab, uint8_t fill, uint32_t len)
{
	static uint8_t bytes[PACKET_LEN_MAX];
	struct packet *packet = packet_alloc(&lab->cache);

	assert_non_null(packet);
	memset(bytes, fill, len);
	assert_int_equal(packet_append(&lab->cache, packet, bytes, len), 0);
	return packet;
}

static void assert_fill(const struct packet *packet, uint8_t fill, uint32_t len)
{
	static uint8_t bytes[PACKET_LEN_MAX];

	assert_int_equal(packet->total_len, len);
	assert_int_equal(packet_read(packet, 0, bytes, sizeof(bytes)), len);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(bytes[i], fill);
}

/* Writes a file of packets with 1..n for fill and these lengths. */
static void write_file(struct lab *lab, const uint32_t *lens, unsigned int n)
{
	struct capture_writer *writer;
	struct error err = ERROR_INIT;

	assert_int_equal(capture_writer_open(lab->path, &writer, &err), 0);
	for (unsigned int i = 0; i < n; i++) {
		struct packet *packet = make(lab, (uint8_t)(i + 1), lens[i]);

		capture_writer_write(writer, &packet, 1);
		packet_free(&lab->cache, packet);
	}
	assert_int_equal(capture_writer_flush(writer), 0);
	capture_writer_close(writer);
}

static bool is_readable(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, timeout_ms) == 1;
}

static void test_null(void **state)
{
	struct lab *lab = *state;
	struct port *port = open_port(lab, "m0", "");
	struct packet *packets[2] = {make(lab, 1, 60), make(lab, 2, 5000)};

	tx(lab, port, packets, 2);
	assert_int_equal(lab->counters.tx_packets, 2);
	assert_int_equal(lab->counters.tx_bytes, 5060);
	assert_int_equal(rx(lab, port, 0, packets, 2), 0);
	assert_true(port_get_link(port));
	close_port(port);
}

static void test_inject(void **state)
{
	struct lab *lab = *state;
	struct port *port = open_port(lab, "m0", "queues=2 mtu=1500");
	const struct port_mem_offload offload = {.csum = PACKET_CSUM_PARTIAL,
						 .gso_type = PACKET_GSO_TCP4,
						 .gso_size = 1448,
						 .csum_start = 34,
						 .csum_offset = 16};
	static uint8_t big[PACKET_LEN_MAX + 1];
	struct packet *packets[4];

	memset(big, 7, sizeof(big));
	assert_int_equal(port_mem_inject(port, 1, big, 64, NULL), 0);
	assert_int_equal(port_mem_inject(port, 1, big, 60000, &offload), 0);
	assert_int_equal(port_mem_inject(port, 2, big, 64, NULL), -EINVAL);
	assert_int_equal(port_mem_inject(port, 1, big, sizeof(big), NULL), -EMSGSIZE);
	assert_int_equal(frame_pool_count(lab->pool, port->rxqs[1]->owner),
			 1 + DIV_ROUND_UP(60000u, FRAME_PAYLOAD));
	assert_int_equal(rx(lab, port, 0, packets, 4), 0);
	assert_int_equal(rx(lab, port, 1, packets, 4), 2);
	assert_fill(packets[0], 7, 64);
	assert_int_equal(packets[0]->csum, PACKET_CSUM_UNKNOWN);
	assert_int_equal(packets[0]->owner, FRAME_HELD);
	assert_fill(packets[1], 7, 60000);
	assert_int_equal(packets[1]->csum, PACKET_CSUM_PARTIAL);
	assert_int_equal(packets[1]->gso_type, PACKET_GSO_TCP4);
	assert_int_equal(packets[1]->gso_size, 1448);
	assert_int_equal(packets[1]->csum_start, 34);
	assert_int_equal(packets[1]->csum_offset, 16);
	packet_free_batch(&lab->cache, packets, 2);
	close_port(port);
}

/* What is longer than the MTU allows, and not to be segmented, is counted. */
static void test_long(void **state)
{
	struct lab *lab = *state;
	struct port *port = open_port(lab, "m0", "mtu=1000");
	const uint32_t lens[] = {1018, 1019};
	static const uint8_t big[2000];
	char options[128];
	struct packet *packets[4];

	assert_int_equal(port_mem_inject(port, 0, big, 1018, NULL), 0);
	assert_int_equal(port_mem_inject(port, 0, big, 1019, NULL), 0);
	assert_int_equal(rx(lab, port, 0, packets, 4), 1);
	packet_free_batch(&lab->cache, packets, 1);
	assert_int_equal(lab->counters.drops[DROP_RX_TOO_LONG], 1);
	assert_int_equal(lab->counters.rx_packets, 1);
	assert_int_equal(lab->counters.rx_bytes, 1019);
	close_port(port);

	write_file(lab, lens, 2);
	snprintf(options, sizeof(options), "mtu=1000 rx=%s", lab->path);
	port = open_port(lab, "m0", options);
	assert_int_equal(rx(lab, port, 0, packets, 4), 1);
	packet_free_batch(&lab->cache, packets, 1);
	assert_int_equal(lab->counters.drops[DROP_RX_TOO_LONG], 2);
	close_port(port);
}

/* The queue is bounded, and what it still holds at the end is not lost. */
static void test_inject_full(void **state)
{
	struct lab *lab = *state;
	struct port *port = open_port(lab, "m0", "");
	struct packet *packets[PACKET_BATCH_MAX];
	uint8_t bytes[60] = {0};
	unsigned int n = 0;

	for (unsigned int i = 0; i < MEM_RING_SIZE; i++) {
		bytes[0] = (uint8_t)i;
		assert_int_equal(port_mem_inject(port, 0, bytes, sizeof(bytes), NULL), 0);
	}
	assert_int_equal(port_mem_inject(port, 0, bytes, sizeof(bytes), NULL), -ENOBUFS);
	while (n < MEM_RING_SIZE / 2) {
		unsigned int got = rx(lab, port, 0, packets, PACKET_BATCH_MAX);

		assert_int_equal(got, PACKET_BATCH_MAX);
		for (unsigned int i = 0; i < got; i++)
			assert_int_equal(packets[i]->data[0], (uint8_t)n++);
		packet_free_batch(&lab->cache, packets, got);
	}
	close_port(port);
}

/* With the pool used up, a packet is refused or stays due; nothing is lost. */
static void test_no_frames(void **state)
{
	struct lab *lab = *state;
	const uint32_t lens[] = {60, 3000};
	static struct packet *hold[N_FRAMES + 1];
	struct packet *packets[4];
	char options[128];
	struct port *port;
	uint32_t n = 0;

	write_file(lab, lens, 2);
	snprintf(options, sizeof(options), "mtu=9000 rx=%s", lab->path);
	port = open_port(lab, "m0", options);
	while ((hold[n] = packet_alloc(&lab->cache)))
		n++;
	assert_int_equal(n, N_FRAMES);
	assert_int_equal(port_mem_inject(port, 0, "x", 1, NULL), -ENOBUFS);
	assert_int_equal(rx(lab, port, 0, packets, 4), 0);
	packet_free_batch(&lab->cache, hold, 2);
	assert_int_equal(rx(lab, port, 0, packets, 4), 1);
	assert_fill(packets[0], 1, 60);
	packet_free_batch(&lab->cache, hold + 2, n - 2);
	assert_int_equal(rx(lab, port, 0, packets + 1, 3), 1);
	assert_fill(packets[1], 2, 3000);
	packet_free_batch(&lab->cache, packets, 2);
	close_port(port);
}

static void test_collect(void **state)
{
	struct lab *lab = *state;
	struct port *port = open_port(lab, "m0", "collect=on csum=on gso=on");
	struct packet *packets[2] = {make(lab, 1, 60), make(lab, 2, 9000)};
	struct port_mem_offload offload;
	uint8_t bytes[16] = {0};
	uint64_t start;

	assert_true(port->caps.gso_tcp6);
	packets[1]->csum = PACKET_CSUM_PARTIAL;
	packets[1]->gso_type = PACKET_GSO_UDP_L4;
	packets[1]->gso_size = 1000;
	tx(lab, port, packets, 2);
	assert_int_equal(port_mem_collect(port, bytes, sizeof(bytes), &offload, 0), 60);
	assert_int_equal(bytes[15], 1);
	assert_int_equal(offload.gso_type, PACKET_GSO_NONE);
	assert_int_equal(port_mem_collect(port, bytes, 8, &offload, 0), 9000);
	assert_int_equal(bytes[7], 2);
	assert_int_equal(bytes[8], 1);
	assert_int_equal(offload.gso_type, PACKET_GSO_UDP_L4);
	assert_int_equal(offload.gso_size, 1000);
	assert_int_equal(offload.csum, PACKET_CSUM_PARTIAL);
	start = clock_now();
	assert_int_equal(port_mem_collect(port, bytes, 8, NULL, 5), -EAGAIN);
	assert_true(clock_now() - start >= 5 * CLOCK_NS_PER_MS);
	/* Left for close() to find. */
	packets[0] = make(lab, 3, 4000);
	tx(lab, port, packets, 1);
	close_port(port);

	port = open_port(lab, "m0", "");
	assert_int_equal(port_mem_collect(port, bytes, 8, NULL, 0), -EINVAL);
	close_port(port);
}

static void test_collect_full(void **state)
{
	struct lab *lab = *state;
	struct port *port = open_port(lab, "m0", "collect=on");
	struct packet *packets[40];

	for (unsigned int done = 0; done < MEM_RING_SIZE + 16; done += 40) {
		for (unsigned int i = 0; i < 40; i++)
			packets[i] = make(lab, 1, 60);
		tx(lab, port, packets, 40);
	}
	assert_int_equal(lab->counters.tx_packets, MEM_RING_SIZE);
	assert_int_equal(lab->counters.tx_bytes, MEM_RING_SIZE * 60);
	assert_int_equal(lab->counters.drops[DROP_TX_RING_FULL], 16);
	close_port(port);
}

static void test_replay(void **state)
{
	struct lab *lab = *state;
	const uint32_t lens[] = {60, 64, 65, 1514, 1792, 1793, 9000, 1};
	struct packet *packets[PACKET_BATCH_MAX];
	char options[128];
	struct port *port;

	write_file(lab, lens, ARRAY_SIZE(lens));
	snprintf(options, sizeof(options), "rx=%s loop=3 mtu=9000", lab->path);
	port = open_port(lab, "m0", options);
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(lens); i++) {
			assert_int_equal(rx(lab, port, 0, packets, 1), 1);
			assert_fill(packets[0], (uint8_t)(i + 1), lens[i]);
			assert_false(packets[0]->has_hash);
			packet_free(&lab->cache, packets[0]);
		}
	}
	assert_int_equal(rx(lab, port, 0, packets, 1), 0);
	close_port(port);

	snprintf(options, sizeof(options), "rx=%s loop=forever mtu=9000", lab->path);
	port = open_port(lab, "m0", options);
	for (unsigned int i = 0; i < 10; i++) {
		assert_int_equal(rx(lab, port, 0, packets, PACKET_BATCH_MAX), PACKET_BATCH_MAX);
		packet_free_batch(&lab->cache, packets, PACKET_BATCH_MAX);
	}
	assert_true(port->class->arm(port->rxqs[0]));
	close_port(port);
}

/* Each packet comes by one queue, a flow always by the same, and hash and layout are the parser's.
 */
static void test_replay_queues(void **state)
{
	struct lab *lab = *state;
	uint32_t lens[64];
	struct packet *packets[PACKET_BATCH_MAX];
	int queue_of[256], seen = 0;
	char options[128];
	struct port *port;

	for (unsigned int i = 0; i < ARRAY_SIZE(lens); i++)
		lens[i] = 60;
	write_file(lab, lens, ARRAY_SIZE(lens));
	memset(queue_of, -1, sizeof(queue_of));
	snprintf(options, sizeof(options), "rx=%s loop=2 queues=4 metadata=on", lab->path);
	port = open_port(lab, "m0", options);
	assert_int_equal(port->n_rxqs, 4);
	for (int q = 0; q < 4; q++) {
		unsigned int n;

		while ((n = rx(lab, port, (unsigned int)q, packets, PACKET_BATCH_MAX))) {
			for (unsigned int i = 0; i < n; i++, seen++) {
				uint32_t hash = packets[i]->hash;
				uint8_t fill = packets[i]->data[0];
				struct flow_key key;

				assert_true(queue_of[fill] == -1 || queue_of[fill] == q);
				queue_of[fill] = q;
				assert_true(packets[i]->has_hash);
				packets[i]->has_hash = false;
				assert_int_equal(packet_extract(packets[i], &key), 0);
				assert_int_equal(packets[i]->hash, hash);
			}
			packet_free_batch(&lab->cache, packets, n);
		}
	}
	assert_int_equal(seen, 128);
	close_port(port);
}

static void test_replay_rate(void **state)
{
	struct lab *lab = *state;
	const uint32_t lens[] = {60};
	struct packet *packets[PACKET_BATCH_MAX];
	uint64_t start = clock_now(), took;
	unsigned int n = 0;
	char options[128];
	struct port *port;

	write_file(lab, lens, 1);
	snprintf(options, sizeof(options), "rx=%s loop=51 rate=1000", lab->path);
	port = open_port(lab, "m0", options);
	while (n < 51) {
		unsigned int got = rx(lab, port, 0, packets, PACKET_BATCH_MAX);

		packet_free_batch(&lab->cache, packets, got);
		n += got;
		if (!got && !port->class->arm(port->rxqs[0]))
			assert_true(is_readable(port->rxqs[0]->fd, 1000));
	}
	took = clock_now() - start;
	/* 50 gaps of 1 ms; late is a busy machine, early is wrong. */
	assert_in_range(took, 49 * CLOCK_NS_PER_MS, 5000 * CLOCK_NS_PER_MS);
	assert_int_equal(rx(lab, port, 0, packets, PACKET_BATCH_MAX), 0);
	assert_false(port->class->arm(port->rxqs[0]));
	assert_false(is_readable(port->rxqs[0]->fd, 20));
	close_port(port);
}

/* set() replaces what is replayed and wakes a sleeper; other options it leaves alone. */
static void test_set(void **state)
{
	struct lab *lab = *state;
	const uint32_t lens[] = {60, 61};
	struct packet *packets[PACKET_BATCH_MAX];
	struct port_option option = {"rx", lab->path};
	struct port_config config = {.name = "m0", .options = &option, .n_options = 1};
	struct port *port = open_port(lab, "m0", "");
	struct error err = ERROR_INIT;

	write_file(lab, lens, 2);
	assert_false(port->class->arm(port->rxqs[0]));
	assert_false(is_readable(port->rxqs[0]->fd, 0));
	assert_int_equal(port->class->set(port, &config, &err), 0);
	assert_true(is_readable(port->rxqs[0]->fd, 1000));
	assert_int_equal(rx(lab, port, 0, packets, PACKET_BATCH_MAX), 2);
	packet_free_batch(&lab->cache, packets, 2);
	assert_int_equal(rx(lab, port, 0, packets, PACKET_BATCH_MAX), 0);
	assert_int_equal(port->class->set(port, &config, &err), 0);
	assert_int_equal(rx(lab, port, 0, packets, PACKET_BATCH_MAX), 2);
	packet_free_batch(&lab->cache, packets, 2);
	/* What stays is named as well; at its initial value it may be left out. */
	assert_int_equal(port_set_options(port, &config), 0);
	option = (struct port_option){"mtu", "1500"};
	assert_int_equal(port->class->set(port, &config, &err), 0);
	option = (struct port_option){"queues", "2"};
	assert_int_equal(port->class->set(port, &config, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "queues"));
	close_port(port);
}

static void test_record(void **state)
{
	struct lab *lab = *state;
	struct packet *packets[3] = {make(lab, 1, 60), make(lab, 2, 64000), make(lab, 3, 1514)};
	const uint32_t lens[] = {60, 64000, 1514};
	struct capture *capture;
	struct error err = ERROR_INIT;
	char options[128];
	struct port *port;

	snprintf(options, sizeof(options), "tx=%s", lab->path);
	port = open_port(lab, "m0", options);
	tx(lab, port, packets, 3);
	assert_int_equal(lab->counters.tx_packets, 3);
	assert_int_equal(port_mem_flush(port), 0);
	for (int pass = 0; pass < 2; pass++) {
		/* The first time the port is still open. */
		assert_int_equal(capture_load(lab->path, &capture, &err), 0);
		assert_int_equal(capture->n, 3);
		for (unsigned int i = 0; i < 3; i++) {
			const struct capture_packet *p = &capture->packets[i];

			assert_int_equal(p->len, lens[i]);
			assert_int_equal((uintptr_t)p->data % CAPTURE_ALIGN, 0);
			assert_int_equal(p->data[0], i + 1);
			assert_int_equal(p->data[p->len - 1], i + 1);
		}
		capture_unload(capture);
		if (pass == 0)
			close_port(port);
	}
}

static void test_wire(void **state)
{
	struct lab *lab = *state;
	struct port *a = open_port(lab, "a", "peer=b csum=on gso=on"), *b;
	struct packet *packets[2] = {make(lab, 1, 60), make(lab, 2, 20000)};

	/* Nobody there yet. */
	assert_false(port_get_link(a));
	tx(lab, a, packets, 1);
	assert_int_equal(lab->counters.drops[DROP_TX_DOWN], 1);

	b = open_port(lab, "b", "peer=a");
	assert_true(port_get_link(a));
	assert_true(port_get_link(b));
	packets[0] = packets[1];
	packets[0]->gso_type = PACKET_GSO_TCP6;
	packets[0]->gso_size = 1400;
	packets[0]->has_hash = true;
	tx(lab, a, packets, 1);
	assert_int_equal(rx(lab, a, 0, packets, 2), 0);
	assert_int_equal(rx(lab, b, 0, packets, 2), 1);
	assert_fill(packets[0], 2, 20000);
	assert_int_equal(packets[0]->gso_type, PACKET_GSO_TCP6);
	assert_false(packets[0]->has_hash);
	tx(lab, b, packets, 1);
	assert_int_equal(rx(lab, a, 0, packets, 2), 1);
	/* Left in flight while the receiver closes. */
	tx(lab, a, packets, 1);
	close_port(b);
	assert_false(port_get_link(a));
	packets[0] = make(lab, 3, 60);
	tx(lab, a, packets, 1);
	assert_int_equal(lab->counters.drops[DROP_TX_DOWN], 2);

	/* Whoever comes back under that name finds the wire, without what was on it. */
	b = open_port(lab, "b", "peer=a queues=2");
	assert_true(port_get_link(a));
	assert_int_equal(rx(lab, b, 0, packets, 2), 0);
	packets[0] = make(lab, 4, 60);
	tx(lab, a, packets, 1);
	close_port(a);
	assert_false(port_get_link(b));
	assert_int_equal(rx(lab, b, 0, packets, 2), 1);
	packet_free_batch(&lab->cache, packets, 1);
	close_port(b);
}

/* A sleeper is woken by injection and by the wire, and only when there is something. */
static void test_wake(void **state)
{
	struct lab *lab = *state;
	struct port *a = open_port(lab, "a", "peer=b"), *b = open_port(lab, "b", "peer=a");
	struct packet *packet = make(lab, 1, 60);

	assert_false(b->class->arm(b->rxqs[0]));
	assert_false(is_readable(b->rxqs[0]->fd, 0));
	tx(lab, a, &packet, 1);
	assert_true(is_readable(b->rxqs[0]->fd, 1000));
	assert_true(b->class->arm(b->rxqs[0]));
	assert_int_equal(rx(lab, b, 0, &packet, 1), 1);
	packet_free(&lab->cache, packet);
	assert_false(b->class->arm(b->rxqs[0]));
	assert_false(is_readable(b->rxqs[0]->fd, 0));
	assert_int_equal(port_mem_inject(b, 0, "hello", 5, NULL), 0);
	assert_true(is_readable(b->rxqs[0]->fd, 1000));
	close_port(a);
	close_port(b);
}

static void test_bad_options(void **state)
{
	struct lab *lab = *state;
	static const struct {
		const char *options, *word;
		int err;
	} cases[] = {
		{"queues=0", "queues=0", -EINVAL},
		{"queues=17", "queues=17", -EINVAL},
		{"mtu=67", "mtu=67", -EINVAL},
		{"csum=maybe", "csum=maybe", -EINVAL},
		{"csum=off gso=on", "gso=on needs csum=on", -EINVAL},
		{"peer=m0", "own peer", -EINVAL},
		{"peer=m1 collect=on", "collect=on", -EINVAL},
		{"rx=/nonexistent/file", "/nonexistent/file", -ENOENT},
		{"tx=/nonexistent/file", "/nonexistent/file", -ENOENT},
		{"rx=/dev/null", "not a capture file", -EINVAL},
		{"rx=/dev/null loop=0", "loop=0", -EINVAL},
		{"rx=/dev/null rate=-1", "rate=-1", -EINVAL},
		{"color=red", "color", -EINVAL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;
		struct port *port;

		assert_int_equal(try_open(lab, "m0", cases[i].options, &port, &err), cases[i].err);
		if (!strstr(err.text, cases[i].word))
			fail_msg("%s: '%s' is not in '%s'", cases[i].options, cases[i].word,
				 err.text);
	}
}

/* A file cut anywhere is refused or gives a prefix of its packets, and one of another kind is
 * refused. */
static void test_bad_files(void **state)
{
	struct lab *lab = *state;
	const uint32_t lens[] = {60, 70, 80};
	struct capture *capture;
	struct error err = ERROR_INIT;
	uint8_t bytes[4096];
	ssize_t size;
	int fd;

	write_file(lab, lens, 3);
	fd = open(lab->path, O_RDWR);
	size = read(fd, bytes, sizeof(bytes));
	assert_int_equal(size, 24 + 3 * 16 + 60 + 70 + 80);
	for (off_t cut = size - 1; cut >= 0; cut--) {
		assert_int_equal(ftruncate(fd, cut), 0);
		if (capture_load(lab->path, &capture, &err))
			continue;
		assert_true(capture->n < 3);
		for (uint32_t i = 0; i < capture->n; i++)
			assert_int_equal(capture->packets[i].len, lens[i]);
		capture_unload(capture);
	}
	bytes[20] = 101; /* raw IP */
	assert_int_equal(pwrite(fd, bytes, (size_t)size, 0), size);
	assert_int_equal(capture_load(lab->path, &capture, &err), -EINVAL);
	assert_non_null(strstr(err.text, "RAW"));
	bytes[20] = 1;
	memset(bytes + 24 + 8, 0xff, 4); /* the first record's captured length */
	assert_int_equal(pwrite(fd, bytes, (size_t)size, 0), size);
	assert_true(capture_load(lab->path, &capture, &err) < 0);
	close(fd);
}

/* Threads inject into one port while another receives: each packet arrives once, in its thread's
 * order. */
#define N_THREADS 3
#define N_EACH 2000

struct injector {
	struct port *port;
	uint8_t id;
	unsigned int n_refused;
};

static void *run_injector(void *arg)
{
	struct injector *injector = arg;
	const struct timespec pause = {.tv_nsec = 10000};

	for (uint32_t i = 0; i < N_EACH;) {
		uint8_t bytes[60] = {injector->id};

		memcpy(bytes + 4, &i, sizeof(i));
		if (port_mem_inject(injector->port, 0, bytes, sizeof(bytes), NULL) == 0) {
			i++;
			continue;
		}
		injector->n_refused++;
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct lab *lab = *state;
	struct port *port = open_port(lab, "m0", "");
	struct injector injectors[N_THREADS];
	pthread_t threads[N_THREADS];
	uint32_t next[N_THREADS] = {0};
	uint64_t deadline = clock_now() + 20 * CLOCK_NS_PER_S;
	unsigned int left = N_THREADS * N_EACH, n_wrong = 0;
	struct packet *packets[PACKET_BATCH_MAX];

	for (unsigned int i = 0; i < N_THREADS; i++) {
		injectors[i] = (struct injector){.port = port, .id = (uint8_t)i};
		assert_int_equal(pthread_create(&threads[i], NULL, run_injector, &injectors[i]), 0);
	}
	while (left && clock_now() < deadline) {
		unsigned int n = rx(lab, port, 0, packets, PACKET_BATCH_MAX);

		for (unsigned int i = 0; i < n; i++) {
			uint8_t id = packets[i]->data[0];
			uint32_t number;

			memcpy(&number, packets[i]->data + 4, sizeof(number));
			n_wrong += id >= N_THREADS || number != next[id]++;
		}
		packet_free_batch(&lab->cache, packets, n);
		left -= n;
		if (!n && !port->class->arm(port->rxqs[0]))
			is_readable(port->rxqs[0]->fd, 1000);
	}
	for (unsigned int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(left, 0);
	assert_int_equal(n_wrong, 0);
	close_port(port);
}

static void count_status(void *aux, const char *name, const char *value)
{
	if (!strcmp(name, "peer"))
		assert_string_equal(value, "b");
	++*(unsigned int *)aux;
}

static void test_status(void **state)
{
	struct lab *lab = *state;
	struct port *port = open_port(lab, "a", "peer=b");
	unsigned int n = 0;

	port->class->get_status(port, count_status, &n);
	assert_int_equal(n, 1);
	assert_int_equal(port->class->refresh(port), 0);
	close_port(port);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_null),	 TEST(test_inject),    TEST(test_long),
		TEST(test_inject_full),	 TEST(test_no_frames), TEST(test_collect),
		TEST(test_collect_full), TEST(test_replay),    TEST(test_replay_queues),
		TEST(test_replay_rate),	 TEST(test_set),       TEST(test_record),
		TEST(test_wire),	 TEST(test_wake),      TEST(test_bad_options),
		TEST(test_bad_files),	 TEST(test_threads),   TEST(test_status),
	};

	return cmocka_run_group_tests_name("port_mem", tests, NULL, NULL);
}
