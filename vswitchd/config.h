/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_CONFIG_H
#define VSWITCHD_CONFIG_H

/*
 * The configuration is a value
 * ============================
 *
 * What the switch shall be: bridges, their ports, containers, static MAC addresses and rules, all
 *of it plain data that can be copied, compared and printed. Nothing here touches a device, a file
 *or a packet.
 *
 *	config_diff(now, wanted)  ->  list of actions  ->  whoever carries them out (vswitch.h)
 *
 * The list is in an order that works: what goes away first (a name may be reused), then what comes,
 * bridges ahead of their ports, ports ahead of MACs and rules that name them. Each action prints as
 *the vswitchctl command that would do the same, so the diff of nothing and everything is `export`,
 *and the diff of now and a file is `apply --dry-run`.
 *
 * Rules are held as the text that prints and parses back to them (port numbers, not names), with a
 * key of 16 bytes that is the same for rules of equal table, priority and match. Who has text from
 * a person makes both with vswitchd/rules.h.
 *
 * Within a config names are unique: bridges, and ports over all bridges. Lists are kept sorted:
 *bridges and ports by name, options by key, MACs by vlan and address. Rules keep the order in which
 *they were appended, which is the order in which they print; of several with one key the last
 *counts.
 *
 * A new bridge has one rule, struct config_rule `initial` of config_diff_create(): ADD_BRIDGE
 *brings it along, in the switch as in a script.
 *
 * Ports have numbers (ofport) that rules refer to; a port keeps its number for life, across
 *restarts, so that its rules keep their meaning. A new one gets the lowest that is free in its
 *bridge.
 *
 * Life cycle: config_init() or config_clone(); config_uninit() frees all. Actions borrow from both
 * configs, which must outlive them.
 *
 * Thread-safety: plain values, one thread.
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_NAME_SIZE 64 /* bytes of a port's name with the NUL: that of PORT_NAME_SIZE */
#define CONFIG_BRIDGE_NAME_SIZE 16 /* of a bridge's: it is the name of a netdev */
#define CONFIG_RULE_KEY_SIZE 16
#define CONFIG_VLAN_NONE 0 /* MACs of untagged packets */

struct config_option {
	char *key; /* owned */
	char *value; /* owned */
};

/* Sorted by key, keys unique. */
struct config_options {
	struct config_option *items; /* owned */
	size_t n;
};

struct config_port {
	char *name; /* owned */
	char *type; /* owned; of a struct port_class */
	struct config_options options; /* of that class */
	uint32_t ofport; /* 1..OFPORT_MAX; 0: not yet given, see config_assign_ofports() */
	/* namespace or process that the far end is in, as the user named it; NULL: no container's
	 * port */
	char *container; /* owned */
	struct config_options container_options; /* ifname, ip, gateway, ... */
	/* of a container given by PID: which process that is (process.h); NULL: not known */
	char *process; /* owned */
};

struct config_mac {
	uint8_t address[6];
	uint16_t vlan; /* 1..4095, CONFIG_VLAN_NONE */
	char *port; /* owned; a port of the bridge, or the bridge's name for its local port */
};

struct config_rule {
	uint8_t key[CONFIG_RULE_KEY_SIZE]; /* of table, priority and match */
	char *text; /* owned; canonical, with port numbers */
};

struct config_bridge {
	char *name; /* owned */
	struct config_options options;
	struct config_port *ports; /* owned */
	size_t n_ports;
	struct config_mac *macs; /* owned */
	size_t n_macs;
	struct config_rule *rules; /* owned */
	size_t n_rules;
	size_t rules_size; /* entries allocated */
};

struct config {
	struct config_bridge *bridges; /* owned */
	size_t n_bridges;
};

/* ---- making -----------------------------------------------------------------------------------
 */

void config_init(struct config *config);
void config_uninit(struct config *config);

/* A deep copy, without rules. Returns 0 or -ENOMEM; `to` is uninitialised before and empty after
 * failure. */
int config_clone(struct config *to, const struct config *from) WARN_UNUSED;

/* Is this a name for a bridge or a port: printable ASCII without blanks, quotes, commas, '=', '/',
 * not a number, no reserved word of rules ("normal", "local", ...), shorter than `size`? */
int config_check_name(const char *what, const char *name, size_t size, struct error *e) WARN_UNUSED;

struct config_bridge *config_lookup_bridge(const struct config *config, const char *name);

/* Adds an empty bridge, in its place. Returns NULL with `e` set: bad name, or one that exists. */
struct config_bridge *config_add_bridge(struct config *config, const char *name, struct error *e);
void config_remove_bridge(struct config *config, const char *name);

/* The port of that name, in any bridge if `bridge` is NULL; *owner (may be NULL) becomes its
 * bridge. */
struct config_port *config_lookup_port(const struct config *config,
				       const struct config_bridge *bridge, const char *name,
				       struct config_bridge **owner);

/* Adds a port; all is copied. Returns NULL with `e` set: bad name, or one that exists in any
 * bridge. */
struct config_port *config_add_port(struct config *config, struct config_bridge *bridge,
				    const char *name, const char *type, struct error *e);
void config_remove_port(struct config_bridge *bridge, const char *name);
/* The same, with the static addresses that name it. */
void config_forget_port(struct config_bridge *bridge, const char *name);
/* Adds a copy of another config's port, whose name must be new here. Returns 0 or -ENOMEM. */
int config_copy_port(struct config *config, struct config_bridge *bridge,
		     const struct config_port *from) WARN_UNUSED;

/* Sets an option, `value` NULL removes it. Returns 0 or -ENOMEM. */
int config_options_set(struct config_options *options, const char *key,
		       const char *value) WARN_UNUSED;
const char *config_options_get(const struct config_options *options, const char *key);
bool config_options_equals(const struct config_options *a, const struct config_options *b);
int config_options_clone(struct config_options *to, const struct config_options *from) WARN_UNUSED;
void config_options_uninit(struct config_options *options);

/* Adds or replaces the static address. Returns 0 or -ENOMEM. */
int config_set_mac(struct config_bridge *bridge, const uint8_t address[6], uint16_t vlan,
		   const char *port) WARN_UNUSED;
/* Returns 0 or -ENOENT. */
int config_remove_mac(struct config_bridge *bridge, const uint8_t address[6], uint16_t vlan);

/* Appends a rule; takes `text` (malloc) over, also on failure. Returns 0 or -ENOMEM. */
int config_append_rule(struct config_bridge *bridge, const uint8_t key[CONFIG_RULE_KEY_SIZE],
		       char *text) WARN_UNUSED;

/* Frees all rules of the bridge. */
void config_clear_rules(struct config_bridge *bridge);

/*
 * Gives each port that has no number one: that which the port of the same name and bridge has in
 * `before` (may be NULL), else the lowest free. Returns 0 or, when two ports ask for one number or
 * none is free, -EINVAL with `e` set.
 */
int config_assign_ofports(struct config *config, const struct config *before,
			  struct error *e) WARN_UNUSED;

/* ---- comparing --------------------------------------------------------------------------------
 */

/* In the order in which they are to be carried out. */
enum config_action_type {
	CONFIG_REMOVE_RULE,
	CONFIG_REMOVE_MAC,
	CONFIG_REMOVE_PORT, /* of a container's port: detach */
	CONFIG_REMOVE_BRIDGE,
	CONFIG_ADD_BRIDGE,
	CONFIG_SET_BRIDGE, /* its options */
	CONFIG_CLEAR_RULES, /* of a new bridge: takes its initial rule away */
	CONFIG_ADD_PORT, /* of a container's port: attach */
	CONFIG_SET_PORT, /* options, its own or its container's; the rest is the same */
	CONFIG_ADD_MAC, /* or replaces */
	CONFIG_ADD_RULE, /* or replaces the rule of the same key */
};

struct config_action {
	enum config_action_type type;
	const struct config_bridge *bridge; /* of the new config; of the old one for removals */
	union {
		const struct config_port *port;
		const struct config_mac *mac;
		const struct config_rule *rule;
	};
	const struct config_port *old_port; /* SET_PORT: as it was */
	const struct config_bridge *old_bridge; /* SET_BRIDGE: as it was */
};

struct config_diff {
	struct config_action *actions; /* owned, malloc */
	size_t n;
	size_t size; /* entries allocated */
};

/* What turns `from` into `to`; `initial` is the rule that a new bridge has. Returns 0 or -ENOMEM.
 */
int config_diff_create(const struct config *from, const struct config *to,
		       const struct config_rule *initial, struct config_diff *diff) WARN_UNUSED;
void config_diff_uninit(struct config_diff *diff);

/*
 * The action as a vswitchctl command, quoted for a shell: "add-port br0 p1 type=mem". `rule_text`
 * gives a rule's text for people (names in place of numbers); NULL: as it is. The caller frees;
 * NULL: no memory.
 */
char *config_action_format(const struct config_action *action,
			   char *(*rule_text)(void *aux, const struct config_bridge *bridge,
					      const struct config_rule *rule),
			   void *aux);

#endif
