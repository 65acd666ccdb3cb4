/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets of all lengths through a socket pair, as from a TAP device. */
#include "tests/unit/test.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datapath/rx_buffer.h"

#define N_FRAMES 128u
#define OWNER 7u

struct lab {
	struct frame_pool *pool;
	struct frame_cache cache;
	struct rx_buffer buffer;
	int fds[2]; /* what is written to the second is read from the first */
};

static int set_up(void **state)
{
	static struct lab lab;
	struct error err = ERROR_INIT;
	int size = 1 << 20;

	memset(&lab, 0, sizeof(lab));
	if (frame_pool_create(N_FRAMES, &lab.pool, &err))
		return -1;
	frame_cache_init(&lab.cache, lab.pool);
	rx_buffer_init(&lab.buffer, OWNER);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, lab.fds))
		return -1;
	(void)setsockopt(lab.fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	*state = &lab;
	return 0;
}

static int tear_down(void **state)
{
	struct lab *lab = *state;
	uint32_t n_free;

	frame_cache_uninit(&lab->cache);
	frame_pool_reclaim(lab->pool, OWNER);
	n_free = frame_pool_count(lab->pool, FRAME_FREE);
	frame_pool_destroy(lab->pool);
	close(lab->fds[0]);
	close(lab->fds[1]);
	return n_free == N_FRAMES ? 0 : -1;
}

/* Sends a header and `len` bytes and takes them out again. */
static struct packet *pass(struct lab *lab, uint32_t len)
{
	static uint8_t bytes[VNET_HDR_SIZE + PACKET_LEN_MAX + 100];
	size_t size = VNET_HDR_SIZE + len;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 7 + len);
	assert_int_equal(write(lab->fds[1], bytes, size), size);
	assert_true(rx_buffer_fill(&lab->buffer, &lab->cache));
	assert_int_equal(frame_pool_count(lab->pool, OWNER), RX_BUFFER_SLOTS);
	assert_int_equal(readv(lab->fds[0], lab->buffer.iov, RX_BUFFER_IOVS),
			 MIN(size, VNET_HDR_SIZE + (size_t)RX_BUFFER_SLOTS * FRAME_PAYLOAD));
	assert_memory_equal(&lab->buffer.hdr, bytes, VNET_HDR_SIZE);
	return rx_buffer_take(&lab->buffer, size);
}

static void test_lengths(void **state)
{
	static const uint32_t lens[] = {1,
					14,
					60,
					FRAME_PAYLOAD - 1,
					FRAME_PAYLOAD,
					FRAME_PAYLOAD + 1,
					9000,
					2 * FRAME_PAYLOAD,
					PACKET_LEN_MAX - 1,
					PACKET_LEN_MAX};
	struct lab *lab = *state;
	static uint8_t bytes[PACKET_LEN_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		struct packet *packet = pass(lab, lens[i]);
		unsigned int n_segs = 0;

		assert_non_null(packet);
		assert_int_equal(packet->total_len, lens[i]);
		assert_int_equal(packet->csum, PACKET_CSUM_UNKNOWN);
		assert_int_equal(packet_read(packet, 0, bytes, sizeof(bytes)), lens[i]);
		for (uint32_t k = 0; k < lens[i]; k++)
			assert_int_equal(bytes[k], (uint8_t)((k + VNET_HDR_SIZE) * 7 + lens[i]));
		for (const struct packet *seg = packet; seg; seg = seg->next) {
			assert_int_equal(seg->owner, FRAME_HELD);
			n_segs++;
		}
		assert_int_equal(packet->n_segs, n_segs);
		assert_int_equal(n_segs, DIV_ROUND_UP(lens[i], FRAME_PAYLOAD));
		packet_free(&lab->cache, packet);
	}
}

/* Nothing behind the header is no packet, and takes no frame out. */
static void test_nothing(void **state)
{
	struct lab *lab = *state;

	assert_null(pass(lab, 0));
	assert_int_equal(frame_pool_count(lab->pool, OWNER), RX_BUFFER_SLOTS);
	assert_null(rx_buffer_take(&lab->buffer, 0));
	assert_null(rx_buffer_take(&lab->buffer, VNET_HDR_SIZE - 1));
}

/* A device that claims more than there was room for does not lead behind the last frame. */
static void test_too_much(void **state)
{
	struct lab *lab = *state;
	struct packet *packet = pass(lab, PACKET_LEN_MAX + 100);

	assert_int_equal(packet->total_len, PACKET_LEN_MAX);
	assert_int_equal(packet->n_segs, RX_BUFFER_SLOTS);
	packet_free(&lab->cache, packet);
}

/* It is filled in steps when frames come back in steps. */
static void test_no_frames(void **state)
{
	struct lab *lab = *state;
	struct packet *held[N_FRAMES + 1];
	uint32_t n = 0;

	while ((held[n] = packet_alloc(&lab->cache)))
		n++;
	assert_int_equal(n, N_FRAMES);
	assert_false(rx_buffer_fill(&lab->buffer, &lab->cache));
	packet_free_batch(&lab->cache, held, 3);
	assert_false(rx_buffer_fill(&lab->buffer, &lab->cache));
	assert_int_equal(frame_pool_count(lab->pool, OWNER), 3);
	packet_free_batch(&lab->cache, held + 3, n - 3);
	assert_true(rx_buffer_fill(&lab->buffer, &lab->cache));
	assert_int_equal(frame_pool_count(lab->pool, OWNER), RX_BUFFER_SLOTS);
}

/* It gives back what it has, whole or in part, and can be filled again. */
static void test_empty(void **state)
{
	struct lab *lab = *state;

	rx_buffer_empty(&lab->buffer, &lab->cache);
	for (int i = 0; i < 3; i++) {
		packet_free(&lab->cache, pass(lab, 5000));
		assert_in_range(frame_pool_count(lab->pool, OWNER), 1, RX_BUFFER_SLOTS - 1);
		rx_buffer_empty(&lab->buffer, &lab->cache);
		assert_int_equal(frame_pool_count(lab->pool, OWNER), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lengths, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_much, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_frames, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_empty, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("rx_buffer", tests, NULL, NULL);
}
