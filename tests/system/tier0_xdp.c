/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XDP program and worker do the same with a packet: the real program runs on packets of a corpus
 * under random masks and action lists (BPF_PROG_TEST_RUN), and its verdict and the bytes that it
 * leaves are held against action_apply() on the same packet.
 *
 * Where a checksum is partial user space finishes it, as it does for a port that cannot.
 *
 * A packet that the program leaves to user space must be one that it had to, and unchanged.
 */
#include "config.h"

#include <net/if.h>
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
#include "tests/system/bed.h"
#include "tests/system/tier0_cases.h"
#include "tests/system/tier0_rules.h"
#include "tests/unit/frames.h"
#include "tests/unit/random.h"
#include "tests/unit/test.h"

#define N_CASES 20000
/* Of the ports that get copies; which devices it has does not matter here. */
#define GROUP 3
/* A frame of several buffers. */
#define LONG_LEN 9000
#define N_RULE_CASES 40000

static struct vswitch_xdp_bpf *skel;
static struct tier0_maps maps;

/* What became of the cases, so that a corpus which tests nothing is noticed. */
static struct {
	uint32_t n_compiled;
	uint32_t n_sent;
	uint32_t n_changed;
	uint32_t n_dropped;
	uint32_t n_left; /* had to be left to user space */
	uint32_t n_partial; /* sent with a checksum that was finished */
	uint32_t n_odd; /* of these: of an odd length */
	uint32_t n_zero; /* whose checksum came out as 0, but for changes */
	uint32_t n_extended; /* with extension headers */
	uint32_t n_copies; /* sent to several ports */
	uint32_t n_other; /* of another flow */
	uint32_t by_type[ACTION_SET_VLAN_TCI + 1]; /* of those that were sent */
} seen;

/* Loads the program with these maps. */
static struct vswitch_xdp_bpf *load_program(const struct tier0_maps *shared)
{
	struct vswitch_xdp_bpf *loaded = vswitch_xdp_bpf__open();
	struct bpf_program *program;
	struct bpf_map *map;

	assert_non_null(loaded);
	loaded->rodata->tier0_groups_on = shared->groups_fd >= 0;
	bpf_object__for_each_program(program, loaded->obj)
		bpf_program__set_autoload(program, program == loaded->progs.vswitch_xdp_t0);
	bpf_program__set_flags(loaded->progs.vswitch_xdp_t0, BPF_F_XDP_HAS_FRAGS);
	bpf_object__for_each_map(map, loaded->obj)
		assert_int_equal(tier0_maps_share(shared, map), 0);
	assert_int_equal(vswitch_xdp_bpf__load(loaded), 0);
	loaded->bss->tier0_port.in_port = TIER0_CASE_IN;
	return loaded;
}

static int load(void **state UNUSED)
{
	tier0_cases_init();
	assert_int_equal(tier0_maps_create(&maps, NULL), 0);
	assert_int_equal(tier0_maps_reserve(&maps, 64, NULL), 0);
	assert_true(maps.groups_fd >= 0);
	skel = load_program(&maps);
	bed_add_veth("p0", "q0", "");
	assert_int_equal(tier0_maps_set_device(&maps, TIER0_CASE_OUT, if_nametoindex("p0")), 0);
	maps.targets[TIER0_CASE_OUT] = (struct tier0_target){.max_len = TIER0_CASE_LEN_MAX,
							     .ifindex = if_nametoindex("p0"),
							     .flags = TIER0_TARGET_XDP};
	maps.targets[TIER0_CASE_COPY] = maps.targets[TIER0_CASE_OUT];
	maps.control->generation = 7;
	return 0;
}

static int unload(void **state UNUSED)
{
	vswitch_xdp_bpf__destroy(skel);
	tier0_maps_destroy(&maps);
	tier0_cases_uninit();
	bed_run("ip link del p0");
	return 0;
}

/* ---- running them ---- */

static bool has_copies(const struct tier0_slot *slot)
{
	for (uint32_t i = 0; i < slot->n_ops; i++)
		if (slot->ops[i].type == TIER0_OP_OUTPUT)
			return true;
	return false;
}

/* Puts the case's flow in, and says what its port's frames may be. */
static void install(struct tier0_case *c, struct random *rng)
{
	c->slot.group = has_copies(&c->slot) ? GROUP : 0;
	tier0_case_install(c, rng, &maps);
	skel->bss->tier0_port.flags = c->maybe_partial ? TIER0_PORT_PARTIAL | TIER0_PORT_FINISH : 0;
}

/* Runs the program. Returns its action; `out` gets what it leaves. */
static uint32_t run(const struct tier0_case *c, uint8_t *out, uint32_t *len)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = c->frame, .data_size_in = c->len,
		    .data_out = out, .data_size_out = TIER0_CASE_BUF_SIZE, .repeat = 1);

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.vswitch_xdp_t0), &opts),
			 0);
	*len = opts.data_size_out;
	return opts.retval;
}

static void check_left(const struct tier0_case *c, const uint8_t *out, uint32_t len)
{
	/* With the record ahead, as user space gets it. */
	if (len != c->len + sizeof(struct xdp_meta) ||
	    memcmp(out + sizeof(struct xdp_meta), c->frame, c->len))
		tier0_case_fail(c, "left to user space, but changed");
	if (maps.slots[TIER0_CASE_SLOT].n_packets)
		tier0_case_fail(c, "left to user space, but counted");
}

static void check_sent(const struct tier0_case *c, const uint8_t *out, uint32_t len,
		       const uint8_t *expected, uint32_t expected_len)
{
	if (len != expected_len || memcmp(out, expected, len)) {
		for (uint32_t i = 0; i < MIN(len, expected_len); i++)
			if (out[i] != expected[i])
				print_error("byte %u: %02x, in user space %02x\n", i, out[i],
					    expected[i]);
		tier0_case_fail(c, "other bytes than in user space");
	}
	seen.n_sent++;
	seen.n_copies += has_copies(&c->slot);
	seen.n_changed += len != c->len || memcmp(out, c->frame, len) != 0;
	for (uint32_t i = 0; i < c->n_actions; i++)
		seen.by_type[c->actions[i].type]++;
}

/* Notes what was special about a partial checksum that was finished. */
static void count_finished(const struct tier0_case *c)
{
	const uint8_t *l4 = c->frame + c->layout.l4_off;
	uint32_t len = c->len - c->layout.l4_off;

	seen.n_partial++;
	seen.n_odd += len & 1;
	seen.n_zero += csum_fold(csum_partial(l4, len, 0)) == 0xffff;
	seen.n_extended += c->layout.l4_off - c->layout.l3_off > 40;
}

/* Runs the case's packet, which is one of the flow's if `matches`, on both sides. */
static void check(const struct tier0_case *c, bool matches)
{
	static uint8_t out[TIER0_CASE_BUF_SIZE], expected[TIER0_CASE_BUF_SIZE];
	uint32_t len, expected_len;
	bool is_partial;
	int err = tier0_case_apply(c, true, expected, &expected_len, &is_partial);
	uint32_t action = run(c, out, &len);
	bool is_left = !matches || (c->n_actions && !tier0_case_has_needs(c, expected_len));

	if (action != (is_left ? XDP_PASS : c->n_actions ? XDP_REDIRECT : XDP_DROP))
		tier0_case_fail(c, is_left ? "not left to user space" : "left to user space");
	if (is_left) {
		check_left(c, out, len);
		seen.n_other += !matches;
		seen.n_left += matches;
		return;
	}
	if (maps.slots[TIER0_CASE_SLOT].n_packets != 1 ||
	    maps.slots[TIER0_CASE_SLOT].n_bytes != c->len)
		tier0_case_fail(c, "counted wrongly");
	if (err)
		tier0_case_fail(c, "not dropped as in user space");
	if (!c->n_actions) {
		seen.n_dropped++;
		return;
	}
	check_sent(c, out, len, expected, expected_len);
	if (is_partial && c->maybe_partial)
		count_finished(c);
}

static void test_same_bytes(void **state UNUSED)
{
	static struct tier0_case c;

	for (uint64_t i = 0; i < N_CASES; i++) {
		struct random rng;

		c.seed = test_seed() + i;
		random_init(&rng, c.seed);
		if (!tier0_case_make(&c, &rng, true))
			continue;
		seen.n_compiled++;
		install(&c, &rng);
		check(&c, true);
		check(&c, tier0_case_mutate(&c, &rng, &maps));
	}
	print_message("%u compiled, %u sent, %u of them changed, %u to several, %u dropped, "
		      "%u left, %u partial, %u others\n",
		      seen.n_compiled, seen.n_sent, seen.n_changed, seen.n_copies, seen.n_dropped,
		      seen.n_left, seen.n_partial, seen.n_other);
	assert_true(seen.n_compiled > N_CASES / 4);
	assert_true(seen.n_changed > N_CASES / 8);
	assert_true(seen.n_copies > N_CASES / 20);
	assert_true(seen.n_dropped > N_CASES / 100);
	assert_true(seen.n_left > N_CASES / 100);
	print_message("%u finished, %u of odd lengths, %u to zero, %u behind extension headers\n",
		      seen.n_partial, seen.n_odd, seen.n_zero, seen.n_extended);
	assert_true(seen.n_partial > N_CASES / 100);
	assert_true(seen.n_odd > N_CASES / 200);
	assert_true(seen.n_zero > N_CASES / 400);
	assert_true(seen.n_extended > N_CASES / 1000);
	assert_true(seen.n_other > N_CASES / 20);
	for (int type = 0; type <= ACTION_SET_VLAN_TCI; type++) {
		if (type == ACTION_SET_ND_TARGET)
			continue;
		if (seen.by_type[type] < N_CASES / 1000)
			print_error("action %d: only %u times\n", type, seen.by_type[type]);
		assert_true(seen.by_type[type] >= N_CASES / 1000);
	}
}

/* The same with what real tables say, and each packet that meets the mask. */
static void test_same_rules(void **state UNUSED)
{
	static struct tier0_case c;
	uint32_t n_matching = 0;

	memset(&seen, 0, sizeof(seen));
	tier0_rules_init();
	for (uint64_t i = 0; i < N_RULE_CASES; i++) {
		struct random rng;
		bool matches;

		c.seed = test_seed() + i;
		random_init(&rng, c.seed);
		if (!tier0_rules_make(&c, &rng, false))
			continue;
		seen.n_compiled++;
		install(&c, &rng);
		check(&c, true);
		matches = tier0_case_mutate(&c, &rng, &maps);
		check(&c, matches);
		n_matching += matches;
		if (matches)
			tier0_rules_check(&c);
	}
	tier0_rules_uninit();
	print_message("%u compiled, %u sent, %u of them changed, %u dropped, %u left, %u of the "
		      "same flow\n",
		      seen.n_compiled, seen.n_sent, seen.n_changed, seen.n_dropped, seen.n_left,
		      n_matching);
	assert_true(seen.n_compiled > N_RULE_CASES / 10);
	assert_true(seen.n_changed > N_RULE_CASES / 20);
	assert_true(seen.n_dropped > N_RULE_CASES / 100);
	assert_true(n_matching > N_RULE_CASES / 20);
	for (int type = 0; type <= ACTION_SET_VLAN_TCI; type++)
		assert_true(type == ACTION_SET_ND_TARGET || seen.by_type[type] >= 5);
}

/* A flow of another generation, or none at all, leaves its packets to user space. */
static void test_stale(void **state UNUSED)
{
	static struct tier0_case c = {.len = 60, .n_actions = 1};
	static uint8_t out[TIER0_CASE_BUF_SIZE];
	struct random rng;
	uint32_t len;

	random_init(&rng, test_seed());
	c.actions[0] = (struct action){.type = ACTION_OUTPUT, .port = TIER0_CASE_OUT};
	memset(c.frame, 2, sizeof(c.frame));
	assert_int_equal(flow_key_parse(c.frame, c.frame + c.len, c.len, &c.key, &c.layout), 0);
	c.key.in_port = TIER0_CASE_IN;
	c.mask.in_port = UINT32_MAX;
	assert_int_equal(tier0_compile(&c.key, &c.mask, c.actions, 1, false, &c.slot), 0);
	install(&c, &rng);
	assert_int_equal(run(&c, out, &len), XDP_REDIRECT);
	maps.control->generation++;
	assert_int_equal(run(&c, out, &len), XDP_PASS);
	maps.slots[TIER0_CASE_SLOT].generation = maps.control->generation;
	assert_int_equal(run(&c, out, &len), XDP_REDIRECT);
	/* The port may be off, or the target. */
	skel->bss->tier0_port.in_port = 0;
	assert_int_equal(run(&c, out, &len), XDP_PASS);
	skel->bss->tier0_port.in_port = TIER0_CASE_IN;
	maps.targets[TIER0_CASE_OUT].flags = 0;
	assert_int_equal(run(&c, out, &len), XDP_PASS);
	maps.targets[TIER0_CASE_OUT].flags = TIER0_TARGET_XDP;
	maps.targets[TIER0_CASE_OUT].max_len = 59;
	assert_int_equal(run(&c, out, &len), XDP_PASS);
	maps.targets[TIER0_CASE_OUT].max_len = TIER0_CASE_LEN_MAX;
	assert_int_equal(run(&c, out, &len), XDP_REDIRECT);
}

/* Runs the program on a frame of `len` bytes. Returns its action. */
static uint32_t run_plain(uint32_t len)
{
	static uint8_t frame[LONG_LEN];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .repeat = 1);

	memset(frame, 2, sizeof(frame));
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.vswitch_xdp_t0), &opts),
			 0);
	return opts.retval;
}

/* Copies go to all of the ports or to none. */
static void test_copies(void **state UNUSED)
{
	static struct tier0_case c = {.len = 60, .n_actions = 2};
	struct tier0_target *out = &maps.targets[TIER0_CASE_OUT];
	struct tier0_target *copy = &maps.targets[TIER0_CASE_COPY];
	struct random rng;

	random_init(&rng, test_seed());
	c.actions[0] = (struct action){.type = ACTION_OUTPUT, .port = TIER0_CASE_OUT};
	c.actions[1] = (struct action){.type = ACTION_OUTPUT, .port = TIER0_CASE_COPY};
	memset(c.frame, 2, sizeof(c.frame));
	assert_int_equal(flow_key_parse(c.frame, c.frame + c.len, c.len, &c.key, &c.layout), 0);
	c.key.in_port = TIER0_CASE_IN;
	c.mask.in_port = UINT32_MAX;
	assert_int_equal(tier0_compile(&c.key, &c.mask, c.actions, 2, true, &c.slot), 0);
	install(&c, &rng);
	assert_int_equal(run_plain(60), XDP_REDIRECT);
	copy->max_len = 59;
	assert_int_equal(run_plain(60), XDP_PASS);
	copy->max_len = 60;
	assert_int_equal(run_plain(60), XDP_REDIRECT);
	copy->flags = TIER0_TARGET_TC;
	assert_int_equal(run_plain(60), XDP_PASS);
	copy->flags = out->flags = TIER0_TARGET_XDP | TIER0_TARGET_FRAGS;
	copy->max_len = out->max_len = LONG_LEN;
	assert_int_equal(run_plain(60), XDP_REDIRECT);
	/* Of several buffers only one would be copied; to a single port they go. */
	assert_int_equal(run_plain(LONG_LEN), XDP_PASS);
	maps.slots[TIER0_CASE_SLOT].group = 0;
	assert_int_equal(run_plain(LONG_LEN), XDP_REDIRECT);
	/* A group that is not there. */
	maps.slots[TIER0_CASE_SLOT].group = TIER0_GROUPS_MAX;
	assert_int_equal(run_plain(60), XDP_PASS);
	out->flags = copy->flags = TIER0_TARGET_XDP;
	out->max_len = copy->max_len = TIER0_CASE_LEN_MAX;
}

/* Makes `c` a flow of all packets, which go on as they are, and puts it in. */
static void install_all(struct tier0_case *c)
{
	struct random rng;

	random_init(&rng, test_seed());
	memset(&c->mask, 0, sizeof(c->mask));
	c->mask.in_port = UINT32_MAX;
	c->maybe_partial = true;
	c->n_actions = 1;
	c->actions[0] = (struct action){.type = ACTION_OUTPUT, .port = TIER0_CASE_OUT};
	assert_int_equal(tier0_compile(&c->key, &c->mask, c->actions, 1, false, &c->slot), 0);
	install(c, &rng);
}

/* Partial checksums of frames of all lengths. */
static void test_partial_lengths(void **state UNUSED)
{
	static struct tier0_case c = {.key.in_port = TIER0_CASE_IN};
	struct frame_spec spec = {.sport = 5, .dport = 6, .ttl = 64, .partial = true};

	install_all(&c);
	for (uint32_t len = 0; len < 1440; len++) {
		spec.ethertype = len & 2 ? 0x0800 : 0x86dd;
		spec.proto = len & 4 ? 6 : 17;
		spec.payload_len = len;
		c.seed = len;
		c.len = frame_build(&spec, c.frame);
		assert_int_equal(flow_key_parse(c.frame, c.frame + c.len, c.len, &c.key, &c.layout),
				 0);
		maps.slots[TIER0_CASE_SLOT].n_packets = maps.slots[TIER0_CASE_SLOT].n_bytes = 0;
		check(&c, true);
	}
}

/* Whether the program may finish the checksum: where nobody else does, and in one buffer. */
static void test_partial_left(void **state UNUSED)
{
	static struct tier0_case c = {.key.in_port = TIER0_CASE_IN};
	static uint8_t frame[LONG_LEN + 100];
	struct frame_spec spec = {.ethertype = 0x0800, .proto = 17, .ttl = 64};
	struct tier0_target *out = &maps.targets[TIER0_CASE_OUT];

	install_all(&c);
	out->max_len = sizeof(frame);
	out->flags |= TIER0_TARGET_FRAGS;
	for (int i = 0; i < 8; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .repeat = 1);
		bool is_long = i & 1, finishes = i & 4;

		spec.partial = i & 2;
		spec.payload_len = is_long ? LONG_LEN : 1400;
		skel->bss->tier0_port.flags =
			TIER0_PORT_PARTIAL | (finishes ? TIER0_PORT_FINISH : 0);
		opts.data_size_in = frame_build(&spec, frame);
		assert_int_equal(
			bpf_prog_test_run_opts(bpf_program__fd(skel->progs.vswitch_xdp_t0), &opts),
			0);
		assert_int_equal(opts.retval,
				 spec.partial && (is_long || !finishes) ? XDP_PASS : XDP_REDIRECT);
	}
	out->max_len = TIER0_CASE_LEN_MAX;
	out->flags = TIER0_TARGET_XDP;
}

/* A kernel without maps of maps: all else works. */
static void test_without_groups(void **state UNUSED)
{
	static struct tier0_case c = {.key.in_port = TIER0_CASE_IN};
	struct vswitch_xdp_bpf *with = skel;
	struct tier0_maps without = maps;

	without.groups_fd = -1;
	skel = load_program(&without);
	install_all(&c);
	assert_int_equal(run_plain(60), XDP_REDIRECT);
	maps.slots[TIER0_CASE_SLOT].group = GROUP;
	assert_int_equal(run_plain(60), XDP_PASS);
	vswitch_xdp_bpf__destroy(skel);
	skel = with;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_bytes),	cmocka_unit_test(test_same_rules),
		cmocka_unit_test(test_stale),		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_partial_lengths), cmocka_unit_test(test_partial_left),
		cmocka_unit_test(test_without_groups),
	};

	bed_enter();
	return cmocka_run_group_tests_name("tier0_xdp", tests, load, unload);
}
