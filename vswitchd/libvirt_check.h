/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_LIBVIRT_CHECK_H
#define VSWITCHD_LIBVIRT_CHECK_H

/*
 * Why has this VM no network?
 * ===========================
 *
 * Goes the way of a packet, from the domain through its interface, its socket and the port to the
 * bridge, and says in sentences what is wrong at each step and what to do about it. A pure
 * function: whoever asks (methods_check.c) gathers the facts, here they are judged.
 *
 *	problem		keeps the VM, or this interface of it, from having a network
 *	hint		may, or will the next time; or is worth knowing
 *	ok		a step that is as it should be
 *
 * An interface that has a problem is not looked at further than the step where it has it, for what
 * comes behind follows from that.
 *
 * Life cycle: facts are borrowed; libvirt_report_uninit() frees the findings.
 *
 * Thread-safety: plain values.
 */

#include "datapath/drop.h"
#include "lib/error.h"
#include "vswitchd/libvirt_plan.h"

#include <sys/types.h>

/* A file as stat(2) tells of it. */
struct libvirt_file {
	bool exists;
	uint32_t uid, gid;
	mode_t mode;
};

/* What is known of one interface and its port. */
struct libvirt_nic_facts {
	const struct libvirt_wanted *wanted; /* what it asks for, and gets */
	const char *failure; /* why its port could not be made; NULL: nothing is known of that */
	const struct config_port *config; /* the port; NULL: there is none */
	bool is_open; /* the port is; else `error` says why not */
	const char *error;
	bool is_connected; /* QEMU and the switch speak with each other */
	const char *connection; /* what the socket says of itself */
	const char *faults; /* what the guest's side did wrong, by name; "" */
	bool link; /* the guest's driver has switched a queue on */
	unsigned int queues_on; /* queue pairs that the guest has switched on */
	uint64_t rx_packets, tx_packets; /* from the guest, to it */
	uint64_t drops[DROP_N_REASONS]; /* of packets from it and to it */
	unsigned int n_peers; /* other ports of the bridge whose link is up */
	unsigned int n_vlan_peers; /* of these, those that share a VLAN with it */
	struct libvirt_file socket, folder;
};

struct libvirt_facts {
	const char *rundir;
	const struct libvirt_domain *domain;
	const struct libvirt_nic_facts *nics; /* one for each of the domain's */
};

enum libvirt_level {
	LIBVIRT_PROBLEM,
	LIBVIRT_HINT,
	LIBVIRT_OK,
};

struct libvirt_finding {
	enum libvirt_level level;
	const struct libvirt_nic *nic; /* that it is about; NULL: the domain */
	struct error text; /* one sentence */
	char *xml; /* what mends it, on one line; owned; NULL: nothing of the kind does */
};

struct libvirt_report {
	struct libvirt_finding *findings; /* owned */
	size_t n;
	unsigned int n_problems;
};

/* Returns 0 or -ENOMEM. */
int libvirt_check_run(const struct libvirt_facts *facts, struct libvirt_report *report) WARN_UNUSED;
void libvirt_report_uninit(struct libvirt_report *report);

/* Adds a finding; `xml` may be NULL, and is copied. Returns 0 or -ENOMEM. */
int libvirt_report_add(struct libvirt_report *report, enum libvirt_level level,
		       const struct libvirt_nic *nic, const char *xml, const char *fmt, ...)
	PRINTF_FORMAT(5, 6);

/* May `user` do what the bits say (4 read, 2 write, 1 search) with a file? */
bool libvirt_user_may(const struct libvirt_user *user, const struct libvirt_file *file,
		      unsigned int bits);

#endif
