/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/xlate.h"

#include <stdlib.h>
#include <string.h>
#include "lib/clock.h"
#include "openflow/xlate_priv.h"

void xlate_look(struct xlate *x, const struct flow_key *bits)
{
	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		x->mask->w[i] |= bits->w[i] & ~x->fixed.w[i];
}

void xlate_note_drop(struct xlate *x, enum drop_reason reason)
{
	/* The first reason is the one that is told. */
	if (x->reason == DROP_NO_OUTPUT)
		x->reason = reason;
}

/* Finds the rule in table `table_id` and carries out its actions. */
static enum drop_reason xlate_table(struct xlate *x, uint8_t table_id, uint64_t rules_version)
{
	struct flow_key looked_at = {0};

	x->rule = flow_table_lookup(x->bridge->flows, rules_version, table_id, &x->now, &looked_at);
	xlate_look(x, &looked_at);
	if (unlikely(x->trace))
		trace_tell_rule(x);
	if (!x->rule)
		return DROP_NO_RULE;
	xlate_actions(x, &x->rule->actions);
	return x->rule->actions.n ? x->reason : DROP_RULE_DROP;
}

enum drop_reason xlate_run(struct xlate *x, uint64_t rules_version)
{
	struct action_list *out = x->out;
	enum drop_reason reason;

	x->reason = DROP_NO_OUTPUT;
	x->sent_tci = x->now.vlan_tci;
	reason = xlate_table(x, 0, rules_version);
	/* Header changes behind the last output change nothing. */
	while (out->n && out->actions[out->n - 1].type != ACTION_OUTPUT)
		out->n--;
	if (x->is_failed) {
		out->n = 0;
		reason = DROP_FLOW_LIMIT;
	}
	x->mask->in_port = UINT32_MAX;
	if (!out->n)
		xlate_tell(x, 0, "dropped: %s (%s)", drop_reason_name(reason),
			   drop_reason_help(reason));
	return reason;
}

/* ---- the pipeline ---- */

/* The record of what the verdict rests on; NULL when out of memory: then it is never
 * revalidated. */
static struct xlate_cookie *cookie_create(const struct xlate *x, uint64_t config_version,
					  uint64_t rules_version)
{
	struct xlate_cookie *cookie =
		malloc(sizeof(*cookie) + x->n_normals * sizeof(cookie->normals[0]));

	if (!cookie)
		return NULL;
	cookie->bridge = bridge_ref(x->bridge);
	cookie->rule = x->rule ? rule_ref(x->rule) : NULL;
	cookie->config_version = config_version;
	cookie->rules_version = rules_version;
	cookie->in_ofport = x->in_port->ofport;
	cookie->n_normals = x->n_normals;
	memcpy(cookie->normals, x->normals, x->n_normals * sizeof(x->normals[0]));
	return cookie;
}

static void translate(void *aux, const struct flow_key *key, struct pipeline_verdict *verdict)
{
	struct bridge_table *table = aux;
	/* Versions first: what they name is not older than they say. */
	uint64_t config_version = atomic_load_explicit(&table->config_version,
						       memory_order_acquire);
	const struct bridge_port *port =
		key->in_port <= PORT_NO_MAX ? rcu_get(&table->ports[key->in_port]) : NULL;
	uint64_t rules_version;
	struct xlate x;

	verdict->cookie = NULL;
	memset(&verdict->mask, 0, sizeof(verdict->mask));
	verdict->mask.in_port = UINT32_MAX;
	if (!port) {
		verdict->drop_reason = DROP_NO_BRIDGE;
		return;
	}
	memset(&x, 0, sizeof(x));
	x.in_port = port;
	x.bridge = port->bridge;
	x.ports = rcu_get(&port->bridge->ports);
	x.now = *key;
	x.now.in_port = port->ofport;
	x.mask = &verdict->mask;
	x.out = &verdict->actions;
	rules_version = flow_table_get_version(port->bridge->flows);
	verdict->drop_reason = xlate_run(&x, rules_version);
	verdict->cookie = cookie_create(&x, config_version, rules_version);
}

/* Did the `normal` come out as it would now? Learns the source. */
static bool normal_is_current(struct bridge *bridge, uint32_t in_ofport,
			      const struct xlate_normal *normal, uint64_t now)
{
	if (mac_table_learn(bridge->macs, normal->src, normal->vlan, in_ofport, now) ==
	    MAC_LEARN_CHANGED)
		bridge_table_invalidate_async(bridge->table);
	return !normal->has_dst || mac_table_lookup(bridge->macs, normal->dst, normal->vlan) ==
					   normal->dst_ofport;
}

static bool cookie_is_of_config(const struct xlate_cookie *cookie,
				const struct bridge_table *table)
{
	return cookie->config_version ==
	       atomic_load_explicit(&table->config_version, memory_order_acquire);
}

static bool revalidate(void *aux, void *cookie_, const struct flow_key *key UNUSED,
		       uint64_t generation UNUSED)
{
	const struct xlate_cookie *cookie = cookie_;
	uint64_t now;

	if (!cookie || !cookie_is_of_config(cookie, aux) ||
	    cookie->rules_version != flow_table_get_version(cookie->bridge->flows))
		return false;
	if (!cookie->n_normals)
		return true;
	now = clock_now_coarse();
	for (uint32_t i = 0; i < cookie->n_normals; i++) {
		if (!normal_is_current(cookie->bridge, cookie->in_ofport, &cookie->normals[i], now))
			return false;
	}
	return true;
}

static void credit(void *aux, void *cookie_, const struct flow_key *key UNUSED, uint64_t n_packets,
		   uint64_t n_bytes, uint64_t used)
{
	const struct xlate_cookie *cookie = cookie_;

	if (!cookie || !n_packets)
		return;
	if (cookie->rule)
		rule_credit(cookie->rule, n_packets, n_bytes, used);
	if (!cookie_is_of_config(cookie, aux))
		return;
	for (uint32_t i = 0; i < cookie->n_normals; i++) {
		const struct xlate_normal *normal = &cookie->normals[i];

		if (mac_table_touch(cookie->bridge->macs, normal->src, normal->vlan,
				    cookie->in_ofport, used) == MAC_LEARN_CHANGED)
			bridge_table_invalidate_async(aux);
	}
}

static void release(void *aux UNUSED, void *cookie_)
{
	struct xlate_cookie *cookie = cookie_;

	if (!cookie)
		return;
	bridge_unref(cookie->bridge);
	rule_unref(cookie->rule);
	free(cookie);
}

const struct pipeline xlate_pipeline = {
	.translate = translate,
	.revalidate = revalidate,
	.credit = credit,
	.release = release,
};
