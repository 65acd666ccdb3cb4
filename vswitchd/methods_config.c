/* SPDX-License-Identifier: BSD-2-Clause */
/* Methods that change the configuration: edits of a config value, and the change that follows. */
#include "vswitchd/methods.h"

#include "datapath/port.h"
#include "lib/log.h"
#include "vswitchd/container.h"
#include "vswitchd/libvirt_plan.h"
#include "vswitchd/process.h"
#include "vswitchd/vswitch_rules.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Changes `config` as the call says, and nothing else. */
typedef int edit_fn(struct config *config, struct rpc_call *call, struct error *e);

/* ---- words of many edits ----------------------------------------------------------------------
 */

int methods_edit_options(struct config_options *options, const json_t *object, struct error *e)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		const char *text = json_string_value(value);

		if (!key[0] || strchr(key, '='))
			return error_set(e, EINVAL, "'%s' is no name of an option", key);
		if (config_options_set(options, key, text[0] ? text : NULL))
			return error_set(e, ENOMEM, "out of memory");
	}
	return 0;
}

static struct config_bridge *lookup_bridge(struct config *config, const struct rpc_call *call,
					   struct error *e)
{
	return vswitch_lookup_bridge(config, rpc_get_string(call, "bridge"), e);
}

/* ---- edits: bridges ---------------------------------------------------------------------------
 */

/* A script need not name ports that follow domains: the bridge has those that it has now. */
static int keep_followed(struct config *config, struct config_bridge *bridge,
			 const struct config *now)
{
	const struct config_bridge *old = config_lookup_bridge(now, bridge->name);
	int err = 0;

	for (size_t i = 0; old && i < old->n_ports && !err; i++) {
		const struct config_port *port = &old->ports[i];

		if (libvirt_port_follows(port) &&
		    !config_lookup_port(config, NULL, port->name, NULL))
			err = config_copy_port(config, bridge, port);
	}
	return err;
}

static int edit_add_br(struct config *config, struct rpc_call *call, struct error *e)
{
	const struct config_rule *initial = &call->vswitch->initial;
	const char *name = rpc_get_string(call, "bridge");
	struct config_bridge *bridge;
	char *text;

	if (rpc_get_bool(call, "may_exist") && config_lookup_bridge(config, name))
		return 0;
	bridge = config_add_bridge(config, name, e);
	if (!bridge)
		return config_lookup_bridge(config, name) ? -EEXIST : -EINVAL;
	text = strdup(initial->text);
	if (!text || config_append_rule(bridge, initial->key, text) ||
	    keep_followed(config, bridge, &call->vswitch->config))
		return error_set(e, ENOMEM, "out of memory");
	return methods_edit_options(&bridge->options, json_object_get(call->params, "options"), e);
}

static int edit_del_br(struct config *config, struct rpc_call *call, struct error *e)
{
	const char *name = rpc_get_string(call, "bridge");

	if (rpc_get_bool(call, "if_exists") && !config_lookup_bridge(config, name))
		return 0;
	if (!vswitch_lookup_bridge(config, name, e))
		return -ENOENT;
	config_remove_bridge(config, name);
	return 0;
}

static int edit_set_br(struct config *config, struct rpc_call *call, struct error *e)
{
	struct config_bridge *bridge = lookup_bridge(config, call, e);

	if (!bridge)
		return -ENOENT;
	return methods_edit_options(&bridge->options, json_object_get(call->params, "options"), e);
}

/* ---- edits: ports -----------------------------------------------------------------------------
 */

/* Type and number of a new port. */
static int edit_new_port(struct config_port *port, const struct rpc_call *call, struct error *e)
{
	uint32_t ofport = rpc_get_uint(call, "ofport_request", 0);

	if (rpc_has(call, "ofport_request") && (ofport < 1 || ofport > OFPORT_MAX))
		return error_set(e, EINVAL, "ofport_request=%u: must be from 1 to %u", ofport,
				 OFPORT_MAX);
	port->ofport = ofport;
	return methods_edit_options(&port->options, json_object_get(call->params, "options"), e);
}

/* --may-exist: is the port there as asked for? */
static int check_may_exist(const struct config_bridge *bridge, const struct config_bridge *owner,
			   const struct config_port *port, const char *type, struct error *e)
{
	if (owner != bridge)
		return error_set(e, EEXIST, "port %s exists, but in bridge %s", port->name,
				 owner->name);
	if (strcmp(port->type, type) != 0)
		return error_set(e, EEXIST, "port %s exists, but its type is %s", port->name,
				 port->type);
	return 0;
}

/* Does the call make a port that follows a domain? */
static bool names_followed(const struct rpc_call *call)
{
	const char *by = json_string_value(json_object_get(
		json_object_get(call->params, "options"), LIBVIRT_LABEL_BY));

	return by && strcmp(by, LIBVIRT_BY_FOLLOW) == 0;
}

/* --force: says what its owner agrees to, so that it need not be asked again. */
static int force_new(struct config_port *port, struct error *e)
{
	static const char keep_host[] = "keep-host";
	const struct port_class *class = port_class_lookup(port->type, NULL);

	if (!class || !port_class_has_option(class, keep_host) ||
	    config_options_get(&port->options, keep_host))
		return 0;
	if (config_options_set(&port->options, keep_host, "off"))
		return error_set(e, ENOMEM, "out of memory");
	return 0;
}

static int edit_add_port(struct config *config, struct rpc_call *call, struct error *e)
{
	struct config_bridge *bridge = lookup_bridge(config, call, e), *owner = NULL;
	const char *name = rpc_get_string(call, "port");
	const char *type = rpc_get_string(call, "type");
	struct config_port *port;
	int err;

	if (!bridge)
		return -ENOENT;
	if (!type)
		type = VSWITCH_TYPE_DEFAULT;
	port = config_lookup_port(config, NULL, name, &owner);
	if (port && rpc_get_bool(call, "may_exist"))
		return check_may_exist(bridge, owner, port, type, e);
	if (port && owner == bridge && libvirt_port_follows(port) && names_followed(call)) {
		/* a script from `export` names what keep_followed() has kept */
		config_remove_port(bridge, name);
		port = NULL;
	}
	if (port)
		return error_set(e, EEXIST, "port %s exists already, in bridge %s", name,
				 owner->name);
	port = config_add_port(config, bridge, name, type, e);
	err = port ? edit_new_port(port, call, e) : -EINVAL;
	if (!err && rpc_get_bool(call, "force"))
		err = force_new(port, e);
	/* One that is there already was agreed to. */
	if (!err && !config_lookup_port(&call->vswitch->config, NULL, name, NULL))
		err = vswitch_check_new(port, e);
	return err;
}

static int edit_del_port(struct config *config, struct rpc_call *call, struct error *e)
{
	struct config_bridge *bridge = lookup_bridge(config, call, e);
	const char *name = rpc_get_string(call, "port");
	struct config_port *port;

	if (!bridge)
		return -ENOENT;
	if (rpc_get_bool(call, "if_exists") && !config_lookup_port(config, bridge, name, NULL))
		return 0;
	if (strcmp(name, bridge->name) == 0)
		return error_set(
			e, EINVAL,
			"port %s is the bridge's own; take it away with 'set-br %s local=no'", name,
			name);
	port = vswitch_lookup_port(bridge, name, e);
	if (!port)
		return -ENOENT;
	if (libvirt_port_follows(port))
		return error_set(e, EBUSY,
				 "port %s follows domain %s, and would come again: take the "
				 "interface out of the domain, or its bridge out of the metadata",
				 name, config_options_get(&port->options, LIBVIRT_LABEL_DOMAIN));
	config_forget_port(bridge, name);
	return 0;
}

static int edit_set_port(struct config *config, struct rpc_call *call, struct error *e)
{
	struct config_bridge *bridge = lookup_bridge(config, call, e);
	struct config_port *port =
		bridge ? vswitch_lookup_port(bridge, rpc_get_string(call, "port"), e) : NULL;

	if (!port)
		return -ENOENT;
	return methods_edit_options(&port->options, json_object_get(call->params, "options"), e);
}

/* ---- edits: containers ------------------------------------------------------------------------
 */

static struct config_port *lookup_container(const struct config_bridge *bridge, const char *name)
{
	for (size_t i = 0; i < bridge->n_ports; i++) {
		const char *container = bridge->ports[i].container;

		if (container && strcmp(container, name) == 0)
			return &bridge->ports[i];
	}
	return NULL;
}

static int edit_container_options(struct config_port *port, const struct rpc_call *call,
				  struct error *e)
{
	static const char *const keys[] = {"ifname", "ip", "gateway", "mac"};
	char mtu[16];
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys) && !err; i++) {
		if (rpc_has(call, keys[i]))
			err = config_options_set(&port->container_options, keys[i],
						 rpc_get_string(call, keys[i]));
	}
	if (!err && rpc_has(call, "mtu")) {
		snprintf(mtu, sizeof(mtu), "%u", rpc_get_uint(call, "mtu", 0));
		err = config_options_set(&port->container_options, "mtu", mtu);
	}
	return err ? error_set(e, err, "out of memory") : 0;
}

/*
 * The type of a container's port that is asked for without one: the first that the machine can
 * have. Tells the caller why it is not the best. Returns NULL when it can have none.
 */
static const char *choose_container_type(const struct rpc_call *call, struct error *e)
{
	static const char *const types[] = {"veth", "afxdp", "packet"};
	struct error best = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		const struct port_class *class = port_class_lookup(types[i], NULL);
		struct error why = ERROR_INIT;

		if (class && (!class->probe || !class->probe(&why))) {
			if (i == 0)
				return types[i];
			log_warn("containers get ports of type %s, no better one: %s", types[i],
				 best.text);
			methods_set(call->result, "type", json_string(types[i]));
			methods_set(call->result, "why", json_string(best.text));
			return types[i];
		}
		if (i == 0)
			best = why;
	}
	error_set(e, EOPNOTSUPP, "%s", best.text);
	return NULL;
}

/* A container's new port. Returns NULL with `e` set. */
static struct config_port *add_container(struct config *config, struct config_bridge *bridge,
					 const struct rpc_call *call, struct error *e)
{
	const char *container = rpc_get_string(call, "container");
	const char *type = rpc_get_string(call, "type");
	struct config_port *port;
	char name[IFNAMSIZ];

	if (!type)
		type = choose_container_type(call, e);
	if (!type)
		return NULL;
	container_format_ifname(bridge->name, container, name);
	port = config_add_port(config, bridge, name, type, e);
	if (!port)
		return NULL;
	port->container = strdup(container);
	if (port->container)
		return port;
	error_set(e, ENOMEM, "out of memory");
	return NULL;
}

/* Another type, if one is asked for, and other options. */
static int change_container(struct config_port *port, const struct rpc_call *call, struct error *e)
{
	const char *type = rpc_get_string(call, "type");

	if (type && strcmp(type, port->type) != 0) {
		char *copy = strdup(type);

		if (!copy)
			return error_set(e, ENOMEM, "out of memory");
		free(port->type);
		port->type = copy;
	}
	config_options_uninit(&port->container_options);
	return methods_edit_options(&port->options, json_object_get(call->params, "options"), e);
}

/* Attaching what is attached changes what differs: the call is idempotent. */
static int edit_attach_container(struct config *config, struct rpc_call *call, struct error *e)
{
	struct config_bridge *bridge = lookup_bridge(config, call, e);
	const char *container = rpc_get_string(call, "container");
	char process[PROCESS_IDENTITY_SIZE];
	struct config_port *port;
	int err;

	if (!bridge)
		return -ENOENT;
	if (!container[0])
		return error_set(e, EINVAL, "a container is a namespace's name or path, or a PID");
	port = lookup_container(bridge, container);
	if (port) {
		err = change_container(port, call, e);
	} else {
		port = add_container(config, bridge, call, e);
		err = port ? edit_new_port(port, call, e) : -EINVAL;
	}
	if (!err)
		err = edit_container_options(port, call, e);
	if (!err && process_get_identity(container, process)) {
		free(port->process);
		port->process = strdup(process);
	}
	if (!err)
		methods_set(call->result, "port", json_string(port->name));
	return err;
}

static int edit_detach_container(struct config *config, struct rpc_call *call, struct error *e)
{
	struct config_bridge *bridge = lookup_bridge(config, call, e);
	const char *container = rpc_get_string(call, "container");
	struct config_port *port;

	if (!bridge)
		return -ENOENT;
	port = lookup_container(bridge, container);
	if (!port && rpc_get_bool(call, "if_exists"))
		return 0;
	if (!port)
		return error_set(e, ENOENT, "bridge %s has no container %s", bridge->name,
				 container);
	config_forget_port(bridge, port->name);
	return 0;
}

/* ---- edits: MAC addresses ---------------------------------------------------------------------
 */

static int parse_mac(const struct rpc_call *call, uint8_t address[6], uint16_t *vlan,
		     struct error *e)
{
	const char *text = rpc_get_string(call, "mac");
	uint32_t number = rpc_get_uint(call, "vlan", 0);
	struct span span = {text, strlen(text)};

	if (!scan_mac(span, address))
		return error_set(e, EINVAL, "'%.40s' is no MAC address, such as 02:00:5e:00:53:01",
				 text);
	if (address[0] & 1)
		return error_set(e, EINVAL, "%s is a multicast address: it lives behind no port",
				 text);
	if (number > VLAN_MAX)
		return error_set(e, EINVAL, "vlan=%u: must be from 0 to %u", number, VLAN_MAX);
	*vlan = (uint16_t)number;
	return 0;
}

static int edit_fdb_add(struct config *config, struct rpc_call *call, struct error *e)
{
	struct config_bridge *bridge = lookup_bridge(config, call, e);
	const char *port = rpc_get_string(call, "port");
	uint8_t address[6];
	uint16_t vlan;
	int err;

	if (!bridge || (strcmp(port, bridge->name) != 0 && !vswitch_lookup_port(bridge, port, e)))
		return -ENOENT;
	err = parse_mac(call, address, &vlan, e);
	if (!err && config_set_mac(bridge, address, vlan, port))
		err = error_set(e, ENOMEM, "out of memory");
	return err;
}

static int edit_fdb_del(struct config *config, struct rpc_call *call, struct error *e)
{
	struct config_bridge *bridge = lookup_bridge(config, call, e);
	uint8_t address[6];
	uint16_t vlan;
	int err;

	if (!bridge)
		return -ENOENT;
	err = parse_mac(call, address, &vlan, e);
	if (!err && config_remove_mac(bridge, address, vlan))
		err = error_set(e, ENOENT, "bridge %s has no static address %s", bridge->name,
				rpc_get_string(call, "mac"));
	return err;
}

/* ---- edits: rules, in scripts only ------------------------------------------------------------
 */

/* Rules name ports, so ports need their numbers by now: those that they have, or new ones. */
static int edit_rules(struct config *config, struct rpc_call *call, const char *text,
		      const char *file, bool replaces, struct error *e)
{
	struct config_bridge *bridge = lookup_bridge(config, call, e);
	int err;

	if (!bridge)
		return -ENOENT;
	err = config_assign_ofports(config, &call->vswitch->config, e);
	if (err)
		return err;
	if (replaces)
		config_clear_rules(bridge);
	return vswitch_append_rules(bridge, text, file, &call->line, e);
}

static int edit_add_flow(struct config *config, struct rpc_call *call, struct error *e)
{
	return edit_rules(config, call, rpc_get_string(call, "rule"), NULL, false, e);
}

static const char *script_name(const struct rpc_call *call)
{
	return rpc_has(call, "file") ? rpc_get_string(call, "file") : "-";
}

static int edit_add_flows(struct config *config, struct rpc_call *call, struct error *e)
{
	return edit_rules(config, call, rpc_get_string(call, "text"), script_name(call), false, e);
}

static int edit_replace_flows(struct config *config, struct rpc_call *call, struct error *e)
{
	return edit_rules(config, call, rpc_get_string(call, "text"), script_name(call), true, e);
}

static int edit_del_flows(struct config *config, struct rpc_call *call, struct error *e)
{
	struct config_bridge *bridge = lookup_bridge(config, call, e);

	if (!bridge)
		return -ENOENT;
	if (rpc_has(call, "match") || rpc_has(call, "strict"))
		return error_set(e, EINVAL, "in a script del-flows deletes all rules: no match");
	config_clear_rules(bridge);
	return 0;
}

/* ---- methods: one edit and the change ---------------------------------------------------------
 */

static int change(struct rpc_call *call, edit_fn *edit, struct error *e)
{
	struct vswitch *vs = call->vswitch;
	struct config wanted;
	int err;

	if (config_clone(&wanted, &vs->config))
		return error_set(e, ENOMEM, "out of memory");
	err = edit(&wanted, call, e);
	if (err) {
		config_uninit(&wanted);
		return err;
	}
	return vswitch_change(vs, &vs->config, &wanted, e);
}

int method_add_br(struct rpc_call *call, struct error *e)
{
	return change(call, edit_add_br, e);
}

int method_del_br(struct rpc_call *call, struct error *e)
{
	return change(call, edit_del_br, e);
}

int method_set_br(struct rpc_call *call, struct error *e)
{
	return change(call, edit_set_br, e);
}

/* Tells the number that a port got. */
static void tell_ofport(struct rpc_call *call, const char *name)
{
	const struct config_port *port =
		config_lookup_port(&call->vswitch->config, NULL, name, NULL);

	if (port)
		methods_set(call->result, "ofport", json_integer(port->ofport));
}

int method_add_port(struct rpc_call *call, struct error *e)
{
	int err = change(call, edit_add_port, e);

	if (!err)
		tell_ofport(call, rpc_get_string(call, "port"));
	return err;
}

int method_del_port(struct rpc_call *call, struct error *e)
{
	return change(call, edit_del_port, e);
}

int method_set_port(struct rpc_call *call, struct error *e)
{
	return change(call, edit_set_port, e);
}

int method_attach_container(struct rpc_call *call, struct error *e)
{
	int err = change(call, edit_attach_container, e);

	if (!err)
		tell_ofport(call, json_string_value(json_object_get(call->result, "port")));
	return err;
}

int method_detach_container(struct rpc_call *call, struct error *e)
{
	return change(call, edit_detach_container, e);
}

int method_fdb_add(struct rpc_call *call, struct error *e)
{
	return change(call, edit_fdb_add, e);
}

int method_fdb_del(struct rpc_call *call, struct error *e)
{
	return change(call, edit_fdb_del, e);
}

/* ---- export and apply -------------------------------------------------------------------------
 */

static int append_command(void *aux, const char *command)
{
	return json_array_append_new(aux, json_string(command)) ? -ENOMEM : 0;
}

int method_export(struct rpc_call *call, struct error *e)
{
	struct vswitch *vs = call->vswitch;
	json_t *commands = json_array();
	struct config now, nothing;
	struct config_diff diff = {0};
	int err;

	methods_set(call->result, "commands", commands);
	err = vswitch_get_config(vs, &now, e);
	if (err)
		return err;
	config_init(&nothing);
	err = config_diff_create(&nothing, &now, &vs->initial, &diff);
	for (size_t i = 0; i < diff.n && !err; i++) {
		char *command = config_action_format(&diff.actions[i], vswitch_format_row, NULL);

		err = command ? append_command(commands, command) : -ENOMEM;
		free(command);
	}
	config_diff_uninit(&diff);
	config_uninit(&now);
	return err ? error_set(e, err, "out of memory") : 0;
}

/* Commands that may stand in a script. */
static const struct {
	const char *name;
	edit_fn *edit;
} edits[] = {
	{"add-br", edit_add_br},
	{"set-br", edit_set_br},
	{"add-port", edit_add_port},
	{"set-port", edit_set_port},
	{"attach-container", edit_attach_container},
	{"fdb-add", edit_fdb_add},
	{"add-flow", edit_add_flow},
	{"add-flows", edit_add_flows},
	{"replace-flows", edit_replace_flows},
	{"del-flows", edit_del_flows},
};

static edit_fn *lookup_edit(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
		if (strcmp(edits[i].name, name) == 0)
			return edits[i].edit;
	}
	return NULL;
}

/* Runs one command of a script, {"method": ..., "params": ...}, on the config. */
static int run_edit(struct config *config, struct rpc_call *call, const json_t *command,
		    struct error *e)
{
	const char *name = json_string_value(json_object_get(command, "method"));
	const json_t *params = json_object_get(command, "params");
	struct rpc_call inner = {
		.vswitch = call->vswitch, .params = params, .result = call->result};
	const struct rpc_method *method = name ? rpc_lookup(methods, name) : NULL;
	edit_fn *edit = method ? lookup_edit(name) : NULL;
	const char *param;
	int err;

	if (!edit)
		return error_set(
			e, EINVAL,
			"'%.60s' does not say how things shall be: it has no place in a script",
			name ? name : "");
	if (params && !json_is_object(params))
		return error_set(e, EINVAL, "\"params\" is an object");
	err = rpc_check_params(method, params, &param, e);
	return err ? err : edit(config, &inner, e);
}

/* Runs the whole script on an empty config; a failure says FILE:LINE. */
static int run_script(struct config *config, struct rpc_call *call, struct error *e)
{
	const json_t *commands = json_object_get(call->params, "commands");
	size_t i;
	json_t *command;
	int err;

	json_array_foreach(commands, i, command)
	{
		json_int_t line = json_integer_value(json_object_get(command, "line"));

		err = run_edit(config, call, command, e);
		if (err) {
			call->file = script_name(call);
			call->line = line > 0 && line <= UINT32_MAX ? (unsigned int)line
								    : (unsigned int)i + 1;
			return error_prefix(e, err, "%s:%u", call->file, call->line);
		}
	}
	return 0;
}

int method_apply(struct rpc_call *call, struct error *e)
{
	struct vswitch *vs = call->vswitch;
	json_t *actions = json_array();
	struct config now, wanted;
	int err;

	config_init(&wanted);
	err = run_script(&wanted, call, e);
	if (!err)
		err = vswitch_get_config(vs, &now, e);
	if (err)
		goto out;
	err = vswitch_plan(vs, &now, &wanted, append_command, actions, e);
	if (!err && !rpc_get_bool(call, "dry_run"))
		err = vswitch_change(vs, &now, &wanted, e);
	config_uninit(&now);

out:
	config_uninit(&wanted);
	json_object_clear(call->result);
	methods_set(call->result, "actions", actions);
	methods_set(call->result, "dry_run", json_boolean(rpc_get_bool(call, "dry_run")));
	return err;
}
