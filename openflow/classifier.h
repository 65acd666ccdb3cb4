/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * classifier.h - finds the rule of highest priority that matches a packet, and says what it looked
 * at.
 *
 * Tuple-space search. Rules with the same mask form a subtable, a hash table over their masked
 * values; a look-up asks one subtable after the other, those with the highest priorities first, and
 * ends when no later one can hold a better rule. 100,000 rules in 60 masks cost 60 probes at most.
 *
 * What was looked at. The caller gets a mask of all bits that decided: any key that agrees in them
 * has the same winner. The fewer bits, the wider the megaflow. Three things keep them few, and the
 * look-up short:
 *   - the early end: subtables behind it add nothing;
 *   - a subtable all of whose rules want the same Ethernet type, and another one than the packet's,
 *     is passed over for that; one whose prefix lengths of addresses have no rule near the packet,
 *     for the few bits that told so (prefix_trie.h);
 *   - stages: a mask is cut into in_port, L2, L3 and L4. After each stage an index of hashes tells
 *     whether any rule agrees so far; if not, only the stages up to there count as looked at. Ahead
 *     of L4 the ports' tries are asked.
 *
 * Versions. A change of many rules must show at once. So a rule carries the versions between which
 * it is to be seen; a look-up names a version and passes over all others. A writer that works
 * towards version N + 1
 *     1. classifier_insert()s new rules with add_version N + 1 and classifier_hide()s old ones from
 *        N + 1 on: readers at N notice nothing;
 *     2. classifier_publish()es the order of subtables, then stores N + 1 where readers take it
 *        from (flow_table.c): that is the moment of change. To undo instead: classifier_show(),
 *        classifier_remove();
 *     3. waits for a grace period, after which nobody reads at N, and classifier_remove()s hidden
 *     rules.
 *
 * Rules with equal priority that overlap: OpenFlow leaves open which wins. Here it is always the
 * same one between two changes, so that caches and tables agree.
 *
 * Thread-safety: one writer. classifier_lookup() by any thread under RCU, with a version that was
 * in force when its read-side critical section was already running.
 */
#ifndef VSWITCH_OPENFLOW_CLASSIFIER_H
#define VSWITCH_OPENFLOW_CLASSIFIER_H

#include <stdint.h>
#include "openflow/graveyard.h"
#include "openflow/hash_index.h"
#include "openflow/prefix_trie.h"
#include "openflow/rule.h"
#include "openflow/subtable.h"

struct classifier_order;

struct classifier {
	RCU_POINTER(struct classifier_order) order; /* subtables by falling priority; NULL: none */
	struct prefix_trie tries[SUBTABLE_TRIES]; /* as subtable_trie_fields says */

	/* The writer's. */
	struct subtable **subtables; /* n_subtables of them, in the order they came */
	uint32_t n_subtables;
	uint32_t capacity; /* of subtables */
	uint32_t n_rules; /* linked in, hidden ones too */
	struct hash_index masks; /* hash of the mask to subtable */
	uint32_t serial; /* of the subtable made last */
	struct graveyard yard;
};

void classifier_init(struct classifier *cls);
/* Lets go of all rules with rule_unref(). No reader may be left. */
void classifier_uninit(struct classifier *cls);

/* Links `rule` in, to be seen from `version` on; takes over the caller's reference. Returns 0 or
 * -ENOMEM, with nothing changed. */
int classifier_insert(struct classifier *cls, struct rule *rule, uint64_t version) WARN_UNUSED;

/* The rule is not to be seen from `version` on; or is, after all. */
void classifier_hide(struct rule *rule, uint64_t version);
void classifier_show(struct rule *rule);
static inline bool classifier_is_hidden(const struct rule *rule)
{
	return atomic_load_explicit(&rule->remove_version, memory_order_relaxed) != UINT64_MAX;
}

/* Unlinks a rule that no present or future reader may match, and gives up its reference. */
void classifier_remove(struct classifier *cls, struct rule *rule);

/* Puts new subtables and changed priorities in force. Returns 0 or -ENOMEM. */
int classifier_publish(struct classifier *cls) WARN_UNUSED;

/* Frees what became superfluous, after a grace period (does not wait). At the end of a change. */
void classifier_purge(struct classifier *cls);

/* The best rule for `key` as of `version`, or NULL. ORs the bits that were looked at into
 * `mask`. */
struct rule *classifier_lookup(const struct classifier *cls, uint64_t version,
			       const struct flow_key *key, struct flow_key *mask);

/* The rule with that match and priority that is not hidden, or NULL. Writer only. */
struct rule *classifier_find(const struct classifier *cls, const struct match *match,
			     uint16_t priority);

/* Walks the rules that are not hidden and whose masks hold at least the bits of `mask` (NULL: all
 * rules). The rules may be hidden, and others inserted, while it goes on: whether it meets the
 * latter is open. Writer only. */
struct classifier_cursor {
	const struct classifier *cls;
	const struct flow_key *mask;
	uint32_t subtable; /* next one */
	uint32_t n_subtables;
	const struct subtable *now; /* subtable being walked */
	uint32_t slot; /* next in it */
	struct rule *rule; /* last given */
};
void classifier_cursor_init(struct classifier_cursor *cursor, const struct classifier *cls,
			    const struct flow_key *mask);
struct rule *classifier_cursor_next(struct classifier_cursor *cursor);

#endif /* VSWITCH_OPENFLOW_CLASSIFIER_H */
