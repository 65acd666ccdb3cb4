/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "datapath/action.h"
#include "datapath/offload.h"
#include "tests/unit/frames.h"
#include "tests/unit/test.h"

static struct frame_pool *pool;
static struct frame_cache cache;
static uint8_t buf[4096], out[4096];

static int setup(void **state UNUSED)
{
	if (frame_pool_create(64, &pool, NULL))
		return -1;
	frame_cache_init(&cache, pool);
	return 0;
}

static int teardown(void **state UNUSED)
{
	frame_cache_uninit(&cache);
	frame_pool_destroy(pool);
	return 0;
}

#define V_MAC                                                                                      \
	{                                                                                          \
		.mac = { 2, 4, 6, 8, 10, 12 }                                                      \
	}
#define ALL                                                                                        \
	{                                                                                          \
		.ipv6 = {                                                                          \
			255,                                                                       \
			255,                                                                       \
			255,                                                                       \
			255,                                                                       \
			255,                                                                       \
			255,                                                                       \
			255,                                                                       \
			255,                                                                       \
			255,                                                                       \
			255,                                                                       \
			255,                                                                       \
			255,                                                                       \
			255,                                                                       \
			255,                                                                       \
			255,                                                                       \
			255                                                                        \
		}                                                                                  \
	}
#define V6                                                                                         \
	{                                                                                          \
		.ipv6 = { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0xaa, 0xbb, 0, 0, 0, 0, 0, 0x77 }        \
	}

/* What each action does to a key; the datapath's bytes must parse to the same. */
static void expect(struct flow_key *key, const struct action *a, const union action_value *v)
{
	bool has_l4 = key->nw_proto == 6 || key->nw_proto == 17 || key->nw_proto == 1 ||
		      key->nw_proto == 58;

	switch ((enum action_type)a->type) {
	case ACTION_SET_ETH_SRC:
		memcpy(key->dl_src, v->mac, 6);
		break;
	case ACTION_SET_ETH_DST:
		memcpy(key->dl_dst, v->mac, 6);
		break;
	case ACTION_SET_IPV4_SRC:
		key->nw_src = v->ipv4;
		break;
	case ACTION_SET_IPV4_DST:
		key->nw_dst = v->ipv4;
		break;
	case ACTION_SET_IPV6_SRC:
		memcpy(key->ipv6_src, v->ipv6, 16);
		break;
	case ACTION_SET_IPV6_DST:
		memcpy(key->ipv6_dst, v->ipv6, 16);
		break;
	case ACTION_SET_TOS:
		key->nw_tos = (uint8_t)((key->nw_tos & ~a->mask.u8) | (v->u8 & a->mask.u8));
		break;
	case ACTION_SET_TTL:
		key->nw_ttl = v->u8;
		break;
	case ACTION_DEC_TTL:
		key->nw_ttl--;
		break;
	case ACTION_SET_TP_SRC:
		if (has_l4)
			key->tp_src = v->be16;
		break;
	case ACTION_SET_TP_DST:
		if (has_l4)
			key->tp_dst = v->be16;
		break;
	case ACTION_POP_VLAN:
		key->vlan_tci = 0;
		break;
	case ACTION_SET_VLAN_TCI:
		key->vlan_tci = (uint16_t)((key->vlan_tci & ~a->mask.be16) |
					   (v->be16 & a->mask.be16) | htons(FLOW_VLAN_PRESENT));
		break;
	default:
		fail_msg("no expectation for action %d", a->type);
	}
}

static const struct action actions4[] = {
	{.type = ACTION_SET_ETH_SRC, .value = V_MAC, .mask = ALL},
	{.type = ACTION_SET_ETH_DST, .value = V_MAC, .mask = ALL},
	{.type = ACTION_SET_IPV4_SRC, .value = {.ipv4 = 0x017812c6}, .mask = ALL},
	{.type = ACTION_SET_IPV4_DST, .value = {.ipv4 = 0xfe7112c6}, .mask = ALL},
};
static const struct action actions6[] = {
	{.type = ACTION_SET_IPV6_SRC, .value = V6, .mask = ALL},
	{.type = ACTION_SET_IPV6_DST, .value = V6, .mask = ALL},
};
static const struct action actions_any[] = {
	{.type = ACTION_SET_TOS, .value = {.u8 = 0xb8}, .mask = {.u8 = 0xfc}},
	{.type = ACTION_SET_TOS, .value = {.u8 = 0x01}, .mask = {.u8 = 0x03}},
	{.type = ACTION_SET_TTL, .value = {.u8 = 9}, .mask = ALL},
	{.type = ACTION_DEC_TTL},
	{.type = ACTION_SET_TP_SRC, .value = {.be16 = 0x0500}, .mask = ALL},
	{.type = ACTION_SET_TP_DST, .value = {.be16 = 0x0700}, .mask = ALL},
	{.type = ACTION_POP_VLAN},
	{.type = ACTION_SET_VLAN_TCI, .value = {.be16 = 0x2c01}, .mask = {.be16 = 0xff0f}},
	{.type = ACTION_SET_VLAN_TCI, .value = {.be16 = 0x0060}, .mask = {.be16 = 0x00e0}},
};

static void check(const struct action *action, const struct frame_spec *spec)
{
	uint32_t len = frame_build(spec, buf);
	struct packet *packet = packet_alloc(&cache);
	struct flow_key before, after;
	struct flow_layout layout;

	assert_non_null(packet);
	assert_int_equal(packet_append(&cache, packet, buf, len), 0);
	assert_int_equal(packet_extract(packet, &before), 0);
	packet->csum = PACKET_CSUM_MAYBE;
	assert_int_equal(action_apply(action, packet), 0);
	expect(&before, action, &action->value);

	/* The layout moved along: parsing anew finds the same. */
	layout = packet->layout;
	packet->has_hash = false;
	assert_int_equal(packet_extract(packet, &after), 0);
	assert_memory_equal(&after, &before, sizeof(after));
	assert_memory_equal(&layout, &packet->layout, sizeof(layout));

	if (packet->csum == PACKET_CSUM_MAYBE)
		packet_resolve_csum(packet);
	if (packet->csum == PACKET_CSUM_PARTIAL)
		assert_int_equal(packet_finish_csum(packet), 0);
	len = packet_read(packet, 0, out, sizeof(out));
	assert_int_equal(len, packet->total_len);
	assert_true(frame_sums_are_right(out, len));
	packet_free(&cache, packet);
}

static void check_all(const struct action *actions, size_t n, uint16_t ethertype)
{
	static const uint8_t protos[] = {6, 17, 1, 58, 47};

	for (size_t a = 0; a < n; a++) {
		for (size_t p = 0; p < ARRAY_SIZE(protos); p++) {
			/* ICMP goes with IPv4, ICMPv6 with IPv6. */
			if (protos[p] == (ethertype == 0x0800 ? 58 : 1))
				continue;
			for (int bits = 0; bits < 4; bits++) {
				struct frame_spec spec = {
					.ethertype = ethertype,
					.proto = protos[p],
					.src = 0x1234,
					.dst = 0x15678,
					.sport = 8,
					.dport = 443,
					.ttl = 64,
					.tos = 0x2e,
					.payload_len = 77,
					.tagged = bits & 1,
					.tci = 0x6005,
					.partial = bits & 2 && (protos[p] == 6 || protos[p] == 17),
				};

				if (protos[p] == 1 || protos[p] == 58)
					spec.dport = 0;
				check(&actions[a], &spec);
			}
		}
	}
}

static void test_each_action_on_each_packet(void **state UNUSED)
{
	check_all(actions4, ARRAY_SIZE(actions4), 0x0800);
	check_all(actions_any, ARRAY_SIZE(actions_any), 0x0800);
	check_all(actions6, ARRAY_SIZE(actions6), 0x86dd);
	check_all(actions_any, ARRAY_SIZE(actions_any), 0x86dd);
}

static void test_udp_without_checksum_stays_so(void **state UNUSED)
{
	struct frame_spec spec = {.ethertype = 0x0800, .proto = 17, .ttl = 9, .payload_len = 10};
	uint32_t len = frame_build(&spec, buf);
	struct packet *packet = packet_alloc(&cache);
	struct flow_key key;

	memset(buf + 40, 0, 2);
	assert_int_equal(packet_append(&cache, packet, buf, len), 0);
	assert_int_equal(packet_extract(packet, &key), 0);
	assert_int_equal(action_apply(&actions4[2], packet), 0);
	assert_int_equal(packet->data[40] | packet->data[41], 0);
	packet_free(&cache, packet);
}

static int apply_to(const struct action *action, const struct frame_spec *spec)
{
	struct packet *packet = packet_alloc(&cache);
	struct flow_key key;
	int ret;

	assert_int_equal(packet_append(&cache, packet, buf, frame_build(spec, buf)), 0);
	assert_int_equal(packet_extract(packet, &key), 0);
	ret = action_apply(action, packet);
	packet_free(&cache, packet);
	return ret;
}

static void test_ttl_expires(void **state UNUSED)
{
	struct action dec = {.type = ACTION_DEC_TTL};
	struct frame_spec spec = {.ethertype = 0x0800, .proto = 17};

	for (int v6 = 0; v6 < 2; v6++) {
		spec.ethertype = v6 ? 0x86dd : 0x0800;
		spec.ttl = 0;
		assert_int_equal(apply_to(&dec, &spec), -DROP_TTL_EXPIRED);
		spec.ttl = 1;
		assert_int_equal(apply_to(&dec, &spec), -DROP_TTL_EXPIRED);
		spec.ttl = 2;
		assert_int_equal(apply_to(&dec, &spec), 0);
	}
}

static void test_missing_headers_are_told(void **state UNUSED)
{
	struct frame_spec plain = {.ethertype = 0x88b5, .payload_len = 46};
	struct frame_spec v4 = {.ethertype = 0x0800, .proto = 17, .ttl = 2};

	for (int type = ACTION_SET_IPV4_SRC; type <= ACTION_SET_ND_TARGET; type++) {
		struct action action = {.type = (uint16_t)type, .mask = ALL};

		assert_int_equal(apply_to(&action, &plain), -DROP_BAD_HEADER);
	}
	assert_int_equal(apply_to(&actions6[0], &v4), -DROP_BAD_HEADER);
}

static void test_stacked_tags(void **state UNUSED)
{
	struct action push = {.type = ACTION_PUSH_VLAN, .value.be16 = 0xa888};
	struct frame_spec spec = {
		.ethertype = 0x0800, .proto = 17, .tagged = true, .tci = 0x6005, .ttl = 2};
	struct packet *packet = packet_alloc(&cache);
	uint32_t len = frame_build(&spec, buf);
	struct flow_key key;

	assert_int_equal(packet_append(&cache, packet, buf, len), 0);
	assert_int_equal(packet_extract(packet, &key), 0);
	assert_int_equal(action_apply(&push, packet), 0);
	assert_memory_equal(packet->data + 12, "\x88\xa8\x60\x05\x81\x00\x60\x05\x08\x00", 10);
	assert_memory_equal(packet->data, buf, 12);
	assert_int_equal(packet->total_len, len + 4);
	packet_free(&cache, packet);
}

static void test_text(void **state UNUSED)
{
	struct action list[3] = {actions4[0], actions_any[0], {.type = ACTION_OUTPUT, .port = 7}};
	const char *expected = "set_eth_src(02:04:06:08:0a:0c),set_tos(0xb8/0xfc),output(7)";
	char text[128], small[8];

	assert_int_equal(action_list_format(list, 3, text, sizeof(text)), strlen(expected));
	assert_string_equal(text, expected);
	assert_int_equal(action_list_format(list, 3, small, sizeof(small)), strlen(expected));
	assert_string_equal(small, "set_eth");
	action_list_format(NULL, 0, text, sizeof(text));
	assert_string_equal(text, "drop");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_action_on_each_packet),
		cmocka_unit_test(test_udp_without_checksum_stays_so),
		cmocka_unit_test(test_ttl_expires),
		cmocka_unit_test(test_missing_headers_are_told),
		cmocka_unit_test(test_stacked_tags),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests_name("action", tests, setup, teardown);
}
