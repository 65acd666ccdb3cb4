/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "bpf/flow_parse.h"
#include "openflow/field.h"
#include "tests/unit/switch_model.h"
#include "tests/unit/test.h"

void model_mac(uint32_t n, uint8_t mac[6])
{
	memset(mac, 0, 6);
	mac[0] = 2;
	mac[5] = (uint8_t)n;
}

uint32_t model_build(const struct model_packet *packet, uint8_t *frame)
{
	uint32_t len = frame_build(&packet->spec, frame);

	memcpy(frame, packet->dst, 6);
	memcpy(frame + 6, packet->src, 6);
	return len;
}

/* ---- rules ---- */

struct model_rule *model_lookup(struct model *model, const struct model_packet *packet)
{
	struct model_rule *best = NULL;
	uint8_t frame[MODEL_FRAME];
	uint32_t len = model_build(packet, frame);
	struct flow_layout layout;
	struct flow_key key;

	assert_int_equal(flow_key_parse(frame, frame + len, len, &key, &layout), 0);
	key.in_port = packet->in_port;
	for (int i = 0; i < MODEL_RULES; i++) {
		struct model_rule *rule = &model->rules[i];

		if (rule->is_there && match_covers_key(&rule->spec.match, &key) &&
		    (!best || rule->spec.priority > best->spec.priority))
			best = rule;
	}
	return best;
}

static bool is_same(const struct rule_spec *a, const struct rule_spec *b)
{
	return a->priority == b->priority && memcmp(&a->match, &b->match, sizeof(a->match)) == 0;
}

static bool is_within(const struct rule_spec *outer, const struct rule_spec *inner)
{
	for (int i = 0; i < FLOW_KEY_WORDS; i++) {
		uint64_t mask = outer->match.mask.w[i];

		if ((inner->match.mask.w[i] & mask) != mask ||
		    (inner->match.value.w[i] & mask) != outer->match.value.w[i])
			return false;
	}
	return true;
}

static void set_actions(struct model_rule *rule, const struct rule_spec *spec)
{
	ofaction_list_uninit(&rule->spec.actions);
	assert_int_equal(ofaction_list_clone(&rule->spec.actions, &spec->actions), 0);
}

static void remove_rule(struct model_rule *rule)
{
	ofaction_list_uninit(&rule->spec.actions);
	rule->is_there = false;
}

void model_add(struct model *model, const struct rule_spec *spec)
{
	struct model_rule *rule = NULL;

	for (int i = 0; i < MODEL_RULES; i++) {
		if (model->rules[i].is_there && is_same(&model->rules[i].spec, spec))
			remove_rule(&model->rules[i]);
		if (!model->rules[i].is_there)
			rule = &model->rules[i];
	}
	assert_non_null(rule);
	memset(rule, 0, sizeof(*rule));
	rule->is_there = true;
	rule->spec = *spec;
	ofaction_list_init(&rule->spec.actions);
	set_actions(rule, spec);
}

void model_modify(struct model *model, const struct rule_spec *spec, bool strict)
{
	for (int i = 0; i < MODEL_RULES; i++) {
		struct model_rule *rule = &model->rules[i];

		if (rule->is_there && (strict ? is_same : is_within)(spec, &rule->spec))
			set_actions(rule, spec);
	}
}

void model_delete(struct model *model, const struct rule_spec *spec, bool strict)
{
	for (int i = 0; i < MODEL_RULES; i++) {
		struct model_rule *rule = &model->rules[i];

		if (rule->is_there && (strict ? is_same : is_within)(spec, &rule->spec))
			remove_rule(rule);
	}
}

void model_clear(struct model *model)
{
	for (int i = 0; i < MODEL_RULES; i++) {
		if (model->rules[i].is_there)
			remove_rule(&model->rules[i]);
	}
}

uint32_t model_count_rules(const struct model *model)
{
	uint32_t n = 0;

	for (int i = 0; i < MODEL_RULES; i++)
		n += model->rules[i].is_there;
	return n;
}

void model_forget(struct model *model, uint32_t port)
{
	for (int vlan = 0; vlan < MODEL_VLANS; vlan++) {
		for (int host = 0; host < MODEL_HOSTS; host++) {
			if (!port || model->location[vlan][host] == port)
				model->location[vlan][host] = 0;
		}
	}
}

/* ---- packets ---- */

/* Sends the packet out by `port` with its tag changed to `vlan`, as that port wants it; -1: as it
 * is. */
static void output(struct model_outputs *outputs, const struct model_packet *packet, uint32_t port,
		   const struct model_port *as, int vlan)
{
	struct model_output *out = &outputs->list[outputs->n++];
	struct model_packet copy = *packet;

	assert_true(outputs->n <= MODEL_OUTPUTS);
	if (vlan >= 0 && as->tag) {
		copy.spec.tagged = false;
	} else if (vlan > 0) {
		copy.spec.tci = (uint16_t)((copy.spec.tagged ? copy.spec.tci & 0xe000 : 0) | vlan);
		copy.spec.tagged = true;
	}
	out->port = port;
	out->len = model_build(&copy, out->frame);
}

static bool carries(const struct model_port *port, int vlan)
{
	if (!port->is_there)
		return false;
	if (port->tag)
		return vlan == port->tag;
	return !port->is_limited || vlan == 0 || vlan == 20;
}

static void normal(struct model *model, const struct model_packet *packet,
		   struct model_outputs *outputs)
{
	const struct model_port *in = &model->ports[packet->in_port];
	int vlan = packet->spec.tagged ? packet->spec.tci & 0xfff : 0;
	uint32_t *location, to = 0;

	if (in->tag) {
		if (vlan)
			return;
		vlan = in->tag;
	}
	if (!carries(in, vlan))
		return;
	if (packet->src[5] < MODEL_HOSTS) {
		location = &model->location[vlan][packet->src[5]];
		model->would_learn |= *location != packet->in_port;
		if (!model->is_dry)
			*location = packet->in_port;
	}
	if (!(packet->dst[0] & 1) && packet->dst[5] < MODEL_HOSTS)
		to = model->location[vlan][packet->dst[5]];
	for (uint32_t port = 1; port <= MODEL_PORTS; port++) {
		if (port != packet->in_port && (!to || port == to) &&
		    carries(&model->ports[port], vlan))
			output(outputs, packet, port, &model->ports[port], vlan);
	}
}

static void output_action(struct model *model, const struct model_packet *packet, uint32_t port,
			  struct model_outputs *outputs)
{
	switch (port) {
	case OFPORT_NORMAL:
		normal(model, packet, outputs);
		break;
	case OFPORT_IN_PORT:
		output(outputs, packet, packet->in_port, NULL, -1);
		break;
	case OFPORT_FLOOD:
	case OFPORT_ALL:
		for (uint32_t p = 1; p <= MODEL_PORTS; p++) {
			if (p != packet->in_port && model->ports[p].is_there)
				output(outputs, packet, p, NULL, -1);
		}
		break;
	default:
		if (port <= MODEL_PORTS && port != packet->in_port && model->ports[port].is_there)
			output(outputs, packet, port, NULL, -1);
	}
}

static uint32_t get_number(const struct ofaction *action, int n_bytes)
{
	uint32_t number = 0;

	for (int i = 0; i < n_bytes; i++)
		number = number << 8 | action->set.value[i];
	return number;
}

static void set_field(const struct ofaction *action, struct model_packet *packet)
{
	struct frame_spec *spec = &packet->spec;
	bool is_ipv4 = spec->ethertype == 0x0800;
	bool is_ip = is_ipv4 || spec->ethertype == 0x86dd;
	bool has_ports = is_ip && (spec->proto == 6 || spec->proto == 17);

	switch (action->field) {
	case FIELD_ETH_SRC:
		memcpy(packet->src, action->set.value, 6);
		break;
	case FIELD_ETH_DST:
		memcpy(packet->dst, action->set.value, 6);
		break;
	case FIELD_VLAN_VID:
		spec->tci = (uint16_t)((spec->tagged ? spec->tci & 0xe000 : 0) |
				       get_number(action, 2));
		spec->tagged = true;
		break;
	case FIELD_VLAN_PCP:
		spec->tci = (uint16_t)((spec->tagged ? spec->tci & 0xfff : 0) |
				       get_number(action, 1) << 13);
		spec->tagged = true;
		break;
	case FIELD_IPV4_SRC:
		if (is_ipv4)
			spec->src = get_number(action, 4);
		break;
	case FIELD_IPV4_DST:
		if (is_ipv4)
			spec->dst = get_number(action, 4);
		break;
	case FIELD_IP_TOS:
		if (is_ip)
			spec->tos = (uint8_t)((spec->tos & 3) | get_number(action, 1));
		break;
	case FIELD_TP_SRC:
		if (has_ports)
			spec->sport = (uint16_t)get_number(action, 2);
		break;
	case FIELD_TP_DST:
		if (has_ports)
			spec->dport = (uint16_t)get_number(action, 2);
		break;
	default:
		fail_msg("the model cannot set %s", field_get(action->field)->name);
	}
}

/* Returns false when the packet ends here. */
static bool dec_ttl(struct model_packet *packet)
{
	if (packet->spec.ethertype != 0x0800 && packet->spec.ethertype != 0x86dd)
		return true;
	if (packet->spec.ttl <= 1)
		return false;
	packet->spec.ttl--;
	return true;
}

void model_run(struct model *model, const struct model_packet *packet,
	       struct model_outputs *outputs)
{
	struct model_rule *rule = model_lookup(model, packet);
	struct model_packet now = *packet;
	struct model_outputs nowhere = {0};

	model->would_learn = false;
	if (!rule)
		return;
	if (!model->is_dry)
		rule->n_packets++;
	for (uint32_t i = 0; i < rule->spec.actions.n; i++) {
		const struct ofaction *action = &rule->spec.actions.actions[i];

		switch ((enum ofaction_type)action->type) {
		case OFACTION_OUTPUT:
			output_action(model, &now, action->port, outputs);
			break;
		case OFACTION_SET_FIELD:
			set_field(action, &now);
			break;
		case OFACTION_STRIP_VLAN:
			now.spec.tagged = false;
			break;
		case OFACTION_DEC_TTL:
			/* It ends here, but what the rule says about it is learned: that its
			 * source lives there is no less true. */
			if (!dec_ttl(&now))
				outputs = &nowhere;
			break;
		default:
			fail_msg("the model does not know action %u", action->type);
		}
	}
}
