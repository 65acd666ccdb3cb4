/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prefix_trie.h - which prefixes of one header field do the rules know?
 *
 * A path-compressed binary trie of (value, prefix length) pairs. The classifier asks it ahead of a
 * hash look-up: if no rule has a prefix of length L that the packet's field falls under, no
 * subtable with that prefix length can match; and to know so, only the first few bits had to be
 * looked at: those that tell the packet apart from all prefixes that are there. Thus one rule for
 * 192.0.2.1/32 does not force a megaflow for each address, packets to 198.51.100.0/24 differ in the
 * sixth bit already.
 *
 * A field is at most 128 bits, as bytes in network order. Each node holds up to 32 bits and how
 * many rules end there; longer ways are chains of nodes.
 *
 * Thread-safety: one writer; lookup by readers under RCU. The writer replaces nodes, never changes
 * a node's bits; replaced ones go to the caller's graveyard. A reader sees each prefix that is
 * there throughout its look-up; of those that come or go meanwhile it may see any. The caller sees
 * to it that these do not matter: rules are in the trie before anybody may match them, and until
 * nobody may.
 */
#ifndef VSWITCH_OPENFLOW_PREFIX_TRIE_H
#define VSWITCH_OPENFLOW_PREFIX_TRIE_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/rcu.h"
#include "lib/util.h"
#include "openflow/graveyard.h"

/* Longest field, bits. */
#define PREFIX_TRIE_BITS_MAX 128u

struct prefix_trie_node;

struct prefix_trie {
	RCU_POINTER(struct prefix_trie_node) root; /* NULL: no prefixes */
};

/* What the trie knows about one value. */
struct prefix_match {
	uint64_t lengths[3]; /* bit L is set: a prefix of length L covers the value */
	unsigned int n_bits; /* leading bits that it took to find out */
};

static inline void prefix_trie_init(struct prefix_trie *trie)
{
	atomic_init(&trie->root, NULL);
}

/* Frees all nodes at once: no reader is left. */
void prefix_trie_uninit(struct prefix_trie *trie);

/* Adds the prefix of `length` bits (1..PREFIX_TRIE_BITS_MAX) of `value`, once more if it is there.
 * Returns 0, or -ENOMEM with nothing changed. */
int prefix_trie_insert(struct prefix_trie *trie, const uint8_t *value, unsigned int length,
		       struct graveyard *yard) WARN_UNUSED;

/* Takes one of it away; it is there. */
void prefix_trie_remove(struct prefix_trie *trie, const uint8_t *value, unsigned int length,
			struct graveyard *yard);

/* A question: which prefixes cover `value`, a field of `n_bits` bits? */
struct prefix_query {
	const struct prefix_trie *trie;
	const uint8_t *value;
	unsigned int n_bits;
	struct prefix_match *match; /* the answer goes here */
};

/* Most questions at once. */
#define PREFIX_QUERIES_MAX 6

/* Answers `n` questions side by side: what a way down a large trie costs is waiting for memory, and
 * several ways can wait together. */
void prefix_trie_lookup_all(const struct prefix_query *queries, unsigned int n);

/* Answers one. */
void prefix_trie_lookup(const struct prefix_trie *trie, const uint8_t *value, unsigned int n_bits,
			struct prefix_match *match);

static inline bool prefix_match_has(const struct prefix_match *match, unsigned int length)
{
	return match->lengths[length / 64] >> (length % 64) & 1;
}

#endif /* VSWITCH_OPENFLOW_PREFIX_TRIE_H */
