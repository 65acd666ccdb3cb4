/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/pin_dir.h"
#include "datapath/port.h"
#include "datapath/tier0_priv.h"
#include "lib/log.h"

/* ---- life cycle -------------------------------------------------------------------------------
 */

int tier0_wait_for_programs(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) ? -errno : 0;
}

/* Pins the maps; where that fails nothing is pinned. */
static void pin(struct tier0 *tier0)
{
	int ret;

	if (!tier0->pins)
		return;
	ret = tier0_maps_pin(&tier0->maps, tier0->pins);
	if (!ret)
		return;
	error_set(&tier0->why_no_pins, ret, "pinning in %s: %s", pin_dir_get_path(tier0->pins),
		  strerror(-ret));
	log_warn("hot flows end with the switch: %s", tier0->why_no_pins.text);
	pin_dir_close(tier0->pins);
	tier0->pins = NULL;
}

/* Takes over what is pinned, or makes the control map. */
static void open_maps(struct tier0 *tier0)
{
	if (tier0->pins && !tier0_take_over(tier0))
		return;
	tier0_discard_pins(tier0->pins);
	if (tier0_maps_create(&tier0->maps, &tier0->why)) {
		tier0->wanted = false;
		return;
	}
	atomic_init(tier0_get_generation(tier0), 1);
	pin(tier0);
}

int tier0_create(const struct tier0_config *config, struct tier0 **tier0p)
{
	struct tier0 *tier0 = calloc(1, sizeof(*tier0));

	if (!tier0)
		return -ENOMEM;
	mutex_init(&tier0->lock);
	tier0->wanted = config->wanted;
	tier0->max_flows = config->max_flows ? config->max_flows : TIER0_FLOWS_DEFAULT;
	tier0->n_touched = 1;
	atomic_init(&tier0->no_generation, 1);
	if (config->bpffs &&
	    pin_dir_open(config->bpffs, config->pin_name, &tier0->pins, &tier0->why_no_pins))
		log_info("hot flows end with the switch: %s", tier0->why_no_pins.text);
	if (config->wanted) {
		open_maps(tier0);
	} else {
		tier0_discard_pins(tier0->pins);
		error_set(&tier0->why, EOPNOTSUPP, "it is switched off");
	}
	*tier0p = tier0;
	return 0;
}

void tier0_destroy(struct tier0 *tier0)
{
	if (!tier0)
		return;
	if (tier0->maps.control)
		tier0_maps_destroy(&tier0->maps);
	pin_dir_close(tier0->pins);
	free(tier0->entries);
	mutex_uninit(&tier0->lock);
	free(tier0);
}

void tier0_keep(struct tier0 *tier0)
{
	struct tier0_control *control = tier0->maps.control;

	if (!tier0->pins || !atomic_load(&tier0->is_ready))
		return;
	/* Closing ports changes much, but no answer. */
	if (!control->held_generation)
		__atomic_store_n(&control->held_generation,
				 atomic_load(tier0_get_generation(tier0)), __ATOMIC_RELEASE);
	pin_dir_keep(tier0->pins);
	atomic_store(&tier0->is_kept, true);
}

struct pin_dir *tier0_get_pins(const struct tier0 *tier0)
{
	return tier0->pins;
}

atomic_uint_fast64_t *tier0_get_generation(struct tier0 *tier0)
{
	static_assert(sizeof(atomic_uint_fast64_t) == sizeof(uint64_t), "as programs read it");
	return tier0->maps.control ? (atomic_uint_fast64_t *)&tier0->maps.control->generation
				   : &tier0->no_generation;
}

/* Gives up for good, with `why` set: nobody will be asked again. */
static const struct tier0_maps *give_up(struct tier0 *tier0, struct error *why)
{
	tier0->wanted = false;
	log_warn("no kernel tier: %s", tier0->why.text);
	error_set(why, EOPNOTSUPP, "%s", tier0->why.text);
	return NULL;
}

const struct tier0_maps *tier0_reserve(struct tier0 *tier0, struct error *why)
{
	int ret;

	if (atomic_load(&tier0->is_ready))
		return &tier0->maps;
	if (!tier0->wanted) {
		error_set(why, EOPNOTSUPP, "%s", tier0->why.text);
		return NULL;
	}
	ret = tier0_wait_for_programs();
	if (ret) {
		error_set(&tier0->why, ret, "membarrier, which tells when programs are done: %s",
			  strerror(-ret));
		return give_up(tier0, why);
	}
	if (tier0_maps_reserve(&tier0->maps, tier0->max_flows, &tier0->why))
		return give_up(tier0, why);
	if (tier0->maps.groups_fd < 0)
		log_info("XDP programs send no copies: %s", tier0->maps.why_no_groups.text);
	tier0->entries = calloc(tier0->maps.n_slots, sizeof(*tier0->entries));
	if (!tier0->entries) {
		error_set(&tier0->why, ENOMEM, "no memory for %u flows", tier0->maps.n_slots);
		return give_up(tier0, why);
	}
	pin(tier0);
	atomic_store(&tier0->is_ready, true);
	return &tier0->maps;
}

const char *tier0_get_error(const struct tier0 *tier0)
{
	return tier0->why.text;
}

void tier0_get_stats(struct tier0 *tier0, struct tier0_stats *stats)
{
	const struct tier0_maps *maps = &tier0->maps;

	memset(stats, 0, sizeof(*stats));
	stats->pinned = tier0->pins ? pin_dir_get_path(tier0->pins) : NULL;
	stats->why_not_pinned = tier0->why_no_pins.text;
	stats->is_on = atomic_load(&tier0->is_ready);
	if (!stats->is_on)
		return;
	stats->max_flows = maps->n_slots - 1;
	stats->memory = sizeof(*maps->control) + sizeof(*maps->slots) * maps->n_slots +
			sizeof(*maps->buckets) * maps->n_buckets +
			sizeof(*maps->seen) * maps->n_slots +
			(sizeof(*maps->targets) + sizeof(*maps->names)) * TIER0_PORTS +
			sizeof(*tier0->entries) * maps->n_slots;
	mutex_lock(&tier0->lock);
	stats->n_flows = tier0->n_flows;
	stats->n_inserted = tier0->n_inserted;
	stats->n_refused = tier0->n_refused;
	stats->n_masks = maps->control->n_masks;
	mutex_unlock(&tier0->lock);
	stats->insert_ns = atomic_load(&tier0->insert_ns);
	stats->n_waiting = atomic_load(&tier0->n_waiting);
}

/* ---- grace periods ----------------------------------------------------------------------------
 */

uint64_t tier0_get_label(struct tier0 *tier0)
{
	/* What was taken out is seen to be so by whoever begins a grace period from here on. */
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load(&tier0->n_begun) + 1;
}

void tier0_wait(struct tier0 *tier0)
{
	uint64_t n;

	if (!atomic_load(&tier0->is_ready))
		return;
	n = atomic_fetch_add(&tier0->n_begun, 1) + 1;
	/* It was tried once, and does not fail then. */
	if (!tier0_wait_for_programs())
		atomic_store(&tier0->n_done, n);
}

/* ---- masks ------------------------------------------------------------------------------------
 */

static bool mask_is_free(struct tier0 *tier0, uint32_t no)
{
	return !tier0->masks[no].n_flows && tier0_is_past(tier0, tier0->masks[no].label);
}

/* The mask's number in the order, from 0; n_masks: it is not in it. */
static uint32_t find_rank(const struct tier0_control *control, uint32_t no)
{
	uint32_t rank = 0;

	while (rank < control->n_masks && (control->order >> (4 * rank) & 15) != no)
		rank++;
	return rank;
}

/* Takes a mask out of the order. Programs may read the old order and the new number, or the other
 * way about: then they try one mask twice, or miss one, which only makes a miss. */
void tier0_retire_mask(struct tier0 *tier0, uint32_t no)
{
	struct tier0_control *control = tier0->maps.control;
	uint32_t rank = find_rank(control, no);
	uint64_t low = ((uint64_t)1 << (4 * rank)) - 1;
	uint64_t order = control->order;

	order = (order & low) | (order >> 4 & ~low);
	__atomic_store_n(&control->order, order, __ATOMIC_RELAXED);
	__atomic_store_n(&control->n_masks, control->n_masks - 1, __ATOMIC_RELAXED);
	tier0->masks[no].label = tier0_get_label(tier0);
}

/* Finds the mask, or makes it. Returns its number, or TIER0_MASKS_MAX when there is no room. */
static uint32_t find_mask(struct tier0 *tier0, const struct flow_key *mask)
{
	struct tier0_control *control = tier0->maps.control;
	uint32_t free = TIER0_MASKS_MAX;
	struct tier0_mask *new;

	for (uint32_t no = 0; no < TIER0_MASKS_MAX; no++) {
		if (tier0->masks[no].n_flows &&
		    !memcmp(&control->masks[no].key, mask, sizeof(*mask)))
			return no;
		if (free == TIER0_MASKS_MAX && mask_is_free(tier0, no))
			free = no;
	}
	if (free == TIER0_MASKS_MAX)
		return free;
	new = &control->masks[free];
	new->key = *mask;
	new->n_words = FLOW_KEY_WORDS_IPV4;
	for (uint32_t i = FLOW_KEY_WORDS_IPV4; i < FLOW_KEY_WORDS; i++)
		if (mask->w[i])
			new->n_words = FLOW_KEY_WORDS;
	tier0->masks[free].hits = 0;
	__atomic_store_n(&control->order, control->order | (uint64_t)free << (4 * control->n_masks),
			 __ATOMIC_RELEASE);
	__atomic_store_n(&control->n_masks, control->n_masks + 1, __ATOMIC_RELEASE);
	return free;
}

/* Puts the masks with the most recent hits first. Returns whether one is leaving. */
static bool rank_masks(struct tier0 *tier0)
{
	struct tier0_control *control = tier0->maps.control;
	uint8_t numbers[TIER0_MASKS_MAX];
	bool is_leaving = false;
	uint64_t order = 0;
	uint32_t n_taken;

	mutex_lock(&tier0->lock);
	for (uint32_t i = 0; i < control->n_masks; i++) {
		uint8_t no = control->order >> (4 * i) & 15;
		uint32_t at = i;

		for (; at > 0 && tier0->masks[numbers[at - 1]].hits < tier0->masks[no].hits; at--)
			numbers[at] = numbers[at - 1];
		numbers[at] = no;
	}
	for (uint32_t i = 0; i < control->n_masks; i++) {
		struct tier0_mask_info *info = &tier0->masks[numbers[i]];

		order |= (uint64_t)numbers[i] << (4 * i);
		__atomic_store_n(&info->hits, __atomic_load_n(&info->hits, __ATOMIC_RELAXED) / 2,
				 __ATOMIC_RELAXED);
	}
	__atomic_store_n(&control->order, order, __ATOMIC_RELAXED);
	for (uint32_t no = 0; no < TIER0_MASKS_MAX; no++)
		is_leaving |= !tier0->masks[no].n_flows && !mask_is_free(tier0, no);
	n_taken = tier0->n_flows + atomic_load(&tier0->n_waiting);
	atomic_store(&tier0->is_crowded, n_taken > tier0->maps.n_slots / 4 * 3);
	if (n_taken < tier0->maps.n_slots - 1 - tier0->maps.n_slots / 16)
		atomic_store(&tier0->is_full, false);
	mutex_unlock(&tier0->lock);
	return is_leaving;
}

void tier0_run(struct tier0 *tier0)
{
	if (!atomic_load(&tier0->is_ready))
		return;
	if (rank_masks(tier0) || atomic_load(&tier0->n_waiting))
		tier0_wait(tier0);
}

/* ---- slots ------------------------------------------------------------------------------------
 */

static uint32_t alloc_slot(struct tier0 *tier0)
{
	uint32_t no = tier0->free;

	if (no) {
		tier0->free = tier0->entries[no].next;
		return no;
	}
	return tier0->n_touched < tier0->maps.n_slots ? tier0->n_touched++ : 0;
}

/* Finds a free place in the bucket; sets `why` when there is none or the flow is in already. */
static enum tier0_reason find_place(struct tier0 *tier0, const struct tier0_bucket *bucket,
				    uint32_t signature, const struct flow_key *key,
				    const struct tier0_mask *mask, uint16_t *way)
{
	bool found = false;

	for (uint16_t i = 0; i < TIER0_WAYS; i++) {
		uint64_t place = bucket->places[i];

		if (!place && !found) {
			found = true;
			*way = i;
		} else if (place >> 32 == signature) {
			/* Another worker's; or, once in a lifetime, another flow, which would hide
			 * this one. */
			return tier0_matches(&tier0->maps.slots[(uint32_t)place], key, mask)
				       ? TIER0_OTHER
				       : TIER0_BUCKET;
		}
	}
	return found ? TIER0_NONE : TIER0_BUCKET;
}

/* Writes what programs read, the generation last. */
static void fill_slot(struct tier0_slot *to, const struct tier0_slot *from,
		      const struct flow_key *key, const struct flow_key *mask, uint32_t mask_no,
		      uint64_t generation)
{
	*to = *from;
	to->n_packets = to->n_bytes = to->used_ns = 0;
	to->mask_no = (uint8_t)mask_no;
	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		to->key.w[i] = key->w[i] & mask->w[i];
	__atomic_store_n(&to->generation, generation, __ATOMIC_RELEASE);
}

static enum tier0_reason insert(struct tier0 *tier0, const struct flow_key *key,
				const struct flow_key *mask, const struct tier0_slot *slot,
				uint64_t generation, uint32_t *slot_no) REQUIRES(tier0->lock)
{
	struct tier0_control *control = tier0->maps.control;
	uint32_t mask_no = find_mask(tier0, mask), no;
	struct tier0_mask *shared = &control->masks[mask_no];
	struct tier0_entry *entry;
	struct tier0_bucket *bucket;
	enum tier0_reason why;
	uint16_t way = 0;
	uint64_t hash;

	if (mask_no == TIER0_MASKS_MAX)
		return TIER0_MASKS;
	hash = tier0_hash(control, mask_no, key, shared);
	bucket = &tier0->maps.buckets[hash & control->bucket_mask];
	/* A signature of 0 would look like a free place. */
	why = hash >> 32 ? find_place(tier0, bucket, (uint32_t)(hash >> 32), key, shared, &way)
			 : TIER0_BUCKET;
	no = why ? 0 : alloc_slot(tier0);
	if (!no) {
		if (!tier0->masks[mask_no].n_flows)
			tier0_retire_mask(tier0, mask_no);
		return why ? why : TIER0_ROOM;
	}
	entry = &tier0->entries[no];
	memset(entry, 0, sizeof(*entry));
	memset(&tier0->maps.seen[no], 0, sizeof(tier0->maps.seen[no]));
	entry->state = TIER0_IN_USE;
	entry->mask_no = (uint8_t)mask_no;
	entry->bucket = (uint32_t)(hash & control->bucket_mask);
	entry->way = way;
	fill_slot(&tier0->maps.slots[no], slot, key, mask, mask_no, generation);
	__atomic_store_n(&bucket->places[way], (hash >> 32) << 32 | no, __ATOMIC_RELEASE);
	tier0->masks[mask_no].n_flows++;
	*slot_no = no;
	return TIER0_NONE;
}

enum tier0_reason tier0_insert(struct tier0 *tier0, const struct flow_key *key,
			       const struct flow_key *mask, const struct tier0_slot *slot,
			       uint64_t generation, uint32_t *slot_no)
{
	enum tier0_reason why;

	mutex_lock(&tier0->lock);
	why = insert(tier0, key, mask, slot, generation, slot_no);
	if (why) {
		tier0->n_refused++;
	} else {
		tier0->n_inserted++;
		tier0->n_flows++;
	}
	mutex_unlock(&tier0->lock);
	if (why == TIER0_ROOM)
		atomic_store(&tier0->is_full, true);
	return why;
}

/* No program finds the slot any more. */
static void take_out(struct tier0 *tier0, uint32_t slot_no, const struct tier0_entry *entry)
{
	__atomic_store_n(&tier0->maps.slots[slot_no].generation, 0, __ATOMIC_RELAXED);
	mutex_lock(&tier0->lock);
	__atomic_store_n(&tier0->maps.buckets[entry->bucket].places[entry->way], 0,
			 __ATOMIC_RELAXED);
	if (!--tier0->masks[entry->mask_no].n_flows)
		tier0_retire_mask(tier0, entry->mask_no);
	tier0->n_flows--;
	mutex_unlock(&tier0->lock);
}

void tier0_remove(struct tier0 *tier0, uint32_t slot_no)
{
	struct tier0_entry *entry = &tier0->entries[slot_no];

	if (!atomic_load(&tier0->is_kept))
		take_out(tier0, slot_no, entry);
	if (!entry->is_unclaimed)
		tier0_group_put(tier0, tier0->maps.slots[slot_no].group);
	entry->state = TIER0_LEAVING;
	entry->label = tier0_get_label(tier0);
	atomic_fetch_add(&tier0->n_waiting, 1);
}

void tier0_free(struct tier0 *tier0, uint32_t slot_no)
{
	struct tier0_entry *entry = &tier0->entries[slot_no];

	mutex_lock(&tier0->lock);
	entry->state = TIER0_FREE;
	entry->next = tier0->free;
	tier0->free = slot_no;
	mutex_unlock(&tier0->lock);
	atomic_fetch_sub(&tier0->n_waiting, 1);
}

/* ---- ports ------------------------------------------------------------------------------------
 */

/* Writes what programs may send to the port. */
static void set_target(struct tier0 *tier0, uint32_t no, const struct tier0_target *target)
{
	struct tier0_target *to = &tier0->maps.targets[no];

	__atomic_store_n(&to->ifindex, target->ifindex, __ATOMIC_RELAXED);
	__atomic_store_n(&to->max_len, target->max_len, __ATOMIC_RELAXED);
	__atomic_store_n(&to->peer_mac, target->peer_mac, __ATOMIC_RELAXED);
	__atomic_store_n(&to->flags, target->flags, __ATOMIC_RELEASE);
}

/* Notes what the port is called, if it has a part in tier 0. */
static void set_name(struct tier0 *tier0, const struct port *port)
{
	struct tier0_name *name = &tier0->maps.names[port->no];

	static_assert(sizeof(name->text) == sizeof(port->name), "any name fits");
	if (port->tier0.program || port->tier0.target.flags)
		memcpy(name->text, port->name, sizeof(name->text));
}

/* Gives XDP programs the port's device, if they may send there. */
static void open_target(struct tier0 *tier0, struct port *port)
{
	struct tier0_target target = port->tier0.target;
	int ret;

	if ((target.flags & TIER0_TARGET_XDP) && !tier0->is_target[port->no]) {
		ret = tier0_maps_set_device(&tier0->maps, port->no, target.ifindex);
		if (ret) {
			error_set(&port->tier0.why_no_target, ret, "its device: %s",
				  strerror(-ret));
			target.flags &= ~(uint32_t)TIER0_TARGET_XDP;
		}
		tier0->is_target[port->no] = !ret;
	}
	set_target(tier0, port->no, &target);
}

void tier0_add_port(struct tier0 *tier0, struct port *port)
{
	if (!atomic_load(&tier0->is_ready))
		return;
	set_name(tier0, port);
	open_target(tier0, port);
	if (port->tier0.program)
		__atomic_store_n(&port->tier0.program->in_port, port->no, __ATOMIC_RELEASE);
}

void tier0_forget_port(struct tier0 *tier0, uint32_t no)
{
	static const struct tier0_target nothing;

	set_target(tier0, no, &nothing);
	tier0_wait(tier0);
	/* Fails where there is none. */
	(void)!tier0_maps_set_device(&tier0->maps, no, 0);
	tier0_group_forget(tier0, no);
	tier0->is_target[no] = false;
	memset(&tier0->maps.names[no], 0, sizeof(tier0->maps.names[no]));
}

void tier0_remove_port(struct tier0 *tier0, struct port *port)
{
	if (!atomic_load(&tier0->is_ready) || atomic_load(&tier0->is_kept) ||
	    (!port->tier0.program && !tier0_get_target_flags(tier0, port->no)))
		return;
	if (port->tier0.program)
		__atomic_store_n(&port->tier0.program->in_port, 0, __ATOMIC_RELAXED);
	tier0_forget_port(tier0, port->no);
}

bool tier0_update_port(struct tier0 *tier0, struct port *port)
{
	uint32_t before;

	/* Before it has a number it is nobody's target. */
	if (!atomic_load(&tier0->is_ready) || !port->no)
		return false;
	before = tier0_get_target_flags(tier0, port->no);
	open_target(tier0, port);
	return before & ~tier0_get_target_flags(tier0, port->no);
}
