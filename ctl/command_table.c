/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/command.h"

#include "ctl/print.h"
#include "ctl/run.h"

/* Arguments and options that many commands have. */
/* clang-format off */
#define ARG_WORD(META, PARAM, COMPLETES)                                                           \
	{.meta = META, .param = PARAM, .kind = COMMAND_ARG_STRING,                                 \
	 .completes = COMMAND_COMPLETE_##COMPLETES}
#define ARG_BRIDGE ARG_WORD("BR", "bridge", BRIDGE)
#define ARG_PORT ARG_WORD("PORT", "port", PORT)
#define ARG_CONTAINER ARG_WORD("NETNS|PID", "container", NETNS)
#define ARG_DOMAIN ARG_WORD("DOMAIN", "domain", DOMAIN)
#define ARG_MAC ARG_WORD("MAC", "mac", NOTHING)
#define ARG_RULE {.meta = "RULE", .param = "rule", .kind = COMMAND_ARG_TEXT}
#define ARG_MATCH {.meta = "MATCH", .param = "match", .kind = COMMAND_ARG_TEXT, .optional = true}
#define ARG_SCRIPT                                                                                 \
	{.meta = "FILE|-", .param = "text", .kind = COMMAND_ARG_FILE,                              \
	 .completes = COMMAND_COMPLETE_FILE}
#define ARG_BRIDGE_OPTIONS(OPTIONAL)                                                               \
	{.meta = "KEY=VALUE ...", .param = "options", .kind = COMMAND_ARG_PAIRS,                   \
	 .optional = OPTIONAL, .completes = COMMAND_COMPLETE_KEY,                                  \
	 .hints = "local mac-ageing mac-limit ip mac mtu"}
#define ARG_VLAN                                                                                   \
	{.meta = "vlan=VLAN", .kind = COMMAND_ARG_PAIRS, .optional = true,                         \
	 .completes = COMMAND_COMPLETE_KEY, .keys = "vlan"}

#define MAY_EXIST {"may-exist", NULL, "may_exist", "say nothing if it is there already"}
#define IF_EXISTS {"if-exists", NULL, "if_exists", "say nothing if it is not there"}
#define STRICT {"strict", NULL, "strict", "only the rule of exactly this match and priority"}
/* clang-format on */

const struct command command_table[] = {
	{.name = "add-br",
	 .group = COMMAND_GROUP_BRIDGES,
	 .args = {ARG_BRIDGE,
		  ARG_BRIDGE_OPTIONS(true)},
	 .options = {MAY_EXIST},
	 .help = "make a bridge, which learns MAC addresses until rules say otherwise; "
		 "local=no: without an interface for the host, mac-ageing=SECONDS [300], "
		 "mac-limit=N [8192]; options of that interface are those of type=internal, such "
		 "as ip=ADDRESS/LENGTH",
	 .in_script = true},
	{.name = "del-br",
	 .group = COMMAND_GROUP_BRIDGES,
	 .args = {ARG_BRIDGE},
	 .options = {IF_EXISTS},
	 .help = "remove a bridge with its ports and rules"},
	{.name = "set-br",
	 .group = COMMAND_GROUP_BRIDGES,
	 .args = {ARG_BRIDGE,
		  ARG_BRIDGE_OPTIONS(false)},
	 .help = "change options of a bridge; an empty value goes back to the default",
	 .in_script = true},
	{.name = "list-br",
	 .group = COMMAND_GROUP_BRIDGES,
	 .help = "list the bridges",
	 .print = print_list_br},
	{.name = "show",
	 .group = COMMAND_GROUP_BRIDGES,
	 .args = {{"BR", "bridge", COMMAND_ARG_STRING, true, COMMAND_COMPLETE_BRIDGE, NULL, NULL},
		  {"PORT", "port", COMMAND_ARG_STRING, true, COMMAND_COMPLETE_PORT, NULL, NULL}},
	 .help = "show bridges and ports, with their state and what is wrong; of one port all "
		 "that is known",
	 .print = print_show},

	{.name = "add-port",
	 .group = COMMAND_GROUP_PORTS,
	 .args = {ARG_BRIDGE,
		  {"PORT", "port", COMMAND_ARG_STRING, false, COMMAND_COMPLETE_LINK, NULL, NULL},
		  {"KEY=VALUE ...", "options", COMMAND_ARG_PAIRS, true,
		   COMMAND_COMPLETE_PORT_OPTION, "type ofport_request", NULL}},
	 .options = {MAY_EXIST,
		     {"force", NULL, "force",
		      "even if the host has an address on the device, and is cut off there"}},
	 .help = "add a port, of type=afxdp unless another is given; see list-types for the "
		 "options",
	 .in_script = true},
	{.name = "del-port",
	 .group = COMMAND_GROUP_PORTS,
	 .args = {ARG_BRIDGE, ARG_PORT},
	 .options = {IF_EXISTS},
	 .help = "remove a port"},
	{.name = "set-port",
	 .group = COMMAND_GROUP_PORTS,
	 .args = {ARG_BRIDGE,
		  ARG_PORT,
		  {"KEY=VALUE ...", "options", COMMAND_ARG_PAIRS, false,
		   COMMAND_COMPLETE_PORT_OPTION, NULL, NULL}},
	 .help = "change options of a port; an empty value goes back to the default",
	 .in_script = true},
	{.name = "list-ports",
	 .group = COMMAND_GROUP_PORTS,
	 .args = {ARG_BRIDGE},
	 .help = "list the ports of a bridge",
	 .print = print_list_ports},
	{.name = "dump-ports",
	 .group = COMMAND_GROUP_PORTS,
	 .args = {ARG_BRIDGE,
		  {"PORT", "port", COMMAND_ARG_STRING, true, COMMAND_COMPLETE_PORT, NULL, NULL}},
	 .help = "print the counters of ports, drops by reason, and what the driver says",
	 .print = print_dump_ports},
	{.name = "list-types",
	 .group = COMMAND_GROUP_PORTS,
	 .help = "list the types of ports and their options",
	 .print = print_list_types},

	{.name = "attach-container",
	 .group = COMMAND_GROUP_CONTAINERS,
	 .args = {ARG_BRIDGE,
		  ARG_CONTAINER,
		  {"KEY=VALUE ...", "options", COMMAND_ARG_PAIRS, true, COMMAND_COMPLETE_KEY,
		   "ifname ip gateway mac mtu type ofport_request",
		   "tag trunks kernel-tier queues"}},
	 .help = "give a network namespace an interface on the bridge; ifname=NAME [eth0], "
		 "ip=ADDRESS/LENGTH[,...], gateway=ADDRESS[,...], mac=MAC, mtu=BYTES, type=TYPE "
		 "[veth], and options of ports such as tag=VLAN",
	 .in_script = true,
	 .print = print_attach_container},
	{.name = "detach-container",
	 .group = COMMAND_GROUP_CONTAINERS,
	 .args = {ARG_BRIDGE, ARG_CONTAINER},
	 .options = {IF_EXISTS},
	 .help = "take the interface away again"},

	{.name = "attach-vm",
	 .group = COMMAND_GROUP_VMS,
	 .args = {ARG_BRIDGE,
		  ARG_DOMAIN,
		  {"KEY=VALUE ...", "options", COMMAND_ARG_PAIRS, true, COMMAND_COMPLETE_KEY,
		   "queues mac ofport_request", "tag trunks mtu features"}},
	 .help = "plug an interface on the bridge into a virtual machine of libvirt, running or "
		 "not; queues=N [1], mac=MAC, and options of ports such as tag=VLAN",
	 .print = print_attach_vm},
	{.name = "detach-vm",
	 .group = COMMAND_GROUP_VMS,
	 .args = {ARG_BRIDGE, ARG_DOMAIN},
	 .options = {IF_EXISTS},
	 .help = "unplug that interface again",
	 .print = print_detach_vm},
	{.name = "list-vms",
	 .group = COMMAND_GROUP_VMS,
	 .help = "list libvirt's virtual machines with their vhost-user interfaces and ports",
	 .print = print_list_vms},
	{.name = "vm-check",
	 .group = COMMAND_GROUP_VMS,
	 .args = {ARG_DOMAIN},
	 .help = "tell why a virtual machine has no network, and what to do; exit status 1 if "
		 "something is wrong",
	 .print = print_vm_check,
	 .run = run_vm_check},

	{.name = "add-flow",
	 .group = COMMAND_GROUP_RULES,
	 .args = {ARG_BRIDGE, ARG_RULE},
	 .help = "add a rule, or replace the one of the same match and priority",
	 .in_script = true},
	{.name = "add-flows",
	 .group = COMMAND_GROUP_RULES,
	 .args = {ARG_BRIDGE, ARG_SCRIPT},
	 .help = "add the rules of a script, all or none",
	 .in_script = true},
	{.name = "replace-flows",
	 .group = COMMAND_GROUP_RULES,
	 .args = {ARG_BRIDGE, ARG_SCRIPT},
	 .help = "make the rules be those of a script; rules that stay keep their counters",
	 .in_script = true},
	{.name = "mod-flows",
	 .group = COMMAND_GROUP_RULES,
	 .args = {ARG_BRIDGE, ARG_RULE},
	 .options = {STRICT},
	 .help = "give the rules that the match covers other actions"},
	{.name = "del-flows",
	 .group = COMMAND_GROUP_RULES,
	 .args = {ARG_BRIDGE, ARG_MATCH},
	 .options = {STRICT},
	 .help = "delete the rules that the match covers, or all",
	 .in_script = true},
	{.name = "dump-flows",
	 .group = COMMAND_GROUP_RULES,
	 .args = {ARG_BRIDGE, ARG_MATCH},
	 .help = "print rules with their counters",
	 .print = print_dump_flows},
	{.name = "diff-flows",
	 .group = COMMAND_GROUP_RULES,
	 .args = {ARG_BRIDGE, ARG_SCRIPT},
	 .help = "print what replace-flows would remove (-) and add (+)",
	 .print = print_diff_flows},
	{.name = "dump-tables",
	 .group = COMMAND_GROUP_RULES,
	 .args = {ARG_BRIDGE},
	 .help = "print how many rules and different masks each table has",
	 .print = print_dump_tables},

	{.name = "fdb-show",
	 .group = COMMAND_GROUP_MACS,
	 .args = {ARG_BRIDGE},
	 .help = "print which MAC address lives behind which port",
	 .print = print_fdb_show},
	{.name = "fdb-flush",
	 .group = COMMAND_GROUP_MACS,
	 .args = {ARG_BRIDGE},
	 .help = "forget what was learned"},
	{.name = "fdb-add",
	 .group = COMMAND_GROUP_MACS,
	 .args = {ARG_BRIDGE, ARG_PORT, ARG_MAC, ARG_VLAN},
	 .help = "enter a static address",
	 .in_script = true},
	{.name = "fdb-del",
	 .group = COMMAND_GROUP_MACS,
	 .args = {ARG_BRIDGE, ARG_MAC, ARG_VLAN},
	 .help = "remove a static address"},

	{.name = "trace",
	 .group = COMMAND_GROUP_INSIGHT,
	 .args = {ARG_BRIDGE,
		  {"FLOW", "flow", COMMAND_ARG_TEXT, true, COMMAND_COMPLETE_NOTHING, NULL, NULL}},
	 .options = {{"packet", "HEX", "packet",
		      "the packet's bytes; FLOW then only says in_port=PORT"}},
	 .help = "tell what the tables do with a packet, and the megaflow that results",
	 .print = print_trace},
	{.name = "dump-cache",
	 .group = COMMAND_GROUP_INSIGHT,
	 .options = {{"worker", "N", "worker", "only what this worker has cached"},
		     {"tier", "0", "tier", "only what the kernel carries out by itself"}},
	 .help = "print the cached megaflows, and why one is not in the kernel's tier 0",
	 .print = print_dump_cache},
	{.name = "drops",
	 .group = COMMAND_GROUP_INSIGHT,
	 .options = {{"live", NULL, "live",
		      "print what is dropped each second, until interrupted"}},
	 .help = "print dropped packets by port and reason",
	 .print = print_drops,
	 .run = run_drops},
	{.name = "workers",
	 .group = COMMAND_GROUP_INSIGHT,
	 .help = "print what each worker does: packets by tier of the cache, time awake",
	 .print = print_workers},
	{.name = "mem",
	 .group = COMMAND_GROUP_INSIGHT,
	 .help = "print how much memory is used, and where packet buffers are",
	 .print = print_mem},
	{.name = "version",
	 .group = COMMAND_GROUP_INSIGHT,
	 .help = "print the versions of both programs",
	 .print = print_version},

	{.name = "export",
	 .group = COMMAND_GROUP_CONFIG,
	 .help = "print everything that is configured as a script of commands",
	 .print = print_export},
	{.name = "apply",
	 .group = COMMAND_GROUP_CONFIG,
	 .args = {{"FILE|-", "file", COMMAND_ARG_PATH, false, COMMAND_COMPLETE_FILE, NULL, NULL}},
	 .options = {{"dry-run", NULL, "dry_run", "only print what would be done"}},
	 .help = "make the configuration be what a script says, all or nothing, and print what is "
		 "done",
	 .print = print_apply,
	 .run = run_apply},
	{.name = "complete",
	 .group = COMMAND_GROUP_CONFIG,
	 .args = {{"WORD ...", "words", COMMAND_ARG_WORDS, true, COMMAND_COMPLETE_NOTHING, NULL,
		   NULL}},
	 .help = "print what could stand in place of the last word; for the shell's completion",
	 .run = run_complete},
	{.name = NULL},
};
