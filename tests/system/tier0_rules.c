/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <string.h>

#include "lib/rcu.h"
#include "openflow/bridge.h"
#include "openflow/xlate.h"
#include "tests/system/tier0_rules.h"
#include "tests/unit/rule_random.h"
#include "tests/unit/test.h"

#define N_RULES 8
/* Matches that are made until one is of the packet's kind. */
#define MEET_TRIES 20

static struct bridge_table *bridges;
static struct bridge *bridge;
static struct pipeline_verdict verdict;

void tier0_rules_init(void)
{
	static const char *const names[] = {
		[TIER0_CASE_IN] = "in", [TIER0_CASE_OUT] = "out", [TIER0_CASE_COPY] = "copy"};

	rcu_join();
	action_list_init(&verdict.actions);
	assert_int_equal(bridge_table_create(&bridges, NULL), 0);
	assert_int_equal(bridge_create(bridges, "br0", &bridge, NULL), 0);
	for (uint32_t no = TIER0_CASE_IN; no <= TIER0_CASE_COPY; no++) {
		struct bridge_port_config port = {
			.name = names[no], .port_no = no, .ofport_request = no};

		assert_int_equal(bridge_add_port(bridge, &port, NULL, NULL), 0);
	}
}

void tier0_rules_uninit(void)
{
	bridge_table_destroy(bridges);
	action_list_uninit(&verdict.actions);
	rcu_leave();
}

/* Makes the match one that the packet meets, if its type and protocol are those of the packet.
 * Returns whether. */
static bool meet(struct match *match, const struct flow_key *key)
{
	struct flow_key kind = {.dl_type = match->mask.dl_type, .nw_proto = match->mask.nw_proto};

	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		if ((match->value.w[i] ^ key->w[i]) & kind.w[i])
			return false;
	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		match->value.w[i] = key->w[i] & match->mask.w[i];
	return true;
}

/* A rule of the kind that people write; the caller owns its actions. */
static void make_rule(struct rule_random *r, const struct flow_key *key, struct rule_spec *spec)
{
	bool wants_to_meet = rule_random_next(r, 4);
	uint32_t n = rule_random_next(r, 5);
	struct ofaction action;
	bool has_tag;

	memset(spec, 0, sizeof(*spec));
	for (int tries = wants_to_meet ? MEET_TRIES : 1; tries; tries--) {
		rule_random_match(r, &spec->match);
		/* A match without a type leaves few actions to choose from. */
		if (wants_to_meet && spec->match.mask.dl_type && meet(&spec->match, key))
			break;
	}
	spec->priority = (uint16_t)rule_random_next(r, 8);
	spec->out_port = OFPORT_NONE;
	ofaction_list_init(&spec->actions);
	has_tag = spec->match.value.vlan_tci & htons(FLOW_VLAN_PRESENT);
	while (n-- > 0) {
		rule_random_action(r, &spec->match, &has_tag, &action);
		assert_int_equal(ofaction_list_append(&spec->actions, &action), 0);
	}
	/* Most ports are not there: what would be sent nowhere is not worth the while. */
	if (rule_random_next(r, 8)) {
		action = (struct ofaction){.type = OFACTION_OUTPUT, .port = TIER0_CASE_OUT};
		assert_int_equal(ofaction_list_append(&spec->actions, &action), 0);
	}
}

/* Puts new rules in the place of all. Returns false when one of them is none. */
static bool replace_rules(struct rule_random *r, const struct flow_key *key)
{
	struct rule_spec specs[N_RULES];
	int ret;

	for (int i = 0; i < N_RULES; i++)
		make_rule(r, key, &specs[i]);
	ret = bridge_replace_flows(bridge, specs, N_RULES, NULL, NULL);
	for (int i = 0; i < N_RULES; i++)
		ofaction_list_uninit(&specs[i].actions);
	rcu_quiesce();
	return !ret;
}

static void translate(const struct flow_key *key)
{
	verdict.actions.n = 0;
	verdict.mask = (struct flow_key){.in_port = UINT32_MAX};
	xlate_pipeline.translate(bridges, key, &verdict);
	xlate_pipeline.release(bridges, verdict.cookie);
	verdict.cookie = NULL;
	rcu_quiesce();
}

/* Are these outputs for the beds of the tests: copies first, the packet itself last? */
static bool has_bed(const struct action *actions, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (actions[i].type == ACTION_OUTPUT &&
		    actions[i].port != (i + 1 < n ? TIER0_CASE_COPY : TIER0_CASE_OUT))
			return false;
	return !n || actions[n - 1].type == ACTION_OUTPUT;
}

bool tier0_rules_make(struct tier0_case *c, struct random *rng, bool several)
{
	struct rule_random r = {.state = random_u64(rng) | 1};

	if (!tier0_case_make_packet(c, rng))
		return false;
	(void)bridge_flush_fdb(bridge);
	if (!replace_rules(&r, &c->key))
		return false;
	translate(&c->key);
	if (verdict.actions.n > ARRAY_SIZE(c->actions) ||
	    !has_bed(verdict.actions.actions, verdict.actions.n))
		return false;
	c->mask = verdict.mask;
	c->n_actions = verdict.actions.n;
	for (uint32_t i = 0; i < c->n_actions; i++)
		c->actions[i] = verdict.actions.actions[i];
	return tier0_case_compile(c, rng, several);
}

void tier0_rules_check(const struct tier0_case *c)
{
	translate(&c->key);
	if (verdict.actions.n != c->n_actions ||
	    (c->n_actions &&
	     memcmp(verdict.actions.actions, c->actions, c->n_actions * sizeof(*c->actions)) != 0))
		tier0_case_fail(c, "the mask lets in what the tables treat otherwise");
}
