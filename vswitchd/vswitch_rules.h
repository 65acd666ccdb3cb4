/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_VSWITCH_RULES_H
#define VSWITCHD_VSWITCH_RULES_H

/*
 * Rules: text, store and tables
 * =============================
 *
 * Takes rules as people write them, with names of ports, makes them the rows of the store and the
 *rules of a bridge, and prints them again. In the store and in a config a rule is text with port
 *numbers, so that it does not change its meaning when a port is gone; for people it is text with
 *names.
 *
 * A change of rules happens in this order:
 *
 *	1. the whole text is parsed: one bad line refuses all of it, with its place;
 *	2. the rows are written and committed;
 *	3. the bridge makes the change, as one.
 *
 * A failure in 1 or 2 has touched nothing in the bridge. One in 3 (too many rules, no memory)
 *changes nothing in the bridge either, and the rows are then written anew from what the bridge has.
 *
 * Names that have no port at the time are refused; ports of the config that are not open (their
 * device is missing) do have their number.
 *
 * Thread-safety: the control thread.
 */

#include "vswitchd/vswitch.h"

#include "openflow/flow_table.h"
#include "openflow/ofport.h"

/* ---- texts ------------------------------------------------------------------------------------
 */

/* The names of a bridge's ports for the text functions of openflow/; `bridge` (borrowed) must
 * outlive it. */
void vswitch_names_init(struct ofport_names *names, const struct config_bridge *bridge);

/* The text of a row with names in place of numbers; for config_action_format(). NULL: no memory. */
char *vswitch_format_row(void *aux, const struct config_bridge *bridge,
			 const struct config_rule *row);

/*
 * Parses a script of rules (add-flows, replace-flows) for `bridge` and appends their rows to it.
 * Returns 0, or a negative errno with `e` set to "FILE:LINE: ..." and *line to the line.
 */
int vswitch_append_rules(struct config_bridge *bridge, const char *text, const char *file,
			 unsigned int *line, struct error *e) WARN_UNUSED;

/* ---- the config's rules -----------------------------------------------------------------------
 */

/* The row of the rule that a new bridge has. */
int vswitch_init_initial(struct config_rule *row, struct error *e) WARN_UNUSED;

/* Rules from the store, which the bridge has by now: writes the rows anew if their keys are those
 * of another version. */
int vswitch_check_rows(struct vswitch *vs, const struct config_bridge *bridge,
		       struct error *e) WARN_UNUSED;

/* Carries out a run of ADD_RULE and REMOVE_RULE actions of one bridge, without the store. */
int vswitch_run_rule_actions(struct vswitch *vs, const struct config_action *actions, size_t n,
			     struct error *e) WARN_UNUSED;

/* Makes the bridge's rules be these, without the store. */
int vswitch_replace_rules(struct vswitch *vs, const struct config_bridge *bridge,
			  const struct config_rule *rules, size_t n, struct error *e) WARN_UNUSED;

/* Appends the rules that the bridge has to its config. */
int vswitch_get_rules(struct vswitch *vs, struct config_bridge *bridge,
		      struct error *e) WARN_UNUSED;

/* Ages MAC addresses and expires rules, and deletes the rows of those that ran out. */
void vswitch_expire(struct vswitch *vs, uint64_t now);

/* ---- commands ---------------------------------------------------------------------------------
 */

/* add-flow(s); `file` and `line` as for vswitch_append_rules(), a single rule has no file (NULL).
 */
int vswitch_add_flows(struct vswitch *vs, const struct config_bridge *bridge, const char *text,
		      const char *file, unsigned int *line, struct flow_mod_result *result,
		      struct error *e) WARN_UNUSED;
int vswitch_replace_flows(struct vswitch *vs, const struct config_bridge *bridge, const char *text,
			  const char *file, unsigned int *line, struct flow_mod_result *result,
			  struct error *e) WARN_UNUSED;
int vswitch_modify_flows(struct vswitch *vs, const struct config_bridge *bridge, const char *text,
			 bool strict, struct flow_mod_result *result, struct error *e) WARN_UNUSED;
/* `text` "" or NULL: all rules. */
int vswitch_delete_flows(struct vswitch *vs, const struct config_bridge *bridge, const char *text,
			 bool strict, struct flow_mod_result *result, struct error *e) WARN_UNUSED;

#endif
