/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rule_text.h - one rule in one line: priority=10,tcp,tp_dst=80 actions=output:2
 *
 * The syntax is ovs-ofctl's, see vswitch-flows(7). A line is a list of KEY=VALUE and words: what
 * the rule is about (match_text.h), what it is (priority, cookie, table, idle_timeout,
 * hard_timeout), and last, actions=ACTIONS (ofaction_text.h). Which keys make sense depends on
 * what the line is for: a deletion takes out_port and no actions.
 *
 * What rule_format() or ovs-ofctl dump-flows printed can be read again: duration, n_packets and the
 * other counters of a dump are known and skipped.
 *
 * Thread-safety: pure functions, and the callbacks of ofport_names.
 */
#ifndef VSWITCH_OPENFLOW_RULE_TEXT_H
#define VSWITCH_OPENFLOW_RULE_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include "lib/error.h"
#include "lib/strbuf.h"
#include "lib/util.h"
#include "openflow/flow_table.h"
#include "openflow/ofport.h"
#include "openflow/rule.h"

/* Longest line, bytes. */
#define RULE_TEXT_MAX 65536

/*
 * Reads a rule as the change `type` needs it. An ADD without table= is for table 0, another change
 * for all tables (FLOW_TABLE_ALL). A filter for dumps is what a loose DELETE takes.
 *
 * Returns 0, and the caller owns spec->actions; or -EINVAL, -ENODEV (an unknown port), -E2BIG or
 * -ENOMEM, and the specification is empty.
 */
int rule_parse(const char *text, size_t length, enum flow_mod_type type,
	       const struct ofport_names *names, struct rule_spec *spec,
	       struct error *err) WARN_UNUSED;

/* What a dump says about a rule, besides the rule. */
struct rule_text_stats {
	uint64_t duration; /* since it was added, ns */
	uint64_t n_packets;
	uint64_t n_bytes;
	uint64_t idle_age; /* since its last packet, or since it was added, ns */
};

/* Appends the rule in one line without a newline, in the order of ovs-ofctl dump-flows. Without
 * `stats` (NULL) cookie and table appear only when they are not 0. out_port and cookie_mask are no
 * part of a rule and not printed. */
void rule_format(const struct rule_spec *spec, const struct rule_text_stats *stats,
		 const struct ofport_names *names, struct strbuf *out);

#endif /* VSWITCH_OPENFLOW_RULE_TEXT_H */
