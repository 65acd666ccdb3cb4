/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "bpf/flow_parse.h"
#include "datapath/packet.h"
#include "lib/util.h"
#include "tests/unit/packets.h"
#include "tests/unit/test.h"

/* Addresses of every golden frame: to 02:..:02 from 02:..:01. */
#define MACS "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01"
#define IPV4(total, frag, proto)                                                                   \
	"\x45\xb8\x00" total "\x00\x00" frag "\x40" proto "\x00\x00\xc6\x12\x00\x01\xc6\x12\x00"   \
							  "\x02"
#define V6(last) "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" last
#define IPV6(len, next) "\x6b\x81\x23\x45\x00" len next "\x3f" V6("\x01") V6("\x02")
#define TCP "\x30\x39\x00\x50\x00\x00\x00\x01\x00\x00\x00\x02\x51\x12\xff\xff\x00\x00\x00\x00"
#define UDP "\x30\x39\x00\x35\x00\x08\x00\x00"

/* A frame and what must be found in it; what is not named must be zero. */
struct golden {
	const char *name;
	const char *frame;
	uint32_t len;
	struct flow_key key; /* all but addresses, which are MACS */
	struct flow_layout layout;
};

#define FRAME(text) .frame = text, .len = sizeof(text) - 1
#define KEY_IPV4                                                                                   \
	.nw_src = FLOW_BE32_(0xc6120001), .nw_dst = FLOW_BE32_(0xc6120002), .nw_tos = 0xb8,        \
	.nw_ttl = 64
#define FLOW_BE32_(x) __builtin_bswap32(x)
#define KEY_IPV6                                                                                   \
	.nw_tos = 0xb8, .nw_ttl = 63, .ipv6_label = FLOW_BE32_(0x12345),                           \
	.ipv6_src = {0x20, 1, 0x0d, 0xb8, [15] = 1}, .ipv6_dst = {0x20, 1, 0x0d, 0xb8, [15] = 2}
#define PORTS(dst) .tp_src = FLOW_BE16(12345), .tp_dst = FLOW_BE16(dst)

static const struct golden goldens[] = {
	{
		.name = "unknown type",
		FRAME(MACS "\x88\xb5hello"),
		.key = {.dl_type = FLOW_BE16(0x88b5)},
		.layout = {.n_words = 5},
	},
	{
		.name = "802.3 length",
		FRAME(MACS "\x00\x26\x42\x42\x03"),
		.key = {.dl_type = FLOW_BE16(FLOW_DL_TYPE_NONE)},
		.layout = {.n_words = 5},
	},
	{
		.name = "tcp over ipv4",
		FRAME(MACS "\x08\x00" IPV4("\x28", "\x40\x00", "\x06") TCP),
		.key = {.dl_type = FLOW_BE16(0x0800),
			KEY_IPV4,
			.nw_proto = 6,
			PORTS(80),
			.tcp_flags = FLOW_BE16(0x112)},
		.layout = {.l3_off = 14, .l4_off = 34, .n_words = 5, .nw_proto = 6},
	},
	{
		.name = "udp over ipv4 in a tag, with padding behind",
		FRAME(MACS "\x81\x00\x60\x64\x08\x00" IPV4("\x1c", "\x00\x00", "\x11") UDP
		      "\0\0\0"),
		.key = {.dl_type = FLOW_BE16(0x0800),
			.vlan_tci = FLOW_BE16(0x7064),
			KEY_IPV4,
			.nw_proto = 17,
			PORTS(53)},
		.layout = {.l3_off = 18, .l4_off = 38, .n_words = 5, .nw_proto = 17},
	},
	{
		.name = "two tags: nothing behind the outer one",
		FRAME(MACS "\x88\xa8\x00\x01\x81\x00\x00\x02\x08\x00" IPV4("\x1c", "\x00\x00",
									   "\x11") UDP),
		.key = {.dl_type = FLOW_BE16(0x8100), .vlan_tci = FLOW_BE16(0x1001)},
		.layout = {.n_words = 5},
	},
	{
		.name = "first fragment has ports",
		FRAME(MACS "\x08\x00" IPV4("\x1c", "\x20\x00", "\x11") UDP),
		.key = {.dl_type = FLOW_BE16(0x0800),
			KEY_IPV4,
			.nw_proto = 17,
			PORTS(53),
			.nw_frag = FLOW_FRAG_ANY},
		.layout = {.l3_off = 14, .l4_off = 34, .n_words = 5, .nw_proto = 17},
	},
	{
		.name = "later fragment has none",
		FRAME(MACS "\x08\x00" IPV4("\x1c", "\x00\xb9", "\x11") UDP),
		.key = {.dl_type = FLOW_BE16(0x0800),
			KEY_IPV4,
			.nw_proto = 17,
			.nw_frag = FLOW_FRAG_ANY | FLOW_FRAG_LATER},
		.layout = {.l3_off = 14, .n_words = 5, .nw_proto = 17},
	},
	{
		.name = "udp header cut short by the ip length",
		FRAME(MACS "\x08\x00" IPV4("\x1b", "\x00\x00", "\x11") UDP),
		.key = {.dl_type = FLOW_BE16(0x0800), KEY_IPV4, .nw_proto = 17},
		.layout = {.l3_off = 14, .n_words = 5, .nw_proto = 17},
	},
	{
		.name = "ip length past the frame: no ip at all",
		FRAME(MACS "\x08\x00" IPV4("\x1d", "\x00\x00", "\x11") UDP),
		.key = {.dl_type = FLOW_BE16(0x0800)},
		.layout = {.n_words = 5},
	},
	{
		.name = "icmp",
		FRAME(MACS "\x08\x00" IPV4("\x1c", "\x00\x00",
					   "\x01") "\x08\x03\x00\x00\x00\x01\x00\x01"),
		.key = {.dl_type = FLOW_BE16(0x0800),
			KEY_IPV4,
			.nw_proto = 1,
			.tp_src = FLOW_BE16(8),
			.tp_dst = FLOW_BE16(3)},
		.layout = {.l3_off = 14, .l4_off = 34, .n_words = 5, .nw_proto = 1},
	},
	{
		.name = "tcp over ipv6",
		FRAME(MACS "\x86\xdd" IPV6("\x14", "\x06") TCP),
		.key = {.dl_type = FLOW_BE16(0x86dd),
			KEY_IPV6,
			.nw_proto = 6,
			PORTS(80),
			.tcp_flags = FLOW_BE16(0x112)},
		.layout = {.l3_off = 14, .l4_off = 54, .n_words = 10, .nw_proto = 6},
	},
	{
		.name = "udp behind hop-by-hop options and a first fragment header",
		FRAME(MACS "\x86\xdd" IPV6("\x18", "\x00") "\x2c\x00\x01\x04\0\0\0\0"
							   "\x11\x00\x00\x01\0\0\0\x07" UDP),
		.key = {.dl_type = FLOW_BE16(0x86dd),
			KEY_IPV6,
			.nw_proto = 17,
			PORTS(53),
			.nw_frag = FLOW_FRAG_ANY},
		.layout = {.l3_off = 14, .l4_off = 70, .n_words = 10, .nw_proto = 17},
	},
	{
		.name = "later fragment over ipv6 names what it is a fragment of",
		FRAME(MACS "\x86\xdd" IPV6("\x10", "\x2c") "\x11\x00\x05\xa8\0\0\0\x07" UDP),
		.key = {.dl_type = FLOW_BE16(0x86dd),
			KEY_IPV6,
			.nw_proto = 17,
			.nw_frag = FLOW_FRAG_ANY | FLOW_FRAG_LATER},
		.layout = {.l3_off = 14, .n_words = 10, .nw_proto = 17},
	},
	{
		.name = "extension header cut short",
		FRAME(MACS "\x86\xdd" IPV6("\x10", "\x00") "\x11\x02\x01\x04\0\0\0\0" UDP),
		.key = {.dl_type = FLOW_BE16(0x86dd), KEY_IPV6},
		.layout = {.l3_off = 14, .n_words = 10},
	},
	{
		.name = "neighbour solicitation with a source address",
		FRAME(MACS "\x86\xdd" IPV6("\x20", "\x3a") "\x87\x00\x00\x00\0\0\0\0" V6(
			"\x09") "\x01\x01\x02\x00\x00\x00\x00\x01"),
		.key = {.dl_type = FLOW_BE16(0x86dd),
			KEY_IPV6,
			.nw_proto = 58,
			.tp_src = FLOW_BE16(135),
			.nd_target = {0x20, 1, 0x0d, 0xb8, [15] = 9},
			.arp_sha = {2, 0, 0, 0, 0, 1}},
		.layout = {.l3_off = 14, .l4_off = 54, .n_words = 14, .nw_proto = 58},
	},
	{
		.name = "arp request",
		FRAME(MACS
		      "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01\x02\x00\x00\x00\x00\x01\xc6\x12"
		      "\x00\x01\x00\x00\x00\x00\x00\x00\xc6\x12\x00\x02"),
		.key = {.dl_type = FLOW_BE16(0x0806),
			.nw_proto = 1,
			.nw_src = FLOW_BE32_(0xc6120001),
			.nw_dst = FLOW_BE32_(0xc6120002),
			.arp_sha = {2, 0, 0, 0, 0, 1}},
		.layout = {.l3_off = 14, .n_words = 14, .nw_proto = 1},
	},
	{
		.name = "arp over something else",
		FRAME(MACS
		      "\x08\x06\x00\x06\x08\x00\x06\x04\x00\x01\x02\x00\x00\x00\x00\x01\xc6\x12"
		      "\x00\x01\x00\x00\x00\x00\x00\x00\xc6\x12\x00\x02"),
		.key = {.dl_type = FLOW_BE16(0x0806)},
		.layout = {.n_words = 5},
	},
};

static int parse(const void *frame, uint32_t len, struct flow_key *key, struct flow_layout *layout)
{
	const uint8_t *p = frame;

	return flow_key_parse(p, p + len, len, key, layout);
}

/* packet_extract() has a short way of its own for plain packets: it must find what the parser does.
 * The first `here` bytes lie in the packet's first segment. */
static void check_extract(uint8_t *frame, uint32_t here, uint32_t len)
{
	struct packet packet = {.data = frame, .len = here, .total_len = len};
	struct flow_key key, found;
	struct flow_layout layout;
	int ret = flow_key_parse(frame, frame + here, len, &key, &layout);

	memset(&found, 0xff, sizeof(found));
	memset(&packet.layout, 0xff, sizeof(packet.layout));
	assert_int_equal(packet_extract(&packet, &found), ret ? -EINVAL : 0);
	assert_int_equal(packet.has_hash, !ret);
	if (ret)
		return;
	assert_memory_equal(&found, &key, sizeof(key));
	assert_memory_equal(&packet.layout, &layout, sizeof(layout));
	assert_int_equal(packet.hash, flow_key_hash(&key, layout.n_words));
	/* And by the layout, as it goes for packets whose hash came with them. */
	assert_int_equal(packet_extract(&packet, &found), 0);
	assert_memory_equal(&found, &key, sizeof(key));
}

static void test_goldens(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(goldens); i++) {
		const struct golden *g = &goldens[i];
		struct flow_key key, expected = g->key;
		struct flow_layout layout;

		memcpy(expected.dl_dst, MACS, 12);
		print_message("%s\n", g->name);
		assert_int_equal(parse(g->frame, g->len, &key, &layout), 0);
		assert_memory_equal(&key, &expected, sizeof(key));
		assert_memory_equal(&layout, &g->layout, sizeof(layout));
	}
}

/* Every frame cut at every length: nothing is read past the end (the sanitizers look on), words
 * past n_words are zero, offsets lie in the frame. */
static void test_cut_short(void **state UNUSED)
{
	uint8_t made[PACKETS_SIZE_MAX];

	for (uint64_t i = 0; i < 500; i++) {
		uint32_t len = packets_make(test_seed() + i, made);

		for (uint32_t cut = 0; cut <= len; cut++) {
			uint8_t *frame = malloc(cut ? cut : 1);
			struct flow_layout layout;
			struct flow_key key;

			memcpy(frame, made, cut);
			assert_int_equal(parse(frame, cut, &key, &layout), cut < 14 ? -1 : 0);
			assert_true(layout.l3_off <= cut && layout.l4_off <= cut);
			check_extract(frame, cut, cut);
			check_extract(frame, cut, len);
			for (uint32_t w = layout.n_words; w < FLOW_KEY_WORDS; w++)
				assert_int_equal(key.w[w], 0);
			free(frame);
		}
	}
}

/* Plain packets with one byte of the headers changed, or in two segments. */
static void test_nearly_plain(void **state UNUSED)
{
	static const uint8_t protos[] = {1, 6, 17, 132};

	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		uint8_t frame[] =
			MACS "\x08\x00" IPV4("\x28", "\x40\x00", "\x06") TCP "padding";

		frame[23] = protos[i];
		for (uint32_t at = 0; at < 54; at++) {
			uint8_t was = frame[at];

			for (unsigned int value = 0; value < 256; value++) {
				frame[at] = (uint8_t)value;
				check_extract(frame, sizeof(frame), sizeof(frame));
				check_extract(frame, at, sizeof(frame));
			}
			frame[at] = was;
		}
	}
}

/* More extension headers than are walked, or longer ones: no L4 header, whatever is behind. */
static void test_extension_limits(void **state UNUSED)
{
	uint8_t frame[14 + 40 + 400 + 8] = MACS "\x86\xdd";
	struct flow_layout layout;
	struct flow_key key;

	for (uint32_t n = 0; n <= 12; n++) {
		uint32_t len = 54 + n * 8 + 8;

		memcpy(frame + 14, IPV6("\x00", "\x3c"), 40);
		frame[19] = (uint8_t)(n * 8 + 8);
		if (n == 0)
			frame[20] = 17;
		for (uint32_t i = 0; i < n; i++)
			memcpy(frame + 54 + i * 8,
			       i + 1 < n ? "\x3c\0\0\0\0\0\0\0" : "\x11\0\0\0\0\0\0\0", 8);
		memcpy(frame + 54 + n * 8, UDP, 8);
		assert_int_equal(parse(frame, len, &key, &layout), 0);
		assert_int_equal(layout.l4_off, n < FLOW_IPV6_EXT_MAX ? len - 8 : 0);
	}
	for (uint32_t size = 8; size <= 400; size += 8) {
		uint32_t len = 54 + size + 8;

		memcpy(frame + 14, IPV6("\x00", "\x3c"), 40);
		frame[18] = (uint8_t)((size + 8) >> 8);
		frame[19] = (uint8_t)(size + 8);
		frame[54] = 17;
		frame[55] = (uint8_t)(size / 8 - 1);
		memcpy(frame + 54 + size, UDP, 8);
		assert_int_equal(parse(frame, len, &key, &layout), 0);
		assert_int_equal(layout.l4_off, size <= FLOW_IPV6_EXT_SIZE_MAX ? len - 8 : 0);
	}
}

/* What the hash must see, and what it must not. */
static void test_hash(void **state UNUSED)
{
	static const char frame[] = MACS "\x81\x00\x00\x07\x86\xdd" IPV6("\x14", "\x06") TCP;
	struct flow_layout layout;
	struct flow_key key, other;
	uint32_t hash;

	assert_int_equal(parse(frame, sizeof(frame) - 1, &key, &layout), 0);
	hash = flow_key_hash(&key, layout.n_words);
#define DIFFERS(change)                                                                            \
	other = key;                                                                               \
	change;                                                                                    \
	assert_int_not_equal(flow_key_hash(&other, layout.n_words), hash)
#define EQUALS(change)                                                                             \
	other = key;                                                                               \
	change;                                                                                    \
	assert_int_equal(flow_key_hash(&other, layout.n_words), hash)
	DIFFERS(other.dl_src[5]++);
	DIFFERS(other.dl_dst[0]++);
	DIFFERS(other.vlan_tci++);
	DIFFERS(other.tp_src++);
	DIFFERS(other.tp_dst++);
	DIFFERS(other.ipv6_src[0]++);
	DIFFERS(other.ipv6_dst[15]++);
	DIFFERS(other.nw_proto++);
	EQUALS(other.in_port++);
	EQUALS(other.nw_tos++);
	EQUALS(other.nw_ttl++);
	EQUALS(other.tcp_flags++);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goldens),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_nearly_plain),
		cmocka_unit_test(test_extension_limits),
		cmocka_unit_test(test_hash),
	};

	return cmocka_run_group_tests_name("flow_parse", tests, NULL, NULL);
}
