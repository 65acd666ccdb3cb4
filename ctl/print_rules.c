/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/print.h"

#include "ctl/table.h"

static void print_texts(FILE *out, const json_t *array, const char *member, const char *prefix)
{
	json_t *item;
	size_t i;

	json_array_foreach(array, i, item)
	{
		fputs(prefix, out);
		table_print_text(member ? print_get_string(item, member) : json_string_value(item),
				 out);
		fputc('\n', out);
	}
}

void print_dump_flows(FILE *out, const json_t *result)
{
	print_texts(out, json_object_get(result, "rules"), "text", " ");
}

void print_diff_flows(FILE *out, const json_t *result)
{
	print_texts(out, json_object_get(result, "removed"), NULL, "-");
	print_texts(out, json_object_get(result, "added"), NULL, "+");
}

void print_dump_tables(FILE *out, const json_t *result)
{
	static const struct table_column columns[] = {
		{"TABLE", true}, {"RULES", true}, {"MASKS", true}};
	const json_t *tables = json_object_get(result, "tables");
	struct table table;
	json_t *row;
	size_t i;

	table_init(&table, columns, ARRAY_SIZE(columns));
	json_array_foreach(tables, i, row)
	{
		table_add(&table, "%lld", print_get_integer(row, "table"));
		table_add(&table, "%lld", print_get_integer(row, "rules"));
		table_add(&table, "%lld", print_get_integer(row, "masks"));
	}
	table_print(&table, out);
	table_uninit(&table);
}

void print_dump_cache(FILE *out, const json_t *result)
{
	static const struct table_column columns[] = {
		{"WORKER", true}, {"PACKETS", true}, {"BYTES", true},
		{"TIER0", false}, {"MATCH", false},  {"ACTIONS", false},
	};
	const json_t *flows = json_object_get(result, "flows");
	struct table table;
	json_t *flow;
	size_t i;

	table_init(&table, columns, ARRAY_SIZE(columns));
	json_array_foreach(flows, i, flow)
	{
		const char *reason = print_get_string(flow, "drop_reason");

		table_add(&table, "%lld", print_get_integer(flow, "worker"));
		table_add(&table, "%lld", print_get_integer(flow, "n_packets"));
		table_add(&table, "%lld", print_get_integer(flow, "n_bytes"));
		if (json_is_true(json_object_get(flow, "tier0")))
			table_add(&table, "yes");
		else
			table_add(&table, "no: %s", print_get_string(flow, "why_not_tier0"));
		table_add(&table, "%s", print_get_string(flow, "match"));
		table_add(&table, "%s%s%s%s", print_get_string(flow, "actions"),
			  reason[0] ? " (" : "", reason, reason[0] ? ")" : "");
	}
	table_print(&table, out);
	table_uninit(&table);
}

void print_trace(FILE *out, const json_t *result)
{
	const json_t *steps = json_object_get(result, "steps");
	json_t *step;
	size_t i;

	json_array_foreach(steps, i, step)
	{
		fprintf(out, "%*s", (int)MIN(print_get_integer(step, "depth"), 40LL) * 4, "");
		table_print_text(print_get_string(step, "text"), out);
		fputc('\n', out);
	}
}

void print_fdb_show(FILE *out, const json_t *result)
{
	static const struct table_column columns[] = {
		{"PORT", false}, {"VLAN", true}, {"MAC", false}, {"AGE", true}};
	const json_t *entries = json_object_get(result, "entries");
	struct table table;
	json_t *entry;
	size_t i;

	table_init(&table, columns, ARRAY_SIZE(columns));
	json_array_foreach(entries, i, entry)
	{
		table_add(&table, "%s", print_get_string(entry, "port"));
		table_add(&table, "%lld", print_get_integer(entry, "vlan"));
		table_add(&table, "%s", print_get_string(entry, "mac"));
		if (json_is_true(json_object_get(entry, "static")))
			table_add(&table, "static");
		else
			table_add(&table, "%.0f", json_real_value(json_object_get(entry, "age")));
	}
	table_print(&table, out);
	table_uninit(&table);
	fprintf(out, "%zu of %lld addresses, unused ones go after %lld s\n",
		json_array_size(entries), print_get_integer(result, "limit"),
		print_get_integer(result, "ageing"));
}
