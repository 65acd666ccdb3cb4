/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups of tier 0, in the kernel's own maps: which devices are in one, who shares it, when another
 * set gets it, and what is left of a port that goes.
 */
#include "config.h"

#include <net/if.h>
#include <string.h>

#include <bpf/bpf.h>

#include "datapath/tier0_priv.h"
#include "tests/system/bed.h"
#include "tests/unit/test.h"

#define N_DEVICES 3

static struct tier0 *tier0;
static uint32_t ifindexes[N_DEVICES];

static int setup(void **state UNUSED)
{
	static const struct tier0_config config = {.wanted = true, .max_flows = 64};
	struct error err = ERROR_INIT;

	assert_int_equal(tier0_create(&config, &tier0), 0);
	if (!tier0_reserve(tier0, &err))
		fail_msg("%s", err.text);
	assert_true(tier0->maps.groups_fd >= 0);
	/* Port i + 1 is device i, port 10 is not there. */
	for (uint32_t i = 0; i < N_DEVICES; i++)
		tier0->maps.targets[i + 1] = (struct tier0_target){
			.max_len = 1518,
			.ifindex = ifindexes[i],
			.flags = TIER0_TARGET_XDP,
		};
	return 0;
}

static int teardown(void **state UNUSED)
{
	tier0_destroy(tier0);
	return 0;
}

/* A slot that sends to ports 1 to 3, so many times each. */
static struct tier0_slot make_slot(uint32_t n1, uint32_t n2, uint32_t n3)
{
	struct tier0_slot slot = {.generation = 0};
	uint32_t left[] = {n1, n2, n3};

	for (uint32_t i = 0; i < ARRAY_SIZE(left); i++) {
		for (; left[i]; left[i]--) {
			if (slot.output)
				slot.ops[slot.n_ops++] = (struct tier0_op){
					.type = TIER0_OP_OUTPUT,
					.value = i + 1,
				};
			else
				slot.output = (uint16_t)(i + 1);
		}
	}
	return slot;
}

/* The `no`-th set of several ports. */
static struct tier0_slot make_nth(uint32_t no)
{
	for (uint32_t n1 = 0; n1 <= TIER0_GROUP_PORTS; n1++)
		for (uint32_t n2 = 0; n1 + n2 <= TIER0_GROUP_PORTS; n2++)
			for (uint32_t n3 = 0; n1 + n2 + n3 <= TIER0_GROUP_PORTS; n3++)
				if (n1 + n2 + n3 > 1 && !no--)
					return make_slot(n1, n2, n3);
	fail();
	return make_slot(0, 0, 0);
}

/* The group's devices are those of the slot's ports, and no others. */
static void check_devices(const struct tier0_slot *slot)
{
	uint32_t expected[N_DEVICES] = {0}, found[N_DEVICES] = {0};

	expected[slot->output - 1]++;
	for (uint32_t i = 0; i < slot->n_ops; i++)
		expected[slot->ops[i].value - 1]++;
	for (uint32_t i = 0; i < TIER0_GROUP_PORTS; i++) {
		uint32_t ifindex;

		if (bpf_map_lookup_elem(tier0->maps.group_fds[slot->group], &i, &ifindex))
			continue;
		for (uint32_t k = 0; k < N_DEVICES; k++)
			found[k] += ifindex == ifindexes[k];
	}
	assert_memory_equal(found, expected, sizeof(found));
}

static void test_shared(void **state UNUSED)
{
	struct tier0_slot single = make_slot(0, 1, 0), a = make_slot(1, 1, 0), b = a;
	struct tier0_slot c = make_slot(0, 2, 1), missing = make_slot(1, 1, 0);

	assert_int_equal(tier0_group_take(tier0, &single), TIER0_NONE);
	assert_int_equal(single.group, 0);
	assert_int_equal(tier0_group_take(tier0, &a), TIER0_NONE);
	assert_int_equal(tier0_group_take(tier0, &b), TIER0_NONE);
	assert_int_equal(tier0_group_take(tier0, &c), TIER0_NONE);
	assert_int_equal(a.group, b.group);
	assert_int_not_equal(a.group, 0);
	assert_int_not_equal(a.group, c.group);
	check_devices(&a);
	check_devices(&c);
	missing.ops[0].value = 10;
	assert_int_equal(tier0_group_take(tier0, &missing), TIER0_EGRESS);
}

static void test_full(void **state UNUSED)
{
	struct tier0_slot slots[TIER0_GROUPS_MAX], late;

	for (uint32_t no = 1; no < TIER0_GROUPS_MAX; no++) {
		slots[no] = make_nth(no);
		assert_int_equal(tier0_group_take(tier0, &slots[no]), TIER0_NONE);
	}
	for (uint32_t no = 1; no < TIER0_GROUPS_MAX; no++)
		check_devices(&slots[no]);
	late = make_nth(TIER0_GROUPS_MAX);
	assert_int_equal(tier0_group_take(tier0, &late), TIER0_GROUPS);
	tier0_group_put(tier0, slots[30].group);
	/* A program may still have it. */
	assert_int_equal(tier0_group_take(tier0, &late), TIER0_GROUPS);
	tier0_wait(tier0);
	assert_int_equal(tier0_group_take(tier0, &late), TIER0_NONE);
	assert_int_equal(late.group, slots[30].group);
	check_devices(&late);
	/* A set with two slots stays when one goes. */
	assert_int_equal(tier0_group_take(tier0, &slots[7]), TIER0_NONE);
	tier0_group_put(tier0, slots[7].group);
	tier0_wait(tier0);
	assert_int_equal(tier0_group_take(tier0, &slots[30]), TIER0_GROUPS);
	check_devices(&slots[7]);
}

static void test_forget(void **state UNUSED)
{
	struct tier0_slot slot = make_slot(1, 1, 1), without = make_slot(1, 0, 1);
	struct tier0_target target = tier0->maps.targets[2];

	assert_int_equal(tier0_group_take(tier0, &slot), TIER0_NONE);
	tier0->maps.targets[2].flags = 0;
	tier0_group_forget(tier0, 2);
	without.group = slot.group;
	check_devices(&without);
	tier0_group_put(tier0, slot.group);
	assert_int_equal(tier0_group_take(tier0, &slot), TIER0_EGRESS);
	/* Back, as another device. */
	target.ifindex = ifindexes[0];
	tier0->maps.targets[2] = target;
	assert_int_equal(tier0_group_take(tier0, &slot), TIER0_NONE);
	without = make_slot(2, 0, 1);
	without.group = slot.group;
	check_devices(&without);
}

/* Slots that were there before: their groups are theirs, whoever comes later. */
static void test_adopt(void **state UNUSED)
{
	struct tier0_slot *slots = tier0->maps.slots, fresh = make_slot(0, 1, 1);

	slots[1] = slots[2] = make_slot(1, 1, 0);
	slots[1].group = slots[2].group = 1;
	slots[3] = make_slot(0, 1, 2);
	slots[3].group = 1;
	slots[4] = make_slot(1, 0, 0);
	slots[5] = make_slot(1, 2, 0);
	slots[5].group = TIER0_GROUPS_MAX;
	assert_true(tier0_group_adopt(tier0, 1));
	assert_true(tier0_group_adopt(tier0, 2));
	assert_false(tier0_group_adopt(tier0, 3));
	assert_true(tier0_group_adopt(tier0, 4));
	assert_false(tier0_group_adopt(tier0, 5));
	check_devices(&slots[1]);
	assert_int_equal(tier0->groups[1].n_slots, 2);
	assert_int_equal(tier0_group_take(tier0, &fresh), TIER0_NONE);
	assert_int_not_equal(fresh.group, 1);
	tier0_group_put(tier0, slots[1].group);
	tier0_group_put(tier0, slots[2].group);
	assert_int_equal(tier0->groups[1].n_slots, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forget, setup, teardown),
		cmocka_unit_test_setup_teardown(test_adopt, setup, teardown),
	};

	bed_enter();
	for (uint32_t i = 0; i < N_DEVICES; i++) {
		char name[8], peer[8];

		snprintf(name, sizeof(name), "p%u", i);
		snprintf(peer, sizeof(peer), "q%u", i);
		bed_add_veth(name, peer, "");
		ifindexes[i] = if_nametoindex(name);
	}
	return cmocka_run_group_tests_name("tier0_group", tests, NULL, NULL);
}
