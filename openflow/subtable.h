/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * subtable.h - the rules of a classifier that have the same mask.
 *
 * A hash table over the rules' masked values; rules with equal values form a chain, the highest
 * priority first. The mask's words are cut into stages: in_port, L2, L3, L4. A stage that is not
 * the last ends with an index of hashes, which tells whether any rule agrees so far, so that a
 * look-up (classifier_lookup.c) may end early and has then looked at fewer bits.
 *
 * The subtable also knows what lets a look-up pass it over unseen: the prefix lengths that its mask
 * has in the fields with a trie, the Ethernet type that all its rules want, their highest priority.
 *
 * Life cycle: subtable_create(); for each rule subtable_enter_indexes() and subtable_link(); the
 * reverse; subtable_destroy() once no reader can be in it.
 *
 * Thread-safety: functions are for the classifier's one writer. Readers under RCU follow the first
 * members of the structure, the indexes and the chains.
 */
#ifndef VSWITCH_OPENFLOW_SUBTABLE_H
#define VSWITCH_OPENFLOW_SUBTABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "bpf/flow_key.h"
#include "openflow/graveyard.h"
#include "openflow/hash_index.h"
#include "openflow/rule.h"

/* Fields that have a trie: nw_dst, nw_src, ipv6_dst, ipv6_src, tp_dst, tp_src. */
#define SUBTABLE_TRIES 6

/* Stages of a look-up, and the most words of a mask: words 0 and 2 are cut by stage borders. */
#define SUBTABLE_STAGES 4
#define SUBTABLE_WORDS (FLOW_KEY_WORDS + 3)

/* A field that has a trie. */
struct subtable_trie_field {
	uint8_t offset; /* in struct flow_key */
	uint8_t n_bits;
};
extern const struct subtable_trie_field subtable_trie_fields[SUBTABLE_TRIES];

/* Rules with the same mask. */
struct subtable {
	/* What look-ups need, constant. Words of the mask by stage: stage S is [ends[S - 1],
	 * ends[S]). */
	uint8_t ends[SUBTABLE_STAGES];
	uint8_t last_stage; /* the last one that has words */
	uint8_t has_index; /* bit S: stage S ends with a question to its index */
	uint8_t prefix[SUBTABLE_TRIES]; /* prefix length in each trie's field; 0: not a prefix */
	uint8_t idx[SUBTABLE_WORDS]; /* which word of the key */
	uint64_t mask[SUBTABLE_WORDS]; /* which bits of it */
	struct hash_index
		indexes[SUBTABLE_STAGES]; /* of hashes up to that stage; the last: to rules */

	/* The writer's. */
	struct flow_key full_mask;
	uint32_t mask_hash;
	uint32_t serial;
	uint32_t n_rules; /* linked in, hidden ones too */
	uint32_t n_removed; /* since max_priority was exact */
	uint16_t max_priority; /* no rule's is higher */
	bool has_one_type; /* dl_type is matched, and all rules want the same */
	uint16_t dl_type; /* that one */
};

/* One step of the hash over the words of a stage, and its end. */
static inline uint64_t subtable_hash_step(uint64_t h, uint64_t word)
{
	h = (h ^ word) * FLOW_HASH_K0;
	return h ^ h >> 32;
}

static inline uint32_t subtable_hash_end(uint64_t h)
{
	return (uint32_t)((h * FLOW_HASH_K1) >> 32);
}

static inline bool flow_key_equals(const struct flow_key *a, const struct flow_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* The key's bytes in the field of trie `t`. */
static inline const uint8_t *subtable_trie_value(const struct flow_key *key, int t)
{
	return (const uint8_t *)key + subtable_trie_fields[t].offset;
}

/* Does stage `s` end with a question to an index? */
static inline bool subtable_has_index(const struct subtable *st, int s)
{
	return st->has_index >> s & 1;
}

uint32_t subtable_hash_mask(const struct flow_key *mask);

/* An empty subtable for `mask`, whose subtable_hash_mask() is `hash`; NULL: no memory. */
struct subtable *subtable_create(const struct flow_key *mask, uint32_t hash);
/* Frees the subtable and its indexes at once. */
void subtable_destroy(struct subtable *st);

/* The hashes of a rule's value after each stage; rule->hash is the last one. */
void subtable_hash(const struct subtable *st, const struct flow_key *value,
		   uint32_t hashes[SUBTABLE_STAGES]);

/* Adds one count of the hashes to the stages' indexes. Returns 0, or -ENOMEM with nothing added. */
int subtable_enter_indexes(struct subtable *st, const uint32_t hashes[SUBTABLE_STAGES],
			   struct graveyard *yard) WARN_UNUSED;
/* Takes one count out of the indexes of the first `n` stages. */
void subtable_leave_indexes(struct subtable *st, const uint32_t hashes[SUBTABLE_STAGES], int n);

/* The first rule (highest priority) with that value, or NULL. */
struct rule *subtable_find_head(const struct subtable *st, uint32_t hash,
				const struct flow_key *value);
/* Links the rule into the chain of those with its value, which is sorted by falling priority.
 * Returns 0 or -ENOMEM. */
int subtable_link(struct subtable *st, struct rule *rule, struct graveyard *yard) WARN_UNUSED;
void subtable_unlink(struct subtable *st, struct rule *rule);

/* Takes note of a new rule's Ethernet type; before it is counted. */
void subtable_add_type(struct subtable *st, uint16_t dl_type);
/* Finds max_priority anew if rules have gone since, and it does not cost more than they gained. */
void subtable_refresh_priority(struct subtable *st);

#endif /* VSWITCH_OPENFLOW_SUBTABLE_H */
