/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rule.h - one flow rule: match, priority, actions, and what it has carried.
 *
 * A rule is made by the control thread, published in a flow table, found by workers under RCU, and
 * referenced by the cached flows that came from it. It is freed when the last reference is gone and
 * a grace period has passed.
 *
 * Counters are what cached flows credited so far; datapath_fold_counters() brings them up to date.
 *
 * Thread-safety: match, priority, cookie, actions and timeouts never change after publication
 * (mod-flows publishes a new rule that takes over the counters). Counters are atomics. Reference
 * counting may be done by any thread.
 */
#ifndef VSWITCH_OPENFLOW_RULE_H
#define VSWITCH_OPENFLOW_RULE_H

#include <stdint.h>
#include "lib/rcu.h"
#include "openflow/match.h"
#include "openflow/ofaction.h"

/* Priority of a rule that names none. */
#define RULE_PRIORITY_DEFAULT 32768

/* What text or a message says a rule should be: input of add-flow and the like. A plain value. */
struct rule_spec {
	struct match match;
	uint64_t cookie;
	uint64_t cookie_mask; /* del-flows, mod-flows, dump-flows: bits of cookie that must agree;
			       * 0: any */
	uint16_t priority;
	uint8_t table_id;
	uint16_t idle_timeout; /* s; 0: never */
	uint16_t hard_timeout; /* s; 0: never */
	uint32_t out_port; /* del-flows, dump-flows: only rules that output there; OFPORT_NONE:
			    * any */
	struct ofaction_list actions;
};

struct rule {
	struct match match;
	uint64_t cookie;
	uint16_t priority;
	uint8_t table_id;
	uint16_t idle_timeout; /* s; 0: never */
	uint16_t hard_timeout; /* s; 0: never */
	struct ofaction_list actions;
	uint64_t created; /* clock_now() */
	uint64_t modified; /* clock_now() of the last mod-flows, or `created`: hard_timeout counts
			      from here */
	uint64_t n_packets; /* atomic, credited so far */
	uint64_t n_bytes; /* atomic */
	uint64_t used; /* atomic, clock_now() of the last packet credited; `created` before */
	uint32_t refs; /* atomic: the table's, and one for each cached flow's cookie */

	/* The classifier's: see classifier.h. */
	uint32_t hash; /* of the masked value */
	struct rule *next; /* RCU: same match, next lower or equal priority */
	uint64_t add_version; /* first classifier version that sees the rule */
	uint64_t
	    remove_version; /* atomic: first version that sees it no more; UINT64_MAX: none yet */

	/* The flow table's, control thread only. */
	uint32_t expiry_slot; /* where it stands in flow_table.timed, plus one; 0: has no timeout */
	struct rule
	    *heir; /* mod-flows: the rule that takes over later credits; referenced. Atomic */

	struct rcu_deferred rcu;
};

/* Makes a rule as `spec` says, with one reference, counters zero, created at `now`. NULL when out
 * of memory. */
struct rule *rule_create(const struct rule_spec *spec, uint64_t now);

/* Takes a reference; the caller has one, or is under RCU and sees the rule in a table. */
struct rule *rule_ref(struct rule *rule);
/* Gives up a reference; with the last one the rule is freed, a grace period later. NULL is allowed.
 */
void rule_unref(struct rule *rule);

/* Adds traffic to the rule, or to the rule that mod-flows put in its place. Any thread. */
void rule_credit(struct rule *rule, uint64_t n_packets, uint64_t n_bytes, uint64_t used);

/* Does the rule have an output action to `port` (OFPORT_* included)? */
bool rule_outputs_to(const struct rule *rule, uint32_t port);

/* What the rule credited so far. */
struct rule_stats {
	uint64_t n_packets;
	uint64_t n_bytes;
	uint64_t used; /* clock_now() of the last packet; created when there was none */
};
void rule_get_stats(const struct rule *rule, struct rule_stats *stats);

#endif /* VSWITCH_OPENFLOW_RULE_H */
