/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/field.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <string.h>
#include "lib/util.h"

static const struct field_name *lookup(const char *name)
{
	return field_lookup(name, strlen(name));
}

static void test_lookup(void **state UNUSED)
{
	static const char *const known[] = {
		"NXM_NX_ARP_SHA", "NXM_OF_TCP_SRC", "NXM_OF_UDP_DST", "OXM_OF_VLAN_VID",
		"arp_op", "arp_sha", "dl_dst", "dl_vlan", "dl_vlan_pcp", "eth_src", "icmp_code",
		"icmpv6_type", "in_port", "ip_dscp", "ipv6_label", "nd_tll", "nw_frag", "nw_src",
		"nw_tos", "sctp_dst", "tcp_flags", "tp_src", "udp_src", "vlan_pcp", "vlan_vid",
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		assert_non_null(lookup(known[i]));
		assert_string_equal(lookup(known[i])->name, known[i]);
	}
	assert_null(lookup("nw_sr"));
	assert_null(lookup("nw_srcs"));
	assert_null(lookup(""));
	assert_null(lookup("zzz"));
	assert_null(field_lookup("nw\0src", 6));
	assert_null(field_lookup("nw_src\0""192.0.2.0", 16));
	/* by length: what follows does not count */
	assert_int_equal(field_lookup("nw_src=1", 6)->id, FIELD_IPV4_SRC);
}

/* each field is found by the name that it prints */
static void test_names_of_fields(void **state UNUSED)
{
	for (int id = 0; id < FIELD_N_IDS; id++) {
		const struct field *field = field_get(id);

		assert_non_null(lookup(field->name));
		assert_int_equal(lookup(field->name)->id, id);
	}
}

/* a value goes into the key and comes out the same; the exact mask covers it */
static void test_spread_gather(void **state UNUSED)
{
	srandom((unsigned int)test_seed());
	for (int round = 0; round < 20000; round++) {
		const struct field *field = field_get(round % FIELD_N_IDS);
		uint8_t value[FIELD_BYTES_MAX], exact[FIELD_BYTES_MAX], back[FIELD_BYTES_MAX];
		struct flow_key key, mask;

		field_get_exact(field, exact);
		for (int i = 0; i < field->n_bytes; i++)
			value[i] = (uint8_t)random() & exact[i];
		field_spread(field, value, &key);
		field_spread(field, exact, &mask);
		for (int i = 0; i < FLOW_KEY_WORDS; i++)
			assert_int_equal(key.w[i] & ~mask.w[i], 0);
		field_gather(field, &key, back);
		assert_memory_equal(value, back, field->n_bytes);
	}
}

static void test_places(void **state UNUSED)
{
	struct flow_key key;

	field_spread(field_get(FIELD_IN_PORT), (const uint8_t[]){0, 0, 0xff, 0xfe}, &key);
	assert_int_equal(key.in_port, 0xfffe);
	field_spread(field_get(FIELD_VLAN_PCP), (const uint8_t[]){5}, &key);
	assert_int_equal(key.vlan_tci, htons(0xa000));
	field_spread(field_get(FIELD_IP_DSCP), (const uint8_t[]){10}, &key);
	assert_int_equal(key.nw_tos, 40);
	field_spread(field_get(FIELD_ICMP_TYPE), (const uint8_t[]){0, 8}, &key);
	assert_int_equal(key.tp_src, htons(8));
	field_spread(field_get(FIELD_IPV6_LABEL), (const uint8_t[]){0, 1, 2, 3}, &key);
	assert_int_equal(key.ipv6_label, htonl(0x10203));
}

static void test_set_leaves_the_rest(void **state UNUSED)
{
	struct flow_key key = {.nw_tos = 0xb9, .vlan_tci = htons(0xf123), .nw_ttl = 64};

	field_set(field_get(FIELD_IP_ECN), (const uint8_t[]){2}, (const uint8_t[]){3}, &key);
	assert_int_equal(key.nw_tos, 0xba);
	field_set(field_get(FIELD_VLAN_VID), (const uint8_t[]){0xf, 0xff},
		  (const uint8_t[]){0x0, 0xf0}, &key);
	assert_int_equal(key.vlan_tci, htons(0xf1f3));
	assert_int_equal(key.nw_ttl, 64);
}

static void test_needs(void **state UNUSED)
{
	struct flow_key tcp = {.dl_type = htons(0x0800), .nw_proto = 6};
	struct flow_key ns = {.dl_type = htons(0x86dd), .nw_proto = 58, .tp_src = htons(135)};
	struct flow_key arp = {.dl_type = htons(0x0806), .nw_proto = 1};
	struct flow_key looked_at = {0};

	assert_true(field_needs_hold(FIELD_NEEDS_IPV4, &tcp, &looked_at));
	assert_int_equal(looked_at.dl_type, 0xffff);
	assert_int_equal(looked_at.nw_proto, 0);
	assert_true(field_needs_hold(FIELD_NEEDS_PORTS, &tcp, &looked_at));
	assert_int_equal(looked_at.nw_proto, 0xff);
	assert_int_equal(looked_at.nw_frag, FLOW_FRAG_LATER);
	assert_false(field_needs_hold(FIELD_NEEDS_UDP, &tcp, NULL));
	assert_false(field_needs_hold(FIELD_NEEDS_IPV6, &tcp, NULL));
	tcp.nw_frag = FLOW_FRAG_ANY | FLOW_FRAG_LATER;
	assert_false(field_needs_hold(FIELD_NEEDS_TCP, &tcp, NULL));
	assert_true(field_needs_hold(FIELD_NEEDS_IP, &tcp, NULL));

	assert_true(field_needs_hold(FIELD_NEEDS_ND_SOLICIT, &ns, NULL));
	assert_true(field_needs_hold(FIELD_NEEDS_ND, &ns, NULL));
	assert_false(field_needs_hold(FIELD_NEEDS_ND_ADVERT, &ns, NULL));
	assert_false(field_needs_hold(FIELD_NEEDS_ICMP, &ns, NULL));
	ns.tp_dst = htons(1);
	assert_false(field_needs_hold(FIELD_NEEDS_ND, &ns, NULL));

	assert_true(field_needs_hold(FIELD_NEEDS_IPV4_ARP, &arp, NULL));
	assert_false(field_needs_hold(FIELD_NEEDS_IPV4, &arp, NULL));
	/* opcode 1 is not ICMP */
	assert_false(field_needs_hold(FIELD_NEEDS_ICMP, &arp, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_names_of_fields),
		cmocka_unit_test(test_spread_gather),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_set_leaves_the_rest),
		cmocka_unit_test(test_needs),
	};

	return cmocka_run_group_tests_name("field", tests, NULL, NULL);
}
