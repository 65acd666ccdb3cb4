// SPDX-License-Identifier: BSD-2-Clause
/*
 * tier0_cost: what tier 0 costs a packet, measured in the XDP program itself (BPF_PROG_TEST_RUN).
 *
 * Once with one packet again and again, whose flow is behind 1, 8 or 16 masks, or has header
 * changes or several outputs, or whose port's frames may have partial checksums; once with a packet
 * of another flow each time, of 64, 10,000 or 100,000, so that flows are not in the processor's
 * cache, and with a partial checksum, which only the first run finds. The kernel's own clock of the
 * second kind has an overhead of its own, which `empty`, a program that only returns, shows. One
 * line of JSON on standard output.
 *
 * Thread-safety: one thread.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "bpf/flow_parse.h"
#include "bpf/pinned_xdp.h"
#include "bpf/tier0_maps.h"
#include "bpf/vswitch_xdp.skel.h"
#include "datapath/offload.h"
#include "datapath/tier0_compile.h"
#include "lib/clock.h"
#include "lib/util.h"

#define IN_PORT 1
#define OUT_PORT 2
#define COPY_PORT 3
#define LOOPBACK 1 /* ifindex; nothing is sent there */
#define SLOTS 131072u
#define REPEAT (1 << 20)
#define SINGLE_RUNS 200000u
#define LONG_LEN 1514u

static struct vswitch_xdp_bpf *skel;
static struct tier0_maps maps;
static uint32_t n_flows; /* in the tables */
static uint32_t n_other; /* runs that did something else than expected */
static int empty_fd;

static NORETURN void die(const char *what)
{
	fprintf(stderr, "tier0_cost: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void load(void)
{
	const struct bpf_insn insns[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_DROP},
					 {.code = BPF_JMP | BPF_EXIT}};
	struct error err = ERROR_INIT;
	struct bpf_program *program;
	struct bpf_map *map;

	if (tier0_maps_create(&maps, &err) || tier0_maps_reserve(&maps, SLOTS, &err))
		die(err.text);
	skel = vswitch_xdp_bpf__open();
	if (!skel)
		die("opening the program");
	skel->rodata->tier0_groups_on = maps.groups_fd >= 0;
	bpf_object__for_each_program(program, skel->obj)
		bpf_program__set_autoload(program, program == skel->progs.vswitch_xdp_t0);
	bpf_object__for_each_map(map, skel->obj) if (tier0_maps_share(&maps, map))
		die("sharing maps");
	if (vswitch_xdp_bpf__load(skel) || tier0_maps_set_device(&maps, OUT_PORT, LOOPBACK))
		die("loading the program");
	empty_fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "empty", "GPL", insns, ARRAY_SIZE(insns), NULL);
	if (empty_fd < 0)
		die("loading the empty program");
	maps.targets[OUT_PORT] = (struct tier0_target){.max_len = 1518, .flags = TIER0_TARGET_XDP};
	maps.targets[COPY_PORT] = maps.targets[OUT_PORT];
	skel->bss->tier0_port.in_port = IN_PORT;
	maps.control->generation = 1;
}

/* A UDP packet of 60 bytes of flow `no`. */
static void make_packet(uint32_t no, uint8_t frame[60])
{
	static const uint8_t start[] = {2,    0, 0, 0,	0, 2, 2, 0, 0,	0,  0, 1, 0x08, 0,
					0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 198,	18};
	uint16_t port = htons((uint16_t)(no & 0x7fff));

	memset(frame, 0, 60);
	memcpy(frame, start, sizeof(start));
	frame[28] = (uint8_t)(no >> 23);
	frame[29] = (uint8_t)(no >> 15);
	memcpy(frame + 30, "\xc6\x13\x00\x01", 4);
	memcpy(frame + 34, &port, 2);
	memcpy(frame + 36, "\x13\x89\x00\x1a", 4);
}

static void make_mask(struct flow_key *mask)
{
	memset(mask, 0, sizeof(*mask));
	mask->in_port = UINT32_MAX;
	mask->dl_type = mask->tp_src = mask->tp_dst = 0xffff;
	mask->nw_proto = 0xff;
	mask->nw_src = mask->nw_dst = UINT32_MAX;
}

/* Puts flow `no` in, under mask 0. */
static void insert(uint32_t no, const struct action *actions, uint32_t n_actions)
{
	struct tier0_mask *mask = &maps.control->masks[0];
	uint32_t slot_no = no + 1;
	struct tier0_slot *slot = &maps.slots[slot_no];
	struct tier0_bucket *bucket;
	struct flow_layout layout;
	struct flow_key key;
	uint8_t frame[60];
	uint64_t hash;

	make_packet(no, frame);
	make_mask(&mask->key);
	mask->n_words = FLOW_KEY_WORDS_IPV4;
	flow_key_parse(frame, frame + sizeof(frame), sizeof(frame), &key, &layout);
	key.in_port = IN_PORT;
	memset(slot, 0, sizeof(*slot));
	if (tier0_compile(&key, &mask->key, actions, n_actions, true, slot))
		die("an action list that cannot be expressed");
	slot->group = n_actions && actions[0].type == ACTION_OUTPUT && n_actions > 1;
	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		slot->key.w[i] = key.w[i] & mask->key.w[i];
	slot->generation = 1;
	hash = tier0_hash(maps.control, 0, &key, mask);
	bucket = &maps.buckets[hash & maps.control->bucket_mask];
	for (int i = 0; i < TIER0_WAYS; i++) {
		if (bucket->places[i])
			continue;
		bucket->places[i] = (hash >> 32) << 32 | slot_no;
		return;
	}
}

/* Mask 0 is tried as the n-th. */
static void set_masks(uint32_t n)
{
	maps.control->order = 0;
	for (uint32_t i = 1; i < n; i++) {
		struct tier0_mask *mask = &maps.control->masks[i];

		make_mask(&mask->key);
		mask->key.nw_ttl = (uint8_t)i;
		mask->n_words = FLOW_KEY_WORDS_IPV4;
		maps.control->order |= (uint64_t)i << 4 * (i - 1);
	}
	maps.control->n_masks = n;
}

/* Nanoseconds of one run, as the kernel has it; `repeat` runs. */
static double run_frame(int fd, const void *frame, uint32_t len, uint32_t repeat, uint32_t expected)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len,
		    .repeat = (int)repeat);

	if (bpf_prog_test_run_opts(fd, &opts))
		die("running the program");
	n_other += opts.retval != expected;
	return opts.duration;
}

static double run(int fd, uint32_t flow, uint32_t repeat, uint32_t expected)
{
	uint8_t frame[60];

	make_packet(flow, frame);
	return run_frame(fd, frame, sizeof(frame), repeat, expected);
}

/* The mean over single runs on a packet of `len` bytes of flow 0 with a partial checksum. */
static double run_partial(int fd, uint32_t len)
{
	uint16_t l3_len = htons((uint16_t)(len - 14)), l4_len = htons((uint16_t)(len - 34)), csum;
	uint8_t frame[LONG_LEN] = {0};
	double sum = 0;

	make_packet(0, frame);
	memcpy(frame + 16, &l3_len, 2);
	memcpy(frame + 38, &l4_len, 2);
	csum = csum_fold(csum_partial(frame + 26, 8, (uint64_t)l4_len + htons(IPPROTO_UDP)));
	memcpy(frame + 40, &csum, 2);
	for (uint32_t i = 0; i < SINGLE_RUNS; i++)
		sum += run_frame(fd, frame, len, 1, XDP_REDIRECT);
	return sum / SINGLE_RUNS;
}

/* The mean over packets of all flows in turn, in no order that a processor could foresee. */
static double run_each(int fd, uint32_t expected)
{
	double sum = 0;
	uint32_t flow = 1;

	for (uint32_t i = 0; i < SINGLE_RUNS; i++) {
		flow = flow * 1664525 + 1013904223;
		sum += run(fd, (uint32_t)((uint64_t)flow * n_flows >> 32), 1, expected);
	}
	return sum / SINGLE_RUNS;
}

static void add_flows(uint32_t n)
{
	const struct action output = {.type = ACTION_OUTPUT, .port = OUT_PORT};
	uint64_t start = clock_now(), n_new = n - n_flows;

	while (n_flows < n)
		insert(n_flows++, &output, 1);
	printf("\"insert_ns_%u\": %.0f, ", n, (double)(clock_now() - start) / (double)n_new);
}

static void measure_masks(int fd)
{
	set_masks(1);
	add_flows(64);
	for (uint32_t n = 1; n <= TIER0_MASKS_MAX; n = n == 1 ? 8 : n * 2) {
		set_masks(n);
		printf("\"masks_%u_ns\": %.0f, ", n, run(fd, 0, REPEAT, XDP_REDIRECT));
	}
	set_masks(1);
}

static void measure_flows(int fd)
{
	printf("\"empty_single_ns\": %.0f, ", run_each(empty_fd, XDP_DROP));
	printf("\"flows_64_ns\": %.0f, ", run_each(fd, XDP_REDIRECT));
	add_flows(10000);
	printf("\"flows_10000_ns\": %.0f, ", run_each(fd, XDP_REDIRECT));
	add_flows(100000);
	printf("\"flows_100000_ns\": %.0f, ", run_each(fd, XDP_REDIRECT));
}

static void measure_partial(int fd)
{
	skel->bss->tier0_port.flags = TIER0_PORT_PARTIAL | TIER0_PORT_FINISH;
	printf("\"maybe_partial_ns\": %.0f, ", run(fd, 0, REPEAT, XDP_REDIRECT));
	printf("\"partial_60_ns\": %.0f, ", run_partial(fd, 60));
	printf("\"partial_%u_ns\": %.0f, ", LONG_LEN, run_partial(fd, LONG_LEN));
	skel->bss->tier0_port.flags = 0;
}

/* Puts flow 0 in alone. */
static void measure_actions(int fd, const char *name, const struct action *actions, uint32_t n)
{
	memset(maps.buckets, 0, sizeof(*maps.buckets) * maps.n_buckets);
	insert(0, actions, n);
	printf("\"%s_ns\": %.0f", name, run(fd, 0, REPEAT, XDP_REDIRECT));
}

int main(void)
{
	static const struct action copies[] = {
		{.type = ACTION_OUTPUT, .port = OUT_PORT},
		{.type = ACTION_OUTPUT, .port = COPY_PORT},
		{.type = ACTION_OUTPUT, .port = COPY_PORT},
		{.type = ACTION_OUTPUT, .port = COPY_PORT},
	};
	static const struct action nat[] = {
		{.type = ACTION_SET_ETH_SRC,
		 .value.mac = {2, 0, 0, 0, 0, 1},
		 .mask.ipv6 = {255, 255, 255, 255, 255, 255}},
		{.type = ACTION_SET_ETH_DST,
		 .value.mac = {2, 0, 0, 0, 0, 9},
		 .mask.ipv6 = {255, 255, 255, 255, 255, 255}},
		{.type = ACTION_SET_IPV4_DST, .value.ipv4 = 0x010013c6, .mask.ipv4 = UINT32_MAX},
		{.type = ACTION_SET_TP_DST, .value.be16 = 0x8913, .mask.be16 = 0xffff},
		{.type = ACTION_OUTPUT, .port = OUT_PORT},
	};
	int fd;

	load();
	fd = bpf_program__fd(skel->progs.vswitch_xdp_t0);
	printf("{\"empty_ns\": %.0f, ", run(empty_fd, 0, REPEAT, XDP_DROP));
	measure_masks(fd);
	measure_flows(fd);
	measure_partial(fd);
	measure_actions(fd, "nat", nat, ARRAY_SIZE(nat));
	if (maps.groups_fd >= 0) {
		printf(", ");
		measure_actions(fd, "outputs_4", copies, ARRAY_SIZE(copies));
	}
	printf("}\n");
	/* A flow whose bucket was full is missed; there are few. */
	if (n_other > SINGLE_RUNS / 1000) {
		fprintf(stderr, "tier0_cost: %u packets took another way\n", n_other);
		return 1;
	}
	return 0;
}
