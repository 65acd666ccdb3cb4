/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/print.h"

#include "ctl/table.h"

#include <stdint.h>
#include <string.h>

/* ---- show -------------------------------------------------------------------------------------
 */

/* What a driver says of itself that has room in a line; the most telling comes first. */
#define STATUS_SHOWN 3

/* The first `n` pairs as "key=value key=value". Of a value with an explanation, "value: why", the
 * value alone. */
static void format_pairs(const json_t *object, size_t n_pairs, char *buf, size_t size)
{
	size_t used = strlen(buf);
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		const char *text = json_is_string(value) ? json_string_value(value) : "?";
		const char *why = strstr(text, ": ");
		int n;

		if (!n_pairs--)
			return;
		n = snprintf(buf + used, size - used, "%s%s=%.*s", used ? " " : "", key,
			     (int)(why ? (size_t)(why - text) : strlen(text)), text);

		if (n < 0 || (size_t)n >= size - used)
			return;
		used += (size_t)n;
	}
}

/* What there is to say about a port beyond its name and state. */
static void format_details(const json_t *port, char *buf, size_t size)
{
	const char *container = print_get_string(port, "container");
	const char *error = print_get_string(port, "error");

	buf[0] = '\0';
	if (error[0]) {
		snprintf(buf, size, "%s", error);
		return;
	}
	if (container[0])
		snprintf(buf, size, "container=%s", container);
	format_pairs(json_object_get(port, "container_options"), SIZE_MAX, buf, size);
	format_pairs(json_object_get(port, "options"), SIZE_MAX, buf, size);
	format_pairs(json_object_get(port, "status"), STATUS_SHOWN, buf, size);
}

static void add_port_number(struct table *table, const json_t *port)
{
	long long ofport = print_get_integer(port, "ofport");

	if (ofport == 0xfffe)
		table_add(table, "LOCAL");
	else
		table_add(table, "%lld", ofport);
}

static void print_ports(FILE *out, const json_t *ports)
{
	static const struct table_column columns[] = {
		{"PORT", false},  {"NUMBER", true},   {"TYPE", false},
		{"STATE", false}, {"DETAILS", false},
	};
	struct table table;
	char details[1024];
	json_t *port;
	size_t i;

	table_init(&table, columns, ARRAY_SIZE(columns));
	table.indent = 4;
	json_array_foreach(ports, i, port)
	{
		format_details(port, details, sizeof(details));
		table_add(&table, "%s", print_get_string(port, "port"));
		add_port_number(&table, port);
		table_add(&table, "%s", print_get_string(port, "type"));
		table_add(&table, "%s", print_get_string(port, "state"));
		table_add(&table, "%s", details);
	}
	table_print(&table, out);
	table_uninit(&table);
}

static void print_bridge(FILE *out, const json_t *bridge)
{
	char options[256] = "";

	format_pairs(json_object_get(bridge, "options"), SIZE_MAX, options, sizeof(options));
	fprintf(out, "bridge %s: %lld rules, %lld MAC addresses%s%s\n",
		print_get_string(bridge, "bridge"), print_get_integer(bridge, "rules"),
		print_get_integer(bridge, "macs"), options[0] ? ", " : "", options);
	print_ports(out, json_object_get(bridge, "ports"));
}

/* Adds a line for each pair, under `group`. */
static void add_pairs(struct table *table, const char *group, const json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		table_add(table, "%s%s", group, key);
		table_add(table, "%s", json_is_string(value) ? json_string_value(value) : "?");
	}
}

/* All that is known of one port, a line each. */
static void print_port(FILE *out, const char *bridge, const json_t *port)
{
	static const struct table_column columns[] = {{"", false}, {"", false}};
	static const char *const words[] = {"type", "state", "error", "container", "domain", "mac"};
	struct table table;

	fprintf(out, "port %s of bridge %s\n", print_get_string(port, "port"), bridge);
	table_init(&table, columns, ARRAY_SIZE(columns));
	table.indent = 4;
	table.headless = true;
	table_add(&table, "number");
	add_port_number(&table, port);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!json_object_get(port, words[i]))
			continue;
		table_add(&table, "%s", words[i]);
		table_add(&table, "%s", print_get_string(port, words[i]));
	}
	if (json_object_get(port, "max_len")) {
		table_add(&table, "longest frame");
		table_add(&table, "%lld bytes", print_get_integer(port, "max_len"));
	}
	add_pairs(&table, "container ", json_object_get(port, "container_options"));
	add_pairs(&table, "option ", json_object_get(port, "options"));
	add_pairs(&table, "", json_object_get(port, "status"));
	table_print(&table, out);
	table_uninit(&table);
}

void print_show(FILE *out, const json_t *result)
{
	const json_t *bridges = json_object_get(result, "bridges");
	const char *note = print_get_string(result, "store_note");
	long long workers = print_get_integer(result, "workers");
	json_t *bridge;
	size_t i;

	if (json_object_get(result, "port")) {
		bridge = json_array_get(bridges, 0);
		print_port(out, print_get_string(bridge, "bridge"),
			   json_array_get(json_object_get(bridge, "ports"), 0));
		return;
	}
	fprintf(out, "vswitchd %s, pid %lld, %lld %s\n", print_get_string(result, "version"),
		print_get_integer(result, "pid"), workers, workers == 1 ? "worker" : "workers");
	fprintf(out, "rundir %s, store %s\n", print_get_string(result, "rundir"),
		print_get_string(result, "store"));
	if (note[0]) {
		fputs("attention: ", out);
		table_print_text(note, out);
		fputc('\n', out);
	}
	print_libvirt(out, json_object_get(result, "libvirt"));
	json_array_foreach(bridges, i, bridge) print_bridge(out, bridge);
}

/* ---- lists ------------------------------------------------------------------------------------
 */

static void print_lines(FILE *out, const json_t *array, const char *prefix)
{
	json_t *line;
	size_t i;

	json_array_foreach(array, i, line)
	{
		fputs(prefix, out);
		table_print_text(json_is_string(line) ? json_string_value(line) : "", out);
		fputc('\n', out);
	}
}

void print_list_br(FILE *out, const json_t *result)
{
	print_lines(out, json_object_get(result, "bridges"), "");
}

void print_list_ports(FILE *out, const json_t *result)
{
	print_lines(out, json_object_get(result, "ports"), "");
}

static void print_options(FILE *out, const json_t *options)
{
	static const struct table_column columns[] = {{"", false}, {"", false}};
	struct table table;
	json_t *option;
	size_t i;

	table_init(&table, columns, ARRAY_SIZE(columns));
	table.indent = 8;
	table.headless = true;
	json_array_foreach(options, i, option)
	{
		const char *initial = print_get_string(option, "initial");

		table_add(&table, "%s=%s", print_get_string(option, "option"),
			  print_get_string(option, "values"));
		table_add(&table, "%s%s%s%s", print_get_string(option, "help"),
			  initial[0] ? " [" : "", initial, initial[0] ? "]" : "");
	}
	table_print(&table, out);
	table_uninit(&table);
}

void print_list_types(FILE *out, const json_t *result)
{
	const json_t *types = json_object_get(result, "types");
	json_t *type;
	size_t i;

	json_array_foreach(types, i, type)
	{
		fprintf(out, "type=%s\n    %s\n", print_get_string(type, "type"),
			print_get_string(type, "help"));
		print_options(out, json_object_get(type, "options"));
	}
	fprintf(out, "every type\n");
	print_options(out, json_object_get(result, "bridge_options"));
}

void print_attach_container(FILE *out, const json_t *result)
{
	fprintf(out, "port %s, number %lld\n", print_get_string(result, "port"),
		print_get_integer(result, "ofport"));
	if (json_object_get(result, "why"))
		fprintf(out, "of type %s, for one of type veth cannot be had: %s\n",
			print_get_string(result, "type"), print_get_string(result, "why"));
}

void print_export(FILE *out, const json_t *result)
{
	fputs("# vswitch configuration: vswitchctl apply FILE makes it so, and so does sh FILE on "
	      "an "
	      "empty switch\n",
	      out);
	print_lines(out, json_object_get(result, "commands"), "vswitchctl ");
}

void print_apply(FILE *out, const json_t *result)
{
	const json_t *actions = json_object_get(result, "actions");

	if (json_array_size(actions) == 0)
		fputs("nothing to do\n", out);
	print_lines(out, actions, "");
}

void print_version(FILE *out, const json_t *result)
{
	fprintf(out, "vswitchctl %s\nvswitchd   %s, pid %lld, up for %.0f s\n", PACKAGE_VERSION,
		print_get_string(result, "version"), print_get_integer(result, "pid"),
		json_real_value(json_object_get(result, "uptime")));
}
