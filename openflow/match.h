/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * match.h - which packets a rule is about.
 *
 * A match is a value and a mask in the layout of flow_key.h: a packet matches when (packet ^ value)
 * & mask is zero. Bits of the value outside of the mask are zero. in_port here is an OpenFlow port
 * number of the rule's bridge; translation puts it in place of the datapath's number.
 *
 * VLAN, as in Open vSwitch: vlan_tci carries FLOW_VLAN_PRESENT; dl_vlan=5 is value 0x1005 mask
 * 0x1fff, dl_vlan=0xffff (untagged) is value 0 mask 0x1fff, dl_vlan_pcp=3 is value 0x7000 mask
 * 0xf000.
 *
 * Text form: that of ovs-ofctl, see match_text.h and vswitch-flows(7).
 *
 * Thread-safety: a plain value.
 */
#ifndef VSWITCH_OPENFLOW_MATCH_H
#define VSWITCH_OPENFLOW_MATCH_H

#include <stdbool.h>
#include <stdint.h>
#include "bpf/flow_key.h"

struct match {
	struct flow_key value;
	struct flow_key mask;
};

/* Does `key` fall under the match? */
static inline bool match_covers_key(const struct match *match, const struct flow_key *key)
{
	uint64_t diff = 0;

	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		diff |= (key->w[i] ^ match->value.w[i]) & match->mask.w[i];
	return diff == 0;
}

/* Same value and same mask? */
bool match_equals(const struct match *a, const struct match *b);

/* Is every packet of `inner` one of `outer`? (loose mod-flows, del-flows, dump-flows) */
bool match_covers(const struct match *outer, const struct match *inner);

#endif /* VSWITCH_OPENFLOW_MATCH_H */
