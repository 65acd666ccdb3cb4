/* SPDX-License-Identifier: BSD-2-Clause */
/* Methods about rules, cached flows and MAC tables. */
#include "vswitchd/methods.h"

#include "lib/clock.h"
#include "openflow/match_text.h"
#include "openflow/ofaction_text.h"
#include "openflow/rule_text.h"
#include "openflow/trace.h"
#include "vswitchd/vswitch_rules.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bridge *live_bridge(const struct rpc_call *call, const struct config_bridge *config)
{
	return bridge_lookup(call->vswitch->bridges, config->name);
}

/* ---- changes ----------------------------------------------------------------------------------
 */

static void set_result(struct rpc_call *call, const struct flow_mod_result *result)
{
	methods_set(call->result, "added", json_integer(result->n_added));
	methods_set(call->result, "replaced", json_integer(result->n_replaced));
	methods_set(call->result, "modified", json_integer(result->n_modified));
	methods_set(call->result, "removed", json_integer(result->n_removed));
	methods_set(call->result, "kept", json_integer(result->n_kept));
}

int method_add_flow(struct rpc_call *call, struct error *e)
{
	const struct config_bridge *bridge = methods_get_bridge(call, e);
	struct flow_mod_result result;
	int err;

	if (!bridge)
		return -ENOENT;
	err = vswitch_add_flows(call->vswitch, bridge, rpc_get_string(call, "rule"), NULL, NULL,
				&result, e);
	if (!err)
		set_result(call, &result);
	return err;
}

/* add-flows and replace-flows. */
static int run_script(struct rpc_call *call,
		      int (*run)(struct vswitch *vs, const struct config_bridge *bridge,
				 const char *text, const char *file, unsigned int *line,
				 struct flow_mod_result *result, struct error *e),
		      struct error *e)
{
	const struct config_bridge *bridge = methods_get_bridge(call, e);
	struct flow_mod_result result;
	int err;

	if (!bridge)
		return -ENOENT;
	call->file = rpc_has(call, "file") ? rpc_get_string(call, "file") : "-";
	err = run(call->vswitch, bridge, rpc_get_string(call, "text"), call->file, &call->line,
		  &result, e);
	if (!err)
		set_result(call, &result);
	return err;
}

int method_add_flows(struct rpc_call *call, struct error *e)
{
	return run_script(call, vswitch_add_flows, e);
}

int method_replace_flows(struct rpc_call *call, struct error *e)
{
	return run_script(call, vswitch_replace_flows, e);
}

int method_mod_flows(struct rpc_call *call, struct error *e)
{
	const struct config_bridge *bridge = methods_get_bridge(call, e);
	struct flow_mod_result result;
	int err;

	if (!bridge)
		return -ENOENT;
	err = vswitch_modify_flows(call->vswitch, bridge, rpc_get_string(call, "rule"),
				   rpc_get_bool(call, "strict"), &result, e);
	if (!err)
		set_result(call, &result);
	return err;
}

int method_del_flows(struct rpc_call *call, struct error *e)
{
	const struct config_bridge *bridge = methods_get_bridge(call, e);
	struct flow_mod_result result;
	int err;

	if (!bridge)
		return -ENOENT;
	err = vswitch_delete_flows(call->vswitch, bridge, rpc_get_string(call, "match"),
				   rpc_get_bool(call, "strict"), &result, e);
	if (!err)
		set_result(call, &result);
	return err;
}

/* ---- dump-flows -------------------------------------------------------------------------------
 */

/* A list of rules being made. */
struct flow_dump {
	json_t *rules;
	struct ofport_names names;
	uint64_t now; /* ns */
	struct strbuf text; /* for one rule at a time */
};

static json_t *take_text(struct strbuf *text)
{
	json_t *string = json_string(strbuf_get(text));

	strbuf_clear(text);
	return string;
}

static void dump_rule(void *aux, const struct rule *rule)
{
	struct flow_dump *dump = aux;
	const struct rule_spec spec = rule_get_spec(rule);
	struct rule_text_stats stats;
	struct rule_stats counters;
	json_t *object = json_object();
	char cookie[24];

	rule_get_stats(rule, &counters);
	stats = (struct rule_text_stats){
		.duration = dump->now - MIN(rule->created, dump->now),
		.n_packets = counters.n_packets,
		.n_bytes = counters.n_bytes,
		.idle_age = dump->now - MIN(counters.used, dump->now),
	};
	snprintf(cookie, sizeof(cookie), "0x%" PRIx64, rule->cookie);
	rule_format(&spec, &stats, &dump->names, &dump->text);
	methods_set(object, "text", take_text(&dump->text));
	methods_set(object, "table", json_integer(rule->table_id));
	methods_set(object, "priority", json_integer(rule->priority));
	methods_set(object, "cookie", json_string(cookie));
	match_format(&rule->match, &dump->names, &dump->text);
	methods_set(object, "match", take_text(&dump->text));
	ofaction_format(&rule->actions, &rule->match, &dump->names, &dump->text);
	methods_set(object, "actions", take_text(&dump->text));
	methods_set(object, "n_packets", json_integer((json_int_t)stats.n_packets));
	methods_set(object, "n_bytes", json_integer((json_int_t)stats.n_bytes));
	methods_set(object, "duration", json_real((double)stats.duration / 1e9));
	methods_set(object, "idle_age", json_real((double)stats.idle_age / 1e9));
	if (rule->idle_timeout)
		methods_set(object, "idle_timeout", json_integer(rule->idle_timeout));
	if (rule->hard_timeout)
		methods_set(object, "hard_timeout", json_integer(rule->hard_timeout));
	(void)!json_array_append_new(dump->rules, object);
}

int method_dump_flows(struct rpc_call *call, struct error *e)
{
	const struct config_bridge *bridge = methods_get_bridge(call, e);
	const char *match = rpc_get_string(call, "match");
	struct flow_dump dump = {.now = clock_now(), .text = STRBUF_INIT};
	struct rule_spec filter;
	int err;

	if (!bridge)
		return -ENOENT;
	vswitch_names_init(&dump.names, bridge);
	if (!match)
		match = "";
	err = rule_parse(match, strlen(match), FLOW_MOD_DELETE, &dump.names, &filter, e);
	if (err)
		return err;
	dump.rules = json_array();
	methods_set(call->result, "rules", dump.rules);
	datapath_fold_counters(call->vswitch->dp);
	err = bridge_dump_flows(live_bridge(call, bridge), &filter, dump_rule, &dump);
	ofaction_list_uninit(&filter.actions);
	strbuf_uninit(&dump.text);
	return err ? error_set(e, err, "out of memory") : 0;
}

/* ---- diff-flows -------------------------------------------------------------------------------
 */

/* What `to` has that `from` has not, or has otherwise, as rules for people. */
static json_t *rules_beyond(const struct config *from, const struct config *to,
			    const struct config_rule *initial)
{
	json_t *rules = json_array();
	struct config_diff diff;

	if (config_diff_create(from, to, initial, &diff))
		return rules;
	for (size_t i = 0; i < diff.n; i++) {
		char *text;

		if (diff.actions[i].type != CONFIG_ADD_RULE)
			continue;
		text = vswitch_format_row(NULL, diff.actions[i].bridge, diff.actions[i].rule);
		(void)!json_array_append_new(rules, json_string(text ? text : ""));
		free(text);
	}
	config_diff_uninit(&diff);
	return rules;
}

int method_diff_flows(struct rpc_call *call, struct error *e)
{
	const struct config_bridge *bridge = methods_get_bridge(call, e);
	struct vswitch *vs = call->vswitch;
	struct config now, wanted;
	int err;

	if (!bridge)
		return -ENOENT;
	call->file = rpc_has(call, "file") ? rpc_get_string(call, "file") : "-";
	if (config_clone(&now, &vs->config))
		return error_set(e, ENOMEM, "out of memory");
	if (config_clone(&wanted, &vs->config)) {
		config_uninit(&now);
		return error_set(e, ENOMEM, "out of memory");
	}
	err = vswitch_append_rules(config_lookup_bridge(&wanted, bridge->name),
				   rpc_get_string(call, "text"), call->file, &call->line, e);
	if (!err)
		err = vswitch_get_rules(vs, config_lookup_bridge(&now, bridge->name), e);
	if (!err) {
		methods_set(call->result, "removed", rules_beyond(&wanted, &now, &vs->initial));
		methods_set(call->result, "added", rules_beyond(&now, &wanted, &vs->initial));
	}
	config_uninit(&now);
	config_uninit(&wanted);
	return err;
}

int method_dump_tables(struct rpc_call *call, struct error *e)
{
	const struct config_bridge *bridge = methods_get_bridge(call, e);
	const struct flow_table *table;
	json_t *tables = json_array();

	methods_set(call->result, "tables", tables);
	if (!bridge)
		return -ENOENT;
	table = bridge_get_flow_table(live_bridge(call, bridge));
	for (unsigned int i = 0; i < FLOW_TABLES_MAX; i++) {
		uint32_t n_rules = flow_table_get_n_rules(table, (uint8_t)i);
		uint32_t n_subtables = flow_table_get_n_subtables(table, (uint8_t)i);

		if (i > 0 && n_rules == 0)
			continue;
		(void)!json_array_append_new(tables, json_pack("{s:i, s:I, s:I}", "table", (int)i,
							       "rules", (json_int_t)n_rules,
							       "masks", (json_int_t)n_subtables));
	}
	return 0;
}

/* ---- dump-cache -------------------------------------------------------------------------------
 */

/* Names by datapath port numbers, which cached flows hold. */
static uint32_t datapath_get_number(void *aux, const char *name, size_t length)
{
	(void)aux;
	(void)name;
	(void)length;
	return OFPORT_NONE;
}

static const char *datapath_get_name(void *aux, uint32_t port_no)
{
	const struct port *port = datapath_get_port(aux, port_no);

	return port ? port->name : NULL;
}

static void datapath_offer(void *aux, struct suggest *suggest)
{
	(void)aux;
	(void)suggest;
}

static void datapath_names_init(struct ofport_names *names, struct datapath *dp)
{
	*names = (struct ofport_names){.get_number = datapath_get_number,
				       .get_name = datapath_get_name,
				       .offer = datapath_offer,
				       .aux = dp};
}

/* The list as text, with names of ports. */
static void format_actions(struct datapath *dp, const struct action *actions, uint32_t n,
			   struct strbuf *out)
{
	char text[256];

	if (n == 0)
		strbuf_puts(out, "drop");
	for (uint32_t i = 0; i < n; i++) {
		const char *name = actions[i].type == ACTION_OUTPUT
					   ? datapath_get_name(dp, actions[i].port)
					   : NULL;

		if (i > 0)
			strbuf_putc(out, ',');
		action_list_format(&actions[i], 1, text, sizeof(text));
		if (name)
			strbuf_printf(out, "output(%s)", name);
		else
			strbuf_puts(out, text);
	}
}

static void format_masked(const struct flow_key *key, const struct flow_key *mask,
			  const struct ofport_names *names, struct strbuf *out)
{
	struct match match = {.value = *key, .mask = *mask};

	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		match.value.w[i] &= mask->w[i];
	match_format(&match, names, out);
}

/* A list of cached flows being made. */
struct cache_dump {
	struct datapath *dp;
	json_t *flows;
	struct ofport_names names;
	struct strbuf text; /* for one flow at a time */
	uint64_t now; /* ns */
	bool only_tier0; /* leave out what is not in tier 0 */
};

/* Whether the flow is in tier 0, or why not. */
static void describe_tier0(const struct cache_dump *dump, const struct datapath_flow_info *info,
			   json_t *object)
{
	const char *error = datapath_get_tier0_error(dump->dp);
	const char *why = tier0_reason_format(info->tier0_reason);

	methods_set(object, "n_tier0", json_integer((json_int_t)info->n_tier0));
	methods_set(object, "tier0", json_boolean(info->tier0_reason == TIER0_NONE));
	if (info->tier0_reason == TIER0_OFF && error[0])
		why = error;
	if (why[0])
		methods_set(object, "why_not_tier0", json_string(why));
}

static void dump_flow(void *aux, const struct datapath_flow_info *info)
{
	struct cache_dump *dump = aux;
	json_t *object;

	if (dump->only_tier0 && info->tier0_reason != TIER0_NONE)
		return;
	object = json_object();
	methods_set(object, "worker", json_integer(info->worker));
	format_masked(info->key, info->mask, &dump->names, &dump->text);
	methods_set(object, "match", take_text(&dump->text));
	format_actions(dump->dp, info->actions, info->n_actions, &dump->text);
	methods_set(object, "actions", take_text(&dump->text));
	if (info->n_actions == 0)
		methods_set(object, "drop_reason",
			    json_string(drop_reason_name(info->drop_reason)));
	methods_set(object, "n_packets", json_integer((json_int_t)info->n_packets));
	methods_set(object, "n_bytes", json_integer((json_int_t)info->n_bytes));
	methods_set(object, "n_signature", json_integer((json_int_t)info->n_signature));
	if (info->used_ns)
		methods_set(object, "idle",
			    json_real((double)(dump->now - MIN(info->used_ns, dump->now)) / 1e9));
	describe_tier0(dump, info, object);
	(void)!json_array_append_new(dump->flows, object);
}

int method_dump_cache(struct rpc_call *call, struct error *e)
{
	struct datapath *dp = call->vswitch->dp;
	uint32_t worker = rpc_get_uint(call, "worker", 0);
	struct cache_dump dump = {.dp = dp, .flows = json_array(), .now = clock_now()};
	int err;

	methods_set(call->result, "flows", dump.flows);
	if (worker >= datapath_get_n_workers(dp))
		return error_set(e, EINVAL, "worker %u: there are %u, from 0", worker,
				 datapath_get_n_workers(dp));
	if (rpc_get_uint(call, "tier", 0) != 0)
		return error_set(e, EINVAL, "tier %u: only tier 0 can be asked for by itself",
				 rpc_get_uint(call, "tier", 0));
	dump.only_tier0 = rpc_has(call, "tier");
	datapath_names_init(&dump.names, dp);
	err = datapath_dump_flows(dp, rpc_has(call, "worker") ? (int)worker : -1, dump_flow, &dump);
	strbuf_uninit(&dump.text);
	return err ? error_set(e, err, "out of memory") : 0;
}

/* ---- trace ------------------------------------------------------------------------------------
 */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* Bytes of a packet from hexadecimal digits; blanks and colons may stand between bytes. */
static int parse_hex(const char *text, uint8_t **bytes, uint32_t *size, struct error *e)
{
	size_t length = strlen(text);

	*size = 0;
	*bytes = malloc(length / 2 + 1);
	if (!*bytes)
		return error_set(e, ENOMEM, "out of memory");
	while (*text) {
		int high = hex_digit(text[0]);
		int low = high < 0 ? -1 : hex_digit(text[1]);

		if (strchr(" \t\n:", *text)) {
			text++;
			continue;
		}
		if (low < 0) {
			free(*bytes);
			return error_set(e, EINVAL, "packet: not hexadecimal at '%.10s'", text);
		}
		(*bytes)[(*size)++] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*size <= 65536)
		return 0;
	free(*bytes);
	return error_set(e, EINVAL, "packet: %u bytes are too many", *size);
}

static void tell_trace(struct rpc_call *call, const struct config_bridge *bridge,
		       const struct trace *trace)
{
	struct strbuf text = STRBUF_INIT;
	json_t *steps = json_array();
	struct ofport_names names;

	vswitch_names_init(&names, bridge);
	for (uint32_t i = 0; i < trace->n_steps; i++)
		(void)!json_array_append_new(steps, json_pack("{s:i, s:s}", "depth",
							      (int)trace->steps[i].depth, "text",
							      trace->steps[i].text));
	methods_set(call->result, "steps", steps);
	if (trace->rule) {
		const struct rule_spec spec = rule_get_spec(trace->rule);

		rule_format(&spec, NULL, &names, &text);
		methods_set(call->result, "rule", take_text(&text));
	} else {
		methods_set(call->result, "rule", json_null());
	}
	format_masked(&trace->key, &trace->mask, &names, &text);
	methods_set(call->result, "megaflow", take_text(&text));
	format_actions(call->vswitch->dp, trace->actions.actions, trace->actions.n, &text);
	methods_set(call->result, "actions", take_text(&text));
	if (trace->actions.n == 0)
		methods_set(call->result, "drop_reason",
			    json_string(drop_reason_name(trace->drop_reason)));
	strbuf_uninit(&text);
}

int method_trace(struct rpc_call *call, struct error *e)
{
	const struct config_bridge *bridge = methods_get_bridge(call, e);
	const char *flow = rpc_get_string(call, "flow");
	const char *packet = rpc_get_string(call, "packet");
	struct ofport_names names;
	struct flow_key key;
	struct trace trace;
	uint8_t *bytes;
	uint32_t size;
	int err;

	if (!bridge)
		return -ENOENT;
	if (!flow && !packet)
		return error_set(e, EINVAL, "say which packet: a flow, or --packet and its bytes");
	vswitch_names_init(&names, bridge);
	err = match_parse_key(flow ? flow : "", flow ? strlen(flow) : 0, &names, &key, e);
	if (err)
		return err;
	if (!packet) {
		err = trace_run(live_bridge(call, bridge), &key, &trace, e);
	} else {
		err = parse_hex(packet, &bytes, &size, e);
		if (err)
			return err;
		err = trace_run_packet(live_bridge(call, bridge), key.in_port, bytes, size, &trace,
				       e);
		free(bytes);
	}
	if (err)
		return err;
	tell_trace(call, bridge, &trace);
	trace_uninit(&trace);
	return 0;
}

/* ---- MAC table --------------------------------------------------------------------------------
 */

struct fdb_dump {
	json_t *entries;
	const struct config_bridge *bridge;
};

static const char *port_name(const struct config_bridge *bridge, uint32_t ofport)
{
	if (ofport == OFPORT_LOCAL)
		return bridge->name;
	for (size_t i = 0; i < bridge->n_ports; i++) {
		if (bridge->ports[i].ofport == ofport)
			return bridge->ports[i].name;
	}
	return "?";
}

static void dump_mac(void *aux, const struct mac_entry_info *info)
{
	struct fdb_dump *dump = aux;
	const uint8_t *a = info->mac;
	char mac[18];

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4],
		 a[5]);
	(void)!json_array_append_new(
		dump->entries,
		json_pack("{s:s, s:i, s:s, s:I, s:f, s:b}", "mac", mac, "vlan", info->vlan, "port",
			  port_name(dump->bridge, info->ofport), "ofport", (json_int_t)info->ofport,
			  "age", (double)info->age / 1e9, "static", info->is_static));
}

int method_fdb_show(struct rpc_call *call, struct error *e)
{
	const struct config_bridge *bridge = methods_get_bridge(call, e);
	struct fdb_dump dump = {.entries = json_array(), .bridge = bridge};
	struct mac_table_stats stats;

	methods_set(call->result, "entries", dump.entries);
	if (!bridge)
		return -ENOENT;
	datapath_fold_counters(call->vswitch->dp);
	bridge_dump_fdb(live_bridge(call, bridge), dump_mac, &dump);
	bridge_get_fdb_stats(live_bridge(call, bridge), &stats);
	methods_set(call->result, "limit", json_integer(stats.limit));
	methods_set(call->result, "ageing", json_integer(stats.ageing));
	methods_set(call->result, "n_learned", json_integer((json_int_t)stats.n_learned));
	methods_set(call->result, "n_moved", json_integer((json_int_t)stats.n_moved));
	methods_set(call->result, "n_aged", json_integer((json_int_t)stats.n_aged));
	methods_set(call->result, "n_evicted", json_integer((json_int_t)stats.n_evicted));
	methods_set(call->result, "n_throttled", json_integer((json_int_t)stats.n_throttled));
	return 0;
}

int method_fdb_flush(struct rpc_call *call, struct error *e)
{
	const struct config_bridge *bridge = methods_get_bridge(call, e);

	if (!bridge)
		return -ENOENT;
	methods_set(call->result, "flushed",
		    json_integer(bridge_flush_fdb(live_bridge(call, bridge))));
	return 0;
}
