/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/ofaction.h"
#include "tests/unit/test.h"

#include <errno.h>
#include "lib/util.h"

static void test_append_clone(void **state UNUSED)
{
	struct ofaction_list list, copy;

	ofaction_list_init(&list);
	for (uint32_t i = 1; i <= 100; i++) {
		struct ofaction action = {.type = OFACTION_OUTPUT, .port = i};

		assert_int_equal(ofaction_list_append(&list, &action), 0);
		assert_int_equal(list.n, i);
	}
	assert_int_equal(ofaction_list_clone(&copy, &list), 0);
	assert_true(ofaction_list_equals(&list, &copy));
	assert_ptr_not_equal(list.actions, copy.actions);
	copy.actions[99].port = 1;
	assert_false(ofaction_list_equals(&list, &copy));
	copy.n--;
	assert_false(ofaction_list_equals(&list, &copy));
	ofaction_list_uninit(&copy);
	ofaction_list_uninit(&list);
	assert_null(list.actions);
	assert_int_equal(ofaction_list_clone(&copy, &list), 0);
	assert_int_equal(copy.n, 0);
}

static void test_bound(void **state UNUSED)
{
	struct ofaction action = {.type = OFACTION_DEC_TTL};
	struct ofaction_list list;

	ofaction_list_init(&list);
	for (int i = 0; i < OFACTION_LIST_MAX; i++)
		assert_int_equal(ofaction_list_append(&list, &action), 0);
	assert_int_equal(ofaction_list_append(&list, &action), -E2BIG);
	assert_int_equal(list.n, OFACTION_LIST_MAX);
	ofaction_list_uninit(&list);
}

/* members that a type does not use do not count */
static void test_equals(void **state UNUSED)
{
	struct ofaction a = {.type = OFACTION_STRIP_VLAN, .port = 7};
	struct ofaction b = {.type = OFACTION_STRIP_VLAN};
	struct ofaction_list one = {.actions = &a, .n = 1}, two = {.actions = &b, .n = 1};

	assert_true(ofaction_list_equals(&one, &two));
	a.type = b.type = OFACTION_SET_FIELD;
	assert_true(ofaction_list_equals(&one, &two));
	a.set.mask[15] = 1;
	assert_false(ofaction_list_equals(&one, &two));
	a.type = b.type = OFACTION_OUTPUT;
	assert_false(ofaction_list_equals(&one, &two));
	b.type = OFACTION_PUSH_VLAN;
	assert_false(ofaction_list_equals(&one, &two));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append_clone),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_equals),
	};

	return cmocka_run_group_tests_name("ofaction", tests, NULL, NULL);
}
