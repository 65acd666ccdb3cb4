/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/prefix_trie.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bits that one node can hold. */
#define NODE_BITS 32u
/* Nodes on the longest way: one for each bit, and the root. */
#define PATH_MAX_NODES (PREFIX_TRIE_BITS_MAX + 1)

typedef RCU_POINTER(struct prefix_trie_node) prefix_trie_edge;

struct prefix_trie_node {
	uint32_t bits;         /* from the top; the rest is zero */
	_Atomic uint32_t head; /* how many bits, and rules that end behind them: see below */
	prefix_trie_edge edges[2]; /* by the next bit, which is the first of the child's */
};

/* node.head: 0 (root only)..NODE_BITS bits, which never changes, and above them the rules.
 * Together, because 24 bytes are what malloc() can give without waste. */
#define HEAD_RULE 64u

static inline unsigned int node_n_bits(const struct prefix_trie_node *node)
{
	return atomic_load_explicit(&node->head, memory_order_relaxed) % HEAD_RULE;
}

static inline uint32_t node_n_rules(const struct prefix_trie_node *node)
{
	return atomic_load_explicit(&node->head, memory_order_relaxed) / HEAD_RULE;
}

/* A value in host order: bit 0 is the top bit of words[0]. The last word is a zero to read past. */
struct bits {
	uint32_t words[PREFIX_TRIE_BITS_MAX / 32 + 1];
};

/* Takes the first `n` bits of `value`, whole bytes of which are read. */
static void bits_init(struct bits *bits, const uint8_t *value, unsigned int n)
{
	uint8_t bytes[PREFIX_TRIE_BITS_MAX / 8] = {0};

	memcpy(bytes, value, (n + 7) / 8);
	for (unsigned int i = 0; i < PREFIX_TRIE_BITS_MAX / 32; i++)
		bits->words[i] = (uint32_t)bytes[4 * i] << 24 | (uint32_t)bytes[4 * i + 1] << 16 |
				 (uint32_t)bytes[4 * i + 2] << 8 | bytes[4 * i + 3];
	bits->words[PREFIX_TRIE_BITS_MAX / 32] = 0;
}

/* The 32 bits from `offset` (below PREFIX_TRIE_BITS_MAX) on. */
static inline uint32_t bits_get_word(const struct bits *bits, unsigned int offset)
{
	const uint32_t *w = &bits->words[offset / 32];

	return (uint32_t)(((uint64_t)w[0] << 32 | w[1]) << offset % 32 >> 32);
}

/* `n` bits (0..32) from `offset` on, at the top of the word. */
static uint32_t bits_get(const struct bits *bits, unsigned int offset, unsigned int n)
{
	return n ? bits_get_word(bits, offset) & (uint32_t)(UINT64_C(0xffffffff) << (32 - n)) : 0;
}

static inline unsigned int bits_get_bit(const struct bits *bits, unsigned int offset)
{
	return bits->words[offset / 32] >> (31 - offset % 32) & 1;
}

/* How many leading bits of the node agree with `bits` from `offset` on, of which `left` may be
 * looked at. */
static inline unsigned int node_compare(const struct prefix_trie_node *node,
					const struct bits *bits, unsigned int offset,
					unsigned int left)
{
	unsigned int n = MIN(node_n_bits(node), left);
	uint32_t diff = n ? bits_get_word(bits, offset) ^ node->bits : 0;
	unsigned int same = diff ? (unsigned int)__builtin_clz(diff) : NODE_BITS;

	return MIN(same, n);
}

static struct prefix_trie_node *node_create(uint32_t bits, unsigned int n_bits, uint32_t n_rules)
{
	struct prefix_trie_node *node = malloc(sizeof(*node));

	if (!node)
		return NULL;
	node->bits = bits;
	atomic_init(&node->head, n_rules * HEAD_RULE + n_bits);
	atomic_init(&node->edges[0], NULL);
	atomic_init(&node->edges[1], NULL);
	return node;
}

/* Frees a node and what hangs below; depth is bounded by PATH_MAX_NODES. */
static void node_destroy(struct prefix_trie_node *node)
{
	if (!node)
		return;
	node_destroy(rcu_get(&node->edges[0]));
	node_destroy(rcu_get(&node->edges[1]));
	free(node);
}

void prefix_trie_uninit(struct prefix_trie *trie)
{
	node_destroy(rcu_get(&trie->root));
	prefix_trie_init(trie);
}

/* A chain of nodes for the bits of `value` from `offset` to `length`, the last one with one
 * rule. */
static struct prefix_trie_node *branch_create(const struct bits *value, unsigned int offset,
					      unsigned int length)
{
	unsigned int n = MIN(length - offset, NODE_BITS);
	bool last = offset + n == length;
	struct prefix_trie_node *node = node_create(bits_get(value, offset, n), n, last);

	if (node && !last) {
		struct prefix_trie_node *child = branch_create(value, offset + n, length);

		if (!child) {
			free(node);
			return NULL;
		}
		rcu_set(&node->edges[bits_get_bit(value, offset + n)], child);
	}
	return node;
}

/*
 * Puts in place of `node`, at `edge`, two nodes: its first `n` bits, and below them the rest. The
 * upper one gets a branch for what is left of `value`, or the rule itself.
 */
static int node_split(prefix_trie_edge *edge, struct prefix_trie_node *node, unsigned int n,
		      const struct bits *value, unsigned int offset, unsigned int length,
		      struct graveyard *yard)
{
	uint32_t top = n ? node->bits & (uint32_t)(UINT64_C(0xffffffff) << (32 - n)) : 0;
	uint32_t rest = (uint32_t)((uint64_t)node->bits << n);
	struct prefix_trie_node *upper, *lower, *branch = NULL;

	upper = node_create(top, n, offset == length);
	if (!upper)
		return -ENOMEM;
	lower = node_create(rest, node_n_bits(node) - n,
			    node_n_rules(node));
	if (!lower)
		goto no_lower;
	if (offset < length) {
		branch = branch_create(value, offset, length);
		if (!branch)
			goto no_branch;
		rcu_set(&upper->edges[bits_get_bit(value, offset)], branch);
	}
	for (int i = 0; i < 2; i++)
		rcu_set(&lower->edges[i], rcu_get(&node->edges[i]));
	rcu_set(&upper->edges[rest >> 31], lower);
	rcu_set(edge, upper);
	graveyard_insert(yard, node);
	return 0;

no_branch:
	free(lower);
no_lower:
	free(upper);
	return -ENOMEM;
}

int prefix_trie_insert(struct prefix_trie *trie, const uint8_t *value, unsigned int length,
		       struct graveyard *yard)
{
	prefix_trie_edge *edge = &trie->root;
	struct prefix_trie_node *node;
	unsigned int offset = 0;
	struct bits bits;

	bits_init(&bits, value, length);
	while ((node = rcu_get(edge))) {
		unsigned int same = node_compare(node, &bits, offset, length - offset);

		offset += same;
		if (same < node_n_bits(node))
			return node_split(edge, node, same, &bits, offset, length, yard);
		if (offset == length) {
			atomic_fetch_add_explicit(&node->head, HEAD_RULE, memory_order_relaxed);
			return 0;
		}
		edge = &node->edges[bits_get_bit(&bits, offset)];
	}
	node = branch_create(&bits, offset, length);
	if (!node)
		return -ENOMEM;
	rcu_set(edge, node);
	return 0;
}

/*
 * Removes `node`, at `edge`, if nothing hangs on it any more, or joins it with its only child.
 * Keeping it costs memory only, so a failed allocation is no error. Returns whether the node is
 * gone without a successor: then its parent may be next.
 */
static bool node_prune(prefix_trie_edge *edge, struct prefix_trie_node *node,
		       struct graveyard *yard)
{
	struct prefix_trie_node *child0 = rcu_get(&node->edges[0]);
	struct prefix_trie_node *child1 = rcu_get(&node->edges[1]);
	struct prefix_trie_node *child = child0 ? child0 : child1, *joined;

	if (node_n_rules(node) || (child0 && child1))
		return false;
	if (!child) {
		rcu_set(edge, NULL);
		graveyard_insert(yard, node);
		return true;
	}
	if (node_n_bits(node) + node_n_bits(child) > NODE_BITS)
		return false;
	joined = node_create(node->bits | (uint32_t)((uint64_t)child->bits >> node_n_bits(node)),
			     node_n_bits(node) + node_n_bits(child),
			     node_n_rules(child));
	if (!joined)
		return false;
	for (int i = 0; i < 2; i++)
		rcu_set(&joined->edges[i], rcu_get(&child->edges[i]));
	rcu_set(edge, joined);
	graveyard_insert(yard, node);
	graveyard_insert(yard, child);
	return false;
}

void prefix_trie_remove(struct prefix_trie *trie, const uint8_t *value, unsigned int length,
			struct graveyard *yard)
{
	prefix_trie_edge *path[PATH_MAX_NODES], *edge = &trie->root;
	unsigned int depth = 0, offset = 0;
	struct prefix_trie_node *node;
	struct bits bits;

	bits_init(&bits, value, length);
	for (;;) {
		node = rcu_get(edge);
		assert(node && depth < PATH_MAX_NODES);
		path[depth++] = edge;
		offset += node_n_bits(node);
		assert(offset <= length);
		if (offset == length)
			break;
		edge = &node->edges[bits_get_bit(&bits, offset)];
	}
	atomic_fetch_sub_explicit(&node->head, HEAD_RULE, memory_order_relaxed);
	while (depth--) {
		if (!node_prune(path[depth], rcu_get(path[depth]), yard) && depth) {
			/* its parent has as many children as before, but may now fit with this
			 * one */
			node_prune(path[depth - 1], rcu_get(path[depth - 1]), yard);
			break;
		}
	}
}

/* How far a question has come. */
struct walk {
	const struct prefix_trie_node *node; /* to be looked at next; NULL: at the end */
	unsigned int offset; /* bits that are behind it */
	unsigned int n_bits;
	struct bits bits;
	struct prefix_match *match;
};

/* Returns false when there is no way to go. */
static inline bool walk_init(struct walk *walk, const struct prefix_query *query)
{
	walk->node = rcu_get(&query->trie->root);
	if (!walk->node)
		return false;
	walk->offset = 0;
	walk->n_bits = query->n_bits;
	walk->match = query->match;
	bits_init(&walk->bits, query->value, query->n_bits);
	return true;
}

/* Looks at one node. Returns false at the end of the way, with match->n_bits set. */
static inline bool walk_step(struct walk *walk)
{
	const struct prefix_trie_node *node = walk->node, *child;
	struct prefix_match *match = walk->match;
	unsigned int same, bit;

	match->n_bits = walk->offset;
	if (!node)
		return false;
	same = node_compare(node, &walk->bits, walk->offset, walk->n_bits - walk->offset);
	walk->offset += same;
	if (same < node_n_bits(node)) {
		match->n_bits = MIN(walk->offset + 1, walk->n_bits);
		return false;
	}
	if (node_n_rules(node))
		match->lengths[walk->offset / 64] |= UINT64_C(1) << (walk->offset % 64);
	match->n_bits = walk->offset;
	if (walk->offset == walk->n_bits)
		return false;
	bit = bits_get_bit(&walk->bits, walk->offset);
	child = rcu_get(&node->edges[bit]);
	if (!child && rcu_get(&node->edges[!bit])) {
		match->n_bits = walk->offset + 1;
		return false;
	}
	walk->node = child;
	__builtin_prefetch(child);
	return true;
}

void prefix_trie_lookup_all(const struct prefix_query *queries, unsigned int n)
{
	struct walk walks[PREFIX_QUERIES_MAX];
	uint32_t active = 0;

	for (unsigned int i = 0; i < n; i++) {
		memset(queries[i].match, 0, sizeof(*queries[i].match));
		if (walk_init(&walks[i], &queries[i]))
			active |= 1u << i;
	}
	while (active) {
		for (uint32_t left = active; left; left &= left - 1) {
			unsigned int i = (unsigned int)__builtin_ctz(left);

			if (!walk_step(&walks[i]))
				active &= ~(1u << i);
		}
	}
}

void prefix_trie_lookup(const struct prefix_trie *trie, const uint8_t *value, unsigned int n_bits,
			struct prefix_match *match)
{
	const struct prefix_query query = {
		.trie = trie,
		.value = value,
		.n_bits = n_bits,
		.match = match,
	};

	prefix_trie_lookup_all(&query, 1);
}
