/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <string.h>

#include "datapath/tier0_priv.h"

/* ---- sets -------------------------------------------------------------------------------------
 */

/* Adds a port in its place. One that gets the packet twice is there twice. */
static void add_port(struct tier0_group *set, uint16_t port_no)
{
	uint32_t at = set->n_ports++;

	for (; at && set->ports[at - 1] > port_no; at--)
		set->ports[at] = set->ports[at - 1];
	set->ports[at] = port_no;
}

void tier0_group_read(const struct tier0_slot *slot, struct tier0_group *set)
{
	memset(set, 0, sizeof(*set));
	add_port(set, slot->output);
	for (uint32_t i = 0; i < slot->n_ops; i++)
		if (slot->ops[i].type == TIER0_OP_OUTPUT)
			add_port(set, (uint16_t)slot->ops[i].value);
}

static bool is_same(const struct tier0_group *a, const struct tier0_group *b)
{
	return a->n_ports == b->n_ports && !memcmp(a->ports, b->ports, sizeof(a->ports));
}

uint32_t tier0_group_find(const struct tier0_group *groups, const struct tier0_group *set,
			  uint64_t n_done)
{
	uint32_t free = 0;

	for (uint32_t no = 1; no < TIER0_GROUPS_MAX; no++) {
		if (is_same(&groups[no], set))
			return no;
		if (!free && !groups[no].n_slots && groups[no].label <= n_done)
			free = no;
	}
	return free;
}

/* ---- groups -----------------------------------------------------------------------------------
 */

/* Puts the devices of the set's ports in. */
static enum tier0_reason fill(struct tier0 *tier0, uint32_t no, const struct tier0_group *set)
	REQUIRES(tier0->lock)
{
	struct tier0_group *group = &tier0->groups[no];

	group->n_ports = 0;
	for (uint32_t i = 0; i < TIER0_GROUP_PORTS; i++) {
		uint32_t ifindex = 0, port_no = set->ports[i];

		if (i < set->n_ports) {
			/* It may be on its way out since it was looked at. */
			if (!(tier0_get_target_flags(tier0, port_no) & TIER0_TARGET_XDP))
				return TIER0_EGRESS;
			ifindex = __atomic_load_n(&tier0->maps.targets[port_no].ifindex,
						  __ATOMIC_RELAXED);
		}
		if (tier0_maps_set_group_device(&tier0->maps, no, i, ifindex))
			return TIER0_EGRESS;
	}
	memcpy(group->ports, set->ports, sizeof(group->ports));
	group->n_ports = set->n_ports;
	return TIER0_NONE;
}

enum tier0_reason tier0_group_take(struct tier0 *tier0, struct tier0_slot *slot)
{
	enum tier0_reason why = TIER0_NONE;
	struct tier0_group set;
	uint32_t no;

	tier0_group_read(slot, &set);
	if (set.n_ports == 1)
		return TIER0_NONE;
	mutex_lock(&tier0->lock);
	no = tier0_group_find(tier0->groups, &set, atomic_load(&tier0->n_done));
	if (!no)
		why = TIER0_GROUPS;
	else if (!tier0->groups[no].n_slots)
		why = fill(tier0, no, &set);
	if (why)
		tier0->n_refused++;
	else
		tier0->groups[no].n_slots++;
	mutex_unlock(&tier0->lock);
	slot->group = (uint8_t)no;
	return why;
}

void tier0_group_put(struct tier0 *tier0, uint32_t no)
{
	if (!no)
		return;
	mutex_lock(&tier0->lock);
	tier0->groups[no].n_slots--;
	tier0->groups[no].label = tier0_get_label(tier0);
	mutex_unlock(&tier0->lock);
}

bool tier0_group_adopt(struct tier0 *tier0, uint32_t slot_no)
{
	const struct tier0_slot *slot = &tier0->maps.slots[slot_no];
	struct tier0_group set, *group;
	bool ok;

	if (!slot->group)
		return true;
	if (slot->group >= TIER0_GROUPS_MAX || tier0->maps.groups_fd < 0)
		return false;
	group = &tier0->groups[slot->group];
	tier0_group_read(slot, &set);
	mutex_lock(&tier0->lock);
	ok = group->n_slots ? is_same(group, &set) : !fill(tier0, slot->group, &set);
	if (ok)
		group->n_slots++;
	mutex_unlock(&tier0->lock);
	return ok;
}

void tier0_group_forget(struct tier0 *tier0, uint32_t port_no)
{
	mutex_lock(&tier0->lock);
	for (uint32_t no = 1; no < TIER0_GROUPS_MAX; no++)
		for (uint32_t i = 0; i < tier0->groups[no].n_ports; i++)
			if (tier0->groups[no].ports[i] == port_no)
				(void)!tier0_maps_set_group_device(&tier0->maps, no, i, 0);
	mutex_unlock(&tier0->lock);
}
