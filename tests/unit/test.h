/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

/*
 * The head of each unit test: cmocka with the headers that it wants ahead of it. A unit test is one
 * program for one module, tests/unit/test_MODULE.c, whose main() runs one group:
 *
 *	int main(void)
 *	{
 *		const struct CMUnitTest tests[] = {
 *			cmocka_unit_test(test_of_something),
 *		};
 *
 *		return cmocka_run_group_tests_name("module", tests, NULL, NULL);
 *	}
 *
 * Random tests take their seed from test_seed(): the environment variable VS_SEED, or a fixed one,
 * so that two runs do the same; they print it when they fail.
 *
 * Thread-safety: cmocka's assertions are for the thread that runs the test only; other threads
 * count, and the test asserts on the counts after joining them.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static inline uint64_t test_seed(void)
{
	const char *text = getenv("VS_SEED");

	return text ? strtoull(text, NULL, 0) : UINT64_C(0x5eed);
}

#endif
