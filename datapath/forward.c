/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packet path: from a batch that a port received to packets staged and sent at others.
 *
 * Batches are worked through in passes, each of which asks for the memory that the next one needs,
 * so that cache misses of different packets overlap.
 */
#include "config.h"

#include <string.h>

#include "datapath/action.h"
#include "datapath/offload.h"
#include "datapath/packet_plain.h"
#include "datapath/tier0_flow.h"
#include "datapath/worker_priv.h"
#include "lib/clock.h"

/* A batch on its way through the passes. */
struct batch {
	unsigned int n;
	struct packet *packets[PACKET_BATCH_MAX];
	struct flow *flows[PACKET_BATCH_MAX];
	uint32_t signatures[PACKET_BATCH_MAX];
	struct flow_key keys[PACKET_BATCH_MAX];
};

/* ---- output ------------------------------------------------------------------------------------
 */

/* Drops a packet under a reason. */
static void drop(struct worker *worker, struct port_counters *counters, struct packet *packet,
		 enum drop_reason reason)
{
	port_count_drop(counters, reason, 1);
	packet_free(&worker->frames, packet);
}

static void mark_dirty(struct worker *worker, struct worker_port *wp)
{
	if (wp->dirty)
		return;
	wp->dirty = true;
	worker->dirty[worker->n_dirty++] = wp;
}

/*
 * Hands packets, all of which the port can take, to the driver. Clang cannot follow a lock that is
 * taken only where the queue is shared.
 */
static void transmit(struct worker *worker, struct worker_port *wp, struct packet **packets,
		     unsigned int n) NO_THREAD_SAFETY_ANALYSIS
{
	struct port_txq *txq = wp->txq;

	if (txq->shared)
		spinlock_lock(&txq->lock);
	wp->port->class->tx(txq, &worker->frames, wp->counters, packets, n);
	if (txq->shared)
		spinlock_unlock(&txq->lock);
}

/* Can every port that takes packets of this length take this one as it is? */
static ALWAYS_INLINE bool fits(const struct packet *packet, uint32_t max_len)
{
	return packet->total_len <= max_len && packet_is_plain(packet);
}

static bool takes_gso(const struct port_caps *caps, uint8_t gso_type)
{
	switch (gso_type) {
	case PACKET_GSO_TCP4:
		return port_cap_get(&caps->gso_tcp4);
	case PACKET_GSO_TCP6:
		return port_cap_get(&caps->gso_tcp6);
	case PACKET_GSO_UDP_L4:
		return port_cap_get(&caps->gso_udp_l4);
	default:
		return true;
	}
}

/* Cuts a GSO packet for a port that cannot, and transmits the segments. */
static void transmit_segmented(struct worker *worker, struct worker_port *wp, struct packet *packet)
{
	const struct port_caps *caps = &wp->port->caps;
	struct packet *segments[OFFLOAD_SEGMENTS_MAX];
	int n = packet_segment(&worker->frames, packet, port_cap_get(&caps->csum), segments,
			       ARRAY_SIZE(segments));

	if (n < 0) {
		port_count_drop(wp->counters, DROP_TX_NO_FRAME, 1);
		return;
	}
	/* One packet came in and n go out: the others are copies, for the sums. */
	counter_add(&wp->counters->copies, (uint64_t)n - 1);
	for (int i = 0, k; i < n; i += k) {
		k = MIN(n - i, PACKET_BATCH_MAX);
		if (segments[i]->total_len <= port_get_max_len(wp->port) &&
		    segments[i]->n_segs <= caps->max_segs) {
			transmit(worker, wp, segments + i, (unsigned int)k);
			continue;
		}
		port_count_drop(wp->counters, DROP_TX_TOO_LONG, (uint64_t)k);
		packet_free_batch(&worker->frames, segments + i, (uint32_t)k);
	}
}

/* Must the packet be cut into segments to leave by this port? */
static bool needs_segmentation(const struct packet *packet, const struct port_caps *caps)
{
	return packet->gso_type != PACKET_GSO_NONE &&
	       (!takes_gso(caps, packet->gso_type) || packet->n_segs > caps->max_segs);
}

/* Does in software what the port cannot. Returns true when the packet is ready, false when it is
 * gone. */
static bool prepare(struct worker *worker, struct worker_port *wp, struct packet *packet)
{
	const struct port_caps *caps = &wp->port->caps;

	if (packet->gso_type != PACKET_GSO_NONE)
		return true;
	if (packet->csum == PACKET_CSUM_MAYBE)
		packet_resolve_csum(packet);
	if (packet->csum == PACKET_CSUM_PARTIAL && !port_cap_get(&caps->csum) &&
	    packet_finish_csum(packet)) {
		drop(worker, wp->counters, packet, DROP_BAD_HEADER);
		return false;
	}
	if (packet->total_len > port_get_max_len(wp->port) || packet->n_segs > caps->max_segs) {
		drop(worker, wp->counters, packet, DROP_TX_TOO_LONG);
		return false;
	}
	return true;
}

/* Transmits what is staged at the port. */
static void transmit_staged(struct worker *worker, struct worker_port *wp)
{
	const struct port_caps *caps = &wp->port->caps;
	uint32_t max_len = port_get_max_len(wp->port);
	unsigned int n_staged = wp->n, n = 0;

	wp->n = 0;
	if (unlikely(!port_get_link(wp->port))) {
		port_count_drop(wp->counters, DROP_TX_DOWN, n_staged);
		packet_free_batch(&worker->frames, wp->staged, n_staged);
		return;
	}
	for (unsigned int i = 0; i < n_staged; i++) {
		struct packet *packet = wp->staged[i];

		if (likely(fits(packet, max_len))) {
			wp->staged[n++] = packet;
		} else if (needs_segmentation(packet, caps)) {
			/* Those ahead of it go first. */
			if (n)
				transmit(worker, wp, wp->staged, n);
			n = 0;
			transmit_segmented(worker, wp, packet);
		} else if (prepare(worker, wp, packet)) {
			wp->staged[n++] = packet;
		}
	}
	if (n)
		transmit(worker, wp, wp->staged, n);
}

/* Puts a packet up for transmission at `wp`, NULL if that port is gone; owns it. */
static ALWAYS_INLINE void stage_at(struct worker *worker, struct worker_port *in,
				   struct worker_port *wp, struct packet *packet)
{
	if (unlikely(!wp)) {
		drop(worker, in->counters, packet, DROP_PORT_GONE);
		return;
	}
	wp->staged[wp->n++] = packet;
	mark_dirty(worker, wp);
	if (wp->n == WORKER_STAGE_MAX)
		transmit_staged(worker, wp);
}

/* The same at port `port_no`. */
static void stage(struct worker *worker, struct worker_port *in, uint32_t port_no,
		  struct packet *packet)
{
	stage_at(worker, in, rcu_get(&worker->ports[port_no]), packet);
}

/* Flushes the port; keeps it in mind while frames are under way. Locks as transmit(). */
static void flush_port(struct worker *worker, struct worker_port *wp) NO_THREAD_SAFETY_ANALYSIS
{
	struct port_txq *txq = wp->txq;
	bool pending;

	if (!wp->port->class->flush)
		return;
	if (txq->shared)
		spinlock_lock(&txq->lock);
	pending = wp->port->class->flush(txq, &worker->frames, wp->counters);
	if (txq->shared)
		spinlock_unlock(&txq->lock);
	if (pending && !wp->pending) {
		wp->pending = true;
		worker->pending[worker->n_pending++] = (uint16_t)wp->port->no;
	}
}

void forward_flush(struct worker *worker)
{
	unsigned int n_pending = worker->n_pending;

	/* Those with news are flushed below, and may come back. */
	worker->n_pending = 0;
	for (unsigned int i = 0; i < n_pending; i++) {
		struct worker_port *wp = rcu_get(&worker->ports[worker->pending[i]]);

		if (!wp)
			continue; /* removed in the meantime */
		wp->pending = false;
		if (!wp->dirty)
			flush_port(worker, wp);
	}
	for (unsigned int i = 0; i < worker->n_dirty; i++) {
		struct worker_port *wp = worker->dirty[i];

		if (wp->n)
			transmit_staged(worker, wp);
		wp->dirty = false;
		flush_port(worker, wp);
	}
	worker->n_dirty = 0;
}

/* ---- actions
 * ------------------------------------------------------------------------------------- */

/* Runs a whole list over one packet, which it owns. */
static void run_actions(struct worker *worker, struct worker_port *in, const struct flow *flow,
			struct packet *packet)
{
	for (uint32_t i = 0; i < flow->n_actions; i++) {
		const struct action *action = &flow->actions[i];
		struct packet *copy;
		int err;

		if (action->type != ACTION_OUTPUT) {
			err = action_apply(action, packet);
			if (err) {
				drop(worker, in->counters, packet, (enum drop_reason) - err);
				return;
			}
			continue;
		}
		if (i + 1 == flow->n_actions) {
			stage(worker, in, action->port, packet);
			return;
		}
		copy = packet_clone(&worker->frames, packet);
		counter_add(&in->counters->copies, 1);
		if (copy)
			stage(worker, in, action->port, copy);
		else
			port_count_drop(in->counters, DROP_COPY_NO_FRAME, 1);
	}
	/* The last action was no output: what it changed goes nowhere. */
	drop(worker, in->counters, packet, (enum drop_reason)flow->drop_reason);
}

/* Applies flows[i] to packets[i], for i from `first` up to `end`. */
static void execute(struct worker *worker, struct worker_port *in, struct batch *batch,
		    unsigned int first, unsigned int end)
{
	/* Neighbours mostly go the same way. */
	struct worker_port *wp = NULL;
	uint32_t port_no = 0;

	for (unsigned int i = first; i < end; i++) {
		struct flow *flow = batch->flows[i];
		struct packet *packet = batch->packets[i];

		flow->n_packets++;
		flow->n_bytes += packet->total_len;
		flow->used_ns = worker->now_ns;
		if (unlikely(!(flow->n_packets & (TIER0_HOT_PACKETS - 1))))
			tier0_flow_consider(worker, in->port, flow, packet);
		if (unlikely(!flow->output_port)) {
			run_actions(worker, in, flow, packet);
			continue;
		}
		if (flow->output_port != port_no) {
			port_no = flow->output_port;
			wp = rcu_get(&worker->ports[port_no]);
		}
		stage_at(worker, in, wp, packet);
	}
}

/* ---- classification ----------------------------------------------------------------------------
 */

/* Tier 3: asks the rules, and remembers the answer. `flow`: one with an outdated answer, or NULL.
 */
static struct flow *translate(struct worker *worker, const struct flow_key *key, struct flow *flow)
{
	struct datapath *dp = worker->dp;
	struct pipeline_verdict *verdict = &worker->verdict;
	/* Read before the rules are: a change in between makes the flow old at once. */
	uint64_t generation = datapath_get_generation(dp);

	counter_add(&worker->stats.misses, 1);
	verdict->actions.n = 0;
	verdict->cookie = NULL;
	verdict->drop_reason = DROP_NO_RULE;
	dp->pipeline.translate(dp->pipeline_aux, key, verdict);
	if (flow && memcmp(&flow->subtable->mask, &verdict->mask, sizeof(verdict->mask)) != 0)
		flow_cache_remove(&worker->flows, flow);
	flow = flow_cache_insert(&worker->flows, key, verdict, generation);
	if (unlikely(!flow && verdict->cookie))
		dp->pipeline.release(dp->pipeline_aux, verdict->cookie);
	if (flow && flow->tier0_slot)
		tier0_flow_stamp(worker, flow);
	return flow;
}

/* A flow of an older generation: still right? Returns it, or what has taken its place. */
static struct flow *refresh(struct worker *worker, const struct flow_key *key, struct flow *flow)
{
	struct datapath *dp = worker->dp;
	uint64_t generation = datapath_get_generation(dp);

	counter_add(&worker->stats.revalidations, 1);
	if (dp->pipeline.revalidate &&
	    dp->pipeline.revalidate(dp->pipeline_aux, flow->cookie, key, flow->generation)) {
		flow->generation = generation;
		if (flow->tier0_slot)
			tier0_flow_stamp(worker, flow);
		return flow;
	}
	return translate(worker, key, flow);
}

/* Tiers 1 (all candidates), 2 and 3. NULL: no memory to remember the answer. */
static struct flow *classify_slowly(struct worker *worker, const struct flow_key *key,
				    uint32_t signature)
{
	struct flow *flow = flow_cache_lookup_signature(&worker->flows, signature, key);

	if (flow) {
		counter_add(&worker->stats.hits_signature, 1);
		return flow->generation == worker->generation ? flow : refresh(worker, key, flow);
	}
	flow = flow_cache_lookup(&worker->flows, key);
	if (flow) {
		counter_add(&worker->stats.hits_megaflow, 1);
		if (flow->generation != worker->generation)
			flow = refresh(worker, key, flow);
	} else {
		flow = translate(worker, key, NULL);
	}
	if (flow) {
		flow->n_slow++;
		flow_cache_remember(&worker->flows, signature, flow);
	}
	return flow;
}

/* First pass: keys and signatures. Packets without a key are dropped and leave the batch. */
static void extract(struct worker *worker, struct worker_port *in, struct batch *batch,
		    struct packet **packets, unsigned int n)
{
	uint32_t in_port = in->port->no;
	uint64_t n_bytes = 0;
	unsigned int k = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct packet *packet = packets[i];

		if (i + 4 < n)
			__builtin_prefetch(packets[i + 4]->data);
		n_bytes += packet->total_len;
		packet->in_port = in_port;
		if (unlikely(packet->has_hash || !packet_extract_plain(packet, &batch->keys[k])) &&
		    packet_extract(packet, &batch->keys[k])) {
			drop(worker, in->counters, packet, DROP_RX_TOO_SHORT);
			continue;
		}
		batch->keys[k].in_port = in_port;
		batch->packets[k] = packet;
		batch->signatures[k] = flow_signature(packet->hash, in_port);
		__builtin_prefetch(flow_signature_bucket(&worker->flows, batch->signatures[k]));
		k++;
	}
	batch->n = k;
	counter_add(&in->counters->rx_packets, n);
	counter_add(&in->counters->rx_bytes, n_bytes);
	counter_add(&worker->stats.rx_packets, n);
}

/*
 * Second and third pass: a flow for each packet, and its actions. A packet that goes the slow way
 * may change the cache, even remove flows that earlier packets of the batch have found: those are
 * carried out first.
 */
static void classify_and_execute(struct worker *worker, struct worker_port *in, struct batch *batch)
{
	unsigned int n = batch->n, n_hits = 0, first = 0;

	for (unsigned int i = 0; i < n; i++) {
		/* Packets come in trains. */
		if (i && batch->signatures[i] == batch->signatures[i - 1]) {
			batch->flows[i] = batch->flows[i - 1];
			continue;
		}
		batch->flows[i] = flow_cache_guess(&worker->flows, batch->signatures[i]);
		__builtin_prefetch(batch->flows[i]);
		__builtin_prefetch(&batch->flows[i]->key);
	}
	for (unsigned int i = 0; i < n; i++) {
		struct flow *flow = batch->flows[i];

		if (likely(flow_matches(flow, &batch->keys[i]) &&
			   flow->generation == worker->generation)) {
			n_hits++;
			continue;
		}
		execute(worker, in, batch, first, i);
		first = i;
		batch->flows[i] = classify_slowly(worker, &batch->keys[i], batch->signatures[i]);
		if (unlikely(!batch->flows[i])) {
			drop(worker, in->counters, batch->packets[i], DROP_FLOW_LIMIT);
			first = i + 1;
		}
	}
	execute(worker, in, batch, first, n);
	counter_add(&worker->stats.hits_signature, n_hits);
}

void forward_batch(struct worker *worker, struct worker_port *in, struct packet **packets,
		   unsigned int n)
{
	struct batch batch;

	extract(worker, in, &batch, packets, n);
	classify_and_execute(worker, in, &batch);
}
