/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DATAPATH_FLOW_CACHE_H
#define DATAPATH_FLOW_CACHE_H

/*
 * A worker's memory of verdicts
 * =============================
 *
 * A flow (megaflow) is a verdict with the mask of header bits it depends on: it answers for every
 * packet that agrees with its key under the mask. Flows never contradict each other: each is
 * what the rules say, so whichever of several matching flows is found first is right.
 *
 * Two ways lead to a flow:
 *
 *   tier 1  signature cache: flow hash and in_port -> flow, 4 candidates in half a cache line. Not
 *           the packet's key but the flow's own mask confirms a candidate, so that thousands
 *           of connections through one flow touch one flow's memory, and a slot that is out of date
 * is harmless: flows live in one array for good, so that it leads to some flow, which matches (then
 * it is a right answer) or not. tier 2  tuple space search: one hash table for each mask
 * (subtable), searched in the order of recent hits.
 *
 * A full cache evicts: the least recently used of a few flows under a clock hand.
 *
 * Every flow that leaves gives its counters to the pipeline first, so nothing that was counted is
 * lost.
 *
 * Life cycle: init and uninit with the worker; the array of flows is address space that gets memory
 * as it is used.
 *
 * Thread-safety: a cache belongs to its worker; nobody else looks.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/flow_key.h"
#include "datapath/pipeline.h"
#include "lib/util.h"

/* Flows a worker caches unless told otherwise. */
#define FLOW_CACHE_FLOWS_DEFAULT 262144u

struct flow_subtable;

struct flow {
	/* First cache line: what each hit touches. */
	struct flow_subtable *subtable; /* whose mask it has; NULL: this place is free */
	uint64_t generation; /* datapath generation that the verdict is good for */
	uint64_t n_packets; /* packets that took this flow */
	uint64_t n_bytes;
	uint64_t used_ns; /* clock_now() of the last packet, 0: none yet */
	struct action *actions; /* owned; NULL when n_actions is 0 */
	uint32_t n_actions;
	uint32_t output_port; /* the one port it goes to when that is all there is to do; 0: see
				 actions */
	uint32_t hash; /* of the masked key */
	uint16_t drop_reason; /* enum drop_reason, when there are no actions */
	uint16_t pad;
	struct flow_key key; /* under the mask: other bits are zero */
	void *cookie; /* the pipeline's */
	uint64_t credited_packets; /* of n_packets, told to the pipeline already */
	uint64_t credited_bytes;
	uint64_t n_slow; /* of n_packets, found in user space, but not by tier 1 */
	/* Tier 0's, see tier0_flow.h. */
	uint64_t n_tier0; /* of n_packets, carried by the kernel */
	uint64_t tier0_since_ns; /* when its rate was looked at; 0: not yet */
	uint32_t tier0_slot; /* the slot it has; 0: none */
	uint8_t tier0_reason; /* enum tier0_reason: why it has none */
} cacheline_aligned;

struct flow_cache;

/* Who carries flows out elsewhere, by flow.tier0_slot. */
struct flow_offload {
	/* Adds what was counted there to the flow's counters. */
	void (*fold)(struct flow_cache *cache, struct flow *flow);
	/* The flow goes, or does something else from now on: gives up the slot, takes over the
	 * flow's cookie. */
	void (*retire)(struct flow_cache *cache, struct flow *flow);
};

/* One mask and the flows that have it. */
struct flow_subtable {
	struct flow_key mask;
	uint64_t hits; /* since the last ranking, halved at each */
	uint32_t n_flows;
	uint32_t slot_mask; /* slots - 1, a power of two less one */
	struct flow_slot *slots; /* open addressing, linear probing, owned */
	uint8_t n_words; /* words of the mask that are not zero */
	uint8_t words[FLOW_KEY_WORDS]; /* their indexes, ascending */
	uint8_t n_compare; /* words to compare: 5, 10 or 14 */
};

/* Where a flow lies, by its hash. */
struct flow_slot {
	uint32_t hash;
	uint32_t flow_no; /* index of the flow + 1; 0: empty */
};

#define FLOW_SIGNATURE_WAYS 4
/* Buckets of the signature cache: 64 Ki entries, 512 KiB. */
#define FLOW_SIGNATURE_BUCKETS (1u << 14)

struct flow_signature_bucket {
	uint32_t signature[FLOW_SIGNATURE_WAYS];
	uint32_t flow_no[FLOW_SIGNATURE_WAYS]; /* index of the flow; free places point at flow 0 */
};

struct flow_cache {
	struct flow *flows; /* max_flows of them; flow 0 is never used */
	uint32_t max_flows;
	uint32_t n_flows; /* flows in use */
	uint32_t n_touched; /* flows[0..n_touched) have been used at some time */
	uint32_t
		free_list; /* index of a free flow below n_touched, 0: none; chained in flow.hash */
	uint32_t hand; /* the evicting clock's hand */
	uint32_t n_subtables;
	uint32_t subtables_capacity;
	struct flow_subtable **subtables; /* by rank */
	struct flow_signature_bucket *signatures; /* FLOW_SIGNATURE_BUCKETS */
	uint64_t lookups_to_rank; /* tier 2 look-ups until the next ranking */
	uint64_t n_probed; /* subtables looked into, ever */
	uint64_t secret[FLOW_KEY_WORDS]; /* random odd multipliers: nobody outside can aim at one
					    slot */
	const struct pipeline *pipeline;
	void *pipeline_aux;
	const struct flow_offload *offload; /* NULL: no flow has a slot */
};

/* Makes an empty cache. Returns 0 or -ENOMEM. */
int flow_cache_init(struct flow_cache *cache, uint32_t max_flows, const struct pipeline *pipeline,
		    void *pipeline_aux) WARN_UNUSED;
/* Removes all flows, credited, and frees the memory. */
void flow_cache_uninit(struct flow_cache *cache);

/* Tier 2. Returns NULL when no flow matches. */
struct flow *flow_cache_lookup(struct flow_cache *cache, const struct flow_key *key);

/*
 * Adds the verdict for `key` as a flow, or puts it into the flow of the same masked key. The flow
 * takes over the verdict's cookie and actions (which leaves it without). Where the verdict does
 * what the flow did, the flow keeps its slot. Returns NULL when there is no memory: the verdict is
 * as it was.
 */
struct flow *flow_cache_insert(struct flow_cache *cache, const struct flow_key *key,
			       struct pipeline_verdict *verdict, uint64_t generation);

/* Credits and removes a flow. */
void flow_cache_remove(struct flow_cache *cache, struct flow *flow);

/* Tells the pipeline what the flow counted since the last time. */
void flow_cache_credit(struct flow_cache *cache, struct flow *flow);

/* The flow at index `flow_no` (1..n_touched-1), or NULL when that place is free. */
static inline struct flow *flow_cache_get(const struct flow_cache *cache, uint32_t flow_no)
{
	struct flow *flow = &cache->flows[flow_no];

	return flow->subtable ? flow : NULL;
}

/* The bits of word `i` in which a packet with `key` is none of the flow's. */
static inline uint64_t flow_word_diff(const struct flow *flow, const struct flow_key *key, int i)
{
	return (key->w[i] & flow->subtable->mask.w[i]) ^ flow->key.w[i];
}

/* Does the flow answer for packets with `key`? `flow` may be a free place: then it does not. */
static inline bool flow_matches(const struct flow *flow, const struct flow_key *key)
{
	uint64_t diff;

	if (unlikely(!flow->subtable))
		return false;
	_Static_assert(FLOW_KEY_WORDS_IPV4 == 5, "each of them is compared");
	diff = flow_word_diff(flow, key, 0) | flow_word_diff(flow, key, 1) |
	       flow_word_diff(flow, key, 2) | flow_word_diff(flow, key, 3) |
	       flow_word_diff(flow, key, 4);
	if (unlikely(flow->subtable->n_compare > FLOW_KEY_WORDS_IPV4))
		for (int i = FLOW_KEY_WORDS_IPV4; i < FLOW_KEY_WORDS; i++)
			diff |= flow_word_diff(flow, key, i);
	return diff == 0;
}

/* The signature of a packet: its flow hash and where it came in. */
static inline uint32_t flow_signature(uint32_t hash, uint32_t in_port)
{
	return hash ^ in_port * 0x9e3779b1u;
}

static inline struct flow_signature_bucket *flow_signature_bucket(const struct flow_cache *cache,
								  uint32_t signature)
{
	return &cache->signatures[signature & (FLOW_SIGNATURE_BUCKETS - 1)];
}

/* Tier 1: the first flow of that signature, unconfirmed: the caller must ask flow_matches(). Flow
 * 0, which matches nothing, when there is none. */
static inline struct flow *flow_cache_guess(const struct flow_cache *cache, uint32_t signature)
{
	const struct flow_signature_bucket *bucket = flow_signature_bucket(cache, signature);

	for (int i = 0; i < FLOW_SIGNATURE_WAYS; i++)
		if (bucket->signature[i] == signature)
			return &cache->flows[bucket->flow_no[i]];
	return &cache->flows[0];
}

/* Tier 1, the whole way: each candidate of that signature, confirmed. NULL when none matches. */
struct flow *flow_cache_lookup_signature(const struct flow_cache *cache, uint32_t signature,
					 const struct flow_key *key);

/* Remembers that packets of that signature take `flow`. */
void flow_cache_remember(struct flow_cache *cache, uint32_t signature, const struct flow *flow);

#endif
