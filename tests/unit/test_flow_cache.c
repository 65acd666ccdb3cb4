/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <string.h>

#include "datapath/flow_cache.h"
#include "tests/unit/test.h"

/* A pipeline that only keeps the books: its cookies are accounts. */
struct account {
	uint64_t n_packets;
	uint64_t n_bytes;
	int refs;
};

static void credit(void *aux UNUSED, void *cookie, const struct flow_key *key UNUSED,
		   uint64_t n_packets, uint64_t n_bytes, uint64_t used UNUSED)
{
	struct account *account = cookie;

	assert_true(account->refs > 0);
	account->n_packets += n_packets;
	account->n_bytes += n_bytes;
}

static void release(void *aux UNUSED, void *cookie)
{
	struct account *account = cookie;

	account->refs--;
}

static const struct pipeline pipeline = {.credit = credit, .release = release};

/* Masks as rules make them: a few kinds, some words only. */
static void random_mask(struct flow_key *mask)
{
	memset(mask, 0, sizeof(*mask));
	mask->in_port = UINT32_MAX;
	if (random() % 2)
		memset(mask->dl_dst, 0xff, 6);
	if (random() % 2)
		mask->nw_dst = random() % 2 ? UINT32_MAX : 0xff;
	if (random() % 3 == 0)
		mask->tp_dst = 0xffff;
	if (random() % 4 == 0)
		memset(mask->ipv6_dst, 0xff, (size_t)(random() % 17));
	if (random() % 8 == 0)
		mask->w[FLOW_KEY_WORDS - 1] = UINT32_MAX;
}

/* Few values for each field, so that keys meet. */
static void random_key(struct flow_key *key)
{
	memset(key, 0, sizeof(*key));
	key->in_port = (uint32_t)random() % 3 + 1;
	key->dl_dst[5] = (uint8_t)(random() % 8);
	key->nw_dst = (uint32_t)random() % 4 << 6 | ((uint32_t)random() % 4 << 24);
	key->tp_dst = (uint16_t)(random() % 4);
	key->ipv6_dst[15] = (uint8_t)(random() % 4);
	key->arp_tha[3] = (uint8_t)(random() % 2);
}

static bool brute_match(const struct flow *flow, const struct flow_key *mask,
			const struct flow_key *key)
{
	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		if ((key->w[i] & mask->w[i]) != flow->key.w[i])
			return false;
	return true;
}

static unsigned int count_matches(const struct flow_cache *cache, const struct flow_key *key)
{
	unsigned int n = 0;

	for (uint32_t i = 1; i < cache->n_touched; i++) {
		const struct flow *flow = flow_cache_get(cache, i);

		n += flow && brute_match(flow, &flow->subtable->mask, key);
	}
	return n;
}

static struct flow *insert(struct flow_cache *cache, const struct flow_key *key,
			   const struct flow_key *mask, struct account *account)
{
	struct pipeline_verdict verdict = {.mask = *mask, .cookie = account};
	struct flow *flow;

	action_list_init(&verdict.actions);
	assert_int_equal(action_list_append_output(&verdict.actions, 3), 0);
	account->refs++;
	flow = flow_cache_insert(cache, key, &verdict, 1);
	assert_non_null(flow);
	assert_null(verdict.actions.actions);
	assert_int_equal(flow->output_port, 3);
	return flow;
}

/* Inserts, looks up, removes at random; a walk over all flows is the reference. */
static void test_random_against_walk(void **state UNUSED)
{
	struct account account = {0};
	struct flow_cache cache;
	uint64_t carried = 0;

	srandom((unsigned int)test_seed());
	assert_int_equal(flow_cache_init(&cache, 400, &pipeline, NULL), 0);
	for (int round = 0; round < 60000; round++) {
		struct flow_key key, mask;
		struct flow *flow;

		random_key(&key);
		flow = flow_cache_lookup(&cache, &key);
		assert_int_equal(flow != NULL, count_matches(&cache, &key) > 0);
		if (flow) {
			assert_true(brute_match(flow, &flow->subtable->mask, &key));
			flow->n_packets++;
			flow->n_bytes += 64;
			flow->used_ns = (uint64_t)round;
			carried++;
			if (random() % 8 == 0)
				flow_cache_remove(&cache, flow);
			continue;
		}
		random_mask(&mask);
		flow = insert(&cache, &key, &mask, &account);
		assert_ptr_equal(flow_cache_lookup(&cache, &key), flow);
		assert_true(cache.n_flows <= 400);
		assert_int_equal(account.refs, cache.n_flows);
	}
	flow_cache_uninit(&cache);
	assert_int_equal(account.refs, 0);
	assert_int_equal(account.n_packets, carried);
	assert_int_equal(account.n_bytes, carried * 64);
}

/* The same masked key again replaces the verdict and credits the former one. */
static void test_replaced_in_place(void **state UNUSED)
{
	struct account before = {0}, after = {0};
	struct flow_key key, mask;
	struct flow_cache cache;
	struct flow *flow;

	assert_int_equal(flow_cache_init(&cache, 10, &pipeline, NULL), 0);
	random_key(&key);
	random_mask(&mask);
	flow = insert(&cache, &key, &mask, &before);
	flow->n_packets = 5;
	flow->n_bytes = 500;
	assert_ptr_equal(insert(&cache, &key, &mask, &after), flow);
	assert_int_equal(before.refs, 0);
	assert_int_equal(before.n_packets, 5);
	assert_int_equal(cache.n_flows, 1);
	flow_cache_uninit(&cache);
	assert_int_equal(after.refs, 0);
	assert_int_equal(after.n_packets, 0);
}

/* A full cache lets the least recently used go, not one in use. */
static void test_eviction_spares_the_used(void **state UNUSED)
{
	struct flow_key key = {.in_port = 1}, mask = {.in_port = UINT32_MAX, .nw_dst = UINT32_MAX};
	struct account account = {0};
	struct flow_cache cache;
	struct flow *busy;

	assert_int_equal(flow_cache_init(&cache, 16, &pipeline, NULL), 0);
	busy = insert(&cache, &key, &mask, &account);
	for (uint32_t i = 1; i < 1000; i++) {
		key.nw_dst = i;
		busy->used_ns = 1000 + i;
		insert(&cache, &key, &mask, &account)->used_ns = i;
	}
	assert_int_equal(cache.n_flows, 16);
	key.nw_dst = 0;
	assert_ptr_equal(flow_cache_lookup(&cache, &key), busy);
	flow_cache_uninit(&cache);
	assert_int_equal(account.refs, 0);
}

/* Signatures lead to a flow that matches or to none, also when flows have come and gone. */
static void test_signatures_are_confirmed(void **state UNUSED)
{
	struct account account = {0};
	struct flow_cache cache;
	unsigned int n_found = 0;

	srandom((unsigned int)test_seed());
	assert_int_equal(flow_cache_init(&cache, 64, &pipeline, NULL), 0);
	for (int round = 0; round < 50000; round++) {
		struct flow_key key, mask;
		struct flow *flow;
		uint32_t signature;

		random_key(&key);
		/* Far too few signatures on purpose: strangers share them. */
		signature = flow_signature((uint32_t)random() % 7, key.in_port);
		flow = flow_cache_lookup_signature(&cache, signature, &key);
		if (flow) {
			assert_true(brute_match(flow, &flow->subtable->mask, &key));
			n_found++;
			continue;
		}
		flow = flow_cache_guess(&cache, signature);
		assert_false(flow->subtable && brute_match(flow, &flow->subtable->mask, &key));
		flow = flow_cache_lookup(&cache, &key);
		if (!flow) {
			random_mask(&mask);
			flow = insert(&cache, &key, &mask, &account);
		}
		flow->used_ns = (uint64_t)round;
		flow_cache_remember(&cache, signature, flow);
		assert_ptr_equal(flow_cache_lookup_signature(&cache, signature, &key), flow);
	}
	assert_true(n_found > 100);
	flow_cache_uninit(&cache);
	assert_int_equal(account.refs, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_against_walk),
		cmocka_unit_test(test_replaced_in_place),
		cmocka_unit_test(test_eviction_spares_the_used),
		cmocka_unit_test(test_signatures_are_confirmed),
	};

	return cmocka_run_group_tests_name("flow_cache", tests, NULL, NULL);
}
