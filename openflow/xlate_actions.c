/* SPDX-License-Identifier: BSD-2-Clause */
/* What each OpenFlow action becomes. */
#include <arpa/inet.h>
#include <string.h>
#include "openflow/field.h"
#include "openflow/xlate_priv.h"

#define TCI_PRESENT htons(FLOW_VLAN_PRESENT)
#define TCI_VID htons(0x0fff)
#define TCI_PCP htons(0xe000)

/* ---- datapath actions ---- */

void xlate_emit(struct xlate *x, const struct action *action)
{
	if (action_list_append(x->out, action))
		x->is_failed = true;
}

void xlate_emit_output(struct xlate *x, const struct bridge_port *port)
{
	xlate_tell(x, 2, "sent to port '%s'", port->name);
	if (action_list_append_output(x->out, port->port_no))
		x->is_failed = true;
}

void xlate_emit_vlan(struct xlate *x, uint16_t tci)
{
	struct action action = {.type = ACTION_SET_VLAN_TCI, .value.be16 = tci & ~TCI_PRESENT};
	const struct flow_key pcp = {.vlan_tci = TCI_PCP};

	if (tci == x->sent_tci)
		return;
	if (!(tci & TCI_PRESENT)) {
		action.type = ACTION_POP_VLAN;
		action.value.be16 = 0;
	} else if ((x->sent_tci & TCI_PRESENT) && !((tci ^ x->sent_tci) & TCI_PCP)) {
		action.mask.be16 = TCI_VID;
		action.value.be16 &= TCI_VID;
	} else {
		/* A tag that is put back has the packet's priority. */
		if (x->now.vlan_tci & TCI_PRESENT)
			xlate_look(x, &pcp);
		action.mask.be16 = (uint16_t)~TCI_PRESENT;
	}
	xlate_emit(x, &action);
	x->sent_tci = tci;
}

/* Brings the emitted packet's tag in line, ahead of what is not `normal`. */
static void sync_vlan(struct xlate *x)
{
	xlate_emit_vlan(x, x->now.vlan_tci);
}

/* ---- output ---- */

static void output_all(struct xlate *x)
{
	for (uint32_t i = 0; i < x->ports->n; i++) {
		if (x->ports->ports[i] != x->in_port)
			xlate_emit_output(x, x->ports->ports[i]);
	}
}

static void output_port(struct xlate *x, uint32_t ofport)
{
	const struct bridge_port *port = bridge_ports_lookup(x->ports, ofport);

	if (!port) {
		xlate_tell(x, 2, "the bridge has no port %u", ofport);
	} else if (port == x->in_port) {
		xlate_tell(x, 2, "not sent back to the port it came from: that takes in_port");
		xlate_note_drop(x, DROP_HAIRPIN);
	} else {
		xlate_emit_output(x, port);
	}
}

static void output(struct xlate *x, uint32_t ofport)
{
	if (ofport == OFPORT_NORMAL) {
		xlate_normal(x);
		return;
	}
	sync_vlan(x);
	switch (ofport) {
	case OFPORT_IN_PORT:
		xlate_emit_output(x, x->in_port);
		break;
	case OFPORT_FLOOD:
	case OFPORT_ALL:
		output_all(x);
		break;
	default:
		output_port(x, ofport);
	}
}

/* ---- header changes ---- */

/* The datapath's action for each field that can be set; 0 (an output) marks those that cannot. */
static const uint8_t field_actions[FIELD_N_IDS] = {
	[FIELD_ETH_DST] = ACTION_SET_ETH_DST,
	[FIELD_ETH_SRC] = ACTION_SET_ETH_SRC,
	[FIELD_VLAN_TCI] = ACTION_SET_VLAN_TCI,
	[FIELD_VLAN_VID] = ACTION_SET_VLAN_TCI,
	[FIELD_VLAN_PCP] = ACTION_SET_VLAN_TCI,
	[FIELD_IP_TOS] = ACTION_SET_TOS,
	[FIELD_IP_DSCP] = ACTION_SET_TOS,
	[FIELD_IP_ECN] = ACTION_SET_TOS,
	[FIELD_IP_TTL] = ACTION_SET_TTL,
	[FIELD_IPV4_SRC] = ACTION_SET_IPV4_SRC,
	[FIELD_IPV4_DST] = ACTION_SET_IPV4_DST,
	[FIELD_IPV6_SRC] = ACTION_SET_IPV6_SRC,
	[FIELD_IPV6_DST] = ACTION_SET_IPV6_DST,
	[FIELD_IPV6_LABEL] = ACTION_SET_IPV6_LABEL,
	[FIELD_TP_SRC] = ACTION_SET_TP_SRC,
	[FIELD_TP_DST] = ACTION_SET_TP_DST,
	[FIELD_ICMP_TYPE] = ACTION_SET_TP_SRC,
	[FIELD_ICMP_CODE] = ACTION_SET_TP_DST,
	[FIELD_ICMPV6_TYPE] = ACTION_SET_TP_SRC,
	[FIELD_ICMPV6_CODE] = ACTION_SET_TP_DST,
	[FIELD_ARP_OP] = ACTION_SET_ARP_OP,
	[FIELD_ARP_SPA] = ACTION_SET_ARP_SPA,
	[FIELD_ARP_TPA] = ACTION_SET_ARP_TPA,
	[FIELD_ARP_SHA] = ACTION_SET_ARP_SHA,
	[FIELD_ARP_THA] = ACTION_SET_ARP_THA,
	[FIELD_ND_TARGET] = ACTION_SET_ND_TARGET,
};

/* Does the packet have the field? Others are left as they are. */
static bool packet_has(struct xlate *x, enum field_needs needs)
{
	struct flow_key looked_at = {0};
	bool has = field_needs_hold(needs, &x->now, &looked_at);

	xlate_look(x, &looked_at);
	if (!has)
		xlate_tell(x, 2, "not changed: the packet is not %s", field_needs_text(needs));
	return has;
}

/* Fills in value and mask of a datapath action from the field's place in the key. */
static void fill_action(struct action *action, const struct field *field,
			const struct flow_key *value, const struct flow_key *mask)
{
	memcpy(&action->value, (const char *)value + field->key_off, field->key_size);
	memcpy(&action->mask, (const char *)mask + field->key_off, field->key_size);
	if (action->type == ACTION_SET_ARP_OP) {
		/* One byte in the key, two in the packet: the first is zero. */
		action->value.be16 = htons(value->nw_proto);
		action->mask.be16 = htons((uint16_t)(0xff00 | mask->nw_proto));
	}
}

static void set_field(struct xlate *x, const struct ofaction *ofaction)
{
	const struct field *field = field_get(ofaction->field);
	struct action action = {.type = field_actions[ofaction->field]};
	struct flow_key value, mask;

	if (action.type == ACTION_OUTPUT || !packet_has(x, field->needs))
		return;
	field_spread(field, ofaction->set.value, &value);
	field_spread(field, ofaction->set.mask, &mask);
	sync_vlan(x);
	fill_action(&action, field, &value, &mask);
	if (action.type == ACTION_SET_VLAN_TCI) {
		/* An untagged packet gets a tag. */
		x->now.vlan_tci |= TCI_PRESENT;
		mask.vlan_tci |= TCI_PRESENT;
		action.value.be16 &= (uint16_t)~TCI_PRESENT;
		action.mask.be16 &= (uint16_t)~TCI_PRESENT;
	}
	field_set(field, ofaction->set.value, ofaction->set.mask, &x->now);
	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		x->fixed.w[i] |= mask.w[i];
	xlate_emit(x, &action);
	x->sent_tci = x->now.vlan_tci;
}

static void push_vlan(struct xlate *x, uint16_t tpid)
{
	struct action action = {.type = ACTION_PUSH_VLAN, .value.be16 = htons(tpid)};

	sync_vlan(x);
	xlate_emit(x, &action);
	/* The new tag is a copy of the one there was, or zero: the key's other bits hold. */
	x->now.vlan_tci |= TCI_PRESENT;
	x->fixed.vlan_tci |= TCI_PRESENT;
	x->sent_tci = x->now.vlan_tci;
}

/* What is under the tag, if anything, the key does not know: it counts as untagged. */
static void strip_vlan(struct xlate *x)
{
	const struct flow_key present = {.vlan_tci = TCI_PRESENT};

	xlate_look(x, &present);
	x->now.vlan_tci = 0;
	x->fixed.vlan_tci = 0xffff;
	sync_vlan(x);
}

static void dec_ttl(struct xlate *x)
{
	struct action action = {.type = ACTION_DEC_TTL};

	if (!packet_has(x, FIELD_NEEDS_IP))
		return;
	sync_vlan(x);
	xlate_emit(x, &action);
	x->now.nw_ttl--;
}

void xlate_actions(struct xlate *x, const struct ofaction_list *actions)
{
	for (uint32_t i = 0; i < actions->n && !x->is_failed; i++) {
		const struct ofaction *action = &actions->actions[i];

		if (unlikely(x->trace))
			trace_tell_action(x, action);
		switch ((enum ofaction_type)action->type) {
		case OFACTION_OUTPUT:
			output(x, action->port);
			break;
		case OFACTION_SET_FIELD:
			set_field(x, action);
			break;
		case OFACTION_PUSH_VLAN:
			push_vlan(x, action->tpid);
			break;
		case OFACTION_STRIP_VLAN:
			strip_vlan(x);
			break;
		case OFACTION_DEC_TTL:
			dec_ttl(x);
			break;
		}
	}
}
