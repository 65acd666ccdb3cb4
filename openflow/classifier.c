/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/classifier_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RELAXED memory_order_relaxed

void classifier_init(struct classifier *cls)
{
	memset(cls, 0, sizeof(*cls));
	for (int t = 0; t < SUBTABLE_TRIES; t++)
		prefix_trie_init(&cls->tries[t]);
	hash_index_init(&cls->masks);
	graveyard_init(&cls->yard);
}

void classifier_uninit(struct classifier *cls)
{
	for (uint32_t i = 0; i < cls->n_subtables; i++) {
		struct subtable *st = cls->subtables[i];
		struct rule *rule, *next;
		uint32_t slot = 0;

		while ((rule = hash_index_walk(&st->indexes[st->last_stage], &slot))) {
			for (; rule; rule = next) {
				next = rcu_get(&rule->next);
				rule_unref(rule);
			}
		}
		subtable_destroy(st);
	}
	free(cls->subtables);
	free(rcu_get(&cls->order));
	for (int t = 0; t < SUBTABLE_TRIES; t++)
		prefix_trie_uninit(&cls->tries[t]);
	hash_index_uninit(&cls->masks);
	graveyard_uninit(&cls->yard);
}

static struct subtable *classifier_find_subtable(const struct classifier *cls,
						 const struct flow_key *mask, uint32_t hash)
{
	struct hash_index_cursor cursor;
	struct subtable *st;

	for (st = hash_index_first(&cls->masks, hash, &cursor); st; st = hash_index_next(&cursor)) {
		if (flow_key_equals(&st->full_mask, mask))
			return st;
	}
	return NULL;
}

static struct subtable *classifier_add_subtable(struct classifier *cls, const struct flow_key *mask,
						uint32_t hash)
{
	struct subtable *st;

	if (cls->n_subtables == cls->capacity) {
		uint32_t capacity = cls->capacity ? cls->capacity * 2 : 16;
		struct subtable **grown = realloc(cls->subtables, capacity * sizeof(*grown));

		if (!grown)
			return NULL;
		cls->subtables = grown;
		cls->capacity = capacity;
	}
	st = subtable_create(mask, hash);
	if (!st)
		return NULL;
	if (hash_index_insert(&cls->masks, hash, st, &cls->yard)) {
		subtable_destroy(st);
		return NULL;
	}
	st->serial = ++cls->serial;
	cls->subtables[cls->n_subtables++] = st;
	return st;
}

/* Takes the rule out of the first `n` tries. */
static void classifier_leave_tries(struct classifier *cls, const struct subtable *st,
				   const struct rule *rule, int n)
{
	for (int t = 0; t < n; t++) {
		if (st->prefix[t])
			prefix_trie_remove(&cls->tries[t],
					   subtable_trie_value(&rule->match.value, t),
					   st->prefix[t], &cls->yard);
	}
}

static int classifier_enter_tries(struct classifier *cls, const struct subtable *st,
				  const struct rule *rule)
{
	for (int t = 0; t < SUBTABLE_TRIES; t++) {
		int err = 0;

		if (st->prefix[t])
			err = prefix_trie_insert(&cls->tries[t],
						 subtable_trie_value(&rule->match.value, t),
						 st->prefix[t], &cls->yard);
		if (err) {
			classifier_leave_tries(cls, st, rule, t);
			return err;
		}
	}
	return 0;
}

int classifier_insert(struct classifier *cls, struct rule *rule, uint64_t version)
{
	uint32_t hash = subtable_hash_mask(&rule->match.mask), hashes[SUBTABLE_STAGES];
	struct subtable *st = classifier_find_subtable(cls, &rule->match.mask, hash);

	if (!st)
		st = classifier_add_subtable(cls, &rule->match.mask, hash);
	if (!st)
		return -ENOMEM;
	subtable_hash(st, &rule->match.value, hashes);
	rule->hash = hashes[SUBTABLE_STAGES - 1];
	rule->add_version = version;
	atomic_store_explicit(&rule->remove_version, UINT64_MAX, RELAXED);
	if (subtable_enter_indexes(st, hashes, &cls->yard))
		return -ENOMEM;
	if (classifier_enter_tries(cls, st, rule))
		goto no_tries;
	if (subtable_link(st, rule, &cls->yard))
		goto no_link;
	subtable_add_type(st, rule->match.value.dl_type);
	st->max_priority = MAX(st->max_priority, rule->priority);
	st->n_rules++;
	cls->n_rules++;
	return 0;

no_link:
	classifier_leave_tries(cls, st, rule, SUBTABLE_TRIES);
no_tries:
	subtable_leave_indexes(st, hashes, SUBTABLE_STAGES);
	return -ENOMEM;
}

void classifier_hide(struct rule *rule, uint64_t version)
{
	atomic_store_explicit(&rule->remove_version, version, memory_order_release);
}

void classifier_show(struct rule *rule)
{
	atomic_store_explicit(&rule->remove_version, UINT64_MAX, memory_order_release);
}

void classifier_remove(struct classifier *cls, struct rule *rule)
{
	uint32_t hash = subtable_hash_mask(&rule->match.mask), hashes[SUBTABLE_STAGES];
	struct subtable *st = classifier_find_subtable(cls, &rule->match.mask, hash);

	subtable_unlink(st, rule);
	classifier_leave_tries(cls, st, rule, SUBTABLE_TRIES);
	subtable_hash(st, &rule->match.value, hashes);
	subtable_leave_indexes(st, hashes, SUBTABLE_STAGES);
	st->n_rules--;
	st->n_removed++;
	cls->n_rules--;
	rule_unref(rule);
}

static int compare_subtables(const void *a, const void *b)
{
	const struct subtable *x = *(struct subtable *const *)a, *y = *(struct subtable *const *)b;

	if (x->max_priority != y->max_priority)
		return x->max_priority > y->max_priority ? -1 : 1;
	return x->serial < y->serial ? -1 : 1;
}

static void entry_init(struct classifier_entry *entry, const struct subtable *st)
{
	entry->subtable = st;
	entry->max_priority = st->max_priority;
	entry->has_one_type = st->has_one_type;
	entry->dl_type = st->dl_type;
	entry->tries = 0;
	memcpy(entry->prefix, st->prefix, sizeof(entry->prefix));
	for (int t = 0; t < SUBTABLE_TRIES; t++)
		entry->tries |= (uint8_t)((st->prefix[t] != 0) << t);
}

static struct classifier_order *order_create(uint32_t n)
{
	struct classifier_order *order = malloc(sizeof(*order) + n * sizeof(order->entries[0]));

	if (order)
		order->n = n;
	return order;
}

static void classifier_set_order(struct classifier *cls, struct classifier_order *order)
{
	graveyard_insert(&cls->yard, rcu_swap(&cls->order, order));
}

int classifier_publish(struct classifier *cls)
{
	struct classifier_order *order = order_create(cls->n_subtables);

	if (!order)
		return -ENOMEM;
	for (uint32_t i = 0; i < cls->n_subtables; i++)
		subtable_refresh_priority(cls->subtables[i]);
	qsort(cls->subtables, cls->n_subtables, sizeof(cls->subtables[0]), compare_subtables);
	for (uint32_t i = 0; i < cls->n_subtables; i++)
		entry_init(&order->entries[i], cls->subtables[i]);
	classifier_set_order(cls, order);
	return 0;
}

/* Puts in force an order without empty subtables, and with the others as they stand: winners among
 * equals must not change here. Returns false when out of memory. */
static bool classifier_drop_empty_from_order(struct classifier *cls)
{
	struct classifier_order *old = rcu_get(&cls->order), *order;
	uint32_t n = 0;

	order = order_create(old ? old->n : 0);
	if (!order)
		return false;
	for (uint32_t i = 0; i < order->n; i++) {
		if (old->entries[i].subtable->n_rules)
			order->entries[n++] = old->entries[i];
	}
	order->n = n;
	classifier_set_order(cls, order);
	return true;
}

static void classifier_retire_subtable(struct classifier *cls, struct subtable *st)
{
	hash_index_remove(&cls->masks, st->mask_hash, st);
	for (int s = 0; s < SUBTABLE_STAGES; s++)
		graveyard_insert(&cls->yard, hash_index_get_memory(&st->indexes[s]));
	graveyard_insert(&cls->yard, st);
}

void classifier_purge(struct classifier *cls)
{
	uint32_t n_empty = 0, n = 0;

	for (uint32_t i = 0; i < cls->n_subtables; i++)
		n_empty += cls->subtables[i]->n_rules == 0;
	if (n_empty && classifier_drop_empty_from_order(cls)) {
		for (uint32_t i = 0; i < cls->n_subtables; i++) {
			struct subtable *st = cls->subtables[i];

			if (st->n_rules)
				cls->subtables[n++] = st;
			else
				classifier_retire_subtable(cls, st);
		}
		cls->n_subtables = n;
	}
	graveyard_run(&cls->yard);
}

struct rule *classifier_find(const struct classifier *cls, const struct match *match,
			     uint16_t priority)
{
	const struct subtable *st =
		classifier_find_subtable(cls, &match->mask, subtable_hash_mask(&match->mask));
	uint32_t hashes[SUBTABLE_STAGES];
	struct rule *rule;

	if (!st)
		return NULL;
	subtable_hash(st, &match->value, hashes);
	rule = subtable_find_head(st, hashes[SUBTABLE_STAGES - 1], &match->value);
	for (; rule && rule->priority >= priority; rule = rcu_get(&rule->next)) {
		if (rule->priority == priority && !classifier_is_hidden(rule))
			return rule;
	}
	return NULL;
}

void classifier_cursor_init(struct classifier_cursor *cursor, const struct classifier *cls,
			    const struct flow_key *mask)
{
	memset(cursor, 0, sizeof(*cursor));
	cursor->cls = cls;
	cursor->mask = mask;
	cursor->n_subtables = cls->n_subtables;
}

static bool mask_contains(const struct flow_key *outer, const struct flow_key *inner)
{
	for (int i = 0; i < FLOW_KEY_WORDS; i++) {
		if (inner->w[i] & ~outer->w[i])
			return false;
	}
	return true;
}

/* The next rule in any state, or NULL. */
static struct rule *cursor_step(struct classifier_cursor *cursor)
{
	struct rule *rule = cursor->rule ? rcu_get(&cursor->rule->next) : NULL;

	while (!rule) {
		if (cursor->now)
			rule = hash_index_walk(&cursor->now->indexes[cursor->now->last_stage],
					       &cursor->slot);
		if (rule)
			break;
		if (cursor->subtable == cursor->n_subtables)
			return NULL;
		cursor->now = cursor->cls->subtables[cursor->subtable++];
		cursor->slot = 0;
		if (cursor->mask && !mask_contains(&cursor->now->full_mask, cursor->mask))
			cursor->now = NULL;
	}
	cursor->rule = rule;
	return rule;
}

struct rule *classifier_cursor_next(struct classifier_cursor *cursor)
{
	struct rule *rule;

	while ((rule = cursor_step(cursor)) && classifier_is_hidden(rule))
		;
	return rule;
}
