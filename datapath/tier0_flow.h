/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DATAPATH_TIER0_FLOW_H
#define DATAPATH_TIER0_FLOW_H

/*
 * A worker's flows in tier 0: when they go in, how their counters come back, when they go out.
 *
 * In: a flow that carries TIER0_HOT_PACKETS within TIER0_WARM_NS (where slots are getting short,
 * TIER0_HOT_NS), if its actions can be expressed and its ports take part; a few a round, for each
 * costs about a microsecond, which it saves with its next packet. Until then, and whenever the slot
 * is stale, its packets come to the worker as before. So at both moments a packet may overtake one
 * that is still on its way through user space.
 *
 * Counters: what the slot counted is added to the flow, to the ports' counters and to the worker's,
 * whenever the flow is credited (flow_cache.h): once a second, for each dump, before the flow
 * leaves. A flow that leaves hands its cookie to the slot, which credits the packets of programs
 * that were still running, and releases it a grace period later.
 *
 * Out: with the flow, or with the verdict unless the new one does the same, when its port goes,
 * and after some sweeps without packets. Where slots are short, one sweep with few packets is
 * enough.
 *
 * Thread-safety: all in the worker, whose flow it is.
 */

#include "datapath/worker_priv.h"

/* Packets between two looks at a flow's rate; a power of two. */
#define TIER0_HOT_PACKETS 16u
/* A flow is warm, or hot, if they took no longer than this. */
#define TIER0_WARM_NS (2 * CLOCK_NS_PER_S)
#define TIER0_HOT_NS (100 * CLOCK_NS_PER_MS)
/* Flows that go in in one round of a worker. */
#define TIER0_ROUND_MAX 16u
/* Sweeps, of a second each, without packets, after which a flow leaves. */
#define TIER0_IDLE_SWEEPS 5u

struct tier0_entry;

/* For struct flow_cache: the operations below. */
extern const struct flow_offload tier0_flow_offload;

/* The flow has just carried `packet`, its TIER0_HOT_PACKETS-th since the last call. */
void tier0_flow_consider(struct worker *worker, const struct port *in, struct flow *flow,
			 const struct packet *packet);

/* What the flow, which comes in by `in`, would be in tier 0. Returns TIER0_NONE, or why it cannot
 * be there; then the slot means nothing. */
enum tier0_reason tier0_flow_compile(const struct tier0 *tier0, const struct port *in,
				     const struct flow *flow, struct tier0_slot *slot) WARN_UNUSED;

/* The flow's verdict is good for flow->generation: so is the slot. */
void tier0_flow_stamp(struct worker *worker, const struct flow *flow);

/* Once a sweep, after crediting: takes the flow out if it is idle, frees its slot if it has left.
 */
void tier0_flow_sweep(struct worker *worker, struct flow *flow);

/* Takes the flow out if it came in by port `port_no` or leaves there. */
void tier0_flow_purge(struct worker *worker, struct flow *flow, uint32_t port_no);

/* Frees slots of flows that are gone, as far as they have left. `force`: no program can be left. */
void tier0_flow_reap(struct worker *worker, bool force);

/* Why the flow is not in, TIER0_NONE: it is. */
enum tier0_reason tier0_flow_get_reason(struct worker *worker, const struct flow *flow);

#endif
