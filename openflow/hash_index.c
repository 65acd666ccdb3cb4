/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/hash_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Slots of the first array. An array is rebuilt when three quarters of it are used. */
#define HASH_INDEX_FIRST 16u

/* The writer's own view: it need not order its loads. Its stores are for readers. */
static inline uint32_t get_hash(const struct hash_index_slots *slots, uint32_t i)
{
	return atomic_load_explicit(&hash_index_hashes(slots)[i], memory_order_relaxed);
}

static inline void *get_value(const struct hash_index_slots *slots, uint32_t i)
{
	return atomic_load_explicit(&hash_index_values(slots)[i], memory_order_relaxed);
}

static inline void set_hash(struct hash_index_slots *slots, uint32_t i, uint32_t hash)
{
	atomic_store_explicit(&hash_index_hashes(slots)[i], hash, memory_order_release);
}

static inline void set_value(struct hash_index_slots *slots, uint32_t i, void *value)
{
	atomic_store_explicit(&hash_index_values(slots)[i], value, memory_order_release);
}

void hash_index_uninit(struct hash_index *index)
{
	free(hash_index_get_memory(index));
	hash_index_init(index);
}

static struct hash_index_slots *hash_index_slots_create(uint32_t n_slots)
{
	size_t size = n_slots * (sizeof(uint32_t) + sizeof(void *));
	void *memory = aligned_alloc(CACHE_LINE, ROUND_UP(size, (size_t)CACHE_LINE));

	if (!memory)
		return NULL;
	memset(memory, 0, size);
	return (void *)((uintptr_t)memory | (unsigned int)__builtin_ctz(n_slots));
}

/* Writes the value ahead of the hash: who sees the hash sees the value. Returns whether the slot
 * had never been used. */
static bool hash_index_put(struct hash_index_slots *slots, uint32_t hash, void *value)
{
	uint32_t i = hash & hash_index_mask(slots), old;

	while ((old = get_hash(slots, i)) > HASH_INDEX_GRAVE)
		i = (i + 1) & hash_index_mask(slots);
	set_value(slots, i, value);
	set_hash(slots, i, hash);
	return old == HASH_INDEX_EMPTY;
}

/* Makes sure that one more entry fits. */
static int hash_index_reserve(struct hash_index *index, struct graveyard *yard)
{
	struct hash_index_slots *fresh, *slots = rcu_get(&index->slots);
	void *old = hash_index_get_memory(index);
	uint32_t n_slots = HASH_INDEX_FIRST;

	if (slots && index->n_used + 1 <= (hash_index_mask(slots) + 1) / 4 * 3)
		return 0;
	while (index->n + 1 > n_slots / 2)
		n_slots *= 2;
	fresh = hash_index_slots_create(n_slots);
	if (!fresh)
		return -ENOMEM;
	for (uint32_t i = 0; slots && i <= hash_index_mask(slots); i++) {
		uint32_t hash = get_hash(slots, i);

		if (hash > HASH_INDEX_GRAVE)
			hash_index_put(fresh, hash, get_value(slots, i));
	}
	index->n_used = index->n;
	rcu_set(&index->slots, fresh);
	graveyard_insert(yard, old);
	return 0;
}

int hash_index_insert(struct hash_index *index, uint32_t hash, void *value, struct graveyard *yard)
{
	int err = hash_index_reserve(index, yard);

	if (err)
		return err;
	index->n_used += hash_index_put(rcu_get(&index->slots), hash_index_normalize(hash), value);
	index->n++;
	return 0;
}

/* The slot of an entry, which is there. `value` NULL: any of that hash; then -1 when there is
 * none. */
static int64_t hash_index_find(const struct hash_index *index, uint32_t hash, const void *value)
{
	struct hash_index_slots *slots = rcu_get(&index->slots);
	uint32_t i, found;

	hash = hash_index_normalize(hash);
	if (!slots)
		return -1;
	for (i = hash & hash_index_mask(slots);; i = (i + 1) & hash_index_mask(slots)) {
		found = get_hash(slots, i);
		if (found == HASH_INDEX_EMPTY)
			return -1;
		if (found == hash && (!value || get_value(slots, i) == value))
			return i;
	}
}

static void hash_index_bury(struct hash_index *index, int64_t i)
{
	struct hash_index_slots *slots = rcu_get(&index->slots);

	set_hash(slots, i, HASH_INDEX_GRAVE);
	index->n--;
}

void hash_index_remove(struct hash_index *index, uint32_t hash, const void *value)
{
	int64_t i = hash_index_find(index, hash, value);

	assert(i >= 0);
	hash_index_bury(index, i);
}

void hash_index_set(struct hash_index *index, uint32_t hash, const void *old, void *value)
{
	int64_t i = hash_index_find(index, hash, old);

	assert(i >= 0);
	set_value(rcu_get(&index->slots), i, value);
}

int hash_index_ref(struct hash_index *index, uint32_t hash, struct graveyard *yard)
{
	int64_t i = hash_index_find(index, hash, NULL);
	struct hash_index_slots *slots = rcu_get(&index->slots);
	uintptr_t count;

	if (i < 0)
		return hash_index_insert(index, hash, (void *)(uintptr_t)1, yard);
	count = (uintptr_t)get_value(slots, i);
	set_value(slots, i, (void *)(count + 1));
	return 0;
}

void hash_index_unref(struct hash_index *index, uint32_t hash)
{
	int64_t i = hash_index_find(index, hash, NULL);
	struct hash_index_slots *slots = rcu_get(&index->slots);
	uintptr_t count;

	assert(i >= 0);
	count = (uintptr_t)get_value(slots, i);
	if (count == 1)
		hash_index_bury(index, i);
	else
		set_value(slots, i, (void *)(count - 1));
}

void *hash_index_walk(const struct hash_index *index, uint32_t *i)
{
	struct hash_index_slots *slots = rcu_get(&index->slots);

	while (slots && *i <= hash_index_mask(slots)) {
		uint32_t at = (*i)++;

		if (get_hash(slots, at) > HASH_INDEX_GRAVE)
			return get_value(slots, at);
	}
	return NULL;
}
