/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An Ethernet address moves between two ports of a learning bridge, under traffic to it that the
 * kernel's tier carries: once it is learned, not one packet goes where it was.
 *
 *	q0 --veth-- p0 = port 1   packets come in, each with a serial number
 *	q1 --veth-- p1 = port 2   where the address is, on one of these two: it says so by a frame
 *	q2 --veth-- p2 = port 3   of its own
 *
 * The argument is the type of the ports; afxdp when there is none.
 */
#include "config.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "openflow/bridge.h"
#include "openflow/xlate.h"
#include "tests/system/bed.h"
#include "tests/system/serials.h"
#include "tests/unit/test.h"

#define MOVES 50
/* Packets sent between two of them. */
#define PERIOD_MIN 2000
/* Of the address's own frames; not that of packets with a number. */
#define ANNOUNCE_LEN (SERIALS_FRAME_LEN + 4)
#define PATIENCE_NS (60 * CLOCK_NS_PER_S)

/* As bed_fill() has them. */
static const uint8_t target[6] = {2, 0, 0, 0, 0, 2}, origin[6] = {2, 0, 0, 0, 0, 1};

static struct datapath *dp;
static struct bridge_table *bridges;
static struct bridge *bridge;
static int source; /* raw socket on q0 */
static int sinks[2]; /* on q1, q2 */

static bool send_one(void)
{
	uint32_t serial = serials_take();
	uint8_t frame[SERIALS_FRAME_LEN];

	bed_fill(frame, sizeof(frame), 0);
	memcpy(frame + SERIALS_OFFSET, &serial, sizeof(serial));
	return send(source, frame, sizeof(frame), 0) == sizeof(frame);
}

/* The address says that it is behind this sink. */
static void announce(int sink)
{
	uint8_t frame[ANNOUNCE_LEN];

	bed_fill(frame, sizeof(frame), 0);
	memcpy(frame, origin, sizeof(origin));
	memcpy(frame + 6, target, sizeof(target));
	assert_int_equal(send(sinks[sink], frame, sizeof(frame), 0), sizeof(frame));
}

static void note_place(void *aux, const struct mac_entry_info *info)
{
	uint32_t *ofport = aux;

	if (!memcmp(info->mac, target, sizeof(target)))
		*ofport = info->ofport;
}

/* Waits until it is learned, and the worker that has done so is done with that round. */
static void wait_learned(uint32_t expected)
{
	uint64_t end = clock_now() + PATIENCE_NS;
	uint32_t ofport;

	do {
		ofport = 0;
		bridge_dump_fdb(bridge, note_place, &ofport);
		assert_true(clock_now() < end);
	} while (ofport != expected);
	datapath_fold_counters(dp);
}

static uint64_t count_tier0(void)
{
	uint64_t n = 0;

	datapath_fold_counters(dp);
	for (unsigned int i = 0; i < datapath_get_n_workers(dp); i++) {
		struct worker_stats stats;

		datapath_get_worker_stats(dp, i, &stats);
		n += stats.hits_tier0;
	}
	return n;
}

static void create(const char *port_type)
{
	struct datapath_config config = {
		.n_workers = 2, .pipeline = &xlate_pipeline, .tier0 = {.wanted = true}};

	assert_int_equal(bridge_table_create(&bridges, NULL), 0);
	config.pipeline_aux = bridges;
	assert_int_equal(datapath_create(&config, &dp, NULL), 0);
	bridge_table_set_datapath(bridges, dp);
	assert_int_equal(bridge_create(bridges, "br0", &bridge, NULL), 0);
	for (uint32_t i = 0; i < 3; i++) {
		struct bridge_port_config port;
		char name[8], peer[8];

		snprintf(name, sizeof(name), "p%u", i);
		snprintf(peer, sizeof(peer), "q%u", i);
		bed_add_veth(name, peer, "numrxqueues 1 numtxqueues 1");
		/* A veth takes redirected frames if its peer polls. */
		bed_run("ethtool -K %s gro on", peer);
		port = (struct bridge_port_config){
			.name = name,
			.port_no = bed_add_typed_port(dp, port_type, name, ""),
			.ofport_request = i + 1};
		assert_int_equal(bridge_add_port(bridge, &port, NULL, NULL), 0);
	}
	source = bed_open_raw("q0", false);
	sinks[0] = bed_open_raw("q1", false);
	sinks[1] = bed_open_raw("q2", false);
}

static void destroy(void)
{
	close(source);
	close(sinks[0]);
	close(sinks[1]);
	datapath_destroy(dp);
	bridge_table_destroy(bridges);
	for (int i = 0; i < 3; i++)
		bed_run("ip link del p%d", i);
}

static void test_moves(void **state)
{
	struct serials_period periods[MOVES], other;
	uint32_t n_received = 0;
	uint64_t n_sent, n_tier0;

	create(*state);
	announce(0);
	wait_learned(2);
	serials_start(send_one, sinks);
	serials_wait(PERIOD_MIN);
	for (int i = 0; i < MOVES; i++) {
		int sink = (i + 1) % 2;

		/* What was sent before it is learned is nobody's. */
		serials_announce(&other);
		announce(sink);
		wait_learned((uint32_t)sink + 2);
		serials_announce(&periods[i]);
		serials_begin(&periods[i]);
		serials_wait(PERIOD_MIN);
		serials_end(&periods[i]);
		datapath_sweep(dp, 10 * CLOCK_NS_PER_S);
	}
	n_sent = serials_stop();
	for (int i = 0; i < MOVES; i++)
		n_received += serials_check(&periods[i], (i + 1) % 2);
	n_tier0 = count_tier0();
	print_message("%u packets sent, %u of the periods' received, %u carried by tier 0\n",
		      (unsigned int)n_sent, n_received, (unsigned int)n_tier0);
	assert_true(n_received > MOVES * PERIOD_MIN / 10);
	assert_true(n_tier0 > n_sent / 4);
	serials_free();
	destroy();
}

int main(int argc, char **argv)
{
	char *port_type = argc > 1 ? argv[1] : "afxdp";
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_moves, port_type),
	};

	bed_enter();
	return cmocka_run_group_tests_name("moves", tests, NULL, NULL);
}
