/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "datapath/flow_cache.h"
#include "lib/clock.h"

/* Slots of a new subtable. */
#define SUBTABLE_SLOTS_MIN 16u
/* Tier 2 look-ups between two rankings of the subtables. */
#define RANK_INTERVAL 32768u
/* Flows that the evicting clock compares. */
#define EVICT_CANDIDATES 32u

static uint32_t hash_masked(const struct flow_cache *cache, const struct flow_subtable *subtable,
			    const struct flow_key *key)
{
	uint64_t h = 0;

	for (unsigned int i = 0; i < subtable->n_words; i++) {
		unsigned int w = subtable->words[i];
		uint64_t x = key->w[w] & subtable->mask.w[w];

		h += (x ^ x >> 32) * cache->secret[w];
	}
	return flow_hash_finish(h);
}

/* ---- subtables ---------------------------------------------------------------------------- */

static struct flow_subtable *subtable_create(const struct flow_key *mask)
{
	struct flow_subtable *subtable =
		aligned_alloc(CACHE_LINE, ROUND_UP(sizeof(*subtable), (size_t)CACHE_LINE));

	if (!subtable)
		return NULL;
	memset(subtable, 0, sizeof(*subtable));
	subtable->mask = *mask;
	subtable->slot_mask = SUBTABLE_SLOTS_MIN - 1;
	subtable->slots = calloc(SUBTABLE_SLOTS_MIN, sizeof(*subtable->slots));
	if (!subtable->slots) {
		free(subtable);
		return NULL;
	}
	subtable->n_compare = FLOW_KEY_WORDS_IPV4;
	for (uint8_t i = 0; i < FLOW_KEY_WORDS; i++) {
		if (!mask->w[i])
			continue;
		subtable->words[subtable->n_words++] = i;
		if (i >= FLOW_KEY_WORDS_IPV4)
			subtable->n_compare = FLOW_KEY_WORDS;
	}
	return subtable;
}

static void subtable_destroy(struct flow_subtable *subtable)
{
	free(subtable->slots);
	free(subtable);
}

static void subtable_put(struct flow_subtable *subtable, uint32_t hash, uint32_t flow_no)
{
	uint32_t i = hash & subtable->slot_mask;

	while (subtable->slots[i].flow_no)
		i = (i + 1) & subtable->slot_mask;
	subtable->slots[i].hash = hash;
	subtable->slots[i].flow_no = flow_no + 1;
}

/* Makes room for one more flow at no more than half full. Returns false when there is no memory. */
static bool subtable_reserve(struct flow_subtable *subtable)
{
	uint32_t n_slots = subtable->slot_mask + 1;
	struct flow_slot *old = subtable->slots;

	if ((subtable->n_flows + 1) * 2 <= n_slots)
		return true;
	subtable->slots = calloc((size_t)n_slots * 2, sizeof(*subtable->slots));
	if (!subtable->slots) {
		subtable->slots = old;
		return subtable->n_flows + 1 < n_slots;
	}
	subtable->slot_mask = n_slots * 2 - 1;
	for (uint32_t i = 0; i < n_slots; i++)
		if (old[i].flow_no)
			subtable_put(subtable, old[i].hash, old[i].flow_no - 1);
	free(old);
	return true;
}

/* Takes the flow's slot out and closes the gap, so that no probe ends too early. */
static void subtable_take(struct flow_subtable *subtable, uint32_t hash, uint32_t flow_no)
{
	uint32_t mask = subtable->slot_mask, gap = hash & mask;

	while (subtable->slots[gap].flow_no != flow_no + 1)
		gap = (gap + 1) & mask;
	for (uint32_t i = (gap + 1) & mask; subtable->slots[i].flow_no; i = (i + 1) & mask) {
		uint32_t home = subtable->slots[i].hash & mask;

		/* Move it unless its home lies (cyclically) behind the gap. */
		if (((i - home) & mask) >= ((i - gap) & mask)) {
			subtable->slots[gap] = subtable->slots[i];
			gap = i;
		}
	}
	subtable->slots[gap].flow_no = 0;
}

static struct flow *subtable_lookup(const struct flow_cache *cache,
				    const struct flow_subtable *subtable,
				    const struct flow_key *key)
{
	uint32_t hash = hash_masked(cache, subtable, key);

	for (uint32_t i = hash & subtable->slot_mask; subtable->slots[i].flow_no;
	     i = (i + 1) & subtable->slot_mask) {
		struct flow *flow = &cache->flows[subtable->slots[i].flow_no - 1];

		if (subtable->slots[i].hash == hash && flow_matches(flow, key))
			return flow;
	}
	return NULL;
}

/* ---- the cache ------------------------------------------------------------------------------ */

int flow_cache_init(struct flow_cache *cache, uint32_t max_flows, const struct pipeline *pipeline,
		    void *pipeline_aux)
{
	size_t size = sizeof(*cache->flows) * ((size_t)max_flows + 1);

	memset(cache, 0, sizeof(*cache));
	cache->max_flows = max_flows;
	cache->pipeline = pipeline;
	cache->pipeline_aux = pipeline_aux;
	cache->n_touched = 1;
	cache->lookups_to_rank = RANK_INTERVAL;
	if (getrandom(cache->secret, sizeof(cache->secret), 0) != sizeof(cache->secret))
		return -EIO;
	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		cache->secret[i] |= 1;
	cache->signatures =
		aligned_alloc(CACHE_LINE, FLOW_SIGNATURE_BUCKETS * sizeof(*cache->signatures));
	if (!cache->signatures)
		return -ENOMEM;
	memset(cache->signatures, 0, FLOW_SIGNATURE_BUCKETS * sizeof(*cache->signatures));
	cache->flows = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (cache->flows == MAP_FAILED) {
		free(cache->signatures);
		return -ENOMEM;
	}
	return 0;
}

void flow_cache_uninit(struct flow_cache *cache)
{
	for (uint32_t i = 1; i < cache->n_touched; i++) {
		struct flow *flow = flow_cache_get(cache, i);

		if (flow)
			flow_cache_remove(cache, flow);
	}
	for (uint32_t i = 0; i < cache->n_subtables; i++)
		subtable_destroy(cache->subtables[i]);
	free(cache->subtables);
	free(cache->signatures);
	munmap(cache->flows, sizeof(*cache->flows) * ((size_t)cache->max_flows + 1));
}

static int compare_hits(const void *a_, const void *b_)
{
	const struct flow_subtable *const *a = a_, *const *b = b_;

	return ((*a)->hits < (*b)->hits) - ((*a)->hits > (*b)->hits);
}

/* Puts the subtables with the most recent hits first and drops the empty ones. */
static void rank_subtables(struct flow_cache *cache)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < cache->n_subtables; i++) {
		struct flow_subtable *subtable = cache->subtables[i];

		if (subtable->n_flows)
			cache->subtables[n++] = subtable;
		else
			subtable_destroy(subtable);
	}
	cache->n_subtables = n;
	if (n > 1)
		qsort(cache->subtables, n, sizeof(*cache->subtables), compare_hits);
	for (uint32_t i = 0; i < n; i++)
		cache->subtables[i]->hits /= 2;
	cache->lookups_to_rank = RANK_INTERVAL;
}

struct flow *flow_cache_lookup(struct flow_cache *cache, const struct flow_key *key)
{
	if (unlikely(--cache->lookups_to_rank == 0))
		rank_subtables(cache);
	for (uint32_t i = 0; i < cache->n_subtables; i++) {
		struct flow_subtable *subtable = cache->subtables[i];
		struct flow *flow = subtable_lookup(cache, subtable, key);

		if (flow) {
			cache->n_probed += i + 1;
			subtable->hits++;
			return flow;
		}
	}
	cache->n_probed += cache->n_subtables;
	return NULL;
}

static struct flow_subtable *find_subtable(struct flow_cache *cache, const struct flow_key *mask)
{
	struct flow_subtable *subtable;

	for (uint32_t i = 0; i < cache->n_subtables; i++)
		if (!memcmp(&cache->subtables[i]->mask, mask, sizeof(*mask)))
			return cache->subtables[i];
	if (cache->n_subtables == cache->subtables_capacity) {
		uint32_t capacity = cache->subtables_capacity ? cache->subtables_capacity * 2 : 16;
		void *bigger = realloc(cache->subtables, capacity * sizeof(*cache->subtables));

		if (!bigger)
			return NULL;
		cache->subtables = bigger;
		cache->subtables_capacity = capacity;
	}
	subtable = subtable_create(mask);
	if (subtable)
		cache->subtables[cache->n_subtables++] = subtable;
	return subtable;
}

/* Makes room: removes the flow that was used least recently among those under the clock's hand. */
static void evict(struct flow_cache *cache)
{
	struct flow *oldest = NULL;

	for (uint32_t n = 0; n < EVICT_CANDIDATES || !oldest; n++) {
		struct flow *flow;

		if (++cache->hand >= cache->n_touched)
			cache->hand = 1;
		flow = flow_cache_get(cache, cache->hand);
		if (flow && (!oldest || flow->used_ns < oldest->used_ns))
			oldest = flow;
	}
	flow_cache_remove(cache, oldest);
}

static struct flow *flow_alloc(struct flow_cache *cache)
{
	struct flow *flow;

	if (cache->n_flows == cache->max_flows)
		evict(cache);
	if (cache->free_list) {
		flow = &cache->flows[cache->free_list];
		cache->free_list = flow->hash;
	} else {
		flow = &cache->flows[cache->n_touched++];
	}
	cache->n_flows++;
	memset(flow, 0, sizeof(*flow));
	return flow;
}

/* Puts the verdict's actions and cookie into the flow. */
static void flow_set_verdict(struct flow *flow, struct pipeline_verdict *verdict,
			     uint64_t generation)
{
	struct action_list *list = &verdict->actions;

	flow->generation = generation;
	flow->n_actions = list->n;
	flow->drop_reason = (uint16_t)verdict->drop_reason;
	flow->output_port =
		list->n == 1 && list->actions[0].type == ACTION_OUTPUT ? list->actions[0].port : 0;
	flow->actions = NULL;
	if (list->n) {
		/* The list becomes the flow's, cut to size; a failing shrink leaves it as it was.
		 */
		void *fit = realloc(list->actions, list->n * sizeof(*list->actions));

		flow->actions = fit ? fit : list->actions;
		action_list_init(list);
	}
	flow->cookie = verdict->cookie;
	verdict->cookie = NULL;
	flow->tier0_reason = 0;
}

static void flow_release_verdict(struct flow_cache *cache, struct flow *flow)
{
	flow_cache_credit(cache, flow);
	if (flow->tier0_slot)
		cache->offload->retire(cache, flow);
	if (flow->cookie)
		cache->pipeline->release(cache->pipeline_aux, flow->cookie);
	free(flow->actions);
}

/* Does the verdict say what the flow does already? */
static bool flow_does(const struct flow *flow, const struct pipeline_verdict *verdict)
{
	return flow->n_actions == verdict->actions.n &&
	       (flow->n_actions ? !memcmp(flow->actions, verdict->actions.actions,
					  flow->n_actions * sizeof(*flow->actions))
				: flow->drop_reason == verdict->drop_reason);
}

/* Puts another verdict into a flow. */
static void flow_replace_verdict(struct flow_cache *cache, struct flow *flow,
				 struct pipeline_verdict *verdict, uint64_t generation)
{
	uint32_t slot = 0;

	if (flow->tier0_slot && flow_does(flow, verdict)) {
		/* What was counted so far is the old verdict's. */
		flow_cache_credit(cache, flow);
		slot = flow->tier0_slot;
		flow->tier0_slot = 0;
	}
	flow_release_verdict(cache, flow);
	flow_set_verdict(flow, verdict, generation);
	flow->tier0_slot = slot;
}

struct flow *flow_cache_insert(struct flow_cache *cache, const struct flow_key *key,
			       struct pipeline_verdict *verdict, uint64_t generation)
{
	struct flow_subtable *subtable = find_subtable(cache, &verdict->mask);
	struct flow *flow;

	if (!subtable)
		return NULL;
	flow = subtable_lookup(cache, subtable, key);
	if (flow) {
		flow_replace_verdict(cache, flow, verdict, generation);
		return flow;
	}
	/* Evict first: it may empty slots of this very subtable. */
	if (!subtable_reserve(subtable))
		return NULL;
	flow = flow_alloc(cache);
	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		flow->key.w[i] = key->w[i] & verdict->mask.w[i];
	flow->subtable = subtable;
	flow->hash = hash_masked(cache, subtable, key);
	flow_set_verdict(flow, verdict, generation);
	subtable_put(subtable, flow->hash, (uint32_t)(flow - cache->flows));
	subtable->n_flows++;
	return flow;
}

void flow_cache_remove(struct flow_cache *cache, struct flow *flow)
{
	uint32_t flow_no = (uint32_t)(flow - cache->flows);

	flow_release_verdict(cache, flow);
	subtable_take(flow->subtable, flow->hash, flow_no);
	flow->subtable->n_flows--;
	flow->subtable = NULL;
	flow->hash = cache->free_list;
	cache->free_list = flow_no;
	cache->n_flows--;
}

void flow_cache_credit(struct flow_cache *cache, struct flow *flow)
{
	uint64_t n_packets;

	if (flow->tier0_slot)
		cache->offload->fold(cache, flow);
	n_packets = flow->n_packets - flow->credited_packets;
	if (!n_packets)
		return;
	if (flow->cookie)
		cache->pipeline->credit(cache->pipeline_aux, flow->cookie, &flow->key, n_packets,
					flow->n_bytes - flow->credited_bytes, flow->used_ns);
	flow->credited_packets = flow->n_packets;
	flow->credited_bytes = flow->n_bytes;
}

struct flow *flow_cache_lookup_signature(const struct flow_cache *cache, uint32_t signature,
					 const struct flow_key *key)
{
	const struct flow_signature_bucket *bucket = flow_signature_bucket(cache, signature);

	for (int i = 0; i < FLOW_SIGNATURE_WAYS; i++) {
		struct flow *flow = &cache->flows[bucket->flow_no[i]];

		if (bucket->signature[i] == signature && flow_matches(flow, key))
			return flow;
	}
	return NULL;
}

void flow_cache_remember(struct flow_cache *cache, uint32_t signature, const struct flow *flow)
{
	struct flow_signature_bucket *bucket = flow_signature_bucket(cache, signature);
	uint32_t flow_no = (uint32_t)(flow - cache->flows);
	int way = (int)(signature >> 30);

	for (int i = 0; i < FLOW_SIGNATURE_WAYS; i++) {
		/* A place that leads nowhere, or the same signature gone stale, before a live one.
		 */
		if (!flow_cache_get(cache, bucket->flow_no[i])) {
			way = i;
			break;
		}
	}
	bucket->signature[way] = signature;
	bucket->flow_no[way] = flow_no;
}
