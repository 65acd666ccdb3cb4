/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/rcu.h"
#include "openflow/hash_index.h"
#include "tests/unit/random.h"
#include "tests/unit/rcu_group.h"
#include "tests/unit/test.h"

#include <string.h>

#define ITEMS 2000
/* Few hashes, the reserved values among them: most entries share theirs with others. */
#define HASHES 500

struct item {
	uint32_t hash;
	bool is_in;
};

/* Is each item found under its hash, once, if it is in, and nothing else? */
static void check(const struct hash_index *index, const struct item *items)
{
	uint32_t n = 0, n_walked = 0, i = 0;
	struct item *item;

	for (uint32_t hash = 0; hash < HASHES; hash++) {
		struct hash_index_cursor cursor;

		for (item = hash_index_first(index, hash, &cursor); item;
		     item = hash_index_next(&cursor)) {
			/* hashes 0 and 1 are moved onto 2 and 3 */
			assert_int_equal(hash_index_normalize(item->hash),
					 hash_index_normalize(hash));
			assert_true(item->is_in);
			n += item->hash == hash;
		}
	}
	for (int k = 0; k < ITEMS; k++)
		n -= items[k].is_in;
	assert_int_equal(n, 0);
	while ((item = hash_index_walk(index, &i))) {
		assert_true(item->is_in);
		n_walked++;
	}
	assert_int_equal(n_walked, index->n);
}

static void test_random(void **state UNUSED)
{
	struct item *items = calloc(ITEMS, sizeof(*items));
	struct hash_index index;
	struct graveyard yard;
	struct random rng;

	random_init(&rng, test_seed());
	hash_index_init(&index);
	graveyard_init(&yard);
	check(&index, items);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < ITEMS; i++) {
			struct item *item = &items[i];

			if (item->is_in && random_chance(&rng, round % 2 ? 70 : 10)) {
				hash_index_remove(&index, item->hash, item);
				item->is_in = false;
			} else if (!item->is_in && random_chance(&rng, round % 2 ? 5 : 60)) {
				item->hash = random_below(&rng, HASHES);
				assert_int_equal(hash_index_insert(&index, item->hash, item, &yard),
						 0);
				item->is_in = true;
			}
		}
		check(&index, items);
		graveyard_run(&yard);
	}
	hash_index_uninit(&index);
	graveyard_uninit(&yard);
	free(items);
}

static void test_set(void **state UNUSED)
{
	struct hash_index_cursor cursor;
	struct hash_index index;
	struct graveyard yard;
	int a, b;

	hash_index_init(&index);
	graveyard_init(&yard);
	assert_int_equal(hash_index_insert(&index, 7, &a, &yard), 0);
	hash_index_set(&index, 7, &a, &b);
	assert_ptr_equal(hash_index_first(&index, 7, &cursor), &b);
	assert_null(hash_index_next(&cursor));
	hash_index_uninit(&index);
	graveyard_uninit(&yard);
}

/* Counted entries are there until each reference is gone. */
static void test_counted(void **state UNUSED)
{
	struct hash_index index;
	struct graveyard yard;

	hash_index_init(&index);
	graveyard_init(&yard);
	assert_false(hash_index_has(&index, 9));
	for (int i = 0; i < 3; i++)
		assert_int_equal(hash_index_ref(&index, 9, &yard), 0);
	assert_int_equal(index.n, 1);
	for (int i = 0; i < 3; i++) {
		assert_true(hash_index_has(&index, 9));
		hash_index_unref(&index, 9);
	}
	assert_false(hash_index_has(&index, 9));
	hash_index_uninit(&index);
	graveyard_uninit(&yard);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_counted),
	};

	return cmocka_run_group_tests_name("hash_index", tests, rcu_group_setup,
					   rcu_group_teardown);
}
