/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/rcu.h"
#include "openflow/prefix_trie.h"
#include "tests/unit/random.h"
#include "tests/unit/rcu_group.h"
#include "tests/unit/test.h"

#include <string.h>

#define PREFIXES 400
#define PROBES 200

struct prefix {
	uint8_t value[16];
	unsigned int length;
	bool in_trie;
};

/* Do the first `n` bits agree? */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned int n)
{
	unsigned int bytes = n / 8, rest = n % 8;

	return memcmp(a, b, bytes) == 0 &&
	       (rest == 0 || ((a[bytes] ^ b[bytes]) & (0xff00u >> rest) & 0xff) == 0);
}

/* A value in which early bits are often alike, so that prefixes nest and branch. */
static void random_value(struct random *rng, uint8_t *value, unsigned int n_bits)
{
	for (unsigned int i = 0; i < n_bits / 8; i++)
		value[i] = random_chance(rng, 60) ? 0xc0 : (uint8_t)random_u32(rng);
}

/* What the trie says of `value` against all prefixes one by one. */
static void check_lookup(const struct prefix_trie *trie, const struct prefix *prefixes,
			 const uint8_t *value, unsigned int n_bits)
{
	struct prefix_match match;

	prefix_trie_lookup(trie, value, n_bits, &match);
	assert_true(match.n_bits <= n_bits);
	for (unsigned int length = 1; length <= n_bits; length++) {
		bool expected = false;

		for (int i = 0; i < PREFIXES; i++) {
			const struct prefix *p = &prefixes[i];

			if (p->in_trie && p->length == length &&
			    same_bits(p->value, value, length))
				expected = true;
		}
		assert_int_equal(prefix_match_has(&match, length), expected);
	}
}

/* Any value with the same n_bits leading bits gets the same answer for each length, as far as the
 * answer is "no". */
static void check_bits(struct random *rng, const struct prefix_trie *trie, const uint8_t *value,
		       unsigned int n_bits)
{
	struct prefix_match match, other_match;
	uint8_t other[16];

	prefix_trie_lookup(trie, value, n_bits, &match);
	for (unsigned int length = 1; length <= n_bits; length++) {
		unsigned int keep = match.n_bits < length ? match.n_bits : length;

		if (prefix_match_has(&match, length))
			continue;
		memcpy(other, value, sizeof(other));
		for (unsigned int bit = keep; bit < n_bits; bit++) {
			if (random_chance(rng, 50))
				other[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		}
		prefix_trie_lookup(trie, other, n_bits, &other_match);
		assert_false(prefix_match_has(&other_match, length));
	}
}

static void run_random(struct random *rng, unsigned int n_bits)
{
	struct prefix *prefixes = calloc(PREFIXES, sizeof(*prefixes));
	struct prefix_trie trie;
	struct graveyard yard;
	uint8_t value[16] = {0};

	prefix_trie_init(&trie);
	graveyard_init(&yard);
	for (int i = 0; i < PREFIXES; i++) {
		random_value(rng, prefixes[i].value, n_bits);
		prefixes[i].length = 1 + random_below(rng, n_bits);
	}
	for (int round = 0; round < 6; round++) {
		for (int i = 0; i < PREFIXES; i++) {
			struct prefix *p = &prefixes[i];

			if (p->in_trie && random_chance(rng, round == 5 ? 100 : 40)) {
				prefix_trie_remove(&trie, p->value, p->length, &yard);
				p->in_trie = false;
			} else if (!p->in_trie && round < 5 && random_chance(rng, 60)) {
				assert_int_equal(prefix_trie_insert(&trie, p->value, p->length,
								    &yard), 0);
				p->in_trie = true;
			}
		}
		for (int i = 0; i < PROBES; i++) {
			random_value(rng, value, n_bits);
			if (random_chance(rng, 50))
				memcpy(value, prefixes[random_below(rng, PREFIXES)].value, 16);
			check_lookup(&trie, prefixes, value, n_bits);
			check_bits(rng, &trie, value, n_bits);
		}
		graveyard_run(&yard);
	}
	/* all prefixes are gone: so are all nodes */
	assert_null(rcu_get(&trie.root));
	prefix_trie_uninit(&trie);
	graveyard_uninit(&yard);
	free(prefixes);
}

static void test_random(void **state UNUSED)
{
	static const unsigned int widths[] = {16, 32, 128};
	struct random rng;

	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		random_init(&rng, test_seed() + i);
		run_random(&rng, widths[i]);
	}
}

/* The example of the header: few bits are enough. */
static void test_few_bits(void **state UNUSED)
{
	static const uint8_t host[4] = {192, 0, 2, 1}, near[4] = {192, 0, 2, 9};
	static const uint8_t far[4] = {198, 51, 100, 7};
	struct prefix_trie trie;
	struct prefix_match match;
	struct graveyard yard;

	prefix_trie_init(&trie);
	graveyard_init(&yard);
	prefix_trie_lookup(&trie, host, 32, &match);
	assert_int_equal(match.n_bits, 0);
	assert_int_equal(prefix_trie_insert(&trie, host, 32, &yard), 0);
	prefix_trie_lookup(&trie, host, 32, &match);
	assert_true(prefix_match_has(&match, 32));
	prefix_trie_lookup(&trie, far, 32, &match);
	assert_false(prefix_match_has(&match, 32));
	assert_int_equal(match.n_bits, 6);
	prefix_trie_lookup(&trie, near, 32, &match);
	assert_int_equal(match.n_bits, 29);
	prefix_trie_uninit(&trie);
	graveyard_uninit(&yard);
}

/* The same prefix twice is there until it was removed twice. */
static void test_counted(void **state UNUSED)
{
	static const uint8_t net[4] = {192, 0, 2, 0};
	struct prefix_trie trie;
	struct prefix_match match;
	struct graveyard yard;

	prefix_trie_init(&trie);
	graveyard_init(&yard);
	assert_int_equal(prefix_trie_insert(&trie, net, 24, &yard), 0);
	assert_int_equal(prefix_trie_insert(&trie, net, 24, &yard), 0);
	prefix_trie_remove(&trie, net, 24, &yard);
	prefix_trie_lookup(&trie, net, 32, &match);
	assert_true(prefix_match_has(&match, 24));
	prefix_trie_remove(&trie, net, 24, &yard);
	prefix_trie_lookup(&trie, net, 32, &match);
	assert_false(prefix_match_has(&match, 24));
	prefix_trie_uninit(&trie);
	graveyard_uninit(&yard);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_few_bits),
		cmocka_unit_test(test_counted),
	};

	return cmocka_run_group_tests_name("prefix_trie", tests, rcu_group_setup,
					   rcu_group_teardown);
}
