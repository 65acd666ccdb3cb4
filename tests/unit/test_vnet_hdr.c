/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>

#include "datapath/vnet_hdr.h"
#include "tests/unit/frames.h"

static struct frame_pool *pool;
static struct frame_cache cache;

static int set_up(void **state UNUSED)
{
	struct error err = ERROR_INIT;

	if (frame_pool_create(256, &pool, &err))
		return -1;
	frame_cache_init(&cache, pool);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	uint32_t n_free;

	frame_cache_uninit(&cache);
	n_free = frame_pool_count(pool, FRAME_FREE);
	frame_pool_destroy(pool);
	return n_free == 256 ? 0 : -1;
}

static struct packet *make(const struct frame_spec *spec)
{
	static uint8_t frame[70000];
	uint32_t len = frame_build(spec, frame);
	struct packet *packet = packet_alloc(&cache);

	assert_non_null(packet);
	assert_int_equal(packet_append(&cache, packet, frame, len), 0);
	return packet;
}

/* Behind Ethernet: where L4 starts. */
#define L4_IPV4 34
#define L4_IPV6 54

static const struct frame_spec tcp4 = {
	.ethertype = 0x0800, .proto = 6, .ttl = 64, .payload_len = 30000, .partial = true};
static const struct frame_spec tcp6 = {
	.ethertype = 0x86dd, .proto = 6, .ttl = 64, .payload_len = 30000, .partial = true};
static const struct frame_spec udp6 = {
	.ethertype = 0x86dd, .proto = 17, .ttl = 64, .payload_len = 30000, .partial = true};
static const struct frame_spec tagged = {.ethertype = 0x0800,
					 .tagged = true,
					 .proto = 6,
					 .ttl = 64,
					 .payload_len = 30000,
					 .partial = true};

#define NEEDS_CSUM VIRTIO_NET_HDR_F_NEEDS_CSUM
#define DATA_VALID VIRTIO_NET_HDR_F_DATA_VALID

/* What is right comes out of both directions as it went in. */
static void test_both_ways(void **state UNUSED)
{
	static const struct {
		const struct frame_spec *spec;
		struct virtio_net_hdr hdr; /* hdr_len as format() makes it */
	} cases[] = {
		{&tcp4, {.flags = 0}},
		{&tcp4, {.flags = DATA_VALID}},
		{&tcp4, {.flags = NEEDS_CSUM, .csum_start = L4_IPV4, .csum_offset = 16}},
		{&tcp4, {NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4, L4_IPV4 + 20, 1448, L4_IPV4, 16}},
		{&tcp6, {NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV6, L4_IPV6 + 20, 1428, L4_IPV6, 16}},
		{&udp6, {NEEDS_CSUM, VIRTIO_NET_HDR_GSO_UDP_L4, L4_IPV6 + 8, 1400, L4_IPV6, 6}},
		{&tagged,
		 {NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4, L4_IPV4 + 4 + 20, 1448, L4_IPV4 + 4, 16}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct packet *packet = make(cases[i].spec);
		struct virtio_net_hdr hdr;

		assert_int_equal(vnet_hdr_parse(&cases[i].hdr, packet), 0);
		assert_int_equal(packet->gso_type, cases[i].hdr.gso_type);
		assert_int_equal(packet->gso_size, cases[i].hdr.gso_size);
		memset(&hdr, 0xff, sizeof(hdr));
		vnet_hdr_format(packet, &hdr);
		assert_memory_equal(&hdr, &cases[i].hdr, sizeof(hdr));
		packet_free(&cache, packet);
	}
}

static void test_csum_states(void **state UNUSED)
{
	static const struct {
		uint8_t flags;
		enum packet_csum csum;
	} cases[] = {
		{0, PACKET_CSUM_UNKNOWN},
		{DATA_VALID, PACKET_CSUM_COMPLETE},
		{NEEDS_CSUM, PACKET_CSUM_PARTIAL},
		{NEEDS_CSUM | DATA_VALID, PACKET_CSUM_PARTIAL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct virtio_net_hdr hdr = {
			.flags = cases[i].flags, .csum_start = L4_IPV4, .csum_offset = 16};
		struct packet *packet = make(&tcp4);

		packet->csum = PACKET_CSUM_MAYBE;
		assert_int_equal(vnet_hdr_parse(&hdr, packet), 0);
		assert_int_equal(packet->csum, cases[i].csum);
		packet_free(&cache, packet);
	}
}

/* ECN does not survive as a member: it is the header's CWR bit, in both directions. */
static void test_ecn(void **state UNUSED)
{
	struct virtio_net_hdr hdr = {NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN,
				     0,		 1448,
				     L4_IPV4,	 16};
	struct frame_spec spec = tcp4;
	struct packet *packet = make(&spec);

	assert_int_equal(vnet_hdr_parse(&hdr, packet), 0);
	assert_int_equal(packet->gso_type, PACKET_GSO_TCP4);
	vnet_hdr_format(packet, &hdr);
	assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	packet->data[L4_IPV4 + 13] |= 0x80;
	vnet_hdr_format(packet, &hdr);
	assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN);
	packet_free(&cache, packet);
}

/* Headers that lie about the packet behind them. */
static void test_lies(void **state UNUSED)
{
	static const struct {
		const char *what;
		const struct frame_spec *spec;
		struct virtio_net_hdr hdr;
	} cases[] = {
		{"sum starts behind the end", &tcp4, {NEEDS_CSUM, 0, 0, 0, 0xffff, 0}},
		{"sum starts in the Ethernet header", &tcp4, {NEEDS_CSUM, 0, 0, 0, 13, 16}},
		{"field behind the end", &tcp4, {NEEDS_CSUM, 0, 0, 0, L4_IPV4, 0xfffe}},
		{"GSO without a sum", &tcp4, {0, 1, 0, 1448, L4_IPV4, 16}},
		{"GSO with a verified sum", &tcp4, {DATA_VALID, 1, 0, 1448, L4_IPV4, 16}},
		{"no segment size", &tcp4, {NEEDS_CSUM, 1, 0, 0, L4_IPV4, 16}},
		{"tiny segments", &tcp4, {NEEDS_CSUM, 1, 0, 1, L4_IPV4, 16}},
		{"another version of IP", &tcp4, {NEEDS_CSUM, 4, 0, 1448, L4_IPV4, 16}},
		{"another protocol", &tcp4, {NEEDS_CSUM, 5, 0, 1448, L4_IPV4, 6}},
		{"the other way round", &udp6, {NEEDS_CSUM, 4, 0, 1448, L4_IPV6, 16}},
		{"another field", &tcp4, {NEEDS_CSUM, 1, 0, 1448, L4_IPV4, 6}},
		{"another start", &tcp4, {NEEDS_CSUM, 1, 0, 1448, L4_IPV4 + 1, 16}},
		{"UFO", &udp6, {NEEDS_CSUM, 3, 0, 1448, L4_IPV6, 6}},
		{"no type at all", &tcp4, {NEEDS_CSUM, 2, 0, 1448, L4_IPV4, 16}},
		{"every bit", &tcp4, {0xff, 0xff, 0xffff, 0xffff, 0xffff, 0xffff}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct packet *packet = make(cases[i].spec);

		if (vnet_hdr_parse(&cases[i].hdr, packet) != -EINVAL)
			fail_msg("believed: %s", cases[i].what);
		packet_free(&cache, packet);
	}
}

/* A GSO packet of a few bytes: of every length that is too short for its headers none is believed.
 */
static void test_short(void **state UNUSED)
{
	const struct virtio_net_hdr hdr = {NEEDS_CSUM, 1, 0, 1448, L4_IPV4, 16};
	struct frame_spec spec = tcp4;
	uint8_t frame[128];
	uint32_t full;

	spec.payload_len = 10;
	full = frame_build(&spec, frame);
	for (uint32_t len = 0; len <= full; len++) {
		struct packet *packet = packet_alloc(&cache);

		assert_int_equal(packet_append(&cache, packet, frame, len), 0);
		assert_int_equal(vnet_hdr_parse(&hdr, packet), len < full ? -EINVAL : 0);
		packet_free(&cache, packet);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_both_ways, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_csum_states, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ecn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_short, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("vnet_hdr", tests, NULL, NULL);
}
