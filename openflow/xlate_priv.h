/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xlate_priv.h - one translation under way, for xlate.c, its actions (xlate_actions.c) and trace.c.
 *
 * The packet is seen as a key that actions change as they go (`now`), with two masks beside it:
 * `fixed` holds the bits that an action has set, which say nothing about the packet any more, and
 * the verdict's mask gathers the bits that were looked at while they were not fixed.
 *
 * The VLAN tag needs a second view: `normal` sends one packet with different tags to different
 * ports. `sent_tci` is the tag as the emitted datapath actions have left it; it is brought in line
 * with the key only when somebody cares.
 *
 * Thread-safety: a translation belongs to one thread.
 */
#ifndef VSWITCH_OPENFLOW_XLATE_PRIV_H
#define VSWITCH_OPENFLOW_XLATE_PRIV_H

#include <stdbool.h>
#include "datapath/pipeline.h"
#include "openflow/bridge_priv.h"
#include "openflow/trace.h"
#include "openflow/xlate.h"

/* What one `normal` rested on. */
struct xlate_normal {
	uint8_t src[6];
	uint8_t dst[6];
	uint16_t vlan;
	bool has_dst;        /* `dst` was looked up: it is no group address */
	uint32_t dst_ofport; /* where it was, MAC_TABLE_NO_PORT: unknown */
};

/* What a verdict rests on. Owned by the cached flow. */
struct xlate_cookie {
	struct bridge *bridge;   /* referenced */
	struct rule *rule;       /* referenced; NULL: no rule matched */
	uint64_t config_version; /* of the bridge table */
	uint64_t rules_version;  /* of the bridge's rules */
	uint32_t in_ofport;
	uint32_t n_normals;
	struct xlate_normal normals[];
};

struct xlate {
	const struct bridge_port *in_port;
	const struct bridge_ports *ports;
	struct bridge *bridge;
	struct rule *rule;       /* that won; NULL: none */
	struct flow_key now;     /* the headers as they are; in_port is an OpenFlow number */
	struct flow_key fixed;   /* bits of `now` that actions have set */
	struct flow_key *mask;   /* the verdict's */
	struct action_list *out; /* the verdict's */
	uint16_t sent_tci;       /* like now.vlan_tci, see above */
	bool is_failed;          /* over a limit */
	enum drop_reason reason; /* why an output came to nothing; DROP_NO_OUTPUT at first */
	uint32_t n_normals;
	struct xlate_normal normals[XLATE_NORMALS_MAX];
	struct trace *trace; /* tell the story to; NULL: nobody. With it nothing is learned */
};

/* Translates the packet in x->now, with bridge, ports, in_port, mask, out and trace set and
 * everything else zero. Returns the drop reason, for when there are no actions. */
enum drop_reason xlate_run(struct xlate *x, uint64_t rules_version);

/* Adds the bits to the mask that are the packet's own. */
void xlate_look(struct xlate *x, const struct flow_key *bits);

/* Carries out a rule's actions. */
void xlate_actions(struct xlate *x, const struct ofaction_list *actions);
/* The action `normal`. */
void xlate_normal(struct xlate *x);

/* Appends a datapath action; over the limit the translation fails. */
void xlate_emit(struct xlate *x, const struct action *action);
/* Appends an output to a port, whoever it is. */
void xlate_emit_output(struct xlate *x, const struct bridge_port *port);
/* Makes the emitted packet's tag be `tci`, as in flow_key.vlan_tci. */
void xlate_emit_vlan(struct xlate *x, uint16_t tci);

/* An output came to nothing, for that reason. */
void xlate_note_drop(struct xlate *x, enum drop_reason reason);

/* Tells a step of the story, if anybody listens. */
#define xlate_tell(x, depth, ...)                                                                  \
	do {                                                                                       \
		if (unlikely((x)->trace))                                                          \
			trace_tell((x)->trace, depth, __VA_ARGS__);                                \
	} while (0)

/* trace.c: appends a step. */
void trace_tell(struct trace *trace, unsigned int depth, const char *format, ...)
	PRINTF_FORMAT(3, 4);
/* Tells the rule that won, and an action of it. */
void trace_tell_rule(struct xlate *x);
void trace_tell_action(struct xlate *x, const struct ofaction *action);

#endif /* VSWITCH_OPENFLOW_XLATE_PRIV_H */
