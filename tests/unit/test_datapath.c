/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The real datapath, its real workers and memory ports, under a pipeline that is a few lines long:
 * UDP packets go to the port that `route` has for the low bits of their destination port.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "datapath/datapath.h"
#include "datapath/port_mem.h"
#include "lib/clock.h"
#include "tests/unit/frames.h"
#include "tests/unit/test.h"

#define N_ROUTES 8

struct route_table {
	_Atomic uint32_t port[N_ROUTES]; /* datapath port; 0: drop; FLOOD: ports 2 and 3 */
	_Atomic uint64_t n_credited; /* packets */
	_Atomic int n_cookies; /* given out and not released */
};

#define FLOOD 99u

static struct route_table table;

static void translate(void *aux, const struct flow_key *key, struct pipeline_verdict *verdict)
{
	struct route_table *t = aux;
	uint32_t port = atomic_load(&t->port[ntohs(key->tp_dst) % N_ROUTES]);

	memset(&verdict->mask, 0, sizeof(verdict->mask));
	verdict->mask.in_port = UINT32_MAX;
	verdict->mask.tp_dst = 0xffff;
	verdict->drop_reason = DROP_RULE_DROP;
	verdict->cookie = t;
	atomic_fetch_add(&t->n_cookies, 1);
	for (uint32_t p = port == FLOOD ? 2 : port; p && p <= (port == FLOOD ? 3 : port); p++)
		assert_int_equal(action_list_append_output(&verdict->actions, p), 0);
}

static void credit(void *aux UNUSED, void *cookie, const struct flow_key *key UNUSED,
		   uint64_t n_packets, uint64_t n_bytes UNUSED, uint64_t used UNUSED)
{
	struct route_table *t = cookie;

	atomic_fetch_add(&t->n_credited, n_packets);
}

static void release(void *aux UNUSED, void *cookie)
{
	struct route_table *t = cookie;

	atomic_fetch_sub(&t->n_cookies, 1);
}

static const struct pipeline pipeline = {
	.translate = translate, .credit = credit, .release = release};

static struct datapath *dp;

static void start(unsigned int n_workers, uint32_t max_flows)
{
	struct datapath_config config = {
		.n_workers = n_workers,
		.n_frames = 8192,
		.max_flows = max_flows,
		.pipeline = &pipeline,
		.pipeline_aux = &table,
	};
	struct error err = ERROR_INIT;

	memset(&table, 0, sizeof(table));
	if (datapath_create(&config, &dp, &err))
		fail_msg("%s", err.text);
}

static uint32_t add_port(const char *name, const char *queues)
{
	struct port_option options[] = {{"collect", "on"}, {"queues", queues}};
	struct port_config config = {.name = name, .options = options, .n_options = 2};
	struct error err = ERROR_INIT;
	uint32_t no;

	if (datapath_add_port(dp, "mem", &config, &no, &err))
		fail_msg("%s", err.text);
	return no;
}

static void inject(uint32_t port_no, unsigned int queue, uint16_t dport)
{
	struct frame_spec spec = {.ethertype = 0x0800, .proto = 17, .ttl = 9, .dport = dport};
	uint8_t frame[128];
	uint32_t len = frame_build(&spec, frame);

	int ret;

	/* A full queue means that the worker is behind, for a bounded time. */
	for (int tries = 0; tries < 2000; tries++) {
		ret = port_mem_inject(datapath_get_port(dp, port_no), queue, frame, len, NULL);
		if (ret != -ENOBUFS)
			break;
		usleep(1000);
	}
	assert_int_equal(ret, 0);
}

/* Takes one packet from the port; returns its destination port, or -1 when none comes. */
static int collect(uint32_t port_no, unsigned int timeout_ms)
{
	uint8_t frame[128];
	int len = port_mem_collect(datapath_get_port(dp, port_no), frame, sizeof(frame), NULL,
				   timeout_ms);

	return len < 0 ? -1 : frame[36] << 8 | frame[37];
}

/* What came in and was copied went out or was dropped, over all ports. */
static void check_sums(uint32_t n_ports)
{
	uint64_t in = 0, out = 0;

	for (uint32_t no = 1; no <= n_ports; no++) {
		struct port_counters sum;

		if (!datapath_get_port(dp, no))
			continue;
		port_sum_counters(datapath_get_port(dp, no), &sum);
		in += sum.rx_packets + sum.copies;
		out += sum.tx_packets;
		for (int r = 0; r < DROP_N_REASONS; r++)
			if (!drop_reason_is_kernel((enum drop_reason)r))
				out += sum.drops[r];
	}
	assert_int_equal(in, out);
}

/* Stops, after which every frame and every reference is back. */
static void stop(void)
{
	for (uint32_t no = 1; no <= 8; no++)
		(void)!datapath_remove_port(dp, no);
	datapath_destroy(dp);
	assert_int_equal(atomic_load(&table.n_cookies), 0);
}

static uint64_t drops_of(uint32_t port_no, enum drop_reason reason)
{
	struct port_counters sum;

	port_sum_counters(datapath_get_port(dp, port_no), &sum);
	return sum.drops[reason];
}

/* Waits (bounded) until the port has seen `n` packets. */
static void wait_rx(uint32_t port_no, uint64_t n)
{
	uint64_t end = clock_now() + 10 * UINT64_C(1000000000);
	struct port_counters sum;

	do {
		port_sum_counters(datapath_get_port(dp, port_no), &sum);
	} while (sum.rx_packets < n && clock_now() < end);
	assert_int_equal(sum.rx_packets, n);
	datapath_invalidate(dp); /* and has gone through its round */
}

static void test_packets_arrive(void **state UNUSED)
{
	start(1, 0);
	assert_int_equal(add_port("p1", "1"), 1);
	assert_int_equal(add_port("p2", "1"), 2);
	assert_int_equal(add_port("p3", "1"), 3);
	atomic_store(&table.port[1], 2);
	atomic_store(&table.port[2], FLOOD);
	atomic_store(&table.port[3], 7); /* no such port */
	for (uint16_t i = 0; i < 400; i++)
		inject(1, 0, (uint16_t)(i % 4));
	wait_rx(1, 400);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(collect(2, 1000), 1);
		assert_int_equal(collect(2, 1000), 2);
		assert_int_equal(collect(3, 1000), 2);
	}
	assert_int_equal(drops_of(1, DROP_RULE_DROP), 100);
	assert_int_equal(drops_of(1, DROP_PORT_GONE), 100);
	check_sums(3);
	datapath_fold_counters(dp);
	assert_int_equal(atomic_load(&table.n_credited), 400);
	stop();
}

/* After datapath_invalidate() no packet follows the old route, with several workers at it. */
static void test_change_is_in_force(void **state UNUSED)
{
	start(3, 0);
	add_port("p1", "3");
	add_port("p2", "3");
	add_port("p3", "3");
	for (unsigned int round = 0; round < 300; round++) {
		uint32_t to = 2 + round % 2;

		for (int r = 0; r < N_ROUTES; r++)
			atomic_store(&table.port[r], to);
		datapath_invalidate(dp);
		for (unsigned int i = 0; i < 12; i++)
			inject(1, i % 3, (uint16_t)i);
		for (unsigned int i = 0; i < 12; i++)
			assert_true(collect(to, 2000) >= 0);
	}
	assert_int_equal(collect(2, 0), -1);
	assert_int_equal(collect(3, 0), -1);
	check_sums(3);
	stop();
}

/* A cache of a few flows evicts within a batch: each packet still gets its own verdict. */
static void test_tiny_cache_is_right(void **state UNUSED)
{
	start(1, 3);
	add_port("p1", "1");
	add_port("p2", "1");
	add_port("p3", "1");
	for (int r = 0; r < N_ROUTES; r++)
		atomic_store(&table.port[r], 2 + (uint32_t)r % 2);
	srandom((unsigned int)test_seed());
	for (int round = 0; round < 100; round++) {
		unsigned int n[2] = {0};

		for (int i = 0; i < 200; i++) {
			uint16_t dport = (uint16_t)(random() % 64);

			inject(1, 0, dport);
			n[dport % 2]++;
		}
		for (unsigned int odd = 0; odd < 2; odd++)
			while (n[odd]--)
				assert_int_equal(collect(2 + odd, 1000) % 2, odd);
	}
	check_sums(3);
	datapath_fold_counters(dp);
	assert_int_equal(atomic_load(&table.n_credited), 100 * 200);
	stop();
}

/* Ports come and go under traffic; every frame comes back. */
static void test_ports_come_and_go(void **state UNUSED)
{
	start(2, 0);
	add_port("p1", "2");
	add_port("p2", "2");
	for (int r = 0; r < N_ROUTES; r++)
		atomic_store(&table.port[r], r % 2 ? 2 : 3);
	for (int round = 0; round < 100; round++) {
		uint32_t no = add_port("p3", "2");

		assert_int_equal(no, 3);
		for (unsigned int i = 0; i < 64; i++)
			inject(1 + i % 2, i % 2, (uint16_t)i);
		assert_int_equal(datapath_remove_port(dp, no), 0);
		while (collect(2, 0) >= 0)
			;
	}
	assert_int_equal(datapath_remove_port(dp, 1), 0);
	assert_int_equal(datapath_remove_port(dp, 2), 0);
	assert_int_equal(datapath_remove_port(dp, 2), -ENOENT);
	assert_int_equal(frame_pool_count(datapath_get_pool(dp), FRAME_HELD), 0);
	assert_int_equal(frame_pool_count(datapath_get_pool(dp), FRAME_FREE), 8192);
	stop();
}

static void count_flow(void *aux, const struct datapath_flow_info *info)
{
	unsigned int *n = aux;

	assert_int_equal(info->mask->tp_dst, 0xffff);
	assert_int_equal(info->n_actions, 1);
	*n += 1;
}

static void test_flows_are_shown_and_swept(void **state UNUSED)
{
	unsigned int n = 0;

	start(2, 0);
	add_port("p1", "2");
	add_port("p2", "1");
	for (int r = 0; r < N_ROUTES; r++)
		atomic_store(&table.port[r], 2);
	for (unsigned int i = 0; i < 600; i++)
		inject(1, i % 2, (uint16_t)(i / 2));
	wait_rx(1, 600);
	assert_int_equal(datapath_dump_flows(dp, -1, count_flow, &n), 0);
	assert_int_equal(n, 600);
	n = 0;
	assert_int_equal(datapath_dump_flows(dp, 1, count_flow, &n), 0);
	assert_int_equal(n, 300);
	/* Nothing is idle for an hour; all is idle for no time at all. */
	datapath_sweep(dp, 3600 * UINT64_C(1000000000));
	datapath_fold_counters(dp);
	assert_int_equal(atomic_load(&table.n_credited), 600);
	n = 0;
	assert_int_equal(datapath_dump_flows(dp, -1, count_flow, &n), 0);
	assert_int_equal(n, 600);
	datapath_sweep(dp, 1);
	datapath_fold_counters(dp);
	n = 0;
	assert_int_equal(datapath_dump_flows(dp, -1, count_flow, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(atomic_load(&table.n_credited), 600);
	stop();
}

static void test_bad_calls_change_nothing(void **state UNUSED)
{
	struct port_option unknown = {"colour", "red"};
	struct port_config config = {.name = "p1", .options = &unknown, .n_options = 1};
	struct error err = ERROR_INIT;
	uint32_t no;

	start(1, 0);
	assert_int_equal(datapath_add_port(dp, "mem", &config, &no, &err), -EINVAL);
	assert_non_null(strstr(err.text, "colour"));
	config.n_options = 0;
	assert_int_equal(datapath_add_port(dp, "mme", &config, &no, &err), -EINVAL);
	assert_int_equal(datapath_add_port(dp, "mem", &config, &no, &err), 0);
	assert_int_equal(datapath_add_port(dp, "mem", &config, &no, &err), -EEXIST);
	config.name = "";
	assert_int_equal(datapath_add_port(dp, "mem", &config, &no, &err), -EINVAL);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets_arrive),
		cmocka_unit_test(test_change_is_in_force),
		cmocka_unit_test(test_tiny_cache_is_right),
		cmocka_unit_test(test_ports_come_and_go),
		cmocka_unit_test(test_flows_are_shown_and_swept),
		cmocka_unit_test(test_bad_calls_change_nothing),
	};

	return cmocka_run_group_tests_name("datapath", tests, NULL, NULL);
}
