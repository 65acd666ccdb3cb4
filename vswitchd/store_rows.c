/* SPDX-License-Identifier: BSD-2-Clause */
/* Config values as rows: the second half of store.h. */
#include "vswitchd/store.h"

#include "vswitchd/store_priv.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ---- options: a JSON object of strings --------------------------------------------------------
 */

/* The caller frees; NULL: no memory. */
static char *format_options(const struct config_options *options)
{
	json_t *object = json_object();
	char *text = NULL;
	int err = 0;

	for (size_t i = 0; object && i < options->n && !err; i++)
		err = json_object_set_new(object, options->items[i].key,
					  json_string(options->items[i].value));
	if (object && !err)
		text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return text;
}

/* Returns 0, -EBADMSG or -ENOMEM. */
static int parse_options(const char *text, struct config_options *options)
{
	json_t *object = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *key;
	json_t *value;
	int err = 0;

	if (!json_is_object(object)) {
		json_decref(object);
		return -EBADMSG;
	}
	json_object_foreach(object, key, value)
	{
		if (!json_is_string(value))
			err = -EBADMSG;
		else if (!err)
			err = config_options_set(options, key, json_string_value(value));
	}
	json_decref(object);
	return err;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

/* The row of that bridge; remembered, for rules come by the thousand. */
static int find_bridge(struct store *store, const char *name, int64_t *id, struct error *e)
{
	sqlite3_stmt *statement;
	int code;

	if (strcmp(store->bridge_name, name) == 0) {
		*id = store->bridge_id;
		return 0;
	}
	statement = store_get_statement(store, STORE_SQL_FIND_BRIDGE);
	if (!statement)
		return store_fail(store, sqlite3_errcode(store->db), e);
	sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		*id = sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	if (code == SQLITE_DONE)
		return error_set(e, ENOENT, "%s has no bridge %s", store->path, name);
	if (code != SQLITE_ROW)
		return store_fail(store, code, e);
	store->bridge_id = *id;
	strncpy(store->bridge_name, name, sizeof(store->bridge_name) - 1);
	return 0;
}

int store_put_bridge(struct store *store, const struct config_bridge *bridge, struct error *e)
{
	sqlite3_stmt *statement = store_get_statement(store, STORE_SQL_PUT_BRIDGE);
	char *options = format_options(&bridge->options);
	int err;

	if (!options)
		return error_set(e, ENOMEM, "out of memory");
	sqlite3_bind_text(statement, 1, bridge->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, options, -1, SQLITE_STATIC);
	err = store_run(store, statement, e);
	free(options);
	return err;
}

/* A statement whose first parameter is a name and which has no other. */
static int run_named(struct store *store, enum store_sql sql, const char *name, struct error *e)
{
	sqlite3_stmt *statement = store_get_statement(store, sql);

	sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
	return store_run(store, statement, e);
}

int store_delete_bridge(struct store *store, const char *bridge, struct error *e)
{
	store->bridge_name[0] = '\0';
	return run_named(store, STORE_SQL_DELETE_BRIDGE, bridge, e);
}

int store_put_port(struct store *store, const char *bridge, const struct config_port *port,
		   struct error *e)
{
	sqlite3_stmt *statement;
	char *options, *container_options;
	int64_t id;
	int err;

	err = find_bridge(store, bridge, &id, e);
	if (err)
		return err;
	options = format_options(&port->options);
	container_options = format_options(&port->container_options);
	statement = store_get_statement(store, STORE_SQL_PUT_PORT);
	sqlite3_bind_text(statement, 1, port->name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 2, id);
	sqlite3_bind_text(statement, 3, port->type, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 4, port->ofport);
	sqlite3_bind_text(statement, 5, options, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 6, port->container, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 7, port->container ? container_options : NULL, -1,
			  SQLITE_STATIC);
	sqlite3_bind_text(statement, 8, port->process, -1, SQLITE_STATIC);
	if (options && container_options)
		err = store_run(store, statement, e);
	else
		err = error_set(e, ENOMEM, "out of memory");
	free(options);
	free(container_options);
	return err;
}

int store_delete_port(struct store *store, const char *port, struct error *e)
{
	return run_named(store, STORE_SQL_DELETE_PORT, port, e);
}

/* A statement on one MAC; ?4, where it has one, is the port. */
static int run_mac(struct store *store, enum store_sql sql, const char *bridge,
		   const struct config_mac *mac, struct error *e)
{
	sqlite3_stmt *statement;
	int64_t id;
	int err;

	err = find_bridge(store, bridge, &id, e);
	if (err)
		return err;
	statement = store_get_statement(store, sql);
	sqlite3_bind_int64(statement, 1, id);
	sqlite3_bind_int64(statement, 2, mac->vlan);
	sqlite3_bind_blob(statement, 3, mac->address, sizeof(mac->address), SQLITE_STATIC);
	if (sql == STORE_SQL_PUT_MAC)
		sqlite3_bind_text(statement, 4, mac->port, -1, SQLITE_STATIC);
	return store_run(store, statement, e);
}

int store_put_mac(struct store *store, const char *bridge, const struct config_mac *mac,
		  struct error *e)
{
	return run_mac(store, STORE_SQL_PUT_MAC, bridge, mac, e);
}

int store_delete_mac(struct store *store, const char *bridge, const struct config_mac *mac,
		     struct error *e)
{
	return run_mac(store, STORE_SQL_DELETE_MAC, bridge, mac, e);
}

static int put_rule(struct store *store, int64_t bridge, const struct config_rule *rule,
		    int64_t seq, struct error *e)
{
	sqlite3_stmt *statement = store_get_statement(store, STORE_SQL_PUT_RULE);

	sqlite3_bind_int64(statement, 1, bridge);
	sqlite3_bind_blob(statement, 2, rule->key, CONFIG_RULE_KEY_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 3, seq);
	sqlite3_bind_text(statement, 4, rule->text, -1, SQLITE_STATIC);
	return store_run(store, statement, e);
}

/* By key, and of equal keys the later one last, for it is the one that counts. */
static int rule_order(const void *a, const void *b)
{
	const struct config_rule *left = *(const struct config_rule *const *)a;
	const struct config_rule *right = *(const struct config_rule *const *)b;
	int order = memcmp(left->key, right->key, CONFIG_RULE_KEY_SIZE);

	if (order)
		return order;
	return left < right ? -1 : left > right;
}

int store_put_rules(struct store *store, const char *bridge, const struct config_rule *rules,
		    size_t n, struct error *e)
{
	const struct config_rule **sorted;
	int64_t id;
	int err;

	err = find_bridge(store, bridge, &id, e);
	if (err || n == 0)
		return err;
	sorted = malloc(n * sizeof(*sorted));
	if (!sorted)
		return error_set(e, ENOMEM, "out of memory");
	/* keys are hashes: in order they fill page after page, at random they visit all of them */
	for (size_t i = 0; i < n; i++)
		sorted[i] = &rules[i];
	qsort(sorted, n, sizeof(*sorted), rule_order);
	for (size_t i = 0; i < n && !err; i++)
		err = put_rule(store, id, sorted[i], store->seq + 1 + (sorted[i] - rules), e);
	store->seq += (int64_t)n;
	free(sorted);
	return err;
}

int store_delete_rules(struct store *store, const char *bridge, const struct config_rule *rules,
		       size_t n, struct error *e)
{
	sqlite3_stmt *statement;
	int64_t id;
	int err;

	err = find_bridge(store, bridge, &id, e);
	for (size_t i = 0; i < n && !err; i++) {
		statement = store_get_statement(store, STORE_SQL_DELETE_RULE);
		sqlite3_bind_int64(statement, 1, id);
		sqlite3_bind_blob(statement, 2, rules[i].key, CONFIG_RULE_KEY_SIZE, SQLITE_STATIC);
		err = store_run(store, statement, e);
	}
	return err;
}

int store_clear_rules(struct store *store, const char *bridge, struct error *e)
{
	sqlite3_stmt *statement;
	int64_t id;
	int err;

	err = find_bridge(store, bridge, &id, e);
	if (err)
		return err;
	statement = store_get_statement(store, STORE_SQL_CLEAR_RULES);
	sqlite3_bind_int64(statement, 1, id);
	return store_run(store, statement, e);
}

int store_apply_action(struct store *store, const struct config_action *action, struct error *e)
{
	const char *bridge = action->bridge->name;

	switch (action->type) {
	case CONFIG_REMOVE_RULE:
		return store_delete_rules(store, bridge, action->rule, 1, e);
	case CONFIG_REMOVE_MAC:
		return store_delete_mac(store, bridge, action->mac, e);
	case CONFIG_REMOVE_PORT:
		return store_delete_port(store, action->port->name, e);
	case CONFIG_REMOVE_BRIDGE:
		return store_delete_bridge(store, bridge, e);
	case CONFIG_ADD_BRIDGE:
	case CONFIG_SET_BRIDGE:
		return store_put_bridge(store, action->bridge, e);
	case CONFIG_CLEAR_RULES:
		return store_clear_rules(store, bridge, e);
	case CONFIG_ADD_PORT:
	case CONFIG_SET_PORT:
		return store_put_port(store, bridge, action->port, e);
	case CONFIG_ADD_MAC:
		return store_put_mac(store, bridge, action->mac, e);
	case CONFIG_ADD_RULE:
		return store_put_rules(store, bridge, action->rule, 1, e);
	}
	return error_set(e, EINVAL, "unknown action");
}

/* ---- reading ----------------------------------------------------------------------------------
 */

/* The text in a column, or NULL. */
static const char *column_text(sqlite3_stmt *statement, int column)
{
	return (const char *)sqlite3_column_text(statement, column);
}

static int load_port(struct config *config, struct config_bridge *bridge, sqlite3_stmt *row,
		     struct error *e)
{
	const char *name = column_text(row, 0), *type = column_text(row, 1);
	const char *container = column_text(row, 4), *process = column_text(row, 6);
	struct config_port *port;
	int err;

	if (!name || !type)
		return error_set(e, EBADMSG, "a port without a name or type");
	port = config_add_port(config, bridge, name, type, e);
	if (!port)
		return -EBADMSG;
	port->ofport = (uint32_t)sqlite3_column_int64(row, 2);
	err = parse_options(column_text(row, 3), &port->options);
	if (!err && container) {
		port->container = strdup(container);
		err = port->container ? parse_options(column_text(row, 5), &port->container_options)
				      : -ENOMEM;
	}
	if (!err && process) {
		port->process = strdup(process);
		err = port->process ? 0 : -ENOMEM;
	}
	if (err)
		error_set(e, err, "options of port %s", name);
	return err;
}

static int load_mac(struct config *config, struct config_bridge *bridge, sqlite3_stmt *row,
		    struct error *e)
{
	int64_t vlan = sqlite3_column_int64(row, 0);
	const char *port = column_text(row, 2);
	int err;

	(void)config;
	if (!port || vlan < 0 || vlan > 4095 || sqlite3_column_bytes(row, 1) != 6)
		return error_set(e, EBADMSG, "a MAC address of bridge %s", bridge->name);
	err = config_set_mac(bridge, sqlite3_column_blob(row, 1), (uint16_t)vlan, port);
	return err ? error_set(e, err, "out of memory") : 0;
}

static int load_rule(struct config *config, struct config_bridge *bridge, sqlite3_stmt *row,
		     struct error *e)
{
	const char *text = column_text(row, 1);
	char *copy;
	int err;

	(void)config;
	if (!text || sqlite3_column_bytes(row, 0) != CONFIG_RULE_KEY_SIZE)
		return error_set(e, EBADMSG, "a rule of bridge %s", bridge->name);
	copy = strdup(text);
	err = copy ? config_append_rule(bridge, sqlite3_column_blob(row, 0), copy) : -ENOMEM;
	return err ? error_set(e, err, "out of memory") : 0;
}

/* Runs a query by bridge and gives each row to `load`. */
static int load_rows(struct store *store, enum store_sql sql, int64_t id, struct config *config,
		     const char *bridge,
		     int (*load)(struct config *config, struct config_bridge *bridge,
				 sqlite3_stmt *row, struct error *e),
		     struct error *e)
{
	sqlite3_stmt *statement = store_get_statement(store, sql);
	int err = 0, code;

	if (!statement)
		return store_fail(store, sqlite3_errcode(store->db), e);
	sqlite3_bind_int64(statement, 1, id);
	while (!err && (code = sqlite3_step(statement)) == SQLITE_ROW)
		err = load(config, config_lookup_bridge(config, bridge), statement, e);
	if (!err && code != SQLITE_DONE)
		err = store_fail(store, code, e);
	sqlite3_reset(statement);
	return err;
}

static int load_bridge(struct store *store, sqlite3_stmt *row, struct config *config,
		       struct error *e)
{
	int64_t id = sqlite3_column_int64(row, 0);
	const char *name = column_text(row, 1);
	struct config_bridge *bridge;
	int err;

	if (!name)
		return error_set(e, EBADMSG, "a bridge without a name");
	bridge = config_add_bridge(config, name, e);
	if (!bridge)
		return -EBADMSG;
	err = parse_options(column_text(row, 2), &bridge->options);
	if (err)
		return error_set(e, err, "options of bridge %s", name);
	err = load_rows(store, STORE_SQL_LOAD_PORTS, id, config, name, load_port, e);
	if (!err)
		err = load_rows(store, STORE_SQL_LOAD_MACS, id, config, name, load_mac, e);
	if (!err)
		err = load_rows(store, STORE_SQL_LOAD_RULES, id, config, name, load_rule, e);
	return err;
}

static int load_all(struct store *store, struct config *config, struct error *e)
{
	sqlite3_stmt *statement = store_get_statement(store, STORE_SQL_LOAD_BRIDGES);
	int err = 0, code;

	if (!statement)
		return store_fail(store, sqlite3_errcode(store->db), e);
	while (!err && (code = sqlite3_step(statement)) == SQLITE_ROW)
		err = load_bridge(store, statement, config, e);
	if (!err && code != SQLITE_DONE)
		err = store_fail(store, code, e);
	sqlite3_reset(statement);
	if (!err && config_assign_ofports(config, NULL, e))
		err = -EBADMSG;
	return err;
}

int store_load(struct store *store, struct config *config, struct error *e)
{
	struct error why = ERROR_INIT;
	int err;

	config_init(config);
	err = load_all(store, config, &why);
	if (!err)
		return 0;
	config_uninit(config);
	if (err != -EBADMSG)
		return error_set(e, err, "%s", why.text);
	return store_set_aside(store, why.text, e);
}
