/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bpf/flow_parse.h"
#include "lib/strbuf.h"
#include "openflow/match_text.h"
#include "openflow/ofaction_text.h"
#include "openflow/rule_text.h"
#include "openflow/xlate_priv.h"

/* Appends a step whose text is malloc'ed and becomes the trace's; NULL: memory ran out. */
static void trace_append(struct trace *trace, unsigned int depth, char *text)
{
	struct trace_step *steps;

	steps = text ? realloc(trace->steps, (trace->n_steps + 1) * sizeof(*steps)) : NULL;
	if (!steps) {
		free(text);
		trace->error = -ENOMEM;
		return;
	}
	trace->steps = steps;
	steps[trace->n_steps].depth = depth;
	steps[trace->n_steps++].text = text;
}

void trace_tell(struct trace *trace, unsigned int depth, const char *format, ...)
{
	char *text;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	trace_append(trace, depth, text);
}

void trace_tell_rule(struct xlate *x)
{
	const struct rule *rule = x->rule;
	struct ofport_names names;
	struct strbuf out = STRBUF_INIT;
	struct rule_spec spec;

	if (!rule) {
		trace_tell(x->trace, 0, "table 0: no rule matches");
		return;
	}
	spec = (struct rule_spec){
		.match = rule->match,
		.cookie = rule->cookie,
		.priority = rule->priority,
		.table_id = rule->table_id,
		.idle_timeout = rule->idle_timeout,
		.hard_timeout = rule->hard_timeout,
		.actions = rule->actions,
	};
	bridge_get_ofport_names(x->bridge, &names);
	strbuf_printf(&out, "table %u: ", rule->table_id);
	rule_format(&spec, NULL, &names, &out);
	trace_append(x->trace, 0, strbuf_detach(&out));
}

void trace_tell_action(struct xlate *x, const struct ofaction *action)
{
	struct ofaction_list one = {.actions = (struct ofaction *)(uintptr_t)action, .n = 1};
	struct ofport_names names;
	struct strbuf out = STRBUF_INIT;

	bridge_get_ofport_names(x->bridge, &names);
	ofaction_format(&one, &x->rule->match, &names, &out);
	trace_append(x->trace, 1, strbuf_detach(&out));
}

/* "flow: " and the headers, as a match. */
static void trace_tell_key(struct trace *trace, const char *what, const struct flow_key *key,
			   const struct flow_key *mask, const struct ofport_names *names)
{
	struct match match = {.mask = *mask};
	struct strbuf out = STRBUF_INIT;

	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		match.value.w[i] = key->w[i] & mask->w[i];
	strbuf_printf(&out, "%s: ", what);
	match_format(&match, names, &out);
	trace_append(trace, 0, strbuf_detach(&out));
}

/* "datapath actions: " and the list. */
static void trace_tell_actions(struct trace *trace)
{
	size_t size = action_list_format(trace->actions.actions, trace->actions.n, NULL, 0) + 1;
	char *text = malloc(size);

	if (!text) {
		trace->error = -ENOMEM;
		return;
	}
	action_list_format(trace->actions.actions, trace->actions.n, text, size);
	trace_tell(trace, 0, "datapath actions: %s", text);
	free(text);
}

#define FIELD_PLACE(member)                                                                        \
	{offsetof(struct flow_key, member), sizeof(((struct flow_key *)0)->member)}

/* Fields that are not worth telling when they are zero. */
static const struct {
	uint8_t offset;
	uint8_t size;
} optional_fields[] = {
	FIELD_PLACE(nw_frag),  FIELD_PLACE(nw_proto),	FIELD_PLACE(nw_tos),
	FIELD_PLACE(nw_ttl),   FIELD_PLACE(tp_src),	FIELD_PLACE(tp_dst),
	FIELD_PLACE(tcp_flags), FIELD_PLACE(nw_src),	FIELD_PLACE(nw_dst),
	FIELD_PLACE(ipv6_src), FIELD_PLACE(ipv6_dst),	FIELD_PLACE(ipv6_label),
	FIELD_PLACE(nd_target), FIELD_PLACE(arp_sha),	FIELD_PLACE(arp_tha),
};

/* The fields of the key that say something about such a packet. */
static void key_mask(const struct flow_key *key, struct flow_key *mask)
{
	static const uint8_t zero[16];

	memset(mask, 0, sizeof(*mask));
	mask->in_port = UINT32_MAX;
	mask->dl_type = UINT16_MAX;
	mask->vlan_tci = key->vlan_tci ? UINT16_MAX : 0;
	memset(mask->dl_src, 0xff, sizeof(mask->dl_src));
	memset(mask->dl_dst, 0xff, sizeof(mask->dl_dst));
	for (size_t i = 0; i < ARRAY_SIZE(optional_fields); i++) {
		size_t offset = optional_fields[i].offset, size = optional_fields[i].size;

		if (memcmp((const uint8_t *)key + offset, zero, size) != 0)
			memset((uint8_t *)mask + offset, 0xff, size);
	}
}

int trace_run(struct bridge *bridge, const struct flow_key *key, struct trace *trace,
	      struct error *err)
{
	const struct bridge_ports *ports = rcu_get(&bridge->ports);
	const struct bridge_port *port = bridge_ports_lookup(ports, key->in_port);
	struct ofport_names names;
	struct flow_key mask;
	struct xlate x;

	if (!port && key->in_port == OFPORT_NONE)
		return error_set(err, ENODEV, "say by which port the packet comes in: in_port=...");
	if (!port)
		return error_set(err, ENODEV, "in_port=%u: bridge '%s' has no such port",
				 key->in_port, bridge->name);
	memset(trace, 0, sizeof(*trace));
	action_list_init(&trace->actions);
	trace->key = *key;
	memset(&x, 0, sizeof(x));
	x.in_port = port;
	x.bridge = bridge;
	x.ports = ports;
	x.now = *key;
	x.mask = &trace->mask;
	x.out = &trace->actions;
	x.trace = trace;
	bridge_get_ofport_names(bridge, &names);
	key_mask(key, &mask);
	trace_tell_key(trace, "flow", key, &mask, &names);
	trace->drop_reason = xlate_run(&x, flow_table_get_version(bridge->flows));
	trace->rule = x.rule ? rule_ref(x.rule) : NULL;
	trace_tell_key(trace, "megaflow", key, &trace->mask, &names);
	trace_tell_actions(trace);
	return 0;
}

int trace_run_packet(struct bridge *bridge, uint32_t ofport, const void *frame, uint32_t size,
		     struct trace *trace, struct error *err)
{
	struct flow_layout layout;
	struct flow_key key;

	if (flow_key_parse(frame, (const uint8_t *)frame + size, size, &key, &layout))
		return error_set(err, EINVAL,
				 "a packet of %u bytes is shorter than an Ethernet header", size);
	key.in_port = ofport;
	return trace_run(bridge, &key, trace, err);
}

void trace_uninit(struct trace *trace)
{
	for (uint32_t i = 0; i < trace->n_steps; i++)
		free(trace->steps[i].text);
	free(trace->steps);
	action_list_uninit(&trace->actions);
	rule_unref(trace->rule);
	memset(trace, 0, sizeof(*trace));
}
