/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_VSWITCH_H
#define VSWITCHD_VSWITCH_H

/*
 * The switch as the daemon runs it
 * ================================
 *
 * Holds the datapath, the bridges, the store and the configuration together, and is the only place
 * that changes them. Three things say the same and are kept equal:
 *
 *	config		what was asked for, a value (config.h), rules left out
 *	store		the same on disk, rules included
 *	datapath and	what really is: ports that could be opened, bridges, rules with their
 *	bridges		counters, MAC tables
 *
 * A change is a new config. vswitch_change() makes it so, in this order:
 *
 *	1. diff against what is; check each action as far as that goes without doing it;
 *	2. open a transaction and write all rows;
 *	3. carry the actions out in the datapath;
 *	4. commit.
 *
 * A failure in 1 or 2 has touched nothing. One in 3 or 4 rolls the rows back and undoes what was
 * carried out, last first. So a refused change leaves nothing behind, neither on disk nor in the
 *datapath, and one that was acknowledged is on disk. A change of removals only, which cannot fail
 *to be carried out, is committed before it is carried out: then there is nothing to undo when the
 *disk is full.
 *
 * Rules have a path of their own (vswitch_rules.h), for they come by the hundred thousand.
 *
 * At start the config comes from the store and the switch is empty: the same diff, but an action
 * that fails (a device that is not there, a privilege that is missing) does not stop the others.
 *Such a port stays configured, is shown with its error, and is tried again when a device of its
 *name appears, and every VSWITCH_RETRY_SECONDS. A port whose device vanishes becomes such a port.
 *
 * Each bridge has a port for the host itself, of type internal and with the bridge's name, unless
 *it was made with local=no. It is no part of the config's ports; where it cannot be opened (no
 *privilege) the bridge works without, and shows the reason.
 *
 * Life cycle: vswitch_create(), vswitch_start() once, vswitch_run() each second, vswitch_destroy(),
 *which closes all ports.
 *
 * Thread-safety: the control thread. Workers are reached through datapath.h and bridge.h only.
 */

#include "vswitchd/config.h"

#include "datapath/datapath.h"
#include "lib/error.h"
#include "openflow/bridge.h"
#include "vswitchd/store.h"

#include <stdbool.h>
#include <stdint.h>

#define VSWITCH_RETRY_SECONDS 5
/* And not before so many times as long has passed as the last attempt took. */
#define VSWITCH_RETRY_SHARE 10
/* Cached flows that carried nothing for so long are removed. */
#define VSWITCH_FLOW_IDLE_SECONDS 10
#define VSWITCH_LOCAL_TYPE "internal"
#define VSWITCH_TYPE_DEFAULT "afxdp"

/* Options of a bridge. */
#define VSWITCH_BRIDGE_LOCAL "local" /* yes, no */
#define VSWITCH_BRIDGE_MAC_AGEING "mac-ageing" /* s */
#define VSWITCH_BRIDGE_MAC_LIMIT "mac-limit" /* entries */

struct libvirt;

/* A port of the config, or a bridge's local port, and what became of it. */
struct vswitch_port {
	char name[CONFIG_NAME_SIZE];
	char bridge[CONFIG_BRIDGE_NAME_SIZE];
	bool is_local;
	uint32_t port_no; /* datapath port number; 0: it is not open */
	struct error error; /* why it is not open; "" when it is */
	uint64_t retry_ns; /* clock_now() from which on it may be tried again */
	bool is_there; /* its device was, at the last attempt, which failed all the same: the
			* notifications that follow are of what the attempt did to it */
};

struct vswitch {
	struct datapath *dp;
	struct bridge_table *bridges;
	struct store *store; /* owned */
	struct config config; /* without rules, but a new bridge's while it is being made */
	struct config_rule initial; /* the rule that a new bridge has */
	struct vswitch_port **ports; /* owned, sorted by name */
	size_t n_ports;
	const char *rundir, *statedir; /* the caller's, for show */
	struct libvirt *libvirt; /* whose domains ports follow; NULL: nobody's; not owned */
	uint64_t started_ns; /* clock_now() */
	uint64_t n_changes; /* configs that became the present one */
	unsigned int n_changing; /* > 0: inside of a change; link notifications wait */
};

struct vswitch_options {
	struct datapath_config datapath; /* the pipeline is filled in by vswitch_create() */
	const char *rundir, *statedir;
};

int vswitch_create(const struct vswitch_options *options, struct vswitch **vsp,
		   struct error *e) WARN_UNUSED;
/* Closes all ports. NULL is allowed. */
void vswitch_destroy(struct vswitch *vs);

/* Loads the config and carries it out. What cannot be done is logged and shown, and is no failure.
 */
int vswitch_start(struct vswitch *vs, struct error *e) WARN_UNUSED;

/* Once a second: counters, timeouts, ageing, ports. */
void vswitch_run(struct vswitch *vs);

/* A device came, went or changed, by its name; "": notifications were lost, look at everything. */
void vswitch_link_changed(struct vswitch *vs, const char *name, bool gone);

/* For a port that somebody asks for: would he lose something that he may not expect? Returns 0 or a
 * negative errno with `e` saying what to do. */
int vswitch_check_new(const struct config_port *port, struct error *e) WARN_UNUSED;

/*
 * Turns `from` (the present state: vs->config, or vswitch_get_config() if rules are to be compared
 * as well) into `wanted`. Takes `wanted` over, also on failure. Returns 0, or a negative errno with
 * `e` set and nothing changed.
 */
int vswitch_change(struct vswitch *vs, const struct config *from, struct config *wanted,
		   struct error *e) WARN_UNUSED;

/*
 * Checks the same change and tells each action, as a vswitchctl command with names, to `cb`;
 * carries nothing out, and leaves `wanted` to the caller.
 */
typedef int vswitch_plan_cb(void *aux, const char *command);
int vswitch_plan(struct vswitch *vs, const struct config *from, struct config *wanted,
		 vswitch_plan_cb *cb, void *aux, struct error *e) WARN_UNUSED;

/* The whole present configuration, rules included, into `config`. Returns 0 or -ENOMEM. */
int vswitch_get_config(struct vswitch *vs, struct config *config, struct error *e) WARN_UNUSED;

/* The bridge of that name in the config, or NULL with `e` set, with a suggestion. */
struct config_bridge *vswitch_lookup_bridge(struct config *config, const char *name,
					    struct error *e);
/* The same for a port of it, which may be its local port's name if `port` is NULL on return. */
struct config_port *vswitch_lookup_port(struct config_bridge *bridge, const char *name,
					struct error *e);

/* What became of the port; NULL if there is none of that name. */
struct vswitch_port *vswitch_get_port(const struct vswitch *vs, const char *name);

#endif
