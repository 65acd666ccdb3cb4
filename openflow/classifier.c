/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/classifier.h"

#include "bpf/flow_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RELAXED memory_order_relaxed

/* Stages of a look-up, and the most words of a mask: words 0 and 2 are cut by stage borders. */
#define STAGES 4
#define STAGE_WORDS (FLOW_KEY_WORDS + 3)

/* Subtables of up to this many rules find their highest priority anew at once when it leaves. */
#define RESCAN_ALWAYS 1024

#define ONES_16 0xffff
#define ONES_32 0xffffffffu
#define ONES_MAC {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
#define ONES_IPV6                                                                                  \
	{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,                                           \
	 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

/* Which bits belong to which stage. Together they are the whole key. */
static const struct flow_key stage_fields[STAGES] = {
	{.in_port = ONES_32},
	{.vlan_tci = ONES_16, .dl_type = ONES_16, .dl_dst = ONES_MAC, .dl_src = ONES_MAC},
	{.nw_frag = 0xff,
	 .nw_proto = 0xff,
	 .nw_tos = 0xff,
	 .nw_ttl = 0xff,
	 .nw_src = ONES_32,
	 .nw_dst = ONES_32,
	 .ipv6_src = ONES_IPV6,
	 .ipv6_dst = ONES_IPV6,
	 .ipv6_label = ONES_32,
	 .pad2 = ONES_32,
	 .nd_target = ONES_IPV6,
	 .arp_sha = ONES_MAC,
	 .arp_tha = ONES_MAC,
	 .pad3 = ONES_32},
	{.tp_src = ONES_16, .tp_dst = ONES_16, .tcp_flags = ONES_16, .pad1 = ONES_16},
};

/* The fields that have a trie. */
static const struct trie_field {
	uint8_t offset; /* in struct flow_key */
	uint8_t n_bits;
} trie_fields[CLASSIFIER_TRIES] = {
	{offsetof(struct flow_key, nw_dst), 32},
	{offsetof(struct flow_key, nw_src), 32},
	{offsetof(struct flow_key, ipv6_dst), 128},
	{offsetof(struct flow_key, ipv6_src), 128},
	{offsetof(struct flow_key, tp_dst), 16},
	{offsetof(struct flow_key, tp_src), 16},
};

/* Bits of trie_fields, by when they are asked. */
#define IPV4_TRIES 0x03u
#define IPV6_TRIES 0x0cu
#define ADDRESS_TRIES (IPV4_TRIES | IPV6_TRIES)
#define PORT_TRIES 0x30u

/* Rules with the same mask. */
struct subtable {
	/* What look-ups need, constant. Words of the mask by stage: stage S is [ends[S - 1],
	 * ends[S]). */
	uint8_t ends[STAGES];
	uint8_t last_stage;                /* the last one that has words */
	uint8_t has_index;                 /* bit S: stage S ends with a question to its index */
	uint8_t prefix[CLASSIFIER_TRIES];  /* prefix length in each trie's field; 0: not a prefix */
	uint8_t idx[STAGE_WORDS];          /* which word of the key */
	uint64_t mask[STAGE_WORDS];        /* which bits of it */
	struct hash_index indexes[STAGES]; /* of hashes up to that stage; the last: to rules */

	/* The writer's. */
	struct flow_key full_mask;
	uint32_t mask_hash;
	uint32_t serial;
	uint32_t n_rules;      /* linked in, hidden ones too */
	uint32_t n_removed;    /* since max_priority was exact */
	uint16_t max_priority; /* no rule's is higher */
	bool has_one_type;     /* dl_type is matched, and all rules want the same */
	uint16_t dl_type;      /* that one */
};

/* The order of look-ups, immutable. */
struct classifier_order {
	uint32_t n;
	struct classifier_entry {
		const struct subtable *subtable;
		/* Copies of what rules most subtables out, so that these need not be touched. */
		uint16_t max_priority;
		uint16_t dl_type;
		bool has_one_type;
		uint8_t tries; /* bit T: ask trie T */
		uint8_t prefix[CLASSIFIER_TRIES];
	} entries[];
};

static_assert(sizeof(struct classifier_entry) == 24, "entries lie close together");

static_assert(CLASSIFIER_TRIES <= PREFIX_QUERIES_MAX, "all tries can be asked at once");

/* One look-up's memory: each trie is asked once at most. */
struct lookup {
	const struct classifier *cls;
	const struct flow_key *key;
	struct flow_key *mask;
	uint64_t version;
	uint32_t asked; /* bit T: matches[T] is filled in */
	struct prefix_match matches[CLASSIFIER_TRIES];
};

static inline uint64_t hash_step(uint64_t h, uint64_t word)
{
	h = (h ^ word) * FLOW_HASH_K0;
	return h ^ h >> 32;
}

static inline uint32_t hash_end(uint64_t h)
{
	return (uint32_t)((h * FLOW_HASH_K1) >> 32);
}

/* ---- subtables ---- */

/* The length of the prefix that `mask` is in field `f`; 0 when it is empty or has holes. */
static unsigned int mask_prefix(const struct flow_key *mask, const struct trie_field *f)
{
	const uint8_t *bytes = (const uint8_t *)mask + f->offset;
	unsigned int n = 0;

	while (n < f->n_bits && (bytes[n / 8] >> (7 - n % 8) & 1))
		n++;
	for (unsigned int i = n; i < f->n_bits; i++) {
		if (bytes[i / 8] >> (7 - i % 8) & 1)
			return 0;
	}
	return n;
}

static uint32_t mask_hash(const struct flow_key *mask)
{
	uint64_t h = 0;

	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		h = hash_step(h, mask->w[i]);
	return hash_end(h);
}

/* Stages that have words and are not the last get an index, unless they only tell apart what was
 * told before: dl_type alone, see classifier_entry. */
static void subtable_choose_indexes(struct subtable *st)
{
	const struct flow_key only_type = {.dl_type = UINT16_MAX};

	for (int s = 0, start = 0; s < st->last_stage; start = st->ends[s++]) {
		if (st->ends[s] > start &&
		    (start > 0 || st->ends[s] > 1 || st->idx[0] || st->mask[0] != only_type.w[0]))
			st->has_index |= (uint8_t)(1u << s);
	}
}

static struct subtable *subtable_create(const struct flow_key *mask, uint32_t hash)
{
	struct subtable *st = calloc(1, sizeof(*st));
	uint8_t n = 0;

	if (!st)
		return NULL;
	st->full_mask = *mask;
	st->mask_hash = hash;
	for (int s = 0; s < STAGES; s++) {
		for (uint8_t i = 0; i < FLOW_KEY_WORDS; i++) {
			uint64_t word = mask->w[i] & stage_fields[s].w[i];

			if (!word)
				continue;
			st->idx[n] = i;
			st->mask[n++] = word;
			st->last_stage = (uint8_t)s;
		}
		st->ends[s] = n;
		hash_index_init(&st->indexes[s]);
	}
	subtable_choose_indexes(st);
	for (int t = 0; t < CLASSIFIER_TRIES; t++)
		st->prefix[t] = (uint8_t)mask_prefix(mask, &trie_fields[t]);
	return st;
}

/* Frees the subtable and its indexes at once. */
static void subtable_destroy(struct subtable *st)
{
	for (int s = 0; s < STAGES; s++)
		hash_index_uninit(&st->indexes[s]);
	free(st);
}

/* Does stage `s` end with a question to an index? */
static inline bool subtable_has_index(const struct subtable *st, int s)
{
	return st->has_index >> s & 1;
}

/* The hashes of a rule's value after each stage; rule->hash is the last one. */
static void subtable_hash(const struct subtable *st, const struct flow_key *value,
			  uint32_t hashes[STAGES])
{
	uint64_t h = 0;

	for (int s = 0, i = 0; s < STAGES; s++) {
		for (; i < st->ends[s]; i++)
			h = hash_step(h, value->w[st->idx[i]] & st->mask[i]);
		hashes[s] = hash_end(h);
	}
}

static bool value_equals(const struct flow_key *a, const struct flow_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* The first rule (highest priority) with that value, or NULL. Writer. */
static struct rule *subtable_find_head(const struct subtable *st, uint32_t hash,
				       const struct flow_key *value)
{
	struct hash_index_cursor cursor;
	struct rule *rule;

	for (rule = hash_index_first(&st->indexes[st->last_stage], hash, &cursor); rule;
	     rule = hash_index_next(&cursor)) {
		if (value_equals(&rule->match.value, value))
			return rule;
	}
	return NULL;
}

/* Links the rule into the chain of those with its value, which is sorted by falling priority. */
static int subtable_link(struct subtable *st, struct rule *rule, struct graveyard *yard)
{
	struct hash_index *index = &st->indexes[st->last_stage];
	struct rule *head = subtable_find_head(st, rule->hash, &rule->match.value), *next;

	rcu_set(&rule->next, NULL);
	if (!head)
		return hash_index_insert(index, rule->hash, rule, yard);
	if (rule->priority >= head->priority) {
		rcu_set(&rule->next, head);
		hash_index_set(index, rule->hash, head, rule);
		return 0;
	}
	while ((next = rcu_get(&head->next)) && next->priority > rule->priority)
		head = next;
	rcu_set(&rule->next, next);
	rcu_set(&head->next, rule);
	return 0;
}

static void subtable_unlink(struct subtable *st, struct rule *rule)
{
	struct hash_index *index = &st->indexes[st->last_stage];
	struct rule *prev = subtable_find_head(st, rule->hash, &rule->match.value);
	struct rule *next = rcu_get(&rule->next);

	if (prev != rule) {
		while (rcu_get(&prev->next) != rule)
			prev = rcu_get(&prev->next);
		rcu_set(&prev->next, next);
	} else if (next) {
		hash_index_set(index, rule->hash, rule, next);
	} else {
		hash_index_remove(index, rule->hash, rule);
	}
}

/* Takes note of a new rule's Ethernet type. */
static void subtable_add_type(struct subtable *st, uint16_t dl_type)
{
	if (st->n_rules == 0) {
		st->has_one_type = st->full_mask.dl_type == UINT16_MAX;
		st->dl_type = dl_type;
	} else if (st->dl_type != dl_type) {
		st->has_one_type = false;
	}
}

/* Finds max_priority anew if rules have gone since, and it does not cost more than they gained. */
static void subtable_refresh_priority(struct subtable *st)
{
	struct rule *rule;
	uint32_t slot = 0;
	uint16_t max = 0;

	if (!st->n_removed || (st->n_rules > RESCAN_ALWAYS && st->n_removed < st->n_rules / 16))
		return;
	while ((rule = hash_index_walk(&st->indexes[st->last_stage], &slot)))
		max = MAX(max, rule->priority);
	st->max_priority = max;
	st->n_removed = 0;
}

/* ---- the classifier: writer ---- */

void classifier_init(struct classifier *cls)
{
	memset(cls, 0, sizeof(*cls));
	for (int t = 0; t < CLASSIFIER_TRIES; t++)
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
	for (int t = 0; t < CLASSIFIER_TRIES; t++)
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
		if (value_equals(&st->full_mask, mask))
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

static const uint8_t *trie_value(const struct flow_key *key, int t)
{
	return (const uint8_t *)key + trie_fields[t].offset;
}

/* Takes the rule out of the first `n` tries. */
static void classifier_leave_tries(struct classifier *cls, const struct subtable *st,
				   const struct rule *rule, int n)
{
	for (int t = 0; t < n; t++) {
		if (st->prefix[t])
			prefix_trie_remove(&cls->tries[t], trie_value(&rule->match.value, t),
					   st->prefix[t], &cls->yard);
	}
}

static int classifier_enter_tries(struct classifier *cls, const struct subtable *st,
				  const struct rule *rule)
{
	for (int t = 0; t < CLASSIFIER_TRIES; t++) {
		int err = 0;

		if (st->prefix[t])
			err = prefix_trie_insert(&cls->tries[t], trie_value(&rule->match.value, t),
						 st->prefix[t], &cls->yard);
		if (err) {
			classifier_leave_tries(cls, st, rule, t);
			return err;
		}
	}
	return 0;
}

/* Takes one count out of the indexes of the first `n` stages. */
static void subtable_leave_indexes(struct subtable *st, const uint32_t hashes[STAGES], int n)
{
	for (int s = 0; s < n; s++) {
		if (subtable_has_index(st, s))
			hash_index_unref(&st->indexes[s], hashes[s]);
	}
}

static int subtable_enter_indexes(struct subtable *st, const uint32_t hashes[STAGES],
				  struct graveyard *yard)
{
	for (int s = 0; s < STAGES; s++) {
		if (subtable_has_index(st, s) && hash_index_ref(&st->indexes[s], hashes[s], yard)) {
			subtable_leave_indexes(st, hashes, s);
			return -ENOMEM;
		}
	}
	return 0;
}

int classifier_insert(struct classifier *cls, struct rule *rule, uint64_t version)
{
	uint32_t hash = mask_hash(&rule->match.mask), hashes[STAGES];
	struct subtable *st = classifier_find_subtable(cls, &rule->match.mask, hash);

	if (!st)
		st = classifier_add_subtable(cls, &rule->match.mask, hash);
	if (!st)
		return -ENOMEM;
	subtable_hash(st, &rule->match.value, hashes);
	rule->hash = hashes[STAGES - 1];
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
	classifier_leave_tries(cls, st, rule, CLASSIFIER_TRIES);
no_tries:
	subtable_leave_indexes(st, hashes, STAGES);
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
	uint32_t hash = mask_hash(&rule->match.mask), hashes[STAGES];
	struct subtable *st = classifier_find_subtable(cls, &rule->match.mask, hash);

	subtable_unlink(st, rule);
	classifier_leave_tries(cls, st, rule, CLASSIFIER_TRIES);
	subtable_hash(st, &rule->match.value, hashes);
	subtable_leave_indexes(st, hashes, STAGES);
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
	for (int t = 0; t < CLASSIFIER_TRIES; t++)
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
	for (int s = 0; s < STAGES; s++)
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
		classifier_find_subtable(cls, &match->mask, mask_hash(&match->mask));
	uint32_t hashes[STAGES];
	struct rule *rule;

	if (!st)
		return NULL;
	subtable_hash(st, &match->value, hashes);
	rule = subtable_find_head(st, hashes[STAGES - 1], &match->value);
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

/* ---- the classifier: readers ---- */

/* Adds the first `n` bits of trie `t`'s field to the mask. */
static void lookup_add_prefix(struct lookup *lk, int t, unsigned int n)
{
	uint8_t *bytes = (uint8_t *)lk->mask + trie_fields[t].offset;

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
			.value = trie_value(lk->key, i),
			.n_bits = trie_fields[i].n_bits,
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
static struct rule *subtable_get(const struct lookup *lk, const struct subtable *st, uint32_t hash,
				 const uint64_t *words)
{
	struct hash_index_cursor cursor;
	struct rule *rule;

	for (rule = hash_index_first(&st->indexes[st->last_stage], hash, &cursor); rule;
	     rule = hash_index_next(&cursor)) {
		uint64_t diff = 0;

		for (int i = 0; i < st->ends[STAGES - 1]; i++)
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
static struct rule *subtable_lookup(struct lookup *lk, const struct classifier_entry *entry)
{
	const struct subtable *st = entry->subtable;
	uint64_t h = 0, words[STAGE_WORDS];

	for (int s = 0, i = 0; s <= st->last_stage; s++) {
		if (s == STAGES - 1 && tries_exclude(lk, entry, PORT_TRIES))
			return NULL;
		for (; i < st->ends[s]; i++) {
			words[i] = lk->key->w[st->idx[i]] & st->mask[i];
			h = hash_step(h, words[i]);
		}
		if (subtable_has_index(st, s) &&
		    !hash_index_has(&st->indexes[s], hash_end(h))) {
			lookup_add_stages(lk, st, s);
			return NULL;
		}
	}
	lookup_add_stages(lk, st, st->last_stage);
	return subtable_get(lk, st, hash_end(h), words);
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
		rule = subtable_lookup(&lk, entry);
		if (rule && (!best || rule->priority > best->priority))
			best = rule;
	}
	return best;
}
