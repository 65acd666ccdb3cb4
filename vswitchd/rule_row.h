/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_RULE_ROW_H
#define VSWITCHD_RULE_ROW_H

/*
 * A rule as a row of the store
 * ============================
 *
 * The text of a row is the rule with numbers for ports, as rule_format() prints it. The key is a
 * 128-bit hash of table, priority and match, so it is equal for rules of which one replaces the
 * other, and for no others (a collision among a million rules: one in 10^26).
 *
 * The key depends on the layout of struct match; whoever reads rows that another version wrote
 * makes it anew.
 *
 * Thread-safety: a pure function.
 */

#include "vswitchd/config.h"

#include "lib/util.h"
#include "openflow/rule.h"

/* Makes the row; row->text is the caller's to free. Returns 0 or -ENOMEM. */
int rule_row_make(const struct rule_spec *spec, struct config_rule *row) WARN_UNUSED;

#endif
