/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/methods.h"

/* clang-format off */
#define BRIDGE {"bridge", RPC_STRING, true}
#define PORT {"port", RPC_STRING, true}
/* clang-format on */

const struct rpc_method methods[] = {
	{"version", {{0}}, method_version},
	{"show", {{"bridge", RPC_STRING, false}, {"port", RPC_STRING, false}}, method_show},
	{"mem", {{0}}, method_mem},
	{"workers", {{0}}, method_workers},
	{"drops", {{0}}, method_drops},
	{"list-types", {{0}}, method_list_types},

	{"list-br", {{0}}, method_list_br},
	{"add-br",
	 {BRIDGE, {"options", RPC_OPTIONS, false}, {"may_exist", RPC_BOOL, false}},
	 method_add_br},
	{"del-br", {BRIDGE, {"if_exists", RPC_BOOL, false}}, method_del_br},
	{"set-br", {BRIDGE, {"options", RPC_OPTIONS, true}}, method_set_br},

	{"list-ports", {BRIDGE}, method_list_ports},
	{"dump-ports", {BRIDGE, {"port", RPC_STRING, false}}, method_dump_ports},
	{"add-port",
	 {BRIDGE,
	  PORT,
	  {"type", RPC_STRING, false},
	  {"ofport_request", RPC_UINT, false},
	  {"options", RPC_OPTIONS, false},
	  {"may_exist", RPC_BOOL, false},
	  {"force", RPC_BOOL, false}},
	 method_add_port},
	{"del-port", {BRIDGE, PORT, {"if_exists", RPC_BOOL, false}}, method_del_port},
	{"set-port", {BRIDGE, PORT, {"options", RPC_OPTIONS, true}}, method_set_port},

	{"attach-container",
	 {BRIDGE,
	  {"container", RPC_STRING, true},
	  {"ifname", RPC_STRING, false},
	  {"ip", RPC_STRING, false},
	  {"gateway", RPC_STRING, false},
	  {"mac", RPC_STRING, false},
	  {"mtu", RPC_UINT, false},
	  {"type", RPC_STRING, false},
	  {"ofport_request", RPC_UINT, false},
	  {"options", RPC_OPTIONS, false}},
	 method_attach_container},
	{"detach-container",
	 {BRIDGE, {"container", RPC_STRING, true}, {"if_exists", RPC_BOOL, false}},
	 method_detach_container},

	{"attach-vm",
	 {BRIDGE,
	  {"domain", RPC_STRING, true},
	  {"queues", RPC_UINT, false},
	  {"mac", RPC_STRING, false},
	  {"ofport_request", RPC_UINT, false},
	  {"options", RPC_OPTIONS, false}},
	 method_attach_vm},
	{"detach-vm",
	 {BRIDGE, {"domain", RPC_STRING, true}, {"if_exists", RPC_BOOL, false}},
	 method_detach_vm},
	{"list-vms", {{0}}, method_list_vms},
	{"vm-check", {{"domain", RPC_STRING, true}}, method_vm_check},

	{"add-flow", {BRIDGE, {"rule", RPC_STRING, true}}, method_add_flow},
	{"add-flows",
	 {BRIDGE, {"text", RPC_STRING, true}, {"file", RPC_STRING, false}},
	 method_add_flows},
	{"replace-flows",
	 {BRIDGE, {"text", RPC_STRING, true}, {"file", RPC_STRING, false}},
	 method_replace_flows},
	{"mod-flows",
	 {BRIDGE, {"rule", RPC_STRING, true}, {"strict", RPC_BOOL, false}},
	 method_mod_flows},
	{"del-flows",
	 {BRIDGE, {"match", RPC_STRING, false}, {"strict", RPC_BOOL, false}},
	 method_del_flows},
	{"dump-flows", {BRIDGE, {"match", RPC_STRING, false}}, method_dump_flows},
	{"diff-flows",
	 {BRIDGE, {"text", RPC_STRING, true}, {"file", RPC_STRING, false}},
	 method_diff_flows},
	{"dump-tables", {BRIDGE}, method_dump_tables},
	{"dump-cache",
	 {{"worker", RPC_UINT, false}, {"tier", RPC_UINT, false}},
	 method_dump_cache},
	{"trace",
	 {BRIDGE, {"flow", RPC_STRING, false}, {"packet", RPC_STRING, false}},
	 method_trace},

	{"fdb-show", {BRIDGE}, method_fdb_show},
	{"fdb-flush", {BRIDGE}, method_fdb_flush},
	{"fdb-add",
	 {BRIDGE, PORT, {"mac", RPC_STRING, true}, {"vlan", RPC_UINT, false}},
	 method_fdb_add},
	{"fdb-del", {BRIDGE, {"mac", RPC_STRING, true}, {"vlan", RPC_UINT, false}}, method_fdb_del},

	{"export", {{0}}, method_export},
	{"apply",
	 {{"commands", RPC_ARRAY, true}, {"file", RPC_STRING, false}, {"dry_run", RPC_BOOL, false}},
	 method_apply},
	{NULL, {{0}}, NULL},
};

struct config_bridge *methods_get_bridge(const struct rpc_call *call, struct error *e)
{
	return vswitch_lookup_bridge(&call->vswitch->config, rpc_get_string(call, "bridge"), e);
}
