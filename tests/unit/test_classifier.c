/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/clock.h"
#include "lib/rcu.h"
#include "openflow/classifier.h"
#include "tests/unit/random.h"
#include "tests/unit/rcu_group.h"
#include "tests/unit/test.h"

#include <pthread.h>
#include <string.h>

#define ROUNDS 12
#define RULES 300
#define STEPS 12    /* changes of the rules in a round */
#define PROBES 120  /* keys looked up after each */
#define VARIANTS 12 /* of each key, outside of the mask */

/* The truth: a list of rules. */
struct reference {
	struct rule *rules[RULES];
	bool live[RULES];
};

static struct rule *make_rule(const struct match *match, uint16_t priority)
{
	struct rule_spec spec = {.match = *match, .priority = priority};
	struct rule *rule = rule_create(&spec, 1);

	assert_non_null(rule);
	return rule;
}

/* Few different values for each field, so that keys and rules meet. */
static void random_key(struct random *rng, struct flow_key *key)
{
	static const uint8_t protocols[] = {6, 17, 1, 0};

	memset(key, 0, sizeof(*key));
	key->in_port = 1 + random_below(rng, 4);
	key->dl_type = random_chance(rng, 70) ? 0x0008 : 0xdd86;
	key->vlan_tci = random_chance(rng, 70) ? 0 : (uint16_t)(0x0010 | random_below(rng, 3) << 8);
	key->dl_dst[5] = (uint8_t)random_below(rng, 4);
	key->dl_src[5] = (uint8_t)random_below(rng, 4);
	key->nw_proto = protocols[random_below(rng, 4)];
	key->nw_tos = (uint8_t)(random_below(rng, 3) << 2);
	key->tp_src = (uint16_t)random_below(rng, 6);
	key->tp_dst = (uint16_t)(random_below(rng, 6) << 8);
	key->nw_src = 0x000200c0 | random_below(rng, 8) << 24 | random_below(rng, 2) << 20;
	key->nw_dst = 0x003363c6 | random_below(rng, 8) << 28;
	key->ipv6_src[15] = (uint8_t)random_below(rng, 3);
	key->ipv6_dst[random_below(rng, 16)] = (uint8_t)random_below(rng, 3);
	key->nd_target[0] = (uint8_t)random_below(rng, 2);
	key->arp_sha[0] = (uint8_t)random_below(rng, 2);
}

/* Sets the first `n` bits. */
static void set_prefix(void *mask, unsigned int n)
{
	uint8_t *bytes = mask;

	memset(bytes, 0xff, n / 8);
	if (n % 8)
		bytes[n / 8] = (uint8_t)(0xff00u >> n % 8);
}

static void random_mask(struct random *rng, struct flow_key *mask)
{
	memset(mask, 0, sizeof(*mask));
	if (random_chance(rng, 30))
		mask->in_port = UINT32_MAX;
	if (random_chance(rng, 50))
		mask->dl_type = 0xffff;
	if (random_chance(rng, 20))
		mask->vlan_tci = random_chance(rng, 50) ? 0xff1f : 0x0010;
	if (random_chance(rng, 20))
		memset(mask->dl_dst, 0xff, 6);
	if (random_chance(rng, 10))
		mask->dl_src[5] = 0x01;
	if (random_chance(rng, 30))
		mask->nw_proto = 0xff;
	if (random_chance(rng, 30))
		set_prefix(&mask->nw_src, random_below(rng, 33));
	if (random_chance(rng, 30))
		set_prefix(&mask->nw_dst, random_below(rng, 33));
	if (random_chance(rng, 5))
		mask->nw_dst = random_u32(rng);
	if (random_chance(rng, 15))
		set_prefix(mask->ipv6_dst, random_below(rng, 129));
	if (random_chance(rng, 10))
		set_prefix(mask->ipv6_src, random_below(rng, 129));
	if (random_chance(rng, 30))
		set_prefix(&mask->tp_dst, random_below(rng, 17));
	if (random_chance(rng, 10))
		mask->tp_src = 0xffff;
	if (random_chance(rng, 5))
		mask->nd_target[0] = 0xff;
}

static void random_match(struct random *rng, struct match *match)
{
	random_key(rng, &match->value);
	random_mask(rng, &match->mask);
	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		match->value.w[i] &= match->mask.w[i];
}

/* The highest priority among the rules that match; -1: none does. */
static int reference_lookup(const struct reference *ref, const struct flow_key *key)
{
	int best = -1;

	for (int i = 0; i < RULES; i++) {
		if (ref->live[i] && match_covers_key(&ref->rules[i]->match, key) &&
		    ref->rules[i]->priority > best)
			best = ref->rules[i]->priority;
	}
	return best;
}

/* Changes bits of the key outside of the mask. */
static void vary(struct random *rng, const struct flow_key *key, const struct flow_key *mask,
		 struct flow_key *varied)
{
	struct flow_key other;

	random_key(rng, &other);
	for (int i = 0; i < FLOW_KEY_WORDS; i++) {
		/* some from another likely key, some of any kind */
		uint64_t noise = random_chance(rng, 50) ? other.w[i] ^ key->w[i]
							: random_u64(rng) & random_u64(rng);

		varied->w[i] = key->w[i] ^ (noise & ~mask->w[i]);
	}
}

/* Winner as the reference says, and the same one for all keys under the mask. */
static void check_key(struct random *rng, const struct classifier *cls, uint64_t version,
		      const struct reference *ref, const struct flow_key *key)
{
	struct flow_key mask = {0}, varied, unwanted;
	struct rule *rule = classifier_lookup(cls, version, key, &mask);

	assert_int_equal(rule ? rule->priority : -1, reference_lookup(ref, key));
	assert_true(!rule || match_covers_key(&rule->match, key));
	for (int i = 0; i < VARIANTS; i++) {
		vary(rng, key, &mask, &varied);
		assert_ptr_equal(classifier_lookup(cls, version, &varied, &unwanted), rule);
		assert_int_equal(rule ? rule->priority : -1, reference_lookup(ref, &varied));
	}
}

/* One change: removes and adds some rules; readers of the version before see nothing of it. */
static void change(struct random *rng, struct classifier *cls, uint64_t version,
		   struct reference *ref, unsigned int percent_live)
{
	struct reference before = *ref;
	struct rule *hidden[RULES];
	struct flow_key key;
	int n_hidden = 0;

	for (int i = 0; i < RULES; i++) {
		if (ref->live[i] && !random_chance(rng, percent_live)) {
			classifier_hide(ref->rules[i], version + 1);
			hidden[n_hidden++] = ref->rules[i];
			ref->live[i] = false;
		} else if (!ref->live[i] && random_chance(rng, percent_live / 2)) {
			struct match match;
			uint16_t priority = (uint16_t)random_below(rng, 100);

			random_match(rng, &match);
			if (classifier_find(cls, &match, priority))
				continue;
			ref->rules[i] = make_rule(&match, priority);
			assert_int_equal(classifier_insert(cls, ref->rules[i], version + 1), 0);
			ref->live[i] = true;
		}
	}
	assert_int_equal(classifier_publish(cls), 0);
	for (int i = 0; i < PROBES; i++) {
		random_key(rng, &key);
		check_key(rng, cls, version, &before, &key);
		check_key(rng, cls, version + 1, ref, &key);
	}
	for (int i = 0; i < n_hidden; i++)
		classifier_remove(cls, hidden[i]);
	classifier_purge(cls);
	for (int i = 0; i < PROBES; i++) {
		random_key(rng, &key);
		check_key(rng, cls, version + 1, ref, &key);
	}
}

static uint32_t count_live(const struct reference *ref)
{
	uint32_t n = 0;

	for (int i = 0; i < RULES; i++)
		n += ref->live[i];
	return n;
}

static void run_round(struct random *rng)
{
	struct reference ref = {0};
	struct classifier cls;
	struct classifier_cursor cursor;
	uint32_t n = 0;

	classifier_init(&cls);
	for (uint64_t version = 1; version <= STEPS; version++) {
		change(rng, &cls, version, &ref, version == STEPS ? 20 : 80);
		rcu_quiesce();
	}
	classifier_cursor_init(&cursor, &cls, NULL);
	while (classifier_cursor_next(&cursor))
		n++;
	assert_int_equal(n, count_live(&ref));
	assert_int_equal(n, cls.n_rules);
	change(rng, &cls, STEPS + 1, &ref, 0);
	assert_int_equal(cls.n_rules, 0);
	assert_int_equal(cls.n_subtables, 0);
	for (int t = 0; t < SUBTABLE_TRIES; t++)
		assert_null(rcu_get(&cls.tries[t].root));
	classifier_uninit(&cls);
}

static void test_random(void **state UNUSED)
{
	struct random rng;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		random_init(&rng, test_seed() + i);
		run_round(&rng);
	}
}

/* The reason for tries and stages: what an exact rule does to other packets' masks. */
static void test_mask_is_narrow(void **state UNUSED)
{
	struct match match = {0};
	struct classifier cls;
	struct flow_key key = {0}, mask = {0};

	classifier_init(&cls);
	/* dl_type=ip, nw_dst=192.0.2.1/32, tp_dst=80 */
	match.value.dl_type = 0x0008;
	match.mask.dl_type = 0xffff;
	match.value.nw_dst = 0x010200c0;
	match.mask.nw_dst = UINT32_MAX;
	match.value.tp_dst = 0x5000;
	match.mask.tp_dst = 0xffff;
	assert_int_equal(classifier_insert(&cls, make_rule(&match, 5), 1), 0);
	assert_int_equal(classifier_publish(&cls), 0);

	/* ARP: the second stage knows */
	key.dl_type = 0x0608;
	assert_null(classifier_lookup(&cls, 1, &key, &mask));
	assert_int_equal(mask.dl_type, 0xffff);
	assert_int_equal(mask.nw_dst, 0);
	/* another network: the trie knows after six bits */
	memset(&mask, 0, sizeof(mask));
	key.dl_type = 0x0008;
	key.nw_dst = 0x076433c6;
	assert_null(classifier_lookup(&cls, 1, &key, &mask));
	assert_int_equal(mask.nw_dst, 0x000000fc);
	assert_int_equal(mask.tp_dst, 0);
	assert_int_equal(mask.dl_type, 0);
	/* the rule itself: all of it */
	memset(&mask, 0, sizeof(mask));
	key.nw_dst = 0x010200c0;
	key.tp_dst = 0x5000;
	assert_non_null(classifier_lookup(&cls, 1, &key, &mask));
	assert_memory_equal(&mask, &match.mask, sizeof(mask));
	classifier_uninit(&cls);
}

/* A subtable of low priority is not looked at once a better rule is found. */
static void test_early_end(void **state UNUSED)
{
	struct match high = {0}, low = {0};
	struct flow_key key = {0}, mask = {0};
	struct classifier cls;

	classifier_init(&cls);
	high.value.in_port = 1;
	high.mask.in_port = UINT32_MAX;
	low.value.nw_tos = 4;
	low.mask.nw_tos = 0xff;
	assert_int_equal(classifier_insert(&cls, make_rule(&low, 10), 1), 0);
	assert_int_equal(classifier_insert(&cls, make_rule(&high, 20), 1), 0);
	assert_int_equal(classifier_publish(&cls), 0);
	key.in_port = 1;
	key.nw_tos = 4;
	assert_int_equal(classifier_lookup(&cls, 1, &key, &mask)->priority, 20);
	assert_int_equal(mask.nw_tos, 0);
	key.in_port = 2;
	assert_int_equal(classifier_lookup(&cls, 1, &key, &mask)->priority, 10);
	assert_int_equal(mask.nw_tos, 0xff);
	classifier_uninit(&cls);
}

/* Rules of one match and many priorities, linked and unlinked in any order. */
static void test_chain(void **state UNUSED)
{
	struct match match = {0};
	struct flow_key key = {0}, mask;
	struct rule *rules[64];
	struct classifier cls;
	struct random rng;

	random_init(&rng, test_seed());
	classifier_init(&cls);
	for (int i = 0; i < 64; i++) {
		rules[i] = make_rule(&match, (uint16_t)(i * 37 % 64));
		assert_int_equal(classifier_insert(&cls, rules[i], 1), 0);
	}
	assert_int_equal(classifier_publish(&cls), 0);
	for (int priority = 63; priority >= 0; priority--) {
		struct rule *best = classifier_lookup(&cls, 1, &key, &mask);

		assert_int_equal(best->priority, priority);
		assert_ptr_equal(classifier_find(&cls, &match, (uint16_t)priority), best);
		classifier_hide(best, 1);
		if (random_chance(&rng, 70))
			classifier_remove(&cls, best);
	}
	assert_null(classifier_lookup(&cls, 1, &key, &mask));
	classifier_uninit(&cls);
}

/* ---- readers beside the writer ---- */

#define STEADY 64

/* What readers look for while the writer is at work. */
struct readers {
	struct classifier cls;
	_Atomic uint64_t version;
	_Atomic bool stop;
	struct rule *steady[STEADY]; /* are there all the time */
	_Atomic uint64_t n_lookups;
	_Atomic uint64_t n_wrong;
};

/* Rules for 192.0.2.N/32; the others, of higher priority, are in the same subtables and all around
 * in the tries, but match none of these addresses. */
static void steady_match(int n, struct match *match)
{
	memset(match, 0, sizeof(*match));
	match->mask.dl_type = UINT16_MAX;
	match->value.dl_type = 0x0008;
	match->mask.nw_dst = UINT32_MAX;
	match->value.nw_dst = 0x000200c0 | (uint32_t)(n * 2) << 24;
}

static void random_other_match(struct random *rng, struct match *match)
{
	steady_match((int)random_below(rng, STEADY), match);
	if (random_chance(rng, 50)) {
		match->value.nw_dst |= 1u << 24;
	} else {
		set_prefix(&match->mask.nw_dst, 8 + random_below(rng, 16));
		match->mask.nw_dst &= ~(1u << random_below(rng, 8));
		match->value.nw_dst = random_u32(rng) & match->mask.nw_dst;
		match->mask.tp_dst = UINT16_MAX;
		match->value.tp_dst = 1;
	}
}

static void *read_all_the_time(void *arg)
{
	struct readers *r = arg;
	uint64_t n = 0, n_wrong = 0;

	rcu_join();
	while (!atomic_load(&r->stop)) {
		for (int i = 0; i < STEADY; i++) {
			struct flow_key key = r->steady[i]->match.value, mask = {0};
			uint64_t version = atomic_load(&r->version);

			n_wrong += classifier_lookup(&r->cls, version, &key, &mask) !=
				   r->steady[i];
			n++;
		}
		rcu_quiesce();
	}
	rcu_leave();
	atomic_fetch_add(&r->n_lookups, n);
	atomic_fetch_add(&r->n_wrong, n_wrong);
	return NULL;
}

/* Adds up to `n` other rules, removes them again. */
static void churn(struct random *rng, struct readers *r, int n)
{
	struct rule *others[200];
	uint64_t version = atomic_load(&r->version);
	int n_others = 0;

	for (int i = 0; i < n; i++) {
		struct match match;

		random_other_match(rng, &match);
		if (classifier_find(&r->cls, &match, 9))
			continue;
		others[n_others] = make_rule(&match, 9);
		assert_int_equal(classifier_insert(&r->cls, others[n_others++], version + 1), 0);
	}
	assert_int_equal(classifier_publish(&r->cls), 0);
	atomic_store(&r->version, version + 1);
	for (int i = 0; i < n_others; i++)
		classifier_hide(others[i], version + 2);
	assert_int_equal(classifier_publish(&r->cls), 0);
	atomic_store(&r->version, version + 2);
	rcu_wait();
	for (int i = 0; i < n_others; i++)
		classifier_remove(&r->cls, others[i]);
	classifier_purge(&r->cls);
}

static void test_readers(void **state UNUSED)
{
	struct random rng;
	pthread_t threads[2];
	struct readers r;

	memset(&r, 0, sizeof(r));
	random_init(&rng, test_seed());
	classifier_init(&r.cls);
	atomic_store(&r.version, 1);
	for (int i = 0; i < STEADY; i++) {
		struct match match;

		steady_match(i, &match);
		r.steady[i] = make_rule(&match, 5);
		assert_int_equal(classifier_insert(&r.cls, r.steady[i], 1), 0);
	}
	assert_int_equal(classifier_publish(&r.cls), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_all_the_time, &r), 0);
	for (int i = 0; i < 150; i++)
		churn(&rng, &r, 1 + (int)random_below(&rng, 200));
	atomic_store(&r.stop, true);
	rcu_offline();
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	rcu_online();
	assert_true(r.n_lookups > 0);
	assert_int_equal(r.n_wrong, 0);
	classifier_uninit(&r.cls);
}

/* Not a benchmark: a look-up among many rules stays within an order of magnitude of what it should
 * be, whatever else the machine does. */
static void test_many_rules(void **state UNUSED)
{
	enum { N = 100000, LOOKUPS = 20000 };
	struct classifier cls;
	struct random rng;
	uint64_t start, inserted;

	random_init(&rng, test_seed());
	classifier_init(&cls);
	start = clock_now();
	for (int i = 0; i < N; i++) {
		struct match match = {0};

		/* 60 masks: two prefix lengths, with and without a port */
		match.value.nw_src = random_u32(&rng);
		match.value.nw_dst = random_u32(&rng);
		set_prefix(&match.mask.nw_src, 16 + (unsigned int)i % 10);
		set_prefix(&match.mask.nw_dst, 27 + (unsigned int)(i / 10) % 6);
		match.mask.tp_dst = i % 2 ? 0xffff : 0;
		match.value.tp_dst = (uint16_t)random_below(&rng, 100);
		for (int w = 0; w < FLOW_KEY_WORDS; w++)
			match.value.w[w] &= match.mask.w[w];
		assert_int_equal(classifier_insert(&cls, make_rule(&match, (uint16_t)i), 1), 0);
	}
	assert_int_equal(classifier_publish(&cls), 0);
	inserted = clock_now();
	for (int i = 0; i < LOOKUPS; i++) {
		struct flow_key key = {.nw_src = random_u32(&rng), .nw_dst = random_u32(&rng)};
		struct flow_key mask = {0};

		key.tp_dst = (uint16_t)random_below(&rng, 100);
		classifier_lookup(&cls, 1, &key, &mask);
	}
	print_message("%d rules in %u masks: %.0f ns an insertion, %.0f ns a look-up\n", N,
		      cls.n_subtables, (double)(inserted - start) / N,
		      (double)(clock_now() - inserted) / LOOKUPS);
	assert_true(clock_now() - inserted < LOOKUPS * 100 * CLOCK_NS_PER_US);
	classifier_uninit(&cls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_mask_is_narrow),
		cmocka_unit_test(test_early_end),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_readers),
		cmocka_unit_test(test_many_rules),
	};

	return cmocka_run_group_tests_name("classifier", tests, rcu_group_setup,
					   rcu_group_teardown);
}
