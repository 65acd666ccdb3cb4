/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/clock.h"
#include "lib/rcu.h"
#include "openflow/mac_table.h"
#include "tests/unit/random.h"
#include "tests/unit/rcu_group.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define S CLOCK_NS_PER_S

static int setup(void **state)
{
	struct mac_table *table;

	assert_int_equal(mac_table_create(&table), 0);
	*state = table;
	return 0;
}

static int teardown(void **state)
{
	mac_table_destroy(*state);
	return 0;
}

/* Address number `n`. */
static const uint8_t *mac(uint32_t n)
{
	static __thread uint8_t macs[4][6];
	static __thread int next;
	uint8_t *m = macs[next++ % 4];

	m[0] = 2;
	m[1] = 0;
	memcpy(m + 2, &n, 4);
	return m;
}

static enum mac_learn learn(struct mac_table *table, uint32_t n, uint32_t ofport, uint64_t now)
{
	return mac_table_learn(table, mac(n), 0, ofport, now);
}

static uint32_t get_n_entries(struct mac_table *table)
{
	struct mac_table_stats stats;

	mac_table_get_stats(table, &stats);
	return stats.n_entries;
}

static void test_learn(void **state)
{
	struct mac_table *t = *state;

	assert_int_equal(mac_table_lookup(t, mac(1), 0), MAC_TABLE_NO_PORT);
	/* somebody looked for it: cached verdicts may rest on its absence */
	assert_int_equal(learn(t, 1, 7, S), MAC_LEARN_CHANGED);
	assert_int_equal(mac_table_lookup(t, mac(1), 0), 7);
	assert_int_equal(learn(t, 1, 7, S), MAC_LEARN_KNOWN);
	/* nobody asked for this one; looking without building on it leaves no mark */
	assert_int_equal(mac_table_peek(t, mac(2), 0), MAC_TABLE_NO_PORT);
	assert_int_equal(learn(t, 2, 7, S), MAC_LEARN_NEW);
	/* a move always counts */
	assert_int_equal(learn(t, 2, 8, S), MAC_LEARN_CHANGED);
	assert_int_equal(mac_table_lookup(t, mac(2), 0), 8);
	/* another VLAN, another station */
	assert_int_equal(mac_table_peek(t, mac(1), 10), MAC_TABLE_NO_PORT);
	assert_int_equal(mac_table_learn(t, mac(1), 10, 9, S), MAC_LEARN_NEW);
	assert_int_equal(mac_table_peek(t, mac(1), 10), 9);
	assert_int_equal(mac_table_peek(t, mac(1), 0), 7);
}

static void test_never_learned(void **state)
{
	static const uint8_t group[6] = {1, 0, 0x5e, 0, 0, 1}, zero[6];

	assert_int_equal(mac_table_learn(*state, group, 0, 1, S), MAC_LEARN_REFUSED);
	assert_int_equal(mac_table_learn(*state, zero, 0, 1, S), MAC_LEARN_REFUSED);
	assert_int_equal(get_n_entries(*state), 0);
}

static void test_ageing(void **state)
{
	struct mac_table *t = *state;
	bool changed = false;

	learn(t, 1, 1, 1 * S);
	learn(t, 2, 1, 1 * S);
	assert_int_equal(mac_table_insert_static(t, mac(3), 0, 1, NULL), 0);
	assert_int_equal(mac_table_expire(t, 300 * S, &changed), 0);
	learn(t, 1, 1, 200 * S);
	assert_int_equal(mac_table_expire(t, 302 * S, &changed), 1);
	assert_false(changed); /* nobody sends to number 2 */
	assert_int_equal(mac_table_peek(t, mac(2), 0), MAC_TABLE_NO_PORT);
	assert_int_equal(mac_table_lookup(t, mac(1), 0), 1);
	assert_int_equal(mac_table_expire(t, 501 * S, &changed), 1);
	assert_true(changed);
	assert_int_equal(mac_table_peek(t, mac(3), 0), 1);
	/* settable, and 0 is never */
	assert_int_equal(mac_table_set_ageing(t, 10, NULL), 0);
	learn(t, 1, 1, 600 * S);
	assert_int_equal(mac_table_expire(t, 611 * S, &changed), 1);
	assert_int_equal(mac_table_set_ageing(t, 0, NULL), 0);
	learn(t, 1, 1, 620 * S);
	assert_int_equal(mac_table_expire(t, 10000000 * S, &changed), 0);
	assert_int_equal(mac_table_set_ageing(t, MAC_TABLE_AGEING_MAX + 1, NULL), -ERANGE);
}

/* A station that makes addresses up does not push out those of other ports. */
static void test_fair_eviction(void **state)
{
	struct mac_table *t = *state;
	struct mac_table_stats stats;

	assert_int_equal(mac_table_set_limit(t, 64, NULL), 0);
	for (uint32_t i = 0; i < 20; i++)
		learn(t, i, 1, S + i);
	for (uint32_t i = 1000; i < 3000; i++)
		assert_int_not_equal(learn(t, i, 2, 2 * S + i), MAC_LEARN_REFUSED);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(mac_table_peek(t, mac(i), 0), 1);
	mac_table_get_stats(t, &stats);
	assert_int_equal(stats.n_entries, 64);
	assert_int_equal(stats.n_evicted, 2020 - 64);
	assert_int_equal(stats.n_learned, 2020);
	/* the youngest 44 of port 2 are left */
	assert_int_equal(mac_table_peek(t, mac(2999), 0), 2);
	assert_int_equal(mac_table_peek(t, mac(2956), 0), 2);
	assert_int_equal(mac_table_peek(t, mac(2955), 0), MAC_TABLE_NO_PORT);
	/* a new port gets its share */
	for (uint32_t i = 5000; i < 5100; i++)
		learn(t, i, 3, 4 * S + i);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(mac_table_peek(t, mac(i), 0), 1);
	assert_int_equal(mac_table_peek(t, mac(5099), 0), 3);
	assert_int_equal(mac_table_peek(t, mac(2999), 0), 2);
}

/* An entry that is used stays in preference to one that is not. */
static void test_second_chance(void **state)
{
	struct mac_table *t = *state;

	assert_int_equal(mac_table_set_limit(t, 4, NULL), 0);
	for (uint32_t i = 0; i < 4; i++)
		learn(t, i, 1, S + i);
	learn(t, 0, 1, 3 * S);
	learn(t, 9, 1, 4 * S);
	assert_int_equal(mac_table_peek(t, mac(0), 0), 1);
	assert_int_equal(mac_table_peek(t, mac(1), 0), MAC_TABLE_NO_PORT);
}

/* An evicted destination is told of, another one not. */
static void test_eviction_tells(void **state)
{
	struct mac_table *t = *state;

	assert_int_equal(mac_table_set_limit(t, 1, NULL), 0);
	learn(t, 1, 1, S);
	assert_int_equal(learn(t, 2, 1, S), MAC_LEARN_NEW);
	assert_int_equal(mac_table_lookup(t, mac(2), 0), 1);
	assert_int_equal(learn(t, 3, 1, S), MAC_LEARN_CHANGED);
}

static void test_static(void **state)
{
	struct mac_table *t = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(mac_table_insert_static(t, mac(1), 0, 5, NULL), 0);
	assert_int_equal(learn(t, 1, 6, S), MAC_LEARN_REFUSED);
	assert_int_equal(mac_table_peek(t, mac(1), 0), 5);
	/* a learned entry is turned into a static one */
	learn(t, 2, 6, S);
	assert_int_equal(mac_table_insert_static(t, mac(2), 0, 7, NULL), 0);
	assert_int_equal(mac_table_peek(t, mac(2), 0), 7);
	assert_int_equal(mac_table_flush(t, MAC_TABLE_NO_PORT, 2 * S), 0);
	assert_int_equal(get_n_entries(t), 2);
	/* never evicted */
	assert_int_equal(mac_table_set_limit(t, 1, &err), -ERANGE);
	assert_int_equal(mac_table_set_limit(t, 2, NULL), 0);
	assert_int_equal(learn(t, 3, 6, S), MAC_LEARN_REFUSED);
	assert_int_equal(mac_table_insert_static(t, mac(3), 0, 5, &err), -ENOSPC);
	assert_int_equal(mac_table_remove(t, mac(1), 0, S), 0);
	assert_int_equal(mac_table_remove(t, mac(1), 0, S), -ENOENT);
	assert_int_equal(learn(t, 3, 6, S), MAC_LEARN_NEW);
	/* a port takes all its entries along */
	assert_int_equal(mac_table_remove_port(t, 7), 1);
	assert_int_equal(get_n_entries(t), 1);
}

static void test_flush(void **state)
{
	struct mac_table *t = *state;

	for (uint32_t i = 0; i < 10; i++)
		learn(t, i, 1 + i % 2, S);
	assert_int_equal(mac_table_flush(t, 2, 2 * S), 5);
	assert_int_equal(get_n_entries(t), 5);
	assert_int_equal(mac_table_flush(t, MAC_TABLE_NO_PORT, 2 * S), 5);
	assert_int_equal(get_n_entries(t), 0);
	/* what cached flows carried before does not bring entries back, what they carry after
	 * does */
	assert_int_equal(mac_table_touch(t, mac(1), 0, 1, 2 * S), MAC_LEARN_REFUSED);
	assert_int_equal(mac_table_touch(t, mac(1), 0, 1, 2 * S + 1), MAC_LEARN_NEW);
}

/* Traffic through cached flows keeps an entry, and moves it only on later news. */
static void test_touch(void **state)
{
	struct mac_table *t = *state;
	bool changed = false;

	learn(t, 1, 1, 10 * S);
	assert_int_equal(mac_table_touch(t, mac(1), 0, 1, 200 * S), MAC_LEARN_KNOWN);
	assert_int_equal(mac_table_expire(t, 400 * S, &changed), 0);
	/* the flow of its former port reports late */
	assert_int_equal(mac_table_touch(t, mac(1), 0, 2, 199 * S), MAC_LEARN_REFUSED);
	assert_int_equal(mac_table_peek(t, mac(1), 0), 1);
	assert_int_equal(mac_table_touch(t, mac(1), 0, 2, 202 * S), MAC_LEARN_CHANGED);
	assert_int_equal(mac_table_peek(t, mac(1), 0), 2);
}

/* More new addresses than the rate allows stay out, and are counted; time brings them in. */
static void test_storm(void **state)
{
	struct mac_table *t = *state;
	struct mac_table_stats stats;
	uint32_t n_refused = 0;

	assert_int_equal(mac_table_set_limit(t, 100000, NULL), 0);
	for (uint32_t i = 0; i < 30000; i++)
		n_refused += learn(t, i, 1, 10 * S) == MAC_LEARN_REFUSED;
	assert_int_equal(n_refused, 30000 - MAC_TABLE_LEARN_RATE / 2);
	mac_table_get_stats(t, &stats);
	assert_int_equal(stats.n_throttled, n_refused);
	/* known ones are not held up */
	assert_int_equal(learn(t, 1, 1, 10 * S), MAC_LEARN_KNOWN);
	/* a tenth of a second later a tenth of the rate */
	n_refused = 0;
	for (uint32_t i = 40000; i < 50000; i++)
		n_refused += learn(t, i, 1, 10 * S + S / 10) == MAC_LEARN_REFUSED;
	assert_int_equal(n_refused, 10000 - MAC_TABLE_LEARN_RATE / 10);
}

static void collect(void *aux, const struct mac_entry_info *info)
{
	struct mac_entry_info *infos = aux;
	uint32_t n;

	memcpy(&n, info->mac + 2, 4);
	infos[n] = *info;
}

static void test_dump(void **state)
{
	struct mac_entry_info infos[3] = {0};

	learn(*state, 0, 4, 10 * S);
	mac_table_learn(*state, mac(1), 20, 5, 12 * S);
	assert_int_equal(mac_table_insert_static(*state, mac(2), 0, 6, NULL), 0);
	mac_table_dump(*state, 15 * S, collect, infos);
	assert_int_equal(infos[0].ofport, 4);
	assert_int_equal(infos[0].age, 5 * S);
	assert_int_equal(infos[1].vlan, 20);
	assert_int_equal(infos[1].age, 3 * S);
	assert_true(infos[2].is_static);
	assert_int_equal(infos[2].age, 0);
}

/* Several workers learn, look up and touch while the control thread ages, flushes and lists. */
struct storm {
	struct mac_table *table;
	uint64_t seed;
	uint32_t ofport;
	uint64_t n_wrong; /* answers that nobody ever gave */
	_Atomic bool *stop;
};

static void *storm_run(void *arg)
{
	struct storm *storm = arg;
	struct random rng;

	rcu_join();
	random_init(&rng, storm->seed);
	while (!atomic_load(storm->stop)) {
		uint32_t n = random_below(&rng, 200), port;

		mac_table_learn(storm->table, mac(n), 0, storm->ofport, clock_now());
		port = mac_table_lookup(storm->table, mac(random_below(&rng, 200)), 0);
		storm->n_wrong += port > 3;
		mac_table_touch(storm->table, mac(n), 0, storm->ofport, clock_now());
		rcu_quiesce();
	}
	rcu_leave();
	return NULL;
}

static void ignore(void *aux UNUSED, const struct mac_entry_info *info UNUSED)
{
}

static void test_threads(void **state)
{
	struct mac_table *t = *state;
	_Atomic bool stop = false;
	struct storm storms[3];
	pthread_t threads[3];
	bool changed = false;

	assert_int_equal(mac_table_set_limit(t, 100, NULL), 0);
	for (uint32_t i = 0; i < 3; i++) {
		storms[i] = (struct storm){.table = t, .seed = i, .ofport = i + 1, .stop = &stop};
		assert_int_equal(pthread_create(&threads[i], NULL, storm_run, &storms[i]), 0);
	}
	for (int i = 0; i < 100; i++) {
		struct timespec nap = {.tv_nsec = 1000000};

		mac_table_expire(t, clock_now(), &changed);
		mac_table_dump(t, clock_now(), ignore, NULL);
		if (i % 10 == 0)
			mac_table_flush(t, MAC_TABLE_NO_PORT, clock_now());
		if (i % 25 == 0)
			mac_table_remove_port(t, 2);
		assert_true(get_n_entries(t) <= 100);
		rcu_quiesce();
		nanosleep(&nap, NULL);
	}
	atomic_store(&stop, true);
	rcu_offline();
	for (uint32_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	rcu_online();
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(storms[i].n_wrong, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_learn),
		TEST(test_never_learned),
		TEST(test_ageing),
		TEST(test_fair_eviction),
		TEST(test_second_chance),
		TEST(test_eviction_tells),
		TEST(test_static),
		TEST(test_flush),
		TEST(test_touch),
		TEST(test_storm),
		TEST(test_dump),
		TEST(test_threads),
	};

	return cmocka_run_group_tests_name("mac_table", tests, rcu_group_setup, rcu_group_teardown);
}
