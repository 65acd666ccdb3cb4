/* SPDX-License-Identifier: BSD-2-Clause */
/* From a wanted config to a changed switch, or to an unchanged one: see vswitch.h for the order. */
#include "vswitchd/vswitch_priv.h"

#include "lib/log.h"
#include "vswitchd/vswitch_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A change under way. */
struct change {
	struct vswitch *vs;
	const struct config *from;
	const struct config *to;
	bool tolerant; /* what cannot be opened stays closed, and is no failure */
};

/* ---- checks -----------------------------------------------------------------------------------
 */

static int parse_number(const char *key, const char *text, uint32_t *number, struct error *e)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || value > UINT32_MAX)
		return error_set(e, EINVAL, "%s=%s: must be a number", key, text);
	*number = (uint32_t)value;
	return 0;
}

/* A bridge's options as values. */
struct bridge_settings {
	bool local;
	uint32_t mac_ageing; /* s */
	uint32_t mac_limit;
};

static int parse_bridge_settings(const struct config_bridge *bridge,
				 struct bridge_settings *settings, struct error *e)
{
	int err = 0;

	*settings = (struct bridge_settings){.local = true,
					     .mac_ageing = MAC_TABLE_AGEING_DEFAULT,
					     .mac_limit = MAC_TABLE_LIMIT_DEFAULT};
	for (size_t i = 0; i < bridge->options.n && !err; i++) {
		const char *key = bridge->options.items[i].key;
		const char *value = bridge->options.items[i].value;

		if (strcmp(key, VSWITCH_BRIDGE_MAC_AGEING) == 0) {
			err = parse_number(key, value, &settings->mac_ageing, e);
		} else if (strcmp(key, VSWITCH_BRIDGE_MAC_LIMIT) == 0) {
			err = parse_number(key, value, &settings->mac_limit, e);
		} else if (strcmp(key, VSWITCH_BRIDGE_LOCAL) == 0) {
			settings->local = strcmp(value, "yes") == 0;
			if (!settings->local && strcmp(value, "no") != 0)
				err = error_set(e, EINVAL, "%s=%s: must be yes or no", key, value);
		}
	}
	if (!err && settings->mac_ageing > MAC_TABLE_AGEING_MAX)
		err = error_set(e, ERANGE, VSWITCH_BRIDGE_MAC_AGEING "=%u: must be from 0 to %u",
				settings->mac_ageing, MAC_TABLE_AGEING_MAX);
	if (!err && (settings->mac_limit < 1 || settings->mac_limit > MAC_TABLE_LIMIT_MAX))
		err = error_set(e, ERANGE, VSWITCH_BRIDGE_MAC_LIMIT "=%u: must be from 1 to %u",
				settings->mac_limit, MAC_TABLE_LIMIT_MAX);
	return err ? error_prefix(e, err, "bridge %s", bridge->name) : 0;
}

int vswitch_check_bridge(const struct config_bridge *bridge, struct error *e)
{
	struct bridge_settings settings;
	int err;

	err = vswitch_check_local(bridge, e);
	return err ? error_prefix(e, err, "bridge %s", bridge->name)
		   : parse_bridge_settings(bridge, &settings, e);
}

/* Does the MAC name a port that is, or will be, there? */
static int check_mac(const struct config_action *action, struct error *e)
{
	const char *port = action->mac->port;

	if (strcmp(port, action->bridge->name) == 0 ||
	    config_lookup_port(NULL, action->bridge, port, NULL))
		return 0;
	return error_set(e, ENODEV, "bridge %s has no port %s", action->bridge->name, port);
}

static int check_action(const struct config_action *action, struct error *e)
{
	switch (action->type) {
	case CONFIG_ADD_BRIDGE:
	case CONFIG_SET_BRIDGE:
		return vswitch_check_bridge(action->bridge, e);
	case CONFIG_ADD_PORT:
	case CONFIG_SET_PORT:
		return vswitch_check_port(action->bridge, action->port, e);
	case CONFIG_ADD_MAC:
		return check_mac(action, e);
	default:
		return 0; /* removals; and rules, which were text and were parsed */
	}
}

/* ---- carrying out -----------------------------------------------------------------------------
 */

static int set_fdb(struct bridge *bridge, const struct bridge_settings *settings, struct error *e)
{
	int err;

	err = bridge_set_fdb_ageing(bridge, settings->mac_ageing, e);
	if (!err)
		err = bridge_set_fdb_limit(bridge, settings->mac_limit, e);
	return err;
}

/*
 * Opens, changes or closes the host's own port. That it cannot be opened is shown, and is no
 * failure, but options that make no sense are.
 */
static int set_local(struct change *change, const struct config_bridge *config, bool wanted,
		     struct error *e)
{
	struct vswitch *vs = change->vs;
	struct vswitch_port *port = vswitch_get_port(vs, config->name);
	int err;

	if (!wanted) {
		if (port)
			vswitch_remove_port(vs, port);
		return 0;
	}
	if (!port)
		port = vswitch_insert_port(vs, config->name, config->name, true);
	if (!port)
		return error_set(e, ENOMEM, "out of memory");
	err = vswitch_set_local(vs, port, config, config_lookup_bridge(change->from, config->name),
				e);
	if (!err)
		return 0;
	if (err == -EINVAL && !change->tolerant)
		return error_prefix(e, err, "bridge %s", config->name);
	log_info("bridge %s: without a port for the host: %s", config->name, e->text);
	return 0;
}

static void remove_bridge(struct change *change, const char *name)
{
	struct vswitch_port *local = vswitch_get_port(change->vs, name);

	if (local)
		vswitch_remove_port(change->vs, local);
	bridge_destroy(bridge_lookup(change->vs->bridges, name));
}

static int add_bridge(struct change *change, const struct config_bridge *config, struct error *e)
{
	struct bridge_settings settings;
	struct bridge *bridge;
	int err;

	err = parse_bridge_settings(config, &settings, e);
	if (!err)
		err = bridge_create(change->vs->bridges, config->name, &bridge, e);
	if (err)
		return err;
	err = set_fdb(bridge, &settings, e);
	if (!err)
		err = set_local(change, config, settings.local, e);
	if (err)
		remove_bridge(change, config->name);
	return err;
}

static int set_bridge(struct change *change, const struct config_bridge *config, struct error *e)
{
	struct bridge *bridge = bridge_lookup(change->vs->bridges, config->name);
	struct bridge_settings settings;
	int err;

	err = parse_bridge_settings(config, &settings, e);
	if (!err)
		err = set_fdb(bridge, &settings, e);
	if (!err)
		err = set_local(change, config, settings.local, e);
	return err;
}

static void remove_port(struct change *change, const struct config_bridge *bridge,
			const struct config_port *config)
{
	struct vswitch_port *port = vswitch_get_port(change->vs, config->name);

	if (port)
		vswitch_remove_port(change->vs, port);
	if (config->container)
		vswitch_detach_container(bridge, config);
}

static int add_port(struct change *change, const struct config_bridge *bridge,
		    const struct config_port *config, struct error *e)
{
	struct vswitch_port *port =
		vswitch_insert_port(change->vs, bridge->name, config->name, false);
	int err;

	if (!port)
		return error_set(e, ENOMEM, "out of memory");
	err = vswitch_open_port(change->vs, port, bridge, config, e);
	if (!err)
		return 0;
	if (change->tolerant) {
		log_warn("bridge %s: port %s: %s; it is opened when that is put right",
			 bridge->name, config->name, e->text);
		return 0;
	}
	remove_port(change, bridge, config);
	return err;
}

static int add_mac(struct change *change, const struct config_bridge *config,
		   const struct config_mac *mac, struct error *e)
{
	struct vswitch_port *port = vswitch_get_port(change->vs, mac->port);

	/* a port that is not open gets its addresses when it is */
	if (!port || !port->port_no)
		return 0;
	return bridge_add_static_mac(bridge_lookup(change->vs->bridges, config->name), mac->address,
				     mac->vlan, mac->port, e);
}

static void remove_mac(struct change *change, const char *bridge, const struct config_mac *mac)
{
	struct error e = ERROR_INIT;

	/* it is not there if its port is not */
	if (bridge_remove_mac(bridge_lookup(change->vs->bridges, bridge), mac->address, mac->vlan,
			      &e))
		log_debug("bridge %s: %s", bridge, e.text);
}

/* Carries one action out that has to do with no rule. */
static int run_action(struct change *change, const struct config_action *action, struct error *e)
{
	switch (action->type) {
	case CONFIG_REMOVE_MAC:
		remove_mac(change, action->bridge->name, action->mac);
		return 0;
	case CONFIG_REMOVE_PORT:
		remove_port(change, action->bridge, action->port);
		return 0;
	case CONFIG_REMOVE_BRIDGE:
		remove_bridge(change, action->bridge->name);
		return 0;
	case CONFIG_ADD_BRIDGE:
		return add_bridge(change, action->bridge, e);
	case CONFIG_SET_BRIDGE:
		return set_bridge(change, action->bridge, e);
	case CONFIG_CLEAR_RULES:
		return vswitch_replace_rules(change->vs, action->bridge, NULL, 0, e);
	case CONFIG_ADD_PORT:
		return add_port(change, action->bridge, action->port, e);
	case CONFIG_SET_PORT:
		return vswitch_set_port(change->vs,
					vswitch_get_port(change->vs, action->port->name),
					action->bridge, action->old_port, action->port, e);
	case CONFIG_ADD_MAC:
		return add_mac(change, action->bridge, action->mac, e);
	case CONFIG_REMOVE_RULE:
	case CONFIG_ADD_RULE:
		break; /* come in runs, see rules_run() */
	}
	return error_set(e, EINVAL, "unknown action");
}

/* How many actions at the front of `actions` concern rules of one bridge: they are carried out at
 * once. */
static size_t rules_run(const struct config_action *actions, size_t n)
{
	size_t length = 0;

	while (length < n &&
	       (actions[length].type == CONFIG_REMOVE_RULE ||
		actions[length].type == CONFIG_ADD_RULE) &&
	       actions[length].bridge == actions[0].bridge)
		length++;
	return length;
}

/* ---- undoing ----------------------------------------------------------------------------------
 */

static void undo_rules(struct change *change, const struct config_bridge *bridge, struct error *e)
{
	const struct config_bridge *old = config_lookup_bridge(change->from, bridge->name);

	if (old && vswitch_replace_rules(change->vs, old, old->rules, old->n_rules, e))
		log_error("bridge %s: cannot restore its rules: %s", bridge->name, e->text);
}

static int undo_remove_bridge(struct change *change, const struct config_bridge *old,
			      struct error *e)
{
	int err;

	err = add_bridge(change, old, e);
	if (!err)
		err = vswitch_replace_rules(change->vs, old, old->rules, old->n_rules, e);
	return err;
}

static int undo_add_mac(struct change *change, const struct config_action *action, struct error *e)
{
	const struct config_bridge *old = config_lookup_bridge(change->from, action->bridge->name);
	const struct config_mac *mac = action->mac;

	remove_mac(change, action->bridge->name, mac);
	for (size_t i = 0; old && i < old->n_macs; i++) {
		if (old->macs[i].vlan == mac->vlan &&
		    memcmp(old->macs[i].address, mac->address, 6) == 0)
			return add_mac(change, old, &old->macs[i], e);
	}
	return 0;
}

static int undo_action(struct change *change, const struct config_action *action, struct error *e)
{
	switch (action->type) {
	case CONFIG_REMOVE_MAC:
		return add_mac(change, action->bridge, action->mac, e);
	case CONFIG_REMOVE_PORT:
		return add_port(change, action->bridge, action->port, e);
	case CONFIG_REMOVE_BRIDGE:
		return undo_remove_bridge(change, action->bridge, e);
	case CONFIG_ADD_BRIDGE:
		remove_bridge(change, action->bridge->name);
		return 0;
	case CONFIG_SET_BRIDGE:
		return set_bridge(change, action->old_bridge, e);
	case CONFIG_ADD_PORT:
		remove_port(change, action->bridge, action->port);
		return 0;
	case CONFIG_SET_PORT:
		return vswitch_set_port(change->vs,
					vswitch_get_port(change->vs, action->port->name),
					action->bridge, action->port, action->old_port, e);
	case CONFIG_ADD_MAC:
		return undo_add_mac(change, action, e);
	case CONFIG_REMOVE_RULE:
	case CONFIG_ADD_RULE:
		undo_rules(change, action->bridge, e);
		return 0;
	case CONFIG_CLEAR_RULES:
		return 0; /* of a new bridge, which goes away */
	}
	return 0;
}

/* Undoes the first `n` actions, last first. What cannot be undone is logged and shown. */
static void undo(struct change *change, const struct config_action *actions, size_t n)
{
	struct error e = ERROR_INIT;
	bool was_tolerant = change->tolerant;

	change->tolerant = true;
	while (n > 0) {
		size_t first = n - 1;

		/* a run of rules is restored as a whole */
		while (first > 0 && rules_run(&actions[first - 1], n - first + 1) == n - first + 1)
			first--;
		if (undo_action(change, &actions[first], &e))
			log_error("cannot undo a refused change: %s", e.text);
		n = first;
	}
	change->tolerant = was_tolerant;
}

/* ---- the whole --------------------------------------------------------------------------------
 */

/* Carries all actions out; on failure those that were are undone. */
static int run(struct change *change, const struct config_diff *diff, struct error *e)
{
	size_t done = 0;
	int err = 0;

	while (done < diff->n && !err) {
		const struct config_action *action = &diff->actions[done];
		size_t length = rules_run(action, diff->n - done);

		if (length > 0)
			err = vswitch_run_rule_actions(change->vs, action, length, e);
		else
			err = run_action(change, action, e);
		if (!err)
			done += MAX(length, (size_t)1);
	}
	if (err)
		undo(change, diff->actions, done);
	return err;
}

static int write_rows(struct vswitch *vs, const struct config_diff *diff, struct error *e)
{
	int err;

	err = store_begin(vs->store, e);
	for (size_t i = 0; i < diff->n && !err; i++) {
		const struct config_action *action = &diff->actions[i];

		err = store_apply_action(vs->store, action, e);
		if (!err && action->type == CONFIG_ADD_BRIDGE)
			err = store_put_rules(vs->store, action->bridge->name, &vs->initial, 1, e);
	}
	if (err)
		store_rollback(vs->store);
	return err;
}

/* Only what takes away? Then nothing can fail. */
static bool is_removal(const struct config_diff *diff)
{
	for (size_t i = 0; i < diff->n; i++) {
		enum config_action_type type = diff->actions[i].type;

		if (type != CONFIG_REMOVE_MAC && type != CONFIG_REMOVE_PORT &&
		    type != CONFIG_REMOVE_BRIDGE)
			return false;
	}
	return true;
}

static int run_and_commit(struct change *change, const struct config_diff *diff, struct error *e)
{
	struct store *store = change->vs->store;
	int err;

	err = write_rows(change->vs, diff, e);
	if (err)
		return err;
	if (is_removal(diff)) {
		err = store_commit(store, e);
		return err ? err : run(change, diff, e);
	}
	err = run(change, diff, e);
	if (err) {
		store_rollback(store);
		return err;
	}
	err = store_commit(store, e);
	if (err)
		undo(change, diff->actions, diff->n);
	return err;
}

/* `wanted` is the present config from now on. */
static void adopt(struct vswitch *vs, struct config *wanted)
{
	for (size_t i = 0; i < wanted->n_bridges; i++)
		config_clear_rules(&wanted->bridges[i]);
	config_uninit(&vs->config);
	vs->config = *wanted;
	vs->n_changes++;
	config_init(wanted);
}

/* The actions, each of them checked. On success `diff` is to be uninitialised. */
static int prepare(struct vswitch *vs, const struct config *from, struct config *wanted,
		   struct config_diff *diff, struct error *e)
{
	int err;

	*diff = (struct config_diff){0};
	err = config_assign_ofports(wanted, from, e);
	if (err)
		return err;
	if (config_diff_create(from, wanted, &vs->initial, diff))
		return error_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; i < diff->n && !err; i++)
		err = check_action(&diff->actions[i], e);
	if (err)
		config_diff_uninit(diff);
	return err;
}

int vswitch_change(struct vswitch *vs, const struct config *from, struct config *wanted,
		   struct error *e)
{
	struct change change = {.vs = vs, .from = from, .to = wanted};
	struct config_diff diff;
	int err;

	err = prepare(vs, from, wanted, &diff, e);
	if (!err && diff.n > 0) {
		vs->n_changing++;
		bridge_table_hold(vs->bridges);
		err = run_and_commit(&change, &diff, e);
		bridge_table_release(vs->bridges);
		vs->n_changing--;
	}
	if (err)
		config_uninit(wanted);
	config_diff_uninit(&diff);
	if (!err)
		adopt(vs, wanted);
	return err;
}

int vswitch_plan(struct vswitch *vs, const struct config *from, struct config *wanted,
		 vswitch_plan_cb *cb, void *aux, struct error *e)
{
	struct config_diff diff;
	int err;

	err = prepare(vs, from, wanted, &diff, e);
	if (err)
		return err;
	for (size_t i = 0; i < diff.n && !err; i++) {
		char *command = config_action_format(&diff.actions[i], vswitch_format_row, NULL);

		err = command ? cb(aux, command) : -ENOMEM;
		free(command);
	}
	config_diff_uninit(&diff);
	return err ? error_set(e, err, "out of memory") : 0;
}

void vswitch_restore(struct vswitch *vs, struct config *wanted)
{
	struct change change = {.vs = vs, .from = &vs->config, .to = wanted, .tolerant = true};
	struct config_diff diff;
	struct error e = ERROR_INIT;
	size_t done = 0;

	if (config_diff_create(&vs->config, wanted, &vs->initial, &diff)) {
		log_error("out of memory for the configuration");
		return;
	}
	bridge_table_hold(vs->bridges);
	while (done < diff.n) {
		const struct config_action *action = &diff.actions[done];
		size_t length = rules_run(action, diff.n - done);

		if (length > 0 ? vswitch_run_rule_actions(vs, action, length, &e)
			       : run_action(&change, action, &e))
			log_error("bridge %s: %s", action->bridge->name, e.text);
		done += MAX(length, (size_t)1);
	}
	bridge_table_release(vs->bridges);
	config_diff_uninit(&diff);
	for (size_t i = 0; i < wanted->n_bridges; i++) {
		if (vswitch_check_rows(vs, &wanted->bridges[i], &e))
			log_error("bridge %s: %s", wanted->bridges[i].name, e.text);
	}
	adopt(vs, wanted);
}
