/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge.h - bridges: named sets of ports with rules and a MAC table. What the daemon drives.
 *
 * A bridge table holds all bridges of one datapath. It is the `aux` of the datapath's pipeline
 * (xlate.h), so it is made first and destroyed last:
 *
 *     bridge_table_create(&bridges)
 *     datapath_create({.pipeline = &xlate_pipeline, .pipeline_aux = bridges}, &dp)
 *     bridge_table_set_datapath(bridges, dp)
 *     bridge_create(bridges, "br0", &br)
 *     datapath_add_port(dp, "mem", &port_config, &port_no)
 *     bridge_add_port(br, &(struct bridge_port_config){.name = "p0", .port_no = port_no}, &ofport)
 *     ...
 *     bridge_remove_port(br, "p0")         first the bridge: nothing is sent there any more
 *     datapath_remove_port(dp, port_no)    then the port
 *     datapath_destroy(dp)
 *     bridge_table_destroy(bridges)
 *
 * The bridge does not open ports; it gives datapath ports a place and a number. A port is known by
 * three names: its name, its datapath port number (whole switch), and its OpenFlow port number
 * (this bridge, "ofport": 1..OFPORT_MAX in the order of arrival unless one is asked for,
 * OFPORT_LOCAL for the bridge's own interface). A number that was given to a name is kept for it: a
 * port that is removed and added again under the same name gets the same one, as long as the bridge
 * lives and no other port asked for it.
 *
 * A new bridge has one rule, priority=0,actions=normal, and so is a learning switch.
 *
 * VLANs, for `normal` only, as in Open vSwitch: a port with a tag is an access port: its packets
 * are untagged and belong to that VLAN. A port without is a trunk: its packets carry their VLAN, or
 * none (VLAN 0); `trunks` limits it to some VLANs.
 *
 * Each operation that changes what a packet gets is in force for every packet when it returns,
 * provided that the datapath is set: it publishes, then invalidates cached verdicts and waits for
 * the workers.
 *
 * Thread-safety: all functions here are for the one control thread, which is registered with RCU
 * and not inside a read-side critical section. Workers come in by xlate.h; what they see is in
 * bridge_priv.h.
 */
#ifndef VSWITCH_OPENFLOW_BRIDGE_H
#define VSWITCH_OPENFLOW_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "datapath/datapath.h"
#include "lib/error.h"
#include "openflow/flow_table.h"
#include "openflow/mac_table.h"
#include "openflow/ofaction.h"
#include "openflow/ofport.h"
#include "openflow/vlan_bitmap.h"

/* Longest bridge name, bytes with the terminating NUL; the bridge's own interface must be able to
 * have it. */
#define BRIDGE_NAME_SIZE 16
/* Most bridges. */
#define BRIDGES_MAX 1024

struct bridge;
struct bridge_table;

/* How a port stands in its bridge. A plain value. */
struct bridge_port_config {
	const char *name; /* unique in the whole table */
	uint32_t port_no; /* datapath port number */
	uint32_t ofport_request; /* 1..OFPORT_MAX, OFPORT_LOCAL; OFPORT_NONE: the next free one */
	uint16_t tag; /* access VLAN, 1..VLAN_MAX; 0: a trunk */
	struct vlan_bitmap trunks; /* of a trunk */
};

/* What a listing tells of a port. */
struct bridge_port_info {
	const char *name;
	uint32_t port_no;
	uint32_t ofport;
	uint16_t tag;
	const struct vlan_bitmap *trunks;
};

/* The options that bridge_port_config_parse() knows ("tag", "trunks", "ofport_request"); ends with
 * a NULL name. All others belong to the port's driver. */
extern const struct port_option_def bridge_port_options[];

/* Is `key` one of them? */
bool bridge_port_option_is_known(const char *key);

/* Puts those of the `n` options that are known here into `config`, leaves its other members alone,
 * and passes over unknown options. Returns 0 or -EINVAL with `err` set. */
int bridge_port_config_parse(const struct port_option *options, size_t n,
			     struct bridge_port_config *config, struct error *err) WARN_UNUSED;

/* ---- all bridges ---- */

int bridge_table_create(struct bridge_table **tablep, struct error *err) WARN_UNUSED;
/* Destroys all bridges. The datapath is destroyed first: its workers are at work in here. */
void bridge_table_destroy(struct bridge_table *table);

/* Which datapath's cached verdicts to invalidate; NULL: none. */
void bridge_table_set_datapath(struct bridge_table *table, struct datapath *dp);

/*
 * Between hold and release changes are published but cached verdicts are not invalidated, so that
 * many changes cost one wait; release does it. Packets may see each change early. Nests.
 */
void bridge_table_hold(struct bridge_table *table);
void bridge_table_release(struct bridge_table *table);

/* Ages MAC entries and expires rules of all bridges; about once a second, after
 * datapath_fold_counters(). `cb`, which may be NULL, is told of each rule that went. */
typedef void bridge_expire_cb(void *aux, struct bridge *bridge, const struct rule *rule,
			      enum flow_expiry why);
void bridge_table_run(struct bridge_table *table, uint64_t now, bridge_expire_cb *cb, void *aux);

/* ---- one bridge ---- */

/* Makes a bridge with no ports and the rule priority=0,actions=normal. Returns 0 or a negative
 * errno with `err` set: -EEXIST, -EINVAL for a bad name (letters, digits, "-_.", no more than 15),
 * -ENOSPC. */
int bridge_create(struct bridge_table *table, const char *name, struct bridge **bridgep,
		  struct error *err) WARN_UNUSED;
/* Removes the bridge and forgets its ports (which stay open; packets from them drop as no_bridge).
 */
void bridge_destroy(struct bridge *bridge);

/* The bridge of that name or NULL. */
struct bridge *bridge_lookup(const struct bridge_table *table, const char *name);
/* The bridge after `bridge` in the order of creation, the first one for NULL; NULL at the end. */
struct bridge *bridge_get_next(const struct bridge_table *table, const struct bridge *bridge);
const char *bridge_get_name(const struct bridge *bridge);

/* ---- ports ---- */

/* Gives a datapath port a place in the bridge. Stores its OpenFlow number (`ofport` may be NULL).
 * Returns 0 or a negative errno with `err` set: -EEXIST (name, datapath port or number in use),
 * -EINVAL, -ERANGE, -ENOMEM. */
int bridge_add_port(struct bridge *bridge, const struct bridge_port_config *config,
		    uint32_t *ofport, struct error *err) WARN_UNUSED;
/* Changes tag and trunks; name finds the port; a different ofport_request than the present number
 * is refused with -EOPNOTSUPP. */
int bridge_set_port(struct bridge *bridge, const struct bridge_port_config *config,
		    struct error *err) WARN_UNUSED;
/* Takes the port out, with its MAC entries. Returns 0, or -ENOENT with `err` set. */
int bridge_remove_port(struct bridge *bridge, const char *name, struct error *err) WARN_UNUSED;

/* Finds a port of the bridge by name or OpenFlow number. Returns false when there is none. `info`
 * (may be NULL) is valid until the bridge's ports change. */
bool bridge_lookup_port(const struct bridge *bridge, const char *name,
			struct bridge_port_info *info);
bool bridge_lookup_ofport(const struct bridge *bridge, uint32_t ofport,
			  struct bridge_port_info *info);
/* The bridge that has the port of that name, or NULL. */
struct bridge *bridge_table_lookup_port(const struct bridge_table *table, const char *name);

/* The names of its ports, for rule text; good as long as the bridge. */
void bridge_get_ofport_names(const struct bridge *bridge, struct ofport_names *names);

/* Calls `cb` for each port, by OpenFlow number, the local port last. */
typedef void bridge_port_cb(void *aux, const struct bridge_port_info *info);
void bridge_dump_ports(const struct bridge *bridge, bridge_port_cb *cb, void *aux);
uint32_t bridge_get_n_ports(const struct bridge *bridge);

/* ---- rules: see flow_table.h for what each change means ---- */

/* All or nothing. */
int bridge_modify_flows(struct bridge *bridge, const struct flow_mod *mods, size_t n,
			struct flow_mod_result *result, struct error *err) WARN_UNUSED;
int bridge_replace_flows(struct bridge *bridge, const struct rule_spec *specs, size_t n,
			 struct flow_mod_result *result, struct error *err) WARN_UNUSED;
/* Counters are as of the last datapath_fold_counters(). Returns 0 or -ENOMEM. */
int bridge_dump_flows(const struct bridge *bridge, const struct rule_spec *filter,
		      flow_table_dump_cb *cb, void *aux) WARN_UNUSED;
/* For counts and table numbers; not for changes. */
const struct flow_table *bridge_get_flow_table(const struct bridge *bridge);

/* ---- MAC table ---- */

void bridge_dump_fdb(struct bridge *bridge, mac_table_dump_cb *cb, void *aux);
/* Forgets what was learned. Returns how many entries. */
uint32_t bridge_flush_fdb(struct bridge *bridge);
/* `port` by name; `vlan` 0 for untagged. */
int bridge_add_static_mac(struct bridge *bridge, const uint8_t mac[6], uint16_t vlan,
			  const char *port, struct error *err) WARN_UNUSED;
/* -ENOENT when there is no such entry, static or learned. */
int bridge_remove_mac(struct bridge *bridge, const uint8_t mac[6], uint16_t vlan,
		      struct error *err) WARN_UNUSED;
int bridge_set_fdb_ageing(struct bridge *bridge, uint32_t seconds, struct error *err) WARN_UNUSED;
int bridge_set_fdb_limit(struct bridge *bridge, uint32_t limit, struct error *err) WARN_UNUSED;
void bridge_get_fdb_stats(struct bridge *bridge, struct mac_table_stats *stats);

#endif /* VSWITCH_OPENFLOW_BRIDGE_H */
