/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tier0_maps.h - the maps of tier 0 (tier0.h), made once and shared by the programs of all ports.
 *
 * The control map, a page, is made first, for the datapath's generation lives in it from the start.
 * The others, which take some 300 bytes for each flow that fits, are made when the first port that
 * can use them opens.
 *
 * All but `devices` and `groups` are mapped into the process and are read and written as memory.
 * Two of them are user space's alone: they are maps so that they outlive the process together with
 * the others.
 *
 * Groups, each a map of its own, are all made and put in their places at once, for that takes a
 * grace period of the kernel's RCU; who is in one changes at the price of a system call. Where the
 * kernel has no such maps of maps, everything else works without.
 *
 * Pinned (pin_dir.h) they are found again by the next process, which adopts them as they are, if
 * they are of the same build and the same network namespace. What lies in them is checked by
 * whoever uses it.
 *
 * Life cycle: create, reserve when needed; or adopt; destroy when no program that uses them is
 * attached any more. Programs that are still loaded keep the maps.
 *
 * Thread-safety: these functions are for one control thread; who may write what is said in
 * datapath/tier0.h.
 */
#ifndef VSWITCH_BPF_TIER0_MAPS_H
#define VSWITCH_BPF_TIER0_MAPS_H

#include <stdbool.h>
#include <stdint.h>
#include "bpf/tier0.h"
#include "lib/error.h"

struct bpf_map;
struct bpf_object;
struct pin_dir;

/* Longest port name, bytes with the NUL. */
#define TIER0_NAME_SIZE 64

/* Of a slot's counters, what was passed on already. */
struct tier0_seen {
	uint64_t n_packets;
	uint64_t n_bytes;
};

/* What the port of a number is called; "": there is none. */
struct tier0_name {
	char text[TIER0_NAME_SIZE];
};

struct tier0_maps {
	int control_fd; /* and so on; -1: not made */
	int buckets_fd;
	int slots_fd;
	int targets_fd;
	int devices_fd;
	int seen_fd;
	int names_fd;
	int groups_fd; /* -1: not made, see why_no_groups */
	int group_fds[TIER0_GROUPS_MAX]; /* maps of devices in it, by group number; 0 is nobody's */
	struct error why_no_groups; /* means nothing if there are */
	struct tier0_control *control; /* mapped, and so on; NULL: not made */
	struct tier0_bucket *buckets;
	struct tier0_slot *slots; /* n_slots of them; slot 0 is nobody's */
	struct tier0_target *targets; /* TIER0_PORTS of them */
	struct tier0_seen *seen; /* n_slots of them; user space's alone */
	struct tier0_name *names; /* TIER0_PORTS of them; user space's alone */
	uint32_t n_slots;
	uint32_t n_buckets;
};

/* Makes the control map. Returns 0 or a negative errno with `err` set; then `maps` is empty, as
 * after tier0_maps_destroy(). */
int tier0_maps_create(struct tier0_maps *maps, struct error *err) WARN_UNUSED;

/* Makes the others, for `n_slots` flows, a power of two. Does nothing when they are there. Returns
 * 0 or a negative errno with `err` set; a lack of groups is none. */
int tier0_maps_reserve(struct tier0_maps *maps, uint32_t n_slots, struct error *err) WARN_UNUSED;

/* Takes over all that another process has pinned in `pins`. Returns 0, or a negative errno with
 * `err` set: -ENOENT (there is nothing), -ESTALE (of another build or network namespace) and
 * others; then `maps` is empty. */
int tier0_maps_adopt(struct tier0_maps *maps, const struct pin_dir *pins,
		     struct error *err) WARN_UNUSED;

/* Pins those that there are. Returns 0 or a negative errno. */
int tier0_maps_pin(const struct tier0_maps *maps, struct pin_dir *pins) WARN_UNUSED;

void tier0_maps_destroy(struct tier0_maps *maps);

/* Lets a program that is not loaded yet use a map of ours, by its name, for `map`; it does without
 * groups where there are none. Returns 0 or a negative errno; maps of other names are left alone.
 */
int tier0_maps_share(const struct tier0_maps *maps, struct bpf_map *map) WARN_UNUSED;

/* The same for all maps of an object; `maps` NULL: it uses none of them, so that none need be
 * made. */
int tier0_maps_share_all(const struct tier0_maps *maps, struct bpf_object *obj) WARN_UNUSED;

/* Says which device port `port_no` is to XDP's redirect; `ifindex` 0: none. Returns 0 or a negative
 * errno. */
int tier0_maps_set_device(struct tier0_maps *maps, uint32_t port_no, uint32_t ifindex) WARN_UNUSED;

/* Says which device is the `index`-th of TIER0_GROUP_PORTS in a group; `ifindex` 0: none. Returns 0
 * or a negative errno. Any thread, one at a time. */
int tier0_maps_set_group_device(const struct tier0_maps *maps, uint32_t group, uint32_t index,
				uint32_t ifindex) WARN_UNUSED;

#endif /* VSWITCH_BPF_TIER0_MAPS_H */
