/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DATAPATH_TIER0_PRIV_H
#define DATAPATH_TIER0_PRIV_H

/*
 * What the parts of tier 0 share: tables and ports (tier0.c), sets of output ports (tier0_group.c),
 * the workers' flows (tier0_flow.c), and what another process has left (tier0_adopt.c).
 *
 * A slot is free; or in use: in its bucket, found by programs; or leaving: taken out of the bucket,
 * but maybe still in the hands of a program, until the grace period of its label has passed.
 *
 * Thread-safety: members say it. A struct tier0_entry is its worker's while the slot is in use or
 * leaving; tier0->lock hands free ones around.
 */

#include "bpf/tier0_maps.h"
#include "datapath/tier0.h"
#include "datapath/tier0_group.h"
#include "lib/mutex.h"

enum tier0_state { TIER0_FREE, TIER0_IN_USE, TIER0_LEAVING };

/* User space's side of a slot. */
struct tier0_entry {
	uint64_t label; /* leaving: grace period after which no program has it */
	void *cookie; /* of a flow that is gone, owned: credited and released in the end; NULL:
		       * the flow is still there */
	bool is_unclaimed; /* it was taken over, and no flow has it yet */
	uint8_t state; /* enum tier0_state */
	uint8_t n_idle; /* sweeps since it last carried packets */
	uint8_t mask_no;
	uint16_t drop_reason; /* enum drop_reason, when the slot's output is 0 */
	uint16_t way; /* its place in the bucket */
	uint32_t bucket; /* number of the bucket */
	uint32_t next; /* free, or leaving without a flow: the next such one; 0: the last */
};

/* User space's side of a mask. */
struct tier0_mask_info {
	uint32_t n_flows; /* slots in use that have it; 0: it is free, or leaving */
	uint64_t label; /* leaving: as for slots */
	uint64_t hits; /* since the last ranking, halved at each; relaxed atomic */
};

struct tier0 {
	struct tier0_maps maps;
	bool wanted;
	uint32_t max_flows;
	struct pin_dir *pins; /* NULL: nothing is pinned */
	struct error why_no_pins; /* "": nobody has asked for it */
	/* Tables and programs were; tier0_adopt() is to come, no flow goes in before. */
	atomic_bool is_taken_over;
	atomic_bool is_kept; /* they stay as they are; set once, before ports close */
	struct error why; /* why there are no tables */
	atomic_bool is_ready; /* the tables are there; set once */
	atomic_uint_fast64_t no_generation; /* used when there is no control map */
	/* Grace periods, see tier0_get_label(). */
	atomic_uint_fast64_t n_begun;
	atomic_uint_fast64_t n_done;
	atomic_uint n_waiting; /* slots and masks that leave */
	atomic_uint_fast64_t insert_ns; /* time spent on insertions, refused ones as well */
	atomic_bool is_crowded; /* three quarters of the slots are taken */
	atomic_bool is_full; /* a flow found no slot since the last sweep */
	struct mutex lock;
	/* Under lock. */
	struct tier0_entry *entries; /* maps.n_slots of them */
	uint32_t n_touched; /* slots below have been used at some time; 1 at first */
	uint32_t free; /* the first free slot of them; 0: none */
	uint32_t n_flows;
	uint64_t n_inserted;
	uint64_t n_refused;
	struct tier0_mask_info masks[TIER0_MASKS_MAX];
	struct tier0_group groups[TIER0_GROUPS_MAX];
	/* The control thread's. */
	bool is_target[TIER0_PORTS]; /* the port has a device in the map */
};

/* The number of the first grace period that begins after now: when it is done, no program has what
 * was taken out before the call. */
uint64_t tier0_get_label(struct tier0 *tier0);
static inline bool tier0_is_past(struct tier0 *tier0, uint64_t label)
{
	return atomic_load(&tier0->n_done) >= label;
}

/* Puts a flow in: `slot` has what is to be done. Returns TIER0_NONE and the slot's number, or why
 * there is no room. Any worker. */
enum tier0_reason tier0_insert(struct tier0 *tier0, const struct flow_key *key,
			       const struct flow_key *mask, const struct tier0_slot *slot,
			       uint64_t generation, uint32_t *slot_no) WARN_UNUSED;
/* Takes it out of its bucket: it is leaving. Its worker. */
void tier0_remove(struct tier0 *tier0, uint32_t slot_no);
/* Makes a slot free that has left. Its worker. */
void tier0_free(struct tier0 *tier0, uint32_t slot_no);

/* ---- control thread */

/* Finds pinned tables, and what is in them. Returns 0, or a negative errno: there are none that
 * can be used. */
int tier0_take_over(struct tier0 *tier0) WARN_UNUSED;
/* Takes away all that is pinned. */
void tier0_discard_pins(struct pin_dir *pins);
/* Waits for programs that run. Returns 0, or a negative errno: the kernel cannot tell. */
int tier0_wait_for_programs(void) WARN_UNUSED;
/* Takes a mask out of the order. Under lock. */
void tier0_retire_mask(struct tier0 *tier0, uint32_t no) REQUIRES(tier0->lock);
/* Ends what programs know of port `no`: no target, no device, no name. */
void tier0_forget_port(struct tier0 *tier0, uint32_t no);

/* May XDP programs send to the port? Any thread. */
static inline uint32_t tier0_get_target_flags(const struct tier0 *tier0, uint32_t port_no)
{
	return port_no < TIER0_PORTS
		       ? __atomic_load_n(&tier0->maps.targets[port_no].flags, __ATOMIC_RELAXED)
		       : 0;
}

#endif
