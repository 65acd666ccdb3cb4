/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker polls rings while the front end changes everything under them: the handshake of publish
 * and withdraw, with a driver in a third thread that finds each of its buffers back, in order.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/rcu.h"
#include "tests/unit/test.h"
#include "tests/unit/vhost_driver.h"

#define PACKED_RING VHOST_BIT(VIRTIO_F_RING_PACKED)
#define EVENT_IDX VHOST_BIT(VIRTIO_RING_F_EVENT_IDX)
#define LOG_ALL VHOST_BIT(VHOST_F_LOG_ALL)
#define BUFFER_SIZE 256
#define N_CHANGES 300

static struct vhost_driver driver;
static RCU_POINTER(struct vring) published[2];
static atomic_bool stop;
static atomic_uint n_errors; /* found by threads */
static atomic_ullong n_used; /* buffers that the driver got back */

/* ---- the device's operations, as a port driver would have them --------------------------- */

static void publish(void *dev, uint32_t rings)
{
	struct vhost_driver *d = dev;

	for (unsigned int i = 0; i < 2; i++)
		if (rings & VHOST_BIT(i))
			rcu_set(&published[i], vhost_dev_get_ring(d->dev, i));
	d->published |= rings;
	d->n_publishes++;
}

static void withdraw(void *dev, uint32_t rings)
{
	struct vhost_driver *d = dev;

	for (unsigned int i = 0; i < 2; i++)
		if (rings & VHOST_BIT(i))
			rcu_set(&published[i], NULL);
	rcu_wait();
	d->published &= ~rings;
	d->n_withdraws++;
}

static const struct vhost_dev_ops ops = {.publish = publish, .withdraw = withdraw};

/* ---- the worker ------------------------------------------------------------------------- */

/* Takes from ring 1 and writes the same numbers to ring 0. */
static void carry(struct vring *from, struct vring *to)
{
	static struct vring_batch in, out;
	int n, room;

	vring_batch_init(&in);
	vring_batch_init(&out);
	room = vring_pop(to, &out, 32);
	n = room > 0 ? vring_pop(from, &in, (unsigned int)room) : room;
	if (n < 0) {
		atomic_fetch_add(&n_errors, 1);
		return;
	}
	for (int i = 0; i < n; i++) {
		struct vring_cursor read = vring_cursor_get(&in, &in.chains[i]);
		struct vring_cursor write = vring_cursor_get(&out, &out.chains[i]);
		uint64_t number;

		vring_cursor_read(&read, &number, sizeof(number));
		vring_cursor_write(&write, &number, sizeof(number));
		out.chains[i].written = sizeof(number);
	}
	vring_rewind(to, &out, out.n - (unsigned int)n);
	if (vring_push(from, &in, 0, (unsigned int)n) || vring_push(to, &out, 0, (unsigned int)n))
		atomic_fetch_add(&n_errors, 1);
	vring_notify(from);
	vring_notify(to);
	if (!n)
		sched_yield();
}

static void *run_worker(void *arg UNUSED)
{
	rcu_join();
	while (!atomic_load(&stop)) {
		struct vring *from = rcu_get(&published[1]), *to = rcu_get(&published[0]);

		if (from && to && vring_is_enabled(from) && vring_is_enabled(to))
			carry(from, to);
		rcu_quiesce();
	}
	rcu_leave();
	return NULL;
}

/* ---- the driver ------------------------------------------------------------------------- */

/* Sends numbers and checks that they come back, each once and in order. */
static void *run_driver(void *arg UNUSED)
{
	struct driver_ring *tx = &driver.rings[1], *rx = &driver.rings[0];
	uint64_t buffers = DRIVER_GPA_LOW, next_tx = 0, next_rx = 0, lent = 0;
	uint32_t len;

	while (!atomic_load(&stop)) {
		struct driver_piece piece = {.size = BUFFER_SIZE};
		bool was_idle = true;

		piece.gpa = buffers + next_tx % 64 * BUFFER_SIZE;
		memcpy(driver_ptr(&driver, piece.gpa), &next_tx, sizeof(next_tx));
		if (next_tx - next_rx < 60 && driver_ring_add(tx, &piece, 1, DRIVER_DIRECT, 0) >= 0)
			next_tx++;
		piece.gpa = buffers + (64 + lent % 64) * BUFFER_SIZE;
		if (lent - next_rx < 60 && driver_ring_add(rx, &piece, 1, DRIVER_DIRECT, 0) >= 0)
			lent++;
		while (driver_ring_get(tx, &len) >= 0)
			was_idle = false;
		while (driver_ring_get(rx, &len) >= 0) {
			uint64_t number;

			memcpy(&number,
			       driver_ptr(&driver, buffers + (64 + next_rx % 64) * BUFFER_SIZE),
			       sizeof(number));
			if (len != sizeof(number) || number != next_rx)
				atomic_fetch_add(&n_errors, 1);
			next_rx++;
			was_idle = false;
		}
		atomic_store(&n_used, next_rx);
		if (was_idle)
			sched_yield();
	}
	return NULL;
}

/* ---- the front end ---------------------------------------------------------------------- */

static int log_fd;

static void set_log(uint64_t features, bool is_on)
{
	struct vhost_log_area area = {.size = 1 << 17};
	uint64_t answer;

	assert_int_equal(
		driver_request(&driver, VHOST_SET_LOG_BASE, 0, &area, sizeof(area), &log_fd, 1), 0);
	assert_int_equal(driver_read_reply(&driver, VHOST_SET_LOG_BASE, &answer, 8, NULL), 8);
	assert_int_equal(
		driver_set_u64(&driver, VHOST_SET_FEATURES, features | (is_on ? LOG_ALL : 0)), 0);
}

/* Stops a ring and starts it where it was. The driver goes on meanwhile. */
static void restart(unsigned int index)
{
	uint32_t base = driver_get_base(&driver, index);
	uint64_t value = index;

	assert_int_equal(driver_set_state(&driver, VHOST_SET_VRING_BASE, index, base), 0);
	assert_int_equal(driver_request(&driver, VHOST_SET_VRING_KICK, 0, &value, 8,
					&driver.rings[index].kick_fd, 1),
			 0);
}

static void change_something(uint64_t features, uint64_t *random)
{
	unsigned int index = driver_random(random) % 2;
	uint64_t value = index;

	switch (driver_random(random) % 6) {
	case 0:
		assert_int_equal(driver_set_memory(&driver, 3), 0);
		break;
	case 1:
		assert_int_equal(driver_set_state(&driver, VHOST_SET_VRING_ENABLE, index, 0), 0);
		assert_int_equal(driver_set_state(&driver, VHOST_SET_VRING_ENABLE, index, 1), 0);
		break;
	case 2:
		assert_int_equal(driver_request(&driver, VHOST_SET_VRING_CALL, 0, &value, 8,
						&driver.rings[index].call_fd, 1),
				 0);
		break;
	case 3:
		restart(index);
		break;
	case 4:
		set_log(features, driver_random(random) % 2);
		break;
	case 5:
		assert_int_equal(driver_ring_send_addr(&driver.rings[index], 0, 0), 0);
		break;
	}
}

static void run_changes(uint64_t features)
{
	const struct vhost_dev_config config = {
		.name = "threads",
		.features = VHOST_DEV_FEATURES,
		.protocol_features = VHOST_DEV_PROTOCOL_FEATURES,
		.n_queue_pairs = 1,
	};
	uint64_t random = test_seed(), seen = 0;
	pthread_t worker, guest;

	driver_init(&driver, 1);
	vhost_dev_destroy(driver.dev);
	close(driver.sock);
	assert_int_equal(vhost_dev_create(&config, &ops, &driver, &driver.dev, NULL), 0);
	driver_connect(&driver);
	driver_negotiate(&driver, features);
	(void)driver_ring_open(&driver, 0, 128);
	(void)driver_ring_open(&driver, 1, 128);
	atomic_store(&stop, false);
	atomic_store(&n_errors, 0);
	atomic_store(&n_used, 0);
	assert_int_equal(pthread_create(&worker, NULL, run_worker, NULL), 0);
	assert_int_equal(pthread_create(&guest, NULL, run_driver, NULL), 0);
	for (int i = 0; i < N_CHANGES; i++) {
		change_something(features, &random);
		/* traffic flows after each change */
		while (atomic_load(&n_used) == seen && !atomic_load(&n_errors))
			sched_yield();
		seen = atomic_load(&n_used);
	}
	assert_int_equal(driver.published, 3);
	atomic_store(&stop, true);
	assert_int_equal(pthread_join(guest, NULL), 0);
	assert_int_equal(pthread_join(worker, NULL), 0);
	assert_int_equal(atomic_load(&n_errors), 0);
	assert_true(driver.n_withdraws > N_CHANGES / 2);
	driver_uninit(&driver);
}

static void test_changes(void **state UNUSED)
{
	log_fd = memfd_create("log", MFD_CLOEXEC);
	assert_int_equal(ftruncate(log_fd, 1 << 17), 0);
	run_changes(DRIVER_FEATURES);
	run_changes(DRIVER_FEATURES | PACKED_RING | EVENT_IDX);
	close(log_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
	};

	return cmocka_run_group_tests_name("vhost_thread", tests, NULL, NULL);
}
