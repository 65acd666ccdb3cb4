/* SPDX-License-Identifier: BSD-2-Clause */
/* Offloads of vhost-user ports: carried, finished in software, and lied about; see vhost_lab.h. */
#include <string.h>

#include "lib/clock.h"
#include "tests/unit/frames.h"
#include "tests/unit/vhost_lab.h"

/* ---- offloads ------------------------------------------------------------------------------ */

/* Sends a frame of `spec` from guest 0 and receives what arrives at guest 1. */
static uint32_t pass(const struct frame_spec *spec, const struct virtio_net_hdr *hdr,
		     struct virtio_net_hdr *got, uint8_t *frame)
{
	uint32_t len = frame_build(spec, frame);

	lab_send(0, 0, hdr, frame, len);
	return lab_receive(1, 0, got, frame, GUEST_PACKET_MAX);
}

static struct virtio_net_hdr csum_header(const struct frame_spec *spec)
{
	uint8_t frame[2048];
	struct frame_spec small = *spec;

	small.payload_len = 10;
	frame_build(&small, frame);
	return (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = (uint16_t)frame_l4(frame),
		.csum_offset = spec->proto == 6 ? 16 : 6,
	};
}

/* A partial checksum crosses as it is, or is finished for a guest that cannot take it. */
static void test_csum(void **state UNUSED)
{
	static const uint16_t types[] = {0x0800, 0x86dd};
	static uint8_t frame[GUEST_PACKET_MAX];

	for (int takes = 0; takes < 2; takes++) {
		lab_boot_two(CSUM_FEATURES, takes ? CSUM_FEATURES : 0);
		for (int i = 0; i < 4; i++) {
			struct frame_spec spec = {.ethertype = types[i / 2],
						  .proto = i % 2 ? 6 : 17,
						  .ttl = 64,
						  .payload_len = 1000 + (uint32_t)i,
						  .partial = true};
			struct virtio_net_hdr hdr = csum_header(&spec), got;
			uint32_t len = pass(&spec, &hdr, &got, frame);

			if (takes)
				assert_memory_equal(&got, &hdr, sizeof(got));
			else
				assert_int_equal(got.flags, 0);
			assert_int_equal(frame_sums_are_right(frame, len), !takes);
		}
		lab_shut_down(2);
	}
}

/* What a guest says of complete checksums is its own opinion. */
static void test_csum_claims(void **state UNUSED)
{
	const struct frame_spec spec = {.ethertype = 0x0800, .proto = 17, .ttl = 9};
	const struct virtio_net_hdr hdr = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
	static uint8_t frame[GUEST_PACKET_MAX];
	struct virtio_net_hdr got;

	lab_boot_two(CSUM_FEATURES, CSUM_FEATURES);
	(void)pass(&spec, &hdr, &got, frame);
	assert_int_equal(got.flags, 0);
	lab_shut_down(2);
}

/* Nobody has rules decided by bytes and then other bytes put in their place: a checksum that would
 * go into the destination address is there when rules look. */
static void test_csum_elsewhere(void **state UNUSED)
{
	const struct frame_spec spec = {
		.ethertype = 0x0800, .proto = 17, .ttl = 9, .dst = 0x010203};
	const struct virtio_net_hdr hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 14, .csum_offset = 18};
	static uint8_t frame[GUEST_PACKET_MAX], before[GUEST_PACKET_MAX];
	struct virtio_net_hdr got;

	frame_build(&spec, before);
	lab_boot_two(CSUM_FEATURES, CSUM_FEATURES);
	(void)pass(&spec, &hdr, &got, frame);
	assert_int_equal(got.flags, 0);
	assert_memory_not_equal(frame + 32, before + 32, 2);
	lab_shut_down(2);
}

/* A TSO packet crosses whole, or is cut for a guest that cannot take it. */
static void test_tso(void **state UNUSED)
{
	static const uint16_t types[] = {0x0800, 0x86dd};
	static uint8_t frame[GUEST_PACKET_MAX];

	for (int takes = 0; takes < 2; takes++) {
		lab_boot_two(TSO_FEATURES, takes ? TSO_FEATURES : 0);
		for (int i = 0; i < 2; i++) {
			struct frame_spec spec = {.ethertype = types[i],
						  .proto = 6,
						  .ttl = 64,
						  .payload_len = 40 * 1400 + 77,
						  .partial = true};
			struct virtio_net_hdr hdr = csum_header(&spec), got;
			uint32_t len, payload = spec.payload_len;

			hdr.gso_type = i ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
			hdr.gso_size = 1400;
			hdr.hdr_len = (uint16_t)(hdr.csum_start + 20);
			len = pass(&spec, &hdr, &got, frame);
			if (takes) {
				assert_memory_equal(&got, &hdr, sizeof(got));
				assert_int_equal(len, hdr.hdr_len + payload);
				continue;
			}
			for (;;) {
				assert_int_equal(got.flags | got.gso_type, 0);
				assert_true(frame_sums_are_right(frame, len));
				payload -= len - hdr.hdr_len;
				if (!payload)
					break;
				assert_int_equal(len, hdr.hdr_len + 1400);
				len = lab_receive(1, 0, &got, frame, sizeof(frame));
			}
		}
		lab_shut_down(2);
	}
}

/* Lies are counted, and the guest goes on. */
static void test_offload_lies(void **state UNUSED)
{
	static const struct virtio_net_hdr lies[] = {
		{.flags = 1, .csum_start = 2000, .csum_offset = 16},
		{.flags = 1, .csum_start = 65535, .csum_offset = 65535},
		{.flags = 1, .csum_start = 34, .csum_offset = 2000},
		{.flags = 1, .csum_start = 0, .csum_offset = 0},
		{.gso_type = 1, .gso_size = 1400}, /* without a checksum */
		{.flags = 1, .csum_start = 34, .csum_offset = 16, .gso_type = 1}, /* size 0 */
		{.flags = 1, .csum_start = 34, .csum_offset = 16, .gso_type = 4, .gso_size = 100},
		{.flags = 1, .csum_start = 34, .csum_offset = 16, .gso_type = 3, .gso_size = 100},
		{.flags = 1, .csum_start = 34, .csum_offset = 16, .gso_type = 77, .gso_size = 100},
		{.flags = 1, .csum_start = 34, .csum_offset = 6, .gso_type = 1, .gso_size = 100},
		{.flags = 1, .csum_start = 54, .csum_offset = 16, .gso_type = 1, .gso_size = 100},
	};
	const struct frame_spec spec = {
		.ethertype = 0x0800, .proto = 6, .ttl = 9, .payload_len = 1400, .partial = true};
	static uint8_t frame[GUEST_PACKET_MAX];
	uint32_t len = frame_build(&spec, frame);
	struct virtio_net_hdr hdr = csum_header(&spec), got;

	hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	lab_boot_two(TSO_FEATURES, TSO_FEATURES);
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		lab_send(0, 0, &lies[i], frame, len);
		lab_wait_drops(0, DROP_RX_BAD_OFFLOAD, i + 1);
	}
	/* more and smaller segments than anybody makes */
	hdr.gso_size = 47;
	lab_send(0, 0, &hdr, frame, len);
	lab_wait_drops(0, DROP_RX_BAD_OFFLOAD, ARRAY_SIZE(lies) + 1);
	(void)pass(&spec, NULL, &got, frame);
	lab_shut_down(2);
}

/* A guest that negotiated nothing says nothing by its header, whatever is in it. */
static void test_header_without_meaning(void **state UNUSED)
{
	const struct virtio_net_hdr hdr = {.flags = 1, .gso_type = 1, .csum_start = 9999};
	const struct frame_spec spec = {.ethertype = 0x0800, .proto = 17, .ttl = 9};
	static uint8_t frame[GUEST_PACKET_MAX];
	struct virtio_net_hdr got;

	lab_boot_two(0, CSUM_FEATURES);
	(void)pass(&spec, &hdr, &got, frame);
	assert_int_equal(got.flags | got.gso_type, 0);
	lab_shut_down(2);
}

/* A guest loses TSO by a new connection while the others go on sending TSO packets to it. */
static void test_caps_change_under_traffic(void **state UNUSED)
{
	struct frame_spec spec = {
		.ethertype = 0x0800, .proto = 6, .ttl = 64, .payload_len = 20000, .partial = true};
	struct virtio_net_hdr hdr = csum_header(&spec), got;
	static uint8_t frame[GUEST_PACKET_MAX], other[GUEST_PACKET_MAX];
	uint32_t len = frame_build(&spec, frame);
	unsigned int n_whole = 0, n_cut = 0;

	hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	hdr.gso_size = 1400;
	lab_boot_two(TSO_FEATURES, TSO_FEATURES);
	for (int i = 0; i < 60; i++) {
		bool takes = i % 2;

		lab_guests[1].driver.features = BASE_FEATURES | MERGED | (takes ? TSO_FEATURES : 0);
		for (int j = 0; j < 8; j++)
			(void)guest_send(&lab_guests[0], 0, &hdr, frame, len);
		guest_reconnect(&lab_guests[1]);
		for (int j = 0; j < 8; j++)
			(void)guest_send(&lab_guests[0], 0, &hdr, frame, len);
		len = lab_receive(1, 0, &got, other, sizeof(other));
		do {
			assert_int_equal(got.gso_type, takes ? VIRTIO_NET_HDR_GSO_TCPV4 : 0);
			if (!takes)
				assert_true(frame_sums_are_right(other, len));
			n_whole += takes;
			n_cut += !takes;
			len = (uint32_t)guest_receive(&lab_guests[1], 0, &got, other,
						      sizeof(other));
		} while ((int)len >= 0);
		len = frame_build(&spec, frame);
	}
	assert_true(n_whole && n_cut);
	lab_shut_down(2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_csum),
		cmocka_unit_test(test_csum_claims),
		cmocka_unit_test(test_csum_elsewhere),
		cmocka_unit_test(test_tso),
		cmocka_unit_test(test_offload_lies),
		cmocka_unit_test(test_header_without_meaning),
		cmocka_unit_test(test_caps_change_under_traffic),
	};

	return cmocka_run_group_tests_name("port_vhost_offload", tests, lab_set_up, lab_tear_down);
}
