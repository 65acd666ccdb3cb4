/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * More packets than the way out takes: whatever is sent is found again, as received at the far end
 * or as a drop that has a name, whichever tier carries it.
 *
 *	q0 --veth-- p0 = port 1   the kernel's own generator sends frames from q0
 *	q1 --veth-- p1 = port 2   receives in a thread, slowly
 *	q2 --veth-- p2 = port 3   gets copies, if any
 *
 * The argument is the type of the ports; afxdp when there is none. Those of type packet have no
 * tier 0.
 */
#include "config.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "tests/system/bed.h"
#include "tests/unit/test.h"

#define N_FRAMES (1u << 20)
#define FRAME_LEN 60
/* So often a sink asks for the time, for each frame: a microsecond or two. */
#define SLOW 60
#define PATIENCE_NS (60 * CLOCK_NS_PER_S)

/* Type of the ports: "afxdp" or "veth", by which the programs are XDP's or tc's, or "packet". */
static const char *port_type = "afxdp";
static struct datapath *dp;
static uint32_t copy_port; /* gets copies; 0: none */
static bool drops_all;

/* Counts what comes to a device. */
struct sink {
	int map_fd;
	int link_fd;
} sinks[2];

static void translate(void *aux UNUSED, const struct flow_key *key,
		      struct pipeline_verdict *verdict)
{
	verdict->mask.in_port = UINT32_MAX;
	verdict->drop_reason = DROP_RULE_DROP;
	if (key->in_port != 1 || drops_all)
		return;
	if (copy_port)
		assert_int_equal(action_list_append_output(&verdict->actions, copy_port), 0);
	assert_int_equal(action_list_append_output(&verdict->actions, 2), 0);
}

static const struct pipeline pipeline = {.translate = translate};

static int load(const char *name, const struct bpf_insn *insns, size_t n)
{
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, name, "GPL", insns, n, NULL);

	assert_true(fd >= 0);
	return fd;
}

static void open_sink(struct sink *sink, const char *ifname, unsigned int slow)
{
	struct bpf_insn insns[SLOW + 6] = {
		{.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_VALUE},
		{.imm = 0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 1},
		{.code = BPF_STX | BPF_ATOMIC | BPF_DW, .dst_reg = 1, .src_reg = 2, .imm = BPF_ADD},
	};
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	size_t n = 4;
	int fd;

	sink->map_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "count", 4, sizeof(uint64_t), 1, NULL);
	assert_true(sink->map_fd >= 0);
	insns[0].imm = sink->map_fd;
	for (unsigned int i = 0; i < slow; i++)
		insns[n++] =
			(struct bpf_insn){.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ktime_get_ns};
	insns[n++] = (struct bpf_insn){
		.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_DROP};
	insns[n++] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
	fd = load("sink", insns, n);
	sink->link_fd = bpf_link_create(fd, (int)if_nametoindex(ifname), BPF_XDP, &opts);
	assert_true(sink->link_fd >= 0);
	close(fd);
}

static uint64_t count_received(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sinks); i++) {
		const uint32_t zero = 0;
		uint64_t n;

		assert_int_equal(bpf_map_lookup_elem(sinks[i].map_fd, &zero, &n), 0);
		sum += n;
	}
	return sum;
}

/* Sends frames from the device, faster than anything in user space. */
static void generate(const char *ifname, uint32_t n)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K,
		 .dst_reg = 1,
		 .imm = (int)if_nametoindex(ifname)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 0},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect},
		{.code = BPF_JMP | BPF_EXIT},
	};
	uint8_t frame[FRAME_LEN];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = (int)n, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);
	int fd = load("generate", insns, ARRAY_SIZE(insns));

	bed_fill(frame, sizeof(frame), 0);
	assert_int_equal(bpf_prog_test_run_opts(fd, &opts), 0);
	close(fd);
}

static void create(bool kernel_tier)
{
	struct datapath_config config = {
		.n_workers = 1,
		.pipeline = &pipeline,
		.tier0 = {.wanted = kernel_tier},
	};
	struct error err = ERROR_INIT;

	copy_port = 0;
	drops_all = false;
	for (unsigned int i = 0; i < 3; i++) {
		char name[8], peer[8];

		snprintf(name, sizeof(name), "p%u", i);
		snprintf(peer, sizeof(peer), "q%u", i);
		bed_add_veth(name, peer, "numrxqueues 1 numtxqueues 1");
		/* A veth takes redirected frames if its peer polls. */
		bed_run("ethtool -K %s gro on", name);
	}
	open_sink(&sinks[0], "q1", SLOW);
	open_sink(&sinks[1], "q2", 0);
	/* Else generator and receiver take turns, and no queue ever is full. */
	bed_run("echo 1 >/sys/class/net/q1/threaded");
	if (datapath_create(&config, &dp, &err))
		fail_msg("datapath: %s", err.text);
	for (unsigned int i = 0; i < 3; i++) {
		char name[8];

		snprintf(name, sizeof(name), "p%u", i);
		assert_int_equal(bed_add_typed_port(dp, port_type, name, ""), i + 1);
	}
}

static void destroy(void)
{
	datapath_destroy(dp);
	for (size_t i = 0; i < ARRAY_SIZE(sinks); i++) {
		close(sinks[i].link_fd);
		close(sinks[i].map_fd);
	}
	for (int i = 0; i < 3; i++)
		bed_run("ip link del p%d", i);
}

/* The sum over all ports. */
static void get_counters(struct port_counters *all)
{
	memset(all, 0, sizeof(*all));
	datapath_fold_counters(dp);
	for (uint32_t no = 1; no <= 3; no++) {
		struct port_counters sum;

		bed_get_counters(dp, no, &sum);
		port_add_counters(all, &sum);
	}
}

static uint64_t count_drops(const struct port_counters *sum, bool kernel)
{
	uint64_t n = 0;

	for (int r = 0; r < DROP_N_REASONS; r++)
		if (drop_reason_is_kernel((enum drop_reason)r) == kernel)
			n += sum->drops[r];
	return n;
}

/* Sends more than can be received, and finds every frame again. */
static void run(struct port_counters *all)
{
	uint64_t end = clock_now() + PATIENCE_NS, received, lost;

	generate("q0", N_FRAMES);
	do {
		usleep(10000);
		received = count_received();
		get_counters(all);
		lost = count_drops(all, true) + count_drops(all, false);
	} while (received + lost != N_FRAMES + all->copies && clock_now() < end);
	print_message("%u sent, %u copies, %u received;", N_FRAMES, (unsigned int)all->copies,
		      (unsigned int)received);
	for (int r = 0; r < DROP_N_REASONS; r++)
		if (all->drops[r])
			print_message(" %s %u", drop_reason_name((enum drop_reason)r),
				      (unsigned int)all->drops[r]);
	print_message("\n");
	assert_int_equal(received + lost, N_FRAMES + all->copies);
	assert_int_equal(all->rx_packets + all->copies, all->tx_packets + count_drops(all, false));
	assert_int_equal(all->tx_packets, received + all->drops[DROP_DEVICE_TX]);
}

static uint64_t count_tier0(void)
{
	struct worker_stats stats;

	datapath_get_worker_stats(dp, 0, &stats);
	return stats.hits_tier0;
}

static void test_tier0(void **state UNUSED)
{
	struct port_counters all;

	if (!strcmp(port_type, "packet"))
		skip();
	create(true);
	run(&all);
	assert_true(count_tier0() > N_FRAMES / 4);
	assert_true(all.drops[DROP_DEVICE_TX] > N_FRAMES / 100);
	destroy();
}

static void test_tier0_drop(void **state UNUSED)
{
	struct port_counters all;

	if (!strcmp(port_type, "packet"))
		skip();
	create(true);
	drops_all = true;
	run(&all);
	assert_true(all.drops[DROP_RULE_DROP] > N_FRAMES / 4);
	destroy();
}

static void test_copies(void **state UNUSED)
{
	struct port_counters all;

	if (!strcmp(port_type, "packet"))
		skip();
	create(true);
	copy_port = 3;
	run(&all);
	assert_true(all.copies > 0);
	destroy();
}

static void test_user(void **state UNUSED)
{
	struct port_counters all;

	create(false);
	run(&all);
	assert_int_equal(count_tier0(), 0);
	destroy();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tier0),
		cmocka_unit_test(test_tier0_drop),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_user),
	};

	if (argc > 1)
		port_type = argv[1];
	bed_enter();
	/* Of this namespace. */
	bed_run("mount -t sysfs sysfs /sys");
	return cmocka_run_group_tests_name("overload", tests, NULL, NULL);
}
