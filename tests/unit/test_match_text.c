/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/match_text.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>
#include "tests/unit/rule_random.h"

static int parse(const char *text, struct match *match)
{
	struct error err;

	return match_parse(text, strlen(text), NULL, match, &err);
}

static int parse_key(const char *text, struct flow_key *key, struct error *err)
{
	return match_parse_key(text, strlen(text), NULL, key, err);
}

static void test_bits(void **state UNUSED)
{
	struct match match;

	assert_int_equal(parse("", &match), 0);
	assert_true(match_equals(&match, &(struct match){0}));
	assert_int_equal(parse("tcp,in_port=3,nw_dst=192.0.2.77/24,tp_dst=0x50/0xfff0", &match), 0);
	assert_true(match_equals(&match, &(struct match){
		.value = {.in_port = 3, .dl_type = htons(0x0800), .nw_proto = 6,
			  .nw_dst = htonl(0xc0000200), .tp_dst = htons(0x50)},
		.mask = {.in_port = UINT32_MAX, .dl_type = 0xffff, .nw_proto = 0xff,
			 .nw_dst = htonl(0xffffff00), .tp_dst = htons(0xfff0)}}));
	/* as in match.h */
	assert_int_equal(parse("dl_vlan=5", &match), 0);
	assert_true(match.value.vlan_tci == htons(0x1005) && match.mask.vlan_tci == htons(0x1fff));
	assert_int_equal(parse("dl_vlan=0xffff", &match), 0);
	assert_true(match.value.vlan_tci == 0 && match.mask.vlan_tci == htons(0x1fff));
	assert_int_equal(parse("dl_vlan_pcp=3", &match), 0);
	assert_true(match.value.vlan_tci == htons(0x7000) && match.mask.vlan_tci == htons(0xf000));
	/* the key has the type as a number of 16 bits */
	assert_int_equal(parse("icmp,icmp_type=8", &match), 0);
	assert_true(match.value.tp_src == htons(8) && match.mask.tp_src == 0xffff);
	assert_int_equal(parse("tcp actions=drop", &match), -EINVAL);
}

/* a packet for trace: what is named, and zero otherwise */
static void test_key(void **state UNUSED)
{
	struct flow_key want = {.in_port = 1, .vlan_tci = htons(0x1007), .dl_type = htons(0x0800),
				.nw_proto = 6, .nw_ttl = 64, .nw_src = htonl(0xc0000201),
				.tp_dst = htons(80), .tcp_flags = htons(2)};
	struct error err = ERROR_INIT;
	struct flow_key key;

	assert_int_equal(parse_key("in_port=1,tcp,dl_vlan=7,nw_src=192.0.2.1,nw_ttl=64,tp_dst=80,"
				   "tcp_flags=+syn", &key, &err), 0);
	assert_memory_equal(&key, &want, sizeof(key));
	assert_int_equal(parse_key("", &key, &err), 0);
	assert_memory_equal(&key, &(struct flow_key){0}, sizeof(key));

	assert_int_equal(parse_key("ip,nw_src=192.0.2.0/24", &key, &err), -EINVAL);
	assert_non_null(strstr(err.text, "one value, without a mask"));
	assert_int_equal(parse_key("ip,nw_src=*", &key, &err), -EINVAL);
	assert_int_equal(parse_key("nw_src=192.0.2.1", &key, &err), -EINVAL);
	assert_int_equal(parse_key("tcp,tp_dts=80", &key, &err), -EINVAL);
	assert_string_equal(err.text, "unknown field 'tp_dts', did you mean 'tp_dst'?");
}

static void test_offered_words(void **state UNUSED)
{
	struct suggest s;

	suggest_init(&s, "tpc");
	match_offer_words(&s);
	assert_string_equal(s.best, "tcp");
	suggest_init(&s, "ipv6_scr");
	match_offer_words(&s);
	assert_string_equal(s.best, "ipv6_src");
}

static void print(const struct match *match, struct strbuf *out)
{
	strbuf_clear(out);
	match_format(match, NULL, out);
	assert_false(out->failed);
}

/* random matches that a rule may have: text -> the same match */
static void test_round_trip(void **state UNUSED)
{
	struct rule_random r = {test_seed() | 1};
	struct strbuf out = STRBUF_INIT;

	for (int i = 0; i < 50000; i++) {
		struct error err = ERROR_INIT;
		struct match match, back;

		rule_random_match(&r, &match);
		print(&match, &out);
		if (match_parse(strbuf_get(&out), out.length, NULL, &back, &err) ||
		    !match_equals(&match, &back))
			fail_msg("seed %#llx: %s %s", (unsigned long long)test_seed(),
				 strbuf_get(&out), err.text);
	}
	strbuf_uninit(&out);
}

/* All bits that a flow key can have. */
static void key_bits(struct flow_key *all)
{
	memset(all, 0, sizeof(*all));
	for (enum field_id id = 0; id < FIELD_N_IDS; id++) {
		uint8_t exact[FIELD_BYTES_MAX];
		struct flow_key bits;

		field_get_exact(field_get(id), exact);
		field_spread(field_get(id), exact, &bits);
		for (int i = 0; i < FLOW_KEY_WORDS; i++)
			all->w[i] |= bits.w[i];
	}
}

/* Any value and mask, as cached flows may have them: a rule's, or random bits. */
static void random_match(struct rule_random *r, const struct flow_key *all, struct match *match)
{
	rule_random_match(r, match);
	for (int i = 0; i < FLOW_KEY_WORDS; i++) {
		uint64_t a = (uint64_t)rule_random_next(r, UINT32_MAX) << 33 ^
			     rule_random_next(r, UINT32_MAX);
		uint64_t b = (uint64_t)rule_random_next(r, UINT32_MAX) << 33 ^
			     rule_random_next(r, UINT32_MAX);

		if (rule_random_next(r, 2))
			match->mask.w[i] |= a & all->w[i];
		match->value.w[i] = (match->value.w[i] ^ b) & match->mask.w[i];
	}
}

/* any value and mask prints, and no two of them alike: each bit shows */
static void test_every_bit_shows(void **state UNUSED)
{
	struct strbuf out = STRBUF_INIT, other = STRBUF_INIT;
	struct rule_random r = {test_seed() | 1};
	struct flow_key all;

	key_bits(&all);
	for (int i = 0; i < 50000; i++) {
		uint32_t bit = rule_random_next(&r, 64 * FLOW_KEY_WORDS);
		uint64_t one = UINT64_C(1) << bit % 64;
		struct match match, changed;

		if (!(all.w[bit / 64] & one))
			continue;
		random_match(&r, &all, &match);
		changed = match;
		if (match.mask.w[bit / 64] & one && rule_random_next(&r, 2)) {
			changed.value.w[bit / 64] ^= one;
		} else {
			changed.mask.w[bit / 64] ^= one;
			changed.value.w[bit / 64] &= ~one;
		}
		print(&match, &out);
		print(&changed, &other);
		if (strcmp(strbuf_get(&out), strbuf_get(&other)) == 0)
			fail_msg("seed %#llx: bit %u does not show in %s",
				 (unsigned long long)test_seed(), bit, strbuf_get(&out));
	}
	strbuf_uninit(&out);
	strbuf_uninit(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_key),
		cmocka_unit_test(test_offered_words),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_every_bit_shows),
	};

	return cmocka_run_group_tests_name("match_text", tests, NULL, NULL);
}
