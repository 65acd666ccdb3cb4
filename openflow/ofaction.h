/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ofaction.h - what a rule says to do, as its author wrote it: OpenFlow's actions.
 *
 * Not to be mixed up with datapath/action.h, the flat list that translation makes of it: here ports
 * are OpenFlow port numbers of a bridge or reserved names, and `normal` is still a word.
 *
 * Thread-safety: a list is immutable once its rule is in a table.
 */
#ifndef VSWITCH_OPENFLOW_OFACTION_H
#define VSWITCH_OPENFLOW_OFACTION_H

#include <stdbool.h>
#include <stdint.h>
#include "bpf/flow_key.h"
#include "lib/util.h"

/* OpenFlow port numbers: 1..OFPORT_MAX are a bridge's ports; reserved ones as in OpenFlow 1.0. */
#define OFPORT_MAX 0xfeff
#define OFPORT_NONE 0
#define OFPORT_IN_PORT 0xfff8 /* back to where the packet came from */
#define OFPORT_NORMAL 0xfffa  /* MAC learning and forwarding */
#define OFPORT_FLOOD 0xfffb   /* all ports but the one it came from, those that may be flooded */
#define OFPORT_ALL 0xfffc     /* all ports but the one it came from */
#define OFPORT_LOCAL 0xfffe   /* the bridge's own interface */

/* Most actions in a list. */
#define OFACTION_LIST_MAX 1024

enum ofaction_type {
	OFACTION_OUTPUT,     /* to `port` (reserved ones included) */
	OFACTION_SET_FIELD,  /* bits `mask` of the field to `value`; mod_* and set_field:, see
			      * field.h */
	OFACTION_PUSH_VLAN,  /* `tpid` */
	OFACTION_STRIP_VLAN, /* pop_vlan too */
	OFACTION_DEC_TTL,
};

struct ofaction {
	uint8_t type;  /* enum ofaction_type */
	uint8_t field; /* SET_FIELD: enum field_id */
	uint16_t tpid; /* PUSH_VLAN: host order, 0x8100 or 0x88a8 */
	uint32_t port; /* OUTPUT: OFPORT_* or a port's number */
	struct {
		uint8_t value[16]; /* SET_FIELD: field.n_bytes long, network byte order; zero
				    * outside of mask */
		uint8_t mask[16];  /* bits to set, likewise; zero behind the field's bytes */
	} set;
};

/* A rule's actions; an empty list drops. */
struct ofaction_list {
	struct ofaction *actions; /* owned, malloc; NULL when n is 0 */
	uint32_t n;
};

/* A new list drops; uninit() leaves it like a new one. */
void ofaction_list_init(struct ofaction_list *list);
void ofaction_list_uninit(struct ofaction_list *list);
/* Copies *action to the list's end. Returns 0, -ENOMEM, or -E2BIG past OFACTION_LIST_MAX. */
int ofaction_list_append(struct ofaction_list *list, const struct ofaction *action) WARN_UNUSED;
/* Makes `to`, which need not be initialised, a copy. Returns 0, or -ENOMEM and an empty list. */
int ofaction_list_clone(struct ofaction_list *to, const struct ofaction_list *from) WARN_UNUSED;
/* The same actions in the same order? */
bool ofaction_list_equals(const struct ofaction_list *a, const struct ofaction_list *b);

#endif /* VSWITCH_OPENFLOW_OFACTION_H */
