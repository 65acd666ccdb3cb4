/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports of bridges: numbers, names, options, and how they are published. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "openflow/bridge.h"
#include "openflow/bridge_priv.h"

const struct port_option_def bridge_port_options[] = {
	{"tag", "VLAN", "0", "access port of this VLAN, 1 to 4094; 0: a trunk"},
	{"trunks", "VLAN[-VLAN],...", NULL, "VLANs that a trunk carries, 0 for untagged; all"},
	{"ofport_request", "NUMBER", NULL, "OpenFlow port number to have, 1 to 65279"},
	{NULL, NULL, NULL, NULL},
};

bool bridge_port_option_is_known(const char *key)
{
	for (const struct port_option_def *def = bridge_port_options; def->name; def++) {
		if (strcmp(def->name, key) == 0)
			return true;
	}
	return false;
}

/* A decimal number in [min, max]. */
static int parse_number(const struct port_option *option, unsigned long min, unsigned long max,
			uint32_t *value, struct error *err)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(option->value, &end, 10);
	if (option->value[0] < '0' || option->value[0] > '9' || *end || errno || number < min ||
	    number > max)
		return error_set(err, EINVAL, "%s=%s: a number from %lu to %lu", option->key,
				 option->value, min, max);
	*value = (uint32_t)number;
	return 0;
}

int bridge_port_config_parse(const struct port_option *options, size_t n,
			     struct bridge_port_config *config, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct port_option *option = &options[i];
		uint32_t tag = config->tag;
		int rc = 0;

		if (strcmp(option->key, "tag") == 0) {
			rc = parse_number(option, 0, VLAN_MAX, &tag, err);
			config->tag = (uint16_t)tag;
		} else if (strcmp(option->key, "trunks") == 0) {
			rc = vlan_bitmap_parse(option->value, &config->trunks, err);
			if (rc)
				return error_prefix(err, rc, "trunks");
		} else if (strcmp(option->key, "ofport_request") == 0) {
			rc = parse_number(option, 1, OFPORT_MAX, &config->ofport_request, err);
		}
		if (rc)
			return rc;
	}
	if (config->tag && !vlan_bitmap_is_empty(&config->trunks))
		return error_set(err, EINVAL,
				 "tag and trunks: a port is an access port or a trunk");
	return 0;
}

/* ---- look-up ---- */

/* Where the port of that number is, or would be. */
static uint32_t ports_search(const struct bridge_ports *ports, uint32_t ofport)
{
	uint32_t low = 0, high = ports->n;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (ports->ports[middle]->ofport < ofport)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct bridge_port *bridge_ports_lookup(const struct bridge_ports *ports, uint32_t ofport)
{
	uint32_t i = ports_search(ports, ofport);

	return i < ports->n && ports->ports[i]->ofport == ofport ? ports->ports[i] : NULL;
}

static struct bridge_port *bridge_find_port(const struct bridge *bridge, const char *name)
{
	const struct bridge_ports *ports = rcu_get(&bridge->ports);

	for (uint32_t i = 0; i < ports->n; i++) {
		if (strcmp(ports->ports[i]->name, name) == 0)
			return ports->ports[i];
	}
	return NULL;
}

static void bridge_port_get_info(const struct bridge_port *port, struct bridge_port_info *info)
{
	info->name = port->name;
	info->port_no = port->port_no;
	info->ofport = port->ofport;
	info->tag = port->tag;
	info->trunks = &port->trunks;
}

bool bridge_lookup_port(const struct bridge *bridge, const char *name,
			struct bridge_port_info *info)
{
	const struct bridge_port *port = bridge_find_port(bridge, name);

	if (port && info)
		bridge_port_get_info(port, info);
	return port;
}

bool bridge_lookup_ofport(const struct bridge *bridge, uint32_t ofport,
			  struct bridge_port_info *info)
{
	const struct bridge_port *port = bridge_ports_lookup(rcu_get(&bridge->ports), ofport);

	if (port && info)
		bridge_port_get_info(port, info);
	return port;
}

struct bridge *bridge_table_lookup_port(const struct bridge_table *table, const char *name)
{
	struct bridge *bridge;

	for (bridge = table->bridges; bridge; bridge = bridge->next) {
		if (bridge_find_port(bridge, name))
			break;
	}
	return bridge;
}

void bridge_dump_ports(const struct bridge *bridge, bridge_port_cb *cb, void *aux)
{
	const struct bridge_ports *ports = rcu_get(&bridge->ports);

	for (uint32_t i = 0; i < ports->n; i++) {
		struct bridge_port_info info;

		bridge_port_get_info(ports->ports[i], &info);
		cb(aux, &info);
	}
}

uint32_t bridge_get_n_ports(const struct bridge *bridge)
{
	return rcu_get(&bridge->ports)->n;
}

/* ---- names in rule text ---- */

static uint32_t names_get_number(void *aux, const char *name, size_t length)
{
	const struct bridge_ports *ports = rcu_get(&((const struct bridge *)aux)->ports);

	for (uint32_t i = 0; i < ports->n; i++) {
		if (strlen(ports->ports[i]->name) == length &&
		    memcmp(ports->ports[i]->name, name, length) == 0)
			return ports->ports[i]->ofport;
	}
	return OFPORT_NONE;
}

static const char *names_get_name(void *aux, uint32_t ofport)
{
	const struct bridge *bridge = aux;
	const struct bridge_port *port = bridge_ports_lookup(rcu_get(&bridge->ports), ofport);

	return port ? port->name : NULL;
}

static void names_offer(void *aux, struct suggest *s)
{
	const struct bridge_ports *ports = rcu_get(&((const struct bridge *)aux)->ports);

	for (uint32_t i = 0; i < ports->n; i++)
		suggest_offer(s, ports->ports[i]->name);
}

void bridge_get_ofport_names(const struct bridge *bridge, struct ofport_names *names)
{
	names->get_number = names_get_number;
	names->get_name = names_get_name;
	names->offer = names_offer;
	names->aux = (void *)(uintptr_t)bridge;
}

/* ---- numbers ---- */

static struct bridge_number *bridge_find_number(const struct bridge *bridge, const char *name)
{
	for (uint32_t i = 0; i < bridge->n_numbers; i++) {
		if (strcmp(bridge->numbers[i].name, name) == 0)
			return &bridge->numbers[i];
	}
	return NULL;
}

static void bridge_forget_number(struct bridge *bridge, uint32_t i)
{
	bridge->n_numbers--;
	memmove(&bridge->numbers[i], &bridge->numbers[i + 1],
		(bridge->n_numbers - i) * sizeof(bridge->numbers[0]));
}

/* Keeps in mind that `ofport` belongs to `name`, and to no other. Without memory it is
 * forgotten. */
static void bridge_remember_number(struct bridge *bridge, const char *name, uint32_t ofport)
{
	struct bridge_number *numbers;

	for (uint32_t i = bridge->n_numbers; i-- > 0;) {
		if (bridge->numbers[i].ofport == ofport ||
		    strcmp(bridge->numbers[i].name, name) == 0)
			bridge_forget_number(bridge, i);
	}
	if (bridge->n_numbers == BRIDGE_REMEMBERED_MAX)
		bridge_forget_number(bridge, 0);
	numbers = realloc(bridge->numbers, (bridge->n_numbers + 1) * sizeof(*numbers));
	if (!numbers)
		return;
	bridge->numbers = numbers;
	strcpy(numbers[bridge->n_numbers].name, name);
	numbers[bridge->n_numbers++].ofport = ofport;
}

/* The lowest number that no port has and, if possible, no name either; OFPORT_NONE: all are
 * taken. */
static uint32_t bridge_choose_number(const struct bridge *bridge)
{
	const struct bridge_ports *ports = rcu_get(&bridge->ports);
	uint8_t *taken = calloc(OFPORT_MAX + 1, 1);
	uint32_t choice = OFPORT_NONE;

	if (!taken)
		return OFPORT_NONE;
	for (uint32_t i = 0; i < bridge->n_numbers; i++) {
		if (bridge->numbers[i].ofport <= OFPORT_MAX)
			taken[bridge->numbers[i].ofport] = 1;
	}
	for (uint32_t i = 0; i < ports->n; i++) {
		if (ports->ports[i]->ofport <= OFPORT_MAX)
			taken[ports->ports[i]->ofport] = 2;
	}
	for (uint8_t limit = 1; limit <= 2 && choice == OFPORT_NONE; limit++) {
		for (uint32_t ofport = 1; ofport <= OFPORT_MAX; ofport++) {
			if (taken[ofport] < limit) {
				choice = ofport;
				break;
			}
		}
	}
	free(taken);
	return choice;
}

/* The number that a new port gets, or OFPORT_NONE with `err` set. */
static uint32_t bridge_assign_number(const struct bridge *bridge,
				     const struct bridge_port_config *config, struct error *err)
{
	const struct bridge_ports *ports = rcu_get(&bridge->ports);
	uint32_t ofport = config->ofport_request;
	const struct bridge_number *number;

	if (ofport != OFPORT_NONE) {
		const struct bridge_port *port = bridge_ports_lookup(ports, ofport);

		if (!port)
			return ofport;
		error_set(err, EEXIST, "OpenFlow port %u of bridge '%s' is '%s'", ofport,
			  bridge->name, port->name);
		return OFPORT_NONE;
	}
	number = bridge_find_number(bridge, config->name);
	if (number && !bridge_ports_lookup(ports, number->ofport))
		return number->ofport;
	ofport = bridge_choose_number(bridge);
	if (ofport == OFPORT_NONE)
		error_set(err, EEXIST, "bridge '%s' has no free OpenFlow port number",
			  bridge->name);
	return ofport;
}

/* ---- changes ---- */

static int check_port_config(const struct bridge_port_config *config, struct error *err)
{
	uint32_t request = config->ofport_request;

	if (!config->name || !config->name[0] || strlen(config->name) >= PORT_NAME_SIZE)
		return error_set(err, EINVAL, "'%.80s' is no name for a port: up to %d characters",
				 config->name ? config->name : "", PORT_NAME_SIZE - 1);
	if (config->tag > VLAN_MAX)
		return error_set(err, ERANGE, "port '%s': tag %u: VLANs are 1 to %u", config->name,
				 config->tag, VLAN_MAX);
	if (request > OFPORT_MAX && request != OFPORT_LOCAL)
		return error_set(err, ERANGE,
				 "port '%s': OpenFlow port %u: numbers of ports are 1 to %u",
				 config->name, request, OFPORT_MAX);
	return 0;
}

static struct bridge_port *bridge_port_create(struct bridge *bridge,
					      const struct bridge_port_config *config,
					      uint32_t port_no, uint32_t ofport)
{
	struct bridge_port *port = calloc(1, sizeof(*port));

	if (!port)
		return NULL;
	port->bridge = bridge;
	strcpy(port->name, config->name);
	port->port_no = port_no;
	port->ofport = ofport;
	port->tag = config->tag;
	port->trunks = config->trunks;
	port->is_limited = !config->tag && !vlan_bitmap_is_empty(&config->trunks);
	return port;
}

static void bridge_port_free(struct rcu_deferred *d)
{
	free(container_of(d, struct bridge_port, rcu));
}

static void bridge_ports_free(struct rcu_deferred *d)
{
	free(container_of(d, struct bridge_ports, rcu));
}

/*
 * Publishes the bridge's ports with those in [at, at + n_out) taken out and `in` put there (NULL:
 * nothing). Returns 0 or -ENOMEM.
 */
static int bridge_set_ports(struct bridge *bridge, uint32_t at, uint32_t n_out,
			    struct bridge_port *in)
{
	struct bridge_ports *old = rcu_get(&bridge->ports), *ports;
	uint32_t n_in = in ? 1 : 0, n = old->n - n_out + n_in;

	ports = malloc(sizeof(*ports) + n * sizeof(ports->ports[0]));
	if (!ports)
		return -ENOMEM;
	ports->n = n;
	memcpy(ports->ports, old->ports, at * sizeof(ports->ports[0]));
	if (in)
		ports->ports[at] = in;
	memcpy(&ports->ports[at + n_in], &old->ports[at + n_out],
	       (old->n - at - n_out) * sizeof(ports->ports[0]));
	rcu_set(&bridge->ports, ports);
	rcu_defer(&old->rcu, bridge_ports_free);
	return 0;
}

int bridge_add_port(struct bridge *bridge, const struct bridge_port_config *config,
		    uint32_t *ofportp, struct error *err)
{
	struct bridge_table *table = bridge->table;
	struct bridge_port *port;
	uint32_t ofport;
	int rc = check_port_config(config, err);

	if (rc)
		return rc;
	if (bridge_table_lookup_port(table, config->name))
		return error_set(err, EEXIST, "bridge '%s' has a port '%s' already",
				 bridge_table_lookup_port(table, config->name)->name, config->name);
	if (config->port_no < 1 || config->port_no > PORT_NO_MAX)
		return error_set(err, ERANGE, "port '%s': there is no datapath port %u",
				 config->name, config->port_no);
	port = rcu_get(&table->ports[config->port_no]);
	if (port)
		return error_set(err, EEXIST, "datapath port %u is '%s' of bridge '%s'",
				 config->port_no, port->name, port->bridge->name);
	ofport = bridge_assign_number(bridge, config, err);
	if (ofport == OFPORT_NONE)
		return -EEXIST;
	port = bridge_port_create(bridge, config, config->port_no, ofport);
	if (!port || bridge_set_ports(bridge, ports_search(rcu_get(&bridge->ports), ofport), 0,
				      port)) {
		free(port);
		return error_set(err, ENOMEM, "not enough memory for port '%s'", config->name);
	}
	bridge_remember_number(bridge, config->name, ofport);
	rcu_set(&table->ports[config->port_no], port);
	bridge_table_config_changed(table);
	if (ofportp)
		*ofportp = ofport;
	return 0;
}

int bridge_set_port(struct bridge *bridge, const struct bridge_port_config *config,
		    struct error *err)
{
	struct bridge_port *old, *port;
	int rc = check_port_config(config, err);

	if (rc)
		return rc;
	old = bridge_find_port(bridge, config->name);
	if (!old)
		return error_set(err, ENOENT, "bridge '%s' has no port '%s'", bridge->name,
				 config->name);
	if (config->ofport_request != OFPORT_NONE && config->ofport_request != old->ofport)
		return error_set(err, EOPNOTSUPP,
				 "port '%s' is OpenFlow port %u: remove it and add it again to "
				 "give it another number",
				 config->name, old->ofport);
	port = bridge_port_create(bridge, config, old->port_no, old->ofport);
	if (!port || bridge_set_ports(bridge, ports_search(rcu_get(&bridge->ports), old->ofport), 1,
				      port)) {
		free(port);
		return error_set(err, ENOMEM, "not enough memory for port '%s'", config->name);
	}
	rcu_set(&bridge->table->ports[old->port_no], port);
	rcu_defer(&old->rcu, bridge_port_free);
	bridge_table_config_changed(bridge->table);
	return 0;
}

int bridge_remove_port(struct bridge *bridge, const char *name, struct error *err)
{
	struct bridge_table *table = bridge->table;
	struct bridge_port *port = bridge_find_port(bridge, name);
	uint32_t ofport;

	if (!port)
		return error_set(err, ENOENT, "bridge '%s' has no port '%s'", bridge->name, name);
	ofport = port->ofport;
	if (bridge_set_ports(bridge, ports_search(rcu_get(&bridge->ports), ofport), 1, NULL))
		return error_set(err, ENOMEM, "not enough memory to remove port '%s'", name);
	rcu_set(&table->ports[port->port_no], NULL);
	rcu_defer(&port->rcu, bridge_port_free);
	mac_table_remove_port(bridge->macs, ofport);
	bridge_table_config_changed(table);
	/* What workers learned there while they still saw the port. */
	if (!table->n_holds && mac_table_remove_port(bridge->macs, ofport))
		bridge_table_invalidate_async(table);
	return 0;
}
