/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vlan_bitmap.h - a set of VLANs, as a trunk port carries them.
 *
 * A bit for each of the 4096 VLAN numbers. VLAN 0 stands for packets without a tag (IEEE 802.1Q
 * calls a tag with VLAN 0 a priority tag: it belongs to no VLAN). The empty set means what it means
 * in `trunks=`: no restriction.
 *
 * In text numbers and ranges, "0,5,100-199".
 *
 * Thread-safety: a plain value.
 */
#ifndef VSWITCH_OPENFLOW_VLAN_BITMAP_H
#define VSWITCH_OPENFLOW_VLAN_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/error.h"
#include "lib/util.h"

/* Highest VLAN number that may be used. */
#define VLAN_MAX 4094

struct vlan_bitmap {
	uint64_t w[64]; /* VLAN V: bit V % 64 of word V / 64 */
};

static inline bool vlan_bitmap_has(const struct vlan_bitmap *vlans, unsigned int vlan)
{
	return vlans->w[vlan / 64 % 64] >> vlan % 64 & 1;
}

/* Is nothing in it: no restriction? */
bool vlan_bitmap_is_empty(const struct vlan_bitmap *vlans);

/* Reads text; "" is the empty set. Returns 0 or -EINVAL with `err` set. */
int vlan_bitmap_parse(const char *text, struct vlan_bitmap *vlans, struct error *err) WARN_UNUSED;

/* Writes text like snprintf(); returns the length that it has or would have. */
size_t vlan_bitmap_format(const struct vlan_bitmap *vlans, char *buf, size_t size);

#endif /* VSWITCH_OPENFLOW_VLAN_BITMAP_H */
