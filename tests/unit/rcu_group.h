/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_RCU_GROUP_H
#define TESTS_UNIT_RCU_GROUP_H

/*
 * Set-up and teardown of a group of tests that run as a thread of RCU (lib/rcu.h): the seed of
 * random tests is told at the start, and what was deferred has run at the end, so that a leak
 * checker finds nothing.
 *
 *	return cmocka_run_group_tests_name("module", tests, rcu_group_setup, rcu_group_teardown);
 *
 * Thread-safety: for cmocka, in the thread that runs the tests.
 */

#include "lib/rcu.h"
#include "lib/util.h"
#include "tests/unit/test.h"

static inline int rcu_group_setup(void **state UNUSED)
{
	rcu_join();
	print_message("seed %#llx\n", (unsigned long long)test_seed());
	return 0;
}

static inline int rcu_group_teardown(void **state UNUSED)
{
	rcu_drain();
	rcu_leave();
	return 0;
}

#endif
