/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rule_script.h - a file of rules, one a line: what add-flows and replace-flows read.
 *
 *	# web server
 *	priority=10,tcp,nw_dst=192.0.2.10,tp_dst=80 actions=output:2
 *	priority=0 actions=normal
 *
 * '#' starts a comment, blank lines do not count, lines end in a newline or in CR and LF. A line
 * may start with what to do with the rule, as in the files of ovs-ofctl --bundle: add (the
 * default), modify, modify_strict, delete, delete_strict. The headlines of an ovs-ofctl dump are
 * skipped, so that a dump is a script.
 *
 * A script is right as a whole or not at all: when a line is refused the script is empty, and the
 * errors say which lines and why, up to RULE_SCRIPT_ERRORS_MAX of them.
 *
 * Life cycle: rule_script_parse(), then hand script->mods to flow_table_modify(), or
 * script->specs to flow_table_replace(), and rule_script_uninit().
 *
 * Thread-safety: one thread.
 */
#ifndef VSWITCH_OPENFLOW_RULE_SCRIPT_H
#define VSWITCH_OPENFLOW_RULE_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include "lib/error.h"
#include "lib/util.h"
#include "openflow/flow_table.h"
#include "openflow/ofport.h"
#include "openflow/rule.h"

/* Errors that are told; with as many, the rest of the script is not looked at. */
#define RULE_SCRIPT_ERRORS_MAX 10

struct rule_script {
	struct rule_spec *specs; /* owned; in the order of the lines */
	struct flow_mod *mods;   /* owned; mods[i].spec is &specs[i] */
	size_t n;
};

struct rule_script_errors {
	struct error errors[RULE_SCRIPT_ERRORS_MAX]; /* "NAME:LINE: what is wrong" */
	size_t n;
};

/*
 * Reads the script `text` of `size` bytes, which came from `name` (for messages). `adds_only`:
 * lines that change or delete are refused. Returns 0; or the first error as a negative errno
 * (-EINVAL, -ENODEV, -E2BIG, -ENOMEM) with at least one error told and the script empty.
 */
int rule_script_parse(const char *name, const char *text, size_t size, bool adds_only,
		      const struct ofport_names *names, struct rule_script *script,
		      struct rule_script_errors *errors) WARN_UNUSED;

void rule_script_uninit(struct rule_script *script);

#endif /* VSWITCH_OPENFLOW_RULE_SCRIPT_H */
