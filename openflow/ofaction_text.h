/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ofaction_text.h - a rule's actions in text: mod_dl_dst:02:00:00:00:00:01,output:2
 *
 * The syntax is ovs-ofctl's, see vswitch-flows(7); a new action is a row of the table in the .c
 * file. Different words can mean one action: mod_tp_dst:80, set_field:80->tcp_dst and
 * load:0x50->NXM_OF_TCP_DST[] are all OFACTION_SET_FIELD, and are printed as the first of these
 * that can say it. A part of a field is set_field:VALUE/MASK->FIELD where OpenFlow has masks for
 * the field, load:VALUE->FIELD[FIRST..LAST] where it has not: so a mask is one run of bits there.
 * mod_* and dec_ttl may stand in a rule whose match does not ensure that packets have the field
 * (others are left as they are); set_field and load may not. All as in Open vSwitch.
 *
 * Thread-safety: pure functions, and the callbacks of ofport_names.
 */
#ifndef VSWITCH_OPENFLOW_OFACTION_TEXT_H
#define VSWITCH_OPENFLOW_OFACTION_TEXT_H

#include <stddef.h>
#include "lib/error.h"
#include "lib/strbuf.h"
#include "lib/util.h"
#include "openflow/match.h"
#include "openflow/ofaction.h"
#include "openflow/ofport.h"

/*
 * Reads actions of a rule with `match` into `list`, which need not be initialised. Returns 0,
 * -EINVAL, -ENODEV (an unknown port), -E2BIG or -ENOMEM; on failure the list is empty.
 */
int ofaction_parse(const char *text, size_t length, const struct match *match,
		   const struct ofport_names *names, struct ofaction_list *list,
		   struct error *err) WARN_UNUSED;

/* Appends the actions, "drop" for none. `match` is the rule's. */
void ofaction_format(const struct ofaction_list *list, const struct match *match,
		     const struct ofport_names *names, struct strbuf *out);

#endif /* VSWITCH_OPENFLOW_OFACTION_TEXT_H */
