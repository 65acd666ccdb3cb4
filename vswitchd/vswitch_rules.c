/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/vswitch_rules.h"

#include "lib/log.h"
#include "openflow/rule_script.h"
#include "openflow/rule_text.h"
#include "vswitchd/rule_row.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ------------------------------------------------------------------------------------
 */

static uint32_t names_get_number(void *aux, const char *name, size_t length)
{
	const struct config_bridge *bridge = aux;
	const struct config_port *port;
	char text[CONFIG_NAME_SIZE];

	if (length >= sizeof(text))
		return OFPORT_NONE;
	memcpy(text, name, length);
	text[length] = '\0';
	if (strcmp(text, bridge->name) == 0)
		return OFPORT_LOCAL;
	port = config_lookup_port(NULL, bridge, text, NULL);
	return port ? port->ofport : OFPORT_NONE;
}

static const char *names_get_name(void *aux, uint32_t ofport)
{
	const struct config_bridge *bridge = aux;

	for (size_t i = 0; i < bridge->n_ports; i++) {
		if (bridge->ports[i].ofport == ofport)
			return bridge->ports[i].name;
	}
	return NULL;
}

static void names_offer(void *aux, struct suggest *suggest)
{
	const struct config_bridge *bridge = aux;

	for (size_t i = 0; i < bridge->n_ports; i++)
		suggest_offer(suggest, bridge->ports[i].name);
}

void vswitch_names_init(struct ofport_names *names, const struct config_bridge *bridge)
{
	*names = (struct ofport_names){
		.get_number = names_get_number,
		.get_name = names_get_name,
		.offer = names_offer,
		.aux = (void *)(uintptr_t)bridge,
	};
}

/* ---- rows -------------------------------------------------------------------------------------
 */

/* Makes room for `n` rules to be added to an empty script; each mod adds its spec. */
static int script_reserve(struct rule_script *script, size_t n)
{
	*script = (struct rule_script){
		.specs = calloc(MAX(n, (size_t)1), sizeof(*script->specs)),
		.mods = calloc(MAX(n, (size_t)1), sizeof(*script->mods)),
	};
	if (!script->specs || !script->mods) {
		rule_script_uninit(script);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		script->mods[i] =
			(struct flow_mod){.type = FLOW_MOD_ADD, .spec = &script->specs[i]};
	return 0;
}

/* Parses a row into the next place of a script that has room for it. */
static int script_append_row(struct rule_script *script, const struct config_rule *row,
			     struct error *e)
{
	int err = rule_parse(row->text, strlen(row->text), FLOW_MOD_ADD, NULL,
			     &script->specs[script->n], e);

	if (err)
		return error_prefix(e, err, "rule '%.200s'", row->text);
	script->n++;
	return 0;
}

static void rows_free(struct config_rule *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(rows[i].text);
	free(rows);
}

char *vswitch_format_row(void *aux, const struct config_bridge *bridge,
			 const struct config_rule *row)
{
	struct strbuf out = STRBUF_INIT;
	struct ofport_names names;
	struct rule_spec spec;

	(void)aux;
	vswitch_names_init(&names, bridge);
	if (rule_parse(row->text, strlen(row->text), FLOW_MOD_ADD, NULL, &spec, NULL))
		return strdup(row->text);
	rule_format(&spec, NULL, &names, &out);
	ofaction_list_uninit(&spec.actions);
	return strbuf_detach(&out);
}

int vswitch_init_initial(struct config_rule *row, struct error *e)
{
	static const char text[] = "priority=0,actions=normal";
	struct rule_spec spec;
	int err;

	err = rule_parse(text, strlen(text), FLOW_MOD_ADD, NULL, &spec, e);
	if (err)
		return err;
	err = rule_row_make(&spec, row);
	ofaction_list_uninit(&spec.actions);
	return err ? error_set(e, err, "out of memory") : 0;
}

/* ---- scripts ----------------------------------------------------------------------------------
 */

/* "FILE:LINE: what is wrong" of the first error, and the lines of the others. */
static int explain_errors(const struct rule_script_errors *errors, const char *file, int err,
			  unsigned int *line, struct error *e)
{
	char others[16 * RULE_SCRIPT_ERRORS_MAX];
	size_t at = strlen(file) + 1, used = 0;

	*line = (unsigned int)strtoul(errors->errors[0].text + at, NULL, 10);
	for (size_t i = 1; i < errors->n; i++)
		used += (size_t)snprintf(others + used, sizeof(others) - used, "%s%lu",
					 i == 1 ? "" : ", ",
					 strtoul(errors->errors[i].text + at, NULL, 10));
	if (errors->n < 2)
		return error_set(e, err, "%s", errors->errors[0].text);
	return error_set(e, err, "%s (also wrong: line%s %s%s)", errors->errors[0].text,
			 errors->n > 2 ? "s" : "", others,
			 errors->n == RULE_SCRIPT_ERRORS_MAX ? ", and more may be" : "");
}

/*
 * Parses text that a person wrote: a script from `file`, or a single rule (file NULL). `adds_only`:
 * the script may only add.
 */
static int parse_text(struct rule_script *script, const struct config_bridge *bridge,
		      const char *text, const char *file, bool adds_only, unsigned int *line,
		      struct error *e)
{
	struct rule_script_errors errors;
	struct ofport_names names;
	int err;

	vswitch_names_init(&names, bridge);
	if (!file) {
		*script = (struct rule_script){0};
		err = script_reserve(script, 1);
		if (err)
			return error_set(e, err, "out of memory");
		err = rule_parse(text, strlen(text), FLOW_MOD_ADD, &names, &script->specs[0], e);
		script->n = !err;
		if (err)
			rule_script_uninit(script);
		return err;
	}
	err = rule_script_parse(file, text, strlen(text), adds_only, &names, script, &errors);
	return err ? explain_errors(&errors, file, err, line, e) : 0;
}

/* Rows of all rules of a script. The caller frees with rows_free(); NULL: no memory. */
static struct config_rule *rows_create(const struct rule_script *script)
{
	struct config_rule *rows = calloc(MAX(script->n, (size_t)1), sizeof(*rows));

	for (size_t i = 0; rows && i < script->n; i++) {
		if (rule_row_make(&script->specs[i], &rows[i])) {
			rows_free(rows, i);
			return NULL;
		}
	}
	return rows;
}

int vswitch_append_rules(struct config_bridge *bridge, const char *text, const char *file,
			 unsigned int *line, struct error *e)
{
	struct rule_script script;
	struct config_rule row;
	int err;

	err = parse_text(&script, bridge, text, file, true, line, e);
	if (err)
		return err;
	for (size_t i = 0; i < script.n && !err; i++) {
		err = rule_row_make(&script.specs[i], &row);
		if (!err)
			err = config_append_rule(bridge, row.key, row.text);
	}
	rule_script_uninit(&script);
	return err ? error_set(e, err, "out of memory") : 0;
}

/* ---- the config's rules -----------------------------------------------------------------------
 */

int vswitch_run_rule_actions(struct vswitch *vs, const struct config_action *actions, size_t n,
			     struct error *e)
{
	const struct config_bridge *config = actions[0].bridge;
	struct rule_script script = {0};
	int err;

	err = script_reserve(&script, n);
	if (err)
		error_set(e, err, "out of memory");
	for (size_t i = 0; i < n && !err; i++) {
		err = script_append_row(&script, actions[i].rule, e);
		if (err || actions[i].type == CONFIG_ADD_RULE)
			continue;
		script.mods[i].type = FLOW_MOD_DELETE_STRICT;
		script.specs[i].cookie = 0; /* whatever it is */
	}
	if (!err)
		err = bridge_modify_flows(bridge_lookup(vs->bridges, config->name), script.mods,
					  script.n, NULL, e);
	rule_script_uninit(&script);
	return err;
}

int vswitch_replace_rules(struct vswitch *vs, const struct config_bridge *config,
			  const struct config_rule *rules, size_t n, struct error *e)
{
	struct rule_script script = {0};
	int err;

	err = script_reserve(&script, n);
	if (err)
		error_set(e, err, "out of memory");
	for (size_t i = 0; i < n && !err; i++)
		err = script_append_row(&script, &rules[i], e);
	if (!err)
		err = bridge_replace_flows(bridge_lookup(vs->bridges, config->name), script.specs,
					   script.n, NULL, e);
	rule_script_uninit(&script);
	return err;
}

/* Collects rows of the rules that a dump gives. */
struct collector {
	struct config_bridge rows; /* of which only the rules are used */
	const struct rule_spec *strict; /* only the rule of this match and priority; NULL: all */
	const struct rule_spec *modify; /* rows as they are with these actions; NULL: as they are */
	int err;
};

static void collect(void *aux, const struct rule *rule)
{
	struct collector *collector = aux;
	struct rule_spec spec = rule_get_spec(rule);
	struct config_rule row;

	if (collector->err)
		return;
	if (collector->strict && (collector->strict->priority != rule->priority ||
				  !match_equals(&collector->strict->match, &rule->match)))
		return;
	if (collector->modify) {
		spec.actions = collector->modify->actions;
		if (collector->modify->cookie && !collector->modify->cookie_mask)
			spec.cookie = collector->modify->cookie;
	}
	collector->err = rule_row_make(&spec, &row);
	if (!collector->err)
		collector->err = config_append_rule(&collector->rows, row.key, row.text);
}

/* Collects from the bridge; `filter` NULL: all rules. */
static int collect_all(struct collector *collector, const struct vswitch *vs, const char *bridge,
		       const struct rule_spec *filter, struct error *e)
{
	int err = bridge_dump_flows(bridge_lookup(vs->bridges, bridge), filter, collect, collector);

	if (!err)
		err = collector->err;
	return err ? error_set(e, err, "out of memory") : 0;
}

int vswitch_get_rules(struct vswitch *vs, struct config_bridge *bridge, struct error *e)
{
	struct collector collector = {0};
	int err;

	err = collect_all(&collector, vs, bridge->name, NULL, e);
	config_clear_rules(bridge);
	bridge->rules = collector.rows.rules;
	bridge->n_rules = collector.rows.n_rules;
	bridge->rules_size = collector.rows.rules_size;
	return err;
}

/* ---- the store --------------------------------------------------------------------------------
 */

/* Makes the rows of the bridge be what the bridge has: after a change that it refused. */
static void resync(struct vswitch *vs, const char *bridge)
{
	struct collector collector = {0};
	struct error e = ERROR_INIT;
	int err;

	err = collect_all(&collector, vs, bridge, NULL, &e);
	if (!err)
		err = store_begin(vs->store, &e);
	if (!err) {
		err = store_clear_rules(vs->store, bridge, &e);
		if (!err)
			err = store_put_rules(vs->store, bridge, collector.rows.rules,
					      collector.rows.n_rules, &e);
		if (!err)
			err = store_commit(vs->store, &e);
		else
			store_rollback(vs->store);
	}
	if (err)
		log_error("bridge %s: its rules in the store differ from those in force: %s",
			  bridge, e.text);
	config_clear_rules(&collector.rows);
}

int vswitch_check_rows(struct vswitch *vs, const struct config_bridge *bridge, struct error *e)
{
	struct rule_script script;
	struct config_rule row;
	int err;

	if (bridge->n_rules == 0)
		return 0;
	err = script_reserve(&script, 1);
	if (err)
		return error_set(e, err, "out of memory");
	err = script_append_row(&script, &bridge->rules[0], e);
	if (!err)
		err = rule_row_make(&script.specs[0], &row);
	if (!err) {
		/* another layout makes every key another one */
		if (memcmp(row.key, bridge->rules[0].key, CONFIG_RULE_KEY_SIZE) != 0)
			resync(vs, bridge->name);
		free(row.text);
	}
	rule_script_uninit(&script);
	return err;
}

enum write_kind {
	WRITE_PUT,
	WRITE_REPLACE, /* clear, then put */
	WRITE_DELETE,
};

static int write_rows(struct store *store, const char *bridge, enum write_kind kind,
		      const struct config_rule *rows, size_t n, struct error *e)
{
	int err;

	err = store_begin(store, e);
	if (err)
		return err;
	if (kind == WRITE_REPLACE)
		err = store_clear_rules(store, bridge, e);
	if (!err && kind == WRITE_DELETE)
		err = store_delete_rules(store, bridge, rows, n, e);
	else if (!err)
		err = store_put_rules(store, bridge, rows, n, e);
	if (err) {
		store_rollback(store);
		return err;
	}
	return store_commit(store, e);
}

/* ---- scripts that change and delete ------------------------------------------------------------
 */

/* Notes a rule that is there as one to add; its actions stay the rule's. */
static void note_rule(void *script_, const struct rule *rule)
{
	struct rule_script *script = script_;

	script->specs[script->n++] = rule_get_spec(rule);
}

/* Puts what the bridge has into an empty table. */
static int copy_rules(struct bridge *bridge, struct flow_table *table, struct error *e)
{
	uint32_t n = flow_table_get_n_rules(bridge_get_flow_table(bridge), FLOW_TABLE_ALL);
	struct rule_script copy;
	int err;

	err = script_reserve(&copy, n);
	if (!err)
		err = bridge_dump_flows(bridge, NULL, note_rule, &copy);
	if (err)
		error_set(e, err, "out of memory");
	else
		err = flow_table_modify(table, copy.mods, copy.n, 0, NULL, e);
	copy.n = 0; /* the actions are borrowed */
	rule_script_uninit(&copy);
	return err;
}

/*
 * Collects the rows that the bridge will have when `script` has run: tried on a copy of its rules,
 * so that what the store is to hold is known before anything changes.
 */
static int foresee(const struct vswitch *vs, const char *bridge, const struct rule_script *script,
		   struct collector *rows, struct error *e)
{
	struct flow_table *table;
	int err;

	err = flow_table_create(&table);
	if (err)
		return error_set(e, err, "out of memory");
	err = copy_rules(bridge_lookup(vs->bridges, bridge), table, e);
	if (!err)
		err = flow_table_modify(table, script->mods, script->n, 0, NULL, e);
	if (!err) {
		err = flow_table_dump(table, NULL, collect, rows);
		if (!err)
			err = rows->err;
		if (err)
			error_set(e, err, "out of memory");
	}
	flow_table_destroy(table);
	return err;
}

/* add-flows with lines that do more than add. */
static int run_script(struct vswitch *vs, const char *bridge, const struct rule_script *script,
		      struct flow_mod_result *result, struct error *e)
{
	struct collector collector = {0};
	int err;

	err = foresee(vs, bridge, script, &collector, e);
	if (!err)
		err = write_rows(vs->store, bridge, WRITE_REPLACE, collector.rows.rules,
				 collector.rows.n_rules, e);
	if (!err) {
		err = bridge_modify_flows(bridge_lookup(vs->bridges, bridge), script->mods,
					  script->n, result, e);
		if (err)
			resync(vs, bridge);
	}
	config_clear_rules(&collector.rows);
	return err;
}

static bool script_only_adds(const struct rule_script *script)
{
	for (size_t i = 0; i < script->n; i++)
		if (script->mods[i].type != FLOW_MOD_ADD)
			return false;
	return true;
}

/* ---- commands ---------------------------------------------------------------------------------
 */

/* add-flows and replace-flows. */
static int put_flows(struct vswitch *vs, const struct config_bridge *config, bool replaces,
		     const char *text, const char *file, unsigned int *line,
		     struct flow_mod_result *result, struct error *e)
{
	struct bridge *bridge = bridge_lookup(vs->bridges, config->name);
	struct config_rule *rows;
	struct rule_script script;
	int err;

	*result = (struct flow_mod_result){0};
	err = parse_text(&script, config, text, file, replaces, line, e);
	if (err)
		return err;
	if (!script_only_adds(&script)) {
		err = run_script(vs, config->name, &script, result, e);
		goto out;
	}
	rows = rows_create(&script);
	if (!rows) {
		err = error_set(e, ENOMEM, "out of memory");
		goto out;
	}
	err = write_rows(vs->store, config->name, replaces ? WRITE_REPLACE : WRITE_PUT, rows,
			 script.n, e);
	if (err)
		goto out_rows;
	err = replaces ? bridge_replace_flows(bridge, script.specs, script.n, result, e)
		       : bridge_modify_flows(bridge, script.mods, script.n, result, e);
	if (err)
		resync(vs, config->name);

out_rows:
	rows_free(rows, script.n);
out:
	rule_script_uninit(&script);
	return err;
}

int vswitch_add_flows(struct vswitch *vs, const struct config_bridge *bridge, const char *text,
		      const char *file, unsigned int *line, struct flow_mod_result *result,
		      struct error *e)
{
	return put_flows(vs, bridge, false, text, file, line, result, e);
}

int vswitch_replace_flows(struct vswitch *vs, const struct config_bridge *bridge, const char *text,
			  const char *file, unsigned int *line, struct flow_mod_result *result,
			  struct error *e)
{
	return put_flows(vs, bridge, true, text, file, line, result, e);
}

/* mod-flows and del-flows: the rows are those of the rules that the text chooses. */
static int change_chosen(struct vswitch *vs, const struct config_bridge *config, const char *text,
			 enum flow_mod_type type, bool strict, struct flow_mod_result *result,
			 struct error *e)
{
	bool deletes = type == FLOW_MOD_DELETE || type == FLOW_MOD_DELETE_STRICT;
	struct collector collector = {0};
	struct ofport_names names;
	struct rule_spec spec;
	struct flow_mod mod = {.type = type, .spec = &spec};
	int err;

	vswitch_names_init(&names, config);
	err = rule_parse(text, strlen(text), type, &names, &spec, e);
	if (err)
		return err;
	*result = (struct flow_mod_result){0};
	collector.strict = strict ? &spec : NULL;
	collector.modify = deletes ? NULL : &spec;
	err = collect_all(&collector, vs, config->name, &spec, e);
	if (!err && collector.rows.n_rules > 0) {
		err = write_rows(vs->store, config->name, deletes ? WRITE_DELETE : WRITE_PUT,
				 collector.rows.rules, collector.rows.n_rules, e);
		if (!err) {
			err = bridge_modify_flows(bridge_lookup(vs->bridges, config->name), &mod, 1,
						  result, e);
			if (err)
				resync(vs, config->name);
		}
	}
	config_clear_rules(&collector.rows);
	ofaction_list_uninit(&spec.actions);
	return err;
}

int vswitch_modify_flows(struct vswitch *vs, const struct config_bridge *bridge, const char *text,
			 bool strict, struct flow_mod_result *result, struct error *e)
{
	return change_chosen(vs, bridge, text, strict ? FLOW_MOD_MODIFY_STRICT : FLOW_MOD_MODIFY,
			     strict, result, e);
}

int vswitch_delete_flows(struct vswitch *vs, const struct config_bridge *bridge, const char *text,
			 bool strict, struct flow_mod_result *result, struct error *e)
{
	return change_chosen(vs, bridge, text ? text : "",
			     strict ? FLOW_MOD_DELETE_STRICT : FLOW_MOD_DELETE, strict, result, e);
}

/* ---- time -------------------------------------------------------------------------------------
 */

/* Rules of one round that ran out. */
struct expiry {
	struct vswitch *vs;
	bool begun; /* a transaction is open */
	int err;
	struct error error;
};

static void forget_rule(void *aux, struct bridge *bridge, const struct rule *rule,
			enum flow_expiry why)
{
	struct expiry *expiry = aux;
	struct rule_spec spec = rule_get_spec(rule);
	struct config_rule row;

	(void)why;
	if (expiry->err)
		return;
	if (!expiry->begun) {
		expiry->err = store_begin(expiry->vs->store, &expiry->error);
		expiry->begun = !expiry->err;
	}
	if (!expiry->err)
		expiry->err = rule_row_make(&spec, &row);
	if (expiry->err)
		return;
	expiry->err = store_delete_rules(expiry->vs->store, bridge_get_name(bridge), &row, 1,
					 &expiry->error);
	free(row.text);
}

void vswitch_expire(struct vswitch *vs, uint64_t now)
{
	struct expiry expiry = {.vs = vs};

	bridge_table_run(vs->bridges, now, forget_rule, &expiry);
	if (expiry.begun && expiry.err)
		store_rollback(vs->store);
	else if (expiry.begun)
		expiry.err = store_commit(vs->store, &expiry.error);
	if (expiry.err)
		log_error_limited("rules that ran out stay in the store: %s", expiry.error.text);
}
