/* SPDX-License-Identifier: BSD-2-Clause */
/* Methods that tell about the daemon, its ports, drops and workers. */
#include "vswitchd/methods.h"

#include "datapath/frame_pool.h"
#include "lib/clock.h"
#include "vswitchd/libvirt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static json_t *counter(uint64_t value)
{
	return json_integer((json_int_t)value);
}

/* ---- the daemon -------------------------------------------------------------------------------
 */

int method_version(struct rpc_call *call, struct error *e)
{
	(void)e;
	methods_set(call->result, "version", json_string(PACKAGE_VERSION));
	methods_set(call->result, "pid", json_integer(getpid()));
	methods_set(call->result, "uptime",
		    json_real((double)(clock_now() - call->vswitch->started_ns) / 1e9));
	return 0;
}

static json_t *options_to_json(const struct config_options *options)
{
	json_t *object = json_object();

	for (size_t i = 0; i < options->n; i++)
		methods_set(object, options->items[i].key, json_string(options->items[i].value));
	return object;
}

static void add_status(void *aux, const char *name, const char *value)
{
	methods_set(aux, name, json_string(value));
}

/* What became of a port: its state, what the driver says, or why it is not open. */
static void tell_state(const struct vswitch *vs, const char *name, json_t *object)
{
	const struct vswitch_port *live = vswitch_get_port(vs, name);
	const struct port *port =
		live && live->port_no ? datapath_get_port(vs->dp, live->port_no) : NULL;
	json_t *status;

	if (!port) {
		methods_set(object, "state", json_string("missing"));
		methods_set(object, "error", json_string(live ? live->error.text : "not known"));
		return;
	}
	methods_set(object, "state", json_string(port_get_link(port) ? "up" : "down"));
	methods_set(object, "max_len", json_integer(port->caps.max_len));
	methods_set(object, "queues", json_integer(port->n_rxqs));
	status = json_object();
	if (port->class->get_status)
		port->class->get_status(port, add_status, status);
	methods_set(object, "status", status);
}

/* One of the labels of a VM's port, under a name of its own. */
static void label(const struct config_port *config, const char *key, const char *name,
		  json_t *object)
{
	const char *value = config_options_get(&config->options, key);

	if (value)
		methods_set(object, name, json_string(value));
}

static json_t *describe_port(const struct vswitch *vs, const struct config_port *config)
{
	json_t *object = json_object();

	methods_set(object, "port", json_string(config->name));
	methods_set(object, "type", json_string(config->type));
	methods_set(object, "ofport", json_integer(config->ofport));
	methods_set(object, "options", options_to_json(&config->options));
	if (config->container) {
		methods_set(object, "container", json_string(config->container));
		methods_set(object, "container_options",
			    options_to_json(&config->container_options));
	}
	label(config, LIBVIRT_LABEL_DOMAIN, "domain", object);
	label(config, LIBVIRT_LABEL_MAC, "mac", object);
	tell_state(vs, config->name, object);
	return object;
}

static json_t *describe_local(const struct vswitch *vs, const char *bridge)
{
	json_t *object = json_object();

	methods_set(object, "port", json_string(bridge));
	methods_set(object, "type", json_string(VSWITCH_LOCAL_TYPE));
	methods_set(object, "ofport", json_integer(OFPORT_LOCAL));
	tell_state(vs, bridge, object);
	return object;
}

/* A bridge with its ports, or with the one of name `port`. */
static json_t *describe_bridge(const struct vswitch *vs, const struct config_bridge *config,
			       const char *port)
{
	struct bridge *bridge = bridge_lookup(vs->bridges, config->name);
	json_t *object = json_object(), *ports = json_array();
	struct mac_table_stats stats;

	bridge_get_fdb_stats(bridge, &stats);
	methods_set(object, "bridge", json_string(config->name));
	methods_set(object, "options", options_to_json(&config->options));
	methods_set(object, "rules",
		    json_integer(
			    flow_table_get_n_rules(bridge_get_flow_table(bridge), FLOW_TABLE_ALL)));
	methods_set(object, "macs", json_integer(stats.n_entries));
	if (vswitch_get_port(vs, config->name) && (!port || strcmp(port, config->name) == 0))
		(void)!json_array_append_new(ports, describe_local(vs, config->name));
	for (size_t i = 0; i < config->n_ports; i++)
		if (!port || strcmp(port, config->ports[i].name) == 0)
			(void)!json_array_append_new(ports, describe_port(vs, &config->ports[i]));
	methods_set(object, "ports", ports);
	return object;
}

json_t *methods_describe_libvirt(const struct libvirt *lv)
{
	struct libvirt_status status;
	json_t *object = json_object();

	libvirt_get_status(lv, &status);
	methods_set(object, "uri", json_string(status.uri));
	methods_set(object, "connected", json_boolean(status.is_connected));
	if (!status.is_connected)
		methods_set(object, "error", json_string(status.text));
	methods_set(object, "domains", json_integer((json_int_t)status.n_domains));
	methods_set(object, "followed_ports", json_integer((json_int_t)status.n_followed));
	return object;
}

int method_show(struct rpc_call *call, struct error *e)
{
	const struct vswitch *vs = call->vswitch;
	const char *note = store_get_note(vs->store), *port = rpc_get_string(call, "port");
	struct config_bridge *only = NULL;
	json_t *bridges = json_array();

	methods_set(call->result, "bridges", bridges);
	if (rpc_has(call, "bridge")) {
		only = methods_get_bridge(call, e);
		if (!only)
			return -ENOENT;
	}
	if (port && !only)
		return error_set(e, EINVAL, "a port is shown with its bridge: show BR PORT");
	if (port && strcmp(port, only->name) != 0 && !vswitch_lookup_port(only, port, e))
		return -ENOENT;
	method_version(call, e);
	methods_set(call->result, "rundir", json_string(vs->rundir));
	methods_set(call->result, "store", json_string(store_get_path(vs->store)));
	if (note)
		methods_set(call->result, "store_note", json_string(note));
	methods_set(call->result, "workers", json_integer(datapath_get_n_workers(vs->dp)));
	if (vs->libvirt)
		methods_set(call->result, "libvirt", methods_describe_libvirt(vs->libvirt));
	for (size_t i = 0; i < vs->config.n_bridges; i++)
		if (!only || only == &vs->config.bridges[i])
			(void)!json_array_append_new(
				bridges, describe_bridge(vs, &vs->config.bridges[i], port));
	if (port)
		methods_set(call->result, "port", json_string(port));
	return 0;
}

int method_list_br(struct rpc_call *call, struct error *e)
{
	const struct config *config = &call->vswitch->config;
	json_t *bridges = json_array();

	(void)e;
	for (size_t i = 0; i < config->n_bridges; i++)
		(void)!json_array_append_new(bridges, json_string(config->bridges[i].name));
	methods_set(call->result, "bridges", bridges);
	return 0;
}

int method_list_ports(struct rpc_call *call, struct error *e)
{
	const struct config_bridge *bridge = methods_get_bridge(call, e);
	json_t *ports = json_array();

	methods_set(call->result, "ports", ports);
	if (!bridge)
		return -ENOENT;
	for (size_t i = 0; i < bridge->n_ports; i++)
		(void)!json_array_append_new(ports, json_string(bridge->ports[i].name));
	return 0;
}

/* An option as {"option", "help", "values", "initial"}. */
static json_t *describe_option(const struct port_option_def *def)
{
	return json_pack("{s:s, s:s, s:s*, s:s*}", "option", def->name, "help", def->help, "values",
			 def->values, "initial", def->initial);
}

static json_t *describe_options(const struct port_option_def *def)
{
	json_t *options = json_array();

	for (; def && def->name; def++)
		(void)!json_array_append_new(options, describe_option(def));
	return options;
}

int method_list_types(struct rpc_call *call, struct error *e)
{
	json_t *types = json_array();

	(void)e;
	for (const struct port_class *const *class = port_classes; *class; class ++)
		(void)!json_array_append_new(types,
					     json_pack("{s:s, s:s, s:o}", "type", (*class)->type,
						       "help", (*class)->help, "options",
						       describe_options((*class)->options)));
	methods_set(call->result, "types", types);
	methods_set(call->result, "bridge_options", describe_options(bridge_port_options));
	return 0;
}

/* ---- counters ---------------------------------------------------------------------------------
 */

/* Drops by reason, those that there are; `kernel`: the kernel's losses, or the others. */
static json_t *drops_to_json(const struct port_counters *counters, bool kernel)
{
	json_t *object = json_object();

	for (int i = 0; i < DROP_N_REASONS; i++) {
		enum drop_reason reason = (enum drop_reason)i;

		if (drop_reason_is_kernel(reason) == kernel && counters->drops[reason])
			methods_set(object, drop_reason_name(reason),
				    counter(counters->drops[reason]));
	}
	return object;
}

static json_t *describe_counters(struct vswitch *vs, const struct vswitch_port *live)
{
	struct port *port = live->port_no ? datapath_get_port(vs->dp, live->port_no) : NULL;
	const struct config_bridge *bridge = config_lookup_bridge(&vs->config, live->bridge);
	const struct config_port *config =
		live->is_local ? NULL : config_lookup_port(NULL, bridge, live->name, NULL);
	json_t *object = json_object();
	struct port_counters sum;

	methods_set(object, "port", json_string(live->name));
	methods_set(object, "ofport", json_integer(config ? config->ofport : OFPORT_LOCAL));
	if (port) {
		/* what vanished is noticed by the periodic work */
		if (port->class->refresh && port->class->refresh(port) == -ENODEV)
			methods_set(object, "vanished", json_true());
		port_sum_counters(port, &sum);
		methods_set(object, "rx_packets", counter(sum.rx_packets));
		methods_set(object, "rx_bytes", counter(sum.rx_bytes));
		methods_set(object, "tx_packets", counter(sum.tx_packets));
		methods_set(object, "tx_bytes", counter(sum.tx_bytes));
		methods_set(object, "copies", counter(sum.copies));
		methods_set(object, "drops", drops_to_json(&sum, false));
		methods_set(object, "kernel_drops", drops_to_json(&sum, true));
	}
	tell_state(vs, live->name, object);
	return object;
}

int method_dump_ports(struct rpc_call *call, struct error *e)
{
	struct vswitch *vs = call->vswitch;
	struct config_bridge *bridge = methods_get_bridge(call, e);
	const char *name = rpc_get_string(call, "port");
	json_t *ports = json_array();

	methods_set(call->result, "ports", ports);
	if (!bridge)
		return -ENOENT;
	datapath_fold_counters(vs->dp);
	if (name && strcmp(name, bridge->name) != 0 && !vswitch_lookup_port(bridge, name, e))
		return -ENOENT;
	for (size_t i = 0; i < vs->n_ports; i++) {
		const struct vswitch_port *live = vs->ports[i];

		if (strcmp(live->bridge, bridge->name) == 0 &&
		    (!name || strcmp(live->name, name) == 0))
			(void)!json_array_append_new(ports, describe_counters(vs, live));
	}
	return 0;
}

/* Stands for the ports that were removed, in a list of drops. */
#define REMOVED_PORTS "(removed)"

/* Sums over all ports, for the balance of drop.h. */
struct totals {
	uint64_t rx, copies, tx, drops, kernel_drops, device_drops;
};

static void add_drops(const char *name, const struct port_counters *sum, json_t *drops,
		      struct totals *totals)
{
	static const char *const stages[] = {
		[DROP_STAGE_KERNEL] = "kernel",
		[DROP_STAGE_RX] = "rx",
		[DROP_STAGE_FLOW] = "flow",
		[DROP_STAGE_TX] = "tx",
		[DROP_STAGE_DEVICE] = "device",
	};

	totals->rx += sum->rx_packets;
	totals->copies += sum->copies;
	totals->tx += sum->tx_packets;
	for (int i = 0; i < DROP_N_REASONS; i++) {
		enum drop_reason reason = (enum drop_reason)i;
		enum drop_stage stage = drop_reason_stage(reason);

		if (stage == DROP_STAGE_KERNEL)
			totals->kernel_drops += sum->drops[reason];
		else if (stage == DROP_STAGE_DEVICE)
			totals->device_drops += sum->drops[reason];
		else
			totals->drops += sum->drops[reason];
		if (sum->drops[reason])
			(void)!json_array_append_new(
				drops,
				json_pack("{s:s, s:s, s:s, s:I, s:s}", "port", name, "reason",
					  drop_reason_name(reason), "stage", stages[stage],
					  "packets", (json_int_t)sum->drops[reason], "help",
					  drop_reason_help(reason)));
	}
}

int method_drops(struct rpc_call *call, struct error *e)
{
	struct vswitch *vs = call->vswitch;
	json_t *drops = json_array();
	struct totals totals = {0};
	struct port_counters sum;

	(void)e;
	datapath_fold_counters(vs->dp);
	for (size_t i = 0; i < vs->n_ports; i++) {
		struct port *port = vs->ports[i]->port_no
					    ? datapath_get_port(vs->dp, vs->ports[i]->port_no)
					    : NULL;

		if (!port)
			continue;
		/* its own refresh tells what the kernel dropped; a vanished one keeps its last word
		 */
		if (port->class->refresh)
			(void)!port->class->refresh(port);
		port_sum_counters(port, &sum);
		add_drops(port->name, &sum, drops, &totals);
	}
	datapath_get_removed_counters(vs->dp, &sum);
	add_drops(REMOVED_PORTS, &sum, drops, &totals);
	methods_set(call->result, "drops", drops);
	methods_set(call->result, "rx_packets", counter(totals.rx));
	methods_set(call->result, "copies", counter(totals.copies));
	methods_set(call->result, "tx_packets", counter(totals.tx));
	methods_set(call->result, "dropped", counter(totals.drops));
	methods_set(call->result, "kernel_dropped", counter(totals.kernel_drops));
	methods_set(call->result, "device_dropped", counter(totals.device_drops));
	return 0;
}

/* ---- workers and memory -----------------------------------------------------------------------
 */

static json_t *describe_tier0(struct datapath *dp)
{
	const char *why = datapath_get_tier0_error(dp);
	json_t *object = json_object();
	struct tier0_stats stats;

	datapath_get_tier0_stats(dp, &stats);
	methods_set(object, "on", json_boolean(stats.is_on));
	if (!stats.is_on)
		methods_set(object, "why",
			    json_string(why[0] ? why : "no port can use it so far"));
	methods_set(object, "flows", json_integer(stats.n_flows));
	methods_set(object, "max_flows", json_integer(stats.max_flows));
	methods_set(object, "leaving", json_integer(stats.n_waiting));
	methods_set(object, "masks", json_integer(stats.n_masks));
	methods_set(object, "inserted", counter(stats.n_inserted));
	methods_set(object, "refused", counter(stats.n_refused));
	methods_set(object, "insert_ns", counter(stats.insert_ns));
	methods_set(object, "bytes", counter(stats.memory));
	if (stats.pinned)
		methods_set(object, "pinned", json_string(stats.pinned));
	else
		methods_set(object, "why_not_pinned",
			    json_string(stats.why_not_pinned[0] ? stats.why_not_pinned
								: "--bpffs none"));
	return object;
}

int method_workers(struct rpc_call *call, struct error *e)
{
	struct datapath *dp = call->vswitch->dp;
	json_t *workers = json_array();

	(void)e;
	datapath_fold_counters(dp);
	for (unsigned int i = 0; i < datapath_get_n_workers(dp); i++) {
		json_t *object = json_object();
		struct worker_stats stats;

		datapath_get_worker_stats(dp, i, &stats);
		methods_set(object, "worker", json_integer(i));
		methods_set(object, "core", json_integer(stats.core));
		methods_set(object, "rx_packets", counter(stats.rx_packets));
		methods_set(object, "hits_tier0", counter(stats.hits_tier0));
		methods_set(object, "hits_signature", counter(stats.hits_signature));
		methods_set(object, "hits_megaflow", counter(stats.hits_megaflow));
		methods_set(object, "misses", counter(stats.misses));
		methods_set(object, "revalidations", counter(stats.revalidations));
		methods_set(object, "subtables_probed", counter(stats.subtables_probed));
		methods_set(object, "polls", counter(stats.polls));
		methods_set(object, "sleeps", counter(stats.sleeps));
		methods_set(object, "busy_ns", counter(stats.busy_ns));
		methods_set(object, "flows", json_integer(stats.n_flows));
		methods_set(object, "masks", json_integer(stats.n_subtables));
		(void)!json_array_append_new(workers, object);
	}
	methods_set(call->result, "workers", workers);
	methods_set(call->result, "tier0", describe_tier0(dp));
	methods_set(call->result, "uptime_ns", counter(clock_now() - call->vswitch->started_ns));
	return 0;
}

/* Resident pages of the process, in bytes; 0: unknown. */
static uint64_t resident_size(void)
{
	unsigned long size, resident;
	FILE *in = fopen("/proc/self/statm", "re");
	int n;

	if (!in)
		return 0;
	n = fscanf(in, "%lu %lu", &size, &resident);
	fclose(in);
	return n == 2 ? (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

int method_mem(struct rpc_call *call, struct error *e)
{
	struct datapath *dp = call->vswitch->dp;
	const struct frame_pool *pool = datapath_get_pool(dp);
	uint32_t n_free = frame_pool_count(pool, FRAME_FREE);
	uint32_t n_held = frame_pool_count(pool, FRAME_HELD);
	uint64_t flows = 0, rules = 0;

	(void)e;
	for (unsigned int i = 0; i < datapath_get_n_workers(dp); i++) {
		struct worker_stats stats;

		datapath_get_worker_stats(dp, i, &stats);
		flows += stats.n_flows;
	}
	for (const struct bridge *bridge = bridge_get_next(call->vswitch->bridges, NULL); bridge;
	     bridge = bridge_get_next(call->vswitch->bridges, bridge))
		rules += flow_table_get_n_rules(bridge_get_flow_table(bridge), FLOW_TABLE_ALL);
	methods_set(call->result, "resident_bytes", counter(resident_size()));
	methods_set(call->result, "frames", json_integer(pool->n_frames));
	methods_set(call->result, "frame_bytes", json_integer(FRAME_SIZE));
	methods_set(call->result, "frames_free", json_integer(n_free));
	methods_set(call->result, "frames_held", json_integer(n_held));
	methods_set(call->result, "frames_lent", json_integer(pool->n_frames - n_free - n_held));
	methods_set(call->result, "cached_flows", counter(flows));
	methods_set(call->result, "rules", counter(rules));
	return 0;
}
