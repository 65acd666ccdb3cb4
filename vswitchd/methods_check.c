/* SPDX-License-Identifier: BSD-2-Clause */
/* vm-check: gathers what is known of a VM's way into the switch; libvirt_check.h judges it. */
#include "vswitchd/methods.h"

#include "vswitchd/libvirt.h"
#include "vswitchd/libvirt_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A call under way. */
struct vm_check {
	struct libvirt *lv;
	struct vswitch *vs;
	struct rpc_later *later; /* the answer that is owed */
	char *domain; /* as the user named it; owned */
};

/* What a port's driver says, as far as it matters. */
struct port_status {
	char connection[256], faults[256];
	bool is_connected;
	unsigned int queues_on;
};

/* ---- facts ------------------------------------------------------------------------------------
 */

static void note_status(void *aux, const char *name, const char *value)
{
	struct port_status *status = aux;

	if (strcmp(name, "connection") == 0)
		snprintf(status->connection, sizeof(status->connection), "%s", value);
	else if (strcmp(name, "faults") == 0)
		snprintf(status->faults, sizeof(status->faults), "%s", value);
	else if (strcmp(name, "features") == 0)
		status->is_connected = true; /* told of a guest only */
	else if (strcmp(name, "queues_enabled") == 0)
		status->queues_on = (unsigned int)strtoul(value, NULL, 10);
}

static void look_at_file(const char *path, struct libvirt_file *file)
{
	struct stat st;

	*file = (struct libvirt_file){0};
	if (stat(path, &st) < 0)
		return;
	*file = (struct libvirt_file){
		.exists = true, .uid = st.st_uid, .gid = st.st_gid, .mode = st.st_mode};
}

static void look_at_socket(const char *path, struct libvirt_nic_facts *facts)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path)) : NULL;

	look_at_file(path, &facts->socket);
	look_at_file(folder && folder[0] ? folder : "/", &facts->folder);
	free(folder);
}

/* The VLANs of a port, its bridge's own port if `config` is NULL. */
static struct bridge_port_config get_vlans(const struct config_port *config)
{
	static const char *const keys[] = {"tag", "trunks"};
	struct bridge_port_config vlans = {0};
	struct port_option options[ARRAY_SIZE(keys)];
	size_t n = 0;

	for (size_t i = 0; config && i < ARRAY_SIZE(keys); i++) {
		const char *value = config_options_get(&config->options, keys[i]);

		if (value)
			options[n++] = (struct port_option){.key = keys[i], .value = value};
	}
	(void)!bridge_port_config_parse(options, n, &vlans, NULL);
	return vlans;
}

static bool carries(const struct bridge_port_config *vlans, unsigned int vlan)
{
	if (vlans->tag)
		return vlans->tag == vlan;
	return vlan_bitmap_is_empty(&vlans->trunks) || vlan_bitmap_has(&vlans->trunks, vlan);
}

static bool share_vlan(const struct bridge_port_config *a, const struct bridge_port_config *b)
{
	for (unsigned int vlan = 0; vlan < 4096; vlan++) {
		if (carries(a, vlan) && carries(b, vlan))
			return true;
	}
	return false;
}

static struct port *get_driver(const struct vswitch *vs, const struct vswitch_port *live)
{
	return live && live->port_no ? datapath_get_port(vs->dp, live->port_no) : NULL;
}

/* The bridge's other ports that are up, and those of them in the same VLAN. */
static void count_peers(const struct vswitch *vs, const struct config_bridge *bridge,
			struct libvirt_nic_facts *facts)
{
	struct bridge_port_config ours = get_vlans(facts->config), theirs;

	for (size_t i = 0; i < vs->n_ports; i++) {
		const struct vswitch_port *live = vs->ports[i];
		const struct port *driver = get_driver(vs, live);

		if (strcmp(live->bridge, bridge->name) != 0 || !driver || !port_get_link(driver) ||
		    strcmp(live->name, facts->config->name) == 0)
			continue;
		theirs = get_vlans(live->is_local ? NULL
						  : config_lookup_port(NULL, bridge, live->name,
								       NULL));
		facts->n_peers++;
		facts->n_vlan_peers += share_vlan(&ours, &theirs);
	}
}

static void look_at_port(const struct vswitch *vs, const struct config_bridge *bridge,
			 struct libvirt_nic_facts *facts, struct port_status *status)
{
	const struct vswitch_port *live = vswitch_get_port(vs, facts->config->name);
	struct port *driver = get_driver(vs, live);
	struct port_counters sum;

	facts->error = live ? live->error.text : "it is not known";
	if (!driver)
		return;
	facts->is_open = true;
	facts->link = port_get_link(driver);
	if (driver->class->get_status)
		driver->class->get_status(driver, note_status, status);
	facts->is_connected = status->is_connected;
	facts->queues_on = status->queues_on;
	port_sum_counters(driver, &sum);
	facts->rx_packets = sum.rx_packets;
	facts->tx_packets = sum.tx_packets;
	memcpy(facts->drops, sum.drops, sizeof(facts->drops));
	count_peers(vs, bridge, facts);
}

static void look_at_nic(const struct vm_check *call, const struct libvirt_wanted *wanted,
			struct libvirt_nic_facts *facts, struct port_status *status)
{
	const struct vswitch *vs = call->vs;
	const struct config_bridge *bridge = config_lookup_bridge(&vs->config, wanted->bridge);

	*facts = (struct libvirt_nic_facts){.wanted = wanted, .error = ""};
	facts->connection = status->connection;
	facts->faults = status->faults;
	facts->failure = libvirt_get_failure(call->lv, wanted->port);
	if (wanted->fate == LIBVIRT_NOT_OURS || wanted->fate == LIBVIRT_REFUSED || !bridge)
		return;
	look_at_socket(wanted->nic->path, facts);
	facts->config = config_lookup_port(NULL, bridge, wanted->port, NULL);
	if (facts->config)
		look_at_port(vs, bridge, facts, status);
}

/* ---- the answer -------------------------------------------------------------------------------
 */

static const char *const level_names[] = {
	[LIBVIRT_PROBLEM] = "problem",
	[LIBVIRT_HINT] = "hint",
	[LIBVIRT_OK] = "ok",
};

static json_t *describe_finding(const struct libvirt_finding *finding)
{
	return json_pack("{s:s, s:s*, s:s, s:s*}", "level", level_names[finding->level], "mac",
			 finding->nic ? finding->nic->mac : NULL, "text", finding->text.text,
			 "xml", finding->xml);
}

static void tell_report(const struct vm_check *call, const struct libvirt_domain *domain,
			const struct libvirt_report *report)
{
	json_t *findings = json_array(), *result = call->later->result;

	for (size_t i = 0; i < report->n; i++)
		(void)!json_array_append_new(findings, describe_finding(&report->findings[i]));
	methods_set(result, "domain", json_string(domain->name));
	methods_set(result, "uuid", json_string(domain->uuid));
	methods_set(result, "problems", json_integer(report->n_problems));
	methods_set(result, "findings", findings);
}

/* Judges the domain, with what its interfaces get by the plan. */
static int judge(const struct vm_check *call, const struct libvirt_domain *domain,
		 const struct libvirt_plan *plan)
{
	struct libvirt_nic_facts *nics = calloc(domain->n_nics + 1, sizeof(*nics));
	struct port_status *status = calloc(domain->n_nics + 1, sizeof(*status));
	const struct libvirt_facts facts = {
		.rundir = call->vs->rundir, .domain = domain, .nics = nics};
	struct libvirt_report report;
	size_t n = 0;
	int err = -ENOMEM;

	for (size_t i = 0; nics && status && i < plan->n_wanted; i++) {
		if (plan->wanted[i].domain != domain)
			continue;
		look_at_nic(call, &plan->wanted[i], &nics[n], &status[n]);
		n++;
	}
	if (nics && status)
		err = libvirt_check_run(&facts, &report);
	if (!err) {
		tell_report(call, domain, &report);
		libvirt_report_uninit(&report);
	}
	free(status);
	free(nics);
	return err;
}

/* All domains, with `domain` in place of what was known of it. The caller frees. */
static struct libvirt_domain **list_domains(const struct libvirt *lv, struct libvirt_domain *domain,
					    size_t *n)
{
	struct libvirt_domain *const *known = libvirt_get_domains(lv, n);
	struct libvirt_domain **list = calloc(*n + 1, sizeof(struct libvirt_domain *));
	bool found = false;

	for (size_t i = 0; list && i < *n; i++) {
		bool same = strcmp(known[i]->uuid, domain->uuid) == 0;

		list[i] = same ? domain : known[i];
		found |= same;
	}
	if (list && !found)
		list[(*n)++] = domain;
	return list;
}

static int run_check(const struct vm_check *call, struct libvirt_domain *domain)
{
	struct libvirt_domain **domains;
	struct libvirt_plan *plan;
	size_t n;
	int err;

	domains = list_domains(call->lv, domain, &n);
	if (!domains)
		return -ENOMEM;
	err = libvirt_plan_create(&call->vs->config, call->vs->rundir, domains, n, &plan);
	if (!err) {
		err = judge(call, domain, plan);
		libvirt_plan_destroy(plan);
	}
	free(domains);
	return err;
}

static void on_domain(void *aux, int err, struct error *e, struct libvirt_domain **domain)
{
	struct vm_check *call = aux;
	char hint[80];

	if (err == -ENOENT)
		error_set(e, err, "there is no domain '%.60s'%s", call->domain,
			  libvirt_suggest(call->lv, call->domain, hint, sizeof(hint)));
	if (!err && run_check(call, *domain))
		err = error_set(e, ENOMEM, "out of memory");
	rpc_finish(call->later, err, e);
	free(call->domain);
	free(call);
}

int method_vm_check(struct rpc_call *call, struct error *e)
{
	struct vm_check *check;
	int err;

	if (!call->vswitch->libvirt)
		return error_set(e, ENOTSUP, "this vswitchd does not speak to libvirt: it was "
					     "started with --no-libvirt, or built without it");
	check = calloc(1, sizeof(*check));
	if (!check)
		return error_set(e, ENOMEM, "out of memory");
	check->lv = call->vswitch->libvirt;
	check->vs = call->vswitch;
	check->domain = strdup(rpc_get_string(call, "domain"));
	err = check->domain ? 0 : error_set(e, ENOMEM, "out of memory");
	if (!err) {
		check->later = rpc_defer(call, e);
		err = check->later ? 0 : -ENOTSUP;
	}
	if (err) {
		free(check->domain);
		free(check);
		return err;
	}
	err = libvirt_submit(check->lv, LIBVIRT_JOB_GET, check->domain, NULL, on_domain, check, e);
	if (err)
		on_domain(check, err, e, &(struct libvirt_domain *){NULL});
	return -EINPROGRESS;
}
