/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_VSWITCH_PRIV_H
#define VSWITCHD_VSWITCH_PRIV_H

/*
 * What the parts of the switch share: vswitch.c (life cycle, periodic work), vswitch_change.c (diff
 * to actions, undo), vswitch_ports.c (opening and closing), vswitch_rules.c.
 *
 * Thread-safety: as vswitch.h.
 */

#include "vswitchd/vswitch.h"

/* ---- vswitch_ports.c --------------------------------------------------------------------------
 */

/* Checks what can be checked of a port without opening it: type, options, container. */
int vswitch_check_port(const struct config_bridge *bridge, const struct config_port *port,
		       struct error *e) WARN_UNUSED;

/* Enters the port into the list, closed. Returns NULL when out of memory. */
struct vswitch_port *vswitch_insert_port(struct vswitch *vs, const char *bridge, const char *name,
					 bool is_local);
/* Closes it if it is open, and forgets it. */
void vswitch_remove_port(struct vswitch *vs, struct vswitch_port *port);

/*
 * Opens a port as `bridge` and `config` say (config NULL: the bridge's local port) and puts it into
 * its bridge, with the static MACs that name it. Returns 0, or a negative errno with `e` and
 * port->error set.
 */
int vswitch_open_port(struct vswitch *vs, struct vswitch_port *port,
		      const struct config_bridge *bridge, const struct config_port *config,
		      struct error *e) WARN_UNUSED;
/* Takes it out of its bridge and closes it; `why` (may be NULL) is shown from now on. */
void vswitch_close_port(struct vswitch *vs, struct vswitch_port *port, const char *why);

/* Changes the options of an open port from `old` to `config`; what it cannot change running is
 * closed and opened. */
int vswitch_set_port(struct vswitch *vs, struct vswitch_port *port,
		     const struct config_bridge *bridge, const struct config_port *old,
		     const struct config_port *config, struct error *e) WARN_UNUSED;

/* Are all options of a bridge known, to it or to its local port's driver? */
int vswitch_check_local(const struct config_bridge *bridge, struct error *e) WARN_UNUSED;
/* Gives the local port its options; opens it if it is closed. Where they make no sense (-EINVAL) it
 * has those of `old` (may be NULL) again. */
int vswitch_set_local(struct vswitch *vs, struct vswitch_port *port,
		      const struct config_bridge *bridge, const struct config_bridge *old,
		      struct error *e) WARN_UNUSED;

/* Makes or puts right the container's interface, and removes it. */
int vswitch_attach_container(const struct config_bridge *bridge, const struct config_port *config,
			     struct error *e) WARN_UNUSED;
void vswitch_detach_container(const struct config_bridge *bridge, const struct config_port *config);

/* Brings link states and counters up to date; notices what vanished; tries what is closed again. */
void vswitch_refresh_ports(struct vswitch *vs, uint64_t now);

/* ---- vswitch_change.c -------------------------------------------------------------------------
 */

/* Carries out what the store says; failures are logged and leave the rest alone. */
void vswitch_restore(struct vswitch *vs, struct config *wanted);

/* Checks a bridge's options. */
int vswitch_check_bridge(const struct config_bridge *bridge, struct error *e) WARN_UNUSED;

#endif
