/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/nlerr.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <netlink/errno.h>

static void test_known(void **state UNUSED)
{
	assert_int_equal(nlerr_errno(-NLE_EXIST), -EEXIST);
	assert_int_equal(nlerr_errno(-NLE_NODEV), -ENODEV);
	assert_int_equal(nlerr_errno(-NLE_PERM), -EPERM);
	assert_int_equal(nlerr_errno(-NLE_AGAIN), -EAGAIN);
}

static void test_success_and_unknown(void **state UNUSED)
{
	assert_int_equal(nlerr_errno(0), 0);
	assert_int_equal(nlerr_errno(7), 7);
	assert_int_equal(nlerr_errno(-NLE_FAILURE), -EIO);
	assert_int_equal(nlerr_errno(-9999), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_success_and_unknown),
	};

	return cmocka_run_group_tests_name("nlerr", tests, NULL, NULL);
}
