/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/subtable.h"

#include <errno.h>
#include <stdlib.h>

/* Subtables of up to this many rules find their highest priority anew at once when it leaves. */
#define RESCAN_ALWAYS 1024

#define ONES_16 0xffff
#define ONES_32 0xffffffffu
#define ONES_MAC {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
#define ONES_IPV6                                                                                  \
	{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,                                           \
	 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

/* Which bits belong to which stage. Together they are the whole key. */
static const struct flow_key stage_fields[SUBTABLE_STAGES] = {
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

const struct subtable_trie_field subtable_trie_fields[SUBTABLE_TRIES] = {
	{offsetof(struct flow_key, nw_dst), 32},
	{offsetof(struct flow_key, nw_src), 32},
	{offsetof(struct flow_key, ipv6_dst), 128},
	{offsetof(struct flow_key, ipv6_src), 128},
	{offsetof(struct flow_key, tp_dst), 16},
	{offsetof(struct flow_key, tp_src), 16},
};

/* The length of the prefix that `mask` is in field `f`; 0 when it is empty or has holes. */
static unsigned int mask_prefix(const struct flow_key *mask, const struct subtable_trie_field *f)
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

uint32_t subtable_hash_mask(const struct flow_key *mask)
{
	uint64_t h = 0;

	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		h = subtable_hash_step(h, mask->w[i]);
	return subtable_hash_end(h);
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

struct subtable *subtable_create(const struct flow_key *mask, uint32_t hash)
{
	struct subtable *st = calloc(1, sizeof(*st));
	uint8_t n = 0;

	if (!st)
		return NULL;
	st->full_mask = *mask;
	st->mask_hash = hash;
	for (int s = 0; s < SUBTABLE_STAGES; s++) {
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
	for (int t = 0; t < SUBTABLE_TRIES; t++)
		st->prefix[t] = (uint8_t)mask_prefix(mask, &subtable_trie_fields[t]);
	return st;
}

void subtable_destroy(struct subtable *st)
{
	for (int s = 0; s < SUBTABLE_STAGES; s++)
		hash_index_uninit(&st->indexes[s]);
	free(st);
}

void subtable_hash(const struct subtable *st, const struct flow_key *value,
		   uint32_t hashes[SUBTABLE_STAGES])
{
	uint64_t h = 0;

	for (int s = 0, i = 0; s < SUBTABLE_STAGES; s++) {
		for (; i < st->ends[s]; i++)
			h = subtable_hash_step(h, value->w[st->idx[i]] & st->mask[i]);
		hashes[s] = subtable_hash_end(h);
	}
}

void subtable_leave_indexes(struct subtable *st, const uint32_t hashes[SUBTABLE_STAGES], int n)
{
	for (int s = 0; s < n; s++) {
		if (subtable_has_index(st, s))
			hash_index_unref(&st->indexes[s], hashes[s]);
	}
}

int subtable_enter_indexes(struct subtable *st, const uint32_t hashes[SUBTABLE_STAGES],
			   struct graveyard *yard)
{
	for (int s = 0; s < SUBTABLE_STAGES; s++) {
		if (subtable_has_index(st, s) && hash_index_ref(&st->indexes[s], hashes[s], yard)) {
			subtable_leave_indexes(st, hashes, s);
			return -ENOMEM;
		}
	}
	return 0;
}

struct rule *subtable_find_head(const struct subtable *st, uint32_t hash,
				const struct flow_key *value)
{
	struct hash_index_cursor cursor;
	struct rule *rule;

	for (rule = hash_index_first(&st->indexes[st->last_stage], hash, &cursor); rule;
	     rule = hash_index_next(&cursor)) {
		if (flow_key_equals(&rule->match.value, value))
			return rule;
	}
	return NULL;
}

int subtable_link(struct subtable *st, struct rule *rule, struct graveyard *yard)
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

void subtable_unlink(struct subtable *st, struct rule *rule)
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

void subtable_add_type(struct subtable *st, uint16_t dl_type)
{
	if (st->n_rules == 0) {
		st->has_one_type = st->full_mask.dl_type == UINT16_MAX;
		st->dl_type = dl_type;
	} else if (st->dl_type != dl_type) {
		st->has_one_type = false;
	}
}

void subtable_refresh_priority(struct subtable *st)
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
