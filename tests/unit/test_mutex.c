/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/mutex.h"
#include "lib/util.h"
#include "tests/unit/test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4
#define ROUNDS 5000

/* Not atomic on purpose: only a lock that excludes makes the sums right. */
static struct mutex mutex = MUTEX_INIT;
static struct spinlock spinlock = SPINLOCK_INIT;
static unsigned int by_mutex GUARDED_BY(mutex);
static unsigned int by_spinlock GUARDED_BY(spinlock);

static void *count(void *arg UNUSED)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		mutex_lock(&mutex);
		by_mutex++;
		mutex_unlock(&mutex);
		spinlock_lock(&spinlock);
		by_spinlock++;
		spinlock_unlock(&spinlock);
	}
	return NULL;
}

static void test_exclusion(void **state UNUSED)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	mutex_lock(&mutex);
	assert_int_equal(by_mutex, THREADS * ROUNDS);
	mutex_unlock(&mutex);
	spinlock_lock(&spinlock);
	assert_int_equal(by_spinlock, THREADS * ROUNDS);
	spinlock_unlock(&spinlock);
}

static void *try_both(void *arg)
{
	struct mutex *m = arg;
	uintptr_t got = 0;

	if (mutex_trylock(m)) {
		got |= 1;
		mutex_unlock(m);
	}
	if (spinlock_trylock(&spinlock)) {
		got |= 2;
		spinlock_unlock(&spinlock);
	}
	return (void *)got;
}

static uintptr_t try_from_another_thread(struct mutex *m)
{
	pthread_t thread;
	void *got;

	assert_int_equal(pthread_create(&thread, NULL, try_both, m), 0);
	assert_int_equal(pthread_join(thread, &got), 0);
	return (uintptr_t)got;
}

static void test_trylock(void **state UNUSED)
{
	struct mutex m;
	uintptr_t while_held;
	uintptr_t while_free;

	mutex_init(&m);
	mutex_lock(&m);
	spinlock_lock(&spinlock);
	while_held = try_from_another_thread(&m);
	spinlock_unlock(&spinlock);
	mutex_unlock(&m);
	while_free = try_from_another_thread(&m);
	mutex_uninit(&m);
	assert_int_equal(while_held, 0);
	assert_int_equal(while_free, 3);
}

/* locks twice on purpose, which the analysis would refuse */
static void lock_twice(void) NO_THREAD_SAFETY_ANALYSIS
{
	struct mutex m;

	mutex_init(&m);
	mutex_lock(&m);
	mutex_lock(&m);
}

static void test_misuse_aborts(void **state UNUSED)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		signal(SIGABRT, SIG_DFL);
		lock_twice();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exclusion),
		cmocka_unit_test(test_trylock),
		cmocka_unit_test(test_misuse_aborts),
	};

	return cmocka_run_group_tests_name("mutex", tests, NULL, NULL);
}
