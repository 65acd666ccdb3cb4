/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/flow_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "lib/clock.h"
#include "openflow/classifier.h"

/* A growing list of rules. */
struct rule_list {
	struct rule **rules;
	uint32_t n;
	uint32_t capacity;
};

struct flow_table {
	_Atomic uint64_t version; /* what look-ups of now see */
	RCU_POINTER(struct classifier) classifiers[FLOW_TABLES_MAX]; /* NULL: never had a rule */

	/* Control thread. */
	uint32_t n_rules[FLOW_TABLES_MAX]; /* in force */
	uint32_t n_rules_total;
	uint64_t serial;        /* of the rule that came last */
	struct rule_list timed; /* those with timeouts, in no order */
	struct rule_list gone;  /* hidden, still linked in: for flow_table_purge() */
};

/* One change of many, under way: what is to be kept or undone. */
struct transaction {
	struct flow_table *table;
	uint64_t version; /* that it works towards */
	uint64_t now;
	struct rule_list added;   /* linked in for `version` */
	struct rule_list hidden;  /* from `version` on; some of them may be in `added` too */
	struct rule_list heirs;   /* for each of `hidden` what takes over its counters, or NULL */
	struct rule_list matched; /* what a MODIFY or DELETE chose; scratch */
	struct flow_mod_result result;
	struct error *err;
};

static int rule_list_append(struct rule_list *list, struct rule *rule)
{
	if (list->n == list->capacity) {
		uint32_t capacity = list->capacity ? list->capacity * 2 : 16;
		struct rule **rules = realloc(list->rules, capacity * sizeof(*rules));

		if (!rules)
			return -ENOMEM;
		list->rules = rules;
		list->capacity = capacity;
	}
	list->rules[list->n++] = rule;
	return 0;
}

/* Makes sure that `n` more appends cannot fail. */
static int rule_list_reserve(struct rule_list *list, uint32_t n)
{
	struct rule **rules;

	if (list->capacity - list->n >= n)
		return 0;
	rules = realloc(list->rules, ((size_t)list->n + n) * sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	list->rules = rules;
	list->capacity = list->n + n;
	return 0;
}

static void rule_list_uninit(struct rule_list *list)
{
	free(list->rules);
	memset(list, 0, sizeof(*list));
}

int flow_table_create(struct flow_table **tablep)
{
	struct flow_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	atomic_init(&table->version, 1);
	*tablep = table;
	return 0;
}

void flow_table_destroy(struct flow_table *table)
{
	if (!table)
		return;
	for (unsigned int i = 0; i < FLOW_TABLES_MAX; i++) {
		struct classifier *cls = rcu_get(&table->classifiers[i]);

		if (cls) {
			classifier_uninit(cls);
			free(cls);
		}
	}
	rule_list_uninit(&table->timed);
	rule_list_uninit(&table->gone);
	free(table);
}

/* The classifier of table `id`, made if need be; NULL when out of memory. */
static struct classifier *flow_table_get_classifier(struct flow_table *table, uint8_t id)
{
	struct classifier *cls = rcu_get(&table->classifiers[id]);

	if (!cls) {
		cls = malloc(sizeof(*cls));
		if (!cls)
			return NULL;
		classifier_init(cls);
		rcu_set(&table->classifiers[id], cls);
	}
	return cls;
}

/* ---- the list of rules with timeouts ---- */

static bool rule_has_timeout(const struct rule *rule)
{
	return rule->idle_timeout || rule->hard_timeout;
}

/* The list has room. */
static void timed_insert(struct flow_table *table, struct rule *rule)
{
	rule->timed = table->timed.n;
	table->timed.rules[table->timed.n++] = rule;
}

static void timed_remove(struct flow_table *table, struct rule *rule)
{
	struct rule *last;

	if (rule->timed == UINT32_MAX)
		return;
	last = table->timed.rules[--table->timed.n];
	table->timed.rules[rule->timed] = last;
	last->timed = rule->timed;
	rule->timed = UINT32_MAX;
}

/* ---- transactions ---- */

static void transaction_init(struct transaction *txn, struct flow_table *table, uint64_t now,
			     struct error *err)
{
	memset(txn, 0, sizeof(*txn));
	txn->table = table;
	txn->version = atomic_load_explicit(&table->version, memory_order_relaxed) + 1;
	txn->now = now;
	txn->err = err;
}

static void transaction_uninit(struct transaction *txn)
{
	rule_list_uninit(&txn->added);
	rule_list_uninit(&txn->hidden);
	rule_list_uninit(&txn->heirs);
	rule_list_uninit(&txn->matched);
}

static int transaction_no_memory(struct transaction *txn)
{
	return error_set(txn->err, ENOMEM, "not enough memory for the rules");
}

/* Links a rule in, and owns it in any case. */
static int transaction_link(struct transaction *txn, struct rule *rule)
{
	struct flow_table *table = txn->table;
	struct classifier *cls = flow_table_get_classifier(table, rule->table_id);

	if (!cls || rule_list_append(&txn->added, rule))
		goto no_memory;
	if (classifier_insert(cls, rule, txn->version)) {
		txn->added.n--;
		goto no_memory;
	}
	table->n_rules[rule->table_id]++;
	table->n_rules_total++;
	return 0;

no_memory:
	rule_unref(rule);
	return transaction_no_memory(txn);
}

/* `heir` is what a MODIFY puts in its place; NULL: nothing, counters end with the rule. */
static int transaction_hide(struct transaction *txn, struct rule *rule, struct rule *heir)
{
	if (rule_list_append(&txn->heirs, heir) || rule_list_append(&txn->hidden, rule))
		return transaction_no_memory(txn);
	classifier_hide(rule, txn->version);
	txn->table->n_rules[rule->table_id]--;
	txn->table->n_rules_total--;
	return 0;
}

/* Leaves everything as it was. Readers of now cannot tell; those of the new version there are
 * none. */
static void transaction_undo(struct transaction *txn)
{
	struct flow_table *table = txn->table;

	for (uint32_t i = 0; i < txn->hidden.n; i++) {
		struct rule *rule = txn->hidden.rules[i];

		classifier_show(rule);
		table->n_rules[rule->table_id]++;
		table->n_rules_total++;
	}
	for (uint32_t i = 0; i < txn->added.n; i++) {
		struct rule *rule = txn->added.rules[i];

		table->n_rules[rule->table_id]--;
		table->n_rules_total--;
		classifier_remove(rcu_get(&table->classifiers[rule->table_id]), rule);
	}
	for (unsigned int i = 0; i < FLOW_TABLES_MAX; i++) {
		struct classifier *cls = rcu_get(&table->classifiers[i]);

		if (cls)
			classifier_purge(cls);
	}
}

/* Everything that can fail, so that the rest of the commit cannot. */
static int transaction_prepare(struct transaction *txn)
{
	struct flow_table *table = txn->table;

	if (rule_list_reserve(&table->gone, txn->hidden.n) ||
	    rule_list_reserve(&table->timed, txn->added.n))
		return transaction_no_memory(txn);
	for (unsigned int i = 0; i < FLOW_TABLES_MAX; i++) {
		struct classifier *cls = rcu_get(&table->classifiers[i]);

		if (cls && classifier_publish(cls))
			return transaction_no_memory(txn);
	}
	return 0;
}

/* Puts the change in force, or undoes it. */
static int transaction_commit(struct transaction *txn)
{
	struct flow_table *table = txn->table;
	int err;

	if (!txn->added.n && !txn->hidden.n)
		return 0;
	err = transaction_prepare(txn);
	if (err) {
		transaction_undo(txn);
		return err;
	}
	for (uint32_t i = 0; i < txn->added.n; i++) {
		struct rule *rule = txn->added.rules[i];

		if (rule_has_timeout(rule) && !classifier_is_hidden(rule))
			timed_insert(table, rule);
	}
	for (uint32_t i = 0; i < txn->hidden.n; i++) {
		struct rule *rule = txn->hidden.rules[i];

		timed_remove(table, rule);
		table->gone.rules[table->gone.n++] = rule;
		if (txn->heirs.rules[i])
			rule_bequeath(rule, txn->heirs.rules[i]);
	}
	atomic_store_explicit(&table->version, txn->version, memory_order_release);
	return 0;
}

/* ---- changes ---- */

static bool cookie_agrees(const struct rule_spec *spec, const struct rule *rule)
{
	return !((rule->cookie ^ spec->cookie) & spec->cookie_mask);
}

/* Does a loose DELETE or dump with `spec` choose the rule? */
static bool spec_covers(const struct rule_spec *spec, const struct rule *rule)
{
	return match_covers(&spec->match, &rule->match) && cookie_agrees(spec, rule) &&
	       (spec->out_port == OFPORT_NONE || rule_outputs_to(rule, spec->out_port));
}

/* Fills `list` with the rules of all tables that `spec` covers; NULL: all rules. */
static int flow_table_collect(const struct flow_table *table, const struct rule_spec *spec,
			      struct rule_list *list)
{
	bool all_tables = !spec || spec->table_id == FLOW_TABLE_ALL;

	list->n = 0;
	for (unsigned int id = all_tables ? 0 : spec->table_id; id < FLOW_TABLES_MAX; id++) {
		const struct classifier *cls = rcu_get(&table->classifiers[id]);
		struct classifier_cursor cursor;
		struct rule *rule;

		if (cls) {
			classifier_cursor_init(&cursor, cls, spec ? &spec->match.mask : NULL);
			while ((rule = classifier_cursor_next(&cursor))) {
				if ((!spec || spec_covers(spec, rule)) &&
				    rule_list_append(list, rule))
					return -ENOMEM;
			}
		}
		if (!all_tables)
			break;
	}
	return 0;
}

/* The rules that a MODIFY or DELETE is about, into txn->matched. */
static int transaction_match(struct transaction *txn, const struct rule_spec *spec, bool strict)
{
	const struct classifier *cls;
	struct rule *rule;
	int err;

	if (!strict) {
		err = flow_table_collect(txn->table, spec, &txn->matched);
		return err ? transaction_no_memory(txn) : 0;
	}
	txn->matched.n = 0;
	for (unsigned int id = 0; id < FLOW_TABLES_MAX; id++) {
		if (spec->table_id != FLOW_TABLE_ALL && spec->table_id != id)
			continue;
		cls = rcu_get(&txn->table->classifiers[id]);
		rule = cls ? classifier_find(cls, &spec->match, spec->priority) : NULL;
		if (rule && spec_covers(spec, rule) && rule_list_append(&txn->matched, rule))
			return transaction_no_memory(txn);
	}
	return 0;
}

static int transaction_add(struct transaction *txn, const struct rule_spec *spec)
{
	struct flow_table *table = txn->table;
	struct classifier *cls;
	struct rule *rule, *old;
	int err;

	if (spec->table_id >= FLOW_TABLES_MAX)
		return error_set(txn->err, EINVAL, "table %u: tables for rules are 0 to %u",
				 spec->table_id, FLOW_TABLES_MAX - 1);
	cls = rcu_get(&table->classifiers[spec->table_id]);
	old = cls ? classifier_find(cls, &spec->match, spec->priority) : NULL;
	if (!old && table->n_rules_total == FLOW_TABLE_RULES_MAX)
		return error_set(txn->err, ENOSPC, "there are %u rules, the most there may be",
				 FLOW_TABLE_RULES_MAX);
	rule = rule_create(spec, txn->now);
	if (!rule)
		return transaction_no_memory(txn);
	rule->serial = ++table->serial;
	err = transaction_link(txn, rule);
	if (!err && old)
		err = transaction_hide(txn, old, NULL);
	if (old)
		txn->result.n_replaced++;
	else
		txn->result.n_added++;
	return err;
}

/* Puts a rule with other actions in the place of `old`. */
static int transaction_modify(struct transaction *txn, struct rule *old,
			      const struct rule_spec *spec)
{
	struct rule_spec changed = {
		.match = old->match,
		.cookie = spec->cookie && !spec->cookie_mask ? spec->cookie : old->cookie,
		.priority = old->priority,
		.table_id = old->table_id,
		.idle_timeout = old->idle_timeout,
		.hard_timeout = old->hard_timeout,
		.actions = spec->actions,
	};
	struct rule *rule = rule_create(&changed, old->created);
	int err;

	if (!rule)
		return transaction_no_memory(txn);
	rule->modified = txn->now;
	rule->serial = old->serial;
	err = transaction_link(txn, rule);
	if (err)
		return err;
	err = transaction_hide(txn, old, rule);
	txn->result.n_modified++;
	return err;
}

/* A MODIFY or DELETE. */
static int transaction_change(struct transaction *txn, const struct flow_mod *mod)
{
	bool strict = mod->type == FLOW_MOD_MODIFY_STRICT || mod->type == FLOW_MOD_DELETE_STRICT;
	bool modify = mod->type == FLOW_MOD_MODIFY || mod->type == FLOW_MOD_MODIFY_STRICT;
	int err = transaction_match(txn, mod->spec, strict);

	for (uint32_t i = 0; !err && i < txn->matched.n; i++) {
		if (modify)
			err = transaction_modify(txn, txn->matched.rules[i], mod->spec);
		else
			err = transaction_hide(txn, txn->matched.rules[i], NULL);
	}
	if (!err && !modify)
		txn->result.n_removed += txn->matched.n;
	return err;
}

/* Ends the transaction well or badly, and tells the result. */
static int transaction_finish(struct transaction *txn, int err, struct flow_mod_result *result)
{
	if (err)
		transaction_undo(txn);
	else
		err = transaction_commit(txn);
	if (!err && result)
		*result = txn->result;
	transaction_uninit(txn);
	return err;
}

int flow_table_modify(struct flow_table *table, const struct flow_mod *mods, size_t n, uint64_t now,
		      struct flow_mod_result *result, struct error *err)
{
	struct transaction txn;
	int rc = 0;

	transaction_init(&txn, table, now, err);
	for (size_t i = 0; !rc && i < n; i++) {
		if (mods[i].type == FLOW_MOD_ADD)
			rc = transaction_add(&txn, mods[i].spec);
		else
			rc = transaction_change(&txn, &mods[i]);
	}
	return transaction_finish(&txn, rc, result);
}

/* Is the rule what `spec` asks for? Match, priority and table are. */
static bool rule_is_as_specified(const struct rule *rule, const struct rule_spec *spec)
{
	return rule->cookie == spec->cookie && rule->idle_timeout == spec->idle_timeout &&
	       rule->hard_timeout == spec->hard_timeout &&
	       ofaction_list_equals(&rule->actions, &spec->actions);
}

/* One rule of a replacement. Marks what is to stay with the transaction's version. */
static int transaction_replace(struct transaction *txn, const struct rule_spec *spec)
{
	const struct classifier *cls = spec->table_id < FLOW_TABLES_MAX
					       ? rcu_get(&txn->table->classifiers[spec->table_id])
					       : NULL;
	struct rule *old = cls ? classifier_find(cls, &spec->match, spec->priority) : NULL;
	int err;

	if (old && rule_is_as_specified(old, spec)) {
		old->keep_version = txn->version;
		return 0;
	}
	err = transaction_add(txn, spec);
	if (!err)
		txn->added.rules[txn->added.n - 1]->keep_version = txn->version;
	return err;
}

int flow_table_replace(struct flow_table *table, const struct rule_spec *specs, size_t n,
		       uint64_t now, struct flow_mod_result *result, struct error *err)
{
	struct transaction txn;
	int rc = 0;

	transaction_init(&txn, table, now, err);
	for (size_t i = 0; !rc && i < n; i++)
		rc = transaction_replace(&txn, &specs[i]);
	if (!rc && flow_table_collect(table, NULL, &txn.matched))
		rc = transaction_no_memory(&txn);
	for (uint32_t i = 0; !rc && i < txn.matched.n; i++) {
		struct rule *rule = txn.matched.rules[i];

		if (rule->keep_version == txn.version) {
			txn.result.n_kept += rule->add_version != txn.version;
			continue;
		}
		rc = transaction_hide(&txn, rule, NULL);
		txn.result.n_removed++;
	}
	return transaction_finish(&txn, rc, result);
}

/* ---- time ---- */

/* Is the rule's time up? */
static bool rule_is_expired(const struct rule *rule, uint64_t now, enum flow_expiry *why)
{
	struct rule_stats stats;

	if (rule->hard_timeout && now >= rule->modified + rule->hard_timeout * CLOCK_NS_PER_S) {
		*why = FLOW_EXPIRY_HARD;
		return true;
	}
	rule_get_stats(rule, &stats);
	*why = FLOW_EXPIRY_IDLE;
	return rule->idle_timeout && now >= stats.used + rule->idle_timeout * CLOCK_NS_PER_S;
}

uint32_t flow_table_expire(struct flow_table *table, uint64_t now, flow_table_expire_cb *cb,
			   void *aux)
{
	struct transaction txn;
	enum flow_expiry why;
	uint32_t n = 0;
	int err = 0;

	transaction_init(&txn, table, now, NULL);
	for (uint32_t i = 0; !err && i < table->timed.n; i++) {
		if (rule_is_expired(table->timed.rules[i], now, &why))
			err = transaction_hide(&txn, table->timed.rules[i], NULL);
	}
	/* Without memory they go next time. */
	if (!err)
		n = txn.hidden.n;
	for (uint32_t i = 0; cb && i < n; i++) {
		rule_is_expired(txn.hidden.rules[i], now, &why);
		cb(aux, txn.hidden.rules[i], why);
	}
	return transaction_finish(&txn, err, NULL) ? 0 : n;
}

bool flow_table_has_timeouts(const struct flow_table *table)
{
	return table->timed.n > 0;
}

void flow_table_purge(struct flow_table *table)
{
	bool touched[FLOW_TABLES_MAX] = {false};

	for (uint32_t i = 0; i < table->gone.n; i++) {
		struct rule *rule = table->gone.rules[i], *heir = rcu_get(&rule->heir);

		if (heir)
			rule_bequeath(rule, heir);
		touched[rule->table_id] = true;
		classifier_remove(rcu_get(&table->classifiers[rule->table_id]), rule);
	}
	rule_list_uninit(&table->gone);
	for (unsigned int i = 0; i < FLOW_TABLES_MAX; i++) {
		struct classifier *cls = rcu_get(&table->classifiers[i]);

		if (cls && (touched[i] || cls->yard.load))
			classifier_purge(cls);
	}
}

/* ---- listing ---- */

static int compare_rules(const void *a, const void *b)
{
	const struct rule *x = *(struct rule *const *)a, *y = *(struct rule *const *)b;

	if (x->table_id != y->table_id)
		return x->table_id < y->table_id ? -1 : 1;
	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	return x->serial < y->serial ? -1 : 1;
}

int flow_table_dump(const struct flow_table *table, const struct rule_spec *filter,
		    flow_table_dump_cb *cb, void *aux)
{
	struct rule_list list = {0};
	int err = flow_table_collect(table, filter, &list);

	if (!err && list.n) {
		qsort(list.rules, list.n, sizeof(list.rules[0]), compare_rules);
		for (uint32_t i = 0; i < list.n; i++)
			cb(aux, list.rules[i]);
	}
	rule_list_uninit(&list);
	return err;
}

/* Adds up what `get` says of one table, or all. */
static uint32_t flow_table_sum(const struct flow_table *table, uint8_t table_id,
			       uint32_t (*get)(const struct flow_table *table, uint8_t id))
{
	uint32_t sum = 0;

	if (table_id < FLOW_TABLES_MAX)
		return get(table, table_id);
	for (unsigned int id = 0; id < FLOW_TABLES_MAX; id++)
		sum += get(table, (uint8_t)id);
	return sum;
}

static uint32_t get_n_rules(const struct flow_table *table, uint8_t id)
{
	return table->n_rules[id];
}

static uint32_t get_n_subtables(const struct flow_table *table, uint8_t id)
{
	const struct classifier *cls = rcu_get(&table->classifiers[id]);

	return cls ? cls->n_subtables : 0;
}

uint32_t flow_table_get_n_rules(const struct flow_table *table, uint8_t table_id)
{
	return flow_table_sum(table, table_id, get_n_rules);
}

uint32_t flow_table_get_n_subtables(const struct flow_table *table, uint8_t table_id)
{
	return flow_table_sum(table, table_id, get_n_subtables);
}

/* ---- readers ---- */

struct rule *flow_table_lookup(const struct flow_table *table, uint64_t version, uint8_t table_id,
			       const struct flow_key *key, struct flow_key *mask)
{
	const struct classifier *cls = rcu_get(&table->classifiers[table_id]);
	struct flow_key unwanted;

	return cls ? classifier_lookup(cls, version, key, mask ? mask : &unwanted) : NULL;
}

uint64_t flow_table_get_version(const struct flow_table *table)
{
	return atomic_load_explicit(&table->version, memory_order_acquire);
}
