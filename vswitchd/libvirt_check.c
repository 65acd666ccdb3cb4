/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/libvirt_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the report -------------------------------------------------------------------------------
 */

int libvirt_report_add(struct libvirt_report *report, enum libvirt_level level,
		       const struct libvirt_nic *nic, const char *xml, const char *fmt, ...)
{
	struct libvirt_finding *grown =
		reallocarray(report->findings, report->n + 1, sizeof(*grown));
	struct libvirt_finding *finding;
	va_list args;

	if (!grown)
		return -ENOMEM;
	report->findings = grown;
	finding = &grown[report->n];
	*finding = (struct libvirt_finding){.level = level, .nic = nic};
	va_start(args, fmt);
	vsnprintf(finding->text.text, sizeof(finding->text.text), fmt, args);
	va_end(args);
	if (xml) {
		finding->xml = strdup(xml);
		if (!finding->xml)
			return -ENOMEM;
	}
	report->n++;
	report->n_problems += level == LIBVIRT_PROBLEM;
	return 0;
}

void libvirt_report_uninit(struct libvirt_report *report)
{
	for (size_t i = 0; i < report->n; i++)
		free(report->findings[i].xml);
	free(report->findings);
	*report = (struct libvirt_report){0};
}

bool libvirt_user_may(const struct libvirt_user *user, const struct libvirt_file *file,
		      unsigned int bits)
{
	unsigned int mode = (unsigned int)file->mode;

	if (user->uid == 0)
		return true;
	if (user->uid == file->uid)
		return (mode >> 6 & bits) == bits;
	for (size_t i = 0; i < user->n_gids; i++) {
		if (user->gids[i] == file->gid)
			return (mode >> 3 & bits) == bits;
	}
	return (mode & bits) == bits;
}

/* ---- a check under way ------------------------------------------------------------------------
 */

struct check {
	const struct libvirt_facts *facts;
	const struct libvirt_domain *domain;
	struct libvirt_report *report;
	/* the interface that is being looked at */
	const struct libvirt_nic_facts *nic;
	const char *bridge, *port; /* names; of the port that it has, or is to have */
	int err; /* -ENOMEM, once and for all */
};

/* A finding of the interface; returns true, for "stop here". */
#define FIND(check, level, xml, ...)                                                               \
	({                                                                                         \
		if (libvirt_report_add((check)->report, (level),                                   \
				       (check)->nic ? (check)->nic->wanted->nic : NULL, (xml),     \
				       __VA_ARGS__))                                               \
			(check)->err = -ENOMEM;                                                    \
		true;                                                                              \
	})

static const struct libvirt_nic *get_nic(const struct check *check)
{
	return check->nic->wanted->nic;
}

/* ---- the domain -------------------------------------------------------------------------------
 */

static void check_memory(struct check *check)
{
	const struct libvirt_domain *domain = check->domain;
	bool config = domain->shares_memory[LIBVIRT_CONFIG];

	if (domain->is_running && !domain->shares_memory[LIBVIRT_LIVE])
		FIND(check, LIBVIRT_PROBLEM, config ? NULL : libvirt_memory_xml,
		     "it runs without shared memory, so the switch cannot reach its packets: %s",
		     !domain->is_persistent ? "start it anew with this in its XML"
		     : config ? "it is defined with it since, so shut it down and start it"
			      : "put this into it with 'virsh edit', shut it down and start it");
	else if (domain->is_persistent && !config)
		FIND(check, domain->is_running ? LIBVIRT_HINT : LIBVIRT_PROBLEM, libvirt_memory_xml,
		     "its definition does not share its memory, so the switch cannot reach its "
		     "packets %s: put this into it with 'virsh edit'",
		     domain->is_running ? "after the next start" : "when it is started");
}

static void check_domain(struct check *check)
{
	const struct libvirt_domain *domain = check->domain;

	if (domain->problem)
		FIND(check, LIBVIRT_PROBLEM, NULL, "libvirt's description of it cannot be read: %s",
		     domain->problem);
	if (!domain->is_running)
		FIND(check, LIBVIRT_PROBLEM, NULL, "it is not running: virsh start %s",
		     domain->name);
	else if (domain->is_paused)
		FIND(check, LIBVIRT_PROBLEM, NULL, "it is paused: virsh resume %s", domain->name);
	if (!domain->n_nics && domain->n_other_nics)
		FIND(check, LIBVIRT_PROBLEM, NULL,
		     "it has no vhost-user interface (%u of other types, which are not this "
		     "switch's): vswitchctl attach-vm BRIDGE %s",
		     domain->n_other_nics, domain->name);
	else if (!domain->n_nics)
		FIND(check, LIBVIRT_PROBLEM, NULL,
		     "it has no network interface: vswitchctl attach-vm BRIDGE %s", domain->name);
	check_memory(check);
}

/* ---- the interface and its port: each returns true when there is no point in going on ---------
 */

static bool check_metadata(struct check *check)
{
	const struct libvirt_nic *nic = get_nic(check);
	struct strbuf xml = STRBUF_INIT;

	if (!nic->path)
		return FIND(check, LIBVIRT_PROBLEM, NULL, "it has no socket");
	strbuf_puts(&xml, "<metadata><vswitch:port xmlns:vswitch='" LIBVIRT_METADATA_URI
			  "' bridge='BRIDGE'");
	if (nic->mac[0])
		strbuf_printf(&xml, " mac='%s'", nic->mac);
	strbuf_puts(&xml, "/></metadata>");
	FIND(check, LIBVIRT_PROBLEM, strbuf_get(&xml),
	     "its socket %s is not %s/BRIDGE/NAME.sock, no metadata of the domain names its "
	     "bridge, and no port has this path: put this into the domain with 'virsh edit'",
	     nic->path, check->facts->rundir);
	strbuf_uninit(&xml);
	return true;
}

static bool check_fate(struct check *check)
{
	const struct libvirt_nic_facts *facts = check->nic;

	switch (facts->wanted->fate) {
	case LIBVIRT_NOT_OURS:
		return check_metadata(check);
	case LIBVIRT_REFUSED:
		return FIND(check, LIBVIRT_PROBLEM, NULL, "it gets no port: %s",
			    facts->wanted->problem.text);
	case LIBVIRT_COVERED:
	case LIBVIRT_FOLLOWED:
		break;
	}
	if (facts->failure)
		FIND(check, facts->config ? LIBVIRT_HINT : LIBVIRT_PROBLEM, NULL,
		     "its port cannot be made as it is to be: %s", facts->failure);
	else if (!facts->config)
		FIND(check, LIBVIRT_PROBLEM, NULL, "port %s is being made: ask again",
		     check->port);
	if (!facts->config)
		return true;
	if (!facts->is_open)
		return FIND(check, LIBVIRT_PROBLEM, NULL, "port %s is not open: %s", check->port,
			    facts->error);
	return false;
}

/* Is it in the running machine? */
static bool check_scope(struct check *check)
{
	const struct libvirt_domain *domain = check->domain;
	const struct libvirt_nic *nic = get_nic(check);

	if (domain->is_running && !nic->in[LIBVIRT_LIVE])
		return FIND(check, LIBVIRT_PROBLEM, NULL,
			    "it comes with the next start, the running machine does not have it: "
			    "shut it down and start it, or plug it in with 'virsh attach-device "
			    "--live'");
	if (domain->is_persistent && !nic->in[LIBVIRT_CONFIG])
		FIND(check, LIBVIRT_HINT, NULL,
		     "only the running machine has it: it is gone with the next start");
	return false;
}

/* One must listen, the other connect. */
static bool check_mode(struct check *check)
{
	const struct libvirt_nic *nic = get_nic(check);
	const char *mode = config_options_get(&check->nic->config->options, "mode");
	bool is_client = mode && strcmp(mode, "client") == 0;

	if (is_client != nic->is_server)
		return FIND(check, LIBVIRT_PROBLEM, NULL,
			    "%s: mode='%s' in the domain makes QEMU %s, and mode=%s makes port %s "
			    "do the same: change one of them",
			    is_client ? "both sides connect" : "both sides listen",
			    nic->is_server ? "server" : "client",
			    nic->is_server ? "listen" : "connect", is_client ? "client" : "server",
			    check->port);
	if (!nic->is_server && !nic->reconnects)
		FIND(check, LIBVIRT_HINT, "<reconnect enabled='yes' timeout='1'/>",
		     "QEMU does not connect again when the switch was restarted: put this into its "
		     "<source>");
	return false;
}

static bool check_queues(struct check *check)
{
	const char *text = config_options_get(&check->nic->config->options, "queues");
	unsigned long queues = text ? strtoul(text, NULL, 10) : 1;
	const struct libvirt_nic *nic = get_nic(check);

	if (nic->queues > queues)
		return FIND(check, LIBVIRT_PROBLEM, NULL,
			    "QEMU wants %u queue pairs, port %s has %lu: vswitchctl set-port %s %s "
			    "queues=%u",
			    nic->queues, check->port, queues, check->bridge, check->port,
			    nic->queues);
	return false;
}

/* May QEMU's user get at the socket? Asked only when it has not connected. */
static bool check_permissions(struct check *check)
{
	const struct libvirt_nic_facts *facts = check->nic;
	const struct libvirt_user *user = &check->domain->user;
	const struct libvirt_nic *nic = facts->wanted->nic;

	if (!facts->folder.exists)
		return FIND(check, LIBVIRT_PROBLEM, NULL,
			    "the folder of its socket %s is not there", nic->path);
	if (!nic->is_server && !facts->socket.exists)
		return FIND(check, LIBVIRT_PROBLEM, NULL,
			    "its socket %s was removed: close and open the port, with del-port and "
			    "add-port or by restarting the switch",
			    nic->path);
	if (user->uid == UINT32_MAX)
		return false;
	if (!libvirt_user_may(user, &facts->folder, nic->is_server ? 3 : 1))
		return FIND(check, LIBVIRT_PROBLEM, NULL,
			    "QEMU runs as user %u, which may not %s the folder of %s (mode %04o, "
			    "group %u)",
			    user->uid, nic->is_server ? "make a socket in" : "search", nic->path,
			    (unsigned int)facts->folder.mode & 07777, facts->folder.gid);
	if (!nic->is_server && !libvirt_user_may(user, &facts->socket, 2))
		return FIND(check, LIBVIRT_PROBLEM, NULL,
			    "QEMU runs as user %u, which may not connect to %s (mode %04o, group "
			    "%u): vswitchctl set-port %s %s group=%s",
			    user->uid, nic->path, (unsigned int)facts->socket.mode & 07777,
			    facts->socket.gid, check->bridge, check->port,
			    user->group[0] ? user->group : "GROUP");
	return false;
}

static bool check_connection(struct check *check)
{
	const struct libvirt_nic_facts *facts = check->nic;

	if (facts->faults[0])
		FIND(check, LIBVIRT_HINT, NULL,
		     "the guest's side broke the rules of vhost-user: %s", facts->faults);
	if (facts->is_connected)
		return false;
	if (check_permissions(check))
		return true;
	if (!check->domain->is_running)
		return FIND(check, LIBVIRT_OK, NULL, "port %s of %s waits for it: %s", check->port,
			    check->bridge, facts->connection);
	return FIND(check, LIBVIRT_PROBLEM, NULL,
		    "QEMU and port %s do not speak with each other: %s", check->port,
		    facts->connection);
}

static bool check_link(struct check *check)
{
	const struct libvirt_nic_facts *facts = check->nic;
	const struct libvirt_nic *nic = get_nic(check);

	if (nic->is_down)
		return FIND(check, LIBVIRT_PROBLEM, NULL,
			    "its link is set down in the domain: virsh domif-setlink %s %s up",
			    check->domain->name, nic->mac);
	if (!facts->link)
		return FIND(check, LIBVIRT_PROBLEM, NULL,
			    "QEMU is connected to port %s, but the guest's driver has switched no "
			    "queue on: is the guest up, with its driver (virtio_net) loaded?",
			    check->port);
	if (facts->queues_on < nic->queues)
		FIND(check, LIBVIRT_HINT, NULL,
		     "the guest uses %u of %u queue pairs: in a Linux guest, ethtool -L INTERFACE "
		     "combined %u",
		     facts->queues_on, nic->queues, nic->queues);
	return false;
}

/* ---- the bridge and the traffic ---------------------------------------------------------------
 */

static void check_peers(struct check *check)
{
	const struct libvirt_nic_facts *facts = check->nic;
	const char *tag = config_options_get(&facts->config->options, "tag");

	if (!facts->n_peers)
		FIND(check, LIBVIRT_PROBLEM, NULL,
		     "port %s is alone: no other port of bridge %s has its link up", check->port,
		     check->bridge);
	else if (!facts->n_vlan_peers)
		FIND(check, LIBVIRT_PROBLEM, NULL,
		     "port %s is in VLAN %s, and no other port of bridge %s that is up is in it",
		     check->port, tag ? tag : "0", check->bridge);
}

static void check_drops(struct check *check)
{
	const struct libvirt_nic_facts *facts = check->nic;
	uint64_t flow = 0;

	for (int i = 0; i < DROP_N_REASONS; i++) {
		if (drop_reason_stage((enum drop_reason)i) == DROP_STAGE_FLOW)
			flow += facts->drops[i];
	}
	for (int i = 0; i < DROP_N_REASONS; i++) {
		enum drop_reason reason = (enum drop_reason)i;
		bool is_all = drop_reason_stage(reason) == DROP_STAGE_FLOW && facts->rx_packets &&
			      flow >= facts->rx_packets;

		/* before the guest was up, nothing could reach it */
		if (facts->drops[i] && reason != DROP_TX_DOWN)
			FIND(check, is_all ? LIBVIRT_PROBLEM : LIBVIRT_HINT, NULL,
			     "packets of port %s that were dropped, %s: %" PRIu64 ", %s%s",
			     check->port, drop_reason_name(reason), facts->drops[i],
			     drop_reason_help(reason),
			     is_all ? " (nothing that the guest sends gets through: vswitchctl "
				      "trace shows why)"
				    : "");
	}
}

static void check_traffic(struct check *check)
{
	const struct libvirt_nic_facts *facts = check->nic;

	if (!facts->rx_packets)
		FIND(check, LIBVIRT_PROBLEM, NULL,
		     "port %s has not had one packet from the guest: is the interface up in there, "
		     "with an address?",
		     check->port);
	else if (!facts->tx_packets)
		FIND(check, LIBVIRT_HINT, NULL,
		     "port %s has had packets from the guest (%" PRIu64 ") and sent none to it: "
		     "does nobody answer?",
		     check->port, facts->rx_packets);
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static void check_nic(struct check *check)
{
	const struct libvirt_nic_facts *facts = check->nic;
	unsigned int before = check->report->n_problems;

	check->bridge = facts->wanted->bridge;
	check->port = facts->wanted->port;
	if (check_fate(check) || check_scope(check) || check_mode(check) || check_queues(check) ||
	    check_connection(check) || check_link(check))
		return;
	check_peers(check);
	check_drops(check);
	check_traffic(check);
	if (check->report->n_problems == before)
		FIND(check, LIBVIRT_OK, NULL,
		     "port %s of %s is connected and up; packets from the guest: %" PRIu64
		     ", to it: %" PRIu64,
		     check->port, check->bridge, facts->rx_packets, facts->tx_packets);
}

int libvirt_check_run(const struct libvirt_facts *facts, struct libvirt_report *report)
{
	struct check check = {.facts = facts, .domain = facts->domain, .report = report};

	*report = (struct libvirt_report){0};
	check_domain(&check);
	for (size_t i = 0; i < facts->domain->n_nics; i++) {
		check.nic = &facts->nics[i];
		check_nic(&check);
	}
	if (check.err)
		libvirt_report_uninit(report);
	return check.err;
}
