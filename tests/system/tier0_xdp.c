/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XDP program and worker do the same with a packet: the real program runs on packets of a corpus
 * under random masks and action lists (BPF_PROG_TEST_RUN), and its verdict and the bytes that it
 * leaves are held against action_apply() on the same packet.
 *
 * A packet that the program leaves to user space must be one that it had to, and unchanged.
 */
#include "config.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "bpf/flow_parse.h"
#include "bpf/tier0_maps.h"
#include "bpf/vswitch_xdp.skel.h"
#include "datapath/offload.h"
#include "datapath/tier0_compile.h"
#include "tests/system/bed.h"
#include "tests/unit/frames.h"
#include "tests/unit/packets.h"
#include "tests/unit/random.h"
#include "tests/unit/test.h"

#define N_CASES 20000
#define ACTIONS_MAX 6
#define IN_PORT 1
#define OUT_PORT 2
#define SLOT 5
#define MAX_LEN 1518
/* Bytes that no case has. */
#define BUF_SIZE 4096

static struct vswitch_xdp_bpf *skel;
static struct tier0_maps maps;
static struct frame_pool *pool;
static struct frame_cache cache;

/* What became of the cases, so that a corpus which tests nothing is noticed. */
static struct {
	uint32_t n_compiled;
	uint32_t n_sent;
	uint32_t n_changed;
	uint32_t n_dropped;
	uint32_t n_left; /* had to be left to user space */
	uint32_t n_partial;
	uint32_t n_other; /* of another flow */
	uint32_t by_type[ACTION_SET_VLAN_TCI + 1]; /* of those that were sent */
} seen;

struct test_case {
	uint64_t seed;
	uint8_t frame[PACKETS_SIZE_MAX];
	uint32_t len;
	struct flow_key key; /* of the frame */
	struct flow_layout layout;
	struct flow_key mask;
	struct action actions[ACTIONS_MAX + 1];
	uint32_t n_actions;
	bool maybe_partial; /* the port's frames may have partial checksums */
	struct tier0_slot slot;
};

static int load(void **state UNUSED)
{
	struct bpf_program *program;
	struct bpf_map *map;

	assert_int_equal(frame_pool_create(64, &pool, NULL), 0);
	frame_cache_init(&cache, pool);
	assert_int_equal(tier0_maps_create(&maps, NULL), 0);
	assert_int_equal(tier0_maps_reserve(&maps, 64, NULL), 0);
	skel = vswitch_xdp_bpf__open();
	assert_non_null(skel);
	bpf_object__for_each_program(program, skel->obj)
		bpf_program__set_autoload(program, program == skel->progs.vswitch_xdp_t0);
	bpf_program__set_flags(skel->progs.vswitch_xdp_t0, BPF_F_XDP_HAS_FRAGS);
	bpf_object__for_each_map(map, skel->obj)
		assert_int_equal(tier0_maps_share(&maps, map), 0);
	assert_int_equal(vswitch_xdp_bpf__load(skel), 0);
	bed_add_veth("p0", "q0", "");
	assert_int_equal(tier0_maps_set_device(&maps, OUT_PORT, if_nametoindex("p0")), 0);
	maps.targets[OUT_PORT] = (struct tier0_target){
		.max_len = MAX_LEN, .ifindex = if_nametoindex("p0"), .flags = TIER0_TARGET_XDP};
	skel->bss->tier0_port.in_port = IN_PORT;
	maps.control->generation = 7;
	return 0;
}

static int unload(void **state UNUSED)
{
	vswitch_xdp_bpf__destroy(skel);
	tier0_maps_destroy(&maps);
	frame_cache_uninit(&cache);
	frame_pool_destroy(pool);
	bed_run("ip link del p0");
	return 0;
}

/* ---- making cases ---- */

/* A whole frame, half of the time: random packets are cut short or wrong too often. */
static void make_frame(struct test_case *c, struct random *rng)
{
	static const uint16_t types[] = {0x0800, 0x86dd, 0x0800, 0x0806, 0x88b5};
	static const uint8_t protos[] = {6, 17, 1, 58, 6, 17, 132};
	struct frame_spec spec = {
		.ethertype = types[random_below(rng, ARRAY_SIZE(types))],
		.tagged = random_chance(rng, 30),
		.tci = (uint16_t)random_u32(rng) & 0xefff,
		.proto = protos[random_below(rng, ARRAY_SIZE(protos))],
		.src = random_u32(rng),
		.dst = random_u32(rng),
		.sport = (uint16_t)random_u32(rng),
		.dport = (uint16_t)random_u32(rng),
		.ttl = (uint8_t)random_below(rng, random_chance(rng, 30) ? 5 : 256),
		.tos = (uint8_t)random_u32(rng),
		.payload_len = random_below(rng, 1400),
		.partial = random_chance(rng, 10),
	};

	if (random_chance(rng, 50)) {
		c->len = packets_make(c->seed, c->frame);
		return;
	}
	if (spec.ethertype == 0x0806)
		spec.payload_len = 28;
	c->len = frame_build(&spec, c->frame);
	if (random_chance(rng, 20) && c->len > 60)
		memset(c->frame + 14 + random_below(rng, 40), random_chance(rng, 50) ? 0xff : 0, 6);
}

/* Bits that a translation may have looked at, with those that make actions possible more often. */
static void make_mask(struct test_case *c, struct random *rng)
{
	memset(&c->mask, 0, sizeof(c->mask));
	c->mask.in_port = UINT32_MAX;
	if (random_chance(rng, 85))
		c->mask.dl_type = 0xffff;
	if (random_chance(rng, 75))
		c->mask.vlan_tci = random_chance(rng, 50) ? 0xffff : htons(FLOW_VLAN_PRESENT);
	if (random_chance(rng, 75))
		c->mask.nw_proto = 0xff;
	for (int i = 1; i < FLOW_KEY_WORDS; i++)
		if (random_chance(rng, 15))
			c->mask.w[i] |= random_u64(rng) & random_u64(rng);
}

static void make_action(struct test_case *c, struct random *rng)
{
	struct action *action = &c->actions[c->n_actions++];
	bool whole = random_chance(rng, 70);

	memset(action, 0, sizeof(*action));
	do {
		action->type = (uint16_t)random_below(rng, ACTION_SET_VLAN_TCI + 1);
	} while (action->type == ACTION_OUTPUT);
	for (int i = 0; i < 16; i++) {
		action->value.ipv6[i] = (uint8_t)random_u32(rng);
		action->mask.ipv6[i] = whole ? 0xff : (uint8_t)random_u32(rng);
	}
	if (action->type == ACTION_PUSH_VLAN)
		action->value.be16 = htons(random_chance(rng, 80) ? 0x8100 : 0x88a8);
	if (action->type == ACTION_SET_VLAN_TCI)
		action->mask.be16 &= htons(0xefff);
	if (action->type == ACTION_SET_IPV6_LABEL)
		action->value.be32 &= htonl(0x000fffff);
}

/* Is it an action for the packet's kind? Others only make user space drop. */
static bool suits(const struct test_case *c, const struct action *action)
{
	bool is_arp = action->type >= ACTION_SET_ARP_OP && action->type <= ACTION_SET_ARP_THA;
	bool is_ipv4 = action->type == ACTION_SET_IPV4_SRC || action->type == ACTION_SET_IPV4_DST;
	bool is_ipv6 = action->type >= ACTION_SET_IPV6_SRC && action->type <= ACTION_SET_IPV6_LABEL;

	switch (ntohs(c->key.dl_type)) {
	case 0x0800:
		return !is_arp && !is_ipv6;
	case 0x86dd:
		return !is_arp && !is_ipv4;
	case 0x0806:
		return !is_ipv4 && !is_ipv6;
	default:
		return !is_arp && !is_ipv4 && !is_ipv6;
	}
}

static void make_actions(struct test_case *c, struct random *rng)
{
	uint32_t n = random_below(rng, ACTIONS_MAX);

	c->n_actions = 0;
	if (random_chance(rng, 5))
		return;
	while (c->n_actions < n) {
		make_action(c, rng);
		if (!suits(c, &c->actions[c->n_actions - 1]) && random_chance(rng, 90))
			c->n_actions--;
	}
	c->actions[c->n_actions++] = (struct action){.type = ACTION_OUTPUT, .port = OUT_PORT};
}

static bool make_case(struct test_case *c, struct random *rng)
{
	make_frame(c, rng);
	if (c->len < 14)
		return false;
	assert_int_equal(flow_key_parse(c->frame, c->frame + c->len, c->len, &c->key, &c->layout),
			 0);
	c->key.in_port = IN_PORT;
	make_mask(c, rng);
	make_actions(c, rng);
	c->maybe_partial = random_chance(rng, 50);
	memset(&c->slot, 0, sizeof(c->slot));
	return !tier0_compile(&c->key, &c->mask, c->actions, c->n_actions, false, &c->slot);
}

/* ---- running them ---- */

/* Puts the case's flow in, behind a few masks that have nothing, in the control thread's way. */
static void install(struct test_case *c, struct random *rng)
{
	struct tier0_control *control = maps.control;
	uint32_t n = 1 + random_below(rng, TIER0_MASKS_MAX), no = random_below(rng, n);
	struct tier0_mask *mask = &control->masks[no];
	uint64_t hash;

	memset(maps.buckets, 0, sizeof(*maps.buckets) * maps.n_buckets);
	memset(control->masks, 0, sizeof(control->masks));
	control->order = 0;
	for (uint32_t i = 0; i < n; i++) {
		control->order |= (uint64_t)i << 4 * i;
		control->masks[i].n_words = FLOW_KEY_WORDS_IPV4;
		control->masks[i].key.dl_dst[i % 6] = 0xff;
	}
	control->n_masks = n;
	mask->key = c->mask;
	for (int i = FLOW_KEY_WORDS_IPV4; i < FLOW_KEY_WORDS; i++)
		if (c->mask.w[i])
			mask->n_words = FLOW_KEY_WORDS;
	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		c->slot.key.w[i] = c->key.w[i] & c->mask.w[i];
	c->slot.generation = control->generation;
	maps.slots[SLOT] = c->slot;
	hash = tier0_hash(control, no, &c->key, mask);
	maps.buckets[hash & control->bucket_mask].places[random_below(rng, TIER0_WAYS)] =
		(hash >> 32) << 32 | SLOT;
	skel->bss->tier0_port.flags = c->maybe_partial ? TIER0_PORT_PARTIAL : 0;
}

/* Runs the program. Returns its action; `out` gets what it leaves. */
static uint32_t run(const struct test_case *c, uint8_t *out, uint32_t *len)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = c->frame, .data_size_in = c->len,
		    .data_out = out, .data_size_out = BUF_SIZE, .repeat = 1);

	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(skel->progs.vswitch_xdp_t0), &opts), 0);
	*len = opts.data_size_out;
	return opts.retval;
}

/* What user space makes of the packet. Returns 0 or a drop reason as a negative number. */
static int apply(const struct test_case *c, uint8_t *out, uint32_t *len, bool *is_partial)
{
	struct packet *packet = packet_alloc(&cache);
	struct flow_key key;
	int err = 0;

	assert_non_null(packet);
	assert_int_equal(packet_append(&cache, packet, c->frame, c->len), 0);
	assert_int_equal(packet_extract(packet, &key), 0);
	packet->csum = PACKET_CSUM_MAYBE;
	packet_resolve_csum(packet);
	*is_partial = packet->csum == PACKET_CSUM_PARTIAL;
	/* Whether it is one, the port knows. */
	if (!c->maybe_partial)
		packet->csum = PACKET_CSUM_UNKNOWN;
	for (uint32_t i = 0; i < c->n_actions && !err; i++)
		err = action_apply(&c->actions[i], packet);
	*len = packet_read(packet, 0, out, BUF_SIZE);
	packet_free(&cache, packet);
	return err;
}

static void fail_case(const struct test_case *c, const char *what)
{
	char text[1024];

	action_list_format(c->actions, c->n_actions, text, sizeof(text));
	print_error("case of seed 0x%llx, %u bytes, type %04x proto %u: %s: %s\n",
		    (unsigned long long)c->seed, c->len, ntohs(c->key.dl_type), c->key.nw_proto,
		    text, what);
	for (uint32_t i = 0; i < MIN(c->len, 96u); i++)
		print_error("%02x%s", c->frame[i], i % 16 == 15 ? "\n" : " ");
	print_error("\n");
	fail();
}

/* Does a packet that the flow is for have what the steps need? */
static bool has_needs(const struct test_case *c, uint32_t out_len)
{
	return (!(c->slot.needs & TIER0_NEEDS_L3) || c->layout.l3_off) &&
	       (!(c->slot.needs & TIER0_NEEDS_L4) || c->layout.l4_off) &&
	       c->key.nw_ttl >= c->slot.min_ttl && out_len <= MAX_LEN;
}

static void check_left(const struct test_case *c, const uint8_t *out, uint32_t len)
{
	/* With the record ahead, as user space gets it. */
	if (len != c->len + sizeof(struct xdp_meta) ||
	    memcmp(out + sizeof(struct xdp_meta), c->frame, c->len))
		fail_case(c, "left to user space, but changed");
	if (maps.slots[SLOT].n_packets)
		fail_case(c, "left to user space, but counted");
}

static void check_sent(const struct test_case *c, const uint8_t *out, uint32_t len,
		       const uint8_t *expected, uint32_t expected_len)
{
	if (len != expected_len || memcmp(out, expected, len)) {
		for (uint32_t i = 0; i < MIN(len, expected_len); i++)
			if (out[i] != expected[i])
				print_error("byte %u: %02x, in user space %02x\n", i, out[i],
					    expected[i]);
		fail_case(c, "other bytes than in user space");
	}
	seen.n_sent++;
	seen.n_changed += len != c->len || memcmp(out, c->frame, len) != 0;
	for (uint32_t i = 0; i < c->n_actions; i++)
		seen.by_type[c->actions[i].type]++;
}

/* Runs the case's packet, which is one of the flow's if `matches`, on both sides. */
static void check(const struct test_case *c, bool matches)
{
	static uint8_t out[BUF_SIZE], expected[BUF_SIZE];
	uint32_t len, expected_len;
	bool is_partial;
	int err = apply(c, expected, &expected_len, &is_partial);
	uint32_t action = run(c, out, &len);
	bool is_left = !matches || (c->n_actions && (!has_needs(c, expected_len) ||
						     (is_partial && c->maybe_partial)));

	if (action != (is_left ? XDP_PASS : c->n_actions ? XDP_REDIRECT : XDP_DROP))
		fail_case(c, is_left ? "not left to user space" : "left to user space");
	if (is_left) {
		check_left(c, out, len);
		seen.n_other += !matches;
		seen.n_left += matches;
		seen.n_partial += is_partial && c->maybe_partial;
		return;
	}
	if (maps.slots[SLOT].n_packets != 1 || maps.slots[SLOT].n_bytes != c->len)
		fail_case(c, "counted wrongly");
	if (err)
		fail_case(c, "not dropped as in user space");
	if (c->n_actions)
		check_sent(c, out, len, expected, expected_len);
	else
		seen.n_dropped++;
}

/* Changes bytes of the headers: the packet may be one of the flow's still. Returns whether. */
static bool mutate(struct test_case *c, struct random *rng)
{
	uint64_t diff = 0;

	for (uint32_t n = 1 + random_below(rng, 3); n; n--)
		c->frame[random_below(rng, MIN(c->len, 80u))] ^= 1 << random_below(rng, 8);
	assert_int_equal(flow_key_parse(c->frame, c->frame + c->len, c->len, &c->key, &c->layout),
			 0);
	c->key.in_port = IN_PORT;
	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		diff |= (c->key.w[i] & c->mask.w[i]) ^ c->slot.key.w[i];
	maps.slots[SLOT].n_packets = maps.slots[SLOT].n_bytes = 0;
	return !diff;
}

static void test_same_bytes(void **state UNUSED)
{
	static struct test_case c;

	for (uint64_t i = 0; i < N_CASES; i++) {
		struct random rng;

		c.seed = test_seed() + i;
		random_init(&rng, c.seed);
		if (!make_case(&c, &rng))
			continue;
		seen.n_compiled++;
		install(&c, &rng);
		check(&c, true);
		check(&c, mutate(&c, &rng));
	}
	print_message("%u compiled, %u sent, %u of them changed, %u dropped, %u left, %u partial, "
		      "%u others\n",
		      seen.n_compiled, seen.n_sent, seen.n_changed, seen.n_dropped, seen.n_left,
		      seen.n_partial, seen.n_other);
	assert_true(seen.n_compiled > N_CASES / 4);
	assert_true(seen.n_changed > N_CASES / 8);
	assert_true(seen.n_dropped > N_CASES / 100);
	assert_true(seen.n_left > N_CASES / 100);
	assert_true(seen.n_partial > N_CASES / 400);
	assert_true(seen.n_other > N_CASES / 20);
	for (int type = 0; type <= ACTION_SET_VLAN_TCI; type++) {
		if (type == ACTION_SET_ND_TARGET)
			continue;
		if (seen.by_type[type] < N_CASES / 1000)
			print_error("action %d: only %u times\n", type, seen.by_type[type]);
		assert_true(seen.by_type[type] >= N_CASES / 1000);
	}
}

/* A flow of another generation, or none at all, leaves its packets to user space. */
static void test_stale(void **state UNUSED)
{
	static struct test_case c = {.len = 60, .n_actions = 1};
	static uint8_t out[BUF_SIZE];
	struct random rng;
	uint32_t len;

	random_init(&rng, test_seed());
	c.actions[0] = (struct action){.type = ACTION_OUTPUT, .port = OUT_PORT};
	memset(c.frame, 2, sizeof(c.frame));
	assert_int_equal(flow_key_parse(c.frame, c.frame + c.len, c.len, &c.key, &c.layout), 0);
	c.key.in_port = IN_PORT;
	c.mask.in_port = UINT32_MAX;
	assert_int_equal(tier0_compile(&c.key, &c.mask, c.actions, 1, false, &c.slot), 0);
	install(&c, &rng);
	assert_int_equal(run(&c, out, &len), XDP_REDIRECT);
	maps.control->generation++;
	assert_int_equal(run(&c, out, &len), XDP_PASS);
	maps.slots[SLOT].generation = maps.control->generation;
	assert_int_equal(run(&c, out, &len), XDP_REDIRECT);
	/* The port may be off, or the target. */
	skel->bss->tier0_port.in_port = 0;
	assert_int_equal(run(&c, out, &len), XDP_PASS);
	skel->bss->tier0_port.in_port = IN_PORT;
	maps.targets[OUT_PORT].flags = 0;
	assert_int_equal(run(&c, out, &len), XDP_PASS);
	maps.targets[OUT_PORT].flags = TIER0_TARGET_XDP;
	maps.targets[OUT_PORT].max_len = 59;
	assert_int_equal(run(&c, out, &len), XDP_PASS);
	maps.targets[OUT_PORT].max_len = MAX_LEN;
	assert_int_equal(run(&c, out, &len), XDP_REDIRECT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_bytes),
		cmocka_unit_test(test_stale),
	};

	bed_enter();
	return cmocka_run_group_tests_name("tier0_xdp", tests, load, unload);
}
