/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "tests/system/bed.h"
#include "tests/system/serials.h"
#include "tests/unit/test.h"

#define PATIENCE_NS (60 * CLOCK_NS_PER_S)

/* For each sink: serial number -> epoch in which it was received, 0: it was not. */
static uint16_t *received[2];
static atomic_uint epoch; /* changes that have begun, and 1 */
static atomic_uint next_serial;
static atomic_bool stop;
static pthread_t sender, receivers[2];
static bool (*send_one)(void);
static int sinks[2];

uint32_t serials_take(void)
{
	return atomic_fetch_add(&next_serial, 1);
}

void serials_reset(void)
{
	atomic_store(&next_serial, 0);
}

static void *send_all(void *aux UNUSED)
{
	uint64_t *n_sent = calloc(1, sizeof(*n_sent));

	while (!atomic_load(&stop) && atomic_load(&next_serial) < SERIALS_MAX - 1)
		*n_sent += send_one();
	return n_sent;
}

static void *receive_all(void *sink_)
{
	int sink = (int)(intptr_t)sink_;
	uint8_t frame[2048];

	while (!atomic_load(&stop)) {
		uint32_t serial;

		if (bed_receive(sinks[sink], frame, sizeof(frame), 20) != SERIALS_FRAME_LEN)
			continue;
		memcpy(&serial, frame + SERIALS_OFFSET, sizeof(serial));
		if (serial < SERIALS_MAX)
			__atomic_store_n(&received[sink][serial], (uint16_t)atomic_load(&epoch),
					 __ATOMIC_RELAXED);
	}
	return NULL;
}

void serials_start(bool (*send)(void), const int to[2])
{
	send_one = send;
	atomic_store(&stop, false);
	atomic_store(&epoch, 1);
	for (intptr_t i = 0; i < 2; i++) {
		sinks[i] = to[i];
		received[i] = calloc(SERIALS_MAX, sizeof(*received[i]));
		assert_non_null(received[i]);
		assert_int_equal(pthread_create(&receivers[i], NULL, receive_all, (void *)i), 0);
	}
	assert_int_equal(pthread_create(&sender, NULL, send_all, NULL), 0);
}

uint64_t serials_stop(void)
{
	uint64_t n, *n_sent;

	atomic_store(&stop, true);
	pthread_join(sender, (void **)&n_sent);
	for (int i = 0; i < 2; i++)
		pthread_join(receivers[i], NULL);
	n = *n_sent;
	free(n_sent);
	return n;
}

void serials_free(void)
{
	free(received[0]);
	free(received[1]);
}

void serials_announce(struct serials_period *period)
{
	period->epoch = (uint16_t)(atomic_fetch_add(&epoch, 1) + 1);
}

void serials_begin(struct serials_period *period)
{
	period->first = atomic_load(&next_serial);
}

void serials_end(struct serials_period *period)
{
	period->end = atomic_load(&next_serial);
}

void serials_wait(uint32_t n)
{
	uint32_t start = atomic_load(&next_serial);
	uint64_t end = clock_now() + PATIENCE_NS;

	while (atomic_load(&next_serial) - start < n) {
		assert_true(clock_now() < end);
		usleep(1000);
	}
}

uint32_t serials_check(const struct serials_period *period, int sink)
{
	uint32_t n = 0;

	for (uint32_t serial = period->first; serial < period->end; serial++) {
		for (int at = 0; at < 2; at++) {
			if (__atomic_load_n(&received[at][serial], __ATOMIC_RELAXED) !=
			    period->epoch)
				continue;
			n++;
			if (at != sink)
				fail_msg("packet %u of %u to %u came to sink %d, not %d", serial,
					 period->first, period->end, at, sink);
		}
	}
	return n;
}
