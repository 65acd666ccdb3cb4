/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A domain's XML, up to the ports that follow from it. The first byte says which of the two
 * descriptions it is. Whatever it holds, each action of the plan can be carried out on the config,
 * nothing is left to do then, and an interface that is written reads back the same.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "lib/util.h"
#include "vswitchd/libvirt_plan.h"
#include "vswitchd/libvirt_xml.h"

#define RUNDIR "/run/vswitch"

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void init_config(struct config *config)
{
	config_init(config);
	check(config_add_bridge(config, "br0", NULL) && config_add_bridge(config, "br1", NULL));
	check(config_add_port(config, config_lookup_bridge(config, "br0"), "hand", "vhost-user",
			      NULL) != NULL);
}

static void check_plan(struct libvirt_domain *domain)
{
	struct libvirt_plan *plan;
	struct config config;
	struct error e = ERROR_INIT;

	init_config(&config);
	check(libvirt_plan_create(&config, RUNDIR, &domain, 1, &plan) == 0);
	check(plan->n_wanted == domain->n_nics);
	for (size_t i = 0; i < plan->n_wanted; i++)
		check((plan->wanted[i].fate == LIBVIRT_REFUSED) ==
		      (plan->wanted[i].problem.text[0] != '\0'));
	for (size_t i = 0; i < plan->n_actions; i++)
		check(libvirt_plan_edit(plan, &plan->actions[i], &config, &e) == 0);
	libvirt_plan_destroy(plan);
	check(libvirt_plan_create(&config, RUNDIR, &domain, 1, &plan) == 0);
	check(plan->n_actions == 0);
	libvirt_plan_destroy(plan);
	config_uninit(&config);
}

/* What was read, written and read again. */
static void check_round_trip(const struct libvirt_nic *nic)
{
	struct strbuf xml = STRBUF_INIT;
	struct libvirt_domain *domain = libvirt_domain_create("d", "u");

	check(domain != NULL);
	strbuf_puts(&xml, "<domain><devices>");
	libvirt_nic_format(nic, &xml);
	strbuf_puts(&xml, "</devices></domain>");
	check(libvirt_xml_parse_domain(domain, LIBVIRT_LIVE, strbuf_get(&xml), NULL) == 0);
	check(domain->n_nics == 1);
	check(strcmp(domain->nics[0].mac, nic->mac) == 0);
	check(strcmp(domain->nics[0].path, nic->path) == 0);
	check(domain->nics[0].is_server == nic->is_server);
	check(domain->nics[0].queues == nic->queues && domain->nics[0].mtu == nic->mtu);
	libvirt_domain_destroy(domain);
	strbuf_uninit(&xml);
}

/* A path in an attribute cannot hold these as they are: XML makes blanks of them. */
static bool is_plain(const char *path)
{
	return path && !strpbrk(path, "\t\r\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	struct libvirt_domain *domain;
	struct error e = ERROR_INIT;
	uint32_t uid, gid;
	char *text;

	if (!ready)
		libvirt_xml_init();
	ready = true;
	if (size < 1)
		return 0;
	text = malloc(size);
	domain = libvirt_domain_create("d", "b4c35d28-59fc-44b7-8173-deab59a8bfc8");
	check(text && domain);
	/* not strndup(): under strict_string_checks it wants a NUL in the input */
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (libvirt_xml_parse_domain(domain, data[0] & 1 ? LIBVIRT_LIVE : LIBVIRT_CONFIG, text, &e))
		check(e.text[0] != '\0');
	/* the same as the other description: no interface twice */
	if (data[0] & 2) {
		size_t n = domain->n_nics;

		(void)!libvirt_xml_parse_domain(domain, data[0] & 1 ? LIBVIRT_CONFIG : LIBVIRT_LIVE,
						text, NULL);
		check(domain->n_nics == n || n == LIBVIRT_NICS_MAX);
	}
	check(domain->n_nics <= LIBVIRT_NICS_MAX && domain->n_hints <= LIBVIRT_HINTS_MAX);
	check_plan(domain);
	for (size_t i = 0; i < domain->n_nics; i++) {
		if (is_plain(domain->nics[i].path))
			check_round_trip(&domain->nics[i]);
	}
	(void)libvirt_xml_parse_user(text, &uid, &gid);
	libvirt_domain_destroy(domain);
	free(text);
	return 0;
}
