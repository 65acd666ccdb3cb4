/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge_priv.h - what translation sees of bridges, and bridge.c changes under it.
 *
 * All that workers read is either immutable once published (struct bridge_port, struct
 * bridge_ports: a change makes a new one), or takes care of itself (flow table, MAC table). A
 * worker starts from bridge_table.ports[] by the number of the datapath port.
 *
 * config_version counts changes of bridges and ports. It is raised after the change is published;
 * who reads it first and the pointers afterwards can only be told an old version of new things,
 * which does no harm: the verdict is checked again.
 *
 * Life cycle: a bridge is referenced by its table and by each cookie (xlate.h), and freed a grace
 * period after the last one is gone.
 *
 * Thread-safety: as marked. "Control" members belong to the control thread.
 */
#ifndef VSWITCH_OPENFLOW_BRIDGE_PRIV_H
#define VSWITCH_OPENFLOW_BRIDGE_PRIV_H

#include "datapath/port.h"
#include "lib/rcu.h"
#include "openflow/bridge.h"

/* Names whose numbers are kept in mind after the port has gone. */
#define BRIDGE_REMEMBERED_MAX 4096

/* A port's place in a bridge. Immutable. */
struct bridge_port {
	struct bridge *bridge;
	char name[PORT_NAME_SIZE];
	uint32_t port_no;
	uint32_t ofport;
	uint16_t tag;              /* access VLAN; 0: a trunk */
	bool is_limited;           /* a trunk that carries `trunks` only */
	struct vlan_bitmap trunks;
	struct rcu_deferred rcu;
};

/* The ports of a bridge, by rising OpenFlow number (the local port is last). Immutable. */
struct bridge_ports {
	struct rcu_deferred rcu;
	uint32_t n;
	struct bridge_port *ports[];
};

/* A number that belongs to a name. */
struct bridge_number {
	char name[PORT_NAME_SIZE];
	uint32_t ofport;
};

struct bridge {
	struct bridge_table *table; /* outlives the bridge's use, not its memory */
	char name[BRIDGE_NAME_SIZE];
	struct flow_table *flows;
	struct mac_table *macs;
	RCU_POINTER(struct bridge_ports) ports; /* never NULL */
	uint32_t refs; /* atomic: the table's, and one for each cookie */

	/* Control. */
	struct bridge *next; /* in order of creation */
	struct bridge_number *numbers; /* n_numbers, longest known first */
	uint32_t n_numbers;

	struct rcu_deferred rcu;
};

struct bridge_table {
	RCU_POINTER(struct bridge_port) ports[PORT_NO_MAX + 1]; /* by datapath port number */
	_Atomic uint64_t config_version;
	RCU_POINTER(struct datapath) dp; /* whose verdicts to invalidate; NULL: none */

	/* Control. */
	struct bridge *bridges;
	uint32_t n_bridges;
	unsigned int n_holds;
	bool is_dirty; /* changed while held */
};

/* Any thread that is registered with RCU. */
struct bridge *bridge_ref(struct bridge *bridge);
void bridge_unref(struct bridge *bridge);

/* The port of that OpenFlow number or NULL. RCU read side. */
const struct bridge_port *bridge_ports_lookup(const struct bridge_ports *ports, uint32_t ofport);

/* Ports or bridges were published: in force on return, unless held. Control thread. */
void bridge_table_config_changed(struct bridge_table *table);

/* Tells cached verdicts to be checked again, without waiting. Any thread under RCU. */
void bridge_table_invalidate_async(struct bridge_table *table);

#endif /* VSWITCH_OPENFLOW_BRIDGE_PRIV_H */
