/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "bpf/flow_parse.h"
#include "datapath/frame_pool.h"
#include "datapath/offload.h"
#include "datapath/packet.h"
#include "tests/system/tier0_cases.h"
#include "tests/unit/frames.h"
#include "tests/unit/test.h"

static struct frame_pool *pool;
static struct frame_cache cache;

void tier0_cases_init(void)
{
	assert_int_equal(frame_pool_create(64, &pool, NULL), 0);
	frame_cache_init(&cache, pool);
}

void tier0_cases_uninit(void)
{
	frame_cache_uninit(&cache);
	frame_pool_destroy(pool);
}

/* ---- making cases ---- */

/* Puts an extension header between IPv6 and L4; it is no part of the pseudo-header. */
static void add_extension(struct tier0_case *c)
{
	uint8_t *ip = c->frame + frame_l3(c->frame);
	uint8_t header[8] = {ip[6], 0, 1, 4};
	uint16_t len;

	memmove(ip + 48, ip + 40, c->len - (uint32_t)(ip + 40 - c->frame));
	memcpy(ip + 40, header, sizeof(header));
	ip[6] = 60;
	memcpy(&len, ip + 4, sizeof(len));
	len = htons((uint16_t)(ntohs(len) + 8));
	memcpy(ip + 4, &len, sizeof(len));
	c->len += 8;
}

/* Sets the last whole word of the payload so that the checksum comes out as zero. */
static void make_sum_zero(struct tier0_case *c)
{
	uint32_t l4 = frame_l4(c->frame), at = l4 + ((c->len - l4 - 2) & ~1u);
	uint16_t word = 0;

	if (at < l4 + 20)
		return;
	memcpy(c->frame + at, &word, sizeof(word));
	word = (uint16_t)~csum_fold(csum_partial(c->frame + l4, c->len - l4, 0));
	memcpy(c->frame + at, &word, sizeof(word));
}

/* What may be special about a frame with a partial checksum. */
static void vary_partial(struct tier0_case *c, struct random *rng)
{
	uint32_t n = 1 + random_below(rng, 40), l4 = frame_l4(c->frame);

	if (random_chance(rng, 20))
		for (; n; n--)
			c->frame[c->len++] = (uint8_t)random_u32(rng);
	if (l4 && random_chance(rng, 30))
		make_sum_zero(c);
	if (l4 && c->frame[frame_l3(c->frame)] >> 4 == 6 && random_chance(rng, 30))
		add_extension(c);
	if (random_chance(rng, 5))
		c->len -= MIN(n, c->len - 14);
}

/* A whole frame, half of the time: random packets are cut short or wrong too often. */
static void make_frame(struct tier0_case *c, struct random *rng)
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
		.partial = random_chance(rng, 40),
	};

	if (random_chance(rng, 50)) {
		c->len = packets_make(c->seed, c->frame);
		return;
	}
	if (spec.ethertype == 0x0806)
		spec.payload_len = 28;
	c->len = frame_build(&spec, c->frame);
	if (spec.partial)
		vary_partial(c, rng);
	if (random_chance(rng, 20) && c->len > 60)
		memset(c->frame + 14 + random_below(rng, 40), random_chance(rng, 50) ? 0xff : 0, 6);
}

/* Bits that a translation may have looked at, with those that make actions possible more often. */
static void make_mask(struct tier0_case *c, struct random *rng)
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

static void make_action(struct tier0_case *c, struct random *rng)
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
static bool suits(const struct tier0_case *c, const struct action *action)
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

static void make_actions(struct tier0_case *c, struct random *rng, bool several)
{
	uint32_t n = random_below(rng, TIER0_CASE_ACTIONS);

	c->n_actions = 0;
	if (random_chance(rng, 5))
		return;
	while (c->n_actions < n) {
		make_action(c, rng);
		if (!suits(c, &c->actions[c->n_actions - 1]) && random_chance(rng, 90))
			c->n_actions--;
	}
	if (several && n < TIER0_CASE_ACTIONS - 1 && random_chance(rng, 20))
		c->actions[c->n_actions++] =
			(struct action){.type = ACTION_OUTPUT, .port = TIER0_CASE_COPY};
	c->actions[c->n_actions++] = (struct action){.type = ACTION_OUTPUT, .port = TIER0_CASE_OUT};
}

bool tier0_case_make_packet(struct tier0_case *c, struct random *rng)
{
	make_frame(c, rng);
	if (c->len < 14)
		return false;
	assert_int_equal(flow_key_parse(c->frame, c->frame + c->len, c->len, &c->key, &c->layout),
			 0);
	c->key.in_port = TIER0_CASE_IN;
	return true;
}

bool tier0_case_compile(struct tier0_case *c, struct random *rng, bool several)
{
	c->maybe_partial = random_chance(rng, 50);
	memset(&c->slot, 0, sizeof(c->slot));
	return !tier0_compile(&c->key, &c->mask, c->actions, c->n_actions, several, &c->slot);
}

bool tier0_case_make(struct tier0_case *c, struct random *rng, bool several)
{
	if (!tier0_case_make_packet(c, rng))
		return false;
	make_mask(c, rng);
	make_actions(c, rng, several);
	return tier0_case_compile(c, rng, several);
}

/* ---- running them ---- */

/* Puts the case's flow in, behind a few masks that have nothing, in the control thread's way. */
void tier0_case_install(struct tier0_case *c, struct random *rng, struct tier0_maps *maps)
{
	struct tier0_control *control = maps->control;
	uint32_t n = 1 + random_below(rng, TIER0_MASKS_MAX), no = random_below(rng, n);
	struct tier0_mask *mask = &control->masks[no];
	uint64_t hash;

	memset(maps->buckets, 0, sizeof(*maps->buckets) * maps->n_buckets);
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
	maps->slots[TIER0_CASE_SLOT] = c->slot;
	hash = tier0_hash(control, no, &c->key, mask);
	maps->buckets[hash & control->bucket_mask].places[random_below(rng, TIER0_WAYS)] =
		(hash >> 32) << 32 | TIER0_CASE_SLOT;
}

int tier0_case_apply(const struct tier0_case *c, bool finishes, uint8_t *out, uint32_t *len,
		     bool *is_partial)
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
	if (!err && finishes && packet->csum == PACKET_CSUM_PARTIAL)
		assert_int_equal(packet_finish_csum(packet), 0);
	*len = packet_read(packet, 0, out, TIER0_CASE_BUF_SIZE);
	packet_free(&cache, packet);
	return err;
}

void tier0_case_fail(const struct tier0_case *c, const char *what)
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
bool tier0_case_has_needs(const struct tier0_case *c, uint32_t out_len)
{
	return (!(c->slot.needs & TIER0_NEEDS_L3) || c->layout.l3_off) &&
	       (!(c->slot.needs & TIER0_NEEDS_L4) || c->layout.l4_off) &&
	       c->key.nw_ttl >= c->slot.min_ttl && out_len <= TIER0_CASE_LEN_MAX;
}

/* Changes bytes of the headers: the packet may be one of the flow's still. Returns whether. */
bool tier0_case_mutate(struct tier0_case *c, struct random *rng, struct tier0_maps *maps)
{
	uint64_t diff = 0;

	for (uint32_t n = 1 + random_below(rng, 3); n; n--)
		c->frame[random_below(rng, MIN(c->len, 80u))] ^= 1 << random_below(rng, 8);
	assert_int_equal(flow_key_parse(c->frame, c->frame + c->len, c->len, &c->key, &c->layout),
			 0);
	c->key.in_port = TIER0_CASE_IN;
	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		diff |= (c->key.w[i] & c->mask.w[i]) ^ c->slot.key.w[i];
	maps->slots[TIER0_CASE_SLOT].n_packets = maps->slots[TIER0_CASE_SLOT].n_bytes = 0;
	return !diff;
}
