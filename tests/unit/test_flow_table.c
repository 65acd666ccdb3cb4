/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/clock.h"
#include "lib/rcu.h"
#include "openflow/flow_table.h"
#include "openflow/rule_script.h"
#include "openflow/rule_text.h"
#include "tests/unit/random.h"
#include "tests/unit/rcu_group.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>

static int setup(void **state)
{
	struct flow_table *table;

	assert_int_equal(flow_table_create(&table), 0);
	*state = table;
	return 0;
}

static int teardown(void **state)
{
	flow_table_destroy(*state);
	return 0;
}

/* Makes the changes of a script at `now`, and what the caller of flow_table_modify() does next. */
static int apply(struct flow_table *table, const char *script, uint64_t now,
		 struct flow_mod_result *result)
{
	struct rule_script_errors errors = {0};
	struct rule_script parsed;
	int err;

	if (rule_script_parse("test", script, strlen(script), false, NULL, &parsed, &errors))
		fail_msg("%s", errors.errors[0].text);
	err = flow_table_modify(table, parsed.mods, parsed.n, now, result, NULL);
	rule_script_uninit(&parsed);
	rcu_wait();
	flow_table_purge(table);
	return err;
}

static void append_rule(void *aux, const struct rule *rule)
{
	struct rule_spec spec = {.match = rule->match,
				 .cookie = rule->cookie,
				 .priority = rule->priority,
				 .table_id = rule->table_id,
				 .idle_timeout = rule->idle_timeout,
				 .hard_timeout = rule->hard_timeout,
				 .actions = rule->actions};
	struct strbuf *out = aux;

	rule_format(&spec, NULL, NULL, out);
	if (rule->n_packets)
		strbuf_printf(out, " n=%llu", (unsigned long long)rule->n_packets);
	strbuf_puts(out, "\n");
}

/* The rules that fall under `filter` are `expected`, one a line. */
static void expect(struct flow_table *table, const char *filter, const char *expected)
{
	struct strbuf out = STRBUF_INIT;
	struct rule_spec spec;

	assert_int_equal(rule_parse(filter, strlen(filter), FLOW_MOD_DELETE, NULL, &spec, NULL), 0);
	assert_int_equal(flow_table_dump(table, &spec, append_rule, &out), 0);
	assert_string_equal(strbuf_get(&out), expected);
	strbuf_uninit(&out);
}

/* What a script makes of an empty table and of what is in it. */
static const struct {
	const char *name;
	const char *before; /* script, at 1 s; then each rule carries a packet */
	const char *script; /* at 2 s */
	const char *after;
} cases[] = {
	{"order of the listing", "",
	 "priority=1,ip actions=1\npriority=9,arp actions=2\npriority=1,tcp actions=3\n",
	 "priority=9,arp actions=output:2\npriority=1,ip actions=output:1\n"
	 "priority=1,tcp actions=output:3\n"},
	{"equal match and priority: replaced, counters start anew",
	 "priority=5,ip actions=1\n", "priority=5,cookie=7,ip actions=2\n",
	 "cookie=0x7, priority=5,ip actions=output:2\n"},
	{"equal match, other priority: both", "priority=5,ip actions=1\n",
	 "priority=6,ip actions=2\n",
	 "priority=6,ip actions=output:2\npriority=5,ip actions=output:1 n=1\n"},
	{"the later of two in one script", "", "priority=5,ip actions=1\npriority=5,ip actions=2\n",
	 "priority=5,ip actions=output:2\n"},
	{"modify, loose: all within, counters and timeouts stay",
	 "priority=5,tcp actions=1\npriority=6,udp,idle_timeout=9 actions=1\n"
	 "priority=7,arp actions=1\n",
	 "modify ip actions=3\n",
	 "priority=7,arp actions=output:1 n=1\n"
	 "idle_timeout=9, priority=6,udp actions=output:3 n=1\n"
	 "priority=5,tcp actions=output:3 n=1\n"},
	{"modify, strict: this one", "priority=5,ip actions=1\npriority=5,tcp actions=1\n",
	 "modify_strict priority=5,ip actions=3\n",
	 "priority=5,ip actions=output:3 n=1\npriority=5,tcp actions=output:1 n=1\n"},
	{"modify, strict, other priority: none", "priority=5,ip actions=1\n",
	 "modify_strict priority=6,ip actions=3\n", "priority=5,ip actions=output:1 n=1\n"},
	{"modify adds nothing", "", "modify ip actions=3\n", ""},
	{"modify sets the cookie", "priority=5,cookie=1,ip actions=1\n",
	 "modify cookie=2,ip actions=3\n", "cookie=0x2, priority=5,ip actions=output:3 n=1\n"},
	{"modify by cookie", "priority=5,cookie=1,ip actions=1\npriority=6,cookie=2,ip actions=1\n",
	 "modify cookie=2/0xff actions=3\n",
	 "cookie=0x2, priority=6,ip actions=output:3 n=1\n"
	 "cookie=0x1, priority=5,ip actions=output:1 n=1\n"},
	{"twice modified in one script", "priority=5,ip actions=1\n",
	 "modify ip actions=2\nmodify ip actions=3\n", "priority=5,ip actions=output:3 n=1\n"},
	{"delete, loose", "priority=5,tcp actions=1\npriority=6,arp actions=1\n", "delete ip\n",
	 "priority=6,arp actions=output:1 n=1\n"},
	{"delete all", "priority=5,tcp actions=1\npriority=6,arp actions=1\n", "delete\n", ""},
	{"delete, strict", "priority=5,ip actions=1\npriority=5,tcp actions=1\n",
	 "delete_strict priority=5,ip\n", "priority=5,tcp actions=output:1 n=1\n"},
	{"delete by cookie",
	 "priority=5,cookie=0x10,ip actions=1\npriority=5,cookie=0x21,arp actions=1\n",
	 "delete cookie=0x20/0xf0\n",
	 "cookie=0x10, priority=5,ip actions=output:1 n=1\n"},
	{"delete by output", "priority=5,ip actions=1,2\npriority=5,arp actions=12\n",
	 "delete out_port=2\n", "priority=5,arp actions=output:12 n=1\n"},
	{"delete in one table",
	 "table=1,priority=5,ip actions=1\ntable=2,priority=5,ip actions=1\n",
	 "delete table=1\n", "table=2, priority=5,ip actions=output:1 n=1\n"},
	{"add and delete in one script", "", "priority=5,ip actions=1\ndelete ip\n", ""},
	{"delete and add in one script: new counters", "priority=5,ip actions=1\n",
	 "delete\npriority=5,ip actions=1\n", "priority=5,ip actions=output:1\n"},
};

static void credit_rule(void *aux UNUSED, const struct rule *rule)
{
	rule_credit((struct rule *)(uintptr_t)rule, 1, 60, CLOCK_NS_PER_S);
}

static void test_cases(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		void *table;

		print_message("%s\n", cases[i].name);
		setup(&table);
		assert_int_equal(apply(table, cases[i].before, CLOCK_NS_PER_S, NULL), 0);
		assert_int_equal(flow_table_dump(table, NULL, credit_rule, NULL), 0);
		assert_int_equal(apply(table, cases[i].script, 2 * CLOCK_NS_PER_S, NULL), 0);
		expect(table, "", cases[i].after);
		teardown(&table);
	}
}

static void test_filter(void **state)
{
	apply(*state, "priority=5,cookie=1,tcp actions=1\npriority=4,udp actions=2\ntable=3,arp "
		      "actions=1\n", 1, NULL);
	expect(*state, "ip", "cookie=0x1, priority=5,tcp actions=output:1\n"
			     "priority=4,udp actions=output:2\n");
	expect(*state, "cookie=1/1", "cookie=0x1, priority=5,tcp actions=output:1\n");
	expect(*state, "out_port=2", "priority=4,udp actions=output:2\n");
	expect(*state, "table=3", "table=3, arp actions=output:1\n");
	assert_int_equal(flow_table_get_n_rules(*state, 0), 2);
	assert_int_equal(flow_table_get_n_rules(*state, FLOW_TABLE_ALL), 3);
}

static void test_result(void **state)
{
	struct flow_mod_result result;

	apply(*state, "priority=1 actions=1\npriority=2 actions=1\npriority=1 actions=2\n", 1,
	      &result);
	assert_int_equal(result.n_added, 2);
	assert_int_equal(result.n_replaced, 1);
	apply(*state, "modify actions=3\n", 1, &result);
	assert_int_equal(result.n_modified, 2);
	apply(*state, "delete\n", 1, &result);
	assert_int_equal(result.n_removed, 2);
	assert_int_equal(flow_table_get_n_rules(*state, FLOW_TABLE_ALL), 0);
}

/* One change that is refused takes the others with it; look-ups never saw them. */
static void test_all_or_nothing(void **state)
{
	struct flow_table *table = *state;
	struct rule_spec add = {.priority = 7}, bad = {.table_id = FLOW_TABLES_MAX}, any = {0};
	struct ofaction output = {.type = OFACTION_OUTPUT, .port = 4};
	struct rule_spec change = {.actions = {.actions = &output, .n = 1}};
	struct flow_mod mods[] = {
		{FLOW_MOD_ADD, &add},	{FLOW_MOD_MODIFY, &change}, {FLOW_MOD_DELETE, &any},
		{FLOW_MOD_ADD, &add},	{FLOW_MOD_MODIFY, &change}, {FLOW_MOD_ADD, &bad},
	};
	uint64_t version;
	struct flow_key key = {0};
	struct error err = ERROR_INIT;

	apply(table, "priority=3,idle_timeout=5 actions=1\npriority=9 actions=2\n", 1, NULL);
	assert_int_equal(flow_table_dump(table, NULL, credit_rule, NULL), 0);
	version = flow_table_get_version(table);
	assert_int_equal(flow_table_modify(table, mods, ARRAY_SIZE(mods), 2, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "254"));
	assert_int_equal(flow_table_get_version(table), version);
	expect(table, "", "priority=9 actions=output:2 n=1\n"
			  "idle_timeout=5, priority=3 actions=output:1 n=1\n");
	assert_int_equal(flow_table_lookup(table, version, 0, &key, NULL)->priority, 9);
	assert_int_equal(flow_table_get_n_rules(table, FLOW_TABLE_ALL), 2);
	/* counters still reach the rules that stayed */
	assert_int_equal(flow_table_dump(table, NULL, credit_rule, NULL), 0);
	expect(table, "", "priority=9 actions=output:2 n=2\n"
			  "idle_timeout=5, priority=3 actions=output:1 n=2\n");
	assert_int_equal(flow_table_expire(table, 10 * CLOCK_NS_PER_S, NULL, NULL), 1);
	rcu_wait();
	flow_table_purge(table);
	assert_false(flow_table_has_timeouts(table));
}

/* A reader of the old version goes on seeing the old rules, all of them, until it is done. */
static void test_versions(void **state)
{
	struct flow_table *table = *state;
	uint64_t before, after;
	struct flow_key key = {0};
	struct rule_spec spec = {.priority = 5}, any = {0};
	struct flow_mod mods[] = {{FLOW_MOD_DELETE, &any}, {FLOW_MOD_ADD, &spec}};

	apply(table, "priority=3 actions=1\npriority=4 actions=1\n", 1, NULL);
	before = flow_table_get_version(table);
	assert_int_equal(flow_table_modify(table, mods, 2, 2, NULL, NULL), 0);
	after = flow_table_get_version(table);
	assert_int_equal(flow_table_lookup(table, before, 0, &key, NULL)->priority, 4);
	assert_int_equal(flow_table_lookup(table, after, 0, &key, NULL)->priority, 5);
	rcu_wait();
	flow_table_purge(table);
	assert_int_equal(flow_table_lookup(table, after, 0, &key, NULL)->priority, 5);
	assert_null(flow_table_lookup(table, after, 77, &key, NULL));
}

/* Credits to a rule that was modified reach its heir, whenever they come. */
static void test_heirs(void **state)
{
	struct flow_table *table = *state;
	struct flow_key key = {0};
	struct rule *old;

	apply(table, "priority=3 actions=1\n", 1, NULL);
	old = rule_ref(flow_table_lookup(table, flow_table_get_version(table), 0, &key, NULL));
	rule_credit(old, 2, 100, 5);
	apply(table, "modify actions=2\n", 2, NULL);
	rule_credit(old, 3, 100, 6);
	apply(table, "modify actions=3\n", 3, NULL);
	rule_credit(old, 4, 100, 7);
	expect(table, "", "priority=3 actions=output:3 n=9\n");
	apply(table, "delete\n", 4, NULL);
	rule_credit(old, 4, 100, 8);
	rule_unref(old);
}

static void tell(void *aux, const struct rule *rule, enum flow_expiry why)
{
	char *told = aux;

	sprintf(told + strlen(told), "%u%c ", rule->priority, why == FLOW_EXPIRY_IDLE ? 'i' : 'h');
}

static void test_timeouts(void **state)
{
	struct flow_table *table = *state;
	struct flow_key key = {0};
	char told[64] = "";

	apply(table, "priority=1 actions=1\n", CLOCK_NS_PER_S, NULL);
	assert_false(flow_table_has_timeouts(table));
	apply(table,
	      "priority=2,idle_timeout=10 actions=1\n"
	      "priority=3,hard_timeout=15 actions=1\n"
	      "priority=4,idle_timeout=10,hard_timeout=12 actions=1\n",
	      CLOCK_NS_PER_S, NULL);
	assert_true(flow_table_has_timeouts(table));
	assert_int_equal(flow_table_expire(table, 10 * CLOCK_NS_PER_S, tell, told), 0);
	/* a packet for the best, number 4, at 8 s */
	rule_credit(flow_table_lookup(table, flow_table_get_version(table), 0, &key, NULL), 1, 60,
		    8 * CLOCK_NS_PER_S);
	assert_int_equal(flow_table_expire(table, 11 * CLOCK_NS_PER_S, tell, told), 1);
	assert_string_equal(told, "2i ");
	assert_int_equal(flow_table_expire(table, 13 * CLOCK_NS_PER_S, tell, told), 1);
	assert_string_equal(told, "2i 4h ");
	/* modified: the hard timeout counts anew */
	apply(table, "modify actions=2\n", 14 * CLOCK_NS_PER_S, NULL);
	assert_int_equal(flow_table_expire(table, 20 * CLOCK_NS_PER_S, tell, told), 0);
	assert_int_equal(flow_table_expire(table, 29 * CLOCK_NS_PER_S, tell, told), 1);
	assert_string_equal(told, "2i 4h 3h ");
	rcu_wait();
	flow_table_purge(table);
	assert_false(flow_table_has_timeouts(table));
	expect(table, "", "priority=1 actions=output:2\n");
}

static void replace(struct flow_table *table, const char *script, uint64_t now,
		    struct flow_mod_result *result)
{
	struct rule_script_errors errors = {0};
	struct rule_script parsed;

	assert_int_equal(rule_script_parse("test", script, strlen(script), true, NULL, &parsed,
					   &errors), 0);
	assert_int_equal(flow_table_replace(table, parsed.specs, parsed.n, now, result, NULL), 0);
	rule_script_uninit(&parsed);
	rcu_wait();
	flow_table_purge(table);
}

static void test_replace(void **state)
{
	struct flow_table *table = *state;
	struct flow_mod_result result;

	apply(table, "priority=1,ip actions=1\npriority=2,ip actions=1\npriority=3,ip actions=1\n",
	      1, NULL);
	assert_int_equal(flow_table_dump(table, NULL, credit_rule, NULL), 0);
	replace(table,
		"priority=3,ip actions=2\npriority=2,ip actions=1\npriority=4,ip actions=1\n", 2,
		&result);
	expect(table, "", "priority=4,ip actions=output:1\npriority=3,ip actions=output:2\n"
			  "priority=2,ip actions=output:1 n=1\n");
	assert_int_equal(result.n_added, 1);
	assert_int_equal(result.n_replaced, 1);
	assert_int_equal(result.n_removed, 1);
	assert_int_equal(result.n_kept, 1);
	replace(table, "", 3, &result);
	assert_int_equal(result.n_removed, 3);
	assert_int_equal(flow_table_get_n_subtables(table, FLOW_TABLE_ALL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		TEST(test_filter),
		TEST(test_result),
		TEST(test_all_or_nothing),
		TEST(test_versions),
		TEST(test_heirs),
		TEST(test_timeouts),
		TEST(test_replace),
	};

	return cmocka_run_group_tests_name("flow_table", tests, rcu_group_setup,
					   rcu_group_teardown);
}
