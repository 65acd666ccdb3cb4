/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/print.h"

#include "ctl/table.h"

/* ---- ports ------------------------------------------------------------------------------------
 */

static void print_reasons(FILE *out, const char *title, const json_t *drops)
{
	const char *reason;
	json_t *packets;

	if (json_object_size(drops) == 0)
		return;
	fprintf(out, "    %s:", title);
	json_object_foreach((json_t *)drops, reason, packets)
		fprintf(out, " %s=%lld", reason, (long long)json_integer_value(packets));
	fputc('\n', out);
}

static void print_port(FILE *out, const json_t *port)
{
	const char *error = print_get_string(port, "error");
	long long ofport = print_get_integer(port, "ofport");
	const json_t *status = json_object_get(port, "status");
	const char *name;
	json_t *value;

	fprintf(out, "port %s (", print_get_string(port, "port"));
	if (ofport == 0xfffe)
		fputs("LOCAL", out);
	else
		fprintf(out, "%lld", ofport);
	fprintf(out, "): %s%s", print_get_string(port, "state"), error[0] ? ", " : "");
	table_print_text(error, out);
	fputc('\n', out);
	if (!json_object_get(port, "rx_packets"))
		return;
	fprintf(out, "    rx: packets=%lld bytes=%lld\n", print_get_integer(port, "rx_packets"),
		print_get_integer(port, "rx_bytes"));
	fprintf(out, "    tx: packets=%lld bytes=%lld copies=%lld\n",
		print_get_integer(port, "tx_packets"), print_get_integer(port, "tx_bytes"),
		print_get_integer(port, "copies"));
	print_reasons(out, "dropped", json_object_get(port, "drops"));
	print_reasons(out, "lost in the kernel", json_object_get(port, "kernel_drops"));
	if (json_object_size(status) == 0)
		return;
	fputs("    status:", out);
	json_object_foreach((json_t *)status, name, value)
	{
		fprintf(out, " %s=", name);
		table_print_text(json_is_string(value) ? json_string_value(value) : "", out);
	}
	fputc('\n', out);
}

void print_dump_ports(FILE *out, const json_t *result)
{
	const json_t *ports = json_object_get(result, "ports");
	json_t *port;
	size_t i;

	json_array_foreach(ports, i, port) print_port(out, port);
}

/* ---- drops ------------------------------------------------------------------------------------
 */

void print_drops(FILE *out, const json_t *result)
{
	static const struct table_column columns[] = {
		{"PORT", false}, {"PACKETS", true}, {"REASON", false}, {"MEANING", false}};
	const json_t *drops = json_object_get(result, "drops");
	struct table table;
	json_t *drop;
	size_t i;

	table_init(&table, columns, ARRAY_SIZE(columns));
	json_array_foreach(drops, i, drop)
	{
		table_add(&table, "%s", print_get_string(drop, "port"));
		table_add(&table, "%lld", print_get_integer(drop, "packets"));
		table_add(&table, "%s", print_get_string(drop, "reason"));
		table_add(&table, "%s", print_get_string(drop, "help"));
	}
	table_print(&table, out);
	table_uninit(&table);
	if (!json_object_get(result, "rx_packets"))
		return;
	fprintf(out,
		"received %lld + copies %lld, sent %lld + dropped %lld; lost in the kernel before "
		"that %lld, in devices after that %lld\n",
		print_get_integer(result, "rx_packets"), print_get_integer(result, "copies"),
		print_get_integer(result, "tx_packets"), print_get_integer(result, "dropped"),
		print_get_integer(result, "kernel_dropped"),
		print_get_integer(result, "device_dropped"));
}

/* ---- workers and memory -----------------------------------------------------------------------
 */

/* `part` of `whole`, per cent. */
static double percent(long long part, long long whole)
{
	return whole > 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

static void print_tier0(FILE *out, const json_t *tier0)
{
	if (!json_is_true(json_object_get(tier0, "on"))) {
		fprintf(out, "tier 0: off: %s\n", print_get_string(tier0, "why"));
		return;
	}
	fprintf(out,
		"tier 0: %lld of %lld flows, %lld masks, %lld MiB; %lld put in so far, "
		"%lld refused for want of room\n",
		print_get_integer(tier0, "flows"), print_get_integer(tier0, "max_flows"),
		print_get_integer(tier0, "masks"), print_get_integer(tier0, "bytes") >> 20,
		print_get_integer(tier0, "inserted"), print_get_integer(tier0, "refused"));
	if (json_object_get(tier0, "pinned"))
		fprintf(out, "tier 0 outlives the daemon: pinned in %s\n",
			print_get_string(tier0, "pinned"));
	else
		fprintf(out, "tier 0 ends with the daemon: not pinned: %s\n",
			print_get_string(tier0, "why_not_pinned"));
}

void print_workers(FILE *out, const json_t *result)
{
	static const struct table_column columns[] = {
		{"WORKER", true},  {"CORE", true},    {"PACKETS", true},  {"TIER0 %", true},
		{"TIER1 %", true}, {"TIER2 %", true}, {"TABLES %", true}, {"FLOWS", true},
		{"MASKS", true},   {"SLEEPS", true},  {"BUSY %", true},
	};
	const json_t *workers = json_object_get(result, "workers");
	long long uptime = print_get_integer(result, "uptime_ns");
	struct table table;
	json_t *worker;
	size_t i;

	table_init(&table, columns, ARRAY_SIZE(columns));
	json_array_foreach(workers, i, worker)
	{
		long long hits_tier0 = print_get_integer(worker, "hits_tier0");
		long long packets = print_get_integer(worker, "rx_packets") + hits_tier0;
		long long core = print_get_integer(worker, "core");

		table_add(&table, "%lld", print_get_integer(worker, "worker"));
		if (core < 0)
			table_add(&table, "any");
		else
			table_add(&table, "%lld", core);
		table_add(&table, "%lld", packets);
		table_add(&table, "%.1f", percent(hits_tier0, packets));
		table_add(&table, "%.1f",
			  percent(print_get_integer(worker, "hits_signature"), packets));
		table_add(&table, "%.1f",
			  percent(print_get_integer(worker, "hits_megaflow"), packets));
		table_add(&table, "%.1f", percent(print_get_integer(worker, "misses"), packets));
		table_add(&table, "%lld", print_get_integer(worker, "flows"));
		table_add(&table, "%lld", print_get_integer(worker, "masks"));
		table_add(&table, "%lld", print_get_integer(worker, "sleeps"));
		table_add(&table, "%.1f", percent(print_get_integer(worker, "busy_ns"), uptime));
	}
	table_print(&table, out);
	table_uninit(&table);
	print_tier0(out, json_object_get(result, "tier0"));
}

void print_mem(FILE *out, const json_t *result)
{
	long long frame = print_get_integer(result, "frame_bytes");

	fprintf(out, "resident       %lld MiB\n",
		print_get_integer(result, "resident_bytes") >> 20);
	fprintf(out,
		"packet buffers %lld of %lld bytes: %lld free, %lld lent to ports, %lld in hand\n",
		print_get_integer(result, "frames"), frame,
		print_get_integer(result, "frames_free"), print_get_integer(result, "frames_lent"),
		print_get_integer(result, "frames_held"));
	fprintf(out, "cached flows   %lld\nrules          %lld\n",
		print_get_integer(result, "cached_flows"), print_get_integer(result, "rules"));
}
