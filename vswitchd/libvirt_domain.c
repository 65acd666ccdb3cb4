/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/libvirt_domain.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char libvirt_memory_xml[] =
	"<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>";

struct libvirt_domain *libvirt_domain_create(const char *name, const char *uuid)
{
	struct libvirt_domain *domain = calloc(1, sizeof(*domain));

	if (!domain)
		return NULL;
	domain->name = strdup(name);
	domain->user.uid = UINT32_MAX;
	strncpy(domain->uuid, uuid, sizeof(domain->uuid) - 1);
	if (domain->name)
		return domain;
	free(domain);
	return NULL;
}

void libvirt_domain_destroy(struct libvirt_domain *domain)
{
	if (!domain)
		return;
	for (size_t i = 0; i < domain->n_nics; i++) {
		free(domain->nics[i].path);
		free(domain->nics[i].dev);
	}
	for (size_t i = 0; i < domain->n_hints; i++) {
		struct libvirt_hint *hint = &domain->hints[i];

		free(hint->bridge);
		free(hint->mac);
		free(hint->dev);
		free(hint->tag);
		free(hint->name);
	}
	free(domain->nics);
	free(domain->hints);
	free(domain->name);
	free(domain->type);
	free(domain->problem);
	free(domain);
}

struct libvirt_nic *libvirt_domain_lookup_nic(const struct libvirt_domain *domain, const char *mac)
{
	for (size_t i = 0; i < domain->n_nics; i++) {
		if (strcasecmp(domain->nics[i].mac, mac) == 0)
			return &domain->nics[i];
	}
	return NULL;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool libvirt_mac_parse(const char *text, char mac[LIBVIRT_MAC_SIZE])
{
	for (int i = 0; i < LIBVIRT_MAC_SIZE - 1; i++) {
		int digit = hex_digit(text[i]);

		if (i % 3 == 2 ? text[i] != ':' : digit < 0)
			return false;
		mac[i] = i % 3 == 2 ? ':' : "0123456789abcdef"[digit];
	}
	mac[LIBVIRT_MAC_SIZE - 1] = '\0';
	/* the lowest bit of the first byte marks a group */
	return !text[LIBVIRT_MAC_SIZE - 1] && hex_digit(mac[1]) % 2 == 0;
}

void libvirt_xml_escape(const char *text, struct strbuf *out)
{
	for (; *text; text++) {
		if (strchr("&<>'\"", *text))
			strbuf_printf(out, "&#%d;", *text);
		else
			strbuf_putc(out, *text);
	}
}

void libvirt_nic_format(const struct libvirt_nic *nic, struct strbuf *out)
{
	strbuf_puts(out, "<interface type='vhostuser'>");
	if (nic->mac[0])
		strbuf_printf(out, "<mac address='%s'/>", nic->mac);
	strbuf_puts(out, "<source type='unix' path='");
	libvirt_xml_escape(nic->path ? nic->path : "", out);
	strbuf_printf(out, "' mode='%s'", nic->is_server ? "server" : "client");
	/* QEMU comes back by itself when the switch is restarted */
	if (nic->is_server || !nic->reconnects)
		strbuf_puts(out, "/>");
	else
		strbuf_puts(out, "><reconnect enabled='yes' timeout='1'/></source>");
	strbuf_puts(out, "<model type='virtio'/>");
	if (nic->queues > 1)
		strbuf_printf(out, "<driver queues='%u'/>", nic->queues);
	if (nic->mtu)
		strbuf_printf(out, "<mtu size='%u'/>", nic->mtu);
	strbuf_puts(out, "</interface>");
}
