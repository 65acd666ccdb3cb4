/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <string.h>

#include "datapath/offload.h"
#include "datapath/tier0_flow.h"
#include "datapath/tier0_priv.h"
#include "lib/clock.h"

static struct worker *worker_from(struct flow_cache *cache)
{
	return container_of(cache, struct worker, flows);
}

/* ---- counters ---------------------------------------------------------------------------------
 */

/* What a slot counted since the last time. */
struct delta {
	uint64_t n_packets;
	uint64_t n_bytes;
};

static struct delta take_delta(const struct tier0_slot *slot, struct tier0_seen *seen)
{
	uint64_t n_packets = __atomic_load_n(&slot->n_packets, __ATOMIC_RELAXED);
	uint64_t n_bytes = __atomic_load_n(&slot->n_bytes, __ATOMIC_RELAXED);
	struct delta delta = {
		.n_packets = n_packets - seen->n_packets,
		.n_bytes = n_bytes - seen->n_bytes,
	};

	seen->n_packets = n_packets;
	seen->n_bytes = n_bytes;
	return delta;
}

static struct port_counters *get_counters(struct worker *worker, uint32_t port_no)
{
	struct worker_port *wp = port_no <= PORT_NO_MAX ? rcu_get(&worker->ports[port_no]) : NULL;

	return wp ? wp->counters : NULL;
}

static void count_output(struct worker *worker, const struct tier0_slot *slot, uint32_t port_no,
			 const struct delta *delta)
{
	struct port_counters *out = get_counters(worker, port_no);
	uint64_t n_bytes = delta->n_bytes;

	if (!out)
		return;
	if (slot->vlan == TIER0_VLAN_PUSH)
		n_bytes += delta->n_packets * FLOW_VLAN_SIZE;
	else if (slot->vlan == TIER0_VLAN_POP)
		n_bytes -= delta->n_packets * FLOW_VLAN_SIZE;
	counter_add(&out->tx_packets, delta->n_packets);
	counter_add(&out->tx_bytes, n_bytes);
}

/* Counts at the ports what the slot carried. */
static void count_ports(struct worker *worker, const struct tier0_slot *slot,
			const struct tier0_entry *entry, const struct delta *delta)
{
	struct port_counters *in = get_counters(worker, slot->key.in_port);

	if (in) {
		counter_add(&in->rx_packets, delta->n_packets);
		counter_add(&in->rx_bytes, delta->n_bytes);
		if (!slot->output)
			port_count_drop(in, (enum drop_reason)entry->drop_reason, delta->n_packets);
	}
	if (!slot->output)
		return;
	count_output(worker, slot, slot->output, delta);
	for (uint32_t i = 0; i < slot->n_ops; i++) {
		if (slot->ops[i].type != TIER0_OP_OUTPUT)
			continue;
		count_output(worker, slot, slot->ops[i].value, delta);
		if (in)
			counter_add(&in->copies, delta->n_packets);
	}
}

/* Takes what the slot counted, and counts it at the ports, the mask and the worker. */
static struct delta fold(struct worker *worker, uint32_t slot_no)
{
	struct tier0 *tier0 = worker->dp->tier0;
	struct tier0_slot *slot = &tier0->maps.slots[slot_no];
	struct tier0_entry *entry = &tier0->entries[slot_no];
	struct delta delta = take_delta(slot, &tier0->maps.seen[slot_no]);

	if (!delta.n_packets && !delta.n_bytes)
		return delta;
	count_ports(worker, slot, entry, &delta);
	counter_add(&worker->stats.hits_tier0, delta.n_packets);
	__atomic_fetch_add(&tier0->masks[entry->mask_no].hits, delta.n_packets, __ATOMIC_RELAXED);
	return delta;
}

static void fold_flow(struct flow_cache *cache, struct flow *flow)
{
	struct worker *worker = worker_from(cache);
	const struct tier0 *tier0 = worker->dp->tier0;
	const struct tier0_slot *slot = &tier0->maps.slots[flow->tier0_slot];
	struct delta delta = fold(worker, flow->tier0_slot);
	uint64_t used_ns = __atomic_load_n(&slot->used_ns, __ATOMIC_RELAXED);

	flow->n_packets += delta.n_packets;
	flow->n_bytes += delta.n_bytes;
	flow->n_tier0 += delta.n_packets;
	flow->used_ns = MAX(flow->used_ns, used_ns);
	if (delta.n_packets >= TIER0_HOT_PACKETS * (CLOCK_NS_PER_S / TIER0_HOT_NS))
		tier0->entries[flow->tier0_slot].n_idle = 0;
	else if (delta.n_packets)
		tier0->entries[flow->tier0_slot].n_idle = 1;
}

/* ---- going in ---------------------------------------------------------------------------------
 */

/* Do all ports that the slot sends to take what a program sends by `sends_by`? */
static bool has_targets(const struct tier0 *tier0, const struct tier0_slot *slot, uint32_t sends_by)
{
	if (!slot->output)
		return true;
	if (!(tier0_get_target_flags(tier0, slot->output) & sends_by))
		return false;
	for (uint32_t i = 0; i < slot->n_ops; i++)
		if (slot->ops[i].type == TIER0_OP_OUTPUT &&
		    !(tier0_get_target_flags(tier0, slot->ops[i].value) & sends_by))
			return false;
	return true;
}

enum tier0_reason tier0_flow_compile(const struct tier0 *tier0, const struct port *in,
				     const struct flow *flow, struct tier0_slot *slot)
{
	const struct flow_key *mask = &flow->subtable->mask;
	enum tier0_reason why;

	/* Its in_port is 0 while the port is being removed. */
	if (!in->tier0.program || mask->in_port != UINT32_MAX ||
	    __atomic_load_n(&in->tier0.program->in_port, __ATOMIC_RELAXED) != in->no)
		return TIER0_INGRESS;
	why = tier0_compile(&flow->key, mask, flow->actions, flow->n_actions, in->tier0.several,
			    slot);
	if (why)
		return why;
	return has_targets(tier0, slot, in->tier0.sends_by) ? TIER0_NONE : TIER0_EGRESS;
}

static enum tier0_reason try_insert(struct worker *worker, const struct port *in, struct flow *flow)
{
	struct tier0 *tier0 = worker->dp->tier0;
	const struct flow_key *mask = &flow->subtable->mask;
	struct tier0_slot slot = {.generation = 0};
	uint64_t start_ns = clock_now();
	enum tier0_reason why = tier0_flow_compile(tier0, in, flow, &slot);

	if (why)
		return why;
	if (in->tier0.sends_by == TIER0_TARGET_XDP)
		why = tier0_group_take(tier0, &slot);
	if (!why) {
		why = tier0_insert(tier0, &flow->key, mask, &slot, flow->generation,
				   &flow->tier0_slot);
		if (why)
			tier0_group_put(tier0, slot.group);
	}
	atomic_fetch_add(&tier0->insert_ns, clock_now() - start_ns);
	if (!why)
		tier0->entries[flow->tier0_slot].drop_reason = flow->drop_reason;
	return why;
}

/* Is it no use to ask again before the verdict changes? */
static bool is_final(uint8_t reason)
{
	switch ((enum tier0_reason)reason) {
	case TIER0_OUTPUTS:
	case TIER0_ORDER:
	case TIER0_MATCH:
	case TIER0_ACTION:
	case TIER0_VLAN:
	case TIER0_LENGTH:
		return true;
	default:
		return false;
	}
}

static bool has_partial_csum(const struct packet *packet)
{
	struct packet copy = *packet;

	if (copy.csum == PACKET_CSUM_MAYBE)
		packet_resolve_csum(&copy);
	return copy.csum == PACKET_CSUM_PARTIAL;
}

void tier0_flow_consider(struct worker *worker, const struct port *in, struct flow *flow,
			 const struct packet *packet)
{
	uint64_t since_ns, limit_ns;

	/* Most ports have none: then no more of the flow is touched. */
	if (!in->tier0.program)
		return;
	since_ns = flow->tier0_since_ns;
	flow->tier0_since_ns = worker->now_ns;
	if (flow->tier0_slot || is_final(flow->tier0_reason) ||
	    worker->n_tier0_round == TIER0_ROUND_MAX ||
	    !atomic_load(&worker->dp->tier0->is_ready) ||
	    atomic_load(&worker->dp->tier0->is_taken_over))
		return;
	limit_ns = atomic_load(&worker->dp->tier0->is_crowded) ? TIER0_HOT_NS : TIER0_WARM_NS;
	if (!since_ns || worker->now_ns - since_ns > limit_ns) {
		flow->tier0_reason = TIER0_COLD;
		return;
	}
	/* A program may finish them where the frame lies in one buffer. */
	if ((in->tier0.program->flags & TIER0_PORT_PARTIAL) &&
	    (packet->next || !(in->tier0.program->flags & TIER0_PORT_FINISH)) &&
	    has_partial_csum(packet)) {
		flow->tier0_reason = TIER0_CHECKSUM;
		return;
	}
	worker->n_tier0_round++;
	flow->tier0_reason = (uint8_t)try_insert(worker, in, flow);
}

void tier0_flow_stamp(struct worker *worker, const struct flow *flow)
{
	struct tier0 *tier0 = worker->dp->tier0;

	if (tier0->entries[flow->tier0_slot].state == TIER0_IN_USE &&
	    !atomic_load_explicit(&tier0->is_kept, memory_order_relaxed))
		__atomic_store_n(&tier0->maps.slots[flow->tier0_slot].generation, flow->generation,
				 __ATOMIC_RELEASE);
}

enum tier0_reason tier0_flow_get_reason(struct worker *worker, const struct flow *flow)
{
	struct tier0 *tier0 = worker->dp->tier0;
	const struct worker_port *in;

	if (!atomic_load(&tier0->is_ready))
		return TIER0_OFF;
	if (flow->tier0_slot && tier0->entries[flow->tier0_slot].state == TIER0_IN_USE)
		return TIER0_NONE;
	if (flow->tier0_reason)
		return (enum tier0_reason)flow->tier0_reason;
	in = rcu_get(&worker->ports[flow->key.in_port & PORT_NO_MAX]);
	return in && in->port->tier0.program ? TIER0_COLD : TIER0_INGRESS;
}

/* ---- going out --------------------------------------------------------------------------------
 */

/* The slot keeps the cookie for the packets of programs that still run. */
static void retire_flow(struct flow_cache *cache, struct flow *flow)
{
	struct worker *worker = worker_from(cache);
	struct tier0 *tier0 = worker->dp->tier0;
	struct tier0_entry *entry = &tier0->entries[flow->tier0_slot];

	if (entry->state == TIER0_IN_USE)
		tier0_remove(tier0, flow->tier0_slot);
	entry->cookie = flow->cookie;
	entry->next = worker->tier0_orphans;
	worker->tier0_orphans = flow->tier0_slot;
	flow->cookie = NULL;
	flow->tier0_slot = 0;
}

void tier0_flow_sweep(struct worker *worker, struct flow *flow)
{
	struct tier0 *tier0 = worker->dp->tier0;
	struct tier0_entry *entry;

	if (!flow->tier0_slot)
		return;
	entry = &tier0->entries[flow->tier0_slot];
	if (entry->state == TIER0_IN_USE) {
		if (entry->n_idle++ >= (atomic_load(&tier0->is_full) ? 1 : TIER0_IDLE_SWEEPS)) {
			tier0_remove(tier0, flow->tier0_slot);
			flow->tier0_reason = TIER0_COLD;
		}
		return;
	}
	if (!tier0_is_past(tier0, entry->label))
		return;
	flow_cache_credit(&worker->flows, flow);
	tier0_free(tier0, flow->tier0_slot);
	flow->tier0_slot = 0;
}

void tier0_flow_purge(struct worker *worker, struct flow *flow, uint32_t port_no)
{
	struct tier0 *tier0 = worker->dp->tier0;
	const struct tier0_slot *slot;
	bool concerned;

	if (!flow->tier0_slot)
		return;
	slot = &tier0->maps.slots[flow->tier0_slot];
	concerned = slot->key.in_port == port_no || slot->output == port_no;
	for (uint32_t i = 0; i < slot->n_ops; i++)
		concerned |= slot->ops[i].type == TIER0_OP_OUTPUT && slot->ops[i].value == port_no;
	if (!concerned)
		return;
	/* Nothing more is counted in it, for the port is closed to programs. */
	flow_cache_credit(&worker->flows, flow);
	if (tier0->entries[flow->tier0_slot].state == TIER0_IN_USE)
		tier0_remove(tier0, flow->tier0_slot);
}

/* Credits what a slot counted after its flow was gone. */
static void credit_orphan(struct worker *worker, uint32_t slot_no)
{
	struct datapath *dp = worker->dp;
	const struct tier0_slot *slot = &dp->tier0->maps.slots[slot_no];
	struct tier0_entry *entry = &dp->tier0->entries[slot_no];
	struct delta delta = fold(worker, slot_no);

	if (delta.n_packets && entry->cookie)
		dp->pipeline.credit(dp->pipeline_aux, entry->cookie, &slot->key, delta.n_packets,
				    delta.n_bytes, slot->used_ns);
}

void tier0_flow_reap(struct worker *worker, bool force)
{
	struct tier0 *tier0 = worker->dp->tier0;
	uint32_t *link = &worker->tier0_orphans;

	while (*link) {
		uint32_t slot_no = *link;
		struct tier0_entry *entry = &tier0->entries[slot_no];
		bool is_past;

		/* Asked first: what is counted until then is seen. */
		is_past = force || tier0_is_past(tier0, entry->label);
		credit_orphan(worker, slot_no);
		if (!is_past) {
			link = &entry->next;
			continue;
		}
		*link = entry->next;
		if (entry->cookie)
			worker->dp->pipeline.release(worker->dp->pipeline_aux, entry->cookie);
		entry->cookie = NULL;
		tier0_free(tier0, slot_no);
	}
}

const struct flow_offload tier0_flow_offload = {
	.fold = fold_flow,
	.retire = retire_flow,
};
