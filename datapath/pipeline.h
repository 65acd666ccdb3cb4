/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pipeline.h - what the datapath asks of whoever owns the rules.
 *
 * The datapath knows packets, caches and actions; it does not know rules, bridges or MAC tables.
 * When a packet misses the caches the worker asks the pipeline for a verdict, here and now, under
 * RCU: the tables are read in place, no queue, no other thread.
 *
 * Freshness. A flow remembers the generation (datapath.generation) under which its verdict was
 * made. Whoever changes rules, MAC entries or ports first publishes the change, then calls
 * datapath_invalidate(), which bumps the generation and, for callers who must be able to say
 * "done", waits until every worker has seen it. A worker that hits a flow of an older generation
 * asks revalidate() before it uses it.
 *
 * Thread-safety: all operations are called by workers, inside an RCU read-side critical section
 * (QSBR), several at once. They must not block, beyond short locks.
 */
#ifndef VSWITCH_DATAPATH_PIPELINE_H
#define VSWITCH_DATAPATH_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>
#include "bpf/flow_key.h"
#include "datapath/action.h"
#include "datapath/drop.h"

/* A verdict: what to do with every packet that agrees with the key in the bits of the mask. */
struct pipeline_verdict {
	struct flow_key mask; /* bits that were looked at; in_port is always all ones */
	struct action_list actions; /* initialised and owned by the caller, emptied before each
				     * call */
	enum drop_reason drop_reason; /* why, when there are no actions */
	void *cookie; /* the pipeline's own record (such as the rules that it came from),
		       * referenced; may be NULL */
};

struct pipeline {
	/*
	 * Translates the packet whose headers are `key`. Fills in the whole verdict. Learning
	 * happens here.
	 */
	void (*translate)(void *aux, const struct flow_key *key, struct pipeline_verdict *verdict);

	/*
	 * Is the verdict with `cookie`, made of `key` under generation `generation`, still what
	 * translate() would say? Cheap; false when in doubt. It may learn (refresh) from the
	 * packet. NULL: never.
	 */
	bool (*revalidate)(void *aux, void *cookie, const struct flow_key *key,
			   uint64_t generation);

	/* Credits traffic to the rules behind `cookie`. `key` is the flow's (masked) key; `used`:
	 * time of the last packet, clock_now() ns. */
	void (*credit)(void *aux, void *cookie, const struct flow_key *key, uint64_t n_packets,
		       uint64_t n_bytes, uint64_t used);

	/* Gives up the reference in `cookie`. */
	void (*release)(void *aux, void *cookie);
};

#endif /* VSWITCH_DATAPATH_PIPELINE_H */
