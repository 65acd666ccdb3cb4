/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_LIBVIRT_DOMAIN_H
#define VSWITCHD_LIBVIRT_DOMAIN_H

/*
 * A virtual machine, as far as the switch cares
 * =============================================
 *
 * What libvirt's XML says of a domain's network, as plain data: which vhost-user interfaces it has
 * (running, and at its next start), whether its memory is shared with us, and which bridge its
 * metadata names. libvirt_xml.h reads it; libvirt_plan.h turns it into ports; libvirt_check.h
 * tells what is wrong with it.
 *
 * libvirt keeps two descriptions of a domain: that of the running machine and that of its next
 * start. An interface may stand in one or in both (a hot-plug without --config, an edit while it
 * runs); the list here is the union, found by MAC address, and says of each where it stands.
 *
 * The metadata is one element of our own namespace within the domain's <metadata> (libvirt keeps
 * one a namespace): <vswitch:port/>, or <vswitch:ports> around several of them:
 *
 *	<metadata>
 *	  <vswitch:port xmlns:vswitch='urn:vswitch:1' bridge='br0'
 *	      mac='52:54:00:12:34:56' tag='10' name='web1'/>
 *	</metadata>
 *
 *	bridge	which bridge the interface belongs to, wherever its socket lies; required
 *	mac	which interface, by its MAC address; or
 *	dev	... by the name in its <target dev=''/>; without either: each that no other names
 *	tag	its VLAN, as tag= of a port
 *	name	of the port; only of use with mac or dev
 *
 * The same words are written as XML by the functions below, for people and for libvirt.
 *
 * Life cycle: libvirt_domain_create() or the XML reader; libvirt_domain_destroy() frees all.
 *
 * Thread-safety: plain values; made in libvirt's thread, handed over to the control thread.
 */

#include "lib/strbuf.h"
#include "lib/util.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIBVIRT_METADATA_URI "urn:vswitch:1"
#define LIBVIRT_UUID_SIZE 37 /* bytes of a UUID's text with the NUL */
#define LIBVIRT_MAC_SIZE 18 /* of a MAC address's */
#define LIBVIRT_NICS_MAX 64 /* interfaces of a domain that are looked at */
#define LIBVIRT_GROUPS_MAX 16 /* of QEMU's user */
#define LIBVIRT_HINTS_MAX 64 /* elements of metadata */

/* Where something of a domain stands. */
enum libvirt_scope {
	LIBVIRT_LIVE, /* in the running machine */
	LIBVIRT_CONFIG, /* in that of its next start */
	LIBVIRT_N_SCOPES
};

/* A vhost-user interface. */
struct libvirt_nic {
	char mac[LIBVIRT_MAC_SIZE]; /* lower case; "": the XML has none */
	char *path; /* of the socket; owned; NULL: the XML has none */
	char *dev; /* target device; owned; NULL: none */
	bool is_server; /* QEMU listens and the switch connects; else the reverse */
	bool reconnects; /* QEMU connects again when the switch was restarted */
	bool is_down; /* <link state='down'/> */
	uint32_t queues; /* pairs, >= 1 */
	uint32_t mtu; /* bytes; 0: not given */
	bool in[LIBVIRT_N_SCOPES];
};

/* One element of our metadata. */
struct libvirt_hint {
	char *bridge; /* owned */
	char *mac; /* owned; NULL: any */
	char *dev; /* owned; NULL: any */
	char *tag; /* owned; NULL: none */
	char *name; /* of the port; owned; NULL: from the socket */
};

/* Whom libvirt runs QEMU as. */
struct libvirt_user {
	uint32_t uid; /* UINT32_MAX: not known, and the rest neither */
	uint32_t gids[LIBVIRT_GROUPS_MAX]; /* groups that it is in */
	size_t n_gids;
	/* what group= of a port should be for this user; "": the one that it has anyhow will do */
	char group[64];
};

struct libvirt_domain {
	char uuid[LIBVIRT_UUID_SIZE];
	char *name; /* owned */
	char *type; /* "kvm"; owned; NULL: not said */
	bool is_running; /* has a process; paused as well */
	bool is_paused;
	bool is_persistent; /* defined: there is a next start */
	bool shares_memory[LIBVIRT_N_SCOPES]; /* with a vhost-user back end */
	struct libvirt_nic *nics; /* owned */
	size_t n_nics;
	unsigned int n_other_nics; /* interfaces of other types */
	struct libvirt_hint *hints; /* owned */
	size_t n_hints;
	struct libvirt_user user; /* that QEMU runs as */
	char *problem; /* what its XML could not be read for; owned; NULL: nothing */
};

/* All zero but the name (copied). NULL: no memory. */
struct libvirt_domain *libvirt_domain_create(const char *name, const char *uuid);
/* NULL is allowed. */
void libvirt_domain_destroy(struct libvirt_domain *domain);

/* The interface with that MAC address, upper or lower case; NULL: none. */
struct libvirt_nic *libvirt_domain_lookup_nic(const struct libvirt_domain *domain, const char *mac);

/* Is `mac` a unicast MAC address? Writes it in lower case. */
bool libvirt_mac_parse(const char *text, char mac[LIBVIRT_MAC_SIZE]);

/* ---- XML to write -----------------------------------------------------------------------------
 */

/* What a domain must say for its memory to be shared, on one line. */
extern const char libvirt_memory_xml[];

/* Appends the interface as an <interface> element, on one line. */
void libvirt_nic_format(const struct libvirt_nic *nic, struct strbuf *out);

/* Appends text so that it is safe within quotes and between tags. */
void libvirt_xml_escape(const char *text, struct strbuf *out);

#endif
