/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/rcu.h"
#include "openflow/bridge.h"
#include "openflow/match_text.h"
#include "openflow/rule_text.h"
#include "openflow/trace.h"
#include "openflow/xlate.h"
#include "tests/unit/rcu_group.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

/*
 * A bridge with trunk ports p1, p2, p3 (datapath ports 11, 12, 13), access ports a4, a5 of VLAN 10
 * (14, 15), the local port br0 (20), and port t6 that is a trunk of VLANs 20 and 30 (16).
 */
struct fixture {
	struct bridge_table *table;
	struct bridge *bridge;
	struct ofport_names names;
};

static void add_port(struct fixture *f, const char *name, uint32_t port_no, uint32_t ofport,
		     uint16_t tag, const char *trunks)
{
	struct bridge_port_config config = {
		.name = name, .port_no = port_no, .ofport_request = ofport, .tag = tag};

	assert_int_equal(vlan_bitmap_parse(trunks, &config.trunks, NULL), 0);
	assert_int_equal(bridge_add_port(f->bridge, &config, NULL, NULL), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(bridge_table_create(&f->table, NULL), 0);
	assert_int_equal(bridge_create(f->table, "br0", &f->bridge, NULL), 0);
	add_port(f, "p1", 11, 1, 0, "");
	add_port(f, "p2", 12, 2, 0, "");
	add_port(f, "p3", 13, 3, 0, "");
	add_port(f, "a4", 14, 4, 10, "");
	add_port(f, "a5", 15, 5, 10, "");
	add_port(f, "t6", 16, 6, 0, "20,30");
	add_port(f, "br0", 20, OFPORT_LOCAL, 0, "");
	bridge_get_ofport_names(f->bridge, &f->names);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bridge_table_destroy(f->table);
	free(f);
	rcu_quiesce();
	return 0;
}

/* Changes rules by one line of text. */
static void flow_mod(struct fixture *f, enum flow_mod_type type, const char *text)
{
	struct rule_spec spec;
	struct flow_mod mod = {.type = type, .spec = &spec};
	struct error err = ERROR_INIT;

	if (rule_parse(text, strlen(text), type, &f->names, &spec, &err))
		fail_msg("%s: %s", text, err.text);
	assert_int_equal(bridge_modify_flows(f->bridge, &mod, 1, NULL, NULL), 0);
	ofaction_list_uninit(&spec.actions);
}

/* The key of a packet in match syntax; in_port is an OpenFlow number there and a datapath number
 * here. */
static struct flow_key make_key(struct fixture *f, const char *text)
{
	struct bridge_port_info info;
	struct flow_key key;
	struct error err = ERROR_INIT;

	if (match_parse_key(text, strlen(text), &f->names, &key, &err))
		fail_msg("%s: %s", text, err.text);
	assert_true(bridge_lookup_ofport(f->bridge, key.in_port, &info));
	key.in_port = info.port_no;
	return key;
}

struct outcome {
	char actions[512]; /* as text; "drop" */
	const char *reason;
	struct pipeline_verdict verdict;
	struct flow_key key;
};

static void translate(struct fixture *f, const char *packet, struct outcome *outcome)
{
	memset(outcome, 0, sizeof(*outcome));
	action_list_init(&outcome->verdict.actions);
	outcome->key = make_key(f, packet);
	xlate_pipeline.translate(f->table, &outcome->key, &outcome->verdict);
	action_list_format(outcome->verdict.actions.actions, outcome->verdict.actions.n,
			   outcome->actions, sizeof(outcome->actions));
	outcome->reason = drop_reason_name(outcome->verdict.drop_reason);
}

static void outcome_uninit(struct fixture *f, struct outcome *outcome)
{
	action_list_uninit(&outcome->verdict.actions);
	xlate_pipeline.release(f->table, outcome->verdict.cookie);
}

/* Is the verdict still current for its packet? */
static bool is_current(struct fixture *f, const struct outcome *outcome)
{
	return xlate_pipeline.revalidate(f->table, outcome->verdict.cookie, &outcome->key, 0);
}

#define ETH "dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02"
#define TCP ETH ",tcp,nw_src=192.0.2.1,nw_dst=192.0.2.2,nw_ttl=64,tp_src=1000,tp_dst=80"

/* Actions of a rule that matches all, a packet, and what becomes of it. */
static const struct action_case {
	const char *actions;
	const char *packet;
	const char *expected; /* actions, or the reason to drop */
} action_cases[] = {
	{"drop", "in_port=1," TCP, "rule_drop"},
	{"output:2", "in_port=1," TCP, "output(12)"},
	{"output:2,output:p3", "in_port=1," TCP, "output(12),output(13)"},
	{"output:1", "in_port=1," TCP, "hairpin"},
	{"output:1,output:2", "in_port=1," TCP, "output(12)"},
	{"in_port", "in_port=1," TCP, "output(11)"},
	{"local", "in_port=1," TCP, "output(20)"},
	{"output:2", "in_port=local," TCP, "output(12)"},
	{"output:77", "in_port=1," TCP, "no_output"},
	{"mod_dl_src:02:00:00:00:00:09", "in_port=1," TCP, "no_output"},
	{"flood", "in_port=3," TCP,
	 "output(11),output(12),output(14),output(15),output(16),output(20)"},
	{"all", "in_port=local," TCP,
	 "output(11),output(12),output(13),output(14),output(15),output(16)"},
	{"mod_dl_src:02:00:00:00:00:09,2", "in_port=1," TCP,
	 "set_eth_src(02:00:00:00:00:09),output(12)"},
	{"mod_dl_dst:02:00:00:00:00:09,2", "in_port=1," TCP,
	 "set_eth_dst(02:00:00:00:00:09),output(12)"},
	{"mod_nw_src:198.51.100.1,2", "in_port=1," TCP, "set_ipv4_src(198.51.100.1),output(12)"},
	{"mod_nw_dst:198.51.100.1,2", "in_port=1," TCP, "set_ipv4_dst(198.51.100.1),output(12)"},
	{"mod_nw_dst:198.51.100.1,2", "in_port=1," ETH ",dl_type=0x88b5", "output(12)"},
	{"mod_tp_src:7,2", "in_port=1," TCP, "set_tp_src(0x7),output(12)"},
	{"mod_tp_dst:7,2", "in_port=1," TCP, "set_tp_dst(0x7),output(12)"},
	{"mod_tp_dst:7,2", "in_port=1," ETH ",tcp,nw_frag=later", "output(12)"},
	{"mod_nw_tos:32,2", "in_port=1," TCP, "set_tos(0x20/0xfc),output(12)"},
	{"dec_ttl,2", "in_port=1," TCP, "dec_ttl,output(12)"},
	{"dec_ttl,2", "in_port=1," ETH ",arp", "output(12)"},
	{"push_vlan:0x8100,mod_vlan_vid:7,2", "in_port=1," TCP,
	 "push_vlan(0x8100),set_vlan_tci(0x7/0xfff),output(12)"},
	{"mod_vlan_vid:7,mod_vlan_pcp:3,2", "in_port=1," TCP,
	 "set_vlan_tci(0x7/0xfff),set_vlan_tci(0x6000/0xe000),output(12)"},
	{"strip_vlan,2", "in_port=1,dl_vlan=5," TCP, "pop_vlan,output(12)"},
	{"strip_vlan,2", "in_port=1," TCP, "output(12)"},
	{"2,mod_dl_src:02:00:00:00:00:09,3", "in_port=1," TCP,
	 "output(12),set_eth_src(02:00:00:00:00:09),output(13)"},
	{"2,mod_dl_src:02:00:00:00:00:09", "in_port=1," TCP, "output(12)"},
	/* normal: unknown destination, untagged: access ports of VLAN 10 and the limited trunk do
	 * not get it */
	{"normal", "in_port=1," TCP, "output(12),output(13),output(20)"},
	{"normal", "in_port=1,dl_vlan=20," TCP, "output(12),output(13),output(16),output(20)"},
	{"normal", "in_port=1,dl_vlan=10," TCP,
	 "output(12),output(13),output(20),pop_vlan,output(14),output(15)"},
	{"normal", "in_port=4," TCP,
	 "output(15),set_vlan_tci(0xa/0xefff),output(11),output(12),output(13),output(20)"},
	{"normal,2", "in_port=4," TCP,
	 "output(15),set_vlan_tci(0xa/0xefff),output(11),output(12),output(13),output(20),"
	 "pop_vlan,output(12)"},
	{"normal", "in_port=4,dl_vlan=10," TCP, "vlan"},
	{"normal", "in_port=6," TCP, "vlan"},
	{"normal", "in_port=1,dl_src=02:00:00:00:00:01,dl_dst=01:80:c2:00:00:0e", "link_local"},
	{"normal", "in_port=1,dl_src=02:00:00:00:00:01,dl_dst=ff:ff:ff:ff:ff:ff",
	 "output(12),output(13),output(20)"},
	{"normal,normal,normal,normal,normal", "in_port=1," TCP, "flow_limit"},
};

static void test_actions(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(action_cases); i++) {
		const struct action_case *c = &action_cases[i];
		struct outcome outcome;
		char rule[256];

		bridge_flush_fdb(f->bridge);
		snprintf(rule, sizeof(rule), "priority=0,actions=%s", c->actions);
		flow_mod(f, FLOW_MOD_ADD, rule);
		translate(f, c->packet, &outcome);
		if (outcome.verdict.actions.n == 0 ? strcmp(outcome.reason, c->expected)
						   : strcmp(outcome.actions, c->expected))
			fail_msg("%s on %s: %s (%s), not %s", c->actions, c->packet,
				 outcome.actions, outcome.reason, c->expected);
		assert_int_equal(outcome.verdict.mask.in_port, UINT32_MAX);
		outcome_uninit(f, &outcome);
	}
}

/* Only what decided is in the mask. */
static void test_mask(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome;
	struct flow_key expected = {.in_port = UINT32_MAX};

	flow_mod(f, FLOW_MOD_ADD, "priority=0,actions=mod_nw_dst:198.51.100.1,dec_ttl,2");
	translate(f, "in_port=1," TCP, &outcome);
	expected.dl_type = 0xffff;
	assert_memory_equal(&outcome.verdict.mask, &expected, sizeof(expected));
	outcome_uninit(f, &outcome);

	flow_mod(f, FLOW_MOD_ADD, "priority=0,actions=mod_dl_src:02:00:00:00:00:09,normal");
	translate(f, "in_port=1," TCP, &outcome);
	expected.dl_type = 0;
	memset(expected.dl_dst, 0xff, 6); /* dl_src is the rule's, not the packet's */
	expected.vlan_tci = htons(0x1fff);
	assert_memory_equal(&outcome.verdict.mask, &expected, sizeof(expected));
	outcome_uninit(f, &outcome);

	flow_mod(f, FLOW_MOD_ADD, "priority=0,actions=mod_tp_dst:7,2");
	translate(f, "in_port=1," TCP, &outcome);
	memset(&expected, 0, sizeof(expected));
	expected.in_port = UINT32_MAX;
	expected.dl_type = 0xffff;
	expected.nw_proto = 0xff;
	expected.nw_frag = FLOW_FRAG_LATER;
	assert_memory_equal(&outcome.verdict.mask, &expected, sizeof(expected));
	outcome_uninit(f, &outcome);
}

static void test_learning(void **state)
{
	struct fixture *f = *state;
	struct outcome there, back, moved;
	const char *packet = "in_port=1,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02";
	const char *answer = "in_port=2,dl_src=02:00:00:00:00:02,dl_dst=02:00:00:00:00:01";

	translate(f, packet, &there);
	assert_string_equal(there.actions, "output(12),output(13),output(20)");
	assert_true(is_current(f, &there));
	translate(f, answer, &back);
	assert_string_equal(back.actions, "output(11)");
	/* 02 is known now: what was flooded is no longer right */
	assert_false(is_current(f, &there));
	outcome_uninit(f, &there);
	translate(f, packet, &there);
	assert_string_equal(there.actions, "output(12)");
	assert_true(is_current(f, &there));

	/* 02 moves to port 3 */
	translate(f, "in_port=3,dl_src=02:00:00:00:00:02,dl_dst=02:00:00:00:00:01", &moved);
	assert_string_equal(moved.actions, "output(11)");
	assert_false(is_current(f, &there));
	/* a packet of the old flow moves it back: that is learning, too */
	assert_true(is_current(f, &back));
	assert_true(is_current(f, &there));

	/* its own segment: hairpin */
	outcome_uninit(f, &moved);
	translate(f, "in_port=2,dl_src=02:00:00:00:00:07,dl_dst=02:00:00:00:00:02", &moved);
	assert_string_equal(moved.reason, "hairpin");
	outcome_uninit(f, &moved);
	outcome_uninit(f, &there);
	outcome_uninit(f, &back);
}

static void count_rule(void *aux, const struct rule *rule)
{
	struct rule_stats *stats = aux;

	rule_get_stats(rule, stats);
}

/* Credits reach the rule, through a mod-flows too, and end with its replacement. */
static void test_credit(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome;
	struct rule_stats stats;

	flow_mod(f, FLOW_MOD_ADD, "priority=0,actions=2");
	translate(f, "in_port=1," TCP, &outcome);
	xlate_pipeline.credit(f->table, outcome.verdict.cookie, &outcome.key, 3, 300, 77);
	assert_int_equal(bridge_dump_flows(f->bridge, NULL, count_rule, &stats), 0);
	assert_int_equal(stats.n_packets, 3);
	assert_int_equal(stats.n_bytes, 300);
	flow_mod(f, FLOW_MOD_MODIFY, "actions=3");
	assert_false(is_current(f, &outcome));
	xlate_pipeline.credit(f->table, outcome.verdict.cookie, &outcome.key, 1, 50, 78);
	assert_int_equal(bridge_dump_flows(f->bridge, NULL, count_rule, &stats), 0);
	assert_int_equal(stats.n_packets, 4);
	assert_int_equal(stats.n_bytes, 350);
	flow_mod(f, FLOW_MOD_ADD, "priority=0,actions=2");
	xlate_pipeline.credit(f->table, outcome.verdict.cookie, &outcome.key, 1, 50, 79);
	assert_int_equal(bridge_dump_flows(f->bridge, NULL, count_rule, &stats), 0);
	assert_int_equal(stats.n_packets, 0);
	outcome_uninit(f, &outcome);
}

/* A verdict ends with the configuration that it was made under. */
static void test_ports_change(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome;
	struct bridge_port_config config = {.name = "p3", .tag = 10};

	translate(f, "in_port=1," TCP, &outcome);
	assert_true(is_current(f, &outcome));
	assert_int_equal(bridge_remove_port(f->bridge, "p2", NULL), 0);
	assert_false(is_current(f, &outcome));
	outcome_uninit(f, &outcome);
	translate(f, "in_port=1," TCP, &outcome);
	assert_string_equal(outcome.actions, "output(13),output(20)");
	assert_int_equal(bridge_set_port(f->bridge, &config, NULL), 0);
	assert_false(is_current(f, &outcome));
	outcome_uninit(f, &outcome);
	translate(f, "in_port=1," TCP, &outcome);
	assert_string_equal(outcome.actions, "output(20)");
	outcome_uninit(f, &outcome);
}

static void test_no_bridge(void **state)
{
	struct fixture *f = *state;
	struct flow_key key = {.in_port = 19};
	struct pipeline_verdict verdict;

	action_list_init(&verdict.actions);
	xlate_pipeline.translate(f->table, &key, &verdict);
	assert_int_equal(verdict.drop_reason, DROP_NO_BRIDGE);
	assert_null(verdict.cookie);
	assert_false(xlate_pipeline.revalidate(f->table, NULL, &key, 0));
	key.in_port = UINT32_MAX;
	xlate_pipeline.translate(f->table, &key, &verdict);
	assert_int_equal(verdict.drop_reason, DROP_NO_BRIDGE);
	flow_mod(f, FLOW_MOD_DELETE, "");
	key.in_port = 11;
	xlate_pipeline.translate(f->table, &key, &verdict);
	assert_int_equal(verdict.drop_reason, DROP_NO_RULE);
	xlate_pipeline.release(f->table, verdict.cookie);
	action_list_uninit(&verdict.actions);
}

/* What trace tells is what translation does; and it has no side effects. */
static void test_trace(void **state)
{
	struct fixture *f = *state;
	struct mac_table_stats stats;
	struct outcome outcome;
	struct trace trace;
	char actions[512];

	flow_mod(f, FLOW_MOD_ADD, "priority=5,tcp,tp_dst=80,actions=mod_nw_tos:32,normal");
	outcome.key = make_key(f, "in_port=1," TCP);
	outcome.key.in_port = 1;
	assert_int_equal(trace_run(f->bridge, &outcome.key, &trace, NULL), 0);
	bridge_get_fdb_stats(f->bridge, &stats);
	assert_int_equal(stats.n_entries, 0);
	translate(f, "in_port=1," TCP, &outcome);
	action_list_format(trace.actions.actions, trace.actions.n, actions, sizeof(actions));
	assert_string_equal(actions, outcome.actions);
	assert_memory_equal(&trace.mask, &outcome.verdict.mask, sizeof(trace.mask));
	assert_int_equal(trace.rule->priority, 5);
	assert_int_equal(trace.error, 0);
	for (uint32_t i = 0; i < trace.n_steps; i++)
		print_message("%*s%s\n", (int)trace.steps[i].depth * 4, "", trace.steps[i].text);
	assert_string_equal(trace.steps[1].text,
			    "table 0: priority=5,tcp,tp_dst=80 actions=mod_nw_tos:32,NORMAL");
	trace_uninit(&trace);
	outcome_uninit(f, &outcome);
	outcome.key.in_port = 99;
	assert_int_equal(trace_run(f->bridge, &outcome.key, &trace, NULL), -ENODEV);
	assert_int_equal(trace_run_packet(f->bridge, 1, "short", 5, &trace, NULL), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_actions),
		TEST(test_mask),
		TEST(test_learning),
		TEST(test_credit),
		TEST(test_ports_change),
		TEST(test_no_bridge),
		TEST(test_trace),
	};

	return cmocka_run_group_tests_name("xlate", tests, rcu_group_setup, rcu_group_teardown);
}
