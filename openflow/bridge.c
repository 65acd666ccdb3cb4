/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/bridge.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "lib/clock.h"
#include "openflow/bridge_priv.h"

/* ---- all bridges ---- */

int bridge_table_create(struct bridge_table **tablep, struct error *err)
{
	struct bridge_table *table = calloc(1, sizeof(*table));

	if (!table)
		return error_set(err, ENOMEM, "not enough memory for the table of bridges");
	atomic_init(&table->config_version, 1);
	*tablep = table;
	return 0;
}

void bridge_table_destroy(struct bridge_table *table)
{
	if (!table)
		return;
	/* The datapath is gone, and its cached verdicts with it. */
	bridge_table_set_datapath(table, NULL);
	bridge_table_hold(table);
	while (table->bridges)
		bridge_destroy(table->bridges);
	bridge_table_release(table);
	free(table);
}

void bridge_table_set_datapath(struct bridge_table *table, struct datapath *dp)
{
	rcu_set(&table->dp, dp);
}

void bridge_table_invalidate_async(struct bridge_table *table)
{
	struct datapath *dp = rcu_get(&table->dp);

	if (dp)
		datapath_invalidate_async(dp);
}

/* What was published is in force, once this returns: nobody acts on older verdicts, nobody looks at
 * what was before. */
static void bridge_table_settle(struct bridge_table *table)
{
	struct datapath *dp = rcu_get(&table->dp);

	if (dp)
		datapath_invalidate(dp);
	else
		rcu_wait();
	for (struct bridge *bridge = table->bridges; bridge; bridge = bridge->next)
		flow_table_purge(bridge->flows);
}

/* Something was published: settles it, now or at the end of the hold. */
static void bridge_table_changed(struct bridge_table *table)
{
	if (table->n_holds)
		table->is_dirty = true;
	else
		bridge_table_settle(table);
}

void bridge_table_config_changed(struct bridge_table *table)
{
	atomic_fetch_add_explicit(&table->config_version, 1, memory_order_release);
	bridge_table_changed(table);
}

void bridge_table_hold(struct bridge_table *table)
{
	table->n_holds++;
}

void bridge_table_release(struct bridge_table *table)
{
	if (--table->n_holds || !table->is_dirty)
		return;
	table->is_dirty = false;
	bridge_table_settle(table);
}

/* Passes flow_table_expire()'s news on with the bridge. */
struct expiry {
	struct bridge *bridge;
	bridge_expire_cb *cb;
	void *aux;
};

static void tell_expiry(void *aux, const struct rule *rule, enum flow_expiry why)
{
	const struct expiry *expiry = aux;

	expiry->cb(expiry->aux, expiry->bridge, rule, why);
}

void bridge_table_run(struct bridge_table *table, uint64_t now, bridge_expire_cb *cb, void *aux)
{
	bool macs_changed = false;
	uint32_t n_rules = 0;

	for (struct bridge *bridge = table->bridges; bridge; bridge = bridge->next) {
		struct expiry expiry = {.bridge = bridge, .cb = cb, .aux = aux};

		mac_table_expire(bridge->macs, now, &macs_changed);
		if (flow_table_has_timeouts(bridge->flows))
			n_rules += flow_table_expire(bridge->flows, now, cb ? tell_expiry : NULL,
						     &expiry);
	}
	if (n_rules)
		bridge_table_changed(table);
	else if (macs_changed)
		bridge_table_invalidate_async(table);
}

/* ---- life of a bridge ---- */

static void bridge_free(struct rcu_deferred *d)
{
	struct bridge *bridge = container_of(d, struct bridge, rcu);

	free(rcu_get(&bridge->ports));
	free(bridge->numbers);
	mac_table_destroy(bridge->macs);
	flow_table_destroy(bridge->flows);
	free(bridge);
}

struct bridge *bridge_ref(struct bridge *bridge)
{
	__atomic_fetch_add(&bridge->refs, 1, __ATOMIC_RELAXED);
	return bridge;
}

void bridge_unref(struct bridge *bridge)
{
	if (__atomic_sub_fetch(&bridge->refs, 1, __ATOMIC_ACQ_REL) == 0)
		rcu_defer(&bridge->rcu, bridge_free);
}

/* The rule that makes a new bridge a learning switch. */
static int bridge_add_normal_rule(struct bridge *bridge)
{
	struct ofaction normal = {.type = OFACTION_OUTPUT, .port = OFPORT_NORMAL};
	struct rule_spec spec = {.actions = {.actions = &normal, .n = 1}};
	struct flow_mod mod = {.type = FLOW_MOD_ADD, .spec = &spec};

	return flow_table_modify(bridge->flows, &mod, 1, clock_now(), NULL, NULL);
}

static struct bridge *bridge_alloc(struct bridge_table *table, const char *name)
{
	struct bridge *bridge = calloc(1, sizeof(*bridge));
	struct bridge_ports *ports = calloc(1, sizeof(*ports));

	if (!bridge || !ports)
		goto no_memory;
	bridge->table = table;
	bridge->refs = 1;
	strcpy(bridge->name, name);
	atomic_init(&bridge->ports, ports);
	if (flow_table_create(&bridge->flows))
		goto no_memory;
	if (mac_table_create(&bridge->macs))
		goto no_macs;
	if (bridge_add_normal_rule(bridge))
		goto no_rule;
	return bridge;

no_rule:
	mac_table_destroy(bridge->macs);
no_macs:
	flow_table_destroy(bridge->flows);
no_memory:
	free(ports);
	free(bridge);
	return NULL;
}

static bool bridge_name_is_valid(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length >= BRIDGE_NAME_SIZE || name[0] == '-' || name[0] == '.')
		return false;
	for (const char *p = name; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("-_.", *p))
			return false;
	}
	return true;
}

int bridge_create(struct bridge_table *table, const char *name, struct bridge **bridgep,
		  struct error *err)
{
	struct bridge **link = &table->bridges, *bridge;

	if (!bridge_name_is_valid(name))
		return error_set(err, EINVAL,
				 "'%.64s' is no name for a bridge: up to %d letters, digits and "
				 "-_., the first no - or .",
				 name, BRIDGE_NAME_SIZE - 1);
	if (bridge_lookup(table, name))
		return error_set(err, EEXIST, "there is a bridge '%s' already", name);
	if (table->n_bridges == BRIDGES_MAX)
		return error_set(err, ENOSPC, "there are %u bridges, the most there may be",
				 BRIDGES_MAX);
	bridge = bridge_alloc(table, name);
	if (!bridge)
		return error_set(err, ENOMEM, "not enough memory for bridge '%s'", name);
	while (*link)
		link = &(*link)->next;
	*link = bridge;
	table->n_bridges++;
	*bridgep = bridge;
	return 0;
}

static void bridge_port_free(struct rcu_deferred *d)
{
	free(container_of(d, struct bridge_port, rcu));
}

void bridge_destroy(struct bridge *bridge)
{
	struct bridge_table *table = bridge->table;
	struct bridge_ports *ports = rcu_get(&bridge->ports);
	struct bridge **link = &table->bridges;

	for (uint32_t i = 0; i < ports->n; i++) {
		rcu_set(&table->ports[ports->ports[i]->port_no], NULL);
		rcu_defer(&ports->ports[i]->rcu, bridge_port_free);
	}
	while (*link != bridge)
		link = &(*link)->next;
	*link = bridge->next;
	table->n_bridges--;
	bridge_table_config_changed(table);
	bridge_unref(bridge);
}

struct bridge *bridge_lookup(const struct bridge_table *table, const char *name)
{
	struct bridge *bridge;

	for (bridge = table->bridges; bridge; bridge = bridge->next) {
		if (strcmp(bridge->name, name) == 0)
			break;
	}
	return bridge;
}

struct bridge *bridge_get_next(const struct bridge_table *table, const struct bridge *bridge)
{
	return bridge ? bridge->next : table->bridges;
}

const char *bridge_get_name(const struct bridge *bridge)
{
	return bridge->name;
}

/* ---- rules ---- */

int bridge_modify_flows(struct bridge *bridge, const struct flow_mod *mods, size_t n,
			struct flow_mod_result *result, struct error *err)
{
	uint64_t version = flow_table_get_version(bridge->flows);
	int rc = flow_table_modify(bridge->flows, mods, n, clock_now(), result, err);

	if (flow_table_get_version(bridge->flows) != version)
		bridge_table_changed(bridge->table);
	return rc;
}

int bridge_replace_flows(struct bridge *bridge, const struct rule_spec *specs, size_t n,
			 struct flow_mod_result *result, struct error *err)
{
	uint64_t version = flow_table_get_version(bridge->flows);
	int rc = flow_table_replace(bridge->flows, specs, n, clock_now(), result, err);

	if (flow_table_get_version(bridge->flows) != version)
		bridge_table_changed(bridge->table);
	return rc;
}

int bridge_dump_flows(const struct bridge *bridge, const struct rule_spec *filter,
		      flow_table_dump_cb *cb, void *aux)
{
	return flow_table_dump(bridge->flows, filter, cb, aux);
}

const struct flow_table *bridge_get_flow_table(const struct bridge *bridge)
{
	return bridge->flows;
}

/* ---- MAC table ---- */

void bridge_dump_fdb(struct bridge *bridge, mac_table_dump_cb *cb, void *aux)
{
	mac_table_dump(bridge->macs, clock_now(), cb, aux);
}

uint32_t bridge_flush_fdb(struct bridge *bridge)
{
	uint32_t n = mac_table_flush(bridge->macs, MAC_TABLE_NO_PORT, clock_now());

	bridge_table_changed(bridge->table);
	return n;
}

int bridge_add_static_mac(struct bridge *bridge, const uint8_t mac[6], uint16_t vlan,
			  const char *port, struct error *err)
{
	struct bridge_port_info info;
	int rc;

	if (mac[0] & 1)
		return error_set(err, EINVAL, "a group address belongs to no port");
	if (vlan > VLAN_MAX)
		return error_set(err, EINVAL, "VLAN %u: 0 (untagged) to %u", vlan, VLAN_MAX);
	if (!bridge_lookup_port(bridge, port, &info))
		return error_set(err, ENOENT, "bridge '%s' has no port '%s'", bridge->name, port);
	rc = mac_table_insert_static(bridge->macs, mac, vlan, info.ofport, err);
	if (!rc)
		bridge_table_changed(bridge->table);
	return rc;
}

int bridge_remove_mac(struct bridge *bridge, const uint8_t mac[6], uint16_t vlan,
		      struct error *err)
{
	if (mac_table_remove(bridge->macs, mac, vlan, clock_now()))
		return error_set(err, ENOENT,
				 "bridge '%s' knows no %02x:%02x:%02x:%02x:%02x:%02x in VLAN %u",
				 bridge->name, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
				 vlan);
	bridge_table_changed(bridge->table);
	return 0;
}

int bridge_set_fdb_ageing(struct bridge *bridge, uint32_t seconds, struct error *err)
{
	return mac_table_set_ageing(bridge->macs, seconds, err);
}

int bridge_set_fdb_limit(struct bridge *bridge, uint32_t limit, struct error *err)
{
	int rc = mac_table_set_limit(bridge->macs, limit, err);

	if (!rc)
		bridge_table_changed(bridge->table);
	return rc;
}

void bridge_get_fdb_stats(struct bridge *bridge, struct mac_table_stats *stats)
{
	mac_table_get_stats(bridge->macs, stats);
}
