/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tier 0 on real devices: hot flows are carried out in the kernel, counted to the packet, and never
 * after a change has returned.
 *
 *	q0 --veth-- p0 = port 1   packets come in, each with a serial number
 *	q1 --veth-- p1 = port 2   packets leave by one of these two, whichever the pipeline
 *	q2 --veth-- p2 = port 3   says at the time
 *
 * The argument is the type of the ports; afxdp when there is none.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf/tier0.h"
#include "datapath/tier0_priv.h"
#include "datapath/worker_priv.h"
#include "lib/clock.h"
#include "tests/system/bed.h"
#include "tests/system/serials.h"
#include "tests/unit/test.h"

#define FRAME_LEN SERIALS_FRAME_LEN
#define FLIPS 1000
#define REMOVALS 30
/* Packets sent between two changes. */
#define PERIOD_MIN 2000
/* Flips between two sweeps, which wait for a grace period of the kernel's. */
#define FLIPS_SWEEP 16
/* Type of the ports: "afxdp" or "veth", by which the programs are XDP's or tc's. */
static const char *port_type = "afxdp";

/* An answer: to both ports. */
#define ANSWER_BOTH 4
/* An answer: to both and maybe back, so many times that no two of N_SETS sources have the same set
 * of outputs. A fifth of them has more than tier 0 can express, but of the rest there are more than
 * it has groups. */
#define ANSWER_OFTEN 5
#define N_SETS 100

#define PATIENCE_NS (60 * CLOCK_NS_PER_S)

static struct bed {
	struct datapath *dp;
	int source; /* raw socket on q0 */
	int sinks[2]; /* on q1, q2 */
} bed;

/* What a flow's mask has besides the port. */
enum mask_kind {
	MASK_PORT, /* nothing */
	MASK_SOURCE, /* the source address: a flow for each of n_sources */
	MASK_OWN, /* and some bits more, others for each source */
	MASK_TAG, /* the VLAN tag */
};

/* What the pipeline says and hears. */
static atomic_uint answer; /* port where all goes, or ANSWER_*; 0: drop */
static atomic_uint mask_kind; /* enum mask_kind */
static atomic_uint change; /* enum action_type, of a tag; ACTION_OUTPUT: none */
static atomic_uint_fast64_t credited, credited_bytes;
static unsigned int n_sources; /* addresses that packets are sent from */
static uint16_t sources[256]; /* the end of each */
static uint32_t wire_len; /* of frames as they come in, bytes */

/* ---- the pipeline ---- */

/* What a verdict rests on. */
static void *make_cookie(const struct flow_key *key)
{
	unsigned int port = key->in_port == 1 ? atomic_load(&answer) : 0;

	return (void *)(uintptr_t)(1 + port + atomic_load(&change) * 16);
}

static void add_outputs(struct action_list *actions, unsigned int port, unsigned int n)
{
	for (; n; n--)
		assert_int_equal(action_list_append_output(actions, port), 0);
}

static void translate(void *aux UNUSED, const struct flow_key *key,
		      struct pipeline_verdict *verdict)
{
	unsigned int port = key->in_port == 1 ? atomic_load(&answer) : 0;
	struct action tag = {.type = (uint16_t)atomic_load(&change),
			     .value.be16 = htons(0x0345),
			     .mask.be16 = htons(0xefff)};

	verdict->mask.in_port = UINT32_MAX;
	switch ((enum mask_kind)atomic_load(&mask_kind)) {
	case MASK_OWN:
		verdict->mask.dl_dst[key->dl_src[5] / 8 % 6] = (uint8_t)(1 << key->dl_src[5] % 8);
		/* fall through */
	case MASK_SOURCE:
		memset(verdict->mask.dl_src, 0xff, sizeof(verdict->mask.dl_src));
		break;
	case MASK_TAG:
		verdict->mask.vlan_tci = verdict->mask.dl_type = 0xffff;
		break;
	case MASK_PORT:
		break;
	}
	if (tag.type != ACTION_OUTPUT)
		assert_int_equal(action_list_append(&verdict->actions, &tag), 0);
	verdict->cookie = make_cookie(key);
	verdict->drop_reason = DROP_RULE_DROP;
	if (port == ANSWER_OFTEN) {
		add_outputs(&verdict->actions, 1, key->dl_src[5] / 25);
		add_outputs(&verdict->actions, 2, 1 + key->dl_src[5] / 5 % 5);
		add_outputs(&verdict->actions, 3, 1 + key->dl_src[5] % 5);
	} else if (port == ANSWER_BOTH) {
		add_outputs(&verdict->actions, 2, 1);
		add_outputs(&verdict->actions, 3, 1);
	} else {
		add_outputs(&verdict->actions, port, port != 0);
	}
}

static bool revalidate(void *aux UNUSED, void *cookie, const struct flow_key *key,
		       uint64_t generation UNUSED)
{
	return cookie == make_cookie(key);
}

static void credit(void *aux UNUSED, void *cookie UNUSED, const struct flow_key *key,
		   uint64_t n_packets, uint64_t n_bytes, uint64_t used UNUSED)
{
	if (key->in_port != 1)
		return;
	atomic_fetch_add(&credited, n_packets);
	atomic_fetch_add(&credited_bytes, n_bytes);
}

static void release(void *aux UNUSED, void *cookie UNUSED)
{
}

static const struct pipeline pipeline = {
	.translate = translate,
	.revalidate = revalidate,
	.credit = credit,
	.release = release,
};

/* ---- the bed ---- */

static void create(bool kernel_tier, uint32_t tier0_flows)
{
	struct datapath_config config = {
		.n_workers = 2,
		.pipeline = &pipeline,
		.tier0 = {.wanted = kernel_tier, .max_flows = tier0_flows},
	};
	struct error err = ERROR_INIT;

	atomic_store(&answer, 2);
	atomic_store(&credited, 0);
	atomic_store(&credited_bytes, 0);
	atomic_store(&mask_kind, MASK_PORT);
	atomic_store(&change, ACTION_OUTPUT);
	n_sources = 1;
	for (uint16_t i = 0; i < ARRAY_SIZE(sources); i++)
		sources[i] = i;
	wire_len = FRAME_LEN;
	serials_reset();
	for (int i = 0; i < 3; i++) {
		char name[8], peer[8];

		snprintf(name, sizeof(name), "p%d", i);
		snprintf(peer, sizeof(peer), "q%d", i);
		bed_add_veth(name, peer, "numrxqueues 1 numtxqueues 1");
		/* A veth takes redirected frames if its peer polls. */
		bed_run("ethtool -K %s gro on", peer);
	}
	if (datapath_create(&config, &bed.dp, &err))
		fail_msg("datapath: %s", err.text);
	for (unsigned int i = 0; i < 3; i++) {
		char name[8];

		snprintf(name, sizeof(name), "p%u", i);
		assert_int_equal(bed_add_typed_port(bed.dp, port_type, name, ""), i + 1);
	}
	bed.source = bed_open_raw("q0", false);
	bed.sinks[0] = bed_open_raw("q1", false);
	bed.sinks[1] = bed_open_raw("q2", false);
}

static void destroy(void)
{
	close(bed.source);
	close(bed.sinks[0]);
	close(bed.sinks[1]);
	datapath_destroy(bed.dp);
	for (int i = 0; i < 3; i++)
		bed_run("ip link del p%d", i);
}

/* Sends the next packet; false: there was no room. */
static bool send_one(void)
{
	uint32_t serial = serials_take();
	uint8_t frame[FRAME_LEN];

	bed_fill(frame, sizeof(frame), 0);
	frame[10] = (uint8_t)(sources[serial % n_sources] >> 8);
	frame[11] = (uint8_t)sources[serial % n_sources];
	memcpy(frame + SERIALS_OFFSET, &serial, sizeof(serial));
	return send(bed.source, frame, sizeof(frame), 0) == sizeof(frame);
}

/* What the kernel lost ahead of the switch, so that it was not counted. */
static uint64_t count_lost(const struct port_counters *sum)
{
	uint64_t n = 0;

	for (int i = 0; i < DROP_N_REASONS; i++)
		if (drop_reason_stage((enum drop_reason)i) == DROP_STAGE_KERNEL)
			n += sum->drops[i];
	return n;
}

static uint64_t count_drops(const struct port_counters *sum)
{
	uint64_t n = 0;

	for (int i = 0; i < DROP_N_REASONS; i++)
		if (!drop_reason_is_kernel((enum drop_reason)i))
			n += sum->drops[i];
	return n;
}

static uint64_t count_tier0(void)
{
	uint64_t n = 0;

	datapath_fold_counters(bed.dp);
	for (unsigned int i = 0; i < datapath_get_n_workers(bed.dp); i++) {
		struct worker_stats stats;

		datapath_get_worker_stats(bed.dp, i, &stats);
		n += stats.hits_tier0;
	}
	return n;
}

static uint64_t count_rx(void)
{
	struct port_counters sum;

	datapath_fold_counters(bed.dp);
	bed_get_counters(bed.dp, 1, &sum);
	return sum.rx_packets + count_lost(&sum);
}

/* Waits until the port has seen `n` packets. */
static void wait_rx(uint64_t n)
{
	uint64_t end = clock_now() + PATIENCE_NS;

	while (count_rx() < n) {
		assert_true(clock_now() < end);
		usleep(2000);
	}
	assert_int_equal(count_rx(), n);
}

/* Packets in are packets out or drops, over all ports and tiers; each was credited. */
static void check_balance(uint64_t n_sent)
{
	struct port_counters sums[3], removed;
	uint64_t out, drops;

	wait_rx(n_sent);
	datapath_get_removed_counters(bed.dp, &removed);
	out = removed.tx_packets;
	drops = count_drops(&removed);
	for (uint32_t i = 0; i < 3; i++) {
		bed_get_counters(bed.dp, i + 1, &sums[i]);
		out += sums[i].tx_packets;
		drops += count_drops(&sums[i]);
	}
	assert_int_equal(sums[0].rx_packets + sums[0].copies, out + drops);
	assert_int_equal(sums[0].rx_bytes, sums[0].rx_packets * wire_len);
	assert_int_equal(atomic_load(&credited), sums[0].rx_packets);
	assert_int_equal(atomic_load(&credited_bytes), sums[0].rx_bytes);
}

/* Sends until the kernel carries the packets. Returns how many it took. */
static uint64_t warm_up(void)
{
	uint64_t end = clock_now() + PATIENCE_NS, before = count_tier0(), n = 0;

	while (count_tier0() == before) {
		assert_true(clock_now() < end);
		for (int i = 0; i < 50; i++)
			n += send_one();
		usleep(1000);
	}
	return n;
}

/* ---- tests ---- */

static void check_status(const char *in, const char *out)
{
	assert_string_equal(bed_get_status(bed.dp, 1, "kernel tier in"), in);
	assert_string_equal(bed_get_status(bed.dp, 2, "kernel tier out"), out);
}

static void test_counters(void **state UNUSED)
{
	uint64_t n;

	create(true, 0);
	check_status("yes", "yes");
	n = warm_up();
	for (int i = 0; i < 20000; i++)
		n += send_one();
	check_balance(n);
	assert_true(count_tier0() > n * 9 / 10);
	/* Drops are exact as well. */
	atomic_store(&answer, 0);
	datapath_invalidate(bed.dp);
	n += warm_up();
	for (int i = 0; i < 20000; i++)
		n += send_one();
	check_balance(n);
	assert_true(count_tier0() > n * 8 / 10);
	destroy();
}

/* A flow that the rules confirm stays in; only the packet that asks for it goes to the worker. */
static void test_confirmed(void **state UNUSED)
{
	struct tier0_stats stats;
	uint64_t n, before;

	create(true, 0);
	n = warm_up();
	before = count_tier0();
	for (int i = 0; i < 100; i++) {
		datapath_invalidate(bed.dp);
		n += send_one();
		wait_rx(n);
		for (int k = 0; k < 9; k++)
			n += send_one();
	}
	check_balance(n);
	assert_int_equal(count_tier0() - before, 900);
	datapath_get_tier0_stats(bed.dp, &stats);
	assert_int_equal(stats.n_inserted, 1);
	destroy();
}

static void test_flips(void **state UNUSED)
{
	static struct serials_period periods[FLIPS];
	uint64_t n_sent, start_ns, flip_ns = 0;
	uint32_t n_received = 0;

	create(true, 0);
	serials_start(send_one, bed.sinks);
	serials_wait(1000);
	for (int i = 0; i < FLIPS; i++) {
		serials_announce(&periods[i]);
		start_ns = clock_now();
		atomic_store(&answer, i % 2 ? 2 : 3);
		datapath_invalidate(bed.dp);
		flip_ns += clock_now() - start_ns;
		serials_begin(&periods[i]);
		serials_wait(PERIOD_MIN);
		serials_end(&periods[i]);
		if (i % FLIPS_SWEEP == 0)
			datapath_sweep(bed.dp, 10 * CLOCK_NS_PER_S);
	}
	n_sent = serials_stop();
	for (int i = 0; i < FLIPS; i++)
		n_received += serials_check(&periods[i], i % 2 ? 0 : 1);
	assert_true(n_received > FLIPS * PERIOD_MIN / 10);
	check_balance(n_sent);
	print_message("%u packets sent, %u of the periods' received, %u carried by tier 0; "
		      "a flip takes %u us\n",
		      (unsigned int)n_sent, n_received, (unsigned int)count_tier0(),
		      (unsigned int)(flip_ns / FLIPS / 1000));
	/* A worker's round, on a busy machine. */
	assert_true(flip_ns / FLIPS < 50 * CLOCK_NS_PER_MS);
	assert_true(count_tier0() > n_sent / 4);
	serials_free();
	destroy();
}

/* A port that goes takes its flows along; another one in its place starts with none. `rest`: the
 * port where packets still may go. */
static void remove_under_traffic(unsigned int all, unsigned int rest)
{
	create(true, 0);
	atomic_store(&answer, all);
	serials_start(send_one, bed.sinks);
	for (int i = 0; i < REMOVALS; i++) {
		uint64_t before = count_tier0(), end = clock_now() + PATIENCE_NS;
		struct serials_period period, other;

		/* A slot that was given up is free when it has been swept. */
		while (count_tier0() == before) {
			assert_true(clock_now() < end);
			datapath_sweep(bed.dp, 10 * CLOCK_NS_PER_S);
			usleep(20000);
		}
		assert_int_equal(datapath_remove_port(bed.dp, 2), 0);
		serials_announce(&period);
		serials_begin(&period);
		serials_wait(PERIOD_MIN);
		serials_end(&period);
		serials_check(&period, rest ? (int)rest - 2 : -1);
		serials_announce(&other);
		assert_int_equal(bed_add_typed_port(bed.dp, port_type, "p1", ""), 2);
	}
	check_balance(serials_stop());
	serials_free();
	destroy();
}

static void test_removal(void **state UNUSED)
{
	remove_under_traffic(2, 0);
}

static void test_removal_of_one(void **state UNUSED)
{
	remove_under_traffic(ANSWER_BOTH, 3);
}

/* Idle flows leave, and their places are used again. */
static void test_idle(void **state UNUSED)
{
	struct tier0_stats stats;
	uint64_t n;

	create(true, 0);
	n = warm_up();
	for (int i = 0; i < 10; i++) {
		datapath_sweep(bed.dp, 1000 * CLOCK_NS_PER_S);
		datapath_fold_counters(bed.dp);
	}
	datapath_get_tier0_stats(bed.dp, &stats);
	assert_int_equal(stats.n_flows, 0);
	assert_int_equal(stats.n_masks, 0);
	assert_int_equal(stats.n_waiting, 0);
	n += warm_up();
	check_balance(n);
	destroy();
}

/* Sends `n_each` packets of each source. Returns how many were taken. */
static uint64_t send_each(unsigned int n_each)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < n_each; i++) {
		for (unsigned int k = 0; k < n_sources; k++)
			n += send_one();
		usleep(500);
	}
	return n;
}

struct reason_count {
	enum tier0_reason reason;
	unsigned int n;
};

static void count_flow(void *aux, const struct datapath_flow_info *info)
{
	struct reason_count *count = aux;

	count->n += info->key->in_port == 1 && info->tier0_reason == count->reason;
}

/* Flows of port 1 that are not in tier 0 for this reason. */
static unsigned int count_reason(enum tier0_reason reason)
{
	struct reason_count count = {.reason = reason};

	assert_int_equal(datapath_dump_flows(bed.dp, -1, count_flow, &count), 0);
	return count.n;
}

/* More flows than places: those that find none stay in user space. */
static void test_full(void **state UNUSED)
{
	struct tier0_stats stats;
	uint64_t n;

	create(true, 4);
	n_sources = 40;
	atomic_store(&mask_kind, MASK_SOURCE);
	n = send_each(300);
	check_balance(n);
	datapath_get_tier0_stats(bed.dp, &stats);
	assert_int_equal(stats.n_flows, stats.max_flows);
	assert_true(stats.n_refused > 0);
	/* Where slots are short, what is not hot does not ask for one. */
	assert_in_range(count_reason(TIER0_ROOM), 1, n_sources - stats.max_flows);
	assert_in_range(count_tier0(), 100, n / 2);
	/* What is not hot makes room. */
	for (int i = 0; i < 4; i++) {
		datapath_sweep(bed.dp, 1000 * CLOCK_NS_PER_S);
		datapath_fold_counters(bed.dp);
	}
	n += send_each(300);
	check_balance(n);
	datapath_get_tier0_stats(bed.dp, &stats);
	assert_true(stats.n_inserted > stats.max_flows);
	destroy();
}

/* More masks than a program tries. */
static void test_masks(void **state UNUSED)
{
	struct tier0_stats stats;
	uint64_t n;

	create(true, 0);
	n_sources = 24;
	atomic_store(&mask_kind, MASK_OWN);
	n = send_each(300);
	check_balance(n);
	datapath_get_tier0_stats(bed.dp, &stats);
	assert_int_equal(stats.n_masks, TIER0_MASKS_MAX);
	assert_int_equal(stats.n_flows, TIER0_MASKS_MAX);
	assert_true(stats.n_refused > 0);
	assert_int_equal(count_reason(TIER0_MASKS), n_sources - TIER0_MASKS_MAX);
	assert_in_range(count_tier0(), n / 10, n * 3 / 4);
	destroy();
}

/* The bucket of the flow that has this source. */
static uint32_t find_bucket(const struct tier0_maps *maps, uint16_t source)
{
	struct tier0_mask mask = {.n_words = FLOW_KEY_WORDS_IPV4};
	struct flow_key key = {.in_port = 1, .dl_src = {2}};

	mask.key.in_port = UINT32_MAX;
	memset(mask.key.dl_src, 0xff, sizeof(mask.key.dl_src));
	key.dl_src[4] = (uint8_t)(source >> 8);
	key.dl_src[5] = (uint8_t)source;
	return (uint32_t)tier0_hash(maps->control, 0, &key, &mask) & maps->control->bucket_mask;
}

/* More flows than places in one bucket. */
static void test_bucket(void **state UNUSED)
{
	const struct tier0_maps *maps;
	struct tier0_stats stats;
	uint32_t bucket;
	uint64_t n;

	create(true, 1024);
	maps = &bed.dp->tier0->maps;
	bucket = find_bucket(maps, 0);
	for (uint16_t source = 1; n_sources < TIER0_WAYS + 4; source++)
		if (find_bucket(maps, source) == bucket)
			sources[n_sources++] = source;
	atomic_store(&mask_kind, MASK_SOURCE);
	n = send_each(300);
	check_balance(n);
	datapath_get_tier0_stats(bed.dp, &stats);
	assert_int_equal(stats.n_flows, TIER0_WAYS);
	assert_int_equal(count_reason(TIER0_BUCKET), 4);
	assert_in_range(count_tier0(), n / 10, n * 3 / 4);
	destroy();
}

/* Reads a packet from both sinks. Returns its number. */
static uint32_t receive_both(void)
{
	uint8_t frames[2][2048], expected[FRAME_LEN];
	uint32_t serial;

	for (int i = 0; i < 2; i++)
		assert_int_equal(
			bed_receive_test(bed.sinks[i], frames[i], sizeof(frames[i]), 10000),
			FRAME_LEN);
	memcpy(&serial, frames[0] + SERIALS_OFFSET, sizeof(serial));
	bed_fill(expected, sizeof(expected), 0);
	expected[11] = 0;
	memcpy(expected + SERIALS_OFFSET, &serial, sizeof(serial));
	assert_memory_equal(frames[0], expected, sizeof(expected));
	assert_memory_equal(frames[1], expected, sizeof(expected));
	return serial;
}

/* Each packet comes out of both ports, whole and once. */
static void test_both(void **state UNUSED)
{
	uint32_t serial, last = 0;
	uint64_t n, before;

	create(true, 0);
	atomic_store(&answer, ANSWER_BOTH);
	n = warm_up();
	check_balance(n);
	/* What the warming up has sent. */
	while (bed_receive(bed.sinks[0], NULL, 0, 10) >= 0 ||
	       bed_receive(bed.sinks[1], NULL, 0, 10) >= 0)
		;
	before = count_tier0();
	for (int i = 0; i < 1000; i++) {
		n += send_one();
		serial = receive_both();
		assert_true(i == 0 || serial == last + 1);
		last = serial;
	}
	check_balance(n);
	assert_true(count_tier0() - before > 990);
	for (int i = 0; i < 20000; i++)
		n += send_one();
	check_balance(n);
	destroy();
}

/* More sets of output ports than there are groups: flows that find none stay in user space. */
static void test_sets(void **state UNUSED)
{
	struct tier0_stats stats;
	uint64_t n;

	/* tc programs send copies one by one. */
	if (!strcmp(port_type, "veth"))
		skip();
	create(true, 0);
	n_sources = N_SETS;
	atomic_store(&mask_kind, MASK_SOURCE);
	atomic_store(&answer, ANSWER_OFTEN);
	n = send_each(200);
	check_balance(n);
	datapath_get_tier0_stats(bed.dp, &stats);
	assert_int_equal(stats.n_flows, TIER0_GROUPS_MAX - 1);
	assert_true(stats.n_refused > 0);
	assert_in_range(count_tier0(), n / 10, n * 3 / 4);
	/* All go, and others come. */
	atomic_store(&answer, 2);
	datapath_invalidate(bed.dp);
	n += send_each(200);
	for (int i = 0; i < 3; i++) {
		datapath_sweep(bed.dp, 1000 * CLOCK_NS_PER_S);
		datapath_fold_counters(bed.dp);
	}
	atomic_store(&answer, ANSWER_OFTEN);
	datapath_invalidate(bed.dp);
	n += send_each(200);
	check_balance(n);
	datapath_get_tier0_stats(bed.dp, &stats);
	assert_int_equal(stats.n_flows, TIER0_GROUPS_MAX - 1);
	destroy();
}

/* The tag of the next frame on q1, which the kernel has taken off; -1: it has none. */
static int receive_tag(void)
{
	union {
		struct cmsghdr header;
		uint8_t buf[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	uint8_t frame[128];
	struct iovec iov = {.iov_base = frame, .iov_len = sizeof(frame)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	struct pollfd p = {.fd = bed.sinks[0], .events = POLLIN};
	struct tpacket_auxdata aux;

	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(recvmsg(bed.sinks[0], &msg, 0), FRAME_LEN);
	assert_non_null(CMSG_FIRSTHDR(&msg));
	memcpy(&aux, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(aux));
	assert_int_equal(frame[12] << 8 | frame[13], 0x88b5);
	return aux.tp_status & TP_STATUS_VLAN_VALID ? aux.tp_vlan_tci : -1;
}

/* A tag that comes beside the frame: it is in the key, and leaves with the frame, or as it should.
 */
static void test_tag(void **state UNUSED)
{
	static const struct {
		enum action_type change;
		int tag;
	} cases[] = {
		{ACTION_OUTPUT, 0x6123},
		{ACTION_POP_VLAN, -1},
		{ACTION_SET_VLAN_TCI, 0x0345},
	};
	uint64_t n = 0;
	int on = 1;

	create(true, 0);
	wire_len += 4;
	bed_attach_vlan_push("q0", 0x6123);
	setsockopt(bed.sinks[0], SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on));
	atomic_store(&mask_kind, MASK_TAG);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t before, n_sent = 0;

		atomic_store(&change, cases[i].change);
		datapath_invalidate(bed.dp);
		before = count_tier0();
		for (int k = 0; k < 400; k++) {
			n_sent += send_one();
			usleep(200);
		}
		n += n_sent;
		check_balance(n);
		assert_true(count_tier0() - before > n_sent / 2);
		for (; n_sent; n_sent--)
			assert_int_equal(receive_tag(), cases[i].tag);
	}
	destroy();
}

static void test_off(void **state UNUSED)
{
	uint64_t n = 0;

	create(false, 0);
	check_status("no: it is switched off", "no: it is switched off");
	for (int i = 0; i < 2000; i++)
		n += send_one();
	check_balance(n);
	assert_int_equal(count_tier0(), 0);
	destroy();
}

/* A port that takes no redirected frames is sent to from user space, and says why. */
static void test_no_target(void **state UNUSED)
{
	uint64_t n;

	/* A veth port takes what tc programs send. */
	if (!strcmp(port_type, "veth"))
		skip();
	create(true, 0);
	n = warm_up();
	bed_run("ethtool -K q1 gro off");
	assert_int_equal(datapath_get_port(bed.dp, 2)->class->refresh(datapath_get_port(bed.dp, 2)),
			 0);
	check_status("yes", "from containers alone: the veth's peer has neither GRO nor an "
			    "XDP program");
	check_balance(n);
	n += 500;
	for (int i = 0; i < 500; i++)
		assert_true(send_one());
	check_balance(n);
	destroy();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counters),  cmocka_unit_test(test_confirmed),
		cmocka_unit_test(test_idle),	  cmocka_unit_test(test_full),
		cmocka_unit_test(test_masks),	  cmocka_unit_test(test_bucket),
		cmocka_unit_test(test_tag),	  cmocka_unit_test(test_off),
		cmocka_unit_test(test_both),	  cmocka_unit_test(test_sets),
		cmocka_unit_test(test_no_target), cmocka_unit_test(test_flips),
		cmocka_unit_test(test_removal),	  cmocka_unit_test(test_removal_of_one),
	};

	if (argc > 1)
		port_type = argv[1];
	bed_enter();
	return cmocka_run_group_tests_name("tier0", tests, NULL, NULL);
}
