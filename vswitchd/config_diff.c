/* SPDX-License-Identifier: BSD-2-Clause */
/* The comparing half of config.h. */
#include "vswitchd/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- rules: an index by key -------------------------------------------------------------------
 */

/* The rules of one bridge by key, the last of equal keys only. */
struct rule_index {
	const struct config_rule **rules; /* owned, sorted */
	size_t n;
};

/* By key, then by place in the bridge's array. */
static int rule_order(const void *a, const void *b)
{
	const struct config_rule *left = *(const struct config_rule *const *)a;
	const struct config_rule *right = *(const struct config_rule *const *)b;
	int order = memcmp(left->key, right->key, CONFIG_RULE_KEY_SIZE);

	if (order)
		return order;
	return left < right ? -1 : left > right;
}

static int rule_index_init(struct rule_index *index, const struct config_rule *rules, size_t n)
{
	size_t kept = 0;

	*index = (struct rule_index){0};
	if (n == 0)
		return 0;
	index->rules = malloc(n * sizeof(*index->rules));
	if (!index->rules)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		index->rules[i] = &rules[i];
	qsort(index->rules, n, sizeof(*index->rules), rule_order);
	for (size_t i = 0; i < n; i++) {
		if (i + 1 == n || memcmp(index->rules[i]->key, index->rules[i + 1]->key,
					 CONFIG_RULE_KEY_SIZE) != 0)
			index->rules[kept++] = index->rules[i];
	}
	index->n = kept;
	return 0;
}

static const struct config_rule *rule_index_lookup(const struct rule_index *index,
						   const struct config_rule *rule)
{
	size_t low = 0, high = index->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = memcmp(index->rules[middle]->key, rule->key, CONFIG_RULE_KEY_SIZE);

		if (order == 0)
			return index->rules[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* ---- actions ----------------------------------------------------------------------------------
 */

static int append(struct config_diff *diff, const struct config_action *action)
{
	if (diff->n == diff->size) {
		size_t size = MAX(diff->size * 2, (size_t)64);
		struct config_action *grown = realloc(diff->actions, size * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		diff->actions = grown;
		diff->size = size;
	}
	diff->actions[diff->n++] = *action;
	return 0;
}

static int append_port(struct config_diff *diff, enum config_action_type type,
		       const struct config_bridge *bridge, const struct config_port *port,
		       const struct config_port *old_port)
{
	return append(diff,
		      &(struct config_action){
			      .type = type, .bridge = bridge, .port = port, .old_port = old_port});
}

/* Can `old` be turned into `port` without taking it away? */
static bool port_is_same(const struct config_port *old, const struct config_port *port)
{
	if (strcmp(old->type, port->type) != 0 || old->ofport != port->ofport)
		return false;
	if (!old->container != !port->container)
		return false;
	if (!old->container)
		return true;
	return strcmp(old->container, port->container) == 0 &&
	       strcmp(old->process ? old->process : "", port->process ? port->process : "") == 0;
}

static int diff_ports_removed(struct config_diff *diff, const struct config_bridge *from,
			      const struct config *to, const struct config_bridge *to_bridge)
{
	int err = 0;

	for (size_t i = 0; i < from->n_ports && !err; i++) {
		const struct config_port *old = &from->ports[i];
		const struct config_port *port =
			to_bridge ? config_lookup_port(to, to_bridge, old->name, NULL) : NULL;

		if (!port || !port_is_same(old, port))
			err = append_port(diff, CONFIG_REMOVE_PORT, from, old, NULL);
	}
	return err;
}

static int diff_ports(struct config_diff *diff, const struct config *from,
		      const struct config_bridge *from_bridge, const struct config_bridge *to)
{
	int err = 0;

	for (size_t i = 0; i < to->n_ports && !err; i++) {
		const struct config_port *port = &to->ports[i];
		const struct config_port *old =
			from_bridge ? config_lookup_port(from, from_bridge, port->name, NULL)
				    : NULL;

		if (!old || !port_is_same(old, port))
			err = append_port(diff, CONFIG_ADD_PORT, to, port, NULL);
		else if (!config_options_equals(&old->options, &port->options) ||
			 !config_options_equals(&old->container_options, &port->container_options))
			err = append_port(diff, CONFIG_SET_PORT, to, port, old);
	}
	return err;
}

static const struct config_mac *mac_lookup(const struct config_bridge *bridge,
					   const struct config_mac *mac)
{
	for (size_t i = 0; bridge && i < bridge->n_macs; i++) {
		const struct config_mac *other = &bridge->macs[i];

		if (other->vlan == mac->vlan && memcmp(other->address, mac->address, 6) == 0)
			return other;
	}
	return NULL;
}

/* Static addresses of `from` that `to` has not (any more). */
static int diff_macs_removed(struct config_diff *diff, const struct config_bridge *from,
			     const struct config_bridge *to)
{
	int err = 0;

	for (size_t i = 0; i < from->n_macs && !err; i++) {
		const struct config_mac *mac = &from->macs[i];

		if (!mac_lookup(to, mac))
			err = append(diff, &(struct config_action){.type = CONFIG_REMOVE_MAC,
								   .bridge = from,
								   .mac = mac});
	}
	return err;
}

/* Did the port that `mac` names go away and come back, and its addresses with it? */
static bool mac_port_is_new(const struct config *from, const struct config_bridge *from_bridge,
			    const struct config *to, const struct config_bridge *to_bridge,
			    const struct config_mac *mac)
{
	const struct config_port *old = config_lookup_port(from, from_bridge, mac->port, NULL);
	const struct config_port *port = config_lookup_port(to, to_bridge, mac->port, NULL);

	return port && (!old || !port_is_same(old, port));
}

static int diff_macs(struct config_diff *diff, const struct config *from,
		     const struct config_bridge *from_bridge, const struct config *to,
		     const struct config_bridge *to_bridge)
{
	int err = 0;

	for (size_t i = 0; i < to_bridge->n_macs && !err; i++) {
		const struct config_mac *mac = &to_bridge->macs[i];
		const struct config_mac *old = mac_lookup(from_bridge, mac);

		if (!old || strcmp(old->port, mac->port) != 0 ||
		    mac_port_is_new(from, from_bridge, to, to_bridge, mac))
			err = append(diff, &(struct config_action){.type = CONFIG_ADD_MAC,
								   .bridge = to_bridge,
								   .mac = mac});
	}
	return err;
}

static int append_rule(struct config_diff *diff, enum config_action_type type,
		       const struct config_bridge *bridge, const struct config_rule *rule)
{
	return append(diff, &(struct config_action){.type = type, .bridge = bridge, .rule = rule});
}

static int diff_rules_removed(struct config_diff *diff, const struct config_bridge *from,
			      const struct config_bridge *to)
{
	struct rule_index index;
	int err;

	err = rule_index_init(&index, to->rules, to->n_rules);
	for (size_t i = 0; i < from->n_rules && !err; i++) {
		if (!rule_index_lookup(&index, &from->rules[i]))
			err = append_rule(diff, CONFIG_REMOVE_RULE, from, &from->rules[i]);
	}
	free(index.rules);
	return err;
}

static int diff_rules(struct config_diff *diff, const struct config_rule *from, size_t n_from,
		      const struct config_bridge *to)
{
	struct rule_index have, wanted = {0};
	int err;

	err = rule_index_init(&have, from, n_from);
	if (!err)
		err = rule_index_init(&wanted, to->rules, to->n_rules);
	for (size_t i = 0; i < to->n_rules && !err; i++) {
		const struct config_rule *rule = &to->rules[i];
		const struct config_rule *old;

		if (rule_index_lookup(&wanted, rule) != rule)
			continue; /* a later one has the same key */
		old = rule_index_lookup(&have, rule);
		if (!old || strcmp(old->text, rule->text) != 0)
			err = append_rule(diff, CONFIG_ADD_RULE, to, rule);
	}
	free(have.rules);
	free(wanted.rules);
	return err;
}

static bool has_rule(const struct config_bridge *bridge, const struct config_rule *rule)
{
	for (size_t i = 0; i < bridge->n_rules; i++) {
		if (memcmp(bridge->rules[i].key, rule->key, CONFIG_RULE_KEY_SIZE) == 0)
			return true;
	}
	return false;
}

static int diff_removals(const struct config *from, const struct config *to,
			 struct config_diff *diff)
{
	int err = 0;

	/* a bridge that goes takes its rules and addresses along, but ports are closed one by one
	 */
	for (size_t i = 0; i < from->n_bridges && !err; i++) {
		const struct config_bridge *old = &from->bridges[i];
		const struct config_bridge *bridge = config_lookup_bridge(to, old->name);

		if (bridge)
			err = diff_rules_removed(diff, old, bridge);
		if (bridge && !err)
			err = diff_macs_removed(diff, old, bridge);
	}
	for (size_t i = 0; i < from->n_bridges && !err; i++) {
		const struct config_bridge *old = &from->bridges[i];

		err = diff_ports_removed(diff, old, to, config_lookup_bridge(to, old->name));
	}
	for (size_t i = 0; i < from->n_bridges && !err; i++) {
		const struct config_bridge *old = &from->bridges[i];

		if (!config_lookup_bridge(to, old->name))
			err = append(diff, &(struct config_action){.type = CONFIG_REMOVE_BRIDGE,
								   .bridge = old});
	}
	return err;
}

static int diff_bridges(const struct config *from, const struct config *to,
			const struct config_rule *initial, struct config_diff *diff)
{
	int err = 0;

	for (size_t i = 0; i < to->n_bridges && !err; i++) {
		const struct config_bridge *bridge = &to->bridges[i];
		const struct config_bridge *old = config_lookup_bridge(from, bridge->name);
		struct config_action action = {.bridge = bridge, .old_bridge = old};

		action.type = old ? CONFIG_SET_BRIDGE : CONFIG_ADD_BRIDGE;
		if (!old || !config_options_equals(&old->options, &bridge->options))
			err = append(diff, &action);
		action.type = CONFIG_CLEAR_RULES;
		if (!err && !old && !has_rule(bridge, initial))
			err = append(diff, &action);
	}
	return err;
}

int config_diff_create(const struct config *from, const struct config *to,
		       const struct config_rule *initial, struct config_diff *diff)
{
	int err;

	*diff = (struct config_diff){0};
	err = diff_removals(from, to, diff);
	if (!err)
		err = diff_bridges(from, to, initial, diff);
	for (size_t i = 0; i < to->n_bridges && !err; i++) {
		const struct config_bridge *bridge = &to->bridges[i];

		err = diff_ports(diff, from, config_lookup_bridge(from, bridge->name), bridge);
	}
	for (size_t i = 0; i < to->n_bridges && !err; i++) {
		const struct config_bridge *bridge = &to->bridges[i];

		err = diff_macs(diff, from, config_lookup_bridge(from, bridge->name), to, bridge);
	}
	for (size_t i = 0; i < to->n_bridges && !err; i++) {
		const struct config_bridge *bridge = &to->bridges[i];
		const struct config_bridge *old = config_lookup_bridge(from, bridge->name);

		err = diff_rules(diff, old ? old->rules : initial, old ? old->n_rules : 1, bridge);
	}
	if (err)
		config_diff_uninit(diff);
	return err;
}

void config_diff_uninit(struct config_diff *diff)
{
	free(diff->actions);
	*diff = (struct config_diff){0};
}

/* ---- printing ---------------------------------------------------------------------------------
 */

/* Writes one word so that a shell, and `apply`, read it back as one word. */
static void print_word(FILE *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_-+=.,:/@%";

	if (word[0] && strspn(word, plain) == strlen(word)) {
		fputs(word, out);
		return;
	}
	fputc('\'', out);
	for (const char *c = word; *c; c++) {
		if (*c == '\'')
			fputs("'\\''", out);
		else
			fputc(*c, out);
	}
	fputc('\'', out);
}

static void print_pair(FILE *out, const char *key, const char *value)
{
	char *pair;

	if (asprintf(&pair, "%s=%s", key, value) < 0)
		return;
	fputc(' ', out);
	print_word(out, pair);
	free(pair);
}

static void print_options(FILE *out, const struct config_options *options)
{
	for (size_t i = 0; i < options->n; i++)
		print_pair(out, options->items[i].key, options->items[i].value);
}

/* What set-... needs to say to turn `old` into `options`: an empty value takes an option away. */
static void print_changed(FILE *out, const struct config_options *old,
			  const struct config_options *options)
{
	for (size_t i = 0; i < options->n; i++) {
		const char *before = config_options_get(old, options->items[i].key);

		if (!before || strcmp(before, options->items[i].value) != 0)
			print_pair(out, options->items[i].key, options->items[i].value);
	}
	for (size_t i = 0; i < old->n; i++) {
		if (!config_options_get(options, old->items[i].key))
			print_pair(out, old->items[i].key, "");
	}
}

static void print_add_port(FILE *out, const struct config_bridge *bridge,
			   const struct config_port *port)
{
	char ofport[16];

	snprintf(ofport, sizeof(ofport), "%u", port->ofport);
	fprintf(out, "%s %s ", port->container ? "attach-container" : "add-port", bridge->name);
	print_word(out, port->container ? port->container : port->name);
	if (port->container)
		print_options(out, &port->container_options);
	print_pair(out, "type", port->type);
	print_options(out, &port->options);
	if (port->ofport)
		print_pair(out, "ofport_request", ofport);
}

static void print_remove_port(FILE *out, const struct config_bridge *bridge,
			      const struct config_port *port)
{
	fprintf(out, "%s %s ", port->container ? "detach-container" : "del-port", bridge->name);
	print_word(out, port->container ? port->container : port->name);
}

static void print_mac(FILE *out, const char *command, const struct config_bridge *bridge,
		      const struct config_mac *mac, bool with_port)
{
	const uint8_t *a = mac->address;

	fprintf(out, "%s %s ", command, bridge->name);
	if (with_port) {
		print_word(out, mac->port);
		fputc(' ', out);
	}
	fprintf(out, "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4], a[5]);
	if (mac->vlan != CONFIG_VLAN_NONE)
		fprintf(out, " vlan=%u", mac->vlan);
}

static void print_rule(FILE *out, const struct config_action *action, const char *text)
{
	fprintf(out, "%s %s ", action->type == CONFIG_ADD_RULE ? "add-flow" : "del-flows --strict",
		action->bridge->name);
	if (action->type == CONFIG_ADD_RULE) {
		print_word(out, text);
	} else {
		/* the match alone: what stands ahead of the actions */
		const char *actions = strstr(text, "actions=");
		size_t length = actions ? (size_t)(actions - text) : strlen(text);
		char *match = strndup(text, length);

		while (match && length > 0 && strchr(" ,", match[length - 1]))
			match[--length] = '\0';
		print_word(out, match ? match : "");
		free(match);
	}
}

static void print_action(FILE *out, const struct config_action *action, const char *rule)
{
	const struct config_bridge *bridge = action->bridge;

	switch (action->type) {
	case CONFIG_REMOVE_RULE:
	case CONFIG_ADD_RULE:
		print_rule(out, action, rule);
		break;
	case CONFIG_REMOVE_MAC:
		print_mac(out, "fdb-del", bridge, action->mac, false);
		break;
	case CONFIG_ADD_MAC:
		print_mac(out, "fdb-add", bridge, action->mac, true);
		break;
	case CONFIG_REMOVE_PORT:
		print_remove_port(out, bridge, action->port);
		break;
	case CONFIG_ADD_PORT:
		print_add_port(out, bridge, action->port);
		break;
	case CONFIG_SET_PORT:
		if (action->port->container) {
			print_add_port(out, bridge, action->port);
			break;
		}
		fprintf(out, "set-port %s %s", bridge->name, action->port->name);
		print_changed(out, &action->old_port->options, &action->port->options);
		break;
	case CONFIG_REMOVE_BRIDGE:
		fprintf(out, "del-br %s", bridge->name);
		break;
	case CONFIG_ADD_BRIDGE:
		fprintf(out, "add-br %s", bridge->name);
		print_options(out, &bridge->options);
		break;
	case CONFIG_SET_BRIDGE:
		fprintf(out, "set-br %s", bridge->name);
		print_changed(out, &action->old_bridge->options, &bridge->options);
		break;
	case CONFIG_CLEAR_RULES:
		fprintf(out, "del-flows %s", bridge->name);
		break;
	}
}

char *config_action_format(const struct config_action *action,
			   char *(*rule_text)(void *aux, const struct config_bridge *bridge,
					      const struct config_rule *rule),
			   void *aux)
{
	bool has_text = action->type == CONFIG_ADD_RULE || action->type == CONFIG_REMOVE_RULE;
	char *named = has_text && rule_text ? rule_text(aux, action->bridge, action->rule) : NULL;
	const char *text = named ? named : has_text ? action->rule->text : NULL;
	char *line = NULL;
	size_t size;
	FILE *out = open_memstream(&line, &size);

	if (out) {
		print_action(out, action, text);
		if (fclose(out)) {
			free(line);
			line = NULL;
		}
	}
	free(named);
	return line;
}
