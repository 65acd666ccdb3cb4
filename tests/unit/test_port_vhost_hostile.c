/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile guest at port 3 while two neighbours at ports 1 and 2 exchange packets. Each test ends
 * with the neighbours having lost none and got each in order, the switch alive, its sums right, and
 * no descriptor, mapping or frame missing. What the library finds wrong message by message and
 * descriptor by descriptor is told in test_vhost_hostile*.c; here the worker and its switch are in
 * between.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "tests/unit/packets.h"
#include "tests/unit/random.h"
#include "tests/unit/vhost_lab.h"
#include "vhost/guest_fault.h"

#define BAD 2 /* the hostile guest, and the one that it is wired to */
#define PEER 3
#define WINDOW 16u
#define N_CONNECTIONS 10000u
#define LAST_GPA (DRIVER_GPA_HIGH + 12 * DRIVER_MIB)
#define TABLE (DRIVER_GPA_LOW + 0x1000)

/* What allocators and memory that is touched late may come to. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RSS_GROWTH_KB (1024 * 1024) /* sanitizers keep what was freed, and shadows of it */
#else
#define RSS_GROWTH_KB 8192
#endif

static pthread_t neighbours;
static atomic_bool is_over;
static atomic_ullong n_carried;
static atomic_uint n_errors;
static uint64_t bad_now_ns; /* the bad port's time: its pauses cost us none */
static unsigned int n_fds, n_maps;
static struct random rng;

/* ---- the neighbours ------------------------------------------------------------------------ */

/* Packets from guest 0 to guest 1, a window of them under way. */
static void *run_neighbours(void *arg UNUSED)
{
	uint32_t sent = 0, got = 0;
	uint8_t frame[2048], expected[2048];
	uint64_t last_ns = clock_now();

	while (!atomic_load(&is_over) || got != sent) {
		uint32_t len = 60 + sent % 1400;
		int size;

		if (!atomic_load(&is_over) && sent - got < WINDOW) {
			lab_make_frame(frame, len, sent);
			sent += guest_send(&lab_guests[0], 0, NULL, frame, len) == 0;
		}
		size = guest_receive(&lab_guests[1], 0, NULL, frame, sizeof(frame));
		if (size < 0) {
			if (clock_now() - last_ns > LAB_PATIENCE_NS) {
				atomic_fetch_add(&n_errors, 1);
				break;
			}
			sched_yield();
			continue;
		}
		lab_make_frame(expected, (uint32_t)size, got);
		if ((uint32_t)size != 60 + got % 1400 || memcmp(frame, expected, (size_t)size) != 0)
			atomic_fetch_add(&n_errors, 1);
		got++;
		last_ns = clock_now();
		atomic_store(&n_carried, got);
	}
	return NULL;
}

/* The neighbours go on: some packets more cross. */
static void check_neighbours(void)
{
	uint64_t before = atomic_load(&n_carried), end = clock_now() + LAB_PATIENCE_NS;

	while (atomic_load(&n_carried) < before + 10 && clock_now() < end)
		usleep(100);
	assert_true(atomic_load(&n_carried) >= before + 10);
	assert_int_equal(atomic_load(&n_errors), 0);
}

/* ---- the lab ------------------------------------------------------------------------------- */

static void run_bad(void *aux UNUSED)
{
	struct port *port = lab_get_port(BAD);

	bad_now_ns += 10 * CLOCK_NS_PER_S;
	(void)port->class->run_control(port, bad_now_ns);
}

static unsigned long get_rss_kb(void)
{
	unsigned long size = 0, rss = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f) {
		if (fscanf(f, "%lu %lu", &size, &rss) != 2)
			rss = 0;
		fclose(f);
	}
	return rss * (unsigned long)(sysconf(_SC_PAGESIZE) / 1024);
}

static void begin(const char *options)
{
	lab_start(1);
	for (unsigned int i = 0; i < LAB_PORTS; i++)
		lab_add(i, i == BAD ? options : "");
	lab_boot(0, (struct guest_config){.features = BASE_FEATURES | MERGED});
	lab_boot(1, (struct guest_config){.features = BASE_FEATURES | MERGED});
	bad_now_ns = clock_now();
	random_init(&rng, test_seed());
	atomic_store(&is_over, false);
	atomic_store(&n_errors, 0);
	atomic_store(&n_carried, 0);
	assert_int_equal(pthread_create(&neighbours, NULL, run_neighbours, NULL), 0);
	check_neighbours();
}

static void end(void)
{
	check_neighbours();
	atomic_store(&is_over, true);
	pthread_join(neighbours, NULL);
	assert_int_equal(atomic_load(&n_errors), 0);
	assert_int_equal(lab_get_drops(0, DROP_TX_RING_FULL) + lab_get_drops(1, DROP_TX_RING_FULL),
			 0);
	lab_shut_down(2);
}

/* The bad guest is there, its process (the driver) as well; no connection. */
static void meet(void)
{
	driver_init_at(&lab_guests[BAD].driver, lab_paths[BAD], run_bad, NULL);
	driver_hang_up(&lab_guests[BAD].driver);
	run_bad(NULL);
	n_fds = driver_count_fds();
	n_maps = driver_count_maps();
}

static void close_ring_fds(struct vhost_driver *d)
{
	for (unsigned int i = 0; i < VHOST_RINGS_MAX; i++) {
		int *fds[] = {&d->rings[i].kick_fd, &d->rings[i].call_fd, &d->rings[i].err_fd};

		for (size_t j = 0; j < ARRAY_SIZE(fds); j++) {
			if (*fds[j] >= 0)
				close(*fds[j]);
			*fds[j] = -1;
		}
	}
}

/* The switch has hung up, or does so now; nothing is left of the connection. */
static void check_clean(void)
{
	struct vhost_driver *d = &lab_guests[BAD].driver;

	driver_hang_up(d);
	close_ring_fds(d);
	run_bad(NULL);
	assert_int_equal(driver_count_fds(), n_fds);
	assert_int_equal(driver_count_maps(), n_maps);
}

/* Waits until the switch hangs up. */
static void wait_hang_up(void)
{
	uint64_t deadline = clock_now() + LAB_PATIENCE_NS;
	struct vhost_driver *d = &lab_guests[BAD].driver;
	char bytes[512];
	ssize_t n;

	do {
		run_bad(NULL);
		n = recv(d->sock, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			usleep(50);
		assert_true(clock_now() < deadline);
	} while (n > 0 || (n < 0 && errno == EAGAIN));
}

static void collect(void *aux, const char *name, const char *value)
{
	if (strcmp(name, "faults") == 0)
		snprintf(aux, 1024, ",%s,", value);
}

/* How often connections ended by this fault, as the port tells it. */
static unsigned long count_fault(const char *fault)
{
	char faults[1024] = "", word[64];
	const char *at;

	snprintf(word, sizeof(word), ",%s=", fault);
	lab_get_port(BAD)->class->get_status(lab_get_port(BAD), collect, faults);
	at = strstr(faults, word);
	return at ? strtoul(at + strlen(word), NULL, 10) : 0;
}

/* ---- messages ------------------------------------------------------------------------------ */

/* One message of nonsense, or nearly: sizes, requests and descriptors that do not fit. */
static void send_nonsense(struct vhost_driver *d)
{
	struct {
		struct vhost_header header;
		uint8_t payload[512];
	} msg;
	int fds[12];
	unsigned int n = random_chance(&rng, 40) ? random_below(&rng, 12) : 0;
	uint32_t size;

	for (size_t i = 0; i < sizeof(msg); i++)
		((uint8_t *)&msg)[i] = (uint8_t)random_u32(&rng);
	msg.header.request = random_below(&rng, 45);
	msg.header.flags = random_chance(&rng, 95) ? 1 | random_below(&rng, 16) << 2 : 2;
	if (random_chance(&rng, 80))
		msg.header.flags &= 0x9;
	msg.header.size = random_chance(&rng, 90) ? random_below(&rng, 300) : random_u32(&rng);
	if (random_chance(&rng, 70))
		msg.header.size &= ~UINT32_C(7);
	if (random_chance(&rng, 50))
		memset(msg.payload, random_chance(&rng, 50) ? 0 : 0xff, random_below(&rng, 64));
	for (unsigned int i = 0; i < n; i++)
		fds[i] = random_chance(&rng, 50) ? d->mem_fd : d->sock;
	size = (uint32_t)sizeof(msg.header) + MIN(msg.header.size, (uint32_t)sizeof(msg.payload));
	if (random_chance(&rng, 10))
		size = random_below(&rng, size) + 1; /* the rest never comes */
	(void)driver_send_raw(d, &msg, size, fds, n);
}

/* 10,000 connections, with a nonsense or several after a beginning that may be right. */
static void test_messages(void **state UNUSED)
{
	struct vhost_driver *d = &lab_guests[BAD].driver;
	unsigned long rss_kb = 0;

	begin("queues=2");
	meet();
	for (unsigned int i = 0; i < N_CONNECTIONS; i++) {
		if (i == N_CONNECTIONS / 10)
			rss_kb = get_rss_kb();
		d->next_alloc = DRIVER_GPA_HIGH;
		driver_connect(d);
		if (i % 4 == 0)
			driver_negotiate(d, BASE_FEATURES | MERGED);
		if (i % 16 == 0)
			(void)driver_ring_open(d, i / 16 % 4, 64);
		for (unsigned int j = 0; j < 3; j++) {
			send_nonsense(d);
			run_bad(NULL);
		}
		check_clean();
	}
	assert_in_range(get_rss_kb(), 0, rss_kb + RSS_GROWTH_KB);
	guest_uninit(&lab_guests[BAD]);
	end();
}

/* ---- rings --------------------------------------------------------------------------------- */

static uint64_t split(uint32_t len, uint16_t flags, uint16_t next)
{
	return len | (uint64_t)flags << 32 | (uint64_t)next << 48;
}

enum { NEXT = VRING_DESC_F_NEXT, WRITE = VRING_DESC_F_WRITE, INDIR = VRING_DESC_F_INDIRECT };

/* What a worker meets in ring 1 (it reads) or 0 (it writes): descriptors 0 and 1, a table. */
struct bad_ring {
	const char *fault;
	uint16_t n_avail;
	uint16_t head;
	struct vring_slot desc[2];
	struct vring_slot table[2];
	unsigned int ring;
};

/* Each of these costs the guest its connection, under its name, and nobody else anything. */
static void test_rings(void **state UNUSED)
{
	const struct bad_ring bad[] = {
		{"ring_loop", 1, 0, {{DRIVER_GPA_LOW, split(4, NEXT, 0)}}, {{0}}, 1},
		{"ring_index", 1, 65535, {{0}}, {{0}}, 1},
		{"ring_index", 1, 0, {{DRIVER_GPA_LOW, split(4, NEXT, 999)}}, {{0}}, 1},
		{"ring_available", 65535, 0, {{DRIVER_GPA_LOW, split(4, 0, 0)}}, {{0}}, 1},
		{"ring_address", 1, 0, {{0, split(64, 0, 0)}}, {{0}}, 1},
		{"ring_address", 1, 0, {{LAST_GPA - 4, split(5, 0, 0)}}, {{0}}, 1},
		{"ring_address", 1, 0, {{UINT64_MAX - 7, split(64, 0, 0)}}, {{0}}, 1},
		{"ring_address", 1, 0, {{DRIVER_GPA_HIGH, split(UINT32_MAX, 0, 0)}}, {{0}}, 1},
		{"ring_direction", 1, 0, {{DRIVER_GPA_LOW, split(64, WRITE, 0)}}, {{0}}, 1},
		{"ring_indirect", 1, 0, {{TABLE, split(17, INDIR, 0)}}, {{0}}, 1},
		{"ring_indirect",
		 1,
		 0,
		 {{TABLE, split(32, INDIR, 0)}},
		 {{TABLE, split(32, INDIR, 0)}},
		 1},
		{"ring_loop",
		 1,
		 0,
		 {{TABLE, split(32, INDIR, 0)}},
		 {{DRIVER_GPA_LOW, split(4, NEXT, 1)}, {DRIVER_GPA_LOW, split(4, NEXT, 0)}},
		 1},
		{"ring_address", 1, 0, {{LAST_GPA, split(32, INDIR, 0)}}, {{0}}, 1},
		{"ring_direction", 1, 0, {{DRIVER_GPA_LOW, split(64, 0, 0)}}, {{0}}, 0},
		{"ring_address", 1, 0, {{0, split(64, WRITE, 0)}}, {{0}}, 0},
	};
	struct vhost_driver *d = &lab_guests[BAD].driver;
	uint8_t frame[64];

	begin("");
	meet();
	lab_boot(PEER, (struct guest_config){.features = BASE_FEATURES | MERGED});
	n_fds = driver_count_fds();
	n_maps = driver_count_maps();
	lab_make_frame(frame, 60, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		unsigned long before = count_fault(bad[i].fault);
		struct driver_ring *r;

		d->next_alloc = DRIVER_GPA_HIGH;
		driver_connect(d);
		driver_negotiate(d, BASE_FEATURES | MERGED | INDIRECT);
		r = driver_ring_open(d, bad[i].ring, 64);
		memcpy(driver_ptr(d, TABLE), bad[i].table, sizeof(bad[i].table));
		memcpy(r->desc, bad[i].desc, sizeof(bad[i].desc));
		r->avail->ring[0] = bad[i].head;
		__atomic_store_n(&r->avail->idx, bad[i].n_avail, __ATOMIC_RELEASE);
		assert_int_equal(eventfd_write(r->kick_fd, 1), 0);
		/* somebody sends to it, so that the worker looks into the other ring, too */
		lab_send(PEER, 0, NULL, frame, 60);
		wait_hang_up();
		if (count_fault(bad[i].fault) != before + 1)
			fail_msg("case %zu: %s is not counted", i, bad[i].fault);
		check_clean();
	}
	guest_uninit(&lab_guests[PEER]);
	guest_uninit(&lab_guests[BAD]);
	end();
}

/* ---- memory that changes, or goes ---------------------------------------------------------- */

static atomic_bool stop_scribbling;

/* Writes numbers, nearly right ones among them, over rings, tables and headers. */
static void *scribble(void *driver)
{
	struct vhost_driver *d = driver;
	struct random mine;

	random_init(&mine, test_seed() + 1);
	while (!atomic_load(&stop_scribbling)) {
		struct driver_ring *r = &d->rings[random_below(&mine, 2)];
		struct vring_slot *slot = &r->desc[random_below(&mine, 64)];

		if (random_chance(&mine, 50))
			__atomic_store_n(&slot->rest,
					 split(random_below(&mine, 3000),
					       (uint16_t)random_below(&mine, 8),
					       (uint16_t)random_below(&mine, 64)),
					 __ATOMIC_RELAXED);
		else if (random_chance(&mine, 50))
			__atomic_store_n(&slot->addr, DRIVER_GPA_LOW + random_below(&mine, 1 << 20),
					 __ATOMIC_RELAXED);
		else if (random_chance(&mine, 80))
			__atomic_store_n(&r->avail->ring[random_below(&mine, 64)],
					 (uint16_t)random_below(&mine, 64), __ATOMIC_RELAXED);
		else
			__atomic_fetch_add(&r->avail->idx, (uint16_t)random_below(&mine, 8),
					   __ATOMIC_RELAXED);
		if (random_chance(&mine, 1))
			sched_yield();
	}
	return NULL;
}

/* Rings that are rewritten while they are read, connection after connection. */
static void test_scribbler(void **state UNUSED)
{
	struct vhost_driver *d = &lab_guests[BAD].driver;
	uint8_t frame[64];
	pthread_t thread;

	begin("");
	meet();
	lab_boot(PEER, (struct guest_config){.features = BASE_FEATURES | MERGED});
	n_fds = driver_count_fds();
	n_maps = driver_count_maps();
	lab_make_frame(frame, 60, 0);
	for (unsigned int i = 0; i < 300; i++) {
		d->next_alloc = DRIVER_GPA_HIGH;
		driver_connect(d);
		driver_negotiate(d, BASE_FEATURES | INDIRECT | (i % 2 ? MERGED : 0) |
					    (i % 3 ? TSO_FEATURES : 0));
		(void)driver_ring_open(d, 0, 64);
		(void)driver_ring_open(d, 1, 64);
		atomic_store(&stop_scribbling, false);
		assert_int_equal(pthread_create(&thread, NULL, scribble, d), 0);
		for (unsigned int j = 0; j < 20; j++) {
			(void)guest_send(&lab_guests[PEER], 0, NULL, frame, 60);
			(void)eventfd_write(d->rings[1].kick_fd, 1);
			run_bad(NULL);
			usleep(50);
		}
		atomic_store(&stop_scribbling, true);
		pthread_join(thread, NULL);
		check_clean();
	}
	guest_uninit(&lab_guests[PEER]);
	guest_uninit(&lab_guests[BAD]);
	end();
}

/* The memory's file is cut short while packets cross it in both directions: DPDK's back end dies of
 * that. */
static void test_truncation(void **state UNUSED)
{
	struct vhost_driver *d = &lab_guests[BAD].driver;
	static uint8_t frame[2048];

	begin("");
	lab_boot(PEER, (struct guest_config){.features = BASE_FEATURES | MERGED});
	lab_make_frame(frame, 1500, 0);
	for (unsigned int i = 0; i < 20; i++) {
		unsigned long before = count_fault("memory_lost");
		struct guest_config config = {.features = BASE_FEATURES | MERGED,
					      .path = lab_paths[BAD],
					      .run = run_bad,
					      .n_pairs = 1};

		guest_init(&lab_guests[BAD], &config);
		for (unsigned int j = 0; j < 30; j++) {
			(void)guest_send(&lab_guests[BAD], 0, NULL, frame, 1500);
			(void)guest_send(&lab_guests[PEER], 0, NULL, frame, 1500);
		}
		(void)eventfd_write(d->rings[1].kick_fd, 1);
		/* the rings with it, or only the buffers behind them */
		assert_int_equal(ftruncate(d->mem_fd, 4 * (off_t)DRIVER_MIB + (i % 2 ? 0 : 32768)),
				 0);
		for (unsigned int j = 0; j < 30; j++)
			lab_send(PEER, 0, NULL, frame, 1500);
		wait_hang_up();
		assert_int_equal(count_fault("memory_lost"), before + 1);
		driver_uninit(d);
		while (guest_receive(&lab_guests[PEER], 0, NULL, frame, sizeof(frame)) >= 0)
			;
		check_neighbours();
	}
	guest_uninit(&lab_guests[PEER]);
	end();
}

/* ---- packets ------------------------------------------------------------------------------- */

/* Headers that lie about packets that are broken, to a guest that takes offloads and to one that
 * does not: what gets through is cut, summed or dropped, and counted. */
static void test_packets(void **state UNUSED)
{
	static uint8_t frame[GUEST_PACKET_MAX];

	for (unsigned int round = 0; round < 2; round++) {
		begin("");
		bad_now_ns = clock_now();
		lab_boot(BAD,
			 (struct guest_config){.features = BASE_FEATURES | MERGED | TSO_FEATURES |
							   VHOST_BIT(VHOST_NET_F_HOST_USO),
					       .slot_size = GUEST_PACKET_MAX});
		lab_boot(PEER, (struct guest_config){.features = BASE_FEATURES | MERGED |
								 (round ? TSO_FEATURES : 0)});
		for (unsigned int i = 0; i < 20000; i++) {
			static const uint8_t types[] = {0, 1, 4, 5, 3, 0x81, 0x84, 99};
			uint32_t len = packets_make(random_u64(&rng), frame);
			struct virtio_net_hdr hdr = {
				.flags = (uint8_t)random_below(&rng, 4),
				.gso_type = types[random_below(&rng, ARRAY_SIZE(types))],
				.hdr_len = (uint16_t)random_u32(&rng),
				.gso_size = (uint16_t)random_below(&rng, 2000),
				.csum_start = (uint16_t)random_below(&rng, 80),
				.csum_offset = (uint16_t)random_below(&rng, 24),
			};

			if (random_chance(&rng, 10)) {
				memset(frame + len, 7, 40000);
				len += random_below(&rng, 40000);
			}
			if (random_chance(&rng, 5))
				hdr.csum_start = hdr.csum_offset = (uint16_t)random_u32(&rng);
			if (!len)
				continue;
			lab_send(BAD, 0, &hdr, frame, len);
			while (guest_receive(&lab_guests[PEER], 0, NULL, frame, sizeof(frame)) >= 0)
				;
		}
		assert_true(lab_get_drops(BAD, DROP_RX_BAD_OFFLOAD) > 1000);
		guest_uninit(&lab_guests[BAD]);
		guest_uninit(&lab_guests[PEER]);
		lab_run_control(NULL);
		end();
	}
}

/* A guest that sends as fast as it can to one that does not read. */
static void test_flood(void **state UNUSED)
{
	uint8_t frame[64];

	begin("");
	lab_boot(BAD, (struct guest_config){.features = BASE_FEATURES | MERGED});
	lab_boot(PEER, (struct guest_config){.features = BASE_FEATURES | MERGED, .n_buffers = 1});
	lab_make_frame(frame, 60, 0);
	for (unsigned int i = 0; i < 100000; i++)
		lab_send(BAD, 0, NULL, frame, 60);
	lab_wait_drops(PEER, DROP_TX_RING_FULL, 99999);
	guest_uninit(&lab_guests[BAD]);
	guest_uninit(&lab_guests[PEER]);
	lab_run_control(NULL);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),  cmocka_unit_test(test_rings),
		cmocka_unit_test(test_scribbler), cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_packets),	  cmocka_unit_test(test_flood),
	};

	return cmocka_run_group_tests_name("port_vhost_hostile", tests, lab_set_up, lab_tear_down);
}
