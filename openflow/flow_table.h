/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flow_table.h - a bridge's rules, and OpenFlow's ways to change them.
 *
 * A flow table set holds up to FLOW_TABLES_MAX numbered tables, each a classifier (classifier.h); a
 * packet starts in table 0. All changes go through flow_table_modify(): a list of modifications
 * that happens as one, or not at all. Packets see the rules before all of them or after all of
 * them, never a part (see "versions" in classifier.h).
 *
 * OpenFlow semantics, as Open vSwitch has them:
 *   ADD            a rule with equal match and priority in the same table is replaced; the new one
 *                  starts with counters and duration zero.
 *   MODIFY         every rule whose match lies within the given one (loose), or with equal match
 * and priority (strict), gets the new actions; it keeps counters, duration and timeouts. Its cookie
 * changes when the specification gives one (non-zero, no cookie_mask). Nothing matches: nothing
 * happens, and it is no error (OpenFlow 1.1 and later). DELETE         removes, loose or strict.
 * cookie/cookie_mask and out_port narrow it further. Loose operations look at all tables when
 * table_id is FLOW_TABLE_ALL.
 *
 * Timeouts count whole seconds: hard from the rule's last modification, idle from its last packet
 * as far as cached flows have credited it: call datapath_fold_counters() before
 * flow_table_expire().
 *
 * Life cycle: after flow_table_modify(), flow_table_replace() or flow_table_expire() workers may
 * still see the rules that went, under the previous version. The caller (bridge.c) invalidates
 * cached verdicts, waits for a grace period, and then calls flow_table_purge(), which lets go of
 * them.
 *
 * Thread-safety: one control thread changes, dumps and expires. flow_table_lookup() and
 * flow_table_get_version() are for any thread inside an RCU read-side critical section.
 */
#ifndef VSWITCH_OPENFLOW_FLOW_TABLE_H
#define VSWITCH_OPENFLOW_FLOW_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/error.h"
#include "openflow/rule.h"

/* Tables 0..253; 254 is reserved by OpenFlow, 255 stands for all of them. */
#define FLOW_TABLES_MAX 254
#define FLOW_TABLE_ALL 255

/* Most rules in all tables together. */
#define FLOW_TABLE_RULES_MAX 1000000

enum flow_mod_type {
	FLOW_MOD_ADD,
	FLOW_MOD_MODIFY,
	FLOW_MOD_MODIFY_STRICT,
	FLOW_MOD_DELETE,
	FLOW_MOD_DELETE_STRICT,
};

/* One change. The specification stays the caller's. */
struct flow_mod {
	enum flow_mod_type type;
	const struct rule_spec *spec;
};

/* What a list of changes did. */
struct flow_mod_result {
	uint32_t n_added; /* new match and priority */
	uint32_t n_replaced; /* by ADD or replace: same match and priority, other rule */
	uint32_t n_modified; /* by MODIFY */
	uint32_t n_removed;
	uint32_t n_kept; /* replace only: already there as asked, counters kept */
};

struct flow_table;

int flow_table_create(struct flow_table **tablep) WARN_UNUSED;
/* Frees the tables and gives up their rules. No reader may be left. NULL is allowed. */
void flow_table_destroy(struct flow_table *table);

/*
 * Makes the `n` changes in order, as one. Returns 0 with `result` (may be NULL) set, or a negative
 * errno with `err` set and nothing changed: -ENOSPC past FLOW_TABLE_RULES_MAX, -EINVAL for a bad
 * table number, -ENOMEM.
 */
int flow_table_modify(struct flow_table *table, const struct flow_mod *mods, size_t n, uint64_t now,
		      struct flow_mod_result *result, struct error *err) WARN_UNUSED;

/*
 * Makes the rules be exactly the `n` given (of two with equal match and priority the later one
 * counts). A rule that is there already with the same actions, cookie and timeouts stays, with its
 * counters.
 */
int flow_table_replace(struct flow_table *table, const struct rule_spec *specs, size_t n,
		       uint64_t now, struct flow_mod_result *result, struct error *err) WARN_UNUSED;

/* Calls `cb` for each rule that falls under `filter` (as a loose DELETE would choose; NULL: all),
 * by table, then by falling priority, then in the order they were added. */
typedef void flow_table_dump_cb(void *aux, const struct rule *rule);
int flow_table_dump(const struct flow_table *table, const struct rule_spec *filter,
		    flow_table_dump_cb *cb, void *aux) WARN_UNUSED;

enum flow_expiry {
	FLOW_EXPIRY_IDLE,
	FLOW_EXPIRY_HARD,
};

/* Removes the rules whose time is up at `now` and tells each to `cb` (may be NULL). Returns how
 * many. */
typedef void flow_table_expire_cb(void *aux, const struct rule *rule, enum flow_expiry why);
uint32_t flow_table_expire(struct flow_table *table, uint64_t now, flow_table_expire_cb *cb,
			   void *aux);

/* Does any rule have a timeout? Then flow_table_expire() is worth calling each second. */
bool flow_table_has_timeouts(const struct flow_table *table);

/* Lets go of rules that went; since then a grace period has passed. */
void flow_table_purge(struct flow_table *table);

/*
 * The rule of table `table_id` with the highest priority that matches `key` as of `version`, or
 * NULL. ORs every bit of the key that was looked at into `mask` (NULL: not asked). RCU read side.
 */
struct rule *flow_table_lookup(const struct flow_table *table, uint64_t version, uint8_t table_id,
			       const struct flow_key *key, struct flow_key *mask);

/* The version that is in force: pass it to flow_table_lookup(). Changes with every change of rules.
 */
uint64_t flow_table_get_version(const struct flow_table *table);

/* Rules and subtables (different masks) of table `table_id`, or of all tables with FLOW_TABLE_ALL.
 */
uint32_t flow_table_get_n_rules(const struct flow_table *table, uint8_t table_id);
uint32_t flow_table_get_n_subtables(const struct flow_table *table, uint8_t table_id);

#endif /* VSWITCH_OPENFLOW_FLOW_TABLE_H */
