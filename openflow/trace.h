/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace.h - what the tables would do with a packet, told step by step; nothing is learned or
 * counted.
 *
 * The result is a struct with everything in it twice: as members, for --json, and as lines of
 * text, for people. The lines come from the translation itself as it runs (xlate.c), so they cannot
 * tell another story than what packets meet.
 *
 * Thread-safety: for the control thread.
 */
#ifndef VSWITCH_OPENFLOW_TRACE_H
#define VSWITCH_OPENFLOW_TRACE_H

#include <stdint.h>
#include "bpf/flow_key.h"
#include "datapath/action.h"
#include "datapath/drop.h"
#include "openflow/bridge.h"

/* One line of the story. */
struct trace_step {
	unsigned int depth; /* how far to indent it */
	char *text; /* owned */
};

struct trace {
	struct flow_key key; /* what was traced; in_port is the OpenFlow number */
	struct rule *rule; /* the rule that won, referenced; NULL: none */
	struct trace_step *steps;
	uint32_t n_steps;
	struct flow_key mask; /* of the megaflow; in_port included */
	struct action_list actions; /* for the datapath; ports are datapath port numbers */
	enum drop_reason drop_reason; /* when there are no actions */
	int error; /* -ENOMEM when steps are missing; else 0 */
};

/* Traces a packet with headers `key`, whose in_port is an OpenFlow number of the bridge. Returns 0
 * or a negative errno with `err` set; on success trace_uninit() is due. */
int trace_run(struct bridge *bridge, const struct flow_key *key, struct trace *trace,
	      struct error *err) WARN_UNUSED;
/* The same for a frame of `size` bytes that came in by `ofport`. */
int trace_run_packet(struct bridge *bridge, uint32_t ofport, const void *frame, uint32_t size,
		     struct trace *trace, struct error *err) WARN_UNUSED;
void trace_uninit(struct trace *trace);

#endif /* VSWITCH_OPENFLOW_TRACE_H */
