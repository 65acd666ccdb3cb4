/* SPDX-License-Identifier: BSD-2-Clause */
/* What readers do: the search, and the record of what it looked at. */
#include "openflow/classifier_priv.h"

#include "bpf/flow_parse.h"

/* Bits of subtable_trie_fields, by when they are asked. */
#define IPV4_TRIES 0x03u
#define IPV6_TRIES 0x0cu
#define ADDRESS_TRIES (IPV4_TRIES | IPV6_TRIES)
#define PORT_TRIES 0x30u

static_assert(SUBTABLE_TRIES <= PREFIX_QUERIES_MAX, "all tries can be asked at once");

/* One look-up's memory: each trie is asked once at most. */
struct lookup {
	const struct classifier *cls;
	const struct flow_key *key;
	struct flow_key *mask;
	uint64_t version;
	uint32_t asked; /* bit T: matches[T] is filled in */
	struct prefix_match matches[SUBTABLE_TRIES];
};

/* Adds the first `n` bits of trie `t`'s field to the mask. */
static void lookup_add_prefix(struct lookup *lk, int t, unsigned int n)
{
	uint8_t *bytes = (uint8_t *)lk->mask + subtable_trie_fields[t].offset;

	memset(bytes, 0xff, n / 8);
	if (n % 8)
		bytes[n / 8] |= (uint8_t)(0xff00u >> (n % 8));
}

/* Adds the subtable's words up to the end of stage `s` to the mask. */
static inline void lookup_add_stages(struct lookup *lk, const struct subtable *st, int s)
{
	for (int i = 0; i < st->ends[s]; i++)
		lk->mask->w[st->idx[i]] |= st->mask[i];
}

/* Asks trie `t`, and with it those that are likely to be needed for this kind of packet. Answers
 * that nobody needs cost little, and say nothing about the mask. */
static void lookup_ask_tries(struct lookup *lk, int t)
{
	struct prefix_query queries[PREFIX_QUERIES_MAX];
	uint32_t tries = 1u << t;
	unsigned int n = 0;

	if (lk->key->dl_type == FLOW_BE16(0x0800))
		tries |= IPV4_TRIES | PORT_TRIES;
	else if (lk->key->dl_type == FLOW_BE16(0x86dd))
		tries |= IPV6_TRIES | PORT_TRIES;
	for (uint32_t left = tries & ~lk->asked; left; left &= left - 1) {
		int i = __builtin_ctz(left);

		queries[n++] = (struct prefix_query){
			.trie = &lk->cls->tries[i],
			.value = subtable_trie_value(lk->key, i),
			.n_bits = subtable_trie_fields[i].n_bits,
			.match = &lk->matches[i],
		};
	}
	prefix_trie_lookup_all(queries, n);
	lk->asked |= tries;
}

/* Does one of those tries rule the subtable out? Then the bits that told so are added. */
static inline bool tries_exclude(struct lookup *lk, const struct classifier_entry *entry,
				 uint32_t tries)
{
	for (uint32_t left = entry->tries & tries; left; left &= left - 1) {
		int t = __builtin_ctz(left);
		struct prefix_match *match = &lk->matches[t];

		if (!(lk->asked & 1u << t))
			lookup_ask_tries(lk, t);
		if (!prefix_match_has(match, entry->prefix[t])) {
			lookup_add_prefix(lk, t,
					  MIN(match->n_bits, (unsigned int)entry->prefix[t]));
			return true;
		}
	}
	return false;
}

/* Do its Ethernet type or addresses rule the subtable out, without touching it? */
static inline bool lookup_excludes(struct lookup *lk, const struct classifier_entry *entry)
{
	if (entry->has_one_type && entry->dl_type != lk->key->dl_type) {
		lk->mask->dl_type = UINT16_MAX;
		return true;
	}
	return tries_exclude(lk, entry, ADDRESS_TRIES);
}

static inline bool rule_is_visible(const struct rule *rule, uint64_t version)
{
	return rule->add_version <= version &&
	       version < atomic_load_explicit(&rule->remove_version, memory_order_acquire);
}

/* The best visible rule whose value is `words`, the subtable's view of the key. */
static struct rule *find_visible(const struct lookup *lk, const struct subtable *st, uint32_t hash,
				 const uint64_t *words)
{
	struct hash_index_cursor cursor;
	struct rule *rule;

	for (rule = hash_index_first(&st->indexes[st->last_stage], hash, &cursor); rule;
	     rule = hash_index_next(&cursor)) {
		uint64_t diff = 0;

		for (int i = 0; i < st->ends[SUBTABLE_STAGES - 1]; i++)
			diff |= (rule->match.value.w[st->idx[i]] & st->mask[i]) ^ words[i];
		if (diff)
			continue;
		while (rule && !rule_is_visible(rule, lk->version))
			rule = rcu_get(&rule->next);
		return rule;
	}
	return NULL;
}

/* Ports are asked about last, when all that comes before them agrees with some rule: to look at
 * them where addresses would have told makes a megaflow for each connection. */
static struct rule *search_subtable(struct lookup *lk, const struct classifier_entry *entry)
{
	const struct subtable *st = entry->subtable;
	uint64_t h = 0, words[SUBTABLE_WORDS];

	for (int s = 0, i = 0; s <= st->last_stage; s++) {
		if (s == SUBTABLE_STAGES - 1 && tries_exclude(lk, entry, PORT_TRIES))
			return NULL;
		for (; i < st->ends[s]; i++) {
			words[i] = lk->key->w[st->idx[i]] & st->mask[i];
			h = subtable_hash_step(h, words[i]);
		}
		if (subtable_has_index(st, s) &&
		    !hash_index_has(&st->indexes[s], subtable_hash_end(h))) {
			lookup_add_stages(lk, st, s);
			return NULL;
		}
	}
	lookup_add_stages(lk, st, st->last_stage);
	return find_visible(lk, st, subtable_hash_end(h), words);
}

struct rule *classifier_lookup(const struct classifier *cls, uint64_t version,
			       const struct flow_key *key, struct flow_key *mask)
{
	const struct classifier_order *order = rcu_get(&cls->order);
	struct rule *best = NULL;
	struct lookup lk; /* matches are filled in when asked for */

	if (!order)
		return NULL;
	lk.cls = cls;
	lk.key = key;
	lk.mask = mask;
	lk.version = version;
	lk.asked = 0;
	for (uint32_t i = 0; i < order->n; i++) {
		const struct classifier_entry *entry = &order->entries[i];
		struct rule *rule;

		if (best && best->priority >= entry->max_priority)
			break;
		if (lookup_excludes(&lk, entry))
			continue;
		rule = search_subtable(&lk, entry);
		if (rule && (!best || rule->priority > best->priority))
			best = rule;
	}
	return best;
}
