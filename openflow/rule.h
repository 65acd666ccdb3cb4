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

#include <stdbool.h>
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
	/* First what a look-up reads. The classifier's: see classifier.h. */
	RCU_POINTER(struct rule) next;   /* same match, next lower or equal priority */
	uint64_t add_version;            /* first version that sees the rule */
	_Atomic uint64_t remove_version; /* first that sees it no more; UINT64_MAX: none yet */
	uint32_t hash;                   /* of the masked value */

	uint16_t priority;
	uint8_t table_id;
	struct match match;
	uint64_t cookie;
	uint16_t idle_timeout; /* s; 0: never */
	uint16_t hard_timeout; /* s; 0: never */
	struct ofaction_list actions;
	uint64_t created;   /* clock_now() */
	uint64_t modified;  /* clock_now() of the last mod-flows; hard_timeout counts from here */
	uint64_t n_packets; /* atomic, credited so far */
	uint64_t n_bytes;   /* atomic */
	uint64_t used;      /* atomic, clock_now() of the last packet credited; `created` before */
	uint32_t refs;      /* atomic: the table's, and one for each cached flow's cookie */

	/* The flow table's. */
	uint64_t serial;               /* order of arrival */
	uint64_t keep_version;         /* a replacement towards this version keeps the rule */
	uint32_t timed;                /* place among rules with timeouts; UINT32_MAX: none */
	RCU_POINTER(struct rule) heir; /* what mod-flows put in its place, takes over later credits;
					* referenced */

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

/*
 * Moves what `rule` has credited to `heir`, and from now on what it will be credited. Control
 * thread. To be called once more a grace period later, for credits that were under way the first
 * time.
 */
void rule_bequeath(struct rule *rule, struct rule *heir);

/* Does the rule have an output action to `port` (OFPORT_* included)? */
bool rule_outputs_to(const struct rule *rule, uint32_t port);

/* What the rule credited so far. */
struct rule_stats {
	uint64_t n_packets;
	uint64_t n_bytes;
	uint64_t used; /* clock_now() of the last packet; created when there was none */
};
void rule_get_stats(const struct rule *rule, struct rule_stats *stats);

/* The rule as a specification; the actions are still the rule's. */
struct rule_spec rule_get_spec(const struct rule *rule);

#endif /* VSWITCH_OPENFLOW_RULE_H */
