/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The XDP program and the worker see the same flow: the real program runs on each packet of a
 * corpus in the kernel (BPF_PROG_TEST_RUN), and the record it leaves ahead of the frame is held
 * against what user space computes from the same bytes.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "bpf/flow_parse.h"
#include "bpf/pinned_xdp.h"
#include "bpf/tier0.h"
#include "bpf/vswitch_xdp.skel.h"
#include "tests/system/bed.h"
#include "tests/unit/packets.h"
#include "tests/unit/test.h"

#define N_PACKETS 20000

static struct vswitch_xdp_bpf *skel;

static int load(void **state UNUSED)
{
	struct bpf_program *program;

	skel = vswitch_xdp_bpf__open();
	assert_non_null(skel);
	/* Others are bound to a device, and the kernel refuses to test-run them, or look up. */
	bpf_object__for_each_program(program, skel->obj)
		bpf_program__set_autoload(program, program == skel->progs.vswitch_xdp);
	bpf_program__set_flags(skel->progs.vswitch_xdp, BPF_F_XDP_HAS_FRAGS);
	assert_int_equal(vswitch_xdp_bpf__load(skel), 0);
	return 0;
}

static int unload(void **state UNUSED)
{
	vswitch_xdp_bpf__destroy(skel);
	return 0;
}

/* Runs the program on a frame; `out` gets what it leaves, record first. Returns the length of that.
 */
static uint32_t run(const uint8_t *frame, uint32_t len, uint8_t *out, uint32_t size)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .data_out = out,
		    .data_size_out = size, .repeat = 1);

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.vswitch_xdp), &opts),
			 0);
	/* No socket is in the map. */
	assert_int_equal(opts.retval, XDP_PASS);
	return opts.data_size_out;
}

static void check(const uint8_t *frame, uint32_t len, uint64_t seed)
{
	static uint8_t out[16384];
	struct flow_key key;
	struct xdp_meta meta, expected = {.magic = XDP_META_MAGIC};
	uint32_t n = run(frame, len, out, sizeof(out));

	assert_int_equal(flow_key_parse(frame, frame + len, len, &key, &expected.layout), 0);
	expected.hash = flow_key_hash(&key, expected.layout.n_words);
	assert_int_equal(n, len + sizeof(meta));
	memcpy(&meta, out, sizeof(meta));
	if (memcmp(&meta, &expected, sizeof(meta)))
		print_error("packet of seed 0x%llx\n", (unsigned long long)seed);
	assert_memory_equal(&meta, &expected, sizeof(meta));
	assert_memory_equal(out + sizeof(meta), frame, len);
}

static void test_corpus(void **state UNUSED)
{
	uint8_t frame[PACKETS_SIZE_MAX];
	uint32_t n_checked = 0;

	for (uint64_t i = 0; i < N_PACKETS; i++) {
		uint64_t seed = test_seed() + i;
		uint32_t len = packets_make(seed, frame);

		/* The kernel gives an XDP program no frame without an Ethernet header. */
		if (len < 14)
			continue;
		check(frame, len, seed);
		n_checked++;
	}
	assert_true(n_checked > N_PACKETS * 9 / 10);
}

/* A frame of several buffers: headers are in the first, lengths are of the whole. */
static void test_frags(void **state UNUSED)
{
	static uint8_t frame[9000];

	memset(frame, 0x5a, sizeof(frame));
	memcpy(frame + 12, "\x08\x00\x45\x00\x23\x1a", 6); /* total length 8986 */
	memcpy(frame + 20, "\x00\x00\x40\x11", 4);
	check(frame, sizeof(frame), 0);
	/* One byte longer than the frame: no IP header is believed. */
	frame[17]++;
	check(frame, sizeof(frame), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpus),
		cmocka_unit_test(test_frags),
	};

	bed_enter();
	return cmocka_run_group_tests_name("xdp_parse", tests, load, unload);
}
