/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a process that is gone has left in tier 0, and its successor takes over: see tier0.h.
 *
 *   1. tier0_take_over()  before there are ports: finds the tables, holds slots to the generation
 *                         that was left, and learns from the hash table which slots are in use
 *   2. ports open         and take their programs over; each has the number that it had
 *   3. tier0_adopt()      the rules are there: twice over, each slot's key is translated by the
 *                         worker that has the port. The first round is for the pipeline to learn
 *                         who is where, the second one for the answers. A flow whose answer is what
 *                         the slot does becomes the slot's; other slots are removed, and so is what
 *                         no port has claimed. Then the datapath's own generation counts.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/pin_dir.h"
#include "bpf/pinned_xdp.h"
#include "bpf/tc_prog.h"
#include "bpf/xdp_prog.h"
#include "datapath/netdev.h"
#include "datapath/tier0_flow.h"
#include "datapath/tier0_priv.h"
#include "lib/log.h"

/* Slots that a worker translates in one round, some microseconds each. */
#define SLICE_SLOTS 64

/* ---- what is pinned ---------------------------------------------------------------------------
 */

static void discard_port(void *aux, int ifindex)
{
	struct pin_dir *pins = aux;
	uint32_t undo = xdp_prog_discard(pins, ifindex);

	tc_prog_discard(pins, ifindex);
	pin_dir_remove(pins, ifindex);
	netdev_undo(ifindex, undo & PINNED_XDP_PROMISC, undo & PINNED_XDP_VLAN);
}

void tier0_discard_pins(struct pin_dir *pins)
{
	if (!pins)
		return;
	pin_dir_for_each(pins, discard_port, pins);
	pin_dir_remove(pins, 0);
}

int tier0_discard(const char *bpffs, const char *pin_name, struct error *err)
{
	struct pin_dir *pins;
	int ret = pin_dir_open(bpffs, pin_name, &pins, err);

	if (ret)
		return ret;
	tier0_discard_pins(pins);
	pin_dir_close(pins);
	return 0;
}

/* ---- tables -----------------------------------------------------------------------------------
 */

/* Takes the slot that a place of the hash table names into the books, if place and slot agree. */
static bool enter_slot(struct tier0 *tier0, uint32_t bucket, uint16_t way, uint64_t place)
{
	struct tier0_control *control = tier0->maps.control;
	uint32_t no = (uint32_t)place;
	const struct tier0_slot *slot;
	struct tier0_entry *entry;
	uint64_t hash;

	if (!no || no >= tier0->maps.n_slots || tier0->entries[no].state != TIER0_FREE)
		return false;
	slot = &tier0->maps.slots[no];
	entry = &tier0->entries[no];
	if (slot->mask_no >= TIER0_MASKS_MAX || slot->n_ops > TIER0_OPS_MAX)
		return false;
	hash = tier0_hash(control, slot->mask_no, &slot->key, &control->masks[slot->mask_no]);
	if ((hash & control->bucket_mask) != bucket || hash >> 32 != place >> 32 ||
	    !tier0_matches(slot, &slot->key, &control->masks[slot->mask_no]))
		return false;
	entry->state = TIER0_IN_USE;
	entry->is_unclaimed = true;
	entry->mask_no = slot->mask_no;
	entry->bucket = bucket;
	entry->way = way;
	tier0->masks[slot->mask_no].n_flows++;
	tier0->n_flows++;
	tier0->n_touched = MAX(tier0->n_touched, no + 1);
	return true;
}

/* Where the last process was killed in the middle of a change, that is undone. */
static void enter_slots(struct tier0 *tier0)
{
	for (uint32_t b = 0; b < tier0->maps.n_buckets; b++) {
		for (uint16_t way = 0; way < TIER0_WAYS; way++) {
			__u64 *place = &tier0->maps.buckets[b].places[way];

			if (*place && !enter_slot(tier0, b, way, *place))
				__atomic_store_n(place, 0, __ATOMIC_RELAXED);
		}
	}
	for (uint32_t no = tier0->n_touched - 1; no > 0; no--) {
		if (tier0->entries[no].state != TIER0_FREE)
			continue;
		tier0->entries[no].next = tier0->free;
		tier0->free = no;
	}
}

/* Makes the order be of the masks that slots have, each of them once. */
static void mend_order(struct tier0 *tier0)
{
	struct tier0_control *control = tier0->maps.control;
	uint32_t n_old = MIN(control->n_masks, (uint32_t)TIER0_MASKS_MAX), n = 0;
	uint64_t order = 0;
	uint32_t seen = 0;

	for (uint32_t i = 0; i < n_old + TIER0_MASKS_MAX; i++) {
		/* First as they stand, then those that are missing. */
		uint32_t no = i < n_old ? control->order >> (4 * i) & 15 : i - n_old;

		if (!tier0->masks[no].n_flows || (seen & 1u << no))
			continue;
		seen |= 1u << no;
		order |= (uint64_t)no << (4 * n++);
	}
	if (n == control->n_masks && order == control->order)
		return;
	__atomic_store_n(&control->order, order, __ATOMIC_RELEASE);
	__atomic_store_n(&control->n_masks, n, __ATOMIC_RELEASE);
}

int tier0_take_over(struct tier0 *tier0)
{
	struct error why = ERROR_INIT;
	int ret = tier0_maps_adopt(&tier0->maps, tier0->pins, &why);
	struct tier0_control *control = tier0->maps.control;

	if (ret == -ENOENT)
		return ret;
	if (!ret) {
		tier0->entries = calloc(tier0->maps.n_slots, sizeof(*tier0->entries));
		ret = tier0->entries ? tier0_wait_for_programs()
				     : error_set(&why, ENOMEM, "out of memory");
		if (ret)
			tier0_maps_destroy(&tier0->maps);
	}
	if (ret) {
		free(tier0->entries);
		tier0->entries = NULL;
		log_info("hot flows of the last run are not taken over: %s", why.text);
		return ret;
	}
	if (!control->held_generation)
		__atomic_store_n(&control->held_generation, control->generation, __ATOMIC_RELEASE);
	enter_slots(tier0);
	mend_order(tier0);
	atomic_store(&tier0->is_taken_over, true);
	atomic_store(&tier0->is_ready, true);
	return 0;
}

/* ---- ports ------------------------------------------------------------------------------------
 */

uint32_t tier0_get_former_no(const struct tier0 *tier0, const char *name)
{
	if (!atomic_load(&tier0->is_taken_over))
		return 0;
	for (uint32_t no = 1; no < TIER0_PORTS; no++)
		if (!strncmp(tier0->maps.names[no].text, name, TIER0_NAME_SIZE))
			return no;
	return 0;
}

bool tier0_is_former_no(const struct tier0 *tier0, uint32_t no)
{
	return atomic_load(&tier0->is_taken_over) && tier0->maps.names[no].text[0];
}

/* Ends the program of a device that is no port any more. */
static void end_port(void *aux, int ifindex)
{
	const struct datapath *dp = aux;

	for (uint32_t no = 1; no <= PORT_NO_MAX; no++)
		if (dp->ports[no] && dp->ports[no]->tier0.program &&
		    dp->ports[no]->tier0.target.ifindex == (uint32_t)ifindex)
			return;
	discard_port(tier0_get_pins(dp->tier0), ifindex);
}

/* ---- flows, in the worker ---------------------------------------------------------------------
 */

/* The port that the slot's packets come in by, if it is this worker's. */
static const struct port *get_source(struct worker *worker, const struct tier0_slot *slot)
{
	const struct worker_port *wp = rcu_get(&worker->ports[slot->key.in_port & PORT_NO_MAX]);

	return wp && wp->port->n_rxqs && wp->port->rxqs[0]->worker == worker ? wp->port : NULL;
}

/* Calls `each` for the slots of this worker's ports that no flow has yet, in slices. */
static bool slice_slots(struct worker *worker, struct worker_job *job,
			void (*each)(struct worker *worker, const struct port *in,
				     uint32_t slot_no))
{
	const struct tier0 *tier0 = worker->dp->tier0;
	uint32_t end = MIN(tier0->n_touched, job->position + SLICE_SLOTS);

	for (; job->position < end; job->position++) {
		const struct port *in = get_source(worker, &tier0->maps.slots[job->position]);

		/* Asked last: it may be another worker's, who writes to it. */
		if (in && tier0->entries[job->position].is_unclaimed)
			each(worker, in, job->position);
	}
	return job->position >= tier0->n_touched;
}

static void translate(struct worker *worker, const struct flow_key *key)
{
	struct datapath *dp = worker->dp;

	worker->verdict.actions.n = 0;
	worker->verdict.cookie = NULL;
	worker->verdict.drop_reason = DROP_NO_RULE;
	dp->pipeline.translate(dp->pipeline_aux, key, &worker->verdict);
}

static void learn(struct worker *worker, const struct port *in UNUSED, uint32_t slot_no)
{
	struct datapath *dp = worker->dp;

	translate(worker, &dp->tier0->maps.slots[slot_no].key);
	if (worker->verdict.cookie)
		dp->pipeline.release(dp->pipeline_aux, worker->verdict.cookie);
}

static bool learn_slice(struct worker *worker, struct worker_job *job)
{
	return slice_slots(worker, job, learn);
}

/* Do the two do the same? */
static bool does_same(const struct tier0_slot *a, const struct tier0_slot *b)
{
	return a->output == b->output && a->n_ops == b->n_ops && a->needs == b->needs &&
	       a->min_ttl == b->min_ttl && a->vlan == b->vlan && a->vlan_tag == b->vlan_tag &&
	       !memcmp(a->ops, b->ops, a->n_ops * sizeof(a->ops[0]));
}

/* The slot's flow, if the rules say what the slot does. */
static void claim(struct worker *worker, const struct port *in, uint32_t slot_no)
{
	struct datapath *dp = worker->dp;
	struct tier0 *tier0 = dp->tier0;
	const struct tier0_slot *slot = &tier0->maps.slots[slot_no];
	struct tier0_entry *entry = &tier0->entries[slot_no];
	uint64_t generation = datapath_get_generation(dp);
	struct tier0_slot now = {.generation = 0};
	struct flow *flow;

	translate(worker, &slot->key);
	flow = flow_cache_insert(&worker->flows, &slot->key, &worker->verdict, generation);
	if (!flow) {
		if (worker->verdict.cookie)
			dp->pipeline.release(dp->pipeline_aux, worker->verdict.cookie);
		return;
	}
	if (flow->tier0_slot ||
	    memcmp(&flow->subtable->mask, &tier0->maps.control->masks[entry->mask_no].key,
		   sizeof(flow->subtable->mask)) ||
	    tier0_flow_compile(tier0, in, flow, &now) || !does_same(slot, &now) ||
	    !tier0_group_adopt(tier0, slot_no))
		return;
	flow->used_ns = __atomic_load_n(&slot->used_ns, __ATOMIC_RELAXED);
	flow->tier0_slot = slot_no;
	entry->drop_reason = flow->drop_reason;
	entry->is_unclaimed = false;
}

static bool claim_slice(struct worker *worker, struct worker_job *job)
{
	return slice_slots(worker, job, claim);
}

static void stamp(struct worker *worker, struct worker_job *job UNUSED, struct flow *flow)
{
	if (flow->tier0_slot)
		tier0_flow_stamp(worker, flow);
}

static bool stamp_slice(struct worker *worker, struct worker_job *job)
{
	return worker_slice_flows(worker, job, stamp);
}

/* ---- all together -----------------------------------------------------------------------------
 */

/* Removes the slots that no flow has claimed. Returns how many. */
static uint32_t remove_unclaimed(struct tier0 *tier0)
{
	uint32_t n = 0;

	for (uint32_t no = 1; no < tier0->n_touched; no++) {
		if (!tier0->entries[no].is_unclaimed)
			continue;
		tier0_remove(tier0, no);
		n++;
	}
	tier0_wait(tier0);
	for (uint32_t no = 1; n && no < tier0->n_touched; no++) {
		if (!tier0->entries[no].is_unclaimed)
			continue;
		tier0->entries[no].is_unclaimed = false;
		tier0_free(tier0, no);
	}
	return n;
}

void tier0_adopt(struct datapath *dp)
{
	struct tier0 *tier0 = dp->tier0;
	uint32_t n_stale;

	if (!atomic_load(&tier0->is_taken_over))
		return;
	worker_run_everywhere(dp, NULL, learn_slice, NULL);
	worker_run_everywhere(dp, NULL, claim_slice, NULL);
	n_stale = remove_unclaimed(tier0);
	for (uint32_t no = 1; no <= PORT_NO_MAX; no++)
		if (tier0->maps.names[no].text[0] && !dp->ports[no])
			tier0_forget_port(tier0, no);
	pin_dir_for_each(tier0->pins, end_port, dp);
	atomic_store(&tier0->is_taken_over, false);
	/* For a moment these are of no generation that counts, and their packets come to the
	 * workers, who know what to do. */
	worker_run_everywhere(dp, NULL, stamp_slice, NULL);
	__atomic_store_n(&tier0->maps.control->held_generation, 0, __ATOMIC_RELEASE);
	log_info("%u hot flows go on, %u were stale", tier0->n_flows, n_stale);
}
