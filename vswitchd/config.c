/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "openflow/ofaction.h"

/* ---- sorted arrays ----------------------------------------------------------------------------
 */

/* Makes room for one entry at `at` in an array of n entries. Returns the array, or NULL and the old
 * stays. */
static void *array_insert(void *array, size_t n, size_t entry_size, size_t at)
{
	char *grown = realloc(array, (n + 1) * entry_size);

	if (!grown)
		return NULL;
	memmove(grown + (at + 1) * entry_size, grown + at * entry_size, (n - at) * entry_size);
	memset(grown + at * entry_size, 0, entry_size);
	return grown;
}

static void array_remove(void *array, size_t n, size_t entry_size, size_t at)
{
	char *base = array;

	memmove(base + at * entry_size, base + (at + 1) * entry_size, (n - at - 1) * entry_size);
}

/* The first of n entries, each beginning with a char *, that is not before `name`. */
static size_t name_search(const void *array, size_t n, size_t entry_size, const char *name,
			  bool *found)
{
	size_t low = 0, high = n;

	*found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *const *entry =
			(const void *)((const char *)array + middle * entry_size);
		int order = strcmp(*entry, name);

		if (order == 0)
			*found = true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ---- options ----------------------------------------------------------------------------------
 */

static void option_remove(struct config_options *options, size_t at)
{
	free(options->items[at].key);
	free(options->items[at].value);
	array_remove(options->items, options->n, sizeof(*options->items), at);
	options->n--;
}

int config_options_set(struct config_options *options, const char *key, const char *value)
{
	bool found;
	size_t at = name_search(options->items, options->n, sizeof(*options->items), key, &found);
	struct config_option *items;
	char *key_copy, *value_copy;

	if (!value) {
		if (found)
			option_remove(options, at);
		return 0;
	}
	value_copy = strdup(value);
	if (!value_copy)
		return -ENOMEM;
	if (found) {
		free(options->items[at].value);
		options->items[at].value = value_copy;
		return 0;
	}
	key_copy = strdup(key);
	items = key_copy ? array_insert(options->items, options->n, sizeof(*items), at) : NULL;
	if (!items) {
		free(key_copy);
		free(value_copy);
		return -ENOMEM;
	}
	items[at] = (struct config_option){.key = key_copy, .value = value_copy};
	options->items = items;
	options->n++;
	return 0;
}

const char *config_options_get(const struct config_options *options, const char *key)
{
	bool found;
	size_t at = name_search(options->items, options->n, sizeof(*options->items), key, &found);

	return found ? options->items[at].value : NULL;
}

bool config_options_equals(const struct config_options *a, const struct config_options *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (strcmp(a->items[i].key, b->items[i].key) != 0 ||
		    strcmp(a->items[i].value, b->items[i].value) != 0)
			return false;
	}
	return true;
}

int config_options_clone(struct config_options *to, const struct config_options *from)
{
	*to = (struct config_options){0};
	for (size_t i = 0; i < from->n; i++) {
		int err = config_options_set(to, from->items[i].key, from->items[i].value);

		if (err) {
			config_options_uninit(to);
			return err;
		}
	}
	return 0;
}

void config_options_uninit(struct config_options *options)
{
	while (options->n > 0)
		option_remove(options, options->n - 1);
	free(options->items);
	options->items = NULL;
}

/* ---- names ------------------------------------------------------------------------------------
 */

int config_check_name(const char *what, const char *name, size_t size, struct error *e)
{
	/* words that mean something in rules, in place of a port's name */
	static const char *const reserved[] = {
		"normal", "flood", "all",   "in_port", "local",	     "drop",
		"none",	  "any",   "table", "unset",   "controller", "any",
	};
	size_t length = strlen(name);

	if (length == 0)
		return error_set(e, EINVAL, "a %s needs a name", what);
	if (length >= size)
		return error_set(e, EINVAL, "%s '%.80s': a name has at most %zu characters", what,
				 name, size - 1);
	for (const char *c = name; *c; c++) {
		if (*c <= ' ' || *c >= 0x7f || strchr("\"'\\,=/()[]{}:;|&$`<>*?#!~", *c))
			return error_set(e, EINVAL,
					 "%s '%s': a name has letters, digits and any of . _ - @ +",
					 what, name);
	}
	if (name[0] == '-' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(e, EINVAL, "%s '%s': not a name", what, name);
	if (strspn(name, "0123456789") == length)
		return error_set(e, EINVAL,
				 "%s '%s': a name of digits only would be a number in rules", what,
				 name);
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
		if (strcasecmp(reserved[i], name) == 0)
			return error_set(e, EINVAL, "%s '%s': this word has a meaning in rules",
					 what, name);
	}
	return 0;
}

/* ---- bridges and ports ------------------------------------------------------------------------
 */

void config_init(struct config *config)
{
	*config = (struct config){0};
}

static void port_uninit(struct config_port *port)
{
	free(port->name);
	free(port->type);
	free(port->container);
	free(port->process);
	config_options_uninit(&port->options);
	config_options_uninit(&port->container_options);
}

static void bridge_uninit(struct config_bridge *bridge)
{
	free(bridge->name);
	config_options_uninit(&bridge->options);
	for (size_t i = 0; i < bridge->n_ports; i++)
		port_uninit(&bridge->ports[i]);
	for (size_t i = 0; i < bridge->n_macs; i++)
		free(bridge->macs[i].port);
	config_clear_rules(bridge);
	free(bridge->ports);
	free(bridge->macs);
}

void config_uninit(struct config *config)
{
	for (size_t i = 0; i < config->n_bridges; i++)
		bridge_uninit(&config->bridges[i]);
	free(config->bridges);
	config_init(config);
}

struct config_bridge *config_lookup_bridge(const struct config *config, const char *name)
{
	bool found;
	size_t at = name_search(config->bridges, config->n_bridges, sizeof(*config->bridges), name,
				&found);

	return found ? &config->bridges[at] : NULL;
}

struct config_bridge *config_add_bridge(struct config *config, const char *name, struct error *e)
{
	struct config_bridge *bridges;
	struct config_bridge *owner;
	char *copy;
	bool found;
	size_t at;

	if (config_check_name("bridge", name, CONFIG_BRIDGE_NAME_SIZE, e))
		return NULL;
	at = name_search(config->bridges, config->n_bridges, sizeof(*bridges), name, &found);
	if (found) {
		error_set(e, EEXIST, "bridge %s exists already", name);
		return NULL;
	}
	if (config_lookup_port(config, NULL, name, &owner)) {
		error_set(e, EEXIST, "bridge %s: bridge %s has a port of this name", name,
			  owner->name);
		return NULL;
	}
	copy = strdup(name);
	bridges = copy ? array_insert(config->bridges, config->n_bridges, sizeof(*bridges), at)
		       : NULL;
	if (!bridges) {
		free(copy);
		error_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	config->bridges = bridges;
	config->n_bridges++;
	bridges[at].name = copy;
	return &bridges[at];
}

void config_remove_bridge(struct config *config, const char *name)
{
	bool found;
	size_t at = name_search(config->bridges, config->n_bridges, sizeof(*config->bridges), name,
				&found);

	if (!found)
		return;
	bridge_uninit(&config->bridges[at]);
	array_remove(config->bridges, config->n_bridges, sizeof(*config->bridges), at);
	config->n_bridges--;
}

static struct config_port *bridge_lookup_port(const struct config_bridge *bridge, const char *name)
{
	bool found;
	size_t at =
		name_search(bridge->ports, bridge->n_ports, sizeof(*bridge->ports), name, &found);

	return found ? &bridge->ports[at] : NULL;
}

struct config_port *config_lookup_port(const struct config *config,
				       const struct config_bridge *bridge, const char *name,
				       struct config_bridge **owner)
{
	if (bridge)
		return bridge_lookup_port(bridge, name);
	for (size_t i = 0; i < config->n_bridges; i++) {
		struct config_port *port = bridge_lookup_port(&config->bridges[i], name);

		if (port) {
			if (owner)
				*owner = &config->bridges[i];
			return port;
		}
	}
	return NULL;
}

/* Is the name free for a port, in all bridges? */
static int check_port_name(const struct config *config, const char *name, struct error *e)
{
	struct config_bridge *owner;
	int err;

	err = config_check_name("port", name, CONFIG_NAME_SIZE, e);
	if (err)
		return err;
	if (config_lookup_bridge(config, name))
		return error_set(e, EEXIST,
				 "port %s: a bridge has this name, and its own port with it", name);
	if (config_lookup_port(config, NULL, name, &owner))
		return error_set(e, EEXIST, "port %s exists already, in bridge %s", name,
				 owner->name);
	return 0;
}

struct config_port *config_add_port(struct config *config, struct config_bridge *bridge,
				    const char *name, const char *type, struct error *e)
{
	struct config_port *ports;
	char *name_copy, *type_copy;
	bool found;
	size_t at;

	if (check_port_name(config, name, e))
		return NULL;
	at = name_search(bridge->ports, bridge->n_ports, sizeof(*ports), name, &found);
	name_copy = strdup(name);
	type_copy = strdup(type);
	ports = name_copy && type_copy
			? array_insert(bridge->ports, bridge->n_ports, sizeof(*ports), at)
			: NULL;
	if (!ports) {
		free(name_copy);
		free(type_copy);
		error_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	bridge->ports = ports;
	bridge->n_ports++;
	ports[at].name = name_copy;
	ports[at].type = type_copy;
	return &ports[at];
}

void config_remove_port(struct config_bridge *bridge, const char *name)
{
	struct config_port *port = bridge_lookup_port(bridge, name);

	if (!port)
		return;
	port_uninit(port);
	array_remove(bridge->ports, bridge->n_ports, sizeof(*port), (size_t)(port - bridge->ports));
	bridge->n_ports--;
}

void config_forget_port(struct config_bridge *bridge, const char *name)
{
	size_t i = 0;

	while (i < bridge->n_macs) {
		const struct config_mac mac = bridge->macs[i];

		if (strcmp(mac.port, name) != 0 ||
		    config_remove_mac(bridge, mac.address, mac.vlan))
			i++;
	}
	config_remove_port(bridge, name);
}

/* ---- MACs and rules ---------------------------------------------------------------------------
 */

static int mac_order(const struct config_mac *mac, const uint8_t address[6], uint16_t vlan)
{
	if (mac->vlan != vlan)
		return mac->vlan < vlan ? -1 : 1;
	return memcmp(mac->address, address, 6);
}

static size_t mac_search(const struct config_bridge *bridge, const uint8_t address[6],
			 uint16_t vlan, bool *found)
{
	size_t at = 0;

	while (at < bridge->n_macs && mac_order(&bridge->macs[at], address, vlan) < 0)
		at++;
	*found = at < bridge->n_macs && mac_order(&bridge->macs[at], address, vlan) == 0;
	return at;
}

int config_set_mac(struct config_bridge *bridge, const uint8_t address[6], uint16_t vlan,
		   const char *port)
{
	bool found;
	size_t at = mac_search(bridge, address, vlan, &found);
	struct config_mac *macs;
	char *copy = strdup(port);

	if (!copy)
		return -ENOMEM;
	if (found) {
		free(bridge->macs[at].port);
		bridge->macs[at].port = copy;
		return 0;
	}
	macs = array_insert(bridge->macs, bridge->n_macs, sizeof(*macs), at);
	if (!macs) {
		free(copy);
		return -ENOMEM;
	}
	memcpy(macs[at].address, address, 6);
	macs[at].vlan = vlan;
	macs[at].port = copy;
	bridge->macs = macs;
	bridge->n_macs++;
	return 0;
}

int config_remove_mac(struct config_bridge *bridge, const uint8_t address[6], uint16_t vlan)
{
	bool found;
	size_t at = mac_search(bridge, address, vlan, &found);

	if (!found)
		return -ENOENT;
	free(bridge->macs[at].port);
	array_remove(bridge->macs, bridge->n_macs, sizeof(*bridge->macs), at);
	bridge->n_macs--;
	return 0;
}

int config_append_rule(struct config_bridge *bridge, const uint8_t key[CONFIG_RULE_KEY_SIZE],
		       char *text)
{
	struct config_rule *rule;

	if (bridge->n_rules == bridge->rules_size) {
		size_t size = MAX(bridge->rules_size * 2, (size_t)16);
		struct config_rule *grown = realloc(bridge->rules, size * sizeof(*grown));

		if (!grown) {
			free(text);
			return -ENOMEM;
		}
		bridge->rules = grown;
		bridge->rules_size = size;
	}
	rule = &bridge->rules[bridge->n_rules++];
	memcpy(rule->key, key, CONFIG_RULE_KEY_SIZE);
	rule->text = text;
	return 0;
}

void config_clear_rules(struct config_bridge *bridge)
{
	for (size_t i = 0; i < bridge->n_rules; i++)
		free(bridge->rules[i].text);
	free(bridge->rules);
	bridge->rules = NULL;
	bridge->n_rules = 0;
	bridge->rules_size = 0;
}

/* ---- whole values -----------------------------------------------------------------------------
 */

int config_copy_port(struct config *config, struct config_bridge *bridge,
		     const struct config_port *from)
{
	struct config_port *port = config_add_port(config, bridge, from->name, from->type, NULL);

	if (!port)
		return -ENOMEM;
	port->ofport = from->ofport;
	if (from->container) {
		port->container = strdup(from->container);
		if (!port->container)
			return -ENOMEM;
	}
	if (from->process) {
		port->process = strdup(from->process);
		if (!port->process)
			return -ENOMEM;
	}
	if (config_options_clone(&port->options, &from->options))
		return -ENOMEM;
	return config_options_clone(&port->container_options, &from->container_options);
}

int config_clone(struct config *to, const struct config *from)
{
	int err = 0;

	config_init(to);
	for (size_t i = 0; i < from->n_bridges && !err; i++) {
		const struct config_bridge *old = &from->bridges[i];
		struct config_bridge *bridge = config_add_bridge(to, old->name, NULL);

		err = bridge ? config_options_clone(&bridge->options, &old->options) : -ENOMEM;
		for (size_t j = 0; j < old->n_ports && !err; j++)
			err = config_copy_port(to, bridge, &old->ports[j]);
		for (size_t j = 0; j < old->n_macs && !err; j++)
			err = config_set_mac(bridge, old->macs[j].address, old->macs[j].vlan,
					     old->macs[j].port);
	}
	if (err)
		config_uninit(to);
	return err;
}

/* Numbers taken in one bridge, a bit each. */
struct ofports {
	uint64_t taken[(OFPORT_MAX + 64) / 64];
};

static bool ofport_take(struct ofports *ofports, uint32_t ofport)
{
	uint64_t bit = UINT64_C(1) << (ofport % 64);
	bool free_before = !(ofports->taken[ofport / 64] & bit);

	ofports->taken[ofport / 64] |= bit;
	return free_before;
}

static int take_given(struct config_bridge *bridge, const struct config_bridge *before,
		      struct ofports *ofports, struct error *e)
{
	for (size_t i = 0; i < bridge->n_ports; i++) {
		struct config_port *port = &bridge->ports[i];

		if (!port->ofport)
			continue;
		if (port->ofport > OFPORT_MAX)
			return error_set(e, EINVAL, "port %s: ofport=%u: must be from 1 to %u",
					 port->name, port->ofport, OFPORT_MAX);
		if (!ofport_take(ofports, port->ofport))
			return error_set(e, EINVAL, "port %s: ofport=%u is taken in bridge %s",
					 port->name, port->ofport, bridge->name);
	}
	for (size_t i = 0; i < bridge->n_ports; i++) {
		struct config_port *port = &bridge->ports[i];
		const struct config_port *old =
			before ? bridge_lookup_port(before, port->name) : NULL;

		if (!port->ofport && old && ofport_take(ofports, old->ofport))
			port->ofport = old->ofport;
	}
	return 0;
}

int config_assign_ofports(struct config *config, const struct config *before, struct error *e)
{
	struct ofports ofports;

	for (size_t i = 0; i < config->n_bridges; i++) {
		struct config_bridge *bridge = &config->bridges[i];
		uint32_t next = 1;
		int err;

		memset(&ofports, 0, sizeof(ofports));
		err = take_given(bridge, before ? config_lookup_bridge(before, bridge->name) : NULL,
				 &ofports, e);
		if (err)
			return err;
		for (size_t j = 0; j < bridge->n_ports; j++) {
			struct config_port *port = &bridge->ports[j];

			if (port->ofport)
				continue;
			while (next <= OFPORT_MAX && !ofport_take(&ofports, next))
				next++;
			if (next > OFPORT_MAX)
				return error_set(e, ENOSPC, "bridge %s: no port number is free",
						 bridge->name);
			port->ofport = next;
		}
	}
	return 0;
}
