/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/rcu.h"
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define READERS 2
#define VERSIONS 300
#define ALIVE 0x600dU
#define DEAD 0xdeadU

/* What is published; a freed version is poisoned first, so that a late reader finds out. */
struct version {
	unsigned int state; /* ALIVE or DEAD */
	unsigned int number;
	struct rcu_deferred deferred;
};

static RCU_POINTER(struct version) published;
static atomic_bool stop;
static atomic_uint reads;
static atomic_uint bad; /* reads of a dead version, or of one older than seen before */
static unsigned int freed; /* by the helper thread only, read after rcu_drain() */

static struct version *version_create(unsigned int number)
{
	struct version *v = calloc(1, sizeof(*v));

	assert_non_null(v);
	v->state = ALIVE;
	v->number = number;
	return v;
}

static void version_destroy(struct version *v)
{
	v->state = DEAD;
	free(v);
}

static void version_run_deferred(struct rcu_deferred *d)
{
	version_destroy(container_of(d, struct version, deferred));
	freed++;
}

static void *read_versions(void *arg UNUSED)
{
	unsigned int last = 0;

	rcu_join();
	while (!atomic_load(&stop)) {
		struct version *v = rcu_get(&published);

		if (v->state != ALIVE || v->number < last)
			atomic_fetch_add(&bad, 1);
		last = v->number;
		atomic_fetch_add(&reads, 1);
		rcu_quiesce();
		if (last % 16 == 0) {
			rcu_offline();
			sched_yield();
			rcu_online();
		}
	}
	rcu_leave();
	return NULL;
}

static void publish_versions(bool defer)
{
	for (unsigned int i = 1; i <= VERSIONS; i++) {
		struct version *old = rcu_swap(&published, version_create(i));

		if (defer) {
			rcu_defer(&old->deferred, version_run_deferred);
			rcu_quiesce();
			sched_yield();
		} else {
			rcu_wait();
			version_destroy(old);
		}
	}
}

static void run_readers_against_writer(bool defer)
{
	pthread_t threads[READERS];

	atomic_store(&stop, false);
	atomic_store(&reads, 0);
	atomic_store(&bad, 0);
	rcu_set(&published, version_create(0));
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_versions, NULL), 0);
	rcu_join();
	while (atomic_load(&reads) == 0)
		rcu_wait();
	publish_versions(defer);
	atomic_store(&stop, true);
	rcu_leave();
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	rcu_drain();
	version_destroy(rcu_swap(&published, NULL));
	assert_int_equal(atomic_load(&bad), 0);
}

static void test_wait(void **state UNUSED)
{
	run_readers_against_writer(false);
}

static void test_defer(void **state UNUSED)
{
	freed = 0;
	run_readers_against_writer(true);
	assert_int_equal(freed, VERSIONS);
}

static atomic_bool holding, released, waited;

static void *hold_then_release(void *arg UNUSED)
{
	const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

	rcu_join();
	(void)rcu_get(&published);
	atomic_store(&holding, true);
	nanosleep(&pause, NULL);
	if (atomic_load(&waited))
		atomic_fetch_add(&bad, 1);
	atomic_store(&released, true);
	rcu_leave();
	return NULL;
}

/* a reader that holds on makes the writer wait for it */
static void test_grace_period(void **state UNUSED)
{
	pthread_t thread;

	atomic_store(&bad, 0);
	assert_int_equal(pthread_create(&thread, NULL, hold_then_release, NULL), 0);
	while (!atomic_load(&holding))
		sched_yield();
	rcu_wait();
	atomic_store(&waited, true);
	assert_true(atomic_load(&released));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(atomic_load(&bad), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_defer),
		cmocka_unit_test(test_grace_period),
	};

	return cmocka_run_group_tests_name("rcu", tests, NULL, NULL);
}
