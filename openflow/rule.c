/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/rule.h"

#include <stdlib.h>

struct rule *rule_create(const struct rule_spec *spec, uint64_t now)
{
	struct rule *rule = calloc(1, sizeof(*rule));

	if (!rule)
		return NULL;
	if (ofaction_list_clone(&rule->actions, &spec->actions)) {
		free(rule);
		return NULL;
	}
	rule->match = spec->match;
	rule->cookie = spec->cookie;
	rule->priority = spec->priority;
	rule->table_id = spec->table_id;
	rule->idle_timeout = spec->idle_timeout;
	rule->hard_timeout = spec->hard_timeout;
	rule->created = now;
	rule->modified = now;
	rule->used = now;
	rule->refs = 1;
	rule->timed = UINT32_MAX;
	atomic_init(&rule->next, NULL);
	atomic_init(&rule->heir, NULL);
	atomic_init(&rule->remove_version, UINT64_MAX);
	return rule;
}

struct rule *rule_ref(struct rule *rule)
{
	__atomic_fetch_add(&rule->refs, 1, __ATOMIC_RELAXED);
	return rule;
}

static void rule_free(struct rcu_deferred *d)
{
	struct rule *rule = container_of(d, struct rule, rcu);

	ofaction_list_uninit(&rule->actions);
	free(rule);
}

void rule_unref(struct rule *rule)
{
	while (rule && __atomic_sub_fetch(&rule->refs, 1, __ATOMIC_ACQ_REL) == 0) {
		struct rule *heir = rcu_get(&rule->heir);

		rcu_defer(&rule->rcu, rule_free);
		rule = heir;
	}
}

/* The rule that stands where `rule` stood, through any number of mod-flows. */
static struct rule *rule_get_heir(struct rule *rule)
{
	struct rule *heir;

	while ((heir = rcu_get(&rule->heir)))
		rule = heir;
	return rule;
}

void rule_credit(struct rule *rule, uint64_t n_packets, uint64_t n_bytes, uint64_t used)
{
	uint64_t old;

	rule = rule_get_heir(rule);
	__atomic_fetch_add(&rule->n_packets, n_packets, __ATOMIC_RELAXED);
	__atomic_fetch_add(&rule->n_bytes, n_bytes, __ATOMIC_RELAXED);
	old = __atomic_load_n(&rule->used, __ATOMIC_RELAXED);
	while (old < used && !__atomic_compare_exchange_n(&rule->used, &old, used, true,
							  __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

void rule_bequeath(struct rule *rule, struct rule *heir)
{
	struct rule_stats stats;

	if (!rcu_get(&rule->heir))
		rcu_set(&rule->heir, rule_ref(heir));
	rule_get_stats(rule, &stats);
	__atomic_fetch_sub(&rule->n_packets, stats.n_packets, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&rule->n_bytes, stats.n_bytes, __ATOMIC_RELAXED);
	rule_credit(rule, stats.n_packets, stats.n_bytes, stats.used);
}

bool rule_outputs_to(const struct rule *rule, uint32_t port)
{
	for (uint32_t i = 0; i < rule->actions.n; i++) {
		const struct ofaction *action = &rule->actions.actions[i];

		if (action->type == OFACTION_OUTPUT && action->port == port)
			return true;
	}
	return false;
}

void rule_get_stats(const struct rule *rule, struct rule_stats *stats)
{
	stats->n_packets = __atomic_load_n(&rule->n_packets, __ATOMIC_RELAXED);
	stats->n_bytes = __atomic_load_n(&rule->n_bytes, __ATOMIC_RELAXED);
	stats->used = __atomic_load_n(&rule->used, __ATOMIC_RELAXED);
}

struct rule_spec rule_get_spec(const struct rule *rule)
{
	return (struct rule_spec){
		.match = rule->match,
		.cookie = rule->cookie,
		.priority = rule->priority,
		.table_id = rule->table_id,
		.idle_timeout = rule->idle_timeout,
		.hard_timeout = rule->hard_timeout,
		.actions = rule->actions,
	};
}
