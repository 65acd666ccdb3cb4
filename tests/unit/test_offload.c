/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "datapath/offload.h"
#include "tests/unit/frames.h"
#include "tests/unit/test.h"

static struct frame_pool *pool;
static struct frame_cache cache;
static uint8_t buf[70000], out[70000];

static int setup(void **state UNUSED)
{
	if (frame_pool_create(512, &pool, NULL))
		return -1;
	frame_cache_init(&cache, pool);
	return 0;
}

/* Each test gives back what it took. */
static int teardown(void **state UNUSED)
{
	int leaked;

	frame_cache_uninit(&cache);
	leaked = frame_pool_count(pool, FRAME_FREE) != pool->n_frames;
	frame_pool_destroy(pool);
	return leaked;
}

/* A packet of the frame, in segments of at most `piece` bytes behind a first one of `head`. */
static struct packet *packet_of(const uint8_t *frame, uint32_t len, uint32_t head, uint32_t piece)
{
	struct packet *packet = packet_alloc(&cache), *tail = packet;
	uint32_t n = MIN(len, head);

	assert_non_null(packet);
	memcpy(packet->data, frame, n);
	packet->len = n;
	packet->total_len = len;
	for (uint32_t done = n; done < len; done += n) {
		n = MIN(len - done, piece);
		tail->next = packet_alloc(&cache);
		assert_non_null(tail->next);
		tail = tail->next;
		memcpy(tail->data, frame + done, n);
		tail->len = n;
		packet->n_segs++;
	}
	return packet;
}

static const struct frame_spec specs[] = {
	{.ethertype = 0x0800,
	 .proto = 6,
	 .src = 1,
	 .dst = 2,
	 .sport = 1024,
	 .dport = 80,
	 .ttl = 64},
	{.ethertype = 0x0800, .proto = 17, .src = 9, .dst = 7, .sport = 53, .dport = 53, .ttl = 3},
	{.ethertype = 0x86dd,
	 .proto = 6,
	 .src = 77,
	 .dst = 2,
	 .sport = 5,
	 .dport = 8080,
	 .ttl = 64},
	{.ethertype = 0x86dd, .proto = 17, .src = 1, .dst = 6, .sport = 9, .dport = 4789, .ttl = 9},
	{.ethertype = 0x0800, .proto = 17, .tagged = true, .tci = 5, .src = 1, .dst = 2, .ttl = 9},
};

static void test_sum_is_the_plain_sum(void **state UNUSED)
{
	srandom((unsigned int)test_seed());
	for (int round = 0; round < 2000; round++) {
		uint32_t len = (uint32_t)random() % 2000, plain = 0;
		uint32_t from = (uint32_t)random() % 4;

		for (uint32_t i = 0; i < len; i++) {
			buf[from + i] = round % 3 ? (uint8_t)random() : 0xff;
			plain += i & 1 ? (uint32_t)buf[from + i] << 8 : buf[from + i];
		}
		while (plain >> 16)
			plain = (plain & 0xffff) + (plain >> 16);
		assert_int_equal(csum_fold(csum_partial(buf + from, len, 0)), plain);
	}
}

static void test_partial_is_found_and_finished(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		for (uint32_t payload = 0; payload < 4000; payload += 397) {
			struct frame_spec spec = specs[i];
			struct packet *packet;
			struct flow_key key;
			uint32_t len;

			spec.payload_len = payload;
			spec.partial = true;
			len = frame_build(&spec, buf);
			/* Odd pieces: words straddle segments. */
			packet = packet_of(buf, len, 101, 777);
			packet->csum = PACKET_CSUM_MAYBE;
			assert_int_equal(packet_extract(packet, &key), 0);
			packet_resolve_csum(packet);
			assert_int_equal(packet->csum, PACKET_CSUM_PARTIAL);
			assert_int_equal(packet_finish_csum(packet), 0);
			assert_int_equal(packet_read(packet, 0, out, len), len);
			assert_true(frame_sums_are_right(out, len));
			packet_free(&cache, packet);

			spec.partial = false;
			assert_int_equal(frame_build(&spec, buf), len);
			assert_memory_equal(buf, out, len);
		}
	}
}

static void test_complete_is_left_alone(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		struct frame_spec spec = specs[i];
		struct packet *packet;
		struct flow_key key;
		uint32_t len;

		spec.payload_len = 100;
		len = frame_build(&spec, buf);
		packet = packet_of(buf, len, 1000, 1000);
		packet->csum = PACKET_CSUM_MAYBE;
		assert_int_equal(packet_extract(packet, &key), 0);
		packet_resolve_csum(packet);
		assert_int_equal(packet->csum, PACKET_CSUM_UNKNOWN);
		packet_free(&cache, packet);
	}
}

/* Segments of one GSO packet, taken apart and held against the whole. */
static void check_segments(const struct frame_spec *spec, uint16_t gso_size, bool csum_ok)
{
	uint32_t len = frame_build(spec, buf), l4 = frame_l4(buf);
	uint32_t header = l4 + (spec->proto == 6 ? 20 : 8), done = 0;
	struct packet *packet = packet_of(buf, len, 1500, 1791), *segments[128];
	int n;

	packet->csum = PACKET_CSUM_PARTIAL;
	packet->csum_start = (uint16_t)l4;
	packet->csum_offset = spec->proto == 6 ? 16 : 6;
	packet->gso_type = spec->proto == 17	       ? PACKET_GSO_UDP_L4
			   : spec->ethertype == 0x0800 ? PACKET_GSO_TCP4
						       : PACKET_GSO_TCP6;
	packet->gso_size = gso_size;
	assert_int_equal(packet_check_offload(packet), 0);
	n = packet_segment(&cache, packet, csum_ok, segments, ARRAY_SIZE(segments));
	assert_int_equal(n, DIV_ROUND_UP(spec->payload_len, (uint32_t)gso_size));
	for (int i = 0; i < n; i++) {
		struct packet *seg = segments[i];
		uint32_t size = seg->total_len;

		assert_int_equal(seg->csum, csum_ok ? PACKET_CSUM_PARTIAL : PACKET_CSUM_COMPLETE);
		if (csum_ok)
			assert_int_equal(packet_finish_csum(seg), 0);
		assert_int_equal(packet_read(seg, 0, out, sizeof(out)), size);
		assert_true(frame_sums_are_right(out, size));
		assert_memory_equal(out + header, buf + header + done, size - header);
		if (spec->proto == 6) {
			bool last = i == n - 1;
			uint32_t seq = (uint32_t)out[l4 + 4] << 24 | (uint32_t)out[l4 + 5] << 16 |
				       (uint32_t)out[l4 + 6] << 8 | out[l4 + 7];

			assert_int_equal(seq, spec->seq + done);
			assert_int_equal(out[l4 + 13] & 0x09, last ? spec->tcp_flags & 0x09 : 0);
			assert_int_equal(out[l4 + 13] & 0x80, i ? 0 : spec->tcp_flags & 0x80);
		}
		if (spec->ethertype == 0x0800)
			assert_int_equal(out[l4 - 15], 0x34 + i);
		done += size - header;
		packet_free(&cache, seg);
	}
	assert_int_equal(done, spec->payload_len);
}

static void test_segments_add_up(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		struct frame_spec spec = specs[i];

		spec.partial = true;
		spec.seq = 0xfffff000; /* wraps on the way */
		spec.tcp_flags = 0x99;
		for (spec.payload_len = 1449; spec.payload_len < 65000; spec.payload_len += 21111) {
			check_segments(&spec, 1448, true);
			check_segments(&spec, 1448, false);
			check_segments(&spec, 8948, false);
		}
	}
}

static void test_no_frames_left(void **state UNUSED)
{
	struct frame_spec spec = specs[0];
	struct packet *packet, *segments[128], *hoard[512];
	int n_hoard = 0;
	uint32_t len;

	spec.payload_len = 30000;
	spec.partial = true;
	len = frame_build(&spec, buf);
	packet = packet_of(buf, len, 1500, 1700);
	packet->csum = PACKET_CSUM_PARTIAL;
	packet->csum_start = 34;
	packet->csum_offset = 16;
	packet->gso_type = PACKET_GSO_TCP4;
	packet->gso_size = 1448;
	assert_int_equal(packet_check_offload(packet), 0);
	while ((hoard[n_hoard] = packet_alloc(&cache)))
		n_hoard++;
	packet_free(&cache, hoard[--n_hoard]);
	assert_int_equal(packet_segment(&cache, packet, false, segments, 128), -ENOBUFS);
	while (n_hoard)
		packet_free(&cache, hoard[--n_hoard]);
}

/* Offload members and bytes at random: refused or handled, nothing else. */
static void test_lies_are_survived(void **state UNUSED)
{
	uint64_t seed = test_seed();

	srandom((unsigned int)seed);
	for (int round = 0; round < 20000; round++) {
		struct frame_spec spec = specs[random() % (long)ARRAY_SIZE(specs)];
		struct packet *packet, *segments[64];
		uint32_t len;

		spec.payload_len = (uint32_t)random() % 3000;
		spec.partial = true;
		len = frame_build(&spec, buf);
		for (int i = random() % 4; i > 0; i--)
			buf[random() % MIN(len, 80u)] = (uint8_t)random();
		len = random() % 8 ? len : (uint32_t)random() % len + 1;
		packet = packet_of(buf, len, 200, 1500);
		packet->csum = (uint8_t)(random() % 3);
		packet->csum_start = random() % 2 ? 34 : (uint16_t)random();
		packet->csum_offset = random() % 2 ? 16 : (uint16_t)random();
		packet->gso_type = (uint8_t)(random() % 8);
		packet->gso_size = (uint16_t)(random() % 4 ? random() % 2000 : random());
		if (packet_check_offload(packet)) {
			packet_free(&cache, packet);
			continue;
		}
		if (packet->gso_type) {
			int n = packet_segment(&cache, packet, round % 2, segments,
					       ARRAY_SIZE(segments));

			for (int i = 0; i < n; i++)
				packet_free(&cache, segments[i]);
			continue;
		}
		if (packet->csum == PACKET_CSUM_PARTIAL)
			assert_int_equal(packet_finish_csum(packet), 0);
		packet_free(&cache, packet);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum_is_the_plain_sum),
		cmocka_unit_test_setup_teardown(test_partial_is_found_and_finished, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_complete_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_segments_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_frames_left, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lies_are_survived, setup, teardown),
	};

	return cmocka_run_group_tests_name("offload", tests, NULL, NULL);
}
