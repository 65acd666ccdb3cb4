/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DATAPATH_TIER0_GROUP_H
#define DATAPATH_TIER0_GROUP_H

/*
 * Sets of output ports: where XDP programs send a packet that leaves by several.
 *
 * A program redirects such a packet to a whole map of devices (bpf/tier0_maps.h), a group. There
 * are few, made with the tables: a set that no flow has yet gets one that is free, and its devices
 * are put in, some microseconds' work. All slots with the same set share it.
 *
 * A group whose last slot has left may still be in the hands of a program, and becomes another
 * set's only after the grace period of its label, as a slot does (tier0.h). For its own set it can
 * be had at any time.
 *
 * Programs ask whether each port takes packets before they send to a group, so a port is out of all
 * groups when it is no target any more; its devices are taken out for cleanliness, and written anew
 * for the first slot that comes.
 *
 * Thread-safety: any thread, under tier0->lock, which the functions take.
 */

#include <stdbool.h>
#include <stdint.h>
#include "bpf/tier0.h"
#include "datapath/tier0_compile.h"

struct tier0;

struct tier0_group {
	uint16_t ports[TIER0_GROUP_PORTS]; /* datapath port numbers, in order; the rest 0 */
	uint8_t n_ports; /* of them; 0: its devices are nobody's */
	uint32_t n_slots; /* in use that send there */
	uint64_t label; /* grace period after which no program has it for slots that left */
};

/* Sets the ports of `set` to those that the slot sends to. */
void tier0_group_read(const struct tier0_slot *slot, struct tier0_group *set);

/* Returns the number of the group that has the ports of `set`, or of one that is free when `n_done`
 * grace periods are done; 0: there is none. Needs no lock if nobody else has `groups`,
 * TIER0_GROUPS_MAX of them. */
uint32_t tier0_group_find(const struct tier0_group *groups, const struct tier0_group *set,
			  uint64_t n_done);

/* Finds a group for the ports that the slot sends to, if there are several, and enters it there.
 * Returns TIER0_NONE, or why there is none. */
enum tier0_reason tier0_group_take(struct tier0 *tier0, struct tier0_slot *slot) WARN_UNUSED;

/* Gives it up for a slot that programs do not find any more. Does nothing for number 0. */
void tier0_group_put(struct tier0 *tier0, uint32_t no);

/* Takes the group that slot `slot_no` names already, which another process has filled in. Its ports
 * must be targets. Returns whether the slot may stay in use. */
bool tier0_group_adopt(struct tier0 *tier0, uint32_t slot_no);

/* Takes a port's device out of all groups; the port must not be a target any more. */
void tier0_group_forget(struct tier0 *tier0, uint32_t port_no);

#endif
