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
	uint32_t out_port;     /* del-flows, dump-flows: only rules that output there; OFPORT_NONE:
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
	uint64_t created;   /* clock_now() ns */
	uint64_t n_packets; /* atomic, credited so far */
	uint64_t n_bytes;   /* atomic */
	uint64_t used;      /* atomic, clock_now() ns of the last packet credited; `created`
			     * before */
	uint32_t refs;      /* atomic: the table's, and one for each cached flow's cookie */
	struct rcu_deferred rcu;
};

#endif /* VSWITCH_OPENFLOW_RULE_H */
