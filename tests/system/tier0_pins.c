/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables of tier 0 that outlive their owner: what is in them is found again, and what is wrong in
 * them does no harm, whatever it is.
 */
#include "config.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/pin_dir.h"
#include "datapath/tier0_priv.h"
#include "tests/system/bed.h"
#include "tests/unit/random.h"
#include "tests/unit/test.h"

#define BPFFS "/sys/fs/bpf"
#define SLOTS 256
#define FLOWS 100
#define MASKS 5
#define TAMPERINGS 300

static const struct tier0_config config = {
	.wanted = true,
	.max_flows = SLOTS,
	.bpffs = BPFFS,
	.pin_name = "test",
};

static struct tier0 *open_tier0(void)
{
	struct tier0 *tier0;

	assert_int_equal(tier0_create(&config, &tier0), 0);
	assert_string_equal(tier0->why_no_pins.text, "");
	assert_non_null(tier0_reserve(tier0, NULL));
	return tier0;
}

static enum tier0_reason insert(struct tier0 *tier0, uint32_t number, uint32_t *slot_no)
{
	struct flow_key key = {.in_port = 1 + number}, mask = {.in_port = UINT32_MAX};
	struct tier0_slot slot = {.output = (uint16_t)(1 + number)};

	/* Masks of both lengths. */
	if (number % MASKS)
		mask.w[2 + number % MASKS * 2] = UINT64_MAX;
	return tier0_insert(tier0, &key, &mask, &slot, 1, slot_no);
}

static uint32_t find(const struct tier0 *tier0, uint32_t number)
{
	for (uint32_t no = 1; no < tier0->n_touched; no++)
		if (tier0->entries[no].state == TIER0_IN_USE &&
		    tier0->maps.slots[no].key.in_port == 1 + number)
			return no;
	return 0;
}

/* Leaves FLOWS of them behind. */
static void leave_flows(void)
{
	struct tier0 *tier0 = open_tier0();
	uint32_t slot_no;

	assert_false(tier0->is_taken_over);
	for (uint32_t i = 0; i < FLOWS; i++) {
		assert_int_equal(insert(tier0, i, &slot_no), TIER0_NONE);
		tier0->maps.slots[slot_no].n_packets = i;
		tier0->maps.seen[slot_no].n_packets = i / 2;
	}
	strcpy(tier0->maps.names[7].text, "seven");
	tier0_keep(tier0);
	tier0_destroy(tier0);
}

/* Do books and tables agree? */
static void check_books(const struct tier0 *tier0)
{
	const struct tier0_control *control = tier0->maps.control;
	uint32_t n_flows = 0, n_masks = 0, seen = 0;

	for (uint32_t b = 0; b < tier0->maps.n_buckets; b++) {
		for (int way = 0; way < TIER0_WAYS; way++) {
			uint32_t no = (uint32_t)tier0->maps.buckets[b].places[way];
			const struct tier0_entry *entry = &tier0->entries[no];

			if (!tier0->maps.buckets[b].places[way])
				continue;
			assert_in_range(no, 1, tier0->n_touched - 1);
			assert_int_equal(entry->state, TIER0_IN_USE);
			assert_int_equal(entry->bucket, b);
			assert_int_equal(entry->way, way);
			n_flows++;
		}
	}
	assert_int_equal(tier0->n_flows, n_flows);
	for (int no = 0; no < TIER0_MASKS_MAX; no++)
		n_masks += tier0->masks[no].n_flows != 0;
	assert_int_equal(control->n_masks, n_masks);
	for (uint32_t rank = 0; rank < n_masks; rank++) {
		uint32_t no = control->order >> (4 * rank) & 15;

		assert_int_not_equal(tier0->masks[no].n_flows, 0);
		assert_int_equal(seen & 1u << no, 0);
		seen |= 1u << no;
	}
}

static void is_found_again(void **state)
{
	struct tier0 *tier0;
	uint32_t slot_no;

	(void)state;
	leave_flows();
	tier0 = open_tier0();
	assert_true(tier0->is_taken_over);
	assert_int_equal(tier0->n_flows, FLOWS);
	assert_int_equal(tier0->maps.control->held_generation, 1);
	check_books(tier0);
	for (uint32_t i = 0; i < FLOWS; i++) {
		slot_no = find(tier0, i);
		assert_int_not_equal(slot_no, 0);
		assert_int_equal(tier0->maps.slots[slot_no].output, 1 + i);
		assert_int_equal(tier0->maps.slots[slot_no].n_packets, i);
		assert_int_equal(tier0->maps.seen[slot_no].n_packets, i / 2);
		assert_int_equal(insert(tier0, i, &slot_no), TIER0_OTHER);
	}
	assert_int_equal(tier0_get_former_no(tier0, "seven"), 7);
	assert_int_equal(tier0_get_former_no(tier0, "eight"), 0);
	assert_true(tier0_is_former_no(tier0, 7));
	for (uint32_t i = FLOWS; i < 2 * FLOWS; i++)
		assert_int_equal(insert(tier0, i, &slot_no), TIER0_NONE);
	check_books(tier0);
	tier0_destroy(tier0);
	/* It was not kept. */
	assert_int_not_equal(access(BPFFS "/vswitch", F_OK), 0);
}

/* Changes the tables behind their owner's back. */
static void tamper(struct random *rng, struct tier0_maps *maps)
{
	struct tier0_control *control = maps->control;
	uint64_t *words;
	size_t n;

	switch (random_below(rng, 6)) {
	case 0:
		words = (uint64_t *)maps->buckets;
		n = sizeof(*maps->buckets) * maps->n_buckets / 8;
		words[random_below(rng, (uint32_t)n)] = words[random_below(rng, (uint32_t)n)];
		break;
	case 1:
		words = (uint64_t *)maps->buckets;
		n = sizeof(*maps->buckets) * maps->n_buckets / 8;
		words[random_below(rng, (uint32_t)n)] = random_u64(rng);
		break;
	case 2:
		words = (uint64_t *)maps->slots;
		n = sizeof(*maps->slots) * maps->n_slots / 8;
		words[random_below(rng, (uint32_t)n)] ^= UINT64_C(1) << random_below(rng, 64);
		break;
	case 3:
		control->order = random_u64(rng);
		break;
	case 4:
		control->n_masks = random_u32(rng);
		break;
	case 5:
		words = (uint64_t *)control->masks;
		words[random_below(rng, sizeof(control->masks) / 8)] ^= UINT64_C(1)
									<< random_below(rng, 64);
		break;
	}
}

static void does_no_harm(void **state)
{
	struct random rng;

	(void)state;
	random_init(&rng, test_seed());
	for (int i = 0; i < TAMPERINGS; i++) {
		struct tier0_maps maps;
		struct pin_dir *pins;
		struct tier0 *tier0;
		uint32_t slot_no, n;

		if (i % 10 == 0) {
			leave_flows();
		} else {
			tier0 = open_tier0();
			tier0_keep(tier0);
			tier0_destroy(tier0);
		}
		assert_int_equal(pin_dir_open(BPFFS, "test", &pins, NULL), 0);
		assert_int_equal(tier0_maps_adopt(&maps, pins, NULL), 0);
		for (n = 1 + random_below(&rng, 20); n; n--)
			tamper(&rng, &maps);
		tier0_maps_destroy(&maps);
		pin_dir_keep(pins);
		pin_dir_close(pins);
		tier0 = open_tier0();
		assert_true(tier0->is_taken_over);
		check_books(tier0);
		for (n = 0; n < FLOWS; n++)
			(void)!insert(tier0, random_below(&rng, 200), &slot_no);
		check_books(tier0);
		if (i % 10 != 9)
			tier0_keep(tier0);
		tier0_destroy(tier0);
	}
}

/* Opens what leave_flows() has left after a change that makes it useless. */
static void expect_afresh(void (*change)(struct tier0_maps *maps), const char *unlinked)
{
	struct tier0_maps maps;
	struct pin_dir *pins;
	struct tier0 *tier0;

	leave_flows();
	assert_int_equal(pin_dir_open(BPFFS, "test", &pins, NULL), 0);
	assert_int_equal(tier0_maps_adopt(&maps, pins, NULL), 0);
	if (change)
		change(&maps);
	tier0_maps_destroy(&maps);
	pin_dir_keep(pins);
	pin_dir_close(pins);
	if (unlinked)
		assert_int_equal(unlink(unlinked), 0);
	tier0 = open_tier0();
	assert_false(tier0->is_taken_over);
	assert_int_equal(tier0->n_flows, 0);
	assert_int_equal(tier0_get_former_no(tier0, "seven"), 0);
	tier0_destroy(tier0);
}

static void change_build(struct tier0_maps *maps)
{
	maps->control->build++;
}

static void change_netns(struct tier0_maps *maps)
{
	maps->control->netns++;
}

static void change_size(struct tier0_maps *maps)
{
	maps->control->bucket_mask = UINT32_MAX;
}

static void is_not_used_when_strange(void **state)
{
	(void)state;
	expect_afresh(change_build, NULL);
	expect_afresh(change_netns, NULL);
	expect_afresh(change_size, NULL);
	expect_afresh(NULL, BPFFS "/vswitch/test/tier0_slots");
	expect_afresh(NULL, BPFFS "/vswitch/test/tier0_control");
	expect_afresh(NULL, BPFFS "/vswitch/test/tier0_devices");
}

static void is_said_when_there_is_no_bpffs(void **state)
{
	struct tier0_config elsewhere = config;
	struct tier0_stats stats;
	struct tier0 *tier0;

	(void)state;
	elsewhere.bpffs = "/tmp";
	assert_int_equal(tier0_create(&elsewhere, &tier0), 0);
	assert_non_null(tier0_reserve(tier0, NULL));
	tier0_get_stats(tier0, &stats);
	assert_null(stats.pinned);
	assert_string_equal(stats.why_not_pinned,
			    "/tmp is no BPF file system: mount -t bpf bpf /tmp");
	/* Then there is nothing to be kept. */
	tier0_keep(tier0);
	assert_false(tier0->is_kept);
	tier0_destroy(tier0);
}

static void folders_of_others_are_not_used(void **state)
{
	struct tier0_stats stats;
	struct tier0 *tier0;

	(void)state;
	assert_int_equal(mkdir(BPFFS "/vswitch", 0700), 0);
	assert_int_equal(chown(BPFFS "/vswitch", 65534, 65534), 0);
	assert_int_equal(tier0_create(&config, &tier0), 0);
	tier0_get_stats(tier0, &stats);
	assert_null(stats.pinned);
	assert_non_null(strstr(stats.why_not_pinned, "not a folder that is ours alone"));
	tier0_destroy(tier0);
	assert_int_equal(rmdir(BPFFS "/vswitch"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_found_again),
		cmocka_unit_test(does_no_harm),
		cmocka_unit_test(is_not_used_when_strange),
		cmocka_unit_test(is_said_when_there_is_no_bpffs),
		cmocka_unit_test(folders_of_others_are_not_used),
	};

	bed_enter();
	bed_run("mount -t bpf bpf " BPFFS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
