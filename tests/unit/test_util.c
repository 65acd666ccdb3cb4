/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/util.h"
#include "tests/unit/test.h"

struct inner {
	int a;
};

struct outer {
	char pad[3];
	struct inner inner;
	uint8_t hot cacheline_aligned;
};

static void test_container_of(void **state UNUSED)
{
	struct outer o = {.inner = {.a = 7}};
	struct inner *i = &o.inner;

	assert_ptr_equal(container_of(i, struct outer, inner), &o);
}

static void test_array_size(void **state UNUSED)
{
	uint32_t a[5];

	assert_int_equal(ARRAY_SIZE(a), 5);
	assert_int_equal(BUILD_ASSERT_ZERO(sizeof(a) == 20), 0);
}

static void test_cacheline(void **state UNUSED)
{
	assert_int_equal(offsetof(struct outer, hot) % CACHE_LINE, 0);
	assert_int_equal(sizeof(struct outer) % CACHE_LINE, 0);
}

static void test_rounding(void **state UNUSED)
{
	assert_int_equal(ROUND_UP(0u, 8u), 0);
	assert_int_equal(ROUND_UP(1u, 8u), 8);
	assert_int_equal(ROUND_UP(8u, 8u), 8);
	assert_int_equal(ROUND_UP(9u, 6u), 12);
	assert_int_equal(ROUND_DOWN(17u, 8u), 16);
	assert_int_equal(DIV_ROUND_UP(UINT32_MAX, 2u), 0x80000000u);
	assert_int_equal(ROUND_UP(UINT64_MAX - 70, 64u), UINT64_MAX - 63);
}

static void test_each_argument_once(void **state UNUSED)
{
	unsigned int n = 0;

	assert_int_equal(MAX(++n, 0u), 1);
	assert_int_equal(MIN(++n, 9u), 2);
	assert_int_equal(CLAMP(++n, 1u, 9u), 3);
	assert_int_equal(ROUND_UP(++n, 4u), 4);
	assert_int_equal(ROUND_DOWN(++n, 4u), 4);
	assert_int_equal(IS_POW2(++n), 0);
	assert_int_equal(n, 6);
}

static void test_order(void **state UNUSED)
{
	assert_int_equal(MIN(-3, 2), -3);
	assert_int_equal(MAX(-3, 2), 2);
	assert_int_equal(CLAMP(-3, 0, 5), 0);
	assert_int_equal(CLAMP(9, 0, 5), 5);
	assert_true(IS_POW2(64));
	assert_false(IS_POW2(0));
	assert_false(IS_POW2(-64));
	assert_true(IS_POW2(UINT64_C(1) << 63));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_container_of), cmocka_unit_test(test_array_size),
		cmocka_unit_test(test_cacheline),    cmocka_unit_test(test_rounding),
		cmocka_unit_test(test_order),	     cmocka_unit_test(test_each_argument_once),
	};

	return cmocka_run_group_tests_name("util", tests, NULL, NULL);
}
