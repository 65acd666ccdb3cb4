/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/clock.h"
#include "lib/util.h"
#include "tests/unit/test.h"

static void test_ns_goes_on(void **state UNUSED)
{
	const struct timespec pause = {.tv_nsec = 2 * CLOCK_NS_PER_MS};
	uint64_t before = clock_now();
	uint64_t after;

	assert_int_equal(nanosleep(&pause, NULL), 0);
	after = clock_now();
	assert_true(after - before >= 2 * CLOCK_NS_PER_MS);
	assert_true(after - before < 60 * CLOCK_NS_PER_S);
}

static void test_coarse_is_behind(void **state UNUSED)
{
	uint64_t coarse = clock_now_coarse();
	uint64_t fine = clock_now();

	assert_true(coarse <= fine);
	assert_true(fine - coarse < CLOCK_NS_PER_S);
}

static void test_cycles_go_on(void **state UNUSED)
{
	uint64_t start = clock_cycles();

	for (unsigned int i = 0; i < 100000; i++)
		__asm__ volatile("" : : "r"(i));
	assert_true(clock_cycles() > start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ns_goes_on),
		cmocka_unit_test(test_coarse_is_behind),
		cmocka_unit_test(test_cycles_go_on),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
