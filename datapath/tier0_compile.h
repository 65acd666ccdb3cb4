/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tier0_compile.h - turns an action list into what a BPF program can carry out, or says why not.
 *
 * A program knows few steps (bpf/tier0.h): 32 bits at an offset replaced under a mask, TTL by one,
 * one tag on or off in the end. Every action that sets a field becomes one to four replacements;
 * what the tag is in the end is worked out here, for whether a packet has one is known from the
 * mask. Where a step would depend on bits outside of the mask the list is refused: such a flow
 * stays in user space.
 *
 * All that remains to be asked of a packet is whether it has the headers at all, and its TTL
 * (tier0_slot.needs, min_ttl); a packet that does not pass goes to user space too, so drops for
 * these reasons are counted there.
 *
 * Thread-safety: pure functions over the caller's memory.
 */
#ifndef VSWITCH_DATAPATH_TIER0_COMPILE_H
#define VSWITCH_DATAPATH_TIER0_COMPILE_H

#include <stdbool.h>
#include <stdint.h>
#include "bpf/tier0.h"
#include "datapath/action.h"

/* Why a flow is not in tier 0. X(SYMBOL, "text") */
#define TIER0_REASONS(X)                                                                           \
	X(NONE, "")                                                                                \
	X(COLD, "too few packets")                                                                 \
	X(OFF, "tier 0 is off")                                                                    \
	X(INGRESS, "the ingress port has none")                                                    \
	X(EGRESS, "an egress port takes no redirected packets")                                    \
	X(OUTPUTS, "several outputs, which XDP cannot do on this kernel")                          \
	X(ORDER, "header changes between outputs")                                                 \
	X(MATCH, "a header change depends on bits that the mask leaves open")                      \
	X(ACTION, "an action that only user space carries out")                                    \
	X(VLAN, "a tag on a tag, or one that the mask leaves open")                                \
	X(LENGTH, "too many header changes")                                                       \
	X(CHECKSUM, "checksums that the sender left to a device")                                  \
	X(MASKS, "no room for a further mask")                                                     \
	X(ROOM, "no room for further flows")                                                       \
	X(GROUPS, "no room for a further set of output ports")                                     \
	X(BUCKET, "no room in its hash bucket")                                                    \
	X(OTHER, "another worker's flow is there")

enum tier0_reason {
#define X(SYMBOL, TEXT) TIER0_##SYMBOL,
	TIER0_REASONS(X)
#undef X
	TIER0_N_REASONS
};

/* The reason as a text for people, "" for TIER0_NONE. */
const char *tier0_reason_format(enum tier0_reason reason);

/*
 * Fills in what `slot` does (output, n_ops, needs, min_ttl, vlan, ops, vlan_tag; the rest is left
 * alone) for packets that agree with `key` under `mask`. `several`: the program can send copies.
 * Returns TIER0_NONE, or why it cannot be done; then the slot means nothing.
 */
enum tier0_reason tier0_compile(const struct flow_key *key, const struct flow_key *mask,
				const struct action *actions, uint32_t n, bool several,
				struct tier0_slot *slot) WARN_UNUSED;

#endif /* VSWITCH_DATAPATH_TIER0_COMPILE_H */
