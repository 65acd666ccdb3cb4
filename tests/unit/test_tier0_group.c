/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <string.h>

#include "datapath/tier0_group.h"
#include "lib/util.h"
#include "tests/unit/test.h"

static struct tier0_slot make_slot(uint16_t output, const uint16_t *copies, uint8_t n)
{
	struct tier0_slot slot = {.output = output, .n_ops = n + 1};

	/* A change among them is none of its business. */
	slot.ops[0] = (struct tier0_op){.type = TIER0_OP_PATCH, .value = 9, .mask = 9};
	for (uint8_t i = 0; i < n; i++)
		slot.ops[i + 1] = (struct tier0_op){.type = TIER0_OP_OUTPUT, .value = copies[i]};
	return slot;
}

static void read_set(uint16_t output, const uint16_t *copies, uint8_t n, struct tier0_group *set)
{
	struct tier0_slot slot = make_slot(output, copies, n);

	tier0_group_read(&slot, set);
}

/* The order of outputs makes no other set, a port that is there twice does. */
static void test_sets(void **state UNUSED)
{
	static const uint16_t a[] = {3, 2}, b[] = {7, 3}, c[] = {2, 2, 3};
	struct tier0_group groups[TIER0_GROUPS_MAX] = {{.n_ports = 0}}, set;

	read_set(7, a, ARRAY_SIZE(a), &set);
	assert_int_equal(set.n_ports, 3);
	assert_int_equal(set.ports[0], 2);
	assert_int_equal(set.ports[1], 3);
	assert_int_equal(set.ports[2], 7);
	groups[5] = set;
	groups[5].n_slots = 1;
	read_set(2, b, ARRAY_SIZE(b), &set);
	assert_int_equal(tier0_group_find(groups, &set, 0), 5);
	read_set(7, c, ARRAY_SIZE(c), &set);
	assert_int_equal(set.n_ports, 4);
	assert_int_equal(tier0_group_find(groups, &set, 0), 1);
	read_set(7, NULL, 0, &set);
	assert_int_equal(set.n_ports, 1);
}

/* All taken; then one that left is its own set's at once, and another's after its grace period. */
static void test_full(void **state UNUSED)
{
	struct tier0_group groups[TIER0_GROUPS_MAX] = {{.n_ports = 0}}, set;
	uint16_t copy;

	for (copy = 1; copy < TIER0_GROUPS_MAX; copy++) {
		uint32_t no;

		read_set(100, &copy, 1, &set);
		no = tier0_group_find(groups, &set, 0);
		assert_in_range(no, 1, TIER0_GROUPS_MAX - 1);
		assert_int_equal(groups[no].n_ports, 0);
		set.n_slots = 1;
		groups[no] = set;
	}
	read_set(100, &copy, 1, &set);
	assert_int_equal(tier0_group_find(groups, &set, 9), 0);
	groups[17].n_slots = 0;
	groups[17].label = 10;
	assert_int_equal(tier0_group_find(groups, &set, 9), 0);
	assert_int_equal(tier0_group_find(groups, &groups[17], 9), 17);
	assert_int_equal(tier0_group_find(groups, &set, 10), 17);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests_name("tier0_group", tests, NULL, NULL);
}
