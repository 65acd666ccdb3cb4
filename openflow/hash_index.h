/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash_index.h - from a 32-bit hash to pointers; one writer, many readers without locks.
 *
 * Open addressing: an array of hashes, probed linearly, and beside it one of values, so that a
 * look-up that finds nothing (most do) touches one cache line. Several entries may have the same
 * hash; the caller compares what the values point to. Entries never move within an array, so that a
 * reader cannot miss one that is there all the time; a full array is replaced by a larger copy.
 *
 * What a reader may see while the writer is at work: an entry that is being inserted or removed, or
 * not; and, in a slot that is being used again, the value of another hash. So the caller compares
 * values whatever the hash, and entries stay readable for a grace period after removal.
 *
 * Thread-safety: init, uninit, insert and remove are for one writer; first/next for readers under
 * RCU and for the writer. Outgrown arrays go into the caller's graveyard.
 */
#ifndef VSWITCH_OPENFLOW_HASH_INDEX_H
#define VSWITCH_OPENFLOW_HASH_INDEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/rcu.h"
#include "lib/util.h"
#include "openflow/graveyard.h"

/* Values of a hash slot that are no hash. */
#define HASH_INDEX_EMPTY 0u
#define HASH_INDEX_GRAVE 1u /* was removed; probing goes on behind it */

/* The array: N hashes (HASH_INDEX_EMPTY, HASH_INDEX_GRAVE, or a hash), then N values, N a power of
 * two. Its address has the low 6 bits free: they hold log2 of N, so that a look-up need not read a
 * header. */
struct hash_index_slots;

struct hash_index {
	RCU_POINTER(struct hash_index_slots) slots; /* tagged; NULL: empty, nothing allocated yet */
	uint32_t n;      /* entries; writer only */
	uint32_t n_used; /* entries and graves; writer only */
};

/* A reader's place among the entries of one hash. */
struct hash_index_cursor {
	struct hash_index_slots *slots; /* tagged */
	uint32_t hash;
	uint32_t i;
};

static inline uint32_t hash_index_mask(const struct hash_index_slots *slots)
{
	return (1u << ((uintptr_t)slots & 63)) - 1;
}

static inline _Atomic uint32_t *hash_index_hashes(const struct hash_index_slots *slots)
{
	return (_Atomic uint32_t *)((uintptr_t)slots & ~(uintptr_t)63);
}

static inline _Atomic(void *) *hash_index_values(const struct hash_index_slots *slots)
{
	return (_Atomic(void *) *)(hash_index_hashes(slots) + hash_index_mask(slots) + 1);
}

static inline void hash_index_init(struct hash_index *index)
{
	atomic_init(&index->slots, NULL);
	index->n = 0;
	index->n_used = 0;
}

/* Frees the array at once: no reader is left. The values are the caller's. */
void hash_index_uninit(struct hash_index *index);

/* Adds an entry. Returns 0 or -ENOMEM. */
int hash_index_insert(struct hash_index *index, uint32_t hash, void *value, struct graveyard *yard)
	WARN_UNUSED;

/* Removes the entry of that hash and value, which is there. */
void hash_index_remove(struct hash_index *index, uint32_t hash, const void *value);

/* Puts `value` in the place of `old`, which is there. */
void hash_index_set(struct hash_index *index, uint32_t hash, const void *old, void *value);

/* Counts entries instead of pointing to them: an index that only answers "is there any". */
int hash_index_ref(struct hash_index *index, uint32_t hash, struct graveyard *yard) WARN_UNUSED;
void hash_index_unref(struct hash_index *index, uint32_t hash);

static inline uint32_t hash_index_normalize(uint32_t hash)
{
	return unlikely(hash <= HASH_INDEX_GRAVE) ? hash + 2 : hash;
}

/* The next value with the cursor's hash, or NULL. */
static inline void *hash_index_next(struct hash_index_cursor *cursor)
{
	_Atomic uint32_t *hashes = hash_index_hashes(cursor->slots);
	uint32_t mask = hash_index_mask(cursor->slots);

	for (;;) {
		uint32_t i = cursor->i & mask;
		uint32_t hash = atomic_load_explicit(&hashes[i], memory_order_acquire);

		if (hash == HASH_INDEX_EMPTY)
			return NULL;
		cursor->i++;
		if (hash == cursor->hash)
			return atomic_load_explicit(&hash_index_values(cursor->slots)[i],
						    memory_order_acquire);
	}
}

/* The first value with that hash, or NULL. */
static inline void *hash_index_first(const struct hash_index *index, uint32_t hash,
				     struct hash_index_cursor *cursor)
{
	cursor->slots = rcu_get(&index->slots);
	cursor->hash = hash_index_normalize(hash);
	cursor->i = cursor->hash;
	return cursor->slots ? hash_index_next(cursor) : NULL;
}

/* Is there any entry with that hash? */
static inline bool hash_index_has(const struct hash_index *index, uint32_t hash)
{
	struct hash_index_cursor cursor;

	return hash_index_first(index, hash, &cursor) != NULL;
}

/* What retires the array: for its owner's graveyard when the index as a whole goes. */
static inline void *hash_index_get_memory(const struct hash_index *index)
{
	struct hash_index_slots *slots = rcu_get(&index->slots);

	return slots ? (void *)hash_index_hashes(slots) : NULL;
}

/* Walks all values: `i` starts with 0. NULL at the end. Writer only. */
void *hash_index_walk(const struct hash_index *index, uint32_t *i);

#endif /* VSWITCH_OPENFLOW_HASH_INDEX_H */
