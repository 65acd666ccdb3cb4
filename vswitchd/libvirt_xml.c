/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/libvirt_xml.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No more than a person or a switch can make sense of. */
#define QUEUES_MAX 256
#define MTU_MAX 65535

void libvirt_xml_init(void)
{
	xmlInitParser();
}

/* ---- words of the tree ------------------------------------------------------------------------
 */

static bool is_element(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && !node->ns &&
	       strcmp((const char *)node->name, name) == 0;
}

/* The first element of that name within `parent` (may be NULL), or NULL. */
static xmlNode *find(const xmlNode *parent, const char *name)
{
	xmlNode *node = parent ? parent->children : NULL;

	while (node && !is_element(node, name))
		node = node->next;
	return node;
}

/* The attribute's value, the caller's to free(); NULL: there is none, or no memory. */
static char *get(const xmlNode *node, const char *name)
{
	xmlChar *value = node ? xmlGetNoNsProp((xmlNode *)(uintptr_t)node, (const xmlChar *)name)
			      : NULL;
	char *copy = value ? strdup((const char *)value) : NULL;

	xmlFree(value);
	return copy;
}

static bool has_value(const xmlNode *node, const char *name, const char *wanted)
{
	char *value = get(node, name);
	bool equal = value && strcmp(value, wanted) == 0;

	free(value);
	return equal;
}

/* An attribute that is a number from 1 to `max`; else `initial`. */
static uint32_t get_number(const xmlNode *node, const char *name, uint32_t max, uint32_t initial)
{
	char *value = get(node, name), *end = NULL;
	unsigned long number = value && value[0] != '-' ? strtoul(value, &end, 10) : 0;

	if (!end || end == value || *end || number < 1 || number > max)
		number = initial;
	free(value);
	return (uint32_t)number;
}

/* Makes room for one more at the end of a list. */
static void *grow(void *list, size_t n, size_t size)
{
	char *grown = reallocarray(list, n + 1, size);

	if (grown)
		memset(grown + n * size, 0, size);
	return grown;
}

/* ---- interfaces -------------------------------------------------------------------------------
 */

static void read_nic(const xmlNode *node, struct libvirt_nic *nic)
{
	const xmlNode *source = find(node, "source");
	char *mac = get(find(node, "mac"), "address");

	if (!mac || !libvirt_mac_parse(mac, nic->mac))
		nic->mac[0] = '\0';
	free(mac);
	nic->path = get(source, "path");
	nic->dev = get(find(node, "target"), "dev");
	nic->is_server = has_value(source, "mode", "server");
	nic->reconnects = has_value(find(source, "reconnect"), "enabled", "yes");
	nic->is_down = has_value(find(node, "link"), "state", "down");
	nic->queues = get_number(find(node, "driver"), "queues", QUEUES_MAX, 1);
	nic->mtu = get_number(find(node, "mtu"), "size", MTU_MAX, 0);
}

static bool strings_are_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Both descriptions have it: the same socket, and the same MAC address. */
static struct libvirt_nic *find_same(const struct libvirt_domain *domain,
				     const struct libvirt_nic *nic, enum libvirt_scope scope)
{
	for (size_t i = 0; i < domain->n_nics; i++) {
		struct libvirt_nic *other = &domain->nics[i];

		if (!other->in[scope] && strings_are_equal(other->path, nic->path) &&
		    strcmp(other->mac, nic->mac) == 0)
			return other;
	}
	return NULL;
}

static int add_nic(struct libvirt_domain *domain, enum libvirt_scope scope, const xmlNode *node)
{
	struct libvirt_nic nic = {0}, *same, *nics;

	read_nic(node, &nic);
	same = find_same(domain, &nic, scope);
	if (same) {
		same->in[scope] = true;
		goto drop;
	}
	if (domain->n_nics == LIBVIRT_NICS_MAX)
		goto drop;
	nics = grow(domain->nics, domain->n_nics, sizeof(*nics));
	if (!nics) {
		free(nic.path);
		free(nic.dev);
		return -ENOMEM;
	}
	nic.in[scope] = true;
	domain->nics = nics;
	domain->nics[domain->n_nics++] = nic;
	return 0;

drop:
	free(nic.path);
	free(nic.dev);
	return 0;
}

static int read_devices(struct libvirt_domain *domain, enum libvirt_scope scope,
			const xmlNode *devices)
{
	unsigned int n_others = 0;
	int err = 0;

	for (const xmlNode *node = devices ? devices->children : NULL; node && !err;
	     node = node->next) {
		if (!is_element(node, "interface"))
			continue;
		if (has_value(node, "type", "vhostuser"))
			err = add_nic(domain, scope, node);
		else
			n_others++;
	}
	domain->n_other_nics = MAX(domain->n_other_nics, n_others);
	return err;
}

/* ---- memory -----------------------------------------------------------------------------------
 */

/* Do all cells of guest NUMA share their memory? */
static bool cells_share(const xmlNode *numa)
{
	unsigned int n = 0;

	for (const xmlNode *node = numa ? numa->children : NULL; node; node = node->next) {
		if (!is_element(node, "cell"))
			continue;
		if (!has_value(node, "memAccess", "shared"))
			return false;
		n++;
	}
	return n > 0;
}

/* Shared memory is a file, a memfd or huge pages, mapped as shared; nothing else can be handed
 * over. */
static bool memory_is_shared(const xmlNode *root)
{
	const xmlNode *backing = find(root, "memoryBacking");
	const xmlNode *source = find(backing, "source");
	bool is_file = has_value(source, "type", "memfd") || has_value(source, "type", "file") ||
		       find(backing, "hugepages");

	return is_file && (has_value(find(backing, "access"), "mode", "shared") ||
			   cells_share(find(find(root, "cpu"), "numa")));
}

/* ---- metadata ---------------------------------------------------------------------------------
 */

static int add_hint(struct libvirt_domain *domain, const xmlNode *node)
{
	struct libvirt_hint *hints, *hint;
	char *bridge = get(node, "bridge");

	if (!bridge || domain->n_hints == LIBVIRT_HINTS_MAX) {
		free(bridge);
		return 0;
	}
	hints = grow(domain->hints, domain->n_hints, sizeof(*hints));
	if (!hints) {
		free(bridge);
		return -ENOMEM;
	}
	domain->hints = hints;
	hint = &hints[domain->n_hints++];
	hint->bridge = bridge;
	hint->mac = get(node, "mac");
	hint->dev = get(node, "dev");
	hint->tag = get(node, "tag");
	hint->name = get(node, "name");
	return 0;
}

/* Our elements, also inside an element of ours: libvirt keeps one a namespace. */
static int read_metadata(struct libvirt_domain *domain, const xmlNode *metadata)
{
	int err = 0;

	for (const xmlNode *node = metadata ? metadata->children : NULL; node && !err;
	     node = node->next) {
		if (node->type != XML_ELEMENT_NODE || !node->ns ||
		    strcmp((const char *)node->ns->href, LIBVIRT_METADATA_URI) != 0)
			continue;
		if (strcmp((const char *)node->name, "port") == 0)
			err = add_hint(domain, node);
		else if (strcmp((const char *)node->name, "ports") == 0 && node->parent == metadata)
			err = read_metadata(domain, node);
	}
	return err;
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static xmlDoc *read_text(const char *text, struct error *e)
{
	size_t size = strlen(text);
	xmlDoc *doc;

	if (size > LIBVIRT_XML_SIZE_MAX) {
		error_set(e, E2BIG, "its XML is larger than %u MiB", LIBVIRT_XML_SIZE_MAX >> 20);
		return NULL;
	}
	doc = xmlReadMemory(text, (int)size, NULL, NULL,
			    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
				    XML_PARSE_NOCDATA);
	if (!doc)
		error_set(e, EINVAL, "it is no well-formed XML");
	return doc;
}

int libvirt_xml_parse_domain(struct libvirt_domain *domain, enum libvirt_scope scope,
			     const char *text, struct error *e)
{
	xmlDoc *doc = read_text(text, e);
	const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
	int err = 0;

	if (!doc)
		return strlen(text) > LIBVIRT_XML_SIZE_MAX ? -E2BIG : -EINVAL;
	if (!root || !is_element(root, "domain")) {
		err = error_set(e, EINVAL, "it is no description of a domain");
		goto out;
	}
	if (!domain->type)
		domain->type = get(root, "type");
	domain->shares_memory[scope] = memory_is_shared(root);
	err = read_devices(domain, scope, find(root, "devices"));
	if (!err && !domain->n_hints)
		err = read_metadata(domain, find(root, "metadata"));
	if (err)
		error_set(e, err, "out of memory");
out:
	xmlFreeDoc(doc);
	return err;
}

/* "+64055:+104" */
static bool parse_label(const char *text, uint32_t *uid, uint32_t *gid)
{
	unsigned int u, g;
	char rest;

	if (sscanf(text, "+%u:+%u%c", &u, &g, &rest) != 2)
		return false;
	*uid = u;
	*gid = g;
	return true;
}

static bool read_label(const xmlNode *label, uint32_t *uid, uint32_t *gid)
{
	xmlChar *text = xmlNodeGetContent(label);
	bool known = text && parse_label((const char *)text, uid, gid);

	xmlFree(text);
	return known;
}

bool libvirt_xml_parse_user(const char *text, uint32_t *uid, uint32_t *gid)
{
	xmlDoc *doc = read_text(text, NULL);
	const xmlNode *host = find(doc ? xmlDocGetRootElement(doc) : NULL, "host");
	bool known = false;

	for (const xmlNode *model = host ? host->children : NULL; model && !known;
	     model = model->next) {
		const xmlNode *name = is_element(model, "secmodel") ? find(model, "model") : NULL;
		xmlChar *word = name ? xmlNodeGetContent(name) : NULL;
		const xmlNode *label = find(model, "baselabel");

		if (word && label && strcmp((const char *)word, "dac") == 0)
			known = read_label(label, uid, gid);
		xmlFree(word);
	}
	xmlFreeDoc(doc);
	return known;
}
