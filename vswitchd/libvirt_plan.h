/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_LIBVIRT_PLAN_H
#define VSWITCHD_LIBVIRT_PLAN_H

/*
 * From domains to ports
 * =====================
 *
 * Which ports follow from the domains that there are, and what has to be done to the present config
 * so that it has them: a pure function, as config_diff_create() is.
 *
 *	libvirt_plan_create(config, rundir, domains)  ->  wanted ports, actions
 *	libvirt_plan_edit(action)  on a copy of the config  ->  vswitch_change()
 *
 * An interface of a domain asks for a port when its socket is RUNDIR/BRIDGE/NAME, with or without
 * ".sock" (the port is NAME), or when the domain's metadata names its bridge. The port is of type
 * vhost-user, on the other side of the socket than QEMU: mode='client' in the XML makes the switch
 * the server. It is there for as long as the domain is: defined or running, for a switch that
 * listens must do so before QEMU starts.
 *
 * A port in the config carries three options that are labels, no driver's and no bridge's:
 *
 *	domain		name of the domain that it is for
 *	domain-mac	MAC address of the interface
 *	domain-by	"follow": it came by this plan, which changes it and takes it away again;
 *			"attach": by attach-vm, and it stays until detach-vm
 *
 * Of a followed port the plan sets the labels and path, mode, queues, mtu and, where the metadata
 * speaks of the interface, tag; other options are those of who set them. An interface whose socket
 * belongs to a port that does not follow (attach-vm, add-port) is covered: nothing to do. Ports
 * that cannot be (no such bridge, a name that is taken) have their reason in
 * libvirt_wanted.problem.
 *
 * Life cycle: libvirt_plan_create(), libvirt_plan_destroy(). The plan borrows the domains.
 *
 * Thread-safety: plain values.
 */

#include "lib/error.h"
#include "vswitchd/config.h"
#include "vswitchd/libvirt_domain.h"

#define LIBVIRT_PORT_TYPE "vhost-user"

/* Labels of ports, see above. */
#define LIBVIRT_LABEL_DOMAIN "domain"
#define LIBVIRT_LABEL_MAC "domain-mac"
#define LIBVIRT_LABEL_BY "domain-by"
#define LIBVIRT_BY_FOLLOW "follow"
#define LIBVIRT_BY_ATTACH "attach"

/* What became of one interface of a domain. */
enum libvirt_fate {
	LIBVIRT_NOT_OURS, /* its socket is elsewhere, and no metadata names a bridge */
	LIBVIRT_COVERED, /* there is a port for its socket that does not follow */
	LIBVIRT_FOLLOWED, /* it is to have a port that does */
	LIBVIRT_REFUSED, /* it asks for a port that cannot be: see problem */
};

struct libvirt_wanted {
	const struct libvirt_domain *domain;
	const struct libvirt_nic *nic;
	const struct libvirt_hint *hint; /* NULL: none names it */
	enum libvirt_fate fate;
	char bridge[CONFIG_BRIDGE_NAME_SIZE]; /* "": not ours */
	char port[CONFIG_NAME_SIZE]; /* of the port that it has or would have; "": not known */
	struct error problem; /* REFUSED: why */
};

struct libvirt_action {
	enum {
		LIBVIRT_REMOVE_PORT,
		LIBVIRT_ADD_PORT,
		LIBVIRT_SET_PORT,
	} type;
	char bridge[CONFIG_BRIDGE_NAME_SIZE];
	char port[CONFIG_NAME_SIZE];
	const struct libvirt_wanted *wanted; /* NULL for removals */
};

struct libvirt_plan {
	const char *rundir; /* borrowed */
	struct libvirt_wanted *wanted; /* one an interface, domains in their order; owned */
	size_t n_wanted;
	struct libvirt_action *actions; /* removals first; owned */
	size_t n_actions;
};

/* Returns 0 or -ENOMEM. */
int libvirt_plan_create(const struct config *config, const char *rundir,
			struct libvirt_domain *const *domains, size_t n_domains,
			struct libvirt_plan **planp) WARN_UNUSED;
/* NULL is allowed. */
void libvirt_plan_destroy(struct libvirt_plan *plan);

/* Does a domain ask for a port of that name, be it refused? */
bool libvirt_plan_asks(const struct libvirt_plan *plan, const char *port);

/* Carries one action out on `config`, a copy of the one that the plan was made from. Returns 0, or
 * a negative errno with `e` set. */
int libvirt_plan_edit(const struct libvirt_plan *plan, const struct libvirt_action *action,
		      struct config *config, struct error *e) WARN_UNUSED;

/* The socket of a port: its path=, or RUNDIR/BRIDGE/PORT.sock. Returns false if it is of another
 * type, or the name does not fit. */
bool libvirt_get_path(const char *rundir, const struct config_bridge *bridge,
		      const struct config_port *port, char path[108]);

/* Gives the socket of a new port that listens to the group that the domain's QEMU runs as, where
 * that is known. Returns 0 or -ENOMEM. */
int libvirt_set_group(const struct libvirt_domain *domain,
		      struct config_options *options) WARN_UNUSED;

/* Is it one of the labels? */
bool libvirt_label_is_known(const char *key);
/* Does the port follow a domain? */
bool libvirt_port_follows(const struct config_port *port);

/* Makes a port's name out of BRIDGE-DOMAIN, which the same two always give; characters that a name
 * may not have become '_', with a hash at the end if there were any. */
void libvirt_format_port(const char *bridge, const char *domain, char name[CONFIG_NAME_SIZE]);

#endif
