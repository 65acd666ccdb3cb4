/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/print.h"

#include "ctl/table.h"
#include "lib/util.h"

#include <string.h>

void print_libvirt(FILE *out, const json_t *libvirt)
{
	const char *error = print_get_string(libvirt, "error");
	long long domains = print_get_integer(libvirt, "domains");

	if (!libvirt)
		return;
	fprintf(out, "libvirt %s: ", print_get_string(libvirt, "uri"));
	if (json_is_true(json_object_get(libvirt, "connected")))
		fprintf(out, "%lld %s, followed by %lld ports\n", domains,
			domains == 1 ? "domain" : "domains",
			print_get_integer(libvirt, "followed_ports"));
	else
		fprintf(out, "not connected%s%s\n", error[0] ? ": " : "", error);
}

void print_attach_vm(FILE *out, const json_t *result)
{
	fprintf(out, "port %s, number %lld, MAC address %s\n", print_get_string(result, "port"),
		print_get_integer(result, "ofport"), print_get_string(result, "mac"));
}

void print_detach_vm(FILE *out, const json_t *result)
{
	if (json_is_true(json_object_get(result, "waits_for_guest")))
		fprintf(out,
			"the guest has not let go of the interface yet; port %s goes when it "
			"does\n",
			print_get_string(result, "port"));
}

static const char *describe_state(const json_t *vm)
{
	if (json_is_true(json_object_get(vm, "running")))
		return json_is_true(json_object_get(vm, "defined")) ? "running"
								    : "running, transient";
	return "shut off";
}

/* What became of an interface: its port, or why it has none. */
static void add_interface(struct table *table, const json_t *interface)
{
	const char *state = print_get_string(interface, "state");
	const char *problem = print_get_string(interface, "problem");

	table_add(table, "%s", print_get_string(interface, "mac"));
	if (problem[0])
		table_add(table, "no port: %s", problem);
	else if (strcmp(state, "elsewhere") == 0)
		table_add(table, "not this switch's: %s", print_get_string(interface, "socket"));
	else
		table_add(table, "port %s of %s", print_get_string(interface, "port"),
			  print_get_string(interface, "bridge"));
}

void print_list_vms(FILE *out, const json_t *result)
{
	static const struct table_column columns[] = {
		{"DOMAIN", false}, {"STATE", false}, {"MAC", false}, {"PORT", false}};
	const json_t *libvirt = json_object_get(result, "libvirt");
	struct table table;
	size_t i, j;
	json_t *vm;

	/* then the domains are those that were there before */
	if (!json_is_true(json_object_get(libvirt, "connected")))
		print_libvirt(out, libvirt);
	table_init(&table, columns, ARRAY_SIZE(columns));
	json_array_foreach(json_object_get(result, "vms"), i, vm)
	{
		const json_t *interfaces = json_object_get(vm, "interfaces");
		json_t *interface;

		json_array_foreach(interfaces, j, interface)
		{
			table_add(&table, "%s", print_get_string(vm, "domain"));
			table_add(&table, "%s", describe_state(vm));
			add_interface(&table, interface);
		}
		if (json_array_size(interfaces) > 0)
			continue;
		table_add(&table, "%s", print_get_string(vm, "domain"));
		table_add(&table, "%s", describe_state(vm));
		table_add(&table, "-");
		table_add(&table, "no vhost-user interface");
	}
	table_print(&table, out);
	table_uninit(&table);
}

void print_vm_check(FILE *out, const json_t *result)
{
	json_t *finding;
	size_t i;

	json_array_foreach(json_object_get(result, "findings"), i, finding)
	{
		const char *mac = print_get_string(finding, "mac");
		const char *xml = print_get_string(finding, "xml");

		fprintf(out, "%s: ", print_get_string(finding, "level"));
		if (json_object_get(finding, "mac"))
			fprintf(out, "interface %s: ", mac[0] ? mac : "(no MAC address)");
		table_print_text(print_get_string(finding, "text"), out);
		fputc('\n', out);
		if (!xml[0])
			continue;
		fputs("    ", out);
		table_print_text(xml, out);
		fputc('\n', out);
	}
}
